/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repair.h"

#include "alerts.h"
#include "epoch.h"
#include "gateway.h"
#include "intake.h"
#include "log.h"
#include "reassess.h"
#include "study.h"

#include <errno.h>
#include <time.h>

/* the clock was set */

static void time_text(char *out, size_t size, int64_t utc_us)
{
	time_t t = (time_t)(utc_us / CLOCK_SECOND_US);
	struct tm tm;
	if (!gmtime_r(&t, &tm) || !strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, size, "%lld", (long long)t);
}

/* A step that was not told yet; 1, 0: there is none, -errno. */
static int next_step(struct db *db, int64_t *ret_id, struct instant *ret_to, int64_t *ret_from_us)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT s.id,s.from_boot,s.shift_us,p.shift_us FROM clock_span s JOIN clock_span p ON "
		"p.id=s.id-1 WHERE s.told=0 AND s.boot_id=? ORDER BY s.id LIMIT 1",
		"b", clock_boot_id(), (size_t)16);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	*ret_id = row_int(r, 0);
	*ret_to = (struct instant){row_int(r, 1) + row_int(r, 2), row_int(r, 1)};
	*ret_from_us = row_int(r, 1) + row_int(r, 3);
	return 1;
}

/* What devices' clocks showed is from now on seen by the new time, when that can be. */
static int tell_steps(struct gateway *g, struct db *db)
{
	int64_t id, from_us;
	struct instant to;
	int rc;
	while ((rc = next_step(db, &id, &to, &from_us)) > 0) {
		char from[32], until[32], detail[96];
		time_text(from, sizeof(from), from_us);
		time_text(until, sizeof(until), to.utc_us);
		snprintf(detail, sizeof(detail), "from %s to %s", from, until);
		log_note("clock", "our clock was set %s", detail);
		rc = intake_event(g, db, 0, "clock_stepped", detail, NULL, to.utc_us, true);
		if (rc >= 0 && clock_plausible(to.utc_us))
			rc = epochs_follow(db, to.utc_us - to.boot_us);
		if (rc >= 0)
			rc = db_run(db, "UPDATE clock_span SET told=1 WHERE id=?", "i", id);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* beginning */

/* 1: there is a repair of this boot, by this truth or a better one; 2: of any; 0; -errno. */
static int under_way(struct db *db, const struct span_truth *truth)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT boot_id=?,shift_us,synced FROM clock_repair ORDER BY 1 DESC LIMIT 1", "b",
		clock_boot_id(), (size_t)16);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	bool better = row_int(r, 2) > truth->synced;
	bool same = row_int(r, 2) == truth->synced && span_same(row_int(r, 1), truth->shift_us);
	return row_int(r, 0) && (better || same) ? 1 : 2;
}

static int begin(struct gateway *g, struct db *db, struct repair *r)
{
	int rc = db_run(db,
		"INSERT INTO clock_repair(boot_id,shift_us,at_boot,synced,reading,study,alert,"
		"readings) VALUES(?,?,?,?,?,?,?,0) ON CONFLICT(boot_id) DO UPDATE SET "
		"shift_us=excluded.shift_us, at_boot=excluded.at_boot, synced=excluded.synced, "
		"reading=min(reading,excluded.reading), study=min(study,excluded.study), "
		"alert=min(alert,excluded.alert)",
		"biiiiii", r->boot_id, sizeof(r->boot_id), r->truth.shift_us, r->truth.boot_us,
		(int64_t)r->truth.synced, r->reading, r->study, r->alert);
	return rc < 0 ? rc : repair_rows(g, db, r);
}

int repair_look(struct gateway *g, struct db *db, const struct instant *now, bool synced)
{
	int rc = span_note(db, now, synced, NULL);
	if (rc >= 0)
		rc = tell_steps(g, db);
	if (rc < 0)
		return rc;
	_cleanup_(freep) struct repair *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	memcpy(r->boot_id, clock_boot_id(), sizeof(r->boot_id));
	r->n = spans_read(db, r->boot_id, r->spans);
	const struct clock_span *last = r->n ? &r->spans[r->n - 1] : NULL, *first = NULL;
	r->truth = (struct span_truth){
		last ? last->shift_us : 0, now->boot_us, last ? last->synced : false};
	rc = under_way(db, &r->truth);
	if (rc < 0 || rc == 1 || !last || !clock_plausible(now->boot_us + last->shift_us))
		return rc > 0 ? 1 : rc;
	for (size_t i = 0; i + 1 < r->n && !first; i++)
		if (span_doubtful(&r->spans[i], &r->truth))
			first = &r->spans[i];
	if (!first)
		return rc > 0;
	r->reading = first->reading;
	r->study = first->study;
	r->alert = first->alert;
	rc = begin(g, db, r);
	return rc < 0 ? rc : 1;
}

/* going on */

static int load(struct db *db, struct repair *ret)
{
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT boot_id,shift_us,at_boot,synced,reading,study,alert,readings FROM "
			"clock_repair LIMIT 1",
			"");
		size_t len;
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		const void *boot = row_blob(r, 0, &len);
		memcpy(ret->boot_id, boot, MIN(len, sizeof(ret->boot_id)));
		ret->truth = (struct span_truth){row_int(r, 1), row_int(r, 2), row_int(r, 3) == 1};
		ret->reading = row_int(r, 4);
		ret->study = row_int(r, 5);
		ret->alert = row_int(r, 6);
		ret->readings = row_int(r, 7);
	}
	ret->n = spans_read(db, ret->boot_id, ret->spans);
	return 1;
}

/* One row of whatever is repaired. */
struct stamped {
	int64_t row;
	struct uuid id;
	struct instant at;
};

/* The next rows of a table by this query: id, uuid, both clocks. The query is over when it returns. */
static int portion(struct db *db, const char *sql, int64_t after, const struct repair *r,
	struct stamped *out, size_t *ret_n)
{
	_cleanup_(row_endp) struct row *row =
		db_query(db, sql, "ib", after, r->boot_id, sizeof(r->boot_id));
	size_t n = 0;
	int rc = 0;
	while (n < REPAIR_PORTION && (rc = row_next(row)) > 0) {
		struct stamped *s = &out[n++];
		s->row = row_int(row, 0);
		row_uuid(row, 1, &s->id);
		s->at = (struct instant){row_int(row, 2), row_int(row, 3)};
	}
	*ret_n = n;
	return MIN(rc, 0);
}

typedef int repair_one(struct gateway *g, struct db *db, const struct repair *r,
	const struct stamped *s, int64_t right_us);

static int one_reading(struct gateway *g, struct db *db, const struct repair *r,
	const struct stamped *s, int64_t right_us)
{
	(void)r;
	return reassess(g, db, &s->id, &right_us);
}

static int one_study(struct gateway *g, struct db *db, const struct repair *r,
	const struct stamped *s, int64_t right_us)
{
	(void)r;
	return study_redate(g, db, s->row, right_us);
}

/* When somebody was told, too. Revisions that were made since by the right clock are in none of the wrong spans. */
static int alert_told(struct db *db, const struct repair *r, const struct uuid *id)
{
	int64_t revision = 0, at_us;
	int rc = 0;
	while (rc >= 0) {
		{
			_cleanup_(row_endp) struct row *row = db_query(db,
				"SELECT revision,at FROM alert_history WHERE alert=? AND "
				"revision>? ORDER BY revision LIMIT 1",
				"bi", id->bytes, sizeof(id->bytes), revision);
			rc = row_next(row);
			if (rc <= 0)
				return rc;
			revision = row_int(row, 0);
			at_us = row_int(row, 1);
		}
		if (span_map(r->spans, r->n, &r->truth, &at_us))
			rc = db_run(db,
				"UPDATE alert_history SET at=? WHERE alert=? AND revision=?", "ibi",
				at_us, id->bytes, sizeof(id->bytes), revision);
	}
	return rc;
}

/* What was done about it since, too. */
static int one_alert(struct gateway *g, struct db *db, const struct repair *r,
	const struct stamped *s, int64_t right_us)
{
	enum { ACKED, ENDED, SINCE, NOT_BEFORE, TIMES };
	int64_t times[TIMES], *set[TIMES];
	{
		_cleanup_(row_endp) struct row *row = db_query(db,
			"SELECT acked,ended,since,not_before FROM alert WHERE id=?", "i", s->row);
		int rc = row_next(row);
		if (rc <= 0)
			return rc;
		for (int i = 0; i < TIMES; i++) {
			set[i] = row_null(row, i) ? NULL : &times[i];
			times[i] = row_int(row, i);
		}
	}
	for (int i = 0; i < TIMES; i++)
		span_map(r->spans, r->n, &r->truth, &times[i]);
	int rc = db_run(db,
		"UPDATE alert SET raised=?, acked=?, ended=?, since=?, not_before=? WHERE id=?",
		"ippppi", right_us, set[ACKED], set[ENDED], set[SINCE], set[NOT_BEFORE], s->row);
	if (rc >= 0)
		rc = alert_told(db, r, &s->id);
	return rc < 0 ? rc : alerts_revise(g, db, &s->id, PHASE_UPDATE, NULL, NULL);
}

/* One that cannot be repaired stays as it was, and holds up no other. */
static int try_one(struct gateway *g, struct db *db, const struct repair *r, repair_one *call,
	const struct stamped *s)
{
	char text[33];
	int rc = db_part_begin(db);
	if (rc < 0)
		return rc;
	rc = call(g, db, r, s, s->at.boot_us + r->truth.shift_us);
	int ended = db_part_end(db, rc);
	if (ended < 0)
		return ended;
	if (rc < 0)
		log_error("clock", "%.8s keeps the time of a wrong clock: %s",
			hex(text, s->id.bytes, sizeof(s->id.bytes)), strerror(-rc));
	return rc > 0;
}

/* The next portion of one table. 1: of it something was looked at, 0: it is at its end, -errno. */
static int work(struct gateway *g, struct db *db, const struct repair *r, const char *sql,
	repair_one *call, int64_t *cursor, int64_t *changed)
{
	struct stamped rows[REPAIR_PORTION];
	size_t n;
	int rc = portion(db, sql, *cursor, r, rows, &n);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		if (!span_wrong(r->spans, r->n, &r->truth, &rows[i].at))
			continue;
		rc = try_one(g, db, r, call, &rows[i]);
		*changed += rc > 0;
	}
	if (rc < 0 || !n)
		return rc;
	*cursor = rows[n - 1].row;
	return 1;
}

static int finish(struct gateway *g, struct db *db, const struct repair *r)
{
	char detail[64];
	int rc = 0;
	for (size_t i = 0; i < r->n && rc >= 0; i++)
		if (span_doubtful(&r->spans[i], &r->truth))
			rc = db_run(db, "UPDATE clock_span SET repaired=? WHERE id=?", "ii",
				r->truth.shift_us, r->spans[i].id);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM clock_repair WHERE boot_id=?", "b", r->boot_id,
			sizeof(r->boot_id));
	snprintf(detail, sizeof(detail), "%lld readings", (long long)r->readings);
	if (rc < 0 || !r->readings)
		return rc;
	log_note("clock", "our clock is known: %s were dated again", detail);
	return intake_event(g, db, 0, "clock_repaired", detail, NULL, clock_utc_us(), true);
}

int repair_go_on(struct gateway *g, struct db *db)
{
	int64_t others = 0;
	_cleanup_(freep) struct repair *r = calloc(1, sizeof(*r));
	int rc = r ? load(db, r) : -ENOMEM;
	if (rc <= 0)
		return rc;
	rc = work(g, db, r,
		"SELECT id,uuid,arrived,boot_us FROM reading WHERE id>? AND superseded=0 AND "
		"boot_id=? ORDER BY id LIMIT 200",
		one_reading, &r->reading, &r->readings);
	if (rc == 0)
		rc = work(g, db, r,
			"SELECT id,uuid,arrived,boot_us FROM study WHERE id>? AND boot_id=? ORDER BY id "
			"LIMIT 200",
			one_study, &r->study, &others);
	if (rc == 0)
		rc = work(g, db, r,
			"SELECT id,uuid,raised,raised_boot FROM alert WHERE id>? AND boot_id=? ORDER BY "
			"id LIMIT 200",
			one_alert, &r->alert, &others);
	if (rc == 0)
		rc = finish(g, db, r);
	else if (rc > 0)
		rc = db_run(db,
			"UPDATE clock_repair SET reading=?, study=?, alert=?, readings=? WHERE boot_id=?",
			"iiiib", r->reading, r->study, r->alert, r->readings, r->boot_id,
			sizeof(r->boot_id));
	if (rc < 0)
		return rc;
	return db_int(db, 0, "SELECT 1 FROM clock_repair", "") == 1;
}
