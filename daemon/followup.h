/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The follow-up forms: the fields in the order of the national form, which named rule fills each of them and what a
 * person may answer (config/forms.csv). Pure after loading.
 */
#pragma once

#include "codes.h"

#include <stdbool.h>
#include <stdint.h>

/* Which programme asks for which form, and its short name, as commands take it: "htn". */
enum form_of { FORM_HTN, FORM_T2DM, FORM_COPD, FORM_ELDERLY, FORMS };
struct form_names {
	const char *programme, *form, *brief;
};
extern const struct form_names form_names[FORMS];

/* The named rules; what each does is written in tests/sim/FOLLOWUP.md, section 4, and done in proposal_fields.c. */
enum fill {
	FILL_PERSON, /* none: only a person */
	FILL_VISIT_DATE,
	FILL_BP,
	FILL_BP_LEFT,
	FILL_BP_RIGHT,
	FILL_LAST,
	FILL_HEIGHT,
	FILL_BMI,
	FILL_HEART_RATE,
	FILL_FASTING,
	FILL_OTHER_GLUCOSE,
	FILL_AUX,
	FILL_NEXT_VISIT,
	FILL_CLASS, /* the last three propose beside a field that stays open */
	FILL_REFERRAL,
	FILL_MEASURES,
	FILLS
};
const char *fill_name(enum fill f); /* as in forms.csv; "": only a person */

struct form_field {
	char form[40], key[40], ws[48]; /* elements of WS/T 363, separated by blanks */
	char zh[160], en[160];
	char kinds[96];
	char choices[200]; /* as the form prints them: "1无 2有"; "": none */
	uint32_t numbers;  /* bit n: there is a choice n */
	bool several;	   /* more than one may hold */
	bool worded;	   /* words may follow the number */
	bool target;	   /* a second number may follow: now / target */
	bool fillable;
	enum fill fill;
};

struct forms;

struct forms *forms_load(
	const char *path, const struct codes *codes, char *error, size_t error_size);
void forms_free(struct forms *f);
const char *forms_version(const struct forms *f);
/* The kinds that any form asks for, by index; NULL after the last. */
const char *forms_kind(const struct forms *f, unsigned index);

/* The fields of a form in its order; NULL after the last. */
const struct form_field *forms_field(const struct forms *f, const char *form, unsigned index);
const struct form_field *forms_find(const struct forms *f, const char *form, const char *key);
