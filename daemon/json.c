/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON writer (RFC 8259). Numbers are written from integers, digit by digit: no printf, no floating
 * point, no locale on the way of a measured value.
 */
#include "json.h"

#include <assert.h>

#include "util.h"

#define DIGITS_MAX 20 /* of a 64-bit number */
#define TIME_TEXT "0000-00-00T00:00:00.000Z"

void json_free(struct json *j)
{
	if (!j)
		return;
	free(j->text);
	*j = (struct json){0};
}

void json_reset(struct json *j)
{
	j->len = 0;
	j->comma = false;
	j->failed = false;
}

/* Space for `len` more bytes and the NUL; NULL when memory ran out, now or before. */
static char *json_room(struct json *j, size_t len)
{
	if (j->failed)
		return NULL;
	if (j->size - j->len <= len) {
		size_t size = MAX(j->size, (size_t)256);
		while (size - j->len <= len && size <= SIZE_MAX / 2)
			size *= 2;
		char *text = size - j->len > len ? realloc(j->text, size) : NULL;
		if (!text) {
			j->failed = true;
			return NULL;
		}
		j->text = text;
		j->size = size;
	}
	return j->text + j->len;
}

static void json_put(struct json *j, const void *bytes, size_t len)
{
	char *p = json_room(j, len);
	if (!p)
		return;
	memcpy(p, bytes, len);
	j->len += len;
}

/* Bytes at the head of `text` that stand in a JSON string as they are. */
static size_t json_plain(const char *text, size_t len)
{
	size_t n = 0;
	while (n < len) {
		uint8_t c = (uint8_t)text[n];
		if (c < 0x20 || c == '"' || c == '\\')
			break;
		size_t step = c < 0x80 ? 1 : utf8_length(text + n, len - n);
		if (!step)
			break;
		n += step;
	}
	return n;
}

/*
 * One byte that json_plain() stopped at. NUL becomes U+FFFD like a byte that is not UTF-8: \u0000
 * is JSON, but jansson, PostgreSQL and most C code refuse the whole message for it.
 */
static void json_escape(struct json *j, char c)
{
	static const char digits[] = "0123456789abcdef";
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *found = c ? strchr(from, c) : NULL;
	if (found) {
		json_put(j, (char[]){'\\', to[found - from]}, 2);
	} else if (c > 0 && c < 0x20) {
		char text[] = "\\u0000";
		text[4] = digits[c >> 4];
		text[5] = digits[c & 15];
		json_put(j, text, 6);
	} else {
		json_put(j, "\xef\xbf\xbd", 3);
	}
}

static void json_quoted(struct json *j, const char *text, size_t len)
{
	json_put(j, "\"", 1);
	while (len) {
		size_t n = json_plain(text, len);
		json_put(j, text, n);
		if (n < len)
			json_escape(j, text[n++]);
		text += n;
		len -= n;
	}
	json_put(j, "\"", 1);
}

static void json_key(struct json *j, const char *key)
{
	if (j->comma)
		json_put(j, ",", 1);
	j->comma = true;
	if (!key)
		return;
	size_t len = strlen(key);
	char *p = json_plain(key, len) == len ? json_room(j, len + 3) : NULL;
	if (p) { /* nearly always: in one piece */
		p[0] = '"';
		memcpy(p + 1, key, len);
		p[len + 1] = '"';
		p[len + 2] = ':';
		j->len += len + 3;
	} else {
		json_quoted(j, key, len);
		json_put(j, ":", 1);
	}
}

static void json_open(struct json *j, const char *key, char bracket)
{
	json_key(j, key);
	json_put(j, &bracket, 1);
	j->comma = false;
}

static void json_close(struct json *j, char bracket)
{
	json_put(j, &bracket, 1);
	j->comma = true;
}

void json_object_begin(struct json *j, const char *key)
{
	json_open(j, key, '{');
}

void json_object_end(struct json *j)
{
	json_close(j, '}');
}

void json_array_begin(struct json *j, const char *key)
{
	json_open(j, key, '[');
}

void json_array_end(struct json *j)
{
	json_close(j, ']');
}

void json_str(struct json *j, const char *key, const char *value)
{
	if (value)
		json_string_n(j, key, value, strlen(value));
	else
		json_none(j, key);
}

void json_string_n(struct json *j, const char *key, const char *value, size_t len)
{
	json_key(j, key);
	json_quoted(j, value, len);
}

/* Writes the number with at least `least` digits, leading zeros included; returns how many. */
static size_t json_digits(char *out, uint64_t value, size_t least)
{
	char text[DIGITS_MAX];
	size_t n = 0;
	do {
		text[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value || n < least);
	for (size_t i = 0; i < n; i++)
		out[i] = text[n - 1 - i];
	return n;
}

/* |value|, INT64_MIN included. */
static uint64_t json_magnitude(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

void json_int(struct json *j, const char *key, int64_t value)
{
	char text[1 + DIGITS_MAX];
	size_t n = 0;
	if (value < 0)
		text[n++] = '-';
	n += json_digits(text + n, json_magnitude(value), 1);
	json_key(j, key);
	json_put(j, text, n);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_raw(j, key, value ? "true" : "false");
}

void json_none(struct json *j, const char *key)
{
	json_raw(j, key, "null");
}

void json_milli(struct json *j, const char *key, int64_t milli, unsigned decimals)
{
	static const unsigned drop[] = {1000, 100, 10, 1}, scale[] = {1, 10, 100, 1000};
	assert(decimals < ELEMENTS(drop));
	/* Values arrive rounded; one that was not is rounded here as codes_convert() does. */
	uint64_t value =
		json_magnitude(milli) / drop[decimals] +
		(json_magnitude(milli) % drop[decimals] * 2 >= drop[decimals] && decimals < 3);
	char text[2 + DIGITS_MAX];
	size_t n = 0;
	if (milli < 0 && value)
		text[n++] = '-';
	n += json_digits(text + n, value / scale[decimals], 1);
	if (decimals) {
		text[n++] = '.';
		n += json_digits(text + n, value % scale[decimals], decimals);
	}
	json_key(j, key);
	json_put(j, text, n);
}

void json_hex(struct json *j, const char *key, const void *bytes, size_t len)
{
	json_key(j, key);
	json_put(j, "\"", 1);
	char *p = len < SIZE_MAX / 2 ? json_room(j, 2 * len) : NULL;
	if (p) {
		hex(p, bytes, len);
		j->len += 2 * len;
	}
	json_put(j, "\"", 1);
}

void json_base64(struct json *j, const char *key, const void *bytes, size_t len)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = bytes;
	json_key(j, key);
	json_put(j, "\"", 1);
	char *p = len < SIZE_MAX / 2 ? json_room(j, (len + 2) / 3 * 4) : NULL;
	for (size_t i = 0; p && i < len; i += 3) {
		uint32_t three = (uint32_t)in[i] << 16 | (i + 1 < len ? in[i + 1] : 0u) << 8 |
				 (i + 2 < len ? in[i + 2] : 0u);
		*p++ = letters[three >> 18];
		*p++ = letters[three >> 12 & 63];
		*p++ = i + 1 < len ? letters[three >> 6 & 63] : '=';
		*p++ = i + 2 < len ? letters[three & 63] : '=';
		j->len += 4;
	}
	json_put(j, "\"", 1);
}

/*
 * Civil date from days since 1970-01-01, proleptic Gregorian, for days >= 0. Years are counted from
 * March, so that the leap day is the last of its year, in eras of 400 years (146097 days).
 */
static void json_date(int64_t days, uint64_t *ret_year, uint64_t *ret_month, uint64_t *ret_day)
{
	uint64_t d = (uint64_t)days + 719468; /* days since 0000-03-01 */
	uint64_t era = d / 146097, of_era = d % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * of_year + 2) / 153; /* 0 = March */
	*ret_day = of_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 3 : month - 9;
	*ret_year = era * 400 + year + (month >= 10);
}

void json_time(struct json *j, const char *key, int64_t utc_us)
{
	const int64_t ms_a_day = 86400000;
	int64_t ms = utc_us / 1000, days = ms / ms_a_day;
	uint64_t of_day = (uint64_t)(ms % ms_a_day), year, month, day;
	if (utc_us < 0 || days > 2932896) { /* 9999-12-31 */
		json_none(j, key);
		return;
	}
	json_date(days, &year, &month, &day);
	char text[] = "\"" TIME_TEXT "\"", *p = text + 1;
	json_digits(p, year, 4);
	json_digits(p + 5, month, 2);
	json_digits(p + 8, day, 2);
	json_digits(p + 11, of_day / 3600000, 2);
	json_digits(p + 14, of_day / 60000 % 60, 2);
	json_digits(p + 17, of_day / 1000 % 60, 2);
	json_digits(p + 20, of_day % 1000, 3);
	json_key(j, key);
	json_put(j, text, sizeof(text) - 1);
}

void json_raw(struct json *j, const char *key, const char *json)
{
	json_key(j, key);
	json_put(j, json ? json : "null", json ? strlen(json) : 4);
}

void json_members(struct json *j, const char *object)
{
	size_t len = object ? strlen(object) : 0;
	if (len <= 2)
		return;
	json_key(j, NULL);
	json_put(j, object + 1, len - 2);
}

const char *json_text(struct json *j)
{
	char *end = json_room(j, 0);
	if (!end)
		return NULL;
	*end = 0;
	return j->text;
}

char *json_take(struct json *j)
{
	char *text = json_text(j) ? TAKE(j->text) : NULL;
	json_free(j);
	return text;
}
