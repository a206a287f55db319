/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader of captures: every word of the format, and what is said of a wrong line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capfile.h"
#include "util.h"

#include <errno.h>

static const struct vg_channel channels[] = {{.uuid16 = 0x2a35, .name = "2a35"}, {.name = "2a19"}};
static const struct vg_driver gatt = {
	.name = "gatt", .bus = VG_BUS_GATT, .channels = channels, .n_channels = 2};
static const struct vg_driver stream = {.name = "stream", .bus = VG_BUS_STREAM};
static char path[] = "/tmp/vitalgate-cap-XXXXXX";
static char error[CAPFILE_ERROR_MAX];

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct capfile *open_text(const char *text, const struct vg_driver *driver)
{
	write_file(text, strlen(text));
	struct capfile *c = capfile_open(path, error);
	if (c)
		capfile_driver(c, driver);
	return c;
}

static void test_head(void **state)
{
	(void)state;
	_cleanup_(capfile_freep) struct capfile *c = open_text(
		"# words\n\n  option mode spot\noption  hi \t500 mg/dL \r\nmark high 05 0a\nlive\n"
		"clock 2026-02-03T04:05:06\ndevice gatt\r\n",
		&gatt);
	assert_non_null(c);
	assert_string_equal(c->device, "gatt");
	assert_true(c->live);
	assert_false(c->by_hand);
	assert_string_equal(capfile_option(c, "mode"), "spot");
	assert_string_equal(capfile_option(c, "hi"), "500 mg/dL");
	assert_null(capfile_option(c, "lo"));
	assert_int_equal(c->n_marks, 1);
	assert_string_equal(c->marks[0].key, "high");
	assert_int_equal(c->marks[0].len, 2);
	assert_memory_equal(c->marks[0].value, "\x05\x0a", 2);
	assert_int_equal(c->clock.month, 2);
	assert_int_equal(c->clock.second, 6);
	struct capfile_step s;
	assert_int_equal(capfile_next(c, &s, error), 0);
	assert_int_equal(capfile_next(c, &s, error), 0);
}

static void test_defaults(void **state)
{
	(void)state;
	_cleanup_(capfile_freep) struct capfile *c = open_text("device stream", &stream);
	assert_false(c->live);
	assert_int_equal(c->clock.year, 2026);
	assert_int_equal(c->clock.hour, 8);
	assert_int_equal(c->n_options, 0);
	assert_int_equal(c->line, 1);
}

static void step(struct capfile *c, enum capfile_word word, int channel, const char *bytes)
{
	struct capfile_step s;
	assert_int_equal(capfile_next(c, &s, error), 1);
	assert_int_equal(s.word, word);
	if (word != CAPFILE_HEARD && word != CAPFILE_SENT)
		return;
	assert_int_equal(s.channel, channel);
	assert_int_equal(s.len, strlen(bytes));
	assert_memory_equal(s.bytes, bytes, s.len);
}

static void test_steps(void **state)
{
	(void)state;
	_cleanup_(capfile_freep) struct capfile *c = open_text("device gatt\n"
							       "channel 2A19\n< 41 42:43-44\n"
							       "channel 2a35\n<! 61\n> 62\n<\n"
							       "channel -\n< 7A\n"
							       "kept\nrefused\nopen\nwait 333\n",
		&gatt);
	struct capfile_step s;
	assert_true(c->by_hand);
	step(c, CAPFILE_HEARD, 1, "ABCD");
	assert_int_equal(capfile_next(c, &s, error), 1);
	assert_true(s.indication && s.word == CAPFILE_HEARD && s.channel == 0);
	step(c, CAPFILE_SENT, 0, "b");
	step(c, CAPFILE_HEARD, 0, "");
	step(c, CAPFILE_HEARD, -1, "z");
	step(c, CAPFILE_KEPT, 0, NULL);
	step(c, CAPFILE_REFUSED, 0, NULL);
	assert_int_equal(capfile_next(c, &s, error), 1);
	assert_true(s.word == CAPFILE_WAIT && s.wait_ms == 333);
	assert_int_equal(c->line, 13);
	assert_int_equal(capfile_next(c, &s, error), 0);
}

/* A capture that says `open`, and no other verdict, gives all of them, too: none. */
static void test_by_hand(void **state)
{
	(void)state;
	static const char *const verdicts[] = {"kept", "refused", "open"};
	for (size_t i = 0; i < ELEMENTS(verdicts); i++) {
		char text[64];
		snprintf(text, sizeof(text), "device gatt\n < 00\n %s\n", verdicts[i]);
		_cleanup_(capfile_freep) struct capfile *c = open_text(text, &gatt);
		assert_true(c->by_hand);
	}
	_cleanup_(capfile_freep) struct capfile *c = open_text("# kept\ndevice gatt\n", &gatt);
	assert_false(c->by_hand);
}

static void test_wrong_head(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} all[] = {{"", ":0: expected `device`"}, {"live\n", ":1: expected `device`"},
		{"< 00\n", ":1: expected `device` first"}, {"option hi\n", ":1: expected `option"},
		{"option abcdefghijklmnopqrstuvwxyz 1\n", "`option NAME VALUE`"},
		{"mark high xx\n", ":1: expected `mark"},
		{"mark a_key_that_is_too_long 00\n", "`mark KEY HEX`"},
		{"mark a 1\nmark b 2\n", ":1: expected `mark"},
		{"mark a 01\nmark b 02\nmark c 03\nmark d 04\nmark e 05\n", ":5: too many marks"},
		{"clock 2026-11-21\n", ":1: expected `clock"},
		{"clock 2026-11-21T08:00:00Z\n", ":1: expected `clock"},
		{"\ndevice abcdefghijklmnopqrstuvwxyz\n", ":2: no such driver"}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		assert_null(open_text(all[i].text, &gatt));
		if (!strstr(error, all[i].says) || strncmp(error, path, strlen(path)) != 0)
			fail_msg("\"%s\": said \"%s\"", all[i].text, error);
	}
	char many[32 * (CAPFILE_OPTIONS_MAX + 1)] = "";
	for (int i = 0; i <= CAPFILE_OPTIONS_MAX; i++)
		strcat(many, "option a b\n");
	assert_null(open_text(many, &gatt));
	assert_non_null(strstr(error, "too many options"));
	assert_null(capfile_open("/nowhere/x.cap", error));
	assert_string_equal(error, "/nowhere/x.cap: No such file or directory");
	assert_null(capfile_open("/tmp", error));
}

static void test_denied(void **state)
{
	(void)state;
	_cleanup_(capfile_freep) struct capfile *c =
		open_text("device gatt\nchannel 2a35\ndenied fe\nchannel -\ndenied fe\n", &gatt);
	struct capfile_step s;
	assert_int_equal(capfile_next(c, &s, error), 1);
	assert_int_equal(s.word, CAPFILE_DENIED);
	assert_int_equal(s.channel, 0);
	assert_int_equal(s.code, 0xfe);
	assert_int_equal(
		capfile_next(c, &s, error), -EINVAL); /* nobody's channel is never written to */
}

static void test_wrong_steps(void **state)
{
	(void)state;
	static const char *const lines[] = {"< 0", "< 0g", "<< 00", "<00", "channel 1234",
		"channel", "wait", "wait -1", "wait 1s", "wait 86400000",
		"wait 99999999999999999999", "device gatt", "frobnicate"};
	for (size_t i = 0; i < ELEMENTS(lines); i++) {
		char text[64];
		struct capfile_step s;
		snprintf(text, sizeof(text), "device gatt\n%s\n", lines[i]);
		_cleanup_(capfile_freep) struct capfile *c = open_text(text, &gatt);
		if (capfile_next(c, &s, error) != -EINVAL || !strstr(error, ":2: "))
			fail_msg("\"%s\": said \"%s\"", lines[i], error);
	}
	_cleanup_(capfile_freep) struct capfile *c =
		open_text("device stream\nchannel 1\n", &stream);
	struct capfile_step s;
	assert_int_equal(capfile_next(c, &s, error), -EINVAL);
}

/* The longest line, one that is longer, and bytes that are no text. */
static void test_long(void **state)
{
	(void)state;
	size_t size = 2 * CAPFILE_BYTES_MAX + 64;
	_cleanup_(freep) char *text = calloc(1, size + 4);
	struct capfile_step s;
	int n = sprintf(text, "device stream\n< ");
	memset(text + n, 'a', 2 * CAPFILE_BYTES_MAX);
	struct capfile *c = open_text(text, &stream);
	assert_int_equal(capfile_next(c, &s, error), 1);
	assert_int_equal(s.len, CAPFILE_BYTES_MAX);
	capfile_free(c);
	strcat(text, "aa");
	c = open_text(text, &stream);
	assert_int_equal(capfile_next(c, &s, error), -EINVAL);
	capfile_free(c);
	write_file("device stream\n< 00\0\xff\n", 21);
	c = capfile_open(path, error);
	capfile_driver(c, &stream);
	assert_int_equal(capfile_next(c, &s, error), 1);
	assert_int_equal(capfile_next(c, &s, error), 0);
	capfile_free(c);
}

static void test_sent(void **state)
{
	(void)state;
	static struct capfile_sent q;
	static const uint8_t big[CAPFILE_SENT_MAX];
	struct capfile_step s = {.channel = 2, .bytes = (const uint8_t *)"ab", .len = 2};
	assert_int_equal(capfile_sent_take(&q, &s), 0);
	assert_true(capfile_sent_add(&q, 2, "a", 1));
	assert_int_equal(capfile_sent_take(&q, &s), 0); /* not yet */
	assert_true(capfile_sent_add(&q, 2, "bc", 2));
	assert_int_equal(capfile_sent_take(&q, &s), 1);
	assert_int_equal(q.n, 1);
	assert_int_equal(capfile_sent_take(&q, &s), -1); /* "c" */
	q.n = 0;
	assert_true(capfile_sent_add(&q, 1, "ab", 2));
	assert_int_equal(capfile_sent_take(&q, &s), -1); /* to another channel */
	assert_false(capfile_sent_add(&q, 1, big, sizeof(big)));
	assert_true(capfile_sent_add(&q, 1, big, sizeof(big) - 2));
}

static int make(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 || close(fd);
}

static int clean(void **state)
{
	(void)state;
	return unlink(path);
}

#define CASE(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_head),
		CASE(test_defaults),
		CASE(test_steps),
		CASE(test_by_hand),
		CASE(test_wrong_head),
		CASE(test_wrong_steps),
		CASE(test_denied),
		CASE(test_long),
		CASE(test_sent),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("capfile", tests, make, clean);
}
