/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rule.h"

#include "rule_set.h"
#include "traits.h"

#include <assert.h>

const char *const rule_types[] = {"limit", "range", "combination", "repeated", "rise", "fall",
	"gain", "repeated_low", "time_below", "mean", "overdue", "missing", "silent",
	"device_silent", "battery", "store", "clock", "ecg_not_sent", "ecg_overdue", NULL};
static_assert(ELEMENTS(rule_types) == RULE_TYPES + 1, "rule: types");

/* asking */

const char *alert_rules_version(const struct alert_rules *r)
{
	return r->version;
}

const struct alert_rule *alert_rules_at(const struct alert_rules *r, unsigned index)
{
	return index < r->n ? &r->rules[index] : NULL;
}

const struct alert_rule *alert_rules_find(const struct alert_rules *r, const char *id)
{
	for (unsigned i = 0; i < r->n; i++)
		if (streq(r->rules[i].id, id))
			return &r->rules[i];
	return NULL;
}

const struct rule_advice *alert_rules_advice(const struct alert_rules *r, const char *id)
{
	for (unsigned i = 0; i < r->n_advice; i++)
		if (streq(r->advice[i].id, id))
			return &r->advice[i];
	return NULL;
}

bool alert_place_known(const struct alert_rules *r, const char *place)
{
	for (unsigned i = 0; i < r->n; i++)
		if (place[0] && streq(r->rules[i].place, place))
			return true;
	return false;
}

const struct statements *alert_statements(const struct alert_rules *r)
{
	return &r->statements;
}

const struct rule_times *alert_times(const struct alert_rules *r)
{
	return &r->times;
}

const char *alert_doubtful(const struct alert_rules *rules, const struct reading *r)
{
	for (unsigned i = 0; i < r->n_flags; i++)
		for (unsigned k = 0; k < rules->n_flags; k++)
			if (streq(r->flags[i], rules->flags[k]))
				return r->flags[i];
	return NULL;
}

bool alert_repeats(const struct alert_rules *rules, const char *kind)
{
	for (unsigned i = 0; i < rules->n_kinds; i++)
		if (alert_kind_matches(rules->kinds[i], kind))
			return true;
	return false;
}

/* for whom */

static bool age_fits(const struct rule_whom *w, struct age age)
{
	int old = w->age_from < 0 ? 1 : age_at_least(age, w->age_from);
	int young = w->age_below < 0 ? 0 : age_at_least(age, w->age_below);
	return (old == 1 || (old < 0 && w->unknown)) && (young == 0 || (young < 0 && w->unknown));
}

bool rule_is_for(const struct rule_whom *w, const struct person *p, int altitude_m)
{
	if ((w->altitude_from >= 0 && altitude_m < w->altitude_from) ||
		(w->altitude_below >= 0 && altitude_m >= w->altitude_below))
		return false;
	if (!p->known && w->unknown)
		return true;
	bool setting = w->settings & p->setting || (w->unknown && !p->setting);
	return (p->traits & w->traits) == w->traits && !(p->traits & w->not_traits) &&
	       (!w->programmes || (p->programmes & w->programmes)) &&
	       (!w->populations || (p->populations & w->populations)) &&
	       (!w->settings || setting) && age_fits(w, p->age);
}

/* limits */

bool rule_limit_upper(const struct rule_limit *l)
{
	return l->op == RULE_AT_LEAST || l->op == RULE_ABOVE;
}

bool rule_limit_breaks(const struct rule_limit *l, int64_t milli, char comparator)
{
	if (comparator == (rule_limit_upper(l) ? '>' : '<'))
		return true;
	switch (l->op) {
	case RULE_AT_LEAST:
		return milli >= l->milli;
	case RULE_ABOVE:
		return milli > l->milli;
	case RULE_AT_MOST:
		return milli <= l->milli;
	case RULE_BELOW:
		return milli < l->milli;
	default:
		assert(!"rule: op");
	}
	return true;
}

static bool breaks_within(const struct alert_rule *rule, const struct quantity *q, int64_t margin)
{
	for (unsigned i = 0; i < rule->n_limits; i++) {
		const struct rule_limit *l = &rule->limits[i];
		int64_t nearer = rule_limit_upper(l) ? margin : -margin;
		if (rule_limit_breaks(l, q->value.milli + nearer, q->comparator))
			return true;
	}
	return false;
}

bool alert_breaks(const struct alert_rule *rule, const struct quantity *q)
{
	return breaks_within(rule, q, 0);
}

bool alert_holds(const struct alert_rule *rule, const struct quantity *q)
{
	return breaks_within(rule, q, rule->margin_milli);
}

/* kinds */

bool alert_kind_matches(const char *pattern, const char *kind)
{
	const char *star = strchr(pattern, '*');
	return star ? strncmp(pattern, kind, (size_t)(star - pattern)) == 0 : streq(pattern, kind);
}

/* A pattern that matches nothing would be a rule that is silent for ever. Technical rules judge places and no
 * other rule does. */
bool alert_kind_fits(const struct codes *codes, const char *pattern, bool technical)
{
	static const char environment[] = "env."; /* how the kinds begin that are of a place */
	const struct code *code;
	const char *star = strchr(pattern, '*');
	unsigned n = 0;
	if (star && (star[1] || technical))
		return false;
	for (size_t i = 0; (code = codes_at(codes, i)); i++)
		if (alert_kind_matches(pattern, code->kind)) {
			bool place = strncmp(code->kind, environment, strlen(environment)) == 0;
			if (place != technical)
				return false;
			n++;
		}
	return n > 0;
}

/* by kind */

static size_t hash_of(const char *kind)
{
	uint32_t h = 2166136261U; /* FNV-1a */
	for (; *kind; kind++)
		h = (h ^ (uint8_t)*kind) * 16777619U;
	return h;
}

static struct rule_kind *slot_of(const struct alert_rules *r, const char *kind)
{
	size_t n = ELEMENTS(r->by_kind), i = hash_of(kind) % n;
	while (r->by_kind[i].kind[0] && !streq(r->by_kind[i].kind, kind))
		i = (i + 1) % n;
	return (struct rule_kind *)&r->by_kind[i];
}

const uint16_t *alert_rules_of(const struct alert_rules *r, const char *kind, unsigned *ret_n)
{
	const struct rule_kind *k = slot_of(r, kind);
	*ret_n = k->n;
	return r->index + k->first;
}

static bool is_about(const struct alert_rule *rule, const char *kind)
{
	if (rule->technical || rule->type > RULE_TIME_BELOW)
		return false;
	for (unsigned i = 0; i < rule->n_parts; i++)
		if (alert_kind_matches(rule->parts[i].kind, kind))
			return true;
	return !rule->n_parts && alert_kind_matches(rule->kind, kind);
}

/* Numbers the conditions of readings. */
static bool count_topics(struct alert_rules *r)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->n; i++) {
		struct alert_rule *rule = &r->rules[i];
		unsigned k = 0;
		if (rule->technical || rule->type > RULE_TIME_BELOW)
			continue;
		while (k < i && (r->rules[k].technical || r->rules[k].type > RULE_TIME_BELOW ||
					!streq(r->rules[k].condition, rule->condition)))
			k++;
		rule->topic = k < i ? r->rules[k].topic : (uint8_t)n++;
		if (n > RULE_CONDITIONS_MAX)
			return false;
	}
	return true;
}

static uint32_t window_of(const struct alert_rule *r)
{
	bool median = r->usual_by_milli || r->type == RULE_RISE || r->type == RULE_FALL;
	return r->within_s || !median ? r->within_s : RULE_MEDIAN_S;
}

static void find_horizons(struct alert_rules *r)
{
	for (unsigned i = 0; i < r->n; i++)
		for (unsigned k = 0; k < r->n; k++)
			if (streq(r->rules[i].kind, r->rules[k].kind))
				r->rules[i].horizon_s =
					MAX(r->rules[i].horizon_s, window_of(&r->rules[k]));
}

bool rule_set_compile(struct alert_rules *r, const struct codes *codes)
{
	const struct code *code;
	if (!count_topics(r))
		return false;
	find_horizons(r);
	for (size_t i = 0; (code = codes_at(codes, i)); i++) {
		unsigned first = r->n_index;
		for (unsigned k = 0; k < r->n; k++) {
			if (streq(code->kind, KIND_CONTROL) || !is_about(&r->rules[k], code->kind))
				continue;
			if (r->n_index == RULE_INDEX_MAX)
				return false;
			r->index[r->n_index++] = (uint16_t)k;
		}
		if (r->n_index == first)
			continue;
		if (r->n_by_kind++ == RULE_KINDS_MAX)
			return false;
		struct rule_kind *slot = slot_of(r, code->kind);
		memcpy(slot->kind, code->kind, sizeof(slot->kind));
		slot->first = (uint16_t)first;
		slot->n = (uint16_t)(r->n_index - first);
	}
	return true;
}
