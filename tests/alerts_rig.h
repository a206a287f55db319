/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of stored alerts share, on top of gateway_rig.h: blood pressures of R-0001 at a clinic, so many seconds after
 * RIG_NOW, and every revision of every alert as a text. The rules are those of config/alerts.yaml: systolic 180 is critical,
 * 160 a warning, diastolic 110 and 100, all with a margin of 5.
 */
#pragma once

#include "gateway_rig.h"

#include "acknowledge.h"
#include "alerts.h"

static struct rig rig;

static inline int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	rig_script(&rig, "UPDATE resident SET setting='clinic'");
	rig_bind(&rig, 1);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define MINUTE 60
#define HOUR 3600
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)

static inline void expect_text(const char *sql, const char *expected)
{
	char text[1024];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

/* Every revision of every alert, in the order of raising: "bp-high R-0001: start active 3/3 doctor unconfirmed; .." */
#define HISTORY                                                                                   \
	"SELECT coalesce(group_concat(t,x'0a'),'') FROM (SELECT a.condition||' '||coalesce("      \
	"token,'-')||': '||(SELECT group_concat(phase||' '||h.state||' '||level||'/'||CASE "      \
	"h.severity WHEN 'critical' THEN 3 WHEN 'warning' THEN 2 ELSE 1 END||' '||role||(SELECT " \
	"coalesce(group_concat(' '||value,''),'') FROM json_each(h.labels)),'; ') FROM (SELECT "  \
	"*,state,severity FROM alert_history WHERE alert=a.uuid ORDER BY revision) h) AS t FROM " \
	"alert a LEFT JOIN resident ON resident.id=a.resident ORDER BY a.id)"

static inline void expect(const char *expected)
{
	char text[4096];
	rig_text(&rig, text, sizeof(text), HISTORY);
	if (!streq(text, expected))
		fail_msg("\n%s\nexpected\n%s", text, expected);
}

struct bp {
	int sys, dia;
	int taken_s; /* told by the device's clock, which is right; 0: as it is measured */
	const char *flag, *identity;
	bool corrected;
};

static inline struct uuid deliver_from(int64_t device, int at_s, struct bp bp)
{
	struct vg_civil c = clock_civil(RIG_NOW + bp.taken_s * CLOCK_SECOND_US);
	struct unit *u = rig_unit(&rig);
	u->device_row = device;
	u->arrived_us = RIG_NOW + at_s * CLOCK_SECOND_US;
	u->boot_us = (100000 + at_s) * CLOCK_SECOND_US;
	u->offset_known = true;
	struct reading *r = rig_add(&rig, u,
		&(struct rig_bp){bp.sys, bp.dia, .taken = bp.taken_s ? &c : NULL,
			.identity = bp.identity, .corrected = bp.corrected});
	r->live = !bp.taken_s;
	if (bp.flag)
		r->flags[r->n_flags++] = bp.flag;
	struct uuid id = r->id;
	assert_int_equal(rig_file(&rig, u), 0);
	return id;
}

#define deliver(at_s, s, d, ...) \
	deliver_from(rig.cuff, at_s, (struct bp){.sys = s, .dia = d, ##__VA_ARGS__})

static inline struct uuid alert_of(const char *condition)
{
	struct uuid id = {0};
	_cleanup_(row_endp) struct row *r = db_query(rig.db,
		"SELECT uuid FROM alert WHERE condition=? ORDER BY id DESC LIMIT 1", "t",
		condition);
	assert_int_equal(row_next(r), 1);
	assert_true(row_uuid(r, 0, &id));
	return id;
}

static inline void acknowledge(const char *condition)
{
	struct uuid id = alert_of(condition);
	assert_int_equal(
		acknowledge_alert(&rig.gateway, rig.db, &id, "local:D-0001", "reached"), 1);
}

#define RAISED "bp-high R-0001: start active 3/3 doctor unconfirmed"

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
