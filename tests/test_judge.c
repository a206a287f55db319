/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What rules say of one reading: each type at each of its edges, what holds on, what waits, several at once. */
#include "judge_rig.h"

/* types */

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *limit;
		int64_t first; /* that breaks it */
		int step;      /* on */
	} all[] = {{"at_least: 38", 38000, 1}, {"above: 38", 38001, 1}, {"at_most: 36", 36000, -1},
		{"below: 36", 35999, -1}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char text[400];
		bool upper = all[i].step > 0;
		snprintf(text, sizeof(text), ONE("kind: temp, margin: 0.3, %s"), all[i].limit);
		struct alert_rules *r = rule_good(text);
		int64_t first = all[i].first, step = all[i].step;
		one(r, "temp", first, 0, "a 2222 a:0");
		one(r, "temp", first + step, 0, "a 2222 a:0");
		one(r, "temp", first - step, 0, "a 0022");
		one(r, "temp", first - 300 * step, 0, "a 0022"); /* the margin's last */
		one(r, "temp", first - 301 * step, 0, "a 0000");
		/* HI and LO, wherever the number stands; on the other side it counts as it is */
		one(r, "temp", 37000, upper ? '>' : '<', "a 2222 a:0");
		one(r, "temp", 37000, upper ? '<' : '>', "a 0000");
		one(r, "temp", first, upper ? '<' : '>', "a 2222 a:0");
		one(r, "bp.sbp", 250000, 0, "");
		assert_int_equal(n_asked, 0); /* nobody's history is looked at for a limit */
		alert_rules_free(r);
	}
}

static void test_range(void **state)
{
	(void)state;
	struct alert_rules *r =
		rule_good(ONE("type: range, kind: temp, at_most: 35, above: 39, margin: 1"));
	one(r, "temp", 35000, 0, "a 2222 a:0");
	one(r, "temp", 35001, 0, "a 0022");
	one(r, "temp", 36000, 0, "a 0022");
	one(r, "temp", 36001, 0, "a 0000");
	one(r, "temp", 38000, 0, "a 0000");
	one(r, "temp", 38001, 0, "a 0022");
	one(r, "temp", 39000, 0, "a 0022");
	one(r, "temp", 39001, 0, "a 2222 a:0");
	one(r, "temp", 37000, '<', "a 2222 a:0");
	one(r, "temp", 37000, '>', "a 2222 a:0");
	alert_rules_free(r);
}

static void test_combination(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(ONE("type: combination, parts: [{kind: temp, above: 39}, "
					      "{kind: bp.pulse, above: 100}], within_s: 3600"));
	struct reading both = rule_reading("bp.pulse", 101000, 0);
	rule_add(&both, "temp", 39100, 0);
	told(r, &both, "a 2222 a:0 a:1");
	both.quantities[0].value.milli = 100000;
	told(r, &both, "a 0000");
	rule_past("bp.pulse", 60, 120000); /* what is here counts, not what was */
	told(r, &both, "a 0000");
	one(r, "temp", 39100, 0, "a 2222 a:0");
	one(r, "temp", 39000, 0, "a 0000");
	one(r, "temp", 36000, '>', "a 2222 a:0");
	rule_past("bp.pulse", 59, 90000); /* the latest */
	one(r, "temp", 39100, 0, "a 0000");
	n_past = 0;
	rule_past("temp", 3600, 39500); /* in either order, to the second */
	one(r, "bp.pulse", 101000, 0, "a 2222 a:0");
	past[0].ago_s = 3601;
	one(r, "bp.pulse", 101000, 0, "a 0000");
	past[0] = (struct past){"temp", 0, 38000, '>'};
	one(r, "bp.pulse", 101000, 0, "a 2222 a:0");
	past[0].ago_s = -1; /* later than this one */
	one(r, "bp.pulse", 101000, 0, "a 0000");
	alert_rules_free(r);
}

static void test_repeated(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(
		ONE("type: repeated, kind: bp.sbp, at_least: 160, k: 3, n: 4, within_s: 1000"));
	one(r, "bp.sbp", 160000, 0, "a 0000");
	rule_past("bp.sbp", 300, 160000);
	one(r, "bp.sbp", 160000, 0, "a 0000");
	rule_past("bp.sbp", 1000, 160000);
	one(r, "bp.sbp", 160000, 0, "a 2222 a:0");
	one(r, "bp.sbp", 159999, 0, "a 0000"); /* this one has to break it, and nothing holds on */
	past[1].ago_s = 1001;
	one(r, "bp.sbp", 160000, 0, "a 0000");
	past[1].ago_s = 999;
	rule_past("bp.sbp", 200, 120000);
	one(r, "bp.sbp", 160000, 0, "a 2222 a:0"); /* three of four */
	rule_past("bp.sbp", 100, 120000);
	one(r, "bp.sbp", 160000, 0, "a 0000"); /* the oldest is the fifth */
	past[3].comparator = '>';
	one(r, "bp.sbp", 160000, 0, "a 2222 a:0");
	alert_rules_free(r);
}

static void test_rise_and_fall(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(ONE("type: rise, kind: bp.sbp, at_least: 150, by: 30"));
	put_days("bp.sbp", 4, 120000);
	one(r, "bp.sbp", 170000, 0, "a 0000"); /* four are no median */
	put_days("bp.sbp", 1, 120000);
	one(r, "bp.sbp", 150000, 0, "a 2222 a:0");
	one(r, "bp.sbp", 149999, 0, "a 0000");
	for (unsigned i = 0; i < 5; i++)
		past[i].milli = 120001;
	one(r, "bp.sbp", 150000, 0, "a 0000");
	one(r, "bp.sbp", 150001, 0, "a 2222 a:0");
	past[4].ago_s = 14 * 86400; /* the fourteen days are closed at their beginning */
	one(r, "bp.sbp", 150001, 0, "a 2222 a:0");
	past[4].ago_s++;
	one(r, "bp.sbp", 150001, 0, "a 0000");
	alert_rules_free(r);

	r = rule_good(
		ONE("type: fall, kind: bp.sbp, at_most: 110, by: 30, within_s: 1000, least: 2"));
	n_past = 0;
	rule_past("bp.sbp", 10, 150000);
	one(r, "bp.sbp", 100000, 0, "a 0000");
	rule_past("bp.sbp", 1000, 130000);
	one(r, "bp.sbp", 100000, 0, "a 2222 a:0"); /* of an even number the lower one: 130 */
	one(r, "bp.sbp", 100001, 0, "a 0000");
	one(r, "bp.sbp", 111000, 0, "a 0000");
	rule_past("bp.sbp", 20, 180000);
	one(r, "bp.sbp", 110000, 0, "a 2222 a:0");
	one(r, "bp.sbp", 200000, '<', "a 0000"); /* it breaks the limit, and is no fall */
	alert_rules_free(r);
}

static void test_gain(void **state)
{
	(void)state;
	struct alert_rules *r =
		rule_good(ONE("type: gain, kind: weight, at_least: 60, by: 2, within_s: 1000"));
	one(r, "weight", 70000, 0, "a 0000");
	rule_past("weight", 1001, 60000);
	one(r, "weight", 70000, 0, "a 0000");
	rule_past("weight", 1000, 68000); /* the lowest, not the latest */
	rule_past("weight", 1, 69900);
	one(r, "weight", 70000, 0, "a 2222 a:0");
	one(r, "weight", 69999, 0, "a 0000");
	past[1].milli = 40000;
	one(r, "weight", 59990, 0, "a 0000"); /* the limit */
	alert_rules_free(r);
}

static void test_repeated_low(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(ONE("type: repeated_low, kind: \"glu.*\", at_most: 3.9, "
					      "k: 3, within_s: 86400"));
	int64_t apart_s = numbers->hypo_episode_minutes * 60;
	one(r, "glu.random", 3900, 0, "a 0000");
	rule_past("glu.fasting", apart_s, 3900); /* of another mealtime */
	one(r, "glu.random", 3900, 0, "a 0000");
	rule_past("glu.random", 2 * apart_s, 3000);
	one(r, "glu.random", 3900, 0, "a 2222 a:0");
	one(r, "glu.random", 4000, 0, "a 0000");
	past[1].ago_s--; /* one episode: less than so long between the two */
	one(r, "glu.random", 3900, 0, "a 0000");
	past[1].ago_s++;
	past[0].milli = 4000; /* not low */
	one(r, "glu.random", 3900, 0, "a 0000");
	past[0].comparator = '<';
	one(r, "glu.random", 3900, 0, "a 2222 a:0");
	/* a chain of lows is one episode, however long */
	n_past = 0;
	for (unsigned i = 1; i < 9; i++)
		rule_past("glu.random", i * (apart_s - 1), 3500);
	one(r, "glu.random", 3500, 0, "a 0000");
	rule_past("glu.random", 9 * apart_s, 3500);
	rule_past("glu.random", 10 * apart_s, 3500);
	one(r, "glu.random", 3500, 0, "a 2222 a:0");
	past[9].ago_s = 86401;
	past[8].ago_s = 86400;
	one(r, "glu.random", 3500, 0, "a 0000");
	rule_past("glu.control", 5 * 3600,
		3500); /* of the pattern, and never of a history: history.c */
	alert_rules_free(r);
}

static void test_time_below(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(
		ONE("type: time_below, kind: spo2.low_s, at_least: 900, within_s: 28800"));
	one(r, "spo2.low_s", 899000, 0, "a 0000");
	one(r, "spo2.low_s", 900000, 0, "a 2222 a:0");
	rule_past("spo2.low_s", 28800, 500000);
	rule_past("spo2.low_s", 60, 300000);
	one(r, "spo2.low_s", 100000, 0, "a 2222 a:0");
	one(r, "spo2.low_s", 99000, 0, "a 0000");
	past[0].ago_s++;
	one(r, "spo2.low_s", 100000, 0, "a 0000");
	alert_rules_free(r);
}

static void test_usual(void **state)
{
	(void)state;
	struct alert_rules *r =
		rule_good(ONE("kind: bp.sbp, at_most: 90, usual_by: 15, margin: 5"));
	one(r, "bp.sbp", 90000, 0, "a 2222 a:0"); /* nobody knows what is usual */
	put_days("bp.sbp", 5, 104000);
	one(r, "bp.sbp", 90000, 0, "a 0000");
	one(r, "bp.sbp", 89001, 0, "a 0000");
	one(r, "bp.sbp", 89000, 0, "a 2222 a:0");
	one(r, "bp.sbp", 93000, 0, "a 0000"); /* switched off, it does not hold on either */
	one(r, "bp.sbp", 90000, '<', "a 2222 a:0");
	for (unsigned i = 0; i < 5; i++)
		past[i].milli = 120000;
	one(r, "bp.sbp", 93000, 0, "a 0022");
	one(r, "bp.sbp", 96000, 0, "a 0000");
	alert_rules_free(r);
	r = rule_good(ONE("kind: bp.sbp, at_least: 160, usual_by: 15, least: 3"));
	put_days("bp.sbp", 3, 160000);
	n_past = 3;
	for (unsigned i = 0; i < 3; i++)
		past[i].milli = 160000;
	one(r, "bp.sbp", 174999, 0, "a 0000");
	one(r, "bp.sbp", 175000, 0, "a 2222 a:0");
	alert_rules_free(r);
	r = rule_good(RULE_HEAD RULE("a", "kind: \"glu.*\", at_least: 10, usual_by: 2, least: 1, "
					  "severity: warning"));
	n_past = 0;
	rule_past("glu.random", 60, 11000); /* of the value's own kind */
	one(r, "glu.random", 11000, 0, "a 0000");
	one(r, "glu.fasting", 11000, 0, "a 2222 a:0");
	alert_rules_free(r);
}

/* A history that cannot be read is no verdict. */
static void test_errors(void **state)
{
	(void)state;
	struct judgement j;
	struct reading r = rule_reading("bp.sbp", 170000, 0);
	struct alert_rules *by = rule_good(ONE("type: rise, kind: bp.sbp, at_least: 150, by: 30"));
	past_error = -5;
	assert_int_equal(run(by, &r, &j), -5);
	r.quantities[0].value.milli = 149000; /* and is not asked for nothing */
	assert_int_equal(run(by, &r, &j), 0);
	alert_rules_free(by);
}

/* Rules that look back differently far ask once, and each sees its own window. */
static void test_asks_once(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(RULE_HEAD RULE("a",
		"type: gain, condition: g, kind: weight, at_least: 1, by: 1, within_s: 100, "
		"severity: warning") RULE("b",
		"type: gain, condition: g, kind: weight, at_least: 1, by: 2, within_s: 1000, "
		"severity: warning") RULE("c",
		"type: rise, condition: g, kind: weight, at_least: 1, by: 1, least: 1, severity: "
		"warning"));
	rule_past("weight", 50, 69500);
	rule_past("weight", 500, 69000);
	rule_past("weight", 900, 68100);
	rule_past("weight", 86400, 60000);
	one(r, "weight", 70000, 0, "g 2222 c:0"); /* the median: 68.1 */
	assert_int_equal(n_asked, 1);
	past[2].milli = 68000;
	one(r, "weight", 70000, 0, "g 2222 b:0 c:0");
	past[0].milli = 69000;
	one(r, "weight", 70000, 0, "g 2222 a:0 b:0 c:0");
	past[0].ago_s = 101;
	one(r, "weight", 70000, 0, "g 2222 b:0 c:0");
	assert_int_equal(n_asked, 4);
	alert_rules_free(r);
}

/* several */

static void test_several(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(RULE_HEAD RULE("b1",
		"condition: b, kind: bp.dbp, at_least: 90, margin: 5, severity: notice") RULE("b2",
		"condition: b, kind: bp.sbp, at_least: 160, margin: 5, severity: warning") RULE("b3",
		"condition: b, kind: bp.sbp, at_least: 180, margin: 5, severity: critical") RULE("b4",
		"condition: b, kind: bp.dbp, at_least: 110, margin: 5, severity: critical")
			RULE("p", "kind: bp.pulse, at_least: 130, severity: warning"));
	struct reading x = rule_reading("bp.pulse", 80000, 0);
	rule_add(&x, "bp.dbp", 92000, 0);
	rule_add(&x, "bp.sbp", 178000, 0);
	told(r, &x, "b 2223 b2:2|p 0000"); /* in the order of the file, whatever the reading's */
	x.quantities[1].value.milli = 112000;
	told(r, &x, "b 3333 b4:1|p 0000");
	x.quantities[2].value.milli = 180000;
	told(r, &x, "b 3333 b4:1 b3:2|p 0000");
	x.quantities[1].value.milli = x.quantities[2].value.milli = 86000;
	told(r, &x, "b 0111|p 0000");
	struct judgement j;
	assert_int_equal(run(r, &x, &j), 0);
	assert_int_equal(j.conditions[0].about, 1 << 1 | 1 << 2);
	assert_int_equal(j.conditions[1].about, 1 << 0);
	one(r, "glu.random", 5000, 0, "");
	/* more than a verdict holds: not one byte too far, and the severity is right */
	struct reading many = {.kind = "test"};
	for (unsigned i = 0; i < VG_QUANTITIES_MAX; i++)
		rule_add(&many, "bp.sbp", 190000, 0);
	assert_int_equal(run(r, &many, &j), 0);
	assert_int_equal(j.conditions[0].n, JUDGED_RULES_MAX);
	assert_int_equal(j.conditions[0].fires, SEVERITY_CRITICAL);
	alert_rules_free(r);
}

static void test_waits(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(RULE_HEAD RULE(
		"s", "kind: spo2, at_most: 91, severity: critical") RULE("t",
		"kind: temp, at_most: 35, severity: critical") RULE("c",
		"type: combination, parts: [{kind: spo2, at_most: 91}, {kind: temp, "
		"at_most: 35}], within_s: 60, severity: critical") RULE("w",
		"kind: spo2, at_most: 93, severity: warning") "repeat: {flags: [motion], kinds: [\"spo2*\"], within_s: 600}\n");
	struct reading x = rule_reading("spo2", 90000, 0);
	told(r, &x, "s 3333 s:0|c 0000|w 2222 w:0");
	x.flags[x.n_flags++] = "summary";
	x.flags[x.n_flags++] = "motion";
	told(r, &x, "s 3333w s:0|c 0000|w 2222 w:0"); /* a warning waits for nothing */
	rule_add(&x, "temp", 34000, 0);
	told(r, &x, "s 3333w s:0|t 3333 t:1|c 3333 c:0 c:1|w 2222 w:0");
	alert_rules_free(r);
	r = rule_good(RULE_HEAD RULE("s", "kind: spo2, at_most: 91, severity: critical"));
	told(r, &x, "s 3333 s:0"); /* no `repeat`: nothing waits */
	alert_rules_free(r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		T(test_limits),
		T(test_range),
		T(test_combination),
		T(test_repeated),
		T(test_rise_and_fall),
		T(test_gain),
		T(test_repeated_low),
		T(test_time_below),
		T(test_usual),
		T(test_errors),
		T(test_asks_once),
		T(test_several),
		T(test_waits),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("judge", tests, rule_rig_open, rule_rig_close);
}
