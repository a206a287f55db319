/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the store knows that the form of a visit may use: its readings, results since the visit before, the last height,
 * low glucose, the home week. Only through indexes: what it costs grows with the visit and its resident, never with what
 * else is stored. The rules: tests/sim/FOLLOWUP.md, section 4 and 5. Store thread.
 */
#pragma once

#include "db.h"
#include "proposal.h"

#define VISIT_WINDOWS_MAX 64   /* of one visit; later ones are not looked at */
#define VISIT_READINGS_MAX 500 /* the same */
#define VISIT_RESULTS_MAX 64

struct gateway;

/* When a resident was there, closed at both ends. */
struct visit_span {
	int64_t from_us, to_us; /* to: now, while it is open */
	int64_t checkin;	/* 0: by command */
	bool open;
};

struct visit_facts {
	struct proposal_input in; /* points into the rest */
	int64_t visit, resident;
	char token[64], form[48], birth[32], conditions[128];
	unsigned n_spans;
	struct visit_span spans[VISIT_WINDOWS_MAX];
	int64_t end_us; /* of the last span */
	bool open;	/* whoever is visited is still there */
	struct visit_reading *readings;
	struct visit_result results[VISIT_RESULTS_MAX];
	json_t *answers;
};

/* Of the visit as it is at `now_us`; visit_facts_end() it whatever comes back. 1, 0: there is none, -errno. */
int visit_facts_read(const struct gateway *g, struct db *db, int64_t visit, int64_t now_us,
	struct visit_facts *ret);
void visit_facts_end(struct visit_facts *f);

/* The last valid week of home blood pressure before `day`. 0 or -errno. */
int visit_home_week(const struct gateway *g, struct db *db, int64_t resident, int32_t day,
	int64_t now_us, struct home_week *ret);
/* The week that ended on the day before, valid or not, and the last day before on which anything was measured at home, of
 * the same time; DAY_NONE: nothing was. */
int visit_home_last(const struct gateway *g, struct db *db, int64_t resident, int32_t day,
	int64_t now_us, struct home_week *ret, int32_t *ret_measured);
