/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Until somebody acknowledges an alert, one person after another is told. Each alert that waits is a row with its instant
 * (watch.h). The rules: tests/sim/ALERTS.md, section 6. Store thread.
 */
#pragma once

#include "db.h"
#include "episode.h"
#include "reading.h"

struct gateway;

/* When an alert that pages now is delivered: its word (now, after_quiet, morning, list) and the instant. Pure but for the
 * zone. While our clock is not set nobody knows the hour: now. */
struct delivery {
	const char *word;
	int64_t not_before_us;
};
struct delivery escalate_delivery(
	const struct gateway *g, enum severity severity, int64_t age_us, int64_t now_us);

/* It pages, from the first step: chooses whom, and waits for the next. Reads resident, in_contract, place, station, severity,
 * state, doubts and labels of the alert as they are now, and whether its present revision was told; writes staff, recipient,
 * role, step, deliver, not_before and labels, and takes back that it was sent, receipted and read. The caller tells the
 * revision behind it. `age_us`: of the reading by which it pages; 0: of none. */
int escalate_begin(struct gateway *g, struct db *db, const struct uuid *alert, int64_t age_us);
/* Its state is another one: latched, hurry is over; active again, it hurries; inactive, nothing is due. */
int escalate_follow(struct gateway *g, struct db *db, const struct uuid *alert,
	enum alert_state was, enum alert_state is);
/* It was acknowledged, or is over: nothing is due. */
int escalate_end(struct db *db, const struct uuid *alert);
/* It was over, and is reopened: when nobody acknowledged it, its escalation goes on where it was due. */
int escalate_resume(struct gateway *g, struct db *db, const struct uuid *alert);
/* Tells whom it is time to tell. */
int escalate_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);
