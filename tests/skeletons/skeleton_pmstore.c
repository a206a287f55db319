/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IEEE 11073-20601 PM-store: a segment of stored glucose values (absolute time BCD, SFLOAT) in one
 * confirmed event report; it is confirmed, and so forgotten by the meter, only when it is kept. */
#include "skeletons.h"

#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/sfloat.h>

struct manager {
	vg_ticket ticket;
	uint8_t reply[34];
};

static struct vg_frame frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	size_t apdu = len >= 4 ? 4u + (size_t)(bytes[2] << 8 | bytes[3]) : 0;
	return (struct vg_frame){.length = len >= apdu ? apdu : 0};
}

static uint8_t bcd(uint8_t b)
{
	return (uint8_t)((b >> 4) * 10 + (b & 15));
}

static vg_ticket entry_heard(struct vg_session *s, const uint8_t *p, uint32_t index)
{
	struct vg_quantity q = {.kind = "glu.random", .unit = "mg/dL"};
	struct vg_civil taken = {(uint16_t)(bcd(p[0]) * 100 + bcd(p[1])), bcd(p[2]), bcd(p[3]),
		bcd(p[4]), bcd(p[5]), bcd(p[6])};
	if (vg_sfloat((uint16_t)(p[8] << 8 | p[9]), &q.value) != VG_NUMBER)
		return 0;
	return vg_reading(s, &(struct vg_reading){.kind = "glucose",
				     .taken = &taken,
				     .user = -1,
				     .seq = index,
				     .quantities = &q,
				     .n_quantities = 1,
				     .identity = p,
				     .identity_len = 8});
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct manager *m = vg_state(s);
	struct buf b = buf_of(bytes, len);
	(void)channel, (void)now;
	/* lengths, invoke-id, handle, time, event type; instance, first index, count, status */
	const uint8_t *head = buf_bytes(&b, 36);
	if (!head || head[18] != 0x0d || head[19] != 0x21) {
		vg_result(s, VG_UNSUPPORTED);
		return;
	}
	for (uint32_t i = 0; i < head[31] && buf_left(&b) >= 10; i++)
		m->ticket = entry_heard(s, buf_bytes(&b, 10), head[27] + i);
	/* The answer is the head of the report with other lengths, result 0201 and status 0080. */
	static const uint8_t other[][2] = {{2, 0}, {3, 0x1e}, {4, 0}, {5, 0x1c}, {8, 2}, {9, 1},
		{10, 0}, {11, 0x16}, {20, 0}, {21, 0x0c}, {32, 0}, {33, 0x80}};
	memcpy(m->reply, bytes, 32);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		m->reply[other[i][0]] = other[i][1];
}

static void kept(struct vg_session *s, vg_ticket ticket)
{
	struct manager *m = vg_state(s);
	if (ticket == m->ticket)
		vg_send(s, 0, m->reply, sizeof(m->reply));
}

const struct vg_driver skeleton_pmstore = {.name = "skeleton_pmstore",
	.bus = VG_BUS_STREAM,
	.state_size = sizeof(struct manager),
	.frame_max = 64512,
	.heard = heard,
	.kept = kept,
	.frame = frame};
