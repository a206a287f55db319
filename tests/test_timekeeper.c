/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop's side of our own clock: it looks at its start, goes on while there is something to repair, and rests. What
 * wakes it when the clock is set needs a clock that can be set: test_clock_steps.py. */
#include "repair_rig.h"

#include "log.h"
#include "timekeeper.h"

#define S CLOCK_SECOND_US
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)
#define N (2 * REPAIR_PORTION + 1)

static struct rig rig;
static struct timekeeper *keeper;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, "");
	rig_run_store(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(TAKE(rig.gateway.store)); /* as the daemon ends: the store first */
	timekeeper_free(TAKE(keeper));
	rig_close(&rig);
	return 0;
}

static void start(void)
{
	assert_int_equal(timekeeper_new(&rig.gateway, &keeper), 0);
}

static uint64_t jobs(void)
{
	struct store_status s;
	store_status(rig.gateway.store, &s);
	return s.jobs;
}

/* Runs the loop until `sql` (a literal) says `n`, at most a minute. */
#define UNTIL(sql, n)                                                            \
	do {                                                                     \
		int64_t end_ = clock_boot_us() + 60 * S;                         \
		while (rig_int(&rig, sql) != (n) && clock_boot_us() < end_)      \
			assert_true(sd_event_run(rig.gateway.loop, 20000) >= 0); \
		assert_int_equal(rig_int(&rig, sql), n);                         \
	} while (0)

/* A boot that began in 1970, and was set by the time we look. */
static void born_in_1970(void)
{
	int64_t now_us = clock_boot_us();
	rig_script(&rig, "BEGIN");
	struct instant then = {100 * S, now_us - 900 * S};
	assert_int_equal(span_note(rig.db, &then, false, NULL), 0);
	for (int i = 0; i < N; i++) {
		struct unit *u = rig_unit(&rig);
		u->arrived_us = then.utc_us + i * S;
		u->boot_us = then.boot_us + i * S;
		rig_add(&rig, u, &(struct rig_bp){.sys = 120, .dia = 80, .pulse = 60});
		assert_int_equal(intake_unit(&rig.gateway, rig.db, u), 0);
		unit_free(u);
	}
	rig_script(&rig, "COMMIT");
}

static void test_looks_at_its_start(void **state)
{
	(void)state;
	start();
	UNTIL("SELECT count(*) FROM clock_span", 1);
	assert_int_equal(COUNT("event"), 0);
	int64_t end = clock_boot_us() + 6 * S; /* it looks every five seconds, and writes nothing */
	uint64_t before = jobs();
	while (clock_boot_us() < end)
		assert_true(sd_event_run(rig.gateway.loop, 200000) >= 0);
	assert_int_equal(jobs(), before);
}

static void test_repairs(void **state)
{
	(void)state;
	born_in_1970();
	start();
	UNTIL("SELECT count(*) FROM event WHERE type='clock_repaired'", 1);
	assert_int_equal(COUNT("reading WHERE superseded=0 AND revision=2 AND trust='arrival'"), N);
	assert_int_equal(COUNT("clock_repair"), 0);
	assert_int_equal(COUNT("event WHERE type='clock_stepped'"), 1);
}

static bool came;
static int64_t repaired_then;

static int run_other(struct job *job, struct db *db)
{
	(void)job;
	repaired_then = db_int(db, -1, "SELECT count(*) FROM reading WHERE revision=2", "");
	return 0;
}

static void other_done(struct job *job, int result)
{
	(void)job;
	assert_int_equal(result, 0);
	came = true;
}

/* What comes from an instrument meanwhile waits for a portion, and not for all. */
static void test_others_go_between(void **state)
{
	(void)state;
	struct job other = {.run = run_other, .done = other_done};
	born_in_1970();
	came = false;
	start();
	store_submit(rig.gateway.store, &other);
	rig_wait(&rig, &came);
	assert_in_range(repaired_then, 1, REPAIR_PORTION);
	UNTIL("SELECT count(*) FROM reading WHERE revision=2", N);
}

/* The process ends in the middle: the next one goes on. */
static void test_ends_in_between(void **state)
{
	(void)state;
	born_in_1970();
	start();
	while (!rig_int(&rig, "SELECT count(*) FROM reading WHERE revision=2"))
		assert_true(sd_event_run(rig.gateway.loop, 1000) >= 0);
	store_free(TAKE(rig.gateway.store));
	timekeeper_free(TAKE(keeper));
	assert_in_range(COUNT("reading WHERE revision=2"), REPAIR_PORTION, N);
	rig.gateway.loop = sd_event_unref(rig.gateway.loop);
	rig_run_store(&rig);
	start();
	UNTIL("SELECT count(*) FROM event WHERE type='clock_repaired'", 1);
	repair_expect(&rig, "SELECT detail FROM event WHERE type='clock_repaired'", "401 readings");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_looks_at_its_start),
		T(test_repairs),
		T(test_others_go_between),
		T(test_ends_in_between),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
