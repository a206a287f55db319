/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recording as JSON. Absent is left out; numbers are exact decimals, written from integers. */
#include <inttypes.h>

#include "ecg.h"

static void optional_int(struct json *j, const char *key, int32_t value)
{
	if (value != ECG_ABSENT)
		json_int(j, key, value);
}

static void optional_text(struct json *j, const char *key, const char *text)
{
	if (*text)
		json_str(j, key, text);
}

enum unit { MILLI = 3, MICRO = 6 }; /* decimals */

/* The value, which is not negative, without zeros at its end. */
static void decimal(struct json *j, const char *key, int64_t value, enum unit decimals)
{
	const int64_t scale = decimals == MILLI ? 1000 : 1000000;
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRId64 ".%0*" PRId64, value / scale, (int)decimals,
		value % scale);
	while (text[n - 1] == '0')
		n--;
	text[n - (text[n - 1] == '.')] = 0;
	json_raw(j, key, text);
}

static void amount(struct json *j, const char *key, const struct ecg_amount *a)
{
	if (a->value == ECG_ABSENT)
		return;
	json_object_begin(j, key);
	json_int(j, "value", a->value);
	json_str(j, "unit", a->unit);
	json_object_end(j);
}

static void date(struct json *j, const char *key, const struct vg_civil *c)
{
	char text[32];
	snprintf(text, sizeof(text), "%04u-%02u-%02u", c->year, c->month, c->day);
	if (c->year)
		json_str(j, key, text);
}

static void date_time(struct json *j, const char *key, const struct vg_civil *c, int32_t tz_min)
{
	char text[48];
	int n = snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u", c->year, c->month,
		c->day, c->hour, c->minute, c->second);
	if (tz_min != ECG_ABSENT)
		snprintf(text + n, sizeof(text) - n, "%c%02d:%02d", tz_min < 0 ? '-' : '+',
			abs(tz_min) / 60, abs(tz_min) % 60);
	json_str(j, key, text);
}

static void patient(struct json *j, const struct ecg *e)
{
	json_object_begin(j, "patient");
	optional_text(j, "id", e->id);
	optional_text(j, "last_name", e->last_name);
	optional_text(j, "first_name", e->first_name);
	if (e->sex)
		json_string_n(j, "sex", &e->sex, 1);
	date(j, "birth_date", &e->birth);
	amount(j, "age", &e->age);
	amount(j, "height", &e->height);
	amount(j, "weight", &e->weight);
	json_object_end(j);
}

static void device(struct json *j, const struct ecg *e)
{
	json_object_begin(j, "device");
	optional_text(j, "manufacturer", e->manufacturer);
	optional_text(j, "model", e->model);
	optional_text(j, "serial", e->serial);
	optional_text(j, "software", e->software);
	optional_int(j, "mains_hz", e->mains_hz);
	json_object_end(j);
}

static void filters(struct json *j, const struct ecg *e)
{
	json_object_begin(j, "filters");
	if (e->high_pass_mhz != ECG_ABSENT)
		decimal(j, "high_pass_hz", e->high_pass_mhz, MILLI);
	optional_int(j, "low_pass_hz", e->low_pass_hz);
	optional_int(j, "notch_hz", e->notch_hz);
	if (e->artifact_filter)
		json_bool(j, "artifact", true);
	if (e->baseline_filter)
		json_bool(j, "baseline", true);
	json_object_end(j);
}

static void leads(struct json *j, const struct ecg *e, uint32_t samples)
{
	json_array_begin(j, "leads");
	for (unsigned i = 0; i < e->n_leads; i++) {
		const struct ecg_lead *lead = &e->leads[i];
		json_object_begin(j, NULL);
		json_str(j, "name", lead->name);
		json_int(j, "n", lead->n);
		json_bool(j, "derived", lead->derived);
		if (lead->truncated)
			json_bool(j, "truncated", true);
		if (lead->pv_per_lsb && lead->pv_per_lsb != e->pv_per_lsb)
			decimal(j, "uv_per_lsb", lead->pv_per_lsb, MICRO);
		if (samples) {
			json_array_begin(j, "samples");
			for (uint32_t k = 0; k < MIN(lead->n, samples); k++)
				json_int(j, NULL, lead->samples[k]);
			json_array_end(j);
		}
		json_object_end(j);
	}
	json_array_end(j);
}

static void measurements(struct json *j, const struct ecg *e)
{
	json_object_begin(j, "measurements");
	optional_int(j, "hr", e->hr);
	optional_int(j, "rr", e->rr);
	optional_int(j, "pr", e->pr);
	optional_int(j, "p", e->p);
	optional_int(j, "qrs", e->qrs);
	optional_int(j, "qt", e->qt);
	optional_int(j, "qtc", e->qtc);
	if (e->qtc != ECG_ABSENT && e->qtc_formula)
		json_str(j, "qtc_formula", e->qtc_formula);
	if (e->p_axis != ECG_ABSENT || e->qrs_axis != ECG_ABSENT || e->t_axis != ECG_ABSENT) {
		json_object_begin(j, "axis");
		optional_int(j, "p", e->p_axis);
		optional_int(j, "qrs", e->qrs_axis);
		optional_int(j, "t", e->t_axis);
		json_object_end(j);
	}
	json_object_end(j);
}

static void interpretation(struct json *j, const struct ecg *e)
{
	if (!e->status)
		return;
	bool statements = false;
	json_object_begin(j, "interpretation");
	json_str(j, "status", e->status);
	if (e->interpreted.year)
		date_time(j, "at", &e->interpreted, ECG_ABSENT);
	json_array_begin(j, "lines");
	for (unsigned i = 0; i < e->n_lines; i++)
		if (e->lines[i].type)
			statements = true;
		else
			json_str(j, NULL, e->lines[i].text);
	json_array_end(j);
	if (statements)
		json_array_begin(j, "statements");
	for (unsigned i = 0; i < e->n_lines; i++) {
		if (!e->lines[i].type)
			continue;
		json_object_begin(j, NULL);
		optional_text(j, "type", e->lines[i].type);
		json_str(j, "text", e->lines[i].text);
		json_object_end(j);
	}
	if (statements)
		json_array_end(j);
	json_object_end(j);
}

static void content(struct json *j, const struct ecg *e, uint32_t samples)
{
	patient(j, e);
	optional_int(j, "urgency", e->urgency);
	if (e->acquired.year)
		date_time(j, "acquired_at", &e->acquired, e->tz_min);
	else
		json_none(j, "acquired_at");
	/* An offset without a time says nothing: the site's would be taken for the file's. */
	bool zoned = e->acquired.year && e->tz_min != ECG_ABSENT;
	json_str(j, "tz_source", zoned ? "file" : "none");
	device(j, e);
	filters(j, e);
	if (e->interval_ns)
		decimal(j, "interval_us", e->interval_ns, MILLI);
	if (e->pv_per_lsb)
		decimal(j, "uv_per_lsb", e->pv_per_lsb, MICRO);
	leads(j, e, samples);
	measurements(j, e);
	interpretation(j, e);
}

void ecg_json(const struct ecg *e, uint32_t samples, struct json *j)
{
	json_object_begin(j, NULL);
	json_str(j, "format", e->format);
	json_int(j, "bytes", (int64_t)e->bytes);
	if (e->rejected) {
		json_str(j, "rejected", e->rejected);
		optional_text(j, "detail", e->detail);
	} else {
		content(j, e, samples);
	}
	json_array_begin(j, "warnings");
	for (unsigned i = 0; i < e->n_warnings; i++)
		json_str(j, NULL, e->warnings[i]);
	json_array_end(j);
	json_object_end(j);
}
