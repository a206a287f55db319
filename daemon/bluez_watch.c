/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bluez_watch.h"

#include "bluez_bus.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <sys/utsname.h>

#define WATCH_PING_US UINT64_C(60000000)
#define WATCH_HUNG_US UINT64_C(10000000) /* it hangs: is it back? */
#define WATCH_ACCURACY_US 1000000

#define NEXT_HUNG "systemctl restart bluetooth"
#define NEXT_FAILING "unplug the adapter and plug it in again, or restart the gateway"

/* --- the ladder, pure */

static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261; /* FNV-1a */
	for (const char *p = text; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619;
	return h;
}

static enum bluez_rung ladder_failed(struct bluez_ladder *l, const char *device, bool stuck)
{
	uint32_t id = hash(device);
	if (!l->failures)
		l->device = id;
	l->several |= l->device != id;
	l->failures++;
	l->stuck |= stuck;
	bool bad = l->stuck || l->failures >= BLUEZ_FAILURES_ALONE ||
		   (l->several && l->failures >= BLUEZ_FAILURES_MANY);
	return bad ? BLUEZ_CYCLE : BLUEZ_RETRY;
}

static void ladder_begin_again(struct bluez_ladder *l)
{
	l->failures = 0;
	l->several = l->stuck = false;
}

enum bluez_rung bluez_ladder_step(
	struct bluez_ladder *l, const char *device, enum bluez_outcome outcome, int64_t now_boot_us)
{
	if (outcome == BLUEZ_UNLINKED) {
		l->links -= l->links > 0;
		return BLUEZ_RETRY;
	}
	if (outcome == BLUEZ_LINKED) {
		bool told = l->reported;
		ladder_begin_again(l);
		l->links++;
		l->reported = false;
		return told ? BLUEZ_WELL : BLUEZ_RETRY;
	}
	if (ladder_failed(l, device, outcome == BLUEZ_STUCK) == BLUEZ_RETRY)
		return BLUEZ_RETRY;
	if (!l->links && (!l->cycled || now_boot_us - l->cycled_us >= BLUEZ_CYCLE_US)) {
		ladder_begin_again(l);
		l->cycled = true;
		l->cycled_us = now_boot_us;
		return BLUEZ_CYCLE;
	}
	if (l->reported)
		return BLUEZ_RETRY;
	l->reported = true;
	return BLUEZ_TELL;
}

/* --- versions, pure */

uint16_t bluez_version(const char *modalias)
{
	unsigned version;
	char rest;
	return sscanf(modalias, "usb:v1D6Bp0246d%4x%c", &version, &rest) == 1 ? (uint16_t)version
									      : 0;
}

const char *bluez_version_fault(uint16_t version)
{
	/* fde32ff9c until 670f0d0f6. What vitalgate connects to itself it confirms itself. */
	if (version >= 0x0543 && version <= 0x0545)
		return "does not confirm indications that reach programs through it";
	/* bluez issue 686, fixed in 5.72. */
	if (version == 0x0547)
		return "forgets the pairing of classic instruments (rfcomm) whenever it starts";
	return NULL;
}

/* --- what it tells */

static void tell(struct bluez *b, const char *where, const char *what, const char *next)
{
	if (b->watchdog.told)
		b->watchdog.told(b->watchdog.arg, where, what, next);
}

void bluez_on_trouble(struct bluez *b, bluez_trouble_told told, void *arg)
{
	b->watchdog.told = told;
	b->watchdog.arg = arg;
}

static struct bluez_ladder *ladder_of(struct bluez *b, const char *adapter)
{
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		struct bluez_guarded *g = &b->watchdog.guarded[i];
		if (!*g->adapter)
			text_copy(g->adapter, sizeof(g->adapter), adapter, strlen(adapter));
		if (streq(g->adapter, adapter))
			return &g->ladder;
	}
	return NULL;
}

void bluez_report(
	struct bluez *b, const char *adapter, const char *device, enum bluez_outcome outcome)
{
	struct bluez_adapter *a = bluez_adapter_ready(b, adapter);
	const char *name = *adapter ? adapter : a ? bluez_adapter_name(a) : NULL;
	struct bluez_ladder *l = name ? ladder_of(b, name) : NULL;
	bool failed = outcome == BLUEZ_FAILED || outcome == BLUEZ_STUCK;
	if (!l || (failed && (!a || bluez_pair_active(b))))
		return; /* off or gone, which has a name already; or kept from it by a pairing */
	switch (bluez_ladder_step(l, device, outcome, (int64_t)bluez_now_us(b))) {
	case BLUEZ_CYCLE:
		log_warn("bluez",
			"adapter %s: connects fail over and over: switching it off and on", name);
		tell(b, name, "adapter-cycled", NULL);
		bluez_adapter_cycle(a);
		break;
	case BLUEZ_TELL:
		log_error("bluez", "adapter %s: connects still fail: %s", name, NEXT_FAILING);
		tell(b, name, "adapter-failing", NEXT_FAILING);
		break;
	case BLUEZ_WELL:
		log_note("bluez", "adapter %s: connects work again", name);
		tell(b, name, "well", NULL);
		break;
	case BLUEZ_RETRY:
		break;
	}
}

const char *bluez_trouble(const struct bluez *b, const char *adapter, const char **ret_next)
{
	*ret_next = NEXT_HUNG;
	if (b->watchdog.hung)
		return "bluetoothd-hung";
	*ret_next = NEXT_FAILING;
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++) {
		const struct bluez_guarded *g = &b->watchdog.guarded[i];
		if (g->ladder.reported && (!*adapter || streq(g->adapter, adapter)))
			return "adapter-failing";
	}
	*ret_next = NULL;
	return NULL;
}

void bluez_watchdog_unlinked(struct bluez *b, const char *adapter)
{
	struct bluez_ladder *l = ladder_of(b, adapter);
	if (l)
		l->links = 0;
}

/* --- bluetoothd itself */

static void set_hung(struct bluez *b, bool hung)
{
	b->watchdog.hung = hung;
	tell(b, "bluetoothd", hung ? "bluetoothd-hung" : "well", hung ? NEXT_HUNG : NULL);
	bluez_changed(b);
}

void bluez_watchdog_answered(struct bluez *b, bool yes)
{
	if (b->watchdog.hung == !yes)
		return;
	if (yes)
		log_note("bluez", "bluetoothd answers again");
	else
		log_error("bluez", "bluetoothd hangs: %s", NEXT_HUNG);
	set_hung(b, !yes);
}

static int on_pong(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez *b = arg;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	b->watchdog.ping = sd_bus_slot_unref(b->watchdog.ping);
	bluez_watchdog_answered(b, !e || sd_bus_error_get_errno(e) != ETIMEDOUT);
	bluez_arm(b->watchdog.timer, b->watchdog.hung ? WATCH_HUNG_US : WATCH_PING_US);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	struct bluez *b = arg;
	if (*b->owner && !b->watchdog.ping)
		sd_bus_call_method_async(b->bus, &b->watchdog.ping, b->owner, "/",
			"org.freedesktop.DBus.Peer", "Ping", on_pong, b, NULL);
	bluez_arm(b->watchdog.timer, WATCH_PING_US);
	return 0;
}

/* Another bluetoothd is another story. */
void bluez_watchdog_lost(struct bluez *b)
{
	b->watchdog.ping = sd_bus_slot_unref(b->watchdog.ping);
	if (b->watchdog.hung)
		set_hung(b, false);
}

void bluez_watchdog_version(struct bluez *b, const char *modalias)
{
	uint16_t version = bluez_version(modalias);
	const char *fault = bluez_version_fault(version);
	if (!version || version == b->watchdog.version)
		return;
	b->watchdog.version = version;
	unsigned major = version >> 8, minor = version & 0xff;
	if (fault)
		log_warn("bluez", "bluetoothd %u.%u %s: install another version", major, minor,
			fault);
	else
		log_info("bluez", "bluetoothd %u.%u", major, minor);
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

int bluez_watchdog_new(struct bluez *b)
{
	warn_of_kernel();
	return sd_event_add_time_relative(b->loop, &b->watchdog.timer, CLOCK_BOOTTIME,
		WATCH_PING_US, WATCH_ACCURACY_US, on_timer, b);
}

void bluez_watchdog_free(struct bluez *b)
{
	sd_event_source_disable_unref(b->watchdog.timer);
}
