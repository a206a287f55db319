/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quiet hours and the morning: when a warning and its steps are due then, at whatever hour these tests run. */
#include "escalate_rig.h"

static int setup(void **state)
{
	(void)state;
	return open_with(RIG_SINK CHAIN);
}

/* From so many minutes after the test began to so many, at whatever hour it runs; whole minutes of the wall. */
static void be_quiet(int from, int to)
{
	struct vg_civil a = clock_civil(utc + from * MINUTE), b = clock_civil(utc + to * MINUTE);
	snprintf(rig.config.quiet, sizeof(rig.config.quiet), "%02u:%02u-%02u:%02u", a.hour % 24u,
		a.minute % 60u, b.hour % 24u, b.minute % 60u);
}

#define REVISION rig_int(&rig, "SELECT revision FROM alert")
#define DUE rig_int(&rig, "SELECT due FROM escalation")

/* Nobody is woken by a warning that somebody else did not answer. */
static void test_quiet(void **state)
{
	(void)state;
	be_quiet(200, 600);
	raise_alert("warning", 1, "active");
	begin(0);
	expect("SELECT deliver FROM alert", "now");
	assert_in_range(DUE, utc + 599 * MINUTE, utc + 600 * MINUTE);
	assert_in_range(rig_int(&rig, "SELECT due_boot FROM escalation"), boot + 599 * MINUTE,
		boot + 600 * MINUTE + CLOCK_SECOND_US);
	look(599 * 60 - 1);
	assert_int_equal(REVISION, 1);
	look(600 * 60 + 1);
	expect(HISTORY, "D-0001 doctor 0, H-0001 chain 1");
	/* its interval ends before they begin again, and the next one's does not */
	be_quiet(845, 1000);
	look(600 * 60 + 1 + 14402);
	expect("SELECT recipient FROM alert", "H-0009");
	be_quiet(1000, 1100);
	look(600 * 60 + 1 + 2 * 14402); /* minute 1080: it was made before these hours were set */
	assert_int_equal(REVISION, 3);
	assert_in_range(DUE, utc + 1099 * MINUTE, utc + 1100 * MINUTE);
	look(1099 * 60 - 1);
	assert_int_equal(REVISION, 3);
	look(1100 * 60 + 1);
	expect("SELECT recipient||labels||revision FROM alert", "H-0009[\"nobody_answered\"]4");
	/* told again and again: not in quiet hours, too */
	be_quiet(1200, 1500);
	look(1101 * 60 + 14402);
	assert_int_equal(REVISION, 4);
	look(1500 * 60 + 1);
	assert_int_equal(REVISION, 5);
}

/* They are for warnings alone; and while our clock is not set nobody knows the hour. */
static void test_not_quiet(void **state)
{
	int64_t next;
	(void)state;
	be_quiet(-60, 1200);
	raise_alert("critical", 1, "active");
	begin(0);
	look(902);
	assert_int_equal(REVISION, 2);
	rig_script(&rig, "UPDATE alert SET state='latched'");
	assert_int_equal(
		escalate_follow(&rig.gateway, rig.db, &id, ALERT_ACTIVE, ALERT_LATCHED), 0);
	look(14402);
	assert_int_equal(REVISION, 3);
	rig_script(&rig, "DELETE FROM alert; DELETE FROM alert_history; DELETE FROM escalation");
	rig.config.quiet[0] = 0;
	raise_alert("warning", 1, "active");
	begin(0);
	memcpy(rig.config.quiet, "00:00-23:59", 12);
	look_by(86400 * CLOCK_SECOND_US, boot + 241 * MINUTE, &next);
	assert_int_equal(REVISION, 2);
}

/* One that was critical, and is a warning since a reading left it, is due after fifteen minutes, but not at night; nor is one
 * that is reopened. */
static void test_quiet_since(void **state)
{
	(void)state;
	be_quiet(10, 100);
	raise_alert("critical", 1, "active");
	begin(0);
	rig_script(&rig, "UPDATE alert SET severity='warning'");
	look(902);
	assert_int_equal(REVISION, 1);
	assert_in_range(DUE, utc + 99 * MINUTE, utc + 100 * MINUTE);
	rig_script(&rig, "DELETE FROM escalation");
	be_quiet(-10, 100);
	assert_int_equal(escalate_resume(&rig.gateway, rig.db, &id), 0);
	assert_in_range(DUE, utc + 99 * MINUTE, utc + 100 * MINUTE);
	look(100 * 60 + 1);
	assert_int_equal(REVISION, 2);
}

/* After quiet hours, and in the morning: the time runs from then, by the longer interval. */
static void test_delayed(void **state)
{
	(void)state;
	be_quiet(-120, 60);
	/* who is there when it is told, not now */
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO absence(member,from_us,to_us,author) VALUES('D-0001',0,?,'a')",
			"i", utc + 30 * MINUTE),
		1);
	raise_alert("warning", 1, "active");
	begin(0);
	expect("SELECT deliver||recipient FROM alert", "after_quietD-0001");
	rig_script(&rig, "DELETE FROM absence");
	int64_t from = rig_int(&rig, "SELECT not_before FROM alert");
	assert_in_range(from, utc + 59 * MINUTE, utc + 60 * MINUTE);
	assert_int_equal(rig_int(&rig, "SELECT due FROM escalation"), from + 240 * MINUTE);
	assert_in_range(rig_int(&rig, "SELECT due_boot FROM escalation"), boot + 299 * MINUTE,
		boot + 300 * MINUTE + CLOCK_SECOND_US);
	rig_script(&rig, "DELETE FROM alert; DELETE FROM alert_history; DELETE FROM escalation");
	raise_alert("critical", 1, "active");
	begin(121 * MINUTE);
	expect("SELECT deliver FROM alert", "morning");
	from = rig_int(&rig, "SELECT not_before FROM alert");
	assert_int_equal(rig_int(&rig, "SELECT due FROM escalation"), from + 240 * MINUTE);
	/* one that is not late joins it: at once, and from the first step */
	rig_script(&rig,
		"UPDATE alert SET step=1, recipient='H-0001', sent=1, receipted=1, read_by='a', read_at=1");
	begin(60 * MINUTE);
	expect("SELECT deliver||step||recipient||(sent IS NULL)||(receipted IS NULL)||(read_by IS NULL)"
	       "||(read_at IS NULL) FROM alert",
		"now0D-00011111");
	assert_in_range(
		rig_int(&rig, "SELECT due FROM escalation"), utc + 15 * MINUTE, utc + 16 * MINUTE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_quiet),
		T(test_not_quiet),
		T(test_quiet_since),
		T(test_delayed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("escalate, quiet", tests, NULL, NULL);
}
