/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Absences and duties by command, and who would be told: what is kept, what is refused, what is shown. */
#include "door_rig.h"

#define YAML                                                        \
	RIG_SINK "alerting: {chain: S-0002, institution: H-0009}\n" \
		 "stations:\n - {id: desk-1, contact: S-0003}\n"

static int setup(void **state)
{
	(void)state;
	door_open(YAML);
	rig_residents(&rig);
	rig_script(&rig, "UPDATE resident SET chain='H-0001', team='T-1' WHERE id=1;"
			 "INSERT INTO team VALUES('T-1','D-0001','doctor','mon-fri 08:00-17:00'),"
			 "('T-1','N-0001','nurse','')");
	return 0;
}

#define ABSENCES                                                                                 \
	"SELECT coalesce(group_concat(member||' '||datetime(from_us/1000000,'unixepoch')||' '||" \
	"datetime(to_us/1000000,'unixepoch')||' '||deputy||' '||author,', '),'') FROM absence"
#define DUTIES                                                                           \
	"SELECT coalesce(group_concat(team||' '||member||' '||datetime(from_us/1000000," \
	"'unixepoch')||' '||datetime(to_us/1000000,'unixepoch')||' '||author,', '),'') FROM duty"

static void test_absence(void **state)
{
	(void)state;
	give("absence",
		"{'member':'D-0001','from':'2026-11-21','to':'2026-11-28T12:00','deputy':'D-0002'}");
	assert_string_equal(text_in(done(), "member"), "D-0001");
	assert_string_equal(text_in(done(), "deputy"), "D-0002");
	assert_string_equal(text_in(done(), "from"), "2026-11-20T16:00:00.000Z");
	assert_string_equal(text_in(done(), "to"), "2026-11-28T04:00:00.000Z");
	expect(ABSENCES,
		"D-0001 2026-11-20 16:00:00 2026-11-28 04:00:00 D-0002 local:nurse/N-0001");
	expect("SELECT author||' '||action||' '||object||' '||detail FROM audit",
		"local:nurse/N-0001 absence D-0002 D-0001 from 2026-11-21T00:00:00 to "
		"2026-11-28T12:00:00");
	/* the same beginning: it takes the place of the one before */
	door_platform = "platform";
	door_author = "platform:platform/D-0002";
	give("absence", "{'member':'D-0001','from':'2026-11-21T00:00:00','to':'2026-11-22'}");
	assert_null(json_object_get(done(), "deputy"));
	expect(ABSENCES,
		"D-0001 2026-11-20 16:00:00 2026-11-21 16:00:00  platform:platform/D-0002");
	/* taken back */
	give("absence", "{'member':'D-0001','from':'2026-11-21','end':true}");
	assert_string_equal(text_in(done(), "state"), "taken_back");
	expect(ABSENCES, "");
	expect("SELECT detail FROM audit ORDER BY id DESC",
		"D-0001 from 2026-11-21T00:00:00: taken back");
	give("absence", "{'member':'D-0001','from':'2026-11-21','end':true}");
	refused("unknown_id");
	/* whoever can be told can be absent */
	static const char *const others[] = {
		"S-0001", "S-0002", "S-0003", "H-0009", "H-0001", "N-0001"};
	for (size_t i = 0; i < ELEMENTS(others); i++) {
		give_json("absence", json_pack("{s:s,s:s,s:s}", "member", others[i], "from",
					     "2026-11-21", "to", "2026-11-22"));
		assert_string_equal(text_in(done(), "state"), "kept");
	}
	assert_int_equal(ROWS("absence"), 6);
}

static void test_refused(void **state)
{
	static const char *const spans[] = {
		"{'member':'D-0001','from':'2026-11-21','to':'2026-11-21'}",
		"{'member':'D-0001','from':'2026-11-22','to':'2026-11-21'}",
		"{'member':'D-0001','from':'2026-11-21'}", "{'member':'D-0001','to':'2026-11-21'}",
		"{'member':'D-0001','from':'','to':'2026-11-21'}",
		"{'member':'D-0001','from':'tomorrow','to':'2026-11-21'}",
		"{'member':'D-0001','from':5,'to':'2026-11-21'}",
		"{'member':'D-0001','from':'2026-11-21','to':'2026-11-31'}",
		"{'member':'D-0001','end':true}"};
	(void)state;
	for (size_t i = 0; i < ELEMENTS(spans); i++) {
		json_t *args = quoted(spans[i]);
		give_json("absence", json_incref(args));
		refused("bad_value");
		json_object_set_new(args, "team", json_string("T-1"));
		give_json("duty", args);
		refused("bad_value");
	}
	give("absence", "{'member':'D-9999','from':'2026-11-21','to':'2026-11-22'}");
	refused("unknown_member");
	give("absence", "{'from':'2026-11-21','to':'2026-11-22'}");
	refused("unknown_member");
	give("absence", "{'member':'R-0001','from':'2026-11-21','to':'2026-11-22'}");
	refused("unknown_member");
	/* a slip of the finger would tell nobody */
	give("absence",
		"{'member':'D-0001','from':'2026-11-21','to':'2026-11-22','deputy':'D-9999'}");
	refused("unknown_member");
	give("duty", "{'team':'T-1','member':'D-9999','from':'2026-11-21','to':'2026-11-22'}");
	refused("unknown_member");
	give("duty", "{'team':'T-9','member':'D-0001','from':'2026-11-21','to':'2026-11-22'}");
	refused("unknown_team");
	give("duty", "{'member':'D-0001','from':'2026-11-21','to':'2026-11-22'}");
	refused("unknown_team");
	assert_int_equal(ROWS("absence") + ROWS("duty") + ROWS("audit"), 0);
}

static void test_duty(void **state)
{
	(void)state;
	give("duty",
		"{'team':'T-1','member':'D-0002','from':'2026-11-20T17:00:00','to':'2026-11-21T08:00:00'}");
	assert_string_equal(text_in(done(), "team"), "T-1");
	expect(DUTIES, "T-1 D-0002 2026-11-20 09:00:00 2026-11-21 00:00:00 local:nurse/N-0001");
	expect("SELECT object||' '||detail FROM audit",
		"T-1 D-0002 from 2026-11-20T17:00:00 to 2026-11-21T08:00:00");
	give("duty",
		"{'team':'T-1','member':'D-0002','from':'2026-11-20T17:00:00','to':'2026-11-21T09:00:00'}");
	give("duty",
		"{'team':'T-1','member':'N-0001','from':'2026-11-20T17:00:00','to':'2026-11-21T09:00:00'}");
	assert_int_equal(ROWS("duty"), 2);
	give("duty", "{'team':'T-1','member':'N-0001','from':'2026-11-20T17:00:00','end':true}");
	done();
	expect(DUTIES, "T-1 D-0002 2026-11-20 09:00:00 2026-11-21 01:00:00 local:nurse/N-0001");
	give("duty", "{'team':'T-1','member':'N-0001','from':'2026-11-20T17:00:00','end':true}");
	refused("unknown_id");
}

/* "D-0001 doctor -> D-0002 duty; ..: D-0002 duty 0" */
static void shown(const char *args, const char *expected)
{
	char text[600] = "";
	const json_t *step;
	size_t i, n = 0;
	give("rota", args);
	json_array_foreach(json_object_get(done(), "steps"), i, step)
	{
		const json_t *to = json_object_get(step, "to");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s -> %s %s", i ? "; " : "",
			text_in(step, "token"), text_in(step, "role"), text_in(to, "token"),
			text_in(to, "role"));
	}
	const json_t *to = json_object_get(done(), "to");
	snprintf(text + n, sizeof(text) - n, ": %s %s %d", text_in(to, "token"),
		text_in(to, "role"), (int)int_in(to, "step"));
	assert_string_equal(text, expected);
}

static void test_rota(void **state)
{
	(void)state;
	give("duty",
		"{'team':'T-1','member':'D-0002','from':'2026-11-20T17:00:00','to':'2026-11-21T08:00:00'}");
	give("absence", "{'member':'H-0001','from':'2026-11-20','to':'2026-11-23'}");
	give("absence",
		"{'member':'D-0001','from':'2026-11-25','to':'2026-11-26','deputy':'D-0002'}");
	shown("{'resident':'R-0001','at':'2026-11-20T12:00:00'}",
		"D-0001 doctor -> D-0001 doctor; H-0001 chain -> (none) (none); H-0009 institution -> "
		"H-0009 institution: D-0001 doctor 0");
	shown("{'resident':'R-0001','at':'2026-11-20T18:00:00'}",
		"D-0001 doctor -> D-0002 duty; H-0001 chain -> (none) (none); H-0009 institution -> "
		"H-0009 institution: D-0002 duty 0");
	shown("{'resident':'R-0001','at':'2026-11-25T12:00:00'}",
		"D-0001 doctor -> D-0002 deputy; H-0001 chain -> H-0001 chain; H-0009 institution -> "
		"H-0009 institution: D-0002 deputy 0");
	/* out of contract, and of nobody: staff */
	shown("{'resident':'R-0001','at':'2027-11-25T12:00:00'}",
		"S-0001 staff -> S-0001 staff; S-0002 chain -> S-0002 chain; D-0001 doctor -> "
		"D-0001 doctor; H-0001 chain -> H-0001 chain; H-0009 institution -> "
		"H-0009 institution: S-0001 staff 0");
	shown("{'station':'desk-1','at':'2026-11-20T12:00:00'}",
		"S-0003 staff -> S-0003 staff; S-0002 chain -> S-0002 chain; H-0009 institution -> "
		"H-0009 institution: S-0003 staff 0");
	give("absence", "{'member':'S-0001','from':'2026-11-20','to':'2026-11-23'}");
	shown("{'at':'2026-11-20T12:00:00'}",
		"S-0001 staff -> (none) (none); S-0002 chain -> S-0002 chain; H-0009 institution -> "
		"H-0009 institution: S-0002 chain 1");
	/* what holds then and later, what is over is not shown */
	give("rota", "{'at':'2026-11-23T00:00:00'}");
	assert_int_equal(json_array_size(json_object_get(done(), "absences")), 1);
	assert_int_equal(json_array_size(json_object_get(done(), "duties")), 0);
	const json_t *a = json_array_get(json_object_get(done(), "absences"), 0);
	assert_string_equal(text_in(a, "member"), "D-0001");
	assert_string_equal(text_in(a, "deputy"), "D-0002");
	give("rota", "{'at':'2026-11-20T17:00:00'}");
	assert_int_equal(json_array_size(json_object_get(done(), "absences")), 3);
	a = json_array_get(json_object_get(done(), "duties"), 0);
	assert_string_equal(text_in(a, "team"), "T-1");
	assert_string_equal(text_in(a, "from"), "2026-11-20T09:00:00.000Z");
	/* now, when nothing else is said */
	rig_script(&rig, "DELETE FROM absence");
	give("rota", "{}");
	assert_string_equal(text_in(json_object_get(done(), "to"), "token"), "S-0001");
}

static void test_rota_refused(void **state)
{
	(void)state;
	give("rota", "{'resident':'R-9999'}");
	refused("unknown_resident");
	give("rota", "{'at':'noon'}");
	refused("bad_value");
	give("rota", "{'at':'1970-01-01'}");
	refused("clock_not_set");
	/* nobody at all */
	rig.config.site_contact[0] = rig.config.staff_chain[0] = rig.config.institution[0] = 0;
	give("rota", "{'at':'2026-11-20T12:00:00'}");
	assert_true(json_is_null(json_object_get(json_object_get(done(), "to"), "token")));
	assert_true(json_is_null(json_object_get(json_object_get(done(), "to"), "role")));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_absence),
		T(test_refused),
		T(test_duty),
		T(test_rota),
		T(test_rota_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rota_command", tests, NULL, NULL);
}
