/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What personal limits are to the rules: which of them hold, of which condition they are, and what comes of a reading. */
#include "door_rig.h"

#include "limit.h"

static int setup(void **state)
{
	door_setup(state);
	rig_residents(&rig);
	return 0;
}

static void set(
	int64_t resident, const char *kind, const char *side, int64_t milli, const char *severity)
{
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO personal_limit(resident,kind,side,milli,severity,author,"
			"reason,valid_from,valid_to) VALUES(?,?,?,?,?,'a','r',?,?)",
			"ittitii", resident, kind, side, milli, severity, RIG_NOW - RIG_HOUR,
			RIG_NOW + RIG_HOUR),
		1);
}

static struct limits found;

static unsigned load(int64_t resident, int64_t at_us, bool known)
{
	assert_int_equal(limit_load(rig.db, rig.gateway.rules, resident, at_us, known, &found), 0);
	return found.n;
}

static void test_when(void **state)
{
	(void)state;
	set(1, "bp.sbp", "at_least", 150000, "critical");
	assert_int_equal(load(1, RIG_NOW - RIG_HOUR - 1, true), 0);
	assert_int_equal(load(1, RIG_NOW - RIG_HOUR, true), 1);
	assert_true(found.rules[0].personal && found.rules[0].replaces);
	assert_int_equal(load(1, RIG_NOW + RIG_HOUR - 1, true), 1);
	assert_int_equal(load(1, RIG_NOW + RIG_HOUR, true), 0);
	assert_int_equal(load(2, RIG_NOW, true), 0); /* somebody else's */
	assert_int_equal(load(0, RIG_NOW, true), 0); /* nobody's */
	/* nobody knows when: whatever was once set, beside the rules and in the place of none */
	assert_int_equal(load(1, 5, false), 1);
	assert_true(found.rules[0].personal && !found.rules[0].replaces);
	/* what waits for a second doctor never is one */
	rig_script(&rig, "UPDATE personal_limit SET pending=1");
	assert_int_equal(load(1, RIG_NOW, true), 0);
	assert_int_equal(load(1, RIG_NOW, false), 0);
	for (unsigned i = 0; i < RULE_PERSONAL_MAX + 3;
		i++) { /* renewed again and again: the first is the tightest */
		set(1, "bp.sbp", "at_least", 150000 + i, "critical");
		set(1, "bp.sbp", "at_most", 90000 - i, "critical");
	}
	set(1, "bp.sbp", "at_least", 140000, "warning");
	assert_int_equal(load(1, RIG_NOW, false), 3);
	assert_int_equal(found.rules[0].limits[0].milli, 140000);
	assert_int_equal(found.rules[1].limits[0].milli, 90000);
	assert_int_equal(found.rules[2].limits[0].milli, 150000);
	for (unsigned i = 0; i < RULE_PERSONAL_MAX + 3; i++) { /* not one too far; the newest */
		char kind[8];
		snprintf(kind, sizeof(kind), "k%u", i);
		set(1, kind, "at_least", 150000, "critical");
	}
	assert_int_equal(load(1, RIG_NOW, false), RULE_PERSONAL_MAX);
	assert_string_equal(found.rules[0].kind, "k18");
}

static void test_condition(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *side, *severity, *condition, *advice;
		int64_t margin;
	} all[] = {{"bp.sbp", "at_least", "critical", "bp-high", "bp-high", 5000},
		{"bp.sbp", "at_most", "warning", "bp-low", "bp-low", 5000},
		{"glu.*", "at_least", "warning", "glucose-high", "glucose-high", 500},
		{"glu.isf", "at_least", "critical", "glucose-high", "glucose-high", 500},
		{"glu.*", "at_most", "critical", "glucose-low", "glucose-low", 500},
		{"spo2", "at_most", "warning", "spo2-low", "spo2-low", 1000},
		{"spo2", "at_least", "critical", "spo2-high", "spo2-high", 1000},
		{"temp", "at_least", "critical", "temp-high", "temp-high", 300},
		{"weight", "at_least", "warning", "personal-weight-high", "", 0},
		{"weight", "at_most", "warning", "personal-weight-low", "", 0},
		{"bp.dbp", "at_most", "critical", "personal-bp.dbp-low", "", 0}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		rig_script(&rig, "DELETE FROM personal_limit");
		set(1, all[i].kind, all[i].side, 90000, all[i].severity);
		assert_int_equal(load(1, RIG_NOW, true), 1);
		const struct alert_rule *r = &found.rules[0], *other;
		print_message("# %s %s\n", all[i].kind, all[i].side);
		assert_string_equal(r->id, LIMIT_RULE);
		assert_string_equal(r->kind, all[i].kind);
		assert_string_equal(r->condition, all[i].condition);
		assert_string_equal(r->advice, all[i].advice);
		assert_int_equal(r->margin_milli, all[i].margin);
		assert_int_equal(r->severity, severity_named(all[i].severity));
		assert_int_equal(r->type, RULE_LIMIT);
		assert_int_equal(rule_limit_upper(&r->limits[0]), streq(all[i].side, "at_least"));
		for (unsigned k = 0; (other = alert_rules_at(rig.gateway.rules, k)); k++)
			if (!other->technical && other->type <= RULE_TIME_BELOW)
				assert_int_equal(streq(other->condition, r->condition),
					other->topic == r->topic);
	}
	/* those of no rule are kept apart */
	set(1, "weight", "at_least", 90000, "warning");
	set(1, "waist", "at_least", 90000, "warning");
	assert_int_equal(load(1, RIG_NOW, true), 3);
	assert_true(found.rules[0].topic >= RULE_CONDITIONS_MAX);
	assert_int_not_equal(found.rules[0].topic, found.rules[1].topic);
	assert_true(found.rules[0].topic < RULE_CONDITIONS_MAX + RULE_PERSONAL_MAX);
}

/* Of several rules the first of its own severity is the one that it is like, else the first. */
static void test_which_rule(void **state)
{
	(void)state;
	char path[128], error[600] = "";
	snprintf(path, sizeof(path), "%s/rules.yaml", rig.dir);
	_cleanup_(fclosep) FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs("version: t\naccept_looser: test\naccept_looser_again: test\nrules:\n", f);
	static const char *const all[] = {"warning", "critical", "critical", "warning"};
	for (unsigned i = 0; i < ELEMENTS(all); i++)
		fprintf(f,
			" - {id: r%u, condition: c%u, kind: weight, at_least: %u, margin: %u, severity: "
			"%s, zh: z, en: e, source: s}\n",
			i, i, 90 + i, i, all[i]);
	fflush(f);
	struct alert_rules *rules = alert_rules_load(path, rig.gateway.codes, error, sizeof(error));
	if (!rules)
		fail_msg("%s", error);
	static const char *const severities[] = {"critical", "warning", "notice"};
	static const char *const conditions[] = {"c1", "c0", "c0"};
	for (unsigned i = 0; i < ELEMENTS(severities); i++) {
		rig_script(&rig, "DELETE FROM personal_limit");
		set(1, "weight", "at_least", 90000, severities[i]);
		assert_int_equal(limit_load(rig.db, rules, 1, RIG_NOW, true, &found), 0);
		assert_string_equal(found.rules[0].condition, conditions[i]);
		assert_int_equal(found.rules[0].margin_milli, i ? 0 : 1000);
	}
	alert_rules_free(rules);
}

/* what comes of it */

static void measured(int sys, const char *identity, const char *expected)
{
	rig_script(&rig,
		"DELETE FROM alert; DELETE FROM alert_reading; DELETE FROM alert_history; DELETE FROM "
		"escalation");
	rig_bp(&rig, (struct rig_bp){sys, 80, 70, .identity = identity});
	expect("SELECT coalesce(group_concat(condition||' '||severity||' '||role||' '||(SELECT "
	       "group_concat(json_extract(value,'$.id')) FROM json_each(body,'$.rules')),' '),'none') "
	       "FROM alert",
		expected);
}

static void test_it_fires(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE resident SET setting='clinic'");
	set(1, "bp.sbp", "at_least", 150000, "critical");
	set(1, "bp.sbp", "at_most", 105000, "warning");
	rig_bind(&rig, 1);
	measured(149, "1", "none");
	measured(150, "2", "bp-high critical doctor personal");
	expect("SELECT json_extract(body,'$.rules[0].limit')||json_extract(body,'$.rules[0].whose') FROM "
	       "alert",
		"150personal");
	measured(185, "3", "bp-high critical doctor personal");
	measured(106, "4", "none");
	measured(105, "5", "bp-low warning doctor personal");
	measured(90, "6", "bp-low critical doctor sbp-critical-low"); /* of a higher severity */
	rig_script(&rig, "UPDATE binding SET resident=2");
	measured(155, "7", "none"); /* somebody else's */
	measured(160, "8", "bp-high warning doctor sbp-warning-high");
	rig_script(&rig, "DELETE FROM binding");
	measured(155, "9", "none"); /* nobody's */
}

static void test_looser(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE resident SET setting='clinic'");
	set(1, "bp.sbp", "at_least", 170000, "warning");
	set(1, "bp.dbp", "at_least", 120000, "critical");
	rig_bind(&rig, 1);
	measured(165, "1", "none");
	measured(170, "2", "bp-high warning doctor personal");
	measured(180, "3", "bp-high critical doctor sbp-critical-high");
	rig_script(&rig, "UPDATE personal_limit SET valid_to=valid_from");
	measured(165, "4",
		"bp-high warning doctor sbp-warning-high"); /* over, and all is as it was */
}

/* Two of a kind that no rule is about, as of a reading whose time nobody knows: one condition, and what is graver counts. */
static void test_two_alone(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	set(1, "bp.dbp", "at_most", 90000, "warning");
	set(1, "bp.dbp", "at_most", 85000, "critical");
	measured(120, "1", "personal-bp.dbp-low critical doctor personal");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert_history"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_when),
		T(test_condition),
		T(test_which_rule),
		T(test_it_fires),
		T(test_looser),
		T(test_two_alone),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
