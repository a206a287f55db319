/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "retention.h"

#include "clock.h"
#include "span.h"
#include "util.h"

#define DAY_US (INT64_C(86400) * CLOCK_SECOND_US)

/* What arrived before the clock was set is as old as what came next with a clock that was. */
#define OLD(table, row)                                                                            \
	row ".arrived<?1 AND (" row ".arrived>=?3 OR coalesce((SELECT n.arrived FROM " table " n " \
	    "WHERE n.id>" row ".id AND n.arrived>=?3 ORDER BY n.id LIMIT 1),?1)<?1)"

/* A visit that nobody confirmed yet still rests on it. */
#define OF_PROPOSAL                                                                                 \
	"EXISTS (SELECT 1 FROM visit v JOIN visit_window w ON w.visit=v.id LEFT JOIN checkin c ON " \
	"c.id=w.checkin WHERE v.resident=r.resident AND v.state IN ('open','closed') AND "          \
	"(w.checkin=r.checkin OR r.taken BETWEEN coalesce(c.from_us,w.from_us) AND "                \
	"coalesce(c.to_us,w.to_us,r.taken)))"

/* One whose time is doubtful stands for none whose is not: when somebody was last heard of is known by these. */
#define TRUSTED(row) row ".trust IN ('corrected','live')"

/* Oldest rows first, so that a clock that is wrong for an hour costs one portion of delivered rows. */
static int delete_readings(struct db *db, int64_t before_us)
{
	int rc = db_run(db,
		"CREATE TEMP TABLE IF NOT EXISTS leaving AS SELECT id FROM reading WHERE 0", "");
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM leaving", "");
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO leaving SELECT id FROM reading r WHERE " OLD("reading",
				"r") " AND NOT "
				     "EXISTS (SELECT 1 FROM outbox o WHERE o.uuid=r.uuid) AND NOT EXISTS "
				     "(SELECT 1 FROM pending_repeat p WHERE p.reading=r.uuid) AND NOT EXISTS "
				     "(SELECT 1 FROM alert_reading w CROSS JOIN alert a ON a.uuid=w.alert WHERE "
				     "w.reading=r.uuid AND (a.state<>'inactive' OR EXISTS (SELECT 1 FROM outbox o "
				     "WHERE o.uuid=a.uuid))) AND NOT EXISTS "
				     "(SELECT 1 FROM evidence e WHERE e.reading=r.id AND NOT EXISTS (SELECT 1 "
				     "FROM evidence n WHERE n.resident=e.resident AND n.kind=e.kind AND "
				     "n.taken>e.taken AND (" TRUSTED("n") " OR NOT " TRUSTED(
					     "e") "))) AND NOT " OF_PROPOSAL
						  " ORDER BY id LIMIT ?2",
			"iii", before_us, (int64_t)RETENTION_ROWS, CLOCK_PLAUSIBLE_US);
	if (rc >= 0)
		rc = db_run(
			db, "DELETE FROM evidence WHERE reading IN (SELECT id FROM leaving)", "");
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM reading WHERE id IN (SELECT id FROM leaving)", "");
	return rc;
}

/* A study leaves whole, and only when nobody waits for anything of it. */
static int delete_studies(struct db *db, int64_t before_us)
{
	static const char *const parts[] = {
		"DELETE FROM study_piece WHERE study IN (SELECT id FROM leaving)",
		"DELETE FROM report WHERE study IN (SELECT id FROM leaving)",
		"DELETE FROM study WHERE id IN (SELECT id FROM leaving)",
	};
	/* what did not come in all that time does not come any more, unless it is still on its way, or staff are told */
	int rc = db_run(db,
		"DELETE FROM study_wait WHERE since<? AND NOT EXISTS (SELECT 1 FROM study s JOIN outbox "
		"o ON o.uuid=s.uuid WHERE s.id=study) AND NOT EXISTS (SELECT 1 FROM alert a WHERE "
		"a.uuid=study_wait.alert AND a.state<>'inactive')",
		"i", before_us);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM leaving", "");
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO leaving SELECT id FROM study s WHERE " OLD("study",
				"s") " AND "
				     "status<>'undecoded' AND NOT EXISTS (SELECT 1 FROM outbox o WHERE "
				     "o.uuid=s.uuid) AND NOT EXISTS (SELECT 1 FROM study_wait w WHERE "
				     "w.study=s.id) AND NOT EXISTS (SELECT 1 FROM report p WHERE p.study=s.id AND "
				     "p.status='critical' AND p.read_back_at IS NULL) AND NOT EXISTS (SELECT 1 FROM "
				     "alert a WHERE a.study=s.uuid AND (a.state<>'inactive' OR EXISTS (SELECT 1 FROM "
				     "outbox o WHERE o.uuid=a.uuid))) ORDER BY id LIMIT ?2",
			"iii", before_us, (int64_t)RETENTION_STUDIES, CLOCK_PLAUSIBLE_US);
	for (size_t i = 0; i < ELEMENTS(parts) && rc >= 0; i++)
		rc = db_run(db, parts[i], "");
	return MIN(rc, 0);
}

/* One that nobody waits for any more, so long after it was over. What was raised before the clock was set is as old as what
 * came next. */
static int delete_alerts(struct db *db, int64_t before_us)
{
#define OF_LEAVING "IN (SELECT uuid FROM alert WHERE id IN (SELECT id FROM leaving))"
	static const char *const parts[] = {
		"DELETE FROM alert_reading WHERE alert " OF_LEAVING,
		"DELETE FROM alert_history WHERE alert " OF_LEAVING,
		"DELETE FROM escalation WHERE alert " OF_LEAVING,
		"DELETE FROM alert WHERE id IN (SELECT id FROM leaving)",
	};
#undef OF_LEAVING
	int rc = db_run(db, "DELETE FROM leaving", "");
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO leaving SELECT id FROM alert a WHERE state='inactive' AND raised<?1 "
			"AND coalesce(ended,raised)<?1 AND coalesce(acked,raised)<?1 AND (raised>=?3 OR "
			"coalesce((SELECT n.raised FROM alert n WHERE n.id>a.id AND n.raised>=?3 ORDER BY "
			"n.id LIMIT 1),?1)<?1) AND NOT EXISTS (SELECT 1 FROM outbox o WHERE "
			"o.uuid=a.uuid) ORDER BY id LIMIT ?2",
			"iii", before_us, (int64_t)RETENTION_ROWS, CLOCK_PLAUSIBLE_US);
	for (size_t i = 0; i < ELEMENTS(parts) && rc >= 0; i++)
		rc = db_run(db, parts[i], "");
	return MIN(rc, 0);
}

/* The last confirmed visit of a form stays: what is due is counted from it. */
static int delete_visits(struct db *db, int64_t before_us)
{
	static const char *const parts[] = {
		"DELETE FROM visit_window WHERE visit IN (SELECT id FROM leaving)",
		"DELETE FROM visit_revision WHERE visit IN (SELECT id FROM leaving)",
		"DELETE FROM visit WHERE id IN (SELECT id FROM leaving)",
	};
	int rc = db_run(db, "DELETE FROM leaving", "");
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO leaving SELECT id FROM visit v WHERE changed<? AND changed>=? AND "
			"NOT EXISTS (SELECT 1 FROM outbox o WHERE o.uuid=v.uuid) AND (state<>'confirmed' "
			"OR EXISTS (SELECT 1 FROM visit n WHERE n.resident=v.resident AND n.form=v.form "
			"AND n.state='confirmed' AND (n.day,n.id)>(v.day,v.id))) ORDER BY id LIMIT ?",
			"iii", before_us, CLOCK_PLAUSIBLE_US, (int64_t)RETENTION_ROWS);
	for (size_t i = 0; i < ELEMENTS(parts) && rc >= 0; i++)
		rc = db_run(db, parts[i], "");
	return MIN(rc, 0);
}

/* A check-in stays as long as anything names it. */
static int delete_checkins(struct db *db, int64_t before_us)
{
	return error_only(db_run(db,
		"DELETE FROM checkin WHERE id IN (SELECT id FROM checkin c WHERE "
		"coalesce(to_us,activity_us)<? AND from_us>=? AND NOT EXISTS (SELECT 1 FROM "
		"visit_window w WHERE w.checkin=c.id) AND NOT EXISTS (SELECT 1 FROM reading r WHERE "
		"r.checkin=c.id) ORDER BY id LIMIT ?)",
		"iii", before_us, CLOCK_PLAUSIBLE_US, (int64_t)RETENTION_ROWS));
}

int retention_run(struct db *db, const struct instant *now, unsigned days)
{
	static const struct {
		const char *sql;
		unsigned days; /* 0: as configured */
	} others[] = {
		{"DELETE FROM event WHERE at<? AND NOT EXISTS (SELECT 1 FROM "
		 "outbox WHERE outbox.uuid=event.uuid)",
			0},
		{"DELETE FROM device_offset WHERE until<?", 0},
		{"DELETE FROM absence WHERE to_us<?", 0},
		{"DELETE FROM duty WHERE to_us<?", 0},
		{"DELETE FROM digest WHERE at<? AND kind IN ('due','alerts') AND NOT EXISTS (SELECT 1 FROM outbox "
		 "WHERE outbox.uuid=digest.uuid)",
			0},
		{"DELETE FROM digest WHERE at<? AND NOT EXISTS (SELECT 1 FROM outbox WHERE "
		 "outbox.uuid=digest.uuid)",
			RETENTION_KPI_DAYS},
		{"DELETE FROM command WHERE at<?", RETENTION_COMMAND_DAYS},
		{"DELETE FROM audit WHERE at<?", RETENTION_AUDIT_DAYS},
	};
	if (!span_sure(db, now))
		return 0;
	int64_t now_us = now->utc_us;
	int rc = 0, deleted = delete_readings(db, now_us - days * DAY_US);
	if (deleted >= 0)
		rc = delete_studies(db, now_us - days * DAY_US);
	if (deleted >= 0 && rc >= 0)
		rc = delete_alerts(db, now_us - days * DAY_US);
	if (deleted >= 0 && rc >= 0)
		rc = delete_visits(db, now_us - RETENTION_VISIT_DAYS * DAY_US);
	if (deleted >= 0 && rc >= 0)
		rc = delete_checkins(db, now_us - days * DAY_US);
	for (size_t i = 0; i < ELEMENTS(others) && deleted >= 0 && rc >= 0; i++)
		rc = db_run(db, others[i].sql, "i",
			now_us - (others[i].days ? others[i].days : days) * DAY_US);
	return rc < 0 ? rc : deleted;
}
