/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When to look for what becomes due by time: doubtful values that nobody repeated (repeat.h), broken limits and
 * silent devices of places (place.h), studies that did not arrive and reports that did not come (report.h), alerts that
 * nobody acknowledged (escalate.h).
 *
 * Each is a row with its instant, written in the transaction of the reading: a kill or a power cut loses none. A
 * time is measured by CLOCK_BOOTTIME, so steps of the clock do not count. Across a reboot the gateway's clock says
 * how much is left; when it is not set or went back, what waited is told at once.
 *
 * Nobody looks while nothing waits: one timer stands at the next instant, and is off when there is none.
 */
#pragma once

#include "db.h"

struct gateway;
struct watch;

/* Looks once, before any reading comes: call it after store_run() and before devices are started. */
int watch_new(struct gateway *g, struct watch **ret);
/* Configuration and rules are others now; behind the jobs that make the rows of new devices. */
void watch_follow(struct watch *w);
/* After the store has ended. */
void watch_free(struct watch *w);

/* Store thread: something will be due at this CLOCK_BOOTTIME. `w` may be NULL. */
void watch_expect(struct watch *w, int64_t due_us);

/* One thing that is due is told by whoever keeps it, behind the first `skip` of them. 1; 0: there is none; -errno. */
typedef int watch_one(
	struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t skip);
enum watch_seen {
	WATCH_STUCK = 1, /* one that cannot be told */
	WATCH_MORE = 2	 /* perhaps more than one look tells */
};
/* As many as one look tells; the rest in the next, which is at once. What cannot be told waits, and holds up none of those
 * behind it. Bits of `enum watch_seen`; -errno: the transaction is lost. */
typedef int watch_room(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);
int watch_tell(watch_one *one, struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);

/* What the timer's job does, on the store thread. The first: brings what waited into the clock of this boot, and
 * listens for the devices of places; `fresh`: the process begins. The second: tells what is due; `ret_next_us`:
 * CLOCK_BOOTTIME of what will be due next, INT64_MAX: nothing. */
int watch_begin(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, bool fresh);
int watch_look(
	struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t *ret_next_us);
