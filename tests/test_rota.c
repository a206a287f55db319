/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is told: the steps of an alert, and who is there for each of them at a given hour. */
#include "gateway_rig.h"

#include "rota.h"
#include "util.h"

#define STAFF                                                            \
	"alerting: {chain: S-0003;S-0001;S-0004, institution: H-0009}\n" \
	"stations:\n - {id: desk-1, contact: S-0002}\n - {id: desk-2}\n"

static struct rig rig;

/* Local time of the zone, Asia/Shanghai. 2026-11-21 is a Saturday. */
static int64_t at(const char *text)
{
	struct vg_civil c;
	int64_t us = 0;
	assert_true(clock_civil_read(text, &c) && clock_civil_utc(&c, &us));
	return us;
}

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, STAFF);
	rig_residents(&rig);
	rig_script(&rig, "UPDATE resident SET chain='D-0005;D-0001;H-0001' WHERE id=1");
	return 0;
}

static int setup_bare(void **state)
{
	(void)state;
	rig_open(&rig, "");
	rig_residents(&rig);
	rig.config.site_contact[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* "D-0001 doctor, H-0001 chain" */
static void expect_steps(struct rota_for f, const char *expected)
{
	struct rota_person steps[ROTA_STEPS_MAX];
	char text[1024] = "";
	int n = rota_steps(&rig.gateway, rig.db, &f, steps);
	assert_in_range(n, 0, ROTA_STEPS_MAX);
	for (int i = 0; i < n; i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof(text) - used, "%s%s %s", i ? ", " : "", steps[i].token,
			steps[i].role);
	}
	assert_string_equal(text, expected);
}

/* "1 H-0001 chain": the step from `from` on. */
static void expect_step(struct rota_for f, int from, const char *when, const char *expected)
{
	struct rota_person p;
	char text[80];
	int step = rota_step(&rig.gateway, rig.db, &f, from, at(when), &p);
	snprintf(text, sizeof(text), "%d %s %s", step, p.token, p.role);
	assert_string_equal(text, expected);
}

static const struct rota_for doctor = {.resident = 1}, staff = {.resident = 1, .staff = true};

static void test_steps(void **state)
{
	(void)state;
	/* a token that stands twice counts once */
	expect_steps(doctor, "D-0001 doctor, D-0005 chain, H-0001 chain, H-0009 institution");
	expect_steps(staff,
		"S-0001 staff, S-0003 chain, S-0004 chain, D-0001 doctor, D-0005 chain, H-0001 chain, "
		"H-0009 institution");
	expect_steps((struct rota_for){.staff = true, .station = "desk-1"},
		"S-0002 staff, S-0003 chain, S-0001 chain, S-0004 chain, H-0009 institution");
	expect_steps((struct rota_for){.station = "desk-2"},
		"S-0001 staff, S-0003 chain, S-0004 chain, H-0009 institution");
	expect_steps((struct rota_for){.station = "none"},
		"S-0001 staff, S-0003 chain, S-0004 chain, H-0009 institution");
	/* a doctor is told wherever it was measured; without one it is staff's */
	expect_steps((struct rota_for){.resident = 1, .station = "desk-1"},
		"D-0001 doctor, D-0005 chain, H-0001 chain, H-0009 institution");
	expect_steps((struct rota_for){.resident = 3, .station = "desk-1"},
		"S-0002 staff, S-0003 chain, S-0001 chain, S-0004 chain, H-0009 institution");
}

static void test_bare(void **state)
{
	(void)state;
	expect_steps(doctor, "D-0001 doctor");
	/* no contact of staff: the resident's doctor; and nobody at all is left */
	expect_steps(staff, "D-0001 doctor");
	rig_script(&rig, "UPDATE resident SET chain='D-0005' WHERE id=1");
	text_copy(rig.config.staff_chain, sizeof(rig.config.staff_chain), "S-0003", 6);
	expect_steps(staff, "D-0001 doctor, S-0003 chain, D-0005 chain");
	rig_script(&rig, "UPDATE resident SET chain='' WHERE id=1");
	rig.config.staff_chain[0] = 0;
	expect_steps((struct rota_for){.staff = true}, "");
	expect_step(doctor, 0, "2026-11-21T08:00:00", "0 D-0001 doctor");
	expect_step(doctor, 1, "2026-11-21T08:00:00", "20 D-0001 doctor");
	expect_step((struct rota_for){.staff = true}, 0, "2026-11-21T08:00:00", "20  ");
	rig_script(&rig,
		"INSERT INTO absence(member,from_us,to_us,author) VALUES('D-0001',0,9e18,'a')");
	expect_step(doctor, 0, "2026-11-21T08:00:00", "20 D-0001 doctor");
}

/* Whatever stands in a chain, the doctor and the institution are told. */
static void test_long_chain(void **state)
{
	(void)state;
	static const char s[] =
		"s1;s2;s3;s4;s5;s6;s7;s8;s9;s10;s11;s12;s13;s14;s15;s16;s17;s18;s19";
	rig_script(&rig,
		"UPDATE resident SET chain='A;B;C;D;E;F;G;H;I;J;K;L;M;N;O;P;Q;R;S;T' WHERE id=1");
	expect_steps(doctor,
		"D-0001 doctor, A chain, B chain, C chain, D chain, E chain, F chain, G chain, H "
		"chain, I chain, J chain, K chain, L chain, M chain, N chain, O chain, P chain, Q "
		"chain, R chain, H-0009 institution");
	text_copy(rig.config.staff_chain, sizeof(rig.config.staff_chain), s, strlen(s));
	expect_steps(staff,
		"S-0001 staff, s1 chain, s2 chain, s3 chain, s4 chain, s5 chain, s6 chain, s7 "
		"chain, s8 chain, s9 chain, s10 chain, s11 chain, s12 chain, s13 chain, s14 chain, "
		"s15 chain, s16 chain, s17 chain, D-0001 doctor, H-0009 institution");
}

static void absence(const char *member, const char *from, const char *to, const char *deputy)
{
	assert_int_equal(db_run(rig.db,
				 "INSERT INTO absence(member,from_us,to_us,deputy,author) "
				 "VALUES(?,?,?,?,'local:nurse')",
				 "tiit", member, at(from), at(to), deputy),
		1);
}

static void duty(const char *team, const char *member, const char *from, const char *to)
{
	assert_int_equal(db_run(rig.db,
				 "INSERT INTO duty(team,member,from_us,to_us,author) "
				 "VALUES(?,?,?,?,'local:nurse')",
				 "ttii", team, member, at(from), at(to)),
		1);
}

static void test_absence(void **state)
{
	(void)state;
	absence("D-0001", "2026-11-21T08:00:00", "2026-11-22T08:00:00", "D-0002");
	expect_step(doctor, 0, "2026-11-21T07:59:59", "0 D-0001 doctor");
	expect_step(doctor, 0, "2026-11-21T08:00:00", "0 D-0002 deputy");
	expect_step(doctor, 0, "2026-11-22T07:59:59", "0 D-0002 deputy");
	expect_step(doctor, 0, "2026-11-22T08:00:00", "0 D-0001 doctor");
	/* the deputy's deputy */
	absence("D-0002", "2026-11-21T09:00:00", "2026-11-21T10:00:00", "D-0003");
	expect_step(doctor, 0, "2026-11-21T09:30:00", "0 D-0003 deputy");
	/* nobody instead: the next step; of two absences the one that began last */
	absence("D-0001", "2026-11-21T12:00:00", "2026-11-21T13:00:00", "");
	expect_step(doctor, 0, "2026-11-21T12:30:00", "1 D-0005 chain");
	expect_step(doctor, 0, "2026-11-21T13:00:00", "0 D-0002 deputy");
	/* a circle */
	absence("D-0002", "2026-11-21T14:00:00", "2026-11-21T15:00:00", "D-0001");
	expect_step(doctor, 0, "2026-11-21T14:00:00", "1 D-0005 chain");
	expect_step(doctor, 2, "2026-11-21T14:00:00", "2 H-0001 chain");
	expect_step(doctor, 4, "2026-11-21T14:00:00", "20 S-0001 staff");
}

/* Five deputies one for the other, and no sixth. */
static void test_deputies(void **state)
{
	char from[8], to[8];
	(void)state;
	absence("D-0001", "2026-11-21T00:00:00", "2026-11-22T00:00:00", "N-1");
	for (int i = 1; i < 5; i++) {
		snprintf(from, sizeof(from), "N-%d", i);
		snprintf(to, sizeof(to), "N-%d", i + 1);
		absence(from, "2026-11-21T00:00:00", "2026-11-22T00:00:00", to);
	}
	expect_step(doctor, 0, "2026-11-21T08:00:00", "0 N-5 deputy");
	absence("N-5", "2026-11-21T08:00:00", "2026-11-22T00:00:00", "N-6");
	expect_step(doctor, 0, "2026-11-21T08:00:00", "1 D-0005 chain");
	/* nobody anywhere: the site's contact, whether absent or not */
	absence("D-0005", "2026-11-21T08:00:00", "2026-11-22T00:00:00", "");
	absence("H-0001", "2026-11-21T08:00:00", "2026-11-22T00:00:00", "");
	expect_step(doctor, 0, "2026-11-21T08:00:00", "3 H-0009 institution");
	absence("H-0009", "2026-11-21T08:00:00", "2026-11-22T00:00:00", "");
	absence("S-0001", "2026-11-21T08:00:00", "2026-11-22T00:00:00", "S-0002");
	expect_step(doctor, 0, "2026-11-21T08:00:00", "20 S-0001 staff");
}

static void test_duty(void **state)
{
	(void)state;
	rig_script(&rig,
		"INSERT INTO team(team,member,role,hours) VALUES('T-1','D-0001','doctor',"
		"'mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00'),('T-1','D-0007','doctor',''),"
		"('T-2','D-0005','doctor','mon-fri 08:00-17:00'),('T-3','H-0001','doctor','broken')");
	expect_step(doctor, 0, "2026-11-20T08:00:00", "0 D-0001 doctor"); /* a Friday */
	/* outside its hours, and nobody has the duty */
	expect_step(doctor, 0, "2026-11-20T12:00:00", "0 D-0001 doctor");
	duty("T-1", "D-0007", "2026-11-20T12:00:00", "2026-11-21T12:00:00");
	expect_step(doctor, 0, "2026-11-20T11:59:59", "0 D-0001 doctor");
	expect_step(doctor, 0, "2026-11-20T12:00:00", "0 D-0007 duty");
	expect_step(doctor, 0, "2026-11-20T14:00:00", "0 D-0001 doctor");
	expect_step(doctor, 0, "2026-11-20T17:30:00", "0 D-0007 duty");
	expect_step(doctor, 0, "2026-11-21T07:59:00", "0 D-0007 duty");
	expect_step(doctor, 0, "2026-11-21T12:00:00", "0 D-0001 doctor");
	/* of two the one that began last, when not absent itself */
	duty("T-1", "D-0008", "2026-11-20T20:00:00", "2026-11-21T06:00:00");
	expect_step(doctor, 0, "2026-11-20T21:00:00", "0 D-0008 duty");
	absence("D-0008", "2026-11-20T20:00:00", "2026-11-20T22:00:00", "D-0099");
	expect_step(doctor, 0, "2026-11-20T21:00:00", "0 D-0007 duty");
	expect_step(doctor, 0, "2026-11-20T22:00:00", "0 D-0008 duty");
	/* of another team: not for this one */
	expect_step(doctor, 1, "2026-11-20T21:00:00", "1 D-0005 chain");
	/* hours that cannot be read, always */
	duty("T-3", "D-0009", "2026-11-20T12:00:00", "2026-11-21T12:00:00");
	expect_step(doctor, 2, "2026-11-20T21:00:00", "2 H-0001 chain");
	/* who has the duty oneself is who one is */
	duty("T-1", "D-0001", "2026-11-20T22:30:00", "2026-11-20T23:00:00");
	expect_step(doctor, 0, "2026-11-20T22:45:00", "0 D-0001 doctor");
	/* absent, with a deputy: that one, whatever the hour */
	absence("D-0001", "2026-11-20T22:00:00", "2026-11-20T22:10:00", "D-0005");
	expect_step(doctor, 0, "2026-11-20T22:05:00", "0 D-0005 deputy");
	/* of two teams with hours the first, unless the other is the resident's */
	rig_script(&rig,
		"INSERT INTO team VALUES('T-0','D-0001','doctor',''),('T-4','D-0001','doctor',"
		"'mon-sun 20:00-24:00')");
	expect_step(doctor, 0, "2026-11-20T21:00:00", "0 D-0007 duty");
	rig_script(&rig, "UPDATE resident SET team='T-4' WHERE id=1");
	expect_step(doctor, 0, "2026-11-20T21:00:00", "0 D-0001 doctor");
	rig_script(&rig, "UPDATE resident SET team='T-0' WHERE id=1");
	expect_step(doctor, 0, "2026-11-20T21:00:00", "0 D-0007 duty");
}

/* Told again where nobody is behind: the present step, or the last before it that has somebody. */
static void test_back(void **state)
{
	struct rota_person p;
	int64_t noon = at("2026-11-21T12:00:00");
	(void)state;
#define BACK(from) rota_step_back(&rig.gateway, rig.db, &doctor, from, noon, &p)
	assert_int_equal(BACK(3), 3);
	assert_string_equal(p.token, "H-0009");
	assert_int_equal(BACK(7), 3); /* there were more steps */
	absence("H-0009", "2026-11-21T00:00:00", "2026-11-22T00:00:00", "");
	absence("H-0001", "2026-11-21T00:00:00", "2026-11-22T00:00:00", "");
	assert_int_equal(BACK(3), 1);
	assert_string_equal(p.token, "D-0005");
	assert_int_equal(BACK(0), 0);
	assert_string_equal(p.token, "D-0001");
	absence("D-0001", "2026-11-21T00:00:00", "2026-11-22T00:00:00", "");
	assert_int_equal(BACK(0), ROTA_STEPS_MAX);
	assert_string_equal(p.token, "S-0001");
}

static void test_knows(void **state)
{
	static const char *const known[] = {"S-0001", "S-0002", "S-0003", "S-0004", "H-0009",
		"D-0001", "D-0002", "D-0005", "H-0001", "N-0001"};
	static const char *const unknown[] = {
		"", "D-000", "D-00011", "S-0003;S-0001", "D-0005;D-0001", "T-1", "R-0001"};
	(void)state;
	rig_script(&rig, "INSERT INTO team VALUES('T-1','N-0001','nurse','')");
	for (size_t i = 0; i < ELEMENTS(known); i++)
		assert_true(rota_knows(&rig.gateway, rig.db, known[i]));
	for (size_t i = 0; i < ELEMENTS(unknown); i++)
		assert_false(rota_knows(&rig.gateway, rig.db, unknown[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bare, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_long_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deputies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_knows, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rota", tests, NULL, NULL);
}
