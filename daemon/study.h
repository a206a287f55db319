/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Studies: an ECG as it was recorded, or another file that an instrument gave us. Store thread, inside the
 * transaction of whatever brings the news.
 *
 *   study_arrive()   with the unit of the instrument: the original is here for good, and acknowledged
 *   study_decoded()  what the sandboxed decoder says of it (studies.c brings it there): whose it is, when
 *                    it was recorded, what the cart measured and stated; from here on it is forwarded
 *
 * Nothing of the person but sex and age leaves the original: it alone has the name.
 */
#pragma once

#include "db.h"
#include "reading.h"

struct gateway;

/* Below what brokers take, and short enough that an alert behind one piece is not late on a slow line. */
#define STUDY_PIECE_BYTES 8192
/* The daemon may have died of it, or with it, or the decoder ran out of time: then it goes without a decoder. */
#define STUDY_TRIES_MAX 3

/* "rejected" of a study that no decoder could tell us anything of. */
#define STUDY_NOT_DECODED "decoder"

/* The original of a unit, unless it is here already. */
int study_arrive(struct gateway *g, struct db *db, const struct unit *u);

struct study_original {
	int64_t row, device;
	unsigned tries;	    /* with this one */
	struct bytes bytes; /* the caller's; empty when the store has not all of it */
};

/* An original that waits for the decoder, and was tried less often than `below`; one of `last_device` only when no other
 * device has one so seldom tried. Counts the try. 1; 0: none waits; -errno. */
int study_take(struct db *db, unsigned below, int64_t last_device, struct study_original *ret);
/* The decoder was not even started: that was no try. */
int study_put_back(struct db *db, int64_t row);
/* The JSON of the decoder (daemon/ecg/), or NULL and `why` there is none. */
int study_decoded(struct gateway *g, struct db *db, int64_t row, const char *text, size_t len,
	const char *why);

/* The study that a reading was measured in; false: it is of none, or that is not here any more. */
bool study_of_reading(struct db *db, const struct uuid *reading, struct uuid *ret);
/* A person says whose it is (0: nobody's), with the heart rate that was measured in it. As intake_assign(). */
int study_assign(struct gateway *g, struct db *db, const struct uuid *id, int64_t resident);
/* It is this one's now, as decided, with its heart rate, report and alert. */
int study_move(struct gateway *g, struct db *db, int64_t row, const struct uuid *id,
	const struct resident_decision *who);
/* The same, and it was recorded then, by a clock that is better known now; NULL: when it was stays. */
int study_decide_again(struct gateway *g, struct db *db, int64_t row, const struct uuid *id,
	const struct resident_decision *who, const struct when *when);
/* Under which ids its heart rate, as a reading, and the alert of its statements stand. */
struct uuid study_rate_id(const struct uuid *study);
struct uuid study_statement_id(const struct uuid *study);
/* It is decoded anew, as its next revision: whose it is stays, and so does what was told of it. */
int study_again(struct gateway *g, struct db *db, int64_t row);
/* It arrived at another time than our clock said: when it was recorded, and with it whose it is, is decided again, as its
 * next revision. 1: it is another now, 0, -errno. (study_time.c) */
int study_redate(struct gateway *g, struct db *db, int64_t row, int64_t arrived_us);
/* It changed: its next revision is on its way, unless it is with the decoder, which brings one. */
int study_tell(struct gateway *g, struct db *db, int64_t row);
/* The row of a study; 0: there is none. */
int64_t study_row(struct db *db, const struct uuid *id);
