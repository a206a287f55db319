/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of enrolled devices, as part of the configuration, and devices that come and go without any file. */
#include "gateway_rig.h"

#include "devices.h"
#include "enrolled.h"
#include "lastgood.h"
#include "reload.h"
#include "util.h"

#define CUFF \
	"devices:\n - {id: cuff-1, driver: bt_blp, transport: ble, address: \"unix:/nowhere\"}\n"
#define ADDRESS "C0:11:22:33:44:55"

static struct rig rig;
static char error[CONFIG_ERROR_MAX], main_file[128], lastgood[128];

static void begin(const char *yaml)
{
	rig_open(&rig, yaml);
	rig_open_store(&rig);
	snprintf(main_file, sizeof(main_file), "%s/vitalgate.yaml", rig.dir);
	snprintf(lastgood, sizeof(lastgood), "%s/last-good", rig.dir);
	assert_int_equal(devices_new(&rig.gateway, &rig.gateway.devices), 0);
	assert_int_equal(store_run(rig.gateway.store), 0);
}

static void end(void)
{
	devices_stop(rig.gateway.devices);
	store_free(rig.gateway.store);
	rig.gateway.store = NULL;
	devices_free(TAKE(rig.gateway.devices));
	rig_close(&rig);
}

static struct config_device device(const char *id, const char *address)
{
	struct config_device d = {.transport = TRANSPORT_BLE,
		.random_address = true,
		.pairing = true,
		.enrolled = true,
		.n_options = 1,
		.options = {{"quirk", "beurer"}}};
	snprintf(d.id, sizeof(d.id), "%s", id);
	snprintf(d.driver, sizeof(d.driver), "bt_blp");
	snprintf(d.address, sizeof(d.address), "%s", address);
	snprintf(d.station, sizeof(d.station), "desk \"2\" \\ 前台");
	return d;
}

static int keep(const char *id, const struct config_device *d)
{
	return enrolled_change(rig.gateway.config, id, d, error, sizeof(error));
}

static struct policy *load(void)
{
	return policy_load(main_file, error, sizeof(error));
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static const char *file(void)
{
	static char path[ENROLLED_PATH_MAX];
	enrolled_path(rig.gateway.config, path, sizeof(path));
	return path;
}

static void test_what_is_kept_is_read_again(void **state)
{
	(void)state;
	begin(CUFF);
	struct config_device d = device("cuff-2", ADDRESS),
			     other = device("cuff-3", "C0:00:00:00:00:01");
	d.n_options = 0; /* whose options belong to its driver */
	other.n_options = 0;
	assert_int_equal(keep("cuff-2", &d), 0);
	assert_int_equal(keep("cuff-3", &other), 0);
	struct policy *p = load();
	if (!p)
		fail_msg("%s", error);
	assert_int_equal(p->config.n_devices, 3);
	const struct config_device *c = &p->config.devices[1];
	assert_true(c->enrolled && c->pairing && c->random_address && !c->test);
	assert_false(p->config.devices[0].enrolled);
	assert_string_equal(c->id, "cuff-2");
	assert_string_equal(c->address, ADDRESS);
	assert_string_equal(c->station, d.station);
	policy_free(p);
	d.station[0] = 0; /* told again: changed */
	assert_int_equal(keep("cuff-2", &d), 0);
	assert_int_equal(keep("cuff-3", NULL), 0);
	p = load();
	assert_int_equal(p->config.n_devices, 2);
	assert_string_equal(p->config.devices[1].station, "");
	policy_free(p);
	assert_int_equal(keep("cuff-2", NULL), 0);
	p = load();
	assert_int_equal(p->config.n_devices, 1);
	policy_free(p);
	end();
}

static void test_options_are_kept(void **state)
{
	(void)state;
	begin("");
	struct config_device d = device("cuff-2", ADDRESS);
	assert_int_equal(keep("cuff-2", &d), 0);
	struct config c = {0};
	memcpy(c.store, rig.gateway.config->store, sizeof(c.store));
	assert_int_equal(enrolled_load(&c, error, sizeof(error)), 0);
	assert_string_equal(config_option(&c.devices[0], "quirk"), "beurer");
	config_free(&c);
	end();
}

static void test_what_does_not_fit_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"version: 1\ndevices:\n - {id: cuff-1, driver: bt_blp, transport: ble, address: \"" ADDRESS
		 "\"}\n",
			":3: devices[0]: the id \"cuff-1\" is taken by the device in line 8 of vitalgate.yaml"},
		{"version: 1\ndevices:\n - {id: x, driver: bt_blp, transport: ble, address: "
		 "\"unix:/nowhere\"}\n",
			":3: devices[0]: the address unix:/nowhere is taken by device \"cuff-1\" in line 8 "
			"of vitalgate.yaml"},
		{"version: 1\norg: x\n",
			":2: \"org\" has no place in this file: only version and devices"},
		{"version: 1\nsinks:\n - {name: a, host: h}\n",
			":2: \"sinks\" has no place in this file: only version and devices"},
	};
	begin(CUFF);
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		put(file(), rows[i].text);
		assert_null(load());
		assert_string_equal(error + strlen(file()), rows[i].expected);
		assert_int_equal(strncmp(error, file(), strlen(file())), 0);
	}
	/* and it is not written over blindly */
	put(file(), "version: 1\ndevices:\n - {id: x\n");
	struct config_device d = device("cuff-2", ADDRESS);
	assert_true(keep("cuff-2", &d) < 0);
	end();
}

/* An upgrade dropped a driver or an option: the one that needs it is left out, the others stay. */
static void test_one_that_does_not_fit_any_more(void **state)
{
	(void)state;
	begin(CUFF);
	put(file(),
		"version: 1\ndevices:\n - {id: x, driver: none, transport: ble, address: \"" ADDRESS
		"\"}\n - {id: y, driver: bt_blp, transport: ble, address: \"C0:00:00:00:00:77\"}\n");
	struct policy *p = load();
	assert_non_null(p);
	assert_int_equal(p->config.n_devices, 2);
	assert_string_equal(p->config.devices[0].id, "cuff-1");
	assert_string_equal(p->config.devices[1].id, "y");
	policy_free(p);
	end();
}

/* A typo, or a device of the same name in the file, must not silence a village. */
static void test_at_start_the_last_good_copy_goes_without_what_does_not_fit(void **state)
{
	(void)state;
	begin(CUFF);
	assert_int_equal(
		lastgood_save(lastgood, main_file, rig.gateway.config->tables, "/nowhere"), 0);
	struct config_device d = device("cuff-2", ADDRESS);
	d.n_options = 0;
	assert_int_equal(keep("cuff-2", &d), 0);
	struct policy *p = policy_load_copy(lastgood, error, sizeof(error));
	assert_int_equal(p->config.n_devices, 2);
	policy_free(p);
	put(file(), "version: 1\ndevices:\n - {id: cuff-1}\n");
	p = policy_load_copy(lastgood, error, sizeof(error));
	assert_int_equal(p->config.n_devices, 1);
	policy_free(p);
	end();
}

/* running */

static bool runs(const char *id)
{
	struct json j = {0};
	char wanted[64];
	json_object_begin(&j, NULL);
	devices_json(rig.gateway.devices, &j);
	json_object_end(&j);
	snprintf(wanted, sizeof(wanted), "\"%s\":{\"state\":", id);
	bool found = strstr(json_text(&j), wanted);
	json_free(&j);
	return found;
}

static int change(const char *id, const struct config_device *d)
{
	return reload_device(&rig.gateway, id, d, "local:test", error, sizeof(error));
}

static void spin(void)
{
	for (int i = 0; i < 20; i++)
		sd_event_run(rig.gateway.loop, 5000);
}

static void test_a_device_comes_and_goes_without_a_file(void **state)
{
	(void)state;
	begin(CUFF);
	struct config_device d = device("cuff-2", "unix:/nowhere-2");
	d.random_address = false;
	d.n_options = 0;
	d.test = d.trial = true;
	d.enrolled = false;
	const struct codes *codes = rig.gateway.codes;
	assert_int_equal(change("cuff-2", &d), 0);
	spin();
	assert_true(runs("cuff-1") && runs("cuff-2"));
	assert_true(rig.gateway.codes == codes); /* nothing else was read again */
	/* a reload of the files leaves it where it is */
	assert_int_equal(reload_again(&rig.gateway, main_file, lastgood), 0);
	spin();
	assert_true(runs("cuff-2"));
	assert_true(rig.gateway.config->devices[1].trial && rig.gateway.config->devices[1].test);
	d.test = d.trial = false;
	assert_int_equal(change("cuff-2", &d), 0);
	assert_int_equal(change("cuff-2", &d), 0);
	spin();
	assert_true(runs("cuff-2"));
	assert_int_equal(change("cuff-2", NULL), 0);
	spin();
	assert_true(runs("cuff-1") && !runs("cuff-2"));
	end();
}

static void test_a_device_that_does_not_fit_changes_nothing(void **state)
{
	(void)state;
	begin(CUFF);
	struct config_device d = device("cuff-2", "unix:/nowhere");
	d.random_address = false;
	d.n_options = 0;
	assert_true(change("cuff-2", &d) < 0);
	assert_string_equal(error,
		"cuff-2: the address unix:/nowhere is taken by device \"cuff-1\" in line 8 of "
		"vitalgate.yaml");
	snprintf(d.address, sizeof(d.address), "unix:/nowhere-2");
	d.n_options = 1;
	snprintf(d.options[0].name, sizeof(d.options[0].name), "colour");
	assert_true(change("cuff-2", &d) < 0);
	assert_non_null(strstr(error, "driver \"bt_blp\" has no option colour"));
	assert_false(runs("cuff-2"));
	assert_int_equal(rig.gateway.config->n_devices, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_is_read_again),
		cmocka_unit_test(test_options_are_kept),
		cmocka_unit_test(test_what_does_not_fit_is_named),
		cmocka_unit_test(test_one_that_does_not_fit_any_more),
		cmocka_unit_test(test_at_start_the_last_good_copy_goes_without_what_does_not_fit),
		cmocka_unit_test(test_a_device_comes_and_goes_without_a_file),
		cmocka_unit_test(test_a_device_that_does_not_fit_changes_nothing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("enrolled", tests, NULL, NULL);
}
