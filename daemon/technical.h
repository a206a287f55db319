/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with the instruments and with the gateway itself, by the technical rules (condition.h; the rules:
 * tests/sim/ALERTS.md, section 9): a device that says nothing for so many times of what is expected of it
 * (devices[].expect_s), its battery, the disk of the store, our own clock. Places: place.h; the ECG centre: report.h.
 * Store thread.
 */
#pragma once

#include "db.h"
#include "reading.h"
#include "span.h"

struct gateway;

/* A unit of a configured device came. */
int technical_heard(struct gateway *g, struct db *db, const struct unit *u);
/* It said how full its battery is. */
int technical_battery(struct gateway *g, struct db *db, const struct unit *u, int64_t percent);
/* Listens for the devices of which something is expected; `fresh`: the process begins. */
int technical_listen(struct gateway *g, struct db *db, struct instant now, bool fresh);
/* Looks at the gateway itself. `ret_next_us`: CLOCK_BOOTTIME of the next look, INT64_MAX: there is no rule for it. */
int technical_look(struct gateway *g, struct db *db, struct instant now, int64_t *ret_next_us);
