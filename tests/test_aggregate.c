/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Readings made out of samples: sentences first, then random streams against the model of
 * tests/aggregate, which remembers every sample. All of it goes through a session, and every
 * reading's raw text is recounted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>

#include "aggregate/rig.h"

#define OUT "failed_measurement: finger out before the values were steady\n"

/* spot */

static void test_steady(void **state)
{
	(void)state;
	open_with(NULL);
	blank(3);
	show(60, 97); /* a minute, and one reading of its first 8 s */
	TOLD("11.000 97/72\n");
	assert_int_equal(rig.counts[VG_READING], 1);
	open_with("steady_s", "20", NULL);
	show(60, 97);
	TOLD("20.000 97/72\n");
}

static void test_median(void **state)
{
	(void)state;
	open_with(NULL);
	show_as(3, 96, 70, 0);
	show_as(4, 97, 74, 0);
	show_as(2, 98, 78, 0);
	TOLD("8.000 97/74\n");
	open_with(NULL); /* of an even number the lower one */
	step_us = 2 * SECOND;
	show(4, 95);
	show_as(2, 95, 80, 0);
	show_as(4, 96, 80, 0);
	step_us = SECOND / 3 + 1;
	TOLD("8.000 95/80\n");
}

static void test_unsteady(void **state)
{
	(void)state;
	open_with(NULL); /* three points of saturation: the window begins again */
	show(7, 94);
	show(9, 97);
	TOLD("15.000 97/72\n");
	open_with(NULL); /* two do not matter */
	show(7, 95);
	show(9, 97);
	TOLD("8.000 95/72\n");
	open_with(NULL); /* nor do 8 beats or 10 % of the slowest pulse */
	show_as(5, 97, 72, 0);
	show_as(4, 97, 80, 0);
	TOLD("8.000 97/72\n");
	open_with(NULL);
	show_as(4, 97, 72, 0);
	show_as(9, 97, 81, 0);
	TOLD("12.000 97/81\n");
	open_with(NULL);
	show_as(5, 97, 150, 0);
	show_as(4, 97, 165, 0);
	TOLD("8.000 97/150\n");
	open_with(NULL);
	show_as(4, 97, 150, 0);
	show_as(9, 97, 166, 0);
	TOLD("12.000 97/166\n");
}

static void test_flags_break(void **state)
{
	(void)state;
	open_with(NULL);
	show(7, 97);
	show_as(1, 97, 72, ARTIFACT);
	show(9, 97);
	TOLD("16.000 97/72\n");
	open_with(NULL); /* a short gap in the values, too */
	show(7, 97);
	blank(1);
	show(9, 97);
	TOLD("16.000 97/72\n");
}

static void test_no_pulse(void **state)
{
	(void)state;
	open_with(NULL);
	show_as(9, 97, -1, 0);
	TOLD("8.000 97\n");
}

static void test_decimals(void **state)
{
	(void)state;
	static const struct {
		struct vg_decimal number;
		const char *told;
	} cases[] = {{{974, -1}, "8.000 97/72\n"}, {{975, -1}, "8.000 98/72\n"},
		{{97499, -3}, "8.000 97/72\n"}, {{97500, -3}, "8.000 98/72\n"},
		{{9, 1}, "8.000 90/72\n"}, {{1, 2}, "8.000 100/72\n"},
		/* beyond all numbers: nothing is shown */
		{{1004, -1}, "8.000 100/72\n"}, {{1005, -1}, ""}, {{11, 1}, ""}, {{-97, 0}, ""},
		{{-1, -1}, ""}, {{INT64_MAX, 0}, ""}, {{INT64_MAX, 127}, ""}, {{1, 127}, ""},
		{{INT64_MIN, 127}, ""}, {{97, 2}, ""}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		open_with(NULL);
		rig.decimal = cases[i].number;
		show(9, 1);
		TOLD(cases[i].told);
	}
}

static void test_fall(void **state)
{
	(void)state;
	open_with(NULL);
	show(10, 97);
	show(20, 94); /* three points are none */
	show(10, 93);
	show(20, 97);
	show(10, 93); /* known */
	show(10, 89);
	TOLD("8.000 97/72\n35.000 93/72\n78.000 89/72\n");
}

static void test_next_finger(void **state)
{
	(void)state;
	open_with(NULL);
	show(10, 97);
	blank(2);
	show(10, 97); /* the same finger */
	blank(4);
	show(10, 96); /* another one */
	silence(10);
	show(10, 95);
	TOLD("8.000 97/72\n34.000 96/72\n54.000 95/72\n");
}

static void test_doubt(void **state)
{
	(void)state;
	open_with(NULL); /* nothing but doubt for 24 s: told once, with all that was seen */
	show_as(20, 84, 70, RED);
	show_as(60, 84, 70, RED | ARTIFACT);
	TOLD("24.000 84/70 low_perfusion,artifact\n");
	open_with(NULL); /* a further fall is told, and one of three points is not */
	show_as(30, 84, 70, RED);
	show_as(40, 81, 70, RED);
	show_as(60, 80, 70, RED);
	TOLD("24.000 84/70 low_perfusion\n97.666 80/70 low_perfusion\n");
	open_with(NULL); /* values that wander and no flag */
	for (int i = 0; i < 15; i++) {
		show(1, 90);
		show(1, 95);
	}
	TOLD("24.000 90/72 unsteady\n");
	open_with(NULL); /* a steady window follows: it is told, and the doubt is not repeated */
	show_as(30, 84, 70, RED);
	show(10, 84);
	show_as(60, 84, 70, RED);
	TOLD("24.000 84/70 low_perfusion\n38.000 84/72\n");
	open_with(NULL); /* a fall after the steady one is told with its doubt */
	show(10, 97);
	show_as(60, 84, 70, RED);
	TOLD("8.000 97/72\n32.333 84/70 low_perfusion\n");
}

static void test_finger_out(void **state)
{
	(void)state;
	open_with(NULL);
	show(5, 97);
	blank(5);
	TOLD("8.000 " OUT);
	open_with(NULL); /* nobody was to be measured */
	show(3, 97);
	blank(5);
	TOLD("");
	open_with(NULL); /* the line is silent */
	show(5, 97);
	silence(10);
	TOLD("10.000 " OUT);
	open_with(NULL); /* the connection ends */
	show(5, 97);
	TOLD("5.000 " OUT);
	open_with(NULL);
	show(9, 97);
	blank(5);
	TOLD("8.000 97/72\n");
	open_with(NULL); /* a doubtful reading is a reading */
	show_as(25, 84, 70, RED);
	blank(5);
	TOLD("24.000 84/70 low_perfusion\n");
}

/* continuous */

static void test_summary(void **state)
{
	(void)state;
	open_with("mode", "continuous", "interval_s", "60", NULL);
	show(30, 97);
	show_as(12, 95, 80, 0);
	show_as(6, 70, 80, ARTIFACT);
	show(12, 91);
	show(60, 96);
	show(20, 96); /* less than 30 s are not summed up */
	TOLD("60.000 97/72 summary min=91 low=0 artifact=10\n"
	     "120.000 96/72 summary min=96 low=0 artifact=0\n");
	open_with("mode", "continuous", "interval_s", "60", NULL);
	show(90, 97);
	TOLD("60.000 97/72 summary min=97 low=0 artifact=0\n"
	     "90.000 97/72 summary min=97 low=0 artifact=0\n");
}

static void test_summary_aligned(void **state)
{
	(void)state;
	open_with("mode", "continuous", "interval_s", "60", NULL);
	silence(25);
	show(20, 97); /* from the first sample on, whatever comes */
	silence(220);
	show(30, 95);
	silence(60);
	TOLD("85.000 97/72 summary min=97 low=0 artifact=62\n"
	     "325.000 95/72 summary min=95 low=0 artifact=46\n");
}

static void test_summary_of_doubt(void **state)
{
	(void)state;
	open_with("mode", "continuous", "interval_s", "30", NULL);
	show_as(10, 88, 60, RED);
	show_as(10, 86, 60, ARTIFACT);
	show_as(10, 87, 60, LOST);
	blank(30); /* nothing shown: nothing told */
	show_as(20, 98, 60, 0);
	show_as(6, 80, 60, RED);
	show_as(4, 80, 60, ARTIFACT); /* less than half */
	silence(5);
	TOLD("30.000 87/60 summary,low_perfusion,artifact,out_of_track artifact=100\n"
	     "30.000 87/60 desaturation,low_perfusion,artifact,out_of_track\n"
	     "39.666 episode: 30 s below 90 %, lowest 86 %, in doubt, then nothing was shown\n"
	     "95.000 98/60 summary min=98 low=0 artifact=33\n");
}

static void test_desaturation(void **state)
{
	(void)state;
	open_with("mode", "continuous", NULL);
	show(30, 97);
	show(10, 89);
	show(10, 85);
	show(10, 81);
	show(5, 90);
	show(1, 89); /* not over yet */
	show(20, 90);
	TOLD("40.000 89/72 desaturation\n"
	     "50.000 85/72 desaturation\n"
	     "60.000 81/72 desaturation\n"
	     "76.000 episode: 31 s below 90 %, lowest 81 %\n"
	     "86.000 90/72 summary min=81 low=31 artifact=0\n");
	open_with("mode", "continuous", NULL); /* 9 s are no episode, however often */
	for (int i = 0; i < 5; i++) {
		show(9, 85);
		show(1, 90);
	}
	TOLD("50.000 85/72 summary min=85 low=45 artifact=0\n");
	open_with("mode", "continuous", "low", "85", NULL);
	show(12, 85);
	show(12, 84);
	TOLD("22.000 84/72 desaturation\n"
	     "24.000 episode: 12 s below 85 %, lowest 84 %, until the connection ended\n");
}

static void test_desaturation_in_doubt(void **state)
{
	(void)state;
	open_with("mode", "continuous", NULL); /* artifacts in between hold nothing back */
	for (int i = 0; i < 4; i++) {
		show(3, 84);
		show_as(1, 95, 72, ARTIFACT);
	}
	show(12, 92);
	TOLD("13.000 84/72 desaturation\n"
	     "26.000 episode: 12 s below 90 %, lowest 84 %\n");
	open_with("mode", "continuous", NULL); /* a clean value confirms what was told in doubt */
	show_as(32, 84, 72, RED);
	show(10, 84);
	show_as(11, 93, 72, RED);
	show(11, 93);
	TOLD("30.000 84/72 desaturation,low_perfusion\n"
	     "42.000 84/72 desaturation\n"
	     "63.000 episode: 10 s below 90 %, lowest 84 %\n"
	     "64.000 93/72 summary min=84 low=10 artifact=67\n");
	open_with("mode", "continuous", NULL); /* doubt alone: over when it is not low any more */
	show_as(32, 84, 72, RED);
	show_as(12, 93, 72, RED);
	TOLD("30.000 84/72 desaturation,low_perfusion\n"
	     "42.000 episode: 32 s below 90 %, lowest 84 %, in doubt\n"
	     "44.000 84/72 summary,low_perfusion artifact=100\n");
}

/* settings, time, memory */

/* The end was told: whatever the daemon still looks for, there is nothing more. */
static void test_after_the_end(void **state)
{
	(void)state;
	open_with("mode", "continuous", "interval_s", "60", NULL);
	show(29, 88);
	session_end(rig.session, &rig.now);
	rig.now.boot_us += 31 * SECOND;
	session_flush(rig.session, &rig.now);
	session_free(TAKE(rig.session));
	assert_string_equal(rig.told.text,
		"10.000 88/72 desaturation\n"
		"29.000 episode: 29 s below 90 %, lowest 88 %, until the connection ended\n");
}

/* Whatever is no number of its range is the default. */
static void test_settings(void **state)
{
	(void)state;
	static const char *const bad[][3] = {{"", "", ""}, {"x", "x", "x"}, {"3", "29", "0"},
		{"61", "3601", "101"}, {"-8", "-60", "-1"}, {"8.5", "60.5", "80.5"},
		{" 9", " 60", " 80"}, {"9s", "60s", "80%"}, {"4294967305", "4294967356", "1000000"},
		{"99999999999999999999", "99999999999999999999", "99999999999999999999"}};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		open_with("steady_s", bad[i][0], "mode", bad[i][0], NULL);
		show(20, 97);
		TOLD("8.000 97/72\n");
		open_with("mode", "continuous", "interval_s", bad[i][1], "low", bad[i][2], NULL);
		show(120, 97);
		show(12, 89);
		show(200, 97);
		TOLD("130.000 89/72 desaturation\n"
		     "142.000 episode: 12 s below 90 %, lowest 89 %\n"
		     "300.000 97/72 summary min=89 low=12 artifact=0\n"
		     "332.000 97/72 summary min=97 low=0 artifact=0\n");
	}
}

/* The clock of the wall may say what it likes, and that since boot never runs back. */
static void test_clock(void **state)
{
	(void)state;
	open_with(NULL);
	show(4, 97);
	rig.now.utc_us = 0;
	show(1, 97);
	rig.now.boot_us -= 3 * SECOND;
	show(7, 97);
	TOLD("8.000 97/72\n");
	open_with("mode", "continuous", "interval_s", "30", NULL);
	show(4, 97);
	rig.now.boot_us += INT64_C(365) * 86400 * SECOND; /* a very long night */
	show(1, 97);
	assert_int_equal(rig.counts[VG_READING], 1);
	TOLD(rig.told.text);
}

/* An hour at 100 a second: memory as after its first second, and raw text that stays small. */
static void test_memory(void **state)
{
	(void)state;
	static const int64_t rates[] = {SECOND, SECOND / 10, SECOND / 100};
	for (size_t i = 0; i < ELEMENTS(rates); i++) {
		open_with("mode", "continuous", "interval_s", "3600", NULL);
		step_us = rates[i];
		show(1, 97);
		size_t before = mallinfo2().uordblks;
		for (int t = 1; t < 3600; t++)
			show_as(1, 90 + t % 10, 50 + t % 100, t % 16 ? 0 : RED);
		assert_int_equal(mallinfo2().uordblks, before);
		step_us = SECOND / 3 + 1;
		play(&(struct entry){clock_us(), true, -1, -1, 0});
		assert_string_equal(
			rig.told.text, "3600.000 95/100 summary min=90 low=0 artifact=6\n");
		assert_true(rig.raw_most < 1500);
		end();
	}
}

/* A value of every kind, and as many samples of each as the counters can be long. */
static void test_raw_bounded(void **state)
{
	(void)state;
	open_with("mode", "continuous", "interval_s", "3600", "low", "1", NULL);
	step_us = SECOND;
	for (int i = 0; i < 512; i++)
		show_as(7, i % 51 + 50, i, 0);
	silence(20);
	step_us = SECOND / 3 + 1;
	assert_int_equal(rig.counts[VG_READING], 1);
	assert_in_range(rig.raw_most, 3000, 9300);
	end();
}

/* random streams */

static uint32_t seed;

static int draw(int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (int)(seed % (uint32_t)below);
}

/* A stretch of samples that have something in common. */
static void random_stretch(int64_t *t_us, size_t most)
{
	static const int steps_ms[] = {10, 100, 333, 333, 1000, 2000};
	static const unsigned doubts[] = {0, 0, 0, 0, RED, ARTIFACT, RED | ARTIFACT, LOST};
	int kind = draw(12), spo2 = 80 + draw(20), pulse = 50 + draw(120), wander = draw(6);
	unsigned flags = doubts[draw(ELEMENTS(doubts))];
	int64_t step = steps_ms[draw(ELEMENTS(steps_ms))] * INT64_C(1000) + draw(3);
	for (int n = draw(80); n >= 0 && rig.n_entries < most; n--) {
		struct entry e = {.at_us = *t_us, .spo2 = spo2, .pulse = pulse, .flags = flags};
		if (wander > 2)
			e.spo2 += draw(wander) - 1;
		if (wander > 1)
			e.pulse += draw(12);
		if (kind == 0)
			e.pulse = -1;
		if (kind == 1)
			e.spo2 = e.pulse = -1;
		if (kind == 2)
			e.flags = doubts[draw(ELEMENTS(doubts))];
		if (kind == 3 || draw(20) == 0)
			e.tick = rig.n_entries > 0;
		e.spo2 = MIN(e.spo2, 100);
		play(&e);
		*t_us += draw(30) ? step : 0; /* some come at once */
	}
	if (draw(6) == 0)
		*t_us += draw(40) * SECOND;
}

static void random_stream(bool continuous, int number)
{
	static struct lines wanted;
	char interval[8], steady[8], low[8];
	struct settings s = {
		continuous, (30 + draw(3) * 45) * SECOND, (4 + draw(8)) * SECOND, 84 + draw(10)};
	int64_t t_us = 0;
	seed = (uint32_t)number * 2654435761u | 1;
	snprintf(interval, sizeof(interval), "%d", (int)(s.interval_us / SECOND));
	snprintf(steady, sizeof(steady), "%d", (int)(s.steady_us / SECOND));
	snprintf(low, sizeof(low), "%d", s.low);
	open_with("mode", continuous ? "continuous" : "spot", "interval_s", interval, "steady_s",
		steady, "low", low, NULL);
	while (rig.n_entries < 700)
		random_stretch(&t_us, 700);
	end();
	wanted.len = 0;
	wanted.text[0] = 0;
	model_run(&s, rig.entries, rig.n_entries, true, &wanted);
	if (!streq(rig.told.text, wanted.text))
		print_message(
			"stream %d\nfound\n%sexpected\n%s", number, rig.told.text, wanted.text);
	assert_string_equal(rig.told.text, wanted.text);
}

static void test_random_spot(void **state)
{
	(void)state;
	for (int i = 1; i <= 500; i++)
		random_stream(false, i);
}

static void test_random_continuous(void **state)
{
	(void)state;
	for (int i = 1; i <= 500; i++)
		random_stream(true, i);
}

static int load(void **state)
{
	(void)state;
	char error[400];
	clock_set_zone("Asia/Shanghai");
	seed = 1;
	rig.codes = codes_load("config", error, sizeof(error));
	return rig.codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(rig.codes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_unsteady),
		cmocka_unit_test(test_flags_break),
		cmocka_unit_test(test_no_pulse),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_fall),
		cmocka_unit_test(test_next_finger),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_finger_out),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_summary_aligned),
		cmocka_unit_test(test_summary_of_doubt),
		cmocka_unit_test(test_desaturation),
		cmocka_unit_test(test_desaturation_in_doubt),
		cmocka_unit_test(test_after_the_end),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_raw_bounded),
		cmocka_unit_test(test_random_spot),
		cmocka_unit_test(test_random_continuous),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, load, unload);
}
