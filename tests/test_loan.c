/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cuff goes from one resident to the next, and no record takes the wrong name with it. */
#include "gateway_rig.h"

#include "loan.h"
#include "util.h"

#define S CLOCK_SECOND_US
#define HOUR (3600 * S)

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

static struct loan to(int64_t resident)
{
	return (struct loan){rig.cuff, resident, -1, "S-0001"};
}

static void drained(int64_t at_us)
{
	assert_int_equal(loan_drained(&rig.gateway, rig.db, rig.cuff, at_us), 0);
}

static bool hand_over(int64_t resident, int64_t at_us)
{
	struct loan l = to(resident);
	bool waits;
	assert_int_equal(loan_handover(rig.db, &l, at_us, &waits), 0);
	return waits;
}

/* Whose a pressure is that was taken at `taken_us`, with a clock that was compared: "R-0001 device_binding". */
static void expect_owner(int64_t taken_us, const char *expected)
{
	static int serial;
	char identity[16], text[96];
	struct vg_civil c = clock_civil(taken_us);
	snprintf(identity, sizeof(identity), "%d", serial++);
	struct unit *u = rig_unit(&rig);
	u->offset_known = true;
	u->arrived_us = RIG_NOW + 100 * HOUR;
	rig_add(&rig, u, &(struct rig_bp){128, 82, 70, .identity = identity, .taken = &c});
	assert_int_equal(rig_file(&rig, u), 0);
	rig_text(&rig, text, sizeof(text),
		"SELECT coalesce(token,'-')||' '||evidence FROM reading LEFT JOIN resident ON "
		"resident.id=reading.resident ORDER BY reading.id DESC LIMIT 1");
	assert_string_equal(text, expected);
}

/* Its memory is told first; what was measured between is nobody's. */
static void test_waits_for_the_memory(void **state)
{
	(void)state;
	struct loan first = to(1);
	assert_int_equal(loan_bind(rig.db, &first, RIG_NOW, INT64_MAX), 0);
	drained(RIG_NOW + HOUR);
	assert_true(hand_over(2, RIG_NOW + 10 * HOUR));
	expect_owner(RIG_NOW + 9 * HOUR, "R-0001 device_binding");
	expect_owner(RIG_NOW + 11 * HOUR, "- not_bound");
	drained(RIG_NOW + 12 * HOUR);
	expect_owner(RIG_NOW + 9 * HOUR, "R-0001 device_binding");
	expect_owner(RIG_NOW + 11 * HOUR, "- not_bound");
	expect_owner(RIG_NOW + 13 * HOUR, "R-0002 device_binding");
	/* once */
	drained(RIG_NOW + 14 * HOUR);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM binding"), 2);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE type='handed_over'"), 1);
}

static void test_has_no_memory(void **state)
{
	(void)state;
	struct loan first = to(1);
	assert_int_equal(loan_bind(rig.db, &first, RIG_NOW, INT64_MAX), 0);
	assert_false(hand_over(2, RIG_NOW + 10 * HOUR));
	expect_owner(RIG_NOW + 9 * HOUR, "R-0001 device_binding");
	expect_owner(RIG_NOW + 10 * HOUR, "R-0002 device_binding");
}

/* Back into the cupboard: at once, there is nobody to wait for. */
static void test_to_nobody(void **state)
{
	(void)state;
	struct loan first = to(1);
	assert_int_equal(loan_bind(rig.db, &first, RIG_NOW, INT64_MAX), 0);
	drained(RIG_NOW + HOUR);
	assert_false(hand_over(0, RIG_NOW + 10 * HOUR));
	expect_owner(RIG_NOW + 9 * HOUR, "R-0001 device_binding");
	expect_owner(RIG_NOW + 11 * HOUR, "- not_bound");
}

/* A second thought: the later order counts, a plain binding ends the waiting. */
static void test_second_thoughts(void **state)
{
	(void)state;
	drained(RIG_NOW);
	assert_true(hand_over(1, RIG_NOW + HOUR));
	assert_true(hand_over(2, RIG_NOW + 2 * HOUR));
	drained(RIG_NOW + 3 * HOUR);
	expect_owner(RIG_NOW + 4 * HOUR, "R-0002 device_binding");
	assert_true(hand_over(1, RIG_NOW + 5 * HOUR));
	struct loan second = to(2);
	assert_int_equal(loan_bind(rig.db, &second, RIG_NOW + 6 * HOUR, INT64_MAX), 0);
	drained(RIG_NOW + 7 * HOUR);
	expect_owner(RIG_NOW + 8 * HOUR, "R-0002 device_binding");
}

/* What is told in the same breath as "that was all" was still in the memory. */
static void test_told_with_the_last_word(void **state)
{
	(void)state;
	char text[96];
	struct loan first = to(1);
	assert_int_equal(loan_bind(rig.db, &first, RIG_NOW - 100 * HOUR, INT64_MAX), 0);
	drained(RIG_NOW - 50 * HOUR);
	assert_true(hand_over(2, RIG_NOW - HOUR));
	struct vg_civil c =
		clock_civil(RIG_NOW + 120 * S); /* its clock is ahead, and cannot be read */
	struct unit *u = rig_unit(&rig);
	unit_add_event(u, "drained");
	rig_add(&rig, u, &(struct rig_bp){128, 82, 70, .identity = "z", .taken = &c});
	assert_int_equal(rig_file(&rig, u), 0);
	rig_text(&rig, text, sizeof(text),
		"SELECT coalesce(resident,'-')||' '||evidence FROM reading");
	assert_string_equal(text, "- not_bound");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM handover"), 0);
}

/* Another instrument at the address of the enrolled one has no say in its memory, its clock and its loans. */
static void test_a_stranger_changes_nothing(void **state)
{
	(void)state;
	char text[96];
	struct loan first = to(1);
	assert_int_equal(loan_bind(rig.db, &first, RIG_NOW - HOUR, INT64_MAX), 0);
	drained(RIG_NOW - HOUR);
	rig_script(&rig, "INSERT INTO mark(device,key,value) VALUES(1,'records',x'6400')");
	assert_true(hand_over(2, RIG_NOW));
	struct unit *u = rig_unit(&rig);
	u->stranger = true;
	u->offset_known = true;
	u->offset_us = 77 * S;
	u->serial = 5;
	u->marks = calloc(1, sizeof(*u->marks));
	memcpy(u->marks->key, "records", 8);
	u->marks->value[0] = 0x88;
	u->marks->len = 2;
	unit_add_event(u, "drained");
	assert_int_equal(rig_file(&rig, u), 0);
	rig_text(&rig, text, sizeof(text), "SELECT hex(value) FROM mark");
	assert_string_equal(text, "6400");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM handover"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM device_offset"), 0);
}

/* One slot changes hands, the other stays. */
static void test_slot(void **state)
{
	(void)state;
	struct loan one = to(1), two = to(2);
	one.slot = 1;
	two.slot = 2;
	assert_int_equal(loan_bind(rig.db, &one, RIG_NOW, INT64_MAX), 0);
	assert_int_equal(loan_bind(rig.db, &two, RIG_NOW, INT64_MAX), 0);
	drained(RIG_NOW);
	struct loan next = to(3);
	next.slot = 1;
	bool waits;
	assert_int_equal(loan_handover(rig.db, &next, RIG_NOW + HOUR, &waits), 0);
	drained(RIG_NOW + 2 * HOUR);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM binding WHERE valid_to IS NULL"), 2);
	assert_int_equal(rig_int(&rig, "SELECT user_slot FROM binding WHERE resident=3"), 1);
	assert_int_equal(rig_int(&rig, "SELECT valid_to IS NULL FROM binding WHERE resident=2"), 1);
}

/* Two slots change hands at once: neither stops the other, nor does a plain binding of another slot. */
static void test_two_slots(void **state)
{
	(void)state;
	drained(RIG_NOW);
	bool waits;
	for (int slot = 1; slot <= 2; slot++) {
		struct loan l = to(slot);
		l.slot = slot;
		assert_int_equal(loan_handover(rig.db, &l, RIG_NOW + HOUR, &waits), 0);
		assert_true(waits);
	}
	struct loan third = to(3);
	third.slot = 3;
	assert_int_equal(loan_bind(rig.db, &third, RIG_NOW + HOUR, INT64_MAX), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM handover"), 2);
	drained(RIG_NOW + 2 * HOUR);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM handover"), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM binding WHERE valid_to IS NULL"), 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_waits_for_the_memory),
		TEST(test_has_no_memory), TEST(test_to_nobody), TEST(test_second_thoughts),
		TEST(test_told_with_the_last_word), TEST(test_a_stranger_changes_nothing),
		TEST(test_slot), TEST(test_two_slots)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("loan", tests, NULL, NULL);
}
