/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gateway of a scenario, on a directory that goes with it. */
#include "scenario.h"

#include "intake.h"
#include "log.h"
#include "reload.h"

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

static void write_stations(FILE *f, const json_t *stations)
{
	const json_t *s;
	size_t i;
	if (json_array_size(stations))
		fputs("stations:\n", f);
	json_array_foreach(stations, i, s) fprintf(f, "  - {id: \"%s\", complete: \"%s\"}\n",
		text_of(s, "id", "?"), text_of(s, "complete", ""));
}

static void write_config(const struct site *s, const char *path, const json_t *config)
{
	char cwd[256];
	FILE *f = fopen(path, "we");
	if (!f || !getcwd(cwd, sizeof(cwd)))
		refuse("cannot write %s", path);
	fprintf(f,
		"version: 1\norg: demo\nsite: village\ngateway: %s\nzone: %s\nsite_contact: S-0001\n"
		"alerts: false\npaths: {store: %s, runtime: %s, tables: %s/config, profiles: %s/none}\n",
		text_of(config, "gateway", "gw-0001"), text_of(config, "zone", "Asia/Shanghai"),
		s->dir, s->dir, cwd, s->dir);
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

void site_open(struct site *s, const json_t *config)
{
	const json_t *d;
	size_t i;
	char uid[96];
	*s = (struct site){.dir = "/tmp/vitalgate-scenario-XXXXXX"};
	s->keeps = json_object_get(config, "store");
	log_init("scenario", LOG_ERROR);
	if (!mkdtemp(s->dir))
		refuse("cannot make a directory");
	load_policy(s, config);
	clock_set_zone(s->gateway.config->zone);
	memcpy(s->gateway.epoch, "00112233aabbccdd", 17);
	s->gateway.outbox = outbox_new(&s->gateway, NULL, NULL);
	if (!s->gateway.outbox || db_open(text_of(config, "store", s->dir), &s->db) < 0)
		refuse("cannot open a store");
	db_script(s->db, "PRAGMA synchronous=OFF");
	db_script(s->db, "BEGIN IMMEDIATE");
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
