/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A reading that is judged, first as it arrives and then as it is stored. Shared by alerts*.c and by nobody else. Store thread. */
#pragma once

#include "alerts_rows.h"

struct judging {
	const struct reading *reading;
	const struct uuid *id;
	const struct filing *filing;
	const char *station; /* NULL: none */
	int64_t device;
	bool again;		/* it was judged before, or could have been */
	struct instant arrived; /* both by the clock of this boot */
	struct instant now;
	/* The condition whose clean repeat did not come, and what was said when it was asked for; NULL: none. */
	const char *over, *over_body;
};

/* (alerts_judging.c) Taken when that is trusted, else arrived. */
bool judging_trusted(const struct judging *j);
int64_t judging_at_us(const struct judging *j);
/* How old it was when it arrived, or when it was asked for again; 0: that nobody knows. */
int64_t judging_age_us(const struct judging *j);
/* May what it says be the end of what was dangerous? An old value out of a memory ends nothing that is now, and an
 * instrument that several share cannot speak for one of them. */
bool judging_speaks(const struct judging *j);
/* JSON of what an alert says of it: the rules that fired (members of an object), its labels (an array). `over`: no clean
 * repeat came. The caller frees them; NULL: no memory. */
char *judging_body(const struct reading *r, const struct judged *c);
char *judging_doubts(
	struct gateway *g, struct db *db, const struct judging *j, bool overtaken, bool over);

/* What the rules say of it becomes of its resident's alerts. */
int judging_take(struct gateway *g, struct db *db, const struct judging *j);

/* Another resident's: it leaves the alerts of the former one (0: nobody; -1: of everybody but whose it is now), or those
 * say that it is in doubt. (alerts_leave.c) */
int alerts_leave_others(
	struct gateway *g, struct db *db, const struct uuid *reading, int64_t former);
int alerts_doubt_identity(
	struct gateway *g, struct db *db, const struct uuid *reading, int64_t former);
