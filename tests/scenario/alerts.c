/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alerts of people, as the tables have them: ALERTS.md, section 10. */
#include "scenario.h"

#include "severity.h"

#include <stdlib.h>

#define KEY_MAX 96

static void put_key(
	const struct site *s, struct json *j, const char *name, struct row *r, int column)
{
	size_t len;
	const void *id = row_blob(r, column, &len);
	char text[33];
	json_str(j, name,
		len == 16 ? json_string_value(json_object_get(s->keys, hex(text, id, len))) : NULL);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_labels(struct json *j, const char *labels)
{
	const char *all[64];
	size_t n, i;
	json_error_t e;
	json_t *list = json_loads(labels, 0, &e), *label;
	if (!list || json_array_size(list) > ELEMENTS(all))
		refuse("%s are no labels", labels);
	json_array_foreach(list, n, label) all[n] = json_string_value(label);
	n = json_array_size(list);
	qsort(all, n, sizeof(*all), by_text);
	json_array_begin(j, "labels");
	for (i = 0; i < n; i++)
		json_str(j, NULL, all[i]);
	json_array_end(j);
	json_decref(list);
}

static const char *said(const char *text)
{
	return text && *text ? text : NULL;
}

static void put_entry(struct json *j, struct row *r)
{
	char time[20];
	struct vg_civil at = clock_civil(row_int(r, 0));
	json_object_begin(j, NULL);
	json_str(j, "at", clock_civil_text(time, &at));
	json_str(j, "phase", row_text(r, 1));
	json_str(j, "state", row_text(r, 2));
	json_str(j, "severity", row_text(r, 3));
	json_str(j, "level", severity_name((enum severity)row_int(r, 4)));
	json_str(j, "to", said(row_text(r, 5)));
	json_str(j, "role", said(row_text(r, 6)));
	json_int(j, "step", row_int(r, 7));
	json_str(j, "deliver", row_text(r, 8));
	put_labels(j, row_text(r, 9));
	json_str(j, "ack", said(row_text(r, 10)));
	json_object_end(j);
}

static void put_alert(const struct site *s, struct json *j, struct row *a)
{
	size_t len;
	const void *id = row_blob(a, 0, &len);
	json_object_begin(j, NULL);
	json_str(j, "condition", row_text(a, 1));
	json_str(j, "resident", row_text(a, 2));
	put_key(s, j, "reading", a, 3);
	put_key(s, j, "shown", a, 4);
	json_array_begin(j, "readings");
	_cleanup_(row_endp) struct row *r = db_query(
		s->db, "SELECT reading FROM alert_reading WHERE alert=? ORDER BY n", "b", id, len);
	while (row_next(r) > 0)
		put_key(s, j, NULL, r, 0);
	json_array_end(j);
	json_array_begin(j, "history");
	_cleanup_(row_endp) struct row *h = db_query(s->db,
		"SELECT at,phase,state,severity,level,recipient,role,step,deliver,labels,ack_outcome "
		"FROM alert_history WHERE alert=? ORDER BY revision",
		"b", id, len);
	while (row_next(h) > 0)
		put_entry(j, h);
	json_array_end(j);
	json_object_end(j);
}

void answer_alerts(struct site *s, const json_t *line)
{
	const char *whose = json_string_value(json_object_get(line, "resident"));
	_cleanup_(json_free) struct json j = {0};
	/* technical ones are of a place, a device, a study or the gateway, and of nobody's reading */
	_cleanup_(row_endp) struct row *a = db_query(s->db,
		"SELECT uuid,condition,token,reading,shown FROM alert LEFT JOIN resident ON "
		"resident.id=alert.resident WHERE place IS NULL AND study IS NULL AND (reading IS NOT "
		"NULL OR resident IS NOT NULL) AND (?1 IS NULL OR coalesce(token,'-')=?1) ORDER BY "
		"alert.id",
		"t", whose);
	json_object_begin(&j, NULL);
	json_str(&j, "ask", "alerts");
	json_object_begin(&j, "answer");
	json_array_begin(&j, "alerts");
	while (row_next(a) > 0)
		put_alert(s, &j, a);
	json_array_end(&j);
	json_object_end(&j);
	json_object_end(&j);
	puts(json_text(&j));
}

json_t *alert_named(const struct site *s, const char *name)
{
	char key[KEY_MAX], text[33];
	const char *colon = strrchr(name, ':');
	size_t len;
	uint8_t reading[16];
	snprintf(key, sizeof(key), "%.*s", colon ? (int)(colon - name) : 0, name);
	const char *id = json_string_value(json_object_get(s->ids, key));
	bool by_day = !id; /* the key is a resident's token */
	if (!colon || (id && !unhex(reading, sizeof(reading), id)))
		refuse("!%s names no reading", name);
	_cleanup_(row_endp) struct row *r = db_query(s->db,
		"SELECT uuid FROM alert WHERE condition=?1 AND (reading=?2 OR (?2 IS NULL AND reading IS "
		"NULL AND resident=(SELECT id FROM resident WHERE token=?3))) ORDER BY id DESC LIMIT 1",
		"tbt", colon + 1, by_day ? NULL : reading, by_day ? (size_t)0 : sizeof(reading),
		key);
	if (row_next(r) <= 0)
		refuse("nothing was raised that is named !%s", name);
	const void *uuid = row_blob(r, 0, &len);
	return json_string(hex(text, uuid, 16));
}
