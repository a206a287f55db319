/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Personal limits: who sets them, how tight they have to be, and what they do when a reading comes. */
#include "door_rig.h"

#include "limit.h"

static int setup(void **state)
{
	door_setup(state);
	rig_residents(&rig);
	rig_script(&rig,
		"UPDATE resident SET team='T-0001' WHERE id=1; INSERT INTO team VALUES('T-0001','D-0007',"
		"'doctor',''),('T-0001','N-0001','nurse',''),('T-0002','D-0008','doctor','')");
	door_author = "local:nurse/D-0001";
	return 0;
}

static void limit(const char *what)
{
	char text[300];
	snprintf(text, sizeof(text),
		"{'resident':'R-0001','severity':'critical','reason':'renal','until':'2098-12-31',%s}",
		what);
	give("limit", text);
}

static void test_who(void **state)
{
	(void)state;
	static const char *const not [] = {"local:nurse", "local:nurse/N-0001",
		"local:nurse/D-0008", "platform:platform", "platform:platform/D-0002",
		"local:D-0001", "local:nurse/"};
	for (size_t i = 0; i < ELEMENTS(not ); i++) {
		door_author = not [i];
		limit("'kind':'bp.sbp','at_least':150");
		refused("not_allowed");
	}
	assert_int_equal(ROWS("personal_limit"), 0);
	door_author = "platform:platform/D-0007";
	limit("'kind':'bp.sbp','at_least':150");
	done();
	expect("SELECT author||kind||side||milli||severity||reason FROM personal_limit",
		"platform:platform/D-0007bp.sbpat_least150000criticalrenal");
	/* one without doctor and team has nobody who may */
	door_author = "local:nurse/";
	give("limit", "{'resident':'R-0003','kind':'bp.sbp','at_least':150,'severity':'critical',"
		      "'reason':'r','until':'2098-12-31'}");
	refused("not_allowed");
}

static void test_how_tight(void **state)
{
	(void)state;
	static const struct {
		const char *limit, *code; /* NULL: it is taken */
	} all[] = {{"'kind':'bp.sbp','at_least':180", NULL},
		{"'kind':'bp.sbp','at_least':181", "looser"},
		{"'kind':'bp.sbp','at_least':'180.001'", "looser"},
		{"'kind':'bp.sbp','at_least':90", NULL}, {"'kind':'bp.dbp','at_least':110", NULL},
		{"'kind':'bp.dbp','at_least':111", "looser"},
		{"'kind':'bp.sbp','at_most':100", NULL}, {"'kind':'glu.*','at_least':16.7", NULL},
		{"'kind':'glu.*','at_least':16.8", "looser"},
		{"'kind':'glu.fasting','at_least':'16.701'", "looser"},
		{"'kind':'glu.fasting','at_most':3.9", NULL},
		{"'kind':'glu.*','at_most':4.4", NULL},
		{"'kind':'glu.random','at_most':3.8", "looser"},
		{"'kind':'spo2','at_most':94", NULL}, {"'kind':'weight','at_least':'70.5'", NULL},
		{"'kind':'bp.sbp','at_least':1000", "bad_value"},
		{"'kind':'bp.sbp','at_least':-5", "bad_value"},
		{"'kind':'bp.sbp','at_least':'x'", "bad_value"},
		{"'kind':'bp.sbp','at_least':''", "bad_value"},
		{"'kind':'bp.sbp','at_least':null", "bad_value"},
		{"'kind':'bp.sbp','at_least':150.00001", "bad_value"},
		{"'kind':'bp.sbp','at_least':'150.0001'", "bad_value"},
		{"'kind':'bp.sbp','at_least':1e300", "bad_value"},
		{"'kind':'bp.sbp','at_least':'999999999999999'", "bad_value"},
		{"'kind':'bp.sbp'", "bad_argument"},
		{"'kind':'bp.sbp','at_least':150,'at_most':90", "bad_argument"},
		{"'kind':'env.temp','at_least':8", "bad_kind"},
		{"'kind':'*','at_least':8", "bad_kind"}, {"'kind':'bp','at_least':8", "bad_kind"},
		{"'at_least':8", "bad_kind"},
		{"'kind':'glu.meal_context','at_least':8", "bad_kind"},
		{"'kind':'bp.sbpxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','at_least':8", "bad_kind"}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		int64_t before = ROWS("personal_limit");
		limit(all[i].limit);
		if (all[i].code)
			refused(all[i].code);
		else
			done();
		assert_int_equal(ROWS("personal_limit"), before + !all[i].code);
	}
}

static void test_rest(void **state)
{
	(void)state;
	static const struct {
		const char *args, *code;
	} all[] = {{"{'resident':'R-0099'}", "unknown_resident"},
		{"{'resident':'R-0001','kind':'bp.sbp','at_least':150,'reason':'r','until':'2098-12-31'}",
			"bad_argument"},
		{"{'resident':'R-0001','kind':'bp.sbp','at_least':150,'severity':'notice','reason':'r',"
		 "'until':'2098-12-31'}",
			"bad_argument"},
		{"{'resident':'R-0001','kind':'bp.sbp','at_least':150,'severity':'warning','until':"
		 "'2098-12-31'}",
			"reason_missing"},
		{"{'resident':'R-0001','kind':'bp.sbp','at_least':150,'severity':'warning','reason':'r'}",
			"bad_argument"},
		{"{'resident':'R-0001','kind':'bp.sbp','at_least':150,'severity':'warning','reason':'r',"
		 "'until':'2020-12-31'}",
			"bad_argument"},
		{"{'resident':'R-0001','kind':'bp.sbp','at_least':150,'end':true}", "already_so"}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		give("limit", all[i].args);
		refused(all[i].code);
	}
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE id=1");
	limit("'kind':'bp.sbp','at_least':150");
	refused("not_active");
	assert_int_equal(ROWS("personal_limit"), 0);
	assert_int_equal(ROWS("audit"), 0);
}

/* The next one of its kind and side ends the one before; so does a person. */
static void test_one_at_a_time(void **state)
{
	(void)state;
	limit("'kind':'bp.sbp','at_least':150");
	limit("'kind':'bp.sbp','at_least':'145.5'");
	limit("'kind':'bp.sbp','at_most':100");
	give("resident", "{'resident':'R-0001'}");
	const json_t *limits = json_object_get(done(), "limits");
	assert_int_equal(json_array_size(limits), 2);
	assert_true(
		json_real_value(json_object_get(json_array_get(limits, 0), "at_least")) == 145.5);
	assert_int_equal(int_in(json_array_get(limits, 1), "at_most"), 100);
	assert_string_equal(text_in(json_array_get(limits, 0), "until"), "2098-12-31");
	give("limit", "{'resident':'R-0001','kind':'bp.sbp','at_least':0,'end':true}");
	done();
	give("resident", "{'resident':'R-0001'}");
	assert_int_equal(json_array_size(json_object_get(done(), "limits")), 1);
	expect("SELECT group_concat(detail,', ') FROM audit",
		"bp.sbp at_least 150 critical, bp.sbp at_least 145.5 critical, bp.sbp at_most 100 "
		"critical, bp.sbp at_least ended");
}

/* what it does */

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

static void measured(int sys, const char *identity, const char *expected)
{
	rig_script(&rig, "DELETE FROM alert");
	rig_bp(&rig, (struct rig_bp){sys, 80, 70, .identity = identity});
	expect("SELECT coalesce(group_concat(severity||' '||role||' '||(SELECT group_concat("
	       "json_extract(value,'$.id')) FROM json_each(body,'$.rules')),' '),'none') FROM alert",
		expected);
}

static void test_it_fires(void **state)
{
	(void)state;
	set(1, "bp.sbp", "at_least", 150000, "critical");
	set(1, "bp.sbp", "at_most", 105000, "warning");
	rig_bind(&rig, 1);
	measured(149, "1", "none");
	measured(150, "2", "critical doctor personal");
	measured(165, "3", "critical doctor personal"); /* above the rule's warning */
	measured(185, "4", "critical doctor sbp-critical-high,personal");
	measured(106, "5", "none");
	measured(105, "6", "warning doctor personal");
	measured(90, "7", "critical doctor sbp-critical-low"); /* a rule is never silenced */
	expect("SELECT json_extract(body,'$.rules[0].limit')||json_extract(body,'$.rules[0].text_en')<>'' "
	       "FROM alert",
		"1");
	rig_script(&rig, "UPDATE binding SET resident=2");
	measured(155, "8", "none"); /* somebody else's */
	rig_script(&rig, "DELETE FROM binding");
	measured(155, "9", "none"); /* nobody's */
}

static void test_a_pattern(void **state)
{
	(void)state;
	set(1, "bp.*", "at_least", 140000, "warning");
	rig_bind(&rig, 1);
	measured(145, "1", "warning doctor personal");
	rig_script(&rig, "UPDATE personal_limit SET milli=60000");
	measured(120, "2", "warning doctor personal,personal,personal");
}

static void test_while_it_holds(void **state)
{
	(void)state;
	set(1, "bp.sbp", "at_least", 150000, "critical");
	rig_bind(&rig, 1);
	rig_script(&rig, "UPDATE personal_limit SET valid_to=1794999999000000");
	measured(155, "1", "none");
	rig_script(&rig, "UPDATE personal_limit SET valid_from=1795000001000000,valid_to="
			 "1895000000000000");
	measured(155, "2", "none");
	/* nobody knows when it was: it holds */
	struct unit *u = rig_unit(&rig);
	const struct reading *r = rig_add(&rig, u, &(struct rig_bp){155, 80, 70, .identity = "3"});
	static const enum trust trusts[] = {TRUST_DEVICE, TRUST_ARRIVAL, TRUST_UNKNOWN};
	for (size_t i = 0; i < ELEMENTS(trusts); i++) {
		struct when when = {.taken_us = 5000000, .trust = trusts[i]};
		struct alert_verdict v = {0};
		struct limit_rules space;
		assert_int_equal(limit_judge(rig.db, 1, r, &when, &space, &v), 0);
		assert_int_equal(v.n, trusts[i] == TRUST_UNKNOWN);
		assert_int_equal(limit_judge(rig.db, 0, r, &when, &space, &v), 0);
		assert_int_equal(v.n, trusts[i] == TRUST_UNKNOWN);
	}
	unit_free(u);
}

/* Assigned late: whose it is now has a limit. What was told already is raised again only when it is worse. */
static void test_assigned_late(void **state)
{
	(void)state;
	set(1, "bp.sbp", "at_least", 150000, "critical");
	struct uuid id = rig_bp(&rig, (struct rig_bp){145, 80, 70, .identity = "0"});
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	assert_int_equal(ROWS("alert"), 0); /* the limit says nothing of it */
	id = rig_bp(&rig, (struct rig_bp){155, 80, 70, .identity = "1"});
	assert_int_equal(ROWS("alert"), 0);
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), 0);
	assert_int_equal(ROWS("alert"), 0);
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect("SELECT severity||resident||recipient||state FROM alert", "critical1D-0001active");
	/* a warning that somebody knows of becomes a critical value */
	id = rig_bp(&rig, (struct rig_bp){165, 80, 70, .identity = "2"});
	rig_script(&rig, "UPDATE alert SET state='acknowledged',acked=1");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect("SELECT severity||resident||state FROM alert ORDER BY id DESC", "critical1active");
	assert_int_equal(ROWS("alert"), 2);
	/* and a critical one that was acknowledged stays so */
	id = rig_bp(&rig, (struct rig_bp){185, 80, 70, .identity = "3"});
	rig_script(&rig, "UPDATE alert SET state='acknowledged',acked=1");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect("SELECT severity||resident||state FROM alert ORDER BY id DESC",
		"critical1acknowledged");
	rig.config.alerts = false;
	id = rig_bp(&rig, (struct rig_bp){156, 80, 70, .identity = "4"});
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	assert_int_equal(ROWS("alert"), 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_who),
		T(test_how_tight),
		T(test_rest),
		T(test_one_at_a_time),
		T(test_it_fires),
		T(test_a_pattern),
		T(test_while_it_holds),
		T(test_assigned_late),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
