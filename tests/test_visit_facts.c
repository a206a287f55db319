/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which readings are a visit's, and what is known beside them: results, height, low glucose, home weeks. Every query goes
 * through an index: what it costs does not grow with what is stored of others.
 */
#include "visit_rig.h"

#include "visit.h"
#include "visit_facts.h"

#include <time.h>

static struct rig rig;
static struct visit_facts facts;
static int64_t checkin, visit;

/* R-0001 at a station on 18 November, 09:00 to 09:10. */
static int setup(void **state)
{
	(void)state;
	struct json j = {0};
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	checkin = stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), november(18, 9, 10));
	json_object_begin(&j, NULL);
	assert_int_equal(visit_checkin(&rig.gateway, rig.db, checkin, "", &j), 0);
	json_free(&j);
	visit = rig_int(&rig, "SELECT id FROM visit");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	visit_facts_end(&facts);
	rig_close(&rig);
	return 0;
}

static void look_at(int64_t now_us)
{
	visit_facts_end(&facts);
	assert_int_equal(visit_facts_read(&rig.gateway, rig.db, visit, now_us, &facts), 1);
}

static void look(void)
{
	look_at(november(18, 12, 0));
}

/* The readings of the visit by their first number: "150 148". */
static void found(const char *expected)
{
	char text[256] = "";
	look();
	for (size_t i = 0; i < facts.in.n_readings; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%lld", i ? " " : "",
			facts.in.readings[i].n
				? (long long)facts.in.readings[i].values[0].milli / 1000
				: -1LL);
	assert_string_equal(text, expected);
}

static struct stored bp(double sys, int minute)
{
	return (struct stored){.resident = 1,
		.taken_us = november(18, 9, minute),
		.checkin = checkin,
		.numbers = {{"bp.sbp", sys}, {"bp.dbp", 90}}};
}

/* the visit's own */

static void test_no_visit(void **state)
{
	(void)state;
	assert_int_equal(visit_facts_read(&rig.gateway, rig.db, 99, 0, &facts), 0);
	visit_facts_end(&facts);
	look();
	assert_int_equal(facts.in.n_readings, 0);
	assert_string_equal(facts.in.form, "hypertension_followup_v3");
	assert_string_equal(facts.in.birth, "1958-03-14");
	assert_int_equal(facts.in.day, day_from(2026, 11, 18));
	assert_string_equal(facts.token, "R-0001");
	assert_false(facts.in.before.known || facts.in.height.kind || facts.in.week.valid);
}

static void test_claimed(void **state)
{
	(void)state;
	struct stored later = bp(152, 3);
	later.arrived_us = november(18, 9, 7);
	stored_reading(&rig, later);
	stored_reading(&rig, bp(150, 2));
	struct stored arrived = bp(151, 3);
	arrived.arrived_us = november(18, 9, 6);
	arrived.flags = "\"body_movement\",\"irregular_pulse\"";
	arrived.arm = "left";
	stored_reading(&rig, arrived);
	found("150 151 152"); /* in order of taken, then of arrival */
	const struct visit_reading *r = facts.in.readings;
	assert_false(r[0].doubtful || r[0].irregular);
	assert_true(r[1].doubtful && r[1].irregular);
	assert_int_equal(r[0].arm, ARM_NONE);
	assert_int_equal(r[1].arm, ARM_LEFT);
	assert_int_equal(r[1].taken_us, november(18, 9, 3));
	assert_int_equal(r[1].n, 2);
	assert_string_equal(r[1].values[1].kind, "bp.dbp");
	assert_int_equal(r[1].values[1].milli, 90000);
	assert_int_equal(strlen(r[1].id), 32);
}

static void test_flags(void **state)
{
	(void)state;
	static const struct {
		const char *flags;
		bool doubtful, irregular;
	} cases[] = {{"\"body_movement\"", true, false}, {"\"cuff_too_loose\"", true, false},
		{"\"improper_position\"", true, false}, {"\"irregular_pulse\"", false, true},
		{"\"hand_held\"", false, false}, {"", false, false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct stored s = bp(150, (int)i);
		s.flags = cases[i].flags;
		stored_reading(&rig, s);
	}
	look();
	assert_int_equal(facts.in.n_readings, ELEMENTS(cases));
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		assert_int_equal(facts.in.readings[i].doubtful, cases[i].doubtful);
		assert_int_equal(facts.in.readings[i].irregular, cases[i].irregular);
	}
}

/* What a person said of the arm stands in place of what the instrument told. */
static void test_arm(void **state)
{
	(void)state;
	struct stored s = bp(150, 1);
	s.arm = "left";
	struct uuid id = stored_reading(&rig, s);
	stored_reading(&rig, bp(151, 2));
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO annotation SELECT uuid,'arm','right','N-0001',0 FROM reading",
			""),
		2);
	(void)id;
	look();
	assert_int_equal(facts.in.readings[0].arm, ARM_RIGHT);
	assert_int_equal(facts.in.readings[1].arm, ARM_RIGHT);
}

static void test_not_the_visits(void **state)
{
	(void)state;
	static const char *const wrong[] = {"UPDATE reading SET grade='slot'",
		"UPDATE reading SET grade='device'", "UPDATE reading SET trust='device'",
		"UPDATE reading SET trust='arrival'", "UPDATE reading SET trust='unknown'",
		"UPDATE reading SET test=1", "UPDATE reading SET superseded=1",
		"UPDATE reading SET status='entered-in-error'", "UPDATE reading SET resident=2",
		"UPDATE reading SET resident=NULL, status='unassigned'",
		"UPDATE reading SET checkin=NULL", "UPDATE reading SET checkin=99"};
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		stored_reading(&rig, bp(150, 1));
		found("150");
		rig_script(&rig, wrong[i]);
		found("");
		rig_script(&rig, "DELETE FROM reading; DELETE FROM evidence");
	}
	static const char *const right[] = {"UPDATE reading SET grade='message'",
		"UPDATE reading SET grade='person'", "UPDATE reading SET trust='live'",
		"UPDATE reading SET status='amended'", "UPDATE reading SET kind='weight'"};
	for (size_t i = 0; i < ELEMENTS(right); i++) {
		stored_reading(&rig, bp(150, 1));
		rig_script(&rig, right[i]);
		found("150");
		rig_script(&rig, "DELETE FROM reading; DELETE FROM evidence");
	}
}

/* What says by itself whose it is belongs to the visit when it was taken meanwhile; closed at both ends. */
static void test_by_time(void **state)
{
	(void)state;
	static const char *const grades[] = {"message", "person", "station", "slot", "device"};
	for (size_t i = 0; i < ELEMENTS(grades); i++) {
		struct stored s = bp(150, 0);
		s.checkin = 0;
		s.grade = grades[i];
		stored_reading(&rig, s);
		s.numbers[0].value = 151;
		s.taken_us = november(18, 9, 10);
		stored_reading(&rig, s);
		s.numbers[0].value = 152;
		s.taken_us++;
		stored_reading(&rig, s);
		s.numbers[0].value = 149;
		s.taken_us = november(18, 9, 0) - 1;
		stored_reading(&rig, s);
		found(i < 2 ? "150 151" : "");
		rig_script(&rig, "DELETE FROM reading; DELETE FROM evidence");
	}
}

/* Several windows; one reading that two of them know is there once. */
static void test_several_windows(void **state)
{
	(void)state;
	int64_t second =
		stored_checkin(&rig, 1, "follow-up", november(18, 9, 5), november(18, 9, 30));
	struct json j = {0};
	json_object_begin(&j, NULL);
	assert_int_equal(visit_checkin(&rig.gateway, rig.db, second, "", &j), 0);
	json_free(&j);
	struct stored s = bp(150, 7);
	s.grade = "message";
	stored_reading(&rig, s);
	s = bp(151, 20);
	s.checkin = second;
	stored_reading(&rig, s);
	found("150 151");
	assert_int_equal(facts.n_spans, 2);
	assert_false(facts.open);
	assert_int_equal(facts.end_us, november(18, 9, 30));
}

/* A check-in that nobody ended is over when it has been idle for 3 minutes; what a person opened, when it is closed. */
static void test_open(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE checkin SET to_us=NULL, activity_us=from_us+60000000");
	struct stored s = bp(150, 4);
	s.checkin = 0;
	s.grade = "message";
	stored_reading(&rig, s);
	look_at(november(18, 9, 4) - 1);
	assert_true(facts.open);
	assert_int_equal(facts.end_us, november(18, 9, 4) - 1);
	assert_int_equal(facts.in.n_readings, 0);
	look_at(november(18, 9, 4)); /* 9:01 and 3 minutes */
	assert_false(facts.open);
	assert_int_equal(facts.end_us, november(18, 9, 4));
	assert_int_equal(facts.in.n_readings, 1);
	look_at(november(18, 15, 0));
	assert_false(facts.open);
	assert_int_equal(facts.end_us, november(18, 9, 4));
	rig_script(&rig,
		"UPDATE visit_window SET from_us=(SELECT from_us FROM checkin), checkin=NULL");
	look_at(november(18, 15, 0));
	assert_true(facts.open);
	assert_int_equal(facts.end_us, november(18, 15, 0));
	rig_script(&rig, "UPDATE visit_window SET to_us=from_us+60000000");
	look_at(november(18, 15, 0));
	assert_false(facts.open);
	assert_int_equal(facts.end_us, november(18, 9, 1));
	/* a clock that was set back */
	rig_script(&rig, "UPDATE visit_window SET to_us=NULL");
	look_at(november(18, 8, 0));
	assert_true(facts.open);
	assert_int_equal(facts.end_us, november(18, 9, 0));
}

/* Claimed a little after the end, as its own clock goes: it is the visit's, and so what it says is within it. */
static void test_end_follows(void **state)
{
	(void)state;
	stored_reading(&rig, bp(150, 11));
	found("150");
	assert_int_equal(facts.end_us, november(18, 9, 11));
}

static void test_many(void **state)
{
	(void)state;
	for (int i = VISIT_READINGS_MAX + 19; i >= 0; i--) { /* told last first, as memories are */
		struct stored s = bp(100 + i % 100, 1);
		s.taken_us += i * 1000;
		stored_reading(&rig, s);
	}
	look();
	assert_int_equal(facts.in.n_readings, VISIT_READINGS_MAX);
	assert_int_equal(
		facts.in.readings[0].values[0].milli, 100000); /* the first, not the last */
}

/* beside it */

static void add_visit(
	int64_t resident, const char *form, const char *state, const char *day, int class)
{
	struct uuid id = uuid_random();
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
			"rules_version,class) VALUES(?,?,?,?,'elsewhere',?,1,'x',0,'r',?)",
			"bittti", id.bytes, sizeof(id.bytes), resident, form, state, day,
			(int64_t) class),
		1);
}

static void test_before(void **state)
{
	(void)state;
	add_visit(2, "hypertension_followup_v3", "confirmed", "2026-11-01", 4);
	add_visit(1, "t2dm_followup_v3", "confirmed", "2026-11-01", 4);
	add_visit(1, "hypertension_followup_v3", "closed", "2026-11-01", 4);
	add_visit(1, "hypertension_followup_v3", "entered-in-error", "2026-11-02", 4);
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-11-18", 4);
	look();
	assert_false(facts.in.before.known);
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-08-02", 2);
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-05-02", 1);
	look();
	assert_true(facts.in.before.known);
	assert_int_equal(facts.in.before.day, day_from(2026, 8, 2));
	assert_int_equal(facts.in.before.class, 2);
	add_visit(
		1, "hypertension_followup_v3", "confirmed", "2026-08-02", 3); /* the later of two */
	look();
	assert_int_equal(facts.in.before.class, 3);
}

static const struct visit_result *result(const char *kind)
{
	for (size_t i = 0; i < facts.in.n_results; i++)
		if (streq(facts.in.results[i].kind, kind))
			return &facts.in.results[i];
	return NULL;
}

static struct stored one(const char *kind, double value, int64_t taken_us)
{
	return (struct stored){.resident = 1, .taken_us = taken_us, .numbers = {{kind, value}}};
}

static void test_results(void **state)
{
	(void)state;
	stored_reading(&rig, one("lipid.tc", 4.1, november(1, 8, 0)));
	stored_reading(&rig, one("lipid.tc", 5.2, november(10, 8, 0)));
	look();
	assert_int_equal(result("lipid.tc")->milli, 5200);
	assert_int_equal(result("lipid.tc")->day, day_from(2026, 11, 10));
	assert_int_equal(strlen(result("lipid.tc")->id), 32);
	assert_null(result("lipid.tg"));
	/* not these, though they are newer */
	struct stored s = one("lipid.tc", 6.1, november(12, 8, 0));
	s.grade = "device";
	stored_reading(&rig, s);
	s.grade = "station";
	s.trust = "device";
	stored_reading(&rig, s);
	s.trust = NULL;
	s.numbers[0].comparator = "<";
	stored_reading(&rig, s);
	s.numbers[0].comparator = NULL;
	s.resident = 2;
	stored_reading(&rig, s);
	stored_reading(&rig, one("lipid.tc", 7, november(18, 9, 10) + 1)); /* after the visit */
	look();
	assert_int_equal(result("lipid.tc")->milli, 5200);
	/* since the visit before, its day included */
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-11-10", 1);
	look();
	assert_non_null(result("lipid.tc"));
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-11-11", 1);
	look();
	assert_null(result("lipid.tc"));
	stored_reading(&rig, one("lipid.tc", 7, november(18, 9, 10))); /* at its very end */
	look();
	assert_int_equal(result("lipid.tc")->milli, 7000);
}

static void test_results_of_a_year(void **state)
{
	(void)state;
	int32_t day = day_from(2026, 11, 18) - 365;
	stored_reading(&rig, one("lipid.tc", 4.1, day_begin_us(day) - 1));
	look();
	assert_null(result("lipid.tc"));
	stored_reading(&rig, one("lipid.tc", 4.2, day_begin_us(day)));
	look();
	assert_int_equal(result("lipid.tc")->day, day);
}

/* An adult's holds for ever, a child's for 90 days, of whoever may be a child likewise. */
static void test_height(void **state)
{
	(void)state;
	stored_reading(&rig, one("height", 171, day_begin_us(day_from(2019, 3, 1))));
	look();
	assert_int_equal(facts.in.height.milli, 171000);
	assert_int_equal(facts.in.height.day, day_from(2019, 3, 1));
	rig_script(&rig, "UPDATE resident SET birth_date=''");
	look();
	assert_null(facts.in.height.kind);
	int32_t day = day_from(2026, 11, 18) - 90;
	stored_reading(&rig, one("height", 130, day_begin_us(day - 1)));
	look();
	assert_null(facts.in.height.kind);
	rig_script(&rig, "UPDATE resident SET birth_date='2019-01-01'");
	stored_reading(&rig, one("height", 131, day_begin_us(day)));
	look();
	assert_int_equal(facts.in.height.milli, 131000);
	/* grown up when it was measured */
	rig_script(&rig, "UPDATE resident SET birth_date='2001-03-01'; DELETE FROM evidence WHERE "
			 "milli<170000");
	look();
	assert_int_equal(facts.in.height.milli, 171000);
	rig_script(&rig, "UPDATE resident SET birth_date='2001-03-02'");
	look();
	assert_null(facts.in.height.kind);
	/* at home it is no evidence */
	rig_script(
		&rig, "UPDATE resident SET birth_date='1958'; UPDATE reading SET grade='device'");
	look();
	assert_null(facts.in.height.kind);
}

/* Once per episode, whatever the instrument and wherever; LO included, HI never. */
static void test_hypo(void **state)
{
	(void)state;
	look();
	assert_int_equal(facts.in.hypo.episodes, 0);
	assert_int_equal(facts.in.hypo.since, day_from(2026, 11, 18) - 365);
	struct stored s = one("glu.random", 3.9, november(2, 8, 0));
	s.grade = "device";
	stored_reading(&rig, s);
	stored_reading(&rig, one("glu.fasting", 4.0, november(2, 9, 0)));
	s = one("glu.capillary_plasma", 1.1, november(2, 9, 59));
	s.numbers[0].comparator = "<";
	stored_reading(&rig, s);
	look();
	assert_int_equal(facts.in.hypo.episodes, 1);
	assert_int_equal(facts.in.hypo.lowest, 1100);
	stored_reading(&rig, one("glu.undetermined_plasma", 3.0, november(2, 11, 58)));
	look();
	assert_int_equal(facts.in.hypo.episodes, 1);
	stored_reading(&rig, one("glu.postprandial_2h", 3.0, november(2, 13, 58)));
	look();
	assert_int_equal(facts.in.hypo.episodes, 2); /* two hours later is another one */
	s = one("glu.random", 3.0, november(5, 8, 0));
	s.numbers[0].comparator = ">";
	stored_reading(&rig, s);
	s.numbers[0].comparator = NULL;
	s.trust = "arrival";
	stored_reading(&rig, s);
	stored_reading(&rig, one("glu.isf", 3.0, november(5, 8, 0)));
	stored_reading(&rig, one("glu.control", 3.0, november(5, 8, 0)));
	stored_reading(&rig, one("glu.random", 3.0, november(18, 9, 10) + 1));
	look();
	assert_int_equal(facts.in.hypo.episodes, 2);
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-11-02", 1);
	look();
	assert_int_equal(facts.in.hypo.episodes, 2);
	assert_int_equal(facts.in.hypo.since, day_from(2026, 11, 2));
	add_visit(1, "hypertension_followup_v3", "confirmed", "2026-11-03", 1);
	look();
	assert_int_equal(facts.in.hypo.episodes, 0);
}

/* at home */

static struct stored home(int day, int hour, int minute)
{
	return (struct stored){.resident = 1,
		.taken_us = november(day, hour, minute),
		.grade = "device",
		.numbers = {{"bp.sbp", 140}, {"bp.dbp", 80}}};
}

/* Two readings each morning and evening of 11 to 17 November. */
static void home_week_stored(void)
{
	for (int day = 11; day <= 17; day++)
		for (int k = 0; k < 4; k++)
			stored_reading(&rig, home(day, k < 2 ? 7 : 19, k));
}

static void test_home_week(void **state)
{
	(void)state;
	home_week_stored();
	look();
	assert_true(facts.in.week.valid);
	assert_int_equal(facts.in.week.to, day_from(2026, 11, 17));
	assert_int_equal(facts.in.week.n, 24);
	assert_int_equal(facts.in.week.days, 6);
	assert_int_equal(facts.in.week.systolic, 140000);
	static const char *const wrong[] = {"UPDATE reading SET grade='station'",
		"UPDATE reading SET grade='message'", "UPDATE reading SET grade='none'",
		"UPDATE reading SET trust='device'", "UPDATE reading SET superseded=1",
		"UPDATE reading SET station='desk-1'", "UPDATE reading SET resident=2",
		"UPDATE reading SET test=1",
		"UPDATE evidence SET comparator='>' WHERE kind='bp.dbp'",
		"UPDATE evidence SET kind='bp.map' WHERE kind='bp.dbp'",
		"UPDATE reading SET body='{\"flags\":[\"cuff_too_loose\"]}'"};
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		rig_script(&rig, "SAVEPOINT s");
		rig_script(&rig, wrong[i]);
		look();
		if (facts.in.week.valid)
			fail_msg("%s", wrong[i]);
		rig_script(&rig, "ROLLBACK TO s; RELEASE s");
	}
	rig_script(&rig, "UPDATE reading SET grade='person' WHERE id%2=0; UPDATE reading SET "
			 "grade='slot' WHERE id%3=0");
	look();
	assert_true(facts.in.week.valid);
}

/* What was measured in a visit is not at home, whoever's cuff it was; in one that was voided it is. */
static void test_home_and_visit(void **state)
{
	(void)state;
	home_week_stored();
	add_visit(1, "t2dm_followup_v3", "confirmed", "2026-11-11", 1);
	rig_script(&rig,
		"INSERT INTO visit_window(visit,from_us,to_us) SELECT 2,min(taken),max(taken) FROM "
		"reading");
	look();
	assert_false(facts.in.week.valid);
	rig_script(&rig, "UPDATE visit_window SET to_us=NULL WHERE id=2");
	look();
	assert_false(facts.in.week.valid);
	rig_script(&rig, "UPDATE visit SET state='entered-in-error' WHERE id=2");
	look();
	assert_true(facts.in.week.valid);
	rig_script(&rig, "UPDATE visit SET state='confirmed', resident=2 WHERE id=2");
	look();
	assert_true(facts.in.week.valid);
	/* both ends are the visit's: of the first day, which is dropped, and of the last */
	rig_script(&rig,
		"UPDATE visit SET resident=1 WHERE id=2; UPDATE visit_window SET from_us=(SELECT "
		"max(taken) FROM reading), to_us=(SELECT max(taken) FROM reading) WHERE id=2");
	look();
	assert_int_equal(facts.in.week.n, 23);
}

static void test_home_week_of_a_day(void **state)
{
	(void)state;
	struct home_week week = {0};
	home_week_stored();
	int64_t now = november(30, 12, 0);
	assert_int_equal(
		visit_home_week(&rig.gateway, rig.db, 1, day_from(2026, 11, 17), now, &week), 0);
	assert_true(week.valid); /* 10 to 16 */
	assert_int_equal(week.to, day_from(2026, 11, 16));
	/* the last days of which enough is left: 14 to 17 of the week to the 19th; looked for 30 days back */
	assert_int_equal(
		visit_home_week(&rig.gateway, rig.db, 1, day_from(2026, 12, 19), now, &week), 0);
	assert_true(week.valid);
	assert_int_equal(week.to, day_from(2026, 11, 19));
	assert_int_equal(
		visit_home_week(&rig.gateway, rig.db, 1, day_from(2026, 12, 20), now, &week), 0);
	assert_false(week.valid);
	assert_int_equal(
		visit_home_week(&rig.gateway, rig.db, 1, day_from(2026, 12, 30), now, &week), 0);
	assert_false(week.valid);
	assert_int_equal(
		visit_home_week(&rig.gateway, rig.db, 2, day_from(2026, 11, 18), now, &week), 0);
	assert_false(week.valid);
}

/* cost */

static int64_t cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * CLOCK_SECOND_US + t.tv_nsec / 1000;
}

/* The least of several: nobody else's work is in it. */
static int64_t cost_us(void)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < 20; i++) {
		int64_t begin = cpu_us();
		look();
		least = MIN(least, cpu_us() - begin);
	}
	return least;
}

/* Nothing here looks at every row of a table that grows: with 20,000 readings and 2,000 visits of others it costs what it
 * cost, and a scan would cost fifty times as much. */
static void test_cost(void **state)
{
	(void)state;
	stored_reading(&rig, bp(150, 1));
	home_week_stored();
	look();
	int64_t before = cost_us();
	rig_script(&rig,
		"BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000) "
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,content,raw,"
		"driver,tables_version,committed_boot_us,checkin) SELECT randomblob(16),1,'final',kind,"
		"device,100+i%2000,evidence,grade,0,0,arrived,boot_id,0,r.taken,0,r.trust,body,content,"
		"raw,driver,'t',0,1000+i%2000 FROM n,reading r WHERE r.id=1;"
		"INSERT INTO evidence SELECT resident,'bp.sbp',taken,id,150000,0,NULL,trust,'t' FROM "
		"reading WHERE resident>99; INSERT INTO evidence SELECT resident,'glu.random',taken,id,"
		"3000,1,NULL,trust,'t' FROM reading WHERE resident>99;"
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO "
		"visit(uuid,resident,form,state,origin,day,revision,author,changed,rules_version) SELECT "
		"randomblob(16),100+i,'hypertension_followup_v3',CASE i%2 WHEN 0 THEN 'confirmed' ELSE "
		"'open' END,'here','2026-11-01',1,'x',0,'r' FROM n;"
		"INSERT INTO visit_window(visit,checkin) SELECT id,1000+resident FROM visit WHERE "
		"resident>99; COMMIT");
	int64_t after = cost_us();
	if (after > 3 * before + 100)
		fail_msg("%lld us, and %lld us before", (long long)after, (long long)before);
	/* and telling it: each filed reading asks which visits it concerns */
	int64_t begin = cpu_us();
	for (int i = 0; i < 100; i++)
		assert_int_equal(visit_filed(&rig.gateway, rig.db, 3, november(18, 9, 0)), 0);
	assert_in_range(cpu_us() - begin, 0, 100 * 200);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_no_visit),
		T(test_claimed),
		T(test_flags),
		T(test_arm),
		T(test_not_the_visits),
		T(test_by_time),
		T(test_several_windows),
		T(test_open),
		T(test_end_follows),
		T(test_many),
		T(test_before),
		T(test_results),
		T(test_results_of_a_year),
		T(test_height),
		T(test_hypo),
		T(test_home_week),
		T(test_home_and_visit),
		T(test_home_week_of_a_day),
		T(test_cost),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
