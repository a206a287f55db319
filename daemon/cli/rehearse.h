/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Readings once more through the rooms of alerts, by other rules, on a store that nobody keeps: the same code that judges,
 * raises, waits and escalates in the daemon, by a clock that stands where the readings say. Whenever somebody is overdue to
 * answer, somebody does: that is an alert which a person handled.
 */
#pragma once

#include "gateway.h"

#include <stdbool.h>

struct rehearsal {
	char dir[64];
	struct db *db;
	struct config config;
	struct gateway gateway;
	unsigned readings, pending; /* taken; since the last commit */
	int64_t first_us, last_us;
	int32_t day; /* whose rules of a day are judged next; 0: of none */
	/* What is known of rules of a day: somebody is measured at home; visits and plans are there, but for so many plans
	 * that a later one has replaced. */
	bool home, visits;
	int64_t plans_lost;
	char error[400];
};

/* `policy` and `rules` are borrowed. 0, or -errno with a sentence in `error`; then, too, it is to be closed. */
int rehearse_open(struct rehearsal *h, struct policy *policy, struct alert_rules *rules);
void rehearse_close(struct rehearsal *h);

/* Whatever the store in `from` has, in the order in which it arrived there; without disturbing whoever uses it. */
int rehearse_history(struct rehearsal *h, const char *from);
/* A table of readings (CSV); README, "Alerts". */
int rehearse_table(struct rehearsal *h, const char *path);
/* The row of a reading that is in the store arrives. */
int rehearse_reading(struct rehearsal *h, int64_t row);
/* The last days are judged: `until_today`, or the morning behind the last reading. Then time passes until nothing is due any
 * more that would be a person's. */
int rehearse_end(struct rehearsal *h, bool until_today);

/* What is there already, and becomes known when a person said it: confirmed visits have this state until then, and the forms
 * of plans begin with this. */
#define VISIT_LATER "later"
#define PLAN_LATER ">"
