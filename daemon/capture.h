/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes down what passes in one session of one device, as a capture that `vitalgate decode` and the replay
 * transport read (capfile.h): for support, for tests, for a demo. Names, typed ids and whatever else may say
 * who was measured is overwritten by the driver's scrub() before it is written. Loop thread; no I/O.
 *
 * A capture waits for the next session, or in a running one for the next whole PDU or frame. It is over when
 * that session ends, when its time or its space is used up, or when it is stopped.
 */
#pragma once

#include "config.h"
#include "session.h"

#define CAPTURE_SECONDS_MAX 3600
#define CAPTURE_BYTES_MAX (4 * 1024 * 1024)

struct capture;

/* `driver` is borrowed, `device` is not kept. NULL: out of memory. */
struct capture *capture_new(const struct vg_driver *driver, const struct config_device *device,
	unsigned seconds, const struct vg_now *now);
void capture_free(struct capture *c);

/* From the owner of the session. */
/* `marks`: what the session knows of earlier ones; an unused one has no key. */
void capture_session_begins(
	struct capture *c, const struct mark *marks, size_t n_marks, const struct vg_now *now);
void capture_trace(struct capture *c, const struct session_trace *t);
void capture_session_ends(struct capture *c, const struct vg_now *now);

/* From whoever asked for it. */
void capture_stop(struct capture *c, const struct vg_now *now);
/* "waiting" for an instrument that says something, "recording", "over". Static. */
const char *capture_state(struct capture *c, const struct vg_now *now);
/* Why it is over: "session", "time", "space", "memory", "stopped"; "" before. Static. */
const char *capture_why(const struct capture *c);
/* The whole lines behind `from` bytes, a part of them when there are many; *ret_next is where the next ones
 * begin. Owned by `c`. */
const char *capture_text(struct capture *c, size_t from, size_t *ret_len, size_t *ret_next,
	const struct vg_now *now);
/* Nobody asked for its text for 20 s: whoever wanted it is gone. */
bool capture_forgotten(const struct capture *c, const struct vg_now *now);
