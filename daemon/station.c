/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "station.h"

#include "gateway.h"
#include "util.h"
#include "visit.h"
#include "whose.h"

#include <errno.h>

struct station_instant station_now(void)
{
	return (struct station_instant){clock_utc_us(), clock_boot_us(), clock_boot_id()};
}

/* when */

/* How long the measuring took at least: it began before it was told. */
static int64_t measuring_us(const struct numbers *n, const char *kind)
{
	const struct {
		const char *kind;
		int64_t seconds;
	} known[] = {{"bp", n->measure_bp}, {"spo2", n->measure_spo2},
		{"weight", n->measure_weight}, {"temperature", n->measure_temperature},
		{"glucose", n->measure_glucose}};
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (streq(kind, known[i].kind))
			return known[i].seconds * CLOCK_SECOND_US;
	return n->measure_other * CLOCK_SECOND_US;
}

struct station_interval station_interval(const struct numbers *n, const struct station_reading *r)
{
	int64_t took_us = measuring_us(n, r->kind), arrived_us = r->arrived.utc_us;
	struct station_interval i = {.known = true, .to_us = arrived_us};
	switch (r->when.trust) {
	case TRUST_CORRECTED:
		i.from_us = r->when.taken_us - r->when.uncertainty_us - took_us;
		i.to_us = MIN(arrived_us, r->when.taken_us + r->when.uncertainty_us);
		break;
	case TRUST_DEVICE:
		i.from_us = MIN(r->when.taken_us, arrived_us) -
			    n->identity_uncompared_s * CLOCK_SECOND_US;
		break;
	case TRUST_UNKNOWN:
		i.of_boot = true;
		i.known = r->live;
		i.from_us = arrived_us - took_us;
		break;
	case TRUST_LIVE:
		i.from_us = arrived_us - took_us;
		break;
	case TRUST_ARRIVAL:
		i.known = false;
		break;
	}
	i.from_boot_us = i.from_us - arrived_us + r->arrived.boot_us;
	i.to_boot_us = i.to_us - arrived_us + r->arrived.boot_us;
	return i;
}

bool station_overlap(const struct station_window *w, const struct station_interval *i,
	const uint8_t boot_id[static 16])
{
	if (!i->known)
		return false;
	if (memcmp(w->boot_id, boot_id, sizeof(w->boot_id)) == 0)
		return w->from_boot_us <= i->to_boot_us && w->to_boot_us > i->from_boot_us;
	return !i->of_boot && w->from_us <= i->to_us && w->to_us > i->from_us;
}

/* who */

/* What the windows that overlap come to. */
struct found {
	struct resident_station *claim;
	unsigned n; /* residents, up to two */
	bool nobody;
	int64_t latest_us; /* where the window of `claim->checkin` begins */
};

static void find(struct db *db, struct found *f, struct row *w, int64_t reading, int64_t named)
{
	struct resident_station *c = f->claim;
	if (row_null(w, 1)) {
		f->nobody = true;
		return;
	}
	int64_t resident = whose_record(db, row_int(w, 1));
	c->has_patient_resident |= resident == named;
	if (f->n && resident != c->residents[0]) {
		c->residents[1] = f->n == 1 ? resident : c->residents[1];
		f->n = 2;
		return;
	}
	if (f->n && row_int(w, 2) < f->latest_us)
		return;
	f->n = f->n ? f->n : 1;
	f->latest_us = row_int(w, 2);
	c->residents[0] = resident;
	c->checkin = row_int(w, 0);
	c->after = reading && reading <= row_int(w, 3);
}

/* The windows of a station do not overlap each other: in the order of their ends, those that ended before the interval
 * begins need not be looked at. */
static struct row *windows(struct db *db, const char *station, const uint8_t *boot_id,
	const struct station_interval *i, int64_t idle_us)
{
	return db_query(db,
		"SELECT id,resident,from_us,after FROM checkin INDEXED BY checkin_boot WHERE "
		"station=?1 AND boot_id=?2 AND to_boot>?3 AND from_boot<=?4 "
		"UNION ALL SELECT id,resident,from_us,after FROM checkin INDEXED BY checkin_ended "
		"WHERE station=?1 AND to_us IS NULL AND CASE WHEN boot_id=?2 THEN "
		"activity_boot+?7>?3 AND from_boot<=?4 ELSE activity_us>?5-?7 AND from_us<=?6 END "
		"UNION ALL SELECT id,resident,from_us,after FROM checkin INDEXED BY checkin_ended "
		"WHERE station=?1 AND to_us>?5 AND from_us<=?6 AND boot_id<>?2",
		"tbiiiii", station, boot_id, (size_t)16, i->from_boot_us, i->to_boot_us,
		i->of_boot ? INT64_MAX : i->from_us, i->to_us, idle_us);
}

int station_claim(struct gateway *g, struct db *db, const char *station,
	const struct station_reading *r, int64_t named, struct resident_station *ret)
{
	const struct numbers *n = g->numbers;
	struct station_interval i = station_interval(n, r);
	struct found f = {.claim = ret};
	*ret = (struct resident_station){.state = STATION_NO_TIME};
	if (!i.known)
		return 0;
	int rc;
	_cleanup_(row_endp) struct row *w =
		windows(db, station, r->arrived.boot_id, &i, n->identity_idle_s * CLOCK_SECOND_US);
	while ((rc = row_next(w)) > 0) {
		find(db, &f, w, r->row, named);
		if (f.n + f.nobody > 1 && (!named || ret->has_patient_resident))
			break; /* no other window changes that */
	}
	ret->state = f.n + f.nobody > 1 ? STATION_BETWEEN
		     : f.n		? STATION_ONE
		     : f.nobody		? STATION_UNDONE
					: STATION_NOBODY;
	return error_only(rc);
}

/* on and over */

/* One that nobody ended. */
struct lasting {
	int64_t id;
	struct station_instant activity;
	struct uuid boot; /* of it */
};

/* Without the check-in of this `id`, the station's. 1, 0: there is none. */
static int lasting(struct db *db, int64_t id, const char *station, struct lasting *ret)
{
	_cleanup_(row_endp) struct row *r =
		id ? db_query(db,
			     "SELECT id,activity_us,activity_boot,boot_id FROM checkin WHERE id=? "
			     "AND to_us IS NULL",
			     "i", id)
		   : db_query(db,
			     "SELECT id,activity_us,activity_boot,boot_id FROM checkin INDEXED BY "
			     "checkin_ended WHERE station=? AND to_us IS NULL",
			     "t", station);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	*ret = (struct lasting){
		.id = row_int(r, 0), .activity = {row_int(r, 1), row_int(r, 2), ret->boot.bytes}};
	return row_uuid(r, 3, &ret->boot) ? 1 : -ODD_ROW;
}

/* After a reboot only the time of day can say how long ago that was, and a clock that stands before it says nothing. */
static bool idle(const struct lasting *c, const struct station_instant *now, int64_t idle_us)
{
	bool same = memcmp(c->boot.bytes, now->boot_id, sizeof(c->boot.bytes)) == 0;
	int64_t us = same ? now->boot_us - c->activity.boot_us : now->utc_us - c->activity.utc_us;
	return us >= idle_us || (us < 0 && !same);
}

static int settle(struct gateway *g, struct db *db, const struct lasting *c,
	const struct station_instant *now)
{
	int64_t idle_us = g->numbers->identity_idle_s * CLOCK_SECOND_US;
	if (!idle(c, now, idle_us))
		return 0;
	int rc = db_run(db,
		"UPDATE checkin SET to_us=activity_us+?1, to_boot=activity_boot+?1, ended='idle' "
		"WHERE id=?2",
		"ii", idle_us, c->id);
	return rc < 0 ? rc : visit_checkin_ended(g, db, c->id);
}

int station_settle(
	struct gateway *g, struct db *db, const char *station, const struct station_instant *now)
{
	struct lasting c;
	int rc = lasting(db, 0, station, &c);
	return rc <= 0 ? rc : settle(g, db, &c, now);
}

bool station_active(struct station_instant *last, const struct station_instant *now)
{
	bool same = memcmp(last->boot_id, now->boot_id, 16) == 0;
	int64_t us = same ? now->boot_us - last->boot_us : now->utc_us - last->utc_us;
	/* the clock of a machine without battery goes on where it was switched off, however long ago */
	if (us <= 0 || (!same && clock_synced() <= 0))
		return false;
	last->utc_us = now->utc_us;
	last->boot_us += us;
	return true;
}

int station_claimed(
	struct gateway *g, struct db *db, int64_t checkin, const struct station_instant *arrived)
{
	struct lasting c;
	int rc = lasting(db, checkin, NULL, &c);
	if (rc <= 0)
		return rc;
	if (idle(&c, arrived, g->numbers->identity_idle_s * CLOCK_SECOND_US))
		return settle(g, db, &c, arrived);
	if (station_active(&c.activity, arrived))
		rc = db_run(db, "UPDATE checkin SET activity_us=?, activity_boot=? WHERE id=?",
			"iii", c.activity.utc_us, c.activity.boot_us, c.id);
	return rc < 0 ? rc : station_complete(g, db, checkin);
}

/* complete */

/* Whether one of its readings, or a study, is of this kind. */
static int measured(struct db *db, int64_t checkin, const char *kind)
{
	return (int)db_int(db, 0,
		"SELECT 1 FROM reading WHERE checkin=?1 AND superseded=0 AND "
		"status<>'entered-in-error' AND kind=?2 UNION ALL SELECT 1 FROM study WHERE checkin=?1 "
		"AND ?2='ecg' LIMIT 1",
		"it", checkin, kind);
}

/* It has them all, of those that the station wants; wanting none it is never complete. */
static bool complete(struct db *db, int64_t checkin, const char *wanted)
{
	char kind[24];
	unsigned n = 0;
	for (const char *p = wanted + strspn(wanted, " "); *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");
		text_copy(kind, sizeof(kind), p, len);
		if (!measured(db, checkin, kind))
			return false;
		p += len;
		n++;
	}
	return n;
}

int station_complete(struct gateway *g, struct db *db, int64_t checkin)
{
	char station[32] = "";
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT station FROM checkin WHERE id=? AND to_us IS NULL", "i", checkin);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		text_copy(station, sizeof(station), row_text(r, 0), strlen(row_text(r, 0)));
	}
	const struct config_station *s = config_station_named(g->config, station);
	if (!s || !complete(db, checkin, s->complete))
		return 0;
	/* by CLOCK_BOOTTIME of another boot there is no such instant: then it is as far behind the activity as by UTC */
	int rc = db_run(db,
		"UPDATE checkin SET ended='complete', to_us=r.arrived, to_boot=CASE WHEN "
		"r.boot_id=checkin.boot_id THEN r.boot_us ELSE activity_boot+r.arrived-activity_us "
		"END FROM (SELECT arrived,boot_id,boot_us FROM reading WHERE checkin=?1 AND "
		"superseded=0 UNION ALL SELECT arrived,boot_id,boot_us FROM study WHERE checkin=?1 "
		"ORDER BY boot_us DESC LIMIT 1) r WHERE id=?1",
		"i", checkin);
	return rc < 0 ? rc : visit_checkin_ended(g, db, checkin);
}
