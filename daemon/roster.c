/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "roster_check.h"

#include "gateway.h"
#include "util.h"
#include "visit.h"

#include <errno.h>

struct roster_seen {
	int64_t resident;
	unsigned piece, line;
	bool removed;
};

/* a roster and what is wrong with it */

void roster_begin(struct roster *r, struct gateway *g, struct db *db)
{
	*r = (struct roster){.gateway = g, .db = db, .now_us = clock_utc_us()};
}

void roster_end(struct roster *r)
{
	json_free(&r->faults);
	json_free(&r->kept_list);
	free(r->seen);
	*r = (struct roster){0};
}

void roster_fault(
	struct roster *r, unsigned line, const char *column, const char *en, const char *zh)
{
	if (!r->n_faults) {
		const char *colon = column[0] ? ": " : "";
		snprintf(r->first_en, sizeof(r->first_en), "line %u: %s%s%s", line, column, colon,
			en);
		snprintf(
			r->first_zh, sizeof(r->first_zh), "第%u行 %s%s%s", line, column, colon, zh);
	}
	if (!r->n_faults || r->bad_line != line || r->bad_piece != r->piece)
		r->bad++;
	r->bad_line = line;
	r->bad_piece = r->piece;
	if (r->n_faults++ >= ROSTER_FAULTS_MAX)
		return;
	json_object_begin(&r->faults, NULL);
	json_int(&r->faults, "line", line);
	if (r->piece)
		json_int(&r->faults, "piece", r->piece);
	json_str(&r->faults, "column", column);
	json_str(&r->faults, "en", en);
	json_str(&r->faults, "zh", zh);
	json_object_end(&r->faults);
}

static int see(struct roster *r, int64_t resident, unsigned line, bool removed)
{
	if (r->n_seen == r->seen_size) {
		size_t size = MAX(r->seen_size * 2, (size_t)256);
		struct roster_seen *more = realloc(r->seen, size * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->seen = more;
		r->seen_size = size;
	}
	r->seen[r->n_seen++] = (struct roster_seen){resident, r->piece, line, removed};
	return 0;
}

static void keep(struct roster *r, const char *token, const char *state)
{
	if (r->kept++ >= ROSTER_FAULTS_MAX)
		return;
	json_object_begin(&r->kept_list, NULL);
	json_str(&r->kept_list, "resident", token);
	json_str(&r->kept_list, "state", state);
	json_object_end(&r->kept_list);
}

/* storing */

static int insert(struct roster *r, const struct roster_checked *c)
{
	const char *const *t = c->text;
	r->added++;
	int rc = db_run(r->db,
		"INSERT INTO resident(token,birth_date,sex,programmes,populations,conditions,setting,"
		"doctor,team,chain,signed_on,valid_from,valid_to,owner,changed) "
		"VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"ttttttttttpppti", t[ROSTER_TOKEN], t[ROSTER_BIRTH_DATE], t[ROSTER_SEX],
		t[ROSTER_PROGRAMMES], t[ROSTER_POPULATIONS], t[ROSTER_CONDITIONS],
		t[ROSTER_SETTING], t[ROSTER_DOCTOR], t[ROSTER_TEAM], t[ROSTER_CHAIN],
		c->has[0] ? &c->days[0] : NULL, c->has[1] ? &c->days[1] : NULL,
		c->has[2] ? &c->days[2] : NULL, t[ROSTER_OWNER], r->now_us);
	return MIN(rc, 0);
}

/* Only what is another now; then what is proposed of this resident may be, too. */
static int update(struct roster *r, int64_t id, const struct roster_checked *c)
{
	const char *const *t = c->text;
	int rc = db_run(r->db,
		"UPDATE resident SET birth_date=?2,sex=?3,programmes=?4,populations=?5,conditions=?6,"
		"setting=?7,doctor=?8,team=?9,chain=?10,signed_on=?11,valid_from=?12,valid_to=?13,"
		"owner=?14,changed=?15 WHERE id=?1 AND (birth_date,sex,programmes,populations,"
		"conditions,setting,doctor,team,chain,signed_on,valid_from,valid_to,owner) IS NOT "
		"(?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
		"itttttttttpppti", id, t[ROSTER_BIRTH_DATE], t[ROSTER_SEX], t[ROSTER_PROGRAMMES],
		t[ROSTER_POPULATIONS], t[ROSTER_CONDITIONS], t[ROSTER_SETTING], t[ROSTER_DOCTOR],
		t[ROSTER_TEAM], t[ROSTER_CHAIN], c->has[0] ? &c->days[0] : NULL,
		c->has[1] ? &c->days[1] : NULL, c->has[2] ? &c->days[2] : NULL, t[ROSTER_OWNER],
		r->now_us);
	if (rc <= 0)
		return rc;
	r->changed++;
	return visit_touch(r->gateway, r->db, id);
}

/* The row of a token and its state; 0: there is none. */
static int64_t find(struct db *db, const char *token, char state[static 16])
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT id,state FROM resident WHERE token=?", "t", token);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	text_copy(state, 16, row_text(r, 1), strlen(row_text(r, 1)));
	return row_int(r, 0);
}

int roster_put(struct roster *r, unsigned line, const struct roster_record *record)
{
	struct roster_checked c;
	char state[16];
	r->lines++;
	if (!roster_check(r, line, record, &c) || r->dry)
		return 0;
	int64_t id = find(r->db, c.text[ROSTER_TOKEN], state);
	int rc = id < 0 ? (int)id : 0;
	if (!id) {
		rc = insert(r, &c);
		return rc < 0 ? rc : see(r, db_last_id(r->db), line, false);
	}
	if (rc >= 0 && streq(state, "unlisted")) {
		rc = db_run(r->db, "UPDATE resident SET state='active',state_at=? WHERE id=?", "ii",
			r->now_us, id);
		r->changed++;
	} else if (rc >= 0 && !streq(state, "active")) {
		keep(r, c.text[ROSTER_TOKEN], state);
	}
	/* what was erased does not come back */
	if (rc >= 0 && !streq(state, "erased"))
		rc = update(r, id, &c);
	return rc < 0 ? rc : see(r, id, line, false);
}

static int unlist(struct roster *r, int64_t id)
{
	int rc = db_run(r->db,
		"UPDATE resident SET state='unlisted',state_at=? WHERE id=? AND state='active'",
		"ii", r->now_us, id);
	if (rc > 0)
		r->unlisted++;
	return MIN(rc, 0);
}

int roster_remove(struct roster *r, unsigned line, const char *token)
{
	char state[16];
	r->lines++;
	if (r->dry)
		return 0;
	int64_t id = find(r->db, token, state);
	if (!id)
		roster_fault(
			r, line, "removed", "there is no such resident here", "网关中没有此居民");
	if (id <= 0)
		return (int)id;
	int rc = unlist(r, id);
	return rc < 0 ? rc : see(r, id, line, true);
}

/* settling */

static int by_resident(const void *a, const void *b)
{
	const struct roster_seen *x = a, *y = b;
	if (x->resident != y->resident)
		return x->resident < y->resident ? -1 : 1;
	if (x->piece != y->piece)
		return x->piece < y->piece ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static void find_twice(struct roster *r)
{
	unsigned piece = r->piece;
	char en[160], zh[160];
	for (size_t i = 1; i < r->n_seen; i++) {
		const struct roster_seen *first = &r->seen[i - 1], *s = &r->seen[i];
		if (first->resident != s->resident)
			continue;
		bool both = s->removed != first->removed;
		snprintf(en, sizeof(en), "this resident stands in line %u already%s", first->line,
			both ? ", once to be removed" : "");
		snprintf(zh, sizeof(zh), "该居民已出现在第%u行%s", first->line,
			both ? "（其中一处要求移除）" : "");
		r->piece = s->piece;
		roster_fault(r, s->line, s->removed ? "removed" : "token", en, zh);
	}
	r->piece = piece;
}

static bool was_seen(const struct roster *r, int64_t resident)
{
	size_t low = 0, high = r->n_seen;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (r->seen[middle].resident < resident)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->n_seen && r->seen[low].resident == resident;
}

/* The next one that is active and not in the roster; 0: there is none. */
static int64_t next_absent(struct roster *r, int64_t after)
{
	_cleanup_(row_endp) struct row *row = db_query(r->db,
		"SELECT id FROM resident WHERE state='active' AND id>? ORDER BY id", "i", after);
	int rc;
	while ((rc = row_next(row)) > 0)
		if (!was_seen(r, row_int(row, 0)))
			return row_int(row, 0);
	return rc;
}

int roster_settle(struct roster *r, bool full)
{
	int rc = 0;
	if (r->n_seen)
		qsort(r->seen, r->n_seen, sizeof(*r->seen), by_resident);
	find_twice(r);
	int64_t id = full && !r->bad ? next_absent(r, 0) : 0;
	while (id > 0 && rc >= 0) {
		rc = unlist(r, id);
		id = rc < 0 ? 0 : next_absent(r, id);
	}
	return id < 0 ? (int)id : rc;
}

bool roster_doctor(struct db *db, int64_t resident, const char *token)
{
	return token[0] &&
	       db_int(db, 0,
		       "SELECT 1 FROM resident r WHERE id=?1 AND (doctor=?2 OR EXISTS (SELECT 1 "
		       "FROM team t WHERE t.team=r.team AND r.team<>'' AND t.member=?2 AND "
		       "t.role='doctor'))",
		       "it", resident, token) == 1;
}

int64_t roster_files_under(struct db *db, int64_t resident)
{
	/* nobody is merged into one that was merged before, so that this ends; a damaged table must not hold us up */
	for (unsigned hops = 0; hops < 64; hops++) {
		_cleanup_(row_endp) struct row *r = db_query(
			db, "SELECT state,merged_into FROM resident WHERE id=?", "i", resident);
		int rc = row_next(r);
		if (rc <= 0) /* of a row that is not there nobody withdrew anything */
			return rc < 0 ? 0 : resident;
		const char *state = row_text(r, 0);
		if (streq(state, "withdrawn") || streq(state, "erased"))
			return 0;
		if (row_null(r, 1) || !streq(state, "merged"))
			return resident;
		resident = row_int(r, 1);
	}
	return 0;
}
