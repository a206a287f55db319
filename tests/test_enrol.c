/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The window and the state machine of enrolment, over a bluetoothd, devices and a store that only take notes. */
#include "enrol_rig.h"

static void test_without_pairing(void **state)
{
	(void)state;
	struct enrol_whose w = {.station = "desk", .n = 1, .of = {{"R-0001", -1}}};
	to_whose();
	assert_int_equal(r.n_pairs, 0);
	assert_false(r.running.pairing);
	assert_true(r.running.trial && r.running.random_address);
	assert_int_equal(enrol_finish(&r.e, &w, r.now), 0);
	expect(ENROL_SAVING);
	assert_true(r.running.test); /* until it is written down */
	enrol_saved(&r.e, r.e.serial, 0, "", "", r.now);
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_FINE);
	assert_string_equal(r.e.last_id, "cuff-2");
	assert_false(r.running.test || r.running.trial);
	assert_true(r.running.enrolled);
	assert_string_equal(r.running.station, "desk");
	assert_string_equal(r.whose.of[0].resident, "R-0001");
	assert_int_equal(enrol_close(&r.e, ENROL_GIVEN_UP), 0);
	assert_string_equal(r.running.id, "cuff-2"); /* what is done stays */
	assert_string_equal(r.forgotten, "");
}

static void test_outside_the_window_nothing_goes(void **state)
{
	(void)state;
	struct enrol_wish w = {.address = ADDRESS, .id = "cuff-2"};
	struct enrol_whose whose = {0};
	assert_int_equal(enrol_begin(&r.e, &w, NULL, r.now), -EPERM);
	assert_int_equal(enrol_finish(&r.e, &whose, r.now), -EPERM);
	assert_int_equal(enrol_passkey(&r.e, 1, r.now), -ENOENT);
	enrol_asked(&r.e, BLUEZ_PAIR_TYPE_PASSKEY, 0);
	assert_int_equal(enrol_passkey(&r.e, 1, r.now), -ENOENT);
	paired(0);
	enrol_prepared(&r.e, r.e.serial, 0, r.now);
	enrol_saved(&r.e, r.e.serial, 0, "", "", r.now);
	tick();
	expect(ENROL_CLOSED);
	expect_nothing_left();
}

static void test_one_window_and_one_instrument_at_a_time(void **state)
{
	(void)state;
	struct enrol_wish w = {.address = ADDRESS, .id = "x"};
	begin(NULL);
	assert_int_equal(enrol_open(&r.e, "local:other", r.now), -EBUSY);
	assert_int_equal(enrol_begin(&r.e, &w, NULL, r.now), -EBUSY);
	uint32_t window = r.e.window;
	enrol_close(&r.e, ENROL_GIVEN_UP);
	assert_int_equal(enrol_open(&r.e, "local:other", r.now), 0);
	assert_int_not_equal(r.e.window, window);
}

static void test_just_works(void **state)
{
	(void)state;
	r.needs_pairing = true;
	begin(NULL);
	prepare();
	expect(ENROL_PAIRING);
	paired(0);
	expect(ENROL_TRIAL);
	assert_true(r.running.pairing);
}

/* A private address is good for minutes: the one that was told in pairing stays. */
static void test_private_address(void **state)
{
	(void)state;
	static const struct bluez_seen identity = {.address = "00:AA:01:01:00:01"};
	r.address = "69:6C:00:00:00:01";
	r.paired_as = &identity;
	begin(NULL);
	prepare();
	expect(ENROL_PAIRING); /* whatever its model needs */
	paired(0);
	expect(ENROL_TRIAL);
	assert_string_equal(r.running.address, identity.address);
	assert_string_equal(r.running.adapter, "hci0");
	assert_false(r.running.random_address);
	assert_true(r.running.pairing);
	enrol_close(&r.e, ENROL_GIVEN_UP);
	assert_string_equal(r.forgotten, "00:AA:01:01:00:01 ");
}

static void test_paired_before_needs_no_pairing(void **state)
{
	(void)state;
	r.needs_pairing = true;
	r.bonded = 1;
	begin(NULL);
	prepare();
	expect(ENROL_TRIAL);
	assert_int_equal(r.n_pairs, 0);
	enrol_close(&r.e, ENROL_GIVEN_UP);
	assert_string_equal(r.forgotten, ""); /* it is not ours to remove */
}

static void test_a_wrong_passkey_is_asked_again(void **state)
{
	(void)state;
	r.needs_pairing = true;
	begin(NULL);
	prepare();
	enrol_asked(&r.e, BLUEZ_PAIR_TYPE_PASSKEY, 0);
	assert_true(r.e.asks);
	assert_int_equal(enrol_confirm(&r.e, true, r.now), -ENOENT);
	assert_int_equal(enrol_passkey(&r.e, 111111, r.now), 0);
	assert_int_equal(r.passkey, 111111);
	assert_int_equal(enrol_passkey(&r.e, 111111, r.now), -ENOENT);
	paired(-EACCES);
	expect(ENROL_SEEKING);
	assert_int_equal(r.e.note, ENROL_PAIRING_REFUSED);
	wait_for(ENROL_PAIRING);
	assert_false(r.e.asks);
	enrol_asked(&r.e, BLUEZ_PAIR_TYPE_PASSKEY, 0);
	assert_int_equal(enrol_passkey(&r.e, 123456, r.now), 0);
	paired(0);
	expect(ENROL_TRIAL);
}

static void test_three_refusals_are_enough(void **state)
{
	(void)state;
	r.needs_pairing = true;
	begin(NULL);
	prepare();
	for (int i = 0; i < 3; i++) {
		wait_for(ENROL_PAIRING);
		paired(-EACCES);
	}
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_PAIRING_REFUSED);
	expect_nothing_left();
}

static void test_comparison(void **state)
{
	(void)state;
	r.needs_pairing = true;
	begin(NULL);
	prepare();
	enrol_asked(&r.e, BLUEZ_PAIR_COMPARE, 42);
	assert_int_equal(enrol_passkey(&r.e, 42, r.now), -ENOENT);
	assert_int_equal(enrol_confirm(&r.e, true, r.now), 0);
	assert_true(r.same);
	paired(0);
	expect(ENROL_TRIAL);
}

/* bluetoothd goes and comes: nothing was tried, so nothing is counted, and it goes on until the time is over. */
static void test_bluetoothd_away(void **state)
{
	(void)state;
	r.needs_pairing = true;
	begin(NULL);
	prepare();
	for (int i = 0; i < 10; i++) {
		wait_for(ENROL_PAIRING);
		r.bonded = i % 2 ? -ENOTCONN : -ENOENT;
		paired(i % 2 ? -EIO : -ENOENT);
		r.bonded = 0;
		expect(ENROL_SEEKING);
	}
	r.pair_result = -ENOTCONN;
	for (int i = 0; i < 40; i++)
		tick();
	expect(ENROL_SEEKING);
	assert_true(r.n_pairs < 20); /* paced */
	r.pair_result = 0;
	wait_for(ENROL_PAIRING);
	paired(0);
	expect(ENROL_TRIAL);
}

static void test_giving_up_leaves_nothing(void **state)
{
	(void)state;
	for (int at = 0; at < 5; at++) {
		setup(NULL);
		r.needs_pairing = true;
		begin(NULL);
		if (at >= 1)
			wait_for(ENROL_PREPARING);
		if (at >= 2)
			prepare();
		if (at >= 3)
			paired(0);
		if (at >= 4) {
			r.facts = (struct enrol_facts){
				.link = "connected", .says = "sn:1", .reading = true, .other = ""};
			wait_for(ENROL_WHOSE);
		}
		uint32_t serial = r.e.serial;
		assert_int_equal(enrol_close(&r.e, ENROL_GIVEN_UP), 0);
		expect(ENROL_CLOSED);
		expect_nothing_left();
		assert_int_equal(r.n_cancelled, at == 2);
		assert_string_equal(r.forgotten, at >= 3 ? ADDRESS " " : "");
		assert_int_equal(r.e.last, ENROL_GIVEN_UP);
		/* answers that come too late */
		enrol_open(&r.e, "x", r.now);
		paired(-ECANCELED);
		enrol_prepared(&r.e, serial, 0, r.now);
		enrol_saved(&r.e, serial, 0, "", "", r.now);
		expect(ENROL_LOOKING);
		expect_nothing_left();
	}
}

static void test_a_companion_that_is_gone_closes_the_window(void **state)
{
	(void)state;
	to_whose();
	r.now += ENROL_LEASE_US - 1;
	enrol_tick(&r.e, &r.facts, r.now);
	expect(ENROL_WHOSE);
	r.now += 1;
	enrol_tick(&r.e, &r.facts, r.now);
	expect(ENROL_CLOSED);
	expect_nothing_left();
}

static void test_the_window_ends(void **state)
{
	(void)state;
	begin(NULL);
	r.advertises = false;
	for (int64_t end = r.now + ENROL_WINDOW_US - SECOND; r.now < end;)
		tick();
	expect(ENROL_SEEKING);
	for (int i = 0; i < 5; i++)
		tick();
	expect(ENROL_CLOSED);
	assert_int_equal(r.e.last, ENROL_TIME_OVER);
}

static void test_saving_is_not_interrupted(void **state)
{
	(void)state;
	struct enrol_whose w = {0};
	to_whose();
	enrol_finish(&r.e, &w, r.now);
	assert_int_equal(enrol_close(&r.e, ENROL_GIVEN_UP), -EBUSY);
	r.now += 2 * ENROL_WINDOW_US;
	enrol_tick(&r.e, &r.facts, r.now);
	expect(ENROL_SAVING);
	/* refused by the store: asked again */
	enrol_saved(&r.e, r.e.serial, -ENOENT, "there is no resident R-0009", "", r.now);
	expect(ENROL_WHOSE);
	assert_string_equal(r.e.error, "there is no resident R-0009");
	assert_true(r.running.test);
	assert_int_equal(enrol_finish(&r.e, &w, r.now), 0);
	enrol_saved(&r.e, r.e.serial, 0, "", "", r.now);
	assert_false(r.running.test);
}

static void test_keys_are_asked_for_where_no_model_said_so(void **state)
{
	(void)state;
	begin(NULL);
	prepare();
	expect(ENROL_TRIAL);
	r.facts.link = "unpaired";
	tick();
	expect(ENROL_SEEKING);
	assert_int_equal(r.running.id[0], 0);
	assert_int_equal(r.e.note, ENROL_BOND_LOST_HERE);
	r.facts.link = "";
	wait_for(ENROL_PAIRING);
	paired(0);
	expect(ENROL_TRIAL);
	assert_true(r.running.pairing);
}

static void test_a_bond_that_it_has_forgotten_is_made_anew(void **state)
{
	(void)state;
	r.needs_pairing = true;
	r.bonded = 1;
	begin(NULL);
	prepare();
	r.facts.link = "unpaired";
	tick();
	assert_string_equal(r.forgotten, ADDRESS " ");
	assert_int_equal(r.e.note, ENROL_BOND_LOST_THERE);
	r.facts.link = "";
	wait_for(ENROL_PAIRING);
	paired(0);
	expect(ENROL_TRIAL);
	/* and not for ever */
	for (int i = 0; i < 2; i++) {
		r.facts.link = "unpaired";
		r.bonded = 1;
		tick();
		r.facts.link = "";
		if (r.e.phase == ENROL_LOOKING)
			break;
		wait_for(ENROL_PAIRING);
		paired(0);
	}
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_BOND_LOST_THERE);
	expect_nothing_left();
}

static void test_keys_that_it_refused_before_are_not_tried_again(void **state)
{
	(void)state;
	const struct config_device before = {.id = "cuff-2", .address = ADDRESS};
	struct enrol_wish w = {
		.address = ADDRESS, .id = "cuff-2", .replaces = true, .refused = true};
	r.bonded = 1;
	r.running = before;
	enrol_open(&r.e, "x", r.now);
	enrol_begin(&r.e, &w, &before, r.now);
	prepare();
	expect(ENROL_SEEKING);
	assert_string_equal(r.forgotten, ADDRESS " ");
	wait_for(ENROL_PAIRING);
	paired(0);
	expect(ENROL_TRIAL);
}

static void test_verdicts_end_it(void **state)
{
	(void)state;
	begin(NULL);
	prepare();
	r.facts = (struct enrol_facts){.link = "connected",
		.says = "sn:1",
		.verdict = ENROL_ADDRESS_CHANGED,
		.other = "cuff-1"};
	tick();
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_ADDRESS_CHANGED);
	assert_string_equal(r.e.last_other, "cuff-1");
	expect_nothing_left();
	setup(NULL);
	to_whose(); /* the other one comes while it is asked whose this is */
	r.facts.verdict = ENROL_CLONED;
	r.facts.other = "cuff-1";
	tick();
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_CLONED);
}

static void test_the_files_come_first(void **state)
{
	(void)state;
	to_whose();
	r.facts.gone = true;
	tick();
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_REFUSED);
	assert_string_equal(r.e.error, "vitalgate.yaml names its id or address now");
}

static void test_unknown_models_need_a_driver(void **state)
{
	(void)state;
	r.unknown = true;
	begin(NULL);
	tick();
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_UNKNOWN_MODEL);
}

static void test_configuration_that_does_not_fit(void **state)
{
	(void)state;
	r.run_result = -EINVAL;
	begin(NULL);
	prepare();
	expect(ENROL_LOOKING);
	assert_int_equal(r.e.last, ENROL_REFUSED);
	assert_string_equal(r.e.error, "it does not fit");
}

static void test_identity_without_a_reading(void **state)
{
	(void)state;
	struct enrol_wish w = {.address = ADDRESS, .id = "cuff-2", .no_reading = true};
	enrol_open(&r.e, "x", r.now);
	enrol_begin(&r.e, &w, NULL, r.now);
	prepare();
	tick();
	expect(ENROL_TRIAL);
	r.facts = (struct enrol_facts){.link = "connected", .says = "sn:1", .other = ""};
	tick();
	expect(ENROL_WHOSE);
}

static void test_taking_over(void **state)
{
	(void)state;
	const struct config_device before = {.id = "cuff-2",
		.address = "C0:00:00:00:00:09",
		.driver = "bt_blp",
		.station = "desk",
		.enrolled = true};
	struct enrol_whose w = {0};
	r.needs_pairing = true;
	r.running = before;
	begin(&before);
	prepare();
	paired(0);
	enrol_give_up(&r.e, ENROL_GIVEN_UP); /* then all is as before */
	assert_string_equal(r.running.address, before.address);
	assert_string_equal(r.forgotten, ADDRESS " ");
	r.forgotten[0] = 0;
	struct enrol_wish again = {.address = ADDRESS, .id = "cuff-2", .replaces = true};
	enrol_begin(&r.e, &again, &before, r.now);
	prepare();
	paired(0);
	r.facts = (struct enrol_facts){
		.link = "connected", .says = "sn:1", .reading = true, .other = ""};
	wait_for(ENROL_WHOSE);
	enrol_finish(&r.e, &w, r.now);
	enrol_saved(&r.e, r.e.serial, 0, "", "", r.now);
	assert_string_equal(r.running.address, ADDRESS);
	assert_string_equal(r.running.station, "desk");
	assert_string_equal(r.forgotten, "C0:00:00:00:00:09 "); /* the bond of the old address */
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_without_pairing),
		CASE(test_outside_the_window_nothing_goes),
		CASE(test_one_window_and_one_instrument_at_a_time),
		CASE(test_just_works),
		CASE(test_private_address),
		CASE(test_paired_before_needs_no_pairing),
		CASE(test_a_wrong_passkey_is_asked_again),
		CASE(test_three_refusals_are_enough),
		CASE(test_comparison),
		CASE(test_bluetoothd_away),
		CASE(test_giving_up_leaves_nothing),
		CASE(test_a_companion_that_is_gone_closes_the_window),
		CASE(test_the_window_ends),
		CASE(test_saving_is_not_interrupted),
		CASE(test_keys_are_asked_for_where_no_model_said_so),
		CASE(test_a_bond_that_it_has_forgotten_is_made_anew),
		CASE(test_keys_that_it_refused_before_are_not_tried_again),
		CASE(test_verdicts_end_it),
		CASE(test_the_files_come_first),
		CASE(test_unknown_models_need_a_driver),
		CASE(test_configuration_that_does_not_fit),
		CASE(test_identity_without_a_reading),
		CASE(test_taking_over),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("enrol", tests, NULL, NULL);
}
