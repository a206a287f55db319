/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the form of a visit proposes: its fields filled by the named rules with their evidence, what persons answered in
 * place of it, at goal or not, class, referral, next date. Proposals, never verdicts. Pure; the rules are those of
 * tests/sim/FOLLOWUP.md, section 4 and 5.
 */
#pragma once

#include "clock.h"
#include "codes.h"
#include "day.h"
#include "followup.h"
#include "json.h"
#include "numbers.h"
#include "ws.h"

#include <jansson.h>

/* One filed reading of the visit. */
struct visit_reading {
	char id[33]; /* in hex */
	int64_t taken_us;
	enum arm { ARM_NONE, ARM_LEFT, ARM_RIGHT } arm;
	bool doubtful;	/* moved, loose or badly placed cuff */
	bool irregular; /* pulse */
	unsigned n;
	struct visit_value {
		const char *kind; /* of the code table */
		int64_t milli;
		unsigned decimals;
		char comparator; /* 0, '<', '>' */
	} values[16];
};

/* A value that is not of this visit. */
struct visit_result {
	const char *kind;
	int64_t milli;
	unsigned decimals;
	int32_t day;
	char id[33];
};

struct home_week {
	bool valid;
	int32_t from, to; /* first and last day */
	unsigned n, days; /* readings and days that count */
	int64_t systolic, diastolic;
	const char *verdict; /* high, normal, between */
};

struct proposal_input {
	const struct forms *forms;
	const struct codes *codes;
	const struct numbers *numbers;
	const struct ws *ws; /* NULL: values stand as they were rounded */
	const char *form;
	int32_t day;			/* DAY_NONE: nobody opened a visit; the form is blank */
	const char *birth, *conditions; /* as on the roster; may be NULL */
	const struct visit_reading *readings; /* in order of taken, then of arrival */
	size_t n_readings;
	const struct visit_result
		*results; /* since the visit before, the last of each kind; for `aux` */
	size_t n_results;
	struct visit_result height; /* the last one that may stand in; kind NULL: none */
	struct home_week week;
	struct {
		unsigned episodes;
		int64_t lowest; /* milli mmol/L */
		int32_t since;
	} hypo;
	struct {
		bool known;
		int32_t day;
		int class;     /* 0: not known */
	} before;	       /* the visit before */
	const json_t *answers; /* object: key of the form -> what a person said; may be NULL */
};

#define REFERRALS_MAX 12
#define PROPOSAL_ANSWER_MAX 200

struct proposal {
	int at_goal;	      /* 1, 0, -1 not known */
	const char *goal_why; /* why it is not known; "" */
	int class;	      /* 0: none; a person's own stands in place of ours */
	bool class_by_person;
	const char *class_why; /* answer_first, answers_missing, age_unknown, no_value; "" */
	int32_t next_day;      /* DAY_NONE; a person's own stands in place of ours */
	int measures;	       /* 1..4; 0: none */
	unsigned n_referrals;
	const char *referrals[REFERRALS_MAX]; /* stable words */
};

/* Decides, and writes "form", "forms_version", "numbers_version", "fields":[..], "proposed":{..} into the open object. A field:
 * {"key","zh","en","ws","device_fillable","filled","by":"device|derived|person","value".., "unit","text" as its WS element
 * formats it,"readings":[ids],"rule","note","evidence":{..}}. */
void proposal_make(const struct proposal_input *in, struct proposal *ret, struct json *j);

/* Whether a person may answer so. 0; -ENOENT: the form has no such key for persons (`unknown_key`); -EINVAL: the value is
 * none of the choices, no number that its kind has room for, no date, or a text that is empty or longer than
 * PROPOSAL_ANSWER_MAX bytes (`bad_value`). null takes an answer back. */
int proposal_answer_ok(const struct forms *forms, const struct codes *codes, const char *form,
	const char *key, const json_t *value);

/* Home blood pressure: `points` usable, trusted, at home, in order of taken, of the 7 days up to `last` at least. */
struct home_point {
	int64_t taken_us;
	int64_t systolic, diastolic; /* milli mm[Hg] */
};
struct home_week home_week(
	const struct numbers *n, const struct home_point *points, size_t n_points, int32_t last);
/* The latest valid one before `day`; points of the last look_back_days + days. */
struct home_week home_week_before(
	const struct numbers *n, const struct home_point *points, size_t n_points, int32_t day);
