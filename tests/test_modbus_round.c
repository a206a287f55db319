/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rounds of one slave: what is asked when, without any link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "modbus_round.h"
#include "util.h"

#define SECOND UINT64_C(1000000)
#define PERIOD (10 * SECOND)
#define RESPONSE (SECOND / 2)

enum { TIMEOUT = VG_REGISTERS_TIMEOUT, GARBLED = VG_REGISTERS_GARBLED };

static const struct vg_registers profile = {
	.n_blocks = 3, .blocks = {{4, 0, 1}, {4, 10, 1}, {2, 0, 3}}};

static struct modbus_round round_new(void)
{
	struct modbus_round r;
	assert_int_equal(modbus_round_init(&r, &profile, PERIOD, RESPONSE, 0, SECOND), 0);
	return r;
}

/* Asks for block `wanted` and lets `why` happen; 0: an answer of as many bytes of `fill`. */
static void ask(struct modbus_round *r, int wanted, uint8_t why, uint8_t fill, uint64_t now)
{
	assert_true(r->due_us <= now);
	assert_int_equal(modbus_round_next(r, now), wanted);
	if (why) {
		modbus_round_failed(r, wanted, why, now);
		return;
	}
	memset(modbus_round_place(r, wanted), fill, vg_registers_bytes(&profile.blocks[wanted]));
	modbus_round_answered(r, wanted);
}

static void record_is(const struct modbus_round *r, const char *wanted)
{
	uint8_t record[VG_REGISTERS_RECORD_MAX];
	char text[2 * 64 + 1];
	size_t n = modbus_round_record(r, record);
	assert_true(n <= 64);
	assert_string_equal(hex(text, record, n), wanted);
}

static void a_good_round_asks_each_block_once(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	uint64_t now = SECOND;
	ask(&r, 0, 0, 0xaa, now);
	ask(&r, 1, 0, 0xbb, now);
	assert_false(modbus_round_over(&r));
	ask(&r, 2, 0, 1, now);
	assert_true(modbus_round_over(&r));
	record_is(&r, "02aaaa02bbbb03010101");
	assert_true(modbus_round_close(&r, now));
	assert_int_equal(r.due_us, SECOND + PERIOD);
	modbus_round_free(&r);
}

static void a_failed_block_is_asked_once_more_after_all_others(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	uint64_t now = SECOND;
	ask(&r, 0, GARBLED, 0, now);
	ask(&r, 1, 0, 0xbb, now);
	ask(&r, 2, 0, 1, now);
	ask(&r, 0, TIMEOUT, 0, now);
	assert_true(modbus_round_over(&r));
	record_is(&r, "008002bbbb03010101");
	assert_true(modbus_round_close(&r, now));
	/* In the next round it comes last and has one try. */
	now = r.due_us;
	ask(&r, 1, 0, 0xbb, now);
	ask(&r, 2, 0, 1, now);
	ask(&r, 0, TIMEOUT, 0, now);
	assert_true(modbus_round_over(&r));
	modbus_round_close(&r, now);
	modbus_round_free(&r);
}

static void who_was_late_is_left_alone_for_as_long_again(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	ask(&r, 0, TIMEOUT, 0, SECOND);
	assert_int_equal(r.due_us, SECOND + RESPONSE);
	ask(&r, 1, GARBLED, 0, r.due_us);
	assert_int_equal(r.due_us, SECOND + RESPONSE);
	modbus_round_free(&r);
}

static void a_silent_slave_is_given_up_after_two_questions_later_after_one(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	uint64_t now = SECOND;
	ask(&r, 0, TIMEOUT, 0, now);
	ask(&r, 1, TIMEOUT, 0, now += RESPONSE);
	assert_true(modbus_round_over(&r));
	record_is(&r, "008000800080");
	assert_false(modbus_round_close(&r, now));
	now = r.due_us;
	ask(&r, 1, TIMEOUT, 0, now); /* not always the same: only some may be answered */
	assert_true(modbus_round_over(&r));
	assert_false(modbus_round_close(&r, now));
	now = r.due_us;
	ask(&r, 2, 0, 1, now);
	assert_false(modbus_round_over(&r));
	ask(&r, 0, TIMEOUT, 0, now);
	ask(&r, 1, TIMEOUT, 0, now += RESPONSE);
	assert_true(modbus_round_over(&r));
	assert_true(modbus_round_close(&r, now));
	modbus_round_free(&r);
}

static uint64_t fail_round(struct modbus_round *r)
{
	uint64_t now = r->due_us;
	modbus_round_give_up(r, TIMEOUT, now);
	assert_true(modbus_round_over(r));
	assert_false(modbus_round_close(r, now));
	return r->due_us - now;
}

static void a_slave_that_stays_away_is_asked_less_and_less(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	assert_int_equal(fail_round(&r), PERIOD);
	assert_int_equal(fail_round(&r), PERIOD);
	assert_int_equal(fail_round(&r), 2 * PERIOD);
	assert_int_equal(fail_round(&r), 4 * PERIOD);
	assert_int_equal(fail_round(&r), 60 * SECOND);
	for (int i = 0; i < 100; i++)
		assert_int_equal(fail_round(&r), 60 * SECOND);
	uint64_t now = r.due_us;
	for (int i = 0; i < 3; i++)
		modbus_round_answered(&r, modbus_round_next(&r, now));
	assert_true(modbus_round_close(&r, now));
	assert_true(r.due_us > now && r.due_us <= now + PERIOD);
	assert_int_equal(r.due_us % PERIOD, SECOND); /* the old grid */
	modbus_round_free(&r);
	/* Who is asked once an hour anyway is asked no more seldom. */
	assert_int_equal(modbus_round_init(&r, &profile, 3600 * SECOND, RESPONSE, 0, SECOND), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fail_round(&r), 3600 * SECOND);
	modbus_round_free(&r);
}

static void what_the_slave_does_not_have_is_not_asked_again(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	uint64_t now = SECOND;
	ask(&r, 0, 2, 0, now);
	ask(&r, 1, 0, 0xbb, now);
	ask(&r, 2, 0, 1, now);
	assert_true(modbus_round_over(&r));
	record_is(&r, "000202bbbb03010101");
	assert_true(modbus_round_close(&r, now));
	now = r.due_us;
	ask(&r, 1, 0, 0xbb, now);
	ask(&r, 2, 0, 1, now);
	record_is(&r, "000202bbbb03010101");
	modbus_round_close(&r, now);
	modbus_round_forget(&r);
	ask(&r, 0, 0, 0xaa, r.due_us);
	modbus_round_free(&r);
}

static void a_slave_that_has_nothing_of_it_is_asked_once_a_minute(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	for (int turn = 0; turn < 3; turn++) {
		uint64_t now = r.due_us;
		for (int i = 0; i < 3; i++)
			ask(&r, i, 1, 0, now);
		record_is(&r, "000100010001");
		assert_true(modbus_round_close(&r, now));
		assert_int_equal(r.due_us, now + 60 * SECOND);
	}
	modbus_round_free(&r);
}

static void a_busy_slave_is_there_and_asked_again(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	ask(&r, 0, 6, 0, SECOND);
	ask(&r, 1, 6, 0, SECOND);
	ask(&r, 2, 6, 0, SECOND);
	for (int i = 0; i < 3; i++)
		ask(&r, i, 6, 0, SECOND);
	assert_true(modbus_round_close(&r, SECOND));
	modbus_round_free(&r);
}

static void rounds_neither_drift_nor_run_after_each_other(void **state)
{
	(void)state;
	struct modbus_round r = round_new();
	uint64_t grid = r.due_us;
	for (int i = 0; i < 50; i++) { /* each begins late and takes long */
		uint64_t now = r.due_us + SECOND;
		assert_int_equal(r.due_us, grid);
		for (int k = 0; k < 3; k++)
			ask(&r, k, 0, 0, now);
		modbus_round_close(&r, now + 3 * SECOND);
		grid += PERIOD;
	}
	/* One that took three periods: what was missed is missed. */
	uint64_t now = r.due_us;
	for (int k = 0; k < 3; k++)
		ask(&r, k, 0, 0, now);
	modbus_round_close(&r, now + 3 * PERIOD + SECOND);
	assert_int_equal(r.due_us, now + 4 * PERIOD);
	/* One that begins a little early is that of its point of the grid. */
	now = r.due_us - SECOND / 100;
	(void)modbus_round_next(&r, now);
	for (int k = 0; k < 3; k++)
		modbus_round_answered(&r, k);
	modbus_round_close(&r, now + 1);
	assert_int_equal(r.due_us, now + SECOND / 100 + PERIOD);
	modbus_round_free(&r);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void many_slaves_are_spread_over_the_period_and_begin_within_a_second(void **state)
{
	(void)state;
	uint64_t second[200];
	for (unsigned i = 0; i < 200; i++) {
		struct modbus_round r;
		assert_int_equal(modbus_round_init(&r, &profile, PERIOD, RESPONSE, i, SECOND), 0);
		assert_in_range(r.due_us, SECOND, 2 * SECOND);
		for (int k = 0; k < 3; k++)
			ask(&r, k, 0, 0, r.due_us);
		modbus_round_close(&r, r.due_us);
		second[i] = r.due_us % PERIOD;
		assert_true(r.due_us <= SECOND + 2 * PERIOD);
		modbus_round_free(&r);
	}
	qsort(second, 200, sizeof(second[0]), by_size);
	for (unsigned i = 1; i < 200; i++)
		assert_true(second[i] - second[i - 1] < PERIOD / 50);
}

/* Over TCP nobody shares a line: whoever came when, rounds of one period begin in the same moment. */
static void rounds_of_one_period_begin_together(void **state)
{
	(void)state;
	for (uint64_t now = SECOND; now < 3 * SECOND; now += SECOND / 7) {
		struct modbus_round one, other;
		assert_int_equal(
			modbus_round_init(&one, &profile, PERIOD, RESPONSE, MODBUS_TOGETHER, now),
			0);
		assert_int_equal(modbus_round_init(&other, &profile, PERIOD, RESPONSE,
					 MODBUS_TOGETHER, now + PERIOD / 3),
			0);
		assert_int_equal(one.due_us, now); /* the first at once */
		assert_int_equal(one.grid_us % PERIOD, 0);
		assert_int_equal(other.grid_us % PERIOD, 0);
		assert_true(one.grid_us >= now + PERIOD / 2);
		assert_true(one.grid_us < now + 3 * PERIOD / 2 + 1);
		modbus_round_free(&one);
		modbus_round_free(&other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_round_asks_each_block_once),
		cmocka_unit_test(a_failed_block_is_asked_once_more_after_all_others),
		cmocka_unit_test(who_was_late_is_left_alone_for_as_long_again),
		cmocka_unit_test(a_silent_slave_is_given_up_after_two_questions_later_after_one),
		cmocka_unit_test(a_slave_that_stays_away_is_asked_less_and_less),
		cmocka_unit_test(what_the_slave_does_not_have_is_not_asked_again),
		cmocka_unit_test(a_slave_that_has_nothing_of_it_is_asked_once_a_minute),
		cmocka_unit_test(a_busy_slave_is_there_and_asked_again),
		cmocka_unit_test(rounds_neither_drift_nor_run_after_each_other),
		cmocka_unit_test(many_slaves_are_spread_over_the_period_and_begin_within_a_second),
		cmocka_unit_test(rounds_of_one_period_begin_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
