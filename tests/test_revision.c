/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The next revision of a stored reading: what changes, what stays, and what goes with it. */
#include "gateway_rig.h"

#include "revision.h"

static struct rig rig;
static struct uuid id; /* 190/115 of R-0001, by the cuff's binding */

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	rig_script(&rig,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(x'01',1,'f','open','here','d',0,'a',0,''),"
		"(x'02',2,'f','open','here','d',0,'a',0,'')");
	rig_script(&rig, "UPDATE visit SET uuid=randomblob(16)");
	rig_bind(&rig, 1);
	id = rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1", .user = 1});
	rig_script(&rig, "UPDATE reading SET live=1, named=0, checkin=77, reasons='[1]', "
			 "station='desk', place='p', patient_hash=x'05', conflicts_with=x'06';"
			 "DELETE FROM outbox; UPDATE visit SET revision=0");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void expect(const char *sql, const char *expected)
{
	char text[1024];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

static struct filing make(struct revision r)
{
	struct filing f;
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &r, &f), 0);
	return f;
}

/* All columns but those named are as they were. */
static void expect_same_but(const char *but)
{
	char sql[400];
	int n = 0, same = 0;
	_cleanup_(row_endp) struct row *r =
		db_query(rig.db, "SELECT name FROM pragma_table_info('reading')", "");
	while (row_next(r) > 0) {
		const char *name = row_text(r, 0);
		char padded[40];
		snprintf(padded, sizeof(padded), " %s ", name);
		/* by hand: SQL is found again by its address */
		snprintf(sql, sizeof(sql),
			"echo \"SELECT a.\\\"%s\\\" IS b.\\\"%s\\\" FROM reading a, reading b WHERE "
			"a.revision=1 AND b.revision=2;\" | sqlite3 %s/vitalgate.db",
			name, name, rig.dir);
		FILE *f = popen(sql, "r");
		char answer[8] = "";
		assert_true(f && fgets(answer, sizeof(answer), f));
		pclose(f);
		bool is_same = answer[0] == '1';
		if (is_same == (strstr(but, padded) != NULL))
			fail_msg("%s", name);
		n++;
		same += is_same;
	}
	assert_true(n > 30 && same > 20);
}

static void test_body(void **state)
{
	(void)state;
	struct filing f = make((struct revision){
		.kind = "glucose", .body = "{\"values\":{\"glu.fasting\":{\"value\":7.1}}}"});
	assert_int_equal(f.revision, 2);
	assert_int_equal(f.who.resident, 1);
	assert_int_equal(f.row, rig_int(&rig, "SELECT id FROM reading WHERE revision=2"));
	expect_same_but(" id revision status kind body committed_boot_us superseded ");
	expect("SELECT group_concat(revision||status||superseded) FROM reading",
		"1final1,2amended0");
	expect("SELECT group_concat(kind||milli||resident) FROM evidence", "glu.fasting71001");
	expect("SELECT group_concat(kind||':'||revision) FROM outbox", "0:2,2:1");
	expect("SELECT group_concat(revision) FROM visit", "1,0");
	expect("SELECT revision FROM alert", "1"); /* nothing new for the doctor */
}

static void test_who(void **state)
{
	(void)state;
	struct resident_decision who = {.resident = 2,
		.evidence = "checkin",
		.grade = "station",
		.checkin = 5,
		.n_claims = 2,
		.claims = {{"message", 1}, {"station", 2}}};
	struct filing f = make((struct revision){.who = &who});
	assert_int_equal(f.in_contract, 1);
	expect_same_but(" id revision status resident evidence grade checkin reasons "
			"committed_boot_us superseded ");
	expect("SELECT status||resident||evidence||grade||checkin||reasons FROM reading WHERE "
	       "revision=2",
		"amended2checkinstation5[{\"claim\":\"message\",\"resident\":1},{\"claim\":"
		"\"station\",\"resident\":2}]");
	expect("SELECT group_concat(kind||resident) FROM (SELECT kind,resident FROM evidence ORDER BY kind)",
		"bp.dbp2,bp.pulse2,bp.sbp2");
	expect("SELECT group_concat(revision) FROM visit", "1,1");
	expect("SELECT group_concat(resident||recipient||revision||state,' ') FROM (SELECT * FROM "
	       "alert ORDER BY id)",
		"1D-00012inactive 2D-00021active");
	/* nobody's: no check-in, no reasons, no evidence */
	who = (struct resident_decision){.evidence = "checkin_undone", .grade = "none"};
	f = make((struct revision){.who = &who});
	expect("SELECT status||coalesce(resident,'-')||coalesce(checkin,'-')||coalesce(reasons,'-')"
	       " FROM reading WHERE revision=3",
		"unassigned---");
	expect("SELECT count(*) FROM evidence", "0");
	expect("SELECT group_concat(revision) FROM visit", "1,2");
	/* no proof that it was not hers: it stays, and is nobody's, too */
	expect("SELECT group_concat(coalesce(resident,'-')||recipient||revision||state,' ') FROM "
	       "(SELECT * FROM alert ORDER BY id)",
		"1D-00012inactive 2D-00022active -S-00011active");
}

static void test_when(void **state)
{
	(void)state;
	/* before the contract began */
	struct when when = {INT64_C(1700000000000000), 5, TRUST_DEVICE};
	int64_t arrived = 17, offset = 18;
	make((struct revision){.when = &when, .arrived_us = &arrived, .offset_us = &offset});
	expect_same_but(
		" id revision status in_contract arrived offset_us taken uncertainty_us trust "
		"committed_boot_us superseded ");
	expect("SELECT arrived||'/'||offset_us||'/'||taken||'/'||uncertainty_us||trust||in_contract "
	       "FROM reading WHERE revision=2",
		"17/18/1700000000000000/5device0");
	expect("SELECT group_concat(DISTINCT taken||trust) FROM evidence",
		"1700000000000000device");
	/* whom it went to stays as it was */
	expect("SELECT role||recipient||in_contract||revision FROM alert", "doctorD-000111");
	expect("SELECT at FROM alert_reading", "17");
}

static void test_void(void **state)
{
	(void)state;
	make((struct revision){.status = REVISION_VOID});
	expect("SELECT status||resident FROM reading WHERE superseded=0", "entered-in-error1");
	expect("SELECT count(*) FROM evidence", "0");
	expect("SELECT group_concat(revision) FROM visit", "1,0");
	/* whatever comes later, it stays so, until somebody says otherwise */
	struct resident_decision who = {.resident = 2, .evidence = "checkin", .grade = "station"};
	make((struct revision){.who = &who});
	expect("SELECT status||resident FROM reading WHERE superseded=0", "entered-in-error2");
	expect("SELECT count(*) FROM evidence", "0");
	make((struct revision){.status = "amended"});
	expect("SELECT status||resident||revision FROM reading WHERE superseded=0", "amended24");
	expect("SELECT count(*) FROM evidence", "3");
}

static void test_place(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE reading SET evidence='place', grade='none', resident=NULL");
	make((struct revision){.body = "{\"values\":{}}"});
	expect("SELECT status FROM reading WHERE superseded=0", "amended");
}

static void test_refused(void **state)
{
	(void)state;
	struct uuid other = uuid_random();
	assert_int_equal(
		revision_make(&rig.gateway, rig.db, &other, &(struct revision){0}, NULL), -ENOENT);
	/* a body that holds no values is no reading's */
	assert_true(revision_make(
			    &rig.gateway, rig.db, &id, &(struct revision){.body = "{}"}, NULL) < 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_body),
		T(test_who),
		T(test_when),
		T(test_void),
		T(test_place),
		T(test_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("revision", tests, NULL, NULL);
}
