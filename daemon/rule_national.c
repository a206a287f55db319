/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What no file of rules may be looser than, unless it says so twice: the emergencies of the national specification of basic
 * public health services (3rd edition), low glucose as ADA grades it, and how long a critical value may wait.
 */
#include "rule_set.h"

#include "fault.h"
#include "traits.h"

#include <errno.h>

#define ADULT 18	/* years */
#define PAGE_S 7200	/* a critical value so old is still told at once */
#define REPEAT_S 600	/* a doubtful one waits so long for a clean one */
#define ESCALATE_S 3600 /* and nobody's answer is waited for longer */

static const struct national {
	const char *kind;
	bool upper;
	int64_t milli;	   /* this value must be critical */
	const char *trait; /* of whoever has it; NULL: of every adult */
	const char *en, *zh;
} nationals[] = {
	{"bp.sbp", true, 180000, NULL, "bp.sbp >= 180 to be critical of every adult",
		"所有成人 bp.sbp >= 180 为危急 (critical)"},
	{"bp.dbp", true, 110000, NULL, "bp.dbp >= 110 to be critical of every adult",
		"所有成人 bp.dbp >= 110 为危急 (critical)"},
	{"glu.*", true, 16700, NULL, "glu.* >= 16.7 to be critical of every adult",
		"所有成人 glu.* >= 16.7 为危急 (critical)"},
	{"glu.*", false, 3900, "treated_diabetes",
		"glu.* <= 3.9 to be critical of who is treated for diabetes",
		"糖尿病用药者 glu.* <= 3.9 为危急 (critical)"},
	{"glu.*", false, 2900, NULL, "glu.* < 3.0 to be critical of every adult",
		"所有成人 glu.* < 3.0 为危急 (critical)"},
};

/* Everybody who is not a child, nobody, and whose age nobody knows. */
static bool for_all(const struct rule_whom *w, const char *trait)
{
	static const char child[] = "child", diabetes[] = "diabetes";
	uint32_t may = trait ? trait_bit(trait_names, trait, strlen(trait)) |
				       trait_bit(trait_names, diabetes, strlen(diabetes))
			     : 0;
	return !(w->traits & ~may) &&
	       !(w->not_traits & ~trait_bit(trait_names, child, strlen(child))) && !w->programmes &&
	       !w->populations && !w->settings && w->age_below < 0 && w->altitude_from < 0 &&
	       w->altitude_below < 0 && (w->age_from < 0 || (w->age_from <= ADULT && w->unknown));
}

static bool is_critical(const struct alert_rules *rules, const struct national *n, const char *kind)
{
	for (unsigned i = 0; i < rules->n; i++) {
		const struct alert_rule *r = &rules->rules[i];
		if (r->technical || (r->type != RULE_LIMIT && r->type != RULE_RANGE) ||
			r->severity != SEVERITY_CRITICAL || r->usual_by_milli ||
			!alert_kind_matches(r->kind, kind) || !for_all(&r->whom, n->trait))
			continue;
		for (unsigned k = 0; k < r->n_limits; k++)
			if (rule_limit_upper(&r->limits[k]) == n->upper &&
				rule_limit_breaks(&r->limits[k], n->milli, 0))
				return true;
	}
	return false;
}

/* What is missing, and of which kind (NULL: of none); NULL: nothing. */
static const char *looser(
	const struct alert_rules *rules, const struct codes *codes, const char **ret_kind)
{
	const struct rule_times *t = &rules->times;
	const struct code *code;
	*ret_kind = NULL;
	for (unsigned i = 0; i < ELEMENTS(nationals); i++)
		for (size_t k = 0; (code = codes_at(codes, k)); k++)
			if (alert_kind_matches(nationals[i].kind, code->kind) &&
				!streq(code->kind, KIND_CONTROL) &&
				code->min_milli <= code->max_milli &&
				!is_critical(rules, &nationals[i], code->kind)) {
				*ret_kind = nationals[i].kind;
				return FAULT(nationals[i].en, nationals[i].zh);
			}
	if (t->page_s < PAGE_S)
		return FAULT("late.page_s of at least 7200", "late.page_s 至少 7200");
	if (t->within_s > REPEAT_S)
		return FAULT("repeat.within_s of at most 600", "repeat.within_s 至多 600");
	return t->critical_s > ESCALATE_S ? FAULT("escalate.critical_s of at most 3600",
						    "escalate.critical_s 至多 3600")
					  : NULL;
}

/* Where the first rule of the kind is: there it is to be mended; else 1. */
static unsigned line_near(const struct alert_rules *rules, const char *kind)
{
	for (unsigned i = 0; i < rules->n; i++)
		if (kind && streq(kind, rules->rules[i].kind))
			return rules->rules[i].line;
	return 1;
}

int rule_national(const struct alert_rules *rules, const struct codes *codes, const char *path,
	char *error, size_t error_size)
{
	const char *kind, *what = looser(rules, codes, &kind);
	bool once = rules->looser[0], twice = once && streq(rules->looser, rules->looser_again);
	if (!what && (once || rules->looser_again[0])) {
		snprintf(error, error_size,
			FAULT("%s:1: accept_looser: nothing here is looser than the national rules: "
			      "take it out, so that it accepts nothing unseen later",
				"%s:1: accept_looser：此文件并不比国家规范宽松：请删除该项，以免日后不知不觉地放宽"),
			path);
		return -EINVAL;
	}
	if (!what || twice)
		return 0;
	snprintf(error, error_size,
		FAULT("%s:%u: looser than the national rules: expected %s. %s",
			"%s:%u: 比国家规范宽松：应有 %s。%s"),
		path, line_near(rules, kind), what,
		once ? FAULT("It is accepted when the same reason stands a second time: "
			     "accept_looser_again",
			       "相同理由须再写一次才被接受：accept_looser_again")
		     : FAULT("Mend it; or say why not, twice: accept_looser: \"reason\" and "
			     "accept_looser_again: \"the same reason\"",
			       "请修正；或写明理由两次：accept_looser: \"理由\" 和 accept_looser_again: \"相同理由\""));
	return -EINVAL;
}
