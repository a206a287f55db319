/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The timer: it stands where something is due, looks once at start, rests when nothing waits, and tries again. */
#include "watch_rig.h"

#include "log.h"
#include "study_rig.h"
#include "util.h"

#define FRIDGE                                                                                      \
	"devices:\n - {id: fridge-1, driver: bt_blp, transport: ble, address: \"unix:/1\", place: " \
	"fridge}\n"
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)

static struct rig rig;
static struct watch *watch;
static int64_t fridge;

static void start(const char *yaml)
{
	char uid[96];
	rig_open(&rig, yaml);
	fridge = intake_device(rig.db, "fridge-1", "bt_blp", "unix:/1", uid);
	rig_run_store(&rig);
}

static int setup(void **state)
{
	(void)state;
	start("");
	return 0;
}

static int setup_fridge(void **state)
{
	(void)state;
	start(FRIDGE);
	return 0;
}

static int setup_sink(void **state)
{
	(void)state;
	start(RIG_SINK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(TAKE(rig.gateway.store)); /* as the daemon ends: the store first */
	watch_free(TAKE(watch));
	rig.gateway.watch = NULL;
	rig_close(&rig);
	return 0;
}

static void watch_start(void)
{
	assert_int_equal(watch_new(&rig.gateway, &watch), 0);
	rig.gateway.watch = watch;
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
		int64_t end_ = clock_boot_us() + 60 * CLOCK_SECOND_US;           \
		while (rig_int(&rig, sql) != (n) && clock_boot_us() < end_)      \
			assert_true(sd_event_run(rig.gateway.loop, 20000) >= 0); \
		assert_int_equal(rig_int(&rig, sql), n);                         \
	} while (0)

/* Runs the loop until the store has run `n` jobs and the loop has heard of them. */
static void until_jobs(uint64_t n)
{
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (jobs() < n && clock_boot_us() < end)
		assert_true(sd_event_run(rig.gateway.loop, 20000) >= 0);
	assert_int_equal(jobs(), n);
	while (sd_event_run(rig.gateway.loop, 0) > 0)
		;
}

static int run_unit(struct job *job, struct db *db)
{
	return intake_unit(&rig.gateway, db, (struct unit *)job);
}

static void unit_done(struct job *job, int result)
{
	assert_int_equal(result, 0);
	unit_free((struct unit *)job);
}

/* A reading that arrived `ago_s` seconds ago by both clocks. */
static void submit(int64_t device, const char *place, struct watch_reading w, int64_t ago_s)
{
	struct unit *u = rig_unit(&rig);
	u->device_row = device;
	u->place = place;
	u->arrived_us = clock_utc_us() - at_us(ago_s);
	u->boot_us = clock_boot_us() - at_us(ago_s);
	watch_add(&rig, u, &w);
	u->job.run = run_unit;
	u->job.done = unit_done;
	store_submit(rig.gateway.store, &u->job);
}

static const struct watch_reading doubtful = {
	.kind = "spo2", .numbers = {{"spo2", 85, 0, 0}}, .flags = {"low_perfusion"}};
static const struct watch_reading warm = {
	.kind = "environment", .numbers = {{"env.temp", 90, -1, 0}}};

/* Nothing is due: the loop turns, and nobody looks. */
static void rests(void)
{
	int64_t quiet = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (sd_event_run(rig.gateway.loop, 300000) > 0)
		assert_true(clock_boot_us() < quiet);
}

static void test_rests(void **state)
{
	(void)state;
	watch_start();
	until_jobs(1); /* the look at the start */
	struct watch_reading good = {.kind = "spo2", .numbers = {{"spo2", 97, 0, 0}}};
	submit(rig.cuff, NULL, good, 0);
	until_jobs(2);
	rests();
}

static int run_slowly(struct job *job, struct db *db)
{
	(void)job;
	(void)db;
	usleep(200000);
	return 0;
}

static void slow_done(struct job *job, int result)
{
	(void)result;
	free(job);
}

/* What is asked in the transaction of a look, behind it, is not forgotten with the look's answer. */
static void test_news_beside_a_look(void **state)
{
	(void)state;
	struct job *slow = calloc(1, sizeof(*slow));
	assert_non_null(slow);
	slow->run = run_slowly;
	slow->done = slow_done;
	store_submit(rig.gateway.store, slow); /* so that both wait for the same transaction */
	watch_start();
	submit(rig.cuff, NULL, doubtful, 599);
	UNTIL("SELECT count(*) FROM alert", 1);
}

static void test_tells_in_time(void **state)
{
	(void)state;
	watch_start();
	until_jobs(1);
	submit(rig.cuff, NULL, doubtful, 592);
	until_jobs(2);
	assert_int_equal(COUNT("pending_repeat"), 1);
	assert_int_equal(COUNT("alert"), 0); /* eight seconds are left */
	UNTIL("SELECT count(*) FROM alert", 1);
	assert_int_equal(COUNT("pending_repeat"), 0);
	/* the timer goes on standing at what comes next */
	submit(rig.cuff, NULL, doubtful, 300);
	submit(rig.cuff, NULL, doubtful, 599);
	UNTIL("SELECT count(*) FROM alert", 2);
	assert_int_equal(COUNT("pending_repeat"), 1);
}

/* What waited when the process ended is told by the next one, without any new reading. */
static void test_at_start(void **state)
{
	(void)state;
	submit(rig.cuff, NULL, doubtful, 700);
	until_jobs(1);
	assert_int_equal(COUNT("pending_repeat"), 1);
	watch_start();
	UNTIL("SELECT count(*) FROM alert", 1);
}

static void test_of_an_earlier_boot(void **state)
{
	(void)state;
	submit(rig.cuff, NULL, doubtful, 599);
	until_jobs(1);
	rig_script(&rig, "UPDATE pending_repeat SET boot_id=x'00', due_boot=9000000000000");
	watch_start();
	UNTIL("SELECT count(*) FROM alert", 1);
}

/* A limit is told without another reading, and its end needs none of ours. */
static void test_place(void **state)
{
	(void)state;
	watch_start();
	until_jobs(1);
	assert_int_equal(COUNT("condition WHERE rule='fridge-silent'"), 1);
	submit(fridge, "fridge", warm, 599);
	UNTIL("SELECT count(*) FROM alert WHERE place='fridge' AND role='staff'", 1);
	rests(); /* what was told is due no more */
	struct watch_reading good = {.kind = "environment", .numbers = {{"env.temp", 50, -1, 0}}};
	submit(fridge, "fridge", good, 0);
	UNTIL("SELECT count(*) FROM alert WHERE state='latched'", 1);
}

static void test_silence(void **state)
{
	(void)state;
	watch_start();
	until_jobs(1);
	submit(fridge, "fridge", warm, 1798);
	UNTIL("SELECT count(*) FROM alert WHERE reading IS NULL", 1);
}

/* A device that a reload brought is listened for, and none gets its time again. */
static void test_reload(void **state)
{
	(void)state;
	rig.config.n_devices = 0;
	watch_start();
	until_jobs(1);
	assert_int_equal(COUNT("condition WHERE device>0"), 0);
	rig.config.n_devices = 1;
	watch_follow(watch);
	until_jobs(2);
	assert_int_equal(COUNT("condition WHERE device>0"), 1);
	rig_script(&rig, "UPDATE condition SET since=7");
	watch_follow(watch);
	until_jobs(3);
	assert_int_equal(rig_int(&rig, "SELECT since FROM condition WHERE device>0"), 7);
}

static int run_study(struct job *job, struct db *db)
{
	struct unit *u = (struct unit *)job;
	int rc = intake_unit(&rig.gateway, db, u);
	return rc < 0 ? rc
		      : study_decoded(&rig.gateway, db, 1, STUDY_PLAIN, strlen(STUDY_PLAIN), NULL);
}

/* An ECG that the centre does not get: nothing else has to happen for somebody to hear of it. */
static void test_study_not_sent(void **state)
{
	(void)state;
	watch_start();
	until_jobs(1);
	rests();
	rig.config.ecg_not_sent_minutes = 0;
	struct unit *u = study_unit(&rig, "ecg", 3);
	u->job.run = run_study;
	u->job.done = unit_done;
	store_submit(rig.gateway.store, &u->job);
	UNTIL("SELECT count(*) FROM alert WHERE place='ecg'", 1);
	until_jobs(3);
	rests();
}

/* A store that refuses is asked again: the look at the start is not lost. */
static void test_refused(void **state)
{
	(void)state;
	submit(rig.cuff, NULL, doubtful, 700);
	until_jobs(1);
	rig_script(&rig, "UPDATE pending_repeat SET boot_id=x'00'"); /* the start has work to do */
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE INSERT ON alert BEGIN SELECT raise(ABORT,'x'); END");
	watch_start();
	until_jobs(2);
	assert_int_equal(COUNT("pending_repeat"), 1);
	rig_script(&rig, "DROP TRIGGER full");
	submit(rig.cuff, NULL, doubtful, 599); /* does not wait for the half minute */
	UNTIL("SELECT count(*) FROM alert", 2);
}

/* One that cannot be told, the first of all: what waits behind it is told, and it is tried again in half a minute. */
static void test_one_is_stuck(void **state)
{
	(void)state;
	int64_t next_us, boot_us;
	submit(rig.cuff, NULL, doubtful, 700);
	submit(rig.cuff, NULL, doubtful, 650);
	submit(rig.cuff, NULL, doubtful, 500);
	until_jobs(3);
	rig_script(&rig,
		"CREATE TABLE odd AS SELECT reading FROM pending_repeat ORDER BY due_boot LIMIT 1;"
		"CREATE TRIGGER odd BEFORE INSERT ON alert WHEN new.reading IN (SELECT reading "
		"FROM odd) BEGIN SELECT raise(ABORT,'x'); END");
	boot_us = clock_boot_us();
	assert_int_equal(watch_look(&rig.gateway, rig.db, clock_utc_us(), boot_us, &next_us), 0);
	assert_int_equal(COUNT("alert"), 1);
	assert_int_equal(COUNT("pending_repeat"), 2);
	assert_int_equal(next_us - boot_us, 30 * CLOCK_SECOND_US);
	/* what becomes due before that does not wait for it */
	rig_script(&rig,
		"UPDATE pending_repeat SET due_boot=due_boot-90000000 WHERE reading NOT IN "
		"(SELECT reading FROM odd)");
	assert_int_equal(watch_look(&rig.gateway, rig.db, clock_utc_us(), boot_us, &next_us), 0);
	assert_in_range(next_us - boot_us, 1, 15 * CLOCK_SECOND_US);
	rig_script(&rig,
		"UPDATE pending_repeat SET due_boot=due_boot+90000000 WHERE reading NOT IN "
		"(SELECT reading FROM odd)");
	/* nor what is more than one look tells */
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<70) INSERT INTO "
		"pending_repeat SELECT randomblob(16),condition,device,kind,kinds,severity,body,doubts,"
		"since,boot_id,due_boot,due FROM pending_repeat,n WHERE reading IN (SELECT reading FROM "
		"odd)");
	assert_int_equal(watch_look(&rig.gateway, rig.db, clock_utc_us(), boot_us, &next_us), 0);
	assert_int_equal(COUNT("pending_repeat"), 2 + 70 - 64);
	assert_int_equal(next_us, boot_us);
	rig_script(&rig, "DROP TRIGGER odd");
	assert_int_equal(watch_look(&rig.gateway, rig.db, clock_utc_us(), boot_us, &next_us), 0);
	assert_int_equal(COUNT("pending_repeat"), 1);
	assert_true(next_us > boot_us + 90 * CLOCK_SECOND_US);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define F(name) cmocka_unit_test_setup_teardown(name, setup_fridge, teardown)
	const struct CMUnitTest tests[] = {
		T(test_rests),
		T(test_one_is_stuck),
		T(test_news_beside_a_look),
		T(test_tells_in_time),
		T(test_at_start),
		T(test_of_an_earlier_boot),
		F(test_place),
		F(test_silence),
		F(test_reload),
		cmocka_unit_test_setup_teardown(test_study_not_sent, setup_sink, teardown),
		T(test_refused),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
