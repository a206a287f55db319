/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bus: what bluetoothd shows of itself, and its coming and going.
 *
 * The picture is a snapshot (GetManagedObjects) plus the signals that the same sender sent after
 * it. A new owner of org.bluez means a new snapshot; a lost bus is opened again every 2 s. Signals
 * of anybody else are ignored: any local user may emit some. Every call is asynchronous.
 */
#include "bluez_bus.h"
#include "bluez_scan.h"
#include "log.h"
#include "util.h"

#include <errno.h>

#define BLUEZ_REOPEN_US 2000000 /* bus gone, or bluetoothd does not answer */
#define BLUEZ_ACCURACY_US 100000

void bluez_changed(struct bluez *b)
{
	for (size_t i = 0; i < ELEMENTS(b->watchers); i++)
		if (b->watchers[i].changed)
			b->watchers[i].changed(b->watchers[i].arg);
}

uint64_t bluez_now_us(const struct bluez *b)
{
	uint64_t now_us = 0;
	sd_event_now(b->loop, CLOCK_BOOTTIME, &now_us);
	return now_us;
}

void bluez_arm(sd_event_source *timer, uint64_t in_us)
{
	int r = sd_event_source_set_time_relative(timer, in_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error("bluez", "timer: %s", strerror(-r));
}

void bluez_again(struct bluez *b, uint64_t in_us)
{
	bluez_arm(b->timer, in_us);
}

/* Each trouble is said once, until there is another or none. */
static void say_trouble(struct bluez *b, const char *trouble, const char *next)
{
	if (b->trouble && streq(b->trouble, trouble))
		return;
	b->trouble = trouble;
	log_warn("bluez", "%s: %s", trouble, next);
}

/* bluetoothd or the bus went, or another bluetoothd came. */
static void forget_all(struct bluez *b)
{
	bluez_adapters_forget(b);
	bluez_devices_forget(b);
	b->snapshot = sd_bus_slot_unref(b->snapshot);
	b->owner[0] = 0;
	bluez_watchdog_lost(b);
	bluez_forgetting_lost(b);
	bluez_pair_lost(b);
}

int bluez_read_dict(sd_bus_message *m, bluez_property property, void *arg)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *name = NULL;
		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = property(arg, name, m);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* a{sa{sv}}: the interfaces of one object. `ret_adapter` is set when one is that of an adapter. */
static int read_interfaces(sd_bus_message *m, struct bluez *b, const char *path,
	enum bluez_told how, bool *ret_adapter)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		const char *interface = NULL;
		r = sd_bus_message_read(m, "s", &interface);
		if (r < 0)
			break;
		if (streq(interface, BLUEZ_ADAPTER)) {
			*ret_adapter = true;
			r = bluez_adapter_read(b, path, m);
		} else if (streq(interface, BLUEZ_DEVICE)) {
			r = bluez_device_read(b, path, m, how);
		} else {
			r = sd_bus_message_skip(m, "a{sv}");
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* a{oa{sa{sv}}} */
static int read_objects(sd_bus_message *m, struct bluez *b)
{
	bool adapter = false;
	int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
		const char *path = NULL;
		r = sd_bus_message_read(m, "o", &path);
		if (r >= 0)
			r = read_interfaces(m, b, path, BLUEZ_TOLD_ALL, &adapter);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r;
}

static void say_odd(int r)
{
	if (r < 0)
		log_warn("bluez", "a message of bluetoothd is not as expected: %s", strerror(-r));
}

static void adapters_changed(struct bluez *b)
{
	bluez_adapters_switch_on(b);
	bluez_scan_settle(b);
	bluez_changed(b);
}

/* A match for a sender does not keep out messages that somebody else sends to us alone. */
static bool sent_by(sd_bus_message *m, const char *name)
{
	const char *sender = sd_bus_message_get_sender(m);
	return sender && *name && streq(sender, name);
}

static int on_added(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const char *path = NULL;
	bool adapter = false;
	if (!sent_by(m, b->owner))
		return 0;
	int r = sd_bus_message_read(m, "o", &path);
	if (r >= 0)
		r = read_interfaces(m, b, path, BLUEZ_TOLD_NEW, &adapter);
	say_odd(r);
	if (adapter)
		adapters_changed(b);
	return 0;
}

static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const char *path = NULL, *interface = NULL;
	bool adapter = false;
	if (!sent_by(m, b->owner))
		return 0;
	int r = sd_bus_message_read(m, "o", &path);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read(m, "s", &interface)) > 0) {
		if (streq(interface, BLUEZ_ADAPTER))
			adapter |= bluez_adapter_gone(b, path);
		else if (streq(interface, BLUEZ_DEVICE))
			bluez_device_gone(b, path);
	}
	say_odd(r);
	if (adapter)
		adapters_changed(b);
	return 0;
}

static int on_properties(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const char *path = sd_bus_message_get_path(m), *interface = NULL;
	if (!path || !sent_by(m, b->owner))
		return 0;
	int r = sd_bus_message_read(m, "s", &interface);
	bool adapter = r >= 0 && streq(interface, BLUEZ_ADAPTER);
	if (adapter)
		r = bluez_adapter_read(b, path, m);
	else if (r >= 0 && streq(interface, BLUEZ_DEVICE))
		r = bluez_device_read(b, path, m, BLUEZ_TOLD_CHANGE);
	say_odd(r);
	if (adapter)
		adapters_changed(b);
	return 0;
}

static int on_snapshot(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	b->snapshot = sd_bus_slot_unref(b->snapshot);
	if (sd_bus_message_is_method_error(m, "org.freedesktop.DBus.Error.ServiceUnknown") ||
		sd_bus_message_is_method_error(m, "org.freedesktop.DBus.Error.NameHasNoOwner")) {
		say_trouble(b, "bluetoothd is not running", "systemctl status bluetooth");
		return 0; /* NameOwnerChanged tells when it is */
	}
	const sd_bus_error *e = sd_bus_message_get_error(m);
	const char *sender = sd_bus_message_get_sender(m);
	if (e || !sender) {
		if (e && sd_bus_error_get_errno(e) == ETIMEDOUT)
			bluez_watchdog_answered(b, false);
		else
			say_trouble(b, "bluetoothd does not answer", e ? e->name : "no sender");
		bluez_again(b, BLUEZ_REOPEN_US);
		return 0;
	}
	b->trouble = NULL;
	text_copy(b->owner, sizeof(b->owner), sender, strlen(sender));
	bluez_watchdog_answered(b, true);
	say_odd(read_objects(m, b));
	adapters_changed(b);
	return 0;
}

static void ask_snapshot(struct bluez *b)
{
	int r = sd_bus_call_method_async(b->bus, &b->snapshot, "org.bluez", "/", BLUEZ_OBJECTS,
		"GetManagedObjects", on_snapshot, b, NULL);
	if (r < 0)
		bluez_again(b, BLUEZ_REOPEN_US);
}

static int on_owner(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const char *name = NULL, *old = NULL, *new = NULL;
	if (!sent_by(m, "org.freedesktop.DBus") ||
		sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || !streq(name, "org.bluez"))
		return 0;
	forget_all(b);
	if (*new)
		ask_snapshot(b);
	else
		say_trouble(b, "bluetoothd is not running", "systemctl status bluetooth");
	bluez_changed(b);
	return 0;
}

static int on_disconnected(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	if (!sent_by(m, "org.freedesktop.DBus.Local"))
		return 0;
	b->lost = true;
	forget_all(b);
	say_trouble(b, "the system bus is gone", "systemctl status dbus");
	bluez_again(b, BLUEZ_REOPEN_US);
	bluez_changed(b);
	return 0;
}

static void bus_shut(struct bluez *b)
{
	forget_all(b);
	b->lost = false;
	if (!b->bus)
		return;
	sd_bus_detach_event(b->bus);
	b->bus = sd_bus_close_unref(b->bus);
}

static int bus_subscribe(struct bluez *b)
{
	static const struct {
		const char *match;
		sd_bus_message_handler_t handler;
	} signals[] = {
		{"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
		 "member='NameOwnerChanged',arg0='org.bluez'",
			on_owner},
		{"type='signal',sender='org.bluez',path='/',interface='" BLUEZ_OBJECTS "',"
		 "member='InterfacesAdded'",
			on_added},
		{"type='signal',sender='org.bluez',path='/',interface='" BLUEZ_OBJECTS "',"
		 "member='InterfacesRemoved'",
			on_removed},
		{"type='signal',sender='org.bluez',path_namespace='/org/bluez',"
		 "interface='" BLUEZ_PROPERTIES "',member='PropertiesChanged',"
		 "arg0='" BLUEZ_ADAPTER "'",
			on_properties},
		{"type='signal',sender='org.bluez',path_namespace='/org/bluez',"
		 "interface='" BLUEZ_PROPERTIES "',member='PropertiesChanged',"
		 "arg0='" BLUEZ_DEVICE "'",
			on_properties},
	};
	int r = sd_bus_add_match(b->bus, NULL,
		"type='signal',sender='org.freedesktop.DBus.Local',"
		"path='/org/freedesktop/DBus/Local',interface='org.freedesktop.DBus.Local',"
		"member='Disconnected'",
		on_disconnected, b);
	/* Without a callback of ours a refused match closes the bus: on_disconnected() goes on. */
	for (size_t i = 0; r >= 0 && i < ELEMENTS(signals); i++)
		r = sd_bus_add_match_async(
			b->bus, NULL, signals[i].match, signals[i].handler, NULL, b);
	return r;
}

static void bus_open(struct bluez *b)
{
	bus_shut(b);
	int r = sd_bus_open_system_with_description(&b->bus, "bluez");
	if (r >= 0)
		r = sd_bus_attach_event(b->bus, b->loop, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = bus_subscribe(b);
	if (r < 0) {
		say_trouble(b, "the system bus is gone", "systemctl status dbus");
		bus_shut(b);
		bluez_again(b, BLUEZ_REOPEN_US);
		return;
	}
	ask_snapshot(b);
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	struct bluez *b = arg;
	if (!b->bus || b->lost)
		bus_open(b);
	else if (!*b->owner && !b->snapshot)
		ask_snapshot(b);
	else
		bluez_adapters_switch_on_again(b);
	return 0;
}

int bluez_new(sd_event *loop, struct bluez **ret)
{
	struct bluez *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->loop = sd_event_ref(loop);
	int r = sd_event_add_time_relative(
		loop, &b->timer, CLOCK_BOOTTIME, 0, BLUEZ_ACCURACY_US, on_timer, b);
	if (r >= 0)
		r = bluez_devices_new(b);
	if (r >= 0)
		r = bluez_scan_new(b);
	if (r >= 0)
		r = bluez_pair_new(b);
	if (r >= 0)
		r = bluez_watchdog_new(b);
	if (r < 0) {
		bluez_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void bluez_free(struct bluez *b)
{
	if (!b)
		return;
	bluez_forgetting_free(b); /* before they could hear that the bus is gone */
	bluez_pair_free(b);
	bus_shut(b);
	bluez_scan_free(b);
	bluez_devices_free(b);
	bluez_watchdog_free(b);
	sd_event_source_disable_unref(b->timer);
	sd_event_unref(b->loop);
	free(b);
}

int bluez_watch(struct bluez *b, void (*changed)(void *arg), void *arg)
{
	for (size_t i = 0; i < ELEMENTS(b->watchers); i++) {
		if (b->watchers[i].changed)
			continue;
		b->watchers[i] = (struct bluez_watcher){changed, arg};
		return 0;
	}
	return -ENOSPC;
}

void bluez_unwatch(struct bluez *b, void *arg)
{
	for (size_t i = 0; i < ELEMENTS(b->watchers); i++)
		if (b->watchers[i].changed && b->watchers[i].arg == arg)
			b->watchers[i] = (struct bluez_watcher){0};
}
