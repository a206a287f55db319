/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The next revision of a stored reading: what a person decided about it, or what is known better now. One place
 * makes it, so that whatever follows goes with it: the former revision is retired with its evidence, the new one
 * offers its own, the visits of both residents say something new, the alert goes to whom it concerns, and the
 * platform is told. Store thread, in the transaction of whatever brings the news.
 */
#pragma once

#include "filing.h"

struct gateway;

#define REVISION_VOID "entered-in-error"

/* What is another; NULL: that stays as it is. */
struct revision {
	const struct resident_decision *who; /* with the check-in and the reasons, or without */
	const struct when *when;
	const int64_t *arrived_us; /* by a clock that is better known now */
	const int64_t *offset_us;  /* likewise: the device's clock minus ours */
	const char *kind;
	const char *body; /* JSON, as reading_json_body() writes it */
	const char *
		status; /* REVISION_VOID, or "amended" to take that back; a void one stays so by itself */
};

/* 0; -ENOENT: there is no such reading, -errno. `ret`: the new revision, with its row; may be NULL. What is made equal
 * to the former is a revision all the same: whether something differs is the caller's business. */
int revision_make(struct gateway *g, struct db *db, const struct uuid *id, const struct revision *r,
	struct filing *ret);
