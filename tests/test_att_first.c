/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes out before anything is subscribed: clocks that must be set first, and a rest for slow firmware. */
#include "att_rig.h"

static void write_first(struct rig *r, const struct att_event *e)
{
	const uint8_t byte = 7;
	if (e->type == ATT_READY)
		assert_int_equal(att_write(r->att, 2, &byte, 1, r->now_ms), 0);
}

/* Some firmware is not ready for a write right after it was discovered. */
static void test_settles(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a49, VG_GATT_READ),
		want(0x2a35, VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED),
		want(0x2a08, VG_GATT_WRITE | VG_GATT_FIRST)};
	const struct att_ops ops = {.send = rig_send, .event = rig_event, .arg = r};
	att_init(r->att, wants, ELEMENTS(wants), &r->cache, 517, &ops);
	att_settle_for(r->att, 100);
	att_start(r->att, r->now_ms);
	SCRIPT(r, "> 02 0502", "w 2 02", "< 01 02 0000 06", CHARACTERISTICS_FOUND, CCC_FOUND,
		FEATURE_READ, "d 100", "+ 60", "< 1d 1200 aa", "= indicated 1 0012 aa", "c", "> 1e",
		"w 2 03", "d 40", "+ 40", "> 12 1700 02", "< 13", "= written 2", "> 12 1700 03",
		"< 13", "= written 2", ENABLED);
}

/* A clock that must be set before the monitor is allowed to tell what it holds. */
static void test_first_writes(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a49, VG_GATT_READ),
		want(0x2a35, VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED),
		want(0x2a08, VG_GATT_WRITE | VG_GATT_FIRST), want(0x2a49, VG_GATT_WRITE)};
	/* The other write waits for the subscriptions, whichever came first */
	rig_link(r, wants, ELEMENTS(wants), 517);
	SCRIPT(r, "> 02 0502", "w 3 01", "w 2 02", "w 2 03", "< 01 02 0000 06",
		CHARACTERISTICS_FOUND, CCC_FOUND, FEATURE_READ, "> 12 1700 02", "< 1d 1200 bb",
		"= indicated 1 0012 bb", "c", "> 1e", "< 13", "= written 2", "> 12 1700 03",
		"w 3 04", "w 2 05", "< 01 12 1700 80", "= refused 2 write 80", "> 12 1700 05",
		"< 13", "= written 2", "> 12 1300 0200", "w 2 06", "< 13", "= subscribed",
		"> 12 1500 01", "< 13", "= written 3", "> 12 1500 04", "< 13", "= written 3",
		"> 12 1700 06", "< 13", "= written 2");
	/* An indication that came before is told first, and confirmed when it is safe */
	r->cache.valid = false;
	rig_link(r, wants, ELEMENTS(wants), 517);
	SCRIPT(r, "> 02 0502", "w 2 02", "< 1d 1200 aa", "< 01 02 0000 06", CHARACTERISTICS_FOUND,
		CCC_FOUND, FEATURE_READ, "= indicated 1 0012 aa", "> 12 1700 02", "c", "> 1e",
		"< 13", "= written 2", ENABLED);
	/* From inside `ready`, which is when the driver opens */
	r->reflex = write_first;
	r->cache.valid = false;
	rig_link(r, wants, ELEMENTS(wants), 517);
	SCRIPT(r, MTU_REFUSED, CHARACTERISTICS_FOUND, CCC_FOUND, FEATURE_READ, "> 12 1700 07",
		"< 13", "= written 2", ENABLED);
	/* It lacks the clock: nothing is lost but that */
	r->reflex = NULL;
	r->cache.valid = false;
	rig_link(r, wants, 3, 517);
	SCRIPT(r, "> 02 0502", "w 2 02", "< 01 02 0000 06", "> 08 0100 ffff 0328",
		"< 09 07 1100 20 1200 352a", "> 08 1200 ffff 0328", "< 01 08 1200 0a",
		"> 04 1300 ffff", "< 05 01 1300 0229", "= ready", "= refused 2 write 0a", ENABLED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {TEST(test_first_writes), TEST(test_settles)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("att, first writes", tests, NULL, NULL);
}
