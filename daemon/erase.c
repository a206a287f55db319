/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "erase.h"

#include "gateway.h"
#include "util.h"

/* Readings, studies, visits and alerts that go, by id; and the records that were merged into this one. */
static int choose(struct db *db, int64_t resident)
{
	static const char *const all[] = {
		"INSERT INTO erase_who WITH RECURSIVE who(id) AS (SELECT ?1 UNION SELECT r.id FROM "
		"resident r JOIN who ON r.merged_into=who.id) SELECT id FROM who",
		/* also what came after the consent was withdrawn and lies in the inbox */
		"INSERT OR IGNORE INTO erase_what SELECT uuid,'readings' FROM reading WHERE "
		"resident=?1 AND superseded=0 UNION SELECT uuid,'readings' FROM reading WHERE "
		"resident IS NULL AND superseded=0 AND evidence<>'place' AND "
		"evidence='consent_withdrawn' AND named IN (SELECT id FROM erase_who)",
		"INSERT OR IGNORE INTO erase_what SELECT uuid,'studies' FROM study WHERE resident=?1",
		"INSERT OR IGNORE INTO erase_what SELECT uuid,'visits' FROM visit WHERE resident=?1",
		"INSERT OR IGNORE INTO erase_what SELECT uuid,'alerts' FROM alert WHERE resident=?1 "
		"OR reading IN (SELECT uuid FROM erase_what) OR shown IN (SELECT uuid FROM erase_what) "
		"OR study IN (SELECT uuid FROM "
		"erase_what)",
	};
	int rc = db_run(db,
		"CREATE TEMP TABLE IF NOT EXISTS erase_what(uuid BLOB PRIMARY KEY, what TEXT)", "");
	if (rc >= 0)
		rc = db_run(db, "CREATE TEMP TABLE IF NOT EXISTS erase_who(id INTEGER PRIMARY KEY)",
			"");
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM erase_what", "");
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM erase_who", "");
	for (size_t i = 0; i < ELEMENTS(all) && rc >= 0; i++)
		rc = db_run(db, all[i], "i", resident);
	return MIN(rc, 0);
}

/* What some platform has no receipt for; it never gets it now. */
static int not_delivered(struct db *db, struct json *report)
{
	int rc;
	json_object_begin(report, "not_delivered");
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT what,count(DISTINCT outbox.uuid) FROM erase_what JOIN outbox ON "
			"outbox.uuid=erase_what.uuid GROUP BY what ORDER BY what",
			"");
		while ((rc = row_next(r)) > 0)
			json_int(report, row_text(r, 0), row_int(r, 1));
	}
	json_object_end(report);
	return rc < 0 ? rc
		      : db_run(db, "DELETE FROM outbox WHERE uuid IN (SELECT uuid FROM erase_what)",
				"");
}

#define GOING(column) column " IN (SELECT uuid FROM erase_what)"
#define OF_RESIDENT "resident IN (SELECT id FROM erase_who)"
#define OF_STUDY "study IN (SELECT id FROM study WHERE " GOING("uuid") ")"
#define TOKENS "SELECT token FROM resident WHERE id IN (SELECT id FROM erase_who)"
#define OF_VISIT "visit IN (SELECT id FROM visit WHERE " GOING("uuid") ")"

/* In their order: what hangs on others goes first. Without a name: not told, it is part of what is. */
static int delete_all(struct db *db, struct json *report)
{
	static const struct {
		const char *name, *sql;
	} all[] = {
		{NULL, "DELETE FROM evidence WHERE " OF_RESIDENT},
		{"annotations", "DELETE FROM annotation WHERE " GOING("reading")},
		{NULL, "DELETE FROM alert_reading WHERE " GOING("alert") " OR " GOING("reading")},
		{NULL, "DELETE FROM alert_history WHERE " GOING("alert")},
		{NULL, "DELETE FROM escalation WHERE " GOING("alert")},
		{"alerts", "DELETE FROM alert WHERE " GOING("uuid")},
		{"reading_revisions", "DELETE FROM reading WHERE " GOING("uuid")},
		/* once filed under this one by mistake: it is somebody else's */
		{NULL, "UPDATE reading SET resident=NULL WHERE " OF_RESIDENT},
		{NULL, "DELETE FROM study_piece WHERE " OF_STUDY},
		{"reports", "DELETE FROM report WHERE " OF_STUDY},
		{NULL, "DELETE FROM study_wait WHERE " OF_STUDY},
		{"studies", "DELETE FROM study WHERE " GOING("uuid")},
		{NULL, "DELETE FROM visit_window WHERE " OF_VISIT},
		{"visit_revisions", "DELETE FROM visit_revision WHERE " OF_VISIT},
		{"visits", "DELETE FROM visit WHERE " GOING("uuid")},
		{"plans", "DELETE FROM plan WHERE " OF_RESIDENT},
		{"bindings", "DELETE FROM binding WHERE " OF_RESIDENT},
		{NULL, "DELETE FROM handover WHERE " OF_RESIDENT},
		{"limits", "DELETE FROM personal_limit WHERE " OF_RESIDENT},
		{"cards", "DELETE FROM card WHERE " OF_RESIDENT},
		{"bookings", "DELETE FROM booking WHERE " OF_RESIDENT},
		/* its window stays, and is nobody's: what fell into it does not become the next one's */
		{"checkins", "UPDATE checkin SET resident=NULL WHERE " OF_RESIDENT},
		/* a morning's list has others, too */
		{"lists", "UPDATE digest SET body=json_set(body,'$.items',(SELECT json_group_array("
			  "json(value)) FROM json_each(digest.body,'$.items') WHERE "
			  "json_extract(value,'$.resident') NOT IN (" TOKENS
			  "))) WHERE kind='due' AND "
			  "EXISTS (SELECT 1 FROM json_each(digest.body,'$.items') WHERE "
			  "json_extract(value,'$.resident') IN (" TOKENS "))"},
	};
	int rc = 0;
	for (size_t i = 0; i < ELEMENTS(all) && rc >= 0; i++) {
		rc = db_run(db, all[i].sql, "");
		if (rc > 0 && all[i].name)
			json_int(report, all[i].name, rc);
	}
	return MIN(rc, 0);
}

/* What remains of the record, and of those that were merged into it, is a token. Replies to commands may have told more. */
static int blank(struct db *db, const char *token, struct json *report)
{
	int rc = db_run(db, "DELETE FROM command WHERE instr(reply,'\"'||?||'\"')>0", "t", token);
	if (rc > 0)
		json_int(report, "replies", rc);
	/* what is somebody else's now, and was refused while it was theirs: it is made anew when it is sent again */
	if (rc >= 0)
		rc = db_run(db,
			"UPDATE outbox SET body=NULL WHERE body IS NOT NULL AND EXISTS (SELECT 1 FROM "
			"erase_who JOIN resident r ON r.id=erase_who.id WHERE "
			"instr(outbox.body,'\"'||r.token||'\"')>0)",
			"");
	return rc < 0 ? rc
		      : error_only(db_run(db,
				"UPDATE resident SET birth_date=NULL,sex=NULL,programmes='',doctor=NULL,"
				"team=NULL,valid_from=NULL,valid_to=NULL,setting=NULL,populations='',"
				"conditions='',chain='',signed_on=NULL,owner='',label=NULL,"
				"state='erased',state_at=?1,changed=?1 WHERE id IN (SELECT id FROM "
				"erase_who)",
				"i", clock_utc_us()));
}

int erase_alert_waits(struct db *db, int64_t resident)
{
	return (int)db_int(db, 0,
		"SELECT EXISTS (SELECT 1 FROM alert a WHERE state IN ('active','latched') AND acked IS NULL "
		"AND severity<>'notice' AND (resident=?1 OR EXISTS (SELECT 1 FROM reading r WHERE "
		"r.resident=?1 AND r.superseded=0 AND r.uuid IN (a.reading,a.shown)))) OR EXISTS "
		"(SELECT 1 FROM pending_repeat p CROSS JOIN reading d ON d.uuid=p.reading AND "
		"d.superseded=0 WHERE d.resident=?1)",
		"i", resident);
}

int erase_resident(
	struct gateway *g, struct db *db, int64_t resident, const char *token, struct json *report)
{
	int rc = choose(db, resident);
	if (rc < 0)
		return rc;
	rc = not_delivered(db, report);
	if (rc < 0)
		return rc;
	json_object_begin(report, "deleted");
	json_int(report, "readings",
		db_int(db, 0, "SELECT count(*) FROM erase_what WHERE what='readings'", ""));
	rc = delete_all(db, report);
	if (rc >= 0)
		rc = blank(db, token, report);
	json_object_end(report);
	json_object_begin(report, "kept");
	json_int(report, "audit",
		db_int(db, 0,
			"SELECT count(*) FROM audit WHERE instr(' '||coalesce(object,'')||' '||"
			"coalesce(detail,'')||' ',' '||?1||' ')>0",
			"t", token));
	json_object_end(report);
	outbox_look_again(g->outbox);
	return MIN(rc, 0);
}
