/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bounded cursor over bytes from outside. Every byte from air, wire or file goes through it.
 *
 * Reading past the end yields zeros and sets `failed`, which stays set: a decoder pulls all its fields
 * and asks once at the end. The view is borrowed, nothing is copied or owned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

static inline struct buf buf_of(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	return (struct buf){.at = p, .end = len ? p + len : p};
}

static inline size_t buf_left(const struct buf *b)
{
	return (size_t)(b->end - b->at);
}

/* The next `len` bytes, or NULL (and `failed`) when fewer are left. */
static inline const uint8_t *buf_bytes(struct buf *b, size_t len)
{
	const uint8_t *p = b->at;
	if (b->failed || buf_left(b) < len) {
		b->failed = true;
		return NULL;
	}
	if (len)
		b->at += len;
	return p;
}

static inline uint8_t buf_u8(struct buf *b)
{
	const uint8_t *p = buf_bytes(b, 1);
	return p ? p[0] : 0;
}

static inline uint16_t buf_le16(struct buf *b)
{
	const uint8_t *p = buf_bytes(b, 2);
	return (uint16_t)(p ? p[0] | p[1] << 8 : 0);
}

static inline uint16_t buf_be16(struct buf *b)
{
	const uint8_t *p = buf_bytes(b, 2);
	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

static inline uint32_t buf_le32(struct buf *b)
{
	const uint8_t *p = buf_bytes(b, 4);
	return p ? (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
			       (uint32_t)p[3] << 24
		 : 0;
}
