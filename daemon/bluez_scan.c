/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Discovery: who wishes to hear, and when each adapter listens for it (SetDiscoveryFilter,
 * StartDiscovery, StopDiscovery of BlueZ doc/adapter-api.txt).
 */
#include "bluez_scan.h"

#include "bluez_bus.h"
#include "log.h"
#include "util.h"

#include <errno.h>

#define SCAN_WISHES_MAX 258
#define SCAN_ON_US UINT64_C(10000000) /* BLUEZ_SCAN_WINDOWS */
#define SCAN_PERIOD_US UINT64_C(30000000)
#define SCAN_AGAIN_US UINT64_C(5000000) /* bluetoothd refused */
#define SCAN_ACCURACY_US 50000

struct wish {
	bool taken;
	char adapter[8]; /* "" = any */
	enum bluez_scan_duty duty;
	void (*heard)(void *arg, const struct bluez_advert *a);
	void *arg;
};

struct bluez_scan {
	struct bluez *bluez;
	sd_event_source *timer;
	struct wish wishes[SCAN_WISHES_MAX];
	uint64_t windows_us; /* when the first window began; 0 = nobody wishes any */
};

static bool concerns(const struct wish *w, const char *adapter)
{
	return w->taken && (!*w->adapter || streq(w->adapter, adapter));
}

void bluez_scan_heard(struct bluez *b, const struct bluez_advert *a)
{
	for (size_t i = 0; i < SCAN_WISHES_MAX; i++) {
		const struct wish *w = &b->scan->wishes[i];
		if (concerns(w, a->from->adapter) && w->heard)
			w->heard(w->arg, a);
	}
}

/* What is wished of one adapter now. */
struct wanted {
	bool on, duplicates;
	uint64_t until_us; /* when that may change by itself */
};

static struct wanted wanted_of(struct bluez_scan *s, const struct bluez_adapter *a, uint64_t now_us)
{
	struct wanted x = {.until_us = UINT64_MAX};
	uint64_t into_us = (now_us - s->windows_us) % SCAN_PERIOD_US;
	bool window = into_us < SCAN_ON_US;
	if (bluez_pair_active(s->bluez))
		return x;
	for (size_t i = 0; i < SCAN_WISHES_MAX; i++) {
		const struct wish *w = &s->wishes[i];
		if (!concerns(w, bluez_adapter_name(a)))
			continue;
		x.on |= w->duty == BLUEZ_SCAN_ALL_THE_TIME || window;
		x.duplicates |= w->heard != NULL;
		if (w->duty == BLUEZ_SCAN_WINDOWS)
			x.until_us = now_us + (window ? SCAN_ON_US : SCAN_PERIOD_US) - into_us;
	}
	return x;
}

static bool is_error(sd_bus_message *m, const char *name)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);
	return e && streq(e->name, name);
}

static int on_started(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_adapter *a = arg;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	a->discovery.call = sd_bus_slot_unref(a->discovery.call);
	/* In progress: we have a session already. */
	a->discovery.on = !e || is_error(m, "org.bluez.Error.InProgress");
	if (!a->discovery.on) {
		a->discovery.again_us = bluez_now_us(a->bluez) + SCAN_AGAIN_US;
		if (!a->discovery.said_failed)
			log_warn("bluez", "adapter %s does not discover: %s: trying again",
				bluez_adapter_name(a), e->message ? e->message : e->name);
	}
	a->discovery.said_failed = !a->discovery.on;
	bluez_scan_settle(a->bluez);
	bluez_pair_proceed(a->bluez);
	return 0;
}

/* However it ended, there is no session of ours any more. */
static int on_stopped(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)m, (void)ret_error;
	struct bluez_adapter *a = arg;
	a->discovery.call = sd_bus_slot_unref(a->discovery.call);
	a->discovery.on = false;
	bluez_scan_settle(a->bluez);
	bluez_pair_proceed(a->bluez);
	return 0;
}

/* Other programs may filter otherwise, and then all hear what any of them asked for. Refused or
 * not, what follows is asked for in order. */
static int set_filter(struct bluez_adapter *a, bool duplicates)
{
	struct bluez *b = a->bluez;
	a->discovery.duplicates = duplicates;
	return sd_bus_call_method_async(b->bus, NULL, b->owner, a->path, BLUEZ_ADAPTER,
		"SetDiscoveryFilter", NULL, NULL, "a{sv}", 2, "Transport", "s", "le",
		"DuplicateData", "b", duplicates);
}

static void start(struct bluez_adapter *a, bool duplicates)
{
	struct bluez *b = a->bluez;
	int r = set_filter(a, duplicates);
	if (r >= 0)
		r = sd_bus_call_method_async(b->bus, &a->discovery.call, b->owner, a->path,
			BLUEZ_ADAPTER, "StartDiscovery", on_started, a, NULL);
	if (r < 0)
		a->discovery.again_us = bluez_now_us(b) + SCAN_AGAIN_US;
}

static void stop(struct bluez_adapter *a)
{
	struct bluez *b = a->bluez;
	int r = sd_bus_call_method_async(b->bus, &a->discovery.call, b->owner, a->path,
		BLUEZ_ADAPTER, "StopDiscovery", on_stopped, a, NULL);
	if (r < 0)
		a->discovery.on = false;
}

/* Returns when this adapter is to be looked at again. */
static uint64_t settle_adapter(struct bluez_adapter *a, uint64_t now_us)
{
	struct wanted x = wanted_of(a->bluez->scan, a, now_us);
	if (!a->powered) { /* bluetoothd ends all sessions itself */
		a->discovery.on = false;
		a->discovery.again_us = 0;
		return UINT64_MAX;
	}
	if (a->discovery.call)
		return x.until_us;
	if (a->discovery.on && !x.on)
		stop(a);
	else if (a->discovery.on && x.duplicates != a->discovery.duplicates)
		set_filter(a, x.duplicates);
	else if (!a->discovery.on && x.on && now_us >= a->discovery.again_us)
		start(a, x.duplicates);
	bool waits = x.on && !a->discovery.on && !a->discovery.call;
	return waits ? MIN(x.until_us, a->discovery.again_us) : x.until_us;
}

void bluez_scan_settle(struct bluez *b)
{
	uint64_t now_us = bluez_now_us(b), next_us = UINT64_MAX;
	for (struct bluez_adapter *a = b->adapters; a < b->adapters + BLUEZ_ADAPTERS_MAX; a++)
		if (*a->path)
			next_us = MIN(next_us, settle_adapter(a, now_us));
	if (next_us != UINT64_MAX)
		bluez_arm(b->scan->timer, next_us > now_us ? next_us - now_us : 0);
}

bool bluez_scan_quiet(const struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		if (*b->adapters[i].path &&
			(b->adapters[i].discovery.on || b->adapters[i].discovery.call))
			return false;
	return true;
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	bluez_scan_settle(arg);
	return 0;
}

int bluez_scan_new(struct bluez *b)
{
	b->scan = calloc(1, sizeof(*b->scan));
	if (!b->scan)
		return -ENOMEM;
	b->scan->bluez = b;
	int r = sd_event_add_time_relative(
		b->loop, &b->scan->timer, CLOCK_BOOTTIME, 0, SCAN_ACCURACY_US, on_timer, b);
	return r < 0 ? r : sd_event_source_set_enabled(b->scan->timer, SD_EVENT_OFF);
}

void bluez_scan_free(struct bluez *b)
{
	if (b->scan)
		sd_event_source_disable_unref(b->scan->timer);
	free(TAKE(b->scan));
}

int bluez_scan_begin(struct bluez *b, const char *adapter, enum bluez_scan_duty duty,
	void (*heard)(void *arg, const struct bluez_advert *a), void *arg)
{
	struct bluez_scan *s = b->scan;
	bool windows = false;
	struct wish *place = NULL;
	for (struct wish *w = s->wishes; w < s->wishes + SCAN_WISHES_MAX; w++) {
		if (!w->taken && !place)
			place = w;
		windows |= w->taken && w->duty == BLUEZ_SCAN_WINDOWS;
	}
	if (!place)
		return -ENOSPC;
	if (duty == BLUEZ_SCAN_WINDOWS && !windows)
		s->windows_us = bluez_now_us(b);
	*place = (struct wish){.taken = true, .duty = duty, .heard = heard, .arg = arg};
	text_copy(place->adapter, sizeof(place->adapter), adapter, strlen(adapter));
	bluez_scan_settle(b);
	return 0;
}

void bluez_scan_end(struct bluez *b, void *arg)
{
	for (size_t i = 0; i < SCAN_WISHES_MAX; i++)
		if (b->scan->wishes[i].taken && b->scan->wishes[i].arg == arg)
			b->scan->wishes[i] = (struct wish){0};
	bluez_scan_settle(b);
}
