/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Glucose meters with the Bluetooth Glucose Service, 0x1808.
 *
 * 2A18 measurement, notified, little-endian:
 *   flags u8 | number u16 | base time 7 | [offset s16 minutes, b0]
 *   | [concentration SFLOAT, type and site u8, b1] | [status u16, b3]
 *   flags   b1 concentration; b2: 0 kg/L, 1 mol/L; b4: a context follows; b5-7 reserved, ignored
 *   time    base + offset is what the meter shows; the base never moves when its clock is set
 *   type    low nibble: 1 2 capillary, 3 4 venous, 5 6 arterial, 7 8 undetermined: whole blood and
 *           plasma; 9 interstitial fluid; 10 control solution
 *   site    high nibble: 1 finger, 2 alternate, 3 earlobe, 4 control solution, 15 unknown
 *   status  b0 battery low, b1 sensor malfunction, b2 sample too small, b3 strip insertion, b4 strip
 *           type, b5 above range, b6 below range, b7 strip too warm, b8 too cold, b9 strip pulled
 *           out, b10 general fault, b11 time fault
 * 2A34 context, notified behind its measurement:
 *   flags u8 | number u16 | [more flags u8, b7] | [food u8, SFLOAT, b0] | [meal u8, b1]
 *   | [tester low, health high nibble, b2] | [exercise s u16, % u8, b3]
 *   | [medication u8, SFLOAT, b4; b5 its unit] | [HbA1c SFLOAT, b6]
 *   meal    1 before, 2 after, 3 fasting, 4 casual, 5 bedtime; 6 on CareSens: a ketone value
 * 2A52 record access: racp.h. 2A51 feature: read so that a trace of the link shows it. 2A2B and 2A08
 * (inside 0x1808 on Accu-Chek Aviva Connect): the meter's clock. Bytes behind the last field are
 * tolerated.
 *
 * Control solution is an event and never a reading, interstitial fluid is no blood. Status b1-4, b9,
 * b10 and a concentration that is no number: a failed measurement. Above or below range: the number
 * is the meter's limit and gets its comparator; without a number, or with one that can be no limit,
 * it lies beyond the option `hi` or `lo`, flagged `limit_assumed`, because HI and LO are the values
 * that matter. A number of 0 or less (FFFF is -0.1) is refused.
 *
 * A measurement that announces a context is held back until that has come, until the meter answers
 * on 2A52, or for 2 s, so that ketones are never told as glucose. A context that comes still later,
 * or that was changed at the meter, amends the reading: with a context it is VG_CORRECTED. Fasting
 * makes glu.fasting; "after a meal" is not said to be two hours after and stays a note. Amounts of
 * food and medication and the HbA1c of the context are not stored: their scale is not confirmed.
 *
 * Identity: number and base time. `order=reverse` (TaiDoc and its brands FORA and Diamond, as a
 * public collector treats them): the newest record is number 1, so numbers last no longer than a
 * session; all is read each time and known by base time, concentration and type. The number would
 * make other bytes of the same record: in the raw bytes that are passed on it is 0.
 *
 * The clock is set once the memory was told, over the characteristic that it was read from, only
 * with `clock=set` and more than 60 s off. Not used, because nobody confirmed them: Contour's own
 * service (`01 | year u16, month .. second in UTC | offset s16`) and CareSens' (C4DEA3BC or FFF1:
 * `C0 03 01 00` + Date Time).
 *
 * Sources: Glucose Service as in public collectors; captured bytes of Accu-Chek Guide and others in
 * public questions. The ketone mark and its scale (kg/L x 10000 = mmol/L) are one public
 * collector's. Not confirmed with a meter: sessions as a whole, order=reverse, ketones.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>
#include <vitalgate/racp.h>
#include <vitalgate/sfloat.h>
#include <vitalgate/text.h>

enum {
	FLAG_OFFSET = 1,
	FLAG_CONCENTRATION = 2,
	FLAG_MOLAR = 4,
	FLAG_STATUS = 8,
	FLAG_CONTEXT = 16
};
enum { TYPE_ISF = 9, TYPE_CONTROL = 10, SITE_CONTROL = 4, MEAL_FASTING = 3, MEAL_KETONE = 6 };
enum { STATUS_HIGH = 1 << 5, STATUS_LOW = 1 << 6, STATUS_TIME_FAULT = 1 << 11 };

#define SFLOAT_NAN 0x07ff
#define RECORDS 64	/* the last ones, which a context may still amend */
#define BYTES 24	/* of one PDU that are kept: the layouts have 17 at most */
#define CONTEXT_MS 2000 /* outside of a report */
#define QUIET_MS 120000 /* then the link is given back; a meter turns itself off before */
#define CLOCK_OFF_S 60

enum { FEATURE, CURRENT_TIME, DATE_TIME, BATTERY, MEASUREMENT, CONTEXT, RACP };

static const struct vg_channel channels[] = {
	[FEATURE] = {.uuid16 = 0x2a51, .service16 = 0x1808, .use = VG_GATT_READ, .name = "2a51"},
	[CURRENT_TIME] = {.uuid16 = 0x2a2b,
		.service16 = 0x1805,
		.use = VG_GATT_READ | VG_GATT_WRITE,
		.name = "2a2b"},
	[DATE_TIME] = {.uuid16 = 0x2a08,
		.service16 = 0x1808,
		.use = VG_GATT_READ | VG_GATT_WRITE,
		.name = "2a08"},
	[BATTERY] = VG_CHANNEL_BATTERY,
	[MEASUREMENT] = {.uuid16 = 0x2a18,
		.service16 = 0x1808,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "2a18"},
	[CONTEXT] = {.uuid16 = 0x2a34,
		.service16 = 0x1808,
		.use = VG_GATT_SUBSCRIBE,
		.name = "2a34"},
	[RACP] = {.uuid16 = 0x2a52,
		.service16 = 0x1808,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE | VG_GATT_REQUIRED,
		.name = "2a52"},
};

/* A measurement as it came, so that its context can find it. */
enum fate { EMPTY, HELD, TOLD, NO_READING };

struct record {
	enum fate fate;
	uint8_t len, bytes[BYTES];
};

struct glucose {
	struct vg_racp racp;
	bool excerpt, reverse;
	unsigned clock; /* channel that showed the meter's clock; 0: none */
	unsigned next;	/* slot of the next record; the one before it is the newest */
	struct record records[RECORDS];
};

/* One 2A18 cut; nothing is judged yet. */
struct measurement {
	uint8_t flags;
	uint16_t seq;
	struct vg_racp_place place;
	struct vg_civil base;
	int16_t offset;
	uint16_t word; /* concentration */
	uint8_t type, site;
	uint16_t status;
};

static bool measurement_cut(const uint8_t *bytes, size_t len, struct measurement *ret_m)
{
	struct buf b = buf_of(bytes, len);
	struct measurement m = {.flags = buf_u8(&b), .seq = buf_le16(&b), .word = SFLOAT_NAN};
	const uint8_t *base = buf_bytes(&b, VG_DATE_TIME);
	if (m.flags & FLAG_OFFSET)
		m.offset = (int16_t)buf_le16(&b);
	if (m.flags & FLAG_CONCENTRATION) {
		m.word = buf_le16(&b);
		uint8_t both = buf_u8(&b);
		m.type = both & 15;
		m.site = both >> 4;
	}
	if (m.flags & FLAG_STATUS)
		m.status = buf_le16(&b);
	if (b.failed)
		return false;
	struct buf time = buf_of(base, VG_DATE_TIME);
	m.base = vg_date_time(&time);
	m.place.seq = m.seq;
	memcpy(m.place.tag, base, VG_DATE_TIME);
	*ret_m = m;
	return true;
}

/* What a context says, in words; NULL: nothing. */
struct context {
	uint16_t seq;
	uint8_t meal;
	struct vg_note notes[VG_NOTES_MAX]; /* six, and the two of the sample */
	size_t n_notes;
};

static void note_add(
	struct context *c, const char *key, const char *const *words, size_t n_words, uint8_t value)
{
	const char *word = value < n_words ? words[value] : NULL;
	if (word)
		c->notes[c->n_notes++] = (struct vg_note){key, word, vg_text_ended(word).len};
}

#define NOTE(c, key, words, value) \
	note_add(c, key, words, sizeof(words) / sizeof((words)[0]), value)

static bool context_cut(const uint8_t *bytes, size_t len, struct context *ret_c)
{
	static const char *const foods[] = {
		NULL, "breakfast", "lunch", "dinner", "snack", "drink", "supper", "brunch"};
	static const char *const meals[] = {
		NULL, "before_meal", "after_meal", "fasting", "casual", "bedtime"};
	static const char *const testers[] = {NULL, "self", "professional", "laboratory"};
	static const char *const healths[] = {
		NULL, "minor_issues", "major_issues", "menses", "stress", "no_issues"};
	static const char *const exercises[] = {NULL, "yes"};
	static const char *const medications[] = {NULL, "insulin_rapid", "insulin_short",
		"insulin_intermediate", "insulin_long", "insulin_premixed"};
	struct buf b = buf_of(bytes, len);
	uint8_t flags = buf_u8(&b);
	struct context c = {.seq = buf_le16(&b)};
	if (flags & 0x80)
		buf_u8(&b);
	if (flags & 0x01) {
		NOTE(&c, "food", foods, buf_u8(&b));
		buf_le16(&b);
	}
	if (flags & 0x02) {
		c.meal = buf_u8(&b);
		NOTE(&c, "meal", meals, c.meal);
	}
	if (flags & 0x04) {
		uint8_t both = buf_u8(&b);
		NOTE(&c, "tester", testers, both & 15);
		NOTE(&c, "health", healths, both >> 4);
	}
	if (flags & 0x08) {
		NOTE(&c, "exercise", exercises, buf_le16(&b) > 0);
		buf_u8(&b);
	}
	if (flags & 0x10) {
		NOTE(&c, "medication", medications, buf_u8(&b));
		buf_le16(&b);
	}
	if (flags & 0x40)
		buf_le16(&b);
	*ret_c = c;
	return !b.failed;
}

/* the time that the meter showed */

static uint8_t days_of(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return (uint8_t)(days[month - 1] + (month == 2 && leap));
}

static void day_after(struct vg_civil *t)
{
	if (++t->day <= days_of(t->year, t->month))
		return;
	t->day = 1;
	if (++t->month <= 12)
		return;
	t->month = 1;
	t->year++;
}

static void day_before(struct vg_civil *t)
{
	if (--t->day)
		return;
	if (!--t->month) {
		t->month = 12;
		t->year--;
	}
	t->day = days_of(t->year, t->month);
}

/* An offset of 7FFF or 8000 says that it does not fit (recalled): then the base is all there is. */
static bool offset_fits(const struct measurement *m)
{
	return m->offset != INT16_MAX && m->offset != INT16_MIN;
}

static struct vg_civil time_shown(const struct measurement *m)
{
	struct vg_civil t = m->base;
	if (!m->offset || !offset_fits(m) || !t.year || !t.month || t.month > 12 || !t.day ||
		t.day > days_of(t.year, t.month) || t.hour > 23 || t.minute > 59)
		return t;
	int minutes = t.hour * 60 + t.minute + m->offset;
	for (; minutes < 0; minutes += 1440)
		day_before(&t);
	for (; minutes >= 1440; minutes -= 1440)
		day_after(&t);
	t.hour = (uint8_t)(minutes / 60);
	t.minute = (uint8_t)(minutes % 60);
	return t;
}

/* the concentration */

/* '>' above, '<' below the meter's range, 0 within, '?' both at once. */
static char beyond(const struct measurement *m)
{
	struct vg_decimal ignored;
	enum vg_number number = vg_sfloat(m->word, &ignored);
	bool high = m->status & STATUS_HIGH || number == VG_NUMBER_POSITIVE;
	bool low = m->status & STATUS_LOW || number == VG_NUMBER_NEGATIVE;
	return high && low ? '?' : high ? '>' : low ? '<' : 0;
}

/* Why there is no result; NULL: there is one. */
static const char *failure(const struct measurement *m)
{
	static const char *const faults[] = {[1] = "sensor malfunction",
		[2] = "sample too small",
		[3] = "strip not inserted well",
		[4] = "wrong strip",
		[9] = "strip pulled out too early",
		[10] = "general fault"};
	struct vg_decimal ignored;
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (faults[i] && m->status & 1u << i)
			return faults[i];
	if (beyond(m) == '?')
		return "above and below the meter's range at once";
	if (!beyond(m) && vg_sfloat(m->word, &ignored) == VG_NUMBER_NONE)
		return "no concentration measured";
	return NULL;
}

/* Can the number be the limit of a meter? HI is above, LO below 10 mmol/L on all of them. */
static bool limit_likely(const struct measurement *m, char comparator, struct vg_decimal d)
{
	int64_t middle = m->flags & FLAG_MOLAR ? 1000000 : 180160, value = d.mantissa; /* 1e-8 */
	for (int i = -8; i < d.exponent; i++)
		value *= 10;
	return value > 0 && (comparator == '>' ? value >= middle : value <= middle);
}

/* The unit of an assumed limit. */
#define UNIT_MAX 16

/* False: off the scale, and no number to put beside it. */
static bool concentration_read(struct vg_session *s, const struct measurement *m, bool ketone,
	struct vg_quantity *q, char unit[static UNIT_MAX], bool *ret_assumed)
{
	bool number = vg_sfloat(m->word, &q->value) == VG_NUMBER && q->value.mantissa > 0;
	q->unit = m->flags & FLAG_MOLAR ? "mol/L" : "kg/L";
	q->comparator = beyond(m);
	*ret_assumed = false;
	if (!q->comparator || (number && (ketone || limit_likely(m, q->comparator, q->value))))
		return true;
	struct vg_text limit = vg_text_ended(vg_option(s, q->comparator == '>' ? "hi" : "lo"));
	*ret_assumed = true;
	q->unit = unit;
	return !ketone && vg_text_export(vg_text_field(limit, ' ', 2), unit, UNIT_MAX) &&
	       vg_text_decimal(vg_text_field(limit, ' ', 1), &q->value);
}

static const char *kind_of(const struct measurement *m, uint8_t meal)
{
	if (meal == MEAL_KETONE)
		return "ketone";
	if (m->type == TYPE_ISF)
		return "glu.isf";
	if (meal == MEAL_FASTING)
		return "glu.fasting";
	switch (m->type) {
	case 2:
		return "glu.capillary_plasma";
	case 4:
	case 6:
	case 8:
		return "glu.undetermined_plasma";
	}
	return "glu.random"; /* whole blood and reserved types */
}

#define FLAGS 5

static size_t flags_of(const struct measurement *m, bool assumed, const char *flags[static FLAGS])
{
	size_t n = 0;
	if (m->status & 1u << 0)
		flags[n++] = "battery_low";
	if (m->status & 1u << 7)
		flags[n++] = "strip_too_warm";
	if (m->status & 1u << 8)
		flags[n++] = "strip_too_cold";
	if (m->status & STATUS_TIME_FAULT || !offset_fits(m))
		flags[n++] = "time_fault";
	if (assumed)
		flags[n++] = "limit_assumed";
	return n;
}

/* telling */

/* What tells this measurement from any other of the meter; 0 bytes: it has no date. */
static size_t identity_of(
	const struct measurement *m, bool reverse, uint8_t out[static VG_DATE_TIME + 3])
{
	const uint8_t number[] = {(uint8_t)m->seq, (uint8_t)(m->seq >> 8)};
	const uint8_t value[] = {(uint8_t)m->word, (uint8_t)(m->word >> 8), m->type};
	if (!vg_date_known(&m->base))
		return 0;
	if (!reverse) {
		memcpy(out, number, sizeof(number));
		memcpy(out + sizeof(number), m->place.tag, VG_DATE_TIME);
		return sizeof(number) + VG_DATE_TIME;
	}
	memcpy(out, m->place.tag, VG_DATE_TIME);
	memcpy(out + VG_DATE_TIME, value, sizeof(value));
	return VG_DATE_TIME + sizeof(value);
}

static void tell_reading(struct vg_session *s, const struct measurement *m, struct context *c,
	const uint8_t *raw, size_t raw_len, enum vg_status status)
{
	static const char *const samples[] = {NULL, "capillary_whole_blood", "capillary_plasma",
		"venous_whole_blood", "venous_plasma", "arterial_whole_blood", "arterial_plasma",
		"whole_blood", "plasma", "interstitial_fluid"};
	static const char *const sites[] = {NULL, "finger", "alternate_site", "earlobe"};
	const struct glucose *g = vg_state(s);
	struct vg_quantity q = {.kind = kind_of(m, c->meal)};
	bool ketone = c->meal == MEAL_KETONE, assumed;
	char unit[UNIT_MAX];
	if (!concentration_read(s, m, ketone, &q, unit, &assumed)) {
		vg_rejected(
			s, VG_UNSUPPORTED, "off the meter's scale, and no number", raw, raw_len);
		return;
	}
	NOTE(c, "sample_type", samples, m->type);
	NOTE(c, "sample_site", sites, m->site);
	const char *flags[FLAGS];
	uint8_t identity[VG_DATE_TIME + 3];
	struct vg_civil taken = time_shown(m);
	struct vg_reading r = {
		.kind = ketone ? "lab" : "glucose",
		.taken = &taken,
		.user = -1,
		.seq = g->reverse ? -1 : m->seq,
		.status = status,
		.quantities = &q,
		.n_quantities = 1,
		.flags = flags,
		.n_flags = flags_of(m, assumed, flags),
		.notes = c->notes,
		.n_notes = c->n_notes,
		.identity = identity,
		.identity_len = identity_of(m, g->reverse, identity),
		.raw = raw,
		.raw_len = raw_len,
	};
	vg_reading(s, &r);
}

/* The number of a measurement or a context, where it says nothing of the record. */
static void unnumber(const struct glucose *g, uint8_t *bytes)
{
	if (g->reverse)
		bytes[1] = bytes[2] = 0;
}

/* A record of which there is a reading, with its context or (NULL) without. */
static void tell(struct vg_session *s, struct record *r, const uint8_t *context, size_t len)
{
	struct glucose *g = vg_state(s);
	struct measurement m;
	struct context c = {0};
	uint8_t raw[2 * BYTES];
	len = len < BYTES ? len : BYTES;
	memcpy(raw, r->bytes, r->len);
	unnumber(g, raw);
	if (context) {
		memcpy(raw + r->len, context, len);
		unnumber(g, raw + r->len);
		context_cut(context, len, &c);
	}
	measurement_cut(r->bytes, r->len, &m);
	tell_reading(
		s, &m, &c, raw, r->len + (context ? len : 0), context ? VG_CORRECTED : VG_FINAL);
	r->fate = TOLD;
	vg_racp_told(s, &g->racp, &m.place);
}

/* Nothing is waited for any longer. */
static void tell_held(struct vg_session *s)
{
	struct glucose *g = vg_state(s);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct record *r = &g->records[(g->next + i) % RECORDS];
		if (r->fate == HELD)
			tell(s, r, NULL, 0);
	}
}

/* Outside of a report the timer is ours: for a context, then for the end. */
static void rest(struct vg_session *s)
{
	const struct glucose *g = vg_state(s);
	bool held = false;
	if (g->excerpt || vg_racp_active(&g->racp))
		return;
	for (unsigned i = 0; i < RECORDS; i++)
		held |= g->records[i].fate == HELD;
	vg_timer(s, held ? CONTEXT_MS : QUIET_MS);
}

static void clock_set(struct vg_session *s)
{
	const struct glucose *g = vg_state(s);
	if (g->clock)
		vg_clock_send(s, g->clock, g->clock == CURRENT_TIME, CLOCK_OFF_S);
}

/* The clock is set when the memory was told, whose records are dated by the clock before. */
static void procedure_news(struct vg_session *s, enum vg_racp_news news)
{
	if (news == VG_RACP_DRAINED)
		clock_set(s);
	rest(s);
}

/* what comes in */

/* An event instead of a reading, when it is none; false: it is one. */
static bool no_reading(
	struct vg_session *s, const struct measurement *m, const uint8_t *bytes, size_t len)
{
	struct vg_event e = {.type = VG_EVENT_FAILED_MEASUREMENT, .detail = failure(m)};
	struct vg_decimal d = {0};
	if (m->type == TYPE_CONTROL || m->site == SITE_CONTROL)
		e = (struct vg_event){.type = VG_EVENT_CONTROL_SOLUTION};
	if (e.detail || e.type == VG_EVENT_CONTROL_SOLUTION) {
		vg_event(s, &e);
		vg_result(s, VG_NOTHING);
		return true;
	}
	if (beyond(m) || (vg_sfloat(m->word, &d) == VG_NUMBER && d.mantissa > 0))
		return false;
	vg_rejected(s, VG_IMPLAUSIBLE, "no concentration can be so", bytes, len);
	return true;
}

static struct record *record_put(
	struct vg_session *s, const uint8_t *bytes, size_t len, enum fate fate)
{
	struct glucose *g = vg_state(s);
	struct record *r = &g->records[g->next];
	g->next = (g->next + 1) % RECORDS;
	if (r->fate == HELD)
		tell(s, r, NULL, 0);
	r->fate = fate;
	r->len = (uint8_t)(len < BYTES ? len : BYTES);
	memcpy(r->bytes, bytes, r->len);
	return r;
}

/* Heard in this session already: a report that was repeated. NULL: not heard. */
static const struct record *known(const struct glucose *g, const uint8_t *bytes, size_t len)
{
	for (unsigned i = 0; i < RECORDS; i++) {
		const struct record *r = &g->records[i];
		if (r->fate != EMPTY && r->len == len && memcmp(r->bytes, bytes, len) == 0)
			return r;
	}
	return NULL;
}

static void measurement_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	struct glucose *g = vg_state(s);
	struct measurement m;
	bool good = measurement_cut(bytes, len, &m);
	vg_racp_came(s, &g->racp, good ? &m.place : NULL, now);
	if (!good) {
		vg_rejected(s, VG_MALFORMED, "measurement too short", bytes, len);
		return;
	}
	const struct record *again = known(g, bytes, len);
	if (again) {
		vg_result(s, VG_NOTHING);
		if (again->fate != HELD)
			vg_racp_told(s, &g->racp, &m.place);
		return;
	}
	if (no_reading(s, &m, bytes, len)) {
		record_put(s, bytes, len, NO_READING);
		vg_racp_told(s, &g->racp, &m.place);
		return;
	}
	bool wait = m.flags & FLAG_CONTEXT && !g->excerpt;
	struct record *r = record_put(s, bytes, len, wait ? HELD : TOLD);
	if (wait)
		vg_result(s, VG_NOTHING);
	else
		tell(s, r, NULL, 0);
}

static void context_heard(
	struct vg_session *s, const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	struct glucose *g = vg_state(s);
	struct context c;
	vg_racp_alive(s, &g->racp, now);
	if (!context_cut(bytes, len, &c)) {
		vg_rejected(s, VG_MALFORMED, "context too short", bytes, len);
		return;
	}
	for (unsigned i = 1; i <= RECORDS; i++) {
		struct record *r = &g->records[(g->next + RECORDS - i) % RECORDS];
		if (r->fate == EMPTY || (r->bytes[1] | r->bytes[2] << 8) != c.seq)
			continue;
		if (r->fate == NO_READING)
			vg_result(s, VG_NOTHING);
		else
			tell(s, r, bytes, len);
		return;
	}
	vg_rejected(s, VG_OUT_OF_SEQUENCE, "context without its measurement", bytes, len);
}

static void bt_glucose_opened(struct vg_session *s, bool excerpt)
{
	struct glucose *g = vg_state(s);
	g->excerpt = excerpt;
	g->reverse = vg_text_is(vg_text_ended(vg_option(s, "order")), "reverse");
	if (!excerpt)
		vg_racp_begin(s, &g->racp,
			&(struct vg_racp_plan){.channel = RACP,
				.mark = g->reverse ? NULL : "records",
				.filter = 1});
}

static void bt_glucose_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes,
	size_t len, const struct vg_now *now)
{
	struct glucose *g = vg_state(s);
	switch (channel) {
	case MEASUREMENT:
		measurement_heard(s, bytes, len, now);
		rest(s);
		break;
	case CONTEXT:
		context_heard(s, bytes, len, now);
		rest(s);
		break;
	case RACP:
		tell_held(s);
		procedure_news(s, vg_racp_heard(s, &g->racp, bytes, len, now));
		break;
	case CURRENT_TIME:
	case DATE_TIME:
		if (vg_clock_heard(s, bytes, len) && !g->clock)
			g->clock = channel;
		break;
	case BATTERY:
		vg_battery_heard(s, bytes, len);
		break;
	default:
		vg_result(s, len < 2 ? VG_MALFORMED : VG_NOTHING);
	}
}

static void bt_glucose_expired(struct vg_session *s, const struct vg_now *now)
{
	(void)now;
	struct glucose *g = vg_state(s);
	bool quiet = true;
	for (unsigned i = 0; i < RECORDS; i++)
		quiet &= g->records[i].fate != HELD;
	tell_held(s);
	if (vg_racp_active(&g->racp))
		procedure_news(s, vg_racp_expired(s, &g->racp));
	else if (quiet)
		vg_done(s, g->racp.why ? g->racp.why : "nothing more came");
	else
		rest(s);
}

static void bt_glucose_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	(void)now;
	struct glucose *g = vg_state(s);
	if (channel == RACP)
		procedure_news(s, vg_racp_denied(s, &g->racp, code));
	else
		vg_clock_denied(s, code);
}

static void bt_glucose_kept(struct vg_session *s, vg_ticket ticket)
{
	vg_racp_kept(s, &((struct glucose *)vg_state(s))->racp, ticket);
}

static void bt_glucose_refused(struct vg_session *s, vg_ticket ticket, int why)
{
	(void)ticket, (void)why;
	vg_done(s, "could not store");
}

static const char *const orders[] = {"forward", "reverse", NULL};

static const struct vg_option options[] = {
	{.name = "order",
		.fallback = "forward",
		.choices = orders,
		.help = "reverse: the meter's newest record is number 1"},
	{.name = "hi", .fallback = "27.8 mmol/L", .help = "what HI without a number lies above"},
	{.name = "lo", .fallback = "1.1 mmol/L", .help = "what LO without a number lies below"},
	VG_CLOCK_OPTION,
};

#define PRESS_MENU "switch Bluetooth pairing on in its menu"
#define PRESS_MENU_ZH "在菜单中打开蓝牙配对"

/* Names as advertised (recalled, but for "meter+"). */
static const struct vg_model models[] = {
	{.title = "Accu-Chek Guide, Guide Me, Instant",
		.title_zh = "罗氏 Accu-Chek Guide / Guide Me / Instant(智航、逸智)",
		.name = "meter+",
		.press = "Settings, Wireless, Pairing; then type the six digits that it shows or "
			 "that are printed on its back",
		.press_zh = "设置、无线、配对；再输入屏幕上或背面印的六位数字",
		.pairing = true},
	{.title = "Contour (Ascensia)",
		.title_zh = "拜安进 Contour",
		.name = "Contour",
		.press = "off: hold the middle button until the blue light blinks",
		.press_zh = "关机状态下长按中间键，直到蓝灯闪烁",
		.pairing = true},
	{.title = "CareSens (i-SENS)",
		.title_zh = "爱森斯 CareSens",
		.name = "CareSens",
		.press = PRESS_MENU,
		.press_zh = PRESS_MENU_ZH,
		.pairing = true},
	{.title = "TaiDoc",
		.title_zh = "泰博 TaiDoc",
		.name = "TAIDOC",
		.service16 = 0x1808,
		.press = PRESS_MENU ", or hold its main button until the Bluetooth sign blinks",
		.press_zh = PRESS_MENU_ZH "，或长按主键直到蓝牙符号闪烁",
		.pairing = true,
		.options = "order=reverse"},
	{.title = "FORA",
		.title_zh = "福尔 FORA",
		.name = "FORA",
		.service16 = 0x1808,
		.press = PRESS_MENU ", or hold its main button until the Bluetooth sign blinks",
		.press_zh = PRESS_MENU_ZH "，或长按主键直到蓝牙符号闪烁",
		.pairing = true,
		.options = "order=reverse"},
	{.title = "Diamond",
		.title_zh = "Diamond 血糖仪",
		.name = "DIAMOND",
		.service16 = 0x1808,
		.press = PRESS_MENU ", or hold its main button until the Bluetooth sign blinks",
		.press_zh = PRESS_MENU_ZH "，或长按主键直到蓝牙符号闪烁",
		.pairing = true,
		.options = "order=reverse"},
	{.title = "Yuwell glucose meter",
		.title_zh = "鱼跃血糖仪",
		.name = "Yuwell",
		.service16 = 0x1808,
		.press = "switch it on; it connects after a measurement or with Bluetooth on",
		.press_zh = "开机；测量后或打开蓝牙后即可连接",
		.pairing = true},
	{.title = "Bluetooth glucose meter",
		.title_zh = "蓝牙血糖仪",
		.service16 = 0x1808,
		.press = PRESS_MENU,
		.press_zh = PRESS_MENU_ZH,
		.pairing = true},
};

const struct vg_driver bt_glucose = {
	.name = "bt_glucose",
	.version = 1,
	.title = "Bluetooth glucose meter",
	.title_zh = "蓝牙血糖仪",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct glucose),
	.opened = bt_glucose_opened,
	.heard = bt_glucose_heard,
	.expired = bt_glucose_expired,
	.denied = bt_glucose_denied,
	.kept = bt_glucose_kept,
	.refused = bt_glucose_refused,
};
