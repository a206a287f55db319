/* SPDX-License-Identifier: GPL-3.0-or-later */
/* At goal, class, referral, next date and measures: each limit from both sides, each reason and their order. */
#include "proposal_rig.h"

static const char *member(const char *name)
{
	const char *t = json_string_value(json_object_get(json_object_get(said, "proposed"), name));
	return t ? t : "-";
}

static void answered(const char *complication, const char *adverse)
{
	if (complication)
		rig_answer("complication", complication);
	if (adverse)
		rig_answer("adverse_reaction", adverse);
}

static void before(int class)
{
	in.before.known = true;
	in.before.day = in.day - 90;
	in.before.class = class;
}

/* at goal */

/* 1962 is 63 or 64, 1961 is 64 or 65, 1960 is 65 or 66 on the visit's day. */
static void test_goal_htn(void **state)
{
	(void)state;
	static const struct {
		const char *birth;
		int systolic, diastolic, goal;
	} cases[] = {{"1980", 139, 89, 1}, {"1980", 140, 89, 0}, {"1980", 139, 90, 0},
		{"1980", 149, 80, 0}, {"1962", 140, 80, 0}, {"1960", 149, 89, 1},
		{"1960", 140, 89, 1}, {"1960", 150, 89, 0}, {"1960", 130, 90, 0},
		/* the birthday itself */
		{"1961-11-20", 145, 80, 1}, {"1961-11-21", 145, 80, 0},
		/* nobody can say: under both, over both, between */
		{"1961", 139, 89, 1}, {"1961", 150, 80, 0}, {"1961", 130, 90, 0},
		{"1961", 140, 89, -1}, {"1961", 149, 80, -1}, {NULL, 139, 89, 1},
		{NULL, 145, 89, -1}, {NULL, 145, 90, 0}, {NULL, 150, 60, 0},
		{"60-64@2026-11-20", 145, 80, 0}, {"60-64@2026-11-19", 145, 80, -1},
		{"64-65@2025-11-20", 145, 80, 1}, {"nonsense", 145, 80, -1}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		in.birth = cases[i].birth;
		rig_bp(0, ARM_NONE, cases[i].systolic, cases[i].diastolic);
		rig_make();
		print_message("# %s %d/%d\n", cases[i].birth ? cases[i].birth : "-",
			cases[i].systolic, cases[i].diastolic);
		assert_int_equal(decided.at_goal, cases[i].goal);
		assert_string_equal(decided.goal_why, cases[i].goal < 0 ? "age_unknown" : "");
		assert_string_equal(member("at_goal"), cases[i].goal < 0 ? "unknown"
						       : cases[i].goal	 ? "yes"
									 : "no");
	}
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 120, 80)->doubtful = true;
	rig_make();
	assert_int_equal(decided.at_goal, -1);
	assert_string_equal(decided.goal_why, "no_value");
	assert_string_equal(decided.class_why, "no_value");
	/* 139.5 is shown as 140, and judged as it is shown */
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 139, 80);
	rig_bp(60, ARM_NONE, 140, 80);
	rig_make();
	assert_int_equal(decided.at_goal, 0);
}

static void test_goal_t2dm(void **state)
{
	(void)state;
	static const struct {
		int64_t milli;
		char comparator;
		int goal;
	} cases[] = {{6900, 0, 1}, {7000, 0, 0}, {4000, 0, 1}, {3900, 0, 0}, {3800, 0, 0},
		{16700, 0, 0}, {6000, '<', 0}, {33300, '>', 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(DM);
		rig_one(0, "glu.fasting", cases[i].milli)->values[0].comparator =
			cases[i].comparator;
		rig_make();
		assert_int_equal(decided.at_goal, cases[i].goal);
		assert_string_equal(decided.goal_why, "");
	}
	rig_visit(DM);
	rig_one(0, "glu.random", 6000); /* says nothing about it */
	rig_bp(0, ARM_NONE, 120, 80);
	rig_make();
	assert_int_equal(decided.at_goal, -1);
	assert_string_equal(decided.goal_why, "no_value");
	assert_string_equal(member("at_goal"), "unknown");
	rig_answer("fasting_glucose", "6.1"); /* a person's stands in place of it */
	rig_make();
	assert_int_equal(decided.at_goal, 1);
	rig_answer("fasting_glucose", "7.0");
	rig_make();
	assert_int_equal(decided.at_goal, 0);
}

/* The other forms have no goal. */
static void test_no_goal(void **state)
{
	(void)state;
	static const char *const names[] = {OLD, COPD};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		rig_visit(names[i]);
		rig_bp(0, ARM_LEFT, 190, 120);
		rig_make();
		assert_int_equal(decided.at_goal, -1);
		assert_string_equal(decided.goal_why, "");
		assert_int_equal(decided.class, 0);
		assert_string_equal(decided.class_why, "");
		assert_string_equal(rig_referrals(), "");
		assert_string_equal(rig_next(), "-");
		assert_int_equal(decided.measures, 0);
		assert_true(json_is_null(
			json_object_get(json_object_get(said, "proposed"), "at_goal")));
		answered("2", NULL);
		rig_make();
		assert_int_equal(decided.class, 4);
		assert_string_equal(rig_referrals(), "complication");
		assert_string_equal(rig_next(), "-");
	}
}

/* class */

static void test_class(void **state)
{
	(void)state;
	static const struct {
		int systolic; /* 0: no pressure */
		const char *complication, *adverse;
		int class;
		const char *why, *next;
		int measures;
	} cases[] = {
		{120, "1", "1", 1, "", "2027-02-20", 1},
		{120, NULL, "1", 0, "answer_first", "-", 0},
		{120, "1", NULL, 0, "answer_first", "-", 0},
		{120, NULL, NULL, 0, "answer_first", "-", 0},
		{150, "1", "1", 2, "", "2026-12-04", 2},
		{150, NULL, "1", 2, "answers_missing", "2026-12-04", 2},
		{150, "1", NULL, 2, "answers_missing", "2026-12-04", 2},
		{150, NULL, NULL, 2, "answers_missing", "2026-12-04", 2},
		{120, "1", "2", 3, "", "2026-12-04", 2},
		{150, NULL, "2 rash", 3, "", "2026-12-04", 2}, /* the worst one */
		{120, "2", "1", 4, "", "2026-12-04", 3},
		{150, "2", "2", 4, "", "2026-12-04", 3},
		{0, "2 stroke", NULL, 4, "", "2026-12-04", 3},
		{0, NULL, "2", 3, "", "2026-12-04", 2},
		{0, "1", "1", 0, "no_value", "-", 0},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		if (cases[i].systolic)
			rig_bp(0, ARM_NONE, cases[i].systolic, 80);
		answered(cases[i].complication, cases[i].adverse);
		rig_make();
		print_message("# %zu\n", i);
		assert_int_equal(decided.class, cases[i].class);
		assert_false(decided.class_by_person);
		assert_string_equal(decided.class_why, cases[i].why);
		assert_string_equal(rig_next(), cases[i].next);
		assert_int_equal(decided.measures, cases[i].measures);
		assert_string_equal(member("class_by"), cases[i].class ? "derived" : "-");
		assert_string_equal(member("class_why"), cases[i].why);
		assert_string_equal(member("next_visit_date"), cases[i].next);
		assert_string_equal(rig_text("next_visit_date"), cases[i].next);
		/* beside the field, which a person fills */
		assert_false(rig_filled("classification"));
		assert_int_equal(json_integer_value(rig_evidence("classification", "proposed")),
			cases[i].class);
		assert_int_equal(json_integer_value(rig_evidence("next_measures", "proposed")),
			cases[i].measures);
	}
	rig_visit(HTN); /* between the limits of two ages */
	in.birth = "1961";
	rig_bp(0, ARM_NONE, 145, 80);
	answered("1", "1");
	rig_make();
	assert_int_equal(decided.class, 0);
	assert_string_equal(decided.class_why, "age_unknown");
}

static void test_class_by_person(void **state)
{
	(void)state;
	static const struct {
		const char *class, *next;
		int number, measures;
		const char *referrals;
	} cases[] = {{"1", "2027-02-20", 1, 1, ""},
		{"2", "2026-12-04", 2, 3, "not_controlled_twice"}, {"3", "2026-12-04", 3, 2, ""},
		{"4", "2026-12-04", 4, 3, "complication"}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		rig_bp(0, ARM_NONE, 150, 80); /* 2, says the rule */
		before(2);
		rig_answer("classification", cases[i].class);
		rig_make();
		assert_int_equal(decided.class, cases[i].number);
		assert_true(decided.class_by_person);
		assert_string_equal(decided.class_why, "");
		assert_string_equal(rig_next(), cases[i].next);
		assert_int_equal(decided.measures, cases[i].measures);
		assert_string_equal(rig_referrals(), cases[i].referrals);
		assert_string_equal(member("class_by"), "person");
		assert_string_equal(rig_text("classification"), cases[i].class);
		assert_int_equal(json_integer_value(rig_evidence("classification", "proposed")), 2);
	}
	assert_int_equal(json_object_set_new(answers, "classification", json_integer(1)), 0);
	rig_make();
	assert_int_equal(decided.class, 1);
	assert_int_equal(json_object_set_new(answers, "classification", json_null()), 0);
	rig_make();
	assert_int_equal(decided.class, 2);
	assert_false(decided.class_by_person);
}

/* referral */

static void test_bp_urgent(void **state)
{
	(void)state;
	static const struct {
		const char *form;
		int systolic, diastolic;
		bool urgent;
	} cases[] = {{HTN, 180, 80, true}, {HTN, 179, 109, false}, {HTN, 120, 110, true},
		{DM, 180, 80, true}, {DM, 179, 109, false}, {OLD, 200, 120, false},
		{COPD, 200, 120, false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(cases[i].form);
		rig_bp(0, ARM_NONE, cases[i].systolic, cases[i].diastolic);
		rig_make();
		assert_string_equal(rig_referrals(), cases[i].urgent ? "bp_urgent" : "");
		assert_int_equal(decided.measures == 4, cases[i].urgent);
	}
	/* usable or not, but both numbers; whatever the form shows */
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 120, 80);
	rig_bp(10, ARM_NONE, 190, 80)->doubtful = true;
	rig_make();
	assert_string_equal(rig_referrals(), "bp_urgent");
	assert_string_equal(rig_text("bp"), "120/80");
	rig_answer("bp", "118/76");
	rig_make();
	assert_string_equal(rig_referrals(), "bp_urgent");
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 300, 80)->values[0].comparator = '>';
	rig_make();
	assert_string_equal(rig_referrals(), "bp_urgent");
	assert_string_equal(rig_next(), "2026-12-04"); /* without any class */
	assert_int_equal(decided.class, 0);
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 190, 80)->values[0].comparator = '<';
	rig_one(1, "bp.sbp", 200000);
	rig_one(2, "bp.dbp", 150000);
	rig_make();
	assert_string_equal(rig_referrals(), "");
	rig_answer("bp", "182/90"); /* by the stethoscope */
	rig_make();
	assert_string_equal(rig_referrals(), "bp_urgent");
}

static void test_pregnant(void **state)
{
	(void)state;
	static const struct {
		const char *conditions;
		int systolic, diastolic;
		bool refer;
	} cases[] = {{"pregnant", 140, 80, true}, {"pregnant", 139, 89, false},
		{"pregnant", 120, 90, true}, {"on_oxygen;breastfeeding", 140, 80, true},
		{"on_oxygen", 140, 80, false}, {NULL, 140, 80, false}, {"", 140, 80, false},
		{"not_pregnant", 140, 80, false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(i % 2 ? HTN : DM);
		in.conditions = cases[i].conditions;
		rig_bp(0, ARM_NONE, cases[i].systolic, cases[i].diastolic);
		rig_make();
		assert_string_equal(rig_referrals(), cases[i].refer ? "pregnant_bp" : "");
		assert_int_equal(decided.measures == 4, cases[i].refer);
	}
	rig_visit(HTN); /* the value of the form: a reading of a moved cuff is none */
	in.conditions = "pregnant";
	rig_bp(0, ARM_NONE, 150, 95)->doubtful = true;
	rig_make();
	assert_string_equal(rig_referrals(), "");
	rig_visit(DM);
	in.conditions = "pregnant";
	rig_one(0, "glu.fasting", 7000);
	rig_make();
	assert_string_equal(rig_referrals(), "pregnant_glucose");
	rig_visit(DM);
	in.conditions = "pregnant";
	rig_one(0, "glu.fasting", 6900);
	rig_one(1, "glu.random", 11000);
	rig_make();
	assert_string_equal(rig_referrals(), "");
	rig_answer("fasting_glucose", "7.0"); /* a person's value counts beside the readings ... */
	rig_answer("bp", "138/90");
	rig_make();
	assert_string_equal(rig_referrals(), "pregnant_bp pregnant_glucose");
	rig_visit(DM);
	in.conditions = "pregnant";
	rig_bp(0, ARM_NONE, 140, 80);
	rig_one(1, "glu.fasting", 7000);
	rig_answer("fasting_glucose", "5.0"); /* ... and takes no reason away */
	rig_answer("bp", "120/80");
	rig_make();
	assert_string_equal(rig_referrals(), "pregnant_bp pregnant_glucose");
	rig_visit(OLD);
	in.conditions = "pregnant";
	rig_bp(0, ARM_LEFT, 150, 95);
	rig_make();
	assert_string_equal(rig_referrals(), "");
}

static void test_glucose(void **state)
{
	(void)state;
	static const char *const kinds[] = {"glu.fasting", "glu.postprandial_2h", "glu.random",
		"glu.capillary_plasma", "glu.undetermined_plasma", "glu.isf"};
	static const struct {
		int64_t milli;
		char comparator;
		const char *referrals;
	} cases[] = {{16700, 0, "glucose_high"}, {16600, 0, ""}, {3900, 0, "glucose_low"},
		{4000, 0, ""}, {33300, '>', "glucose_high"}, {10000, '>', "glucose_high"},
		{3000, '>', "glucose_high"}, {17000, '<', "glucose_low"},
		{600, '<', "glucose_low"}};
	for (size_t k = 0; k < ELEMENTS(kinds); k++)
		for (size_t i = 0; i < ELEMENTS(cases); i++) {
			rig_visit(DM);
			rig_one(0, kinds[k], cases[i].milli)->values[0].comparator =
				cases[i].comparator;
			rig_make();
			assert_string_equal(rig_referrals(), k < 5 ? cases[i].referrals : "");
			rig_visit(HTN);
			rig_one(0, kinds[k], cases[i].milli);
			rig_make();
			assert_string_equal(rig_referrals(), ""); /* of the diabetes form only */
		}
	rig_visit(DM);
	rig_one(0, "glu.random", 17000);
	rig_one(1, "glu.random", 3000);
	rig_one(2, "glu.random", 8000);
	rig_make();
	assert_string_equal(rig_referrals(), "glucose_high glucose_low");
	rig_visit(DM);
	rig_answer("fasting_glucose", "17.2");
	rig_answer("other_glucose", "3.1");
	rig_make();
	assert_string_equal(rig_referrals(), "glucose_high glucose_low");
}

static void test_temperature(void **state)
{
	(void)state;
	static const struct {
		int64_t milli;
		char comparator;
		bool refer;
	} cases[] = {{39000, 0, false}, {39100, 0, true}, {42000, '>', true}, {42000, '<', false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(DM);
		rig_one(0, "temp", cases[i].milli)->values[0].comparator = cases[i].comparator;
		rig_one(1, "temp", 36500); /* any of them */
		rig_make();
		assert_string_equal(rig_referrals(), cases[i].refer ? "temperature" : "");
	}
	rig_visit(HTN);
	rig_one(0, "temp", 40000);
	rig_make();
	assert_string_equal(rig_referrals(), "");
}

/* Of two readings at least, and all of them. */
static void test_heart_rate(void **state)
{
	(void)state;
	rig_visit(DM);
	struct visit_reading *r = rig_one(0, "bp.pulse", 101000);
	rig_value(r, "ecg.hr", 120000);
	rig_make();
	assert_string_equal(rig_referrals(), ""); /* one reading */
	rig_one(1, "spo2.pulse", 101000);
	rig_make();
	assert_string_equal(rig_referrals(), "heart_rate");
	rig_one(2, "hr", 60000); /* a strap counts nothing here */
	rig_make();
	assert_string_equal(rig_referrals(), "heart_rate");
	rig_one(3, "ecg.hr", 100000);
	rig_make();
	assert_string_equal(rig_referrals(), "");
	rig_visit(DM);
	rig_one(0, "bp.pulse", 120000)->irregular = true;
	rig_one(1, "bp.pulse", 300000)->values[0].comparator = '>';
	rig_make();
	assert_string_equal(rig_referrals(), "heart_rate");
	rig_one(2, "bp.pulse", 110000)->values[0].comparator = '<';
	rig_make();
	assert_string_equal(rig_referrals(), "");
	rig_visit(HTN);
	rig_one(0, "bp.pulse", 120000);
	rig_one(1, "bp.pulse", 120000);
	rig_make();
	assert_string_equal(rig_referrals(), "");
}

static void test_twice(void **state)
{
	(void)state;
	static const struct {
		int systolic;
		const char *adverse;
		int before; /* -1: there was none */
		const char *referrals;
		int measures;
	} cases[] = {{150, NULL, 2, "not_controlled_twice", 3}, {150, NULL, 1, "", 2},
		{150, NULL, 3, "", 2}, {150, NULL, 0, "", 2}, {150, NULL, -1, "", 2},
		{120, "2", 3, "adverse_twice", 3}, {120, "2", 2, "", 2}, {120, "2", 4, "", 2},
		{120, NULL, 2, "", 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		rig_bp(0, ARM_NONE, cases[i].systolic, 80);
		answered(NULL, cases[i].adverse);
		if (cases[i].before >= 0)
			before(cases[i].before);
		else
			in.before.class = 2; /* of nothing */
		rig_make();
		assert_string_equal(rig_referrals(), cases[i].referrals);
		assert_int_equal(decided.measures, cases[i].measures);
	}
	rig_visit(DM);
	rig_one(0, "glu.fasting", 7000);
	before(2);
	rig_make();
	assert_string_equal(rig_referrals(), "not_controlled_twice");
}

/* Everything at once, in the order that the rules name. */
static void test_order(void **state)
{
	(void)state;
	rig_visit(DM);
	in.conditions = "pregnant";
	rig_value(rig_bp(0, ARM_NONE, 190, 120), "bp.pulse", 130000);
	rig_value(rig_bp(60, ARM_NONE, 192, 122), "bp.pulse", 130000);
	rig_one(70, "glu.random", 2000);
	rig_one(71, "glu.fasting", 18000);
	rig_one(72, "temp", 39500);
	answered("2", "2");
	before(3);
	rig_make();
	assert_string_equal(rig_referrals(),
		"bp_urgent pregnant_bp glucose_high glucose_low pregnant_glucose temperature heart_rate complication");
	assert_int_equal(decided.measures, 4);
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(said, "proposed"), "referrals")),
		8);
	assert_int_equal(json_array_size(rig_evidence("referral", "proposed")), 8);
	assert_false(rig_filled("referral"));
	rig_answer("referral", "county hospital, endocrinology");
	rig_make();
	assert_string_equal(rig_text("referral"), "county hospital, endocrinology");
	assert_int_equal(decided.n_referrals, 8); /* what a person writes takes no reason away */
}

/* what comes next */

static void test_next(void **state)
{
	(void)state;
	static const char *const cases[][3] = {{"2026-11-20", "2027-02-20", "2026-12-04"},
		{"2026-08-31", "2026-11-30", "2026-09-14"},
		{"2026-11-30", "2027-02-28", "2026-12-14"},
		{"2027-11-29", "2028-02-29", "2027-12-13"},
		{"2027-11-30", "2028-02-29", "2027-12-14"},
		{"2026-01-31", "2026-04-30", "2026-02-14"},
		{"2026-12-31", "2027-03-31", "2027-01-14"},
		{"2028-02-29", "2028-05-29", "2028-03-14"},
		{"2026-10-20", "2027-01-20", "2026-11-03"}};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		for (int goal = 0; goal < 2; goal++) {
			rig_visit(HTN);
			in.day = day_read(cases[i][0]);
			rig_bp(0, ARM_NONE, goal ? 120 : 150, 80);
			answered("1", "1");
			rig_make();
			assert_string_equal(rig_next(), cases[i][goal ? 1 : 2]);
			assert_string_equal(rig_member("next_visit_date", "by"), "derived");
			assert_string_equal(rig_member("next_visit_date", "value"), rig_next());
			assert_string_equal(rig_text("visit_date"), cases[i][0]);
		}
	rig_visit(HTN); /* at goal and urgent all the same */
	rig_bp(0, ARM_NONE, 120, 80);
	rig_bp(10, ARM_NONE, 190, 80);
	answered("1", "1");
	rig_make();
	assert_int_equal(decided.class, 1);
	assert_string_equal(rig_next(), "2026-12-04");
	assert_int_equal(decided.measures, 4);
}

static void test_next_by_person(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 150, 80);
	rig_answer("next_visit_date", "2026-11-27");
	rig_answer("next_measures", "4");
	rig_make();
	assert_string_equal(rig_next(), "2026-11-27");
	assert_int_equal(decided.measures, 4);
	assert_string_equal(rig_text("next_visit_date"), "2026-11-27");
	assert_string_equal(rig_member("next_visit_date", "by"), "person");
	assert_string_equal(
		json_string_value(rig_evidence("next_visit_date", "proposed")), "2026-12-04");
	assert_int_equal(json_integer_value(rig_evidence("next_measures", "proposed")), 2);
	rig_visit(OLD); /* where no rule proposes one */
	rig_answer("next_visit_date", "2027-11-20");
	rig_make();
	assert_string_equal(rig_next(), "2027-11-20");
	assert_string_equal(member("next_visit_date"), "2027-11-20");
}

static void test_versions(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_make();
	assert_string_equal(json_string_value(json_object_get(said, "form")), HTN);
	assert_string_equal(
		json_string_value(json_object_get(said, "forms_version")), forms_version(forms));
	assert_string_equal(
		json_string_value(json_object_get(said, "numbers_version")), numbers->version);
	assert_string_equal(
		json_string_value(json_object_get(said, "codes_version")), codes_version(codes));
	assert_string_equal(json_string_value(json_object_get(said, "ws_version")), ws_version(ws));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goal_htn),
		cmocka_unit_test(test_goal_t2dm),
		cmocka_unit_test(test_no_goal),
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_class_by_person),
		cmocka_unit_test(test_bp_urgent),
		cmocka_unit_test(test_pregnant),
		cmocka_unit_test(test_glucose),
		cmocka_unit_test(test_temperature),
		cmocka_unit_test(test_heart_rate),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_next_by_person),
		cmocka_unit_test(test_versions),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("proposal: decisions", tests, rig_load, rig_unload);
}
