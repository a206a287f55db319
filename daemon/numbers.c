/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "numbers.h"

#include "csv.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>

#define ENTRY_N(rule, name) {#rule, #name, 1, offsetof(struct numbers, rule##_##name)},
#define ENTRY_M(rule, name) {#rule, #name, 1000, offsetof(struct numbers, rule##_##name)},
static const struct {
	const char *rule, *name;
	int64_t scale;
	size_t offset;
} entries[] = {NUMBERS(ENTRY_N, ENTRY_M)};

/* Digits, and behind a point as many as the scale has room for. */
static bool number(const char *text, int64_t scale, int64_t *ret)
{
	int64_t n = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9' && n < INT64_C(1000000000); p++)
		n = n * 10 + (*p - '0');
	if (p == text)
		return false;
	if (*p == '.' && scale > 1)
		for (p++; *p >= '0' && *p <= '9' && scale > 1; p++, scale /= 10)
			n = n * 10 + (*p - '0');
	*ret = n * scale;
	return !*p;
}

static int take(struct numbers *n, const struct csv *csv, bool *seen)
{
	const char *rule = csv_get(csv, "rule"), *name = csv_get(csv, "name");
	const char *value = csv_get(csv, "value"), *source = csv_get(csv, "source");
	for (size_t i = 0; rule && name && value && source && source[0] && i < ELEMENTS(entries);
		i++)
		if (streq(entries[i].rule, rule) && streq(entries[i].name, name) && !seen[i]) {
			seen[i] = true;
			int64_t *to = (int64_t *)(void *)((char *)n + entries[i].offset);
			return number(value, entries[i].scale, to) ? 0 : -EINVAL;
		}
	return -EINVAL;
}

static int take_all(
	struct numbers *n, struct csv *csv, const char *path, char *error, size_t error_size)
{
	bool seen[ELEMENTS(entries)] = {0};
	int rc;
	while ((rc = csv_row(csv, error, error_size)) > 0)
		if (take(n, csv, seen) < 0) {
			snprintf(error, error_size,
				"%s:%u: expected a rule and name of ours, once each, a number without "
				"sign, and its source",
				path, csv->line);
			return -EINVAL;
		}
	for (size_t i = 0; rc == 0 && i < ELEMENTS(entries); i++)
		if (!seen[i]) {
			snprintf(error, error_size, "%s: %s,%s is missing", path, entries[i].rule,
				entries[i].name);
			return -EINVAL;
		}
	return rc;
}

struct numbers *numbers_load(const char *path, char *error, size_t error_size)
{
	struct csv csv;
	struct numbers *n = calloc(1, sizeof(*n));
	if (!n || csv_open_file(&csv, path, error, error_size) < 0) {
		free(n);
		return NULL;
	}
	text_copy(n->version, sizeof(n->version), csv.version, strlen(csv.version));
	int rc = take_all(n, &csv, path, error, error_size);
	csv_close(&csv);
	if (rc < 0) {
		free(n);
		return NULL;
	}
	return n;
}

void numbers_free(struct numbers *n)
{
	free(n);
}
