/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of a spool directory: which count, and whose turn it is when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "spool_list.h"
#include "util.h"

#define MS UINT64_C(1000)

static const struct spool_pace pace = {
	.told_ms = 2000, .found_ms = 10000, .patience_ms = 300000, .scan_ms = 1, .rest_ms = 1};
static struct spool_list list;

static struct spool_stamp stamp(off_t size, int64_t mtime_ns, ino_t ino)
{
	return (struct spool_stamp){S_IFREG, 1, ino, size, mtime_ns, 0};
}

static void see(const char *name, off_t size, int64_t mtime_ns, bool told, uint64_t ms)
{
	struct spool_stamp s = stamp(size, mtime_ns, 7);
	assert_int_equal(spool_list_see(&list, name, &s, told, ms * MS), 0);
}

/* Its name, or "" and when to ask again. */
static const char *next(uint64_t ms, uint64_t *ret_ms)
{
	uint64_t until = 0;
	struct spool_name *x = spool_list_next(&list, &pace, ms * MS, &until);
	*ret_ms = until == UINT64_MAX ? UINT64_MAX : until / MS;
	return x ? x->name : "";
}

#define TURN(ms, name, then_ms)                             \
	do {                                                \
		uint64_t then = 0;                          \
		assert_string_equal(next(ms, &then), name); \
		assert_true(then == (then_ms));             \
	} while (0)

static int empty(void **state)
{
	(void)state;
	spool_list_clear(&list);
	return 0;
}

static void names(void **state)
{
	(void)state;
	static const char *const good[] = {"a.scp", "A", "测试.SCP", "a.part.scp", "~a", "part",
		"tmp", "a.parts", "a.b.", "done.scp"};
	static const char *const bad[] = {".a.scp", ".", "..", "a.part", "a.scp.PARTIAL",
		"a.FilePart", "a.tmp", "a.Temp", "a.crdownload", "a.swp", "a~", "~", ".in.a.scp."};
	for (size_t i = 0; i < ELEMENTS(good); i++)
		assert_true(spool_name_counts(good[i]));
	for (size_t i = 0; i < ELEMENTS(bad); i++)
		assert_false(spool_name_counts(bad[i]));
}

static void turns(void **state)
{
	(void)state;
	TURN(0, "", UINT64_MAX);
	see("found", 1, 30, false, 1000);
	see("told", 1, 20, true, 2000);
	TURN(2000, "", 4000);
	TURN(3999, "", 4000);
	TURN(4000, "told", 0);
	see("told", 1, 20, false, 5000); /* a look that finds nothing new */
	TURN(5000, "told", 0);
	spool_list_forget(&list, spool_list_find(&list, "told"));
	TURN(5000, "", 11000);
	see("older", 1, 10, true, 9000);
	TURN(11000, "older", 0); /* both may, the older one first */
	see("found", 1, 5, false, 11000);
	TURN(11000, "older", 0);
	TURN(21000, "found", 0);
}

static void held_open(void **state)
{
	(void)state;
	struct spool_stamp s = stamp(1, 10, 7);
	spool_list_see(&list, "a", &s, SPOOL_MADE, 1000 * MS);
	see("a", 1, 10, false, 20000); /* its writer waits for something */
	TURN(20000, "", 301000);
	see("a", 2, 11, false, 30000);
	TURN(300000, "", 330000);
	see("a", 2, 11, true, 300000);
	TURN(300000, "", 302000);
	TURN(302000, "a", 0);
}

static void changes(void **state)
{
	(void)state;
	see("a", 1, 10, true, 1000);
	see("a", 1, 11, false, 2000); /* its time was set: still as told */
	TURN(3999, "", 4000);
	see("a", 2, 12, false, 3000); /* it grows: somebody writes it, and will close it */
	TURN(4000, "", 303000);
	see("a", 2, 12, true, 4000);
	TURN(4000, "", 6000);
	/* a medium that makes up inodes: what waits is the same */
	struct spool_stamp s = stamp(2, 12, 8);
	spool_list_see(&list, "a", &s, false, 5000 * MS);
	TURN(6000, "a", 0);
	/* read, and not complete */
	struct spool_name *a = spool_list_find(&list, "a");
	a->standing = SPOOL_PARTIAL;
	TURN(6000, "", 304000);
	see("a", 2, 12, false, 7000);
	TURN(7000, "", 304000);
	see("a", 2, 12, true, 8000); /* its writer was there again */
	TURN(8000, "", 10000);
	a->standing = SPOOL_PARTIAL;
	see("a", 3, 13, false, 9000);
	TURN(9000, "", 309000);
	assert_int_equal(a->standing, SPOOL_WAITS);
}

static void what_is_settled_stays_so(void **state)
{
	(void)state;
	see("kept", 1, 1, true, 0);
	see("left", 1, 1, true, 0);
	see("link", 1, 0, true, 0); /* the oldest */
	struct spool_name *kept = spool_list_find(&list, "kept"),
			  *left = spool_list_find(&list, "left"),
			  *link = spool_list_find(&list, "link");
	kept->standing = SPOOL_KEPT;
	kept->error = -EROFS;
	left->standing = link->standing = SPOOL_LEFT;
	left->error = -EACCES;
	link->error = -ELOOP;
	left->said = true;
	left->since_us = 7;
	TURN(1000000, "", UINT64_MAX);
	see("kept", 1, 1, true, 1000000); /* closed again, and nothing is different */
	see("left", 1, 1, true, 1000000);
	TURN(2000000, "", UINT64_MAX);
	spool_list_scan_begins(&list);
	see("kept", 1, 1, false, 2000000);
	see("left", 1, 1, false, 2000000);
	see("link", 1, 0, false, 2000000);
	spool_list_scanned(&list);
	TURN(2000000, "left", 0); /* tried again, and not told again */
	assert_true(left->said && left->error);
	assert_int_equal(left->since_us, 7); /* the rest of it may still be to come */
	/* another file under the name */
	struct spool_stamp s = stamp(1, 1, 9);
	spool_list_see(&list, "kept", &s, true, 2000000 * MS);
	spool_list_see(&list, "link", &s, true, 2000000 * MS);
	assert_int_equal(kept->standing, SPOOL_WAITS);
	assert_int_equal(link->standing, SPOOL_WAITS);
	assert_int_equal(kept->error, 0);
	s.links = 2;
	left->standing = SPOOL_LEFT;
	spool_list_see(&list, "left", &s, false, 2000000 * MS);
	assert_false(left->said);
}

static void who_is_not_seen_is_forgotten(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%03d", i * 7 % 300);
		see(name, 1, i, true, 0);
	}
	assert_int_equal(list.n, 300);
	for (size_t i = 1; i < list.n; i++)
		assert_true(strcmp(list.names[i - 1]->name, list.names[i]->name) < 0);
	spool_list_scan_begins(&list);
	see("007", 1, 1, false, 0);
	see("299", 1, 1, false, 0);
	see("new", 1, 1, false, 0);
	spool_list_scanned(&list);
	assert_int_equal(list.n, 3);
	assert_non_null(spool_list_find(&list, "007"));
	assert_null(spool_list_find(&list, "008"));
	spool_list_forget(&list, spool_list_find(&list, "007"));
	spool_list_forget(&list, spool_list_find(&list, "new"));
	assert_string_equal(list.names[0]->name, "299");
}

static void it_has_a_limit(void **state)
{
	(void)state;
	char name[16];
	struct spool_stamp s = stamp(1, 1, 1);
	for (int i = 0; i < SPOOL_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "%05d", i);
		see(name, 1, 1, true, 0);
	}
	assert_int_equal(spool_list_see(&list, "one", &s, true, 0), -ENOBUFS);
	assert_int_equal(spool_list_see(&list, "00001", &s, true, 0), 0);
	assert_int_equal(list.n, SPOOL_NAMES_MAX);
	/* what can never be read gives way, to what can be */
	struct spool_name *link = spool_list_find(&list, "00002");
	link->standing = SPOOL_LEFT;
	link->error = -EACCES;
	assert_int_equal(spool_list_see(&list, "one", &s, SPOOL_TOLD, 0), -ENOBUFS);
	link->error = -ELOOP;
	s.links = 2;
	assert_int_equal(spool_list_see(&list, "one", &s, SPOOL_TOLD, 0), -ENOBUFS);
	s.links = 1;
	assert_int_equal(spool_list_see(&list, "one", &s, SPOOL_TOLD, 0), 0);
	assert_non_null(spool_list_find(&list, "one"));
	assert_null(spool_list_find(&list, "00002"));
	assert_int_equal(list.n, SPOOL_NAMES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test_teardown(turns, empty),
		cmocka_unit_test_teardown(held_open, empty),
		cmocka_unit_test_teardown(changes, empty),
		cmocka_unit_test_teardown(what_is_settled_stays_so, empty),
		cmocka_unit_test_teardown(who_is_not_seen_is_forgotten, empty),
		cmocka_unit_test_teardown(it_has_a_limit, empty),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool_list", tests, NULL, NULL);
}
