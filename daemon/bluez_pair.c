/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One pairing after the other (BlueZ doc/agent-api.txt and device-api.txt):
 *
 *   RegisterAgent, RequestDefaultAgent, discovery ends, Disconnect (5.66 pairs only from there),
 *   Pair with what
 *   the agent is asked meanwhile, Disconnect, UnregisterAgent.
 *
 * Every step waits for an answer of bluetoothd, and the answer says what follows: so a cancel,
 * which may come at any time, only has to be remembered, and to hasten Pair.
 */
#include "bluez_pair.h"

#include "bluez_bus.h"
#include "bluez_scan.h"
#include "log.h"
#include "util.h"

#include <errno.h>

#define PAIR_AGENT "/org/vitalgate/agent"
#define PAIR_MANAGER "org.bluez.AgentManager1"
#define PAIR_PATIENCE_US UINT64_C(120000000)
#define PAIR_ABORTS_MAX 3 /* "le-connection-abort-by-local" passes when it is tried again at once */
#define PAIR_PIN_MAX 16
#define PAIR_PASSKEY_MAX 999999
#define PAIR_ACCURACY_US 100000

enum step { IDLE, REGISTERING, QUIETING, PARTING, PAIRING, LETTING_GO };

struct bluez_pair {
	struct bluez *bluez;
	enum step step;
	struct bluez_pair_events events;
	char path[BLUEZ_PATH_MAX]; /* stays when it is over */
	sd_event_source *timer;	   /* patience */
	sd_bus_slot *agent;	   /* our object on the bus */
	sd_bus_slot *call;	   /* of this step */
	sd_bus_slot *cancel;	   /* CancelPairing */
	sd_bus_message *question;
	enum bluez_pair_ask asked;
	bool ending; /* cancelled, or out of patience: `result` is decided */
	int result;
	char why[96];
	unsigned aborts;
};

static void decide(struct bluez_pair *p, int result, const char *why)
{
	p->result = result;
	text_copy(p->why, sizeof(p->why), why, strlen(why));
}

/* Back to where nothing is under way; what bluetoothd asked gets no answer any more. */
static void pair_reset(struct bluez_pair *p)
{
	p->call = sd_bus_slot_unref(p->call);
	p->cancel = sd_bus_slot_unref(p->cancel);
	p->agent = sd_bus_slot_unref(p->agent);
	p->question = sd_bus_message_unref(p->question);
	sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
	p->step = IDLE;
	p->ending = false;
	p->aborts = 0;
}

static void pair_end(struct bluez_pair *p)
{
	struct bluez *b = p->bluez;
	struct bluez_pair_events events = p->events;
	char why[sizeof(p->why)];
	int result = p->result;
	text_copy(why, sizeof(why), p->why, strlen(p->why));
	if (p->question)
		sd_bus_reply_method_errorf(p->question, "org.bluez.Error.Canceled", "over");
	if (*b->owner)
		sd_bus_call_method_async(b->bus, NULL, b->owner, "/org/bluez", PAIR_MANAGER,
			"UnregisterAgent", NULL, NULL, "o", PAIR_AGENT);
	pair_reset(p);
	bluez_scan_settle(b);
	events.done(events.arg, result, why);
}

static int pair_call(struct bluez_pair *p, enum step step, const char *path, const char *interface,
	const char *method, sd_bus_message_handler_t handler, uint64_t timeout_us)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	struct bluez *b = p->bluez;
	p->step = step;
	int r = sd_bus_message_new_method_call(b->bus, &m, b->owner, path, interface, method);
	if (r >= 0 && step == REGISTERING)
		r = sd_bus_message_append(m, "os", PAIR_AGENT, "KeyboardDisplay");
	if (r >= 0)
		r = sd_bus_call_async(b->bus, &p->call, m, handler, p, timeout_us);
	return r;
}

/* A call could not even be made. */
static void pair_failed(struct bluez_pair *p, int r)
{
	if (!p->ending)
		decide(p, -EIO, strerror(-r));
	pair_end(p);
}

/* --- Pair and after */

int bluez_error_result(const sd_bus_error *e)
{
	static const struct {
		const char *name;
		int result;
	} known[] = {
		{"org.bluez.Error.AuthenticationFailed", -EACCES},
		{"org.bluez.Error.AuthenticationRejected", -EACCES},
		{"org.bluez.Error.AuthenticationCanceled", -ECANCELED},
		{"org.bluez.Error.AuthenticationTimeout", -ETIMEDOUT},
		{"org.bluez.Error.ConnectionAttemptFailed", -ETIMEDOUT},
		{"org.bluez.Error.AlreadyExists", -EALREADY},
		{"org.bluez.Error.DoesNotExist", -ENOENT},
		{"org.freedesktop.DBus.Error.UnknownObject", -ENOENT},
		{"org.freedesktop.DBus.Error.UnknownMethod", -ENOENT}, /* libdbus: no such path */
	};
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (streq(e->name, known[i].name))
			return known[i].result;
	return -EIO;
}

static const char *words_of(const sd_bus_error *e)
{
	return e->message && *e->message ? e->message : e->name;
}

/* However that ended: not to be connected is what is wanted. */
static int on_let_go(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)m, (void)ret_error;
	pair_end(arg);
	return 0;
}

static void let_go(struct bluez_pair *p)
{
	int r = pair_call(p, LETTING_GO, p->path, BLUEZ_DEVICE, "Disconnect", on_let_go, 0);
	if (r < 0)
		pair_end(p);
}

static void ask_to_pair(struct bluez_pair *p);

static int on_paired(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_pair *p = arg;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	p->call = sd_bus_slot_unref(p->call);
	p->cancel = sd_bus_slot_unref(p->cancel);
	p->question = sd_bus_message_unref(p->question);
	if (!e) { /* a cancel came too late: then it is paired */
		decide(p, 0, "");
	} else if (!p->ending) {
		if (strstr(words_of(e), "abort-by-local") && p->aborts++ < PAIR_ABORTS_MAX) {
			ask_to_pair(p);
			return 0;
		}
		decide(p, bluez_error_result(e), words_of(e));
	}
	let_go(p);
	return 0;
}

static void ask_to_pair(struct bluez_pair *p)
{
	int r = pair_call(p, PAIRING, p->path, BLUEZ_DEVICE, "Pair", on_paired, UINT64_MAX);
	if (r < 0)
		pair_failed(p, r);
}

/* --- before Pair */

static int on_parted(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)m, (void)ret_error;
	struct bluez_pair *p = arg;
	p->call = sd_bus_slot_unref(p->call);
	if (p->ending)
		pair_end(p);
	else
		ask_to_pair(p);
	return 0;
}

static void part(struct bluez_pair *p)
{
	int r = pair_call(p, PARTING, p->path, BLUEZ_DEVICE, "Disconnect", on_parted, 0);
	if (r < 0)
		pair_failed(p, r);
}

void bluez_pair_proceed(struct bluez *b)
{
	struct bluez_pair *p = b->pair;
	if (p->step == QUIETING && p->ending)
		pair_end(p);
	else if (p->step == QUIETING && bluez_scan_quiet(b))
		part(p);
}

static int on_registered(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_pair *p = arg;
	struct bluez *b = p->bluez;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	p->call = sd_bus_slot_unref(p->call);
	if (e && !p->ending)
		decide(p, -EIO, words_of(e));
	if (e || p->ending) {
		pair_end(p);
		return 0;
	}
	/* Pair asks the agent of its caller; the default one is for what the kernel begins. */
	sd_bus_call_method_async(b->bus, NULL, b->owner, "/org/bluez", PAIR_MANAGER,
		"RequestDefaultAgent", NULL, NULL, "o", PAIR_AGENT);
	p->step = QUIETING;
	bluez_scan_settle(b);
	bluez_pair_proceed(b);
	return 0;
}

/* --- the agent */

static bool may_ask(const struct bluez_pair *p, sd_bus_message *m, const char *device)
{
	const char *sender = sd_bus_message_get_sender(m);
	return sender && streq(sender, p->bluez->owner) && p->step == PAIRING && !p->ending &&
	       streq(device, p->path);
}

static int reject(sd_bus_message *m)
{
	return sd_bus_reply_method_errorf(m, "org.bluez.Error.Rejected", "not now");
}

/* A person is asked, and answers later. */
static int ask_person(
	struct bluez_pair *p, sd_bus_message *m, enum bluez_pair_ask ask, uint32_t passkey)
{
	sd_bus_message_unref(p->question);
	p->question = sd_bus_message_ref(m);
	p->asked = ask;
	p->events.ask(p->events.arg, ask, passkey);
	return 1;
}

static int show_person(struct bluez_pair *p, sd_bus_message *m, uint32_t passkey)
{
	p->events.ask(p->events.arg, BLUEZ_PAIR_SHOW_PASSKEY, passkey);
	return sd_bus_reply_method_return(m, NULL);
}

static int on_ask(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_pair *p = arg;
	const char *device = NULL, *method = sd_bus_message_get_member(m), *pin = NULL;
	uint32_t passkey = 0;
	uint16_t entered = 0;
	int r = sd_bus_message_read(m, "o", &device);
	if (r < 0 || !may_ask(p, m, device))
		return reject(m);
	if (streq(method, "RequestPasskey"))
		return ask_person(p, m, BLUEZ_PAIR_TYPE_PASSKEY, 0);
	if (streq(method, "RequestPinCode"))
		return ask_person(p, m, BLUEZ_PAIR_TYPE_PIN, 0);
	if (streq(method, "RequestConfirmation")) {
		r = sd_bus_message_read(m, "u", &passkey);
		return r < 0 ? reject(m) : ask_person(p, m, BLUEZ_PAIR_COMPARE, passkey);
	}
	if (streq(method, "DisplayPasskey")) { /* told again for each digit that is typed there */
		r = sd_bus_message_read(m, "uq", &passkey, &entered);
		if (r < 0)
			return reject(m);
		return entered ? sd_bus_reply_method_return(m, NULL) : show_person(p, m, passkey);
	}
	if (streq(method, "DisplayPinCode")) { /* bluetoothd makes up digits only */
		r = sd_bus_message_read(m, "s", &pin);
		return r < 0 ? reject(m) : show_person(p, m, (uint32_t)strtoul(pin, NULL, 10));
	}
	/* RequestAuthorization: Just Works, and it is the device that the operator chose. */
	return sd_bus_reply_method_return(m, NULL);
}

/* No service of an instrument is used through bluetoothd. */
static int on_service(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)arg, (void)ret_error;
	return reject(m);
}

/* What was asked is over; how it ended is told by the answer to Pair. */
static int on_cancel(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_pair *p = arg;
	const char *sender = sd_bus_message_get_sender(m);
	if (!sender || !streq(sender, p->bluez->owner))
		return reject(m);
	p->question = sd_bus_message_unref(p->question);
	return sd_bus_reply_method_return(m, NULL);
}

#define ASKED(name, takes, gives, handler) \
	SD_BUS_METHOD(name, takes, gives, handler, SD_BUS_VTABLE_UNPRIVILEGED)
static const sd_bus_vtable agent_methods[] = {SD_BUS_VTABLE_START(0),
	ASKED("RequestPasskey", "o", "u", on_ask), ASKED("RequestPinCode", "o", "s", on_ask),
	ASKED("RequestConfirmation", "ou", "", on_ask), ASKED("DisplayPasskey", "ouq", "", on_ask),
	ASKED("DisplayPinCode", "os", "", on_ask), ASKED("RequestAuthorization", "o", "", on_ask),
	ASKED("AuthorizeService", "os", "", on_service), ASKED("Cancel", "", "", on_cancel),
	ASKED("Release", "", "", on_cancel), SD_BUS_VTABLE_END};

/* --- what enrolment calls */

static int on_impatient(sd_event_source *source, uint64_t when, void *arg);

int bluez_pair_begin(struct bluez *b, const char *address, const struct bluez_pair_events *events)
{
	struct bluez_pair *p = b->pair;
	if (p->step != IDLE)
		return -EBUSY;
	if (!*b->owner)
		return -ENOTCONN;
	const struct bluez_seen *device = bluez_scan_find(b, address);
	if (!device)
		return -ENOENT;
	bluez_device_path(device, p->path);
	p->events = *events;
	int r = sd_bus_add_object_vtable(
		b->bus, &p->agent, PAIR_AGENT, "org.bluez.Agent1", agent_methods, p);
	if (r >= 0)
		r = pair_call(p, REGISTERING, "/org/bluez", PAIR_MANAGER, "RegisterAgent",
			on_registered, 0);
	if (r < 0) {
		pair_reset(p);
		return r;
	}
	bluez_arm(p->timer, PAIR_PATIENCE_US);
	return 0;
}

/* bluetoothd does not even say that it cancelled. */
static int on_cancelled(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_pair *p = arg;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	p->cancel = sd_bus_slot_unref(p->cancel);
	if (e && p->step == PAIRING) {
		p->call = sd_bus_slot_unref(p->call);
		let_go(p);
	}
	return 0;
}

static void pair_stop(struct bluez_pair *p, int result, const char *why)
{
	struct bluez *b = p->bluez;
	if (p->step == IDLE || p->step == LETTING_GO || p->ending)
		return;
	p->ending = true;
	decide(p, result, why);
	if (p->question)
		sd_bus_reply_method_errorf(p->question, "org.bluez.Error.Canceled", "over");
	p->question = sd_bus_message_unref(p->question);
	if (p->step == PAIRING)
		sd_bus_call_method_async(b->bus, &p->cancel, b->owner, p->path, BLUEZ_DEVICE,
			"CancelPairing", on_cancelled, p, NULL);
}

static int on_impatient(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	pair_stop(arg, -ETIMEDOUT, "it took too long");
	return 0;
}

void bluez_pair_cancel(struct bluez *b)
{
	pair_stop(b->pair, -ECANCELED, "cancelled");
}

/* The question of that kind that waits for its answer, taken; or NULL. */
static sd_bus_message *take_question(struct bluez_pair *p, enum bluez_pair_ask ask)
{
	return p->question && p->asked == ask ? TAKE(p->question) : NULL;
}

int bluez_pair_passkey(struct bluez *b, uint32_t passkey)
{
	if (passkey > PAIR_PASSKEY_MAX)
		return -EINVAL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
		take_question(b->pair, BLUEZ_PAIR_TYPE_PASSKEY);
	return m ? error_only(sd_bus_reply_method_return(m, "u", passkey)) : -ENOENT;
}

int bluez_pair_pin(struct bluez *b, const char *pin)
{
	if (!*pin || strlen(pin) > PAIR_PIN_MAX)
		return -EINVAL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
		take_question(b->pair, BLUEZ_PAIR_TYPE_PIN);
	return m ? error_only(sd_bus_reply_method_return(m, "s", pin)) : -ENOENT;
}

int bluez_pair_confirm(struct bluez *b, bool same)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
		take_question(b->pair, BLUEZ_PAIR_COMPARE);
	if (!m)
		return -ENOENT;
	return MIN(same ? sd_bus_reply_method_return(m, NULL) : reject(m), 0);
}

const struct bluez_seen *bluez_pair_device(const struct bluez *b)
{
	return bluez_device_at(b, b->pair->path);
}

bool bluez_pair_active(const struct bluez *b)
{
	return b->pair->step != IDLE;
}

/* --- life */

void bluez_pair_lost(struct bluez *b)
{
	struct bluez_pair *p = b->pair;
	if (!p || p->step == IDLE)
		return;
	if (!p->ending && p->step != LETTING_GO)
		decide(p, -EIO, "bluetoothd went away");
	p->question = sd_bus_message_unref(p->question);
	pair_end(p);
}

int bluez_pair_new(struct bluez *b)
{
	struct bluez_pair *p = b->pair = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->bluez = b;
	int r = sd_event_add_time_relative(
		b->loop, &p->timer, CLOCK_BOOTTIME, 0, PAIR_ACCURACY_US, on_impatient, p);
	return r < 0 ? r : sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}

void bluez_pair_free(struct bluez *b)
{
	struct bluez_pair *p = TAKE(b->pair);
	if (!p)
		return;
	if (p->timer)
		pair_reset(p);
	sd_event_source_disable_unref(p->timer);
	free(p);
}
