/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that change something: each is audited with its author in the same transaction. */
#include "command.h"
#include "enrol_command.h"
#include "gateway.h"
#include "intake.h"
#include "loan.h"
#include "roster.h"
#include "study.h"

#include <errno.h>

static int64_t resident_of(struct command *c, const char *token)
{
	return db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", token);
}

static int refuse_resident(struct command *c)
{
	return command_refuse(c, "unknown_resident",
		"There is no such resident. Import the roster first: vitalgate import FILE.",
		"没有此居民。请先导入名册：vitalgate import 文件。");
}

/* residents and readings */

static int act_assign(struct command *c)
{
	const char *token = command_text(c, "resident");
	bool nobody = streq(token, "-");
	int64_t resident = nobody ? 0 : resident_of(c, token);
	struct uuid id;
	if (!resident && !nobody)
		return refuse_resident(c);
	resident = nobody ? 0 : roster_files_under(c->db, resident);
	if (!resident && !nobody)
		return command_refuse(c, "not_active",
			"This resident took back the consent: nothing is filed any more.",
			"该居民已撤回同意，不再归档任何数据。");
	int rc = command_find_measured(c, "reading", &id);
	if (rc < 0)
		return rc;
	struct uuid of = id;
	/* a heart rate is nobody else's than the ECG that it was measured in */
	bool study = study_row(c->db, &id) || study_of_reading(c->db, &id, &of);
	rc = study ? study_assign(c->gateway, c->db, &of, resident)
		   : intake_assign(c->gateway, c->db, &id, resident);
	if (rc == -ENOENT && study)
		return command_refuse_undecoded(c);
	if (rc == -EALREADY)
		return command_refuse(
			c, "already_so", "This reading is filed so already.", "该读数已如此归档。");
	if (rc == -EPERM)
		return command_refuse(c, "test_reading",
			"This reading is marked as a test; it is never filed under a resident.",
			"该读数为测试数据，不能归入居民档案。");
	if (rc == -ENOTSUP)
		return command_refuse(c, "place_reading",
			"This reading is of a place, not of a person.",
			"该读数属于场所，不属于居民。");
	if (rc == -ECANCELED)
		return command_refuse(c, "voided",
			"This reading is void: it was measured in error. Measure again.",
			"该读数已作废，请重新测量。");
	char text[33];
	if (rc >= 0)
		rc = command_audit(c, "assign", hex(text, id.bytes, sizeof(id.bytes)), token);
	json_hex(c->result, "reading", id.bytes, sizeof(id.bytes));
	json_str(c->result, "resident", nobody ? NULL : token);
	return rc;
}

/* Which device to whom, as bind and hand-over are asked. */
static int loan_asked(struct command *c, struct loan *ret)
{
	const char *device_name = command_text(c, "device"), *token = command_text(c, "resident");
	int64_t device = db_int(c->db, 0, "SELECT id FROM device WHERE name=?", "t", device_name);
	int64_t slot = command_number(c, "slot", -1);
	bool nobody = streq(token, "-");
	int64_t resident = nobody ? 0 : resident_of(c, token);
	if (!device)
		return command_refuse(c, "unknown_device",
			"There is no such device. `vitalgate devices` lists those of "
			"vitalgate.yaml.",
			"没有此设备。vitalgate devices 列出配置文件中的设备。");
	if (!resident && !nobody)
		return refuse_resident(c);
	/* "1" in quotes taken for no slot would give the whole device to one resident */
	const json_t *given = json_object_get(c->args, "slot");
	if (given && !json_is_null(given) && !(json_is_integer(given) && slot >= 0 && slot <= 255))
		return command_refuse(c, "bad_slot",
			"Expected a user slot of the device: 0 to 255.",
			"用户位应为0到255的整数。");
	*ret = (struct loan){device, resident, slot, c->author};
	json_str(c->result, "device", device_name);
	json_str(c->result, "resident", nobody ? NULL : token);
	return 0;
}

static int act_bind(struct command *c)
{
	struct loan l;
	int64_t from, to;
	int rc = loan_asked(c, &l);
	if (rc < 0)
		return rc;
	if (command_time(c, "from", clock_utc_us(), &from) < 0 ||
		command_time(c, "to", INT64_MAX, &to) < 0 || to <= from)
		return command_refuse(c, "bad_time",
			"Expected local times such as 2026-11-21 or 2026-11-21T08:00:00, from "
			"before to.",
			"时间格式应为 2026-11-21 或 2026-11-21T08:00:00，且开始早于结束。");
	rc = loan_bind(c->db, &l, from, to);
	if (rc >= 0)
		rc = command_audit(
			c, "bind", command_text(c, "device"), command_text(c, "resident"));
	json_time(c->result, "from", from);
	return rc;
}

static int act_handover(struct command *c)
{
	struct loan l;
	bool waits;
	int rc = loan_asked(c, &l);
	if (rc >= 0)
		rc = loan_handover(c->db, &l, clock_utc_us(), &waits);
	if (rc < 0)
		return rc;
	json_str(c->result, "state", waits ? "waits_for_memory" : "done");
	return command_audit(c, "handover", command_text(c, "device"), command_text(c, "resident"));
}

/* what the platform refused */

static int resend_all(struct command *c)
{
	int n = db_run(c->db,
		"UPDATE outbox SET state=0, next_try=1, tries=0, reason=NULL WHERE state=3", "");
	int rc = n < 0 ? n : command_audit(c, "resend", "all", NULL);
	outbox_look_again(c->gateway->outbox);
	json_int(c->result, "rows", n);
	return rc;
}

static int act_resend(struct command *c)
{
	struct uuid id;
	if (streq(command_text(c, "id"), "all"))
		return resend_all(c);
	int rc = command_find_id(c, "id",
		"SELECT DISTINCT uuid FROM outbox WHERE uuid BETWEEN ? AND ? AND state=3 LIMIT 2",
		&id);
	if (rc < 0)
		return rc;
	/* due at once, by the way that repeats take */
	rc = db_run(c->db,
		"UPDATE outbox SET state=0, next_try=1, tries=0, reason=NULL WHERE uuid=? AND "
		"state=3",
		"b", id.bytes, sizeof(id.bytes));
	char text[33];
	outbox_look_again(c->gateway->outbox);
	if (rc >= 0)
		rc = command_audit(c, "resend", hex(text, id.bytes, sizeof(id.bytes)), NULL);
	json_hex(c->result, "id", id.bytes, sizeof(id.bytes));
	return rc;
}

const struct command_entry act_commands[] = {
	{"assign", act_assign, NULL},
	{"bind", act_bind, NULL},
	{"handover", act_handover, NULL},
	{"resend", act_resend, NULL},
	{"unenrol", unenrol_command, unenrol_then},
	{0},
};
