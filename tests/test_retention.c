/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What leaves after its time, and what never does. */
#include "study_rig.h"

#include "retention.h"
#include "span.h"

#define DAY_US (INT64_C(86400) * CLOCK_SECOND_US)
#define COUNT(table) rig_int(&rig, "SELECT count(*) FROM " table)

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	rig_bind(&rig, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* By a clock of which a time server says that it is right. */
static int run_at(int64_t utc_us, unsigned days)
{
	struct instant now = {utc_us, clock_boot_us()};
	assert_true(span_note(rig.db, &now, true, NULL) >= 0);
	return retention_run(rig.db, &now, days);
}

/* Days after the readings came; 30 days are kept. */
static int after(int days)
{
	return run_at(RIG_NOW + days * DAY_US, 30);
}

static void receipts(void)
{
	rig_script(&rig, "DELETE FROM outbox");
}

static void test_young_and_old(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	rig_bp(&rig, (struct rig_bp){121, 80, 60, .identity = "b"});
	rig_script(&rig, "UPDATE evidence SET taken=taken-1 WHERE reading=1");
	receipts();
	assert_int_equal(after(29), 0);
	assert_int_equal(COUNT("reading"), 2);
	assert_int_equal(after(31), 1);
	/* the latest of each kind stays: a follow-up form shows it */
	assert_int_equal(COUNT("reading WHERE id=2"), 1);
	assert_int_equal(COUNT("reading"), 1);
	assert_int_equal(COUNT("evidence WHERE reading=1"), 0);
	assert_int_equal(COUNT("evidence WHERE reading=2"), 3);
}

/* A newer one of doubtful time does not send away the last one that is sure. */
static void test_trusted_stays(void **state)
{
	(void)state;
	static const char *const names[] = {"a", "b", "c", "d"};
	for (int i = 0; i < 4; i++)
		rig_bp(&rig, (struct rig_bp){120 + i, 80, 60, .identity = names[i]});
	rig_script(&rig, "UPDATE evidence SET taken=taken+reading,"
			 "trust=CASE WHEN reading<=2 THEN 'live' ELSE 'device' END");
	receipts();
	assert_int_equal(after(31), 2);
	assert_int_equal(COUNT("reading WHERE id IN (2,4)"), 2);
}

static void test_not_delivered_stays(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	rig_bp(&rig, (struct rig_bp){121, 80, 60, .identity = "b"});
	rig_script(&rig, "DELETE FROM outbox WHERE object=1");
	rig_script(&rig, "UPDATE outbox SET state=3"); /* refused: a person's work */
	assert_int_equal(after(400), 1);
	assert_int_equal(COUNT("reading WHERE id=2"), 1);
	receipts();
	assert_int_equal(after(400), 1);
	assert_int_equal(COUNT("reading"), 0);
}

static void test_open_alert_stays(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){190, 115, 60, .identity = "a"});
	receipts();
	assert_int_equal(COUNT("alert"), 1);
	assert_int_equal(after(400), 0);
	assert_int_equal(COUNT("alert") + COUNT("reading"), 2);
	rig_script(&rig, "UPDATE alert SET state='latched'");
	assert_int_equal(after(400), 0);
	rig_script(&rig, "UPDATE alert SET state='inactive'");
	assert_int_equal(after(400), 1);
	assert_int_equal(COUNT("alert") + COUNT("reading") + COUNT("alert_reading") +
				 COUNT("alert_history") + COUNT("escalation"),
		0);
}

/* It did not come fifty years ago: it is as old as what came behind it. */
static void test_clock_that_was_not_set(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	receipts();
	rig_script(&rig, "UPDATE reading SET arrived=60000000");
	assert_int_equal(after(400), 0); /* nothing says when */
	rig_bp(&rig, (struct rig_bp){121, 80, 60, .identity = "b"});
	receipts();
	assert_int_equal(after(29), 0);
	assert_int_equal(after(400), 2);
}

/* Staff are still to be told of it; a silence has no reading, and leaves when it is over. */
static void test_what_waits_stays(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	receipts();
	rig_script(&rig,
		"INSERT INTO pending_repeat SELECT uuid,'bp-high',1,'bp','','critical','{}','[]',1,x'00',1,1 "
		"FROM reading");
	assert_int_equal(after(400), 0);
	rig_script(&rig, "DELETE FROM pending_repeat");
	rig_script(&rig,
		"INSERT INTO alert(uuid,revision,severity,state,recipient,role,in_contract,body,"
		"doubts,raised,rules_version,place) VALUES(x'01',1,'warning','active','S-0001',"
		"'staff',0,'{}','[]',1795000000000000,'r','fridge')");
	assert_int_equal(after(400), 1);
	assert_int_equal(COUNT("alert"), 1);
	/* so long after it was over, not after it began */
	rig_script(
		&rig, "UPDATE alert SET state='inactive', ended=1795000000000000+86400000000*40");
	after(69);
	assert_int_equal(COUNT("alert"), 1);
	after(71);
	assert_int_equal(COUNT("alert"), 0);
	/* raised before the clock was set: as old as what came next */
	rig_script(&rig,
		"INSERT INTO alert(uuid,revision,severity,state,recipient,role,in_contract,body,"
		"doubts,raised,rules_version) VALUES(x'01',1,'warning','inactive','S-0001',"
		"'staff',0,'{}','[]',5,'r')");
	after(400);
	assert_int_equal(COUNT("alert"), 1);
	rig_script(&rig,
		"INSERT INTO alert(uuid,revision,severity,state,recipient,role,in_contract,"
		"body,doubts,raised,rules_version) SELECT x'02',1,severity,'active',"
		"'S-0001','staff',0,'{}','[]',1795000000000000,'r' FROM alert");
	after(31);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_portions(void **state)
{
	(void)state;
	char identity[16];
	rig_script(&rig, "DELETE FROM binding");
	for (int i = 0; i < RETENTION_ROWS + 20; i++) {
		snprintf(identity, sizeof(identity), "%d", i);
		rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = identity});
	}
	receipts();
	assert_int_equal(after(31), RETENTION_ROWS);
	assert_int_equal(rig_int(&rig, "SELECT min(id) FROM reading"), RETENTION_ROWS + 1);
	assert_int_equal(after(31), 20);
	assert_int_equal(after(31), 0);
}

static void test_clock_not_set(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	receipts();
	assert_int_equal(run_at(5 * DAY_US, 1), 0);
	assert_int_equal(COUNT("reading"), 1);
}

/* Ten years ahead of a moment ago: nothing is old that was not, until the clock has stood so for a day. */
static void test_clock_jumped(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	receipts();
	struct instant now = {RIG_NOW, clock_boot_us()};
	assert_true(span_note(rig.db, &now, true, NULL) >= 0);
	now.utc_us += 3653 * DAY_US;
	assert_int_equal(retention_run(rig.db, &now, 30), 0); /* not even noted */
	assert_int_equal(span_note(rig.db, &now, false, NULL), 1);
	assert_int_equal(retention_run(rig.db, &now, 30), 0);
	assert_int_equal(COUNT("reading"), 1);
	now.utc_us += DAY_US;
	now.boot_us += DAY_US;
	assert_int_equal(span_note(rig.db, &now, false, NULL), 0);
	assert_int_equal(retention_run(rig.db, &now, 30), 1);
}

/* One of a morning goes with the readings; the rates of a month stay, or they would be made again. */
static void test_lists(void **state)
{
	(void)state;
	static const char *const kinds[] = {"due", "due", "kpi"};
	struct uuid ids[3] = {uuid_random(), uuid_random(), uuid_random()};
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			db_run(rig.db,
				"INSERT INTO digest(uuid,kind,period,part,revision,body,at) "
				"VALUES(?,?,'2026-10',?,1,'{}',?)",
				"btii", ids[i].bytes, sizeof(ids[i].bytes), kinds[i], (int64_t)i,
				RIG_NOW),
			1);
	assert_int_equal(outbox_add(rig.gateway.outbox, rig.db, OBJECT_DUE, 2, &ids[1], 1), 0);
	after(7);
	assert_int_equal(COUNT("digest"), 3);
	after(31);
	assert_int_equal(COUNT("digest"), 2); /* the other one is still to be told */
	rig_script(&rig, "DELETE FROM outbox");
	after(31);
	assert_int_equal(COUNT("digest WHERE kind='due'"), 0);
	assert_int_equal(COUNT("digest"), 1);
	after(RETENTION_KPI_DAYS + 1);
	assert_int_equal(COUNT("digest"), 0);
}

static void test_the_rest(void **state)
{
	(void)state;
	struct bytes raw = {(uint8_t *)"x", 1};
	assert_int_equal(
		intake_event(&rig.gateway, rig.db, 0, "malformed", NULL, &raw, RIG_NOW, false), 0);
	assert_int_equal(
		intake_event(&rig.gateway, rig.db, 0, "device_error", NULL, &raw, RIG_NOW, true),
		0);
	assert_int_equal(db_run(rig.db, "INSERT INTO command(id,at,reply) VALUES('c-1',?,'{}')",
				 "i", RIG_NOW),
		1);
	assert_int_equal(
		db_run(rig.db, "INSERT INTO audit(at,author,action) VALUES(?,'S-0001','ack')", "i",
			RIG_NOW),
		1);
	static const char *const spans[] = {
		"INSERT INTO absence(member,from_us,to_us,author) VALUES('D-0001',1,?,'S-0001')",
		"INSERT INTO duty(team,member,from_us,to_us,author) VALUES('T-0001','D-0001',1,?,'S-0001')"};
	for (size_t i = 0; i < ELEMENTS(spans); i++)
		assert_int_equal(db_run(rig.db, spans[i], "i", RIG_NOW), 1);
	after(29);
	assert_int_equal(COUNT("absence") + COUNT("duty"), 2);
	after(31);
	assert_int_equal(COUNT("absence") + COUNT("duty"), 0);
	assert_int_equal(COUNT("event WHERE type='malformed'"), 0);
	assert_int_equal(COUNT("event WHERE type='device_error'"), 1); /* still to be told */
	assert_int_equal(COUNT("command"), 0);
	assert_int_equal(COUNT("audit"), 1);
	after(RETENTION_AUDIT_DAYS + 1);
	assert_int_equal(COUNT("audit"), 0);
}

/* studies */

/* A study that nobody waits for any more. */
static void settled(unsigned seed)
{
	int64_t row = study_filed(&rig, seed, 20000, STUDY_SAYS(""));
	assert_int_equal(report_add(&rig.gateway, rig.db, row, REPORT_FINAL, "x", "", "c"), 0);
	rig_script(&rig, "DELETE FROM study_wait");
	receipts();
}

#define OF_STUDIES                                                                                  \
	rig_int(&rig,                                                                               \
		"SELECT (SELECT count(*) FROM study)*10000+(SELECT count(*) FROM study_piece)*100+" \
		"(SELECT count(*) FROM report)*10+(SELECT count(*) FROM alert)")

static void test_studies_leave(void **state)
{
	(void)state;
	settled(1);
	assert_int_equal(OF_STUDIES, 10310);
	after(29);
	assert_int_equal(OF_STUDIES, 10310);
	assert_int_equal(after(31), 0); /* the count is of readings */
	assert_int_equal(OF_STUDIES, 0);
}

/* What nobody confirmed yet rests on its readings; what was confirmed has them in itself. */
static void test_visit_keeps_readings(void **state)
{
	(void)state;
	static const char *const keeps[] = {"UPDATE visit SET state='open'",
		"UPDATE visit SET state='closed'",
		"UPDATE visit_window SET checkin=NULL, from_us=0, to_us=4000000000000000",
		"UPDATE visit_window SET to_us=NULL",
		"UPDATE visit_window SET checkin=5, from_us=NULL; UPDATE reading SET checkin=5"};
	static const char *const frees[] = {"UPDATE visit SET state='confirmed'",
		"UPDATE visit SET state='entered-in-error'",
		"UPDATE visit SET state='open', resident=2",
		"UPDATE visit SET resident=1; UPDATE visit_window SET checkin=NULL, from_us=0, to_us=1",
		"UPDATE visit_window SET checkin=6, from_us=NULL"};
	rig_script(&rig,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(randomblob(16),1,'f','open','here','2026-11-18',1,'x',0,'r');"
		"INSERT INTO visit_window(visit,from_us,to_us) VALUES(1,0,4000000000000000)");
	for (size_t i = 0; i < ELEMENTS(keeps) + ELEMENTS(frees); i++) {
		bool stays = i < ELEMENTS(keeps);
		const char *sql = stays ? keeps[i] : frees[i - ELEMENTS(keeps)];
		rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
		rig_script(&rig, "DELETE FROM evidence");
		rig_script(&rig, sql);
		receipts();
		if (after(31) != !stays)
			fail_msg("%s", sql);
		rig_script(&rig, "DELETE FROM reading");
	}
}

static void test_visits(void **state)
{
	(void)state;
	rig_script(&rig,
		"WITH d(i,day,form,state) AS (VALUES(1,'2026-11-18','f','confirmed'),(2,'2026-11-19','f',"
		"'confirmed'),(3,'2026-11-20','f','closed'),(4,'2026-11-01','g','confirmed'),(5,"
		"'2026-11-02','f','entered-in-error')) INSERT INTO visit(id,uuid,resident,form,state,origin,"
		"day,revision,author,changed,rules_version) SELECT i,zeroblob(i),1,form,state,'here',day,1,'x',"
		"1795000000000000,'r' FROM d;"
		"INSERT INTO visit_window(visit,from_us,to_us) SELECT id,1,1 FROM visit;"
		"INSERT INTO visit_revision SELECT id,1,'{}','x',1,NULL FROM visit");
	after(1094);
	assert_int_equal(COUNT("visit"), 5);
	rig_script(&rig,
		"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) VALUES(0,2,2,"
		"3,zeroblob(3),1,3,0)");
	after(1096);
	/* what is due is counted from the last one of each form; and what was refused is work for a person */
	assert_int_equal(COUNT("visit"), 3);
	assert_int_equal(COUNT("visit WHERE id IN (2,3,4)"), 3);
	assert_int_equal(COUNT("visit_window WHERE visit IN (2,3,4)"), 3);
	assert_int_equal(COUNT("visit_window") + COUNT("visit_revision"), 6);
	receipts();
	after(1096);
	assert_int_equal(COUNT("visit WHERE id IN (2,4)"), 2);
	assert_int_equal(COUNT("visit"), 2);
	/* whenever that was: the clock was not set */
	rig_script(&rig, "UPDATE visit SET changed=5");
	rig_script(&rig, "UPDATE visit SET form='f'");
	after(1096);
	assert_int_equal(COUNT("visit"), 2);
}

/* A check-in stays as long as a reading or a visit names it. */
static void test_checkins(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"});
	receipts();
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5) INSERT INTO checkin(id,"
		"uuid,station,resident,purpose,source,author,from_us,to_us,activity_us,boot_id,from_boot,"
		"activity_boot,last_reading) SELECT i,zeroblob(i),'d',1,'hut','typed','x',1795000000000000,"
		"iif(i=4,NULL,1795000000000000),1795000000000000,x'00',1,1,0 FROM n;"
		"UPDATE reading SET checkin=1;"
		"INSERT INTO visit_window(visit,checkin) VALUES(9,2); UPDATE checkin SET from_us=1 WHERE id=5");
	after(29);
	assert_int_equal(COUNT("checkin"), 5);
	after(31);
	assert_int_equal(COUNT("checkin"), 3);
	assert_int_equal(COUNT("checkin WHERE id IN (1,2,5)"), 3);
}

/* Whole, and nothing of the one beside it. */
static void test_study_leaves_whole(void **state)
{
	(void)state;
	study_filed(&rig, 1, 20000, STUDY_SAYS("\"interpretation\":{\"lines\":[\"Asystole\"]},"));
	assert_int_equal(report_add(&rig.gateway, rig.db, 1, REPORT_CRITICAL, "", "VT", "c"), 0);
	assert_int_equal(report_add(&rig.gateway, rig.db, 1, REPORT_FINAL, "x", "", "c"), 0);
	settled(2);
	rig_script(&rig, "UPDATE study SET arrived=arrived+86400000000*30 WHERE id=2");
	rig_script(&rig,
		"UPDATE alert SET state='inactive',raised=1795000000000000,acked=NULL; UPDATE report SET "
		"read_back_at=1");
	after(31);
	assert_int_equal(OF_STUDIES, 10310);
	assert_int_equal(COUNT("study_piece WHERE study=2") + COUNT("report WHERE study=2"), 4);
	after(61);
	assert_int_equal(OF_STUDIES, 0);
}

/* Whatever somebody still has to do, or to wait for, keeps it. */
static void test_study_stays(void **state)
{
	(void)state;
	static const char *const keeps[][2] = {
		{"UPDATE study SET status='undecoded'", "UPDATE study SET status='final'"},
		{"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) SELECT "
		 "0,5,5,1,uuid,1,3,0 FROM study",
			"DELETE FROM outbox"},
		{"INSERT INTO study_wait VALUES(1,'report',1828000000000000,x'00',1,1,NULL)",
			"DELETE FROM study_wait"},
		{"INSERT INTO study_wait VALUES(1,'sent',1828000000000000,x'00',1,1,x'01')",
			"DELETE FROM study_wait"},
		{"INSERT INTO report(study,revision,status,critical,author,at) "
		 "VALUES(1,9,'critical','VT','c',1)",
			"UPDATE report SET read_back_at=1"},
		{"INSERT INTO alert(uuid,revision,severity,state,recipient,role,in_contract,body,doubts,"
		 "raised,rules_version,study) SELECT x'01',1,'critical','active','S-0001','staff',0,'{}',"
		 "'[]',1795000000000000,'r',uuid FROM study",
			"UPDATE alert SET state='inactive'"},
		{"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) VALUES(0,0,1,1,"
		 "x'01',1,0,0)",
			"DELETE FROM outbox"}};
	rig_script(&rig, "DELETE FROM binding");
	settled(1);
	for (size_t i = 0; i < ELEMENTS(keeps); i++) {
		rig_bp(&rig, (struct rig_bp){120, 80, 60, .identity = "a"}); /* with the same row */
		rig_script(&rig, "DELETE FROM outbox");
		rig_script(&rig, keeps[i][0]);
		after(400);
		if (COUNT("study") != 1 || COUNT("study_piece") != 3)
			fail_msg("%s", keeps[i][0]);
		assert_int_equal(COUNT("reading"), 0);
		rig_script(&rig, keeps[i][1]);
	}
	after(400);
	assert_int_equal(OF_STUDIES, 0);
}

/* A report that never came is not waited for as long as the gateway stands. */
static void test_waits_end(void **state)
{
	(void)state;
	settled(1);
	rig_script(&rig, "INSERT INTO study_wait VALUES(1,'report',1,x'00',1,1,NULL)");
	rig_script(&rig,
		"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) SELECT "
		"0,5,5,1,uuid,1,3,0 FROM study");
	after(400); /* it is still to be sent, and then to be reported on */
	assert_int_equal(COUNT("study") + COUNT("study_wait"), 2);
	rig_script(&rig, "DELETE FROM outbox");
	rig_script(&rig, "UPDATE study_wait SET alert=x'01'");
	rig_script(&rig,
		"INSERT INTO alert(uuid,revision,severity,state,recipient,role,in_contract,body,doubts,"
		"raised,rules_version) VALUES(x'01',1,'warning','active','S-0001','staff',0,'{}','[]',1795000000000000,'r')");
	after(400); /* staff were told, and that has to end by itself */
	assert_int_equal(COUNT("study") + COUNT("study_wait"), 2);
	rig_script(&rig, "UPDATE alert SET state='inactive'");
	after(400);
	assert_int_equal(COUNT("study") + COUNT("study_wait"), 0);
	/* not before its time */
	settled(2);
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO study_wait SELECT id,'report',?,x'00',1,1,NULL FROM study",
			"i", RIG_NOW),
		1);
	after(29);
	assert_int_equal(COUNT("study_wait"), 1);
	after(31);
	assert_int_equal(COUNT("study") + COUNT("study_wait"), 0);
}

static void test_study_portions(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RETENTION_STUDIES + 3; i++)
		settled(i);
	after(31);
	assert_int_equal(COUNT("study"), 3);
	assert_int_equal(rig_int(&rig, "SELECT min(id) FROM study"), RETENTION_STUDIES + 1);
	after(31);
	assert_int_equal(OF_STUDIES, 0);
	settled(99);
	assert_int_equal(run_at(5 * DAY_US, 1), 0); /* a clock that is not set */
	assert_int_equal(COUNT("study"), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_young_and_old),
		T(test_trusted_stays),
		T(test_not_delivered_stays),
		T(test_open_alert_stays),
		T(test_clock_that_was_not_set),
		T(test_what_waits_stays),
		T(test_portions),
		T(test_clock_not_set),
		T(test_clock_jumped),
		T(test_lists),
		T(test_the_rest),
		T(test_studies_leave),
		T(test_visit_keeps_readings),
		T(test_visits),
		T(test_checkins),
		T(test_study_leaves_whole),
		T(test_study_stays),
		T(test_waits_end),
		T(test_study_portions),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
