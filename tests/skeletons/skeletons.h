/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tiny drivers that try the contract on protocols nobody has written yet, each with a hand-made exchange
 * that it must really go through. They are no start for a product driver: they skip every check that the
 * contract is not about. Another one, ten results in one LIS01 frame of 64 KiB, is drivers/lis01.c itself
 * with tests/captures/lis01/frame_64k.cap.
 */
#pragma once

#include <stddef.h>
#include <vitalgate/driver.h>

struct skeleton_step {
	enum {
		SKELETON_END,
		SKELETON_HEARD, /* bytes of the instrument on `channel`; a stream is cut by frame() */
		SKELETON_SENT,	 /* the driver must have sent exactly this, and nothing before it */
		SKELETON_KEPT,	 /* the oldest open unit is committed */
		SKELETON_EXPIRED /* the timer, which must be armed, runs out */
	} what;
	unsigned channel;
	const char *hex;
};

struct skeleton_exchange {
	const struct skeleton_step *steps;
	const char *mark_key; /* a mark of an earlier session; NULL: none */
	const char *mark_hex;
	/* What must have been emitted at the end. */
	unsigned readings, events, identities, marks, studies;
	size_t study_bytes;
};

extern const struct vg_driver *const skeletons[];	    /* NULL-terminated */
extern const struct skeleton_exchange skeleton_exchanges[]; /* in the same order */

extern const struct vg_driver skeleton_glucose, skeleton_pmstore, skeleton_spo2, skeleton_idcard;
