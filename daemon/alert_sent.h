/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far an alert has come, as the outbox hears of it: for whoever looks at the list of alerts. Store thread. */
#pragma once

#include "db.h"
#include "reading.h"

/* The broker has this row of the outbox, which is of an alert. */
int alert_sent(struct db *db, int64_t outbox_row);
/* A platform has this revision. What was told before its present severity is of no use to anybody. */
int alert_received(struct db *db, const struct uuid *alert, int64_t revision);
