/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames of a byte stream that comes in notifications: a notification may hold several frames, and a frame
 * may be spread over several. Part of a driver's state; `frame` cuts as vg_driver.frame does.
 *
 * Every notification gets a class: that of its last frame, malformed when a run of noise begins in it,
 * nothing when it only brought part of a frame.
 */
#pragma once

#include <string.h>
#include <vitalgate/driver.h>

#define VG_PIECES_MAX 512 /* more than the longest frame of any driver that uses this */

struct vg_pieces {
	uint16_t n; /* bytes held, that are no frame yet */
	bool noise; /* in a run of noise that was counted */
	uint8_t at[VG_PIECES_MAX];
};

typedef struct vg_frame vg_frame_cut(const uint8_t *bytes, size_t len);
/* A whole frame. It gives it a class, or calls vg_sample(). */
typedef void vg_frame_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now);

/* Cuts what is held; false: there was no frame and no noise to speak of. */
static inline bool vg_pieces_cut(struct vg_session *s, struct vg_pieces *p, vg_frame_cut *frame,
	vg_frame_heard *heard, const struct vg_now *now)
{
	bool any = false;
	size_t at = 0;
	while (at < p->n) {
		struct vg_frame f = frame(p->at + at, p->n - at);
		if (!f.skip && !f.length && at == 0 && p->n == sizeof(p->at))
			f.skip = 1; /* full, and still no frame */
		if (!f.skip && !f.length)
			break;
		if (f.skip && !f.filler && !p->noise) {
			vg_result(s, VG_MALFORMED);
			p->noise = any = true;
		}
		at += f.skip;
		if (!f.length)
			continue;
		p->noise = false;
		heard(s, p->at + at, f.length, now);
		any = true;
		at += f.length;
	}
	p->n = (uint16_t)(p->n - at);
	memmove(p->at, p->at + at, p->n);
	return any;
}

/* heard() of a channel that brings the stream. */
static inline void vg_pieces_heard(struct vg_session *s, struct vg_pieces *p, const uint8_t *bytes,
	size_t len, vg_frame_cut *frame, vg_frame_heard *heard, const struct vg_now *now)
{
	bool any = false;
	while (len) {
		size_t room = sizeof(p->at) - p->n, n = len < room ? len : room;
		memcpy(p->at + p->n, bytes, n);
		p->n = (uint16_t)(p->n + n);
		bytes += n;
		len -= n;
		any |= vg_pieces_cut(s, p, frame, heard, now);
	}
	if (!any)
		vg_result(s, VG_NOTHING);
}
