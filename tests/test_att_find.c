/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Discovery and verification of handles; att_rig.h says how to read the scripts. */
#include "att_rig.h"

/* 00001523-1212-efde-1523-785feabcd123 and ...1524 */
#define UUID_1523 "23d1bcea5f782315deef121223150000"
#define UUID_1524 "23d1bcea5f782315deef121224150000"

static void test_uuid128(void **state)
{
	struct rig *r = *state;
	struct att_want wants[] = {
		{.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED}, want(0x2a19, VG_GATT_SUBSCRIBE)};
	bytes_of(UUID_1524, wants[0].uuid.bytes);
	rig_link(r, wants, 2, 517);
	/* Read By Type Response, each 21: 0021 notify 0022 ...1524
	 * Read By Type Response, each 21: 0024 notify 0025 2A19 in its 128-bit form
	 * Find Information Response, 128-bit: 0023 CCC in its 128-bit form; the same with 0026 */
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 15 2100 10 2200 " UUID_1524,
		"> 08 2200 ffff 0328", "< 09 15 2400 10 2500 fb349b5f8000008000100000192a0000",
		"> 08 2500 ffff 0328", "< 01 08 2500 0a", "> 04 2300 2300",
		"< 05 02 2300 fb349b5f800000800010000002290000", "> 04 2600 ffff",
		"< 05 02 2600 fb349b5f800000800010000002290000", "= ready", "> 12 2300 0100",
		"< 13", "> 12 2600 0100", "< 13", "= subscribed", "< 1b 2500 64",
		"= notified 1 0025 64");
}

static void test_services(void **state)
{
	struct rig *r = *state;
	struct att_want wants[] = {want(0x2a08, VG_GATT_WRITE), want(0x2a08, VG_GATT_READ),
		want(0x2a19, VG_GATT_READ)};
	wants[0].service = att_uuid16(0x1810);
	bytes_of(UUID_1523, wants[1].service.bytes);
	rig_link(r, wants, 3, 517);
	/* Read By Group Type Request 0001..ffff, primary service
	 * Response, each 6: 0001..0005 1805; 0010..001f 1810
	 * Response, each 20: 0020..ffff ...1523; then the range is over
	 * Read By Type Response: 0002 2A08 in 1805: nobody's; 0011 2A08 in 1810; 0021 2A08 in ...1523
	 * Read By Type Response: 0023 2A19 in any service; 0025 2A19 again: the first one is taken */
	SCRIPT(r, MTU_REFUSED, "> 10 0100 ffff 0028", "< 11 06 0100 0500 0518 1000 1f00 1018",
		"> 10 2000 ffff 0028", "< 11 14 2000 ffff " UUID_1523, "> 08 0100 ffff 0328",
		"< 09 07 0200 0a 0300 082a 1100 0a 1200 082a 2100 0a 2200 082a",
		"> 08 2200 ffff 0328", "< 09 07 2300 02 2400 192a 2500 02 2600 192a",
		"> 08 2600 ffff 0328", "< 01 08 2600 0a", "> 0a 2200", "< 0b 01", "= value 1 01",
		"> 0a 2400", "< 0b 64", "= value 2 64", "= ready", "= subscribed", "w 0 ff",
		"> 12 1200 ff", "< 13", "= written 0");
	/* Error Response to Read By Group Type: no such service; the characteristic is not taken */
	wants[0].use |= VG_GATT_REQUIRED;
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 10 0100 ffff 0028", "< 01 10 0100 0a", "> 08 0100 ffff 0328",
		"< 09 07 1100 0a 1200 082a", "> 08 1200 ffff 0328", "< 01 08 1200 01",
		"= close 0 the device lacks a characteristic that its driver needs");
}

static void test_last_handle(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a35, VG_GATT_SUBSCRIBE)};
	/* Read By Type Response: fffd value ffff. There is no handle behind it: no CCC to look for */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 fdff 20 ffff 352a",
		"> 08 feff ffff 0328", "< 01 08 feff 0a", "= ready", "= refused 0 subscribe 0a",
		"= subscribed");
	/* A declaration at ffff cannot have a value: not taken, and the range is over, whatever follows */
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 ffff 20 0000 352a 1100 20 1200 352a",
		"= ready", "= subscribed");
	/* A value that lies where the next declaration is: the characteristic ends with its value */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1000 20 1200 352a 1100 02 1300 192a",
		"> 08 1200 ffff 0328", "< 01 08 1200 0a", "= ready", "= refused 0 subscribe 0a",
		"= subscribed");
}

static void test_not_advancing(void **state)
{
	struct rig *r = *state;
	struct att_want wants[] = {want(0x2a35, VG_GATT_SUBSCRIBE)};
	/* Read By Type Response from 0012 on: again 0011 */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a",
		"> 08 1200 ffff 0328", "< 09 07 1100 20 1200 352a",
		"= close -1 discovery does not advance", "< 09 07 1300 20 1400 352a", "d never");
	assert_false(r->cache.valid);
	/* the same handle twice in one list */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a 1100 20 1200 352a",
		"= close -1 discovery does not advance");
	/* Find Information Response: 0012 instead of 0013 */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a",
		"> 08 1200 ffff 0328", "< 01 08 1200 0a", "> 04 1300 ffff", "< 05 01 1200 352a",
		"= close -1 discovery does not advance");
	/* Read By Group Type Response: a service that ends before it begins */
	wants[0].service = att_uuid16(0x1810);
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 10 0100 ffff 0028", "< 11 06 1000 0f00 1018",
		"= close -1 discovery does not advance");
}

static void test_malformed_lists(void **state)
{
	struct rig *r = *state;
	struct att_want wants[] = {want(0x2a35, VG_GATT_SUBSCRIBE)};
	static const char *const characteristics[] = {"< 09", "< 09 07", "< 09 00 1100",
		"< 09 08 1100 20 1200 352a00", "< 09 07 1100 20 1200 35",
		"< 09 15 1100 20 1200 352a"};
	for (size_t i = 0; i < ELEMENTS(characteristics); i++) {
		rig_link(r, wants, 1, 517);
		SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", characteristics[i],
			"= close -1 malformed list of characteristics");
	}
	static const char *const descriptors[] = {"< 05", "< 05 01", "< 05 03 1300 0229",
		"< 05 01 1300 02", "< 05 02 1300 0229", "< 05 00 1300 0229"};
	for (size_t i = 0; i < ELEMENTS(descriptors); i++) {
		rig_link(r, wants, 1, 517);
		SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a",
			"> 08 1200 ffff 0328", "< 01 08 1200 0a", "> 04 1300 ffff", descriptors[i],
			"= close -1 malformed list of descriptors");
	}
	wants[0].service = att_uuid16(0x1810);
	static const char *const services[] = {
		"< 11", "< 11 06 1000 1f00 10", "< 11 07 1000 1f00 101800"};
	for (size_t i = 0; i < ELEMENTS(services); i++) {
		rig_link(r, wants, 1, 517);
		SCRIPT(r, MTU_REFUSED, "> 10 0100 ffff 0028", services[i],
			"= close -1 malformed list of services");
	}
}

/* A list whose last entry is cut: what was whole is taken, the rest is asked for again. */
static void test_cut_lists(void **state)
{
	struct rig *r = *state;
	struct att_want wants[] = {want(0x2a35, VG_GATT_SUBSCRIBE)};
	wants[0].service = att_uuid16(0x1810);
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 10 0100 ffff 0028", "< 11 06 0100 0500 0018 1000 1f00",
		"> 10 0600 ffff 0028", "< 11 06 1000 1f00 1018 30", "> 10 2000 ffff 0028",
		"< 01 10 2000 0a", "> 08 0100 ffff 0328", "< 09 07 0200 02 0300 002a 1100 20 12",
		"> 08 0300 ffff 0328", "< 09 07 1100 20 1200 352a", "> 08 1200 ffff 0328",
		"< 01 08 1200 0a", "> 04 1300 ffff", "< 05 01 1300 0129 1400", "> 04 1400 ffff",
		"< 05 01 1400 0229", "= ready", "> 12 1400 0200", "< 13", "= subscribed", "i 4");
}

static void test_discovery_refused(void **state)
{
	struct rig *r = *state;
	struct att_want wants[] = {want(0x2a35, VG_GATT_SUBSCRIBE)};
	/* Error Response: unlikely error */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 01 08 0100 0e",
		"= close -1 the device refuses discovery");
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a",
		"> 08 1200 ffff 0328", "< 01 08 1200 0a", "> 04 1300 ffff", "< 01 04 1300 06",
		"= close -1 the device refuses discovery");
	/* Error Response: insufficient authentication, which is waited for */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 01 08 0100 05", "d 1000", "+ 1000",
		"> 08 0100 ffff 0328");
}

static void test_missing(void **state)
{
	struct rig *r = *state;
	/* Only 2A49 is there. 2A35 is required. */
	rig_meter(r);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1400 02 1500 492a",
		"> 08 1500 ffff 0328", "< 01 08 1500 0a",
		"= close 1 the device lacks a characteristic that its driver needs");
	assert_false(r->cache.valid);
	assert_int_equal(att_write(r->att, 2, NULL, 0, r->now_ms), -ENOTCONN);
	/* Only 2A35 is there: the others are optional. */
	rig_meter(r);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a",
		"> 08 1200 ffff 0328", "< 01 08 1200 0a", "> 04 1300 ffff", "< 05 01 1300 0229",
		"= ready", ENABLED);
	assert_true(r->cache.valid);
	assert_int_equal(att_write(r->att, 2, NULL, 0, r->now_ms), -ENOENT);
	assert_int_equal(att_write(r->att, 3, NULL, 0, r->now_ms), -ENOENT);
}

static void test_ccc(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a35, VG_GATT_SUBSCRIBE)};
#define LAST_ONE                                                                                \
	MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 30 1200 352a", "> 08 1200 ffff 0328", \
		"< 01 08 1200 0a", "> 04 1300 ffff"
	/* Find Information Response: 0013 user description, 0014 CCC. Both ways are offered: indicate */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, LAST_ONE, "< 05 01 1300 0129 1400 0229", "= ready", "> 12 1400 0200", "< 13",
		"= subscribed");
	/* 0013 user description; 0014 primary service: the CCC behind it is another's */
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, LAST_ONE, "< 05 01 1300 0129", "> 04 1400 ffff", "< 05 01 1400 0028 1500 0229",
		"= ready", "= refused 0 subscribe 0a", "= subscribed");
	/* 0013 characteristic declaration, 0013 secondary service */
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, LAST_ONE, "< 05 01 1300 0328 1400 0229", "= ready", "= refused 0 subscribe 0a",
		"= subscribed");
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, LAST_ONE, "< 05 01 1300 0128 1400 0229", "= ready", "= refused 0 subscribe 0a",
		"= subscribed");
	/* Error Response: attribute not found. It may indicate all the same. */
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, LAST_ONE, "< 01 04 1300 0a", "= ready", "= refused 0 subscribe 0a",
		"= subscribed", "< 1d 1200 01", "= indicated 0 0012 01");
	/* 0014 CCC behind the end 0013 of the characteristic */
	r->cache.valid = false;
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a 1400 02 1500 492a",
		"> 08 1500 ffff 0328", "< 01 08 1500 0a", "> 04 1300 1300", "< 05 01 1400 0229",
		"= ready", "= refused 0 subscribe 0a", "= subscribed");
#undef LAST_ONE
}

static void test_cache_hit(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	SCRIPT(r, SESSION);
	const struct att_cache before = r->cache;
	/* The next link: every declaration is looked at, then reads and subscriptions as ever. */
	rig_meter(r);
	SCRIPT(r, MTU_REFUSED, FEATURE_VERIFIED, MEASUREMENT_VERIFIED, TIME_VERIFIED, FEATURE_READ,
		ENABLED);
	assert_memory_equal(&before, &r->cache, sizeof(before));
	/* A characteristic that the device does not have is not looked for. */
	r->cache.handles[0] = (struct att_handles){0};
	rig_meter(r);
	SCRIPT(r, MTU_REFUSED, MEASUREMENT_VERIFIED, TIME_VERIFIED, "= ready", ENABLED);
}

static void test_cache_mismatch(void **state)
{
	struct rig *r = *state;
	/* In turn: other properties, value handle, UUID, declaration handle; entry of 21; cut; nothing */
	static const char *const answers[] = {"< 09 07 1100 10 1200 352a",
		"< 09 07 1100 20 1300 352a", "< 09 07 1100 20 1200 362a",
		"< 09 07 1200 20 1200 352a", ("< 09 15 1100 20 1200 " UUID_1524),
		"< 09 07 1100 20 1200 35", "< 09", "< 01 08 1100 0a", "< 01 08 1100 05"};
	for (size_t i = 0; i < ELEMENTS(answers); i++) {
		r->cache.valid = false;
		rig_meter(r);
		SCRIPT(r, SESSION);
		rig_meter(r);
		SCRIPT(r, MTU_REFUSED, FEATURE_VERIFIED, "> 08 1100 1100 0328", answers[i],
			"> 08 0100 ffff 0328");
		assert_false(r->cache.valid);
		assert_int_equal(r->cache.handles[0].value, 0);
	}
	/* ... and the session that follows */
	r->cache.valid = false;
	rig_meter(r);
	SCRIPT(r, SESSION);
	rig_meter(r);
	SCRIPT(r, MTU_REFUSED, "> 08 1400 1400 0328", "< 01 08 1400 0a", CHARACTERISTICS_FOUND,
		CCC_FOUND, FEATURE_READ, ENABLED);
	assert_true(r->cache.valid);
}

/* A cache from a damaged file is not even verified. */
static void test_cache_unusable(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	SCRIPT(r, SESSION);
	const struct att_cache good = r->cache;
	for (int i = 0; i < 6; i++) {
		r->cache = good;
		if (i == 0)
			r->cache.handles[1] = (struct att_handles){0};
		if (i == 1)
			r->cache.handles[0].declaration = 0;
		if (i == 2)
			r->cache.handles[0].declaration = r->cache.handles[0].value;
		if (i == 3)
			r->cache.handles[1].ccc = r->cache.handles[1].value;
		if (i == 4)
			memset(r->cache.handles, 0, sizeof(r->cache.handles));
		if (i == 5)
			r->cache.valid = false;
		rig_meter(r);
		SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328");
		assert_false(r->cache.valid);
	}
	/* nothing required, nothing there: looked for again each time */
	const struct att_want wants[] = {want(0x2a49, VG_GATT_READ)};
	r->cache = (struct att_cache){.valid = true};
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_uuid128),
		TEST(test_services),
		TEST(test_last_handle),
		TEST(test_not_advancing),
		TEST(test_malformed_lists),
		TEST(test_cut_lists),
		TEST(test_discovery_refused),
		TEST(test_missing),
		TEST(test_ccc),
		TEST(test_cache_hit),
		TEST(test_cache_mismatch),
		TEST(test_cache_unusable),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("att_find", tests, NULL, NULL);
}
