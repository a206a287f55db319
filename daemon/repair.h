/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When our clock becomes known, what was stamped while it was wrong (span.h says which) is dated again: readings, studies
 * and alerts by their next revision, loans, check-ins and visits in place, before the readings that are judged by them.
 * In portions, so that nothing waits for it; how far it came is a row, so that a kill loses nothing of it. Events: what
 * was told stays told. Store thread.
 */
#pragma once

#include "db.h"
#include "span.h"

#include <stdbool.h>

struct gateway;

#define REPAIR_PORTION 200 /* rows in one transaction */

/* Notes how the clock runs (span_note()), tells that it was set, and begins what there is to repair. 1: there is
 * something to go on with, 0, -errno. */
int repair_look(struct gateway *g, struct db *db, const struct instant *now, bool synced);
/* One portion. 1: there is more, 0: all is done, -errno. */
int repair_go_on(struct gateway *g, struct db *db);

/* What repair.c has to do, as its row says. */
struct repair {
	uint8_t boot_id[16];
	struct span_truth truth;
	int64_t reading, study, alert; /* rows that were looked at */
	int64_t readings;	       /* that were dated again */
	size_t n;
	struct clock_span spans[SPANS_MAX];
};

/* Loans, check-ins, and visits by their windows: all of them, at once. (repair_rows.c) */
int repair_rows(struct gateway *g, struct db *db, const struct repair *r);
