/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the rules say of one reading of one person, condition by condition. Pure: what was measured before comes through
 * `history`. The rules: tests/sim/ALERTS.md, sections 2 and 3.
 */
#pragma once

#include "history.h"
#include "rule.h"
#include "traits.h"

#define JUDGED_MAX (RULE_CONDITIONS_MAX + RULE_PERSONAL_MAX)
#define JUDGED_RULES_MAX 12 /* that fired, of the highest severity */

struct judged {
	const char *condition; /* borrowed from the rules */
	uint32_t about;	       /* which numbers of the reading: a bit for each */
	enum severity fires;
	/* By the level of the alert that is open: the level that the reading leaves. holds[0] == fires. */
	enum severity holds[4];
	bool waits; /* critical, doubtful, and every number that is critical is of a kind that is repeated */
	unsigned n;
	/* Of the severity `fires`, in the order of the numbers and of the file; a combination for each of its numbers. */
	const struct alert_rule *rules[JUDGED_RULES_MAX];
	unsigned quantity[JUDGED_RULES_MAX];
};

struct judgement {
	unsigned n;
	struct judged
		conditions[JUDGED_MAX]; /* that the reading is about, in the order of the file */
};

struct judge_input {
	const struct alert_rules *rules;
	const struct reading *reading;
	const struct person *person;
	int64_t at_us; /* taken; arrived, when that is not trusted */
	int altitude_m;
	const struct numbers *numbers; /* hypo.episode_minutes */
	const struct history *history; /* NULL: none */
	/* Limits that a doctor set for this resident (limit.h): rules that stand in the place of those of the same kind, side
	 * and severity, of conditions that exist. */
	const struct alert_rule *personal;
	unsigned n_personal;
};

/* 0 or -errno of the history. */
int judge(const struct judge_input *in, struct judgement *ret);
