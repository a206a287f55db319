/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two configurations side by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_diff.h"
#include "util.h"

#define HEAD "version: 1\norg: o\nsite: s\ngateway: g\n"
#define LAB "devices:\n - {id: lab, driver: lis01, transport: serial, address: /dev/x"

static struct config before, after;
static char told[2048];

static void tell(void *arg, const char *line)
{
	(void)arg;
	size_t n = strlen(told);
	snprintf(told + n, sizeof(told) - n, "%s\n", line);
}

static void parse(const char *text, struct config *c)
{
	char error[CONFIG_ERROR_MAX];
	config_free(c);
	if (config_parse("t", text, strlen(text), c, error, sizeof(error)) < 0)
		fail_msg("%s", error);
}

static void expect(const char *a, const char *b, const char *lines)
{
	parse(a, &before);
	parse(b, &after);
	told[0] = 0;
	unsigned n = config_diff(&before, &after, tell, NULL), lf = 0;
	for (const char *p = lines; *p; p++)
		lf += *p == '\n';
	assert_string_equal(told, lines);
	assert_int_equal(n, lf);
}

static void test_lines(void **state)
{
	(void)state;
	expect(HEAD, HEAD, "");
	expect(HEAD, "# moved\n\n" HEAD "retention_days: 180\n", ""); /* its default, said aloud */
	expect(HEAD, HEAD "retention_days: 90\nalerts: false\nsite_contact: S-0001\n",
		"site_contact: \"\" -> S-0001\nalerts: true -> false\nretention_days: 180 -> 90\n");
	expect(HEAD, "version: 1\norg: o2\nsite: s\ngateway: g\nzone: Europe/Berlin\n",
		"org: o -> o2 (takes effect after a restart)\n"
		"zone: Asia/Shanghai -> Europe/Berlin (takes effect after a restart)\n");
	expect(HEAD LAB "}\n", HEAD LAB ", baud: 19200, parity: even, dtr: false}\n",
		"devices[lab].baud: 9600 -> 19200\ndevices[lab].parity: none -> even\n"
		"devices[lab].dtr: true -> false\n");
	expect(HEAD LAB ", options: {a: 1}}\n", HEAD LAB ", options: {a: 2}}\n",
		"devices[lab].options: changed\n");
	expect(HEAD LAB ", options: {a: 1, b: 2}}\n", HEAD LAB ", options: {b: 2, a: 1}}\n", "");
	expect(HEAD LAB "}\n - {id: cuff, driver: d, transport: ble, address: \"unix:/x\"}\n",
		HEAD "devices:\n - {id: cuff, driver: d, transport: ble, address: \"unix:/x\"}\n"
		     " - {id: new, driver: d, transport: ble, address: \"unix:/y\"}\n",
		"devices[lab]: removed\ndevices[new]: added\n");
	expect(HEAD "sinks:\n - {name: p, host: h}\n - {name: q, host: h2}\n",
		HEAD "sinks:\n - {name: p, host: h, tls: {}, window: 5}\n - {name: r, host: h3}\n",
		"sinks[p].port: 1883 -> 8883 (takes effect after a restart)\n"
		"sinks[p].tls: false -> true (takes effect after a restart)\n"
		"sinks[p].window: 20 -> 5 (takes effect after a restart)\n"
		"sinks[q]: removed (takes effect after a restart)\n"
		"sinks[r]: added (takes effect after a restart)\n");
}

static void test_fixed(void **state)
{
	(void)state;
	parse(HEAD "sinks:\n - {name: p, host: h}\n" LAB "}\n", &before);
	parse("version: 1\norg: o2\nsite: s2\ngateway: g2\nalerts: false\ncommit_rows: 7\n"
	      "paths: {store: /s, tables: /t}\n"
	      "ecg: {centre: q, report_minutes: 5}\nsinks:\n - {name: q, host: g}\n",
		&after);
	config_keep_fixed(&before, &after);
	assert_string_equal(after.org, "o");
	assert_string_equal(after.site, "s");
	assert_string_equal(after.gateway, "g");
	assert_string_equal(after.store, "/var/lib/vitalgate");
	assert_int_equal(after.commit_rows, 256);
	assert_int_equal(after.n_sinks, 1);
	assert_string_equal(after.sinks[0].host, "h");
	assert_string_equal(after.ecg_centre, ""); /* it names one of the sinks that stay */
	/* the rest is taken */
	assert_int_equal(after.ecg_report_minutes, 5);
	assert_false(after.alerts);
	assert_string_equal(after.tables, "/t");
	assert_int_equal(after.n_devices, 0);
}

/* Any key of a device makes it another one; where it stands in the file does not. */
static void test_same_device(void **state)
{
	(void)state;
	static const char *const others[] = {"baud: 19200", "data_bits: 7", "parity: odd",
		"stop_bits: 2", "dtr: false", "rts: false", "station: a", "place: fridge",
		"patient_id: token", "test: true", "options: {a: 1}"};
	parse(HEAD LAB "}\n", &before);
	parse("\n\n\n" HEAD LAB "}\n", &after);
	assert_true(config_same_device(&before.devices[0], &after.devices[0]));
	for (size_t i = 0; i < ELEMENTS(others); i++) {
		char text[256];
		snprintf(text, sizeof(text), HEAD LAB ", %s}\n", others[i]);
		parse(text, &after);
		if (config_same_device(&before.devices[0], &after.devices[0]))
			fail_msg("%s makes no difference", others[i]);
	}
	config_free(&before);
	config_free(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_same_device),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("config_diff", tests, NULL, NULL);
}
