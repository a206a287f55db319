/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small YAML files by tables of keys: a mapping becomes a struct, and whatever is unknown, missing, twice or
 * out of range is refused with file, line, key and what was expected. For the tables of config/; the
 * gateway's own configuration has more to say and a reader of its own (config.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

struct yamlmap {
	yaml_document_t doc;
	const char *path; /* borrowed */
	char *error;	  /* borrowed */
	size_t error_size;
};

enum yamlmap_type {
	YAMLMAP_TEXT,	 /* char[size], not empty */
	YAMLMAP_NUMBER,	 /* low..high, decimal or 0x..; signed integer of `size` bytes */
	YAMLMAP_DECIMAL, /* struct vg_decimal: exact */
	YAMLMAP_BOOL,	 /* true or false */
	YAMLMAP_CHOICE,	 /* one of `choices`; its index as an integer of `size` bytes */
	YAMLMAP_NODE,	 /* yaml_node_t *: the caller reads on */
	YAMLMAP_IGNORE,	 /* known, and read by somebody else */
};

struct yamlmap_key {
	const char *name;
	enum yamlmap_type type;
	bool required;
	size_t offset, size;
	int64_t low, high;
	const char *const *choices; /* NULL-terminated */
};

/* Shorthand: a key NAME that becomes the field of the same name in struct TYPE. */
#define YAMLMAP_FIELD(type_, field_)                               \
	.name = #field_, .offset = offsetof(struct type_, field_), \
	.size = sizeof(((struct type_ *)0)->field_)

/* 0 or -errno with `error`. After 0 it must be closed. */
int yamlmap_open(struct yamlmap *y, const char *path, char *error, size_t error_size);
void yamlmap_close(struct yamlmap *y);

/* Writes "path:line: ..." and returns -EINVAL. `at` NULL: no line. */
int yamlmap_fail(struct yamlmap *y, const yaml_node_t *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The first node; NULL: the file is empty. */
yaml_node_t *yamlmap_root(struct yamlmap *y);
/* Of a list: element `i`, NULL behind the last or when `n` is no list. */
yaml_node_t *yamlmap_item(struct yamlmap *y, const yaml_node_t *n, size_t i);
/* Of a mapping with any names: pair `i` (name as text, value); false behind the last or when `n` is no mapping. */
bool yamlmap_pair(struct yamlmap *y, const yaml_node_t *n, size_t i, const char **ret_name,
	yaml_node_t **ret_value);
/* The text of a scalar, else NULL. */
const char *yamlmap_text(const yaml_node_t *n);
/* "-12.50" -> -1250e-2; false when it is no plain decimal of at most 15 digits. */
bool yamlmap_decimal(const char *text, int64_t *ret_mantissa, int8_t *ret_exponent);

/* Reads mapping `n` into `base`. Keys that are absent leave their field as it is. 0 or -EINVAL. */
int yamlmap_read(struct yamlmap *y, yaml_node_t *n, const struct yamlmap_key *keys, size_t n_keys,
	void *base);
