/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Follow-up visits: opened, answered and confirmed by persons; filled by readings. Until somebody confirms it a visit
 * is a proposal that follows what is filed; then it is frozen, and a correction is its next revision. The rules:
 * tests/sim/FOLLOWUP.md, section 4. Store thread.
 */
#pragma once

#include "db.h"
#include "followup.h"
#include "json.h"
#include "reading.h"

struct gateway;

/* By the short name or the form's own; NULL: there is none. */
const struct form_names *visit_form(const char *name);
/* Whether `programmes` ("hypertension;t2dm") has this one. */
bool visit_enrolled(const char *programmes, const char *programme);

/* What is filed of this resident is another now: the visits that nobody confirmed yet say something new. */
int visit_touch(struct gateway *g, struct db *db, int64_t resident);
/* The same when all that is new is one reading, taken then: a visit that was over by then does not change. */
int visit_filed(struct gateway *g, struct db *db, int64_t resident, int64_t taken_us);
/* A reading has a new revision; `before`: whose it was. A confirmed visit of that resident that rests on it stays as it
 * is, and the platform hears that its evidence changed. */
int visit_reading_changed(
	struct gateway *g, struct db *db, const struct uuid *reading, int64_t before);

/* A check-in, new or with another purpose: opens, or goes on with, the visits that follow from its purpose and the
 * programmes of its resident, and writes "visits":{"htn":id,..} into the open object. `way`: how the visit is held, as
 * the form numbers it; "": nobody said. 0 or -errno. */
int visit_checkin(
	struct gateway *g, struct db *db, int64_t checkin, const char *way, struct json *j);
/* It ended, by whatever, or its end is another: its visits that have no other open window are closed. */
int visit_checkin_ended(struct gateway *g, struct db *db, int64_t checkin);
/* It is nobody's (undone) or another resident's now (instead; visit_checkin() comes after this): visits let it go, and
 * one that nobody confirmed and that rests on no other check-in was never held. */
int visit_checkin_lost(struct gateway *g, struct db *db, int64_t checkin);

/* By a person, at now. `ret_visit`: the row of the new visit, or of the one that goes on. */
int visit_open(struct gateway *g, struct db *db, int64_t resident, const char *form,
	const char *author, const char *way, int64_t *ret_visit);
/* What a person opened ends now: number of windows, or -errno. */
int visit_end_windows(struct db *db, int64_t visit);
/* 1; 0: it is closed already. */
int visit_close(struct gateway *g, struct db *db, int64_t visit);
/* It says something else now: its next revision, for the platform. */
int visit_tell(struct gateway *g, struct db *db, int64_t visit);
