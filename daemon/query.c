/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that look and change nothing. Long lists come in pages: nobody may hold up the store. */
#include "capture.h"
#include "command.h"
#include "devices.h"
#include "enrol_command.h"
#include "gateway.h"
#include "log.h"
#include "payload.h"
#include "person.h"

#include <errno.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX 500

static int64_t page(const struct command *c)
{
	int64_t n = command_number(c, "limit", PAGE_DEFAULT);
	return n < 1 ? 1 : MIN(n, PAGE_MAX);
}

static int list(struct command *c, const char *name, enum object kind, struct row *r)
{
	int rc;
	json_array_begin(c->result, name);
	while ((rc = row_next(r)) > 0) {
		int done = payload_object(
			c->gateway, c->db, kind, row_int(r, 0), row_int(r, 0), c->result);
		if (done < 0)
			return done;
	}
	json_array_end(c->result);
	return rc;
}

static int refuse_resident(struct command *c)
{
	return command_refuse(c, "unknown_resident",
		"There is no such resident. Import the roster, or look for the token in it.",
		"没有此居民。请先导入名册或核对编号。");
}

static int query_readings(struct command *c)
{
	const char *token = command_text(c, "resident");
	int64_t after = command_number(c, "after", -1);
	if (token[0]) {
		int64_t who = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", token);
		if (!who)
			return refuse_resident(c);
		_cleanup_(row_endp) struct row *r = db_query(c->db,
			"SELECT id FROM reading WHERE resident=? AND superseded=0 AND id>? ORDER "
			"BY taken DESC LIMIT ?",
			"iii", who, after, page(c));
		return list(c, "readings", OBJECT_READING, r);
	}
	if (after >= 0) {
		_cleanup_(row_endp) struct row *r =
			db_query(c->db, "SELECT id FROM reading WHERE id>? ORDER BY id LIMIT ?",
				"ii", after, page(c));
		return list(c, "readings", OBJECT_READING, r);
	}
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT id FROM reading WHERE superseded=0 ORDER BY id DESC LIMIT ?", "i", page(c));
	return list(c, "readings", OBJECT_READING, r);
}

static int query_unassigned(struct command *c)
{
	json_int(c->result, "total",
		db_int(c->db, 0,
			"SELECT count(*) FROM reading INDEXED BY reading_unassigned WHERE "
			"resident IS NULL AND superseded=0 AND evidence<>'place' AND test=0 AND status<>'entered-in-error'",
			""));
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT id FROM reading INDEXED BY reading_unassigned WHERE resident IS NULL AND "
		"superseded=0 AND evidence<>'place' AND test=0 AND status<>'entered-in-error' ORDER BY id DESC LIMIT ?",
		"i", page(c));
	int rc = list(c, "readings", OBJECT_READING, r);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *studies = db_query(c->db,
		"SELECT id FROM study WHERE status='unassigned' AND test=0 ORDER BY id DESC LIMIT ?",
		"i", page(c));
	return list(c, "studies", OBJECT_STUDY, studies);
}

static int query_events(struct command *c)
{
	_cleanup_(row_endp) struct row *r =
		db_query(c->db, "SELECT id FROM event ORDER BY id DESC LIMIT ?", "i", page(c));
	return list(c, "events", OBJECT_EVENT, r);
}

static int query_devices(struct command *c)
{
	static const char *const results[] = {
		"reading", "nothing", "malformed", "out_of_sequence", "unsupported", "implausible"};
	int rc;
	json_array_begin(c->result, "devices");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT name,driver,address,uid,last_seen,ack_mode,offset_us,battery,n_reading,"
		"n_nothing,n_malformed,n_out_of_sequence,n_unsupported,n_implausible,(SELECT "
		"group_concat(token||CASE WHEN user_slot IS NULL THEN '' ELSE ':'||user_slot END,"
		"' ') FROM binding JOIN resident ON resident.id=binding.resident WHERE "
		"binding.device=device.id AND binding.valid_to IS NULL),(SELECT group_concat(token,' ') FROM handover "
		"JOIN resident ON resident.id=handover.resident WHERE handover.device=device.id) "
		"FROM device WHERE driver<>'" PERSON_DEVICE "' ORDER BY name",
		"");
	while ((rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		json_str(c->result, "id", row_text(r, 0));
		json_str(c->result, "driver", row_text(r, 1));
		json_str(c->result, "address", row_text(r, 2));
		json_str(c->result, "uid", row_text(r, 3));
		if (row_null(r, 4))
			json_none(c->result, "last_seen");
		else
			json_time(c->result, "last_seen", row_int(r, 4));
		json_str(c->result, "ack_mode", row_text(r, 5));
		if (!row_null(r, 6))
			json_milli(c->result, "clock_offset_s", row_int(r, 6) / 1000, 3);
		if (!row_null(r, 7))
			json_int(c->result, "battery_percent", row_int(r, 7));
		json_str(c->result, "bound_to", row_text(r, 14));
		if (!row_null(r, 15))
			json_str(c->result, "handover_to", row_text(r, 15));
		json_object_begin(c->result, "results");
		for (int i = 0; i < 6; i++)
			json_int(c->result, results[i], row_int(r, 8 + i));
		json_object_end(c->result);
		json_object_end(c->result);
	}
	json_array_end(c->result);
	json_members(c->result, c->live);
	return rc;
}

/* So that the index is used, and a million pending rows are not counted for three answers. */
#define SINKS "sink IN (0,1,2,3)"
_Static_assert(CONFIG_SINKS_MAX == 4, "SINKS names them all");

static void counts(struct command *c)
{
	static const struct {
		const char *name, *sql;
	} all[] = {
		{"reading_rows", "SELECT max(id) FROM reading"},
		{"unassigned",
			"SELECT count(*) FROM reading INDEXED BY reading_unassigned"
			" WHERE resident IS NULL AND superseded=0 AND evidence<>'place' AND test=0 AND "
			"status<>'entered-in-error'"},
		{"alerts_active", "SELECT count(*) FROM alert WHERE state IN ('active','latched')"},
		{"repeats_pending", "SELECT count(*) FROM pending_repeat"},
		{"residents", "SELECT count(*) FROM resident"},
		{"outbox_pending", "SELECT count(*) FROM outbox WHERE " SINKS " AND state=0"},
		{"outbox_sent", "SELECT count(*) FROM outbox WHERE " SINKS " AND state=1"},
		{"outbox_rejected", "SELECT count(*) FROM outbox WHERE " SINKS " AND state=3"},
	};
	json_object_begin(c->result, "counts");
	for (size_t i = 0; i < ELEMENTS(all); i++)
		json_int(c->result, all[i].name, db_int(c->db, 0, all[i].sql, ""));
	if (c->gateway->config->lists_due) /* of the last morning */
		json_int(c->result, "due",
			db_int(c->db, 0,
				"SELECT json_extract(body,'$.total') FROM digest WHERE kind='due' "
				"ORDER BY id DESC LIMIT 1",
				""));
	json_object_end(c->result);
}

/* What the platform refused is work for a person: it is named here until it is sent again or dropped. */
static int rejected(struct command *c)
{
	static const char *const names[OBJECTS] = {
		"reading", "alert", "followup", "event", "study", "piece", "due", "kpi"};
	int rc;
	json_array_begin(c->result, "rejected");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT uuid,revision,kind,sink,reason FROM outbox WHERE " SINKS " AND state=3"
		/* pieces go with their study; when only pieces were refused, the first stands for all */
		" AND (kind<>5 OR id=(SELECT min(o.id) FROM outbox o WHERE o.uuid=outbox.uuid AND "
		"o.sink=outbox.sink AND o.state=3)) ORDER BY id LIMIT 100",
		"");
	while ((rc = row_next(r)) > 0) {
		size_t len;
		const void *id = row_blob(r, 0, &len);
		json_object_begin(c->result, NULL);
		json_hex(c->result, "id", id, len);
		json_int(c->result, "revision", row_int(r, 1));
		json_str(c->result, "object", names[row_int(r, 2) % OBJECTS]);
		json_str(c->result, "sink", c->gateway->config->sinks[row_int(r, 3) & 3].name);
		json_str(c->result, "reason", row_text(r, 4));
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

static int query_status(struct command *c)
{
	const struct config *g = c->gateway->config;
	json_str(c->result, "org", g->org);
	json_str(c->result, "site", g->site);
	json_str(c->result, "gateway", g->gateway);
	json_str(c->result, "epoch", c->gateway->epoch);
	json_time(c->result, "now", clock_utc_us());
	json_bool(c->result, "clock_plausible", clock_plausible(clock_utc_us()));
	json_bool(c->result, "clock_synced",
		db_int(c->db, 0, "SELECT synced FROM clock_span ORDER BY id DESC LIMIT 1", "") ==
			1);
	json_str(c->result, "tables", codes_version(c->gateway->codes));
	json_str(c->result, "rules", alert_rules_version(c->gateway->rules));
	if (c->gateway->config_fault[0])
		json_str(c->result, "config_fault", c->gateway->config_fault);
	counts(c);
	int rc = rejected(c);
	json_members(c->result, c->live);
	return rc;
}

/* captures: started, then fetched piece by piece until they are over */

static int capture_start(struct command *c)
{
	int64_t seconds = command_number(c, "seconds", 60);
	if (seconds < 1 || seconds > CAPTURE_SECONDS_MAX)
		return command_refuse(
			c, "bad_seconds", "Expected 1 to 3600 seconds.", "时长应为1到3600秒。");
	int rc = devices_capture_start(
		c->gateway->devices, command_text(c, "device"), (unsigned)seconds);
	if (rc == -ENOENT)
		return command_refuse(c, "unknown_device",
			"There is no such device. `vitalgate devices` lists those of "
			"vitalgate.yaml.",
			"没有此设备。vitalgate devices 列出配置文件中的设备。");
	if (rc == -EBUSY)
		return command_refuse(c, "being_captured",
			"This device is being captured already; wait until that is over.",
			"该设备正在记录中，请等待其结束。");
	if (rc < 0)
		return command_refuse(c, "no_memory", "Out of memory.", "内存不足。");
	log_info(
		command_text(c, "device"), "%s captures it for %u s", c->author, (unsigned)seconds);
	return 0;
}

static int query_capture(struct command *c)
{
	const char *order = command_text(c, "order");
	struct vg_now now;
	clock_now(&now);
	int rc = streq(order, "start") ? capture_start(c) : 0;
	struct capture *k = devices_capture(c->gateway->devices, command_text(c, "device"));
	if (rc < 0)
		return rc;
	if (!k)
		return command_refuse(c, "no_capture", "Nothing is being captured on this device.",
			"该设备上没有正在进行的采集记录。");
	if (streq(order, "stop"))
		capture_stop(k, &now);
	size_t len, next, from = (size_t)MAX(command_number(c, "from", 0), INT64_C(0));
	const char *text = capture_text(k, from, &len, &next, &now);
	json_str(c->result, "state", capture_state(k, &now));
	json_str(c->result, "why", capture_why(k));
	json_string_n(c->result, "text", text, len);
	json_int(c->result, "next", (int64_t)next);
	return 0;
}

const struct command_entry query_commands[] = {
	{"status", query_status, NULL},
	{"devices", query_devices, NULL},
	{"readings", query_readings, NULL},
	{"unassigned", query_unassigned, NULL},
	{"events", query_events, NULL},
	{0},
};

const struct command_entry loop_commands[] = {
	{"capture", query_capture, NULL},
	{"enrol", enrol_command, NULL},
	{0},
};
