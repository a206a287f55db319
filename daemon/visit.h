/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Follow-up visits: opened, answered and confirmed by persons; filled by readings. Until somebody confirms it a visit
 * is a proposal that follows what is filed; then it is frozen, and a correction is its next revision. The rules:
 * tests/sim/FOLLOWUP.md, section 4. Store thread.
 */
#pragma once

#include "db.h"
#include "reading.h"

struct gateway;

/* What is filed of this resident is another now: the visits that nobody confirmed yet say something new. */
int visit_touch(struct gateway *g, struct db *db, int64_t resident);
