/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two records of one resident become one. What was filed under the one is filed under the other by its next revision; its
 * evidence and grade stay, because they would say the same again if they were asked (reassess.h); bindings, check-ins,
 * visits, plans and limits go along. The emptied record stays as the sign where to look. Store thread.
 */
#pragma once

#include "db.h"

struct gateway;

/* `readings`, `studies`: how many went. 0 or -errno. */
struct merged {
	unsigned readings, studies;
};
int merge_residents(
	struct gateway *g, struct db *db, int64_t from, int64_t into, struct merged *ret);
