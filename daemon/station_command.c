/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about who is measured: check-ins, today's list, cards. */
#include "card.h"
#include "checkin.h"
#include "command.h"
#include "day.h"
#include "gateway.h"
#include "resident_show.h"

#include <errno.h>

#define BOOKED_MAX 2000

/* what is asked for */

static bool station_known(const struct config *c, const char *id)
{
	bool known = config_station_named(c, id) != NULL;
	for (unsigned i = 0; i < c->n_devices && !known; i++)
		known = id[0] && streq(c->devices[i].station, id);
	return known;
}

static int station_asked(struct command *c, const char **ret)
{
	*ret = command_text(c, "station");
	if (station_known(c->gateway->config, *ret))
		return 0;
	return command_refuse(c, "unknown_station",
		"There is no such station. `vitalgate stations` lists those of vitalgate.yaml and "
		"of its instruments.",
		"没有此站点。vitalgate stations 列出配置文件及设备的站点。");
}

/* By row, when it is one of those who are measured here. */
static int resident_active(struct command *c, int64_t id)
{
	if (db_int(c->db, 0, "SELECT state='active' FROM resident WHERE id=?", "i", id) == 1)
		return 0;
	return command_refuse(c, "not_active",
		"This resident is not active on the roster: moved away, deceased, unlisted, merged, "
		"or without consent. Import the roster anew, or assign the readings afterwards.",
		"该居民在名册中不是在管状态（迁出、死亡、移出名册、已合并或撤回同意）。请更新名册，或事后归档读数。");
}

static int resident_named(struct command *c, const char *token, int64_t *ret)
{
	*ret = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t", token);
	if (*ret)
		return resident_active(c, *ret);
	return command_refuse(c, "unknown_resident",
		"There is no such resident. Import the roster, or look for the token in it.",
		"没有此居民。请先导入名册或核对编号。");
}

static int card_asked(struct command *c, uint8_t hash[static CARD_HASH])
{
	const char *text = command_text(c, "card");
	size_t len = strlen(text);
	if (len <= VG_TEXT_MAX && card_hash(c->gateway->site_key, text, len, hash))
		return 0;
	return command_refuse(c, "bad_value", "Expected what the reader reads from the card.",
		"card 应为读卡器读出的卡号。");
}

static int resident_asked(struct command *c, int64_t *ret)
{
	uint8_t hash[CARD_HASH];
	bool by_card = json_object_get(c->args, "card");
	if (by_card && json_object_get(c->args, "resident"))
		return command_refuse(c, "bad_argument", "Expected a resident or a card, not both.",
			"resident 与 card 只能给出一个。");
	if (!by_card)
		return resident_named(c, command_text(c, "resident"), ret);
	int rc = card_asked(c, hash);
	if (rc < 0)
		return rc;
	*ret = card_resident(c->db, hash);
	if (*ret)
		return resident_active(c, *ret);
	return command_refuse(c, "unknown_resident",
		"This card is nobody's. Say whose it is: vitalgate card R.",
		"此卡未登记。请先登记：vitalgate card 居民。");
}

/* One of `words`, or nothing. */
static int word_asked(struct command *c, const char *name, const char *const *words,
	const char *expected_en, const char *expected_zh, const char **ret)
{
	const json_t *given = json_object_get(c->args, name);
	char number[24] = "";
	*ret = NULL;
	if (!given || json_is_null(given))
		return 0;
	if (json_is_integer(given))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(given));
	for (; *words; words++)
		if (streq(*words, command_text(c, name)) || streq(*words, number)) {
			*ret = *words;
			return 0;
		}
	return command_refuse(c, "bad_value", expected_en, expected_zh);
}

static int purpose_asked(struct command *c, const char **ret)
{
	static const char *const purposes[] = {"follow-up", "exam", "home-bed", CHECKIN_HUT, NULL};
	return word_asked(c, "purpose", purposes,
		"Expected a purpose: follow-up, exam, home-bed or hut.",
		"purpose 应为 follow-up（随访）、exam（体检）、home-bed（家庭病床）或 hut（健康小屋）。",
		ret);
}

static int flag_asked(struct command *c, const char *name, bool *ret)
{
	const json_t *given = json_object_get(c->args, name);
	*ret = json_is_true(given);
	if (!given || json_is_boolean(given))
		return 0;
	return command_refuse(c, "bad_argument", "Expected true or false for undo and instead.",
		"undo 与 instead 应为 true 或 false。");
}

/* Who is booked is expected for something. */
static const char *booked_for(
	struct command *c, const char *station, int64_t resident, char out[12])
{
	char day[DAY_TEXT];
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT purpose FROM booking WHERE station=? AND day=? AND resident=?", "tti",
		station, day_text(day, day_of(clock_utc_us())), resident);
	const char *purpose = row_next(r) > 0 ? row_text(r, 0) : "follow-up";
	text_copy(out, 12, purpose, strlen(purpose));
	return out;
}

/* Of a person at a station: everything but what is to be done. */
static int act_asked(struct command *c, struct checkin_asked *a, char fallback[12])
{
	static const char *const sources[] = {"typed", "card", "barcode", "booking", NULL};
	static const char *const ways[] = {"1", "2", "3", NULL};
	int rc = resident_asked(c, &a->resident);
	if (rc >= 0)
		rc = purpose_asked(c, &a->purpose);
	if (rc >= 0)
		rc = word_asked(c, "source", sources,
			"Expected a source: typed, card, barcode or booking.",
			"source 应为 typed（输入）、card（刷卡）、barcode（扫码）或 booking（预约）。",
			&a->source);
	if (rc >= 0)
		rc = word_asked(c, "way", ways,
			"Expected how the visit is held: 1 clinic, 2 home, 3 phone.",
			"way 应为随访方式：1 门诊、2 家庭、3 电话。", &a->way);
	if (rc < 0)
		return rc;
	a->fallback = booked_for(c, a->station, a->resident, fallback);
	if (!a->source)
		a->source = json_object_get(c->args, "card") ? "card" : "typed";
	a->way = a->way ? a->way : "";
	return 0;
}

/* what is said of it */

/* Into the open object. */
static int tell(struct command *c, int64_t checkin)
{
	size_t len;
	struct json *j = c->result;
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT c.uuid,c.station,token,purpose,source,from_us,to_us,ended,(SELECT count(*) "
		"FROM reading WHERE checkin=c.id AND superseded=0),c.resident FROM checkin c LEFT JOIN resident "
		"ON resident.id=c.resident WHERE c.id=?",
		"i", checkin);
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	const void *id = row_blob(r, 0, &len);
	json_hex(j, "checkin", id, len);
	json_str(j, "station", row_text(r, 1));
	json_str(j, "resident", row_text(r, 2));
	resident_label(c, row_int(r, 9));
	json_str(j, "purpose", row_text(r, 3));
	json_str(j, "source", row_text(r, 4));
	json_time(j, "from", row_int(r, 5));
	if (!row_null(r, 6)) {
		json_time(j, "to", row_int(r, 6));
		json_str(j, "ended", row_text(r, 7));
	}
	json_int(j, "readings", row_int(r, 8));
	return 0;
}

/* Why it cannot be done; `rc` when that is not for a person. */
static int refuse(struct command *c, int rc)
{
	if (rc == -ENOENT)
		return command_refuse(c, "nobody_checked_in",
			"Nobody is checked in there. `vitalgate stations` says who is where.",
			"该站点无人登记。vitalgate stations 可查看各站点情况。");
	if (rc == -EALREADY)
		return command_refuse(
			c, "already_so", "That is so already.", "已经如此，无需更改。");
	if (rc == -ETIME)
		return command_refuse(c, "too_late",
			"This check-in began too long ago. Assign its readings one by one: vitalgate "
			"assign READING R.",
			"该登记已超过可更正的时限。请逐条归档读数：vitalgate assign 读数 居民。");
	return rc;
}

static int done(struct command *c, int rc, const char *action, const char *detail, int64_t checkin)
{
	if (rc < 0)
		return refuse(c, rc);
	rc = tell(c, checkin);
	return rc < 0 ? rc : command_audit(c, action, command_text(c, "station"), detail);
}

/* commands */

static int act_undo(struct command *c, const char *station)
{
	static const char *const others[] = {
		"resident", "card", "purpose", "source", "way", "instead"};
	for (size_t i = 0; i < ELEMENTS(others); i++)
		if (json_object_get(c->args, others[i]))
			return command_refuse(c, "bad_argument",
				"undo takes back the last check-in of the station and nothing else: give "
				"the station alone, or use instead.",
				"undo 只撤销该站点的最近一次登记：请只给出站点，或改用 instead。");
	struct station_instant now = station_now();
	int64_t id = 0;
	int rc = checkin_undo(c->gateway, c->db, station, &now, &id);
	return done(c, rc, "checkin_undo", NULL, id);
}

static int act_checkin(struct command *c)
{
	char fallback[12], token[32] = "";
	bool undo, instead;
	int64_t id = 0;
	struct checkin_asked a = {.author = c->author, .now = station_now()};
	int rc = station_asked(c, &a.station);
	if (rc >= 0)
		rc = flag_asked(c, "undo", &undo);
	if (rc >= 0)
		rc = flag_asked(c, "instead", &instead);
	if (rc >= 0 && undo)
		return act_undo(c, a.station);
	if (rc >= 0)
		rc = act_asked(c, &a, fallback);
	if (rc < 0)
		return rc;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(c->db, "SELECT token FROM resident WHERE id=?", "i", a.resident);
		if (row_next(r) > 0)
			text_copy(token, sizeof(token), row_text(r, 0), strlen(row_text(r, 0)));
	}
	rc = instead ? checkin_instead(c->gateway, c->db, &a, c->result, &id)
		     : checkin_begin(c->gateway, c->db, &a, c->result, &id);
	return done(c, rc, instead ? "checkin_instead" : "checkin", token, id);
}

static int act_checkout(struct command *c)
{
	const char *station;
	struct station_instant now = station_now();
	int64_t id = 0;
	int rc = station_asked(c, &station);
	if (rc < 0)
		return rc;
	rc = checkin_end(c->gateway, c->db, station, &now, &id);
	return done(c, rc, "checkout", NULL, id);
}

static int act_split(struct command *c)
{
	char fallback[12] = "", text[33];
	int64_t checkin = 0;
	struct uuid id;
	struct checkin_asked a = {.author = c->author,
		.fallback = fallback,
		.source = "split",
		.way = "",
		.now = station_now()};
	int rc = command_find_measured(c, "reading", &id);
	if (rc >= 0)
		rc = resident_named(c, command_text(c, "resident"), &a.resident);
	if (rc < 0)
		return rc;
	rc = checkin_split(c->gateway, c->db, &id, &a, c->result, &checkin);
	if (rc == -ENOENT)
		return command_refuse(c, "nobody_checked_in",
			"No check-in claims this reading. Assign it alone: vitalgate assign READING R.",
			"此读数不属于任何登记。请单独归档：vitalgate assign 读数 居民。");
	if (rc < 0)
		return refuse(c, rc);
	json_hex(c->result, "reading", id.bytes, sizeof(id.bytes));
	rc = tell(c, checkin);
	return rc < 0 ? rc
		      : command_audit(c, "split", hex(text, id.bytes, sizeof(id.bytes)),
				command_text(c, "resident"));
}

static int act_card(struct command *c)
{
	uint8_t hash[CARD_HASH];
	int64_t resident = 0;
	const char *token = command_text(c, "resident");
	bool nobody = streq(token, "-");
	int rc = nobody ? 0 : resident_named(c, token, &resident);
	if (rc >= 0)
		rc = card_asked(c, hash);
	if (rc < 0)
		return rc;
	rc = card_give(c->db, hash, resident, c->author);
	if (rc < 0)
		return refuse(c, rc);
	json_str(c->result, "resident", nobody ? NULL : token);
	return command_audit(c, "card", token, NULL);
}

/* today's list */

static bool clock_good(const char *at)
{
	unsigned h, m;
	int end = 0;
	if (!at[0])
		return true;
	return strlen(at) == 5 && sscanf(at, "%2u:%2u%n", &h, &m, &end) == 2 && end == 5 &&
	       strspn(at, "0123456789:") == 5 && h < 24 && m < 60;
}

static int refuse_booked(
	struct command *c, size_t i, const char *code, const char *en, const char *zh)
{
	char text_en[256], text_zh[256];
	snprintf(text_en, sizeof(text_en), "Nothing was booked: entry %zu: %.180s", i + 1, en);
	snprintf(text_zh, sizeof(text_zh), "未保存任何预约：第 %zu 项：%.200s", i + 1, zh);
	return command_refuse(c, code, text_en, text_zh);
}

static const char *member(const json_t *o, const char *name, const char *fallback)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text ? text : fallback;
}

static int book_one(
	struct command *c, const char *station, const char *day, const json_t *o, size_t i)
{
	static const char *const purposes = " follow-up exam home-bed hut ";
	const char *at = member(o, "at", ""), *purpose = member(o, "purpose", "follow-up");
	char padded[24], en[256], zh[256];
	int64_t resident;
	snprintf(padded, sizeof(padded), " %.20s ", purpose);
	if (!json_is_object(o))
		return refuse_booked(c, i, "bad_argument", "expected {\"resident\": ..}.",
			"应为 {\"resident\": ..}。");
	if (resident_named(c, member(o, "resident", ""), &resident) < 0) {
		memcpy(en, c->en, sizeof(en));
		memcpy(zh, c->zh, sizeof(zh));
		return refuse_booked(c, i, c->code, en, zh);
	}
	if (!clock_good(at))
		return refuse_booked(
			c, i, "bad_value", "expected at as 08:30.", "at 应为 08:30 的格式。");
	if (!purpose[0] || strchr(purpose, ' ') || !strstr(purposes, padded))
		return refuse_booked(c, i, "bad_value",
			"expected a purpose: follow-up, exam, home-bed or hut.",
			"purpose 应为 follow-up、exam、home-bed 或 hut。");
	int rc = db_run(c->db,
		"INSERT INTO booking(station,day,resident,at,purpose) VALUES(?,?,?,?,?) ON CONFLICT "
		"DO NOTHING",
		"ttitt", station, day, resident, at, purpose);
	if (rc == 0)
		return refuse_booked(c, i, "bad_value", "this resident is in the list twice.",
			"该居民在列表中出现两次。");
	return MIN(rc, 0);
}

static int act_book(struct command *c)
{
	const char *station, *day = command_text(c, "day");
	const json_t *list = json_object_get(c->args, "residents"), *o;
	char today[DAY_TEXT];
	size_t i;
	int rc = station_asked(c, &station);
	if (rc < 0)
		return rc;
	if (!json_object_get(c->args, "day"))
		day = day_text(today, day_of(clock_utc_us()));
	if (day_read(day) == DAY_NONE)
		return command_refuse(c, "bad_value", "Expected a day such as 2026-11-21.",
			"日期应为 2026-11-21 的格式。");
	if (!json_is_array(list) || json_array_size(list) > BOOKED_MAX)
		return command_refuse(c, "bad_argument",
			"Expected the residents of the day as a list, at most 2000.",
			"residents 应为当日居民的列表，至多 2000 人。");
	rc = db_run(c->db, "DELETE FROM booking WHERE station=? AND day=?", "tt", station, day);
	json_array_foreach((json_t *)list, i, o)
	{
		if (rc < 0)
			break;
		rc = book_one(c, station, day, o, i);
	}
	if (rc < 0)
		return rc;
	json_str(c->result, "station", station);
	json_str(c->result, "day", day);
	json_int(c->result, "residents", (int64_t)json_array_size(list));
	return command_audit(c, "book", station, day);
}

/* who is where */

static int tell_open(struct command *c, const char *station)
{
	int64_t open;
	struct station_instant now = station_now();
	int rc = station_settle(c->gateway, c->db, station, &now);
	if (rc < 0)
		return rc;
	open = db_int(c->db, 0,
		"SELECT id FROM checkin INDEXED BY checkin_ended WHERE station=? AND to_us IS NULL",
		"t", station);
	rc = open ? tell(c, open) : 0;
	if (!open)
		json_none(c->result, "resident");
	if (rc < 0 || !open)
		return rc;
	size_t len;
	json_array_begin(c->result, "measured");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT uuid,kind,taken FROM reading WHERE checkin=? AND superseded=0 AND "
		"status<>'entered-in-error' ORDER BY taken,id LIMIT 50",
		"i", open);
	while ((rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		const void *id = row_blob(r, 0, &len);
		json_hex(c->result, "reading", id, len);
		json_str(c->result, "kind", row_text(r, 1));
		json_time(c->result, "taken", row_int(r, 2));
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

static int tell_booked(struct command *c, const char *station)
{
	int32_t today = day_of(clock_utc_us());
	char day[DAY_TEXT];
	int rc;
	json_array_begin(c->result, "booked");
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT token,at,b.purpose,EXISTS(SELECT 1 FROM checkin k INDEXED BY checkin_ended WHERE "
		"k.station=b.station AND k.to_us>=?3 AND k.resident=b.resident),b.resident FROM booking b JOIN "
		"resident ON resident.id=b.resident WHERE b.station=?1 AND day=?2 ORDER BY at,token",
		"tti", station, day_text(day, today), day_begin_us(today));
	while ((rc = row_next(r)) > 0) {
		json_object_begin(c->result, NULL);
		json_str(c->result, "resident", row_text(r, 0));
		resident_label(c, row_int(r, 4));
		if (row_text(r, 1)[0])
			json_str(c->result, "at", row_text(r, 1));
		json_str(c->result, "purpose", row_text(r, 2));
		json_bool(c->result, "was_here", row_int(r, 3));
		json_object_end(c->result);
	}
	json_array_end(c->result);
	return rc;
}

static int tell_station(struct command *c, const char *id)
{
	const struct config *config = c->gateway->config;
	const struct config_station *s = config_station_named(config, id);
	struct json *j = c->result;
	json_object_begin(j, NULL);
	json_str(j, "id", id);
	json_str(j, "card_purpose", s ? s->purpose : CHECKIN_HUT);
	json_str(j, "complete", s ? s->complete : "");
	json_array_begin(j, "devices");
	for (unsigned i = 0; i < config->n_devices; i++)
		if (streq(config->devices[i].station, id))
			json_str(j, NULL, config->devices[i].id);
	json_array_end(j);
	int rc = tell_open(c, id);
	if (rc >= 0)
		rc = tell_booked(c, id);
	json_object_end(j);
	return rc;
}

/* Those of the configuration, then those that only instruments name. */
static int query_stations(struct command *c)
{
	const struct config *config = c->gateway->config;
	int rc = 0;
	json_array_begin(c->result, "stations");
	for (unsigned i = 0; i < config->n_stations && rc >= 0; i++)
		rc = tell_station(c, config->stations[i].id);
	for (unsigned i = 0; i < config->n_devices && rc >= 0; i++) {
		const char *id = config->devices[i].station;
		bool told = !id[0] || config_station_named(config, id);
		for (unsigned k = 0; k < i && !told; k++)
			told = streq(config->devices[k].station, id);
		if (!told)
			rc = tell_station(c, id);
	}
	json_array_end(c->result);
	return rc;
}

const struct command_entry station_commands[] = {
	{"checkin", act_checkin, NULL},
	{"checkout", act_checkout, NULL},
	{"split", act_split, NULL},
	{"book", act_book, NULL},
	{"card", act_card, NULL},
	{"stations", query_stations, NULL},
	{0},
};
