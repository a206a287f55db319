/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What readings make of the alerts of their resident. The rules: tests/sim/ALERTS.md, sections 3 and 4. */
#include "alerts_rig.h"

#include "limit.h"

static int assign(const struct uuid *reading, int64_t resident)
{
	return intake_assign(&rig.gateway, rig.db, reading, resident);
}

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
	int64_t due = rig_int(&rig, "SELECT due_boot FROM escalation");
	deliver(600, 130, 80);
	/* nobody hurries any more, until it is so again */
	assert_true(rig_int(&rig, "SELECT due_boot FROM escalation") >
		    due + 3 * HOUR * CLOCK_SECOND_US);
	expect(RAISED "; end latched 0/3 doctor unconfirmed resolved_by_repeat");
	deliver(660, 186, 95);
	assert_true(
		rig_int(&rig, "SELECT due_boot FROM escalation") < due + HOUR * CLOCK_SECOND_US);
	deliver(720, 130, 80);
	acknowledge("bp-high");
	expect_text("SELECT state FROM alert", "inactive");
	assert_int_equal(COUNT("escalation"), 0);
}

/* A warning once a day; what is critical always. */
/* Without a clock every boot has the same day: what was told in an earlier one was told nobody today. */
static void test_no_cool_down_by_no_clock(void **state)
{
	(void)state;
	const int day_one = (int)(3 * HOUR - RIG_NOW / CLOCK_SECOND_US);
	deliver(day_one, 165, 95);
	deliver(day_one + 60, 120, 80);
	rig_script(&rig, "UPDATE alert SET boot_id=zeroblob(16)");
	deliver(day_one + HOUR, 165, 95);
	assert_int_equal(COUNT("alert"), 2);
}

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
	/* raised today, yesterday or higher today: told today */
	deliver(14 * HOUR, 120, 80);
	deliver(15 * HOUR, 165, 95);
	assert_int_equal(COUNT("alert"), 3);
	teardown(state);
	setup(state);
	deliver(0, 165, 95);
	deliver(13 * HOUR, 185, 95);
	acknowledge("bp-high");
	deliver(14 * HOUR, 120, 80);
	deliver(15 * HOUR, 165, 95);
	assert_int_equal(COUNT("alert"), 1);
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

static void test_late(void **state)
{
	(void)state;
	deliver(0, 185, 95, .taken_s = -11 * MINUTE);
	expect("bp-high R-0001: start active 3/3 doctor unconfirmed late");
	expect_text("SELECT deliver FROM alert", "now");
	acknowledge("bp-high");
	deliver(10, 186, 95, .taken_s = -10 * MINUTE);
	expect_text("SELECT doubts FROM alert ORDER BY id DESC", "[\"late\"]");
	/* ten minutes are not late */
	teardown(state);
	setup(state);
	deliver(0, 185, 95, .taken_s = -10 * MINUTE);
	expect(RAISED);
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
	teardown(state);
	setup(state);
	deliver(0, 185, 95, .taken_s = -3 * HOUR);
	deliver(60, 186, 95, .taken_s = -2 * HOUR + 60);
	expect_text("SELECT deliver||revision FROM alert", "now2");
	/* not one that was measured two hours ago to the second */
	teardown(state);
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

/* Beside one that somebody acknowledged it is one of its own; the next that is overtaken joins that. */
static void test_overtaken_beside_another(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	acknowledge("bp-high");
	deliver(60, 186, 95, .taken_s = -60);
	deliver(120, 187, 95, .taken_s = -30);
	expect(RAISED
		"; update active 3/3 doctor unconfirmed\nbp-high R-0001: start latched 0/3 doctor "
		"unconfirmed overtaken; continue latched 0/3 doctor unconfirmed overtaken");
	/* what is measured now is of the one that is active */
	deliver(180, 165, 95);
	expect_text("SELECT group_concat(state||level,' ') FROM (SELECT * FROM alert ORDER BY id)",
		"active2 latched0");
}

/* Our clock was years ahead for a while, and nothing dated again what came then: nobody is overtaken by what is not yet. */
static void test_not_overtaken_by_the_future(void **state)
{
	(void)state;
	deliver(5 * 365 * 24 * HOUR, 120, 80);
	deliver(0, 185, 95);
	expect(RAISED);
	deliver(2 * 24 * HOUR, 120, 80, .taken_s = 4 * MINUTE + 2 * 24 * HOUR); /* a little ahead */
	expect(RAISED "; end latched 0/3 doctor unconfirmed");
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
	teardown(state);
	setup(state);
	u = rig_unit(&rig);
	u->arrived_us = 30 * CLOCK_SECOND_US; /* 1970 */
	rig_add(&rig, u, &(struct rig_bp){.sys = 185, .dia = 95});
	assert_int_equal(rig_file(&rig, u), 0);
	expect("bp-high R-0001: start active 3/3 staff unconfirmed out_of_contract clock_unknown");
}

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

/* An old one out of a memory, or one by a clock that nobody compared, ends nothing that nobody acknowledged. */
static void deliver_untrusted(int at_s, int sys, bool dated)
{
	struct vg_civil c = clock_civil(RIG_NOW + (at_s - 10) * CLOCK_SECOND_US);
	struct unit *u = rig_unit(&rig);
	u->arrived_us += at_s * CLOCK_SECOND_US;
	rig_add(&rig, u, &(struct rig_bp){sys, 80, .taken = dated ? &c : NULL})->live = false;
	assert_int_equal(rig_file(&rig, u), 0);
}

static void test_untrusted(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	deliver_untrusted(60, 120, true);
	deliver_untrusted(120, 165, false); /* nor lowers it */
	expect(RAISED);
	expect_text("SELECT group_concat(trust) FROM (SELECT trust FROM reading ORDER BY id)",
		"live,device,arrival");
	assert_int_equal(COUNT("alert_reading"), 1);
	acknowledge("bp-high");
	deliver_untrusted(180, 165, false);
	deliver_untrusted(240, 121, true);
	expect_text("SELECT state||level FROM alert", "inactive0");
	/* a warning they end */
	rig_script(&rig, "DELETE FROM alert");
	deliver(300, 165, 95);
	deliver_untrusted(360, 120, false);
	expect_text("SELECT state||severity FROM alert", "inactivewarning");
	/* and what is critical in them is critical */
	deliver_untrusted(420, 185, false);
	expect_text("SELECT state||severity FROM alert ORDER BY id DESC LIMIT 1", "activecritical");
}

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
	const struct CMUnitTest tests[] = {
		T(test_ordinary),
		T(test_raised),
		T(test_lowered),
		T(test_higher),
		T(test_new_after_acknowledgement),
		T(test_resolved),
		T(test_cool_down),
		T(test_no_cool_down_by_no_clock),
		T(test_conditions),
		T(test_late),
		T(test_morning),
		T(test_overtaken),
		T(test_overtaken_beside_another),
		T(test_overtaken_by_another_kind),
		T(test_not_overtaken_by_the_future),
		T(test_time_unknown),
		T(test_nobody),
		T(test_out_of_contract),
		T(test_slot),
		T(test_untrusted),
		T(test_switched_off),
		T(test_personal),
		T(test_with_the_reading),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
