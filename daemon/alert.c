/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert.h"

void alert_hit(struct alert_verdict *v, const struct alert_rule *rule, unsigned quantity)
{
	if (rule->severity < v->severity)
		return;
	if (rule->severity > v->severity)
		*v = (struct alert_verdict){.severity = rule->severity};
	if (v->n < ALERT_HITS_MAX) {
		v->rules[v->n] = rule;
		v->quantity[v->n++] = quantity;
	}
}

/* Of nobody: nothing is known. */
static bool for_anybody(const struct rule_whom *w)
{
	bool known = w->traits || w->programmes || w->populations || w->settings ||
		     w->age_from >= 0 || w->age_below >= 0;
	return (w->unknown || !known) && w->altitude_from < 0;
}

struct alert_verdict alert_judge(const struct alert_rules *rules, const struct reading *reading)
{
	struct alert_verdict v = {0};
	for (unsigned i = 0; i < reading->n_quantities; i++) {
		const struct quantity *q = &reading->quantities[i];
		const struct alert_rule *hit = NULL;
		unsigned n;
		const uint16_t *of = alert_rules_of(rules, q->code->kind, &n);
		for (unsigned k = 0; k < n; k++) {
			const struct alert_rule *r = alert_rules_at(rules, of[k]);
			if (r->type == RULE_LIMIT && for_anybody(&r->whom) && alert_breaks(r, q) &&
				(!hit || r->severity > hit->severity))
				hit = r;
		}
		if (hit)
			alert_hit(&v, hit, i);
	}
	return v;
}

bool alert_wants_repeat(const struct alert_rules *rules, const struct reading *r,
	const struct alert_verdict *verdict)
{
	if (verdict->severity < SEVERITY_CRITICAL || !alert_doubtful(rules, r))
		return false;
	for (unsigned i = 0; i < verdict->n; i++)
		if (!alert_repeats(rules, r->quantities[verdict->quantity[i]].code->kind))
			return false;
	return true;
}
