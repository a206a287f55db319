/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an aECG says beside the leads. A place is known by its element and those around it; what an
 * annotation, a control variable or an observation is, by its <code>. Of what is said twice the first counts.
 *
 *   id       trialSubject/id, else subjectDemographicPerson/id, the first that is not empty
 *   name     family and given; without them the text of <name>
 *   age      LOINC 21612-7 in a, mo, wk, d, h
 *   time     of the series low, value, center; then the same of the root; to the minute at least
 *   filters  controlVariable FILTER_x > component > controlVariable x_FREQ in Hz
 *
 * Codes and units: HL7 aECG Implementation Guide; ISO 11073-10102 (MDC_); "bpm" and the like are seen in files.
 */
#include "aecg.h"

#include "stamp.h"

enum code {
	CODE_NONE,
	CODE_HR,
	CODE_RR,
	CODE_P,
	CODE_PR,
	CODE_QRS,
	CODE_QT,
	CODE_QTC,
	CODE_P_AXIS,
	CODE_QRS_AXIS,
	CODE_T_AXIS,
	CODE_STATEMENT,
	CODE_LOW_PASS,
	CODE_HIGH_PASS,
	CODE_NOTCH,
	CODE_CUTOFF,
	CODE_NOTCH_HZ,
	CODE_AGE,
};

/* A unit and what its number is times 10^shift. */
struct unit {
	const char *name;
	int shift;
};

static enum code code_of(const char *text)
{
	static const struct {
		const char *text;
		enum code code;
	} codes[] = {
		{"MDC_ECG_HEART_RATE", CODE_HR}, {"MDC_ECG_TIME_PD_RR", CODE_RR},
		{"MDC_ECG_TIME_PD_P", CODE_P}, {"MDC_ECG_TIME_PD_PR", CODE_PR},
		{"MDC_ECG_TIME_PD_QRS", CODE_QRS}, {"MDC_ECG_TIME_PD_QT", CODE_QT},
		{"MDC_ECG_TIME_PD_QTc", CODE_QTC}, {"MDC_ECG_TIME_PD_QTC", CODE_QTC},
		{"MDC_ECG_ANGLE_P_FRONT", CODE_P_AXIS}, {"MDC_ECG_ANGLE_QRS_FRONT", CODE_QRS_AXIS},
		{"MDC_ECG_ANGLE_T_FRONT", CODE_T_AXIS},
		{"MDC_ECG_INTERPRETATION_STATEMENT", CODE_STATEMENT},
		{"MDC_ECG_CTL_VBL_ATTR_FILTER_LOW_PASS", CODE_LOW_PASS},
		{"MDC_ECG_CTL_VBL_ATTR_FILTER_HIGH_PASS", CODE_HIGH_PASS},
		{"MDC_ECG_CTL_VBL_ATTR_FILTER_NOTCH", CODE_NOTCH},
		{"MDC_ECG_CTL_VBL_ATTR_FILTER_CUTOFF_FREQ", CODE_CUTOFF},
		{"MDC_ECG_CTL_VBL_ATTR_FILTER_NOTCH_FREQ", CODE_NOTCH_HZ},
		{"21612-7", CODE_AGE}, /* LOINC: reported age */
	};
	for (size_t i = 0; i < ELEMENTS(codes); i++)
		if (streq(codes[i].text, text))
			return codes[i].code;
	return CODE_NONE;
}

/* The value of a quantity in `units`, times 10^shift; false: none, or another unit. */
static bool quantity(
	const char **attributes, const struct unit *units, size_t n_units, int shift, int64_t *ret)
{
	const char *value = aecg_attribute(attributes, "value");
	const char *unit = aecg_attribute(attributes, "unit");
	for (size_t i = 0; value && unit && i < n_units; i++)
		if (streq(units[i].name, unit))
			return aecg_decimal(value, shift + units[i].shift, ret);
	return false;
}

/* --- measurements */

static void measurement(struct ecg *e, enum code code, const char **attributes)
{
	static const struct unit rates[] = {
		{"bpm", 0}, {"/min", 0}, {"1/min", 0}, {"{beats}/min", 0}, {"{beat}/min", 0}};
	static const struct unit times[] = {{"ms", 0}, {"s", 3}, {"us", -3}};
	static const struct unit angles[] = {{"deg", 0}};
	const struct {
		enum code code;
		int32_t *number, least, most;
		const struct unit *units;
		size_t n_units;
	} all[] = {
		{CODE_HR, &e->hr, 1, 499, rates, ELEMENTS(rates)},
		{CODE_RR, &e->rr, 1, 19998, times, ELEMENTS(times)},
		{CODE_P, &e->p, 1, 2000, times, ELEMENTS(times)},
		{CODE_PR, &e->pr, 1, 2000, times, ELEMENTS(times)},
		{CODE_QRS, &e->qrs, 1, 2000, times, ELEMENTS(times)},
		{CODE_QT, &e->qt, 1, 2000, times, ELEMENTS(times)},
		{CODE_QTC, &e->qtc, 1, 2000, times, ELEMENTS(times)},
		{CODE_P_AXIS, &e->p_axis, -360, 360, angles, ELEMENTS(angles)},
		{CODE_QRS_AXIS, &e->qrs_axis, -360, 360, angles, ELEMENTS(angles)},
		{CODE_T_AXIS, &e->t_axis, -360, 360, angles, ELEMENTS(angles)},
	};
	int64_t value;
	for (size_t i = 0; i < ELEMENTS(all); i++)
		if (all[i].code == code && *all[i].number == ECG_ABSENT &&
			quantity(attributes, all[i].units, all[i].n_units, 0, &value) &&
			value >= all[i].least && value <= all[i].most)
			*all[i].number = (int32_t)value;
}

/* controlVariable of the filter > component > controlVariable of the frequency > value */
static void filter(struct aecg *a, enum code frequency, const char **attributes)
{
	static const struct unit hertz[] = {{"Hz", 0}};
	struct ecg *e = a->e;
	enum code kind = a->depth > 3 ? a->frames[a->depth - 3].code : CODE_NONE;
	int32_t *number = kind == CODE_LOW_PASS && frequency == CODE_CUTOFF    ? &e->low_pass_hz
			  : kind == CODE_HIGH_PASS && frequency == CODE_CUTOFF ? &e->high_pass_mhz
			  : kind == CODE_NOTCH && frequency == CODE_NOTCH_HZ   ? &e->notch_hz
									       : NULL;
	int64_t value;
	if (number && *number == ECG_ABSENT &&
		quantity(attributes, hertz, 1, kind == CODE_HIGH_PASS ? 3 : 0, &value) &&
		value >= (kind != CODE_HIGH_PASS) && value <= 100000)
		*number = (int32_t)value;
}

static void age(struct ecg *e, const char **attributes)
{
	static const char *const units[] = {"a", "mo", "wk", "d", "h"}; /* UCUM */
	const char *value = aecg_attribute(attributes, "value");
	const char *unit = aecg_attribute(attributes, "unit");
	int64_t number;
	for (size_t i = 0; value && unit && i < ELEMENTS(units); i++)
		if (streq(units[i], unit) && e->age.value == ECG_ABSENT &&
			aecg_decimal(value, 0, &number) && number >= 0 && number <= UINT16_MAX)
			e->age = (struct ecg_amount){(int32_t)number, units[i]};
}

/* --- times */

/* The best of the places where the time of the recording may stand. */
static void acquired(
	struct aecg *a, enum aecg_element around, unsigned good, const char **attributes)
{
	const char *text = aecg_attribute(attributes, "value");
	unsigned rank = around == EL_SERIES ? good + 10 : around == EL_ROOT ? good : 0;
	struct vg_civil civil;
	int32_t tz_min;
	if (!text || rank <= a->time_rank || stamp_read(text, &civil, &tz_min) < STAMP_MINUTE ||
		!ecg_date_exists(&civil, 1980, 2200) || !ecg_time_exists(&civil))
		return;
	a->time_rank = rank;
	a->e->acquired = civil;
	a->e->tz_min = tz_min;
}

static void birth(struct ecg *e, const char *text)
{
	struct vg_civil c;
	int32_t tz_min;
	if (text && !e->birth.year && stamp_read(text, &c, &tz_min) >= STAMP_DAY &&
		ecg_date_exists(&c, 1850, 2200))
		e->birth = (struct vg_civil){.year = c.year, .month = c.month, .day = c.day};
}

static void activity(struct aecg *a, const char *text)
{
	struct vg_civil civil;
	int32_t tz_min;
	if (text && stamp_read(text, &civil, &tz_min) >= STAMP_MINUTE &&
		ecg_date_exists(&civil, 1980, 2200) && ecg_time_exists(&civil))
		a->activity = civil;
}

/* --- texts */

static void copy_text(char out[static ECG_TEXT_MAX], const char *text, size_t len)
{
	char clean[ECG_TEXT_MAX];
	ecg_text(clean, sizeof(clean), (const uint8_t *)text, len, CHARSET_UTF8);
	if (*clean && !*out)
		memcpy(out, clean, sizeof(clean));
}

/* Text of the element without the part of a character that a full buffer has left at its end. */
static size_t whole_characters(const struct aecg *a)
{
	size_t n = 0;
	while (n < a->text_len) {
		size_t step = utf8_length(a->text + n, a->text_len - n);
		if (!step)
			break;
		n += step;
	}
	return n;
}

static void subject_id(struct aecg *a, const char *text)
{
	unsigned rank = aecg_above(a, 1) == EL_TRIAL_SUBJECT ? 2
			: aecg_above(a, 1) == EL_PERSON	     ? 1
							     : 0;
	char clean[ECG_TEXT_MAX];
	if (!text || rank <= a->id_rank)
		return;
	ecg_text(clean, sizeof(clean), (const uint8_t *)text, strlen(text), CHARSET_UTF8);
	if (!*clean)
		return;
	memcpy(a->e->id, clean, sizeof(clean));
	a->id_rank = rank;
}

static void statement(struct aecg *a)
{
	struct ecg *e = a->e;
	char clean[ECG_TEXT_MAX];
	ecg_text(clean, sizeof(clean), (const uint8_t *)a->text, whole_characters(a), CHARSET_UTF8);
	if (!*clean)
		return;
	if (!e->status) {
		e->status = "original";
		e->interpreted = a->activity;
	}
	ecg_add_line(e, NULL, clean);
}

/* --- places */

static void value_start(struct aecg *a, const char **attributes)
{
	enum code code = a->frames[a->depth - 1].code;
	if (aecg_above(a, 1) == EL_ANNOTATION)
		measurement(a->e, code, attributes);
	else if (aecg_above(a, 1) == EL_CONTROL)
		filter(a, code, attributes);
	else if (aecg_above(a, 1) == EL_OBSERVATION && code == CODE_AGE)
		age(a->e, attributes);
}

void aecg_data_start(struct aecg *a, const char **attributes)
{
	struct ecg *e = a->e;
	enum aecg_element parent = aecg_above(a, 1);
	const char *code = aecg_attribute(attributes, "code");
	switch (aecg_above(a, 0)) {
	case EL_CODE:
		a->frames[a->depth - 1].code = (uint8_t)(code ? code_of(code) : CODE_NONE);
		break;
	case EL_VALUE:
		value_start(a, attributes);
		break;
	case EL_EFFECTIVE_TIME:
		acquired(a, parent, 2, attributes);
		break;
	case EL_LOW:
		if (parent == EL_EFFECTIVE_TIME)
			acquired(a, aecg_above(a, 2), 3, attributes);
		break;
	case EL_CENTER:
		if (parent == EL_EFFECTIVE_TIME)
			acquired(a, aecg_above(a, 2), 1, attributes);
		break;
	case EL_ANNOTATION_SET:
		a->activity = (struct vg_civil){0};
		break;
	case EL_ACTIVITY_TIME:
		if (parent == EL_ANNOTATION_SET)
			activity(a, aecg_attribute(attributes, "value"));
		break;
	case EL_ID:
		subject_id(a, aecg_attribute(attributes, "extension"));
		break;
	case EL_GENDER:
		if (parent == EL_PERSON && code && !e->sex &&
			(streq(code, "M") || streq(code, "F")))
			e->sex = code[0];
		break;
	case EL_BIRTH:
		if (parent == EL_PERSON)
			birth(e, aecg_attribute(attributes, "value"));
		break;
	default:
		break;
	}
}

void aecg_data_end(struct aecg *a)
{
	struct ecg *e = a->e;
	enum aecg_element element = aecg_above(a, 0), parent = aecg_above(a, 1);
	size_t len = whole_characters(a);
	if (parent == EL_DEVICE && element == EL_MODEL)
		copy_text(e->model, a->text, len);
	else if (parent == EL_DEVICE && element == EL_SOFTWARE)
		copy_text(e->software, a->text, len);
	else if (parent == EL_DEVICE && element == EL_SERIAL)
		copy_text(e->serial, a->text, len);
	else if (parent == EL_ORGANIZATION && element == EL_NAME &&
		 aecg_above(a, 2) == EL_SERIES_AUTHOR)
		copy_text(e->manufacturer, a->text, len);
	else if (parent == EL_PERSON && element == EL_NAME)
		copy_text(e->last_name, a->text, len);
	else if (parent == EL_NAME && aecg_above(a, 2) == EL_PERSON && element == EL_FAMILY)
		copy_text(e->last_name, a->text, len);
	else if (parent == EL_NAME && aecg_above(a, 2) == EL_PERSON && element == EL_GIVEN)
		copy_text(e->first_name, a->text, len);
	else if (parent == EL_ANNOTATION && element == EL_VALUE &&
		 a->frames[a->depth - 1].code == CODE_STATEMENT)
		statement(a);
}
