/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What becomes of alerts when a reading that fired in them, or ended them, is none of theirs. */
#include "alerts.h"

#include "alerts_judging.h"
#include "escalate.h"
#include "gateway.h"

#include <errno.h>

#define ALERTS_MAX 64 /* that one reading is in: one of each condition and resident */

static const unsigned reasons[] = {
	[LEFT_VOIDED] = LABEL_VOIDED,
	[LEFT_ARTEFACT] = LABEL_ARTEFACT,
	[LEFT_CONTROL] = LABEL_CONTROL_SOLUTION,
	[LEFT_WRONG_PERSON] = LABEL_WRONG_PERSON,
	[LEFT_CORRECTED] = LABEL_CORRECTED,
};

struct list {
	size_t n;
	struct uuid at[ALERTS_MAX];
};

static int collect(struct row *r, struct list *l)
{
	int rc = 0;
	while (l->n < ALERTS_MAX && (rc = row_next(r)) > 0)
		l->n += row_uuid(r, 0, &l->at[l->n]);
	return MIN(rc, 0);
}

/* In the order of their raising. `of`: 1, only the resident's (0: nobody's) it was; -1, all but the resident's it is now; 0,
 * all. */
static int alerts_with(
	struct db *db, const struct uuid *reading, int of, int64_t resident, struct list *l)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT a.uuid FROM alert_reading r CROSS JOIN alert a ON a.uuid=r.alert WHERE r.reading=?1 "
		"AND (?2=0 OR (coalesce(a.resident,0)=?3)=(?2=1)) ORDER BY a.id",
		"bii", reading->bytes, sizeof(reading->bytes), (int64_t)of, resident);
	return collect(r, l);
}

static int ended_by(
	struct db *db, const struct uuid *reading, int of, int64_t resident, struct list *l)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT uuid FROM alert WHERE ended_by=?1 AND state='latched' AND (?2=0 OR "
		"(coalesce(resident,0)=?3)=(?2=1)) ORDER BY id",
		"bii", reading->bytes, sizeof(reading->bytes), (int64_t)of, resident);
	return collect(r, l);
}

static int write_row(struct gateway *g, struct db *db, const struct alert_row *row,
	enum alert_state was, enum alert_phase phase, const struct alerts_ack *ack)
{
	int64_t now_us = clock_utc_us();
	enum alert_state is = row->episode.state;
	bool over = is != ALERT_ACTIVE && is != was;
	int rc = alert_row_write(db, row, &(struct alert_turn){.ended_us = over ? &now_us : NULL});
	if (rc >= 0)
		rc = escalate_follow(g, db, &row->id, was, is);
	return rc < 0 ? rc
		      : alerts_revise(g, db, &row->id, phase, ack ? ack->author : NULL,
				ack ? ack->outcome : NULL);
}

static bool is_acked(const struct alerts_ack *ack, const struct uuid *alert)
{
	return ack && memcmp(ack->alert.bytes, alert->bytes, sizeof(alert->bytes)) == 0;
}

/* What is over and closed stays as it is, but for who says so now. */
static int leave_one(struct gateway *g, struct db *db, const struct uuid *alert,
	const struct uuid *reading, enum alerts_left why, const struct alerts_ack *ack)
{
	struct alert_row row;
	enum severity left;
	int rc = alert_row_load(db, alert, &row);
	if (rc <= 0)
		return rc;
	bool acked = is_acked(ack, alert);
	rc = alert_row_leave(db, &row, reading, &left);
	if (rc < 0 || (row.episode.state == ALERT_INACTIVE && !acked))
		return rc;
	struct episode now = row.episode;
	struct episode_change c =
		episode_leave(&now, left, reasons[why], alert_times(g->rules)->least, &row.episode);
	return write_row(g, db, &row, now.state, c.phase, acked ? ack : NULL);
}

static int resume_one(struct gateway *g, struct db *db, const struct uuid *alert)
{
	struct alert_row row;
	int rc = alert_row_load(db, alert, &row);
	if (rc <= 0 || row.episode.state != ALERT_LATCHED)
		return MIN(rc, 0);
	struct episode now = row.episode;
	struct episode_change c = episode_resume(&now, &row.episode);
	return write_row(g, db, &row, now.state, c.phase, NULL);
}

static int resume(
	struct gateway *g, struct db *db, const struct uuid *reading, int of, int64_t resident)
{
	struct list l = {0};
	int rc = ended_by(db, reading, of, resident, &l);
	for (size_t i = 0; i < l.n && rc >= 0; i++)
		rc = resume_one(g, db, &l.at[i]);
	return rc;
}

static int leave(struct gateway *g, struct db *db, const struct uuid *reading, int of,
	int64_t resident, enum alerts_left why, const struct alerts_ack *ack)
{
	struct list l = {0};
	int rc = alerts_with(db, reading, of, resident, &l);
	for (size_t i = 0; i < l.n && rc >= 0; i++)
		rc = leave_one(g, db, &l.at[i], reading, why, ack);
	return rc < 0 || why == LEFT_CORRECTED ? rc : resume(g, db, reading, of, resident);
}

int alerts_leave(struct gateway *g, struct db *db, const struct uuid *reading, enum alerts_left why,
	const struct alerts_ack *ack)
{
	return leave(g, db, reading, 0, 0, why, ack);
}

int alerts_leave_others(
	struct gateway *g, struct db *db, const struct uuid *reading, int64_t former)
{
	int64_t now = db_int(db, 0,
		"SELECT coalesce(resident,0) FROM reading WHERE uuid=? AND superseded=0", "b",
		reading->bytes, sizeof(reading->bytes));
	return former < 0 ? leave(g, db, reading, -1, now, LEFT_WRONG_PERSON, NULL)
			  : leave(g, db, reading, 1, former, LEFT_WRONG_PERSON, NULL);
}

int alerts_doubt_identity(
	struct gateway *g, struct db *db, const struct uuid *reading, int64_t former)
{
	struct list l = {0};
	int rc = alerts_with(db, reading, 1, former, &l);
	for (size_t i = 0; i < l.n && rc >= 0; i++) {
		struct alert_row row;
		rc = alert_row_load(db, &l.at[i], &row);
		if (rc <= 0 || row.episode.state == ALERT_INACTIVE)
			continue;
		row.episode.labels |= LABEL_IDENTITY_CHANGED;
		rc = write_row(g, db, &row, row.episode.state, PHASE_UPDATE, NULL);
	}
	return rc < 0 ? rc : resume(g, db, reading, 1, former);
}
