/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of places and repeats share, on top of gateway_rig.h: readings of any kinds that arrive so many
 * seconds after RIG_NOW, on a boot clock that began at WATCH_BOOT, and a look at what is due then.
 */
#pragma once

#include "gateway_rig.h"

#include "watch.h"

#define WATCH_BOOT (1000 * CLOCK_SECOND_US)

struct watch_number {
	const char *kind;
	int64_t mantissa; /* x 10^exponent, in the canonical unit */
	int8_t exponent;
	char comparator;
};

struct watch_reading {
	const char *kind;
	struct watch_number numbers[3]; /* up to the first without a kind */
	const char *flags[3];		/* up to the first NULL */
	const char *identity;		/* NULL: the device has none */
	bool corrected, undated;	/* `undated`: out of a memory, without a time */
};

static inline int64_t at_us(int64_t at_s)
{
	return at_s * CLOCK_SECOND_US;
}

static inline struct unit *watch_unit(struct rig *r, int64_t device, int64_t at_s)
{
	struct unit *u = rig_unit(r);
	u->device_row = device;
	u->arrived_us = RIG_NOW + at_us(at_s);
	u->boot_us = WATCH_BOOT + at_us(at_s);
	return u;
}

static inline struct uuid watch_add(struct rig *r, struct unit *u, const struct watch_reading *w)
{
	struct vg_quantity q[3] = {0};
	struct vg_reading in = {.kind = w->kind,
		.live = !w->undated,
		.user = -1,
		.seq = -1,
		.status = w->corrected ? VG_CORRECTED : VG_FINAL,
		.quantities = q,
		.flags = w->flags};
	while (in.n_flags < 3 && w->flags[in.n_flags])
		in.n_flags++;
	for (size_t i = 0; i < 3 && w->numbers[i].kind; i++) {
		const struct code *code = codes_find(r->gateway.codes, w->numbers[i].kind);
		assert_non_null(code);
		q[in.n_quantities++] = (struct vg_quantity){.kind = w->numbers[i].kind,
			.value = {w->numbers[i].mantissa, w->numbers[i].exponent},
			.comparator = w->numbers[i].comparator,
			.unit = code->ucum};
	}
	char why[96] = "", raw[160];
	int len = 0;
	for (size_t i = 0; i < in.n_quantities; i++)
		len += snprintf(raw + len, sizeof(raw) - (size_t)len, "%s %lld;", q[i].kind,
			(long long)q[i].value.mantissa);
	struct reading *reading = unit_add_reading(u);
	assert_non_null(reading);
	assert_true(bytes_copy(&reading->raw, (const uint8_t *)raw, (size_t)len));
	if (reading_take(reading, &in, "bt_blp", r->gateway.codes, why) != VG_READING)
		fail_msg("%s", why);
	reading_identify(reading, u->uid, "bt_blp", (const uint8_t *)w->identity,
		w->identity ? strlen(w->identity) : 0);
	u->counts[VG_READING]++;
	return reading->id;
}

static inline void watch_look_at(struct rig *r, int64_t at_s)
{
	int64_t next = 0;
	rig_script(r, "BEGIN IMMEDIATE");
	assert_int_equal(watch_look(&r->gateway, r->db, RIG_NOW + at_us(at_s),
				 WATCH_BOOT + at_us(at_s), &next),
		0);
	rig_script(r, "COMMIT");
}

/* As a start of the process at that instant does. */
static inline void watch_begin_at(struct rig *r, int64_t utc_us, int64_t boot_us, bool fresh)
{
	rig_script(r, "BEGIN IMMEDIATE");
	assert_int_equal(watch_begin(&r->gateway, r->db, utc_us, boot_us, fresh), 0);
	rig_script(r, "COMMIT");
}

static inline void watch_expect_text(struct rig *r, const char *sql, const char *expected)
{
	char text[512];
	rig_text(r, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

/* "fridge-warm active 1, ..." in the order in which they were raised; by their first rule. */
static inline void watch_expect_alerts(struct rig *r, const char *expected)
{
	watch_expect_text(r,
		"SELECT coalesce(group_concat(json_extract(body,'$.rules[0].id')||' '||state||' '||"
		"revision,', '),'') FROM (SELECT * FROM alert ORDER BY id)",
		expected);
}
