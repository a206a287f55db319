/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the platform is told every morning: the day's list, and on the first of a month the rates of the month that
 * ended. With them go the alerts that are judged once a day (daily.h), whether lists are wanted or not. Each is wanted by the wall's clock and made once for its day or month; one that was missed, because the
 * gateway was off or its clock was not set, is made as soon as it can be, and those before it never.
 *
 * It is made some residents at a time: readings and alerts wait for none of it. Only when the last resident was seen
 * it is stored, in parts that fit a message, with what the outbox has to send.
 */
#pragma once

#include "day.h"
#include "db.h"

struct gateway;
struct digest;

/* Call it after store_run(). */
int digest_new(struct gateway *g, struct digest **ret);
/* Configuration is another now. `d` may be NULL. */
void digest_follow(struct digest *d);
/* After the store has ended. */
void digest_free(struct digest *d);

/* What its jobs do. */
enum digest_kind { DIGEST_DUE, DIGEST_KPI, DIGEST_ALERTS, DIGESTS };
/* The period that is wanted now: "2026-11-21", "2026-10"; "": none. The first reads no store. */
void digest_wanted(const struct gateway *g, enum digest_kind kind, int64_t utc_us,
	char ret_period[static DAY_TEXT]);
/* 1: it is stored already, 0: it is not, -errno. What was made by a clock that was ahead is forgotten. */
int digest_stored(struct db *db, enum digest_kind kind, const char *period, int64_t utc_us);

struct digest_build;
struct digest_build *digest_begin(struct gateway *g, enum digest_kind kind, const char *period);
void digest_drop(struct digest_build *b);
/* The next residents, for about so long. 1: there are more, 0: that was the last one, -errno. */
int digest_portion(struct digest_build *b, struct gateway *g, struct db *db, int64_t for_us);
/* Writes it down, for the outbox, too. */
int digest_keep(struct digest_build *b, const struct gateway *g, struct db *db, int64_t utc_us);
