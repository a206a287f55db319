/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Personal limits: who sets them, which of them wait for a second doctor, and who that is. */
#include "door_rig.h"

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

/* What the last one said, and how many wait. */
static void expect_state(bool pending)
{
	const json_t *result = done();
	assert_int_equal(json_object_get(result, "state") != NULL, pending);
	if (pending) {
		assert_string_equal(text_in(result, "state"), "pending");
		assert_non_null(strstr(text_in(result, "next_en"), "second doctor"));
		assert_non_null(strstr(text_in(result, "next_zh"), "第二位医生"));
	}
}

static void test_how_tight(void **state)
{
	(void)state;
	static const struct {
		const char *limit, *code; /* NULL: it is taken; "": it waits */
	} all[] = {{"'kind':'bp.sbp','at_least':180", NULL}, {"'kind':'bp.sbp','at_least':181", ""},
		{"'kind':'bp.sbp','at_least':'180.001'", ""},
		{"'kind':'bp.sbp','at_least':90", NULL}, {"'kind':'bp.dbp','at_least':110", NULL},
		{"'kind':'bp.dbp','at_least':111", ""}, {"'kind':'bp.sbp','at_most':100", NULL},
		{"'kind':'bp.sbp','at_most':90", NULL},
		{"'kind':'bp.sbp','at_most':89", ""}, /* looser than a critical rule */
		{"'kind':'bp.dbp','at_most':40", NULL}, {"'kind':'glu.*','at_least':16.7", NULL},
		{"'kind':'glu.*','at_least':16.8", ""},
		{"'kind':'glu.fasting','at_least':'16.701'", ""},
		{"'kind':'glu.fasting','at_most':3.9", NULL},
		{"'kind':'glu.*','at_most':4.4", NULL}, {"'kind':'glu.random','at_most':3.8", ""},
		{"'kind':'spo2','at_most':94", NULL}, {"'kind':'spo2','at_most':91", NULL},
		{"'kind':'spo2','at_most':90", ""}, {"'kind':'weight','at_least':'70.5'", NULL},
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
		{"'kind':'bp.*','at_least':8", "bad_kind"},
		{"'kind':'g*','at_least':8", "bad_kind"}, {"'at_least':8", "bad_kind"},
		{"'kind':'glu.meal_context','at_least':8", "bad_kind"},
		{"'kind':'bp.sbpxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','at_least':8", "bad_kind"}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		bool taken = !all[i].code || !all[i].code[0];
		int64_t before = ROWS("personal_limit");
		print_message("# %s\n", all[i].limit);
		limit(all[i].limit);
		if (taken)
			expect_state(all[i].code);
		else
			refused(all[i].code);
		assert_int_equal(ROWS("personal_limit"), before + taken);
	}
}

/* A warning replaces warnings only: it is free within the national limits. The rules are those that are for this resident. */
static void test_looser_than_rules(void **state)
{
	(void)state;
#define WARN(text) \
	"{'resident':'R-0001','severity':'warning','reason':'r','until':'2098-12-31'," text "}"
	give("limit", WARN("'kind':'spo2','at_most':85"));
	expect_state(false);
	give("limit", WARN("'kind':'bp.sbp','at_least':170"));
	expect_state(false);
	give("limit", WARN("'kind':'bp.sbp','at_least':190"));
	expect_state(true);
	rig_script(&rig, "UPDATE resident SET conditions='copd' WHERE id=1");
	limit("'kind':'spo2','at_most':83");
	expect_state(false);
	limit("'kind':'spo2','at_most':82");
	expect_state(true);
	rig.config.altitude_m = 3600;
	rig_script(&rig, "UPDATE resident SET conditions='' WHERE id=1");
	limit("'kind':'spo2','at_most':80");
	expect_state(false);
	limit("'kind':'spo2','at_most':79");
	expect_state(true);
}

#define HELD                                                                                  \
	"SELECT coalesce(group_concat(milli||CASE pending WHEN 1 THEN ' waits' ELSE '' END||" \
	"coalesce(' by '||confirmed_by,''),', '),'none') FROM personal_limit WHERE valid_to>4e15"

/* It takes two, and they are not the same, by whatever door. */
static void test_second_doctor(void **state)
{
	(void)state;
	limit("'kind':'bp.sbp','at_least':175");
	limit("'kind':'bp.sbp','at_least':190");
	expect(HELD, "175000, 190000 waits"); /* what held goes on */
	limit("'kind':'bp.sbp','at_least':195");
	expect(HELD, "175000, 195000 waits");
#define CONFIRM(value) "{'resident':'R-0001','kind':'bp.sbp','at_least':" value ",'confirm':true}"
	give("limit", CONFIRM("195"));
	refused("same_person");
	door_author = "platform:platform/D-0001";
	give("limit", CONFIRM("195"));
	refused("same_person");
	static const char *const not [] = {
		"local:nurse", "local:nurse/N-0001", "local:nurse/D-0008", "local:nurse/"};
	for (size_t i = 0; i < ELEMENTS(not ); i++) {
		door_author = not [i];
		give("limit", CONFIRM("195"));
		refused("not_allowed");
	}
	door_author = "local:nurse/D-0007"; /* of the team */
	give("limit", CONFIRM("190"));
	refused("nothing_pending");
	give("limit", "{'resident':'R-0001','kind':'bp.sbp','at_most':195,'confirm':true}");
	refused("nothing_pending");
	give("limit", "{'resident':'R-0002','kind':'bp.sbp','at_least':195,'confirm':true}");
	refused("not_allowed");
	expect(HELD, "175000, 195000 waits");
	give("limit", CONFIRM("195"));
	expect_state(false);
	expect(HELD, "195000 by local:nurse/D-0007");
	give("limit", CONFIRM("195"));
	refused("nothing_pending");
	give("resident", "{'resident':'R-0001'}");
	assert_string_equal(
		text_in(json_array_get(json_object_get(done(), "limits"), 0), "confirmed_by"),
		"local:nurse/D-0007");
	expect("SELECT group_concat(detail,', ') FROM audit",
		"bp.sbp at_least 175 critical, bp.sbp at_least 190 critical pending, bp.sbp at_least "
		"195 critical pending, bp.sbp at_least 195 confirmed");
}

/* A village with one doctor: who is told when nobody answers. */
static void test_second_of_the_chain(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE resident SET chain='N-0002;H-0001',team='' WHERE id=1");
	limit("'kind':'glu.*','at_most':3.5");
	expect_state(true);
	give("resident", "{'resident':'R-0001'}");
	assert_string_equal(
		text_in(json_array_get(json_object_get(done(), "limits"), 0), "state"), "pending");
	door_author = "local:nurse/H-000";
	give("limit", "{'resident':'R-0001','kind':'glu.*','at_most':3.5,'confirm':true}");
	refused("not_allowed");
	door_author = "local:nurse/H-0001";
	give("limit", "{'resident':'R-0001','kind':'glu.*','at_most':'3.50','confirm':true}");
	expect_state(false);
	limit("'kind':'glu.*','at_most':3.5"); /* confirming is all */
	refused("not_allowed");
}

static void test_ends_what_waits(void **state)
{
	(void)state;
	limit("'kind':'bp.sbp','at_least':190");
	give("limit", "{'resident':'R-0001','kind':'bp.sbp','at_least':0,'end':true}");
	done();
	expect(HELD, "none");
	door_author = "local:nurse/D-0007";
	give("limit", CONFIRM("190"));
	refused("nothing_pending");
}

static void test_too_many(void **state)
{
	(void)state;
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<16) INSERT INTO "
		"personal_limit(resident,kind,side,milli,severity,author,reason,valid_from,valid_to) "
		"SELECT 1,'k'||i,'at_least',1,'warning','a','r',0,9e15 FROM n");
	limit("'kind':'bp.sbp','at_least':150");
	refused("too_many");
	rig_script(&rig, "UPDATE personal_limit SET kind='bp.sbp' WHERE kind='k3'");
	limit("'kind':'bp.sbp','at_least':150"); /* in the place of one */
	done();
	assert_int_equal(ROWS("personal_limit"), 17);
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
	static const char *const states[] = {
		"withdrawn", "deceased", "moved", "unlisted", "erased"};
	for (size_t i = 0; i < ELEMENTS(states); i++) {
		assert_int_equal(
			db_run(rig.db, "UPDATE resident SET state=? WHERE id=1", "t", states[i]),
			1);
		limit("'kind':'bp.sbp','at_least':150");
		refused("not_active");
	}
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

/* Where both have one of (kind, side), that of the resident who goes on stays; the same of what waits. */
static void test_merge(void **state)
{
	(void)state;
	limit("'kind':'bp.sbp','at_least':150");
	limit("'kind':'bp.sbp','at_least':190"); /* waits */
	limit("'kind':'bp.dbp','at_least':100");
	limit("'kind':'spo2','at_most':88"); /* waits */
	rig_script(&rig, "UPDATE personal_limit SET resident=2");
	limit("'kind':'bp.sbp','at_least':160");
	limit("'kind':'bp.sbp','at_least':185");
	limit("'kind':'bp.sbp','at_most':80");
	give("merge", "{'resident':'R-0002','into':'R-0001'}");
	done();
	expect("SELECT group_concat(kind||' '||side||' '||milli||CASE pending WHEN 1 THEN ' waits' ELSE '' END,"
	       "', ') FROM (SELECT * FROM personal_limit WHERE resident=1 AND valid_to>4e15 "
	       "ORDER BY id)",
		"bp.dbp at_least 100000, spo2 at_most 88000 waits, bp.sbp at_least 160000, bp.sbp at_least 185000 "
		"waits, bp.sbp at_most 80000 waits");
	assert_int_equal(ROWS("personal_limit"), 7); /* what held then holds for then */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM personal_limit WHERE resident=2"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_who),
		T(test_how_tight),
		T(test_looser_than_rules),
		T(test_second_doctor),
		T(test_second_of_the_chain),
		T(test_ends_what_waits),
		T(test_too_many),
		T(test_rest),
		T(test_one_at_a_time),
		T(test_merge),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
