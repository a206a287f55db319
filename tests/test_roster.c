/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rosters of both kinds: what is taken, what is refused and how, and that nothing is half applied. */
#include "door_rig.h"

#include "roster.h"

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

/* tables */

static void test_every_column(void **state)
{
	(void)state;
	import_text(
		"owner,chain,token,birth_date,sex,programmes,populations,conditions,setting,doctor,"
		"team,signed_on,valid_from,valid_to\n"
		"gw-0002,D-0001;H-0001;D-0001,R-0001,60-64@2026-11-01,F,t2dm;hypertension;t2dm;,"
		"elderly;mental,copd;on_oxygen,home_bed,D-0001,T-0001,2025-11-20,2026-01-01,"
		"2026-12-31\n"
		"gw-0001,,R-0002,1963,,,,,,,,,,\n");
	assert_int_equal(int_in(done(), "residents"), 2);
	assert_int_equal(int_in(done(), "new"), 2);
	expect("SELECT birth_date||sex||programmes||populations||conditions||setting||doctor||team||"
	       "chain||owner||state FROM resident WHERE token='R-0001'",
		"60-64@2026-11-01Ft2dm;hypertensionelderly;mentalcopd;on_oxygenhome_bedD-0001T-0001"
		"D-0001;H-0001gw-0002active");
	expect("SELECT datetime(signed_on/1000000,'unixepoch')||datetime(valid_from/1000000,'unixepoch')"
	       "||datetime(valid_to/1000000,'unixepoch') FROM resident WHERE token='R-0001'",
		"2025-11-19 16:00:002025-12-31 16:00:002026-12-31 16:00:00");
	/* this gateway by its name is this one */
	expect("SELECT owner||'|'||programmes||'|'||coalesce(signed_on,'none')||coalesce(valid_from,"
	       "'none')||coalesce(valid_to,'none') FROM resident WHERE token='R-0002'",
		"||nonenonenone");
	/* a line is the whole record */
	import_text("token,programmes\nR-0001,copd\n");
	assert_int_equal(int_in(done(), "changed"), 1);
	expect("SELECT birth_date||doctor||chain||programmes FROM resident WHERE token='R-0001'",
		"copd");
	import_text("token,programmes\nR-0001,copd\n");
	assert_int_equal(int_in(done(), "changed"), 0);
}

static void test_example(void **state)
{
	(void)state;
	char text[8192];
	FILE *f = fopen("config/residents.example.csv", "re");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	import_text(text);
	assert_int_equal(int_in(done(), "residents"), 5);
	expect("SELECT group_concat(setting,' ') FROM resident",
		"home home home_bed care_home clinic");
}

static void contract(const char *line, const char *expected)
{
	char text[200];
	snprintf(text, sizeof(text), "token,signed_on,valid_from,valid_to\nR-0001,%s\n", line);
	import_text(text);
	done();
	rig_text(&rig, text, sizeof(text),
		"SELECT coalesce(date(valid_from/1000000+28800,'unixepoch'),'-')||' '||"
		"coalesce(date(valid_to/1000000+28800-1,'unixepoch'),'-') FROM resident");
	assert_string_equal(text, expected);
}

static void test_contract(void **state)
{
	(void)state;
	contract("2026-11-01,,", "2027-01-01 2027-12-31");
	contract("2026-01-01,,", "2027-01-01 2027-12-31");
	contract("2026-11-01,,2027-06-30", "2027-01-01 2027-06-30");
	contract("2026-11-01,2026-11-05,", "2026-11-05 -");
	contract(",2026-11-05,2026-11-05", "2026-11-05 2026-11-05");
	contract(",,", "- -");
	rig.config.contract_start = CONTRACT_AT_ONCE;
	contract("2026-11-01,,", "2026-11-01 2027-10-31");
	contract("2024-02-29,,", "2024-02-29 2025-02-28");
	contract("2023-03-01,,", "2023-03-01 2024-02-29");
}

/* One wrong field among good ones, in the second of three lines: named, and nothing is stored. */
static void test_wrong_fields(void **state)
{
	(void)state;
	static const struct {
		const char *column, *text;
	} wrong[] = {{"token", ""}, {"token", "R 3"}, {"token", "张三"}, {"token", "R-0003."},
		{"token", "R-00000000000000000000000000000003"}, {"token", "110101195803141234"},
		{"token", "11010119580314123X"}, {"token", "110101-19580314-1234"},
		{"token", "13800000001"}, {"token", "R-13800000001"},
		{"token", "ID110101195803141234"}, {"token", "P_110101580314123"},
		{"birth_date", "1958-02-30"}, {"birth_date", "19"}, {"birth_date", "1880"},
		{"birth_date", "14.03.1958"}, {"birth_date", "64-60@2026-11-01"},
		{"birth_date", "60-64"}, {"birth_date", "60-64@2026-11-31"},
		{"birth_date", "9998-01-01"}, {"sex", "male"}, {"sex", "m"}, {"programmes", "gout"},
		{"programmes", "t2dm,copd"}, {"programmes", "t2dm;;copd"},
		{"programmes", "t2dm; copd"}, {"programmes", ";"},
		{"populations", "diabetes;everybody"}, {"conditions", "gout"},
		{"setting", "hospital"}, {"setting", "home;clinic"}, {"doctor", "Dr. Zhang"},
		{"doctor", "13800000000"}, {"team", "T 1"}, {"chain", "D-1;D 2"},
		{"chain", "D-1;;D-2"}, {"chain", "A;B;C;D;E;F;G;H;I"}, {"signed_on", "tomorrow"},
		{"valid_from", "2026-13-01"}, {"valid_to", "2026-1-1"}, {"owner", "gw/1"}};
	char text[512], before[2048], after[2048];
	import_text("token\nR-0009\n");
	snapshot(before, sizeof(before));
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		bool token = streq(wrong[i].column, "token");
		snprintf(text, sizeof(text), "token,%s\nR-0001,\n%s,\"%s\"\nR-0002,\n",
			token ? "sex" : wrong[i].column, token ? wrong[i].text : "R-0003",
			token ? "" : wrong[i].text);
		import_text(text);
		const json_t *error = refused("bad_lines");
		const char *column = text_in(line_of(0), "column");
		if (json_array_size(json_object_get(error, "lines")) != 1 ||
			!streq(column, wrong[i].column) || int_in(line_of(0), "line") != 3)
			fail_msg("%s %s: %s", wrong[i].column, wrong[i].text, text_in(error, "en"));
		assert_true(has_chinese(text_in(line_of(0), "zh")));
		snapshot(after, sizeof(after));
		assert_string_equal(after, before);
	}
}

/* Hexadecimal pseudonyms have digits in a row by chance. */
static void test_good_tokens(void **state)
{
	(void)state;
	static const char *const good[] = {"R-0001", "a", "R-20261231000001", "3f13912345678b20",
		"0x0", "9f8-7e6", "R-10101010101010101", "abc_12800000001", "1234567890"};
	char text[100];
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		snprintf(text, sizeof(text), "token\n%s\n", good[i]);
		import_text(text);
		done();
	}
	assert_int_equal(ROWS("resident"), ELEMENTS(good));
}

static void test_contracts_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		",2026-02-01,2026-01-31", ",,2026-12-31", "2026-11-01,,2026-12-31"};
	char text[200];
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		snprintf(text, sizeof(text), "token,signed_on,valid_from,valid_to\nR-0001,%s\n",
			wrong[i]);
		import_text(text);
		refused("bad_lines");
		assert_string_equal(text_in(line_of(0), "column"), "valid_to");
	}
	assert_int_equal(ROWS("resident"), 0);
}

static void test_bad_tables(void **state)
{
	(void)state;
	static const struct {
		const char *csv, *code;
	} wrong[] = {{"", "bad_csv"}, {"\xd0\xd5\xc3\xfb,token\nR-1,\xd5\xc5\n", "bad_csv"},
		{"token,token\nR-1,R-2\n", "bad_csv"}, {"token,\nR-1,\n", "bad_csv"},
		{"programmes\ncopd\n", "no_token"}, {"token,name\nR-1,Zhang\n", "unknown_column"},
		{"token,姓名\nR-1,\n", "unknown_column"},
		{"token,id_number\nR-1,\n", "unknown_column"},
		{"token,settings\nR-1,home\n", "unknown_column"},
		{"Token\nR-1\n", "unknown_column"}, {"token\nR-1\nR-2,copd\n", "bad_lines"},
		{"token\nR-1\n\"R-2\n", "bad_lines"}, {"token\nR-1\nR-2\nR-1\n", "bad_lines"}};
	give_json("import", json_pack("{s:s}", "csv", "token\nR-0009\n"));
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		/* what is no UTF-8 cannot come as JSON; a table in memory can be anything */
		json_t *text = json_stringn_nocheck(wrong[i].csv, strlen(wrong[i].csv));
		give_json("import", json_pack("{s:o}", "csv", text));
		if (!streq(text_in(json_object_get(last, "error"), "code"), wrong[i].code))
			fail_msg("%s: %s", wrong[i].csv,
				text_in(json_object_get(last, "error"), "en"));
		expect(TOKENS, "R-0009:active");
	}
	assert_int_equal(int_in(line_of(0), "line"), 4);
	assert_non_null(strstr(text_in(line_of(0), "en"), "line 2"));
	give("import", "{}");
	refused("csv_missing");
	assert_int_equal(ROWS("audit"), 1);
}

/* Twenty are named, all are counted, and a line with two faults is one line. */
static void test_many_faults(void **state)
{
	(void)state;
	char text[4096];
	size_t n = (size_t)sprintf(text, "token,sex,programmes\nR-1,M,\nR-2,x,gout\n");
	for (int i = 0; i < 40; i++)
		n += (size_t)sprintf(text + n, "R-%d,x,\n", i + 3);
	import_text(text);
	const json_t *error = refused("bad_lines");
	assert_int_equal(json_array_size(json_object_get(error, "lines")), 20);
	assert_int_equal(int_in(error, "wrong"), 41);
	assert_non_null(strstr(text_in(error, "en"), "41 of 42 lines"));
	assert_non_null(strstr(text_in(error, "en"), "line 3: sex"));
	assert_int_equal(int_in(line_of(1), "line"), 3);
	assert_string_equal(text_in(line_of(1), "column"), "programmes");
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

/* What is proposed of a resident follows the roster: only of those that changed. */
static void test_visits_follow(void **state)
{
	(void)state;
	import_text("token,birth_date\nR-1,1958\nR-2,1958\n");
	rig_script(&rig,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(x'01010101010101010101010101010101',1,'f','open','here',"
		"'2026-11-18',1,'a',0,'1'),(x'02020202020202020202020202020202',2,'f','open','here',"
		"'2026-11-18',1,'a',0,'1')");
	import_text("token,birth_date\nR-1,1958-03-14\nR-2,1958\n");
	done();
	expect("SELECT group_concat(revision) FROM visit", "2,1");
}

static void test_files_under(void **state)
{
	(void)state;
	import_text("token\nR-1\nR-2\nR-3\nR-4\nR-5\nR-6\n");
	assert_int_equal(roster_files_under(rig.db, 1), 1);
	rig_script(&rig, "UPDATE resident SET state='merged',merged_into=id+1 WHERE id<3");
	assert_int_equal(roster_files_under(rig.db, 1), 3);
	assert_int_equal(roster_files_under(rig.db, 2), 3);
	static const char *const filed[] = {"deceased", "moved", "unlisted"};
	for (size_t i = 0; i < ELEMENTS(filed); i++) {
		db_run(rig.db, "UPDATE resident SET state=? WHERE id=3", "t", filed[i]);
		assert_int_equal(roster_files_under(rig.db, 1), 3);
	}
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE id=3");
	assert_int_equal(roster_files_under(rig.db, 1), 0);
	assert_int_equal(roster_files_under(rig.db, 3), 0);
	rig_script(&rig, "UPDATE resident SET state='erased' WHERE id=4");
	assert_int_equal(roster_files_under(rig.db, 4), 0);
	/* a damaged table does not hold us up */
	rig_script(&rig, "UPDATE resident SET state='merged',merged_into=11-id WHERE id>4");
	assert_int_equal(roster_files_under(rig.db, 5), 0);
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
		T(test_every_column),
		T(test_example),
		T(test_contract),
		T(test_wrong_fields),
		T(test_good_tokens),
		T(test_contracts_refused),
		T(test_bad_tables),
		T(test_many_faults),
		T(test_full),
		T(test_delta),
		T(test_bad_arguments),
		T(test_bad_members),
		T(test_pieces),
		T(test_pieces_mixed),
		T(test_pieces_repaired),
		T(test_owner),
		T(test_states_stay),
		T(test_visits_follow),
		T(test_files_under),
		T(test_large),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
