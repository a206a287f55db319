/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules of a day: who is overdue, whose week at home is high or too thin; one alert each, that goes on and ends. */
#include "lists_rig.h"

#include "acknowledge.h"
#include "daily.h"
#include "digest.h"

static struct rig rig;

static struct alert_rule *rule(const char *id)
{
	const struct alert_rule *r = alert_rules_find(rig.gateway.rules, id);
	assert_non_null(r);
	return (struct alert_rule *)r;
}

static void set_severity(enum severity severity)
{
	static const char *const ids[] = {
		"home-week-sbp", "home-week-dbp", "overdue-htn", "overdue-t2dm", "home-missing"};
	for (size_t i = 0; i < ELEMENTS(ids); i++)
		rule(ids[i])->severity = severity;
}

/* The rules of the file are notices, which make no alert by default. */
static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	assert_int_equal(rule("overdue-htn")->severity, SEVERITY_NOTICE);
	set_severity(SEVERITY_WARNING);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static int64_t morning(const char *day)
{
	return day_begin_us(day_read(day)) + 7 * RIG_HOUR;
}

/* As the jobs of a morning do it; how many turns it took. */
static int walk(const char *day)
{
	int rc, turns = 0;
	struct digest_build *b = digest_begin(&rig.gateway, DIGEST_ALERTS, day);
	rig_script(&rig, "DELETE FROM digest"); /* the power went before this was written */
	assert_non_null(b);
	do {
		rig_script(&rig, "BEGIN IMMEDIATE");
		rc = digest_portion(b, &rig.gateway, rig.db, 0);
		rig_script(&rig, "COMMIT");
		turns += rc > 0;
	} while (rc > 0);
	assert_int_equal(rc, 0);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(digest_keep(b, &rig.gateway, rig.db, morning(day)), 0);
	rig_script(&rig, "COMMIT");
	digest_drop(b);
	return turns;
}

static void expect(const char *sql, const char *expected)
{
	char text[512];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

static void expect_alerts(const char *expected)
{
	expect("SELECT coalesce(group_concat(condition||' '||token||' '||alert.state||' '||severity||' '||"
	       "alert.revision,', '),'') FROM (SELECT * FROM alert ORDER BY condition,resident,id) alert JOIN "
	       "resident ON resident.id=alert.resident",
		expected);
}

static int64_t overdue_since(const char *token, const char *next_day)
{
	int64_t id = a_resident(&rig, token, "hypertension");
	a_visit(&rig, (struct a_visit){.resident = id,
			      .form = HTN,
			      .day = "2026-05-20",
			      .class = 1,
			      .next_day = next_day});
	return id;
}

/* overdue-htn: 30 days */
static void test_overdue(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	overdue_since("R-0002", "2026-08-21");
	assert_int_equal(
		walk("2026-09-19"), 2); /* one resident at a time, when there is no time at all */
	expect_alerts("overdue-htn R-0001 active warning 1");
	expect("SELECT (reading IS NULL)||(study IS NULL)||(place IS NULL)||json_extract(body,"
	       "'$.rules[0].id')||json_extract(body,'$.rules[0].value')||json_extract(body,"
	       "'$.rules[0].unit') FROM alert",
		"111overdue-htn30d");
	/* what the text says */
	struct uuid id = uuid_of(
		"alert", "overdue-htn|R-0001|2026-09-19", strlen("overdue-htn|R-0001|2026-09-19"));
	char hexed[33], is[80];
	hex(hexed, id.bytes, sizeof(id.bytes));
	rig_text(&rig, is, sizeof(is), "SELECT lower(hex(uuid)) FROM alert");
	assert_string_equal(is, hexed);
	walk("2026-09-19"); /* the power went: the same again */
	walk("2026-09-20");
	expect_alerts("overdue-htn R-0001 active warning 1, overdue-htn R-0002 active warning 1");
	a_visit(&rig, (struct a_visit){.resident = 1,
			      .form = HTN,
			      .day = "2026-09-20",
			      .class = 1,
			      .next_day = "2026-12-20"});
	walk("2026-09-21");
	expect_alerts("overdue-htn R-0001 inactive warning 2, overdue-htn R-0002 active warning 1");
	walk("2027-01-18"); /* the next time is another alert */
	walk("2027-01-19");
	expect_alerts("overdue-htn R-0001 inactive warning 2, overdue-htn R-0001 active warning 1, "
		      "overdue-htn R-0002 active warning 1");
}

/* Of another gateway, gone, or not what the rule is for. */
static void test_whose(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++) {
		char token[8];
		snprintf(token, sizeof(token), "R-000%d", i);
		overdue_since(token, "2026-08-01");
	}
	rig_script(&rig, "UPDATE resident SET owner='gw-other' WHERE id=1");
	rig_script(&rig, "UPDATE resident SET state='moved' WHERE id=2");
	rule("overdue-htn")->whom.age_from = 100; /* the third is 76 */
	walk("2026-10-01");
	expect_alerts("");
	rule("overdue-htn")->whom.age_from = -1;
	walk("2026-10-01");
	expect_alerts("overdue-htn R-0003 active warning 1");
}

/* Who is told: the doctor within the contract, else staff. */
static void test_contract(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-01");
	overdue_since("R-0002", "2026-08-01");
	char sql[200];
	snprintf(sql, sizeof(sql),
		"UPDATE resident SET doctor='D-0001', valid_from=%lld, valid_to=%lld",
		(long long)morning("2026-01-01"), (long long)morning("2027-01-01"));
	rig_script(&rig, sql);
	rig_script(&rig, "UPDATE resident SET valid_to=valid_from+1 WHERE id=2");
	walk("2026-10-01");
	expect("SELECT group_concat(role||' '||recipient||' '||in_contract,', ') FROM alert",
		"doctor D-0001 1, staff S-0001 0");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=1"), 2);
}

static void home(int64_t resident, const char *const days[], size_t n, int systolic, int diastolic)
{
	for (size_t d = 0; d < n; d++)
		for (int k = 0; k < 4; k++)
			a_pressure(&rig, (struct a_pressure){.resident = resident,
						 .day = days[d],
						 .systolic = systolic,
						 .diastolic = diastolic,
						 .minute = (k < 2 ? -5 * 60 : 8 * 60) + k});
}

static const char *const week[] = {"2026-09-01", "2026-09-02", "2026-09-03", "2026-09-04",
	"2026-09-05", "2026-09-06", "2026-09-07"};
static const char *const next_week[] = {"2026-09-08", "2026-09-09", "2026-09-10", "2026-09-11",
	"2026-09-12", "2026-09-13", "2026-09-14"};

/* home-week: 135/85; both rules of it are one alert */
static void test_mean(void **state)
{
	(void)state;
	int64_t id[4];
	static const int pressures[4][2] = {{134, 84}, {135, 80}, {120, 85}, {150, 95}};
	for (int i = 0; i < 4; i++) {
		char token[8];
		snprintf(token, sizeof(token), "R-000%d", i + 1);
		id[i] = a_resident(&rig, token, "");
		home(id[i], week, ELEMENTS(week), pressures[i][0], pressures[i][1]);
	}
	walk("2026-09-08");
	expect_alerts(
		"home-week R-0002 active warning 1, home-week R-0003 active warning 1, home-week "
		"R-0004 active warning 1");
	expect("SELECT group_concat(json_array_length(body,'$.rules')||json_extract(body,"
	       "'$.rules[0].value')||json_extract(body,'$.rules[0].limit'),' ') FROM alert",
		"1135135 18585 2150135");
	for (int i = 0; i < 4; i++)
		home(id[i], next_week, ELEMENTS(next_week), 120, 70);
	walk("2026-09-15");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert WHERE state='active'"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 3);
}

/* home-missing: somebody measures, and the week is too thin */
static void test_missing(void **state)
{
	(void)state;
	int64_t nobody = a_resident(&rig, "R-0001", ""), some = a_resident(&rig, "R-0002", "");
	int64_t all = a_resident(&rig, "R-0003", "");
	rule("home-week-sbp")->severity = rule("home-week-dbp")->severity = SEVERITY_NOTICE;
	home(some, week, 1, 120, 70);
	home(all, week, ELEMENTS(week), 120, 70);
	(void)nobody;
	walk("2026-09-02"); /* of `all` there is one day, too, by then */
	expect_alerts("home-missing R-0002 active warning 1, home-missing R-0003 active warning 1");
	walk("2026-09-08");
	expect_alerts(
		"home-missing R-0002 active warning 1, home-missing R-0003 inactive warning 2");
	expect("SELECT json_extract(body,'$.rules[0].value') FROM alert WHERE resident=2", "4");
	walk("2026-09-09"); /* nothing any more: nobody who measures is reminded */
	expect_alerts(
		"home-missing R-0002 inactive warning 2, home-missing R-0003 inactive warning 2");
}

/* The second rule of a condition, critical and of 60 days. */
static struct alert_rule *critical_rule(void)
{
	struct alert_rule *worse = rule("overdue-t2dm");
	memcpy(worse->condition, "overdue-htn", sizeof("overdue-htn"));
	memcpy(worse->form, "htn", sizeof("htn"));
	worse->days = 60;
	worse->severity = SEVERITY_CRITICAL;
	return worse;
}

/* Two rules of one condition: what is worse is said, and is told anew. */
static void test_levels(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	struct alert_rule *worse = critical_rule();
	walk("2026-09-19");
	expect_alerts("overdue-htn R-0001 active warning 1");
	walk("2026-10-19");
	expect_alerts("overdue-htn R-0001 active critical 2");
	expect("SELECT phase||' '||json_array_length(body,'$.rules')||json_extract(body,'$.rules[0].id') "
	       "FROM alert",
		"escalate 1overdue-t2dm");
	assert_int_equal(rig_int(&rig, "SELECT pages FROM alert"), 2); /* somebody was told anew */
	walk("2026-10-20");
	expect_alerts("overdue-htn R-0001 active critical 2");
	worse->days = 600;
	walk("2026-10-21");
	expect_alerts("overdue-htn R-0001 active critical 3");
	expect("SELECT phase||' '||level FROM alert", "deescalate 2");
}

/* Critical again after somebody acknowledged it and it was less: that is a new one. */
static void test_critical_again(void **state)
{
	(void)state;
	static const char name[] = "overdue-htn|R-0001|2026-10-19";
	const struct uuid id = uuid_of("alert", name, strlen(name));
	overdue_since("R-0001", "2026-08-20");
	struct alert_rule *worse = critical_rule();
	walk("2026-10-19");
	assert_int_equal(acknowledge_alert(&rig.gateway, rig.db, &id, "D-0001", "advised"), 1);
	walk("2026-10-20"); /* as bad as it was: nobody is told again */
	expect_alerts("overdue-htn R-0001 active critical 2");
	worse->days = 600;
	walk("2026-10-21");
	expect_alerts("overdue-htn R-0001 active critical 3");
	worse->days = 60;
	walk("2026-10-22");
	expect_alerts(
		"overdue-htn R-0001 inactive critical 4, overdue-htn R-0001 active critical 1");
	expect("SELECT group_concat(phase||' '||level||' '||labels||' '||pages,', ') FROM alert",
		"end 0 [\"superseded\"] 1, start 3 [] 1");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 1);
	walk("2026-10-23");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 2);
}

/* Over, acknowledged by nobody, and there again: it hurries again. */
static void test_active_again(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	struct alert_rule *worse = critical_rule();
	walk("2026-10-19");
	expect("SELECT (due-since)/1000000 FROM escalation", "900");
	rule("overdue-htn")->days = worse->days = 600;
	walk("2026-10-20");
	expect_alerts("overdue-htn R-0001 latched critical 2");
	expect("SELECT (due-since)/1000000 FROM escalation", "14400");
	worse->days = 60;
	walk("2026-10-21");
	expect_alerts("overdue-htn R-0001 active critical 3");
	expect("SELECT (due-since)/1000000 FROM escalation", "900");
}

/* What no rule asks for any more ends, too. */
static void test_rule_gone(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	walk("2026-09-19");
	expect_alerts("overdue-htn R-0001 active warning 1");
	memcpy(rule("overdue-htn")->condition, "another", sizeof("another"));
	rule("overdue-htn")->days = 365;
	walk("2026-09-20");
	expect_alerts("overdue-htn R-0001 inactive warning 2");
}

/* By default these are notices, and notices make no alert. */
static void test_least(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	assert_int_equal(daily_needed(&rig.gateway, rig.db), 1);
	walk("2026-09-19");
	expect_alerts("overdue-htn R-0001 active warning 1");
	set_severity(SEVERITY_NOTICE);
	assert_int_equal(daily_needed(&rig.gateway, rig.db), 1); /* there is one to be ended */
	walk("2026-09-20");
	expect_alerts("overdue-htn R-0001 inactive warning 2");
	assert_int_equal(daily_needed(&rig.gateway, rig.db), 0);
	overdue_since("R-0002", "2026-08-20");
	walk("2026-09-21");
	expect_alerts("overdue-htn R-0001 inactive warning 2");
}

/* Nobody is told to call who died, or whom another gateway looks after. */
static void test_gone(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++) {
		char token[8];
		snprintf(token, sizeof(token), "R-000%d", i);
		overdue_since(token, "2026-08-20");
	}
	walk("2026-09-19");
	rig_script(&rig, "UPDATE resident SET state='deceased' WHERE id=1");
	rig_script(&rig, "UPDATE resident SET owner='gw-other' WHERE id=2");
	walk("2026-09-20");
	expect_alerts(
		"overdue-htn R-0001 inactive warning 2, overdue-htn R-0002 inactive warning 2, "
		"overdue-htn R-0003 active warning 1");
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE id=3");
	set_severity(SEVERITY_NOTICE); /* nothing is to be judged, but one is to be ended */
	assert_int_equal(daily_needed(&rig.gateway, rig.db), 1);
	walk("2026-09-21");
	expect("SELECT count(*) FROM alert WHERE state='active'", "0");
	assert_int_equal(daily_needed(&rig.gateway, rig.db), 0);
}

/* Nobody measures it a second time: however often it is critical again, it is neither confirmed nor waits for that. */
static void test_labels(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	struct alert_rule *worse = critical_rule();
	walk("2026-09-19");
	walk("2026-10-19");
	expect("SELECT phase||labels FROM alert", "escalate[]");
	rig_script(&rig, "UPDATE alert SET critical_at=1"); /* long ago */
	worse->days = 600;
	walk("2026-10-20");
	worse->days = 60;
	walk("2026-10-21");
	expect("SELECT phase||labels FROM alert", "continue[]");
}

/* Two records that are one now: what is latched does not stand before what is to be ended. */
static void test_merged(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	overdue_since("R-0002", "2026-08-20");
	critical_rule();
	walk("2026-10-19");
	rig_script(&rig, "UPDATE alert SET resident=1, state='latched', level=0 WHERE resident=2");
	rig_script(&rig, "UPDATE resident SET state='merged' WHERE id=2");
	a_visit(&rig, (struct a_visit){.resident = 1,
			      .form = HTN,
			      .day = "2026-10-19",
			      .class = 1,
			      .next_day = "2026-12-20"});
	walk("2026-10-20");
	expect("SELECT group_concat(state||revision,' ') FROM (SELECT * FROM alert ORDER BY id)",
		"latched2 latched1");
	rig_script(&rig, "UPDATE alert SET state='active', level=3");
	walk("2026-10-21");
	expect("SELECT group_concat(state||revision,' ') FROM (SELECT * FROM alert ORDER BY id)",
		"latched3 latched2");
}

/* The contract ended after it was raised: whoever is told anew is told by what is so now. */
static void test_contract_over(void **state)
{
	(void)state;
	overdue_since("R-0001", "2026-08-20");
	critical_rule();
	char sql[200];
	snprintf(sql, sizeof(sql),
		"UPDATE resident SET doctor='D-0001', valid_from=%lld, valid_to=%lld",
		(long long)day_begin_us(day_read("2026-01-01")),
		(long long)day_begin_us(day_read("2026-10-01")));
	rig_script(&rig, sql);
	walk("2026-09-19");
	walk("2026-10-02");
	expect("SELECT role||in_contract||revision FROM alert", "doctor11");
	walk("2026-10-19");
	expect("SELECT role||in_contract||revision FROM alert", "staff02");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_overdue),
		T(test_whose),
		T(test_contract),
		T(test_mean),
		T(test_missing),
		T(test_levels),
		T(test_critical_again),
		T(test_active_again),
		T(test_rule_gone),
		T(test_least),
		T(test_gone),
		T(test_labels),
		T(test_merged),
		T(test_contract_over),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
