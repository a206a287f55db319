/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "visit_ask.h"

#include "day.h"
#include "gateway.h"
#include "proposal.h"

#include <errno.h>

/* who is asked about */

int visit_find_person(struct command *c, struct visit_person *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT id,token,programmes,state,owner,coalesce(birth_date,'') FROM resident WHERE "
		"token=?",
		"t", command_text(c, "resident"));
	int rc = row_next(r);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return command_refuse(c, "unknown_resident",
			"There is no such resident. Import the roster, or look for the token in it.",
			"没有此居民。请先导入名册或核对编号。");
	struct {
		char *to;
		size_t size;
	} texts[] = {{ret->token, sizeof(ret->token)}, {ret->programmes, sizeof(ret->programmes)},
		{ret->state, sizeof(ret->state)}, {ret->owner, sizeof(ret->owner)},
		{ret->birth, sizeof(ret->birth)}};
	ret->id = row_int(r, 0);
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		const char *text = row_text(r, (int)i + 1);
		text_copy(texts[i].to, texts[i].size, text, strlen(text));
	}
	return 0;
}

/* One gateway makes the drafts of a resident, and only of one who is there. */
static int must_be_ours(struct command *c, const struct visit_person *p)
{
	char en[256], zh[256];
	if (!streq(p->state, "active"))
		return command_refuse(c, "not_active",
			"This resident is not followed up any more (deceased, moved, merged ...): "
			"vitalgate resident TOKEN tells why.",
			"该居民已不在管（死亡、迁出、合并等），原因见：vitalgate resident 编号。");
	if (!p->owner[0] || streq(p->owner, c->gateway->config->gateway))
		return 0;
	snprintf(en, sizeof(en),
		"The follow-up record of this resident is kept by the gateway %s: do it there.",
		p->owner);
	snprintf(zh, sizeof(zh), "该居民的随访由网关 %s 负责，请在该网关上操作。", p->owner);
	return command_refuse(c, "not_owner", en, zh);
}

int visit_named_form(struct command *c, const struct form_names **ret)
{
	*ret = visit_form(command_text(c, "form"));
	return *ret ? 0
		    : command_refuse(c, "unknown_form",
			      "Expected a form: htn, t2dm, elderly or copd.",
			      "随访表应为 htn 高血压、t2dm 糖尿病、elderly 老年人体检或 copd 慢阻肺。");
}

/* The yearly check is for everybody of that age. */
static int must_be_enrolled(
	struct command *c, const struct visit_person *p, const struct form_names *f, int32_t day)
{
	const struct numbers *n = c->gateway->numbers;
	bool old_enough = streq(f->brief, "elderly") &&
			  age_at_least(age_on(p->birth, day), n->kpi_elderly_age) == 1;
	if (old_enough || visit_enrolled(p->programmes, f->programme))
		return 0;
	return command_refuse(c, "not_enrolled",
		"This resident is not in the programme of this form. Correct the roster first.",
		"该居民未纳入此随访表对应的管理项目，请先更正名册。");
}

int visit_find_form(struct command *c, int32_t day, struct visit_person *ret,
	const struct form_names **ret_form)
{
	int rc = visit_find_person(c, ret);
	if (rc >= 0)
		rc = visit_named_form(c, ret_form);
	if (rc >= 0)
		rc = must_be_ours(c, ret);
	return rc < 0 ? rc : must_be_enrolled(c, ret, *ret_form, day);
}

/* answers */

static int refuse_answer(struct command *c, int rc, const char *key)
{
	char en[256], zh[256];
	if (rc == -ENOENT) {
		snprintf(en, sizeof(en), "The form has no field \"%.60s\" that a person answers.",
			key);
		snprintf(zh, sizeof(zh), "随访表中没有可由人员填写的“%.60s”项。", key);
		return command_refuse(c, "unknown_key", en, zh);
	}
	snprintf(en, sizeof(en),
		"\"%.60s\": expected one of the form's choices, a number or a date as the form asks.",
		key);
	snprintf(zh, sizeof(zh), "“%.60s”的值不符合随访表的选项或格式。", key);
	return command_refuse(c, "bad_value", en, zh);
}

static int check_answer(struct command *c, const char *form, const char *key, const json_t *value)
{
	const struct gateway *g = c->gateway;
	int rc = proposal_answer_ok(g->forms, g->codes, form, key, value);
	return rc < 0 ? refuse_answer(c, rc, key) : 0;
}

int visit_take_answers(struct command *c, const char *form, json_t *to)
{
	const char *key;
	json_t *value;
	json_t *given = json_object_get(c->args, "answers");
	if (!json_is_object(given))
		return command_refuse(c, "bad_argument",
			"Expected \"answers\": an object of the form's keys and their values.",
			"answers 应为随访表项目与取值组成的对象。");
	json_object_foreach(given, key, value)
	{
		int rc = check_answer(c, form, key, value);
		if (rc < 0)
			return rc;
		if (json_is_null(value))
			json_object_del(to, key);
		else if (json_object_set(to, key, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int visit_keep_answers(struct command *c, int64_t visit, const json_t *answers)
{
	_cleanup_(freep) char *text = json_dumps(answers, JSON_COMPACT | JSON_SORT_KEYS);
	return !text ? -ENOMEM
		     : error_only(db_run(
			       c->db, "UPDATE visit SET answers=? WHERE id=?", "ti", text, visit));
}

int visit_add_answers(struct command *c, int64_t visit, const char *form)
{
	json_t *answers = NULL;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(c->db, "SELECT answers FROM visit WHERE id=?", "i", visit);
		if (row_next(r) > 0)
			answers = json_loads(row_text(r, 0), 0, NULL);
	}
	int rc = answers ? visit_take_answers(c, form, answers) : -ODD_ROW;
	if (rc >= 0)
		rc = visit_keep_answers(c, visit, answers);
	json_decref(answers);
	return rc;
}

int visit_take_answer(
	struct command *c, const char *form, const char *name, const char *key, json_t *to)
{
	json_t *value = json_object_get(c->args, name);
	if (!value || json_is_null(value) || (json_is_string(value) && !json_string_length(value)))
		return 0;
	int rc = check_answer(c, form, key, value);
	return rc < 0 ? rc : json_object_set(to, key, value) < 0 ? -ENOMEM : 0;
}
