/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the ATT client play: scripts. A script is a list of lines:
 *
 *   "> hex"    the client must send this PDU, next
 *   "< hex"    the peer sends this PDU
 *   "= text"   the client must tell this event, next
 *   "+ ms"     time passes; the client's deadline is honoured on the way
 *   "d ms"     the deadline is this far away; "d never"
 *   "c"        the owner confirms
 *   "w i hex"  the owner writes to want i
 *   "i n"      the client has ignored n things so far
 *
 * PDUs are little-endian, as on the air. Whatever is sent or told beside the script fails the test.
 *
 * The peripheral of most scripts:
 *   0010 primary service 1810 blood pressure
 *   0011 characteristic, indicate: 0012 is 2A35 measurement, 0013 its CCC
 *   0014 characteristic, read: 0015 is 2A49 feature
 *   0016 characteristic, read write: 0017 is 2A08 date time
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../daemon/att.h"
#include "../daemon/util.h"

#define RIG_LINES_MAX 64
#define RIG_LINE_MAX (2 * ATT_MTU + 64)
#define SCRIPT(t, ...) play(t, (const char *const[]){__VA_ARGS__, NULL}, __FILE__, __LINE__)

struct rig {
	struct att *att;
	struct att_cache cache;
	int64_t now_ms;
	char log[RIG_LINES_MAX]
		[RIG_LINE_MAX]; /* what was sent and told and is not in the script yet */
	size_t n_log;
	void (*reflex)(struct rig *r, const struct att_event *e);
	unsigned reflexes;
};

static char *log_line(struct rig *r)
{
	assert_true(r->n_log < RIG_LINES_MAX);
	return r->log[r->n_log++];
}

static void rig_send(void *arg, const uint8_t *pdu, size_t len)
{
	char *line = log_line(arg);
	memcpy(line, "> ", 2);
	hex(line + 2, pdu, len);
}

static void rig_event(void *arg, const struct att_event *e)
{
	struct rig *r = arg;
	char *line = log_line(r);
	char bytes[2 * ATT_MTU + 1];
	const char *use = e->use == VG_GATT_READ    ? "read"
			  : e->use == VG_GATT_WRITE ? "write"
						    : "subscribe";
	hex(bytes, e->bytes, e->len);
	switch (e->type) {
	case ATT_VALUE:
		snprintf(line, RIG_LINE_MAX, "= value %d %s", e->index, bytes);
		break;
	case ATT_NOTIFIED:
		snprintf(line, RIG_LINE_MAX, "= notified %d %04x %s", e->index, e->handle, bytes);
		break;
	case ATT_INDICATED:
		snprintf(line, RIG_LINE_MAX, "= indicated %d %04x %s", e->index, e->handle, bytes);
		break;
	case ATT_READY:
		snprintf(line, RIG_LINE_MAX, "= ready");
		break;
	case ATT_SUBSCRIBED:
		snprintf(line, RIG_LINE_MAX, "= subscribed");
		break;
	case ATT_WRITTEN:
		snprintf(line, RIG_LINE_MAX, "= written %d", e->index);
		break;
	case ATT_REFUSED:
		snprintf(line, RIG_LINE_MAX, "= refused %d %s %02x", e->index, use, e->code);
		break;
	case ATT_CLOSE:
		snprintf(line, RIG_LINE_MAX, "= close %d %s", e->index, e->why);
		break;
	}
	if (r->reflex)
		r->reflex(r, e);
}

/* Bytes of hex digits with spaces between. */
static size_t bytes_of(const char *text, uint8_t *out)
{
	char packed[RIG_LINE_MAX];
	size_t n = 0;
	for (; *text; text++)
		if (*text != ' ')
			packed[n++] = *text;
	packed[n] = 0;
	assert_true(unhex(out, n / 2, packed));
	return n / 2;
}

static void rig_expect(struct rig *r, const char *line, const char *file, int at, size_t step)
{
	char want[RIG_LINE_MAX];
	size_t n = 0;
	/* Spaces inside of a PDU are for the reader. */
	for (const char *p = line; *p; p++)
		if (*line != '>' || p < line + 2 || *p != ' ')
			want[n++] = *p;
	want[n] = 0;
	const char *got = r->n_log ? r->log[0] : "nothing";
	if (!streq(want, got)) {
		print_error("%s:%d: step %zu: expected \"%s\", got \"%s\"\n", file, at, step, want,
			got);
		fail();
	}
	r->n_log--;
	memmove(r->log[0], r->log[1], r->n_log * RIG_LINE_MAX);
}

static void rig_pass(struct rig *r, int64_t ms)
{
	int64_t until = r->now_ms + ms;
	while (att_deadline(r->att) <= until) {
		r->now_ms = MAX(r->now_ms, att_deadline(r->att));
		att_expire(r->att, r->now_ms);
	}
	r->now_ms = until;
	att_expire(r->att, r->now_ms);
}

static void rig_do(struct rig *r, const char *line)
{
	uint8_t bytes[RIG_LINE_MAX];
	const char *rest = line[1] ? line + 2 : "";
	int64_t deadline = att_deadline(r->att);
	switch (line[0]) {
	case '<':
		att_input(r->att, bytes, bytes_of(rest, bytes), r->now_ms);
		break;
	case '+':
		rig_pass(r, strtol(rest, NULL, 10));
		break;
	case 'd':
		assert_int_equal(deadline == INT64_MAX ? -1 : deadline - r->now_ms,
			streq(rest, "never") ? -1 : strtol(rest, NULL, 10));
		break;
	case 'c':
		att_confirm(r->att);
		break;
	case 'w':
		assert_int_equal(0, att_write(r->att, (unsigned)(rest[0] - '0'), bytes,
					    bytes_of(rest + 1, bytes), r->now_ms));
		break;
	case 'i':
		assert_int_equal(strtol(rest, NULL, 10), att_ignored(r->att));
		break;
	default:
		fail_msg("no such line: %s", line);
	}
}

static void play(struct rig *r, const char *const *script, const char *file, int at)
{
	size_t step = 1;
	for (; *script; script++, step++) {
		if (**script == '>' || **script == '=') {
			rig_expect(r, *script, file, at, step);
			continue;
		}
		if (r->n_log) {
			print_error("%s:%d: step %zu: not in the script: \"%s\"\n", file, at, step,
				r->log[0]);
			fail();
		}
		rig_do(r, *script);
	}
	if (r->n_log) {
		print_error("%s:%d: at the end: not in the script: \"%s\"\n", file, at, r->log[0]);
		fail();
	}
}

static void rig_link(struct rig *r, const struct att_want *wants, size_t n, uint16_t mtu)
{
	const struct att_ops ops = {rig_send, rig_event, r};
	r->n_log = 0;
	att_init(r->att, wants, n, &r->cache, mtu, &ops);
	att_start(r->att, r->now_ms);
}

static struct att_want want(uint16_t uuid, uint8_t use)
{
	return (struct att_want){.uuid = att_uuid16(uuid), .use = use};
}

/* feature, measurement, date time: want 0, 1, 2 */
static inline void rig_meter(struct rig *r)
{
	const struct att_want wants[] = {want(0x2a49, VG_GATT_READ),
		want(0x2a35, VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED), want(0x2a08, VG_GATT_WRITE)};
	rig_link(r, wants, ELEMENTS(wants), 517);
}

static int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
	r->att = malloc(att_size());
	r->now_ms = 1000000;
	*state = r;
	return r->att ? 0 : -1;
}

static int rig_teardown(void **state)
{
	struct rig *r = *state;
	free(r->att);
	free(r);
	return 0;
}

/* Exchange MTU Request, client 517; Error Response: request not supported. The MTU stays 23. */
#define MTU_REFUSED "> 02 0502", "< 01 02 0000 06"

/* Read By Type Request 0001..ffff, characteristic
 * Read By Type Response, each 7: 0011 indicate 0012 2A35; 0014 read 0015 2A49
 * Read By Type Request from 0015 on
 * Read By Type Response: 0016 read write 0017 2A08
 * Read By Type Request from 0017 on; Error Response: attribute not found */
#define CHARACTERISTICS_FOUND                                                              \
	"> 08 0100 ffff 0328", "< 09 07 1100 20 1200 352a 1400 02 1500 492a",              \
		"> 08 1500 ffff 0328", "< 09 07 1600 0a 1700 082a", "> 08 1700 ffff 0328", \
		"< 01 08 1700 0a"

/* Find Information Request 0013..0013; Response, 16-bit: 0013 CCC */
#define CCC_FOUND "> 04 1300 1300", "< 05 01 1300 0229"

#define FOUND MTU_REFUSED, CHARACTERISTICS_FOUND, CCC_FOUND

/* Read Request 0015; Read Response 0020 */
#define FEATURE_READ "> 0a 1500", "< 0b 2000", "= value 0 2000", "= ready"

/* Write Request 0013: indications; Write Response */
#define ENABLED "> 12 1300 0200", "< 13", "= subscribed"

#define SESSION FOUND, FEATURE_READ, ENABLED

/* Read By Type Request and Response for one declaration: 0011 indicate 0012 2A35, and so on */
#define FEATURE_VERIFIED "> 08 1400 1400 0328", "< 09 07 1400 02 1500 492a"
#define MEASUREMENT_VERIFIED "> 08 1100 1100 0328", "< 09 07 1100 20 1200 352a"
#define TIME_VERIFIED "> 08 1600 1600 0328", "< 09 07 1600 0a 1700 082a"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
