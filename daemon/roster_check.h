/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One record of a roster, field by field: what may stand there, and what it is stored as. Pure but for the zone and the
 * clock, by which a birthday has come or not.
 */
#pragma once

#include "roster.h"

#define ROSTER_LIST_BYTES ((ROSTER_TOKEN_MAX + 1) * 10)

/* A record that is right, as it is stored. */
struct roster_checked {
	const char *text[ROSTER_FIELDS];
	char lists[ROSTER_FIELDS][ROSTER_LIST_BYTES]; /* those that are lists */
	int64_t days
		[3]; /* signed_on, valid_from, valid_to as instants; the last one is the end of its day */
	bool has[3];
};

/* False, and each fault told to `r`. */
bool roster_check(struct roster *r, unsigned line, const struct roster_record *record,
	struct roster_checked *ret);
