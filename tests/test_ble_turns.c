/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A model of a village's air: devices that advertise now and then, and who of them is heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ble_turns.h"
#include "util.h"

#define DEVICES 64
#define SLICE_MS 100

struct device {
	struct ble_turn turn;
	unsigned goes, yields;
	bool stubborn; /* ends instead of asking again */
};

static sd_event *loop;
static struct ble_turns *turns;
static struct device devices[DEVICES];

static void go(void *arg)
{
	((struct device *)arg)->goes++;
}

static void yield(void *arg)
{
	struct device *d = arg;
	d->yields++;
	if (d->stubborn)
		ble_turns_end(turns, &d->turn);
	else
		ble_turns_ask(turns, &d->turn);
}

static int setup(void **state)
{
	(void)state;
	memset(devices, 0, sizeof(devices));
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(ble_turns_new(loop, SLICE_MS, &turns), 0);
	for (size_t i = 0; i < DEVICES; i++)
		devices[i].turn = (struct ble_turn){.go = go, .yield = yield, .arg = &devices[i]};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ble_turns_free(turns);
	sd_event_unref(loop);
	return 0;
}

static void ask(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		ble_turns_ask(turns, &devices[i].turn);
}

static unsigned in_state(int state)
{
	unsigned n = 0;
	for (size_t i = 0; i < DEVICES; i++)
		n += (int)devices[i].turn.state == state;
	return n;
}

static void let_pass(int64_t ms)
{
	uint64_t now, end;
	assert_true(sd_event_now(loop, CLOCK_BOOTTIME, &now) >= 0);
	end = now + (uint64_t)ms * 1000;
	while (now < end) {
		assert_true(sd_event_run(loop, end - now) >= 0);
		assert_true(sd_event_now(loop, CLOCK_BOOTTIME, &now) >= 0);
	}
}

/* Few devices wait all the time: nobody is ever disturbed. */
static void test_few(void **state)
{
	(void)state;
	ask(0, BLE_WAITING_MAX);
	assert_int_equal(in_state(TURN_WAITING), BLE_WAITING_MAX);
	let_pass(2 * SLICE_MS);
	for (size_t i = 0; i < BLE_WAITING_MAX; i++) {
		assert_int_equal(devices[i].goes, 1);
		assert_int_equal(devices[i].yields, 0);
	}
}

/* Thirty: never more than the list holds, and each has its turn before an instrument falls silent again. */
static void test_thirty_take_turns(void **state)
{
	(void)state;
	ask(0, 30);
	assert_int_equal(in_state(TURN_WAITING), BLE_WAITING_MAX);
	assert_int_equal(in_state(TURN_IN_LINE), 30 - BLE_WAITING_MAX);
	let_pass(5 * SLICE_MS / 2);
	for (size_t i = 0; i < 30; i++)
		assert_true(devices[i].goes >= 1);
	assert_int_equal(in_state(TURN_WAITING), BLE_WAITING_MAX);
}

/* One stands in line: one gives way, the others are not disturbed. */
static void test_no_more_than_needed(void **state)
{
	(void)state;
	ask(0, BLE_WAITING_MAX + 1);
	let_pass(3 * SLICE_MS / 2);
	unsigned yields = 0;
	for (size_t i = 0; i <= BLE_WAITING_MAX; i++)
		yields += devices[i].yields;
	assert_int_equal(yields, 1);
	assert_int_equal(devices[BLE_WAITING_MAX].goes, 1);
}

static void test_one_goes_when_another_ends(void **state)
{
	(void)state;
	ask(0, BLE_WAITING_MAX + 2);
	assert_int_equal(devices[BLE_WAITING_MAX].goes, 0);
	ble_turns_end(turns, &devices[3].turn);
	assert_int_equal(devices[BLE_WAITING_MAX].goes, 1);
	assert_int_equal(devices[BLE_WAITING_MAX + 1].goes, 0);
	ble_turns_linked(turns, &devices[4].turn);
	assert_int_equal(devices[BLE_WAITING_MAX + 1].goes, 1);
	/* out of the line before its turn came */
	ask(3, 4);
	ble_turns_end(turns, &devices[3].turn);
	ble_turns_end(turns, &devices[3].turn);
	ble_turns_end(turns, &devices[5].turn);
	assert_int_equal(devices[3].goes, 1);
}

/* With all links taken nobody else is sent to fail. */
static void test_links(void **state)
{
	(void)state;
	ask(0, BLE_LINKS_MAX);
	for (size_t i = 0; i < BLE_LINKS_MAX; i++)
		ble_turns_linked(turns, &devices[i].turn);
	struct device *late = &devices[20];
	ask(20, 21);
	assert_int_equal(late->goes, 0);
	assert_true(ble_turns_crowded(turns, &late->turn));
	let_pass(2 * SLICE_MS);
	assert_int_equal(late->goes, 0);
	ble_turns_end(turns, &devices[2].turn);
	assert_int_equal(late->goes, 1);
	assert_false(ble_turns_crowded(turns, &late->turn));
}

/* A controller with three links says so once, by refusing the fourth. */
static void test_learns(void **state)
{
	(void)state;
	ask(0, 4);
	for (size_t i = 0; i < 3; i++)
		ble_turns_linked(turns, &devices[i].turn);
	ble_turns_full(turns, &devices[3].turn);
	ble_turns_end(turns, &devices[3].turn);
	ask(3, 4);
	assert_int_equal(devices[3].goes, 1);
	assert_true(ble_turns_crowded(turns, &devices[3].turn));
	ble_turns_end(turns, &devices[0].turn);
	assert_int_equal(devices[3].goes, 2);
	/* what was let go just now is not free yet, and that says nothing either */
	ble_turns_linked(turns, &devices[3].turn);
	ask(0, 1);
	ble_turns_end(turns, &devices[1].turn);
	ble_turns_full(turns, &devices[0].turn);
	ask(1, 2);
	assert_false(ble_turns_crowded(turns, &devices[1].turn));
	/* none of ours is up: somebody else has them, and that says nothing of the controller */
	for (size_t i = 0; i < 4; i++)
		ble_turns_end(turns, &devices[i].turn);
	ask(3, 4);
	ble_turns_full(turns, &devices[3].turn);
	ask(0, 3);
	assert_int_equal(in_state(TURN_WAITING), 4);
}

/* Each adapter has its own lists. */
static void test_adapters(void **state)
{
	(void)state;
	for (size_t i = 30; i < 40; i++)
		memcpy(devices[i].turn.adapter, "hci1", 5);
	ask(0, 30);
	ask(30, 40);
	assert_int_equal(in_state(TURN_WAITING), BLE_WAITING_MAX + 10);
	for (size_t i = 0; i < BLE_LINKS_MAX; i++)
		ble_turns_linked(turns, &devices[i].turn);
	assert_true(ble_turns_crowded(turns, &devices[29].turn));
	let_pass(2 * SLICE_MS);
	for (size_t i = 30; i < 40; i++)
		assert_int_equal(devices[i].yields, 0);
}

/* Asking and ending from inside go() and yield(). */
static void test_reentry(void **state)
{
	(void)state;
	for (size_t i = 0; i < 30; i++)
		devices[i].stubborn = i % 2;
	ask(0, 30);
	let_pass(5 * SLICE_MS / 2);
	for (size_t i = 0; i < 30; i++)
		assert_true(devices[i].goes >= 1);
	assert_in_range(in_state(TURN_WAITING), BLE_WAITING_MAX, BLE_WAITING_MAX);
	for (size_t i = 0; i < DEVICES; i++)
		ble_turns_end(turns, &devices[i].turn);
	assert_int_equal(in_state(TURN_NONE), DEVICES);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_few), TEST(test_thirty_take_turns),
		TEST(test_no_more_than_needed), TEST(test_one_goes_when_another_ends),
		TEST(test_links), TEST(test_learns), TEST(test_adapters), TEST(test_reentry)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ble_turns", tests, NULL, NULL);
}
