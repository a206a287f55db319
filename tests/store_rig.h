/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the store thread share, on top of gateway_rig.h: a running store, and jobs that note what they were
 * told.
 *
 *   setup, teardown        of each test
 *   submit(n, answer)      one job that writes the number n, and says `answer`
 *   hold_thread()          keeps the thread busy until sem_post(&hold)
 *   wait_told(n)           until n jobs were told; their verdicts are in `told`
 */
#pragma once

#include "gateway_rig.h"

#include "store.h"
#include "util.h"

#include <dirent.h>
#include <semaphore.h>

#define STORE_TOLD_MAX 2048

/* A job that writes one audit row with its number, and notes its verdict. */
struct probe {
	struct job job;
	int number;
	int answer; /* what run() returns after it wrote */
	size_t bytes;
	bool again; /* done() submits a second one: number + 1000 */
};

static struct rig rig;
static char dir[96];
static struct store *store;
static int64_t (*after_commit)(struct db *db);
static int (*before_commit)(struct db *db);
static struct {
	int number, result;
} told[STORE_TOLD_MAX];
static unsigned n_told, n_hook;
static sem_t hold, held;

static inline int64_t hook(void *arg, struct db *db, int64_t boot_us)
{
	(void)arg;
	(void)boot_us;
	__atomic_add_fetch(&n_hook, 1, __ATOMIC_SEQ_CST);
	return after_commit ? after_commit(db) : INT64_MAX;
}

static inline int hook_before(void *arg, struct db *db)
{
	(void)arg;
	return before_commit ? before_commit(db) : 0;
}

static inline void start(unsigned rows)
{
	struct store_hooks hooks = {hook, NULL, hook_before};
	assert_int_equal(store_new(rig.gateway.loop, dir, rows, &hooks, &store), 0);
	assert_int_equal(store_run(store), 0);
}

static inline int setup(void **state)
{
	(void)state;
	rig_open(&rig, "");
	snprintf(dir, sizeof(dir), "%s/store", rig.dir);
	assert_true(sd_event_new(&rig.gateway.loop) >= 0);
	n_told = n_hook = 0;
	after_commit = NULL;
	before_commit = NULL;
	sem_init(&hold, 0, 0);
	sem_init(&held, 0, 0);
	start(256);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	store_free(TAKE(store));
	rig_close(&rig);
	return 0;
}

static inline int run_probe(struct job *job, struct db *db)
{
	struct probe *p = (struct probe *)job;
	if (job->reads_only)
		return p->answer;
	int rc = db_run(db,
		"INSERT INTO event(uuid,type,at,raw) VALUES(randomblob(16),'x',?,zeroblob(?))",
		"ii", (int64_t)p->number, (int64_t)p->bytes);
	return rc < 0 ? rc : p->answer;
}

static inline struct probe *probe(int number);

static inline void probe_done(struct job *job, int result)
{
	struct probe *p = (struct probe *)job;
	assert_true(n_told < STORE_TOLD_MAX);
	told[n_told].number = p->number;
	told[n_told++].result = result;
	if (p->again)
		store_submit(store, &probe(p->number + 1000)->job);
	free(p);
}

static inline struct probe *probe(int number)
{
	struct probe *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->job.run = run_probe;
	p->job.done = probe_done;
	p->number = number;
	return p;
}

static inline void submit(int number, int answer)
{
	struct probe *p = probe(number);
	p->answer = answer;
	store_submit(store, &p->job);
}

static inline void wait_told(unsigned n)
{
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (n_told < n && clock_boot_us() < end)
		assert_true(sd_event_run(rig.gateway.loop, 100000) >= 0);
	assert_int_equal(n_told, n);
}

static inline int run_hold(struct job *job, struct db *db)
{
	(void)job;
	(void)db;
	sem_post(&held);
	while (sem_wait(&hold) < 0)
		;
	return 0;
}

/* Keeps the thread busy until sem_post(&hold), so that what follows becomes one batch. */
static inline void hold_thread(void)
{
	struct probe *p = probe(-1);
	p->job.run = run_hold;
	store_submit(store, &p->job);
	while (sem_wait(&held) < 0)
		;
}

static inline struct store_status status(void)
{
	struct store_status s;
	store_status(store, &s);
	return s;
}

/* Looks with a connection of its own. */
static inline int64_t stored(const char *sql)
{
	struct db *db;
	assert_int_equal(db_open(dir, &db), 0);
	int64_t n = db_int(db, -1, sql, "");
	db_close(db);
	return n;
}

static inline unsigned files_like(const char *prefix)
{
	unsigned n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

/* The sum of the numbers that were told 0, with the rows of the store. */
static inline void told_is_stored(void)
{
	int64_t sum = 0;
	for (unsigned i = 0; i < n_told; i++)
		sum += told[i].result == 0 && told[i].number > 0 ? told[i].number : 0;
	assert_int_equal(stored("SELECT coalesce(sum(at),0) FROM event"), sum);
}
