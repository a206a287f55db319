/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Contec CMS50D-BT finger oximeter: service FF00, requests to FF01, notifications on FF02.
 *
 *   start   9b 01 1c; the stream stops unless it is written again within a minute
 *   values  eb 01 | status | pulse /min | SpO2 % | 7f | 00 | sum, once a second
 *   sum     of all bytes before it, modulo 128, in requests and answers
 *   others  eb 00 (pleth, 6 bytes) and eb 02 (8 bytes) are skipped; eb 7f (3 bytes) says that the stream ended
 *   none    SpO2 0, 127 and 255, pulse 0 and 255
 *
 * Only the first byte of a frame has bit 7 set, so a pulse above 127 must be said in the status, probably by
 * bit 0. Status 04 was seen with a pulse below; with any other the pulse is left out, for 150 must not
 * become 22. (A sister instrument always sends 05.)
 *
 * There is a memory of nights in these instruments, which is not read, and requests that erase it, which are
 * never sent. No pairing.
 *
 * Sources: one frame of a device (v236, OxiVis issue 2, capture vector_v236); a public reader of the
 * sister EMAY SleepO2 (sum, status 05); OSCAR's reader of Contec's BLE protocol (lengths, names). Not
 * confirmed: everything of the status, 127 as "none".
 */
#include <string.h>
#include <vitalgate/driver.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/pieces.h>

enum { ANSWER = 0xeb, PLETH = 0x00, VALUES = 0x01, MORE = 0x02, ENDED = 0x7f };
enum { STATUS_SEEN = 0x04 };

#define EVERY_MS 20000 /* three times as often as it must be */

enum { REQUEST, STREAM };

static const struct vg_channel channels[] = {
	[REQUEST] = {.uuid16 = 0xff01,
		.service16 = 0xff00,
		.use = VG_GATT_WRITE | VG_GATT_REQUIRED,
		.name = "ff01"},
	[STREAM] = {.uuid16 = 0xff02,
		.service16 = 0xff00,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "ff02"},
};

struct contec_bt {
	struct vg_pieces pieces;
};

static void start(struct vg_session *s)
{
	static const uint8_t frame[] = {0x9b, 0x01, 0x1c};
	vg_send(s, REQUEST, frame, sizeof(frame));
	vg_timer(s, EVERY_MS);
}

static void frame_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	(void)len;
	(void)now;
	if (bytes[1] != VALUES) {
		vg_result(s, VG_NOTHING);
		return;
	}
	bool known = bytes[2] == STATUS_SEEN;
	vg_oximeter_show(s, bytes[4], known && bytes[3] != 255 ? bytes[3] : 0, 0, NULL, 0);
}

/* 0: not known. */
static size_t length_of(uint8_t type)
{
	switch (type) {
	case PLETH:
		return 6;
	case VALUES:
	case MORE:
		return 8;
	case ENDED:
		return 3;
	default:
		return 0;
	}
}

static bool sum_right(const uint8_t *bytes, size_t len)
{
	unsigned sum = 0;
	for (size_t i = 0; i + 1 < len; i++)
		sum += bytes[i];
	return (sum & 0x7f) == bytes[len - 1];
}

static struct vg_frame frame_cut(const uint8_t *bytes, size_t len)
{
	struct vg_frame f = {0};
	for (; f.skip < len; f.skip++) {
		const uint8_t *at = bytes + f.skip;
		size_t left = len - f.skip, length = left > 1 ? length_of(at[1]) : 0;
		if (at[0] != ANSWER || (left > 1 && !length))
			continue;
		if (!length || left < length)
			return f;
		if (!sum_right(at, length))
			continue;
		f.length = length;
		return f;
	}
	return f;
}

static void contec_opened(struct vg_session *s, bool excerpt)
{
	if (!excerpt)
		start(s);
}

static void contec_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct contec_bt *st = vg_state(s);
	(void)channel;
	vg_pieces_heard(s, &st->pieces, bytes, len, frame_cut, frame_heard, now);
}

static void contec_expired(struct vg_session *s, const struct vg_now *now)
{
	(void)now;
	start(s);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

static const struct vg_model models[] = {
	{.title = "Contec CMS50D-BT",
		.title_zh = "康泰 CMS50D-BT 血氧仪",
		.name = "SpO208",
		VG_OXIMETER_PRESS},
	{.title = "Contec CMS50D-BT",
		.title_zh = "康泰 CMS50D-BT 血氧仪",
		.name = "CMS50D",
		VG_OXIMETER_PRESS},
};

const struct vg_driver contec_bt = {
	.name = "contec_bt",
	.version = 1,
	.title = "Pulse oximeter Contec CMS50D-BT",
	.title_zh = "血氧仪(康泰 CMS50D-BT)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct contec_bt),
	.opened = contec_opened,
	.heard = contec_heard,
	.expired = contec_expired,
};
