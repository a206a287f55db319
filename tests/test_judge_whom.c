/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For whom a rule is, what a personal limit stands in the place of, and the rules of config/alerts.yaml for the persons whom
 * they tell apart. */
#include "judge_rig.h"

/* for whom */

static void is_for(const char *whom, bool known, bool expected)
{
	char text[400];
	snprintf(text, sizeof(text), ONE("kind: temp, above: 39, %s"), whom);
	struct alert_rules *r = rule_good(text);
	person.known = known;
	one(r, "temp", 40000, 0, expected ? "a 2222 a:0" : "");
	alert_rules_free(r);
}

static void test_whom(void **state)
{
	(void)state;
	person = person_of("1960-11-22", "t2dm;elderly", "poverty", "copd", "home",
		day_read("2026-11-22")); /* 66 */
	is_for("trait: [copd]", true, true);
	is_for("trait: [copd, diabetes]", true, true);
	is_for("trait: [copd, on_oxygen]", true, false);
	is_for("not: [pregnant, child]", true, true);
	is_for("not: [pregnant, copd]", true, false);
	is_for("programme: [hypertension, elderly]", true, true);
	is_for("programme: [hypertension, copd]", true, false);
	is_for("population: [poverty]", true, true);
	is_for("population: [elderly]", true, false);
	is_for("setting: [clinic, home]", true, true);
	is_for("setting: [clinic]", true, false);
	is_for("setting: [clinic], unknown: fires", true, false);
	is_for("age_from: 66", true, true);
	is_for("age_from: 67", true, false);
	is_for("age_below: 67", true, true);
	is_for("age_below: 66", true, false);
	is_for("trait: [copd], setting: [home], age_from: 65", true, true);
	is_for("trait: [copd], setting: [clinic], age_from: 65", true, false);
}

static void test_unknown(void **state)
{
	(void)state;
	/* nobody */
	person = (struct person){0};
	is_for("not: [copd]", false, true);
	is_for("trait: [copd]", false, false);
	is_for("trait: [copd], unknown: fires", false, true);
	is_for("programme: [t2dm]", false, false);
	is_for("population: [poverty], programme: [t2dm], unknown: fires", false, true);
	is_for("setting: [home]", false, false);
	is_for("setting: [home], unknown: fires", false, true);
	is_for("age_from: 65", false, false);
	is_for("age_below: 65", false, false);
	is_for("age_below: 65, unknown: fires", false, true);
	is_for("altitude_from: 1500, unknown: fires", false,
		false); /* of the site, which is known */
	/* somebody of whom little is known: only that */
	person = person_of(NULL, "", "", "", "", 20000);
	is_for("trait: [copd], unknown: fires", true, false);
	is_for("programme: [t2dm], unknown: fires", true, false);
	is_for("setting: [clinic]", true, false);
	is_for("setting: [clinic], unknown: fires", true, true);
	is_for("age_from: 65", true, false);
	is_for("age_below: 65", true, false);
	is_for("age_from: 65, unknown: fires", true, true);
	is_for("age_below: 65, unknown: fires", true, true);
	person = person_of("62-66@2026-11-01", "", "", "", "", day_read("2026-11-01"));
	is_for("age_from: 65", true, false);
	is_for("age_from: 65, unknown: fires", true, true);
	is_for("age_from: 62", true, true);
	is_for("age_from: 67, unknown: fires", true, false);
	is_for("age_below: 67", true, true);
}

static void test_altitude(void **state)
{
	(void)state;
	for (altitude = 1499; altitude <= 2500; altitude += 1) {
		if (altitude == 1502)
			altitude = 2499;
		is_for("altitude_below: 1500", true, altitude < 1500);
		is_for("altitude_from: 1500", true, altitude >= 1500);
		is_for("altitude_from: 1500, altitude_below: 2500", true,
			altitude >= 1500 && altitude < 2500);
	}
}

/* personal limits */

static void set_personal(const struct alert_rules *by, const char *kind, enum rule_op op,
	int64_t milli, enum severity severity, bool replaces)
{
	struct alert_rule *p = &personal[n_personal++];
	*p = (struct alert_rule){.id = "personal",
		.condition = "b",
		.topic = alert_rules_at(by, 0)->topic,
		.personal = true,
		.replaces = replaces,
		.severity = severity,
		.n_limits = 1,
		.limits = {{op, milli}},
		.margin_milli = 5000};
	snprintf(p->kind, sizeof(p->kind), "%s", kind);
}

static void test_personal(void **state)
{
	(void)state;
	struct alert_rules *r = rule_good(RULE_HEAD RULE("w",
		"condition: b, kind: bp.sbp, at_least: 160, margin: 5, severity: warning") RULE("r",
		"type: repeated, condition: b, kind: bp.sbp, at_least: 150, k: 2, n: 2, "
		"within_s: 600, severity: warning") RULE("up",
		"type: rise, condition: b, kind: bp.sbp, at_least: 150, by: 20, least: 1, "
		"severity: warning") RULE("m",
		"condition: b, kind: bp.sbp, trait: [pregnant], above: 139, severity: "
		"warning") RULE("c",
		"condition: b, kind: bp.sbp, at_least: 180, margin: 5, severity: critical") RULE("low",
		"condition: l, kind: bp.sbp, at_most: 90, severity: warning") RULE("g",
		"condition: g, kind: \"glu.*\", at_least: 16.7, severity: critical"));
	rule_past("bp.sbp", 60, 155000);
	set_personal(r, "bp.sbp", RULE_AT_LEAST, 170000, SEVERITY_WARNING, true);
	one(r, "bp.sbp", 169000, 0, "b 0022|l 0000");
	one(r, "bp.sbp", 170000, 0, "b 2222 personal:0|l 0000");
	one(r, "bp.sbp", 175000, 0, "b 2223 up:0 personal:0|l 0000");
	one(r, "bp.sbp", 180000, 0, "b 3333 c:0|l 0000"); /* a higher severity is as it was */
	one(r, "bp.sbp", 164000, 0, "b 0000|l 0000");
	one(r, "bp.sbp", 85000, 0, "b 0000|l 2222 low:0"); /* and so is the other side */
	past[0].milli = 140000;
	one(r, "bp.sbp", 160000, 0, "b 2222 up:0|l 0000"); /* and other types */
	n_past = 0;
	person = person_of(NULL, "", "", "pregnant", "", 20000);
	one(r, "bp.sbp", 145000, 0, "b 2222 m:0|l 0000"); /* pregnancy was not thought of */
	personal[0].replaces = false;
	person = person_of(NULL, "", "", "", "", 20000);
	one(r, "bp.sbp", 165000, 0, "b 2222 w:0|l 0000");
	one(r, "bp.sbp", 170000, 0, "b 2222 w:0 personal:0|l 0000");
	n_personal = 0;
	set_personal(r, "glu.fasting", RULE_AT_LEAST, 20000, SEVERITY_CRITICAL, true);
	memcpy(personal[0].condition, "g", 2);
	personal[0].topic = alert_rules_find(r, "g")->topic;
	personal[0].margin_milli = 500;
	one(r, "glu.fasting", 17000, 0, "g 0000");
	one(r, "glu.fasting", 19500, 0, "g 0003");
	one(r, "glu.random", 17000, 0, "g 3333 g:0"); /* of its own kind only */
	memcpy(personal[0].kind, "glu.*", 6);
	one(r, "glu.control", 30000, 0, "");
	one(r, "weight", 300000, 0, "");
	alert_rules_free(r);
}

/* config/alerts.yaml */

static void who(const char *birth, const char *programmes, const char *populations,
	const char *conditions, const char *setting)
{
	person = person_of(
		birth, programmes, populations, conditions, setting, day_read("2026-11-22"));
}

/* The condition's level, and the first rule that fired. */
static void level(const char *kind, int64_t milli, const char *condition, enum severity fires,
	const char *rule)
{
	struct reading r = rule_reading(kind, milli, 0);
	struct judgement j;
	assert_int_equal(run(rules, &r, &j), 0);
	for (unsigned i = 0; i < j.n; i++) {
		const struct judged *c = &j.conditions[i];
		if (!streq(c->condition, condition))
			continue;
		print_message("# %s %lld: %s\n", kind, (long long)milli, severity_name(c->fires));
		assert_int_equal(c->fires, fires);
		if (rule)
			assert_string_equal(c->rules[0]->id, rule);
		return;
	}
	print_message("# %s %lld: not of %s\n", kind, (long long)milli, condition);
	assert_int_equal(fires, SEVERITY_NONE);
}

#define NONE SEVERITY_NONE
#define NOTICE SEVERITY_NOTICE
#define WARNING SEVERITY_WARNING
#define CRITICAL SEVERITY_CRITICAL

static void test_pressure(void **state)
{
	(void)state;
	static const char *const settings[] = {"clinic", "home_bed", "care_home", ""};
	for (size_t i = 0; i < ELEMENTS(settings); i++) {
		who("1960-01-01", "hypertension", "", "", settings[i]);
		level("bp.sbp", 160000, "bp-high", WARNING, "sbp-warning-high");
		level("bp.dbp", 100000, "bp-high", WARNING, "dbp-warning-high");
		level("bp.sbp", 149000, "bp-high", NONE, NULL); /* from 65 on: 150 */
		level("bp.sbp", 150000, "bp-high", NOTICE, "sbp-notice-high-65");
	}
	who("1990-01-01", "hypertension", "", "", "home");
	level("bp.sbp", 179000, "bp-high", NOTICE, "sbp-notice-high"); /* the week's mean */
	level("bp.sbp", 180000, "bp-high", CRITICAL, "sbp-critical-high");
	level("bp.dbp", 110000, "bp-high", CRITICAL, "dbp-critical-high");
	level("bp.dbp", 109000, "bp-high", NOTICE, "dbp-notice-high");
	level("bp.sbp", 140000, "bp-high", NOTICE, "sbp-notice-high");
	level("bp.sbp", 90000, "bp-low", CRITICAL, "sbp-critical-low");
	put_days("bp.sbp", 5, 100000);
	level("bp.sbp", 88000, "bp-low", NOTICE, "sbp-notice-low"); /* as usual */
	level("bp.sbp", 80000, "bp-low", CRITICAL, "sbp-critical-low");
	n_past = 0;
	who("1996-01-01", "", "pregnant", "", "home");
	level("bp.sbp", 140000, "bp-high", WARNING, "sbp-pregnant-warning");
	level("bp.dbp", 90000, "bp-high", WARNING, "dbp-pregnant-warning");
	level("bp.sbp", 160000, "bp-high", CRITICAL, "sbp-pregnant-critical");
	who("2021-01-01", "", "", "", "");
	level("bp.sbp", 179000, "bp-high", NONE, NULL);
	level("bp.sbp", 180000, "bp-high", CRITICAL, "sbp-critical-high"); /* or no child at all */
	level("bp.dbp", 109000, "bp-high", NONE, NULL);
	level("bp.dbp", 110000, "bp-high", CRITICAL, "dbp-critical-high");
	level("bp.sbp", 70000, "bp-low", NONE, NULL);
	level("bp.pulse", 140000, "pulse-high", NONE, NULL);
	person = (struct person){0};
	level("bp.sbp", 160000, "bp-high", WARNING, "sbp-warning-high");
	level("bp.sbp", 180000, "bp-high", CRITICAL, "sbp-critical-high");
	level("bp.sbp", 90000, "bp-low", CRITICAL, "sbp-critical-low");
}

static void test_glucose(void **state)
{
	(void)state;
	static const struct {
		const char *programmes, *conditions;
		enum severity at_39, at_30, at_29, at_27;
	} all[] = {{"", "", NONE, NONE, CRITICAL, CRITICAL},
		{"t2dm", "", WARNING, WARNING, CRITICAL, CRITICAL},
		{"", "treated_diabetes", CRITICAL, CRITICAL, CRITICAL, CRITICAL}};
	static const char *const kinds[] = {"glu.fasting", "glu.postprandial_2h", "glu.random",
		"glu.capillary_plasma", "glu.undetermined_plasma", "glu.isf"};
	for (size_t i = 0; i < ELEMENTS(all); i++)
		for (size_t k = 0; k < ELEMENTS(kinds); k++) {
			who("", all[i].programmes, "", all[i].conditions, "");
			level(kinds[k], 3900, "glucose-low", all[i].at_39, NULL);
			level(kinds[k], 3000, "glucose-low", all[i].at_30, NULL);
			level(kinds[k], 2900, "glucose-low", all[i].at_29, NULL);
			level(kinds[k], 2700, "glucose-low", all[i].at_27, NULL);
			level(kinds[k], 16600, "glucose-high", WARNING, NULL);
			level(kinds[k], 16700, "glucose-high", CRITICAL, NULL);
		}
	person = (struct person){0}; /* whoever it is may be treated */
	level("glu.random", 3900, "glucose-low", CRITICAL, "glucose-treated-low");
	level("glu.random", 4000, "glucose-low", NONE, NULL);
	level("glu.control", 30000, "glucose-high", NONE, NULL);
}

static void test_oxygen(void **state)
{
	(void)state;
	static const struct {
		int altitude;
		int64_t critical, warning;
	} all[] = {{0, 91, 93}, {1499, 91, 93}, {1500, 88, 90}, {2500, 84, 87}, {3500, 80, 83}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		altitude = all[i].altitude;
		who("", "", "", "", "");
		level("spo2", all[i].critical * 1000, "spo2-low", CRITICAL, NULL);
		level("spo2", all[i].critical * 1000 + 1000, "spo2-low", WARNING, NULL);
		level("spo2", all[i].warning * 1000, "spo2-low", WARNING, NULL);
		level("spo2", all[i].warning * 1000 + 1000, "spo2-low",
			altitude < 1500 ? NOTICE : NONE, NULL);
		who("", "", "", "copd", "");
		level("spo2", 83000, "spo2-low", CRITICAL, "spo2-copd-critical");
		level("spo2", 84000, "spo2-low", WARNING, "spo2-copd-warning");
		level("spo2", 88000, "spo2-low", NONE, NULL);
		level("spo2", 97000, "spo2-high", NONE, NULL);
		who("", "", "", "copd;on_oxygen", "");
		level("spo2", 97000, "spo2-high", WARNING, "spo2-copd-high");
		level("spo2", 96000, "spo2-high", NONE, NULL);
	}
	who("", "", "", "copd", "");
	put_days("spo2", 5, 93000);
	level("spo2", 89000, "spo2-low", WARNING, "spo2-fall");
	level("spo2", 90000, "spo2-low", NONE, NULL);
}

static void test_rest(void **state)
{
	(void)state;
	level("temp", 35000, "temp-low", CRITICAL, "temp-critical-low");
	level("temp", 39100, "temp-high", WARNING, NULL);
	level("temp", 38100, "temp-high", NOTICE, NULL);
	/* skin is no body */
	level("temp.surface", 30000, "temp-low", NONE, NULL);
	level("temp.surface", 28000, "surface-temp-low", NOTICE, NULL);
	level("temp.surface", 37300, "surface-temp-high", NOTICE, NULL);
	level("temp.surface", 38100, "surface-temp-high", WARNING, NULL);
	level("temp.surface", 45000, "surface-temp-high", WARNING, NULL);
	level("hr", 40000, "pulse-low", CRITICAL, NULL);
	level("hr", 200000, "pulse-high", NONE, NULL); /* of a strap, which is worn in motion */
	level("ecg.hr", 131000, "pulse-high", CRITICAL, NULL);
	level("spo2.pulse", 111000, "pulse-high", WARNING, NULL);
	level("resp", 25000, "resp-high", CRITICAL, NULL);
	level("resp", 8000, "resp-low", CRITICAL, NULL);
	rule_past("weight", 86400, 70000);
	level("weight", 71400, "weight-gain", NONE, NULL);
	who("", "", "", "heart_failure", "");
	level("weight", 71400, "weight-gain", WARNING, "weight-gain-1");
	level("weight", 71300, "weight-gain", NONE, NULL);
	past[0].ago_s++;
	level("weight", 71900, "weight-gain", NONE, NULL);
	level("weight", 72000, "weight-gain", WARNING, "weight-gain-3");
	who("", "t2dm", "", "", "");
	rule_past("bp.pulse", 60, 101000);
	level("temp", 39100, "fever-pulse", CRITICAL, NULL);
	level("env.temp", 50000, "fridge-warm", NONE, NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		T(test_whom),
		T(test_unknown),
		T(test_altitude),
		T(test_personal),
		T(test_pressure),
		T(test_glucose),
		T(test_oxygen),
		T(test_rest),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("judge_whom", tests, rule_rig_open, rule_rig_close);
}
