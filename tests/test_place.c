/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Places: what sequences of values call staff, when it ends by itself, sensors that fall silent; and that what is of a
 * place is of no person. */
#include "watch_rig.h"

#include "place.h"
#include "util.h"

#define DEVICES                                                                                    \
	RIG_SINK "devices:\n"                                                                      \
		 " - {id: fridge-1, driver: bt_blp, transport: ble, address: \"unix:/1\", place: " \
		 "fridge}\n"                                                                       \
		 " - {id: freezer-1, driver: bt_blp, transport: ble, address: \"unix:/2\", "       \
		 "place: freezer}\n"                                                               \
		 " - {id: room-1, driver: bt_blp, transport: ble, address: \"unix:/3\", place: "   \
		 "room}\n"                                                                         \
		 " - {id: gas-1, driver: bt_blp, transport: ble, address: \"unix:/4\", place: "    \
		 "gas_supply}\n"                                                                   \
		 " - {id: demo-1, driver: bt_blp, transport: ble, address: \"unix:/5\", place: "   \
		 "fridge, test: true}\n"

static struct rig rig;
static const char *const names[] = {"fridge-1", "freezer-1", "room-1", "gas-1", "demo-1"};
static const char *const places[] = {"fridge", "freezer", "room", "gas_supply", "fridge"};
enum { FRIDGE, FREEZER, ROOM, GAS, DEMO, DEVICES_MAX };
static int64_t rows[DEVICES_MAX];

static int setup(void **state)
{
	(void)state;
	char uid[96];
	rig_open(&rig, DEVICES);
	rig_residents(&rig);
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
	snprintf(u->uid, sizeof(u->uid), "sn:%s", names[device]);
	u->place = places[device];
	u->test = device == DEMO;
	return u;
}

static void deliver(int device, int64_t at_s, struct watch_number number)
{
	struct unit *u = unit_of(device, at_s);
	watch_add(&rig, u, &(struct watch_reading){.kind = "environment", .numbers = {number}});
	assert_int_equal(rig_file(&rig, u), 0);
}

/*
 * Expected results, written before the code: what stands in the table of alerts after each value. LOOK: no value
 * comes, time passes.
 */
#define LOOK                 \
	{                    \
		.kind = NULL \
	}
#define TENTHS(kind, n)        \
	{                      \
		kind, n, -1, 0 \
	}
#define T10(n) TENTHS("env.temp", n)
#define RH10(n) TENTHS("env.humidity", n)
#define KPA(n)                              \
	{                                   \
		"env.gas_pressure", n, 0, 0 \
	}
#define OPEN_DOOR                        \
	{                                \
		"env.door_open", 1, 0, 0 \
	}
#define SHUT_DOOR                        \
	{                                \
		"env.door_open", 0, 0, 0 \
	}

static const struct sequence {
	const char *what; /* with the rule of config/alerts.yaml that it follows from */
	int device;
	struct {
		int at_s;
		struct watch_number number;
		const char *alerts;
	} steps[9];
} sequences[] = {
	{"fridge-door, for_s 600: a door that was open for a minute calls nobody", FRIDGE,
		{{0, OPEN_DOOR, ""}, {60, SHUT_DOOR, ""}, {900, LOOK, ""}}},
	{"fridge-door, for_s 600: told after ten minutes, over when it is shut", FRIDGE,
		{{0, OPEN_DOOR, ""}, {599, OPEN_DOOR, ""}, {600, OPEN_DOOR, "fridge-door active 1"},
			{660, OPEN_DOOR, "fridge-door active 1"},
			{700, SHUT_DOOR, "fridge-door inactive 2"},
			{760, SHUT_DOOR, "fridge-door inactive 2"}}},
	{"fridge-door: a contact that reports only its changes is told, too", FRIDGE,
		{{0, OPEN_DOOR, ""}, {599, LOOK, ""}, {600, LOOK, "fridge-door active 1"},
			{1799, LOOK, "fridge-door active 1"}}},
	{"fridge-warm, above 8, and fridge-cold, below 2: the limits themselves are good", FRIDGE,
		{{0, T10(80), ""}, {700, T10(80), ""}, {800, T10(20), ""}, {1500, T10(20), ""}}},
	{"fridge-warm, above 8, margin 0.5: told at 8.1, over at 7.5", FRIDGE,
		{{0, T10(81), ""}, {300, T10(90), ""}, {600, T10(81), "fridge-warm active 1"},
			{700, T10(80), "fridge-warm active 1"},
			{800, T10(76), "fridge-warm active 1"},
			{900, T10(75), "fridge-warm latched 2"}}},
	{"fridge-warm, for_s 600: before it is told, any good value ends it", FRIDGE,
		{{0, T10(81), ""}, {300, T10(80), ""}, {400, T10(81), ""}, {999, T10(81), ""},
			{1000, T10(81), "fridge-warm active 1"}}},
	{"fridge-cold, below 2, margin 0.5", FRIDGE,
		{{0, T10(19), ""}, {600, T10(19), "fridge-cold active 1"},
			{660, T10(24), "fridge-cold active 1"},
			{720, T10(25), "fridge-cold latched 2"}}},
	{"fridge-warm: a limit that is broken again is another alert", FRIDGE,
		{{0, T10(90), ""}, {600, T10(90), "fridge-warm active 1"},
			{700, T10(50), "fridge-warm latched 2"},
			{800, T10(90), "fridge-warm latched 2"},
			{1400, T10(90), "fridge-warm latched 2, fridge-warm active 1"}}},
	{"fridge-warm and fridge-door at once are two alerts", FRIDGE,
		{{0, T10(90), ""}, {60, OPEN_DOOR, ""}, {600, T10(90), "fridge-warm active 1"},
			{660, OPEN_DOOR, "fridge-warm active 1, fridge-door active 1"},
			{700, SHUT_DOOR, "fridge-warm active 1, fridge-door inactive 2"}}},
	{"fridge-warm: a value that does not come does not end it", FRIDGE,
		{{0, T10(90), ""}, {600, SHUT_DOOR, "fridge-warm active 1"},
			{700, SHUT_DOOR, "fridge-warm active 1"}}},
	{"fridge-warm, from one end of the scale to the other: each side has its own time", FRIDGE,
		{{0, T10(90), ""}, {500, T10(10), ""}, {600, T10(10), ""},
			{1100, T10(10), "fridge-cold active 1"}}},
	{"fridge-warm, a sensor that says \"above 8\" without a number", FRIDGE,
		{{0, {"env.temp", 80, -1, '>'}, ""},
			{600, {"env.temp", 80, -1, '>'}, "fridge-warm active 1"}}},
	{"freezer-warm, above -15: -15 is good", FREEZER,
		{{0, T10(-150), ""}, {600, T10(-150), ""}, {700, T10(-149), ""},
			{1300, T10(-149), "freezer-warm active 1"},
			{1400, T10(-154), "freezer-warm active 1"},
			{1500, T10(-155), "freezer-warm latched 2"}}},
	{"freezer: the limits of the fridge are not those of the freezer", FREEZER,
		{{0, T10(-200), ""}, {600, T10(-200), ""}}},
	{"room-warm, above 30; the fridge's limits are not the room's", ROOM,
		{{0, T10(250), ""}, {600, T10(250), ""}, {700, T10(301), ""},
			{1300, T10(301), "room-warm active 1"}}},
	{"room-damp, above 75, margin 2", ROOM,
		{{0, RH10(751), ""}, {600, RH10(751), "room-damp active 1"},
			{660, RH10(731), "room-damp active 1"},
			{720, RH10(730), "room-damp inactive 2"}}},
	{"gas-low, below 320, for_s 60", GAS,
		{{0, KPA(319), ""}, {59, KPA(319), ""}, {60, KPA(310), "gas-low active 1"}}},
	{"a device that is marked test calls nobody", DEMO,
		{{0, T10(200), ""}, {600, T10(200), ""}, {700, LOOK, ""}}},
};

static void test_sequences(void **state)
{
	for (size_t i = 0; i < ELEMENTS(sequences); i++) {
		const struct sequence *q = &sequences[i];
		print_message("# %s\n", q->what);
		if (i)
			setup(state);
		for (size_t k = 0; k < ELEMENTS(q->steps) && q->steps[k].alerts; k++) {
			if (q->steps[k].number.kind)
				deliver(q->device, q->steps[k].at_s, q->steps[k].number);
			else
				watch_look_at(&rig, q->steps[k].at_s);
			watch_expect_alerts(&rig, q->steps[k].alerts);
		}
		if (i + 1 < ELEMENTS(sequences))
			teardown(state);
	}
}

/* Staff, nobody's, of the fridge; the value that was last, and since when. */
static void test_what_is_told(void **state)
{
	(void)state;
	deliver(FRIDGE, 0, (struct watch_number)T10(81));
	deliver(FRIDGE, 600, (struct watch_number)T10(94));
	watch_expect_text(&rig,
		"SELECT severity||' '||role||' '||recipient||' '||coalesce(resident,'-')||' '||"
		"place||' '||(since=1795000000000000)||(raised=1795000600000000)||' '||labels||' '||"
		"json_extract(body,'$.rules[0].value')||' '||json_extract(body,'$.rules[0].limit')||"
		"' '||json_extract(body,'$.rules[0].text_zh') FROM alert",
		"critical staff S-0001 - fridge 11 [] 9.4 8.0 疫苗冰箱温度过高");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert JOIN reading ON "
				       "reading.uuid=alert.reading WHERE reading.id=2"),
		1);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=1 AND revision=1"), 1);
	/* the end is told as the next revision */
	deliver(FRIDGE, 700, (struct watch_number)T10(50));
	assert_int_equal(rig_int(&rig, "SELECT max(revision) FROM outbox WHERE kind=1"), 2);
	assert_int_equal(rig_int(&rig, "SELECT ended=1795000700000000 FROM alert"), 1);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM condition WHERE rule='fridge-warm'"), 0);
}

static void test_acknowledged(void **state)
{
	(void)state;
	deliver(FRIDGE, 0, (struct watch_number)T10(90));
	deliver(FRIDGE, 600, (struct watch_number)T10(90));
	rig_script(&rig, "UPDATE alert SET ack_author='local:x', ack_outcome='advised', acked=1");
	deliver(FRIDGE, 900, (struct watch_number)T10(90)); /* known to somebody: not told again */
	watch_expect_alerts(&rig, "fridge-warm active 1");
	deliver(FRIDGE, 960, (struct watch_number)T10(50)); /* and is over at once */
	watch_expect_alerts(&rig, "fridge-warm inactive 2");
	assert_int_equal(rig_int(&rig, "SELECT acked FROM alert"), 1);
}

/* The same condition is the same alert, on whichever gateway and however often it is written. */
static void test_same_id(void **state)
{
	char first[80], again[80];
	for (int i = 0; i < 2; i++) {
		if (i)
			setup(state);
		deliver(FRIDGE, i, (struct watch_number)T10(50)); /* enrols */
		deliver(FRIDGE, 10, (struct watch_number)T10(90));
		deliver(FRIDGE, 610, (struct watch_number)T10(i ? 95 : 90));
		rig_text(&rig, i ? again : first, sizeof(first), "SELECT hex(uuid) FROM alert");
		if (!i)
			teardown(state);
	}
	assert_string_equal(first, again);
	deliver(FRIDGE, 700, (struct watch_number)T10(50));
	deliver(FRIDGE, 800, (struct watch_number)T10(90));
	deliver(FRIDGE, 1400, (struct watch_number)T10(90));
	assert_int_equal(rig_int(&rig, "SELECT count(DISTINCT uuid) FROM alert"), 2);
}

static void test_no_alerts_wanted(void **state)
{
	(void)state;
	rig.config.alerts = false;
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	deliver(FRIDGE, 0, (struct watch_number)T10(90));
	deliver(FRIDGE, 600, (struct watch_number)T10(90));
	watch_look_at(&rig, 9000);
	watch_expect_alerts(&rig, "");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM condition"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading"), 2);
}

/* silence: *-silent */

static void test_silence(void **state)
{
	(void)state;
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	watch_look_at(&rig, 1799);
	watch_expect_alerts(&rig, "");
	deliver(FRIDGE, 1000, (struct watch_number)T10(50));
	deliver(FREEZER, 1000, (struct watch_number)T10(-200));
	deliver(GAS, 1000, (struct watch_number)KPA(400));
	watch_look_at(&rig, 2799); /* fridge, freezer, gas 1800; room 3600 */
	watch_expect_alerts(&rig, "");
	deliver(FREEZER, 2790, (struct watch_number)T10(-200));
	deliver(GAS, 2790, (struct watch_number)KPA(400));
	watch_look_at(&rig, 2800);
	watch_expect_alerts(&rig, "fridge-silent active 1");
	watch_expect_text(&rig,
		"SELECT place||' '||(reading IS NULL)||' '||(since=1795001000000000)||' '||"
		"json_extract(body,'$.rules[0].limit') FROM alert",
		"fridge 1 1 1800");
	watch_look_at(&rig, 3599); /* once */
	watch_expect_alerts(&rig, "fridge-silent active 1");
	watch_look_at(&rig, 3600); /* never heard since the start is silent, too */
	watch_expect_alerts(&rig, "fridge-silent active 1, room-silent active 1");
	deliver(FRIDGE, 3700, (struct watch_number)T10(50));
	watch_expect_alerts(&rig, "fridge-silent inactive 2, room-silent active 1");
	deliver(FREEZER, 4000, (struct watch_number)T10(-200));
	deliver(GAS, 4000, (struct watch_number)KPA(400));
	watch_look_at(&rig, 5499);
	watch_expect_alerts(&rig, "fridge-silent inactive 2, room-silent active 1");
	watch_look_at(&rig, 5500); /* silent again: another alert */
	watch_expect_alerts(
		&rig, "fridge-silent inactive 2, room-silent active 1, fridge-silent active 1");
}

/* A gateway that was off has not listened. What was told before stands until the sensor is heard. */
static void test_silence_over_a_restart(void **state)
{
	(void)state;
	watch_begin_at(&rig, RIG_NOW, WATCH_BOOT, true);
	watch_look_at(&rig, 1800);
	watch_expect_alerts(&rig,
		"fridge-silent active 1, freezer-silent active 1, gas_supply-silent active 1");
	deliver(FRIDGE, 1900, (struct watch_number)T10(50));
	watch_begin_at(&rig, RIG_NOW + at_us(9000), WATCH_BOOT + at_us(9000), true);
	watch_look_at(&rig, 10799);
	watch_expect_alerts(&rig,
		"fridge-silent inactive 2, freezer-silent active 1, gas_supply-silent active 1");
	/* a reload is no restart: nobody gets time again */
	watch_begin_at(&rig, RIG_NOW + at_us(10799), WATCH_BOOT + at_us(10799), false);
	watch_look_at(&rig, 10800);
	watch_expect_alerts(&rig, "fridge-silent inactive 2, freezer-silent active 1, "
				  "gas_supply-silent active 1, fridge-silent active 1");
}

/* A limit that was broken stays broken over a restart and over a reboot, and what was told is told once. */
static void test_limit_over_a_reboot(void **state)
{
	(void)state;
	deliver(FRIDGE, 0, (struct watch_number)T10(90));
	watch_begin_at(&rig, RIG_NOW + at_us(100), WATCH_BOOT + at_us(100), true);
	deliver(FRIDGE, 200, (struct watch_number)T10(90));
	/* another boot, whose clock says that 300 s have passed */
	rig_script(&rig, "UPDATE condition SET boot_id=x'00'");
	watch_begin_at(&rig, RIG_NOW + at_us(300), at_us(20), true);
	assert_true(rig_int(&rig, "SELECT due_boot FROM condition WHERE rule='fridge-warm'") ==
		    at_us(320));
	struct unit *u = unit_of(FRIDGE, 599);
	u->boot_us = at_us(319);
	watch_add(&rig, u, &(struct watch_reading){.kind = "environment", .numbers = {T10(90)}});
	assert_int_equal(rig_file(&rig, u), 0);
	watch_expect_alerts(&rig, "");
	u = unit_of(FRIDGE, 600);
	u->boot_us = at_us(320);
	watch_add(&rig, u, &(struct watch_reading){.kind = "environment", .numbers = {T10(90)}});
	assert_int_equal(rig_file(&rig, u), 0);
	watch_expect_alerts(&rig, "fridge-warm active 1");
	rig_script(&rig, "UPDATE condition SET boot_id=x'00'");
	watch_begin_at(&rig, RIG_NOW + at_us(700), WATCH_BOOT + at_us(700), true);
	watch_look_at(&rig, 800);
	watch_expect_alerts(&rig, "fridge-warm active 1");
	deliver(FRIDGE, 900, (struct watch_number)T10(50));
	watch_expect_alerts(&rig, "fridge-warm latched 2");
}

/* The configuration names the device no more, or another place: it is not watched, and its alert waits for a
 * person. */
static void test_forgotten(void **state)
{
	(void)state;
	deliver(FRIDGE, 0, (struct watch_number)T10(90));
	deliver(FRIDGE, 600, (struct watch_number)T10(90));
	deliver(ROOM, 600, (struct watch_number)T10(400));
	strcpy(rig.config.devices[FRIDGE].place, "room");
	watch_begin_at(&rig, RIG_NOW + at_us(700), WATCH_BOOT + at_us(700), false);
	watch_expect_text(&rig,
		"SELECT group_concat(name||' '||rule,', ') FROM (SELECT name,rule FROM condition "
		"JOIN device ON device.id=condition.device ORDER BY 1,2)",
		"freezer-1 freezer-silent, fridge-1 room-silent, gas-1 gas_supply-silent, room-1 "
		"room-silent, room-1 room-warm");
	watch_expect_alerts(&rig, "fridge-warm active 1");
	strcpy(rig.config.devices[FRIDGE].place, "fridge");
}

/* filing */

/* A device of a place, bound to a resident by mistake: a place has no resident, and nobody looks for one. */
static void test_of_a_place(void **state)
{
	(void)state;
	static const struct {
		const char *place, *stored;
	} cases[] = {{"fridge", "fridge"}, {"", "-"}, {NULL, "-"}};
	const struct watch_reading cold = {.kind = "environment",
		.numbers = {{"env.temp", 51, -1, 0}, {"temp", 340, -1, 0}},
		.identity = "1"};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_bind(&rig, 1);
		struct unit *u = watch_unit(&rig, rig.cuff, 0);
		u->place = cases[i].place;
		u->stranger = i == 1;
		struct uuid id = watch_add(&rig, u, &cold);
		assert_int_equal(rig_file(&rig, u), 0);
		watch_expect_text(&rig,
			"SELECT evidence||' '||grade||' '||status||' '||in_contract||' '||"
			"coalesce(resident,'-') FROM reading",
			"place none final 0 -");
		watch_expect_text(&rig, "SELECT coalesce(place,'-') FROM reading", cases[i].stored);
		assert_int_equal(
			rig_int(&rig, "SELECT count(*) FROM reading INDEXED BY reading_unassigned "
				      "WHERE resident IS NULL AND superseded=0 AND "
				      "evidence<>'place'"),
			0);
		/* 34.0 of a person would be critical; of a place it is nobody's */
		assert_int_equal(
			rig_int(&rig,
				"SELECT (SELECT count(*) FROM evidence)+(SELECT count(*) FROM visit)+"
				"(SELECT count(*) FROM alert)"),
			0);
		assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=0"), 1);
		/* not by a person either */
		assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), -ENOTSUP);
		if (i + 1 < ELEMENTS(cases)) {
			teardown(state);
			setup(state);
		}
	}
}

static void test_place_amended(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct unit *u = watch_unit(&rig, rig.cuff, i);
		u->place = "fridge";
		watch_add(&rig, u,
			&(struct watch_reading){.kind = "environment",
				.numbers = {{"env.temp", 51 + i, -1, 0}},
				.identity = "1",
				.corrected = i});
		assert_int_equal(rig_file(&rig, u), 0);
	}
	watch_expect_text(&rig,
		"SELECT group_concat(revision||status||evidence||superseded||place,' ') FROM "
		"reading",
		"1finalplace1fridge 2amendedplace0fridge");
}

/* The place is of what the device watches: a person who is measured there is a person. */
static void test_person_at_a_place(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct unit *u = watch_unit(&rig, rig.cuff, 0);
	u->place = "fridge";
	watch_add(&rig, u,
		&(struct watch_reading){.kind = "temperature", .numbers = {{"temp", 340, -1, 0}}});
	assert_int_equal(rig_file(&rig, u), 0);
	watch_expect_text(&rig, "SELECT resident||evidence||coalesce(place,'-') FROM reading",
		"1device_binding-");
	watch_expect_text(&rig, "SELECT role||coalesce(place,'-') FROM alert", "doctor-");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sequences),
		T(test_what_is_told),
		T(test_acknowledged),
		T(test_same_id),
		T(test_no_alerts_wanted),
		T(test_silence),
		T(test_silence_over_a_restart),
		T(test_limit_over_a_reboot),
		T(test_forgotten),
		T(test_of_a_place),
		T(test_place_amended),
		T(test_person_at_a_place),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
