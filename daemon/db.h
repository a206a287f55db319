/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SQLite, and the only file that sees it. A struct db belongs to one thread: the store thread.
 *
 * SQL is given as string literals; each is prepared once and found again by its address. Parameters are
 * bound by a format: i int64_t, t const char * (NULL: null), b const void * + size_t (NULL: null),
 * n nothing (null), p pointer to int64_t (NULL: null). Errors are negative errno: -ENOSPC disk full,
 * -EROFS, -EIO, -EUCLEAN corrupt, -EEXIST a constraint, -EBUSY.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct row; /* a running statement */

#define DB_SCHEMA 6

/* Opens or creates <dir>/vitalgate.db. One of an older schema is brought to ours; what it was stays beside it as
 * vitalgate.db.v1, if there is room. -EUCLEAN: it is damaged; -ENOTSUP: made by a newer version. */
int db_open(const char *dir, struct db **ret);
void db_close(struct db *db);
/* Another database of ours, in `dir`, can be read as schema `old`; it is not changed, and whoever uses it does not wait.
 * Outside of transactions. -ENOTSUP: it is of another version. */
int db_attach(struct db *db, const char *dir);

/* Runs a statement to its end; number of changed rows, or -errno. */
int db_run(struct db *db, const char *sql, const char *format, ...);
/* Runs a script of several statements without parameters. */
int db_script(struct db *db, const char *sql);

/* Starts a query. row_next(): 1 a row, 0 end, -errno. Ends by itself with _cleanup_(row_endp). */
struct row *db_query(struct db *db, const char *sql, const char *format, ...);
int row_next(struct row *r);
void row_end(struct row *r);
int64_t row_int(struct row *r, int column);
bool row_null(struct row *r, int column);
const char *row_text(struct row *r, int column); /* valid until the next step; NULL = null */
const void *row_blob(struct row *r, int column, size_t *ret_len);

static inline void row_endp(struct row **r)
{
	if (*r)
		row_end(*r);
}

/* First column of the first row; `fallback` when there is none. */
int64_t db_int(struct db *db, int64_t fallback, const char *sql, const char *format, ...);

/* A row is not as any of us writes it: its job fails, and not the transaction of all. */
#define ODD_ROW ENOTRECOVERABLE
/* True when the transaction itself is lost, and not merely one part of it. */
bool db_lost(int rc);
/* A part of a transaction that may fail by itself, `rc` is what became of it: then only the part is undone. 0, -errno:
 * the transaction is lost. Parts may lie in parts. */
int db_part_begin(struct db *db);
int db_part_end(struct db *db, int rc);

int64_t db_last_id(struct db *db);
/* Rows changed since db_open(), whether committed or not. */
int64_t db_changed(struct db *db);
/* Moves the log into the database file without waiting for anybody, when it is large enough or
 * `at_once`: then the space of the log is free for what comes. True when it did. */
bool db_checkpoint(struct db *db, bool at_once);
/* A full disk: the database grows no more (-ENOSPC), its free pages are used. False: it may grow again. */
void db_freeze(struct db *db, bool frozen);
const char *db_error(struct db *db); /* SQLite's own sentence for the log */
