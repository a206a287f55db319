/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What follows when a reading belongs to somebody, or to nobody: evidence for the follow-up record and the visits that rest on
 * it. Used by intake.c for what instruments deliver and by revision.c for what people decide. Store thread, inside the
 * transaction of the reading.
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
	bool has_named; /* the message names somebody: */
	int64_t named;	/* as reading.named */
	bool in_contract;
	bool conflict;
	int revision;
	const char *status;
	int64_t row; /* of the reading, once it is there */
};

/* Was this resident (0: nobody, no) under contract then? */
bool filing_in_contract(struct db *db, int64_t resident, int64_t at_us);
/* Sets in_contract from `who` and `when`. */
void filing_contract(struct db *db, struct filing *f);

/* The claims of a decision as `reading.reasons` holds them: [{"claim":"message","resident":12}, ..]; NULL: there are none. */
char *filing_reasons(const struct resident_decision *who);

/* One number as evidence of the resident; all numbers of a reading, and then the visits. */
int filing_evidence(const struct gateway *g, struct db *db, const struct filing *f,
	const char *kind, struct value value, char comparator);
int filing_all_evidence(
	struct gateway *g, struct db *db, const struct reading *r, const struct filing *f);
/* Older revisions of a reading: no evidence any more, and not shown. */
int filing_retire(struct db *db, const struct uuid *id, int revision);
