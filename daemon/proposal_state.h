/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the rooms of a proposal share: the pressures of an arm, the filling of a field, an answer that was read. */
#pragma once

#include "proposal.h"
#include "util.h"

#define FORM_HTN "hypertension_followup_v3"
#define FORM_T2DM "t2dm_followup_v3"

#define ARMS 3
#define BP_USED_MAX 3
enum { SYSTOLIC, DIASTOLIC, PRESSURES };

/* Thousandths that one of the last of so many decimals (0..3) is worth. */
static inline int64_t step_of(unsigned decimals)
{
	static const int64_t steps[] = {1000, 100, 10, 1};
	return steps[decimals];
}

/* proposal_bp.c */

/* What the rule takes of one arm. */
struct bp_group {
	unsigned n; /* 0: there is none */
	const struct visit_reading *used[BP_USED_MAX];
	int64_t sum[PRESSURES];
	const char *note;
};
/* Both numbers of a reading; false: it is no blood pressure. */
bool bp_numbers(const struct visit_reading *r, const struct visit_value *ret[static PRESSURES]);
void bp_groups(const struct proposal_input *in, struct bp_group ret[static ARMS]);
/* The one with the higher mean; NULL: there is none. */
const struct bp_group *bp_higher(const struct bp_group groups[static ARMS]);
/* sum / n in thousandths, rounded half away from zero to `decimals`. `sum` is not negative. */
int64_t mean_rounded(int64_t sum, unsigned n, unsigned decimals);

/* proposal_fields.c */

#define FILLING_READINGS (BP_USED_MAX + 1)
#define FILLING_TEXT (PROPOSAL_ANSWER_MAX + 1)

/* What stands in a field. */
struct filling {
	bool filled;
	const char *by; /* device, derived, person */
	const char *note;
	const struct code *code; /* of the number; NULL: it is none */
	unsigned n_values;	 /* 0; 1; 2: a pressure */
	int64_t milli[PRESSURES];
	unsigned decimals;
	int32_t day;  /* a date; DAY_NONE */
	int32_t from; /* a value of another day than the visit's; DAY_NONE */
	int choice;   /* a person's; 0: none */
	unsigned n_readings;
	const char *readings[FILLING_READINGS]; /* ids */
	char text[FILLING_TEXT];
};

const struct visit_value *reading_value(const struct visit_reading *r, const char *kind);
/* The next word of a list that blanks or semicolons separate; false: there is none. */
bool list_next(const char **p, char *ret, size_t size);
bool list_has(const char *list, const char *word); /* `list` may be NULL */
/* What the rule of a field makes of the readings; false fillings have their note. Not of next visit, class, referral,
 * measures: these follow from the decision. */
struct filling filling_rule(const struct proposal_input *in, const struct form_field *f);
/* A date that follows from others. */
struct filling filling_day(int32_t day);
/* The same, or what a person answered in place of it. */
struct filling filling_of(const struct proposal_input *in, const struct form_field *f);
/* By key of the input's form; an empty one when there is no such field. */
struct filling filling_key(const struct proposal_input *in, const char *key);

/* proposal_answer.c */

/* 0 and the filling; -EINVAL. */
int answer_read(const struct codes *codes, const struct form_field *f, const json_t *value,
	struct filling *ret);

/* proposal_decide.c */

/* What the rules say, whatever a person said in place of it. */
struct ours {
	int class, measures;
	int32_t next_day;
};
struct proposal proposal_decide(const struct proposal_input *in, struct ours *ret_ours);
