/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a driver may call (vitalgate/driver.h): it all ends in the unit of the callback at hand. */
#include "session_state.h"

#include "aggregate.h"
#include "card.h"

#include <assert.h>
#include <errno.h>

void vg_send(struct vg_session *s, unsigned channel, const void *bytes, size_t len)
{
	if (s->ended)
		return;
	session_trace_it(s, TRACE_SENT, (int)channel, bytes, len, s->last_ticket);
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
	struct unit *u = session_unit(s);
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

struct happening *session_add_event(struct vg_session *s, const char *type, const char *detail)
{
	struct unit *u = session_unit(s);
	struct happening *e = u ? unit_add_event(u, type) : NULL;
	s->short_of_memory |= !e;
	if (e && detail)
		text_copy(e->detail, sizeof(e->detail), detail, strlen(detail));
	return e;
}

int64_t session_offset(const struct vg_session *s)
{
	return s->ahead_us - (s->now->utc_us - s->now->boot_us);
}

static void note_clock(struct vg_session *s, const struct vg_event *e)
{
	int64_t device_us;
	if (!e->civil || !clock_civil_utc(e->civil, &device_us))
		return;
	s->ahead_us = device_us - s->now->boot_us;
	/* A message that says an earlier time may have waited: that is no proof of a slow clock, nor of a time in 1970. */
	s->offset_known = e->value != 1 || (clock_plausible(s->now->utc_us) &&
						   session_offset(s) > -60 * CLOCK_SECOND_US);
}

vg_ticket vg_event(struct vg_session *s, const struct vg_event *in)
{
	static const char *const types[VG_EVENTS] = {"failed_measurement", "device_clock",
		"battery", "device_error", "memory_full", "instrument_restart", "control_solution",
		"episode", "drained"};
	assert(in->type < VG_EVENTS);
	if (in->type == VG_EVENT_DEVICE_CLOCK)
		note_clock(s, in);
	struct happening *e = session_add_event(s, types[in->type], in->detail);
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

bool vg_clock_set(struct vg_session *s, unsigned tolerance_s, struct vg_civil *ret_now)
{
	const char *policy = vg_option(s, "clock");
	bool off = !tolerance_s ||
		   (s->offset_known && llabs(session_offset(s)) > tolerance_s * CLOCK_SECOND_US);
	if (!policy || !streq(policy, "set") || !off || !clock_plausible(s->now->utc_us))
		return false;
	char detail[48] = "before: unknown";
	if (s->offset_known)
		snprintf(detail, sizeof(detail), "before: off by %lld s",
			(long long)(session_offset(s) / CLOCK_SECOND_US));
	struct happening *e = session_add_event(s, "clock_set", detail);
	if (!e)
		return false;
	e->has_civil = true;
	e->civil = s->now->civil;
	s->clock_set_us = s->now->utc_us;
	*ret_now = s->now->civil;
	return true;
}

vg_ticket vg_identity(struct vg_session *s, enum vg_identity_type type, const void *id, size_t len)
{
	static const char *const types[] = {"token", "id_card", "card"};
	static const uint8_t no_key[32];
	struct happening *e = session_add_event(s, "identity_presented", types[type]);
	if (!e)
		return 0;
	/* a token too long is nobody's; of a number nothing but its hash goes further than here */
	if (type == VG_IDENTITY_TOKEN && len < sizeof(e->token))
		text_copy(e->token, sizeof(e->token), id, len);
	if (type != VG_IDENTITY_TOKEN)
		e->has_card =
			card_hash(s->start.site_key ? s->start.site_key : no_key, id, len, e->card);
	return s->unit->ticket;
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
	struct happening *e = session_add_event(s, session_result_name(result), detail);
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
	struct happening *e = session_add_event(s, session_result_name(result), why);
	if (e && !bytes_copy(&e->raw, raw, len))
		s->short_of_memory = true;
	return e ? s->unit->ticket : 0;
}

vg_ticket vg_reading(struct vg_session *s, const struct vg_reading *in)
{
	char why[96];
	struct unit *u = session_unit(s);
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
	if (s->driver->unauthenticated || s->driver->bus == VG_BUS_ADVERT)
		r->flags[r->n_flags++] = "unauthenticated";
	reading_identify(r, s->uid, s->driver->name, in->identity, in->identity_len);
	*u->last_reading = r;
	u->last_reading = &r->next;
	return u->ticket;
}

/* studies */

void vg_study_begin(struct vg_session *s)
{
	free(s->study.at);
	s->study = (struct bytes){0};
	s->study_begun = true;
}

int vg_study_append(struct vg_session *s, const void *bytes, size_t len)
{
	if (!s->study_begun || len > VG_STUDY_MAX - s->study.len)
		return -EFBIG;
	uint8_t *at = realloc(s->study.at, s->study.len + len + 1);
	if (!at)
		return -ENOMEM;
	memcpy(at + s->study.len, bytes, len);
	s->study.at = at;
	s->study.len += len;
	return 0;
}

vg_ticket vg_study_end(struct vg_session *s, size_t len)
{
	struct unit *u = s->study_begun ? session_unit(s) : NULL;
	if (!u)
		return 0;
	s->study.len = MIN(s->study.len, len);
	free(u->study.at);
	u->study = s->study;
	s->study = (struct bytes){0};
	s->study_begun = false;
	return u->ticket;
}
