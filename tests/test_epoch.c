/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered of a device's clock, and how it becomes epochs. */
#include "gateway_rig.h"

#include "epoch.h"
#include "util.h"

#define S CLOCK_SECOND_US
#define DAY (86400 * S)

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static int observe(int64_t offset_us, int64_t at_us)
{
	struct unit u = {.device_row = rig.cuff,
		.offset_known = true,
		.offset_us = offset_us,
		.arrived_us = at_us,
		.boot_us = 1};
	return epoch_observe(rig.db, &u);
}

static struct clock_epoch epochs[CLOCK_EPOCHS_MAX];

static size_t count(void)
{
	return epochs_read(rig.db, rig.cuff, epochs);
}

static void test_nothing_is_known(void **state)
{
	(void)state;
	struct unit u = {.device_row = rig.cuff, .arrived_us = RIG_NOW};
	assert_int_equal(epoch_observe(rig.db, &u), 0);
	assert_int_equal(count(), 0);
}

static void test_the_first(void **state)
{
	(void)state;
	assert_int_equal(observe(-90 * S, RIG_NOW), 0);
	assert_int_equal(count(), 1);
	assert_int_equal(epochs[0].offset_us, -90 * S);
	assert_true(epochs[0].from_us == INT64_MIN && epochs[0].to_us == INT64_MAX);
}

/* A second a week is no new epoch, however long it goes on. */
static void test_drift(void **state)
{
	(void)state;
	for (int week = 0; week < 52; week++)
		assert_int_equal(observe(week * 7 * S, RIG_NOW + week * 7 * DAY), 0);
	assert_int_equal(count(), 1);
	assert_int_equal(epochs[0].offset_us, 51 * 7 * S);
	assert_true(epochs[0].from_us == INT64_MIN || epochs[0].from_us < RIG_NOW + 52 * 7 * DAY);
}

/* A hundred days in a drawer: minutes are drift. */
static void test_drift_of_months(void **state)
{
	(void)state;
	assert_int_equal(observe(0, RIG_NOW), 0);
	assert_int_equal(observe(200 * S, RIG_NOW + 100 * DAY), 0);
	assert_int_equal(count(), 1);
	assert_int_equal(observe(400 * S, RIG_NOW + 101 * DAY), 1);
	assert_int_equal(count(), 2);
}

static void test_jump(void **state)
{
	(void)state;
	assert_int_equal(observe(0, RIG_NOW), 0);
	assert_int_equal(observe(S, RIG_NOW + 2 * DAY), 0); /* still so */
	assert_int_equal(observe(3600 * S, RIG_NOW + 5 * DAY), 1);
	assert_int_equal(observe(3601 * S, RIG_NOW + 6 * DAY), 0);
	assert_int_equal(count(), 2);
	assert_int_equal(epochs[0].to_us, RIG_NOW + 5 * DAY);
	assert_true(epochs[0].from_us == INT64_MIN);
	assert_int_equal(epochs[1].from_us, RIG_NOW + 2 * DAY);
	assert_true(epochs[1].to_us == INT64_MAX);
	assert_int_equal(epochs[1].offset_us, 3600 * S);
	/* and back */
	assert_int_equal(observe(2 * S, RIG_NOW + 7 * DAY), 1);
	assert_int_equal(count(), 3);
	assert_int_equal(epochs[2].from_us, RIG_NOW + 6 * DAY);
	assert_int_equal(epochs[1].to_us, RIG_NOW + 7 * DAY);
}

/* Our own clock was ten years ahead for a day: what was seen last is what holds. */
static void test_our_clock_was_wrong(void **state)
{
	(void)state;
	observe(0, RIG_NOW);
	observe(-3650 * DAY, RIG_NOW + 3650 * DAY);
	observe(0, RIG_NOW + DAY);
	assert_int_equal(count(), 3);
	assert_int_equal(epochs[2].offset_us, 0);
	assert_true(epochs[2].to_us == INT64_MAX);
	observe(0, RIG_NOW + 2 * DAY);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 3);
}

static void test_no_end_of_jumps(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(observe((i % 2) * 7200 * S, RIG_NOW + i * DAY), i > 0);
	assert_int_equal(count(), CLOCK_EPOCHS_MAX);
	assert_int_equal(epochs[CLOCK_EPOCHS_MAX - 1].offset_us, 7200 * S);
	assert_int_equal(epochs[0].from_us, RIG_NOW + 31 * DAY);
}

/* A minute of the same says nothing new to the disk. */
static void test_writes_little(void **state)
{
	(void)state;
	observe(0, RIG_NOW);
	int64_t before = rig_int(&rig, "SELECT total_changes()");
	for (int i = 0; i < 59; i++)
		observe(i % 2 * S, RIG_NOW + i * S);
	assert_int_equal(rig_int(&rig, "SELECT total_changes()"), before);
	observe(0, RIG_NOW + 61 * S);
	assert_int_equal(rig_int(&rig, "SELECT until-at FROM device_offset"), 61 * S);
}

/* our own clock */

static struct unit seen(int64_t offset_us, int64_t at_us, int64_t boot_us)
{
	return (struct unit){.device_row = rig.cuff,
		.offset_known = true,
		.offset_us = offset_us,
		.arrived_us = at_us,
		.boot_us = boot_us};
}

/* While we are in 1970 nothing is dated by what a device shows; it counts from when our clock is set. */
static void test_until_our_clock_is_set(void **state)
{
	(void)state;
	struct unit u = seen(RIG_NOW + 90 * S, 10 * S, 1010 * S);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(epoch_observe(rig.db, &u), 0);
		u.arrived_us += 100 * S;
		u.boot_us += 100 * S;
		u.offset_us += S / 2; /* a second or so */
	}
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 1);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM device WHERE offset_us IS NOT NULL"), 0);
	assert_int_equal(count(), 0);
	u.offset_us += 300 * S; /* it was set as well */
	assert_int_equal(epoch_observe(rig.db, &u), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 2);
	assert_int_equal(epochs_follow(rig.db, RIG_NOW - 1000 * S), 0);
	assert_int_equal(count(), 2);
	assert_int_equal(epochs[0].offset_us, 90 * S);
	assert_in_range(epochs[1].offset_us, 390 * S, 393 * S);
	assert_int_equal(epochs[0].to_us, RIG_NOW + 310 * S);
	assert_int_equal(epochs[1].from_us, RIG_NOW + 10 * S);
}

/* Our clock is set by an hour, and back: no device's was. Rows of another boot are another clock's. */
static void test_our_clock_is_set(void **state)
{
	(void)state;
	struct unit u = seen(-90 * S, RIG_NOW - 2 * DAY, 5 * S);
	assert_int_equal(epoch_observe(rig.db, &u), 0);
	rig_script(&rig, "UPDATE device_offset SET boot_id=x'00'");
	u = seen(-90 * S, RIG_NOW, 1000 * S);
	rig_script(&rig,
		"UPDATE device_offset SET offset_us=offset_us+5000000"); /* not quite the same */
	assert_int_equal(epoch_observe(rig.db, &u), 0);
	u.arrived_us += 100 * S;
	u.boot_us += 100 * S;
	assert_int_equal(epoch_observe(rig.db, &u), 0); /* still so */
	assert_int_equal(epochs_follow(rig.db, RIG_NOW + 3600 * S - 1000 * S), 0);
	assert_int_equal(
		rig_int(&rig, "SELECT until-at FROM device_offset WHERE rowid=2"), 100 * S);
	u = seen(-3690 * S, RIG_NOW + 3800 * S, 1200 * S);
	assert_int_equal(epoch_observe(rig.db, &u), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 2);
	assert_int_equal(epochs_follow(rig.db, RIG_NOW - 1000 * S), 0);
	assert_int_equal(
		rig_int(&rig, "SELECT offset_us FROM device_offset WHERE rowid=2"), -90 * S);
	assert_int_equal(
		rig_int(&rig, "SELECT until FROM device_offset WHERE rowid=2"), RIG_NOW + 200 * S);
	assert_int_equal(
		rig_int(&rig, "SELECT at FROM device_offset WHERE rowid=1"), RIG_NOW - 2 * DAY);
}

/* A unit that was stamped before our clock was set ahead by an hour, and is filed after that. */
static void test_late(void **state)
{
	(void)state;
	assert_int_equal(observe(100 * S, RIG_NOW - 10 * DAY), 0);
	assert_int_equal(observe(5000 * S, RIG_NOW), 1);
	struct unit u = seen(8600 * S, RIG_NOW - 3599 * S, 1);
	u.set_us = 3600 * S;
	assert_int_equal(epoch_observe(rig.db, &u), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 2);
	epochs_take(rig.db, &u);
	assert_int_equal(u.n_epochs, 2);
	assert_int_equal(u.epochs[0].offset_us, 3700 * S);
	assert_int_equal(u.epochs[1].offset_us, 8600 * S);
	assert_int_equal(u.epochs[0].to_us, RIG_NOW - 3600 * S);
	assert_int_equal(u.epochs[1].from_us, RIG_NOW - 10 * DAY - 3600 * S);
	assert_true(u.epochs[0].from_us == INT64_MIN && u.epochs[1].to_us == INT64_MAX);
	u.offset_known = false;
	epochs_take(rig.db, &u);
	assert_int_equal(u.n_epochs, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_nothing_is_known), TEST(test_the_first),
		TEST(test_drift), TEST(test_drift_of_months), TEST(test_jump),
		TEST(test_our_clock_was_wrong), TEST(test_no_end_of_jumps),
		TEST(test_writes_little), TEST(test_until_our_clock_is_set),
		TEST(test_our_clock_is_set), TEST(test_late)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
