/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hours of the ECG centre: what is read and refused, due times that were worked out by hand, and a model that
 * looks at each minute of two years in zones with every kind of summer time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include "centre.h"
#include "clock.h"
#include "util.h"

#define MINUTE_US (60 * CLOCK_SECOND_US)
#define OFFICE "mon-fri 08:00-17:30, sat 08:00-12:00"

static uint64_t seed = 20261122;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static struct centre_hours parsed(const char *text)
{
	struct centre_hours h;
	char error[CENTRE_ERROR_MAX] = "";
	if (!centre_parse(text, &h, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
	return h;
}

/* The week as "0 480-1050 ...\n1 ...", one line a day that has hours. */
static void shows(const char *text, const char *expected)
{
	struct centre_hours h = parsed(text);
	char week[600] = "";
	size_t n = 0;
	for (unsigned day = 0; day < 7; day++) {
		for (unsigned i = 0; i < h.n[day]; i++)
			n += (size_t)snprintf(week + n, sizeof(week) - n, "%s%u %u-%u",
				n ? ", " : "", day, h.spans[day][i].from_min,
				h.spans[day][i].to_min);
	}
	assert_string_equal(week, expected);
}

static void test_parse(void **state)
{
	(void)state;
	shows("always", "0 0-1440, 1 0-1440, 2 0-1440, 3 0-1440, 4 0-1440, 5 0-1440, 6 0-1440");
	shows(OFFICE, "0 480-1050, 1 480-1050, 2 480-1050, 3 480-1050, 4 480-1050, 5 480-720");
	shows("sun 00:00-24:00", "6 0-1440");
	shows("Tue 8:00-9:05", "1 480-545");
	/* several spans, in any order, side by side, of days that are named twice */
	shows("mon 14:00-17:00 08:00-12:00", "0 480-720, 0 840-1020");
	shows("mon 14:00-17:00, mon 12:00-14:00,  MON  08:00-09:00 ",
		"0 480-540, 0 720-840, 0 840-1020");
	/* across the end of the week */
	shows("sat-mon 10:00-11:00", "0 600-660, 5 600-660, 6 600-660");
	shows("thu-thu 10:00-11:00", "3 600-660");
	shows("mon 0:00-0:01 0:01-0:02 0:02-0:03 0:03-0:04 0:04-0:05 0:05-0:06 0:06-0:07 0:07-0:08",
		"0 0-1, 0 1-2, 0 2-3, 0 3-4, 0 4-5, 0 5-6, 0 6-7, 0 7-8");
}

static void refused(const char *text, const char *expected)
{
	struct centre_hours h, untouched;
	char error[CENTRE_ERROR_MAX] = "";
	memset(&h, 0x5a, sizeof(h));
	untouched = h;
	if (centre_parse(text, &h, error, sizeof(error)))
		fail_msg("\"%s\" was taken", text);
	assert_string_equal(error, expected);
	assert_memory_equal(&h, &untouched, sizeof(h));
}

static void test_refused(void **state)
{
	(void)state;
#define DAY "expected a day (mon, tue, wed, thu, fri, sat, sun), or \"always\" alone, found "
#define TIME "expected a time from 00:00 to 24:00, found "
#define SPAN "expected two times such as 08:00-17:30, found "
#define NIGHT                                                                                    \
	" ends before it begins; a night is two spans: up to 24:00, and from 00:00 of the next " \
	"day"
	refused("", "expected \"always\", or days and times such as \"mon-fri 08:00-17:30\", found "
		    "the end");
	refused("always, mon 08:00-09:00", DAY "\"always\"");
	refused("monday 08:00-09:00", DAY "\"monday\"");
	refused("周一 08:00-09:00", DAY "\"周一\"");
	refused("08:00-09:00", DAY "\"08:00-09:00\"");
	refused("mon- 08:00-09:00", DAY "\" \"");
	refused("mon-fri 08:00-09:00,", DAY "the end");
	refused(",", DAY "\",\"");
	refused("mon,tue 08:00-09:00",
		"expected a blank and times such as 08:00-17:30 behind the days, found \",\"");
	refused("mon", "expected a blank and times such as 08:00-17:30 behind the days, found the "
		       "end");
	refused("mon ", TIME "the end");
	refused("mon 8-9", TIME "\"8-9\"");
	refused("mon 08:00", SPAN "\"08:00\"");
	refused("mon 08:00 - 09:00", SPAN "\"08:00\"");
	refused("mon 08:00-", TIME "the end");
	refused("mon 08:00-9", TIME "\"9\"");
	refused("mon 08:00-09:0", TIME "\"09:0\"");
	refused("mon 08:00-09:60", TIME "\"09:60\"");
	refused("mon 08:00-09:000", TIME "\"09:000\"");
	refused("mon 08:00-24:01", TIME "\"24:01\"");
	refused("mon 08:00-25:00", TIME "\"25:00\"");
	refused("mon 24:00-24:00", "24:00-24:00" NIGHT);
	refused("mon 08:00-09:00;tue 08:00-09:00", SPAN "\"08:00-09:00;tue\"");
	refused("mon 22:00-06:00", "22:00-06:00" NIGHT);
	refused("mon 08:00-08:00", "08:00-08:00" NIGHT);
	refused("mon-fri 08:00-12:00, fri 11:59-13:00",
		"08:00-12:00 overlaps 11:59-13:00 of the same day");
	refused("fri 11:59-13:00, mon-fri 08:00-12:00",
		"08:00-12:00 overlaps 11:59-13:00 of the same day");
	refused("mon 08:00-12:00 08:00-12:00", "08:00-12:00 overlaps 08:00-12:00 of the same day");
	refused("mon 00:00-24:00 12:00-13:00", "00:00-24:00 overlaps 12:00-13:00 of the same day");
	refused("mon 0:00-0:01 0:01-0:02 0:02-0:03 0:03-0:04 0:04-0:05 0:05-0:06 0:06-0:07 "
		"0:07-0:08 0:08-0:09",
		"at most 8 spans of time a day are possible");
	/* a sentence that does not fit is cut */
	struct centre_hours h;
	char small[12];
	assert_false(centre_parse("x", &h, small, sizeof(small)));
	assert_string_equal(small, "expected a ");
}

static void test_table(void **state)
{
	(void)state;
	static const struct {
		const char *zone, *hours;
		struct vg_civil received;
		unsigned minutes;
		struct vg_civil due;
	} cases[] = {
		/* 2026-11-23 is a Monday */
		{"Asia/Shanghai", "always", {2026, 11, 23, 23, 50, 7}, 30,
			{2026, 11, 24, 0, 20, 7}},
		{"Asia/Shanghai", "always", {2026, 12, 31, 12, 0, 0}, 1440, {2027, 1, 1, 12, 0, 0}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 23, 9, 0, 0}, 30, {2026, 11, 23, 9, 30, 0}},
		/* it is due when they close, not when they open again */
		{"Asia/Shanghai", OFFICE, {2026, 11, 23, 17, 0, 0}, 30, {2026, 11, 23, 17, 30, 0}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 23, 17, 0, 1}, 30, {2026, 11, 24, 8, 0, 1}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 23, 17, 30, 0}, 30, {2026, 11, 24, 8, 30, 0}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 23, 3, 0, 0}, 30, {2026, 11, 23, 8, 30, 0}},
		/* a lunch, a weekend, the end of a month, a leap day */
		{"Asia/Shanghai", "mon 08:00-12:00 14:00-17:30", {2026, 11, 23, 11, 50, 0}, 30,
			{2026, 11, 23, 14, 20, 0}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 28, 11, 45, 0}, 30, {2026, 11, 30, 8, 15, 0}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 29, 11, 45, 0}, 30, {2026, 11, 30, 8, 30, 0}},
		{"Asia/Shanghai", OFFICE, {2026, 11, 30, 17, 20, 0}, 30, {2026, 12, 1, 8, 20, 0}},
		{"Asia/Shanghai", "tue 00:00-24:00", {2028, 2, 28, 12, 0, 0}, 60,
			{2028, 2, 29, 1, 0, 0}},
		/* a night, across midnight */
		{"Asia/Shanghai", "mon 22:00-24:00, tue 00:00-06:00", {2026, 11, 23, 23, 45, 0}, 30,
			{2026, 11, 24, 0, 15, 0}},
		/* hours of a week in short pieces */
		{"Asia/Shanghai", "wed 08:00-09:00", {2026, 11, 25, 8, 30, 0}, 121,
			{2026, 12, 9, 8, 31, 0}},
		/* Berlin: clocks go from 02:00 to 03:00 on 2026-03-29, from 03:00 to 02:00 on 2026-10-25,
		 * both Sundays */
		{"Europe/Berlin", "always", {2026, 3, 29, 1, 45, 0}, 30, {2026, 3, 29, 3, 15, 0}},
		{"Europe/Berlin", "sun 01:30-04:00", {2026, 3, 29, 0, 0, 0}, 45,
			{2026, 3, 29, 3, 15, 0}},
		{"Europe/Berlin", "sun 02:30-04:00", {2026, 3, 29, 0, 0, 0}, 30,
			{2026, 3, 29, 3, 30, 0}},
		{"Europe/Berlin", "sun 02:00-03:00", {2026, 3, 29, 0, 0, 0}, 30,
			{2026, 4, 5, 2, 30, 0}},
		{"Europe/Berlin", "sat 08:00-09:00, mon 08:00-09:00", {2026, 3, 28, 8, 45, 0}, 30,
			{2026, 3, 30, 8, 15, 0}},
		{"Europe/Berlin", "always", {2026, 10, 25, 1, 45, 0}, 90, {2026, 10, 25, 2, 15, 0}},
		{"Europe/Berlin", "sun 01:00-03:00", {2026, 10, 25, 0, 0, 0}, 180,
			{2026, 10, 25, 3, 0, 0}},
		{"Europe/Berlin", "sun 02:00-02:30", {2026, 10, 25, 0, 0, 0}, 45,
			{2026, 10, 25, 2, 15, 0}},
		{"Europe/Berlin", OFFICE, {2026, 10, 24, 11, 50, 0}, 30, {2026, 10, 26, 8, 20, 0}},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct centre_hours h = parsed(cases[i].hours);
		clock_set_zone(cases[i].zone);
		int64_t received, due;
		assert_true(clock_civil_utc(&cases[i].received, &received));
		assert_true(clock_civil_utc(&cases[i].due, &due));
		int64_t got = centre_due(&h, received, cases[i].minutes);
		struct vg_civil c = clock_civil(got);
		char shown[20];
		if (got != due)
			fail_msg("case %zu: %s", i, clock_civil_text(shown, &c));
	}
}

static void test_edges(void **state)
{
	(void)state;
	clock_set_zone("Asia/Shanghai");
	struct centre_hours h = parsed("always");
	assert_int_equal(centre_due(&h, 1, 1), MINUTE_US + 1);
	assert_int_equal(centre_due(&h, 123, 0), 123);
	/* a gateway without a clock begins in 1970, and a broken one before */
	assert_int_equal(centre_due(&h, -5, 30), 30 * MINUTE_US);
	/* the longest wait there is: one minute a week */
	h = parsed("thu 08:00-08:01");
	assert_int_equal(centre_due(&h, 0, 1440), INT64_C(1439) * 7 * 1440 * MINUTE_US + MINUTE_US);
}

/* The model: what the clocks of a zone show in each minute of two years, as the C library says. */
#define MODEL_FROM INT64_C(1767225600) /* 2026-01-01 00:00 UTC */
#define MODEL_MINUTES (2 * 365 * 1440)
static uint16_t model[MODEL_MINUTES]; /* minute of the week, Monday 00:00 being 0 */

static void model_zone(const char *zone)
{
	clock_set_zone(zone);
	for (unsigned i = 0; i < MODEL_MINUTES; i++) {
		time_t t = MODEL_FROM + i * 60;
		struct tm tm;
		localtime_r(&t, &tm);
		model[i] = (uint16_t)((tm.tm_wday + 6) % 7 * 1440 + tm.tm_hour * 60 + tm.tm_min);
	}
}

/* 0: not within these two years. */
static int64_t model_due(const bool *open, int64_t received_us, unsigned minutes)
{
	int64_t t = received_us, left = minutes * MINUTE_US;
	for (;;) {
		int64_t i = (t / CLOCK_SECOND_US - MODEL_FROM) / 60;
		if (i >= MODEL_MINUTES)
			return 0;
		int64_t end = (MODEL_FROM + (i + 1) * 60) * CLOCK_SECOND_US;
		if (open[model[i]] && end - t >= left)
			return t + left;
		left -= open[model[i]] ? end - t : 0;
		t = end;
	}
}

/* Some hours as a text, and as one flag for each minute of the week. */
static void draw_hours(char *text, size_t size, bool *open)
{
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	memset(open, 0, 7 * 1440);
	size_t n = 0;
	do {
		for (unsigned item = 0; item < 4; item++) {
			unsigned day = (unsigned)(draw() % 7),
				 last = (unsigned)((day + draw() % 4) % 7);
			unsigned from = (unsigned)(draw() % 1440), to;
			to = from + 1 + (unsigned)(draw() % (draw() % 2 ? 90 : 1440 - from));
			to = MIN(to, 1440);
			bool taken = false;
			for (unsigned d = day;; d = (d + 1) % 7) {
				for (unsigned m = from; m < to; m++)
					taken |= open[d * 1440 + m];
				if (d == last)
					break;
			}
			if (taken)
				continue;
			for (unsigned d = day;; d = (d + 1) % 7) {
				memset(open + d * 1440 + from, 1, to - from);
				if (d == last)
					break;
			}
			n += (size_t)snprintf(text + n, size - n, "%s%s-%s %02u:%02u-%02u:%02u",
				n ? ", " : "", days[day], days[last], from / 60, from % 60, to / 60,
				to % 60);
		}
	} while (!n);
}

static void test_model(void **state)
{
	(void)state;
	/* by an hour, by half an hour, at midnight, at odd minutes of UTC, in the south, never */
	static const char *const zones[] = {"Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo",
		"America/St_Johns", "America/Santiago", "Asia/Shanghai"};
	static bool open[7 * 1440];
	unsigned compared = 0;
	for (size_t z = 0; z < ELEMENTS(zones); z++) {
		model_zone(zones[z]);
		unsigned moves[8], n_moves = 0;
		for (unsigned i = 1; i < MODEL_MINUTES; i++)
			if (model[i] != (model[i - 1] + 1) % (7 * 1440) && n_moves < 8)
				moves[n_moves++] = i;
		for (unsigned i = 0; i < 800; i++) {
			char text[300];
			draw_hours(text, sizeof(text), open);
			struct centre_hours h = parsed(text);
			/* half of them around a night in which the clocks are moved */
			uint64_t at = n_moves && i % 2
					      ? moves[draw() % n_moves] - 2880 + draw() % 4320
					      : draw() % MODEL_MINUTES;
			unsigned minutes = 1 + (unsigned)(draw() % (draw() % 2 ? 60 : 1440));
			int64_t received = (MODEL_FROM + (int64_t)at * 60) * CLOCK_SECOND_US +
					   (draw() % 2 ? (int64_t)(draw() % MINUTE_US) : 0);
			int64_t wanted = model_due(open, received, minutes);
			if (!wanted)
				continue;
			int64_t got = centre_due(&h, received, minutes);
			if (got != wanted)
				fail_msg("%s, \"%s\", received %lld, %u min: due %lld, got %lld",
					zones[z], text, (long long)received, minutes,
					(long long)wanted, (long long)got);
			compared++;
		}
	}
	assert_true(compared > 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_model),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("centre", tests, NULL, NULL);
}
