/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * build/tests/scenario < scenarios.jsonl: the lines of one scenario or of several, each begun by its "config" line. A
 * line for each "ask" comes out; lines that only name a case are repeated between them. A command that is refused and
 * should not be, or the other way round, ends it with one sentence and status 1.
 */
#include "scenario/scenario.h"

#include <stdarg.h>

static struct site site;
static unsigned line_number;

void refuse(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fflush(stdout);
	fprintf(stderr, "line %u: ", line_number);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	site_close(&site);
	exit(1);
}

int64_t instant(const char *text)
{
	struct vg_civil c;
	int64_t us;
	if (!text || !clock_civil_read(text, &c) || !clock_civil_utc(&c, &us))
		refuse("%s is no local time", text ? text : "null");
	return us;
}

/* "$v1", "@key" and "!key:condition" stand for ids. */
static json_t *resolved(const json_t *value)
{
	const char *text = json_string_value(value), *key;
	json_t *copy, *v;
	size_t i;
	if (text && (*text == '$' || *text == '@') && text[1]) {
		const json_t *id = json_object_get(*text == '$' ? site.names : site.ids, text + 1);
		if (!id)
			id = json_object_get(site.ids, text); /* "@1": entered */
		if (!id)
			refuse("nothing was kept as %s", text);
		return json_copy((json_t *)id);
	}
	if (text && *text == '!' && strchr(text, ':'))
		return alert_named(&site, text + 1);
	if (json_is_object(value)) {
		copy = json_object();
		json_object_foreach((json_t *)value, key, v)
			json_object_set_new(copy, key, resolved(v));
		return copy;
	}
	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach((json_t *)value, i, v) json_array_append_new(copy, resolved(v));
		return copy;
	}
	return json_copy((json_t *)value);
}

/* The id that a result is about, and those of the visits that it opened. */
static void keep_names(const char *as, const json_t *result)
{
	static const char *const about[] = {"visit", "reading", "checkin", "id"};
	const json_t *id = NULL;
	json_t *visits = json_object_get(result, "visits"), *v;
	const char *form;
	char name[80];
	for (size_t i = 0; i < ELEMENTS(about) && !json_is_string(id); i++)
		id = json_object_get(result, about[i]);
	if (json_is_string(id))
		json_object_set(site.names, as, (json_t *)id);
	json_object_foreach(visits, form, v)
	{
		snprintf(name, sizeof(name), "%s.%s", as, form);
		json_object_set(site.names, name, v);
	}
}

/* Entered readings are named in their order. */
static void keep_entered(const json_t *result)
{
	char name[16];
	const json_t *id = json_object_get(result, "reading");
	if (!json_is_string(id))
		refuse("the result names no reading");
	snprintf(name, sizeof(name), "@%u", ++site.entered);
	json_object_set(site.ids, name, (json_t *)id);
	json_object_set_new(site.keys, json_string_value(id), json_string(name));
}

static void command(const json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "cmd"));
	const char *by = json_string_value(json_object_get(line, "by"));
	const char *as = json_string_value(json_object_get(line, "as"));
	const char *expected = json_string_value(json_object_get(line, "refused"));
	char code[32] = "";
	json_t *args = resolved(json_object_get(line, "args"));
	const char *door = json_string_value(json_object_get(line, "door"));
	json_t *result = run_command(&site, name, args, by ? by : "S-0001", door, code);
	json_decref(args);
	if (!result && !expected)
		refuse("%s was refused: %s", name, code);
	if (result && expected)
		refuse("%s was to be refused with %s, and was carried out", name, expected);
	if (expected && !streq(code, expected))
		refuse("%s was to be refused with %s, and was with %s", name, expected, code);
	if (result && as)
		keep_names(as, result);
	if (result && streq(name, "enter"))
		keep_entered(result);
	json_decref(result);
}

static void take(const json_t *line)
{
	const json_t *config = json_object_get(line, "config");
	if (config) {
		site_close(&site);
		time_start();
		site_open(&site, config);
		time_begin(&site);
		return;
	}
	if (json_object_get(line, "case")) {
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	if (!site.stands)
		refuse("expected a line with \"config\" first");
	time_pass(&site, instant(json_string_value(json_object_get(line, "at"))));
	if (json_object_get(line, "cmd")) {
		command(line);
	} else if (json_object_get(line, "unit")) {
		unit_deliver(&site, json_object_get(line, "unit"), clock_utc_us());
	} else if (json_object_get(line, "ask")) {
		json_t *ask = resolved(line);
		answer(&site, ask);
		json_decref(ask);
	} else if (json_object_get(line, "restart")) {
		time_restart(&site, json_string_value(json_object_get(line, "restart")));
	} else if (!json_object_get(line, "tick")) {
		refuse("it is no command, no unit and no question");
	}
}

int main(void)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;
	while ((len = getline(&text, &size, stdin)) > 0) {
		json_error_t e;
		json_t *line = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, &e);
		line_number++;
		if (!json_is_object(line))
			refuse("%s", e.text);
		take(line);
		json_decref(line);
	}
	free(text);
	site_close(&site);
	return 0;
}
