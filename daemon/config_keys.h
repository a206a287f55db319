/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one table of configuration keys (config_keys.c) as config.c reads it: names, types, ranges,
 * defaults, meanings, and how the text of a value becomes a field of struct config.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_KEYS_MAX 96

enum key_type {
	KEY_GROUP,  /* keys below; its bool, if it has one, says that it was there */
	KEY_LIST,   /* sinks, stations, devices */
	KEY_MAP,    /* any names: driver options */
	KEY_TEXT,   /* checked by `rule` */
	KEY_NUMBER, /* low..high */
	KEY_ENUM,   /* one of `choices`, stored as its value */
	KEY_ONE_OF, /* one of `choices`, stored as text */
	KEY_BOOL,
};

struct choice {
	const char *name;
	long value;
};

struct text_rule {
	bool (*holds)(const char *text);
	const char *expects;
};

struct key {
	const char *path; /* "devices[].baud" */
	enum key_type type;
	const char *fallback; /* NULL: required, when it holds a value */
	const char *meaning;
	size_t offset,
		size; /* in struct config, or in the element of its list; size 0: not stored */
	long low, high;
	const struct choice *choices; /* ended by a NULL name */
	const struct text_rule *rule;
	bool fixed;	     /* a running gateway keeps its value until it is started anew */
	unsigned transports; /* bit per enum carrier that has the key; 0: all */
};

extern const struct key config_keys[];
extern const size_t config_n_keys; /* <= CONFIG_KEYS_MAX */

static inline bool key_has_value(const struct key *k)
{
	return k->type != KEY_GROUP && k->type != KEY_LIST && k->type != KEY_MAP;
}

/* Checks `text` and writes it to its place in `base`; false when it is not what the key expects. */
bool key_set(const struct key *k, void *base, const char *text);
/* The value in `base` as it would stand in the file. Returns `out`. */
const char *key_text(const struct key *k, const void *base, char *out, size_t size);
/* "a number from 5 to 3600": what key_set() takes. */
void key_expects(const struct key *k, char *out, size_t size);
