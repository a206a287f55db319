/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Loans, check-ins and visits that were noted by a wrong clock: right before the first reading is judged by them. */
#include "repair_rig.h"

#include "log.h"

#define S CLOCK_SECOND_US
#define HOUR (3600 * S)
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)
/* An instant that was read off a clock has more than whole seconds. */
#define ODD 7

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK "zone: Asia/Shanghai\n");
	rig_residents(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void bind(int64_t resident, int64_t from_us, int64_t to_us)
{
	assert_int_equal(db_run(rig.db,
				 "INSERT INTO binding(device,resident,valid_from,valid_to,author) "
				 "VALUES(?,?,?,?,'S-0001')",
				 "iiip", rig.cuff, resident, from_us, to_us ? &to_us : NULL),
		1);
}

static int64_t of_binding(int64_t id, bool to)
{
	return db_int(rig.db, -1,
		"SELECT CASE WHEN ? THEN valid_to ELSE valid_from END FROM binding WHERE id=?",
		"ii", (int64_t)to, id);
}

/* A cuff that is lent while the clock is an hour ahead: what it measures then stays that resident's. */
static void test_loan(void **state)
{
	(void)state;
	int64_t lent = repair_at(10, HOUR).utc_us + ODD, typed = repair_at(20, HOUR).utc_us;
	repair_clock(&rig, 0, HOUR, false);
	bind(1, RIG_NOW - 24 * HOUR, lent);
	bind(2, lent, 0);
	bind(3, typed, typed + HOUR);
	rig_script(&rig, "UPDATE binding SET device=99 WHERE id=3");
	struct unit *u = rig_unit(&rig);
	u->arrived_us = repair_at(30, HOUR).utc_us;
	u->boot_us = repair_at(30, HOUR).boot_us;
	rig_add(&rig, u, &(struct rig_bp){.sys = 120, .dia = 80, .pulse = 60})->live = true;
	assert_int_equal(rig_file(&rig, u), 0);
	assert_int_equal(rig_int(&rig, "SELECT resident FROM reading"), 2);
	repair_clock(&rig, 60, 0, true);
	assert_int_equal(of_binding(1, false), RIG_NOW - 24 * HOUR);
	assert_int_equal(of_binding(1, true), lent - HOUR);
	assert_int_equal(of_binding(2, false), lent - HOUR);
	assert_int_equal(of_binding(2, true), -1);     /* it holds */
	assert_int_equal(of_binding(3, false), typed); /* as somebody typed it */
	assert_int_equal(of_binding(3, true), typed + HOUR);
	assert_int_equal(
		rig_int(&rig, "SELECT resident FROM reading WHERE superseded=0 AND revision=2"), 2);
}

/* Bound in 1970, it could not end what was bound before; slots of others go on. */
static void test_loan_of_1970(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	bind(1, RIG_NOW - 24 * HOUR, 0);
	bind(2, RIG_NOW - 24 * HOUR, 0);
	bind(2, 10 * S + ODD, 0);
	bind(3, 20 * S + ODD, 0);
	rig_script(&rig, "UPDATE binding SET user_slot=1 WHERE id IN (1,3); UPDATE binding SET "
			 "user_slot=2 WHERE id=2; UPDATE binding SET device=99 WHERE id=4");
	repair_clock(&rig, 60, 0, false);
	repair_expect(&rig,
		"SELECT group_concat(resident||' '||((valid_from-1795000000000000)/1000000)||' '||"
		"coalesce((valid_to-1795000000000000)/1000000,'-'),', ') FROM binding",
		"1 -86400 10, 2 -86400 -, 2 10 -, 3 20 -");
}

static void checkin(int64_t id, int64_t from_s, int64_t from_off, int64_t to_s, int64_t to_off)
{
	struct instant from = repair_at(from_s, from_off), to = repair_at(to_s, to_off);
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO checkin(id,uuid,station,resident,purpose,source,author,from_us,to_us,"
			"activity_us,boot_id,from_boot,to_boot,activity_boot,last_reading) "
			"VALUES(?1,randomblob(16),'desk',1,'follow-up','typed','N-0001',?2,?4,?2,?6,?3,?5,"
			"?3,0)",
			"iipipb", id, from.utc_us, &from.boot_us, to.utc_us,
			to_s ? &to.boot_us : NULL, clock_boot_id(), (size_t)16),
		1);
	if (!to_s)
		rig_script(&rig, "UPDATE checkin SET to_us=NULL WHERE to_boot IS NULL");
}

static void visit(int64_t id, const char *day, const char *state)
{
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO visit(id,uuid,resident,form,state,origin,day,revision,author,"
			"changed,rules_version) VALUES(?,randomblob(16),1,"
			"'hypertension_followup_v3',?,'here',?,1,'N-0001',0,'1')",
			"itt", id, state, day),
		1);
}

static void window(int64_t of, int64_t by_checkin, int64_t from_us, int64_t to_us)
{
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO visit_window(visit,checkin,from_us,to_us) VALUES(?,?,?,?)",
			"ippp", of, by_checkin ? &by_checkin : NULL, from_us ? &from_us : NULL,
			to_us ? &to_us : NULL),
		1);
}

/* One of 1970, one that is still open, one over the step, and one of another boot. */
static void test_checkins(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	checkin(1, 10, REPAIR_1970, 20, REPAIR_1970);
	checkin(2, 30, REPAIR_1970, 0, 0);
	checkin(3, 40, REPAIR_1970, 70, 0);
	checkin(4, 10, REPAIR_1970, 20, REPAIR_1970);
	checkin(5, 65, 0, 70, 0);
	rig_script(
		&rig, "UPDATE checkin SET boot_id=x'00112233445566778899aabbccddeeff' WHERE id=4");
	repair_clock(&rig, 60, 0, false);
	repair_expect(&rig,
		"SELECT group_concat(id||':'||((from_us-1795000000000000)/1000000)||' '||"
		"coalesce((to_us-1795000000000000)/1000000,'-')||' '||((activity_us-1795000000000000)/"
		"1000000),', ') FROM checkin WHERE id<>4",
		"1:10 20 10, 2:30 - 30, 3:40 70 40, 5:65 70 65");
	assert_int_equal(rig_int(&rig, "SELECT from_us FROM checkin WHERE id=4"), 10 * S);
}

/* The day of a visit is that of its first window: 19:07 of 18 November, where the site is. */
static void test_visits(void **state)
{
	(void)state;
	repair_clock(&rig, 0, REPAIR_1970, false);
	checkin(1, 10, REPAIR_1970, 20, REPAIR_1970);
	checkin(2, 30, REPAIR_1970, 0, 0);
	visit(1, "1970-01-01", "open");
	visit(2, "1970-01-01", "confirmed");
	visit(3, "1970-01-01", "closed");
	visit(4, "2026-11-17", "closed");
	window(1, 1, 0, 0);
	window(1, 2, 0, 0);
	window(2, 1, 0, 0);
	window(3, 0, 40 * S + ODD, 50 * S + ODD);
	window(4, 0, RIG_NOW - 24 * HOUR + ODD, RIG_NOW - 23 * HOUR + ODD);
	repair_clock(&rig, 60, 0, false);
	repair_expect(&rig, "SELECT group_concat(id||' '||day||' '||revision,', ') FROM visit",
		"1 2026-11-18 2, 2 1970-01-01 1, 3 2026-11-18 2, 4 2026-11-17 1");
	assert_int_equal(rig_int(&rig, "SELECT from_us FROM visit_window WHERE visit=3"),
		RIG_NOW + 40 * S + ODD);
	assert_int_equal(rig_int(&rig, "SELECT to_us FROM visit_window WHERE visit=3"),
		RIG_NOW + 50 * S + ODD);
	assert_int_equal(rig_int(&rig, "SELECT from_us FROM visit_window WHERE visit=4"),
		RIG_NOW - 24 * HOUR + ODD);
	assert_int_equal(COUNT("outbox WHERE kind=2"), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_loan),
		T(test_loan_of_1970),
		T(test_checkins),
		T(test_visits),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
