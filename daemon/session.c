/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session_state.h"

#include "aggregate.h"
#include "log.h"

#include <assert.h>
#include <errno.h>

const char *session_result_name(enum vg_result r)
{
	static const char *const names[VG_RESULTS] = {
		"reading", "nothing", "malformed", "out_of_sequence", "unsupported", "implausible"};
	return names[r];
}

void session_trace_it(struct vg_session *s, enum trace what, int channel, const void *bytes,
	size_t len, vg_ticket ticket)
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

struct unit *session_unit(struct vg_session *s)
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
	u->serial = ++s->last_serial;
	u->ack_mode = s->ack_mode;
	u->arrived_us = s->now->utc_us;
	u->boot_us = s->now->boot_us;
	u->offset_known = s->offset_known;
	u->offset_us = s->offset_known ? session_offset(s) : 0;
	u->clock_set_us = s->clock_set_us;
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
	struct unit *u = session_unit(s);
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

/* what comes in */

/* What came decoded to nothing at all: it is kept raw, so that it can be told as received. */
static void keep_raw(struct vg_session *s)
{
	if (!s->classed)
		vg_result(s, VG_NOTHING);
	struct happening *e = session_add_event(s, session_result_name(s->result), NULL);
	if (e && !bytes_copy(&e->raw, s->raw, s->raw_len))
		s->short_of_memory = true;
}

void session_value(struct vg_session *s, int channel, const uint8_t *bytes, size_t len,
	bool indication, const struct vg_now *now)
{
	if (s->ended)
		return;
	begin(s, bytes, len, now);
	session_trace_it(
		s, indication ? TRACE_INDICATED : TRACE_HEARD, channel, bytes, len, s->last_ticket);
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
		struct vg_frame f = s->driver->frame(s->state, s->held + at, s->n_held - at);
		assert(f.skip + f.length <= s->n_held - at);
		if (f.skip && !f.filler)
			count_noise(s);
		if (f.skip)
			session_trace_it(s, TRACE_NOISE, 0, s->held + at, f.skip, 0);
		at += f.skip;
		if (!f.length && f.skip)
			continue;
		if (!f.length) {
			if (!give_up && s->n_held - at < s->driver->frame_max)
				break;
			count_noise(s);
			session_trace_it(s, TRACE_NOISE, 0, s->held + at, 1, 0);
			gave_up = give_up;
			at++;
			continue;
		}
		s->in_noise = false;
		if (gave_up)
			session_trace_it(s, TRACE_GAP, 0, NULL, 0, 0);
		gave_up = false;
		begin(s, s->held + at, f.length, now);
		session_trace_it(s, TRACE_HEARD, 0, s->held + at, f.length, s->last_ticket);
		s->driver->heard(s, 0, s->held + at, f.length, now);
		at += f.length;
		submit(s);
	}
	if (gave_up)
		session_trace_it(s, TRACE_GAP, 0, NULL, 0, 0);
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
	session_trace_it(s, TRACE_EXPIRED, 0, NULL, 0, 0);
	s->driver->expired(s, now);
	submit(s);
}

void session_hung_up(struct vg_session *s, const struct vg_now *now)
{
	if (s->ended || !s->driver->hung_up || !s->confirmed || s->n_owed)
		return;
	begin(s, NULL, 0, now);
	session_trace_it(s, TRACE_HUNG_UP, 0, NULL, 0, 0);
	s->driver->hung_up(s, now);
	submit(s);
}

void session_denied(struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	if (s->ended || !s->driver->denied)
		return;
	begin(s, NULL, 0, now);
	session_trace_it(s, TRACE_DENIED, (int)channel, &code, 1, 0);
	s->driver->denied(s, channel, code, now);
	submit(s);
}

static void settle_owed(struct vg_session *s, vg_ticket ticket)
{
	for (unsigned i = 0; i < s->n_owed; i++)
		s->owed[i].kept |= s->owed[i].ticket == ticket;
	while (s->n_owed && s->owed[0].kept) {
		memmove(s->owed, s->owed + 1, --s->n_owed * sizeof(s->owed[0]));
		s->start.ops->confirm(s->start.ops->arg);
		s->confirmed = true;
	}
}

void session_verdict(struct vg_session *s, vg_ticket ticket, int result, const struct vg_now *now)
{
	if (s->ended || !ticket)
		return;
	begin(s, NULL, 0, now);
	session_trace_it(s, result >= 0 ? TRACE_KEPT : TRACE_REFUSED, 0, NULL, 0, ticket);
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
	s->ack_mode = s->driver->bus == VG_BUS_STREAM && s->driver->kept ? "held" : "none";
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
	free(s->study.at);
	free(s->state);
	free(s);
}
