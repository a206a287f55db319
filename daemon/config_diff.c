/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config_diff.h"

#include "config_keys.h"
#include "util.h"

#include <stdarg.h>

#define LINE_MAX_BYTES 640
#define AFTER_RESTART " (takes effect after a restart)"

struct teller {
	void (*tell)(void *arg, const char *line);
	void *arg;
	unsigned n;
};

static void __attribute__((format(printf, 2, 3))) tell(struct teller *t, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	t->tell(t->arg, line);
	t->n++;
}

/* "" = top of the file, "sinks[].", "devices[].": the keys of one such element that have a value. */
static bool belongs(const struct key *k, const char *prefix)
{
	return k->size && k->type != KEY_LIST && k->type != KEY_MAP &&
	       (*prefix ? !strncmp(k->path, prefix, strlen(prefix)) : !strchr(k->path, '['));
}

static bool same_options(const struct config_device *a, const struct config_device *b)
{
	bool same = a->n_options == b->n_options;
	for (unsigned i = 0; same && i < a->n_options; i++) {
		const char *other = config_option(b, a->options[i].name);
		same = other && streq(other, a->options[i].value);
	}
	return same;
}

bool config_same_device(const struct config_device *a, const struct config_device *b)
{
	char x[256], y[256];
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct key *k = &config_keys[i];
		if (belongs(k, "devices[].") &&
			!streq(key_text(k, a, x, sizeof(x)), key_text(k, b, y, sizeof(y))))
			return false;
	}
	return same_options(a, b);
}

/* One element, or the top with `name` NULL. */
static void compare(struct teller *t, const char *prefix, const char *name, const void *before,
	const void *after)
{
	char x[256], y[256], where[64] = "";
	if (name)
		snprintf(
			where, sizeof(where), "%.*s[%s].", (int)strcspn(prefix, "["), prefix, name);
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct key *k = &config_keys[i];
		if (!belongs(k, prefix))
			continue;
		key_text(k, before, x, sizeof(x));
		key_text(k, after, y, sizeof(y));
		if (!streq(x, y))
			tell(t, "%s%s: %s -> %s%s", where, k->path + strlen(prefix),
				*x ? x : "\"\"", *y ? y : "\"\"", k->fixed ? AFTER_RESTART : "");
	}
}

static const struct config_sink *sink_named(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_sinks; i++)
		if (streq(c->sinks[i].name, name))
			return &c->sinks[i];
	return NULL;
}

static void compare_sinks(struct teller *t, const struct config *before, const struct config *after)
{
	for (unsigned i = 0; i < before->n_sinks; i++) {
		const char *name = before->sinks[i].name;
		const struct config_sink *now = sink_named(after, name);
		if (now)
			compare(t, "sinks[].", name, &before->sinks[i], now);
		else
			tell(t, "sinks[%s]: removed" AFTER_RESTART, name);
	}
	for (unsigned i = 0; i < after->n_sinks; i++)
		if (!sink_named(before, after->sinks[i].name))
			tell(t, "sinks[%s]: added" AFTER_RESTART, after->sinks[i].name);
}

static void compare_stations(
	struct teller *t, const struct config *before, const struct config *after)
{
	for (unsigned i = 0; i < before->n_stations; i++) {
		const struct config_station *was = &before->stations[i];
		const struct config_station *now = config_station_named(after, was->id);
		if (now)
			compare(t, "stations[].", was->id, was, now);
		else
			tell(t, "stations[%s]: removed", was->id);
	}
	for (unsigned i = 0; i < after->n_stations; i++)
		if (!config_station_named(before, after->stations[i].id))
			tell(t, "stations[%s]: added", after->stations[i].id);
}

static void compare_devices(
	struct teller *t, const struct config *before, const struct config *after)
{
	for (unsigned i = 0; i < before->n_devices; i++) {
		const struct config_device *was = &before->devices[i];
		const struct config_device *now = config_device_named(after, was->id);
		if (!now) {
			tell(t, "devices[%s]: removed", was->id);
			continue;
		}
		compare(t, "devices[].", was->id, was, now);
		if (!same_options(was, now))
			tell(t, "devices[%s].options: changed", was->id);
	}
	for (unsigned i = 0; i < after->n_devices; i++)
		if (!config_device_named(before, after->devices[i].id))
			tell(t, "devices[%s]: added", after->devices[i].id);
}

unsigned config_diff(const struct config *before, const struct config *after,
	void (*call)(void *arg, const char *line), void *arg)
{
	struct teller t = {call, arg, 0};
	compare(&t, "", NULL, before, after);
	compare_sinks(&t, before, after);
	compare_stations(&t, before, after);
	compare_devices(&t, before, after);
	return t.n;
}

void config_keep_fixed(const struct config *before, struct config *after)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct key *k = &config_keys[i];
		if (k->fixed && belongs(k, ""))
			memcpy((char *)after + k->offset, (const char *)before + k->offset,
				k->size);
	}
	memcpy(after->sinks, before->sinks, sizeof(after->sinks));
	after->n_sinks = before->n_sinks;
}
