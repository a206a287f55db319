/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "span.h"

#include "clock.h"
#include "util.h"

#define SEEN_US (60 * CLOCK_SECOND_US) /* "still so" is written down this often at most */
#define DRIFT 10000		       /* a crystal drifts one part in so many: 100 ppm */
#define DAY_US (INT64_C(86400) * CLOCK_SECOND_US)
#define OFF_US (30 * DAY_US) /* a gateway may be switched off for so long */

bool span_same(int64_t shift_us, int64_t other_us)
{
	return llabs(shift_us - other_us) <= SPAN_STEP_US;
}

/* Nearer to the truth than a crystal keeps time. */
static bool close_to(const struct span_truth *truth, int64_t shift_us, int64_t boot_us)
{
	return llabs(shift_us - truth->shift_us) <=
	       SPAN_STEP_US + llabs(truth->boot_us - boot_us) / DRIFT;
}

bool span_wrong(const struct clock_span *spans, size_t n, const struct span_truth *truth,
	const struct instant *at)
{
	int64_t shift_us = at->utc_us - at->boot_us;
	if (close_to(truth, shift_us, at->boot_us))
		return false;
	bool ours = false;
	for (size_t i = 0; i < n; i++)
		if (span_same(spans[i].shift_us, shift_us)) {
			if (spans[i].synced)
				return false;
			ours = true;
		}
	return ours && (truth->synced || !clock_plausible(at->utc_us));
}

bool span_doubtful(const struct clock_span *s, const struct span_truth *truth)
{
	if (s->repaired && (!truth->synced || span_same(s->repaired_us, truth->shift_us)))
		return false;
	struct instant end = {s->to_boot_us + s->shift_us, s->to_boot_us};
	return span_wrong(s, 1, truth, &end);
}

bool span_map(
	const struct clock_span *spans, size_t n, const struct span_truth *truth, int64_t *utc_us)
{
	for (size_t i = 0; i < n; i++) {
		const struct clock_span *s = &spans[i];
		struct instant at = {*utc_us, *utc_us - s->shift_us};
		if (at.boot_us < s->from_boot_us - SPAN_STEP_US ||
			at.boot_us > s->to_boot_us + SPAN_STEP_US ||
			!span_wrong(spans, n, truth, &at))
			continue;
		*utc_us = at.boot_us + truth->shift_us;
		return true;
	}
	return false;
}

/* the table */

#define COLUMNS \
	"id,from_boot,to_boot,shift_us,synced,repaired IS NOT NULL,repaired,reading,study,alert"

static struct clock_span span_of(struct row *r)
{
	return (struct clock_span){.id = row_int(r, 0),
		.from_boot_us = row_int(r, 1),
		.to_boot_us = row_int(r, 2),
		.shift_us = row_int(r, 3),
		.synced = row_int(r, 4),
		.repaired = row_int(r, 5),
		.repaired_us = row_int(r, 6),
		.reading = row_int(r, 7),
		.study = row_int(r, 8),
		.alert = row_int(r, 9)};
}

/* The last one, if it is of this boot: 1, 0, -errno. */
static int latest(struct db *db, struct clock_span *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT " COLUMNS ",boot_id=? FROM clock_span ORDER BY id DESC LIMIT 1", "b",
		clock_boot_id(), (size_t)16);
	int rc = row_next(r);
	if (rc <= 0 || !row_int(r, 10))
		return MIN(rc, 0);
	*ret = span_of(r);
	return 1;
}

static int begin(struct db *db, const struct instant *now, bool synced, bool told)
{
	int rc = db_run(db,
		"INSERT INTO clock_span(boot_id,from_boot,to_boot,shift_us,synced,told,reading,"
		"study,alert) SELECT ?1,?2,?2,?3,?4,?5,(SELECT coalesce(max(id),0) FROM reading),"
		"(SELECT coalesce(max(id),0) FROM study),(SELECT coalesce(max(id),0) FROM alert)",
		"biiii", clock_boot_id(), (size_t)16, now->boot_us, now->utc_us - now->boot_us,
		(int64_t)synced, (int64_t)told);
	if (rc >= 0)
		rc = db_run(
			db, "DELETE FROM clock_span WHERE id<=?", "i", db_last_id(db) - SPANS_MAX);
	return MIN(rc, 0);
}

/* It goes on: corrections too small for a step are followed. */
static int go_on(struct db *db, const struct clock_span *s, const struct instant *now, bool synced)
{
	bool news = synced && !s->synced;
	if (!news && now->boot_us - s->to_boot_us < SEEN_US)
		return 0;
	return error_only(db_run(db,
		"UPDATE clock_span SET to_boot=max(to_boot,?), shift_us=?, synced=synced OR ? WHERE "
		"id=?",
		"iiii", now->boot_us, now->utc_us - now->boot_us, (int64_t)synced, s->id));
}

int span_note(struct db *db, const struct instant *now, bool synced, int64_t *ret_set_us)
{
	struct clock_span s;
	int rc = latest(db, &s);
	if (ret_set_us)
		*ret_set_us = 0;
	if (rc < 0)
		return rc;
	if (rc == 0)
		return begin(db, now, synced, true);
	bool same = span_same(s.shift_us, now->utc_us - now->boot_us);
	if (now->boot_us < s.from_boot_us) { /* it waited for the store while the clock was set */
		if (ret_set_us && !same)
			*ret_set_us = s.shift_us - (now->utc_us - now->boot_us);
		return 0;
	}
	if (same)
		return go_on(db, &s, now, synced);
	rc = db_run(db, "UPDATE clock_span SET to_boot=max(to_boot,?) WHERE id=?", "ii",
		now->boot_us, s.id);
	if (rc >= 0)
		rc = begin(db, now, synced, false);
	return rc < 0 ? rc : 1;
}

size_t spans_read(struct db *db, const uint8_t *boot_id, struct clock_span out[static SPANS_MAX])
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT " COLUMNS " FROM clock_span WHERE boot_id=? ORDER BY id", "b",
			boot_id, (size_t)16);
	size_t n = 0;
	while (n < SPANS_MAX && row_next(r) > 0)
		out[n++] = span_of(r);
	return n;
}

/* Oldest first: a span is sure by itself, or as the first of its boot when the one before was and the clock went on from
 * there while the power was off. */
bool span_sure(struct db *db, const struct instant *now)
{
	bool sure = false, here = false;
	int64_t from_us = 0, shift_us = 0, end_us = 0; /* of the one before */
	if (!clock_plausible(now->utc_us))
		return false;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT from_boot,to_boot,shift_us,synced,boot_id=?1,boot_id<>lag(boot_id,1,x'') "
		"OVER (ORDER BY id) FROM clock_span ORDER BY id",
		"b", clock_boot_id(), (size_t)16);
	while (row_next(r) > 0) {
		from_us = row_int(r, 0);
		shift_us = row_int(r, 2);
		here = row_int(r, 4);
		int64_t off_us = from_us + shift_us - end_us;
		bool goes_on = sure && row_int(r, 5) && off_us > -DAY_US && off_us < OFF_US;
		sure = goes_on || row_int(r, 3) || row_int(r, 1) - from_us >= DAY_US;
		end_us = row_int(r, 1) + shift_us;
	}
	sure |= now->boot_us - from_us >= DAY_US;
	return sure && here && span_same(shift_us, now->utc_us - now->boot_us);
}
