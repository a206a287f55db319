/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of telling one after the other share, on top of gateway_rig.h: one alert of R-0001, and looks at what is due. */
#pragma once

#include "gateway_rig.h"

#include "alerts.h"
#include "escalate.h"
#include "util.h"
#include "watch.h"

#define MINUTE (60 * CLOCK_SECOND_US)
#define CHAIN "alerting: {quiet: \"\", morning: \"08:00\", chain: S-0002, institution: H-0009}\n"

static struct rig rig;
static int64_t utc, boot; /* when the test began, by both clocks */
static struct uuid id;

static inline int open_with(const char *yaml)
{
	rig_open(&rig, yaml);
	rig_residents(&rig);
	rig_script(&rig, "UPDATE resident SET chain='H-0001' WHERE id=1");
	id = uuid_of("alert", "bp-high|R-0001", 14);
	utc = clock_utc_us();
	boot = clock_boot_us();
	return 0;
}

static inline void raise_alert(const char *severity, int64_t resident, const char *state)
{
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO alert(uuid,revision,resident,severity,state,recipient,role,"
			"in_contract,body,doubts,raised,rules_version,condition,level) VALUES(?,0,?,?,?,'','',"
			"1,'{}','[]',?,'1','bp-high',3)",
			"bptti", id.bytes, sizeof(id.bytes), resident ? &resident : NULL, severity,
			state, utc),
		1);
}

static inline void begin(int64_t age_us)
{
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(escalate_begin(&rig.gateway, rig.db, &id, age_us), 0);
	assert_true(alerts_revise(&rig.gateway, rig.db, &id, PHASE_START, NULL, NULL) >= 0);
	rig_script(&rig, "COMMIT");
}

static inline void look_by(int64_t utc_us, int64_t boot_us, int64_t *ret_next)
{
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(watch_look(&rig.gateway, rig.db, utc_us, boot_us, ret_next), 0);
	rig_script(&rig, "COMMIT");
}

/* So many seconds after the test began. Whatever ran since then has lasted, so there is a second of grace: `late`. */
static inline void look(int64_t at_s)
{
	int64_t next;
	look_by(utc + at_s * CLOCK_SECOND_US, boot + at_s * CLOCK_SECOND_US, &next);
}

/* The history: "recipient role step labels", revision by revision. */
#define HISTORY                                                                                        \
	"SELECT group_concat(recipient||' '||role||' '||step||CASE labels WHEN '[]' THEN '' ELSE ' ' " \
	"||labels END,', ') FROM (SELECT * FROM alert_history ORDER BY revision)"

static inline void expect(const char *sql, const char *expected)
{
	char text[1024];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}
