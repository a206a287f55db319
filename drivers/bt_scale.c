/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scales with the Bluetooth Weight Scale Service, 0x181D, and the Body Composition Service, 0x181B. All is
 * little-endian. One weighing comes in two halves, each an indication of its own:
 *
 *   2A9D   flags u8 | weight u16 | [date time 7, b1] | [user u8, b2] | [BMI u16, height u16, b3]
 *          b0: 0 kg and m, 1 lb and in
 *   2A9C   flags u16 | fat u16 | [date time, b1] | [user, b2] | [basal metabolism u16 kJ, b3]
 *          | [muscle %, b4] | [muscle, b5] | [fat free, b6] | [soft lean, b7] | [water, b8]
 *          | [impedance, b9] | [weight, b10] | [height, b11]; b0 as above; b12: more of it follows
 *   steps  masses 0.005 kg or 0.01 lb; height 0.001 m or 0.1 in; percent and BMI 0.1; impedance 0.1 ohm
 *
 * The second half comes only after the first was confirmed, and a confirmation says that the gateway
 * has it for good. So no half waits for the other: the first is a reading by itself, and the second says
 * the same reading again, corrected, with the numbers of both. It has the identity of the half that came
 * first, whichever that was. They belong together when both are dated and date and user are the same; a
 * half that names no user fits any. Without a date nothing is joined: two readings are better than one of
 * two people. The last weighing is kept as a mark with the row that carries it, so that halves are joined
 * when the link was lost between them. Weight, BMI and height of 2A9D count more than those of 2A9C. What
 * comes behind b12 without a date belongs to what came before it.
 *
 * Not measured: weight or fat ffff or fat 0, a failed measurement (ffff is recalled); any other number
 * that is ffff or 0 is left out (a scale that knows no height says 0). Fat above 100 %: another layout, as
 * the Mi scale sends it on 2A9C (v202 of the captures), implausible as a whole.
 *
 * The step on the wire stays whatever resolution 2A9E tells (one public reader multiplies by it instead).
 *
 * Users: a scale that knows people tells the weighings of one only after a consent: 02 | index u8 | code
 * u16 to 2A9F, of the options `user_index` and `consent`. It answers with an indication, 20 | 02 | 1 done,
 * 2 unsupported, 3 invalid, 4 failed, 5 not authorized. So 2A9F is subscribed first of all, and the code
 * goes out when everything is subscribed: what it sets free finds its way. It cannot be VG_GATT_FIRST, as
 * a control point whose CCC is off refuses. No user is ever registered, changed or deleted.
 *
 * Clock: only with the option `clock`. 2A2B when it is off by more than a minute; 2A08 inside 0x181D (A&D
 * UC-352BLE, which dates its weighings by it) each time and before anything is subscribed, and blindly
 * when neither could be read.
 *
 * Sources: GATT Specification Supplement as carried by public decoders; for A&D the public samples of its
 * maker. No bytes of a real device with these layouts were seen. Not confirmed: that basal metabolism is
 * per day, which fields a packet behind b12 repeats, and the order of weights and compositions of a memory.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/text.h>

#define WEIGHINGS 16 /* of this session, that the other half may still be looking for */
#define OFF_S 60     /* a clock that is clearly off */
#define NOT_MEASURED 0xffff
#define FAT_MOST 1000

enum {
	USER_CONTROL,
	CURRENT_TIME,
	DATE_TIME,
	BATTERY,
	FAT_FEATURE,
	FEATURE,
	WEIGHT_HALF,
	BODY_HALF
};

static const struct vg_channel channels[] = {
	[USER_CONTROL] = {.uuid16 = 0x2a9f,
		.service16 = 0x181c,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE,
		.name = "2a9f"},
	[CURRENT_TIME] = {.uuid16 = 0x2a2b,
		.service16 = 0x1805,
		.use = VG_GATT_READ | VG_GATT_WRITE,
		.name = "2a2b"},
	[DATE_TIME] = {.uuid16 = 0x2a08,
		.service16 = 0x181d,
		.use = VG_GATT_READ | VG_GATT_WRITE | VG_GATT_FIRST,
		.name = "2a08"},
	[BATTERY] = VG_CHANNEL_BATTERY,
	[FAT_FEATURE] = {.uuid16 = 0x2a9b,
		.service16 = 0x181b,
		.use = VG_GATT_READ,
		.name = "2a9b"},
	[FEATURE] = {.uuid16 = 0x2a9e, .service16 = 0x181d, .use = VG_GATT_READ, .name = "2a9e"},
	[WEIGHT_HALF] = {.uuid16 = 0x2a9d,
		.service16 = 0x181d,
		.use = VG_GATT_SUBSCRIBE,
		.name = "2a9d"},
	[BODY_HALF] = {.uuid16 = 0x2a9c,
		.service16 = 0x181b,
		.use = VG_GATT_SUBSCRIBE,
		.name = "2a9c"},
};

/* In the order of a reading: the first that is there is what it is about. */
enum field {
	WEIGHT,
	FAT,
	BMI,
	HEIGHT,
	BASAL,
	MUSCLE_PERCENT,
	MUSCLE,
	FAT_FREE,
	SOFT_LEAN,
	WATER,
	IMPEDANCE,
	FIELDS
};

struct step {
	const char *unit;
	int8_t factor, exponent;
};

static const struct {
	const char *kind;
	struct step metric, imperial;
} fields[FIELDS] = {
	[WEIGHT] = {"weight", {"kg", 5, -3}, {"lb", 1, -2}},
	[FAT] = {"body_fat", {"%", 1, -1}, {"%", 1, -1}},
	[BMI] = {"bmi", {"kg/m2", 1, -1}, {"kg/m2", 1, -1}},
	[HEIGHT] = {"height", {"m", 1, -3}, {"in", 1, -1}},
	[BASAL] = {"body.basal", {"kJ/d", 1, 0}, {"kJ/d", 1, 0}},
	[MUSCLE_PERCENT] = {"body.muscle_percent", {"%", 1, -1}, {"%", 1, -1}},
	[MUSCLE] = {"body.muscle", {"kg", 5, -3}, {"lb", 1, -2}},
	[FAT_FREE] = {"body.fat_free", {"kg", 5, -3}, {"lb", 1, -2}},
	[SOFT_LEAN] = {"body.soft_lean", {"kg", 5, -3}, {"lb", 1, -2}},
	[WATER] = {"body.water", {"kg", 5, -3}, {"lb", 1, -2}},
	[IMPEDANCE] = {"body.impedance", {"Ohm", 1, -1}, {"Ohm", 1, -1}},
};

enum { HAS_WEIGHT = 1, HAS_BODY = 2 };
#define NOBODY 0xff

/* What is known of one weighing. As it stands it is the mark, so it has no pointers and fits 64 bytes. */
struct weighing {
	uint8_t identity[12]; /* date time, user, half, unit and main word: all of the first half */
	uint8_t user;
	uint8_t halves;		/* HAS_... */
	uint16_t has, imperial; /* bits of fields */
	uint16_t words[FIELDS];
};

struct scale {
	struct weighing weighings[WEIGHINGS];
	unsigned next;	 /* the slot that is overwritten next */
	unsigned last;	 /* the slot that heard a 2A9C last, when */
	bool more;	 /* it said that more follows */
	bool clock_told; /* it could be read */
	bool drained;
};

/* cutting */

/* One half as it came. */
struct half {
	struct weighing w;
	uint8_t time[VG_DATE_TIME];
	bool dated, more, failed;
};

static void take(struct half *h, struct buf *b, enum field field, bool imperial)
{
	uint16_t word = buf_le16(b);
	if (word == NOT_MEASURED || (!word && field != WEIGHT))
		return;
	h->w.words[field] = word;
	h->w.has |= (uint16_t)(1u << field);
	h->w.imperial |= (uint16_t)(imperial << field);
}

static void take_moment(struct half *h, struct buf *b, bool time, bool user)
{
	const uint8_t *bytes = time ? buf_bytes(b, VG_DATE_TIME) : NULL;
	if (bytes) {
		struct buf t = buf_of(bytes, VG_DATE_TIME);
		struct vg_civil civil = vg_date_time(&t);
		memcpy(h->time, bytes, VG_DATE_TIME);
		h->dated = vg_date_known(&civil);
	}
	h->w.user = user ? buf_u8(b) : NOBODY;
}

/* What tells this weighing from any other, by the half that came first. */
static void identify(struct half *h, enum field main)
{
	uint16_t word = h->w.words[main];
	const uint8_t rest[] = {h->w.user, h->w.halves, (uint8_t)(h->w.imperial & 1u << main),
		(uint8_t)word, (uint8_t)(word >> 8)};
	memcpy(h->w.identity, h->time, VG_DATE_TIME);
	memcpy(h->w.identity + VG_DATE_TIME, rest, sizeof(rest));
}

static bool weight_cut(const uint8_t *bytes, size_t len, struct half *ret_half)
{
	struct buf b = buf_of(bytes, len);
	struct half h = {.w.halves = HAS_WEIGHT};
	uint8_t flags = buf_u8(&b);
	take(&h, &b, WEIGHT, flags & 1);
	take_moment(&h, &b, flags & 2, flags & 4);
	if (flags & 8) {
		take(&h, &b, BMI, false);
		take(&h, &b, HEIGHT, flags & 1);
	}
	identify(&h, WEIGHT);
	h.failed = !(h.w.has & 1u << WEIGHT);
	*ret_half = h;
	return !b.failed;
}

static bool body_cut(const uint8_t *bytes, size_t len, struct half *ret_half)
{
	static const enum field optional[] = {BASAL, MUSCLE_PERCENT, MUSCLE, FAT_FREE, SOFT_LEAN,
		WATER, IMPEDANCE, WEIGHT, HEIGHT}; /* from b3 on */
	struct buf b = buf_of(bytes, len);
	struct half h = {.w.halves = HAS_BODY};
	uint16_t flags = buf_le16(&b);
	take(&h, &b, FAT, false);
	take_moment(&h, &b, flags & 2, flags & 4);
	for (unsigned i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (flags & 8u << i)
			take(&h, &b, optional[i], flags & 1);
	identify(&h, FAT);
	h.more = flags & 1u << 12;
	h.failed = !(h.w.has & 1u << FAT);
	*ret_half = h;
	return !b.failed;
}

/* joining */

static bool same_moment(const struct weighing *w, const struct half *h)
{
	return w->halves && memcmp(w->identity, h->time, VG_DATE_TIME) == 0 &&
	       (w->user == h->w.user || w->user == NOBODY || h->w.user == NOBODY);
}

/* What it is a part of: the newest weighing of its moment that lacks it, else the newest that has it: then it is
 * told again, or has more to say. Two weights of one moment are two weighings. */
static struct weighing *partner(struct scale *st, const struct half *h)
{
	struct weighing *again = NULL;
	if (st->more && h->w.halves == HAS_BODY && !h->dated)
		return &st->weighings[st->last];
	for (unsigned i = 1; h->dated && i <= WEIGHINGS; i++) {
		struct weighing *w = &st->weighings[(st->next + WEIGHINGS - i) % WEIGHINGS];
		if (!same_moment(w, h))
			continue;
		if (!(w->halves & h->w.halves))
			return w;
		if (!again && (h->w.halves == HAS_BODY || w->words[WEIGHT] == h->w.words[WEIGHT]))
			again = w;
	}
	return again;
}

/* Weight, BMI and height of 2A9D are kept. */
static void join(struct weighing *w, const struct half *h)
{
	bool keep = h->w.halves == HAS_BODY && w->halves & HAS_WEIGHT;
	const unsigned of_weight = 1u << WEIGHT | 1u << BMI | 1u << HEIGHT;
	unsigned fresh = h->w.has & ~(keep ? of_weight & w->has : 0u);
	for (unsigned i = 0; i < FIELDS; i++)
		if (fresh & 1u << i)
			w->words[i] = h->w.words[i];
	w->imperial = (uint16_t)((w->imperial & ~fresh) | (h->w.imperial & fresh));
	w->has |= (uint16_t)fresh;
	w->halves |= h->w.halves;
	if (w->user == NOBODY)
		w->user = h->w.user;
}

static struct weighing *begin(struct scale *st, const struct half *h)
{
	struct weighing *w = &st->weighings[st->next];
	st->next = (st->next + 1) % WEIGHINGS;
	*w = h->w;
	return w;
}

/* telling */

static size_t quantities_of(const struct weighing *w, struct vg_quantity out[static FIELDS])
{
	size_t n = 0;
	for (unsigned i = 0; i < FIELDS; i++) {
		const struct step *step =
			w->imperial & 1u << i ? &fields[i].imperial : &fields[i].metric;
		if (w->has & 1u << i)
			out[n++] = (struct vg_quantity){.kind = fields[i].kind,
				.value = {w->words[i] * step->factor, step->exponent},
				.unit = step->unit};
	}
	return n;
}

static void tell(struct vg_session *s, const struct weighing *w, bool dated, enum vg_status status)
{
	struct vg_quantity quantities[FIELDS];
	struct buf b = buf_of(w->identity, VG_DATE_TIME);
	struct vg_civil taken = vg_date_time(&b);
	vg_reading(s, &(struct vg_reading){.kind = "weight",
			      .taken = dated ? &taken : NULL,
			      .user = w->user == NOBODY ? -1 : w->user,
			      .seq = -1,
			      .status = status,
			      .quantities = quantities,
			      .n_quantities = quantities_of(w, quantities),
			      .identity = w->identity,
			      .identity_len = dated ? sizeof(w->identity) : 0});
	if (dated)
		vg_mark(s, "weighing", w, sizeof(*w));
}

static void failed(struct vg_session *s, const char *detail)
{
	vg_event(s, &(struct vg_event){.type = VG_EVENT_FAILED_MEASUREMENT, .detail = detail});
	vg_result(s, VG_NOTHING);
}

static void half_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len)
{
	struct scale *st = vg_state(s);
	struct half h;
	bool body = channel == BODY_HALF;
	if (!(body ? body_cut(bytes, len, &h) : weight_cut(bytes, len, &h))) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	if (body && h.w.words[FAT] > FAT_MOST) {
		vg_result(s, VG_IMPLAUSIBLE);
		return;
	}
	struct weighing *w = partner(st, &h);
	bool continued = body && st->more && w == &st->weighings[st->last];
	if (h.failed && !continued) {
		failed(s, body ? "no body composition measured" : "no weight measured");
		return;
	}
	enum vg_status status = w ? VG_CORRECTED : VG_FINAL;
	if (w)
		join(w, &h);
	else
		w = begin(st, &h);
	if (body) {
		st->more = h.more;
		st->last = (unsigned)(w - st->weighings);
	}
	struct buf b = buf_of(w->identity, VG_DATE_TIME);
	struct vg_civil taken = vg_date_time(&b);
	tell(s, w, vg_date_known(&taken), status);
}

/* users and clock */

/* A whole number of `most` at most, -1 when it is none. */
static int number_of(const char *option, int most)
{
	struct vg_decimal d;
	bool good = vg_text_decimal(vg_text_ended(option), &d) && !d.exponent && d.mantissa >= 0 &&
		    d.mantissa <= most;
	return good ? (int)d.mantissa : -1;
}

static void trouble(struct vg_session *s, const char *detail)
{
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_ERROR, .detail = detail});
}

static void consent_send(struct vg_session *s)
{
	const char *user = vg_option(s, "user_index");
	int index = number_of(user, NOBODY - 1), code = number_of(vg_option(s, "consent"), 9999);
	if (!user || !user[0])
		return;
	if (index < 0 || code < 0) {
		trouble(s,
			"options user_index and consent must be numbers of 0 to 254 and 0 to 9999");
		return;
	}
	const uint8_t bytes[] = {0x02, (uint8_t)index, (uint8_t)code, (uint8_t)(code >> 8)};
	vg_send(s, USER_CONTROL, bytes, sizeof(bytes));
}

static void consent_answered(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	static const char *const answers[] = {"consent refused: code not known", NULL,
		"consent refused: it has no users", "consent refused: no such user",
		"consent refused: it failed", "consent refused: user_index or consent is wrong"};
	struct buf b = buf_of(bytes, len);
	uint8_t op = buf_u8(&b), request = buf_u8(&b), code = buf_u8(&b);
	if (b.failed) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	bool ours = op == 0x20 && request == 0x02;
	const char *answer = answers[code < sizeof(answers) / sizeof(answers[0]) ? code : 0];
	if (ours && answer)
		trouble(s, answer);
	vg_result(s, ours ? VG_NOTHING : VG_UNSUPPORTED);
}

static void clock_set(struct vg_session *s, unsigned channel)
{
	bool current = channel == CURRENT_TIME;
	vg_clock_send(s, channel, current, current ? OFF_S : 0);
}

static void clock_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len)
{
	struct scale *st = vg_state(s);
	if (!vg_clock_heard(s, bytes, len))
		return;
	st->clock_told = true;
	clock_set(s, channel);
}

/* The last that is read: now it is known whether a clock could be. */
static void feature_heard(struct vg_session *s)
{
	const struct scale *st = vg_state(s);
	if (!st->clock_told)
		clock_set(s, DATE_TIME);
	vg_result(s, VG_NOTHING);
}

/* callbacks */

static void bt_scale_opened(struct vg_session *s, bool excerpt)
{
	struct scale *st = vg_state(s);
	size_t len = 0;
	const uint8_t *mark = vg_marked(s, "weighing", &len);
	if (mark && len == sizeof(st->weighings[0]))
		memcpy(&st->weighings[st->next++], mark, len);
	if (excerpt)
		return;
	consent_send(s);
	vg_timer(s, VG_NOTHING_TOLD_MS);
}

static void bt_scale_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	const struct scale *st = vg_state(s);
	(void)now;
	if (!st->drained && (channel == WEIGHT_HALF || channel == BODY_HALF))
		vg_timer(s, VG_TOLD_MS);
	switch (channel) {
	case WEIGHT_HALF:
	case BODY_HALF:
		half_heard(s, channel, bytes, len);
		break;
	case CURRENT_TIME:
	case DATE_TIME:
		clock_heard(s, channel, bytes, len);
		break;
	case USER_CONTROL:
		consent_answered(s, bytes, len);
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
static void bt_scale_quiet(struct vg_session *s, const struct vg_now *now)
{
	struct scale *st = vg_state(s);
	(void)now;
	if (!st->drained)
		vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	st->drained = true;
}

static void bt_scale_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	(void)now;
	if (channel == USER_CONTROL)
		trouble(s, "consent refused: it does not take it");
	else
		vg_clock_denied(s, code);
}

static const struct vg_option options[] = {
	{.name = "user_index",
		.fallback = "",
		.help = "which of the scale's users to ask for, 0 to 254; none: it knows no users"},
	{.name = "consent", .fallback = "", .help = "code of that user on the scale, 0 to 9999"},
	VG_CLOCK_OPTION,
};

static const struct vg_model models[] = {
	{.title = "A&D UC-352BLE",
		.title_zh = "爱安德 UC-352BLE 体重秤",
		.name = "A&D_UC-352BLE",
		.service16 = 0x181d,
		.press = "hold the button on its underside until \"Pr\" is shown",
		.press_zh = "按住秤底部的按键,直到显示 Pr",
		.pairing = true,
		.options = "clock=set"},
	{.title = "Beurer or Sanitas diagnostic scale",
		.title_zh = "博雅/Sanitas 体脂秤",
		.name = "BF",
		.service16 = 0x181d,
		.press =
			"step on it once; on it, choose the user and note the user number and the PIN",
		.press_zh = "先踩一下秤,在秤上选择用户并记下用户号和 PIN",
		.pairing = true},
	{.title = "Bluetooth scale (body composition)",
		.title_zh = "蓝牙体脂秤",
		.service16 = 0x181b,
		.press = "step on it, so that it wakes up",
		.press_zh = "踩一下秤,使其唤醒"},
	{.title = "Bluetooth scale",
		.title_zh = "蓝牙体重秤",
		.service16 = 0x181d,
		.press = "step on it, so that it wakes up",
		.press_zh = "踩一下秤,使其唤醒"},
};

const struct vg_driver bt_scale = {
	.name = "bt_scale",
	.version = 1,
	.title = "Bluetooth scale, weight and body composition",
	.title_zh = "蓝牙体重秤/体脂秤",
	.experimental = true,
	.bus = VG_BUS_GATT,
	.settle_ms = 100,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct scale),
	.opened = bt_scale_opened,
	.heard = bt_scale_heard,
	.expired = bt_scale_quiet,
	.hung_up = bt_scale_quiet,
	.denied = bt_scale_denied,
};
