/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands one by one, by either door, in a transaction of their own as the store makes it; the reply is in `last`, and
 * the loop and the store thread are not needed. Texts are written with ' for ".
 */
#pragma once

#include "gateway_rig.h"

#include "command.h"
#include "util.h"

static struct rig rig;
static json_t *last;		  /* {"result":{..}} or {"error":{..}} */
static const char *door_platform; /* by whose door; NULL: the local one */
static const char *door_author = "local:nurse/N-0001";

static inline int door_open(const char *yaml)
{
	rig_open(&rig, yaml);
	door_platform = NULL;
	door_author = "local:nurse/N-0001";
	return 0;
}

static inline int door_setup(void **state)
{
	(void)state;
	return door_open(RIG_SINK);
}

static inline int door_teardown(void **state)
{
	(void)state;
	json_decref(TAKE(last));
	rig_close(&rig);
	return 0;
}

/* `args` is taken. */
static inline void give_json(const char *name, json_t *args)
{
	struct json out = {0};
	struct command c = {.gateway = &rig.gateway,
		.db = rig.db,
		.args = args,
		.author = door_author,
		.result = &out,
		.platform = door_platform};
	assert_non_null(args);
	json_object_begin(&out, NULL);
	json_object_begin(&out, "result");
	rig_script(&rig, "BEGIN IMMEDIATE");
	int rc = command_find(name)->run(&c);
	rig_script(&rig, rc < 0 ? "ROLLBACK" : "COMMIT");
	if (rc < 0 && rc != -EPROTO)
		fail_msg("%s: %d, %s", name, rc, db_error(rig.db));
	json_object_end(&out);
	json_object_end(&out);
	if (rc < 0) {
		json_reset(&out);
		json_object_begin(&out, NULL);
		json_object_begin(&out, "error");
		json_str(&out, "code", c.code);
		json_str(&out, "en", c.en);
		json_str(&out, "zh", c.zh);
		json_members(&out, c.more.len ? json_text(&c.more) : NULL);
		json_object_end(&out);
		json_object_end(&out);
	}
	json_error_t e;
	json_decref(last);
	last = json_loads(json_text(&out), JSON_REJECT_DUPLICATES, &e);
	if (!last)
		fail_msg("%s: %s", e.text, json_text(&out));
	json_free(&out);
	json_free(&c.more);
	json_decref(args);
}

static inline json_t *quoted(const char *text)
{
	char *copy = strdup(text);
	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	json_error_t e;
	json_t *v = json_loads(copy, 0, &e);
	if (!v)
		fail_msg("%s: %s", e.text, copy);
	free(copy);
	return v;
}

static inline void give(const char *name, const char *args)
{
	give_json(name, quoted(args));
}

static inline const json_t *done(void)
{
	const json_t *result = json_object_get(last, "result");
	if (!result) {
		char *text = json_dumps(last, JSON_ENSURE_ASCII);
		print_error("%s\n", text);
		free(text);
		fail();
	}
	return result;
}

static inline const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "(none)";
}

static inline int64_t int_in(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static inline bool has_chinese(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p >= 0xe4)
			return true;
	return false;
}

/* With a stable code, and a sentence for each of us. */
static inline const json_t *refused(const char *code)
{
	const json_t *error = json_object_get(last, "error");
	if (!error || !streq(text_in(error, "code"), code)) {
		char *text = json_dumps(last, JSON_ENSURE_ASCII);
		print_error("expected %s: %s\n", code, text);
		free(text);
		fail();
	}
	assert_true(strlen(text_in(error, "en")) > 10 && !has_chinese(text_in(error, "en")));
	assert_true(strlen(text_in(error, "zh")) > 6 && has_chinese(text_in(error, "zh")));
	return error;
}

static inline void expect(const char *sql, const char *expected)
{
	char text[2048];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

#define ROWS(table) rig_int(&rig, "SELECT count(*) FROM " table)
