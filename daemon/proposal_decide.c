/* SPDX-License-Identifier: GPL-3.0-or-later */
/* At goal, class, referral, next date: what follows from the form as it is filled. Proposals of a rule, each with its why. */
#include "proposal_state.h"

static const char *const blood_glucose[] = {"glu.fasting", "glu.postprandial_2h", "glu.random",
	"glu.capillary_plasma", "glu.undetermined_plasma"};
static const char *const heart_rates[] = {"bp.pulse", "spo2.pulse", "ecg.hr"};

/* The first field with this rule, filled; `how`: filling_of, or filling_rule. */
static struct filling filling_by(const struct proposal_input *in, enum fill fill,
	struct filling (*how)(const struct proposal_input *in, const struct form_field *f))
{
	const struct form_field *f;
	for (unsigned i = 0; (f = forms_field(in->forms, in->form, i)); i++)
		if (f->fill == fill)
			return how(in, f);
	return (struct filling){.note = "", .day = DAY_NONE, .from = DAY_NONE};
}

/* at goal */

static void goal_htn(const struct proposal_input *in, struct proposal *p)
{
	const struct numbers *n = in->numbers;
	struct filling bp = filling_by(in, FILL_BP, filling_of);
	p->goal_why = "no_value";
	if (!bp.filled || bp.n_values != PRESSURES)
		return;
	int older = age_at_least(age_on(in->birth, in->day), n->goal_htn_older_age);
	bool diastolic = bp.milli[DIASTOLIC] < n->goal_htn_dbp_below;
	bool younger_limit = diastolic && bp.milli[SYSTOLIC] < n->goal_htn_sbp_below;
	bool older_limit = diastolic && bp.milli[SYSTOLIC] < n->goal_htn_sbp_below_from_65;
	if (older < 0 && younger_limit != older_limit) {
		p->goal_why = "age_unknown";
		return;
	}
	p->at_goal = older == 0 ? younger_limit : older_limit;
	p->goal_why = "";
}

static void goal_t2dm(const struct proposal_input *in, struct proposal *p)
{
	struct filling g = filling_by(in, FILL_FASTING, filling_of);
	if (g.filled && g.n_values)
		p->at_goal = g.milli[0] < in->numbers->goal_t2dm_fasting_below &&
			     g.milli[0] > in->numbers->goal_t2dm_fasting_above;
	else if (streq(g.note, "beyond_range"))
		p->at_goal = 0;
	p->goal_why = p->at_goal < 0 ? "no_value" : "";
}

/* class */

static int choice(const struct proposal_input *in, const char *key)
{
	return filling_key(in, key).choice;
}

static void classify(const struct proposal_input *in, struct proposal *p, struct ours *ret_ours)
{
	int complication = choice(in, "complication"), adverse = choice(in, "adverse_reaction");
	bool answered = complication == 1 && adverse == 1;
	p->class_why = "";
	if (complication == 2) {
		p->class = 4;
	} else if (adverse == 2) {
		p->class = 3;
	} else if (p->at_goal == 0) {
		p->class = 2;
		p->class_why = answered ? "" : "answers_missing";
	} else if (p->at_goal == 1 && answered) {
		p->class = 1;
	} else {
		p->class_why = p->at_goal == 1 ? "answer_first" : p->goal_why;
	}
	ret_ours->class = p->class;
	int own = choice(in, "classification");
	if (own) {
		p->class = own;
		p->class_by_person = true;
		p->class_why = "";
	}
}

/* referral: what a person wrote into the form counts beside the readings and takes no reason away */

/* Whether the value is at least so high whatever was beyond the range: "> 33.3" is, "< 33.3" says nothing. */
static bool reaches(const struct visit_value *v, int64_t limit)
{
	return v->comparator != '<' && v->milli >= limit;
}

static bool at_least(const struct filling *f, const int64_t *limits, unsigned n)
{
	for (unsigned i = 0; f->filled && f->n_values == n && i < n; i++)
		if (f->milli[i] >= limits[i])
			return true;
	return false;
}

/* Whether the value of the form is so high, a person's or that of the rule. */
static bool reached(
	const struct proposal_input *in, enum fill fill, const int64_t *limits, unsigned n)
{
	struct filling shown = filling_by(in, fill, filling_of);
	struct filling rule = filling_by(in, fill, filling_rule);
	return at_least(&shown, limits, n) || at_least(&rule, limits, n);
}

static bool bp_urgent(const struct proposal_input *in)
{
	const struct visit_value *v[PRESSURES];
	const int64_t limits[PRESSURES] = {in->numbers->urgent_sbp, in->numbers->urgent_dbp};
	for (size_t i = 0; i < in->n_readings; i++)
		if (bp_numbers(&in->readings[i], v) &&
			(reaches(v[SYSTOLIC], limits[SYSTOLIC]) ||
				reaches(v[DIASTOLIC], limits[DIASTOLIC])))
			return true;
	return reached(in, FILL_BP, limits, PRESSURES);
}

static bool pregnant(const struct proposal_input *in)
{
	return list_has(in->conditions, "pregnant") || list_has(in->conditions, "breastfeeding");
}

static bool pregnant_bp(const struct proposal_input *in)
{
	const int64_t limits[PRESSURES] = {
		in->numbers->urgent_pregnant_sbp, in->numbers->urgent_pregnant_dbp};
	return pregnant(in) && reached(in, FILL_BP, limits, PRESSURES);
}

static bool high(const struct proposal_input *in, const struct visit_value *v)
{
	return v->comparator == '>' || reaches(v, in->numbers->urgent_glucose_high);
}

static bool low(const struct proposal_input *in, const struct visit_value *v)
{
	return v->comparator == '<' ||
	       (!v->comparator && v->milli <= in->numbers->urgent_glucose_low);
}

/* Whether any blood glucose of the visit is so, those included that a person wrote into the form. */
static bool any_glucose(const struct proposal_input *in,
	bool (*is)(const struct proposal_input *in, const struct visit_value *v))
{
	for (size_t i = 0; i < in->n_readings; i++)
		for (size_t k = 0; k < ELEMENTS(blood_glucose); k++) {
			const struct visit_value *v =
				reading_value(&in->readings[i], blood_glucose[k]);
			if (v && is(in, v))
				return true;
		}
	static const enum fill fills[] = {FILL_FASTING, FILL_OTHER_GLUCOSE};
	for (size_t i = 0; i < ELEMENTS(fills); i++) {
		struct filling f = filling_by(in, fills[i], filling_of);
		struct visit_value v = {.milli = f.milli[0]};
		if (f.filled && f.n_values && is(in, &v))
			return true;
	}
	return false;
}

static bool pregnant_glucose(const struct proposal_input *in)
{
	return pregnant(in) && reached(in, FILL_FASTING, &in->numbers->urgent_pregnant_fasting, 1);
}

static bool temperature(const struct proposal_input *in)
{
	for (size_t i = 0; i < in->n_readings; i++) {
		const struct visit_value *v = reading_value(&in->readings[i], "temp");
		if (v && v->comparator != '<' && v->milli > in->numbers->urgent_temp_above)
			return true;
	}
	return false;
}

/* Persistent: every one of the visit, and more than one reading says so. */
static bool heart_rate(const struct proposal_input *in)
{
	unsigned readings = 0;
	for (size_t i = 0; i < in->n_readings; i++) {
		bool counts = false;
		for (size_t k = 0; k < ELEMENTS(heart_rates); k++) {
			const struct visit_value *v =
				reading_value(&in->readings[i], heart_rates[k]);
			if (v && (v->comparator == '<' ||
					 v->milli <= in->numbers->urgent_heart_rate_above))
				return false;
			counts |= v != NULL;
		}
		readings += counts;
	}
	return readings >= 2;
}

static void refer(struct proposal *p, const char *reason, bool holds)
{
	if (holds)
		p->referrals[p->n_referrals++] = reason;
}

/* The reasons that cannot wait first; returns how many of these there are. */
static unsigned referrals(const struct proposal_input *in, struct proposal *p)
{
	bool t2dm = streq(in->form, FORM_T2DM);
	if (t2dm || streq(in->form, FORM_HTN)) {
		refer(p, "bp_urgent", bp_urgent(in));
		refer(p, "pregnant_bp", pregnant_bp(in));
	}
	if (t2dm) {
		refer(p, "glucose_high", any_glucose(in, high));
		refer(p, "glucose_low", any_glucose(in, low));
		refer(p, "pregnant_glucose", pregnant_glucose(in));
		refer(p, "temperature", temperature(in));
		refer(p, "heart_rate", heart_rate(in));
	}
	unsigned urgent = p->n_referrals;
	int before = in->before.known ? in->before.class : 0;
	refer(p, "complication", p->class == 4);
	refer(p, "adverse_twice", p->class == 3 && before == 3);
	refer(p, "not_controlled_twice", p->class == 2 && before == 2);
	return urgent;
}

/* what comes next */

static int32_t next_day(const struct proposal_input *in, const struct proposal *p)
{
	if (!streq(in->form, FORM_HTN) && !streq(in->form, FORM_T2DM))
		return DAY_NONE;
	if (p->n_referrals || p->class >= 2)
		return in->day + (int32_t)in->numbers->next_refollow_days;
	return p->class == 1 ? day_add_months(in->day, (int)in->numbers->next_months) : DAY_NONE;
}

static int measures(const struct proposal *p, unsigned urgent)
{
	if (urgent)
		return 4;
	if (p->n_referrals)
		return 3;
	return p->class == 2 || p->class == 3 ? 2 : p->class == 1;
}

struct proposal proposal_decide(const struct proposal_input *in, struct ours *ret_ours)
{
	struct proposal p = {.at_goal = -1, .goal_why = ""};
	if (streq(in->form, FORM_HTN))
		goal_htn(in, &p);
	if (streq(in->form, FORM_T2DM))
		goal_t2dm(in, &p);
	classify(in, &p, ret_ours);
	unsigned urgent = referrals(in, &p);
	struct filling next = filling_key(in, "next_visit_date"),
		       own = filling_key(in, "next_measures");
	ret_ours->next_day = next_day(in, &p);
	ret_ours->measures = measures(&p, urgent);
	p.next_day = next.filled ? next.day : ret_ours->next_day;
	p.measures = own.choice ? own.choice : ret_ours->measures;
	return p;
}
