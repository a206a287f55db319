/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands of persons about readings: each is the next revision of one, or a new one, and is audited. */
#include "command.h"
#include "gateway.h"
#include "person.h"
#include "roster.h"
#include "yamlmap.h"

#include <errno.h>

#define TYPED_MAX 600
#define REASON_MAX 200

/* arguments */

/* Who is measured here under this name: whoever a record was merged into. */
static int resident_asked(struct command *c, int64_t *ret)
{
	int64_t id = db_int(c->db, 0, "SELECT id FROM resident WHERE token=?", "t",
		command_text(c, "resident"));
	if (!id)
		return command_refuse(c, "unknown_resident",
			"There is no such resident. Import the roster, or look for the token in it.",
			"没有此居民。请先导入名册或核对编号。");
	*ret = roster_files_under(c->db, id);
	if (!*ret)
		return command_refuse(c, "not_active",
			"This resident took back the consent: nothing is filed any more.",
			"该居民已撤回同意，不再归档任何数据。");
	if (db_int(c->db, 0, "SELECT state='active' FROM resident WHERE id=?", "i", *ret) == 1)
		return 0;
	return command_refuse(c, "not_active",
		"This resident is deceased, moved away or unlisted: vitalgate resident TOKEN tells "
		"since when. Who is here again: vitalgate returned TOKEN, or import the roster anew.",
		"该居民已死亡、迁出或移出名册，详见：vitalgate resident 编号。如已回来：vitalgate returned "
		"编号，或重新导入名册。");
}

static int refuse_annotation(struct command *c, const char *key, const char *words)
{
	char en[200], zh[200];
	snprintf(en, sizeof(en), "Expected for %s one of: %s.", key, words);
	snprintf(zh, sizeof(zh), "%s 的取值应为：%s。", key, words);
	return command_refuse(c, "bad_argument", en, zh);
}

/* What is annotated by the command's arguments. */
static int annotations_asked(
	struct command *c, struct annotation out[static ANNOTATIONS_MAX], unsigned *ret_n)
{
	const char *key, *words;
	unsigned n = 0;
	for (unsigned i = 0; (key = annotation_key(i, &words)); i++) {
		const json_t *given = json_object_get(c->args, key);
		if (!given || json_is_null(given))
			continue;
		if (!annotation_find(key, command_text(c, key), &out[n++]))
			return refuse_annotation(c, key, words);
	}
	*ret_n = n;
	return 0;
}

/* "last@desk-1": what arrived last, within the hour. An older one is not what somebody means who stands beside it. "last"
 * may have been typed, too. */
#define LAST_US (3600 * CLOCK_SECOND_US)
#define LAST_ROWS 5000 /* so far back it is looked for */

static int refuse_station(struct command *c)
{
	return command_refuse(c, "unknown_station",
		"There is no such station, or there are several and none is named: last@desk-1. "
		"`vitalgate stations` lists them.",
		"没有此工位；有多个工位时须注明，如 last@desk-1。vitalgate stations 可查看工位。");
}

/* The one that is named, by the configuration or by an instrument; NULL: there is none of this name. */
static const char *station_named(const struct config *config, const char *name)
{
	const struct config_station *s = config_station_named(config, name);
	for (unsigned i = 0; !s && i < config->n_devices; i++)
		if (name[0] && streq(config->devices[i].station, name))
			return config->devices[i].station;
	return s ? s->id : NULL;
}

/* "" when there is none at all; NULL: there are several. */
static const char *only_station(const struct config *config)
{
	const char *only = config->n_stations ? config->stations[0].id : "";
	for (unsigned i = 0; i < config->n_devices; i++) {
		const char *station = config->devices[i].station;
		if (only[0] && station[0] && !streq(only, station))
			return NULL;
		only = station[0] ? station : only;
	}
	return config->n_stations > 1 ? NULL : only;
}

static int last_reading(struct command *c, const char *text, struct uuid *ret)
{
	const struct config *config = c->gateway->config;
	const char *station = text[4] ? station_named(config, text + 5) : only_station(config);
	if (!station)
		return refuse_station(c);
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT uuid FROM reading WHERE id>(SELECT max(id) FROM reading)-?1 AND revision=1 AND "
		"evidence<>'place' AND NOT test AND (?2='' OR station=?2 OR (?3 AND "
		"evidence='entered_by_person')) AND boot_id=?4 AND boot_us>=?5 ORDER BY id DESC LIMIT 1",
		"itibi", (int64_t)LAST_ROWS, station, (int64_t)!text[4], clock_boot_id(),
		(size_t)16, clock_boot_us() - LAST_US);
	int rc = row_next(r);
	if (rc == 0)
		return command_refuse(c, "unknown_id",
			"Nothing arrived in the last hour. `vitalgate readings` lists what is there.",
			"最近一小时没有收到读数。vitalgate readings 可查看已有读数。");
	if (rc > 0 && row_uuid(r, 0, ret))
		return 0;
	return rc < 0 ? rc : -ODD_ROW;
}

static bool is_last(const char *text)
{
	return !strncmp(text, "last", 4) && (!text[4] || text[4] == '@');
}

int command_find_reading(struct command *c, const char *name, struct uuid *ret)
{
	const char *text = command_text(c, name);
	if (is_last(text))
		return last_reading(c, text, ret);
	return command_find_id(c, name,
		"SELECT DISTINCT uuid FROM reading WHERE uuid BETWEEN ? AND ? LIMIT 2", ret);
}

int command_find_measured(struct command *c, const char *name, struct uuid *ret)
{
	const char *text = command_text(c, name);
	if (is_last(text))
		return last_reading(c, text, ret);
	return command_find_id(c, name,
		"SELECT uuid FROM reading WHERE uuid BETWEEN ?1 AND ?2 UNION SELECT uuid FROM study "
		"WHERE uuid BETWEEN ?1 AND ?2 LIMIT 2",
		ret);
}

/* stored readings */

static int refuse_of_person(struct command *c, int rc)
{
	switch (rc) {
	case -EALREADY:
		return command_refuse(
			c, "already_so", "This reading says so already.", "该读数已是如此。");
	case -ECANCELED:
		return command_refuse(c, "voided",
			"This reading is void: it was measured in error. Measure again.",
			"该读数已作废，请重新测量。");
	case -ENOTSUP:
		return command_refuse(c, "place_reading",
			"This reading is of a place, not of a person.",
			"该读数属于场所，不属于居民。");
	case -EDOM:
		return command_refuse(c, "bad_kind",
			"A mealtime belongs to a glucose of blood, an arm to a blood pressure: this reading "
			"has none. Name the reading that is meant.",
			"用餐状态用于血液葡萄糖、手臂用于血压，该读数不含此项。请指明所指读数。");
	case -EINVAL:
		return command_refuse(c, "bad_argument",
			"It has two blood glucose values, which cannot both be of this meal.",
			"该读数含两个血糖值，不能同属一个用餐状态。");
	default:
		return rc;
	}
}

/* The reading as it is now, so that whoever named it sees whether it is the one that was meant. */
static int say_reading(struct command *c, const struct uuid *id)
{
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT revision,status,reading.kind,token,taken,body FROM reading LEFT JOIN resident ON "
		"resident.id=reading.resident WHERE uuid=? AND superseded=0",
		"b", id->bytes, sizeof(id->bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ODD_ROW;
	json_hex(c->result, "reading", id->bytes, sizeof(id->bytes));
	json_int(c->result, "revision", row_int(r, 0));
	json_str(c->result, "status", row_text(r, 1));
	json_str(c->result, "kind", row_text(r, 2));
	json_str(c->result, "resident", row_text(r, 3));
	json_time(c->result, "taken", row_int(r, 4));
	json_members(c->result, row_text(r, 5));
	return 0;
}

static int act_annotate(struct command *c)
{
	struct annotation a[ANNOTATIONS_MAX];
	struct uuid id;
	unsigned n = 0;
	char text[33], detail[200] = "";
	int rc = annotations_asked(c, a, &n);
	if (rc < 0)
		return rc;
	if (!n)
		return command_refuse(c, "bad_argument",
			"Expected what to add: meal, arm, posture, sample or operator.",
			"请给出要补充的信息：meal、arm、posture、sample 或 operator。");
	rc = command_find_reading(c, "reading", &id);
	if (rc < 0)
		return rc;
	rc = person_annotate(c->gateway, c->db, &id, a, n, c->author);
	if (rc < 0)
		return refuse_of_person(c, rc);
	for (unsigned i = 0; i < n; i++) {
		size_t at = strlen(detail);
		snprintf(detail + at, sizeof(detail) - at, "%s%s=%s", i ? " " : "", a[i].key,
			a[i].value);
	}
	rc = command_audit(c, "annotate", hex(text, id.bytes, sizeof(id.bytes)), detail);
	return rc < 0 ? rc : say_reading(c, &id);
}

/* Digits in a row, as in the number of an identity card or a phone: they must not be kept. */
static bool names_somebody(const char *text)
{
	for (const char *p = text; *p; p++) {
		size_t n = strspn(p, "0123456789");
		if (n >= 11)
			return true;
		p += n ? n - 1 : 0;
	}
	return false;
}

static int act_void(struct command *c)
{
	const char *reason = command_text(c, "reason");
	struct uuid id;
	char text[33];
	if (!reason[strspn(reason, " ")])
		return command_refuse(
			c, "reason_missing", "Say why this reading is void.", "请说明作废原因。");
	if (strlen(reason) > REASON_MAX || names_somebody(reason))
		return command_refuse(c, "bad_argument",
			"The reason: at most 200 bytes, without the number of an identity card or phone.",
			"原因不超过200字节，且不得包含身份证号或电话号码。");
	int rc = command_find_reading(c, "reading", &id);
	if (rc < 0)
		return rc;
	rc = person_void(c->gateway, c->db, &id, reason, NULL);
	if (rc < 0)
		return refuse_of_person(c, rc);
	rc = command_audit(c, "void", hex(text, id.bytes, sizeof(id.bytes)), reason);
	return rc < 0 ? rc : say_reading(c, &id);
}

/* typed readings */

/* Of a place, of a control solution, or not a number: nobody types these of a person. */
static bool enterable(const struct code *code)
{
	return code->min_milli <= code->max_milli && strncmp(code->kind, "env.", 4) &&
	       !streq(code->kind, "glu.control") && !streq(code->kind, "glu.isf");
}

static int refuse_kind(struct command *c, const char *kind)
{
	char en[256], zh[256];
	snprintf(en, sizeof(en),
		"\"%.40s\" is no kind of value that can be typed. Expected one of codes.csv, such as "
		"bp.sbp, bp.dbp, bp.pulse, glu.random, spo2, temp, weight, height, waist, hba1c.",
		kind);
	snprintf(zh, sizeof(zh),
		"“%.40s”不是可录入的项目。应为 codes.csv 中的项目，如 bp.sbp、bp.dbp、bp.pulse、"
		"glu.random、spo2、temp、weight、height、waist、hba1c。",
		kind);
	return command_refuse(c, "bad_kind", en, zh);
}

static int refuse_range(
	struct command *c, const struct code *code, const char *text, const char *unit)
{
	char en[256], zh[256], low[24], high[24];
	int decimals = code->decimals;
	snprintf(low, sizeof(low), "%.*f", decimals, (double)code->min_milli / 1000);
	snprintf(high, sizeof(high), "%.*f", decimals, (double)code->max_milli / 1000);
	snprintf(en, sizeof(en),
		"%s %.20s %.15s cannot be true: expected %s to %s %s. Nothing was filed.",
		code->kind, text, unit, low, high, code->ucum);
	snprintf(zh, sizeof(zh), "%s %.20s %.15s 不合理：应为 %s 至 %s %s。未保存任何内容。",
		code->name_zh, text, unit, low, high, code->ucum);
	return command_refuse(c, "bad_value", en, zh);
}

static int refuse_number(
	struct command *c, const struct code *code, const char *text, const char *unit)
{
	char en[256], zh[256];
	snprintf(en, sizeof(en),
		"%s \"%.20s\" \"%.15s\": expected a number, and a unit of units.csv or %s.",
		code->kind, text, unit, code->ucum);
	snprintf(zh, sizeof(zh), "%s“%.20s”“%.15s”：应为数字，单位须在 units.csv 中或为 %s。",
		code->name_zh, text, unit, code->ucum);
	return command_refuse(c, "bad_value", en, zh);
}

/* One value as it was typed: "5.6", ">33.3". */
static int take_value(struct command *c, const char *kind, const char *text, const char *unit,
	struct quantity *ret)
{
	const struct codes *codes = c->gateway->codes;
	const struct code *code = codes_find(codes, kind);
	struct vg_decimal number;
	if (!code || !enterable(code))
		return refuse_kind(c, kind);
	char comparator = text && (*text == '<' || *text == '>') ? *text : 0;
	const char *digits = text && comparator ? text + 1 : text;
	if (!text || strlen(text) >= sizeof(ret->received) ||
		strlen(unit) >= sizeof(ret->received_unit) ||
		!yamlmap_decimal(digits, &number.mantissa, &number.exponent))
		return refuse_number(c, code, text ? text : "", unit);
	*ret = (struct quantity){.code = code, .comparator = comparator};
	int rc = codes_convert(codes, code, number, unit, &ret->value);
	if (rc == -EINVAL)
		return refuse_number(c, code, text, unit);
	if (rc < 0)
		return refuse_range(c, code, text, unit);
	text_copy(ret->received, sizeof(ret->received), digits, strlen(digits));
	text_copy(ret->received_unit, sizeof(ret->received_unit), unit, strlen(unit));
	return 0;
}

static const struct quantity *value_of(const struct reading *r, const char *kind)
{
	for (unsigned i = 0; i < r->n_quantities; i++)
		if (streq(r->quantities[i].code->kind, kind))
			return &r->quantities[i];
	return NULL;
}

/* All of them or none; `typed` gets them in one line, as what is kept of a reading without bytes. */
static int values_asked(struct command *c, struct reading *r, char typed[static TYPED_MAX])
{
	json_t *values = json_object_get(c->args, "values"), *v;
	const json_t *units = json_object_get(c->args, "units");
	const char *kind;
	size_t at = 0;
	json_object_foreach(values, kind, v)
	{
		const char *unit = json_string_value(json_object_get(units, kind));
		if (r->n_quantities == VG_QUANTITIES_MAX)
			break;
		struct quantity *q = &r->quantities[r->n_quantities];
		int rc = take_value(c, kind, json_string_value(v), unit ? unit : "", q);
		if (rc < 0)
			return rc;
		r->n_quantities++;
		at += (size_t)snprintf(typed + at, TYPED_MAX - at, "%s%s=%s%s", at ? " " : "", kind,
			json_string_value(v), unit ? unit : "");
		at = MIN(at, (size_t)TYPED_MAX - 1);
	}
	if (!r->n_quantities || r->n_quantities < json_object_size(values))
		return command_refuse(c, "bad_argument",
			"Expected 1 to 16 values, such as bp.sbp=150 bp.dbp=90.",
			"应有1到16个数值，如 bp.sbp=150 bp.dbp=90。");
	json_object_foreach((json_t *)units, kind, v) if (!value_of(r, kind)) return refuse_kind(
		c, kind);
	const struct quantity *s = value_of(r, "bp.sbp"), *d = value_of(r, "bp.dbp");
	if (s && d && s->value.milli <= d->value.milli)
		return command_refuse(c, "bad_value",
			"The systolic pressure must be above the diastolic one. Nothing was filed.",
			"收缩压应高于舒张压。未保存任何内容。");
	return 0;
}

static int refuse_time(struct command *c)
{
	return command_refuse(c, "bad_argument",
		"Expected the local time of the measurement, not in the future: 2026-11-21T08:05:00, or "
		"08:05 for today. Without one it is now.",
		"测量时间应为本地时间且不晚于现在：2026-11-21T08:05:00，或 08:05（今天）。不填为现在。");
}

/* "08:05" is today. 1: it is in `ret`; 0: none was given. */
static int taken_asked(struct command *c, struct vg_civil *ret)
{
	const json_t *given = json_object_get(c->args, "taken");
	const char *text = command_text(c, "taken");
	int64_t now = clock_utc_us(), at;
	char whole[64];
	size_t n = strlen(text);
	if (!given || json_is_null(given))
		return 0;
	struct vg_civil today = clock_civil(now);
	clock_civil_text(whole, &today);
	if (n == 5) /* behind "2026-11-21T" */
		snprintf(whole + 11, sizeof(whole) - 11, "%s:00", text);
	else
		snprintf(whole, sizeof(whole), "%.40s%s", text, n == 16 ? ":00" : "");
	/* a clock that is not set knows neither today nor the future */
	if (!clock_plausible(now) || !clock_civil_read(whole, ret) || !clock_civil_utc(ret, &at) ||
		at > now || at < 0)
		return refuse_time(c);
	return 1;
}

static int act_enter(struct command *c)
{
	struct reading r = {.user = -1, .seq = -1};
	struct annotation notes[ANNOTATIONS_MAX];
	struct vg_civil taken;
	char typed[TYPED_MAX] = "", id[33];
	unsigned n = 0;
	int64_t resident = 0;
	int rc = resident_asked(c, &resident);
	if (rc >= 0)
		rc = values_asked(c, &r, typed);
	if (rc >= 0)
		rc = annotations_asked(c, notes, &n);
	for (unsigned i = 0; i < n && rc >= 0; i++)
		rc = person_fits(&r, &notes[i]) ? 0 : refuse_of_person(c, -EDOM);
	if (rc < 0)
		return rc;
	int dated = taken_asked(c, &taken);
	if (dated < 0)
		return dated;
	if (!person_note(c->gateway->codes, &r, notes, n))
		return command_refuse(c, "bad_argument",
			"Two blood glucose values cannot both be of this meal: enter them one by one.",
			"两个血糖值不能同属一个用餐状态：请分别录入。");
	r.raw = (struct bytes){(uint8_t *)typed, strlen(typed)};
	rc = person_enter(c->gateway, c->db, &r, resident, dated ? &taken : NULL);
	if (rc >= 0)
		rc = command_audit(c, "enter", hex(id, r.id.bytes, sizeof(r.id.bytes)),
			command_text(c, "resident"));
	return rc < 0 ? rc : say_reading(c, &r.id);
}

const struct command_entry person_commands[] = {
	{"annotate", act_annotate, NULL},
	{"enter", act_enter, NULL},
	{"void", act_void, NULL},
	{0},
};
