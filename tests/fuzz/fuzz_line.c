/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine of line profiles, with one profile of each layout, fed with lines. Input: one byte of choices, three of
 * a seed for how the bytes are split, then bytes: lines as they are, or edits of good ones.
 *
 * Beside the bounds:
 *   - every frame has exactly one class, or is a sample; nothing is ever sent, nothing ends the session;
 *   - an identity has a time, a time is one that there was, and all numbers are those of a field;
 *   - raw has nothing of the patient field;
 *   - frame() moves on, and cuts the same frames however the bytes were split;
 *   - a scrubbed frame is as long, scrubbed, and tells the same as before.
 */
#include "vg_mock.h"

#include <vitalgate/line.h>
#include <vitalgate/pattern.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUANTITY(code_, unit_) \
	.what = VG_LINE_QUANTITY, .kind = code_, .unit = unit_, .scale = {.mantissa = 1}

/* 2026-07-11 08:30|R-0001    |0|128|082| *      a mark or a blank behind the numbers */
static const struct vg_line columns = {
	.kind = "bp",
	.layout = VG_LINE_COLUMNS,
	.match = {"####-##-## ##:##|??????????|?|???|???|*"},
	.ignore = {"STATION *"},
	.fields = {{.what = VG_LINE_TIME, .from = 1, .to = 16, .format = "YYYY-MM-DD hh:mm"},
		{.what = VG_LINE_PATIENT, .from = 18, .to = 27},
		{.what = VG_LINE_ERROR, .from = 29, .to = 29, .listed = {"0", ""}, .n_listed = 2},
		{QUANTITY("bp.sbp", "mmHg"), .from = 31, .to = 33},
		{QUANTITY("bp.dbp", "kPa"), .from = 35, .to = 37},
		{.what = VG_LINE_FLAGS,
			.from = 39,
			.optional = true,
			.word = 0,
			.n_words = 2,
			.other_known = true,
			.other = 4}},
	.n_fields = 6,
	.words = {{.text = "*", .flags = 1}, {.text = "R", .flags = 2}},
	.flags = {"moved", "repeated", "other"},
	.n_flags = 3,
	.without_value = 2,
	.notes = {{.key = "position", .text = "sitting"}},
	.n_notes = 1,
};

/* STX 0705,1720,a name,12/Mar/26 7:05 ETX */
static const struct vg_line separated = {
	.kind = "weight",
	.layout = VG_LINE_SEPARATED,
	.separator = ',',
	.stx = true,
	.pieces_min = 4,
	.pieces_max = 5,
	.match = {"*#,*,*,*"},
	.fields = {{.what = VG_LINE_QUANTITY,
			   .kind = "weight",
			   .unit = "kg",
			   .scale = {.mantissa = 25, .exponent = -2},
			   .from = 1,
			   .to = 1,
			   .listed = {"0"},
			   .n_listed = 1,
			   .word = 0,
			   .n_words = 2},
		{QUANTITY("height", "mm"), .from = 2, .to = 2, .listed = {"-", ""}, .n_listed = 2},
		{.what = VG_LINE_PATIENT, .from = 3, .to = 3},
		{.what = VG_LINE_TIME, .from = 4, .to = 4, .format = "DD/MMM/YY hh:mm:ss"}},
	.n_fields = 4,
	.words = {{.text = "kg"}, {.text = "?", .flags = 1}},
	.flags = {"unsteady"},
	.n_flags = 1,
};

/* 03/12/26 08:30:00 SPO2=097% PR=072* ST=0010 NOTE=text */
static const struct vg_line pairs = {
	.kind = "spo2",
	.samples = true,
	.layout = VG_LINE_PAIRS,
	.assign = '=',
	.match = {"##/##/## ##:##:## SPO2=* ST=$$$$*"},
	.ignore = {"*VERSION*"},
	.fields = {{.what = VG_LINE_TIME, .from = 1, .to = 2, .format = "MM/DD/YY hh:mm:ss"},
		{QUANTITY("spo2", "%"), .key = "SPO2", .listed = {"---"}, .n_listed = 1, .word = 0,
			.n_words = 2},
		{QUANTITY("spo2.pulse", "/min"), .key = "PR", .optional = true, .word = 0,
			.n_words = 2},
		{.what = VG_LINE_BITS, .key = "ST", .word = 2, .n_words = 3},
		{.what = VG_LINE_FLAGS,
			.key = "NOTE",
			.optional = true,
			.word = 5,
			.n_words = 1,
			.other_known = true}},
	.n_fields = 5,
	.words = {{.text = "%"}, {.text = "*", .flags = 1}, {.bit = 1, .flags = 2},
		{.bit = 0x10, .flags = 4}, {.bit = 0x8000, .flags = 8}, {.text = "MO", .flags = 2}},
	.flags = {"alarm", "motion", "sensor_off", "fault"},
	.n_flags = 4,
	.without_value = 12,
};

static const struct layout {
	const struct vg_line *profile;
	const char *line;
} layouts[] = {
	{&columns, "2026-07-11 08:30|R-0001    |0|128|082|*\r\n"},
	{&columns, "2026-02-30 08:30|          |3|   |   |\r\n"},
	{&separated, "\x02"
		     "0705kg,1720,a name,12/Mar/26 07:05:00\x03"},
	{&pairs, "03/12/26 08:30:00 SPO2=097% PR=072* ST=0010 NOTE=MO\r\n"},
	{&pairs, "03/12/26 08:30:00 SPO2=--- ST=0001\r\nVERSION 1.2 S/N 3\r\n"},
};

static struct vg_driver driver;
static size_t frames_hash;
static struct vg_session *second; /* hears the same frames, scrubbed */
static size_t told[2];		  /* a hash of what the two were told */

static size_t hash_of(size_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = hash * 31 + ((const uint8_t *)bytes)[i];
	return hash * 31 + 7;
}

static void tell(const struct vg_session *s, const void *bytes, size_t len)
{
	size_t *hash = &told[s == second];
	*hash = hash_of(*hash, bytes, len);
}

static void check_civil(const struct vg_civil *c)
{
	MOCK_CHECK(
		c->year && c->month - 1u < 12 && c->day && c->day <= vg_days_of(c->year, c->month));
	MOCK_CHECK(c->hour < 24 && c->minute < 60 && c->second < 60);
}

static void check_reading(struct vg_session *s, const struct vg_reading *r)
{
	const struct vg_line *p = s->profile;
	MOCK_CHECK(!p->samples && strcmp(r->kind, p->kind) == 0);
	MOCK_CHECK(!r->identity_len == !r->taken);
	if (r->taken)
		check_civil(r->taken);
	tell(s, r->identity, r->identity_len);
	for (size_t i = 0; i < r->n_quantities; i++) {
		tell(s, r->quantities[i].received, strlen(r->quantities[i].received));
		tell(s, &r->quantities[i].value.mantissa, sizeof(int64_t));
	}
	for (size_t i = 0; i < r->n_flags; i++)
		tell(s, r->flags[i], strlen(r->flags[i]));
	MOCK_CHECK(r->raw && r->raw_len);
	for (size_t i = 17; i < 27 && p == &columns; i++)
		MOCK_CHECK(i < r->raw_len && r->raw[i] < 0x80 &&
			   !memchr("0123456789RTrt", r->raw[i], 14));
}

static void check_event(struct vg_session *s, const struct vg_event *e)
{
	if (e->civil)
		check_civil(e->civil);
	if (e->detail)
		tell(s, e->detail, strlen(e->detail));
}

static void check_scrubbed(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	uint8_t once[VG_LINE_MAX], twice[VG_LINE_MAX];
	MOCK_CHECK(len <= sizeof(once));
	memcpy(once, bytes, len);
	driver.scrub(&driver, 0, once, len);
	memcpy(twice, once, len);
	driver.scrub(&driver, 0, twice, len);
	MOCK_CHECK(memcmp(once, twice, len) == 0);
	mock_heard(second, 0, once, len);
	MOCK_CHECK(second->readings == s->readings && second->events == s->events);
	MOCK_CHECK(second->classed == s->classed && second->samples == s->samples);
	MOCK_CHECK(second->results[VG_NOTHING] == s->results[VG_NOTHING]);
	MOCK_CHECK(told[0] == told[1]);
}

static void check_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	unsigned samples = s->samples - second->samples; /* of this frame */
	frames_hash = hash_of(frames_hash, bytes, len);
	MOCK_CHECK(!s->sends && !s->done && !s->timer_ms);
	MOCK_CHECK(s->readings + samples <= 1 && s->events <= 1);
	MOCK_CHECK(s->classed + samples >= 1 && s->classed <= 2);
	check_scrubbed(s, bytes, len);
}

/* The frames of all bytes at once. */
static size_t hash_whole(const uint8_t *line, size_t len)
{
	size_t hash = 0;
	while (len) {
		struct vg_frame f = driver.frame(NULL, line, len);
		MOCK_CHECK(f.skip <= len && f.length <= len - f.skip);
		if (f.length)
			hash = hash_of(hash, line + f.skip, f.length);
		if (!f.skip && !f.length)
			break;
		line += f.skip + f.length;
		len -= f.skip + f.length;
	}
	return hash;
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void run(struct vg_session *s, const uint8_t *line, size_t len, uint32_t seed)
{
	bool quiet = seed & 1; /* no gap: then the split must not matter */
	for (size_t at = 0; at < len;) {
		size_t n = 1 + random_next(&seed) % 40;
		if (n > len - at)
			n = len - at;
		mock_stream(s, line + at, n);
		at += n;
		if (!quiet && (random_next(&seed) & 0x1f0) == 0x1f0)
			mock_gap(s);
	}
	if (quiet)
		MOCK_CHECK(frames_hash == hash_whole(line, len));
}

/* Good lines with edits: each three bytes say where, what, and whether it is put in, put over, or taken out. */
static size_t edited(const char *good, const uint8_t *edits, size_t n, uint8_t *out, size_t size)
{
	size_t one = strlen(good), len = 0;
	for (; len + one <= size / 4; len += one)
		memcpy(out + len, good, one);
	for (; n >= 3 && len; edits += 3, n -= 3) {
		size_t at = (edits[0] | (edits[2] >> 6) << 8) % len;
		if (edits[2] % 3 == 0 && len < size) {
			memmove(out + at + 1, out + at, len++ - at);
			out[at] = edits[1];
		} else if (edits[2] % 3 == 1) {
			memmove(out + at, out + at + 1, --len - at);
		} else {
			out[at] = edits[1];
		}
	}
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	const struct layout *layout = &layouts[data[0] % (sizeof(layouts) / sizeof(layouts[0]))];
	uint32_t seed = (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3] | 1u << 24;
	size_t len = size - 4;
	uint8_t *line = malloc(len + 1024);
	struct vg_session *s = calloc(1, sizeof(*s));
	second = calloc(1, sizeof(*second));
	MOCK_CHECK(line && s && second);
	if (data[0] & 0x80)
		memcpy(line, data + 4, len);
	else
		len = edited(layout->line, data + 4, len, line, 1024);
	frames_hash = told[0] = told[1] = 0;
	driver = vg_line;
	driver.profile = s->profile = second->profile = layout->profile;
	s->on_reading = second->on_reading = check_reading;
	s->on_event = second->on_event = check_event;
	s->on_heard = check_heard;
	mock_open(s, &driver);
	mock_open(second, &driver);
	run(s, line, len, seed);
	mock_close(s);
	mock_close(second);
	free(s);
	free(second);
	free(line);
	return 0;
}
