/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The receiver of files in the daemon's own session code: its captures fed whole, in random pieces, and as
 * `vitalgate capture` would have left them; a model sender over a line that damages bytes both ways, with a clock that
 * nobody waits for; and what no capture holds: long files, the ends of memory and of patience.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>

#include "capfile.h"
#include "capture.h"
#include "xmodem/clock.h"

#define CAPTURES "tests/captures/xmodem"

/* captures */

static struct capture *recording; /* what the daemon would write of the session */

static void on_trace(void *arg, const struct session_trace *t)
{
	(void)arg;
	capture_trace(recording, t);
}

static void heard_step(const struct capfile_step *step, struct random *pieces)
{
	for (size_t i = 0, n; i < step->len; i += n) {
		n = pieces ? 1 + random_below(pieces, 60) : step->len;
		n = MIN(n, step->len - i);
		stream(step->bytes + i, n);
	}
}

static void play_step(const struct capfile_step *step, struct random *pieces)
{
	size_t rest;
	switch (step->word) {
	case CAPFILE_HEARD:
		check_sent("", 0);
		heard_step(step, pieces);
		break;
	case CAPFILE_SENT:
		rest = MAX(rig.n_sent, step->len) - step->len; /* one line for each answer */
		rig.n_sent -= rest;
		check_sent(step->bytes, step->len);
		memmove(rig.sent, rig.sent + step->len, rest);
		rig.n_sent = rest;
		break;
	case CAPFILE_KEPT:
	case CAPFILE_REFUSED:
		check_sent("", 0);
		verdict(rig.settled++, step->word == CAPFILE_KEPT ? 0 : -ENOSPC);
		break;
	case CAPFILE_WAIT:
		check_sent("", 0);
		pass(step->wait_ms);
		break;
	case CAPFILE_DENIED:
	case CAPFILE_HUNG_UP:
		fail();
	}
}

static void record(const struct capfile *c)
{
	static struct config_device device;
	const char *check = capfile_option(c, "check");
	device.n_options = check ? 1 : 0;
	if (check) {
		text_copy(device.options[0].name, sizeof(device.options[0].name), "check", 5);
		text_copy(device.options[0].value, sizeof(device.options[0].value), check,
			strlen(check));
	}
	recording = capture_new(driver(), &device, 3600, &rig.now);
	assert_non_null(recording);
	if (c->live) {
		capture_session_begins(recording, NULL, 0, &rig.now);
		capture_trace(recording, &(struct session_trace){.what = TRACE_SENT,
						 .bytes = rig.sent,
						 .len = rig.n_sent,
						 .now = &rig.now});
	}
	rig.ops.trace = on_trace;
}

/* False: nothing was heard. */
static bool write_recording(const char *path)
{
	size_t len, next;
	capture_session_ends(recording, &rig.now);
	const char *text = capture_text(recording, 0, &len, &next, &rig.now);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	assert_null(memmem(text, len, "54455354", 8)); /* "TEST" is in all of them */
	capture_free(recording);
	return len;
}

/* Plays one; what came of it as a text, lengths of studies without their bytes. `written`: where it is captured.
 * False: there was nothing to capture. */
static bool play(
	const char *path, struct random *pieces, const char *written, char *out, size_t size)
{
	char error[CAPFILE_ERROR_MAX];
	struct capfile *c = capfile_open(path, error);
	struct capfile_step step;
	assert_non_null(c);
	capfile_driver(c, driver());
	open_rig(capfile_option(c, "check"), !c->live);
	if (written)
		record(c);
	while (capfile_next(c, &step, error) > 0)
		play_step(&step, pieces);
	check_sent("", 0);
	bool heard = written && write_recording(written);
	session_flush(rig.session, &rig.now);
	rig_trace(&rig, out, size - 256);
	for (unsigned i = 0; i < rig.n_units; i++)
		if (rig.units[i]->study.len)
			strcat(out, " study");
	rig_close(&rig);
	capfile_free(c);
	return heard;
}

static void check_capture(const char *path)
{
	char whole[8192], other[8192], written[] = "/tmp/test_xmodem.XXXXXX";
	int fd = mkstemp(written);
	assert_true(fd >= 0);
	close(fd);
	bool heard = play(path, NULL, written, whole, sizeof(whole));
	for (uint32_t seed = 0; seed < 8; seed++) {
		play(path, &(struct random){seed}, NULL, other, sizeof(other));
		assert_string_equal(other, whole);
	}
	if (heard && !strstr(path, "_other")) /* scrubbed, all data look the same */
		play(written, NULL, NULL, other, sizeof(other));
	unlink(written);
	assert_string_equal(other, whole);
}

static void test_captures(void **state)
{
	(void)state;
	char path[300];
	unsigned n = 0;
	DIR *d = opendir(CAPTURES);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		size_t len = strlen(e->d_name);
		if (len < 5 || !streq(e->d_name + len - 4, ".cap"))
			continue;
		snprintf(path, sizeof(path), CAPTURES "/%s", e->d_name);
		print_message("# %s\n", e->d_name);
		check_capture(path);
		n++;
	}
	closedir(d);
	assert_true(n > 60);
}

/* what no capture holds */

/* Block 255 is acknowledged when it is durable that the transfer is a long one. */
static void keep_mark(unsigned block)
{
	if (block != 255)
		return;
	SENT("");
	assert_string_equal(rig.units[0]->marks->key, "long");
	assert_int_equal(rig.units[0]->marks->value[0], 1);
	verdict(0, 0);
}

static void test_number_wraps(void **state)
{
	(void)state;
	open_rig(NULL, false);
	SENT("C");
	for (unsigned i = 1; i <= 600; i++) {
		send_block(i, "TEST", false);
		keep_mark(i);
		SENT("\x06");
	}
	end_file();
	verdict(1, 0);
	SENT("\x06");
	assert_int_equal(rig.units[1]->study.len, 600 * 128);
}

/* The first block of a new file has the number that is expected: it must not become a part of the former one. */
static void test_wrap_and_another_file(void **state)
{
	(void)state;
	for (unsigned blocks = 255; blocks <= 256; blocks++) {
		open_rig("sum", false);
		SENT("\x15");
		for (unsigned i = 1; i <= blocks; i++) {
			rig.n_sent = 0;
			send_block(i, "TEST", true);
			keep_mark(i);
		}
		rig.n_sent = 0;
		pass(10000);
		SENT("\x18\x18\x18");
		assert_string_equal(last_event(), "transfer given up: the sender fell silent");
		send_block(1, "OTHER", true);
		SENT("\x06");
		end_file();
		assert_int_equal(rig.units[2]->study.len, 128);
		assert_memory_equal(rig.units[2]->study.at, "OTHER", 5);
		rig_close(&rig);
	}
	open_rig(NULL, false); /* with CRC they cannot be mixed up: the new one was asked by NAK */
	for (unsigned i = 1; i <= 256; i++) {
		rig.n_sent = 0;
		send_block(i, "TEST", false);
		keep_mark(i);
	}
	rig.n_sent = 0;
	pass(10000);
	SENT("\x15");
	send_block(1, "OTHER", true);
	pass(2000);
	SENT("\x15");
}

static void test_longest(void **state)
{
	(void)state;
	uint8_t out[1029], data[1024] = "TEST";
	open_rig(NULL, false);
	SENT("C");
	for (unsigned i = 1; i <= VG_STUDY_MAX / 1024; i++) {
		stream(out, sender_block(out, (uint8_t)i, data, 1024, true, false));
		keep_mark(i);
		SENT("\x06");
	}
	stream(out, sender_block(out, 1, data, 128, false, false));
	SENT("\x18\x18\x18");
	assert_string_equal(last_event(), "transfer given up: file too long");
	send_block(1, "TEST", false); /* nothing of it is left */
	SENT("\x06");
	end_file();
	assert_int_equal(rig.units[2]->study.len, 128);
}

/* When it cannot be made durable, the transfer is broken off. */
static void test_mark_refused(void **state)
{
	(void)state;
	open_rig(NULL, false);
	for (unsigned i = 1; i <= 255; i++) {
		rig.n_sent = 0;
		send_block(i, "TEST", false);
	}
	SENT("");
	verdict(0, -ENOSPC);
	SENT("\x18\x18\x18");
}

/* Block 257 of a transfer that a power cut left behind has the number of a first one: it is broken off before anything
 * is asked for. */
static void test_left_behind(void **state)
{
	(void)state;
	for (uint8_t was = 0; was < 2; was++) {
		rig = rig_new(driver());
		rig.mark_key = "long";
		rig.mark[0] = was;
		rig.mark_len = 1;
		assert_non_null(rig_open(&rig));
		if (was) {
			SENT("\x18\x18\x18");
			assert_int_equal(rig.units[0]->marks->value[0], 0);
			session_expired(rig.session, &rig.now);
		}
		SENT("C");
		rig_close(&rig);
	}
	open_rig(NULL, false);
}

/* Verdicts on other units are nobody's: an event was told while the file was begun. */
static void test_other_verdicts(void **state)
{
	(void)state;
	open_rig(NULL, false);
	send_block(1, "TEST", false);
	send_block(2, "TEST", false);
	send_block(1, "OTHER", false); /* begins anew, which is told */
	rig.n_sent = 0;
	end_file();
	verdict(0, 0);
	SENT("");
	verdict(0, -ENOSPC);
	SENT("");
	verdict(1, 0);
	SENT("\x06");
	verdict(1, 0);
	verdict(1, -ENOSPC);
	SENT("");
}

/* The time that a sender has to say it a second time, or to send the block whose beginning was taken for EOT. */
static void test_eot_alone(void **state)
{
	(void)state;
	open_rig(NULL, false);
	send_block(1, "TEST", false);
	send_byte(EOT);
	pass(300);
	rig.n_sent = 0;
	pass(4999);
	assert_int_equal(rig.n_units, 0);
	pass(1);
	assert_int_equal(rig.n_units, 1);
	assert_int_equal(rig.units[0]->study.len, 128);
	pass(3600000); /* nobody else may answer */
	SENT("");
	verdict(0, 0);
	SENT("\x06");
}

/* An answer in the middle of a block would be one too many. */
static void test_slow_line(void **state)
{
	(void)state;
	uint8_t out[1029], data[1024] = "TEST";
	open_rig(NULL, false);
	SENT("C");
	for (unsigned number = 1; number <= 3; number++) {
		size_t len = sender_block(out, (uint8_t)number, data, 1024, true, false);
		for (size_t i = 0; i < len; i++) {
			pass(number == 3 && i % 400 == 50 ? 900
							  : 1); /* a pause below that of a gap */
			stream(out + i, 1);
		}
		SENT("\x06");
	}
}

static void test_scrubbed_first_block_is_one(void **state)
{
	(void)state;
	uint8_t out[1029], data[1024];
	memset(data, 'x', sizeof(data));
	for (unsigned one_k = 0; one_k < 2; one_k++) { /* asked by NAK both are waited for */
		open_rig(NULL, true);
		size_t len = sender_block(out, 1, data, one_k ? 1024 : 128, one_k == 1, false);
		for (size_t i = 0; i < len; i++)
			stream(out + i, 1);
		SENT("\x06");
		rig_close(&rig);
	}
}

/* Its CRC could be a checksum, but it is all there. */
static void test_block_of_zeros(void **state)
{
	(void)state;
	uint8_t out[1029], data[128] = {0};
	open_rig(NULL, true);
	stream(out, sender_block(out, 1, data, sizeof(data), false, false));
	pass(9999);
	SENT("\x06");
}

/* Block 0 of a batch keeps the size; the 256th of a file, which has the same number, keeps nothing. */
static void test_scrub_of_block_0(void **state)
{
	(void)state;
	static const struct {
		const char *data, *left;
		size_t len;
	} cases[] = {
		{"T.scp\0"
		 "8192 14577 100644\0",
			"xxxxx\0"
			"8192\0\0\0",
			24},
		{"T.scp\0\0", "xxxxx\0\0", 7},
		{"\0"
		 "8192",
			"\0\0\0\0\0", 5},
		{"T\nscp\0"
		 "8192",
			"xxxxxxxxxx", 10},
		{"T.scp\0"
		 "8192 T",
			"xxxxxxxxxxxx", 12},
		{"T.scp\0"
		 "8192\0T",
			"xxxxxxxxxxxx", 12},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		uint8_t out[1029], data[128] = {0};
		memcpy(data, cases[i].data, cases[i].len);
		size_t len = sender_block(out, 0, data, sizeof(data), false, false);
		driver()->scrub(driver(), 0, out, len);
		assert_memory_equal(out + 3, cases[i].left, MIN(cases[i].len, (size_t)12));
	}
}

/* a sender */

static struct file content[SENDER_FILES_MAX];
static uint8_t content_bytes[SENDER_FILES_MAX][40000];

/* Files without an end that could be padding; the first one is like an SCP-ECG record. */
static void make_files(struct random *r)
{
	for (unsigned f = 0; f < SENDER_FILES_MAX; f++) {
		size_t len = 30 + random_below(r, random_below(r, 3) ? 3000 : 39000);
		for (size_t i = 0; i < len; i++)
			content_bytes[f][i] = (uint8_t)random_below(r, 256);
		content_bytes[f][len - 1] = '.';
		if (f == 0) {
			memcpy(content_bytes[f] + 2, &(uint32_t){(uint32_t)len}, 4);
			memcpy(content_bytes[f] + 16, "SCPECG", 6);
		}
		content[f] = (struct file){content_bytes[f], len};
	}
}

struct outcome {
	unsigned content, failed, studies;
	int64_t lasted_us;
};

static void forward(struct line *back, size_t *told)
{
	if (rig.n_sent > *told)
		line_send(back, rig.sent + *told, rig.n_sent - *told, rig.now.boot_us);
	*told = rig.n_sent = 0;
}

/* Sender and receiver until the sender is done; then half a minute more for the receiver. */
static void converse(struct sender *s, struct line *back, unsigned keep_ms)
{
	int64_t end_us = NEVER, due_us = NEVER;
	size_t told = 0;
	sender_start(s, rig.now.boot_us);
	while (rig.now.boot_us < end_us) {
		forward(back, &told);
		if (due_us == NEVER && rig.settled < rig.n_units)
			due_us = rig.now.boot_us + keep_ms * INT64_C(1000);
		int64_t next_us = MIN(MIN(line_next(s->line), line_next(back)),
			MIN(MIN(s->wait_us, due_us), end_us));
		if (run_out(MIN(next_us, rig.now.boot_us + 60000000)))
			continue;
		uint8_t bytes[256];
		size_t n = line_take(s->line, rig.now.boot_us, bytes, sizeof(bytes));
		if (n)
			stream(bytes, n);
		if (due_us <= rig.now.boot_us) {
			verdict(rig.settled++, 0);
			due_us = NEVER;
		}
		n = line_take(back, rig.now.boot_us, bytes, 1);
		if (n)
			sender_heard(s, bytes[0], rig.now.boot_us);
		if (s->wait_us <= rig.now.boot_us)
			sender_expired(s, rig.now.boot_us);
		if (s->stage >= SENDER_CONTENT && end_us == NEVER)
			end_us = rig.now.boot_us + 130000000;
	}
}

/* Whatever happened, what is kept is what was sent, in its order, and whoever is content was right. */
static void judge(const struct sender *s, struct outcome *o)
{
	unsigned n = 0;
	for (unsigned i = 0; i < rig.n_units; i++) {
		const struct bytes *study = &rig.units[i]->study;
		if (!study->len)
			continue;
		while (n < s->n_files && (s->files[n].len != study->len ||
						 memcmp(s->files[n].bytes, study->at, study->len)))
			n++;
		assert_true(n++ < s->n_files); /* it is one of them, once */
		o->studies++;
	}
	if (s->stage == SENDER_CONTENT)
		assert_int_equal(o->studies, s->n_files);
	o->content = s->stage == SENDER_CONTENT;
	o->failed = s->stage == SENDER_FAILED;
}

struct conditions {
	const char *name;
	uint32_t there, back; /* damaged bytes of a million */
	bool flips;
	size_t cut_after;
	uint32_t stalls;	 /* of a million pieces */
	unsigned keep_ms, least; /* of a hundred transfers so many must succeed */
};

static struct outcome transfer(uint32_t seed, const struct conditions *c)
{
	struct random r = {seed * 2654435761u + 12345};
	static const unsigned pieces[] = {1, 16, 300, 2000};
	static const unsigned speeds[] = {9600, 19200, 115200};
	int64_t byte_us = 10000000 / speeds[random_below(&r, 3)];
	struct line there = {.random = {seed}, .byte_us = byte_us, .rate = c->there},
		    back = {.random = {~seed}, .byte_us = byte_us, .rate = c->back, .piece_max = 1};
	there.flips = back.flips = c->flips;
	there.piece_max = pieces[random_below(&r, 4)];
	there.late_max_us =
		random_below(&r, 2) * MIN(there.piece_max * INT64_C(1000), INT64_C(40000));
	there.stalls = c->stalls;
	there.cut_after = c->cut_after ? 1 + random_below(&r, (uint32_t)c->cut_after) : 0;
	struct sender s = {.ymodem = random_below(&r, 2),
		.one_k = random_below(&r, 2),
		.only_sum = c->flips && random_below(&r, 2),
		.eot_once = !c->there && random_below(&r, 2),
		.patience_us = 10000000 + random_below(&r, 2) * 50000000,
		.tries = 10,
		.line = &there};
	if (s.one_k)
		there.rate = there.rate * 133 / 1029;
	make_files(&r);
	s.n_files = s.ymodem ? 1 + random_below(&r, SENDER_FILES_MAX) : 1;
	memcpy(s.files, content, sizeof(content));
	struct outcome o = {0};
	open_rig(NULL, false);
	int64_t begun_us = rig.now.boot_us;
	converse(&s, &back, random_below(&r, c->keep_ms + 1));
	o.lasted_us = rig.now.boot_us - begun_us;
	judge(&s, &o);
	rig_close(&rig);
	line_free(&there);
	line_free(&back);
	return o;
}

static void test_sender(void **state)
{
	(void)state;
	static const struct conditions conditions[] = {
		{"a good line", 0, 0, false, 0, 0, 0, 100},
		{"slow to keep", 0, 0, false, 0, 0, 25000, 100},
		{"1 % of the blocks", 75, 0, false, 0, 0, 3000, 100},
		{"5 % of the blocks", 385, 0, false, 0, 0, 3000, 100},
		{"20 % of the blocks", 1680, 0, false, 0, 0, 3000, 90},
		{"20 % of the blocks, flips, also with checksums", 1680, 0, true, 0, 0, 3000, 90},
		{"5 % of the blocks, 2 % of the answers", 385, 20000, false, 0, 0, 3000, 90},
		{"5 % of the blocks, 10 % of the answers", 385, 100000, false, 0, 0, 3000, 40},
		{"nearly nothing gets through", 6000, 200000, false, 0, 0, 3000, 0},
		{"a line that stands still at times", 0, 0, false, 0, 500, 3000, 90},
		{"stands still and damages", 385, 20000, false, 0, 10000, 3000, 0},
		{"cut off", 0, 0, false, 40000, 0, 0, 0},
		{"cut off on a bad line", 385, 20000, false, 20000, 0, 0, 0},
	};
	for (size_t i = 0; i < ELEMENTS(conditions); i++) {
		const struct conditions *c = &conditions[i];
		unsigned good = 0, given_up = 0;
		for (uint32_t seed = 0; seed < 100; seed++) {
			struct outcome o = transfer(seed, c);
			good += o.content;
			given_up += o.failed;
		}
		print_message("# %s: %u content, %u gave up\n", c->name, good, given_up);
		assert_true(good >= c->least && good + given_up == 100);
	}
}

static int load(void **state)
{
	(void)state;
	char error[400];
	rig_codes = codes_load("config", error, sizeof(error));
	return rig_codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(rig_codes);
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	if (rig.session)
		rig_close(&rig);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_captures, close_rig),
		cmocka_unit_test_teardown(test_number_wraps, close_rig),
		cmocka_unit_test_teardown(test_wrap_and_another_file, close_rig),
		cmocka_unit_test_teardown(test_longest, close_rig),
		cmocka_unit_test_teardown(test_mark_refused, close_rig),
		cmocka_unit_test_teardown(test_left_behind, close_rig),
		cmocka_unit_test_teardown(test_other_verdicts, close_rig),
		cmocka_unit_test_teardown(test_eot_alone, close_rig),
		cmocka_unit_test_teardown(test_slow_line, close_rig),
		cmocka_unit_test_teardown(test_scrubbed_first_block_is_one, close_rig),
		cmocka_unit_test_teardown(test_block_of_zeros, close_rig),
		cmocka_unit_test(test_scrub_of_block_0),
		cmocka_unit_test_teardown(test_sender, close_rig),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("xmodem", tests, load, unload);
}
