/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One BLE instrument: the session of the ATT client (att.c) over a socket (ble_socket.c), and its return
 * whenever it ends.
 *
 * A connect that waits for the device to advertise is the normal state, in turns with others
 * (ble_turns.c). The kernel gives up after 40 s and is asked again for ever; only errors that come at once are
 * paced.
 *
 * Device Information is read first, so that the owner knows who speaks before the first value.
 */
#include "att.h"
#include "ble_socket.h"
#include "ble_turns.h"
#include "ble_uid.h"
#include "ble_wants.h"
#include "bluez.h"
#include "bluez_pair.h"
#include "bluez_watch.h"
#include "log.h"
#include "transport.h"
#include "util.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#define BLE_WAIT_MIN_US 200000
#define BLE_WAIT_MAX_US 5000000
#define BLE_SIMULATED_QUICK 50 /* tries of a simulated device at the short pause */
#define BLE_NO_BLUETOOTH_US 60000000
#define BLE_REST_US 5000000    /* after a link that we ended */
#define BLE_PATIENT_US 5000000 /* a connect that took this long before it failed was waiting */
#define BLE_NEVER_US 60000000  /* a connect of which nothing was heard for so long is given up */
#define BLE_ACCURACY_US 10000
#define BLE_LOG_BURST 6 /* lines of one cause a minute */

enum phase { RESTING, CONNECTING, SETTING_UP, UP };

struct ble {
	struct transport base;
	sd_event *loop;
	struct bluez *bluez; /* NULL: nobody to ask */
	char adapter[18];    /* address of the adapter when it was last ready; "" = it never was */
	bool adapter_random;
	struct ble_turns *turns; /* NULL: no radio to share */
	struct ble_turn turn;
	const struct config_device *device;
	const struct vg_driver *driver;
	struct ble_peer peer;
	struct att_want wants[ATT_CHARACTERISTICS_MAX];
	size_t n_wants;
	struct att_cache cache; /* survives reconnects */
	struct att *att;

	enum phase phase;
	const char *state;
	struct ble_socket socket; /* closed when resting */
	sd_event_source *io;
	sd_event_source *timer; /* resting: next try; else what att waits for, or a deferred end */
	bool wants_adapter;	/* resting until bluez tells that it is ready */
	unsigned failures;
	uint64_t connect_us; /* when the connect began */
	bool lost;	     /* the link ended by itself; else it is we who end it */
	bool hung_up;	     /* because the device ended it */
	char doomed[80];     /* why the link is to end as soon as the loop runs; "" = it is not */
	struct ble_uid uid;
	struct log_limit said_down, said_state, said_refused;
};

static uint64_t boot_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return (int64_t)(boot_us() / 1000);
}

static void set_timer(struct ble *t, uint64_t at_us)
{
	int r = sd_event_source_set_time(t->timer, at_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(
			t->timer, at_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (r < 0)
		log_error(t->device->id, "timer: %s", strerror(-r));
}

static void doom(struct ble *t, const char *why)
{
	if (!*t->doomed)
		text_copy(t->doomed, sizeof(t->doomed), why, strlen(why));
}

/* Says a state when it begins. `why` may be NULL. */
static void set_state(struct ble *t, const char *state, const char *why)
{
	bool same = streq(t->state, state);
	t->state = state;
	unsigned held_back;
	const char *next = same ? NULL : ble_state_advice(state);
	if (next && log_allowed(&t->said_state, BLE_LOG_BURST, &held_back))
		log_note(t->device->id, "%s%s%s: %s", state, why ? ": " : "", why ? why : "", next);
}

static void say_waiting(struct ble *t)
{
	if (!streq(t->state, "unpaired"))
		set_state(t, "waiting", NULL);
}

/* For the watchdog of the adapter. */
static void report(struct ble *t, enum bluez_outcome outcome)
{
	if (t->bluez)
		bluez_report(t->bluez, t->device->adapter, t->device->id, outcome);
}

static void ble_release(struct ble *t)
{
	if (t->phase >= SETTING_UP)
		report(t, BLUEZ_UNLINKED);
	t->io = sd_event_source_disable_unref(t->io);
	ble_socket_close(&t->socket);
	t->doomed[0] = 0;
	t->lost = t->hung_up = false;
	t->phase = RESTING;
	if (t->turns)
		ble_turns_end(t->turns, &t->turn);
}

static void ble_rest(struct ble *t, uint64_t pause_us)
{
	set_timer(t, boot_us() + pause_us);
}

static uint64_t next_pause(struct ble *t)
{
	if (t->peer.simulated) { /* no radio to wait for: quick at first, then idle */
		t->failures += t->failures < BLE_SIMULATED_QUICK;
		return t->failures < BLE_SIMULATED_QUICK ? BLE_WAIT_MIN_US : 1000000;
	}
	uint64_t pause_us = MIN((uint64_t)BLE_WAIT_MIN_US << t->failures, BLE_WAIT_MAX_US);
	t->failures += t->failures < 5;
	return pause_us;
}

/* `error` > 0: a connect failed. */
static void connect_failed(struct ble *t, int error)
{
	bool was_waiting = t->phase == CONNECTING && boot_us() - t->connect_us >= BLE_PATIENT_US;
	if (error == EMLINK && t->turns)
		ble_turns_full(t->turns, &t->turn);
	else if (t->phase == CONNECTING && !was_waiting)
		report(t, BLUEZ_FAILED);
	ble_release(t);
	if (was_waiting) {
		t->failures = 0;
		ble_rest(t, 0);
		return;
	}
	const char *state = ble_socket_state(error);
	set_state(t, state, strerror(error));
	ble_rest(t, streq(state, "no-bluetooth") ? BLE_NO_BLUETOOTH_US : next_pause(t));
}

/* The kernel keeps a link that we let go for 2 s and gives it to the next connect: the device would see
 * neither an end nor a beginning, and a meter that waits for a confirmation would wait on. */
static void ble_drop(struct ble *t, const char *why)
{
	char text[sizeof(t->doomed)]; /* `why` may be t->doomed */
	text_copy(text, sizeof(text), why, strlen(why));
	bool was_up = t->phase == UP, lost = t->lost;
	uint32_t ignored = att_ignored(t->att);
	if (was_up && t->hung_up)
		t->base.events.hung_up(t->base.events.arg);
	ble_release(t);
	if (!streq(t->state, "unpaired"))
		t->state = "waiting";
	if (was_up && lost)
		t->failures = 0;
	ble_rest(t, lost || t->peer.simulated ? next_pause(t) : BLE_REST_US);
	if (ignored)
		log_detail(t->device->id, "%u of its PDUs made no sense", ignored);
	unsigned held_back;
	if (was_up)
		t->base.events.down(t->base.events.arg, text);
	else if (log_allowed(&t->said_down, BLE_LOG_BURST, &held_back))
		log_info(t->device->id, "link ended before it was of use: %s", text);
}

/* Ends every call from the loop into att: what it waits for, or the end of the link. */
static void settle(struct ble *t)
{
	if (t->phase < SETTING_UP)
		return;
	if (*t->doomed) {
		ble_drop(t, t->doomed);
		return;
	}
	int64_t due_ms = att_deadline(t->att);
	set_timer(t, due_ms == INT64_MAX ? UINT64_MAX : (uint64_t)due_ms * 1000);
}

/* The same from inside a call of the owner, which must not hear `down` there. */
static void settle_later(struct ble *t)
{
	if (*t->doomed)
		set_timer(t, 0);
	else
		settle(t);
}

static void want_write(struct ble *t, bool yes)
{
	int r = sd_event_source_set_io_events(t->io, EPOLLIN | (yes ? EPOLLOUT : 0));
	if (r < 0)
		log_error(t->device->id, "event loop: %s", strerror(-r));
}

static void sent(struct ble *t, int r)
{
	if (r >= 0) {
		want_write(t, r > 0);
		return;
	}
	t->lost = r != -ENOBUFS && r != -ENOMEM;
	doom(t, r == -ENOBUFS ? "the device takes no data" : strerror(-r));
}

static void on_att_send(void *arg, const uint8_t *pdu, size_t len)
{
	struct ble *t = arg;
	if (t->phase < SETTING_UP || *t->doomed)
		return;
	int r = ble_socket_send(&t->socket, pdu, len);
	if (r != 0)
		sent(t, r);
}

static void tell_up(struct ble *t)
{
	if (t->phase == UP)
		return;
	char uid[TRANSPORT_UID_MAX + 1];
	ble_uid_text(&t->uid, t->device->address, uid, sizeof(uid));
	t->phase = UP;
	t->state = "connected";
	t->base.events.up(t->base.events.arg, uid);
}

static void refused(struct ble *t, const struct att_event *e)
{
	/* Error codes of the Core Specification, Vol 3, Part F, 3.4.1.1: authentication,
	 * authorization, key size, encryption. */
	bool keys = e->code == 0x05 || e->code == 0x08 || e->code == 0x0c || e->code == 0x0f;
	const char *what = e->use == VG_GATT_READ    ? "reading"
			   : e->use == VG_GATT_WRITE ? "writing"
						     : "subscribing to";
	if (e->index < WANT_CHANNELS || (e->code == 0x0a && e->use != VG_GATT_WRITE))
		return; /* identity that it keeps for itself, or an option that it lacks */
	const struct vg_channel *c = &t->driver->channels[e->index - WANT_CHANNELS];
	unsigned held_back;
	if (log_allowed(&t->said_refused, BLE_LOG_BURST, &held_back))
		log_warn(t->device->id, "refuses %s %s: ATT error 0x%02x%s", what, c->name, e->code,
			keys ? ": pair it, and set `pairing`" : "");
	if (keys)
		t->state = "unpaired";
	if (e->use == VG_GATT_WRITE || !(c->use & VG_GATT_REQUIRED))
		return;
	char why[sizeof(t->doomed)];
	snprintf(why, sizeof(why), "it refuses %s %s", what, c->name);
	doom(t, why);
}

static void on_att_event(void *arg, const struct att_event *e)
{
	struct ble *t = arg;
	if (t->phase < SETTING_UP || *t->doomed)
		return; /* the owner closed, or the link ends: what att still has is not told */
	/* Reads come in the order of the wants: Device Information is over at the driver's first. A
	 * device that gives no value and refuses what it must give is never up. */
	bool value = e->type == ATT_VALUE && e->index >= WANT_CHANNELS;
	if (value || e->type == ATT_NOTIFIED || e->type == ATT_INDICATED ||
		e->type == ATT_SUBSCRIBED ||
		(e->type == ATT_READY && ble_wants_first(t->wants, t->n_wants, &t->cache)))
		tell_up(t);
	if (t->phase < SETTING_UP)
		return; /* closed by the owner on hearing `up` */
	int channel = e->index < WANT_CHANNELS ? -1 : e->index - WANT_CHANNELS;
	size_t len = MIN(e->len, (size_t)VG_PDU_MAX); /* a GATT value is never longer */
	switch (e->type) {
	case ATT_VALUE:
		if (e->index == WANT_SERIAL)
			ble_uid_serial(&t->uid, e->bytes, e->len);
		else if (e->index == WANT_SYSTEM_ID)
			ble_uid_system_id(&t->uid, e->bytes, e->len);
		else
			t->base.events.value(t->base.events.arg, channel, e->bytes, len, false);
		break;
	case ATT_NOTIFIED:
	case ATT_INDICATED:
		t->base.events.value(
			t->base.events.arg, channel, e->bytes, len, e->type == ATT_INDICATED);
		break;
	case ATT_REFUSED:
		refused(t, e);
		if (e->use == VG_GATT_WRITE && t->phase == UP)
			t->base.events.denied(t->base.events.arg, (unsigned)channel, e->code);
		break;
	case ATT_CLOSE:
		doom(t, e->why);
		break;
	case ATT_READY:
	case ATT_SUBSCRIBED:
	case ATT_WRITTEN:
		break;
	}
}

static void link_is_there(struct ble *t)
{
	const struct att_ops ops = {.send = on_att_send, .event = on_att_event, .arg = t};
	t->phase = SETTING_UP;
	t->state = "setting-up";
	report(t, BLUEZ_LINKED);
	if (t->turns)
		ble_turns_linked(t->turns, &t->turn);
	t->uid = (struct ble_uid){0};
	want_write(t, false);
	att_init(t->att, t->wants, t->n_wants, &t->cache, ATT_MTU, &ops);
	if (!t->device->pairing)
		att_expect_no_pairing(t->att);
	att_settle_for(t->att, t->driver->settle_ms);
	att_start(t->att, now_ms());
	settle(t);
}

static void connecting(struct ble *t)
{
	int r = ble_socket_result(&t->socket);
	if (r < 0)
		connect_failed(t, -r);
	else
		link_is_there(t);
}

static void input(struct ble *t)
{
	uint8_t pdu[ATT_MTU + 1]; /* one more: att sees that it is too long */
	int n = ble_socket_receive(&t->socket, pdu, sizeof(pdu));
	if (n > 0) {
		att_input(t->att, pdu, (size_t)n, now_ms());
	} else if (n != -EAGAIN) {
		t->lost = true;
		t->hung_up = n == 0 || n == -ECONNRESET;
		if (n == -EACCES) /* how the kernel says that pairing or encryption failed */
			t->state = "unpaired";
		doom(t, n == -EACCES ? "pairing failed"
			: n < 0	     ? strerror(-n)
				     : "the device closed the link");
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd;
	struct ble *t = arg;
	if (t->phase == CONNECTING) {
		connecting(t);
		return 0;
	}
	if (events & EPOLLOUT)
		sent(t, ble_socket_drain(&t->socket));
	/* A lost link is noticed by reading: what came before its end is not lost. */
	if (!*t->doomed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		input(t);
	settle(t);
	return 0;
}

/* What there is to wait for before a connect makes sense, or NULL. That bluetoothd is away is none: the kernel
 * connects and encrypts without it, as long as it is known where. */
static const char *obstacle(struct ble *t)
{
	bool random;
	const char *adapter =
		t->bluez ? bluez_address(t->bluez, t->device->adapter, &random) : NULL;
	if (!t->bluez)
		return NULL;
	if (adapter) {
		t->adapter_random = random;
		text_copy(t->adapter, sizeof(t->adapter), adapter, strlen(adapter));
		return NULL;
	}
	const char *state = bluez_state(t->bluez, t->device->adapter);
	bool of_adapter = streq(state, "adapter-off") || streq(state, "adapter-absent");
	return *t->adapter && !of_adapter ? NULL : state;
}

/* A kernel that is asked for an encrypted link pairs with whoever is there. What was enrolled is paired in the
 * window of an operator, and at no other time. */
static bool bond_is_gone(const struct ble *t)
{
	if (!t->device->enrolled || !t->bluez)
		return false;
	int bonded = bluez_bonded(t->bluez, t->device->address);
	return bonded == 0 || bonded == -ENOENT;
}

/* It is its turn. */
static void open_now(void *arg)
{
	struct ble *t = arg;
	const char *adapter = *t->device->adapter ? t->adapter : NULL;
	struct ble_peer peer = t->peer;
	peer.pairing &= !bond_is_gone(t);
	int r = ble_socket_open(&t->socket, &peer, adapter, t->adapter_random);
	if (r < 0 && r != -EINPROGRESS) {
		connect_failed(t, -r);
		return;
	}
	t->phase = CONNECTING;
	t->connect_us = boot_us();
	say_waiting(t);
	set_timer(t, t->connect_us + BLE_NEVER_US);
	r = sd_event_add_io(t->loop, &t->io, t->socket.fd, EPOLLOUT, on_io, t);
	if (r < 0)
		connect_failed(t, -r);
}

static void give_way(void *arg)
{
	struct ble *t = arg;
	ble_release(t);
	ble_turns_ask(t->turns, &t->turn);
}

static void ble_try(struct ble *t)
{
	if (!t->peer.simulated && !ble_socket_supported()) {
		connect_failed(t, EAFNOSUPPORT);
		return;
	}
	const char *state = obstacle(t);
	t->wants_adapter = state;
	if (state) {
		set_state(t, state, NULL);
		return;
	}
	if (t->turns)
		ble_turns_ask(t->turns, &t->turn);
	else
		open_now(t);
	if (t->turn.state == TURN_IN_LINE)
		say_waiting(t);
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	struct ble *t = arg;
	if (t->phase == RESTING) {
		ble_try(t);
		return 0;
	}
	if (t->phase == CONNECTING) {
		report(t, BLUEZ_STUCK);
		connect_failed(t, ETIMEDOUT);
		return 0;
	}
	if (!*t->doomed)
		att_expire(t->att, now_ms());
	settle(t);
	return 0;
}

/* The adapters changed. A link that is there ends by itself when its adapter goes. */
static void on_bluez(void *arg)
{
	struct ble *t = arg;
	const char *state = obstacle(t);
	if (state && (t->phase == CONNECTING || t->turn.state == TURN_IN_LINE)) {
		ble_release(t);
		t->wants_adapter = true;
	}
	if (t->phase != RESTING || !t->wants_adapter)
		return;
	if (state)
		set_state(t, state, NULL);
	else
		ble_rest(t, 0);
}

static int ble_send(struct transport *base, unsigned channel, const void *bytes, size_t len)
{
	struct ble *t = (struct ble *)base;
	if (t->phase != UP || *t->doomed)
		return -ENOTCONN;
	int r = att_write(t->att, channel + WANT_CHANNELS, bytes, len, now_ms());
	settle_later(t);
	return r;
}

static void ble_confirm(struct transport *base)
{
	struct ble *t = (struct ble *)base;
	if (t->phase != UP || *t->doomed)
		return;
	att_confirm(t->att);
	settle_later(t);
}

static void ble_close(struct transport *base, const char *why)
{
	struct ble *t = (struct ble *)base;
	if (t->phase >= SETTING_UP)
		ble_drop(t, why);
}

static void ble_free(struct transport *base)
{
	struct ble *t = (struct ble *)base;
	ble_release(t);
	if (t->bluez)
		bluez_unwatch(t->bluez, t);
	sd_event_source_disable_unref(t->timer);
	sd_event_unref(t->loop);
	free(t->att);
	free(t);
}

static const char *ble_state(const struct transport *base)
{
	const struct ble *t = (const struct ble *)base;
	return t->turns && ble_turns_crowded(t->turns, &t->turn) ? "crowded" : t->state;
}

static const struct transport_ops ble_ops = {.send = ble_send,
	.confirm = ble_confirm,
	.close = ble_close,
	.free = ble_free,
	.state = ble_state};

static int take_address(struct ble *t)
{
	int r = ble_peer_parse(t->device->address, &t->peer);
	if (r < 0)
		log_error(t->device->id, "address \"%s\": %s", t->device->address,
			r == -EINVAL ? "not like C0:11:22:33:44:55" : strerror(-r));
	t->peer.random = t->device->random_address;
	t->peer.pairing = t->device->pairing;
	return r;
}

int ble_new(sd_event *loop, struct bluez *bluez, struct ble_turns *turns,
	const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret)
{
	struct ble *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->base.ops = &ble_ops;
	t->base.events = *events;
	t->loop = sd_event_ref(loop);
	t->device = device;
	t->driver = driver;
	t->socket.fd = -1;
	t->state = "";
	t->att = calloc(1, att_size());
	int r = t->att ? take_address(t) : -ENOMEM;
	if (r >= 0)
		r = ble_wants(device->id, driver, t->wants, &t->n_wants);
	if (r >= 0)
		r = sd_event_add_time_relative(
			loop, &t->timer, CLOCK_BOOTTIME, 0, BLE_ACCURACY_US, on_timer, t);
	if (r >= 0 && bluez && !t->peer.simulated)
		r = bluez_watch(bluez, on_bluez, t);
	if (r < 0) {
		ble_free(&t->base);
		return r;
	}
	if (!t->peer.simulated) {
		t->bluez = bluez;
		t->turns = turns;
	}
	t->turn = (struct ble_turn){.id = device->id,
		.address = device->address,
		.go = open_now,
		.yield = give_way,
		.arg = t};
	memcpy(t->turn.adapter, device->adapter, sizeof(t->turn.adapter));
	*ret = &t->base;
	return 0;
}
