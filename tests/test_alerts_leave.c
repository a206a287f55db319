/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readings that leave their alerts: void, an artefact, corrected; and what ended an alert and was none. */
#include "alerts_rig.h"

#include "person.h"
#include "reassess.h"

static void test_void(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 185, 95);
	deliver(60, 165, 95);
	assert_int_equal(person_void(&rig.gateway, rig.db, &id, "movement", NULL), 0);
	expect(RAISED
		"; deescalate active 2/3 doctor unconfirmed downgraded; deescalate active 2/2 "
		"doctor downgraded");
	deliver(120, 166, 95);
	assert_int_equal(COUNT("alert_reading"), 2);
	/* it is void, and nobody's any more */
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), -ECANCELED);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_void_the_last(void **state)
{
	(void)state;
	struct uuid id = deliver(0, 165, 95);
	assert_int_equal(person_void(&rig.gateway, rig.db, &id, "movement", NULL), 0);
	expect("bp-high R-0001: start active 2/2 doctor; end inactive 0/2 doctor withdrawn voided");
	/* what was withdrawn was not told today */
	deliver(60, 165, 95);
	assert_int_equal(COUNT("alert"), 2);
}

/* The reading that ended it is none: it goes on. */
static void test_void_the_end(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	struct uuid good = deliver(60, 120, 80);
	assert_int_equal(person_void(&rig.gateway, rig.db, &good, "loose", NULL), 0);
	expect(RAISED
		"; end latched 0/3 doctor unconfirmed resolved_by_repeat; continue active 3/3 "
		"doctor unconfirmed");
	good = deliver(120, 121, 80);
	rig_script(&rig, "UPDATE binding SET resident=2");
	assert_int_equal(reassess(&rig.gateway, rig.db, &good, NULL), 1);
	expect_text("SELECT state||level||revision||(ended IS NULL)||(ended_by IS NULL) FROM alert",
		"active3511");
}

static void test_artefact(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	deliver(60, 185, 95);
	struct uuid alert = alert_of("bp-high");
	assert_int_equal(acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), 0);
	expect("bp-high R-0001: start active 2/2 doctor; escalate active 3/3 doctor unconfirmed; "
	       "deescalate active 2/2 doctor");
	expect_text("SELECT group_concat(coalesce(ack_outcome,'-')) FROM (SELECT * FROM "
		    "alert_history ORDER BY revision)",
		"-,-,artefact");
	assert_int_equal(COUNT("escalation"), 1); /* nobody acknowledged what is left */
	assert_int_equal(acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), 0);
	expect_text("SELECT state||labels||(acked IS NULL) FROM alert",
		"inactive[\"withdrawn\",\"artefact\"]1");
	assert_int_equal(
		acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), -EALREADY);
}

/* It was over before anybody said that it never was. */
static void test_artefact_of_a_closed_one(void **state)
{
	(void)state;
	deliver(0, 165, 95);
	deliver(60, 120, 80);
	struct uuid alert = alert_of("bp-high");
	assert_int_equal(acknowledge_artefact(&rig.gateway, rig.db, &alert, "local:D-0001"), 0);
	expect("bp-high R-0001: start active 2/2 doctor; end inactive 0/2 doctor; end inactive 0/2 "
	       "doctor withdrawn artefact");
}

static void test_corrected(void **state)
{
	(void)state;
	deliver(0, 185, 95, .identity = "1");
	deliver(60, 120, 80, .identity = "1", .corrected = true);
	expect(RAISED "; end latched 0/3 doctor unconfirmed corrected");
	deliver(120, 165, 95, .identity = "1", .corrected = true);
	expect(RAISED "; end latched 0/3 doctor unconfirmed corrected; continue active 2/3 doctor "
		      "unconfirmed");
	deliver(180, 190, 95, .identity = "1", .corrected = true);
	expect_text("SELECT revision||phase||level||readings||labels FROM alert",
		"5continue31[\"unconfirmed\"]");
}

/* Nobody's: its own alert goes on. */
static void test_corrected_of_nobody(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	deliver(0, 185, 95, .identity = "1");
	deliver(60, 190, 95, .identity = "1", .corrected = true);
	expect("bp-high -: start active 3/3 staff unconfirmed unassigned; end latched 0/3 staff "
	       "unconfirmed corrected unassigned; continue active 3/3 staff unconfirmed unassigned");
}

/* A warning is over by it, and raised anew: the same alert. */
static void test_corrected_and_raised_anew(void **state)
{
	(void)state;
	deliver(0, 185, 95, .identity = "1");
	acknowledge("bp-high");
	deliver(60, 190, 95, .identity = "1", .corrected = true);
	expect(RAISED "; update active 3/3 doctor unconfirmed; end inactive 0/3 doctor unconfirmed "
		      "corrected; start active 3/3 doctor unconfirmed");
	expect_text("SELECT (acked IS NULL)||raised_revision||readings||joined FROM alert", "1411");
	/* of a void one nothing is said */
	struct uuid id = deliver(100, 120, 80, .identity = "2");
	assert_int_equal(person_void(&rig.gateway, rig.db, &id, "x", NULL), 0);
	deliver(120, 195, 95, .identity = "2", .corrected = true);
	assert_int_equal(COUNT("alert_reading"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_void),
		T(test_void_the_last),
		T(test_void_the_end),
		T(test_artefact),
		T(test_artefact_of_a_closed_one),
		T(test_corrected),
		T(test_corrected_of_nobody),
		T(test_corrected_and_raised_anew),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
