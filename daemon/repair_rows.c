/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What readings are judged by: few rows, and they must be right before the first reading is looked at. */
#include "repair.h"

#include "clock.h"
#include "day.h"
#include "util.h"
#include "visit.h"

/* An instant that a person typed has whole seconds; one that was read off the clock has not, but once in a million. */
static bool was_read_off(int64_t utc_us)
{
	return utc_us % CLOCK_SECOND_US != 0;
}

static bool map(const struct repair *r, int64_t *utc_us)
{
	return was_read_off(*utc_us) && span_map(r->spans, r->n, &r->truth, utc_us);
}

/* Two instants of which only CLOCK_REALTIME is known. */
struct stretch {
	int64_t id, from_us, to_us;
	bool has_from, has_to;
};

/* The next row by this query (id, from, to); 1, 0: there is none, -errno. */
static int next_stretch(struct db *db, const char *sql, int64_t after, struct stretch *ret)
{
	_cleanup_(row_endp) struct row *row = db_query(db, sql, "i", after);
	int rc = row_next(row);
	if (rc > 0)
		*ret = (struct stretch){row_int(row, 0), row_int(row, 1), row_int(row, 2),
			!row_null(row, 1), !row_null(row, 2)};
	return rc;
}

/* `begun`: what follows when one began at another time (from, id); may be NULL. */
static int repair_stretches(struct db *db, const struct repair *r, const char *select,
	const char *update, const char *begun)
{
	struct stretch s = {0};
	int rc;
	while ((rc = next_stretch(db, select, s.id, &s)) > 0) {
		bool from = s.has_from && map(r, &s.from_us), to = s.has_to && map(r, &s.to_us);
		if (!from && !to)
			continue;
		rc = db_run(db, update, "ppi", s.has_from ? &s.from_us : NULL,
			s.has_to ? &s.to_us : NULL, s.id);
		if (rc >= 0 && from && begun)
			rc = db_run(db, begun, "ii", s.from_us, s.id);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* check-ins */

enum { FROM, TO, ACTIVITY, CHECKIN_TIMES };

struct checkin {
	int64_t id;
	struct instant at[CHECKIN_TIMES];
	bool known[CHECKIN_TIMES], over;
};

static int next_checkin(struct db *db, const struct repair *r, int64_t after, struct checkin *ret)
{
	_cleanup_(row_endp) struct row *row = db_query(db,
		"SELECT id,from_us,from_boot,to_us,to_boot,activity_us,activity_boot FROM checkin "
		"WHERE id>? AND boot_id=? ORDER BY id LIMIT 1",
		"ib", after, r->boot_id, sizeof(r->boot_id));
	int rc = row_next(row);
	if (rc <= 0)
		return rc;
	ret->id = row_int(row, 0);
	for (int i = 0; i < CHECKIN_TIMES; i++) {
		ret->at[i] = (struct instant){row_int(row, 1 + 2 * i), row_int(row, 2 + 2 * i)};
		ret->known[i] = !row_null(row, 1 + 2 * i) && !row_null(row, 2 + 2 * i);
	}
	ret->over = !row_null(row, 1 + 2 * TO);
	return 1;
}

/* The day of a visit is that of its first window, until it is confirmed. */
static int repair_visit(struct gateway *g, struct db *db, int64_t visit)
{
	char day[DAY_TEXT];
	int64_t from_us = db_int(db, 0,
		"SELECT min(coalesce(c.from_us,w.from_us)) FROM visit_window w LEFT JOIN checkin c ON "
		"c.id=w.checkin WHERE w.visit=?",
		"i", visit);
	int64_t resident = db_int(db, 0,
		"SELECT resident FROM visit WHERE id=? AND state IN ('open','closed')", "i", visit);
	if (!resident || !from_us)
		return 0;
	day_text(day, day_of(from_us));
	int rc = db_run(db, "UPDATE visit SET day=?1 WHERE id=?2 AND day<>?1", "ti", day, visit);
	return rc <= 0 ? rc : visit_tell(g, db, visit);
}

static int repair_visits_of(struct gateway *g, struct db *db, int64_t checkin)
{
	int64_t visit = 0;
	int rc = 0;
	while (rc >= 0 &&
		(visit = db_int(db, 0,
			 "SELECT min(visit) FROM visit_window WHERE checkin=? AND visit>?", "ii",
			 checkin, visit)))
		rc = repair_visit(g, db, visit);
	return rc;
}

static int repair_checkins(struct gateway *g, struct db *db, const struct repair *r)
{
	struct checkin c = {0};
	int rc;
	while ((rc = next_checkin(db, r, c.id, &c)) > 0) {
		int64_t us[CHECKIN_TIMES];
		bool any = false;
		for (int i = 0; i < CHECKIN_TIMES; i++) {
			bool wrong = c.known[i] && span_wrong(r->spans, r->n, &r->truth, &c.at[i]);
			us[i] = wrong ? c.at[i].boot_us + r->truth.shift_us : c.at[i].utc_us;
			any |= wrong;
		}
		if (!any)
			continue;
		rc = db_run(db, "UPDATE checkin SET from_us=?, to_us=?, activity_us=? WHERE id=?",
			"ipii", us[FROM], c.over ? &us[TO] : NULL, us[ACTIVITY], c.id);
		if (rc >= 0)
			rc = repair_visits_of(g, db, c.id);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* A visit that was opened by command has a window of its own. */
static int repair_windows(struct gateway *g, struct db *db, const struct repair *r)
{
	int64_t visit = 0;
	int rc = repair_stretches(db, r,
		"SELECT id,from_us,to_us FROM visit_window WHERE id>? AND checkin IS NULL ORDER BY id "
		"LIMIT 1",
		"UPDATE visit_window SET from_us=?, to_us=? WHERE id=?", NULL);
	while (rc >= 0 &&
		(visit = db_int(db, 0,
			 "SELECT min(id) FROM visit WHERE state IN ('open','closed') AND id>? "
			 "AND EXISTS (SELECT 1 FROM visit_window w WHERE w.visit=visit.id AND "
			 "w.checkin IS NULL)",
			 "i", visit)))
		rc = repair_visit(g, db, visit);
	return rc;
}

/* A loan ends the one before it, which it could not while it seemed to be of 1970. */
static int repair_loans(struct db *db, const struct repair *r)
{
	return repair_stretches(db, r,
		"SELECT id,valid_from,valid_to FROM binding WHERE id>? ORDER BY id LIMIT 1",
		"UPDATE binding SET valid_from=?, valid_to=? WHERE id=?",
		"UPDATE binding AS b SET valid_to=?1 FROM binding AS n WHERE n.id=?2 AND b.id<n.id AND "
		"b.device=n.device AND (b.valid_to IS NULL OR b.valid_to>?1) AND b.valid_from<=?1 AND "
		"(b.user_slot IS NULL OR n.user_slot IS NULL OR b.user_slot=n.user_slot)");
}

int repair_rows(struct gateway *g, struct db *db, const struct repair *r)
{
	int rc = repair_loans(db, r);
	if (rc >= 0)
		rc = repair_checkins(g, db, r);
	if (rc >= 0)
		rc = repair_windows(g, db, r);
	return MIN(rc, 0);
}
