/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limits, margins and kinds by themselves; and what config/alerts.yaml says of places and of the gateway, against a copy that
 * is written down here on purpose: a changed limit must be seen by a person. */
#include "rule_rig.h"

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		enum rule_op op;
		bool upper, below, at, above; /* broken one below the limit, at it, one above */
	} all[] = {{RULE_AT_LEAST, true, false, true, true}, {RULE_ABOVE, true, false, false, true},
		{RULE_AT_MOST, false, true, true, false}, {RULE_BELOW, false, true, false, false}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		const struct rule_limit l = {all[i].op, -500};
		assert_int_equal(rule_limit_upper(&l), all[i].upper);
		assert_int_equal(rule_limit_breaks(&l, -501, 0), all[i].below);
		assert_int_equal(rule_limit_breaks(&l, -500, 0), all[i].at);
		assert_int_equal(rule_limit_breaks(&l, -499, 0), all[i].above);
		/* on its own side whatever the number, on the other as it is */
		assert_true(rule_limit_breaks(&l, -9000, all[i].upper ? '>' : '<'));
		assert_true(rule_limit_breaks(&l, 9000, all[i].upper ? '>' : '<'));
		assert_int_equal(
			rule_limit_breaks(&l, -501, all[i].upper ? '<' : '>'), all[i].below);
		assert_int_equal(
			rule_limit_breaks(&l, -499, all[i].upper ? '<' : '>'), all[i].above);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(alert_kind_matches("glu.*", "glu.fasting"));
	assert_true(alert_kind_matches("glu.*", "glu."));
	assert_false(alert_kind_matches("glu.*", "glu"));
	assert_true(alert_kind_matches("spo2*", "spo2"));
	assert_true(alert_kind_matches("spo2", "spo2"));
	assert_false(alert_kind_matches("spo2", "spo2.pulse"));
	assert_true(alert_kind_fits(codes, "bp.*", false));
	assert_false(alert_kind_fits(codes, "bp.*", true));
	assert_false(alert_kind_fits(codes, "bp.*x", false));
	assert_false(alert_kind_fits(codes, "*", false)); /* that would be places, too */
	assert_true(alert_kind_fits(codes, "env.temp", true));
	assert_false(alert_kind_fits(codes, "env.*", true));
	assert_false(alert_kind_fits(codes, "env.temp", false));
	assert_false(alert_kind_fits(codes, "", false));
}

/* Each rule of readings stands under each of its kinds, in the order of the file, and under no other. */
static void test_by_kind(void **state)
{
	(void)state;
	const struct code *code;
	const struct alert_rule *rule;
	unsigned seen = 0;
	for (size_t i = 0; (code = codes_at(codes, i)); i++) {
		unsigned n, at = 0;
		const uint16_t *of = alert_rules_of(rules, code->kind, &n);
		for (unsigned k = 0; (rule = alert_rules_at(rules, k)); k++) {
			bool about = alert_kind_matches(rule->kind, code->kind);
			for (unsigned p = 0; p < rule->n_parts; p++)
				about |= alert_kind_matches(rule->parts[p].kind, code->kind);
			if (!about || !rule->kind[0] || rule->technical ||
				rule->type > RULE_TIME_BELOW || streq(code->kind, "glu.control"))
				continue;
			assert_true(at < n);
			assert_int_equal(of[at++], k);
		}
		assert_int_equal(at, n);
		seen += n;
	}
	assert_true(seen > 100);
	unsigned n;
	alert_rules_of(rules, "no.such.kind", &n);
	assert_int_equal(n, 0);
	alert_rules_of(rules, "glu.control", &n);
	assert_int_equal(n, 0);
	alert_rules_of(rules, "env.temp", &n);
	assert_int_equal(n, 0);
}

/* The technical rules: the last value that is good, the first that is bad, and for how long. */
static const struct technical {
	const char *rule, *place, *kind;
	int64_t good, bad;
	unsigned for_s;
	int64_t good_again; /* the first on the way back */
	enum severity severity;
} technical[] = {
	{"fridge-warm", "fridge", "env.temp", 8000, 8100, 600, 7500, SEVERITY_CRITICAL},
	{"fridge-cold", "fridge", "env.temp", 2000, 1900, 600, 2500, SEVERITY_CRITICAL},
	{"fridge-door", "fridge", "env.door_open", 0, 1000, 600, 999, SEVERITY_WARNING},
	{"fridge-alarm", "fridge", "env.alarm", 0, 1000, 60, 999, SEVERITY_WARNING},
	{"fridge-silent", "fridge", "", 0, 0, 1800, 0, SEVERITY_WARNING},
	{"freezer-warm", "freezer", "env.temp", -15000, -14900, 600, -15500, SEVERITY_CRITICAL},
	{"freezer-door", "freezer", "env.door_open", 0, 1000, 600, 999, SEVERITY_WARNING},
	{"freezer-alarm", "freezer", "env.alarm", 0, 1000, 60, 999, SEVERITY_WARNING},
	{"freezer-silent", "freezer", "", 0, 0, 1800, 0, SEVERITY_WARNING},
	{"room-warm", "room", "env.temp", 30000, 30100, 600, 29500, SEVERITY_WARNING},
	{"room-cold", "room", "env.temp", 10000, 9900, 600, 10500, SEVERITY_WARNING},
	{"room-damp", "room", "env.humidity", 75000, 75100, 600, 73000, SEVERITY_WARNING},
	{"room-dry", "room", "env.humidity", 35000, 34900, 600, 37000, SEVERITY_WARNING},
	{"room-alarm", "room", "env.alarm", 0, 1000, 60, 999, SEVERITY_WARNING},
	{"room-silent", "room", "", 0, 0, 3600, 0, SEVERITY_WARNING},
	{"gas-low", "gas_supply", "env.gas_pressure", 320000, 319000, 60, 330000,
		SEVERITY_CRITICAL},
	{"gas-high", "gas_supply", "env.gas_pressure", 600000, 601000, 60, 590000,
		SEVERITY_CRITICAL},
	{"gas-alarm", "gas_supply", "env.alarm", 0, 1000, 60, 999, SEVERITY_CRITICAL},
	{"gas_supply-silent", "gas_supply", "", 0, 0, 1800, 0, SEVERITY_WARNING},
	{"device-silent", "", "", 0, 0, 0, 0, SEVERITY_WARNING},
	{"battery-low", "", "", 0, 0, 0, 0, SEVERITY_WARNING},
	{"store-filling", "", "", 0, 0, 600, 0, SEVERITY_WARNING},
	{"store-full", "", "", 0, 0, 60, 0, SEVERITY_CRITICAL},
	{"clock-untrusted", "", "", 0, 0, 3600, 0, SEVERITY_WARNING},
	{"ecg-not-sent", "", "", 0, 0, 0, 0, SEVERITY_WARNING},
	{"ecg-overdue", "", "", 0, 0, 0, 0, SEVERITY_WARNING},
};

static bool breaks(const struct alert_rule *rule, int64_t milli)
{
	struct reading r = rule_reading(rule->kind, milli, 0);
	return alert_breaks(rule, &r.quantities[0]);
}

static bool holds(const struct alert_rule *rule, int64_t milli)
{
	struct reading r = rule_reading(rule->kind, milli, 0);
	return alert_holds(rule, &r.quantities[0]);
}

static void test_technical_rules(void **state)
{
	(void)state;
	const struct alert_rule *rule;
	unsigned n = 0;
	for (size_t i = 0; i < ELEMENTS(technical); i++) {
		const struct technical *t = &technical[i];
		rule = alert_rules_find(rules, t->rule);
		print_message("# %s\n", t->rule);
		assert_non_null(rule);
		assert_true(rule->technical);
		assert_string_equal(rule->place, t->place);
		assert_string_equal(rule->kind, t->kind);
		assert_int_equal(rule->for_s, t->for_s);
		assert_int_equal(rule->severity, t->severity);
		assert_int_equal(alert_place_known(rules, t->place), t->place[0] != 0);
		if (!t->kind[0])
			continue;
		int64_t back = t->good_again > t->bad ? -1 : 1; /* towards the limit */
		assert_false(breaks(rule, t->good));
		assert_true(breaks(rule, t->bad));
		assert_false(holds(rule, t->good_again));
		assert_true(holds(rule, t->good_again + back));
		assert_true(holds(rule, t->bad));
	}
	for (unsigned i = 0; (rule = alert_rules_at(rules, i)); i++)
		n += rule->technical;
	assert_int_equal(n, ELEMENTS(technical)); /* no other one */
	assert_false(alert_place_known(rules, "cellar"));
	assert_false(alert_place_known(rules, "")); /* a device that watches nothing */
	assert_int_equal(alert_rules_find(rules, "device-silent")->times, 2);
	assert_int_equal(alert_rules_find(rules, "battery-low")->limits[0].milli, 15000);
	assert_int_equal(alert_rules_find(rules, "battery-low")->margin_milli, 10000);
	assert_int_equal(alert_rules_find(rules, "store-filling")->limits[0].milli, 90000);
	assert_int_equal(alert_rules_find(rules, "store-full")->limits[0].milli, 98000);
}

static void test_finding(void **state)
{
	(void)state;
	assert_null(alert_rules_find(rules, "no-such-rule"));
	assert_null(alert_rules_at(rules, RULES_MAX));
	assert_string_equal(alert_rules_at(rules, 0)->id, "sbp-critical-high");
	assert_true(alert_statements(rules) != NULL);
	for (unsigned i = 0; i < RULE_TYPES; i++)
		assert_non_null(rule_types[i]);
	assert_string_equal(rule_types[RULE_TIME_BELOW], "time_below");
	assert_string_equal(rule_types[RULE_SILENT], "silent");
	assert_null(rule_types[RULE_TYPES]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_by_kind),
		cmocka_unit_test(test_technical_rules),
		cmocka_unit_test(test_finding),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rule", tests, rule_rig_open, rule_rig_close);
}
