/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An alert as its rows say: read, changed, written, told. Shared by alerts*.c and by nobody else. Store thread. */
#pragma once

#include "alerts.h"
#include "span.h"

struct alert_row {
	struct uuid id;
	int64_t resident;
	char condition[40], deliver[16];
	struct episode episode;
	bool has_shown;
	struct uuid shown;
	enum severity shown_level;
};

/* A reading as one of an alert's. */
struct alert_reading {
	struct uuid id;
	enum severity level;
	int64_t at_us;		   /* taken; arrived, when that is not trusted */
	const char *body, *doubts; /* JSON, as of struct raising */
};

/* What decides whom it goes to, when it pages: of the reading that makes it page. */
struct alert_origin {
	bool in_contract;
	const char *station; /* NULL: none */
	int64_t device;
	const struct uuid *study; /* NULL: none */
};

/* 1, 0: there is none, -errno. */
int alert_row_load(struct db *db, const struct uuid *id, struct alert_row *ret);
/* The latest of this condition that was told on that day with at least this severity, was not withdrawn and has a
 * reading. */
int alert_row_today(struct db *db, int64_t resident, const char *condition, enum severity severity,
	int32_t day, struct alert_row *ret);

/* What a change brings beside the episode. */
struct alert_turn {
	bool anew;   /* its severity was reached: acknowledgements of before are of another one */
	int32_t day; /* on which it was told; 0: as before */
	const int64_t *ended_us;     /* when what it was about was over; NULL: as before */
	const struct uuid *ended_by; /* the reading that says so; NULL: none */
};

/* The episode into the alert's row: its next revision, which alerts_revise() makes. */
int alert_row_write(struct db *db, const struct alert_row *a, const struct alert_turn *turn);
/* A new one by this reading, or the one that this reading raised before, anew; not told yet. */
int alert_row_raise(struct gateway *g, struct db *db, struct alert_row *a,
	const struct alert_reading *first, struct instant now);
int alert_row_origin(struct db *db, const struct uuid *id, const struct alert_origin *o);
/* One more reading, which is shown when it is the latest of the highest level. */
int alert_row_join(struct db *db, struct alert_row *a, const struct alert_reading *r);
/* One less; `ret_left`: the highest level of the others, and `a` shows one of them. */
int alert_row_leave(
	struct db *db, struct alert_row *a, const struct uuid *reading, enum severity *ret_left);

/* The revision that it has goes into the history, and to the platforms. */
int alert_row_tell(struct gateway *g, struct db *db, const struct uuid *id, const char *ack_author,
	const char *ack_outcome);
