/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daily.h"

#include "alert_words.h"
#include "alerts.h"
#include "due_facts.h"
#include "gateway.h"
#include "traits.h"
#include "visit_facts.h"

#include <errno.h>

/* Days that are overdue, and readings of a week, as if they were measured. */
static const struct code overdue_days = {.kind = "overdue", .ucum = "d"};
static const struct code week_readings = {.kind = "home_week", .ucum = "{readings}"};

#define WEEK_DAYS 7
#define ACTIVE \
	"state IN ('active','latched') AND state='active'" /* the first for the index of what is open */
/* SQL: an alert of a resident that no reading raised and no study */
#define ALERT_OF_DAY "resident IS NOT NULL AND reading IS NULL AND study IS NULL"

/* What is known of one resident on one day; read when the first rule asks for it. */
struct facts {
	const struct gateway *g;
	struct db *db;
	const struct owned *who;
	int32_t day;
	int64_t now_us;
	struct person person;
	bool has_mean, has_last, has_due;
	struct home_week mean, last; /* the latest valid one; the one that ended yesterday */
	int32_t measured; /* the last day on which anything was measured at home; DAY_NONE */
	struct due_item due[DUE_ITEMS_MAX];
	unsigned n_due;
};

static bool of_day(const struct alert_rule *rule)
{
	return rule->type == RULE_MEAN || rule->type == RULE_OVERDUE || rule->type == RULE_MISSING;
}

/* the three types: 1, it fires on `ret`; 0, it does not; -errno */

static int mean(struct facts *f, const struct alert_rule *rule, struct quantity *ret)
{
	int rc = f->has_mean
			 ? 0
			 : visit_home_week(f->g, f->db, f->who->id, f->day, f->now_us, &f->mean);
	f->has_mean = rc >= 0;
	if (rc < 0 || !f->mean.valid)
		return rc;
	*ret = (struct quantity){.code = codes_find(f->g->codes, rule->kind)};
	ret->value.milli = streq(rule->kind, "bp.dbp") ? f->mean.diastolic : f->mean.systolic;
	return ret->code && alert_breaks(rule, ret);
}

static int overdue(struct facts *f, const struct alert_rule *rule, struct quantity *ret)
{
	struct due_facts facts;
	int rc = f->has_due ? 0 : due_facts_visits(f->db, f->who, &facts);
	if (rc >= 0 && !f->has_due)
		f->n_due = due_judge(f->g->numbers, &facts, f->day, f->due);
	f->has_due = rc >= 0;
	for (unsigned i = 0; i < f->n_due && rc >= 0; i++) {
		const struct due_item *item = &f->due[i];
		if (item->list != LIST_DUE || !item->form || !streq(item->form, rule->form) ||
			item->days < rule->days)
			continue;
		*ret = (struct quantity){
			.code = &overdue_days, .value = {.milli = item->days * 1000}};
		return 1;
	}
	return rc;
}

static int missing(struct facts *f, const struct alert_rule *rule, struct quantity *ret)
{
	(void)rule;
	int rc = f->has_last ? 0
			     : visit_home_last(f->g, f->db, f->who->id, f->day, f->now_us, &f->last,
				       &f->measured);
	f->has_last = rc >= 0;
	if (rc < 0)
		return rc;
	*ret = (struct quantity){
		.code = &week_readings, .value = {.milli = (int64_t)f->last.n * 1000}};
	return f->measured != DAY_NONE && f->measured >= f->day - WEEK_DAYS && !f->last.valid;
}

static int fires(struct facts *f, const struct alert_rule *rule, struct quantity *ret)
{
	if (rule->severity < alert_times(f->g->rules)->least ||
		!rule_is_for(&rule->whom, &f->person, (int)f->g->config->altitude_m))
		return 0;
	return rule->type == RULE_MEAN	    ? mean(f, rule, ret)
	       : rule->type == RULE_OVERDUE ? overdue(f, rule, ret)
					    : missing(f, rule, ret);
}

/* a condition */

struct standing {
	enum severity level;
	struct json rules; /* those that fire, of that severity: elements of an array */
};

static void standing_free(struct standing *s)
{
	json_free(&s->rules);
}

static int judge_condition(struct facts *f, unsigned first, struct standing *ret)
{
	const struct alert_rules *rules = f->g->rules;
	const struct alert_rule *rule, *of = alert_rules_at(rules, first);
	int rc = 0;
	json_object_begin(&ret->rules, NULL);
	json_array_begin(&ret->rules, "rules");
	for (unsigned i = first; (rule = alert_rules_at(rules, i)) && rc >= 0; i++) {
		struct quantity q;
		if (!of_day(rule) || !streq(rule->condition, of->condition))
			continue;
		rc = fires(f, rule, &q);
		if (rc <= 0 || rule->severity < ret->level)
			continue;
		if (rule->severity > ret->level) {
			json_reset(&ret->rules);
			json_object_begin(&ret->rules, NULL);
			json_array_begin(&ret->rules, "rules");
		}
		ret->level = rule->severity;
		alert_rule_json(&ret->rules, rule, &q);
	}
	json_array_end(&ret->rules);
	json_object_end(&ret->rules);
	return MIN(rc, 0);
}

/* The one that is open; of several, after a merge, rather one that is not over. 1; 0: there is none, -errno. */
static int open_one(
	struct db *db, int64_t resident, const char *condition, struct uuid *ret, int *ret_level)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT uuid,level FROM alert WHERE resident=? AND condition=? AND " ALERT_OF_DAY
		" AND state IN ('active','latched') ORDER BY state='active' DESC,id DESC LIMIT 1",
		"it", resident, condition);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	*ret_level = (int)row_int(r, 1);
	return row_uuid(r, 0, ret) ? 1 : -ODD_ROW;
}

/* Each that is active of this resident and condition. */
static int end_all(struct gateway *g, struct db *db, int64_t resident, const char *condition,
	const struct instant *now)
{
	struct uuid id;
	int level, rc;
	while ((rc = open_one(db, resident, condition, &id, &level)) > 0 && level) {
		rc = alerts_over(g, db, &id, now->utc_us);
		if (rc < 0)
			return rc;
	}
	return MIN(rc, 0);
}

static struct uuid alert_id(const struct facts *f, const char *condition)
{
	char text[128], day[DAY_TEXT];
	int n = snprintf(
		text, sizeof(text), "%s|%s|%s", condition, f->who->token, day_text(day, f->day));
	return uuid_of("alert", text, (size_t)n);
}

static bool in_contract(const struct facts *f)
{
	return owned_in_contract(f->who, day_begin_us(f->day));
}

/* 1; 0: that was raised today; -errno. */
static int raise_new(struct gateway *g, const struct facts *f, const char *condition,
	const struct standing *s, struct instant now)
{
	struct filing to = {.who.resident = f->who->id,
		.when = {.taken_us = now.utc_us, .trust = TRUST_LIVE},
		.in_contract = in_contract(f)};
	return alerts_raise(g, f->db,
		&(struct raising){.id = alert_id(f, condition),
			.condition = condition,
			.to = &to,
			.severity = s->level,
			.body = s->rules.text,
			.doubts = "[]",
			.raised_us = now.utc_us,
			.raised_boot_us = now.boot_us});
}

static int apply(struct gateway *g, struct facts *f, unsigned first, const char *condition,
	struct instant now)
{
	_cleanup_(standing_free) struct standing s = {0};
	struct uuid id;
	int level = SEVERITY_NONE;
	int rc = judge_condition(f, first, &s);
	if (rc < 0)
		return rc;
	if (!json_text(&s.rules))
		return -ENOMEM;
	if (!s.level)
		return end_all(g, f->db, f->who->id, condition, &now);
	rc = open_one(f->db, f->who->id, condition, &id, &level);
	if (rc <= 0)
		return rc < 0 ? rc : raise_new(g, f, condition, &s, now);
	if ((int)s.level == level)
		return 0;
	rc = alerts_stand(g, f->db, &id,
		&(struct alert_standing){.level = s.level,
			.body = s.rules.text,
			.in_contract = in_contract(f),
			.at_us = now.utc_us});
	if (rc > 0)
		rc = raise_new(g, f, condition, &s, now);
	return rc > 0 ? alerts_supersede(g, f->db, &id, now.utc_us) : rc;
}

/* The first rule of a condition: the others are judged with it. -1: nobody asks for it any more. */
static int first_of(const struct alert_rules *rules, const char *condition)
{
	const struct alert_rule *rule;
	for (int i = 0; (rule = alert_rules_at(rules, (unsigned)i)); i++)
		if (of_day(rule) && streq(rule->condition, condition))
			return i;
	return -1;
}

/* One whose rules were taken out of the file; 1; 0: there is none, -errno. */
static int forgotten(const struct facts *f, struct uuid *ret)
{
	int rc;
	_cleanup_(row_endp) struct row *r = db_query(f->db,
		"SELECT uuid,condition FROM alert WHERE resident=? AND " ALERT_OF_DAY
		" AND " ACTIVE,
		"i", f->who->id);
	while ((rc = row_next(r)) > 0)
		if (first_of(f->g->rules, row_text(r, 1)) < 0)
			return row_uuid(r, 0, ret) ? 1 : -ODD_ROW;
	return rc;
}

int daily_judge(
	struct gateway *g, struct db *db, const struct owned *who, int32_t day, struct instant now)
{
	struct facts f = {.g = g, .db = db, .who = who, .day = day, .now_us = now.utc_us};
	const struct alert_rule *rule;
	struct uuid id;
	int rc = person_load(db, who->id, day, &f.person);
	for (unsigned i = 0; rc >= 0 && (rule = alert_rules_at(g->rules, i)); i++)
		if (of_day(rule) && first_of(g->rules, rule->condition) == (int)i)
			rc = apply(g, &f, i, rule->condition, now);
	while (rc >= 0 && (rc = forgotten(&f, &id)) > 0)
		rc = alerts_over(g, db, &id, now.utc_us);
	return MIN(rc, 0);
}

int daily_leave(struct gateway *g, struct db *db, struct instant now)
{
	struct uuid id;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT uuid FROM alert WHERE " ACTIVE " AND " ALERT_OF_DAY
			" AND NOT EXISTS (SELECT 1 FROM resident r WHERE r.id=alert.resident AND "
			"r.state='active' AND r.owner IN ('',?)) ORDER BY id LIMIT 1",
			"t", g->config->gateway);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		if (!row_uuid(r, 0, &id))
			return -ODD_ROW;
	}
	int rc = alerts_over(g, db, &id, now.utc_us);
	return rc < 0 ? rc : 1;
}

int daily_needed(const struct gateway *g, struct db *db)
{
	const struct alert_rule *rule;
	for (unsigned i = 0; (rule = alert_rules_at(g->rules, i)); i++)
		if (of_day(rule) && rule->severity >= alert_times(g->rules)->least)
			return 1;
	return db_int(db, 0, "SELECT 1 FROM alert WHERE " ACTIVE " AND " ALERT_OF_DAY " LIMIT 1",
		       "") == 1;
}
