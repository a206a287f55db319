/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "filing.h"
#include "gateway.h"
#include "intake.h"
#include "visit.h"

#include <errno.h>
#include <jansson.h>

/* The evidence of a stored reading, from its own values. */
static int evidence_from_body(
	struct gateway *g, struct db *db, const char *body, const struct filing *f)
{
	json_t *root = json_loads(body, JSON_DECODE_INT_AS_REAL, NULL);
	json_t *values = json_object_get(root, "values");
	const char *kind;
	json_t *v;
	int rc = values ? 0 : -EIO;
	json_object_foreach(values, kind, v)
	{
		const struct code *code = codes_find(g->codes, kind);
		const char *comparator = json_string_value(json_object_get(v, "comparator"));
		double number = json_number_value(json_object_get(v, "value"));
		struct value value = {(int64_t)(number * 1000 + (number < 0 ? -0.5 : 0.5)),
			code ? code->decimals : 3};
		rc = filing_evidence(g, db, f, kind, value, comparator ? comparator[0] : 0);
		if (rc < 0)
			break;
	}
	json_decref(root);
	return rc;
}

int intake_assign(struct gateway *g, struct db *db, const struct uuid *id, int64_t resident)
{
	struct filing f = {.who = {resident, "person", resident ? "person" : "none"},
		.status = resident ? "amended" : "unassigned"};
	int64_t old = 0, before = 0;
	_cleanup_(freep) char *body = NULL;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT id,revision,taken,trust,resident,body,test,evidence FROM reading WHERE "
			"uuid=? AND superseded=0",
			"b", id->bytes, sizeof(id->bytes));
		int rc = row_next(r);
		if (rc <= 0)
			return rc < 0 ? rc : -ENOENT;
		if (row_int(r, 6))
			return -EPERM;
		if (streq(row_text(r, 7), "place"))
			return -ENOTSUP;
		old = row_int(r, 0);
		f.revision = (int)row_int(r, 1) + 1;
		f.when.taken_us = row_int(r, 2);
		for (enum trust t = TRUST_CORRECTED; t <= TRUST_UNKNOWN; t++)
			if (streq(trust_name(t), row_text(r, 3)))
				f.when.trust = t;
		before = row_int(r, 4);
		body = strdup(row_text(r, 5));
	}
	if (!body)
		return -ENOMEM;
	if (before == resident)
		return -EALREADY;
	filing_route(g, db, &f);
	int rc = db_run(db,
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,device_time,arrived,boot_id,boot_us,offset_us,taken,"
		"uncertainty_us,trust,user_slot,seq,body,patient_hash,content,conflicts_with,raw,"
		"driver,tables_version,committed_boot_us) SELECT uuid,?,?,kind,device,?,"
		"'assigned_by_person',?,?,test,device_time,arrived,boot_id,boot_us,offset_us,"
		"taken,uncertainty_us,trust,user_slot,seq,body,patient_hash,content,"
		"conflicts_with,raw,driver,tables_version,? FROM reading WHERE id=?",
		"itptiii", (int64_t)f.revision, f.status, resident ? &resident : NULL, f.who.grade,
		(int64_t)f.in_contract, clock_boot_us(), old);
	if (rc < 0)
		return rc;
	f.row = db_last_id(db);
	rc = filing_retire(db, id, f.revision);
	if (rc >= 0)
		rc = outbox_add(g->outbox, db, OBJECT_READING, f.row, id, f.revision);
	if (rc >= 0 && resident)
		rc = evidence_from_body(g, db, body, &f);
	if (rc >= 0 && resident)
		rc = visit_touch(g, db, resident);
	if (rc >= 0 && before)
		rc = visit_touch(g, db, before);
	struct uuid alert = filing_alert_id(id);
	if (rc >= 0)
		rc = filing_move_alert(g, db, &alert, &f);
	return rc;
}
