/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The week of blood pressure at home: which readings count, when a week holds, what it says. Numbers as config/followup.csv
 * has them: two a window, seven days, the first left out, twelve on four days, 135/85 and 130/80.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proposal.h"
#include "util.h"

#define POINTS_MAX 256

static struct numbers *numbers;
static struct home_point points[POINTS_MAX];
static size_t n_points;

static int load(void **state)
{
	(void)state;
	char error[400] = "";
	clock_set_zone("Asia/Shanghai");
	numbers = numbers_load("config/followup.csv", error, sizeof(error));
	if (!numbers)
		print_error("%s\n", error);
	return numbers ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	numbers_free(numbers);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	clock_set_zone("Asia/Shanghai");
	n_points = 0;
	return 0;
}

static void add(const char *day, unsigned hour, unsigned minute, int systolic, int diastolic)
{
	int y, m, d;
	int64_t us = 0;
	day_split(day_read(day), &y, &m, &d);
	struct vg_civil c = {
		(uint16_t)y, (uint8_t)m, (uint8_t)d, (uint8_t)hour, (uint8_t)minute, 0};
	assert_true(clock_civil_utc(&c, &us));
	assert_true(n_points < POINTS_MAX);
	assert_true(!n_points || points[n_points - 1].taken_us <= us);
	points[n_points++] = (struct home_point){us, systolic * 1000, diastolic * 1000};
}

/* `mornings` and `evenings` readings of one day. */
static void add_day(
	const char *day, unsigned mornings, unsigned evenings, int systolic, int diastolic)
{
	for (unsigned i = 0; i < mornings; i++)
		add(day, 7, i, systolic, diastolic);
	for (unsigned i = 0; i < evenings; i++)
		add(day, 19, i, systolic, diastolic);
}

static const char *nth(const char *first, int i)
{
	static char text[DAY_TEXT];
	return day_text(text, day_read(first) + i);
}

/* Seven days from 2026-11-02 on, two mornings and two evenings each, all alike. */
static void add_week(int systolic, int diastolic)
{
	for (int i = 0; i < 7; i++)
		add_day(nth("2026-11-02", i), 2, 2, systolic, diastolic);
}

static struct home_week week(const char *last)
{
	return home_week(numbers, points, n_points, day_read(last));
}

static void test_whole(void **state)
{
	(void)state;
	add_week(132, 82);
	struct home_week w = week("2026-11-08");
	assert_true(w.valid);
	assert_int_equal(w.from, day_read("2026-11-02"));
	assert_int_equal(w.to, day_read("2026-11-08"));
	assert_int_equal(w.n, 24);
	assert_int_equal(w.days, 6);
	assert_int_equal(w.systolic, 132000);
	assert_int_equal(w.diastolic, 82000);
	assert_string_equal(w.verdict, "between");
}

static void test_verdicts(void **state)
{
	(void)state;
	static const struct {
		int systolic, diastolic;
		const char *verdict;
	} cases[] = {
		{135, 70, "high"},
		{120, 85, "high"},
		{134, 84, "between"},
		{130, 79, "between"},
		{129, 80, "between"},
		{129, 79, "normal"},
		{180, 110, "high"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		n_points = 0;
		add_week(cases[i].systolic, cases[i].diastolic);
		assert_string_equal(week("2026-11-08").verdict, cases[i].verdict);
	}
}

/* Twelve on the days that count, and not eleven. */
static void test_at_least(void **state)
{
	(void)state;
	for (unsigned few = 0; few < 2; few++) {
		n_points = 0;
		add_day("2026-11-02", 2, 2, 200, 100); /* day 1 counts nowhere */
		add_day("2026-11-03", 2, 2, 120, 70);
		add_day("2026-11-05", 2, 2, 120, 70);
		add_day("2026-11-06", 2, 1, 120, 70);
		add_day("2026-11-08", 1 - few, 0, 120, 70);
		struct home_week w = week("2026-11-08");
		assert_int_equal(w.n, 12 - few);
		assert_int_equal(w.days, 4 - few);
		assert_int_equal(w.valid, !few);
		if (few)
			assert_string_equal(w.verdict, "");
		else
			assert_int_equal(w.systolic, 120000);
	}
	n_points = 0; /* eleven on five days */
	for (int i = 1; i < 6; i++)
		add_day(nth("2026-11-02", i), 2, i == 1, 120, 70);
	assert_int_equal(week("2026-11-08").n, 11);
	assert_int_equal(week("2026-11-08").days, 5);
	assert_false(week("2026-11-08").valid);
}

/* Twelve on three days are no week. */
static void test_days(void **state)
{
	(void)state;
	add_day("2026-11-03", 2, 2, 120, 70);
	add_day("2026-11-04", 2, 2, 120, 70);
	add_day("2026-11-05", 2, 2, 120, 70);
	struct home_week w = week("2026-11-08");
	assert_int_equal(w.n, 12);
	assert_int_equal(w.days, 3);
	assert_false(w.valid);
	add_day("2026-11-08", 0, 1, 120, 70);
	assert_true(week("2026-11-08").valid);
	assert_int_equal(week("2026-11-08").n, 13);
}

static void test_both_windows(void **state)
{
	(void)state;
	for (int evening = 0; evening < 2; evening++) {
		n_points = 0;
		for (int i = 1; i < 7; i++)
			add_day(nth("2026-11-02", i), evening ? 0 : 2, evening ? 2 : 0, 120, 70);
		assert_int_equal(week("2026-11-08").n, 12);
		assert_int_equal(week("2026-11-08").days, 6);
		assert_false(week("2026-11-08").valid);
	}
	/* the one evening of the day that is left out is none */
	n_points = 0;
	for (int i = 0; i < 7; i++)
		add_day(nth("2026-11-02", i), 2, i == 0, 120, 70);
	assert_false(week("2026-11-08").valid);
	n_points = 0;
	for (int i = 0; i < 7; i++)
		add_day(nth("2026-11-02", i), 2, i == 6, 120, 70);
	assert_true(week("2026-11-08").valid);
}

/* The first two of each window: who measures eight times does not measure better. */
static void test_per_window(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++) {
		const char *day = nth("2026-11-02", i);
		add(day, 7, 0, 150, 90);
		add(day, 7, 1, 140, 88);
		for (unsigned k = 2; k < 8; k++)
			add(day, 7, k, 110, 60);
		add(day, 19, 0, 148, 86);
		add(day, 19, 1, 138, 84);
		add(day, 19, 2, 110, 60);
	}
	struct home_week w = week("2026-11-08");
	assert_int_equal(w.n, 24);
	assert_int_equal(w.systolic, 144000); /* (150 + 140 + 148 + 138) / 4 */
	assert_int_equal(w.diastolic, 87000);
}

/* The windows are closed at their beginning and open at their end. */
static void test_windows(void **state)
{
	(void)state;
	static const struct {
		unsigned hour, minute;
		bool counts;
	} cases[] = {{4, 59, false}, {5, 0, true}, {9, 59, true}, {10, 0, false}, {12, 0, false},
		{16, 59, false}, {17, 0, true}, {22, 59, true}, {23, 0, false}, {23, 59, false},
		{0, 0, false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		n_points = 0;
		add("2026-11-05", cases[i].hour, cases[i].minute, 120, 70);
		assert_int_equal(week("2026-11-08").n, cases[i].counts);
	}
	/* what lies between the windows fills none of them up */
	n_points = 0;
	add("2026-11-05", 4, 0, 120, 70);
	add("2026-11-05", 4, 10, 120, 70);
	add("2026-11-05", 7, 0, 120, 70);
	add("2026-11-05", 7, 1, 120, 70);
	assert_int_equal(week("2026-11-08").n, 2);
}

static void test_edges(void **state)
{
	(void)state;
	add("2026-11-01", 22, 30, 120, 70); /* the day before */
	add("2026-11-02", 5, 0, 120, 70);   /* day 1 */
	add("2026-11-03", 5, 0, 120, 70);
	add("2026-11-08", 22, 59, 120, 70);
	add("2026-11-09", 5, 0, 120, 70); /* the day after */
	assert_int_equal(week("2026-11-08").n, 2);
	assert_int_equal(week("2026-11-09").n, 2); /* 3 November is its day 1 */
	assert_int_equal(week("2026-11-07").n, 2); /* of the 2nd and 3rd; the 1st is day 1 */
	assert_int_equal(home_week(numbers, NULL, 0, day_read("2026-11-08")).n, 0);
}

/* Rounded once, half away from zero, and what is rounded is judged. */
static void test_rounding(void **state)
{
	(void)state;
	/* 24 readings: k of them are 135, the others 134: 134 + k / 24 */
	static const struct {
		int k;
		int64_t systolic;
		const char *verdict;
	} cases[] = {{11, 134000, "between"}, {12, 135000, "high"}, {13, 135000, "high"}};
	for (size_t c = 0; c < ELEMENTS(cases); c++) {
		int k = 0;
		n_points = 0;
		for (int i = 1; i < 7; i++)
			for (unsigned r = 0; r < 4; r++)
				add(nth("2026-11-02", i), r < 2 ? 7 : 19, r,
					k++ < cases[c].k ? 135 : 134, 70);
		assert_int_equal(week("2026-11-08").systolic, cases[c].systolic);
		assert_string_equal(week("2026-11-08").verdict, cases[c].verdict);
	}
}

/* Local days and hours where the clocks change: Berlin on 25 October 2026, from 03:00 back to 02:00. */
static void test_summer_time(void **state)
{
	(void)state;
	clock_set_zone("Europe/Berlin");
	for (int i = 0; i < 7; i++) { /* 20 .. 26 October */
		const char *day = nth("2026-10-20", i);
		add(day, 4, 59, 200, 100);
		add(day, 5, 0, 120, 70);
		add(day, 9, 59, 120, 70);
		add(day, 17, 0, 120, 70);
		add(day, 22, 59, 120, 70);
		add(day, 23, 0, 200, 100);
	}
	struct home_week w = week("2026-10-26");
	assert_true(w.valid);
	assert_int_equal(w.n, 24);
	assert_int_equal(w.days, 6);
	assert_int_equal(w.systolic, 120000);
	/* it begins on the day with 25 hours */
	assert_int_equal(week("2026-10-31").n, 4);
	assert_int_equal(week("2026-10-25").n, 24);
	assert_int_equal(week("2026-10-24").n, 20);
}

static void test_before(void **state)
{
	(void)state;
	add_week(132, 82); /* 2 .. 8 November */
	struct home_week w = home_week_before(numbers, points, n_points, day_read("2026-11-09"));
	assert_true(w.valid);
	assert_int_equal(w.to, day_read("2026-11-08"));
	/* the later, the fewer: 12 remain of the days 6, 7 and 8; they are 3 days. 5 .. 8 are 4 */
	w = home_week_before(numbers, points, n_points, day_read("2026-11-21"));
	assert_true(w.valid);
	assert_int_equal(w.to, day_read("2026-11-10"));
	assert_int_equal(w.n, 16);
	/* 30 days back, and not 31 */
	w = home_week_before(numbers, points, n_points, day_read("2026-11-10") + 30);
	assert_int_equal(w.to, day_read("2026-11-10"));
	w = home_week_before(numbers, points, n_points, day_read("2026-11-10") + 31);
	assert_false(w.valid);
	assert_string_equal(w.verdict, "");
	/* a day's own readings are not before it: with 5 .. 8 only the week that ends on the 8th or later has four days */
	n_points = 0;
	for (int i = 3; i < 7; i++)
		add_day(nth("2026-11-02", i), 2, 2, 120, 70);
	assert_false(home_week_before(numbers, points, n_points, day_read("2026-11-08")).valid);
	assert_true(home_week_before(numbers, points, n_points, day_read("2026-11-09")).valid);
	assert_false(home_week_before(numbers, NULL, 0, day_read("2026-11-09")).valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_whole, fresh),
		cmocka_unit_test_setup(test_verdicts, fresh),
		cmocka_unit_test_setup(test_at_least, fresh),
		cmocka_unit_test_setup(test_days, fresh),
		cmocka_unit_test_setup(test_both_windows, fresh),
		cmocka_unit_test_setup(test_per_window, fresh),
		cmocka_unit_test_setup(test_windows, fresh),
		cmocka_unit_test_setup(test_edges, fresh),
		cmocka_unit_test_setup(test_rounding, fresh),
		cmocka_unit_test_setup(test_summer_time, fresh),
		cmocka_unit_test_setup(test_before, fresh),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("home week", tests, load, unload);
}
