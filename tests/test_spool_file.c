/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file of a spool directory, while others write, rename and link behind its back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <vitalgate/driver.h>

#include "spool_file.h"
#include "util.h"

static char folder[64];
static int dir = -1;

static int rm(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/vg-spool-file-XXXXXX");
	dir = mkdtemp(folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	return nftw(folder, rm, 8, FTW_DEPTH | FTW_PHYS);
}

static struct spool_stamp put(const char *name, const char *text)
{
	struct spool_stamp s;
	_cleanup_(closep) int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(spool_look(dir, name, &s), 0);
	return s;
}

static int take(const char *name, const struct spool_stamp *s, const char *expected)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	size_t len = 77;
	int r = spool_read(dir, name, s, &bytes, &len);
	if (r < 0) {
		assert_null(bytes);
		assert_int_equal(len, 77);
		return r;
	}
	assert_non_null(bytes);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(bytes, expected, len);
	return r;
}

static void reads_what_was_looked_at(void **state)
{
	(void)state;
	struct spool_stamp a = put("a", "text"), s;
	assert_int_equal(take("a", &a, "text"), 0);
	s = put("empty", "");
	assert_int_equal(take("empty", &s, ""), 0);
	assert_int_equal(take("none", &a, ""), -ENOENT);
	s = a;
	s.size++;
	assert_int_equal(take("a", &s, ""), -EAGAIN);
	s = a;
	s.mtime_ns++;
	assert_int_equal(take("a", &s, ""), -EAGAIN);
	s = a;
	s.ino++; /* says nothing on some media */
	assert_int_equal(take("a", &s, "text"), 0);
	/* what is no plain file is not opened */
	assert_int_equal(symlinkat("a", dir, "link"), 0);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(mkdirat(dir, "dir", 0700), 0);
	spool_look(dir, "link", &s);
	assert_int_equal(take("link", &s, ""), -ELOOP);
	spool_look(dir, "fifo", &s);
	assert_int_equal(take("fifo", &s, ""), -ENOTSUP);
	spool_look(dir, "dir", &s);
	assert_int_equal(take("dir", &s, ""), -ENOTSUP);
	assert_int_equal(linkat(dir, "a", dir, "b", 0), 0);
	assert_int_equal(take("a", &a, ""), -EAGAIN); /* one link more */
	spool_look(dir, "a", &s);
	assert_int_equal(take("a", &s, ""), -EMLINK);
	put("long", "");
	_cleanup_(closep) int fd = openat(dir, "long", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, VG_STUDY_MAX + 1), 0);
	spool_look(dir, "long", &s);
	assert_int_equal(take("long", &s, ""), -EFBIG);
}

#define BIG (2 * 1024 * 1024)
static _Atomic int go; /* 1: write, 2: it is written, 3: end */

/* Overwrites the file with 'b', a while after it is told. */
static void *overwrite(void *arg)
{
	(void)arg;
	static char b[BIG];
	memset(b, 'b', sizeof(b));
	for (unsigned round = 0;; round++) {
		for (; go != 1; sched_yield())
			if (go == 3)
				return NULL;
		for (volatile unsigned i = 0; i < round % 64 * 8000; i++)
			;
		_cleanup_(closep) int fd = openat(dir, "big", O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, b, sizeof(b), 0), sizeof(b));
		go = 2;
	}
}

/* What is taken was one file from its first byte to its last. */
static void what_changes_while_it_is_read_is_not_taken(void **state)
{
	(void)state;
	static char a[BIG];
	memset(a, 'a', sizeof(a));
	pthread_t thread;
	unsigned changed = 0, whole = 0;
	_cleanup_(closep) int fd =
		openat(dir, "big", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pthread_create(&thread, NULL, overwrite, NULL);
	for (unsigned i = 0; i < 300 && (i < 40 || !changed); i++) {
		struct spool_stamp s;
		_cleanup_(freep) uint8_t *bytes = NULL;
		size_t len = 0;
		assert_int_equal(pwrite(fd, a, sizeof(a), 0), sizeof(a));
		/* it has not changed for a while, so that the next change shows in its time */
		assert_int_equal(
			futimens(fd, (struct timespec[]){{1700000000, 0}, {1700000000, 0}}), 0);
		assert_int_equal(spool_look(dir, "big", &s), 0);
		go = 1;
		int r = spool_read(dir, "big", &s, &bytes, &len);
		if (r == 0)
			assert_memory_equal(bytes, a, sizeof(a));
		else
			assert_int_equal(r, -EAGAIN);
		changed += r < 0;
		whole += r == 0;
		while (go != 2)
			sched_yield();
	}
	go = 3;
	pthread_join(thread, NULL);
	print_message("# %u changed, %u whole\n", changed, whole);
	assert_true(changed > 0);
}

static bool is(const char *name, const char *text)
{
	char found[80] = "";
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, found, sizeof(found) - 1) >= 0 && streq(found, text);
}

static void moves_only_what_was_read(void **state)
{
	(void)state;
	struct spool_stamp s = put("a", "one"), other;
	assert_int_equal(spool_move(dir, "a", &s, "done"), 0);
	assert_true(is("done/a", "one"));
	assert_int_equal(spool_move(dir, "a", &s, "done"), -ENOENT);
	other = put("a", "two");
	assert_int_equal(spool_move(dir, "a", &s, "done"), -EAGAIN);
	assert_true(is("a", "two"));
	other.ino++;
	assert_int_equal(spool_move(dir, "a", &other, "done"), -EAGAIN);
	other.ino--;
	assert_int_equal(spool_move(dir, "a", &other, "done"), 0);
	assert_true(is("done/a", "one") && is("done/a.1", "two"));
	/* done/ that leads elsewhere, or is no directory */
	s = put("b", "b");
	assert_int_equal(symlinkat("/tmp", dir, "away"), 0);
	assert_int_equal(spool_move(dir, "b", &s, "away"), -ENOTDIR);
	assert_int_equal(spool_move(dir, "b", &s, "b"), -ENOTDIR);
	assert_true(is("b", "b"));
}

static void long_names_are_cut_between_characters(void **state)
{
	(void)state;
	char name[256] = "", cut[300], last[300];
	for (int i = 0; i < 85; i++) /* 255 bytes */
		strcat(name, "测");
	for (unsigned i = 0; i < 2; i++) {
		struct spool_stamp s = put(name, i ? "two" : "one");
		assert_int_equal(spool_move(dir, name, &s, "done"), 0);
	}
	snprintf(cut, sizeof(cut), "done/%s", name);
	snprintf(last, sizeof(last), "done/%.252s.1", name);
	assert_true(is(cut, "one") && is(last, "two"));
}

static void a_description_names_nobody(void **state)
{
	(void)state;
	static const struct {
		const char *name, *expected;
	} cases[] = {
		{"TEST^A.SCP", "a file .scp of 12 bytes (inode 34)"},
		{"20260131.Wang", "a file of another kind of 12 bytes (inode 34)"},
		{"测试甲", "a file of another kind of 12 bytes (inode 34)"},
		{"a.scp.Li", "a file of another kind of 12 bytes (inode 34)"},
	};
	struct spool_stamp s = {.size = 12, .ino = 34};
	char text[160];
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		spool_describe(cases[i].name, &s, text, sizeof(text));
		assert_string_equal(text, cases[i].expected);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(reads_what_was_looked_at),
		CASE(what_changes_while_it_is_read_is_not_taken),
		CASE(moves_only_what_was_read),
		CASE(long_names_are_cut_between_characters),
		CASE(a_description_names_nobody),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool_file", tests, NULL, NULL);
}
