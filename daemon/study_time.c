/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A study that arrived while our clock was wrong: when it was recorded, and whose it is, once our clock is known. */
#include "filing.h"
#include "gateway.h"
#include "intake.h"
#include "report.h"
#include "study.h"

#include <errno.h>

/* As it is in the store. */
struct dated {
	struct uuid id;
	bool decoded, stays; /* stays: whose it is does not depend on when it was */
	int64_t resident, arrived_us;
	char device_time[24], evidence[48], grade[16];
	struct unit unit;
};

static int load(struct db *db, int64_t row, struct dated *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT uuid,status,resident,arrived,device_time,evidence,grade,device,test,stranger,"
		"boot_us FROM study WHERE id=?",
		"i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	row_uuid(r, 0, &ret->id);
	ret->decoded = !streq(row_text(r, 1), "undecoded");
	ret->resident = row_int(r, 2);
	ret->arrived_us = row_int(r, 3);
	if (!row_null(r, 4))
		text_copy(ret->device_time, sizeof(ret->device_time), row_text(r, 4),
			strlen(row_text(r, 4)));
	text_copy(ret->evidence, sizeof(ret->evidence), row_text(r, 5), strlen(row_text(r, 5)));
	text_copy(ret->grade, sizeof(ret->grade), row_text(r, 6), strlen(row_text(r, 6)));
	ret->stays = streq(ret->grade, "person") || streq(ret->grade, "message") ||
		     streq(ret->evidence, "assigned_by_person") ||
		     streq(ret->evidence, "unknown_patient_id");
	ret->unit.device_row = row_int(r, 7);
	ret->unit.test = row_int(r, 8);
	ret->unit.stranger = row_int(r, 9);
	ret->unit.boot_us = row_int(r, 10);
	return 0;
}

/* Its alerts go to whom they concern now. */
static int follow(struct gateway *g, struct db *db, int64_t row, const struct dated *s,
	const struct filing *f)
{
	struct uuid alert = study_statement_id(&s->id);
	if (f->who.resident == s->resident)
		return 0;
	int rc = filing_move_alert(g, db, &alert, f);
	return rc < 0 ? rc : report_follow(g, db, row, &s->id, f);
}

static int decide(struct gateway *g, struct db *db, int64_t row, struct dated *s)
{
	_cleanup_(freep) struct reading *head = calloc(1, sizeof(*head));
	if (!head)
		return -ENOMEM;
	head->kind = "ecg";
	head->user = -1;
	head->seq = -1;
	head->has_taken = clock_civil_read(s->device_time, &head->taken);
	struct filing f;
	int rc = intake_decide(g, db, &s->unit, head, false, &f);
	if (rc < 0)
		return rc;
	if (s->stays)
		f.who = (struct resident_decision){
			.resident = s->resident, .evidence = s->evidence, .grade = s->grade};
	filing_route(g, db, &f);
	rc = db_run(db,
		"UPDATE study SET status=?, resident=?, evidence=?, grade=?, in_contract=?, taken=?, "
		"uncertainty_us=?, trust=? WHERE id=?",
		"tpttiiiti", f.who.resident ? "amended" : "unassigned",
		f.who.resident ? &f.who.resident : NULL, f.who.evidence, f.who.grade,
		(int64_t)f.in_contract, f.when.taken_us, f.when.uncertainty_us,
		trust_name(f.when.trust), row);
	if (rc >= 0)
		rc = follow(g, db, row, s, &f);
	return rc < 0 ? rc : study_tell(g, db, row);
}

/* What the centre said and had is as far off as its arrival. */
int study_redate(struct gateway *g, struct db *db, int64_t row, int64_t arrived_us)
{
	_cleanup_(freep) struct dated *s = calloc(1, sizeof(*s));
	int rc = s ? load(db, row, s) : -ENOMEM;
	if (rc < 0)
		return rc;
	int64_t off_us = arrived_us - s->arrived_us;
	if (!off_us)
		return 0;
	s->unit.arrived_us = arrived_us;
	rc = db_run(db, "UPDATE study SET arrived=?1 WHERE id=?2", "ii", arrived_us, row);
	if (rc >= 0 && s->decoded)
		rc = decide(g, db, row, s);
	return rc < 0 ? rc : 1;
}
