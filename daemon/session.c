/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session.h"

#include "aggregate.h"
#include "log.h"

#include <assert.h>
#include <errno.h>

struct owed {
	vg_ticket ticket;
	bool kept;
};

struct vg_session {
	struct session_start start;
	const struct vg_driver *driver;
	char uid[96];
	vg_ticket last_ticket;
	struct unit *unit; /* what the callback at hand emitted; NULL: nothing yet */
	const struct vg_now *now;
	const uint8_t *raw; /* the PDU or frame at hand */
	size_t raw_len;
	bool classed; /* the driver said a class for it, the last one being: */
	enum vg_result result;
	uint32_t counts[VG_RESULTS]; /* not yet part of a unit */
	const char *ack_mode;
	bool offset_known;
	int64_t offset_us;
	bool ended;
	bool closed;	      /* session_end() was here */
	bool short_of_memory; /* something of the unit at hand is missing: it must not be kept */
	struct owed owed[SESSION_OWED_MAX];
	unsigned n_owed;
	uint8_t *held; /* stream bytes that are no frame yet */
	size_t n_held, held_size;
	bool in_noise;
	struct bytes blob;
	size_t blob_limit;
	bool blob_open;
	uint8_t *state;		     /* the driver's */
	struct aggregate *aggregate; /* of its samples; NULL: there were none */
};

const char *session_result_name(enum vg_result r)
{
	static const char *const names[VG_RESULTS] = {
		"reading", "nothing", "malformed", "out_of_sequence", "unsupported", "implausible"};
	return names[r];
}

static void trace(struct vg_session *s, enum trace what, int channel, const void *bytes, size_t len,
	vg_ticket ticket)
{
	const struct session_ops *ops = s->start.ops;
	if (ops->trace)
		ops->trace(ops->arg,
			&(struct session_trace){what, channel, bytes, len, ticket, s->now});
}

/* units */

/* A callback of the driver follows, or the end of a stretch of time. */
static void begin(struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	s->now = now;
	s->raw = bytes;
	s->raw_len = len;
	s->classed = false;
}

/* The unit of the callback at hand. NULL when memory is short: then nothing is acknowledged. */
static struct unit *unit_at_hand(struct vg_session *s)
{
	if (s->unit)
		return s->unit;
	struct unit *u = unit_new();
	if (!u) {
		s->short_of_memory = true;
		return NULL;
	}
	u->ticket = ++s->last_ticket;
	u->session = s->start.number;
	u->driver = s->driver->name;
	u->driver_version = s->driver->version;
	text_copy(u->uid, sizeof(u->uid), s->uid, strlen(s->uid));
	s->unit = u;
	return u;
}

static void submit(struct vg_session *s)
{
	struct unit *u = TAKE(s->unit);
	if (s->short_of_memory) { /* nothing was acknowledged: it will be told again */
		unit_free(u);
		vg_done(s, "out of memory");
		return;
	}
	if (!u)
		return;
	u->ack_mode = s->ack_mode;
	u->arrived_us = s->now->utc_us;
	u->boot_us = s->now->boot_us;
	u->offset_known = s->offset_known;
	u->offset_us = s->offset_us;
	memcpy(u->counts, s->counts, sizeof(u->counts));
	memset(s->counts, 0, sizeof(s->counts));
	s->start.ops->submit(s->start.ops->arg, u);
}

static bool anything_counted(const struct vg_session *s)
{
	for (unsigned i = 0; i < VG_RESULTS; i++)
		if (s->counts[i])
			return true;
	return false;
}

static void flush(struct vg_session *s)
{
	if (!s->unit && !anything_counted(s))
		return;
	struct unit *u = unit_at_hand(s);
	if (!u)
		return;
	u->ticket = 0;
	submit(s);
}

void session_flush(struct vg_session *s, const struct vg_now *now)
{
	begin(s, NULL, 0, now);
	if (s->aggregate && !s->ended)
		aggregate_tick(s->aggregate, now);
	flush(s);
}

/* the calls of a driver */

void vg_send(struct vg_session *s, unsigned channel, const void *bytes, size_t len)
{
	if (s->ended)
		return;
	trace(s, TRACE_SENT, (int)channel, bytes, len, s->last_ticket);
	s->start.ops->send(s->start.ops->arg, channel, bytes, len);
}

void vg_timer(struct vg_session *s, unsigned ms)
{
	s->start.ops->timer(s->start.ops->arg, ms);
}

void vg_done(struct vg_session *s, const char *why)
{
	if (!s->ended)
		s->start.ops->done(s->start.ops->arg, why);
	s->ended = true;
}

void vg_result(struct vg_session *s, enum vg_result result)
{
	assert(result < VG_RESULTS);
	s->counts[result]++;
	s->classed = true;
	s->result = result;
}

void *vg_state(struct vg_session *s)
{
	return s->state;
}

const char *vg_option(struct vg_session *s, const char *name)
{
	const char *text =
		s->start.ops->option ? s->start.ops->option(s->start.ops->arg, name) : NULL;
	for (size_t i = 0; !text && i < s->driver->n_options; i++)
		if (streq(s->driver->options[i].name, name))
			text = s->driver->options[i].fallback;
	return text;
}

const uint8_t *vg_marked(struct vg_session *s, const char *key, size_t *ret_len)
{
	return s->start.ops->mark ? s->start.ops->mark(s->start.ops->arg, key, ret_len) : NULL;
}

vg_ticket vg_mark(struct vg_session *s, const char *key, const void *value, size_t len)
{
	struct unit *u = unit_at_hand(s);
	struct mark *m = u ? u->marks : NULL;
	assert(len <= sizeof(m->value) && strlen(key) < sizeof(m->key));
	while (m && !streq(m->key, key))
		m = m->next;
	if (u && !m && (m = calloc(1, sizeof(*m)))) {
		text_copy(m->key, sizeof(m->key), key, strlen(key));
		m->next = u->marks;
		u->marks = m;
	}
	if (!m) {
		s->short_of_memory = true;
		return 0;
	}
	memcpy(m->value, value, len); /* said twice in one callback: the later one holds */
	m->len = len;
	return u->ticket;
}

static struct happening *add_event(struct vg_session *s, const char *type, const char *detail)
{
	struct unit *u = unit_at_hand(s);
	struct happening *e = u ? unit_add_event(u, type) : NULL;
	s->short_of_memory |= !e;
	if (e && detail)
		text_copy(e->detail, sizeof(e->detail), detail, strlen(detail));
	return e;
}

static void note_clock(struct vg_session *s, const struct vg_event *e)
{
	int64_t device_us;
	if (!e->civil || !clock_plausible(s->now->utc_us) || !clock_civil_utc(e->civil, &device_us))
		return;
	int64_t offset = device_us - s->now->utc_us;
	/* A message that says an earlier time may have waited: that is no proof of a slow clock. */
	s->offset_known = e->value != 1 || offset > -60 * CLOCK_SECOND_US;
	s->offset_us = offset;
}

vg_ticket vg_event(struct vg_session *s, const struct vg_event *in)
{
	static const char *const types[VG_EVENTS] = {"failed_measurement", "device_clock",
		"battery", "device_error", "memory_full", "instrument_restart", "control_solution",
		"episode"};
	assert(in->type < VG_EVENTS);
	if (in->type == VG_EVENT_DEVICE_CLOCK)
		note_clock(s, in);
	struct happening *e = add_event(s, types[in->type], in->detail);
	if (!e)
		return 0;
	e->has_civil = in->civil != NULL;
	if (in->civil)
		e->civil = *in->civil;
	e->value = in->value;
	if (s->driver->bus != VG_BUS_STREAM && s->raw_len &&
		!bytes_copy(&e->raw, s->raw, s->raw_len)) {
		s->short_of_memory = true;
		return 0;
	}
	return s->unit->ticket;
}

vg_ticket vg_identity(struct vg_session *s, enum vg_identity_type type, const void *id, size_t len)
{
	static const char *const types[] = {"token", "id_card", "card"};
	(void)id; /* who may be identified by a card, and for how long, is a station's business */
	(void)len;
	return add_event(s, "identity_presented", types[type]) ? s->unit->ticket : 0;
}

void vg_sample(struct vg_session *s, const struct vg_sample *x)
{
	if (!s->aggregate && !(s->aggregate = aggregate_new(s))) {
		s->short_of_memory = true;
		return;
	}
	if (!s->classed)
		vg_result(s, VG_NOTHING); /* by itself it is no reading */
	aggregate_add(s->aggregate, x, s->now);
}

const void *vg_profile(struct vg_session *s)
{
	return s->driver->profile;
}

/* A reading that cannot be kept as one is kept as what it is: an event with its raw bytes, and with the
 * flags of the instrument, which may know that the value is dangerous. */
static void keep_as_event(struct vg_session *s, enum vg_result result, const char *why,
	const struct vg_reading *in, struct reading *r)
{
	char detail[96];
	int n = snprintf(detail, sizeof(detail), "%s", why);
	for (size_t i = 0; i < in->n_flags && n < (int)sizeof(detail); i++)
		n += snprintf(detail + n, sizeof(detail) - (size_t)n, "%s%s",
			i ? " " : "; flags: ", in->flags[i]);
	struct happening *e = add_event(s, session_result_name(result), detail);
	if (e)
		e->raw = r->raw;
	else
		free(r->raw.at);
	free(r);
}

vg_ticket vg_rejected(
	struct vg_session *s, enum vg_result result, const char *why, const void *raw, size_t len)
{
	vg_result(s, result);
	struct happening *e = add_event(s, session_result_name(result), why);
	if (e && !bytes_copy(&e->raw, raw, len))
		s->short_of_memory = true;
	return e ? s->unit->ticket : 0;
}

vg_ticket vg_reading(struct vg_session *s, const struct vg_reading *in)
{
	char why[96];
	struct unit *u = unit_at_hand(s);
	struct reading *r = u ? calloc(1, sizeof(*r)) : NULL;
	bool whole = !in->raw;
	if (!r ||
		!bytes_copy(&r->raw, whole ? s->raw : in->raw, whole ? s->raw_len : in->raw_len)) {
		s->short_of_memory = true;
		free(r);
		return 0;
	}
	enum vg_result result = reading_take(r, in, s->driver->name, s->start.codes, why);
	vg_result(s, result);
	if (result != VG_READING) {
		keep_as_event(s, result, why, in, r);
		return u->ticket;
	}
	reading_identify(r, s->uid, s->driver->name, in->identity, in->identity_len);
	*u->last_reading = r;
	u->last_reading = &r->next;
	return u->ticket;
}

/* studies */

int vg_blob_begin(struct vg_session *s, const char *type, size_t limit)
{
	free(s->blob.at);
	s->blob = (struct bytes){0};
	s->blob_limit = MIN(limit, (size_t)SESSION_BLOB_MAX);
	s->blob_open = true;
	(void)type;
	return 0;
}

int vg_blob_append(struct vg_session *s, const void *bytes, size_t len)
{
	if (!s->blob_open || s->blob.len + len > s->blob_limit)
		return -EFBIG;
	uint8_t *at = realloc(s->blob.at, s->blob.len + len + 1);
	if (!at)
		return -ENOMEM;
	memcpy(at + s->blob.len, bytes, len);
	s->blob.at = at;
	s->blob.len += len;
	return 0;
}

vg_ticket vg_blob_end(struct vg_session *s)
{
	struct happening *e = s->blob_open ? add_event(s, "study", NULL) : NULL;
	if (!e)
		return 0;
	e->raw = s->blob;
	s->blob = (struct bytes){0};
	s->blob_open = false;
	return s->unit->ticket;
}

/* what comes in */

/* What came decoded to nothing at all: it is kept raw, so that it can be told as received. */
static void keep_raw(struct vg_session *s)
{
	if (!s->classed)
		vg_result(s, VG_NOTHING);
	struct happening *e = add_event(s, session_result_name(s->result), NULL);
	if (e && !bytes_copy(&e->raw, s->raw, s->raw_len))
		s->short_of_memory = true;
}

void session_value(struct vg_session *s, int channel, const uint8_t *bytes, size_t len,
	bool indication, const struct vg_now *now)
{
	if (s->ended)
		return;
	begin(s, bytes, len, now);
	trace(s, indication ? TRACE_INDICATED : TRACE_HEARD, channel, bytes, len, s->last_ticket);
	s->ack_mode = indication ? "held" : s->ack_mode;
	if (channel >= 0)
		s->driver->heard(s, (unsigned)channel, bytes, len, now);
	else
		vg_result(s, VG_UNSUPPORTED);
	if (indication && !s->unit)
		keep_raw(s);
	if (indication && s->n_owed == SESSION_OWED_MAX)
		vg_done(s, "more indications than may be unconfirmed");
	else if (indication && s->unit)
		s->owed[s->n_owed++] = (struct owed){.ticket = s->unit->ticket};
	submit(s);
}

static bool hold(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	if (s->n_held + len > s->held_size) {
		size_t size = MAX(s->held_size * 2, s->n_held + len);
		uint8_t *at = realloc(s->held, size);
		if (!at)
			return false;
		s->held = at;
		s->held_size = size;
	}
	memcpy(s->held + s->n_held, bytes, len);
	s->n_held += len;
	return true;
}

/* One run of noise counts once, however it is cut up. */
static void count_noise(struct vg_session *s)
{
	if (!s->in_noise)
		vg_result(s, VG_MALFORMED);
	s->in_noise = true;
}

/* Gives the driver every complete frame among the bytes held; what remains waits for more. `give_up`:
 * nothing more will come, an unfinished frame is noise. */
static void cut_frames(struct vg_session *s, bool give_up, const struct vg_now *now)
{
	size_t at = 0;
	bool gave_up = false;
	while (at < s->n_held && !s->ended) {
		struct vg_frame f = s->driver->frame(s->held + at, s->n_held - at);
		assert(f.skip + f.length <= s->n_held - at);
		if (f.skip && !f.filler)
			count_noise(s);
		if (f.skip)
			trace(s, TRACE_NOISE, 0, s->held + at, f.skip, 0);
		at += f.skip;
		if (!f.length && f.skip)
			continue;
		if (!f.length) {
			if (!give_up && s->n_held - at < s->driver->frame_max)
				break;
			count_noise(s);
			trace(s, TRACE_NOISE, 0, s->held + at, 1, 0);
			gave_up = give_up;
			at++;
			continue;
		}
		s->in_noise = false;
		if (gave_up)
			trace(s, TRACE_GAP, 0, NULL, 0, 0);
		gave_up = false;
		begin(s, s->held + at, f.length, now);
		trace(s, TRACE_HEARD, 0, s->held + at, f.length, s->last_ticket);
		s->driver->heard(s, 0, s->held + at, f.length, now);
		at += f.length;
		submit(s);
	}
	if (gave_up)
		trace(s, TRACE_GAP, 0, NULL, 0, 0);
	s->n_held -= at;
	if (s->n_held && at)
		memmove(s->held, s->held + at, s->n_held);
	if (s->driver->frame_gap_ms && s->start.ops->gap)
		s->start.ops->gap(s->start.ops->arg, s->n_held ? s->driver->frame_gap_ms : 0);
	if (!s->n_held && s->held_size > 4096) {
		free(TAKE(s->held));
		s->held_size = 0;
	}
}

void session_stream(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	s->now = now;
	while (len && !s->ended) {
		size_t room = s->driver->frame_max - s->n_held;
		size_t n = MIN(len, room);
		if (!hold(s, bytes, n)) {
			vg_done(s, "out of memory");
			return;
		}
		bytes += n;
		len -= n;
		cut_frames(s, false, now);
	}
}

void session_gap(struct vg_session *s, const struct vg_now *now)
{
	s->now = now;
	if (!s->ended)
		cut_frames(s, true, now);
}

void session_expired(struct vg_session *s, const struct vg_now *now)
{
	if (s->ended || !s->driver->expired)
		return;
	begin(s, NULL, 0, now);
	trace(s, TRACE_EXPIRED, 0, NULL, 0, 0);
	s->driver->expired(s, now);
	submit(s);
}

static void settle_owed(struct vg_session *s, vg_ticket ticket)
{
	for (unsigned i = 0; i < s->n_owed; i++)
		s->owed[i].kept |= s->owed[i].ticket == ticket;
	while (s->n_owed && s->owed[0].kept) {
		memmove(s->owed, s->owed + 1, --s->n_owed * sizeof(s->owed[0]));
		s->start.ops->confirm(s->start.ops->arg);
	}
}

void session_verdict(struct vg_session *s, vg_ticket ticket, int result, const struct vg_now *now)
{
	if (s->ended || !ticket)
		return;
	begin(s, NULL, 0, now);
	trace(s, result >= 0 ? TRACE_KEPT : TRACE_REFUSED, 0, NULL, 0, ticket);
	if (result >= 0) {
		settle_owed(s, ticket);
		if (s->driver->kept)
			s->driver->kept(s, ticket);
	} else {
		if (s->driver->refused)
			s->driver->refused(s, ticket, result);
		for (unsigned i = 0; i < s->n_owed; i++)
			if (s->owed[i].ticket == ticket) { /* unconfirmed: it will tell us again */
				vg_done(s, "could not store");
				break;
			}
	}
	submit(s);
}

/* life */

struct vg_session *session_new(const struct session_start *start, const struct vg_now *now)
{
	struct vg_session *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->start = *start;
	s->driver = start->driver;
	s->state = calloc(1, s->driver->state_size + 1);
	s->ack_mode = s->driver->kept ? "held" : "none";
	text_copy(s->uid, sizeof(s->uid), start->uid, strlen(start->uid));
	if (!s->state) {
		free(s);
		return NULL;
	}
	begin(s, NULL, 0, now);
	if (s->driver->opened)
		s->driver->opened(s, start->excerpt);
	submit(s);
	return s;
}

void session_end(struct vg_session *s, const struct vg_now *now)
{
	s->closed = true;
	begin(s, NULL, 0, now);
	if (s->aggregate)
		aggregate_close(s->aggregate, now);
	flush(s);
}

void session_free(struct vg_session *s)
{
	if (!s)
		return;
	struct vg_now now;
	clock_now(&now);
	if (!s->closed)
		session_end(s, &now);
	aggregate_free(s->aggregate);
	free(s->held);
	free(s->blob.at);
	free(s->state);
	free(s);
}
