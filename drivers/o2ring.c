/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Wellue/Viatom O2Ring and kin (Checkme O2): pulse oximeters that are worn at night.
 *
 *   request  aa | command | ~command | block u16 | length u16 | data | crc8, little-endian
 *   reply    55 | result (0 good) | ~result | block u16 | length u16 | data | crc8 (polynomial 07, first value
 *            0, of all bytes before), longer than a notification. It does not name the command: one at a time
 *   14       information, JSON: "CurTIME":"2026-11-21,08:00:00" is its clock, local, no zone
 *   16       configuration, JSON: {"SetTIME":"2026-11-21,08:00:00"}, written in pieces of 20 bytes
 *   17       what it shows now, asked every 2 s: SpO2 u8 % | pulse u16 /min | 4 bytes | battery u8 %
 *            | charging u8 | motion u8 | perfusion u8 | worn u8 | ..; not worn: SpO2 and pulse ff, worn 0
 *
 * The nights in its memory (03, 04, 05: open, read, close) are NOT read: their files carry a time and one
 * value for every few seconds, and belong to whoever wore the ring, not to who wears it now. The clock matters
 * to those files only; it is set when the option `clock` allows it. The ring takes one connection: a phone
 * must let go of it. Thresholds of motion and perfusion are not known, so they put nothing in doubt.
 *
 * Sources: o2r (MackeyStingray): frames, commands and the two replies in captures vector_* (captured bytes of
 * a ring, v237 and v238: of the reply's data only). Not confirmed: that the pulse has two bytes
 * (v238; other readers use the first, the second is 0 in v237), and what is in the replies' head: no
 * whole reply was seen.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/crc8.h>
#include <vitalgate/driver.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/pieces.h>
#include <vitalgate/uuid.h>

enum { HOST = 0xaa, RING = 0x55, HEAD = 7 };
enum { INFORMATION = 0x14, CONFIGURATION = 0x16, SHOWN = 0x17 };
enum { OFF = 1 };

#define EVERY_MS 2000
#define PATIENCE_MS 10000 /* for a reply; the link may still be looking for its characteristics */
#define TOLERANCE_S 60
#define CHUNK 20
#define TIME_LEN 19 /* 2026-11-21,08:00:00 */
#define LONGEST (VG_PIECES_MAX - HEAD - 1)

enum { REQUEST, REPLY };

static const struct vg_channel channels[] = {
	[REQUEST] = {.uuid128 = VG_UUID128(0x8b00ace7, 0xeb0b, 0x49b0, 0xbbe9, 0x9aee0a26e1a3),
		.use = VG_GATT_WRITE | VG_GATT_REQUIRED,
		.name = "8b00ace7"},
	[REPLY] = {.uuid128 = VG_UUID128(0x0734594a, 0xa8e7, 0x4b1a, 0xa6b1, 0xcd5243059a57),
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "0734594a"},
};

struct o2ring {
	struct vg_pieces pieces;
	uint8_t asked; /* 0: nothing is waited for */
	bool excerpt, battery_told;
};

static void ask(struct vg_session *s, uint8_t command, const char *data, size_t len)
{
	struct o2ring *st = vg_state(s);
	uint8_t frame[64] = {HOST, command, (uint8_t)~command, 0, 0, (uint8_t)len, 0};
	memcpy(frame + HEAD, data, len);
	frame[HEAD + len] = vg_crc8(frame, HEAD + len);
	len += HEAD + 1;
	st->asked = command;
	for (size_t at = 0; at < len; at += CHUNK)
		vg_send(s, REQUEST, frame + at, len - at < CHUNK ? len - at : CHUNK);
	vg_timer(s, PATIENCE_MS);
}

/* the clock */

static bool digits_read(const uint8_t *at, size_t n, unsigned *ret_number)
{
	unsigned number = 0;
	for (size_t i = 0; i < n; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		number = number * 10 + at[i] - '0';
	}
	*ret_number = number;
	return true;
}

static bool time_read(const uint8_t *at, struct vg_civil *ret_time)
{
	unsigned year, month, day, hour, minute, second;
	if (!digits_read(at, 4, &year) || !digits_read(at + 5, 2, &month) ||
		!digits_read(at + 8, 2, &day) || !digits_read(at + 11, 2, &hour) ||
		!digits_read(at + 14, 2, &minute) || !digits_read(at + 17, 2, &second))
		return false;
	*ret_time = (struct vg_civil){(uint16_t)year, (uint8_t)month, (uint8_t)day, (uint8_t)hour,
		(uint8_t)minute, (uint8_t)second};
	return true;
}

static void digits_put(char *at, size_t n, unsigned number)
{
	while (n--) {
		at[n] = (char)('0' + number % 10);
		number /= 10;
	}
}

static void clock_put(struct vg_session *s, const struct vg_civil *t)
{
	char json[] = "{\"SetTIME\":\"2026-11-21,08:00:00\"}";
	char *at = json + sizeof("{\"SetTIME\":\"") - 1;
	digits_put(at, 4, t->year);
	digits_put(at + 5, 2, t->month);
	digits_put(at + 8, 2, t->day);
	digits_put(at + 11, 2, t->hour);
	digits_put(at + 14, 2, t->minute);
	digits_put(at + 17, 2, t->second);
	ask(s, CONFIGURATION, json, sizeof(json) - 1);
}

static void information_heard(struct vg_session *s, const uint8_t *data, size_t len)
{
	static const char key[] = "\"CurTIME\":\"";
	struct o2ring *st = vg_state(s);
	struct vg_civil shown, now;
	size_t key_len = sizeof(key) - 1, i = 0;
	while (i + key_len + TIME_LEN < len && memcmp(data + i, key, key_len) != 0)
		i++;
	vg_result(s, VG_NOTHING);
	if (i + key_len + TIME_LEN >= len || !time_read(data + i + key_len, &shown))
		return;
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_CLOCK, .civil = &shown});
	if (!st->excerpt && vg_clock_set(s, TOLERANCE_S, &now))
		clock_put(s, &now);
}

/* what it shows */

static void shown_heard(struct vg_session *s, const uint8_t *data, size_t len)
{
	static const struct vg_status_bit bits[] = {{OFF, "sensor_off"}};
	struct o2ring *st = vg_state(s);
	struct buf b = buf_of(data, len);
	unsigned spo2 = buf_u8(&b), pulse = buf_le16(&b);
	buf_bytes(&b, 4);
	struct vg_event battery = {.type = VG_EVENT_BATTERY, .value = buf_u8(&b)};
	buf_bytes(&b, 3); /* charging, motion, perfusion */
	bool worn = buf_u8(&b);
	if (b.failed) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	vg_oximeter_show(s, worn ? spo2 : 0, pulse == 0xffff || pulse == 0xff ? 0 : pulse,
		worn ? 0 : OFF, bits, 1);
	if (!st->battery_told && battery.value <= 100)
		st->battery_told = vg_event(s, &battery) != 0;
}

static void frame_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	struct o2ring *st = vg_state(s);
	const uint8_t *data = bytes + HEAD;
	size_t data_len = len - HEAD - 1;
	uint8_t asked = st->asked;
	(void)now;
	st->asked = 0;
	if (!st->excerpt)
		vg_timer(s, EVERY_MS);
	if (st->excerpt) /* nobody asked: it is JSON, or it is what it shows */
		asked = data_len && data[0] == '{' ? INFORMATION : SHOWN;
	if (bytes[1] != 0 && asked) /* it could not do it */
		vg_result(s, VG_NOTHING);
	else if (asked == SHOWN)
		shown_heard(s, data, data_len);
	else if (asked == INFORMATION)
		information_heard(s, data, data_len);
	else
		vg_result(s, asked ? VG_NOTHING : VG_OUT_OF_SEQUENCE);
}

static struct vg_frame frame_cut(const uint8_t *bytes, size_t len)
{
	struct vg_frame f = {0};
	for (; f.skip < len; f.skip++) {
		const uint8_t *at = bytes + f.skip;
		size_t left = len - f.skip;
		if (at[0] != RING || (left > 2 && (at[1] ^ at[2]) != 0xff))
			continue;
		if (left < HEAD)
			return f;
		size_t data_len = at[5] | (size_t)at[6] << 8, length = HEAD + data_len + 1;
		if (data_len > LONGEST)
			continue;
		if (left < length)
			return f;
		if (vg_crc8(at, length - 1) != at[length - 1])
			continue;
		f.length = length;
		return f;
	}
	return f;
}

static void o2ring_opened(struct vg_session *s, bool excerpt)
{
	struct o2ring *st = vg_state(s);
	st->excerpt = excerpt;
	if (!excerpt)
		ask(s, INFORMATION, "", 0);
}

static void o2ring_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct o2ring *st = vg_state(s);
	(void)channel;
	vg_pieces_heard(s, &st->pieces, bytes, len, frame_cut, frame_heard, now);
}

static void o2ring_expired(struct vg_session *s, const struct vg_now *now)
{
	struct o2ring *st = vg_state(s);
	(void)now;
	st->pieces.n = 0; /* of a reply that did not come whole */
	ask(s, SHOWN, "", 0);
}

static const struct vg_option options[] = {VG_CLOCK_OPTION, VG_SAMPLE_OPTIONS};

#define PRESS                                                                                \
	.press = "Put it on a finger; close the phone's app, it takes only one connection.", \
	.press_zh = "戴到手指上；关闭手机应用，它只能有一个连接。"

static const struct vg_model models[] = {
	{.title = "Wellue O2Ring", .title_zh = "维亚通 O2Ring 指环血氧仪", .name = "O2Ring", PRESS},
	{.title = "Checkme O2", .title_zh = "Checkme O2 血氧仪", .name = "Checkme O2", PRESS},
};

const struct vg_driver o2ring = {
	.name = "o2ring",
	.version = 1,
	.title = "Ring oximeter Wellue/Viatom O2Ring",
	.title_zh = "指环血氧仪(O2Ring)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct o2ring),
	.opened = o2ring_opened,
	.heard = o2ring_heard,
	.expired = o2ring_expired,
};
