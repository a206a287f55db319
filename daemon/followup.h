/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The follow-up draft of a resident: the national form's fields in its order (config/forms.csv), filled
 * with what instruments can know, open where only a person can answer. A draft is a proposal: no device
 * opens a visit, signs, or answers for symptoms. Pure after loading.
 */
#pragma once

#include "clock.h"
#include "codes.h"
#include "json.h"

#include <stdbool.h>

/* One filed measurement that may fill a field. */
struct followup_fact {
	char kind[32];
	int64_t milli;
	unsigned decimals;
	char comparator; /* 0, '<', '>' */
	int64_t taken_us;
	char trust[16];
	char reading[33]; /* id of the reading in hex */
};

struct followup_resident {
	const char *token;
	int birth_year; /* 0: unknown */
};

struct forms;

struct forms *forms_load(
	const char *path, const struct codes *codes, char *error, size_t error_size);
void forms_free(struct forms *f);
const char *forms_version(const struct forms *f);
/* The kinds that any form asks for, by index; NULL after the last. */
const char *forms_kind(const struct forms *f, unsigned index);

/* The form of a programme ("hypertension" -> "hypertension_followup_v3"); NULL: none of ours. */
const char *followup_form(const char *programme);

/* "form", "version", "fields":[{key,label_zh,label_en,fillable,value..,evidence..}] into an open object.
 * `facts`: the latest usable one of each kind, at most one per kind. */
void followup_draft(const struct forms *f, const char *form, const struct followup_resident *who,
	const struct followup_fact *facts, size_t n_facts, struct json *j);
