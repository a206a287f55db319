/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the rules say of one reading of one person, condition by condition. Pure: what was measured before comes through
 * `history`. The rules: tests/sim/ALERTS.md, sections 2 and 3.
 */
#pragma once

#include "history.h"
#include "rule.h"
#include "traits.h"

#define JUDGED_MAX 16	    /* conditions that one reading is about */
#define JUDGED_RULES_MAX 12 /* that fired, of the highest severity */

struct judged {
	const char *condition; /* borrowed from the rules */
	enum severity fires;
	/* By the level of the alert that is open: the level that the reading leaves. holds[0] == fires. */
	enum severity holds[4];
	bool waits; /* critical, doubtful, and every number that is critical is of a kind that is repeated */
	unsigned n;
	const struct alert_rule *rules[JUDGED_RULES_MAX]; /* of the severity `fires` */
	unsigned quantity[JUDGED_RULES_MAX];
};

struct judgement {
	unsigned n;
	struct judged conditions[JUDGED_MAX];
};

struct judge_input {
	const struct alert_rules *rules;
	const struct reading *reading;
	const struct person *person;
	int64_t at_us; /* taken; arrived, when that is not trusted */
	int altitude_m;
	const struct numbers *numbers;
	const struct history *history; /* NULL: none */
	/* limits that a doctor set for this resident: more rules, of conditions that exist */
	const struct alert_rule *personal;
	unsigned n_personal;
};

/* 0 or -errno of the history. */
int judge(const struct judge_input *in, struct judgement *ret);
