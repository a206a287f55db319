/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What persons may answer: known keys, the choices of the form, numbers that a kind has room for, dates, short texts. */
#include "proposal_rig.h"

#include <errno.h>

static int ok(const char *form, const char *key, const char *text)
{
	json_t *value = json_string(text);
	int rc = proposal_answer_ok(forms, codes, form, key, value);
	json_decref(value);
	return rc;
}

static void test_keys(void **state)
{
	(void)state;
	assert_int_equal(ok(HTN, "smoking", "10/5"), 0);
	assert_int_equal(ok(HTN, "no_such_key", "x"), -ENOENT);
	assert_int_equal(ok(HTN, "", "x"), -ENOENT);
	assert_int_equal(ok("no_such_form", "smoking", "x"), -ENOENT);
	assert_int_equal(ok(HTN, "temp", "36.5"), -ENOENT); /* of another form */
	assert_int_equal(ok(OLD, "temp", "36.5"), 0);
	/* the resident record's and the confirmation's: no name ever comes in here */
	assert_int_equal(ok(HTN, "name", "x"), -ENOENT);
	assert_int_equal(ok(HTN, "record_no", "x"), -ENOENT);
	assert_int_equal(ok(DM, "doctor_signature", "x"), -ENOENT);
	/* what every visit may be asked */
	static const char *const names[] = {HTN, DM, OLD, COPD};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		assert_int_equal(ok(names[i], "complication", "1"), 0);
		assert_int_equal(ok(names[i], "classification", "4"), 0);
		assert_int_equal(ok(names[i], "referral", "county hospital"), 0);
		assert_int_equal(ok(names[i], "referral_result", "1"), 0);
		assert_int_equal(ok(names[i], "next_visit_date", "2027-02-20"), 0);
		assert_int_equal(ok(names[i], "visit_way", "2"), 0);
		assert_int_equal(ok(names[i], "visit_date", "2026-11-20"), 0);
	}
}

static void test_choices(void **state)
{
	(void)state;
	static const struct {
		const char *form, *key, *text;
		bool right;
	} cases[] = {
		{HTN, "visit_way", "1", true}, {HTN, "visit_way", "3", true},
		{HTN, "visit_way", "4", false}, {HTN, "visit_way", "0", false},
		{HTN, "visit_way", "12", false}, {HTN, "visit_way", "1 2", false},
		{HTN, "visit_way", "1 clinic", false}, {HTN, "visit_way", "clinic", false},
		{HTN, "visit_way", "01", false}, {HTN, "visit_way", "-1", false},
		{HTN, "visit_way", "1.0", false}, {HTN, "visit_way", " 1", false},
		{HTN, "visit_way", "1x", false}, {HTN, "classification", "5", false},
		{HTN, "classification", "4", true}, {HTN, "adverse_reaction", "2", true},
		{HTN, "adverse_reaction", "2 rash after the second pill", true},
		{HTN, "adverse_reaction", "2,rash", true}, {HTN, "adverse_reaction", "rash", false},
		{HTN, "adverse_reaction", "3 rash", false}, {HTN, "adverse_reaction", "1 2", false},
		{HTN, "complication", "2 stroke", true}, {HTN, "complication", "stroke", false},
		{HTN, "symptoms", "2 6", true}, {HTN, "symptoms", "2,6;9", true},
		{HTN, "symptoms", "2 6 belly ache", true}, {HTN, "symptoms", "belly ache", true},
		{HTN, "symptoms", "0", false}, {HTN, "symptoms", "12", false},
		{HTN, "symptoms", "2 12", false}, {DM, "adjustment_compliance", "1 2", true},
		{DM, "adjustment_compliance", "1 4", false},
		{DM, "adjustment_compliance", "1 well", false}, {COPD, "symptoms", "9", false},
		{COPD, "symptoms", "8", true}, {COPD, "level", "3", true},
		{COPD, "level", "4", false}, {HTN, "next_measures", "4", true},
		{HTN, "next_measures", "5", false}, {DM, "hypoglycaemia", "3", true},
		{DM, "hypoglycaemia", "4", false},
		{HTN, "salt", "\xe8\xbd\xbb", true}, /* not numbered */
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		print_message("# %s: %s\n", cases[i].key, cases[i].text);
		assert_int_equal(ok(cases[i].form, cases[i].key, cases[i].text),
			cases[i].right ? 0 : -EINVAL);
	}
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *form, *key, *text;
		bool right;
	} cases[] = {
		{HTN, "bp", "138/88", true},
		{HTN, "bp", "138", false},
		{HTN, "bp", "138/", false},
		{HTN, "bp", "/88", false},
		{HTN, "bp", "138/88/70", false},
		{HTN, "bp", "138.5/88", false},
		{HTN, "bp", "88/138", false},
		{HTN, "bp", "88/88", false},
		{HTN, "bp", "301/88", false},
		{HTN, "bp", "300/200", true},
		{HTN, "bp", "138/19", false},
		{HTN, "bp", "138/20", true},
		{HTN, "bp", "39/20", false},
		{HTN, "bp", "138 / 88", false},
		{HTN, "bp", ">138/88", false},
		{OLD, "bp_left", "138/88", true},
		{OLD, "bp_right", "138", false},
		{HTN, "weight", "65.35", true},
		{HTN, "weight", "65", true},
		{HTN, "weight", "65.", false},
		{HTN, "weight", "65.355", false},
		{HTN, "weight", ".5", false},
		{HTN, "weight", "0.99", false},
		{HTN, "weight", "1", true},
		{HTN, "weight", "300.01", false},
		{HTN, "weight", "-65", false},
		{HTN, "weight", "65/62", true},
		{HTN, "weight", "65/", false},
		{HTN, "weight", "65/301", false},
		{HTN, "weight", "65/62/60", false},
		{HTN, "weight", "/62", false},
		{HTN, "weight", "65 kg", false},
		{HTN, "weight", "99999999999999999999", false},
		{HTN, "weight", "18446744073709551681", false},
		{HTN, "weight", "1e2", false},
		{OLD, "weight", "65/62", false}, /* this form has no target */
		{HTN, "bmi", "24.2", true},
		{HTN, "bmi", "24.2/22.0", true},
		{HTN, "bmi", "24.25", false},
		{HTN, "bmi", "4.9", false},
		{HTN, "heart_rate", "72", true},
		{HTN, "heart_rate", "72.5", false},
		{OLD, "height", "165.5", true},
		{OLD, "height", "251", false},
		{OLD, "waist", "85.5", true},
		{DM, "fasting_glucose", "7.1", true},
		{DM, "fasting_glucose", "7.05", false},
		{DM, "fasting_glucose", "33.4", false},
		{DM, "fasting_glucose", "HI", false},
		{DM, "other_glucose", "11.1", true},
		{DM, "hba1c", "10.5", true},
		{HTN, "visit_date", "2026-11-20", true},
		{HTN, "visit_date", "2026-11-31", false},
		{HTN, "visit_date", "20.11.2026", false},
		{HTN, "next_visit_date", "soon", false},
		{OLD, "next_visit_date", "2027-02-29", false},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		print_message("# %s: %s\n", cases[i].key, cases[i].text);
		assert_int_equal(ok(cases[i].form, cases[i].key, cases[i].text),
			cases[i].right ? 0 : -EINVAL);
	}
}

static void test_texts(void **state)
{
	(void)state;
	char text[PROPOSAL_ANSWER_MAX + 2];
	memset(text, 'x', sizeof(text));
	text[PROPOSAL_ANSWER_MAX] = 0;
	assert_int_equal(ok(HTN, "medication", text), 0);
	text[PROPOSAL_ANSWER_MAX] = 'x';
	text[PROPOSAL_ANSWER_MAX + 1] = 0;
	assert_int_equal(ok(HTN, "medication", text), -EINVAL);
	assert_int_equal(ok(HTN, "medication", ""), -EINVAL);
	assert_int_equal(ok(HTN, "medication", "   "), -EINVAL);
	assert_int_equal(ok(HTN, "medication", "a\nb"), -EINVAL);
	assert_int_equal(ok(HTN, "medication", "a\x7f"), -EINVAL);
	assert_int_equal(
		ok(HTN, "medication", "\xe6\xb0\xa8\xe6\xb0\xaf\xe5\x9c\xb0\xe5\xb9\xb3 5 mg"), 0);
	json_t *nul = json_stringn("5 mg\0x", 6);
	assert_int_equal(proposal_answer_ok(forms, codes, HTN, "medication", nul), -EINVAL);
	json_decref(nul);
}

static int typed(const char *form, const char *key, json_t *value)
{
	int rc = proposal_answer_ok(forms, codes, form, key, value);
	json_decref(value);
	return rc;
}

static void test_types(void **state)
{
	(void)state;
	assert_int_equal(typed(HTN, "visit_way", json_integer(2)), 0);
	assert_int_equal(typed(HTN, "visit_way", json_integer(4)), -EINVAL);
	assert_int_equal(typed(HTN, "visit_way", json_integer(-2)), -EINVAL);
	assert_int_equal(typed(HTN, "visit_way", json_real(2.5)), -EINVAL);
	assert_int_equal(typed(HTN, "weight", json_real(65.35)), 0);
	assert_int_equal(typed(HTN, "weight", json_real(65.355)), -EINVAL);
	assert_int_equal(typed(HTN, "weight", json_real(1e300)), -EINVAL);
	assert_int_equal(typed(HTN, "weight", json_integer(65)), 0);
	assert_int_equal(typed(HTN, "weight", json_null()), 0); /* takes it back */
	assert_int_equal(typed(HTN, "no_such_key", json_null()), -ENOENT);
	assert_int_equal(typed(HTN, "weight", json_true()), -EINVAL);
	assert_int_equal(typed(HTN, "symptoms", json_array()), -EINVAL);
	assert_int_equal(typed(HTN, "symptoms", json_object()), -EINVAL);
	assert_int_equal(proposal_answer_ok(forms, codes, HTN, "weight", NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_types),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("proposal: answers", tests, rig_load, rig_unload);
}
