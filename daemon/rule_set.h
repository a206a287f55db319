/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a file of rules becomes: shared by rule.c, rule_load.c and rule_check.c, and by nobody else. */
#pragma once

#include "rule.h"
#include "statement.h"

#define RULE_WORDS_MAX 16
#define RULE_KINDS_MAX 128	 /* kinds that rules judge */
#define RULE_INDEX_MAX (8 * 256) /* rules, once for each kind that they are about */

struct alert_rules {
	char version[32];
	unsigned n, n_advice;
	struct alert_rule rules[RULES_MAX];
	struct rule_advice advice[RULE_ADVICE_MAX];
	struct rule_times times;
	unsigned n_flags, n_kinds;
	char flags[RULE_WORDS_MAX][32], kinds[RULE_WORDS_MAX][32]; /* repeat */
	struct statements statements;
	/* Why this file may be looser than the national rule, said twice; "": it may not. */
	char looser[200], looser_again[200];
	/* by kind: a table that is probed from its hash on */
	struct rule_kind {
		char kind[32];
		uint16_t first, n;
	} by_kind[2 * RULE_KINDS_MAX];
	unsigned n_by_kind, n_index;
	uint16_t index[RULE_INDEX_MAX];
};

/* Fills by_kind and index. False: more than fits. */
bool rule_set_compile(struct alert_rules *r, const struct codes *codes);

/* What is wrong with the rules as a whole: 0, or -EINVAL with one sentence that names file and line. */
int rule_check(const struct alert_rules *r, const struct codes *codes, const char *path,
	char *error, size_t error_size);
/* Likewise: what is looser than the national rules, and not accepted. */
int rule_national(const struct alert_rules *r, const struct codes *codes, const char *path,
	char *error, size_t error_size);
