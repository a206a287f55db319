/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules that are each well written, and wrong all the same: for nobody, never broken, hidden, against each other. */
#include "rule_rig.h"

#define W "severity: warning"
#define C "severity: critical"

static void refused(const char *rules_text, const char *line, const char *word)
{
	char error[600] = "", text[2000];
	snprintf(text, sizeof(text), RULE_HEAD "%s", rules_text);
	struct alert_rules *r = rule_text(text, error, sizeof(error));
	print_message("# %s\n", error);
	assert_null(r);
	assert_int_equal(strncmp(error, line, strlen(line)), 0);
	assert_non_null(strstr(error, word));
}

static void taken(const char *rules_text)
{
	char text[2000];
	snprintf(text, sizeof(text), RULE_HEAD "%s", rules_text);
	alert_rules_free(rule_good(text));
}

#define ONE(text) RULE("a", text)

static void test_alone(void **state)
{
	(void)state;
	static const struct {
		const char *rule, *word; /* NULL: it is good */
	} all[] = {
		{"kind: temp, above: 39, age_from: 65, age_below: 65, " W, "for nobody"},
		{"kind: temp, above: 39, age_from: 65, age_below: 66, " W, NULL},
		{"kind: temp, above: 39, altitude_from: 9, altitude_below: 9, " W, "for no site"},
		{"kind: temp, above: 39, altitude_from: 9, altitude_below: 10, " W, NULL},
		{"kind: temp, above: 39, trait: [copd, child], not: [pregnant, copd], " W,
			"for nobody"},
		{"kind: temp, above: 39, trait: [child], not: [pregnant, copd], " W, NULL},
		/* plausible: temp 30 to 45 */
		{"kind: temp, above: 45, " W, "nothing breaks its limit 45"},
		{"kind: temp, at_least: 45, " W, NULL},
		{"kind: temp, at_least: 45.1, " W, "plausible from 30 to 45"},
		{"kind: temp, below: 30, " W, "nothing breaks its limit 30"},
		{"kind: temp, at_most: 30, " W, NULL},
		{"kind: temp, at_least: 30, " W, "everything breaks its limit 30"},
		{"kind: temp, above: 30, " W, NULL},
		{"kind: temp, at_most: 45, " W, "everything breaks its limit 45"},
		{"kind: temp, below: 45, " W, NULL},
		{"kind: \"glu.*\", at_least: 33.4, " W, "plausible from 0.6 to 33.3"},
		{"kind: \"glu.*\", at_least: 33.3, " W, NULL},
		{"kind: glu.control, at_least: 9, " W, "never judged"},
		{"kind: glu.meal_context, at_least: 9, " W, "not a number"},
		{"kind: ecg.result, at_least: 9, " W, "not a number"},
		{"type: range, kind: temp, at_most: 38, at_least: 38, " W, "everything breaks one"},
		{"type: range, kind: temp, at_most: 37.9, at_least: 38, " W, NULL},
		{"type: range, kind: temp, at_most: 29, at_least: 38, " W,
			"nothing breaks its limit 29"},
		{"type: range, kind: temp, at_most: 35, at_least: 46, " W,
			"nothing breaks its limit 46"},
		{"type: combination, parts: [{kind: temp, above: 39}, {kind: hr, above: 300}], within_s: "
		 "60, " W,
			"nothing breaks its limit 300"},
		{"type: mean, kind: bp.sbp, at_least: 301, " W, "nothing breaks"},
		{"type: time_below, kind: spo2.low_s, at_least: 7200, within_s: 28800, " W, NULL},
		{"type: gain, kind: weight, at_least: 1, by: 2, within_s: 60, " W, NULL},
		{"type: gain, kind: weight, at_least: 1, by: 0, within_s: 60, " W, "more than 0"},
		/* sides and counts */
		{"type: rise, kind: bp.sbp, at_most: 90, by: 9, " W, "type rise takes at_least"},
		{"type: gain, kind: weight, below: 90, by: 9, within_s: 60, " W,
			"type gain takes at_least"},
		{"type: fall, kind: bp.sbp, above: 90, by: 9, " W, "type fall takes at_most"},
		{"type: repeated_low, kind: temp, above: 40, k: 2, within_s: 60, " W,
			"takes at_most"},
		{"type: time_below, kind: spo2.low_s, at_most: 40, within_s: 60, " W,
			"takes at_least"},
		{"type: repeated, kind: temp, above: 40, k: 4, n: 3, within_s: 60, " W, "4 of 3"},
		{"type: repeated, kind: temp, above: 40, k: 3, n: 3, within_s: 60, " W, NULL},
		{"kind: temp, above: 39, least: 3, " W, "least goes with usual_by"},
		{"kind: temp, above: 39, advice: rest, " W, "no advice \"rest\""},
		{"family: technical, type: battery, at_least: 15, " W, "at_most or below"},
		{"family: technical, type: battery, at_most: 100, " W, "between 0 and 100"},
		{"family: technical, type: store, at_most: 15, for_s: 9, " W, "at_least or above"},
		{"family: technical, type: store, at_least: 0, for_s: 9, " W, "between 0 and 100"},
		{"family: technical, place: room, kind: env.humidity, above: 100, " W,
			"nothing breaks"},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char text[600];
		snprintf(text, sizeof(text), ONE("%s"), all[i].rule);
		if (all[i].word)
			refused(text, ":5: rule \"a\": ", all[i].word);
		else
			taken(text);
	}
}

/* The first rule warns, the second is critical: is the first one hidden? */
static void test_hidden(void **state)
{
	(void)state;
	static const struct {
		const char *lower, *higher;
		bool hidden;
	} all[] = {
		{"kind: temp, at_least: 39", "kind: temp, at_least: 39", true},
		{"kind: temp, at_least: 39", "kind: temp, above: 39", false},
		{"kind: temp, above: 39", "kind: temp, at_least: 39", true},
		{"kind: temp, above: 39", "kind: temp, at_least: 39.001", true},
		{"kind: temp, above: 39", "kind: temp, at_least: 39.002", false},
		{"kind: temp, at_least: 39", "kind: temp, at_least: 39.1", false},
		{"kind: temp, below: 36", "kind: temp, at_most: 36", true},
		{"kind: temp, at_most: 36", "kind: temp, below: 36", false},
		{"kind: temp, at_most: 35", "kind: temp, at_most: 36", true},
		{"kind: temp, at_least: 39", "kind: hr, at_least: 100", false},
		{"kind: glu.fasting, at_least: 9", "kind: \"glu.*\", at_least: 8", true},
		{"kind: \"glu.*\", at_least: 9", "kind: glu.fasting, at_least: 8", false},
		{"kind: \"glu.*\", at_least: 9", "kind: \"glu.*\", at_least: 8", true},
		{"kind: temp, at_least: 39", "type: range, kind: temp, at_most: 35, at_least: 38",
			true},
		{"type: range, kind: temp, at_most: 35, at_least: 38", "kind: temp, at_least: 37",
			false},
		{"type: range, kind: temp, at_most: 35, at_least: 38",
			"type: range, kind: temp, at_most: 35, at_least: 38", true},
		{"kind: temp, at_least: 39", "kind: temp, at_least: 38, usual_by: 1", false},
		{"kind: temp, at_least: 39", "type: rise, kind: temp, at_least: 38, by: 1", false},
		{"type: rise, kind: temp, at_least: 39, by: 1", "kind: temp, at_least: 38", true},
		{"type: repeated, kind: temp, at_least: 39, k: 2, n: 2, within_s: 60",
			"kind: temp, at_least: 39", true},
		{"type: combination, parts: [{kind: temp, above: 39}, {kind: hr, above: 99}], within_s: 60",
			"kind: temp, above: 39", false},
		/* whom */
		{"kind: temp, at_least: 39, trait: [copd]", "kind: temp, at_least: 38", true},
		{"kind: temp, at_least: 39", "kind: temp, at_least: 38, trait: [copd]", false},
		{"kind: temp, at_least: 39, trait: [treated_diabetes]",
			"kind: temp, at_least: 38, trait: [diabetes]", true},
		{"kind: temp, at_least: 39, trait: [diabetes]",
			"kind: temp, at_least: 38, trait: [treated_diabetes]", false},
		{"kind: temp, at_least: 39, not: [child]", "kind: temp, at_least: 38, not: [child]",
			true},
		{"kind: temp, at_least: 39", "kind: temp, at_least: 38, not: [child]", false},
		{"kind: temp, at_least: 39, setting: [home]",
			"kind: temp, at_least: 38, setting: [home, clinic]", true},
		{"kind: temp, at_least: 39, setting: [home, clinic]",
			"kind: temp, at_least: 38, setting: [home]", false},
		{"kind: temp, at_least: 39", "kind: temp, at_least: 38, setting: [home]", false},
		{"kind: temp, at_least: 39, programme: [t2dm]",
			"kind: temp, at_least: 38, programme: [t2dm]", true},
		{"kind: temp, at_least: 39, population: [mental]",
			"kind: temp, at_least: 38, programme: [t2dm]", false},
		{"kind: temp, at_least: 39, age_from: 65", "kind: temp, at_least: 38, age_from: 60",
			true},
		{"kind: temp, at_least: 39, age_from: 60", "kind: temp, at_least: 38, age_from: 65",
			false},
		{"kind: temp, at_least: 39, age_below: 60",
			"kind: temp, at_least: 38, age_below: 65", true},
		{"kind: temp, at_least: 39", "kind: temp, at_least: 38, age_below: 65", false},
		{"kind: temp, at_least: 39, altitude_from: 90",
			"kind: temp, at_least: 38, altitude_from: 80", true},
		{"kind: temp, at_least: 39, altitude_below: 90",
			"kind: temp, at_least: 38, altitude_below: 80", false},
		{"kind: temp, at_least: 39, setting: [home], unknown: fires",
			"kind: temp, at_least: 38, setting: [home]", false},
		{"kind: temp, at_least: 39, setting: [home], unknown: fires",
			"kind: temp, at_least: 38, setting: [home], unknown: fires", true},
		{"kind: temp, at_least: 39, setting: [home], unknown: fires",
			"kind: temp, at_least: 38", true},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char text[900];
		snprintf(text, sizeof(text),
			RULE("a", "condition: x, %s, " W) RULE("b", "condition: x, %s, " C),
			all[i].lower, all[i].higher);
		print_message("# %s\n# %s\n", all[i].lower, all[i].higher);
		if (all[i].hidden)
			refused(text, ":5: rule \"a\": ", "whenever it fires, rule \"b\"");
		else
			taken(text);
	}
	/* in whatever order; of another condition, or of the same severity, it tells something else */
	refused(RULE("b", "condition: x, kind: temp, above: 38, " C)
			RULE("a", "condition: x, kind: temp, above: 39, " W),
		":6: rule \"a\": ", "rule \"b\"");
	taken(RULE("b", "condition: x, kind: temp, above: 38, " C)
			RULE("a", "condition: y, kind: temp, above: 39, " W));
	taken(RULE("b", "condition: x, kind: temp, above: 38, " W)
			RULE("a", "condition: x, kind: temp, above: 39, " W));
}

static void test_conditions(void **state)
{
	(void)state;
	refused(RULE("a", "condition: x, kind: temp, above: 38, " W)
			RULE("b", "condition: x, kind: temp, below: 35, " W),
		":5: rule \"a\": ", "of the other side");
	taken(RULE("a", "condition: x, kind: temp, above: 38, " W) RULE(
		"b", "condition: x, type: range, kind: resp, below: 5, above: 30, " W));
	refused(RULE("a", "condition: x, kind: temp, above: 38, " W)
			RULE("b", "condition: x, type: missing, " W),
		":5: rule \"a\": ", "judged otherwise");
	refused(RULE("a", "condition: x, kind: temp, above: 38, " W)
			RULE("x", "family: technical, type: clock, for_s: 60, " W),
		":5: rule \"a\": ", "judged otherwise");
	taken(RULE("a", "condition: x, type: overdue, form: htn, days: 9, " W)
			RULE("b", "condition: x, type: missing, " W));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_conditions),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rule_check", tests, rule_rig_open, rule_rig_close);
}
