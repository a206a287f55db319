/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stored readings, judged again: they are another resident's, for sure or in doubt, one or several. */
#include "alerts_rig.h"

#include "reassess.h"

static int assign(const struct uuid *reading, int64_t resident)
{
	return intake_assign(&rig.gateway, rig.db, reading, resident);
}

static void test_wrong_person(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	assert_int_equal(assign(&id, 2), 0);
	expect(RAISED
		"; end inactive 0/3 doctor unconfirmed withdrawn wrong_person\nbp-high R-0002: "
		"start active 3/3 doctor unconfirmed late");
	expect_text("SELECT group_concat(recipient) FROM (SELECT * FROM alert ORDER BY id)",
		"D-0001,D-0002");
	assert_int_equal(COUNT("escalation"), 1);
	/* nobody's: likewise */
	assert_int_equal(assign(&id, 0), 0);
	expect_text("SELECT group_concat(state||coalesce(resident,'-')) FROM (SELECT * FROM alert "
		    "ORDER BY id)",
		"inactive1,inactive2,active-");
	/* and back: the same alert, anew */
	assert_int_equal(assign(&id, 1), 0);
	assert_int_equal(COUNT("alert"), 3);
	expect_text("SELECT state||phase||revision||raised_revision||readings FROM alert WHERE "
		    "resident=1",
		"activestart331");
	expect_text("SELECT state||labels FROM alert WHERE resident IS NULL",
		"inactive[\"unconfirmed\",\"withdrawn\",\"wrong_person\"]");
}

static void test_others_are_left(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	struct uuid second = deliver(60, 185, 95);
	deliver(120, 163, 95);
	assert_int_equal(assign(&second, 2), 0);
	expect_text(
		"SELECT group_concat(phase||' '||state||' '||level||severity||labels,'; ') FROM "
		"(SELECT h.* FROM alert_history h JOIN alert a ON a.uuid=h.alert WHERE "
		"resident=1 ORDER BY revision)",
		"start active 2warning[]; escalate active 3critical[\"unconfirmed\"]; deescalate "
		"active 2critical[\"unconfirmed\",\"downgraded\"]; deescalate active "
		"2warning[\"downgraded\"]");
	expect_text("SELECT json_extract(body,'$.rules[0].value')||' '||readings||' '||"
		    "coalesce(critical_at,'-') FROM alert WHERE resident=1",
		"163 2 -");
}

/* What a device says of itself is no proof: the alert stays, in doubt. */
static void test_identity_changed(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	rig_script(&rig, "UPDATE binding SET resident=2");
	assert_int_equal(reassess(&rig.gateway, rig.db, &id, NULL), 1);
	expect(RAISED
		"; update active 3/3 doctor unconfirmed identity_changed\nbp-high R-0002: start "
		"active 3/3 doctor unconfirmed late");
	/* and back: it is in it already, which is no news; hers is in doubt as well */
	rig_script(&rig, "UPDATE binding SET resident=1");
	assert_int_equal(reassess(&rig.gateway, rig.db, &id, NULL), 1);
	expect_text(
		"SELECT group_concat(resident||':'||revision||labels,' ') FROM (SELECT * FROM alert "
		"ORDER BY id)",
		"1:2[\"unconfirmed\",\"identity_changed\"] "
		"2:2[\"unconfirmed\",\"identity_changed\"]");
	/* somebody knows: it leaves what it was never of */
	assert_int_equal(assign(&id, 2), 0);
	expect_text("SELECT group_concat(state) FROM (SELECT * FROM alert ORDER BY id)",
		"inactive,active");
	assert_int_equal(assign(&id, 3), 0);
	expect_text("SELECT group_concat(state||resident) FROM (SELECT * FROM alert ORDER BY id)",
		"inactive1,inactive2,active3");
}

/* One command, several readings: all are filed, then each leaves and is judged, the first one first. */
static void test_held(void **state)
{
	(void)state;
	struct uuid a = deliver(0, 185, 95), b = deliver(60, 165, 95);
	alerts_hold(&rig.gateway);
	assert_int_equal(assign(&b, 2), 0);
	assert_int_equal(assign(&a, 2), 0);
	assert_int_equal(COUNT("alert WHERE resident=2"), 0);
	assert_int_equal(alerts_release(&rig.gateway, rig.db, 0), 0);
	expect_text("SELECT count(*)||group_concat(reading=(SELECT uuid FROM reading WHERE id=1)) "
		    "FROM alert WHERE resident=2",
		"11");
	assert_null(rig.gateway.held);
	alerts_hold(&rig.gateway);
	assert_int_equal(assign(&b, 1), 0);
	assert_int_equal(alerts_release(&rig.gateway, rig.db, -EIO), -EIO);
	assert_null(rig.gateway.held);
}

/* It came in an earlier boot, by a clock that was ahead: for its clean repeat nobody waits longer than for another's. */
static void test_clock_was_ahead(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95, .flag = "body_movement");
	rig_script(&rig,
		"DELETE FROM pending_repeat; UPDATE reading SET boot_id=zeroblob(16), boot_us=5, "
		"arrived=arrived+315360000000000, taken=taken+315360000000000, trust='unknown'");
	assert_int_equal(assign(&id, 2), 0);
	assert_int_equal(COUNT("pending_repeat"), 1);
	assert_true(rig_int(&rig, "SELECT due_boot FROM pending_repeat") <=
		    clock_boot_us() + 600 * CLOCK_SECOND_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_wrong_person),
		T(test_others_are_left),
		T(test_identity_changed),
		T(test_held),
		T(test_clock_was_ahead),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
