/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alerts as messages: in the words of IHE ACM, small, with what they rest on and whom they go to. */
#include "payload_rig.h"

#include "report.h"
#include "study_rig.h"

static void test_alert(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){250, 115, 70, .identity = "1", .comparator = '>'});
	json_t *root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.severity", "\"critical\"");
	expect(root, "alerts.0.priority", "\"PH\"");
	expect(root, "alerts.0.state", "\"active\"");
	expect(root, "alerts.0.phase", "\"start\"");
	expect(root, "alerts.0.resident", "\"R-0001\"");
	expect(root, "alerts.0.to", "{\"role\":\"doctor\",\"token\":\"D-0001\"}");
	expect(root, "alerts.0.rules.0.id", "\"sbp-critical-high\"");
	expect(root, "alerts.0.rules.0.comparator", "\">\"");
	expect(root, "alerts.0.rules.1.id", "\"dbp-critical-high\"");
	expect(root, "alerts.0.raised", "\"2026-11-18T11:06:40.000Z\"");
	expect(root, "alerts.0.since", "\"2026-11-18T11:06:40.000Z\"");
	expect(root, "alerts.0.condition", "\"bp-high\"");
	expect(root, "alerts.0.level", "\"critical\"");
	expect(root, "alerts.0.type", "\"SP\"");
	expect(root, "alerts.0.inactivation", "\"enabled\"");
	expect(root, "alerts.0.step", "0");
	expect(root, "alerts.0.deliver", "\"now\"");
	expect(root, "alerts.0.readings", "1");
	expect(root, "alerts.0.device", "\"cuff-1\"");
	expect(root, "alerts.0.labels",
		"[\"unconfirmed\",\"time_of_arrival\",\"above_meter_range\"]");
	const json_t *alert = json_array_get(json_object_get(root, "alerts"), 0);
	assert_true(json_is_string(json_object_get(alert, "not_before")));
	assert_true(json_equal(json_object_get(alert, "reading"), json_object_get(alert, "shown")));
	assert_null(json_object_get(alert, "acknowledged"));
	assert_null(json_object_get(alert, "ended"));
	json_decref(root);
	rig_script(&rig,
		"UPDATE alert SET revision=2, ack_author='local:x/D-0001', ack_outcome='advised', "
		"acked=1795000100000000, level=2, severity='notice', recipient='', role='', "
		"phase='update', deliver='list'");
	root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.revision", "2");
	expect(root, "alerts.0.phase", "\"update\"");
	expect(root, "alerts.0.type", "\"SA\"");
	expect(root, "alerts.0.priority", "\"PL\"");
	expect(root, "alerts.0.level", "\"warning\"");
	expect(root, "alerts.0.inactivation", "\"alert-acknowledged\"");
	expect(root, "alerts.0.to", "{\"role\":null,\"token\":null}");
	expect(root, "alerts.0.acknowledged",
		"{\"by\":\"local:x/D-0001\",\"outcome\":\"advised\",\"at\":\"2026-11-18T11:08:20.000Z\"}");
	json_decref(root);
}

/* Whatever fires: one message of an alert is small. */
static void test_alert_is_small(void **state)
{
	(void)state;
	rig_script(
		&rig, "UPDATE resident SET conditions='pregnant;heart_failure',programmes='t2dm'");
	rig_bind(&rig, 1);
	struct unit *u = rig_unit(&rig);
	struct reading *r = rig_add(
		&rig, u, &(struct rig_bp){250, 150, 180, .identity = "1", .comparator = '>'});
	for (; r->n_flags < 8; r->n_flags++)
		r->flags[r->n_flags] = "a_flag_with_a_long_name";
	assert_int_equal(rig_file(&rig, u), 0);
	int64_t n = rig_int(&rig, "SELECT count(*) FROM alert");
	for (int64_t row = 1; row <= n; row++) {
		json_t *root = message(OBJECT_ALERT, row, 1234567890);
		char *text = json_dumps(root, JSON_COMPACT);
		assert_in_range(strlen(text), 500, 4096);
		free(text);
		json_decref(root);
	}
	assert_int_equal(n, 2);
}

static void test_technical_alert(void **state)
{
	(void)state;
	deliver_place(0, 90);
	deliver_place(600, 95);
	json_t *root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.severity", "\"critical\"");
	expect(root, "alerts.0.priority", "\"PH\"");
	expect(root, "alerts.0.type", "\"ST\"");
	expect(root, "alerts.0.state", "\"active\"");
	expect(root, "alerts.0.phase", "\"start\"");
	expect(root, "alerts.0.inactivation", "\"enabled\"");
	expect(root, "alerts.0.resident", "null");
	expect(root, "alerts.0.place", "\"fridge\"");
	expect(root, "alerts.0.device", "\"cuff-1\"");
	expect(root, "alerts.0.since", "\"2026-11-18T11:06:40.000Z\"");
	expect(root, "alerts.0.raised", "\"2026-11-18T11:16:40.000Z\"");
	expect(root, "alerts.0.to", "{\"role\":\"staff\",\"token\":\"S-0001\"}");
	expect(root, "alerts.0.rules.0.value", "9.5");
	expect(root, "alerts.0.rules.0.limit", "8.0");
	expect(root, "alerts.0.rules.0.unit", "\"Cel\"");
	expect(root, "alerts.0.labels",
		"[]"); /* neither "unassigned" nor "unconfirmed": it lasted */
	json_decref(root);
	deliver_place(700, 50);
	root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.revision", "2");
	expect(root, "alerts.0.state", "\"latched\"");
	expect(root, "alerts.0.phase", "\"end\"");
	expect(root, "alerts.0.inactivation", "\"enabled\"");
	expect(root, "alerts.0.ended", "\"2026-11-18T11:18:20.000Z\"");
	json_decref(root);
	rig_script(&rig, "UPDATE alert SET acked=1, ack_author='x', ack_outcome='advised'");
	root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.phase", "\"end\"");
	expect(root, "alerts.0.inactivation", "\"alert-acknowledged\"");
	expect(root, "alerts.0.acknowledged.outcome", "\"advised\"");
	json_decref(root);
}

/* A silence has no reading and no value. */
static void test_silent_sensor(void **state)
{
	(void)state;
	deliver_place(0, 50);
	watch_look_at(&rig, 1800);
	json_t *root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.reading", "null");
	expect(root, "alerts.0.type", "\"ST\"");
	expect(root, "alerts.0.since", "\"2026-11-18T11:06:40.000Z\"");
	expect(root, "alerts.0.rules.0.id", "\"fridge-silent\"");
	expect(root, "alerts.0.rules.0.limit", "1800");
	expect(root, "alerts.0.rules.0.unit", "\"s\"");
	json_decref(root);
}

static void test_no_clean_repeat(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct unit *u = watch_unit(&rig, rig.cuff, 0);
	watch_add(&rig, u,
		&(struct watch_reading){.kind = "spo2",
			.numbers = {{"spo2", 85, 0, 0}},
			.flags = {"low_perfusion"}});
	assert_int_equal(rig_file(&rig, u), 0);
	watch_look_at(&rig, 600);
	json_t *root = message(OBJECT_ALERT, 1, 5);
	expect(root, "alerts.0.type", "\"SP\"");
	expect(root, "alerts.0.resident", "\"R-0001\"");
	expect(root, "alerts.0.to", "{\"role\":\"staff\",\"token\":\"S-0001\"}");
	expect(root, "alerts.0.labels", "[\"unconfirmed\",\"no_clean_repeat\",\"low_perfusion\"]");
	const json_t *alert = json_array_get(json_object_get(root, "alerts"), 0);
	assert_null(json_object_get(alert, "place"));
	json_decref(root);
	root = message(OBJECT_EVENT, 1, 5);
	expect(root, "events.0.type", "\"repeat_requested\"");
	expect(root, "events.0.device", "\"cuff-1\"");
	json_decref(root);
}

/* An alert about a study names it: the cart's statement is a person's, what is late is the site's. */
static void test_alerts_of_studies(void **state)
{
	(void)state;
	char id[80];
	rig_bind(&rig, 2);
	study_filed(&rig, 1, 10, STUDY_SAYS("\"interpretation\":{\"lines\":[\"Asystole\"]},"));
	rig_text(&rig, id, sizeof(id), "SELECT '\"'||lower(hex(uuid))||'\"' FROM study");
	json_t *root = message(OBJECT_ALERT, 1, 1);
	expect(root, "alerts.0.study", id);
	expect(root, "alerts.0.reading", "null");
	expect(root, "alerts.0.type", "\"SP\"");
	expect(root, "alerts.0.priority", "\"PH\"");
	expect(root, "alerts.0.to", "{\"role\":\"doctor\",\"token\":\"D-0002\"}");
	expect(root, "alerts.0.rules.0.statement", "\"Asystole\"");
	expect(root, "alerts.0.labels", "[\"cart_statement\",\"clock_uncompared\"]");
	json_decref(root);
	assert_int_equal(report_tell(&rig.gateway, rig.db, RIG_NOW, INT64_MAX), 0);
	root = message(OBJECT_ALERT, 2, 1);
	expect(root, "alerts.0.study", id);
	expect(root, "alerts.0.resident", "null");
	expect(root, "alerts.0.type", "\"ST\"");
	expect(root, "alerts.0.place", "\"ecg\"");
	expect(root, "alerts.0.device", "\"cuff-1\"");
	expect(root, "alerts.0.rules.0.id", "\"ecg-not-sent\"");
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_alert),
		T(test_alert_is_small),
		T(test_technical_alert),
		T(test_silent_sensor),
		T(test_no_clean_repeat),
		T(test_alerts_of_studies),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
