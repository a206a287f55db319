/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session for one driver without a daemon: fuzzers and experiments include it in exactly one file.
 * It defines the calls of the contract, checks what a driver hands over, and aborts on a broken promise.
 * Bytes and state lie in blocks of exactly their size, so that ASan sees every step outside.
 */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitalgate/driver.h>

#define MOCK_CHECK(condition)                                                           \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

#define MOCK_OPTIONS 8
#define MOCK_SENT 65536
#define MOCK_MARKS 4

struct mock_mark {
	char key[16];
	uint8_t value[64];
	size_t len;
};

struct vg_session {
	const struct vg_driver *driver;
	void *state;
	const char *options[MOCK_OPTIONS][2]; /* name, value: instead of the fallback */
	bool excerpt;
	vg_ticket tickets; /* last one given */
	bool inside;	   /* a callback runs */
	bool emitted;	   /* in the callback at hand: it has the ticket `tickets` */
	unsigned
		starve; /* the n-th emission or piece of a study from now finds no memory; 0: none */
	bool starved;	/* in the callback at hand */
	unsigned readings, events, identities, marks; /* of the callback at hand */
	unsigned results[VG_RESULTS];		      /* of the session */
	unsigned classed;			      /* classes given in the callback at hand */
	unsigned sends;				      /* of the callback at hand */
	uint8_t sent[MOCK_SENT];		      /* bytes of the callback at hand */
	size_t sent_len;
	unsigned timer_ms; /* 0: not armed */
	const char *done;
	struct vg_now now;
	uint8_t *held; /* stream: bytes not yet cut */
	size_t n_held;
	bool noisy; /* noise was counted since the last frame */
	bool study_begun;
	uint8_t *study; /* what was appended, also after its end */
	size_t study_len;
	unsigned samples, studies;
	const void *profile;		   /* of the driver */
	struct mock_mark mark[MOCK_MARKS]; /* a key of "*" is the mark of any key that has none */
	bool clock_may_be_set;
	/* A test may look at what passes; NULL: nobody does. */
	void (*on_reading)(struct vg_session *s, const struct vg_reading *r);
	void (*on_event)(struct vg_session *s, const struct vg_event *e);
	void (*on_send)(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len);
	void (*on_mark)(struct vg_session *s, const char *key, const uint8_t *value, size_t len);
	void (*on_heard)(struct vg_session *s, const uint8_t *bytes, size_t len); /* after it */
};

/* Reads every byte, so that ASan and MSan look at it. */
static inline void mock_touch(const void *bytes, size_t len)
{
	static volatile uint8_t sum;
	const uint8_t *p = bytes;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
}

static inline vg_ticket mock_emit(struct vg_session *s)
{
	MOCK_CHECK(s->inside);
	if (s->starve && --s->starve == 0) {
		s->starved = true;
		return 0;
	}
	if (!s->emitted)
		s->tickets++;
	s->emitted = true;
	return s->tickets;
}

void vg_send(struct vg_session *s, unsigned channel, const void *bytes, size_t len)
{
	MOCK_CHECK(s->inside && s->sent_len + len <= sizeof(s->sent));
	MOCK_CHECK(
		s->driver->bus == VG_BUS_STREAM ? channel == 0 : channel < s->driver->n_channels);
	MOCK_CHECK(
		s->driver->bus != VG_BUS_GATT || s->driver->channels[channel].use & VG_GATT_WRITE);
	if (len)
		memcpy(s->sent + s->sent_len, bytes, len);
	s->sent_len += len;
	s->sends++;
	if (s->on_send)
		s->on_send(s, channel, bytes, len);
}

void vg_timer(struct vg_session *s, unsigned ms)
{
	MOCK_CHECK(s->inside);
	s->timer_ms = ms;
}

void vg_done(struct vg_session *s, const char *why)
{
	MOCK_CHECK(s->inside && why);
	s->done = why;
}

void vg_result(struct vg_session *s, enum vg_result result)
{
	MOCK_CHECK(s->inside && result > VG_READING && result < VG_RESULTS);
	s->results[result]++;
	s->classed++;
}

static inline void mock_civil_check(const struct vg_civil *c)
{
	if (c)
		mock_touch(c, sizeof(*c));
}

vg_ticket vg_reading(struct vg_session *s, const struct vg_reading *r)
{
	MOCK_CHECK(r->kind && r->n_quantities > 0 && r->n_quantities <= VG_QUANTITIES_MAX);
	MOCK_CHECK(r->n_flags <= VG_FLAGS_MAX && r->n_notes <= VG_NOTES_MAX);
	MOCK_CHECK(r->identity_len <= VG_IDENTITY_MAX && r->user >= -1 && r->user < 256);
	mock_civil_check(r->taken);
	for (size_t i = 0; i < r->n_quantities; i++) {
		const struct vg_quantity *q = &r->quantities[i];
		MOCK_CHECK((q->kind || (q->local && *q->local)) && q->unit);
		MOCK_CHECK(!q->comparator || strchr("<=>", q->comparator));
		mock_touch(q->unit, strlen(q->unit) + 1);
		if (q->local)
			mock_touch(q->local, strlen(q->local) + 1);
		if (q->received)
			mock_touch(q->received, strlen(q->received) + 1);
	}
	for (size_t i = 0; i < r->n_flags; i++)
		for (size_t j = 0; j < i; j++)
			MOCK_CHECK(strcmp(r->flags[i], r->flags[j]) != 0);
	for (size_t i = 0; i < r->n_notes; i++) {
		MOCK_CHECK(r->notes[i].key && r->notes[i].len);
		mock_touch(r->notes[i].text, r->notes[i].len);
	}
	mock_touch(r->identity, r->identity_len);
	mock_touch(r->patient, r->patient_len);
	if (r->raw)
		mock_touch(r->raw, r->raw_len);
	s->readings++;
	s->results[VG_READING]++;
	s->classed++;
	if (s->on_reading)
		s->on_reading(s, r);
	return mock_emit(s);
}

vg_ticket vg_rejected(
	struct vg_session *s, enum vg_result result, const char *why, const void *raw, size_t len)
{
	volatile uint8_t sum = 0;
	for (size_t k = 0; k < len; k++)
		sum = (uint8_t)(sum + ((const uint8_t *)raw)[k]);
	assert(why);
	vg_result(s, result);
	return mock_emit(s);
}

vg_ticket vg_event(struct vg_session *s, const struct vg_event *e)
{
	MOCK_CHECK(e->type < VG_EVENTS);
	MOCK_CHECK(e->type != VG_EVENT_DEVICE_CLOCK || e->civil);
	MOCK_CHECK(e->type != VG_EVENT_BATTERY || (e->value >= 0 && e->value <= 100));
	mock_civil_check(e->civil);
	if (e->detail)
		mock_touch(e->detail, strlen(e->detail) + 1);
	s->events++;
	if (s->on_event)
		s->on_event(s, e);
	return mock_emit(s);
}

vg_ticket vg_identity(struct vg_session *s, enum vg_identity_type type, const void *id, size_t len)
{
	MOCK_CHECK(type <= VG_IDENTITY_CARD && len);
	mock_touch(id, len);
	s->identities++;
	return mock_emit(s);
}

void vg_study_begin(struct vg_session *s)
{
	MOCK_CHECK(s->inside);
	free(s->study);
	s->study = NULL;
	s->study_begun = true;
	s->study_len = 0;
}

int vg_study_append(struct vg_session *s, const void *bytes, size_t len)
{
	MOCK_CHECK(s->inside);
	if (!s->study_begun || len > VG_STUDY_MAX - s->study_len)
		return -27; /* EFBIG */
	if (s->starve && --s->starve == 0)
		return -12; /* ENOMEM */
	s->study = realloc(s->study, s->study_len + len + 1);
	MOCK_CHECK(s->study);
	memcpy(s->study + s->study_len, bytes, len);
	s->study_len += len;
	return 0;
}

vg_ticket vg_study_end(struct vg_session *s, size_t len)
{
	MOCK_CHECK(s->inside && len > 0);
	if (!s->study_begun)
		return 0;
	vg_ticket ticket = mock_emit(s);
	if (!ticket)
		return 0;
	s->study_begun = false;
	s->study_len = len < s->study_len ? len : s->study_len;
	s->studies++;
	return ticket;
}

void vg_sample(struct vg_session *s, const struct vg_sample *x)
{
	MOCK_CHECK(s->inside && x->kind && x->n_quantities <= VG_SAMPLE_QUANTITIES_MAX &&
		   x->n_flags <= VG_FLAGS_MAX);
	for (size_t i = 0; i < x->n_quantities; i++)
		MOCK_CHECK(x->quantities[i].kind && x->quantities[i].unit);
	for (size_t i = 0; i < x->n_flags; i++)
		MOCK_CHECK(x->flags[i]);
	s->samples++;
}

const void *vg_profile(struct vg_session *s)
{
	return s->profile;
}

static inline struct mock_mark *mock_mark_of(struct vg_session *s, const char *key)
{
	for (size_t i = 0; i < MOCK_MARKS; i++)
		if (strcmp(s->mark[i].key, key) == 0)
			return &s->mark[i];
	return NULL;
}

vg_ticket vg_mark(struct vg_session *s, const char *key, const void *value, size_t len)
{
	struct mock_mark *m = mock_mark_of(s, key);
	MOCK_CHECK(*key && strlen(key) < sizeof(m->key) && len <= sizeof(m->value));
	if (!m)
		m = mock_mark_of(s, "");
	MOCK_CHECK(m);
	memcpy(m->key, key, strlen(key) + 1);
	memcpy(m->value, value, len);
	m->len = len;
	s->marks++;
	if (s->on_mark)
		s->on_mark(s, key, value, len);
	return mock_emit(s);
}

const uint8_t *vg_marked(struct vg_session *s, const char *key, size_t *ret_len)
{
	const struct mock_mark *m = mock_mark_of(s, key);
	m = m ? m : mock_mark_of(s, "*");
	if (!m)
		return NULL;
	*ret_len = m->len;
	return m->value;
}

bool vg_clock_set(struct vg_session *s, unsigned tolerance_s, struct vg_civil *ret_now)
{
	const char *policy = vg_option(s, "clock");
	(void)tolerance_s;
	if (!s->clock_may_be_set || strcmp(policy, "set") != 0)
		return false;
	*ret_now = s->now.civil;
	mock_emit(s);
	return true;
}

void *vg_state(struct vg_session *s)
{
	return s->state;
}

const char *vg_option(struct vg_session *s, const char *name)
{
	for (size_t i = 0; i < MOCK_OPTIONS; i++)
		if (s->options[i][0] && strcmp(s->options[i][0], name) == 0)
			return s->options[i][1];
	for (size_t i = 0; i < s->driver->n_options; i++)
		if (strcmp(s->driver->options[i].name, name) == 0)
			return s->driver->options[i].fallback;
	fprintf(stderr, "no option %s in the driver's table\n", name);
	abort();
}

static inline void mock_enter(struct vg_session *s)
{
	MOCK_CHECK(!s->inside);
	s->inside = true;
	s->emitted = s->starved = false;
	s->readings = s->events = s->identities = s->marks = s->sends = s->classed = 0;
	s->sent_len = 0;
}

static inline void mock_leave(struct vg_session *s)
{
	s->inside = false;
}

/* `s` is zeroed but for options, excerpt and hooks. */
static inline void mock_open(struct vg_session *s, const struct vg_driver *driver)
{
	s->driver = driver;
	s->state = driver->state_size ? calloc(1, driver->state_size) : NULL;
	s->now = (struct vg_now){.utc_us = INT64_C(1718442000000000),
		.boot_us = 5000000,
		.civil = {.year = 2024, .month = 6, .day = 15, .hour = 17}};
	mock_enter(s);
	if (driver->opened)
		driver->opened(s, s->excerpt);
	mock_leave(s);
}

static inline void mock_close(struct vg_session *s)
{
	free(s->state);
	free(s->held);
	free(s->study);
}

static inline void mock_heard(struct vg_session *s, unsigned channel, const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	MOCK_CHECK(copy);
	if (len)
		memcpy(copy, bytes, len);
	mock_enter(s);
	s->driver->heard(s, channel, copy, len, &s->now);
	mock_leave(s);
	if (s->on_heard)
		s->on_heard(s, copy, len);
	free(copy);
}

static inline void mock_kept(struct vg_session *s, vg_ticket ticket)
{
	mock_enter(s);
	if (s->driver->kept)
		s->driver->kept(s, ticket);
	mock_leave(s);
}

static inline void mock_refused(struct vg_session *s, vg_ticket ticket)
{
	mock_enter(s);
	if (s->driver->refused)
		s->driver->refused(s, ticket, -5); /* EIO */
	mock_leave(s);
}

static inline void mock_denied(struct vg_session *s, unsigned channel, uint8_t code)
{
	mock_enter(s);
	if (s->driver->denied)
		s->driver->denied(s, channel, code, &s->now);
	mock_leave(s);
}

/* The timer runs out; false: it was not armed. */
static inline bool mock_expire(struct vg_session *s)
{
	if (!s->timer_ms)
		return false;
	s->now.utc_us += s->timer_ms * INT64_C(1000);
	s->now.boot_us += s->timer_ms * INT64_C(1000);
	s->timer_ms = 0;
	mock_enter(s);
	if (s->driver->expired)
		s->driver->expired(s, &s->now);
	mock_leave(s);
	return true;
}

/* Forgets the first `n` held bytes; what is left lies in a block of its size. */
static inline void mock_drop(struct vg_session *s, size_t n)
{
	size_t left = s->n_held - n;
	uint8_t *rest = malloc(left ? left : 1);
	MOCK_CHECK(rest);
	if (left)
		memcpy(rest, s->held + n, left);
	free(s->held);
	s->held = rest;
	s->n_held = left;
}

static inline void mock_noise(struct vg_session *s)
{
	if (!s->noisy)
		s->results[VG_MALFORMED]++;
	s->noisy = true;
}

/* Cuts all whole frames off what is held. */
static inline void mock_cut(struct vg_session *s)
{
	while (s->n_held) {
		struct vg_frame f = s->driver->frame(s->state, s->held, s->n_held);
		MOCK_CHECK(f.skip <= s->n_held && f.length <= s->n_held - f.skip);
		MOCK_CHECK(f.skip || f.length || s->n_held < s->driver->frame_max);
		if (f.skip && !f.filler)
			mock_noise(s);
		if (f.length) {
			s->noisy = false;
			mock_heard(s, 0, s->held + f.skip, f.length);
		}
		if (!f.skip && !f.length)
			return;
		mock_drop(s, f.skip + f.length);
	}
}

static inline void mock_stream(struct vg_session *s, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	while (len) {
		size_t room = s->driver->frame_max - s->n_held, n = len < room ? len : room;
		uint8_t *more = malloc(s->n_held + n);
		MOCK_CHECK(n && more);
		if (s->n_held)
			memcpy(more, s->held, s->n_held);
		memcpy(more + s->n_held, p, n);
		free(s->held);
		s->held = more;
		s->n_held += n;
		p += n;
		len -= n;
		mock_cut(s);
	}
}

/* The line has been silent for frame_gap_ms. */
static inline void mock_gap(struct vg_session *s)
{
	while (s->driver->frame_gap_ms && s->n_held) {
		mock_noise(s);
		mock_drop(s, 1);
		mock_cut(s);
	}
}
