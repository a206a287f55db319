/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An adapter whose connects never come, beside others that are merely quiet. Hours last milliseconds here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ble_probe.h"
#include "util.h"

static const struct ble_probe_times times = {
	.every_ms = 60, .quiet_ms = 100000, .look_ms = 20, .wait_ms = 40};

#define DEVICES 4

static sd_event *loop;
static struct ble_turns *turns;
static struct ble_probe *probe;
static struct ble_turn devices[DEVICES];
static const char *const ids[DEVICES] = {"cuff-1", "cuff-2", "cuff-3", "cuff-4"};
static bool advertises[DEVICES], looking;
static unsigned looks, stucks;
static char stuck_id[32], stuck_adapter[8];

static void go(void *arg)
{
	(void)arg;
}

static void on_look(void *arg, bool on)
{
	(void)arg;
	assert_int_not_equal(looking, on);
	looking = on;
	looks += on;
}

static bool on_heard(void *arg, const char *address, int64_t since_boot_us)
{
	(void)arg, (void)since_boot_us;
	for (size_t i = 0; i < DEVICES; i++)
		if (streq(devices[i].address, address))
			return advertises[i];
	return false;
}

static void on_stuck(void *arg, const char *adapter, const char *id)
{
	(void)arg;
	stucks++;
	snprintf(stuck_id, sizeof(stuck_id), "%s", id);
	snprintf(stuck_adapter, sizeof(stuck_adapter), "%s", adapter);
}

static int setup(void **state)
{
	(void)state;
	const struct ble_probe_ops ops = {on_look, on_heard, on_stuck, NULL};
	memset(advertises, 0, sizeof(advertises));
	looks = stucks = 0;
	looking = false;
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(ble_turns_new(loop, 1000, &turns), 0);
	assert_int_equal(ble_probe_new(loop, turns, &ops, &times, &probe), 0);
	for (size_t i = 0; i < DEVICES; i++)
		devices[i] =
			(struct ble_turn){.id = ids[i], .address = ids[i], .go = go, .yield = go};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ble_probe_free(probe);
	assert_false(looking);
	ble_turns_free(turns);
	sd_event_unref(loop);
	return 0;
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

/* One round of it: rest, look, wait. */
#define ROUND (60 + 20 + 40 + 10)

static void test_nobody_to_wait_for(void **state)
{
	(void)state;
	let_pass(2 * ROUND);
	assert_int_equal(looks, 0);
}

/* Nobody advertises: looked at, and nothing is wrong. */
static void test_quiet_village(void **state)
{
	(void)state;
	ble_turns_ask(turns, &devices[0]);
	let_pass(3 * ROUND);
	assert_in_range(looks, 2, 3);
	assert_int_equal(stucks, 0);
}

/* Heard twice, linked never. */
static void test_connects_that_never_come(void **state)
{
	(void)state;
	memcpy(devices[1].adapter, "hci1", 5);
	for (size_t i = 0; i < 2; i++)
		ble_turns_ask(turns, &devices[i]);
	advertises[1] = true;
	for (int i = 0; i < 2000 && !stucks; i++)
		let_pass(1);
	assert_int_equal(stucks, 1);
	assert_int_equal(looks, 2); /* once may be bad luck */
	assert_string_equal(stuck_id, "cuff-2");
	assert_string_equal(stuck_adapter, "hci1");
}

/* A link came, if only to another one of the adapter: it works. */
static void test_links_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		ble_turns_ask(turns, &devices[i]);
	advertises[0] = true;
	for (int n = 0; n < 3; n++) {
		while (!looking)
			let_pass(1);
		while (looking)
			let_pass(1);
		ble_turns_linked(turns, &devices[1]);
		ble_turns_end(turns, &devices[1]);
		ble_turns_ask(turns, &devices[1]);
		let_pass(50);
		devices[1].linked_ms = 0; /* so that the next round looks again */
	}
	assert_int_equal(stucks, 0);
}

/* An adapter at work is not disturbed. */
static void test_busy(void **state)
{
	(void)state;
	ble_turns_ask(turns, &devices[0]);
	ble_turns_ask(turns, &devices[1]);
	ble_turns_linked(turns, &devices[1]);
	advertises[0] = true;
	let_pass(3 * ROUND);
	assert_int_equal(looks, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_nobody_to_wait_for), TEST(test_quiet_village),
		TEST(test_connects_that_never_come), TEST(test_links_come), TEST(test_busy)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ble_probe", tests, NULL, NULL);
}
