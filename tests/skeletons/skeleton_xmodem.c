/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cart sends an SCP file by XMODEM (checksum): blocks are acknowledged as they are written, the EOT only
 * when the file is safe. */
#include "skeletons.h"

enum { SOH = 1, EOT = 4, ACK = 6, NAK = 21, BLOCK = 132 };

struct cart {
	uint8_t last;
	bool open;
	vg_ticket ticket;
};

static void answer(struct vg_session *s, uint8_t control)
{
	vg_send(s, 0, &control, 1);
	vg_timer(s, 10000);
}

static void opened(struct vg_session *s, bool excerpt)
{
	(void)excerpt;
	answer(s, NAK); /* "begin, with checksums" */
}

static struct vg_frame frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	if (bytes[0] == EOT)
		return (struct vg_frame){.length = 1};
	if (bytes[0] != SOH)
		return (struct vg_frame){.skip = 1};
	return (struct vg_frame){.length = len >= BLOCK ? BLOCK : 0};
}

static void block_heard(struct vg_session *s, struct cart *c, const uint8_t *bytes)
{
	uint8_t sum = 0;
	for (size_t i = 3; i < BLOCK - 1; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bool good = sum == bytes[BLOCK - 1];
	if (good && bytes[1] == (uint8_t)(c->last + 1)) {
		if (!c->open)
			vg_study_begin(s);
		c->open = true;
		good = vg_study_append(s, bytes + 3, 128) == 0;
		c->last = good ? bytes[1] : c->last;
	}
	vg_result(s, good ? VG_NOTHING : VG_MALFORMED);
	answer(s, good ? ACK : NAK);
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct cart *c = vg_state(s);
	(void)channel, (void)len, (void)now;
	if (bytes[0] == SOH) {
		block_heard(s, c, bytes);
		return;
	}
	if (c->open)
		c->ticket = vg_study_end(s, SIZE_MAX);
	c->open = false;
}

static void kept(struct vg_session *s, vg_ticket ticket)
{
	struct cart *c = vg_state(s);
	if (ticket == c->ticket)
		answer(s, ACK);
}

const struct vg_driver skeleton_xmodem = {.name = "skeleton_xmodem",
	.bus = VG_BUS_STREAM,
	.state_size = sizeof(struct cart),
	.frame_max = 256,
	.opened = opened,
	.heard = heard,
	.kept = kept,
	.frame = frame};
