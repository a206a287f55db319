/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small things that every room uses: cleanup attributes, bounded copies, hex, UTF-8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* What a call returned, when that is an error; else 0. (MIN() would call again.) */
static inline int error_only(int rc)
{
	return rc < 0 ? rc : 0;
}

/* _cleanup_(x) calls x(&variable) when it goes out of scope; always initialise such a variable. */
#define _cleanup_(x) __attribute__((cleanup(x)))
#define DEFINE_CLEANUP(type, func)          \
	static inline void func##p(type *p) \
	{                                   \
		if (*p)                     \
			func(*p);           \
	}
#define TAKE(p)                             \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Copies at most size - 1 bytes of text and ends it; returns false when it was cut. */
static inline bool text_copy(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = len < size ? len : size - 1;
	if (n)
		memcpy(dst, src, n);
	dst[n] = 0;
	return n == len;
}

/* A text, or "" for NULL; cut when it is too long. */
static inline void text_set(char *dst, size_t size, const char *text)
{
	text_copy(dst, size, text ? text : "", text ? strlen(text) : 0);
}

/* The next word of a list with one separator between its words; `*list` goes behind it. NULL: none is left. */
static inline const char *word_next(const char **list, char separator, size_t *ret_len)
{
	const char *word = *list;
	if (!word || !*word)
		return NULL;
	*ret_len = (size_t)(strchrnul(word, separator) - word);
	*list = word + *ret_len + (word[*ret_len] == separator);
	return word;
}

static inline bool word_in(const char *list, char separator, const char *word)
{
	size_t len = strlen(word), n;
	for (const char *w; (w = word_next(&list, separator, &n));)
		if (n == len && memcmp(w, word, n) == 0)
			return true;
	return false;
}

/* Lower-case hex; `out` holds 2 * len + 1 bytes. */
static inline char *hex(char *out, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = 0;
	return out;
}

/* Reads exactly `len` bytes from 2 * len hex digits; false when it is anything else. */
static inline bool unhex(uint8_t *out, size_t len, const char *text)
{
	for (size_t i = 0; i < 2 * len; i++) {
		char c = text[i];
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (v < 0)
			return false;
		out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
	}
	return text[2 * len] == 0;
}

/*
 * Bytes of the UTF-8 character at `text` (1..4), 0 when it is not one: overlong forms, surrogates and
 * what lies above U+10FFFF are refused (RFC 3629). `len` is at least 1.
 */
static inline size_t utf8_length(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}
