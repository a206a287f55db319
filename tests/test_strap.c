/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Readings made out of what a heart rate strap notifies: the driver, a session and aggregate.h. The times
 * between beats are counted a second time here, from a list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "driver.h"
#include "session.h"
#include "util.h"

#define SECOND CLOCK_SECOND_US

enum { RR = 16, LOOSE = 4, WORN = 6 };

static struct {
	struct codes *codes;
	struct vg_session *session;
	struct session_ops ops;
	struct vg_now now;
	int64_t base_us;
	int channel;
	const char *mode, *interval_s;
	char told[4096];
	unsigned counts[VG_RESULTS];
} rig;

static void put(const char *format, ...)
{
	size_t len = strlen(rig.told);
	va_list list;
	va_start(list, format);
	int n = vsnprintf(rig.told + len, sizeof(rig.told) - len, format, list);
	va_end(list);
	assert_in_range(n, 0, sizeof(rig.told) - len - 1);
}

/* "60 hr=70 hr.min=68 ... summary" */
static void put_reading(const struct reading *r)
{
	assert_string_equal(r->kind, "hr");
	put("%d", (int)((rig.now.boot_us - rig.base_us) / SECOND));
	for (unsigned i = 0; i < r->n_quantities; i++) {
		assert_int_equal(r->quantities[i].value.milli % 1000, 0);
		put(" %s=%d", r->quantities[i].code->kind,
			(int)(r->quantities[i].value.milli / 1000));
	}
	for (unsigned i = 0; i < r->n_flags; i++)
		put(" %s", r->flags[i]);
	put("\n");
}

static void on_submit(void *arg, struct unit *u)
{
	(void)arg;
	for (const struct reading *r = u->readings; r; r = r->next)
		put_reading(r);
	for (const struct happening *e = u->events; e; e = e->next)
		put("%d %s: %s\n", (int)((rig.now.boot_us - rig.base_us) / SECOND), e->type,
			e->detail);
	for (unsigned i = 0; i < VG_RESULTS; i++)
		rig.counts[i] += u->counts[i];
	unit_free(u);
}

static void on_timer(void *arg, unsigned ms)
{
	(void)arg, (void)ms;
}

static void on_done(void *arg, const char *why)
{
	(void)arg;
	fail_msg("the session ended: %s", why);
}

static const char *on_option(void *arg, const char *name)
{
	(void)arg;
	return streq(name, "mode") ? rig.mode : streq(name, "interval_s") ? rig.interval_s : NULL;
}

static void open_as(const char *mode, const char *interval_s)
{
	const struct vg_driver *strap = drivers_find(NULL, "bt_heart_rate");
	rig.mode = mode;
	rig.interval_s = interval_s;
	rig.told[0] = 0;
	memset(rig.counts, 0, sizeof(rig.counts));
	rig.ops = (struct session_ops){
		.submit = on_submit, .timer = on_timer, .done = on_done, .option = on_option};
	clock_now(&rig.now);
	rig.base_us = rig.now.boot_us;
	for (size_t i = 0; i < strap->n_channels; i++)
		if (streq(strap->channels[i].name, "2a37"))
			rig.channel = (int)i;
	rig.session = session_new(&(struct session_start){.driver = strap,
					  .codes = rig.codes,
					  .number = 1,
					  .uid = "sn:1",
					  .ops = &rig.ops},
		&rig.now);
	assert_non_null(rig.session);
}

/* One notification, then a second passes. */
static void notify(uint8_t flags, int rate, const int *times, size_t n)
{
	uint8_t pdu[64] = {flags, (uint8_t)rate};
	size_t len = 2;
	for (size_t i = 0; i < n; i++) {
		pdu[len++] = (uint8_t)times[i];
		pdu[len++] = (uint8_t)(times[i] >> 8);
	}
	session_value(rig.session, rig.channel, pdu, len, false, &rig.now);
	rig.now.boot_us += SECOND;
}

static void show(int seconds, int rate)
{
	while (seconds-- > 0)
		notify(WORN, rate, NULL, 0);
}

/* One beat a second, of 1/1024 s. */
static void beat(int seconds, int time)
{
	while (seconds-- > 0)
		notify(WORN | RR, 60, &time, 1);
}

#define TOLD(wanted)                                     \
	do {                                             \
		session_end(rig.session, &rig.now);      \
		session_free(TAKE(rig.session));         \
		assert_string_equal(rig.told, (wanted)); \
	} while (0)

static void test_one_steady_rate_is_a_reading_until_it_is_taken_off(void **state)
{
	(void)state;
	open_as("spot", "300");
	show(40, 70);
	show(40, 50); /* a slower one is no fall */
	for (int i = 0; i < 4; i++)
		notify(LOOSE, 0, NULL, 0);
	show(10, 90);
	TOLD("8 hr=70\n92 hr=90\n");
}

static void test_a_rate_that_wanders_is_told_as_unsteady(void **state)
{
	(void)state;
	open_as("spot", "300");
	for (int i = 0; i < 20; i++) {
		show(2, 60);
		show(2, 69);
	}
	TOLD("24 hr=60 unsteady\n");
	open_as("spot", "300"); /* 8 are steady, and so is a tenth */
	show(5, 60);
	show(5, 68);
	TOLD("8 hr=60\n");
	open_as("spot", "300");
	show(5, 150);
	show(5, 165);
	TOLD("8 hr=150\n");
}

/* The strap of the public captures says so of a good rate. */
static void test_without_contact_the_rate_is_in_doubt(void **state)
{
	(void)state;
	open_as("spot", "300");
	for (int i = 0; i < 40; i++)
		notify(LOOSE, 74, NULL, 0);
	show(10, 70);
	TOLD("24 hr=74 no_contact\n48 hr=70\n");
}

static void test_taken_off_too_early(void **state)
{
	(void)state;
	open_as("spot", "300");
	show(5, 70);
	for (int i = 0; i < 6; i++)
		notify(WORN, 0, NULL, 0);
	TOLD("7 failed_measurement: taken off before the values were steady\n");
}

static void test_summary_of_an_interval(void **state)
{
	(void)state;
	open_as("continuous", "60");
	show(30, 70);
	show(15, 58);
	show(15, 130);
	for (int i = 0; i < 60; i++)
		notify(LOOSE, 0, NULL, 0);
	show(31, 41); /* low, and no episode: that limit is one of saturation */
	TOLD("60 hr=70 hr.min=58 hr.max=130 hr.artifact=0 summary\n"
	     "151 hr=41 hr.min=41 hr.max=41 hr.artifact=0 summary\n");
}

static void test_beats_of_an_interval(void **state)
{
	(void)state;
	open_as("continuous", "60"); /* 1024/1024 and 922/1024 s by turns: every step is 100 ms */
	for (int i = 0; i < 31; i++) {
		beat(1, 1024);
		beat(1, 922);
	}
	TOLD("60 hr=60 hr.min=60 hr.max=60 hr.artifact=0 hr.rr_min=900 hr.rr_max=1000 "
	     "hr.rmssd=100 summary\n");
}

static void test_few_beats_make_no_rmssd(void **state)
{
	(void)state;
	open_as("continuous", "60");
	beat(20, 1024); /* 19 steps */
	show(40, 60);
	TOLD("60 hr=60 hr.min=60 hr.max=60 hr.artifact=0 hr.rr_min=1000 hr.rr_max=1000 summary\n");
	open_as("continuous", "60");
	beat(21, 1024);
	show(39, 60);
	TOLD("60 hr=60 hr.min=60 hr.max=60 hr.artifact=0 hr.rr_min=1000 hr.rr_max=1000 hr.rmssd=0 "
	     "summary\n");
	open_as("spot", "300"); /* nor does one reading */
	beat(30, 1024);
	TOLD("8 hr=60 hr.rr_min=1000 hr.rr_max=1000\n");
}

/* 1000 ms on one side of a gap, 500 on the other: over it there is no step of 500. */
static void test_no_step_over_a_gap(void **state)
{
	(void)state;
	static const int impossible[] = {33, 65535, 204};
	const char *told = "60 hr=60 hr.min=60 hr.max=60 hr.artifact=%d hr.rr_min=500 "
			   "hr.rr_max=1000 hr.rmssd=0 summary\n";
	char wanted[256];
	for (size_t i = 0; i < ELEMENTS(impossible); i++) {
		open_as("continuous", "60"); /* a time that cannot be */
		beat(29, 1024);
		beat(1, impossible[i]);
		beat(30, 512);
		snprintf(wanted, sizeof(wanted), told, 0);
		session_flush(rig.session, &rig.now);
		TOLD(wanted);
	}
	open_as("continuous", "60"); /* no contact */
	beat(29, 1024);
	notify(LOOSE | RR, 60, impossible, 0);
	beat(30, 512);
	snprintf(wanted, sizeof(wanted), told, 2);
	session_flush(rig.session, &rig.now);
	TOLD(wanted);
	open_as("continuous", "60"); /* nothing came for 4 s, 1 s of which nothing was shown */
	beat(27, 1024);
	rig.now.boot_us += 3 * SECOND;
	beat(30, 512);
	snprintf(wanted, sizeof(wanted), told, 2);
	session_flush(rig.session, &rig.now);
	TOLD(wanted);
}

static void test_a_notification_without_times_is_no_gap(void **state)
{
	(void)state;
	open_as("continuous", "60"); /* a slow beat: none in every other second */
	for (int i = 0; i < 30; i++) {
		beat(1, i % 2 ? 1024 : 1536);
		show(1, 60);
	}
	session_flush(rig.session, &rig.now);
	TOLD("60 hr=60 hr.min=60 hr.max=60 hr.artifact=0 hr.rr_min=1000 hr.rr_max=1500 "
	     "hr.rmssd=500 summary\n");
}

static uint32_t seed = 1;

static int draw(int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (int)(seed % (uint32_t)below);
}

/* The nearest whole root, found by trying. */
static int root_of(uint64_t square)
{
	int i = 0;
	while ((uint64_t)(2 * i + 1) * (uint64_t)(2 * i + 1) < 4 * square)
		i++;
	return i;
}

/* None of the times of a notification is lost, however many it has. */
static void random_interval(void)
{
	int list[1000], n = 0, least = 5000, most = 0;
	uint64_t squares = 0;
	char wanted[256];
	open_as("continuous", "60");
	for (int second = 0; second < 60; second++) {
		int times[9], k = draw(10);
		for (int i = 0; i < k; i++) {
			times[i] = 300 + draw(2000);
			list[n] = (times[i] * 1000 * 2 + 1024) / 2048;
			least = MIN(least, list[n]);
			most = MAX(most, list[n]);
			if (n)
				squares += (uint64_t)((list[n] - list[n - 1]) *
						      (list[n] - list[n - 1]));
			n++;
		}
		notify(WORN | RR, 75, times, (size_t)k);
	}
	session_flush(rig.session, &rig.now);
	snprintf(wanted, sizeof(wanted),
		"60 hr=75 hr.min=75 hr.max=75 hr.artifact=0 hr.rr_min=%d hr.rr_max=%d hr.rmssd=%d "
		"summary\n",
		least, most, root_of(squares / (uint64_t)(n - 1)));
	TOLD(wanted);
}

static void test_random_beats(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++)
		random_interval();
}

static int load(void **state)
{
	(void)state;
	char error[400];
	clock_set_zone("Asia/Shanghai");
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
		cmocka_unit_test(test_one_steady_rate_is_a_reading_until_it_is_taken_off),
		cmocka_unit_test(test_a_rate_that_wanders_is_told_as_unsteady),
		cmocka_unit_test(test_without_contact_the_rate_is_in_doubt),
		cmocka_unit_test(test_taken_off_too_early),
		cmocka_unit_test(test_summary_of_an_interval),
		cmocka_unit_test(test_beats_of_an_interval),
		cmocka_unit_test(test_few_beats_make_no_rmssd),
		cmocka_unit_test(test_no_step_over_a_gap),
		cmocka_unit_test(test_a_notification_without_times_is_no_gap),
		cmocka_unit_test(test_random_beats),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, load, unload);
}
