/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batteries, instruments that fall silent, the disk and the clock of the gateway: who is told, when, and when it is over. */
#include "watch_rig.h"

#include "acknowledge.h"
#include "condition.h"
#include "span.h"
#include "technical.h"
#include "util.h"

#define DEVICES                                                                            \
	RIG_SINK                                                                           \
	"devices:\n"                                                                       \
	" - {id: cuff-1, driver: bt_blp, transport: ble, address: \"unix:/1\", expect_s: " \
	"3600}\n"                                                                          \
	" - {id: cuff-2, driver: bt_blp, transport: ble, address: \"unix:/2\"}\n"          \
	" - {id: cuff-3, driver: bt_blp, transport: ble, address: \"unix:/3\", expect_s: " \
	"600, test: true}\n"

static struct rig rig;
static const char *const names[] = {"cuff-1", "cuff-2", "cuff-3", "gone"};
enum { EXPECTED, FREE, DEMO, GONE, DEVICES_MAX };
static int64_t rows[DEVICES_MAX];

static int setup(void **state)
{
	(void)state;
	char uid[96];
	rig_open(&rig, DEVICES);
	for (int i = 0; i < DEVICES_MAX; i++) {
		rows[i] = intake_device(rig.db, names[i], "bt_blp", "unix:/x", uid);
		assert_true(rows[i] > 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static struct unit *unit_of(int device, int64_t at_s)
{
	struct unit *u = watch_unit(&rig, rows[device], at_s);
	u->test = device == DEMO;
	return u;
}

static void hear(int device, int64_t at_s)
{
	assert_int_equal(rig_file(&rig, unit_of(device, at_s)), 0);
}

static void battery(int device, int64_t at_s, int percent)
{
	struct unit *u = unit_of(device, at_s);
	struct happening *e = unit_add_event(u, "battery");
	assert_non_null(e);
	e->value = percent;
	assert_int_equal(rig_file(&rig, u), 0);
}

static int64_t look(int64_t utc_us, int64_t boot_us)
{
	int64_t next = 0;
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(
		technical_look(&rig.gateway, rig.db, (struct instant){utc_us, boot_us}, &next), 0);
	rig_script(&rig, "COMMIT");
	return next;
}

static int64_t look_at(int64_t at_s)
{
	int64_t next = look(RIG_NOW + at_us(at_s), WATCH_BOOT + at_us(at_s));
	watch_look_at(&rig, at_s);
	return next;
}

static void expect(const char *alerts)
{
	watch_expect_alerts(&rig, alerts);
}

static struct alert_rule *rule(const char *id)
{
	const struct alert_rule *r = alert_rules_find(rig.gateway.rules, id);
	assert_non_null(r);
	return (struct alert_rule *)r;
}

/* battery-low: at_most 15, margin 10 */
static void test_battery(void **state)
{
	(void)state;
	battery(FREE, 0, 16);
	expect("");
	battery(FREE, 10, 15);
	expect("battery-low active 1");
	watch_expect_text(&rig,
		"SELECT severity||' '||role||' '||recipient||' '||coalesce(place,'-')||' '||d.name||' '||"
		"json_extract(body,'$.rules[0].value')||' '||json_extract(body,'$.rules[0].limit')||' '||"
		"json_extract(body,'$.rules[0].unit')||' '||(reading IS NULL) FROM alert JOIN device d ON "
		"d.id=alert.device",
		"warning staff S-0001 - cuff-2 15 15 % 1");
	battery(FREE, 20, 3); /* is told once */
	battery(FREE, 30, 25);
	expect("battery-low active 1");
	battery(FREE, 40, 26);
	expect("battery-low inactive 2");
	assert_int_equal(rig_int(&rig, "SELECT ended=1795000040000000 FROM alert"), 1);
	battery(FREE, 50, 10);
	battery(EXPECTED, 50, 10);
	expect("battery-low inactive 2, battery-low active 1, battery-low active 1");
	watch_begin_at(&rig, RIG_NOW + at_us(60), WATCH_BOOT + at_us(60), true);
	battery(FREE, 70, 10); /* a start makes no new one */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 3);
}

static void test_nobody_wants(void **state)
{
	(void)state;
	battery(DEMO, 0, 1);
	battery(GONE, 0, 1);
	struct unit *u = unit_of(FREE, 0);
	u->stranger = true;
	unit_add_event(u, "battery")->value = 1;
	assert_int_equal(rig_file(&rig, u), 0);
	rig.config.alerts = false;
	battery(FREE, 0, 1);
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	hear(EXPECTED, 0);
	assert_true(look_at(9000) == INT64_MAX);
	expect("");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM condition"), 0);
}

/* Alerts are switched off: what is due waits for the day on which they are wanted again. */
static void test_switched_off(void **state)
{
	(void)state;
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	rig.config.alerts = false;
	battery(FREE, 9000, 50);
	expect("");
	rig.config.alerts = true;
	battery(FREE, 9001, 50);
	expect("device-silent active 1");
}

/* device-silent: twice the 3600 s of cuff-1; of the others nothing is expected */
static void test_silence(void **state)
{
	(void)state;
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	watch_look_at(&rig, 7199);
	expect("");
	hear(EXPECTED, 7199);
	watch_look_at(&rig, 14398);
	expect("");
	struct unit *u = unit_of(EXPECTED, 14398); /* another one with its address */
	u->stranger = true;
	assert_int_equal(rig_file(&rig, u), 0);
	watch_look_at(&rig, 14399);
	expect("device-silent active 1");
	watch_expect_text(&rig,
		"SELECT severity||' '||role||' '||name||' '||(since=1795007199000000) FROM alert JOIN device "
		"ON device.id=alert.device",
		"warning staff cuff-1 1");
	watch_look_at(&rig, 20000);
	expect("device-silent active 1");
	hear(EXPECTED, 20001);
	expect("device-silent inactive 2");
	watch_look_at(&rig, 27200);
	expect("device-silent inactive 2");
	watch_look_at(&rig, 27201);
	expect("device-silent inactive 2, device-silent active 1");
}

static void test_silence_over_a_restart(void **state)
{
	(void)state;
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	watch_begin_at(&rig, RIG_NOW + at_us(7000), WATCH_BOOT + at_us(7000), true);
	watch_look_at(&rig, 14199);
	expect("");
	watch_begin_at(&rig, RIG_NOW + at_us(14000), WATCH_BOOT + at_us(14000), false);
	watch_look_at(&rig, 14200);
	expect("device-silent active 1");
	rig.config.devices[0].expect_s = 0; /* not wanted any more */
	watch_begin_at(&rig, RIG_NOW + at_us(14300), WATCH_BOOT + at_us(14300), false);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM condition"), 0);
	expect("device-silent active 1"); /* a person looks */
}

/* store-filling: at_least 90, for_s 600; store-full: at_least 98, for_s 60. No disk is filled here: the limits come down. */
static void test_store(void **state)
{
	(void)state;
	struct rule_limit *filling = &rule("store-filling")->limits[0],
			  *full = &rule("store-full")->limits[0];
	int64_t was_filling = filling->milli, was_full = full->milli;
	span_note(rig.db, &(struct instant){RIG_NOW, WATCH_BOOT}, true, NULL);
	filling->milli = full->milli = 101000;
	assert_true(look_at(0) == WATCH_BOOT + at_us(60));
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM condition"), 0);
	filling->milli = 0;
	look_at(60);
	look_at(659);
	expect("");
	look_at(660);
	expect("store-filling active 1");
	watch_expect_text(&rig,
		"SELECT severity||' '||role||' '||(device IS NULL)||' '||(since=1795000060000000)||' '||"
		"json_extract(body,'$.rules[0].unit') FROM alert",
		"warning staff 1 1 %");
	watch_begin_at(&rig, RIG_NOW + at_us(700), WATCH_BOOT + at_us(700), true);
	look_at(720);
	expect("store-filling active 1");
	full->milli = 0; /* nobody made room */
	look_at(780);
	look_at(839);
	expect("store-filling active 1");
	look_at(840);
	expect("store-filling active 1, store-full active 1");
	watch_expect_text(&rig,
		"SELECT severity||' '||role||' '||deliver FROM alert WHERE condition='store-full'",
		"critical staff now");
	full->milli = 101000;
	look_at(900);
	expect("store-filling active 1, store-full latched 2");
	filling->milli = 101000;
	look_at(960);
	expect("store-filling inactive 2, store-full latched 2");
	filling->milli = was_filling;
	full->milli = was_full;
}

/* clock-untrusted: for_s 3600 */
static void test_clock(void **state)
{
	(void)state;
	const int64_t gone = 86400 * CLOCK_SECOND_US; /* 1970 */
	rule("store-filling")->limits[0].milli = rule("store-full")->limits[0].milli = 101000;
	look(gone, WATCH_BOOT);
	look(gone + at_us(3599), WATCH_BOOT + at_us(3599));
	int64_t next;
	assert_int_equal(watch_look(&rig.gateway, rig.db, gone + at_us(3599),
				 WATCH_BOOT + at_us(3599), &next),
		0);
	expect("");
	assert_int_equal(watch_look(&rig.gateway, rig.db, gone + at_us(3600),
				 WATCH_BOOT + at_us(3600), &next),
		0);
	expect("clock-untrusted active 1");
	/* a time that can be is not one that we are sure of */
	look(RIG_NOW, WATCH_BOOT + at_us(3700));
	expect("clock-untrusted active 1");
	span_note(rig.db, &(struct instant){RIG_NOW, WATCH_BOOT + at_us(3700)}, true, NULL);
	look(RIG_NOW + at_us(60), WATCH_BOOT + at_us(3760));
	expect("clock-untrusted inactive 2");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM condition"), 0);
}

static void acknowledge(void)
{
	struct uuid id;
	_cleanup_(row_endp) struct row *r =
		db_query(rig.db, "SELECT uuid FROM alert ORDER BY id DESC LIMIT 1", "");
	assert_int_equal(row_next(r), 1);
	assert_true(row_uuid(r, 0, &id));
	assert_int_equal(
		acknowledge_alert(&rig.gateway, rig.db, &id, "local:S-0001", "reached"), 1);
}

/* What is configured no more cannot be over by itself: whoever acknowledges it ends it. */
static void test_configured_no_more(void **state)
{
	(void)state;
	battery(FREE, 0, 10);
	acknowledge();
	expect("battery-low active 2");
	battery(FREE, 10, 90);
	expect("battery-low inactive 3");
	battery(FREE, 20, 10);
	rig.config.devices[FREE].id[0] = 'x';
	watch_begin_at(&rig, RIG_NOW + at_us(30), WATCH_BOOT + at_us(30), false);
	expect("battery-low inactive 3, battery-low active 1");
	acknowledge();
	expect("battery-low inactive 3, battery-low inactive 2");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_battery),
		T(test_nobody_wants),
		T(test_switched_off),
		T(test_silence),
		T(test_silence_over_a_restart),
		T(test_store),
		T(test_clock),
		T(test_configured_no_more),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
