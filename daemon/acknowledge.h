/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a person says of an alert, written down: the next revision of the alert, and what is due ends. The first one counts.
 * The rules: tests/sim/ALERTS.md, section 7. Store thread, in the transaction of the command.
 *
 * alert.acked is when its present severity was acknowledged, NULL: nobody did; ack_author and ack_outcome are the last that
 * was said, so a "not_reached" stands there without acked.
 */
#pragma once

#include "db.h"
#include "reading.h"

struct gateway;

/* `outcome`: reached, advised, referred, read_back; or not_reached, which is kept and ends nothing. 1; 0: there is no such
 * alert, or somebody was first; -errno. */
int acknowledge_alert(struct gateway *g, struct db *db, const struct uuid *alert,
	const char *author, const char *outcome);
/* What it shows was no measurement: that reading is void, and leaves all its alerts. -EALREADY: there is none to void. */
int acknowledge_artefact(
	struct gateway *g, struct db *db, const struct uuid *alert, const char *author);
