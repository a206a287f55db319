/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limit.h"

#include "day.h"
#include "filing.h"
#include "gateway.h"
#include "roster.h"
#include "stored.h"
#include "yamlmap.h"

#include <errno.h>

#define REASON_MAX 200

static int64_t nearest(double x)
{
	return (int64_t)(x + (x < 0 ? -0.5 : 0.5));
}

/* judging */

static void take(struct row *r, struct alert_rule *rule)
{
	*rule = (struct alert_rule){.id = LIMIT_RULE,
		.personal = true,
		.n_limits = 1,
		.limits = {{.op = streq(row_text(r, 1), "at_least") ? RULE_AT_LEAST : RULE_AT_MOST,
			.milli = row_int(r, 2)}},
		.severity =
			streq(row_text(r, 3), "critical") ? SEVERITY_CRITICAL : SEVERITY_WARNING,
		.zh = "达到医生为该居民设定的个人限值",
		.en = "beyond the limit that a doctor set for this resident"};
	text_copy(rule->kind, sizeof(rule->kind), row_text(r, 0), strlen(row_text(r, 0)));
}

/* A limit holds for what was measured while it does. When nobody knows when that was, it holds: silence would be worse. */
int limit_judge(struct db *db, int64_t resident, const struct reading *reading,
	const struct when *when, struct limit_rules *space, struct alert_verdict *v)
{
	int rc;
	space->n = 0;
	if (!resident)
		return 0;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT kind,side,milli,severity FROM personal_limit WHERE resident=?1 AND (?3 OR "
		"(valid_from<=?2 AND valid_to>?2)) ORDER BY id",
		"iii", resident, when->taken_us, (int64_t)(when->trust == TRUST_UNKNOWN));
	while ((rc = row_next(r)) > 0 && space->n < ALERT_HITS_MAX) {
		struct alert_rule *rule = &space->rules[space->n];
		bool fired = false;
		take(r, rule);
		for (unsigned i = 0; i < reading->n_quantities; i++) {
			const struct quantity *q = &reading->quantities[i];
			if (!alert_kind_matches(rule->kind, q->code->kind) ||
				!alert_breaks(rule, q))
				continue;
			alert_hit(v, rule, i);
			fired = true;
		}
		space->n += fired;
	}
	return MIN(rc, 0);
}

static bool personal(const struct alert_verdict *v)
{
	bool any = false;
	for (unsigned i = 0; i < v->n; i++)
		any |= streq(v->rules[i]->id, LIMIT_RULE);
	return any;
}

int limit_assigned(struct gateway *g, struct db *db, const struct uuid *reading, const char *body,
	const struct filing *f)
{
	if (!g->config->alerts ||
		db_int(db, 0, "SELECT 1 FROM personal_limit WHERE resident=? LIMIT 1", "i",
			f->who.resident) != 1)
		return 0;
	_cleanup_(stored_endp) struct stored *s = stored_read(g->codes, body);
	if (!s)
		return -EIO;
	struct limit_rules space;
	struct alert_verdict v = alert_judge(g->rules, stored_reading(s));
	int rc = limit_judge(db, f->who.resident, stored_reading(s), &f->when, &space, &v);
	if (rc >= 0 && personal(&v))
		rc = filing_alert_late(g, db, stored_reading(s), reading, f, &v);
	return rc;
}

/* setting */

struct asked {
	int64_t resident, milli, valid_to;
	const char *token, *kind, *side, *severity, *reason;
	const struct code *code;
	bool end;
};

static int refuse(struct command *c, const char *code, const char *en, const char *zh)
{
	return command_refuse(c, code, en, zh);
}

static int resident_asked(struct command *c, struct asked *a)
{
	a->token = command_text(c, "resident");
	a->resident = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", a->token);
	if (!a->resident)
		return refuse(c, "unknown_resident",
			"There is no such resident. Import the roster first: vitalgate import FILE.",
			"没有此居民。请先导入名册：vitalgate import 文件。");
	if (roster_files_under(c->db, a->resident) != a->resident)
		return refuse(c, "not_active",
			"Nothing is filed under this resident any more, so that no limit would be "
			"looked at.",
			"该居民名下不再归档数据，限值不会生效。");
	if (!roster_doctor(c->db, a->resident, command_by(c)))
		return refuse(c, "not_allowed",
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
		alert_kind_fits(c->gateway->codes, a->kind, false))
		for (size_t i = 0; (code = codes_at(c->gateway->codes, i)) && !a->code; i++)
			if (alert_kind_matches(a->kind, code->kind) &&
				code->min_milli < code->max_milli)
				a->code = code;
	if (!a->code)
		return refuse(c, "bad_kind",
			"Expected a kind of the code table that is measured of a person, such as "
			"bp.sbp, or glu.*",
			"应为编码表中的人体测量项目，如 bp.sbp 或 glu.*");
	a->side = least ? "at_least" : "at_most";
	a->end = json_is_true(json_object_get(c->args, "end"));
	if (least == most)
		return refuse(c, "bad_argument", "Expected at_least or at_most, one of them.",
			"应给出 at_least 或 at_most 之一。");
	return 0;
}

/* The national rules call at these values, whatever anybody wishes. */
static bool national(const struct command *c, const struct asked *a, int64_t *ret)
{
	const struct numbers *n = c->gateway->numbers;
	bool least = streq(a->side, "at_least"), sugar = strncmp(a->kind, "glu.", 4) == 0;
	if (least && streq(a->kind, "bp.sbp"))
		*ret = n->urgent_sbp;
	else if (least && streq(a->kind, "bp.dbp"))
		*ret = n->urgent_dbp;
	else if (sugar)
		*ret = least ? n->urgent_glucose_high : n->urgent_glucose_low;
	else
		return false;
	return true;
}

static int value_asked(struct command *c, struct asked *a)
{
	char en[256], zh[256];
	int64_t rule;
	if (!number_asked(c, a) || a->milli < a->code->min_milli || a->milli > a->code->max_milli) {
		snprintf(en, sizeof(en),
			"Expected a number between %g and %g %s with at most three decimals.",
			(double)a->code->min_milli / 1000, (double)a->code->max_milli / 1000,
			a->code->ucum);
		snprintf(zh, sizeof(zh), "应为 %g 至 %g %s 之间、至多三位小数的数。",
			(double)a->code->min_milli / 1000, (double)a->code->max_milli / 1000,
			a->code->ucum);
		return refuse(c, "bad_value", en, zh);
	}
	bool least = streq(a->side, "at_least");
	if (!national(c, a, &rule) || (least ? a->milli <= rule : a->milli >= rule))
		return 0;
	snprintf(en, sizeof(en),
		"The national rule calls at %g %s already: a personal limit may be tighter, never "
		"looser.",
		(double)rule / 1000, a->code->ucum);
	snprintf(zh, sizeof(zh), "国家规范在 %g %s 即须处理：个人限值只可更严，不可放宽。",
		(double)rule / 1000, a->code->ucum);
	return refuse(c, "looser", en, zh);
}

static int rest_asked(struct command *c, struct asked *a)
{
	int32_t until = day_read(command_text(c, "until"));
	a->severity = command_text(c, "severity");
	a->reason = command_text(c, "reason");
	if (!streq(a->severity, "critical") && !streq(a->severity, "warning"))
		return refuse(c, "bad_argument",
			"Expected severity critical or warning: of anything less nobody is told.",
			"severity 应为 critical 或 warning：更低级别不会通知任何人。");
	if (!a->reason[0] || strlen(a->reason) > REASON_MAX)
		return refuse(c, "reason_missing", "Say why, in at most 200 bytes: reason.",
			"请在 reason 中说明理由（不超过200字节）。");
	if (until == DAY_NONE || day_begin_us(until + 1) <= clock_utc_us())
		return refuse(c, "bad_argument",
			"Expected until: its last day, such as 2026-12-31, not past.",
			"until 应为尚未过去的截止日，如 2026-12-31。");
	a->valid_to = day_begin_us(until + 1);
	return 0;
}

/* One of a kind and side holds at a time: the new one follows the old. */
static int end_former(struct command *c, const struct asked *a, int64_t now)
{
	return db_run(c->db,
		"UPDATE personal_limit SET valid_to=?4 WHERE resident=?1 AND kind=?2 AND side=?3 AND "
		"valid_to>?4",
		"itti", a->resident, a->kind, a->side, now);
}

static int set(struct command *c, const struct asked *a, int64_t now)
{
	return error_only(db_run(c->db,
		"INSERT INTO personal_limit(resident,kind,side,milli,severity,author,reason,"
		"valid_from,valid_to) VALUES(?,?,?,?,?,?,?,?,?)",
		"ittitttii", a->resident, a->kind, a->side, a->milli, a->severity, c->author,
		a->reason, now, a->valid_to));
}

int limit_command(struct command *c)
{
	struct asked a = {0};
	char detail[120];
	int64_t now = clock_utc_us();
	int rc = resident_asked(c, &a);
	if (rc >= 0)
		rc = kind_asked(c, &a);
	if (rc >= 0 && !a.end)
		rc = value_asked(c, &a);
	if (rc >= 0 && !a.end)
		rc = rest_asked(c, &a);
	if (rc < 0)
		return rc;
	rc = end_former(c, &a, now);
	if (rc == 0 && a.end)
		return refuse(c, "already_so", "There is no such limit to end.",
			"没有可终止的此类限值。");
	if (rc >= 0 && !a.end)
		rc = set(c, &a, now);
	if (a.end)
		snprintf(detail, sizeof(detail), "%s %s ended", a.kind, a.side);
	else
		snprintf(detail, sizeof(detail), "%s %s %g %s", a.kind, a.side,
			(double)a.milli / 1000, a.severity);
	json_str(c->result, "resident", a.token);
	json_str(c->result, "limit", detail);
	return rc < 0 ? rc : command_audit(c, "limit", a.token, detail);
}
