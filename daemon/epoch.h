/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the clock of a device showed, over the years: every offset that was measured, so that a record is dated
 * by the clock that it was written under. A battery change, a reset and a set clock begin a new epoch.
 * Store thread.
 */
#pragma once

#include "clock.h"
#include "db.h"

struct unit;

/* What the unit's session saw (nothing, or by a clock that was set since: it does nothing). 0, 1 this is a new epoch,
 * -errno. */
int epoch_observe(struct db *db, const struct unit *u);
/* Our own clock was set, and shows a time that can be: what devices showed in this boot is from now on seen by it.
 * `shift_us`: CLOCK_REALTIME minus CLOCK_BOOTTIME. */
int epochs_follow(struct db *db, int64_t shift_us);
/* Oldest first; the last one is the present one. Returns how many. */
size_t epochs_read(struct db *db, int64_t device, struct clock_epoch out[static CLOCK_EPOCHS_MAX]);
/* Of the unit's device, by the clock that it was stamped with. */
void epochs_take(struct db *db, struct unit *u);
