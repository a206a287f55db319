/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "device.h"

#include "advert.h"
#include "capture.h"
#include "config_diff.h"
#include "devices.h"
#include "gateway.h"
#include "intake.h"
#include "log.h"
#include "radio.h"
#include "reload.h"
#include "session.h"
#include "studies.h"
#include "transport.h"

#include <errno.h>

#define DEVICE_MARKS_MAX 4
#define NEWS_A_MINUTE 10
#define ROUND_WAITS_US 100000
#define ROUNDS_WAITING_MAX 4096 /* jobs of the store: some seconds of work, some MB */

struct device {
	struct gateway *gateway;
	struct policy *policy; /* under which it was started: config, driver and codes are in it */
	const struct config_device *config;
	const struct vg_driver *driver;
	int64_t row;
	char uid[96];	   /* fixed at enrolment; "" until it first delivered */
	char said_uid[96]; /* what it says now */
	struct transport *transport;
	struct vg_session *session;
	struct session_ops ops;
	struct capture *capture; /* NULL: nobody asked for one */
	uint64_t number;	 /* of the session */
	bool retired; /* not among the devices any more, still the owner of units on their way */
	sd_event_source *timer, *gap, *ending;
	const char *end_why;
	struct mark marks[DEVICE_MARKS_MAX];
	char last_end[64]; /* why the last connection ended */
	struct log_limit left_out;
	struct log_limit news; /* a flapping line is told a few times a minute */
};

/* what a session asks for */

static void op_send(void *arg, unsigned channel, const void *bytes, size_t len)
{
	struct device *d = arg;
	int rc = d->transport->ops->send(d->transport, channel, bytes, len);
	if (rc < 0)
		log_warn(d->config->id, "cannot write to the instrument: %s", strerror(-rc));
}

static void op_confirm(void *arg)
{
	struct device *d = arg;
	d->transport->ops->confirm(d->transport);
}

static void arm(sd_event_source *timer, unsigned ms)
{
	sd_event_source_set_time_relative(timer, ms * UINT64_C(1000));
	sd_event_source_set_enabled(timer, ms ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void op_timer(void *arg, unsigned ms)
{
	arm(((struct device *)arg)->timer, ms);
}

static void op_gap(void *arg, unsigned ms)
{
	arm(((struct device *)arg)->gap, ms);
}

/* Closing ends the session, and the session is still at work when it asks for it: at the loop's next turn. */
static void op_done(void *arg, const char *why)
{
	struct device *d = arg;
	d->end_why = why;
	sd_event_source_set_enabled(d->ending, SD_EVENT_ONESHOT);
}

static const char *op_option(void *arg, const char *name)
{
	return config_option(((struct device *)arg)->config, name);
}

static const uint8_t *op_mark(void *arg, const char *key, size_t *ret_len)
{
	struct device *d = arg;
	for (size_t i = 0; i < DEVICE_MARKS_MAX; i++)
		if (streq(d->marks[i].key, key) && key[0]) {
			*ret_len = d->marks[i].len;
			return d->marks[i].value;
		}
	return NULL;
}

static void op_trace(void *arg, const struct session_trace *t)
{
	struct device *d = arg;
	if (d->capture)
		capture_trace(d->capture, t);
}

static void keep_mark(struct device *d, const struct mark *m)
{
	for (size_t i = 0; i < DEVICE_MARKS_MAX; i++)
		if (!d->marks[i].key[0] || streq(d->marks[i].key, m->key)) {
			d->marks[i] = *m;
			return;
		}
}

static int run_unit(struct job *job, struct db *db)
{
	struct unit *u = (struct unit *)job;
	return intake_unit(u->device->gateway, db, u);
}

static void unit_done(struct job *job, int result)
{
	struct unit *u = (struct unit *)job;
	struct device *d = u->device;
	struct vg_now now;
	clock_now(&now);
	if (result >= 0) {
		if (!d->uid[0] && (u->readings || u->study.len))
			memcpy(d->uid, u->uid, sizeof(d->uid));
		for (const struct mark *m = u->stranger ? NULL : u->marks; m; m = m->next)
			keep_mark(d, m);
		if (u->study.len)
			studies_wake(d->gateway->studies);
	} else {
		log_error(d->config->id, "not stored, not acknowledged: %s", strerror(-result));
	}
	if (d->session && d->number == u->session)
		session_verdict(d->session, u->ticket, result, &now);
	unit_free(u);
}

static void op_submit(void *arg, struct unit *u)
{
	static const int fields[] = {[PATIENT_IGNORE] = PATIENT_FIELD_IGNORE,
		[PATIENT_TOKEN] = PATIENT_FIELD_TOKEN,
		[PATIENT_SAMPLE] = PATIENT_FIELD_SAMPLE,
		[PATIENT_TYPED] = PATIENT_FIELD_TYPED};
	struct device *d = arg;
	u->device = d;
	u->device_row = d->row;
	u->patient_field = fields[d->config->patient_id];
	u->test = d->config->test;
	u->place = d->config->place;
	u->station = d->config->station;
	u->stranger = (d->uid[0] && !streq(d->uid, u->uid)) ||
		      devices_namesake(d->gateway->devices, d->config->id, u->uid);
	/* Nobody is told of a round, and limits hold for minutes: rounds share commits and messages. */
	u->job.wait_us = d->driver->bus == VG_BUS_REGISTERS ? ROUND_WAITS_US : 0;
	u->job.run = run_unit;
	u->job.done = unit_done;
	store_submit(d->gateway->store, &u->job);
}

/* what a transport tells */

static void end_session(struct device *d)
{
	struct vg_now now;
	clock_now(&now);
	if (d->session && d->capture)
		capture_session_ends(d->capture, &now);
	session_free(TAKE(d->session));
	arm(d->timer, 0);
	arm(d->gap, 0);
	sd_event_source_set_enabled(d->ending, SD_EVENT_OFF);
}

static void on_up(void *arg, const char *uid)
{
	struct device *d = arg;
	struct vg_now now;
	clock_now(&now);
	end_session(d);
	text_copy(d->said_uid, sizeof(d->said_uid), uid, strlen(uid));
	if (d->uid[0] && !streq(d->uid, uid))
		log_warn(d->config->id,
			"says it is \"%s\", enrolled was \"%s\": its readings stay unassigned; "
			"enrol it anew if it was exchanged",
			uid, d->uid);
	unsigned held_back;
	if (log_allowed(&d->news, NEWS_A_MINUTE, &held_back))
		log_info(d->config->id, "connected (%s)", uid);
	if (held_back)
		log_info(d->config->id, "%u more connections and ends in the minute before",
			held_back);
	struct session_start start = {.driver = d->driver,
		.codes = d->policy->codes,
		.number = ++d->number,
		.uid = uid,
		.site_key = d->gateway->site_key,
		.ops = &d->ops};
	if (d->capture)
		capture_session_begins(d->capture, d->marks, DEVICE_MARKS_MAX, &now);
	d->session = session_new(&start, &now);
}

static void on_stream(void *arg, const uint8_t *bytes, size_t len)
{
	struct device *d = arg;
	struct vg_now now;
	clock_now(&now);
	if (d->session)
		session_stream(d->session, bytes, len, &now);
}

/* Nobody waits for an answer to a round: when the disk cannot follow, some are left out. */
static bool store_is_behind(struct device *d)
{
	struct store_status s;
	unsigned held_back;
	store_status(d->gateway->store, &s);
	if (s.queued < ROUNDS_WAITING_MAX)
		return false;
	if (log_allowed(&d->left_out, 1, &held_back))
		log_warn(d->config->id,
			"the store is behind: %u rounds were left out; raise `poll_ms`",
			held_back + 1);
	return true;
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	struct device *d = arg;
	struct vg_now now;
	clock_now(&now);
	if (d->driver->bus == VG_BUS_REGISTERS && store_is_behind(d))
		return;
	if (d->session)
		session_value(d->session, channel, bytes, len, indication, &now);
}

static void on_hung_up(void *arg)
{
	struct device *d = arg;
	struct vg_now now;
	clock_now(&now);
	if (d->session)
		session_hung_up(d->session, &now);
}

static void on_denied(void *arg, unsigned channel, uint8_t code)
{
	struct device *d = arg;
	struct vg_now now;
	clock_now(&now);
	if (d->session)
		session_denied(d->session, channel, code, &now);
}

static void on_down(void *arg, const char *why)
{
	struct device *d = arg;
	unsigned held_back;
	if (log_allowed(&d->news, NEWS_A_MINUTE, &held_back))
		log_info(d->config->id, "disconnected: %s", why);
	text_copy(d->last_end, sizeof(d->last_end), why, strlen(why));
	end_session(d);
}

static int tell_session(
	struct device *d, void (*call)(struct vg_session *s, const struct vg_now *now))
{
	struct vg_now now;
	clock_now(&now);
	if (d->session)
		call(d->session, &now);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	return tell_session(arg, session_expired);
}

static int on_gap(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	return tell_session(arg, session_gap);
}

static int on_ending(sd_event_source *source, void *arg)
{
	(void)source;
	struct device *d = arg;
	if (d->transport)
		d->transport->ops->close(d->transport, d->end_why);
	return 0;
}

/* life */

static void load_marks(struct device *d, struct db *db)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT key,value FROM mark WHERE device=? LIMIT 4", "i", d->row);
	while (row_next(r) > 0) {
		struct mark m = {0};
		const void *value = row_blob(r, 1, &m.len);
		text_copy(m.key, sizeof(m.key), row_text(r, 0), strlen(row_text(r, 0)));
		m.len = MIN(m.len, sizeof(m.value));
		if (m.len)
			memcpy(m.value, value, m.len);
		keep_mark(d, &m);
	}
}

/* A tenth of a second early or late is all the same here. */
static int add_timer(sd_event *loop, sd_event_source **ret, sd_event_time_handler_t call, void *arg)
{
	int rc = sd_event_add_time_relative(
		loop, ret, CLOCK_BOOTTIME, 0, CLOCK_SECOND_US / 10, call, arg);
	return rc < 0 ? rc : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int device_load(struct device *d, struct db *db)
{
	const struct config_device *c = d->config;
	d->row = intake_device(db, c->id, c->driver, c->address, d->uid);
	if (d->row < 0)
		return (int)d->row;
	load_marks(d, db);
	return 0;
}

void device_stop(struct device *d)
{
	transport_free(TAKE(d->transport));
	session_free(TAKE(d->session));
	d->timer = sd_event_source_disable_unref(d->timer);
	d->gap = sd_event_source_disable_unref(d->gap);
	d->ending = sd_event_source_disable_unref(d->ending);
}

void device_free(struct device *d)
{
	if (!d)
		return;
	device_stop(d);
	capture_free(d->capture);
	policy_leave(d->gateway, d->policy);
	free(d);
}

struct device *device_new(struct gateway *g, struct policy *policy, const struct config_device *c)
{
	struct device *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	*d = (struct device){.gateway = g,
		.number = (uint64_t)clock_utc_us(), /* no session of an earlier process has it */
		.policy = policy_join(policy),
		.config = c,
		.driver = drivers_find(policy->drivers, c->driver)};
	d->ops = (struct session_ops){.send = op_send,
		.confirm = op_confirm,
		.timer = op_timer,
		.gap = op_gap,
		.done = op_done,
		.submit = op_submit,
		.option = op_option,
		.mark = op_mark,
		.trace = op_trace,
		.arg = d};
	int rc = add_timer(g->loop, &d->timer, on_timer, d);
	if (rc >= 0)
		rc = add_timer(g->loop, &d->gap, on_gap, d);
	if (rc >= 0)
		rc = sd_event_add_defer(g->loop, &d->ending, on_ending, d);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(d->ending, SD_EVENT_OFF);
	if (rc < 0) {
		device_free(d);
		return NULL;
	}
	return d;
}

int device_start(struct device *d)
{
	struct gateway *g = d->gateway;
	const struct config_device *c = d->config;
	const struct transport_events events = {
		on_up, on_stream, on_value, on_down, on_hung_up, on_denied, d};
	bool radio = c->transport == TRANSPORT_BLE && strncmp(c->address, "unix:", 5) != 0;
	int rc = radio ? radio_need(g) : 0;
	if (rc < 0)
		return rc;
	switch (c->transport) {
	case TRANSPORT_BLE:
		if (d->driver->bus == VG_BUS_ADVERT)
			return advert_new(g->loop, g->bluez, c, d->driver, &events, &d->transport);
		return ble_new(g->loop, g->bluez, g->turns, c, d->driver, &events, &d->transport);
	case TRANSPORT_SERIAL:
		return serial_new(g->loop, c, &events, &d->transport);
	case TRANSPORT_RFCOMM:
		return rfcomm_new(g->loop, c, &events, &d->transport);
	case TRANSPORT_MODBUS:
		return modbus_new(g->loop, c, d->driver, &events, &d->transport);
	case TRANSPORT_SPOOL:
		return spool_new(g->loop, c, d->driver, &events, &d->transport);
	case TRANSPORT_REPLAY:
		return replay_new(g->loop, c, d->driver, &events, &d->transport);
	case CARRIERS:
		break;
	}
	return -EINVAL;
}

/* An errand goes behind everything that is on its way to the store. */
struct errand {
	struct job job;
	struct device *device;
};

static bool send_on_errand(struct device *d, int (*run)(struct job *job, struct db *db),
	void (*done)(struct job *job, int result))
{
	struct errand *e = calloc(1, sizeof(*e));
	if (!e)
		return false;
	*e = (struct errand){{.run = run, .done = done, .patient = true}, d};
	store_submit(d->gateway->store, &e->job);
	return true;
}

static void freed(struct job *job, int result)
{
	(void)result;
	device_free(((struct errand *)job)->device);
	free(job);
}

static int run_load(struct job *job, struct db *db)
{
	return device_load(((struct errand *)job)->device, db);
}

static void loaded(struct job *job, int result)
{
	struct device *d = ((struct errand *)job)->device;
	free(job);
	if (!d->gateway->devices || d->retired)
		return; /* gone again in the meantime: its last errand is on the way */
	if (result >= 0)
		result = device_start(d);
	if (result < 0)
		log_error(d->config->id, "not started: %s", strerror(-result));
}

bool device_begin(struct device *d)
{
	return send_on_errand(d, run_load, loaded);
}

void device_retire(struct device *d)
{
	device_stop(d);
	d->retired = true;
	send_on_errand(d, store_nothing, freed);
}

void device_flush(struct device *d, const struct vg_now *now)
{
	if (d->session)
		session_flush(d->session, now);
	if (d->capture && capture_forgotten(d->capture, now))
		capture_free(TAKE(d->capture));
}

struct device_facts device_facts(const struct device *d)
{
	return (struct device_facts){d->config, d->uid, d->said_uid,
		d->transport ? d->transport->ops->state(d->transport) : "stopped"};
}

const struct config_device *device_config(const struct device *d)
{
	return d->config;
}

/* A profile may have changed behind its name, so what it makes starts anew. */
bool device_unchanged(const struct device *d, const struct policy *p, const struct config_device *c)
{
	bool same =
		!d->driver->profile || d->driver == drivers_find(p->drivers, c ? c->driver : "");
	return c && config_same_device(d->config, c) && same &&
	       streq(codes_version(d->policy->codes), codes_version(p->codes));
}

int device_capture_start(struct device *d, unsigned seconds)
{
	struct vg_now now;
	clock_now(&now);
	if (d->capture && !streq(capture_state(d->capture, &now), "over"))
		return -EBUSY;
	capture_free(d->capture);
	d->capture = capture_new(d->driver, d->config, seconds, &now);
	return d->capture ? 0 : -ENOMEM;
}

struct capture *device_capture(struct device *d)
{
	return d->capture;
}

void device_json(const struct device *d, struct json *j)
{
	json_object_begin(j, d->config->id);
	json_str(j, "state", d->transport ? d->transport->ops->state(d->transport) : "stopped");
	json_str(j, "says", d->said_uid);
	json_str(j, "last_end", d->last_end);
	json_object_end(j);
}
