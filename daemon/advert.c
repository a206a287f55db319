/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One instrument that is never connected: it says what it measured in its advertisements, to
 * everybody and unauthenticated. It is there when it is heard, and gone after a minute of silence.
 *
 * What it has to say it says ten times a second for as long as somebody stands on it, so what was
 * just heard is not told again. Anybody can send in its name: more than a few different values a
 * second are not told either.
 */
#include "advert.h"

#include "bluez.h"
#include "bluez_scan.h"
#include "log.h"
#include "util.h"

#include <errno.h>

#define ADVERT_CHANNELS_MAX 8
#define ADVERT_SAME_US INT64_C(5000000) /* since it was heard last: said again */
#define ADVERT_SILENCE_US INT64_C(60000000)
#define ADVERT_REST_US INT64_C(5000000) /* after close() */
#define ADVERT_VALUES_A_SECOND 10
#define ADVERT_ACCURACY_US 100000
#define ADVERT_LOG_BURST 1 /* lines a minute */

struct advert {
	struct transport base;
	sd_event *loop;
	struct bluez *bluez;
	const struct config_device *device;
	const struct vg_driver *driver;
	sd_event_source *timer; /* ends the silence */
	bool up;
	int64_t heard_us, rested_us; /* boot time: heard last; deaf until */
	int64_t second_us;	     /* when this second began ... */
	unsigned values;	     /* ... and what was told in it */
	struct {
		int64_t heard_us; /* 0 = never */
		size_t len;
		uint8_t bytes[BLUEZ_DATA_MAX];
	} last[ADVERT_CHANNELS_MAX];
	struct log_limit said_many;
};

static int64_t now_us(const struct advert *t)
{
	uint64_t now = 0;
	sd_event_now(t->loop, CLOCK_BOOTTIME, &now);
	return (int64_t)now;
}

static void wait_for_silence(struct advert *t)
{
	int r = sd_event_source_set_time_relative(t->timer, ADVERT_SILENCE_US);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error(t->device->id, "timer: %s", strerror(-r));
}

static void go_down(struct advert *t, const char *why)
{
	if (!t->up)
		return;
	t->up = false;
	memset(t->last, 0, sizeof(t->last));
	sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
	t->base.events.down(t->base.events.arg, why);
}

static int on_silence(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	go_down(arg, "it is silent");
	return 0;
}

/* -1: the driver does not ask for it. */
static int channel_of(const struct vg_driver *driver, const struct bluez_advert *a)
{
	for (size_t i = 0; i < driver->n_channels; i++) {
		const struct vg_channel *c = &driver->channels[i];
		if (c->uuid16 ? c->uuid16 == a->uuid16 : c->company && c->company == a->company)
			return (int)i;
	}
	return -1;
}

/* Said already, and again and again since. */
static bool is_repeated(struct advert *t, int channel, const struct bluez_advert *a)
{
	bool same = t->last[channel].heard_us &&
		    t->heard_us - t->last[channel].heard_us < ADVERT_SAME_US &&
		    t->last[channel].len == a->len &&
		    memcmp(t->last[channel].bytes, a->bytes, a->len) == 0;
	if (same)
		t->last[channel].heard_us = t->heard_us;
	return same;
}

static void remember(struct advert *t, int channel, const struct bluez_advert *a)
{
	t->last[channel].heard_us = t->heard_us;
	t->last[channel].len = a->len;
	memcpy(t->last[channel].bytes, a->bytes, a->len);
}

static bool is_too_much(struct advert *t)
{
	unsigned held_back;
	if (t->heard_us - t->second_us >= 1000000) {
		t->second_us = t->heard_us;
		t->values = 0;
	}
	if (t->values++ < ADVERT_VALUES_A_SECOND)
		return false;
	if (log_allowed(&t->said_many, ADVERT_LOG_BURST, &held_back))
		log_warn(t->device->id,
			"advertises more than %d values a second: the rest is not heard",
			ADVERT_VALUES_A_SECOND);
	return true;
}

static void on_heard(void *arg, const struct bluez_advert *a)
{
	struct advert *t = arg;
	if (!streq(a->from->address, t->device->address))
		return;
	int channel = channel_of(t->driver, a);
	int64_t at_us = now_us(t);
	if (channel < 0 || at_us < t->rested_us)
		return;
	t->heard_us = at_us;
	wait_for_silence(t);
	if (is_repeated(t, channel, a) || is_too_much(t))
		return;
	remember(t, channel, a);
	if (!t->up) {
		char uid[TRANSPORT_UID_MAX + 1];
		snprintf(uid, sizeof(uid), "addr:%s", a->from->address);
		t->up = true;
		t->base.events.up(t->base.events.arg, uid);
	}
	if (t->up) /* the owner may have closed on hearing that */
		t->base.events.value(t->base.events.arg, channel, a->bytes, a->len, false);
}

static int advert_send(struct transport *base, unsigned channel, const void *bytes, size_t len)
{
	(void)channel, (void)bytes, (void)len;
	return ((struct advert *)base)->up ? -ENOENT : -ENOTCONN;
}

static void advert_confirm(struct transport *base)
{
	(void)base; /* nothing is ever owed */
}

static void advert_close(struct transport *base, const char *why)
{
	struct advert *t = (struct advert *)base;
	t->rested_us = now_us(t) + ADVERT_REST_US;
	go_down(t, why);
}

static void advert_free(struct transport *base)
{
	struct advert *t = (struct advert *)base;
	bluez_scan_end(t->bluez, t);
	sd_event_source_disable_unref(t->timer);
	sd_event_unref(t->loop);
	free(t);
}

static const char *advert_state(const struct transport *base)
{
	const struct advert *t = (const struct advert *)base;
	if (t->up)
		return "connected";
	return bluez_ready(t->bluez, t->device->adapter)
		       ? "waiting"
		       : bluez_state(t->bluez, t->device->adapter);
}

static const struct transport_ops advert_ops = {.send = advert_send,
	.confirm = advert_confirm,
	.close = advert_close,
	.free = advert_free,
	.state = advert_state};

int advert_new(sd_event *loop, struct bluez *bluez, const struct config_device *device,
	const struct vg_driver *driver, const struct transport_events *events,
	struct transport **ret)
{
	if (!bluez) {
		log_error(device->id, "address \"%s\": cannot be simulated", device->address);
		return -EINVAL;
	}
	if (driver->n_channels > ADVERT_CHANNELS_MAX) {
		log_error(device->id, "driver %s has too many channels", driver->name);
		return -E2BIG;
	}
	struct advert *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->base.ops = &advert_ops;
	t->base.events = *events;
	t->loop = sd_event_ref(loop);
	t->bluez = bluez;
	t->device = device;
	t->driver = driver;
	int r = sd_event_add_time_relative(
		loop, &t->timer, CLOCK_BOOTTIME, 0, ADVERT_ACCURACY_US, on_silence, t);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = bluez_scan_begin(bluez, device->adapter, BLUEZ_SCAN_WINDOWS, on_heard, t);
	if (r < 0) {
		advert_free(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}
