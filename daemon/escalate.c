/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escalate.h"

#include "alerts.h"
#include "day.h"
#include "gateway.h"
#include "log.h"
#include "rota.h"
#include "watch.h"

#include <errno.h>

#define RESTS_US (2 * INT64_C(86400) * CLOCK_SECOND_US) /* longer than a local day */

/* when */

/* The first instant from `from_us` on at which the clocks of the site show this. */
static int64_t next_at(int64_t from_us, const char *text)
{
	int32_t day = day_of(from_us);
	for (int32_t i = 0; i < 3; i++) {
		int64_t at_us = day_at_us(day + i, day_minute(text));
		if (at_us >= from_us)
			return at_us;
	}
	return from_us;
}

/* `quiet`: "21:00-07:00"; "": never. */
static bool is_quiet(const char *quiet, int64_t now_us)
{
	if (!quiet[0])
		return false;
	const struct vg_civil c = clock_civil(now_us);
	int now = c.hour * 60 + c.minute, from = day_minute(quiet), to = day_minute(quiet + 6);
	return from < to ? now >= from && now < to : now >= from || now < to;
}

struct delivery escalate_delivery(
	const struct gateway *g, enum severity severity, int64_t age_us, int64_t now_us)
{
	const struct config *c = g->config;
	const struct rule_times *times = alert_times(g->rules);
	if (severity < SEVERITY_WARNING)
		return (struct delivery){"list", now_us};
	if (!clock_plausible(now_us))
		return (struct delivery){"now", now_us};
	if (severity == SEVERITY_CRITICAL && age_us > times->page_s * CLOCK_SECOND_US)
		return (struct delivery){"morning", next_at(now_us, c->morning)};
	if (severity == SEVERITY_WARNING && is_quiet(c->quiet, now_us))
		return (struct delivery){"after_quiet", next_at(now_us, c->quiet + 6)};
	return (struct delivery){"now", now_us};
}

/* what is told */

struct told {
	struct uuid alert;
	struct rota_for whom;
	struct rota_person person;
	char station[32], deliver[16];
	enum severity severity;
	int step;
	int64_t not_before_us;
	bool open, latched, acknowledged;
};

/* 1; 0: there is no such alert. */
static int load(struct db *db, const struct uuid *alert, struct told *t)
{
	*t = (struct told){.alert = *alert};
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT resident,staff,station,severity,state,deliver,step,acked,not_before FROM "
		"alert WHERE uuid=?",
		"b", alert->bytes, sizeof(alert->bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	const char *state = row_text(r, 4);
	text_set(t->station, sizeof(t->station), row_text(r, 2));
	text_set(t->deliver, sizeof(t->deliver), row_text(r, 5));
	t->whom = (struct rota_for){row_int(r, 0), row_int(r, 1), t->station};
	t->severity = severity_named(row_text(r, 3));
	t->latched = streq(state, "latched");
	t->open = t->latched || streq(state, "active");
	t->step = (int)row_int(r, 6);
	t->acknowledged = !row_null(r, 7);
	t->not_before_us = row_int(r, 8);
	return 1;
}

/* Whom the rules send it to. A doubtful one that nobody repeated goes to staff where it raises an alert anew: the revision
 * that it has was told to nobody yet. */
static int route(struct db *db, const struct uuid *alert)
{
	return error_only(db_run(db,
		"UPDATE alert SET staff=resident IS NULL OR NOT in_contract OR place IS NOT NULL OR "
		"EXISTS(SELECT 1 FROM json_each(doubts) WHERE value='clock_unknown') OR (EXISTS(SELECT "
		"1 FROM json_each(doubts) WHERE value='no_clean_repeat') AND NOT EXISTS(SELECT 1 FROM "
		"alert_history h WHERE h.alert=uuid AND h.revision=alert.revision)), labels=(SELECT "
		"json_group_array(value) FROM json_each(labels) WHERE value<>'nobody_answered') WHERE "
		"uuid=?",
		"b", alert->bytes, sizeof(alert->bytes)));
}

static int64_t interval_us(const struct gateway *g, const struct told *t)
{
	const struct rule_times *times = alert_times(g->rules);
	bool hurry = t->severity == SEVERITY_CRITICAL && streq(t->deliver, "now") && !t->latched;
	return (hurry ? times->critical_s : times->warning_s) * CLOCK_SECOND_US;
}

/* Of a warning nothing is due in quiet hours, but at their end. Nobody knows the hour of a clock that is not set. */
static int64_t awake(const struct gateway *g, const struct told *t, int64_t due_us)
{
	const char *quiet = g->config->quiet;
	bool rests = t->severity == SEVERITY_WARNING && clock_plausible(due_us);
	return rests && is_quiet(quiet, due_us) ? next_at(due_us, quiet + 6) : due_us;
}

/* From now on it is due at that instant. */
static int wait_until(struct gateway *g, struct db *db, const struct told *t, int64_t due_us,
	int64_t utc_us, int64_t boot_us)
{
	const struct uuid *alert = &t->alert;
	due_us = awake(g, t, due_us);
	int64_t due_boot_us = boot_us + (due_us - utc_us);
	int rc = db_run(db,
		"INSERT INTO escalation(alert,since,boot_id,due_boot,due) VALUES(?,?,?,?,?) ON "
		"CONFLICT(alert) DO UPDATE SET since=excluded.since, boot_id=excluded.boot_id, "
		"due_boot=excluded.due_boot, due=excluded.due, rests=0",
		"bibii", alert->bytes, sizeof(alert->bytes), utc_us, clock_boot_id(), (size_t)16,
		due_boot_us, due_us);
	if (rc > 0)
		watch_expect(g->watch, due_boot_us);
	return MIN(rc, 0);
}

int escalate_begin(struct gateway *g, struct db *db, const struct uuid *alert, int64_t age_us)
{
	int64_t utc_us = clock_utc_us(), boot_us = clock_boot_us();
	struct told t;
	int rc = route(db, alert);
	if (rc >= 0)
		rc = load(db, alert, &t);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	struct delivery d = escalate_delivery(g, t.severity, age_us, utc_us);
	text_set(t.deliver, sizeof(t.deliver), d.word);
	int step = rota_step(g, db, &t.whom, 0, d.not_before_us, &t.person);
	if (step < 0)
		return step;
	rc = db_run(db,
		"UPDATE alert SET recipient=?, role=?, step=?, deliver=?, not_before=?, sent=NULL, "
		"receipted=NULL, read_by=NULL, read_at=NULL, pages=pages+(severity<>'notice') WHERE uuid=?",
		"ttitib", t.person.token, t.person.role,
		(int64_t)(step == ROTA_STEPS_MAX ? 0 : step), d.word, d.not_before_us, alert->bytes,
		sizeof(alert->bytes));
	if (rc < 0 || t.severity < SEVERITY_WARNING)
		return rc < 0 ? rc : escalate_end(db, alert);
	return wait_until(g, db, &t, d.not_before_us + interval_us(g, &t), utc_us, boot_us);
}

/* Whoever is still to hear of it hears of what was. */
static int slow(struct gateway *g, struct db *db, const struct uuid *alert)
{
	int64_t utc_us = clock_utc_us(),
		later_us = alert_times(g->rules)->warning_s * CLOCK_SECOND_US;
	return error_only(db_run(db,
		"UPDATE escalation SET since=?2, due=max(due,?2+?4), due_boot=max(due_boot,?3+?4) WHERE "
		"alert=?1",
		"biii", alert->bytes, sizeof(alert->bytes), utc_us, clock_boot_us(), later_us));
}

static int hurry(struct gateway *g, struct db *db, const struct uuid *alert)
{
	int64_t utc_us = clock_utc_us(), boot_us = clock_boot_us();
	struct told t;
	int rc = load(db, alert, &t);
	if (rc <= 0)
		return rc;
	int64_t soon_us = interval_us(g, &t);
	rc = db_run(db,
		"UPDATE escalation SET since=?2, due=min(due,max(?2,?5)+?4), "
		"due_boot=min(due_boot,max(0,?5-?2)+?3+?4) WHERE alert=?1",
		"biiii", alert->bytes, sizeof(alert->bytes), utc_us, boot_us, soon_us,
		t.not_before_us);
	if (rc > 0)
		watch_expect(g->watch, boot_us + soon_us);
	return MIN(rc, 0);
}

int escalate_end(struct db *db, const struct uuid *alert)
{
	/* a warning that nobody acknowledged may be reopened today */
	int rc = db_run(db,
		"UPDATE escalation SET rests=1 WHERE alert=?1 AND EXISTS(SELECT 1 FROM alert WHERE "
		"uuid=?1 AND severity='warning' AND acked IS NULL)",
		"b", alert->bytes, sizeof(alert->bytes));
	if (rc == 0)
		rc = db_run(db, "DELETE FROM escalation WHERE alert=?", "b", alert->bytes,
			sizeof(alert->bytes));
	return MIN(rc, 0);
}

int escalate_follow(struct gateway *g, struct db *db, const struct uuid *alert,
	enum alert_state was, enum alert_state is)
{
	if (is == was)
		return 0;
	return is == ALERT_LATCHED    ? slow(g, db, alert)
	       : is == ALERT_INACTIVE ? escalate_end(db, alert)
				      : hurry(g, db, alert);
}

int escalate_resume(struct gateway *g, struct db *db, const struct uuid *alert)
{
	int64_t utc_us = clock_utc_us(), boot_us = clock_boot_us();
	struct told t;
	int rc = load(db, alert, &t);
	if (rc <= 0 || t.acknowledged || t.severity < SEVERITY_WARNING)
		return MIN(rc, 0);
	rc = db_run(db, "UPDATE escalation SET rests=0 WHERE alert=?", "b", alert->bytes,
		sizeof(alert->bytes));
	/* it was due so long ago that it is forgotten */
	if (rc == 0)
		rc = wait_until(g, db, &t, utc_us, utc_us, boot_us);
	if (rc > 0)
		watch_expect(g->watch,
			db_int(db, boot_us, "SELECT due_boot FROM escalation WHERE alert=?", "b",
				alert->bytes, sizeof(alert->bytes)));
	return MIN(rc, 0);
}

/* telling */

/* The next step that has somebody; 1: there is none, and one of those before is told again. */
static int next_person(const struct gateway *g, struct db *db, int64_t utc_us, struct told *t)
{
	int step = rota_step(g, db, &t->whom, t->step + 1, utc_us, &t->person);
	bool again = step == ROTA_STEPS_MAX;
	if (again)
		step = rota_step_back(g, db, &t->whom, t->step, utc_us, &t->person);
	t->step = step == ROTA_STEPS_MAX ? 0 : step;
	return step < 0 ? step : again;
}

static int tell(struct gateway *g, struct db *db, struct told *t, int64_t utc_us, int64_t boot_us)
{
	const struct uuid *id = &t->alert;
	char text[33];
	int again = next_person(g, db, utc_us, t);
	if (again < 0)
		return again;
	int rc = db_run(db,
		"UPDATE alert SET pages=pages+1, recipient=?1, role=?2, step=?3, labels=CASE WHEN ?4 AND NOT "
		"EXISTS(SELECT 1 FROM json_each(labels) WHERE value='nobody_answered') THEN "
		"json_insert(labels,'$[#]','nobody_answered') ELSE labels END WHERE uuid=?5",
		"ttiib", t->person.token, t->person.role, (int64_t)t->step, (int64_t)again,
		id->bytes, sizeof(id->bytes));
	if (rc >= 0)
		rc = wait_until(g, db, t,
			utc_us + (again ? alert_times(g->rules)->again_s * CLOCK_SECOND_US
					: interval_us(g, t)),
			utc_us, boot_us);
	if (rc < 0)
		return rc;
	log_note("alert", "%.8s was not acknowledged: to the %s%s",
		hex(text, id->bytes, sizeof(id->bytes)), t->person.role, again ? ", again" : "");
	return alerts_revise(g, db, id, PHASE_UPDATE, NULL, NULL);
}

/* One that is due; 1, 0: there is none, -errno. */
static int tell_one(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t skip)
{
	struct uuid alert;
	struct told t;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT e.alert FROM escalation e LEFT JOIN alert a ON a.uuid=e.alert WHERE "
			"e.rests=0 AND e.boot_id=?1 AND e.due_boot<=?2 ORDER BY e.due_boot,a.id LIMIT 1 OFFSET ?3",
			"bii", clock_boot_id(), (size_t)16, boot_us, skip);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		if (!row_uuid(r, 0, &alert))
			return -ODD_ROW;
	}
	int rc = load(db, &alert, &t);
	if (rc < 0)
		return rc;
	bool due = rc > 0 && t.open && !t.acknowledged && t.severity >= SEVERITY_WARNING;
	bool rests = due && awake(g, &t, utc_us) > utc_us;
	rc = rests ? wait_until(g, db, &t, utc_us, utc_us, boot_us)
	     : due ? tell(g, db, &t, utc_us, boot_us)
		   : escalate_end(db, &alert);
	return rc < 0 ? rc : 1;
}

int escalate_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	int rc = db_run(
		db, "DELETE FROM escalation WHERE rests=1 AND due_boot<?", "i", boot_us - RESTS_US);
	return rc < 0 ? rc : watch_tell(tell_one, g, db, utc_us, boot_us);
}
