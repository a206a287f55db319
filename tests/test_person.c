/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What persons add to stored readings and take back of them: each answer, each refusal, and what is left behind. */
#include "command_rig.h"

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

/* stored readings */

static char id[33];

/* One blood pressure of R-0001's own cuff, and its id for ask_of(). */
static void measured(struct rig_bp bp)
{
	struct uuid u = rig_bp(&rig, bp);
	hex(id, u.bytes, sizeof(u.bytes));
}

/* A glucose of 6.0 or another of the same cuff's line, as a meter would tell it. */
static struct uuid glucose(const char *kind, int64_t tenths, bool corrected, const char *flag)
{
	struct unit *u = rig_unit(&rig);
	const struct vg_quantity q = {.kind = kind, .value = {tenths, -1}, .unit = "mmol/L"};
	const struct vg_note said[] = {{"meal", "after", 5}, {"food", "40 g", 4}};
	struct vg_reading in = {.kind = "glucose",
		.user = -1,
		.seq = 1,
		.status = corrected ? VG_CORRECTED : VG_FINAL,
		.quantities = &q,
		.n_quantities = 1,
		.notes = said,
		.n_notes = 2,
		.flags = &flag,
		.n_flags = flag ? 1 : 0};
	char why[96], raw[16];
	struct reading *r = unit_add_reading(u);
	int n = snprintf(raw, sizeof(raw), "%d", (int)tenths);
	assert_true(bytes_copy(&r->raw, (const uint8_t *)raw, (size_t)n));
	assert_int_equal(reading_take(r, &in, "bt_glucose", rig.gateway.codes, why), VG_READING);
	reading_identify(r, "sn:1", "bt_glucose", (const uint8_t *)"1", 1);
	struct uuid u_id = r->id;
	hex(id, u_id.bytes, sizeof(u_id.bytes));
	assert_int_equal(rig_file(&rig, u), 0);
	return u_id;
}

static void ask_of(const char *cmd, const char *args)
{
	char text[512];
	snprintf(text, sizeof(text), args, id);
	ask(cmd, text);
}

static void test_annotate(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	measured((struct rig_bp){128, 82, 70, .identity = "1"});
	ask_of("annotate",
		"{'reading':'%.8s','arm':'right','posture':'sitting','operator':'nurse'}");
	assert_string_equal(text_of(result(), "reading"), id);
	assert_string_equal(text_of(result(), "resident"), "R-0001");
	assert_int_equal(json_integer_value(json_object_get(result(), "revision")), 2);
	expect_filed("bp|amended|R-0001|device_binding|device|arrival");
	expect_text(
		"SELECT body->>'$.notes.arm'||(body->>'$.notes.posture')||(body->>'$.notes.operator') "
		"FROM reading WHERE superseded=0",
		"rightsittingnurse");
	assert_int_equal(COUNT("reading WHERE superseded=0"), 1);
	assert_int_equal(COUNT("annotation WHERE author='local:nurse'"), 3);
	assert_int_equal(COUNT("evidence"), 3);
	assert_int_equal(COUNT("outbox WHERE kind=0"), 2);
	expect_text("SELECT action||' '||detail FROM audit ORDER BY id DESC LIMIT 1",
		"annotate arm=right posture=sitting operator=nurse");
	ask_of("annotate", "{'reading':'%s','arm':'right'}");
	refused("already_so");
	ask_of("annotate", "{'reading':'%s','arm':'left','posture':'sitting'}");
	result();
	expect_text("SELECT value FROM annotation WHERE key='arm'", "left");
	assert_int_equal(rig_int(&rig, "SELECT max(revision) FROM reading"), 3);
}

/* A value is written as it was: 6.0 stays 6.0; the codes are those of the new kind. */
static void test_annotate_meal(void **state)
{
	(void)state;
	static const char *const kinds[] = {"glu.fasting", "glu.postprandial_2h", "glu.random",
		"glu.capillary_plasma", "glu.undetermined_plasma"};
	rig_bind(&rig, 2);
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		glucose(kinds[i], 60, false, NULL);
		ask_of("annotate", i == 0 ? "{'reading':'%s','meal':'random'}"
					  : "{'reading':'%s','meal':'fasting'}");
		expect_text("SELECT json_extract(body,'$.values') FROM reading WHERE superseded=0",
			i == 0 ? "{\"glu.random\":{\"value\":6.0,\"unit\":\"mmol/L\",\"ws\":\"DE04.50."
				 "102.00\",\"loinc\":\"14743-9\",\"mdc\":\"160184\"}}"
			       : "{\"glu.fasting\":{\"value\":6.0,\"unit\":\"mmol/L\",\"ws\":\"DE04.50."
				 "037.00\",\"loinc\":\"14770-2\",\"mdc\":\"160184\"}}");
		expect_text("SELECT kind FROM evidence", i == 0 ? "glu.random" : "glu.fasting");
		expect_text(
			"SELECT json_extract(body,'$.notes.meal') FROM reading WHERE superseded=0",
			i == 0 ? "random" : "fasting");
		rig_script(
			&rig, "DELETE FROM reading; DELETE FROM evidence; DELETE FROM annotation");
	}
	/* of no other */
	glucose("glu.isf", 60, false, NULL);
	ask_of("annotate", "{'reading':'%s','meal':'fasting'}");
	refused("bad_kind");
	expect_text("SELECT kind FROM evidence", "glu.isf");
	expect_text("SELECT json_extract(body,'$.notes.meal') FROM reading WHERE superseded=0",
		"after");
}

/* What a person knows outlives what the instrument says later. */
static void test_annotation_is_carried(void **state)
{
	(void)state;
	rig_bind(&rig, 2);
	glucose("glu.capillary_plasma", 60, false, NULL);
	ask_of("annotate", "{'reading':'%s','meal':'fasting','sample':'capillary'}");
	result();
	glucose("glu.capillary_plasma", 72, true, NULL);
	assert_int_equal(rig_int(&rig, "SELECT max(revision) FROM reading"), 3);
	expect_text("SELECT kind||milli FROM evidence", "glu.fasting7200");
	expect_text("SELECT json_extract(body,'$.notes') FROM reading WHERE superseded=0",
		"{\"meal\":\"fasting\",\"food\":\"40 g\",\"sample\":\"capillary\"}");
	/* and an assignment */
	ask_of("assign", "{'reading':'%s','resident':'R-0001'}");
	result();
	expect_text(
		"SELECT json_extract(body,'$.notes.sample')||kind FROM reading WHERE superseded=0",
		"capillaryglucose");
	expect_text("SELECT kind||resident FROM evidence", "glu.fasting1");
}

/* A rule of its own for fasting values: what was harmless is an alert now; what was told is told again only when it is
 * worse, and an acknowledgement holds. */
static void test_annotate_judges_again(void **state)
{
	(void)state;
	FILE *in = fopen("config/alerts.yaml", "re");
	char path[128], error[256], line[1024];
	snprintf(path, sizeof(path), "%s/alerts.yaml", rig.dir);
	FILE *out = fopen(path, "we");
	assert_true(in && out);
	while (fgets(line, sizeof(line), in)) {
		fputs(line, out);
		if (!strncmp(line, "rules:", 6))
			fputs("  - {id: fasting-high, condition: fasting-high, kind: glu.fasting, at_least: 11, severity: warning, zh: 空腹高, en: fasting high, source: test}\n"
			      "  - {id: fasting-very-high, condition: fasting-high, kind: glu.fasting, at_least: 14, severity: critical, zh: 空腹很高, en: fasting very high, source: test}\n",
				out);
	}
	fclose(in);
	assert_int_equal(fclose(out), 0);
	struct alert_rules *rules = alert_rules_load(path, rig.gateway.codes, error, sizeof(error));
	if (!rules)
		fail_msg("%s", error);
	struct alert_rules *before = rig.gateway.rules;
	rig.gateway.rules = rules;
	rig_bind(&rig, 2);
	glucose("glu.random", 120, false, NULL);
	assert_int_equal(COUNT("alert"), 0);
	ask_of("annotate", "{'reading':'%s','meal':'fasting'}");
	expect_text(
		"SELECT severity||state||revision||json_extract(body,'$.rules[0].id') FROM alert",
		"warningactive1fasting-high");
	rig_script(&rig,
		"DELETE FROM reading; DELETE FROM alert; DELETE FROM alert_reading; DELETE FROM "
		"alert_history; DELETE FROM annotation");
	glucose("glu.random", 140, false, NULL); /* a warning by the rule for all */
	ask_of("annotate", "{'reading':'%s','operator':'nurse'}");
	expect_text("SELECT condition||severity||state||revision FROM alert",
		"glucose-highwarningactive1");
	/* another condition is told; the one that it was in goes on without a page */
	ask_of("annotate", "{'reading':'%s','meal':'fasting'}");
	expect_text("SELECT group_concat(condition||severity||state||revision,' ') FROM (SELECT * "
		    "FROM alert ORDER BY id)",
		"glucose-highwarningactive3 fasting-highcriticalactive1");
	expect_text("SELECT group_concat(phase||state||labels,' ') FROM (SELECT h.* FROM "
		    "alert_history h JOIN alert a ON a.uuid=h.alert WHERE condition='glucose-high' "
		    "ORDER BY revision)",
		"startactive[\"time_of_arrival\"] endinactive[\"corrected\",\"time_of_arrival\"] "
		"startactive[\"time_of_arrival\"]");
	/* a test is a test */
	rig_script(&rig,
		"DELETE FROM reading; DELETE FROM alert; DELETE FROM alert_reading; DELETE FROM "
		"alert_history; DELETE FROM annotation");
	glucose("glu.random", 120, false, NULL);
	rig_script(&rig, "UPDATE reading SET test=1");
	ask_of("annotate", "{'reading':'%s','meal':'fasting'}");
	result();
	assert_int_equal(COUNT("alert"), 0);
	rig.gateway.rules = before;
	alert_rules_free(rules);
}

static void test_annotate_refused(void **state)
{
	(void)state;
	measured((struct rig_bp){128, 82, 70, .identity = "1"});
	static const struct {
		const char *args, *code;
	} cases[] = {{"{'reading':'%s'}", "bad_argument"},
		{"{'reading':'%s','arm':'foot'}", "bad_argument"},
		{"{'reading':'%s','arm':['left']}", "bad_argument"},
		{"{'reading':'0000','arm':'left'}", "unknown_id"}, {"{'arm':'left'}", "bad_id"},
		{"{'reading':'last@desk-9','arm':'left'}", "unknown_station"},
		{"{'reading':'lasting','arm':'left'}", "bad_id"},
		{"{'reading':'%s','arm':'left','meal':'fasting'}", "bad_kind"}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		ask_of("annotate", cases[i].args);
		refused(cases[i].code);
	}
	rig_script(&rig, "UPDATE reading SET evidence='place'");
	ask_of("annotate", "{'reading':'%s','arm':'left'}");
	refused("place_reading");
	rig_script(&rig,
		"UPDATE reading SET evidence='not_bound', body='{\"values\":{\"glu.random\":{\"value\":6},"
		"\"glu.fasting\":{\"value\":7}}}'");
	ask_of("annotate", "{'reading':'%s','meal':'fasting'}");
	refused("bad_argument");
	ask_of("annotate", "{'reading':'%s','arm':'left'}");
	refused("bad_kind");
	assert_int_equal(COUNT("annotation"), 0);
	assert_int_equal(COUNT("audit"), 0);
	assert_int_equal(COUNT("reading"), 1);
}

static void test_void(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	measured((struct rig_bp){190, 95, 70, .identity = "1"});
	ask_of("void", "{'reading':'%s','reason':'cuff over the coat'}");
	assert_string_equal(text_of(result(), "status"), "entered-in-error");
	expect_filed("bp|entered-in-error|R-0001|device_binding|device|arrival");
	assert_int_equal(COUNT("evidence"), 0);
	assert_int_equal(COUNT("reading WHERE superseded=0"), 1);
	expect_text("SELECT state||revision||labels||(ended IS NOT NULL) FROM alert",
		"inactive2[\"unconfirmed\",\"withdrawn\",\"voided\"]1");
	assert_int_equal(COUNT("outbox WHERE kind=1 AND revision=2"), 1);
	assert_int_equal(COUNT("outbox WHERE kind=0"), 2);
	expect_text("SELECT json_extract(body,'$.notes.voided') FROM reading WHERE superseded=0",
		"cuff over the coat");
	expect_text("SELECT action||' '||detail FROM audit ORDER BY id DESC LIMIT 1",
		"void cuff over the coat");
	ask_of("void", "{'reading':'%s','reason':'again'}");
	refused("already_so");
	ask_of("annotate", "{'reading':'%s','arm':'left'}");
	refused("voided");
	ask_of("assign", "{'reading':'%s','resident':'R-0002'}");
	refused("voided");
	expect_filed("bp|entered-in-error|R-0001|device_binding|device|arrival");
	assert_int_equal(COUNT("evidence"), 0);
}

/* What ended already is not told again. */
static void test_void_after_the_alert(void **state)
{
	(void)state;
	measured((struct rig_bp){190, 95, 70, .identity = "1"});
	rig_script(&rig, "UPDATE alert SET state='inactive', ended=1");
	ask_of("void", "{'reading':'%s','reason':'artefact'}");
	result();
	expect_text("SELECT revision||':'||ended||labels||readings FROM alert",
		"1:1[\"unconfirmed\"]0");
	/* one that was acknowledged ends, too, and stays acknowledged */
	measured((struct rig_bp){191, 95, 70, .identity = "2"});
	rig_script(&rig, "UPDATE alert SET acked=5, ack_author='D-0001' WHERE state='active'");
	ask_of("void", "{'reading':'%s','reason':'artefact'}");
	result();
	expect_text("SELECT state||acked||ack_author FROM alert ORDER BY id DESC LIMIT 1",
		"inactive5D-0001");
}

/* What the instrument corrects stays void, and a danger is told all the same. */
static void test_void_is_carried(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	measured((struct rig_bp){128, 82, 70, .identity = "1"});
	ask_of("void", "{'reading':'%s','reason':'wrong person'}");
	result();
	measured((struct rig_bp){190, 110, 70, .identity = "1", .corrected = true});
	expect_filed("bp|entered-in-error|R-0001|device_binding|device|arrival");
	assert_int_equal(COUNT("evidence"), 0);
	assert_int_equal(COUNT("alert"), 0);
}

/* It leaves the inbox, and nobody has to repeat it. */
static void test_void_unassigned(void **state)
{
	(void)state;
	glucose("glu.random", 20, false, "low_signal_iq");
	measured((struct rig_bp){128, 82, 70, .identity = "1"});
	ask("unassigned", "{}");
	assert_int_equal(json_integer_value(json_object_get(result(), "total")), 2);
	ask_of("void", "{'reading':'%s','reason':'demonstration'}");
	expect_filed("bp|entered-in-error|-|not_bound|none|arrival");
	ask("unassigned", "{}");
	assert_int_equal(json_integer_value(json_object_get(result(), "total")), 1);
	assert_int_equal(json_array_size(json_object_get(result(), "readings")), 1);
	ask("status", "{}");
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(result(), "counts"), "unassigned")),
		1);
}

static void test_void_stops_a_repeat(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	measured((struct rig_bp){190, 95, 70, .identity = "1"});
	rig_script(&rig,
		"DELETE FROM alert; INSERT INTO pending_repeat SELECT uuid,'bp-high',device,kind,"
		"'bp.sbp','critical','{}','[]',0,boot_id,0,0 FROM reading");
	ask_of("void", "{'reading':'%s','reason':'artefact'}");
	result();
	assert_int_equal(COUNT("pending_repeat"), 0);
	expect_text("SELECT type||substr(detail,17) FROM event ORDER BY id DESC LIMIT 1",
		"repeat_done: voided");
	assert_int_equal(COUNT("alert"), 0);
}

static void test_void_refused(void **state)
{
	(void)state;
	static const struct {
		const char *args, *code;
	} cases[] = {{"{'reading':'%s'}", "reason_missing"},
		{"{'reading':'%s','reason':' '}", "reason_missing"},
		{"{'reading':'%s','reason':7}", "reason_missing"},
		{"{'reading':'%s','reason':'of 110101199003070012'}", "bad_argument"},
		{"{'reading':'%s','reason':'tel 1 13812345678.'}", "bad_argument"},
		{"{'reading':'0000','reason':'x'}", "unknown_id"}};
	measured((struct rig_bp){128, 82, 70, .identity = "1"});
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		ask_of("void", cases[i].args);
		refused(cases[i].code);
	}
	char long_one[300];
	memset(long_one, 'x', 201);
	long_one[201] = 0;
	char args[400];
	snprintf(args, sizeof(args), "{'reading':'%s','reason':'%s'}", id, long_one);
	ask("void", args);
	refused("bad_argument");
	rig_script(&rig, "UPDATE reading SET evidence='place'");
	ask_of("void", "{'reading':'%s','reason':'x'}");
	refused("place_reading");
	assert_int_equal(COUNT("reading"), 1);
	assert_int_equal(COUNT("audit"), 0);
	ask_of("void", "{'reading':'%s','reason':'测量错误 2026-11-21'}");
	refused("place_reading");
	rig_script(&rig, "UPDATE reading SET evidence='not_bound'");
	ask_of("void", "{'reading':'%s','reason':'测量错误 2026-11-21'}");
	result();
}

/* "last" */

static void stand(unsigned n, const char *station)
{
	text_copy(rig.config.stations[n].id, sizeof(rig.config.stations[n].id), station,
		strlen(station));
	rig.config.n_stations = n + 1;
}

static void test_last(void **state)
{
	(void)state;
	ask("annotate", "{'reading':'last','arm':'left'}");
	refused("unknown_id");
	measured((struct rig_bp){128, 82, 70, .identity = "1"});
	char first[33];
	memcpy(first, id, sizeof(first));
	measured((struct rig_bp){130, 82, 70, .identity = "2"});
	ask("annotate", "{'reading':'last','arm':'left'}");
	assert_string_equal(text_of(result(), "reading"), id);
	/* the next revision of an older one does not make it the last */
	snprintf(id, sizeof(id), "%s", first);
	ask_of("annotate", "{'reading':'%s','arm':'right'}");
	rig_script(&rig, "UPDATE reading SET test=1 WHERE id=2");
	ask("annotate", "{'reading':'last','posture':'lying'}");
	assert_string_equal(text_of(result(), "reading"), first);
	rig_script(&rig, "UPDATE reading SET test=0");
	ask("annotate", "{'reading':'last','posture':'lying'}");
	assert_string_not_equal(text_of(result(), "reading"), first);
	ask("assign", "{'reading':'last','resident':'R-0002'}");
	assert_string_not_equal(text_of(result(), "reading"), first);
	stand(0, "desk-1");
	/* at this station nothing arrived */
	ask("annotate", "{'reading':'last','arm':'left'}");
	refused("unknown_id");
	rig_script(&rig, "UPDATE reading SET station='desk-1' WHERE id=1");
	ask("annotate", "{'reading':'last','arm':'left'}");
	assert_string_equal(text_of(result(), "reading"), first);
	ask("annotate", "{'reading':'last@desk-1','operator':'self'}");
	assert_string_equal(text_of(result(), "reading"), first);
	/* what was typed is at no station */
	ask("enter", "{'resident':'R-0001','values':{'waist':'88'}}");
	result();
	ask("annotate", "{'reading':'last@desk-1','operator':'nurse'}");
	assert_string_equal(text_of(result(), "reading"), first);
	ask("annotate", "{'reading':'last','operator':'nurse'}");
	assert_string_equal(text_of(result(), "kind"), "entry");
	/* an instrument's word for it is as good */
	static struct config_device devices[1] = {{.station = "desk-1"}};
	rig.config.devices = devices;
	rig.config.n_devices = 1;
	ask("annotate", "{'reading':'last','operator':'doctor'}");
	assert_string_equal(text_of(result(), "kind"), "entry");
	text_copy(devices[0].station, sizeof(devices[0].station), "desk-3", 6);
	ask("annotate", "{'reading':'last','operator':'self'}");
	refused("unknown_station");
	ask("annotate", "{'reading':'last@desk-3','operator':'self'}");
	refused("unknown_id");
	rig.config.n_stations = 0;
	ask("annotate", "{'reading':'last@desk-1','operator':'self'}");
	refused("unknown_station");
	ask("annotate", "{'reading':'last','operator':'self'}");
	assert_string_equal(text_of(result(), "kind"), "entry");
	rig.config.devices = NULL;
	rig.config.n_devices = 0;
	stand(0, "desk-1");
	stand(1, "desk-2");
	ask("annotate", "{'reading':'last','arm':'left'}");
	refused("unknown_station");
	ask("annotate", "{'reading':'last@desk-2','arm':'left'}");
	refused("unknown_id");
	ask("annotate", "{'reading':'last@','arm':'left'}");
	refused("unknown_station");
	rig_script(&rig, "UPDATE reading SET boot_us=boot_us-3601000000");
	ask("annotate", "{'reading':'last@desk-1','operator':'doctor'}");
	refused("unknown_id");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, command_teardown)
	const struct CMUnitTest tests[] = {TEST(test_annotate), TEST(test_annotate_meal),
		TEST(test_annotation_is_carried), TEST(test_annotate_judges_again),
		TEST(test_annotate_refused), TEST(test_void), TEST(test_void_after_the_alert),
		TEST(test_void_is_carried), TEST(test_void_unassigned),
		TEST(test_void_stops_a_repeat), TEST(test_void_refused), TEST(test_last)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("person", tests, NULL, NULL);
}
