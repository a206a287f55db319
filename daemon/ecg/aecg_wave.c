/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The leads of an aECG: a set of sequences of equal length, one of them the time base (head and increment),
 * the others leads: origin + scale * digits. The time base stands before its leads. Left out are a
 * lead of another interval than the first, one whose name was there before, one without a scale.
 */
#include "aecg.h"

#define INTERVAL_MIN_NS INT64_C(1000)	    /* 1 MHz */
#define INTERVAL_MAX_NS INT64_C(1000000000) /* 1 Hz */
#define SCALE_MAX_PV INT64_C(1000000000000) /* 1 V */
#define VALUE_MAX INT64_C(1000000000)	    /* of digits: beyond every limit that follows */
#define FIRST_ROOM 4096

/* The number of a quantity, and its unit as a power of ten. NULL: none, or another unit. */
static const char *quantity(const char **attributes, const char *const *units, const int *shifts,
	size_t n_units, int *ret_shift)
{
	const char *value = aecg_attribute(attributes, "value");
	const char *unit = aecg_attribute(attributes, "unit");
	for (size_t i = 0; value && unit && i < n_units; i++)
		if (streq(units[i], unit)) {
			*ret_shift = shifts[i];
			return value;
		}
	return NULL;
}

/* Exactly, and rounded. */
static bool picovolts(const char **attributes, struct aecg_number *ret, int64_t *ret_pv)
{
	static const char *const units[] = {"uV", "mV", "nV", "V"};
	static const int shifts[] = {6, 9, 3, 12};
	int shift;
	const char *value = quantity(attributes, units, shifts, ELEMENTS(units), &shift);
	if (!value || !aecg_number(value, ret) || !aecg_decimal(value, shift, ret_pv))
		return false;
	ret->exponent += shift;
	return true;
}

static void increment(struct aecg *a, const char **attributes)
{
	static const char *const units[] = {"s", "ms", "us"};
	static const int shifts[] = {9, 6, 3};
	int64_t ns;
	int shift;
	const char *value = quantity(attributes, units, shifts, ELEMENTS(units), &shift);
	if (!value || !aecg_decimal(value, shift, &ns) || ns < INTERVAL_MIN_NS ||
		ns > INTERVAL_MAX_NS) {
		ecg_warn(a->e, "interval", NULL);
		return;
	}
	a->wave.interval_ns = ns;
	if (!a->e->n_leads)
		a->e->interval_ns = ns;
}

/* MDC_ECG_LEAD_AVR, also _aVR and names of makers: MORTARA_ECG_LEAD_TEA. */
static void lead_name(char out[static 16], const char *code)
{
	static const char marker[] = "_ECG_LEAD_";
	static const char *const known[][2] = {
		{"AVR", "aVR"}, {"AVL", "aVL"}, {"AVF", "aVF"}, {"AVRNEG", "-aVR"}};
	const char *found = strstr(code, marker);
	*out = 0;
	if (!found)
		return;
	const char *name = found + strlen(marker);
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (strcasecmp(name, known[i][0]) == 0)
			name = known[i][1];
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	if (n && !name[n])
		text_copy(out, 16, name, n);
	else
		text_copy(out, 16, "lead", 4);
}

static void sequence_start(struct aecg_wave *w)
{
	w->timed = false;
	w->lead[0] = 0;
	w->scale_pv = 0;
	w->origin_known = true;
	w->origin = (struct aecg_number){0};
	w->n = 0;
	w->ended = false;
}

void aecg_wave_start(struct aecg *a, const char **attributes)
{
	struct aecg_wave *w = &a->wave;
	enum aecg_element element = aecg_above(a, 0), parent = aecg_above(a, 1);
	int64_t pv;
	bool of_value = parent == EL_VALUE && aecg_above(a, 2) == EL_SEQUENCE;
	const char *code;
	if (element == EL_SEQUENCE_SET)
		w->interval_ns = 0;
	else if (element == EL_SEQUENCE)
		sequence_start(w);
	else if (element == EL_CODE && parent == EL_SEQUENCE) {
		code = aecg_attribute(attributes, "code");
		lead_name(w->lead, code ? code : "");
		w->timed = code && (streq(code, "TIME_ABSOLUTE") || streq(code, "TIME_RELATIVE"));
	} else if (of_value && element == EL_INCREMENT && w->timed)
		increment(a, attributes);
	else if (of_value && element == EL_SCALE && !picovolts(attributes, &w->scale, &w->scale_pv))
		w->scale_pv = 0;
	else if (of_value && element == EL_ORIGIN)
		w->origin_known = picovolts(attributes, &w->origin, &pv);
	else if (of_value && element == EL_DIGITS) {
		w->n = 0;
		w->digit = w->sign = w->negative = false;
		w->value = 0;
	}
}

static bool more_room(struct aecg_wave *w)
{
	uint32_t room = w->room ? w->room * 2 : FIRST_ROOM;
	int32_t *samples = realloc(w->samples, room * sizeof(*samples));
	if (!samples)
		return false;
	w->samples = samples;
	w->room = room;
	return true;
}

/* A number is at its end. */
static void settle(struct aecg *a)
{
	struct aecg_wave *w = &a->wave;
	if (w->ended || !w->digit) {
		w->ended = w->ended || w->sign;
		return;
	}
	if (w->n == ECG_LEAD_SAMPLES_MAX) {
		ecg_warn(a->e, "too_many_samples", w->lead);
		w->ended = true;
	} else if (w->n == w->room && !more_room(w)) {
		a->e->failed = true;
		w->ended = true;
	} else {
		w->samples[w->n++] = (int32_t)(w->negative ? -w->value : w->value);
	}
	w->digit = w->sign = w->negative = false;
	w->value = 0;
}

void aecg_wave_text(struct aecg *a, const char *text, size_t len)
{
	struct aecg_wave *w = &a->wave;
	for (size_t i = 0; i < len && !w->ended; i++) {
		char c = text[i];
		if (c >= '0' && c <= '9') {
			w->value = MIN(w->value * 10 + (c - '0'), VALUE_MAX);
			w->digit = true;
		} else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
			settle(a);
		} else if ((c == '-' || c == '+') && !w->sign && !w->digit) {
			w->sign = true;
			w->negative = c == '-';
		} else {
			w->ended = true; /* neither this number nor what follows */
		}
	}
}

/* a / b where that is a whole number which a sample can be: as the file writes them, for what is printed of
 * a scale is rounded (4.8828125 uV). */
static bool whole_ratio(const struct aecg_number *a, const struct aecg_number *b, int64_t *ret)
{
	/* Both begin with 18 digits at most and stop growing when the answer is known: no overflow. */
	__int128 up = llabs(a->mantissa), down = llabs(b->mantissa);
	const __int128 most = down * ECG_SAMPLE_LIMIT;
	int places = a->exponent - b->exponent;
	*ret = 0;
	if (up == 0)
		return true;
	if (down == 0 || a->cut || b->cut)
		return false;
	for (; places > 0 && up <= most; places--)
		up *= 10;
	for (; places < 0 && down <= up; places++)
		down *= 10;
	if (places || up % down || up / down > ECG_SAMPLE_LIMIT)
		return false;
	*ret = (int64_t)((a->mantissa < 0) == (b->mantissa < 0) ? up / down : -(up / down));
	return true;
}

/* Digits that the origin is worth. What is no whole number of them is left out: where zero lies says nothing
 * about the heart. */
static int64_t shift_of(struct aecg *a)
{
	struct aecg_wave *w = &a->wave;
	int64_t shift = 0;
	if (!w->origin_known || !whole_ratio(&w->origin, &w->scale, &shift))
		ecg_warn(a->e, "origin", w->lead);
	return shift;
}

static bool known_lead(const struct ecg *e, const char *name)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		if (streq(e->leads[i].name, name))
			return true;
	return false;
}

static void fill(struct aecg *a, struct ecg_lead *lead)
{
	struct aecg_wave *w = &a->wave;
	int64_t shift = shift_of(a);
	lead->truncated = w->ended;
	for (; lead->n < w->n; lead->n++) {
		int64_t value = w->samples[lead->n] + shift;
		if (llabs(value) > ECG_SAMPLE_LIMIT) {
			ecg_warn(a->e, "sample_range", lead->name);
			lead->truncated = true;
			return;
		}
		lead->samples[lead->n] = (int32_t)value;
	}
}

/* All that is said of the sequence is known: it becomes a lead. */
static void sequence_end(struct aecg *a)
{
	struct aecg_wave *w = &a->wave;
	struct ecg *e = a->e;
	if (!w->lead[0])
		return;
	if (known_lead(e, w->lead)) {
		ecg_warn(e, "lead_twice", w->lead);
		return;
	}
	if (w->interval_ns != e->interval_ns) { /* it cannot stand beside the others */
		ecg_warn(e, "interval", w->lead);
		a->left_out = true;
		return;
	}
	if (w->scale_pv <= 0 || w->scale_pv > SCALE_MAX_PV) { /* a shape without a size */
		ecg_warn(e, "scale", w->lead);
		a->left_out = true;
		return;
	}
	if (!e->n_leads)
		e->pv_per_lsb = w->scale_pv;
	struct ecg_lead *lead = ecg_add_lead(e, w->lead, w->n);
	if (!lead)
		return;
	lead->pv_per_lsb = w->scale_pv;
	fill(a, lead);
}

void aecg_wave_end(struct aecg *a)
{
	if (aecg_above(a, 0) == EL_DIGITS)
		settle(a);
	else if (aecg_above(a, 0) == EL_SEQUENCE)
		sequence_end(a);
}

void aecg_wave_free(struct aecg_wave *w)
{
	free(w->samples);
	w->samples = NULL;
}
