/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands of the rota: who is absent, who has the duty, and who would be told. */
#include "command.h"
#include "filing.h"
#include "gateway.h"
#include "rota.h"

#include <errno.h>

#define LISTED_MAX 500 /* absences, duties; what is over is not shown */

/* What both acts are given. */
struct span {
	const char *member;
	int64_t from_us, to_us;
	bool end; /* the one that begins at from_us is taken back */
};

static int refuse_member(struct command *c)
{
	return command_refuse(c, "unknown_member",
		"Nobody has this token: expected a member of a team, a doctor of a resident, or a "
		"contact. `team` and the roster say who there is.",
		"没有此人员编号：应为团队成员、签约医生或联系人。请核对团队与名册。");
}

static int span_asked(struct command *c, struct span *ret)
{
	*ret = (struct span){.member = command_text(c, "member"),
		.end = json_is_true(json_object_get(c->args, "end"))};
	if (!rota_knows(c->gateway, c->db, ret->member))
		return refuse_member(c);
	bool good = command_text(c, "from")[0] && command_time(c, "from", 0, &ret->from_us) >= 0;
	if (good && !ret->end)
		good = command_text(c, "to")[0] && command_time(c, "to", 0, &ret->to_us) >= 0 &&
		       ret->to_us > ret->from_us;
	if (good)
		return 0;
	return command_refuse(c, "bad_value",
		"Expected local times such as 2026-11-21 or 2026-11-21T08:00:00, from before to.",
		"时间格式应为 2026-11-21 或 2026-11-21T08:00:00，且开始早于结束。");
}

static int refuse_unknown(struct command *c)
{
	return command_refuse(c, "unknown_id",
		"Nothing begins at that time. `rota` lists absences and duties.",
		"没有在该时间开始的记录。rota 可查看请假和值班。");
}

static int done(struct command *c, const char *what, const char *object, const struct span *s)
{
	char detail[120], from[20], to[20];
	struct vg_civil begin = clock_civil(s->from_us), end = clock_civil(s->to_us);
	clock_civil_text(from, &begin);
	clock_civil_text(to, &end);
	if (s->end)
		snprintf(detail, sizeof(detail), "%.31s from %s: taken back", s->member, from);
	else
		snprintf(detail, sizeof(detail), "%.31s from %s to %s", s->member, from, to);
	json_str(c->result, "member", s->member);
	json_time(c->result, "from", s->from_us);
	if (!s->end)
		json_time(c->result, "to", s->to_us);
	json_str(c->result, "state", s->end ? "taken_back" : "kept");
	return command_audit(c, what, object, detail);
}

static int act_absence(struct command *c)
{
	const char *deputy = command_text(c, "deputy");
	struct span s;
	int rc = span_asked(c, &s);
	if (rc < 0)
		return rc;
	if (deputy[0] && !s.end && !rota_knows(c->gateway, c->db, deputy))
		return refuse_member(c);
	rc = s.end ? db_run(c->db, "DELETE FROM absence WHERE member=? AND from_us=?", "ti",
			     s.member, s.from_us)
		   : db_run(c->db,
			     "INSERT INTO absence(member,from_us,to_us,deputy,author) VALUES(?,?,?,?,?) "
			     "ON CONFLICT(member,from_us) DO UPDATE SET to_us=excluded.to_us, "
			     "deputy=excluded.deputy, author=excluded.author",
			     "tiitt", s.member, s.from_us, s.to_us, deputy, c->author);
	if (rc == 0)
		return refuse_unknown(c);
	if (deputy[0] && !s.end)
		json_str(c->result, "deputy", deputy);
	return rc < 0 ? rc : done(c, "absence", deputy[0] && !s.end ? deputy : s.member, &s);
}

static int act_duty(struct command *c)
{
	const char *team = command_text(c, "team");
	struct span s;
	if (db_int(c->db, 0, "SELECT 1 FROM team WHERE team=? LIMIT 1", "t", team) != 1)
		return command_refuse(c, "unknown_team",
			"There is no such team, or it has no members. `team` shows one.",
			"没有此团队或该团队没有成员。team 可查看团队。");
	int rc = span_asked(c, &s);
	if (rc < 0)
		return rc;
	rc = s.end ? db_run(c->db, "DELETE FROM duty WHERE team=? AND from_us=? AND member=?",
			     "tit", team, s.from_us, s.member)
		   : db_run(c->db,
			     "INSERT INTO duty(team,member,from_us,to_us,author) VALUES(?,?,?,?,?) ON "
			     "CONFLICT(team,from_us,member) DO UPDATE SET to_us=excluded.to_us, "
			     "author=excluded.author",
			     "ttiit", team, s.member, s.from_us, s.to_us, c->author);
	if (rc == 0)
		return refuse_unknown(c);
	json_str(c->result, "team", team);
	return rc < 0 ? rc : done(c, "duty", team, &s);
}

/* looking */

static int put_steps(struct command *c, const struct rota_for *f, int64_t at_us)
{
	struct rota_person steps[ROTA_STEPS_MAX], there;
	int n = rota_steps(c->gateway, c->db, f, steps);
	json_array_begin(c->result, "steps");
	for (int i = 0; i < n; i++) {
		int rc = rota_present(c->db, &steps[i], f->resident, at_us, &there);
		if (rc < 0)
			return rc;
		json_object_begin(c->result, NULL);
		json_str(c->result, "token", steps[i].token);
		json_str(c->result, "role", steps[i].role);
		json_object_begin(c->result, "to");
		json_str(c->result, "token", rc ? there.token : NULL);
		json_str(c->result, "role", rc ? there.role : NULL);
		json_object_end(c->result);
		json_object_end(c->result);
	}
	json_array_end(c->result);
	int step = n < 0 ? n : rota_step(c->gateway, c->db, f, 0, at_us, &there);
	if (step < 0)
		return step;
	json_object_begin(c->result, "to");
	json_str(c->result, "token", there.token[0] ? there.token : NULL);
	json_str(c->result, "role", there.role[0] ? there.role : NULL);
	json_int(c->result, "step", step == ROTA_STEPS_MAX ? 0 : step);
	json_object_end(c->result);
	return 0;
}

static int put_spans(struct command *c, const char *name, const char *other, struct row *r)
{
	int rc;
	json_array_begin(c->result, name);
	while ((rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		json_str(c->result, "member", row_text(r, 0));
		json_time(c->result, "from", row_int(r, 1));
		json_time(c->result, "to", row_int(r, 2));
		json_str(c->result, other, row_text(r, 3)[0] ? row_text(r, 3) : NULL);
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

static int refuse_clock(struct command *c)
{
	return command_refuse(c, "clock_not_set",
		"The gateway's clock is not set, so it does not know what time it is. Name the time: at.",
		"网关时钟未设置，无法确定时间。请用 at 指定时间。");
}

/* Who would be told at a time: of a resident, or of staff; and what is known of absences and duties from then on. */
static int query_rota(struct command *c)
{
	const char *token = command_text(c, "resident"), *station = command_text(c, "station");
	int64_t now_us = clock_utc_us(), at_us;
	struct rota_for f = {.station = station};
	if (command_time(c, "at", now_us, &at_us) < 0)
		return command_refuse(c, "bad_value",
			"Expected for at a local time such as 2026-11-21T08:00:00.",
			"at 应为本地时间，如 2026-11-21T08:00:00。");
	if (!clock_plausible(at_us))
		return refuse_clock(c);
	if (token[0])
		f.resident = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", token);
	if (token[0] && !f.resident)
		return command_refuse(c, "unknown_resident",
			"There is no such resident. Import the roster, or look for the token in it.",
			"没有此居民。请先导入名册或核对编号。");
	f.staff = !filing_in_contract(c->db, f.resident, at_us);
	json_time(c->result, "at", at_us);
	int rc = put_steps(c, &f, at_us);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *absences = db_query(c->db,
		"SELECT member,from_us,to_us,deputy FROM absence WHERE to_us>? ORDER BY from_us,member "
		"LIMIT ?",
		"ii", at_us, (int64_t)LISTED_MAX);
	rc = put_spans(c, "absences", "deputy", absences);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *duties = db_query(c->db,
		"SELECT member,from_us,to_us,team FROM duty WHERE to_us>? ORDER BY from_us,team,member "
		"LIMIT ?",
		"ii", at_us, (int64_t)LISTED_MAX);
	return put_spans(c, "duties", "team", duties);
}

const struct command_entry rota_commands[] = {
	{"absence", act_absence, NULL},
	{"duty", act_duty, NULL},
	{"rota", query_rota, NULL},
	{0},
};
