/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store thread and its disk: one that is full, and a database that is none. */
#include "store_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

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
