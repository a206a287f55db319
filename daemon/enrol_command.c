/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrol_command.h"

#include "enrol_gateway.h"
#include "enrol_store.h"
#include "enrolled.h"
#include "gateway.h"
#include "intake.h"
#include "reload.h"

#include <errno.h>

/* what is so */

static void put_model(
	struct json *j, const struct vg_model *m, const struct vg_driver *driver, const char *name)
{
	if (!m) {
		json_none(j, "model");
		return;
	}
	json_object_begin(j, "model");
	json_str(j, "en", m->title);
	json_str(j, "zh", m->title_zh);
	json_str(j, "press_en", m->press);
	json_str(j, "press_zh", m->press_zh);
	json_bool(j, "pairing", m->pairing);
	json_str(j, "driver", name);
	if (driver)
		json_bool(j, "experimental", driver->experimental);
	json_object_end(j);
}

static void put_service(struct json *j, const uint8_t *uuid)
{
	char text[37];
	uint16_t number = enrol_service16(uuid);
	if (number) {
		snprintf(text, sizeof(text), "%04x", number);
	} else {
		char *p = text;
		for (int i = 15; i >= 0; i--)
			p += sprintf(p, "%02x%s", uuid[i],
				i == 12 || i == 10 || i == 8 || i == 6 ? "-" : "");
	}
	json_str(j, NULL, text);
}

static void put_seen(struct json *j, const struct enrolment_seen *s)
{
	json_object_begin(j, NULL);
	json_int(j, "number", s->number);
	json_str(j, "address", s->seen->address);
	json_bool(j, "random", s->seen->random);
	json_str(j, "name", s->seen->name);
	if (s->seen->rssi == 127)
		json_none(j, "signal");
	else
		json_int(j, "signal", s->seen->rssi);
	put_model(j, s->model, s->driver, s->driver ? s->driver->name : "");
	json_array_begin(j, "services");
	for (unsigned i = 0; i < s->seen->n_services; i++)
		put_service(j, s->seen->services[i]);
	json_array_end(j);
	json_bool(j, "paired", s->seen->paired);
	json_str(j, "known", s->known);
	if (s->state != ENROL_FINE)
		enrol_advice_json(j, "note", s->state, "");
	json_object_end(j);
}

static void put_list(struct enrolment *n, struct json *j)
{
	struct enrolment_seen *seen = calloc(BLUEZ_SEEN_MAX, sizeof(*seen));
	size_t count = seen ? enrolment_seen(n, seen, BLUEZ_SEEN_MAX) : 0;
	json_array_begin(j, "list");
	for (size_t i = 0; i < count; i++)
		if (seen[i].number)
			put_seen(j, &seen[i]);
	json_array_end(j);
	free(seen);
}

static void put_ask(const struct enrol *e, struct json *j)
{
	static const char *const kinds[] = {[BLUEZ_PAIR_TYPE_PASSKEY] = "type_passkey",
		[BLUEZ_PAIR_SHOW_PASSKEY] = "show_passkey",
		[BLUEZ_PAIR_COMPARE] = "compare"};
	char digits[16];
	snprintf(digits, sizeof(digits), "%06u", e->passkey);
	json_object_begin(j, "ask");
	json_str(j, "kind", kinds[e->ask]);
	if (e->ask != BLUEZ_PAIR_TYPE_PASSKEY)
		json_str(j, "passkey", digits);
	json_object_end(j);
}

static void put_device(struct enrolment *n, const struct enrol *e, struct json *j)
{
	json_object_begin(j, "device");
	json_str(j, "id", e->wish.id);
	json_str(j, "address", e->wish.address);
	put_model(j, e->model, NULL, e->device.driver);
	json_bool(j, "pairing", e->must_pair);
	json_object_end(j);
	if (e->asks)
		put_ask(e, j);
	if (e->note != ENROL_FINE)
		enrol_advice_json(j, "note", e->note, "");
	if (e->phase >= ENROL_TRIAL && enrolment_reading(n))
		json_raw(j, "reading", enrolment_reading(n));
}

static void put_state(struct enrolment *n, struct json *j)
{
	const struct enrol *e = enrolment_machine(n);
	int64_t left_us = e->until_us - clock_boot_us();
	json_int(j, "window", e->window);
	json_str(j, "phase", enrol_phase_name(e->phase));
	json_int(j, "seconds_left",
		e->phase == ENROL_CLOSED ? 0 : MAX(left_us, INT64_C(0)) / CLOCK_SECOND_US);
	json_str(j, "bluetooth", enrolment_bluetooth(n));
	if (enrol_busy(e))
		put_device(n, e, j);
	if (e->last_id[0]) {
		json_object_begin(j, "last");
		json_str(j, "id", e->last_id);
		enrol_advice_json(j, "result", e->last, e->last_other);
		json_object_end(j);
	}
	if (e->error[0]) {
		json_str(j, "error", e->error);
		json_str(j, "error_zh", e->error_zh[0] ? e->error_zh : e->error);
	}
	if (e->phase == ENROL_LOOKING || e->phase == ENROL_SEEKING)
		put_list(n, j);
}

/* the orders */

static int open_window(struct command *c, struct enrolment *n)
{
	const struct enrol *e = enrolment_machine(n);
	char en[200], zh[200];
	if (enrolment_open(n, c->author, clock_boot_us()) >= 0)
		return 0;
	snprintf(en, sizeof(en), "%s enrols at this moment: one at a time. Wait, or end it there.",
		e->author);
	snprintf(zh, sizeof(zh), "%s 正在登记设备，一次只能一人操作。请等待或在那里结束。",
		e->author);
	return command_refuse(c, "window_open", en, zh);
}

static const struct config_device *configured_at(const struct gateway *g, const char *address)
{
	const struct config *c = g->config;
	for (unsigned i = 0; i < c->n_devices; i++)
		if (streq(c->devices[i].address, address))
			return &c->devices[i];
	return NULL;
}

/* A name that is free: that of the driver, and a number. */
static void choose_id(struct command *c, struct enrol_wish *w)
{
	const struct bluez_seen *s = bluez_scan_find(c->gateway->bluez, w->address);
	const struct vg_driver *d = NULL;
	if (w->driver[0])
		d = drivers_find(c->gateway->policy->drivers, w->driver);
	else if (s)
		enrol_match(c->gateway->policy->drivers, s, &d);
	for (unsigned i = 1; i <= CONFIG_DEVICES_MAX + 1; i++) {
		snprintf(w->id, sizeof(w->id), "%.24s-%u", d ? d->name : "ble", i);
		if (!config_device_named(c->gateway->config, w->id))
			return;
	}
}

static int refuse_wish(struct command *c, const struct enrol_wish *w)
{
	struct gateway *g = c->gateway;
	const struct config_device *there = configured_at(g, w->address),
				   *old = config_device_named(g->config, w->id);
	const struct vg_driver *d =
		w->driver[0] ? drivers_find(g->policy->drivers, w->driver) : NULL;
	char en[256], zh[256];
	if (w->driver[0] && (!d || (d->bus != VG_BUS_GATT && d->bus != VG_BUS_ADVERT)))
		return command_refuse(c, "unknown_driver",
			"There is no such driver for BLE. `vitalgate decode` lists them.",
			"没有此 BLE 驱动。vitalgate decode 列出所有驱动。");
	if (w->replaces && (!old || !old->enrolled))
		return command_refuse(c, "not_enrolled",
			"Only what was enrolled can be replaced. A device of vitalgate.yaml is changed "
			"there.",
			"只能替换通过登记添加的设备。vitalgate.yaml 中的设备请在该文件中修改。");
	if (w->replaces && !enrolment_has_uid(g, w->id))
		return command_refuse(c, "never_delivered",
			"It never delivered a reading, so nobody can tell whether this is the same one: "
			"vitalgate unenrol it and enrol it anew.",
			"该设备从未上传读数，无法确认是否为同一台：请 vitalgate unenrol 后重新登记。");
	if (there && !(w->replaces && streq(there->id, w->id))) {
		snprintf(en, sizeof(en),
			"This instrument is enrolled as %s. To enrol it anew: vitalgate unenrol %s. "
			"After a lost pairing: --replace %s keeps its residents.",
			there->id, there->id, there->id);
		snprintf(zh, sizeof(zh),
			"该设备已登记为 %s。重新登记请先执行 vitalgate unenrol %s；若配对丢失，加 "
			"--replace %s 可保留绑定居民。",
			there->id, there->id, there->id);
		return command_refuse(c, "known", en, zh);
	}
	if (!w->replaces && old)
		return command_refuse(c, "id_taken",
			"This name is taken. `vitalgate devices` lists them; give another --id.",
			"此名称已被使用。vitalgate devices 可查看；请用 --id 指定其他名称。");
	return 0;
}

static int begin(struct command *c, struct enrolment *n)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *replace = command_text(c, "replace"), *id = command_text(c, "id"),
		   *driver = command_text(c, "driver");
	struct enrol_wish w = {.replaces = *replace,
		.no_reading = json_is_true(json_object_get(c->args, "no_reading"))};
	if (!enrolment_address(n, command_text(c, "device"), w.address, sizeof(w.address)))
		return command_refuse(c, "bad_device",
			"Expected a number of the list, or an address such as C0:11:22:33:44:55.",
			"应为列表中的序号，或形如 C0:11:22:33:44:55 的地址。");
	id = *replace ? replace : id;
	if (strspn(id, letters) != strlen(id) || !text_copy(w.id, sizeof(w.id), id, strlen(id)) ||
		!text_copy(w.driver, sizeof(w.driver), driver, strlen(driver)))
		return command_refuse(c, "bad_id",
			"A name has at most 31 letters, digits, '-' and '_'.",
			"名称最多31个字母、数字、“-”和“_”。");
	if (!w.id[0])
		choose_id(c, &w);
	int rc = refuse_wish(c, &w);
	if (rc < 0)
		return rc;
	w.refused = w.replaces && enrolment_refused(c->gateway, w.id);
	rc = enrol_begin(enrolment_machine(n), &w,
		w.replaces ? config_device_named(c->gateway->config, w.id) : NULL, clock_boot_us());
	if (rc < 0)
		return command_refuse(c, "busy",
			"Another instrument is being enrolled: end that first.",
			"正在登记另一台设备，请先结束。");
	return 0;
}

static int answer(struct command *c, struct enrol *e)
{
	const char *passkey = command_text(c, "passkey");
	const json_t *same = json_object_get(c->args, "same");
	int rc;
	if (json_is_boolean(same))
		rc = enrol_confirm(e, json_is_true(same), clock_boot_us());
	else if (*passkey && strlen(passkey) <= 6 &&
		 strspn(passkey, "0123456789") == strlen(passkey))
		rc = enrol_passkey(e, (uint32_t)atoi(passkey), clock_boot_us());
	else
		return command_refuse(c, "bad_passkey", "Expected the six digits that it shows.",
			"应为设备显示的六位数字。");
	if (rc < 0)
		return command_refuse(
			c, "not_asked", "Nothing of the kind is asked now.", "当前没有此项询问。");
	return 0;
}

static int take_whose(struct command *c, struct enrol_whose *w)
{
	const json_t *list = json_object_get(c->args, "residents"), *r;
	const char *station = command_text(c, "station");
	size_t i;
	bool good = text_copy(w->station, sizeof(w->station), station, strlen(station)) &&
		    json_array_size(list) <= ENROL_RESIDENTS_MAX;
	json_array_foreach(list, i, r)
	{
		const char *token = json_string_value(json_object_get(r, "resident"));
		const json_t *slot = json_object_get(r, "slot");
		int64_t number = json_is_integer(slot) ? json_integer_value(slot) : -1;
		good = good && token &&
		       text_copy(
			       w->of[i].resident, sizeof(w->of[i].resident), token, strlen(token));
		good = good && (!slot || (number >= 0 && number <= 255));
		for (size_t k = 0; good && k < i;
			k++) /* one alone, or each with a slot of its own */
			good = number >= 0 && w->of[k].slot >= 0 && w->of[k].slot != number;
		if (!good)
			break;
		w->of[i].slot = (int)number;
		w->n++;
	}
	for (const char *p = station; *p; p++)
		good &= (unsigned char)*p >= ' ';
	return good ? 0
		    : command_refuse(c, "bad_whose",
			      "Expected one resident, or several each with a user slot of 0 to 255, or a "
			      "station.",
			      "应为一位居民，或多位居民各带一个用户位（0到255），或一个站点。");
}

static int finish(struct command *c, struct enrol *e)
{
	struct enrol_whose w = {0};
	int rc = take_whose(c, &w);
	if (rc < 0)
		return rc;
	rc = enrol_finish(e, &w, clock_boot_us());
	if (rc == -EPERM)
		return command_refuse(c, "not_yet",
			"Not yet: first it connects, says who it is, and sends a test reading.",
			"尚未就绪：设备须先连接、报告身份并发送一条测试读数。");
	return rc;
}

static int cancel(struct command *c, struct enrol *e, bool closes)
{
	int rc = closes ? enrol_close(e, ENROL_GIVEN_UP) : enrol_give_up(e, ENROL_GIVEN_UP);
	return rc < 0 ? command_refuse(c, "saving", "It is being saved: look again.",
				"正在保存，请稍后查看。")
		      : 0;
}

/* Whoever speaks must be whoever opened the window. */
static int refuse_window(struct command *c, const struct enrol *e)
{
	if (e->phase == ENROL_CLOSED)
		return command_refuse(c, "no_window",
			"No enrolment window is open: nothing is paired or added now. Open one with "
			"`vitalgate enrol`.",
			"登记窗口未打开：现在不能配对或添加设备。请用 vitalgate enrol 打开。");
	if (command_number(c, "window", 0) != e->window)
		return command_refuse(c, "not_your_window",
			"This is not your window any more. Open one with `vitalgate enrol`.",
			"这已不是您的登记窗口。请用 vitalgate enrol 重新打开。");
	return 0;
}

int enrol_command(struct command *c)
{
	const char *order = command_text(c, "order");
	struct enrolment *n;
	int rc = enrolment_of(c->gateway, &n);
	if (rc < 0)
		return command_refuse(c, "no_memory", strerror(-rc), "资源不足。");
	struct enrol *e = enrolment_machine(n);
	if (streq(order, "open"))
		rc = open_window(c, n);
	else if (streq(order, "look") && e->window && e->phase == ENROL_CLOSED &&
		 command_number(c, "window", 0) == e->window)
		rc = 0; /* how it ended */
	else
		rc = refuse_window(c, e);
	if (rc < 0)
		return rc;
	enrol_asked_for(e, clock_boot_us());
	if (streq(order, "begin"))
		rc = begin(c, n);
	else if (streq(order, "answer"))
		rc = answer(c, e);
	else if (streq(order, "finish"))
		rc = finish(c, e);
	else if (streq(order, "cancel") || streq(order, "close"))
		rc = cancel(c, e, streq(order, "close"));
	else if (!streq(order, "open") && !streq(order, "look"))
		rc = command_refuse(c, "bad_order",
			"Expected open, look, begin, answer, finish, cancel or close.",
			"应为 open、look、begin、answer、finish、cancel 或 close。");
	if (rc >= 0)
		put_state(n, c->result);
	return rc;
}

/* its end */

int unenrol_command(struct command *c)
{
	const char *id = command_text(c, "device");
	const struct config_device *d = config_device_named(c->gateway->config, id);
	char error[CONFIG_ERROR_MAX];
	if (!d)
		return command_refuse(c, "unknown_device",
			"There is no such device. `vitalgate devices` lists them.",
			"没有此设备。vitalgate devices 可查看。");
	if (d->trial)
		return command_refuse(c, "being_enrolled", "It is being enrolled at this moment.",
			"该设备正在登记中。");
	if (!d->enrolled)
		return command_refuse(c, "of_the_file",
			"This device stands in vitalgate.yaml: remove it there, then `systemctl reload "
			"vitalgated`.",
			"该设备在 vitalgate.yaml 中：请在该文件中删除，然后执行 systemctl reload "
			"vitalgated。");
	int64_t row = db_int(c->db, 0, "SELECT id FROM device WHERE name=?", "t", id);
	int rc = enrol_store_forget(c->db, id);
	if (rc >= 0)
		rc = enrol_store_note(c->db, c->author, "unenrol", id, d->address);
	if (rc >= 0)
		rc = intake_event(c->gateway, c->db, row, "device_unenrolled", d->driver, NULL,
			clock_utc_us(), true);
	if (rc >= 0 && enrolled_change(c->gateway->config, id, NULL, error, sizeof(error)) < 0)
		return command_refuse(c, "not_stored", error, "存储失败，未执行。");
	json_str(c->result, "device", id);
	json_str(c->result, "address", d->address);
	return rc;
}

void unenrol_then(struct gateway *g, const json_t *args, const char *author)
{
	const char *id = json_string_value(json_object_get(args, "device"));
	const struct config_device *d = id ? config_device_named(g->config, id) : NULL;
	char error[CONFIG_ERROR_MAX], address[sizeof(d->address)];
	struct enrolment *n;
	if (!d || !d->enrolled)
		return;
	memcpy(address, d->address, sizeof(address));
	reload_device(g, d->id, NULL, author, error, sizeof(error));
	if (enrolment_of(g, &n) >= 0)
		enrolment_forget(n, address);
}
