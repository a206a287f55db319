/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FORA and TaiDoc blood pressure monitors and glucose meters that speak TaiDoc's own protocol over Bluetooth:
 * service 00001523-1212-EFDE-1523-785FEABCD123, writes and notifications on 00001524. Little-endian.
 *
 *   request  51 | command | d0 d1 d2 d3 | a3 | sum of the bytes before
 *   answer   51 | command | d0 d1 d2 d3 | a5 | sum
 *   24  model: BCD u16 (28 31: TD-3128). TD-31..: blood pressure. TD-41.., TD-42..: glucose. TD-32..: both, each
 *       record says which
 *   23  clock, 33 sets it: date u16 (day 0-4, month 5-8, year - 2000 9-15) | minute | hour
 *   2b  how many records: u16
 *   25  time of record u16 (0 is the newest), as in 23, and: d2 bit 7 blood pressure (of TD-32..), bit 6
 *       arrhythmia, d3 bit 7 average of several
 *   26  value of record u16. Blood pressure: systolic d0, diastolic d2, pulse d3; d1 is the upper byte of the
 *       systolic, or something else (monitors differ), and ignored: 256 mmHg and more come out below the
 *       diastolic and are refused. Glucose: u16 mg/dL | code | d3: 7-6 0 none, 1 before, 2 after a
 *       meal, 3 control solution; 5-2 what was measured, 0 glucose
 *   54  unsolicited: it is ready to talk. 50 turns it off, at the end, so that it does not wait to be read again
 *
 * Records are read from the newest back to the one that was the newest last time, or to the end. Nothing is
 * cleared (52 is never sent). Times have minutes. Of other models, and of ketones and other tests of
 * a glucose meter, nothing is read: their units are not known well enough; the bytes are kept.
 *
 * Sources: public readers: glucometerutils (TD-42xx), h2SyncLib (D40, P30 plus), btsensormon (TD-3128),
 * advmeds. Not confirmed: all of it over Bluetooth; mg/dL as the only unit; users (0 is asked, which
 * two readers do); the meaning of d3 bits 6-5 of a blood pressure; pairing. No bytes of a device were
 * seen: captures are constructed.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/uuid.h>

enum { FIRST = 0x51, OUT = 0xa3, IN = 0xa5, FRAME_LEN = 8, DATA_LEN = 4 };
enum {
	CLOCK = 0x23,
	MODEL = 0x24,
	TIME = 0x25,
	VALUE = 0x26,
	COUNT = 0x2b,
	SET_CLOCK = 0x33,
	TURN_OFF = 0x50,
	READY = 0x54,
};
enum { MEAL_BEFORE = 1, MEAL_AFTER = 2, CONTROL = 3 };

#define PATIENCE_MS 10000 /* for an answer; the link may still be looking for its characteristic */
#define ATTEMPTS 3
#define TOLERANCE_S 120 /* it shows minutes */
#define NEWEST "newest"

static const struct vg_channel channels[] = {
	{.uuid128 = VG_UUID128(0x00001524, 0x1212, 0xefde, 0x1523, 0x785feabcd123),
		.use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE | VG_GATT_REQUIRED,
		.name = "1524"},
};

struct fora {
	bool excerpt;
	uint16_t model, count, at;
	uint8_t asked[2 + DATA_LEN], attempts;
	uint8_t record[2 * DATA_LEN]; /* time and value, as they came */
	uint8_t newest[2 * DATA_LEN];
};

/* asking */

static void send(struct vg_session *s, const uint8_t *asked)
{
	uint8_t frame[FRAME_LEN] = {0};
	memcpy(frame, asked, 2 + DATA_LEN);
	frame[FRAME_LEN - 2] = OUT;
	for (size_t i = 0; i < FRAME_LEN - 1; i++)
		frame[FRAME_LEN - 1] = (uint8_t)(frame[FRAME_LEN - 1] + frame[i]);
	vg_send(s, 0, frame, sizeof(frame));
}

static void ask(struct vg_session *s, uint8_t command, const uint8_t data[static DATA_LEN])
{
	struct fora *st = vg_state(s);
	if (st->excerpt)
		return;
	st->asked[0] = FIRST;
	st->asked[1] = command;
	memcpy(st->asked + 2, data, DATA_LEN);
	st->attempts = 1;
	send(s, st->asked);
	vg_timer(s, PATIENCE_MS);
}

static void ask_of(struct vg_session *s, uint8_t command, uint16_t number)
{
	ask(s, command, (const uint8_t[DATA_LEN]){(uint8_t)number, (uint8_t)(number >> 8)});
}

/* All that is new was told. */
static void finish(struct vg_session *s)
{
	static const uint8_t off[2 + DATA_LEN] = {FIRST, TURN_OFF};
	struct fora *st = vg_state(s);
	if (st->excerpt)
		return;
	if (st->count)
		vg_mark(s, NEWEST, st->newest, sizeof(st->newest));
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	st->asked[1] = TURN_OFF;
	vg_timer(s, 0);
	send(s, off);
}

/* records */

static struct vg_civil time_of(const uint8_t *d)
{
	unsigned date = d[0] | (unsigned)d[1] << 8;
	return (struct vg_civil){.year = (uint16_t)(2000 + (date >> 9)),
		.month = date >> 5 & 15,
		.day = date & 31,
		.hour = d[3] & 31,
		.minute = d[2] & 63};
}

static void record_tell(struct vg_session *s, struct vg_reading *r)
{
	struct fora *st = vg_state(s);
	struct vg_civil taken = time_of(st->record);
	r->taken = &taken;
	r->user = -1;
	r->seq = -1;
	r->identity = r->raw = st->record;
	r->raw_len = sizeof(st->record);
	r->identity_len = taken.month && taken.day ? sizeof(st->record) : 0;
	vg_reading(s, r);
}

static void pressure_heard(struct vg_session *s, const uint8_t *time, const uint8_t *value)
{
	struct vg_quantity quantities[] = {
		{.kind = "bp.sbp", .value = {.mantissa = value[0]}, .unit = "mmHg"},
		{.kind = "bp.dbp", .value = {.mantissa = value[2]}, .unit = "mmHg"},
		{.kind = "bp.pulse", .value = {.mantissa = value[3]}, .unit = "/min"},
	};
	const char *flags[2];
	struct vg_reading r = {.kind = "bp",
		.quantities = quantities,
		.n_quantities = value[3] ? 3 : 2,
		.flags = flags};
	if (time[2] & 0x40)
		flags[r.n_flags++] = "irregular_pulse";
	if (time[3] & 0x80)
		flags[r.n_flags++] = "average";
	if (value[0] && value[2] < value[0])
		record_tell(s, &r);
	else
		vg_rejected(
			s, VG_IMPLAUSIBLE, "systolic is not above diastolic", time, 2 * DATA_LEN);
}

static void glucose_heard(struct vg_session *s, const uint8_t *record)
{
	static const char *const meals[] = {[MEAL_BEFORE] = "before", [MEAL_AFTER] = "after"};
	const uint8_t *value = record + DATA_LEN;
	unsigned number = value[0] | (unsigned)value[1] << 8, meal = value[3] >> 6;
	struct vg_event control = {.type = VG_EVENT_CONTROL_SOLUTION};
	struct vg_quantity quantity = {
		.kind = "glu.random", .value = {.mantissa = number}, .unit = "mg/dL"};
	struct vg_note note = {.key = "meal"};
	struct vg_reading r = {
		.kind = "glucose", .quantities = &quantity, .n_quantities = 1, .notes = &note};
	if (meal == MEAL_BEFORE || meal == MEAL_AFTER) {
		note.text = meals[meal];
		note.len = meal == MEAL_BEFORE ? sizeof("before") - 1 : sizeof("after") - 1;
		r.n_notes = 1;
	}
	if (meal == CONTROL) {
		vg_event(s, &control);
		vg_result(s, VG_NOTHING);
	} else if (value[3] >> 2 & 15) {
		vg_rejected(s, VG_UNSUPPORTED, "not glucose", record, 2 * DATA_LEN);
	} else {
		record_tell(s, &r);
	}
}

static void record_heard(struct vg_session *s)
{
	struct fora *st = vg_state(s);
	const uint8_t *time = st->record, *value = st->record + DATA_LEN;
	unsigned family = st->model >> 8;
	if (family == 0x31 || (family == 0x32 && time[2] & 0x80))
		pressure_heard(s, time, value);
	else if (family == 0x32 || family == 0x41 || family == 0x42)
		glucose_heard(s, st->record);
	else
		vg_rejected(s, VG_UNSUPPORTED, "a record of an unknown model", st->record,
			sizeof(st->record));
}

static void value_heard(struct vg_session *s, const uint8_t *data)
{
	struct fora *st = vg_state(s);
	size_t len = 0;
	memcpy(st->record + DATA_LEN, data, DATA_LEN);
	const uint8_t *known = vg_marked(s, NEWEST, &len);
	if (st->at == 0)
		memcpy(st->newest, st->record, sizeof(st->newest));
	if (known && len == sizeof(st->record) && memcmp(known, st->record, len) == 0) {
		vg_result(s, VG_NOTHING);
		finish(s);
		return;
	}
	record_heard(s);
	if (++st->at < st->count)
		ask_of(s, TIME, st->at);
	else
		finish(s);
}

/* the rest */

static void clock_heard(struct vg_session *s, const uint8_t *data)
{
	struct fora *st = vg_state(s);
	struct vg_civil shown = time_of(data), now;
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_CLOCK, .civil = &shown});
	vg_result(s, VG_NOTHING);
	if (st->excerpt || !vg_clock_set(s, TOLERANCE_S, &now)) {
		ask_of(s, COUNT, 0);
		return;
	}
	unsigned date = (now.year - 2000u) << 9 | (unsigned)now.month << 5 | now.day;
	ask(s, SET_CLOCK,
		(const uint8_t[DATA_LEN]){
			(uint8_t)date, (uint8_t)(date >> 8), now.minute, now.hour});
}

static void count_heard(struct vg_session *s, const uint8_t *data)
{
	struct fora *st = vg_state(s);
	st->count = (uint16_t)(data[0] | data[1] << 8);
	vg_result(s, VG_NOTHING);
	if (st->count)
		ask_of(s, TIME, 0);
	else
		finish(s);
}

static void answer_heard(struct vg_session *s, uint8_t command, const uint8_t *data)
{
	struct fora *st = vg_state(s);
	switch (command) {
	case MODEL:
		st->model = (uint16_t)(data[0] | data[1] << 8);
		vg_result(s, VG_NOTHING);
		ask_of(s, CLOCK, 0);
		break;
	case CLOCK:
		clock_heard(s, data);
		break;
	case SET_CLOCK:
		vg_result(s, VG_NOTHING);
		ask_of(s, COUNT, 0);
		break;
	case COUNT:
		count_heard(s, data);
		break;
	case TIME:
		memcpy(st->record, data, DATA_LEN);
		vg_result(s, VG_NOTHING);
		ask_of(s, VALUE, st->at);
		break;
	case VALUE:
		value_heard(s, data);
		break;
	default:
		vg_result(s, VG_UNSUPPORTED);
	}
}

static void fora_opened(struct vg_session *s, bool excerpt)
{
	struct fora *st = vg_state(s);
	st->excerpt = excerpt;
	ask_of(s, MODEL, 0);
}

static void fora_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct fora *st = vg_state(s);
	uint8_t sum = 0;
	(void)channel;
	(void)now;
	for (size_t i = 0; i + 1 < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	if (len != FRAME_LEN || bytes[0] != FIRST || bytes[6] != IN || bytes[7] != sum)
		vg_result(s, VG_MALFORMED);
	else if (bytes[1] == READY || bytes[1] == TURN_OFF)
		vg_result(s, VG_NOTHING);
	else if (!st->excerpt && bytes[1] != st->asked[1])
		vg_result(s, VG_OUT_OF_SEQUENCE);
	else
		answer_heard(s, bytes[1], bytes + 2);
}

/* Only the first request, which may find it asleep, is made again: an answer does not say which record it is
 * about, and a late one would be taken for the next. */
static void fora_expired(struct vg_session *s, const struct vg_now *now)
{
	struct fora *st = vg_state(s);
	(void)now;
	if (st->asked[1] != MODEL || st->attempts++ >= ATTEMPTS) {
		vg_done(s, "it does not answer");
		return;
	}
	send(s, st->asked);
	vg_timer(s, PATIENCE_MS);
}

static const struct vg_option options[] = {VG_CLOCK_OPTION};

#define METER(model, zh)                                                                        \
	{                                                                                       \
		.title = (model), .title_zh = (zh), .name = (model),                            \
		.press = "Take a measurement, or switch it on; it is found while it shows the " \
			 "Bluetooth sign. Close the phone's app.",                              \
		.press_zh = "测量一次或开机；显示蓝牙标志时可找到。关闭手机应用。",             \
	}

static const struct vg_model models[] = {
	METER("FORA D40", "福尔 D40 血压血糖仪"),
	METER("FORA P30 PLUS", "福尔 P30 血压计"),
	METER("FORA GD40", "福尔 GD40 血糖仪"),
	METER("TAIDOC TD31", "泰博 TD-31 血压计"),
	METER("TAIDOC TD32", "泰博 TD-32 血压血糖仪"),
	METER("TAIDOC TD42", "泰博 TD-42 血糖仪"),
};

const struct vg_driver fora = {
	.name = "fora",
	.version = 1,
	.title = "Blood pressure or glucose meter FORA/TaiDoc",
	.title_zh = "血压计/血糖仪(福尔/泰博)",
	.experimental = true,
	.unauthenticated = true,
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct fora),
	.opened = fora_opened,
	.heard = fora_heard,
	.expired = fora_expired,
};
