/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ATT client from link to link; att_rig.h says how to read the scripts. */
#include "att_rig.h"
#include "fuzz/fuzz_att.c"

static void test_session(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	/* ... Handle Value Indication 0012; the owner takes its time; Handle Value Confirmation */
	SCRIPT(r, SESSION, "d never", "< 1d 1200 167b004e", "= indicated 1 0012 167b004e",
		"+ 29000", "c", "> 1e", "c", "i 0");
	assert_true(r->cache.valid);
	const struct att_handles *h = &r->cache.handles[1];
	assert_int_equal(h->declaration, 0x11);
	assert_int_equal(h->value, 0x12);
	assert_int_equal(h->ccc, 0x13);
	assert_int_equal(h->end, 0x13);
	assert_int_equal(h->properties, 0x20);
	assert_int_equal(r->cache.handles[2].end, 0xffff);
}

static void test_mtu(void **state)
{
	struct rig *r = *state;
	const struct att_want feature[] = {want(0x2a49, VG_GATT_READ)};
	/* Exchange MTU Response, server 25: a value of 24 bytes fills a Read Response, 23 do not */
	rig_link(r, feature, 1, 100);
	SCRIPT(r, "> 02 6400", "< 03 1900", "> 08 0100 ffff 0328", "< 09 07 1400 02 1500 492a",
		"> 08 1500 ffff 0328", "< 01 08 1500 0a", "> 0a 1500",
		"< 0b 000102030405060708090a0b0c0d0e0f10111213141516",
		"= value 0 000102030405060708090a0b0c0d0e0f10111213141516", "= ready",
		"= subscribed");
	/* Exchange MTU Response, server 5: less than any device may have. Written at 23. */
	const struct att_want time[] = {want(0x2a08, VG_GATT_WRITE)};
	r->cache.valid = false;
	rig_link(r, time, 1, 100);
	SCRIPT(r, "> 02 6400", "< 03 0500", "> 08 0100 ffff 0328", "< 09 07 1600 0a 1700 082a",
		"> 08 1700 ffff 0328", "< 01 08 1700 0a", "= ready", "= subscribed",
		"w 0 0001020304050607080910111213141516171819",
		"> 12 1700 0001020304050607080910111213141516171819", "< 13", "= written 0");
	/* Exchange MTU Response without its MTU */
	r->cache.valid = false;
	rig_link(r, time, 1, 100);
	SCRIPT(r, "> 02 6400", "< 03 64", "> 08 0100 ffff 0328", "i 1");
	/* the largest that we offer holds against a larger one */
	rig_link(r, time, 1, 23);
	SCRIPT(r, "> 02 1700", "< 03 0502", "> 08 0100 ffff 0328", "< 09 07 1600 0a 1700 082a",
		"> 08 1700 ffff 0328", "< 01 08 1700 0a", "= ready", "= subscribed");
	uint8_t bytes[21] = {0};
	assert_int_equal(att_write(r->att, 0, bytes, 21, r->now_ms), -EMSGSIZE);
}

static void test_early_indication(void **state)
{
	struct rig *r = *state;
	/* Handle Value Indication 0012 before the answer to our first request: told after `ready` */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1d 1200 1601", "c", "< 01 02 0000 06", CHARACTERISTICS_FOUND,
		"> 04 1300 1300", "< 1d 1200 1602", "< 05 01 1300 0229", "> 0a 1500",
		"< 1d 9900 03", "< 0b 2000", "= value 0 2000", "= ready", "= indicated 1 0012 1601",
		"= indicated 1 0012 1602", "= indicated -1 0099 03", "> 12 1300 0200", "c", "> 1e",
		"c", "> 1e", "c", "> 1e", "c", "< 13", "= subscribed");
	/* The same with a cache: held until the cache was found true and the reads are done */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1d 1200 1601", "< 01 02 0000 06", FEATURE_VERIFIED,
		MEASUREMENT_VERIFIED, TIME_VERIFIED, FEATURE_READ, "= indicated 1 0012 1601",
		"> 12 1300 0200", "c", "> 1e", "< 13", "= subscribed");
	/* The cache is wrong (the device was updated): 0012 is 2A36 now, 2A35 moved to 0022. The
	 * indication of 0012 must not be taken for a 2A35. */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1d 1200 1601", "< 1d 2200 1602", "< 01 02 0000 06",
		FEATURE_VERIFIED, "> 08 1100 1100 0328", "< 09 07 1100 20 1200 362a",
		"> 08 0100 ffff 0328", "< 09 07 1100 20 1200 362a 2100 20 2200 352a",
		"> 08 2200 ffff 0328", "< 01 08 2200 0a", "> 04 2300 ffff", "< 05 01 2300 0229",
		"= ready", "= indicated -1 0012 1601", "= indicated 1 0022 1602", "> 12 2300 0200");
}

static void test_early_limits(void **state)
{
	struct rig *r = *state;
	/* Handle Value Notification before discovery: four are held, in order with the indications */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1b 1200 01", "< 1b 1200 02", "< 1d 1200 03", "< 1b 9900 04",
		"< 1b 1200 05", "i 0", "< 1b 1200 06", "i 1", "< 1d 1200 07", "< 1d 1200 08",
		"< 1d 1200 09", "< 01 02 0000 06", CHARACTERISTICS_FOUND, CCC_FOUND, FEATURE_READ,
		"= notified 1 0012 01", "= notified 1 0012 02", "= indicated 1 0012 03",
		"= notified 1 0012 05", "= indicated 1 0012 07", "= indicated 1 0012 08",
		"= indicated 1 0012 09", "> 12 1300 0200", "i 2");
	/* a fifth indication */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1d 1200 01", "< 1d 1200 02", "< 1d 1200 03", "< 1d 1200 04",
		"< 1d 1200 05", "= close -1 the device does not wait for confirmations",
		"< 01 02 0000 06", "c");
	/* the longest value that a PDU carries is held whole */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 03 0502", FEATURE_VERIFIED, MEASUREMENT_VERIFIED, TIME_VERIFIED,
		"> 0a 1500");
	uint8_t pdu[ATT_MTU + 1] = {0x1d, 0x12, 0x00};
	for (size_t i = 3; i < sizeof(pdu); i++)
		pdu[i] = (uint8_t)i;
	att_input(r->att, pdu, ATT_MTU + 1, r->now_ms);
	assert_int_equal(att_ignored(r->att), 1);
	att_input(r->att, pdu, ATT_MTU, r->now_ms);
	char told[RIG_LINE_MAX] = "= indicated 1 0012 ";
	hex(told + strlen(told), pdu + 3, ATT_MTU - 3);
	SCRIPT(r, "< 0b 2000", "= value 0 2000", "= ready", told, "> 12 1300 0200", "c", "> 1e");
}

static void test_confirm(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	/* Four indications, each owed one confirmation; never one of our own accord */
	SCRIPT(r, SESSION, "c", "< 1d 1200 01", "= indicated 1 0012 01", "< 1d 9900 02",
		"= indicated -1 0099 02", "< 1d 1200 03", "= indicated 1 0012 03", "< 1d 1200 04",
		"= indicated 1 0012 04", "+ 100000", "c", "> 1e", "< 1d 1200 05",
		"= indicated 1 0012 05", "c", "> 1e", "c", "> 1e", "c", "> 1e", "c", "> 1e", "c");
	/* Four are unconfirmed: the fifth closes the link, and all is silent after that */
	SCRIPT(r, "< 1d 1200 01", "= indicated 1 0012 01", "< 1d 1200 02", "= indicated 1 0012 02",
		"< 1d 1200 03", "= indicated 1 0012 03", "< 1d 1200 04", "= indicated 1 0012 04",
		"< 1d 1200 05", "= close -1 the device does not wait for confirmations", "c",
		"< 1d 1200 06", "< 02 1700", "+ 100000", "d never", "i 0");
	assert_int_equal(att_write(r->att, 2, NULL, 0, r->now_ms), -ENOTCONN);
}

static void confirm_at_once(struct rig *r, const struct att_event *e)
{
	if (e->type == ATT_INDICATED)
		att_confirm(r->att);
}

static void test_confirm_inside(void **state)
{
	struct rig *r = *state;
	r->reflex = confirm_at_once;
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1d 1200 01", "< 1d 1200 02", "< 01 02 0000 06",
		CHARACTERISTICS_FOUND, CCC_FOUND, FEATURE_READ, "= indicated 1 0012 01", "> 1e",
		"= indicated 1 0012 02", "> 1e", ENABLED);
	for (int i = 0; i < 6; i++)
		SCRIPT(r, "< 1d 1200 03", "= indicated 1 0012 03", "> 1e", "c");
}

static void test_notifications(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a49, VG_GATT_READ),
		want(0x2a35, VG_GATT_SUBSCRIBE), want(0x2aff, VG_GATT_SUBSCRIBE)};
	rig_link(r, wants, 3, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 1100 10 1200 352a 1400 12 1500 492a",
		"> 08 1500 ffff 0328", "< 01 08 1500 0a", "> 04 1300 1300", "< 05 01 1300 0229",
		"> 0a 1500", "< 0b", "= value 0 ", "= ready", "> 12 1300 0100", "< 13",
		"= subscribed",
		/* of what we want; of what we only read; of an unknown handle; of no handle */
		"< 1b 1200 01", "= notified 1 0012 01", "< 1b 1200", "= notified 1 0012 ", "i 0",
		"< 1b 1500 01", "i 1", "< 1b 9900 01", "i 2", "< 1b 0000 01", "i 3", "< 1b 12",
		"i 4",
		/* the same as indications; want 2 is absent and must not match handle 0 */
		"< 1d 1500 01", "= indicated -1 0015 01", "< 1d 0000 01", "= indicated -1 0000 01",
		"< 1d 12", "i 5");
}

static void test_reads(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a29, VG_GATT_READ), want(0x2a24, VG_GATT_READ),
		want(0x2a25, VG_GATT_READ | VG_GATT_REQUIRED), want(0x2a26, VG_GATT_READ)};
#define DIGITS "30313233343536373839303132333435363738393031" /* 22 */
	rig_link(r, wants, 4, 517);
	/* Read Response full at MTU 23; Read Blob Request offset 22; Read Blob Response of 2
	 * Read Response full; Read Blob Response empty
	 * Read Response full; Read Blob Response full; Error Response: invalid offset
	 * Error Response: read not permitted */
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 0200 02 0300 292a 0400 02 0500 242a",
		"> 08 0500 ffff 0328", "< 09 07 0600 02 0700 252a 0800 02 0900 262a",
		"> 08 0900 ffff 0328", "< 01 08 0900 0a", "> 0a 0300", "< 0b " DIGITS,
		"> 0c 0300 1600", "< 0d 4142", "= value 0 " DIGITS "4142", "> 0a 0500",
		"< 0b " DIGITS, "> 0c 0500 1600", "< 0d", "= value 1 " DIGITS, "> 0a 0700",
		"< 0b " DIGITS, "> 0c 0700 1600", "< 0d " DIGITS, "> 0c 0700 2c00",
		"< 01 0c 0700 07", "= value 2 " DIGITS DIGITS, "> 0a 0900", "< 01 0a 0900 02",
		"= refused 3 read 02", "= ready", "= subscribed");
	/* A required one that is refused goes on, too; one that is not long */
	r->cache = (struct att_cache){.valid = true, .handles = {{6, 7, 0, 7, 2}}};
	rig_link(r, wants + 2, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0600 0600 0328", "< 09 07 0600 02 0700 252a", "> 0a 0700",
		"< 01 0a 0700 02", "= refused 0 read 02", "= ready", "= subscribed");
	rig_link(r, wants + 2, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0600 0600 0328", "< 09 07 0600 02 0700 252a", "> 0a 0700",
		"< 0b " DIGITS, "> 0c 0700 1600", "< 01 0c 0700 0b", "= value 0 " DIGITS, "= ready",
		"= subscribed");
#undef DIGITS
}

/* A peer that never stops a value: 512 bytes are the longest that GATT knows. */
static void test_read_endless(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a25, VG_GATT_READ)};
	r->cache = (struct att_cache){.valid = true, .handles = {{6, 7, 0, 7, 2}}};
	rig_link(r, wants, 1, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0600 0600 0328", "< 09 07 0600 02 0700 252a", "> 0a 0700");
	uint8_t pdu[ATT_MTU] = {0x0b};
	att_input(r->att, pdu, 23, r->now_ms);
	for (unsigned offset = 22; offset < 512; offset += 22) {
		char line[32];
		snprintf(line, sizeof(line), "> 0c 0700 %02x%02x", offset & 255, offset >> 8);
		SCRIPT(r, line);
		pdu[0] = 0x0d;
		att_input(r->att, pdu, 23, r->now_ms);
	}
	char told[RIG_LINE_MAX] = "= value 0 ";
	hex(told + strlen(told), pdu + 1, 1);
	memset(told + 10, '0', 1024);
	told[10 + 1024] = 0;
	SCRIPT(r, told, "= ready", "= subscribed");
	/* one PDU of 514 bytes */
	rig_link(r, wants, 1, 517);
	SCRIPT(r, "> 02 0502", "< 03 0502", "> 08 0600 0600 0328", "< 09 07 0600 02 0700 252a",
		"> 0a 0700");
	pdu[0] = 0x0b;
	memset(pdu + 1, 0, sizeof(pdu) - 1);
	att_input(r->att, pdu, 515, r->now_ms);
	SCRIPT(r, told, "= ready", "= subscribed");
}

static void test_encryption(void **state)
{
	struct rig *r = *state;
	/* Error Responses: insufficient authentication (05), encryption (0f), key size (0c). The same
	 * request follows after one second; an answer or error in between belongs to nothing. */
	rig_meter(r);
	SCRIPT(r, FOUND, "> 0a 1500", "< 01 0a 1500 05", "d 1000", "+ 999", "+ 1", "> 0a 1500",
		"d 30000", "< 01 0a 1500 0f", "i 0", "< 0b 2000", "< 01 0a 1500 0f", "i 2",
		"+ 1000", "> 0a 1500", "< 0b 2000", "= value 0 2000", "= ready", "> 12 1300 0200",
		"w 2 07ea", "< 01 12 1300 0f", "+ 1000", "> 12 1300 0200", "< 01 12 1300 0c",
		"< 1d 1200 01", "= indicated 1 0012 01", "c", "> 1e", "+ 1000", "> 12 1300 0200",
		"< 13", "= subscribed", "> 12 1700 07ea", "< 01 12 1700 05", "w 2 07eb", "+ 1000",
		"> 12 1700 07ea", "< 13", "= written 2", "> 12 1700 07eb", "< 13", "= written 2");
}

static void test_encryption_never(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	SCRIPT(r, FOUND, "> 0a 1500");
	for (int i = 0; i < 30; i++)
		SCRIPT(r, "< 01 0a 1500 05", "+ 999", "+ 1", "> 0a 1500");
	/* The 31st time it is refused. Nobody pairs here: the next ones are refused at once. */
	SCRIPT(r, "< 01 0a 1500 05", "= refused 0 read 05", "= ready", "> 12 1300 0200",
		"< 01 12 1300 0f", "= refused 1 subscribe 0f", "= subscribed", "w 2 00",
		"> 12 1700 00", "< 01 12 1700 0c", "= refused 2 write 0c", "d never");
	/* Every request has its own 30 as long as none used them up. */
	rig_meter(r);
	SCRIPT(r, MTU_REFUSED, FEATURE_VERIFIED, MEASUREMENT_VERIFIED, TIME_VERIFIED, "> 0a 1500");
	for (int i = 0; i < 20; i++)
		SCRIPT(r, "< 01 0a 1500 05", "+ 1000", "> 0a 1500");
	SCRIPT(r, "< 0b 2000", "= value 0 2000", "= ready", "> 12 1300 0200");
	for (int i = 0; i < 20; i++)
		SCRIPT(r, "< 01 12 1300 05", "+ 1000", "> 12 1300 0200");
	SCRIPT(r, "< 13", "= subscribed");
}

static void test_encryption_nobody_pairs(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	att_expect_no_pairing(r->att);
	SCRIPT(r, FOUND, "> 0a 1500");
	for (int i = 0; i < 3; i++)
		SCRIPT(r, "< 01 0a 1500 05", "+ 1000", "> 0a 1500");
	SCRIPT(r, "< 01 0a 1500 05", "= refused 0 read 05", "= ready", "> 12 1300 0200");
}

static void test_timeout(void **state)
{
	struct rig *r = *state;
	/* No answer to Exchange MTU; an indication does not move the deadline */
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "d 30000", "+ 20000", "< 1d 1200 01", "d 10000", "+ 9999", "+ 1",
		"= close -1 the device did not answer in time", "< 03 1700", "d never", "c");
	/* No answer to a write; the deadline counts from that request */
	rig_meter(r);
	SCRIPT(r, SESSION, "+ 50000", "w 2 00", "> 12 1700 00", "d 30000", "+ 29999", "+ 1",
		"= close -1 the device did not answer in time", "+ 60000", "d never");
	/* att_expire() before its time does nothing */
	rig_meter(r);
	r->n_log = 0;
	att_expire(r->att, r->now_ms + 29999);
	assert_int_equal(r->n_log, 0);
	att_expire(r->att, r->now_ms + 30000);
	SCRIPT(r, "= close -1 the device did not answer in time");
}

static void test_peer_requests(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	/* While our Read By Type waits: Exchange MTU Request; Read By Type Request for 2B3A; then ours
	 * is answered as if nothing had been */
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 02 4000", "> 03 0502",
		"< 08 0100 ffff 3a2b", "> 01 08 0100 0a",
		"< 09 07 1100 20 1200 352a 1400 02 1500 492a", "> 08 1500 ffff 0328");
	/* Every request of the specification: attribute not found */
	static const char *const known[] = {"04 0100 ffff", "06 0100 ffff 0028 1810",
		"08 0100 ffff 3a2b", "0a 0300", "0c 0300 0000", "0e 0300 0400", "10 0100 ffff 0028",
		"12 0300 01", "16 0300 0000 01", "20 0300 0400"};
	for (size_t i = 0; i < ELEMENTS(known); i++) {
		char line[64], answer[64];
		snprintf(line, sizeof(line), "< %s", known[i]);
		snprintf(answer, sizeof(answer), "> 01 %.7s 0a", known[i]);
		SCRIPT(r, line, answer);
	}
	/* Execute Write has no handle; requests without all of it; MTU: invalid PDU */
	SCRIPT(r, "< 18 01", "> 01 18 0000 0a", "< 0a 03", "> 01 0a 0000 0a", "< 02",
		"> 01 02 0000 04", "< 02 40", "> 01 02 0000 04");
	/* Unknown requests: not supported. Unknown answers, commands and a stray confirmation: nothing */
	SCRIPT(r, "< 00", "> 01 00 0000 06", "< 14 0300", "> 01 14 0300 06", "< 1a",
		"> 01 1a 0000 06", "< 22 0100", "> 01 22 0100 06", "< a4 0100", "> 01 a4 0100 06",
		"i 0", "< 52 1200 01", "< d2 1200 01", "< 40", "< 1e", "< 15", "< 23 1200 0100 01",
		"< ff", "i 7", "<", "i 8");
}

/* The peer's Exchange MTU counts like ours; a read under way does not get confused by it. */
static void test_peer_mtu(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0x2a25, VG_GATT_READ | VG_GATT_WRITE)};
#define DIGITS "30313233343536373839303132333435363738393031" /* 22 */
	r->cache = (struct att_cache){.valid = true, .handles = {{6, 7, 0, 7, 0x0a}}};
	rig_link(r, wants, 1, 100);
	SCRIPT(r, "> 02 6400", "< 01 02 0000 06", "> 08 0600 0600 0328",
		"< 09 07 0600 0a 0700 252a", "> 0a 0700", "< 02 4000", "> 03 6400", "< 0b " DIGITS,
		"> 0c 0700 1600", "< 0d 31", "= value 0 " DIGITS "31", "= ready", "= subscribed",
		"w 0 " DIGITS DIGITS, "> 12 0700 " DIGITS DIGITS,
		/* it grows smaller while a write that does not fit any more is queued */
		"w 0 " DIGITS DIGITS, "w 0 01", "< 02 1700", "> 03 6400", "< 13", "= written 0",
		"= refused 0 write 0d", "> 12 0700 01");
#undef DIGITS
}

static void test_strays(void **state)
{
	struct rig *r = *state;
	rig_meter(r);
	/* While Exchange MTU waits: answers to other requests, errors of others, a short error */
	SCRIPT(r, "> 02 0502", "< 09 07 1100 20 1200 352a", "< 13", "< 0b 00", "< 01 08 0100 0a",
		"< 01 02 0000", "< 01", "i 6", "d 30000", "< 03 1700", "> 08 0100 ffff 0328",
		"< 03 1700", "i 7");
	/* Nothing is asked: an answer, an error */
	r->cache.valid = false;
	rig_meter(r);
	SCRIPT(r, SESSION, "< 13", "< 01 12 1300 0f", "< 01 00 0000 0a", "i 3", "d never");
}

static void test_writes(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[VG_PDU_MAX + 1] = {0};
	/* Queued before anything is known, sent in order after the subscriptions */
	rig_meter(r);
	assert_int_equal(att_write(r->att, 3, bytes, 1, r->now_ms), -ENOENT);
	assert_int_equal(att_write(r->att, 2, bytes, 513, r->now_ms), -EMSGSIZE);
	SCRIPT(r, "> 02 0502", "w 2 01", "w 2 02", "< 01 02 0000 06", CHARACTERISTICS_FOUND,
		CCC_FOUND, FEATURE_READ, "> 12 1300 0200", "w 2 03", "< 13", "= subscribed",
		"> 12 1700 01", "w 2 04", "< 13", "= written 2", "> 12 1700 02", "< 01 12 1700 80",
		"= refused 2 write 80", "> 12 1700 03", "< 13", "= written 2", "> 12 1700 04",
		"< 13", "= written 2", "w 2", "> 12 1700", "< 13", "= written 2");
	assert_int_equal(att_write(r->att, 2, bytes, 21, r->now_ms), -EMSGSIZE);
	/* The queue: the one under way counts */
	SCRIPT(r, "w 2 01", "> 12 1700 01", "w 2 02", "w 2 03", "w 2 04", "w 2 05", "w 2 06",
		"w 2 07", "w 2 08");
	assert_int_equal(att_write(r->att, 2, bytes, 1, r->now_ms), -ENOBUFS);
	SCRIPT(r, "< 13", "= written 2", "> 12 1700 02", "w 2 09");
	assert_int_equal(att_write(r->att, 2, bytes, 1, r->now_ms), -ENOBUFS);
	/* What shows only when its turn comes: absent, longer than the MTU */
	r->cache.valid = false;
	rig_meter(r);
	assert_int_equal(att_write(r->att, 1, bytes, 21, r->now_ms), 0);
	SCRIPT(r, "> 02 0502", "w 0 01", "w 2 02", "w 1 03", "< 01 02 0000 06",
		"> 08 0100 ffff 0328", "< 09 07 1100 28 1200 352a", "> 08 1200 ffff 0328",
		"< 01 08 1200 0a", "> 04 1300 ffff", "< 05 01 1300 0229", "= ready", ENABLED,
		"= refused 1 write 0d", "= refused 0 write 0a", "= refused 2 write 0a",
		"> 12 1200 03", "< 13", "= written 1");
}

static void test_write_command(void **state)
{
	struct rig *r = *state;
	const struct att_want wants[] = {want(0xfff1, VG_GATT_WRITE), want(0xfff2, VG_GATT_WRITE),
		want(0xfff3, VG_GATT_WRITE)};
	/* Properties: write without response; both ways; none at all */
	rig_link(r, wants, 3, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 0200 04 0300 f1ff 0400 0c 0500 f2ff",
		"> 08 0500 ffff 0328", "< 09 07 0600 00 0700 f3ff", "> 08 0700 ffff 0328",
		"< 01 08 0700 0a", "= ready", "= subscribed",
		/* Write Command: nothing is waited for */
		"w 0 aa", "> 52 0300 aa", "= written 0", "d never", "w 0 bb", "> 52 0300 bb",
		"= written 0", "w 1 cc", "> 12 0500 cc", "w 0 dd", "w 2 ee", "< 13", "= written 1",
		"> 52 0300 dd", "= written 0", "> 12 0700 ee", "< 01 12 0700 03",
		"= refused 2 write 03");
}

static void write_inside(struct rig *r, const struct att_event *e)
{
	const uint8_t byte = (uint8_t)r->reflexes;
	if (e->type == ATT_CLOSE) {
		assert_int_equal(att_write(r->att, 2, &byte, 1, r->now_ms), -ENOTCONN);
		att_confirm(r->att);
	} else if (r->reflexes < 5) {
		r->reflexes++;
		assert_int_equal(att_write(r->att, 2, &byte, 1, r->now_ms), 0);
	}
}

/* A driver writes from inside what it is told: nothing overtakes, and one request at a time. */
static void test_write_inside(void **state)
{
	struct rig *r = *state;
	r->reflex = write_inside;
	rig_meter(r);
	SCRIPT(r, FOUND, FEATURE_READ, ENABLED, "> 12 1700 00", "< 1d 1200 01",
		"= indicated 1 0012 01", "< 13", "= written 2", "> 12 1700 01", "< 13",
		"= written 2", "> 12 1700 02", "< 13", "= written 2", "> 12 1700 03", "< 13",
		"= written 2", "> 12 1700 04", "< 13", "= written 2", "d never", "w 2 99",
		"> 12 1700 99", "+ 30000", "= close -1 the device did not answer in time");
	/* Writing from inside of `ready` does not let a subscription overtake what was held */
	r->reflexes = 0;
	rig_meter(r);
	SCRIPT(r, "> 02 0502", "< 1d 1200 01", "< 01 02 0000 06", FEATURE_VERIFIED,
		MEASUREMENT_VERIFIED, TIME_VERIFIED, FEATURE_READ, "= indicated 1 0012 01",
		"> 12 1300 0200");
	/* With write commands the answer to a write is told inside the write; the next one follows */
	const struct att_want wants[] = {
		want(0x2a00, 0), want(0x2a01, 0), want(0xfff1, VG_GATT_WRITE)};
	r->cache.valid = false;
	r->reflexes = 0;
	rig_link(r, wants, 3, 517);
	SCRIPT(r, MTU_REFUSED, "> 08 0100 ffff 0328", "< 09 07 0200 04 0300 f1ff",
		"> 08 0300 ffff 0328", "< 01 08 0300 0a", "= ready", "= subscribed", "> 52 0300 00",
		"= written 2", "> 52 0300 01", "= written 2", "> 52 0300 02", "= written 2",
		"> 52 0300 03", "= written 2", "> 52 0300 04", "= written 2");
}

/* Every PDU of a session, cut at every length, at several points of the session: nothing falls over
 * and nothing is confirmed. What is sent and told is not judged here. */
static void test_truncated(void **state)
{
	struct rig *r = *state;
	static const char *const pdus[] = {"01 02 0000 06", "03 1700", "09 07 1100 20 1200 352a",
		"05 01 1300 0229", "05 02 1300 fb349b5f800000800010000002290000", "0b 2000",
		"0d 20", "11 06 1000 1f00 1018", "13", "1b 1200 01", "1d 1200 01", "02 4000",
		"08 0100 ffff 0028"};
	static const char *const path[] = {FOUND, FEATURE_READ, ENABLED, "w 2 01", NULL};
	for (size_t depth = 0; depth < ELEMENTS(path); depth++)
		for (size_t i = 0; i < ELEMENTS(pdus); i++) {
			uint8_t pdu[64];
			size_t whole = bytes_of(pdus[i], pdu);
			for (size_t len = 0; len <= whole; len++) {
				r->cache.valid = false;
				rig_meter(r);
				for (size_t k = 0; k < depth && path[k]; k++)
					if (*path[k] == '<' || *path[k] == 'w')
						rig_do(r, path[k]);
				r->n_log = 0;
				/* a copy of its own length, so that a sanitizer sees a byte too far */
				_cleanup_(freep) uint8_t *copy = malloc(len + !len);
				assert_non_null(copy);
				memcpy(copy, pdu, len);
				att_input(r->att, copy, len, r->now_ms);
				for (size_t k = 0; k < r->n_log; k++)
					assert_string_not_equal(r->log[k], "> 1e");
			}
		}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Noise, damaged and right answers at random times, through the invariants of the fuzz target. */
static void test_random_walk(void **state)
{
	(void)state;
	static uint8_t input[4096];
	uint32_t seed = 0x2a350001;
	memset(&fuzz_seen, 0, sizeof(fuzz_seen));
	while (fuzz_seen.pdus < 20000) {
		size_t n = 0;
		input[n++] = (uint8_t)next_random(&seed);
		input[n++] = (uint8_t)next_random(&seed);
		while (n + 16 < sizeof(input)) {
			/* mostly right answers, or no session would get anywhere */
			static const uint8_t ops[] = {
				0, 1, 1, 1, 1, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8};
			uint8_t op = ops[next_random(&seed) % sizeof(ops)];
			size_t len = op == 1 ? 1 : next_random(&seed) % 12;
			input[n++] = op;
			input[n++] = (uint8_t)len;
			while (len--)
				input[n++] = (uint8_t)next_random(&seed);
		}
		LLVMFuzzerTestOneInput(input, n);
	}
	for (size_t i = 0; i <= ATT_CLOSE; i++)
		assert_true(fuzz_seen.events[i] > 20);
	assert_true(fuzz_seen.confirmations > 20 && fuzz_seen.requests > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session),
		TEST(test_mtu),
		TEST(test_early_indication),
		TEST(test_early_limits),
		TEST(test_confirm),
		TEST(test_confirm_inside),
		TEST(test_notifications),
		TEST(test_reads),
		TEST(test_read_endless),
		TEST(test_encryption),
		TEST(test_encryption_never),
		TEST(test_encryption_nobody_pairs),
		TEST(test_timeout),
		TEST(test_peer_requests),
		TEST(test_peer_mtu),
		TEST(test_strays),
		TEST(test_writes),
		TEST(test_write_command),
		TEST(test_write_inside),
		TEST(test_truncated),
		TEST(test_random_walk),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("att", tests, NULL, NULL);
}
