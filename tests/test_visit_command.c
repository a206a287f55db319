/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands about visits, as a nurse and a doctor give them: open, answer, confirm, correct, void; what was held
 * elsewhere; plans; looking. Each refusal leaves nothing behind.
 */
#include "visit_rig.h"

#include "command_rig.h"
#include "visit.h"

#include <jansson.h>

static char visit[33]; /* the id that the last reply told */

static int setup(void **state)
{
	command_setup(state);
	rig_residents(&rig);
	rig_script(&rig,
		"UPDATE resident SET team='T-1' WHERE id<3; INSERT INTO team(team,member,role) VALUES"
		"('T-1','D-0009','doctor'),('T-1','N-0001','nurse'),('T-2','D-0007','doctor');"
		"INSERT INTO resident(id,token,programmes,birth_date,changed) VALUES(4,'R-0004',"
		"'copd;elderly','1950',0)");
	return 0;
}

/* `args` with ' for ", and $V for the last visit; `by`: a token, NULL: nobody says who. */
static void order(const char *by, const char *cmd, const char *args)
{
	char text[2048], filled[1024];
	const char *v = strstr(args, "$V");
	if (v)
		snprintf(filled, sizeof(filled), "%.*s%s%s", (int)(v - args), args, visit, v + 2);
	else
		snprintf(filled, sizeof(filled), "%s", args);
	int n = snprintf(text, sizeof(text), "{'v':1,'id':'c-1','cmd':'%s',%s%s%s'args':%s}", cmd,
		by ? "'by':'" : "", by ? by : "", by ? "'," : "", filled);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	ask_raw(text, (size_t)n);
	const char *id =
		json_string_value(json_object_get(json_object_get(last, "result"), "visit"));
	if (id)
		snprintf(visit, sizeof(visit), "%s", id);
}

static void done(const char *by, const char *cmd, const char *args)
{
	order(by, cmd, args);
	result();
}

static void is_refused(const char *by, const char *cmd, const char *args, const char *code)
{
	int64_t audits = COUNT("audit"), visits = COUNT("visit"), rows = COUNT("outbox");
	char before[256], after[256];
	static const char all[] = "SELECT group_concat(state||revision||answers) FROM visit";
	rig_text(&rig, before, sizeof(before), all);
	order(by, cmd, args);
	refused(code);
	rig_text(&rig, after, sizeof(after), all);
	assert_string_equal(before, after);
	assert_int_equal(COUNT("audit"), audits);
	assert_int_equal(COUNT("visit"), visits);
	assert_int_equal(COUNT("outbox"), rows);
}

static const json_t *shown(const char *list, size_t i)
{
	return json_array_get(json_object_get(result(), list), i);
}

static const json_t *field(const json_t *form, const char *key)
{
	size_t i;
	json_t *f;
	json_array_foreach(json_object_get(form, "fields"), i, f)
	{
		if (streq(text_of(f, "key"), key))
			return f;
	}
	fail_msg("no field %s", key);
	return NULL;
}

/* An open visit of R-0001, held at the clinic, with a class. */
static void open_answered(void)
{
	done(NULL, "visit_open", "{'resident':'R-0001','form':'htn','way':1}");
	done(NULL, "visit_set", "{'visit':'$V','answers':{'classification':'2'}}");
}

/* open, answer, close */

static void test_open(void **state)
{
	(void)state;
	done("N-0001", "visit_open", "{'resident':'R-0001','form':'htn','way':'2'}");
	assert_string_equal(text_of(result(), "state"), "open");
	assert_string_equal(text_of(result(), "form"), "hypertension_followup_v3");
	assert_int_equal(json_integer_value(json_object_get(result(), "revision")), 1);
	expect_text("SELECT answers||author||state FROM visit",
		"{\"visit_way\":\"2\"}local:nurse/N-0001open");
	expect_text("SELECT action||detail FROM audit", "visit_openhypertension_followup_v3");
	char first[33];
	snprintf(first, sizeof(first), "%s", visit);
	done(NULL, "visit_open", "{'resident':'R-0001','form':'hypertension_followup_v3'}");
	assert_string_equal(visit, first); /* it goes on */
	expect_text("SELECT answers FROM visit", "{\"visit_way\":\"2\"}");
	assert_int_equal(COUNT("outbox WHERE kind=2"), 1);
	/* the yearly check is for whoever is old enough, enrolled or not */
	done(NULL, "visit_open", "{'resident':'R-0001','form':'elderly'}");
	done(NULL, "visit_open", "{'resident':'R-0004','form':'copd','way':3}");
}

static void test_open_refused(void **state)
{
	(void)state;
	static const struct {
		const char *args, *code;
	} cases[] = {
		{"{}", "unknown_resident"},
		{"{'resident':'R-0099','form':'htn'}", "unknown_resident"},
		{"{'resident':7,'form':'htn'}", "unknown_resident"},
		{"{'resident':'R-0001'}", "unknown_form"},
		{"{'resident':'R-0001','form':'hypertension'}", "unknown_form"},
		{"{'resident':'R-0001','form':'t2dm'}", "not_enrolled"},
		{"{'resident':'R-0003','form':'htn'}", "not_enrolled"},
		{"{'resident':'R-0003','form':'elderly'}", "not_enrolled"}, /* age unknown */
		{"{'resident':'R-0001','form':'htn','way':'4'}", "bad_value"},
		{"{'resident':'R-0001','form':'htn','way':'clinic'}", "bad_value"},
		{"{'resident':'R-0001','form':'htn','way':[]}", "bad_value"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		is_refused(NULL, "visit_open", cases[i].args, cases[i].code);
	rig_script(&rig, "UPDATE resident SET owner='gw-0002' WHERE id=1");
	is_refused(NULL, "visit_open", "{'resident':'R-0001','form':'htn'}", "not_owner");
	assert_non_null(strstr(text_of(json_object_get(last, "error"), "en"), "gw-0002"));
	assert_non_null(strstr(text_of(json_object_get(last, "error"), "zh"), "gw-0002"));
	rig_script(&rig, "UPDATE resident SET owner='gw-0001' WHERE id=1");
	done(NULL, "visit_open", "{'resident':'R-0001','form':'htn'}");
	rig_script(&rig, "UPDATE resident SET state='deceased' WHERE id=2");
	is_refused(NULL, "visit_open", "{'resident':'R-0002','form':'htn'}", "not_active");
}

static void test_answers(void **state)
{
	(void)state;
	done(NULL, "visit_open", "{'resident':'R-0001','form':'htn'}");
	done(NULL, "visit_set",
		"{'visit':'$V','answers':{'adverse_reaction':'1','complication':1,'smoking':'3'}}");
	expect_text("SELECT answers||revision FROM visit",
		"{\"adverse_reaction\":\"1\",\"complication\":1,\"smoking\":\"3\"}2");
	/* what is said again stands in place of it; null takes it back */
	done(NULL, "visit_set", "{'visit':'$V','answers':{'smoking':null,'adverse_reaction':'2'}}");
	expect_text("SELECT answers FROM visit", "{\"adverse_reaction\":\"2\",\"complication\":1}");
	static const struct {
		const char *args, *code;
	} cases[] = {
		{"{'visit':'$V','answers':{'symptomz':'1'}}", "unknown_key"},
		{"{'visit':'$V','answers':{'complication':'1','adverse_reaction':'7'}}",
			"bad_value"},
		{"{'visit':'$V','answers':{'next_visit_date':'soon'}}", "bad_value"},
		{"{'visit':'$V','answers':{'bp':{}}}", "bad_value"},
		{"{'visit':'$V','answers':'1'}", "bad_argument"},
		{"{'visit':'$V'}", "bad_argument"},
		{"{'answers':{}}", "bad_id"},
		{"{'visit':'ffffffff','answers':{}}", "unknown_id"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		is_refused(NULL, "visit_set", cases[i].args, cases[i].code);
	rig_script(&rig, "UPDATE visit SET state='confirmed'");
	is_refused(NULL, "visit_set", "{'visit':'$V','answers':{}}", "already_confirmed");
	is_refused(NULL, "visit_close", "{'visit':'$V'}", "already_confirmed");
	rig_script(&rig, "UPDATE visit SET state='entered-in-error'");
	is_refused(NULL, "visit_set", "{'visit':'$V','answers':{}}", "entered_in_error");
}

static void test_close(void **state)
{
	(void)state;
	done(NULL, "visit_open", "{'resident':'R-0001','form':'htn'}");
	done(NULL, "visit_close", "{'visit':'$V'}");
	assert_string_equal(text_of(result(), "state"), "closed");
	is_refused(NULL, "visit_close", "{'visit':'$V'}", "already_so");
	done(NULL, "visit_set", "{'visit':'$V','answers':{'visit_way':'1'}}"); /* answered later */
	expect_text("SELECT state FROM visit", "closed");
}

/* confirming */

static void test_who_confirms(void **state)
{
	(void)state;
	static const char *const nobody[] = {
		NULL, "", "N-0001", "D-0002", "D-0007", "d-0001", "x/D-0001", "D-0001 ", "R-0001"};
	open_answered();
	for (size_t i = 0; i < ELEMENTS(nobody); i++)
		is_refused(nobody[i], "visit_confirm", "{'visit':'$V'}", "not_allowed");
	done("D-0009", "visit_confirm", "{'visit':'$V'}"); /* a doctor of the team */
	expect_text("SELECT confirmed_by FROM visit", "D-0009");
	rig_script(&rig, "UPDATE visit SET state='closed'");
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	/* nobody's doctor is nobody */
	rig_script(&rig, "UPDATE visit SET state='closed'; UPDATE resident SET doctor='', team=''");
	is_refused("", "visit_confirm", "{'visit':'$V'}", "not_allowed");
	is_refused("D-0009", "visit_confirm", "{'visit':'$V'}", "not_allowed");
}

static void test_what_is_missing(void **state)
{
	(void)state;
	done(NULL, "visit_open", "{'resident':'R-0001','form':'htn'}");
	is_refused("D-0001", "visit_confirm", "{'visit':'$V'}", "way_missing");
	done(NULL, "visit_set", "{'visit':'$V','answers':{'visit_way':'1'}}");
	is_refused("D-0001", "visit_confirm", "{'visit':'$V'}", "class_missing");
	done(NULL, "visit_set", "{'visit':'$V','answers':{'complication':'2'}}"); /* class 4 */
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	expect_text("SELECT class FROM visit", "4");
	done(NULL, "visit_open", "{'resident':'R-0001','form':'elderly','way':'1'}");
	is_refused("D-0001", "visit_confirm", "{'visit':'$V'}", "class_missing");
}

static void test_confirmed(void **state)
{
	(void)state;
	open_answered();
	rig_script(&rig, "UPDATE visit_window SET from_us=1");
	stored_reading(&rig, (struct stored){.resident = 1,
				     .grade = "message",
				     .taken_us = clock_utc_us() - MINUTE,
				     .numbers = {{"bp.sbp", 185}, {"bp.dbp", 95}}});
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	assert_string_equal(text_of(result(), "state"), "confirmed");
	expect_text(
		"SELECT state||class||coalesce(referral,'-')||(confirmed_at>0)||(next_day>day)||"
		"coalesce(reason,'-') FROM visit",
		"confirmed2[\"bp_urgent\"]11-");
	expect_text("SELECT revision||author||coalesce(reason,'-') FROM visit_revision",
		"3local:nurse/D-0001-");
	expect_text("SELECT r.body=v.body FROM visit_revision r JOIN visit v", "1");
	expect_text("SELECT to_us>0 FROM visit_window", "1"); /* it is over */
	order(NULL, "followup", "{'resident':'R-0001'}");
	const json_t *v = shown("visits", 0);
	assert_string_equal(text_of(v, "status"), "confirmed");
	assert_string_equal(text_of(json_object_get(v, "confirmed"), "by"), "D-0001");
	assert_int_equal(json_integer_value(json_object_get(v, "way")), 1);
	assert_true(json_is_true(json_object_get(field(v, "bp"), "filled")));
	assert_int_equal(json_array_size(json_object_get(field(v, "bp"), "readings")), 1);
	is_refused("D-0001", "visit_confirm", "{'visit':'$V'}", "already_confirmed");
	/* what a person says of the referral stands in place of our reasons */
	done("D-0001", "visit_correct",
		"{'visit':'$V','answers':{'referral':'county hospital'},'reason':'sent up'}");
	expect_text("SELECT referral FROM visit", "[\"county hospital\"]");
	/* later readings do not change it */
	stored_reading(&rig, (struct stored){.resident = 1,
				     .grade = "message",
				     .taken_us = clock_utc_us() - MINUTE,
				     .numbers = {{"bp.sbp", 120}, {"bp.dbp", 70}}});
	order(NULL, "followup", "{'resident':'R-0001'}");
	assert_int_equal(
		json_array_size(json_object_get(field(shown("visits", 0), "bp"), "readings")), 1);
}

static void test_correct(void **state)
{
	(void)state;
	open_answered();
	is_refused("D-0001", "visit_correct", "{'visit':'$V','answers':{},'reason':'x'}",
		"not_confirmed");
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	rig_script(&rig, "UPDATE visit SET confirmed_at=77");
	is_refused("N-0001", "visit_correct", "{'visit':'$V','answers':{},'reason':'x'}",
		"not_allowed");
	is_refused("D-0001", "visit_correct", "{'visit':'$V','answers':{}}", "reason_missing");
	is_refused("D-0001", "visit_correct", "{'visit':'$V','answers':{'x':1},'reason':'y'}",
		"unknown_key");
	is_refused("D-0001", "visit_correct",
		"{'visit':'$V','answers':{'visit_way':null},'reason':'y'}", "way_missing");
	done("D-0009", "visit_correct",
		"{'visit':'$V','answers':{'classification':'1','referral_result':'1'},'reason':'typed "
		"wrong'}");
	expect_text(
		"SELECT class||referral_result||confirmed_by||confirmed_at||reason||revision FROM "
		"visit",
		"11D-000977typed wrong4");
	expect_text("SELECT group_concat(revision||author||coalesce(reason,'-'),' ') FROM "
		    "visit_revision",
		"3local:nurse/D-0001- 4local:nurse/D-0009typed wrong");
	expect_text(
		"SELECT json_extract(body,'$.answers.classification') FROM visit_revision WHERE "
		"revision=3",
		"2");
	order(NULL, "followup", "{'resident':'R-0001'}");
	const json_t *v = shown("visits", 0);
	assert_string_equal(text_of(v, "status"), "amended");
	assert_string_equal(text_of(json_object_get(v, "confirmed"), "reason"), "typed wrong");
}

/* Made anew without its readings it would say less than it said. */
static void test_correct_too_late(void **state)
{
	(void)state;
	open_answered();
	rig_script(&rig, "UPDATE visit_window SET from_us=1");
	stored_reading(&rig, (struct stored){.resident = 1,
				     .grade = "message",
				     .taken_us = clock_utc_us() - MINUTE,
				     .numbers = {{"bp.sbp", 150}, {"bp.dbp", 95}}});
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	rig_script(&rig, "UPDATE visit SET evidence_changed=1");
	done("D-0001", "visit_correct", "{'visit':'$V','answers':{},'reason':'looked again'}");
	expect_text("SELECT evidence_changed FROM visit", "0");
	rig_script(&rig, "DELETE FROM reading");
	is_refused(
		"D-0001", "visit_correct", "{'visit':'$V','answers':{},'reason':'x'}", "too_late");
}

static void test_void(void **state)
{
	(void)state;
	open_answered();
	is_refused("N-0001", "visit_void", "{'visit':'$V'}", "reason_missing");
	done("N-0001", "visit_void", "{'visit':'$V','reason':'wrong resident'}");
	expect_text("SELECT state||reason||revision FROM visit", "entered-in-errorwrong resident3");
	is_refused("N-0001", "visit_void", "{'visit':'$V','reason':'x'}", "already_so");
	is_refused("D-0001", "visit_confirm", "{'visit':'$V'}", "entered_in_error");
	is_refused("D-0001", "visit_correct", "{'visit':'$V','answers':{},'reason':'x'}",
		"not_confirmed");
	open_answered();
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	is_refused("N-0001", "visit_void", "{'visit':'$V','reason':'x'}", "not_allowed");
	done("D-0009", "visit_void", "{'visit':'$V','reason':'x'}");
	order(NULL, "followup", "{'resident':'R-0001'}");
	assert_int_equal(json_array_size(json_object_get(result(), "visits")), 0);
	order(NULL, "followup", "{'visit':'$V'}");
	assert_string_equal(text_of(shown("visits", 0), "status"), "entered-in-error");
	assert_string_equal(text_of(shown("visits", 0), "reason"), "x");
}

/* elsewhere, plans */

static void test_elsewhere(void **state)
{
	(void)state;
	done("D-0005", "visit_elsewhere",
		"{'resident':'R-0001','form':'htn','day':'2026-08-02','way':1,'class':2,'next_day':"
		"'2026-08-16','referral':'sent up','institution':'county hospital','referral_result':"
		"'1','by':'D-0099'}");
	expect_text("SELECT state||origin||day||class||next_day||referral||referral_result||"
		    "confirmed_by||revision FROM visit",
		"confirmedelsewhere2026-08-0222026-08-16[\"sent up\"]1D-00991");
	assert_int_equal(COUNT("visit_revision"), 1);
	order(NULL, "followup", "{'resident':'R-0001'}");
	const json_t *v = shown("visits", 0);
	assert_string_equal(text_of(v, "origin"), "elsewhere");
	assert_string_equal(text_of(v, "status"), "confirmed");
	assert_string_equal(text_of(v, "resident"), "R-0001");
	assert_string_equal(text_of(v, "form"), "hypertension_followup_v3");
	assert_string_equal(
		text_of(json_object_get(v, "answers"), "institution"), "county hospital");
	assert_int_equal(json_integer_value(json_object_get(v, "way")), 1);
	/* one that was held here on such a day is another one */
	done(NULL, "visit_open", "{'resident':'R-0001','form':'htn','way':1}");
	done(NULL, "visit_set", "{'visit':'$V','answers':{'classification':'2'}}");
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
	rig_script(&rig, "UPDATE visit SET day='2026-09-02' WHERE id=2");
	/* as little as is known; and its result, when it comes */
	done(NULL, "visit_elsewhere", "{'resident':'R-0001','form':'htn','day':'2026-09-02'}");
	expect_text("SELECT coalesce(class,'-')||coalesce(next_day,'-')||coalesce(referral,'-')||"
		    "confirmed_by FROM visit WHERE id=3",
		"---local:nurse");
	is_refused("N-0001", "visit_correct",
		"{'visit':'$V','answers':{'classification':'1'},'reason':'told now'}",
		"not_allowed");
	done("D-0001", "visit_correct",
		"{'visit':'$V','answers':{'classification':'1'},'reason':'told now'}");
	expect_text("SELECT class FROM visit WHERE id=3", "1");
	/* it is the visit before */
	is_refused(NULL, "visit_elsewhere", "{'resident':'R-0001','form':'htn','day':'2026-09-02'}",
		"already_so");
	done(NULL, "visit_void", "{'visit':'$V','reason':'not held'}");
	done(NULL, "visit_elsewhere", "{'resident':'R-0001','form':'htn','day':'2026-09-02'}");
}

static void test_elsewhere_refused(void **state)
{
	(void)state;
	static const struct {
		const char *args, *code;
	} cases[] = {
		{"{'resident':'R-0001','form':'htn'}", "bad_argument"},
		{"{'resident':'R-0001','form':'htn','day':'2026-02-30'}", "bad_argument"},
		{"{'resident':'R-0001','form':'htn','day':'2099-01-01'}", "bad_argument"},
		{"{'resident':'R-0001','form':'t2dm','day':'2026-01-30'}", "not_enrolled"},
		{"{'resident':'R-0099','form':'htn','day':'2026-01-30'}", "unknown_resident"},
		{"{'resident':'R-0001','form':'x','day':'2026-01-30'}", "unknown_form"},
		{"{'resident':'R-0001','form':'htn','day':'2026-01-30','class':5}", "bad_value"},
		{"{'resident':'R-0001','form':'htn','day':'2026-01-30','way':0}", "bad_value"},
		{"{'resident':'R-0001','form':'htn','day':'2026-01-30','next_day':'x'}",
			"bad_value"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		is_refused(NULL, "visit_elsewhere", cases[i].args, cases[i].code);
	rig_script(&rig, "UPDATE resident SET owner='gw-0002'");
	is_refused(NULL, "visit_elsewhere", "{'resident':'R-0001','form':'htn','day':'2026-01-30'}",
		"not_owner");
}

static void test_plan(void **state)
{
	(void)state;
	done("D-0001", "plan", "{'resident':'R-0002','form':'t2dm','day':'2026-12-24'}");
	assert_string_equal(text_of(result(), "day"), "2026-12-24");
	done("D-0001", "plan", "{'resident':'R-0002','form':'t2dm','day':'2026-12-25'}");
	expect_text("SELECT group_concat(resident||form||day||author||(at>0)) FROM plan",
		"2t2dm_followup_v32026-12-25local:nurse/D-00011");
	is_refused(
		NULL, "plan", "{'resident':'R-0002','form':'t2dm','day':'soon'}", "bad_argument");
	is_refused(NULL, "plan", "{'resident':'R-0002','form':'copd','day':'2026-12-25'}",
		"not_enrolled");
	is_refused(NULL, "plan", "{'form':'t2dm','day':'2026-12-25'}", "unknown_resident");
	assert_int_equal(COUNT("plan"), 1);
}

/* looking */

/* Without a visit no value stands in the form: what is known stands beside it. */
static void test_blank(void **state)
{
	(void)state;
	size_t i;
	json_t *f;
	stored_reading(&rig, (struct stored){.resident = 2,
				     .grade = "device",
				     .taken_us = november(18, 9, 0),
				     .numbers = {{"bp.sbp", 150}, {"bp.dbp", 95}}});
	stored_reading(&rig, (struct stored){.resident = 2,
				     .taken_us = november(17, 9, 0),
				     .numbers = {{"weight", 70.5}, {"glu.fasting", 1.1, "<"}}});
	stored_reading(&rig, (struct stored){.resident = 2,
				     .taken_us = november(18, 9, 0),
				     .trust = "device",
				     .numbers = {{"weight", 99}}});
	order(NULL, "followup", "{'resident':'R-0002'}");
	assert_string_equal(text_of(result(), "resident"), "R-0002");
	assert_int_equal(json_array_size(json_object_get(result(), "visits")), 0);
	assert_int_equal(json_array_size(json_object_get(result(), "forms")), 2);
	const json_t *form = shown("forms", 0);
	assert_string_equal(text_of(form, "form"), "hypertension_followup_v3");
	json_array_foreach(json_object_get(form, "fields"), i, f)
	{
		if (!json_is_false(json_object_get(f, "filled")))
			fail_msg("%s is filled", text_of(f, "key"));
	}
	assert_true(i > 20);
	const json_t *latest = json_object_get(form, "latest");
	const json_t *sbp = json_object_get(latest, "bp.sbp");
	assert_int_equal(json_integer_value(json_object_get(sbp, "value")), 150);
	assert_string_equal(text_of(sbp, "day"), "2026-11-18");
	assert_string_equal(text_of(sbp, "grade"), "device");
	assert_string_equal(text_of(json_object_get(latest, "weight"), "day"), "2026-11-17");
	assert_string_equal(text_of(json_object_get(latest, "glu.fasting"), "comparator"), "<");
	assert_null(json_object_get(latest, "height"));
	/* one form */
	order(NULL, "followup", "{'resident':'R-0002','form':'t2dm'}");
	assert_int_equal(json_array_size(json_object_get(result(), "forms")), 1);
	assert_string_equal(text_of(shown("forms", 0), "form"), "t2dm_followup_v3");
	order(NULL, "followup", "{'resident':'R-0002','form':'x'}");
	refused("unknown_form");
	order(NULL, "followup", "{}");
	refused("unknown_resident");
	order(NULL, "followup", "{'resident':'R-0003'}"); /* in no programme */
	assert_int_equal(json_array_size(json_object_get(result(), "forms")), 0);
}

static void test_listed(void **state)
{
	(void)state;
	done(NULL, "visit_elsewhere", "{'resident':'R-0002','form':'htn','day':'2026-05-02'}");
	done(NULL, "visit_elsewhere", "{'resident':'R-0002','form':'htn','day':'2026-08-02'}");
	done(NULL, "visit_elsewhere", "{'resident':'R-0002','form':'t2dm','day':'2026-07-02'}");
	done(NULL, "visit_open", "{'resident':'R-0002','form':'htn'}");
	order(NULL, "followup", "{'resident':'R-0002'}");
	static const char *const days[] = {NULL, "2026-08-02", "2026-07-02"};
	assert_int_equal(json_array_size(json_object_get(result(), "visits")), ELEMENTS(days));
	assert_string_equal(text_of(shown("visits", 0), "status"), "proposed");
	assert_string_equal(text_of(shown("visits", 0), "state"), "open");
	assert_null(json_object_get(shown("visits", 0), "seq"));
	for (size_t i = 1; i < ELEMENTS(days); i++)
		assert_string_equal(text_of(shown("visits", i), "day"), days[i]);
	/* the form that is being filled is not shown blank as well */
	assert_int_equal(json_array_size(json_object_get(result(), "forms")), 1);
	assert_string_equal(text_of(shown("forms", 0), "form"), "t2dm_followup_v3");
	order(NULL, "followup", "{'resident':'R-0002','limit':1}");
	assert_int_equal(json_array_size(json_object_get(result(), "visits")), 1);
	order(NULL, "followup", "{'resident':'R-0002','form':'t2dm'}");
	assert_int_equal(json_array_size(json_object_get(result(), "visits")), 1);
	order(NULL, "followup", "{'visit':'$V'}");
	assert_int_equal(json_array_size(json_object_get(result(), "visits")), 1);
	order(NULL, "followup", "{'visit':'ffffffff'}");
	refused("unknown_id");
}

/* Whoever left without a check-out is not there any more. */
static void test_idle(void **state)
{
	(void)state;
	struct json j = {0};
	int64_t checkin = stored_checkin(&rig, 1, "follow-up", clock_utc_us() - 3 * MINUTE, 0);
	json_object_begin(&j, NULL);
	assert_int_equal(visit_checkin(&rig.gateway, rig.db, checkin, "", &j), 0);
	json_free(&j);
	order(NULL, "followup", "{'resident':'R-0001'}");
	assert_string_equal(text_of(shown("visits", 0), "state"), "closed");
	const json_t *window = json_array_get(json_object_get(shown("visits", 0), "windows"), 0);
	assert_string_equal(text_of(window, "station"), "desk-1");
	assert_int_equal(strlen(text_of(window, "checkin")), 32);
	assert_non_null(json_object_get(window, "to"));
	rig_script(&rig, "UPDATE checkin SET activity_us=activity_us+60000000");
	order(NULL, "followup", "{'resident':'R-0001'}");
	assert_string_equal(text_of(shown("visits", 0), "state"), "open");
	window = json_array_get(json_object_get(shown("visits", 0), "windows"), 0);
	assert_null(json_object_get(window, "to"));
}

/* A step that fails takes the whole command back. */
static void test_a_step_fails(void **state)
{
	(void)state;
	static const char *const steps[] = {"UPDATE ON visit WHEN new.state='confirmed'",
		"INSERT ON visit_revision", "INSERT ON audit", "INSERT ON outbox"};
	char trigger[160];
	open_answered();
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			steps[i]);
		rig_script(&rig, trigger);
		is_refused("D-0001", "visit_confirm", "{'visit':'$V'}", "not_stored");
		rig_script(&rig, "DROP TRIGGER fails");
	}
	done("D-0001", "visit_confirm", "{'visit':'$V'}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, command_teardown)
	const struct CMUnitTest tests[] = {
		T(test_open),
		T(test_open_refused),
		T(test_answers),
		T(test_close),
		T(test_who_confirms),
		T(test_what_is_missing),
		T(test_confirmed),
		T(test_correct),
		T(test_correct_too_late),
		T(test_void),
		T(test_elsewhere),
		T(test_elsewhere_refused),
		T(test_plan),
		T(test_blank),
		T(test_listed),
		T(test_idle),
		T(test_a_step_fails),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
