/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blood pressure monitors with the Bluetooth Blood Pressure Service, 0x1810.
 *
 * 2A35, indicated, little-endian:
 *   flags u8 | systolic SFLOAT | diastolic SFLOAT | mean SFLOAT
 *   | [date time 7, b1] | [pulse SFLOAT, b2] | [user u8, b3] | [status u16, b4]
 *   flags      b0: 0 mmHg, 1 kPa; b5-7 reserved: seen set on real monitors, ignored
 *   date time  year u16, month, day, hour, minute, second; local, no zone; year, month or day 0: unknown
 *   user       255: unknown
 *   status     b0 body movement, b1 cuff too loose, b2 irregular pulse, b3-4 pulse 1 above 2 below the
 *              monitor's range, b5 improper position; the rest reserved
 * Bytes behind the last field are tolerated (E2E-CRC of newer revisions). 2A36, the pressure while the cuff
 * inflates, is not a measurement and is not subscribed.
 *
 * Not measured: a failed cuff sends NaN in all numbers with status 0 (seen: boso), so the number words
 * decide, not the status. Systolic or diastolic without a number, infinities included: the service gives no
 * limit to put beside a '<' or '>', so this is a failed measurement, with the reason as detail. Mean NaN,
 * NRes or 0 and pulse NaN or 0 are normal and only leave that number out.
 *
 * Beurer (BM85 seen: flags 0x56): the user bit is clear but a user byte follows the pulse, and pulse and
 * status are big-endian. Recognised when the strict layout leaves exactly one byte and the pulse is 30..220
 * read big-endian and not so read little-endian; option `quirk` overrides.
 *
 * 2A49 (feature) is read so that a trace of the link shows it; a status bit whose feature bit is clear is still
 * passed on (that such a bit means nothing is not confirmed).
 *
 * Clock: 2A2B and 2A08 inside 0x1810 show it; it is written only with the option `clock`, and once.
 *   2A08  A&D, Nipro: each time and before anything is subscribed, as without it they date their records by
 *         a clock that nobody set; blindly when no clock could be read
 *   2A2B  Omron and others: when it is off by more than 10 minutes. Omron takes it only when everything is
 *         subscribed (so it is no VG_GATT_FIRST), one public program says: after its first notification
 * A&D wants 40 to 100 ms between connection and first write, by its firmware; Beurer BM85 at least 100 ms
 * (another public program: 3 s) before it is subscribed: a search, some reads and `settle_ms` lie in between.
 *
 * Sources: GATT Specification Supplement, Blood Pressure Service; captured bytes of boso, Beurer BM85 and
 * Yuwell YE680B in public test suites; public samples of A&D's maker; advertised names: public programs, that
 * of boso is recalled. What to press: instructions as public programs repeat them.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/sfloat.h>
#include <vitalgate/text.h>

#define OFF_S 600 /* a clock that is clearly off */

enum {
	FLAG_KPA = 1,
	FLAG_TIME = 2,
	FLAG_PULSE = 4,
	FLAG_USER = 8,
	FLAG_STATUS = 16,
};

enum { CURRENT_TIME, DATE_TIME, BATTERY, FEATURE, MEASUREMENT };

static const struct vg_channel channels[] = {
	[CURRENT_TIME] = {.uuid16 = 0x2a2b,
		.service16 = 0x1805,
		.use = VG_GATT_READ | VG_GATT_SUBSCRIBE | VG_GATT_WRITE,
		.name = "2a2b"},
	[DATE_TIME] = {.uuid16 = 0x2a08,
		.service16 = 0x1810,
		.use = VG_GATT_READ | VG_GATT_WRITE | VG_GATT_FIRST,
		.name = "2a08"},
	[BATTERY] = VG_CHANNEL_BATTERY,
	[FEATURE] = {.uuid16 = 0x2a49, .service16 = 0x1810, .use = VG_GATT_READ, .name = "2a49"},
	[MEASUREMENT] = {.uuid16 = 0x2a35,
		.service16 = 0x1810,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "2a35"},
};

struct monitor {
	bool clock_told; /* it could be read */
	bool drained;
};

/* One 2A35 cut into words; nothing is judged yet. */
struct measurement {
	uint8_t flags;
	uint16_t sys, dia, map, pulse, status;
	uint8_t user; /* 255: unknown or none */
	struct vg_civil taken;
	uint8_t identity[18]; /* date time, user, the five words as on the wire */
	size_t left;	      /* bytes behind the last field */
};

static bool measurement_cut(
	const uint8_t *bytes, size_t len, bool beurer, struct measurement *ret_m)
{
	static const uint8_t none[VG_DATE_TIME];
	struct buf b = buf_of(bytes, len);
	struct measurement m = {.flags = buf_u8(&b), .user = 0xff};
	const uint8_t *numbers = buf_bytes(&b, 6);
	const uint8_t *time = m.flags & FLAG_TIME ? buf_bytes(&b, VG_DATE_TIME) : none;
	const uint8_t *pulse = m.flags & FLAG_PULSE ? buf_bytes(&b, 2) : none;
	if (m.flags & FLAG_USER || beurer)
		m.user = buf_u8(&b);
	const uint8_t *status = m.flags & FLAG_STATUS ? buf_bytes(&b, 2) : none;
	if (b.failed)
		return false;
	struct buf n = buf_of(numbers, 6);
	m.sys = buf_le16(&n);
	m.dia = buf_le16(&n);
	m.map = buf_le16(&n);
	struct buf t = buf_of(time, VG_DATE_TIME), p = buf_of(pulse, 2), s = buf_of(status, 2);
	m.pulse = beurer ? buf_be16(&p) : buf_le16(&p);
	m.status = beurer ? buf_be16(&s) : buf_le16(&s);
	m.taken = vg_date_time(&t);
	m.left = buf_left(&b);
	memcpy(m.identity, time, VG_DATE_TIME);
	m.identity[7] = m.user;
	memcpy(m.identity + 8, numbers, 6);
	memcpy(m.identity + 14, pulse, 2);
	memcpy(m.identity + 16, status, 2);
	*ret_m = m;
	return true;
}

/* In units of 1e-8, the smallest an SFLOAT can say: at most 2048e15, so that two compare exactly.
 */
static int64_t fine(struct vg_decimal d)
{
	int64_t value = d.mantissa;
	for (int i = -8; i < d.exponent; i++)
		value *= 10;
	return value;
}

static bool pulse_likely(uint16_t word)
{
	struct vg_decimal d = {0};
	return vg_sfloat(word, &d) == VG_NUMBER && fine(d) >= 30 * INT64_C(100000000) &&
	       fine(d) <= 220 * INT64_C(100000000);
}

static bool measurement_read(
	struct vg_session *s, const uint8_t *bytes, size_t len, struct measurement *ret_m)
{
	struct vg_text quirk = vg_text_ended(vg_option(s, "quirk"));
	if (vg_text_is(quirk, "beurer"))
		return measurement_cut(bytes, len, true, ret_m);
	struct measurement strict, beurer;
	if (!measurement_cut(bytes, len, false, &strict))
		return false;
	uint16_t swapped = (uint16_t)(strict.pulse << 8 | strict.pulse >> 8);
	if (!vg_text_is(quirk, "none") && strict.left == 1 && strict.flags & FLAG_PULSE &&
		!(strict.flags & FLAG_USER) && pulse_likely(swapped) &&
		!pulse_likely(strict.pulse) && measurement_cut(bytes, len, true, &beurer))
		strict = beurer;
	*ret_m = strict;
	return true;
}

static void failed(struct vg_session *s, const char *detail)
{
	struct vg_event e = {.type = VG_EVENT_FAILED_MEASUREMENT, .detail = detail};
	vg_event(s, &e);
	vg_result(s, VG_NOTHING);
}

/* Is there a number in both words that a blood pressure needs? Else says so. */
static bool pressures_read(struct vg_session *s, const struct measurement *m,
	struct vg_decimal *ret_sys, struct vg_decimal *ret_dia)
{
	enum vg_number sys = vg_sfloat(m->sys, ret_sys), dia = vg_sfloat(m->dia, ret_dia);
	if (sys == VG_NUMBER && dia == VG_NUMBER)
		return true;
	if (sys == VG_NUMBER_POSITIVE || dia == VG_NUMBER_POSITIVE)
		failed(s, "pressure above the range of the monitor");
	else if (sys == VG_NUMBER_NEGATIVE || dia == VG_NUMBER_NEGATIVE)
		failed(s, "pressure below the range of the monitor");
	else
		failed(s, "no pressure measured");
	return false;
}

/* Three bits, pulse above and below (status and pulse word may contradict each other), position. */
#define FLAGS 6

static size_t flags_of(const struct measurement *m, const char *flags[static FLAGS])
{
	static const char *const bits[] = {"body_movement", "cuff_too_loose", "irregular_pulse"};
	struct vg_decimal ignored;
	enum vg_number pulse = vg_sfloat(m->pulse, &ignored);
	unsigned range = m->status >> 3 & 3;
	size_t n = 0;
	for (unsigned i = 0; i < 3; i++)
		if (m->status & 1u << i)
			flags[n++] = bits[i];
	if (range == 1 || pulse == VG_NUMBER_POSITIVE)
		flags[n++] = "pulse_above_range";
	if (range == 2 || pulse == VG_NUMBER_NEGATIVE)
		flags[n++] = "pulse_below_range";
	if (m->status & 1u << 5)
		flags[n++] = "improper_position";
	return n;
}

static void measurement_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct measurement m;
	struct vg_decimal sys, dia, number;
	if (!measurement_read(s, bytes, len, &m)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	if (!pressures_read(s, &m, &sys, &dia))
		return;
	if (fine(dia) >= fine(sys)) {
		vg_result(s, VG_IMPLAUSIBLE);
		return;
	}

	const char *unit = m.flags & FLAG_KPA ? "kPa" : "mmHg";
	struct vg_quantity quantities[4] = {
		{.kind = "bp.sbp", .value = sys, .unit = unit},
		{.kind = "bp.dbp", .value = dia, .unit = unit},
	};
	size_t n = 2;
	if (vg_sfloat(m.map, &number) == VG_NUMBER && number.mantissa)
		quantities[n++] =
			(struct vg_quantity){.kind = "bp.map", .value = number, .unit = unit};
	if (vg_sfloat(m.pulse, &number) == VG_NUMBER && number.mantissa)
		quantities[n++] =
			(struct vg_quantity){.kind = "bp.pulse", .value = number, .unit = "/min"};

	const char *flags[FLAGS];
	struct vg_reading r = {
		.kind = "bp",
		.taken = m.flags & FLAG_TIME ? &m.taken : NULL,
		.user = m.user == 0xff ? -1 : m.user,
		.seq = -1,
		.quantities = quantities,
		.n_quantities = n,
		.flags = flags,
		.n_flags = flags_of(&m, flags),
		.identity = m.identity,
		.identity_len = vg_date_known(&m.taken) ? sizeof(m.identity) : 0,
	};
	vg_reading(s, &r);
}

static void clock_set(struct vg_session *s, unsigned channel)
{
	bool current = channel == CURRENT_TIME;
	vg_clock_send(s, channel, current, current ? OFF_S : 0);
}

/* Once: some tell it every second, and what it shows after it was set says nothing of earlier records. */
static void clock_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len)
{
	struct monitor *st = vg_state(s);
	if (st->clock_told) {
		vg_result(s, VG_NOTHING);
		return;
	}
	if (!vg_clock_heard(s, bytes, len))
		return;
	st->clock_told = true;
	clock_set(s, channel);
}

/* The last that is read: now it is known whether a clock could be. */
static void feature_heard(struct vg_session *s)
{
	const struct monitor *st = vg_state(s);
	if (!st->clock_told)
		clock_set(s, DATE_TIME);
	vg_result(s, VG_NOTHING);
}

static void bt_blp_opened(struct vg_session *s, bool excerpt)
{
	if (!excerpt)
		vg_timer(s, VG_NOTHING_TOLD_MS);
}

static void bt_blp_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	const struct monitor *st = vg_state(s);
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
	case FEATURE:
		feature_heard(s);
		break;
	default:
		vg_result(s, VG_NOTHING);
	}
}

/* Silence after the last record, or a link that the instrument ended after it. */
static void bt_blp_quiet(struct vg_session *s, const struct vg_now *now)
{
	struct monitor *st = vg_state(s);
	(void)now;
	if (!st->drained)
		vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	st->drained = true;
}

static void bt_blp_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	(void)channel, (void)now;
	vg_clock_denied(s, code);
}

static const char *const quirks[] = {"auto", "none", "beurer", NULL};

static const struct vg_option options[] = {
	{.name = "quirk",
		.fallback = "auto",
		.choices = quirks,
		.help = "layout of the measurement: auto recognises Beurer's, none is the "
			"standard's"},
	VG_CLOCK_OPTION,
};

#define BEURER_PRESS                                                                               \
	.press =                                                                                   \
		"measure once, or hold the memory button until the Bluetooth sign blinks; it may " \
		"show a number to be typed here",                                                  \
	.press_zh = "测量一次,或按住记忆键直到蓝牙符号闪烁;屏幕可能显示需在此输入的数字",          \
	.pairing = true
#define BEURER_SWAPPED(model)                                                                 \
	{                                                                                     \
		.title = "Beurer " model, .title_zh = "博雅 " model " 血压计", .name = model, \
		.service16 = 0x1810, BEURER_PRESS, .options = "quirk=beurer"                  \
	}
#define AND_PRESS                                                            \
	.press = "hold the START button until \"Pr\" is shown, then let go", \
	.press_zh = "按住开始键,直到显示 Pr 后松开", .pairing = true, .options = "clock=set"
#define OMRON_PRESS                                                                         \
	.press = "hold the Bluetooth button 3 to 5 s until -P- blinks; only the host that " \
		 "paired last hears it",                                                    \
	.press_zh = "按住蓝牙键 3 至 5 秒,直到 -P- 闪烁;仅最后配对的主机能收到数据",        \
	.pairing = true

static const struct vg_model models[] = {
	{.title = "A&D UA-651BLE",
		.title_zh = "爱安德 UA-651BLE 血压计",
		.name = "A&D_UA-",
		.service16 = 0x1810,
		AND_PRESS},
	{.title = "Nipro NBP-1BLE",
		.title_zh = "尼普洛 NBP-1BLE 血压计",
		.name = "NBP-1BLE",
		.service16 = 0x1810,
		AND_PRESS},
	{.title = "Omron, standard service",
		.title_zh = "欧姆龙血压计(标准服务)",
		.name = "BLEsmart_",
		.service16 = 0x1810,
		OMRON_PRESS},
	{.title = "Omron, standard service",
		.title_zh = "欧姆龙血压计(标准服务)",
		.service16 = 0x1810,
		.company = 0x020e,
		OMRON_PRESS},
	BEURER_SWAPPED("BM48"),
	BEURER_SWAPPED("BM59"),
	BEURER_SWAPPED("BM85"),
	BEURER_SWAPPED("ELITE900"),
	{.title = "Beurer",
		.title_zh = "博雅血压计",
		.name = "BM",
		.service16 = 0x1810,
		BEURER_PRESS},
	{.title = "boso",
		.title_zh = "boso 血压计",
		.name = "boso",
		.service16 = 0x1810,
		.press = "measure once, it can be found for a minute",
		.press_zh = "测量一次,之后一分钟内可被发现"},
	{.title = "Yuwell",
		.title_zh = "鱼跃血压计",
		.name = "Yuwell BP-",
		.service16 = 0x1810,
		.press = "measure once, it can be found for a minute",
		.press_zh = "测量一次,之后一分钟内可被发现"},
	{.title = "Bluetooth blood pressure monitor",
		.title_zh = "蓝牙血压计",
		.service16 = 0x1810,
		.press = "measure once, or hold its Bluetooth button until a sign blinks",
		.press_zh = "测量一次,或按住蓝牙键直到符号闪烁"},
};

const struct vg_driver bt_blp = {
	.name = "bt_blp",
	.version = 1,
	.title = "Bluetooth blood pressure monitor",
	.title_zh = "蓝牙血压计",
	.bus = VG_BUS_GATT,
	.settle_ms = 100,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct monitor),
	.opened = bt_blp_opened,
	.heard = bt_blp_heard,
	.expired = bt_blp_quiet,
	.hung_up = bt_blp_quiet,
	.denied = bt_blp_denied,
};
