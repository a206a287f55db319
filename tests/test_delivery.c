/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When an alert is told: by severity, by the age of its reading, and by the hour that the walls of the site show. */
#include "gateway_rig.h"

#include "escalate.h"
#include "util.h"

#define MINUTE (60 * CLOCK_SECOND_US)

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, "alerting: {quiet: \"21:00-07:00\", morning: \"08:00\"}\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* Local time of the zone, Asia/Shanghai. */
static int64_t at(const char *text)
{
	struct vg_civil c;
	int64_t us = 0;
	assert_true(clock_civil_read(text, &c) && clock_civil_utc(&c, &us));
	return us;
}

static void expect_delivery(enum severity severity, int64_t age_us, const char *now,
	const char *word, const char *not_before)
{
	struct delivery d = escalate_delivery(&rig.gateway, severity, age_us, at(now));
	char text[20];
	struct vg_civil c = clock_civil(d.not_before_us);
	assert_string_equal(d.word, word);
	assert_string_equal(clock_civil_text(text, &c), not_before);
}

static void test_delivery(void **state)
{
	static const struct {
		enum severity severity;
		int64_t age_us;
		const char *now, *word, *not_before;
	} cases[] = {
		{SEVERITY_CRITICAL, 0, "2026-11-21T03:00:00", "now", "2026-11-21T03:00:00"},
		{SEVERITY_WARNING, 0, "2026-11-21T12:00:00", "now", "2026-11-21T12:00:00"},
		{SEVERITY_WARNING, 0, "2026-11-21T20:59:59", "now", "2026-11-21T20:59:59"},
		{SEVERITY_WARNING, 0, "2026-11-21T21:00:00", "after_quiet", "2026-11-22T07:00:00"},
		{SEVERITY_WARNING, 0, "2026-11-21T23:59:59", "after_quiet", "2026-11-22T07:00:00"},
		{SEVERITY_WARNING, 0, "2026-11-22T00:00:00", "after_quiet", "2026-11-22T07:00:00"},
		{SEVERITY_WARNING, 0, "2026-11-22T06:59:59", "after_quiet", "2026-11-22T07:00:00"},
		{SEVERITY_WARNING, 0, "2026-11-22T07:00:00", "now", "2026-11-22T07:00:00"},
		/* late: by more than two hours, and critical only */
		{SEVERITY_CRITICAL, 120 * MINUTE, "2026-11-21T12:00:00", "now",
			"2026-11-21T12:00:00"},
		{SEVERITY_CRITICAL, 120 * MINUTE + 1, "2026-11-21T12:00:00", "morning",
			"2026-11-22T08:00:00"},
		{SEVERITY_CRITICAL, 121 * MINUTE, "2026-11-21T07:59:59", "morning",
			"2026-11-21T08:00:00"},
		{SEVERITY_CRITICAL, 121 * MINUTE, "2026-11-21T08:00:00", "morning",
			"2026-11-21T08:00:00"},
		{SEVERITY_CRITICAL, 121 * MINUTE, "2026-11-21T08:00:01", "morning",
			"2026-11-22T08:00:00"},
		{SEVERITY_WARNING, 121 * MINUTE, "2026-11-21T12:00:00", "now",
			"2026-11-21T12:00:00"},
		{SEVERITY_NOTICE, 0, "2026-11-21T22:00:00", "list", "2026-11-21T22:00:00"},
		/* nobody knows the hour */
		{SEVERITY_WARNING, 0, "2024-11-21T22:00:00", "now", "2024-11-21T22:00:00"},
		{SEVERITY_CRITICAL, 121 * MINUTE, "2024-11-21T22:00:00", "now",
			"2024-11-21T22:00:00"},
	};
	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		expect_delivery(cases[i].severity, cases[i].age_us, cases[i].now, cases[i].word,
			cases[i].not_before);
	memcpy(rig.config.quiet, "12:30-14:00", 12); /* within one day */
	expect_delivery(SEVERITY_WARNING, 0, "2026-11-21T12:29:59", "now", "2026-11-21T12:29:59");
	expect_delivery(
		SEVERITY_WARNING, 0, "2026-11-21T12:30:00", "after_quiet", "2026-11-21T14:00:00");
	expect_delivery(SEVERITY_WARNING, 0, "2026-11-21T14:00:00", "now", "2026-11-21T14:00:00");
	expect_delivery(SEVERITY_WARNING, 0, "2026-11-21T22:00:00", "now", "2026-11-21T22:00:00");
	rig.config.quiet[0] = 0;
	expect_delivery(SEVERITY_WARNING, 0, "2026-11-21T03:00:00", "now", "2026-11-21T03:00:00");
}

/* An hour that is left out in spring, and one that comes twice in autumn: quiet hours end where the wall says so. */
static void test_summer_time(void **state)
{
	(void)state;
	clock_set_zone("Europe/Berlin");
	expect_delivery(
		SEVERITY_WARNING, 0, "2026-03-28T22:00:00", "after_quiet", "2026-03-29T07:00:00");
	expect_delivery(
		SEVERITY_WARNING, 0, "2026-10-24T22:00:00", "after_quiet", "2026-10-25T07:00:00");
	struct delivery d =
		escalate_delivery(&rig.gateway, SEVERITY_WARNING, 0, at("2026-03-28T22:00:00"));
	assert_true(d.not_before_us - at("2026-03-28T22:00:00") == 8 * 60 * MINUTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delivery, setup, teardown),
		cmocka_unit_test_setup_teardown(test_summer_time, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
