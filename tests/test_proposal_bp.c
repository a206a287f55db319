/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The blood pressure of a visit: gaps, differences, arms, and what is no number for a form. */
#include "proposal_rig.h"

static void expect(const char *text, const char *note, const char *used)
{
	rig_make();
	assert_string_equal(rig_text("bp"), text);
	assert_string_equal(rig_member("bp", "note"), note);
	assert_string_equal(rig_used(rig_field("bp")), used);
	if (!streq(text, "-"))
		assert_string_equal(rig_member("bp", "by"), "device");
}

static void test_none_and_one(void **state)
{
	(void)state;
	rig_visit(HTN);
	expect("-", "-", "");
	rig_bp(0, ARM_NONE, 151, 92);
	expect("151/92", "single", "a");
	const json_t *f = rig_field("bp");
	assert_int_equal(json_number_value(json_object_get(f, "systolic")), 151);
	assert_int_equal(json_number_value(json_object_get(f, "diastolic")), 92);
	assert_string_equal(rig_member("bp", "unit"), "mm[Hg]");
	assert_string_equal(rig_member("bp", "ws"), "DE04.10.174.00 DE04.10.176.00");
	assert_string_equal(rig_member("bp", "rule"), "bp");
}

/* The second is the first that was taken at least a minute after the first. */
static void test_gap(void **state)
{
	(void)state;
	static const struct {
		int second;
		const char *text, *note, *used;
	} cases[] = {{59, "140/90", "single", "a"}, {60, "145/91", "-", "ab"},
		{61, "145/91", "-", "ab"}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		rig_bp(0, ARM_NONE, 140, 90);
		rig_bp(cases[i].second, ARM_NONE, 150, 92);
		expect(cases[i].text, cases[i].note, cases[i].used);
	}
	/* to the microsecond */
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 140, 90);
	rig_bp(60, ARM_NONE, 150, 92)->taken_us--;
	expect("140/90", "single", "a");
	/* what lies between is left out, and is not what the gap is counted from */
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 140, 90);
	rig_bp(30, ARM_NONE, 200, 120);
	rig_bp(59, ARM_NONE, 200, 120);
	rig_bp(60, ARM_NONE, 142, 88);
	expect("141/89", "-", "ad");
}

/* More than 10 between the two, systolic or diastolic: a third. */
static void test_third(void **state)
{
	(void)state;
	static const struct {
		int systolic, diastolic;
		bool third;
	} cases[] = {{150, 90, false}, {151, 90, true}, {130, 90, false}, {129, 90, true},
		{140, 100, false}, {140, 101, true}, {140, 80, false}, {140, 79, true},
		{150, 100, false}, {151, 101, true}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		rig_bp(0, ARM_LEFT, 140, 90);
		rig_bp(60, ARM_LEFT, cases[i].systolic, cases[i].diastolic);
		rig_make();
		assert_string_equal(
			rig_member("bp", "note"), cases[i].third ? "third_needed" : "-");
		assert_string_equal(rig_used(rig_field("bp")), "ab");
		rig_bp(119, ARM_LEFT, 300, 200);
		rig_bp(120, ARM_LEFT, 144, 90);
		rig_make();
		assert_string_equal(rig_member("bp", "note"), "-");
		assert_string_equal(rig_used(rig_field("bp")), cases[i].third ? "abd" : "ab");
	}
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 140, 90);
	rig_bp(60, ARM_NONE, 160, 92);
	rig_bp(120, ARM_NONE, 150, 88);
	expect("150/90", "-", "abc");
	/* the third counts from the second */
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 140, 90);
	rig_bp(100, ARM_NONE, 160, 92);
	rig_bp(159, ARM_NONE, 120, 60);
	expect("150/91", "third_needed", "ab");
}

/* Who measures eight times has the first, the second and, where they differ, the third. */
static void test_eight(void **state)
{
	(void)state;
	rig_visit(HTN);
	for (int i = 0; i < 8; i++)
		rig_bp(i * 70, ARM_NONE, 170 - 5 * i, 95 - i);
	expect("168/95", "-", "ab"); /* 167.5 / 94.5 */
	rig_visit(HTN);
	for (int i = 0; i < 8; i++)
		rig_bp(i * 40, ARM_NONE, 170 - 6 * i, 95 - i);
	expect("158/93", "-", "ace"); /* 170, 158, 146 */
}

static void test_rounding(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 139, 89);
	rig_bp(60, ARM_NONE, 140, 90);
	expect("140/90", "-", "ab"); /* 139.5 and 89.5: away from zero */
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 140, 80);
	rig_bp(60, ARM_NONE, 151, 80);
	rig_bp(120, ARM_NONE, 140, 81);
	expect("144/80", "-", "abc"); /* 143.67 and 80.33 */
}

static void test_arms(void **state)
{
	(void)state;
	/* never together: one of each is a single of the higher */
	rig_visit(HTN);
	rig_bp(0, ARM_LEFT, 140, 90);
	rig_bp(60, ARM_RIGHT, 146, 84);
	expect("146/84", "single", "b");
	rig_bp(120, ARM_LEFT, 150, 92);
	rig_bp(121, ARM_NONE, 147, 99);
	expect("147/99", "single", "d");
	rig_bp(200, ARM_RIGHT, 152, 84); /* right: 149 */
	expect("149/84", "-", "be");
	const json_t *arms = rig_evidence("bp", "arms");
	assert_int_equal(json_array_size(arms), 3);
	static const char *const names[] = {"not_annotated", "left", "right"}, *const used[] = {"d",
										       "ac", "be"};
	for (size_t i = 0; i < 3; i++) {
		const json_t *arm = json_array_get(arms, i);
		assert_string_equal(json_string_value(json_object_get(arm, "arm")), names[i]);
		assert_string_equal(rig_used(arm), used[i]);
	}
	assert_int_equal(
		json_number_value(json_object_get(json_array_get(arms, 1), "systolic")), 145);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(arms, 0), "note")), "single");
	assert_null(json_object_get(json_array_get(arms, 1), "note"));
}

/* By the means before they are rounded; then diastolic; then right, left, not annotated. */
static void test_ties(void **state)
{
	(void)state;
	static const struct {
		int left[2][2], right[2][2], none[2][2]; /* 0: there is none */
		const char *used;
	} cases[] = {
		/* 140.5 and 140, the other way round, and means that differ by half */
		{{{140, 80}, {141, 80}}, {{140, 90}, {140, 90}}, {{0}}, "ab"},
		{{{140, 90}, {140, 90}}, {{140, 80}, {141, 80}}, {{0}}, "cd"},
		{{{140, 80}, {142, 80}}, {{141, 80}, {142, 80}}, {{0}}, "cd"}, /* 141 and 141.5 */
		{{{141, 80}, {142, 80}}, {{140, 80}, {144, 80}}, {{0}}, "cd"}, /* 141.5 and 142 */
		{{{140, 80}, {140, 81}}, {{140, 80}, {140, 80}}, {{0}}, "ab"},
		{{{140, 80}, {140, 80}}, {{140, 80}, {140, 80}}, {{0}}, "cd"},
		{{{140, 80}, {140, 80}}, {{0}}, {{140, 80}, {140, 80}}, "ab"},
		{{{0}}, {{140, 80}, {140, 80}}, {{140, 80}, {140, 80}}, "ab"},
		{{{140, 80}, {140, 80}}, {{0}}, {{140, 80}, {140, 82}}, "cd"},
		{{{140, 80}, {0}}, {{140, 80}, {141, 80}}, {{0}}, "bc"},
		{{{141, 80}, {0}}, {{140, 80}, {141, 80}}, {{0}}, "a"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(HTN);
		int second = 0;
		for (int k = 0; k < 2; k++, second += 60)
			if (cases[i].left[k][0])
				rig_bp(second, ARM_LEFT, cases[i].left[k][0], cases[i].left[k][1]);
		for (int k = 0; k < 2; k++, second += 60)
			if (cases[i].right[k][0])
				rig_bp(second, ARM_RIGHT, cases[i].right[k][0],
					cases[i].right[k][1]);
		for (int k = 0; k < 2; k++, second += 60)
			if (cases[i].none[k][0])
				rig_bp(second, ARM_NONE, cases[i].none[k][0], cases[i].none[k][1]);
		rig_make();
		print_message("# %zu\n", i);
		assert_string_equal(rig_used(rig_field("bp")), cases[i].used);
	}
}

/* HI and LO, a moved cuff, half a pressure: no number for a form, and nothing to count a gap from. */
static void test_unusable(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 300, 90)->values[0].comparator = '>';
	expect("-", "-", "");
	const json_t *beyond = rig_evidence("bp", "beyond_range");
	assert_int_equal(json_array_size(beyond), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(beyond, 0), "comparator")), ">");
	rig_bp(10, ARM_NONE, 140, 20)->values[1].comparator = '<';
	rig_bp(20, ARM_NONE, 190, 80)->doubtful = true;
	rig_one(30, "bp.sbp", 140000);
	rig_one(31, "bp.dbp", 80000);
	expect("-", "-", "");
	assert_int_equal(json_array_size(rig_evidence("bp", "beyond_range")), 2);
	rig_bp(40, ARM_NONE, 144, 80);
	expect("144/80", "single", "f");
	rig_bp(100, ARM_NONE, 146, 80)->doubtful = true;
	rig_bp(130, ARM_NONE, 146, 80)->irregular = true; /* the pulse, not the pressure */
	expect("145/80", "-", "fh");
}

static void test_both_arms(void **state)
{
	(void)state;
	rig_visit(OLD);
	rig_bp(0, ARM_LEFT, 140, 90);
	rig_bp(10, ARM_RIGHT, 150, 80);
	rig_bp(60, ARM_LEFT, 142, 92);
	rig_bp(70, ARM_NONE, 190, 99);
	rig_make();
	assert_string_equal(rig_text("bp_left"), "141/91");
	assert_string_equal(rig_member("bp_left", "note"), "-");
	assert_string_equal(rig_text("bp_right"), "150/80");
	assert_string_equal(rig_member("bp_right", "note"), "single");
	assert_string_equal(rig_member("bp_right", "rule"), "bp_right");
	rig_visit(OLD);
	rig_bp(70, ARM_NONE, 190, 99);
	rig_make();
	assert_string_equal(rig_text("bp_left"), "-");
	assert_string_equal(rig_text("bp_right"), "-");
	assert_int_equal(json_array_size(rig_evidence("bp_right", "arms")),
		1); /* somebody should annotate it */
}

/* In a form of its own order and in every form that asks for it. */
static void test_forms(void **state)
{
	(void)state;
	static const char *const names[] = {HTN, DM, COPD};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		rig_visit(names[i]);
		rig_bp(0, ARM_NONE, 138, 86);
		rig_bp(70, ARM_NONE, 136, 84);
		expect("137/85", "-", "ab");
	}
}

static void test_home_week_beside(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_make();
	assert_null(rig_evidence("bp", "home_week"));
	in.week = (struct home_week){true, day_read("2026-11-02"), day_read("2026-11-08"), 24, 6,
		132000, 82000, "between"};
	rig_make();
	const json_t *w = rig_evidence("bp", "home_week");
	assert_string_equal(json_string_value(json_object_get(w, "from")), "2026-11-02");
	assert_string_equal(json_string_value(json_object_get(w, "to")), "2026-11-08");
	assert_string_equal(json_string_value(json_object_get(w, "verdict")), "between");
	assert_int_equal(json_integer_value(json_object_get(w, "n")), 24);
	assert_int_equal(json_integer_value(json_object_get(w, "days")), 6);
	assert_int_equal(json_integer_value(json_object_get(w, "systolic")), 132);
	assert_int_equal(json_integer_value(json_object_get(w, "diastolic")), 82);
	assert_false(rig_filled("bp")); /* beside it, never in it */
	assert_int_equal(decided.at_goal, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_and_one),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_third),
		cmocka_unit_test(test_eight),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_arms),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_both_arms),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_home_week_beside),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("proposal: blood pressure", tests, rig_load, rig_unload);
}
