/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reading that is judged says of itself: when it was, for whom it speaks, its labels. */
#include "alerts_rig.h"

#include "alerts_judging.h"

#define ARRIVED (RIG_NOW + HOUR * CLOCK_SECOND_US)

static struct filing filing;
static struct reading reading;
static struct judging j;

static void judged(int64_t resident, enum trust trust, const char *grade)
{
	filing = (struct filing){.when = {RIG_NOW, 0, trust},
		.who = {.resident = resident, .evidence = "binding", .grade = grade}};
	reading = (struct reading){.kind = "bp"};
	j = (struct judging){.reading = &reading,
		.filing = &filing,
		.arrived = {ARRIVED, 1},
		.now = {ARRIVED + HOUR * CLOCK_SECOND_US, 2}};
}

static void test_speaks(void **state)
{
	(void)state;
	static const struct {
		enum trust trust;
		const char *grade;
		bool trusted, speaks;
	} expected[] = {{TRUST_CORRECTED, "device", true, true},
		{TRUST_LIVE, "station", true, true}, {TRUST_LIVE, "slot", true, false},
		{TRUST_CORRECTED, "slot", true, false}, {TRUST_DEVICE, "person", false, false},
		{TRUST_ARRIVAL, "device", false, false}, {TRUST_UNKNOWN, "device", false, false}};
	for (size_t i = 0; i < ELEMENTS(expected); i++) {
		judged(1, expected[i].trust, expected[i].grade);
		assert_int_equal(judging_trusted(&j), expected[i].trusted);
		assert_int_equal(judging_speaks(&j), expected[i].speaks);
		assert_true(judging_at_us(&j) == (expected[i].trusted ? RIG_NOW : ARRIVED));
	}
}

static void test_age(void **state)
{
	(void)state;
	judged(1, TRUST_LIVE, "device");
	assert_true(judging_age_us(&j) == HOUR * CLOCK_SECOND_US);
	j.again = true;
	assert_true(judging_age_us(&j) == 2 * HOUR * CLOCK_SECOND_US);
	j.over = "bp-high"; /* out of a wait */
	assert_true(judging_age_us(&j) == HOUR * CLOCK_SECOND_US);
	judged(1, TRUST_DEVICE, "device");
	assert_true(judging_age_us(&j) == 0);
}

static void expect_doubts(bool overtaken, bool over, const char *expected)
{
	_cleanup_(freep) char *text = judging_doubts(&rig.gateway, rig.db, &j, overtaken, over);
	assert_string_equal(text, expected);
}

static void test_doubts(void **state)
{
	(void)state;
	judged(1, TRUST_LIVE, "device");
	expect_doubts(false, false, "[\"late\"]");
	j.arrived.utc_us = RIG_NOW + 600 * CLOCK_SECOND_US;
	expect_doubts(false, false, "[]");
	expect_doubts(true, true, "[\"overtaken\",\"no_clean_repeat\"]");
	rig_script(&rig, "UPDATE resident SET valid_to=1 WHERE id=1");
	expect_doubts(false, false, "[\"out_of_contract\"]");
	judged(0, TRUST_ARRIVAL, "");
	filing.conflict = true;
	expect_doubts(false, false, "[\"unassigned\",\"conflict\",\"time_of_arrival\"]");
}

static void test_body(void **state)
{
	(void)state;
	deliver(0, 185, 115);
	expect_text(
		"SELECT group_concat(json_extract(value,'$.id')) FROM alert,json_each(body,'$.rules')",
		"sbp-critical-high,dbp-critical-high");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_speaks),
		T(test_age),
		T(test_doubts),
		T(test_body),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
