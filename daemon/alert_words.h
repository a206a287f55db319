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

/* All labels of an alert as one array: of whom (ALERT_WHOSE; NULL: nothing), of the alert, of the shown reading (its columns: JSON
 * arrays). `key` NULL: of none. */
void alert_labels_json(
	struct json *j, const char *key, const char *whose, const char *labels, const char *doubts);

/* A rule that fired, with the number that it fired on (NULL: of none), as an element of "rules":[..]. */
void alert_rule_json(struct json *j, const struct alert_rule *rule, const struct quantity *q);
