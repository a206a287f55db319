/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "technical.h"

#include "condition.h"
#include "gateway.h"

#include <errno.h>
#include <sys/statvfs.h>

#define LOOK_US (60 * CLOCK_SECOND_US)

/* A share, as if it were measured. */
static const struct code percent = {.kind = "percent", .ucum = "%"};

static struct quantity share(int64_t of_hundred)
{
	return (struct quantity){.code = &percent, .value = {.milli = of_hundred * 1000}};
}

/* Rules of a type, one after another from index `*at`. */
static const struct alert_rule *next_of(
	const struct alert_rules *rules, enum rule_type type, unsigned *at)
{
	const struct alert_rule *rule;
	while ((rule = alert_rules_at(rules, (*at)++)) && rule->type != type)
		;
	return rule;
}

/* By the number, or (q NULL) as it is. */
static int judge_all(struct gateway *g, struct db *db, int64_t device, enum rule_type type,
	const struct quantity *q, enum condition_is is, struct instant now)
{
	const struct alert_rule *rule;
	int rc = 0;
	for (unsigned at = 0; rc >= 0 && (rule = next_of(g->rules, type, &at));) {
		struct condition c = {.device = device,
			.rule = rule,
			.for_us = rule->for_s * CLOCK_SECOND_US,
			.q = q};
		rc = condition_judge(g, db, &c, q ? condition_against(rule, q) : is, now);
	}
	return MIN(rc, 0);
}

/* devices */

static struct condition silence(
	int64_t device, const struct alert_rule *rule, const struct config_device *d)
{
	return (struct condition){.device = device,
		.rule = rule,
		.for_us = (int64_t)rule->times * d->expect_s * CLOCK_SECOND_US};
}

/* By the row: what a unit carries is no name of ours. NULL: nothing is said of this one. */
static const struct config_device *device_of(
	const struct gateway *g, struct db *db, const struct unit *u)
{
	if (!g->config->alerts || u->test || u->stranger)
		return NULL;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT name FROM device WHERE id=?", "i", u->device_row);
	return row_next(r) > 0 ? config_device_named(g->config, row_text(r, 0)) : NULL;
}

/* Of most devices nothing is expected: that must cost nothing. */
static bool any_expected(const struct config *c)
{
	for (unsigned i = 0; i < c->n_devices; i++)
		if (c->devices[i].expect_s)
			return true;
	return false;
}

int technical_heard(struct gateway *g, struct db *db, const struct unit *u)
{
	const struct config_device *d = any_expected(g->config) ? device_of(g, db, u) : NULL;
	const struct alert_rule *rule;
	int rc = 0;
	for (unsigned at = 0; d && d->expect_s && rc >= 0 &&
			      (rule = next_of(g->rules, RULE_DEVICE_SILENT, &at));) {
		struct condition c = silence(u->device_row, rule, d);
		rc = condition_hear(g, db, &c, (struct instant){u->arrived_us, u->boot_us});
	}
	return MIN(rc, 0);
}

int technical_battery(struct gateway *g, struct db *db, const struct unit *u, int64_t of_hundred)
{
	struct instant now = {u->arrived_us, u->boot_us};
	struct quantity q = share(of_hundred);
	if (!device_of(g, db, u))
		return 0;
	int rc = judge_all(g, db, u->device_row, RULE_BATTERY, &q, CONDITION_GOOD, now);
	return rc < 0 ? rc : condition_tell(g, db, u->arrived_us, u->boot_us);
}

int technical_listen(struct gateway *g, struct db *db, struct instant now, bool fresh)
{
	const struct config *c = g->config;
	const struct alert_rule *rule;
	int rc = 0;
	for (unsigned i = 0; rc >= 0 && c->alerts && i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];
		if (!d->expect_s || d->test)
			continue;
		int64_t device = db_int(db, 0, "SELECT id FROM device WHERE name=?", "t", d->id);
		for (unsigned at = 0;
			rc >= 0 && device && (rule = next_of(g->rules, RULE_DEVICE_SILENT, &at));) {
			struct condition s = silence(device, rule, d);
			rc = condition_listen(g, db, &s, now, fresh);
		}
	}
	return MIN(rc, 0);
}

/* the gateway */

/* How full the disk is for us, of a hundred. One that cannot be asked is told by the store itself. */
static int used(const char *dir)
{
	struct statvfs s;
	if (statvfs(dir, &s) < 0)
		return 0;
	uint64_t taken = s.f_blocks - s.f_bfree, all = taken + s.f_bavail;
	return all ? (int)(taken * 100 / all) : 0;
}

int technical_look(struct gateway *g, struct db *db, struct instant now, int64_t *ret_next_us)
{
	unsigned store = 0, clock = 0;
	*ret_next_us = INT64_MAX;
	if (!g->config->alerts ||
		(!next_of(g->rules, RULE_STORE, &store) && !next_of(g->rules, RULE_CLOCK, &clock)))
		return 0;
	struct quantity full = share(used(g->config->store));
	bool sure = span_sure(db, &now);
	int rc = judge_all(g, db, CONDITION_GATEWAY, RULE_STORE, &full, CONDITION_GOOD, now);
	if (rc >= 0)
		rc = judge_all(g, db, CONDITION_GATEWAY, RULE_CLOCK, NULL,
			sure ? CONDITION_GOOD : CONDITION_BROKEN, now);
	*ret_next_us = now.boot_us + LOOK_US;
	return rc;
}
