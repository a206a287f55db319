/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The named rules that fill a field, each with its evidence; what only a person can answer stays open. */
#include "proposal_rig.h"

#include "csv.h"

static void expect(const char *key, const char *text, const char *used)
{
	assert_string_equal(rig_text(key), text);
	assert_string_equal(rig_used(rig_field(key)), used);
}

/* The last usable one of the first kind that has one. */
static void test_last(void **state)
{
	(void)state;
	rig_visit(COPD);
	rig_one(0, "weight", 65350);
	rig_one(10, "weight", 66000)->values[0].comparator = '>';
	rig_one(20, "spo2", 97000);
	rig_one(30, "spo2", 95000);
	rig_make();
	expect("weight", "65.35", "a");
	assert_string_equal(rig_member("weight", "unit"), "kg");
	assert_string_equal(rig_member("weight", "kind"), "weight");
	assert_string_equal(rig_member("weight", "by"), "device");
	assert_string_equal(rig_member("weight", "rule"), "last");
	assert_string_equal(rig_member("weight", "note"), "-");
	assert_string_equal(rig_member("weight", "origin"), "-");
	assert_string_equal(rig_member("weight", "from"), "-");
	assert_int_equal(json_array_size(rig_evidence("weight", "beyond_range")), 1);
	expect("spo2", "95", "d");
	expect("resp", "-", "");
	rig_value(rig_one(40, "resp", 18000), "temp", 36500); /* no field of this form */
	rig_make();
	expect("resp", "18", "e");
}

static void test_heart_rate(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_one(0, "spo2.pulse", 71000);
	rig_one(10, "spo2.pulse", 72000);
	rig_make();
	expect("heart_rate", "72", "b");
	assert_string_equal(rig_member("heart_rate", "origin"), "spo2.pulse");
	rig_one(5, "bp.pulse", 88000)->irregular = true;
	rig_make();
	expect("heart_rate", "72", "b"); /* not from a cuff that saw an irregular pulse */
	rig_one(6, "bp.pulse", 80000);
	rig_one(7, "bp.pulse", 81000)->irregular = true;
	rig_make();
	expect("heart_rate", "80", "d");
	assert_string_equal(rig_member("heart_rate", "origin"), "bp.pulse");
	assert_string_equal(rig_member("heart_rate", "kind"), "bp.pulse");
	rig_one(1, "hr.form", 76000);
	rig_make();
	expect("heart_rate", "76", "f");
	rig_one(2, "ecg.hr", 66000)->irregular = true; /* a cuff's mark says nothing about an ECG */
	rig_make();
	expect("heart_rate", "66", "g");
	assert_string_equal(rig_member("heart_rate", "origin"), "ecg.hr");
	rig_one(100, "hr", 120000); /* a strap is in no form */
	rig_make();
	expect("heart_rate", "66", "g");
	rig_visit(OLD); /* asks for the pulse */
	rig_one(0, "ecg.hr", 66000);
	rig_one(1, "bp.pulse", 70000);
	rig_one(2, "bp.pulse", 71000)->irregular = true;
	rig_make();
	expect("pulse", "70", "b");
}

/* By mark only, and a number only. */
static void test_fasting(void **state)
{
	(void)state;
	rig_visit(DM);
	rig_one(0, "glu.random", 9100);
	rig_make();
	expect("fasting_glucose", "-", "");
	assert_string_equal(rig_member("fasting_glucose", "note"), "-");
	rig_one(10, "glu.fasting", 7100);
	rig_make();
	expect("fasting_glucose", "7.1", "b");
	rig_one(20, "glu.fasting", 6500);
	rig_make();
	expect("fasting_glucose", "6.5", "c");
	rig_one(30, "glu.fasting", 33300)->values[0].comparator = '>';
	rig_make();
	expect("fasting_glucose", "-", "");
	assert_string_equal(rig_member("fasting_glucose", "note"), "beyond_range");
	assert_int_equal(json_array_size(rig_evidence("fasting_glucose", "beyond_range")), 1);
	assert_null(rig_evidence("fasting_glucose", "proposed"));
	rig_one(40, "glu.fasting", 6000);
	rig_make();
	expect("fasting_glucose", "6.0", "e");
	rig_visit(OLD);
	rig_one(10, "glu.fasting", 5600);
	rig_make();
	expect("fasting_glucose", "5.6", "a");
}

static void test_other_glucose(void **state)
{
	(void)state;
	rig_visit(DM);
	rig_one(0, "glu.undetermined_plasma", 5100);
	rig_make();
	expect("other_glucose", "5.1", "a");
	rig_one(1, "glu.capillary_plasma", 5200);
	rig_make();
	expect("other_glucose", "5.2", "b");
	rig_one(2, "glu.random", 5300);
	rig_make();
	expect("other_glucose", "5.3", "c");
	rig_one(3, "glu.postprandial_2h", 20000)->values[0].comparator = '>';
	rig_make();
	expect("other_glucose", "5.3", "c");
	rig_one(4, "glu.postprandial_2h", 5400);
	rig_one(5, "glu.random", 5500);
	rig_make();
	expect("other_glucose", "5.4", "e");
	assert_string_equal(rig_member("other_glucose", "kind"), "glu.postprandial_2h");
	expect("fasting_glucose", "-", "");
	rig_visit(DM); /* fluid of the tissue is no blood */
	rig_one(0, "glu.isf", 5100);
	rig_make();
	expect("other_glucose", "-", "");
}

static void stand_in(const char *birth, const char *day)
{
	in.birth = birth;
	in.height = (struct visit_result){"height", 165000, 1, day_read(day), "h"};
	rig_make();
}

/* An adult's from any time; a child's for 90 days; an unknown age is a child's. */
static void test_height(void **state)
{
	(void)state;
	static const struct {
		const char *birth, *day;
		bool stands;
	} cases[] = {
		{"1960-01-01", "2001-03-02", true},
		{"2008-03-02", "2026-03-02", true},  /* 18 on that day */
		{"2008-03-03", "2026-03-02", false}, /* 17 */
		{"2008-03-03", "2026-08-21", true},  /* 18 by then */
		{"2015-01-01", "2026-08-22", true},  /* 90 days before */
		{"2015-01-01", "2026-08-21", false}, /* 91 */
		{NULL, "2026-08-22", true},
		{NULL, "2026-08-21", false},
		{"2008", "2026-03-02", false}, /* 17 or 18 */
		{"2008", "2026-08-22", true},
		{"2007", "2026-03-02", true}, /* 18 or 19 */
		{"17-20@2026-03-02", "2026-03-02", false},
		{"18-20@2026-03-02", "2026-03-02", true},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(OLD);
		stand_in(cases[i].birth, cases[i].day);
		print_message("# %s %s\n", cases[i].birth ? cases[i].birth : "-", cases[i].day);
		expect("height", cases[i].stands ? "165.0" : "-", cases[i].stands ? "h" : "");
		assert_string_equal(
			rig_member("height", "from"), cases[i].stands ? cases[i].day : "-");
	}
	rig_visit(OLD); /* the visit's own */
	rig_one(0, "height", 166000);
	stand_in("1960", "2001-03-02");
	expect("height", "166.0", "a");
	assert_string_equal(rig_member("height", "from"), "-");
	rig_visit(OLD);
	rig_make();
	expect("height", "-", "");
}

static void test_bmi(void **state)
{
	(void)state;
	static const struct {
		int64_t weight, height;
		const char *bmi;
	} cases[] = {
		{70000, 170000, "24.2"}, /* 24.221 */
		{72250, 170000, "25.0"},
		{63000, 158000, "25.2"}, /* 25.236 */
		{65000, 200000, "16.3"}, /* 16.25: half away from zero */
		{64990, 200000, "16.2"}, /* 16.2475 */
		{65010, 200000, "16.3"},
		{300000, 250000, "48.0"},
		{100000, 100000, "100.0"},
		{20000, 200000, "5.0"},
		{1000, 30000, "11.1"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_visit(i % 2 ? HTN : OLD);
		rig_one(0, "weight", cases[i].weight);
		rig_one(1, "height", cases[i].height);
		rig_make();
		expect("bmi", cases[i].bmi, "ab");
		assert_string_equal(rig_member("bmi", "by"), "derived");
		assert_string_equal(rig_member("bmi", "kind"), "bmi");
		assert_string_equal(rig_member("bmi", "unit"), "kg/m2");
		assert_string_equal(rig_member("bmi", "from"), "-");
	}
	static const int64_t wrong[][2] = {{101000, 100000}, {19700, 200000}};
	for (size_t i = 0; i < ELEMENTS(wrong);
		i++) { /* 101, and 4.925: one of the two is not so */
		rig_visit(HTN);
		rig_one(0, "weight", wrong[i][0]);
		rig_one(1, "height", wrong[i][1]);
		rig_make();
		expect("bmi", "-", "");
		assert_string_equal(rig_member("bmi", "note"), "implausible");
		assert_string_equal(rig_used(rig_evidence("bmi", "proposed")), "ab");
	}
}

/* A weight is no index, a height is none, neither is the scale's own, nor a weight of another day. */
static void test_no_bmi(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_one(0, "bmi", 24500);
	rig_one(1, "height", 165000);
	rig_make();
	expect("bmi", "-", "");
	rig_one(2, "weight", 300000)->values[0].comparator = '>';
	rig_make();
	expect("bmi", "-", "");
	rig_visit(HTN);
	rig_one(2, "weight", 65350);
	rig_make();
	expect("bmi", "-", "");
	stand_in("1960", "2025-03-02");
	expect("bmi", "24.0", "ah"); /* 24.004 */
	assert_string_equal(rig_member("bmi", "from"), "2025-03-02");
	rig_visit(HTN);
	rig_one(0, "weight", 65350);
	rig_one(1, "height", 0);
	rig_make();
	expect("bmi", "-", "");
}

/* Results since the visit before, each with its day, in the form's order. */
static void test_aux(void **state)
{
	(void)state;
	rig_visit(HTN);
	rig_make();
	assert_false(rig_filled("auxiliary_tests"));
	results[0] = (struct visit_result){"lipid.tg", 1700, 2, day_read("2026-10-02"), "t"};
	results[1] = (struct visit_result){"hba1c", 7000, 1, day_read("2026-10-03"), "x"};
	results[2] = (struct visit_result){"glu.fasting", 5600, 1, day_read("2026-11-01"), "g"};
	in.n_results = 3;
	rig_make();
	assert_true(rig_filled("auxiliary_tests"));
	assert_string_equal(rig_member("auxiliary_tests", "by"), "device");
	const json_t *items = json_object_get(rig_field("auxiliary_tests"), "items");
	assert_int_equal(json_array_size(items), 2);
	static const char *const expected[2][5] = {
		{"glu.fasting", "5.6", "2026-11-01", "g", "mmol/L"},
		{"lipid.tg", "1.70", "2026-10-02", "t", "mmol/L"}};
	static const char *const members[5] = {"kind", "text", "day", "reading", "unit"};
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 5; k++)
			assert_string_equal(json_string_value(json_object_get(
						    json_array_get(items, i), members[k])),
				expected[i][k]);
	rig_answer("auxiliary_tests", "ECG: sinus rhythm");
	rig_make();
	assert_string_equal(rig_text("auxiliary_tests"), "ECG: sinus rhythm");
	assert_int_equal(json_array_size(json_object_get(
				 rig_evidence("auxiliary_tests", "proposed"), "items")),
		2);
	rig_visit(HTN);
	in.n_results = 2;
	results[0].kind = "waist"; /* none of the field's kinds */
	rig_make();
	assert_false(rig_filled("auxiliary_tests"));
}

/* Low values are no answer to how often somebody feels low: they stand beside it. */
static void test_hypo(void **state)
{
	(void)state;
	rig_visit(DM);
	rig_one(0, "glu.random", 3100);
	rig_make();
	assert_null(rig_evidence("hypoglycaemia", "hypo"));
	in.hypo.episodes = 2;
	in.hypo.lowest = 2800;
	in.hypo.since = day_read("2026-08-20");
	rig_make();
	assert_false(rig_filled("hypoglycaemia"));
	const json_t *h = rig_evidence("hypoglycaemia", "hypo");
	assert_int_equal(json_integer_value(json_object_get(h, "episodes")), 2);
	assert_int_equal(json_number_value(json_object_get(h, "lowest")) * 1000 + 0.5, 2800);
	assert_string_equal(json_string_value(json_object_get(h, "since")), "2026-08-20");
	rig_answer("hypoglycaemia", "2");
	rig_make();
	assert_string_equal(rig_text("hypoglycaemia"), "2");
	assert_non_null(rig_evidence("hypoglycaemia", "hypo"));
}

/* A value that its element has no room for is shown beside the field. */
static void test_does_not_fit(void **state)
{
	(void)state;
	rig_visit(OLD);
	rig_one(0, "temp", 9500); /* N4,1 */
	rig_one(1, "weight", 1000000);
	rig_one(2, "waist", 1000000); /* nobody has confirmed its format */
	rig_make();
	expect("temp", "-", "");
	assert_string_equal(rig_member("temp", "note"), "does_not_fit");
	const json_t *proposed = rig_evidence("temp", "proposed");
	assert_string_equal(json_string_value(json_object_get(proposed, "text")), "9.5");
	assert_string_equal(rig_used(proposed), "a");
	assert_string_equal(rig_member("weight", "note"), "does_not_fit");
	expect("waist", "1000.0", "c");
	rig_visit(HTN);
	rig_bp(0, ARM_NONE, 150, 9);
	rig_make();
	expect("bp", "-", "");
	assert_string_equal(rig_member("bp", "note"), "does_not_fit");
	assert_int_equal(decided.at_goal, -1);
	in.ws = NULL;
	rig_make();
	expect("bp", "150/9", "a");
}

/* Every field in the order of the table, with what the table says of it. */
static void test_order(void **state)
{
	(void)state;
	static const char *const names[] = {HTN, DM, OLD, COPD};
	for (size_t k = 0; k < ELEMENTS(names); k++) {
		struct csv csv;
		char error[400];
		size_t i = 0;
		rig_visit(names[k]);
		const json_t *fields = json_object_get(rig_make(), "fields");
		assert_int_equal(csv_open_file(&csv, "config/forms.csv", error, sizeof(error)), 0);
		while (csv_row(&csv, error, sizeof(error)) > 0) {
			if (!streq(csv_get(&csv, "form"), names[k]))
				continue;
			const json_t *f = json_array_get(fields, i++);
			assert_string_equal(
				json_string_value(json_object_get(f, "key")), csv_get(&csv, "key"));
			assert_string_equal(json_string_value(json_object_get(f, "zh")),
				csv_get(&csv, "label_zh"));
			assert_string_equal(json_string_value(json_object_get(f, "en")),
				csv_get(&csv, "label_en"));
			assert_int_equal(json_is_true(json_object_get(f, "device_fillable")),
				streq(csv_get(&csv, "device_fillable"), "y"));
			/* nothing is known: only the day of the visit stands there */
			assert_int_equal(json_is_true(json_object_get(f, "filled")),
				streq(csv_get(&csv, "fill"), "visit_date"));
		}
		csv_close(&csv);
		assert_int_equal(i, json_array_size(fields));
		assert_string_equal(rig_text("visit_date"), VISIT_DAY);
		assert_string_equal(rig_member("visit_date", "by"), "derived");
	}
}

/* Every kind at once: what only a person can answer stays open. */
static void test_only_fillable(void **state)
{
	(void)state;
	static const char *const names[] = {HTN, DM, OLD, COPD};
	for (size_t k = 0; k < ELEMENTS(names); k++) {
		rig_visit(names[k]);
		for (size_t i = 0; i < 3; i++)
			rig_bp((int)i * 60, (enum arm)i, 150, 95);
		const char *kind;
		unsigned n = 0;
		for (; (kind = forms_kind(forms, n)); n++) {
			const struct code *code = codes_find(codes, kind);
			if (code->ucum[0] && strncmp(kind, "bp.", 3) != 0)
				rig_one(200, kind,
					code->min_milli > 20000 ? code->min_milli * 2 : 40000);
		}
		assert_true(n > 20 && in.n_readings < 60);
		rig_one(201, "weight", 70000);
		rig_one(201, "height", 170000);
		results[0] = (struct visit_result){"lipid.tc", 5000, 2, in.day, "r"};
		in.n_results = 1;
		rig_make();
		size_t i;
		const json_t *f;
		json_array_foreach(json_object_get(said, "fields"), i, f)
		{
			print_message("# %s\n", json_string_value(json_object_get(f, "key")));
			assert_int_equal(json_is_true(json_object_get(f, "filled")),
				json_is_true(json_object_get(f, "device_fillable")));
			assert_int_equal(json_object_get(f, "text") || json_object_get(f, "items"),
				json_is_true(json_object_get(f, "filled")));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last),
		cmocka_unit_test(test_heart_rate),
		cmocka_unit_test(test_fasting),
		cmocka_unit_test(test_other_glucose),
		cmocka_unit_test(test_height),
		cmocka_unit_test(test_bmi),
		cmocka_unit_test(test_no_bmi),
		cmocka_unit_test(test_aux),
		cmocka_unit_test(test_hypo),
		cmocka_unit_test(test_does_not_fit),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_only_fillable),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("proposal: fields", tests, rig_load, rig_unload);
}
