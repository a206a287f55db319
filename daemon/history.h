/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was measured of one resident before: values with a trusted time of one kind, or of a pattern. Asked only by rules whose
 * limit is broken, so that an ordinary value costs nothing.
 */
#pragma once

#include "db.h"

#include <stddef.h>
#include <stdint.h>

#define HISTORY_MAX 2048 /* values that one rule looks at; the latest */

struct history_value {
	int64_t taken_us, milli;
	char comparator;
};

struct history {
	/* Values of kinds that fit the pattern, taken in [from, to], latest first (later filed first among equals), without
	 * those of the reading itself. 0 or -errno. */
	int (*values)(void *arg, const char *pattern, int64_t from_us, int64_t to_us,
		struct history_value *out, size_t max, size_t *ret_n);
	void *arg;
};

/* Store thread: of `resident`, without the row `reading`. */
struct history_db {
	struct db *db;
	int64_t resident, reading;
};
struct history history_of(struct history_db *of);
/* Whether a value of this kind (of any blood glucose, for one of glucose) was taken later than that. */
int history_overtaken(struct history_db *of, const char *kind, int64_t taken_us);
