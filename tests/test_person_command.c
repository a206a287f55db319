/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readings that persons type: each answer, each refusal, and what is left behind. */
#include "command_rig.h"

#include "day.h"
#include "outbox.h"

static int setup(void **state)
{
	command_setup(state);
	rig_residents(&rig);
	return 0;
}

/* The newest row of a reading: "kind|status|token|evidence|grade|trust". */
static void expect_filed(const char *expected)
{
	expect_text(
		"SELECT reading.kind||'|'||status||'|'||coalesce(token,'-')||'|'||evidence||'|'||"
		"grade||'|'||trust FROM reading LEFT JOIN resident ON resident.id="
		"reading.resident ORDER BY reading.id DESC LIMIT 1",
		expected);
}

static const json_t *value(const char *kind)
{
	return json_object_get(json_object_get(result(), "values"), kind);
}

/* typed readings */

static void test_enter(void **state)
{
	(void)state;
	ask("enter", "{'resident':'R-0001','values':{'bp.sbp':'150','bp.dbp':'90'},'arm':'right'}");
	assert_int_equal(json_integer_value(json_object_get(value("bp.sbp"), "value")), 150);
	expect_filed("bp|final|R-0001|entered_by_person|person|live");
	assert_int_equal(COUNT("reading"), 1);
	assert_int_equal(COUNT("evidence WHERE resident=1"), 2);
	assert_int_equal(COUNT("outbox WHERE kind=0"), 1);
	expect_text("SELECT json_extract(body,'$.notes.arm') FROM reading", "right");
	expect_text("SELECT CAST(raw AS TEXT) FROM reading", "bp.sbp=150 bp.dbp=90");
	expect_text("SELECT driver FROM reading", "person/1");
	expect_text("SELECT name||driver FROM device WHERE id=(SELECT device FROM reading)",
		"personperson");
	expect_text(
		"SELECT action||' '||detail FROM audit ORDER BY id DESC LIMIT 1", "enter R-0001");
	assert_int_equal(COUNT("alert"), 0);
	/* it is no instrument that somebody would look after */
	ask("devices", "{}");
	assert_int_equal(json_array_size(json_object_get(result(), "devices")), 1);
	/* twice is twice: whoever measured twice types twice */
	ask("enter", "{'resident':'R-0001','values':{'bp.sbp':'150','bp.dbp':'90'}}");
	result();
	assert_int_equal(COUNT("reading WHERE superseded=0"), 2);
}

/* What is shown is what is judged: rounded once, in the unit of the kind. */
static void test_enter_units(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *text, *unit, *shown, *of;
	} cases[] = {
		{"weight", "130", "jin", "65.00", "weight"},
		{"weight", "130.01", "斤", "65.01", "weight"}, /* 65.005, away from zero */
		{"temp", "98.6", "degF", "37.0", "temperature"},
		{"temp", "99.41", "degF", "37.5", "temperature"}, /* 37.45 exactly */
		{"bp.sbp", "20", "kPa", "150", "bp"},
		{"glu.random", "111", "mg/dL", "6.2", "glucose"},
		{"lipid.tc", "200", "mg/dL", "5.17", "lipids"},
		{"lipid.tg", "150", "mg/dL", "1.69", "lipids"},
		{"height", "1.705", "m", "170.5", "height"},
		{"height", "5", "ft", "152.4", "height"},
		{"waist", "34", "in", "86.4", "entry"}, /* 86.36 */
		{"hba1c", "7.05", "", "7.1", "hba1c"},
		{"spo2", "97", "%", "97", "spo2"},
		{"resp", "18", "", "18", "entry"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char args[256], sought[64];
		snprintf(args, sizeof(args),
			"{'resident':'R-0001','values':{'%s':'%s'},'units':{'%s':'%s'}}",
			cases[i].kind, cases[i].text, cases[i].kind, cases[i].unit);
		ask("enter", args);
		result();
		char body[512];
		rig_text(&rig, body, sizeof(body),
			"SELECT body FROM reading ORDER BY id DESC LIMIT 1");
		snprintf(sought, sizeof(sought), "{\"%s\":{\"value\":%s,", cases[i].kind,
			cases[i].shown);
		assert_non_null(strstr(body, sought));
		rig_text(&rig, body, sizeof(body),
			"SELECT kind FROM reading ORDER BY id DESC LIMIT 1");
		assert_string_equal(body, cases[i].of);
	}
	ask("enter", "{'resident':'R-0001','values':{'weight':'65','height':'170'}}");
	expect_filed("entry|final|R-0001|entered_by_person|person|live");
	ask("enter", "{'resident':'R-0001','values':{'glu.random':'>33.3'}}");
	expect_text("SELECT comparator FROM evidence ORDER BY rowid DESC LIMIT 1", ">");
	expect_text("SELECT severity FROM alert", "critical");
}

static void test_enter_meal(void **state)
{
	(void)state;
	ask("enter", "{'resident':'R-0002','values':{'glu.random':'6.8'},'meal':'fasting'}");
	assert_non_null(value("glu.fasting"));
	expect_text("SELECT kind FROM evidence", "glu.fasting");
	expect_text("SELECT json_extract(body,'$.notes.meal')||json_extract(body,"
		    "'$.values.\"glu.fasting\".ws') FROM reading",
		"fastingDE04.50.037.00");
	ask("enter",
		"{'resident':'R-0002','values':{'glu.random':'6.8','glu.fasting':'7'},'meal':'fasting'}");
	refused("bad_argument");
	ask("enter", "{'resident':'R-0002','values':{'lipid.tg':'1.7'},'meal':'fasting'}");
	refused("bad_kind");
	ask("enter", "{'resident':'R-0002','values':{'bp.pulse':'70'},'arm':'left'}");
	refused("bad_kind");
	ask("enter", "{'resident':'R-0002','values':{'bp.dbp':'70'},'arm':'left'}");
	assert_non_null(value("bp.dbp"));
}

static void test_enter_time(void **state)
{
	(void)state;
	ask("enter", "{'resident':'R-0001','values':{'waist':'88'},'taken':'2025-03-01T08:05:30'}");
	result();
	expect_filed("entry|final|R-0001|entered_by_person|person|live");
	expect_text("SELECT device_time FROM reading", "2025-03-01T08:05:30");
	/* Asia/Shanghai */
	assert_int_equal(rig_int(&rig, "SELECT taken FROM reading"), 1740787530000000);
	assert_int_equal(rig_int(&rig, "SELECT uncertainty_us FROM reading"), 60000000);
	assert_true(rig_int(&rig, "SELECT arrived-taken FROM reading") > 0);
	assert_int_equal(rig_int(&rig, "SELECT in_contract FROM reading"), 0);
	ask("enter", "{'resident':'R-0001','values':{'waist':'88'},'taken':'2025-03-01T08:05'}");
	result();
	assert_int_equal(rig_int(&rig, "SELECT taken FROM reading ORDER BY id DESC LIMIT 1"),
		1740787500000000);
	ask("enter", "{'resident':'R-0001','values':{'waist':'88'},'taken':'00:00'}");
	result();
	assert_int_equal(rig_int(&rig, "SELECT taken FROM reading ORDER BY id DESC LIMIT 1"),
		day_begin_us(day_of(clock_utc_us())));
	static const char *const wrong[] = {"''", "'2025-03-01'", "'2025-13-01T08:05:30'", "'8:05'",
		"'25:00'", "'2062-01-01T08:00:00'", "'2025-03-01T08:05:30x'", "5",
		"'1960-01-01T08:00:00'"};
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		char args[128];
		snprintf(args, sizeof(args),
			"{'resident':'R-0001','values':{'waist':'88'},'taken':%s}", wrong[i]);
		ask("enter", args);
		refused("bad_argument");
	}
	assert_int_equal(COUNT("reading"), 3);
}

static void test_enter_alert(void **state)
{
	(void)state;
	ask("enter", "{'resident':'R-0001','values':{'bp.sbp':'190','bp.dbp':'95'}}");
	result();
	expect_text(
		"SELECT severity||role||recipient||doubts FROM alert", "criticaldoctorD-0001[]");
	assert_int_equal(COUNT("outbox WHERE kind=1"), 1);
}

static void test_enter_refused(void **state)
{
	(void)state;
	static const struct {
		const char *args, *code, *says;
	} cases[] = {
		{"{'resident':'R-0009','values':{'waist':'88'}}", "unknown_resident", ""},
		{"{'resident':'R-0001'}", "bad_argument", "bp.sbp=150"},
		{"{'resident':'R-0001','values':{}}", "bad_argument", ""},
		{"{'resident':'R-0001','values':'waist'}", "bad_argument", ""},
		{"{'resident':'R-0001','values':{'bp.sys':'150'}}", "bad_kind", "bp.sys"},
		{"{'resident':'R-0001','values':{'env.temp':'5'}}", "bad_kind", ""},
		{"{'resident':'R-0001','values':{'glu.control':'5'}}", "bad_kind", ""},
		{"{'resident':'R-0001','values':{'glu.isf':'5'}}", "bad_kind", ""},
		{"{'resident':'R-0001','values':{'bp.panel':'5'}}", "bad_kind", ""},
		{"{'resident':'R-0001','values':{'ecg.result':'5'}}", "bad_kind", ""},
		{"{'resident':'R-0001','values':{'waist':'88'},'units':{'weight':'kg'}}",
			"bad_kind", ""},
		{"{'resident':'R-0001','values':{'waist':'88','bp.sbp':'1500'}}", "bad_value",
			"expected 40 to 300 mm[Hg]"},
		{"{'resident':'R-0001','values':{'temp':'373'}}", "bad_value",
			"expected 30.0 to 45.0 Cel"},
		{"{'resident':'R-0001','values':{'weight':'700'},'units':{'weight':'jin'}}",
			"bad_value", "expected 1.00 to 300.00 kg"},
		{"{'resident':'R-0001','values':{'waist':'wide'}}", "bad_value",
			"expected a number"},
		{"{'resident':'R-0001','values':{'waist':'8,8'}}", "bad_value", ""},
		{"{'resident':'R-0001','values':{'waist':'1e2'}}", "bad_value", ""},
		{"{'resident':'R-0001','values':{'waist':''}}", "bad_value", ""},
		{"{'resident':'R-0001','values':{'waist':88}}", "bad_value", ""},
		{"{'resident':'R-0001','values':{'waist':'>300'}}", "bad_value", "expected 30.0"},
		{"{'resident':'R-0001','values':{'waist':'88'},'units':{'waist':'chi'}}",
			"bad_value", "units.csv"},
		{"{'resident':'R-0001','values':{'bp.sbp':'90','bp.dbp':'150'}}", "bad_value",
			"above"},
		{"{'resident':'R-0001','values':{'waist':'88'},'posture':'running'}",
			"bad_argument", "sitting, lying, standing"},
		{"{'resident':'R-0001','values':{'waist':'88'},'arm':7}", "bad_argument",
			"left, right"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		ask("enter", cases[i].args);
		refused(cases[i].code);
		assert_non_null(
			strstr(text_of(json_object_get(last, "error"), "en"), cases[i].says));
	}
	ask("enter",
		"{'resident':'R-0001','values':{'waist':'88','bp.sbp':'120','bp.dbp':'80','bp.pulse':'70',"
		"'weight':'65','height':'170','temp':'36.6','spo2':'97','hba1c':'6','resp':'18',"
		"'lipid.tc':'5','lipid.tg':'1','lipid.ldl':'2','lipid.hdl':'1','creatinine':'80',"
		"'glu.fasting':'6','spo2.pulse':'70'}}");
	refused("bad_argument");
	assert_int_equal(COUNT("reading"), 0);
	assert_int_equal(COUNT("audit"), 0);
	assert_int_equal(COUNT("outbox"), 0);
}

static void test_enter_states(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE id=1;"
			 "UPDATE resident SET state='merged', merged_into=3 WHERE id=2");
	ask("enter", "{'resident':'R-0001','values':{'waist':'88'}}");
	refused("not_active");
	ask("enter", "{'resident':'R-0002','values':{'waist':'88'}}");
	result();
	expect_filed("entry|final|R-0003|entered_by_person|person|live");
	static const char *const others[] = {"deceased", "moved", "unlisted", "erased"};
	for (size_t i = 0; i < ELEMENTS(others); i++) {
		assert_int_equal(
			db_run(rig.db, "UPDATE resident SET state=? WHERE id=3", "t", others[i]),
			1);
		ask("enter", "{'resident':'R-0002','values':{'waist':'88'}}");
		refused("not_active");
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, command_teardown)
	const struct CMUnitTest tests[] = {TEST(test_enter), TEST(test_enter_units),
		TEST(test_enter_meal), TEST(test_enter_time), TEST(test_enter_alert),
		TEST(test_enter_refused), TEST(test_enter_states)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("person_command", tests, NULL, NULL);
}
