/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A capture in place of an instrument: what is told to the owner and when, and what it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "transport.h"
#include "util.h"

#include <errno.h>

static const struct vg_channel channels[] = {{.name = "2a35"}, {.name = "2a19"}};
static const struct vg_driver gatt = {
	.name = "gatt", .bus = VG_BUS_GATT, .channels = channels, .n_channels = 2};
static const struct vg_driver stream = {.name = "stream", .bus = VG_BUS_STREAM};
static const struct vg_driver registers = {.name = "registers", .bus = VG_BUS_REGISTERS};

/* The owner: writes down what it is told, and answers. */
static struct {
	sd_event *loop;
	struct config_device device;
	struct transport *t;
	char told[1024];
	unsigned channel;   /* of the answers */
	const char *answer; /* to everything that comes; NULL: none */
	bool later;	    /* the answer is left for the test to give */
	const char *close;  /* on the first bytes: why */
} o = {.device = {.id = "demo"}};
static char path[] = "/tmp/vitalgate-cap-XXXXXX";

static void tell(const char *text)
{
	strncat(o.told, text, sizeof(o.told) - strlen(o.told) - 1);
}

static void on_up(void *arg, const char *uid)
{
	(void)arg;
	tell("up ");
	tell(uid);
}

static void heard(const uint8_t *bytes, size_t len)
{
	char text[129];
	tell(hex(text, bytes, MIN(len, (size_t)64)));
	if (o.answer && !o.later)
		assert_int_equal(o.t->ops->send(o.t, o.channel, o.answer, strlen(o.answer)), 0);
	if (o.close)
		o.t->ops->close(o.t, o.close);
}

static void on_stream(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg;
	tell(" <");
	heard(bytes, len);
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	char text[32];
	(void)arg;
	snprintf(text, sizeof(text), " %d%s", channel, indication ? "!" : "<");
	tell(text);
	heard(bytes, len);
}

static void on_down(void *arg, const char *why)
{
	(void)arg;
	tell(" down: ");
	tell(why);
}

static void begin(const char *capture, const struct vg_driver *driver)
{
	const struct transport_events events = {
		on_up, on_stream, on_value, on_down, NULL, NULL, NULL};
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(capture, f);
	fclose(f);
	o.told[0] = 0;
	assert_true(sd_event_new(&o.loop) >= 0);
	assert_int_equal(replay_new(o.loop, &o.device, driver, &events, &o.t), 0);
}

static const char *state_of(void)
{
	return o.t->ops->state(o.t);
}

/* Runs until all that can happen within `ms` has happened, or the play is over. */
static void run(int ms)
{
	int64_t stop = clock_boot_us() + ms * 1000;
	int r = 1;
	while (streq(state_of(), "playing") && (r > 0 || clock_boot_us() < stop))
		assert_true((r = sd_event_run(o.loop, 10000)) >= 0);
}

static void end(void)
{
	transport_free(TAKE(o.t));
	o.loop = sd_event_unref(o.loop);
	o.answer = o.close = NULL;
	o.later = false;
	o.channel = 0;
}

#define PLAYED "played to its end, "

static void test_stream(void **state)
{
	(void)state;
	o.answer = "\6";
	begin("device stream\n< 05\n> 06\nwait 30\n< 0231\n> 06\n", &stream);
	assert_string_equal(state_of(), "playing");
	assert_string_equal(o.told, ""); /* nothing from inside replay_new() */
	int64_t before = clock_boot_us();
	run(10000);
	assert_true(clock_boot_us() - before >= 30000);
	assert_string_equal(state_of(), "done");
	assert_string_equal(o.told, "up replay:demo <05 <0231 down: " PLAYED "0 differences");
	assert_int_equal(o.t->ops->send(o.t, 0, "x", 1), -ENOTCONN);
	end();
}

/* The next bytes do not come before the answer to the last ones. */
static void test_answer_later(void **state)
{
	(void)state;
	o.later = true;
	begin("device stream\n< 05\nkept\n> 0606\n< 04\n", &stream);
	run(100);
	assert_string_equal(o.told, "up replay:demo <05");
	assert_int_equal(o.t->ops->send(o.t, 0, "\6", 1), 0);
	run(50);
	assert_string_equal(o.told, "up replay:demo <05");
	assert_int_equal(o.t->ops->send(o.t, 0, "\6", 1), 0);
	run(10000);
	assert_string_equal(o.told, "up replay:demo <05 <04 down: " PLAYED "0 differences");
	end();
}

static void test_differences(void **state)
{
	(void)state;
	static const struct {
		const char *steps, *says;
	} all[] = {{"< 05\n> 15\n< 04\n> 06\n", PLAYED "1 differences"},
		{"< 05\n< 04\n> 06\n", PLAYED "1 differences"}, /* it was not expected */
		{"< 05\n> 06\n< 04\n", PLAYED "1 differences"}, /* nor at the end */
		{"< 05\n> 15\n< 04\n> 15\n", PLAYED "2 differences"}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char text[256];
		snprintf(text, sizeof(text), "device stream\n%s", all[i].steps);
		o.answer = "\6";
		begin(text, &stream);
		run(10000);
		snprintf(text, sizeof(text), "up replay:demo <05 <04 down: %s", all[i].says);
		assert_string_equal(o.told, text);
		end();
	}
	o.answer = "\6";
	o.channel = 1;
	begin("device gatt\nchannel 2a35\n< 05\n> 06\nchannel 2a19\n< 05\n> 06\n", &gatt);
	run(10000);
	assert_string_equal(o.told, "up replay:demo 0<05 1<05 down: " PLAYED "1 differences");
	end();
}

/* `kept` behind an indication waits for its confirmation, and for no other unit. */
static void test_confirm(void **state)
{
	(void)state;
	begin("device gatt\nchannel 2a19\n< 55\nkept\nchannel 2a35\n<! 01\nkept\n"
	      "<! 02\n<! 03\nkept\nkept\nchannel -\n< 04\n",
		&gatt);
	run(100);
	assert_string_equal(o.told, "up replay:demo 1<55 0!01");
	o.t->ops->confirm(o.t);
	run(100);
	assert_string_equal(o.told, "up replay:demo 1<55 0!01 0!02 0!03");
	o.t->ops->confirm(o.t);
	run(100);
	assert_string_equal(o.told, "up replay:demo 1<55 0!01 0!02 0!03");
	o.t->ops->confirm(o.t);
	run(10000);
	assert_string_equal(
		o.told, "up replay:demo 1<55 0!01 0!02 0!03 -1<04 down: " PLAYED "0 differences");
	end();
}

static void test_registers(void **state)
{
	(void)state;
	begin("device registers\n< 0102\nwait 5\n< 0103\n", &registers);
	run(10000);
	assert_string_equal(o.told, "up replay:demo 0<0102 0<0103 down: " PLAYED "0 differences");
	end();
}

/* The owner ends it, also from inside an event; or it is freed in the middle. */
static void test_close(void **state)
{
	(void)state;
	o.close = "told to";
	begin("device stream\n< 05\n< 04\n", &stream);
	run(10000);
	assert_string_equal(state_of(), "done");
	assert_string_equal(o.told, "up replay:demo <05 down: told to");
	o.t->ops->close(o.t, "again");
	end();
	begin("device stream\nwait 60000\n< 04\n", &stream);
	run(50);
	o.t->ops->close(o.t, "enough");
	assert_string_equal(o.told, "up replay:demo down: enough");
	end();
	begin("device stream\nwait 60000\n< 04\n", &stream);
	run(50);
	end();
}

/* What cannot be played is said, and stops nobody else. */
static void test_errors(void **state)
{
	(void)state;
	static const char *const heads[] = {"device other\n", "nonsense\n", ""};
	for (size_t i = 0; i < ELEMENTS(heads); i++) {
		begin(heads[i], &stream);
		assert_string_equal(state_of(), "error");
		assert_true(sd_event_run(o.loop, 20000) >= 0);
		o.t->ops->close(o.t, "nothing");
		assert_string_equal(o.told, "");
		end();
	}
	begin("device stream\n< 05\n< 0\n", &stream);
	run(10000);
	assert_string_equal(state_of(), "error");
	assert_string_equal(o.told, "up replay:demo <05 down: the capture is wrong");
	end();
	strcpy(o.device.address, "/nowhere/x.cap");
	begin("", &stream);
	assert_string_equal(state_of(), "error");
	end();
	strcpy(o.device.address, path);
}

static int make(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	strcpy(o.device.address, path);
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
		CASE(test_stream),
		CASE(test_answer_later),
		CASE(test_differences),
		CASE(test_confirm),
		CASE(test_registers),
		CASE(test_close),
		CASE(test_errors),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("replay", tests, make, clean);
}
