/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was measured of one resident before: values with a trusted time of one kind, or of a pattern. Asked only by rules whose
 * limit is broken, so that an ordinary value costs nothing.
 */
#pragma once

#include "codes.h"
#include "db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_MAX 512 /* values that one rule looks at; the latest */

struct history_value {
	int64_t taken_us, milli;
	char comparator; /* 0, '<', '>' */
};

struct history {
	/* Values of kinds that fit the pattern, taken in [from, to], latest first (later filed first among equals), without
	 * those of the reading itself; at most `max`, the latest. 0 or -errno. */
	int (*values)(void *arg, const char *pattern, int64_t from_us, int64_t to_us,
		struct history_value *out, size_t max, size_t *ret_n);
	void *arg;
};

/* Store thread: of `resident`, without the row `reading`. */
struct history_db {
	struct db *db;
	const struct codes *codes;
	int64_t resident, reading;
};
/* `of` is borrowed. */
struct history history_of(struct history_db *of);
/* Whether a value of this kind (of any blood glucose, for one of glucose) was taken later, at a trusted time, and not later
 * than now: 1, 0 or -errno. */
int history_overtaken(
	const struct history_db *of, const char *kind, int64_t taken_us, int64_t now_us);
