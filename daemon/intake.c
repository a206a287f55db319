/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "intake.h"

#include "alerts.h"
#include "card.h"
#include "epoch.h"
#include "filing.h"
#include "gateway.h"
#include "loan.h"
#include "log.h"
#include "person.h"
#include "place.h"
#include "resident.h"
#include "revision.h"
#include "span.h"
#include "study.h"
#include "technical.h"
#include "visit.h"
#include "whose.h"

#include <errno.h>
#include <sha2.h>

#define EVENTS_KEPT 20000 /* events that nobody waits for: the newest ones stay */

int64_t intake_device(
	struct db *db, const char *name, const char *driver, const char *address, char *uid)
{
	int rc = db_run(db,
		"INSERT INTO device(name,driver,address) VALUES(?,?,?) ON CONFLICT(name) DO "
		"UPDATE SET driver=excluded.driver, address=excluded.address",
		"ttt", name, driver, address);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT id,uid FROM device WHERE name=?", "t", name);
	rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	const char *text = row_text(r, 1);
	text_set(uid, 96, text);
	return row_int(r, 0);
}

/* events */

int intake_event(struct gateway *g, struct db *db, int64_t device, const char *type,
	const char *detail, const struct bytes *raw, int64_t at_us, bool forward)
{
	struct uuid id = uuid_random();
	int rc = db_run(db, "INSERT INTO event(uuid,device,type,at,detail,raw) VALUES(?,?,?,?,?,?)",
		"bptitb", id.bytes, sizeof(id.bytes), device ? &device : NULL, type, at_us,
		detail && detail[0] ? detail : NULL, raw ? raw->at : NULL, raw ? raw->len : 0);
	if (rc < 0)
		return rc;
	int64_t row = db_last_id(db);
	if (row % 256 == 0)
		rc = db_run(db,
			"DELETE FROM event WHERE id<=? AND NOT EXISTS (SELECT 1 "
			"FROM outbox WHERE outbox.uuid=event.uuid)",
			"i", row - EVENTS_KEPT);
	if (rc < 0)
		return rc;
	return forward ? outbox_add(g->outbox, db, OBJECT_EVENT, row, &id, 1) : 0;
}

/* Noise stays on the gateway; what a person should act upon is told to the platform. */
static bool worth_telling(const char *type)
{
	static const char *const types[] = {"failed_measurement", "device_error", "memory_full",
		"implausible", "unsupported", "control_solution", "device_identity_changed",
		"episode", "unknown_card"};
	for (size_t i = 0; i < ELEMENTS(types); i++)
		if (streq(type, types[i]))
			return true;
	return false;
}

static int file_event(
	struct gateway *g, struct db *db, const struct unit *u, const struct happening *e)
{
	if (streq(e->type, "battery")) {
		int rc = db_run(db, "UPDATE device SET battery=? WHERE id=?", "ii", e->value,
			u->device_row);
		return rc < 0 ? rc : technical_battery(g, db, u, e->value);
	}
	if (streq(e->type, "device_clock"))
		return 0; /* filed with the unit's offset */
	if (streq(e->type, "drained"))
		return 0; /* after the readings of this unit */
	if (streq(e->type, "clock_set"))
		return error_only(db_run(db,
			"INSERT INTO audit(at,author,action,object,detail) SELECT "
			"?,'gateway','clock_set',name,? FROM device WHERE id=?",
			"iti", u->arrived_us, e->detail, u->device_row));
	int rc = intake_event(g, db, u->device_row, e->type, e->detail, &e->raw, u->arrived_us,
		worth_telling(e->type));
	return rc < 0 || !streq(e->type, "identity_presented") ? rc : card_presented(g, db, u, e);
}

/* who and when */

static bool of_place(const struct reading *r)
{
	return streq(r->kind, READING_ENVIRONMENT);
}

/* When it was told first: a correction of its numbers may come when somebody else stands there. */
static int64_t first_told(
	struct db *db, const struct uuid *id, struct station_instant *ret, uint8_t boot_id[16])
{
	struct uuid boot;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,arrived,boot_us,boot_id FROM reading WHERE uuid=? AND revision=1", "b",
		id->bytes, sizeof(id->bytes));
	if (row_next(r) <= 0 || !row_uuid(r, 3, &boot))
		return 0;
	memcpy(boot_id, boot.bytes, sizeof(boot.bytes));
	*ret = (struct station_instant){row_int(r, 1), row_int(r, 2), boot_id};
	return row_int(r, 0);
}

static struct station_instant arrival(const struct unit *u)
{
	if (u->other_boot.id)
		return (struct station_instant){u->arrived_us, u->other_boot.us, u->other_boot.id};
	return (struct station_instant){u->arrived_us, u->boot_us, clock_boot_id()};
}

static int whose(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	struct filing *f)
{
	uint8_t boot_id[16];
	struct whose w = {.test = u->test,
		.stranger = u->stranger,
		.conflict = f->conflict,
		.device = u->device_row,
		.user = r->user,
		.arrived_us = u->arrived_us,
		.station = u->station,
		.reading = {
			.kind = r->kind, .when = f->when, .live = r->live, .arrived = arrival(u)}};
	if (r->status == VG_CORRECTED)
		w.reading.row = first_told(db, &r->id, &w.reading.arrived, boot_id);
	int rc = whose_named(db, u, r, &f->named);
	if (rc < 0)
		return rc;
	f->has_named = rc > 0;
	w.named = f->has_named ? &f->named : NULL;
	return whose_decide(g, db, &w, &f->who);
}

/* A reading of a place is nobody's, and nobody has to look for its owner. */
int intake_decide(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	bool conflict, struct filing *f)
{
	*f = (struct filing){
		.when = clock_decide(&(struct when_input){.device = r->has_taken ? &r->taken : NULL,
			.live = r->live,
			.epochs = u->epochs,
			.n_epochs = u->n_epochs,
			.set_us = u->clock_set_us,
			.arrived_us = u->arrived_us}),
		.who = {.evidence = "place", .grade = "none"},
		.status = "final",
		.conflict = conflict,
		.revision = 1};
	if (r->at)
		f->when = *r->at;
	if (of_place(r))
		return 0;
	int rc = 0;
	if (r->of && !conflict)
		f->who = *r->of;
	else
		rc = whose(g, db, u, r, f);
	f->status = f->who.resident ? "final" : "unassigned";
	filing_contract(db, f);
	return rc;
}

/* Whoever is checked in there is still measured; what is contradicted shows nothing. */
int intake_claimed(struct gateway *g, struct db *db, const struct unit *u, const struct filing *f)
{
	struct station_instant at = arrival(u);
	return f->who.checkin ? station_claimed(g, db, f->who.checkin, &at) : 0;
}

/* rows */

/* What was typed is a person's until proven a token: keep a keyed hash, to recognise it again. */
bool intake_patient_hash(
	const struct gateway *g, const struct unit *u, const struct reading *r, uint8_t out[32])
{
	if (!r->has_patient || u->patient_field == PATIENT_FIELD_IGNORE)
		return false;
	SHA2_CTX c;
	SHA256Init(&c);
	SHA256Update(&c, g->site_key, sizeof(g->site_key));
	SHA256Update(&c, (const uint8_t *)r->patient, strlen(r->patient));
	SHA256Final(out, &c);
	return true;
}

static char *body_of(const struct unit *u, const struct reading *r)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	reading_json_body(r, &j, true);
	if (r->has_patient && u->patient_field == PATIENT_FIELD_SAMPLE) {
		char sample[VG_TEXT_MAX + 1];
		text_set(sample, sizeof(sample), r->patient);
		reading_mask(sample);
		json_str(&j, "sample", sample);
	}
	json_object_end(&j);
	char *text = json_take(&j);
	json_free(&j);
	return text;
}

static int insert_reading(struct gateway *g, struct db *db, const struct unit *u,
	const struct reading *r, const struct uuid *id, const struct uuid *conflicts_with,
	struct filing *f)
{
	_cleanup_(freep) char *body = body_of(u, r);
	uint8_t patient[SHA256_DIGEST_LENGTH];
	bool has_patient = intake_patient_hash(g, u, r, patient);
	char device_time[24], driver[48];
	int64_t user = r->user;
	const char *place = of_place(r) && u->place && u->place[0] ? u->place : NULL;
	const char *station = u->station && u->station[0] ? u->station : NULL;
	const struct resident_decision *who = &f->who;
	_cleanup_(freep) char *reasons = filing_reasons(who);
	if (!body || !reasons != !who->n_claims)
		return -ENOMEM;
	snprintf(driver, sizeof(driver), "%s/%u", u->driver, u->driver_version);
	int rc = db_run(db,
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,device_time,arrived,boot_id,boot_us,offset_us,taken,"
		"uncertainty_us,trust,user_slot,seq,body,patient_hash,content,conflicts_with,raw,"
		"driver,tables_version,committed_boot_us,place,live,named,checkin,reasons,station) "
		"VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"bittipttiitibipiitpptbbbbttitipptt", id->bytes, sizeof(id->bytes),
		(int64_t)f->revision, f->status, r->kind, u->device_row,
		who->resident ? &who->resident : NULL, who->evidence, who->grade,
		(int64_t)f->in_contract, (int64_t)u->test,
		r->has_taken ? clock_civil_text(device_time, &r->taken) : NULL, u->arrived_us,
		clock_boot_id(), (size_t)16, u->boot_us, u->offset_known ? &u->offset_us : NULL,
		f->when.taken_us, f->when.uncertainty_us, trust_name(f->when.trust),
		user >= 0 ? &user : NULL, r->seq >= 0 ? &r->seq : NULL, body,
		has_patient ? patient : NULL, has_patient ? sizeof(patient) : 0, r->content.bytes,
		sizeof(r->content.bytes), conflicts_with ? conflicts_with->bytes : NULL,
		conflicts_with ? sizeof(conflicts_with->bytes) : 0, r->raw.at, r->raw.len, driver,
		codes_version(g->codes), clock_boot_us(), place, (int64_t)r->live,
		f->has_named ? &f->named : NULL, who->checkin ? &who->checkin : NULL, reasons,
		station);
	if (rc < 0)
		return rc;
	f->row = db_last_id(db);
	return outbox_add(g->outbox, db, OBJECT_READING, f->row, id, f->revision);
}

/* a reading */

static bool known_content(struct db *db, const struct uuid *id, const struct uuid *content)
{
	return db_int(db, 0, "SELECT 1 FROM reading WHERE uuid=? AND content=? LIMIT 1", "bb",
		       id->bytes, sizeof(id->bytes), content->bytes, sizeof(content->bytes)) == 1;
}

/* A correction of the instrument's numbers does not undo what a person decided about them: whose they are, and that
 * they are void. */
static void keep_person(struct db *db, const struct uuid *id, int revision, struct filing *f)
{
	if (db_int(db, 0,
		    "SELECT status='entered-in-error' FROM reading WHERE uuid=? AND revision=?",
		    "bi", id->bytes, sizeof(id->bytes), (int64_t)revision) == 1)
		f->status = REVISION_VOID;
	int64_t resident = db_int(db, -1,
		"SELECT coalesce(resident,0) FROM reading WHERE uuid=? AND revision=? AND "
		"evidence='assigned_by_person'",
		"bi", id->bytes, sizeof(id->bytes), (int64_t)revision);
	if (resident < 0)
		return;
	f->who = (struct resident_decision){.resident = resident,
		.evidence = "assigned_by_person",
		.grade = resident ? "person" : "none"};
	filing_contract(db, f);
}

static bool is_control(const struct reading *r)
{
	for (unsigned i = 0; i < r->n_quantities; i++)
		if (streq(r->quantities[i].code->kind, KIND_CONTROL))
			return true;
	return false;
}

int intake_reading(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r)
{
	int last = (int)db_int(db, 0, "SELECT max(revision) FROM reading WHERE uuid=?", "b",
		r->id.bytes, sizeof(r->id.bytes));
	if (last && known_content(db, &r->id, &r->content))
		return 0; /* told again: harmless */
	bool amends = last && r->status == VG_CORRECTED;
	bool conflict = last && !amends;
	struct uuid id = r->id;
	if (conflict) {
		uint8_t both[32];
		memcpy(both, r->id.bytes, 16);
		memcpy(both + 16, r->content.bytes, 16);
		id = uuid_of("conflict", both, sizeof(both));
		if (known_content(db, &id, &r->content))
			return 0;
	}
	struct filing f;
	struct reading carried;
	int64_t before = 0;
	int rc = intake_decide(g, db, u, r, conflict, &f);
	if (rc < 0)
		return rc;
	if (amends) {
		carried = *r;
		rc = person_carry(g, db, &id, &carried);
		r = &carried;
		before = db_int(db, 0, "SELECT resident FROM reading WHERE uuid=? AND revision=?",
			"bi", id.bytes, sizeof(id.bytes), (int64_t)last);
		f.revision = last + 1;
		keep_person(db, &id, last, &f);
		if (!streq(f.status, REVISION_VOID))
			f.status = f.who.resident || of_place(r) ? "amended" : "unassigned";
		if (rc >= 0)
			rc = filing_retire(db, &id, f.revision);
	}
	if (rc >= 0)
		rc = insert_reading(g, db, u, r, &id, conflict ? &r->id : NULL, &f);
	if (of_place(r))
		return rc < 0 ? rc : place_judge(g, db, u, r, &id);
	if (rc >= 0)
		rc = intake_claimed(g, db, u, &f);
	if (rc >= 0 && f.who.resident && !streq(f.status, REVISION_VOID))
		rc = filing_all_evidence(g, db, r, &f);
	if (rc >= 0 && before && before != f.who.resident)
		rc = visit_touch(g, db, before); /* what it rested on is gone */
	if (rc >= 0 && before)
		rc = visit_reading_changed(g, db, &id, before);
	if (rc >= 0 && amends)
		rc = alerts_leave(g, db, &id, is_control(r) ? LEFT_CONTROL : LEFT_CORRECTED, NULL);
	return rc < 0 ? rc : alerts_judge(g, db, u, r, &id, &f);
}

/* the unit */

/* The first reading or study enrols: until then a device may still hide its serial number from us. */
static int file_device(struct db *db, const struct unit *u)
{
	const uint32_t *n = u->counts;
	int rc = db_run(db,
		"UPDATE device SET uid=coalesce(uid,?), last_seen=?, ack_mode=?,"
		"n_reading=n_reading+?, n_nothing=n_nothing+?, n_malformed=n_malformed+?,"
		"n_out_of_sequence=n_out_of_sequence+?, n_unsupported=n_unsupported+?,"
		"n_implausible=n_implausible+?,"
		"serial=CASE WHEN ?11=1 OR (session=?10 AND serial=?11-1) THEN ?11 ELSE serial END,"
		"session=CASE WHEN ?11=1 THEN ?10 ELSE session END WHERE id=?12",
		"titiiiiiiiii", (u->readings || u->study.len) && u->uid[0] ? u->uid : NULL,
		u->arrived_us, u->ack_mode, (int64_t)n[VG_READING], (int64_t)n[VG_NOTHING],
		(int64_t)n[VG_MALFORMED], (int64_t)n[VG_OUT_OF_SEQUENCE],
		(int64_t)n[VG_UNSUPPORTED], (int64_t)n[VG_IMPLAUSIBLE], (int64_t)u->session,
		(int64_t)u->serial, u->device_row);
	return MIN(rc, 0);
}

/* A mark says that everything up to it is here. Were a unit before it refused, by a disk that was full for a
 * moment, this would be a lie: the session ends, and the instrument is asked again from the last good mark. */
static int check_marks(struct db *db, const struct unit *u)
{
	if (!u->marks || u->stranger || u->serial == 1)
		return 0;
	bool all = db_int(db, 0, "SELECT 1 FROM device WHERE id=? AND session=? AND serial=?",
			   "iii", u->device_row, (int64_t)u->session, (int64_t)u->serial - 1) == 1;
	return all ? 0 : -ECANCELED;
}

static int file_clock(struct gateway *g, struct db *db, struct unit *u)
{
	if (u->stranger) { /* its clock is no epoch of the enrolled one's */
		u->epochs[0] = (struct clock_epoch){u->offset_us, INT64_MIN, INT64_MAX};
		u->n_epochs = u->offset_known;
		return 0;
	}
	int rc = epoch_observe(db, u);
	if (rc == 1)
		rc = intake_event(g, db, u->device_row, "clock_epoch",
			"its clock was set or reset since it was last seen", NULL, u->arrived_us,
			true);
	epochs_take(db, u);
	return rc;
}

/* Our clock was set: that is known before the first reading that bears its stamp. */
static int note_span(struct db *db, struct unit *u)
{
	struct instant at = {u->arrived_us, u->boot_us};
	int rc = span_note(db, &at, false, &u->set_us);
	return rc == 1 && clock_plausible(at.utc_us) ? epochs_follow(db, at.utc_us - at.boot_us)
						     : MIN(rc, 0);
}

int intake_unit(struct gateway *g, struct db *db, struct unit *u)
{
	int rc = check_marks(db, u);
	if (rc >= 0)
		rc = note_span(db, u);
	if (rc >= 0)
		rc = file_device(db, u);
	if (rc >= 0)
		rc = file_clock(g, db, u);
	if (rc >= 0)
		rc = technical_heard(g, db, u);
	for (struct happening *e = u->events; e && rc >= 0; e = e->next)
		rc = file_event(g, db, u, e);
	for (struct reading *r = u->readings; r && rc >= 0; r = r->next)
		rc = intake_reading(g, db, u, r);
	if (rc >= 0 && u->study.len)
		rc = study_arrive(g, db, u);
	for (struct happening *e = u->events; e && rc >= 0 && !u->stranger; e = e->next)
		if (streq(e->type, "drained"))
			rc = loan_drained(g, db, u->device_row, u->arrived_us);
	for (struct mark *m = u->stranger ? NULL : u->marks; m && rc >= 0; m = m->next)
		rc = db_run(db,
			"INSERT INTO mark(device,key,value) VALUES(?,?,?) ON CONFLICT(device,key) "
			"DO UPDATE SET value=excluded.value",
			"itb", u->device_row, m->key, m->value, m->len);
	return MIN(rc, 0);
}
