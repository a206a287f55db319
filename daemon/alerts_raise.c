/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alerts of what is no reading: of places, devices, the gateway, studies and plans; and what is common to all: they move. */
#include "alerts.h"

#include "alerts_rows.h"
#include "day.h"
#include "escalate.h"
#include "gateway.h"
#include "log.h"

#include <errno.h>

static int insert(struct gateway *g, struct db *db, const struct raising *a)
{
	const struct filing *to = a->to;
	int64_t resident = to ? to->who.resident : 0;
	return db_run(db,
		"INSERT INTO alert(uuid,revision,reading,resident,severity,level,state,condition,labels,"
		"recipient,role,in_contract,body,doubts,raised,rules_version,place,station,device,since,"
		"study,boot_id,raised_boot) VALUES(?,1,?,?,?,?,'active',?,'[]','','',?,?,?,?,?,?,?,?,?,?,?,"
		"?) ON CONFLICT(uuid) DO NOTHING",
		"bbptitittitttppbbi", a->id.bytes, sizeof(a->id.bytes),
		a->reading ? a->reading->bytes : NULL,
		a->reading ? sizeof(a->reading->bytes) : (size_t)0, resident ? &resident : NULL,
		severity_name(a->severity), (int64_t)a->severity, a->condition,
		(int64_t)(to && to->in_contract), a->body, a->doubts, a->raised_us,
		alert_rules_version(g->rules), a->place, a->station, a->device ? &a->device : NULL,
		a->since_us ? &a->since_us : NULL, a->study ? a->study->bytes : NULL,
		a->study ? sizeof(a->study->bytes) : (size_t)0, clock_boot_id(), (size_t)16,
		a->raised_boot_us);
}

int alerts_raise(struct gateway *g, struct db *db, const struct raising *a)
{
	char text[33];
	int rc = insert(g, db, a);
	if (rc <= 0)
		return rc;
	rc = escalate_begin(g, db, &a->id, 0);
	if (rc >= 0)
		rc = alert_row_tell(g, db, &a->id, NULL, NULL);
	if (rc < 0)
		return rc;
	log_note("alert", "%.8s %s: %s", hex(text, a->id.bytes, sizeof(a->id.bytes)),
		severity_name(a->severity), a->condition);
	return 1;
}

static int told_anew(struct gateway *g, struct db *db, const struct uuid *id, bool in_contract)
{
	int rc = db_run(db, "UPDATE alert SET in_contract=? WHERE uuid=?", "ib",
		(int64_t)in_contract, id->bytes, sizeof(id->bytes));
	return rc < 0 ? rc : escalate_begin(g, db, id, 0);
}

int alerts_stand(
	struct gateway *g, struct db *db, const struct uuid *id, const struct alert_standing *s)
{
	struct alert_row row;
	int rc = alert_row_load(db, id, &row);
	if (rc <= 0 || row.episode.state == ALERT_INACTIVE)
		return MIN(rc, 0);
	struct episode now = row.episode;
	/* what the gateway finds by itself is nobody else's */
	const struct episode_reading as = {
		.fires = s->level, .holds = s->level, .at_us = s->at_us, .speaks = true};
	const struct episode_limits limits = {.least = alert_times(g->rules)->least};
	struct episode_change c = episode_take(&now, NULL, &as, &limits, &row.episode);
	if (c.verdict != EPISODE_CHANGES)
		return c.verdict == EPISODE_REPLACES;
	row.episode.labels &=
		~(unsigned)(LABEL_UNCONFIRMED | LABEL_CONFIRMED); /* of measurements */
	rc = db_run(db, "UPDATE alert SET body=? WHERE uuid=?", "tb", s->body, id->bytes,
		sizeof(id->bytes));
	if (rc >= 0)
		rc = alert_row_write(db, &row,
			&(struct alert_turn){
				.anew = c.pages, .day = c.pages ? day_of(s->at_us) : 0});
	if (rc >= 0)
		rc = c.pages ? told_anew(g, db, id, s->in_contract)
			     : escalate_follow(g, db, id, now.state, row.episode.state);
	return rc < 0 ? rc : alerts_revise(g, db, id, c.phase, NULL, NULL);
}

typedef struct episode_change episode_end(const struct episode *now, struct episode *ret);

static int end(
	struct gateway *g, struct db *db, struct alert_row *row, episode_end *by, int64_t at_us)
{
	struct episode now = row->episode;
	enum alert_phase phase = by(&now, &row->episode).phase;
	int rc = alert_row_write(db, row, &(struct alert_turn){.ended_us = &at_us});
	if (rc >= 0)
		rc = escalate_follow(g, db, &row->id, now.state, row->episode.state);
	return rc < 0 ? rc : alerts_revise(g, db, &row->id, phase, NULL, NULL);
}

int alerts_over(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us)
{
	struct alert_row row;
	int rc = alert_row_load(db, id, &row);
	if (rc <= 0 || row.episode.state != ALERT_ACTIVE)
		return MIN(rc, 0);
	return end(g, db, &row, episode_over, at_us);
}

int alerts_supersede(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us)
{
	struct alert_row row;
	int rc = alert_row_load(db, id, &row);
	return rc <= 0 ? rc : end(g, db, &row, episode_supersede, at_us);
}

/* Whoever it concerns now has not heard of it. */
int alerts_move(struct gateway *g, struct db *db, const struct uuid *id, const struct filing *f)
{
	struct alert_row row;
	int rc = alert_row_load(db, id, &row);
	if (rc <= 0)
		return rc;
	bool waits = row.episode.state != ALERT_INACTIVE && !row.episode.acknowledged;
	rc = db_run(db, "UPDATE alert SET resident=?, in_contract=? WHERE uuid=?", "pib",
		f->who.resident ? &f->who.resident : NULL, (int64_t)f->in_contract, id->bytes,
		sizeof(id->bytes));
	if (rc >= 0 && waits)
		rc = escalate_begin(g, db, id, 0);
	return rc < 0 ? rc : alerts_revise(g, db, id, PHASE_UPDATE, NULL, NULL);
}

int alerts_retime(struct db *db, const struct uuid *reading)
{
#define WHEN                                                                                \
	"(SELECT CASE WHEN trust IN ('corrected','live') THEN taken ELSE arrived END FROM " \
	"reading r WHERE r.uuid=?1 ORDER BY revision DESC LIMIT 1)"
	/* first, while it still says when that was: the alerts that were first critical by it */
	int rc = db_run(db,
		"UPDATE alert SET critical_at=coalesce(" WHEN
		",critical_at) WHERE uuid IN (SELECT a.uuid FROM alert_reading m CROSS JOIN alert a ON "
		"a.uuid=m.alert WHERE m.reading=?1 AND m.level=3 AND m.at=a.critical_at)",
		"b", reading->bytes, sizeof(reading->bytes));
	return rc < 0 ? rc
		      : error_only(db_run(db,
				"UPDATE alert_reading SET at=coalesce(" WHEN
				",at) WHERE reading=?1",
				"b", reading->bytes, sizeof(reading->bytes)));
#undef WHEN
}

/* The next one that is open, in the order of their raising. */
static int next_open(struct db *db, int64_t resident, int64_t *row, struct uuid *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,uuid FROM alert WHERE resident=? AND state IN ('active','latched') AND id>? "
		"ORDER BY id LIMIT 1",
		"ii", resident, *row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	*row = row_int(r, 0);
	return row_uuid(r, 1, ret) ? 1 : -ODD_ROW;
}

int alerts_merge(struct gateway *g, struct db *db, int64_t from, int64_t into)
{
	int64_t row = 0;
	struct uuid id;
	int rc;
	while ((rc = next_open(db, from, &row, &id)) > 0) {
		rc = db_run(db, "UPDATE alert SET resident=? WHERE uuid=?", "ib", into, id.bytes,
			sizeof(id.bytes));
		if (rc >= 0)
			rc = alerts_revise(g, db, &id, PHASE_UPDATE, NULL, NULL);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc
		      : error_only(db_run(db, "UPDATE alert SET resident=? WHERE resident=?", "ii",
				into, from));
}
