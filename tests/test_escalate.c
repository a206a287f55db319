/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whom an alert is told: one step after the other until somebody acknowledges, by CLOCK_BOOTTIME, whatever the wall clock
 * does and across a reboot. When it is told first: test_delivery.c; in quiet hours: test_escalate_quiet.c.
 */
#include "escalate_rig.h"

static int setup(void **state)
{
	(void)state;
	return open_with(RIG_SINK CHAIN);
}

static int setup_bare(void **state)
{
	(void)state;
	return open_with(RIG_SINK);
}

/* steps */

static void test_critical(void **state)
{
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	expect("SELECT staff||deliver||step||recipient FROM alert", "0now0D-0001");
	look(898);
	expect(HISTORY, "D-0001 doctor 0");
	look(902);
	expect(HISTORY, "D-0001 doctor 0, H-0001 chain 1");
	look(902 + 898);
	look(902 + 902);
	expect(HISTORY, "D-0001 doctor 0, H-0001 chain 1, H-0009 institution 2");
	/* the last one: after the interval again, and then every four hours */
	look(902 + 902 + 902);
	expect("SELECT recipient||step||labels||revision FROM alert",
		"H-00092[\"nobody_answered\"]4");
	look(902 + 902 + 902 + 14398);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 4);
	look(902 + 902 + 902 + 14402);
	look(902 + 902 + 902 + 14402 + 14402);
	expect("SELECT recipient||step||labels||revision||phase FROM alert",
		"H-00092[\"nobody_answered\"]6update");
	/* each is on its way once, the last revision only */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=1"), 1);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM outbox WHERE kind=1"), 6);
	assert_int_equal(
		rig_int(&rig, "SELECT pages FROM alert"), 6); /* each time somebody is told */
}

static void test_warning(void **state)
{
	(void)state;
	raise_alert("warning", 1, "active");
	begin(0);
	look(14398);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	look(14402);
	expect("SELECT recipient||step||deliver FROM alert", "H-00011now");
}

static void test_notice(void **state)
{
	(void)state;
	raise_alert("notice", 1, "active");
	begin(0);
	expect("SELECT deliver||recipient FROM alert", "listD-0001");
	assert_int_equal(rig_int(&rig, "SELECT pages FROM alert"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
	/* it was a warning, and pages no more */
	rig_script(&rig, "UPDATE alert SET severity='critical'");
	begin(0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 1);
	rig_script(&rig, "UPDATE alert SET severity='notice'");
	begin(0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
}

static void routed(const char *set, const char *expected)
{
	char sql[300];
	rig_script(&rig, "DELETE FROM alert; DELETE FROM alert_history; DELETE FROM escalation");
	raise_alert("critical", 1, "active");
	snprintf(sql, sizeof(sql), "UPDATE alert SET %s", set);
	rig_script(&rig, sql);
	begin(0);
	expect("SELECT staff||' '||recipient||' '||role FROM alert", expected);
}

static void test_route(void **state)
{
	(void)state;
	routed("in_contract=1", "0 D-0001 doctor");
	routed("resident=NULL", "1 S-0001 staff");
	routed("in_contract=0", "1 S-0001 staff");
	routed("place='fridge'", "1 S-0001 staff");
	routed("doubts='[\"motion\",\"clock_unknown\"]'", "1 S-0001 staff");
	routed("doubts='[\"time_of_arrival\"]'", "0 D-0001 doctor");
	routed("resident=3", "0 S-0001 staff"); /* has no doctor */
	routed("doubts='[\"no_clean_repeat\"]'", "1 S-0001 staff");
	/* the staff's own steps behind it, whatever the shown reading is by then */
	rig_script(&rig, "UPDATE alert SET doubts='[]', labels='[]'");
	look(902);
	expect("SELECT recipient||role FROM alert", "S-0002chain");
	/* it was told before no clean repeat came: not newly raised */
	rig_script(&rig, "UPDATE alert SET doubts='[\"no_clean_repeat\"]'");
	begin(0);
	expect("SELECT recipient FROM alert", "D-0001");
	/* raised anew by the same reading: this revision was told to nobody */
	rig_script(&rig, "UPDATE alert SET revision=revision+1");
	begin(0);
	expect("SELECT recipient FROM alert", "S-0001");
}

static void test_latched(void **state)
{
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	rig_script(&rig, "UPDATE alert SET state='latched', level=0");
	assert_int_equal(
		escalate_follow(&rig.gateway, rig.db, &id, ALERT_ACTIVE, ALERT_LATCHED), 0);
	look(14398);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	look(14402);
	expect("SELECT recipient FROM alert", "H-0001");
	look(14402 + 14398);
	expect("SELECT recipient FROM alert", "H-0001");
	look(14402 + 14402);
	expect("SELECT recipient FROM alert", "H-0009");
	/* what is due later stays so */
	rig_script(&rig, "UPDATE escalation SET due=9e15, due_boot=9e15");
	assert_int_equal(
		escalate_follow(&rig.gateway, rig.db, &id, ALERT_ACTIVE, ALERT_LATCHED), 0);
	assert_int_equal(rig_int(&rig, "SELECT due=9e15 AND due_boot=9e15 FROM escalation"), 1);
	/* active again: the earlier of what it was and now + its interval */
	rig_script(&rig, "UPDATE alert SET state='active'");
	assert_int_equal(
		escalate_follow(&rig.gateway, rig.db, &id, ALERT_LATCHED, ALERT_ACTIVE), 0);
	assert_in_range(
		rig_int(&rig, "SELECT due FROM escalation"), utc + 15 * MINUTE, utc + 16 * MINUTE);
	assert_in_range(rig_int(&rig, "SELECT due_boot FROM escalation"), boot + 15 * MINUTE,
		boot + 16 * MINUTE);
	rig_script(&rig, "UPDATE escalation SET due=5, due_boot=5");
	assert_int_equal(
		escalate_follow(&rig.gateway, rig.db, &id, ALERT_LATCHED, ALERT_ACTIVE), 0);
	assert_int_equal(rig_int(&rig, "SELECT due=5 AND due_boot=5 FROM escalation"), 1);
	/* and never before it is told at all */
	assert_int_equal(db_run(rig.db, "UPDATE alert SET deliver='morning', not_before=?", "i",
				 utc + 100 * MINUTE),
		1);
	rig_script(&rig, "UPDATE escalation SET due=9e15, due_boot=9e15");
	assert_int_equal(
		escalate_follow(&rig.gateway, rig.db, &id, ALERT_LATCHED, ALERT_ACTIVE), 0);
	assert_int_equal(rig_int(&rig, "SELECT due FROM escalation"), utc + 340 * MINUTE);
	rig_script(&rig, "UPDATE alert SET state='latched'");
	/* raised so: it never was in a hurry */
	rig_script(&rig, "DELETE FROM escalation");
	begin(0);
	assert_true(rig_int(&rig, "SELECT due FROM escalation") >= utc + 240 * MINUTE);
}

static void test_acknowledged(void **state)
{
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	rig_script(&rig, "UPDATE alert SET acked=1");
	assert_int_equal(escalate_end(rig.db, &id), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
	/* whoever forgot to say so: nobody is told all the same, and it is not looked at for ever */
	static const char *const over[] = {"UPDATE alert SET acked=1",
		"UPDATE alert SET acked=NULL, state='inactive'", "DELETE FROM alert"};
	for (size_t i = 0; i < ELEMENTS(over); i++) {
		rig_script(&rig, "UPDATE alert SET acked=NULL, state='active'");
		begin(0);
		int64_t revision = rig_int(&rig, "SELECT revision FROM alert");
		rig_script(&rig, over[i]);
		look(902);
		assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
		assert_true(i == 2 || rig_int(&rig, "SELECT revision FROM alert") == revision);
	}
}

/* A warning that was over is reopened: the next step when it was due, not from the beginning. */
static void test_reopened(void **state)
{
	int64_t next;
	(void)state;
	raise_alert("warning", 1, "active");
	begin(0);
	rig_script(&rig, "UPDATE alert SET state='inactive'");
	assert_int_equal(escalate_end(rig.db, &id), 0);
	look_by(utc + 300 * MINUTE, boot + 300 * MINUTE, &next);
	assert_true(next == INT64_MAX);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	rig_script(&rig, "UPDATE alert SET state='active'");
	assert_int_equal(escalate_resume(&rig.gateway, rig.db, &id), 0);
	look(14398);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	look(14402);
	expect("SELECT recipient FROM alert", "H-0001");
	/* it begins again while it rests: it is due as if it were new */
	rig_script(&rig, "UPDATE alert SET state='inactive'");
	assert_int_equal(escalate_end(rig.db, &id), 0);
	begin(0);
	assert_int_equal(rig_int(&rig, "SELECT rests FROM escalation"), 0);
	rig_script(&rig, "UPDATE alert SET step=1");
	/* forgotten after two days: then it is due at once */
	rig_script(&rig, "UPDATE alert SET state='inactive'");
	assert_int_equal(escalate_end(rig.db, &id), 0);
	look(3 * 86400);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
	rig_script(&rig, "UPDATE alert SET state='active'");
	assert_int_equal(escalate_resume(&rig.gateway, rig.db, &id), 0);
	look(1);
	expect("SELECT recipient FROM alert", "H-0009");
	/* one that was acknowledged is not kept for that */
	rig_script(&rig, "UPDATE alert SET acked=1");
	assert_int_equal(escalate_end(rig.db, &id), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
	rig_script(&rig, "UPDATE alert SET acked=NULL");
	/* one that was acknowledged, and a notice: nothing is due */
	rig_script(&rig, "DELETE FROM escalation; UPDATE alert SET acked=1");
	assert_int_equal(escalate_resume(&rig.gateway, rig.db, &id), 0);
	rig_script(&rig, "UPDATE alert SET acked=NULL, severity='notice'");
	assert_int_equal(escalate_resume(&rig.gateway, rig.db, &id), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 0);
}

/* Nobody is there: who is the last resort is told, and whoever comes back. */
static void test_nobody(void **state)
{
	(void)state;
	rig_script(&rig,
		"INSERT INTO absence(member,from_us,to_us,author) VALUES('D-0001',0,9e18,'a'),"
		"('H-0001',0,9e18,'a')");
	raise_alert("critical", 1, "active");
	begin(0);
	expect("SELECT recipient||role||step FROM alert", "S-0001staff0");
	look(902);
	expect("SELECT recipient||role||step||labels FROM alert",
		"S-0001staff0[\"nobody_answered\"]");
	rig_script(&rig, "UPDATE absence SET to_us=0 WHERE member='D-0001'");
	look(902 + 14402);
	expect("SELECT recipient||role||step||labels FROM alert",
		"D-0001doctor0[\"nobody_answered\"]");
	/* a step behind it has somebody after all, and then it has not: back to whoever is there */
	rig_script(&rig, "UPDATE absence SET to_us=0");
	look(902 + 14402 + 14402);
	expect("SELECT recipient||role||step FROM alert", "H-0001chain1");
	rig_script(&rig, "UPDATE absence SET to_us=9e18 WHERE member='H-0001'");
	look(902 + 14402 + 14402 + 902);
	expect("SELECT recipient||role||step FROM alert", "D-0001doctor0");
	rig_script(&rig, "UPDATE absence SET to_us=9e18");
	look(902 + 14402 + 14402 + 902 + 14402);
	expect("SELECT recipient||role||step FROM alert", "S-0001staff0");
	/* from the first step again: somebody may answer now */
	begin(0);
	expect("SELECT recipient||role||step||labels FROM alert", "S-0001staff0[]");
}

/* our clock */

static int setup_plain(void **state)
{
	int rc = setup_bare(state);
	rig_script(&rig, "UPDATE resident SET chain='H-0001;H-0002' WHERE id=1");
	return rc;
}

static void test_clock_steps(void **state)
{
	int64_t next;
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	/* a day ahead, and then back to 1970: by CLOCK_BOOTTIME nothing is due */
	look_by(utc + 1440 * MINUTE, boot + 10 * MINUTE, &next);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	assert_in_range(next, boot + 15 * MINUTE, boot + 16 * MINUTE);
	look_by(0, boot + 15 * MINUTE + 2 * CLOCK_SECOND_US, &next);
	expect("SELECT recipient FROM alert", "H-0001");
	assert_int_equal(next, boot + 30 * MINUTE + 2 * CLOCK_SECOND_US);
	look_by(utc, boot + 30 * MINUTE + 3 * CLOCK_SECOND_US, &next);
	expect("SELECT recipient FROM alert", "H-0002");
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 3);
}

/* The process is another one: nothing is told twice, nothing is forgotten. */
static void test_restart(void **state)
{
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	db_close(TAKE(rig.db));
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(watch_begin(&rig.gateway, rig.db, utc + MINUTE, boot + MINUTE, true), 0);
	rig_script(&rig, "COMMIT");
	look(898);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	look(902);
	look(903);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 2);
}

/* As if the row had been written before the machine was started anew, and it is `utc_us` now: when is it due, seconds
 * after that start? -1: at once. */
static int64_t due_after_reboot(int64_t since_us, int64_t due_us, int64_t now_us)
{
	const int64_t up_us = 40 * CLOCK_SECOND_US;
	assert_int_equal(db_run(rig.db,
				 "UPDATE escalation SET boot_id=zeroblob(16), since=?, due=?, "
				 "due_boot=9e15",
				 "ii", since_us, due_us),
		1);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(watch_begin(&rig.gateway, rig.db, now_us, up_us, true), 0);
	rig_script(&rig, "COMMIT");
	int64_t due = rig_int(&rig, "SELECT due_boot FROM escalation");
	return due ? (due - up_us) / CLOCK_SECOND_US : -1;
}

static void test_reboot(void **state)
{
	int64_t next;
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	int64_t due = utc + 15 * MINUTE;
	/* of another boot: nobody knows yet when it is due here */
	rig_script(&rig, "UPDATE escalation SET boot_id=zeroblob(16), due_boot=1");
	look_by(utc, boot, &next);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	assert_int_equal(due_after_reboot(utc, due, utc + 5 * MINUTE), 600);
	assert_int_equal(due_after_reboot(utc, due, utc + 15 * MINUTE), -1);
	assert_int_equal(due_after_reboot(utc, due, utc + 16 * MINUTE), -1);
	/* back before it was told, never set, or set only now: over */
	assert_int_equal(due_after_reboot(utc, due, utc - MINUTE), -1);
	assert_int_equal(due_after_reboot(utc, due, 5 * MINUTE), -1);
	assert_int_equal(due_after_reboot(5 * MINUTE, 20 * MINUTE, utc), -1);
	look_by(utc, 41 * CLOCK_SECOND_US, &next);
	expect("SELECT recipient FROM alert", "H-0001");
	assert_int_equal(next, (15 * 60 + 41) * CLOCK_SECOND_US);
}

/* Two that are due together: in the order in which they were raised. And more than one look tells. */
static void test_many(void **state)
{
	int64_t next;
	(void)state;
	for (int i = 0; i < 70; i++) {
		id = uuid_of("alert", &(int){69 - i}, sizeof(int));
		raise_alert("critical", 1, "active");
		begin(0);
	}
	assert_int_equal(db_run(rig.db, "UPDATE escalation SET due_boot=?", "i", boot), 70);
	look_by(utc, boot, &next);
	assert_int_equal(next, boot); /* at once */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert WHERE step=1"), 64);
	assert_int_equal(rig_int(&rig, "SELECT max(id) FROM alert WHERE step=1"), 64);
	look_by(utc, boot, &next);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM alert WHERE step=1 AND revision=2"), 70);
	assert_int_equal(next, boot + 15 * MINUTE);
}

/* Alerts are off: what waits is kept. */
static void test_switched_off(void **state)
{
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	rig.config.alerts = false;
	look(902);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	rig.config.alerts = true;
	look(903);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 2);
}

/* What one transaction did is undone with it. */
static void test_rolled_back(void **state)
{
	int64_t next;
	(void)state;
	raise_alert("critical", 1, "active");
	begin(0);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(
		watch_look(&rig.gateway, rig.db, utc + 16 * MINUTE, boot + 16 * MINUTE, &next), 0);
	rig_script(&rig, "ROLLBACK");
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 1);
	look(960);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 2);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert_history"), 2);
}

int main(void)
{
#define T(name, up) cmocka_unit_test_setup_teardown(name, up, teardown)
	const struct CMUnitTest tests[] = {
		T(test_critical, setup),
		T(test_warning, setup),
		T(test_notice, setup),
		T(test_route, setup),
		T(test_latched, setup),
		T(test_acknowledged, setup),
		T(test_reopened, setup),
		T(test_nobody, setup_bare),
		T(test_clock_steps, setup_plain),
		T(test_restart, setup),
		T(test_reboot, setup_plain),
		T(test_many, setup_plain),
		T(test_switched_off, setup),
		T(test_rolled_back, setup),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("escalate", tests, NULL, NULL);
}
