/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * registers fed with poll records, by a profile with an item of every kind. Input: one byte that varies the profile,
 * then records: a length byte and as many bytes, given as they are or, with the top bit of the length, made into
 * a good record: each block takes its bytes, or is not answered.
 *
 * Beside the bounds: every record has one class, and a good one is never malformed; a number stands in a reading
 * once and within its limits; nothing is sent, nothing asks for time; an event has a text.
 */
#include "vg_mock.h"

#include <vitalgate/decimal.h>
#include <vitalgate/registers.h>

extern const struct vg_driver vg_registers;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NUMBER(name_, block_, at_, size_, type_, code_)                                         \
	.name = name_, .block = block_, .at = at_, .size = size_, .type = VG_REGISTERS_##type_, \
	.code = code_, .unit = "1", .scale = {1, 0}, .decimals = 9, .stuck = name_ "_stuck"
#define LIMITS(low, high) .has_min = true, .has_max = true, .min = low, .max = high

static const struct vg_registers pattern = {.kind = "environment",
	.n_blocks = 4,
	.blocks = {{1, 0, 2}, {2, 9, 1}, {3, 0, 9}, {4, 5, 4}},
	.n_items = 11,
	.words = {{1, "one"}, {0, "zero"}, {7, "seven"}},
	.items = {
		{NUMBER("a", 0, 0, 1, BIT, "x.bits"), .n_words = 1, .flag = true},
		{NUMBER("b", 0, 1, 1, BIT, "x.bits"), .invert = true},
		{NUMBER("c", 1, 0, 1, BIT, ""), .n_words = 2},
		{NUMBER("d", 2, 0, 2, INT16, "x.int16"), .scale = {1, -1}, .n_invalid = 2,
			.invalid = {0x7fff, 0x8000}, .max_unchanged_s = 2,
			LIMITS(((struct vg_decimal){-45, 0}), ((struct vg_decimal){85, 0}))},
		{NUMBER("e", 2, 2, 2, UINT16, ""), .has_mask = true, .mask = 0xff0, .shift = 4,
			.word = 1, .n_words = 2, .flag = true},
		{NUMBER("f", 2, 4, 2, BCD16, "x.bcd"), .offset = {-5, -1},
			LIMITS(((struct vg_decimal){0, 0}), ((struct vg_decimal){9000, 0}))},
		{NUMBER("g", 2, 6, 4, INT32, "x.int32"), .order = VG_REGISTERS_CDAB,
			.scale = {123456789012345, -9}, .decimals = 2},
		{NUMBER("h", 2, 10, 8, STRING, ""), .order = VG_REGISTERS_BADC},
		{NUMBER("i", 3, 0, 4, FLOAT32, "x.float"), .order = VG_REGISTERS_DCBA,
			.decimals = 3, .has_deadband = true, .deadband = {5, -1},
			.max_unchanged_s = 1,
			LIMITS(((struct vg_decimal){-100, 0}), ((struct vg_decimal){150, 0}))},
		{NUMBER("j", 3, 4, 4, FLOAT32, ""), .scale = {999999999999999, 0},
			.offset = {1, -15}},
		{NUMBER("k", 3, 0, 4, UINT32, "x.uint32"), .order = VG_REGISTERS_BADC},
	}};

static struct vg_registers profile;
static bool repaired;

static void check_reading(struct vg_session *s, const struct vg_reading *r)
{
	(void)s;
	MOCK_CHECK(!r->identity_len && !r->taken && !r->patient_len && r->n_quantities <= 7);
	for (size_t i = 0; i < r->n_quantities; i++) {
		const struct vg_quantity *q = &r->quantities[i];
		for (size_t k = 0; k < i; k++)
			MOCK_CHECK(strcmp(q->kind, r->quantities[k].kind) != 0);
		for (size_t k = 0; k < profile.n_items; k++) {
			const struct vg_registers_item *item = &profile.items[k];
			if (strcmp(item->code, q->kind) != 0)
				continue;
			MOCK_CHECK(!item->has_min || vg_minus(q->value, item->min).mantissa >= 0);
			MOCK_CHECK(!item->has_max || vg_minus(q->value, item->max).mantissa <= 0);
			MOCK_CHECK(q->value.exponent >= -item->decimals);
			MOCK_CHECK(vg_decimal_fits(q->value.mantissa));
		}
	}
	for (size_t i = 0; i < r->n_notes; i++)
		MOCK_CHECK(r->notes[i].len < 100);
}

static void check_event(struct vg_session *s, const struct vg_event *e)
{
	(void)s;
	MOCK_CHECK(e->type == VG_EVENT_DEVICE_ERROR && e->detail && strchr(e->detail, ':'));
}

static void check_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	(void)bytes, (void)len;
	MOCK_CHECK(s->classed == 1 && !s->sends && !s->timer_ms && !s->done);
	MOCK_CHECK(s->readings + s->events <= 1u + profile.n_blocks + 2u * profile.n_items);
	if (!repaired)
		return;
	MOCK_CHECK(!s->results[VG_MALFORMED]);
}

/* Odd first byte of what is left: no answer. */
static size_t repair(const uint8_t *from, size_t len, uint8_t *out)
{
	size_t n = 0;
	for (unsigned i = 0; i < profile.n_blocks; i++) {
		size_t bytes = vg_registers_bytes(&profile.blocks[i]);
		bool lost = !len || from[0] & 1;
		out[n++] = lost ? 0 : (uint8_t)bytes;
		if (len) {
			from++;
			len--;
		}
		for (size_t k = 0; k < (lost ? 1 : bytes); k++) {
			uint8_t byte = len ? *from : 0;
			out[n++] = !lost && profile.blocks[i].function <= 2 ? byte & 1 : byte;
			from += len > 0;
			len -= len > 0;
		}
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	profile = pattern;
	profile.max_interval_s = data[0] & 1 ? 3 : 0;
	for (unsigned i = 0; i < profile.n_items && data[0] & 2; i++)
		profile.items[i].order = (uint8_t)(data[0] >> 2 & 3);
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(s);
	s->profile = &profile;
	s->on_reading = check_reading;
	s->on_event = check_event;
	s->on_heard = check_heard;
	mock_open(s, &vg_registers);
	for (size_t at = 1; at < size;) {
		uint8_t record[64];
		size_t len = data[at] & 0x7f;
		repaired = data[at++] & 0x80;
		if (len > size - at)
			len = size - at;
		s->now.boot_us += 700000;
		s->results[VG_MALFORMED] = 0;
		if (repaired)
			mock_heard(s, 0, record, repair(data + at, len, record));
		else
			mock_heard(s, 0, data + at, len);
		at += len;
	}
	mock_close(s);
	free(s);
	return 0;
}
