/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What captures do not show of the oximeter and the glucose sensor: which records are the same, what was
 * measured as it came, what is asked for behind a mark, and which clock is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_rig.h"

extern const struct vg_driver bt_plx, bt_cgm;

#define DATE "\xea\x07\x0b\x14\x09\x1e\x0f"	     /* 2026-11-20 09:30:15 */
#define START "\xea\x07\x0b\x14\x07\x00\x1e\x20\x00" /* 2026-11-20 07:00:30 in +08:00 */
#define OTHER_START "\xea\x07\x0b\x14\x07\x00\x1f\x20\x00"

static struct rig rig;

static int load(void **state)
{
	char error[256];
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	rig_codes = codes_load("config", error, sizeof(error));
	return rig_codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(rig_codes);
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	if (rig.session)
		rig_close(&rig);
	return 0;
}

static void open_rig(const struct vg_driver *driver)
{
	if (rig.session)
		rig_close(&rig);
	rig = rig_new(driver);
	rig_open(&rig);
}

/* The bytes of a text of the program, on a channel by its name; the unit that came of them, or NULL. */
#define HEAR(channel, bytes) hear((channel), (bytes), sizeof(bytes) - 1)
static const struct unit *hear(const char *channel, const char *bytes, size_t len)
{
	unsigned before = rig.n_units, i = 0;
	while (!streq(rig.driver->channels[i].name, channel))
		i++;
	session_value(rig.session, (int)i, (const uint8_t *)bytes, len, false, &rig.now);
	return rig.n_units > before ? rig.units[before] : NULL;
}

static struct reading read_one(const struct unit *u)
{
	assert_non_null(u);
	assert_non_null(u->readings);
	assert_null(u->readings->next);
	return *u->readings;
}

#define SPOT(bytes) read_one(HEAR("2a5e", bytes))
#define RECORD(bytes) read_one(HEAR("2aa7", bytes))

static bool same(struct reading a, struct reading b)
{
	return memcmp(&a.id, &b.id, sizeof(a.id)) == 0;
}

/* the oximeter */

static void test_dated_spot_check_is_known_again(void **state)
{
	(void)state;
	open_rig(&bt_plx);
	struct reading once = SPOT("\x03\x61\x00\x48\x00" DATE "\x80\x00");
	assert_true(same(once, SPOT("\x03\x61\x00\x48\x00" DATE "\x80\x02"))); /* from storage */
	assert_true(same(once, SPOT("\x01\x61\x00\x48\x00" DATE)));
	assert_false(same(once, SPOT("\x01\x60\x00\x48\x00" DATE)));
	assert_false(same(once, SPOT("\x01\x61\x00\x49\x00" DATE)));
	assert_false(same(once, SPOT("\x01\x61\x00\x48\x00\xea\x07\x0b\x14\x09\x1e\x10")));
}

static bool equal(struct reading a, struct reading b)
{
	return memcmp(&a.content, &b.content, sizeof(a.content)) == 0;
}

static void test_spot_check_that_comes_from_storage_later_is_no_conflict(void **state)
{
	(void)state;
	open_rig(&bt_plx);
	struct reading once = SPOT("\x03\x61\x00\x48\x00" DATE "\x80\x00");
	assert_true(equal(once, SPOT("\x03\x61\x00\x48\x00" DATE "\x80\x02")));
	assert_false(equal(once, SPOT("\x03\x61\x00\x48\x00" DATE "\x80\x40")));
	assert_int_equal(SPOT("\x03\x61\x00\x48\x00" DATE "\x80\x02\x77").raw.len, 15);
	struct reading unset = SPOT("\x13\x61\x00\x48\x00" DATE "\x80\x02");
	assert_memory_equal(unset.raw.at, "\x13\x61\x00\x48\x00" DATE "\x80\x02", 14);
}

static void test_undated_spot_check_is_known_again_only_from_storage(void **state)
{
	(void)state;
	open_rig(&bt_plx);
	assert_false(same(SPOT("\x00\x61\x00\x48\x00"), SPOT("\x00\x61\x00\x48\x00")));
	assert_false(same(SPOT("\x11\x61\x00\x48\x00" DATE), SPOT("\x11\x61\x00\x48\x00" DATE)));
	struct reading stored = SPOT("\x13\x61\x00\x48\x00" DATE "\x00\x02");
	assert_true(same(stored, SPOT("\x13\x61\x00\x48\x00" DATE "\x00\x02")));
	assert_false(
		same(stored, SPOT("\x13\x61\x00\x48\x00\xea\x07\x0b\x14\x09\x1e\x10\x00\x02")));
}

static void test_spot_check_is_live_unless_it_may_be_stored(void **state)
{
	(void)state;
	open_rig(&bt_plx);
	struct reading bare = SPOT("\x00\x61\x00\x48\x00");
	assert_true(bare.live && !bare.has_taken);
	struct reading unset = SPOT("\x11\x61\x00\x48\x00" DATE);
	assert_true(unset.live && !unset.has_taken);
	struct reading stored = SPOT("\x13\x61\x00\x48\x00" DATE "\x00\x02");
	assert_true(!stored.live && !stored.has_taken);
	HEAR("2a60", "\x04\x00");
	assert_false(SPOT("\x00\x61\x00\x48\x00").live);
	assert_true(SPOT("\x02\x61\x00\x48\x00\x80\x00").live);
}

/* the glucose sensor */

static void test_record_is_known_by_session_and_offset(void **state)
{
	(void)state;
	open_rig(&bt_cgm);
	HEAR("2aaa", START);
	struct reading once = RECORD("\x06\x00\x6c\x00\x05\x00");
	assert_true(same(once, RECORD("\x06\x00\x6c\x00\x05\x00")));
	assert_true(same(once, RECORD("\x07\x80\x6c\x00\x05\x00\x00")));
	assert_false(same(once, RECORD("\x06\x00\x6c\x00\x06\x00")));
	open_rig(&bt_cgm);
	HEAR("2aaa", OTHER_START);
	assert_false(same(once, RECORD("\x06\x00\x6c\x00\x05\x00")));
}

static void test_record_without_a_start_is_live_and_never_the_same(void **state)
{
	(void)state;
	open_rig(&bt_cgm);
	struct reading once = RECORD("\x06\x00\x6c\x00\x05\x00");
	assert_true(once.live && !once.has_taken);
	assert_false(same(once, RECORD("\x06\x00\x6c\x00\x05\x00")));
}

static void asked_behind(const char *mark, const char *request, size_t len)
{
	if (rig.session)
		rig_close(&rig);
	rig = rig_new(&bt_cgm);
	rig.mark_key = "offset";
	rig.mark_len = 10;
	memcpy(rig.mark, mark, rig.mark_len);
	rig_open(&rig);
	assert_int_equal(rig.n_sent, 0); /* until the start is known */
	HEAR("2aaa", START);
	assert_int_equal(rig.n_sent, len);
	assert_memory_equal(rig.sent, request, len);
}

static void test_memory_is_asked_for_behind_the_mark_of_this_session(void **state)
{
	(void)state;
	asked_behind("\x2c\x01\xea\x07\x0b\x14\x07\x00\x1e\x00", "\x04\x03\x01\x2d\x01", 5);
	asked_behind("\x2c\x01\xea\x07\x0b\x14\x07\x00\x1f\x00", "\x04\x01", 2);
}

/* 2026-11-21 08:00:00 on the site's clocks, 1500 minutes behind the start: half a minute. */
static void test_clock_that_is_behind_may_have_stopped(void **state)
{
	(void)state;
	open_rig(&bt_cgm);
	HEAR("2aaa", START);
	assert_true(HEAR("2aa9", "\xdc\x05\x00\x00\x00")->offset_known);
	assert_true(HEAR("2aa9", "\x18\x06\x00\x00\x00")->offset_known);  /* an hour ahead */
	assert_false(HEAR("2aa9", "\xa0\x05\x00\x00\x00")->offset_known); /* an hour behind */
	HEAR("2aa9", "\xdc\x05\x00\x00\x00");
	assert_int_equal(rig.units[rig.n_units - 1]->offset_us, 30 * CLOCK_SECOND_US);
}

#define CASE(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_dated_spot_check_is_known_again),
		CASE(test_spot_check_that_comes_from_storage_later_is_no_conflict),
		CASE(test_undated_spot_check_is_known_again_only_from_storage),
		CASE(test_spot_check_is_live_unless_it_may_be_stored),
		CASE(test_record_is_known_by_session_and_offset),
		CASE(test_record_without_a_start_is_live_and_never_the_same),
		CASE(test_memory_is_asked_for_behind_the_mark_of_this_session),
		CASE(test_clock_that_is_behind_may_have_stopped),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("bt_records", tests, load, unload);
}
