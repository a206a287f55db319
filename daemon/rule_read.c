/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rule_read.h"

#include "fault.h"
#include "traits.h"

#include <errno.h>

#define DAY_S 86400
#define WITHIN_MAX (92 * DAY_S) /* of a history */
#define ABSENT INT64_MIN
#define NOBODYS (-1) /* age, altitude: any */

const char *const rule_severities[] = {"notice", "warning", "critical", NULL};
static const char *const families[] = {"physiological", "technical", NULL};
static const char *const unknowns[] = {"fires", NULL};
static const char *const forms[] = {"htn", "t2dm", "copd", "elderly", NULL};

struct rule_text { /* a rule as it is written */
	struct alert_rule rule;
	struct vg_decimal limits[RULE_OPS], margin, by, usual_by;
	uint32_t silent_s;
	uint8_t family, severity, type, unknown, form;
	bool enabled;
	yaml_node_t *trait, *not, *programme, *population, *setting, *parts;
};
#define NO_CHOICE UINT8_MAX

/* clang-format off */
#define IN_RULE(key, field, type_) {.name = key, .type = type_, .offset = offsetof(struct rule_text, field), \
	.size = sizeof(((struct rule_text *)0)->field)
#define TEXT(key) IN_RULE(#key, rule.key, YAMLMAP_TEXT)
#define COUNT(key, lowest, highest) IN_RULE(#key, rule.key, YAMLMAP_NUMBER), .low = lowest, .high = highest}
#define OF_WHOM(key, lowest, highest) IN_RULE(#key, rule.whom.key, YAMLMAP_NUMBER), .low = lowest, .high = highest}
#define DECIMAL(key, field) IN_RULE(key, field, YAMLMAP_DECIMAL)}
#define NODE(key) IN_RULE(#key, key, YAMLMAP_NODE)}
#define CHOICE(key, words) IN_RULE(#key, key, YAMLMAP_CHOICE), .choices = words
static const struct yamlmap_key rule_keys[] = {
	TEXT(id), .required = true}, TEXT(condition)}, TEXT(kind)}, TEXT(place)}, TEXT(advice)},
	TEXT(zh), .required = true}, TEXT(en), .required = true}, TEXT(source), .required = true},
	CHOICE(family, families)}, CHOICE(type, rule_types)}, CHOICE(severity, rule_severities), .required = true},
	IN_RULE("enabled", enabled, YAMLMAP_BOOL)},
	NODE(trait), NODE(not), NODE(programme), NODE(population), NODE(setting), CHOICE(unknown, unknowns)},
	OF_WHOM(age_from, 1, 130), OF_WHOM(age_below, 1, 130),
	OF_WHOM(altitude_from, 1, 6000), OF_WHOM(altitude_below, 1, 6000),
	DECIMAL("at_least", limits[RULE_AT_LEAST]), DECIMAL("above", limits[RULE_ABOVE]),
	DECIMAL("at_most", limits[RULE_AT_MOST]), DECIMAL("below", limits[RULE_BELOW]),
	DECIMAL("margin", margin), DECIMAL("by", by), DECIMAL("usual_by", usual_by), NODE(parts),
	COUNT(k, 2, 100), COUNT(n, 2, 100), COUNT(least, 1, 100), COUNT(days, 1, 366), COUNT(times, 1, 100),
	COUNT(within_s, 60, WITHIN_MAX), COUNT(for_s, 1, DAY_S),
	IN_RULE("silent_s", silent_s, YAMLMAP_NUMBER), .low = 60, .high = 7 * DAY_S},
	CHOICE(form, forms)},
};
/* clang-format on */

/* what a type takes */

enum {
	K_KIND = 1 << 0,
	K_LIMIT = 1 << 1,  /* one */
	K_LIMITS = 1 << 2, /* two, one of each side */
	K_MARGIN = 1 << 3,
	K_BY = 1 << 4,
	K_USUAL_BY = 1 << 5,
	K_PARTS = 1 << 6,
	K_K = 1 << 7,
	K_N = 1 << 8,
	K_LEAST = 1 << 9,
	K_DAYS = 1 << 10,
	K_TIMES = 1 << 11,
	K_WITHIN = 1 << 12,
	K_FOR = 1 << 13,
	K_SILENT = 1 << 14,
	K_FORM = 1 << 15,
	K_PLACE = 1 << 16,
	K_WHOM = 1 << 17,
};

static const char *const key_names[] = {"kind", NULL, NULL, "margin", "by", "usual_by", "parts",
	"k", "n", "least", "days", "times", "within_s", "for_s", "silent_s", "form", "place", NULL};

struct shape {
	uint32_t needs, may;
	bool technical;
};

#define ONE (K_KIND | K_LIMIT)
static const struct shape shapes[RULE_TYPES] = {
	[RULE_LIMIT] = {ONE, K_MARGIN | K_USUAL_BY | K_LEAST | K_WHOM, false},
	[RULE_RANGE] = {K_KIND | K_LIMITS, K_MARGIN | K_WHOM, false},
	[RULE_COMBINATION] = {K_PARTS | K_WITHIN, K_KIND | K_WHOM, false},
	[RULE_REPEATED] = {ONE | K_K | K_N | K_WITHIN, K_WHOM, false},
	[RULE_RISE] = {ONE | K_BY, K_WITHIN | K_LEAST | K_WHOM, false},
	[RULE_FALL] = {ONE | K_BY, K_WITHIN | K_LEAST | K_WHOM, false},
	[RULE_GAIN] = {ONE | K_BY | K_WITHIN, K_WHOM, false},
	[RULE_REPEATED_LOW] = {ONE | K_K | K_WITHIN, K_WHOM, false},
	[RULE_TIME_BELOW] = {ONE | K_WITHIN, K_WHOM, false},
	[RULE_MEAN] = {ONE, K_WHOM, false},
	[RULE_OVERDUE] = {K_FORM | K_DAYS, K_WHOM, false},
	[RULE_MISSING] = {0, K_WHOM, false},
	[RULE_SILENT] = {K_PLACE | K_SILENT, 0, true},
	[RULE_DEVICE_SILENT] = {K_TIMES, 0, true},
	[RULE_BATTERY] = {K_LIMIT, K_MARGIN, true},
	[RULE_STORE] = {K_LIMIT | K_FOR, 0, true},
	[RULE_CLOCK] = {K_FOR, 0, true},
	[RULE_ECG_NOT_SENT] = {0, 0, true},
	[RULE_ECG_OVERDUE] = {0, 0, true},
};
/* of a place: type limit of family technical */
static const struct shape place_shape = {ONE | K_PLACE, K_MARGIN | K_FOR, true};

static unsigned limits_of(const struct rule_text *t)
{
	unsigned n = 0;
	for (unsigned op = 0; op < RULE_OPS; op++)
		n += t->limits[op].mantissa != ABSENT;
	return n;
}

static uint32_t keys_of(const struct rule_text *t)
{
	const struct alert_rule *r = &t->rule;
	const struct rule_whom *w = &r->whom;
	unsigned limits = limits_of(t);
	bool whom = t->trait || t->not || t->programme || t->population || t->setting ||
		    t->unknown != NO_CHOICE || w->age_from != NOBODYS || w->age_below != NOBODYS ||
		    w->altitude_from != NOBODYS || w->altitude_below != NOBODYS;
	const struct {
		bool there;
		uint32_t key;
	} keys[] = {{r->kind[0], K_KIND}, {limits == 1, K_LIMIT}, {limits > 1, K_LIMITS},
		{t->margin.mantissa != ABSENT, K_MARGIN}, {t->by.mantissa != ABSENT, K_BY},
		{t->usual_by.mantissa != ABSENT, K_USUAL_BY}, {t->parts, K_PARTS}, {r->k, K_K},
		{r->n, K_N}, {r->least, K_LEAST}, {r->days, K_DAYS}, {r->times, K_TIMES},
		{r->within_s, K_WITHIN}, {r->for_s, K_FOR}, {t->silent_s, K_SILENT},
		{t->form != NO_CHOICE, K_FORM}, {r->place[0], K_PLACE}, {whom, K_WHOM}};
	uint32_t bits = 0;
	for (unsigned i = 0; i < ELEMENTS(keys); i++)
		bits |= keys[i].there ? keys[i].key : 0;
	return bits;
}

static const char *first_of(uint32_t keys)
{
	switch (keys & -keys) {
	case K_LIMIT:
		return FAULT("one limit: at_least, above, at_most or below",
			"一个限值：at_least、above、at_most 或 below");
	case K_LIMITS:
		return FAULT("two limits, one of each side", "两个限值，各为一个方向");
	case K_WHOM:
		return FAULT("whom it is for (trait, not, age_from ..)",
			"适用对象 (trait、not、age_from 等)");
	}
	return key_names[__builtin_ctz(keys)];
}

static int fail(struct yamlmap *y, const yaml_node_t *at, const struct rule_text *t,
	const char *what, const char *more)
{
	return yamlmap_fail(y, at,
		FAULT("rule \"%s\", kind \"%s\", type %s: %s%s",
			"规则“%s”，项目“%s”，类型 %s：%s%s"),
		t->rule.id, t->rule.kind, rule_types[t->rule.type], what, more);
}

static int shape_check(struct yamlmap *y, const yaml_node_t *at, const struct rule_text *t)
{
	bool placed = t->rule.technical && t->rule.type == RULE_LIMIT;
	const struct shape *s = placed ? &place_shape : &shapes[t->rule.type];
	uint32_t keys = keys_of(t);
	if (s->technical != t->rule.technical)
		return fail(y, at, t,
			s->technical
				? FAULT("expected \"family: technical\": staff are told of it",
					  "应有 family: technical：通知的是工作人员")
				: FAULT("this type judges persons: expected no \"family: technical\"",
					  "该类型判断的是人：不应有 family: technical"),
			"");
	if (s->needs & ~keys)
		return fail(y, at, t, FAULT("expected ", "缺少 "), first_of(s->needs & ~keys));
	if (keys & ~(s->needs | s->may))
		return fail(y, at, t, FAULT("does not take ", "不接受 "),
			first_of(keys & ~(s->needs | s->may)));
	if (t->rule.technical && t->severity + SEVERITY_NOTICE < SEVERITY_WARNING)
		return fail(y, at, t,
			FAULT("a technical rule calls staff: expected severity warning or critical",
				"技术规则会呼叫工作人员：severity 应为 warning 或 critical"),
			"");
	return 0;
}

/* values */

/* Thousandths; false when there are more than three decimals. A decimal has at most 15 digits. */
static bool milli_of(struct vg_decimal d, int64_t *ret)
{
	int64_t m = d.mantissa;
	int places = d.exponent + 3;
	for (; places > 0; places--)
		m *= 10;
	for (; places < 0; places++) {
		if (m % 10)
			return false;
		m /= 10;
	}
	*ret = m;
	return true;
}

/* Of a range the lower side comes first. */
static bool limits_take(const struct vg_decimal *limits, struct rule_limit *out, unsigned *ret_n)
{
	static const enum rule_op order[] = {RULE_AT_MOST, RULE_BELOW, RULE_AT_LEAST, RULE_ABOVE};
	unsigned n = 0;
	for (unsigned i = 0; i < ELEMENTS(order); i++) {
		if (limits[order[i]].mantissa == ABSENT)
			continue;
		struct rule_limit l = {.op = order[i]};
		if (n == 2 || !milli_of(limits[order[i]], &l.milli))
			return false;
		out[n++] = l;
	}
	*ret_n = n;
	return n < 2 || (!rule_limit_upper(&out[0]) && rule_limit_upper(&out[1]));
}

static bool not_negative(struct vg_decimal d, int64_t *ret)
{
	return d.mantissa == ABSENT || (milli_of(d, ret) && *ret >= 0);
}

static int values_take(struct yamlmap *y, const yaml_node_t *at, struct rule_text *t)
{
	struct alert_rule *r = &t->rule;
	if (!limits_take(t->limits, r->limits, &r->n_limits))
		return fail(y, at, t,
			FAULT("expected a limit with at most three decimals; of two, one of each side",
				"限值至多三位小数；若有两个，应各为一个方向"),
			"");
	if (!not_negative(t->margin, &r->margin_milli) || !not_negative(t->by, &r->by_milli) ||
		!not_negative(t->usual_by, &r->usual_by_milli))
		return fail(y, at, t,
			FAULT("expected margin, by and usual_by that are not negative, with at most three "
			      "decimals",
				"margin、by 和 usual_by 不得为负，至多三位小数"),
			"");
	return 0;
}

static int words_take(struct yamlmap *y, const yaml_node_t *list, const char *name,
	const char *const *words, uint32_t *ret)
{
	const yaml_node_t *item;
	for (size_t i = 0; (item = yamlmap_item(y, list, i)); i++) {
		const char *text = yamlmap_text(item);
		uint32_t bit = text ? trait_bit(words, text, strlen(text)) : 0;
		if (!bit) {
			char known[200] = "";
			size_t n = 0;
			for (size_t k = 0; words[k] && n < sizeof(known); k++)
				n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s",
					k ? ", " : "", words[k]);
			return yamlmap_fail(y, item,
				FAULT("%s: expected some of %s; found \"%.40s\"",
					"%s：应为 %s 中的词，实为“%.40s”"),
				name, known, text ? text : FAULT("more below", "下级内容"));
		}
		*ret |= bit;
	}
	return list && !*ret
		       ? yamlmap_fail(y, list,
				 FAULT("%s: expected [a list of words]", "%s：应为 [词语列表]"),
				 name)
		       : 0;
}

static int whom_take(struct yamlmap *y, struct rule_text *t)
{
	struct rule_whom *w = &t->rule.whom;
	const struct {
		const yaml_node_t *list;
		const char *name, *const *words;
		uint32_t *to;
	} lists[] = {{t->trait, "trait", trait_names, &w->traits},
		{t->not, "not", trait_names, &w->not_traits},
		{t->programme, "programme", trait_programmes, &w->programmes},
		{t->population, "population", trait_populations, &w->populations},
		{t->setting, "setting", trait_settings, &w->settings}};
	int rc = 0;
	for (unsigned i = 0; rc >= 0 && i < ELEMENTS(lists); i++)
		rc = words_take(y, lists[i].list, lists[i].name, lists[i].words, lists[i].to);
	w->unknown = t->unknown != NO_CHOICE;
	return rc;
}

struct part_text {
	char kind[32];
	struct vg_decimal limits[RULE_OPS];
};

static int parts_take(
	struct yamlmap *y, const yaml_node_t *list, const struct codes *codes, struct rule_text *t)
{
#define PART_LIMIT(key, op)                                       \
	{                                                         \
		.name = key, .type = YAMLMAP_DECIMAL,             \
		.offset = offsetof(struct part_text, limits[op]), \
		.size = sizeof(struct vg_decimal)                 \
	}
	static const struct yamlmap_key keys[] = {
		{YAMLMAP_FIELD(part_text, kind), .type = YAMLMAP_TEXT, .required = true},
		PART_LIMIT("at_least", RULE_AT_LEAST), PART_LIMIT("above", RULE_ABOVE),
		PART_LIMIT("at_most", RULE_AT_MOST), PART_LIMIT("below", RULE_BELOW)};
	struct alert_rule *r = &t->rule;
	yaml_node_t *node;
	for (size_t i = 0; (node = yamlmap_item(y, list, i)); i++) {
		struct part_text p = {0};
		struct rule_limit limits[2];
		unsigned n;
		for (unsigned op = 0; op < RULE_OPS; op++)
			p.limits[op].mantissa = ABSENT;
		int rc = yamlmap_read(y, node, keys, ELEMENTS(keys), &p);
		if (rc < 0)
			return rc;
		if (!alert_kind_fits(codes, p.kind, false) || !limits_take(p.limits, limits, &n) ||
			n != 1)
			return fail(y, node, t,
				FAULT("expected of each part a kind of a person and one limit",
					"每个部分应有一个人的项目 (kind) 和一个限值"),
				"");
		if (r->n_parts == RULE_PARTS_MAX)
			return fail(
				y, node, t, FAULT("expected at most 4 parts", "至多 4 个部分"), "");
		r->parts[r->n_parts].limit = limits[0];
		memcpy(r->parts[r->n_parts++].kind, p.kind, sizeof(p.kind));
	}
	if (list && r->n_parts < 2)
		return fail(y, list, t,
			FAULT("expected at least two parts: one alone is a limit",
				"至少应有两个部分：只有一个即为限值规则"),
			"");
	if (list && !r->kind[0])
		memcpy(r->kind, r->parts[0].kind, sizeof(r->kind));
	if (list && !streq(r->kind, r->parts[0].kind))
		return fail(y, list, t,
			FAULT("expected the kind of the first part, or none",
				"kind 应与第一部分相同，或不写"),
			"");
	return 0;
}

static int kind_check(struct yamlmap *y, const yaml_node_t *at, const struct codes *codes,
	const struct rule_text *t)
{
	const struct alert_rule *r = &t->rule;
	if (!r->kind[0])
		return 0;
	if (!alert_kind_fits(codes, r->kind, r->technical))
		return fail(y, at, t,
			r->technical
				? FAULT("expected one kind of codes.csv that is of a place (env.)",
					  "kind 应为 codes.csv 中的场所项目 (env.)")
				: FAULT("expected a kind of codes.csv that is of a person, or such as "
					"\"glu.*\"",
					  "kind 应为 codes.csv 中的人的项目，或如 glu.*"),
			"");
	if (r->type == RULE_MEAN && !streq(r->kind, "bp.sbp") && !streq(r->kind, "bp.dbp"))
		return fail(y, at, t,
			FAULT("expected kind bp.sbp or bp.dbp: a week at home has these",
				"kind 应为 bp.sbp 或 bp.dbp：家庭周均值只有这两项"),
			"");
	if (r->type == RULE_TIME_BELOW && !streq(r->kind, "spo2.low_s"))
		return fail(y, at, t,
			FAULT("expected kind spo2.low_s: seconds are added up",
				"kind 应为 spo2.low_s：按秒累计"),
			"");
	return 0;
}

static void finish(struct rule_text *t)
{
	struct alert_rule *r = &t->rule;
	r->severity = t->severity + SEVERITY_NOTICE;
	if (!r->condition[0])
		text_set(r->condition, sizeof(r->condition), r->id);
	if (t->silent_s)
		r->for_s = t->silent_s;
	if (t->form != NO_CHOICE)
		text_set(r->form, sizeof(r->form), forms[t->form]);
}

int rule_read(
	struct yamlmap *y, yaml_node_t *node, const struct codes *codes, struct alert_rule *ret)
{
	struct rule_text t = {.enabled = true,
		.type = NO_CHOICE,
		.unknown = NO_CHOICE,
		.form = NO_CHOICE,
		.margin.mantissa = ABSENT,
		.by.mantissa = ABSENT,
		.usual_by.mantissa = ABSENT,
		.rule.whom = {.age_from = NOBODYS,
			.age_below = NOBODYS,
			.altitude_from = NOBODYS,
			.altitude_below = NOBODYS}};
	for (unsigned op = 0; op < RULE_OPS; op++)
		t.limits[op].mantissa = ABSENT;
	int rc = yamlmap_read(y, node, rule_keys, ELEMENTS(rule_keys), &t);
	if (rc < 0)
		return rc;
	t.rule.line = (unsigned)node->start_mark.line + 1;
	t.rule.technical = t.family;
	t.rule.type = t.type != NO_CHOICE ? t.type : t.silent_s ? RULE_SILENT : RULE_LIMIT;
	if (t.rule.place[0] && !t.rule.technical)
		return fail(y, node, &t,
			FAULT("a place and \"family: technical\" go together",
				"place 须与 family: technical 一起使用"),
			"");
	rc = shape_check(y, node, &t);
	if (rc >= 0)
		rc = values_take(y, node, &t);
	if (rc >= 0)
		rc = whom_take(y, &t);
	if (rc >= 0)
		rc = parts_take(y, t.parts, codes, &t);
	if (rc >= 0)
		rc = kind_check(y, node, codes, &t);
	if (rc < 0)
		return rc;
	finish(&t);
	*ret = t.rule;
	return t.enabled;
}
