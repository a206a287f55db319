/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limit.h"

#include "day.h"
#include "gateway.h"
#include "roster.h"
#include "traits.h"
#include "yamlmap.h"

#include <errno.h>

#define REASON_MAX 200
#define GLUCOSE \
	"glu.*" /* the only pattern: other kinds that begin alike are measured differently */

static int64_t nearest(double x)
{
	return (int64_t)(x + (x < 0 ? -0.5 : 0.5));
}

struct asked {
	int64_t resident, milli, valid_to;
	const char *token, *kind, *side, *severity, *reason;
	const struct code *code;
	bool end, confirm;
};

/* Whoever is told when nobody answered may be the second one: a village may have one doctor only. */
static bool in_chain(struct db *db, int64_t resident, const char *token)
{
	return token[0] &&
	       db_int(db, 0,
		       "SELECT instr(';'||chain||';',';'||?2||';')>0 FROM resident WHERE "
		       "id=?1",
		       "it", resident, token) == 1;
}

static int resident_asked(struct command *c, struct asked *a)
{
	a->token = command_text(c, "resident");
	a->resident = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", a->token);
	if (!a->resident)
		return command_refuse(c, "unknown_resident",
			"There is no such resident. Import the roster first: vitalgate import FILE.",
			"没有此居民。请先导入名册：vitalgate import 文件。");
	if (db_int(c->db, 0, "SELECT state='active' FROM resident WHERE id=?", "i", a->resident) !=
		1)
		return command_refuse(c, "not_active",
			"This resident is not active (deceased, moved, merged ...): vitalgate resident "
			"TOKEN tells why.",
			"该居民已不在管（死亡、迁出、合并等），原因见：vitalgate resident 编号。");
	a->confirm = json_is_true(json_object_get(c->args, "confirm"));
	if (!roster_doctor(c->db, a->resident, command_by(c)) &&
		!(a->confirm && in_chain(c->db, a->resident, command_by(c))))
		return command_refuse(c, "not_allowed",
			"Only the resident's doctor, or a doctor of the team, sets limits: give --by.",
			"仅签约医生或其团队中的医生可设定个人限值：请用 --by 注明医生。");
	return 0;
}

/* Which side, and the number in thousandths: whole, or written with at most three decimals. */
static bool number_asked(const struct command *c, struct asked *a)
{
	const json_t *v = json_object_get(c->args, a->side);
	int64_t mantissa;
	int8_t exponent;
	double x;
	if (json_is_string(v)) {
		if (!yamlmap_decimal(json_string_value(v), &mantissa, &exponent) || exponent < -3 ||
			mantissa > INT64_C(1000000000) || mantissa < -INT64_C(1000000000))
			return false;
		for (a->milli = mantissa; exponent > -3; exponent--)
			a->milli *= 10;
		return true;
	}
	x = json_number_value(v) * 1000;
	if (!json_is_number(v) || !(x > -1e9 && x < 1e9))
		return false;
	a->milli = nearest(x);
	x -= (double)a->milli;
	return x < 1e-6 && x > -1e-6;
}

static int kind_asked(struct command *c, struct asked *a)
{
	bool least = json_object_get(c->args, "at_least"),
	     most = json_object_get(c->args, "at_most");
	const struct code *code;
	a->kind = command_text(c, "kind");
	if (strlen(a->kind) < sizeof(a->code->kind) &&
		(streq(a->kind, GLUCOSE) || !strchr(a->kind, '*')) &&
		alert_kind_fits(c->gateway->codes, a->kind, false))
		for (size_t i = 0; (code = codes_at(c->gateway->codes, i)) && !a->code; i++)
			if (alert_kind_matches(a->kind, code->kind) &&
				code->min_milli < code->max_milli)
				a->code = code;
	if (!a->code)
		return command_refuse(c, "bad_kind",
			"Expected a kind of the code table that is measured of a person, such as "
			"bp.sbp, or glu.*",
			"应为编码表中的人体测量项目，如 bp.sbp 或 glu.*");
	a->side = least ? "at_least" : "at_most";
	a->end = json_is_true(json_object_get(c->args, "end"));
	if (least == most)
		return command_refuse(c, "bad_argument",
			"Expected at_least or at_most, one of them.",
			"应给出 at_least 或 at_most 之一。");
	return 0;
}

static int value_asked(struct command *c, struct asked *a)
{
	char en[256], zh[256];
	if (number_asked(c, a) && a->milli >= a->code->min_milli && a->milli <= a->code->max_milli)
		return 0;
	snprintf(en, sizeof(en),
		"Expected a number between %g and %g %s with at most three decimals.",
		(double)a->code->min_milli / 1000, (double)a->code->max_milli / 1000,
		a->code->ucum);
	snprintf(zh, sizeof(zh), "应为 %g 至 %g %s 之间、至多三位小数的数。",
		(double)a->code->min_milli / 1000, (double)a->code->max_milli / 1000,
		a->code->ucum);
	return command_refuse(c, "bad_value", en, zh);
}

/* what waits for a second doctor */

static bool looser_than(const struct asked *a, int64_t milli)
{
	return streq(a->side, "at_least") ? a->milli > milli : a->milli < milli;
}

/* The national rules call at these values, whatever anybody wishes. */
static bool looser_than_national(const struct command *c, const struct asked *a)
{
	const struct numbers *n = c->gateway->numbers;
	bool least = streq(a->side, "at_least");
	if (least && streq(a->kind, "bp.sbp"))
		return looser_than(a, n->urgent_sbp);
	if (least && streq(a->kind, "bp.dbp"))
		return looser_than(a, n->urgent_dbp);
	if (strncmp(a->kind, GLUCOSE, strlen(GLUCOSE) - 1) == 0)
		return looser_than(a, least ? n->urgent_glucose_high : n->urgent_glucose_low);
	return false;
}

/* A critical rule that is for this resident today would tell earlier. 1, 0, -errno. */
static int looser_than_critical(struct command *c, const struct asked *a, int64_t now)
{
	struct person person;
	const struct alert_rules *rules = c->gateway->rules;
	const struct alert_rule *r;
	int rc = person_load(c->db, a->resident, day_of(now), &person);
	for (unsigned i = 0; rc == 0 && (r = alert_rules_at(rules, i)); i++)
		rc = !r->technical && r->type == RULE_LIMIT && r->severity == SEVERITY_CRITICAL &&
		     rule_limit_upper(&r->limits[0]) == streq(a->side, "at_least") &&
		     (alert_kind_matches(r->kind, a->kind) ||
			     alert_kind_matches(a->kind, r->kind)) &&
		     rule_is_for(&r->whom, &person, c->gateway->config->altitude_m) &&
		     looser_than(a, r->limits[0].milli);
	return rc;
}

static int waits(struct command *c, const struct asked *a, int64_t now)
{
	if (looser_than_national(c, a))
		return 1;
	return streq(a->severity, "critical") ? looser_than_critical(c, a, now) : 0;
}

static int rest_asked(struct command *c, struct asked *a)
{
	int32_t until = day_read(command_text(c, "until"));
	a->severity = command_text(c, "severity");
	a->reason = command_text(c, "reason");
	if (!streq(a->severity, "critical") && !streq(a->severity, "warning"))
		return command_refuse(c, "bad_argument",
			"Expected severity critical or warning: of anything less nobody is told.",
			"severity 应为 critical 或 warning：更低级别不会通知任何人。");
	if (!a->reason[0] || strlen(a->reason) > REASON_MAX)
		return command_refuse(c, "reason_missing", "Say why, in at most 200 bytes: reason.",
			"请在 reason 中说明理由（不超过200字节）。");
	if (until == DAY_NONE || day_begin_us(until + 1) <= clock_utc_us())
		return command_refuse(c, "bad_argument",
			"Expected until: its last day, such as 2026-12-31, not past.",
			"until 应为尚未过去的截止日，如 2026-12-31。");
	a->valid_to = day_begin_us(until + 1);
	return 0;
}

/* One of a kind and side holds at a time, and one may wait. */
static int end_former(struct command *c, const struct asked *a, bool pending, int64_t now)
{
	return db_run(c->db,
		"UPDATE personal_limit SET valid_to=?4 WHERE resident=?1 AND kind=?2 AND side=?3 AND "
		"valid_to>?4 AND pending=?5",
		"ittii", a->resident, a->kind, a->side, now, (int64_t)pending);
}

static int room(struct command *c, const struct asked *a, int64_t now)
{
	int64_t n = db_int(c->db, 0,
		"SELECT count(*) FROM personal_limit WHERE resident=?1 AND valid_to>?2 AND pending=0 "
		"AND NOT (kind=?3 AND side=?4)",
		"iitt", a->resident, now, a->kind, a->side);
	if (n < RULE_PERSONAL_MAX)
		return 0;
	return command_refuse(c, "too_many", "A resident has at most 16 limits: end one first.",
		"每位居民最多16个个人限值：请先终止一个。");
}

static int set(struct command *c, const struct asked *a, int64_t now)
{
	int pending = waits(c, a, now);
	int rc = pending < 0 ? pending : room(c, a, now);
	if (rc >= 0)
		rc = end_former(c, a, true, now);
	if (rc >= 0 && !pending)
		rc = end_former(c, a, false, now);
	if (rc >= 0)
		rc = db_run(c->db,
			"INSERT INTO personal_limit(resident,kind,side,milli,severity,author,reason,"
			"valid_from,valid_to,pending) VALUES(?,?,?,?,?,?,?,?,?,?)",
			"ittitttiii", a->resident, a->kind, a->side, a->milli, a->severity,
			c->author, a->reason, now, a->valid_to, (int64_t)pending);
	return rc < 0 ? rc : pending;
}

static const char *person_in(const char *author)
{
	const char *slash = strchr(author, '/');
	return slash ? slash + 1 : author;
}

/* By another doctor than who asked for it, who says the same value. */
static int confirm(struct command *c, struct asked *a, int64_t now)
{
	int64_t id = 0;
	bool same;
	{
		_cleanup_(row_endp) struct row *r = db_query(c->db,
			"SELECT id,author FROM personal_limit WHERE resident=? AND kind=? AND side=? "
			"AND milli=? AND pending=1 AND valid_to>?",
			"ittii", a->resident, a->kind, a->side, a->milli, now);
		int rc = row_next(r);
		if (rc < 0)
			return rc;
		if (rc > 0)
			id = row_int(r, 0);
		same = rc > 0 && streq(person_in(row_text(r, 1)), command_by(c));
	}
	if (!id)
		return command_refuse(c, "nothing_pending",
			"No such limit waits for a second doctor: give its kind, side and value.",
			"没有等待第二位医生确认的此限值：请给出相同的项目、方向和数值。");
	if (same)
		return command_refuse(c, "same_person",
			"Another doctor than the one who set it must confirm it: give --by.",
			"须由设定者以外的另一位医生确认：请用 --by 注明医生。");
	int rc = room(c, a, now);
	if (rc >= 0)
		rc = end_former(c, a, false, now);
	if (rc >= 0)
		rc = db_run(c->db,
			"UPDATE personal_limit SET pending=0, confirmed_by=?, valid_from=? WHERE id=?",
			"tii", c->author, now, id);
	return error_only(rc);
}

static int end(struct command *c, const struct asked *a, int64_t now)
{
	int held = end_former(c, a, false, now);
	int waited = held < 0 ? held : end_former(c, a, true, now);
	if (held == 0 && waited == 0)
		return command_refuse(c, "already_so",
			"There is no such limit to end: `vitalgate resident` lists those that hold.",
			"没有可终止的此类限值：vitalgate resident 可查看现有限值。");
	return MIN(waited, 0);
}

static int tell(struct command *c, const struct asked *a, bool pending)
{
	char detail[120];
	if (a->end)
		snprintf(detail, sizeof(detail), "%s %s ended", a->kind, a->side);
	else
		snprintf(detail, sizeof(detail), "%s %s %g %s%s", a->kind, a->side,
			(double)a->milli / 1000, a->confirm ? "confirmed" : a->severity,
			pending ? " pending" : "");
	json_str(c->result, "resident", a->token);
	json_str(c->result, "limit", detail);
	if (pending) {
		json_str(c->result, "state", "pending");
		json_str(c->result, "next_en",
			"It is looser than the rules, and has no effect until a second doctor gives "
			"the same with confirm.");
		json_str(c->result, "next_zh",
			"该限值比规则宽松，须由第二位医生以相同数值确认 (confirm) 后才生效。");
	}
	return command_audit(c, "limit", a->token, detail);
}

int limit_command(struct command *c)
{
	struct asked a = {0};
	int64_t now = clock_utc_us();
	int rc = resident_asked(c, &a);
	if (rc >= 0)
		rc = kind_asked(c, &a);
	if (rc >= 0 && !a.end)
		rc = value_asked(c, &a);
	if (rc >= 0 && !a.end && !a.confirm)
		rc = rest_asked(c, &a);
	if (rc < 0)
		return rc;
	rc = a.end ? end(c, &a, now) : a.confirm ? confirm(c, &a, now) : set(c, &a, now);
	return rc < 0 ? rc : tell(c, &a, rc > 0);
}
