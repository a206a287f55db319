/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A proposal as a whole: what a person answered stands in place of what a rule says, and is marked so. */
#include "proposal_rig.h"

static const char *proposed(const char *key, const char *member)
{
	const char *t = json_string_value(json_object_get(rig_evidence(key, "proposed"), member));
	return t ? t : "-";
}

/* A whole visit of a hypertensive resident, and every member that the form shows. */
static void test_visit(void **state)
{
	(void)state;
	rig_visit(HTN);
	in.birth = "1955-05-01";
	in.height = (struct visit_result){"height", 158000, 1, day_read("2024-03-01"), "h"};
	rig_value(rig_bp(0, ARM_LEFT, 152, 88), "bp.pulse", 74000);
	rig_value(rig_bp(65, ARM_LEFT, 146, 86), "bp.pulse", 76000);
	rig_one(200, "weight", 63000);
	rig_answer("visit_way", "1");
	rig_answer("complication", "1");
	rig_answer("adverse_reaction", "1");
	rig_make();
	assert_string_equal(rig_text("visit_date"), VISIT_DAY);
	assert_string_equal(rig_text("bp"), "149/87");
	assert_string_equal(rig_text("weight"), "63.00");
	assert_string_equal(rig_text("bmi"), "25.2");
	assert_string_equal(rig_member("bmi", "from"), "2024-03-01");
	assert_string_equal(rig_text("heart_rate"), "76");
	assert_string_equal(rig_text("visit_way"), "1");
	assert_string_equal(rig_member("visit_way", "by"), "person");
	assert_string_equal(rig_member("visit_way", "choices"), "1门诊 2家庭 3电话");
	assert_string_equal(rig_text("next_visit_date"), "2027-02-20");
	assert_string_equal(rig_text("symptoms"), "-");
	assert_int_equal(decided.at_goal, 1);
	assert_int_equal(decided.class, 1);
	assert_int_equal(decided.measures, 1);
	assert_int_equal(decided.n_referrals, 0);
}

/* Goal and index rest on what stands in the form. */
static void test_person_first(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 151, 92);
	rig_one(1, "weight", 65350);
	rig_one(2, "height", 165000);
	rig_make();
	assert_string_equal(rig_text("bmi"), "24.0");
	rig_answer("bp", "138/88");
	rig_answer("weight", "70/62");
	rig_make();
	assert_string_equal(rig_text("bp"), "138/88");
	assert_string_equal(rig_member("bp", "by"), "person");
	assert_string_equal(rig_member("bp", "note"), "-");
	assert_string_equal(rig_member("bp", "rule"), "bp");
	assert_string_equal(proposed("bp", "text"), "151/92");
	assert_string_equal(proposed("bp", "by"), "device");
	assert_string_equal(rig_used(rig_evidence("bp", "proposed")), "a");
	assert_null(json_object_get(rig_field("bp"), "readings"));
	assert_int_equal(json_number_value(json_object_get(rig_field("bp"), "systolic")), 138);
	assert_int_equal(json_number_value(json_object_get(rig_field("bp"), "diastolic")), 88);
	assert_string_equal(rig_text("weight"), "70/62");
	assert_string_equal(rig_member("weight", "unit"), "kg");
	assert_string_equal(rig_member("weight", "kind"), "-");
	assert_string_equal(proposed("weight", "text"), "65.35");
	assert_string_equal(rig_text("bmi"), "25.7"); /* 70 / 1.65^2 */
	assert_string_equal(rig_member("bmi", "by"), "derived");
	assert_int_equal(decided.at_goal, 1);
	rig_answer("bmi", "26.0");
	rig_make();
	assert_string_equal(rig_text("bmi"), "26.0");
	assert_string_equal(rig_member("bmi", "by"), "person");
	assert_string_equal(proposed("bmi", "text"), "25.7");
}

/* Where no reading is, and where the last one was beyond the range. */
static void test_person_only(void **state)
{
	(void)state;
	rig_visit(DM);
	rig_one(0, "glu.fasting", 33300)->values[0].comparator = '>';
	rig_make();
	assert_int_equal(decided.at_goal, 0);
	rig_answer("fasting_glucose", "6.8");
	rig_answer("bp", "120/80");
	rig_make();
	assert_string_equal(rig_text("fasting_glucose"), "6.8");
	assert_string_equal(rig_member("fasting_glucose", "note"), "-");
	assert_null(rig_evidence("fasting_glucose", "proposed"));
	assert_int_equal(json_array_size(rig_evidence("fasting_glucose", "beyond_range")), 1);
	assert_int_equal(decided.at_goal, 1);
	assert_string_equal(rig_referrals(), "glucose_high"); /* the reading stays what it was */
	assert_string_equal(rig_text("bp"), "120/80");
	assert_int_equal(json_object_del(answers, "bp"), 0);
	assert_int_equal(json_object_set_new(answers, "bp", json_null()), 0); /* taken back */
	rig_make();
	assert_string_equal(rig_text("bp"), "-");
	in.answers = NULL; /* nobody said anything */
	rig_make();
	assert_string_equal(rig_text("fasting_glucose"), "-");
}

/* Said under another table: it stands, and nothing rests on it. */
static void test_answer_of_before(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 120, 80);
	rig_answer("bp", "120 over 80");
	rig_answer("classification", "9");
	rig_answer("adverse_reaction", "2 1");
	rig_answer("next_visit_date", "in spring");
	rig_make();
	assert_string_equal(rig_text("bp"), "120 over 80");
	assert_string_equal(rig_member("bp", "by"), "person");
	assert_null(json_object_get(rig_field("bp"), "systolic"));
	assert_int_equal(decided.at_goal, -1);
	assert_string_equal(decided.goal_why, "no_value");
	assert_string_equal(rig_text("classification"), "9");
	assert_int_equal(decided.class, 0);
	assert_string_equal(rig_text("next_visit_date"), "in spring");
	assert_string_equal(rig_next(), "-");
	rig_answer("bp", "190/100 twice");
	rig_make();
	assert_string_equal(rig_referrals(), "");
	assert_int_equal(json_object_set_new(answers, "bp", json_true()), 0);
	rig_make();
	assert_string_equal(rig_text("bp"), "120/80");
}

/* Numbers as a person's program may send them. */
static void test_number_answers(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_one(2, "height", 200000);
	assert_int_equal(json_object_set_new(answers, "weight", json_real(65.35)), 0);
	assert_int_equal(json_object_set_new(answers, "complication", json_integer(2)), 0);
	rig_make();
	assert_string_equal(rig_text("weight"), "65.35");
	assert_string_equal(rig_text("bmi"), "16.3");
	assert_string_equal(rig_used(rig_field("bmi")), "a");
	assert_string_equal(rig_text("complication"), "2");
	assert_int_equal(decided.class, 4);
}

/* A form that is not in the table has no fields, and follows no rule. */
static void test_no_form(void **state)
{
	(void)state;
	rig_visit("no_such_form");
	rig_bp(0, ARM_NONE, 190, 120);
	rig_make();
	assert_int_equal(json_array_size(json_object_get(said, "fields")), 0);
	assert_int_equal(decided.class, 0);
	assert_int_equal(decided.n_referrals, 0);
}

/* A form that nobody opened a visit for: no day, no value, nothing that follows. */
static void test_blank(void **state)
{
	(void)state;
	static const char *const names[] = {HTN, DM, OLD, COPD};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		size_t k;
		const json_t *f;
		rig_visit(names[i]);
		in.day = DAY_NONE;
		rig_make();
		json_array_foreach(json_object_get(said, "fields"), k, f)
			assert_false(json_is_true(json_object_get(f, "filled")));
		assert_string_equal(rig_next(), "-");
	}
}

/* What is not JSON in an answer becomes text of it. */
static void test_quotes(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_answer("medication", "\"5 mg\" \\ daily");
	rig_make();
	assert_string_equal(rig_text("medication"), "\"5 mg\" \\ daily");
	assert_string_equal(rig_member("medication", "value"), "\"5 mg\" \\ daily");
	assert_string_equal(rig_member("medication", "rule"), "-");
	assert_null(json_object_get(rig_field("medication"), "evidence"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_visit),
		cmocka_unit_test(test_person_first),
		cmocka_unit_test(test_person_only),
		cmocka_unit_test(test_answer_of_before),
		cmocka_unit_test(test_number_answers),
		cmocka_unit_test(test_no_form),
		cmocka_unit_test(test_blank),
		cmocka_unit_test(test_quotes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("proposal", tests, rig_load, rig_unload);
}
