/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sentences of stored alerts, and what a display shows beside an instrument. */
#include "alert_rig.h"

#include "alert_said.h"
#include "command.h"

static json_t *last;
static bool replied;

static int setup(void **state)
{
	(void)state;
	alert_rig_open(RIG_SINK "stations: [{id: desk-1}]\n");
	rig.config.n_devices = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(TAKE(last));
	alert_rig_close();
	return 0;
}

static void on_reply(void *arg, const char *text, size_t len)
{
	(void)arg;
	json_decref(last);
	last = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	replied = true;
}

/* The result, or the error. */
static const json_t *display(const char *station)
{
	char text[128];
	replied = false;
	int n = snprintf(text, sizeof(text),
		"{\"v\":1,\"cmd\":\"display\",\"args\":{\"station\":\"%s\"}}", station);
	assert_int_equal(
		command_submit(&rig.gateway, text, (size_t)n, "local:x", on_reply, NULL), 0);
	rig_wait(&rig, &replied);
	const json_t *error = json_object_get(last, "error");
	return error ? error : json_object_get(last, "result");
}

static const char *text_of(const json_t *of, const char *key)
{
	const char *text = json_string_value(json_object_get(of, key));
	return text ? text : "(none)";
}

static void shows(const char *station, const char *about, const char *en)
{
	const json_t *r = display(station);
	assert_string_equal(text_of(r, "about"), about);
	assert_string_equal(text_of(r, "text_en"), en);
	assert_int_equal(text_of(r, "text_zh")[0] != 0, en[0] != 0);
}

/* A reading of alert `id` that was taken so many seconds ago at desk-1. */
static void measured(unsigned id, unsigned reading, int level, long long ago_s)
{
	commit("INSERT INTO alert_reading(alert,reading,n,level,at,body,doubts) SELECT "
	       "uuid,x'%032x',1,%d,%lld,'{}','[]' FROM alert WHERE id=%u;UPDATE alert SET "
	       "shown=x'%032x',station='desk-1' WHERE id=%u",
		reading, level, (long long)clock_utc_us() - ago_s * 1000000, id, reading, id);
}

#define SUGAR "take 15 g of sugar now and measure again after 15 minutes"
#define REST "sit quietly for 5 minutes and measure again"
#define AGAIN "the measurement was not clear: please keep still and measure again"

static void test_display(void **state)
{
	(void)state;
	shows("desk-1", "(none)", "");
	raise_alert(1, "critical");
	measured(1, 11, 3, 60);
	shows("desk-1", "alert", REST);
	assert_string_equal(text_of(display("desk-1"), "severity"), "critical");
	raise_alert(2, "critical");
	commit("UPDATE alert SET condition='glucose-low' WHERE id=2");
	measured(2, 12, 3, 30);
	shows("desk-1", "alert", SUGAR); /* the latest */
	revise(2, "state='inactive'");
	shows("desk-1", "alert", REST);
	revise(1, "state='latched', level=0"); /* it was good again: nothing to say */
	shows("desk-1", "(none)", "");
	revise(1, "state='active', level=3");
	shows("desk-1", "alert", REST);
	commit("UPDATE alert_reading SET at=at-601*1000000");
	shows("desk-1", "(none)", "");
	assert_string_equal(text_of(display("desk-2"), "code"), "unknown_station");
	assert_string_equal(text_of(display(""), "code"), "unknown_station");
}

static void wait_for_clean(unsigned reading, long long ago_s)
{
	commit("INSERT INTO reading(uuid,revision,status,device,kind,evidence,grade,in_contract,test,"
	       "arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,content,raw,driver,"
	       "tables_version,committed_boot_us,station) VALUES(x'%032x',1,'final',1,'bp','','',0,0,0,"
	       "zeroblob(16),0,0,0,'live','{}','','','','',0,'desk-1')",
		reading);
	commit("INSERT INTO pending_repeat(reading,condition,device,kind,kinds,severity,body,doubts,"
	       "since,boot_id,due_boot,due) VALUES(x'%032x','bp-high',1,'bp','bp.sbp','critical','{}',"
	       "'[]',%lld,zeroblob(16),0,0)",
		reading, (long long)clock_utc_us() - ago_s * 1000000);
}

static void test_repeat(void **state)
{
	(void)state;
	wait_for_clean(21, 120);
	shows("desk-1", "repeat", AGAIN);
	raise_alert(1, "critical");
	measured(1, 11, 3, 60);
	shows("desk-1", "alert", REST);
	wait_for_clean(22, 5);
	shows("desk-1", "repeat", AGAIN);
	commit("DELETE FROM pending_repeat");
	shows("desk-1", "alert", REST);
}

static void test_said(void **state)
{
	(void)state;
	struct json j = {0};
	raise_alert(1, "critical");
	measured(1, 11, 3, 60);
	measured(1, 12, 3, 30);
	revise(1, "labels='[\"confirmed\"]', step=1, role='chain', phase='update'");
	json_object_begin(&j, NULL);
	assert_int_equal(alert_said(&rig.gateway, rig.db, 1, &j), 0);
	json_object_end(&j);
	json_t *root = json_loads(json_text(&j), JSON_REJECT_DUPLICATES, NULL);
	json_free(&j);
	const char *en = text_of(root, "text_en");
	assert_non_null(strstr(en, "Critical: high blood pressure. Since "));
	assert_non_null(strstr(en, "Note: confirmed by a second measurement."));
	assert_non_null(strstr(en, "Evidence: 2 measurements, from "));
	assert_non_null(strstr(en, "to next in the chain (step 2, at once)."));
	assert_non_null(strstr(text_of(root, "text_zh"), "危急：血压高。"));
	assert_string_equal(text_of(json_object_get(root, "resident_text"), "en"), REST);
	json_decref(root);
	revise(1, "state='inactive', ended=1795000000000000");
	json_object_begin(&j, NULL);
	assert_int_equal(alert_said(&rig.gateway, rig.db, 1, &j), 0);
	json_object_end(&j);
	assert_null(strstr(json_text(&j), "resident_text"));
	assert_non_null(strstr(json_text(&j), ", until 2026-"));
	json_free(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_display, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeat, setup, teardown),
		cmocka_unit_test_setup_teardown(test_said, setup, teardown)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
