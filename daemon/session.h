/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One session with one connected instrument: the driver's side of the contract. It cuts streams into
 * frames, runs the driver, collects what it emits into units of work, and settles who may be told what
 * when a unit has its verdict. It does no I/O: everything leaves through session_ops, so that the daemon,
 * `vitalgate decode` and the fuzzers run the very same code.
 */
#pragma once

#include "reading.h"

#include <stdbool.h>
#include <vitalgate/driver.h>

#define SESSION_OWED_MAX 8 /* indications waiting for their unit */

/* What passes in a session, for whoever writes it down (capture.h). The bytes are as they came: only the
 * driver's scrub() knows which of them may name a person. */
enum trace {
	TRACE_HEARD,	 /* a PDU or a whole frame, before the driver hears it */
	TRACE_INDICATED, /* the same, and it wants to be confirmed */
	TRACE_NOISE,	 /* bytes of a stream that belong to no frame */
	TRACE_GAP,	 /* the noise just now was given up, because nothing more came */
	TRACE_SENT,
	TRACE_KEPT, /* a unit, before the driver is told */
	TRACE_REFUSED,
	TRACE_EXPIRED, /* the timer, before the driver is told */
	TRACE_HUNG_UP, /* the instrument ended the link, and the driver is told */
	TRACE_DENIED, /* what was sent to the channel was refused; the one byte is the ATT error code */
};

struct session_trace {
	enum trace what;
	int channel; /* heard, sent; -1: a handle that nobody asked for */
	const uint8_t *bytes;
	size_t len;
	vg_ticket ticket; /* kept, refused: of the unit; heard, sent: the last one that was given */
	const struct vg_now *now;
};

struct session_ops {
	void (*send)(void *arg, unsigned channel, const void *bytes, size_t len);
	void (*confirm)(void *arg); /* GATT: the oldest unconfirmed indication is safe */
	void (*timer)(void *arg, unsigned ms);
	/* Call session_gap() when nothing came for so long; 0: no more. May be NULL. */
	void (*gap)(void *arg, unsigned ms);
	void (*done)(void *arg, const char *why);
	/* A unit is complete: commit it, then call session_verdict() with its ticket. Takes it over. */
	void (*submit)(void *arg, struct unit *u);
	const char *(*option)(void *arg, const char *name); /* NULL: not configured */
	const uint8_t *(*mark)(void *arg, const char *key, size_t *ret_len);
	void (*trace)(void *arg, const struct session_trace *t); /* may be NULL */
	void *arg;
};

struct session_start {
	const struct vg_driver *driver;
	const struct codes *codes;
	uint64_t number; /* generation */
	const char *uid;
	bool excerpt;
	const uint8_t
		*site_key; /* 32 bytes: keys the hashes of cards; NULL: they are told by nothing */
	const struct session_ops *ops;
};

/* NULL when memory is short. The driver's opened() runs inside. */
struct vg_session *session_new(const struct session_start *start, const struct vg_now *now);
/* Nothing more will come: what samples amount to and what was counted is submitted. */
void session_end(struct vg_session *s, const struct vg_now *now);
/* Ends it now, unless it was ended. Later verdicts are the caller's to drop. */
void session_free(struct vg_session *s);

void session_stream(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now);
/* `channel` -1: a handle that nobody asked for. */
void session_value(struct vg_session *s, int channel, const uint8_t *bytes, size_t len,
	bool indication, const struct vg_now *now);
/* The instrument itself ended the link. */
void session_hung_up(struct vg_session *s, const struct vg_now *now);
/* What was sent to `channel` was refused with this ATT error code. */
void session_denied(struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now);
void session_gap(struct vg_session *s, const struct vg_now *now);
void session_expired(struct vg_session *s, const struct vg_now *now);
void session_verdict(struct vg_session *s, vg_ticket ticket, int result, const struct vg_now *now);
/* Submits counters that belong to no unit yet, and what samples amount to by now. Such a unit has ticket 0:
 * no callback of the driver made it, and nobody waits for its verdict. */
void session_flush(struct vg_session *s, const struct vg_now *now);

const char *session_result_name(enum vg_result r);
