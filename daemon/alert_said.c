/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert_said.h"

#include "alert_text.h"
#include "alerts.h"
#include "command.h"
#include "gateway.h"

#include <errno.h>

#define SHOWN_US (600 * CLOCK_SECOND_US) /* whoever was measured is gone then */

/* sentences */

/* All labels of its last revision; older alerts have none. */
#define FACTS                                                                                             \
	"SELECT body,coalesce(h.labels,doubts),condition,alert.severity,alert.state,place,d.name,since,"  \
	"raised,ended,alert.role,alert.deliver,alert.step,not_before,alert.ack_outcome,(SELECT count(*) " \
	"FROM alert_reading WHERE alert=alert.uuid),(SELECT min(at) FROM alert_reading WHERE "            \
	"alert=alert.uuid),(SELECT max(at) FROM alert_reading WHERE alert=alert.uuid)," ALERT_TECHNICAL   \
	" FROM alert LEFT JOIN alert_history h ON h.alert=alert.uuid AND h.revision=alert.revision "      \
	"LEFT JOIN device d ON d.id=alert.device WHERE alert.id=?"

/* Borrowed from the row. */
static struct alert_facts facts_of(struct row *r)
{
	return (struct alert_facts){.body = row_text(r, 0),
		.labels = row_text(r, 1),
		.condition = row_text(r, 2),
		.severity = row_text(r, 3),
		.state = row_text(r, 4),
		.place = row_text(r, 5),
		.device = row_text(r, 6),
		.since_us = row_int(r, 7),
		.raised_us = row_int(r, 8),
		.ended_us = row_int(r, 9),
		.role = row_text(r, 10),
		.deliver = row_text(r, 11),
		.step = row_int(r, 12),
		.not_before_us = row_int(r, 13),
		.ack_outcome = row_text(r, 14),
		.readings = row_int(r, 15),
		.first_us = row_int(r, 16),
		.last_us = row_int(r, 17),
		.technical = row_int(r, 18)};
}

static void resident_text(struct json *j, const char *zh, const char *en)
{
	if (!zh[0] && !en[0])
		return;
	json_object_begin(j, "resident_text");
	json_str(j, "zh", zh);
	json_str(j, "en", en);
	json_object_end(j);
}

int alert_said(const struct gateway *g, struct db *db, int64_t row, struct json *j)
{
	_cleanup_(row_endp) struct row *r = db_query(db, FACTS, "i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	const struct alert_facts a = facts_of(r);
	_cleanup_(freep) char *zh = alert_text(&a, g->rules, g->codes, true);
	_cleanup_(freep) char *en = alert_text(&a, g->rules, g->codes, false);
	if (!zh || !en)
		return -ENOMEM;
	json_str(j, "text_zh", zh);
	json_str(j, "text_en", en);
	resident_text(j, alert_text_resident(&a, g->rules, true),
		alert_text_resident(&a, g->rules, false));
	return 0;
}

/* a display */

static bool configured(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_stations; i++)
		if (streq(c->stations[i].id, name))
			return true;
	for (unsigned i = 0; i < c->n_devices; i++)
		if (streq(c->devices[i].station, name) || streq(c->devices[i].id, name))
			return true;
	return false;
}

/* The alert that was measured there last; its row, 0: none. `ret_at_us`: when. */
static int64_t alert_at(struct db *db, const char *where, int64_t since_us, int64_t *ret_at_us)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT a.id,m.at FROM alert a JOIN alert_reading m ON m.alert=a.uuid AND "
		"m.reading=a.shown LEFT JOIN device d ON d.id=a.device WHERE "
		"a.state='active' AND a.place IS NULL AND (a.station=?1 OR d.name=?1) AND m.at>=?2 "
		"ORDER BY m.at DESC,a.id DESC LIMIT 1",
		"ti", where, since_us);
	if (row_next(r) <= 0)
		return 0;
	*ret_at_us = row_int(r, 1);
	return row_int(r, 0);
}

/* When the last measurement came that waits for a clean one; 0: none does. */
static int64_t repeat_at(struct db *db, const char *where, int64_t since_us)
{
	return db_int(db, 0,
		"SELECT p.since FROM pending_repeat p JOIN reading m ON m.uuid=p.reading AND "
		"m.superseded=0 LEFT JOIN device d ON d.id=p.device WHERE (m.station=?1 OR d.name=?1) "
		"AND p.since>=?2 ORDER BY p.since DESC LIMIT 1",
		"ti", where, since_us);
}

static int show_alert(struct command *c, int64_t row)
{
	_cleanup_(row_endp) struct row *r = db_query(c->db, FACTS, "i", row);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	const struct alert_facts a = facts_of(r);
	json_str(c->result, "about", "alert");
	json_str(c->result, "severity", a.severity);
	json_str(c->result, "text_zh", alert_text_resident(&a, c->gateway->rules, true));
	json_str(c->result, "text_en", alert_text_resident(&a, c->gateway->rules, false));
	return 0;
}

/* Never whose it is, and no number: everybody in the room reads it. */
static int query_display(struct command *c)
{
	const char *where = command_text(c, "station");
	int64_t since_us = clock_utc_us() - SHOWN_US, at_us = 0;
	if (!configured(c->gateway->config, where))
		return command_refuse(c, "unknown_station",
			"There is no such station or device in vitalgate.yaml: `vitalgate devices` lists "
			"the devices.",
			"配置文件中没有此工位或设备：vitalgate devices 可查看设备。");
	int64_t row = alert_at(c->db, where, since_us, &at_us);
	int64_t repeat_us = repeat_at(c->db, where, since_us);
	json_str(c->result, "station", where);
	if (repeat_us && repeat_us >= at_us) {
		json_str(c->result, "about", "repeat");
		json_str(c->result, "text_zh", alert_text_repeat(true));
		json_str(c->result, "text_en", alert_text_repeat(false));
		return 0;
	}
	if (row)
		return show_alert(c, row);
	json_none(c->result, "about");
	json_str(c->result, "text_zh", "");
	json_str(c->result, "text_en", "");
	return 0;
}

const struct command_entry display_commands[] = {
	{"display", query_display, NULL},
	{0},
};
