/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Adapters, as bluetoothd shows them on the system bus (org.bluez.Adapter1, BlueZ
 * doc/adapter-api.txt).
 *
 * The picture is a snapshot (GetManagedObjects) plus the signals that the same sender sent after
 * it. A new owner of org.bluez means a new snapshot; a lost bus is opened again every 2 s. Signals
 * of anybody else are ignored: any local user may emit some. Every call is asynchronous.
 */
#include "bluez.h"

#include "log.h"
#include "util.h"

#include <errno.h>
#include <sys/utsname.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define BLUEZ_ADAPTERS_MAX 8
#define BLUEZ_WATCHERS_MAX 64
#define BLUEZ_REOPEN_US 2000000 /* bus gone, or bluetoothd does not answer */
#define BLUEZ_POWER_US 10000000 /* switching on failed: again */
#define BLUEZ_ACCURACY_US 100000

#define OBJECTS "org.freedesktop.DBus.ObjectManager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define ADAPTER "org.bluez.Adapter1"

struct adapter {
	struct bluez *bluez;
	char path[32];	  /* "/org/bluez/hci0"; "" = free slot */
	char address[18]; /* "" = unknown */
	bool random, powered;
	bool asked, failed; /* to be switched on, since it appeared */
	bool said_failed;
	sd_bus_slot *call;
};

struct watcher {
	void (*changed)(void *arg); /* NULL = free slot */
	void *arg;
};

struct bluez {
	sd_event *loop;
	sd_event_source
		*timer; /* opens the bus, asks for a snapshot, or switches on: what is due */
	sd_bus *bus;
	bool lost;	       /* the bus is to be closed and opened again */
	sd_bus_slot *snapshot; /* the call under way */
	char owner[64];	       /* unique name that the snapshot came from; "" = there is none */
	const char *trouble;   /* what the log said last; NULL = all is well */
	struct adapter adapters[BLUEZ_ADAPTERS_MAX];
	struct watcher watchers[BLUEZ_WATCHERS_MAX];
};

static void tell_watchers(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_WATCHERS_MAX; i++)
		if (b->watchers[i].changed)
			b->watchers[i].changed(b->watchers[i].arg);
}

static void arm(struct bluez *b, uint64_t in_us)
{
	int r = sd_event_source_set_time_relative(b->timer, in_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(b->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error("bluez", "timer: %s", strerror(-r));
}

/* Each trouble is said once, until there is another or none. */
static void say_trouble(struct bluez *b, const char *trouble, const char *next)
{
	if (b->trouble && streq(b->trouble, trouble))
		return;
	b->trouble = trouble;
	log_warn("bluez", "%s: %s", trouble, next);
}

static const char *adapter_name(const struct adapter *a)
{
	return strrchr(a->path, '/') + 1;
}

static struct adapter *adapter_find(struct bluez *b, const char *path)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		if (*b->adapters[i].path && streq(b->adapters[i].path, path))
			return &b->adapters[i];
	return NULL;
}

/* The adapter of that path, made when it is new; NULL: no place for it. */
static struct adapter *adapter_take(struct bluez *b, const char *path)
{
	struct adapter *a = adapter_find(b, path);
	if (a)
		return a;
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		a = &b->adapters[i];
		if (*a->path || strncmp(path, "/org/bluez/", 11) != 0 ||
			!text_copy(a->path, sizeof(a->path), path, strlen(path)))
			continue;
		a->bluez = b;
		return a;
	}
	log_warn("bluez", "adapter %s is one too many", path);
	return NULL;
}

static void adapter_forget(struct adapter *a)
{
	sd_bus_slot_unref(a->call);
	*a = (struct adapter){0};
}

static void forget_all(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		adapter_forget(&b->adapters[i]);
	b->snapshot = sd_bus_slot_unref(b->snapshot);
	b->owner[0] = 0;
}

static int on_switched(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct adapter *a = arg;
	a->call = sd_bus_slot_unref(a->call);
	const sd_bus_error *e = sd_bus_message_get_error(m);
	a->failed = e;
	if (!e)
		return 0; /* Powered comes by a signal */
	if (!a->said_failed)
		log_warn("bluez", "adapter %s cannot be switched on: %s: %s", adapter_name(a),
			e->name,
			strstr(e->name, "Blocked") ? "run `rfkill unblock bluetooth`"
						   : "trying again");
	a->said_failed = true;
	arm(a->bluez, BLUEZ_POWER_US);
	return 0;
}

static void switch_on(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		struct adapter *a = &b->adapters[i];
		if (!*a->path || a->powered || a->asked)
			continue;
		if (!a->said_failed)
			log_note("bluez", "adapter %s is off: switching it on", adapter_name(a));
		int r = sd_bus_call_method_async(b->bus, &a->call, b->owner, a->path, PROPERTIES,
			"Set", on_switched, a, "ssv", ADAPTER, "Powered", "b", 1);
		a->asked = true;
		a->failed = r < 0;
		if (r < 0)
			arm(b, BLUEZ_POWER_US);
	}
}

static void switch_on_again(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		if (b->adapters[i].failed)
			b->adapters[i].asked = b->adapters[i].failed = false;
	switch_on(b);
}

static int read_text(sd_bus_message *m, const char **ret)
{
	return sd_bus_message_read(m, "v", "s", ret);
}

static int read_property(sd_bus_message *m, const char *name, struct adapter *a)
{
	const char *text = NULL;
	int r;
	if (streq(name, "Powered")) {
		int on = 0;
		r = sd_bus_message_read(m, "v", "b", &on);
		if (r >= 0)
			a->powered = on;
		return r;
	}
	if (streq(name, "Address")) {
		r = read_text(m, &text);
		if (r >= 0 && strlen(text) == sizeof(a->address) - 1)
			text_copy(a->address, sizeof(a->address), text, strlen(text));
		return r;
	}
	if (streq(name, "AddressType")) {
		r = read_text(m, &text);
		if (r >= 0)
			a->random = streq(text, "random");
		return r;
	}
	return sd_bus_message_skip(m, "v");
}

/* a{sv} */
static int read_properties(sd_bus_message *m, struct adapter *a)
{
	bool was = a->powered;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *name = NULL;
		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = read_property(m, name, a);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (a->powered != was)
		log_info("bluez", "adapter %s (%s) is %s", adapter_name(a), a->address,
			a->powered ? "on" : "off");
	return r;
}

/* a{sa{sv}}: the interfaces of one object */
static int read_interfaces(sd_bus_message *m, struct bluez *b, const char *path)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		const char *interface = NULL;
		r = sd_bus_message_read(m, "s", &interface);
		struct adapter *a =
			r >= 0 && streq(interface, ADAPTER) ? adapter_take(b, path) : NULL;
		if (r >= 0)
			r = a ? read_properties(m, a) : sd_bus_message_skip(m, "a{sv}");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* a{oa{sa{sv}}} */
static int read_objects(sd_bus_message *m, struct bluez *b)
{
	int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
		const char *path = NULL;
		r = sd_bus_message_read(m, "o", &path);
		if (r >= 0)
			r = read_interfaces(m, b, path);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r;
}

static void picture_changed(struct bluez *b, int r)
{
	if (r < 0)
		log_warn("bluez", "a message of bluetoothd is not as expected: %s", strerror(-r));
	switch_on(b);
	tell_watchers(b);
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
	if (!sent_by(m, b->owner))
		return 0;
	int r = sd_bus_message_read(m, "o", &path);
	if (r >= 0)
		r = read_interfaces(m, b, path);
	picture_changed(b, r);
	return 0;
}

static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const char *path = NULL, *interface = NULL;
	if (!sent_by(m, b->owner))
		return 0;
	int r = sd_bus_message_read(m, "o", &path);
	struct adapter *a = r >= 0 ? adapter_find(b, path) : NULL;
	if (!a)
		return 0;
	r = sd_bus_message_enter_container(m, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read(m, "s", &interface)) > 0) {
		if (!streq(interface, ADAPTER))
			continue;
		log_note("bluez", "adapter %s is gone", adapter_name(a));
		adapter_forget(a);
		break;
	}
	picture_changed(b, r);
	return 0;
}

static int on_properties(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const char *path = sd_bus_message_get_path(m), *interface = NULL;
	struct adapter *a = path && sent_by(m, b->owner) ? adapter_find(b, path) : NULL;
	if (!a)
		return 0;
	int r = sd_bus_message_read(m, "s", &interface);
	if (r >= 0 && streq(interface, ADAPTER))
		r = read_properties(m, a);
	picture_changed(b, r);
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
		say_trouble(b, "bluetoothd does not answer", e ? e->name : "no sender");
		arm(b, BLUEZ_REOPEN_US);
		return 0;
	}
	b->trouble = NULL;
	text_copy(b->owner, sizeof(b->owner), sender, strlen(sender));
	picture_changed(b, read_objects(m, b));
	return 0;
}

static void ask_snapshot(struct bluez *b)
{
	int r = sd_bus_call_method_async(b->bus, &b->snapshot, "org.bluez", "/", OBJECTS,
		"GetManagedObjects", on_snapshot, b, NULL);
	if (r < 0)
		arm(b, BLUEZ_REOPEN_US);
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
	tell_watchers(b);
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
	arm(b, BLUEZ_REOPEN_US);
	tell_watchers(b);
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
		{"type='signal',sender='org.bluez',path='/',interface='" OBJECTS "',"
		 "member='InterfacesAdded'",
			on_added},
		{"type='signal',sender='org.bluez',path='/',interface='" OBJECTS "',"
		 "member='InterfacesRemoved'",
			on_removed},
		{"type='signal',sender='org.bluez',path_namespace='/org/bluez',"
		 "interface='" PROPERTIES "',member='PropertiesChanged',arg0='" ADAPTER "'",
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
		arm(b, BLUEZ_REOPEN_US);
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
		switch_on_again(b);
	return 0;
}

/* Linux 6.1.192 (Debian's packages -55 and -56) crashed at each LE disconnect with virtual
 * controllers; 6.1.190 did not. Debian shows the upstream version only in `uname -v`. */
static void warn_of_kernel(void)
{
	struct utsname u;
	if (uname(&u) < 0 ||
		(strncmp(u.release, "6.1.192", 7) != 0 && !strstr(u.version, "Debian 6.1.192-")))
		return;
	log_warn("bluez",
		"Linux 6.1.192 is known to crash when a BLE link ends: install another kernel "
		"(6.1.190 is good)");
}

int bluez_new(sd_event *loop, struct bluez **ret)
{
	struct bluez *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->loop = sd_event_ref(loop);
	int r = sd_event_add_time_relative(
		loop, &b->timer, CLOCK_BOOTTIME, 0, BLUEZ_ACCURACY_US, on_timer, b);
	if (r < 0) {
		bluez_free(b);
		return r;
	}
	warn_of_kernel();
	*ret = b;
	return 0;
}

void bluez_free(struct bluez *b)
{
	if (!b)
		return;
	bus_shut(b);
	sd_event_source_disable_unref(b->timer);
	sd_event_unref(b->loop);
	free(b);
}

static const struct adapter *ready_adapter(const struct bluez *b, const char *name)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		const struct adapter *a = &b->adapters[i];
		if (*a->path && a->powered && *a->address &&
			(!*name || streq(adapter_name(a), name)))
			return a;
	}
	return NULL;
}

const char *bluez_state(const struct bluez *b, const char *adapter)
{
	if (ready_adapter(b, adapter))
		return "ready";
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		const struct adapter *a = &b->adapters[i];
		if (*a->path && (!*adapter || streq(adapter_name(a), adapter)))
			return "adapter-off";
	}
	return !b->bus || b->lost ? "no-bus" : *b->owner ? "adapter-absent" : "no-bluetoothd";
}

bool bluez_ready(const struct bluez *b, const char *adapter)
{
	return ready_adapter(b, adapter);
}

const char *bluez_address(const struct bluez *b, const char *adapter, bool *ret_random)
{
	const struct adapter *a = ready_adapter(b, adapter);
	if (!a)
		return NULL;
	*ret_random = a->random;
	return a->address;
}

int bluez_watch(struct bluez *b, void (*changed)(void *arg), void *arg)
{
	for (size_t i = 0; i < BLUEZ_WATCHERS_MAX; i++) {
		if (b->watchers[i].changed)
			continue;
		b->watchers[i] = (struct watcher){changed, arg};
		return 0;
	}
	return -ENOSPC;
}

void bluez_unwatch(struct bluez *b, void *arg)
{
	for (size_t i = 0; i < BLUEZ_WATCHERS_MAX; i++)
		if (b->watchers[i].changed && b->watchers[i].arg == arg)
			b->watchers[i] = (struct watcher){0};
}
