/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How it stands between a study and the ECG centre: for the platform, and as one word for a person. */
#include "report.h"
#include "study.h"

/* The latest word that is no call about a critical value; REPORTS: none came. */
static enum report_status last_status(struct db *db, int64_t study)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT status FROM report WHERE study=? AND status<>'critical' ORDER BY revision "
		"DESC LIMIT 1",
		"i", study);
	return row_next(r) > 0 ? report_status_of(row_text(r, 0)) : REPORTS;
}

/* A wait of the study: 0 none, 1 it waits, 2 staff were told. */
static int waiting(struct db *db, int64_t study, const char *what)
{
	return (int)db_int(db, 0,
		"SELECT CASE WHEN alert IS NULL THEN 1 ELSE 2 END FROM study_wait WHERE study=? AND "
		"what=?",
		"it", study, what);
}

/* The columns "read_back_text,read_back_by,read_back_at" from `column` on. */
static void readback_json(struct json *j, struct row *r, int column)
{
	if (row_null(r, column + 2)) {
		json_none(j, "readback");
		return;
	}
	json_object_begin(j, "readback");
	json_str(j, "text", row_text(r, column));
	json_str(j, "by", row_text(r, column + 1));
	json_time(j, "at", row_int(r, column + 2));
	json_object_end(j);
}

static int revisions_json(struct db *db, int64_t study, struct json *j)
{
	int rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT revision,status,text,author,at,critical,read_back_text,read_back_by,"
		"read_back_at FROM report WHERE study=? ORDER BY revision",
		"i", study);
	json_array_begin(j, "revisions");
	while ((rc = row_next(r)) > 0) {
		json_object_begin(j, NULL);
		json_int(j, "revision", row_int(r, 0));
		json_str(j, "status", row_text(r, 1));
		if (!row_null(r, 2))
			json_str(j, "text", row_text(r, 2));
		json_str(j, "by", row_text(r, 3));
		json_time(j, "at", row_int(r, 4));
		if (!row_null(r, 5)) {
			json_str(j, "critical", row_text(r, 5));
			readback_json(j, r, 6);
		}
		json_object_end(j);
	}
	json_array_end(j);
	return rc;
}

/* The latest critical value, of those that wait to be read back if there are any. */
static int critical_json(struct db *db, int64_t study, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT critical,author,at,read_back_text,read_back_by,read_back_at FROM report "
		"WHERE study=? AND status='critical' ORDER BY read_back_at IS NOT NULL,revision DESC "
		"LIMIT 1",
		"i", study);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	json_object_begin(j, "critical");
	json_str(j, "text", row_text(r, 0));
	json_str(j, "by", row_text(r, 1));
	json_time(j, "at", row_int(r, 2));
	readback_json(j, r, 3);
	json_object_end(j);
	return 0;
}

int report_json(struct db *db, int64_t study, struct json *j)
{
	enum report_status last = last_status(db, study);
	int64_t received = db_int(db, 0, "SELECT received FROM study WHERE id=?", "i", study);
	int64_t due = db_int(db, 0, "SELECT due FROM study WHERE id=?", "i", study);
	json_object_begin(j, "report");
	json_str(j, "state",
		last == REPORT_POOR_TRACING	    ? "repeat"
		: last != REPORTS		    ? "reported"
		: waiting(db, study, "report") == 2 ? "overdue"
		: waiting(db, study, "report")	    ? "waiting"
		: received			    ? "received"
						    : "unsent");
	if (received)
		json_time(j, "received", received);
	if (due)
		json_time(j, "due", due);
	int rc = revisions_json(db, study, j);
	if (rc >= 0)
		rc = critical_json(db, study, j);
	json_object_end(j);
	return rc;
}

static bool unread(struct db *db, int64_t study, int64_t *ret_since_us)
{
	*ret_since_us = db_int(db, 0,
		"SELECT min(at) FROM report WHERE study=? AND status='critical' AND read_back_at IS "
		"NULL",
		"i", study);
	return *ret_since_us != 0;
}

/* "Record it again" is settled by a newer one of the same resident, or of nobody known by the same cart. */
static bool repeat_wanted(struct db *db, int64_t study, int64_t *ret_since_us)
{
	*ret_since_us = db_int(db, 0,
		"SELECT max(at) FROM report WHERE study=? AND status='poor_tracing'", "i", study);
	return !db_int(db, 0,
		"SELECT 1 FROM study n JOIN study s ON s.id=? WHERE n.arrived>? AND n.id<>s.id AND "
		"CASE WHEN s.resident IS NULL THEN n.device=s.device ELSE n.resident=s.resident END",
		"ii", study, *ret_since_us);
}

/* A file that contradicts itself is settled by whatever the same cart sends next. */
static bool unreadable(struct db *db, int64_t study, int64_t *ret_since_us)
{
	*ret_since_us = db_int(db, 0,
		"SELECT arrived FROM study s WHERE id=? AND format IS NULL AND status<>'undecoded' AND "
		"NOT test AND json_extract(body,'$.rejected')<>'" STUDY_NOT_DECODED
		"' AND NOT EXISTS (SELECT 1 FROM study n WHERE n.id>s.id AND n.device=s.device)",
		"i", study);
	return *ret_since_us != 0;
}

/* Something that a person waits for, or has to see to: without a time at which it is due. */
static const char *open_without_due(struct db *db, int64_t study, int64_t *ret_since_us)
{
	enum report_status last = last_status(db, study);
	if (last == REPORTS && unreadable(db, study, ret_since_us))
		return "unreadable";
	if (last != REPORT_PRELIMINARY)
		return NULL;
	*ret_since_us = db_int(db, 0,
		"SELECT max(at) FROM report WHERE study=? AND status='preliminary'", "i", study);
	return "preliminary";
}

const char *report_open(struct db *db, int64_t study, int64_t *ret_since_us, int64_t *ret_due_us)
{
	int sent = waiting(db, study, "sent"), report = waiting(db, study, "report");
	*ret_due_us = 0;
	if (unread(db, study, ret_since_us))
		return "critical_unread";
	if (last_status(db, study) == REPORT_POOR_TRACING && repeat_wanted(db, study, ret_since_us))
		return "repeat";
	if (!sent && !report)
		return open_without_due(db, study, ret_since_us);
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT since,due FROM study_wait WHERE study=? AND what=?", "it",
			study, sent ? "sent" : "report");
	if (row_next(r) <= 0)
		return NULL;
	*ret_since_us = row_int(r, 0);
	*ret_due_us = row_int(r, 1);
	return sent ? "not_sent" : report == 2 ? "overdue" : "waiting";
}
