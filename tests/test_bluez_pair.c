/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pairing, its agent and forgetting: bluez_pair.c and bluez_forget.c against a fake bluetoothd. */
#include "bluez_bench.h"
#include "bluez_pair.h"
#include "bluez_scan.h"

struct pairing {
	struct bench *t;
	unsigned asked, done;
	enum bluez_pair_ask ask;
	uint32_t passkey;
	int result;
	char why[96];
	bool once_more; /* begins again from inside done() */
};

static struct bluez_pair_events events_of(struct pairing *p);

static void on_ask(void *arg, enum bluez_pair_ask ask, uint32_t passkey)
{
	struct pairing *p = arg;
	p->asked++;
	p->ask = ask;
	p->passkey = passkey;
}

static void on_done(void *arg, int result, const char *why)
{
	struct pairing *p = arg;
	p->done++;
	p->result = result;
	text_copy(p->why, sizeof(p->why), why, strlen(why));
	struct bluez_pair_events events = events_of(p);
	if (p->once_more)
		assert_int_equal(bluez_pair_begin(p->t->b, DEV_A, &events), 0);
	p->once_more = false;
}

static struct bluez_pair_events events_of(struct pairing *p)
{
	return (struct bluez_pair_events){.ask = on_ask, .done = on_done, .arg = p};
}

/* An instrument that pairs in the way of `pair`, and is seen by an operator. */
static struct pairing with_device(struct bench *t, const char *pair)
{
	if (!t->b) {
		begin(t);
		assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_ALL_THE_TIME, NULL, t), 0);
	}
	order(t, "{'do':'device','address':'" DEV_A "','name':'Cuff','every_ms':20,'pair':{%s}}",
		pair);
	WAIT(t, bluez_scan_find(t->b, DEV_A));
	return (struct pairing){.t = t};
}

static void pair(struct pairing *p)
{
	struct bluez_pair_events events = events_of(p);
	assert_int_equal(bluez_pair_begin(p->t->b, DEV_A, &events), 0);
}

static int paired(struct pairing *p)
{
	WAIT(p->t, p->done);
	assert_int_equal(p->done, 1);
	p->done = 0;
	return p->result;
}

static void forget(struct bench *t)
{
	order(t, "{'do':'remove_device','address':'" DEV_A "'}");
	WAIT(t, bluez_bonded(t->b, DEV_A) == -ENOENT);
}

static void just_works_and_the_link_is_let_go(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'just_works'");
	struct bluez_pair_events events = events_of(&p);
	assert_int_equal(bluez_bonded(t->b, DEV_A), 0);
	pair(&p);
	assert_int_equal(p.done, 0);
	assert_int_equal(bluez_pair_begin(t->b, DEV_A, &events), -EBUSY);
	assert_int_equal(paired(&p), 0);
	assert_int_equal(p.asked, 0);
	assert_true(device_is(t, DEV_A, "paired"));
	assert_false(device_is(t, DEV_A, "connected"));
	assert_false(device_is(t, DEV_A, "trusted"));
	WAIT(t, bluez_bonded(t->b, DEV_A) == 1);
	/* The agent was there for it alone, and nobody discovered meanwhile. */
	assert_string_equal(argument_of(t, "RegisterAgent"), "/org/vitalgate/agent");
	assert_int_equal(calls_of(t, "RequestDefaultAgent"), 1);
	WAIT(t, state_count(t, "agents") == 0);
	assert_int_equal(state_count(t, "discovered_while_pairing"), 0);
	assert_true(calls_of(t, "StopDiscovery") > 0);
	WAIT(t, discovers(t, "hci0"));
	pair(&p);
	assert_int_equal(paired(&p), -EALREADY);
	assert_int_equal(bluez_pair_begin(t->b, DEV_B, &events), -ENOENT);
}

static void it_waits_until_discovery_has_ended(void **state)
{
	struct bench *t = *state;
	setenv("SYSTEMD_BUS_TIMEOUT", "700ms", 1);
	struct pairing p = with_device(t, "'model':'just_works'");
	WAIT(t, discovers(t, "hci0"));
	order(t, "{'do':'hang','method':'StopDiscovery'}");
	pair(&p);
	WAIT(t, calls_of(t, "StopDiscovery"));
	let_pass(t, 200);
	assert_int_equal(calls_of(t, "Pair"), 0);
	assert_int_equal(paired(&p), 0); /* but not for ever */
}

static void the_passkey_that_the_instrument_shows_is_typed_here(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'passkey_entry','passkey':4711");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(p.ask, BLUEZ_PAIR_TYPE_PASSKEY);
	assert_int_equal(bluez_pair_confirm(t->b, true), -ENOENT);
	assert_int_equal(bluez_pair_pin(t->b, "4711"), -ENOENT);
	assert_int_equal(bluez_pair_passkey(t->b, 1000000), -EINVAL);
	let_pass(t, 100); /* a person needs time */
	assert_int_equal(bluez_pair_passkey(t->b, 4711), 0);
	assert_int_equal(bluez_pair_passkey(t->b, 4711), -ENOENT);
	assert_int_equal(paired(&p), 0);
	forget(t);
	p = with_device(t, "'model':'passkey_entry','passkey':4711");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(bluez_pair_passkey(t->b, 4712), 0);
	assert_int_equal(paired(&p), -EACCES);
	assert_false(device_is(t, DEV_A, "connected"));
	assert_int_equal(bluez_bonded(t->b, DEV_A), 0);
}

static void the_passkey_that_is_shown_here_is_typed_there(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'passkey_display','passkey':42");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(p.ask, BLUEZ_PAIR_SHOW_PASSKEY);
	assert_int_equal(p.passkey, 42);
	assert_int_equal(bluez_pair_passkey(t->b, 42), -ENOENT);
	order(t, "{'do':'typed','address':'" DEV_A "','passkey':43}");
	assert_int_equal(paired(&p), -EACCES);
	p = with_device(t, "'model':'pin_display','passkey':1234");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(p.passkey, 1234);
	order(t, "{'do':'typed','address':'" DEV_A "','passkey':1234}");
	assert_int_equal(paired(&p), 0);
}

static void both_ends_are_compared(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'compare','passkey':123456");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(p.ask, BLUEZ_PAIR_COMPARE);
	assert_int_equal(p.passkey, 123456);
	assert_int_equal(bluez_pair_confirm(t->b, false), 0);
	assert_int_equal(paired(&p), -EACCES);
	p = with_device(t, "'model':'compare','passkey':123456");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(bluez_pair_confirm(t->b, true), 0);
	assert_int_equal(paired(&p), 0);
}

static void pins_and_authorizations(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'pin','pin':'0000'");
	pair(&p);
	WAIT(t, p.asked);
	assert_int_equal(p.ask, BLUEZ_PAIR_TYPE_PIN);
	assert_int_equal(bluez_pair_pin(t->b, ""), -EINVAL);
	assert_int_equal(bluez_pair_pin(t->b, "12345678901234567"), -EINVAL);
	assert_int_equal(bluez_pair_pin(t->b, "0000"), 0);
	assert_int_equal(paired(&p), 0);
	forget(t);
	p = with_device(t, "'model':'authorize'");
	pair(&p);
	assert_int_equal(paired(&p), 0);
	assert_int_equal(p.asked, 0);
}

static void a_private_address_becomes_the_identity(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'just_works','identity':'00:AA:01:01:00:01'");
	assert_null(bluez_pair_device(t->b));
	pair(&p);
	assert_int_equal(paired(&p), 0);
	assert_string_equal(bluez_pair_device(t->b)->address, "00:AA:01:01:00:01");
	assert_false(bluez_pair_device(t->b)->random);
	assert_int_equal(bluez_bonded(t->b, "00:AA:01:01:00:01"), 1);
	assert_int_equal(bluez_bonded(t->b, DEV_A), -ENOENT);
	assert_int_equal(bluez_forget(t->b, "00:AA:01:01:00:01", NULL, NULL), 0);
	WAIT(t, !device_is(t, DEV_A, "paired"));
	WAIT(t, !bluez_pair_device(t->b));
}

static void call_agent(struct bench *t, const char *method, const char *address, const char *error)
{
	char answer[64];
	snprintf(answer, sizeof(answer), "answered.%s", method);
	unsigned before = calls_of(t, answer);
	order(t, "{'do':'call_agent','method':'%s','address':'%s'}", method, address);
	WAIT(t, calls_of(t, answer) > before);
	assert_string_equal(argument_of(t, answer), error);
}

static void whoever_else_asks_is_refused(void **state)
{
	static const char rejected[] = "org.bluez.Error.Rejected";
	static const char *const methods[] = {
		"RequestPasskey", "RequestPinCode", "RequestConfirmation", "RequestAuthorization"};
	struct bench *t = *state;
	order(t, "{'do':'device','address':'" DEV_B "','every_ms':20}");
	struct pairing p = with_device(t, "'hang':true");
	WAIT(t, bluez_scan_find(t->b, DEV_B));
	pair(&p);
	WAIT(t, calls_of(t, "Pair"));
	for (size_t i = 0; i < ELEMENTS(methods); i++)
		call_agent(t, methods[i], DEV_B, rejected);
	call_agent(t, "AuthorizeService", DEV_A, rejected);
	assert_int_equal(p.asked, 0);
	/* Somebody on the bus who is not bluetoothd. */
	sd_bus *us = NULL;
	sd_bus_message *m = NULL;
	assert_true(sd_bus_open_system(&us) >= 0);
	for (unsigned i = 0; i < 12; i++) {
		char name[16];
		snprintf(name, sizeof(name), ":1.%u", i);
		assert_true(sd_bus_message_new_method_call(us, &m, name, "/org/vitalgate/agent",
				    "org.bluez.Agent1", "RequestPasskey") >= 0);
		sd_bus_message_append(m, "o", "/org/bluez/hci0/dev_C0_00_00_00_00_01");
		sd_bus_send(us, m, NULL);
		m = sd_bus_message_unref(m);
	}
	sd_bus_flush_close_unref(us);
	let_pass(t, 100);
	assert_int_equal(p.asked, 0);
	/* The device that is meant may ask; what it asked is taken back. */
	order(t, "{'do':'call_agent','method':'RequestPasskey','address':'" DEV_A "'}");
	WAIT(t, p.asked == 1);
	call_agent(t, "Cancel", DEV_A, "");
	assert_int_equal(bluez_pair_passkey(t->b, 1), -ENOENT);
	call_agent(t, "RequestAuthorization", DEV_A, "");
	bluez_pair_cancel(t->b);
	assert_int_equal(paired(&p), -ECANCELED);
	WAIT(t, state_count(t, "agents") == 0);
}

static void what_bluetoothd_answers_has_a_name(void **state)
{
	static const struct {
		const char *error, *message;
		int result;
	} known[] = {
		{"AuthenticationFailed", "", -EACCES},
		{"AuthenticationRejected", "", -EACCES},
		{"AuthenticationCanceled", "", -ECANCELED},
		{"AuthenticationTimeout", "", -ETIMEDOUT},
		{"ConnectionAttemptFailed", "Page Timeout", -ETIMEDOUT},
		{"org.freedesktop.DBus.Error.UnknownObject", "", -ENOENT},
		{"DoesNotExist", "", -ENOENT},
		{"Failed", "br-connection-unknown", -EIO},
	};
	struct bench *t = *state;
	struct pairing p = with_device(t, "");
	for (size_t i = 0; i < ELEMENTS(known); i++) {
		order(t, "{'do':'fail','method':'Pair','error':'%s','message':'%s'}",
			known[i].error, known[i].message);
		pair(&p);
		assert_int_equal(paired(&p), known[i].result);
	}
	assert_string_equal(p.why, "br-connection-unknown");
	/* The kernel gave the connect up for another: at once again, but not for ever. */
	unsigned before = calls_of(t, "Pair");
	order(t,
		"{'do':'fail','method':'Pair','error':'Failed','message':'le-connection-abort-by-local',"
		"'times':9}");
	pair(&p);
	assert_int_equal(paired(&p), -EIO);
	assert_int_equal(calls_of(t, "Pair"), before + 4);
	order(t, "{'do':'fail','method':'RegisterAgent','error':'AlreadyExists'}");
	pair(&p);
	assert_int_equal(paired(&p), -EIO);
	/* That of another program, or one less: it pairs all the same. */
	order(t, "{'do':'fail','method':'RequestDefaultAgent','error':'DoesNotExist'}");
	order(t,
		"{'do':'fail','method':'Pair','error':'Failed','message':'le-connection-abort-by-local'}");
	pair(&p);
	assert_int_equal(paired(&p), 0);
}

/* Where a pairing may be interrupted. */
static const struct {
	const char *at, *how;
} steps[] = {
	{"RegisterAgent", "'model':'just_works'"},
	{"RequestDefaultAgent", "'model':'just_works'"},
	{"StopDiscovery", "'model':'just_works'"},
	{"Disconnect", "'model':'just_works'"},
	{"Pair", "'model':'just_works'"},
	{"RequestPasskey", "'model':'passkey_entry','passkey':1"},
	{"RequestConfirmation", "'model':'compare','passkey':1"},
	{"DisplayPasskey", "'model':'passkey_display','passkey':1"},
	{"RequestAuthorization", "'model':'authorize'"},
	{"UnregisterAgent", "'model':'just_works'"},
};

static void bluetoothd_restarts_at_every_step(void **state)
{
	struct bench *t = *state;
	unsigned fds = 0;
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		struct pairing p = with_device(t, steps[i].how);
		WAIT(t, discovers(t, "hci0"));
		if (i == 1)
			fds = open_fds();
		order(t, "{'do':'die_at','method':'%s'}", steps[i].at);
		pair(&p);
		int result = paired(&p);
		if (result != (streq(steps[i].at, "UnregisterAgent") ? 0 : -EIO))
			fail_msg("%s: %d %s", steps[i].at, result, p.why);
		WAIT(t, streq(bluez_state(t->b, ""), "no-bluetoothd"));
		struct bluez_pair_events events = events_of(&p);
		assert_int_equal(bluez_pair_begin(t->b, DEV_A, &events), -ENOTCONN);
		assert_int_equal(bluez_bonded(t->b, DEV_A), -ENOTCONN);
		order(t, "{'do':'return'}");
		WAIT(t, bluez_ready(t->b, ""));
		if (result == 0)
			break;
		p = with_device(t, "'model':'just_works'");
		pair(&p);
		if (paired(&p) < 0)
			fail_msg("after %s: %d %s", steps[i].at, p.result, p.why);
		forget(t);
	}
	assert_int_equal(open_fds(), fds);
}

static void bluetoothd_goes_while_a_person_thinks(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'passkey_entry','passkey':1");
	pair(&p);
	WAIT(t, p.asked);
	order(t, "{'do':'die'}");
	assert_int_equal(paired(&p), -EIO);
	assert_int_equal(bluez_pair_passkey(t->b, 1), -ENOENT);
	bluez_pair_cancel(t->b);
	order(t, "{'do':'return'}");
	p = with_device(t, "'model':'passkey_entry','passkey':1");
	pair(&p);
	WAIT(t, p.asked);
	bluez_free(TAKE(t->b)); /* nothing more is heard */
	assert_int_equal(p.done, 0);
}

static void a_cancel_ends_it_at_every_step(void **state)
{
	struct bench *t = *state;
	struct pairing p = with_device(t, "'model':'passkey_entry','passkey':1");
	bluez_pair_cancel(t->b); /* nothing is under way */
	for (unsigned turns = 0; turns < 40; turns += 2) {
		WAIT(t, discovers(t, "hci0"));
		pair(&p);
		for (unsigned i = 0; i < turns; i++)
			turn(t);
		bluez_pair_cancel(t->b);
		bluez_pair_cancel(t->b);
		assert_int_equal(p.done, 0);
		assert_int_equal(paired(&p), -ECANCELED);
		assert_int_equal(bluez_pair_passkey(t->b, 1), -ENOENT);
	}
	assert_true(p.asked > 0);
	p.asked = 0;
	WAIT(t, state_count(t, "agents") == 0);
	assert_false(device_is(t, DEV_A, "connected"));
	p.once_more = true;
	pair(&p);
	bluez_pair_cancel(t->b);
	assert_int_equal(paired(&p), -ECANCELED);
	WAIT(t, p.asked);
	assert_int_equal(bluez_pair_passkey(t->b, 1), 0);
	assert_int_equal(paired(&p), 0);
}

static void nobody_waits_for_ever(void **state)
{
	struct bench *t = *state;
	setenv("SYSTEMD_BUS_TIMEOUT", "500ms", 1);
	struct pairing p = with_device(t, "'hang':true");
	clock_speed = 200; /* two minutes in 0.6 s */
	pair(&p);
	assert_int_equal(paired(&p), -ETIMEDOUT);
	assert_int_equal(calls_of(t, "CancelPairing"), 1);
	/* Nor for a bluetoothd that does not even cancel. */
	p = with_device(t, "'hang':true");
	order(t, "{'do':'hang','method':'CancelPairing'}");
	order(t, "{'do':'hang','method':'Disconnect','times':2}");
	pair(&p);
	assert_int_equal(paired(&p), -ETIMEDOUT);
}

struct forgotten {
	unsigned n;
	int result;
};

static void on_forgotten(void *arg, int result)
{
	struct forgotten *f = arg;
	f->n++;
	f->result = result;
}

static void a_bond_is_forgotten_on_every_adapter(void **state)
{
	struct bench *t = *state;
	struct forgotten f = {0};
	order(t, "{'do':'device','address':'" DEV_A "','bonded':true,'every_ms':0}");
	begin(t);
	assert_int_equal(bluez_bonded(t->b, DEV_A), 1);
	assert_int_equal(bluez_forget(t->b, DEV_B, on_forgotten, &f), -ENOENT);
	assert_int_equal(bluez_forget(t->b, DEV_A, on_forgotten, &f), 0);
	WAIT(t, f.n == 1);
	assert_int_equal(f.result, 0);
	assert_false(device_is(t, DEV_A, "paired"));
	WAIT(t, bluez_bonded(t->b, DEV_A) == -ENOENT);
	order(t, "{'do':'device','address':'" DEV_A "','bonded':true}");
	WAIT(t, bluez_bonded(t->b, DEV_A) == 1);
	order(t, "{'do':'fail','method':'RemoveDevice','error':'DoesNotExist'}");
	assert_int_equal(bluez_forget(t->b, DEV_A, on_forgotten, &f), 0);
	WAIT(t, f.n == 2);
	assert_int_equal(f.result, -ENOENT);
	order(t, "{'do':'hang','method':'RemoveDevice','times':4}");
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(bluez_forget(t->b, DEV_A, i ? on_forgotten : NULL, &f), 0);
	assert_int_equal(bluez_forget(t->b, DEV_A, on_forgotten, &f), -EBUSY);
	order(t, "{'do':'die'}");
	WAIT(t, f.n == 5);
	assert_int_equal(f.result, -EIO);
	assert_int_equal(bluez_forget(t->b, DEV_A, on_forgotten, &f), -ENOTCONN);
	/* What is under way when we end is not told. */
	order(t, "{'do':'return'}");
	WAIT(t, bluez_bonded(t->b, DEV_A) == 1);
	assert_int_equal(bluez_forget(t->b, DEV_A, on_forgotten, &f), 0);
	bluez_free(TAKE(t->b));
	assert_int_equal(f.n, 5);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(just_works_and_the_link_is_let_go),
		TEST(it_waits_until_discovery_has_ended),
		TEST(the_passkey_that_the_instrument_shows_is_typed_here),
		TEST(the_passkey_that_is_shown_here_is_typed_there), TEST(both_ends_are_compared),
		TEST(pins_and_authorizations), TEST(a_private_address_becomes_the_identity),
		TEST(whoever_else_asks_is_refused), TEST(what_bluetoothd_answers_has_a_name),
		TEST(bluetoothd_restarts_at_every_step),
		TEST(bluetoothd_goes_while_a_person_thinks), TEST(a_cancel_ends_it_at_every_step),
		TEST(nobody_waits_for_ever), TEST(a_bond_is_forgotten_on_every_adapter)};
	if (!can_run())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
