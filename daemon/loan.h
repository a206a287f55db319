/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose an instrument is, by instant. It goes from one resident to the next by a hand-over: the one before ends
 * at once, the next begins when the instrument has told what it still had in its memory, and what it measured in
 * between is nobody's. So no record of the one before can come under the name of the next. Store thread.
 */
#pragma once

#include "db.h"

#include <stdbool.h>

struct gateway;

struct loan {
	int64_t device, resident; /* rows; resident 0: nobody */
	int64_t slot;		  /* user slot of the device; -1: all of it */
	const char *author;
};

/* From `from_us` until `to_us` (INT64_MAX: until further notice). What held for this slot, or alone, ends there;
 * a hand-over that waited is over. 0, -errno. */
int loan_bind(struct db *db, const struct loan *l, int64_t from_us, int64_t to_us);
/* Now, or as soon as its memory is told: then *ret_waits. An instrument that never told of a memory has none to
 * wait for. */
int loan_handover(struct db *db, const struct loan *l, int64_t now_us, bool *ret_waits);
/* The instrument has told everything. */
int loan_drained(struct gateway *g, struct db *db, int64_t device, int64_t now_us);
