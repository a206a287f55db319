/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A study that arrived while our clock was wrong. */
#include "study_rig.h"

#include "log.h"

#define HOUR (3600 * CLOCK_SECOND_US)
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK STUDY_CART "zone: Asia/Shanghai\n");
	rig_residents(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static int redate(int64_t row, int64_t arrived_us)
{
	rig_script(&rig, "BEGIN IMMEDIATE");
	int rc = study_redate(&rig.gateway, rig.db, row, arrived_us);
	rig_script(&rig, rc < 0 ? "ROLLBACK" : "COMMIT");
	return rc;
}

/* The cart says 19:00, which is 11:00 UTC. By a clock that was a day behind that could not be. */
static void test_decoded(void **state)
{
	(void)state;
	int64_t row = study_filed(&rig, 1, 100, STUDY_PLAIN);
	rig_script(&rig, "UPDATE study SET arrived=arrived-86400000000, taken=arrived-86400000000, "
			 "trust='arrival'");
	assert_int_equal(redate(row, RIG_NOW), 1);
	study_expect(&rig, "SELECT trust||' '||datetime(taken/1000000,'unixepoch') FROM study",
		"device 2026-11-18 11:00:00");
	assert_true(rig_int(&rig, "SELECT arrived FROM study") == RIG_NOW);
	assert_true(rig_int(&rig, "SELECT revision FROM study") > 1);
	assert_int_equal(
		COUNT("outbox o JOIN study s ON o.uuid=s.uuid AND o.revision=s.revision WHERE "
		      "o.kind=4"),
		1);
	assert_int_equal(redate(row, RIG_NOW), 0); /* it is so already */
	assert_int_equal(redate(99, RIG_NOW), -ENOENT);
}

/* Who is lent the cart at the time that is right. */
static void test_whose(void **state)
{
	(void)state;
	int64_t row = study_filed(&rig, 1, 100, STUDY_PLAIN);
	rig_bind(&rig, 1);
	rig_script(&rig, "UPDATE binding SET valid_from=1794990000000000"); /* 08:20 UTC */
	assert_int_equal(rig_int(&rig, "SELECT resident IS NULL FROM study"), 1);
	assert_int_equal(redate(row, RIG_NOW + HOUR), 1);
	assert_int_equal(rig_int(&rig, "SELECT resident FROM study"), 1);
	assert_int_equal(rig_int(&rig, "SELECT resident FROM reading WHERE superseded=0"), 1);
}

/* One that still waits for its decoder is dated when that has read it. */
static void test_undecoded(void **state)
{
	(void)state;
	int64_t row = study_new(&rig, 1, 100);
	rig_script(&rig, "UPDATE study SET arrived=1000000");
	assert_int_equal(redate(row, RIG_NOW), 1);
	study_expect(&rig, "SELECT status||' '||revision FROM study", "undecoded 0");
	assert_int_equal(study_says(&rig, row, STUDY_PLAIN), 0);
	study_expect(&rig, "SELECT trust||' '||datetime(taken/1000000,'unixepoch') FROM study",
		"device 2026-11-18 11:00:00");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_decoded),
		T(test_whose),
		T(test_undecoded),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
