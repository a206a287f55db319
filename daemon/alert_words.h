/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an alert says of its reading and its rules, in words that machines read. Pure. */
#pragma once

#include "rule.h"

#define ALERT_LABELS_MAX (8 + VG_FLAGS_MAX + 2)

struct alert_doubt {
	const char *labels[ALERT_LABELS_MAX];
	unsigned n;
};

/* What the reading itself leaves in doubt, for a person; whose it is may still change and is said beside it.
 * All are borrowed or static. */
struct alert_doubt alert_label(const struct reading *r, const struct when *when, bool conflict);

/* Whose limit it is: "personal" (a doctor's, for this resident), "national", or "site" (everything else in the file). */
const char *alert_whose(const struct alert_rule *rule);

/* A rule that fired, with the number that it fired on (NULL: of none), as an element of "rules":[..]. */
void alert_rule_json(struct json *j, const struct alert_rule *rule, const struct quantity *q);
