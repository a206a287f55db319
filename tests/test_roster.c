/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of a roster, as a table brings them: what is taken, what is refused and how, and that nothing is half applied. */
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
		"0x0", "9f8-7e6", "R-10101010101010101", "R-101010581301123", "abc_12800000001",
		"1234567890"};
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
		T(test_visits_follow),
		T(test_files_under),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
