/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store thread: sole owner of the database. The loop hands it jobs; it runs what is there as one
 * transaction, each job in a savepoint of its own, commits with synchronous=FULL, and only then lets the
 * loop hear of it. All decisions (who, when, alert, follow-up) are made by pure functions inside that
 * transaction, from what is committed: there is no second copy of the state that could differ from it.
 *
 *   loop: store_submit(job) -> store thread: job->run() ... COMMIT -> loop: job->done(result)
 *
 * done() is called on the loop, in the order of submission (but see job.behind), with 0 only after COMMIT. Nothing slow ever
 * runs on the loop: no fsync, no checkpoint, no query.
 */
#pragma once

#include "db.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct job {
	struct job *next;
	/* Store thread, inside a savepoint: -errno undoes this job alone. */
	int (*run)(struct job *job, struct db *db);
	/* Loop, afterwards: `result` of run, or why the transaction was not committed. Frees the job. */
	void (*done)(struct job *job, int result);
	bool reads_only; /* asks for no commit of its own */
	/* May wait some ms for company: nobody waits for its commit. On a full disk the patient ones run apart
	 * from the others: whatever only deletes or shrinks is patient. */
	bool patient;
	/* Nobody waits for it at all: it goes behind everything else, alone, but waits some ms at most. It is in no order
	 * with the others. */
	bool behind;
	/* Others may wait for company, too, when nobody waits for them: so long; 0: not at all. */
	uint32_t wait_us;
	int result;
	int64_t queued_us; /* the store's */
};

struct store;

struct store_hooks {
	/* Store thread, after each COMMIT and when due: look for work of the outbox. Returns the
	 * CLOCK_BOOTTIME instant (us) at which it wants to be called again, INT64_MAX: never. */
	int64_t (*after_commit)(void *arg, struct db *db, int64_t boot_us);
	void *arg;
	/* Store thread, in each transaction, behind the last job of it. 0, or -errno: the whole of it is undone. */
	int (*before_commit)(void *arg, struct db *db);
};

struct store_status {
	int failing;		    /* 0 or the -errno of the last transaction */
	int64_t beat_boot_us;	    /* when the thread last showed that it is alive */
	int64_t busy_since_boot_us; /* 0: idle */
	uint64_t commits, jobs;
	unsigned queued;
};

/* Opens the database in `dir` (made when absent), quarantines a damaged one. `commit_rows`: most jobs of
 * one transaction. The loop gets the done() calls. */
int store_new(sd_event *loop, const char *dir, unsigned commit_rows,
	const struct store_hooks *hooks, struct store **ret);
/* Runs what is queued, commits and closes. done() of jobs that were not run is called with -ECANCELED. */
void store_free(struct store *s);

void store_submit(struct store *s, struct job *job);
/* run() of a job that only wants its done() to come behind those of all jobs before it. */
int store_nothing(struct job *job, struct db *db);
/* From the store thread, in after_commit(): hand something to the loop; only job->done is used. */
void store_post(struct store *s, struct job *job);
/* From any thread: the outbox has something to do. */
void store_poke(struct store *s);

void store_status(struct store *s, struct store_status *ret);
/* Between store_new() and store_run(): the database itself, for reading the initial state. */
struct db *store_db(struct store *s);
int store_run(struct store *s); /* starts the thread */
bool store_was_quarantined(const struct store *s);
