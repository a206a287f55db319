/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place.h"

#include "condition.h"
#include "gateway.h"

static int judge_limit(struct gateway *g, struct db *db, const struct unit *u,
	const struct reading *r, const struct uuid *id, const struct alert_rule *rule)
{
	const struct quantity *q = NULL;
	for (unsigned i = 0; i < r->n_quantities; i++)
		if (streq(r->quantities[i].code->kind, rule->kind))
			q = &r->quantities[i];
	if (!q)
		return 0; /* not measured: what was known still holds */
	struct condition c = {.device = u->device_row,
		.rule = rule,
		.for_us = rule->for_s * CLOCK_SECOND_US,
		.q = q,
		.reading = id};
	return condition_judge(
		g, db, &c, condition_against(rule, q), (struct instant){u->arrived_us, u->boot_us});
}

static struct condition silence(int64_t device, const struct alert_rule *rule)
{
	return (struct condition){
		.device = device, .rule = rule, .for_us = rule->for_s * CLOCK_SECOND_US};
}

static int hear(
	struct gateway *g, struct db *db, const struct unit *u, const struct alert_rule *rule)
{
	struct condition c = silence(u->device_row, rule);
	return condition_hear(g, db, &c, (struct instant){u->arrived_us, u->boot_us});
}

int place_judge(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *id)
{
	const struct alert_rules *rules = g->rules;
	const struct alert_rule *rule;
	int rc = 0;
	if (!g->config->alerts || u->test || !u->place || !u->place[0])
		return 0;
	for (unsigned i = 0; rc >= 0 && (rule = alert_rules_at(rules, i)); i++)
		if (streq(rule->place, u->place))
			rc = rule->type == RULE_SILENT ? hear(g, db, u, rule)
						       : judge_limit(g, db, u, r, id, rule);
	return rc < 0 ? rc : condition_tell(g, db, u->arrived_us, u->boot_us);
}

int place_listen(struct gateway *g, struct db *db, struct instant now, bool fresh)
{
	const struct config *c = g->config;
	const struct alert_rules *rules = g->rules;
	const struct alert_rule *rule;
	int rc = 0;
	for (unsigned i = 0; rc >= 0 && c->alerts && i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];
		if (!d->place[0] || d->test)
			continue;
		int64_t device = db_int(db, 0, "SELECT id FROM device WHERE name=?", "t", d->id);
		for (unsigned k = 0; rc >= 0 && device && (rule = alert_rules_at(rules, k)); k++)
			if (rule->type == RULE_SILENT && streq(rule->place, d->place)) {
				struct condition s = silence(device, rule);
				rc = condition_listen(g, db, &s, now, fresh);
			}
	}
	return MIN(rc, 0);
}
