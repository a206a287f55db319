/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "command.h"

#include "devices.h"
#include "enrol_gateway.h"
#include "forward.h"
#include "gateway.h"
#include "link.h"
#include "log.h"
#include "radio.h"

#include <errno.h>

struct order {
	struct job job;
	struct gateway *gateway;
	char *text;
	size_t len;
	char author[64];
	char *live;
	struct json reply;
	bool refused;
	void (*give)(void *arg, const char *text, size_t len);
	void *arg;
	int sink;    /* -1: the local door */
	char id[65]; /* of the command: "" when it has none, or is none */
	json_t *root;
	const struct command_entry *on_loop; /* what the loop has still to run; NULL: nothing */
	const struct command_entry *ran;     /* what the store thread has run; NULL: nothing */
};

int command_refuse(struct command *c, const char *code, const char *en, const char *zh)
{
	text_copy(c->code, sizeof(c->code), code, strlen(code));
	text_copy(c->en, sizeof(c->en), en, strlen(en));
	text_copy(c->zh, sizeof(c->zh), zh, strlen(zh));
	return -EPROTO;
}

const char *command_text(const struct command *c, const char *name)
{
	const char *text = json_string_value(json_object_get(c->args, name));
	return text ? text : "";
}

const char *command_by(const struct command *c)
{
	const char *slash = strchr(c->author, '/');
	return slash ? slash + 1 : "";
}

int64_t command_number(const struct command *c, const char *name, int64_t fallback)
{
	const json_t *v = json_object_get(c->args, name);
	return json_is_integer(v) ? json_integer_value(v) : fallback;
}

int command_time(const struct command *c, const char *name, int64_t fallback, int64_t *ret)
{
	const json_t *given = json_object_get(c->args, name);
	const char *text = command_text(c, name);
	struct vg_civil t;
	unsigned y, mo, d, h = 0, mi = 0, s = 0;
	int day = 0, minute = 0, second = 0;
	if (!text[0]) {
		*ret = fallback;
		return !given || json_is_null(given) || json_is_string(given) ? 0 : -EINVAL;
	}
	/* whole, or not at all: a time that is half understood would bind the wrong day */
	sscanf(text, "%4u-%2u-%2u%nT%2u:%2u%n:%2u%n", &y, &mo, &d, &day, &h, &mi, &minute, &s,
		&second);
	int end = second ? second : minute ? minute : day;
	if (!end || text[end])
		return -EINVAL;
	t = (struct vg_civil){
		(uint16_t)y, (uint8_t)mo, (uint8_t)d, (uint8_t)h, (uint8_t)mi, (uint8_t)s};
	return clock_civil_utc(&t, ret) ? 0 : -EINVAL;
}

int command_audit(struct command *c, const char *action, const char *object, const char *detail)
{
	return error_only(
		db_run(c->db, "INSERT INTO audit(at,author,action,object,detail) VALUES(?,?,?,?,?)",
			"itttt", clock_utc_us(), c->author, action, object, detail));
}

int command_find_id(struct command *c, const char *name, const char *sql, struct uuid *ret)
{
	const char *text = command_text(c, name);
	size_t len = strlen(text);
	char low[33], high[33];
	uint8_t from[16], to[16];
	memset(low, '0', 32);
	memset(high, 'f', 32);
	low[32] = high[32] = 0;
	memcpy(low, text, MIN(len, 32));
	memcpy(high, text, MIN(len, 32));
	if (len < 4 || len > 32 || !unhex(from, 16, low) || !unhex(to, 16, high))
		return command_refuse(c, "bad_id",
			"Expected an id of 4 to 32 hexadecimal digits, as the lists print it.",
			"编号应为列表中显示的4到32位十六进制数字。");
	_cleanup_(row_endp) struct row *r =
		db_query(c->db, sql, "bb", from, sizeof(from), to, sizeof(to));
	int rc = row_next(r);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return command_refuse(c, "unknown_id",
			"Nothing has this id. Look it up in the list again.",
			"没有此编号，请在列表中核对。");
	if (!row_uuid(r, 0, ret))
		return -ODD_ROW;
	if (row_next(r) > 0)
		return command_refuse(c, "ambiguous_id",
			"Several have this beginning: give more digits.",
			"有多个编号以此开头，请多输入几位。");
	return 0;
}

const struct command_entry *command_find(const char *name)
{
	static const struct command_entry *const tables[] = {query_commands, act_commands,
		display_commands, person_commands, station_commands, roster_commands,
		resident_commands, visit_commands, lists_commands, ecg_commands, alert_commands,
		rota_commands, loop_commands};
	for (size_t t = 0; t < ELEMENTS(tables); t++)
		for (const struct command_entry *e = tables[t]; e->name; e++)
			if (streq(e->name, name))
				return e;
	return NULL;
}

static bool is_of_loop(const struct command_entry *entry)
{
	for (const struct command_entry *e = loop_commands; e->name; e++)
		if (e == entry)
			return true;
	return false;
}

static void reply_head(struct json *j, const char *id, bool ok)
{
	json_reset(j);
	json_object_begin(j, NULL);
	json_int(j, "v", 1);
	json_str(j, "id", id);
	json_bool(j, "ok", ok);
}

static void reply_error(struct json *j, const char *id, struct command *c)
{
	reply_head(j, id, false);
	json_object_begin(j, "error");
	json_str(j, "code", c->code);
	json_str(j, "en", c->en);
	json_str(j, "zh", c->zh);
	json_members(j, c->more.len ? json_text(&c->more) : NULL);
	json_object_end(j);
	json_object_end(j);
}

static bool replied_before(struct db *db, const char *id, struct json *reply)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT reply FROM command WHERE id=?", "t", id);
	if (row_next(r) <= 0)
		return false;
	json_reset(reply);
	json_raw(reply, NULL, row_text(r, 0));
	return true;
}

static int run_entry(
	struct order *o, struct command *c, const struct command_entry *e, const char *id)
{
	reply_head(&o->reply, id, true);
	json_object_begin(&o->reply, "result");
	int rc = e->run(c);
	json_object_end(&o->reply);
	json_object_end(&o->reply);
	return rc;
}

static int carry_out(struct order *o, struct command *c, const char *name, const char *id)
{
	const struct command_entry *e = command_find(name);
	if (!e)
		return command_refuse(c, "unknown_command",
			"This command does not exist. `vitalgate help` lists them.",
			"没有此命令。可用 vitalgate help 查看。");
	if (o->sink >= 0 && id[0] && replied_before(c->db, id, &o->reply))
		return 0;
	bool of_loop = is_of_loop(e);
	if (of_loop && o->sink >= 0)
		return command_refuse(c, "local_only",
			"This command is only for the gateway itself: give it there.",
			"此命令只能在网关本机上执行。");
	if (of_loop) {
		o->on_loop = e;
		return 0;
	}
	int rc = run_entry(o, c, e, id);
	if (rc < 0)
		return rc;
	o->ran = e;
	const char *text = json_text(&o->reply);
	if (o->sink < 0 || !id[0] || !text)
		return text ? 0 : -ENOMEM;
	return error_only(db_run(c->db, "INSERT INTO command(id,at,reply) VALUES(?,?,?)", "tit", id,
		clock_utc_us(), text));
}

static int run_order(struct job *job, struct db *db)
{
	struct order *o = (struct order *)job;
	json_error_t e;
	json_t *root = json_loadb(o->text, o->len, JSON_REJECT_DUPLICATES, &e);
	const char *id = json_string_value(json_object_get(root, "id"));
	const char *name = json_string_value(json_object_get(root, "cmd"));
	const char *by = json_string_value(json_object_get(root, "by"));
	char author[128];
	snprintf(author, sizeof(author), "%s%s%.40s", o->author, by ? "/" : "", by ? by : "");
	struct command c = {.gateway = o->gateway,
		.db = db,
		.args = json_object_get(root, "args"),
		.author = author,
		.live = o->live,
		.result = &o->reply,
		.platform = o->sink >= 0 ? o->gateway->config->sinks[o->sink].name : NULL};
	id = id && strlen(id) <= 64 ? id : "";
	text_copy(o->id, sizeof(o->id), id, strlen(id));
	int rc;
	if (!root || !name)
		rc = command_refuse(&c, "malformed",
			"Not a command: expected a JSON object with \"cmd\" and \"args\".",
			"命令格式错误：应为包含 cmd 和 args 的 JSON 对象。");
	else if (o->sink >= 0 && !id[0])
		rc = command_refuse(&c, "id_missing",
			"A command from the platform needs an \"id\" of at most 64 characters.",
			"平台命令必须带有不超过64个字符的 id。");
	else
		rc = carry_out(o, &c, name, id);
	if (rc < 0 && rc != -EPROTO)
		command_refuse(&c, "not_stored", strerror(-rc), "存储失败，未执行。");
	if (rc < 0)
		reply_error(&o->reply, id, &c);
	json_free(&c.more);
	o->refused = rc < 0;
	o->root = root;
	return rc;
}

static void run_on_loop(struct order *o)
{
	struct command c = {.gateway = o->gateway,
		.args = json_object_get(o->root, "args"),
		.author = o->author,
		.result = &o->reply};
	if (run_entry(o, &c, o->on_loop, o->id) < 0)
		reply_error(&o->reply, o->id, &c);
}

static void order_done(struct job *job, int result)
{
	struct order *o = (struct order *)job;
	if (result >= 0 && o->on_loop)
		run_on_loop(o);
	if (result >= 0 && o->ran && o->ran->then)
		o->ran->then(o->gateway, json_object_get(o->root, "args"), o->author);
	if (result < 0 && !o->refused) { /* it ran, but its transaction was not committed */
		struct command c = {0};
		command_refuse(&c, "not_stored", strerror(-result), "存储失败，未执行。");
		reply_error(&o->reply, o->id, &c);
	}
	if (o->sink >= 0 && o->reply.len > LINK_PACKET_MAX - 256) {
		struct command c = {0};
		command_refuse(&c, "too_long",
			"The answer is too long for a message: give a limit.",
			"结果过长，无法在一条消息中返回：请使用 limit 参数。");
		reply_error(&o->reply, o->id, &c);
	}
	const char *text = json_text(&o->reply);
	if (text && o->sink >= 0)
		forward_reply(
			o->gateway->forward, (unsigned)o->sink, "up/reply", text, o->reply.len);
	else if (o->give)
		o->give(o->arg, text ? text : "{}", text ? o->reply.len : 2);
	json_free(&o->reply);
	json_decref(o->root);
	free(o->live);
	free(o->text);
	free(o);
}

static char *live_state(struct gateway *g)
{
	struct json j = {0};
	struct store_status s;
	store_status(g->store, &s);
	json_object_begin(&j, NULL);
	json_int(&j, "uptime_s", (clock_boot_us() - g->started_boot_us) / CLOCK_SECOND_US);
	json_object_begin(&j, "store");
	json_str(&j, "state", s.failing ? strerror(-s.failing) : "ok");
	json_int(&j, "commits", (int64_t)s.commits);
	json_int(&j, "queued", s.queued);
	json_object_end(&j);
	if (g->forward)
		forward_json(g->forward, &j);
	radio_json(g, &j);
	if (g->devices) {
		devices_json(g->devices, &j);
		enrolment_conditions(g, &j);
	}
	json_object_end(&j);
	char *text = json_take(&j);
	json_free(&j);
	return text;
}

static int submit(struct gateway *g, const char *text, size_t len, const char *author, int sink,
	void (*give)(void *arg, const char *text, size_t len), void *arg)
{
	struct order *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->text = malloc(len + 1);
	o->live = live_state(g);
	if (!o->text || !o->live) {
		free(o->text);
		free(o->live);
		free(o);
		return -ENOMEM;
	}
	memcpy(o->text, text, len);
	o->len = len;
	o->gateway = g;
	o->sink = sink;
	o->give = give;
	o->arg = arg;
	text_copy(o->author, sizeof(o->author), author, strlen(author));
	o->job.run = run_order;
	o->job.done = order_done;
	store_submit(g->store, &o->job);
	return 0;
}

int command_submit(struct gateway *g, const char *text, size_t len, const char *author,
	void (*reply)(void *arg, const char *text, size_t len), void *arg)
{
	return submit(g, text, len, author, -1, reply, arg);
}

void command_from_platform(struct gateway *g, unsigned sink, const char *text, size_t len)
{
	char author[64];
	snprintf(author, sizeof(author), "platform:%s", g->config->sinks[sink].name);
	submit(g, text, len, author, (int)sink, NULL, NULL);
}
