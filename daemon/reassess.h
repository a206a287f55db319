/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decides again whose a stored reading is and when it was, from what is stored now: a check-in was undone or changed, a
 * roster came, the gateway's clock became known. When something differs, the reading gets its next revision, and
 * evidence, visits and alert go with it. What a person decided stays. Store thread.
 */
#pragma once

#include "db.h"
#include "reading.h"

struct gateway;

/* `arrived_us`: when it arrived, by a clock that is better known now; NULL: as it stands. 1: it is another now, 0: it
 * stays as it was, -errno; -ENOENT: there is no such reading. */
int reassess(struct gateway *g, struct db *db, const struct uuid *id, const int64_t *arrived_us);
/* The same for a study that was decoded, by its row, with the heart rate that was measured in it. */
int reassess_study(struct gateway *g, struct db *db, int64_t row, const int64_t *arrived_us);

struct station_window;
/* What a station claims is another in this window, which began when `last_reading` was the newest: all that was measured
 * there in it, or is claimed by `checkin`, is decided again. 0, -errno. */
int reassess_window(struct gateway *g, struct db *db, const char *station,
	const struct station_window *w, int64_t last_reading, int64_t checkin);
