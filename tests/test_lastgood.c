/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The copy of good files: whole, replaced only when something differs, never half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "lastgood.h"
#include "util.h"

static char dir[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static char *in_dir(const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect(const char *name, const char *text)
{
	char got[64] = "";
	_cleanup_(fclosep) FILE *f = fopen(in_dir(name), "re");
	if (!text) {
		assert_null(f);
		return;
	}
	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = 0;
	assert_string_equal(got, text);
}

static ino_t inode(void)
{
	struct stat st;
	assert_int_equal(stat(in_dir("copy"), &st), 0);
	return st.st_ino;
}

static int save(void)
{
	return lastgood_save(
		in_dir("copy"), in_dir("vitalgate.yaml"), in_dir("tables"), in_dir("own"));
}

static int make_site(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vitalgate-lastgood-XXXXXX");
	if (!mkdtemp(dir) || mkdir(in_dir("tables"), 0755) ||
		mkdir(in_dir("tables/profiles"), 0755))
		return -1;
	put("vitalgate.yaml", "one");
	put("tables/codes.csv", "codes");
	put("tables/alerts.yaml", "rules");
	put("tables/.hidden.yaml", "no");
	put("tables/README", "no");
	put("tables/profiles/fridge.yaml", "fridge");
	return 0;
}

static int drop_site(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_whole(void **state)
{
	(void)state;
	assert_int_equal(save(), 0);
	expect("copy/vitalgate.yaml", "one");
	expect("copy/tables/codes.csv", "codes");
	expect("copy/tables/alerts.yaml", "rules");
	expect("copy/tables/profiles/fridge.yaml", "fridge");
	expect("copy/tables/.hidden.yaml", NULL);
	expect("copy/tables/README", NULL);
	assert_int_equal(access(in_dir("copy.new"), F_OK), -1);
}

static void test_only_when_it_differs(void **state)
{
	(void)state;
	assert_int_equal(save(), 0);
	ino_t first = inode();
	assert_int_equal(save(), 0);
	assert_int_equal(inode(), first);
	put("vitalgate.yaml", "two");
	assert_int_equal(save(), 0);
	assert_int_not_equal(inode(), first);
	expect("copy/vitalgate.yaml", "two");
	/* one more, one less, one changed; the site's own ones come and go */
	first = inode();
	put("tables/profiles/room.yaml", "room");
	assert_int_equal(save(), 0);
	assert_int_not_equal(inode(), first);
	expect("copy/tables/profiles/room.yaml", "room");
	assert_int_equal(unlink(in_dir("tables/profiles/fridge.yaml")), 0);
	assert_int_equal(save(), 0);
	expect("copy/tables/profiles/fridge.yaml", NULL);
	put("tables/alerts.yaml", "rulez");
	assert_int_equal(save(), 0);
	expect("copy/tables/alerts.yaml", "rulez");
	assert_int_equal(mkdir(in_dir("own"), 0755), 0);
	put("own/mine.yaml", "mine");
	assert_int_equal(save(), 0);
	expect("copy/profiles/mine.yaml", "mine");
}

/* What cannot be copied whole leaves the former copy as it is. */
static void test_never_half(void **state)
{
	(void)state;
	assert_int_equal(save(), 0);
	put("vitalgate.yaml", "two");
	assert_int_equal(unlink(in_dir("tables/codes.csv")), 0);
	assert_int_equal(mkdir(in_dir("tables/codes.csv"), 0755), 0);
	assert_int_equal(save(), -EISDIR);
	expect("copy/vitalgate.yaml", "one");
	expect("copy/tables/codes.csv", "codes");
	assert_int_equal(rmdir(in_dir("tables/codes.csv")), 0);
	/* what a power cut left behind is in nobody's way */
	put("tables/codes.csv", "codes");
	assert_int_equal(mkdir(in_dir("copy.new"), 0755), 0);
	put("copy.new/vitalgate.yaml", "half");
	assert_int_equal(save(), 0);
	expect("copy/vitalgate.yaml", "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, make_site, drop_site),
		cmocka_unit_test_setup_teardown(test_only_when_it_differs, make_site, drop_site),
		cmocka_unit_test_setup_teardown(test_never_half, make_site, drop_site),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("lastgood", tests, NULL, NULL);
}
