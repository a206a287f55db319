/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "filing.h"

#include "gateway.h"
#include "visit.h"

bool filing_in_contract(struct db *db, int64_t resident, int64_t at_us)
{
	return resident && db_int(db, 0,
				   "SELECT 1 FROM resident WHERE id=?1 AND valid_from<=?2 AND "
				   "(valid_to IS NULL OR valid_to>?2)",
				   "ii", resident, at_us) == 1;
}

void filing_contract(struct db *db, struct filing *f)
{
	f->in_contract = filing_in_contract(db, f->who.resident, f->when.taken_us);
}

/* By row: a token that is erased, or another one after a merge, stands nowhere else. */
char *filing_reasons(const struct resident_decision *who)
{
	struct json j = {0};
	if (!who->n_claims)
		return NULL;
	json_array_begin(&j, NULL);
	for (unsigned i = 0; i < who->n_claims; i++) {
		json_object_begin(&j, NULL);
		json_str(&j, "claim", who->claims[i].by);
		json_int(&j, "resident", who->claims[i].resident);
		json_object_end(&j);
	}
	json_array_end(&j);
	return json_take(&j);
}

/* the follow-up record */

int filing_evidence(const struct gateway *g, struct db *db, const struct filing *f,
	const char *kind, struct value value, char comparator)
{
	char text[2] = {comparator, 0};
	return error_only(db_run(db,
		"INSERT INTO evidence(resident,kind,taken,reading,milli,decimals,"
		"comparator,trust,tables_version) VALUES(?,?,?,?,?,?,?,?,?)",
		"itiiiittt", f->who.resident, kind, f->when.taken_us, f->row, value.milli,
		(int64_t)value.decimals, comparator ? text : NULL, trust_name(f->when.trust),
		codes_version(g->codes)));
}

int filing_all_evidence(
	struct gateway *g, struct db *db, const struct reading *r, const struct filing *f)
{
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const struct quantity *q = &r->quantities[i];
		int rc = filing_evidence(g, db, f, q->code->kind, q->value, q->comparator);
		if (rc < 0)
			return rc;
	}
	return visit_filed(g, db, f->who.resident, f->revision > 1 ? INT64_MIN : f->when.taken_us);
}

int filing_retire(struct db *db, const struct uuid *id, int revision)
{
	int rc = db_run(db,
		"DELETE FROM evidence WHERE reading IN (SELECT id FROM reading WHERE uuid=? AND "
		"revision<?)",
		"bi", id->bytes, sizeof(id->bytes), (int64_t)revision);
	if (rc >= 0)
		rc = db_run(db, "UPDATE reading SET superseded=1 WHERE uuid=? AND revision<?", "bi",
			id->bytes, sizeof(id->bytes), (int64_t)revision);
	return MIN(rc, 0);
}
