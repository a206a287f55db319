/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Adapters: which there are, and that they are on (org.bluez.Adapter1, BlueZ doc/adapter-
 * api.txt). */
#include "bluez_bus.h"
#include "bluez_scan.h"
#include "log.h"
#include "util.h"

#include <errno.h>

#define BLUEZ_POWER_US 10000000 /* switching on failed: again */

const char *bluez_adapter_name(const struct bluez_adapter *a)
{
	return strrchr(a->path, '/') + 1;
}

static struct bluez_adapter *adapter_find(struct bluez *b, const char *path)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		if (*b->adapters[i].path && streq(b->adapters[i].path, path))
			return &b->adapters[i];
	return NULL;
}

/* The adapter of that path, made when it is new; NULL: no place for it. */
static struct bluez_adapter *adapter_take(struct bluez *b, const char *path)
{
	struct bluez_adapter *a = adapter_find(b, path);
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

static void adapter_forget(struct bluez_adapter *a)
{
	if (*a->path)
		bluez_watchdog_unlinked(a->bluez, bluez_adapter_name(a));
	sd_bus_slot_unref(a->call);
	sd_bus_slot_unref(a->discovery.call);
	*a = (struct bluez_adapter){0};
}

void bluez_adapters_forget(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		adapter_forget(&b->adapters[i]);
}

bool bluez_adapter_gone(struct bluez *b, const char *path)
{
	struct bluez_adapter *a = adapter_find(b, path);
	if (!a)
		return false;
	log_note("bluez", "adapter %s is gone", bluez_adapter_name(a));
	adapter_forget(a);
	return true;
}

static int on_switched(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_adapter *a = arg;
	a->call = sd_bus_slot_unref(a->call);
	const sd_bus_error *e = sd_bus_message_get_error(m);
	a->failed = e;
	if (!e)
		return 0; /* Powered comes by a signal */
	if (!a->said_failed)
		log_warn("bluez", "adapter %s cannot be switched on: %s: %s", bluez_adapter_name(a),
			e->name,
			strstr(e->name, "Blocked") ? "run `rfkill unblock bluetooth`"
						   : "trying again");
	a->said_failed = true;
	bluez_again(a->bluez, BLUEZ_POWER_US);
	return 0;
}

void bluez_adapters_switch_on(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		struct bluez_adapter *a = &b->adapters[i];
		if (!*a->path || a->powered || a->asked || a->call)
			continue;
		if (!a->said_failed)
			log_note("bluez", "adapter %s is off: switching it on",
				bluez_adapter_name(a));
		int r = sd_bus_call_method_async(b->bus, &a->call, b->owner, a->path,
			BLUEZ_PROPERTIES, "Set", on_switched, a, "ssv", BLUEZ_ADAPTER, "Powered",
			"b", 1);
		a->asked = true;
		a->failed = r < 0;
		if (r < 0)
			bluez_again(b, BLUEZ_POWER_US);
	}
}

void bluez_adapters_switch_on_again(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		if (b->adapters[i].failed)
			b->adapters[i].asked = b->adapters[i].failed = false;
	bluez_adapters_switch_on(b);
}

static int on_cycled(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_adapter *a = arg;
	a->call = sd_bus_slot_unref(a->call);
	const sd_bus_error *e = sd_bus_message_get_error(m);
	if (e)
		log_warn("bluez", "adapter %s cannot be switched off: %s", bluez_adapter_name(a),
			e->name);
	else
		a->asked = a->failed = false; /* like one that was found off */
	bluez_adapters_switch_on(a->bluez);
	return 0;
}

void bluez_adapter_cycle(struct bluez_adapter *a)
{
	struct bluez *b = a->bluez;
	sd_bus_slot_unref(a->call); /* it is on, only the answer to that is not there yet */
	sd_bus_call_method_async(b->bus, &a->call, b->owner, a->path, BLUEZ_PROPERTIES, "Set",
		on_cycled, a, "ssv", BLUEZ_ADAPTER, "Powered", "b", 0);
}

static int read_property(void *arg, const char *name, sd_bus_message *m)
{
	struct bluez_adapter *a = arg;
	const char *text = NULL;
	int on = 0, r;
	if (streq(name, "Powered")) {
		r = sd_bus_message_read(m, "v", "b", &on);
		if (r >= 0)
			a->powered = on;
		return r;
	}
	if (!streq(name, "Address") && !streq(name, "AddressType") && !streq(name, "Modalias"))
		return sd_bus_message_skip(m, "v");
	r = sd_bus_message_read(m, "v", "s", &text);
	if (r < 0)
		return r;
	if (streq(name, "AddressType"))
		a->random = streq(text, "random");
	else if (streq(name, "Modalias"))
		bluez_watchdog_version(a->bluez, text);
	else if (strlen(text) == sizeof(a->address) - 1)
		text_copy(a->address, sizeof(a->address), text, strlen(text));
	return 0;
}

int bluez_adapter_read(struct bluez *b, const char *path, sd_bus_message *m)
{
	struct bluez_adapter *a = adapter_take(b, path);
	if (!a)
		return sd_bus_message_skip(m, "a{sv}");
	bool was = a->powered;
	int r = bluez_read_dict(m, read_property, a);
	if (was && !a->powered)
		bluez_watchdog_unlinked(b, bluez_adapter_name(a));
	if (a->powered != was)
		log_info("bluez", "adapter %s (%s) is %s", bluez_adapter_name(a), a->address,
			a->powered ? "on" : "off");
	return r;
}

struct bluez_adapter *bluez_adapter_ready(const struct bluez *b, const char *name)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		const struct bluez_adapter *a = &b->adapters[i];
		if (*a->path && a->powered && *a->address &&
			(!*name || streq(bluez_adapter_name(a), name)))
			return (struct bluez_adapter *)a;
	}
	return NULL;
}

const char *bluez_state(const struct bluez *b, const char *adapter)
{
	if (bluez_adapter_ready(b, adapter))
		return "ready";
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		const struct bluez_adapter *a = &b->adapters[i];
		if (*a->path && (!*adapter || streq(bluez_adapter_name(a), adapter)))
			return "adapter-off";
	}
	if (!b->bus || b->lost)
		return "no-bus";
	if (*b->owner)
		return "adapter-absent";
	return b->watchdog.hung ? "bluetoothd-hung" : "no-bluetoothd";
}

bool bluez_ready(const struct bluez *b, const char *adapter)
{
	return bluez_adapter_ready(b, adapter);
}

const char *bluez_address(const struct bluez *b, const char *adapter, bool *ret_random)
{
	const struct bluez_adapter *a = bluez_adapter_ready(b, adapter);
	if (!a)
		return NULL;
	*ret_random = a->random;
	return a->address;
}
