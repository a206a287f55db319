/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes a proposal: the form in its order, what stands in each field and why, and what follows from it. */
#include "proposal_state.h"

struct writer {
	const struct proposal_input *in;
	const struct proposal *decided;
	struct ours ours;
	struct json *j;
	bool evidence; /* the object of it is open */
};

static struct json *evidence(struct writer *w)
{
	if (!w->evidence)
		json_object_begin(w->j, "evidence");
	w->evidence = true;
	return w->j;
}

static void put_day(struct json *j, const char *key, int32_t day)
{
	char text[DAY_TEXT];
	if (day != DAY_NONE)
		json_str(j, key, day_text(text, day));
}

static void put_readings(struct json *j, const char *const *ids, unsigned n)
{
	json_array_begin(j, "readings");
	for (unsigned i = 0; i < n; i++)
		json_str(j, NULL, ids[i]);
	json_array_end(j);
}

/* "value" or both pressures, and what tells where it is from. */
static void put_filling(struct json *j, const struct form_field *field, const struct filling *f)
{
	bool person = streq(f->by, "person");
	json_str(j, "by", f->by);
	if (f->day != DAY_NONE)
		put_day(j, "value", f->day);
	else if (person)
		json_str(j, "value", f->text);
	if (f->n_values == PRESSURES) {
		json_milli(j, "systolic", f->milli[SYSTOLIC], f->decimals);
		json_milli(j, "diastolic", f->milli[DIASTOLIC], f->decimals);
	} else if (f->n_values && !person) {
		json_milli(j, "value", f->milli[0], f->decimals);
	}
	if (f->n_values)
		json_str(j, "unit", f->code->ucum);
	json_str(j, "text", f->text);
	if (f->n_values == 1 && !person) {
		json_str(j, "kind", f->code->kind);
		if (field->fill == FILL_HEART_RATE)
			json_str(j, "origin", f->code->kind);
	}
	put_day(j, "from", f->from);
	if (!person)
		put_readings(j, f->readings, f->n_readings);
}

/* results since the visit before */

static const struct visit_result *result(const struct proposal_input *in, const char *kind)
{
	for (size_t i = 0; i < in->n_results; i++)
		if (streq(in->results[i].kind, kind))
			return &in->results[i];
	return NULL;
}

static bool has_results(const struct proposal_input *in, const struct form_field *field)
{
	const char *kinds = field->kinds;
	char kind[32];
	while (list_next(&kinds, kind, sizeof(kind)))
		if (result(in, kind) && codes_find(in->codes, kind))
			return true;
	return false;
}

static void put_result(struct writer *w, const struct code *code, const struct visit_result *r)
{
	char text[WS_TEXT];
	struct json *j = w->j;
	json_object_begin(j, NULL);
	json_str(j, "kind", code->kind);
	json_str(j, "zh", code->name_zh);
	if (code->ws[0])
		json_str(j, "ws", code->ws);
	json_milli(j, "value", r->milli, r->decimals);
	json_str(j, "unit", code->ucum);
	if (ws_text(w->in->ws, code->ws, r->milli, r->decimals, text))
		json_str(j, "text", text);
	else
		json_str(j, "note", "does_not_fit");
	put_day(j, "day", r->day);
	json_str(j, "reading", r->id);
	json_object_end(j);
}

static void put_results(struct writer *w, const struct form_field *field)
{
	const char *kinds = field->kinds;
	char kind[32];
	json_str(w->j, "by", "device");
	json_array_begin(w->j, "items");
	while (list_next(&kinds, kind, sizeof(kind))) {
		const struct visit_result *r = result(w->in, kind);
		const struct code *code = codes_find(w->in->codes, kind);
		if (r && code)
			put_result(w, code, r);
	}
	json_array_end(w->j);
}

/* evidence: what stands beside a field and not in it */

static void put_arms(struct writer *w)
{
	static const char *const names[ARMS] = {"not_annotated", "left", "right"};
	struct bp_group groups[ARMS];
	unsigned decimals = codes_find(w->in->codes, "bp.sbp")->decimals;
	bp_groups(w->in, groups);
	if (!bp_higher(groups))
		return;
	struct json *j = evidence(w);
	json_array_begin(j, "arms");
	for (int i = 0; i < ARMS; i++) {
		const struct bp_group *g = &groups[i];
		const char *ids[BP_USED_MAX];
		if (!g->n)
			continue;
		for (unsigned k = 0; k < g->n; k++)
			ids[k] = g->used[k]->id;
		json_object_begin(j, NULL);
		json_str(j, "arm", names[i]);
		json_milli(j, "systolic", mean_rounded(g->sum[SYSTOLIC], g->n, decimals), decimals);
		json_milli(
			j, "diastolic", mean_rounded(g->sum[DIASTOLIC], g->n, decimals), decimals);
		if (g->note[0])
			json_str(j, "note", g->note);
		put_readings(j, ids, g->n);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_week(struct writer *w)
{
	const struct home_week *h = &w->in->week;
	unsigned decimals = codes_find(w->in->codes, "bp.sbp")->decimals;
	if (!h->valid)
		return;
	struct json *j = evidence(w);
	json_object_begin(j, "home_week");
	put_day(j, "from", h->from);
	put_day(j, "to", h->to);
	json_int(j, "n", h->n);
	json_int(j, "days", h->days);
	json_milli(j, "systolic", h->systolic, decimals);
	json_milli(j, "diastolic", h->diastolic, decimals);
	json_str(j, "verdict", h->verdict);
	json_object_end(j);
}

static void put_hypo(struct writer *w)
{
	const struct code *code = codes_find(w->in->codes, "glu.random");
	if (!w->in->hypo.episodes || !code)
		return;
	struct json *j = evidence(w);
	json_object_begin(j, "hypo");
	json_int(j, "episodes", w->in->hypo.episodes);
	json_milli(j, "lowest", w->in->hypo.lowest, code->decimals);
	json_str(j, "unit", code->ucum);
	put_day(j, "since", w->in->hypo.since);
	json_object_end(j);
}

/* What an instrument could only say as more or less than its range: no number for a form, and not to be missed. */
static void put_beyond(struct writer *w, const struct form_field *field)
{
	bool any = false;
	for (size_t i = 0; i < w->in->n_readings; i++) {
		const char *kinds = field->kinds;
		char kind[32];
		while (list_next(&kinds, kind, sizeof(kind))) {
			const struct visit_value *v = reading_value(&w->in->readings[i], kind);
			if (!v || !v->comparator)
				continue;
			if (!any)
				json_array_begin(evidence(w), "beyond_range");
			any = true;
			json_object_begin(w->j, NULL);
			json_str(w->j, "kind", v->kind);
			json_string_n(w->j, "comparator", &v->comparator, 1);
			json_milli(w->j, "value", v->milli, v->decimals);
			json_str(w->j, "reading", w->in->readings[i].id);
			json_object_end(w->j);
		}
	}
	if (any)
		json_array_end(w->j);
}

static void put_referrals(struct json *j, const char *key, const struct proposal *p)
{
	json_array_begin(j, key);
	for (unsigned i = 0; i < p->n_referrals; i++)
		json_str(j, NULL, p->referrals[i]);
	json_array_end(j);
}

/* What the rule says, where a person said something else or the field has no room for it. */
static void put_proposed(struct writer *w, const struct form_field *field, const struct filling *f)
{
	const struct proposal *p = w->decided;
	if (field->fill == FILL_CLASS && w->ours.class)
		json_int(evidence(w), "proposed", w->ours.class);
	if (field->fill == FILL_MEASURES && w->ours.measures)
		json_int(evidence(w), "proposed", w->ours.measures);
	if (field->fill == FILL_NEXT_VISIT && f->filled && streq(f->by, "person"))
		put_day(evidence(w), "proposed", w->ours.next_day);
	if (field->fill == FILL_REFERRAL && p->n_referrals)
		put_referrals(evidence(w), "proposed", p);
	struct filling rule = filling_rule(w->in, field);
	if ((f->filled && streq(f->by, "person") && rule.filled) || (!f->filled && rule.n_values)) {
		json_object_begin(evidence(w), "proposed");
		put_filling(w->j, field, &rule);
		json_object_end(w->j);
	}
}

static void put_evidence(struct writer *w, const struct form_field *field, const struct filling *f)
{
	bool pressure = field->fill == FILL_BP || field->fill == FILL_BP_LEFT ||
			field->fill == FILL_BP_RIGHT;
	put_proposed(w, field, f);
	if (pressure)
		put_arms(w);
	if (field->fill == FILL_BP)
		put_week(w);
	if (streq(field->key, "hypoglycaemia"))
		put_hypo(w);
	if (field->fill != FILL_AUX && field->kinds[0])
		put_beyond(w, field);
	if (field->fill == FILL_AUX && f->filled && has_results(w->in, field)) {
		json_object_begin(evidence(w), "proposed");
		put_results(w, field);
		json_object_end(w->j);
	}
	if (w->evidence)
		json_object_end(w->j);
	w->evidence = false;
}

static void put_field(struct writer *w, const struct form_field *field)
{
	struct json *j = w->j;
	struct filling f = filling_of(w->in, field);
	bool results = !f.filled && field->fill == FILL_AUX && has_results(w->in, field);
	if (!f.filled && field->fill == FILL_NEXT_VISIT && w->decided->next_day != DAY_NONE)
		f = filling_day(w->decided->next_day);
	json_object_begin(j, NULL);
	json_str(j, "key", field->key);
	json_str(j, "zh", field->zh);
	json_str(j, "en", field->en);
	if (field->ws[0])
		json_str(j, "ws", field->ws);
	if (field->choices[0])
		json_str(j, "choices", field->choices);
	json_bool(j, "device_fillable", field->fillable);
	json_bool(j, "filled", f.filled || results);
	if (f.filled)
		put_filling(j, field, &f);
	if (results)
		put_results(w, field);
	if (field->fill != FILL_PERSON)
		json_str(j, "rule", fill_name(field->fill));
	if (f.note[0])
		json_str(j, "note", f.note);
	put_evidence(w, field, &f);
	json_object_end(j);
}

/* "yes", "no", "unknown"; null: this form has no goal. */
static void put_goal(struct json *j, const struct proposal *p)
{
	static const char *const names[] = {"unknown", "no", "yes"};
	if (p->at_goal < 0 && !p->goal_why[0])
		json_none(j, "at_goal");
	else
		json_str(j, "at_goal", names[p->at_goal + 1]);
	json_str(j, "goal_why", p->goal_why);
}

static void put_number(struct json *j, const char *key, int n)
{
	if (n)
		json_int(j, key, n);
	else
		json_none(j, key);
}

static void put_decision(const struct writer *w)
{
	const struct proposal *p = w->decided;
	char text[DAY_TEXT];
	struct json *j = w->j;
	json_object_begin(j, "proposed");
	put_goal(j, p);
	put_number(j, "class", p->class);
	json_str(j, "class_by", p->class_by_person ? "person" : p->class ? "derived" : NULL);
	json_str(j, "class_why", p->class_why);
	json_str(
		j, "next_visit_date", p->next_day == DAY_NONE ? NULL : day_text(text, p->next_day));
	put_number(j, "measures", p->measures);
	put_referrals(j, "referrals", p);
	json_object_end(j);
}

void proposal_make(const struct proposal_input *in, struct proposal *ret, struct json *j)
{
	const struct form_field *field;
	struct writer w = {.in = in, .decided = ret, .j = j};
	*ret = proposal_decide(in, &w.ours);
	json_str(j, "form", in->form);
	json_str(j, "forms_version", forms_version(in->forms));
	json_str(j, "numbers_version", in->numbers->version);
	json_str(j, "codes_version", codes_version(in->codes));
	if (in->ws)
		json_str(j, "ws_version", ws_version(in->ws));
	json_array_begin(j, "fields");
	for (unsigned i = 0; (field = forms_field(in->forms, in->form, i)); i++)
		put_field(&w, field);
	json_array_end(j);
	put_decision(&w);
}
