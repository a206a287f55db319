/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One rule as it is written: which keys each type takes, and what is said of the others. */
#include "rule_rig.h"

#define REST "severity: warning"
#define LINE ":5: "

struct fault {
	const char *rule, *word; /* behind id, before the words; what the sentence must have */
};

static void refused(const char *text, const char *line, const char *word)
{
	char error[600] = "";
	struct alert_rules *r = rule_text(text, error, sizeof(error));
	print_message("# %s\n", error);
	assert_null(r);
	assert_int_equal(strncmp(error, line, strlen(line)), 0);
	assert_non_null(strstr(error, word));
}

static void test_faults(void **state)
{
	(void)state;
	static const struct fault all[] = {
		{"kind: temp, abov: 39, " REST, "unknown key \"abov\""},
		{"kind: temp, kind: temp, above: 39, " REST, "\"kind\" is there twice"},
		{"kind: temp, above: x39, " REST,
			"above: expected a decimal number, found \"x39\""},
		{"kind: temp, above: 39.0001, " REST, "three decimals"},
		{"kind: temp, above: 99999999999999999999, " REST, "99999999999999999999"},
		{"kind: temp, above: 39", "\"severity\" is missing"},
		{"kind: temp, above: 39, severity: bad",
			"notice, warning, critical, found \"bad\""},
		{"kind: temp, above: 39, severity: none", "found \"none\""},
		{"above: 39, " REST, "type limit: expected kind"},
		{"kind: temp, " REST, "type limit: expected one limit"},
		{"kind: temp, above: 39, below: 35, " REST, "expected one limit"},
		{"kind: temp, above: 39, type: limits, " REST, "limit, range, combination"},
		{"kind: temperature, above: 39, " REST, "expected a kind of codes.csv"},
		{"kind: \"gluc.*\", above: 39, " REST, "expected a kind of codes.csv"},
		{"kind: \"*.sbp\", above: 39, " REST, "expected a kind of codes.csv"},
		{"kind: \"*\", above: 39, " REST, "expected a kind of codes.csv"},
		{"kind: env.temp, above: 39, " REST, "that is of a person"},
		{"kind: temp, above: 39, margin: -1, " REST, "not negative"},
		{"kind: temp, above: 39, margin: 0.0001, " REST, "three decimals"},
		{"kind: temp, above: 39, k: 2, " REST, "does not take k"},
		{"kind: temp, above: 39, by: 2, " REST, "does not take by"},
		{"kind: temp, above: 39, within_s: 60, " REST, "does not take within_s"},
		{"kind: temp, above: 39, for_s: 60, " REST, "does not take for_s"},
		{"kind: temp, above: 39, silent_s: 60, " REST, "expected \"family: technical\""},
		{"kind: temp, above: 39, parts: [], " REST, "does not take parts"},
		{"kind: temp, above: 39, form: htn, " REST, "does not take form"},
		{"kind: temp, above: 39, place: room, " REST, "go together"},
		{"kind: temp, above: 39, trait: [fat], " REST,
			"treated_diabetes, heart_failure, diabetes"},
		{"kind: temp, above: 39, trait: copd, " REST, "trait: expected [a list of words]"},
		{"kind: temp, above: 39, trait: [], " REST, "trait: expected [a list of words]"},
		{"kind: temp, above: 39, not: [[copd]], " REST, "found \"more below\""},
		{"kind: temp, above: 39, setting: [hut], " REST,
			"clinic, home, home_bed, care_home"},
		{"kind: temp, above: 39, programme: [diabetes], " REST, "hypertension, t2dm"},
		{"kind: temp, above: 39, population: [t2dm], " REST, "child_0_6"},
		{"kind: temp, above: 39, age_from: 0, " REST, "from 1 to 130"},
		{"kind: temp, above: 39, unknown: holds, " REST, "fires"},
		{"kind: temp, above: 39, enabled: no, " REST, "true or false"},
		{"type: range, kind: temp, above: 39, " REST, "expected two limits"},
		{"type: range, kind: temp, above: 39, at_least: 40, " REST, "one of each side"},
		{"type: range, kind: temp, above: 39, at_least: 40, below: 3, " REST,
			"one of each side"},
		{"type: repeated, kind: temp, above: 39, k: 2, n: 3, " REST, "expected within_s"},
		{"type: repeated, kind: temp, above: 39, k: 1, n: 3, within_s: 60, " REST,
			"from 2 to"},
		{"type: repeated, kind: temp, above: 39, k: 2, n: 3, within_s: 60, margin: 1, " REST,
			"does not take margin"},
		{"type: rise, kind: temp, above: 39, " REST, "expected by"},
		{"type: gain, kind: weight, above: 39, by: 1, " REST, "expected within_s"},
		{"type: repeated_low, kind: temp, below: 39, within_s: 60, " REST, "expected k"},
		{"type: time_below, kind: spo2, at_least: 9, within_s: 60, " REST, "spo2.low_s"},
		{"type: mean, kind: bp.pulse, at_least: 99, " REST, "bp.sbp or bp.dbp"},
		{"type: overdue, form: htn, " REST, "expected days"},
		{"type: overdue, form: cough, days: 3, " REST, "htn, t2dm, copd, elderly"},
		{"type: missing, kind: bp.sbp, " REST, "does not take kind"},
		{"type: combination, within_s: 60, " REST, "expected parts"},
		{"type: combination, within_s: 60, parts: [{kind: temp, above: 39}], " REST,
			"at least two parts"},
		{"type: combination, within_s: 60, parts: [{kind: temp, above: 39}, {kind: temp}], " REST,
			"a kind of a person and one limit"},
		{"type: combination, within_s: 60, parts: [{kind: temp, above: 39}, {kind: env.temp, "
		 "above: 1}], " REST,
			"a kind of a person and one limit"},
		{"type: combination, within_s: 60, parts: [{kind: temp, above: 39, at_most: 3}, {kind: "
		 "hr, above: 1}], " REST,
			"a kind of a person and one limit"},
		{"type: combination, within_s: 60, kind: hr, parts: [{kind: temp, above: 39}, {kind: hr, "
		 "above: 99}], " REST,
			"the kind of the first part"},
		{"type: combination, within_s: 60, parts: [{kind: temp, above: 39}, {kind: hr, above: "
		 "99}, {kind: resp, above: 9}, {kind: spo2, below: 90}, {kind: weight, above: 9}], " REST,
			"at most 4 parts"},
		/* of things */
		{"type: battery, at_most: 15, " REST, "expected \"family: technical\""},
		{"type: clock, for_s: 15, " REST, "expected \"family: technical\""},
		{"type: rise, family: technical, kind: temp, above: 39, by: 1, " REST,
			"judges persons"},
		{"family: technical, kind: env.temp, above: 39, " REST, "expected place"},
		{"family: technical, place: room, kind: temp, above: 39, " REST,
			"of a place (env.)"},
		{"family: technical, place: room, kind: \"env.*\", above: 39, " REST, "one kind"},
		{"family: technical, place: room, kind: env.temp, above: 39, severity: notice",
			"warning or critical"},
		{"family: technical, place: room, kind: env.temp, above: 39, for_s: 0, " REST,
			"from 1"},
		{"family: technical, place: room, kind: env.temp, above: 39, trait: [copd], " REST,
			"does not take whom"},
		{"family: technical, place: room, silent_s: 59, " REST, "from 60"},
		{"family: technical, silent_s: 600, " REST, "expected place"},
		{"family: technical, place: room, kind: env.temp, silent_s: 600, " REST,
			"does not take kind"},
		{"family: technical, type: battery, margin: 1, " REST, "expected one limit"},
		{"family: technical, type: store, at_least: 90, " REST, "expected for_s"},
		{"family: technical, type: device_silent, " REST, "expected times"},
		{"family: technical, type: ecg_overdue, for_s: 9, " REST, "does not take for_s"},
		{"family: medical, kind: temp, above: 39, " REST, "physiological, technical"},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char text[700];
		snprintf(text, sizeof(text), RULE_HEAD RULE("b", "%s"), all[i].rule);
		refused(text, LINE, all[i].word);
	}
}

static void test_other_faults(void **state)
{
	(void)state;
	refused(RULE_HEAD "  - word\n", LINE, "name: value");
	refused(RULE_HEAD "  - {id: [a]}\n", LINE, "id: expected a text");
	refused(RULE_HEAD "  - {id: 0123456789012345678901234567890123456789, kind: temp}\n", LINE,
		"id: expected a text of 1 to 39 bytes");
	refused(RULE_HEAD
		"  - {id: b, kind: temp, above: 39, severity: notice, en: e, source: s}\n",
		LINE, "\"zh\" is missing");
	refused(RULE_HEAD "  - {id: b, kind: temp, above: 39, severity: notice, zh: e, en: s}\n",
		LINE, "\"source\" is missing");
	refused(RULE_HEAD RULE("b", "kind: temp, above: 39, " REST) RULE("c", "kind: temp, " REST),
		":6: ", "rule \"c\"");
}

/* What is written is what is kept. */
static void test_good(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(RULE_HEAD RULE("a",
		"kind: temp, above: 38.5, margin: 0.3, severity: notice, age_from: 7, "
		"age_below: 65, altitude_from: 10, altitude_below: 20, unknown: fires") RULE("b",
		"condition: x, type: range, kind: resp, at_least: 30, below: 5, severity: "
		"critical, trait: [copd, child], not: [pregnant], programme: [t2dm], population: "
		"[poverty, mental], setting: [home]") RULE("c",
		"type: combination, parts: [{kind: temp, above: 39}, {kind: \"bp.*\", at_most: "
		"50}], within_s: 3600, " REST) RULE("d",
		"type: repeated, kind: spo2, at_most: 90, k: 2, n: 3, within_s: 90, " REST) RULE("e",
		"type: fall, kind: bp.sbp, below: 90, by: 30, within_s: 600, least: 7, " REST) RULE("f",
		"kind: bp.dbp, below: 50, usual_by: 2.5, least: 3, " REST) RULE("g",
		"type: overdue, form: copd, days: 30, " REST) RULE("h",
		"family: technical, place: room, silent_s: 600, " REST) RULE("i",
		"family: technical, type: device_silent, times: 2, " REST) RULE("j",
		"family: technical, place: room, kind: env.temp, at_least: -5, for_s: 60, margin: "
		"1, " REST) RULE("k", "kind: temp, above: 40, enabled: false, " REST)
			RULE("l", "type: mean, kind: bp.dbp, at_least: 85, " REST));
	const struct alert_rule *a = alert_rules_find(r, "a"), *b = alert_rules_find(r, "b"),
				*c = alert_rules_find(r, "c"), *d = alert_rules_find(r, "d"),
				*e = alert_rules_find(r, "e"), *f = alert_rules_find(r, "f");
	assert_string_equal(a->condition, "a");
	assert_string_equal(a->kind, "temp");
	assert_string_equal(a->zh, "词");
	assert_string_equal(a->en, "word");
	assert_string_equal(a->source, "s");
	assert_int_equal(a->line, 5);
	assert_int_equal(a->type, RULE_LIMIT);
	assert_int_equal(a->severity, SEVERITY_NOTICE);
	assert_int_equal(a->limits[0].op, RULE_ABOVE);
	assert_int_equal(a->limits[0].milli, 38500);
	assert_int_equal(a->margin_milli, 300);
	assert_int_equal(a->whom.age_from, 7);
	assert_int_equal(a->whom.age_below, 65);
	assert_int_equal(a->whom.altitude_from, 10);
	assert_int_equal(a->whom.altitude_below, 20);
	assert_true(a->whom.unknown);
	assert_int_equal(a->whom.traits | a->whom.settings, 0);

	assert_string_equal(b->condition, "x");
	assert_int_equal(b->line, 6);
	assert_int_equal(b->type, RULE_RANGE);
	assert_int_equal(b->n_limits, 2); /* the lower side first */
	assert_int_equal(b->limits[0].op, RULE_BELOW);
	assert_int_equal(b->limits[1].milli, 30000);
	assert_int_equal(b->whom.traits, 1 << 3 | 1 << 8);
	assert_int_equal(b->whom.not_traits, 1 << 0);
	assert_int_equal(b->whom.programmes, 1 << 1);
	assert_int_equal(b->whom.populations, 1 << 4 | 1 << 9);
	assert_int_equal(b->whom.settings, 1 << 1);
	assert_int_equal(b->whom.age_from, -1);
	assert_false(b->whom.unknown);

	assert_int_equal(c->n_parts, 2);
	assert_string_equal(c->kind, "temp");
	assert_string_equal(c->parts[1].kind, "bp.*");
	assert_int_equal(c->parts[1].limit.op, RULE_AT_MOST);
	assert_int_equal(c->parts[1].limit.milli, 50000);
	assert_int_equal(c->within_s, 3600);
	assert_int_equal(d->k * 1000 + d->n * 100 + d->within_s, 2390);
	assert_int_equal(e->type, RULE_FALL);
	assert_int_equal(e->by_milli, 30000);
	assert_int_equal(e->within_s + e->least, 607);
	assert_int_equal(f->usual_by_milli, 2500);
	assert_int_equal(f->least, 3);
	assert_string_equal(alert_rules_find(r, "g")->form, "copd");
	assert_int_equal(alert_rules_find(r, "g")->days, 30);
	assert_int_equal(alert_rules_find(r, "h")->type, RULE_SILENT); /* without saying so */
	assert_int_equal(alert_rules_find(r, "h")->for_s, 600);
	assert_int_equal(alert_rules_find(r, "i")->times, 2);
	assert_true(alert_rules_find(r, "i")->technical);
	assert_int_equal(alert_rules_find(r, "j")->limits[0].milli, -5000);
	assert_string_equal(alert_rules_find(r, "j")->place, "room");
	assert_null(alert_rules_find(r, "k")); /* switched off, but it had to be right */
	assert_int_equal(alert_rules_find(r, "l")->type, RULE_MEAN);
	alert_rules_free(r);
	refused(RULE_HEAD RULE("b", "kind: temp, enabled: false, " REST), LINE, "one limit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_other_faults),
		cmocka_unit_test(test_good),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rule_read", tests, rule_rig_open, rule_rig_close);
}
