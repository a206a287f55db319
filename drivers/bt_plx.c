/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pulse oximeters with the Bluetooth Pulse Oximeter Service, 0x1822. Little-endian.
 *
 *   2A5E spot check, indicated
 *     flags u8 | SpO2 SFLOAT % | pulse SFLOAT | [date time 7, b0] | [measurement status u16, b1]
 *     | [device status u24, b2] | [pulse amplitude index SFLOAT %, b3]        b4: clock not set
 *   2A5F continuous, notified, about one a second
 *     flags u8 | SpO2 | pulse | [fast SpO2, pulse, b0] | [slow SpO2, pulse, b1]
 *     | [measurement status u16, b2] | [device status u24, b3] | [pulse amplitude index, b4]
 *   measurement status  5 ongoing, 6 early estimate, 7 validated, 8 fully qualified, 9 from
 *                       storage, 10 demonstration, 11 test, 12 calibration, 13 unavailable,
 *                       14 questionable, 15 invalid; 0-4 reserved
 *   device status       0 extended display update, 1 malfunction, 2 signal irregular, 3 signal
 *                       inadequate, 4 signal poor, 5 low perfusion, 6 erratic, 7 not pulsatile,
 *                       8 pulse questionable, 9 analysis ongoing, 10 interference, 11 unconnected
 *                       to user, 12 sensor unknown, 13 displaced, 14 malfunction, 15 disconnected
 *   2A60 features u16   b2 it stores spot checks; two words of supported status bits may follow
 *
 * Bytes behind the last field are tolerated, reserved flags ignored. A continuous measurement is a
 * sample: its normal values are used, those of the fast and slow averages are not.
 *
 * Refused: measurement status 10-13 and 15, device status 1, 7 and 11-15. In doubt, `questionable`
 * beside what it is: 6, 14, and device 2-6, 8 and 10. `ongoing` is what every continuous
 * measurement is; a spot check that is, and that is neither validated nor fully qualified, is not
 * final and in doubt. SpO2 above 100 % and a pulse of 0 cannot be true and are refused whole. SpO2
 * without a number is a failed measurement; a pulse or an amplitude index without one is left out.
 *
 * Time: with "clock not set" the date is ignored (ChoiceMMed sends 2017-01-01). A spot check is live
 * when its status says that it is not from storage; without a status, when it has no date and the
 * oximeter does not store. Identity: date, SpO2 and pulse. One from storage whose clock was not set is known by all
 * its bytes, the date of a clock that ran all the same among them, as it is read again each time.
 * A dated one may come at once and from storage later: that bit is 0 in the raw bytes that are passed
 * on, so that both are one.
 *
 * Stored spot checks (RACP, all of them: they have no number) are asked for when 2A60 says so, and
 * never deleted. The clock (2A2B) is set only on request (option `clock`).
 *
 * An oximeter with both characteristics may tell one measurement twice: as a spot check, and as
 * what its samples came to.
 *
 * Sources: GATT XML of the service as carried by public parsers; values in public test suites;
 * captured bytes of a continuous measurement (in captures stream_captured). Not confirmed: that
 * storage is only read with the operator "all"; that writing 2A2B is taken.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/decimal.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/oximeter.h>
#include <vitalgate/racp.h>
#include <vitalgate/sfloat.h>

enum { SPOT_TIME = 1, SPOT_STATUS = 2, SPOT_DEVICE = 4, SPOT_INDEX = 8, SPOT_CLOCK_NOT_SET = 16 };
enum { STREAM_FAST = 1, STREAM_SLOW = 2, STREAM_STATUS = 4, STREAM_DEVICE = 8, STREAM_INDEX = 16 };
enum {
	ONGOING = 1 << 5,
	QUALIFIED = 1 << 7 | 1 << 8, /* validated, fully qualified */
	FROM_STORAGE = 1 << 9,
	QUESTIONABLE = 1 << 14,
};
enum { STORES = 1 << 2 };
enum { NO_NUMBER = 0x07ff };
enum { STATUS_HIGH = 13 }; /* place of its high byte in a spot check with a date */

#define CLOCK_TOLERANCE_S 60
#define DATA_FIELD_IGNORED 0x80 /* it took the clock, but not every field (recalled) */
#define SILENCE_MS 5000 /* without 2A60: nothing stored is left when nothing came for so long */

enum { CURRENT_TIME, FEATURES, BATTERY, SPOT, STREAM, RACP };

static const struct vg_channel channels[] = {
	[CURRENT_TIME] = {.uuid16 = 0x2a2b,
		.service16 = 0x1805,
		.use = VG_GATT_READ | VG_GATT_WRITE,
		.name = "2a2b"},
	[FEATURES] = {.uuid16 = 0x2a60, .service16 = 0x1822, .use = VG_GATT_READ, .name = "2a60"},
	[BATTERY] = VG_CHANNEL_BATTERY,
	[SPOT] = {.uuid16 = 0x2a5e, .service16 = 0x1822, .use = VG_GATT_SUBSCRIBE, .name = "2a5e"},
	[STREAM] = {.uuid16 = 0x2a5f,
		.service16 = 0x1822,
		.use = VG_GATT_SUBSCRIBE,
		.name = "2a5f"},
	[RACP] = {.uuid16 = 0x2a52,
		.service16 = 0x1822,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE,
		.name = "2a52"},
};

struct plx {
	bool live;   /* the session is one with an oximeter, and no excerpt */
	bool stores; /* so 2A60 says */
	bool drained;
	struct vg_racp racp;
};

/* One measurement cut into words; nothing is judged yet. */
struct measurement {
	uint16_t spo2, pulse, index;
	uint16_t status;
	uint32_t device; /* status */
	bool has_status;
	struct vg_civil taken; /* all zero: no date that holds */
	size_t len;	       /* up to the last field */
};

static uint32_t device_status(struct buf *b)
{
	uint32_t low = buf_le16(b);
	return low | (uint32_t)buf_u8(b) << 16;
}

static bool spot_cut(const uint8_t *bytes, size_t len, struct measurement *ret_m)
{
	struct buf b = buf_of(bytes, len);
	uint8_t flags = buf_u8(&b);
	struct measurement m = {.spo2 = buf_le16(&b), .index = NO_NUMBER};
	m.pulse = buf_le16(&b);
	m.has_status = flags & SPOT_STATUS;
	if (flags & SPOT_TIME)
		m.taken = vg_date_time(&b);
	if (flags & SPOT_CLOCK_NOT_SET)
		m.taken = (struct vg_civil){0};
	if (m.has_status)
		m.status = buf_le16(&b);
	if (flags & SPOT_DEVICE)
		m.device = device_status(&b);
	if (flags & SPOT_INDEX)
		m.index = buf_le16(&b);
	m.len = len - buf_left(&b);
	*ret_m = m;
	return !b.failed;
}

static bool stream_cut(const uint8_t *bytes, size_t len, struct measurement *ret_m)
{
	struct buf b = buf_of(bytes, len);
	uint8_t flags = buf_u8(&b);
	struct measurement m = {.spo2 = buf_le16(&b), .index = NO_NUMBER};
	m.pulse = buf_le16(&b);
	if (flags & STREAM_FAST)
		buf_bytes(&b, 4);
	if (flags & STREAM_SLOW)
		buf_bytes(&b, 4);
	if (flags & STREAM_STATUS)
		m.status = buf_le16(&b);
	if (flags & STREAM_DEVICE)
		m.device = device_status(&b);
	if (flags & STREAM_INDEX)
		m.index = buf_le16(&b);
	*ret_m = m;
	return !b.failed;
}

/* judging */

struct meaning {
	uint8_t bit;
	const char *word;
};

static const struct meaning status_refused[] = {{10, "demonstration"}, {11, "test_data"},
	{12, "calibration"}, {13, "unavailable"}, {15, "invalid"}};
static const struct meaning device_refused[] = {{1, "equipment_malfunction"}, {7, "not_pulsatile"},
	{11, "sensor_off"}, {12, "unknown_sensor"}, {13, "sensor_displaced"},
	{14, "sensor_malfunction"}, {15, "sensor_disconnected"}};
static const struct meaning status_doubtful[] = {{6, "early_estimate"}};
static const struct meaning device_doubtful[] = {{2, "signal_irregular"}, {3, "inadequate_signal"},
	{4, "poor_signal"}, {5, "low_perfusion"}, {6, "erratic"}, {8, "questionable_pulse"},
	{10, "interference"}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t words_of(uint32_t bits, const struct meaning *m, size_t n, const char **words)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		if (bits >> m[i].bit & 1)
			words[found++] = m[i].word;
	return found;
}

/* Why the oximeter's own words forbid the use of its numbers; NULL: they do not. */
static const char *refused_by(const struct measurement *m)
{
	const char *words[COUNT(status_refused) + COUNT(device_refused)];
	size_t n = words_of(m->status, status_refused, COUNT(status_refused), words);
	n += words_of(m->device, device_refused, COUNT(device_refused), words + n);
	return n ? words[0] : NULL;
}

/* `questionable`, `ongoing`, those of the tables, `from_storage` */
#define FLAGS (3 + COUNT(status_doubtful) + COUNT(device_doubtful))

/* Why the numbers are in doubt, `questionable` first; none: they are not. */
static size_t doubts_of(const struct measurement *m, bool spot, const char *flags[static FLAGS])
{
	size_t n = 1;
	if (spot && m->status & ONGOING && !(m->status & QUALIFIED))
		flags[n++] = "ongoing";
	n += words_of(m->status, status_doubtful, COUNT(status_doubtful), flags + n);
	n += words_of(m->device, device_doubtful, COUNT(device_doubtful), flags + n);
	flags[0] = "questionable";
	return n > 1 || m->status & QUESTIONABLE ? n : 0;
}

/* A pulse of 0 is none either: where there is no beat there is no saturation to be measured. */
static bool impossible(const struct measurement *m)
{
	static const struct vg_decimal most = {100, 0};
	struct vg_decimal d = {0};
	if (vg_sfloat(m->spo2, &d) == VG_NUMBER &&
		(d.mantissa <= 0 || vg_minus(d, most).mantissa > 0))
		return true;
	return vg_sfloat(m->pulse, &d) == VG_NUMBER && d.mantissa <= 0;
}

#define QUANTITIES 3

static void quantity_add(
	struct vg_quantity *quantities, size_t *n, uint16_t word, const struct vg_quantity *as)
{
	struct vg_quantity q = *as;
	if (vg_sfloat(word, &q.value) == VG_NUMBER)
		quantities[(*n)++] = q;
}

/* SpO2 first; none when SpO2 is none: a pulse alone is no measurement of an oximeter. */
static size_t quantities_of(
	const struct measurement *m, struct vg_quantity quantities[static QUANTITIES])
{
	static const struct vg_quantity spo2 = {.kind = "spo2", .unit = "%"},
					pulse = {.kind = "spo2.pulse", .unit = "/min"},
					index = {.kind = "spo2.pi", .unit = "%"};
	size_t n = 0;
	quantity_add(quantities, &n, m->spo2, &spo2);
	if (!n)
		return 0;
	quantity_add(quantities, &n, m->pulse, &pulse);
	quantity_add(quantities, &n, m->index, &index);
	return n;
}

/* spot checks */

static void failed(struct vg_session *s, const char *why)
{
	vg_event(s, &(struct vg_event){.type = VG_EVENT_FAILED_MEASUREMENT, .detail = why});
	vg_result(s, VG_NOTHING);
}

/* What is the same when this spot check is told again; 0: nothing that is sure. */
static size_t identify(
	const struct measurement *m, const uint8_t *bytes, uint8_t identity[static VG_IDENTITY_MAX])
{
	if (vg_date_known(&m->taken)) {
		vg_date_time_put(identity, &m->taken);
		memcpy(identity + VG_DATE_TIME, bytes + 1, 4); /* SpO2, pulse */
		return VG_DATE_TIME + 4;
	}
	if (!(m->status & FROM_STORAGE))
		return 0;
	memcpy(identity, bytes, m->len);
	return m->len;
}

/* The bytes without what tells how they came: that is another when they are told again. */
static size_t raw_of(const struct measurement *m, const uint8_t *bytes, size_t len,
	uint8_t raw[static VG_PDU_MAX])
{
	len = len < VG_PDU_MAX ? len : VG_PDU_MAX;
	memcpy(raw, bytes, len);
	if (m->has_status && vg_date_known(&m->taken))
		raw[STATUS_HIGH] &= (uint8_t)(0xff ^ FROM_STORAGE >> 8);
	return len;
}

static void spot_tell(
	struct vg_session *s, const struct measurement *m, const uint8_t *bytes, size_t len)
{
	const struct plx *st = vg_state(s);
	struct vg_quantity quantities[QUANTITIES];
	const char *flags[FLAGS];
	uint8_t identity[VG_IDENTITY_MAX], raw[VG_PDU_MAX];
	bool dated = vg_date_known(&m->taken), stored = m->status & FROM_STORAGE;
	struct vg_reading r = {
		.kind = "spo2",
		.taken = dated ? &m->taken : NULL,
		.live = !stored && (m->has_status || (!dated && !st->stores)),
		.user = -1,
		.seq = -1,
		.quantities = quantities,
		.n_quantities = quantities_of(m, quantities),
		.flags = flags,
		.n_flags = doubts_of(m, true, flags),
		.identity = identity,
		.identity_len = identify(m, bytes, identity),
		.raw = raw,
		.raw_len = raw_of(m, bytes, len, raw),
	};
	if (stored)
		flags[r.n_flags++] = "from_storage";
	vg_reading(s, &r);
}

static void spot_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct measurement m;
	struct vg_decimal ignored;
	if (!spot_cut(bytes, len, &m)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	const char *why = refused_by(&m);
	enum vg_number spo2 = vg_sfloat(m.spo2, &ignored);
	if (why)
		failed(s, why);
	else if (spo2 == VG_NUMBER_POSITIVE)
		failed(s, "saturation above the range of the oximeter");
	else if (spo2 == VG_NUMBER_NEGATIVE)
		failed(s, "saturation below the range of the oximeter");
	else if (spo2 == VG_NUMBER_NONE)
		failed(s, "no saturation measured");
	else if (impossible(&m))
		vg_rejected(s, VG_IMPLAUSIBLE, "saturation above 100 % or no pulse", bytes, m.len);
	else
		spot_tell(s, &m, bytes, len);
}

/* the running measurement */

static void stream_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct measurement m;
	struct vg_quantity quantities[QUANTITIES];
	const char *flags[FLAGS];
	if (!stream_cut(bytes, len, &m)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	const char *why = m.status & FROM_STORAGE ? "from_storage" : refused_by(&m);
	struct vg_sample x = {.kind = "spo2", .quantities = quantities, .flags = flags};
	if (why) {
		flags[x.n_flags++] = why;
	} else if (impossible(&m)) {
		vg_result(s, VG_IMPLAUSIBLE);
	} else {
		x.n_quantities = quantities_of(&m, quantities);
		x.n_flags = doubts_of(&m, false, flags);
	}
	vg_sample(s, &x);
}

/* what it remembers */

static void drained(struct vg_session *s, struct plx *st)
{
	if (!st->drained)
		vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	st->drained = true;
}

static void features_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	static const struct vg_racp_plan plan = {.channel = RACP};
	struct plx *st = vg_state(s);
	struct buf b = buf_of(bytes, len);
	st->stores = buf_le16(&b) & STORES;
	if (b.failed) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	vg_result(s, VG_NOTHING);
	if (!st->live)
		return;
	vg_timer(s, 0);
	if (st->stores)
		vg_racp_begin(s, &st->racp, &plan);
	else
		drained(s, st);
}

static void clock_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	if (vg_clock_heard(s, bytes, len))
		vg_clock_send(s, CURRENT_TIME, true, CLOCK_TOLERANCE_S);
}

static void bt_plx_opened(struct vg_session *s, bool excerpt)
{
	struct plx *st = vg_state(s);
	st->live = !excerpt;
	if (st->live)
		vg_timer(s, SILENCE_MS);
}

static void bt_plx_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct plx *st = vg_state(s);
	switch (channel) {
	case FEATURES:
		features_heard(s, bytes, len);
		break;
	case CURRENT_TIME:
		clock_heard(s, bytes, len);
		break;
	case BATTERY:
		vg_battery_heard(s, bytes, len);
		break;
	case SPOT:
		spot_heard(s, bytes, len);
		vg_racp_came(s, &st->racp, NULL, now);
		if (st->live && !st->stores)
			vg_timer(s, SILENCE_MS);
		break;
	case STREAM:
		stream_heard(s, bytes, len);
		break;
	case RACP:
		vg_racp_heard(s, &st->racp, bytes, len, now);
		break;
	}
}

static void bt_plx_expired(struct vg_session *s, const struct vg_now *now)
{
	struct plx *st = vg_state(s);
	(void)now;
	if (st->stores)
		vg_racp_expired(s, &st->racp);
	else
		drained(s, st);
}

static void bt_plx_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	struct plx *st = vg_state(s);
	struct vg_event e = {
		.type = VG_EVENT_DEVICE_ERROR, .detail = "it refuses to have its clock set"};
	(void)now;
	if (channel == RACP)
		vg_racp_denied(s, &st->racp, code);
	else if (code != DATA_FIELD_IGNORED)
		vg_event(s, &e);
}

static void bt_plx_kept(struct vg_session *s, vg_ticket ticket)
{
	struct plx *st = vg_state(s);
	vg_racp_kept(s, &st->racp, ticket);
}

static const struct vg_option options[] = {
	VG_SAMPLE_OPTIONS,
	VG_CLOCK_OPTION,
};

static const struct vg_model models[] = {
	{.title = "Bluetooth pulse oximeter",
		.title_zh = "蓝牙血氧仪",
		.service16 = 0x1822,
		VG_OXIMETER_PRESS},
};

const struct vg_driver bt_plx = {
	.name = "bt_plx",
	.version = 1,
	.title = "Bluetooth pulse oximeter",
	.title_zh = "蓝牙血氧仪",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = COUNT(channels),
	.options = options,
	.n_options = COUNT(options),
	.models = models,
	.n_models = COUNT(models),
	.state_size = sizeof(struct plx),
	.opened = bt_plx_opened,
	.heard = bt_plx_heard,
	.expired = bt_plx_expired,
	.denied = bt_plx_denied,
	.kept = bt_plx_kept,
};
