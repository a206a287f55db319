/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place.h"

#include "alert_words.h"
#include "alerts.h"
#include "gateway.h"
#include "span.h"
#include "watch.h"

#include <errno.h>

#define TOLD_MAX 64 /* in one look; the rest in the next, which is at once */

static char *body_of(const struct alert_rule *rule, const struct quantity *q)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_array_begin(&j, "rules");
	alert_rule_json(&j, rule, q);
	json_array_end(&j);
	json_object_end(&j);
	return json_take(&j);
}

/* The row of a rule for a device, begun at `since`, unless it is there already. */
static int begin(struct gateway *g, struct db *db, int64_t device, const struct alert_rule *rule,
	struct instant since, const char *body)
{
	int64_t for_us = rule->for_s * CLOCK_SECOND_US;
	int rc = db_run(db,
		"INSERT OR IGNORE INTO condition(device,rule,since,boot_id,due_boot,due,body) "
		"VALUES(?,?,?,?,?,?,?)",
		"itibiit", device, rule->id, since.utc_us, clock_boot_id(), (size_t)16,
		since.boot_us + for_us, since.utc_us + for_us, body);
	if (rc > 0)
		watch_expect(g->watch, since.boot_us + for_us);
	return rc;
}

/* Ends the row: its alert, if it was told, says that it is over. */
static int end(struct gateway *g, struct db *db, int64_t device, const struct alert_rule *rule,
	const struct uuid *alert, int64_t at_us)
{
	int rc = db_run(
		db, "DELETE FROM condition WHERE device=? AND rule=?", "it", device, rule->id);
	return rc < 0 || !alert ? MIN(rc, 0) : alerts_over(g, db, alert, at_us);
}

/* 1: the row is there, and `ret_alert` is what was told of it, if something was; 0: it is not, -errno. */
static int row_of(struct db *db, int64_t device, const struct alert_rule *rule,
	struct uuid *ret_alert, bool *ret_told)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT alert FROM condition WHERE device=? AND rule=?", "it", device, rule->id);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	size_t len;
	const void *alert = row_blob(r, 0, &len);
	*ret_told = len == sizeof(ret_alert->bytes);
	if (*ret_told)
		memcpy(ret_alert->bytes, alert, len);
	return 1;
}

/* judging */

static int broken(struct gateway *g, struct db *db, const struct unit *u, const struct uuid *id,
	const struct alert_rule *rule, const struct quantity *q)
{
	_cleanup_(freep) char *body = body_of(rule, q);
	if (!body)
		return -ENOMEM;
	int rc = begin(
		g, db, u->device_row, rule, (struct instant){u->arrived_us, u->boot_us}, body);
	if (rc < 0)
		return rc;
	/* what will be told is the last value */
	rc = db_run(db, "UPDATE condition SET reading=?, body=? WHERE device=? AND rule=?", "btit",
		id->bytes, sizeof(id->bytes), body, u->device_row, rule->id);
	return MIN(rc, 0);
}

static int judge_limit(struct gateway *g, struct db *db, const struct unit *u,
	const struct reading *r, const struct uuid *id, const struct alert_rule *rule)
{
	const struct quantity *q = NULL;
	for (unsigned i = 0; i < r->n_quantities; i++)
		if (streq(r->quantities[i].code->kind, rule->kind))
			q = &r->quantities[i];
	if (!q)
		return 0; /* not measured: what was known still holds */
	if (alert_breaks(rule, q))
		return broken(g, db, u, id, rule, q);
	struct uuid alert;
	bool told = false;
	int rc = row_of(db, u->device_row, rule, &alert, &told);
	if (rc <= 0 || (told && alert_holds(rule, q)))
		return MIN(rc, 0);
	return end(g, db, u->device_row, rule, told ? &alert : NULL, u->arrived_us);
}

static int hear(
	struct gateway *g, struct db *db, const struct unit *u, const struct alert_rule *rule)
{
	struct uuid alert;
	bool told = false;
	_cleanup_(freep) char *body = body_of(rule, NULL);
	if (!body)
		return -ENOMEM;
	int rc = row_of(db, u->device_row, rule, &alert, &told);
	if (rc > 0)
		rc = end(g, db, u->device_row, rule, told ? &alert : NULL, u->arrived_us);
	if (rc >= 0)
		rc = begin(g, db, u->device_row, rule, (struct instant){u->arrived_us, u->boot_us},
			body);
	return MIN(rc, 0);
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
	return rc < 0 ? rc : place_tell(g, db, u->arrived_us, u->boot_us);
}

/* telling */

/* A condition that is due, as its row says. */
struct due {
	int64_t device, since_us;
	char name[96], rule[40]; /* `name`: the device's own identity, else ours */
	bool has_reading;
	struct uuid reading;
	char *body; /* owned */
};

static void due_free(struct due *d)
{
	free(d->body);
}

static int due_find(struct db *db, int64_t boot_us, struct due *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT device,since,coalesce(uid,name),rule,reading,body FROM condition JOIN "
		"device ON device.id=condition.device WHERE alert IS NULL AND boot_id=? AND "
		"due_boot<=? ORDER BY due_boot LIMIT 1",
		"bi", clock_boot_id(), (size_t)16, boot_us);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	size_t len;
	ret->device = row_int(r, 0);
	ret->since_us = row_int(r, 1);
	text_copy(ret->name, sizeof(ret->name), row_text(r, 2), strlen(row_text(r, 2)));
	text_copy(ret->rule, sizeof(ret->rule), row_text(r, 3), strlen(row_text(r, 3)));
	const void *reading = row_blob(r, 4, &len);
	ret->has_reading = len == sizeof(ret->reading.bytes);
	if (ret->has_reading)
		memcpy(ret->reading.bytes, reading, len);
	ret->body = strdup(row_text(r, 5));
	return ret->body ? 1 : -ENOMEM;
}

/* The same condition is the same alert: it follows from the device, the rule and when it began. */
static struct uuid alert_id(const struct due *d)
{
	char text[176];
	int n = snprintf(
		text, sizeof(text), "%s|%s|%lld", d->name, d->rule, (long long)d->since_us);
	return uuid_of("condition", text, (size_t)n);
}

/* One that is due; 1, 0: there is none, -errno. */
static int tell_one(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	_cleanup_(due_free) struct due d = {0};
	int rc = due_find(db, boot_us, &d);
	if (rc <= 0)
		return rc;
	const struct alert_rule *rule = alert_rules_find(g->rules, d.rule);
	if (!rule || !rule->place[0]) { /* of rules that were replaced a moment ago */
		rc = db_run(db, "DELETE FROM condition WHERE device=? AND rule=?", "it", d.device,
			d.rule);
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
			.place = rule->place,
			.device = d.device,
			.since_us = d.since_us});
	if (rc >= 0)
		rc = db_run(db, "UPDATE condition SET alert=? WHERE device=? AND rule=?", "bit",
			id.bytes, sizeof(id.bytes), d.device, d.rule);
	return rc < 0 ? rc : 1;
}

int place_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	int rc = 1;
	for (unsigned n = 0; rc > 0 && n < TOLD_MAX; n++)
		rc = tell_one(g, db, utc_us, boot_us);
	return MIN(rc, 0);
}

/* listening */

static bool wanted(const struct config *c, const struct alert_rules *rules, const char *device,
	const char *rule)
{
	const struct config_device *d = config_device_named(c, device);
	const struct alert_rule *r = alert_rules_find(rules, rule);
	return d && r && !d->test && r->place[0] && streq(r->place, d->place);
}

/* One row after another, by their key: the rows that are looked at are the rows that are deleted. */
static int forget(struct db *db, const struct config *c, const struct alert_rules *rules)
{
	int64_t device = 0;
	char name[64], rule[40] = "";
	for (;;) {
		{
			_cleanup_(row_endp) struct row *r = db_query(db,
				"SELECT device,rule,name FROM condition JOIN device ON "
				"device.id=condition.device WHERE (device,rule)>(?,?) ORDER BY "
				"device,rule LIMIT 1",
				"it", device, rule);
			int rc = row_next(r);
			if (rc <= 0)
				return rc;
			device = row_int(r, 0);
			text_copy(rule, sizeof(rule), row_text(r, 1), strlen(row_text(r, 1)));
			text_copy(name, sizeof(name), row_text(r, 2), strlen(row_text(r, 2)));
		}
		int rc = wanted(c, rules, name, rule)
				 ? 0
				 : db_run(db, "DELETE FROM condition WHERE device=? AND rule=?",
					   "it", device, rule);
		if (rc < 0)
			return rc;
	}
}

/* What was not told may have been said to nobody while we were away. */
static int listen_for(struct gateway *g, struct db *db, int64_t device,
	const struct alert_rule *rule, struct instant now, bool fresh)
{
	_cleanup_(freep) char *body = body_of(rule, NULL);
	int rc = body ? 0 : -ENOMEM;
	if (rc >= 0 && fresh)
		rc = db_run(db, "DELETE FROM condition WHERE device=? AND rule=? AND alert IS NULL",
			"it", device, rule->id);
	return rc < 0 ? rc : begin(g, db, device, rule, now, body);
}

int place_listen(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, bool fresh)
{
	const struct config *c = g->config;
	const struct alert_rules *rules = g->rules;
	const struct alert_rule *rule;
	int rc = forget(db, c, rules);
	for (unsigned i = 0; rc >= 0 && c->alerts && i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];
		if (!d->place[0] || d->test)
			continue;
		int64_t device = db_int(db, 0, "SELECT id FROM device WHERE name=?", "t", d->id);
		for (unsigned k = 0; rc >= 0 && device && (rule = alert_rules_at(rules, k)); k++)
			if (rule->type == RULE_SILENT && streq(rule->place, d->place))
				rc = listen_for(g, db, device, rule,
					(struct instant){utc_us, boot_us}, fresh);
	}
	return MIN(rc, 0);
}
