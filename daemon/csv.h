/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the tables in config/ and roster files: RFC 4180 quoting, first line = column names, lines
 * that begin with '#' are comments; "# version: X" names the table's version. A byte-order mark is
 * skipped, empty lines are skipped, lines end with LF or CR LF. Text must be UTF-8: a roster saved
 * as GBK by a spreadsheet is refused with a sentence that says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CSV_COLUMNS_MAX 40
#define CSV_FILE_MAX (16u << 20) /* a roster of 100,000 residents */

struct csv {
	char *text; /* owned copy of the file, cut up in place */
	char *next, *end;
	const char *name; /* for messages; borrowed */
	char version[32];
	unsigned line; /* line of the current row, from 1 */
	unsigned next_line;
	unsigned n_columns;
	char *columns[CSV_COLUMNS_MAX];
	unsigned n_fields;
	char *fields[CSV_COLUMNS_MAX];
};

/* 0 or -errno; `error` gets one sentence with name and line. Takes a copy of `text`. */
int csv_open_text(struct csv *c, const char *name, const char *text, size_t len, char *error,
	size_t error_size);
int csv_open_file(struct csv *c, const char *path, char *error, size_t error_size);
/* Takes a zeroed and a closed struct, too. */
void csv_close(struct csv *c);
/* 1 = a row is there, 0 = end, -EBADMSG = this row is malformed (more fields than columns, a quote
 * that is not closed or stands inside a field); the next call goes on behind it. */
int csv_row(struct csv *c, char *error, size_t error_size);
/* Value of a column in the current row, "" when the row ends before it; NULL when the file has no
 * such column. */
const char *csv_get(const struct csv *c, const char *column);
