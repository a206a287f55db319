/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON writer: exact texts, then random documents read back by jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <time.h>

#include "json.h"
#include "util.h"

static uint64_t seed = 20261121;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void test_shape(void **state)
{
	(void)state;
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_str(&j, "a", "x");
	json_array_begin(&j, "list");
	json_int(&j, NULL, 1);
	json_object_begin(&j, NULL);
	json_object_end(&j);
	json_array_begin(&j, NULL);
	json_array_end(&j);
	json_bool(&j, NULL, true);
	json_bool(&j, NULL, false);
	json_none(&j, NULL);
	json_str(&j, NULL, NULL);
	json_array_end(&j);
	json_raw(&j, "raw", "{\"k\":[1]}");
	json_raw(&j, "none", NULL);
	json_hex(&j, "hex", "\x00\xff\x1a", 3);
	json_hex(&j, "empty", NULL, 0);
	json_object_end(&j);
	assert_string_equal(json_text(&j),
		"{\"a\":\"x\",\"list\":[1,{},[],true,false,null,null],\"raw\":{\"k\":[1]},"
		"\"none\":null,\"hex\":\"00ff1a\",\"empty\":\"\"}");
	json_reset(&j);
	json_array_begin(&j, NULL);
	json_array_end(&j);
	char *text = json_take(&j);
	assert_string_equal(text, "[]");
	assert_null(j.text);
	free(text);
	json_free(&j);
	json_free(NULL);
}

static void test_members(void **state)
{
	(void)state;
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_members(&j, "{}");
	json_members(&j, NULL);
	json_members(&j, "{\"a\":1,\"b\":{}}");
	json_members(&j, "{}");
	json_int(&j, "c", 3);
	json_object_end(&j);
	assert_string_equal(json_text(&j), "{\"a\":1,\"b\":{},\"c\":3}");
	json_free(&j);
}

static void test_milli(void **state)
{
	(void)state;
	static const struct {
		int64_t milli;
		unsigned decimals;
		const char *expected;
	} cases[] = {
		{6100, 2, "6.10"},
		{6100, 1, "6.1"},
		{138000, 0, "138"},
		{5, 3, "0.005"},
		{-5, 3, "-0.005"},
		{-36500, 1, "-36.5"},
		{0, 0, "0"},
		{0, 2, "0.00"},
		{-400, 0, "0"}, /* rounded to zero: no "-0" */
		{-500, 0, "-1"},
		{499, 0, "0"},
		{1250, 1, "1.3"},
		{-1250, 1, "-1.3"},
		{INT64_MAX, 3, "9223372036854775.807"},
		{INT64_MIN, 3, "-9223372036854775.808"},
		{INT64_MIN, 0, "-9223372036854776"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct json j = {0};
		json_milli(&j, NULL, cases[i].milli, cases[i].decimals);
		assert_string_equal(json_text(&j), cases[i].expected);
		json_free(&j);
	}
}

static void test_int(void **state)
{
	(void)state;
	struct json j = {0};
	json_array_begin(&j, NULL);
	json_int(&j, NULL, INT64_MIN);
	json_int(&j, NULL, INT64_MAX);
	json_int(&j, NULL, 0);
	json_int(&j, NULL, -1);
	json_array_end(&j);
	assert_string_equal(json_text(&j), "[-9223372036854775808,9223372036854775807,0,-1]");
	json_free(&j);
}

#define BAD "\xef\xbf\xbd"

static void test_text(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		const char *expected;
	} cases[] = {
		{"\"\\\b\f\n\r\t/", 8, "\"\\\"\\\\\\b\\f\\n\\r\\t/\""},
		{"\x01\x1f\x7f", 3, "\"\\u0001\\u001f\x7f\""},
		{"a\0b", 3, "\"a" BAD "b\""},
		{"收缩压", 9, "\"收缩压\""},
		{"\xf0\x9f\xa9\xba", 4, "\"\xf0\x9f\xa9\xba\""},
		{"\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\""}, /* U+10FFFF */
		/* RFC 3629, 3 and 10: overlong, surrogates, beyond U+10FFFF, cut, stray */
		{"\xc0\x80", 2, "\"" BAD BAD "\""},
		{"\xc1\xbf", 2, "\"" BAD BAD "\""},
		{"\xe0\x9f\xbf", 3, "\"" BAD BAD BAD "\""},
		{"\xf0\x8f\xbf\xbf", 4, "\"" BAD BAD BAD BAD "\""},
		{"\xed\xa0\x80", 3, "\"" BAD BAD BAD "\""},
		{"\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""},
		{"\xff\xfe", 2, "\"" BAD BAD "\""},
		{"x\xe6\x94", 3, "\"x" BAD BAD "\""},
		{"\x80x", 2, "\"" BAD "x\""},
		{"\xd1\xaa\xce\xc2", 4,
			"\"\xd1\xaa" BAD BAD "\""}, /* GBK 血温, half of it UTF-8 by chance */
		{"", 0, "\"\""},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct json j = {0};
		json_string_n(&j, NULL, cases[i].text, cases[i].len);
		assert_string_equal(json_text(&j), cases[i].expected);
		json_free(&j);
	}
}

static void check_time(int64_t utc_us)
{
	struct json j = {0};
	char expected[48];
	struct tm tm;
	time_t t = utc_us / 1000000;
	gmtime_r(&t, &tm);
	snprintf(expected, sizeof(expected), "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(utc_us / 1000 % 1000));
	json_time(&j, NULL, utc_us);
	assert_string_equal(json_text(&j), expected);
	json_free(&j);
}

static void test_time(void **state)
{
	(void)state;
	const int64_t day_us = 86400000000, end_us = 253402300800000000; /* 10000-01-01 */
	for (int64_t t = 0; t < end_us;
		t += day_us) /* every day of 8030 years, at some time of it */
		check_time(t + (int64_t)(draw() % (uint64_t)day_us));
	check_time(0);
	check_time(end_us - 1);
	static const int64_t outside[] = {
		-1, INT64_MIN, 253402300800000000, 253402387200000000, INT64_MAX};
	for (size_t i = 0; i < ELEMENTS(outside); i++) {
		struct json j = {0};
		json_time(&j, NULL, outside[i]);
		assert_string_equal(json_text(&j), "null");
		json_free(&j);
	}
}

/* A random text of valid characters (no NUL), UTF-8. */
static size_t random_text(char *out, size_t size)
{
	size_t n = 0, characters = draw() % 12;
	while (characters-- && n + 4 <= size) {
		uint32_t c = (uint32_t)(draw() % (draw() % 3	      ? 128
							 : draw() % 2 ? 0x10000
								      : 0x110000));
		if (!c || (c >= 0xd800 && c < 0xe000))
			continue;
		if (c < 0x80) {
			out[n++] = (char)c;
		} else if (c < 0x800) {
			out[n++] = (char)(0xc0 | c >> 6);
			out[n++] = (char)(0x80 | (c & 63));
		} else if (c < 0x10000) {
			out[n++] = (char)(0xe0 | c >> 12);
			out[n++] = (char)(0x80 | (c >> 6 & 63));
			out[n++] = (char)(0x80 | (c & 63));
		} else {
			out[n++] = (char)(0xf0 | c >> 18);
			out[n++] = (char)(0x80 | (c >> 12 & 63));
			out[n++] = (char)(0x80 | (c >> 6 & 63));
			out[n++] = (char)(0x80 | (c & 63));
		}
	}
	return n;
}

static json_t *random_value(struct json *j, const char *key, unsigned depth);

static json_t *random_members(struct json *j, unsigned depth, bool object)
{
	json_t *made = json_pack(object ? "{}" : "[]");
	for (size_t i = 0, n = draw() % 6; i < n; i++) {
		char key[64];
		/* The number in front keeps keys apart. */
		size_t len = (size_t)snprintf(key, sizeof(key), "%zu", i);
		len += random_text(key + len, sizeof(key) - len - 1);
		key[len] = 0;
		json_t *value = random_value(j, object ? key : NULL, depth + 1);
		assert_int_equal(0, object ? json_object_set_new(made, key, value)
					   : json_array_append_new(made, value));
	}
	return made;
}

static json_t *random_number(struct json *j, const char *key)
{
	static const int64_t steps[] = {1000, 100, 10, 1};
	unsigned decimals = (unsigned)(draw() % 4);
	int64_t milli = ((int64_t)draw() >> (14 + draw() % 48)) / steps[decimals] * steps[decimals];
	json_milli(j, key, milli, decimals);
	/* Both numbers are below 2^53, so the division rounds to the double that the text means. */
	return decimals ? json_real((double)milli / 1000) : json_integer(milli / 1000);
}

static json_t *random_value(struct json *j, const char *key, unsigned depth)
{
	char text[128];
	size_t len;
	int64_t number;
	json_t *made;
	switch (draw() % (depth > 5 ? 6 : 8)) {
	case 0:
		number = (int64_t)draw() >> draw() % 64;
		json_int(j, key, number);
		return json_integer(number);
	case 1:
		number = draw() % 2;
		json_bool(j, key, number);
		return json_boolean(number);
	case 2:
		json_none(j, key);
		return json_pack("n");
	case 3:
		return random_number(j, key);
	case 4:
	case 5:
		len = random_text(text, sizeof(text));
		json_string_n(j, key, text, len);
		return json_stringn(text, len);
	case 6:
		json_object_begin(j, key);
		made = random_members(j, depth, true);
		json_object_end(j);
		return made;
	default:
		json_array_begin(j, key);
		made = random_members(j, depth, false);
		json_array_end(j);
		return made;
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct json j = {0};
		json_error_t error;
		json_t *made = random_value(&j, NULL, 0);
		json_t *read =
			json_loads(json_text(&j), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
		if (!read || !json_equal(made, read))
			fail_msg("%s: %s", read ? "differs" : error.text, json_text(&j));
		json_decref(made);
		json_decref(read);
		json_free(&j);
	}
}

/* Whatever bytes come, the text is JSON for a strict reader. */
static void test_random_bytes(void **state)
{
	(void)state;
	struct json j = {0};
	for (int i = 0; i < 20000; i++) {
		char bytes[64];
		size_t len = draw() % sizeof(bytes);
		for (size_t k = 0; k < len; k++)
			bytes[k] = (char)(draw() % 3 ? draw() : 0xe0 + draw() % 0x20);
		json_reset(&j);
		json_object_begin(&j, NULL);
		json_string_n(&j, "text", bytes, len);
		json_hex(&j, "hex", bytes, len);
		json_object_end(&j);
		json_error_t error;
		json_t *read = json_loads(json_text(&j), JSON_REJECT_DUPLICATES, &error);
		if (!read)
			fail_msg("%s: %s", error.text, json_text(&j));
		json_decref(read);
	}
	json_free(&j);
}

/* RFC 4648, section 10, and each letter. */
static void test_base64(void **state)
{
	(void)state;
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}, {"\xff\xff\xff", "////"}, {"\xfb\xef\xbe", "++++"},
		{"\xff", "/w=="}, {"\x80\x80", "gIA="}};
	struct json j = {0};
	char expected[300];
	for (size_t i = 0; i < ELEMENTS(vectors); i++) {
		json_reset(&j);
		json_object_begin(&j, NULL);
		json_int(&j, "a", 1);
		json_base64(&j, "data", vectors[i][0], strlen(vectors[i][0]));
		json_object_end(&j);
		snprintf(expected, sizeof(expected), "{\"a\":1,\"data\":\"%s\"}", vectors[i][1]);
		assert_string_equal(json_text(&j), expected);
	}
	json_reset(&j);
	uint8_t all[48];
	for (unsigned i = 0; i < 64; i += 4) { /* 6 bits each: 0, 1 ... 63 */
		uint32_t three = i << 18 | (i + 1) << 12 | (i + 2) << 6 | (i + 3);
		for (unsigned k = 0; k < 3; k++)
			all[i / 4 * 3 + k] = (uint8_t)(three >> (16 - 8 * k));
	}
	json_base64(&j, NULL, all, sizeof(all));
	assert_string_equal(json_text(&j),
		"\"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\"");
	json_free(&j);
	struct json full = {.len = SIZE_MAX - 8, .size = SIZE_MAX - 8};
	json_base64(&full, NULL, all, sizeof(all));
	assert_null(json_text(&full));
}

static void test_memory(void **state)
{
	(void)state;
	/* A text that nearly fills the address space cannot grow. */
	struct json j = {.len = SIZE_MAX - 8, .size = SIZE_MAX - 8};
	json_str(&j, NULL, "one more");
	assert_true(j.failed);
	assert_null(json_text(&j));
	json_int(&j, NULL, 1);
	assert_null(json_text(&j));
	assert_null(json_take(&j));
	assert_false(j.failed);
	json_int(&j, NULL, 1);
	assert_string_equal(json_text(&j), "1");
	json_free(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_milli),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_memory),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
