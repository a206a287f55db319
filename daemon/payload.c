/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "payload.h"

#include "alert_said.h"
#include "alert_words.h"
#include "alerts.h"
#include "gateway.h"
#include "report.h"
#include "study.h"
#include "visit_body.h"

#include <errno.h>

static const struct {
	const char *topic, *list;
} kinds[OBJECTS] = {
	[OBJECT_READING] = {"up/reading", "readings"},
	[OBJECT_ALERT] = {"up/alert", "alerts"},
	[OBJECT_FOLLOWUP] = {"up/followup", "followups"},
	[OBJECT_EVENT] = {"up/event", "events"},
	[OBJECT_STUDY] = {"up/ecg", "studies"},
	[OBJECT_PIECE] = {"up/ecg/chunk", "chunks"},
	[OBJECT_DUE] = {"up/due", "lists"},
	[OBJECT_KPI] = {"up/kpi", "rates"},
};

const char *payload_topic(enum object kind)
{
	return kinds[kind].topic;
}

void payload_open(const struct gateway *g, enum object kind, struct json *j)
{
	json_object_begin(j, NULL);
	json_int(j, "v", 1);
	json_str(j, "gateway", g->config->gateway);
	json_str(j, "epoch", g->epoch);
	json_array_begin(j, kinds[kind].list);
}

void payload_close(struct json *j)
{
	json_array_end(j);
	json_object_end(j);
}

static void head(struct json *j, struct row *r, int64_t seq)
{
	size_t len;
	const void *id = row_blob(r, 0, &len);
	json_object_begin(j, NULL);
	json_hex(j, "id", id, len);
	json_int(j, "revision", row_int(r, 1));
	if (seq >= 0)
		json_int(j, "seq", seq);
}

static void optional_int(struct json *j, const char *key, struct row *r, int column)
{
	if (!row_null(r, column))
		json_int(j, key, row_int(r, column));
}

/* Which check-in claimed it, if any did, and who says that it is somebody else's: into the object "identity". */
static int claims(struct db *db, int64_t checkin, const char *reasons, struct json *j)
{
	size_t len;
	int rc = 0;
	if (checkin) {
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT uuid,station,purpose,source FROM checkin WHERE id=?", "i", checkin);
		rc = row_next(r);
		if (rc > 0) {
			json_object_begin(j, "checkin");
			const void *id = row_blob(r, 0, &len);
			json_hex(j, "id", id, len);
			json_str(j, "station", row_text(r, 1));
			json_str(j, "purpose", row_text(r, 2));
			json_str(j, "source", row_text(r, 3));
			json_object_end(j);
		}
	}
	if (rc < 0 || !reasons)
		return rc;
	json_array_begin(j, "reasons");
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT json_extract(value,'$.claim'),token FROM json_each(?) LEFT JOIN resident ON "
		"resident.id=json_extract(value,'$.resident')",
		"t", reasons);
	while ((rc = row_next(r)) > 0) {
		json_object_begin(j, NULL);
		json_str(j, "claim", row_text(r, 0));
		json_str(j, "resident", row_text(r, 1));
		json_object_end(j);
	}
	json_array_end(j);
	return rc;
}

static int reading(struct db *db, int64_t row, int64_t seq, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT uuid,revision,status,kind,token,evidence,grade,in_contract,test,"
		"device_time,arrived,boot_id,boot_us,reading.offset_us,taken,uncertainty_us,trust,"
		"user_slot,seq,body,conflicts_with,reading.driver,tables_version,device.name,uid,"
		"patient_hash IS NOT NULL,committed_boot_us,place,checkin,reasons,station FROM reading LEFT JOIN resident ON "
		"resident.id=reading.resident LEFT JOIN device ON device.id=reading.device WHERE "
		"reading.id=?",
		"i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	size_t len;
	head(j, r, seq);
	json_str(j, "status", row_text(r, 2));
	json_str(j, "kind", row_text(r, 3));
	json_str(j, "resident", row_text(r, 4));
	if (!row_null(r, 27))
		json_str(j, "place", row_text(r, 27));
	json_object_begin(j, "identity");
	json_str(j, "evidence", row_text(r, 5));
	json_str(j, "grade", row_text(r, 6));
	json_bool(j, "in_contract", row_int(r, 7));
	if (row_int(r, 25))
		json_bool(j, "patient_id_typed", true);
	rc = claims(db, row_int(r, 28), row_text(r, 29), j);
	if (rc < 0)
		return rc;
	json_object_end(j);
	json_bool(j, "test", row_int(r, 8));
	json_object_begin(j, "time");
	json_time(j, "taken", row_int(r, 14));
	json_str(j, "trust", row_text(r, 16));
	if (row_int(r, 15) != INT64_MAX)
		json_int(j, "uncertainty_s", row_int(r, 15) / CLOCK_SECOND_US);
	json_str(j, "device", row_text(r, 9));
	if (!row_null(r, 13) && clock_plausible(row_int(r, 10)))
		json_milli(j, "device_offset_s", row_int(r, 13) / 1000, 3);
	json_time(j, "arrived", row_int(r, 10));
	const void *boot = row_blob(r, 11, &len);
	json_hex(j, "boot_id", boot, len);
	json_int(j, "boot_ms", row_int(r, 12) / 1000);
	json_object_end(j);
	json_object_begin(j, "device");
	json_str(j, "id", row_text(r, 23));
	json_str(j, "uid", row_text(r, 24));
	json_str(j, "driver", row_text(r, 21));
	if (!row_null(r, 30))
		json_str(j, "station", row_text(r, 30));
	optional_int(j, "user", r, 17);
	optional_int(j, "seq", r, 18);
	json_object_end(j);
	json_members(j, row_text(r, 19));
	if (!row_null(r, 20)) {
		const void *other = row_blob(r, 20, &len);
		json_hex(j, "conflicts_with", other, len);
	}
	json_str(j, "tables", row_text(r, 22));
	json_int(j, "committed_boot_us", row_int(r, 26));
	json_object_end(j);
	return 1;
}

/* IHE ACM facet 68485: technical, advisory (notices, and what is of a plan), physiological. */
static const char *alert_type(struct row *r)
{
	if (row_int(r, 29))
		return "ST";
	bool plan = row_null(r, 13) && row_null(r, 20);
	return plan || streq(row_text(r, 2), "notice") ? "SA" : "SP";
}

/* In the words of IHE ACM. */
static void alert_state(struct json *j, struct row *r)
{
	enum severity severity = severity_named(row_text(r, 2));
	json_str(j, "condition", row_text(r, 21));
	json_str(j, "phase", row_text(r, 22));
	json_str(j, "state", row_text(r, 3));
	json_str(j, "inactivation", row_null(r, 11) ? "enabled" : "alert-acknowledged");
	json_str(j, "severity", severity_name(severity));
	json_str(j, "level", severity_name((enum severity)(row_int(r, 23) & 3)));
	json_str(j, "priority", severity_priority(severity));
	json_str(j, "type", alert_type(r));
}

static void optional_hex(struct json *j, const char *key, struct row *r, int column)
{
	size_t len;
	const void *id = row_blob(r, column, &len);
	if (id)
		json_hex(j, key, id, len);
}

static void optional_time(struct json *j, const char *key, struct row *r, int column)
{
	if (!row_null(r, column))
		json_time(j, key, row_int(r, column));
}

/* What it is about. */
static void alert_of(struct json *j, struct row *r)
{
	json_str(j, "resident", row_text(r, 6));
	if (!row_null(r, 16))
		json_str(j, "place", row_text(r, 16));
	if (!row_null(r, 17))
		json_str(j, "device", row_text(r, 17));
	if (row_null(r, 13))
		json_none(j, "reading");
	else
		optional_hex(j, "reading", r, 13);
	optional_hex(j, "shown", r, 24);
	if (row_int(r, 25))
		json_int(j, "readings", row_int(r, 25));
	optional_hex(j, "study", r, 20);
}

static const char *some(const char *text)
{
	return text[0] ? text : NULL;
}

static void alert_told(struct json *j, struct row *r)
{
	json_object_begin(j, "to");
	json_str(j, "role", some(row_text(r, 5)));
	json_str(j, "token", some(row_text(r, 4)));
	json_object_end(j);
	json_int(j, "step", row_int(r, 26));
	json_str(j, "deliver", row_text(r, 27));
	optional_time(j, "not_before", r, 28);
}

static int alert(const struct gateway *g, struct db *db, int64_t row, int64_t seq, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT alert.uuid,alert.revision,severity,alert.state,recipient,role,token,body,raised,"
		"ack_author,ack_outcome,acked,rules_version,alert.reading,doubts," ALERT_WHOSE
		",place,device.name,since,ended,study,condition,phase,level,shown,readings,step,"
		"deliver,not_before," ALERT_TECHNICAL
		",labels FROM alert LEFT JOIN resident ON resident.id=alert.resident LEFT JOIN device "
		"ON device.id=alert.device WHERE alert.id=?",
		"i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	head(j, r, seq);
	alert_state(j, r);
	alert_of(j, r);
	alert_told(j, r);
	json_members(j, row_text(r, 7));
	alert_labels_json(j, "labels", row_text(r, 15), row_text(r, 30), row_text(r, 14));
	optional_time(j, "since", r, 18);
	json_time(j, "raised", row_int(r, 8));
	optional_time(j, "ended", r, 19);
	if (!row_null(r, 11)) {
		json_object_begin(j, "acknowledged");
		json_str(j, "by", row_text(r, 9));
		json_str(j, "outcome", row_text(r, 10));
		json_time(j, "at", row_int(r, 11));
		json_object_end(j);
	}
	json_str(j, "rules_version", row_text(r, 12));
	rc = alert_said(g, db, row, j);
	json_object_end(j);
	return rc < 0 ? rc : 1;
}

static int event(struct db *db, int64_t row, int64_t seq, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT event.uuid,1,type,at,detail,device.name FROM event LEFT JOIN device ON "
		"device.id=event.device WHERE event.id=?",
		"i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	head(j, r, seq);
	json_str(j, "type", row_text(r, 2));
	json_str(j, "device", row_text(r, 5));
	if (!row_null(r, 4))
		json_str(j, "detail", row_text(r, 4));
	json_time(j, "at", row_int(r, 3));
	json_object_end(j);
	return 1;
}

static int64_t pieces_of(int64_t bytes)
{
	return (bytes + STUDY_PIECE_BYTES - 1) / STUDY_PIECE_BYTES;
}

/* Its own columns; "ecg" is what the decoder said of it. */
static int study_columns(struct db *db, struct row *r, int64_t seq, struct json *j)
{
	size_t len;
	head(j, r, seq);
	json_str(j, "status", row_text(r, 2));
	json_str(j, "resident", row_text(r, 3));
	json_object_begin(j, "identity");
	json_str(j, "evidence", row_text(r, 4));
	json_str(j, "grade", row_text(r, 5));
	json_bool(j, "in_contract", row_int(r, 6));
	int rc = claims(db, row_int(r, 19), row_text(r, 20), j);
	json_object_end(j);
	json_bool(j, "test", row_int(r, 7));
	json_object_begin(j, "time");
	json_time(j, "taken", row_int(r, 8));
	json_str(j, "trust", row_text(r, 9));
	if (row_int(r, 10) != INT64_MAX)
		json_int(j, "uncertainty_s", row_int(r, 10) / CLOCK_SECOND_US);
	json_str(j, "device", row_text(r, 11));
	json_time(j, "arrived", row_int(r, 12));
	json_object_end(j);
	json_object_begin(j, "device");
	json_str(j, "id", row_text(r, 13));
	json_str(j, "uid", row_text(r, 14));
	json_str(j, "driver", row_text(r, 15));
	json_object_end(j);
	json_raw(j, "ecg", row_text(r, 16));
	json_object_begin(j, "original");
	json_int(j, "bytes", row_int(r, 17));
	const void *sha = row_blob(r, 18, &len);
	json_hex(j, "sha256", sha, len);
	json_int(j, "chunks", pieces_of(row_int(r, 17)));
	json_int(j, "chunk_bytes", STUDY_PIECE_BYTES);
	json_object_end(j);
	return rc;
}

static int study(struct db *db, int64_t row, int64_t seq, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT study.uuid,revision,status,token,evidence,grade,in_contract,test,taken,"
		"trust,uncertainty_us,device_time,arrived,device.name,uid,study.driver,body,bytes,"
		"sha256,checkin,reasons FROM study LEFT JOIN resident ON resident.id=study.resident LEFT JOIN "
		"device ON device.id=study.device WHERE study.id=?",
		"i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	rc = study_columns(db, r, seq, j);
	if (rc >= 0)
		rc = report_json(db, row, j);
	json_object_end(j);
	return rc < 0 ? rc : 1;
}

static int piece(struct db *db, int64_t row, int64_t seq, struct json *j)
{
	size_t len;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT study.uuid,1,n,study_piece.bytes,study.bytes FROM study_piece JOIN study ON "
		"study.id=study WHERE study_piece.id=?",
		"i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	head(j, r, seq);
	json_int(j, "n", row_int(r, 2));
	json_int(j, "of", pieces_of(row_int(r, 4)));
	json_int(j, "offset", row_int(r, 2) * STUDY_PIECE_BYTES);
	const void *bytes = row_blob(r, 3, &len);
	json_base64(j, "data", bytes, len);
	json_object_end(j);
	return 1;
}

static int digest(struct db *db, int64_t row, int64_t seq, struct json *j)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT uuid,revision,body FROM digest WHERE id=?", "i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	head(j, r, seq);
	json_members(j, row_text(r, 2));
	json_object_end(j);
	return 1;
}

int payload_object(const struct gateway *g, struct db *db, enum object kind, int64_t row,
	int64_t seq, struct json *j)
{
	switch (kind) {
	case OBJECT_READING:
		return reading(db, row, seq, j);
	case OBJECT_ALERT:
		return alert(g, db, row, seq, j);
	case OBJECT_EVENT:
		return event(db, row, seq, j);
	case OBJECT_FOLLOWUP:
		return visit_json(g, db, row, seq, j);
	case OBJECT_STUDY:
		return study(db, row, seq, j);
	case OBJECT_PIECE:
		return piece(db, row, seq, j);
	case OBJECT_DUE:
	case OBJECT_KPI:
		return digest(db, row, seq, j);
	case OBJECTS:
		break;
	}
	return -EINVAL;
}
