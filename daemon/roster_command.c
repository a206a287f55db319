/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands that bring the roster: `import` a table of the site's own, `roster` what the platform keeps. Once a platform sent
 * one, it is the platform's: it wins, and the site's tables are refused until somebody at the site gives it back
 * (`roster_release`). Its version stands in meta, and its pieces wait in roster_piece until all of them are there.
 */
#include "command.h"
#include "csv.h"
#include "gateway.h"
#include "log.h"
#include "roster.h"

#include <errno.h>

#define PIECES_MAX 1000
#define VERSION_MAX 64
#define MISSING_MAX 20 /* pieces that a reply names */
#define JOINED_BYTES 512

/* who keeps the roster */

static void meta(struct db *db, const char *key, char *out, size_t size)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT value FROM meta WHERE key=?", "t", key);
	text_set(out, size, row_next(r) > 0 ? row_text(r, 0) : NULL);
}

static int set_meta(struct db *db, const char *key, const char *value)
{
	return error_only(db_run(db,
		"INSERT INTO meta(key,value) VALUES(?,?) ON CONFLICT(key) DO UPDATE SET "
		"value=excluded.value",
		"tt", key, value));
}

static int refuse_owned(struct command *c, const char *owner)
{
	char en[256], zh[256], version[VERSION_MAX + 1];
	meta(c->db, "roster_version", version, sizeof(version));
	snprintf(en, sizeof(en),
		"The platform \"%s\" keeps this roster (version %.40s). Change it there, or take it "
		"back at this gateway: vitalgate roster-release.",
		owner, version);
	snprintf(zh, sizeof(zh),
		"名册由平台“%s”管理（版本 %.40s）。请在平台上修改，或在本网关收回："
		"vitalgate roster-release。",
		owner, version);
	return command_refuse(c, "roster_owned", en, zh);
}

static int roster_release(struct command *c)
{
	char owner[40];
	if (c->platform)
		return command_refuse(c, "local_only",
			"This command is only for the gateway itself: give it there.",
			"此命令只能在网关本机上执行。");
	meta(c->db, "roster_owner", owner, sizeof(owner));
	if (!owner[0])
		return command_refuse(c, "already_so", "No platform keeps this roster.",
			"名册本就不由平台管理。");
	int rc = db_run(
		c->db, "DELETE FROM meta WHERE key IN ('roster_owner','roster_version')", "");
	if (rc >= 0)
		rc = db_run(c->db, "DELETE FROM roster_piece", "");
	json_str(c->result, "owner", owner);
	return rc < 0 ? rc : command_audit(c, "roster_release", owner, NULL);
}

/* the end of each of them */

static int refuse_lines(struct command *c, struct roster *r)
{
	char en[256], zh[256];
	snprintf(en, sizeof(en),
		"Nothing was imported: %u of %u lines are wrong; the first is %.150s", r->bad,
		r->lines, r->first_en);
	snprintf(zh, sizeof(zh), "未导入任何内容：共 %u 行，%u 行有误；首个错误：%.120s", r->lines,
		r->bad, r->first_zh);
	json_object_begin(&c->more, NULL);
	json_array_begin(&c->more, "lines");
	json_raw(&c->more, NULL, json_text(&r->faults));
	json_array_end(&c->more);
	json_int(&c->more, "wrong", r->bad);
	json_object_end(&c->more);
	return command_refuse(c, "bad_lines", en, zh);
}

/* What was taken; or the refusal. */
static int finish(struct command *c, struct roster *r, int rc, bool full)
{
	if (rc >= 0)
		rc = roster_settle(r, full);
	if (rc >= 0 && r->bad)
		return refuse_lines(c, r);
	json_int(c->result, "residents", r->lines);
	json_int(c->result, "new", r->added);
	json_int(c->result, "changed", r->changed);
	json_int(c->result, "unlisted", r->unlisted);
	json_int(c->result, "not_active", r->kept);
	if (r->kept) {
		json_array_begin(c->result, "not_active_ones");
		json_raw(c->result, NULL, json_text(&r->kept_list));
		json_array_end(c->result);
	}
	return rc;
}

/* a table */

static int columns_wrong(struct command *c, const struct csv *csv)
{
	char en[256], zh[256];
	for (unsigned i = 0; i < csv->n_columns; i++) {
		if (roster_field_named(csv->columns[i]) != ROSTER_FIELDS)
			continue;
		snprintf(en, sizeof(en),
			"Column \"%.40s\" is not ours; names, ID numbers, phones and addresses "
			"must not be imported. See config/residents.example.csv.",
			csv->columns[i]);
		snprintf(zh, sizeof(zh),
			"列“%.40s”不可导入；姓名、身份证号、电话、地址不得导入。参见 "
			"config/residents.example.csv。",
			csv->columns[i]);
		return command_refuse(c, "unknown_column", en, zh);
	}
	if (csv_get(csv, "token"))
		return 0;
	return command_refuse(c, "no_token", "The first line must name a column \"token\".",
		"首行必须包含 token 列。");
}

static int put_row(struct roster *r, const struct csv *csv)
{
	struct roster_record record;
	for (enum roster_field f = 0; f < ROSTER_FIELDS; f++) {
		const char *text = csv_get(csv, roster_field_name(f));
		record.text[f] = text ? text : "";
	}
	return roster_put(r, csv->line, &record);
}

static int import_rows(struct command *c, struct csv *csv)
{
	char error[200], detail[32];
	struct roster r;
	int rc, row;
	roster_begin(&r, c->gateway, c->db);
	for (rc = 0; rc >= 0 && (row = csv_row(csv, error, sizeof(error))) != 0;) {
		if (row > 0) {
			rc = put_row(&r, csv);
			continue;
		}
		r.lines++;
		const char *what = strstr(error, ": "); /* "roster:3: has ..." */
		roster_fault(&r, csv->line, "", what ? what + 2 : error, "此行的引号或列数有误");
	}
	snprintf(detail, sizeof(detail), "%u residents", r.lines);
	rc = finish(c, &r, rc, false);
	roster_end(&r);
	return rc < 0 ? rc : command_audit(c, "import", "roster", detail);
}

static int roster_import(struct command *c)
{
	const json_t *text = json_object_get(c->args, "csv");
	struct csv csv;
	char error[200], owner[40];
	if (!json_is_string(text))
		return command_refuse(c, "csv_missing", "Expected the roster as text in \"csv\".",
			"csv 参数应为名册文本。");
	meta(c->db, "roster_owner", owner, sizeof(owner));
	if (owner[0])
		return refuse_owned(c, owner);
	int rc = csv_open_text(&csv, "roster", json_string_value(text), json_string_length(text),
		error, sizeof(error));
	if (rc < 0)
		return command_refuse(
			c, "bad_csv", error, "名册文件格式错误：应为UTF-8编码的CSV，首行为列名。");
	rc = columns_wrong(c, &csv);
	if (rc >= 0)
		rc = import_rows(c, &csv);
	csv_close(&csv);
	return rc;
}

/* what the platform sends */

struct sending {
	bool full;
	char version[VERSION_MAX + 1], base[VERSION_MAX + 1];
	int64_t n, of;
	char here[VERSION_MAX + 1], owner[40];
};

static int refuse_argument(struct command *c, const char *en, const char *zh)
{
	return command_refuse(c, "bad_argument", en, zh);
}

/* A version is a text, or a number that is taken for one. */
static bool version_of(const struct command *c, const char *key, char out[static VERSION_MAX + 1])
{
	const json_t *v = json_object_get(c->args, key);
	out[0] = 0;
	if (!v || json_is_null(v))
		return true;
	if (json_is_integer(v)) {
		snprintf(out, VERSION_MAX + 1, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return true;
	}
	return json_is_string(v) && json_string_length(v) &&
	       text_copy(out, VERSION_MAX + 1, json_string_value(v), json_string_length(v));
}

/* A setting that is not understood would take somebody off the lists, or keep him there. */
static bool known_arguments(const json_t *args)
{
	static const char *const known[] = {
		"mode", "version", "base", "n", "of", "residents", "removed"};
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)args, key, value)
	{
		bool good = false;
		for (size_t i = 0; i < ELEMENTS(known); i++)
			good |= streq(known[i], key);
		if (!good)
			return false;
	}
	return true;
}

static bool list_or_none(const json_t *v)
{
	return !v || json_is_array(v);
}

static int number_of(const struct command *c, const char *key, int64_t *ret)
{
	const json_t *v = json_object_get(c->args, key);
	*ret = v ? json_integer_value(v) : 1;
	return !v || json_is_integer(v) ? 0 : -EINVAL;
}

static int sending_read(struct command *c, struct sending *s)
{
	const char *mode = command_text(c, "mode");
	const json_t *removed = json_object_get(c->args, "removed");
	const json_t *residents = json_object_get(c->args, "residents");
	s->full = streq(mode, "full");
	if (!s->full && !streq(mode, "delta"))
		return refuse_argument(
			c, "Expected mode full or delta.", "mode 应为 full 或 delta。");
	if (!version_of(c, "version", s->version) || !s->version[0])
		return refuse_argument(c, "Expected version: a text of at most 64 bytes.",
			"version 应为不超过64字节的文本。");
	if (!version_of(c, "base", s->base) || s->full == !!s->base[0] ||
		streq(s->base, s->version))
		return refuse_argument(c,
			"A delta needs base, the version that it changes; a full roster has none.",
			"delta 须注明其所基于的版本 base；full 不得带 base。");
	if (number_of(c, "n", &s->n) < 0 || number_of(c, "of", &s->of) < 0 || s->n < 1 ||
		s->of < s->n || s->of > PIECES_MAX)
		return refuse_argument(c, "Expected n and of: piece 1 of 1 to 1000 of 1000.",
			"n 和 of 应为第1块共1块至第1000块共1000块。");
	if (!known_arguments(c->args) || !list_or_none(residents) || !list_or_none(removed) ||
		(s->full && removed))
		return refuse_argument(c,
			"Expected residents and, in a delta, removed: two lists. Nothing else is known.",
			"应为 residents 列表，delta 还可有 removed 列表；不接受其他参数。");
	return 0;
}

/* The words of a list as one text. */
static bool joined(const json_t *list, char out[static JOINED_BYTES])
{
	size_t i, n = 0;
	const json_t *word;
	out[0] = 0;
	json_array_foreach(list, i, word)
	{
		if (!json_is_string(word) || n >= JOINED_BYTES)
			return false;
		n += (size_t)snprintf(
			out + n, JOINED_BYTES - n, "%s%s", i ? ";" : "", json_string_value(word));
	}
	return n < JOINED_BYTES;
}

static void take_member(struct roster *r, unsigned line, const char *key, const json_t *value,
	struct roster_record *record, char lists[static ROSTER_FIELDS][JOINED_BYTES])
{
	enum roster_field f = roster_field_named(key);
	char name[41];
	text_copy(name, sizeof(name), key, strlen(key));
	if (f == ROSTER_FIELDS)
		roster_fault(r, line, name,
			"is not ours; names, ID numbers, phones and addresses must not be sent",
			"不可接收；姓名、身份证号、电话、地址不得发送");
	else if (json_is_string(value))
		record->text[f] = json_string_value(value);
	else if (json_is_array(value) && joined(value, lists[f]))
		record->text[f] = lists[f];
	else if (!json_is_null(value))
		roster_fault(r, line, name, "expected a text, a list of short texts, or null",
			"应为文本、短文本列表或 null");
}

static int put_member(struct roster *r, unsigned line, const json_t *resident)
{
	static const struct roster_record empty = {
		{"", "", "", "", "", "", "", "", "", "", "", "", "", ""}};
	struct roster_record record = empty;
	char lists[ROSTER_FIELDS][JOINED_BYTES];
	unsigned before = r->n_faults;
	const char *key;
	json_t *value;
	if (!json_is_object(resident))
		roster_fault(r, line, "", "expected an object with a token", "应为带 token 的对象");
	json_object_foreach((json_t *)resident, key, value)
		take_member(r, line, key, value, &record, lists);
	if (r->n_faults == before)
		return roster_put(r, line, &record);
	r->lines++;
	return 0;
}

static int put_piece(struct roster *r, const json_t *args)
{
	const json_t *v;
	size_t i;
	int rc = 0;
	json_array_foreach(json_object_get(args, "residents"), i, v)
	{
		rc = put_member(r, (unsigned)i + 1, v);
		if (rc < 0)
			return rc;
	}
	json_array_foreach(json_object_get(args, "removed"), i, v)
	{
		const char *token = json_string_value(v);
		rc = roster_remove(r, (unsigned)i + 1, token ? token : "");
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* Piece by piece, in their order: a roster of 30,000 residents is never in memory as a whole. */
static int put_pieces(struct command *c, struct roster *r, const struct sending *s)
{
	int rc = 0;
	for (int64_t n = 1; n <= s->of && rc >= 0; n++) {
		json_t *piece = NULL;
		{
			_cleanup_(row_endp) struct row *row = db_query(c->db,
				"SELECT body FROM roster_piece WHERE version=? AND n=?", "ti",
				s->version, n);
			rc = row_next(row);
			const char *body = rc > 0 ? row_text(row, 0) : NULL;
			piece = body ? json_loads(body, 0, NULL) : NULL;
		}
		r->piece = (unsigned)n;
		rc = rc < 0 ? rc : piece ? put_piece(r, piece) : -ODD_ROW;
		json_decref(piece);
	}
	return rc;
}

/* A piece that is wrong by itself is refused when it comes, and not when the last one does. */
static int check_piece(struct command *c, const struct sending *s)
{
	struct roster r;
	roster_begin(&r, c->gateway, c->db);
	r.piece = (unsigned)s->n;
	r.dry = true;
	int rc = put_piece(&r, c->args);
	if (rc >= 0 && r.bad)
		rc = refuse_lines(c, &r);
	roster_end(&r);
	return rc;
}

static int apply(struct command *c, const struct sending *s)
{
	struct roster r;
	char object[VERSION_MAX + 16], detail[96];
	roster_begin(&r, c->gateway, c->db);
	int rc = s->of > 1 ? put_pieces(c, &r, s) : put_piece(&r, c->args);
	if (rc >= 0 && s->full && !r.lines) {
		roster_end(&r);
		return refuse_argument(c,
			"A full roster without a resident would take everybody off the lists.",
			"完整名册中没有任何居民，将使所有居民移出名单，故不接受。");
	}
	rc = finish(c, &r, rc, s->full);
	snprintf(object, sizeof(object), "%s %s", s->full ? "full" : "delta", s->version);
	snprintf(detail, sizeof(detail), "%u lines, %u new, %u unlisted", r.lines, r.added,
		r.unlisted);
	roster_end(&r);
	if (rc >= 0)
		rc = db_run(c->db, "DELETE FROM roster_piece", "");
	if (rc >= 0)
		rc = set_meta(c->db, "roster_owner", c->platform);
	if (rc >= 0)
		rc = set_meta(c->db, "roster_version", s->version);
	return rc < 0 ? rc : command_audit(c, "roster", object, detail);
}

/* Pieces of one roster wait at a time. Those of another one, or of this one cut in another way, are of no use any more. */
static int store_piece(struct command *c, const struct sending *s)
{
	_cleanup_(freep) char *body = json_dumps(c->args, JSON_COMPACT);
	if (!body)
		return -ENOMEM;
	int rc = db_run(c->db,
		"DELETE FROM roster_piece WHERE version<>?1 OR json_extract(body,'$.mode') IS NOT ?2 "
		"OR json_extract(body,'$.of')<>?3",
		"tti", s->version, s->full ? "full" : "delta", s->of);
	if (rc > 0)
		log_info("roster", "%d pieces of a roster that never was complete are dropped", rc);
	if (rc >= 0)
		rc = db_run(c->db,
			"INSERT INTO roster_piece(version,n,body) VALUES(?,?,?) ON CONFLICT(version,n) "
			"DO UPDATE SET body=excluded.body",
			"tit", s->version, s->n, body);
	return MIN(rc, 0);
}

/* How many are not here yet; the first of them are named. */
static int64_t missing(struct command *c, const struct sending *s)
{
	int64_t n = 1, here = 0;
	unsigned named = 0;
	_cleanup_(row_endp) struct row *r = db_query(
		c->db, "SELECT n FROM roster_piece WHERE version=? ORDER BY n", "t", s->version);
	json_array_begin(c->result, "missing");
	for (int64_t next = 0; next <= s->of; n = next + 1) {
		bool more = row_next(r) > 0;
		here += more;
		next = more ? row_int(r, 0) : s->of + 1;
		for (; n < next && named < MISSING_MAX; n++, named++)
			json_int(c->result, NULL, n);
	}
	json_array_end(c->result);
	return s->of - here;
}

static int refuse_base(struct command *c, const struct sending *s)
{
	char en[256], zh[256];
	const char *here = s->here[0] ? s->here : "-";
	snprintf(en, sizeof(en),
		"This delta changes version %.40s, and version %.40s is here: send a full roster.",
		s->base, here);
	snprintf(zh, sizeof(zh), "该增量基于版本 %.40s，而网关中为版本 %.40s：请发送完整名册。",
		s->base, here);
	json_object_begin(&c->more, NULL);
	json_str(&c->more, "have", s->here[0] ? s->here : NULL);
	json_str(&c->more, "want", "full");
	json_object_end(&c->more);
	return command_refuse(c, "wrong_base", en, zh);
}

static int roster_take(struct command *c)
{
	struct sending s = {0};
	if (!c->platform)
		return command_refuse(c, "platform_only",
			"Only a platform sends a roster like this. Here a table is imported: vitalgate "
			"import FILE.csv.",
			"此命令仅供平台下发名册。在本机请导入表格：vitalgate import 文件.csv。");
	int rc = sending_read(c, &s);
	if (rc < 0)
		return rc;
	meta(c->db, "roster_owner", s.owner, sizeof(s.owner));
	meta(c->db, "roster_version", s.here, sizeof(s.here));
	if (s.owner[0] && !streq(s.owner, c->platform))
		return refuse_owned(c, s.owner);
	json_str(c->result, "version", s.version);
	if (!s.full && streq(s.version, s.here)) { /* its reply was lost, and it came again */
		json_str(c->result, "state", "applied");
		return 0;
	}
	if (!s.full && !streq(s.base, s.here))
		return refuse_base(c, &s);
	if (s.of > 1) {
		rc = check_piece(c, &s);
		if (rc >= 0)
			rc = store_piece(c, &s);
		if (rc < 0)
			return rc;
		if (missing(c, &s)) {
			json_str(c->result, "state", "waits");
			return 0;
		}
	}
	json_str(c->result, "state", "applied");
	return apply(c, &s);
}

const struct command_entry roster_commands[] = {
	{"import", roster_import, NULL},
	{"roster", roster_take, NULL},
	{"roster_release", roster_release, NULL},
	{0},
};
