/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "history.h"

#include "rule.h"
#include "util.h"

#include <errno.h>

#define TRUSTED "trust IN ('corrected','live')"
#define GLUCOSE "glu."
#define AHEAD_US (600 * CLOCK_SECOND_US) /* an instrument's clock may be so far ahead of ours */

struct filed {
	struct history_value v;
	int64_t reading, row; /* of both tables */
};

/* One kind, latest first. */
static int values_of(const struct history_db *of, const char *kind, int64_t from_us, int64_t to_us,
	struct filed *out, size_t max, size_t *ret_n)
{
	size_t n = 0;
	int rc = 0;
	_cleanup_(row_endp) struct row *r = db_query(of->db,
		"SELECT taken,milli,comparator,reading,rowid FROM evidence WHERE resident=? AND kind=? AND "
		"taken BETWEEN ? AND ? AND " TRUSTED " AND reading<>? ORDER BY taken DESC LIMIT ?",
		"itiiii", of->resident, kind, from_us, to_us, of->reading, (int64_t)max);
	while (n < max && (rc = row_next(r)) > 0) {
		const char *comparator = row_text(r, 2);
		out[n++] = (struct filed){
			{row_int(r, 0), row_int(r, 1), comparator ? comparator[0] : 0},
			row_int(r, 3), row_int(r, 4)};
	}
	*ret_n = n;
	return error_only(rc);
}

static bool later(const struct filed *a, const struct filed *b)
{
	return a->v.taken_us > b->v.taken_us;
}

/* Two lists, latest first, into the first of them; what is beyond `max` is older. */
static void merge(struct filed *all, size_t *n, const struct filed *more, size_t n_more, size_t max)
{
	size_t a = *n, b = n_more, to = MIN(a + b, max);
	/* from the end: the oldest of both go first, those beyond `max` nowhere */
	for (size_t skip = a + b - to; skip; skip--) {
		if (!b || (a && later(&more[b - 1], &all[a - 1])))
			a--;
		else
			b--;
	}
	*n = to;
	while (b) {
		bool take = a && later(&more[b - 1], &all[a - 1]);
		all[--to] = take ? all[--a] : more[--b];
	}
}

static bool fits(const char *pattern, const char *kind)
{
	return alert_kind_matches(pattern, kind) && !streq(kind, KIND_CONTROL);
}

static int merged(const struct history_db *of, const char *pattern, int64_t from_us, int64_t to_us,
	struct filed *all, size_t max, size_t *ret_n)
{
	const struct code *code;
	struct filed more[HISTORY_MAX];
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && (code = codes_at(of->codes, i)); i++) {
		size_t n_more = 0;
		if (!fits(pattern, code->kind))
			continue;
		rc = values_of(of, code->kind, from_us, to_us, more, max, &n_more);
		if (rc >= 0)
			merge(all, &n, more, n_more, max);
	}
	*ret_n = n;
	return rc;
}

/* A reading that is revised is another row, and stays where it was first filed. */
static int64_t first_filed(const struct history_db *of, const struct filed *f)
{
	return db_int(of->db, f->reading,
		"SELECT min(first.id) FROM reading now JOIN reading first ON first.uuid=now.uuid "
		"WHERE now.id=?",
		"i", f->reading);
}

static bool filed_later(const struct history_db *of, const struct filed *a, const struct filed *b)
{
	if (a->reading == b->reading)
		return a->row > b->row;
	return first_filed(of, a) > first_filed(of, b);
}

/* Values of one instant, which are few: those filed later come first. */
static void order_equal(const struct history_db *of, struct filed *all, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct filed f = all[i];
		size_t to = i;
		while (to && all[to - 1].v.taken_us == f.v.taken_us &&
			filed_later(of, &f, &all[to - 1]))
			to--;
		memmove(&all[to + 1], &all[to], (i - to) * sizeof(f));
		all[to] = f;
	}
}

static int values(void *arg, const char *pattern, int64_t from_us, int64_t to_us,
	struct history_value *out, size_t max, size_t *ret_n)
{
	const struct history_db *of = arg;
	struct filed all[HISTORY_MAX];
	size_t n = 0;
	int rc = 0;
	max = MIN(max, HISTORY_MAX);
	if (of->resident)
		rc = strchr(pattern, '*') ? merged(of, pattern, from_us, to_us, all, max, &n)
					  : values_of(of, pattern, from_us, to_us, all, max, &n);
	order_equal(of, all, n);
	for (size_t i = 0; i < n; i++)
		out[i] = all[i].v;
	*ret_n = n;
	return rc;
}

struct history history_of(struct history_db *of)
{
	return (struct history){.values = values, .arg = of};
}

static int later_of(
	const struct history_db *of, const char *kind, int64_t taken_us, int64_t until_us)
{
	_cleanup_(row_endp) struct row *r = db_query(of->db,
		"SELECT 1 FROM evidence WHERE resident=? AND kind=? AND taken>? AND taken<=? AND " TRUSTED
		" AND reading<>? LIMIT 1",
		"itiii", of->resident, kind, taken_us, until_us, of->reading);
	return row_next(r);
}

int history_overtaken(
	const struct history_db *of, const char *kind, int64_t taken_us, int64_t now_us)
{
	/* what our clock showed while it was years ahead is not yet */
	int64_t until_us = now_us + AHEAD_US;
	const struct code *code;
	int rc = 0;
	if (!of->resident)
		return 0;
	if (strncmp(kind, GLUCOSE, strlen(GLUCOSE)) != 0)
		return later_of(of, kind, taken_us, until_us);
	for (size_t i = 0; rc == 0 && (code = codes_at(of->codes, i)); i++)
		if (fits(GLUCOSE "*", code->kind))
			rc = later_of(of, code->kind, taken_us, until_us);
	return rc;
}
