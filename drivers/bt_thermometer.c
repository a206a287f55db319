/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Thermometers for people with the Bluetooth Health Thermometer Service, 0x1809.
 *
 * 2A1C, indicated, little-endian:
 *   flags u8 | temperature FLOAT | [date time 7, b1] | [type u8, b2]; b0: 0 Celsius, 1 Fahrenheit
 *   type   1 armpit, 2 body, 3 ear, 4 finger, 5 gastrointestinal tract, 6 mouth, 7 rectum, 8 toe, 9
 *          tympanum (eardrum); the rest reserved. 2A1D is the same for a device that never changes it, and
 *          holds where 2A1C says nothing.
 * Bytes behind the last field are tolerated. 2A1E, the temperature while it still rises, is not a
 * measurement and is not subscribed; 2A21, the interval of measuring, is not written.
 *
 * The site is a note ("site"), because half a degree lies between armpit and mouth. There is no code for a
 * forehead: such devices say body, or nothing. What is not said is not guessed, and a reserved code says
 * nothing: who installs one says so by the option `site`, and what the device says does not count then.
 * Skin (finger, toe, forehead) is degrees colder than the body: temp.surface, never temp.
 *
 * Not measured: NaN and NRes are a failed measurement (a probe that is off, or a button pressed too
 * early); infinities, too: the service gives no limit to put beside a '<' or '>'.
 *
 * Yuwell: one variant is said to send an SFLOAT in place of the FLOAT (from one public gateway). Recognised by
 * a length of exactly two bytes less than the flags ask for; all others that are too short are malformed.
 *
 * Clock: only with the option `clock`. 2A2B when it is off by more than a minute; 2A08 inside 0x1809 (A&D
 * UT-201BLE, Nipro NSM-1BLE, which date by it) each time and before anything is subscribed, and blindly
 * when neither could be read and the device has a 2A1D.
 *
 * Sources: GATT Specification Supplement; public decoders and their tests. No bytes of a real device were seen.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/sfloat.h>
#include <vitalgate/text.h>

#define OFF_S 60 /* a clock that is clearly off */
#define FOREHEAD "forehead"

enum { FLAG_FAHRENHEIT = 1, FLAG_TIME = 2, FLAG_TYPE = 4 };

enum { FINGER = 4, TOE = 8 }; /* types that are skin */

enum { CURRENT_TIME, DATE_TIME, BATTERY, TYPE, MEASUREMENT };

static const struct vg_channel channels[] = {
	[CURRENT_TIME] = {.uuid16 = 0x2a2b,
		.service16 = 0x1805,
		.use = VG_GATT_READ | VG_GATT_WRITE,
		.name = "2a2b"},
	[DATE_TIME] = {.uuid16 = 0x2a08,
		.service16 = 0x1809,
		.use = VG_GATT_READ | VG_GATT_WRITE | VG_GATT_FIRST,
		.name = "2a08"},
	[BATTERY] = VG_CHANNEL_BATTERY,
	[TYPE] = {.uuid16 = 0x2a1d, .service16 = 0x1809, .use = VG_GATT_READ, .name = "2a1d"},
	[MEASUREMENT] = {.uuid16 = 0x2a1c,
		.service16 = 0x1809,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "2a1c"},
};

struct thermometer {
	uint8_t type;	 /* of 2A1D; 0: not said */
	bool clock_told; /* it could be read */
	bool drained;
};

/* One 2A1C cut into pieces; nothing is judged yet. */
struct measurement {
	uint8_t flags, type; /* type 0: not said */
	enum vg_number number;
	struct vg_decimal value;
	struct vg_civil taken;
	uint8_t identity[12]; /* date time, type, the number as on the wire */
};

static bool measurement_cut(const uint8_t *bytes, size_t len, struct measurement *ret_m)
{
	static const uint8_t none[VG_DATE_TIME];
	struct buf b = buf_of(bytes, len);
	struct measurement m = {.flags = buf_u8(&b)};
	bool time = m.flags & FLAG_TIME, type = m.flags & FLAG_TYPE;
	size_t whole = 5u + (time ? VG_DATE_TIME : 0) + type;
	bool small = len + 2 == whole;
	uint32_t word = small ? buf_le16(&b) : buf_le32(&b);
	const uint8_t *date = time ? buf_bytes(&b, VG_DATE_TIME) : none;
	m.type = type ? buf_u8(&b) : 0;
	if (b.failed)
		return false;
	m.number = small ? vg_sfloat((uint16_t)word, &m.value) : vg_float(word, &m.value);
	struct buf t = buf_of(date, VG_DATE_TIME);
	m.taken = vg_date_time(&t);
	const uint8_t rest[] = {m.type, (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
		(uint8_t)(word >> 24)};
	memcpy(m.identity, date, VG_DATE_TIME);
	memcpy(m.identity + VG_DATE_TIME, rest, sizeof(rest));
	*ret_m = m;
	return true;
}

static const char *site_of(uint8_t type)
{
	static const char *const sites[] = {NULL, "armpit", "body", "ear", [FINGER] = "finger",
		"gastrointestinal", "mouth", "rectum", [TOE] = "toe", "tympanum"};
	return type < sizeof(sites) / sizeof(sites[0]) ? sites[type] : NULL;
}

static void failed(struct vg_session *s, enum vg_number number)
{
	static const char *const details[] = {[VG_NUMBER_NONE] = "no temperature measured",
		[VG_NUMBER_POSITIVE] = "temperature above the range of the thermometer",
		[VG_NUMBER_NEGATIVE] = "temperature below the range of the thermometer"};
	vg_event(s,
		&(struct vg_event){.type = VG_EVENT_FAILED_MEASUREMENT, .detail = details[number]});
	vg_result(s, VG_NOTHING);
}

static void measurement_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	const struct thermometer *st = vg_state(s);
	struct measurement m;
	if (!measurement_cut(bytes, len, &m)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	if (m.number != VG_NUMBER) {
		failed(s, m.number);
		return;
	}
	uint8_t type = m.flags & FLAG_TYPE ? m.type : st->type;
	bool forehead = vg_text_is(vg_text_ended(vg_option(s, "site")), FOREHEAD);
	const char *site = forehead ? FOREHEAD : site_of(type);
	bool skin = forehead || type == FINGER || type == TOE;
	struct vg_quantity quantity = {.kind = skin ? "temp.surface" : "temp",
		.value = m.value,
		.unit = m.flags & FLAG_FAHRENHEIT ? "degF" : "degC"};
	struct vg_note note = {"site", site, vg_text_ended(site).len};
	vg_reading(s, &(struct vg_reading){.kind = "temperature",
			      .taken = m.flags & FLAG_TIME ? &m.taken : NULL,
			      .user = -1,
			      .seq = -1,
			      .quantities = &quantity,
			      .n_quantities = 1,
			      .notes = &note,
			      .n_notes = site ? 1 : 0,
			      .identity = m.identity,
			      .identity_len = vg_date_known(&m.taken) ? sizeof(m.identity) : 0});
}

static void clock_set(struct vg_session *s, unsigned channel)
{
	bool current = channel == CURRENT_TIME;
	vg_clock_send(s, channel, current, current ? OFF_S : 0);
}

static void clock_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len)
{
	struct thermometer *st = vg_state(s);
	if (!vg_clock_heard(s, bytes, len))
		return;
	st->clock_told = true;
	clock_set(s, channel);
}

/* The last that is read: now it is known whether a clock could be. */
static void type_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct thermometer *st = vg_state(s);
	struct buf b = buf_of(bytes, len);
	st->type = buf_u8(&b);
	if (!st->clock_told)
		clock_set(s, DATE_TIME);
	vg_result(s, b.failed ? VG_MALFORMED : VG_NOTHING);
}

static void bt_thermometer_opened(struct vg_session *s, bool excerpt)
{
	if (!excerpt)
		vg_timer(s, VG_NOTHING_TOLD_MS);
}

static void bt_thermometer_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes,
	size_t len, const struct vg_now *now)
{
	const struct thermometer *st = vg_state(s);
	(void)now;
	if (!st->drained && channel == MEASUREMENT)
		vg_timer(s, VG_TOLD_MS);
	switch (channel) {
	case MEASUREMENT:
		measurement_heard(s, bytes, len);
		break;
	case CURRENT_TIME:
	case DATE_TIME:
		clock_heard(s, channel, bytes, len);
		break;
	case BATTERY:
		vg_battery_heard(s, bytes, len);
		break;
	case TYPE:
		type_heard(s, bytes, len);
		break;
	default:
		vg_result(s, VG_NOTHING);
	}
}

/* Silence after the last record, or a link that the instrument ended after it. */
static void bt_thermometer_quiet(struct vg_session *s, const struct vg_now *now)
{
	struct thermometer *st = vg_state(s);
	(void)now;
	if (!st->drained)
		vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	st->drained = true;
}

static void bt_thermometer_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	(void)channel, (void)now;
	vg_clock_denied(s, code);
}

static const struct vg_option options[] = {
	VG_CLOCK_OPTION,
	{"site", "told", (const char *const[]){"told", FOREHEAD, NULL},
		"forehead: it measures skin, whatever it says"},
};

static const struct vg_model models[] = {
	{.title = "A&D UT-201BLE",
		.title_zh = "爱安德 UT-201BLE 体温计",
		.name = "A&D_UT201BLE",
		.service16 = 0x1809,
		.press = "hold the button until \"Pr\" is shown",
		.press_zh = "按住按键,直到显示 Pr",
		.pairing = true,
		.options = "clock=set"},
	{.title = "Nipro NSM-1BLE",
		.title_zh = "尼普洛 NSM-1BLE 体温计",
		.name = "NSM-1BLE",
		.service16 = 0x1809,
		.press = "hold the button until it shows that it is pairing",
		.press_zh = "按住按键,直到显示配对",
		.options = "clock=set"},
	{.title = "Yuwell thermometer",
		.title_zh = "鱼跃体温计",
		.name = "Yuwell",
		.service16 = 0x1809,
		.press = "switch it on and measure once",
		.press_zh = "开机并测量一次"},
	{.title = "Bluetooth thermometer",
		.title_zh = "蓝牙体温计",
		.service16 = 0x1809,
		.press = "switch it on and measure once",
		.press_zh = "开机并测量一次"},
};

const struct vg_driver bt_thermometer = {
	.name = "bt_thermometer",
	.version = 2, /* 2: skin is temp.surface */
	.title = "Bluetooth thermometer",
	.title_zh = "蓝牙体温计",
	.experimental = true,
	.bus = VG_BUS_GATT,
	.settle_ms = 100,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct thermometer),
	.opened = bt_thermometer_opened,
	.heard = bt_thermometer_heard,
	.expired = bt_thermometer_quiet,
	.hung_up = bt_thermometer_quiet,
	.denied = bt_thermometer_denied,
};
