/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db.h"

#include "util.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/statvfs.h>

#define STATEMENTS_MAX 1024
#define CHECKPOINT_PAGES 1000
#define PAGES_MAX 0x3ffffffe	  /* SQLite's own limit */
#define SMALL_PAGES 16384	  /* 64 MiB */
#define APPLICATION_ID 0x56474154 /* "VGAT" */
#define ROOM_BYTES (16 << 20)	  /* stays free beside the copy of an older database */

struct row {
	sqlite3_stmt *stmt;
	struct db *db;
	int error; /* of binding or preparing: told by the first row_next() */
	bool busy;
};

struct db {
	sqlite3 *sqlite;
	struct row rows[STATEMENTS_MAX];
	const char *sql[STATEMENTS_MAX]; /* literal behind rows[i], an open hash by address */
	unsigned n_rows;
	bool opened;
	int log_pages;
};

static const char schema[] =
#include "schema.inc"
	;

/* From version i + 1 to the next. What a step was it stays: databases out there were made by it. */
static const char *const steps[] = {
	/* readings of places, technical alerts, repeats */
	"ALTER TABLE reading ADD COLUMN place TEXT;"
	"DROP INDEX reading_unassigned;"
	"CREATE INDEX reading_unassigned ON reading(id) WHERE resident IS NULL AND superseded = 0 "
	"AND evidence <> 'place';"
	"CREATE TABLE alert_2 (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, revision INTEGER "
	"NOT NULL, reading BLOB, resident INTEGER, severity TEXT NOT NULL, state TEXT NOT NULL, "
	"recipient TEXT NOT NULL, role TEXT NOT NULL, in_contract INTEGER NOT NULL, body TEXT NOT "
	"NULL, doubts TEXT NOT NULL, raised INTEGER NOT NULL, ack_author TEXT, ack_outcome TEXT, "
	"acked INTEGER, rules_version TEXT NOT NULL, place TEXT, device INTEGER, since INTEGER, "
	"ended INTEGER);"
	"INSERT INTO alert_2 SELECT id,uuid,revision,reading,resident,severity,state,recipient,"
	"role,in_contract,body,doubts,raised,ack_author,ack_outcome,acked,rules_version,NULL,NULL,"
	"NULL,NULL FROM alert;"
	"DROP TABLE alert;"
	"ALTER TABLE alert_2 RENAME TO alert;"
	"CREATE INDEX alert_open ON alert(id) WHERE state = 'active' OR (state = 'resolved' AND "
	"acked IS NULL);"
	"CREATE TABLE pending_repeat (reading BLOB PRIMARY KEY, device INTEGER NOT NULL, kind TEXT "
	"NOT NULL, kinds TEXT NOT NULL, severity TEXT NOT NULL, body TEXT NOT NULL, doubts TEXT NOT "
	"NULL, since INTEGER NOT NULL, boot_id BLOB NOT NULL, due_boot INTEGER NOT NULL, due "
	"INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE condition (device INTEGER NOT NULL, rule TEXT NOT NULL, since INTEGER NOT "
	"NULL, boot_id BLOB NOT NULL, due_boot INTEGER NOT NULL, due INTEGER NOT NULL, body TEXT "
	"NOT NULL, reading BLOB, alert BLOB, PRIMARY KEY (device, rule)) WITHOUT ROWID;",
	/* clock epochs, marks that never stand above a hole, loans */
	"ALTER TABLE device_offset ADD COLUMN until INTEGER NOT NULL DEFAULT 0;"
	"UPDATE device_offset SET until=at;"
	"DROP INDEX device_offset_at;"
	"CREATE INDEX device_offset_device ON device_offset(device);"
	"ALTER TABLE device ADD COLUMN session INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE device ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE device ADD COLUMN drained INTEGER;"
	"CREATE TABLE handover (device INTEGER NOT NULL, user_slot INTEGER NOT NULL, resident INTEGER "
	"NOT NULL, at INTEGER NOT NULL, author TEXT NOT NULL, PRIMARY KEY (device, user_slot)) "
	"WITHOUT ROWID;",
	/* studies, their reports */
	"ALTER TABLE alert ADD COLUMN study BLOB;"
	"CREATE TABLE study (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, revision "
	"INTEGER NOT NULL, status TEXT NOT NULL, device INTEGER NOT NULL, driver TEXT NOT "
	"NULL, arrived INTEGER NOT NULL, boot_id BLOB NOT NULL, boot_us INTEGER NOT NULL, "
	"test INTEGER NOT NULL, stranger INTEGER NOT NULL, bytes INTEGER NOT NULL, sha256 "
	"BLOB NOT NULL, tries INTEGER NOT NULL DEFAULT 0, body TEXT, format TEXT, resident "
	"INTEGER, evidence TEXT NOT NULL DEFAULT '', grade TEXT NOT NULL DEFAULT 'none', "
	"in_contract INTEGER NOT NULL DEFAULT 0, device_time TEXT, taken INTEGER NOT NULL "
	"DEFAULT 0, uncertainty_us INTEGER NOT NULL DEFAULT 0, trust TEXT NOT NULL DEFAULT "
	"'unknown', patient_hash BLOB, received INTEGER, due INTEGER);"
	"CREATE INDEX study_undecoded ON study(tries, id) WHERE status = 'undecoded';"
	"CREATE INDEX study_resident ON study(resident, taken);"
	"CREATE INDEX study_rejected ON study(id) WHERE format IS NULL;"
	"CREATE TABLE study_piece (id INTEGER PRIMARY KEY, study INTEGER NOT NULL, n INTEGER "
	"NOT NULL, bytes BLOB NOT NULL, UNIQUE (study, n));"
	"CREATE TABLE report (id INTEGER PRIMARY KEY, study INTEGER NOT NULL, revision "
	"INTEGER NOT NULL, status TEXT NOT NULL, text TEXT, critical TEXT, author TEXT NOT "
	"NULL, at INTEGER NOT NULL, read_back_text TEXT, read_back_by TEXT, read_back_at "
	"INTEGER, UNIQUE (study, revision));"
	"CREATE TABLE study_wait (study INTEGER NOT NULL, what TEXT NOT NULL, since INTEGER "
	"NOT NULL, boot_id BLOB NOT NULL, due_boot INTEGER NOT NULL, due INTEGER NOT NULL, "
	"alert BLOB, PRIMARY KEY (study, what)) WITHOUT ROWID;",
	/* check-ins, visits, rosters with history; a draft without a visit is gone */
	"ALTER TABLE resident ADD COLUMN populations TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE resident ADD COLUMN conditions TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE resident ADD COLUMN chain TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE resident ADD COLUMN signed_on INTEGER;"
	"ALTER TABLE resident ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE resident ADD COLUMN state TEXT NOT NULL DEFAULT 'active';"
	"ALTER TABLE resident ADD COLUMN state_at INTEGER;"
	"ALTER TABLE resident ADD COLUMN merged_into INTEGER;"
	"ALTER TABLE resident ADD COLUMN label BLOB;"
	"ALTER TABLE reading ADD COLUMN live INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE reading ADD COLUMN named INTEGER;"
	"ALTER TABLE reading ADD COLUMN checkin INTEGER;"
	"ALTER TABLE reading ADD COLUMN reasons TEXT;"
	"ALTER TABLE reading ADD COLUMN station TEXT;"
	"ALTER TABLE study ADD COLUMN station TEXT;"
	"ALTER TABLE study ADD COLUMN named INTEGER;"
	"ALTER TABLE study ADD COLUMN checkin INTEGER;"
	"ALTER TABLE study ADD COLUMN reasons TEXT;"
	"DROP TABLE draft;"
	"DROP INDEX evidence_resident;"
	"CREATE INDEX evidence_resident ON evidence(resident, kind, taken, milli);"
	"DELETE FROM outbox WHERE kind=2;"
	"CREATE TABLE team (team TEXT NOT NULL, member TEXT NOT NULL, role TEXT NOT NULL, "
	"hours TEXT NOT NULL DEFAULT '', PRIMARY KEY (team, member)) WITHOUT ROWID;"
	"CREATE TABLE personal_limit (id INTEGER PRIMARY KEY, resident INTEGER NOT NULL, "
	"kind TEXT NOT NULL, side TEXT NOT NULL, milli INTEGER NOT NULL, severity TEXT NOT "
	"NULL, author TEXT NOT NULL, reason TEXT NOT NULL, valid_from INTEGER NOT NULL, "
	"valid_to INTEGER NOT NULL);"
	"CREATE TABLE roster_piece (version TEXT NOT NULL, n INTEGER NOT NULL, body TEXT "
	"NOT NULL, PRIMARY KEY (version, n)) WITHOUT ROWID;"
	"CREATE TABLE card (hash BLOB PRIMARY KEY, resident INTEGER NOT NULL, at INTEGER "
	"NOT NULL, author TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE booking (station TEXT NOT NULL, day TEXT NOT NULL, resident INTEGER "
	"NOT NULL, at TEXT NOT NULL DEFAULT '', purpose TEXT NOT NULL DEFAULT 'follow-up', "
	"PRIMARY KEY (station, day, resident)) WITHOUT ROWID;"
	"CREATE TABLE checkin (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, station "
	"TEXT NOT NULL, resident INTEGER, purpose TEXT NOT NULL, source TEXT NOT NULL, "
	"author TEXT NOT NULL, from_us INTEGER NOT NULL, to_us INTEGER, activity_us INTEGER "
	"NOT NULL, boot_id BLOB NOT NULL, from_boot INTEGER NOT NULL, to_boot INTEGER, "
	"activity_boot INTEGER NOT NULL, ended TEXT, after INTEGER NOT NULL DEFAULT 0, "
	"last_reading INTEGER NOT NULL);"
	"CREATE TABLE annotation (reading BLOB NOT NULL, key TEXT NOT NULL, value TEXT NOT "
	"NULL, author TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (reading, key)) "
	"WITHOUT ROWID;"
	"CREATE TABLE visit (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, resident "
	"INTEGER NOT NULL, form TEXT NOT NULL, state TEXT NOT NULL, origin TEXT NOT NULL, "
	"day TEXT NOT NULL, revision INTEGER NOT NULL, answers TEXT NOT NULL DEFAULT '{}', "
	"author TEXT NOT NULL, class INTEGER, next_day TEXT, referral TEXT, referral_result "
	"TEXT, body TEXT, confirmed_by TEXT, confirmed_at INTEGER, reason TEXT, changed "
	"INTEGER NOT NULL, rules_version TEXT NOT NULL, evidence_changed INTEGER NOT NULL "
	"DEFAULT 0);"
	"CREATE TABLE visit_window (id INTEGER PRIMARY KEY, visit INTEGER NOT NULL, checkin "
	"INTEGER, from_us INTEGER, to_us INTEGER);"
	"CREATE TABLE visit_revision (visit INTEGER NOT NULL, revision INTEGER NOT NULL, "
	"body TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT, "
	"PRIMARY KEY (visit, revision)) WITHOUT ROWID;"
	"CREATE TABLE plan (resident INTEGER NOT NULL, form TEXT NOT NULL, day TEXT NOT "
	"NULL, author TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (resident, form)) "
	"WITHOUT ROWID;"
	"CREATE TABLE digest (id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, kind TEXT "
	"NOT NULL, period TEXT NOT NULL, part INTEGER NOT NULL, revision INTEGER NOT NULL, body "
	"TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (kind, period, part));"
	"CREATE TABLE clock_span (id INTEGER PRIMARY KEY, boot_id BLOB NOT NULL, from_boot "
	"INTEGER NOT NULL, to_boot INTEGER NOT NULL, shift_us INTEGER NOT NULL, synced "
	"INTEGER NOT NULL, reading INTEGER NOT NULL, study INTEGER NOT NULL, alert INTEGER "
	"NOT NULL, told INTEGER NOT NULL, repaired INTEGER);"
	"CREATE TABLE clock_repair (boot_id BLOB PRIMARY KEY, shift_us INTEGER NOT NULL, "
	"at_boot INTEGER NOT NULL, synced INTEGER NOT NULL, reading INTEGER NOT NULL, study "
	"INTEGER NOT NULL, alert INTEGER NOT NULL, readings INTEGER NOT NULL) WITHOUT ROWID;"
	"ALTER TABLE alert ADD COLUMN boot_id BLOB;"
	"ALTER TABLE alert ADD COLUMN raised_boot INTEGER;"
	"CREATE INDEX personal_limit_resident ON personal_limit(resident);"
	"CREATE INDEX checkin_ended ON checkin(station, to_us);"
	"CREATE INDEX checkin_boot ON checkin(station, boot_id, to_boot);"
	"CREATE INDEX study_checkin ON study(checkin) WHERE checkin IS NOT NULL;"
	"CREATE INDEX reading_checkin ON reading(checkin) WHERE checkin IS NOT NULL;"
	"CREATE INDEX reading_unknown_time ON reading(id) WHERE trust = 'unknown' AND "
	"superseded = 0;"
	"CREATE INDEX visit_resident ON visit(resident, form, day);"
	"CREATE INDEX visit_unconfirmed ON visit(resident) WHERE state IN ('open', 'closed');"
	"CREATE INDEX visit_window_visit ON visit_window(visit);"
	"CREATE INDEX visit_window_checkin ON visit_window(checkin) WHERE checkin IS NOT "
	"NULL;",
	/* alerts by condition, that escalate: what an older version raised stays an alert of its own */
	"ALTER TABLE alert ADD COLUMN condition TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE alert ADD COLUMN level INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN phase TEXT NOT NULL DEFAULT 'start';"
	"ALTER TABLE alert ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';"
	"ALTER TABLE alert ADD COLUMN shown BLOB;"
	"ALTER TABLE alert ADD COLUMN critical_at INTEGER;"
	"ALTER TABLE alert ADD COLUMN raised_revision INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE alert ADD COLUMN told_day INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN deliver TEXT NOT NULL DEFAULT 'now';"
	"DROP INDEX evidence_resident;"
	"CREATE INDEX evidence_resident ON evidence(resident, kind, taken, milli, trust, comparator, "
	"reading);"
	"ALTER TABLE personal_limit ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE personal_limit ADD COLUMN confirmed_by TEXT;"
	"ALTER TABLE alert ADD COLUMN not_before INTEGER;"
	"ALTER TABLE alert ADD COLUMN step INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN station TEXT;"
	"ALTER TABLE alert ADD COLUMN sent INTEGER;"
	"ALTER TABLE alert ADD COLUMN receipted INTEGER;"
	"ALTER TABLE alert ADD COLUMN read_by TEXT;"
	"ALTER TABLE alert ADD COLUMN read_at INTEGER;"
	"ALTER TABLE alert ADD COLUMN ended_by BLOB;"
	"ALTER TABLE alert ADD COLUMN staff INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN joined INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN readings INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN pages INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN hooked INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE alert ADD COLUMN sounding INTEGER NOT NULL DEFAULT 0;"
	"DROP INDEX alert_open;"
	"UPDATE alert SET level=CASE WHEN state<>'active' THEN 0 WHEN severity='critical' THEN 3 ELSE "
	"2 END, phase=CASE state WHEN 'active' THEN 'start' WHEN 'resolved' THEN 'end' ELSE 'update' "
	"END, shown=CASE WHEN place IS NULL THEN reading END, staff=role='site', acked=CASE "
	"ack_outcome WHEN 'not_reached' THEN NULL ELSE acked END, role=CASE role WHEN 'site' THEN "
	"'staff' ELSE role END;"
	"UPDATE alert SET state=CASE WHEN state='active' THEN 'active' WHEN state='resolved' AND acked "
	"IS NULL AND severity='critical' AND doubts NOT LIKE '%\"voided\"%' THEN 'latched' ELSE "
	"'inactive' END;"
	"UPDATE alert SET joined=1, readings=1, doubts=CASE WHEN resident IS NULL THEN "
	"json_insert(doubts,'$[#]','unassigned') WHEN NOT in_contract THEN "
	"json_insert(doubts,'$[#]','out_of_contract') ELSE doubts END WHERE shown IS NOT NULL;"
	"CREATE INDEX alert_open ON alert(id) WHERE state IN ('active', 'latched');"
	"CREATE INDEX alert_open_of ON alert(resident) WHERE state IN ('active', 'latched');"
	"CREATE INDEX alert_resident ON alert(resident, condition, told_day);"
	"CREATE INDEX alert_ended_by ON alert(ended_by) WHERE ended_by IS NOT NULL;"
	"CREATE INDEX alert_recent ON alert(raised);"
	"CREATE INDEX alert_sounding ON alert(id) WHERE sounding = 1;"
	"CREATE TABLE alert_reading (alert BLOB NOT NULL, reading BLOB NOT NULL, n INTEGER NOT "
	"NULL, level INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, doubts TEXT NOT "
	"NULL, PRIMARY KEY (alert, reading)) WITHOUT ROWID;"
	"CREATE TABLE alert_history (n INTEGER PRIMARY KEY AUTOINCREMENT, alert BLOB NOT NULL, revision INTEGER NOT NULL, at INTEGER "
	"NOT NULL, phase TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL, level "
	"INTEGER NOT NULL, recipient TEXT NOT NULL, role TEXT NOT NULL, step INTEGER NOT NULL, "
	"deliver TEXT NOT NULL, labels TEXT NOT NULL, ack_author TEXT, ack_outcome TEXT, "
	"UNIQUE (alert, revision));"
	"CREATE TABLE escalation (alert BLOB PRIMARY KEY, since INTEGER NOT NULL, boot_id BLOB "
	"NOT NULL, due_boot INTEGER NOT NULL, due INTEGER NOT NULL, rests INTEGER NOT NULL DEFAULT "
	"0) WITHOUT ROWID;"
	"CREATE INDEX escalation_due ON escalation(rests, due_boot);"
	"CREATE INDEX team_member ON team(member);"
	"CREATE TABLE absence (member TEXT NOT NULL, from_us INTEGER NOT NULL, to_us INTEGER "
	"NOT NULL, deputy TEXT NOT NULL DEFAULT '', author TEXT NOT NULL, PRIMARY KEY (member, "
	"from_us)) WITHOUT ROWID;"
	"CREATE TABLE duty (team TEXT NOT NULL, member TEXT NOT NULL, from_us INTEGER NOT NULL, "
	"to_us INTEGER NOT NULL, author TEXT NOT NULL, PRIMARY KEY (team, from_us, member)) "
	"WITHOUT ROWID;"
	"CREATE INDEX alert_reading_reading ON alert_reading(reading);"
	"INSERT INTO alert_reading(alert,reading,n,level,at,body,doubts) SELECT uuid,shown,1,CASE "
	"severity WHEN 'critical' THEN 3 ELSE 2 END,coalesce((SELECT CASE WHEN trust IN "
	"('corrected','live') THEN taken ELSE arrived END FROM reading WHERE reading.uuid=shown AND "
	"superseded=0),raised),body,doubts FROM alert WHERE shown IS NOT NULL;"
	"INSERT INTO alert_history(alert,revision,at,phase,state,severity,level,recipient,role,step,"
	"deliver,labels,ack_author,ack_outcome) SELECT uuid,revision,coalesce(ended,acked,raised),phase,"
	"state,severity,level,recipient,role,step,deliver,doubts,ack_author,ack_outcome FROM alert "
	"ORDER BY id;"
	"INSERT INTO escalation(alert,since,boot_id,due_boot,due) SELECT uuid,raised,zeroblob(16),0,0 "
	"FROM alert WHERE state IN ('active','latched') AND acked IS NULL;"
	"ALTER TABLE pending_repeat RENAME TO waited;"
	"CREATE TABLE pending_repeat (reading BLOB NOT NULL, condition TEXT NOT NULL, device "
	"INTEGER NOT NULL, kind TEXT NOT NULL, kinds TEXT NOT NULL, severity TEXT NOT NULL, "
	"body TEXT NOT NULL, doubts TEXT NOT NULL, since INTEGER NOT NULL, boot_id BLOB NOT "
	"NULL, due_boot INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (reading, "
	"condition));"
	"INSERT INTO pending_repeat(reading,condition,device,kind,kinds,severity,body,doubts,since,"
	"boot_id,due_boot,due) SELECT reading,CASE WHEN kinds LIKE 'spo2%' THEN 'spo2-low' ELSE "
	"'bp-high' END,device,kind,kinds,severity,body,doubts,since,boot_id,due_boot,due FROM waited;"
	"DROP TABLE waited;",
};
_Static_assert(ELEMENTS(steps) == DB_SCHEMA - 1, "a new version needs a step to it");

static int error_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	default:
		return -EIO;
	}
}

const char *db_error(struct db *db)
{
	return sqlite3_errmsg(db->sqlite);
}

static struct row *statement(struct db *db, const char *sql)
{
	size_t slot = ((uintptr_t)sql >> 3) % STATEMENTS_MAX;
	while (db->sql[slot] && db->sql[slot] != sql)
		slot = (slot + 1) % STATEMENTS_MAX;
	struct row *r = &db->rows[slot];
	if (db->sql[slot])
		return r;
	assert(++db->n_rows < STATEMENTS_MAX);
	db->sql[slot] = sql;
	r->db = db;
	return r;
}

static int bind_all(sqlite3_stmt *stmt, const char *format, va_list args)
{
	int rc = SQLITE_OK;
	for (int i = 0; format[i] && rc == SQLITE_OK; i++) {
		const void *bytes;
		const int64_t *number;
		switch (format[i]) {
		case 'i':
			rc = sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t));
			break;
		case 't':
			bytes = va_arg(args, const char *);
			rc = sqlite3_bind_text(stmt, i + 1, bytes, -1, SQLITE_TRANSIENT);
			break;
		case 'b':
			bytes = va_arg(args, const void *);
			rc = sqlite3_bind_blob64(
				stmt, i + 1, bytes, va_arg(args, size_t), SQLITE_TRANSIENT);
			break;
		case 'p':
			number = va_arg(args, const int64_t *);
			rc = number ? sqlite3_bind_int64(stmt, i + 1, *number)
				    : sqlite3_bind_null(stmt, i + 1);
			break;
		case 'n':
			rc = sqlite3_bind_null(stmt, i + 1);
			break;
		default:
			assert(!"db: format");
		}
	}
	return rc;
}

static struct row *start(struct db *db, const char *sql, const char *format, va_list args)
{
	struct row *r = statement(db, sql);
	assert(!r->busy);
	r->busy = true;
	r->error = 0;
	if (!r->stmt) {
		int rc = sqlite3_prepare_v3(
			db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &r->stmt, NULL);
		if (rc == SQLITE_ERROR) /* our own mistake: SQL that does not compile */
			fprintf(stderr, "%s\n%s\n", sqlite3_errmsg(db->sqlite), sql);
		assert(rc != SQLITE_ERROR);
		r->error = error_of(rc);
		if (r->error)
			return r;
	}
	assert((size_t)sqlite3_bind_parameter_count(r->stmt) == strlen(format));
	r->error = error_of(bind_all(r->stmt, format, args));
	return r;
}

struct row *db_query(struct db *db, const char *sql, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct row *r = start(db, sql, format, args);
	va_end(args);
	return r;
}

int row_next(struct row *r)
{
	if (r->error)
		return r->error;
	int rc = sqlite3_step(r->stmt);
	if (rc == SQLITE_ROW)
		return 1;
	r->error = error_of(rc);
	return r->error;
}

void row_end(struct row *r)
{
	if (r->stmt) {
		sqlite3_reset(r->stmt);
		sqlite3_clear_bindings(r->stmt);
	}
	r->busy = false;
}

int64_t row_int(struct row *r, int column)
{
	return sqlite3_column_int64(r->stmt, column);
}

bool row_null(struct row *r, int column)
{
	return sqlite3_column_type(r->stmt, column) == SQLITE_NULL;
}

const char *row_text(struct row *r, int column)
{
	return (const char *)sqlite3_column_text(r->stmt, column);
}

const void *row_blob(struct row *r, int column, size_t *ret_len)
{
	const void *p = sqlite3_column_blob(r->stmt, column);
	*ret_len = (size_t)sqlite3_column_bytes(r->stmt, column);
	return p;
}

int db_run(struct db *db, const char *sql, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	_cleanup_(row_endp) struct row *r = start(db, sql, format, args);
	va_end(args);
	int rc;
	while ((rc = row_next(r)) > 0)
		;
	return rc < 0 ? rc : sqlite3_changes(db->sqlite);
}

int64_t db_int(struct db *db, int64_t fallback, const char *sql, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	_cleanup_(row_endp) struct row *r = start(db, sql, format, args);
	va_end(args);
	return row_next(r) > 0 && !row_null(r, 0) ? row_int(r, 0) : fallback;
}

int db_script(struct db *db, const char *sql)
{
	return error_of(sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}

static int count_log_pages(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
	(void)sqlite;
	(void)name;
	((struct db *)arg)->log_pages = pages;
	return SQLITE_OK;
}

int64_t db_changed(struct db *db)
{
	return sqlite3_total_changes64(db->sqlite);
}

bool db_checkpoint(struct db *db, bool at_once)
{
	if (db->log_pages < CHECKPOINT_PAGES && !at_once)
		return false;
	db->log_pages = 0;
	sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return true;
}

static int64_t pragma(struct db *db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t v = -1;
	if (sqlite3_prepare_v2(db->sqlite, sql, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

void db_freeze(struct db *db, bool frozen)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%lld",
		frozen ? (long long)pragma(db, "PRAGMA page_count") : (long long)PAGES_MAX);
	db_script(db, sql);
}

static bool answers(struct db *db, const char *sql, const char *expected)
{
	sqlite3_stmt *s = NULL;
	bool ok = sqlite3_prepare_v2(db->sqlite, sql, -1, &s, NULL) == SQLITE_OK &&
		  sqlite3_step(s) == SQLITE_ROW &&
		  streq((const char *)sqlite3_column_text(s, 0), expected);
	sqlite3_finalize(s);
	return ok;
}

/* Reading the whole database takes a second per million readings: a large one is read only after an end
 * that was none. */
static bool needs_no_check(struct db *db)
{
	return pragma(db, "PRAGMA page_count") > SMALL_PAGES &&
	       answers(db, "SELECT value FROM meta WHERE key='ended'", "well");
}

static void note_end(struct db *db, const char *how)
{
	db_run(db,
		"INSERT INTO meta(key,value) VALUES('ended',?) ON CONFLICT(key) DO UPDATE SET "
		"value=excluded.value",
		"t", how);
}

/* Runs what makes the database one of our version, as one transaction. */
static int raise_version(struct db *db, const char *sql)
{
	char version[80];
	snprintf(version, sizeof(version), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
		APPLICATION_ID, DB_SCHEMA);
	int rc = db_script(db, "BEGIN IMMEDIATE");
	if (rc >= 0)
		rc = db_script(db, sql);
	if (rc >= 0)
		rc = db_script(db, version);
	if (rc >= 0)
		rc = db_script(db, "COMMIT");
	if (rc < 0)
		db_script(db, "ROLLBACK");
	return rc;
}

static int sync_path(const char *path, int flags)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int copy_into(struct db *db, const char *copy)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db->sqlite, "VACUUM INTO ?", -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(s, 1, copy, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	sqlite3_finalize(s);
	return error_of(rc);
}

/* The database as it is, beside it: whoever goes back to the program of before can go back to it. SQLite does not
 * sync what it copies. Where there is no room for it there is none. */
static int keep_copy(struct db *db, const char *path, int64_t version)
{
	char copy[600], dir[512];
	struct statvfs v;
	snprintf(copy, sizeof(copy), "%s.v%lld", path, (long long)version);
	text_copy(dir, sizeof(dir), path, (size_t)(strrchr(path, '/') - path));
	uint64_t size = (uint64_t)(pragma(db, "PRAGMA page_count") * 4096);
	if (unlink(copy) < 0 && errno != ENOENT)
		return -errno;
	if (statvfs(dir, &v) < 0 || (uint64_t)v.f_bavail * v.f_frsize < 2 * size + ROOM_BYTES)
		return 0;
	int rc = copy_into(db, copy);
	if (rc >= 0)
		rc = sync_path(copy, 0);
	if (rc >= 0)
		return sync_path(dir, O_DIRECTORY);
	unlink(copy);
	return rc == -ENOSPC ? 0 : rc;
}

static int migrate(struct db *db, const char *path, int64_t version)
{
	char sql[16384] = "";
	size_t n = 0;
	for (int64_t i = version - 1; i < DB_SCHEMA - 1; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%s", steps[i]);
	assert(n < sizeof(sql));
	int rc = keep_copy(db, path, version);
	return rc < 0 ? rc : raise_version(db, sql);
}

/* Settings that must stand before the first page is written come first, and only then: on an old database
 * auto_vacuum writes a page, which a full disk refuses. */
static int prepare(struct db *db, const char *path)
{
	if (pragma(db, "PRAGMA user_version") == 0)
		db_script(db, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL");
	int rc = db_script(db,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
		"PRAGMA wal_autocheckpoint=0;PRAGMA secure_delete=ON; "
		"PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF;PRAGMA cache_size=-2000; "
		"PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY;");
	if (rc < 0)
		return rc;
	int64_t version = pragma(db, "PRAGMA user_version");
	if (version > DB_SCHEMA)
		return -ENOTSUP;
	if (version < 0)
		return -EUCLEAN;
	/* a file system without shared memory refuses by answering "delete", and that loses commits */
	if (!answers(db, "PRAGMA journal_mode", "wal"))
		return -ENOSYS;
	if (version == 0)
		return raise_version(db, schema);
	if (pragma(db, "PRAGMA application_id") != APPLICATION_ID)
		return -ENOTSUP;
	if (!needs_no_check(db) && !answers(db, "PRAGMA quick_check(1)", "ok"))
		return -EUCLEAN;
	return version == DB_SCHEMA ? 0 : migrate(db, path, version);
}

int db_open(const char *dir, struct db **ret)
{
	char path[512];
	if (snprintf(path, sizeof(path), "%s/vitalgate.db", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	struct db *db = calloc(1, sizeof(*db));
	if (!db)
		return -ENOMEM;
	int rc = error_of(sqlite3_open_v2(path, &db->sqlite,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
		NULL));
	if (rc == 0) {
		sqlite3_extended_result_codes(db->sqlite, 1);
		sqlite3_busy_timeout(db->sqlite, 2000);
		rc = prepare(db, path);
		/* after prepare(): setting a hook replaces SQLite's own checkpointing */
		sqlite3_wal_hook(db->sqlite, count_log_pages, db);
	}
	if (rc < 0) {
		db_close(db);
		return rc;
	}
	db->opened = true;
	note_end(db, "not yet");
	*ret = db;
	return 0;
}

int db_attach(struct db *db, const char *dir)
{
	char uri[1600] = "file:";
	size_t n = strlen(uri);
	for (const char *p = dir; *p && n < sizeof(uri) - 40; p++)
		n += (size_t)snprintf(uri + n, 4, strchr("%?#", *p) ? "%%%02X" : "%c", *p);
	snprintf(uri + n, sizeof(uri) - n, "/vitalgate.db?mode=ro");
	int rc = db_run(db, "ATTACH ? AS old", "t", uri);
	if (rc < 0)
		return rc;
	return pragma(db, "PRAGMA old.user_version") == DB_SCHEMA ? 0 : -ENOTSUP;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	if (db->opened)
		note_end(db, "well");
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(db->rows[i].stmt);
	sqlite3_close(db->sqlite);
	free(db);
}
