/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who advertises, and when the adapters listen: bluez_device.c and bluez_scan.c against a fake
 * bluetoothd. */
#include "bluez_bench.h"
#include "bluez_pair.h"
#include "bluez_scan.h"

struct heard {
	unsigned n;
	char address[18], adapter[8];
	uint16_t uuid16, company;
	uint8_t bytes[BLUEZ_DATA_MAX];
	size_t len;
};

static void on_heard(void *arg, const struct bluez_advert *a)
{
	struct heard *h = arg;
	*h = (struct heard){
		.n = h->n + 1, .uuid16 = a->uuid16, .company = a->company, .len = a->len};
	text_copy(h->address, sizeof(h->address), a->from->address, strlen(a->from->address));
	text_copy(h->adapter, sizeof(h->adapter), a->from->adapter, strlen(a->from->adapter));
	memcpy(h->bytes, a->bytes, a->len);
}

static void look(struct bench *t)
{
	assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_ALL_THE_TIME, NULL, t), 0);
}

static const struct bluez_seen *find(struct bench *t, const char *address)
{
	return bluez_scan_find(t->b, address);
}

static size_t listed(struct bench *t)
{
	static const struct bluez_seen *list[BLUEZ_SEEN_MAX];
	return bluez_scan_list(t->b, list, ELEMENTS(list));
}

static void an_operator_sees_who_advertises_the_strongest_first(void **state)
{
	struct bench *t = *state;
	const struct bluez_seen *list[4];
	order(t, "{'do':'device','address':'" DEV_A
		 "','rssi':-70,'name':'Cuff \\u001b[1m\\u8840\\u538b','uuids':["
		 "'1810','0000fff0-0000-1000-8000-00805f9b34fb'],'manufacturer':{'020e':'0102'}}");
	order(t, "{'do':'device','address':'" DEV_B "','rssi':-50,'type':'public'}");
	begin(t);
	let_pass(t, 100);
	assert_int_equal(calls_of(t, "StartDiscovery"), 0);
	assert_int_equal(listed(t), 0);
	look(t);
	WAIT(t, listed(t) == 2);
	assert_int_equal(bluez_scan_list(t->b, list, 4), 2);
	assert_string_equal(list[0]->address, DEV_B);
	assert_false(list[0]->random);
	assert_string_equal(list[0]->name, "");
	assert_int_equal(list[0]->rssi, -50);
	assert_string_equal(list[1]->address, DEV_A);
	assert_string_equal(list[1]->name, "Cuff ?[1m\xe8\xa1\x80\xe5\x8e\x8b");
	assert_string_equal(list[1]->adapter, "hci0");
	assert_true(list[1]->random && list[1]->seen_boot_us);
	assert_int_equal(list[1]->n_services, 2);
	assert_memory_equal(list[1]->services[0],
		"\xfb\x34\x9b\x5f\x80\x00\x00\x80\x00\x10\x00\x00\x10\x18\x00\x00", 16);
	assert_int_equal(list[1]->company, 0x020e);
	assert_int_equal(bluez_scan_list(t->b, list, 1), 1);
	/* One comes nearer. */
	order(t, "{'do':'device','address':'" DEV_A "','rssi':-40}");
	WAIT(t, bluez_scan_list(t->b, list, 4) == 2 && streq(list[0]->address, DEV_A));
	bluez_scan_end(t->b, t);
	WAIT(t, !discovers(t, "hci0"));
	assert_int_equal(calls_of(t, "StartDiscovery"), 1);
	assert_int_equal(calls_of(t, "StopDiscovery"), 1);
}

static void windows_open_for_ten_of_thirty_seconds(void **state)
{
	struct bench *t = *state;
	struct heard h = {0};
	begin(t);
	clock_speed = 60; /* a period is half a second */
	assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_WINDOWS, on_heard, &h), 0);
	unsigned open = 0, looks = 0;
	while (calls_of(t, "StartDiscovery") < 4) {
		let_pass(t, 20);
		open += discovers(t, "hci0");
		assert_in_range(++looks, 0, 400);
	}
	assert_in_range(open * 100 / looks, 15, 55);
	assert_in_range(calls_of(t, "StopDiscovery"), 2, 3);
	/* An operator looks: it stays open, also when the instruments' window closes. */
	WAIT(t, calls_of(t, "StopDiscovery") == 4 || calls_of(t, "StopDiscovery") == 3);
	look(t);
	WAIT(t, discovers(t, "hci0"));
	unsigned stops = calls_of(t, "StopDiscovery");
	let_pass(t, 700);
	assert_int_equal(calls_of(t, "StopDiscovery"), stops);
	bluez_scan_end(t->b, t);
	WAIT(t, calls_of(t, "StopDiscovery") > stops);
	bluez_scan_end(t->b, &h);
	WAIT(t, !discovers(t, "hci0"));
	stops = calls_of(t, "StartDiscovery");
	let_pass(t, 600);
	assert_int_equal(calls_of(t, "StartDiscovery"), stops);
}

static bool asked_for_duplicates(struct bench *t)
{
	json_t *a =
		json_object_get(json_object_get(order(t, "{'do':'state'}"), "adapters"), "hci0");
	json_t *f = json_array_get(json_object_get(a, "filters"), 0);
	assert_string_equal(json_string_value(json_object_get(f, "Transport")), "le");
	return json_is_true(json_object_get(f, "DuplicateData"));
}

static void what_is_advertised_reaches_who_wishes_it(void **state)
{
	struct bench *t = *state;
	struct heard h = {0};
	begin(t);
	look(t);
	WAIT(t, discovers(t, "hci0"));
	assert_false(asked_for_duplicates(t));
	assert_int_equal(bluez_scan_begin(t->b, "hci0", BLUEZ_SCAN_WINDOWS, on_heard, &h), 0);
	WAIT(t, asked_for_duplicates(t));
	order(t, "{'do':'device','address':'" DEV_A "','every_ms':0,'name':'Scale'}");
	order(t, "{'do':'advertise','address':'" DEV_A "','service':{'181d':'a24c'}}");
	WAIT(t, h.n == 1);
	assert_string_equal(h.address, DEV_A);
	assert_string_equal(h.adapter, "hci0");
	assert_int_equal(h.uuid16, 0x181d);
	assert_int_equal(h.company, 0);
	assert_int_equal(h.len, 2);
	assert_memory_equal(h.bytes, "\xa2\x4c", 2);
	assert_string_equal(find(t, DEV_A)->name, "Scale");
	/* The same again, and something of the manufacturer's; 33 bytes and long UUIDs are not
	 * told. */
	order(t, "{'do':'advertise','address':'" DEV_A "'}");
	WAIT(t, h.n == 2);
	order(t, "{'do':'advertise','address':'" DEV_A
		 "','service':{'12345678-0000-1000-8000-00805f9b34fb':'01',"
		 "'181e':'0000000000000000000000000000000000000000000000000000000000000000ff'},"
		 "'manufacturer':{'0157':''}}");
	WAIT(t, h.n == 3);
	assert_int_equal(h.company, 0x0157);
	assert_int_equal(h.len, 0);
	let_pass(t, 100);
	assert_int_equal(h.n, 3);
	bluez_scan_end(t->b, &h);
	WAIT(t, !asked_for_duplicates(t));
	order(t, "{'do':'advertise','address':'" DEV_A "','manufacturer':{'0157':'02'}}");
	let_pass(t, 100);
	assert_int_equal(h.n, 3);
}

static void each_adapter_listens_for_its_own_wishes(void **state)
{
	struct bench *t = *state;
	struct heard h = {0};
	order(t, "{'do':'adapter','name':'hci1','address':'00:1A:7D:DA:71:02'}");
	begin(t);
	assert_int_equal(bluez_scan_begin(t->b, "hci1", BLUEZ_SCAN_ALL_THE_TIME, on_heard, &h), 0);
	WAIT(t, discovers(t, "hci1"));
	assert_false(discovers(t, "hci0"));
	order(t, "{'do':'device','address':'" DEV_A "','adapter':'hci0','service':{'181d':'01'}}");
	order(t, "{'do':'device','address':'" DEV_B "','adapter':'hci1','service':{'181d':'02'}}");
	WAIT(t, h.n);
	assert_string_equal(h.address, DEV_B);
	assert_null(find(t, DEV_A));
	/* Somebody else listens there. */
	look(t);
	WAIT(t, find(t, DEV_A));
	for (unsigned i = 0; i < 30; i++) {
		let_pass(t, 10);
		assert_string_equal(h.address, DEV_B);
	}
	bluez_scan_end(t->b, t);
	/* Switched off and on, unplugged and plugged in: it goes on. */
	order(t, "{'do':'set','name':'hci1','powered':false}");
	WAIT(t, !bluez_ready(t->b, "hci1") || calls_of(t, "Set"));
	WAIT(t, discovers(t, "hci1"));
	order(t, "{'do':'remove_adapter','name':'hci1'}");
	WAIT(t, !bluez_ready(t->b, "hci1"));
	assert_null(find(t, DEV_B));
	order(t, "{'do':'adapter','name':'hci1'}");
	WAIT(t, discovers(t, "hci1"));
}

static void discovery_goes_on_after_trouble(void **state)
{
	struct bench *t = *state;
	order(t, "{'do':'fail','method':'StartDiscovery','error':'Failed','times':2}");
	order(t, "{'do':'device','address':'" DEV_A "'}");
	begin(t);
	clock_speed = 100;
	look(t);
	WAIT(t, find(t, DEV_A));
	assert_int_equal(calls_of(t, "StartDiscovery"), 3);
	assert_int_equal(log_lines(t->log, "does not discover"), 1);
	/* bluetoothd forgets us, and remembers nobody without a bond. */
	order(t, "{'do':'die'}");
	WAIT(t, streq(bluez_state(t->b, ""), "no-bluetoothd"));
	assert_null(find(t, DEV_A));
	assert_int_equal(listed(t), 0);
	order(t, "{'do':'return'}");
	WAIT(t, discovers(t, "hci0") && find(t, DEV_A));
	/* It says that we discover already: then we do. */
	bluez_scan_end(t->b, t);
	WAIT(t, !discovers(t, "hci0"));
	order(t, "{'do':'fail','method':'StartDiscovery','error':'InProgress'}");
	unsigned starts = calls_of(t, "StartDiscovery");
	look(t);
	let_pass(t, 200); /* 20 s */
	assert_int_equal(calls_of(t, "StartDiscovery"), starts + 1);
	bluez_scan_end(t->b, t);
	WAIT(t, calls_of(t, "StopDiscovery") == 2);
}

static bool is_flooded(struct bench *t)
{
	return json_is_true(json_object_get(order(t, "{'do':'state'}"), "flooding"));
}

static void a_flood_of_strangers_hides_nobody_who_is_near_or_has_a_bond(void **state)
{
	struct bench *t = *state;
	struct heard h = {0};
	const struct bluez_seen *list[BLUEZ_SEEN_MAX];
	order(t, "{'do':'device','address':'" DEV_B "','bonded':true,'every_ms':0}");
	begin(t);
	look(t);
	assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_ALL_THE_TIME, on_heard, &h), 0);
	WAIT(t, discovers(t, "hci0"));
	order(t, "{'do':'flood','per_s':1000,'seconds':2,'addresses':1500,'data':true,'rssi':-80}");
	order(t, "{'do':'device','address':'" DEV_A
		 "','name':'Cuff','rssi':-95,'every_ms':50,'uuids':['1810']}");
	WAIT(t, !is_flooded(t));
	let_pass(t, 300);
	assert_int_equal(state_count(t, "strangers"), 1500);
	assert_int_equal(listed(t), BLUEZ_SEEN_MAX - 1);
	/* Too weak for a place until now; brought near it is known by name, whatever goes on. */
	assert_null(find(t, DEV_A));
	order(t, "{'do':'flood','per_s':1000,'seconds':2,'addresses':1500,'data':true,'rssi':-80}");
	order(t, "{'do':'device','address':'" DEV_A "','rssi':-40}");
	WAIT(t, find(t, DEV_A));
	assert_string_equal(find(t, DEV_A)->name, "Cuff");
	assert_int_equal(find(t, DEV_A)->n_services, 1);
	assert_int_equal(bluez_scan_list(t->b, list, 1), 1);
	assert_string_equal(list[0]->address, DEV_A);
	assert_int_equal(bluez_bonded(t->b, DEV_B), 1);
	assert_int_equal(bluez_bonded(t->b, DEV_A), 0);
	WAIT(t, !is_flooded(t));
	assert_int_equal(listed(t), BLUEZ_SEEN_MAX - 1);
	assert_in_range(calls_of(t, "GetAll"), 1, 600);
	assert_true(h.n > 0);
}

static void odd_and_forged_signals_change_nothing(void **state)
{
	struct bench *t = *state;
	order(t, "{'do':'device','address':'" DEV_A "','name':'Cuff','every_ms':0}");
	begin(t);
	look(t);
	WAIT(t, discovers(t, "hci0"));
	order(t, "{'do':'advertise','address':'" DEV_A "'}");
	WAIT(t, find(t, DEV_A));
	order(t, "{'do':'odd','address':'" DEV_A "'}");
	WAIT(t, log_lines(t->log, "not as expected"));
	assert_int_equal(find(t, DEV_A)->rssi, -60);
	sd_bus *us = NULL;
	assert_true(sd_bus_open_system(&us) >= 0);
	assert_true(sd_bus_emit_signal(us, "/org/bluez/hci0/dev_C0_00_00_00_00_01",
			    "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
			    "org.bluez.Device1", 1, "Paired", "b", 1, 0) >= 0);
	assert_true(sd_bus_emit_signal(us, "/", "org.freedesktop.DBus.ObjectManager",
			    "InterfacesRemoved", "oas", "/org/bluez/hci0/dev_C0_00_00_00_00_01", 1,
			    "org.bluez.Device1") >= 0);
	sd_bus_flush_close_unref(us);
	let_pass(t, 100);
	assert_non_null(find(t, DEV_A));
	assert_int_equal(bluez_bonded(t->b, DEV_A), 0);
	assert_int_equal(bluez_bonded(t->b, DEV_B), -ENOENT);
	order(t, "{'do':'remove_device','address':'" DEV_A "'}");
	WAIT(t, !find(t, DEV_A));
}

static void has_room_for_256_instruments(void **state)
{
	struct bench *t = *state;
	char many[258];
	begin(t);
	for (size_t i = 0; i < sizeof(many); i++)
		assert_int_equal(
			bluez_scan_begin(t->b, "", BLUEZ_SCAN_WINDOWS, on_heard, many + i), 0);
	assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_WINDOWS, on_heard, t), -ENOSPC);
	bluez_scan_end(t->b, many + 3);
	assert_int_equal(bluez_scan_begin(t->b, "", BLUEZ_SCAN_WINDOWS, on_heard, many + 3), 0);
	for (size_t i = 0; i < sizeof(many); i++)
		bluez_scan_end(t->b, many + i);
	WAIT(t, !discovers(t, "hci0"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_operator_sees_who_advertises_the_strongest_first),
		TEST(windows_open_for_ten_of_thirty_seconds),
		TEST(what_is_advertised_reaches_who_wishes_it),
		TEST(each_adapter_listens_for_its_own_wishes),
		TEST(discovery_goes_on_after_trouble),
		TEST(a_flood_of_strangers_hides_nobody_who_is_near_or_has_a_bond),
		TEST(odd_and_forged_signals_change_nothing), TEST(has_room_for_256_instruments)};
	if (!can_run())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
