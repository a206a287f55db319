/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is stored of a resident, as lists see it. */
#include "lists_rig.h"

#include "due_facts.h"

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

static struct owned owned(const char *token)
{
	struct owned who;
	assert_int_equal(owned_one(rig.db, "gw-0001", token, &who), 1);
	return who;
}

/* The items as text: "list form reason date days level contract; ..." */
static void expect(const char *token, const char *day, const char *expected)
{
	static char text[2048];
	struct owned who = owned(token);
	struct due_facts facts;
	struct due_item items[DUE_ITEMS_MAX];
	assert_int_equal(due_facts(rig.db, rig.gateway.numbers, &who, day_read(day), &facts), 0);
	unsigned n = due_judge(rig.gateway.numbers, &facts, day_read(day), items);
	char date[DAY_TEXT];
	size_t len = 0;
	text[0] = 0;
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s %s %s %lld %s",
			i ? "; " : "", due_lists[items[i].list],
			items[i].form ? items[i].form : "-", items[i].reason,
			day_text(date, items[i].date), (long long)items[i].days,
			items[i].level ? items[i].level : "-");
	assert_string_equal(text, expected);
}

static void test_visits(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "t2dm;hypertension");
	expect("R-0001", "2026-11-20", "");
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-08-20",
			      .class = 1,
			      .next_day = "2026-11-20"});
	expect("R-0001", "2026-11-20", "due htn planned 2026-11-20 0 due");
	/* of another day: the later one counts, in whatever order they came */
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-05-20",
			      .class = 2,
			      .next_day = "2026-06-03"});
	expect("R-0001", "2026-11-20", "due htn planned 2026-11-20 0 due");
	/* not confirmed, or in error: as if they were not there */
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-10-01",
			      .class = 2,
			      .next_day = "2026-10-15",
			      .state = "closed"});
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-10-02",
			      .class = 2,
			      .next_day = "2026-10-16",
			      .state = "entered-in-error"});
	expect("R-0001", "2026-11-20", "due htn planned 2026-11-20 0 due");
	/* of another form */
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = T2DM,
			      .day = "2026-11-01",
			      .class = 2,
			      .next_day = "2026-11-15"});
	expect("R-0001", "2026-11-20",
		"due htn planned 2026-11-20 0 due; due t2dm refollowup 2026-11-15 5 due");
	/* of the same day: the one that was opened later */
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = T2DM,
			      .day = "2026-11-01",
			      .class = 1,
			      .next_day = "2026-11-16"});
	expect("R-0001", "2026-11-20",
		"due htn planned 2026-11-20 0 due; due t2dm planned 2026-11-16 4 due");
}

static void test_twice(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-05-20", .class = 2});
	expect("R-0001", "2026-06-01", "");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = T2DM, .day = "2026-05-25", .class = 2});
	expect("R-0001", "2026-06-01", "");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-05-30", .class = 2});
	expect("R-0001", "2026-06-01", "twice htn not_controlled_twice 2026-05-30 0 -");
	a_visit(&rig,
		(struct a_visit){.resident = id, .form = HTN, .day = "2026-06-10", .class = 1});
	expect("R-0001", "2026-06-11", "");
}

static void test_plans(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "hypertension;copd");
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-08-20",
			      .class = 2,
			      .next_day = "2026-09-03"});
	a_plan(&rig, id, HTN, "2026-09-10", noon_us("2026-08-19"));
	expect("R-0001", "2026-09-10", "due htn refollowup 2026-09-03 7 yellow");
	a_plan(&rig, id, HTN, "2026-09-10", noon_us("2026-08-21"));
	a_plan(&rig, id, T2DM, "2026-09-10", noon_us("2026-08-21")); /* not enrolled */
	expect("R-0001", "2026-09-10", "due htn planned 2026-09-10 0 due");
	a_plan(&rig, id, COPD, "2026-09-11", noon_us("2026-08-21"));
	expect("R-0001", "2026-09-10",
		"due htn planned 2026-09-10 0 due; due copd planned 2026-09-11 -1 ahead");
}

static void test_referrals(void **state)
{
	(void)state;
	static const struct {
		const char *referral, *result;
		bool listed;
	} all[] = {{"[\"bp_urgent\"]", NULL, true}, {"[\"bp_urgent\"]", "", true},
		{"[\"bp_urgent\"]", "1", false}, {"[\"bp_urgent\"]", "2", false},
		{"[]", NULL, false}, {NULL, NULL, false}, {"", NULL, false}, {"null", NULL, false},
		{"[\"a\",\"b\"]", NULL, true}, {"dizzy", NULL, true}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char token[16];
		snprintf(token, sizeof(token), "R-%04zu", i);
		int64_t id = a_resident(&rig, token, "elderly");
		a_visit(&rig, (struct a_visit){.resident = id,
				      .form = ELDERLY,
				      .day = "2026-08-20",
				      .class = 0,
				      .next_day = NULL,
				      .referral = all[i].referral,
				      .referral_result = all[i].result});
		expect(token, "2026-09-03",
			all[i].listed ? "referral_result elderly referral_result 2026-09-03 0 due"
				      : "");
	}
}

static void test_contact(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "hypertension");
	struct a_pressure p = {
		.resident = id, .day = "2026-01-01", .systolic = 120, .diastolic = 70};
	a_pressure(&rig, p);
	expect("R-0001", "2026-06-30", "");
	expect("R-0001", "2026-07-01", "no_contact - no_contact 2026-06-30 1 due");
	/* what is no contact */
	struct a_pressure no[] = {p, p, p, p, p};
	no[0].trust = "device";
	no[1].trust = "arrival";
	no[2].trust = "unknown";
	no[3].superseded = true;
	no[4].status = "entered-in-error";
	for (size_t i = 0; i < ELEMENTS(no); i++) {
		no[i].day = "2026-02-01";
		a_pressure(&rig, no[i]);
	}
	expect("R-0001", "2026-07-01", "no_contact - no_contact 2026-06-30 1 due");
	rig_script(&rig, "UPDATE reading SET test=1 WHERE taken<1767300000000000");
	expect("R-0001", "2026-07-01", ""); /* nothing is known of anybody's */
	p.trust = "corrected";
	p.day = "2026-01-03";
	a_pressure(&rig, p);
	expect("R-0001", "2026-07-03", "no_contact - no_contact 2026-07-02 1 due");
	/* a visit is one, too */
	a_visit(&rig, (struct a_visit){.resident = id, .form = COPD, .day = "2026-01-02"});
	expect("R-0001", "2026-07-03", "no_contact - no_contact 2026-07-02 1 due");
	a_visit(&rig,
		(struct a_visit){
			.resident = id, .form = COPD, .day = "2026-01-04", .state = "closed"});
	expect("R-0001", "2026-07-03", "no_contact - no_contact 2026-07-02 1 due");
	a_visit(&rig, (struct a_visit){.resident = id, .form = COPD, .day = "2026-01-04"});
	expect("R-0001", "2026-07-03", "");
	expect("R-0001", "2026-07-04", "no_contact - no_contact 2026-07-03 1 due");
}

static void test_recheck(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "t2dm");
	struct a_pressure high = {
		.resident = id, .day = "2026-11-10", .systolic = 150, .diastolic = 80};
	/* not usable, not trusted: none of them opens it */
	struct a_pressure no[] = {high, high, high, high, high, high, high};
	no[0].flag = "body_movement";
	no[1].flag = "cuff_too_loose";
	no[2].flag = "improper_position";
	no[3].trust = "device";
	no[4].comparator = ">";
	no[5].superseded = true;
	no[6].trust = "arrival";
	for (size_t i = 0; i < ELEMENTS(no); i++)
		a_pressure(&rig, no[i]);
	expect("R-0001", "2026-11-10", "");
	/* the mean of the day counts what came before the high one, too */
	a_pressure(&rig, (struct a_pressure){.resident = id,
				 .day = "2026-11-11",
				 .systolic = 120,
				 .diastolic = 80,
				 .minute = -90});
	a_pressure(&rig, (struct a_pressure){.resident = id,
				 .day = "2026-11-11",
				 .systolic = 150,
				 .diastolic = 80,
				 .flag = "irregular_pulse"});
	expect("R-0001", "2026-11-11", ""); /* 135 */
	a_pressure(&rig, (struct a_pressure){.resident = id,
				 .day = "2026-11-11",
				 .systolic = 150,
				 .diastolic = 80,
				 .minute = 1});
	expect("R-0001", "2026-11-11", "recheck - open 2026-11-11 1 -"); /* 140 */
	/* the same words, and not a flag */
	rig_script(&rig, "UPDATE reading SET body=replace(body,'\"notes\":{}',"
			 "'\"notes\":{\"body_movement\":\"no\"}') WHERE body LIKE '%irregular%'");
	expect("R-0001", "2026-11-11", "recheck - open 2026-11-11 1 -");
	expect("R-0001", "2026-11-10", "");
	a_pressure(&rig,
		(struct a_pressure){
			.resident = id, .day = "2026-11-12", .systolic = 120, .diastolic = 90});
	a_pressure(&rig, (struct a_pressure){.resident = id,
				 .day = "2026-11-13",
				 .systolic = 140,
				 .diastolic = 60,
				 .trust = "corrected"});
	expect("R-0001", "2026-11-12", "recheck - open 2026-11-11 2 -");
	expect("R-0001", "2026-11-13", "recheck - likely 2026-11-11 3 -");
	expect("R-0001", "2027-05-01", "recheck - likely 2026-11-11 3 -");
	/* enrolled */
	rig_script(&rig, "UPDATE resident SET programmes='t2dm;hypertension'");
	expect("R-0001", "2026-11-13", "");
	rig_script(&rig, "UPDATE resident SET programmes='hypertensionx;t2dm'");
	expect("R-0001", "2026-11-13", "recheck - likely 2026-11-11 3 -");
	rig_script(&rig, "UPDATE resident SET birth_date='2010-01-01'");
	expect("R-0001", "2026-11-13", "");
	rig_script(&rig, "UPDATE resident SET birth_date=NULL");
	expect("R-0001", "2026-11-13", "");
}

/* A high diastolic alone, and a mean that only rounding lifts over the limit. */
static void test_recheck_first(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "");
	a_pressure(&rig,
		(struct a_pressure){
			.resident = id, .day = "2026-11-11", .systolic = 120, .diastolic = 90});
	expect("R-0001", "2026-11-11", "recheck - open 2026-11-11 1 -");
	id = a_resident(&rig, "R-0002", "");
	a_pressure(&rig,
		(struct a_pressure){
			.resident = id, .day = "2026-11-11", .systolic = 139, .diastolic = 60});
	expect("R-0002", "2026-11-11", "");
	rig_script(&rig, "UPDATE evidence SET milli=139500 WHERE milli=139000");
	expect("R-0002", "2026-11-11", "recheck - open 2026-11-11 1 -");
	rig_script(&rig, "UPDATE evidence SET milli=139499 WHERE milli=139500");
	expect("R-0002", "2026-11-11", "");
}

/* Midnight of the site, not of UTC. */
static void test_zone(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "");
	a_pressure(&rig, (struct a_pressure){.resident = id,
				 .day = "2026-11-11",
				 .systolic = 150,
				 .diastolic = 80,
				 .minute = 719}); /* 23:59 */
	expect("R-0001", "2026-11-11", "recheck - open 2026-11-11 1 -");
	a_pressure(&rig, (struct a_pressure){.resident = id,
				 .day = "2026-11-11",
				 .systolic = 150,
				 .diastolic = 80,
				 .minute = 720}); /* 00:00 */
	expect("R-0001", "2026-11-12", "recheck - open 2026-11-11 2 -");
}

/* No question walks over what is stored of others. */
static void test_indexes(void **state)
{
	(void)state;
	static const struct {
		const char *sql, *index;
	} all[] = {
		{"EXPLAIN QUERY PLAN SELECT day,class,next_day,referral,confirmed_at "
		 "FROM visit WHERE resident=1 AND form='x' AND state='confirmed' ORDER BY day "
		 "DESC,id DESC LIMIT 2",
			"SEARCH visit USING INDEX visit_resident (resident=? AND form=?)"},
		{"EXPLAIN QUERY PLAN SELECT taken FROM reading WHERE resident=1 AND superseded=0 AND "
		 "test=0 AND status<>'entered-in-error' AND trust IN ('corrected','live') ORDER BY "
		 "taken DESC LIMIT 1",
			"SEARCH reading USING INDEX reading_resident (resident=?)"},
		{"EXPLAIN QUERY PLAN SELECT taken FROM evidence WHERE resident=1 AND kind='bp.sbp' "
		 "AND taken>=5 AND milli>=139500 AND trust IN ('corrected','live') ORDER BY taken LIMIT 1",
			"SEARCH evidence USING COVERING INDEX evidence_resident (resident=? AND kind=? AND "
			"taken>?)"},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		_cleanup_(row_endp) struct row *r = db_query(rig.db, all[i].sql, "");
		assert_int_equal(row_next(r), 1);
		assert_string_equal(row_text(r, 3), all[i].index);
		assert_int_equal(row_next(r), 0); /* no sorting */
	}
}

static void test_json(void **state)
{
	(void)state;
	int64_t id = a_resident(&rig, "R-0001", "hypertension");
	assert_int_equal(db_run(rig.db, "UPDATE resident SET valid_from=?,valid_to=? WHERE id=?",
				 "iii", day_begin_us(day_read("2026-01-01")),
				 day_begin_us(day_read("2027-01-01")), id),
		1);
	struct owned who = owned("R-0001");
	struct due_item item = {LIST_DUE, "htn", "planned", day_read("2026-12-24"), -7, "ahead"};
	_cleanup_(json_free) struct json j = {0};
	json_array_begin(&j, NULL);
	due_json(&item, &who, day_read("2026-12-31"), &j);
	item = (struct due_item){LIST_RECHECK, NULL, "open", day_read("2026-12-24"), 2, NULL};
	due_json(&item, &who, day_read("2027-01-01"), &j);
	json_array_end(&j);
	assert_string_equal(json_text(&j),
		"[{\"resident\":\"R-0001\",\"list\":\"due\",\"form\":\"htn\",\"reason\":\"planned\","
		"\"date\":\"2026-12-24\",\"days\":-7,\"level\":\"ahead\",\"in_contract\":true},"
		"{\"resident\":\"R-0001\",\"list\":\"recheck\",\"form\":null,\"reason\":\"open\","
		"\"date\":\"2026-12-24\",\"days\":2,\"level\":null,\"in_contract\":false}]");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_visits),
		TEST(test_twice),
		TEST(test_plans),
		TEST(test_referrals),
		TEST(test_contact),
		TEST(test_recheck),
		TEST(test_recheck_first),
		TEST(test_zone),
		TEST(test_indexes),
		TEST(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
