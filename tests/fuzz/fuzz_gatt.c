/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any driver of a Bluetooth LE instrument, connected or advertising: built for each with
 * -DDRIVER=name.
 *
 * Input: a byte of circumstances, a byte for each option with choices, 10 bytes of mark, then steps,
 * by byte & 7:
 *   0-3  channel byte, length byte, bytes: a value comes; a length above 250 makes it 512 bytes
 *   4    the timer runs out
 *   5    the oldest open unit is kept     6   byte: it is refused, one time in eight
 *   7    channel byte, code byte: what was sent there is refused with an ATT error
 * Held for each of them: every value gets a class; numbers are numbers and no code for "none"; what
 * is written goes where the table says, is little, and never deletes; the timer is no longer than
 * ten minutes; the same input says the same. vg_mock.h holds the rest.
 */
#include "vg_mock.h"

#define STRINGIZED(x) #x
#define NAME_OF(x) STRINGIZED(x)
#define UNITS 64
#define READINGS_MAX \
	96 /* of one callback: what a driver may have held back; records of 6 bytes in a PDU of 512 */
#define SENDS_MAX 4 /* of one callback */

extern const struct vg_driver DRIVER;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t fuzz_frame(char what, const char *channel, const uint8_t *bytes, size_t len, uint8_t *out,
	size_t size);

static uint64_t digest;

static void digest_add(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < len; i++)
		digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Words that say "none" in SFLOAT and FLOAT, as if they were numbers. Kinds whose numbers come as
 * plain integers may have them. */
static bool no_number(const struct vg_quantity *q)
{
	static const int64_t codes[] = {2047, 2046, -2046, -2047, -2048, 0x7fffff, 0x7ffffe,
		-0x7ffffe, -0x7fffff, -0x800000};
	if (!begins(q->kind, "bp.") && !begins(q->kind, "glu.") && !begins(q->kind, "spo2") &&
		!begins(q->kind, "temp"))
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (q->value.exponent == 0 && q->value.mantissa == codes[i])
			return true;
	return false;
}

static double number_of(struct vg_decimal d)
{
	double value = (double)d.mantissa;
	for (int e = d.exponent; e > 0; e--)
		value *= 10;
	for (int e = d.exponent; e < 0; e++)
		value /= 10;
	return value;
}

static void check_quantities(const struct vg_quantity *q, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		MOCK_CHECK(q[i].kind && *q[i].kind && *q[i].unit && !no_number(&q[i]));
		digest_add(q[i].kind, strlen(q[i].kind));
		digest_add(&q[i].value.mantissa, sizeof(q[i].value.mantissa));
		digest_add(&q[i].value.exponent, sizeof(q[i].value.exponent));
		digest_add(&q[i].comparator, 1);
		for (size_t j = 0; j < i; j++)
			MOCK_CHECK(strcmp(q[i].kind, q[j].kind) != 0);
	}
}

static void check_reading(struct vg_session *s, const struct vg_reading *r)
{
	const struct vg_quantity *q = r->quantities;
	check_quantities(q, r->n_quantities);
	MOCK_CHECK(s->readings <= READINGS_MAX && r->seq >= -1);
	if (strcmp(q[0].kind, "bp.sbp") == 0) {
		MOCK_CHECK(r->n_quantities >= 2 && strcmp(q[1].kind, "bp.dbp") == 0);
		MOCK_CHECK(number_of(q[0].value) > number_of(q[1].value));
		MOCK_CHECK(!r->identity_len ||
			   (r->taken && r->taken->year && r->taken->month && r->taken->day));
	}
	if (strcmp(q[0].kind, "glu.control") == 0 || r->n_notes > VG_NOTES_MAX)
		abort();
	digest_add(r->kind, strlen(r->kind));
	digest_add(r->identity, r->identity_len);
	digest_add(&r->user, sizeof(r->user));
	digest_add(&r->seq, sizeof(r->seq));
	for (size_t i = 0; i < r->n_flags; i++)
		digest_add(r->flags[i], strlen(r->flags[i]));
	for (size_t i = 0; i < r->n_notes; i++)
		digest_add(r->notes[i].text, r->notes[i].len);
}

static void check_event(struct vg_session *s, const struct vg_event *e)
{
	(void)s;
	digest_add(&e->type, sizeof(e->type));
	digest_add(&e->value, sizeof(e->value));
	if (e->detail)
		digest_add(e->detail, strlen(e->detail));
}

static void check_send(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len)
{
	MOCK_CHECK(s->driver->bus == VG_BUS_GATT && len && len <= VG_PDU_MAX);
	MOCK_CHECK(s->sends <= SENDS_MAX);
	if (s->driver->channels[channel].uuid16 == 0x2a52) /* report, abort, count */
		MOCK_CHECK(bytes[0] == 1 || bytes[0] == 3 || bytes[0] == 4);
	digest_add(bytes, len);
}

static void check_mark(struct vg_session *s, const char *key, const uint8_t *value, size_t len)
{
	(void)s;
	digest_add(key, strlen(key));
	digest_add(value, len);
}

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

struct run {
	struct vg_session *s;
	vg_ticket open[UNITS];
	unsigned n_open;
};

/* A callback is over: what it emitted is a unit that waits for its verdict. */
static void settle(struct run *r)
{
	MOCK_CHECK(r->s->timer_ms <= 600000 && r->s->marks <= MOCK_MARKS + READINGS_MAX);
	if (!r->s->emitted)
		return;
	if (r->n_open == UNITS)
		memmove(r->open, r->open + 1, --r->n_open * sizeof(r->open[0]));
	r->open[r->n_open++] = r->s->tickets;
}

static void verdict(struct run *r, bool kept)
{
	if (!r->n_open)
		return;
	vg_ticket ticket = r->open[0];
	memmove(r->open, r->open + 1, --r->n_open * sizeof(r->open[0]));
	if (kept)
		mock_kept(r->s, ticket);
	else
		mock_refused(r->s, ticket);
	settle(r);
}

static void value(struct run *r, struct input *in)
{
	uint8_t bytes[VG_PDU_MAX];
	unsigned channel = take(in) % (unsigned)r->s->driver->n_channels;
	size_t len = take(in), left = (size_t)(in->end - in->at), have = len < left ? len : left;
	size_t n = len > 250 && have ? sizeof(bytes) : have;
	for (size_t i = 0; i < n; i++)
		bytes[i] = in->at[i % have];
	in->at += have;
	mock_heard(r->s, channel, bytes, n);
	MOCK_CHECK(r->s->classed >= 1 || r->s->samples);
	if (DRIVER.bus == VG_BUS_GATT && !(DRIVER.channels[channel].use & VG_GATT_SUBSCRIBE))
		MOCK_CHECK(!r->s->readings); /* features, clocks and the like */
	settle(r);
}

static void step(struct run *r, struct input *in)
{
	switch (take(in) & 7) {
	case 4:
		if (mock_expire(r->s))
			settle(r);
		break;
	case 5:
		verdict(r, true);
		break;
	case 6:
		verdict(r, take(in) & 7);
		break;
	case 7: {
		unsigned channel = take(in) % (unsigned)r->s->driver->n_channels;
		mock_denied(r->s, channel, take(in));
		settle(r);
		break;
	}
	default:
		value(r, in);
	}
}

static void circumstances(struct vg_session *s, struct input *in)
{
	uint8_t how = take(in);
	size_t n = 0;
	s->excerpt = how & 1;
	s->clock_may_be_set = how & 4;
	for (size_t i = 0; i < DRIVER.n_options; i++) {
		const struct vg_option *o = &DRIVER.options[i];
		size_t n_choices = 0;
		while (o->choices && o->choices[n_choices])
			n_choices++;
		if (!n_choices || n == MOCK_OPTIONS)
			continue;
		s->options[n][0] = o->name;
		s->options[n++][1] = o->choices[take(in) % n_choices];
	}
	struct mock_mark *any = &s->mark[0];
	for (any->len = 0; any->len < 10; any->len++)
		any->value[any->len] = take(in);
	any->key[0] = how & 2 ? '*' : 0;
	if (how & 8)
		any->len = how >> 4; /* of another version */
}

static uint64_t play(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct run r = {.s = calloc(1, sizeof(*r.s))};
	MOCK_CHECK(r.s);
	digest = UINT64_C(0xcbf29ce484222325);
	circumstances(r.s, &in);
	r.s->on_reading = check_reading;
	r.s->on_event = check_event;
	r.s->on_send = check_send;
	r.s->on_mark = check_mark;
	mock_open(r.s, &DRIVER);
	settle(&r);
	while (in.at < in.end && !r.s->done)
		step(&r, &in);
	digest_add(r.s->results, sizeof(r.s->results));
	digest_add(&r.s->timer_ms, sizeof(r.s->timer_ms));
	mock_close(r.s);
	free(r.s);
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t first = play(data, size);
	MOCK_CHECK(play(data, size) == first);
	return 0;
}

/* A line of a capture as a piece of input: smoke.c makes seeds of them. */
size_t fuzz_frame(
	char what, const char *channel, const uint8_t *bytes, size_t len, uint8_t *out, size_t size)
{
	size_t n = 0, index = 0;
	if (what == 'b') { /* the beginning: live, first choices, no mark */
		for (size_t i = 0; i < DRIVER.n_options; i++)
			n += DRIVER.options[i].choices != NULL;
		memset(out, 0, n + 11);
		return n + 11;
	}
	if (what != '<') {
		out[0] = what == 'w' ? 4 : 5;
		return 1;
	}
	while (index < DRIVER.n_channels && strcmp(DRIVER.channels[index].name, channel) != 0)
		index++;
	if (index == DRIVER.n_channels || len > 250 || len + 3 > size)
		return 0;
	out[0] = 0;
	out[1] = (uint8_t)index;
	out[2] = (uint8_t)len;
	memcpy(out + 3, bytes, len);
	return len + 3;
}
