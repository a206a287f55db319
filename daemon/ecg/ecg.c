/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reader says of a recording is gathered here, within limits; derived leads. */
#include "ecg.h"

void ecg_init(struct ecg *e)
{
	*e = (struct ecg){.format = "unknown"};
	int32_t *const optional[] = {&e->age.value, &e->height.value, &e->weight.value, &e->urgency,
		&e->tz_min, &e->mains_hz, &e->high_pass_mhz, &e->low_pass_hz, &e->notch_hz, &e->hr,
		&e->rr, &e->pr, &e->p, &e->qrs, &e->qt, &e->qtc, &e->p_axis, &e->qrs_axis,
		&e->t_axis};
	for (size_t i = 0; i < ELEMENTS(optional); i++)
		*optional[i] = ECG_ABSENT;
}

void ecg_drop_leads(struct ecg *e)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		free(e->leads[i].samples);
	memset(e->leads, 0, sizeof(e->leads));
	e->n_leads = 0;
	e->room = 0;
}

void ecg_free(struct ecg *e)
{
	if (!e)
		return;
	ecg_drop_leads(e);
	for (unsigned i = 0; i < e->n_lines; i++)
		free(e->lines[i].text);
	e->n_lines = 0;
}

void ecg_warn(struct ecg *e, const char *code, const char *detail)
{
	char text[sizeof(e->warnings[0])];
	snprintf(text, sizeof(text), "%s%s%s", code, detail ? ": " : "", detail ? detail : "");
	for (unsigned i = 0; i < e->n_warnings; i++)
		if (streq(e->warnings[i], text))
			return;
	if (e->n_warnings == ECG_WARNINGS_MAX)
		return;
	const char *shown = e->n_warnings < ECG_WARNINGS_MAX - 1 ? text : "more_warnings";
	text_copy(e->warnings[e->n_warnings++], sizeof(text), shown, strlen(shown));
}

void ecg_reject(struct ecg *e, const char *code, const char *detail)
{
	if (e->rejected)
		return;
	e->rejected = code;
	if (detail)
		text_copy(e->detail, sizeof(e->detail), detail, strlen(detail));
}

struct ecg_lead *ecg_add_lead(struct ecg *e, const char *name, uint32_t n)
{
	if (e->n_leads == ECG_LEADS_MAX) {
		ecg_warn(e, "too_many_leads", NULL);
		return NULL;
	}
	if (n > ECG_LEAD_SAMPLES_MAX || n > ECG_SAMPLES_MAX - e->room) {
		ecg_warn(e, "too_many_samples", name);
		return NULL;
	}
	struct ecg_lead *lead = &e->leads[e->n_leads];
	*lead = (struct ecg_lead){.pv_per_lsb = e->pv_per_lsb};
	lead->samples = n ? calloc(n, sizeof(*lead->samples)) : NULL;
	if (n && !lead->samples) {
		e->failed = true;
		return NULL;
	}
	text_copy(lead->name, sizeof(lead->name), name, strlen(name));
	e->room += n;
	e->n_leads++;
	return lead;
}

void ecg_add_line(struct ecg *e, const char *type, const char *text)
{
	if (e->n_lines == ECG_LINES_MAX) {
		ecg_warn(e, "too_many_lines", NULL);
		return;
	}
	char *copy = strdup(text);
	if (!copy) {
		e->failed = true;
		return;
	}
	e->lines[e->n_lines++] = (struct ecg_line){.type = type, .text = copy};
}

bool ecg_date_exists(const struct vg_civil *c, unsigned first_year, unsigned last_year)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (c->year < first_year || c->year > last_year || c->month < 1 || c->month > 12)
		return false;
	bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
	return c->day >= 1 && c->day <= days[c->month - 1] + (leap && c->month == 2);
}

bool ecg_time_exists(const struct vg_civil *c)
{
	return c->hour < 24 && c->minute < 60 && c->second < 60;
}

static const struct ecg_lead *find_lead(const struct ecg *e, const char *name)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		if (streq(e->leads[i].name, name))
			return &e->leads[i];
	return NULL;
}

/* (a * I + b * II) / 2, halves away from zero (Einthoven and Goldberger). */
struct derivation {
	const char *name;
	int32_t a, b;
};

static int32_t half(int32_t twice)
{
	return (twice + (twice > 0) - (twice < 0)) / 2;
}

static void derive(struct ecg *e, const struct derivation *d, const struct ecg_lead *i,
	const struct ecg_lead *ii)
{
	struct ecg_lead *lead = ecg_add_lead(e, d->name, i->n);
	if (!lead)
		return;
	lead->derived = true;
	lead->pv_per_lsb = i->pv_per_lsb;
	lead->truncated = i->truncated || ii->truncated;
	for (; lead->n < i->n; lead->n++) {
		int32_t value = half(d->a * i->samples[lead->n] + d->b * ii->samples[lead->n]);
		if (abs(value) > ECG_SAMPLE_LIMIT) {
			lead->truncated = true;
			ecg_warn(e, "sample_range", d->name);
			return;
		}
		lead->samples[lead->n] = value;
	}
}

void ecg_derive(struct ecg *e)
{
	static const struct derivation derivations[] = {
		{"III", -2, 2}, {"aVR", -1, -1}, {"aVL", 2, -1}, {"aVF", -1, 2}};
	const struct ecg_lead *i = find_lead(e, "I"), *ii = find_lead(e, "II");
	if (!i || !ii || !i->n || i->n != ii->n || i->pv_per_lsb != ii->pv_per_lsb)
		return;
	for (size_t k = 0; k < ELEMENTS(derivations); k++)
		if (!find_lead(e, derivations[k].name))
			derive(e, &derivations[k], i, ii);
}
