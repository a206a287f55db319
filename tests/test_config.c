/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration: what is read, every sentence that refuses, and config/vitalgate.yaml against
 * the table of keys. Runs from the root of the repository.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <yaml.h>

#include "config.h"
#include "util.h"

#define EXAMPLE "config/vitalgate.yaml"
#define HEAD "version: 1\norg: o\nsite: s\ngateway: g\n" /* 4 lines */
#define SINK HEAD "sinks:\n - name: p\n   host: h\n"	 /* 7 lines */
#define CUFF \
	" - id: cuff\n   driver: bt_blp\n   transport: ble\n   address: C0:11:22:33:44:55\n" /* 4 */
#define LINE \
	" - id: lab\n   driver: lis01\n   transport: serial\n   address: /dev/ttyUSB0\n" /* 4 */
#define BOX(id, path) " - {id: " id ", driver: d, transport: spool, address: \"" path "\"}\n"
#define DEVICES HEAD "devices:\n" /* 5 */

static uint64_t seed = 20261121;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static struct config config; /* large; one test at a time */

static void accept(const char *text)
{
	char error[CONFIG_ERROR_MAX] = "";
	config_free(&config);
	memset(&config, 0xee, sizeof(config));
	config.devices = NULL; /* whatever happens below, it can be freed */
	if (config_parse("t.yaml", text, strlen(text), &config, error, sizeof(error)) < 0)
		fail_msg("%s", error);
}

/* `expected` is the sentence behind "t.yaml:". */
static void refuse(const char *text, const char *expected)
{
	char error[CONFIG_ERROR_MAX] = "";
	struct config *untouched = test_malloc(sizeof(*untouched));
	memset(untouched, 0x5a, sizeof(*untouched));
	int r = config_parse("t.yaml", text, strlen(text), untouched, error, sizeof(error));
	assert_string_equal(error + strlen("t.yaml:"), expected);
	assert_int_equal(r, -EINVAL);
	for (size_t i = 0; i < sizeof(*untouched); i += 64)
		assert_int_equal(((unsigned char *)untouched)[i], 0x5a);
	test_free(untouched);
}

static void test_defaults(void **state)
{
	(void)state;
	accept(HEAD);
	assert_string_equal(config.org, "o");
	assert_string_equal(config.gateway, "g");
	assert_string_equal(config.zone, "Asia/Shanghai");
	assert_string_equal(config.language, "zh");
	assert_string_equal(config.site_contact, "");
	assert_true(config.alerts);
	assert_string_equal(config.store, "/var/lib/vitalgate");
	assert_string_equal(config.runtime, "/run/vitalgate");
	assert_string_equal(config.tables, "/usr/share/vitalgate");
	assert_int_equal(config.retention_days, 180);
	assert_int_equal(config.commit_rows, 256);
	assert_int_equal(config.n_sinks, 0);
	assert_int_equal(config.n_devices, 0);
	/* all lines below a name may be comments; a mark of byte order and CR LF do not matter */
	accept("\xef\xbb\xbf" HEAD "sinks:\ndevices: \npaths:\n# end\n");
	accept("version: 1\r\norg: o\r\nsite: s\r\ngateway: g\r\npaths:\r\n  store: /x\r\n");
	assert_string_equal(config.store, "/x");
	assert_string_equal(config.runtime, "/run/vitalgate");
	accept("{version: 1, org: o, site: s, gateway: g, devices: [], sinks: []}");
	accept("---\n" HEAD "...\n");
}

static void test_sinks(void **state)
{
	(void)state;
	accept(SINK);
	const struct config_sink *s = &config.sinks[0];
	assert_int_equal(config.n_sinks, 1);
	assert_string_equal(s->name, "p");
	assert_string_equal(s->host, "h");
	assert_int_equal(s->port, 1883);
	assert_false(s->tls);
	assert_string_equal(s->client_id, "");
	assert_int_equal(s->keepalive_s, 30);
	assert_int_equal(s->receipt, RECEIPT_PLATFORM);
	assert_int_equal(s->receipt_timeout_s, 300);
	assert_int_equal(s->window, 20);
	assert_int_equal(s->line, 6);
	accept(SINK "   tls: {}\n   receipt: broker\n   window: 1000\n"
		    " - name: q\n   host: h\n   client_id: second\n   port: 8884\n"
		    "   user: u\n   password_file: /etc/p\n   keepalive_s: 5\n"
		    "   tls:\n     ca: /ca.pem\n     cert: /c.pem\n     key: /k.pem\n");
	assert_int_equal(config.n_sinks, 2);
	assert_true(s->tls);
	assert_int_equal(s->port, 8883);
	assert_int_equal(s->receipt, RECEIPT_BROKER);
	assert_int_equal(s->window, 1000);
	s++;
	assert_true(s->tls);
	assert_int_equal(s->port, 8884);
	assert_string_equal(s->user, "u");
	assert_string_equal(s->password_file, "/etc/p");
	assert_string_equal(s->ca_file, "/ca.pem");
	assert_string_equal(s->cert_file, "/c.pem");
	assert_string_equal(s->key_file, "/k.pem");
	assert_int_equal(s->keepalive_s, 5);
	assert_int_equal(s->receipt, RECEIPT_PLATFORM); /* nothing is left of the one before */
	accept(SINK "   tls:\n#    ca: x\n");
	assert_true(config.sinks[0].tls);
}

static void test_devices(void **state)
{
	(void)state;
	accept(DEVICES CUFF "   random_address: true\n   adapter: hci1\n   pairing: true\n"
			    "   station: 诊室一\n   test: true\n"
			    "   options: {quirk: omron, zero: \"\"}\n" LINE
			    "   baud: 115200\n   data_bits: 7\n   parity: even\n   stop_bits: 2\n"
			    "   dtr: false\n   rts: false\n   patient_id: token\n");
	assert_int_equal(config.n_devices, 2);
	const struct config_device *d = &config.devices[0];
	assert_string_equal(d->id, "cuff");
	assert_string_equal(d->driver, "bt_blp");
	assert_int_equal(d->transport, TRANSPORT_BLE);
	assert_string_equal(d->address, "C0:11:22:33:44:55");
	assert_true(d->random_address && d->pairing && d->test);
	assert_string_equal(d->adapter, "hci1");
	assert_string_equal(d->station, "诊室一");
	assert_int_equal(d->patient_id, PATIENT_IGNORE);
	assert_string_equal(config_option(d, "quirk"), "omron");
	assert_string_equal(config_option(d, "zero"), "");
	assert_null(config_option(d, "none"));
	assert_int_equal(d->line, 6);
	d++;
	assert_int_equal(d->transport, TRANSPORT_SERIAL);
	assert_int_equal(d->baud, 115200);
	assert_int_equal(d->data_bits, 7);
	assert_int_equal(d->parity, 'E');
	assert_int_equal(d->stop_bits, 2);
	assert_false(d->dtr || d->rts || d->random_address || d->pairing || d->test);
	assert_string_equal(d->station, "");
	assert_int_equal(d->patient_id, PATIENT_TOKEN);
	assert_int_equal(d->n_options, 0);
	accept(DEVICES " - {id: a, driver: d, transport: ble, address: c0:aa:bb:cc:dd:ef}\n"
		       " - {id: b, driver: d, transport: ble, address: unix:/tmp/sim}\n" LINE);
	assert_string_equal(config.devices[0].address, "C0:AA:BB:CC:DD:EF");
	assert_string_equal(config.devices[1].address, "unix:/tmp/sim");
	assert_int_equal(config.devices[2].baud, 9600);
	assert_int_equal(config.devices[2].parity, 'N');
	assert_true(config.devices[2].dtr);
	static const char *const speeds[] = {
		"1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200", "230400"};
	for (size_t i = 0; i < ELEMENTS(speeds); i++) {
		char text[400];
		snprintf(text, sizeof(text), "%s   baud: %s\n", DEVICES LINE, speeds[i]);
		accept(text);
		assert_int_equal(config.devices[0].baud, atoi(speeds[i]));
	}
}

static void test_keys_refused(void **state)
{
	(void)state;
	refuse(HEAD "alarms: true\n", "5: unknown key \"alarms\"; did you mean \"alerts\"?");
	refuse(HEAD "resident_limits: 1\n",
		"5: unknown key \"resident_limits\"; known here: version, org, site, gateway, "
		"zone, "
		"language, site_contact, alerts, alerting, paths, contract_start, retention_days, commit_rows, lists, ecg, sinks, stations, devices");
	refuse(HEAD "paths:\n  stores: /x\n",
		"6: paths: unknown key \"stores\"; did you mean \"store\"?");
	refuse(DEVICES LINE "   buad: 9600\n",
		"10: devices[0]: unknown key \"buad\"; did you mean \"baud\"?");
	refuse(HEAD "devices[].baud: 9600\n",
		"5: unknown key \"devices[].baud\"; known here: version, org, site, gateway, zone, "
		"language, site_contact, alerts, alerting, paths, contract_start, retention_days, commit_rows, lists, ecg, sinks, stations, devices");
	refuse(HEAD "paths.store: /x\n",
		"5: unknown key \"paths.store\"; known here: version, org, site, gateway, zone, "
		"language, site_contact, alerts, alerting, paths, contract_start, retention_days, commit_rows, lists, ecg, sinks, stations, devices");
	refuse(HEAD "org: other\n", "5: the key \"org\" is there twice, first in line 2");
	refuse(HEAD "paths: {}\npaths: {}\n",
		"6: the key \"paths\" is there twice, first in line 5");
	refuse(DEVICES CUFF LINE "   id: again\n",
		"14: devices[1]: the key \"id\" is there twice, first in line 10");
	refuse("version: 1\norg: o\nsite: s\n", "1: the required key \"gateway\" is missing");
	refuse("org: o\nsite: s\ngateway: g\n", "1: the required key \"version\" is missing");
	refuse(DEVICES CUFF " - id: lab\n   transport: serial\n   address: /dev/ttyS0\n",
		"10: devices[1]: the required key \"driver\" is missing");
	refuse(HEAD "sinks:\n - name: p\n", "6: sinks[0]: the required key \"host\" is missing");
	refuse(HEAD "[a]: b\n", "5: expected the name of a key, found more below");
}

static void test_values_refused(void **state)
{
	(void)state;
	refuse("version: 2\norg: o\nsite: s\ngateway: g\n", "1: version: expected 1, found \"2\"");
	refuse("version: 1\norg: a/b\n",
		"2: org: expected letters, digits, '-' and '_' (it is part of topics), at most 31 "
		"bytes, found \"a/b\"");
	refuse("version: 1\norg: \"#\"\n",
		"2: org: expected letters, digits, '-' and '_' (it is part of topics), at most 31 "
		"bytes, found \"#\"");
	refuse("version: 1\norg: 卫生院\n",
		"2: org: expected letters, digits, '-' and '_' (it is part of topics), at most 31 "
		"bytes, found \"卫生院\"");
	refuse("version: 1\norg:\n",
		"2: org: expected letters, digits, '-' and '_' (it is part of topics), at most 31 "
		"bytes, found nothing");
	refuse(HEAD "zone: Asia/Beijing\n", "5: zone: expected a zone of /usr/share/zoneinfo, such "
					    "as Asia/Shanghai, at most 47 "
					    "bytes, found \"Asia/Beijing\"");
	refuse(HEAD "zone: ../../../etc/passwd\n",
		"5: zone: expected a zone of /usr/share/zoneinfo, such as Asia/Shanghai, at most "
		"47 "
		"bytes, found \"../../../etc/passwd\"");
	refuse(HEAD "zone: Asia\n", "5: zone: expected a zone of /usr/share/zoneinfo, such as "
				    "Asia/Shanghai, at most 47 "
				    "bytes, found \"Asia\"");
	refuse(HEAD "zone: zone.tab\n", "5: zone: expected a zone of /usr/share/zoneinfo, such as "
					"Asia/Shanghai, at most 47 "
					"bytes, found \"zone.tab\"");
	refuse(HEAD "language: fr\n", "5: language: expected one of zh, en, found \"fr\"");
	refuse(HEAD "alerts: yes\n", "5: alerts: expected true or false, found \"yes\"");
	refuse(HEAD "alerts:\n", "5: alerts: expected true or false, found nothing");
	refuse(HEAD "commit_rows: 0\n",
		"5: commit_rows: expected a number from 1 to 5000, found \"0\"");
	refuse(HEAD "commit_rows: 010\n",
		"5: commit_rows: expected a number from 1 to 5000, found \"010\"");
	refuse(HEAD "commit_rows: 99999999999999999999\n",
		"5: commit_rows: expected a number from 1 to 5000, found \"99999999999999999999\"");
	refuse(HEAD "commit_rows: [1]\n",
		"5: commit_rows: expected a number from 1 to 5000, found a list");
	refuse(HEAD "commit_rows: {a: 1}\n",
		"5: commit_rows: expected a number from 1 to 5000, found names with values");
	refuse(HEAD "paths:\n  store: data\n",
		"6: paths.store: expected a path that begins with '/', at most 255 bytes, found "
		"\"data\"");
	refuse(HEAD "paths: /var\n",
		"5: paths: expected lines \"name: value\" below it, found \"/var\"");
	refuse(HEAD "devices: {}\n",
		"5: devices: expected a list: lines that begin with \"- \" below it, or [], found "
		"names with values");
	refuse(DEVICES " - cuff\n",
		"6: devices[0]: expected \"name: value\" behind the \"-\", found something else");
	refuse(HEAD "site_contact: \"S 1\"\n",
		"5: site_contact: expected a token of letters, digits, '-' and '_', at most 31 "
		"bytes, found \"S 1\"");
	refuse(HEAD "site_contact: "
		    "a23456789012345678901234567890123456789012345678901234567890123456789\n",
		"5: site_contact: expected a token of letters, digits, '-' and '_', at most 31 "
		"bytes, found \"a23456789012345678901234567890123456789012345678901234567890...\"");
	refuse(HEAD "site_contact: \"a\\0b\"\n",
		"5: site_contact: the value holds a line break or a control character");
	refuse(HEAD "site_contact: |\n  a\n",
		"5: site_contact: the value holds a line break or a control character");
}

static void test_sinks_refused(void **state)
{
	(void)state;
	refuse(SINK "   port: 65536\n",
		"8: sinks[0].port: expected a number from 0 to 65535, found \"65536\"");
	refuse(SINK "   receipt: none\n",
		"8: sinks[0].receipt: expected one of platform, broker, found \"none\"");
	refuse(SINK "   tls: true\n",
		"8: sinks[0].tls: expected lines \"name: value\" below it, found \"true\"");
	refuse(SINK "   tls:\n     cert: /c\n",
		"8: sinks[0]: tls.cert and tls.key belong together; one of them is missing");
	refuse(SINK "   password_file: /p\n",
		"8: sinks[0]: a password needs a user (MQTT 3.1.1, 3.1.2.9)");
	refuse(SINK " - name: p\n   host: other\n",
		"8: sinks[1]: the name \"p\" is taken by the sink in line 6");
	refuse(SINK " - name: q\n   host: h\n",
		"8: sinks[1]: sink \"p\" in line 6 has the same host, port and client_id: the "
		"broker "
		"would throw out one for the other; give a client_id");
	refuse(SINK " - {name: b, host: b}\n - {name: c, host: c}\n - {name: d, host: d}\n"
		    " - {name: e, host: e}\n",
		"11: sinks: at most 4 are possible");
	refuse(HEAD "sinks:\n - {name: p, host: \"mqtt://h\"}\n",
		"6: sinks[0].host: expected a host name or address, at most 127 bytes, found "
		"\"mqtt://h\"");
}

static void test_devices_refused(void **state)
{
	(void)state;
	refuse(DEVICES LINE "   baud: 96000\n",
		"10: devices[0].baud: expected one of 1200, 2400, 4800, 9600, 19200, 38400, 57600, "
		"115200, 230400, found \"96000\"");
	refuse(DEVICES CUFF "   baud: 9600\n",
		"10: devices[0]: \"baud\" has no meaning for transport ble");
	refuse(DEVICES LINE "   pairing: true\n",
		"10: devices[0]: \"pairing\" has no meaning for transport serial");
	refuse(DEVICES " - id: a\n   driver: d\n   transport: ble\n   address: C0-11-22-33-44-55\n",
		"9: devices[0]: expected six hex pairs such as C0:11:22:33:44:55 as address, found "
		"\"C0-11-22-33-44-55\"");
	refuse(DEVICES " - id: a\n   driver: d\n   transport: serial\n   address: ttyUSB0\n",
		"9: devices[0]: expected a device file such as /dev/ttyUSB0 as address, found "
		"\"ttyUSB0\"");
	refuse(DEVICES " - id: a\n   driver: d\n   transport: spool\n   address: ecg\n",
		"9: devices[0]: expected the path of a directory as address, found \"ecg\"");
	refuse(DEVICES " - {id: a, driver: d, transport: ble, address: 50:11:22:33:44:55, "
		       "random_address: true}\n",
		"6: devices[0]: a random static address begins with C, D, E or F; others change, "
		"so "
		"pair and use the identity address");
	refuse(DEVICES CUFF
		" - id: cuff\n   driver: lis01\n   transport: serial\n   address: /dev/x\n",
		"10: devices[1]: the id \"cuff\" is taken by the device in line 6");
	refuse(DEVICES " - {id: person, driver: d, transport: ble, address: c0:11:22:33:44:55}\n",
		"6: devices[0]: the id \"person\" stands for what people type: expected another");
	refuse(DEVICES CUFF
		" - id: two\n   driver: d\n   transport: ble\n   address: c0:11:22:33:44:55\n",
		"13: devices[1]: the address C0:11:22:33:44:55 is taken by device \"cuff\" in line "
		"6");
	refuse(DEVICES LINE "   parity: mark\n",
		"10: devices[0].parity: expected one of none, even, odd, found \"mark\"");
	refuse(DEVICES CUFF "   adapter: hci\n", "10: devices[0].adapter: expected hci0, hci1 ... "
						 "or nothing, at most 7 bytes, found "
						 "\"hci\"");
	refuse(DEVICES CUFF "   options: {Quirk: 1}\n",
		"10: devices[0].options: the name of an option has at most 23 small letters, "
		"digits "
		"and '_'");
	refuse(DEVICES CUFF "   options: {a: 1, a: 2}\n",
		"10: devices[0].options: option \"a\" is there twice");
	refuse(DEVICES CUFF "   options: {a: {b: c}}\n",
		"10: devices[0].options.a: expected a text of at most 63 bytes");
	refuse(DEVICES CUFF "   options: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1}\n",
		"10: devices[0].options: at most 8 options");
	static char many[32768] = DEVICES;
	for (int i = 0; i <= CONFIG_DEVICES_MAX; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many),
			" - {id: d%d, driver: d, transport: serial, address: /dev/%d}\n", i, i);
	refuse(many, "262: devices: at most 256 are possible");
}

static void test_spools(void **state)
{
	(void)state;
	char text[512];
	/* one directory, however it is written; where files are put aside; what is ours */
	static const char *const same[] = {"/a/b", "/a/b/", "//a/./b//."};
	for (size_t i = 0; i < ELEMENTS(same); i++) {
		snprintf(text, sizeof(text), DEVICES BOX("one", "/a/b") BOX("two", "%s"), same[i]);
		refuse(text,
			"7: devices[1]: the address /a/b is taken by device \"one\" in line 6");
	}
	refuse(DEVICES BOX("one", "/a/b") BOX("two", "/a/b/done/x"),
		"7: devices[1]: /a/b/done/x is where files of device \"one\" in line 6 are put aside, "
		"or the reverse: they would be taken twice");
	refuse(DEVICES BOX("one", "/a/b/refused") BOX("two", "/a/b"),
		"7: devices[1]: /a/b is where files of device \"one\" in line 6 are put aside, or the "
		"reverse: they would be taken twice");
	refuse(DEVICES BOX("one", "/a/../b"),
		"6: devices[0]: expected the path of a directory as address, found \"/a/../b\"");
	refuse(DEVICES BOX("one", "/./"),
		"6: devices[0]: expected the path of a directory as address, found \"/./\"");
	refuse(HEAD "paths: {store: /s/}\ndevices:\n" BOX("one", "/s/x"),
		"1: device \"one\" in line 7 would take away what the gateway keeps in /s: give it a "
		"directory of its own");
	refuse(DEVICES BOX("one", "/run/vitalgate"),
		"1: device \"one\" in line 6 would take away what the gateway keeps in "
		"/run/vitalgate: give it a directory of its own");
	static const char *const good[] = {
		"/a/b/c", "/a/bc", "/a/b/donex", "/a", "/var/lib/vitalgate2"};
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		snprintf(text, sizeof(text), DEVICES BOX("one", "/a/b") BOX("two", "%s"), good[i]);
		accept(text);
		assert_string_equal(config.devices[1].address, good[i]);
	}
}

static void test_files_refused(void **state)
{
	(void)state;
	refuse("", " the file is empty; begin with \"version: 1\", org, site and gateway");
	refuse("# nothing\n",
		" the file is empty; begin with \"version: 1\", org, site and gateway");
	refuse("---\n", " the file is empty; begin with \"version: 1\", org, site and gateway");
	refuse("- a\n", "1: expected \"name: value\", found something else");
	refuse("text\n", "1: expected \"name: value\", found something else");
	refuse(HEAD "---\norg: x\n", "5: a second document begins; one file is one configuration");
	refuse(HEAD "paths:\n\tstore: /x\n", "6: this is not YAML: while scanning for the next "
					     "token, found character that cannot "
					     "start any token; indent with blanks, not with tabs");
	refuse(HEAD "paths:\n  store: /x\n runtime: /y\n",
		"7: this is not YAML: while parsing a block mapping, did not find expected key");
	refuse(HEAD "zone: \"Asia\n", "6: this is not YAML: while scanning a quoted scalar, found "
				      "unexpected end of stream");
	refuse(HEAD "zone: \xca\xd5\n", "5: this is not YAML: invalid trailing UTF-8 octet");
	refuse(HEAD "zone: &a Asia/Shanghai\n",
		"5: zone: anchors (&a) are not read; write values out");
	refuse(HEAD "zone: *a\n", "5: zone: aliases (*a) are not read; write the value here");
	refuse(HEAD "zone: !!str Asia/Shanghai\n",
		"5: zone: tags (tag:yaml.org,2002:str) are not read");
	refuse(HEAD "paths: &p {}\n", "5: paths: anchors (&p) are not read; write values out");
	refuse(HEAD "sinks: &p []\n", "5: sinks: anchors (&p) are not read; write values out");
	refuse(HEAD "<<: {org: x}\n",
		"5: unknown key \"<<\"; known here: version, org, site, gateway, zone, language, "
		"site_contact, alerts, alerting, paths, contract_start, retention_days, commit_rows, lists, ecg, sinks, stations, devices");
}

static void test_size_and_depth(void **state)
{
	(void)state;
	config_free(&config);
	size_t len = CONFIG_FILE_MAX;
	_cleanup_(freep) char *text = malloc(len + 2);
	char error[CONFIG_ERROR_MAX];
	memset(text, '[', len + 1);
	text[len + 1] = 0;
	assert_int_equal(-EFBIG, config_parse("t", text, len + 1, &config, error, sizeof(error)));
	assert_string_equal(error, "t: the file is larger than 1024 KiB");
	assert_int_equal(-EINVAL, config_parse("t", text, len, &config, error, sizeof(error)));
	assert_string_equal(error, "t:1: expected \"name: value\", found something else");
	memset(text, '{', len);
	memcpy(text, HEAD "paths: ", strlen(HEAD "paths: "));
	assert_int_equal(-EINVAL, config_parse("t", text, len, &config, error, sizeof(error)));
	assert_string_equal(error, "t:5: paths: expected the name of a key, found more below");
	/* a comment may be long */
	memset(text, '#', len);
	text[0] = '\n';
	memcpy(text + len - strlen(HEAD) - 1, "\n" HEAD, strlen(HEAD) + 1);
	assert_int_equal(0, config_parse("t", text, len, &config, error, sizeof(error)));
}

static void test_load(void **state)
{
	(void)state;
	config_free(&config);
	char error[CONFIG_ERROR_MAX], small[16];
	assert_int_equal(-ENOENT, config_load("/nonexistent", &config, error, sizeof(error)));
	assert_string_equal(error, "/nonexistent: cannot be read: No such file or directory");
	assert_int_equal(-EISDIR, config_load("/tmp", &config, error, sizeof(error)));
	assert_int_equal(0, config_load(EXAMPLE, &config, error, sizeof(error)));
	assert_int_equal(config.n_devices, 0);
	/* a sentence that does not fit is cut, not written over the end */
	assert_int_equal(-EINVAL, config_parse("t", "a: b\n", 5, &config, small, sizeof(small)));
	assert_string_equal(small, "t:1: unknown ke");
}

/* A file as "path\tvalue\n" lines; an element of a list is "path[]", a group has an empty value. */
static void flatten(yaml_document_t *doc, yaml_node_t *node, const char *path, FILE *out)
{
	char below[200];
	if (node->type == YAML_SCALAR_NODE) {
		fprintf(out, "%s\t%s\n", path, (char *)node->data.scalar.value);
	} else if (node->type == YAML_SEQUENCE_NODE) {
		snprintf(below, sizeof(below), "%s[]", path);
		for (yaml_node_item_t *i = node->data.sequence.items.start;
			i < node->data.sequence.items.top; i++)
			flatten(doc, yaml_document_get_node(doc, *i), below, out);
	} else {
		fprintf(out, "%s\t\n", path);
		for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
			p < node->data.mapping.pairs.top; p++) {
			yaml_node_t *key = yaml_document_get_node(doc, p->key);
			snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "",
				(char *)key->data.scalar.value);
			flatten(doc, yaml_document_get_node(doc, p->value), below, out);
		}
	}
}

/* The example with its commented parts in force, as its first lines tell people to do it. */
static char *uncommented(void)
{
	_cleanup_(fclosep) FILE *in = fopen(EXAMPLE, "re");
	char *text = NULL, line[300];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		if (streq(line, "sinks: []\n") || streq(line, "stations: []\n") ||
			streq(line, "devices: []\n"))
			continue;
		bool example =
			line[0] == '#' && line[1] != '\n' && (line[1] != ' ' || line[2] == ' ');
		fputs(line + example, out);
	}
	fclose(out);
	return text;
}

struct comparison {
	const char *lines; /* of flatten(), behind a "\n" */
	unsigned keys;
};

/* Every key of the table is in the example, each time at its default. */
static void compare_key(const char *text, void *arg)
{
	struct comparison *c = arg;
	char copy[512], *rest = copy, wanted[80];
	unsigned found = 0;
	c->keys++;
	assert_true(text_copy(copy, sizeof(copy), text, strlen(text)));
	const char *path = strsep(&rest, "\t"), *type = strsep(&rest, "\t");
	const char *fallback = strsep(&rest, "\t");
	assert_non_null(rest); /* the meaning */
	snprintf(wanted, sizeof(wanted), "\n%s\t", path);
	if (streq(type, "list"))
		snprintf(wanted, sizeof(wanted), "\n%s[]\t", path);
	for (const char *p = c->lines; (p = strstr(p, wanted)); found++) {
		p += strlen(wanted);
		size_t len = strcspn(p, "\n");
		/* a replayed device has to say "test: true" */
		bool any = streq(fallback, "(required)") || streq(path, "devices[].test");
		if (!any && (len != strlen(fallback) || memcmp(p, fallback, len)))
			fail_msg("%s is \"%.*s\" in the example, its default is \"%s\"", path,
				(int)len, p, fallback);
	}
	if (!found)
		fail_msg("%s is not in the example", path);
}

/* Modbus and replay: what is refused beside the ranges of single keys. */
static void test_shared_lines(void **state)
{
	(void)state;
#define SLAVE(id, more) " - {id: " id ", driver: d, transport: modbus, " more "}\n"
	accept(DEVICES SLAVE("a", "address: /dev/x, slave: 1")
			SLAVE("b", "address: /dev/x, slave: 2") SLAVE(
				"c", "address: \"tcp:10.0.0.1:502\", slave: 255, poll_ms: 1000")
				SLAVE("e", "address: \"tcp:[::1]:502\""));
	assert_int_equal(config.devices[0].poll_ms, 60000);
	assert_int_equal(config.devices[2].slave, 255);
	refuse(DEVICES SLAVE("a", "address: /dev/x") SLAVE("b", "address: /dev/x"),
		"7: devices[1]: slave 1 of /dev/x is taken by device \"a\" in line 6");
	refuse(DEVICES SLAVE("a", "address: /dev/x, baud: 19200")
			SLAVE("b", "address: /dev/x, slave: 2"),
		"7: devices[1]: it shares its line with device \"a\" in line 6: baud, data_bits, "
		"parity and stop_bits must be the same");
	refuse(DEVICES SLAVE("a", "address: /dev/x, slave: 248"),
		"6: devices[0]: on a serial line a slave is 1 to 247, found 248");
	refuse(DEVICES SLAVE("a", "address: \"tcp:plc\""),
		"6: devices[0]: expected a device file such as /dev/ttyUSB0 or tcp:HOST:PORT as "
		"address, found \"tcp:plc\"");
	refuse(DEVICES LINE SLAVE("a", "address: /dev/ttyUSB0"),
		"10: devices[1]: the address /dev/ttyUSB0 is taken by device \"lab\" in line 6");
	refuse(DEVICES " - {id: a, driver: d, transport: replay, address: /x.cap}\n",
		"6: devices[0]: a capture tells of another time and place: transport replay needs "
		"\"test: true\"");
	refuse(DEVICES CUFF "   slave: 3\n",
		"10: devices[0]: \"slave\" has no meaning for transport ble");
#undef SLAVE
}

static void test_hint(void **state)
{
	(void)state;
	accept(HEAD);
	assert_non_null(strstr(config_hint(&config, false), "set it to the token of whoever"));
	assert_non_null(strstr(config_hint(&config, true), "请填写负责人员的编号"));
	accept(HEAD "alerts: false\n");
	assert_null(config_hint(&config, false));
	accept(HEAD "site_contact: S-0001\n");
	assert_null(config_hint(&config, false));
	accept(HEAD "site_contact: S-0001\nalerting: {hook: /bin/sh}\n");
	assert_null(config_hint(&config, false));
	accept(HEAD "site_contact: S-0001\nalerting: {hook: /etc/passwd}\n");
	assert_non_null(strstr(config_hint(&config, false), "look at its path and mode"));
	assert_non_null(strstr(config_hint(&config, true), "请核对路径和权限"));
}

static void test_alerting(void **state)
{
	static const char *const spans[] = {
		"21:00", "21:00-24:00", "7:00-21:00", "21:00 07:00", "21:00-07:001", "08:00-08:00"};
	static const char *const chains[] = {";", "S-1;", ";S-1", "S-1;;S-2", "S-1, S-2",
		"S-1;S-23456789012345678901234567890123"};
	char yaml[200], says[300];
	(void)state;
	accept(HEAD);
	assert_string_equal(config.quiet, "22:00-07:00"); /* nobody is woken by a warning */
	accept(HEAD "alerting: {quiet: \"\"}\n");
	assert_string_equal(config.quiet, "");
	assert_string_equal(config.morning, "08:00");
	assert_string_equal(config.institution, "");
	assert_string_equal(config.staff_chain, "");
	assert_int_equal(config.altitude_m, 0);
	assert_string_equal(config.hook, "");
	assert_int_equal(config.hook_timeout_s, 10);
	accept(HEAD
		"alerting: {quiet: \"21:00-07:00\", morning: \"07:30\", institution: H-0001, chain: "
		"S-0002;S-0003, altitude_m: 4500, hook: /usr/bin/true, hook_timeout_s: 60}\n");
	assert_string_equal(config.quiet, "21:00-07:00");
	assert_string_equal(config.morning, "07:30");
	assert_string_equal(config.institution, "H-0001");
	assert_string_equal(config.staff_chain, "S-0002;S-0003");
	assert_int_equal(config.altitude_m, 4500);
	assert_string_equal(config.hook, "/usr/bin/true");
	assert_int_equal(config.hook_timeout_s, 60);
	accept(HEAD "alerting: {chain: S-0002}\n");
	for (size_t i = 0; i < ELEMENTS(spans); i++) {
		snprintf(yaml, sizeof(yaml), HEAD "alerting: {quiet: \"%s\"}\n", spans[i]);
		snprintf(says, sizeof(says),
			"5: alerting.quiet: expected two times of the day such as \"21:00-07:00\", or "
			"nothing, at most 11 bytes, found \"%s\"",
			spans[i]);
		refuse(yaml, says);
	}
	for (size_t i = 0; i < ELEMENTS(chains); i++) {
		snprintf(yaml, sizeof(yaml), HEAD "alerting: {chain: \"%s\"}\n", chains[i]);
		snprintf(says, sizeof(says),
			"5: alerting.chain: expected tokens of letters, digits, '-' and '_' with "
			"semicolons between: S-0002;S-0003, at most 255 bytes, found \"%s\"",
			chains[i]);
		refuse(yaml, says);
	}
	refuse(HEAD "alerting: {altitude_m: 6001}\n",
		"5: alerting.altitude_m: expected a number from 0 to 6000, found \"6001\"");
	refuse(HEAD "alerting: {hook: siren}\n",
		"5: alerting.hook: expected a path that begins with '/', or nothing, at most 255 bytes, "
		"found \"siren\"");
	refuse(HEAD "alerting: {hook_timeout_s: 0}\n",
		"5: alerting.hook_timeout_s: expected a number from 1 to 60, found \"0\"");
}

static void test_lists(void **state)
{
	(void)state;
	static const char *const wrong[] = {"24:00", "7:00", "07:60", "19:0", "29:00", "0700",
		"07:000", "07.00", "2x:00", "-1:00"};
	accept(HEAD);
	assert_false(config.lists_due || config.lists_kpi);
	assert_string_equal(config.lists_at, "07:00");
	accept(HEAD "lists: {due: true, at: \"23:59\"}\n");
	assert_true(config.lists_due && !config.lists_kpi);
	assert_string_equal(config.lists_at, "23:59");
	accept(HEAD "lists: {kpi: true, at: \"00:00\"}\n");
	assert_true(config.lists_kpi && !config.lists_due);
	accept(HEAD "lists: {at: \"19:30\"}\n");
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		char yaml[200], says[200];
		snprintf(yaml, sizeof(yaml), HEAD "lists: {at: \"%s\"}\n", wrong[i]);
		snprintf(says, sizeof(says),
			"5: lists.at: expected a time of the day, \"00:00\" to \"23:59\", at most 5 "
			"bytes, found \"%s\"",
			wrong[i]);
		refuse(yaml, says);
	}
}

static void test_ecg(void **state)
{
	(void)state;
	accept(HEAD);
	assert_string_equal(config.ecg_centre, "");
	assert_string_equal(config.ecg_hours, "always");
	assert_int_equal(config.ecg_report_minutes, 30);
	assert_int_equal(config.ecg_not_sent_minutes, 15);
	/* the sink may stand behind it */
	accept(HEAD "ecg:\n  centre: q\n  report_minutes: 1440\n  not_sent_minutes: 1\n"
		    "  hours: mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00\n"
		    "sinks:\n - {name: p, host: h}\n - {name: q, host: g}\n");
	assert_string_equal(config.ecg_centre, "q");
	assert_string_equal(config.ecg_hours, "mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00");
	assert_int_equal(config.ecg_report_minutes, 1440);
	assert_int_equal(config.ecg_not_sent_minutes, 1);
	refuse(HEAD "ecg:\n  centre: q\n",
		"6: ecg.centre: expected the name of a sink, and there is none, found \"q\"");
	refuse(SINK "ecg:\n  centre: q\n",
		"9: ecg.centre: expected the name of a sink: one of p, found \"q\"");
	refuse(HEAD "ecg:\n  centre: q\nsinks:\n - {name: p, host: h}\n - {name: r, host: g}\n",
		"6: ecg.centre: expected the name of a sink: one of p, r, found \"q\"");
	refuse(HEAD "ecg:\n  report_minutes: 0\n",
		"6: ecg.report_minutes: expected a number from 1 to 1440, found \"0\"");
	refuse(HEAD "ecg:\n  not_sent_minutes: 1441\n",
		"6: ecg.not_sent_minutes: expected a number from 1 to 1440, found \"1441\"");
	refuse(HEAD "ecg:\n  report_minutes: 5\n  hours: mon-fri 8-17\n",
		"7: ecg.hours: expected a time from 00:00 to 24:00, found \"8-17\"");
	refuse(HEAD "ecg:\n  hours:\n",
		"6: ecg.hours: expected a text, at most 159 bytes, found nothing");
	refuse(HEAD "ecg:\n  hour: always\n",
		"6: ecg: unknown key \"hour\"; did you mean \"hours\"?");
}

static void test_stations(void **state)
{
	(void)state;
	accept(HEAD "stations:\n - id: desk-1\n - {id: 体检站, complete: \" weight  bp\", "
		    "purpose: follow-up, contact: S-0002}\n");
	assert_int_equal(config.n_stations, 2);
	const struct config_station *s = config_station_named(&config, "desk-1");
	assert_string_equal(s->purpose, "hut");
	assert_string_equal(s->complete, "");
	assert_string_equal(s->contact, "");
	assert_int_equal(s->line, 6);
	s = config_station_named(&config, "体检站");
	assert_string_equal(s->purpose, "follow-up");
	assert_string_equal(s->complete, " weight  bp");
	assert_string_equal(s->contact, "S-0002");
	assert_null(config_station_named(&config, "desk"));
	refuse(HEAD "stations:\n - {id: a, purpose: visit}\n",
		"6: stations[0].purpose: expected one of hut, follow-up, exam, home-bed, found "
		"\"visit\"");
	refuse(HEAD "stations:\n - {id: a}\n - {id: b}\n - {id: a}\n",
		"8: stations[2]: the id \"a\" is taken by the station in line 6");
	refuse(HEAD "stations:\n - {id: a, complete: weight blood_pressure}\n",
		"6: stations[0]: expected some of bp, glucose, spo2, weight, height, "
		"temperature, hr, ecg, lab, lipids, hba1c, found \"blood_pressure\"");
	refuse(HEAD "stations:\n - {complete: weight}\n",
		"6: stations[0]: the required key \"id\" is missing");
	accept(HEAD "devices:\n - {id: d, driver: bt_blp, transport: ble, address: "
		    "C0:11:22:33:44:55, patient_id: typed}\n");
	assert_int_equal(config.devices[0].patient_id, PATIENT_TYPED);
}

static void find_key(const char *text, void *arg)
{
	const char **path = arg;
	size_t n = *path ? strlen(*path) : 0;
	if (n && !strncmp(text, *path, n) && text[n] == '\t')
		*path = NULL;
}

static void test_example(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = uncommented();
	char error[CONFIG_ERROR_MAX] = "", *lines = NULL;
	size_t size = 0;
	config_free(&config);
	if (config_parse(EXAMPLE, text, strlen(text), &config, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	assert_int_equal(config.n_sinks, 1);
	assert_int_equal(config.n_stations, 1);
	assert_int_equal(config.n_devices, 6);
	assert_string_equal(config.devices[0].driver, "bt_blp");
	assert_string_equal(config.devices[1].driver, "lis01");
	assert_int_equal(config.devices[2].transport, TRANSPORT_RFCOMM);
	assert_int_equal(config.devices[3].transport, TRANSPORT_MODBUS);
	assert_int_equal(config.devices[4].transport, TRANSPORT_SPOOL);
	assert_int_equal(config.devices[5].transport, TRANSPORT_REPLAY);

	yaml_parser_t parser;
	yaml_document_t doc;
	yaml_parser_initialize(&parser);
	yaml_parser_set_input_string(&parser, (unsigned char *)text, strlen(text));
	assert_true(yaml_parser_load(&parser, &doc));
	FILE *out = open_memstream(&lines, &size);
	flatten(&doc, yaml_document_get_root_node(&doc), "", out);
	fclose(out);
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);

	/* the first line is that of the whole file: "\t\n" */
	struct comparison c = {.lines = lines + 1};
	config_document(compare_key, &c);
	assert_true(c.keys > 40);
	/* ... and every key of the example is in the table */
	for (char *line = lines + 2; *line; line += strlen(line) + 1) {
		char path[64];
		const char *wanted = path;
		line[strcspn(line, "\n")] = 0;
		assert_int_equal(1, sscanf(line, "%63[^\t]", path));
		if (strlen(path) > 2 && streq(path + strlen(path) - 2, "[]"))
			continue;
		config_document(find_key, &wanted);
		if (wanted)
			fail_msg("%s is in the example and not in the table", path);
	}
	free(lines);
}

/* The example, damaged: an answer, one sentence, no byte out of place (sanitizers). */
static void test_random(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = uncommented();
	size_t len = strlen(text), accepted = 0;
	static const char likely[] = "\n\n  :-[]{}#&*!|>'\"%@`,\t?0a";
	for (int i = 0; i < 3000; i++) {
		/* half of the rounds use a short part, so that damage comes early */
		size_t from = draw() % 2 ? 0 : draw() % len, n = 1 + draw() % (len - from);
		_cleanup_(freep) char *copy = malloc(n);
		char error[CONFIG_ERROR_MAX] = "";
		memcpy(copy, text + from, n);
		for (size_t k = draw() % 4; k; k--)
			copy[draw() % n] =
				draw() % 4 ? likely[draw() % (sizeof(likely) - 1)] : (char)draw();
		config_free(&config);
		int r = config_parse("t.yaml", copy, n, &config, error, sizeof(error));
		accepted += r == 0;
		assert_true(r == 0 || (r == -EINVAL && !strncmp(error, "t.yaml:", 7)));
		assert_true(strlen(error) < CONFIG_ERROR_MAX - 1);
	}
	assert_true(accepted > 0);
	for (int i = 0; i < 20000; i++) {
		char bytes[80], error[CONFIG_ERROR_MAX];
		size_t n = draw() % sizeof(bytes);
		for (size_t k = 0; k < n; k++)
			bytes[k] =
				draw() % 8 ? likely[draw() % (sizeof(likely) - 1)] : (char)draw();
		assert_int_equal(
			-EINVAL, config_parse("t", bytes, n, &config, error, sizeof(error)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_sinks),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_keys_refused),
		cmocka_unit_test(test_values_refused),
		cmocka_unit_test(test_sinks_refused),
		cmocka_unit_test(test_devices_refused),
		cmocka_unit_test(test_spools),
		cmocka_unit_test(test_files_refused),
		cmocka_unit_test(test_size_and_depth),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_shared_lines),
		cmocka_unit_test(test_hint),
		cmocka_unit_test(test_alerting),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_ecg),
		cmocka_unit_test(test_stations),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_random),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
