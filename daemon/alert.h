/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What limits alone say of a reading, of whoever it is. It goes when everybody asks judge(). */
#pragma once

#include "alert_words.h"
#include "rule.h"

#define ALERT_HITS_MAX 8

struct alert_verdict {
	enum severity severity;
	unsigned n;
	const struct alert_rule
		*rules[ALERT_HITS_MAX]; /* of the quantities that reach `severity` */
	unsigned quantity[ALERT_HITS_MAX];
};

struct alert_verdict alert_judge(const struct alert_rules *rules, const struct reading *r);
/* One more rule that one of the numbers fired: of several severities the highest counts. */
void alert_hit(struct alert_verdict *v, const struct alert_rule *rule, unsigned quantity);
/* Must this critical reading be repeated before the doctor hears of it, because its flags doubt the signal? */
bool alert_wants_repeat(const struct alert_rules *rules, const struct reading *r,
	const struct alert_verdict *verdict);
