/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A database of an older version becomes one of ours: whole or not at all, with a copy of what it was. The old schema
 * stands in tests/migrate/ as it was released.
 */
#include "gateway_rig.h"

#include "db.h"
#include "util.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct rig rig;

static char *read_file(const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char *text = calloc(1, 65536);
	assert_true(f && text);
	assert_in_range(fread(text, 1, 65535, f), 1, 65534);
	return text;
}

static void in_dir(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", rig.dir, name);
}

/* A database as version 1 left it. */
static void make_version_1(const char *more)
{
	static const char *const parts[] = {"vitalgate.db-wal", "vitalgate.db-shm", "vitalgate.db"};
	char sql[256], path[128];
	_cleanup_(freep) char *old = read_file("tests/migrate/schema-1.sql");
	db_close(TAKE(rig.db));
	for (size_t i = 0; i < ELEMENTS(parts); i++) {
		in_dir(path, sizeof(path), parts[i]);
		unlink(path);
	}
	snprintf(sql, sizeof(sql), "umask 077; sqlite3 %s >/dev/null 2>&1", path);
	FILE *f = popen(sql, "w");
	assert_non_null(f);
	fprintf(f,
		"PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;\n"
		"BEGIN;\n%s\nPRAGMA application_id=0x56474154; PRAGMA user_version=1; COMMIT;\n%s\n",
		old, more);
	assert_int_equal(pclose(f), 0);
}

static const char rows[] =
	"INSERT INTO meta VALUES('epoch','00112233aabbccdd');\n"
	"INSERT INTO device(id,name,driver,address) VALUES(1,'cuff-1','bt_blp','unix:/cuff');\n"
	"INSERT INTO reading(uuid,revision,status,kind,device,evidence,grade,in_contract,test,"
	"arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,content,raw,driver,tables_version,"
	"committed_boot_us) VALUES(x'01',1,'unassigned','bp',1,'not_bound','none',0,0,5,x'00',5,5,0,"
	"'arrival','{}',x'02',x'03','bt_blp/1','t',5);\n"
	"INSERT INTO alert(id,uuid,revision,reading,severity,state,recipient,role,in_contract,body,"
	"doubts,raised,rules_version) VALUES(7,x'0a',3,x'01','critical','active','S-0001','site',0,"
	"'{\"rules\":[]}','[\"unconfirmed\"]',5,'r');\n"
	"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) "
	"VALUES(0,0,1,7,x'0a',3,0,0);\n";

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	make_version_1(rows);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define expect_text(sql, expected)                         \
	do {                                               \
		char text_[512];                           \
		rig_text(&rig, text_, sizeof(text_), sql); \
		assert_string_equal(text_, expected);      \
	} while (0)

static void check_contents(void)
{
	assert_int_equal(rig_int(&rig, "PRAGMA user_version"), DB_SCHEMA);
	expect_text("SELECT hex(uuid)||status||evidence||coalesce(place,'-') FROM reading",
		"01unassignednot_bound-");
	expect_text("SELECT id||hex(uuid)||revision||hex(reading)||state||doubts||rules_version||"
		    "coalesce(place,'-')||coalesce(since,'-') FROM alert",
		"70A301active[\"unconfirmed\",\"unassigned\"]r--");
	expect_text("SELECT group_concat(object||hex(uuid)) FROM outbox", "70A");
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM reading INDEXED BY reading_unassigned WHERE "
			      "resident IS NULL AND superseded=0 AND evidence<>'place'"),
		1);
}

static void test_migrated(void **state)
{
	(void)state;
	struct stat st;
	char copy[128];
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	check_contents();
	in_dir(copy, sizeof(copy), "vitalgate.db.v1");
	assert_int_equal(stat(copy, &st), 0);
	db_close(TAKE(rig.db)); /* and once more: nothing is left to do */
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	check_contents();
	assert_int_equal(stat(copy, &st), -1);
}

/* Alerts of before, in all their states: each is one of its own, and who has to hear of it still has. */
static void test_alerts(void **state)
{
	(void)state;
	make_version_1(
		"INSERT INTO reading(uuid,revision,status,kind,device,evidence,grade,in_contract,test,"
		"arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,content,raw,driver,"
		"tables_version,committed_boot_us) VALUES(x'01',1,'final','bp',1,'user_slot','slot',1,0,"
		"50,x'00',5,40,0,'live','{}',x'02',x'03','bt_blp/1','t',5);\n"
		"INSERT INTO alert(id,uuid,revision,reading,resident,severity,state,recipient,role,"
		"in_contract,body,doubts,raised,ack_author,ack_outcome,acked,rules_version) VALUES"
		"(1,x'a1',1,x'01',1,'critical','active','D-0001','doctor',1,'{}','[\"unconfirmed\"]',5,"
		"NULL,NULL,NULL,'r'),"
		"(2,x'a2',2,x'02',1,'critical','active','S-0001','site',0,'{}','[]',6,'x','not_reached',"
		"7,'r'),"
		"(3,x'a3',2,x'03',1,'critical','acknowledged','D-0001','doctor',1,'{}','[]',6,'x',"
		"'reached',7,'r'),"
		"(4,x'a4',2,x'06',NULL,'critical','resolved','S-0001','site',0,'{}','[]',6,NULL,NULL,NULL,"
		"'r'),"
		"(5,x'a5',2,x'07',NULL,'warning','resolved','S-0001','site',0,'{}','[]',6,NULL,NULL,NULL,"
		"'r'),"
		"(6,x'a6',2,x'04',1,'critical','resolved','D-0001','doctor',1,'{}','[\"voided\"]',6,NULL,"
		"NULL,NULL,'r'),"
		"(7,x'a7',3,x'05',1,'critical','resolved','D-0001','doctor',1,'{}','[]',6,'x','reached',8,"
		"'r');\n");
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	expect_text("SELECT group_concat(id||state||level||phase||role||staff,' ') FROM alert",
		"1active3startdoctor0 2active3startstaff1 3inactive0updatedoctor0 4latched0endstaff1 "
		"5inactive0endstaff1 6inactive0enddoctor0 7inactive0enddoctor0");
	expect_text(
		"SELECT group_concat(hex(alert)) FROM (SELECT * FROM escalation ORDER BY alert)",
		"A1,A2,A4");
	expect_text(
		"SELECT group_concat(hex(alert)||hex(reading)||n||level||at,' ') FROM (SELECT * "
		"FROM alert_reading ORDER BY alert)",
		"A1011340 A202136 A303136 A406136 A507126 A604136 A705136");
	expect_text("SELECT group_concat(readings||coalesce(hex(shown),'-'),' ') FROM alert",
		"101 102 103 106 107 104 105");
	expect_text(
		"SELECT group_concat(hex(alert)||revision||at||phase||coalesce(ack_outcome,'-'),' ')"
		" FROM (SELECT * FROM alert_history ORDER BY n)",
		"A115start- A226startnot_reached A327updatereached A426end- A526end- A626end- "
		"A738endreached");
	expect_text("SELECT group_concat(labels,' ') FROM (SELECT * FROM alert_history ORDER BY n)",
		"[\"unconfirmed\"] [\"out_of_contract\"] [] [\"unassigned\"] [\"unassigned\"] [\"voided\"] []");
}

/* What was there before, whole, for whoever goes back to the program of before. */
static void test_copy(void **state)
{
	(void)state;
	char path[128], copy[128];
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	db_close(TAKE(rig.db));
	in_dir(path, sizeof(path), "vitalgate.db");
	in_dir(copy, sizeof(copy), "vitalgate.db.v1");
	assert_int_equal(rename(copy, path), 0);
	char command[256], line[64] = "";
	snprintf(command, sizeof(command),
		"sqlite3 %s 'PRAGMA user_version; PRAGMA application_id; PRAGMA auto_vacuum; SELECT "
		"count(*) FROM alert' | tr '\\n' ' '",
		path);
	FILE *f = popen(command, "r");
	assert_true(f && fgets(line, sizeof(line), f));
	assert_int_equal(pclose(f), 0);
	assert_string_equal(line, "1 1447510356 2 1 ");
	assert_int_equal(db_open(rig.dir, &rig.db), 0); /* and forward again */
	check_contents();
}

/* Tables, columns and indexes are those of a new database, so all statements mean the same. */
static void test_same_shape(void **state)
{
	(void)state;
	static const char shape[] =
		"SELECT group_concat(line,char(10)) FROM (SELECT m.name||'.'||c.name||' '||c.type||"
		"c.\"notnull\"||c.pk||coalesce(c.dflt_value,'') AS line FROM sqlite_schema m, "
		"pragma_table_info(m.name) c WHERE m.type='table' AND m.name NOT LIKE 'sqlite%' "
		"UNION ALL SELECT name||' '||replace(replace(replace(coalesce(sql,''),char(10),''),"
		"char(9),''),' ','') FROM sqlite_schema WHERE type='index' AND sql IS NOT NULL UNION "
		"ALL SELECT m.name||' '||i.\"unique\" FROM sqlite_schema m, pragma_index_list(m.name) i "
		"WHERE i.origin<>'c' ORDER BY 1)";
	static char migrated[16384], fresh[16384];
	struct db *db = NULL;
	char other[] = "/tmp/vitalgate-fresh-XXXXXX";
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	rig_text(&rig, migrated, sizeof(migrated), shape);
	assert_non_null(mkdtemp(other));
	assert_int_equal(db_open(other, &db), 0);
	struct db *mine = rig.db;
	rig.db = db;
	rig_text(&rig, fresh, sizeof(fresh), shape);
	rig.db = mine;
	db_close(db);
	nftw(other, rig_remove, 4, FTW_DEPTH | FTW_PHYS);
	assert_true(strlen(fresh) > 2000);
	assert_string_equal(migrated, fresh);
}

/* An old program's database that a newer one touched, another program's, and a damaged one are not migrated. */
static void test_refused(void **state)
{
	static const struct {
		const char *sql;
		int expected;
	} cases[] = {
		{"PRAGMA user_version=999;", -ENOTSUP}, {"PRAGMA application_id=1;", -ENOTSUP}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		if (i)
			setup(state);
		make_version_1(cases[i].sql);
		char copy[128];
		assert_int_equal(db_open(rig.dir, &rig.db), cases[i].expected);
		in_dir(copy, sizeof(copy), "vitalgate.db.v1");
		assert_int_equal(access(copy, F_OK), -1);
		if (i + 1 < ELEMENTS(cases))
			teardown(state);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	char path[128];
	in_dir(path, sizeof(path), "vitalgate.db");
	_cleanup_(closep) int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	static const uint8_t noise[4096] = {[0 ... 4095] = 0xa5};
	assert_int_equal(pwrite(fd, noise, sizeof(noise), 3 * 4096), sizeof(noise));
	assert_int_equal(db_open(rig.dir, &rig.db), -EUCLEAN);
}

/* Not even the copy can be written (RLIMIT_FSIZE, for a child): the old database stays as it was, or is ours whole. */
static void test_no_room(void **state)
{
	(void)state;
	static const rlim_t sizes[] = {0, 4096, 20 * 4096, 60 * 4096};
	for (size_t i = 0; i < ELEMENTS(sizes); i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct rlimit limit = {sizes[i], sizes[i]};
			signal(SIGXFSZ, SIG_IGN);
			setrlimit(RLIMIT_FSIZE, &limit);
			struct db *db = NULL;
			_exit(db_open(rig.dir, &db) == 0 ? 0 : 1);
		}
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		print_message("# %lu bytes: %s\n", (unsigned long)sizes[i],
			WEXITSTATUS(status) ? "refused" : "opened");
	}
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	check_contents();
}

/* Killed in the middle of it, again and again: the next start finds one or the other. */
static void test_killed(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		make_version_1(rows);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct db *db = NULL;
			_exit(db_open(rig.dir, &db) == 0 ? 0 : 1);
		}
		usleep(round * 500);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(db_open(rig.dir, &rig.db), 0);
		check_contents();
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_migrated),
		T(test_alerts),
		T(test_copy),
		T(test_same_shape),
		T(test_refused),
		T(test_damaged),
		T(test_no_room),
		T(test_killed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
