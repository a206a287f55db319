/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One reading judged, and what came of it in a line of text. */
#pragma once

#include "rule_rig.h"

static struct person person;
static int altitude;
static struct alert_rule personal[RULE_PERSONAL_MAX];
static unsigned n_personal;

static inline int fresh(void **state)
{
	(void)state;
	person = (struct person){.known = true};
	altitude = 0;
	n_past = n_asked = n_personal = 0;
	past_error = 0;
	return 0;
}

static inline int run(const struct alert_rules *by, const struct reading *r, struct judgement *ret)
{
	struct judge_input in = {.rules = by,
		.reading = r,
		.person = &person,
		.at_us = RULE_NOW,
		.altitude_m = altitude,
		.numbers = numbers,
		.history = &past_history,
		.personal = personal,
		.n_personal = n_personal};
	return judge(&in, ret);
}

/* "a 3333w r1:0 r2:1|b 0012": the condition, holds[0..3], whether it waits, what fired on which number. */
static inline void told(const struct alert_rules *by, const struct reading *r, const char *expected)
{
	struct judgement j;
	char text[1000] = "";
	size_t n = 0;
	assert_int_equal(run(by, r, &j), 0);
	for (unsigned i = 0; i < j.n; i++) {
		const struct judged *c = &j.conditions[i];
		assert_int_equal(c->holds[0], c->fires);
		assert_int_equal(c->n > 0, c->fires > 0);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %d%d%d%d%s", i ? "|" : "",
			c->condition, c->holds[0], c->holds[1], c->holds[2], c->holds[3],
			c->waits ? "w" : "");
		for (unsigned k = 0; k < c->n; k++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s:%u", c->rules[k]->id,
				c->quantity[k]);
	}
	print_message("# %s %lld: %s\n", r->n_quantities ? r->quantities[0].code->kind : "-",
		r->n_quantities ? (long long)r->quantities[0].value.milli : 0, text);
	assert_string_equal(text, expected);
}

static inline void one(const struct alert_rules *by, const char *kind, int64_t milli,
	char comparator, const char *expected)
{
	struct reading r = rule_reading(kind, milli, comparator);
	told(by, &r, expected);
}

#define ONE(text) RULE_HEAD RULE("a", text ", severity: warning")

static inline void put_days(const char *kind, unsigned n, int64_t milli)
{
	for (unsigned i = 1; i <= n; i++)
		rule_past(kind, i * 86400, milli);
}
