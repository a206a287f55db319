/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store thread: what is committed together, and what is told when. */
#include "store_rig.h"

static void test_order(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct probe *p = probe(i);
		p->job.reads_only = i % 5 == 0;
		p->job.patient = i % 3 == 0;
		store_submit(store, &p->job);
	}
	wait_told(300);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(told[i].number, i);
		assert_int_equal(told[i].result, 0);
	}
	assert_int_equal(stored("SELECT count(*) FROM event"), 240);
}

static void test_one_failing_job(void **state)
{
	(void)state;
	hold_thread();
	submit(1, 0);
	submit(2, -EPROTO);
	submit(3, 0);
	submit(4, -EEXIST);
	submit(5, 7);
	sem_post(&hold);
	wait_told(6);
	const int expected[] = {0, 0, -EPROTO, 0, -EEXIST, 7};
	for (size_t i = 1; i < ELEMENTS(expected); i++)
		assert_int_equal(told[i].result, expected[i]);
	assert_int_equal(
		status().commits, 1); /* all of them with one fsync; the first wrote nothing */
	assert_int_equal(status().jobs, 6);
	assert_int_equal(stored("SELECT sum(at) FROM event"), 1 + 3 + 5);
}

/* What breaks the transaction refuses everything in it: nobody hears 0 for what is not there. */
static void test_lost_transaction(void **state)
{
	(void)state;
	hold_thread();
	submit(1, 0);
	submit(2, -EIO);
	submit(3, 0);
	sem_post(&hold);
	wait_told(4);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(told[i].result, -EIO);
	assert_int_equal(status().failing, -EIO);
	assert_int_equal(stored("SELECT count(*) FROM event"), 0);
	/* a look at the store does not make the disk well again, a commit does */
	struct probe *look = probe(4);
	look->job.reads_only = true;
	store_submit(store, &look->job);
	wait_told(5);
	assert_int_equal(status().failing, -EIO);
	submit(5, 0);
	wait_told(6);
	assert_int_equal(status().failing, 0);
	assert_int_equal(stored("SELECT sum(at) FROM event"), 5);
}

static int64_t sum_seen;

static int last_word(struct db *db)
{
	sum_seen = db_int(db, -1, "SELECT total(at) FROM event", "");
	return sum_seen > 4 ? -EIO : 0;
}

/* It sees what all jobs of the transaction wrote, and can refuse it. */
static void test_before_commit(void **state)
{
	(void)state;
	before_commit = last_word;
	hold_thread();
	submit(1, 0);
	submit(3, 0);
	sem_post(&hold);
	wait_told(3);
	assert_int_equal(sum_seen, 4);
	submit(5, 0);
	wait_told(4);
	assert_int_equal(sum_seen, 9);
	assert_int_equal(told[3].result, -EIO);
	assert_int_equal(stored("SELECT sum(at) FROM event"), 4);
}

static void test_batch_limit(void **state)
{
	(void)state;
	store_free(store);
	start(4);
	hold_thread();
	for (int i = 0; i < 10; i++)
		submit(i, 0);
	sem_post(&hold);
	wait_told(11);
	assert_int_equal(status().commits, 3);
}

/* What has to be done within a moment of the store's is done again where the machine was away for it. */
#define ROUNDS_MAX 100

/* Patient jobs travel together; one that is not patient takes them along at once. */
static void test_patience(void **state)
{
	(void)state;
	unsigned rounds = 0;
	uint64_t before;
	do { /* as often as it takes: on a busy machine company may come too late */
		before = status().commits;
		n_told = 0;
		for (int i = 0; i < 20; i++) {
			struct probe *p = probe(i);
			p->job.patient = true;
			store_submit(store, &p->job);
		}
		wait_told(20);
	} while (status().commits > before + 3 && rounds++ < ROUNDS_MAX);
	assert_in_range(status().commits, before + 1, before + 3);
	before = status().commits;
	int64_t began = clock_boot_us();
	for (int i = 0; i < 5; i++) { /* alone, each waits for company and then goes */
		struct probe *p = probe(i);
		p->job.patient = true;
		store_submit(store, &p->job);
		wait_told(21 + (unsigned)i);
	}
	assert_int_equal(status().commits, before + 5);
	assert_true(clock_boot_us() - began >= 5 * 15000);
}

/* What goes behind all others is never in a transaction with them, and still comes to its turn. */
static void test_behind(void **state)
{
	(void)state;
	unsigned rounds = 0;
	uint64_t before;
	do { /* one that has waited for its 20 ms goes first */
		before = status().commits;
		n_told = 0;
		hold_thread();
		for (int i = 0; i < 6; i++) {
			struct probe *p = probe(i);
			p->job.behind = i < 2;
			store_submit(store, &p->job);
		}
		sem_post(&hold);
		wait_told(7);
	} while (told[1].number < 2 && rounds++ < ROUNDS_MAX);
	const int expected[] = {2, 3, 4, 5, 0, 1};
	for (size_t i = 0; i < ELEMENTS(expected); i++)
		assert_int_equal(told[i + 1].number, expected[i]);
	assert_int_equal(status().commits, before + 3);
}

static int run_slow(struct job *job, struct db *db)
{
	usleep(15000);
	return run_probe(job, db);
}

/* While others come without end. */
static void test_behind_for_long(void **state)
{
	(void)state;
	store_free(store);
	start(1);
	hold_thread();
	for (int i = 0; i < 6; i++) {
		struct probe *p = probe(i);
		p->job.behind = i == 0;
		p->job.run = run_slow;
		store_submit(store, &p->job);
	}
	sem_post(&hold);
	wait_told(7);
	unsigned at = 0;
	while (told[at].number != 0)
		at++;
	assert_in_range(at, 1, 4);
}

/* Jobs that may wait share a commit without waking anybody; an urgent one takes them along. */
static void test_waiting(void **state)
{
	(void)state;
	uint64_t before = status().commits;
	int64_t began = clock_boot_us();
	for (int i = 0; i < 30; i++) {
		struct probe *p = probe(i);
		p->job.wait_us = 2 * CLOCK_SECOND_US;
		store_submit(store, &p->job);
		usleep(2000);
	}
	wait_told(30);
	assert_int_equal(status().commits, before + 1);
	assert_true(clock_boot_us() - began >= 2 * CLOCK_SECOND_US - 50000);
	for (int i = 0; i < 10; i++) {
		struct probe *p = probe(i);
		p->job.wait_us = 60 * CLOCK_SECOND_US;
		store_submit(store, &p->job);
	}
	submit(10, 0);
	wait_told(41); /* at once, not in a minute */
	assert_int_equal(status().commits, before + 2);
}

static void test_beat(void **state)
{
	(void)state;
	hold_thread();
	int64_t since = status().busy_since_boot_us;
	assert_true(since > 0 && since <= clock_boot_us());
	usleep(20000);
	assert_true(status().busy_since_boot_us == since); /* a hung transaction shows its age */
	sem_post(&hold);
	wait_told(1);
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (status().busy_since_boot_us && clock_boot_us() < end)
		usleep(1000);
	assert_int_equal(status().busy_since_boot_us, 0);
	assert_true(status().beat_boot_us > since);
}

static void test_end(void **state)
{
	(void)state;
	hold_thread();
	for (int i = 0; i < 50; i++) {
		struct probe *p = probe(i);
		p->again = i == 49;
		store_submit(store, &p->job);
	}
	sem_post(&hold);
	/* what was submitted is committed, and told; what done() adds then is refused, not forgotten */
	store_free(store);
	assert_int_equal(n_told, 52);
	for (unsigned i = 0; i < 51; i++)
		assert_int_equal(told[i].result, 0);
	assert_int_equal(told[51].number, 1049);
	assert_int_equal(told[51].result, -ECANCELED);
	assert_int_equal(stored("SELECT count(*) FROM event"), 50);
	start(256);
}

static void test_from_done(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct probe *p = probe(i);
		p->again = true;
		store_submit(store, &p->job);
	}
	wait_told(40);
	for (int i = 0; i < 20; i++)
		assert_int_equal(told[20 + i].number, 1000 + i);
}

static int64_t post_once(struct db *db)
{
	static bool posted;
	if (n_hook == 1)
		posted = false;
	if (db_int(db, 0, "SELECT count(*) FROM event", "") && !posted) {
		posted = true; /* the hook sees what was committed */
		store_post(store, &probe(77)->job);
	}
	return INT64_MAX;
}

static void test_hook(void **state)
{
	(void)state;
	store_free(store);
	n_hook = 0;
	after_commit = post_once;
	start(256);
	submit(1, 0);
	wait_told(2);
	assert_int_equal(told[0].number, 1);
	assert_int_equal(told[1].number, 77);
	unsigned before = __atomic_load_n(&n_hook, __ATOMIC_SEQ_CST);
	store_poke(store);
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (__atomic_load_n(&n_hook, __ATOMIC_SEQ_CST) == before && clock_boot_us() < end)
		usleep(1000);
	assert_true(__atomic_load_n(&n_hook, __ATOMIC_SEQ_CST) > before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_failing_job, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_before_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_patience, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_for_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beat, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_done, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hook, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
