/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session without a daemon: what it asks for is written down, verdicts are given by the test. Included
 * after cmocka.h in exactly one file of a test program.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "session.h"
#include "util.h"

#define RIG_UNITS 64

struct rig {
	struct vg_session *session;
	struct session_ops ops;
	const struct vg_driver *driver;
	struct vg_now now;
	struct unit *units[RIG_UNITS]; /* as submitted */
	unsigned n_units, settled;     /* those before `settled` have their verdict */
	vg_ticket last_ticket;
	uint8_t sent[4096];
	size_t n_sent;
	unsigned sent_channel, confirms, timers, dones;
	unsigned timer_ms, gap_ms;
	const char *done;
	const char *option_name, *option_value;
	const char *mark_key;
	uint8_t mark[64];
	size_t mark_len;
};

static struct codes *rig_codes;

static void rig_send(void *arg, unsigned channel, const void *bytes, size_t len)
{
	struct rig *r = arg;
	assert_true(r->n_sent + len <= sizeof(r->sent));
	memcpy(r->sent + r->n_sent, bytes, len);
	r->n_sent += len;
	r->sent_channel = channel;
}

static void rig_confirm(void *arg)
{
	((struct rig *)arg)->confirms++;
}

static void rig_timer(void *arg, unsigned ms)
{
	((struct rig *)arg)->timer_ms = ms;
	((struct rig *)arg)->timers++;
}

static void rig_gap(void *arg, unsigned ms)
{
	((struct rig *)arg)->gap_ms = ms;
}

static void rig_done(void *arg, const char *why)
{
	((struct rig *)arg)->done = why;
	((struct rig *)arg)->dones++;
}

static void rig_submit(void *arg, struct unit *u)
{
	struct rig *r = arg;
	assert_true(r->n_units < RIG_UNITS);
	if (u->ticket) /* is never used twice */
		assert_true(u->ticket > r->last_ticket);
	r->last_ticket = MAX(r->last_ticket, u->ticket);
	r->units[r->n_units++] = u;
}

static const char *rig_option(void *arg, const char *name)
{
	struct rig *r = arg;
	return r->option_name && streq(r->option_name, name) ? r->option_value : NULL;
}

static const uint8_t *rig_marked(void *arg, const char *key, size_t *ret_len)
{
	struct rig *r = arg;
	if (!r->mark_key || !streq(r->mark_key, key))
		return NULL;
	*ret_len = r->mark_len;
	return r->mark;
}

/* The rig is prepared (options, marks), not yet open. 2026-11-21 08:00:00 UTC. */
static struct rig rig_new(const struct vg_driver *driver)
{
	struct rig r = {.driver = driver};
	r.now.utc_us = INT64_C(1795248000) * CLOCK_SECOND_US;
	r.now.boot_us = 5 * CLOCK_SECOND_US;
	r.now.civil = clock_civil(r.now.utc_us);
	return r;
}

static struct vg_session *rig_open(struct rig *r)
{
	r->ops = (struct session_ops){.send = rig_send,
		.confirm = rig_confirm,
		.timer = rig_timer,
		.gap = rig_gap,
		.done = rig_done,
		.submit = rig_submit,
		.option = rig_option,
		.mark = rig_marked,
		.arg = r};
	r->session = session_new(&(struct session_start){.driver = r->driver,
					 .codes = rig_codes,
					 .number = 42,
					 .uid = "sn:1",
					 .ops = &r->ops},
		&r->now);
	return r->session;
}

static void rig_close(struct rig *r)
{
	session_free(r->session);
	for (unsigned i = 0; i < r->n_units; i++)
		unit_free(r->units[i]);
	memset(r, 0, sizeof(*r));
}

static inline void rig_value(struct rig *r, const void *bytes, size_t len, bool indication)
{
	session_value(r->session, 0, bytes, len, indication, &r->now);
}

static inline void rig_stream(struct rig *r, const void *bytes, size_t len)
{
	session_stream(r->session, bytes, len, &r->now);
}

static inline void rig_verdict(struct rig *r, unsigned unit, int result)
{
	assert_true(unit < r->n_units);
	session_verdict(r->session, r->units[unit]->ticket, result, &r->now);
}

/* All that was submitted, as one line of text: equal texts are equal units. */
static inline void rig_trace(const struct rig *r, char *out, size_t size)
{
	size_t n = 0;
	char raw[161];
	out[0] = 0;
	for (unsigned i = 0; i < r->n_units && n < size; i++) {
		const struct unit *u = r->units[i];
		n += (size_t)snprintf(out + n, size - n, "[%u:", u->ticket);
		for (unsigned k = 0; k < VG_RESULTS && n < size; k++)
			n += (size_t)snprintf(out + n, size - n, " %u", u->counts[k]);
		for (const struct reading *x = u->readings; x && n < size; x = x->next)
			n += (size_t)snprintf(out + n, size - n, " reading %lld %s",
				(long long)x->quantities[0].value.milli,
				hex(raw, x->raw.at, MIN(x->raw.len, (size_t)80)));
		for (const struct happening *e = u->events; e && n < size; e = e->next)
			n += (size_t)snprintf(out + n, size - n, " %s(%s)", e->type, e->detail);
		n += n < size ? (size_t)snprintf(out + n, size - n, "]") : 0;
	}
	assert_true(n < size);
}
