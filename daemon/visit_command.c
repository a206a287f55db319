/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about follow-up visits: opened, answered, confirmed, corrected; held elsewhere; planned; looked at. */
#include "command.h"
#include "day.h"
#include "gateway.h"
#include "payload.h"
#include "resident_show.h"
#include "roster.h"
#include "visit_ask.h"
#include "visit_body.h"
#include "visit_freeze.h"

#include <errno.h>

/* which visit */

struct seen {
	struct uuid id;
	char hex[33];
	int64_t row, resident;
	char form[48], state[24], origin[16];
};

static int find_visit(struct command *c, struct seen *ret)
{
	int rc = command_find_id(
		c, "visit", "SELECT uuid FROM visit WHERE uuid BETWEEN ? AND ? LIMIT 2", &ret->id);
	if (rc < 0)
		return rc;
	hex(ret->hex, ret->id.bytes, sizeof(ret->id.bytes));
	_cleanup_(row_endp) struct row *r =
		db_query(c->db, "SELECT id,resident,form,state,origin FROM visit WHERE uuid=?", "b",
			ret->id.bytes, sizeof(ret->id.bytes));
	if (row_next(r) <= 0)
		return -ODD_ROW;
	ret->row = row_int(r, 0);
	ret->resident = row_int(r, 1);
	text_copy(ret->form, sizeof(ret->form), row_text(r, 2), strlen(row_text(r, 2)));
	text_copy(ret->state, sizeof(ret->state), row_text(r, 3), strlen(row_text(r, 3)));
	text_copy(ret->origin, sizeof(ret->origin), row_text(r, 4), strlen(row_text(r, 4)));
	return 0;
}

/* It is still a proposal. */
static int must_be_unconfirmed(struct command *c, const struct seen *v)
{
	if (streq(v->state, "confirmed"))
		return command_refuse(c, "already_confirmed",
			"This visit was confirmed. Correct it with a reason: vitalgate visit correct.",
			"该随访已确认，如需修改请使用 vitalgate visit correct 并注明原因。");
	if (streq(v->state, "entered-in-error"))
		return command_refuse(c, "entered_in_error",
			"This visit was voided. Open a new one: vitalgate visit open.",
			"该随访已作废，请重新开始：vitalgate visit open。");
	return 0;
}

static int must_be_allowed(struct command *c, const struct seen *v)
{
	if (roster_doctor(c->db, v->resident, command_by(c)))
		return 0;
	return command_refuse(c, "not_allowed",
		"Only the resident's doctor, or a doctor of its team, confirms and corrects: say who "
		"you are with --by TOKEN.",
		"只有该居民的签约医生或其团队医生可以确认或更正，请用 --by 注明医生编号。");
}

static int must_have_reason(struct command *c)
{
	return command_text(c, "reason")[0]
		       ? 0
		       : command_refuse(c, "reason_missing", "Say why: --reason TEXT.",
				 "请注明原因：--reason 原因。");
}

static int tell_result(struct command *c, const struct seen *v)
{
	json_str(c->result, "visit", v->hex);
	_cleanup_(row_endp) struct row *r = db_query(
		c->db, "SELECT revision,state,day,form FROM visit WHERE id=?", "i", v->row);
	if (row_next(r) <= 0)
		return -ODD_ROW;
	json_int(c->result, "revision", row_int(r, 0));
	json_str(c->result, "state", row_text(r, 1));
	json_str(c->result, "day", row_text(r, 2));
	json_str(c->result, "form", row_text(r, 3));
	return 0;
}

/* here */

/* The form's number as text, as answers are kept. */
static void way_of(const json_t *answers, char out[static 16])
{
	const json_t *way = json_object_get(answers, "visit_way");
	if (json_is_integer(way))
		snprintf(out, 16, "%d", (int)json_integer_value(way));
	else
		snprintf(out, 16, "%s", json_is_string(way) ? json_string_value(way) : "");
}

static int find_row(struct command *c, int64_t row, struct seen *ret)
{
	_cleanup_(row_endp) struct row *r =
		db_query(c->db, "SELECT uuid FROM visit WHERE id=?", "i", row);
	if (row_next(r) <= 0 || !row_uuid(r, 0, &ret->id))
		return -ODD_ROW;
	ret->row = row;
	hex(ret->hex, ret->id.bytes, sizeof(ret->id.bytes));
	return 0;
}

static int act_open(struct command *c)
{
	struct visit_person p;
	const struct form_names *f;
	struct seen v = {0};
	char way[16] = "";
	int64_t row = 0;
	json_t *answers = json_object();
	int rc = visit_find_form(c, day_of(clock_utc_us()), &p, &f);
	if (rc >= 0)
		rc = visit_take_answer(c, f->form, "way", "visit_way", answers);
	if (rc >= 0) {
		way_of(answers, way);
		rc = visit_open(c->gateway, c->db, p.id, f->form, c->author, way, &row);
	}
	json_decref(answers);
	if (rc >= 0)
		rc = find_row(c, row, &v);
	if (rc >= 0)
		rc = command_audit(c, "visit_open", v.hex, f->form);
	return rc < 0 ? rc : tell_result(c, &v);
}

static int act_close(struct command *c)
{
	struct seen v;
	int rc = find_visit(c, &v);
	if (rc >= 0)
		rc = must_be_unconfirmed(c, &v);
	if (rc >= 0 && (rc = visit_close(c->gateway, c->db, v.row)) == 0)
		return command_refuse(
			c, "already_so", "This visit is closed already.", "该随访已结束。");
	if (rc >= 0)
		rc = command_audit(c, "visit_close", v.hex, NULL);
	return rc < 0 ? rc : tell_result(c, &v);
}

static int act_set(struct command *c)
{
	struct seen v;
	int rc = find_visit(c, &v);
	if (rc >= 0)
		rc = must_be_unconfirmed(c, &v);
	if (rc >= 0)
		rc = visit_add_answers(c, v.row, v.form);
	if (rc >= 0)
		rc = visit_tell(c->gateway, c->db, v.row);
	if (rc >= 0)
		rc = command_audit(c, "visit_set", v.hex, NULL);
	return rc < 0 ? rc : tell_result(c, &v);
}

static int freeze(struct command *c, const struct seen *v, const char *by, const char *reason)
{
	const struct freezing f = {.visit = v->row,
		.by = by[0] ? by : c->author,
		.author = c->author,
		.reason = reason};
	int rc = visit_freeze(c->gateway, c->db, &f);
	if (rc == -ENODATA)
		return command_refuse(c, "way_missing",
			"Say first how the visit was held: visit_way 1 clinic, 2 home, 3 phone.",
			"请先填写随访方式：1门诊 2家庭 3电话。");
	if (rc == -EDOM)
		return command_refuse(c, "class_missing",
			"The visit has no class yet: answer adverse_reaction and complication, or "
			"classification itself.",
			"尚无随访分类：请填写药物不良反应和并发症，或直接填写随访分类。");
	if (rc == -ENOENT)
		return command_refuse(c, "too_late",
			"Readings of this visit are not on the gateway any more: correct it on the "
			"platform.",
			"该随访的读数已不在网关上，请在平台上更正。");
	/* what stands for the visit before has changed for those that follow */
	return rc < 0 ? rc : visit_touch(c->gateway, c->db, v->resident);
}

static int act_confirm(struct command *c)
{
	struct seen v;
	int rc = find_visit(c, &v);
	if (rc >= 0)
		rc = must_be_unconfirmed(c, &v);
	if (rc >= 0)
		rc = must_be_allowed(c, &v);
	if (rc >= 0)
		rc = visit_end_windows(c->db, v.row);
	if (rc >= 0)
		rc = freeze(c, &v, command_by(c), NULL);
	if (rc >= 0)
		rc = command_audit(c, "visit_confirm", v.hex, NULL);
	return rc < 0 ? rc : tell_result(c, &v);
}

static int act_correct(struct command *c)
{
	struct seen v;
	int rc = find_visit(c, &v);
	if (rc >= 0 && !streq(v.state, "confirmed"))
		return command_refuse(c, "not_confirmed",
			"Only a confirmed visit is corrected; answer this one: vitalgate visit set.",
			"只有已确认的随访需要更正；未确认的请直接填写：vitalgate visit set。");
	if (rc >= 0)
		rc = must_be_allowed(c, &v);
	if (rc >= 0)
		rc = must_have_reason(c);
	if (rc >= 0)
		rc = visit_add_answers(c, v.row, v.form);
	if (rc >= 0)
		rc = freeze(c, &v, command_by(c), command_text(c, "reason"));
	if (rc >= 0)
		rc = command_audit(c, "visit_correct", v.hex, command_text(c, "reason"));
	return rc < 0 ? rc : tell_result(c, &v);
}

static int act_void(struct command *c)
{
	struct seen v;
	int rc = find_visit(c, &v);
	if (rc >= 0 && streq(v.state, "entered-in-error"))
		return command_refuse(
			c, "already_so", "This visit was voided already.", "该随访已作废。");
	/* whoever told of a visit elsewhere may take it back */
	if (rc >= 0 && streq(v.state, "confirmed") && streq(v.origin, "here"))
		rc = must_be_allowed(c, &v);
	if (rc >= 0)
		rc = must_have_reason(c);
	if (rc >= 0)
		rc = db_run(c->db, "UPDATE visit SET state='entered-in-error', reason=? WHERE id=?",
			"ti", command_text(c, "reason"), v.row);
	if (rc >= 0)
		rc = visit_tell(c->gateway, c->db, v.row);
	if (rc >= 0)
		rc = visit_touch(c->gateway, c->db, v.resident);
	if (rc >= 0)
		rc = command_audit(c, "visit_void", v.hex, command_text(c, "reason"));
	return rc < 0 ? rc : tell_result(c, &v);
}

/* elsewhere, and plans */

static int elsewhere_answers(struct command *c, const char *form, json_t *to)
{
	static const struct {
		const char *name, *key;
	} arguments[] = {{"way", "visit_way"}, {"class", "classification"},
		{"next_day", "next_visit_date"}, {"referral", "referral"},
		{"referral_result", "referral_result"}};
	const char *institution = command_text(c, "institution");
	int rc = 0;
	for (size_t i = 0; i < ELEMENTS(arguments) && rc >= 0; i++)
		rc = visit_take_answer(c, form, arguments[i].name, arguments[i].key, to);
	if (rc >= 0 && institution[0])
		rc = json_object_set_new(to, "institution", json_string(institution)) < 0 ? -ENOMEM
											  : 0;
	return rc;
}

static int refuse_day(struct command *c)
{
	return command_refuse(c, "bad_argument", "Expected a day such as 2026-11-21.",
		"日期格式应为 2026-11-21。");
}

/* A visit cannot have been held yet on a day to come; a gateway whose clock is not set does not know. */
static int elsewhere_day(struct command *c, int32_t *ret)
{
	int64_t now = clock_utc_us();
	*ret = day_read(command_text(c, "day"));
	if (*ret == DAY_NONE || (clock_plausible(now) && *ret > day_of(now)))
		return refuse_day(c);
	return 0;
}

static int insert_elsewhere(struct command *c, const struct visit_person *p,
	const struct form_names *f, int32_t day, int64_t *ret)
{
	const struct numbers *n = c->gateway->numbers;
	struct uuid id = uuid_random();
	char text[DAY_TEXT];
	if (db_int(c->db, 0,
		    "SELECT 1 FROM visit WHERE resident=? AND form=? AND day=? AND "
		    "origin='elsewhere' AND state='confirmed'",
		    "itt", p->id, f->form, day_text(text, day)))
		return command_refuse(c, "already_so",
			"A visit of this day that was held elsewhere is known already. Void it first "
			"if it is wrong.",
			"当日在外机构的随访已登记；如有误请先作废。");
	int rc = db_run(c->db,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(?,?,?,'closed','elsewhere',?,0,?,?,?)",
		"bitttit", id.bytes, sizeof(id.bytes), p->id, f->form, text, c->author,
		clock_utc_us(), n->version);
	*ret = rc < 0 ? 0 : db_last_id(c->db);
	return MIN(rc, 0);
}

static int act_elsewhere(struct command *c)
{
	struct visit_person p;
	const struct form_names *f;
	struct seen v = {0};
	int32_t day;
	int64_t row = 0;
	const char *by = command_text(c, "by");
	json_t *answers = json_object();
	int rc = elsewhere_day(c, &day);
	if (rc >= 0)
		rc = visit_find_form(c, day, &p, &f);
	if (rc >= 0)
		rc = elsewhere_answers(c, f->form, answers);
	if (rc >= 0)
		rc = insert_elsewhere(c, &p, f, day, &row);
	if (rc >= 0)
		rc = visit_keep_answers(c, row, answers);
	json_decref(answers);
	if (rc >= 0)
		rc = find_row(c, row, &v);
	v.resident = rc < 0 ? 0 : p.id;
	if (rc >= 0)
		rc = freeze(c, &v, by, NULL);
	if (rc >= 0)
		rc = command_audit(c, "visit_elsewhere", v.hex, f->form);
	return rc < 0 ? rc : tell_result(c, &v);
}

static int act_plan(struct command *c)
{
	struct visit_person p;
	const struct form_names *f;
	char text[DAY_TEXT];
	int32_t day = day_read(command_text(c, "day"));
	if (day == DAY_NONE)
		return refuse_day(c);
	int rc = visit_find_form(c, day_of(clock_utc_us()), &p, &f);
	if (rc >= 0)
		rc = db_run(c->db,
			"INSERT INTO plan(resident,form,day,author,at) VALUES(?,?,?,?,?) ON "
			"CONFLICT(resident,form) DO UPDATE SET day=excluded.day, "
			"author=excluded.author, at=excluded.at",
			"ittti", p.id, f->form, day_text(text, day), c->author, clock_utc_us());
	if (rc >= 0)
		rc = command_audit(c, "plan", p.token, text);
	if (rc < 0)
		return rc;
	json_str(c->result, "resident", p.token);
	json_str(c->result, "form", f->form);
	json_str(c->result, "day", text);
	return 0;
}

/* looking */

#define SHOWN_DEFAULT 20
#define SHOWN_MAX 200

/* What waits for somebody, and what was last said of each form. */
static int list_visits(struct command *c, int64_t resident, const char *form)
{
	int rc;
	int64_t limit = MIN(MAX(command_number(c, "limit", SHOWN_DEFAULT), INT64_C(1)), SHOWN_MAX);
	json_array_begin(c->result, "visits");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT id FROM visit v WHERE resident=?1 AND (?2='' OR form=?2) AND (state IN "
		"('open','closed') OR (state='confirmed' AND id=(SELECT n.id FROM visit n WHERE "
		"n.resident=?1 AND n.form=v.form AND n.state='confirmed' ORDER BY n.day DESC,n.id DESC "
		"LIMIT 1))) ORDER BY day DESC,id DESC LIMIT ?3",
		"iti", resident, form, limit);
	while ((rc = row_next(r)) > 0) {
		int done = visit_json(c->gateway, c->db, row_int(r, 0), -1, c->result);
		if (done < 0)
			return done;
	}
	json_array_end(c->result);
	return rc;
}

static int list_forms(struct command *c, const struct visit_person *p, const char *form)
{
	int rc = 0;
	json_array_begin(c->result, "forms");
	for (unsigned i = 0; rc >= 0 && i < FORMS; i++) {
		const struct form_names *f = &form_names[i];
		if ((form[0] && !streq(form, f->form)) ||
			!visit_enrolled(p->programmes, f->programme))
			continue;
		if (db_int(c->db, 0,
			    "SELECT 1 FROM visit WHERE resident=? AND form=? AND state IN ('open',"
			    "'closed') LIMIT 1",
			    "it", p->id, f->form))
			continue;
		json_object_begin(c->result, NULL);
		rc = visit_blank(c->gateway, c->db, p->id, f->form, c->result);
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

static int show_one(struct command *c)
{
	struct seen v;
	int rc = find_visit(c, &v);
	if (rc < 0)
		return rc;
	json_array_begin(c->result, "visits");
	rc = visit_json(c->gateway, c->db, v.row, -1, c->result);
	json_array_end(c->result);
	return MIN(rc, 0);
}

static int query_followup(struct command *c)
{
	struct visit_person p;
	const struct form_names *f = NULL;
	if (command_text(c, "visit")[0])
		return show_one(c);
	int rc = visit_find_person(c, &p);
	if (rc >= 0 && command_text(c, "form")[0])
		rc = visit_named_form(c, &f);
	if (rc < 0)
		return rc;
	json_str(c->result, "resident", p.token);
	resident_label(c, p.id);
	rc = list_visits(c, p.id, f ? f->form : "");
	return rc < 0 ? rc : list_forms(c, &p, f ? f->form : "");
}

const struct command_entry visit_commands[] = {
	{"visit_open", act_open, NULL},
	{"visit_close", act_close, NULL},
	{"visit_set", act_set, NULL},
	{"visit_confirm", act_confirm, NULL},
	{"visit_correct", act_correct, NULL},
	{"visit_void", act_void, NULL},
	{"visit_elsewhere", act_elsewhere, NULL},
	{"plan", act_plan, NULL},
	{"followup", query_followup, NULL},
	{0},
};
