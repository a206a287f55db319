/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * BerryMed BM1000 and other finger oximeters with the "BCI" protocol: 100 frames of 5 bytes a second, several
 * in a notification and cut anywhere. Bit 7 is set in the first byte of a frame and in no other.
 *
 *   0   6 beat, 5 probe unplugged, 4 no signal, 3-0 strength of the signal
 *   1   pleth
 *   2   6 bit 7 of the pulse, 5 searching for a pulse, 4 no finger, 3-0 bar
 *   3   bits 6-0 of the pulse /min; 255: none
 *   4   SpO2 %; 127: none
 *
 * There is no checksum: a frame counts when the next byte, if it is there, begins another. Newer instruments
 * send a framed protocol, ff aa .., on the same characteristic; it is not read, and none of its bytes is
 * taken for a frame of these: a notification that begins so is unsupported. No pairing, no memory, no battery.
 *
 * Sources: a public library and the maker's demo (BCI_Protocol). No bytes of a device were seen: all
 * captures are constructed.
 */
#include <string.h>
#include <vitalgate/driver.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/pieces.h>
#include <vitalgate/uuid.h>

enum { FRAME_LEN = 5, FIRST = 0x80, PULSE_NONE = 255 };

static const struct vg_channel channels[] = {
	{.uuid128 = VG_UUID128(0x49535343, 0x1e4d, 0x4bd9, 0xba61, 0x23c647249616),
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "49535343"},
};

struct berrymed {
	struct vg_pieces pieces;
};

static void frame_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	static const struct vg_status_bit bits[] = {/* the third byte, and the first above it */
		{0x2000, "sensor_off"}, {0x10, "sensor_off"}, {0x20, "searching"},
		{0x1000, "no_signal"}};
	unsigned pulse = (bytes[2] & 0x40u) << 1 | bytes[3];
	(void)len;
	(void)now;
	vg_oximeter_show(s, bytes[4], pulse == PULSE_NONE ? 0 : pulse,
		(uint32_t)bytes[0] << 8 | bytes[2], bits, sizeof(bits) / sizeof(bits[0]));
}

/* No byte that is there says otherwise. */
static bool frame_fits(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && i <= FRAME_LEN; i++)
		if ((bytes[i] & FIRST) != (i % FRAME_LEN ? 0 : FIRST))
			return false;
	return true;
}

static struct vg_frame frame_cut(const uint8_t *bytes, size_t len)
{
	struct vg_frame f = {0};
	while (f.skip < len && !frame_fits(bytes + f.skip, len - f.skip))
		f.skip++;
	if (len - f.skip >= FRAME_LEN)
		f.length = FRAME_LEN;
	return f;
}

static void berrymed_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct berrymed *st = vg_state(s);
	(void)channel;
	if (len >= 2 && bytes[0] == 0xff && bytes[1] == 0xaa) {
		st->pieces.n = 0;
		vg_result(s, VG_UNSUPPORTED);
		return;
	}
	vg_pieces_heard(s, &st->pieces, bytes, len, frame_cut, frame_heard, now);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

static const struct vg_model models[] = {
	{.title = "BerryMed BM1000",
		.title_zh = "贝瑞 BM1000 血氧仪",
		.name = "BerryMed",
		VG_OXIMETER_PRESS},
};

const struct vg_driver berrymed = {
	.name = "berrymed",
	.version = 1,
	.title = "Pulse oximeter BerryMed (BCI protocol)",
	.title_zh = "血氧仪(贝瑞 BCI)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct berrymed),
	.heard = berrymed_heard,
};
