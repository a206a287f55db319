/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of a session, for session.c (what comes in, units, verdicts) and session_calls.c (what a driver calls)
 * only.
 */
#pragma once

#include "session.h"

struct owed {
	vg_ticket ticket;
	bool kept;
};

struct vg_session {
	struct session_start start;
	const struct vg_driver *driver;
	char uid[96];
	vg_ticket last_ticket;
	uint32_t last_serial;
	struct unit *unit; /* what the callback at hand emitted; NULL: nothing yet */
	const struct vg_now *now;
	const uint8_t *raw; /* the PDU or frame at hand */
	size_t raw_len;
	bool classed; /* the driver said a class for it, the last one being: */
	enum vg_result result;
	uint32_t counts[VG_RESULTS]; /* not yet part of a unit */
	const char *ack_mode;
	bool offset_known;
	int64_t ahead_us;     /* its clock minus CLOCK_BOOTTIME: ours may be set in between */
	int64_t clock_set_us; /* when its clock was set in this session; 0: it was not */
	bool ended;
	bool closed;	      /* session_end() was here */
	bool short_of_memory; /* something of the unit at hand is missing: it must not be kept */
	struct owed owed[SESSION_OWED_MAX];
	unsigned n_owed;
	bool confirmed; /* an indication was */
	uint8_t *held;	/* stream bytes that are no frame yet */
	size_t n_held, held_size;
	bool in_noise;
	struct bytes study; /* being built */
	bool study_begun;
	uint8_t *state;		     /* the driver's */
	struct aggregate *aggregate; /* of its samples; NULL: there were none */
};

void session_trace_it(struct vg_session *s, enum trace what, int channel, const void *bytes,
	size_t len, vg_ticket ticket);
/* Its clock minus ours, as ours shows now. */
int64_t session_offset(const struct vg_session *s);
/* The unit of the callback at hand. NULL when memory is short: then nothing is acknowledged. */
struct unit *session_unit(struct vg_session *s);
/* Adds to that unit; NULL when memory is short. */
struct happening *session_add_event(struct vg_session *s, const char *type, const char *detail);
