/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study.h"

#include "alert_words.h"
#include "alerts.h"
#include "gateway.h"
#include "intake.h"
#include "log.h"
#include "report.h"
#include "statement.h"

#include <errno.h>
#include <jansson.h>
#include <sha2.h>

#define STATEMENT_CONDITION "ecg-statement"

#define BODY_MAX \
	(64 * 1024) /* of what is forwarded: it goes in one message, with every report (link.h) */

int64_t study_row(struct db *db, const struct uuid *id)
{
	return db_int(
		db, 0, "SELECT id FROM study WHERE uuid=?", "b", id->bytes, sizeof(id->bytes));
}

/* arriving */

static int store_pieces(struct db *db, int64_t row, const struct bytes *original)
{
	int rc = 0;
	for (size_t at = 0; at < original->len && rc >= 0; at += STUDY_PIECE_BYTES)
		rc = db_run(db, "INSERT INTO study_piece(study,n,bytes) VALUES(?,?,?)", "iib", row,
			(int64_t)(at / STUDY_PIECE_BYTES), original->at + at,
			MIN(original->len - at, (size_t)STUDY_PIECE_BYTES));
	return MIN(rc, 0);
}

int study_arrive(struct gateway *g, struct db *db, const struct unit *u)
{
	uint8_t key[sizeof(u->uid) + SHA256_DIGEST_LENGTH] = {0}, *sha = key + sizeof(u->uid);
	SHA2_CTX c;
	SHA256Init(&c);
	SHA256Update(&c, u->study.at, u->study.len);
	SHA256Final(sha, &c);
	memcpy(key, u->uid, strlen(u->uid));
	/* what a trial sent is no record of anybody; the same file may be one of somebody later */
	struct uuid id = uuid_of(u->test ? "test study" : "study", key, sizeof(key));
	if (study_row(db, &id))
		return 0; /* sent again: harmless */
	char driver[48];
	snprintf(driver, sizeof(driver), "%s/%u", u->driver, u->driver_version);
	int rc = db_run(db,
		"INSERT INTO study(uuid,revision,status,device,driver,arrived,boot_id,boot_us,test,"
		"stranger,bytes,sha256,station) VALUES(?,0,'undecoded',?,?,?,?,?,?,?,?,?,?)",
		"bitibiiiibt", id.bytes, sizeof(id.bytes), u->device_row, driver, u->arrived_us,
		clock_boot_id(), (size_t)16, u->boot_us, (int64_t)u->test, (int64_t)u->stranger,
		(int64_t)u->study.len, sha, (size_t)SHA256_DIGEST_LENGTH,
		u->station && u->station[0] ? u->station : NULL);
	int64_t row = db_last_id(db);
	if (rc >= 0)
		rc = store_pieces(db, row, &u->study);
	return rc < 0 || u->test ? MIN(rc, 0) : report_expect(g, db, row);
}

/* for the decoder */

/* 1; nothing in `ret` when the pieces do not make the whole. */
static int load_original(struct db *db, int64_t row, size_t bytes, struct bytes *ret)
{
	_cleanup_(freep) uint8_t *at = malloc(bytes + 1);
	size_t n = 0, len;
	int rc;
	if (!at)
		return -ENOMEM;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT bytes FROM study_piece WHERE study=? ORDER BY n", "i", row);
	while ((rc = row_next(r)) > 0) {
		const void *piece = row_blob(r, 0, &len);
		if (len > bytes - n)
			return 1;
		memcpy(at + n, piece, len);
		n += len;
	}
	if (rc < 0)
		return rc;
	if (n == bytes)
		*ret = (struct bytes){TAKE(at), n};
	return 1;
}

int study_take(struct db *db, unsigned below, int64_t last_device, struct study_original *ret)
{
	size_t bytes;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT id,device,tries,bytes FROM study INDEXED BY study_undecoded WHERE "
			"status='undecoded' AND tries<? ORDER BY tries,device=?,id LIMIT 1",
			"ii", (int64_t)below, last_device);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		*ret = (struct study_original){.row = row_int(r, 0),
			.device = row_int(r, 1),
			.tries = (unsigned)row_int(r, 2) + 1};
		bytes = (size_t)row_int(r, 3);
	}
	int rc = db_run(db, "UPDATE study SET tries=tries+1 WHERE id=?", "i", ret->row);
	return rc < 0 ? rc : load_original(db, ret->row, bytes, &ret->bytes);
}

int study_put_back(struct db *db, int64_t row)
{
	return error_only(
		db_run(db, "UPDATE study SET tries=tries-1 WHERE id=? AND tries>0", "i", row));
}

/* what the decoder said */

/* A study on its way from undecoded to filed. */
struct filed {
	int64_t row;
	struct uuid id;
	char device[32];
	char driver[48], station[32];
	uint8_t boot_id[16];
	struct unit unit;
	struct reading reading; /* its head: who and when; then the heart rate that was measured */
	const json_t *said;
	char *body;		       /* what is forwarded of it */
	const char *format, *rejected; /* borrowed from `said` */
	struct filing filing;
	int64_t before;		      /* its revision; 0: it is decoded for the first time */
	bool readable;		      /* as it was decoded before */
	struct resident_decision who; /* as it was then */
	char evidence[48], grade[16];
};

static int load(struct db *db, struct filed *s)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT study.uuid,device,device.name,study.driver,arrived,boot_id,boot_us,test,"
		"stranger,device.uid,revision,format,resident,evidence,grade,station,checkin FROM study JOIN device ON device.id=device WHERE study.id=?",
		"i", s->row);
	struct unit *u = &s->unit;
	size_t len;
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	row_uuid(r, 0, &s->id);
	text_copy(s->device, sizeof(s->device), row_text(r, 2), strlen(row_text(r, 2)));
	text_copy(s->driver, sizeof(s->driver), row_text(r, 3), strcspn(row_text(r, 3), "/"));
	u->device_row = row_int(r, 1);
	u->driver = s->driver;
	const char *slash = strchr(row_text(r, 3), '/');
	u->driver_version = (uint16_t)(slash ? atoi(slash + 1) : 0);
	u->arrived_us = row_int(r, 4);
	const void *boot = row_blob(r, 5, &len);
	bool same_boot = len == 16 && memcmp(boot, clock_boot_id(), len) == 0;
	u->boot_us = same_boot ? row_int(r, 6) : clock_boot_us();
	if (!same_boot && len == 16) {
		memcpy(s->boot_id, boot, len);
		u->other_boot.id = s->boot_id;
		u->other_boot.us = row_int(r, 6);
	}
	if (!row_null(r, 15))
		text_copy(s->station, sizeof(s->station), row_text(r, 15), strlen(row_text(r, 15)));
	u->station = s->station;
	u->test = row_int(r, 7);
	u->stranger = row_int(r, 8);
	if (!row_null(r, 9))
		text_copy(u->uid, sizeof(u->uid), row_text(r, 9), strlen(row_text(r, 9)));
	s->before = row_int(r, 10);
	s->readable = !row_null(r, 11);
	text_copy(s->evidence, sizeof(s->evidence), row_text(r, 13), strlen(row_text(r, 13)));
	text_copy(s->grade, sizeof(s->grade), row_text(r, 14), strlen(row_text(r, 14)));
	s->who = (struct resident_decision){.resident = row_int(r, 12),
		.evidence = s->evidence,
		.grade = s->grade,
		.checkin = row_int(r, 16)};
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void take_head(struct gateway *g, struct filed *s)
{
	static const int fields[] = {[PATIENT_IGNORE] = PATIENT_FIELD_IGNORE,
		[PATIENT_TOKEN] = PATIENT_FIELD_TOKEN,
		[PATIENT_SAMPLE] = PATIENT_FIELD_SAMPLE,
		[PATIENT_TYPED] = PATIENT_FIELD_TYPED};
	const struct config_device *c = config_device_named(g->config, s->device);
	const char *id = text_of(json_object_get(s->said, "patient"), "id");
	struct reading *r = &s->reading;
	s->unit.patient_field = c ? fields[c->patient_id] : PATIENT_FIELD_IGNORE;
	s->format = text_of(s->said, "format");
	s->rejected = text_of(s->said, "rejected");
	r->kind = "ecg";
	r->user = -1;
	r->seq = -1;
	r->has_taken = clock_civil_read(text_of(s->said, "acquired_at"), &r->taken);
	r->has_patient = id && id[0];
	if (r->has_patient)
		text_copy(r->patient, sizeof(r->patient), id, strlen(id));
}

/* Everything that the decoder said but who it is: no other member leaves the original. */
static char *body_of(const json_t *said)
{
	static const char *const kept[] = {"format", "rejected", "detail", "urgency", "acquired_at",
		"tz_source", "device", "filters", "interval_us", "uv_per_lsb", "leads",
		"measurements", "interpretation", "warnings"};
	static const char *const of_patient[] = {"sex", "age"};
	json_t *body = json_object(), *patient = json_object();
	for (size_t i = 0; i < ELEMENTS(kept); i++)
		if (json_object_get(said, kept[i]))
			json_object_set(body, kept[i], json_object_get(said, kept[i]));
	for (size_t i = 0; i < ELEMENTS(of_patient); i++) {
		json_t *value = json_object_get(json_object_get(said, "patient"), of_patient[i]);
		if (value)
			json_object_set(patient, of_patient[i], value);
	}
	json_object_set_new(body, "patient", patient);
	char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(body);
	return text;
}

/* A decoder that knows more changes what was measured, and not whose it is: that was decided, perhaps by a person. */
static int decide(struct gateway *g, struct db *db, struct filed *s)
{
	struct filing *f = &s->filing;
	int rc = intake_decide(g, db, &s->unit, &s->reading, false, f);
	if (rc < 0 || !s->before)
		return rc;
	if (s->readable || streq(s->evidence, "assigned_by_person"))
		f->who = s->who;
	f->status = f->who.resident ? "amended" : "unassigned";
	filing_contract(db, f);
	return 0;
}

static int write_down(struct gateway *g, struct db *db, const struct filed *s)
{
	const struct filing *f = &s->filing;
	const struct reading *r = &s->reading;
	uint8_t patient[SHA256_DIGEST_LENGTH];
	bool has_patient = intake_patient_hash(g, &s->unit, r, patient);
	_cleanup_(freep) char *reasons = filing_reasons(&f->who);
	char device_time[24];
	int rc = db_run(db,
		"UPDATE study SET revision=revision+1, status=?, body=?, format=?, resident=?, evidence=?, "
		"grade=?, in_contract=?, device_time=?, taken=?, uncertainty_us=?, trust=?, "
		"patient_hash=?, named=?, checkin=?, reasons=CASE WHEN ? THEN reasons ELSE ? "
		"END WHERE id=?",
		"tttpttitiitbppiti", f->status, s->body, s->rejected ? NULL : s->format,
		f->who.resident ? &f->who.resident : NULL, f->who.evidence, f->who.grade,
		(int64_t)f->in_contract,
		r->has_taken ? clock_civil_text(device_time, &r->taken) : NULL, f->when.taken_us,
		f->when.uncertainty_us, trust_name(f->when.trust), has_patient ? patient : NULL,
		has_patient ? sizeof(patient) : (size_t)0, f->has_named ? &f->named : NULL,
		f->who.checkin ? &f->who.checkin : NULL, (int64_t)(f->who.evidence == s->evidence),
		reasons, s->row);
	return MIN(rc, 0);
}

/* One row for what is known of it, one for each piece of it; the pieces once. */
static int send_it(struct gateway *g, struct db *db, const struct filed *s)
{
	int64_t last = s->before ? -1
				 : db_int(db, -1, "SELECT max(n) FROM study_piece WHERE study=?",
					   "i", s->row);
	int revision = (int)s->before + 1;
	int rc = outbox_supersede(db, &s->id, revision);
	if (rc >= 0)
		rc = outbox_add(g->outbox, db, OBJECT_STUDY, s->row, &s->id, revision);
	for (int64_t n = 0; n <= last && rc >= 0; n++)
		rc = outbox_add(g->outbox, db, OBJECT_PIECE,
			db_int(db, 0, "SELECT id FROM study_piece WHERE study=? AND n=?", "ii",
				s->row, n),
			&s->id, 1);
	return rc;
}

/* what follows from it */

/* The heart rate that the cart measured is a reading like any other: judged, filed, forwarded. */
static int file_rate(struct gateway *g, struct db *db, struct filed *s)
{
	const json_t *hr = json_object_get(json_object_get(s->said, "measurements"), "hr");
	char why[96], study[33];
	if (!json_is_integer(hr))
		return 0;
	struct vg_quantity rate = {
		.kind = "ecg.hr", .value = {json_integer_value(hr), 0}, .unit = "/min"};
	struct vg_note note = {"study", hex(study, s->id.bytes, sizeof(s->id.bytes)), 32};
	struct reading *r = &s->reading;
	struct vg_reading in = {.kind = r->kind,
		.status = s->before ? VG_CORRECTED : VG_FINAL,
		.taken = r->has_taken ? &r->taken : NULL,
		.user = -1,
		.seq = -1,
		.quantities = &rate,
		.n_quantities = 1,
		.notes = &note,
		.n_notes = 1,
		.patient = r->has_patient ? r->patient : NULL,
		.patient_len = strlen(r->patient)};
	struct reading *made = calloc(1, sizeof(*made));
	char raw[32]; /* what it was made of */
	int n = snprintf(raw, sizeof(raw), "hr %lld", (long long)rate.value.mantissa);
	if (!made || !bytes_copy(&made->raw, (const uint8_t *)raw, (size_t)n)) {
		free(made);
		return -ENOMEM;
	}
	enum vg_result result = reading_take(made, &in, s->driver, g->codes, why);
	reading_identify(made, s->unit.uid, s->driver, s->id.bytes, sizeof(s->id.bytes));
	made->id = study_rate_id(&s->id);
	made->has_study = true;
	made->study = s->id;
	made->of = &s->filing.who;
	int rc = result == VG_READING ? intake_reading(g, db, &s->unit, made)
				      : intake_event(g, db, s->unit.device_row, "implausible", why,
						NULL, s->unit.arrived_us, true);
	free(made->raw.at);
	free(made);
	return rc;
}

/* What is found in a cart's words. */
struct acute {
	const struct statements *rules;
	bool fired[STATEMENTS_RULES_MAX];
	const struct statement *first; /* NULL: nothing */
	struct json *j;		       /* the array "rules" */
};

/* Each rule once, with the text that fired it first. */
static void judge_text(struct acute *a, const char *text)
{
	const struct statement *r = NULL;
	while ((r = statement_find(a->rules, r, text))) {
		bool *fired = &a->fired[r - a->rules->rules];
		if (*fired)
			continue;
		*fired = true;
		a->first = a->first ? a->first : r;
		statement_json(a->j, r, text);
	}
}

/* On one line, or broken into two. */
static void judge_lines(struct acute *a, const json_t *list)
{
	const char *before = "";
	const json_t *line;
	char text[600];
	size_t i;
	json_array_foreach(list, i, line)
	{
		const char *one =
			json_is_string(line) ? json_string_value(line) : text_of(line, "text");
		if (!one)
			continue;
		snprintf(text, sizeof(text), "%s", one);
		judge_text(a, text);
		snprintf(text, sizeof(text), "%s %s", before, one);
		judge_text(a, text);
		before = one;
	}
}

static char *statement_doubts(const struct filed *s, const char *status)
{
	struct json j = {0};
	struct alert_doubt doubt = alert_label(&s->reading, &s->filing.when, false);
	json_array_begin(&j, NULL);
	json_str(&j, NULL,
		status && streq(status, "confirmed") ? "confirmed_statement" : "cart_statement");
	for (unsigned i = 0; i < doubt.n; i++)
		json_str(&j, NULL, doubt.labels[i]);
	json_array_end(&j);
	return json_take(&j);
}

/* One alert, whatever the cart has to say. */
static int raise_statement(struct gateway *g, struct db *db, const struct filed *s)
{
	const json_t *interpretation = json_object_get(s->said, "interpretation");
	struct json body = {0};
	struct acute a = {.rules = alert_statements(g->rules), .j = &body};
	if (!g->config->alerts || s->unit.test)
		return 0;
	json_object_begin(&body, NULL);
	json_array_begin(&body, "rules");
	judge_lines(&a, json_object_get(interpretation, "lines"));
	judge_lines(&a, json_object_get(interpretation, "statements"));
	json_array_end(&body);
	json_object_end(&body);
	_cleanup_(freep) char *body_text = json_take(&body),
			      *doubts = statement_doubts(s, text_of(interpretation, "status"));
	if (!body_text || !doubts)
		return -ENOMEM;
	if (!a.first)
		return 0;
	int rc = alerts_raise(g, db,
		&(struct raising){.id = study_statement_id(&s->id),
			.condition = STATEMENT_CONDITION,
			.to = &s->filing,
			.study = &s->id,
			.severity = SEVERITY_CRITICAL,
			.body = body_text,
			.doubts = doubts,
			.raised_us = s->unit.arrived_us,
			.raised_boot_us = s->unit.boot_us});
	return MIN(rc, 0);
}

/* Whoever stands beside the cart can send it again, and nobody else. */
static int tell_unreadable(struct gateway *g, struct db *db, const struct filed *s)
{
	const char *detail = text_of(s->said, "detail");
	char text[96];
	snprintf(text, sizeof(text), "%.12s: %.24s%s%.48s", s->format ? s->format : "unknown",
		s->rejected, detail ? ": " : "", detail ? detail : "");
	log_warn(s->device,
		"a study of it cannot be read (%.32s); it is kept and forwarded as it is",
		s->rejected);
	return intake_event(g, db, s->unit.device_row, "study_unreadable", text, NULL,
		s->unit.arrived_us, true);
}

/* An ECG, whatever of it could be read; and what nobody knows, for it may be one. */
static bool needs_report(const struct filed *s)
{
	static const char *const formats[] = {"scp", "aecg", "ecg90a", "dicom", "pdf"};
	if (s->rejected)
		return streq(s->rejected, STUDY_NOT_DECODED);
	for (size_t i = 0; i < ELEMENTS(formats); i++)
		if (s->format && streq(s->format, formats[i]))
			return true;
	return false;
}

static int file_it(struct gateway *g, struct db *db, struct filed *s)
{
	int rc = load(db, s);
	if (rc < 0)
		return rc;
	take_head(g, s);
	rc = decide(g, db, s);
	if (rc >= 0)
		rc = write_down(g, db, s);
	if (rc >= 0)
		rc = intake_claimed(g, db, &s->unit, &s->filing);
	if (rc >= 0 && s->rejected && (!s->before || s->readable))
		rc = tell_unreadable(g, db, s);
	if (rc >= 0 && s->filing.who.resident != s->who.resident)
		rc = report_follow(g, db, s->row, &s->id, &s->filing);
	if (rc >= 0 && !s->rejected)
		rc = file_rate(g, db, s);
	if (rc >= 0 && !s->rejected)
		rc = raise_statement(g, db, s);
	if (rc >= 0)
		rc = send_it(g, db, s);
	if (rc >= 0 && !needs_report(s))
		rc = report_not_expected(g, db, s->row);
	return MIN(rc, 0);
}

/* Nothing that we could make anything of. */
static json_t *not_decoded(const char *why)
{
	return json_pack(
		"{s:s,s:s,s:s}", "format", "unknown", "rejected", STUDY_NOT_DECODED, "detail", why);
}

/* The decoder's answer, or one that says why there is none, with what is forwarded of it; NULL: no memory. */
static json_t *understand(const char *text, size_t len, const char *why, char **ret_body)
{
	json_error_t e;
	json_t *said = text ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &e) : NULL;
	if (!json_is_object(said) || !text_of(said, "format")) {
		json_decref(said);
		said = not_decoded(why ? why : "its answer is no JSON");
	}
	*ret_body = said ? body_of(said) : NULL;
	if (*ret_body && strlen(*ret_body) > BODY_MAX) {
		free(*ret_body);
		json_decref(said);
		said = not_decoded("its answer is too long to be forwarded");
		*ret_body = said ? body_of(said) : NULL;
	}
	return said;
}

int study_decoded(struct gateway *g, struct db *db, int64_t row, const char *text, size_t len,
	const char *why)
{
	struct filed *s = calloc(1, sizeof(*s));
	_cleanup_(freep) char *body = NULL;
	json_t *said = understand(text, len, why, &body);
	int rc = s && said && body ? 0 : -ENOMEM;
	if (rc >= 0) {
		s->row = row;
		s->said = said;
		s->body = body;
		rc = file_it(g, db, s);
	}
	json_decref(said);
	free(s);
	return rc;
}
