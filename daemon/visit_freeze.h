/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A person confirms a visit: what its form says at that moment is kept as it is, for good. Every correction is frozen
 * beside what was before. Store thread.
 */
#pragma once

#include "db.h"

#include <stdbool.h>

struct gateway;

struct freezing {
	int64_t visit;
	const char *by;	    /* token */
	const char *author; /* as in audit */
	const char *reason; /* of a correction; NULL: it is confirmed for the first time */
};
/* Freezes and tells. 0; -ENODATA: nobody said how the visit was held; -EDOM: it has no class, and its form asks for one;
 * -ENOENT: readings that it rests on are not stored any more, and made anew it would say less; -errno. */
int visit_freeze(struct gateway *g, struct db *db, const struct freezing *f);
