/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reload.h"

#include "config_diff.h"
#include "devices.h"
#include "digest.h"
#include "lastgood.h"
#include "log.h"
#include "news.h"
#include "notify.h"
#include "watch.h"

#include <errno.h>
#include <sys/stat.h>

/* who uses a policy */

struct last_look {
	struct job job;
	struct gateway *gateway;
	struct policy *policy;
};

/* Nobody looks into it any more. Its tables may be another one's. */
static void release(struct gateway *g, struct policy *p)
{
	struct policy *base = p->base;
	policy_free(p);
	policy_leave(g, base);
}

static void looked(struct job *job, int result)
{
	struct last_look *l = (struct last_look *)job;
	(void)result;
	release(l->gateway, l->policy);
	free(job);
}

struct policy *policy_join(struct policy *p)
{
	p->users++;
	return p;
}

void policy_leave(struct gateway *g, struct policy *p)
{
	if (!p || --p->users)
		return;
	struct last_look *l = g->store ? calloc(1, sizeof(*l)) : NULL;
	if (!l) {
		if (!g->store)
			release(g, p);
		return;
	}
	*l = (struct last_look){.job = {.run = store_nothing, .done = looked, .reads_only = true},
		.gateway = g,
		.policy = p};
	store_submit(g->store, &l->job);
}

static void follow(struct gateway *g, struct policy *p)
{
	struct policy *before = g->policy;
	g->policy = policy_join(p);
	g->config = &p->config;
	g->codes = p->codes;
	g->rules = p->rules;
	g->forms = p->forms;
	g->numbers = p->numbers;
	g->ws = p->ws;
	policy_leave(g, before);
}

static void tell_hint(const struct policy *p)
{
	const char *hint = config_hint(&p->config, false);
	if (hint)
		log_warn("config", "%s", hint);
}

/* at start */

int reload_first(struct gateway *g, const char *path, const char *lastgood)
{
	char error[CONFIG_ERROR_MAX];
	struct policy *p = policy_load(path, g->config_fault, sizeof(g->config_fault));
	if (p) {
		g->config_fault[0] = 0;
		follow(g, p);
		tell_hint(p);
		return 0;
	}
	log_error("config", "%s", g->config_fault);
	p = policy_load_copy(lastgood, error, sizeof(error));
	if (!p) {
		log_error("config", "and there is no last good one: %s", error);
		return -EINVAL;
	}
	log_error("config",
		"RUNNING WITH THE LAST GOOD CONFIGURATION of %s; mend the file, try it with "
		"`vitalgate check-config`, then `systemctl reload vitalgated`",
		lastgood);
	follow(g, p);
	tell_hint(p);
	return 0;
}

/* Copying waits for the disk, file by file: that is nothing for the loop. */
struct keeping {
	struct job job;
	const char *path, *lastgood;
	char tables[256], profiles[256];
};

static int run_keep(struct job *job, struct db *db)
{
	struct keeping *k = (struct keeping *)job;
	(void)db;
	return lastgood_save(k->lastgood, k->path, k->tables, k->profiles);
}

static void kept(struct job *job, int result)
{
	if (result < 0)
		log_warn("config", "%s: no copy of the good configuration: %s",
			((struct keeping *)job)->lastgood, strerror(-result));
	free(job);
}

/* `path` and `lastgood` are borrowed for good. */
static void keep(struct gateway *g, const struct policy *p, const char *path, const char *lastgood)
{
	struct keeping *k = calloc(1, sizeof(*k));
	if (!k)
		return;
	*k = (struct keeping){.job = {.run = run_keep, .done = kept, .reads_only = true},
		.path = path,
		.lastgood = lastgood};
	memcpy(k->tables, p->config.tables, sizeof(k->tables));
	memcpy(k->profiles, p->config.profiles, sizeof(k->profiles));
	store_submit(g->store, &k->job);
}

/* The uplink may not look into our store: it finds what is in force beside the sockets. */
static void hand_out(struct gateway *g, const char *path, const char *lastgood)
{
	char good[512], to[512];
	snprintf(good, sizeof(good), "%s/vitalgate.yaml", lastgood);
	snprintf(to, sizeof(to), "%s/vitalgate.yaml", g->config->runtime);
	unlink(to);
	int rc = lastgood_copy(g->config_fault[0] ? good : path, to);
	if (rc >= 0 && chmod(to, 0640) < 0) /* its group is given by the unit */
		rc = -errno;
	if (rc < 0)
		log_warn("config", "%s: %s", to, strerror(-rc));
}

void reload_settle(struct gateway *g, const char *path, const char *lastgood)
{
	if (g->config_fault[0])
		news_tell(g, "config_refused", g->config_fault);
	else
		keep(g, g->policy, path, lastgood);
	hand_out(g, path, lastgood);
}

/* while running */

static void tell_line(void *arg, const char *line)
{
	(void)arg;
	log_note("config", "%s", line);
}

static unsigned tell_tables(const struct policy *before, const struct policy *after)
{
	const struct {
		const char *name, *before, *after;
	} tables[] = {{"codes", codes_version(before->codes), codes_version(after->codes)},
		{"alert rules", alert_rules_version(before->rules),
			alert_rules_version(after->rules)}};
	unsigned n = 0;
	for (size_t i = 0; i < ELEMENTS(tables); i++)
		if (!streq(tables[i].before, tables[i].after)) {
			log_note("config", "%s: version %s -> %s", tables[i].name, tables[i].before,
				tables[i].after);
			n++;
		}
	return n;
}

static bool names(const struct config *c, const char *id)
{
	for (unsigned i = 0; i < c->n_devices; i++)
		if (streq(c->devices[i].id, id) && !c->devices[i].enrolled)
			return true;
	return false;
}

/* What is being enrolled stands in no file. It gives way to vitalgate.yaml when that takes its id or address. */
static struct policy *with_trial(struct gateway *g, struct policy *p)
{
	const struct config *c = &g->policy->config;
	char error[CONFIG_ERROR_MAX] = "its id is taken";
	const struct config_device *d = NULL;
	for (unsigned i = 0; i < c->n_devices && !d; i++)
		d = c->devices[i].trial ? &c->devices[i] : NULL;
	if (!d)
		return p;
	struct policy *both =
		names(&p->config, d->id) ? NULL : policy_change(p, d->id, d, error, sizeof(error));
	if (both)
		policy_join(p);
	else
		log_warn("config", "%s is not being enrolled any more: %s", d->id, error);
	return both ? both : p;
}

int reload_again(struct gateway *g, const char *path, const char *lastgood)
{
	char error[CONFIG_ERROR_MAX];
	struct policy *p = policy_load(path, error, sizeof(error));
	if (!p) {
		log_error("config", "%s; nothing was changed", error);
		memcpy(g->config_fault, error, sizeof(g->config_fault));
		news_tell(g, "config_refused", error);
		return -EINVAL;
	}
	keep(g, p, path, lastgood);
	p = with_trial(g, p);
	unsigned n = config_diff(&g->policy->config, &p->config, tell_line, NULL);
	n += tell_tables(g->policy, p);
	config_keep_fixed(&g->policy->config, &p->config);
	if (g->config_fault[0])
		news_tell(g, "config_mended", path);
	g->config_fault[0] = 0;
	follow(g, p);
	devices_follow(g->devices, p);
	watch_follow(g->watch);
	notify_follow(g->notify);
	digest_follow(g->digest);
	log_note("config", "%s was read again; differences: %u", path, n);
	tell_hint(p);
	return 0;
}

int reload_device(struct gateway *g, const char *id, const struct config_device *d,
	const char *author, char *error, size_t size)
{
	struct policy *p = policy_change(g->policy, id, d, error, size);
	if (!p)
		return -EINVAL;
	policy_join(p->base);
	log_note("config", "%s, by %s:", id, author);
	config_diff(&g->policy->config, &p->config, tell_line, NULL);
	follow(g, p);
	devices_follow(g->devices, p);
	watch_follow(g->watch);
	notify_follow(g->notify);
	return 0;
}
