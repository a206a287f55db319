/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "revision.h"

#include "alerts.h"
#include "gateway.h"
#include "roster.h"
#include "stored.h"
#include "visit.h"

#include <errno.h>

/* The revision that holds, as far as the next one is decided by it. */
struct former {
	int64_t row, resident;
	bool in_contract, place;
	char evidence[48], grade[16], status[24];
	char *body;
};

static int load(struct db *db, const struct uuid *id, struct former *ret, struct filing *f)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,revision,taken,uncertainty_us,trust,resident,evidence,grade,in_contract,"
		"status,body,checkin FROM reading WHERE uuid=? AND superseded=0",
		"b", id->bytes, sizeof(id->bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	*ret = (struct former){
		.row = row_int(r, 0), .resident = row_int(r, 5), .in_contract = row_int(r, 8)};
	f->revision = (int)row_int(r, 1) + 1;
	f->when = (struct when){row_int(r, 2), row_int(r, 3), trust_named(row_text(r, 4))};
	text_copy(ret->evidence, sizeof(ret->evidence), row_text(r, 6), strlen(row_text(r, 6)));
	text_copy(ret->grade, sizeof(ret->grade), row_text(r, 7), strlen(row_text(r, 7)));
	text_copy(ret->status, sizeof(ret->status), row_text(r, 9), strlen(row_text(r, 9)));
	ret->place = streq(ret->evidence, "place");
	f->who = (struct resident_decision){.resident = ret->resident,
		.evidence = ret->evidence,
		.grade = ret->grade,
		.checkin = row_int(r, 11)};
	ret->body = strdup(row_text(r, 10));
	return ret->body ? 0 : -ENOMEM;
}

/* The numbers of a reading as they stand in its body. */
static int evidence_from_body(
	struct gateway *g, struct db *db, const char *body, const struct filing *f)
{
	_cleanup_(stored_endp) struct stored *s = stored_read(g->codes, body);
	if (!s)
		return -ODD_ROW;
	const struct reading *r = stored_reading(s);
	int rc = 0;
	for (unsigned i = 0; i < r->n_quantities && rc >= 0; i++) {
		const struct quantity *q = &r->quantities[i];
		rc = filing_evidence(g, db, f, q->code->kind, q->value, q->comparator);
	}
	return rc;
}

static int insert(
	struct db *db, const struct former *old, const struct revision *r, const struct filing *f)
{
	const struct resident_decision *who = &f->who;
	_cleanup_(freep) char *reasons = filing_reasons(who);
	return error_only(db_run(db,
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,device_time,arrived,boot_id,boot_us,offset_us,taken,"
		"uncertainty_us,trust,user_slot,seq,body,patient_hash,content,conflicts_with,raw,"
		"driver,tables_version,committed_boot_us,place,live,named,checkin,reasons,station) "
		"SELECT uuid,?2,?3,coalesce(?4,kind),device,?5,?6,?7,?8,test,device_time,"
		"coalesce(?9,arrived),boot_id,boot_us,coalesce(?10,offset_us),?11,?12,?13,user_slot,"
		"seq,coalesce(?14,body),patient_hash,content,conflicts_with,raw,driver,"
		"tables_version,?15,place,live,named,?16,CASE WHEN ?17 THEN ?18 ELSE reasons END,"
		"station FROM reading WHERE id=?1",
		"iittpttippiittipit", old->row, (int64_t)f->revision, f->status, r->kind,
		who->resident ? &who->resident : NULL, who->evidence, who->grade,
		(int64_t)f->in_contract, r->arrived_us, r->offset_us, f->when.taken_us,
		f->when.uncertainty_us, trust_name(f->when.trust), r->body, clock_boot_us(),
		who->checkin ? &who->checkin : NULL, (int64_t)(r->who != NULL), reasons));
}

/* Two records of one resident: his alerts went with it (merge.h). */
static bool merged(struct db *db, int64_t former, int64_t now)
{
	return former && now && roster_files_under(db, former) == now;
}

/* What rested on the former revision, and what rests on this one. */
static int follow(struct gateway *g, struct db *db, const struct uuid *id, const struct former *old,
	const char *body, const struct filing *f)
{
	int64_t now = f->who.resident;
	int rc = filing_retire(db, id, f->revision);
	if (rc >= 0)
		rc = outbox_add(g->outbox, db, OBJECT_READING, f->row, id, f->revision);
	if (rc >= 0 && now && !streq(f->status, REVISION_VOID))
		rc = evidence_from_body(g, db, body, f);
	if (rc >= 0 && now)
		rc = visit_touch(g, db, now);
	if (rc >= 0 && old->resident && old->resident != now)
		rc = visit_touch(g, db, old->resident);
	if (rc >= 0)
		rc = visit_reading_changed(g, db, id, old->resident);
	if (rc < 0 || old->resident == now || merged(db, old->resident, now))
		return MIN(rc, 0);
	return alerts_follow(g, db, id, f, old->resident);
}

int revision_make(struct gateway *g, struct db *db, const struct uuid *id, const struct revision *r,
	struct filing *ret)
{
	struct former old;
	struct filing f = {0};
	int rc = load(db, id, &old, &f);
	if (rc < 0)
		return rc;
	_cleanup_(freep) char *body = old.body;
	f.who = r->who ? *r->who : f.who;
	f.when = r->when ? *r->when : f.when;
	bool stays_void = streq(old.status, REVISION_VOID);
	f.status = r->status			 ? r->status
		   : stays_void			 ? REVISION_VOID
		   : f.who.resident || old.place ? "amended"
						 : "unassigned";
	filing_contract(db, &f);
	rc = insert(db, &old, r, &f);
	f.row = db_last_id(db);
	if (rc >= 0 && r->when)
		rc = alerts_retime(db, id);
	if (rc >= 0)
		rc = follow(g, db, id, &old, r->body ? r->body : body, &f);
	if (rc >= 0 && ret) {
		*ret = f;
		if (!r->who) /* its words live here only */
			ret->who.evidence = ret->who.grade = "";
	}
	return MIN(rc, 0);
}
