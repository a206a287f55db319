/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file of rules as a whole: its other keys, what they are when they are not there, and files with faults. */
#include "rule_rig.h"

#define LOOSE "version: \"1\"\naccept_looser: test\naccept_looser_again: test\n"
#define A RULE("a", "kind: temp, above: 39, severity: warning")
#define FILE_OF(text) LOOSE text "\nrules:\n" A

static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *text, *line, *word;
	} all[] = {
		{"", ": ", "name: value"},
		{"- a\n", ":1: ", "name: value"},
		{"rules:\n" A, ":1: ", "\"version\" is missing"},
		{"version: \"1\"\n", ":1: ", "\"rules\" is missing"},
		{"version: \"1\"\nrules: []\n", ":2: ", "at least one rule"},
		{"version: \"1\"\nrules: 3\n", ":2: ", "at least one rule"},
		{"version: \"1\"\nrulez:\n" A, ":3: ", "unknown key \"rulez\""},
		{"version: \"1\"\n\trules:\n", ":2: ", ""},
		{RULE_HEAD "  - {id: b\n", ":", ":"},
		{RULE_HEAD A A, ":6: ", "used once"},
		{FILE_OF("least: none"), ":4: ", "notice, warning, critical"},
		{FILE_OF("least: 3"), ":4: ", "notice, warning, critical"},
		{FILE_OF("escalate: {critical_s: 0}"), ":4: ", "from 1 "},
		{FILE_OF("escalate: {again_s: 0}"), ":4: ", "from 1 "},
		{FILE_OF("escalate: {critical: 900}"), ":4: ", "unknown key"},
		{FILE_OF("late: {label_s: 600, page_s: 599}"), ":4: ", "at least label_s"},
		{FILE_OF("late: {label_s: 59}"), ":4: ", "from 60"},
		{FILE_OF("advice: []"), ":4: ", "at least one"},
		{FILE_OF("advice: [{id: x, zh: z}]"), ":4: ", "\"en\" is missing"},
		{FILE_OF("advice: [{id: x, zh: z, en: e, resident_zh: z}]"), ":4: ", "go together"},
		{FILE_OF("advice: [{id: x, zh: z, en: e}, {id: x, zh: z, en: e}]"), ":4: ", "once"},
		{FILE_OF("repeat: {flags: [a], kinds: [spo2]}"), ":4: ", "\"within_s\" is missing"},
		{FILE_OF("repeat: {flags: [a], kinds: [spo2], within_s: 9}"),
			":4: ", "from 10 to 3600"},
		{FILE_OF("repeat: {flags: [], kinds: [spo2], within_s: 60}"),
			":4: ", "flags: expected"},
		{FILE_OF("repeat: {flags: a, kinds: [spo2], within_s: 60}"),
			":4: ", "flags: expected"},
		{FILE_OF("repeat: {flags: [[a]], kinds: [spo2], within_s: 60}"),
			":4: ", "flags: expected"},
		{FILE_OF("repeat: {flags: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], "
			 "kinds: [spo2], within_s: 60}"),
			":4: ", "1 to 16"},
		{FILE_OF("repeat: {flags: [a], kinds: [spo], within_s: 60}"),
			":4: ", "found \"spo\""},
		{FILE_OF("repeat: {flags: [a], kinds: [\"env*\"], within_s: 60}"),
			":4: ", "of a person"},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char error[600] = "";
		struct alert_rules *r = rule_text(all[i].text, error, sizeof(error));
		print_message("# %s\n", error);
		assert_null(r);
		assert_int_equal(strncmp(error, all[i].line, strlen(all[i].line)), 0);
		assert_non_null(strstr(error, all[i].word));
	}
	char error[400];
	assert_null(alert_rules_load("/nonexistent/alerts.yaml", codes, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/alerts.yaml"));
	assert_non_null(strstr(error, "paths.tables")); /* the next step */
}

static void expect_times(const struct alert_rules *r, enum severity least, unsigned critical_s,
	unsigned warning_s, unsigned again_s, unsigned label_s, unsigned page_s, unsigned within_s,
	unsigned resolves_s)
{
	const struct rule_times *t = alert_times(r);
	assert_int_equal(t->least, least);
	assert_int_equal(t->critical_s, critical_s);
	assert_int_equal(t->warning_s, warning_s);
	assert_int_equal(t->again_s, again_s);
	assert_int_equal(t->label_s, label_s);
	assert_int_equal(t->page_s, page_s);
	assert_int_equal(t->within_s, within_s);
	assert_int_equal(t->resolves_s, resolves_s);
}

static void test_times(void **state)
{
	(void)state;
	expect_times(rules, SEVERITY_WARNING, 900, 14400, 14400, 600, 7200, 600, 1800);
	assert_string_equal(alert_rules_version(rules), "2026-11-5");
	struct alert_rules *r = rule_good(RULE_HEAD A);
	expect_times(r, SEVERITY_WARNING, 900, 14400, 14400, 600, 7200, 0, 1800);
	alert_rules_free(r);
	r = rule_good(FILE_OF("least: critical\nescalate: {critical_s: 60, warning_s: 61, again_s: "
			      "300}\nlate: {label_s: 62, page_s: 63}\nrepeat: {flags: [a], kinds: "
			      "[spo2], within_s: 64, resolves_s: 65}"));
	expect_times(r, SEVERITY_CRITICAL, 60, 61, 300, 62, 63, 64, 65);
	alert_rules_free(r);
	r = rule_good(FILE_OF("least: notice\nescalate: {warning_s: 61}"));
	expect_times(r, SEVERITY_NOTICE, 900, 61, 14400, 600, 7200, 0, 1800);
	alert_rules_free(r);
}

static void test_advice(void **state)
{
	(void)state;
	const struct rule_advice *a = alert_rules_advice(rules, "glucose-low");
	assert_non_null(a);
	assert_non_null(strstr(a->en, "15 g of sugar"));
	assert_non_null(strstr(a->resident_en, "15 g of sugar"));
	assert_non_null(strstr(a->zh, "15克糖"));
	assert_string_equal(alert_rules_advice(rules, "overdue")->resident_en, "");
	assert_null(alert_rules_advice(rules, "nothing"));
}

static void test_repeat(void **state)
{
	(void)state;
	static const char *const doubts[] = {"low_perfusion", "artifact", "motion", "body_movement",
		"cuff_too_loose", "improper_position"};
	struct reading r = rule_reading("spo2", 91000, 0);
	assert_null(alert_doubtful(rules, &r));
	r.flags[r.n_flags++] = "irregular_pulse";
	assert_null(alert_doubtful(rules, &r));
	r.n_flags++;
	for (size_t i = 0; i < ELEMENTS(doubts); i++) {
		r.flags[1] = doubts[i];
		assert_string_equal(alert_doubtful(rules, &r), doubts[i]);
	}
	assert_true(alert_repeats(rules, "spo2"));
	assert_true(alert_repeats(rules, "spo2.pulse"));
	assert_true(alert_repeats(rules, "bp.sbp"));
	assert_false(alert_repeats(rules, "glu.random"));
	assert_false(alert_repeats(rules, "temp"));
}

static void test_too_many(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = calloc(1, 65536);
	char error[400] = "";
	strcpy(text, RULE_HEAD);
	for (int i = 0; i <= RULES_MAX; i++)
		sprintf(text + strlen(text),
			"  - {id: r%d, condition: c, kind: temp, above: 39, severity: notice, zh: 热, "
			"en: hot, source: s}\n",
			i);
	assert_null(rule_text(text, error, sizeof(error)));
	assert_non_null(strstr(error, "at most 256 rules"));
	*strstr(text, "  - {id: r256") = 0;
	alert_rules_free(rule_good(text));
	/* conditions of readings are counted apart */
	strcpy(text, RULE_HEAD);
	for (int i = 0; i <= RULE_CONDITIONS_MAX; i++)
		sprintf(text + strlen(text),
			"  - {id: r%d, kind: temp, above: 39, severity: notice, zh: 热, en: hot, source: "
			"s}\n",
			i);
	assert_null(rule_text(text, error, sizeof(error)));
	assert_non_null(strstr(error, "at most 48 conditions"));
	strcpy(strstr(text, "  - {id: r48"),
		RULE("t", "family: technical, type: clock, for_s: 9, severity: warning"));
	alert_rules_free(rule_good(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_too_many),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rule_load", tests, rule_rig_open, rule_rig_close);
}
