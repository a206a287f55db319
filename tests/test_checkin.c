/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Check-ins as persons make them: next, again, undo, instead, split, the health hut; and that what they change is decided
 * again, all of it or nothing.
 */
#include "station_rig.h"

#define R1 "R-0001 checkin station"
#define R2 "R-0002 checkin station"
#define NOBODY "- not_bound none"
#define BETWEEN "- between_two_checkins none"
#define UNDONE "- checkin_undone none"
#define AFTER1 "R-0001 identified_after station"
#define LIVE(...)             \
	(struct station_told) \
	{                     \
		__VA_ARGS__   \
	}
#define MINUTE 60

static void expect(const struct uuid *id, const char *what)
{
	station_expect(&rig, id, what);
}

static void expect_text(const char *sql, const char *expected)
{
	char text[512];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

#define WINDOWS                                                                                 \
	"SELECT group_concat(coalesce(resident,'-')||purpose||((from_us-1795000000000000)/"     \
	"1000000)||'-'||coalesce((to_us-1795000000000000)/1000000,'')||coalesce(ended,''),' ')" \
	" FROM checkin"

static void test_next_and_again(void **state)
{
	(void)state;
	int64_t first = station_in(&rig, 0, STATION_R1, NULL);
	assert_int_equal(station_in(&rig, 100, STATION_R1, NULL), first);
	expect_text(WINDOWS, "1exam0-");
	assert_int_equal(station_in(&rig, 200, STATION_R1, "follow-up"), first);
	assert_int_equal(station_in(&rig, 220, STATION_R1, NULL), first); /* as it was */
	expect_text(WINDOWS, "1follow-up0-");
	assert_true(station_in(&rig, 300, STATION_R2, "hut") != first);
	expect_text(WINDOWS, "1follow-up0-300next 2hut300-");
	expect_text("SELECT group_concat((to_us-from_us)||'/'||(to_boot-from_boot)) FROM checkin "
		    "WHERE to_us IS NOT NULL",
		"300000000/300000000");
	assert_int_equal(station_out(&rig, 310), 0);
	assert_int_equal(station_out(&rig, 311), -ENOENT);
	expect_text(WINDOWS, "1follow-up0-300next 2hut300-310checkout");
	/* idle: noticed by the next one */
	station_in(&rig, 400, STATION_R1, NULL);
	assert_int_equal(station_out(&rig, 580), -ENOENT);
	station_in(&rig, 600, STATION_R1, NULL);
	expect_text(WINDOWS, "1follow-up0-300next 2hut300-310checkout 1exam400-580idle 1exam600-");
}

static void test_undo(void **state)
{
	(void)state;
	assert_int_equal(station_undo(&rig, 0), -ENOENT);
	station_in(&rig, 0, STATION_R1, "follow-up");
	struct uuid a = station_measure(&rig, LIVE(.at = 40)),
		    b = station_measure(&rig, LIVE(.at = 80, .patient = "R-0001")),
		    c = station_measure(&rig, LIVE(.at = 90, .patient = "R-0002"));
	expect(&c, "- checkin_contradicts_message none");
	expect_text("SELECT count(*) FROM evidence WHERE resident=1", "6");
	expect_text("SELECT group_concat(state) FROM visit", "open");
	rig_script(&rig, "DELETE FROM outbox");
	assert_int_equal(station_undo(&rig, 100), 0);
	expect(&a, UNDONE);
	expect(&b, "R-0001 message_token message");
	expect(&c, "R-0002 message_token message"); /* nothing contradicts any more */
	expect_text("SELECT group_concat(resident||kind) FROM (SELECT * FROM evidence ORDER BY "
		    "resident,kind)",
		"1bp.dbp,1bp.pulse,1bp.sbp,2bp.dbp,2bp.pulse,2bp.sbp");
	expect_text(
		"SELECT count(*) FROM outbox WHERE kind=0", "3"); /* the platform hears of all */
	expect_text("SELECT group_concat(state) FROM visit", "entered-in-error");
	/* its window stays until it is idle */
	struct uuid d = station_measure(&rig, LIVE(.at = 150));
	expect(&d, UNDONE);
	assert_int_equal(station_out(&rig, 160), -ENOENT);
	assert_int_equal(station_undo(&rig, 160), -EALREADY);
	station_in(&rig, 170, STATION_R2, NULL);
	struct uuid e = station_measure(&rig, LIVE(.at = 201));
	expect(&e, R2);
}

static void test_undo_limits(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid a = station_measure(&rig, LIVE(.at = 40));
	assert_int_equal(station_undo(&rig, 15 * MINUTE + 0.001), -ETIME);
	expect(&a, R1);
	assert_int_equal(station_undo(&rig, 15 * MINUTE),
		0); /* it is over by then, and undone all the same */
	expect(&a, UNDONE);
	assert_int_equal(station_undo(&rig, 16 * MINUTE), -ETIME);
	/* our clock is set in between */
	station_in(&rig, 2000, STATION_R1, "exam");
	station_step_us = 7200 * CLOCK_SECOND_US;
	assert_int_equal(station_undo(&rig, 2060), 0);
}

/* Of another boot, by a clock that was behind: nobody knows how long ago. */
static void test_undo_in_the_past(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	rig_script(&rig, "UPDATE checkin SET boot_id=randomblob(16)");
	assert_int_equal(station_undo(&rig, -5), -ETIME);
	assert_int_equal(station_undo(&rig, 5), 0);
}

/* Of another boot it goes on from now, when the time of day is sure. */
static void test_again_after_a_reboot(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	rig_script(&rig, "UPDATE checkin SET boot_id=randomblob(16)");
	station_in(&rig, 100, STATION_R1, "follow-up");
	station_synced = 0;
	station_in(&rig, 200, STATION_R1, "exam");
	expect_text("SELECT purpose||(activity_us-from_us)||'/'||(activity_boot-from_boot) FROM "
		    "checkin",
		"exam100000000/100000000");
}

static void test_instead(void **state)
{
	(void)state;
	assert_int_equal(station_instead(&rig, 0, STATION_R2), -ENOENT);
	station_in(&rig, 0, STATION_R1, "follow-up");
	struct uuid a = station_measure(&rig, LIVE(.at = 40));
	assert_int_equal(station_instead(&rig, 50, STATION_R1), -EALREADY);
	assert_int_equal(station_instead(&rig, 60, STATION_R2), 0);
	expect(&a, R2);
	struct uuid b = station_measure(&rig, LIVE(.at = 100));
	expect(&b, R2);
	expect_text(WINDOWS, "2follow-up0-");
	/* both programmes of R-0002; R-0001 was never here */
	expect_text("SELECT group_concat(resident||state,' ') FROM (SELECT * FROM visit ORDER BY "
		    "resident)",
		"1entered-in-error 2open 2open");
	/* what is nobody's can be somebody's again, and one that is over as well */
	assert_int_equal(station_out(&rig, 110), 0);
	assert_int_equal(station_undo(&rig, 120), 0);
	assert_int_equal(station_instead(&rig, 130, STATION_R1), 0);
	expect(&a, R1);
	expect(&b, R1);
	expect_text(WINDOWS, "1follow-up0-110checkout");
	expect_text("SELECT group_concat(state) FROM visit WHERE resident=1 AND "
		    "state<>'entered-in-error'",
		"closed");
	assert_int_equal(station_instead(&rig, 15 * MINUTE + 1, STATION_R2), -ETIME);
	assert_int_equal(station_instead(&rig, 15 * MINUTE + 1, STATION_R1), -ETIME);
}

/* What a person said about a reading no check-in undoes. */
static void test_person_stays(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid a = station_measure(&rig, LIVE(.at = 40)),
		    b = station_measure(&rig, LIVE(.at = 41));
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &a, STATION_R3), 0);
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &b, 0), 0);
	assert_int_equal(station_instead(&rig, 60, STATION_R2), 0);
	expect(&a, "R-0003 assigned_by_person person");
	expect(&b, "- assigned_by_person none");
	assert_int_equal(station_undo(&rig, 61), 0);
	expect(&a, "R-0003 assigned_by_person person");
	expect_text("SELECT max(revision) FROM reading", "2");
}

static void test_split(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "follow-up");
	struct uuid a = station_measure(&rig, LIVE(.at = 40)),
		    b = station_measure(&rig, LIVE(.at = 100)),
		    c = station_measure(&rig, LIVE(.at = 160));
	assert_int_equal(station_split(&rig, 170, &b, STATION_R1), -EALREADY);
	assert_int_equal(station_split(&rig, 170, &b, STATION_R2), 0);
	expect(&a, R1);
	expect(&b, R2); /* and the rest, which is still going on */
	expect(&c, R2);
	struct uuid d = station_measure(&rig, LIVE(.at = 200));
	expect(&d, R2);
	expect_text(WINDOWS, "1follow-up0-70split 2follow-up70-");
	expect_text("SELECT group_concat(source) FROM checkin", "typed,split");
	expect_text("SELECT group_concat(resident||state,' ') FROM (SELECT * FROM visit ORDER BY "
		    "resident)",
		"1closed 2open 2open");
	/* long after, and again */
	assert_int_equal(station_split(&rig, 90000, &c, STATION_R3), 0);
	expect(&b, R2);
	expect(&c, "R-0003 checkin station");
	expect(&d, "R-0003 checkin station");
	expect_text(WINDOWS, "1follow-up0-70split 2follow-up70-130split 3follow-up130-380idle");
	struct uuid nobody = station_measure(&rig, LIVE(.at = 90001)), unknown = uuid_random();
	assert_int_equal(station_split(&rig, 90002, &nobody, STATION_R2), -ENOENT);
	assert_int_equal(station_split(&rig, 90002, &unknown, STATION_R2), -ENOENT);
}

/* The first measuring began before the check-in: then nothing of it is left. */
static void test_split_all(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid a = station_measure(&rig, LIVE(.at = 10)),
		    b = station_measure(&rig, LIVE(.at = 40));
	assert_int_equal(station_split(&rig, 50, &a, STATION_R2), 0);
	expect(&a, R2);
	expect(&b, R2);
	expect_text(WINDOWS, "2exam0-"); /* and does not reach into the one before */
}

/* The next one was nobody's, because the two could not be told apart; now they are one. */
static void test_split_joins(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid a = station_measure(&rig, LIVE(.at = 40));
	station_in(&rig, 60, STATION_R2, "exam");
	struct uuid b = station_measure(&rig, LIVE(.at = 70));
	expect(&b, BETWEEN);
	assert_int_equal(station_split(&rig, 80, &a, STATION_R2), 0);
	expect(&a, R2);
	expect(&b, R2);
	expect_text("SELECT count(*) FROM reading WHERE reasons IS NOT NULL AND superseded=0", "0");
}

/* the health hut */

static void test_hut(void **state)
{
	(void)state;
	struct uuid early = station_measure(&rig, LIVE(.at = -400)),
		    other = station_measure(&rig, LIVE(.at = -100, .station = "set")),
		    a = station_measure(&rig, LIVE(.at = -200)),
		    b = station_measure(&rig, LIVE(.at = -20));
	station_in(&rig, 0, STATION_R1, "hut");
	expect(&early, NOBODY); /* more than three minutes before the next */
	expect(&other, NOBODY);
	expect(&a, AFTER1);
	expect(&b, AFTER1);
	struct uuid c = station_measure(&rig, LIVE(.at = 30));
	expect(&c, R1); /* this one came when it was known who is there */
	expect_text(WINDOWS, "1hut-230-");
	expect_text("SELECT count(*) FROM visit", "0");
	/* and all of it can be taken back */
	assert_int_equal(station_undo(&rig, 60), 0);
	expect(&a, UNDONE);
	expect(&b, UNDONE);
	expect(&c, UNDONE);
	assert_int_equal(station_instead(&rig, 61, STATION_R2), 0);
	expect(&a, "R-0002 identified_after station");
	expect(&c, R2);
}

static void test_hut_limits(void **state)
{
	(void)state;
	/* ten minutes, to the last measuring */
	struct uuid a = station_measure(&rig, LIVE(.at = -600.001));
	station_in(&rig, 0, STATION_R1, "hut");
	expect(&a, NOBODY);
	assert_int_equal(station_out(&rig, 1), 0);
	struct uuid b = station_measure(&rig, LIVE(.at = 1000)),
		    c = station_measure(&rig, LIVE(.at = 1180));
	station_in(&rig, 1780, STATION_R1, "hut");
	expect(&b, AFTER1); /* the session's beginning may be longer ago */
	expect(&c, AFTER1);
	/* not before the end of the one before */
	struct uuid d = station_measure(&rig, LIVE(.at = 1781));
	station_out(&rig, 1785);
	struct uuid e = station_measure(&rig, LIVE(.at = 1816));
	station_in(&rig, 1820, STATION_R2, "hut");
	expect(&d, R1);
	expect(&e, "R-0002 identified_after station");
	expect_text(
		"SELECT (from_us-1795000000000000)/1000000 FROM checkin ORDER BY id DESC", "1786");
}

/* Somebody else came and went in between: what was measured before that is nobody's. */
static void test_hut_after_another(void **state)
{
	(void)state;
	struct uuid a = station_measure(&rig, LIVE(.at = 0));
	station_in(&rig, 10, STATION_R1, "exam");
	station_out(&rig, 20);
	struct uuid b = station_measure(&rig, LIVE(.at = 60));
	station_in(&rig, 100, STATION_R2, "hut");
	expect(&a, NOBODY);
	expect(&b, "R-0002 identified_after station");
	expect_text("SELECT (from_us-1795000000000000)/1000000 FROM checkin WHERE id=2", "20");
	/* nor does one that is still there share with the next */
	station_in(&rig, 110, STATION_R1, "hut");
	expect(&b, "R-0002 identified_after station");
}

/* What others claim, what is not dated, what is void or a test, and another purpose set nothing back. */
static void test_hut_not(void **state)
{
	(void)state;
	struct uuid typed = station_measure(&rig, LIVE(.at = -50, .patient = "R-0002")),
		    untimed = station_measure(&rig, LIVE(.at = -45, .untimed = true)),
		    dated = station_measure(&rig, LIVE(.at = -40, .dated = true, .taken = -40));
	station_in(&rig, 0, STATION_R1, "hut");
	expect(&typed, "R-0002 message_token message");
	expect(&untimed, "- time_unknown_at_station none");
	expect_text(WINDOWS, "1hut0-");
	expect(&dated, NOBODY);
	station_out(&rig, 10);
	struct uuid a = station_measure(&rig, LIVE(.at = 1000));
	station_in(&rig, 1010, STATION_R1, "exam");
	expect(&a, NOBODY);
	/* somebody is there: who comes next measured nothing yet */
	struct uuid b = station_measure(&rig, LIVE(.at = 1020));
	station_in(&rig, 1030, STATION_R2, "hut");
	expect(&b, R1);
	struct uuid c = station_measure(&rig, LIVE(.at = 1040));
	expect(&c, BETWEEN);
}

/* A loan of somebody else and the window that is set back over it contradict each other. */
static void test_hut_and_loan(void **state)
{
	(void)state;
	rig_bind(&rig, STATION_R2);
	struct uuid loaned = station_measure(&rig, LIVE(.at = -30));
	rig_script(&rig, "DELETE FROM binding");
	struct uuid a = station_measure(&rig, LIVE(.at = -20));
	rig_bind(&rig, STATION_R2);
	expect(&loaned, "R-0002 device_binding device");
	station_in(&rig, 0, STATION_R1, "hut");
	expect(&a, "- checkin_contradicts_binding none");
	expect(&loaned, "- checkin_contradicts_binding none");
}

static void test_hut_complete(void **state)
{
	(void)state;
	struct uuid a = station_measure(&rig, LIVE(.at = -60, .station = "set")),
		    b = station_measure(&rig, LIVE(.at = -30, .station = "set", .kind = "weight"));
	int64_t id;
	struct checkin_asked asked = station_asked(0, STATION_R1, "hut");
	asked.station = "set";
	assert_int_equal(
		STATION_ACT(&rig, checkin_begin(&rig.gateway, rig.db, &asked, &j, &id)), 0);
	expect(&a, AFTER1);
	expect(&b, AFTER1);
	expect_text(WINDOWS, "1hut-90--30complete");
	struct uuid c = station_measure(&rig, LIVE(.at = 5, .station = "set"));
	expect(&c, NOBODY); /* of the next one, perhaps */
}

/* All of it, or nothing: whatever step fails. */
static void test_a_step_fails(void **state)
{
	(void)state;
	static const char *const steps[] = {"UPDATE ON checkin", "INSERT ON reading",
		"INSERT ON evidence", "UPDATE ON reading", "INSERT ON outbox", "INSERT ON checkin",
		"INSERT ON visit", "INSERT ON visit_window"};
	char trigger[160], before[512], after[512];
	station_in(&rig, 0, STATION_R1, "follow-up");
	struct uuid a = station_measure(&rig, LIVE(.at = 40)),
		    b = station_measure(&rig, LIVE(.at = 100));
	static const char sql[] =
		"SELECT (SELECT group_concat(id||coalesce(resident,'-')||coalesce(to_us,'')) FROM "
		"checkin)||(SELECT group_concat(id||superseded||coalesce(resident,'-')) FROM "
		"reading)||(SELECT count(*) FROM outbox)||(SELECT count(*) FROM evidence)||(SELECT "
		"group_concat(state) FROM visit)";
	rig_text(&rig, before, sizeof(before), sql);
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			steps[i]);
		rig_script(&rig, trigger);
		if (station_split(&rig, 110, &b, STATION_R2) >= 0)
			fail_msg("%s", steps[i]);
		rig_script(&rig, "DROP TRIGGER fails");
		rig_text(&rig, after, sizeof(after), sql);
		assert_string_equal(after, before);
	}
	expect(&a, R1);
	assert_int_equal(station_split(&rig, 110, &b, STATION_R2), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_next_and_again),
		T(test_undo),
		T(test_undo_limits),
		T(test_undo_in_the_past),
		T(test_again_after_a_reboot),
		T(test_instead),
		T(test_person_stays),
		T(test_split),
		T(test_split_all),
		T(test_split_joins),
		T(test_hut),
		T(test_hut_limits),
		T(test_hut_after_another),
		T(test_hut_not),
		T(test_hut_and_loan),
		T(test_hut_complete),
		T(test_a_step_fails),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("checkin", tests, NULL, NULL);
}
