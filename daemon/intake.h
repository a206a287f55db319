/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files what an instrument delivered: who, when, is it dangerous, what does it offer to the follow-up
 * record, who must be told. One unit of work is one savepoint: all of it is there or nothing.
 * Runs on the store thread; the decisions are pure functions of what is committed.
 */
#pragma once

#include "db.h"
#include "reading.h"

struct filing;
struct gateway;

int intake_unit(struct gateway *g, struct db *db, struct unit *u);

/* One reading of a unit, for those that are made from something else: whose it is, alert and follow-up included. */
int intake_reading(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r);
/* Whose it is and when it was, as the evidence stands; `conflict`: it contradicts what is known. 0, -errno. */
int intake_decide(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	bool conflict, struct filing *ret);
/* What is filed so is filed by a check-in, perhaps, which goes on or is complete. */
int intake_claimed(struct gateway *g, struct db *db, const struct unit *u, const struct filing *f);
/* SHA-256, keyed, of what was typed as patient; false: nothing was, or it is not to be kept. */
bool intake_patient_hash(
	const struct gateway *g, const struct unit *u, const struct reading *r, uint8_t out[32]);

/* A device as configured: its row, made when new. Returns the row or -errno; `uid` (96 bytes) gets the
 * identity that was fixed, "" when it never delivered. */
int64_t intake_device(
	struct db *db, const char *name, const char *driver, const char *address, char *uid);

/* A person says whose reading it is (resident 0: nobody's). Makes the next revision, moves evidence,
 * visits and alert with it. -ENOENT: no such reading; -EALREADY: it is so already;
 * -EPERM: it is marked test; -ENOTSUP: it is of a place. */
int intake_assign(struct gateway *g, struct db *db, const struct uuid *id, int64_t resident);

int intake_event(struct gateway *g, struct db *db, int64_t device, const char *type,
	const char *detail, const struct bytes *raw, int64_t at_us, bool forward);
