/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of commands share, on top of gateway_rig.h: a running store, a command and its reply. */
#pragma once

#include "gateway_rig.h"

#include "command.h"
#include "util.h"

static struct rig rig;
static json_t *last; /* the last reply */
static bool replied;

static inline int command_setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_run_store(&rig);
	return 0;
}

static inline int command_teardown(void **state)
{
	(void)state;
	json_decref(TAKE(last));
	rig_close(&rig);
	return 0;
}

static inline void on_reply(void *arg, const char *text, size_t len)
{
	json_error_t e;
	(void)arg;
	json_decref(last);
	last = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (!last)
		fail_msg("%s: %.*s", e.text, (int)len, text);
	replied = true;
}

static inline void ask_raw(const char *text, size_t len)
{
	replied = false;
	assert_int_equal(command_submit(&rig.gateway, text, len, "local:nurse", on_reply, NULL), 0);
	rig_wait(&rig, &replied);
}

/* `args` with ' for " */
static inline void ask(const char *cmd, const char *args)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "{\"v\":1,\"id\":\"c-1\",\"cmd\":\"%s\",\"args\":%s}",
		cmd, args);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	ask_raw(text, (size_t)n);
}

static inline bool chinese(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p >= 0xe4)
			return true;
	return false;
}

/* The last command was refused with this code, and with a sentence for each of us. */
static inline void refused(const char *code)
{
	const json_t *error = json_object_get(last, "error");
	assert_true(json_is_false(json_object_get(last, "ok")));
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	const char *en = json_string_value(json_object_get(error, "en"));
	const char *zh = json_string_value(json_object_get(error, "zh"));
	assert_true(en && strlen(en) > 10 && !chinese(en));
	assert_true(zh && strlen(zh) > 6 && chinese(zh));
	assert_null(json_object_get(last, "result"));
}

static inline const json_t *result(void)
{
	if (!json_is_true(json_object_get(last, "ok"))) {
		char *text = json_dumps(last, 0);
		print_error("%s\n", text);
		free(text);
		fail();
	}
	assert_string_equal(json_string_value(json_object_get(last, "id")), "c-1");
	return json_object_get(last, "result");
}

static inline const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "(none)";
}

static inline void expect_text(const char *sql, const char *expected)
{
	char text[512];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

#define COUNT(table) rig_int(&rig, "SELECT count(*) FROM " table)
