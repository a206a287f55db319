/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gateway of a scenario, on a directory that goes with it. */
#include "scenario.h"

#include "intake.h"
#include "log.h"
#include "reload.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

#define COMMIT_EVERY 500

static const char *text_of(const json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : fallback;
}

/* Instruments that stand somewhere, or name patients. The driver is of no account: nothing is ever decoded. */
static void write_devices(FILE *f, const json_t *devices)
{
	const json_t *d;
	size_t i;
	bool any = false;
	json_array_foreach(devices, i, d)
	{
		const char *id = text_of(d, "id", "?");
		if (!json_object_get(d, "station") && !json_object_get(d, "patient_id"))
			continue;
		fprintf(f,
			"%s  - {id: %s, driver: lis01, transport: serial, address: /dev/%s, "
			"station: \"%s\", patient_id: %s}\n",
			any ? "" : "devices:\n", id, id, text_of(d, "station", ""),
			text_of(d, "patient_id", "ignore"));
		any = true;
	}
}

/* The code tables of the tree, with another file of rules beside them. */
static void link_tables(const char *from, const char *to, const char *rules)
{
	char path[640], target[640];
	struct dirent *e;
	DIR *d = mkdir(to, 0700) < 0 ? NULL : opendir(from);
	if (!d)
		refuse("cannot make %s", to);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", to, e->d_name);
		snprintf(target, sizeof(target), "%s/%s", from, e->d_name);
		if (*e->d_name != '.' &&
			symlink(streq(e->d_name, "alerts.yaml") ? rules : target, path))
			refuse("cannot make %s", path);
	}
	closedir(d);
}

static void write_alerting(FILE *f, const json_t *alerting)
{
	static const char *const texts[] = {"quiet", "morning", "institution"};
	const json_t *member;
	size_t i;
	fputs("alerting:\n", f);
	if (!json_object_get(alerting, "quiet"))
		fputs("  quiet: \"\"\n", f);
	for (i = 0; i < ELEMENTS(texts); i++)
		if (json_object_get(alerting, texts[i]))
			fprintf(f, "  %s: \"%s\"\n", texts[i], text_of(alerting, texts[i], ""));
	fprintf(f, "  altitude_m: %lld\n  chain: \"",
		(long long)json_integer_value(json_object_get(alerting, "altitude_m")));
	json_array_foreach(json_object_get(alerting, "chain"), i, member)
		fprintf(f, "%s%s", i ? ";" : "", json_string_value(member));
	fputs("\"\n", f);
}

static void write_stations(FILE *f, const json_t *stations)
{
	const json_t *s;
	size_t i;
	if (json_array_size(stations))
		fputs("stations:\n", f);
	json_array_foreach(stations, i, s) fprintf(f,
		"  - {id: \"%s\", complete: \"%s\", contact: \"%s\"}\n", text_of(s, "id", "?"),
		text_of(s, "complete", ""), text_of(s, "contact", ""));
}

static void write_config(const struct site *s, const char *path, const json_t *config)
{
	char cwd[256], tables[320], rules[320];
	FILE *f = fopen(path, "we");
	if (!f || !getcwd(cwd, sizeof(cwd)))
		refuse("cannot write %s", path);
	snprintf(tables, sizeof(tables), "%s/config", cwd);
	if (json_object_get(config, "rules")) {
		snprintf(rules, sizeof(rules), "%s/%s", cwd, text_of(config, "rules", ""));
		snprintf(tables, sizeof(tables), "%s/tables", s->dir);
		snprintf(cwd + strlen(cwd), sizeof(cwd) - strlen(cwd), "/config");
		link_tables(cwd, tables, rules);
	}
	fprintf(f,
		"version: 1\norg: demo\nsite: village\ngateway: %s\nzone: %s\nsite_contact: \"%s\"\n"
		"alerts: %s\npaths: {store: %s, runtime: %s, tables: %s, profiles: %s/none}\n",
		text_of(config, "gateway", "gw-0001"), text_of(config, "zone", "Asia/Shanghai"),
		text_of(config, "site_contact", ""), s->alerts ? "true" : "false", s->dir, s->dir,
		tables, s->dir);
	write_alerting(f, json_object_get(config, "alerting"));
	if (json_object_get(config, "contract_start"))
		fprintf(f, "contract_start: %s\n", text_of(config, "contract_start", ""));
	write_stations(f, json_object_get(config, "stations"));
	write_devices(f, json_object_get(config, "devices"));
	fclose(f);
}

static void load_policy(struct site *s, const json_t *config)
{
	char path[128];
	struct gateway *g = &s->gateway;
	snprintf(path, sizeof(path), "%s/vitalgate.yaml", s->dir);
	write_config(s, path, config);
	if (reload_first(g, path, "/nonexistent") < 0)
		refuse("%s", g->config_fault);
}

static void open_store(struct site *s)
{
	s->gateway.outbox = outbox_new(&s->gateway, NULL, NULL);
	if (!s->gateway.outbox || db_open(s->store, &s->db) < 0)
		refuse("cannot open a store");
	db_script(s->db, "PRAGMA synchronous=OFF");
	db_script(s->db, "BEGIN IMMEDIATE");
}

void site_reopen(struct site *s)
{
	db_script(s->db, "COMMIT");
	db_close(TAKE(s->db));
	outbox_free(TAKE(s->gateway.outbox));
	s->pending = 0;
	s->judged[0] = 0;
	open_store(s);
}

void site_open(struct site *s, const json_t *config)
{
	const json_t *d;
	size_t i;
	char uid[96];
	*s = (struct site){.dir = "/tmp/vitalgate-scenario-XXXXXX"};
	s->keeps = json_object_get(config, "store");
	s->alerts = json_is_true(json_object_get(config, "alerts"));
	log_init("scenario", LOG_ERROR);
	if (!mkdtemp(s->dir))
		refuse("cannot make a directory");
	load_policy(s, config);
	clock_set_zone(s->gateway.config->zone);
	memcpy(s->gateway.epoch, "00112233aabbccdd", 17);
	snprintf(s->store, sizeof(s->store), "%s", text_of(config, "store", s->dir));
	open_store(s);
	s->names = json_object();
	s->ids = json_object();
	s->keys = json_object();
	s->devices = json_object();
	json_array_foreach(json_object_get(config, "devices"), i, d)
	{
		const char *id = text_of(d, "id", "?");
		json_object_set(s->devices, id, (json_t *)d);
		if (intake_device(s->db, id, "lis01", id, uid) < 0)
			refuse("%s", db_error(s->db));
	}
	s->stands = true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void site_close(struct site *s)
{
	if (s->db)
		db_script(s->db, s->keeps ? "COMMIT" : "ROLLBACK");
	db_close(s->db);
	outbox_free(s->gateway.outbox);
	policy_leave(&s->gateway, s->gateway.policy);
	json_decref(s->names);
	json_decref(s->ids);
	json_decref(s->keys);
	json_decref(s->devices);
	if (s->dir[0])
		nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*s = (struct site){0};
}

void site_begin(struct site *s)
{
	if (s->pending++ >= COMMIT_EVERY) {
		db_script(s->db, "COMMIT");
		db_checkpoint(s->db, false);
		db_script(s->db, "BEGIN IMMEDIATE");
		s->pending = 0;
	}
	db_run(s->db, "SAVEPOINT scenario", "");
}

void site_end(struct site *s, bool keep)
{
	if (!keep)
		db_run(s->db, "ROLLBACK TO scenario", "");
	if (db_run(s->db, "RELEASE scenario", "") < 0)
		refuse("%s", db_error(s->db));
}
