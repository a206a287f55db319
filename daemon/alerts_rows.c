/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alerts_rows.h"

#include "alert_words.h"
#include "day.h"
#include "gateway.h"

#include <errno.h>

/* names in the rows */

static enum alert_state state_named(const char *name)
{
	enum alert_state s = ALERT_ACTIVE;
	while (s < ALERT_INACTIVE && !streq(alert_states[s], name))
		s++;
	return s;
}

static unsigned labels_named(const char *json)
{
	char quoted[32];
	unsigned labels = 0;
	for (unsigned i = 0; i < ALERT_LABELS && json[2]; i++) { /* "[]": none */
		snprintf(quoted, sizeof(quoted), "\"%s\"", alert_labels[i]);
		labels |= strstr(json, quoted) ? 1u << i : 0;
	}
	return labels;
}

static char *labels_text(unsigned labels)
{
	struct json j = {0};
	json_array_begin(&j, NULL);
	for (unsigned i = 0; i < ALERT_LABELS; i++)
		if (labels & 1u << i)
			json_str(&j, NULL, alert_labels[i]);
	json_array_end(&j);
	return json_take(&j);
}

/* reading */

#define COLUMNS                                                                                                                                \
	"uuid,resident,condition,deliver,state,level,severity,acked IS NOT NULL,labels,critical_at,shown,(SELECT at FROM alert_reading WHERE " \
	"alert=uuid AND reading=shown),(SELECT level FROM alert_reading WHERE alert=uuid AND "                                                 \
	"reading=shown)"

static int take(struct row *r, struct alert_row *ret)
{
	*ret = (struct alert_row){.resident = row_int(r, 1),
		.episode = {.state = state_named(row_text(r, 4)),
			.level = (enum severity)row_int(r, 5),
			.severity = severity_named(row_text(r, 6)),
			.acknowledged = row_int(r, 7),
			.labels = labels_named(row_text(r, 8)),
			.critical_at_us = row_int(r, 9),
			.shown_at_us = row_int(r, 11)},
		.shown_level = (enum severity)row_int(r, 12)};
	text_set(ret->condition, sizeof(ret->condition), row_text(r, 2));
	text_set(ret->deliver, sizeof(ret->deliver), row_text(r, 3));
	ret->has_shown = row_uuid(r, 10, &ret->shown);
	return row_uuid(r, 0, &ret->id) ? 1 : -ODD_ROW;
}

int alert_row_load(struct db *db, const struct uuid *id, struct alert_row *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT " COLUMNS " FROM alert WHERE uuid=?", "b", id->bytes, sizeof(id->bytes));
	int rc = row_next(r);
	return rc <= 0 ? rc : take(r, ret);
}

int alert_row_today(struct db *db, int64_t resident, const char *condition, enum severity severity,
	int32_t day, struct alert_row *ret)
{
	int rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT " COLUMNS " FROM alert WHERE resident=? AND condition=? AND told_day=? AND "
		"readings>0 ORDER BY id DESC",
		"iti", resident, condition, (int64_t)day);
	while ((rc = row_next(r)) > 0) {
		rc = take(r, ret);
		if (rc < 0 || (ret->episode.severity >= severity &&
				      !(ret->episode.labels & LABEL_WITHDRAWN)))
			return rc;
	}
	return rc;
}

/* writing */

int alert_row_write(struct db *db, const struct alert_row *a, const struct alert_turn *turn)
{
	const struct episode *e = &a->episode;
	const struct uuid *by = turn->ended_by;
	_cleanup_(freep) char *labels = labels_text(e->labels);
	if (!labels)
		return -ENOMEM;
	return error_only(db_run(db,
		"UPDATE alert SET state=?2, level=?3, severity=?4, labels=?5, critical_at=?6, "
		"raised_revision=CASE WHEN ?7 THEN revision+1 ELSE raised_revision END, "
		"ack_author=CASE WHEN ?7 THEN NULL ELSE ack_author END, "
		"ack_outcome=CASE WHEN ?7 THEN NULL ELSE ack_outcome END, "
		"acked=CASE WHEN ?7 THEN NULL ELSE acked END, "
		"told_day=CASE WHEN ?8<>0 THEN ?8 ELSE told_day END, "
		"ended=CASE WHEN ?2='active' THEN NULL ELSE coalesce(?9,ended) END, "
		"ended_by=CASE WHEN ?2='active' THEN NULL WHEN ?9 IS NULL THEN ended_by ELSE ?10 END "
		"WHERE uuid=?1",
		"btittpiipb", a->id.bytes, sizeof(a->id.bytes), alert_states[e->state],
		(int64_t)e->level, severity_name(e->severity), labels,
		e->critical_at_us ? &e->critical_at_us : NULL, (int64_t)turn->anew,
		(int64_t)turn->day, turn->ended_us, by ? by->bytes : NULL,
		by ? sizeof(by->bytes) : (size_t)0));
}

/* Of an alert that the same reading raised before, nothing stays but its revisions. */
static int begin(struct gateway *g, struct db *db, const struct alert_row *a,
	const struct alert_reading *first, struct instant now)
{
	int rc = db_run(db,
		"INSERT INTO alert(uuid,revision,reading,resident,condition,severity,state,recipient,"
		"role,in_contract,body,doubts,raised,rules_version) "
		"VALUES(?,0,?,?,?,'','','','',0,'','',0,'') ON CONFLICT(uuid) DO NOTHING",
		"bbpt", a->id.bytes, sizeof(a->id.bytes), first->id.bytes, sizeof(first->id.bytes),
		a->resident ? &a->resident : NULL, a->condition);
	if (rc == 0)
		rc = db_run(db, "DELETE FROM alert_reading WHERE alert=?", "b", a->id.bytes,
			sizeof(a->id.bytes));
	return rc < 0 ? rc
		      : db_run(db,
				"UPDATE alert SET revision=revision+1, raised_revision=revision+1, "
				"phase='start', raised=?, rules_version=?, boot_id=?, raised_boot=?, since=?, "
				"shown=NULL, joined=0, readings=0, ack_author=NULL, ack_outcome=NULL, "
				"acked=NULL, ended=NULL, ended_by=NULL WHERE uuid=?",
				"itbiib", now.utc_us, alert_rules_version(g->rules),
				clock_boot_id(), (size_t)16, now.boot_us, first->at_us, a->id.bytes,
				sizeof(a->id.bytes));
}

int alert_row_raise(struct gateway *g, struct db *db, struct alert_row *a,
	const struct alert_reading *first, struct instant now)
{
	bool over = a->episode.state != ALERT_ACTIVE;
	int rc = begin(g, db, a, first, now);
	a->has_shown = false;
	if (rc >= 0)
		rc = alert_row_join(db, a, first);
	return rc < 0 ? rc
		      : alert_row_write(db, a,
				&(struct alert_turn){.day = day_of(now.utc_us),
					.ended_us = over ? &first->at_us : NULL});
}

int alert_row_origin(struct db *db, const struct uuid *id, const struct alert_origin *o)
{
	return error_only(db_run(db,
		"UPDATE alert SET in_contract=?, station=?, device=?, study=? WHERE uuid=?",
		"itpbb", (int64_t)o->in_contract, o->station, o->device ? &o->device : NULL,
		o->study ? o->study->bytes : NULL, o->study ? sizeof(o->study->bytes) : (size_t)0,
		id->bytes, sizeof(id->bytes)));
}

/* its readings */

static int show(struct db *db, struct alert_row *a, const struct alert_reading *r)
{
	a->has_shown = true;
	a->shown = r->id;
	a->shown_level = r->level;
	a->episode.shown_at_us = r->at_us;
	return error_only(db_run(db, "UPDATE alert SET shown=?, body=?, doubts=? WHERE uuid=?",
		"bttb", r->id.bytes, sizeof(r->id.bytes), r->body, r->doubts, a->id.bytes,
		sizeof(a->id.bytes)));
}

static int64_t first_filed(struct db *db, const struct uuid *reading)
{
	return db_int(db, INT64_MAX, "SELECT min(id) FROM reading WHERE uuid=?", "b",
		reading->bytes, sizeof(reading->bytes));
}

/* Is it the latest of the highest level, with this one in it? */
static bool shows(struct db *db, const struct alert_row *a, const struct alert_reading *r)
{
	if (!a->has_shown || r->level != a->shown_level)
		return !a->has_shown || r->level > a->shown_level;
	if (r->at_us != a->episode.shown_at_us)
		return r->at_us > a->episode.shown_at_us;
	return first_filed(db, &r->id) >= first_filed(db, &a->shown);
}

int alert_row_join(struct db *db, struct alert_row *a, const struct alert_reading *r)
{
	int rc = db_run(db,
		"INSERT INTO alert_reading(alert,reading,n,level,at,body,doubts) SELECT "
		"uuid,?2,joined+1,?3,?4,?5,?6 FROM alert WHERE uuid=?1",
		"bbiitt", a->id.bytes, sizeof(a->id.bytes), r->id.bytes, sizeof(r->id.bytes),
		(int64_t)r->level, r->at_us, r->body, r->doubts);
	if (rc >= 0)
		rc = db_run(db,
			"UPDATE alert SET joined=joined+1, readings=readings+1 WHERE uuid=?", "b",
			a->id.bytes, sizeof(a->id.bytes));
	return rc < 0 || !shows(db, a, r) ? MIN(rc, 0) : show(db, a, r);
}

/* What is shown now, of those that are left; 1, 0: none is, -errno. */
static int show_best(struct db *db, struct alert_row *a)
{
	struct alert_reading next = {0};
	_cleanup_(freep) char *body = NULL, *doubts = NULL;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT a.reading,level,at,body,doubts FROM alert_reading a WHERE alert=? ORDER "
			"BY level DESC, at DESC, (SELECT min(id) FROM reading d WHERE d.uuid=a.reading) "
			"DESC LIMIT 1",
			"b", a->id.bytes, sizeof(a->id.bytes));
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		row_uuid(r, 0, &next.id);
		next.level = (enum severity)row_int(r, 1);
		next.at_us = row_int(r, 2);
		next.body = body = strdup(row_text(r, 3));
		next.doubts = doubts = strdup(row_text(r, 4));
	}
	int rc = body && doubts ? show(db, a, &next) : -ENOMEM;
	return rc < 0 ? rc : 1;
}

int alert_row_leave(
	struct db *db, struct alert_row *a, const struct uuid *reading, enum severity *ret_left)
{
	int rc = db_run(db, "DELETE FROM alert_reading WHERE alert=? AND reading=?", "bb",
		a->id.bytes, sizeof(a->id.bytes), reading->bytes, sizeof(reading->bytes));
	if (rc > 0)
		rc = db_run(db, "UPDATE alert SET readings=readings-1 WHERE uuid=?", "b",
			a->id.bytes, sizeof(a->id.bytes));
	if (rc >= 0)
		rc = show_best(db, a);
	*ret_left = rc > 0 ? a->shown_level : SEVERITY_NONE;
	a->episode.critical_at_us = db_int(db, 0,
		"SELECT at FROM alert_reading WHERE alert=? AND level=3 ORDER BY n LIMIT 1", "b",
		a->id.bytes, sizeof(a->id.bytes));
	return MIN(rc, 0);
}

/* telling */

int alert_row_tell(struct gateway *g, struct db *db, const struct uuid *id, const char *ack_author,
	const char *ack_outcome)
{
	int64_t row;
	int revision;
	struct json all = {0};
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT id,revision," ALERT_WHOSE ",labels,doubts FROM alert WHERE uuid=?",
			"b", id->bytes, sizeof(id->bytes));
		int rc = row_next(r);
		if (rc <= 0)
			return rc < 0 ? rc : -ODD_ROW;
		row = row_int(r, 0);
		revision = (int)row_int(r, 1);
		alert_labels_json(&all, NULL, row_text(r, 2), row_text(r, 3), row_text(r, 4));
	}
	_cleanup_(freep) char *labels = json_take(&all);
	if (!labels)
		return -ENOMEM;
	int rc = db_run(db,
		"INSERT INTO alert_history(alert,revision,at,phase,state,severity,level,recipient,"
		"role,step,deliver,labels,ack_author,ack_outcome) SELECT uuid,revision,?,phase,state,"
		"severity,level,recipient,role,step,deliver,?,?,? FROM alert WHERE id=?",
		"ittti", clock_utc_us(), labels, ack_author, ack_outcome, row);
	if (rc >= 0)
		rc = outbox_supersede(db, id, revision);
	return rc < 0 ? rc : outbox_add(g->outbox, db, OBJECT_ALERT, row, id, revision);
}

int alerts_revise(struct gateway *g, struct db *db, const struct uuid *id, enum alert_phase phase,
	const char *ack_author, const char *ack_outcome)
{
	int rc = db_run(db, "UPDATE alert SET revision=revision+1, phase=? WHERE uuid=?", "tb",
		alert_phases[phase], id->bytes, sizeof(id->bytes));
	return rc <= 0 ? MIN(rc, 0) : alert_row_tell(g, db, id, ack_author, ack_outcome);
}
