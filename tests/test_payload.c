/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What leaves the gateway: JSON without a key twice, numbers as decided, and nothing of a person. */
#include "payload_rig.h"

#include "study_rig.h"
#include "visit.h"
#include "visit_freeze.h"

static void test_reading(void **state)
{
	(void)state;
	const struct vg_civil taken = {2026, 11, 18, 19, 0, 0};
	rig_bind(&rig, 2);
	struct unit *u = rig_unit(&rig);
	u->offset_known = true;
	u->offset_us = -90500000;
	rig_add(&rig, u,
		&(struct rig_bp){190, 95, 70, .identity = "1", .taken = &taken, .user = 3});
	assert_int_equal(rig_file(&rig, u), 0);
	json_t *root = message(OBJECT_READING, 1, 4711);
	expect(root, "v", "1");
	expect(root, "gateway", "\"gw-0001\"");
	expect(root, "epoch", "\"00112233aabbccdd\"");
	expect(root, "readings.0.seq", "4711");
	expect(root, "readings.0.revision", "1");
	expect(root, "readings.0.status", "\"final\"");
	expect(root, "readings.0.kind", "\"bp\"");
	expect(root, "readings.0.resident", "\"R-0002\"");
	expect(root, "readings.0.identity",
		"{\"evidence\":\"device_binding\",\"grade\":\"device\",\"in_contract\":true}");
	expect(root, "readings.0.test", "false");
	expect(root, "readings.0.time.taken", "\"2026-11-18T11:01:30.500Z\"");
	expect(root, "readings.0.time.trust", "\"corrected\"");
	expect(root, "readings.0.time.uncertainty_s", "1");
	expect(root, "readings.0.time.device", "\"2026-11-18T19:00:00\"");
	expect(root, "readings.0.time.device_offset_s", "-90.5");
	expect(root, "readings.0.time.arrived", "\"2026-11-18T11:06:40.000Z\"");
	expect(root, "readings.0.device.id", "\"cuff-1\"");
	expect(root, "readings.0.device.uid", "\"sn:1\"");
	expect(root, "readings.0.device.driver", "\"bt_blp/1\"");
	expect(root, "readings.0.device.user", "2");
	expect(root, "readings.0.device.seq", "7");
	expect(root, "readings.0.values.bp\\.sbp.value", "190");
	expect(root, "readings.0.values.bp\\.sbp.unit", "\"mm[Hg]\"");
	expect(root, "readings.0.notes.arm", "\"left\"");
	json_decref(root);
}

/* Clock not set: an uncertainty that nobody knows is left out, not told as 9223372036854. */
static void test_unknown_time(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	u->arrived_us = CLOCK_SECOND_US;
	rig_add(&rig, u, &(struct rig_bp){120, 95, 70, .identity = "1"});
	assert_int_equal(rig_file(&rig, u), 0);
	json_t *root = message(OBJECT_READING, 1, -1);
	expect(root, "readings.0.time.trust", "\"unknown\"");
	expect(root, "readings.0.time.device", "null");
	expect(root, "readings.0.resident", "null");
	const json_t *reading = json_array_get(json_object_get(root, "readings"), 0);
	assert_null(json_object_get(json_object_get(reading, "time"), "uncertainty_s"));
	assert_null(json_object_get(reading, "seq"));
	json_decref(root);
}

static void test_place(void **state)
{
	(void)state;
	deliver_place(0, 94);
	json_t *root = message(OBJECT_READING, 1, 5);
	expect(root, "readings.0.status", "\"final\"");
	expect(root, "readings.0.resident", "null");
	expect(root, "readings.0.place", "\"fridge\"");
	expect(root, "readings.0.identity",
		"{\"evidence\":\"place\",\"grade\":\"none\",\"in_contract\":false}");
	json_decref(root);
	rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = "1"});
	root = message(OBJECT_READING, 2, 5);
	assert_null(json_object_get(json_array_get(json_object_get(root, "readings"), 0), "place"));
	json_decref(root);
}

static void test_event(void **state)
{
	(void)state;
	assert_int_equal(intake_event(&rig.gateway, rig.db, rig.cuff, "device_error",
				 "E-3 \"loose\"\n", NULL, RIG_NOW, true),
		0);
	assert_int_equal(intake_event(&rig.gateway, rig.db, 0, "database_quarantined", NULL, NULL,
				 RIG_NOW, true),
		0);
	json_t *root = message(OBJECT_EVENT, 1, 5);
	expect(root, "events.0.type", "\"device_error\"");
	expect(root, "events.0.device", "\"cuff-1\"");
	expect(root, "events.0.detail", "\"E-3 \\\"loose\\\"\\n\"");
	json_decref(root);
	root = message(OBJECT_EVENT, 2, 5);
	expect(root, "events.0.device", "null");
	json_decref(root);
}

static int64_t visited(const char *way)
{
	int64_t visit;
	visit_open(&rig.gateway, rig.db, 2, "hypertension_followup_v3", "x", way, &visit);
	rig_script(&rig, "UPDATE visit_window SET from_us=1794996400000000");
	assert_int_equal(visit_tell(&rig.gateway, rig.db, visit), 0);
	return visit;
}

static void test_visit(void **state)
{
	(void)state;
	int64_t visit = visited("1");
	json_t *root = message(OBJECT_FOLLOWUP, visit, 5);
	expect(root, "followups.0.status", "\"proposed\"");
	expect(root, "followups.0.origin", "\"here\"");
	expect(root, "followups.0.resident", "\"R-0002\"");
	expect(root, "followups.0.form", "\"hypertension_followup_v3\"");
	expect(root, "followups.0.revision", "2");
	expect(root, "followups.0.day", "\"2026-11-18\"");
	expect(root, "followups.0.way", "1");
	expect(root, "followups.0.windows", "[{\"from\":\"2026-11-18T10:06:40.000Z\"}]");
	json_decref(root);
}

/* What was confirmed leaves as it was then, whatever happened since. */
static void test_confirmed_visit(void **state)
{
	(void)state;
	int64_t visit = visited("2");
	rig_script(
		&rig, "UPDATE visit SET answers='{\"visit_way\":\"2\",\"classification\":\"1\"}'");
	const struct freezing f = {.visit = visit, .by = "D-0002", .author = "x"};
	assert_int_equal(visit_freeze(&rig.gateway, rig.db, &f), 0);
	rig_script(&rig, "UPDATE visit SET answers='{\"visit_way\":\"3\"}'");
	json_t *root = message(OBJECT_FOLLOWUP, visit, 5);
	expect(root, "followups.0.status", "\"confirmed\"");
	expect(root, "followups.0.revision", "3");
	expect(root, "followups.0.way", "2");
	expect(root, "followups.0.confirmed.by", "\"D-0002\"");
	json_decref(root);
	rig_script(
		&rig, "UPDATE visit SET evidence_changed=1, state='entered-in-error', reason='x'");
	root = message(OBJECT_FOLLOWUP, visit, 5);
	expect(root, "followups.0.status", "\"entered-in-error\"");
	expect(root, "followups.0.evidence_changed", "true");
	json_decref(root);
}

/* The members of an object, in the order in which they are written. */
static void members(const json_t *object, const char *expected)
{
	char names[512] = "";
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value)
		strcat(strcat(names, names[0] ? " " : ""), key);
	assert_string_equal(names, expected);
}

static void test_study(void **state)
{
	(void)state;
	char sha[80], id[80];
	rig_bind(&rig, 2);
	study_filed(&rig, 1, 20000,
		STUDY_SAYS("\"tz_source\":\"none\",\"leads\":[],\"measurements\":{\"hr\":75},"));
	json_t *root = message(OBJECT_STUDY, 1, 4712);
	members(root, "v gateway epoch studies");
	const json_t *study = json_array_get(json_object_get(root, "studies"), 0);
	members(study,
		"id revision seq status resident identity test time device ecg original report");
	members(json_object_get(study, "original"), "bytes sha256 chunks chunk_bytes");
	members(json_object_get(study, "time"), "taken trust uncertainty_s device arrived");
	rig_text(&rig, sha, sizeof(sha), "SELECT '\"'||lower(hex(sha256))||'\"' FROM study");
	rig_text(&rig, id, sizeof(id), "SELECT '\"'||lower(hex(uuid))||'\"' FROM study");
	expect(study, "id", id);
	expect(study, "revision", "1");
	expect(study, "seq", "4712");
	expect(study, "status", "\"final\"");
	expect(study, "resident", "\"R-0002\"");
	expect(study, "identity",
		"{\"evidence\":\"device_binding\",\"grade\":\"device\",\"in_contract\":true}");
	expect(study, "test", "false");
	expect(study, "time.taken", "\"2026-11-18T11:00:00.000Z\"");
	expect(study, "time.trust", "\"device\"");
	expect(study, "time.device", "\"2026-11-18T19:00:00\"");
	expect(study, "time.arrived", "\"2026-11-18T11:06:40.000Z\"");
	expect(study, "device", "{\"id\":\"cuff-1\",\"uid\":\"sn:1\",\"driver\":\"bt_blp/1\"}");
	expect(study, "ecg.format", "\"scp\"");
	expect(study, "ecg.patient", "{}");
	expect(study, "ecg.measurements.hr", "75");
	expect(study, "original.bytes", "20000");
	expect(study, "original.sha256", sha);
	expect(study, "original.chunks", "3");
	expect(study, "original.chunk_bytes", "8192");
	expect(study, "report", "{\"state\":\"unsent\",\"revisions\":[]}");
	json_decref(root);
	assert_string_equal(payload_topic(OBJECT_STUDY), "up/ecg");
	/* the rate names its study */
	root = message(OBJECT_READING, 1, 1);
	id[33] = 0;
	expect(root, "readings.0.notes.study", strcat(id, "\""));
	json_decref(root);
}

static void test_study_of_nobody(void **state)
{
	(void)state;
	struct unit *u = study_unit(&rig, "x", 1);
	u->test = true;
	u->arrived_us = 5;
	assert_int_equal(rig_file(&rig, u), 0);
	assert_int_equal(study_says(&rig, 1, "{\"format\":\"pdf\"}"), 0);
	json_t *root = message(OBJECT_STUDY, 1, -1);
	const json_t *study = json_array_get(json_object_get(root, "studies"), 0);
	members(study, "id revision status resident identity test time device ecg original report");
	expect(study, "resident", "null");
	expect(study, "status", "\"unassigned\"");
	expect(study, "test", "true");
	expect(study, "time.device", "null");
	expect(study, "time.trust", "\"unknown\"");
	members(json_object_get(study, "time"), "taken trust device arrived");
	expect(study, "original.chunks", "1");
	json_decref(root);
	/* one that could not be read says why */
	study_filed(
		&rig, 2, 8192, "{\"format\":\"scp\",\"rejected\":\"record_crc\",\"warnings\":[]}");
	root = message(OBJECT_STUDY, 2, 1);
	expect(root, "studies.0.ecg",
		"{\"format\":\"scp\",\"rejected\":\"record_crc\",\"warnings\":[],\"patient\":{}}");
	expect(root, "studies.0.original.chunks", "1");
	json_decref(root);
	/* and one that still waits for the decoder has nothing to say */
	study_new(&rig, 3, 8193);
	root = message(OBJECT_STUDY, 3, -1);
	expect(root, "studies.0.status", "\"undecoded\"");
	expect(root, "studies.0.ecg", "null");
	expect(root, "studies.0.revision", "0");
	expect(root, "studies.0.original.chunks", "2");
	json_decref(root);
}

static void test_pieces(void **state)
{
	(void)state;
	uint8_t *bytes = study_bytes(1, 20000), *got = malloc(20000);
	char id[80];
	assert_non_null(got);
	study_filed(&rig, 1, 20000, STUDY_SAYS(""));
	rig_text(&rig, id, sizeof(id), "SELECT '\"'||lower(hex(uuid))||'\"' FROM study");
	size_t at = 0;
	for (int64_t row = 1; row <= 3; row++) {
		char n[2] = {(char)('0' + row - 1), 0}, offset[8];
		json_t *root = message(OBJECT_PIECE, row, 99 + row);
		members(root, "v gateway epoch chunks");
		const json_t *piece = json_array_get(json_object_get(root, "chunks"), 0);
		members(piece, "id revision seq n of offset data");
		snprintf(offset, sizeof(offset), "%lld", (long long)(row - 1) * 8192);
		expect(piece, "id", id);
		expect(piece, "revision", "1");
		expect(piece, "n", n);
		expect(piece, "of", "3");
		expect(piece, "offset", offset);
		/* as another program understands it */
		char path[128], command[300];
		snprintf(path, sizeof(path), "%s/piece", rig.dir);
		FILE *f = fopen(path, "we");
		assert_non_null(f);
		assert_true(fputs(json_string_value(json_object_get(piece, "data")), f) >= 0);
		assert_int_equal(fclose(f), 0);
		snprintf(command, sizeof(command), "base64 -d %s", path);
		f = popen(command, "r");
		assert_non_null(f);
		at += fread(got + at, 1, 20000 - at, f);
		assert_int_equal(pclose(f), 0);
		json_decref(root);
	}
	assert_int_equal(at, 20000);
	assert_memory_equal(got, bytes, 20000);
	assert_string_equal(payload_topic(OBJECT_PIECE), "up/ecg/chunk");
	free(bytes);
	free(got);
}

static void test_nothing_there(void **state)
{
	(void)state;
	for (enum object kind = OBJECT_READING; kind < OBJECTS; kind++) {
		struct json j = {0};
		payload_open(&rig.gateway, kind, &j);
		assert_int_equal(payload_object(&rig.gateway, rig.db, kind, 99, 1, &j), 0);
		payload_close(&j);
		json_t *root = parse(json_text(&j), j.len);
		assert_int_equal(json_object_size(root), 4);
		json_decref(root);
		json_free(&j);
		assert_non_null(strstr(payload_topic(kind), "up/"));
	}
}

/* A typed patient id, a person's by all likelihood, is nowhere in what leaves or is shown. */
static void test_nothing_of_a_person(void **state)
{
	(void)state;
	static const char typed[] = "TYPED-BY-HAND-19580314";
	rig_bind(&rig, 2);
	int64_t visit = 0;
	visit_open(&rig.gateway, rig.db, 2, "hypertension_followup_v3", "x", "", &visit);
	visit_open(&rig.gateway, rig.db, 2, "t2dm_followup_v3", "x", "", &visit);
	for (int field = PATIENT_FIELD_IGNORE; field <= PATIENT_FIELD_TOKEN; field++) {
		struct unit *u = rig_unit(&rig);
		u->patient_field =
			field == PATIENT_FIELD_TOKEN ? PATIENT_FIELD_TOKEN : PATIENT_FIELD_IGNORE;
		rig_add(&rig, u,
			&(struct rig_bp){190, 115, 70, .identity = NULL, .patient = typed});
		assert_int_equal(rig_file(&rig, u), 0);
	}
	static const char *const tables[] = {"reading", "alert", "visit"};
	static const enum object kinds[] = {OBJECT_READING, OBJECT_ALERT, OBJECT_FOLLOWUP};
	for (size_t i = 0; i < ELEMENTS(tables); i++)
		for (int64_t row = 1; row <= 2; row++) {
			json_t *root = message(kinds[i], row, 1);
			char *text = json_dumps(root, 0);
			assert_null(strstr(text, typed));
			assert_null(strstr(text, "1958"));
			free(text);
			json_decref(root);
		}
	json_t *root = message(OBJECT_READING, 2, 1);
	expect(root, "readings.0.identity.patient_id_typed", "true");
	json_decref(root);
	/* nor in the database, raw bytes apart, which the driver chose */
	rig_script(&rig, "PRAGMA wal_checkpoint(TRUNCATE)");
	char command[160];
	snprintf(command, sizeof(command), "grep -q %s %s/vitalgate.db", typed, rig.dir);
	assert_int_not_equal(system(command), 0);
}

/* Text from an instrument that is no UTF-8, or wants to end the string. */
static void test_hostile_text(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	struct reading *r = rig_add(&rig, u, &(struct rig_bp){190, 115, 70, .identity = "1"});
	text_copy(r->notes[0].text, sizeof(r->notes[0].text), "\xff\"},{\"x\":\xc3\\\x01", 13);
	text_copy(r->quantities[0].received, sizeof(r->quantities[0].received), "\"\\\xe4\xb8", 4);
	struct happening *e = unit_add_event(u, "device_error");
	text_copy(e->detail, sizeof(e->detail), "\x80\"]}\x7f", 5);
	assert_int_equal(rig_file(&rig, u), 0);
	json_decref(message(OBJECT_READING, 1, 1));
	json_decref(message(OBJECT_ALERT, 1, 1));
	json_decref(message(OBJECT_EVENT, 1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reading),
		T(test_unknown_time),
		T(test_place),
		T(test_event),
		T(test_visit),
		T(test_confirmed_visit),
		T(test_study),
		T(test_study_of_nobody),
		T(test_pieces),
		T(test_nothing_there),
		T(test_nothing_of_a_person),
		T(test_hostile_text),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
