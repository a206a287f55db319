/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as one: what a device says against the driver that it names, tables, and the copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "lastgood.h"
#include "policy.h"
#include "util.h"

#define HEAD "version: 1\norg: o\nsite: s\ngateway: g\n"
#define BLP "devices:\n - {id: cuff-1, driver: bt_blp, transport: ble, address: \"unix:/nowhere\""

static char dir[64], error[CONFIG_ERROR_MAX];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vitalgate-policy-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

/* vitalgate.yaml with the tables of the source tree and own profiles in dir/own. */
static const char *config(const char *more)
{
	static char path[128];
	char text[4096], cwd[256];
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(text, sizeof(text), HEAD "paths: {tables: %s/config, profiles: %s/own}\n%s", cwd,
		dir, more);
	put("vitalgate.yaml", text);
	snprintf(path, sizeof(path), "%s/vitalgate.yaml", dir);
	return path;
}

static void refuse(const char *more, const char *expected)
{
	const char *path = config(more);
	assert_null(policy_load(path, error, sizeof(error)));
	assert_string_equal(error + strlen(path) + 1, expected);
}

static void test_devices(void **state)
{
	(void)state;
	refuse("devices:\n - {id: x, driver: bt_blq, transport: ble, address: \"unix:/x\"}\n",
		"7: device \"x\": driver \"bt_blq\" does not exist; `vitalgate decode` lists them");
	refuse("devices:\n - {id: x, driver: bt_blp, transport: serial, address: /dev/x}\n",
		"7: device \"x\": driver \"bt_blp\" needs transport ble");
	refuse("devices:\n - {id: x, driver: lis01, transport: ble, address: \"unix:/x\"}\n",
		"7: device \"x\": driver \"lis01\" needs transport serial or rfcomm");
	refuse("devices:\n - {id: x, driver: lis01, transport: modbus, address: /dev/x}\n",
		"7: device \"x\": driver \"lis01\" needs transport serial or rfcomm");
	refuse(BLP ", options: {colour: red}}\n",
		"7: device \"cuff-1\": driver \"bt_blp\" has no option colour: red");
	refuse(BLP "}\n - {id: y, driver: none, transport: ble, address: \"unix:/y\"}\n",
		"8: device \"y\": driver \"none\" does not exist; `vitalgate decode` lists them");
	refuse(BLP ", place: cellar}\n",
		"7: device \"cuff-1\": place \"cellar\" has no rule in alerts.yaml");
	struct policy *p = policy_load(
		config(BLP ", place: fridge}\n - {id: y, driver: lis01, transport: replay, "
			   "address: /x.cap, test: true}\n"),
		error, sizeof(error));
	assert_non_null(p); /* a capture carries anything */
	assert_int_equal(p->config.n_devices, 2);
	policy_free(p);
}

static void test_tables(void **state)
{
	(void)state;
	char text[512], expected[256];
	snprintf(text, sizeof(text), HEAD "paths: {tables: %s}\n", dir);
	put("vitalgate.yaml", text);
	snprintf(text, sizeof(text), "%s/vitalgate.yaml", dir);
	assert_null(policy_load(text, error, sizeof(error)));
	snprintf(expected, sizeof(expected), "%s/codes.csv", dir);
	assert_memory_equal(error, expected, strlen(expected));
}

/* A profile of the site is read with the others, and a broken one is refused by its name and line. */
static void test_own_profiles(void **state)
{
	(void)state;
	char own[128];
	const char *path = config("");
	snprintf(own, sizeof(own), "%s/own", dir);
	assert_int_equal(mkdir(own, 0755), 0);
	put("own/scale.yaml", "version: 1\nbus: carrier_pigeon\n");
	assert_null(policy_load(path, error, sizeof(error)));
	assert_non_null(strstr(error, "/own/scale.yaml:1: bus: expected one of line, registers"));
	put("own/scale.yaml", "");
	assert_null(policy_load(path, error, sizeof(error)));
	assert_non_null(strstr(error, "/own/scale.yaml: "));
}

/* The copy stands for the files, also when all of them are gone or broken afterwards. */
static void test_copy(void **state)
{
	(void)state;
	char copy[128], own[128], cwd[256], tables[300];
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(copy, sizeof(copy), "%s/last-good", dir);
	snprintf(own, sizeof(own), "%s/own", dir);
	snprintf(tables, sizeof(tables), "%s/config", cwd);
	assert_null(policy_load_copy(copy, error, sizeof(error)));
	assert_int_equal(lastgood_save(copy, config(BLP "}\n"), tables, own), 0);
	put("vitalgate.yaml", "version: [1");
	struct policy *p = policy_load_copy(copy, error, sizeof(error));
	if (!p)
		fail_msg("%s", error);
	assert_string_equal(p->config.devices[0].id, "cuff-1");
	assert_memory_equal(p->config.tables, copy, strlen(copy));
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_devices, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(test_tables, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(test_own_profiles, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(test_copy, make_dir, drop_dir),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
