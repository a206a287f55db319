/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "due.h"

#include "util.h"

const char *const due_lists[LISTS] = {"due", "referral_result", "no_contact", "twice", "recheck"};

/* pressures of somebody without the diagnosis */

void recheck_begin(struct recheck *r, const struct numbers *n, const char *birth, int32_t until)
{
	*r = (struct recheck){.numbers = n, .birth = birth, .until = until, .at = DAY_NONE};
}

/* To whole mm[Hg], half up: pressures are positive. */
static int64_t mean(int64_t sum, unsigned n)
{
	return (2 * sum + 1000 * (int64_t)n) / (2000 * (int64_t)n) * 1000;
}

static bool has_window(const struct recheck *r, int32_t day)
{
	return (r->state == RECHECK_OPEN || r->state == RECHECK_LIKELY) &&
	       day - r->first < r->numbers->recheck_within_days;
}

/* Its time is over on that day. */
static void close_before(struct recheck *r, int32_t day)
{
	if (r->state == RECHECK_OPEN && !has_window(r, day))
		r->state = r->measured >= r->numbers->recheck_days ? RECHECK_NOT_CONFIRMED
								   : RECHECK_LAPSED;
}

/* The day of the sums is complete. */
static void take_day(struct recheck *r)
{
	const struct numbers *n = r->numbers;
	if (!r->n)
		return;
	bool raised = mean(r->systolic, r->n) >= n->recheck_sbp ||
		      mean(r->diastolic, r->n) >= n->recheck_dbp;
	r->systolic = r->diastolic = 0;
	r->n = 0;
	close_before(r, r->at);
	if (raised && r->state != RECHECK_OPEN && r->state != RECHECK_LIKELY &&
		age_at_least(age_on(r->birth, r->at), n->recheck_age) == 1) {
		r->state = RECHECK_OPEN;
		r->first = r->at;
		r->measured = r->raised = 0;
	}
	if (!has_window(r, r->at))
		return;
	r->measured++;
	r->raised += raised;
	if (r->raised >= n->recheck_days)
		r->state = RECHECK_LIKELY;
}

void recheck_add(struct recheck *r, int32_t day, int64_t systolic, int64_t diastolic)
{
	if (day > r->until)
		return;
	if (day != r->at) {
		take_day(r);
		r->at = day;
	}
	r->systolic += systolic;
	r->diastolic += diastolic;
	r->n++;
}

void recheck_end(struct recheck *r)
{
	take_day(r);
	close_before(r, r->until);
}

/* the lists */

static const char *level(const struct numbers *n, int64_t days)
{
	return days < 0			   ? "ahead"
	       : days < n->due_yellow_days ? "due"
	       : days < n->due_red_days	   ? "yellow"
					   : "red";
}

struct judging {
	const struct numbers *numbers;
	int32_t day;
	struct due_item *out;
	unsigned n;
};

static void list(
	struct judging *j, enum due_list list, const char *form, const char *reason, int32_t date)
{
	int64_t days = j->day - date;
	j->out[j->n++] = (struct due_item){list, form, reason, date, days, level(j->numbers, days)};
}

static void judge_due(struct judging *j, const struct due_visit *v, const char *form)
{
	/* in the same instant the plan is the later word: without the visit nobody would have made it */
	bool planned = v->plan != DAY_NONE && v->plan_us >= v->confirmed_us;
	int32_t next = planned ? v->plan : v->next;
	if (next == DAY_NONE || next > j->day + j->numbers->due_ahead_days)
		return;
	bool again = !planned && (v->class >= 2 || v->referral);
	list(j, LIST_DUE, form, again ? "refollowup" : "planned", next);
}

static void judge_referral(struct judging *j, const struct due_visit *v, const char *form)
{
	int32_t date = v->day + (int32_t)j->numbers->due_referral_days;
	if (v->known && v->referral && !v->answered && date <= j->day)
		list(j, LIST_REFERRAL, form, due_lists[LIST_REFERRAL], date);
}

static void judge_twice(struct judging *j, const struct due_visit *v, const char *form)
{
	if (!v->known || v->class != 2 || v->class_before != 2)
		return;
	j->out[j->n++] =
		(struct due_item){LIST_TWICE, form, "not_controlled_twice", v->day, 0, NULL};
}

static void judge_recheck(struct judging *j, const struct recheck *r)
{
	if (r->state != RECHECK_OPEN && r->state != RECHECK_LIKELY)
		return;
	j->out[j->n++] = (struct due_item){LIST_RECHECK, NULL,
		r->state == RECHECK_OPEN ? "open" : "likely", r->first, r->measured, NULL};
}

unsigned due_judge(
	const struct numbers *n, const struct due_facts *f, int32_t day, struct due_item *out)
{
	struct judging j = {n, day, out, 0};
	for (unsigned i = 0; i < FORMS; i++)
		if (f->enrolled[i])
			judge_due(&j, &f->visits[i], form_names[i].brief);
	for (unsigned i = 0; i < FORMS; i++)
		judge_referral(&j, &f->visits[i], form_names[i].brief);
	if (f->contact != DAY_NONE && day - f->contact > n->due_no_contact_days)
		list(&j, LIST_NO_CONTACT, NULL, due_lists[LIST_NO_CONTACT],
			f->contact + (int32_t)n->due_no_contact_days);
	for (unsigned i = FORM_HTN; i <= FORM_T2DM; i++)
		judge_twice(&j, &f->visits[i], form_names[i].brief);
	judge_recheck(&j, &f->recheck);
	return j.n;
}
