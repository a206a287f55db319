/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert_text.h"

#include "alert_say.h"
#include "clock.h"
#include "util.h"

#include <ctype.h>
#include <jansson.h>

struct teller {
	FILE *to;
	bool chinese;
	const struct alert_rules *rules;
	const struct codes *codes;
};

static const char *say(const struct teller *t, const char *en, const char *zh)
{
	return t->chinese ? zh : en;
}

static void put(const struct teller *t, const char *en, const char *zh)
{
	fputs(say(t, en, zh), t->to);
}

static const char *text_of(const json_t *of, const char *key)
{
	return json_string_value(json_object_get(of, key));
}

/* "2026-11-22 10:20" */
static void put_time(const struct teller *t, int64_t us)
{
	char text[20];
	struct vg_civil c = clock_civil(us);
	clock_civil_text(text, &c);
	text[10] = ' ';
	fprintf(t->to, "%.16s", text);
}

/* what was measured */

static void put_number(const struct teller *t, const json_t *number)
{
	if (json_is_integer(number))
		fprintf(t->to, "%lld", (long long)json_integer_value(number));
	else
		fprintf(t->to, "%.6g", json_number_value(number));
}

static void put_unit(const struct teller *t, const char *unit)
{
	const char *text = alert_say(SAY_UNIT, unit, t->chinese);
	if (text[0])
		fprintf(t->to, "%s%s", streq(text, "%") ? "" : " ", text);
}

/* The side of the limit, else by where the number lies; and whose it is: a person who calls the resident can say so. */
static void put_limit(const struct teller *t, const json_t *of)
{
	const json_t *limit = json_object_get(of, "limit");
	const char *op = text_of(of, "op"), *whose = text_of(of, "whose");
	if (!json_is_number(limit))
		return;
	bool above = json_number_value(json_object_get(of, "value")) >= json_number_value(limit);
	put(t, " (limit: ", "（限值：");
	fputs(alert_say(SAY_OP, op ? op : above ? "at_least" : "at_most", t->chinese), t->to);
	put_number(t, limit);
	put_unit(t, text_of(of, "unit"));
	if (whose) {
		put(t, ", ", "，");
		fputs(alert_say(SAY_WHOSE, whose, t->chinese), t->to);
	}
	put(t, ")", "）");
}

/* One rule that fired: the number, its limit and whose that is; the words of a cart or of the centre. */
static void put_rule(const struct teller *t, const json_t *of)
{
	const char *kind = text_of(of, "kind"), *statement = text_of(of, "statement");
	const char *comparator = text_of(of, "comparator");
	const struct code *code = kind ? codes_find(t->codes, kind) : NULL;
	const json_t *value = json_object_get(of, "value");
	if (statement)
		fprintf(t->to, say(t, "\"%s\"", "“%s”"), statement);
	if (!json_is_number(value))
		return;
	fprintf(t->to, "%s ",
		code   ? (t->chinese ? code->name_zh : code->name_en)
		: kind ? kind
		       : "");
	fputs(comparator ? comparator : "", t->to);
	put_number(t, value);
	put_unit(t, text_of(of, "unit"));
	put_limit(t, of);
}

static bool said_before(const json_t *rules, size_t index, const char *key)
{
	const char *text = text_of(json_array_get(rules, index), key);
	for (size_t i = 0; text && i < index; i++) {
		const char *other = text_of(json_array_get(rules, i), key);
		if (other && streq(other, text))
			return true;
	}
	return !text;
}

/* "Critical: systolic pressure critically high." and then the numbers. */
static void put_what(const struct teller *t, const struct alert_facts *a, const json_t *rules)
{
	const char *key = t->chinese ? "text_zh" : "text_en";
	const json_t *rule;
	bool any = false;
	size_t i;
	const char *severity = alert_say(SAY_SEVERITY, a->severity, t->chinese);
	if (severity[0])
		fputc(toupper((unsigned char)severity[0]), t->to);
	fprintf(t->to, "%s%s", severity + (severity[0] != 0), say(t, ": ", "："));
	json_array_foreach(rules, i, rule)
	{
		if (said_before(rules, i, key))
			continue;
		fprintf(t->to, "%s%s", any ? say(t, "; ", "；") : "", text_of(rule, key));
		any = true;
	}
	if (!any)
		fputs(alert_say(SAY_CONDITION, a->condition, t->chinese), t->to);
	if (a->technical && (a->place || a->device))
		fprintf(t->to, say(t, " (%s%s%s)", "（%s%s%s）"),
			alert_say(SAY_PLACE, a->place, t->chinese),
			a->place && a->device ? " " : "", a->device ? a->device : "");
	put(t, ".", "。");
	any = false;
	json_array_foreach(rules, i, rule)
	{
		if (!json_is_number(json_object_get(rule, "value")) && !text_of(rule, "statement"))
			continue;
		fputs(any ? say(t, "; ", "；") : say(t, " ", ""), t->to);
		put_rule(t, rule);
		any = true;
	}
	if (any)
		put(t, ".", "。");
}

/* how it stands */

static void put_since(const struct teller *t, const struct alert_facts *a)
{
	int64_t since = a->since_us ? a->since_us : a->first_us ? a->first_us : a->raised_us;
	if (!since)
		return;
	put(t, " Since ", "始于");
	put_time(t, since);
	if (a->ended_us) {
		put(t, ", until ", "，止于");
		put_time(t, a->ended_us);
	}
	put(t, ".", "。");
}

static void put_labels(const struct teller *t, const json_t *labels)
{
	const json_t *label;
	size_t i;
	if (!json_array_size(labels))
		return;
	put(t, " Note: ", "注意：");
	json_array_foreach(labels, i, label) fprintf(t->to, "%s%s", i ? say(t, "; ", "；") : "",
		alert_say(SAY_LABEL, json_string_value(label), t->chinese));
	put(t, ".", "。");
}

static void put_evidence(const struct teller *t, const struct alert_facts *a)
{
	if (a->readings < 1)
		return;
	if (t->chinese)
		fprintf(t->to, "依据：%lld次测量", (long long)a->readings);
	else
		fprintf(t->to, " Evidence: %lld measurement%s", (long long)a->readings,
			a->readings == 1 ? "" : "s");
	if (a->readings > 1 && a->first_us && a->last_us) {
		put(t, ", from ", "，");
		put_time(t, a->first_us);
		put(t, " to ", "至");
		put_time(t, a->last_us);
	}
	put(t, ".", "。");
}

/* When it is told, of whom it is told at all. */
static void put_delivery(const struct teller *t, const struct alert_facts *a)
{
	fputs(alert_say(SAY_DELIVERY, a->deliver, t->chinese), t->to);
	if (a->not_before_us && !streq(a->deliver, "now")) {
		put(t, ", from ", "，自");
		put_time(t, a->not_before_us);
	}
}

/* Who was told, and whether anybody has answered. */
static void put_state(const struct teller *t, const struct alert_facts *a)
{
	bool listed = a->deliver && streq(a->deliver, "list");
	put(t, " State: ", "状态：");
	fputs(alert_say(SAY_STATE, a->state, t->chinese), t->to);
	if (listed) {
		put(t, "; ", "；");
		fputs(alert_say(SAY_DELIVERY, a->deliver, t->chinese), t->to);
	} else if (a->role && a->deliver) {
		put(t, "; to ", "；通知");
		fputs(alert_say(SAY_ROLE, a->role, t->chinese), t->to);
		fprintf(t->to, say(t, " (step %lld, ", "（第%lld步，"), (long long)a->step + 1);
		put_delivery(t, a);
		put(t, ")", "）");
	}
	if (a->ack_outcome) {
		put(t, "; outcome: ", "；处理结果：");
		fputs(alert_say(SAY_OUTCOME, a->ack_outcome, t->chinese), t->to);
	}
	put(t, ".", "。");
}

/* what to do */

/* Of the first of its rules that has one; a personal limit has that of its condition, and the words of a cart "statement". */
static const struct rule_advice *advice_of(
	const struct alert_facts *a, const json_t *fired, const struct alert_rules *rules)
{
	const struct alert_rule *rule;
	const json_t *of;
	size_t i;
	json_array_foreach(fired, i, of)
	{
		const char *id = text_of(of, "id");
		rule = id ? alert_rules_find(rules, id) : NULL;
		if (rule && rule->advice[0])
			return alert_rules_advice(rules, rule->advice);
		if (text_of(of, "statement"))
			return alert_rules_advice(rules, "statement");
	}
	for (unsigned n = 0; a->condition && (rule = alert_rules_at(rules, n)); n++)
		if (streq(rule->condition, a->condition) && rule->advice[0])
			return alert_rules_advice(rules, rule->advice);
	return NULL;
}

static void put_next(const struct teller *t, const struct alert_facts *a, const json_t *fired)
{
	const struct rule_advice *advice = advice_of(a, fired, t->rules);
	if (!advice || (a->state && streq(a->state, "inactive")))
		return;
	put(t, " Next: ", "下一步：");
	if (a->state && streq(a->state, "latched")) {
		if (a->technical)
			put(t, "look why it was so, and acknowledge. ", "请查明原因后确认。");
		else
			put(t, "ask how the resident is, and acknowledge. ",
				"请询问居民情况后确认。");
		put(t, "When it comes again: ", "再次出现时：");
	}
	fputs(t->chinese ? advice->zh : advice->en, t->to);
	put(t, ".", "。");
}

char *alert_text(const struct alert_facts *a, const struct alert_rules *rules,
	const struct codes *codes, bool chinese)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	if (!to)
		return NULL;
	const struct teller t = {to, chinese, rules, codes};
	json_t *body = a->body ? json_loads(a->body, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_t *labels = a->labels ? json_loads(a->labels, 0, NULL) : NULL;
	const json_t *fired = json_object_get(body, "rules");
	put_what(&t, a, fired);
	put_since(&t, a);
	put_labels(&t, labels);
	put_evidence(&t, a);
	put_state(&t, a);
	put_next(&t, a, fired);
	json_decref(body);
	json_decref(labels);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

const char *alert_text_resident(
	const struct alert_facts *a, const struct alert_rules *rules, bool chinese)
{
	json_t *body = a->body ? json_loads(a->body, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const struct rule_advice *advice =
		a->technical || (a->state && !streq(a->state, "active"))
			? NULL
			: advice_of(a, json_object_get(body, "rules"), rules);
	json_decref(body);
	return !advice ? "" : chinese ? advice->resident_zh : advice->resident_en;
}

const char *alert_text_repeat(bool chinese)
{
	return chinese ? "测量不清晰：请保持不动，重新测量一次"
		       : "the measurement was not clear: please keep still and measure again";
}
