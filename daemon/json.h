/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes JSON into a growing text. Ours, because numbers leave as exact decimals (6.10 is not 6.1)
 * and because a tree per reading would cost half of its SQLite work. Parsing is jansson's.
 *
 * The names keep clear of jansson's: libjansson would call a json_object() of ours in place of its own.
 *
 * Commas and nesting are the writer's business; keys are given with the value (NULL inside arrays).
 * Out of memory is remembered: json_text() then returns NULL. A zeroed struct json is empty and
 * ready.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t len, size;
	bool comma, failed;
};

void json_free(struct json *j);
void json_reset(struct json *j); /* empty again, memory kept, an earlier failure forgotten */

void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array_begin(struct json *j, const char *key);
void json_array_end(struct json *j);

void json_str(struct json *j, const char *key, const char *value); /* NULL value: null */
void json_string_n(struct json *j, const char *key, const char *value, size_t len);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_none(struct json *j, const char *key);
/* milli / 1000 with exactly `decimals` (0..3) decimals, rounded half away from zero; never "-0". */
void json_milli(struct json *j, const char *key, int64_t milli, unsigned decimals);
void json_hex(struct json *j, const char *key, const void *bytes, size_t len);
void json_base64(struct json *j, const char *key, const void *bytes, size_t len); /* RFC 4648 */
/* Instant in UTC: "2026-11-21T08:00:00.123Z"; null when it lies outside 1970..9999. */
void json_time(struct json *j, const char *key, int64_t utc_us);
/* Text that is JSON already; NULL: null. */
void json_raw(struct json *j, const char *key, const char *json);
/* The members of a JSON object that is text already, into the open object. */
void json_members(struct json *j, const char *object);

/* The text, NUL-terminated and owned by j; NULL when memory ran out. Bytes that are not UTF-8, and
 * NUL, were written as U+FFFD, so the text is always JSON that every reader takes. */
const char *json_text(struct json *j);
/* Same, but the caller takes the text over (free()) and j is empty. */
char *json_take(struct json *j);
