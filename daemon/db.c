/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db.h"

#include "db_steps.h"
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

bool db_lost(int rc)
{
	return rc == -ENOSPC || rc == -EIO || rc == -EROFS || rc == -EUCLEAN || rc == -ENOMEM;
}

int db_part_begin(struct db *db)
{
	return error_only(db_run(db, "SAVEPOINT part", ""));
}

int db_part_end(struct db *db, int rc)
{
	if (db_lost(rc)) /* SQLite may have undone everything, the savepoint included */
		return rc;
	if (rc < 0)
		rc = db_run(db, "ROLLBACK TO part", "");
	return rc < 0 ? rc : error_only(db_run(db, "RELEASE part", ""));
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
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%s", db_steps[i]);
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
