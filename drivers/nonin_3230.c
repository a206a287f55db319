/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nonin 3230 finger oximeter, over Nonin's own Bluetooth service. Once a second it notifies 10 bytes
 * on 0AAD7EA0-0D60-11E2-8E3C-0002A5D5C51B (data format 19), big-endian:
 *
 *   length 0a | status | battery u8 0.1 V | pulse amplitude u16 0.01 % | counter u16 s
 *   | SpO2 u8 % | pulse u16 /min
 *   status   0 display is in step, 1 weak signal (0.3 % or less), 2 SmartPoint, 3 searching for a pulse,
 *            4 correct check (the finger is where it must be), 5 low battery, 6 link is encrypted
 *   none     SpO2 127, pulse 511
 *
 * Values without correct check are in doubt: sensor_displaced; without any value it is sensor_off.
 * A weak signal is in doubt as low_perfusion, but not when the values passed SmartPoint, which is Nonin's
 * own judgement that they may be written down: a person with cold hands would else have no clean value.
 * Bytes behind the tenth are tolerated. There is no memory. The control point 1447AF80 takes "bNMI",
 * which ends a spot check; nothing is written, a finger that goes out ends it as well.
 *
 * Sources: Nonin's own samples for phones in public repositories (layout, bits 0 to 5, none); a public
 * decoder after Nonin's 113142-000-02 (length, bit 6, units). Not confirmed: that it tells nothing
 * without a bond (the samples ask for an encrypted link); whether SmartPoint stays set. No bytes of a
 * device were seen: all captures are constructed.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/uuid.h>

enum {
	WEAK = 0x02,
	SMARTPOINT = 0x04,
	SEARCHING = 0x08,
	CORRECT_CHECK = 0x10,
	LOW_BATTERY = 0x20,
};
/* Of ours, above the eight that it sends. */
enum { OFF = 0x100, DISPLACED = 0x200, LOW_PERFUSION = 0x400 };

#define FRAME_LEN 10
#define PULSE_NONE 511

enum { BATTERY, OXIMETRY };

static const struct vg_channel channels[] = {
	[BATTERY] = VG_CHANNEL_BATTERY,
	[OXIMETRY] = {.uuid128 = VG_UUID128(0x0aad7ea0, 0x0d60, 0x11e2, 0x8e3c, 0x0002a5d5c51b),
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "0aad7ea0"},
};

struct nonin_3230 {
	bool battery_told;
};

static const struct vg_status_bit bits[] = {
	{OFF, "sensor_off"},
	{DISPLACED, "sensor_displaced"},
	{SEARCHING, "searching"},
	{LOW_PERFUSION, "low_perfusion"},
};

static void oximetry_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct nonin_3230 *st = vg_state(s);
	struct vg_event low = {.type = VG_EVENT_DEVICE_ERROR, .detail = "low battery"};
	struct buf b = buf_of(bytes, len);
	uint8_t length = buf_u8(&b);
	uint32_t status = buf_u8(&b);
	buf_bytes(&b, 5); /* voltage, amplitude, counter */
	unsigned spo2 = buf_u8(&b), pulse = buf_be16(&b);
	if (b.failed || length < FRAME_LEN || length > len) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	if (!(status & CORRECT_CHECK))
		status |= spo2 && spo2 <= VG_SPO2_MAX ? DISPLACED : OFF;
	if ((status & (WEAK | SMARTPOINT)) == WEAK)
		status |= LOW_PERFUSION;
	vg_oximeter_show(s, spo2, pulse == PULSE_NONE ? 0 : pulse, status, bits,
		sizeof(bits) / sizeof(bits[0]));
	if (status & LOW_BATTERY && !st->battery_told) /* once a session: it is said every second */
		st->battery_told = vg_event(s, &low) != 0;
}

static void nonin_3230_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes,
	size_t len, const struct vg_now *now)
{
	(void)now;
	if (channel == BATTERY)
		vg_battery_heard(s, bytes, len);
	else
		oximetry_heard(s, bytes, len);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

static const struct vg_model models[] = {
	{.title = "Nonin 3230",
		.title_zh = "Nonin 3230 血氧仪",
		.name = "Nonin3230",
		VG_OXIMETER_PRESS,
		.pairing = true},
};

const struct vg_driver nonin_3230 = {
	.name = "nonin_3230",
	.version = 1,
	.title = "Pulse oximeter Nonin 3230",
	.title_zh = "血氧仪(Nonin 3230 蓝牙)",
	.experimental = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct nonin_3230),
	.heard = nonin_3230_heard,
};
