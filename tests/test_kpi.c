/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every number of a month's rates, and its days. */
#include "lists_rig.h"

#include "kpi.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static struct kpi count(const char *month, const char *today)
{
	struct kpi k;
	struct owned who[OWNED_PAGE];
	assert_true(kpi_begin(&k, rig.gateway.numbers, month, day_read(today)));
	int n = owned_next(rig.db, "gw-0001", "", who);
	for (int i = 0; i < n; i++)
		assert_int_equal(kpi_add(&k, rig.db, &who[i]), 0);
	return k;
}

/* "enrolled managed visits standard controlled in_contract" */
static void expect(const struct kpi *k, enum form_of form, const char *expected)
{
	char text[100];
	const struct kpi_form *f = &k->forms[form];
	snprintf(text, sizeof(text), "%u %u %u %u %u %u", f->enrolled, f->managed, f->visits,
		f->standard, f->controlled, f->in_contract);
	assert_string_equal(text, expected);
}

static void test_months(void **state)
{
	(void)state;
	static const struct {
		const char *month, *today, *day; /* NULL: refused */
		int standard;
	} all[] = {
		{"2026-11", "2026-12-05", "2026-11-30", 4}, /* 4 x 11/12 = 3.67 */
		{"2026-12", "2027-01-01", "2026-12-31", 4},
		{"2026-10", "2026-12-05", "2026-10-31", 4},
		{"2026-09", "2026-12-05", "2026-09-30", 3},
		{"2026-01", "2026-12-05", "2026-01-31", 1},
		{"2026-03", "2026-12-05", "2026-03-31", 1},
		{"2026-04", "2026-12-05", "2026-04-30", 2},
		{"2026-02", "2026-12-05", "2026-02-28", 1},
		{"2028-02", "2028-12-05", "2028-02-29", 1},
		{"2026-11", "2026-11-05", "2026-11-05", 4}, /* not over */
		{"2026-11", "2026-11-01", "2026-11-01", 4},
		{"2026-11", "2026-10-31", NULL, 0},
		{"2026-13", "2027-10-31", NULL, 0},
		{"2026-00", "2027-10-31", NULL, 0},
		{"2026-1", "2027-10-31", NULL, 0},
		{"2026-11-01", "2027-10-31", NULL, 0},
		{"", "2027-10-31", NULL, 0},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		struct kpi k;
		bool ok = kpi_begin(&k, rig.gateway.numbers, all[i].month, day_read(all[i].today));
		assert_int_equal(ok, all[i].day != NULL);
		if (!ok)
			continue;
		assert_string_equal(k.until, all[i].day);
		assert_int_equal(k.day, day_read(all[i].day));
		assert_int_equal(k.standard_visits, all[i].standard);
		assert_memory_equal(k.from, all[i].day, 4);
		assert_string_equal(k.from + 4, "-01-01");
	}
}

static void test_numerators(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "hypertension;t2dm");
	a_resident(&rig, "R-0002", "hypertension");
	struct kpi k = count("2026-04", "2026-12-01");
	expect(&k, FORM_HTN, "2 0 0 0 0 0");
	expect(&k, FORM_T2DM, "1 0 0 0 0 0");
	expect(&k, FORM_COPD, "0 0 0 0 0 0");
	/* the day before the year, and the day after the month */
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2025-12-31", .class = 1});
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-05-01", .class = 1});
	k = count("2026-04", "2026-12-01");
	expect(&k, FORM_HTN, "2 0 0 0 0 0");
	/* on its borders; the last one says whether it is controlled */
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-04-30", .class = 1});
	k = count("2026-04", "2026-12-01");
	expect(&k, FORM_HTN, "2 1 1 0 1 0");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-01-01", .class = 2});
	k = count("2026-04", "2026-12-01");
	expect(&k, FORM_HTN, "2 1 2 1 1 0");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-04-30", .class = 2});
	k = count("2026-04", "2026-12-01");
	expect(&k, FORM_HTN, "2 1 3 1 0 0");
	expect(&k, FORM_T2DM, "1 0 0 0 0 0");
	/* not confirmed */
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = T2DM,
			      .day = "2026-03-01",
			      .class = 1,
			      .state = "closed"});
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = T2DM,
			      .day = "2026-03-01",
			      .class = 1,
			      .state = "entered-in-error"});
	k = count("2026-04", "2026-12-01");
	expect(&k, FORM_T2DM, "1 0 0 0 0 0");
	/* while the month is not over, until today */
	k = count("2026-04", "2026-04-29");
	expect(&k, FORM_HTN, "2 1 1 0 0 0");
}

static void test_contract(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "copd");
	assert_int_equal(
		db_run(rig.db, "UPDATE resident SET valid_from=?,valid_to=?", "ii",
			day_begin_us(day_read("2026-01-01")), day_begin_us(day_read("2026-03-01"))),
		1);
	struct kpi k = count("2026-02", "2026-12-01");
	expect(&k, FORM_COPD, "1 0 0 0 0 0"); /* of those who are managed */
	a_visit(&rig, (struct a_visit){.resident = id, .form = COPD, .day = "2026-01-01"});
	k = count("2026-02", "2026-12-01");
	expect(&k, FORM_COPD, "1 1 1 1 0 1");
	k = count("2026-03", "2026-12-01");
	expect(&k, FORM_COPD, "1 1 1 1 0 0");
	k = count("2026-03", "2026-03-01");
	expect(&k, FORM_COPD, "1 1 1 1 0 0");
}

static void test_elderly(void **state)
{
	(void)state;
	static const char *const births[] = {"1961-11-30", "1961-12-01", "1960", "1961", "",
		"64-64@2026-11-30", "65-69@2026-11-30", "nonsense"};
	for (size_t i = 0; i < ELEMENTS(births); i++) {
		char token[16];
		snprintf(token, sizeof(token), "R-%04zu", i);
		int64_t id = a_resident(&rig, token, "");
		assert_int_equal(db_run(rig.db, "UPDATE resident SET birth_date=? WHERE id=?", "ti",
					 births[i], id),
			1);
		a_visit(&rig, (struct a_visit){.resident = id, .form = HTN, .day = "2026-01-02"});
		if (i < 2)
			a_visit(&rig,
				(struct a_visit){
					.resident = id, .form = ELDERLY, .day = "2026-02-02"});
	}
	struct kpi k = count("2026-11", "2026-12-01");
	assert_int_equal(k.elderly, 3);		/* 1961-11-30, 1960, the band */
	assert_int_equal(k.elderly_managed, 1); /* the other one is 64 */
	assert_int_equal(k.age_unknown, 3);	/* 1961, none, nonsense */
	k = count("2026-01", "2026-12-01");
	assert_int_equal(k.elderly_managed, 0);
}

static void test_json(void **state)
{
	(void)state;
	_cleanup_(json_free) struct json j = {0};
	struct kpi k = count("2026-11", "2026-12-01");
	k.forms[FORM_HTN] = (struct kpi_form){6, 5, 4, 3, 2, 1};
	k.elderly = 7;
	json_object_begin(&j, NULL);
	kpi_json(&k, &j);
	json_object_end(&j);
	assert_string_equal(json_text(&j),
		"{\"month\":\"2026-11\",\"day\":\"2026-11-30\",\"htn\":{\"enrolled\":6,\"managed\":5,"
		"\"visits\":4,\"standard\":3,\"controlled\":2,\"in_contract\":1},\"t2dm\":{"
		"\"enrolled\":0,\"managed\":0,\"visits\":0,\"standard\":0,\"controlled\":0,"
		"\"in_contract\":0},\"copd\":{\"enrolled\":0,\"managed\":0,\"visits\":0,"
		"\"standard\":0,\"in_contract\":0},\"elderly\":{\"enrolled\":7,\"managed\":0,"
		"\"age_unknown\":0}}");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_months),
		TEST(test_numerators),
		TEST(test_contract),
		TEST(test_elderly),
		TEST(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
