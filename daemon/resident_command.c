/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands about one resident: look, merge two records of one, say that somebody died, moved, withdrew the consent or gave it
 * again, erase, limits, a label for the console; and the teams. What changes a resident's state is told to the platform as an
 * event that has nothing but tokens.
 */
#include "centre.h"
#include "command.h"
#include "day.h"
#include "erase.h"
#include "gateway.h"
#include "intake.h"
#include "label.h"
#include "limit.h"
#include "merge.h"
#include "resident_show.h"
#include "roster.h"

#include <errno.h>

#define MEMBERS_MAX 100
#define REASON_MAX 200

/* whom it is about */

struct who {
	int64_t id;
	const char *token;
	char state[16];
	char into[ROSTER_TOKEN_MAX + 1]; /* merged into; "" */
};

static int who_asked(struct command *c, const char *name, struct who *ret)
{
	ret->token = command_text(c, name);
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT r.id,r.state,m.token FROM resident r LEFT JOIN resident m ON "
		"m.id=r.merged_into WHERE r.token=?",
		"t", ret->token);
	int rc = row_next(r);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return command_refuse(c, "unknown_resident",
			"There is no such resident. Import the roster first: vitalgate import FILE.",
			"没有此居民。请先导入名册：vitalgate import 文件。");
	const char *into = row_null(r, 2) ? "" : row_text(r, 2);
	ret->id = row_int(r, 0);
	text_copy(ret->state, sizeof(ret->state), row_text(r, 1), strlen(row_text(r, 1)));
	text_copy(ret->into, sizeof(ret->into), into, strlen(into));
	return 0;
}

/* In this state it cannot be; says what to do instead. */
static int refuse_state(struct command *c, const struct who *w)
{
	char en[256], zh[256];
	if (streq(w->state, "merged")) {
		snprintf(en, sizeof(en), "%s was merged into %s: give the command for that one.",
			w->token, w->into);
		snprintf(zh, sizeof(zh), "%s 已并入 %s：请对后者执行此命令。", w->token, w->into);
	} else if (streq(w->state, "erased")) {
		snprintf(en, sizeof(en), "Everything of %s was erased; nothing is left to change.",
			w->token);
		snprintf(zh, sizeof(zh), "%s 的数据已全部删除，无可更改。", w->token);
	} else if (streq(w->state, "withdrawn")) {
		snprintf(en, sizeof(en),
			"%s withdrew the consent. When it was given again: vitalgate consent %s.",
			w->token, w->token);
		snprintf(zh, sizeof(zh), "%s 已撤回同意。如已重新同意：vitalgate consent %s。",
			w->token, w->token);
	} else {
		snprintf(en, sizeof(en), "%s is %s, and this does not follow from that.", w->token,
			w->state);
		snprintf(zh, sizeof(zh), "%s 当前状态为 %s，不能执行此操作。", w->token, w->state);
	}
	return command_refuse(c, "not_active", en, zh);
}

static int tell(struct command *c, const char *type, const char *detail)
{
	return intake_event(c->gateway, c->db, 0, type, detail, NULL, clock_utc_us(), true);
}

static int refuse_local(struct command *c)
{
	return command_refuse(c, "local_only",
		"This command is only for the gateway itself: give it there.",
		"此命令只能在网关本机上执行。");
}

/* states */

struct change {
	const char *action, *from, *to,
		*event; /* `from`: states, each with a space on both sides */
};

/* The day on which it was; today when none is said. */
static int day_asked(struct command *c, int64_t *ret_us)
{
	const json_t *given = json_object_get(c->args, "on");
	int32_t day = day_read(command_text(c, "on"));
	*ret_us = clock_utc_us();
	if (!given || json_is_null(given))
		return 0;
	if (day == DAY_NONE || (clock_plausible(*ret_us) && day > day_of(*ret_us)))
		return command_refuse(c, "bad_argument",
			"Expected on: a day such as 2026-11-21 that has come.",
			"on 应为已到来的日期，如 2026-11-21。");
	*ret_us = day_begin_us(day);
	return 0;
}

static int change_state(struct command *c, const struct change *change)
{
	struct who w;
	char state[20];
	int64_t at;
	int rc = who_asked(c, "resident", &w);
	if (rc >= 0)
		rc = day_asked(c, &at);
	if (rc < 0)
		return rc;
	snprintf(state, sizeof(state), " %s ", w.state);
	if (streq(w.state, change->to))
		return command_refuse(c, "already_so", "This is known already.", "此状态已登记。");
	if (!strstr(change->from, state))
		return refuse_state(c, &w);
	rc = db_run(c->db, "UPDATE resident SET state=?,state_at=?,changed=? WHERE id=?", "tiii",
		change->to, at, clock_utc_us(), w.id);
	if (rc >= 0)
		rc = tell(c, change->event, w.token);
	json_str(c->result, "resident", w.token);
	json_str(c->result, "state", change->to);
	return rc < 0 ? rc : command_audit(c, change->action, w.token, command_text(c, "on"));
}

static int run_died(struct command *c)
{
	return change_state(c, &(struct change){"died", " active moved unlisted ", "deceased",
				       "resident_deceased"});
}

static int run_moved(struct command *c)
{
	return change_state(
		c, &(struct change){"moved", " active unlisted ", "moved", "resident_moved"});
}

static int run_withdraw(struct command *c)
{
	return change_state(c, &(struct change){"withdraw", " active moved unlisted deceased ",
				       "withdrawn", "resident_withdrawn"});
}

static int run_consent(struct command *c)
{
	return change_state(
		c, &(struct change){"consent", " withdrawn ", "active", "resident_consented"});
}

/* Came back, or was never gone: somebody had said it of the wrong one. */
static int run_returned(struct command *c)
{
	return change_state(
		c, &(struct change){"returned", " deceased moved ", "active", "resident_returned"});
}

static int run_merge(struct command *c)
{
	struct who from, into;
	struct merged done;
	char detail[2 * ROSTER_TOKEN_MAX + 8];
	int rc = who_asked(c, "resident", &from);
	if (rc >= 0)
		rc = who_asked(c, "into", &into);
	if (rc < 0)
		return rc;
	if (from.id == into.id)
		return command_refuse(c, "bad_argument", "A record cannot be merged into itself.",
			"不能将档案并入其自身。");
	if (streq(from.state, "merged") && streq(from.into, into.token))
		return command_refuse(
			c, "already_so", "These are merged already.", "这两份档案已合并。");
	static const char *const never[] = {"merged", "erased", "withdrawn"};
	for (size_t i = 0; i < ELEMENTS(never); i++) {
		if (streq(from.state, never[i]))
			return refuse_state(c, &from);
		if (streq(into.state, never[i]))
			return refuse_state(c, &into);
	}
	rc = merge_residents(c->gateway, c->db, from.id, into.id, &done);
	snprintf(detail, sizeof(detail), "%s into %s", from.token, into.token);
	if (rc >= 0)
		rc = tell(c, "resident_merged", detail);
	json_str(c->result, "resident", from.token);
	json_str(c->result, "into", into.token);
	json_int(c->result, "readings", done.readings);
	json_int(c->result, "studies", done.studies);
	return rc < 0 ? rc : command_audit(c, "merge", from.token, into.token);
}

static int run_erase(struct command *c)
{
	struct who w;
	const char *reason = command_text(c, "reason");
	int rc = who_asked(c, "resident", &w);
	if (rc < 0)
		return rc;
	if (streq(w.state, "erased"))
		return command_refuse(c, "already_so",
			"Everything of this resident was erased before.",
			"该居民的数据此前已全部删除。");
	if (streq(w.state, "merged"))
		return refuse_state(c, &w);
	if (!reason[0] || strlen(reason) > REASON_MAX)
		return command_refuse(c, "reason_missing",
			"Say why, in at most 200 bytes and without a name: reason.",
			"请在 reason 中说明理由（不超过200字节，不含姓名）。");
	int waits = erase_alert_waits(c->db, w.id);
	if (waits > 0)
		return command_refuse(c, "alert_waits",
			"An alert of this resident waits for somebody: acknowledge it first "
			"(vitalgate alerts).",
			"该居民尚有未处理的警报：请先确认（vitalgate alerts）。");
	json_str(c->result, "resident", w.token);
	json_str(c->result, "state", "erased");
	rc = waits < 0 ? waits : erase_resident(c->gateway, c->db, w.id, w.token, c->result);
	if (rc >= 0)
		rc = tell(c, "resident_erased", w.token);
	return rc < 0 ? rc : command_audit(c, "erase", w.token, reason);
}

/* teams */

static bool role_known(const char *role)
{
	static const char *const roles[] = {
		"doctor", "specialist", "nurse", "assistant", "health_manager", "village_doctor"};
	bool known = false;
	for (size_t i = 0; i < ELEMENTS(roles); i++)
		known |= streq(role, roles[i]);
	return known;
}

static const char *member_text(const json_t *m, const char *key)
{
	const char *text = json_string_value(json_object_get(m, key));
	return text ? text : "";
}

static int add_member(struct command *c, const char *team, const json_t *m)
{
	const char *member = member_text(m, "member"), *role = member_text(m, "role");
	const char *hours = member_text(m, "hours");
	struct centre_hours parsed;
	char error[CENTRE_ERROR_MAX];
	if (!roster_token_good(member) || roster_names_person(member))
		return command_refuse(c, "bad_argument",
			"Expected for each member a staff token such as D-0001, never a name or a "
			"number of a person.",
			"成员应为人员编号，如 D-0001，不得为姓名或个人号码。");
	if (!role_known(role))
		return command_refuse(c, "bad_argument",
			"Expected for each member a role: doctor, specialist, nurse, assistant, "
			"health_manager or village_doctor.",
			"成员的 role 应为 doctor、specialist、nurse、assistant、health_manager 或 "
			"village_doctor。");
	if (hours[0] && !centre_parse(hours, &parsed, error, sizeof(error)))
		return command_refuse(c, "bad_argument", error,
			"hours 应为 always，或如 mon-fri 08:00-12:00 14:00-17:30。");
	int rc = db_run(c->db, "INSERT INTO team(team,member,role,hours) VALUES(?,?,?,?)", "tttt",
		team, member, role, hours);
	return rc == -EEXIST ? command_refuse(c, "bad_argument", "A member stands there twice.",
				       "成员重复。")
			     : MIN(rc, 0);
}

/* As they are. */
static int show_team(struct command *c, const char *team)
{
	int rc;
	json_str(c->result, "team", team);
	json_array_begin(c->result, "members");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT member,role,hours FROM team WHERE team=? ORDER BY member", "t", team);
	while ((rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		json_str(c->result, "member", row_text(r, 0));
		json_str(c->result, "role", row_text(r, 1));
		json_str(c->result, "hours", row_text(r, 2)[0] ? row_text(r, 2) : "always");
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

/* The members replace those before; without any the team is shown. */
static int run_team(struct command *c)
{
	const char *team = command_text(c, "team");
	const json_t *members = json_object_get(c->args, "members"), *m;
	char detail[32];
	size_t i;
	if (!roster_token_good(team) || roster_names_person(team))
		return command_refuse(c, "bad_argument",
			"Expected the team's token, such as T-0001.", "应为团队编号，如 T-0001。");
	if (!members)
		return show_team(c, team);
	if (!json_is_array(members) || json_array_size(members) > MEMBERS_MAX)
		return command_refuse(c, "bad_argument",
			"Expected members: a list of at most 100 {member, role, hours}.",
			"members 应为至多100项的列表：{member, role, hours}。");
	int rc = db_run(c->db, "DELETE FROM team WHERE team=?", "t", team);
	json_array_foreach(members, i, m)
	{
		if (rc >= 0)
			rc = add_member(c, team, m);
	}
	if (rc < 0)
		return rc;
	json_str(c->result, "team", team);
	json_int(c->result, "members", (int64_t)json_array_size(members));
	snprintf(detail, sizeof(detail), "%zu members", json_array_size(members));
	return command_audit(c, "team", team, detail);
}

/* labels */

static int refuse_key(struct command *c, int rc)
{
	char en[256], zh[256], path[LABEL_PATH_MAX];
	label_key_path(c->gateway->config, path);
	const char *why = rc == -EPERM
				  ? "it must be a file of 32 bytes that only the gateway may read"
				  : strerror(-rc);
	snprintf(
		en, sizeof(en), "The key of the labels, %.100s, cannot be used: %.80s.", path, why);
	snprintf(zh, sizeof(zh),
		"标签密钥 %.120s 无法使用：应为仅网关可读的32字节文件（权限0600）。", path);
	return command_refuse(c, "label_key", en, zh);
}

static unsigned digits_in(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += *text >= '0' && *text <= '9';
	return n;
}

/* Never in an audit, a log or a message: only its being there. */
static int run_label(struct command *c)
{
	struct who w;
	char path[LABEL_PATH_MAX];
	uint8_t sealed[LABEL_SEALED];
	const char *label = command_text(c, "label");
	if (c->platform)
		return refuse_local(c);
	int rc = who_asked(c, "resident", &w);
	if (rc < 0)
		return rc;
	if (streq(w.state, "merged") || streq(w.state, "erased"))
		return refuse_state(c, &w);
	label_key_path(c->gateway->config, path);
	rc = label[0] ? label_seal(path, w.id, label, sealed) : 0;
	if (rc == -EINVAL || digits_in(label) >= 11)
		return command_refuse(c, "bad_value",
			"Expected a short label for the console, at most 64 bytes on one line, and no "
			"ID or phone number; \"\" takes it away.",
			"标签应为一行、不超过64字节的短文本，不得含身份证号或电话；\"\" 表示删除。");
	if (rc < 0)
		return refuse_key(c, rc);
	rc = db_run(c->db, "UPDATE resident SET label=? WHERE id=?", "bi", label[0] ? sealed : NULL,
		label[0] ? sizeof(sealed) : (size_t)0, w.id);
	json_str(c->result, "resident", w.token);
	json_bool(c->result, "label", label[0]);
	return rc < 0 ? rc : command_audit(c, label[0] ? "label" : "unlabel", w.token, NULL);
}

const struct command_entry resident_commands[] = {
	{"resident", resident_show, NULL},
	{"merge", run_merge, NULL},
	{"died", run_died, NULL},
	{"moved", run_moved, NULL},
	{"returned", run_returned, NULL},
	{"withdraw", run_withdraw, NULL},
	{"consent", run_consent, NULL},
	{"erase", run_erase, NULL},
	{"team", run_team, NULL},
	{"limit", limit_command, NULL},
	{"label", run_label, NULL},
	{0},
};
