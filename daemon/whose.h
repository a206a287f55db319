/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The evidence for whose a reading is, as the store has it: bindings, what the message names, who was checked in; and
 * what resident.h makes of it. For a reading that comes, and for one that is decided again. Store thread.
 */
#pragma once

#include "station.h"

struct gateway;
struct reading;
struct unit;

/* Values of `named` beside a resident. */
#define WHOSE_UNKNOWN 0	  /* the id is nobody's */
#define WHOSE_UNPROVEN -1 /* it was typed, and may be a slip of the finger */

struct whose {
	bool test, stranger, conflict;
	int64_t device;
	int user;
	int64_t arrived_us;   /* of this revision */
	const char *station;  /* where the device stands; NULL, "": at none */
	const int64_t *named; /* NULL: the message names nobody */
	struct station_reading reading;
};
/* 0, -errno. */
int whose_decide(
	struct gateway *g, struct db *db, const struct whose *w, struct resident_decision *ret);

/* Whom the message names, when the site lets it: 1 and *ret, 0: nobody, -errno. */
int whose_named(struct db *db, const struct unit *u, const struct reading *r, int64_t *ret);

/* The record that this one was merged into, or itself: two records of one person are one claim. Who withdrew consent is
 * still somebody, and not somebody else. */
int64_t whose_record(struct db *db, int64_t resident);
