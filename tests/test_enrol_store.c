/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A name that was used before: nothing of the instrument that had it comes to the next one. */
#include "gateway_rig.h"

#include "enrol_store.h"
#include "loan.h"
#include "util.h"

#define HOUR (3600 * CLOCK_SECOND_US)

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

static void bind(int64_t resident, int64_t from_us)
{
	struct loan l = {rig.cuff, resident, -1, "S-0001"};
	assert_int_equal(loan_bind(rig.db, &l, from_us, INT64_MAX), 0);
}

/* A pressure from the memory of an instrument: whose it becomes. */
static void expect_owner(const char *uid, int64_t taken_us, const char *expected)
{
	static int serial;
	char identity[16], text[96];
	struct vg_civil c = clock_civil(taken_us);
	snprintf(identity, sizeof(identity), "%d", serial++);
	struct unit *u = rig_unit(&rig);
	text_copy(u->uid, sizeof(u->uid), uid, strlen(uid));
	u->offset_known = true;
	u->arrived_us = RIG_NOW + 48 * HOUR;
	rig_add(&rig, u, &(struct rig_bp){128, 82, 70, .identity = identity, .taken = &c});
	assert_int_equal(rig_file(&rig, u), 0);
	rig_text(&rig, text, sizeof(text),
		"SELECT coalesce(token,'-')||' '||evidence FROM reading LEFT JOIN resident ON "
		"resident.id=reading.resident ORDER BY reading.id DESC LIMIT 1");
	assert_string_equal(text, expected);
}

static void test_residents_of_the_one_before(void **state)
{
	(void)state;
	bind(1, RIG_NOW - 1000 * HOUR);
	expect_owner("sn:OLD", RIG_NOW - 600 * HOUR, "R-0001 device_binding");
	assert_int_equal(enrol_store_forget(rig.db, "cuff-1"), 0);
	bind(2, RIG_NOW);
	expect_owner("sn:NEW", RIG_NOW - 500 * HOUR, "- not_bound");
	expect_owner("sn:NEW", RIG_NOW + HOUR, "R-0002 device_binding");
}

static void test_what_was_yet_to_begin(void **state)
{
	(void)state;
	bind(1, RIG_NOW + 24 * HOUR);
	rig_script(&rig, "UPDATE device SET drained=1");
	struct loan l = {rig.cuff, 2, -1, "S-0001"};
	bool waits;
	assert_int_equal(loan_handover(rig.db, &l, RIG_NOW, &waits), 0);
	assert_int_equal(enrol_store_forget(rig.db, "cuff-1"), 0);
	expect_owner("sn:NEW", RIG_NOW + 25 * HOUR, "- not_bound");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM handover"), 0);
}

static void test_clock_and_memory(void **state)
{
	(void)state;
	rig_script(&rig,
		"INSERT INTO mark(device,key,value) VALUES(1,'records',x'6400');"
		"INSERT INTO device_offset(device,at,boot_id,boot_us,offset_us) VALUES(1,1,x'00',1,5);"
		"UPDATE device SET uid='sn:OLD'");
	assert_int_equal(enrol_store_forget(rig.db, "cuff-1"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM mark"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 0);
	assert_int_equal(rig_int(&rig, "SELECT uid IS NULL FROM device"), 1);
	assert_int_equal(enrol_store_forget(rig.db, "nobody"), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_residents_of_the_one_before),
		TEST(test_what_was_yet_to_begin), TEST(test_clock_and_memory)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("enrol_store", tests, NULL, NULL);
}
