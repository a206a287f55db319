/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "condition.h"

#include "alert_words.h"
#include "alerts.h"
#include "gateway.h"
#include "watch.h"

#include <errno.h>

static int forget(struct db *db, int64_t device, const char *rule)
{
	return db_run(db, "DELETE FROM condition WHERE device=? AND rule=?", "it", device, rule);
}

enum condition_is condition_against(const struct alert_rule *rule, const struct quantity *q)
{
	return alert_breaks(rule, q)  ? CONDITION_BROKEN
	       : alert_holds(rule, q) ? CONDITION_NEARLY
				      : CONDITION_GOOD;
}

/* The members of the alert's body. */
static char *body_of(const struct condition *c)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_array_begin(&j, "rules");
	alert_rule_json(&j, c->rule, c->q);
	json_array_end(&j);
	json_object_end(&j);
	return json_take(&j);
}

/* The row, begun now, unless it is there already. What will be told is the last value. */
static int begin(struct gateway *g, struct db *db, const struct condition *c, struct instant now)
{
	_cleanup_(freep) char *body = body_of(c);
	if (!body)
		return -ENOMEM;
	int rc = db_run(db,
		"INSERT OR IGNORE INTO condition(device,rule,since,boot_id,due_boot,due,body) "
		"VALUES(?,?,?,?,?,?,?)",
		"itibiit", c->device, c->rule->id, now.utc_us, clock_boot_id(), (size_t)16,
		now.boot_us + c->for_us, now.utc_us + c->for_us, body);
	if (rc > 0)
		watch_expect(g->watch, now.boot_us + c->for_us);
	if (rc >= 0 && c->q) /* a row that says so already is not written again */
		rc = db_run(db,
			"UPDATE condition SET reading=?1, body=?2 WHERE device=?3 AND rule=?4 AND "
			"(body<>?2 OR reading IS NOT ?1)",
			"btit", c->reading ? c->reading->bytes : NULL,
			(size_t)(c->reading ? sizeof(c->reading->bytes) : 0), body, c->device,
			c->rule->id);
	return MIN(rc, 0);
}

/* 1: the row is there, and `ret_alert` is what was told of it, if something was; 0: it is not, -errno. */
static int row_of(struct db *db, const struct condition *c, struct uuid *ret_alert, bool *ret_told)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT alert FROM condition WHERE device=? AND rule=?", "it",
			c->device, c->rule->id);
	int rc = row_next(r);
	if (rc > 0)
		*ret_told = row_uuid(r, 0, ret_alert);
	return rc;
}

/* `told`: by its alert, which says that it is over. */
static int end(struct gateway *g, struct db *db, const struct condition *c,
	const struct uuid *alert, bool told, int64_t at_us)
{
	int rc = forget(db, c->device, c->rule->id);
	return rc < 0 || !told ? MIN(rc, 0) : alerts_over(g, db, alert, at_us);
}

int condition_judge(struct gateway *g, struct db *db, const struct condition *c,
	enum condition_is is, struct instant now)
{
	struct uuid alert;
	bool told = false;
	if (is == CONDITION_BROKEN)
		return begin(g, db, c, now);
	int rc = row_of(db, c, &alert, &told);
	if (rc <= 0 || (told && is == CONDITION_NEARLY))
		return MIN(rc, 0);
	return end(g, db, c, &alert, told, now.utc_us);
}

int condition_hear(struct gateway *g, struct db *db, const struct condition *c, struct instant now)
{
	int rc = condition_judge(g, db, c, CONDITION_GOOD, now);
	return rc < 0 ? rc : begin(g, db, c, now);
}

/* What was not told may have been said to nobody while we were away. */
int condition_listen(
	struct gateway *g, struct db *db, const struct condition *c, struct instant now, bool fresh)
{
	int rc =
		fresh ? db_run(db,
				"DELETE FROM condition WHERE device=? AND rule=? AND alert IS NULL",
				"it", c->device, c->rule->id)
		      : 0;
	return rc < 0 ? rc : begin(g, db, c, now);
}

/* forgetting */

/* `device`: "", it is of the gateway. */
static bool wanted(const struct gateway *g, const char *device, const struct alert_rule *rule)
{
	const struct config_device *d = config_device_named(g->config, device);
	if (!rule || !rule->technical)
		return false;
	if (rule->type == RULE_STORE || rule->type == RULE_CLOCK)
		return !device[0];
	if (!d || d->test)
		return false;
	if (rule->type == RULE_DEVICE_SILENT)
		return d->expect_s > 0;
	return rule->place[0] ? streq(rule->place, d->place) : rule->type == RULE_BATTERY;
}

/* One row after another, by their key: the rows that are looked at are the rows that are deleted. */
int condition_forget(struct gateway *g, struct db *db)
{
	int64_t device = -1;
	char name[64], rule[40] = "";
	for (;;) {
		{
			_cleanup_(row_endp) struct row *r = db_query(db,
				"SELECT condition.device,rule,name FROM condition LEFT JOIN device ON "
				"device.id=condition.device WHERE (condition.device,rule)>(?,?) ORDER BY "
				"condition.device,rule LIMIT 1",
				"it", device, rule);
			int rc = row_next(r);
			if (rc <= 0)
				return rc;
			device = row_int(r, 0);
			text_set(rule, sizeof(rule), row_text(r, 1));
			text_set(name, sizeof(name), row_text(r, 2));
		}
		int rc = wanted(g, name, alert_rules_find(g->rules, rule))
				 ? 0
				 : forget(db, device, rule);
		if (rc < 0)
			return rc;
	}
}

/* telling */

/* A condition that is due, as its row says. */
struct due {
	int64_t device, since_us;
	char name[96], rule[40]; /* `name`: the device's own identity, else ours; the gateway's */
	bool has_reading;
	struct uuid reading;
	char *body; /* owned */
};

static void due_free(struct due *d)
{
	free(d->body);
}

static int due_find(
	const struct gateway *g, struct db *db, int64_t boot_us, int64_t skip, struct due *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT device,since,coalesce(uid,name,?),rule,reading,body FROM condition LEFT JOIN "
		"device ON device.id=condition.device WHERE alert IS NULL AND boot_id=? AND "
		"due_boot<=? ORDER BY due_boot LIMIT 1 OFFSET ?",
		"tbii", g->config->gateway, clock_boot_id(), (size_t)16, boot_us, skip);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	ret->device = row_int(r, 0);
	ret->since_us = row_int(r, 1);
	text_set(ret->name, sizeof(ret->name), row_text(r, 2));
	text_set(ret->rule, sizeof(ret->rule), row_text(r, 3));
	ret->has_reading = row_uuid(r, 4, &ret->reading);
	ret->body = strdup(row_text(r, 5));
	return ret->body ? 1 : -ENOMEM;
}

/* The same condition is the same alert: it follows from its subject, the rule and when it began. */
static struct uuid alert_id(const struct due *d)
{
	char text[176];
	int n = snprintf(
		text, sizeof(text), "%s|%s|%lld", d->name, d->rule, (long long)d->since_us);
	return uuid_of("condition", text, (size_t)n);
}

/* One that is due; 1, 0: there is none, -errno. */
static int tell_one(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t skip)
{
	_cleanup_(due_free) struct due d = {0};
	int rc = due_find(g, db, boot_us, skip, &d);
	if (rc <= 0)
		return rc;
	const struct alert_rule *rule = alert_rules_find(g->rules, d.rule);
	if (!rule || !rule->technical) { /* of rules that were replaced a moment ago */
		rc = forget(db, d.device, d.rule);
		return rc < 0 ? rc : 1;
	}
	struct uuid id = alert_id(&d);
	rc = alerts_raise(g, db,
		&(struct raising){.id = id,
			.condition = rule->condition,
			.reading = d.has_reading ? &d.reading : NULL,
			.severity = rule->severity,
			.body = d.body,
			.doubts = "[]",
			.raised_us = utc_us,
			.raised_boot_us = boot_us,
			.place = rule->place[0] ? rule->place : NULL,
			.device = d.device,
			.since_us = d.since_us});
	if (rc >= 0)
		rc = db_run(db, "UPDATE condition SET alert=? WHERE device=? AND rule=?", "bit",
			id.bytes, sizeof(id.bytes), d.device, d.rule);
	return rc < 0 ? rc : 1;
}

int condition_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	return watch_tell(tell_one, g, db, utc_us, boot_us);
}
