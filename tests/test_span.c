/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spans of our own clock: when one ends, what was stamped in a wrong one, and whether what looks old is old. */
#include "gateway_rig.h"

#include "span.h"

#define S CLOCK_SECOND_US
#define HOUR (3600 * S)
#define DAY (86400 * S)
#define YEAR (365 * DAY)
#define BOOT (1000 * S) /* what CLOCK_BOOTTIME shows at RIG_NOW, by a clock that is right */
#define RIGHT (RIG_NOW - BOOT)

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

/* So long after BOOT, by a clock that is off by so much. */
static struct instant at(int64_t after_us, int64_t off_us)
{
	return (struct instant){RIG_NOW + after_us + off_us, BOOT + after_us};
}

static struct clock_span span(int64_t from_us, int64_t to_us, int64_t off_us, bool synced)
{
	return (struct clock_span){.from_boot_us = BOOT + from_us,
		.to_boot_us = BOOT + to_us,
		.shift_us = RIGHT + off_us,
		.synced = synced};
}

static struct span_truth truth(int64_t known_us, bool synced)
{
	return (struct span_truth){RIGHT, BOOT + known_us, synced};
}

static bool wrong(const struct clock_span *spans, size_t n, const struct span_truth *t,
	int64_t after_us, int64_t off_us)
{
	struct instant i = at(after_us, off_us);
	return span_wrong(spans, n, t, &i);
}

static void test_same(void **state)
{
	(void)state;
	assert_true(span_same(5, 5) && span_same(0, 2 * S) && span_same(2 * S, 0));
	assert_false(span_same(0, 2 * S + 1) || span_same(2 * S + 1, 0));
}

/* As soon as a time server says so, whatever else was shown is wrong, but what another time server said. */
static void test_wrong_by_server(void **state)
{
	(void)state;
	const struct clock_span spans[] = {span(0, 60 * S, -RIG_NOW, false),
		span(60 * S, 120 * S, HOUR, false), span(120 * S, 180 * S, 2 * HOUR, true),
		span(180 * S, 240 * S, 0, true)};
	struct span_truth t = truth(200 * S, true);
	assert_true(wrong(spans, 4, &t, 30 * S, -RIG_NOW));
	assert_true(wrong(spans, 4, &t, 90 * S, HOUR));
	assert_true(wrong(spans, 4, &t, 90 * S, HOUR + S)); /* nearly that */
	assert_false(wrong(spans, 4, &t, 150 * S, 2 * HOUR));
	assert_false(wrong(spans, 4, &t, 190 * S, 0));
	assert_false(wrong(spans, 4, &t, 190 * S, 3 * HOUR)); /* not of this clock */
	assert_true(span_doubtful(&spans[0], &t) && span_doubtful(&spans[1], &t));
	assert_false(span_doubtful(&spans[2], &t) || span_doubtful(&spans[3], &t));
}

/* Somebody's hand proves nothing but that 1970 is over. */
static void test_wrong_by_hand(void **state)
{
	(void)state;
	const struct clock_span spans[] = {span(0, 60 * S, -RIG_NOW, false),
		span(60 * S, 120 * S, HOUR, false), span(120 * S, 180 * S, -10 * YEAR, false),
		span(180 * S, 240 * S, 0, false)};
	struct span_truth t = truth(200 * S, false);
	assert_true(wrong(spans, 4, &t, 30 * S, -RIG_NOW));
	assert_false(wrong(spans, 4, &t, 90 * S, HOUR));
	assert_true(wrong(spans, 4, &t, 150 * S, -10 * YEAR)); /* 2016 */
	assert_true(span_doubtful(&spans[0], &t) && span_doubtful(&spans[2], &t));
	assert_false(span_doubtful(&spans[1], &t) || span_doubtful(&spans[3], &t));
}

/* A clock that nobody set for weeks is off by what its crystal drifts, and was not when it was set. */
static void test_drift(void **state)
{
	(void)state;
	struct clock_span s = span(0, 100 * DAY, 60 * S, false);
	struct span_truth t = truth(100 * DAY, true);
	assert_false(wrong(&s, 1, &t, 0, 60 * S)); /* 100 ppm of a hundred days are 864 s */
	assert_true(wrong(&s, 1, &t, 100 * DAY - HOUR, 60 * S));
	assert_true(span_doubtful(&s, &t));
	s.shift_us = RIGHT + 2 * S + 8 * S; /* of the last day: 8.64 s */
	assert_false(wrong(&s, 1, &t, 99 * DAY, 10 * S));
	assert_true(wrong(&s, 1, &t, 99 * DAY, 11 * S));
	assert_true(wrong(&s, 1, &t, 100 * DAY, 10 * S));
	s.shift_us = RIGHT + 900 * S;
	assert_true(wrong(&s, 1, &t, 0, 900 * S));
	s.shift_us = RIGHT + 2 * S;
	assert_false(span_doubtful(&s, &t));
}

static void test_repaired_once(void **state)
{
	(void)state;
	struct clock_span s = span(0, 60 * S, HOUR, false);
	struct span_truth t = truth(60 * S, true);
	s.repaired = true;
	s.repaired_us = RIGHT + S;
	assert_false(span_doubtful(&s, &t));
	s.repaired_us = RIGHT + 60 * S; /* by what was believed before */
	assert_true(span_doubtful(&s, &t));
	s.shift_us = -BOOT;
	assert_true(span_doubtful(&s, &t));
	t.synced = false; /* another hand knows no better than the one before */
	assert_false(span_doubtful(&s, &t));
	s.repaired = false;
	assert_true(span_doubtful(&s, &t));
}

static void test_map(void **state)
{
	(void)state;
	const struct clock_span spans[] = {span(0, 600 * S, -RIG_NOW, false),
		span(600 * S, 1200 * S, HOUR, false), span(1200 * S, 1800 * S, 0, true)};
	struct span_truth t = truth(1800 * S, true);
	int64_t us = at(60 * S, -RIG_NOW).utc_us;
	assert_true(span_map(spans, 3, &t, &us));
	assert_int_equal(us, RIG_NOW + 60 * S);
	us = at(700 * S, HOUR).utc_us;
	assert_true(span_map(spans, 3, &t, &us));
	assert_int_equal(us, RIG_NOW + 700 * S);
	const int64_t others[] = {at(1300 * S, 0).utc_us, at(500 * S, HOUR).utc_us,
		at(1300 * S, HOUR).utc_us, at(700 * S, -RIG_NOW).utc_us, -3 * S};
	for (size_t i = 0; i < ELEMENTS(others); i++) {
		us = others[i];
		assert_false(span_map(spans, 3, &t, &us));
		assert_int_equal(us, others[i]);
	}
}

/* the table */

static int note(int64_t after_us, int64_t off_us, bool synced)
{
	struct instant now = at(after_us, off_us);
	return span_note(rig.db, &now, synced, NULL);
}

static struct clock_span spans[SPANS_MAX];

static size_t read_all(void)
{
	return spans_read(rig.db, clock_boot_id(), spans);
}

static void test_goes_on(void **state)
{
	(void)state;
	assert_int_equal(read_all(), 0);
	assert_int_equal(note(0, 0, false), 0);
	assert_int_equal(note(30 * S, S, false), 0);
	assert_int_equal(read_all(), 1);
	assert_int_equal(spans[0].to_boot_us, BOOT); /* so often it need not be written down */
	assert_int_equal(note(90 * S, S, false), 0);
	assert_int_equal(note(180 * S, 5 * S / 2, false), 0); /* small steps, one after the other */
	assert_int_equal(note(181 * S, 2 * S, true), 0);
	assert_int_equal(note(300 * S, 2 * S, false), 0);
	assert_int_equal(read_all(), 1);
	assert_int_equal(spans[0].from_boot_us, BOOT);
	assert_int_equal(spans[0].to_boot_us, BOOT + 300 * S);
	assert_int_equal(spans[0].shift_us, RIGHT + 2 * S);
	assert_true(spans[0].synced); /* once is enough */
	assert_false(spans[0].repaired);
}

static void test_step(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	rig_script(&rig, "DELETE FROM clock_span");
	assert_int_equal(note(0, -RIG_NOW, true), 0);
	rig_bp(&rig, (struct rig_bp){121, 80, 60, .identity = "b"});
	rig_script(
		&rig, "DELETE FROM clock_span WHERE id>1; UPDATE clock_span SET to_boot=from_boot");
	assert_int_equal(note(10 * S, 0, false), 1);
	assert_int_equal(note(11 * S, 0, false), 0);
	assert_int_equal(note(20 * S, 2 * S + 1, false), 1);
	assert_int_equal(read_all(), 3);
	assert_true(spans[0].synced && !spans[1].synced);
	assert_int_equal(spans[0].to_boot_us, BOOT + 10 * S);
	assert_int_equal(spans[1].from_boot_us, BOOT + 10 * S);
	assert_int_equal(spans[1].to_boot_us, BOOT + 20 * S);
	assert_int_equal(spans[1].shift_us, RIGHT);
	assert_int_equal(spans[0].reading, 1);
	assert_int_equal(spans[1].reading, 2);
	assert_int_equal(spans[1].alert, 0);
	assert_int_equal(spans[1].study, 0);
	assert_int_equal(rig_int(&rig, "SELECT group_concat(told,'') FROM clock_span"), 100);
}

/* What was stamped before the step, and comes behind it, begins no span; it hears of the step. */
static void test_late(void **state)
{
	(void)state;
	int64_t set_us = 77;
	struct instant late = at(9 * S, -RIG_NOW), near = at(19 * S, S);
	assert_int_equal(note(0, -RIG_NOW, false), 0);
	assert_int_equal(note(10 * S, 0, false), 1);
	assert_int_equal(span_note(rig.db, &late, true, &set_us), 0);
	assert_int_equal(set_us, RIG_NOW);
	assert_int_equal(read_all(), 2);
	assert_false(spans[1].synced);
	assert_int_equal(note(20 * S, 0, false), 0);
	assert_int_equal(span_note(rig.db, &near, false, &set_us), 0);
	assert_int_equal(set_us, 0);
	late = at(9 * S, S / 2); /* of the same clock: before it was noticed */
	set_us = 77;
	assert_int_equal(span_note(rig.db, &late, true, &set_us), 0);
	assert_int_equal(set_us, 0);
}

static void test_other_boot(void **state)
{
	(void)state;
	assert_int_equal(note(0, 0, true), 0);
	rig_script(&rig, "UPDATE clock_span SET boot_id=x'00112233445566778899aabbccddeeff'");
	assert_int_equal(read_all(), 0);
	assert_int_equal(note(10 * S, HOUR, false), 0); /* that is no step */
	assert_int_equal(read_all(), 1);
	uint8_t other[16];
	assert_true(unhex(other, 16, "00112233445566778899aabbccddeeff"));
	assert_int_equal(spans_read(rig.db, other, spans), 1);
	assert_true(spans[0].synced);
}

static void test_flapping(void **state)
{
	(void)state;
	for (int i = 0; i < SPANS_MAX + 50; i++)
		assert_int_equal(note(i * S, i % 2 * HOUR, false), i > 0);
	assert_int_equal(read_all(), SPANS_MAX);
	assert_int_equal(spans[0].id, 51);
	assert_int_equal(spans[SPANS_MAX - 1].id, SPANS_MAX + 50);
}

/* is it old? */

static bool sure(int64_t after_us, int64_t off_us)
{
	struct instant now = at(after_us, off_us);
	return span_sure(rig.db, &now);
}

static void other_boot(void)
{
	rig_script(&rig, "UPDATE clock_span SET boot_id=randomblob(16) WHERE boot_id IN (SELECT "
			 "boot_id FROM clock_span ORDER BY id DESC LIMIT 1)");
}

static void test_sure(void **state)
{
	(void)state;
	assert_false(sure(0, 0)); /* not noted */
	note(0, 0, false);
	assert_false(sure(0, 0));
	note(DAY - S, 0, false);
	assert_false(sure(DAY - S, 0));
	note(DAY, 0, false);
	assert_true(sure(DAY, 0));
	assert_false(sure(DAY, 10 * YEAR)); /* a step that was not noted yet */
	note(DAY + S, 10 * YEAR, false);
	assert_false(sure(DAY + S, 10 * YEAR));
	note(DAY + 2 * S, 0, true);
	assert_true(sure(DAY + 2 * S, 0));
	note(DAY + 3 * S, -RIG_NOW, true); /* a time server that says 1970 */
	assert_false(sure(DAY + 3 * S, -RIG_NOW));
}

/* A gateway that is switched off each night never stands for a day. */
static void test_sure_over_nights(void **state)
{
	(void)state;
	note(0, 0, true);
	note(HOUR, 0, true);
	other_boot();
	for (int night = 1; night < 5; night++) {
		note(night * DAY, 0, false);
		assert_true(sure(night * DAY, 0));
		note(night * DAY + HOUR, 0, false);
		other_boot();
	}
	note(40 * DAY, 0, false);
	assert_false(sure(40 * DAY, 0)); /* what happened in these weeks? */
	rig_script(&rig, "DELETE FROM clock_span WHERE id=(SELECT max(id) FROM clock_span)");
	note(5 * DAY, -2 * DAY, false);
	assert_false(sure(5 * DAY, -2 * DAY)); /* it went back */
	rig_script(&rig, "DELETE FROM clock_span WHERE id=(SELECT max(id) FROM clock_span)");
	note(5 * DAY, 0, false);
	note(5 * DAY + S, 10 * YEAR, false);
	assert_false(sure(5 * DAY + S, 10 * YEAR));
	other_boot(); /* and the battery keeps that time */
	note(6 * DAY, 10 * YEAR, false);
	assert_false(sure(6 * DAY, 10 * YEAR));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_wrong_by_server),
		cmocka_unit_test(test_wrong_by_hand),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_repaired_once),
		cmocka_unit_test(test_map),
		T(test_goes_on),
		T(test_step),
		T(test_late),
		T(test_other_boot),
		T(test_flapping),
		T(test_sure),
		T(test_sure_over_nights),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
