/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For whom lists are made, in pages. */
#include "lists_rig.h"

#include "owned.h"

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

static void test_who(void **state)
{
	(void)state;
	static const char *const gone[] = {
		"deceased", "moved", "withdrawn", "unlisted", "merged", "erased"};
	struct owned who[OWNED_PAGE];
	char token[16];
	a_resident(&rig, "R-0003", "");
	a_resident(&rig, "R-0001", "hypertension");
	int64_t other = a_resident(&rig, "R-0002", "hypertension");
	assert_int_equal(owned_next(rig.db, "gw-0001", "", who), 3);
	assert_string_equal(who[0].token, "R-0001");
	assert_string_equal(who[0].programmes, "hypertension");
	assert_string_equal(who[0].birth, LISTS_BIRTH);
	assert_string_equal(who[2].token, "R-0003");
	assert_int_equal(owned_next(rig.db, "gw-0001", "R-0001", who), 2);
	assert_string_equal(who[0].token, "R-0002");
	/* elsewhere, and named here */
	assert_int_equal(
		db_run(rig.db, "UPDATE resident SET owner='gw-0002' WHERE id=?", "i", other), 1);
	assert_int_equal(owned_next(rig.db, "gw-0001", "", who), 2);
	assert_int_equal(owned_one(rig.db, "gw-0001", "R-0002", who), 0);
	assert_int_equal(owned_next(rig.db, "gw-0002", "", who), 3);
	for (size_t i = 0; i < ELEMENTS(gone); i++) {
		snprintf(token, sizeof(token), "R-1%zu", i);
		int64_t id = a_resident(&rig, token, "hypertension");
		assert_int_equal(
			db_run(rig.db, "UPDATE resident SET state=? WHERE id=?", "ti", gone[i], id),
			1);
		assert_int_equal(owned_one(rig.db, "gw-0001", token, who), 0);
	}
	assert_int_equal(owned_next(rig.db, "gw-0001", "", who), 2);
	assert_int_equal(owned_one(rig.db, "gw-0001", "R-9999", who), 0);
}

static void test_pages(void **state)
{
	(void)state;
	struct owned who[OWNED_PAGE];
	char token[16], after[64] = "";
	int n, seen = 0;
	for (int i = 0; i < 2 * OWNED_PAGE + 3; i++) {
		snprintf(token, sizeof(token), "R-%04d", i);
		a_resident(&rig, token, "");
	}
	while ((n = owned_next(rig.db, "gw-0001", after, who)) > 0) {
		for (int i = 0; i < n; i++, seen++) {
			snprintf(token, sizeof(token), "R-%04d", seen);
			assert_string_equal(who[i].token, token);
		}
		memcpy(after, who[n - 1].token, sizeof(after));
	}
	assert_int_equal(n, 0);
	assert_int_equal(seen, 2 * OWNED_PAGE + 3);
}

static void test_programmes(void **state)
{
	(void)state;
	struct owned who = {.programmes = "hypertension;t2dm"};
	assert_true(owned_in(&who, "hypertension"));
	assert_true(owned_in(&who, "t2dm"));
	assert_false(owned_in(&who, "copd"));
	assert_false(owned_in(&who, "hyper"));
	assert_false(owned_in(&who, "t2dmx"));
	assert_false(owned_in(&who, ""));
	struct owned none = {0};
	assert_false(owned_in(&none, "t2dm"));
}

static void test_contract(void **state)
{
	(void)state;
	struct owned who;
	a_resident(&rig, "R-0001", "");
	assert_int_equal(owned_one(rig.db, "gw-0001", "R-0001", &who), 1);
	assert_false(owned_in_contract(&who, day_begin_us(day_read("2026-06-01"))));
	assert_int_equal(db_run(rig.db, "UPDATE resident SET valid_from=?", "i",
				 day_begin_us(day_read("2026-01-01"))),
		1);
	assert_int_equal(owned_one(rig.db, "gw-0001", "R-0001", &who), 1);
	assert_false(owned_in_contract(&who, day_begin_us(day_read("2025-12-31"))));
	assert_true(owned_in_contract(&who, day_begin_us(day_read("2026-01-01"))));
	assert_true(owned_in_contract(&who, day_begin_us(day_read("2036-01-01"))));
	/* to the end of 31 December */
	assert_int_equal(db_run(rig.db, "UPDATE resident SET valid_to=?", "i",
				 day_begin_us(day_read("2027-01-01"))),
		1);
	assert_int_equal(owned_one(rig.db, "gw-0001", "R-0001", &who), 1);
	assert_true(owned_in_contract(&who, day_begin_us(day_read("2026-12-31"))));
	assert_false(owned_in_contract(&who, day_begin_us(day_read("2027-01-01"))));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who),
		TEST(test_pages),
		TEST(test_programmes),
		TEST(test_contract),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
