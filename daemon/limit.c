/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limit.h"

#include "filing.h"
#include "gateway.h"
#include "stored.h"

#include <errno.h>

/* judging */

/* The rule whose condition, margin and advice a limit takes: of its severity, else of another; NULL: nobody asks for this
 * kind on this side. */
static const struct alert_rule *like(
	const struct alert_rules *rules, const struct alert_rule *limit)
{
	const struct alert_rule *r, *found = NULL;
	for (unsigned i = 0; (r = alert_rules_at(rules, i)); i++) {
		if (r->technical || r->type != RULE_LIMIT ||
			rule_limit_upper(&r->limits[0]) != rule_limit_upper(&limit->limits[0]) ||
			!(alert_kind_matches(r->kind, limit->kind) ||
				alert_kind_matches(limit->kind, r->kind)))
			continue;
		if (!found || (r->severity == limit->severity && found->severity != r->severity))
			found = r;
	}
	return found;
}

/* One that no rule is like: a condition of its own, with the others of its kind and side. */
static void stand_alone(const struct limits *l, const char *kind, struct alert_rule *rule)
{
	snprintf(rule->condition, sizeof(rule->condition), "personal-%.24s-%s", kind,
		rule_limit_upper(&rule->limits[0]) ? "high" : "low");
	rule->topic = (uint8_t)(RULE_CONDITIONS_MAX + l->n);
	for (unsigned i = 0; i < l->n; i++)
		if (streq(l->rules[i].condition, rule->condition))
			rule->topic = l->rules[i].topic;
}

static void take(const struct alert_rules *rules, struct row *r, bool replaces, struct limits *l)
{
	bool least = streq(row_text(r, 1), "at_least");
	struct alert_rule *rule = &l->rules[l->n];
	*rule = (struct alert_rule){.id = LIMIT_RULE,
		.personal = true,
		.replaces = replaces,
		.n_limits = 1,
		.limits = {{.op = least ? RULE_AT_LEAST : RULE_AT_MOST, .milli = row_int(r, 2)}},
		.severity = severity_named(row_text(r, 3)),
		.zh = "达到医生为该居民设定的个人限值",
		.en = "beyond the limit that a doctor set for this resident"};
	text_set(rule->kind, sizeof(rule->kind), row_text(r, 0));
	const struct alert_rule *general = like(rules, rule);
	if (general) {
		rule->topic = general->topic;
		rule->margin_milli = general->margin_milli;
		memcpy(rule->condition, general->condition, sizeof(rule->condition));
		memcpy(rule->advice, general->advice, sizeof(rule->advice));
	} else {
		stand_alone(l, row_text(r, 0), rule);
	}
	l->n++;
}

int limit_load(struct db *db, const struct alert_rules *rules, int64_t resident, int64_t at_us,
	bool at_known, struct limits *ret)
{
	int rc;
	ret->n = 0;
	if (!resident)
		return 0;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT kind,side,CASE side WHEN 'at_least' THEN min(milli) ELSE max(milli) END,severity "
		"FROM personal_limit WHERE resident=?1 AND pending=0 AND (?3 OR (valid_from<=?2 AND "
		"valid_to>?2)) GROUP BY kind,side,severity ORDER BY max(id) DESC LIMIT ?4",
		"iiii", resident, at_us, (int64_t)!at_known, (int64_t)RULE_PERSONAL_MAX);
	while ((rc = row_next(r)) > 0)
		take(rules, r, at_known, ret);
	return error_only(rc);
}
