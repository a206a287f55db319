/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A gateway on a temporary directory, for tests of the rooms behind the sessions: configuration, tables,
 * outbox and an open database, without a thread. What the outbox hands over is kept in `posted`.
 *
 *   rig_open(&r, yaml)     the rig; `yaml` is added to the configuration
 *   rig_run_store(&r)      a loop and a running store as well; r.db is then a second connection, to look
 *   rig_close(&r)
 *
 * Runs from the root of the repository, like the tests themselves. Put the cmocka headers first.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "gateway.h"
#include "intake.h"
#include "outbox.h"
#include "reload.h"

#define RIG_POSTED_MAX 2048
#define RIG_SINK                                                                          \
	"sinks:\n - {name: platform, host: h, receipt: platform, receipt_timeout_s: 10, " \
	"window: 8}\n"
#define RIG_NOW INT64_C(1795000000000000) /* 2026-11-18T11:06:40Z: a clock that is set */
#define RIG_HOUR (3600 * CLOCK_SECOND_US)

struct rig {
	char dir[64];
	struct config config;
	struct gateway gateway;
	struct db *db;
	int64_t cuff; /* row of the device "cuff-1" */
	unsigned n_posted;
	struct publish *posted[RIG_POSTED_MAX];
};

static inline int rig_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void rig_post(void *arg, struct publish *p)
{
	struct rig *r = arg;
	assert_true(r->n_posted < RIG_POSTED_MAX);
	r->posted[r->n_posted++] = p;
}

/* Forgets what was handed over. */
static inline void rig_forget(struct rig *r)
{
	while (r->n_posted)
		publish_free(r->posted[--r->n_posted]);
}

static inline void rig_config(struct rig *r, const char *yaml)
{
	char text[4096], cwd[256], path[128], error[CONFIG_ERROR_MAX];
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(text, sizeof(text),
		"version: 1\norg: demo\nsite: village\ngateway: gw-0001\nsite_contact: S-0001\n"
		"paths: {store: %s, runtime: %s, tables: %s/config}\n%s",
		r->dir, r->dir, cwd, yaml);
	snprintf(path, sizeof(path), "%s/vitalgate.yaml", r->dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
	struct gateway *g = &r->gateway;
	g->policy = policy_load(path, error, sizeof(error));
	if (!g->policy)
		fail_msg("%s", error);
	policy_join(g->policy);
	r->config = g->policy->config; /* a test may change it */
	if (!strstr(yaml, "quiet:"))   /* tests run at any hour */
		r->config.quiet[0] = 0;
	g->config = &r->config;
	g->codes = g->policy->codes;
	g->rules = g->policy->rules;
	g->forms = g->policy->forms;
	g->numbers = g->policy->numbers;
	g->ws = g->policy->ws;
}

static inline void rig_open(struct rig *r, const char *yaml)
{
	char uid[96];
	*r = (struct rig){.dir = "/tmp/vitalgate-rig-XXXXXX"};
	assert_non_null(mkdtemp(r->dir));
	rig_config(r, yaml);
	clock_set_zone(r->config.zone);
	text_copy(r->gateway.epoch, sizeof(r->gateway.epoch), "00112233aabbccdd", 16);
	r->gateway.outbox = outbox_new(&r->gateway, rig_post, r);
	assert_non_null(r->gateway.outbox);
	assert_int_equal(db_open(r->dir, &r->db), 0);
	r->cuff = intake_device(r->db, "cuff-1", "bt_blp", "unix:/cuff", uid);
	assert_true(r->cuff > 0);
}

/* All that may go now: what waited goes one message a look, each some ms later. */
static inline int64_t rig_serve(struct rig *r, int64_t boot_us)
{
	int64_t due = boot_us;
	do {
		boot_us = due;
		due = outbox_after_commit(r->gateway.outbox, r->db, boot_us);
	} while (due <= boot_us + 5000);
	return due;
}

static inline int64_t rig_after_commit(void *arg, struct db *db, int64_t boot_us)
{
	return outbox_after_commit(((struct rig *)arg)->gateway.outbox, db, boot_us);
}

static inline int rig_before_commit(void *arg, struct db *db)
{
	return outbox_before_commit(((struct rig *)arg)->gateway.outbox, db);
}

/* A loop, and a store whose thread does not run yet: until then its database is ours. */
static inline void rig_open_store(struct rig *r)
{
	struct store_hooks hooks = {rig_after_commit, r, rig_before_commit};
	assert_true(sd_event_new(&r->gateway.loop) >= 0);
	assert_int_equal(store_new(r->gateway.loop, r->config.store, r->config.commit_rows, &hooks,
				 &r->gateway.store),
		0);
}

static inline void rig_run_store(struct rig *r)
{
	rig_open_store(r);
	assert_int_equal(store_run(r->gateway.store), 0);
}

static inline void rig_close(struct rig *r)
{
	store_free(r->gateway.store);
	r->gateway.store = NULL;
	r->gateway.loop = sd_event_unref(r->gateway.loop);
	rig_forget(r);
	db_close(r->db);
	outbox_free(r->gateway.outbox);
	policy_leave(&r->gateway, TAKE(r->gateway.policy));
	nftw(r->dir, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs the loop until *flag, at most a minute: a busy machine is no failure. */
static inline void rig_wait(struct rig *r, const bool *flag)
{
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (!*flag && clock_boot_us() < end)
		assert_true(sd_event_run(r->gateway.loop, 100000) >= 0);
	assert_true(*flag);
}

/* `sql` must be a literal, here and below: db.c knows statements by their address. */
static inline int64_t rig_int(struct rig *r, const char *sql)
{
	_cleanup_(row_endp) struct row *row = db_query(r->db, sql, "");
	return row_next(row) > 0 && !row_null(row, 0) ? row_int(row, 0) : -1;
}

static inline void rig_text(struct rig *r, char *out, size_t size, const char *sql)
{
	_cleanup_(row_endp) struct row *row = db_query(r->db, sql, "");
	const char *text = row_next(row) > 0 ? row_text(row, 0) : NULL;
	snprintf(out, size, "%s", text ? text : "(null)");
}

static inline void rig_script(struct rig *r, const char *sql)
{
	if (db_script(r->db, sql) < 0)
		fail_msg("%s: %s", sql, db_error(r->db));
}

/* what an instrument would deliver */

struct rig_bp {
	int sys, dia, pulse;
	const char *identity;	      /* NULL: the device has none */
	const struct vg_civil *taken; /* NULL: no time */
	const char *patient;
	bool corrected;
	char comparator;
	int user; /* user slot + 1; 0: none */
};

static inline struct unit *rig_unit(struct rig *r)
{
	struct unit *u = unit_new();
	assert_non_null(u);
	u->device_row = r->cuff;
	text_copy(u->uid, sizeof(u->uid), "sn:1", 4);
	u->driver = "bt_blp";
	u->driver_version = 1;
	u->serial = 1;
	u->ack_mode = "held";
	u->arrived_us = RIG_NOW;
	u->boot_us = clock_boot_us();
	return u;
}

static inline struct reading *rig_add(struct rig *r, struct unit *u, const struct rig_bp *bp)
{
	const struct vg_quantity q[] = {{.kind = "bp.sbp",
						.value = {bp->sys, 0},
						.unit = "mmHg",
						.comparator = bp->comparator},
		{.kind = "bp.dbp", .value = {bp->dia, 0}, .unit = "mmHg"},
		{.kind = "bp.pulse", .value = {bp->pulse, 0}, .unit = "/min"}};
	const struct vg_note note = {"arm", "left", 4};
	struct vg_reading in = {.kind = "bp",
		.taken = bp->taken,
		.user = bp->user - 1,
		.seq = 7,
		.status = bp->corrected ? VG_CORRECTED : VG_FINAL,
		.quantities = q,
		.n_quantities = bp->pulse ? 3 : 2,
		.notes = &note,
		.n_notes = 1,
		.patient = bp->patient,
		.patient_len = bp->patient ? strlen(bp->patient) : 0};
	char why[96] = "", raw[64];
	struct reading *reading = unit_add_reading(u);
	assert_non_null(reading);
	int n = snprintf(raw, sizeof(raw), "%d/%d/%d", bp->sys, bp->dia, bp->pulse);
	assert_true(bytes_copy(&reading->raw, (const uint8_t *)raw, (size_t)n));
	if (reading_take(reading, &in, "bt_blp", r->gateway.codes, why) != VG_READING)
		fail_msg("%s", why);
	reading_identify(reading, u->uid, "bt_blp", (const uint8_t *)bp->identity,
		bp->identity ? strlen(bp->identity) : 0);
	u->counts[VG_READING]++;
	return reading;
}

/* As the store does it: all or nothing. Takes the unit. */
static inline int rig_file(struct rig *r, struct unit *u)
{
	rig_script(r, "BEGIN IMMEDIATE");
	int rc = intake_unit(&r->gateway, r->db, u);
	rig_script(r, rc < 0 ? "ROLLBACK" : "COMMIT");
	unit_free(u);
	return rc;
}

/* One blood pressure in a unit of its own; its id. */
static inline struct uuid rig_bp(struct rig *r, struct rig_bp bp)
{
	struct unit *u = rig_unit(r);
	struct uuid id = rig_add(r, u, &bp)->id;
	assert_int_equal(rig_file(r, u), 0);
	return id;
}

/* R-0001 (hypertension, doctor D-0001) and R-0002 (both programmes, D-0002), under contract in 2026;
 * R-0003 has none. */
static inline void rig_residents(struct rig *r)
{
	rig_script(r,
		"INSERT INTO resident(id,token,birth_date,sex,programmes,doctor,valid_from,valid_to,changed)"
		" VALUES(1,'R-0001','1958-03-14','M','hypertension','D-0001',1767196800000000,"
		"1798732800000000,0),(2,'R-0002','1963','F','hypertension;t2dm','D-0002',"
		"1767196800000000,1798732800000000,0),(3,'R-0003','','','','',NULL,NULL,0)");
}

/* Binds the cuff to resident `id` for as long as the test knows. */
static inline void rig_bind(struct rig *r, int64_t id)
{
	assert_int_equal(
		db_run(r->db,
			"INSERT INTO binding(device,resident,valid_from,author) VALUES(?,?,0,'S-0001')",
			"ii", r->cuff, id),
		1);
}
