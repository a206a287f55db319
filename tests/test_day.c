/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Days of the calendar and completed years. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "day.h"
#include "util.h"

/* Every day of four hundred years and more, against the C library's calendar. */
static void test_calendar(void **state)
{
	(void)state;
	for (time_t t = -50 * INT64_C(365) * 86400; t < 400 * INT64_C(365) * 86400; t += 86400) {
		struct tm tm;
		int y, m, d;
		char text[DAY_TEXT], expected[16];
		assert_non_null(gmtime_r(&t, &tm));
		int32_t day = (int32_t)(t / 86400);
		assert_int_equal(day_from(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday), day);
		day_split(day, &y, &m, &d);
		assert_true(y == tm.tm_year + 1900 && m == tm.tm_mon + 1 && d == tm.tm_mday);
		strftime(expected, sizeof(expected), "%Y-%m-%d", &tm);
		assert_string_equal(day_text(text, day), expected);
		assert_int_equal(day_read(text), day);
	}
}

static void test_unreadable(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "2026", "2026-2-1", "2026-02-29", "2026-13-01",
		"2026-00-01", "2026-01-00", "2026-04-31", "2026/01/01", "2026-01-011",
		" 2026-01-01", "20x6-01-01"};
	for (size_t i = 0; i < ELEMENTS(bad); i++)
		assert_int_equal(day_read(bad[i]), DAY_NONE);
	assert_int_equal(day_read(NULL), DAY_NONE);
	assert_true(day_read("2024-02-29") != DAY_NONE);
}

/* The local day, on both sides of midnight and where summer time begins at midnight. */
static void test_zone(void **state)
{
	(void)state;
	clock_set_zone("Asia/Shanghai");
	int64_t begin = day_begin_us(day_read("2026-11-21"));
	assert_int_equal(begin, INT64_C(1795190400) * CLOCK_SECOND_US); /* 2026-11-20T16:00:00Z */
	assert_int_equal(day_of(begin), day_read("2026-11-21"));
	assert_int_equal(day_of(begin - 1), day_read("2026-11-20"));
	assert_int_equal(day_minute("07:30"), 450);
	assert_int_equal(day_minute("23:59"), 1439);
	assert_int_equal(day_at_us(day_read("2026-11-21"), 1439),
		begin + INT64_C(1439) * 60 * CLOCK_SECOND_US);
	clock_set_zone("America/Santiago");
	for (int32_t day = day_read("2026-01-01"); day < day_read("2027-01-01"); day++)
		assert_int_equal(day_of(day_begin_us(day)), day);
	clock_set_zone("Asia/Shanghai");
}

static void test_months(void **state)
{
	(void)state;
	static const struct {
		const char *from;
		int months;
		const char *to;
	} all[] = {{"2026-08-15", 3, "2026-11-15"}, {"2026-10-31", 3, "2027-01-31"},
		{"2026-11-30", 3, "2027-02-28"}, {"2023-11-30", 3, "2024-02-29"},
		{"2026-08-31", 3, "2026-11-30"}, {"2026-12-01", 3, "2027-03-01"}};
	for (size_t i = 0; i < ELEMENTS(all); i++)
		assert_int_equal(
			day_add_months(day_read(all[i].from), all[i].months), day_read(all[i].to));
}

static void test_ages(void **state)
{
	(void)state;
	static const struct {
		const char *birth, *on;
		int lo, hi;
	} all[] = {
		{"1961-11-21", "2026-11-20", 64, 64},
		{"1961-11-21", "2026-11-21", 65, 65},
		{"1960-02-29", "2025-02-28", 64, 64},
		{"1960-02-29", "2025-03-01", 65, 65},
		{"1960-02-29", "2024-02-29", 64, 64},
		{"1961", "2026-01-01", 64, 65},
		{"1961", "2026-12-31", 64, 65},
		{"60-64@2026-11-01", "2026-11-01", 60, 64},
		{"60-64@2026-11-01", "2026-11-02", 60, 65},
		{"60-64@2026-11-01", "2027-10-31", 60, 65},
		{"60-64@2026-11-01", "2027-11-01", 61, 65},
		{"60-64@2026-11-01", "2027-11-02", 61, 66},
		{"60-64@2026-11-01", "2026-10-31", 59, 64},
		{"60-64@2026-11-01", "2025-11-01", 59, 63},
		{"70-70@2026-11-01", "2026-11-01", 70, 70},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		struct age a = age_on(all[i].birth, day_read(all[i].on));
		assert_true(a.known);
		assert_int_equal(a.lo, all[i].lo);
		assert_int_equal(a.hi, all[i].hi);
	}
	assert_int_equal(age_at_least(age_on("1961", day_read("2026-06-01")), 65), -1);
	assert_int_equal(age_at_least(age_on("1961", day_read("2026-06-01")), 64), 1);
	assert_int_equal(age_at_least(age_on("1961", day_read("2026-06-01")), 66), 0);
	assert_int_equal(age_at_least(age_on(NULL, 0), 65), -1);
}

static void test_births(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "58", "1958-3-14", "1880", "64-60@2026-11-01",
		"60-64", "60-64@2026", "60-64@2026-11-31", "-1-64@2026-11-01", "60-640@2026-11-01",
		"1958-02-30", "1750-01-01"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		assert_false(age_read(bad[i]));
		assert_false(age_on(bad[i], day_read("2026-11-21")).known);
	}
	assert_true(age_read("1958-03-14") && age_read("1958") && age_read("0-3@2026-11-01"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_zone),
		cmocka_unit_test(test_months),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_births),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
