/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "resident_show.h"

#include "day.h"
#include "gateway.h"
#include "label.h"

/* Of those who stand at the gateway; a lost key is said, and is all that is lost. */
static void show_label(struct command *c, int64_t id, const void *sealed, size_t len)
{
	char path[LABEL_PATH_MAX], text[LABEL_MAX + 1];
	if (c->platform || !len)
		return;
	label_key_path(c->gateway->config, path);
	int rc = label_open(path, id, sealed, len, text);
	json_str(c->result, "label", rc < 0 ? NULL : text);
	if (rc >= 0)
		return;
	json_object_begin(c->result, "label_unreadable");
	json_str(c->result, "en",
		"The key of this label is lost or another one: give the label again (vitalgate "
		"label), or put the key back (paths.label_key).");
	json_str(c->result, "zh",
		"该标签的密钥已丢失或不符：请重新设置标签（vitalgate label），或恢复密钥文件"
		"（paths.label_key）。");
	json_object_end(c->result);
}

void resident_label(struct command *c, int64_t resident)
{
	char path[LABEL_PATH_MAX], text[LABEL_MAX + 1];
	size_t len;
	if (c->platform || !resident)
		return;
	_cleanup_(row_endp) struct row *r =
		db_query(c->db, "SELECT label FROM resident WHERE id=?", "i", resident);
	if (row_next(r) <= 0)
		return;
	const void *sealed = row_blob(r, 0, &len);
	label_key_path(c->gateway->config, path);
	if (len && label_open(path, resident, sealed, len, text) >= 0)
		json_str(c->result, "label", text);
}

static void show_day(struct json *j, const char *key, struct row *r, int column, int less)
{
	char text[DAY_TEXT];
	if (row_null(r, column))
		json_none(j, key);
	else
		json_str(j, key, day_text(text, day_of(row_int(r, column) - less)));
}

static void show_list(struct json *j, const char *key, const char *text)
{
	json_array_begin(j, key);
	for (; text && *text; text += strcspn(text, ";"), text += *text == ';')
		json_string_n(j, NULL, text, strcspn(text, ";"));
	json_array_end(j);
}

static void show_record(struct command *c, struct row *r, int64_t now)
{
	struct json *j = c->result;
	struct age age = age_on(row_text(r, 3), day_of(now));
	json_str(j, "state", row_text(r, 1));
	show_day(j, "state_on", r, 2, 0);
	if (!row_null(r, 18))
		json_str(j, "merged_into", row_text(r, 18));
	json_str(j, "birth_date", row_text(r, 3));
	if (age.known) {
		json_array_begin(j, "age");
		json_int(j, NULL, age.lo);
		json_int(j, NULL, age.hi);
		json_array_end(j);
	} else {
		json_none(j, "age");
	}
	json_str(j, "sex", row_text(r, 4));
	show_list(j, "programmes", row_text(r, 5));
	show_list(j, "populations", row_text(r, 6));
	show_list(j, "conditions", row_text(r, 7));
	json_str(j, "setting", row_text(r, 8));
	json_str(j, "doctor", row_text(r, 9));
	json_str(j, "team", row_text(r, 10));
	show_list(j, "chain", row_text(r, 11));
	json_object_begin(j, "contract");
	show_day(j, "signed_on", r, 12, 0);
	show_day(j, "valid_from", r, 13, 0);
	show_day(j, "valid_to", r, 14, 1); /* stored as the end of its last day */
	json_object_end(j);
	json_bool(j, "in_contract",
		!row_null(r, 13) && now >= row_int(r, 13) &&
			(row_null(r, 14) || now < row_int(r, 14)));
	json_str(j, "owner", row_text(r, 15)[0] ? row_text(r, 15) : c->gateway->config->gateway);
}

static int show_members(struct command *c, int64_t id)
{
	int rc;
	json_array_begin(c->result, "members");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT member,role,hours FROM team JOIN resident ON resident.team=team.team WHERE "
		"resident.id=? ORDER BY member",
		"i", id);
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

static int show_limits(struct command *c, int64_t id, int64_t now)
{
	int rc;
	json_array_begin(c->result, "limits");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT kind,side,milli,severity,author,reason,valid_from,valid_to,pending,"
		"confirmed_by FROM "
		"personal_limit WHERE resident=?1 AND valid_to>?2 ORDER BY id",
		"ii", id, now);
	while ((rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		json_str(c->result, "kind", row_text(r, 0));
		json_milli(c->result, row_text(r, 1), row_int(r, 2), row_int(r, 2) % 1000 ? 3 : 0);
		json_str(c->result, "severity", row_text(r, 3));
		json_str(c->result, "by", row_text(r, 4));
		json_str(c->result, "reason", row_text(r, 5));
		json_time(c->result, "from", row_int(r, 6));
		show_day(c->result, "until", r, 7, 1);
		if (row_int(r, 8))
			json_str(c->result, "state", "pending");
		if (!row_null(r, 9))
			json_str(c->result, "confirmed_by", row_text(r, 9));
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

int resident_show(struct command *c)
{
	const char *token = command_text(c, "resident");
	int64_t id, now = clock_utc_us();
	int rc;
	json_str(c->result, "resident", token);
	{
		_cleanup_(row_endp) struct row *r = db_query(c->db,
			"SELECT r.id,r.state,r.state_at,r.birth_date,r.sex,r.programmes,r.populations,"
			"r.conditions,r.setting,r.doctor,r.team,r.chain,r.signed_on,r.valid_from,"
			"r.valid_to,r.owner,r.changed,r.label,m.token FROM resident r LEFT JOIN "
			"resident m ON m.id=r.merged_into WHERE r.token=?",
			"t", token);
		rc = row_next(r);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return command_refuse(c, "unknown_resident",
				"There is no such resident. Import the roster first: vitalgate import "
				"FILE.",
				"没有此居民。请先导入名册：vitalgate import 文件。");
		size_t len;
		id = row_int(r, 0);
		const void *label = row_blob(r, 17, &len);
		show_record(c, r, now);
		show_label(c, id, label, len);
	}
	rc = show_members(c, id);
	return rc < 0 ? rc : show_limits(c, id, now);
}
