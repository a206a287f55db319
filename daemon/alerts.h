/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The alerts that are stored: what a reading raises, joins, lowers and ends, what happens when it leaves, and what is told of
 * it. One revision for each change, with its line in alert_history, on its way to the platforms. Store thread, in the transaction of
 * what happened. The rules: tests/sim/ALERTS.md, section 4.
 */
#pragma once

#include "episode.h"
#include "filing.h"
#include "judge.h"
#include "span.h"

struct gateway;

/* SQL: is it of a place, a device or the gateway? */
#define ALERT_TECHNICAL                                                                      \
	"(alert.place IS NOT NULL OR coalesce(alert.resident,alert.reading,alert.study) IS " \
	"NULL)"
/* SQL: a label, or NULL. A reading says whose it is among its own. */
#define ALERT_WHOSE                                                          \
	"CASE WHEN alert.shown IS NOT NULL OR " ALERT_TECHNICAL              \
	" THEN NULL WHEN alert.resident IS NULL THEN 'unassigned' WHEN NOT " \
	"alert.in_contract THEN 'out_of_contract' END"

/* A reading of a person, or of nobody, as it arrives. */
int alerts_judge(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *reading, const struct filing *f);
/* A stored one that says something else now, or is somebody else's. */
int alerts_judge_again(struct gateway *g, struct db *db, const struct uuid *reading);
/* A doubtful one that nobody repeated, of this condition: as if it were not doubtful, to staff. */
int alerts_judge_doubtful(struct gateway *g, struct db *db, const struct uuid *reading,
	const char *condition, const char *body, struct instant now);

enum alerts_left { LEFT_VOIDED, LEFT_ARTEFACT, LEFT_CONTROL, LEFT_WRONG_PERSON, LEFT_CORRECTED };
/* Who acknowledged which alert by it (LEFT_ARTEFACT); its revision says so, and is made in any case. */
struct alerts_ack {
	struct uuid alert;
	const char *author, *outcome;
};
/* It is none of the alerts' any more that it fired in, and has ended none. `ack`: NULL, nobody's acknowledgement. */
int alerts_leave(struct gateway *g, struct db *db, const struct uuid *reading, enum alerts_left why,
	const struct alerts_ack *ack);
/* Its resident is another one now, by this evidence: it is judged again. */
int alerts_follow(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct filing *f, int64_t former);
/* Several readings are filed anew by one command: all are filed first, then each follows, in the order in which they were
 * first filed. `rc`: what became of the filing; returned when it is an error. */
void alerts_hold(struct gateway *g);
int alerts_release(struct gateway *g, struct db *db, int rc);
/* When it was is known better now. */
int alerts_retime(struct db *db, const struct uuid *reading);
/* Two residents are one: all alerts of the first are the other's. */
int alerts_merge(struct gateway *g, struct db *db, int64_t from, int64_t into);

/* An alert of something that is no reading: a place, a device, the gateway, a study, a plan. */
struct raising {
	struct uuid id;
	const char *condition;
	const struct filing *to; /* resident, contract, trust; staff when it has no resident */
	const struct uuid *reading, *study; /* NULL: of none */
	enum severity severity;
	const char *body, *doubts; /* JSON: members of an object; labels in an array */
	int64_t raised_us, raised_boot_us;
	const char *place, *station; /* NULL: none */
	int64_t device;		     /* row; 0: none */
	int64_t since_us;
};
/* 1: it is new and on its way; 0: it was raised before; -errno. */
int alerts_raise(struct gateway *g, struct db *db, const struct raising *a);
/* What it is about, and is no reading, has another severity now. */
struct alert_standing {
	enum severity level;
	const char *body;
	bool in_contract; /* of now: for when somebody is told anew */
	int64_t at_us;
};
/* 1: it is critical again after somebody acknowledged it, which is another alert: raise that one, and supersede this one. 0
 * or -errno. */
int alerts_stand(
	struct gateway *g, struct db *db, const struct uuid *id, const struct alert_standing *s);
/* What it is about belongs to somebody else now. */
int alerts_move(struct gateway *g, struct db *db, const struct uuid *id, const struct filing *f);
/* It is over by itself. */
int alerts_over(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us);
/* A new one takes its place. */
int alerts_supersede(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us);

/* Writes what an alert is now as its next revision: history and outbox. Used by escalate.c and alert_command.c, too. */
int alerts_revise(struct gateway *g, struct db *db, const struct uuid *id, enum alert_phase phase,
	const char *ack_author, const char *ack_outcome);
