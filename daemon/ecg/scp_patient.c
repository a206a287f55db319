/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Section 1 of SCP-ECG: who, when, with what. `u8 tag | u16 length | value`, ended by tag 255. */
#include "scp.h"

enum {
	TAG_LAST_NAME = 0,
	TAG_FIRST_NAME = 1,
	TAG_ID = 2,
	TAG_AGE = 4,
	TAG_BIRTH = 5,
	TAG_HEIGHT = 6,
	TAG_WEIGHT = 7,
	TAG_SEX = 8,
	TAG_DEVICE = 14,
	TAG_URGENCY = 24,
	TAG_DATE = 25,
	TAG_TIME = 26,
	TAG_HIGH_PASS = 27,
	TAG_LOW_PASS = 28,
	TAG_FILTERS = 29,
	TAG_ZONE = 34,
	TAG_END = 255,
};

/* The first value of each tag; bytes NULL: there is none. */
struct tags {
	struct value {
		const uint8_t *bytes;
		size_t len;
	} of[256];
};

static void read_tags(struct scp *s, struct tags *t)
{
	struct buf b = buf_of(s->sections[1].body, s->sections[1].len);
	while (buf_left(&b)) {
		bool last = buf_left(&b) == 1;
		uint8_t tag = buf_u8(&b);
		if (tag == TAG_END || (last && tag == 0)) /* a zero makes the length even */
			return;
		size_t len = buf_le16(&b);
		const uint8_t *bytes = buf_bytes(&b, len);
		if (!bytes) {
			ecg_warn(s->e, "section1_cut", NULL);
			return;
		}
		if (!t->of[tag].bytes)
			t->of[tag] = (struct value){bytes, len};
	}
}

/* False: the value is not there or has fewer bytes than `least`. */
static bool value_of(const struct tags *t, unsigned tag, size_t least, struct buf *ret)
{
	const struct value *v = &t->of[tag];
	if (!v->bytes || v->len < least)
		return false;
	*ret = buf_of(v->bytes, v->len);
	return true;
}

static void text_of(struct scp *s, const struct tags *t, unsigned tag, char *out)
{
	const struct value *v = &t->of[tag];
	if (v->bytes)
		scp_text(s, out, ECG_TEXT_MAX, v->bytes, v->len);
}

/* u16 value | u8 unit, which counts from 1. */
static void amount_of(const struct tags *t, unsigned tag, const char *const *units, unsigned n,
	int32_t least, struct ecg_amount *ret)
{
	struct buf b;
	if (!value_of(t, tag, 3, &b))
		return;
	int32_t value = buf_le16(&b);
	unsigned unit = buf_u8(&b);
	if (value >= least && unit >= 1 && unit <= n)
		*ret = (struct ecg_amount){.value = value, .unit = units[unit - 1]};
}

static void person(struct scp *s, const struct tags *t)
{
	static const char *const ages[] = {"a", "mo", "wk", "d", "h"};
	static const char *const heights[] = {"cm", "[in_i]", "mm"};
	static const char *const weights[] = {"kg", "g", "[lb_av]", "[oz_av]"};
	struct ecg *e = s->e;
	struct buf b;
	text_of(s, t, TAG_ID, e->id);
	text_of(s, t, TAG_LAST_NAME, e->last_name);
	text_of(s, t, TAG_FIRST_NAME, e->first_name);
	amount_of(t, TAG_AGE, ages, ELEMENTS(ages), 0, &e->age);
	amount_of(t, TAG_HEIGHT, heights, ELEMENTS(heights), 1, &e->height);
	amount_of(t, TAG_WEIGHT, weights, ELEMENTS(weights), 1, &e->weight);
	if (value_of(t, TAG_SEX, 1, &b)) {
		uint8_t sex = buf_u8(&b);
		e->sex = sex == 1 ? 'M' : sex == 2 ? 'F' : 0;
	}
	if (value_of(t, TAG_BIRTH, 4, &b)) {
		struct vg_civil birth = {.year = buf_le16(&b)};
		birth.month = buf_u8(&b);
		birth.day = buf_u8(&b);
		if (ecg_date_exists(&birth, 1850, 2200))
			e->birth = birth;
	}
	if (value_of(t, TAG_URGENCY, 1, &b))
		e->urgency = buf_u8(&b);
}

static void acquisition(struct scp *s, const struct tags *t)
{
	struct ecg *e = s->e;
	struct vg_civil c = {0};
	struct buf date, time, zone;
	if (value_of(t, TAG_DATE, 4, &date) && value_of(t, TAG_TIME, 3, &time)) {
		c.year = buf_le16(&date);
		c.month = buf_u8(&date);
		c.day = buf_u8(&date);
		c.hour = buf_u8(&time);
		c.minute = buf_u8(&time);
		c.second = buf_u8(&time);
	}
	if (ecg_date_exists(&c, 1980, 2200) && ecg_time_exists(&c))
		e->acquired = c;
	else
		ecg_warn(e, "bad_date", NULL);
	if (value_of(t, TAG_ZONE, 2, &zone)) {
		int32_t minutes = (int16_t)buf_le16(&zone);
		if (minutes >= -12 * 60 && minutes <= 14 * 60)
			e->tz_min = minutes;
	}
}

static void filters(struct ecg *e, const struct tags *t)
{
	struct buf b;
	if (value_of(t, TAG_HIGH_PASS, 2, &b))
		e->high_pass_mhz = buf_le16(&b) * 10;
	if (value_of(t, TAG_LOW_PASS, 2, &b)) {
		uint16_t hz = buf_le16(&b);
		e->low_pass_hz = hz ? hz : ECG_ABSENT;
	}
	if (value_of(t, TAG_FILTERS, 1, &b)) {
		uint8_t bits = buf_u8(&b);
		e->notch_hz = bits & 2 ? 50 : bits & 1 ? 60 : ECG_ABSENT;
		e->artifact_filter = bits & 4;
		e->baseline_filter = bits & 8;
	}
}

/* The strings behind the fixed part of tag 14. Byte 35, the length of the first, is not needed:
 * each ends with NUL. */
static void device_strings(struct scp *s, struct buf b)
{
	struct ecg *e = s->e;
	char unused[ECG_TEXT_MAX];
	char *const texts[] = {
		unused /* program */, e->serial, e->software, unused /* SCP */, e->manufacturer};
	for (size_t i = 0; i < ELEMENTS(texts) && buf_left(&b); i++) {
		size_t len = strnlen((const char *)b.at, buf_left(&b));
		if (texts[i] != unused)
			scp_text(s, texts[i], ECG_TEXT_MAX, b.at, len);
		buf_bytes(&b, MIN(len + 1, buf_left(&b)));
	}
}

/*
 * Tag 14: u16 institution, department, device | u8 type | u8 manufacturer | 6 model | u8 protocol |
 * u8 compatibility | u8 language | u8 capabilities | u8 mains | 16 reserved | u8 length of the
 * first string | strings.
 */
static void device(struct scp *s, const struct tags *t)
{
	static const char *const manufacturers[] = {[1] = "Burdick",
		"Cambridge",
		"Compumed",
		"Datamed",
		"Fukuda",
		"HP",
		"Marquette",
		"Mortara",
		"Nihon Kohden",
		"Okin",
		"Quinton",
		"Siemens",
		"Spacelabs",
		"Telemed",
		"Hellige",
		"Esaote",
		"Schiller",
		"Picker-Schwarzer",
		"Elettronica Trentina",
		"Zwonitz"};
	struct ecg *e = s->e;
	struct buf b;
	if (!value_of(t, TAG_DEVICE, 19, &b))
		return;
	buf_bytes(&b, 7);
	uint8_t code = buf_u8(&b);
	const uint8_t *model = buf_bytes(&b, 6);
	buf_bytes(&b, 2);
	s->language = buf_u8(&b);
	buf_bytes(&b, 1);
	uint8_t mains = buf_u8(&b);
	scp_text(s, e->model, sizeof(e->model), model, strnlen((const char *)model, 6));
	e->mains_hz = mains == 1 ? 50 : mains == 2 ? 60 : ECG_ABSENT;
	if (buf_bytes(&b, 17))
		device_strings(s, b);
	const char *known = code < ELEMENTS(manufacturers) ? manufacturers[code] : NULL;
	if (!*e->manufacturer && known)
		text_copy(e->manufacturer, sizeof(e->manufacturer), known, strlen(known));
}

void scp_patient(struct scp *s)
{
	struct tags t = {0};
	read_tags(s, &t);
	device(s, &t); /* has the charset of the others */
	person(s, &t);
	acquisition(s, &t);
	filters(s->e, &t);
}
