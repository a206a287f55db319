/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text from instruments: fields between delimiters, decimals, times. A driver has no libc but mem*,
 * and what comes off a line is not NUL-terminated: a vg_text is a borrowed view that need not be
 * text at all.
 */
#pragma once

#include <string.h>
#include <vitalgate/driver.h>

struct vg_text {
	const char *at;
	size_t len;
};

static inline struct vg_text vg_text_of(const void *bytes, size_t len)
{
	return (struct vg_text){.at = bytes, .len = len};
}

/* Of a NUL-terminated text, such as an option. */
static inline struct vg_text vg_text_ended(const char *z)
{
	const char *end = z ? memchr(z, 0, PTRDIFF_MAX) : NULL;
	return vg_text_of(z, end ? (size_t)(end - z) : 0);
}

static inline struct vg_text vg_text_trim(struct vg_text t)
{
	while (t.len && (t.at[0] == ' ' || t.at[0] == '\t')) {
		t.at++;
		t.len--;
	}
	while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

/* The piece before the next `delimiter`; `*rest` moves behind it. False when nothing is left: an
 * empty last piece is still a piece, so "a|" has two. */
static inline bool vg_text_next(struct vg_text *rest, char delimiter, struct vg_text *ret_piece)
{
	if (!rest->at)
		return false;
	const char *hit = rest->len ? memchr(rest->at, delimiter, rest->len) : NULL;
	size_t len = hit ? (size_t)(hit - rest->at) : rest->len;
	*ret_piece = vg_text_of(rest->at, len);
	*rest = hit ? vg_text_of(hit + 1, rest->len - len - 1) : vg_text_of(NULL, 0);
	return true;
}

/* Piece `n`, counted from 1 as in the LIS and HL7 standards, without blanks around it; empty when
 * there is none. */
static inline struct vg_text vg_text_field(struct vg_text t, char delimiter, unsigned n)
{
	struct vg_text piece = {NULL, 0};
	while (n && vg_text_next(&t, delimiter, &piece))
		n--;
	return n ? vg_text_of(NULL, 0) : vg_text_trim(piece);
}

/* Equal but for the case of ASCII letters. */
static inline bool vg_text_equal(struct vg_text a, struct vg_text b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned x = (unsigned char)a.at[i], y = (unsigned char)b.at[i];
		unsigned folded = x | 0x20;
		if (x != y && (folded != (y | 0x20) || folded < 'a' || folded > 'z'))
			return false;
	}
	return true;
}

static inline bool vg_text_is(struct vg_text t, const char *z)
{
	return vg_text_equal(t, vg_text_ended(z));
}

/* Copies into `out` (size bytes, at least 1) with a NUL; control characters become '?'. False when
 * it was cut. */
static inline bool vg_text_export(struct vg_text t, char *out, size_t size)
{
	size_t n = t.len < size ? t.len : size - 1;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)t.at[i];
		out[i] = c < 0x20 || c == 0x7f ? '?' : t.at[i];
	}
	out[n] = 0;
	return n == t.len;
}

/* A plain decimal: sign, digits, at most one point. A comma is refused: nobody can tell 1,234 from
 * 1.234. Its precision is kept: "6.10" is 610e-2. */
static inline bool vg_text_decimal(struct vg_text t, struct vg_decimal *ret_value)
{
	bool negative = t.len && t.at[0] == '-';
	size_t i = t.len && (t.at[0] == '-' || t.at[0] == '+') ? 1 : 0;
	int64_t mantissa = 0;
	int digits = 0, decimals = -1;
	for (; i < t.len; i++) {
		if (t.at[i] == '.' && decimals < 0) {
			decimals = 0;
			continue;
		}
		if (t.at[i] < '0' || t.at[i] > '9' || ++digits > 18)
			return false;
		mantissa = mantissa * 10 + (t.at[i] - '0');
		if (decimals >= 0)
			decimals++;
	}
	if (!digits)
		return false;
	ret_value->mantissa = negative ? -mantissa : mantissa;
	ret_value->exponent = (int8_t)(decimals > 0 ? -decimals : 0);
	return true;
}

static inline unsigned vg_text_digits(const char *at, size_t n)
{
	unsigned value = 0;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (unsigned)(at[i] - '0');
	return value;
}

/*
 * YYYYMMDD[HHMM[SS]]; what follows (fractions, a zone) is ignored, the civil time is taken as it is
 * shown. Returns the digits understood: 14, 12, 8 (date only: the time of day is 0), or 0: not a
 * time.
 */
static inline unsigned vg_text_civil(struct vg_text t, struct vg_civil *ret_civil)
{
	unsigned digits = 0;
	while (digits < t.len && digits < 14 && t.at[digits] >= '0' && t.at[digits] <= '9')
		digits++;
	if (digits != 14 && digits != 12 && digits != 8)
		return 0;
	struct vg_civil c = {
		.year = (uint16_t)vg_text_digits(t.at, 4),
		.month = (uint8_t)vg_text_digits(t.at + 4, 2),
		.day = (uint8_t)vg_text_digits(t.at + 6, 2),
	};
	if (digits >= 12) {
		c.hour = (uint8_t)vg_text_digits(t.at + 8, 2);
		c.minute = (uint8_t)vg_text_digits(t.at + 10, 2);
	}
	if (digits == 14)
		c.second = (uint8_t)vg_text_digits(t.at + 12, 2);
	if (!c.year || !c.month || c.month > 12 || !c.day || c.day > 31 || c.hour > 23 ||
		c.minute > 59 || c.second > 59)
		return 0;
	*ret_civil = c;
	return digits;
}
