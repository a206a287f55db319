/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "filing.h"

#include "gateway.h"
#include "limit.h"
#include "log.h"
#include "repeat.h"
#include "visit.h"

#include <errno.h>

/* Whom an alert goes to: the contracted doctor, else the site's contact. */
void filing_route(struct gateway *g, struct db *db, struct filing *f)
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

/* alerts */

static char *alert_body(const struct reading *r, const struct alert_verdict *v)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_array_begin(&j, "rules");
	for (unsigned i = 0; i < v->n; i++)
		alert_rule_json(&j, v->rules[i], &r->quantities[v->quantity[i]]);
	json_array_end(&j);
	json_object_end(&j);
	return json_take(&j);
}

static char *doubts_of(const struct reading *r, const struct filing *f)
{
	struct alert_doubt doubt = alert_label(r, &f->when, f->conflict);
	struct json j = {0};
	json_array_begin(&j, NULL);
	for (unsigned i = 0; i < doubt.n; i++)
		json_str(&j, NULL, doubt.labels[i]);
	json_array_end(&j);
	return json_take(&j);
}

int filing_tell(struct gateway *g, struct db *db, const struct uuid *id)
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
	const struct filing *f, enum severity severity, const char *body, const char *doubts)
{
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, resident=?, severity=?, state='active', "
		"recipient=?, role=?, in_contract=?, body=?, doubts=?, rules_version=?, "
		"ack_author=NULL, ack_outcome=NULL, acked=NULL WHERE uuid=?",
		"ptttitttb", f->who.resident ? &f->who.resident : NULL, severity_name(severity),
		f->recipient, f->role, (int64_t)f->in_contract, body, doubts,
		alert_rules_version(g->rules), id->bytes, sizeof(id->bytes));
	return rc <= 0 ? rc : filing_tell(g, db, id);
}

/* The same reading raises the same alert, here or elsewhere, once. */
struct uuid filing_alert_id(const struct uuid *reading)
{
	return uuid_of("alert", reading->bytes, sizeof(reading->bytes));
}

int filing_raise(struct gateway *g, struct db *db, const struct raising *a)
{
	const struct filing *to = a->to;
	int rc = db_run(db,
		"INSERT INTO alert(uuid,revision,reading,resident,severity,state,recipient,role,"
		"in_contract,body,doubts,raised,rules_version,place,device,since,study,boot_id,"
		"raised_boot) VALUES(?,1,?,?,?,'active',?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(uuid) "
		"DO NOTHING",
		"bbptttittittppbbi", a->id.bytes, sizeof(a->id.bytes),
		a->reading ? a->reading->bytes : NULL,
		a->reading ? sizeof(a->reading->bytes) : (size_t)0,
		to->who.resident ? &to->who.resident : NULL, a->severity, to->recipient, to->role,
		(int64_t)to->in_contract, a->body, a->doubts, a->raised_us,
		alert_rules_version(g->rules), a->place, a->place ? &a->device : NULL,
		a->place ? &a->since_us : NULL, a->study ? a->study->bytes : NULL,
		a->study ? sizeof(a->study->bytes) : (size_t)0, clock_boot_id(), (size_t)16,
		a->raised_boot_us);
	if (rc <= 0)
		return rc;
	int64_t row = db_last_id(db);
	char text[33];
	log_note("alert", "%.8s %s, to the %s: %s", hex(text, a->id.bytes, sizeof(a->id.bytes)),
		a->severity, to->role, a->why);
	rc = outbox_add(g->outbox, db, OBJECT_ALERT, row, &a->id, 1);
	return rc < 0 ? rc : 1;
}

static bool raised(struct db *db, const struct uuid *id)
{
	return db_int(db, 0, "SELECT 1 FROM alert WHERE uuid=?", "b", id->bytes,
		       sizeof(id->bytes)) == 1;
}

int filing_alert(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *reading, const struct filing *f)
{
	const struct alert_rules *rules = g->rules;
	struct alert_verdict v = alert_judge(rules, r);
	struct limits personal;
	int rc = limit_judge(db, g->rules, f->who.resident, r, &f->when, &personal, &v);
	if (rc < 0 || !g->config->alerts || u->test || v.severity < SEVERITY_WARNING)
		return rc;
	struct uuid id = filing_alert_id(reading);
	bool repeat = alert_wants_repeat(rules, r, &v) && !raised(db, &id);
	_cleanup_(freep) char *body = alert_body(r, &v);
	_cleanup_(freep) char *doubts = doubts_of(r, f);
	if (!body || !doubts)
		return -ENOMEM;
	struct raising a = {.id = id,
		.to = f,
		.reading = reading,
		.study = r->has_study ? &r->study : NULL,
		.severity = severity_name(v.severity),
		.why = v.rules[0]->id,
		.body = body,
		.doubts = doubts,
		.raised_us = u->arrived_us,
		.raised_boot_us = u->boot_us};
	if (repeat)
		return repeat_ask(g, db, u, r, &a, &v);
	rc = filing_raise(g, db, &a);
	if (rc == 0 && f->revision > 1)
		rc = raise_again(g, db, &id, f, v.severity, body, doubts);
	return MIN(rc, 0);
}

int filing_alert_late(struct gateway *g, struct db *db, const struct reading *r,
	const struct uuid *reading, const struct filing *f, const struct alert_verdict *v)
{
	struct uuid id = filing_alert_id(reading);
	_cleanup_(freep) char *body = alert_body(r, v);
	_cleanup_(freep) char *doubts = doubts_of(r, f);
	if (!body || !doubts)
		return -ENOMEM;
	int rc = filing_raise(g, db,
		&(struct raising){.id = id,
			.to = f,
			.reading = reading,
			.severity = severity_name(v->severity),
			.why = v->rules[0]->id,
			.body = body,
			.doubts = doubts,
			.raised_us = clock_utc_us()});
	if (rc || v->severity < SEVERITY_CRITICAL)
		return MIN(rc, 0);
	bool lower = db_int(db, 0, "SELECT severity='warning' FROM alert WHERE uuid=?", "b",
			     id.bytes, sizeof(id.bytes)) == 1;
	return lower ? raise_again(g, db, &id, f, v->severity, body, doubts) : 0;
}

int filing_move_alert(
	struct gateway *g, struct db *db, const struct uuid *alert, const struct filing *f)
{
	int64_t stays = db_int(db, 0,
		"SELECT doubts LIKE '%\"" FILING_NO_CLEAN_REPEAT "\"%' AND role='site' AND "
		"recipient<>'' FROM alert WHERE uuid=?",
		"b", alert->bytes, sizeof(alert->bytes));
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, resident=?2, in_contract=?3, recipient=CASE "
		"WHEN ?4 THEN recipient ELSE ?5 END, role=CASE WHEN ?4 THEN role ELSE ?6 END WHERE "
		"uuid=?1",
		"bpiitt", alert->bytes, sizeof(alert->bytes),
		f->who.resident ? &f->who.resident : NULL, (int64_t)f->in_contract, stays,
		f->recipient, f->role);
	return rc <= 0 ? rc : filing_tell(g, db, alert);
}

int filing_acknowledge(struct gateway *g, struct db *db, const struct uuid *id, const char *author,
	const char *outcome)
{
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, state=CASE WHEN ? AND state='active' THEN "
		"'acknowledged' ELSE state END, ack_author=?, ack_outcome=?, acked=? WHERE uuid=? AND "
		"(state='active' OR (state='resolved' AND acked IS NULL))",
		"ittib", (int64_t)!streq(outcome, "not_reached"), author, outcome, clock_utc_us(),
		id->bytes, sizeof(id->bytes));
	if (rc <= 0)
		return rc;
	rc = filing_tell(g, db, id);
	return rc < 0 ? rc : 1;
}

int filing_resolve(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us)
{
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, state='resolved', ended=? WHERE uuid=?",
		"ib", at_us, id->bytes, sizeof(id->bytes));
	return rc <= 0 ? rc : filing_tell(g, db, id);
}

int filing_withdraw(struct gateway *g, struct db *db, const struct uuid *id, int64_t at_us)
{
	int rc = db_run(db,
		"UPDATE alert SET revision=revision+1, state='resolved', ended=?, "
		"doubts=json_insert(doubts,'$[#]','voided') WHERE uuid=? AND state<>'resolved'",
		"ib", at_us, id->bytes, sizeof(id->bytes));
	return rc <= 0 ? rc : filing_tell(g, db, id);
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
