/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Straps and armbands with the Bluetooth Heart Rate Service, 0x180D.
 *
 * 2A37, notified about once a second, little-endian:
 *   flags u8 | rate u8, or u16 (b0) | [energy u16 kJ, b3] | [times between beats u16, to the end, b4]
 *   flags      b1-2: 0, 1 skin contact is not watched, 2 no contact, 3 contact
 *   times      1/1024 s, oldest first, those of the beats since the one before; a packet has as many as fit
 * One byte too many behind them makes the whole malformed, as then the times may be shifted.
 *
 * It measures all the time, so the daemon makes the readings: one when the rate is steady, or a summary at
 * intervals (option `mode`). The times between beats go into these as the shortest, the longest and, in a
 * summary, the root mean square of their differences: an irregular beat shows there and not in the rate.
 * Rate 0: nothing is shown. A rate without contact is in doubt, with the flag "no_contact", and not gone: the
 * captured strap says so beside a good rate and times.
 *
 * 2A38 (where it is worn: 0 other, 1 chest, 2 wrist, 3 finger, 4 hand, 5 ear lobe, 6 foot) is read so that a
 * trace of the link shows it. Energy is no sign of health and is not used; 2A39, which resets it, is not
 * written. There is no memory and no clock.
 *
 * Sources: GATT Specification Supplement as carried by public decoders; captured bytes of a Wahoo strap in a
 * public test suite (v138, v139 of the captures).
 */
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>

enum { FLAG_WIDE = 1, FLAG_CONTACT = 6, FLAG_ENERGY = 8, FLAG_TIMES = 16 };
#define NO_CONTACT 4 /* of FLAG_CONTACT */

enum { BATTERY, LOCATION, MEASUREMENT };

static const struct vg_channel channels[] = {
	[BATTERY] = VG_CHANNEL_BATTERY,
	[LOCATION] = {.uuid16 = 0x2a38, .service16 = 0x180d, .use = VG_GATT_READ, .name = "2a38"},
	[MEASUREMENT] = {.uuid16 = 0x2a37,
		.service16 = 0x180d,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "2a37"},
};

/* One sample, with as many times as go into it. */
static void sample(struct vg_session *s, uint16_t rate, bool loose, struct buf *times)
{
	static const char *const doubt = "no_contact";
	struct vg_quantity q[VG_SAMPLE_QUANTITIES_MAX];
	struct vg_sample x = {.kind = "hr", .quantities = q, .flags = &doubt, .n_flags = loose};
	if (rate)
		q[x.n_quantities++] =
			(struct vg_quantity){.kind = "hr", .value = {rate, 0}, .unit = "/min"};
	while (x.n_quantities < VG_SAMPLE_QUANTITIES_MAX && buf_left(times))
		q[x.n_quantities++] = (struct vg_quantity){.kind = "hr.rr",
			.value = {buf_le16(times) * INT64_C(9765625), -7}, /* 1000 / 1024 */
			.unit = "ms"};
	vg_sample(s, &x);
}

static void measurement_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct buf b = buf_of(bytes, len);
	uint8_t flags = buf_u8(&b);
	uint16_t rate = flags & FLAG_WIDE ? buf_le16(&b) : buf_u8(&b);
	if (flags & FLAG_ENERGY)
		buf_le16(&b);
	if (b.failed || (flags & FLAG_TIMES && buf_left(&b) % 2)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	struct buf times = buf_of(b.at, flags & FLAG_TIMES ? buf_left(&b) : 0);
	do
		sample(s, rate, (flags & FLAG_CONTACT) == NO_CONTACT, &times);
	while (buf_left(&times));
}

static void bt_heart_rate_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes,
	size_t len, const struct vg_now *now)
{
	(void)now;
	switch (channel) {
	case MEASUREMENT:
		measurement_heard(s, bytes, len);
		break;
	case BATTERY:
		vg_battery_heard(s, bytes, len);
		break;
	default:
		vg_result(s, VG_NOTHING);
	}
}

/* As VG_SAMPLE_OPTIONS, without its low limit, which is one of saturation. */
static const struct vg_option options[] = {
	{"mode", "spot", (const char *const[]){"spot", "continuous", NULL},
		"one reading when the rate is steady, or a summary at intervals"},
	{"interval_s", "300", NULL, "continuous: seconds of one summary, 30 to 3600"},
	{"steady_s", "8", NULL, "spot: seconds without a doubt that make a reading, 4 to 60"},
};

static const struct vg_model models[] = {
	{.title = "Heart rate strap or armband",
		.title_zh = "心率带/心率臂带",
		.service16 = 0x180d,
		.press = "put it on; wet the electrodes of a chest strap",
		.press_zh = "佩戴好;胸带需先沾湿电极"},
};

const struct vg_driver bt_heart_rate = {
	.name = "bt_heart_rate",
	.version = 1,
	.title = "Bluetooth heart rate strap",
	.title_zh = "蓝牙心率带",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.heard = bt_heart_rate_heard,
};
