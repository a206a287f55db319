/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Personal limits: what a doctor set for one resident, in the place of the rules of the same kind, side and severity. What
 * would tell later than the national rules or than a critical one waits for a second doctor. The rules: tests/sim/ALERTS.md,
 * section 2.1. Store thread.
 */
#pragma once

#include "command.h"
#include "rule.h"

#define LIMIT_RULE "personal" /* the rule's id in an alert */

struct limits {
	unsigned n;
	struct alert_rule rules[RULE_PERSONAL_MAX];
};

/* Those of a resident (0: nobody, none) that held at an instant, for judge(). Nobody knows the instant (`at_known` false):
 * whatever was ever set (of one kind, side and severity the tightest), and it replaces nothing. 0 or -errno. */
int limit_load(struct db *db, const struct alert_rules *rules, int64_t resident, int64_t at_us,
	bool at_known, struct limits *ret);

/* Command `limit` (limit_command.c): sets one, confirms one that waits, or ends it. */
int limit_command(struct command *c);
