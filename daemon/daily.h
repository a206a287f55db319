/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules that are judged once a day: the mean of a week at home, a visit that is long overdue, a week in which too little
 * was measured (the rules: tests/sim/ALERTS.md, section 2.2). Of the residents whom this gateway owns, in the walk of
 * digest.h, one after another; whoever was judged twice on a day, because the power went, has the same alerts. One
 * alert for each resident and condition: it stays until none of the condition's rules fires any more. Store thread.
 */
#pragma once

#include "day.h"
#include "owned.h"
#include "span.h"

struct gateway;

/* Whether there is anything to be judged: rules that make alerts, or an alert that they may have made. */
int daily_needed(const struct gateway *g, struct db *db);
int daily_judge(
	struct gateway *g, struct db *db, const struct owned *who, int32_t day, struct instant now);
/* Behind the last resident: an alert of somebody who is judged no more (died, moved, another gateway's) is over. 1: it was
 * one, there may be more; 0: there is none; -errno. */
int daily_leave(struct gateway *g, struct db *db, struct instant now);
