/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules as a whole: what each may say by itself is rule_read.c's, what the national rules ask is rule_national.c's. */
#include "rule_set.h"

#include "fault.h"
#include "traits.h"

#include <errno.h>
#include <stdarg.h>

struct check {
	const struct alert_rules *rules;
	const struct codes *codes;
	const char *path;
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 3, 4)))
fail(const struct check *c, const struct alert_rule *r, const char *format, ...)
{
	int n = snprintf(c->error, c->size, FAULT("%s:%u: rule \"%s\": ", "%s:%u: 规则“%s”："),
		c->path, r->line, r->id);
	size_t used = MIN((size_t)MAX(n, 0), c->size);
	va_list args;
	va_start(args, format);
	vsnprintf(c->error + used, c->size - used, format, args);
	va_end(args);
	return -EINVAL;
}

static bool of_readings(const struct alert_rule *r)
{
	return !r->technical && r->type <= RULE_TIME_BELOW;
}

static bool is_upper(const struct alert_rule *r)
{
	return rule_limit_upper(&r->limits[0]);
}

/* whom */

static int check_whom(const struct check *c, const struct alert_rule *r)
{
	const struct rule_whom *w = &r->whom;
	if (w->traits & w->not_traits)
		return fail(c, r,
			FAULT("it is for nobody: the same trait is asked for and excluded. Take it out of "
			      "\"trait\" or of \"not\"",
				"不适用于任何人：同一特征既要求又排除。请从 trait 或 not 中删除"));
	if (w->age_from >= 0 && w->age_below >= 0 && w->age_from >= w->age_below)
		return fail(c, r,
			FAULT("it is for nobody: expected age_from (%d) lower than age_below (%d)",
				"不适用于任何人：age_from (%d) 应小于 age_below (%d)"),
			w->age_from, w->age_below);
	if (w->altitude_from >= 0 && w->altitude_below >= 0 &&
		w->altitude_from >= w->altitude_below)
		return fail(c, r,
			FAULT("it is for no site: expected altitude_from (%d) lower than altitude_below "
			      "(%d)",
				"不适用于任何站点：altitude_from (%d) 应小于 altitude_below (%d)"),
			w->altitude_from, w->altitude_below);
	return 0;
}

/* numbers */

/* Of all kinds that fit. False: none of them is a number. */
static bool plausible(
	const struct codes *codes, const char *pattern, int64_t *ret_min, int64_t *ret_max)
{
	const struct code *code;
	bool any = false;
	for (size_t i = 0; (code = codes_at(codes, i)); i++) {
		if (!alert_kind_matches(pattern, code->kind) || streq(code->kind, KIND_CONTROL) ||
			code->min_milli > code->max_milli)
			continue;
		*ret_min = any ? MIN(*ret_min, code->min_milli) : code->min_milli;
		*ret_max = any ? MAX(*ret_max, code->max_milli) : code->max_milli;
		any = true;
	}
	return any;
}

static int check_limit(const struct check *c, const struct alert_rule *r, const char *kind,
	const struct rule_limit *l, bool all_allowed)
{
	int64_t min, max;
	bool upper = rule_limit_upper(l);
	if (streq(kind, KIND_CONTROL))
		return fail(c, r,
			FAULT("control solution is nobody's blood and never judged",
				"质控液不是人的血液，从不判断：请换成其他 kind"));
	if (!plausible(c->codes, kind, &min, &max))
		return fail(c, r,
			FAULT("kind \"%s\" is not a number: expected one with a plausible range",
				"项目“%s”不是数值：应为有合理范围的项目"),
			kind);
	if (!rule_limit_breaks(l, upper ? max : min, 0))
		return fail(c, r,
			FAULT("nothing breaks its limit %g: values of \"%s\" are plausible from %g to %g "
			      "only (codes.csv)",
				"永远不会触发：限值 %g，而“%s”的合理范围为 %g 至 %g（codes.csv）。请修改限值"),
			(double)l->milli / 1000, kind, (double)min / 1000, (double)max / 1000);
	if (!all_allowed && rule_limit_breaks(l, upper ? min : max, 0))
		return fail(c, r,
			FAULT("everything breaks its limit %g: values of \"%s\" are plausible from %g to %g "
			      "only (codes.csv)",
				"任何数值都会触发：限值 %g，而“%s”的合理范围为 %g 至 %g（codes.csv）。请修改限值"),
			(double)l->milli / 1000, kind, (double)min / 1000, (double)max / 1000);
	return 0;
}

/* Technical ones without a kind are in per cent. */
static int check_percent(const struct check *c, const struct alert_rule *r)
{
	int64_t milli = r->limits[0].milli;
	if (is_upper(r) != (r->type == RULE_STORE) || milli <= 0 || milli >= 100000)
		return fail(c, r,
			FAULT("expected %s between 0 and 100 %%", "应为 %s，且在 0 与 100 %% 之间"),
			r->type == RULE_STORE ? FAULT("at_least or above", "at_least 或 above")
					      : FAULT("at_most or below", "at_most 或 below"));
	return 0;
}

static int check_numbers(const struct check *c, const struct alert_rule *r)
{
	if (r->type == RULE_BATTERY || r->type == RULE_STORE)
		return check_percent(c, r);
	/* of these the limit only says from where on a change matters */
	bool change = r->type == RULE_RISE || r->type == RULE_FALL || r->type == RULE_GAIN;
	int rc = 0;
	if (r->type != RULE_TIME_BELOW) /* a sum has no plausible range */
		for (unsigned i = 0; rc >= 0 && i < r->n_limits; i++)
			rc = check_limit(c, r, r->kind, &r->limits[i], change);
	for (unsigned i = 0; rc >= 0 && i < r->n_parts; i++)
		rc = check_limit(c, r, r->parts[i].kind, &r->parts[i].limit, false);
	if (rc >= 0 && r->n_limits == 2 && r->limits[0].milli >= r->limits[1].milli)
		return fail(c, r,
			FAULT("everything breaks one of its limits: expected the lower one (%g) below the "
			      "upper one (%g)",
				"任何数值都会触发：下限 (%g) 应小于上限 (%g)"),
			(double)r->limits[0].milli / 1000, (double)r->limits[1].milli / 1000);
	if (rc >= 0 && change && !r->by_milli)
		return fail(c, r, FAULT("expected by: more than 0", "by 应大于 0"));
	return rc;
}

static int check_shape(const struct check *c, const struct alert_rule *r)
{
	static const struct {
		enum rule_type type;
		bool upper;
	} sides[] = {{RULE_RISE, true}, {RULE_GAIN, true}, {RULE_TIME_BELOW, true},
		{RULE_FALL, false}, {RULE_REPEATED_LOW, false}};
	for (unsigned i = 0; i < ELEMENTS(sides); i++)
		if (r->type == sides[i].type && is_upper(r) != sides[i].upper)
			return fail(c, r,
				FAULT("a rule of type %s takes %s", "类型 %s 的规则应使用 %s"),
				rule_types[r->type],
				sides[i].upper ? FAULT("at_least or above", "at_least 或 above")
					       : FAULT("at_most or below", "at_most 或 below"));
	if (r->type == RULE_REPEATED && r->k > r->n)
		return fail(c, r,
			FAULT("it never fires: %u of %u is more than there are. Expected k of at most n",
				"永远不会触发：%u 次多于总数 %u 次。k 不应大于 n"),
			r->k, r->n);
	if (r->least && r->type == RULE_LIMIT && !r->usual_by_milli)
		return fail(c, r,
			FAULT("least goes with usual_by: it says when a median is known",
				"least 须与 usual_by 一起使用：它表示何时有中位数"));
	if (r->advice[0] && !alert_rules_advice(c->rules, r->advice))
		return fail(c, r,
			FAULT("there is no advice \"%s\": add it under \"advice\"",
				"没有处置建议“%s”：请在 advice 下添加"),
			r->advice);
	return 0;
}

/* two rules */

static bool words_within(uint32_t those, uint32_t all)
{
	return !all || (those && !(those & ~all));
}

static uint32_t with_implied(uint32_t traits)
{
	static const char treated[] = "treated_diabetes", diabetes[] = "diabetes";
	return traits & trait_bit(trait_names, treated, strlen(treated))
		       ? traits | trait_bit(trait_names, diabetes, strlen(diabetes))
		       : traits;
}

static bool asks_for_what_may_be_unknown(const struct rule_whom *w)
{
	return w->traits || w->programmes || w->populations || w->settings || w->age_from >= 0 ||
	       w->age_below >= 0;
}

/* Is the rule with `all` for everybody that the one with `those` is for? */
static bool whom_within(const struct rule_whom *those, const struct rule_whom *all)
{
	return !(all->traits & ~with_implied(those->traits)) &&
	       !(all->not_traits & ~those->not_traits) &&
	       words_within(those->programmes, all->programmes) &&
	       words_within(those->populations, all->populations) &&
	       words_within(those->settings, all->settings) &&
	       (all->age_from < 0 || those->age_from >= all->age_from) &&
	       (all->age_below < 0 ||
		       (those->age_below >= 0 && those->age_below <= all->age_below)) &&
	       (all->altitude_from < 0 || those->altitude_from >= all->altitude_from) &&
	       (all->altitude_below < 0 || (those->altitude_below >= 0 &&
						   those->altitude_below <= all->altitude_below)) &&
	       (!those->unknown || all->unknown || !asks_for_what_may_be_unknown(all));
}

/* Does whatever breaks `inner` break `outer`? */
static bool limit_within(const struct rule_limit *inner, const struct rule_limit *outer)
{
	if (rule_limit_upper(inner) != rule_limit_upper(outer))
		return false;
	bool strict = inner->op == RULE_ABOVE || inner->op == RULE_BELOW;
	int64_t step = !strict ? 0 : rule_limit_upper(inner) ? 1 : -1;
	return rule_limit_breaks(outer, inner->milli + step, 0);
}

static bool limits_within(const struct alert_rule *inner, const struct alert_rule *outer)
{
	for (unsigned i = 0; i < inner->n_limits; i++) {
		bool within = false;
		for (unsigned k = 0; k < outer->n_limits; k++)
			within |= limit_within(&inner->limits[i], &outer->limits[k]);
		if (!within)
			return false;
	}
	return inner->n_limits > 0;
}

/* Whenever `r` fires, so does `other`, which is of a higher severity. */
static bool is_hidden(const struct alert_rule *r, const struct alert_rule *other)
{
	return of_readings(r) && r->type != RULE_TIME_BELOW && r->type != RULE_COMBINATION &&
	       (other->type == RULE_LIMIT || other->type == RULE_RANGE) && !other->usual_by_milli &&
	       other->severity > r->severity && streq(r->condition, other->condition) &&
	       (streq(r->kind, other->kind) || alert_kind_matches(other->kind, r->kind)) &&
	       limits_within(r, other) && whom_within(&r->whom, &other->whom);
}

static int family_of(const struct alert_rule *r)
{
	return r->technical ? 2 : !of_readings(r);
}

static bool one_sided(const struct alert_rule *r)
{
	return of_readings(r) && r->n_limits == 1;
}

static int check_pair(
	const struct check *c, const struct alert_rule *r, const struct alert_rule *other)
{
	if (!streq(r->condition, other->condition))
		return 0;
	if (family_of(r) != family_of(other))
		return fail(c, r,
			FAULT("its condition \"%s\" is that of rule \"%s\" too, which is judged otherwise (by "
			      "readings, by days or of things): expected another one",
				"警报条件“%s”与规则“%s”相同，而后者判断方式不同（按读数、按天数或按设备）：请换一个 condition"),
			r->condition, other->id);
	if (one_sided(r) && one_sided(other) && is_upper(r) != is_upper(other))
		return fail(c, r,
			FAULT("its condition \"%s\" is that of rule \"%s\" too, of the other side: what ends "
			      "one would keep the other. Expected another condition",
				"警报条件“%s”与规则“%s”相同，但方向相反：一个结束时另一个会持续。请换一个 condition"),
			r->condition, other->id);
	if (!r->technical && !other->technical && is_hidden(r, other))
		return fail(c, r,
			FAULT("it never counts: whenever it fires, rule \"%s\" of a higher severity does. "
			      "Change its limit or whom it is for, or take it out",
				"不起作用：凡其触发时，级别更高的规则“%s”也触发。请修改限值或适用对象，或删除该规则"),
			other->id);
	return 0;
}

int rule_check(const struct alert_rules *rules, const struct codes *codes, const char *path,
	char *error, size_t error_size)
{
	const struct check c = {rules, codes, path, error, error_size};
	int rc = 0;
	for (unsigned i = 0; rc >= 0 && i < rules->n; i++) {
		const struct alert_rule *r = &rules->rules[i];
		rc = check_whom(&c, r);
		if (rc >= 0)
			rc = check_shape(&c, r);
		if (rc >= 0)
			rc = check_numbers(&c, r);
		for (unsigned k = 0; rc >= 0 && k < rules->n; k++)
			if (k != i)
				rc = check_pair(&c, r, &rules->rules[k]);
	}
	return rc < 0 ? rc : rule_national(rules, codes, path, error, error_size);
}
