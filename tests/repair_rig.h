/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of a clock that was wrong share, on top of gateway_rig.h: what arrives so many seconds after a boot
 * clock of REPAIR_BOOT, at which it is RIG_NOW, by a clock of ours that is off by so much.
 */
#pragma once

#include "gateway_rig.h"

#include "repair.h"

#define REPAIR_BOOT (1000 * CLOCK_SECOND_US)
#define REPAIR_1970 (-RIG_NOW) /* so far off is a clock that began with the boot */

static inline struct instant repair_at(int64_t after_s, int64_t off_us)
{
	int64_t after_us = after_s * CLOCK_SECOND_US;
	return (struct instant){RIG_NOW + after_us + off_us, REPAIR_BOOT + after_us};
}

static inline struct uuid repair_bp(
	struct rig *r, int64_t after_s, int64_t off_us, struct rig_bp bp)
{
	struct unit *u = rig_unit(r);
	struct instant at = repair_at(after_s, off_us);
	u->arrived_us = at.utc_us;
	u->boot_us = at.boot_us;
	struct uuid id = rig_add(r, u, &bp)->id;
	assert_int_equal(rig_file(r, u), 0);
	return id;
}

/* As the job of the store does it: all or nothing. */
static inline int repair_see(struct rig *r, int64_t after_s, int64_t off_us, bool synced)
{
	struct instant now = repair_at(after_s, off_us);
	rig_script(r, "BEGIN IMMEDIATE");
	int rc = repair_look(&r->gateway, r->db, &now, synced);
	rig_script(r, rc < 0 ? "ROLLBACK" : "COMMIT");
	return rc;
}

static inline int repair_portion(struct rig *r)
{
	rig_script(r, "BEGIN IMMEDIATE");
	int rc = repair_go_on(&r->gateway, r->db);
	rig_script(r, rc < 0 ? "ROLLBACK" : "COMMIT");
	return rc;
}

/* To its end; how many portions there were. */
static inline int repair_all(struct rig *r)
{
	int n = 1, rc;
	while ((rc = repair_portion(r)) == 1)
		n++;
	assert_int_equal(rc, 0);
	return n;
}

/* Our clock is seen so, and what follows from it is done. */
static inline void repair_clock(struct rig *r, int64_t after_s, int64_t off_us, bool synced)
{
	int rc = repair_see(r, after_s, off_us, synced);
	assert_true(rc >= 0);
	if (rc)
		repair_all(r);
}

static inline void repair_expect(struct rig *r, const char *sql, const char *expected)
{
	char text[512];
	rig_text(r, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}
