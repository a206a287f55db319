/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "merge.h"

#include "alerts.h"
#include "gateway.h"
#include "resident.h"
#include "revision.h"
#include "study.h"
#include "visit.h"

#include <errno.h>

/* One that is filed under the resident that goes. */
struct filed {
	struct uuid id;
	int64_t checkin;
	char evidence[32], grade[16];
};

struct filed_list {
	struct filed *at;
	size_t n, size;
};

static int add(struct filed_list *l, struct row *r)
{
	if (l->n == l->size) {
		size_t size = MAX(l->size * 2, (size_t)64);
		struct filed *more = realloc(l->at, size * sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->at = more;
		l->size = size;
	}
	struct filed *f = &l->at[l->n++];
	*f = (struct filed){.checkin = row_int(r, 3)};
	text_copy(f->evidence, sizeof(f->evidence), row_text(r, 1), strlen(row_text(r, 1)));
	text_copy(f->grade, sizeof(f->grade), row_text(r, 2), strlen(row_text(r, 2)));
	return row_uuid(r, 0, &f->id) ? 0 : -ODD_ROW;
}

/* All of them before the first one goes: who changes a table while he reads it meets rows twice. */
static int collect(struct filed_list *l, struct row *r)
{
	int rc;
	while ((rc = row_next(r)) > 0) {
		rc = add(l, r);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static struct resident_decision decision(const struct filed *f, int64_t into)
{
	return (struct resident_decision){.resident = into,
		.evidence = f->evidence,
		.grade = f->grade,
		.checkin = f->checkin};
}

/* All readings, or all studies. */
static int move(struct gateway *g, struct db *db, int64_t from, int64_t into, bool studies,
	unsigned *ret_count)
{
	struct filed_list l = {0};
	int rc;
	{
		_cleanup_(row_endp) struct row *r =
			studies ? db_query(db,
					  "SELECT uuid,evidence,grade,checkin FROM study WHERE "
					  "resident=? AND status<>'undecoded'",
					  "i", from)
				: db_query(db,
					  "SELECT uuid,evidence,grade,checkin FROM reading WHERE "
					  "resident=? AND superseded=0 ORDER BY taken",
					  "i", from);
		rc = collect(&l, r);
	}
	for (size_t i = 0; i < l.n && rc >= 0; i++) {
		const struct uuid *id = &l.at[i].id;
		struct resident_decision who = decision(&l.at[i], into);
		rc = studies ? study_move(g, db, study_row(db, id), id, &who)
			     : revision_make(g, db, id, &(struct revision){.who = &who}, NULL);
	}
	*ret_count = (unsigned)l.n;
	free(l.at);
	return rc;
}

/* Where both have a limit of one kind and side, that of the resident who goes on stays; what held until now held then. */
static int end_limits(struct db *db, int64_t from, int64_t into, int64_t now_us)
{
	return db_run(db,
		"UPDATE personal_limit SET valid_to=?3 WHERE resident=?1 AND valid_to>?3 AND EXISTS (SELECT "
		"1 FROM personal_limit p WHERE p.resident=?2 AND p.kind=personal_limit.kind AND "
		"p.side=personal_limit.side AND p.pending=personal_limit.pending AND p.valid_to>?3)",
		"iii", from, into, now_us);
}

int merge_residents(
	struct gateway *g, struct db *db, int64_t from, int64_t into, struct merged *ret)
{
	/* visits first: a confirmed one rests on its readings as before, nothing of it changed */
	static const char *const all[] = {
		"UPDATE visit SET resident=?2 WHERE resident=?1",
		"UPDATE checkin SET resident=?2 WHERE resident=?1",
		"UPDATE binding SET resident=?2 WHERE resident=?1",
		"UPDATE handover SET resident=?2 WHERE resident=?1",
		"UPDATE personal_limit SET resident=?2 WHERE resident=?1",
		"UPDATE card SET resident=?2 WHERE resident=?1",
		"UPDATE OR REPLACE booking SET resident=?2 WHERE resident=?1",
		/* of two plans for one form the later word holds */
		"DELETE FROM plan WHERE resident=?1 AND EXISTS (SELECT 1 FROM plan p WHERE "
		"p.resident=?2 AND p.form=plan.form AND p.at>plan.at)",
		"UPDATE OR REPLACE plan SET resident=?2 WHERE resident=?1",
		/* not told yet, or with the decoder: it comes to whom it belongs now */
		"UPDATE study SET resident=?2 WHERE resident=?1 AND status='undecoded'",
	};
	int64_t now_us = clock_utc_us();
	int rc = end_limits(db, from, into, now_us);
	*ret = (struct merged){0};
	for (size_t i = 0; i < ELEMENTS(all) && rc >= 0; i++)
		rc = db_run(db, all[i], "ii", from, into);
	if (rc >= 0)
		rc = db_run(db,
			"UPDATE resident SET state='merged',state_at=?,merged_into=? WHERE id=?",
			"iii", now_us, into, from);
	if (rc >= 0)
		rc = alerts_merge(g, db, from, into);
	if (rc >= 0) /* studies first: with each goes the heart rate that was measured in it */
		rc = move(g, db, from, into, true, &ret->studies);
	if (rc >= 0)
		rc = move(g, db, from, into, false, &ret->readings);
	return rc < 0 ? rc : visit_touch(g, db, into);
}
