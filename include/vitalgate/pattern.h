/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a text has to look like: patterns for whole lines and formats for times, as profiles give them.
 *
 * Pattern: '#' is a digit, '$' a hexadecimal digit, '?' any character, '*' any number of characters; all
 * else stands for itself, in upper or lower case.
 * Format: YYYY or YY (20YY), MM or MMM (three letters of the English name), DD, hh, mm, ss; a blank is one
 * blank or more, all else stands for itself.
 */
#pragma once

#include <vitalgate/text.h>

static inline bool vg_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit; 16: it is none. */
static inline unsigned vg_hex_digit(char c)
{
	unsigned folded = (unsigned char)c | 0x20u;
	if (vg_is_digit(c))
		return (unsigned)(c - '0');
	return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : 16;
}

static inline bool vg_pattern_fits_one(char pattern, char c)
{
	return pattern == '?' || (pattern == '#' && vg_is_digit(c)) ||
	       (pattern == '$' && vg_hex_digit(c) < 16) ||
	       vg_text_equal(vg_text_of(&pattern, 1), vg_text_of(&c, 1));
}

/* Does all of `text` fit? `how`, as long as the text, then says for each character which one of the pattern
 * it is, and is undefined when it does not fit. */
static inline bool vg_pattern_fits(const char *pattern, struct vg_text text, char *how)
{
	const char *star = NULL;
	size_t i = 0, taken = 0; /* characters before `taken` are settled */
	while (i < text.len) {
		if (*pattern == '*') {
			star = pattern++;
			taken = i;
		} else if (*pattern && vg_pattern_fits_one(*pattern, text.at[i])) {
			how[i++] = *pattern++;
		} else if (star) {
			how[taken] = '*';
			i = ++taken;
			pattern = star + 1;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* English, whatever the gateway speaks; 0: none. */
static inline unsigned vg_month_of(struct vg_text t)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (unsigned i = 0; i < 12; i++)
		if (vg_text_equal(t, vg_text_of(names + i * 3, 3)))
			return i + 1;
	return 0;
}

static inline unsigned vg_days_of(unsigned year, unsigned month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	bool shorter = month == 4 || month == 6 || month == 9 || month == 11;
	return month == 2 ? 28u + leap : shorter ? 30 : 31;
}

#define VG_FORMAT_PARTS "YMDhms"

/* The part at the head of a format: its index in VG_FORMAT_PARTS and its length; -1: a text of length 1. */
static inline int vg_format_part(const char *format, size_t *ret_len)
{
	const char *part = *format ? memchr(VG_FORMAT_PARTS, *format, 6) : NULL;
	size_t n = 1;
	while (part && format[n] == *format)
		n++;
	*ret_len = n;
	return part ? (int)(part - VG_FORMAT_PARTS) : -1;
}

/* Takes one part off the head of a time; false when it is no number or name. */
static inline bool vg_format_take(
	const char *format, size_t n, struct vg_text *t, unsigned *ret_value)
{
	struct vg_text part = vg_text_of(t->at, n);
	if (t->len < n)
		return false;
	for (size_t i = 0; i < n && n != 3; i++)
		if (!vg_is_digit(part.at[i]))
			return false;
	*ret_value = n == 3 ? vg_month_of(part) : vg_text_digits(part.at, n);
	if (*format == 'Y' && n == 2)
		*ret_value += 2000;
	*t = vg_text_of(t->at + n, t->len - n);
	return true;
}

/* False: it has not this form, or there was never such a time. */
static inline bool vg_format_time(const char *format, struct vg_text t, struct vg_civil *ret_civil)
{
	unsigned v[sizeof(VG_FORMAT_PARTS) - 1] = {0};
	for (size_t n; *format; format += n) {
		int part = vg_format_part(format, &n);
		if (part >= 0 ? !vg_format_take(format, n, &t, &v[part])
			      : !t.len || *t.at != *format)
			return false;
		if (part < 0)
			t = *format == ' ' ? vg_text_trim(t) : vg_text_of(t.at + 1, t.len - 1);
	}
	if (t.len || !v[0] || !v[1] || v[1] > 12 || !v[2] || v[2] > vg_days_of(v[0], v[1]) ||
		v[3] > 23 || v[4] > 59 || v[5] > 59)
		return false;
	*ret_civil = (struct vg_civil){(uint16_t)v[0], (uint8_t)v[1], (uint8_t)v[2], (uint8_t)v[3],
		(uint8_t)v[4], (uint8_t)v[5]};
	return true;
}
