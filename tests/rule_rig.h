/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules from a text, readings from a few numbers, and a history that stands in an array. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config.h"
#include "fault.h"
#include "judge.h"
#include "numbers.h"
#include "util.h"

#define RULE_NOW INT64_C(1795000000000000)
#define RULE_MINUTE (60 * CLOCK_SECOND_US)
#define RULE_DAY (1440 * RULE_MINUTE)

static struct codes *codes;
static struct alert_rules *rules; /* config/alerts.yaml */
static struct numbers *numbers;

static inline int rule_rig_open(void **state)
{
	(void)state;
	char error[400] = "";
	codes = codes_load("config", error, sizeof(error));
	rules = codes ? alert_rules_load("config/alerts.yaml", codes, error, sizeof(error)) : NULL;
	numbers = rules ? numbers_load("config/followup.csv", error, sizeof(error)) : NULL;
	if (!numbers)
		print_error("%s\n", error);
	return numbers ? 0 : -1;
}

static inline int rule_rig_close(void **state)
{
	(void)state;
	alert_rules_free(rules);
	numbers_free(numbers);
	codes_free(codes);
	return 0;
}

/* The same place and the same numbers are named to whoever reads Chinese, and nothing of the sentence is left in English. */
static inline void rule_fault_chinese(const char *path, const char *english)
{
	static const char *const left[] = {
		" the ", "expected", "Expected", " is ", "rule ", " of ", "take"};
	char error[600] = "";
	const char *sentence =
		english + strlen(path) + strspn(english + strlen(path), ":0123456789");
	bool chinese = false;
	fault_chinese = true;
	assert_null(alert_rules_load(path, codes, error, sizeof(error)));
	fault_chinese = false;
	print_message("# %s\n", error);
	assert_int_equal(strncmp(error, english, (size_t)(sentence - english)), 0);
	for (const char *p = error; *p; p++)
		chinese |= (unsigned char)*p >= 0xe3;
	assert_true(chinese && strlen(error) < CONFIG_ERROR_MAX - 1);
	for (size_t i = 0; i < ELEMENTS(left); i++)
		if (!strstr(english, "not YAML")) /* what is wrong is the parser's */
			assert_null(strstr(error, left[i]));
}

/* A file of this text; of an error the path is cut off, so that it begins with ":line: ". */
static inline struct alert_rules *rule_text(const char *text, char *error, size_t size)
{
	char path[] = "/tmp/vitalgate-rules-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct alert_rules *r = alert_rules_load(path, codes, error, size);
	if (!r)
		rule_fault_chinese(path, error);
	unlink(path);
	if (!r && strncmp(error, path, strlen(path)) == 0)
		memmove(error, error + strlen(path), strlen(error + strlen(path)) + 1);
	return r;
}

/* What every rule needs, and what few rules need to be a file: what they leave out is accepted. */
#define RULE_WORDS "zh: 词, en: word, source: s"
#define RULE_HEAD "version: \"1\"\naccept_looser: test\naccept_looser_again: test\nrules:\n"
#define RULE(id, text) "  - {id: " id ", " text ", " RULE_WORDS "}\n"

static inline struct alert_rules *rule_good(const char *text)
{
	char error[600] = "";
	struct alert_rules *r = rule_text(text, error, sizeof(error));
	if (!r)
		print_error("%s\n", error);
	assert_non_null(r);
	return r;
}

static inline void rule_add(struct reading *r, const char *kind, int64_t milli, char comparator)
{
	struct quantity *q = &r->quantities[r->n_quantities++];
	q->code = codes_find(codes, kind);
	assert_non_null(q->code);
	q->value = (struct value){milli, q->code->decimals};
	q->comparator = comparator;
}

static inline struct reading rule_reading(const char *kind, int64_t milli, char comparator)
{
	struct reading r = {.kind = "test"};
	rule_add(&r, kind, milli, comparator);
	return r;
}

/* What was measured before, in any order. */
struct past {
	const char *kind;
	int64_t ago_s, milli;
	char comparator;
};

static struct past past[400];
static size_t n_past;
static unsigned n_asked;
static int past_error;

static inline void rule_past(const char *kind, int64_t ago_s, int64_t milli)
{
	assert_true(n_past < ELEMENTS(past));
	past[n_past++] = (struct past){kind, ago_s, milli, 0};
}

static inline int past_values(void *arg, const char *pattern, int64_t from_us, int64_t to_us,
	struct history_value *out, size_t max, size_t *ret_n)
{
	size_t n = 0;
	(void)arg;
	n_asked++;
	for (size_t i = 0; i < n_past; i++) {
		struct history_value v = {RULE_NOW - past[i].ago_s * CLOCK_SECOND_US, past[i].milli,
			past[i].comparator};
		if (!alert_kind_matches(pattern, past[i].kind) || v.taken_us < from_us ||
			v.taken_us > to_us)
			continue;
		assert_true(n < max);
		size_t to = n++;
		for (; to && out[to - 1].taken_us < v.taken_us; to--)
			out[to] = out[to - 1];
		out[to] = v;
	}
	*ret_n = n;
	return past_error;
}

static const struct history past_history = {.values = past_values};
