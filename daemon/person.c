/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "person.h"

#include "gateway.h"
#include "intake.h"
#include "resident.h"

#include <errno.h>

#define DEVICE "person"			      /* the row that stands where an instrument's would */
#define UNCERTAINTY_US (60 * CLOCK_SECOND_US) /* people type minutes */

/* annotations */

/* What a glucose is when somebody knows of the meal; NULL: this kind says more than a meal could, or is no blood glucose. */
static const struct code *after_meal(const struct codes *codes, const char *kind, const char *meal)
{
	static const char *const blood[] = {"glu.fasting", "glu.postprandial_2h", "glu.random",
		"glu.capillary_plasma", "glu.undetermined_plasma"};
	char name[32];
	snprintf(name, sizeof(name), "glu.%s", meal);
	for (size_t i = 0; i < ELEMENTS(blood); i++)
		if (streq(blood[i], kind))
			return codes_find(codes, name);
	return NULL;
}

static bool note_meal(const struct codes *codes, struct reading *r, const char *meal)
{
	unsigned renamed = 0;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const struct code *code = after_meal(codes, r->quantities[i].code->kind, meal);
		if (code)
			r->quantities[i].code = code;
		renamed += code != NULL;
	}
	return renamed <= 1;
}

bool person_note(
	const struct codes *codes, struct reading *r, const struct annotation *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = 0;
		while (at < r->n_notes && !streq(r->notes[at].key, a[i].key))
			at++;
		struct note *note = &r->notes[at];
		r->n_notes = MAX(r->n_notes, at + 1);
		note->key = a[i].key;
		text_copy(note->text, sizeof(note->text), a[i].value, strlen(a[i].value));
		if (streq(a[i].key, "meal") && !note_meal(codes, r, a[i].value))
			return false;
	}
	return true;
}

/* typed readings */

const char *person_kind(const struct reading *r)
{
	static const struct {
		const char *begins, *kind;
	} kinds[] = {{"bp.", "blood_pressure"}, {"glu.", "glucose"}, {"spo2", "spo2"},
		{"lipid.", "lipids"}, {"weight", "weight"}, {"height", "height"},
		{"temp", "temperature"}, {"hba1c", "hba1c"}};
	const char *found = NULL;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const char *of = "entry";
		for (size_t k = 0; k < ELEMENTS(kinds); k++)
			if (!strncmp(r->quantities[i].code->kind, kinds[k].begins,
				    strlen(kinds[k].begins)))
				of = kinds[k].kind;
		if (found && !streq(found, of))
			return "entry";
		found = of;
	}
	return found ? found : "entry";
}

int person_enter(struct gateway *g, struct db *db, struct reading *r, int64_t resident,
	const struct vg_civil *taken)
{
	const struct resident_decision who = {
		.resident = resident, .evidence = "entered_by_person", .grade = "person"};
	struct when when = {.uncertainty_us = UNCERTAINTY_US, .trust = TRUST_LIVE};
	char uid[96];
	int64_t row = intake_device(db, DEVICE, DEVICE, "-", uid);
	if (row < 0)
		return (int)row;
	const struct unit u = {.device_row = row,
		.driver = DEVICE,
		.driver_version = 1,
		.ack_mode = "none",
		.arrived_us = clock_utc_us(),
		.boot_us = clock_boot_us()};
	r->of = &who;
	r->live = true;
	if (taken) {
		if (!clock_civil_utc(taken, &when.taken_us))
			return -EINVAL;
		r->has_taken = true;
		r->taken = *taken;
		r->at = &when;
	}
	r->kind = person_kind(r);
	reading_identify(r, "", DEVICE, NULL, 0);
	int rc = intake_reading(g, db, &u, r);
	r->of = NULL; /* they end with this call */
	r->at = NULL;
	return rc;
}
