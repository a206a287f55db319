/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instruments that only advertise: advert.c over a fake bluetoothd. */
#include "advert.h"
#include "bluez_bench.h"
#include "bluez_scan.h"

static const struct vg_channel channels[] = {
	{.uuid16 = 0x181d, .name = "181d"}, {.company = 0x0157, .name = "0157"}};
static const struct vg_driver driver = {.name = "test_advert",
	.bus = VG_BUS_ADVERT,
	.channels = channels,
	.n_channels = ELEMENTS(channels)};

struct owner {
	struct transport *transport;
	unsigned up, down, values;
	char uid[TRANSPORT_UID_MAX + 1], why[32];
	int channel;
	size_t len;
	uint8_t bytes[BLUEZ_DATA_MAX];
	bool closes;
};

static void on_up(void *arg, const char *uid)
{
	struct owner *o = arg;
	assert_int_equal(o->up++, o->down);
	text_copy(o->uid, sizeof(o->uid), uid, strlen(uid));
	if (o->closes)
		o->transport->ops->close(o->transport, "enough");
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	struct owner *o = arg;
	assert_int_equal(o->up, o->down + 1);
	assert_false(indication);
	o->values++;
	o->channel = channel;
	o->len = len;
	memcpy(o->bytes, bytes, len);
}

static void on_down(void *arg, const char *why)
{
	struct owner *o = arg;
	assert_int_equal(o->down++, o->up - 1);
	text_copy(o->why, sizeof(o->why), why, strlen(why));
}

static const struct config_device scale = {.id = "scale-1", .address = DEV_A};

static struct transport *hear(struct bench *t, struct owner *o)
{
	struct transport_events events = {
		.up = on_up, .value = on_value, .down = on_down, .arg = o};
	order(t, "{'do':'device','address':'" DEV_A "','every_ms':0}");
	order(t, "{'do':'device','address':'" DEV_B "','every_ms':20,'service':{'181d':'ff'}}");
	assert_int_equal(advert_new(t->loop, t->b, &scale, &driver, &events, &o->transport), 0);
	return o->transport;
}

static void advertise(struct bench *t, const char *what)
{
	WAIT(t, discovers(t, "hci0"));
	order(t, "{'do':'advertise','address':'" DEV_A "',%s}", what);
}

static bool state_is(struct owner *o, const char *state)
{
	return streq(o->transport->ops->state(o->transport), state);
}

static void it_is_there_when_it_is_heard_and_gone_after_a_minute_of_silence(void **state)
{
	struct bench *t = *state;
	struct owner o = {0};
	begin(t);
	hear(t, &o);
	assert_true(state_is(&o, "waiting"));
	assert_int_equal(o.transport->ops->send(o.transport, 0, "x", 1), -ENOTCONN);
	advertise(t, "'service':{'181d':'a24c'}");
	WAIT(t, o.values == 1);
	assert_string_equal(o.uid, "addr:" DEV_A);
	assert_int_equal(o.channel, 0);
	assert_int_equal(o.len, 2);
	assert_memory_equal(o.bytes, "\xa2\x4c", 2);
	assert_true(state_is(&o, "connected"));
	assert_int_equal(o.transport->ops->send(o.transport, 0, "x", 1), -ENOENT);
	o.transport->ops->confirm(o.transport);
	/* The other channel; what nobody asked for is none. */
	advertise(t, "'service':{},'manufacturer':{'0157':'01','020e':'02'}");
	WAIT(t, o.values == 2);
	assert_int_equal(o.channel, 1);
	clock_speed = 60;
	advertise(t, "'manufacturer':{'0157':'03'}");
	WAIT(t, o.values == 3);
	let_pass(t, 750); /* 45 s */
	assert_int_equal(o.down, 0);
	WAIT(t, o.down == 1);
	assert_string_equal(o.why, "it is silent");
	assert_true(state_is(&o, "waiting"));
	advertise(t, "'manufacturer':{'0157':'03'}");
	WAIT(t, o.values == 4);
	assert_int_equal(o.up, 2);
	transport_free(o.transport);
	assert_int_equal(o.down, 1);
	WAIT(t, !discovers(t, "hci0"));
}

static void what_is_said_again_and_again_is_told_once(void **state)
{
	struct bench *t = *state;
	struct owner o = {0};
	begin(t);
	hear(t, &o);
	assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_ALL_THE_TIME, NULL, t), 0);
	clock_speed = 20;
	for (unsigned i = 0; i < 20; i++) { /* for 8 s */
		advertise(t, "'service':{'181d':'01'}");
		let_pass(t, 20);
	}
	assert_int_equal(o.values, 1);
	clock_speed = 1;
	/* Each channel for itself. */
	advertise(t, "'service':{},'manufacturer':{'0157':'01'}");
	WAIT(t, o.values == 2);
	advertise(t, "'service':{'181d':'01'},'manufacturer':{}");
	advertise(t, "'service':{'181d':'0100'}");
	WAIT(t, o.values == 3);
	advertise(t, "'service':{'181d':'01'}");
	WAIT(t, o.values == 4);
	/* After a pause it is meant. */
	clock_speed = 60;
	let_pass(t, 100); /* 6 s */
	advertise(t, "'service':{'181d':'01'}");
	WAIT(t, o.values == 5);
	transport_free(o.transport);
}

static void a_flood_in_its_name_is_cut_off(void **state)
{
	struct bench *t = *state;
	struct owner o = {0};
	begin(t);
	hear(t, &o);
	unsigned i = 0;
	for (long end_ms = now_ms() + 1500; now_ms() < end_ms; i++) {
		char what[64];
		snprintf(what, sizeof(what), "'service':{'181d':'%08x'}", i);
		advertise(t, what);
		turn(t);
	}
	assert_in_range(i, 60, 100000);
	assert_in_range(o.values, 10, 40);
	assert_int_equal(log_lines(t->log, "more than 10 values a second"), 1);
	/* What was not told is not taken for told. */
	let_pass(t, 1100);
	unsigned before = o.values;
	advertise(t, "'service':{'181d':'00'}");
	WAIT(t, o.values == before + 1);
	transport_free(o.transport);
}

static void the_owner_closes_and_it_rests(void **state)
{
	struct bench *t = *state;
	struct owner o = {.closes = true};
	begin(t);
	hear(t, &o);
	advertise(t, "'service':{'181d':'01'}");
	WAIT(t, o.down == 1);
	assert_int_equal(o.values, 0);
	assert_string_equal(o.why, "enough");
	o.closes = false;
	advertise(t, "'service':{'181d':'02'}");
	let_pass(t, 100);
	assert_int_equal(o.up, 1);
	clock_speed = 20;
	o.transport->ops->close(o.transport, "it is not there");
	assert_int_equal(o.down, 1);
	let_pass(t, 300); /* 6 s */
	advertise(t, "'service':{'181d':'01'}");
	WAIT(t, o.values == 1);
	o.transport->ops->close(o.transport, "done");
	assert_int_equal(o.down, 2);
	transport_free(o.transport);
}

static void what_keeps_it_from_hearing_has_a_name(void **state)
{
	struct bench *t = *state;
	struct owner o = {0};
	begin(t);
	hear(t, &o);
	order(t, "{'do':'remove_adapter','name':'hci0'}");
	WAIT(t, state_is(&o, "adapter-absent"));
	order(t, "{'do':'die'}");
	WAIT(t, state_is(&o, "no-bluetoothd"));
	order(t, "{'do':'return'}");
	order(t, "{'do':'adapter','name':'hci0'}");
	order(t, "{'do':'device','address':'" DEV_A "','every_ms':0}");
	WAIT(t, state_is(&o, "waiting"));
	advertise(t, "'service':{'181d':'01'}");
	WAIT(t, o.values == 1);
	transport_free(o.transport);
	/* It cannot be simulated, nor have too many channels. */
	struct vg_driver many = driver;
	struct transport_events events = {.up = on_up, .value = on_value, .down = on_down};
	many.n_channels = 9;
	assert_int_equal(
		advert_new(t->loop, NULL, &scale, &driver, &events, &o.transport), -EINVAL);
	assert_int_equal(advert_new(t->loop, t->b, &scale, &many, &events, &o.transport), -E2BIG);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_is_there_when_it_is_heard_and_gone_after_a_minute_of_silence),
		TEST(what_is_said_again_and_again_is_told_once),
		TEST(a_flood_in_its_name_is_cut_off), TEST(the_owner_closes_and_it_rests),
		TEST(what_keeps_it_from_hearing_has_a_name)};
	if (!can_run())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
