/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about who is measured, and cards at an instrument: what they say, what they refuse, what stays in the store. */
#include "command_rig.h"

#include "card.h"
#include "day.h"

#define YAML                                                                               \
	RIG_SINK                                                                           \
	"stations:\n - {id: desk, purpose: follow-up}\n - {id: set, complete: weight}\n"   \
	"devices:\n - {id: cuff-1, driver: bt_blp, transport: ble, address: "              \
	"'C0:11:22:33:44:55', station: desk}\n - {id: cuff-2, driver: bt_blp, transport: " \
	"ble, address: 'C0:11:22:33:44:56', station: 村卫生室}\n"

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, YAML);
	rig_residents(&rig);
	rig_run_store(&rig);
	return 0;
}

static const char *said(const char *name)
{
	const char *text = json_string_value(json_object_get(result(), name));
	return text ? text : "-";
}

/* A live pressure, now. */
static struct uuid measure(const char *station)
{
	struct unit *u = rig_unit(&rig);
	u->arrived_us = clock_utc_us();
	u->station = station;
	struct reading *r = rig_add(&rig, u, &(struct rig_bp){.sys = 120, .dia = 80, .pulse = 70});
	r->live = true;
	struct uuid id = r->id;
	assert_int_equal(rig_file(&rig, u), 0);
	return id;
}

static void test_day_of_a_nurse(void **state)
{
	(void)state;
	ask("checkin", "{'station':'desk','resident':'R-0001'}");
	assert_string_equal(said("resident"), "R-0001");
	assert_string_equal(said("purpose"), "follow-up");
	assert_string_equal(said("source"), "typed");
	assert_int_equal(json_object_size(json_object_get(result(), "visits")), 1);
	measure("desk");
	ask("stations", "{}");
	const json_t *list = json_object_get(result(), "stations"), *desk = json_array_get(list, 0);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(desk, "id")), "desk");
	assert_string_equal(json_string_value(json_object_get(desk, "resident")), "R-0001");
	assert_int_equal(json_array_size(json_object_get(desk, "measured")), 1);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(desk, "devices"), 0)), "cuff-1");
	const json_t *set = json_array_get(list, 1), *hut = json_array_get(list, 2);
	assert_true(json_is_null(json_object_get(set, "resident")));
	assert_string_equal(json_string_value(json_object_get(set, "complete")), "weight");
	assert_string_equal(json_string_value(json_object_get(hut, "id")), "村卫生室");
	ask("checkin", "{'station':'desk','resident':'R-0002','purpose':'exam','way':1,"
		       "'source':'booking'}");
	assert_string_equal(said("purpose"), "exam");
	assert_string_equal(said("source"), "booking");
	ask("checkout", "{'station':'desk'}");
	assert_string_equal(said("ended"), "checkout");
	ask("checkout", "{'station':'desk'}");
	refused("nobody_checked_in");
	expect_text("SELECT group_concat(action||' '||object||' '||coalesce(detail,'-'),'; ') FROM "
		    "audit",
		"checkin desk R-0001; checkin desk R-0002; checkout desk -");
	expect_text("SELECT group_concat(DISTINCT author) FROM audit", "local:nurse");
}

static void test_corrections(void **state)
{
	(void)state;
	ask("checkin", "{'station':'desk','undo':true}");
	refused("nobody_checked_in");
	ask("checkin", "{'station':'desk','resident':'R-0001','purpose':'hut'}");
	struct uuid id = measure("desk");
	char text[80], digits[33];
	snprintf(text, sizeof(text), "{'reading':'%.10s','resident':'R-0002'}",
		hex(digits, id.bytes, sizeof(id.bytes)));
	ask("split", text);
	assert_string_equal(said("resident"), "R-0002");
	assert_string_equal(said("source"), "split");
	ask("split", text);
	refused("already_so");
	ask("checkin", "{'station':'desk','resident':'R-0001','instead':true}");
	assert_string_equal(said("resident"), "R-0001");
	assert_int_equal(json_integer_value(json_object_get(result(), "readings")), 1);
	ask("checkin", "{'station':'desk','resident':'R-0001','instead':true}");
	refused("already_so");
	ask("checkin", "{'station':'desk','undo':true}");
	assert_string_equal(said("resident"), "-");
	ask("checkin", "{'station':'desk','undo':true}");
	refused("already_so");
	expect_text("SELECT evidence FROM reading WHERE superseded=0", "checkin_undone");
	rig_script(&rig,
		"UPDATE checkin SET from_us=from_us-901000000, from_boot=from_boot-901000000");
	ask("checkin", "{'station':'desk','resident':'R-0001','instead':true}");
	refused("too_late");
	struct uuid alone = measure("村卫生室");
	snprintf(text, sizeof(text), "{'reading':'%.10s','resident':'R-0002'}",
		hex(digits, alone.bytes, sizeof(alone.bytes)));
	ask("split", text);
	refused("nobody_checked_in");
	ask("split", "{'reading':'0000','resident':'R-0002'}");
	refused("unknown_id");
	expect_text("SELECT group_concat(action) FROM audit",
		"checkin,split,checkin_instead,checkin_undo");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *cmd, *args, *code;
	} bad[] = {
		{"checkin", "{'resident':'R-0001'}", "unknown_station"},
		{"checkin", "{'station':'','resident':'R-0001'}", "unknown_station"},
		{"checkin", "{'station':'desk-2','resident':'R-0001'}", "unknown_station"},
		{"checkin", "{'station':'desk'}", "unknown_resident"},
		{"checkin", "{'station':'desk','resident':'R-9'}", "unknown_resident"},
		{"checkin", "{'station':'desk','resident':7}", "unknown_resident"},
		{"checkin", "{'station':'desk','resident':'R-0003'}", "not_active"},
		{"checkin", "{'station':'desk','resident':'R-0001','purpose':'visit'}",
			"bad_value"},
		{"checkin", "{'station':'desk','resident':'R-0001','source':'split'}", "bad_value"},
		{"checkin", "{'station':'desk','resident':'R-0001','way':'4'}", "bad_value"},
		{"checkin", "{'station':'desk','resident':'R-0001','way':0}", "bad_value"},
		{"checkin", "{'station':'desk','resident':'R-0001','instead':'yes'}",
			"bad_argument"},
		{"checkin", "{'station':'desk','resident':'R-0001','undo':true}", "bad_argument"},
		{"checkin", "{'station':'desk','undo':true,'instead':true}", "bad_argument"},
		{"checkin", "{'station':'desk','resident':'R-0001','card':'1'}", "bad_argument"},
		{"checkin", "{'station':'desk','card':'04A1'}", "unknown_resident"},
		{"checkin", "{'station':'desk','card':' '}", "bad_value"},
		{"checkout", "{'station':'desk-2'}", "unknown_station"},
		{"split", "{'reading':'zzzz','resident':'R-0001'}", "bad_id"},
		{"card", "{'resident':'R-9','card':'04A1'}", "unknown_resident"},
		{"card", "{'resident':'R-0003','card':'04A1'}", "not_active"},
		{"card", "{'resident':'R-0001'}", "bad_value"},
		{"card", "{'resident':'-','card':'04A1'}", "already_so"},
		{"book", "{'station':'x','day':'2026-11-21','residents':[]}", "unknown_station"},
		{"book", "{'station':'desk','day':'21.11.2026','residents':[]}", "bad_value"},
		{"book", "{'station':'desk','day':7,'residents':[]}", "bad_value"},
		{"book", "{'station':'desk','day':'2026-11-21'}", "bad_argument"},
		{"book", "{'station':'desk','residents':['R-0001']}", "bad_argument"},
		{"book",
			"{'station':'desk','residents':[{'resident':'R-0001'},{'resident':'R-9'}]}",
			"unknown_resident"},
		{"book",
			"{'station':'desk','residents':[{'resident':'R-0001'},{'resident':'R-0001'}]}",
			"bad_value"},
		{"book", "{'station':'desk','residents':[{'resident':'R-0001','at':'25:00'}]}",
			"bad_value"},
		{"book", "{'station':'desk','residents':[{'resident':'R-0001','at':'8:00'}]}",
			"bad_value"},
		{"book", "{'station':'desk','residents':[{'resident':'R-0001','purpose':'up'}]}",
			"bad_value"},
		{"book", "{'station':'desk','residents':[{'resident':'R-0001','purpose':' '}]}",
			"bad_value"},
		{"book", "{'station':'desk','residents':[{'resident':'R-0003'}]}", "not_active"},
	};
	rig_script(&rig, "UPDATE resident SET state='moved' WHERE id=3");
	ask("book", "{'station':'desk','residents':[{'resident':'R-0002','at':'08:30'}]}");
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		ask(bad[i].cmd, bad[i].args);
		refused(bad[i].code);
	}
	/* nothing of any of them is done: the list of today is as it was */
	expect_text(
		"SELECT (SELECT count(*) FROM checkin)||(SELECT count(*) FROM card)||(SELECT "
		"count(*) FROM audit)||(SELECT group_concat(resident||at||purpose) FROM booking)",
		"001208:30follow-up");
}

static void test_book(void **state)
{
	(void)state;
	char day[DAY_TEXT], text[200];
	day_text(day, day_of(clock_utc_us()));
	snprintf(text, sizeof(text),
		"{'station':'desk','day':'%s','residents':[{'resident':'R-0002','at':'09:00',"
		"'purpose':'exam'},{'resident':'R-0001','at':'08:30'}]}",
		day);
	ask("book", text);
	assert_int_equal(json_integer_value(json_object_get(result(), "residents")), 2);
	ask("stations", "{}");
	const json_t *booked =
		json_object_get(json_array_get(json_object_get(result(), "stations"), 0), "booked");
	assert_int_equal(json_array_size(booked), 2);
	const json_t *first = json_array_get(booked, 0);
	assert_string_equal(json_string_value(json_object_get(first, "resident")), "R-0001");
	assert_string_equal(json_string_value(json_object_get(first, "at")), "08:30");
	assert_true(json_is_false(json_object_get(first, "was_here")));
	/* what somebody is booked for is what the check-in is for */
	ask("checkin", "{'station':'desk','resident':'R-0002'}");
	assert_string_equal(said("purpose"), "exam");
	ask("checkout", "{'station':'desk'}");
	ask("stations", "{}");
	booked =
		json_object_get(json_array_get(json_object_get(result(), "stations"), 0), "booked");
	assert_true(json_is_true(json_object_get(json_array_get(booked, 1), "was_here")));
	/* the list of a day is replaced by the next */
	ask("book", "{'station':'desk','residents':[]}");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM booking"), 0);
	ask("book", "{'station':'desk','day':'2026-11-21','residents':[{'resident':'R-0001'}]}");
	ask("book", "{'station':'desk','day':'2026-11-22','residents':[{'resident':'R-0001'}]}");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM booking"), 2);
}

#define NUMBER "04A1B2C3D4E5F6"

static void test_card(void **state)
{
	(void)state;
	ask("card", "{'resident':'R-0001','card':'" NUMBER "'}");
	assert_string_equal(said("resident"), "R-0001");
	ask("card", "{'resident':'R-0001','card':' 04a1b2c3d4e5f6 '}");
	refused("already_so");
	ask("checkin", "{'station':'desk','card':'" NUMBER "'}");
	assert_string_equal(said("resident"), "R-0001");
	assert_string_equal(said("source"), "card");
	ask("card", "{'resident':'R-0002','card':'" NUMBER "'}");
	ask("checkin", "{'station':'desk','card':'" NUMBER "'}");
	assert_string_equal(said("resident"), "R-0002");
	ask("card", "{'resident':'-','card':'" NUMBER "'}");
	ask("checkin", "{'station':'desk','card':'" NUMBER "'}");
	refused("unknown_resident");
	/* the number is nowhere, in no spelling */
	char command[300], path[128];
	snprintf(path, sizeof(path), "%s/vitalgate.db", rig.dir);
	snprintf(command, sizeof(command), "cat %s %s-wal | grep -aci " NUMBER, path, path);
	FILE *f = popen(command, "r");
	int n = -1;
	assert_true(f && fscanf(f, "%d", &n) == 1);
	pclose(f);
	assert_int_equal(n, 0);
	/* keyed, and not alike to what was typed at an instrument */
	uint8_t one[32], other[32], key[32] = {1};
	assert_true(card_hash(rig.gateway.site_key, "a b", 3, one));
	assert_true(card_hash(rig.gateway.site_key, "\tA B\r\n", 6, other));
	assert_memory_equal(one, other, 32);
	assert_true(card_hash(key, "a b", 3, other));
	assert_memory_not_equal(one, other, 32);
	assert_false(card_hash(key, " \r\n", 3, other));
}

/* at an instrument */

static int present(const char *card, const char *token, void (*change)(struct unit *u))
{
	struct unit *u = rig_unit(&rig);
	struct happening *e = unit_add_event(u, "identity_presented");
	u->arrived_us = clock_utc_us();
	u->station = "desk";
	if (card)
		e->has_card = card_hash(rig.gateway.site_key, card, strlen(card), e->card);
	if (token)
		text_copy(e->token, sizeof(e->token), token, strlen(token));
	if (change)
		change(u);
	return rig_file(&rig, u);
}

#define OPEN \
	"SELECT coalesce(resident,'-')||purpose||source||author FROM checkin WHERE to_us IS NULL"

static void test_presented(void **state)
{
	(void)state;
	ask("card", "{'resident':'R-0001','card':'" NUMBER "'}");
	assert_int_equal(present(NUMBER, NULL, NULL), 0);
	expect_text(OPEN, "1follow-upcarddevice:cuff-1");
	expect_text("SELECT state||resident FROM visit", "open1");
	assert_int_equal(present(NULL, "R-0002", NULL), 0);
	expect_text(OPEN, "2follow-upbarcodedevice:cuff-1");
	expect_text("SELECT group_concat(coalesce(ended,'-')) FROM checkin", "next,-");
	/* again: he is still there; what a person said it is for stays */
	ask("checkin", "{'station':'desk','resident':'R-0002','purpose':'exam'}");
	assert_int_equal(present(NULL, "R-0002", NULL), 0);
	expect_text(OPEN, "2exambarcodedevice:cuff-1");
	/* somebody else stands there now */
	assert_int_equal(present("04FFFF", NULL, NULL), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM checkin WHERE to_us IS NULL"), 0);
	expect_text("SELECT type||detail FROM event ORDER BY id DESC", "unknown_carddesk");
	expect_text("SELECT count(*) FROM outbox WHERE kind=3", "1");
	assert_int_equal(present(NULL, "R-9", NULL), 0); /* nobody to check out */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE type='unknown_card'"), 2);
	expect_text("SELECT group_concat(action||coalesce(detail,'')) FROM audit WHERE author LIKE "
		    "'device:%'",
		"checkinR-0001,checkinR-0002,checkinR-0002,checkout");
	expect_text(
		"SELECT group_concat(DISTINCT detail) FROM event WHERE type='identity_presented'",
		"(null)");
}

static void of_test(struct unit *u)
{
	u->test = true;
}

static void of_stranger(struct unit *u)
{
	u->stranger = true;
}

static void of_nowhere(struct unit *u)
{
	u->station = "";
}

static void of_hut(struct unit *u)
{
	u->station = "村卫生室";
}

static void test_presented_to_nobody(void **state)
{
	(void)state;
	void (*const changes[])(struct unit *) = {of_test, of_stranger, of_nowhere};
	for (size_t i = 0; i < ELEMENTS(changes); i++)
		assert_int_equal(present(NULL, "R-0001", changes[i]), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM checkin"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE type='unknown_card'"), 0);
	/* who is not active is checked in by nothing; who was merged is who that was */
	rig_script(&rig, "UPDATE resident SET state='moved' WHERE id=1;"
			 "UPDATE resident SET state='merged', merged_into=2 WHERE id=3");
	assert_int_equal(present(NULL, "R-0001", NULL), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM checkin"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE type='unknown_card'"), 1);
	assert_int_equal(present(NULL, "R-0003", of_hut), 0);
	expect_text(OPEN, "2hutbarcodedevice:cuff-1");
}

/* Measured, then identified: both by instruments. */
static void test_presented_after(void **state)
{
	(void)state;
	struct uuid id = measure("村卫生室");
	assert_int_equal(present(NULL, "R-0001", of_hut), 0);
	char digits[33];
	(void)hex(digits, id.bytes, sizeof(id.bytes));
	expect_text("SELECT evidence||grade||resident FROM reading WHERE superseded=0",
		"identified_afterstation1");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, command_teardown)
	const struct CMUnitTest tests[] = {
		T(test_day_of_a_nurse),
		T(test_corrections),
		T(test_refused),
		T(test_book),
		T(test_card),
		T(test_presented),
		T(test_presented_to_nobody),
		T(test_presented_after),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("station_command", tests, NULL, NULL);
}
