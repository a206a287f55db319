/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A critical value whose flags doubt the signal: stored and shown like any other, and a clean reading is asked for
 * instead of calling the doctor. When none comes in time, staff are told of the doubtful one: it is never hidden.
 * One wait for each reading and condition. Store thread, inside the transaction of the reading. The rules:
 * tests/sim/ALERTS.md, section 5.
 */
#pragma once

#include "db.h"
#include "judge.h"
#include "span.h"

struct gateway;
struct filing;

struct repeat {
	const struct reading *reading;
	const struct uuid *id;
	const struct judged *judged; /* its condition, and the numbers that are critical */
	int64_t device;
	struct instant arrived, now;
	const char *body, *doubts; /* as an alert would say it */
};

/* Asks, and the platform gets "repeat_requested"; what waits already says something else, and waits no longer for it. 1: it
 * waits; 0: its time is over; -errno. */
int repeat_ask(struct gateway *g, struct db *db, const struct repeat *r);
/* A clean reading that is judged settles what waits for it, with "repeat_done": of the same device, kind and resident, with
 * each number that was critical, not taken before it (`at_us`), and in time. */
int repeat_settle(struct gateway *g, struct db *db, const struct reading *r, int64_t device,
	int64_t resident, int64_t at_us, struct instant now);
/* A reading that was judged again waits for these conditions (bits) and for no others. */
int repeat_keep(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct judgement *all, uint64_t conditions);
/* Nobody has to repeat what was no measurement: it waits no more. */
int repeat_stop(struct gateway *g, struct db *db, const struct uuid *reading);
/* Tells what is due. */
int repeat_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);
