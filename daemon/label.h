/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a person at the console may see beside a token, so that two of the same surname are told apart. It is encrypted at
 * rest (libsodium's secretbox); its key is a file of its own, made once, outside of the database: a copy of one without
 * the other says nothing. It never leaves the gateway. Without its key a label cannot be read, and that is all.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct config;

#define LABEL_MAX 64	 /* bytes of UTF-8 */
#define LABEL_SEALED 112 /* nonce, authentication, and all labels as long as the longest */
#define LABEL_PATH_MAX 300

/* Where the key is. */
void label_key_path(const struct config *c, char out[static LABEL_PATH_MAX]);
/* Seals the label of this resident; makes the key when there is none. 0; -EINVAL: no text of 1 to LABEL_MAX bytes without
 * control characters; -EPERM: the file is not a key that only we can read; -errno. */
int label_seal(
	const char *key_path, int64_t resident, const char *text, uint8_t out[static LABEL_SEALED]);
/* 0; -ENOKEY: the key is gone; -EBADMSG: sealed with another one, or for another resident, or damaged; -EPERM; -errno. */
int label_open(const char *key_path, int64_t resident, const void *sealed, size_t len,
	char out[static LABEL_MAX + 1]);
