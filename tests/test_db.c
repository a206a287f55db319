/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The database itself: what it promises to be set to, what it refuses, how its errors are told. */
#include "gateway_rig.h"

#include "db.h"
#include "util.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void file_path(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", rig.dir, name);
}

static void reopen(int expected)
{
	db_close(TAKE(rig.db));
	assert_int_equal(db_open(rig.dir, &rig.db), expected);
}

/* Without these, what was acknowledged would not survive a power cut (P1). */
static void test_settings(void **state)
{
	(void)state;
	char mode[16];
	for (int round = 0; round < 2; round++) {
		rig_text(&rig, mode, sizeof(mode), "PRAGMA journal_mode");
		assert_string_equal(mode, "wal");
		assert_int_equal(rig_int(&rig, "PRAGMA synchronous"), 2);
		assert_int_equal(rig_int(&rig, "PRAGMA application_id"), 0x56474154);
		assert_int_equal(rig_int(&rig, "PRAGMA user_version"), DB_SCHEMA);
		assert_int_equal(rig_int(&rig, "PRAGMA page_size"), 4096);
		assert_int_equal(rig_int(&rig, "PRAGMA auto_vacuum"), 2);
		assert_int_equal(rig_int(&rig, "PRAGMA secure_delete"), 1);
		assert_int_equal(rig_int(&rig, "PRAGMA trusted_schema"), 0);
		reopen(0);
	}
}

static void test_newer_and_foreign(void **state)
{
	(void)state;
	struct db *none = (struct db *)1;
	rig_script(&rig, "PRAGMA user_version=999");
	db_close(TAKE(rig.db));
	assert_int_equal(db_open(rig.dir, &none), -ENOTSUP);
	assert_ptr_equal(none, (struct db *)1);
	assert_int_equal(db_open(rig.dir, &none), -ENOTSUP); /* and nothing was changed by it */
}

static void test_another_program(void **state)
{
	(void)state;
	rig_script(&rig, "PRAGMA application_id=1");
	reopen(-ENOTSUP);
}

static void spoil(const char *name, off_t at, size_t len)
{
	char path[96];
	uint8_t noise[4096];
	file_path(path, sizeof(path), name);
	memset(noise, 0xa5, sizeof(noise));
	_cleanup_(closep) int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, noise, len, at), len);
}

static void test_damage_is_seen(void **state)
{
	(void)state;
	db_close(TAKE(rig.db));
	spoil("vitalgate.db", 0, 16); /* no SQLite file any more */
	assert_int_equal(db_open(rig.dir, &rig.db), -EUCLEAN);
}

static void test_damaged_page(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		assert_int_equal(
			db_run(rig.db, "INSERT INTO audit(at,author,action) VALUES(?,?,?)", "itt",
				(int64_t)i, "D-0001", "a word that fills the pages"),
			1);
	int64_t pages = rig_int(&rig, "PRAGMA page_count");
	db_close(TAKE(rig.db));
	spoil("vitalgate.db", (pages - 2) * 4096, 4096);
	assert_int_equal(db_open(rig.dir, &rig.db), -EUCLEAN);
}

/* A hundred damaged copies: never a crash, and what opens can be read to its end or says -EUCLEAN. */
static void test_random_damage(void **state)
{
	(void)state;
	char path[96], wal[96];
	for (int i = 0; i < 200; i++)
		db_run(rig.db, "INSERT INTO audit(at,author,action) VALUES(?,?,?)", "itt",
			(int64_t)i, "D-0001", "ack");
	db_close(TAKE(rig.db));
	file_path(path, sizeof(path), "vitalgate.db");
	file_path(wal, sizeof(wal), "vitalgate.db-wal");
	_cleanup_(closep) int fd = open(path, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);
	_cleanup_(freep) uint8_t *good = malloc((size_t)size);
	assert_int_equal(pread(fd, good, (size_t)size, 0), size);
	srandom(20261121);
	unsigned refused = 0;
	for (int i = 0; i < 100; i++) {
		uint8_t noise[512];
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)random();
		off_t at = random() % (size - (off_t)sizeof(noise));
		assert_int_equal(pwrite(fd, noise, sizeof(noise), at), sizeof(noise));
		struct db *db = NULL;
		int rc = db_open(rig.dir, &db);
		assert_true(rc == 0 || rc == -EUCLEAN || rc == -ENOTSUP);
		refused += rc < 0;
		if (rc == 0) {
			_cleanup_(row_endp) struct row *r =
				db_query(db, "SELECT id,author FROM audit", "");
			while ((rc = row_next(r)) > 0)
				;
			assert_true(rc == 0 || rc == -EUCLEAN);
		}
		db_close(db);
		unlink(wal);
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(pwrite(fd, good, (size_t)size, 0), size);
	}
	print_message("# %u of 100 damaged copies were refused\n", refused);
	assert_true(refused > 10);
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
}

static void test_errors(void **state)
{
	(void)state;
	struct db *none;
	assert_int_equal(db_run(rig.db, "INSERT INTO device(name,driver,address) VALUES(?,?,?)",
				 "ttt", "cuff-1", "x", "y"),
		-EEXIST);
	assert_int_equal(db_run(rig.db, "INSERT INTO mark(device,key,value) VALUES(?,?,?)", "itb",
				 (int64_t)1, "k", NULL, (size_t)0),
		-EEXIST); /* NOT NULL is a constraint, too */
	assert_non_null(strstr(db_error(rig.db), "NOT NULL"));
	assert_int_equal(db_open("/nowhere/at/all", &none), -ENOENT);
	rig_script(&rig, "PRAGMA query_only=1");
	assert_int_equal(db_run(rig.db, "DELETE FROM audit", ""), -EROFS);
	rig_script(&rig, "PRAGMA query_only=0");
	assert_int_equal(db_int(rig.db, 42, "SELECT id FROM audit", ""), 42);
	assert_int_equal(db_int(rig.db, 43, "SELECT max(id) FROM audit", ""), 43);
}

static void test_busy(void **state)
{
	(void)state;
	struct db *other;
	assert_int_equal(db_open(rig.dir, &other), 0);
	assert_int_equal(db_script(other, "BEGIN IMMEDIATE"), 0);
	assert_int_equal(db_script(rig.db, "BEGIN IMMEDIATE"), -EBUSY); /* after two seconds */
	assert_int_equal(db_script(other, "ROLLBACK"), 0);
	db_close(other);
	assert_int_equal(db_script(rig.db, "BEGIN IMMEDIATE; COMMIT"), 0);
}

/* RLIMIT_FSIZE ends the growth of files as a full disk does, for this process alone. */
static void test_no_space(void **state)
{
	(void)state;
	struct rlimit was, tight = {128 * 4096, RLIM_INFINITY};
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	int rc = 0;
	unsigned stored = 0;
	for (int i = 0; i < 1000 && rc >= 0; i++) {
		rc = db_run(rig.db, "INSERT INTO audit(at,author,action) VALUES(?,?,?)", "itt",
			(int64_t)i, "S-0001", "fill");
		stored += rc >= 0;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_true(rc == -ENOSPC || rc == -EIO);
	assert_true(stored > 3);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM audit"), stored);
	assert_int_equal(
		db_run(rig.db, "INSERT INTO audit(at,author,action) VALUES(1,'x','after')", ""), 1);
	char text[32];
	rig_text(&rig, text, sizeof(text), "PRAGMA integrity_check");
	assert_string_equal(text, "ok");
}

/* A statement is prepared once and found again; many of them live side by side. */
static void test_statements(void **state)
{
	(void)state;
	static const char *const sql[] = {"SELECT 1+?", "SELECT 2+?", "SELECT 3+?", "SELECT 4+?"};
	for (int64_t round = 0; round < 1000; round++)
		for (size_t i = 0; i < ELEMENTS(sql); i++)
			assert_int_equal(
				db_int(rig.db, -1, sql[i], "i", round), round + (int64_t)i + 1);
	/* two at once, one inside the other */
	_cleanup_(row_endp) struct row *outer =
		db_query(rig.db, "SELECT 1 UNION SELECT 2 ORDER BY 1", "");
	for (int64_t i = 1; i <= 2; i++) {
		assert_int_equal(row_next(outer), 1);
		assert_int_equal(row_int(outer, 0), i);
		assert_int_equal(db_int(rig.db, -1, sql[0], "i", i), i + 1);
	}
	assert_int_equal(row_next(outer), 0);
}

static void test_bindings(void **state)
{
	(void)state;
	int64_t seven = 7;
	_cleanup_(row_endp) struct row *r = db_query(rig.db, "SELECT ?,?,?,?,?,?,?", "itbpnpt",
		INT64_MIN, "text", "\0\1", (size_t)2, &seven, NULL, (const char *)NULL);
	size_t len;
	assert_int_equal(row_next(r), 1);
	assert_true(row_int(r, 0) == INT64_MIN);
	assert_string_equal(row_text(r, 1), "text");
	assert_memory_equal(row_blob(r, 2, &len), "\0\1", 2);
	assert_int_equal(len, 2);
	assert_int_equal(row_int(r, 3), 7);
	assert_true(row_null(r, 4) && row_null(r, 5) && row_null(r, 6));
	assert_null(row_text(r, 6));
}

static void test_checkpoint(void **state)
{
	(void)state;
	char path[96];
	struct stat st;
	assert_false(db_checkpoint(rig.db, false));
	rig_script(&rig, "BEGIN");
	for (int i = 0; i < 1200; i++)
		db_run(rig.db,
			"INSERT INTO event(uuid,type,at,raw) VALUES(randomblob(16),'x',1,zeroblob(4000))",
			"");
	rig_script(&rig, "COMMIT");
	file_path(path, sizeof(path), "vitalgate.db");
	assert_int_equal(stat(path, &st), 0);
	off_t before = st.st_size; /* no commit of ours moves pages by itself */
	assert_true(before < 100 * 4096);
	assert_true(db_checkpoint(rig.db, false));
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 1200 * 4000);
	assert_false(db_checkpoint(rig.db, false));
	assert_true(db_checkpoint(rig.db, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer_and_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_program, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statements, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bindings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
