/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Labels of doubt, whose a limit is, and a rule that fired as JSON. */
#include "rule_rig.h"

#include "alert_words.h"

static void labelled(const struct reading *r, enum trust trust, bool conflict, const char *expected)
{
	struct when when = {0, 0, trust};
	struct alert_doubt d = alert_label(r, &when, conflict);
	char text[600] = "";
	assert_true(d.n <= ELEMENTS(d.labels));
	for (unsigned i = 0; i < d.n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, d.labels[i]);
	}
	assert_string_equal(text, expected);
}

static void test_labels(void **state)
{
	(void)state;
	struct reading r = rule_reading("glu.random", 33300, 0);
	labelled(&r, TRUST_CORRECTED, false, "");
	labelled(&r, TRUST_DEVICE, false, "clock_uncompared");
	labelled(&r, TRUST_ARRIVAL, false, "time_of_arrival");
	labelled(&r, TRUST_UNKNOWN, false, "clock_unknown");
	labelled(&r, TRUST_CORRECTED, true, "conflict");
	r.quantities[0].comparator = '>';
	labelled(&r, TRUST_CORRECTED, false, "above_meter_range");
	r.quantities[0].comparator = '<';
	labelled(&r, TRUST_CORRECTED, false, "below_meter_range");
	rule_add(&r, "spo2", 100000, '>'); /* both are said */
	labelled(&r, TRUST_CORRECTED, false, "above_meter_range below_meter_range");
	r.flags[r.n_flags++] = "irregular_pulse";
	r.flags[r.n_flags++] = "body_movement";
	labelled(&r, TRUST_UNKNOWN, true,
		"conflict clock_unknown above_meter_range below_meter_range "
		"irregular_pulse body_movement");
	while (r.n_flags < VG_FLAGS_MAX + 1) /* all that a reading can carry */
		r.flags[r.n_flags++] = "poor_signal";
	struct when when = {0, 0, TRUST_UNKNOWN};
	assert_int_equal(alert_label(&r, &when, true).n, 4 + VG_FLAGS_MAX + 1);
}

static void test_whose(void **state)
{
	(void)state;
	struct alert_rule personal = {.personal = true, .source = "national specification"};
	assert_string_equal(alert_whose(&personal), "personal");
	assert_string_equal(alert_whose(alert_rules_find(rules, "sbp-critical-high")), "national");
	assert_string_equal(
		alert_whose(alert_rules_find(rules, "glucose-fasting-notice")), "national");
	assert_string_equal(alert_whose(alert_rules_find(rules, "sbp-rise")), "site");
}

static void said(
	const char *rule, const char *kind, int64_t milli, char comparator, const char *expected)
{
	struct json j = {0};
	struct reading r = {0};
	if (kind)
		rule_add(&r, kind, milli, comparator);
	alert_rule_json(&j, alert_rules_find(rules, rule), kind ? &r.quantities[0] : NULL);
	_cleanup_(freep) char *text = json_take(&j);
	print_message("# %s\n", text);
	assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
}

static void test_rule_json(void **state)
{
	(void)state;
	said("sbp-critical-high", "bp.sbp", 186000, 0,
		"{\"id\":\"sbp-critical-high\",\"kind\":\"bp.sbp\",\"value\":186,\"unit\":\"mm[Hg]\","
		"\"limit\":180,\"op\":\"at_least\",\"whose\":\"national\",\"text_zh\":\"");
	said("glucose-critical-low", "glu.isf", 600, '<',
		"{\"id\":\"glucose-critical-low\",\"kind\":\"glu.isf\",\"value\":0.6,\"comparator\":"
		"\"<\",\"unit\":\"mmol/L\",\"limit\":3.0,\"op\":\"below\",\"whose\":\"site\"");
	/* of a combination the limit of that part */
	said("fever-pulse", "bp.pulse", 120000, 0,
		"{\"id\":\"fever-pulse\",\"kind\":\"bp.pulse\",\"value\":120,\"unit\":\"/min\",\"limit\":"
		"100,\"op\":\"above\"");
	said("fever-pulse", "temp", 39500, 0,
		"{\"id\":\"fever-pulse\",\"kind\":\"temp\",\"value\":39.5,\"unit\":\"Cel\",\"limit\":39.0");
	said("fridge-silent", NULL, 0, 0,
		"{\"id\":\"fridge-silent\",\"unit\":\"s\",\"limit\":1800,\"whose\":\"site\"");
	said("ecg-overdue", NULL, 0, 0, "{\"id\":\"ecg-overdue\",\"whose\":\"site\"");
	struct alert_rules *was = rules;
	rules = rule_good(RULE_HEAD RULE(
		"r", "type: range, kind: resp, below: 8, at_least: 25, severity: critical"));
	said("r", "resp", 5000, 0,
		"{\"id\":\"r\",\"kind\":\"resp\",\"value\":5,\"unit\":\"/min\",\"limit\":8,\"op\":\"below\"");
	said("r", "resp", 25000, 0,
		"{\"id\":\"r\",\"kind\":\"resp\",\"value\":25,\"unit\":\"/min\",\"limit\":25,\"op\":"
		"\"at_least\"");
	alert_rules_free(rules);
	rules = was;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_rule_json),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("alert_words", tests, rule_rig_open, rule_rig_close);
}
