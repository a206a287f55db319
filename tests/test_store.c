/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store thread: what is committed together, what is told when, and what a full disk does. */
#include "gateway_rig.h"

#include "store.h"
#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define LOG_MAX 2048

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
static struct {
	int number, result;
} told[LOG_MAX];
static unsigned n_told, n_hook;
static sem_t hold, held;

static int64_t hook(void *arg, struct db *db, int64_t boot_us)
{
	(void)arg;
	(void)boot_us;
	__atomic_add_fetch(&n_hook, 1, __ATOMIC_SEQ_CST);
	return after_commit ? after_commit(db) : INT64_MAX;
}

static void start(unsigned rows)
{
	struct store_hooks hooks = {hook, NULL};
	assert_int_equal(store_new(rig.gateway.loop, dir, rows, &hooks, &store), 0);
	assert_int_equal(store_run(store), 0);
}

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, "");
	snprintf(dir, sizeof(dir), "%s/store", rig.dir);
	assert_true(sd_event_new(&rig.gateway.loop) >= 0);
	n_told = n_hook = 0;
	after_commit = NULL;
	sem_init(&hold, 0, 0);
	sem_init(&held, 0, 0);
	start(256);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(TAKE(store));
	rig_close(&rig);
	return 0;
}

static int run_probe(struct job *job, struct db *db)
{
	struct probe *p = (struct probe *)job;
	if (job->reads_only)
		return p->answer;
	int rc = db_run(db,
		"INSERT INTO event(uuid,type,at,raw) VALUES(randomblob(16),'x',?,zeroblob(?))",
		"ii", (int64_t)p->number, (int64_t)p->bytes);
	return rc < 0 ? rc : p->answer;
}

static struct probe *probe(int number);

static void probe_done(struct job *job, int result)
{
	struct probe *p = (struct probe *)job;
	assert_true(n_told < LOG_MAX);
	told[n_told].number = p->number;
	told[n_told++].result = result;
	if (p->again)
		store_submit(store, &probe(p->number + 1000)->job);
	free(p);
}

static struct probe *probe(int number)
{
	struct probe *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->job.run = run_probe;
	p->job.done = probe_done;
	p->number = number;
	return p;
}

static void submit(int number, int answer)
{
	struct probe *p = probe(number);
	p->answer = answer;
	store_submit(store, &p->job);
}

static void wait_told(unsigned n)
{
	int64_t end = clock_boot_us() + 20 * CLOCK_SECOND_US;
	while (n_told < n && clock_boot_us() < end)
		assert_true(sd_event_run(rig.gateway.loop, 100000) >= 0);
	assert_int_equal(n_told, n);
}

static int run_hold(struct job *job, struct db *db)
{
	(void)job;
	(void)db;
	sem_post(&held);
	while (sem_wait(&hold) < 0)
		;
	return 0;
}

/* Keeps the thread busy until sem_post(&hold), so that what follows becomes one batch. */
static void hold_thread(void)
{
	struct probe *p = probe(-1);
	p->job.run = run_hold;
	store_submit(store, &p->job);
	while (sem_wait(&held) < 0)
		;
}

static struct store_status status(void)
{
	struct store_status s;
	store_status(store, &s);
	return s;
}

/* Looks with a connection of its own. */
static int64_t stored(const char *sql)
{
	struct db *db;
	assert_int_equal(db_open(dir, &db), 0);
	int64_t n = db_int(db, -1, sql, "");
	db_close(db);
	return n;
}

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

/* Patient jobs travel together; one that is not patient takes them along at once. */
static void test_patience(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct probe *p = probe(i);
		p->job.patient = true;
		store_submit(store, &p->job);
	}
	wait_told(20);
	assert_true(status().commits <= 3);
	uint64_t before = status().commits;
	int64_t began = clock_boot_us();
	for (int i = 0; i < 5; i++) { /* alone, each waits for company and then goes */
		struct probe *p = probe(i);
		p->job.patient = true;
		store_submit(store, &p->job);
		wait_told(21 + (unsigned)i);
	}
	assert_int_equal(status().commits, before + 5);
	assert_true(clock_boot_us() - began >= 5 * 15000);
	assert_true(clock_boot_us() - began < 3 * CLOCK_SECOND_US); /* 0.1 s on an idle machine */
}

/* What goes behind all others is never in a transaction with them, and still comes to its turn. */
static void test_behind(void **state)
{
	(void)state;
	uint64_t before = status().commits;
	hold_thread();
	for (int i = 0; i < 6; i++) {
		struct probe *p = probe(i);
		p->job.behind = i < 2;
		store_submit(store, &p->job);
	}
	sem_post(&hold);
	wait_told(7);
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
	assert_true(at > 1 && at < 5);
}

/* Jobs that may wait share a commit without waking anybody; an urgent one takes them along. */
static void test_waiting(void **state)
{
	(void)state;
	uint64_t before = status().commits;
	int64_t began = clock_boot_us();
	for (int i = 0; i < 30; i++) {
		struct probe *p = probe(i);
		p->job.wait_us = 300000;
		store_submit(store, &p->job);
		usleep(2000);
	}
	wait_told(30);
	assert_int_equal(status().commits, before + 1);
	assert_true(clock_boot_us() - began >= 250000);
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
	int64_t end = clock_boot_us() + 5 * CLOCK_SECOND_US;
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
	int64_t end = clock_boot_us() + 5 * CLOCK_SECOND_US;
	while (__atomic_load_n(&n_hook, __ATOMIC_SEQ_CST) == before && clock_boot_us() < end)
		usleep(1000);
	assert_true(__atomic_load_n(&n_hook, __ATOMIC_SEQ_CST) > before);
}

static unsigned files_like(const char *prefix)
{
	unsigned n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void test_quarantine(void **state)
{
	(void)state;
	char path[128];
	submit(1, 0);
	wait_told(1);
	assert_false(store_was_quarantined(store));
	store_free(store);
	snprintf(path, sizeof(path), "%s/vitalgate.db", dir);
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "this is no database", 19, 0), 19);
	close(fd);
	start(256);
	assert_true(store_was_quarantined(store));
	assert_int_equal(files_like("damaged-"), 1); /* kept whole, for people */
	submit(2, 0);
	wait_told(2);
	assert_int_equal(told[1].result, 0);
	assert_int_equal(stored("SELECT sum(at) FROM event"), 2);
}

/* The sum of the numbers that were told 0, with the rows of the store. */
static void told_is_stored(void)
{
	int64_t sum = 0;
	for (unsigned i = 0; i < n_told; i++)
		sum += told[i].result == 0 && told[i].number > 0 ? told[i].number : 0;
	assert_int_equal(stored("SELECT coalesce(sum(at),0) FROM event"), sum);
}

/* A limit on the size of files is a full disk for this process alone. */
static void test_no_room(void **state)
{
	(void)state;
	struct rlimit was, tight = {144 * 4096, RLIM_INFINITY};
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	unsigned refused = 0;
	for (int i = 1; i <= 100; i++) {
		struct probe *p = probe(i);
		p->bytes = 12000;
		store_submit(store, &p->job);
		wait_told((unsigned)i);
		refused += told[i - 1].result < 0;
		assert_int_equal(status().failing, told[i - 1].result);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_in_range(refused, 10, 95);
	told_is_stored();
	submit(500, 0);
	wait_told(101);
	assert_int_equal(told[100].result, 0);
	assert_int_equal(status().failing, 0);
	told_is_stored();
}

/* a full disk */

/* A file system of a few megabytes under the store, seen by this process alone. */
static void start_on(const char *size)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("# a small file system needs root\n");
		skip();
	}
	store_free(TAKE(store));
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, size), 0);
	start(256);
}

static void leave_disk(void)
{
	store_free(TAKE(store));
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

static int next_number = 1;

/* One job of 30 kB; what it was told. */
static int store_one(void)
{
	struct probe *p = probe(next_number++);
	unsigned n = n_told;
	p->bytes = 30000;
	store_submit(store, &p->job);
	wait_told(n + 1);
	return told[n].result;
}

static void fill_disk(void)
{
	unsigned n = 0, refused = 0;
	while (refused < 5 && n++ < 900)
		refused += store_one() < 0;
	assert_int_equal(refused, 5);
}

static int run_delete(struct job *job, struct db *db)
{
	(void)job;
	return db_run(
		db, "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT 2)", "");
}

static int delete_two(void)
{
	struct probe *p = probe(0);
	unsigned n = n_told;
	p->job.run = run_delete;
	p->job.patient = true;
	store_submit(store, &p->job);
	wait_told(n + 1);
	return told[n].result;
}

/* Deleting must work on a full disk, or it stays full for ever; what it frees is used again. */
static void test_full_disk(void **state)
{
	(void)state;
	start_on("size=24m");
	assert_int_equal(files_like("ballast"), 1);
	fill_disk();
	assert_int_equal(files_like("ballast"), 0);
	assert_int_equal(status().failing, -ENOSPC);
	told_is_stored();
	for (int i = 0; i < 50; i++) {
		assert_int_equal(delete_two(), 2);
		assert_int_equal(status().failing, -ENOSPC); /* still, for new readings */
		assert_int_equal(store_one(), 0);
	}
	while (store_one() == 0)
		;
	assert_int_equal(delete_two(), 2);
	leave_disk();
}

/* What deletes is not refused together with what adds. */
static void test_full_disk_mixed(void **state)
{
	(void)state;
	start_on("size=24m");
	fill_disk();
	n_told = 0;
	hold_thread();
	for (int i = 0; i < 5; i++) {
		struct probe *p = probe(0);
		p->job.run = i % 2 ? run_delete : run_probe;
		p->job.patient = i % 2;
		p->bytes = 200000;
		store_submit(store, &p->job);
	}
	sem_post(&hold);
	wait_told(6);
	const int expected[] = {0, -ENOSPC, 2, -ENOSPC, 2, -ENOSPC};
	for (size_t i = 1; i < ELEMENTS(expected); i++)
		assert_int_equal(told[i].result, expected[i]);
	leave_disk();
}

/* Somebody else filled the disk and tidies up: we go on by ourselves, and have a ballast again. */
static void test_room_again(void **state)
{
	(void)state;
	char path[128];
	start_on("size=64m");
	snprintf(path, sizeof(path), "%s/foreign", dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, 46 << 20), 0);
	fill_disk();
	assert_int_equal(unlink(path) + close(fd), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(store_one(), 0);
	assert_int_equal(status().failing, 0);
	assert_int_equal(files_like("ballast"), 1);
	told_is_stored();
	leave_disk();
}

/* Without a ballast, too: the daemon was started on a disk that was all but full. */
static void test_small_disk(void **state)
{
	(void)state;
	start_on("size=3m");
	assert_int_equal(files_like("ballast"), 0);
	fill_disk();
	told_is_stored();
	leave_disk();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_failing_job, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_patience, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_for_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beat, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_done, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hook, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quarantine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_disk, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
