/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a capture says of a session, line by line, and what it must not say. That it decodes and replays to
 * what was stored: test_capture_e2e.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture.h"
#include "session_drivers.h"

#include <errno.h>

#define HEAD(driver) "# captured by vitalgate " VITALGATE_VERSION " from " driver ", 2026-11-21; "
#define NOBODY "its protocol names nobody\n"
#define MIDDLE "# begins in the middle of a session\n"
#define CLOCK "clock 2026-11-21T16:00:00\n"

extern const struct vg_driver lis01;

static struct capture *capture;

static void on_trace(void *arg, const struct session_trace *t)
{
	(void)arg;
	capture_trace(capture, t);
}

/* `before`: the capture is asked for before the session begins. */
static void begin(const struct vg_driver *driver, bool before, const struct config_device *device)
{
	static const struct config_device plain;
	rig = rig_new(driver);
	capture = capture_new(driver, device ? device : &plain, 60, &rig.now);
	assert_non_null(capture);
	if (before)
		capture_session_begins(capture, NULL, 0, &rig.now);
	assert_non_null(rig_open(&rig));
	rig.ops.trace = on_trace;
}

static void end(void)
{
	rig_close(&rig);
	capture_free(TAKE(capture));
}

static void pass(unsigned ms)
{
	rig.now.boot_us += ms * 1000;
	rig.now.utc_us += ms * 1000;
	rig.now.civil = clock_civil(rig.now.utc_us);
}

static const char *text(void)
{
	static char all[CAPTURE_BYTES_MAX + 1];
	size_t from = 0, len;
	do {
		const char *piece = capture_text(capture, from, &len, &from, &rig.now);
		assert_true(from <= CAPTURE_BYTES_MAX);
		memcpy(all + from - len, piece, len);
	} while (len);
	all[from] = 0;
	return all;
}

static void line(const char *bytes)
{
	rig_stream(&rig, bytes, strlen(bytes));
}

static void frame_of(const char *words, char last, char *out)
{
	int n = sprintf(out, "\x02%s%c", words, last);
	unsigned sum = 0;
	for (int i = 1; i < n; i++)
		sum += (uint8_t)out[i];
	sprintf(out + n, "%02X\r\n", sum & 0xff);
}

/* order and time */

static void test_live(void **state)
{
	(void)state;
	static const struct config_device device = {
		.n_options = 2, .options = {{"hi", "500 mg/dL"}, {"limit_tests", "GLU 血糖"}}};
	char frame[64], bytes[128], wanted[1024];
	frame_of("1R|1|^^^GLU|6.1|mmol/L", 3, frame);
	begin(&lis01, true, &device);
	assert_string_equal(capture_state(capture, &rig.now), "waiting");
	assert_string_equal(text(), ""); /* nobody said anything yet */
	pass(2000);
	line("\x05");
	assert_string_equal(capture_state(capture, &rig.now), "recording");
	pass(9); /* too short to be told, but it adds up */
	line(frame);
	pass(40);
	rig_verdict(&rig, 0, 0);
	pass(1);
	line("\x04");
	snprintf(wanted, sizeof(wanted),
		HEAD("lis01/1") "scrubbed\n" CLOCK
				"option hi 500 mg/dL\noption limit_tests GLU 血糖\nlive\ndevice lis01\n"
				"wait 2000\n< 05\n> 06\n< %s\nwait 49\nkept\n> 06\n< 04\n",
		hex(bytes, frame, strlen(frame)));
	assert_string_equal(text(), wanted);
	end();
}

/* What belongs to the time before is left out: the state of the driver, answers, verdicts. */
static void test_middle(void **state)
{
	(void)state;
	begin(&gatt, false, NULL);
	hear("r", false);
	capture_free(capture);
	capture = capture_new(&gatt, &(struct config_device){0}, 60, &rig.now);
	rig_verdict(&rig, 0, 0);
	session_expired(rig.session, &rig.now);
	assert_string_equal(text(), "");
	hear("r!", true);
	rig_verdict(&rig, 1, 0); /* of the timer */
	rig_verdict(&rig, 2, -ENOSPC);
	assert_string_equal(text(), HEAD("gatt/7") NOBODY MIDDLE CLOCK
		"device gatt\nchannel 0001\n<! 7221\nchannel -\n> 7265706c79\nrefused\n");
	end();
}

static void test_channels(void **state)
{
	(void)state;
	begin(&gatt, true, NULL);
	hear("n", false);
	hear("n", false);
	session_value(rig.session, -1, (const uint8_t *)"z", 1, true, &rig.now);
	hear("", false);
	const char *lines = strstr(text(), "device gatt\n");
	assert_string_equal(lines,
		"device gatt\nchannel 0001\n< 6e\n< 6e\nchannel -\n<! 7a\nchannel 0001\n< \n");
	end();
}

/* Whoever plays it must not be early for a timer, and noise lies before the silence that ended it. */
static void test_silence(void **state)
{
	(void)state;
	begin(&stream, true, NULL);
	line("<1t");
	pass(500);
	session_expired(rig.session, &rig.now);
	line("junk");
	line("ju\n<5a");
	pass(300);
	session_gap(rig.session, &rig.now); /* gives up "<5a" */
	line("<1n");
	pass(100);
	line("<9a<1n");
	pass(251);
	session_gap(rig.session, &rig.now); /* gives up "<9a", and then there is a frame */
	pass(20);
	line("<1n");
	assert_string_equal(strstr(text(), "device stream\n"),
		"device stream\n< 3c3174\nwait 650\n< 6a756e6b6a750a3c3561\nwait 450\n< 3c316e\n"
		"< 3c3961\nwait 501\n< 3c316e\nwait 20\n< 3c316e\n");
	end();
}

/* the end */

static void test_end_of_session(void **state)
{
	(void)state;
	begin(&gatt, true, NULL);
	capture_session_ends(capture, &rig.now); /* it said nothing: the next one may */
	assert_string_equal(capture_state(capture, &rig.now), "waiting");
	pass(5000);
	capture_session_begins(capture, NULL, 0, &rig.now);
	hear("r", false);
	rig_verdict(&rig, 0, 0);
	pass(1500);
	capture_session_ends(capture, &rig.now);
	assert_string_equal(capture_state(capture, &rig.now), "over");
	assert_string_equal(capture_why(capture), "session");
	hear("r", false); /* and nothing more is written */
	assert_string_equal(text(),
		HEAD("gatt/7") NOBODY "clock 2026-11-21T16:00:05\nlive\n"
				      "device gatt\nchannel 0001\n< 72\nkept\nwait 1500\n");
	end();
}

/* What the driver knew of earlier sessions decides what it asks for; a refusal, what it does next. */
static void test_marks_and_denials(void **state)
{
	(void)state;
	static const struct config_device plain;
	static const struct mark marks[2] = {{.key = "high", .value = {5, 10}, .len = 2}};
	rig = rig_new(&gatt);
	capture = capture_new(&gatt, &plain, 60, &rig.now);
	capture_session_begins(capture, marks, 2, &rig.now);
	assert_non_null(rig_open(&rig));
	rig.ops.trace = on_trace;
	hear("!", false);
	session_denied(rig.session, 0, 0xfe, &rig.now);
	rig_verdict(&rig, 0, 0);
	capture_stop(capture, &rig.now);
	assert_non_null(strstr(text(), "mark high 050a\nlive"));
	assert_non_null(strstr(text(), "channel 0001\ndenied fe\nkept\n"));
	end();
}

/* Without a verdict the reader would give one. */
static void test_open(void **state)
{
	(void)state;
	begin(&gatt, true, NULL);
	hear("r", false);
	capture_stop(capture, &rig.now);
	assert_string_equal(capture_why(capture), "stopped");
	assert_string_equal(strstr(text(), "< "), "< 72\nopen\n");
	end();
	begin(&stream, true, NULL);
	line("noi");
	assert_null(strstr(text(), "< ")); /* the line is still open */
	line("se");
	capture_stop(capture, &rig.now);
	assert_string_equal(strstr(text(), "< "), "< 6e6f697365\nopen\n");
	end();
}

static void test_time(void **state)
{
	(void)state;
	begin(&gatt, true, NULL);
	hear("r", false);
	pass(59999);
	hear("n", false);
	assert_string_equal(capture_state(capture, &rig.now), "recording");
	pass(1);
	hear("n", false);
	assert_string_equal(capture_why(capture), "time");
	assert_string_equal(strstr(text(), "< "), "< 72\nwait 59999\n< 6e\nopen\n");
	end();
	begin(&gatt, true, NULL);
	assert_false(capture_forgotten(capture, &rig.now));
	pass(19000);
	text();
	pass(19000);
	assert_false(capture_forgotten(capture, &rig.now));
	pass(2000);
	assert_true(capture_forgotten(capture, &rig.now));
	end();
}

/* However much comes, whole lines and never more than 4 MiB. */
static void test_space(void **state)
{
	(void)state;
	uint8_t bytes[500];
	memset(bytes, 'n', sizeof(bytes));
	for (unsigned n = 1; n <= sizeof(bytes); n += 83) {
		begin(&gatt, true, NULL);
		while (!capture_why(capture)[0])
			rig_value(&rig, bytes, n, false);
		const char *all = text();
		size_t len = strlen(all);
		assert_string_equal(capture_why(capture), "space");
		assert_true(len <= CAPTURE_BYTES_MAX && len > CAPTURE_BYTES_MAX - 2048);
		assert_string_equal(all + len - 6, "\nopen\n");
		end();
	}
	begin(&stream, true, NULL);
	memset(bytes, 'x', sizeof(bytes));
	while (!capture_why(capture)[0])
		rig_stream(&rig, bytes, sizeof(bytes));
	for (const char *at = strstr(text(), "< "); at; at = strchr(at + 1, '\n'))
		assert_true(strcspn(at + 1, "\n") <= 2 * VG_FRAME_MAX + 2);
	end();
}

/* what may name a person */

static bool sum_good(const char *frame)
{
	char again[4096];
	const char *end = frame + strcspn(frame, "\x03\x17");
	sprintf(again, "%.*s", (int)(end - frame - 1), frame + 1);
	char whole[4200];
	frame_of(again, *end, whole);
	return strcmp(whole, frame) == 0;
}

static void scrub(char *bytes, size_t len)
{
	lis01.scrub(&lis01, 0, (uint8_t *)bytes, len);
}

static void scrubs(const char *words, char last, const char *into)
{
	char frame[4096], wanted[4096];
	frame_of(words, last, frame);
	frame_of(into, last, wanted);
	scrub(frame, strlen(frame));
	assert_string_equal(frame, wanted);
}

static void test_scrub(void **state)
{
	(void)state;
	scrubs("1H|\\^&|7|pw|LAB^1^9|Road 1||139 1741||||P|A2|20261121080000\r", 3,
		"1H|\\^&|x|xx|xxx^x^x|xxxxxx||xxxxxxxx||||P|xx|20261121080000\r");
	scrubs("2P|1|R-1|R-2||WANG^FANG||19510314|F||Road||139\r", 3,
		"2P|1|xxx|xxx||xxxx^xxxx||xxxxxxxx|x||xxxx||xxx\r");
	scrubs("3O|1|S-1|T-1|^^^GLU|R|20261121|202611210801||||N||||Serum|D-1\r", 3,
		"3O|1|xxx|xxx|^^^xxx|x|20261121|202611210801||||N||||Serum|xxx\r");
	scrubs("4R|1|^^^GLU|>33.3|mmol/L|3.9 to 6.1|HH||F||OP 1|20261121080000|"
	       "20261121080000+0800|M-1\r",
		3,
		"4R|1|^^^GLU|>33.3|mmol/L|xxxxxxxxxx|HH||F||xxxx|20261121080000|"
		"20261121080000+0800|xxx\r");
	scrubs("5C|1|I|WANG was here|G\rL|1|N\r", 3, "5C|1|x|xxxxxxxxxxxxx|x\rL|1|N\r");
	/* what should be harmless by its place, but does not look like it */
	scrubs("4R|1951|GLU|6.1|WANG FANG OF THE ROAD 12\r", 3,
		"4x|xxxx|xxx|xxx|xxxxxxxxxxxxxxxxxxxxxxxx\r");
	scrubs("4R|1|^^^GLU|WANG|WANG FANG OF THE ROAD 12||WANG FANG|N|FF|||440111200503121234|139\r",
		3,
		"4R|1|^^^GLU|xxxx|xxxxxxxxxxxxxxxxxxxxxxxx||xxxxxxxxx|x|xx|||xxxxxxxxxxxxxxxxxx|"
		"xxx\r");
	scrubs("1H|WANG||P|1\rQ|1|R-1^S-1\rWANG\rZ|FANG\r", 3,
		"1x|xxxx||x|x\rQ|1|xxx^xxx\rxxxx\rx|xxxx\r");
	scrubs("1\xe7\x8e\x8b|\xe8\x8a\xb3", 3, "1xxx|xxx");
	scrubs("3O|1|||||19510314|440111200503121234\r", 3,
		"3O|1|||||xxxxxxxx|xxxxxxxxxxxxxxxxxx\r");
	/* other delimiters */
	scrubs("1H!~#$!x!!LAB\rP!1!R-1!!WANG#FANG\rR!1!###GLU!6.1!mmol/L\r", 3,
		"1H!~#$!x!!xxx\rP!1!xxx!!xxxxxxxxx\rR!1!###GLU!6.1!mmol/L\r");
}

/* Of a frame that lost bytes on the way nothing is sure: this 5th field was the 3rd of a patient. */
static void test_scrub_bad_frame(void **state)
{
	(void)state;
	char frame[] = "\x02"
		       "4R|1|^^^GLP|1||R-0001\x03"
		       "00\r\n";
	scrub(frame, strlen(frame));
	assert_string_equal(frame, "\x02"
				   "xx|x|^^^xxx|x||xxxxxx\x03"
				   "00\r\n");
}

/* Wherever a message is cut in two frames, nothing of a person is left in either. */
static void test_scrub_continued(void **state)
{
	(void)state;
	/* digits 7 and 4 and most capitals mark what is a person's */
	static const char message[] =
		"H|\\^&||77|WANG|ROAD 74||7474747||||P||20261121080000\r"
		"P|1|X-74|74|PLO|WANG^FANG RO|FANG R|74747474|M|R|7 ROAD O|AGE 7|747474747474\r"
		"O|1|S-744|T744|^^^g|R|20261121080000||||WANG|N||||serum\r"
		"R|1|^^^glu|6.1|mmol/l||||f||OPERATOR 7|20261121080000||M-74\rC|1|I|7 FANG\rL|1|n\r";
	static const char persons[] = "74ABDEFGIJKTUVWXYZ";
	size_t len = strlen(message);
	for (size_t cut = 1; cut < len; cut++) {
		char words[600], first[700], second[700];
		snprintf(words, sizeof(words), "1%.*s", (int)cut, message);
		frame_of(words, 0x17, first);
		snprintf(words, sizeof(words), "2%s", message + cut);
		frame_of(words, 3, second);
		scrub(first, strlen(first));
		scrub(second, strlen(second));
		assert_true(sum_good(first) && sum_good(second));
		first[2 + cut] = second[2 + len - cut] = 0; /* without their sums */
		if (strpbrk(first + 2, persons) || strpbrk(second + 2, persons))
			fail_msg("cut at %zu: \"%s\" and \"%s\"", cut, first + 2, second + 2);
	}
}

/* Of any frame: as long, cut the same way, as good or bad as it was, and scrubbed again it stays. */
static void check_frame(const uint8_t *frame, size_t len)
{
	uint8_t once[4096], twice[4096];
	char text_of[4097];
	if (len >= sizeof(once))
		return;
	memcpy(once, frame, len);
	lis01.scrub(&lis01, 0, once, len);
	struct vg_frame a = lis01.frame(NULL, frame, len), b = lis01.frame(NULL, once, len);
	assert_int_equal(a.skip, b.skip);
	assert_int_equal(a.length, b.length);
	memcpy(twice, once, len);
	lis01.scrub(&lis01, 0, twice, len);
	assert_memory_equal(once, twice, len);
	if (len > 5 && frame[0] == 2 && !memchr(frame, 0, len) && frame[len - 1] == '\n') {
		memcpy(text_of, frame, len);
		text_of[len] = 0;
		bool good = sum_good(text_of);
		memcpy(text_of, once, len);
		assert_int_equal(sum_good(text_of), good);
	}
}

static void test_scrub_any(void **state)
{
	(void)state;
	uint32_t seed = 1;
	uint8_t frame[300];
	static const char usual[] = "\x02\x03\x17\r\n|\\^&HPORLC0123456789AFx \x05";
	for (int i = 0; i < 100000; i++) {
		size_t len = 6 + i % 64;
		for (size_t k = 0; k < len; k++) {
			seed = seed * 1664525 + 1013904223;
			frame[k] = (uint8_t)(seed >> 20);
			if (seed >> 30)
				frame[k] = (uint8_t)usual[(seed >> 16) % (sizeof(usual) - 1)];
		}
		frame[0] = 2;
		check_frame(frame, lis01.frame(NULL, frame, len).length);
	}
}

static void test_scrub_noise(void **state)
{
	(void)state;
	begin(&lis01, true, NULL);
	line("WANG\r\n\x15 \xe7\x8e\x8b\x05");
	rig_stream(&rig,
		"\x02"
		"1P|1|WANG",
		10);
	pass(5000);
	session_gap(rig.session, &rig.now);
	assert_string_equal(strstr(text(), "< "), "< 787878780d0a1578787878\n< 05\n> 06\n"
						  "< 02787878787878787878\nwait 5150\n");
	end();
	/* a handle that nobody asked for, on a bus whose protocol has names */
	struct vg_driver d = gatt;
	d.scrub = lis01.scrub;
	begin(&d, true, NULL);
	session_value(rig.session, -1, (const uint8_t *)"WANG", 4, false, &rig.now);
	assert_string_equal(strstr(text(), "< "), "< 78787878\n");
	end();
}

#define CASE(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_live),
		CASE(test_middle),
		CASE(test_channels),
		CASE(test_silence),
		CASE(test_end_of_session),
		CASE(test_open),
		CASE(test_marks_and_denials),
		CASE(test_time),
		CASE(test_space),
		CASE(test_scrub),
		CASE(test_scrub_bad_frame),
		CASE(test_scrub_continued),
		CASE(test_scrub_any),
		CASE(test_scrub_noise),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("capture", tests, load, unload);
}
