/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bluetooth of a gateway, begun once and ended in any state. */
#include "gateway_rig.h"

#include "bluez_bus.h"
#include "radio.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere", 1);
	rig_open(&rig, RIG_SINK);
	assert_true(sd_event_new(&rig.gateway.loop) >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void test_once(void **state)
{
	(void)state;
	struct gateway *g = &rig.gateway;
	assert_int_equal(radio_need(g), 0);
	struct bluez *first = g->bluez;
	assert_int_equal(radio_need(g), 0);
	assert_ptr_equal(g->bluez, first);
	struct json j = {0};
	json_object_begin(&j, NULL);
	radio_json(g, &j);
	json_object_end(&j);
	assert_string_equal(json_text(&j), "{\"bluetooth\":{\"state\":\"no-bus\"}}");
	json_free(&j);
	radio_free(g);
	radio_free(g);
	assert_null(g->bluez);
	assert_null(g->turns);
}

/* The store is gone by then: that all is well again can be told to nobody. */
static void test_ends_while_bluetoothd_hangs(void **state)
{
	(void)state;
	struct gateway *g = &rig.gateway;
	assert_int_equal(radio_need(g), 0);
	assert_null(g->store);
	g->bluez->watchdog.hung = true;
	radio_free(g);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_once), TEST(test_ends_while_bluetoothd_hangs)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("radio", tests, NULL, NULL);
}
