/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "devices.h"

#include "device.h"
#include "enrol_judge.h"
#include "gateway.h"
#include "log.h"
#include "policy.h"

#include <errno.h>

#define FLUSH_US (5 * CLOCK_SECOND_US) /* counters of noise reach the store this often */

struct devices {
	struct gateway *gateway;
	sd_event_source *flush;
	unsigned n;
	struct device **all;
};

static int on_flush(sd_event_source *source, uint64_t usec, void *arg)
{
	struct devices *all = arg;
	struct vg_now now;
	clock_now(&now);
	for (unsigned i = 0; i < all->n; i++)
		device_flush(all->all[i], &now);
	sd_event_source_set_time(source, usec + FLUSH_US);
	return 0;
}

int devices_new(struct gateway *g, struct devices **ret)
{
	struct devices *all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->gateway = g;
	all->all = calloc(CONFIG_DEVICES_MAX, sizeof(*all->all));
	int rc = all->all ? 0 : -ENOMEM;
	for (unsigned i = 0; rc >= 0 && i < g->config->n_devices; i++) {
		struct device *d = device_new(g, g->policy, &g->config->devices[i]);
		if (d)
			all->all[all->n++] = d;
		rc = d ? device_load(d, store_db(g->store)) : -ENOMEM;
	}
	if (rc >= 0)
		rc = sd_event_add_time_relative(g->loop, &all->flush, CLOCK_BOOTTIME, FLUSH_US,
			CLOCK_SECOND_US / 10, on_flush, all);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(all->flush, SD_EVENT_ON);
	if (rc < 0) {
		devices_free(all);
		return rc;
	}
	*ret = all;
	return 0;
}

int devices_start(struct devices *all)
{
	for (unsigned i = 0; i < all->n; i++) {
		int rc = device_start(all->all[i]);
		if (rc < 0)
			log_error(device_config(all->all[i])->id, "not started: %s", strerror(-rc));
	}
	return 0;
}

/* a new policy */

void devices_follow(struct devices *all, struct policy *p)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < all->n; i++) {
		struct device *d = all->all[i];
		if (device_unchanged(d, p, config_device_named(&p->config, device_config(d)->id)))
			all->all[kept++] = d;
		else
			device_retire(d);
	}
	all->n = kept;
	for (unsigned i = 0; i < p->config.n_devices; i++) {
		const struct config_device *c = &p->config.devices[i];
		bool runs = false;
		for (unsigned k = 0; k < kept; k++)
			runs |= streq(device_config(all->all[k])->id, c->id);
		struct device *d = runs ? NULL : device_new(all->gateway, p, c);
		if (d && device_begin(d)) {
			all->all[all->n++] = d;
		} else if (!runs) {
			log_error(c->id, "not started: out of memory");
			device_free(d);
		}
	}
}

void devices_stop(struct devices *all)
{
	if (all)
		all->flush = sd_event_source_disable_unref(all->flush);
	for (unsigned i = 0; all && i < all->n; i++)
		device_stop(all->all[i]);
}

void devices_free(struct devices *all)
{
	devices_stop(all);
	for (unsigned i = 0; all && i < all->n; i++)
		device_free(all->all[i]);
	if (all)
		free(all->all);
	free(all);
}

static struct device *find(const struct devices *all, const char *id)
{
	for (unsigned i = 0; i < all->n; i++)
		if (streq(device_config(all->all[i])->id, id))
			return all->all[i];
	return NULL;
}

int devices_capture_start(struct devices *all, const char *id, unsigned seconds)
{
	struct device *d = find(all, id);
	return d ? device_capture_start(d, seconds) : -ENOENT;
}

struct capture *devices_capture(struct devices *all, const char *id)
{
	struct device *d = find(all, id);
	return d ? device_capture(d) : NULL;
}

bool devices_facts(const struct devices *all, unsigned i, struct device_facts *ret)
{
	if (!all || i >= all->n)
		return false;
	*ret = device_facts(all->all[i]);
	return true;
}

bool devices_namesake(const struct devices *all, const char *id, const char *uid)
{
	struct device_facts f;
	for (unsigned i = 0; enrol_is_serial(uid) && devices_facts(all, i, &f); i++)
		if (streq(*f.says ? f.says : f.uid, uid) && !streq(f.config->id, id))
			return true;
	return false;
}

void devices_json(const struct devices *all, struct json *j)
{
	json_object_begin(j, "live");
	for (unsigned i = 0; i < all->n; i++)
		device_json(all->all[i], j);
	json_object_end(j);
}
