/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Visits are opened by check-ins and commands, go on, are closed and let go; they say something new when what is filed
 * of their resident is another; a confirmed one stays as it is.
 */
#include "visit_rig.h"

#include "revision.h"
#include "visit.h"
#include "visit_freeze.h"

#include <jansson.h>

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
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
	char text[512];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

/* What stands in the reply of a check-in: "htn t2dm". */
static void checked_in(int64_t checkin, const char *way, const char *expected)
{
	struct json j = {0};
	char names[128] = "";
	const char *key;
	json_t *value;
	json_object_begin(&j, NULL);
	assert_int_equal(visit_checkin(&rig.gateway, rig.db, checkin, way, &j), 0);
	json_object_end(&j);
	json_t *root = json_loads(json_text(&j), 0, NULL);
	assert_true(json_is_object(json_object_get(root, "visits")));
	json_object_foreach(json_object_get(root, "visits"), key, value)
	{
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			names[0] ? " " : "", key);
		assert_int_equal(strlen(json_string_value(value)), 32);
	}
	assert_string_equal(names, expected);
	json_decref(root);
	json_free(&j);
}

#define STATES "SELECT group_concat(form||' '||state||' '||day||' '||revision,'; ') FROM visit"

/* which forms */

static void test_forms(void **state)
{
	(void)state;
	assert_string_equal(visit_form("htn")->form, "hypertension_followup_v3");
	assert_string_equal(visit_form("copd_followup_2024plus")->programme, "copd");
	assert_string_equal(visit_form("elderly")->form, "elderly_health_check_65plus");
	assert_null(visit_form(""));
	assert_null(visit_form("hypertension")); /* a programme */
	for (unsigned i = 0; i < FORMS; i++)
		assert_non_null(forms_field(rig.gateway.forms, form_names[i].form, 0));
	assert_true(visit_enrolled("hypertension;t2dm", "t2dm"));
	assert_true(visit_enrolled("t2dm", "t2dm"));
	assert_false(visit_enrolled("t2dm", "t2"));
	assert_false(visit_enrolled("t2", "t2dm"));
	assert_false(visit_enrolled("", "t2dm"));
}

static void test_purposes(void **state)
{
	(void)state;
	static const struct {
		int64_t resident;
		const char *purpose, *expected;
	} cases[] = {
		{2, "follow-up", "htn t2dm"},
		{2, "home-bed", "htn t2dm"},
		{2, "exam", "elderly"},
		{2, "hut", ""},
		{1, "follow-up", "htn"},
		{3, "follow-up", ""},
		{3, "exam", "elderly"},
		{4, "follow-up", "copd"},
	};
	rig_script(&rig, "INSERT INTO resident(id,token,programmes,changed) VALUES(4,'R-0004',"
			 "'copd;elderly',0)");
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		checked_in(stored_checkin(&rig, cases[i].resident, cases[i].purpose,
				   november(18, 9, (int)i), 0),
			"", cases[i].expected);
		rig_script(&rig, "DELETE FROM visit");
	}
}

/* Only residents who are there, and whose record this gateway keeps. */
static void test_not_ours(void **state)
{
	(void)state;
	int64_t checkin = stored_checkin(&rig, 2, "follow-up", november(18, 9, 0), 0);
	rig_script(&rig, "UPDATE resident SET owner='gw-0002'");
	checked_in(checkin, "", "");
	rig_script(&rig, "UPDATE resident SET owner='gw-0001', state='moved'");
	checked_in(checkin, "", "");
	rig_script(&rig, "UPDATE resident SET state='active'");
	checked_in(checkin, "", "htn t2dm");
	rig_script(&rig, "UPDATE checkin SET resident=NULL");
	checked_in(checkin, "", "");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit"), 2);
}

/* opening and closing */

static void test_goes_on(void **state)
{
	(void)state;
	int64_t first = stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), 0);
	checked_in(first, "1", "htn");
	expect(STATES, "hypertension_followup_v3 open 2026-11-18 1");
	expect("SELECT answers||origin||author||rules_version FROM visit",
		"{\"visit_way\":\"1\"}herelocal:nurse/N-0001followup 1, forms 2");
	/* the same check-in again: nothing twice */
	checked_in(first, "", "htn");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit_window"), 1);
	expect("SELECT answers FROM visit", "{\"visit_way\":\"1\"}");
	rig_script(&rig, "UPDATE checkin SET to_us=from_us+600000000, ended='checkout'");
	assert_int_equal(visit_checkin_ended(&rig.gateway, rig.db, first), 0);
	expect(STATES, "hypertension_followup_v3 closed 2026-11-18 3");
	/* later that day, at another station */
	int64_t second = stored_checkin(&rig, 1, "home-bed", november(18, 23, 59), 0);
	checked_in(second, "2", "htn");
	expect(STATES, "hypertension_followup_v3 open 2026-11-18 4");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit_window"), 2);
	expect("SELECT answers FROM visit", "{\"visit_way\":\"2\"}");
	/* the first one's end does not close it */
	assert_int_equal(visit_checkin_ended(&rig.gateway, rig.db, first), 0);
	expect("SELECT state FROM visit", "open");
	/* the next day is another visit */
	checked_in(stored_checkin(&rig, 1, "follow-up", november(19, 0, 0), 0), "", "htn");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit"), 2);
	expect("SELECT day FROM visit WHERE id=2", "2026-11-19");
}

/* What is confirmed or voided does not go on. */
static void test_begins_anew(void **state)
{
	(void)state;
	static const char *const over[] = {
		"UPDATE visit SET state='confirmed'", "UPDATE visit SET state='entered-in-error'"};
	for (size_t i = 0; i < ELEMENTS(over); i++) {
		checked_in(stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), 0), "", "htn");
		rig_script(&rig, over[i]);
		checked_in(stored_checkin(&rig, 1, "follow-up", november(18, 9, 30), 0), "", "htn");
		assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit"), 2);
		rig_script(&rig, "DELETE FROM visit");
	}
}

/* Named again while the check-in lasts: no second visit of what the doctor confirmed in the meantime. */
static void test_confirmed_meanwhile(void **state)
{
	(void)state;
	int64_t checkin = stored_checkin(&rig, 2, "follow-up", november(18, 9, 0), 0);
	checked_in(checkin, "", "htn t2dm");
	rig_script(&rig, "UPDATE visit SET state='confirmed', revision=9 WHERE id=1");
	checked_in(checkin, "2", "htn t2dm");
	expect("SELECT group_concat(state||revision||answers,' ') FROM visit",
		"confirmed9{} open2{\"visit_way\":\"2\"}");
	/* at the next one there is */
	checked_in(stored_checkin(&rig, 2, "follow-up", november(18, 10, 0), 0), "", "htn t2dm");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit"), 3);
	/* and for whom the window is given to instead */
	rig_script(&rig, "UPDATE checkin SET resident=1 WHERE id=1");
	checked_in(checkin, "", "htn");
	assert_int_equal(rig_int(&rig, "SELECT resident FROM visit WHERE id=4"), 1);
}

/* A check-in that was over when it came to us (one that was split off): the visit is closed from its beginning. */
static void test_closed_from_the_beginning(void **state)
{
	(void)state;
	checked_in(stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), november(18, 9, 10)),
		"", "htn");
	expect(STATES, "hypertension_followup_v3 closed 2026-11-18 1");
}

/* Undone: a visit that rests on nothing else was never held. */
static void test_lost(void **state)
{
	(void)state;
	int64_t first =
		stored_checkin(&rig, 2, "follow-up", november(18, 9, 0), november(18, 9, 5));
	checked_in(first, "", "htn t2dm");
	int64_t second = stored_checkin(&rig, 2, "follow-up", november(18, 10, 0), 0);
	checked_in(second, "", "htn t2dm");
	rig_script(&rig, "UPDATE checkin SET resident=NULL WHERE id=2");
	assert_int_equal(visit_checkin_lost(&rig.gateway, rig.db, second), 0);
	expect("SELECT group_concat(state) FROM visit", "closed,closed");
	rig_script(&rig, "UPDATE visit SET state='confirmed' WHERE id=2");
	rig_script(&rig, "UPDATE checkin SET resident=NULL");
	assert_int_equal(visit_checkin_lost(&rig.gateway, rig.db, first), 0);
	expect("SELECT group_concat(state) FROM visit", "entered-in-error,confirmed");
	expect("SELECT reason FROM visit WHERE id=1", "checkin_undone");
	/* what was confirmed keeps its window */
	expect("SELECT group_concat(visit||' '||checkin) FROM visit_window", "2 1");
	assert_int_equal(rig_int(&rig, "SELECT revision FROM outbox WHERE kind=2 AND object=1"), 4);
}

/* Its window was set back over midnight, or its clock repaired. */
static void test_day_follows(void **state)
{
	(void)state;
	int64_t checkin = stored_checkin(&rig, 1, "follow-up", november(18, 0, 1), 0);
	checked_in(checkin, "", "htn");
	expect("SELECT day FROM visit", "2026-11-18");
	rig_script(&rig, "UPDATE checkin SET from_us=from_us-120000000");
	assert_int_equal(visit_touch(&rig.gateway, rig.db, 1), 0);
	expect("SELECT day FROM visit", "2026-11-17");
	rig_script(&rig, "UPDATE visit SET state='confirmed'; UPDATE checkin SET "
			 "from_us=from_us-86400000000");
	assert_int_equal(visit_tell(&rig.gateway, rig.db, 1), 0);
	expect("SELECT day FROM visit", "2026-11-17");
}

static void test_by_command(void **state)
{
	(void)state;
	int64_t visit = 0, again = 0;
	int64_t before = clock_utc_us();
	assert_int_equal(
		visit_open(&rig.gateway, rig.db, 2, "t2dm_followup_v3", "local:n", "3", &visit), 0);
	assert_true(rig_int(&rig, "SELECT from_us FROM visit_window") >= before);
	expect("SELECT state||answers||coalesce(to_us,'-') FROM visit JOIN visit_window ON visit=visit.id",
		"open{\"visit_way\":\"3\"}-");
	assert_int_equal(
		visit_open(&rig.gateway, rig.db, 2, "t2dm_followup_v3", "local:n", "", &again), 0);
	assert_int_equal(visit, again);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit_window"), 1);
	assert_int_equal(visit_close(&rig.gateway, rig.db, visit), 1);
	expect("SELECT state FROM visit", "closed");
	assert_true(rig_int(&rig, "SELECT to_us FROM visit_window") >= before);
	assert_int_equal(visit_close(&rig.gateway, rig.db, visit), 0);
	/* and opened again: a second window */
	assert_int_equal(
		visit_open(&rig.gateway, rig.db, 2, "t2dm_followup_v3", "local:n", "", &again), 0);
	assert_int_equal(visit, again);
	expect("SELECT state FROM visit", "open");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit_window"), 2);
}

/* news */

/* The visit says something new with what is taken before its end; what is measured at home later is none of it. */
static void test_filed(void **state)
{
	(void)state;
	const int64_t end = november(18, 9, 10);
	checked_in(stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), end), "", "htn");
	rig_script(&rig, "UPDATE visit SET revision=10");
	assert_int_equal(visit_filed(&rig.gateway, rig.db, 1, end + 10 * MINUTE + 1), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 10);
	assert_int_equal(visit_filed(&rig.gateway, rig.db, 1, end + 10 * MINUTE), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 11);
	assert_int_equal(visit_filed(&rig.gateway, rig.db, 1, end - 300 * DAY), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 12);
	assert_int_equal(visit_filed(&rig.gateway, rig.db, 2, end), 0); /* another resident */
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 12);
	/* while the check-in is open, until it has been idle */
	rig_script(&rig, "UPDATE checkin SET to_us=NULL");
	assert_int_equal(visit_filed(&rig.gateway, rig.db, 1, november(18, 9, 3) + 10 * MINUTE), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 13);
	assert_int_equal(
		visit_filed(&rig.gateway, rig.db, 1, november(18, 9, 3) + 10 * MINUTE + 1), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 13);
	/* one that a person opened, until it is closed */
	rig_script(&rig, "UPDATE visit_window SET checkin=NULL, from_us=1");
	assert_int_equal(visit_filed(&rig.gateway, rig.db, 1, end + 99 * DAY), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 14);
	assert_int_equal(visit_touch(&rig.gateway, rig.db, 1), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 15);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=2"), 1);
	rig_script(&rig, "UPDATE visit SET state='confirmed'");
	assert_int_equal(visit_touch(&rig.gateway, rig.db, 1), 0);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 15);
}

/* An instrument that corrects the time of a reading takes it out of a visit: that says something new, too. */
static void test_corrected_away(void **state)
{
	(void)state;
	const struct vg_civil within = {2026, 11, 18, 9, 5, 0}, later = {2026, 11, 18, 12, 0, 0};
	rig_bind(&rig, 1);
	checked_in(stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), november(18, 9, 10)),
		"", "htn");
	rig_bp(&rig, (struct rig_bp){150, 95, 70, .identity = "1", .taken = &within});
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 2);
	rig_bp(&rig, (struct rig_bp){150, 95, 70, .identity = "2", .taken = &later});
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 2);
	rig_bp(&rig,
		(struct rig_bp){150, 95, 71, .identity = "1", .taken = &later, .corrected = true});
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit"), 3);
}

/* what was confirmed */

static int64_t confirmed(struct uuid *ret_reading)
{
	int64_t checkin =
		stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), november(18, 9, 10));
	checked_in(checkin, "1", "htn");
	*ret_reading = stored_reading(&rig, (struct stored){.resident = 1,
						    .taken_us = november(18, 9, 5),
						    .checkin = checkin,
						    .numbers = {{"bp.sbp", 150}, {"bp.dbp", 95}}});
	rig_script(&rig, "UPDATE visit SET answers=json_set(answers,'$.classification','2')");
	const struct freezing f = {.visit = 1, .by = "D-0001", .author = "local:n/D-0001"};
	assert_int_equal(visit_freeze(&rig.gateway, rig.db, &f), 0);
	return checkin;
}

#define CHANGED \
	"SELECT evidence_changed||' '||(SELECT count(*) FROM event WHERE type='confirmed_visit_changed') FROM visit"

static void test_evidence_changes(void **state)
{
	(void)state;
	struct uuid id;
	char body[8192], after[8192];
	int64_t checkin = confirmed(&id);
	rig_text(&rig, body, sizeof(body), "SELECT body FROM visit");
	/* more evidence of the same */
	const struct resident_decision same = {.resident = 1,
		.evidence = "assigned_by_person",
		.grade = "person",
		.checkin = checkin};
	const struct revision sure = {.who = &same};
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &sure, NULL), 0);
	expect(CHANGED, "0 0");
	/* another's */
	const struct resident_decision other = {
		.resident = 2, .evidence = "assigned_by_person", .grade = "person"};
	const struct revision moved = {.who = &other};
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &moved, NULL), 0);
	expect(CHANGED, "1 1");
	char visit[33], told[64];
	rig_text(&rig, visit, sizeof(visit), "SELECT lower(hex(uuid)) FROM visit");
	rig_text(&rig, told, sizeof(told),
		"SELECT detail FROM event WHERE type='confirmed_visit_changed'");
	assert_string_equal(visit, told);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=3"), 1);
	/* it is told once; the record stands */
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &sure, NULL), 0);
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &moved, NULL), 0);
	expect(CHANGED, "1 1");
	rig_text(&rig, after, sizeof(after), "SELECT body FROM visit");
	assert_string_equal(body, after);
}

/* Which arm it was, said afterwards, may make it another form; what a nurse wrote before the doctor confirmed does not. */
static void test_annotated_evidence(void **state)
{
	(void)state;
	struct uuid id;
	const struct revision again = {.status = "amended"};
	confirmed(&id);
	rig_script(&rig, "INSERT INTO annotation SELECT uuid,'arm','left','N-0001',0 FROM reading;"
			 "INSERT INTO annotation SELECT uuid,'operator','nurse','N-0001',"
			 "9000000000000000 FROM reading");
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &again, NULL), 0);
	expect(CHANGED, "0 0");
	rig_script(&rig, "UPDATE annotation SET at=9000000000000000");
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &again, NULL), 0);
	expect(CHANGED, "1 1");
}

static void test_void_evidence(void **state)
{
	(void)state;
	struct uuid id;
	confirmed(&id);
	struct uuid unused =
		stored_reading(&rig, (struct stored){.resident = 1,
					     .grade = "device",
					     .taken_us = november(18, 20, 0),
					     .numbers = {{"bp.sbp", 120}, {"bp.dbp", 70}}});
	const struct revision wrong = {.status = REVISION_VOID};
	assert_int_equal(revision_make(&rig.gateway, rig.db, &unused, &wrong, NULL), 0);
	expect(CHANGED, "0 0");
	assert_int_equal(revision_make(&rig.gateway, rig.db, &id, &wrong, NULL), 0);
	expect(CHANGED, "1 1");
}

/* Whatever step fails, nothing is half done: the caller's transaction is rolled back. */
static void test_a_step_fails(void **state)
{
	(void)state;
	static const char *const steps[] = {
		"INSERT ON visit", "INSERT ON visit_window", "UPDATE ON visit", "INSERT ON outbox"};
	char trigger[160];
	int64_t checkin = stored_checkin(&rig, 1, "follow-up", november(18, 9, 0), 0);
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		struct json j = {0};
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			steps[i]);
		rig_script(&rig, trigger);
		rig_script(&rig, "BEGIN");
		json_object_begin(&j, NULL);
		assert_true(visit_checkin(&rig.gateway, rig.db, checkin, "1", &j) < 0);
		rig_script(&rig, "ROLLBACK");
		rig_script(&rig, "DROP TRIGGER fails");
		json_free(&j);
		assert_int_equal(rig_int(&rig, "SELECT count(*) FROM visit"), 0);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_forms),
		T(test_purposes),
		T(test_not_ours),
		T(test_goes_on),
		T(test_begins_anew),
		T(test_confirmed_meanwhile),
		T(test_closed_from_the_beginning),
		T(test_lost),
		T(test_day_follows),
		T(test_by_command),
		T(test_filed),
		T(test_corrected_away),
		T(test_evidence_changes),
		T(test_annotated_evidence),
		T(test_void_evidence),
		T(test_a_step_fails),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
