/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "visit_freeze.h"

#include "gateway.h"
#include "util.h"
#include "visit.h"
#include "visit_body.h"

#include <errno.h>

/* What of a visit decides later: due or not, twice or not, controlled or not. */
struct outcome {
	int class;
	char next_day[DAY_TEXT];
	char *referral; /* JSON array; NULL: none */
	char result[PROPOSAL_ANSWER_MAX + 1];
};

static const char *answer(const json_t *answers, const char *key, char *out, size_t size)
{
	const json_t *v = json_object_get(answers, key);
	const char *text = json_string_value(v);
	if (json_is_integer(v))
		snprintf(out, size, "%lld", (long long)json_integer_value(v));
	else
		text_set(out, size, text);
	return out;
}

/* What a person said of a referral stands in place of our reasons. */
static void referral_of(struct outcome *o, const json_t *answers, const struct proposal *p)
{
	char text[PROPOSAL_ANSWER_MAX + 1];
	struct json j = {0};
	answer(answers, "referral", text, sizeof(text));
	if (!text[0] && !p->n_referrals)
		return;
	json_array_begin(&j, NULL);
	if (text[0])
		json_str(&j, NULL, text);
	for (unsigned i = 0; !text[0] && i < p->n_referrals; i++)
		json_str(&j, NULL, p->referrals[i]);
	json_array_end(&j);
	o->referral = json_take(&j);
}

/* Of a visit that was held elsewhere: only what was told. */
static struct proposal told(const json_t *answers)
{
	char text[PROPOSAL_ANSWER_MAX + 1];
	struct proposal p = {.at_goal = -1};
	p.class = atoi(answer(answers, "classification", text, sizeof(text)));
	p.next_day = day_read(answer(answers, "next_visit_date", text, sizeof(text)));
	return p;
}

static bool reading_stored(struct db *db, const json_t *id)
{
	uint8_t uuid[16];
	const char *text = json_string_value(id);
	return !text || strlen(text) != 32 || !unhex(uuid, sizeof(uuid), text) ||
	       db_int(db, 0, "SELECT 1 FROM reading WHERE uuid=? LIMIT 1", "b", uuid,
		       sizeof(uuid)) == 1;
}

/* Every "reading" and each of "readings" in the frozen form is there still, in whatever revision. */
static bool evidence_stored(struct db *db, const json_t *at)
{
	size_t i;
	const char *key;
	json_t *value, *id;
	bool all = true;
	json_array_foreach(at, i, value)
	{
		all = all && evidence_stored(db, value);
	}
	json_object_foreach((json_t *)at, key, value)
	{
		bool ids = streq(key, "readings");
		if (streq(key, "reading"))
			all = all && reading_stored(db, value);
		else if (!ids)
			all = all && evidence_stored(db, value);
		json_array_foreach(ids ? value : NULL, i, id)
		{
			all = all && reading_stored(db, id);
		}
	}
	return all;
}

struct frozen {
	bool elsewhere, stored;
	char form[48];
	json_t *answers;
};

static int look(struct db *db, int64_t visit, struct frozen *ret)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT origin,form,answers,body FROM visit WHERE id=?", "i", visit);
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	ret->elsewhere = streq(row_text(r, 0), "elsewhere");
	text_copy(ret->form, sizeof(ret->form), row_text(r, 1), strlen(row_text(r, 1)));
	ret->answers = json_loads(row_text(r, 2), 0, NULL);
	json_t *body = row_null(r, 3) ? NULL : json_loads(row_text(r, 3), 0, NULL);
	ret->stored = evidence_stored(db, json_object_get(body, "fields"));
	json_decref(body);
	return ret->answers ? 0 : -ODD_ROW;
}

static int write_down(struct gateway *g, struct db *db, const struct freezing *f,
	const struct outcome *o, const char *body)
{
	int64_t now = clock_utc_us(), class = o->class;
	int rc = db_run(db,
		"UPDATE visit SET state='confirmed', class=?1, next_day=?2, referral=?3, "
		"referral_result=?4, body=?5, confirmed_by=?6, confirmed_at=coalesce(confirmed_at,?7), "
		"reason=?8, evidence_changed=0 WHERE id=?9",
		"ptttttiti", class ? &class : NULL, o->next_day[0] ? o->next_day : NULL,
		o->referral, o->result[0] ? o->result : NULL, body, f->by, now, f->reason,
		f->visit);
	if (rc >= 0)
		rc = visit_tell(g, db, f->visit);
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO visit_revision(visit,revision,body,author,at,reason) SELECT "
			"id,revision,body,?,?,reason FROM visit WHERE id=?",
			"tii", f->author, now, f->visit);
	return MIN(rc, 0);
}

static int make(struct gateway *g, struct db *db, const struct freezing *f, const struct frozen *of,
	struct json *j, struct outcome *o)
{
	char text[PROPOSAL_ANSWER_MAX + 1];
	struct proposal p;
	json_object_begin(j, NULL);
	int rc = of->elsewhere ? visit_body_elsewhere(g, db, f->visit, j)
			       : visit_body(g, db, f->visit, &p, j);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	if (of->elsewhere)
		p = told(of->answers);
	if (!of->elsewhere && !answer(of->answers, "visit_way", text, sizeof(text))[0])
		return -ENODATA;
	if (!of->elsewhere && !p.class && forms_find(g->forms, of->form, "classification"))
		return -EDOM;
	o->class = p.class;
	if (p.next_day != DAY_NONE)
		day_text(o->next_day, p.next_day);
	answer(of->answers, "referral_result", o->result, sizeof(o->result));
	referral_of(o, of->answers, &p);
	json_object_begin(j, "confirmed");
	json_str(j, "by", f->by);
	json_time(j, "at", clock_utc_us());
	if (f->reason)
		json_str(j, "reason", f->reason);
	json_object_end(j);
	json_object_end(j);
	return 0;
}

int visit_freeze(struct gateway *g, struct db *db, const struct freezing *f)
{
	struct outcome o = {0};
	struct frozen of = {0};
	struct json j = {0};
	int rc = look(db, f->visit, &of);
	if (rc >= 0 && !of.stored)
		rc = -ENOENT;
	if (rc >= 0)
		rc = make(g, db, f, &of, &j, &o);
	const char *body = rc < 0 ? NULL : json_text(&j);
	if (rc >= 0)
		rc = body ? write_down(g, db, f, &o, body) : -ENOMEM;
	json_decref(of.answers);
	free(o.referral);
	json_free(&j);
	return rc;
}
