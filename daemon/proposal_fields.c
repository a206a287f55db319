/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The named rules that fill a field from the readings of a visit. */
#include "proposal_state.h"

const struct visit_value *reading_value(const struct visit_reading *r, const char *kind)
{
	for (unsigned i = 0; i < r->n; i++)
		if (streq(r->values[i].kind, kind))
			return &r->values[i];
	return NULL;
}

bool list_next(const char **p, char *ret, size_t size)
{
	*p += strspn(*p, " ;");
	size_t len = strcspn(*p, " ;");
	text_copy(ret, size, *p, len);
	*p += len;
	return len;
}

bool list_has(const char *list, const char *word)
{
	char found[32];
	while (list && list_next(&list, found, sizeof(found)))
		if (streq(found, word))
			return true;
	return false;
}

static struct filling empty(void)
{
	return (struct filling){.by = "device", .note = "", .day = DAY_NONE, .from = DAY_NONE};
}

static void add_reading(struct filling *f, const char *id)
{
	f->readings[f->n_readings++] = id;
}

static struct filling number(
	const struct proposal_input *in, const char *kind, int64_t milli, const char *reading)
{
	struct filling f = empty();
	f.code = codes_find(in->codes, kind);
	f.filled = f.code;
	f.n_values = 1;
	f.milli[0] = milli;
	f.decimals = f.code ? f.code->decimals : 0;
	if (reading)
		add_reading(&f, reading);
	return f;
}

/* As it was rounded when it was received, whatever the table says by now. */
static struct filling value(
	const struct proposal_input *in, const struct visit_reading *r, const struct visit_value *v)
{
	struct filling f = number(in, v->kind, v->milli, r->id);
	f.decimals = v->decimals;
	return f;
}

/* The last reading of the visit that has the kind; `usable`: as a number that was counted to its end. */
static const struct visit_reading *last(const struct proposal_input *in, const char *kind,
	bool usable, const struct visit_value **ret)
{
	for (size_t i = in->n_readings; i-- > 0;) {
		const struct visit_reading *r = &in->readings[i];
		const struct visit_value *v = reading_value(r, kind);
		/* a cuff that saw an irregular pulse counted what it could */
		bool counted = v && !v->comparator && !(r->irregular && streq(kind, "bp.pulse"));
		if (usable ? counted : v != NULL) {
			*ret = v;
			return r;
		}
	}
	return NULL;
}

static struct filling fill_last(const struct proposal_input *in, const char *kinds)
{
	char kind[32];
	while (list_next(&kinds, kind, sizeof(kind))) {
		const struct visit_value *v;
		const struct visit_reading *r = last(in, kind, true, &v);
		if (r)
			return value(in, r, v);
	}
	return empty();
}

static struct filling fill_fasting(const struct proposal_input *in, const char *kinds)
{
	char kind[32];
	const struct visit_value *v;
	const struct visit_reading *r = NULL;
	if (list_next(&kinds, kind, sizeof(kind)))
		r = last(in, kind, false, &v);
	if (r && !v->comparator)
		return value(in, r, v);
	struct filling f = empty();
	if (r)
		f.note = "beyond_range";
	return f;
}

static struct filling fill_bp(const struct proposal_input *in, const struct bp_group *g)
{
	struct filling f = empty();
	f.code = codes_find(in->codes, "bp.sbp");
	if (!g || !g->n || !f.code)
		return f;
	f.filled = true;
	f.note = g->note;
	f.n_values = PRESSURES;
	f.decimals = f.code->decimals;
	for (int i = 0; i < PRESSURES; i++)
		f.milli[i] = mean_rounded(g->sum[i], g->n, f.decimals);
	for (unsigned i = 0; i < g->n; i++)
		add_reading(&f, g->used[i]->id);
	return f;
}

/* An adult's height holds until another is measured; a child grows. An unknown age is a child's. */
static bool stands_in(const struct proposal_input *in)
{
	const struct visit_result *h = &in->height;
	return h->kind &&
	       (age_at_least(age_on(in->birth, h->day), in->numbers->height_adult_age) == 1 ||
		       in->day - h->day <= in->numbers->height_child_days);
}

static struct filling fill_height(const struct proposal_input *in)
{
	struct filling f = fill_last(in, "height");
	if (f.filled || !stands_in(in))
		return f;
	f = number(in, "height", in->height.milli, in->height.id);
	f.decimals = in->height.decimals;
	f.from = in->height.day;
	return f;
}

/* kg/m2: thousandths of kg and of cm give w * 10^10 / h^2 thousandths; rounded once, exactly. */
static struct filling fill_bmi(const struct proposal_input *in)
{
	struct filling w = filling_key(in, "weight"), h = filling_key(in, "height");
	if (!h.filled) /* most forms do not print it */
		h = fill_height(in);
	if (!w.filled || !h.filled || h.milli[0] <= 0)
		return empty();
	struct filling f = number(in, "bmi", 0, NULL);
	if (!f.filled)
		return f;
	__int128 part = (__int128)h.milli[0] * h.milli[0] * step_of(f.decimals);
	__int128 bmi = (2 * (__int128)w.milli[0] * INT64_C(10000000000) + part) / (2 * part) *
		       step_of(f.decimals);
	f.milli[0] = (int64_t)bmi;
	f.by = "derived";
	f.from = h.from;
	if (bmi < f.code->min_milli || bmi > f.code->max_milli) { /* one of the two is wrong */
		f.filled = false;
		f.note = "implausible";
	}
	if (w.n_readings)
		add_reading(&f, w.readings[0]);
	if (h.n_readings)
		add_reading(&f, h.readings[0]);
	return f;
}

/* Of the elements of a field the one of the value's own kind, else the first; a pressure has two in order. */
static void element(
	const struct form_field *f, const struct code *code, int nth, char *ret, size_t size)
{
	const char *p = f->ws;
	*ret = 0;
	if (f->fill != FILL_BP && f->fill != FILL_BP_LEFT && f->fill != FILL_BP_RIGHT) {
		nth = 0;
		if (list_has(p, code->ws))
			p = code->ws;
	}
	while (list_next(&p, ret, size) && nth-- > 0)
		;
}

/* As its elements print it; a value that does not fit stays out of the form. */
static void print(
	const struct proposal_input *in, const struct form_field *field, struct filling *f)
{
	size_t used = 0;
	bool fits = true;
	for (unsigned i = 0; i < f->n_values; i++) {
		char id[24], text[WS_TEXT];
		element(field, f->code, (int)i, id, sizeof(id));
		fits &= ws_text(in->ws, id, f->milli[i], f->decimals, text);
		used += (size_t)snprintf(
			f->text + used, sizeof(f->text) - used, "%s%s", i ? "/" : "", text);
	}
	if (!fits && f->filled) {
		f->filled = false;
		f->note = "does_not_fit";
	}
}

struct filling filling_day(int32_t day)
{
	struct filling f = empty();
	f.filled = true;
	f.by = "derived";
	f.day = day;
	day_text(f.text, day);
	return f;
}

struct filling filling_rule(const struct proposal_input *in, const struct form_field *field)
{
	struct bp_group groups[ARMS];
	struct filling f;
	switch (field->fill) {
	case FILL_VISIT_DATE:
		return in->day == DAY_NONE ? empty() : filling_day(in->day);
	case FILL_BP:
		bp_groups(in, groups);
		f = fill_bp(in, bp_higher(groups));
		break;
	case FILL_BP_LEFT:
	case FILL_BP_RIGHT:
		bp_groups(in, groups);
		f = fill_bp(in, &groups[field->fill == FILL_BP_LEFT ? ARM_LEFT : ARM_RIGHT]);
		break;
	case FILL_LAST:
	case FILL_HEART_RATE:
	case FILL_OTHER_GLUCOSE:
		f = fill_last(in, field->kinds);
		break;
	case FILL_HEIGHT:
		f = fill_height(in);
		break;
	case FILL_BMI:
		f = fill_bmi(in);
		break;
	case FILL_FASTING:
		f = fill_fasting(in, field->kinds);
		break;
	default:
		return empty();
	}
	print(in, field, &f);
	return f;
}

struct filling filling_of(const struct proposal_input *in, const struct form_field *field)
{
	struct filling f;
	const json_t *answer = json_object_get(in->answers, field->key);
	if (answer && answer_read(in->codes, field, answer, &f) == 0)
		return f;
	if (answer &&
		f.text[0]) /* it fitted when it was said: it stands, and nothing rests on it */
		return f;
	return filling_rule(in, field);
}

struct filling filling_key(const struct proposal_input *in, const char *key)
{
	const struct form_field *field = forms_find(in->forms, in->form, key);
	return field ? filling_of(in, field) : empty();
}
