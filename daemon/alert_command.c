/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about alerts: the lists of them, and what persons say of one. */
#include "acknowledge.h"
#include "alerts.h"
#include "command.h"
#include "gateway.h"
#include "payload.h"
#include "report.h"
#include "rota.h"

#include <errno.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX 500

static int find_alert(struct command *c, const char *name, struct uuid *ret)
{
	int rc = command_find_id(
		c, name, "SELECT uuid FROM alert WHERE uuid BETWEEN ? AND ? LIMIT 2", ret);
	if (rc == -EPROTO && streq(c->code, "unknown_id"))
		return command_refuse(c, "unknown_alert",
			"There is no such alert. `vitalgate alerts --all` lists them.",
			"没有此警报。vitalgate alerts --all 可查看全部警报。");
	return rc;
}

/* lists */

static int64_t page(const struct command *c)
{
	int64_t n = command_number(c, "limit", PAGE_DEFAULT);
	return n < 1 ? 1 : MIN(n, PAGE_MAX);
}

/* What waits for a clean repeat: no alert yet, and perhaps one in a minute. */
static int repeats(struct command *c)
{
	int rc;
	size_t len;
	json_array_begin(c->result, "repeats");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT p.reading,device.name,token,p.severity,p.body,p.doubts,p.due,p.condition FROM "
		"pending_repeat p LEFT JOIN reading ON reading.uuid=p.reading AND superseded=0 "
		"LEFT JOIN resident ON resident.id=reading.resident LEFT JOIN device ON "
		"device.id=p.device ORDER BY p.due LIMIT ?",
		"i", page(c));
	while ((rc = row_next(r)) > 0) {
		const void *reading = row_blob(r, 0, &len);
		json_object_begin(c->result, NULL);
		json_hex(c->result, "reading", reading, len);
		json_str(c->result, "condition", row_text(r, 7));
		json_str(c->result, "device", row_text(r, 1));
		json_str(c->result, "resident", row_text(r, 2));
		json_str(c->result, "severity", row_text(r, 3));
		json_members(c->result, row_text(r, 4));
		json_raw(c->result, "labels", row_text(r, 5));
		json_time(c->result, "due", row_int(r, 6));
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

/* Columns of put_alert(), and how far what was told last has come. */
#define LISTED                                                                                     \
	"SELECT id,CASE WHEN acked IS NOT NULL THEN 'acknowledged' WHEN read_at IS NOT NULL THEN " \
	"'read' WHEN receipted IS NOT NULL THEN 'at_platform' WHEN sent IS NOT NULL THEN 'sent' "  \
	"ELSE 'queued' END,read_by,read_at FROM alert WHERE "

/* As the platform gets it, and its delivery. */
static int put_alert(struct command *c, const char *key, struct row *r)
{
	struct json one = {0};
	int rc =
		payload_object(c->gateway, c->db, OBJECT_ALERT, row_int(r, 0), row_int(r, 0), &one);
	const char *text = rc > 0 ? json_text(&one) : NULL;
	if (text) {
		json_object_begin(c->result, key);
		json_members(c->result, text);
		json_str(c->result, "delivery", row_text(r, 1));
		if (!row_null(r, 3)) {
			json_object_begin(c->result, "read");
			json_str(c->result, "by", row_text(r, 2));
			json_time(c->result, "at", row_int(r, 3));
			json_object_end(c->result);
		}
		json_object_end(c->result);
	}
	json_free(&one);
	return rc < 0 ? rc : text ? 0 : -ENOMEM;
}

/* One alert with all its revisions. */
static int history(struct command *c)
{
	struct uuid id;
	int rc = find_alert(c, "history", &id);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *alert =
		db_query(c->db, LISTED "uuid=?", "b", id.bytes, sizeof(id.bytes));
	rc = row_next(alert);
	if (rc > 0)
		rc = put_alert(c, "alert", alert);
	json_array_begin(c->result, "history");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT revision,at,phase,state,severity,level,recipient,role,step,deliver,labels,"
		"ack_author,ack_outcome FROM alert_history WHERE alert=? ORDER BY revision",
		"b", id.bytes, sizeof(id.bytes));
	while (rc >= 0 && (rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		json_int(c->result, "revision", row_int(r, 0));
		if (clock_plausible(row_int(r, 1)))
			json_time(c->result, "at", row_int(r, 1));
		else /* our clock was not set, and the alert is of another boot than the repair */
			json_str(c->result, "at", NULL);
		json_str(c->result, "phase", row_text(r, 2));
		json_str(c->result, "state", row_text(r, 3));
		json_str(c->result, "severity", row_text(r, 4));
		json_str(c->result, "level", severity_name((enum severity)(row_int(r, 5) & 3)));
		json_str(c->result, "to", row_text(r, 6)[0] ? row_text(r, 6) : NULL);
		json_str(c->result, "role", row_text(r, 7)[0] ? row_text(r, 7) : NULL);
		json_int(c->result, "step", row_int(r, 8));
		json_str(c->result, "deliver", row_text(r, 9));
		json_raw(c->result, "labels", row_text(r, 10));
		if (!row_null(r, 12)) {
			json_object_begin(c->result, "ack");
			json_str(c->result, "by", row_text(r, 11));
			json_str(c->result, "outcome", row_text(r, 12));
			json_object_end(c->result);
		}
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

static int list(struct command *c, struct row *r)
{
	int rc;
	json_array_begin(c->result, "alerts");
	while ((rc = row_next(r)) > 0) {
		int put = put_alert(c, NULL, r);
		if (put < 0)
			return put;
	}
	json_array_end(c->result);
	return rc < 0 ? rc : repeats(c);
}

static int64_t *resident_asked(struct command *c, const char *token, int64_t *id)
{
	*id = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", token);
	return *id ? id : NULL;
}

#define OPEN "state IN ('active','latched')"
#define ASKED "id>?1 AND raised>=?2 AND (NOT ?3 OR resident IS ?4) ORDER BY id DESC LIMIT ?5"
#define ASKED_FOR \
	"iiipi", command_number(c, "after", -1), since_us, (int64_t)(*token != 0), who, page(c)

static int query_alerts(struct command *c)
{
	const char *token = command_text(c, "resident");
	int64_t since_us, id, *who = resident_asked(c, token, &id);
	if (command_text(c, "history")[0])
		return history(c);
	if (command_time(c, "since", INT64_MIN, &since_us) < 0)
		return command_refuse(c, "bad_value",
			"Expected for since a local time such as 2026-11-21 or 2026-11-21T08:00:00.",
			"since 应为本地时间，如 2026-11-21 或 2026-11-21T08:00:00。");
	if (token[0] && !streq(token, "-") && !who)
		return command_refuse(c, "unknown_resident",
			"There is no such resident. Import the roster, or look for the token in it.",
			"没有此居民。请先导入名册或核对编号。");
	bool all = json_is_true(json_object_get(c->args, "all"));
	bool morning = json_is_true(json_object_get(c->args, "morning"));
	_cleanup_(row_endp) struct row *r =
		all && token[0] ? db_query(c->db, LISTED "resident IS ?4 AND " ASKED, ASKED_FOR)
		: all		? db_query(c->db, LISTED ASKED, ASKED_FOR)
		: morning
			? db_query(c->db,
				  LISTED OPEN " AND deliver='morning' AND acked IS NULL AND " ASKED,
				  ASKED_FOR)
			: db_query(c->db, LISTED OPEN " AND " ASKED, ASKED_FOR);
	return list(c, r);
}

/* acknowledging */

/* An alert as it is, for whoever wants to say something of it. */
struct said_of {
	struct uuid id;
	char text[33], state[16], by[64], outcome[16];
	bool acknowledged, read_back;
	int64_t acked_us, revision;
};

static int look_up(struct command *c, struct said_of *a)
{
	int rc = find_alert(c, "alert", &a->id);
	if (rc < 0)
		return rc;
	hex(a->text, a->id.bytes, sizeof(a->id.bytes));
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT state,acked,ack_author,ack_outcome,revision,coalesce(json_extract(body,"
		"'$.rules[0].id')='" REPORT_CRITICAL_RULE "',0) FROM alert WHERE uuid=?",
		"b", a->id.bytes, sizeof(a->id.bytes));
	rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	text_set(a->state, sizeof(a->state), row_text(r, 0));
	a->acknowledged = !row_null(r, 1);
	a->acked_us = row_int(r, 1);
	text_set(a->by, sizeof(a->by), row_text(r, 2));
	text_set(a->outcome, sizeof(a->outcome), row_text(r, 3));
	a->revision = row_int(r, 4);
	a->read_back = row_int(r, 5);
	return 0;
}

/* Of a critical value that the ECG centre told: whoever read it back has heard it. */
static int refuse_unread(struct command *c, const struct uuid *id)
{
	char en[200], zh[200], study[33] = "";
	_cleanup_(row_endp) struct row *r = db_query(
		c->db, "SELECT study FROM alert WHERE uuid=?", "b", id->bytes, sizeof(id->bytes));
	struct uuid of;
	if (row_next(r) > 0 && row_uuid(r, 0, &of))
		hex(study, of.bytes, sizeof(of.bytes));
	snprintf(en, sizeof(en),
		"A critical value has to be read back, which acknowledges it: vitalgate ecg readback "
		"%.8s \"THE WORDS\".",
		study);
	snprintf(zh, sizeof(zh),
		"危急值须复述确认（复述后警报即被确认）：vitalgate ecg readback %.8s “危急值内容”。",
		study);
	return command_refuse(c, "read_it_back", en, zh);
}

/* A local user is who the kernel says; the platform has to say who it is, and it must be somebody we know. */
static int check_who(struct command *c)
{
	const char *by = command_by(c);
	if (!c->platform || rota_knows(c->gateway, c->db, by))
		return 0;
	if (!by[0])
		return command_refuse(c, "who_missing",
			"Say who acknowledges: \"by\" with a token such as D-0001.",
			"请注明确认人：by 应为人员编号，如 D-0001。");
	return command_refuse(c, "unknown_person",
		"Nobody has this token: expected one of a team, a doctor of a resident, or a contact.",
		"没有此人员编号：应为团队成员、签约医生或联系人。");
}

/* The severity rose, it was raised anew, or another critical value came, since the revision that the person saw. What is void is the reading that it
 * shows, and since any other revision that may be another one. 1, 0, or it is refused. */
static int outdated(struct command *c, const struct said_of *a, const char *outcome)
{
	const json_t *seen = json_object_get(c->args, "revision");
	if (!seen || json_is_null(seen))
		return 0;
	if (!json_is_integer(seen) || json_integer_value(seen) < 1)
		return command_refuse(c, "bad_value",
			"Expected the revision that was seen: 1, 2 ..",
			"revision 应为所见的版本号：1、2……");
	return (int)db_int(c->db, 0,
		"SELECT EXISTS(SELECT 1 FROM alert_history WHERE alert=? AND revision>? AND (? OR phase IN "
		"('start','escalate') OR (phase='continue' AND level=?)))",
		"biii", a->id.bytes, sizeof(a->id.bytes), (int64_t)json_integer_value(seen),
		(int64_t)streq(outcome, "artefact"), (int64_t)SEVERITY_CRITICAL);
}

/* Somebody was first. By the platform's door that is no error: two doors meet here, and the line may have been down. */
static int say_already(struct command *c, const struct said_of *a, const char *outcome)
{
	char detail[48];
	if (!c->platform)
		return command_refuse(c, "already_acknowledged",
			"This alert was acknowledged before; `vitalgate alerts --all` says by whom.",
			"该警报已被确认；vitalgate alerts --all 可查看确认人。");
	json_str(c->result, "alert", a->text);
	json_str(c->result, "state", a->state);
	json_bool(c->result, "already", true);
	json_str(c->result, "by", a->by);
	json_str(c->result, "outcome", a->outcome);
	json_time(c->result, "at", a->acked_us);
	snprintf(detail, sizeof(detail), "%.20s, after %.20s", outcome, a->outcome);
	return command_audit(c, "ack", a->text, detail);
}

static bool outcome_known(const char *outcome)
{
	static const char *const outcomes[] = {
		"reached", "advised", "referred", "not_reached", "artefact"};
	for (size_t i = 0; i < ELEMENTS(outcomes); i++)
		if (streq(outcome, outcomes[i]))
			return true;
	return false;
}

/* What forbids it, in the order in which it is said. 0: nothing. */
static int check_ack(struct command *c, const struct said_of *a, const char *outcome)
{
	int rc = outdated(c, a, outcome);
	if (rc > 0)
		return command_refuse(c, "outdated",
			"This alert is graver, or has another reading, than when you saw it: look at it "
			"again, `vitalgate alerts`, and acknowledge what it says now.",
			"该警报在您查看后已升级或更新：请重新查看 vitalgate alerts，再确认当前内容。");
	if (rc == 0 && !outcome_known(outcome))
		return command_refuse(c, "bad_value",
			"Say the outcome: reached, advised, referred, not_reached or artefact.",
			"请注明结果：reached 已联系 / advised 已指导 / referred 已转诊 / "
			"not_reached 未联系上 / "
			"artefact 误测。");
	if (rc == 0 && a->read_back && !streq(outcome, "not_reached"))
		return refuse_unread(c, &a->id);
	return rc;
}

static int act_ack(struct command *c)
{
	const char *outcome = command_text(c, "outcome");
	struct said_of a = {0};
	int rc = look_up(c, &a);
	if (rc >= 0)
		rc = check_who(c);
	if (rc < 0)
		return rc;
	if (a.acknowledged)
		return say_already(c, &a, outcome);
	rc = check_ack(c, &a, outcome);
	if (rc < 0)
		return rc;
	rc = streq(outcome, "artefact")
		     ? acknowledge_artefact(c->gateway, c->db, &a.id, c->author)
		     : acknowledge_alert(c->gateway, c->db, &a.id, c->author, outcome);
	if (rc == -EALREADY)
		return command_refuse(c, "already_so",
			"There is no reading behind this alert that could be void. Say what was done: "
			"reached, advised or referred.",
			"该警报没有可作废的读数。请注明处理结果：reached、advised 或 referred。");
	if (rc >= 0)
		rc = look_up(c, &a);
	if (rc >= 0)
		rc = command_audit(c, "ack", a.text, outcome);
	json_str(c->result, "alert", a.text);
	json_str(c->result, "state", a.state);
	json_int(c->result, "revision", a.revision);
	json_str(c->result, "by", c->author);
	json_str(c->result, "outcome", outcome);
	return rc;
}

/* Who looked at it first; no revision. */
static int act_alert_read(struct command *c)
{
	struct uuid id;
	char text[33];
	int rc = find_alert(c, "alert", &id);
	if (rc < 0)
		return rc;
	hex(text, id.bytes, sizeof(id.bytes));
	rc = db_run(c->db, "UPDATE alert SET read_by=?, read_at=? WHERE uuid=? AND read_at IS NULL",
		"tib", c->author, clock_utc_us(), id.bytes, sizeof(id.bytes));
	if (rc > 0)
		rc = command_audit(c, "alert_read", text, NULL);
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT read_by,read_at FROM alert WHERE uuid=?", "b", id.bytes, sizeof(id.bytes));
	if (rc >= 0)
		rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	json_str(c->result, "alert", text);
	json_str(c->result, "by", row_text(r, 0));
	json_time(c->result, "at", row_int(r, 1));
	return 0;
}

const struct command_entry alert_commands[] = {
	{"alerts", query_alerts, NULL},
	{"ack", act_ack, NULL},
	{"alert_read", act_alert_read, NULL},
	{0},
};
