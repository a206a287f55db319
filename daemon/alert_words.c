/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert_words.h"

struct alert_doubt alert_label(const struct reading *r, const struct when *when, bool conflict)
{
	static const char *const of_time[] = {[TRUST_DEVICE] = "clock_uncompared",
		[TRUST_ARRIVAL] = "time_of_arrival",
		[TRUST_UNKNOWN] = "clock_unknown"};
	struct alert_doubt d = {0};
	if (conflict)
		d.labels[d.n++] = "conflict";
	if (of_time[when->trust])
		d.labels[d.n++] = of_time[when->trust];
	bool above = false, below = false;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		above |= r->quantities[i].comparator == '>';
		below |= r->quantities[i].comparator == '<';
	}
	if (above)
		d.labels[d.n++] = "above_meter_range";
	if (below)
		d.labels[d.n++] = "below_meter_range";
	for (unsigned i = 0; i < r->n_flags; i++)
		d.labels[d.n++] = r->flags[i];
	return d;
}

const char *alert_whose(const struct alert_rule *rule)
{
	if (rule->personal)
		return "personal";
	return strstr(rule->source, "national") || strstr(rule->source, "3rd ed") ? "national"
										  : "site";
}

/* Of a range or a combination: the limit that this number breaks. */
static const struct rule_limit *limit_of(const struct alert_rule *rule, const struct quantity *q)
{
	for (unsigned i = 0; i < rule->n_parts; i++)
		if (alert_kind_matches(rule->parts[i].kind, q->code->kind))
			return &rule->parts[i].limit;
	for (unsigned i = 0; i + 1 < rule->n_limits; i++)
		if (rule_limit_breaks(&rule->limits[i], q->value.milli, q->comparator))
			return &rule->limits[i];
	return rule->n_limits ? &rule->limits[rule->n_limits - 1] : NULL;
}

void alert_labels_json(
	struct json *j, const char *key, const char *whose, const char *labels, const char *doubts)
{
	json_array_begin(j, key);
	if (whose)
		json_str(j, NULL, whose);
	json_members(j, labels);
	json_members(j, doubts);
	json_array_end(j);
}

void alert_rule_json(struct json *j, const struct alert_rule *rule, const struct quantity *q)
{
	static const char *const ops[RULE_OPS] = {"at_least", "above", "at_most", "below"};
	json_object_begin(j, NULL);
	json_str(j, "id", rule->id);
	if (q) {
		const struct rule_limit *l = limit_of(rule, q);
		json_str(j, "kind", q->code->kind);
		json_milli(j, "value", q->value.milli, q->value.decimals);
		if (q->comparator)
			json_string_n(j, "comparator", &q->comparator, 1);
		json_str(j, "unit", q->code->ucum);
		if (l) {
			json_milli(j, "limit", l->milli, q->value.decimals);
			json_str(j, "op", ops[l->op]);
		}
	} else if (rule->for_s) {
		json_str(j, "unit", "s");
		json_int(j, "limit", rule->for_s);
	}
	json_str(j, "whose", alert_whose(rule));
	json_str(j, "text_zh", rule->zh);
	json_str(j, "text_en", rule->en);
	json_object_end(j);
}
