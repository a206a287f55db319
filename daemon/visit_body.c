/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "visit_body.h"

#include "gateway.h"
#include "util.h"
#include "visit.h"
#include "visit_facts.h"

#include <errno.h>

static void put_rules(const struct gateway *g, struct json *j)
{
	const struct numbers *n = g->numbers;
	json_object_begin(j, "rules");
	json_str(j, "numbers", n->version);
	json_str(j, "forms", forms_version(g->forms));
	json_str(j, "codes", codes_version(g->codes));
	json_object_end(j);
}

static int put_spans(struct db *db, const struct visit_facts *f, struct json *j)
{
	int rc = 0;
	json_array_begin(j, "windows");
	for (unsigned i = 0; i < f->n_spans && rc >= 0; i++) {
		const struct visit_span *s = &f->spans[i];
		json_object_begin(j, NULL);
		if (s->checkin) {
			size_t len;
			_cleanup_(row_endp) struct row *r = db_query(
				db, "SELECT uuid,station FROM checkin WHERE id=?", "i", s->checkin);
			rc = row_next(r);
			const void *id = rc > 0 ? row_blob(r, 0, &len) : NULL;
			if (id) {
				json_hex(j, "checkin", id, len);
				json_str(j, "station", row_text(r, 1));
			}
		}
		json_time(j, "from", s->from_us);
		if (!s->open)
			json_time(j, "to", s->to_us);
		json_object_end(j);
	}
	json_array_end(j);
	return MIN(rc, 0);
}

static void put_answers(struct json *j, const json_t *answers)
{
	_cleanup_(freep) char *text = json_dumps(answers, JSON_COMPACT);
	json_raw(j, "answers", text ? text : "{}");
}

/* 1 clinic, 2 home, 3 phone: as it was answered. */
static void put_way(struct json *j, const json_t *answers)
{
	const json_t *way = json_object_get(answers, "visit_way");
	if (json_is_integer(way))
		json_int(j, "way", json_integer_value(way));
	else if (json_is_string(way))
		json_int(j, "way", atoi(json_string_value(way)));
	else
		json_none(j, "way");
}

static int body(const struct gateway *g, struct db *db, const struct visit_facts *f,
	struct proposal *ret, struct json *j)
{
	char day[DAY_TEXT];
	json_str(j, "origin", "here");
	json_str(j, "resident", f->token);
	json_str(j, "day", day_text(day, f->in.day));
	put_way(j, f->answers);
	int rc = put_spans(db, f, j);
	proposal_make(&f->in, ret, j);
	put_answers(j, f->answers);
	put_rules(g, j);
	return rc;
}

int visit_body(
	const struct gateway *g, struct db *db, int64_t visit, struct proposal *ret, struct json *j)
{
	struct visit_facts f;
	int rc = visit_facts_read(g, db, visit, clock_utc_us(), &f);
	if (rc > 0)
		rc = body(g, db, &f, ret, j) < 0 ? -ODD_ROW : 1;
	visit_facts_end(&f);
	return rc;
}

int visit_body_elsewhere(const struct gateway *g, struct db *db, int64_t visit, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT token,form,day,answers FROM visit v JOIN resident ON resident.id=v.resident "
		"WHERE v.id=?",
		"i", visit);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	json_t *answers = json_loads(row_text(r, 3), 0, NULL);
	if (!answers)
		return -ODD_ROW;
	json_str(j, "origin", "elsewhere");
	json_str(j, "resident", row_text(r, 0));
	json_str(j, "form", row_text(r, 1));
	json_str(j, "day", row_text(r, 2));
	put_way(j, answers);
	put_answers(j, answers);
	put_rules(g, j);
	json_decref(answers);
	return 1;
}

/* The columns that every visit has. */
struct shown {
	char state[24];
	bool frozen;
};

static int head(struct db *db, int64_t visit, int64_t seq, struct shown *ret, struct json *j)
{
	size_t len;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT uuid,revision,state,reason,evidence_changed,body,(SELECT count(*) FROM "
		"visit_revision WHERE visit=visit.id) FROM visit WHERE id=?",
		"i", visit);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	const void *id = row_blob(r, 0, &len);
	const char *state = row_text(r, 2);
	bool confirmed = streq(state, "confirmed"), wrong = streq(state, "entered-in-error");
	text_copy(ret->state, sizeof(ret->state), state, strlen(state));
	ret->frozen = !row_null(r, 5);
	json_object_begin(j, NULL);
	json_hex(j, "id", id, len);
	json_int(j, "revision", row_int(r, 1));
	if (seq >= 0)
		json_int(j, "seq", seq);
	json_str(j, "status",
		wrong				 ? "entered-in-error"
		: confirmed && row_int(r, 6) > 1 ? "amended"
		: confirmed			 ? "confirmed"
						 : "proposed");
	if (wrong && !row_null(r, 3))
		json_str(j, "reason", row_text(r, 3));
	if (row_int(r, 4))
		json_bool(j, "evidence_changed", true);
	if (ret->frozen)
		json_members(j, row_text(r, 5));
	return 1;
}

/* Whoever was checked in may have left without a word. */
static int proposed(
	const struct gateway *g, struct db *db, int64_t visit, const char *state, struct json *j)
{
	struct proposal p;
	struct visit_facts f;
	int rc = visit_facts_read(g, db, visit, clock_utc_us(), &f);
	if (rc > 0)
		rc = body(g, db, &f, &p, j) < 0 ? -ODD_ROW : 1;
	if (rc > 0)
		json_str(j, "state", streq(state, "open") && !f.open ? "closed" : state);
	visit_facts_end(&f);
	return rc;
}

int visit_json(const struct gateway *g, struct db *db, int64_t visit, int64_t seq, struct json *j)
{
	struct shown s;
	int rc = head(db, visit, seq, &s, j);
	if (rc <= 0)
		return rc;
	if (s.frozen)
		json_str(j, "state", s.state);
	else
		rc = proposed(g, db, visit, s.state, j);
	json_object_end(j);
	return rc;
}

/* a form without a visit */

static int put_latest(struct db *db, int64_t resident, const struct code *code, struct json *j)
{
	char day[DAY_TEXT];
	size_t len;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT e.milli,e.decimals,e.comparator,e.taken,r.grade,r.uuid FROM evidence e JOIN "
		"reading r ON r.id=e.reading WHERE e.resident=? AND e.kind=? AND e.trust IN "
		"('corrected','live') ORDER BY e.taken DESC,e.rowid DESC LIMIT 1",
		"it", resident, code->kind);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	json_object_begin(j, code->kind);
	json_milli(j, "value", row_int(r, 0), (unsigned)row_int(r, 1));
	json_str(j, "unit", code->ucum);
	if (!row_null(r, 2))
		json_str(j, "comparator", row_text(r, 2));
	json_str(j, "day", day_text(day, day_of(row_int(r, 3))));
	json_str(j, "grade", row_text(r, 4));
	const void *id = row_blob(r, 5, &len);
	json_hex(j, "reading", id, len);
	json_object_end(j);
	return 0;
}

static bool has_kind(const char *kinds, const char *kind)
{
	size_t len = strlen(kind), n;
	for (const char *p = kinds; *p; p += n + (p[n] == ' ')) {
		n = strcspn(p, " ");
		if (n == len && memcmp(p, kind, n) == 0)
			return true;
	}
	return false;
}

/* Those of one field; a kind that an earlier field asked for stands there already. */
static int put_kinds(const struct gateway *g, struct db *db, int64_t resident, const char *form,
	unsigned index, struct json *j)
{
	char kinds[96], *save = NULL;
	const char *text = forms_field(g->forms, form, index)->kinds;
	int rc = 0;
	text_copy(kinds, sizeof(kinds), text, strlen(text));
	for (char *k = strtok_r(kinds, " ", &save); k && rc >= 0; k = strtok_r(NULL, " ", &save)) {
		const struct code *code = codes_find(g->codes, k);
		bool before = false;
		for (unsigned i = 0; i < index && !before; i++)
			before = has_kind(forms_field(g->forms, form, i)->kinds, k);
		if (code && !before)
			rc = put_latest(db, resident, code, j);
	}
	return rc;
}

int visit_blank(
	const struct gateway *g, struct db *db, int64_t resident, const char *form, struct json *j)
{
	const struct proposal_input in = {.forms = g->forms,
		.codes = g->codes,
		.numbers = g->numbers,
		.ws = g->ws,
		.form = form,
		.day = DAY_NONE};
	struct proposal p;
	const struct form_field *field;
	int rc = 0;
	proposal_make(&in, &p, j);
	json_object_begin(j, "latest");
	for (unsigned i = 0; rc >= 0 && (field = forms_field(g->forms, form, i)); i++)
		rc = put_kinds(g, db, resident, form, i, j);
	json_object_end(j);
	return rc;
}
