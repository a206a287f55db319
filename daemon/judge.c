/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "judge.h"

#include "numbers.h"

#include <assert.h>

#define NOWHERE UINT8_MAX
#define LATEST 8 /* of one instant at most: the first of them is the latest */

/* One reading being judged. */
struct look {
	const struct judge_input *in;
	struct judgement *out;
	uint8_t place[JUDGED_MAX]; /* of a condition, in `out`; NOWHERE: it has none yet */
	uint8_t topic[JUDGED_MAX]; /* of each in `out` */
	bool clean[JUDGED_MAX];	   /* what is critical is of a kind that is not repeated */
	/* what was asked last of the history */
	const char *pattern; /* NULL: nothing */
	int64_t from_us;
	size_t n_known, n; /* `n`: of them, what the rule looks at */
	struct history_value values[HISTORY_MAX];
};

/* history */

/* The values of a kind within so many seconds before, latest first: l->n of them. Several rules ask for the same, so that
 * the first one asks for as much as any will need. */
static int before(struct look *l, const char *pattern, uint32_t within_s, uint32_t horizon_s)
{
	const struct judge_input *in = l->in;
	int64_t from_us = in->at_us - within_s * CLOCK_SECOND_US;
	if (!l->pattern || from_us < l->from_us || !streq(l->pattern, pattern)) {
		l->n_known = 0;
		l->pattern = NULL;
		l->from_us = in->at_us - MAX(within_s, horizon_s) * CLOCK_SECOND_US;
		int rc = in->history
				 ? in->history->values(in->history->arg, pattern, l->from_us,
					   in->at_us, l->values, ELEMENTS(l->values), &l->n_known)
				 : 0;
		if (rc < 0)
			return rc;
		l->pattern = pattern;
	}
	for (l->n = 0; l->n < l->n_known && l->values[l->n].taken_us >= from_us;)
		l->n++;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* 1 with the median, 0: it is not known, -errno. */
static int median(struct look *l, const struct alert_rule *rule, const char *pattern, int64_t *ret)
{
	int64_t sorted[HISTORY_MAX];
	uint32_t within_s = rule->within_s ? rule->within_s : RULE_MEDIAN_S;
	int rc = before(l, pattern, within_s, rule->horizon_s);
	if (rc < 0)
		return rc;
	if (l->n < (rule->least ? rule->least : RULE_MEDIAN_LEAST))
		return 0;
	for (size_t i = 0; i < l->n; i++)
		sorted[i] = l->values[i].milli;
	qsort(sorted, l->n, sizeof(sorted[0]), by_size);
	*ret = sorted[(l->n - 1) / 2];
	return 1;
}

/* types: 1 it fires, 0, -errno. The value breaks the rule's limit already. */

/* Is a value so near to what is usual for this person that the limit does not count? A censored one may be anything. */
static int is_usual(struct look *l, const struct alert_rule *rule, const struct quantity *q)
{
	int64_t usual;
	if (!rule->usual_by_milli || q->comparator)
		return 0;
	int rc = median(l, rule, q->code->kind, &usual);
	if (rc <= 0)
		return rc;
	return rule_limit_upper(&rule->limits[0]) ? q->value.milli < usual + rule->usual_by_milli
						  : q->value.milli > usual - rule->usual_by_milli;
}

static int rise_or_fall(struct look *l, const struct alert_rule *rule, const struct quantity *q)
{
	int64_t usual;
	int rc = median(l, rule, rule->kind, &usual);
	if (rc <= 0)
		return rc;
	return rule->type == RULE_RISE ? q->value.milli >= usual + rule->by_milli
				       : q->value.milli <= usual - rule->by_milli;
}

static bool breaks(const struct alert_rule *rule, const struct history_value *v)
{
	return rule_limit_breaks(&rule->limits[0], v->milli, v->comparator);
}

static int repeated(struct look *l, const struct alert_rule *rule)
{
	unsigned broken = 1; /* this one */
	int rc = before(l, rule->kind, rule->within_s, rule->horizon_s);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l->n && i + 1 < rule->n; i++)
		broken += breaks(rule, &l->values[i]);
	return broken >= rule->k;
}

static int gain(struct look *l, const struct alert_rule *rule, const struct quantity *q)
{
	int rc = before(l, rule->kind, rule->within_s, rule->horizon_s);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l->n; i++)
		if (q->value.milli - l->values[i].milli >= rule->by_milli)
			return 1;
	return 0;
}

static int repeated_low(struct look *l, const struct alert_rule *rule)
{
	int64_t apart_us = l->in->numbers->hypo_episode_minutes * 60 * CLOCK_SECOND_US;
	int64_t next_us = l->in->at_us;
	unsigned episodes = 1;
	int rc = before(l, rule->kind, rule->within_s, rule->horizon_s);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l->n; i++) {
		if (!breaks(rule, &l->values[i]))
			continue;
		episodes += next_us - l->values[i].taken_us >= apart_us;
		next_us = l->values[i].taken_us;
	}
	return episodes >= rule->k;
}

static int time_below(struct look *l, const struct alert_rule *rule, const struct quantity *q)
{
	int64_t sum = q->value.milli;
	int rc = before(l, rule->kind, rule->within_s, rule->horizon_s);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < l->n; i++)
		sum += l->values[i].milli;
	return rule_limit_breaks(&rule->limits[0], sum, 0);
}

/* 1: a value of this reading breaks it; 0: none; -1: the reading has none of that kind */
static int part_here(const struct reading *r, const struct rule_part *part)
{
	int found = -1;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const struct quantity *q = &r->quantities[i];
		if (alert_kind_matches(part->kind, q->code->kind))
			found = MAX(found,
				rule_limit_breaks(&part->limit, q->value.milli, q->comparator));
	}
	return found;
}

static int part_before(struct look *l, const struct alert_rule *rule, const struct rule_part *part)
{
	struct history_value latest[LATEST];
	const struct judge_input *in = l->in;
	size_t n = 0;
	if (!in->history)
		return 0;
	int rc = in->history->values(in->history->arg, part->kind,
		in->at_us - rule->within_s * CLOCK_SECOND_US, in->at_us, latest, LATEST, &n);
	if (rc < 0 || !n)
		return rc;
	return rule_limit_breaks(&part->limit, latest[0].milli, latest[0].comparator);
}

static int combination(struct look *l, const struct alert_rule *rule, const struct quantity *q)
{
	bool mine = false;
	for (unsigned i = 0; i < rule->n_parts; i++)
		mine |= alert_kind_matches(rule->parts[i].kind, q->code->kind) &&
			rule_limit_breaks(&rule->parts[i].limit, q->value.milli, q->comparator);
	int rc = mine;
	for (unsigned i = 0; i < rule->n_parts && rc > 0; i++) {
		rc = part_here(l->in->reading, &rule->parts[i]);
		if (rc < 0)
			rc = part_before(l, rule, &rule->parts[i]);
	}
	return rc;
}

static int fires(struct look *l, const struct alert_rule *rule, const struct quantity *q)
{
	if (rule->type == RULE_COMBINATION)
		return combination(l, rule, q);
	if (rule->type == RULE_TIME_BELOW)
		return time_below(l, rule, q);
	if (!alert_breaks(rule, q))
		return 0;
	switch (rule->type) {
	case RULE_LIMIT:
	case RULE_RANGE:
		return 1;
	case RULE_REPEATED:
		return repeated(l, rule);
	case RULE_RISE:
	case RULE_FALL:
		return rise_or_fall(l, rule, q);
	case RULE_GAIN:
		return gain(l, rule, q);
	case RULE_REPEATED_LOW:
		return repeated_low(l, rule);
	default:
		assert(!"judge: type");
	}
	return 1;
}

/* conditions */

static struct judged *condition_of(struct look *l, const struct alert_rule *rule)
{
	uint8_t *place = &l->place[rule->topic];
	if (*place == NOWHERE) {
		*place = (uint8_t)l->out->n++;
		l->out->conditions[*place] = (struct judged){.condition = rule->condition};
		l->topic[*place] = rule->topic;
		l->clean[*place] = false;
	}
	return &l->out->conditions[*place];
}

static void hit(struct look *l, struct judged *c, const struct alert_rule *rule, unsigned quantity)
{
	if (rule->severity < c->fires)
		return;
	if (rule->severity > c->fires) {
		c->fires = rule->severity;
		c->n = 0;
	}
	const struct reading *r = l->in->reading;
	if (rule->severity == SEVERITY_CRITICAL &&
		!alert_repeats(l->in->rules, r->quantities[quantity].code->kind))
		l->clean[c - l->out->conditions] = true;
	if (c->n < JUDGED_RULES_MAX) {
		c->rules[c->n] = rule;
		c->quantity[c->n++] = quantity;
	}
}

static int judge_rule(struct look *l, const struct alert_rule *rule, unsigned quantity)
{
	const struct quantity *q = &l->in->reading->quantities[quantity];
	struct judged *c = condition_of(l, rule);
	c->about |= 1U << quantity;
	bool lasting = rule->type == RULE_LIMIT || rule->type == RULE_RANGE;
	if (lasting) {
		if (!alert_holds(rule, q))
			return 0;
		int rc = is_usual(l, rule, q);
		if (rc)
			return error_only(rc);
		for (int level = rule->severity; level <= SEVERITY_CRITICAL; level++)
			c->holds[level] = MAX(c->holds[level], rule->severity);
	}
	int rc = fires(l, rule, q);
	if (rc > 0)
		hit(l, c, rule, quantity);
	return error_only(rc);
}

/* personal limits */

static bool stands_for(const struct alert_rule *personal, const struct alert_rule *rule)
{
	static const char pregnant[] = "pregnant";
	return personal->replaces && (rule->type == RULE_LIMIT || rule->type == RULE_REPEATED) &&
	       rule->severity == personal->severity &&
	       rule_limit_upper(&rule->limits[0]) == rule_limit_upper(&personal->limits[0]) &&
	       !(rule->whom.traits & trait_bit(trait_names, pregnant, strlen(pregnant)));
}

static bool is_replaced(
	const struct judge_input *in, const struct alert_rule *rule, const char *kind)
{
	for (unsigned i = 0; i < in->n_personal; i++)
		if (alert_kind_matches(in->personal[i].kind, kind) &&
			stands_for(&in->personal[i], rule))
			return true;
	return false;
}

static int judge_number(struct look *l, unsigned quantity)
{
	const struct judge_input *in = l->in;
	const char *kind = in->reading->quantities[quantity].code->kind;
	unsigned n;
	const uint16_t *of = alert_rules_of(in->rules, kind, &n);
	int rc = 0;
	if (streq(kind, KIND_CONTROL))
		return 0;
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		const struct alert_rule *rule = alert_rules_at(in->rules, of[i]);
		if (rule_is_for(&rule->whom, in->person, in->altitude_m) &&
			!is_replaced(in, rule, kind))
			rc = judge_rule(l, rule, quantity);
	}
	for (unsigned i = 0; i < in->n_personal && rc >= 0; i++)
		if (alert_kind_matches(in->personal[i].kind, kind))
			rc = judge_rule(l, &in->personal[i], quantity);
	return rc;
}

/* In the order of the file. */
static void put_in_order(struct look *l)
{
	struct judged *c = l->out->conditions;
	for (unsigned i = 1; i < l->out->n; i++)
		for (unsigned k = i; k && l->topic[k - 1] > l->topic[k]; k--) {
			struct judged other = c[k];
			uint8_t topic = l->topic[k];
			c[k] = c[k - 1];
			c[k - 1] = other;
			l->topic[k] = l->topic[k - 1];
			l->topic[k - 1] = topic;
		}
}

int judge(const struct judge_input *in, struct judgement *ret)
{
	struct look l; /* large: what is not asked is not touched */
	int rc = 0;
	l.in = in;
	l.out = ret;
	l.pattern = NULL;
	ret->n = 0;
	memset(l.place, NOWHERE, sizeof(l.place));
	for (unsigned i = 0; i < in->reading->n_quantities && rc >= 0; i++)
		rc = judge_number(&l, i);
	bool waits = alert_doubtful(in->rules, in->reading) && alert_times(in->rules)->within_s;
	for (unsigned i = 0; i < ret->n; i++) {
		struct judged *c = &ret->conditions[i];
		for (int level = 0; level <= SEVERITY_CRITICAL; level++)
			c->holds[level] = MAX(c->holds[level], c->fires);
		c->waits = waits && c->fires == SEVERITY_CRITICAL && !l.clean[i];
	}
	put_in_order(&l);
	return rc;
}
