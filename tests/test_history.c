/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was measured before, from the store: whose, of which kinds, which times, in which order, and by which index. */
#include "gateway_rig.h"

#include "history.h"

static struct rig rig;
static int64_t n_rows;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	n_rows = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* A value of the reading `row`. */
static void put(int64_t resident, const char *kind, int64_t taken_us, int64_t row, int64_t milli,
	const char *comparator, const char *trust)
{
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO evidence(resident,kind,taken,reading,milli,decimals,comparator,"
			"trust,tables_version) VALUES(?,?,?,?,?,0,?,?,'t')",
			"itiiitt", resident, kind, taken_us, row, milli, comparator, trust),
		1);
}

static void add(const char *kind, int64_t taken_us, int64_t milli)
{
	put(1, kind, taken_us, ++n_rows, milli, NULL, "corrected");
}

/* "110 120< 130": milli / 1000, in the order that is told. */
static void expect_before(int64_t row, const char *pattern, int64_t from_us, int64_t to_us,
	size_t max, const char *expected)
{
	struct history_db of = {rig.db, rig.gateway.codes, 1, row};
	struct history h = history_of(&of);
	struct history_value values[HISTORY_MAX];
	char text[4000] = "";
	size_t n = 99, used = 0;
	assert_int_equal(h.values(h.arg, pattern, from_us, to_us, values, max, &n), 0);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%lld%s", i ? " " : "",
			(long long)values[i].milli / 1000,
			values[i].comparator == '<'   ? "<"
			: values[i].comparator == '>' ? ">"
						      : "");
	print_message("# %s: %s\n", pattern, text);
	assert_string_equal(text, expected);
}

static void test_which(void **state)
{
	(void)state;
	add("bp.sbp", 100, 100000);
	add("bp.sbp", 200, 120000);
	add("bp.dbp", 200, 80000);
	add("bp.sbp", 300, 130000);
	put(2, "bp.sbp", 250, ++n_rows, 170000, NULL, "corrected"); /* another's */
	put(1, "bp.sbp", 400, ++n_rows, 140000, "<", "live");
	put(1, "bp.sbp", 410, ++n_rows, 141000, ">", "corrected");
	static const char *const doubted[] = {"device", "arrival", "unknown"};
	for (size_t i = 0; i < ELEMENTS(doubted); i++)
		put(1, "bp.sbp", 250, ++n_rows, 200000, NULL, doubted[i]);
	expect_before(0, "bp.sbp", 0, 1000, 64, "141> 140< 130 120 100");
	expect_before(0, "bp.sbp", 100, 300, 64, "130 120 100"); /* closed at both ends */
	expect_before(0, "bp.sbp", 101, 299, 64, "120");
	expect_before(4, "bp.sbp", 0, 1000, 64, "141> 140< 120 100"); /* without its own */
	expect_before(0, "bp.sbp", 0, 1000, 2, "141> 140<");
	expect_before(0, "bp.map", 0, 1000, 64, "");
	expect_before(0, "bp.*", 0, 350, 64, "130 80 120 100");
	struct history_db nobody = {rig.db, rig.gateway.codes, 0, 0};
	struct history h = history_of(&nobody);
	struct history_value v[4];
	size_t n = 9;
	assert_int_equal(h.values(h.arg, "bp.sbp", 0, 1000, v, 4, &n), 0);
	assert_int_equal(n, 0);
}

static void test_pattern(void **state)
{
	(void)state;
	static const char *const kinds[] = {
		"glu.random", "glu.fasting", "glu.isf", "glu.postprandial_2h"};
	for (unsigned i = 0; i < 20; i++)
		add(kinds[i * 7 % 4], 100 + 10 * i, 5000 + 1000 * i);
	put(1, "glu.control", 155, ++n_rows, 99000, NULL, "corrected"); /* nobody's blood */
	expect_before(
		0, "glu.*", 0, 1000, 64, "24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5");
	expect_before(0, "glu.*", 120, 160, 64, "11 10 9 8 7");
	expect_before(0, "glu.*", 0, 1000, 3, "24 23 22");
	expect_before(0, "glu.*", 0, 1000, 1, "24");
	expect_before(20, "glu.*", 0, 1000, 3, "23 22 21");
	expect_before(0, "lipid.*", 0, 1000, 3, "");
}

/* Of one instant: those filed later come first, by when they were first filed. */
static void test_equal_times(void **state)
{
	(void)state;
	rig_script(&rig,
		"INSERT INTO reading(id,uuid,revision,status,kind,device,evidence,grade,in_contract,test,"
		"arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,content,raw,driver,"
		"tables_version,committed_boot_us) SELECT column1,column2,column3,'final','glucose',1,"
		"'x','none',0,0,5,x'00',5,100,0,'corrected','{}',x'02',x'03','d','t',5 FROM (VALUES "
		"(1,x'01',1),(2,x'02',1),(3,x'03',1),(4,x'01',2))");
	put(1, "glu.random", 100, 2, 2000, NULL, "corrected");
	put(1, "glu.fasting", 100, 3, 3000, NULL, "corrected");
	put(1, "glu.random", 100, 4, 1000, NULL, "corrected"); /* the first one, revised */
	put(1, "glu.random", 50, 1, 9000, NULL, "corrected");
	expect_before(0, "glu.random", 0, 1000, 64, "2 1 9");
	expect_before(0, "glu.*", 0, 1000, 64, "3 2 1 9");
}

static void test_most(void **state)
{
	(void)state;
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<700) INSERT INTO "
		"evidence SELECT 1,CASE i%2 WHEN 0 THEN 'glu.random' ELSE 'glu.fasting' END,i,i,i*1000,0,"
		"NULL,'live','t' FROM n");
	struct history_db of = {rig.db, rig.gateway.codes, 1, 0};
	struct history h = history_of(&of);
	struct history_value v[HISTORY_MAX];
	size_t n;
	assert_int_equal(h.values(h.arg, "glu.*", 0, 1000, v, HISTORY_MAX, &n), 0);
	assert_int_equal(n, HISTORY_MAX);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(v[i].taken_us, 700 - i);
	assert_int_equal(h.values(h.arg, "glu.random", 0, 1000, v, HISTORY_MAX, &n), 0);
	assert_int_equal(n, 350);
}

static void test_overtaken(void **state)
{
	(void)state;
	struct history_db of = {rig.db, rig.gateway.codes, 1, 99};
	add("bp.sbp", 100, 120000);
	add("glu.fasting", 100, 5000);
	put(1, "spo2", 100, 99, 95000, NULL, "corrected");	   /* its own */
	put(1, "temp", 100, ++n_rows, 36000, NULL, "device");	   /* nobody knows */
	put(2, "weight", 100, ++n_rows, 36000, NULL, "corrected"); /* another's */
	put(1, "glu.control", 500, ++n_rows, 6000, NULL, "live");
	assert_int_equal(history_overtaken(&of, "bp.sbp", 99, 1000), 1);
	assert_int_equal(history_overtaken(&of, "bp.sbp", 100, 1000), 0);
	assert_int_equal(history_overtaken(&of, "bp.dbp", 99, 1000), 0);
	assert_int_equal(history_overtaken(&of, "glu.fasting", 99, 1000), 1);
	assert_int_equal(history_overtaken(&of, "glu.random", 99, 1000), 1); /* any blood glucose */
	assert_int_equal(history_overtaken(&of, "glu.random", 100, 1000), 0);
	assert_int_equal(history_overtaken(&of, "spo2", 99, 1000), 0);
	assert_int_equal(history_overtaken(&of, "temp", 99, 1000), 0);
	assert_int_equal(history_overtaken(&of, "weight", 99, 1000), 0);
	/* what is not yet overtakes nobody, beyond ten minutes */
	add("pulse", 600 * CLOCK_SECOND_US + 101, 70000);
	assert_int_equal(history_overtaken(&of, "pulse", 99, 100), 0);
	assert_int_equal(history_overtaken(&of, "pulse", 99, 101), 1);
	of.resident = 0;
	assert_int_equal(history_overtaken(&of, "bp.sbp", 99, 1000), 0);
}

/* However much is stored: one resident, one kind, and the time between. */
static void test_index(void **state)
{
	(void)state;
	_cleanup_(row_endp) struct row *r = db_query(rig.db,
		"EXPLAIN QUERY PLAN SELECT taken,milli,comparator,reading,rowid FROM evidence WHERE "
		"resident=1 AND kind='bp.sbp' AND taken BETWEEN 2 AND 3 AND trust IN "
		"('corrected','live') AND reading<>4 ORDER BY taken DESC LIMIT 5",
		"");
	assert_int_equal(row_next(r), 1);
	assert_string_equal(row_text(r, 3),
		"SEARCH evidence USING COVERING INDEX evidence_resident (resident=? AND kind=? AND taken>? AND "
		"taken<?)");
	assert_int_equal(row_next(r), 0); /* no sorting */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_which),
		T(test_pattern),
		T(test_equal_times),
		T(test_most),
		T(test_overtaken),
		T(test_index),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
