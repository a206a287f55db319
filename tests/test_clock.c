/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Civil time in zones with and without summer time, and every trust grade of clock_decide(). Instants
 * that are written as numbers come from `date -u -d ... +%s`, not from the code under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include "clock.h"
#include "util.h"

#define SECONDS(n) ((n)*CLOCK_SECOND_US)
#define DAYS(n) SECONDS(INT64_C(86400) * (n))
#define ARRIVED SECONDS(INT64_C(1792540800)) /* 2026-10-21 00:00:00 UTC = 08:00 in Shanghai */

static struct vg_civil civil(
	unsigned y, unsigned mo, unsigned d, unsigned h, unsigned mi, unsigned s)
{
	return (struct vg_civil){
		(uint16_t)y, (uint8_t)mo, (uint8_t)d, (uint8_t)h, (uint8_t)mi, (uint8_t)s};
}

static int64_t utc_s(struct vg_civil c)
{
	int64_t us = -1;
	assert_true(clock_civil_utc(&c, &us));
	assert_int_equal(us % CLOCK_SECOND_US, 0);
	return us / CLOCK_SECOND_US;
}

static void test_now(void **state)
{
	(void)state;
	clock_set_zone("Asia/Shanghai");
	struct vg_now now;
	clock_now(&now);
	assert_true(now.utc_us / CLOCK_SECOND_US - time(NULL) <= 1);
	assert_true(now.boot_us > 0);
	struct vg_civil c = clock_civil(now.utc_us);
	assert_memory_equal(&c, &now.civil, sizeof(c));
	int64_t before = clock_boot_us();
	assert_true(before >= now.boot_us);
	assert_true(clock_boot_us() >= before);

	uint8_t zero[16] = {0}, id[16];
	memcpy(id, clock_boot_id(), sizeof(id));
	assert_memory_not_equal(id, zero, sizeof(id));
	assert_memory_equal(id, clock_boot_id(), sizeof(id));
}

static void test_plausible(void **state)
{
	(void)state;
	assert_false(clock_plausible(0));
	assert_false(clock_plausible(SECONDS(INT64_C(1767225600)) - 1));
	assert_true(clock_plausible(SECONDS(INT64_C(1767225600)))); /* 2026-01-01 */
	assert_true(clock_plausible(ARRIVED));
}

/* It may be asked here, whatever it says. */
static void test_synced(void **state)
{
	(void)state;
	assert_in_range(clock_synced(), 0, 1);
}

static void test_civil_known(void **state)
{
	(void)state;
	static const struct {
		struct vg_civil c;
		bool known;
	} cases[] = {
		{{2024, 6, 15, 17, 17, 27}, true},
		{{0, 6, 15, 17, 17, 27}, false}, /* unknown year, month, day */
		{{2024, 0, 15, 17, 17, 27}, false},
		{{2024, 6, 0, 17, 17, 27}, false},
		{{2024, 13, 1, 0, 0, 0}, false},
		{{2024, 4, 31, 0, 0, 0}, false},
		{{2024, 12, 31, 23, 59, 59}, true},
		{{2024, 12, 31, 24, 0, 0}, false},
		{{2024, 12, 31, 23, 60, 0}, false},
		{{2024, 12, 31, 23, 59, 60}, false}, /* devices do not know leap seconds */
		{{2024, 2, 29, 0, 0, 0}, true},
		{{2026, 2, 29, 0, 0, 0}, false},
		{{2000, 2, 29, 0, 0, 0}, true},
		{{2100, 2, 29, 0, 0, 0}, false},
		{{2024, 2, 30, 0, 0, 0}, false},
		{{1880, 1, 1, 0, 0, 0}, true},
		{{1879, 12, 31, 0, 0, 0}, false},
		{{9999, 12, 31, 23, 59, 59}, true},
		{{10000, 1, 1, 0, 0, 0}, false},
		{{2024, 255, 255, 255, 255, 255}, false},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int64_t us = 77;
		char text[20];
		print_message("# %s\n", clock_civil_text(text, &cases[i].c));
		assert_int_equal(clock_civil_known(&cases[i].c), cases[i].known);
		assert_int_equal(clock_civil_utc(&cases[i].c, &us), cases[i].known);
		assert_true(cases[i].known || us == 77);
	}
}

static void test_civil_text(void **state)
{
	(void)state;
	char text[20];
	struct vg_civil c = civil(2024, 6, 5, 7, 8, 9);
	assert_string_equal(clock_civil_text(text, &c), "2024-06-05T07:08:09");
	c = civil(0, 4, 0, 20, 41, 59);
	assert_string_equal(clock_civil_text(text, &c), "0000-04-00T20:41:59");
	c = civil(65535, 255, 255, 255, 255, 255); /* nonsense still fits */
	assert_int_equal(strlen(clock_civil_text(text, &c)), 19);
}

static void test_date(void **state)
{
	(void)state;
	int64_t us = 0;
	clock_set_zone("Asia/Shanghai");
	assert_true(clock_date_utc("2026-10-21", &us));
	assert_int_equal(us, ARRIVED - SECONDS(8 * 3600));
	static const char *const bad[] = {"", "2026", "2026-10", "2026-10-21 ",
		"2026-10-21T00:00:00", "21-10-2026x", "2026-13-01", "2026-02-29", "2026-00-01",
		"2026-10-32", "2026--1-01", "-026-01-01", "20261021", "2026/10/21", "0000-00-00"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		us = 77;
		print_message("# \"%s\"\n", bad[i]);
		assert_false(clock_date_utc(bad[i], &us));
		assert_int_equal(us, 77);
	}
}

static void test_shanghai(void **state)
{
	(void)state;
	clock_set_zone("Asia/Shanghai");
	assert_int_equal(utc_s(civil(2026, 10, 21, 8, 0, 0)), 1792540800);
	assert_int_equal(utc_s(civil(2024, 2, 29, 23, 59, 59)), 1709222399);
	assert_int_equal(utc_s(civil(2024, 3, 1, 0, 0, 0)), 1709222400);
	/* China had summer time from 1986 to 1991: 1990-07-01 12:00 was UTC+9 */
	assert_int_equal(utc_s(civil(1990, 7, 1, 12, 0, 0)), 646801200);
	assert_int_equal(utc_s(civil(1950, 1, 1, 0, 0, 0)), -631180800);
}

/* 2026: begins on 29 March 02:00 -> 03:00 (01:00 UTC), ends on 25 October 03:00 -> 02:00 (01:00 UTC). */
static void test_berlin(void **state)
{
	(void)state;
	clock_set_zone("Europe/Berlin");
	assert_int_equal(utc_s(civil(2026, 1, 15, 12, 0, 0)), 1768474800);
	assert_int_equal(utc_s(civil(2026, 7, 15, 12, 0, 0)), 1784109600);
	assert_int_equal(utc_s(civil(2026, 3, 29, 1, 59, 59)), 1774745999);
	assert_int_equal(utc_s(civil(2026, 3, 29, 3, 0, 0)), 1774746000);
	/* 02:30 does not occur: a clock that nobody moved shows it half an hour after the change */
	assert_int_equal(utc_s(civil(2026, 3, 29, 2, 30, 0)), 1774747800);
	assert_int_equal(utc_s(civil(2026, 10, 25, 1, 59, 59)), 1792886399);
	/* 02:30 occurs at 00:30 and at 01:30 UTC: the later one */
	assert_int_equal(utc_s(civil(2026, 10, 25, 2, 30, 0)), 1792891800);
	assert_int_equal(utc_s(civil(2026, 10, 25, 3, 0, 0)), 1792893600);
}

/* Summer time that begins and ends at midnight, as in Brazil until 2019; the rule is given in full, so
 * that no table of zones can change it: begins on the first Sunday of November (1 November 2026), ends on
 * the third Sunday of February at 24:00 standard = 23:00 again (15 February 2026). */
static void test_midnight(void **state)
{
	(void)state;
	clock_set_zone("<-03>3<-02>,M11.1.0/0,M2.3.0/0");
	assert_int_equal(utc_s(civil(2026, 6, 1, 0, 0, 0)), 1780282800);
	assert_int_equal(utc_s(civil(2026, 12, 1, 0, 0, 0)), 1796090400);
	assert_int_equal(utc_s(civil(2026, 10, 31, 23, 59, 59)), 1793501999);
	assert_int_equal(utc_s(civil(2026, 11, 1, 1, 0, 0)), 1793502000);
	assert_int_equal(utc_s(civil(2026, 11, 1, 0, 30, 0)), 1793503800);  /* does not occur */
	assert_int_equal(utc_s(civil(2026, 2, 14, 23, 30, 0)), 1771122600); /* the second one */
	assert_int_equal(utc_s(civil(2026, 2, 15, 0, 0, 0)), 1771124400);

	/* a day without a midnight begins at one o'clock, and is not the day before */
	int64_t us;
	assert_true(clock_date_utc("2026-11-01", &us));
	assert_int_equal(us / CLOCK_SECOND_US, 1793502000);
	struct vg_civil c = clock_civil(us);
	assert_int_equal(c.day, 1);

	/* the same from the table of zones, 2018 */
	clock_set_zone("America/Sao_Paulo");
	assert_int_equal(utc_s(civil(2018, 11, 4, 0, 0, 0)), 1541300400);
	assert_int_equal(utc_s(civil(2018, 2, 17, 23, 30, 0)), 1518921000);
	assert_int_equal(utc_s(civil(2026, 1, 15, 12, 0, 0)), 1768489200); /* abolished */
}

/* Winter time as the exception (Dublin in some tables), half hours, the far side of the date line. */
static void test_odd_zones(void **state)
{
	(void)state;
	clock_set_zone("IST-1GMT0,M10.5.0,M3.5.0/1");
	assert_int_equal(utc_s(civil(2026, 7, 15, 12, 0, 0)), 1784113200);
	assert_int_equal(utc_s(civil(2026, 1, 15, 12, 0, 0)), 1768478400);
	assert_int_equal(utc_s(civil(2026, 10, 25, 1, 30, 0)), 1792891800); /* the later one */
	clock_set_zone("Asia/Kolkata");
	assert_int_equal(utc_s(civil(2026, 10, 21, 5, 30, 0)), 1792540800);
	clock_set_zone("Pacific/Kiritimati");
	assert_int_equal(utc_s(civil(2026, 10, 21, 14, 0, 0)), 1792540800);
	clock_set_zone("UTC");
	assert_int_equal(utc_s(civil(2026, 10, 21, 0, 0, 0)), 1792540800);
}

/* Every quarter of an hour of 2026: there and back is the same, or the later of two an hour apart. */
static void test_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		unsigned twice; /* quarters that are shown a second time later */
	} zones[] = {{"Asia/Shanghai", 0}, {"Europe/Berlin", 4},
		{"<-03>3<-02>,M11.1.0/0,M2.3.0/0", 4}, {"Australia/Lord_Howe", 2}};
	for (size_t z = 0; z < ELEMENTS(zones); z++) {
		unsigned twice = 0;
		clock_set_zone(zones[z].zone);
		for (int64_t t = 1767225600; t < 1798761600; t += 900) {
			struct vg_civil c = clock_civil(SECONDS(t));
			int64_t back = utc_s(c);
			struct vg_civil again = clock_civil(SECONDS(back));
			assert_memory_equal(&c, &again, sizeof(c));
			assert_true(back == t || back == t + 3600 || back == t + 1800);
			twice += back != t;
		}
		assert_int_equal(twice, zones[z].twice);
	}
}

/* clock_decide */

static struct when decide(
	const struct vg_civil *device, const int64_t *offset_us, int64_t arrived_us)
{
	struct clock_epoch e = {offset_us ? *offset_us : 0, INT64_MIN, INT64_MAX};
	return clock_decide(&(struct when_input){.device = device,
		.epochs = &e,
		.n_epochs = offset_us != NULL,
		.arrived_us = arrived_us});
}

static void check(struct when w, enum trust trust, int64_t taken_us)
{
	assert_string_equal(trust_name(w.trust), trust_name(trust));
	assert_int_equal(w.taken_us, taken_us);
	assert_true(w.uncertainty_us > 0);
}

static struct vg_civil shown(int64_t utc_us)
{
	clock_set_zone("Asia/Shanghai");
	return clock_civil(utc_us);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(trust_name(TRUST_CORRECTED), "corrected");
	assert_string_equal(trust_name(TRUST_DEVICE), "device");
	assert_string_equal(trust_name(TRUST_ARRIVAL), "arrival");
	assert_string_equal(trust_name(TRUST_UNKNOWN), "unknown");
	assert_true(TRUST_CORRECTED < TRUST_LIVE && TRUST_LIVE < TRUST_DEVICE &&
		    TRUST_DEVICE < TRUST_ARRIVAL && TRUST_ARRIVAL < TRUST_UNKNOWN);
}

/* What was measured as it came is dated to seconds, whatever nonsense its device shows beside it. */
static void test_live(void **state)
{
	(void)state;
	struct when_input in = {.live = true, .arrived_us = ARRIVED};
	struct when w = clock_decide(&in);
	check(w, TRUST_LIVE, ARRIVED);
	assert_true(w.uncertainty_us <= 60 * CLOCK_SECOND_US);
	in.arrived_us = 5 * CLOCK_SECOND_US; /* 1970: nobody knows when that was */
	check(clock_decide(&in), TRUST_UNKNOWN, in.arrived_us);
	static const struct vg_civil nonsense[] = {{0, 11, 21, 16, 1, 0}, {2015, 1, 1, 0, 3, 0},
		{2026, 10, 21, 7, 58, 0}, {2026, 10, 21, 8, 2, 0}, {2036, 10, 21, 8, 0, 0}};
	for (size_t i = 0; i < ELEMENTS(nonsense); i++) {
		in = (struct when_input){
			.live = true, .device = &nonsense[i], .arrived_us = ARRIVED};
		check(clock_decide(&in), TRUST_LIVE, ARRIVED);
	}
	struct vg_civil c = shown(ARRIVED - SECONDS(30));
	in.device = &c; /* nobody compared it */
	check(clock_decide(&in), TRUST_LIVE, ARRIVED);
}

/* A clock that was compared dates it to the second; one that says what cannot be does not. */
static void test_live_compared(void **state)
{
	(void)state;
	struct clock_epoch e = {-SECONDS(7200), INT64_MIN, INT64_MAX}; /* it is two hours behind */
	struct vg_civil c = shown(ARRIVED - SECONDS(7200 + 59));
	struct when_input in = {
		.live = true, .device = &c, .epochs = &e, .n_epochs = 1, .arrived_us = ARRIVED};
	check(clock_decide(&in), TRUST_CORRECTED, ARRIVED - SECONDS(59));
	c = shown(ARRIVED -
		  SECONDS(7200 + 1200)); /* it waited for us with what it calls the last one */
	check(clock_decide(&in), TRUST_CORRECTED, ARRIVED - SECONDS(1200));
	c = shown(ARRIVED + SECONDS(3600)); /* ahead of what it shows */
	check(clock_decide(&in), TRUST_LIVE, ARRIVED);
	in.arrived_us = 5 * CLOCK_SECOND_US;
	check(clock_decide(&in), TRUST_UNKNOWN, in.arrived_us);
}

static void test_arrival(void **state)
{
	(void)state;
	int64_t zero = 0;
	check(decide(NULL, NULL, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	check(decide(NULL, &zero, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	/* unknown fields, impossible dates */
	static const struct vg_civil useless[] = {{0, 4, 17, 20, 41, 59}, {2026, 0, 17, 20, 41, 59},
		{2026, 4, 0, 20, 41, 59}, {2026, 2, 29, 20, 41, 59}, {2026, 4, 17, 24, 0, 0}, {0}};
	for (size_t i = 0; i < ELEMENTS(useless); i++) {
		check(decide(&useless[i], NULL, ARRIVED), TRUST_ARRIVAL, ARRIVED);
		check(decide(&useless[i], &zero, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	}
}

static void test_device(void **state)
{
	(void)state;
	struct vg_civil c = shown(ARRIVED);
	check(decide(&c, NULL, ARRIVED), TRUST_DEVICE, ARRIVED);
	c = shown(ARRIVED - DAYS(30)); /* from memory */
	check(decide(&c, NULL, ARRIVED), TRUST_DEVICE, ARRIVED - DAYS(30));
	c = shown(ARRIVED - DAYS(400));
	check(decide(&c, NULL, ARRIVED), TRUST_DEVICE, ARRIVED - DAYS(400));
	c = shown(ARRIVED - DAYS(400) - SECONDS(1)); /* a reset clock, no memory */
	check(decide(&c, NULL, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	c = civil(2000, 1, 1, 0, 0, 0);
	check(decide(&c, NULL, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	c = shown(ARRIVED + SECONDS(300)); /* a little ahead is any clock */
	check(decide(&c, NULL, ARRIVED), TRUST_DEVICE, ARRIVED + SECONDS(300));
	c = shown(ARRIVED + SECONDS(301)); /* tomorrow's readings do not exist */
	check(decide(&c, NULL, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	c = civil(2099, 12, 31, 23, 59, 59);
	check(decide(&c, NULL, ARRIVED), TRUST_ARRIVAL, ARRIVED);
}

static void test_corrected(void **state)
{
	(void)state;
	static const int64_t offsets[] = {
		0, SECONDS(90), -SECONDS(90), SECONDS(3600), -DAYS(3), DAYS(365), -DAYS(9000)};
	for (size_t i = 0; i < ELEMENTS(offsets); i++) {
		int64_t offset = offsets[i];
		struct vg_civil c = shown(ARRIVED - SECONDS(60) + offset);
		struct when w = decide(&c, &offset, ARRIVED);
		check(w, TRUST_CORRECTED, ARRIVED - SECONDS(60));
		assert_int_equal(w.uncertainty_us, CLOCK_SECOND_US);
		c = shown(ARRIVED - DAYS(20) + offset); /* memory of the same epoch of the clock */
		check(decide(&c, &offset, ARRIVED), TRUST_CORRECTED, ARRIVED - DAYS(20));
	}
	/* a second of rounding must not make a reading of the future */
	int64_t zero = 0;
	struct vg_civil c = shown(ARRIVED + SECONDS(1));
	check(decide(&c, &zero, ARRIVED), TRUST_CORRECTED, ARRIVED);
	c = shown(ARRIVED + SECONDS(300));
	check(decide(&c, &zero, ARRIVED), TRUST_CORRECTED, ARRIVED);
}

/* The clock was reset between record and transfer: today's offset says nothing about the record. */
static void test_reset_clock(void **state)
{
	(void)state;
	int64_t years = -DAYS(9000); /* the clock shows 2002 now */
	struct vg_civil record = shown(ARRIVED - DAYS(10));
	check(decide(&record, &years, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	record = civil(2000, 1, 1, 0, 0, 0); /* and the other way round: it was set since */
	int64_t zero = 0;
	check(decide(&record, &zero, ARRIVED), TRUST_ARRIVAL, ARRIVED);
	record = shown(ARRIVED + SECONDS(301));
	check(decide(&record, &zero, ARRIVED), TRUST_ARRIVAL, ARRIVED);
}

/* A gateway without RTC: its own clock says 1970 and must not be mixed with anything. */
static void test_gateway_in_1970(void **state)
{
	(void)state;
	int64_t zero = 0, absurd = DAYS(20000);
	struct vg_civil good = shown(ARRIVED), old = civil(1970, 1, 1, 8, 1, 40);
	const struct vg_civil *devices[] = {NULL, &good, &old};
	static const int64_t arrivals[] = {0, SECONDS(100), SECONDS(INT64_C(1767225599))};
	for (size_t i = 0; i < ELEMENTS(devices); i++)
		for (size_t k = 0; k < ELEMENTS(arrivals); k++) {
			struct when w = decide(devices[i], NULL, arrivals[k]);
			check(w, TRUST_UNKNOWN, arrivals[k]);
			assert_int_equal(w.uncertainty_us, INT64_MAX);
			check(decide(devices[i], &zero, arrivals[k]), TRUST_UNKNOWN, arrivals[k]);
			check(decide(devices[i], &absurd, arrivals[k]), TRUST_UNKNOWN, arrivals[k]);
		}
}

/* Whatever comes in: a grade, never a time behind the arrival by more than a clock may be wrong. */
static void test_never_in_the_future(void **state)
{
	(void)state;
	uint64_t seed = 20261121;
	clock_set_zone("Europe/Berlin");
	for (int i = 0; i < 200000; i++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		unsigned r = (unsigned)(seed >> 33);
		struct vg_civil c = civil(2024 + r % 5, r % 14, r % 33, r % 25, r % 61, r % 61);
		int64_t offset = (int64_t)(seed >> 20) % DAYS(800) - DAYS(400);
		struct when w = decide(r % 7 ? &c : NULL, r % 3 ? &offset : NULL, ARRIVED);
		assert_true(w.taken_us <= ARRIVED + SECONDS(300));
		assert_true(w.taken_us >= ARRIVED - DAYS(400));
		assert_true(w.trust != TRUST_UNKNOWN);
		assert_true(w.trust == TRUST_DEVICE || w.taken_us <= ARRIVED);
	}
}

/* epochs: instants are hours around ARRIVED, 08:00 in Shanghai */

#define HOURS(n) SECONDS(INT64_C(3600) * (n))

static struct when by_epochs(
	int64_t shown_us, const struct clock_epoch *epochs, size_t n, int64_t set_us)
{
	struct vg_civil c = shown(shown_us);
	return clock_decide(&(struct when_input){.device = &c,
		.epochs = epochs,
		.n_epochs = n,
		.set_us = set_us,
		.arrived_us = ARRIVED});
}

/* It was an hour slow and seen so until yesterday; today it was found right. */
static void test_epochs_slow(void **state)
{
	(void)state;
	const struct clock_epoch e[] = {
		{HOURS(-1), INT64_MIN, ARRIVED}, {0, ARRIVED - DAYS(1), INT64_MAX}};
	/* before it was seen slow for the last time: only the slow clock can have shown this */
	check(by_epochs(ARRIVED - DAYS(2), e, 2, 0), TRUST_CORRECTED, ARRIVED - DAYS(2) + HOURS(1));
	/* half an hour ago: the slow one would say it is to come */
	struct when w = by_epochs(ARRIVED - SECONDS(1800), e, 2, 0);
	check(w, TRUST_CORRECTED, ARRIVED - SECONDS(1800));
	assert_int_equal(w.uncertainty_us, SECONDS(1));
	/* between: either may have; the hour is said */
	w = by_epochs(ARRIVED - HOURS(10), e, 2, 0);
	check(w, TRUST_DEVICE, ARRIVED - HOURS(10));
	assert_int_equal(w.uncertainty_us, HOURS(1));
	/* earlier ones are known to a minute */
	w = by_epochs(ARRIVED - DAYS(2), e, 2, 0);
	assert_int_equal(w.uncertainty_us, SECONDS(60));
	/* after the new one was seen, the old one cannot have shown anything */
	const struct clock_epoch ago[] = {
		{HOURS(-1), INT64_MIN, ARRIVED - DAYS(4)}, {0, ARRIVED - DAYS(5), INT64_MAX}};
	check(by_epochs(ARRIVED - DAYS(3), ago, 2, 0), TRUST_CORRECTED, ARRIVED - DAYS(3));
	/* what no epoch can have shown: dated by arrival */
	check(by_epochs(ARRIVED + HOURS(2), e, 2, 0), TRUST_ARRIVAL, ARRIVED);
}

/* The battery was taken out: it counts from 2000 again. */
static void test_epochs_reset(void **state)
{
	(void)state;
	const int64_t y2000 = SECONDS(INT64_C(946656000)); /* 2000-01-01 00:00 in Shanghai */
	const struct clock_epoch e[] = {{SECONDS(20), INT64_MIN, ARRIVED},
		{y2000 - (ARRIVED - HOURS(3)), ARRIVED - DAYS(30), INT64_MAX}};
	check(by_epochs(y2000 + HOURS(1), e, 2, 0), TRUST_CORRECTED, ARRIVED - HOURS(2));
	check(by_epochs(ARRIVED - DAYS(40), e, 2, 0), TRUST_CORRECTED,
		ARRIVED - DAYS(40) - SECONDS(20));
	/* after it was last seen, before the reset */
	check(by_epochs(ARRIVED - DAYS(5), e, 2, 0), TRUST_CORRECTED,
		ARRIVED - DAYS(5) - SECONDS(20));
	/* a year of neither */
	static const struct vg_civil strange = {2015, 5, 5, 5, 5, 5};
	check(clock_decide(&(struct when_input){
		      .device = &strange, .epochs = e, .n_epochs = 2, .arrived_us = ARRIVED}),
		TRUST_ARRIVAL, ARRIVED);
}

/* It was set in this session: what it held is dated by the clock before, what it measures now by ours. */
static void test_clock_was_set(void **state)
{
	(void)state;
	const struct clock_epoch slow = {HOURS(-1), INT64_MIN, INT64_MAX};
	int64_t set_us = ARRIVED - SECONDS(10);
	check(by_epochs(ARRIVED - HOURS(5), &slow, 1, set_us), TRUST_CORRECTED, ARRIVED - HOURS(4));
	check(by_epochs(ARRIVED - SECONDS(4), &slow, 1, set_us), TRUST_CORRECTED,
		ARRIVED - SECONDS(4));
	/* an hour fast: a record of before can show what the set clock shows now */
	const struct clock_epoch fast = {HOURS(1), INT64_MIN, INT64_MAX};
	struct when w = by_epochs(ARRIVED - SECONDS(4), &fast, 1, set_us);
	check(w, TRUST_DEVICE, ARRIVED - SECONDS(4));
	assert_int_equal(w.uncertainty_us, HOURS(1));
	check(by_epochs(ARRIVED - HOURS(5), &fast, 1, set_us), TRUST_CORRECTED, ARRIVED - HOURS(6));
	/* it counted from 2000, and dates what it held by the clock that it was just given */
	const struct clock_epoch unset = {DAYS(-9700), INT64_MIN, INT64_MAX};
	w = by_epochs(ARRIVED - HOURS(1), &unset, 1, set_us);
	check(w, TRUST_DEVICE, ARRIVED - HOURS(1));
	assert_int_equal(w.uncertainty_us, SECONDS(300));
	check(by_epochs(ARRIVED - HOURS(1), &unset, 1, 0), TRUST_ARRIVAL, ARRIVED);
	/* the device did not take it: both stay what they were */
	check(by_epochs(ARRIVED - HOURS(1) - SECONDS(4), &slow, 1, set_us), TRUST_CORRECTED,
		ARRIVED - SECONDS(4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_now),
		cmocka_unit_test(test_plausible),
		cmocka_unit_test(test_synced),
		cmocka_unit_test(test_civil_known),
		cmocka_unit_test(test_civil_text),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_shanghai),
		cmocka_unit_test(test_berlin),
		cmocka_unit_test(test_midnight),
		cmocka_unit_test(test_odd_zones),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_live_compared),
		cmocka_unit_test(test_arrival),
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_corrected),
		cmocka_unit_test(test_reset_clock),
		cmocka_unit_test(test_gateway_in_1970),
		cmocka_unit_test(test_never_in_the_future),
		cmocka_unit_test(test_epochs_slow),
		cmocka_unit_test(test_epochs_reset),
		cmocka_unit_test(test_clock_was_set),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
