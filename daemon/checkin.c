/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "checkin.h"

#include "gateway.h"
#include "reassess.h"
#include "visit.h"

#include <errno.h>

/* A row of the table. */
struct checkin {
	int64_t id, resident; /* resident 0: it was undone */
	char station[32], purpose[12], ended[12];
	struct station_window window; /* of an open one as far as anybody knows now */
	bool open;
	int64_t activity_us, activity_boot_us, after, last_reading;
};

#define COLUMNS                                                                             \
	"SELECT id,resident,station,purpose,ended,from_us,to_us,from_boot,to_boot,boot_id," \
	"activity_us,activity_boot,after,last_reading FROM checkin "

static int take(struct gateway *g, struct row *r, struct checkin *ret)
{
	int64_t idle_us = g->numbers->identity_idle_s * CLOCK_SECOND_US;
	struct uuid boot;
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	if (!row_uuid(r, 9, &boot))
		return -ODD_ROW;
	*ret = (struct checkin){.id = row_int(r, 0),
		.resident = row_int(r, 1),
		.open = row_null(r, 6),
		.activity_us = row_int(r, 10),
		.activity_boot_us = row_int(r, 11),
		.after = row_int(r, 12),
		.last_reading = row_int(r, 13)};
	text_set(ret->station, sizeof(ret->station), row_text(r, 2));
	text_set(ret->purpose, sizeof(ret->purpose), row_text(r, 3));
	text_set(ret->ended, sizeof(ret->ended), row_text(r, 4));
	ret->window = (struct station_window){.from_us = row_int(r, 5),
		.to_us = ret->open ? ret->activity_us + idle_us : row_int(r, 6),
		.from_boot_us = row_int(r, 7),
		.to_boot_us = ret->open ? ret->activity_boot_us + idle_us : row_int(r, 8)};
	memcpy(ret->window.boot_id, boot.bytes, sizeof(boot.bytes));
	return 0;
}

static int by_id(struct gateway *g, struct db *db, int64_t id, struct checkin *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db, COLUMNS "WHERE id=?", "i", id);
	return take(g, r, ret);
}

/* The one that lasts, once those are over that were idle. -ENOENT: none does. */
static int open_one(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, struct checkin *ret)
{
	int rc = station_settle(g, db, station, now);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		COLUMNS "INDEXED BY checkin_ended WHERE station=? AND to_us IS NULL", "t", station);
	return take(g, r, ret);
}

/* Of this boot, that is sure; of another one, by the time of day. */
static int latest_ended(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, struct checkin *ret)
{
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			COLUMNS
			"INDEXED BY checkin_boot WHERE station=? AND boot_id=? AND to_boot IS "
			"NOT NULL ORDER BY to_boot DESC,id DESC LIMIT 1",
			"tb", station, now->boot_id, (size_t)16);
		int rc = take(g, r, ret);
		if (rc != -ENOENT)
			return rc;
	}
	_cleanup_(row_endp) struct row *r = db_query(db,
		COLUMNS "INDEXED BY checkin_ended WHERE station=? AND to_us IS NOT NULL ORDER BY "
			"to_us DESC,id DESC LIMIT 1",
		"t", station);
	return take(g, r, ret);
}

static int latest(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, struct checkin *ret)
{
	int rc = open_one(g, db, station, now, ret);
	return rc == -ENOENT ? latest_ended(g, db, station, now, ret) : rc;
}

static bool of_boot(const struct checkin *c, const struct station_instant *now)
{
	return memcmp(c->window.boot_id, now->boot_id, sizeof(c->window.boot_id)) == 0;
}

static int finish(struct gateway *g, struct db *db, const struct checkin *c,
	const struct station_instant *now, const char *how)
{
	/* the clock of this boot says nothing about one that began in another */
	int64_t to_boot_us = of_boot(c, now)
				     ? now->boot_us
				     : c->window.from_boot_us + now->utc_us - c->window.from_us;
	int rc = db_run(db, "UPDATE checkin SET to_us=?, to_boot=?, ended=? WHERE id=?", "iiti",
		now->utc_us, to_boot_us, how, c->id);
	return rc < 0 ? rc : visit_checkin_ended(g, db, c->id);
}

/* the health hut: first measured, then identified */

#define SESSION_MAX 256

/* One that waits for somebody to say whose it is. */
struct waiting {
	int64_t ago_us, began_us; /* how long ago it arrived, and its measuring began */
};

static int by_arrival(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;
	return (x->ago_us > y->ago_us) - (x->ago_us < y->ago_us);
}

static int64_t ago(const struct station_instant *at, const struct station_instant *now)
{
	return memcmp(at->boot_id, now->boot_id, 16) == 0 ? now->boot_us - at->boot_us
							  : now->utc_us - at->utc_us;
}

/* Those of the station that nobody claims and that are surely dated, back to where the session can have begun. */
static int session(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, struct waiting out[SESSION_MAX])
{
	const struct numbers *n = g->numbers;
	int64_t reach_us = n->identity_hut_minutes * 60 * CLOCK_SECOND_US;
	int found = 0, rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT kind,taken,uncertainty_us,trust,live,arrived,boot_id,boot_us,evidence,station,"
		"revision FROM reading INDEXED BY reading_unassigned WHERE resident IS NULL AND "
		"superseded=0 AND evidence<>'place' ORDER BY id DESC",
		"");
	while (found < SESSION_MAX && (rc = row_next(r)) > 0) {
		struct uuid boot = {0};
		row_uuid(r, 6, &boot);
		struct station_reading w = {.kind = row_text(r, 0),
			.when = {row_int(r, 1), row_int(r, 2), trust_named(row_text(r, 3))},
			.live = row_int(r, 4),
			.arrived = {row_int(r, 5), row_int(r, 7), boot.bytes}};
		int64_t ago_us = ago(&w.arrived, now);
		/* a later revision may be of an older reading, and says nothing about those before it */
		if (ago_us > reach_us && row_int(r, 10) == 1)
			break;
		if (w.when.trust > TRUST_LIVE || row_null(r, 9) ||
			!streq(row_text(r, 9), station) || !streq(row_text(r, 8), "not_bound") ||
			ago_us < 0)
			continue;
		struct station_interval measured = station_interval(n, &w);
		/* out of a memory: who sits there now need not be the one */
		if (w.arrived.utc_us - measured.to_us > n->identity_idle_s * CLOCK_SECOND_US)
			continue;
		out[found++] =
			(struct waiting){ago_us, ago_us + w.arrived.utc_us - measured.from_us};
		reach_us = MAX(reach_us, ago_us + n->identity_idle_s * CLOCK_SECOND_US);
	}
	qsort(out, (size_t)found, sizeof(out[0]), by_arrival);
	return rc < 0 ? rc : found;
}

/* Where the measuring of the present session began, and not before the end of the window before (now, when somebody was
 * still there): `ret` from there on, 1; or as it is, 0. */
static int set_back(struct gateway *g, struct db *db, const struct checkin_asked *a,
	struct station_instant *ret)
{
	const struct numbers *n = g->numbers;
	int64_t idle_us = n->identity_idle_s * CLOCK_SECOND_US, back_us = 0;
	_cleanup_(freep) struct waiting *w = calloc(SESSION_MAX, sizeof(*w));
	struct checkin before;
	if (!w)
		return -ENOMEM;
	int count = session(g, db, a->station, &a->now, w);
	if (count <= 0 || w[0].ago_us > n->identity_hut_minutes * 60 * CLOCK_SECOND_US)
		return MIN(count, 0);
	for (int i = 0; i < count && (!i || w[i].ago_us - w[i - 1].ago_us <= idle_us); i++)
		back_us = MAX(back_us, w[i].began_us);
	int rc = latest_ended(g, db, a->station, &a->now, &before);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && of_boot(&before, &a->now))
		back_us = MIN(back_us, a->now.boot_us - before.window.to_boot_us);
	else if (rc == 0)
		back_us = MIN(back_us, a->now.utc_us - before.window.to_us);
	back_us = MAX(back_us, INT64_C(0));
	ret->utc_us -= back_us;
	ret->boot_us -= back_us;
	return back_us > 0;
}

/* reading.id of what had come before; the first revisions came in the order of their rows. */
static int64_t newest_before(struct db *db, const struct station_instant *at)
{
	int64_t id = 0;
	_cleanup_(row_endp) struct row *r = db_query(
		db, "SELECT id,arrived,boot_id,boot_us,revision FROM reading ORDER BY id DESC", "");
	while (row_next(r) > 0) {
		struct uuid boot = {0};
		row_uuid(r, 2, &boot);
		struct station_instant came = {row_int(r, 1), row_int(r, 3), boot.bytes};
		id = row_int(r, 0);
		if (row_int(r, 4) == 1 && ago(&came, at) > 0)
			break;
		id--;
	}
	return id;
}

/* what people do */

static int redecide(struct gateway *g, struct db *db, int64_t id)
{
	struct checkin c;
	int rc = by_id(g, db, id, &c);
	if (rc >= 0)
		rc = reassess_window(g, db, c.station, &c.window, c.last_reading, c.id);
	return rc < 0 || !c.open ? rc : station_complete(g, db, id);
}

static int goes_on(struct gateway *g, struct db *db, const struct checkin *c,
	const struct checkin_asked *a, struct json *j)
{
	struct station_instant activity = {c->activity_us, c->activity_boot_us, c->window.boot_id};
	const char *purpose = a->purpose ? a->purpose : c->purpose;
	station_active(&activity, &a->now);
	int rc = db_run(db,
		"UPDATE checkin SET purpose=?, activity_us=?, activity_boot=? WHERE id=?", "tiii",
		purpose, activity.utc_us, activity.boot_us, c->id);
	return rc < 0 ? rc : visit_checkin(g, db, c->id, a->way, j);
}

static int insert(struct db *db, const struct checkin *c, const struct checkin_asked *a,
	const char *source, int64_t *ret_id)
{
	struct uuid id = uuid_random();
	const struct station_window *w = &c->window;
	int rc = db_run(db,
		"INSERT INTO checkin(uuid,station,resident,purpose,source,author,from_us,to_us,"
		"activity_us,boot_id,from_boot,to_boot,activity_boot,ended,after,last_reading) "
		"VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"btitttipibipitii", id.bytes, sizeof(id.bytes), c->station, a->resident, c->purpose,
		source, a->author, w->from_us, c->open ? NULL : &w->to_us, c->activity_us,
		w->boot_id, sizeof(w->boot_id), w->from_boot_us, c->open ? NULL : &w->to_boot_us,
		c->activity_boot_us, c->ended[0] ? c->ended : NULL, c->after, c->last_reading);
	*ret_id = db_last_id(db);
	return MIN(rc, 0);
}

int checkin_begin(struct gateway *g, struct db *db, const struct checkin_asked *a, struct json *j,
	int64_t *ret_id)
{
	struct checkin c;
	struct station_instant from = a->now;
	int rc = open_one(g, db, a->station, &a->now, &c);
	bool was_open = rc == 0;
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (was_open && c.resident == a->resident) {
		*ret_id = c.id;
		return goes_on(g, db, &c, a, j);
	}
	rc = was_open ? finish(g, db, &c, &a->now, "next") : 0;
	const char *purpose = a->purpose ? a->purpose : a->fallback;
	int back = 0;
	if (rc >= 0 && streq(purpose, CHECKIN_HUT))
		rc = back = set_back(g, db, a, &from);
	if (rc < 0)
		return rc;
	int64_t newest = db_int(db, 0, "SELECT max(id) FROM reading", "");
	struct checkin fresh = {.open = true,
		.window = {.from_us = from.utc_us, .from_boot_us = from.boot_us},
		.activity_us = a->now.utc_us,
		.activity_boot_us = a->now.boot_us,
		.after = back > 0 ? newest : 0,
		.last_reading = back > 0 ? newest_before(db, &from) : newest};
	memcpy(fresh.window.boot_id, a->now.boot_id, sizeof(fresh.window.boot_id));
	text_set(fresh.station, sizeof(fresh.station), a->station);
	text_set(fresh.purpose, sizeof(fresh.purpose), purpose);
	rc = insert(db, &fresh, a, a->source, ret_id);
	if (rc >= 0)
		rc = visit_checkin(g, db, *ret_id, a->way, j);
	return rc < 0 || back <= 0 ? rc : redecide(g, db, *ret_id);
}

int checkin_end(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, int64_t *ret_id)
{
	struct checkin c;
	int rc = open_one(g, db, station, now, &c);
	if (rc < 0 || !c.resident)
		return rc < 0 ? rc : -ENOENT;
	*ret_id = c.id;
	return finish(g, db, &c, now, "checkout");
}

/* The station's latest, when it may still be corrected. */
static int correctable(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, int64_t resident, struct checkin *ret)
{
	int64_t limit_us = g->numbers->identity_undo_minutes * 60 * CLOCK_SECOND_US;
	int rc = latest(g, db, station, now, ret);
	if (rc < 0)
		return rc;
	struct station_instant from = {
		ret->window.from_us, ret->window.from_boot_us, ret->window.boot_id};
	int64_t us = ago(&from, now);
	if (us > limit_us || us < 0)
		return -ETIME;
	return ret->resident == resident ? -EALREADY : 0;
}

int checkin_undo(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, int64_t *ret_id)
{
	struct checkin c;
	int rc = correctable(g, db, station, now, 0, &c);
	if (rc < 0)
		return rc;
	*ret_id = c.id;
	rc = db_run(db, "UPDATE checkin SET resident=NULL WHERE id=?", "i", c.id);
	if (rc >= 0)
		rc = visit_checkin_lost(g, db, c.id);
	return rc < 0 ? rc : redecide(g, db, c.id);
}

/* All of its window is this resident's. */
static int hand_over(struct gateway *g, struct db *db, const struct checkin *c,
	const struct checkin_asked *a, struct json *j)
{
	int rc = db_run(db,
		"UPDATE checkin SET resident=?, purpose=?, source=?, author=? WHERE id=?", "ittti",
		a->resident, a->purpose ? a->purpose : c->purpose, a->source, a->author, c->id);
	if (rc >= 0)
		rc = visit_checkin_lost(g, db, c->id);
	if (rc >= 0)
		rc = visit_checkin(g, db, c->id, a->way, j);
	if (rc >= 0 && !c->open)
		rc = visit_checkin_ended(g, db, c->id);
	return rc < 0 ? rc : redecide(g, db, c->id);
}

int checkin_instead(struct gateway *g, struct db *db, const struct checkin_asked *a, struct json *j,
	int64_t *ret_id)
{
	struct checkin c;
	int rc = correctable(g, db, a->station, &a->now, a->resident, &c);
	if (rc < 0)
		return rc;
	*ret_id = c.id;
	return hand_over(g, db, &c, a, j);
}

/* Which check-in claims it, and when its measuring began: told first, whatever was corrected since. */
static int claimed(struct gateway *g, struct db *db, const struct uuid *id, int64_t *ret_checkin,
	struct uuid *ret_boot, struct station_interval *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT r.checkin,r.kind,r.taken,r.uncertainty_us,r.trust,r.live,CASE WHEN "
		"r.boot_id=f.boot_id THEN r.arrived-r.boot_us+f.boot_us ELSE f.arrived END,f.boot_id,"
		"f.boot_us FROM reading r JOIN reading f ON f.uuid=r.uuid AND f.revision=1 WHERE "
		"r.uuid=?1 AND r.superseded=0 UNION ALL SELECT checkin,'ecg',taken,uncertainty_us,"
		"trust,0,arrived,boot_id,boot_us FROM study WHERE uuid=?1",
		"b", id->bytes, sizeof(id->bytes));
	int rc = row_next(r);
	if (rc <= 0 || row_null(r, 0) || !row_uuid(r, 7, ret_boot))
		return rc < 0 ? rc : -ENOENT;
	*ret_checkin = row_int(r, 0);
	*ret = station_interval(g->numbers,
		&(struct station_reading){.kind = row_text(r, 1),
			.when = {row_int(r, 2), row_int(r, 3), trust_named(row_text(r, 4))},
			.live = row_int(r, 5),
			.arrived = {row_int(r, 6), row_int(r, 8), ret_boot->bytes}});
	return ret->known ? 0 : -ENOENT;
}

/* The rest of it, from `from` on. */
static int cut(struct gateway *g, struct db *db, const struct checkin *c,
	const struct checkin_asked *a, const struct station_window *from, struct json *j,
	int64_t *ret_id)
{
	struct checkin rest = *c;
	rest.window = *from;
	int rc = insert(db, &rest, a, a->source, ret_id);
	if (rc >= 0)
		rc = db_run(db, "UPDATE checkin SET to_us=?, to_boot=?, ended='split' WHERE id=?",
			"iii", from->from_us, from->from_boot_us, c->id);
	if (rc >= 0)
		rc = visit_checkin_ended(g, db, c->id);
	if (rc >= 0)
		rc = visit_checkin(g, db, *ret_id, a->way, j);
	if (rc >= 0 && !c->open)
		rc = visit_checkin_ended(g, db, *ret_id);
	/* what the first half lost, and what the second has */
	if (rc >= 0)
		rc = reassess_window(g, db, c->station, &c->window, c->last_reading, c->id);
	return rc < 0 || !c->open ? rc : station_complete(g, db, *ret_id);
}

int checkin_split(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct checkin_asked *a, struct json *j, int64_t *ret_id)
{
	int64_t of;
	struct uuid boot;
	struct station_interval i;
	struct checkin c;
	int rc = claimed(g, db, reading, &of, &boot, &i);
	if (rc >= 0)
		rc = by_id(g, db, of, &c);
	if (rc >= 0)
		rc = station_settle(g, db, c.station, &a->now);
	if (rc >= 0)
		rc = by_id(g, db, of, &c); /* perhaps it is over now */
	if (rc < 0)
		return rc;
	if (c.resident == a->resident)
		return -EALREADY;
	struct station_window from = c.window;
	int64_t into_us = memcmp(boot.bytes, from.boot_id, sizeof(boot.bytes)) == 0
				  ? i.from_boot_us - from.from_boot_us
				  : i.from_us - from.from_us;
	*ret_id = c.id;
	if (into_us <= 0) /* nothing of it was before */
		return hand_over(g, db, &c, a, j);
	from.from_us += into_us;
	from.from_boot_us += into_us;
	return cut(g, db, &c, a, &from, j, ret_id);
}
