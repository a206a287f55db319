/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Continuous glucose sensors with the Bluetooth Continuous Glucose Monitoring Service, 0x181F:
 * reading only. No session is ever started or stopped, no calibration, alert level or start time
 * is written. Little-endian.
 *
 *   2AA7 measurement, notified: one record or several
 *     size u8 | flags u8 | glucose SFLOAT mg/dL | time offset u16 min | [status u8, b7]
 *     | [calibration and temperature u8, b6] | [warnings u8, b5] | [trend SFLOAT mg/dL/min, b0]
 *     | [quality SFLOAT %, b1] | [CRC u16]
 *     size      of the record, itself included; two bytes more than the fields need are the CRC
 *     status    0 session stopped, 1 battery low, 2 wrong sensor type, 3 sensor malfunction,
 *               4 device alert, 5 general fault
 *     calibr.   0 time synchronisation required, calibration 1 not allowed, 2 recommended,
 *               3 required, sensor temperature 4 too high, 5 too low
 *     warnings  0 below the patient's low level, 1 above the high, 2 hypo, 3 hyper, 4 falls and
 *               5 rises faster than its level, 6 below, 7 above the range of the sensor
 *   2AA8 feature        u24, b12 CRC | sample type, low nibble, and site, high, u8 | CRC, else FFFF
 *   2AA9 status         time offset u16 | the three octets | [CRC]
 *   2AAA session start  date time 7 | zone s8, quarters of an hour, -128 unknown | DST u8, the same
 *                       (0, 2, 4, 8), 255 unknown | [CRC]
 *   2AAB run time       hours u16 | [CRC]; read so that a trace of the link shows it
 *   CRC                 CRC-16/MCRF4XX of all bytes before it. Wrong, or half of it: malformed
 *
 * What is measured is glucose in interstitial fluid, `glu.isf`, whatever the sample type says: it
 * is never blood glucose. A sample type or site of control solution, 10 or 4 as of the glucose
 * service, makes every record a quality control. Status 2, 3 and 5 and a glucose without a number
 * are refused: an event, again only when the reason changes. Warnings 6 and 7 are comparators,
 * both at once are flags; the other bits are flags. With an infinity, or with one of these
 * warnings and no number, the glucose is below 40 or above 400 mg/dL, flagged `limit_assumed`.
 * "Calibration not allowed" says nothing about the value. Trend and quality are notes.
 *
 * Time: session start + time offset, as the sensor counts: civil time in the zone that was the
 * phone's when the session began. It is passed on unchanged, because a civil time has no zone; the
 * sensor's is the note `zone` (both octets added up). What 2AA9 says is the sensor's clock, as of
 * a message: one that is ahead, of a zone further east, too, is corrected by it; one that is
 * behind may only not have counted on, and its times stay what they are, `device`. DST that begins
 * or ends within a session is not followed. Session start unknown: nothing stored can be dated, so
 * nothing stored is asked for; what comes is dated as it arrives. Identity: session start and time
 * offset; unknown start: none.
 *
 * A time offset smaller than one before it, outside of a report, belongs to a new session, whose
 * start was not read: the connection ends, and the next one reads both.
 *
 * Stored records are reported by time offset (RACP filter type 1), from the last one kept of this
 * session on, and never deleted.
 *
 * Sources: GATT XML of the service as carried by public parsers, and the values of a public test
 * suite. No bytes of a device were seen; sensors of the large makers keep this service to their
 * own applications. Not confirmed: the filter type, sample type 10 and site 4 in this service;
 * that 2AA9 counts on.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/racp.h>
#include <vitalgate/sfloat.h>

enum { HAS_TREND = 1 << 0, HAS_QUALITY = 1 << 1 };
enum { HAS_WARNINGS = 1 << 5, HAS_CALIBRATION = 1 << 6, HAS_STATUS = 1 << 7 };
enum { FEATURE_CRC = 1 << 12 };
enum { TYPE_CONTROL = 10, SITE_CONTROL = 4 };
enum { NO_NUMBER = 0x07ff };
enum { FILTER_OFFSET = 1 };
enum { RANGE_LOW = 40, RANGE_HIGH = 400 }; /* mg/dL, of common sensors (recalled) */
enum { ZONE_UNKNOWN = -128, ZONE_MIN = -48, ZONE_MAX = 56 }; /* quarters of an hour */

/* The three octets in the order of their bits; warnings are the highest. */
enum {
	STOPPED = 1 << 0,
	WRONG_TYPE = 1 << 2,
	MALFUNCTION = 1 << 3,
	FAULT = 1 << 5,
	BELOW_RANGE = 1 << 22,
	ABOVE_RANGE = 1 << 23,
};

enum { FEATURE, START, RUN_TIME, STATUS, BATTERY, MEASUREMENT, RACP };

#define ZONE_TEXT 6 /* "+08:00" */

struct cgm {
	bool live;    /* the session is one with a sensor, and no excerpt */
	bool control; /* what is measured is control solution */
	bool dated;   /* the session's start is known: */
	struct vg_civil start;
	char zone[ZONE_TEXT]; /* of the start; zone[0] 0: unknown */
	const char *refused;  /* why the last record was; NULL: it was not */
	bool any;
	uint16_t last; /* time offset of the last record outside of a report */
	struct vg_racp racp;
};

static const struct vg_channel channels[] = {
	[FEATURE] = {.uuid16 = 0x2aa8, .service16 = 0x181f, .use = VG_GATT_READ, .name = "2aa8"},
	[START] = {.uuid16 = 0x2aaa, .service16 = 0x181f, .use = VG_GATT_READ, .name = "2aaa"},
	[RUN_TIME] = {.uuid16 = 0x2aab, .service16 = 0x181f, .use = VG_GATT_READ, .name = "2aab"},
	[STATUS] = {.uuid16 = 0x2aa9, .service16 = 0x181f, .use = VG_GATT_READ, .name = "2aa9"},
	[BATTERY] = VG_CHANNEL_BATTERY,
	[MEASUREMENT] = {.uuid16 = 0x2aa7,
		.service16 = 0x181f,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "2aa7"},
	[RACP] = {.uuid16 = 0x2a52,
		.service16 = 0x181f,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE,
		.name = "2a52"},
};

/* checks and numbers */

static uint16_t crc_of(const uint8_t *bytes, size_t len)
{
	unsigned crc = 0xffff;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1;
	}
	return (uint16_t)crc;
}

/* `n` bytes, with the right CRC behind them or with nothing. */
static bool whole(const uint8_t *bytes, size_t len, size_t n)
{
	if (len != n + 2)
		return len == n;
	struct buf crc = buf_of(bytes + n, 2);
	return buf_le16(&crc) == crc_of(bytes, n);
}

/* By bit. Reserved ones, and "calibration not allowed", mean nothing here. */
static const char *const words[] = {"session_stopped", "battery_low", "wrong_sensor_type",
	"sensor_malfunction", "device_alert", "general_fault", NULL, NULL, "time_sync_required",
	NULL, "calibration_recommended", "calibration_required", "sensor_temperature_high",
	"sensor_temperature_low", NULL, NULL, "below_patient_low", "above_patient_high", "hypo",
	"hyper", "falls_fast", "rises_fast", "below_range", "above_range"};

#define WORDS (sizeof(words) / sizeof(words[0]))

static size_t words_of(uint32_t bits, const char *found[static WORDS])
{
	size_t n = 0;
	for (size_t i = 0; i < WORDS; i++)
		if (bits >> i & 1 && words[i])
			found[n++] = words[i];
	return n;
}

/* The day may be one that its month does not have: the sensor's clock is no calendar's judge. */
static bool start_known(const struct vg_civil *t)
{
	return vg_date_known(t) && t->month <= 12 && t->day <= 31 && t->hour <= 23 &&
	       t->minute <= 59 && t->second <= 59;
}

static unsigned month_days(const struct vg_civil *t)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;
	return days[t->month - 1] + (t->month == 2 && leap);
}

static struct vg_civil civil_after(struct vg_civil t, unsigned minutes)
{
	minutes += t.hour * 60u + t.minute;
	unsigned day = t.day + minutes / 1440;
	for (; day > month_days(&t); t.month = (uint8_t)(t.month % 12 + 1)) {
		day -= month_days(&t);
		t.year = (uint16_t)(t.year + (t.month == 12));
	}
	t.day = (uint8_t)day;
	t.hour = (uint8_t)(minutes % 1440 / 60);
	t.minute = (uint8_t)(minutes % 60);
	return t;
}

static void digits_put(char out[static 2], unsigned value)
{
	out[0] = (char)('0' + value / 10);
	out[1] = (char)('0' + value % 10);
}

static void zone_put(char out[static ZONE_TEXT], int zone, unsigned dst)
{
	int minutes = (zone + (int)dst) * 15;
	unsigned far = (unsigned)(minutes < 0 ? -minutes : minutes);
	out[0] = 0;
	if (zone < ZONE_MIN || zone > ZONE_MAX || (dst != 0 && dst != 2 && dst != 4 && dst != 8))
		return;
	out[0] = minutes < 0 ? '-' : '+';
	digits_put(out + 1, far / 60);
	out[3] = ':';
	digits_put(out + 4, far % 60);
}

/* what is read once */

static void feature_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct cgm *st = vg_state(s);
	struct buf b = buf_of(bytes, len);
	uint32_t features = buf_le16(&b);
	features |= (uint32_t)buf_u8(&b) << 16;
	uint8_t sample = buf_u8(&b);
	uint16_t crc = buf_le16(&b), none = 0xffff;
	if (b.failed || buf_left(&b) || crc != (features & FEATURE_CRC ? crc_of(bytes, 4) : none)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	st->control = (sample & 0xf) == TYPE_CONTROL || sample >> 4 == SITE_CONTROL;
	vg_result(s, VG_NOTHING);
}

static struct vg_racp_place place_of(const struct cgm *st, uint16_t minutes)
{
	struct vg_racp_place place = {.seq = minutes};
	vg_date_time_put(place.tag, &st->start);
	return place;
}

static void report_ask(struct vg_session *s, struct cgm *st)
{
	struct vg_racp_place place = place_of(st, 0);
	struct vg_racp_plan plan = {
		.channel = RACP, .mark = "offset", .filter = FILTER_OFFSET, .tag = place.tag};
	vg_racp_begin(s, &st->racp, &plan);
}

static void start_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct cgm *st = vg_state(s);
	struct buf b = buf_of(bytes, len);
	st->start = vg_date_time(&b);
	int8_t zone = (int8_t)buf_u8(&b);
	uint8_t dst = buf_u8(&b);
	st->dated = !b.failed && whole(bytes, len, 9) && start_known(&st->start);
	if (b.failed || !whole(bytes, len, 9)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	zone_put(st->zone, zone, dst);
	vg_result(s, VG_NOTHING);
	if (st->live && st->dated)
		report_ask(s, st);
}

/* A session that was stopped counts no more, and its status says when it ended. */
static void status_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	const struct cgm *st = vg_state(s);
	const char *found[WORDS];
	struct buf b = buf_of(bytes, len);
	uint16_t minutes = buf_le16(&b);
	uint32_t bits = buf_le16(&b);
	if (!whole(bytes, len, 5)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	size_t n = words_of(bits, found);
	for (size_t i = 0; i < n; i++)
		vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_ERROR, .detail = found[i]});
	struct vg_civil now = st->dated ? civil_after(st->start, minutes) : st->start;
	if (st->dated && !(bits & STOPPED))
		vg_event(s, &(struct vg_event){
				    .type = VG_EVENT_DEVICE_CLOCK, .civil = &now, .value = 1});
	vg_result(s, VG_NOTHING);
}

/* measurements */

struct record {
	uint16_t glucose, minutes, trend, quality;
	uint32_t bits; /* the three octets */
	const uint8_t *bytes;
	size_t len;
};

/* The next record, up to where its size says. False: there is none whose size can be true. */
static bool record_next(struct buf *b, struct record *ret_r)
{
	struct record r = {.bytes = b->at, .len = buf_left(b) ? b->at[0] : 0};
	*ret_r = r;
	return r.len >= 6 && buf_bytes(b, r.len);
}

static bool record_cut(struct record *r)
{
	struct buf b = buf_of(r->bytes, r->len);
	buf_u8(&b);
	uint8_t flags = buf_u8(&b);
	r->glucose = buf_le16(&b);
	r->minutes = buf_le16(&b);
	r->trend = r->quality = NO_NUMBER;
	if (flags & HAS_STATUS)
		r->bits |= buf_u8(&b);
	if (flags & HAS_CALIBRATION)
		r->bits |= (uint32_t)buf_u8(&b) << 8;
	if (flags & HAS_WARNINGS)
		r->bits |= (uint32_t)buf_u8(&b) << 16;
	if (flags & HAS_TREND)
		r->trend = buf_le16(&b);
	if (flags & HAS_QUALITY)
		r->quality = buf_le16(&b);
	return !b.failed && whole(r->bytes, r->len, r->len - buf_left(&b));
}

/* A warning or an infinity that has no number beside it says that the glucose lies beyond the range of
 * the sensor: the values that matter most. Then that range is the common one. */
struct value {
	struct vg_decimal number;
	char comparator; /* both warnings at once: none */
	bool assumed;
};

/* Why the record has no value that may be used; NULL: it has one. */
static const char *refused_by(const struct record *r, struct value *ret_v)
{
	enum vg_number number = vg_sfloat(r->glucose, &ret_v->number);
	bool below = number == VG_NUMBER_NEGATIVE || r->bits & BELOW_RANGE;
	bool above = number == VG_NUMBER_POSITIVE || r->bits & ABOVE_RANGE;
	if (r->bits & MALFUNCTION)
		return "sensor malfunction";
	if (r->bits & WRONG_TYPE)
		return "wrong sensor type";
	if (r->bits & FAULT)
		return "general fault of the sensor";
	if (below != above)
		ret_v->comparator = below ? '<' : '>';
	if (number == VG_NUMBER)
		return NULL;
	ret_v->assumed = true;
	ret_v->number = (struct vg_decimal){below ? RANGE_LOW : RANGE_HIGH, 0};
	return ret_v->comparator ? NULL : "no glucose measured";
}

/* Told when it begins and when the reason changes, not with every record. */
static void refuse(struct vg_session *s, enum vg_event_type type, const char *why)
{
	struct cgm *st = vg_state(s);
	if (st->refused != why)
		vg_event(s, &(struct vg_event){.type = type, .detail = why});
	st->refused = why;
	vg_result(s, VG_NOTHING);
}

#define NUMBER_TEXT 40

/* "-0.25 mg/dL/min"; an SFLOAT has up to four digits and an exponent of -8 to 7. */
static size_t number_put(char out[static NUMBER_TEXT], struct vg_decimal d, const char *unit)
{
	char digits[12];
	size_t n = 0, len = 0;
	int64_t left = d.mantissa < 0 ? -d.mantissa : d.mantissa;
	for (; left || (int)n <= -d.exponent || !n; left /= 10)
		digits[n++] = (char)('0' + left % 10);
	if (d.mantissa < 0)
		out[len++] = '-';
	while (n) {
		out[len++] = digits[--n];
		if (n && (int)n == -d.exponent)
			out[len++] = '.';
	}
	for (int i = 0; i < d.exponent; i++)
		out[len++] = '0';
	while (*unit)
		out[len++] = *unit++;
	return len;
}

struct notes {
	struct vg_note note[3];
	size_t n;
	char trend[NUMBER_TEXT], quality[NUMBER_TEXT];
};

static void notes_of(const struct cgm *st, const struct record *r, struct notes *ret)
{
	struct vg_decimal d = {0};
	ret->n = 0;
	if (st->dated && *st->zone)
		ret->note[ret->n++] = (struct vg_note){"zone", st->zone, ZONE_TEXT};
	if (vg_sfloat(r->trend, &d) == VG_NUMBER)
		ret->note[ret->n++] = (struct vg_note){
			"trend", ret->trend, number_put(ret->trend, d, " mg/dL/min")};
	if (vg_sfloat(r->quality, &d) == VG_NUMBER)
		ret->note[ret->n++] = (struct vg_note){
			"quality", ret->quality, number_put(ret->quality, d, " %")};
}

/* Warnings that are the comparator are no flags as well. */
static size_t flags_of(uint32_t bits, const struct value *v, const char *flags[static WORDS])
{
	uint32_t said = v->comparator ? BELOW_RANGE | ABOVE_RANGE : 0;
	size_t n = words_of(bits & ~said, flags);
	if (v->assumed)
		flags[n++] = "limit_assumed";
	return n;
}

static void record_tell(struct vg_session *s, const struct record *r, const struct value *v)
{
	const struct cgm *st = vg_state(s);
	struct vg_quantity q = {.kind = "glu.isf",
		.value = v->number,
		.comparator = v->comparator,
		.unit = "mg/dL"};
	const char *flags[WORDS];
	struct notes notes;
	struct vg_racp_place place = place_of(st, r->minutes);
	uint8_t identity[VG_DATE_TIME + 2] = {(uint8_t)place.seq, (uint8_t)(place.seq >> 8)};
	struct vg_civil taken = st->start;
	if (st->dated)
		taken = civil_after(st->start, r->minutes);
	memcpy(identity + 2, place.tag, VG_DATE_TIME);
	notes_of(st, r, &notes);
	vg_reading(s, &(struct vg_reading){.kind = "glucose",
			      .taken = st->dated ? &taken : NULL,
			      .live = !st->dated, /* then it is not from a report */
			      .user = -1,
			      .seq = r->minutes,
			      .quantities = &q,
			      .n_quantities = 1,
			      .flags = flags,
			      .n_flags = flags_of(r->bits, v, flags),
			      .notes = notes.note,
			      .n_notes = notes.n,
			      .identity = identity,
			      .identity_len = st->dated ? sizeof(identity) : 0,
			      .raw = r->bytes,
			      .raw_len = r->len});
}

/* A record of a session that began since its start was read. */
static bool of_new_session(struct cgm *st, const struct record *r)
{
	if (!st->dated || vg_racp_active(&st->racp))
		return false;
	if (st->any && r->minutes < st->last)
		return true;
	st->any = true;
	st->last = r->minutes;
	return false;
}

static void record_judge(struct vg_session *s, const struct record *r)
{
	struct cgm *st = vg_state(s);
	struct value v = {0};
	const char *why = refused_by(r, &v);
	if (st->control) {
		refuse(s, VG_EVENT_CONTROL_SOLUTION, "control solution");
	} else if (why) {
		refuse(s, VG_EVENT_FAILED_MEASUREMENT, why);
	} else {
		st->refused = NULL;
		record_tell(s, r, &v);
	}
}

static void record_heard(struct vg_session *s, struct record *r, const struct vg_now *now)
{
	struct cgm *st = vg_state(s);
	if (!record_cut(r)) {
		vg_rejected(s, VG_MALFORMED, "fields or CRC of a record", r->bytes, r->len);
		vg_racp_came(s, &st->racp, NULL, now);
		return;
	}
	if (of_new_session(st, r)) {
		vg_rejected(s, VG_OUT_OF_SEQUENCE, "of a new session", r->bytes, r->len);
		vg_done(s, "the sensor began a new session");
		return;
	}
	struct vg_racp_place place = place_of(st, r->minutes);
	vg_racp_came(s, &st->racp, &place, now);
	record_judge(s, r);
	vg_racp_told(s, &st->racp, &place);
}

static void measurement_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	struct buf b = buf_of(bytes, len);
	struct record r;
	do {
		if (!record_next(&b, &r)) {
			vg_result(s, VG_MALFORMED);
			return;
		}
		record_heard(s, &r, now);
	} while (buf_left(&b));
}

static void bt_cgm_opened(struct vg_session *s, bool excerpt)
{
	struct cgm *st = vg_state(s);
	st->live = !excerpt;
}

static void bt_cgm_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct cgm *st = vg_state(s);
	switch (channel) {
	case FEATURE:
		feature_heard(s, bytes, len);
		break;
	case START:
		start_heard(s, bytes, len);
		break;
	case RUN_TIME:
		vg_result(s, whole(bytes, len, 2) ? VG_NOTHING : VG_MALFORMED);
		break;
	case STATUS:
		status_heard(s, bytes, len);
		break;
	case BATTERY:
		vg_battery_heard(s, bytes, len);
		break;
	case MEASUREMENT:
		measurement_heard(s, bytes, len, now);
		break;
	case RACP:
		vg_racp_heard(s, &st->racp, bytes, len, now);
		break;
	}
}

static void bt_cgm_expired(struct vg_session *s, const struct vg_now *now)
{
	struct cgm *st = vg_state(s);
	(void)now;
	vg_racp_expired(s, &st->racp);
}

static void bt_cgm_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	struct cgm *st = vg_state(s);
	(void)channel, (void)now;
	vg_racp_denied(s, &st->racp, code);
}

static void bt_cgm_kept(struct vg_session *s, vg_ticket ticket)
{
	struct cgm *st = vg_state(s);
	vg_racp_kept(s, &st->racp, ticket);
}

/* What was not kept is in the sensor's memory, and asked for again. */
static void bt_cgm_refused(struct vg_session *s, vg_ticket ticket, int why)
{
	(void)ticket;
	(void)why;
	vg_done(s, "could not store");
}

static const struct vg_model models[] = {
	{.title = "Bluetooth glucose sensor, continuous",
		.title_zh = "蓝牙持续葡萄糖监测仪",
		.service16 = 0x181f,
		.press =
			"Choose pairing on the sensor or its reader and enter the number it shows; "
			"end any other phone's connection first",
		.press_zh =
			"在传感器或其读取器上选择配对并输入其显示的数字；请先断开其他手机的连接",
		.pairing = true},
};

const struct vg_driver bt_cgm = {
	.name = "bt_cgm",
	.version = 1,
	.title = "Bluetooth continuous glucose sensor",
	.title_zh = "蓝牙持续葡萄糖监测仪",
	.experimental = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct cgm),
	.opened = bt_cgm_opened,
	.heard = bt_cgm_heard,
	.expired = bt_cgm_expired,
	.denied = bt_cgm_denied,
	.kept = bt_cgm_kept,
	.refused = bt_cgm_refused,
};
