/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Glucose 0x1808: records are asked for by RACP from the mark on; the mark is committed with its record.
 * A context that comes later goes by the identity of its record: the same bytes, another content. */
#include "skeletons.h"

#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/sfloat.h>

enum { MEASUREMENT, CONTEXT, RACP };

static const struct vg_channel channels[] = {
	{.uuid16 = 0x2a18, .use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED, .name = "2a18"},
	{.uuid16 = 0x2a34, .use = VG_GATT_SUBSCRIBE, .name = "2a34"},
	{.uuid16 = 0x2a52,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE | VG_GATT_REQUIRED,
		.name = "2a52"},
};

static void opened(struct vg_session *s, bool excerpt)
{
	static const uint8_t all[] = {1, 1};
	size_t len = 0;
	const uint8_t *mark = vg_marked(s, "racp", &len);
	unsigned next = mark && len == 2 ? (unsigned)(mark[0] | mark[1] << 8) + 1 : 0;
	const uint8_t since[] = {1, 3, 1, (uint8_t)next, (uint8_t)(next >> 8)};
	if (!excerpt)
		vg_send(s, RACP, mark ? since : all, mark ? sizeof(since) : sizeof(all));
	vg_timer(s, 30000);
}

static void emit(struct vg_session *s, uint16_t seq, const struct vg_quantity *q, size_t n,
	const struct vg_note *note)
{
	const uint8_t number[] = {(uint8_t)seq, (uint8_t)(seq >> 8)};
	struct vg_reading r = {.kind = "glucose", .user = -1, .seq = seq, .quantities = q};
	r.n_quantities = n;
	r.notes = note;
	r.n_notes = note ? 1 : 0;
	r.identity = number;
	r.identity_len = sizeof(number);
	vg_reading(s, &r);
	vg_mark(s, "racp", number, sizeof(number));
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	(void)now;
	struct buf b = buf_of(bytes, len);
	uint8_t flags = buf_u8(&b);
	uint16_t seq = buf_le16(&b);
	struct vg_quantity *last = vg_state(s); /* a context repeats its record's number */
	if (channel == RACP) {
		vg_result(s, VG_NOTHING);
		vg_done(s, "all records were read");
	} else if (channel == CONTEXT && flags == 2 && last->kind) {
		static const struct vg_note meal = {"meal", "before", 6};
		emit(s, seq, last, 1, &meal);
	} else if (channel == MEASUREMENT && flags & 2 && buf_bytes(&b, 7)) {
		struct vg_quantity q = {.kind = "glu.random", .unit = "kg/L"};
		if (vg_sfloat(buf_le16(&b), &q.value) == VG_NUMBER && !b.failed)
			emit(s, seq, &q, 1, NULL);
		*last = q;
	} else {
		vg_result(s, VG_UNSUPPORTED);
	}
}

const struct vg_driver skeleton_glucose = {.name = "skeleton_glucose",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = 3,
	.state_size = sizeof(struct vg_quantity),
	.opened = opened,
	.heard = heard};
