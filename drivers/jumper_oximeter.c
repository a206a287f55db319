/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jumper finger oximeters with Bluetooth (JPD-500F and kin), notifying on CDEACB81-...:
 *
 *   81 | pulse u8 /min | SpO2 u8 % | perfusion index u8 0.1 %      once a second
 *   80 | pleth ..                                                  many times a second
 *   none   pulse 255, SpO2 127
 *
 * No checksum: a frame 81 has 4 bytes and no more, because Jumper's thermometers use the same service. A
 * perfusion index of 0 beside a saturation is in doubt (low_perfusion). No pairing, no memory. Yonker's blood
 * pressure monitors, CDEACD80, are something else.
 *
 * Sources: one frame of a device in the comment of a public reader (v234, capture vector_v234); several
 * public readers agree on it and on "none". Not confirmed: the name "My Oximeter" (recalled), the
 * unit of the perfusion index.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/uuid.h>

enum { PLETH = 0x80, VALUES = 0x81, VALUES_LEN = 4, PULSE_NONE = 255 };
enum { LOW_PERFUSION = 1 };

#define SERVICE VG_UUID128(0xcdeacb80, 0x5235, 0x4c07, 0x8846, 0x93a37ee6b86d)

static const struct vg_channel channels[] = {
	{.uuid128 = VG_UUID128(0xcdeacb81, 0x5235, 0x4c07, 0x8846, 0x93a37ee6b86d),
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "cdeacb81"},
};

static void values_heard(struct vg_session *s, struct buf *b)
{
	static const struct vg_status_bit bits[] = {{LOW_PERFUSION, "low_perfusion"}};
	unsigned pulse = buf_u8(b), spo2 = buf_u8(b), index = buf_u8(b);
	bool shown = spo2 && spo2 <= VG_SPO2_MAX;
	vg_oximeter_show(s, spo2, pulse == PULSE_NONE ? 0 : pulse,
		shown && !index ? LOW_PERFUSION : 0, bits, 1);
}

static void jumper_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct buf b = buf_of(bytes, len);
	uint8_t type = buf_u8(&b);
	(void)channel;
	(void)now;
	if (b.failed || (type == VALUES && len != VALUES_LEN))
		vg_result(s, VG_MALFORMED);
	else if (type == VALUES)
		values_heard(s, &b);
	else
		vg_result(s, type == PLETH ? VG_NOTHING : VG_UNSUPPORTED);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

static const struct vg_model models[] = {
	{.title = "Jumper JPD-500F",
		.title_zh = "京柏 JPD-500F 血氧仪",
		.name = "My Oximeter",
		VG_OXIMETER_PRESS},
	{.title = "Jumper oximeter",
		.title_zh = "京柏血氧仪",
		.service128 = SERVICE,
		VG_OXIMETER_PRESS},
};

const struct vg_driver jumper_oximeter = {
	.name = "jumper_oximeter",
	.version = 1,
	.title = "Pulse oximeter Jumper",
	.title_zh = "血氧仪(京柏)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.heard = jumper_heard,
};
