/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `due` and `kpi` as people ask for them: pages, days, what is refused; and what `status` counts. */
#include "command_rig.h"
#include "lists_rig.h"

#include "digest.h"

/* The items of the last answer as text: "R-0001 due htn; ..." */
static void expect_items(const char *expected)
{
	static char text[4096];
	const json_t *items = json_object_get(result(), "items"), *item;
	size_t i, len = 0;
	assert_true(json_is_array(items));
	text[0] = 0;
	json_array_foreach(items, i, item) len +=
		(size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s %s", i ? "; " : "",
			text_of(item, "resident"), text_of(item, "list"), text_of(item, "form"));
	assert_string_equal(text, expected);
}

static void expect_next(const char *expected)
{
	const json_t *next = json_object_get(result(), "next");
	assert_non_null(next);
	assert_string_equal(json_is_null(next) ? "(null)" : json_string_value(next), expected);
}

/* Due on 20 November, class 2, twice. */
static int64_t someone(const char *token)
{
	int64_t id = a_resident(&rig, token, "hypertension");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-10-20", .class = 2});
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-11-06",
			      .class = 2,
			      .next_day = "2026-11-20"});
	return id;
}

static void test_items(void **state)
{
	(void)state;
	someone("R-0001");
	ask("due", "{'day':'2026-11-20'}");
	assert_string_equal(text_of(result(), "day"), "2026-11-20");
	assert_string_equal(text_of(result(), "rules"), rig.gateway.numbers->version);
	expect_items("R-0001 due htn; R-0001 twice htn");
	expect_next("(null)");
	ask("due", "{'day':'2026-11-20','list':'twice'}");
	expect_items("R-0001 twice htn");
	ask("due", "{'day':'2026-11-20','list':'due'}");
	expect_items("R-0001 due htn");
	ask("due", "{'day':'2026-11-20','list':'recheck'}");
	expect_items("");
	ask("due", "{'day':'2026-11-12'}");
	expect_items("R-0001 twice htn");
	/* today, whenever that is */
	ask("due", "{}");
	char today[DAY_TEXT];
	assert_string_equal(text_of(result(), "day"), day_text(today, day_of(clock_utc_us())));
}

static void test_resident(void **state)
{
	(void)state;
	someone("R-0001");
	someone("R-0002");
	ask("due", "{'day':'2026-11-20','resident':'R-0002'}");
	expect_items("R-0002 due htn; R-0002 twice htn");
	expect_next("(null)");
	ask("due", "{'day':'2026-11-20','resident':'R-0003'}");
	refused("unknown_resident");
	rig_script(&rig, "UPDATE resident SET state='moved' WHERE token='R-0002'");
	ask("due", "{'day':'2026-11-20','resident':'R-0002'}");
	expect_items("");
	rig_script(&rig, "UPDATE resident SET owner='gw-0002' WHERE token='R-0001'");
	ask("due", "{'day':'2026-11-20','resident':'R-0001'}");
	expect_items("");
	ask("due", "{'day':'2026-11-20'}");
	expect_items("");
}

static void test_pages(void **state)
{
	(void)state;
	for (int i = 1; i <= 5; i++) {
		char token[16];
		snprintf(token, sizeof(token), "R-000%d", i);
		someone(token);
	}
	ask("due", "{'day':'2026-11-20','limit':1}"); /* a resident is on one page */
	expect_items("R-0001 due htn; R-0001 twice htn");
	expect_next("R-0001");
	ask("due", "{'day':'2026-11-20','limit':4,'after':'R-0001'}");
	expect_items("R-0002 due htn; R-0002 twice htn; R-0003 due htn; R-0003 twice htn");
	expect_next("R-0003");
	ask("due", "{'day':'2026-11-20','limit':1,'after':'R-0003','list':'twice'}");
	expect_items("R-0004 twice htn");
	expect_next("R-0004");
	ask("due", "{'day':'2026-11-20','after':'R-0004'}");
	expect_items("R-0005 due htn; R-0005 twice htn");
	expect_next("(null)");
	ask("due", "{'day':'2026-11-20','limit':0}"); /* at least one */
	expect_next("R-0001");
}

/* Many who are on no list: nobody waits for all of them. */
static void test_many(void **state)
{
	(void)state;
	int pages = 0;
	char args[100], next[64] = "";
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1200) INSERT "
		"INTO resident(token,programmes,changed) SELECT printf('R-%05d',i),'',0 FROM n");
	do {
		snprintf(args, sizeof(args), "{'day':'2026-11-20','after':'%s'}", next);
		ask("due", args);
		expect_items("");
		const char *to = json_string_value(json_object_get(result(), "next"));
		text_copy(next, sizeof(next), to ? to : "", to ? strlen(to) : 0);
		pages++;
	} while (next[0]);
	assert_int_equal(pages, 3);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const days[] = {"{'day':'tomorrow'}", "{'day':'2026-02-29'}",
		"{'day':20261120}", "{'day':null}", "{'list':'overdue'}", "{'list':''}",
		"{'list':1}"};
	static const char *const months[] = {"{'month':'2026'}", "{'month':'2026-13'}",
		"{'month':'2026-11-20'}", "{'month':11}", "{'month':'9999-01'}", "{'month':''}"};
	for (size_t i = 0; i < ELEMENTS(days); i++) {
		ask("due", days[i]);
		refused("bad_value");
	}
	for (size_t i = 0; i < ELEMENTS(months); i++) {
		ask("kpi", months[i]);
		refused("bad_value");
	}
}

static void test_kpi(void **state)
{
	(void)state;
	someone("R-0001");
	a_resident(&rig, "R-0002", "hypertension;t2dm");
	int64_t other = a_resident(&rig, "R-0003", "hypertension");
	assert_int_equal(
		db_run(rig.db, "UPDATE resident SET owner='gw-0002' WHERE id=?", "i", other), 1);
	ask("kpi", "{'month':'2026-10'}");
	assert_string_equal(text_of(result(), "month"), "2026-10");
	assert_string_equal(text_of(result(), "day"), "2026-10-31");
	const json_t *htn = json_object_get(result(), "htn");
	assert_int_equal(json_integer_value(json_object_get(htn, "enrolled")), 2);
	assert_int_equal(json_integer_value(json_object_get(htn, "managed")), 1);
	assert_int_equal(json_integer_value(json_object_get(htn, "visits")), 1);
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(result(), "elderly"), "enrolled")),
		2);
	ask("kpi", "{}");
	char month[DAY_TEXT];
	day_text(month, day_of(clock_utc_us()));
	month[7] = 0;
	assert_string_equal(text_of(result(), "month"), month);
}

/* More residents than one look takes. */
static void test_kpi_all(void **state)
{
	(void)state;
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200) INSERT "
		"INTO resident(token,programmes,changed) SELECT printf('R-%05d',i),'copd',0 FROM n");
	ask("kpi", "{'month':'2026-10'}");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(result(), "copd"), "enrolled")),
		200);
}

static void test_status(void **state)
{
	(void)state;
	ask("status", "{}");
	assert_null(json_object_get(json_object_get(result(), "counts"), "due"));
	rig.config.lists_due = true;
	ask("status", "{}");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(result(), "counts"), "due")), 0);
	someone("R-0001");
	struct digest_build *b = digest_begin(&rig.gateway, DIGEST_DUE, "2026-11-20");
	assert_non_null(b);
	while (digest_portion(b, &rig.gateway, rig.db, 1000000) > 0)
		;
	assert_int_equal(digest_keep(b, &rig.gateway, rig.db, RIG_NOW), 0);
	digest_drop(b);
	ask("status", "{}");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(result(), "counts"), "due")), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, command_setup, command_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_items),
		TEST(test_resident),
		TEST(test_pages),
		TEST(test_many),
		TEST(test_refused),
		TEST(test_kpi),
		TEST(test_kpi_all),
		TEST(test_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
