/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rates of a month: who is enrolled, seen, seen often enough, controlled. Numbers of residents and visits, no
 * identities. The rules: tests/sim/FOLLOWUP.md, section 7. Store thread.
 */
#pragma once

#include "db.h"
#include "due.h"
#include "json.h"
#include "owned.h"

#define KPI_MONTH 8 /* "2026-11" and its end */

struct kpi {
	char month[KPI_MONTH];
	int32_t day;			      /* on which it is counted: its last, or today */
	char from[DAY_TEXT], until[DAY_TEXT]; /* 1 January, and that day */
	int64_t day_begin_us;
	int64_t standard_visits;
	int64_t elderly_age;
	struct kpi_form {
		unsigned enrolled, managed, visits, standard, controlled, in_contract;
	} forms[FORM_ELDERLY]; /* htn, t2dm, copd */
	unsigned elderly, elderly_managed, age_unknown;
};

/* `month`: "2026-11". False: it is none, or has not begun on the day `today`. */
bool kpi_begin(struct kpi *k, const struct numbers *n, const char *month, int32_t today);
int kpi_add(struct kpi *k, struct db *db, const struct owned *who);
/* "month","day","htn":{..},"t2dm":{..},"copd":{..},"elderly":{..} into an open object. */
void kpi_json(const struct kpi *k, struct json *j);
