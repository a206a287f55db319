/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Another policy for a running gateway: devices that come, go and stay, a broken file, what is told. */
#include "gateway_rig.h"

#include "devices.h"
#include "util.h"

#include <fcntl.h>

#define LAB(id, path) " - {id: " id ", driver: lis01, transport: serial, address: " path "}\n"

static struct rig rig;
static char path[128], lastgood[128], lines[2][64];
static int masters[2];

static void write_config(const char *yaml)
{
	char text[4096], cwd[256];
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(text, sizeof(text),
		"version: 1\norg: demo\nsite: village\ngateway: gw-0001\nsite_contact: S-0001\n"
		"paths: {store: %s, runtime: %s, tables: %s/config, profiles: %s/own}\n%s",
		rig.dir, rig.dir, cwd, rig.dir, yaml);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static int open_line(char *link)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0 && !grantpt(fd) && !unlockpt(fd));
	assert_int_equal(ptsname_r(fd, link, 64), 0);
	return fd;
}

#define PATIENCE_US (60 * CLOCK_SECOND_US) /* a busy machine is no failure */

static void spin(int64_t us)
{
	int64_t end = clock_boot_us() + us;
	while (clock_boot_us() < end)
		sd_event_run(rig.gateway.loop, 10000);
}

/* state of a device's link, "none" when there is no such device */
static const char *state_of(const char *id)
{
	static char word[32];
	struct json j = {0};
	char wanted[64];
	json_object_begin(&j, NULL);
	devices_json(rig.gateway.devices, &j);
	json_object_end(&j);
	snprintf(wanted, sizeof(wanted), "\"%s\":{\"state\":\"", id);
	const char *at = strstr(json_text(&j), wanted);
	strcpy(word, "none");
	if (at)
		sscanf(at + strlen(wanted), "%31[^\"]", word);
	json_free(&j);
	return word;
}

static void expect_state(const char *id, const char *state)
{
	for (int64_t end = clock_boot_us() + PATIENCE_US;
		!streq(state_of(id), state) && clock_boot_us() < end;)
		spin(10000);
	assert_string_equal(state_of(id), state);
}

static int64_t count(const char *sql)
{
	return db_int(rig.db, -1, sql, "");
}

static void expect_count(const char *sql, int64_t n)
{
	for (int64_t end = clock_boot_us() + PATIENCE_US; count(sql) != n && clock_boot_us() < end;)
		spin(10000);
	assert_int_equal(count(sql), n);
}

static void begin(const char *yaml)
{
	rig_open(&rig, yaml);
	rig_run_store(&rig);
	snprintf(path, sizeof(path), "%s/site.yaml", rig.dir);
	snprintf(lastgood, sizeof(lastgood), "%s/last-good", rig.dir);
	for (int i = 0; i < 2; i++)
		masters[i] = open_line(lines[i]);
}

static void end(void)
{
	devices_stop(rig.gateway.devices);
	store_free(rig.gateway.store);
	rig.gateway.store = NULL;
	devices_free(TAKE(rig.gateway.devices));
	close(masters[0]);
	close(masters[1]);
	rig_close(&rig);
}

/* A gateway that follows what write_config() wrote. */
static void follow_first(const char *yaml)
{
	begin("");
	write_config(yaml);
	assert_int_equal(devices_new(&rig.gateway, &rig.gateway.devices), 0);
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
}

static void test_devices_come_and_go(void **state)
{
	(void)state;
	char yaml[512];
	follow_first("");
	snprintf(
		yaml, sizeof(yaml), "devices:\n" LAB("a", "%s") LAB("b", "%s"), lines[0], lines[1]);
	write_config(yaml);
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	expect_state("a", "connected");
	expect_state("b", "connected");
	expect_count("SELECT count(*) FROM device WHERE name IN ('a','b')", 2);
	/* a stays as it is, b goes, its line is free for c */
	snprintf(
		yaml, sizeof(yaml), "devices:\n" LAB("c", "%s") LAB("a", "%s"), lines[1], lines[0]);
	write_config(yaml);
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	assert_string_equal(state_of("a"), "connected"); /* at once: it was not touched */
	expect_state("c", "connected");
	assert_string_equal(state_of("b"), "none");
	/* a changes and is opened anew; an answer that is on its way meets nobody and breaks nothing */
	assert_int_equal(write(masters[0], "\x05", 1), 1);
	snprintf(yaml, sizeof(yaml),
		"devices:\n - {id: a, driver: lis01, transport: serial, "
		"address: %s, baud: 19200}\n",
		lines[0]);
	write_config(yaml);
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	expect_state("a", "connected");
	for (int i = 0; i < 20; i++) /* again and again, faster than the store */
		assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	write_config("");
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	assert_string_equal(state_of("a"), "none");
	spin(100000);
	end();
}

/* A device that comes and goes before the store has made its row is freed like any other. */
static void test_gone_before_it_began(void **state)
{
	(void)state;
	char yaml[512];
	follow_first("");
	snprintf(yaml, sizeof(yaml), "devices:\n" LAB("a", "%s"), lines[0]);
	for (int i = 0; i < 5; i++) {
		write_config(yaml);
		assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
		write_config("");
		assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	}
	spin(200000);
	assert_string_equal(state_of("a"), "none");
	end();
}

static void test_broken_file_changes_nothing(void **state)
{
	(void)state;
	char yaml[512];
	follow_first("");
	snprintf(yaml, sizeof(yaml), "devices:\n" LAB("a", "%s"), lines[0]);
	write_config(yaml);
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	expect_state("a", "connected");
	const struct config *before = rig.gateway.config;
	write_config("devices:\n - {id: a, driver: lis02, transport: serial, address: /dev/x}\n");
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), -EINVAL);
	assert_ptr_equal(rig.gateway.config, before);
	assert_string_equal(state_of("a"), "connected");
	assert_non_null(strstr(rig.gateway.config_fault, ":8: device \"a\": driver \"lis02\""));
	expect_count("SELECT count(*) FROM event WHERE type='config_refused' AND detail LIKE "
		     "'%lis02%'",
		1);
	expect_count("SELECT count(*) FROM outbox JOIN event USING(uuid) WHERE type="
		     "'config_refused'",
		0); /* no sink is configured here */
	write_config(yaml);
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	assert_string_equal(rig.gateway.config_fault, "");
	expect_count("SELECT count(*) FROM event WHERE type='config_mended'", 1);
	end();
}

/* What may not change while it runs keeps its value, the rest is taken. */
static void test_fixed_values_stay(void **state)
{
	(void)state;
	follow_first("");
	write_config("retention_days: 30\nalerts: false\ncommit_rows: 9\nzone: Europe/Berlin\n");
	assert_int_equal(reload_again(&rig.gateway, path, lastgood), 0);
	const struct config *c = rig.gateway.config;
	assert_int_equal(c->retention_days, 30);
	assert_false(c->alerts);
	assert_int_equal(c->commit_rows, 256);
	assert_string_equal(c->zone, "Asia/Shanghai");
	end();
}

static void test_first_falls_back(void **state)
{
	(void)state;
	struct gateway g = {0};
	begin("");
	write_config("retention_days: 77\n");
	assert_int_equal(reload_first(&g, path, lastgood), 0);
	assert_string_equal(g.config_fault, "");
	g.store = rig.gateway.store;
	reload_settle(&g, path, lastgood);
	for (int64_t end = clock_boot_us() + PATIENCE_US;
		access(lastgood, F_OK) < 0 && clock_boot_us() < end;)
		spin(10000);
	g.store = NULL;
	policy_leave(&g, TAKE(g.policy));
	write_config("retention_days: 1\n");
	assert_int_equal(reload_first(&g, path, lastgood), 0);
	assert_int_equal(g.config->retention_days, 77);
	assert_non_null(strstr(g.config_fault, "site.yaml:7: retention_days: expected a number"));
	policy_leave(&g, TAKE(g.policy));
	assert_int_equal(nftw(lastgood, rig_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(reload_first(&g, path, lastgood), -EINVAL);
	assert_null(g.policy);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_devices_come_and_go),
		cmocka_unit_test(test_gone_before_it_began),
		cmocka_unit_test(test_broken_file_changes_nothing),
		cmocka_unit_test(test_fixed_values_stay),
		cmocka_unit_test(test_first_falls_back),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
