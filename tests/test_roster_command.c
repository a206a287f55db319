/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rosters that a platform sends, whole and in pieces: whose the roster is then, and that nothing is half applied. */
#include "door_rig.h"

#define TOKENS \
	"SELECT group_concat(token||':'||state,' ') FROM (SELECT * FROM resident ORDER BY token)"

static void import_text(const char *csv)
{
	give_json("import", json_pack("{s:s}", "csv", csv));
}

/* Everything that a roster may change, as one text. */
static void snapshot(char *out, size_t size)
{
	rig_text(&rig, out, size,
		"SELECT (SELECT count(*)||coalesce(group_concat(token||state||coalesce(birth_date,'-')||"
		"programmes||populations||conditions||coalesce(setting,'-')||coalesce(doctor,'-')||"
		"coalesce(team,'-')||chain||coalesce(signed_on,'-')||coalesce(valid_from,'-')||"
		"coalesce(valid_to,'-')||owner||changed),'') FROM resident)||(SELECT count(*) FROM "
		"audit)||(SELECT count(*) FROM event)||coalesce((SELECT group_concat(key||value) FROM "
		"meta WHERE key LIKE 'roster%'),'-')");
}

static const json_t *line_of(size_t i)
{
	return json_array_get(json_object_get(json_object_get(last, "error"), "lines"), i);
}

/* what the platform sends */

static void roster(const char *args)
{
	door_platform = "platform";
	give("roster", args);
	door_platform = NULL;
}

static void full_7(void)
{
	roster("{'mode':'full','version':'7','residents':[{'token':'R-0001','birth_date':'1958-03-14',"
	       "'programmes':'hypertension'},{'token':'R-0002','chain':['D-0001','H-0001'],'sex':null}]}");
	assert_string_equal(text_in(done(), "state"), "applied");
}

static void test_full(void **state)
{
	(void)state;
	import_text("token,birth_date\nR-0001,1950\nR-0003,\nR-0004,\n");
	full_7();
	assert_int_equal(int_in(done(), "residents"), 2);
	assert_int_equal(int_in(done(), "new"), 1);
	assert_int_equal(int_in(done(), "changed"), 1);
	assert_int_equal(int_in(done(), "unlisted"), 2);
	expect(TOKENS, "R-0001:active R-0002:active R-0003:unlisted R-0004:unlisted");
	expect("SELECT birth_date FROM resident WHERE token='R-0001'", "1958-03-14");
	expect("SELECT chain FROM resident WHERE token='R-0002'", "D-0001;H-0001");
	expect("SELECT group_concat(key||'='||value,' ') FROM meta WHERE key LIKE 'roster%'",
		"roster_owner=platform roster_version=7");
	expect("SELECT action||' '||object FROM audit ORDER BY id DESC LIMIT 1", "roster full 7");
	/* who comes back is active again */
	roster("{'mode':'full','version':8,'residents':[{'token':'R-0003'},{'token':'R-0001'}]}");
	assert_string_equal(text_in(done(), "version"), "8");
	expect(TOKENS, "R-0001:active R-0002:unlisted R-0003:active R-0004:unlisted");
}

static void test_delta(void **state)
{
	(void)state;
	roster("{'mode':'delta','version':'8','base':'7','residents':[{'token':'R-0001'}]}");
	const json_t *error = refused("wrong_base");
	assert_true(json_is_null(json_object_get(error, "have")));
	full_7();
	roster("{'mode':'delta','version':'9','base':'8','residents':[{'token':'R-0003'}]}");
	error = refused("wrong_base");
	assert_string_equal(text_in(error, "have"), "7");
	assert_string_equal(text_in(error, "want"), "full");
	assert_non_null(strstr(text_in(error, "en"), "version 7 is here"));
	expect(TOKENS, "R-0001:active R-0002:active");
	static const char delta[] =
		"{'mode':'delta','version':'8','base':'7','residents':[{'token':'R-0003'},"
		"{'token':'R-0001','programmes':['copd','t2dm']}],'removed':['R-0002']}";
	roster(delta);
	assert_int_equal(int_in(done(), "unlisted"), 1);
	expect(TOKENS, "R-0001:active R-0002:unlisted R-0003:active");
	expect("SELECT programmes FROM resident WHERE token='R-0001'", "copd;t2dm");
	/* its reply was lost: it comes again under another id, and is not asked for its base */
	int64_t audits = ROWS("audit");
	roster(delta);
	assert_string_equal(text_in(done(), "state"), "applied");
	assert_int_equal(ROWS("audit"), audits);
	/* a removal of who was removed before is no fault; of who never was here, it is */
	roster("{'mode':'delta','version':'9','base':'8','removed':['R-0002']}");
	assert_int_equal(int_in(done(), "unlisted"), 0);
	roster("{'mode':'delta','version':'10','base':'9','residents':[{'token':'R-0005'}],"
	       "'removed':['R-0003','R-0099']}");
	refused("bad_lines");
	assert_string_equal(text_in(line_of(0), "column"), "removed");
	assert_int_equal(int_in(line_of(0), "line"), 2);
	expect(TOKENS, "R-0001:active R-0002:unlisted R-0003:active");
	expect("SELECT value FROM meta WHERE key='roster_version'", "9");
	/* once to be there, once to be gone */
	roster("{'mode':'delta','version':'10','base':'9','residents':[{'token':'R-0003'}],"
	       "'removed':['R-0003']}");
	refused("bad_lines");
	expect(TOKENS, "R-0001:active R-0002:unlisted R-0003:active");
}

static void test_bad_arguments(void **state)
{
	(void)state;
	static const char *const wrong[] = {"{}", "{'mode':'full','version':'8'}",
		"{'mode':'full','version':'8','residents':[]}",
		"{'mode':'part','version':'8','residents':[]}",
		"{'mode':'full','residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'','residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':7.5,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'8','base':'7','residents':[{'token':'R-1'}]}",
		"{'mode':'delta','version':'8','residents':[{'token':'R-1'}]}",
		"{'mode':'delta','version':'8','base':'8','residents':[{'token':'R-1'}]}",
		"{'mode':'delta','version':'8','base':null,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'8','residents':[{'token':'R-1'}],'removed':[]}",
		"{'mode':'full','version':'8','residents':{'token':'R-1'}}",
		"{'mode':'delta','version':'8','base':'7','removed':'R-1'}",
		"{'mode':'delta','version':'8','base':'7','remove':['R-0001']}",
		"{'mode':'full','version':'8','n':0,'of':1,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'8','n':2,'of':1,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'8','n':2,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'8','n':'1','of':2,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'8','n':1,'of':1001,'residents':[{'token':'R-1'}]}",
		"{'mode':'full','version':'01234567890123456789012345678901234567890123456789012345678901234',"
		"'residents':[{'token':'R-1'}]}"};
	char before[2048], after[2048];
	full_7();
	snapshot(before, sizeof(before));
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		roster(wrong[i]);
		refused("bad_argument");
		snapshot(after, sizeof(after));
		assert_string_equal(after, before);
		assert_int_equal(ROWS("roster_piece"), 0);
	}
}

static void test_bad_members(void **state)
{
	(void)state;
	static const struct {
		const char *resident, *column;
	} wrong[] = {{"'R-0003'", ""}, {"null", ""}, {"{}", "token"}, {"{'token':7}", "token"},
		{"{'token':'R-3','name':'Zhang'}", "name"},
		{"{'token':'R-3','phone':null}", "phone"},
		{"{'token':'R-3','programmes':{}}", "programmes"},
		{"{'token':'R-3','programmes':['copd',7]}", "programmes"},
		{"{'token':'R-3','programmes':['copd','gout']}", "programmes"},
		{"{'token':'R-3','birth_date':1958}", "birth_date"},
		{"{'token':'R-3','setting':['home','clinic']}", "setting"},
		{"{'token':'R-0001'}", "token"}};
	char text[300], before[2048], after[2048];
	full_7();
	snapshot(before, sizeof(before));
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		snprintf(text, sizeof(text),
			"{'mode':'delta','version':'8','base':'7','residents':[{'token':'R-0001'},%s]}",
			wrong[i].resident);
		roster(text);
		refused("bad_lines");
		assert_int_equal(int_in(line_of(0), "line"), 2);
		assert_string_equal(text_in(line_of(0), "column"), wrong[i].column);
		snapshot(after, sizeof(after));
		assert_string_equal(after, before);
	}
}

static void piece(const char *version, int n, int of, const char *residents)
{
	char text[600];
	snprintf(text, sizeof(text),
		"{'mode':'full','version':'%s','n':%d,'of':%d,'residents':[%s]}", version, n, of,
		residents);
	roster(text);
}

static void waits(const char *missing)
{
	assert_string_equal(text_in(done(), "state"), "waits");
	char *text = json_dumps(json_object_get(done(), "missing"), JSON_COMPACT);
	assert_string_equal(text, missing);
	free(text);
}

static void test_pieces(void **state)
{
	(void)state;
	import_text("token\nR-0009\n");
	/* out of order, doubled, and nothing is applied until the last is here */
	piece("7", 3, 3, "{'token':'R-0005'}");
	waits("[1,2]");
	piece("7", 3, 3, "{'token':'R-0005'}");
	waits("[1,2]");
	piece("7", 1, 3, "{'token':'R-0001'},{'token':'R-0002'}");
	waits("[2]");
	expect(TOKENS, "R-0009:active");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM meta WHERE key LIKE 'roster%'"), 0);
	piece("7", 2, 3, "{'token':'R-0003'}");
	assert_string_equal(text_in(done(), "state"), "applied");
	assert_int_equal(int_in(done(), "residents"), 4);
	expect(TOKENS, "R-0001:active R-0002:active R-0003:active R-0005:active R-0009:unlisted");
	assert_int_equal(ROWS("roster_piece"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM audit WHERE action='roster'"), 1);
}

/* Pieces of another roster, or of the same one cut in another way, are never put together with these. */
static void test_pieces_mixed(void **state)
{
	(void)state;
	piece("7", 1, 2, "{'token':'R-0001'}");
	piece("8", 2, 2, "{'token':'R-0002'}");
	waits("[1]");
	piece("7", 2, 2, "{'token':'R-0003'}");
	waits("[1]");
	piece("7", 1, 3, "{'token':'R-0001'}");
	waits("[2,3]");
	assert_int_equal(ROWS("resident"), 0);
	full_7(); /* one that is whole ends all waiting */
	assert_int_equal(ROWS("roster_piece"), 0);
	/* a delta in pieces is of its base only */
	roster("{'mode':'delta','version':'8','base':'7','n':1,'of':2,'removed':['R-0001']}");
	waits("[2]");
	roster("{'mode':'delta','version':'8','base':'6','n':2,'of':2,'removed':['R-0002']}");
	refused("wrong_base");
	piece("8", 2, 2, "{'token':'R-0005'}"); /* now it is a full one */
	waits("[1]");
	expect(TOKENS, "R-0001:active R-0002:active");
}

/* A wrong line is told when its piece comes; what only the whole shows, with the last piece. Nothing is applied before. */
static void test_pieces_repaired(void **state)
{
	(void)state;
	piece("7", 2, 3, "{'token':'R-0001'},{'token':'R-0002','sex':'?'}");
	refused("bad_lines");
	assert_int_equal(int_in(line_of(0), "piece"), 2);
	assert_int_equal(int_in(line_of(0), "line"), 2);
	assert_int_equal(ROWS("roster_piece"), 0);
	piece("7", 1, 3, "{'token':'R-0001'},{'token':'R-0002','sex':'F'}");
	waits("[2,3]");
	piece("7", 2, 3, "{'token':'R-0004'}");
	piece("7", 3, 3, "{'token':'R-0003'},{'token':'R-0001'}"); /* stands in two pieces */
	refused("bad_lines");
	assert_int_equal(int_in(line_of(0), "piece"), 3);
	assert_int_equal(int_in(line_of(0), "line"), 2);
	assert_int_equal(ROWS("resident"), 0);
	piece("7", 3, 3, "{'token':'R-0003'}");
	assert_string_equal(text_in(done(), "state"), "applied");
	expect(TOKENS, "R-0001:active R-0002:active R-0003:active R-0004:active");
	/* who is added by one piece is removed by another: whoever wrote this meant something else */
	roster("{'mode':'delta','version':'8','base':'7','n':1,'of':2,'removed':['R-0009']}");
	waits("[2]");
	roster("{'mode':'delta','version':'8','base':'7','n':2,'of':2,'residents':[{'token':'R-0009'}]}");
	refused("bad_lines");
	assert_int_equal(int_in(line_of(0), "piece"), 1);
	assert_string_equal(text_in(line_of(0), "column"), "removed");
	assert_int_equal(ROWS("resident"), 4);
}

static void test_owner(void **state)
{
	(void)state;
	give("roster", "{'mode':'full','version':'7','residents':[{'token':'R-0001'}]}");
	refused("platform_only");
	give("roster_release", "{}");
	refused("already_so");
	/* a refused roster owns nothing */
	roster("{'mode':'full','version':'7','residents':[{'token':'R 1'}]}");
	import_text("token\nR-0004\n");
	done();
	full_7();
	import_text("token\nR-0003\n");
	const json_t *error = refused("roster_owned");
	assert_non_null(strstr(text_in(error, "en"), "roster-release"));
	assert_non_null(strstr(text_in(error, "en"), "version 7"));
	door_platform = "county";
	give("roster", "{'mode':'full','version':'1','residents':[{'token':'R-0008'}]}");
	refused("roster_owned");
	give("roster_release", "{}");
	refused("local_only");
	door_platform = NULL;
	expect(TOKENS, "R-0001:active R-0002:active R-0004:unlisted");
	piece("8", 1, 2, "{'token':'R-0001'}");
	give("roster_release", "{}");
	assert_string_equal(text_in(done(), "owner"), "platform");
	assert_int_equal(ROWS("roster_piece"), 0);
	import_text("token\nR-0003\n");
	done();
	roster("{'mode':'delta','version':'8','base':'7','residents':[{'token':'R-0005'}]}");
	refused("wrong_base");
}

/* What a command said of a resident, a roster does not unsay; what was erased does not come back. */
static void test_states_stay(void **state)
{
	(void)state;
	import_text("token,doctor\nR-1,D-1\nR-2,D-1\nR-3,D-1\nR-4,D-1\nR-5,D-1\n");
	rig_script(&rig, "UPDATE resident SET state='deceased' WHERE token='R-1'");
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE token='R-2'");
	rig_script(&rig, "UPDATE resident SET state='merged',merged_into=5 WHERE token='R-3'");
	rig_script(&rig, "UPDATE resident SET state='erased',doctor=NULL WHERE token='R-4'");
	roster("{'mode':'full','version':'7','residents':[{'token':'R-1','doctor':'D-2'},{'token':'R-2'},"
	       "{'token':'R-3'},{'token':'R-4','doctor':'D-2'},{'token':'R-5'}]}");
	assert_int_equal(int_in(done(), "not_active"), 4);
	const json_t *list = json_object_get(done(), "not_active_ones");
	assert_string_equal(text_in(json_array_get(list, 3), "resident"), "R-4");
	assert_string_equal(text_in(json_array_get(list, 3), "state"), "erased");
	expect(TOKENS, "R-1:deceased R-2:withdrawn R-3:merged R-4:erased R-5:active");
	expect("SELECT group_concat(coalesce(doctor,'-')) FROM resident", "D-2,,,-,");
	/* and being left out makes them nothing else */
	roster("{'mode':'full','version':'8','residents':[{'token':'R-5'}]}");
	assert_int_equal(int_in(done(), "unlisted"), 0);
	roster("{'mode':'delta','version':'9','base':'8','removed':['R-1','R-5']}");
	assert_int_equal(int_in(done(), "unlisted"), 1);
	expect(TOKENS, "R-1:deceased R-2:withdrawn R-3:merged R-4:erased R-5:unlisted");
}

/* Store time of large ones: within a second for a thousand, by far. */
static void test_large(void **state)
{
	(void)state;
	json_t *list;
	char token[20], text[300];
	int64_t began = clock_boot_us();
	for (int n = 1; n <= 30; n++) {
		list = json_array();
		for (int i = 0; i < 1000; i++) {
			snprintf(token, sizeof(token), "R-%05d", (n - 1) * 1000 + i);
			json_array_append_new(
				list, json_pack("{s:s,s:s,s:s,s:s}", "token", token, "birth_date",
					      "1958-03-14", "programmes", "hypertension;t2dm",
					      "doctor", "D-0001"));
		}
		door_platform = "platform";
		give_json("roster", json_pack("{s:s,s:s,s:i,s:i,s:o}", "mode", "full", "version",
					    "1", "n", n, "of", 30, "residents", list));
		done();
	}
	int64_t full = clock_boot_us() - began;
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM resident WHERE state='active'"), 30000);
	began = clock_boot_us();
	snprintf(text, sizeof(text),
		"{'mode':'full','version':'2','residents':[{'token':'R-00001'}]}");
	roster(text);
	assert_int_equal(int_in(done(), "unlisted"), 29999);
	print_message("# 30000 residents: %d ms; 29999 unlisted: %d ms\n", (int)(full / 1000),
		(int)((clock_boot_us() - began) / 1000));
	assert_true(full < 30 * CLOCK_SECOND_US);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, door_setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_full),
		T(test_delta),
		T(test_bad_arguments),
		T(test_bad_members),
		T(test_pieces),
		T(test_pieces_mixed),
		T(test_pieces_repaired),
		T(test_owner),
		T(test_states_stay),
		T(test_large),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
