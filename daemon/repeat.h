/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A critical value whose flags doubt the signal: stored and shown like any other, and a clean reading is asked for
 * instead of calling the doctor. When none comes in time, staff are told of the doubtful one: it is never hidden.
 * Store thread, inside the transaction of the reading.
 */
#pragma once

#include "alert.h"
#include "db.h"

struct gateway;
struct filing;
struct raising;

/* Asks: what the alert `a` would have said waits in pending_repeat, and the platform gets "repeat_requested". */
int repeat_ask(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct raising *a, const struct alert_verdict *verdict);
/* A clean reading settles what waits for it, with "repeat_done": of the same device, kind and resident (or both
 * nobody's), with each number that was doubtful, not taken before it, and in time. */
int repeat_settle(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct filing *f);
/* Tells staff what is due: the site's contact, or without one whom the reading's alert goes to. */
int repeat_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);
