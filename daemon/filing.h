/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What follows when a reading belongs to somebody, or to nobody: evidence for the follow-up record, the
 * drafts that rest on it, the alert and whom it goes to. Used by intake.c for what instruments deliver and
 * by assign.c for what people decide. Store thread, inside the transaction of the reading.
 */
#pragma once

#include "db.h"
#include "reading.h"
#include "resident.h"

struct gateway;

/* Where one reading belongs, as decided. */
struct filing {
	struct when when;
	struct resident_decision who;
	bool in_contract;
	bool conflict;
	char recipient[32]; /* token */
	const char *role;   /* "doctor", "site" */
	int revision;
	const char *status;
	int64_t row; /* of the reading, once it is there */
};

/* Sets in_contract, recipient and role from `who` and `when`. */
void filing_route(struct gateway *g, struct db *db, struct filing *f);

/* One number as evidence of the resident; all numbers of a reading, and then the drafts. */
int filing_evidence(const struct gateway *g, struct db *db, const struct filing *f,
	const char *kind, struct value value, char comparator);
int filing_all_evidence(
	struct gateway *g, struct db *db, const struct reading *r, const struct filing *f);
/* The drafts of the resident's programmes say something new. */
int filing_drafts(struct gateway *g, struct db *db, int64_t resident);
/* Older revisions of a reading: no evidence any more, and not shown. */
int filing_retire(struct db *db, const struct uuid *id, int revision);

/* Raises the alert of a reading when the rules say so; `reading` is the id that it is stored under. */
int filing_alert(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *reading, const struct filing *f);
/* The alert of a reading follows it to whom it concerns now. An acknowledgement stays. */
int filing_move_alert(
	struct gateway *g, struct db *db, const struct uuid *reading, const struct filing *f);
