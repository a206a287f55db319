/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Yuwell finger oximeters (YX110 and kin): service FFE0, notifications on FFE4. Of their bytes two are known,
 * counted from 0:
 *
 *   4   pulse u8 /min
 *   5   SpO2 u8 %
 *
 * Nothing is known of the head, of a checksum, or of other kinds of frames. So only a pair that can be of a
 * finger is shown (SpO2 35 to 100, pulse 20 to 250), bytes that are both "none" (0, 127, 255) are a finger
 * that is out, and anything else is unsupported and shows nothing: a frame of another kind must not end a
 * measurement. Bytes behind the sixth are tolerated. No pairing is known of.
 *
 * Sources: two public gateways agree on the two bytes. Not confirmed: all else, the values for
 * "none" and the name "Yuwell BO" (recalled). No bytes of a device were seen: captures are constructed.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/oximeter.h>

static const struct vg_channel channels[] = {
	{.uuid16 = 0xffe4,
		.service16 = 0xffe0,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "ffe4"},
};

static bool none(unsigned value)
{
	return value == 0 || value == 127 || value == 255;
}

static void yuwell_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct buf b = buf_of(bytes, len);
	buf_bytes(&b, 4);
	unsigned pulse = buf_u8(&b), spo2 = buf_u8(&b);
	(void)channel;
	(void)now;
	if (b.failed)
		vg_result(s, VG_MALFORMED);
	else if (none(pulse) && none(spo2))
		vg_oximeter_show(s, 0, 0, 0, NULL, 0);
	else if (spo2 >= 35 && spo2 <= VG_SPO2_MAX && pulse >= 20 && pulse <= 250)
		vg_oximeter_show(s, spo2, pulse, 0, NULL, 0);
	else
		vg_result(s, VG_UNSUPPORTED);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

static const struct vg_model models[] = {
	{.title = "Yuwell oximeter",
		.title_zh = "鱼跃血氧仪",
		.name = "Yuwell BO",
		VG_OXIMETER_PRESS},
	{.title = "Yuwell oximeter",
		.title_zh = "鱼跃血氧仪",
		.name = "Yuwell",
		.service16 = 0xffe0,
		VG_OXIMETER_PRESS},
};

const struct vg_driver yuwell_oximeter = {
	.name = "yuwell_oximeter",
	.version = 1,
	.title = "Pulse oximeter Yuwell",
	.title_zh = "血氧仪(鱼跃)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.heard = yuwell_heard,
};
