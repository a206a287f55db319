/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configured instruments: what is refused and how, what is remembered, and one on a serial line. */
#include "gateway_rig.h"

#include "devices.h"
#include "util.h"

#include <fcntl.h>
#include <jansson.h>
#include <termios.h>

#define BLP "devices:\n - {id: cuff-1, driver: bt_blp, transport: ble, address: \"unix:/nowhere\""
#define LAB "devices:\n - {id: lab-1, driver: lis01, transport: serial, address: "

static struct rig rig;
static char said[4096]; /* what the last attempt said on stderr */

static void end(void)
{
	devices_stop(rig.gateway.devices);
	store_free(rig.gateway.store);
	rig.gateway.store = NULL;
	devices_free(TAKE(rig.gateway.devices));
	rig_close(&rig);
}

/* devices_new() on a store that does not run yet, as at start; its words go to `said`. */
static int try_devices(const char *yaml)
{
	struct store_hooks hooks = {rig_after_commit, &rig, rig_before_commit};
	rig_open(&rig, yaml);
	assert_true(sd_event_new(&rig.gateway.loop) >= 0);
	assert_int_equal(
		store_new(rig.gateway.loop, rig.config.store, 256, &hooks, &rig.gateway.store), 0);
	FILE *catch = tmpfile();
	int saved = dup(STDERR_FILENO);
	dup2(fileno(catch), STDERR_FILENO);
	int rc = devices_new(&rig.gateway, &rig.gateway.devices);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(catch);
	said[fread(said, 1, sizeof(said) - 1, catch)] = 0;
	fclose(catch);
	return rc;
}

static void test_rows(void **state)
{
	(void)state;
	assert_int_equal(try_devices(BLP "}\n - {id: lab-1, driver: lis01, transport: serial, "
					 "address: /dev/nowhere}\n"),
		0);
	char text[128];
	rig_text(&rig, text, sizeof(text),
		"SELECT group_concat(name||driver||address,' ') FROM device ORDER BY name");
	assert_string_equal(text, "cuff-1bt_blpunix:/nowhere lab-1lis01/dev/nowhere");
	devices_free(TAKE(rig.gateway.devices));
	rig_close(&rig);
}

static void test_json(void **state)
{
	(void)state;
	assert_int_equal(try_devices(BLP "}\n"), 0);
	struct json j = {0};
	json_object_begin(&j, NULL);
	devices_json(rig.gateway.devices, &j);
	json_object_end(&j);
	json_t *root = json_loads(json_text(&j), JSON_REJECT_DUPLICATES, NULL);
	const json_t *cuff = json_object_get(json_object_get(root, "live"), "cuff-1");
	assert_string_equal(json_string_value(json_object_get(cuff, "state")), "stopped");
	json_decref(root);
	json_free(&j);
	devices_free(TAKE(rig.gateway.devices));
	rig_close(&rig);
}

/* an analyser on a pseudo-terminal */

static char line_yaml[256];

static int open_line(const char *more)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios t;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master) + unlockpt(master), 0);
	assert_int_equal(tcgetattr(master, &t), 0);
	cfmakeraw(&t);
	tcsetattr(master, TCSANOW, &t);
	snprintf(line_yaml, sizeof(line_yaml), LAB "%s%s}\n", ptsname(master), more);
	return master;
}

static void start_line(void)
{
	assert_int_equal(try_devices(line_yaml), 0);
	assert_int_equal(store_run(rig.gateway.store), 0);
	assert_int_equal(devices_start(rig.gateway.devices), 0);
}

#define PATIENCE_MS 20000 /* a busy machine is no failure */

static void turn(void)
{
	assert_true(sd_event_run(rig.gateway.loop, 10000) >= 0);
}

/* The next byte from the gateway within `ms`, -1: none. */
static int hear(int master, int ms)
{
	uint8_t c;
	for (int64_t stop = clock_boot_us() + ms * INT64_C(1000); clock_boot_us() < stop;) {
		if (read(master, &c, 1) == 1)
			return c;
		turn();
	}
	return -1;
}

static void say_frame(int master, const char *text)
{
	char frame[1024];
	int n = snprintf(frame, sizeof(frame), "\x02%s\x03", text);
	unsigned sum = 0;
	for (int i = 1; i < n; i++)
		sum += (uint8_t)frame[i];
	n += snprintf(frame + n, sizeof(frame) - (size_t)n, "%02X\r\n", sum & 0xff);
	assert_int_equal(write(master, frame, (size_t)n), n);
}

#define RESULT                                                                          \
	"1H|\\^&|||Sim|||||||P|LIS2-A2|20261118190000\rP|1||R-0001\rO|1|S-17||^^^GLU\r" \
	"R|1|^^^GLU|%s|mmol/L||HH||F||||20261118185900\rL|1|N\r"

static int deliver(int master, const char *value)
{
	char text[512];
	snprintf(text, sizeof(text), RESULT, value);
	if (write(master, "\x05", 1) != 1 || hear(master, PATIENCE_MS) != 6)
		return -1;
	say_frame(master, text);
	int answer = hear(master, PATIENCE_MS);
	assert_int_equal(write(master, "\x04", 1), 1);
	return answer;
}

static bool is_open(void)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	devices_json(rig.gateway.devices, &j);
	json_object_end(&j);
	bool open = strstr(json_text(&j), "\"state\":\"connected\"");
	json_free(&j);
	return open;
}

static void wait_open(void)
{
	for (int64_t stop = clock_boot_us() + PATIENCE_MS * INT64_C(1000); !is_open();) {
		assert_true(clock_boot_us() < stop);
		turn();
	}
}

/* Acknowledged is stored: when the ACK is here, another connection sees the reading. */
static void test_acknowledged_is_stored(void **state)
{
	(void)state;
	int master = open_line("");
	start_line();
	wait_open();
	assert_int_equal(deliver(master, "18.4"), 6);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 1);
	assert_int_equal(deliver(master, "18.4"), 6); /* told again: harmless */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading"), 1);
	char text[64];
	rig_text(&rig, text, sizeof(text), "SELECT uid||ack_mode FROM device WHERE name='lab-1'");
	assert_string_equal(text, "line:lab-1held");
	end();
	close(master);
}

/* Stored is what is acknowledged: while the store refuses, the instrument keeps its result. */
static void test_not_stored_not_acknowledged(void **state)
{
	(void)state;
	int master = open_line(""), tries = 0;
	start_line();
	wait_open();
	rig_script(&rig,
		"CREATE TRIGGER broken BEFORE INSERT ON reading BEGIN SELECT raise(ABORT,'x'); END");
	assert_int_not_equal(deliver(master, "18.4"), 6);
	rig_script(&rig, "DROP TRIGGER broken");
	do { /* the line is opened anew; an instrument tries again */
		while (hear(master, 100) >= 0)
			;
		wait_open();
	} while (deliver(master, "18.4") != 6 && tries++ < 20);
	assert_in_range(tries, 0, 19);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading"), 1);
	end();
	close(master);
}

static void test_marked_test(void **state)
{
	(void)state;
	int master = open_line(", test: true");
	start_line();
	wait_open();
	assert_int_equal(deliver(master, "1.9"), 6);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM reading WHERE test=1 AND resident IS NULL"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"), 0);
	end();
	close(master);
}

/* The end comes while a unit is on its way to the store. */
static void test_end_in_the_middle(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		int master = open_line("");
		char text[512];
		start_line();
		wait_open();
		assert_int_equal(write(master, "\x05", 1), 1);
		assert_int_equal(hear(master, PATIENCE_MS), 6);
		snprintf(text, sizeof(text), RESULT, "18.4");
		say_frame(master, text);
		for (int k = 0; k < i; k++)
			turn();
		end();
		close(master);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_acknowledged_is_stored),
		cmocka_unit_test(test_not_stored_not_acknowledged),
		cmocka_unit_test(test_marked_test),
		cmocka_unit_test(test_end_in_the_middle),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
