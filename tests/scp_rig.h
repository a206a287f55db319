/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes SCP-ECG records, right ones and wrong ones. Nothing here is taken from the reader. */
#pragma once

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "ecg/ecg.h"

#define RIG_RECORD_MAX (5 * 1024 * 1024)
#define RIG_SECTION_0 (16 + 12 * 10)

/* --- bytes */

struct out {
	uint8_t *bytes;
	size_t len, size;
	unsigned bit; /* bits used of the last byte; 0: all */
};

static inline void put_bytes(struct out *o, const void *bytes, size_t len)
{
	if (o->len + len > o->size) {
		o->size = 2 * (o->len + len);
		o->bytes = realloc(o->bytes, o->size);
		assert_non_null(o->bytes);
	}
	if (len)
		memcpy(o->bytes + o->len, bytes, len);
	o->len += len;
	o->bit = 0;
}

/* Numbers, little-endian; each letter of `widths` is the bytes of one: "1224". */
static inline void put(struct out *o, const char *widths, ...)
{
	va_list list;
	va_start(list, widths);
	for (const char *w = widths; *w; w++) {
		uint32_t v = va_arg(list, uint32_t);
		uint8_t b[] = {
			(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
		put_bytes(o, b, (size_t)(*w - '0'));
	}
	va_end(list);
}

/* "110 01": the first is the highest of the next byte. */
static inline void put_bits(struct out *o, const char *bits)
{
	for (; *bits; bits++) {
		if (*bits == ' ')
			continue;
		unsigned bit = o->bit;
		if (bit == 0)
			put(o, "1", 0);
		if (*bits == '1')
			o->bytes[o->len - 1] |= (uint8_t)(0x80 >> bit);
		o->bit = (bit + 1) % 8;
	}
}

static inline void put_number(struct out *o, int64_t value, unsigned bits)
{
	while (bits--)
		put_bits(o, value >> bits & 1 ? "1" : "0");
}

/* The default table of EN 1064. */
static inline void put_value(struct out *o, int32_t v)
{
	if (v >= -8 && v <= 8) {
		for (int i = 0; i < abs(v); i++)
			put_bits(o, "1");
		put_bits(o, "0");
		if (v)
			put_bits(o, v < 0 ? "1" : "0");
	} else if (v >= -128 && v <= 127) {
		put_bits(o, "111111111 0");
		put_number(o, v, 8);
	} else {
		assert_true(v >= -32768 && v <= 32767);
		put_bits(o, "1111111111");
		put_number(o, v, 16);
	}
}

static inline void out_clear(struct out *o)
{
	free(o->bytes);
	*o = (struct out){0};
}

/* --- a record */

struct rig {
	struct out sections[12]; /* bodies; without bytes: not there */
	struct out pointers;	 /* behind the twelve */
	struct out gap;		 /* bytes behind the last section */
	uint8_t *record;
	size_t len, at[12]; /* where the sections stand */
	struct ecg *e;
	char text[4096];
};

static inline uint16_t rig_crc(const uint8_t *bytes, size_t len)
{
	uint16_t crc = 0xffff;
	for (size_t i = 0; i < len; i++)
		for (unsigned bit = 8; bit--;) {
			bool one = (crc >> 15) != (bytes[i] >> bit & 1);
			crc = (uint16_t)(crc << 1 ^ (one ? 0x1021 : 0));
		}
	return crc;
}

static inline void rig_set(struct rig *r, size_t at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		r->record[at + i] = (uint8_t)(value >> 8 * i);
}

static inline void rig_fix_section(struct rig *r, unsigned id)
{
	size_t at = r->at[id], len = 0;
	for (unsigned i = 4; i--;)
		len = len << 8 | r->record[at + 4 + i];
	if (len >= 16 && at + len <= r->len)
		rig_set(r, at, rig_crc(r->record + at + 2, len - 2), 2);
}

static inline void rig_fix_record(struct rig *r)
{
	rig_set(r, 0, rig_crc(r->record + 2, r->len - 2), 2);
}

/* Puts the record together. */
static inline void rig_build(struct rig *r)
{
	size_t zero = RIG_SECTION_0 + r->pointers.len, at = 6 + zero;
	free(r->record);
	r->record = calloc(1, RIG_RECORD_MAX);
	assert_non_null(r->record);
	for (unsigned id = 0; id < 12; id++) {
		struct out *s = &r->sections[id];
		bool there = id == 0 || s->bytes;
		if (s->len % 2)
			put(s, "1", 0);
		size_t len = id == 0 ? zero : there ? 16 + s->len : 0;
		r->at[id] = id == 0 ? 6 : at;
		rig_set(r, 6 + 16 + 10 * id, id, 2);
		rig_set(r, 6 + 18 + 10 * id, len, 4);
		rig_set(r, 6 + 22 + 10 * id, there ? r->at[id] + 1 : 0, 4);
		if (!there)
			continue;
		rig_set(r, r->at[id] + 2, id, 2);
		rig_set(r, r->at[id] + 4, len, 4);
		rig_set(r, r->at[id] + 8, 0x1414, 2);
		if (id) {
			memcpy(r->record + at + 16, s->bytes, s->len);
			at += len;
		}
	}
	memcpy(r->record + 6 + 10, "SCPECG", 6);
	if (r->pointers.len)
		memcpy(r->record + 6 + RIG_SECTION_0, r->pointers.bytes, r->pointers.len);
	if (r->gap.len)
		memcpy(r->record + at, r->gap.bytes, r->gap.len);
	r->len = at + r->gap.len;
	rig_set(r, 2, r->len, 4);
	for (unsigned id = 0; id < 12; id++)
		if (id == 0 || r->sections[id].bytes)
			rig_fix_section(r, id);
	rig_fix_record(r);
}

static inline void rig_tag(struct rig *r, unsigned tag, const void *bytes, size_t len)
{
	put(&r->sections[1], "12", tag, (unsigned)len);
	put_bytes(&r->sections[1], bytes, len);
}

#define RIG_TAG(r, tag, ...) \
	rig_tag(r, tag, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

static inline void rig_tag_text(struct rig *r, unsigned tag, const char *text)
{
	rig_tag(r, tag, text, strlen(text) + 1);
}

/* Tag 14 with this language, and without strings. */
static inline void rig_device(struct rig *r, uint8_t language)
{
	uint8_t device[36] = {[7] = 8, [8] = 'T', 'E', 'S', 'T', [16] = language, [18] = 1};
	rig_tag(r, 14, device, sizeof(device));
}

/* A section 1 to which tags can be added. */
static inline void rig_patient(struct rig *r, uint8_t language)
{
	out_clear(&r->sections[1]);
	RIG_TAG(r, 25, 0xea, 0x07, 1, 31); /* 2026-01-31 08:09:10 */
	RIG_TAG(r, 26, 8, 9, 10);
	rig_device(r, language);
	rig_tag_text(r, 2, "R-0001");
}

static inline void rig_lead(struct rig *r, uint32_t start, uint32_t end, unsigned id)
{
	struct out *s = &r->sections[3];
	if (!s->bytes)
		put(s, "11", 0, 4);
	s->bytes[0]++;
	put(s, "441", start, end, id);
}

/* The head of section 5 or 6. */
static inline void rig_head(
	struct rig *r, unsigned id, unsigned avm, unsigned interval, unsigned difference)
{
	out_clear(&r->sections[id]);
	put(&r->sections[id], "2211", avm, interval, difference, 0);
}

/* A lead's samples as int16. */
static inline struct out rig_raw(const int32_t *samples, size_t n)
{
	struct out o = {0};
	for (size_t i = 0; i < n; i++)
		put(&o, "2", samples[i]);
	return o;
}

/* Differences of this order, in the default table; filled up with ones, which are no sample. */
static inline struct out rig_coded(const int32_t *x, size_t n, unsigned order)
{
	struct out o = {0};
	for (size_t i = 0; i < n; i++)
		put_value(&o, i < order	   ? x[i]
			      : order == 2 ? x[i] - 2 * x[i - 1] + x[i - 2]
			      : order == 1 ? x[i] - x[i - 1]
					   : x[i]);
	while (o.bit || o.len % 2)
		put_bits(&o, "1");
	return o;
}

/* The lengths of leads, and their data, which is freed. */
static inline void rig_pieces(struct rig *r, unsigned id, struct out *pieces, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(&r->sections[id], "2", (unsigned)pieces[i].len);
	for (unsigned i = 0; i < n; i++) {
		put_bytes(&r->sections[id], pieces[i].bytes, pieces[i].len);
		out_clear(&pieces[i]);
	}
}

static inline void rig_drop(struct rig *r, unsigned id)
{
	out_clear(&r->sections[id]);
}

/* R-0001, leads I and II of four samples each, 500 Hz, 2.5 uV. */
static inline void rig_start(struct rig *r)
{
	*r = (struct rig){.e = malloc(sizeof(*r->e))};
	assert_non_null(r->e);
	ecg_init(r->e);
	rig_patient(r, 0);
	rig_lead(r, 1, 4, 1);
	rig_lead(r, 1, 4, 2);
	rig_head(r, 6, 2500, 2000, 0);
	struct out pieces[] = {
		rig_raw((int32_t[]){10, -20, 30, -40}, 4), rig_raw((int32_t[]){1, 2, 3, 4}, 4)};
	rig_pieces(r, 6, pieces, 2);
}

static inline void rig_stop(struct rig *r)
{
	for (unsigned i = 0; i < 12; i++)
		out_clear(&r->sections[i]);
	out_clear(&r->pointers);
	out_clear(&r->gap);
	ecg_free(r->e);
	free(r->e);
	free(r->record);
	*r = (struct rig){0};
}

/* --- reading */

/* Reads `len` bytes of the record, no byte more is there. */
static inline bool rig_read_part(struct rig *r, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, r->record, len);
	ecg_free(r->e);
	ecg_init(r->e);
	bool known = scp_read(r->e, exact, len);
	free(exact);
	assert_false(r->e->failed);
	return known;
}

/* What became of it: "no", "code: detail" of a rejection, or the warnings, "; " between them. */
static inline const char *rig_verdict(struct rig *r, size_t len)
{
	if (!rig_read_part(r, len))
		return "no";
	size_t n = 0;
	r->text[0] = 0;
	if (r->e->rejected) {
		n = snprintf(r->text, sizeof(r->text), "%s%s%s", r->e->rejected,
			*r->e->detail ? ": " : "", r->e->detail);
		assert_int_equal(r->e->n_leads, 0);
	}
	for (unsigned i = 0; i < r->e->n_warnings; i++)
		n += snprintf(
			r->text + n, sizeof(r->text) - n, "%s%s", n ? "; " : "", r->e->warnings[i]);
	return r->text;
}

/* Builds, reads, and has a look at the verdict. */
static inline void rig_expect(struct rig *r, const char *verdict)
{
	rig_build(r);
	assert_string_equal(rig_verdict(r, r->len), verdict);
}

static inline void expect_samples(const struct ecg_lead *lead, const int32_t *samples, uint32_t n)
{
	assert_int_equal(lead->n, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(lead->samples[i], samples[i]);
}

#define EXPECT_SAMPLES(lead, ...)                      \
	expect_samples(lead, (int32_t[]){__VA_ARGS__}, \
		sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
