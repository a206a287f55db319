/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of messages share, on top of gateway_rig.h: an object as a message, and what stands in it. */
#pragma once

#include "watch_rig.h"

#include "payload.h"
#include "util.h"

#include <jansson.h>

static struct rig rig;

static inline int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* The fridge at the site says so many tenths of a degree. */
static inline void deliver_place(int64_t at_s, int64_t tenths)
{
	struct unit *u = watch_unit(&rig, rig.cuff, at_s);
	u->place = "fridge";
	watch_add(&rig, u,
		&(struct watch_reading){
			.kind = "environment", .numbers = {{"env.temp", tenths, -1, 0}}});
	assert_int_equal(rig_file(&rig, u), 0);
}

static inline json_t *parse(const char *text, size_t len)
{
	json_error_t e;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (!root)
		fail_msg("%s at %d: %.200s", e.text, e.position, text);
	return root;
}

/* Follows "time.trust" or "values.bp\.sbp.value"; the text form of what is there. */
static inline void expect(const json_t *object, const char *path, const char *expected)
{
	char key[64];
	size_t n = 0;
	const json_t *at = object;
	for (const char *p = path;; p++) {
		if (*p && *p != '.') {
			p += *p == '\\';
			key[n++] = *p;
			continue;
		}
		key[n] = 0;
		n = 0;
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key))
				       : json_object_get(at, key);
		if (!*p)
			break;
	}
	char *text = at ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	if (!text || !streq(text, expected))
		fail_msg("%s is %s, expected %s", path, text ? text : "absent", expected);
	free(text);
}

/* One object as a message. */
static inline json_t *message(enum object kind, int64_t row, int64_t seq)
{
	struct json j = {0};
	payload_open(&rig.gateway, kind, &j);
	assert_int_equal(payload_object(&rig.gateway, rig.db, kind, row, seq, &j), 1);
	payload_close(&j);
	const char *text = json_text(&j);
	json_t *root = parse(text, j.len);
	json_free(&j);
	return root;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
