/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who stands on which list, at every border; and pressures that have to be measured again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "due.h"
#include "util.h"

static struct numbers *numbers;

static int setup(void **state)
{
	(void)state;
	char error[300] = "";
	numbers = numbers_load("config/followup.csv", error, sizeof(error));
	return numbers ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	numbers_free(numbers);
	return 0;
}

#define D(text) day_read(text)

/* Nothing is known. */
static struct due_facts nothing(void)
{
	struct due_facts f = {.contact = DAY_NONE};
	for (unsigned i = 0; i < FORMS; i++)
		f.visits[i] = (struct due_visit){.next = DAY_NONE, .plan = DAY_NONE};
	recheck_begin(&f.recheck, numbers, "1970-01-01", D("2026-11-30"));
	return f;
}

/* The items as text: "list form reason date days level; ..." */
static const char *lists(const struct due_facts *f, const char *day)
{
	static char text[1024];
	struct due_item items[DUE_ITEMS_MAX];
	char date[DAY_TEXT];
	unsigned n = due_judge(numbers, f, D(day), items);
	size_t len = 0;
	text[0] = 0;
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s %s %s %lld %s",
			i ? "; " : "", due_lists[items[i].list],
			items[i].form ? items[i].form : "-", items[i].reason,
			day_text(date, items[i].date), (long long)items[i].days,
			items[i].level ? items[i].level : "-");
	return text;
}

static void test_nothing_known(void **state)
{
	(void)state;
	struct due_facts f = nothing();
	for (unsigned i = 0; i < FORMS; i++)
		f.enrolled[i] = true;
	assert_string_equal(lists(&f, "2026-11-30"), "");
	f.visits[FORM_HTN] = (struct due_visit){
		.known = true, .day = D("2026-11-01"), .next = DAY_NONE, .plan = DAY_NONE};
	assert_string_equal(lists(&f, "2027-11-30"), ""); /* a visit without a next date */
}

/* A controlled visit of 20 August. */
static struct due_facts visited(enum form_of form)
{
	struct due_facts f = nothing();
	f.enrolled[form] = true;
	f.visits[form] = (struct due_visit){.known = true,
		.day = D("2026-08-20"),
		.class = 1,
		.next = D("2026-11-20"),
		.confirmed_us = 1000,
		.plan = DAY_NONE};
	return f;
}

static void test_due_levels(void **state)
{
	(void)state;
	static const struct {
		const char *day, *expected;
	} all[] = {
		{"2026-11-12", ""}, /* eight days before */
		{"2026-11-13", "due htn planned 2026-11-20 -7 ahead"},
		{"2026-11-19", "due htn planned 2026-11-20 -1 ahead"},
		{"2026-11-20", "due htn planned 2026-11-20 0 due"},
		{"2026-11-26", "due htn planned 2026-11-20 6 due"},
		{"2026-11-27", "due htn planned 2026-11-20 7 yellow"},
		{"2026-12-19", "due htn planned 2026-11-20 29 yellow"},
		{"2026-12-20", "due htn planned 2026-11-20 30 red"},
		{"2028-02-29", "due htn planned 2026-11-20 466 red"},
	};
	struct due_facts f = visited(FORM_HTN);
	for (size_t i = 0; i < ELEMENTS(all); i++)
		assert_string_equal(lists(&f, all[i].day), all[i].expected);
	f.enrolled[FORM_HTN] = false; /* left the programme */
	assert_string_equal(lists(&f, "2026-12-20"), "");
}

static void test_due_reason(void **state)
{
	(void)state;
	static const struct {
		int class;
		bool referral;
		const char *reason;
	} all[] = {{0, false, "planned"}, {1, false, "planned"}, {2, false, "refollowup"},
		{3, false, "refollowup"}, {4, false, "refollowup"}, {1, true, "refollowup"},
		{0, true, "refollowup"}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		struct due_facts f = visited(FORM_T2DM);
		char expected[80];
		f.visits[FORM_T2DM].class = all[i].class;
		f.visits[FORM_T2DM].referral = all[i].referral;
		f.visits[FORM_T2DM].answered = true;
		snprintf(expected, sizeof(expected), "due t2dm %s 2026-11-20 0 due", all[i].reason);
		assert_string_equal(lists(&f, "2026-11-20"), expected);
		f.visits[FORM_T2DM].plan = D("2026-11-18"); /* a person decided otherwise since */
		f.visits[FORM_T2DM].plan_us = 1001;
		assert_string_equal(lists(&f, "2026-11-20"), "due t2dm planned 2026-11-18 2 due");
	}
}

static void test_plan(void **state)
{
	(void)state;
	struct due_facts f = visited(FORM_COPD);
	struct due_visit *v = &f.visits[FORM_COPD];
	v->plan = D("2026-12-24");
	v->plan_us = 999; /* before the visit: it is done with */
	assert_string_equal(lists(&f, "2026-11-20"), "due copd planned 2026-11-20 0 due");
	v->plan_us = 1000;
	assert_string_equal(lists(&f, "2026-11-20"), "");
	v->plan_us = 1001;
	assert_string_equal(lists(&f, "2026-11-20"), "");
	assert_string_equal(lists(&f, "2026-12-24"), "due copd planned 2026-12-24 0 due");
	/* in place of a next date that the visit does not have */
	v->next = DAY_NONE;
	assert_string_equal(lists(&f, "2026-12-24"), "due copd planned 2026-12-24 0 due");
	/* of somebody who was never visited here: a person said it, so it is known */
	f = nothing();
	f.enrolled[FORM_ELDERLY] = true;
	f.visits[FORM_ELDERLY].plan = D("2026-12-24");
	assert_string_equal(lists(&f, "2026-12-24"), "due elderly planned 2026-12-24 0 due");
}

static void test_referral(void **state)
{
	(void)state;
	static const struct {
		const char *day, *expected;
	} all[] = {
		{"2026-09-02", ""},
		{"2026-09-03", "referral_result htn referral_result 2026-09-03 0 due"},
		{"2026-09-09", "referral_result htn referral_result 2026-09-03 6 due"},
		{"2026-09-10", "referral_result htn referral_result 2026-09-03 7 yellow"},
		{"2026-10-02", "referral_result htn referral_result 2026-09-03 29 yellow"},
		{"2026-10-03", "referral_result htn referral_result 2026-09-03 30 red"},
	};
	struct due_facts f = visited(FORM_HTN);
	f.visits[FORM_HTN].referral = true;
	for (size_t i = 0; i < ELEMENTS(all); i++)
		assert_string_equal(lists(&f, all[i].day), all[i].expected);
	f.enrolled[FORM_HTN] = false; /* what was begun is ended, whatever the programme */
	assert_string_equal(lists(&f, "2026-09-03"), all[1].expected);
	f.visits[FORM_HTN].answered = true;
	assert_string_equal(lists(&f, "2026-10-03"), "");
	f.visits[FORM_HTN].answered = f.visits[FORM_HTN].referral = false;
	assert_string_equal(lists(&f, "2026-10-03"), "");
}

static void test_no_contact(void **state)
{
	(void)state;
	static const struct {
		const char *day, *expected;
	} all[] = {
		{"2026-06-30", ""},
		{"2026-07-01", "no_contact - no_contact 2026-06-30 1 due"}, /* 181 days */
		{"2026-07-06", "no_contact - no_contact 2026-06-30 6 due"},
		{"2026-07-07", "no_contact - no_contact 2026-06-30 7 yellow"},
		{"2026-07-29", "no_contact - no_contact 2026-06-30 29 yellow"},
		{"2026-07-30", "no_contact - no_contact 2026-06-30 30 red"},
	};
	struct due_facts f = nothing();
	f.contact = D("2026-01-01");
	for (size_t i = 0; i < ELEMENTS(all); i++)
		assert_string_equal(lists(&f, all[i].day), all[i].expected);
}

static void test_twice(void **state)
{
	(void)state;
	static const struct {
		enum form_of form;
		int class, before;
		bool listed;
	} all[] = {{FORM_HTN, 2, 2, true}, {FORM_T2DM, 2, 2, true}, {FORM_COPD, 2, 2, false},
		{FORM_ELDERLY, 2, 2, false}, {FORM_HTN, 2, 1, false}, {FORM_HTN, 1, 2, false},
		{FORM_HTN, 3, 2, false}, {FORM_HTN, 2, 3, false}, {FORM_HTN, 2, 0, false}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		struct due_facts f = visited(all[i].form);
		char expected[80] = "";
		f.visits[all[i].form].class = all[i].class;
		f.visits[all[i].form].class_before = all[i].before;
		if (all[i].listed)
			snprintf(expected, sizeof(expected),
				"twice %s not_controlled_twice 2026-08-20 0 -",
				form_names[all[i].form].brief);
		assert_string_equal(lists(&f, "2026-08-21"), expected);
	}
}

static void test_order(void **state)
{
	(void)state;
	struct due_facts f = visited(FORM_T2DM);
	f.visits[FORM_HTN] = f.visits[FORM_T2DM];
	f.enrolled[FORM_HTN] = true;
	for (enum form_of i = FORM_HTN; i <= FORM_T2DM; i++) {
		f.visits[i].class = f.visits[i].class_before = 2;
		f.visits[i].referral = true;
	}
	f.contact = D("2026-01-01");
	assert_string_equal(lists(&f, "2026-11-20"),
		"due htn refollowup 2026-11-20 0 due; due t2dm refollowup 2026-11-20 0 due; "
		"referral_result htn referral_result 2026-09-03 78 red; "
		"referral_result t2dm referral_result 2026-09-03 78 red; "
		"no_contact - no_contact 2026-06-30 143 red; "
		"twice htn not_controlled_twice 2026-08-20 0 -; "
		"twice t2dm not_controlled_twice 2026-08-20 0 -");
}

/* rechecks */

struct bp {
	const char *day;
	int systolic, diastolic;
};

/* As it stands on a day: "open 2026-11-01 2/1" (measured, raised). */
static const char *recheck(const char *birth, const struct bp *all, const char *until)
{
	static const char *const states[] = {"none", "open", "likely", "not_confirmed", "lapsed"};
	static char text[80];
	struct recheck r;
	char first[DAY_TEXT];
	recheck_begin(&r, numbers, birth, D(until));
	for (; all->day; all++)
		recheck_add(&r, D(all->day), all->systolic * 1000, all->diastolic * 1000);
	recheck_end(&r);
	if (r.state == RECHECK_NONE)
		return states[0];
	snprintf(text, sizeof(text), "%s %s %u/%u", states[r.state], day_text(first, r.first),
		r.measured, r.raised);
	return text;
}

#define ADULT "1970-01-01"
#define BP(...) ((const struct bp[]){__VA_ARGS__, {0}})

static void test_recheck_opens(void **state)
{
	(void)state;
	assert_string_equal(recheck(ADULT, BP({"2026-11-01", 139, 89}), "2026-11-01"), "none");
	assert_string_equal(
		recheck(ADULT, BP({"2026-11-01", 140, 60}), "2026-11-01"), "open 2026-11-01 1/1");
	assert_string_equal(
		recheck(ADULT, BP({"2026-11-01", 120, 90}), "2026-11-01"), "open 2026-11-01 1/1");
	/* the mean of the day: 139.5 is 140, 139.33 is not */
	assert_string_equal(
		recheck(ADULT, BP({"2026-11-01", 139, 60}, {"2026-11-01", 140, 60}), "2026-11-01"),
		"open 2026-11-01 1/1");
	assert_string_equal(
		recheck(ADULT, BP({"2026-11-01", 120, 89}, {"2026-11-01", 120, 90}), "2026-11-01"),
		"open 2026-11-01 1/1");
	assert_string_equal(recheck(ADULT,
				    BP({"2026-11-01", 139, 60}, {"2026-11-01", 139, 60},
					    {"2026-11-01", 140, 60}),
				    "2026-11-01"),
		"none");
	/* not before it was measured */
	assert_string_equal(recheck(ADULT, BP({"2026-11-01", 150, 60}), "2026-10-31"), "none");
}

static void test_recheck_age(void **state)
{
	(void)state;
	const struct bp *high = BP({"2026-11-01", 150, 95});
	assert_string_equal(recheck("2008-11-01", high, "2026-11-01"), "open 2026-11-01 1/1");
	assert_string_equal(recheck("2008-11-02", high, "2026-11-02"), "none");
	assert_string_equal(recheck("2008", high, "2026-11-01"), "none"); /* 17 or 18 */
	assert_string_equal(recheck("2007", high, "2026-11-01"), "open 2026-11-01 1/1");
	assert_string_equal(recheck("", high, "2026-11-01"), "none");
	assert_string_equal(recheck("18-20@2026-11-01", high, "2026-11-01"), "open 2026-11-01 1/1");
	/* on the first day: who came of age later was no adult then, and the later day opens it */
	assert_string_equal(recheck("2008-11-05",
				    BP({"2026-11-01", 150, 95}, {"2026-11-04", 150, 95},
					    {"2026-11-05", 150, 95}),
				    "2026-11-10"),
		"open 2026-11-05 1/1");
}

static void test_recheck_ends(void **state)
{
	(void)state;
	const struct bp *twice = BP({"2026-11-01", 150, 95}, {"2026-11-28", 150, 95});
	assert_string_equal(recheck(ADULT, twice, "2026-11-27"), "open 2026-11-01 1/1");
	assert_string_equal(
		recheck(ADULT, twice, "2026-11-28"), "open 2026-11-01 2/2"); /* day 27 */
	assert_string_equal(recheck(ADULT, twice, "2026-11-29"), "lapsed 2026-11-01 2/2");
	/* day 28 is not of it, and opens another one */
	assert_string_equal(
		recheck(ADULT, BP({"2026-11-01", 150, 95}, {"2026-11-29", 150, 95}), "2026-11-29"),
		"open 2026-11-29 1/1");
	/* measured on three days, raised on two: not confirmed, but not before its time is over */
	const struct bp *not = BP({"2026-11-01", 150, 95}, {"2026-11-02", 150, 95},
		{"2026-11-03", 120, 70}, {"2026-11-30", 120, 70});
	assert_string_equal(recheck(ADULT, not, "2026-11-28"), "open 2026-11-01 3/2");
	assert_string_equal(recheck(ADULT, not, "2026-11-29"), "not_confirmed 2026-11-01 3/2");
	assert_string_equal(recheck(ADULT, not, "2026-11-30"), "not_confirmed 2026-11-01 3/2");
	const struct bp *again = BP({"2026-11-01", 150, 95}, {"2026-11-02", 110, 70},
		{"2026-11-03", 110, 70}, {"2026-12-03", 141, 70}, {"2026-12-04", 110, 70});
	assert_string_equal(recheck(ADULT, again, "2026-12-04"), "open 2026-12-03 2/1");
	assert_string_equal(recheck(ADULT, again, "2026-12-31"), "lapsed 2026-12-03 2/1");
}

static void test_recheck_likely(void **state)
{
	(void)state;
	const struct bp *all =
		BP({"2026-11-01", 150, 95}, {"2026-11-05", 120, 70}, {"2026-11-10", 140, 70},
			{"2026-11-28", 120, 92}, {"2026-12-30", 110, 60}, {"2027-01-30", 180, 110});
	assert_string_equal(recheck(ADULT, all, "2026-11-27"), "open 2026-11-01 3/2");
	assert_string_equal(recheck(ADULT, all, "2026-11-28"), "likely 2026-11-01 4/3");
	assert_string_equal(recheck(ADULT, all, "2027-06-30"), "likely 2026-11-01 4/3");
	/* days that follow in its time are counted */
	assert_string_equal(recheck(ADULT,
				    BP({"2026-11-01", 150, 95}, {"2026-11-02", 150, 95},
					    {"2026-11-03", 150, 95}, {"2026-11-04", 120, 70},
					    {"2026-11-05", 150, 95}),
				    "2026-11-05"),
		"likely 2026-11-01 5/4");
}

static void test_recheck_listed(void **state)
{
	(void)state;
	static const struct {
		enum recheck_state state;
		const char *expected;
	} all[] = {{RECHECK_NONE, ""}, {RECHECK_OPEN, "recheck - open 2026-11-01 2 -"},
		{RECHECK_LIKELY, "recheck - likely 2026-11-01 2 -"}, {RECHECK_NOT_CONFIRMED, ""},
		{RECHECK_LAPSED, ""}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		struct due_facts f = nothing();
		f.recheck.state = all[i].state;
		f.recheck.first = D("2026-11-01");
		f.recheck.measured = 2;
		assert_string_equal(lists(&f, "2026-11-20"), all[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_due_levels),
		cmocka_unit_test(test_due_reason),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_referral),
		cmocka_unit_test(test_no_contact),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_recheck_opens),
		cmocka_unit_test(test_recheck_age),
		cmocka_unit_test(test_recheck_ends),
		cmocka_unit_test(test_recheck_likely),
		cmocka_unit_test(test_recheck_listed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
