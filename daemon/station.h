/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who was checked in where an instrument stands, when it measured. A check-in is a window of time at a station; a
 * reading is an interval, because nobody knows to the second when it was measured. Both are compared by CLOCK_BOOTTIME
 * when they are of the same boot: then steps of our clock do not matter; else by UTC. The rules:
 * tests/sim/FOLLOWUP.md, section 3. Store thread; what begins and ends check-ins is checkin.h.
 */
#pragma once

#include "db.h"
#include "numbers.h"
#include "resident.h"

struct gateway;

/* An instant, by both of our clocks. */
struct station_instant {
	int64_t utc_us, boot_us;
	const uint8_t *boot_id; /* 16 bytes */
};
struct station_instant station_now(void);

/* What of a reading says when it was measured. */
struct station_reading {
	const char *kind;
	struct when when;
	bool live;
	struct station_instant arrived; /* when it was told first */
	int64_t row;			/* reading.id of its first revision; 0: it is just coming */
};

/* Between which instants it was measured. */
struct station_interval {
	bool known;
	bool of_boot; /* our clock was not set: only what is of the same boot can be compared */
	int64_t from_us, to_us;		  /* UTC */
	int64_t from_boot_us, to_boot_us; /* the same; of arrived.boot_id */
};
/* Pure. */
struct station_interval station_interval(const struct numbers *n, const struct station_reading *r);

/* Closed at its beginning, open at its end. An open check-in ends `idle_s` after its last activity. */
struct station_window {
	int64_t from_us, to_us, from_boot_us, to_boot_us;
	uint8_t boot_id[16]; /* of the last two */
};
/* Pure. `boot_id`: of the reading. */
bool station_overlap(const struct station_window *w, const struct station_interval *i,
	const uint8_t boot_id[static 16]);

/* The station's claim to a reading; `named`: the resident whom the message names, 0: nobody. 0, -errno. */
int station_claim(struct gateway *g, struct db *db, const char *station,
	const struct station_reading *r, int64_t named, struct resident_station *ret);
/* The latest activity of a check-in is now: by CLOCK_BOOTTIME of its boot, after a reboot as far on as a time server's time of
 * day says. False: it stays what it was. */
bool station_active(struct station_instant *last, const struct station_instant *now);
/* One that was told at `arrived` is filed by it: the check-in goes on, or is complete. */
int station_claimed(
	struct gateway *g, struct db *db, int64_t checkin, const struct station_instant *arrived);
/* Whether all kinds are measured that the station wants; then the check-in ended with the last of them. */
int station_complete(struct gateway *g, struct db *db, int64_t checkin);
/* A check-in that was idle for too long is over, as soon as somebody looks. */
int station_settle(
	struct gateway *g, struct db *db, const char *station, const struct station_instant *now);
