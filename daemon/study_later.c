/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What becomes of a study after it was decoded: told again, decoded anew, another resident's. */
#include "study.h"

#include "alerts.h"
#include "gateway.h"
#include "report.h"
#include "revision.h"

#include <errno.h>

struct uuid study_rate_id(const struct uuid *study)
{
	return uuid_of("study rate", study->bytes, sizeof(study->bytes));
}

struct uuid study_statement_id(const struct uuid *study)
{
	return uuid_of("study statement", study->bytes, sizeof(study->bytes));
}

int study_again(struct gateway *g, struct db *db, int64_t row)
{
	int rc = db_run(db, "UPDATE study SET status='undecoded', tries=0 WHERE id=?", "i", row);
	bool expected =
		db_int(db, 0,
			"SELECT 1 FROM study s WHERE id=? AND NOT test AND received IS NULL AND "
			"NOT EXISTS (SELECT 1 FROM report WHERE study=s.id)",
			"i", row) == 1;
	return rc < 0 || !expected ? MIN(rc, 0) : report_expect(g, db, row);
}

int study_tell(struct gateway *g, struct db *db, int64_t row)
{
	int rc = db_run(db,
		"UPDATE study SET revision=revision+1 WHERE id=? AND status<>'undecoded'", "i",
		row);
	struct uuid id;
	int revision = 0;
	if (rc <= 0)
		return rc; /* it is told when it is decoded */
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT uuid,revision FROM study WHERE id=?", "i", row);
		if (row_next(r) <= 0 || !row_uuid(r, 0, &id))
			return -ODD_ROW;
		revision = (int)row_int(r, 1);
	}
	rc = outbox_supersede(db, &id, revision);
	return rc < 0 ? rc : outbox_add(g->outbox, db, OBJECT_STUDY, row, &id, revision);
}

bool study_of_reading(struct db *db, const struct uuid *reading, struct uuid *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT json_extract(body,'$.notes.study') FROM reading WHERE uuid=? AND superseded=0 "
		"AND kind='ecg'",
		"b", reading->bytes, sizeof(reading->bytes));
	const char *text = row_next(r) > 0 ? row_text(r, 0) : NULL;
	return text && strlen(text) == 32 && unhex(ret->bytes, 16, text) && study_row(db, ret);
}

/* Nothing to do when there is none, or it was said to be so already. */
static int follow_rate(struct gateway *g, struct db *db, const struct uuid *rate,
	const struct resident_decision *who)
{
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT resident,evidence,grade,checkin FROM reading WHERE uuid=? AND superseded=0",
			"b", rate->bytes, sizeof(rate->bytes));
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		if (row_int(r, 0) == who->resident && streq(row_text(r, 1), who->evidence) &&
			streq(row_text(r, 2), who->grade) && row_int(r, 3) == who->checkin)
			return 0;
	}
	return revision_make(g, db, rate, &(struct revision){.who = who}, NULL);
}

/* With the heart rate that was measured in it, its report and its alert. */
int study_decide_again(struct gateway *g, struct db *db, int64_t row, const struct uuid *id,
	const struct resident_decision *who, const struct when *when)
{
	struct filing f = {.who = *who};
	_cleanup_(freep) char *reasons = filing_reasons(who);
	if (when)
		f.when = *when;
	else
		f.when.taken_us = db_int(db, 0, "SELECT taken FROM study WHERE id=?", "i", row);
	filing_contract(db, &f);
	int rc = db_run(db,
		"UPDATE study SET status=?, resident=?, evidence=?, grade=?, in_contract=?, checkin=?, "
		"reasons=?, taken=coalesce(?,taken), uncertainty_us=coalesce(?,uncertainty_us), "
		"trust=coalesce(?,trust) WHERE id=?",
		"tpttiptppti", who->resident ? "amended" : "unassigned",
		who->resident ? &who->resident : NULL, who->evidence, who->grade,
		(int64_t)f.in_contract, who->checkin ? &who->checkin : NULL, reasons,
		when ? &when->taken_us : NULL, when ? &when->uncertainty_us : NULL,
		when ? trust_name(when->trust) : NULL, row);
	if (rc >= 0)
		rc = study_tell(g, db, row);
	struct uuid rate = study_rate_id(id), statement = study_statement_id(id);
	if (rc >= 0)
		rc = alerts_move(g, db, &statement, &f);
	if (rc >= 0)
		rc = report_follow(g, db, row, id, &f);
	if (rc >= 0)
		rc = follow_rate(g, db, &rate, who);
	return rc;
}

int study_move(struct gateway *g, struct db *db, int64_t row, const struct uuid *id,
	const struct resident_decision *who)
{
	return study_decide_again(g, db, row, id, who, NULL);
}

int study_assign(struct gateway *g, struct db *db, const struct uuid *id, int64_t resident)
{
	int64_t row;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT id,resident,test,status,evidence FROM study WHERE uuid=?", "b",
			id->bytes, sizeof(id->bytes));
		int rc = row_next(r);
		if (rc <= 0 || streq(row_text(r, 3), "undecoded"))
			return rc < 0 ? rc : -ENOENT;
		if (row_int(r, 2))
			return -EPERM;
		if (row_int(r, 1) == resident &&
			(!resident || streq(row_text(r, 4), "assigned_by_person")))
			return -EALREADY;
		row = row_int(r, 0);
	}
	return study_move(g, db, row, id,
		&(struct resident_decision){.resident = resident,
			.evidence = "assigned_by_person",
			.grade = resident ? "person" : "none"});
}
