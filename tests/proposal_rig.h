/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A visit in memory: readings, answers, and the proposal read back as JSON, as the platform does. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proposal_state.h"

#define HTN FORM_HTN
#define DM FORM_T2DM
#define OLD "elderly_health_check_65plus"
#define COPD "copd_followup_2024plus"
#define VISIT_DAY "2026-11-20"

static struct codes *codes;
static struct forms *forms;
static struct numbers *numbers;
static struct ws *ws;
static struct visit_reading readings[64];
static struct visit_result results[16];
static struct proposal_input in;
static struct proposal decided;
static json_t *answers, *said; /* the proposal */

static inline int rig_load(void **state)
{
	(void)state;
	char error[400] = "";
	clock_set_zone("Asia/Shanghai");
	codes = codes_load("config", error, sizeof(error));
	forms = codes ? forms_load("config/forms.csv", codes, error, sizeof(error)) : NULL;
	numbers = numbers_load("config/followup.csv", error, sizeof(error));
	ws = ws_load("config/ws_elements.csv", error, sizeof(error));
	if (error[0])
		print_error("%s\n", error);
	return forms && numbers && ws ? 0 : -1;
}

static inline int rig_unload(void **state)
{
	(void)state;
	json_decref(said);
	json_decref(answers);
	ws_free(ws);
	numbers_free(numbers);
	forms_free(forms);
	codes_free(codes);
	return 0;
}

/* A visit of this form without anything; somebody born in 1980. */
static inline void rig_visit(const char *form)
{
	json_decref(answers);
	answers = json_object();
	memset(readings, 0, sizeof(readings));
	in = (struct proposal_input){.forms = forms,
		.codes = codes,
		.numbers = numbers,
		.ws = ws,
		.form = form,
		.day = day_read(VISIT_DAY),
		.birth = "1980",
		.readings = readings,
		.results = results,
		.answers = answers};
}

/* Taken so many seconds after eight o'clock; its id is a, b, c .. */
static inline struct visit_reading *rig_reading(int second)
{
	struct visit_reading *r = &readings[in.n_readings++];
	assert_true(in.n_readings <= ELEMENTS(readings));
	*r = (struct visit_reading){
		.taken_us = day_begin_us(in.day) + (8 * 3600 + second) * CLOCK_SECOND_US};
	r->id[0] = (char)('a' + (in.n_readings - 1) % 26);
	return r;
}

static inline struct visit_value *rig_value(
	struct visit_reading *r, const char *kind, int64_t milli)
{
	const struct code *code = codes_find(codes, kind);
	assert_non_null(code);
	struct visit_value *v = &r->values[r->n++];
	*v = (struct visit_value){.kind = code->kind, .milli = milli, .decimals = code->decimals};
	return v;
}

static inline struct visit_reading *rig_one(int second, const char *kind, int64_t milli)
{
	struct visit_reading *r = rig_reading(second);
	rig_value(r, kind, milli);
	return r;
}

static inline struct visit_reading *rig_bp(int second, enum arm arm, int systolic, int diastolic)
{
	struct visit_reading *r = rig_one(second, "bp.sbp", systolic * 1000);
	rig_value(r, "bp.dbp", diastolic * 1000);
	r->arm = arm;
	return r;
}

static inline void rig_answer(const char *key, const char *text)
{
	assert_int_equal(json_object_set_new(answers, key, json_string(text)), 0);
}

static inline const json_t *rig_make(void)
{
	struct json j = {0};
	json_error_t e;
	json_object_begin(&j, NULL);
	memset(&decided, 0x5a, sizeof(decided));
	proposal_make(&in, &decided, &j);
	json_object_end(&j);
	json_decref(said);
	said = json_loads(json_text(&j), JSON_REJECT_DUPLICATES, &e);
	if (!said)
		print_error("%s\n%s\n", e.text, json_text(&j));
	assert_non_null(said);
	json_free(&j);
	return said;
}

static inline const json_t *rig_field(const char *key)
{
	size_t i;
	const json_t *f, *found = NULL;
	json_array_foreach(json_object_get(said, "fields"), i, f)
	{
		if (streq(json_string_value(json_object_get(f, "key")), key)) {
			assert_null(found);
			found = f;
		}
	}
	assert_non_null(found);
	return found;
}

/* A member of a field as text; "-": it is not there. */
static inline const char *rig_member(const char *key, const char *member)
{
	const char *t = json_string_value(json_object_get(rig_field(key), member));
	return t ? t : "-";
}

static inline bool rig_filled(const char *key)
{
	return json_is_true(json_object_get(rig_field(key), "filled"));
}

/* What stands in the field; "-": it is open. */
static inline const char *rig_text(const char *key)
{
	return rig_filled(key) ? rig_member(key, "text") : "-";
}

/* Ids of its readings, one after the other. */
static inline const char *rig_used(const json_t *of)
{
	static char text[64];
	size_t i;
	const json_t *id;
	text[0] = 0;
	json_array_foreach(json_object_get(of, "readings"), i, id)
		strcat(text, json_string_value(id));
	return text;
}

static inline const json_t *rig_evidence(const char *key, const char *member)
{
	return json_object_get(json_object_get(rig_field(key), "evidence"), member);
}

/* The reasons for a referral, separated by blanks. */
static inline const char *rig_referrals(void)
{
	static char text[256];
	text[0] = 0;
	for (unsigned i = 0; i < decided.n_referrals; i++) {
		strcat(text, i ? " " : "");
		strcat(text, decided.referrals[i]);
	}
	return text;
}

static inline const char *rig_next(void)
{
	static char text[DAY_TEXT];
	return decided.next_day == DAY_NONE ? "-" : day_text(text, decided.next_day);
}
