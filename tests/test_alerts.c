/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alerts as they are stored: what readings make of them, what happens when one leaves, and what is told. The rules:
 * tests/sim/ALERTS.md; those of config/alerts.yaml: systolic 180 is critical, 160 a warning, both with a margin of 5;
 * diastolic 110 and 100; glucose 16.7 and 13.9.
 */
#include "gateway_rig.h"

#include "acknowledge.h"
#include "alerts.h"
#include "limit.h"
#include "merge.h"
#include "person.h"
#include "reassess.h"
#include "revision.h"
#include "watch.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	rig_script(&rig, "UPDATE resident SET setting='clinic'");
	rig_bind(&rig, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define MINUTE 60
#define HOUR 3600
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)

static void expect_text(const char *sql, const char *expected)
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

static void expect(const char *expected)
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

static struct uuid deliver_from(int64_t device, int at_s, struct bp bp)
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

static struct uuid alert_of(const char *condition)
{
	struct uuid id = {0};
	_cleanup_(row_endp) struct row *r = db_query(rig.db,
		"SELECT uuid FROM alert WHERE condition=? ORDER BY id DESC LIMIT 1", "t",
		condition);
	assert_int_equal(row_next(r), 1);
	assert_true(row_uuid(r, 0, &id));
	return id;
}

static void acknowledge(const char *condition)
{
	struct uuid id = alert_of(condition);
	assert_int_equal(
		acknowledge_alert(&rig.gateway, rig.db, &id, "local:D-0001", "reached"), 1);
}

#define RAISED "bp-high R-0001: start active 3/3 doctor unconfirmed"

/* one condition */

static void test_ordinary(void **state)
{
	(void)state;
	deliver(0, 120, 80);
	deliver(60, 155, 95); /* a notice: below the least */
	assert_int_equal(COUNT("alert") + COUNT("alert_reading") + COUNT("alert_history") +
				 COUNT("escalation") + COUNT("pending_repeat"),
		0);
	assert_int_equal(COUNT("outbox"), 2);
}

static void test_raised(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	expect(RAISED);
	char text[64], wanted[64];
	/* two gateways and the platform say the same */
	uint8_t key[15 + 16];
	memcpy(key, "bp-high|R-0001|", 15);
	memcpy(key + 15, id.bytes, 16);
	struct uuid alert = uuid_of("alert", key, sizeof(key));
	hex(wanted, alert.bytes, 16);
	rig_text(&rig, text, sizeof(text), "SELECT lower(hex(uuid)) FROM alert");
	assert_string_equal(text, wanted);
	expect_text("SELECT revision||' '||recipient||' '||role||' '||step||' '||deliver||' '||"
		    "readings||' '||(reading=shown)||' '||in_contract||' '||json_extract(body,"
		    "'$.rules[0].id')||' '||doubts FROM alert",
		"1 D-0001 doctor 0 now 1 1 1 sbp-critical-high []");
	expect_text(
		"SELECT (raised=1795000000000000)||(since=raised)||told_day FROM alert", "1120775");
	assert_int_equal(COUNT("escalation"), 1);
	assert_int_equal(COUNT("outbox WHERE kind=1"), 1);
	/* told again by the instrument: known */
	deliver(10, 185, 95);
	assert_int_equal(COUNT("alert"), 1);
}

/* 180, with a margin of 5: 176 holds on, 174 is a warning, 156 holds it, 154 is good. */
static void test_lowered(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	deliver(60, 176, 95);
	expect(RAISED);
	assert_int_equal(COUNT("alert_reading"), 2);
	deliver(120, 174, 95);
	expect(RAISED "; deescalate active 2/3 doctor unconfirmed downgraded");
	deliver(180, 156, 95);
	deliver(240, 162, 95);
	deliver(2400, 154, 80);
	expect(RAISED "; deescalate active 2/3 doctor unconfirmed downgraded; end latched 0/3 "
		      "doctor unconfirmed");
	deliver(2460, 120, 80);
	expect_text("SELECT readings||' '||(ended=1795002400000000)||' '||"
		    "revision FROM alert WHERE length(ended_by)=16",
		"6 1 3");
}

static void test_higher(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	acknowledge("bp-high");
	deliver(60, 190, 95);
	deliver(90, 191, 95);
	deliver(120, 192, 95);
	expect("bp-high R-0001: start active 2/2 doctor; update active 2/2 doctor; escalate active "
	       "3/3 doctor unconfirmed; continue active 3/3 doctor unconfirmed; continue active 3/3 "
	       "doctor confirmed");
	expect_text("SELECT acked IS NULL AND ack_author IS NULL FROM alert", "1");
	expect_text("SELECT raised_revision FROM alert", "3");
	assert_int_equal(COUNT("escalation"), 1);
	/* the latest of the highest */
	expect_text("SELECT json_extract(body,'$.rules[0].value') FROM alert", "192");
}

static void test_new_after_acknowledgement(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	acknowledge("bp-high");
	deliver(60, 186, 95);
	expect(RAISED "; update active 3/3 doctor unconfirmed; end inactive 0/3 doctor unconfirmed "
		      "superseded\n" RAISED);
	assert_int_equal(COUNT("escalation"), 1);
}

static void test_resolved(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	deliver(600, 130, 80);
	expect(RAISED "; end latched 0/3 doctor unconfirmed resolved_by_repeat");
	acknowledge("bp-high");
	expect_text("SELECT state FROM alert", "inactive");
	assert_int_equal(COUNT("escalation"), 0);
}

/* A warning once a day; what is critical always. */
static void test_cool_down(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	deliver(60, 120, 80);
	deliver(HOUR, 166, 95);
	expect("bp-high R-0001: start active 2/2 doctor; end inactive 0/2 doctor; continue active "
	       "2/2 doctor");
	deliver(HOUR + 60, 120, 80);
	deliver(HOUR + 120, 185, 95);
	expect("bp-high R-0001: start active 2/2 doctor; end inactive 0/2 doctor; continue active "
	       "2/2 doctor; end inactive 0/2 doctor\n" RAISED);
	/* the critical one was told today, and is over: the warning is a part of it */
	acknowledge("bp-high");
	deliver(HOUR + 180, 120, 80);
	deliver(HOUR + 240, 165, 95);
	assert_int_equal(COUNT("alert"), 2);
	expect_text(
		"SELECT group_concat(state||level||severity) FROM (SELECT * FROM alert ORDER BY "
		"id)",
		"inactive0warning,active2critical");
	/* another day, another alert: 12 hours later it is tomorrow */
	deliver(HOUR + 300, 120, 80);
	deliver(13 * HOUR, 165, 95);
	assert_int_equal(COUNT("alert"), 3);
}

static void test_conditions(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	rig_add(&rig, u, &(struct rig_bp){185, 115, .pulse = 135})->live = true;
	assert_int_equal(rig_file(&rig, u), 0);
	expect(RAISED "\npulse-high R-0001: start active 3/3 doctor unconfirmed");
	expect_text("SELECT group_concat(json_extract(value,'$.id')) FROM alert,json_each(body,"
		    "'$.rules') WHERE condition='bp-high'",
		"sbp-critical-high,dbp-critical-high");
}

/* when */

static void test_late(void **state)
{
	(void)state;
	deliver(0, 185, 95, .taken_s = -11 * MINUTE);
	expect("bp-high R-0001: start active 3/3 doctor unconfirmed late");
	expect_text("SELECT deliver FROM alert", "now");
	acknowledge("bp-high");
	deliver(10, 186, 95, .taken_s = -10 * MINUTE);
	expect_text("SELECT doubts FROM alert ORDER BY id DESC", "[\"late\"]");
}

/* Of three hours ago: in the morning; and at once when there is one of now. */
static void test_morning(void **state)
{
	(void)state;
	deliver(0, 185, 95, .taken_s = -3 * HOUR);
	expect_text("SELECT deliver||(not_before>raised) FROM alert", "morning1");
	deliver(60, 186, 95, .taken_s = -2 * HOUR - 60);
	expect_text("SELECT deliver||revision FROM alert", "morning2");
	deliver(120, 187, 95);
	expect_text("SELECT deliver||revision||phase FROM alert", "now3continue");
	/* not one that was measured two hours ago to the second */
	setup(state);
	deliver(0, 185, 95, .taken_s = -2 * HOUR);
	expect_text("SELECT deliver FROM alert", "now");
}

static void test_overtaken(void **state)
{
	(void)state;
	deliver(0, 120, 80);
	deliver(60, 165, 95, .taken_s = -5 * MINUTE); /* a warning that was */
	assert_int_equal(COUNT("alert"), 0);
	deliver(120, 185, 95, .taken_s = -5 * MINUTE);
	expect("bp-high R-0001: start latched 0/3 doctor unconfirmed overtaken");
	expect_text("SELECT ended=1794999700000000 FROM alert", "1");
	deliver(180, 190, 95, .taken_s = -4 * MINUTE);
	expect("bp-high R-0001: start latched 0/3 doctor unconfirmed overtaken; continue latched "
	       "0/3 doctor unconfirmed overtaken");
	/* a good value of before ends nothing */
	deliver(240, 185, 95);
	deliver(300, 120, 80, .taken_s = -1 * MINUTE);
	expect_text("SELECT state||revision FROM alert", "active3");
}

/* It was overtaken by its own kind only. */
static void test_overtaken_by_another_kind(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	struct reading *r = rig_add(&rig, u, &(struct rig_bp){120, 80, .pulse = 70});
	r->live = true;
	r->n_quantities = 2; /* no pulse */
	assert_int_equal(rig_file(&rig, u), 0);
	struct vg_civil c = clock_civil(RIG_NOW - 300 * CLOCK_SECOND_US);
	u = rig_unit(&rig);
	u->offset_known = true;
	rig_add(&rig, u, &(struct rig_bp){120, 80, .pulse = 135, .taken = &c});
	assert_int_equal(rig_file(&rig, u), 0);
	expect("pulse-high R-0001: start active 3/3 doctor unconfirmed");
}

/* Whoever cannot say when it was is told of it at once, and overtakes nothing. */
static void test_time_unknown(void **state)
{
	(void)state;
	deliver(600, 120, 80);
	struct unit *u = rig_unit(&rig);
	rig_add(&rig, u, &(struct rig_bp){.sys = 185, .dia = 95});
	assert_int_equal(rig_file(&rig, u), 0);
	expect("bp-high R-0001: start active 3/3 doctor unconfirmed time_of_arrival");
	setup(state);
	u = rig_unit(&rig);
	u->arrived_us = 30 * CLOCK_SECOND_US; /* 1970 */
	rig_add(&rig, u, &(struct rig_bp){.sys = 185, .dia = 95});
	assert_int_equal(rig_file(&rig, u), 0);
	expect("bp-high R-0001: start active 3/3 staff unconfirmed out_of_contract clock_unknown");
}

/* whose */

static void test_nobody(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	deliver(0, 185, 95);
	deliver(60, 186, 95);
	deliver(120, 120, 80);
	expect("bp-high -: start active 3/3 staff unconfirmed unassigned\n"
	       "bp-high -: start active 3/3 staff unconfirmed unassigned");
}

static void test_out_of_contract(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE resident SET valid_to=1794000000000000");
	deliver(0, 185, 95);
	expect("bp-high R-0001: start active 3/3 staff unconfirmed out_of_contract");
	expect_text("SELECT recipient FROM alert", "S-0001");
}

/* The slot of a cuff that several use ends nothing that nobody acknowledged. */
static void test_slot(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE binding SET user_slot=1");
	for (int i = 0; i < 2; i++) {
		struct unit *u = rig_unit(&rig);
		u->arrived_us += i * 60 * CLOCK_SECOND_US;
		rig_add(&rig, u, &(struct rig_bp){i ? 120 : 185, 80, .user = 2})->live = true;
		assert_int_equal(rig_file(&rig, u), 0);
	}
	expect_text("SELECT group_concat(grade) FROM reading", "slot,slot");
	expect(RAISED);
	acknowledge("bp-high");
	struct unit *u = rig_unit(&rig);
	u->arrived_us += 120 * CLOCK_SECOND_US;
	rig_add(&rig, u, &(struct rig_bp){121, 80, .user = 2})->live = true;
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text("SELECT state FROM alert", "inactive");
}

/* leaving */

static int assign(const struct uuid *reading, int64_t resident)
{
	return intake_assign(&rig.gateway, rig.db, reading, resident);
}

static void test_wrong_person(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	assert_int_equal(assign(&id, 2), 0);
	expect(RAISED
		"; end inactive 0/3 doctor unconfirmed withdrawn wrong_person\nbp-high R-0002: "
		"start active 3/3 doctor unconfirmed late");
	expect_text("SELECT group_concat(recipient) FROM (SELECT * FROM alert ORDER BY id)",
		"D-0001,D-0002");
	assert_int_equal(COUNT("escalation"), 1);
	/* nobody's: likewise */
	assert_int_equal(assign(&id, 0), 0);
	expect_text("SELECT group_concat(state||coalesce(resident,'-')) FROM (SELECT * FROM alert "
		    "ORDER BY id)",
		"inactive1,inactive2,active-");
	/* and back: the same alert, anew */
	assert_int_equal(assign(&id, 1), 0);
	assert_int_equal(COUNT("alert"), 3);
	expect_text("SELECT state||phase||revision||raised_revision||readings FROM alert WHERE "
		    "resident=1",
		"activestart331");
	expect_text("SELECT state||labels FROM alert WHERE resident IS NULL",
		"inactive[\"unconfirmed\",\"withdrawn\",\"wrong_person\"]");
}

static void test_others_are_left(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	struct uuid second = deliver(60, 185, 95);
	deliver(120, 163, 95);
	assert_int_equal(assign(&second, 2), 0);
	expect_text(
		"SELECT group_concat(phase||' '||state||' '||level||severity||labels,'; ') FROM "
		"(SELECT h.* FROM alert_history h JOIN alert a ON a.uuid=h.alert WHERE "
		"resident=1 ORDER BY revision)",
		"start active 2warning[]; escalate active 3critical[\"unconfirmed\"]; deescalate "
		"active 2critical[\"unconfirmed\",\"downgraded\"]; deescalate active "
		"2warning[\"downgraded\"]");
	expect_text("SELECT json_extract(body,'$.rules[0].value')||' '||readings||' '||"
		    "coalesce(critical_at,'-') FROM alert WHERE resident=1",
		"163 2 -");
}

/* What a device says of itself is no proof: the alert stays, in doubt. */
static void test_identity_changed(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	rig_script(&rig, "UPDATE binding SET resident=2");
	assert_int_equal(reassess(&rig.gateway, rig.db, &id, NULL), 1);
	expect(RAISED
		"; update active 3/3 doctor unconfirmed identity_changed\nbp-high R-0002: start "
		"active 3/3 doctor unconfirmed late");
	/* somebody knows: it leaves what it was never of */
	assert_int_equal(assign(&id, 2), 0);
	expect_text("SELECT group_concat(state) FROM (SELECT * FROM alert ORDER BY id)",
		"active,active");
	assert_int_equal(assign(&id, 3), 0);
	expect_text("SELECT group_concat(state||resident) FROM (SELECT * FROM alert ORDER BY id)",
		"inactive1,inactive2,active3");
}

static void test_void(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	deliver(60, 165, 95);
	assert_int_equal(person_void(&rig.gateway, rig.db, &id, "movement", NULL), 0);
	expect(RAISED
		"; deescalate active 2/3 doctor unconfirmed downgraded; deescalate active 2/2 "
		"doctor downgraded");
	deliver(120, 166, 95);
	assert_int_equal(COUNT("alert_reading"), 2);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_void_the_last(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 165, 95);
	assert_int_equal(person_void(&rig.gateway, rig.db, &id, "movement", NULL), 0);
	expect("bp-high R-0001: start active 2/2 doctor; end inactive 0/2 doctor withdrawn voided");
	/* what was withdrawn was not told today */
	deliver(60, 165, 95);
	assert_int_equal(COUNT("alert"), 2);
}

/* The reading that ended it is none: it goes on. */
static void test_void_the_end(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	struct uuid good = deliver(60, 120, 80);
	assert_int_equal(person_void(&rig.gateway, rig.db, &good, "loose", NULL), 0);
	expect(RAISED
		"; end latched 0/3 doctor unconfirmed resolved_by_repeat; continue active 3/3 "
		"doctor unconfirmed");
	good = deliver(120, 121, 80);
	rig_script(&rig, "UPDATE binding SET resident=2");
	assert_int_equal(reassess(&rig.gateway, rig.db, &good, NULL), 1);
	expect_text("SELECT state||level||revision||(ended IS NULL)||(ended_by IS NULL) FROM alert",
		"active3511");
}

static void test_artefact(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	deliver(60, 185, 95);
	struct uuid alert = alert_of("bp-high");
	assert_int_equal(acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), 0);
	expect("bp-high R-0001: start active 2/2 doctor; escalate active 3/3 doctor unconfirmed; "
	       "deescalate active 2/2 doctor");
	expect_text("SELECT group_concat(coalesce(ack_outcome,'-')) FROM (SELECT * FROM "
		    "alert_history ORDER BY revision)",
		"-,-,artefact");
	assert_int_equal(COUNT("escalation"), 1); /* nobody acknowledged what is left */
	assert_int_equal(acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), 0);
	expect_text("SELECT state||labels||(acked IS NULL) FROM alert",
		"inactive[\"withdrawn\",\"artefact\"]1");
	assert_int_equal(
		acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), -EALREADY);
}

/* It was over before anybody said that it never was. */
static void test_artefact_of_a_closed_one(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	deliver(60, 120, 80);
	struct uuid alert = alert_of("bp-high");
	assert_int_equal(acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), 0);
	expect("bp-high R-0001: start active 2/2 doctor; end inactive 0/2 doctor; end inactive 0/2 "
	       "doctor withdrawn artefact");
}

static void test_corrected(void **state)
{
	(void)state;
	deliver(0, 185, 95, .identity = "1");
	deliver(60, 120, 80, .identity = "1", .corrected = true);
	expect(RAISED "; end latched 0/3 doctor unconfirmed corrected");
	deliver(120, 165, 95, .identity = "1", .corrected = true);
	expect(RAISED "; end latched 0/3 doctor unconfirmed corrected; continue active 2/3 doctor "
		      "unconfirmed");
	deliver(180, 190, 95, .identity = "1", .corrected = true);
	expect_text("SELECT revision||phase||level||readings||labels FROM alert",
		"5continue31[\"unconfirmed\"]");
}

/* A warning is over by it, and raised anew: the same alert. */
static void test_corrected_and_raised_anew(void **state)
{
	(void)state;
	deliver(0, 185, 95, .identity = "1");
	acknowledge("bp-high");
	deliver(60, 190, 95, .identity = "1", .corrected = true);
	expect(RAISED "; update active 3/3 doctor unconfirmed; end inactive 0/3 doctor unconfirmed "
		      "corrected; start active 3/3 doctor unconfirmed");
	expect_text("SELECT (acked IS NULL)||raised_revision||readings||joined FROM alert", "1411");
	/* of a void one nothing is said */
	struct uuid id = deliver(100, 120, 80, .identity = "2");
	assert_int_equal(person_void(&rig.gateway, rig.db, &id, "x", NULL), 0);
	deliver(120, 195, 95, .identity = "2", .corrected = true);
	assert_int_equal(COUNT("alert_reading"), 1);
}

static void test_merge(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	rig_script(&rig, "UPDATE binding SET resident=2");
	deliver(60, 186, 95);
	rig_script(&rig, "UPDATE binding SET resident=1");
	deliver(120, 165, 95);
	struct merged m;
	assert_int_equal(merge_residents(&rig.gateway, rig.db, 1, 2, &m), 0);
	expect("bp-high R-0002: start active 3/3 doctor unconfirmed; deescalate active 2/3 doctor "
	       "unconfirmed downgraded; update active 2/3 doctor unconfirmed downgraded\nbp-high "
	       "R-0002: start active 3/3 doctor unconfirmed");
	expect_text("SELECT group_concat(recipient) FROM (SELECT * FROM alert ORDER BY id)",
		"D-0001,D-0002");
	assert_int_equal(COUNT("alert_reading"), 3);
	/* both stay open until each is over; the one that was raised last is it */
	rig_script(&rig, "UPDATE binding SET resident=2");
	deliver(180, 120, 80);
	expect_text("SELECT group_concat(state) FROM (SELECT * FROM alert ORDER BY id)",
		"active,latched");
	deliver(240, 120, 80);
	expect_text("SELECT group_concat(state) FROM (SELECT * FROM alert ORDER BY id)",
		"latched,latched");
}

/* One command, several readings: all are filed, then each leaves and is judged, the first one first. */
static void test_held(void **state)
{
	(void)state;
	struct uuid a = deliver(0, 185, 95), b = deliver(60, 165, 95);
	alerts_hold(&rig.gateway);
	assert_int_equal(assign(&b, 2), 0);
	assert_int_equal(assign(&a, 2), 0);
	assert_int_equal(COUNT("alert WHERE resident=2"), 0);
	assert_int_equal(alerts_release(&rig.gateway, rig.db, 0), 0);
	expect_text("SELECT count(*)||group_concat(reading=(SELECT uuid FROM reading WHERE id=1)) "
		    "FROM alert WHERE resident=2",
		"11");
	assert_null(rig.gateway.held);
	alerts_hold(&rig.gateway);
	assert_int_equal(assign(&b, 1), 0);
	assert_int_equal(alerts_release(&rig.gateway, rig.db, -EIO), -EIO);
	assert_null(rig.gateway.held);
}

/* what is not judged */

static void test_switched_off(void **state)
{
	(void)state;
	rig.config.alerts = false;
	struct uuid id = deliver(0, 185, 95);
	deliver(1, 186, 95, .flag = "body_movement");
	assert_int_equal(assign(&id, 2), 0);
	assert_int_equal(COUNT("alert") + COUNT("pending_repeat"), 0);
	rig.config.alerts = true;
	struct unit *u = rig_unit(&rig);
	u->test = true;
	rig_add(&rig, u, &(struct rig_bp){.sys = 185, .dia = 95});
	assert_int_equal(rig_file(&rig, u), 0);
	assert_int_equal(COUNT("alert"), 0);
}

/* A limit of the doctor's for this resident is one more rule of the same condition. */
static void test_personal(void **state)
{
	(void)state;
	rig_script(&rig,
		"INSERT INTO personal_limit(resident,kind,side,milli,severity,author,reason,"
		"valid_from,valid_to) VALUES(1,'bp.sbp','at_least',150000,'critical','D-0001','x',0,"
		"1900000000000000)");
	struct uuid id = deliver(0, 151, 80);
	expect(RAISED);
	expect_text("SELECT json_extract(body,'$.rules[0].id') FROM alert", LIMIT_RULE);
	assert_int_equal(assign(&id, 2), 0);
	expect_text("SELECT state||count(*) FROM alert", "inactive1");
	assert_int_equal(assign(&id, 1), 0);
	expect_text("SELECT state||count(*) FROM alert", "active1");
}

/* the store */

/* All of one reading, or nothing. */
static void test_with_the_reading(void **state)
{
	static const char *const triggers[] = {
		"CREATE TRIGGER full BEFORE INSERT ON alert_history BEGIN SELECT raise(ABORT,'x'); END",
		"CREATE TRIGGER full BEFORE INSERT ON alert_reading BEGIN SELECT raise(ABORT,'x'); END",
		"CREATE TRIGGER full BEFORE INSERT ON escalation BEGIN SELECT raise(ABORT,'x'); END",
		"CREATE TRIGGER full BEFORE INSERT ON outbox WHEN new.kind=1 BEGIN SELECT "
		"raise(ABORT,'x'); END"};
	for (size_t i = 0; i < ELEMENTS(triggers); i++) {
		if (i)
			setup(state);
		rig_script(&rig, triggers[i]);
		struct unit *u = rig_unit(&rig);
		rig_add(&rig, u, &(struct rig_bp){.sys = 185, .dia = 95});
		assert_int_equal(rig_file(&rig, u), -EEXIST);
		assert_int_equal(COUNT("reading") + COUNT("alert") + COUNT("alert_history") +
					 COUNT("alert_reading") + COUNT("escalation"),
			0);
		if (i + 1 < ELEMENTS(triggers))
			teardown(state);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_ordinary),
		T(test_raised),
		T(test_lowered),
		T(test_higher),
		T(test_new_after_acknowledgement),
		T(test_resolved),
		T(test_cool_down),
		T(test_conditions),
		T(test_late),
		T(test_morning),
		T(test_overtaken),
		T(test_overtaken_by_another_kind),
		T(test_time_unknown),
		T(test_nobody),
		T(test_out_of_contract),
		T(test_slot),
		T(test_wrong_person),
		T(test_others_are_left),
		T(test_identity_changed),
		T(test_void),
		T(test_void_the_last),
		T(test_void_the_end),
		T(test_artefact),
		T(test_artefact_of_a_closed_one),
		T(test_corrected),
		T(test_corrected_and_raised_anew),
		T(test_merge),
		T(test_held),
		T(test_switched_off),
		T(test_personal),
		T(test_with_the_reading),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
