/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Masimo MightySat finger oximeter, over Masimo's own Bluetooth service. Little-endian.
 *
 *   frame   77 | length u8 of what follows | payload | crc8 (polynomial 07, first value 0) of the payload
 *   start   03 | parameters u16 | waveforms u8: written once, all five parameters, no waveform
 *   answer  fe | command; refusal ff | command | error (1 no record, 2 failed, 3 not supported, 5 bad crc)
 *   values  05 | system exceptions u32 | for each parameter its exceptions u8 and value, once a second
 *   parameters, in this order: SpO2 u8 %, pulse u8 /min, PVi u8, PI u16 0.01 %, respiration u8
 *   system exceptions     21 sensor off, 22 pulse search, 23 interference, 24 low perfusion
 *   parameter exceptions  0 low confidence, 2 invalid, 4 still starting; 255: none
 *
 * Only SpO2 and pulse are read, which are first whatever else was asked for. A system exception that is not
 * known puts the values in doubt (device_exception). The clock and the trends in its memory are not touched.
 *
 * Sources: frames of the tests of masimo-live (vectors v127 to v132, captures vector_*; their numbers are
 * the collector's); exception bits, errors and the company id of a public collection of device
 * sheets (Masimo CSD-1322B). Not confirmed: whether the consumer variant refuses the mask of five;
 * pairing, of which neither source speaks. No bytes of a device were seen here.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/crc8.h>
#include <vitalgate/driver.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/pieces.h>
#include <vitalgate/uuid.h>

enum { START_OF_FRAME = 0x77, HEAD = 2 };
enum { CONFIGURE = 0x03, VALUES = 0x05, ACCEPTED = 0xfe, REFUSED = 0xff };
enum { LOW_CONFIDENCE = 0x01, INVALID = 0x04, STARTING = 0x10 };
#define KNOWN_EXCEPTIONS UINT32_C(0x01e00000)
/* Of ours, among bits that are taken out of the system exceptions. */
enum { OTHER = 0x01, CONFIDENCE = 0x02, EARLY = 0x04 };

enum { REQUEST, STREAM };

static const struct vg_channel channels[] = {
	[REQUEST] = {.uuid128 = VG_UUID128(0x54c21001, 0xa720, 0x4b4f, 0x11e4, 0x9fe20002a5d5),
		.use = VG_GATT_WRITE | VG_GATT_REQUIRED,
		.name = "54c21001"},
	[STREAM] = {.uuid128 = VG_UUID128(0x54c21002, 0xa720, 0x4b4f, 0x11e4, 0x9fe20002a5d5),
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "54c21002"},
};

struct mightysat {
	struct vg_pieces pieces;
};

static const struct vg_status_bit bits[] = {
	{UINT32_C(1) << 21, "sensor_off"},
	{UINT32_C(1) << 22, "searching"},
	{UINT32_C(1) << 23, "interference"},
	{UINT32_C(1) << 24, "low_perfusion"},
	{OTHER, "device_exception"},
	{CONFIDENCE, "low_confidence"},
	{EARLY, "early_estimate"},
};

static void values_heard(struct vg_session *s, struct buf *b)
{
	uint32_t system = buf_le32(b);
	uint8_t spo2_exceptions = buf_u8(b), spo2 = buf_u8(b);
	uint8_t pulse_exceptions = buf_u8(b), pulse = buf_u8(b);
	if (b->failed) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	uint32_t status = system & KNOWN_EXCEPTIONS;
	bool no_pulse = pulse == 255 || pulse_exceptions & INVALID;
	uint8_t exceptions = no_pulse ? spo2_exceptions : spo2_exceptions | pulse_exceptions;
	status |= system & ~KNOWN_EXCEPTIONS ? OTHER : 0;
	status |= exceptions & LOW_CONFIDENCE ? CONFIDENCE : 0;
	status |= exceptions & STARTING ? EARLY : 0;
	vg_oximeter_show(s, spo2_exceptions & INVALID ? 0 : spo2, no_pulse ? 0 : pulse, status,
		bits, sizeof(bits) / sizeof(bits[0]));
}

static void frame_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	struct vg_event refused = {
		.type = VG_EVENT_DEVICE_ERROR, .detail = "it refuses to stream its values"};
	struct buf b = buf_of(bytes + HEAD, len - HEAD - 1);
	uint8_t id = buf_u8(&b), command = id == REFUSED ? buf_u8(&b) : 0;
	(void)now;
	if (id == VALUES) {
		values_heard(s, &b);
		return;
	}
	if (command == CONFIGURE)
		vg_event(s, &refused);
	vg_result(s, id == ACCEPTED || id == REFUSED ? VG_NOTHING : VG_UNSUPPORTED);
}

/* The shortest payload is one byte. */
static struct vg_frame frame_cut(const uint8_t *bytes, size_t len)
{
	struct vg_frame f = {0};
	for (; f.skip < len; f.skip++) {
		const uint8_t *at = bytes + f.skip;
		size_t left = len - f.skip, length = left > 1 ? at[1] + (size_t)HEAD : 0;
		if (at[0] != START_OF_FRAME || (left > 1 && length < HEAD + 2))
			continue;
		if (!length || left < length)
			return f;
		if (vg_crc8(at + HEAD, length - HEAD - 1) != at[length - 1])
			continue;
		f.length = length;
		return f;
	}
	return f;
}

static void mightysat_opened(struct vg_session *s, bool excerpt)
{
	static const uint8_t start[] = {START_OF_FRAME, 0x05, CONFIGURE, 0x1f, 0x00, 0x03, 0xd6};
	if (!excerpt)
		vg_send(s, REQUEST, start, sizeof(start));
}

static void mightysat_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes,
	size_t len, const struct vg_now *now)
{
	struct mightysat *st = vg_state(s);
	(void)channel;
	vg_pieces_heard(s, &st->pieces, bytes, len, frame_cut, frame_heard, now);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

static const struct vg_model models[] = {
	{.title = "Masimo MightySat",
		.title_zh = "迈心诺 MightySat 血氧仪",
		.name = "MightySat",
		.company = 0x0243,
		VG_OXIMETER_PRESS},
};

const struct vg_driver mightysat = {
	.name = "mightysat",
	.version = 1,
	.title = "Pulse oximeter Masimo MightySat",
	.title_zh = "血氧仪(迈心诺 MightySat)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct mightysat),
	.opened = mightysat_opened,
	.heard = mightysat_heard,
};
