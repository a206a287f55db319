/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who should be seen: due and overdue visits, referrals without a result, nobody heard of for half a year, not
 * controlled twice, pressures that have to be measured again. Of one resident for one day; pure. Where nothing is
 * known, nothing is said. The rules: tests/sim/FOLLOWUP.md, section 6; what is stored: due_facts.h.
 */
#pragma once

#include "day.h"
#include "followup.h"
#include "numbers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum due_list { LIST_DUE, LIST_REFERRAL, LIST_NO_CONTACT, LIST_TWICE, LIST_RECHECK, LISTS };
extern const char *const due_lists[LISTS];

/* Blood pressures of somebody without hypertension, one after the other; usable and trusted ones. */
enum recheck_state {
	RECHECK_NONE,
	RECHECK_OPEN,
	RECHECK_LIKELY,
	RECHECK_NOT_CONFIRMED,
	RECHECK_LAPSED
};
struct recheck {
	const struct numbers *numbers;
	const char *birth;
	int32_t until; /* what came later than that day does not count */
	enum recheck_state state;
	int32_t first;		   /* the day that opened it */
	unsigned measured, raised; /* days */
	int32_t at;		   /* the day of the sums; DAY_NONE: of none yet */
	int64_t systolic, diastolic;
	unsigned n;
};
void recheck_begin(struct recheck *r, const struct numbers *n, const char *birth, int32_t until);
/* In order of time; thousandths of mm[Hg]. */
void recheck_add(struct recheck *r, int32_t day, int64_t systolic, int64_t diastolic);
void recheck_end(struct recheck *r);

/* What is known of one resident. */
struct due_facts {
	bool enrolled[FORMS];
	struct due_visit {
		bool known; /* the last confirmed one of the form; if not, 0 and DAY_NONE */
		int32_t day;
		int class;     /* 0: not known */
		int32_t next;  /* DAY_NONE */
		bool referral; /* there was a reason for one */
		bool answered; /* what became of it */
		int64_t confirmed_us;
		int class_before; /* of the confirmed one before it */
		int32_t plan;	  /* a next visit that a person set; DAY_NONE */
		int64_t plan_us;
	} visits[FORMS];
	int32_t contact; /* the last one; DAY_NONE */
	struct recheck recheck;
};

struct due_item {
	enum due_list list;
	const char *form; /* "htn"; NULL: of none */
	const char *reason;
	int32_t date;
	int64_t days;
	const char *level; /* ahead, due, yellow, red; NULL: none */
};
#define DUE_ITEMS_MAX (2 * FORMS + 4)

/* Their number; in order of list and form. */
unsigned due_judge(
	const struct numbers *n, const struct due_facts *f, int32_t day, struct due_item *out);
