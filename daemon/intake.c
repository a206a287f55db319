/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "intake.h"

#include "gateway.h"
#include "log.h"
#include "resident.h"

#include <errno.h>
#include <jansson.h>
#include <sha2.h>

#define BINDINGS_MAX 64
#define OFFSET_NEWS_US (2 * CLOCK_SECOND_US) /* device clocks tell whole seconds */
#define EVENTS_KEPT 20000 /* events that nobody waits for: the newest ones stay */

/* Where one reading belongs, as decided. */
struct filing {
	struct when when;
	struct resident_decision who;
	bool in_contract;
	bool conflict;
	char recipient[32];
	const char *role;
	int revision;
	const char *status;
	int64_t row;
};

int64_t intake_device(
	struct db *db, const char *name, const char *driver, const char *address, char *uid)
{
	int rc = db_run(db,
		"INSERT INTO device(name,driver,address) VALUES(?,?,?)"
		" ON CONFLICT(name) DO UPDATE SET driver=excluded.driver, address=excluded.address",
		"ttt", name, driver, address);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT id,uid FROM device WHERE name=?", "t", name);
	rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -EIO;
	const char *text = row_text(r, 1);
	text_copy(uid, 96, text ? text : "", text ? strlen(text) : 0);
	return row_int(r, 0);
}

/* --- events ------------------------------------------------------------------------------------ */

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
			"DELETE FROM event WHERE id<=? AND type<>'study' AND NOT EXISTS"
			" (SELECT 1 FROM outbox WHERE outbox.uuid=event.uuid)",
			"i", row - EVENTS_KEPT);
	if (rc < 0)
		return rc;
	return forward ? outbox_add(g->outbox, db, OBJECT_EVENT, row, &id, 1) : 0;
}

/* Noise stays on the gateway; what a person should act upon is told to the platform. */
static bool worth_telling(const char *type)
{
	static const char *const types[] = {"failed_measurement", "device_error", "memory_full",
		"implausible", "unsupported", "control_solution", "device_identity_changed"};
	for (size_t i = 0; i < ELEMENTS(types); i++)
		if (streq(type, types[i]))
			return true;
	return false;
}

static int file_event(
	struct gateway *g, struct db *db, const struct unit *u, const struct happening *e)
{
	if (streq(e->type, "battery"))
		return MIN(db_run(db, "UPDATE device SET battery=? WHERE id=?", "ii", e->value,
				   u->device_row),
			0);
	if (streq(e->type, "device_clock"))
		return 0; /* filed with the unit's offset */
	return intake_event(g, db, u->device_row, e->type, e->detail, &e->raw, u->arrived_us,
		worth_telling(e->type));
}

/* --- who and when ------------------------------------------------------------------------------ */

static size_t bindings_read(struct db *db, int64_t device, struct resident_binding *out)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT resident,user_slot,valid_from,valid_to FROM binding WHERE device=?"
		" ORDER BY valid_from DESC LIMIT 64",
		"i", device);
	size_t n = 0;
	while (n < BINDINGS_MAX && row_next(r) > 0)
		out[n++] = (struct resident_binding){.resident = row_int(r, 0),
			.has_slot = !row_null(r, 1),
			.slot = (int)row_int(r, 1),
			.from_us = row_int(r, 2),
			.to_us = row_null(r, 3) ? INT64_MAX : row_int(r, 3)};
	return n;
}

/* Whom an alert goes to: the contracted doctor, else the site's contact. */
static void route(struct gateway *g, struct db *db, struct filing *f)
{
	f->in_contract = false;
	f->role = "site";
	text_copy(f->recipient, sizeof(f->recipient), g->config->site_contact,
		strlen(g->config->site_contact));
	if (!f->who.resident)
		return;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT doctor,valid_from,valid_to FROM resident WHERE id=?", "i", f->who.resident);
	if (row_next(r) <= 0)
		return;
	const char *doctor = row_text(r, 0);
	f->in_contract = !row_null(r, 1) && f->when.taken_us >= row_int(r, 1) &&
			 (row_null(r, 2) || f->when.taken_us < row_int(r, 2));
	if (!f->in_contract || !doctor || !doctor[0])
		return;
	f->role = "doctor";
	text_copy(f->recipient, sizeof(f->recipient), doctor, strlen(doctor));
}

static struct filing decide(struct gateway *g, struct db *db, const struct unit *u,
	const struct reading *r, bool conflict)
{
	struct resident_binding bindings[BINDINGS_MAX];
	struct filing f = {
		.when = clock_decide(&(struct when_input){.device = r->has_taken ? &r->taken : NULL,
			.offset_known = u->offset_known,
			.offset_us = u->offset_us,
			.arrived_us = u->arrived_us}),
		.conflict = conflict,
		.revision = 1};
	bool named = r->has_patient && u->patient_field == PATIENT_FIELD_TOKEN;
	struct resident_evidence e = {.test = u->test,
		.stranger = u->stranger,
		.conflict = conflict,
		.when = f.when,
		.arrived_us = u->arrived_us,
		.user = r->user,
		.bindings = bindings,
		.n_bindings = bindings_read(db, u->device_row, bindings),
		.has_patient = named,
		.patient_resident = named ? db_int(db, 0, "SELECT id FROM resident WHERE token=?",
						    "t", r->patient)
					  : 0};
	f.who = resident_decide(&e);
	f.status = f.who.resident ? "final" : "unassigned";
	route(g, db, &f);
	return f;
}

/* --- rows -------------------------------------------------------------------------------------- */

/* What was typed is a person's until proven a token: keep a keyed hash, to recognise it again. */
static bool patient_hash(
	const struct gateway *g, const struct unit *u, const struct reading *r, uint8_t *out)
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
		text_copy(sample, sizeof(sample), r->patient, strlen(r->patient));
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
	bool has_patient = patient_hash(g, u, r, patient);
	char device_time[24], driver[48];
	int64_t user = r->user;
	if (!body)
		return -ENOMEM;
	snprintf(driver, sizeof(driver), "%s/%u", u->driver, u->driver_version);
	int rc = db_run(db,
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,device_time,arrived,boot_id,boot_us,offset_us,taken,uncertainty_"
		"us,"
		"trust,user_slot,seq,body,patient_hash,content,conflicts_with,raw,driver,tables_"
		"version,"
		"committed_boot_us) "
		"VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"bittipttiitibipiitpptbbbbtti", id->bytes, sizeof(id->bytes), (int64_t)f->revision,
		f->status, r->kind, u->device_row, f->who.resident ? &f->who.resident : NULL,
		f->who.evidence, f->who.grade, (int64_t)f->in_contract, (int64_t)u->test,
		r->has_taken ? clock_civil_text(device_time, &r->taken) : NULL, u->arrived_us,
		clock_boot_id(), (size_t)16, u->boot_us, u->offset_known ? &u->offset_us : NULL,
		f->when.taken_us, f->when.uncertainty_us, trust_name(f->when.trust),
		user >= 0 ? &user : NULL, r->seq >= 0 ? &r->seq : NULL, body,
		has_patient ? patient : NULL, has_patient ? sizeof(patient) : 0, r->content.bytes,
		sizeof(r->content.bytes), conflicts_with ? conflicts_with->bytes : NULL,
		conflicts_with ? sizeof(conflicts_with->bytes) : 0, r->raw.at, r->raw.len, driver,
		codes_version(g->codes), clock_boot_us());
	if (rc < 0)
		return rc;
	f->row = db_last_id(db);
	return outbox_add(g->outbox, db, OBJECT_READING, f->row, id, f->revision);
}

static int add_evidence(const struct gateway *g, struct db *db, const struct filing *f,
	const char *kind, struct value value, char comparator)
{
	char text[2] = {comparator, 0};
	return MIN(db_run(db,
			   "INSERT INTO "
			   "evidence(resident,kind,taken,reading,milli,decimals,comparator,"
			   "trust,tables_version) VALUES(?,?,?,?,?,?,?,?,?)",
			   "itiiiittt", f->who.resident, kind, f->when.taken_us, f->row,
			   value.milli, (int64_t)value.decimals, comparator ? text : NULL,
			   trust_name(f->when.trust), codes_version(g->codes)),
		0);
}

/* The drafts of the programmes that this resident is in say something new. */
static int touch_drafts(struct gateway *g, struct db *db, int64_t resident)
{
	char programmes[128] = "";
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT programmes FROM resident WHERE id=?", "i", resident);
		if (row_next(r) > 0)
			text_copy(programmes, sizeof(programmes), row_text(r, 0),
				strlen(row_text(r, 0)));
	}
	char *save = NULL;
	for (char *p = strtok_r(programmes, ";", &save); p; p = strtok_r(NULL, ";", &save)) {
		const char *form = followup_form(p);
		if (!form)
			continue;
		struct uuid fresh = uuid_random();
		int rc = db_run(db,
			"INSERT INTO draft(uuid,resident,form,revision,changed)"
			" SELECT ?1,?2,?3,1,?4 WHERE NOT EXISTS"
			" (SELECT 1 FROM draft WHERE resident=?2 AND form=?3)",
			"biti", fresh.bytes, sizeof(fresh.bytes), resident, form, clock_utc_us());
		if (rc == 0)
			rc = db_run(db,
				"UPDATE draft SET revision=revision+1, changed=? WHERE resident=? "
				"AND form=?",
				"iit", clock_utc_us(), resident, form);
		if (rc < 0)
			return rc;
		struct uuid id = fresh;
		int64_t row = 0;
		int revision = 1;
		{
			_cleanup_(row_endp) struct row *d = db_query(db,
				"SELECT id,uuid,revision FROM draft WHERE resident=? AND form=?",
				"it", resident, form);
			if (row_next(d) <= 0)
				return -EIO;
			size_t len;
			const void *bytes = row_blob(d, 1, &len);
			memcpy(id.bytes, bytes, MIN(len, sizeof(id.bytes)));
			row = row_int(d, 0);
			revision = (int)row_int(d, 2);
		}
		rc = outbox_supersede(db, &id, revision);
		if (rc >= 0)
			rc = outbox_add(g->outbox, db, OBJECT_FOLLOWUP, row, &id, revision);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_all_evidence(
	struct gateway *g, struct db *db, const struct reading *r, const struct filing *f)
{
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const struct quantity *q = &r->quantities[i];
		int rc = add_evidence(g, db, f, q->code->kind, q->value, q->comparator);
		if (rc < 0)
			return rc;
	}
	return touch_drafts(g, db, f->who.resident);
}

/* --- alerts ------------------------------------------------------------------------------------ */

static char *alert_body(
	const struct reading *r, const struct alert_verdict *v, const struct alert_doubt *doubt)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_array_begin(&j, "rules");
	for (unsigned i = 0; i < v->n; i++) {
		const struct alert_rule *rule = v->rules[i];
		const struct quantity *q = &r->quantities[v->quantity[i]];
		json_object_begin(&j, NULL);
		json_str(&j, "id", rule->id);
		json_str(&j, "kind", q->code->kind);
		json_milli(&j, "value", q->value.milli, q->value.decimals);
		if (q->comparator)
			json_string_n(&j, "comparator", &q->comparator, 1);
		json_str(&j, "unit", q->code->ucum);
		json_milli(&j, "limit", rule->limit_milli, q->value.decimals);
		json_str(&j, "text_zh", rule->zh);
		json_str(&j, "text_en", rule->en);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_array_begin(&j, "labels");
	for (unsigned i = 0; i < doubt->n; i++)
		json_str(&j, NULL, doubt->labels[i]);
	json_array_end(&j);
	json_object_end(&j);
	char *text = json_take(&j);
	json_free(&j);
	return text;
}

/* The alert as it stands now, for the platform. */
static int tell_alert(struct gateway *g, struct db *db, const struct uuid *id)
{
	int64_t row = 0;
	int revision = 0;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT id,revision FROM alert WHERE uuid=?", "b", id->bytes,
				sizeof(id->bytes));
		if (row_next(r) <= 0)
			return -EIO;
		row = row_int(r, 0);
		revision = (int)row_int(r, 1);
	}
	int rc = outbox_supersede(db, id, revision);
	return rc < 0 ? rc : outbox_add(g->outbox, db, OBJECT_ALERT, row, id, revision);
}

/* The instrument corrected itself, and what it says now is dangerous, too: a new fact, whoever
 * acknowledged the old one. */
static int raise_again(struct gateway *g, struct db *db, const struct uuid *id,
	const struct filing *f, enum severity severity, const char *body)
{
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, resident=?, severity=?, state='active', "
		"recipient=?,"
		" role=?, body=?, rules_version=?, ack_author=NULL, ack_outcome=NULL, acked=NULL"
		" WHERE uuid=?",
		"ptttttb", f->who.resident ? &f->who.resident : NULL, severity_name(severity),
		f->recipient, f->role, body, alert_rules_version(g->rules), id->bytes,
		sizeof(id->bytes));
	return rc <= 0 ? rc : tell_alert(g, db, id);
}

/* The id follows from the reading's: the same reading raises the same alert, here or elsewhere, once. */
static int raise_alert(struct gateway *g, struct db *db, const struct unit *u,
	const struct reading *r, const struct uuid *reading, const struct filing *f)
{
	struct alert_verdict v = alert_judge(g->rules, r);
	if (!g->config->alerts || u->test || v.severity < SEVERITY_WARNING)
		return 0;
	struct alert_doubt doubt =
		alert_label(r, &f->when, f->who.resident != 0, f->in_contract, f->conflict);
	_cleanup_(freep) char *body = alert_body(r, &v, &doubt);
	struct uuid id = uuid_of("alert", reading->bytes, sizeof(reading->bytes));
	if (!body)
		return -ENOMEM;
	int rc = db_run(db,
		"INSERT INTO "
		"alert(uuid,revision,reading,resident,severity,state,recipient,role,body,"
		"raised,rules_version) VALUES(?,1,?,?,?,'active',?,?,?,?,?) ON CONFLICT(uuid) DO "
		"NOTHING",
		"bbptttti"
		"t",
		id.bytes, sizeof(id.bytes), reading->bytes, sizeof(reading->bytes),
		f->who.resident ? &f->who.resident : NULL, severity_name(v.severity), f->recipient,
		f->role, body, u->arrived_us, alert_rules_version(g->rules));
	if (rc == 0 && f->revision > 1)
		return raise_again(g, db, &id, f, v.severity, body);
	return rc <= 0 ? rc : outbox_add(g->outbox, db, OBJECT_ALERT, db_last_id(db), &id, 1);
}

/* --- a reading --------------------------------------------------------------------------------- */

static bool known_content(struct db *db, const struct uuid *id, const struct uuid *content)
{
	return db_int(db, 0, "SELECT 1 FROM reading WHERE uuid=? AND content=? LIMIT 1", "bb",
		       id->bytes, sizeof(id->bytes), content->bytes, sizeof(content->bytes)) == 1;
}

static int retire(struct db *db, const struct uuid *id, int revision)
{
	int rc = db_run(db,
		"DELETE FROM evidence WHERE reading IN"
		" (SELECT id FROM reading WHERE uuid=? AND revision<?)",
		"bi", id->bytes, sizeof(id->bytes), (int64_t)revision);
	if (rc >= 0)
		rc = db_run(db, "UPDATE reading SET superseded=1 WHERE uuid=? AND revision<?", "bi",
			id->bytes, sizeof(id->bytes), (int64_t)revision);
	return MIN(rc, 0);
}

static int file_reading(
	struct gateway *g, struct db *db, const struct unit *u, const struct reading *r)
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
	struct filing f = decide(g, db, u, r, conflict);
	int64_t before = 0;
	int rc = 0;
	if (amends) {
		before = db_int(db, 0, "SELECT resident FROM reading WHERE uuid=? AND revision=?",
			"bi", id.bytes, sizeof(id.bytes), (int64_t)last);
		f.revision = last + 1;
		f.status = f.who.resident ? "amended" : "unassigned";
		rc = retire(db, &id, f.revision);
	}
	if (rc >= 0)
		rc = insert_reading(g, db, u, r, &id, conflict ? &r->id : NULL, &f);
	if (rc >= 0 && f.who.resident)
		rc = add_all_evidence(g, db, r, &f);
	if (rc >= 0 && before && before != f.who.resident)
		rc = touch_drafts(g, db, before); /* what it rested on is gone */
	if (rc >= 0)
		rc = raise_alert(g, db, u, r, &id, &f);
	return rc;
}

/* --- the unit ---------------------------------------------------------------------------------- */

/* The first reading enrols: until then a device may still hide its serial number from us. */
static int file_device(struct db *db, const struct unit *u)
{
	const uint32_t *n = u->counts;
	int rc = db_run(db,
		"UPDATE device SET uid=coalesce(uid,?), last_seen=?, ack_mode=?,"
		"n_reading=n_reading+?, n_nothing=n_nothing+?, n_malformed=n_malformed+?,"
		"n_out_of_sequence=n_out_of_sequence+?, n_unsupported=n_unsupported+?,"
		"n_implausible=n_implausible+? WHERE id=?",
		"titiiiiiii", u->readings && u->uid[0] ? u->uid : NULL, u->arrived_us, u->ack_mode,
		(int64_t)n[VG_READING], (int64_t)n[VG_NOTHING], (int64_t)n[VG_MALFORMED],
		(int64_t)n[VG_OUT_OF_SEQUENCE], (int64_t)n[VG_UNSUPPORTED],
		(int64_t)n[VG_IMPLAUSIBLE], u->device_row);
	if (rc < 0 || !u->offset_known)
		return MIN(rc, 0);
	int64_t known = db_int(
		db, INT64_MIN, "SELECT offset_us FROM device WHERE id=?", "i", u->device_row);
	if (known != INT64_MIN && llabs(known - u->offset_us) <= OFFSET_NEWS_US)
		return 0;
	rc = db_run(db, "UPDATE device SET offset_us=?, offset_at=? WHERE id=?", "iii",
		u->offset_us, u->arrived_us, u->device_row);
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO device_offset(device,at,boot_id,boot_us,offset_us)"
			" VALUES(?,?,?,?,?)",
			"iibii", u->device_row, u->arrived_us, clock_boot_id(), (size_t)16,
			u->boot_us, u->offset_us);
	return MIN(rc, 0);
}

int intake_unit(struct gateway *g, struct db *db, struct unit *u)
{
	int rc = file_device(db, u);
	for (struct happening *e = u->events; e && rc >= 0; e = e->next)
		rc = file_event(g, db, u, e);
	for (struct reading *r = u->readings; r && rc >= 0; r = r->next)
		rc = file_reading(g, db, u, r);
	for (struct mark *m = u->marks; m && rc >= 0; m = m->next)
		rc = db_run(db,
			"INSERT INTO mark(device,key,value) VALUES(?,?,?)"
			" ON CONFLICT(device,key) DO UPDATE SET value=excluded.value",
			"itb", u->device_row, m->key, m->value, m->len);
	return MIN(rc, 0);
}

/* --- assigning --------------------------------------------------------------------------------- */

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
		rc = add_evidence(g, db, f, kind, value, comparator ? comparator[0] : 0);
		if (rc < 0)
			break;
	}
	json_decref(root);
	return rc;
}

/* The alert of a reading follows it to its new recipient, as a new revision. An acknowledgement stays. */
static int move_alert(
	struct gateway *g, struct db *db, const struct uuid *reading, const struct filing *f)
{
	struct uuid id = uuid_of("alert", reading->bytes, sizeof(reading->bytes));
	/* the labels say what is doubtful now; alert_label() writes "unconfirmed" first, then these */
	const char *labels = !f->who.resident ? "[\"unconfirmed\",\"unassigned\""
			     : f->in_contract ? "[\"unconfirmed\""
					      : "[\"unconfirmed\",\"out_of_contract\"";
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, resident=?, recipient=?, role=?, body="
		"replace(replace(replace(body,'[\"unconfirmed\",\"unassigned\"','[\"unconfirmed\"'),"
		"'[\"unconfirmed\",\"out_of_contract\"','[\"unconfirmed\"'),'[\"unconfirmed\"',?)"
		" WHERE uuid=?",
		"ptttb", f->who.resident ? &f->who.resident : NULL, f->recipient, f->role, labels,
		id.bytes, sizeof(id.bytes));
	return rc <= 0 ? rc : tell_alert(g, db, &id);
}

int intake_assign(struct gateway *g, struct db *db, const struct uuid *id, int64_t resident)
{
	struct filing f = {.who = {resident, "person", resident ? "person" : "none"},
		.status = resident ? "amended" : "unassigned"};
	int64_t old = 0, before = 0;
	_cleanup_(freep) char *body = NULL;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT id,revision,taken,trust,resident,body,test FROM reading WHERE "
			"uuid=? AND "
			"superseded=0",
			"b", id->bytes, sizeof(id->bytes));
		int rc = row_next(r);
		if (rc <= 0)
			return rc < 0 ? rc : -ENOENT;
		if (row_int(r, 6))
			return -EPERM;
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
	route(g, db, &f);
	int rc = db_run(db,
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,device_time,arrived,boot_id,boot_us,offset_us,taken,uncertainty_"
		"us,"
		"trust,user_slot,seq,body,patient_hash,content,conflicts_with,raw,driver,tables_"
		"version,"
		"committed_boot_us) SELECT uuid,?,?,kind,device,?,'assigned_by_person',?,?,test,"
		"device_time,arrived,boot_id,boot_us,offset_us,taken,uncertainty_us,trust,user_"
		"slot,seq,"
		"body,patient_hash,content,conflicts_with,raw,driver,tables_version,?"
		" FROM reading WHERE id=?",
		"itptiii", (int64_t)f.revision, f.status, resident ? &resident : NULL, f.who.grade,
		(int64_t)f.in_contract, clock_boot_us(), old);
	if (rc < 0)
		return rc;
	f.row = db_last_id(db);
	rc = retire(db, id, f.revision);
	if (rc >= 0)
		rc = outbox_add(g->outbox, db, OBJECT_READING, f.row, id, f.revision);
	if (rc >= 0 && resident)
		rc = evidence_from_body(g, db, body, &f);
	if (rc >= 0 && resident)
		rc = touch_drafts(g, db, resident);
	if (rc >= 0 && before)
		rc = touch_drafts(g, db, before);
	if (rc >= 0)
		rc = move_alert(g, db, id, &f);
	return rc;
}
