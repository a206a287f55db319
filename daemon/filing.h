/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What follows when a reading belongs to somebody, or to nobody: evidence for the follow-up record, the
 * visits that rest on it, the alert and whom it goes to. Used by intake.c for what instruments deliver and
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
	bool has_named; /* the message names somebody: */
	int64_t named;	/* as reading.named */
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

/* The claims of a decision as `reading.reasons` holds them: [{"claim":"message","resident":12}, ..]; NULL: there are none. */
char *filing_reasons(const struct resident_decision *who);

/* One number as evidence of the resident; all numbers of a reading, and then the visits. */
int filing_evidence(const struct gateway *g, struct db *db, const struct filing *f,
	const char *kind, struct value value, char comparator);
int filing_all_evidence(
	struct gateway *g, struct db *db, const struct reading *r, const struct filing *f);
/* Older revisions of a reading: no evidence any more, and not shown. */
int filing_retire(struct db *db, const struct uuid *id, int revision);

/* Raises the alert of a reading when the rules say so, or asks for a repeat first (repeat.h); `reading` is the id
 * that it is stored under. */
int filing_alert(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *reading, const struct filing *f);
struct alert_verdict;
/* A stored reading turns out to be dangerous for whoever it belongs to now: its alert is raised, or raised again when it
 * was a lesser one. */
int filing_alert_late(struct gateway *g, struct db *db, const struct reading *r,
	const struct uuid *reading, const struct filing *f, const struct alert_verdict *v);
/* An alert, if it was raised, follows what it is about to whom that concerns now. An acknowledgement stays, and so does
 * what staff were told because no clean repeat came. */
int filing_move_alert(
	struct gateway *g, struct db *db, const struct uuid *alert, const struct filing *f);

/* An alert as it is raised. */
struct raising {
	struct uuid id;
	const struct filing *to;    /* resident, contract, recipient, role */
	const struct uuid *reading; /* NULL: of a silence, or of a study */
	const struct uuid *study;   /* NULL: of none; with `reading`: that was measured in it */
	const char *severity, *why; /* `why`: for the log */
	const char *body, *doubts;  /* JSON: members of an object; labels in an array */
	int64_t raised_us, raised_boot_us; /* by both clocks of this boot */
	/* of a place */
	const char *place; /* NULL: of a person */
	int64_t device, since_us;
};

/* The label of what staff were told because nothing better came; such an alert stays with them. */
#define FILING_NO_CLEAN_REPEAT "no_clean_repeat"

/* The id of the alert that a reading raises. */
struct uuid filing_alert_id(const struct uuid *reading);
/* 1: it is new and on its way; 0: it was raised before; -errno. */
int filing_raise(struct gateway *g, struct db *db, const struct raising *a);
/* What a person did about an alert. Whoever was "not_reached" is still in danger: it stays active. 1; 0: somebody was
 * first; -errno. */
int filing_acknowledge(struct gateway *g, struct db *db, const struct uuid *id, const char *author,
	const char *outcome);
/* Its present revision is on its way. */
int filing_tell(struct gateway *g, struct db *db, const struct uuid *id);
/* The alert of a reading that was measured in error: it ends, labelled "voided". Whoever was told hears of it. */
int filing_withdraw(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us);
/* What an alert was about is over by itself: its next revision says so, whether it was acknowledged or not. */
int filing_resolve(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us);
