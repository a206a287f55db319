/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told in the morning: when it is wanted, that it is made once, in parts, and survives what clocks do. */
#include "lists_rig.h"

#include "digest.h"

#include <jansson.h>

static struct rig rig;

#define BOTH "lists: {due: true, kpi: true}\n"

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK BOTH);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static int64_t at(const char *text)
{
	struct vg_civil c;
	int64_t us = 0;
	assert_true(clock_civil_read(text, &c) && clock_civil_utc(&c, &us));
	return us;
}

/* "2026-11-21 2026-10" */
static void expect_wanted(const char *now, const char *expected)
{
	char due[DAY_TEXT], kpi[DAY_TEXT], text[40];
	digest_wanted(&rig.gateway, DIGEST_DUE, at(now), due);
	digest_wanted(&rig.gateway, DIGEST_KPI, at(now), kpi);
	snprintf(text, sizeof(text), "%s %s", due[0] ? due : "-", kpi[0] ? kpi : "-");
	assert_string_equal(text, expected);
}

static void test_wanted(void **state)
{
	(void)state;
	expect_wanted("2026-11-21T06:59:59", "- 2026-10");
	expect_wanted("2026-11-21T07:00:00", "2026-11-21 2026-10");
	expect_wanted("2026-11-21T23:59:59", "2026-11-21 2026-10");
	expect_wanted("2026-11-22T00:00:00", "- 2026-10");
	expect_wanted("2026-12-01T06:59:59", "- -");
	expect_wanted("2026-12-01T07:00:00", "2026-12-01 2026-11");
	expect_wanted("2027-01-01T07:00:00", "2027-01-01 2026-12");
	expect_wanted("2028-03-01T07:00:00", "2028-03-01 2028-02");
	/* a clock that is not set */
	expect_wanted("2025-12-31T12:00:00", "- -");
	expect_wanted("1970-01-05T12:00:00", "- -");
	rig.config.lists_due = false;
	expect_wanted("2026-11-21T07:00:00", "- 2026-10");
	rig.config.lists_kpi = false;
	expect_wanted("2026-11-21T07:00:00", "- -");
	rig.config.lists_due = true;
	memcpy(rig.config.lists_at, "23:59", 6);
	expect_wanted("2026-11-21T23:58:59", "- -");
	expect_wanted("2026-11-21T23:59:00", "2026-11-21 -");
	memcpy(rig.config.lists_at, "00:00", 6);
	expect_wanted("2026-11-21T00:00:00", "2026-11-21 -");
}

/* A morning hour that does not occur, and one that occurs twice. */
static void test_summer_time(void **state)
{
	(void)state;
	clock_set_zone("Europe/Berlin");
	memcpy(rig.config.lists_at, "02:30", 6);
	rig.config.lists_kpi = false;
	expect_wanted("2026-03-29T01:59:59", "- -");
	expect_wanted("2026-03-29T03:30:00", "2026-03-29 -");
	char day[DAY_TEXT];
	int64_t second = at("2026-10-25T02:30:00"), hour = 3600 * CLOCK_SECOND_US;
	digest_wanted(&rig.gateway, DIGEST_DUE, second, day);
	assert_string_equal(day, "2026-10-25");
	digest_wanted(&rig.gateway, DIGEST_DUE, second - hour, day);
	assert_string_equal(day, ""); /* the first of the two */
}

/* as its jobs do it */

static int made(enum digest_kind kind, const char *period, int64_t now)
{
	rig_script(&rig, "BEGIN IMMEDIATE");
	int rc = digest_stored(rig.db, kind, period, now);
	rig_script(&rig, "COMMIT");
	return rc;
}

static int make(enum digest_kind kind, const char *period, int64_t now)
{
	int rc, turns = 0;
	struct digest_build *b = digest_begin(&rig.gateway, kind, period);
	assert_non_null(b);
	while ((rc = digest_portion(b, &rig.gateway, rig.db, 0)) > 0)
		turns++;
	assert_int_equal(rc, 0);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(digest_keep(b, &rig.gateway, rig.db, now), 0);
	rig_script(&rig, "COMMIT");
	digest_drop(b);
	return turns;
}

static json_t *body(int64_t part)
{
	_cleanup_(row_endp) struct row *r =
		db_query(rig.db, "SELECT body FROM digest WHERE part=?", "i", part);
	assert_int_equal(row_next(r), 1);
	json_t *root = json_loads(row_text(r, 0), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	return root;
}

static int64_t number_of(const json_t *root, const char *key)
{
	const json_t *n = json_object_get(root, key);
	assert_true(json_is_integer(n));
	return json_integer_value(n);
}

/* n residents whose visit is due on 20 November */
static void due_residents(int n)
{
	char token[16];
	rig_script(&rig, "BEGIN");
	for (int i = 0; i < n; i++) {
		snprintf(token, sizeof(token), "R-%05d", i);
		int64_t id = a_resident(&rig, token, "hypertension");
		a_visit(&rig, (struct a_visit){.resident = id,
				      .form = HTN,
				      .day = "2026-08-20",
				      .class = 1,
				      .next_day = "2026-11-20"});
	}
	rig_script(&rig, "COMMIT");
}

static void test_list(void **state)
{
	(void)state;
	int64_t now = at("2026-11-20T07:00:00");
	due_residents(3);
	assert_int_equal(made(DIGEST_DUE, "2026-11-20", now), 0);
	/* one resident at a time, when there is no time at all */
	assert_int_equal(make(DIGEST_DUE, "2026-11-20", now), 3);
	assert_int_equal(made(DIGEST_DUE, "2026-11-20", now), 1);
	assert_int_equal(made(DIGEST_DUE, "2026-11-21", now), 0);
	assert_int_equal(made(DIGEST_KPI, "2026-11-20", now), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox"), 1);
	json_t *root = body(1);
	const json_t *items = json_object_get(root, "items");
	assert_int_equal(json_array_size(items), 3);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(items, 2), "resident")),
		"R-00002");
	assert_string_equal(json_string_value(json_object_get(root, "day")), "2026-11-20");
	assert_string_equal(
		json_string_value(json_object_get(root, "rules")), rig.gateway.numbers->version);
	assert_int_equal(number_of(root, "part"), 1);
	assert_int_equal(number_of(root, "parts"), 1);
	assert_int_equal(number_of(root, "total"), 3);
	const json_t *counts = json_object_get(root, "counts");
	assert_int_equal(number_of(counts, "due"), 3);
	assert_int_equal(number_of(counts, "recheck"), 0);
	json_decref(root);
}

static void test_empty(void **state)
{
	(void)state;
	make(DIGEST_DUE, "2026-11-20", at("2026-11-20T07:00:00"));
	json_t *root = body(1);
	assert_true(json_is_array(json_object_get(root, "items")));
	assert_int_equal(json_array_size(json_object_get(root, "items")), 0);
	assert_int_equal(number_of(root, "total"), 0);
	assert_int_equal(number_of(root, "parts"), 1);
	json_decref(root);
}

/* No part is longer than a message may be, none is empty, and together they are the whole list. */
static void test_parts(void **state)
{
	(void)state;
	due_residents(1700);
	make(DIGEST_DUE, "2026-11-20", at("2026-11-20T07:00:00"));
	int64_t parts = rig_int(&rig, "SELECT count(*) FROM digest");
	assert_int_equal(parts, 3);
	assert_true(rig_int(&rig, "SELECT max(length(body)) FROM digest") < OUTBOX_PACK_BYTES);
	int next = 0;
	for (int64_t i = 1; i <= parts; i++) {
		char token[16];
		size_t k;
		const json_t *item;
		json_t *root = body(i);
		assert_int_equal(number_of(root, "part"), i);
		assert_int_equal(number_of(root, "parts"), parts);
		assert_int_equal(number_of(root, "total"), 1700);
		assert_true(json_array_size(json_object_get(root, "items")) > 0);
		json_array_foreach(json_object_get(root, "items"), k, item)
		{
			snprintf(token, sizeof(token), "R-%05d", next++);
			assert_string_equal(
				json_string_value(json_object_get(item, "resident")), token);
		}
		json_decref(root);
	}
	assert_int_equal(next, 1700);
	/* each is a message of its own, behind what was read */
	rig_bp(&rig, (struct rig_bp){.sys = 120, .dia = 70});
	outbox_up(rig.gateway.outbox, rig.db, 0);
	rig_serve(&rig, clock_boot_us());
	assert_int_equal(rig.n_posted, 4);
	assert_string_equal(rig.posted[0]->topic, "up/reading");
	for (unsigned i = 1; i < 4; i++) {
		assert_string_equal(rig.posted[i]->topic, "up/due");
		assert_true(rig.posted[i]->len < OUTBOX_PACK_BYTES);
	}
}

/* A part that is full, and behind it nobody who is on a list: no part without items. */
static void test_full_part(void **state)
{
	(void)state;
	due_residents(1000);
	make(DIGEST_DUE, "2026-11-20", at("2026-11-20T07:00:00"));
	json_t *root = body(1);
	int64_t full = (int64_t)json_array_size(json_object_get(root, "items"));
	json_decref(root);
	assert_in_range(full, 500, 900);
	rig_script(&rig, "DELETE FROM digest");
	assert_true(db_run(rig.db, "UPDATE resident SET programmes='' WHERE id>?", "i", full) > 0);
	make(DIGEST_DUE, "2026-11-20", at("2026-11-20T07:00:00"));
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 1);
}

static void test_rates(void **state)
{
	(void)state;
	due_residents(3);
	assert_int_equal(make(DIGEST_KPI, "2026-10", at("2026-11-01T07:00:00")), 3);
	json_t *root = body(1);
	assert_string_equal(json_string_value(json_object_get(root, "month")), "2026-10");
	assert_string_equal(json_string_value(json_object_get(root, "day")), "2026-10-31");
	assert_int_equal(number_of(json_object_get(root, "htn"), "managed"), 3);
	json_decref(root);
	outbox_up(rig.gateway.outbox, rig.db, 0);
	rig_serve(&rig, clock_boot_us());
	assert_int_equal(rig.n_posted, 1);
	assert_string_equal(rig.posted[0]->topic, "up/kpi");
	root = json_loadb(rig.posted[0]->payload, rig.posted[0]->len, 0, NULL);
	const json_t *one = json_array_get(json_object_get(root, "rates"), 0);
	assert_int_equal(number_of(one, "revision"), 1);
	assert_int_equal(strlen(json_string_value(json_object_get(one, "id"))), 32);
	assert_string_equal(json_string_value(json_object_get(one, "month")), "2026-10");
	assert_null(strstr(rig.posted[0]->payload, "R-0")); /* no identities */
	json_decref(root);
	/* with a list behind it: a message of its own */
	assert_true(outbox_landed(rig.gateway.outbox, 0, rig.posted[0]->tag));
	rig_forget(&rig);
	make(DIGEST_DUE, "2026-11-01", at("2026-11-01T07:00:00"));
	make(DIGEST_KPI, "2026-09", at("2026-11-01T07:00:00"));
	rig_serve(&rig, clock_boot_us());
	assert_int_equal(rig.n_posted, 2);
	assert_string_equal(rig.posted[0]->topic, "up/due");
	assert_string_equal(rig.posted[1]->topic, "up/kpi");
	make(DIGEST_KPI, "2026-08", at("2026-11-01T07:00:00"));
	make(DIGEST_DUE, "2026-11-02", at("2026-11-02T07:00:00"));
	rig_serve(&rig, clock_boot_us());
	assert_int_equal(rig.n_posted, 4);
	assert_string_equal(rig.posted[2]->topic, "up/kpi");
	assert_string_equal(rig.posted[3]->topic, "up/due");
}

/* A clock that was a year ahead made lists of days that are still to come. */
static void test_clock_ahead(void **state)
{
	(void)state;
	int64_t day = 24 * RIG_HOUR, now = at("2026-11-20T07:00:00");
	make(DIGEST_DUE, "2027-11-20", at("2027-11-20T07:00:00"));
	make(DIGEST_KPI, "2027-10", at("2027-11-20T07:00:00"));
	make(DIGEST_DUE, "2026-11-21", now + day); /* no more than a day: it stays */
	assert_int_equal(made(DIGEST_DUE, "2026-11-20", now), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox"), 1);
	assert_int_equal(made(DIGEST_DUE, "2026-11-21", now), 1);
}

/* the timer */

static bool told;

static int nothing_run(struct job *job, struct db *db)
{
	(void)job;
	(void)db;
	return 0;
}

static void nothing_done(struct job *job, int result)
{
	(void)result;
	told = true;
	free(job);
}

/* Lets the store thread and the loop do what waits. */
static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		struct job *job = calloc(1, sizeof(*job));
		assert_non_null(job);
		job->run = nothing_run;
		job->done = nothing_done;
		told = false;
		store_submit(rig.gateway.store, job);
		rig_wait(&rig, &told);
	}
}

static void test_timer(void **state)
{
	(void)state;
	struct digest *d = NULL;
	char today[DAY_TEXT], period[DAY_TEXT], expected[40];
	if (!clock_plausible(clock_utc_us()))
		skip();
	memcpy(rig.config.lists_at, "00:00", 6);
	due_residents(200);
	rig_run_store(&rig);
	assert_int_equal(digest_new(&rig.gateway, &d), 0);
	settle();
	day_text(today, day_of(clock_utc_us()));
	digest_wanted(&rig.gateway, DIGEST_KPI, clock_utc_us(), period);
	rig_text(&rig, expected, sizeof(expected), "SELECT period FROM digest WHERE kind='due'");
	assert_string_equal(expected, today);
	rig_text(&rig, expected, sizeof(expected), "SELECT period FROM digest WHERE kind='kpi'");
	assert_string_equal(expected, period);
	/* read again, and started again: once is enough */
	digest_follow(d);
	settle();
	digest_free(d);
	assert_int_equal(digest_new(&rig.gateway, &d), 0);
	settle();
	digest_follow(NULL);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 2);
	digest_free(d);
}

/* Off, and switched on while it runs. */
static void test_off(void **state)
{
	(void)state;
	struct digest *d = NULL;
	if (!clock_plausible(clock_utc_us()))
		skip();
	memcpy(rig.config.lists_at, "00:00", 6);
	rig.config.lists_due = rig.config.lists_kpi = false;
	rig_run_store(&rig);
	assert_int_equal(digest_new(&rig.gateway, &d), 0);
	settle();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 0);
	rig.config.lists_due = true;
	digest_follow(d);
	settle();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 1);
	digest_free(d);
}

/* Of so many a rule of a day says something, and no list. */
static void overdue(int residents)
{
	if (!clock_plausible(clock_utc_us()))
		skip();
	memcpy(rig.config.lists_at, "00:00", 6);
	rig.config.lists_due = rig.config.lists_kpi = false;
	const struct alert_rule *rule = alert_rules_find(rig.gateway.rules, "overdue-htn");
	((struct alert_rule *)rule)->severity = SEVERITY_WARNING;
	((struct alert_rule *)rule)->days = 0;
	due_residents(residents);
	rig_script(&rig, "UPDATE visit SET next_day=date('now','-2 days')");
}

/* The alerts of a day need no lists, and are looked for once. */
static void test_alerts(void **state)
{
	(void)state;
	struct digest *d = NULL;
	char period[DAY_TEXT];
	overdue(200);
	rig_run_store(&rig);
	assert_int_equal(digest_new(&rig.gateway, &d), 0);
	for (int i = 0; i < 20; i++)
		settle();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 200);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest WHERE kind='alerts'"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind<>1"), 0);
	rig_script(&rig, "UPDATE visit SET next_day='2099-01-01'");
	digest_follow(d);
	settle();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert WHERE state='active'"), 200);
	digest_free(d);
	rig.config.alerts = false;
	digest_wanted(&rig.gateway, DIGEST_ALERTS, clock_utc_us(), period);
	assert_string_equal(period, "");
}

/* What fails in the middle of an alert leaves none of it, and is tried again; those of others stand. */
static void test_alerts_whole(void **state)
{
	(void)state;
	struct digest *d = NULL;
	overdue(3);
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE INSERT ON alert_history WHEN (SELECT resident FROM alert "
		"WHERE uuid=new.alert)=2 BEGIN SELECT raise(ABORT,'x'); END");
	rig_run_store(&rig);
	assert_int_equal(digest_new(&rig.gateway, &d), 0);
	settle();
	assert_int_equal(rig_int(&rig, "SELECT group_concat(resident,'') FROM alert"), 13);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 0);
	rig_script(&rig, "UPDATE resident SET state='moved' WHERE id=3");
	digest_follow(d);
	settle();
	assert_int_equal(
		rig_int(&rig, "SELECT group_concat(resident,'') FROM alert WHERE state='active'"),
		1);
	rig_script(&rig, "UPDATE resident SET state='active' WHERE id=3; DROP TRIGGER full");
	digest_follow(d);
	settle();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 3);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM digest"), 1);
	digest_free(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wanted),
		TEST(test_summer_time),
		TEST(test_list),
		TEST(test_empty),
		TEST(test_parts),
		TEST(test_full_part),
		TEST(test_rates),
		TEST(test_clock_ahead),
		TEST(test_timer),
		TEST(test_off),
		TEST(test_alerts),
		TEST(test_alerts_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
