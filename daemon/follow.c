/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "follow.h"

#include "command.h"
#include "gateway.h"
#include "payload.h"

#include <errno.h>

#define LINE_MAX_ASKED 4096 /* no command to follow is longer */

enum follow_asked follow_asked(const char *line, size_t len, struct follow_place *ret)
{
	/* most lines are something else, and some are a roster */
	if (len > LINE_MAX_ASKED || !memmem(line, len, "\"follow\"", 8))
		return FOLLOW_NO;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(root, "cmd"));
	const json_t *since = json_object_get(json_object_get(root, "args"), "since");
	enum follow_asked asked = FOLLOW_NO;
	if (name && streq(name, "follow"))
		asked = since && !json_is_integer(since) ? FOLLOW_BAD : FOLLOW_YES;
	*ret = (struct follow_place){.all = since, .n = since ? json_integer_value(since) : -1};
	json_decref(root);
	return asked;
}

struct batch {
	struct job job;
	struct gateway *gateway;
	struct follow_place at;
	struct json lines;
	bool more;
	void (*done)(
		void *arg, const char *text, size_t len, const struct follow_place *at, bool more);
	void *arg;
};

/* `row` 0: of none; `n` -1: without. */
static int line(struct batch *b, struct db *db, int64_t row, int64_t n)
{
	struct json *j = &b->lines;
	j->comma = false; /* a line is a text of its own */
	json_object_begin(j, NULL);
	if (n >= 0)
		json_int(j, "n", n);
	struct json alert = {0};
	int rc = row ? payload_object(b->gateway, db, OBJECT_ALERT, row, -1, &alert) : 0;
	json_raw(j, "alert", rc > 0 ? json_text(&alert) : NULL);
	json_free(&alert);
	json_object_end(j);
	j->comma = false;
	json_raw(j, NULL, "\n");
	return MIN(rc, 0);
}

static int read_open(struct batch *b, struct db *db)
{
	unsigned n = 0;
	int rc;
	if (b->at.n < 0) /* whatever comes from now on is told behind them */
		b->at.n = db_int(db, 0, "SELECT max(n) FROM alert_history", "");
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id FROM alert WHERE state IN ('active','latched') AND id>? ORDER BY id LIMIT ?",
		"ii", b->at.open, (int64_t)FOLLOW_LINES);
	while ((rc = row_next(r)) > 0) {
		b->at.open = row_int(r, 0);
		rc = line(b, db, b->at.open, -1);
		if (rc < 0)
			return rc;
		n++;
	}
	b->at.all = n < FOLLOW_LINES;
	b->more = true;
	return rc < 0 || !b->at.all ? rc : line(b, db, 0, b->at.n);
}

static int read_new(struct batch *b, struct db *db)
{
	unsigned n = 0;
	int rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT h.n,a.id,h.revision=a.revision FROM alert_history h JOIN alert a ON "
		"a.uuid=h.alert WHERE h.n>? ORDER BY h.n LIMIT ?",
		"ii", b->at.n, (int64_t)FOLLOW_LINES);
	while ((rc = row_next(r)) > 0) {
		b->at.n = row_int(r, 0);
		n++;
		if (!row_int(r, 2))
			continue;
		rc = line(b, db, row_int(r, 1), b->at.n);
		if (rc < 0)
			return rc;
	}
	b->more = n == FOLLOW_LINES;
	return rc;
}

static int run_read(struct job *job, struct db *db)
{
	struct batch *b = (struct batch *)job;
	return b->at.all ? read_new(b, db) : read_open(b, db);
}

static void read_done(struct job *job, int result)
{
	struct batch *b = (struct batch *)job;
	const char *text = b->lines.len ? json_text(&b->lines) : "";
	b->done(b->arg, result < 0 ? NULL : text, b->lines.len, &b->at, b->more);
	json_free(&b->lines);
	free(b);
}

int follow_read(struct gateway *g, const struct follow_place *at,
	void (*done)(
		void *arg, const char *text, size_t len, const struct follow_place *at, bool more),
	void *arg)
{
	struct batch *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	*b = (struct batch){.job = {.run = run_read, .done = read_done, .reads_only = true},
		.gateway = g,
		.at = *at,
		.done = done,
		.arg = arg};
	store_submit(g->store, &b->job);
	return 0;
}
