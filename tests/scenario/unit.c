/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an instrument delivered, as a session hands it to intake. */
#include "scenario.h"

#include "intake.h"
#include "yamlmap.h"

#include <errno.h>

/* "152", "6.5" */
static void add_value(const struct site *s, struct vg_reading *in, struct vg_quantity *to,
	const char *kind, const json_t *value, const json_t *comparators)
{
	const struct code *code = codes_find(s->gateway.codes, kind);
	const char *comparator = json_string_value(json_object_get(comparators, kind));
	if (!code)
		refuse("%s is no kind of the code table", kind);
	*to = (struct vg_quantity){
		.kind = code->kind, .unit = code->ucum, .comparator = comparator ? *comparator : 0};
	if (!json_is_string(value) || !yamlmap_decimal(json_string_value(value),
					      &to->value.mantissa, &to->value.exponent))
		refuse("the value of %s is no text with a decimal number", kind);
	in->n_quantities++;
}

static void take_reading(
	struct site *s, struct unit *u, const json_t *r, const char *driver, const char *key)
{
	struct vg_quantity q[VG_QUANTITIES_MAX];
	const char *flags[VG_FLAGS_MAX], *kind;
	const char *taken = json_string_value(json_object_get(r, "taken"));
	const char *patient = json_string_value(json_object_get(r, "patient"));
	const json_t *slot = json_object_get(r, "slot"), *list = json_object_get(r, "flags");
	struct vg_civil civil;
	struct vg_reading in = {.kind = json_string_value(json_object_get(r, "kind")),
		.live = json_is_true(json_object_get(r, "live")),
		.user = json_is_integer(slot) ? (int)json_integer_value(slot) : -1,
		.seq = -1,
		.status = VG_FINAL,
		.quantities = q,
		.flags = flags,
		.patient = patient,
		.patient_len = patient ? strlen(patient) : 0};
	json_t *values = json_object_get(r, "values"), *v;
	char why[96] = "", raw[512];
	json_object_foreach(values, kind, v)
	{
		if (in.n_quantities == VG_QUANTITIES_MAX)
			refuse("%s has more values than a reading", key);
		add_value(s, &in, &q[in.n_quantities], kind, v, json_object_get(r, "comparators"));
	}
	for (; in.n_flags < MIN(json_array_size(list), (size_t)VG_FLAGS_MAX); in.n_flags++)
		flags[in.n_flags] = json_string_value(json_array_get(list, in.n_flags));
	if (taken && !clock_civil_read(taken, &civil))
		refuse("%s is no time", taken);
	in.taken = taken ? &civil : NULL;
	_cleanup_(freep) char *text = json_dumps(values, JSON_COMPACT);
	int len = snprintf(raw, sizeof(raw), "%s %s", key, text);
	struct reading *reading = unit_add_reading(u);
	if (!reading ||
		!bytes_copy(&reading->raw, (const uint8_t *)raw, MIN((size_t)len, sizeof(raw) - 1)))
		refuse("out of memory");
	if (reading_take(reading, &in, driver, s->gateway.codes, why) != VG_READING)
		refuse("%s: %s", key, why);
	reading_identify(reading, u->uid, driver, (const uint8_t *)key, strlen(key));
}

static void keep_keys(struct site *s, const struct unit *u, const json_t *readings)
{
	const struct reading *r = u->readings;
	char id[33];
	for (size_t i = 0; r; r = r->next, i++) {
		const json_t *key = json_object_get(json_array_get(readings, i), "key");
		hex(id, r->id.bytes, sizeof(r->id.bytes));
		json_object_set_new(s->ids, json_string_value(key), json_string(id));
		json_object_set(s->keys, id, (json_t *)key);
	}
}

static int patient_field(const char *means)
{
	return !means			? PATIENT_FIELD_IGNORE
	       : streq(means, "token")	? PATIENT_FIELD_TOKEN
	       : streq(means, "typed")	? PATIENT_FIELD_TYPED
	       : streq(means, "sample") ? PATIENT_FIELD_SAMPLE
					: PATIENT_FIELD_IGNORE;
}

static struct unit *begin(struct site *s, const char *device, int64_t at_us)
{
	const json_t *d = json_object_get(s->devices, device);
	struct unit *u = unit_new();
	char uid[96];
	if (!u || !d)
		refuse("%s is no instrument of the first line", device);
	u->device_row = intake_device(s->db, device, "lis01", device, uid);
	snprintf(u->uid, sizeof(u->uid), "sn:%s", device);
	u->driver = "lis01";
	u->driver_version = 1;
	u->session = ++s->units;
	u->serial = 1;
	u->ack_mode = "held";
	u->patient_field = patient_field(json_string_value(json_object_get(d, "patient_id")));
	u->station = json_string_value(json_object_get(d, "station"));
	u->arrived_us = at_us;
	u->boot_us = clock_boot_us();
	return u;
}

void unit_deliver(struct site *s, const json_t *unit, int64_t at_us)
{
	const char *device = json_string_value(json_object_get(unit, "device"));
	const char *shown = json_string_value(json_object_get(unit, "clock"));
	const json_t *readings = json_object_get(unit, "readings"), *r;
	size_t i;
	site_begin(s);
	struct unit *u = begin(s, device ? device : "?", at_us);
	if (shown) {
		u->offset_known = true;
		u->offset_us = instant(shown) - at_us;
	}
	json_array_foreach(readings, i, r)
	{
		const char *key = json_string_value(json_object_get(r, "key"));
		if (!key)
			refuse("a reading without a key");
		take_reading(s, u, r, "lis01", key);
		u->counts[VG_READING]++;
	}
	keep_keys(s, u, readings);
	int rc = intake_unit(&s->gateway, s->db, u);
	unit_free(u);
	if (rc < 0)
		refuse("the unit was not filed: %s", strerror(-rc));
	site_end(s, true);
}
