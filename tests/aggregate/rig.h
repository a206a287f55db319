/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An oximeter in the hand of the test: what it shows goes through a session, what is told is
 * written down as lines. Included after cmocka.h in exactly one file of a test program.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "model.h"
#include "session.h"
#include "util.h"

#define SECOND CLOCK_SECOND_US
#define ENTRIES 4000

enum { ARTIFACT = 1, RED = 2, LOST = 4 };

static struct {
	struct codes *codes;
	struct vg_session *session;
	struct session_ops ops;
	struct vg_now now;
	int64_t base_us;
	const char *options[4][2];
	struct entry entries[ENTRIES]; /* what was put in, as far as there is room */
	size_t n_entries;
	struct lines told;
	unsigned counts[VG_RESULTS];
	size_t raw_most;
	struct vg_decimal decimal; /* instead of the saturation, if it is one */
} rig;

/* the instrument: saturation, pulse high, pulse low, flags; 255: none */

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	(void)channel, (void)len, (void)now;
	struct vg_quantity q[2];
	const char *flags[MODEL_FLAGS];
	struct vg_sample x = {.kind = "spo2", .quantities = q, .flags = flags};
	int pulse = bytes[1] << 8 | bytes[2];
	if (bytes[0] != 255)
		q[x.n_quantities++] = (struct vg_quantity){
			.kind = "spo2", .value = {bytes[0] * 10, -1}, .unit = "%"};
	if (rig.decimal.mantissa)
		q[0].value = rig.decimal;
	if (pulse != 0xffff)
		q[x.n_quantities++] = (struct vg_quantity){
			.kind = "spo2.pulse", .value = {pulse, 0}, .unit = "/min"};
	for (unsigned i = 0; i < MODEL_FLAGS; i++)
		if (bytes[3] & 1u << i)
			flags[x.n_flags++] = model_flags[i];
	vg_sample(s, &x);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};
static const struct vg_channel channels[] = {{.uuid16 = 1, .name = "0001"}};
static const struct vg_driver clip = {.name = "clip",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = 1,
	.options = options,
	.n_options = ELEMENTS(options),
	.heard = heard};

/* An auditor has the raw text alone: expands one histogram of it and takes the middle. */
static int recounted(const char *raw, const char *name)
{
	static int values[1 << 19];
	const char *at = strstr(raw, name);
	size_t n = 0;
	int value, end;
	unsigned count;
	if (!at)
		return -1;
	for (at += strlen(name); sscanf(at, " %d:%u%n", &value, &count, &end) == 2; at += end)
		for (; count; count--) {
			assert_true(n < ELEMENTS(values) && value >= (n ? values[n - 1] : 0));
			values[n++] = value;
		}
	assert_true(n > 0);
	return values[(n - 1) / 2];
}

static void put_reading(const struct reading *r)
{
	static const char *const kinds[] = {
		"spo2", "spo2.pulse", "spo2.min", "spo2.low_s", "spo2.artifact"};
	int values[] = {-1, -1, -1, -1, -1};
	char raw[10001];
	for (unsigned i = 0; i < r->n_quantities; i++)
		for (unsigned k = 0; k < ELEMENTS(kinds); k++)
			if (streq(r->quantities[i].code->kind, kinds[k]))
				values[k] = (int)(r->quantities[i].value.milli / 1000);
	struct line l = {rig.now.boot_us - rig.base_us, values[0], values[1], values[2], values[3],
		values[4], {NULL}, r->n_flags};
	for (unsigned i = 0; i < r->n_flags; i++)
		l.flags[i] = r->flags[i];
	lines_reading(&rig.told, &l);
	assert_string_equal(r->kind, "spo2");
	assert_false(r->has_taken);
	assert_true(r->raw.len < sizeof(raw));
	memcpy(raw, r->raw.at, r->raw.len);
	raw[r->raw.len] = 0;
	assert_int_equal(recounted(raw, "spo2"), values[0]);
	assert_int_equal(recounted(raw, "pulse"), values[1]);
	rig.raw_most = MAX(rig.raw_most, r->raw.len);
}

static void on_submit(void *arg, struct unit *u)
{
	(void)arg;
	for (const struct reading *r = u->readings; r; r = r->next)
		put_reading(r);
	for (const struct happening *e = u->events; e; e = e->next)
		lines_event(&rig.told, rig.now.boot_us - rig.base_us, e->type, e->detail);
	for (unsigned i = 0; i < VG_RESULTS; i++)
		rig.counts[i] += u->counts[i];
	unit_free(u);
}

static void on_done(void *arg, const char *why)
{
	(void)arg;
	fail_msg("the session ended: %s", why);
}

static const char *on_option(void *arg, const char *name)
{
	(void)arg;
	for (size_t i = 0; i < ELEMENTS(rig.options); i++)
		if (rig.options[i][0] && streq(rig.options[i][0], name))
			return rig.options[i][1];
	return NULL;
}

/* "mode", "continuous", ... NULL. */
static void open_with(const char *name, ...)
{
	va_list list;
	va_start(list, name);
	memset(rig.options, 0, sizeof(rig.options));
	for (size_t i = 0; name; name = va_arg(list, const char *), i++) {
		rig.options[i][0] = name;
		rig.options[i][1] = va_arg(list, const char *);
	}
	va_end(list);
	rig.ops = (struct session_ops){.submit = on_submit, .done = on_done, .option = on_option};
	clock_now(&rig.now);
	rig.base_us = rig.now.boot_us;
	rig.n_entries = rig.told.len = rig.raw_most = 0;
	rig.decimal = (struct vg_decimal){0};
	rig.told.text[0] = 0;
	memset(rig.counts, 0, sizeof(rig.counts));
	rig.session = session_new(&(struct session_start){.driver = &clip,
					  .codes = rig.codes,
					  .number = 1,
					  .uid = "sn:1",
					  .ops = &rig.ops},
		&rig.now);
	assert_non_null(rig.session);
}

static void play(const struct entry *e)
{
	rig.now.boot_us = rig.base_us + e->at_us;
	uint8_t pdu[] = {(uint8_t)(e->spo2 < 0 ? 255 : e->spo2), (uint8_t)(e->pulse >> 8),
		(uint8_t)e->pulse, (uint8_t)e->flags};
	if (rig.n_entries < ENTRIES)
		rig.entries[rig.n_entries++] = *e;
	if (e->tick)
		session_flush(rig.session, &rig.now);
	else
		session_value(rig.session, 0, pdu, sizeof(pdu), false, &rig.now);
}

static int64_t clock_us(void)
{
	return rig.now.boot_us - rig.base_us;
}

/* The next sample comes when those before it have lasted: three a second, unless said otherwise. */
static int64_t step_us = SECOND / 3 + 1;

static void show_as(int seconds, int spo2, int pulse, unsigned flags)
{
	int64_t end_us = clock_us() + seconds * SECOND;
	for (int64_t t = clock_us(); t < end_us; t += step_us)
		play(&(struct entry){t, false, spo2, pulse, flags});
	rig.now.boot_us = rig.base_us + end_us;
}

static void show(int seconds, int spo2)
{
	show_as(seconds, spo2, 72, 0);
}

static void blank(int seconds)
{
	show_as(seconds, -1, -1, LOST);
}

/* Nothing comes at all; the daemon looks every 5 s. */
static void silence(int seconds)
{
	int64_t end_us = clock_us() + seconds * SECOND;
	for (int64_t t = clock_us() + 5 * SECOND; t <= end_us; t += 5 * SECOND)
		play(&(struct entry){t, true, -1, -1, 0});
	rig.now.boot_us = rig.base_us + end_us;
}

static void end(void)
{
	session_end(rig.session, &rig.now);
	session_free(TAKE(rig.session));
}

#define TOLD(wanted)                                          \
	do {                                                  \
		if (rig.session)                              \
			end();                                \
		assert_string_equal(rig.told.text, (wanted)); \
	} while (0)
