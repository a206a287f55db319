/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readings as they are stored, judged again: when nobody repeated a doubtful one, and when one is somebody else's. */
#include "alerts.h"

#include "alerts_judging.h"
#include "gateway.h"
#include "revision.h"
#include "stored.h"

#include <errno.h>

/* The present revision of a reading. */
struct again {
	struct stored *stored;
	struct filing filing;
	struct judging judging;
	char kind[32], evidence[48], grade[16], station[32];
	bool test, is_void;
};

static void again_end(struct again *a)
{
	stored_end(a->stored);
}

/* When it came, as the clocks of this boot show it: not later than now, whatever the clock showed then. */
static struct instant arrived(struct row *r, int utc, int boot_id, int boot, struct instant now)
{
	struct instant at = {row_int(r, utc), row_int(r, boot)};
	struct uuid id;
	if (!row_uuid(r, boot_id, &id) || memcmp(id.bytes, clock_boot_id(), sizeof(id.bytes)) != 0)
		at.boot_us = now.boot_us - MAX(now.utc_us - at.utc_us, 0);
	return at;
}

static int take(struct gateway *g, struct row *r, struct again *a)
{
	struct judging *j = &a->judging;
	a->stored = stored_read(g->codes, row_text(r, 12));
	if (!a->stored &&
		j->over) /* cannot be read any more: what was said when it was asked for says enough */
		a->stored = stored_read(g->codes, "{\"values\":{}}");
	if (!a->stored)
		return -ODD_ROW;
	text_set(a->kind, sizeof(a->kind), row_text(r, 5));
	text_set(a->evidence, sizeof(a->evidence), row_text(r, 6));
	text_set(a->grade, sizeof(a->grade), row_text(r, 7));
	text_set(a->station, sizeof(a->station), row_text(r, 13));
	a->test = row_int(r, 14);
	a->is_void = streq(row_text(r, 15), REVISION_VOID);
	a->filing = (struct filing){
		.when = {row_int(r, 1), row_int(r, 2), trust_named(row_text(r, 3))},
		.who = {.resident = row_int(r, 4), .evidence = a->evidence, .grade = a->grade},
		.conflict = row_int(r, 16),
		.status = "",
		.revision = (int)row_int(r, 18),
		.row = row_int(r, 0)};
	j->reading = stored_reading(a->stored);
	j->filing = &a->filing;
	j->station = a->station[0] ? a->station : NULL;
	j->device = row_int(r, 8);
	j->arrived = arrived(r, 9, 10, 11, j->now);
	stored_reading(a->stored)->kind = a->kind;
	const char *study = row_text(r, 17);
	stored_reading(a->stored)->has_study =
		study && strlen(study) == 32 &&
		unhex(stored_reading(a->stored)->study.bytes, 16, study);
	return 1;
}

/* 1; 0: there is nothing to judge. */
static int load(struct gateway *g, struct db *db, const struct uuid *id, struct again *a)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,taken,uncertainty_us,trust,resident,kind,evidence,grade,device,arrived,"
		"boot_id,boot_us,body,station,test,status,conflicts_with IS NOT "
		"NULL,CASE WHEN json_valid(body) THEN json_extract(body,'$.notes.study') END,revision FROM "
		"reading WHERE uuid=? AND "
		"superseded=0",
		"b", id->bytes, sizeof(id->bytes));
	a->judging.id = id;
	a->judging.again = true;
	int rc = row_next(r);
	if (rc > 0)
		rc = take(g, r, a);
	if (rc <= 0)
		return rc;
	return !a->test && !a->is_void && !streq(a->evidence, "place");
}

int alerts_judge_again(struct gateway *g, struct db *db, const struct uuid *reading)
{
	_cleanup_(again_end) struct again a = {.judging.now = {clock_utc_us(), clock_boot_us()}};
	int rc = g->config->alerts ? load(g, db, reading, &a) : 0;
	return rc <= 0 ? rc : judging_take(g, db, &a.judging);
}

int alerts_judge_doubtful(struct gateway *g, struct db *db, const struct uuid *reading,
	const char *condition, const char *body, struct instant now)
{
	_cleanup_(again_end) struct again a = {
		.judging = {.now = now, .over = condition, .over_body = body}};
	int rc = load(g, db, reading, &a);
	return rc <= 0 ? rc : judging_take(g, db, &a.judging);
}

/* another resident */

#define HELD_MAX 4096 /* what is beyond follows at once */

struct held {
	int64_t first; /* row of its first revision */
	int64_t former;
	struct uuid reading;
	char evidence[48], grade[16];
};

struct alerts_held {
	size_t n;
	struct held at[HELD_MAX];
};

/* Evidence of these grades is as good as a person's word. */
static bool sure(const char *grade)
{
	return streq(grade, "station") || streq(grade, "message") || streq(grade, "person");
}

static int follow(struct gateway *g, struct db *db, const struct held *h)
{
	bool by_person = streq(h->evidence, "assigned_by_person");
	int rc = by_person || sure(h->grade)
			 ? alerts_leave_others(g, db, &h->reading, by_person ? -1 : h->former)
			 : alerts_doubt_identity(g, db, &h->reading, h->former);
	return rc < 0 ? rc : alerts_judge_again(g, db, &h->reading);
}

int alerts_follow(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct filing *f, int64_t former)
{
	struct held h = {.former = former, .reading = *reading};
	struct alerts_held *all = g->held;
	text_set(h.evidence, sizeof(h.evidence), f->who.evidence);
	text_set(h.grade, sizeof(h.grade), f->who.grade);
	if (!all || all->n == ELEMENTS(all->at))
		return follow(g, db, &h);
	h.first = db_int(db, 0, "SELECT min(id) FROM reading WHERE uuid=?", "b", reading->bytes,
		sizeof(reading->bytes));
	all->at[all->n++] = h;
	return 0;
}

void alerts_hold(struct gateway *g)
{
	g->held = calloc(1, sizeof(*g->held)); /* without memory each follows at once */
}

static int by_first(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

int alerts_release(struct gateway *g, struct db *db, int rc)
{
	_cleanup_(freep) struct alerts_held *all = TAKE(g->held);
	if (!all)
		return rc;
	qsort(all->at, all->n, sizeof(all->at[0]), by_first);
	for (size_t i = 0; i < all->n && rc >= 0; i++)
		rc = follow(g, db, &all->at[i]);
	return rc;
}
