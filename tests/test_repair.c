/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was stamped while our clock was wrong: by whom it is put right, in portions, once, and over kills. */
#include "repair_rig.h"

#include "filing.h"
#include "log.h"
#include "study.h"
#include "study_rig.h"

#define S CLOCK_SECOND_US
#define HOUR (3600 * S)
#define YEAR (365 * 24 * HOUR)
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)
/* Seconds behind RIG_NOW, revision, trust of the present readings. */
#define READINGS                                                                                \
	"SELECT coalesce(group_concat(((taken-1795000000000000)/1000000)||' '||revision||' '||" \
	"trust,', '),'') FROM (SELECT * FROM reading WHERE superseded=0 ORDER BY boot_us)"
#define EVENTS                                                                                \
	"SELECT coalesce(group_concat(type||' '||detail,', '),'') FROM (SELECT * FROM event " \
	"WHERE type LIKE 'clock%' ORDER BY id)"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	assert_int_equal(db_run(rig.db,
				 "INSERT INTO binding(device,resident,valid_from,author) "
				 "VALUES(?,1,?,'S-0001')",
				 "ii", rig.cuff, RIG_NOW - HOUR),
		1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static const struct rig_bp good = {.sys = 120, .dia = 80, .pulse = 60},
			   danger = {.sys = 201, .dia = 121, .pulse = 60};

static void test_born_in_1970(void **state)
{
	(void)state;
	assert_int_equal(repair_see(&rig, 0, REPAIR_1970, false), 0);
	repair_bp(&rig, 10, REPAIR_1970, good);
	repair_bp(&rig, 20, REPAIR_1970, danger);
	repair_expect(&rig, "SELECT group_concat(trust||' '||evidence) FROM reading",
		"unknown not_bound,unknown not_bound");
	repair_expect(
		&rig, "SELECT doubts||role FROM alert", "[\"unassigned\",\"clock_unknown\"]staff");
	assert_int_equal(repair_see(&rig, 30, 0, false), 1);
	assert_true(repair_all(&rig) > 1);
	repair_expect(&rig, READINGS, "10 2 arrival, 20 2 arrival");
	repair_expect(&rig,
		"SELECT group_concat(evidence||' '||status||' '||(arrived-taken)) FROM reading WHERE "
		"superseded=0",
		"device_binding amended 0,device_binding amended 0");
	repair_expect(&rig,
		"SELECT doubts||role||' '||state||' '||labels||' '||((raised-1795000000000000)/1000000) "
		"FROM alert WHERE resident IS NULL",
		"[\"unassigned\",\"clock_unknown\"]staff active "
		"[\"unconfirmed\",\"identity_changed\"] 20");
	repair_expect(&rig, "SELECT doubts||role||' '||state FROM alert WHERE resident=1",
		"[\"time_of_arrival\"]doctor active");
	repair_expect(&rig,
		"SELECT group_concat(DISTINCT revision=(SELECT revision FROM alert WHERE "
		"uuid=outbox.uuid)) FROM outbox WHERE kind=1",
		"1");
	repair_expect(&rig, EVENTS,
		"clock_stepped from 1970-01-01T00:00:30Z to 2026-11-18T11:07:10Z, clock_repaired 2 "
		"readings");
	assert_int_equal(COUNT("clock_repair"), 0);
	/* and once only: by the next look, after a start, when a time server agrees */
	assert_int_equal(repair_see(&rig, 31, 0, false), 0);
	assert_int_equal(repair_see(&rig, 32, S, true), 0);
	assert_int_equal(repair_portion(&rig), 0);
	assert_int_equal(COUNT("reading"), 4);
	assert_int_equal(COUNT("event WHERE type LIKE 'clock%'"), 2);
}

/* Somebody sets the date, and not quite: it holds until a time server knows better. */
static void test_by_hand_then_server(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	repair_bp(&rig, 10, REPAIR_1970, good);
	repair_clock(&rig, 20, HOUR, false);
	repair_expect(&rig, READINGS, "3610 2 arrival");
	repair_bp(&rig, 30, HOUR, good);
	repair_clock(&rig, 40, -HOUR, false); /* from one time that can be to another */
	repair_bp(&rig, 50, -HOUR, good);
	repair_expect(&rig, READINGS, "3610 2 arrival, 3630 1 arrival, -3550 1 arrival");
	assert_int_equal(COUNT("event WHERE type='clock_repaired'"), 1);
	repair_clock(&rig, 60, 0, false);
	repair_bp(&rig, 70, 0, good);
	repair_expect(
		&rig, READINGS, "3610 2 arrival, 3630 1 arrival, -3550 1 arrival, 70 1 arrival");
	repair_clock(&rig, 80, 0, true);
	repair_expect(&rig, READINGS, "10 3 arrival, 30 2 arrival, 50 2 arrival, 70 1 arrival");
	repair_expect(&rig, "SELECT detail FROM event WHERE type='clock_repaired' ORDER BY id DESC",
		"3 readings");
	/* and by hand after that: what is right stays */
	repair_clock(&rig, 90, HOUR, false);
	repair_expect(&rig, READINGS, "10 3 arrival, 30 2 arrival, 50 2 arrival, 70 1 arrival");
}

/* What one time server said is not put right by the next. */
static void test_two_servers(void **state)
{
	(void)state;
	repair_clock(&rig, 0, HOUR, true);
	repair_bp(&rig, 10, HOUR, good);
	repair_clock(&rig, 20, 0, true);
	repair_expect(&rig, READINGS, "3610 1 arrival");
	assert_int_equal(COUNT("event WHERE type='clock_repaired'"), 0);
}

/* Ten years back is a time that cannot be; ten years ahead can be, until a time server says otherwise. */
static void test_ten_years(void **state)
{
	(void)state;
	repair_clock(&rig, 0, 0, false);
	repair_clock(&rig, 10, -10 * YEAR, false);
	repair_bp(&rig, 20, -10 * YEAR, good);
	repair_expect(&rig, "SELECT trust FROM reading", "unknown");
	repair_clock(&rig, 30, 10 * YEAR, false); /* this is no better */
	repair_bp(&rig, 40, 10 * YEAR, good);
	repair_clock(&rig, 50, 0, true);
	repair_expect(&rig, READINGS, "20 3 arrival, 40 2 arrival");
}

/* A clock that is set and only then noticed by a unit; and a unit that waited for the store since before. */
static void test_around_the_step(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	repair_bp(&rig, 10, REPAIR_1970, good);
	repair_bp(&rig, 20, 0, good); /* brings the news */
	assert_int_equal(COUNT("event WHERE type LIKE 'clock%'"), 0);
	repair_bp(&rig, 11, REPAIR_1970, good);
	assert_int_equal(repair_see(&rig, 30, 0, false), 1);
	repair_bp(&rig, 12, REPAIR_1970, good);
	repair_all(&rig);
	repair_expect(&rig, READINGS, "10 2 arrival, 11 2 arrival, 12 2 arrival, 20 1 arrival");
	repair_expect(&rig, EVENTS,
		"clock_stepped from 1970-01-01T00:00:20Z to 2026-11-18T11:07:00Z, clock_repaired 3 "
		"readings");
}

/* portions */

static void many(int n)
{
	char identity[16];
	struct rig_bp bp = good;
	bp.identity = identity;
	repair_clock(&rig, 0, REPAIR_1970, false);
	for (int i = 0; i < n; i++) {
		snprintf(identity, sizeof(identity), "%d", i);
		repair_bp(&rig, 1 + i, REPAIR_1970, bp);
	}
}

static void test_portions(void **state)
{
	(void)state;
	many(2 * REPAIR_PORTION + 50);
	assert_int_equal(repair_see(&rig, 9000, 0, false), 1);
	assert_int_equal(COUNT("reading WHERE revision=2"), 0);
	assert_int_equal(repair_portion(&rig), 1);
	assert_int_equal(COUNT("reading WHERE revision=2"), REPAIR_PORTION);
	/* a kill takes a portion that was not committed, and nothing else */
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(repair_go_on(&rig.gateway, rig.db), 1);
	rig_script(&rig, "ROLLBACK");
	assert_int_equal(COUNT("reading WHERE revision=2"), REPAIR_PORTION);
	assert_int_equal(repair_see(&rig, 9001, 0, false), 1); /* as the next start does */
	repair_all(&rig);
	assert_int_equal(
		COUNT("reading WHERE revision=2 AND superseded=0"), 2 * REPAIR_PORTION + 50);
	assert_int_equal(COUNT("reading"), 2 * (2 * REPAIR_PORTION + 50));
	repair_expect(&rig, "SELECT detail FROM event WHERE type='clock_repaired'", "450 readings");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading WHERE superseded=0 AND "
				       "taken<>boot_us+1795000000000000-1000000000"),
		0);
	assert_int_equal(repair_see(&rig, 9002, 0, false), 0);
}

/* A time server comes in the middle: what was dated by hand is dated again, from the beginning. */
static void test_better_truth(void **state)
{
	(void)state;
	many(REPAIR_PORTION + 50);
	assert_int_equal(repair_see(&rig, 9000, HOUR, false), 1);
	assert_int_equal(repair_portion(&rig), 1);
	assert_int_equal(repair_see(&rig, 9001, 0, true), 1);
	/* and a hand after that does not count */
	assert_int_equal(repair_see(&rig, 9002, 2 * HOUR, false), 1);
	repair_all(&rig);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading WHERE superseded=0 AND "
				       "taken<>boot_us+1795000000000000-1000000000"),
		0);
	assert_int_equal(COUNT("reading WHERE revision=3"), REPAIR_PORTION);
	assert_int_equal(repair_see(&rig, 9003, 2 * HOUR, false), 0);
}

/* A hand leaves what was stamped by a time that can be; a time server that comes in the middle does not. */
static void test_better_truth_for_all(void **state)
{
	(void)state;
	repair_clock(&rig, -100, 2 * HOUR, false);
	repair_bp(&rig, -90, 2 * HOUR, good);
	many(REPAIR_PORTION + 50);
	assert_int_equal(repair_see(&rig, 9000, 0, false), 1);
	assert_int_equal(repair_portion(&rig), 1);
	assert_int_equal(
		rig_int(&rig, "SELECT max(revision) FROM reading WHERE boot_us=910000000"), 1);
	assert_int_equal(repair_see(&rig, 9001, 0, true), 1);
	repair_all(&rig);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading WHERE superseded=0 AND "
				       "taken<>boot_us+1795000000000000-1000000000"),
		0);
}

/* Nothing came while the clock was wrong: nothing is told but that it was set. */
static void test_nothing_to_repair(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	assert_int_equal(repair_see(&rig, 10, 0, false), 1);
	assert_int_equal(repair_portion(&rig), 0);
	assert_int_equal(repair_see(&rig, 11, 0, false), 0);
	assert_int_equal(COUNT("event WHERE type='clock_repaired'"), 0);
	assert_int_equal(COUNT("event WHERE type='clock_stepped'"), 1);
}

/* The machine starts again in the middle of it: the truth about the boot before is still known. */
static void test_after_a_boot(void **state)
{
	(void)state;
	many(REPAIR_PORTION + 50);
	assert_int_equal(repair_see(&rig, 9000, 0, true), 1);
	assert_int_equal(repair_portion(&rig), 1);
	rig_script(&rig,
		"UPDATE reading SET boot_id=x'00112233445566778899aabbccddeeff'; UPDATE clock_span SET "
		"boot_id=x'00112233445566778899aabbccddeeff'; UPDATE clock_repair SET "
		"boot_id=x'00112233445566778899aabbccddeeff'");
	assert_int_equal(repair_see(&rig, 20, REPAIR_1970, false), 1);
	repair_bp(&rig, 30, REPAIR_1970, good);
	repair_all(&rig);
	assert_int_equal(COUNT("reading WHERE superseded=0 AND trust='unknown'"), 1);
	assert_int_equal(COUNT("reading WHERE superseded=0 AND revision=2"), REPAIR_PORTION + 50);
	assert_int_equal(repair_see(&rig, 40, REPAIR_1970, false), 0);
	repair_clock(&rig, 50, 0, true);
	assert_int_equal(COUNT("reading WHERE superseded=0 AND trust='unknown'"), 0);
}

/* A boot whose clock never became known. */
static void test_never_known(void **state)
{
	(void)state;
	many(3);
	rig_script(&rig, "UPDATE reading SET boot_id=randomblob(16); UPDATE clock_span SET "
			 "boot_id=randomblob(16)");
	repair_clock(&rig, 0, 0, true);
	assert_int_equal(COUNT("reading WHERE trust='unknown'"), 3);
	assert_int_equal(COUNT("event WHERE type LIKE 'clock%'"), 0);
}

/* One that cannot be repaired holds up no other, and nothing of it is half done. */
static void test_troubles(void **state)
{
	(void)state;
	many(5);
	rig_script(&rig,
		"CREATE TRIGGER odd BEFORE INSERT ON outbox WHEN NEW.kind=0 AND NEW.object=(SELECT id FROM "
		"reading WHERE revision=2 AND boot_us=1003000000) BEGIN SELECT raise(ABORT,'x'); END");
	assert_int_equal(repair_see(&rig, 9000, 0, false), 1);
	repair_all(&rig);
	repair_expect(&rig, "SELECT detail FROM event WHERE type='clock_repaired'", "4 readings");
	assert_int_equal(COUNT("reading WHERE superseded=0 AND trust='unknown'"), 1);
	assert_int_equal(COUNT("reading WHERE superseded=0"), 5);
	assert_int_equal(COUNT("clock_repair"), 0);
}

/* What a device showed while we were in 1970 dates its readings afterwards. */
static void test_device_clock(void **state)
{
	(void)state;
	struct vg_civil c = clock_civil(RIG_NOW + 5 * S + 90 * S); /* its clock is 90 s ahead */
	repair_clock(&rig, 0, REPAIR_1970, false);
	struct unit *u = rig_unit(&rig);
	struct instant at = repair_at(10, REPAIR_1970);
	struct rig_bp bp = good;
	bp.taken = &c;
	u->arrived_us = at.utc_us;
	u->boot_us = at.boot_us;
	u->offset_known = true;
	u->offset_us = RIG_NOW + 10 * S + 90 * S - at.utc_us;
	rig_add(&rig, u, &bp);
	assert_int_equal(rig_file(&rig, u), 0);
	repair_clock(&rig, 20, 0, false);
	repair_expect(&rig, READINGS, "5 2 corrected");
	assert_int_equal(rig_int(&rig, "SELECT offset_us FROM reading WHERE superseded=0"), 90 * S);
	assert_int_equal(rig_int(&rig, "SELECT offset_us FROM device_offset"), 90 * S);
}

static void test_study(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	struct instant at = repair_at(10, REPAIR_1970);
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_(freep) uint8_t *bytes = study_bytes(i, 100);
		struct unit *u = study_unit(&rig, bytes, 100);
		u->arrived_us = at.utc_us;
		u->boot_us = at.boot_us;
		assert_int_equal(rig_file(&rig, u), 0);
	}
	assert_int_equal(study_says(&rig, 1, STUDY_SAYS("\"measurements\":{\"hr\":300},")), 0);
	repair_expect(&rig, "SELECT group_concat(trust||' '||status||' '||revision) FROM study",
		"unknown unassigned 1,unknown undecoded 0");
	repair_clock(&rig, 20, 0, false);
	repair_expect(&rig,
		"SELECT group_concat(((arrived-1795000000000000)/1000000)||' '||trust||' '||status||' '||"
		"(revision>1)) FROM study",
		"10 device amended 1,10 unknown undecoded 0");
	assert_int_equal(study_says(&rig, 2, STUDY_PLAIN), 0);
	repair_expect(&rig, "SELECT status||' '||trust FROM study WHERE id=2", "final device");
	assert_int_equal(COUNT("reading WHERE superseded=0 AND kind='ecg' AND resident=1"), 2);
}

/* An alert that staff were told of, and what they did about it, move with it; others do not. */
static void test_alerts(void **state)
{
	(void)state;
	repair_clock(&rig, 0, HOUR, false);
	repair_bp(&rig, 10, HOUR, danger);
	assert_int_equal(
		db_run(rig.db,
			"UPDATE alert SET ack_author='D-0001', acked=?1, ended=NULL, not_before=?1",
			"i", repair_at(30, HOUR).utc_us),
		1);
	rig_script(&rig,
		"INSERT INTO alert(uuid,revision,severity,state,recipient,role,in_contract,body,doubts,"
		"raised,acked,rules_version) SELECT randomblob(16),1,severity,state,recipient,role,"
		"in_contract,body,doubts,raised-86400000000,acked,rules_version FROM alert");
	/* told when it was raised, and when somebody acknowledged it */
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO alert_history SELECT NULL,alert,9,?,'update',state,severity,"
			"level,recipient,role,step,deliver,labels,'D-0001','reached' FROM alert_history",
			"i", repair_at(30, HOUR).utc_us),
		1);
	assert_int_equal(db_run(rig.db, "UPDATE alert_history SET at=? WHERE revision=1", "i",
				 repair_at(10, HOUR).utc_us),
		1);
	repair_clock(&rig, 40, 0, true);
	assert_true(rig_int(&rig, "SELECT at FROM alert_history WHERE revision=1") ==
		    repair_at(10, 0).utc_us);
	assert_true(rig_int(&rig, "SELECT at FROM alert_history WHERE revision=9") ==
		    repair_at(30, 0).utc_us);
	assert_true(
		rig_int(&rig, "SELECT raised FROM alert WHERE id=1") == repair_at(10, 0).utc_us);
	assert_true(rig_int(&rig, "SELECT since FROM alert WHERE id=1") == repair_at(10, 0).utc_us);
	assert_true(rig_int(&rig, "SELECT acked FROM alert WHERE id=1") == repair_at(30, 0).utc_us);
	assert_true(rig_int(&rig, "SELECT not_before FROM alert WHERE id=1") ==
		    repair_at(30, 0).utc_us);
	repair_expect(
		&rig, "SELECT phase||(ended IS NULL)||revision FROM alert WHERE id=1", "update12");
	/* and of when its reading was */
	assert_true(rig_int(&rig, "SELECT at FROM alert_reading") == repair_at(10, 0).utc_us);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert WHERE boot_id IS NULL"), 1);
}

/* Whatever is stored, a portion looks at the rows that it dates. */
static void test_plan(void **state)
{
	(void)state;
	_cleanup_(row_endp) struct row *r = db_query(rig.db,
		"EXPLAIN QUERY PLAN SELECT id,uuid,arrived,boot_us FROM reading WHERE id>? AND "
		"superseded=0 AND boot_id=? ORDER BY id LIMIT 200",
		"ib", INT64_C(1), clock_boot_id(), (size_t)16);
	assert_int_equal(row_next(r), 1);
	assert_string_equal(row_text(r, 3), "SEARCH reading USING INTEGER PRIMARY KEY (rowid>?)");
	assert_int_equal(row_next(r), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_born_in_1970),
		T(test_by_hand_then_server),
		T(test_two_servers),
		T(test_ten_years),
		T(test_around_the_step),
		T(test_portions),
		T(test_better_truth),
		T(test_better_truth_for_all),
		T(test_nothing_to_repair),
		T(test_after_a_boot),
		T(test_never_known),
		T(test_troubles),
		T(test_device_clock),
		T(test_study),
		T(test_alerts),
		T(test_plan),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
