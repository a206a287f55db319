/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child that answers, crashes, hangs, talks too long or is not there: one answer each time, and nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "decoder.h"
#include "fake_decoder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

static char dir[64], path[128], pid_path[128];
static sd_event *loop;
static struct decoder *decoder;
static unsigned answers;
static char *text, why[128];
static bool passing;
static size_t text_len;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vitalgate-decoder-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(pid_path, sizeof(pid_path), "%s/pid", dir);
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(decoder_new(loop, &decoder), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	decoder_free(TAKE(decoder));
	loop = sd_event_unref(loop);
	free(TAKE(text));
	unlink(path);
	unlink(pid_path);
	return rmdir(dir);
}

static void done(void *arg, const char *said, size_t len, const char *reason, bool passes)
{
	passing = passes;
	assert_ptr_equal(arg, &answers);
	assert_true(!said != !reason);
	answers++;
	free(text);
	text = said ? malloc(len + 1) : NULL;
	if (text)
		memcpy(text, said, len + 1); /* with its NUL */
	text_len = len;
	snprintf(why, sizeof(why), "%s", reason ? reason : "");
}

static void begin(const char *script, const void *bytes, size_t len)
{
	answers = 0;
	fake_decoder(dir, path, script);
	decoder_use(decoder, path, 0);
	assert_int_equal(decoder_run(decoder, bytes, len, done, &answers), 0);
}

static void wait_for_answer(void)
{
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (!answers && clock_boot_us() < end)
		assert_true(sd_event_run(loop, 100000) >= 0);
	assert_int_equal(answers, 1);
	while (sd_event_run(loop, 0) > 0)
		;
	assert_int_equal(answers, 1);
	no_child_left();
}

static void run(const char *script, const char *bytes)
{
	begin(script, bytes, strlen(bytes));
	wait_for_answer();
}

static void says(const char *script, const char *expected)
{
	run(script, "original");
	assert_string_equal(why, "");
	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(text_len, strlen(expected));
}

static void fails(const char *script, const char *expected)
{
	run(script, "original");
	assert_null(text);
	assert_string_equal(why, expected);
}

static void test_answers(void **state)
{
	(void)state;
	says("cat", "original");
	says("printf '{}'", "{}"); /* who does not read may answer */
	says("printf a; sleep 0.2; printf b", "ab");
	run("cat", ""); /* an empty original is one */
	assert_string_equal(why, "it said nothing");
	/* behind a wrong end of a text it goes on */
	run("printf 'a\\000b'", "");
	assert_int_equal(text_len, 3);
	assert_memory_equal(text, "a\0b", 4);
}

static void test_fails(void **state)
{
	(void)state;
	fails("kill -SEGV $$", "it was ended by signal 11");
	fails("printf '{}'; kill -ABRT $$", "it was ended by signal 6");
	fails("printf '{}'; exit 3", "it ended with status 3");
	fails("exit 0", "it said nothing");
	assert_false(passing);
	fails("kill -KILL $$", "it was ended by signal 9"); /* by whom, nobody says */
	assert_true(passing);
	says("printf '{}'", "{}");
	assert_false(passing);
	fails("printf '' >&2; printf 'not heard' >&2", "it said nothing");
}

/* What somebody does whom it started is not waited for. */
static void test_leaves_another_behind(void **state)
{
	(void)state;
	char script[256];
	snprintf(script, sizeof(script),
		"(for i in $(seq 900); do [ -e %s ] && exit; sleep 0.1; done) & printf '{}'",
		pid_path);
	says(script, "{}"); /* long before it has ended: that is ours to say */
	assert_int_equal(close(open(pid_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
}

static void test_hangs(void **state)
{
	(void)state;
	static const char *const scripts[] = {"exec sleep 100", "printf '{}'; exec sleep 100",
		"printf '{}'; exec >&-; exec sleep 100", "trap '' TERM; while :; do :; done"};
	for (size_t i = 0; i < ELEMENTS(scripts); i++) {
		int64_t begun = clock_boot_us();
		answers = 0;
		fake_decoder(dir, path, scripts[i]);
		decoder_use(decoder, path, 400000);
		assert_int_equal(decoder_run(decoder, (const uint8_t *)"x", 1, done, &answers), 0);
		wait_for_answer();
		assert_null(text);
		assert_string_equal(why, "it did not come to an end");
		assert_true(passing);
		assert_true(clock_boot_us() - begun >= 400000);
	}
	assert_true(DECODER_TIME_US >= 5 * CLOCK_SECOND_US);
	says("printf good", "good"); /* the next one has its own time */
}

/* Whoever closes its answer and goes on has answered when it ends, and costs no time until then. */
static void test_closes_its_answer(void **state)
{
	(void)state;
	struct timespec before, after;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	says("printf '{}'; exec >&-; sleep 1", "{}");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	int64_t used_us = (after.tv_sec - before.tv_sec) * CLOCK_SECOND_US +
			  (after.tv_nsec - before.tv_nsec) / 1000;
	assert_true(used_us < 300000);
	fails("exec >&-; sleep 0.3; exit 2", "it ended with status 2");
}

static void test_too_long(void **state)
{
	(void)state;
	char script[128];
	for (int more = -1; more <= 1; more++) {
		snprintf(script, sizeof(script), "head -c %d /dev/zero | tr '\\000' x",
			DECODER_ANSWER_MAX + more);
		run(script, "");
		if (more > 0) {
			assert_null(text);
			assert_string_equal(why, "its answer was too long");
		} else {
			assert_non_null(text);
			assert_int_equal(text_len, DECODER_ANSWER_MAX + more);
			assert_int_equal(strlen(text), text_len);
		}
	}
	/* it is stopped, however much it has to say */
	fails("exec cat /dev/zero", "its answer was too long");
	assert_false(passing);
	says("printf good", "good");
}

static void test_large_original(void **state)
{
	(void)state;
	size_t len = 4 * 1024 * 1024;
	uint8_t *bytes = malloc(len);
	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	begin("wc -c; ", bytes, len);
	wait_for_answer();
	assert_int_equal(atoi(text), len);
	begin("tail -c 5", bytes, len);
	wait_for_answer();
	assert_int_equal(text_len, 5);
	assert_memory_equal(text, bytes + len - 5, 5);
	free(bytes);
}

static void test_not_there(void **state)
{
	(void)state;
	answers = 0;
	decoder_use(decoder, "/nonexistent/vitalgate-ecg", 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			decoder_run(decoder, (const uint8_t *)"x", 1, done, &answers), -ENOENT);
	fake_decoder(dir, path, "printf x");
	chmod(path, 0600); /* root, too, may not run what nobody may */
	decoder_use(decoder, path, 0);
	assert_int_equal(decoder_run(decoder, (const uint8_t *)"x", 1, done, &answers), -EACCES);
	assert_int_equal(answers, 0);
	no_child_left();
	says("printf good", "good");
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;
	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Nothing of ours is inherited: no descriptor, no environment, no blocked or ignored signal. */
static void test_inherits_nothing(void **state)
{
	(void)state;
	sigset_t set, old;
	int open_to_all = open("/dev/zero", O_RDONLY); /* as a library might */
	assert_true(open_to_all >= 0);
	assert_int_equal(dup2(open_to_all, 77), 77);
	setenv("VITALGATE_SECRET", "x", 1);
	/* 3 is the directory that `ls` itself reads */
	says("exec ls /proc/self/fd", "0\n1\n2\n3\n");
	says("wc -c </proc/$$/environ", "0\n");
	int ours = dup(STDERR_FILENO);
	assert_int_equal(dup2(77, STDERR_FILENO), STDERR_FILENO);
	says("readlink /proc/$$/fd/2", "/dev/null\n");
	assert_int_equal(dup2(ours, STDERR_FILENO), STDERR_FILENO);
	close(ours);
	close(open_to_all);
	close(77);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
	/* signals 1 to 16; the C library keeps some of its own ignored */
	says("exec sed -n 's/^Sig[BI][lg][kn]:.*\\(....\\)$/\\1/p' /proc/self/status",
		"0000\n0000\n");
	signal(SIGPIPE, pipe_before);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* Whatever was installed in its place has no more memory and time than this. */
static void test_limits(void **state)
{
	(void)state;
#ifndef __SANITIZE_ADDRESS__
	says("sleep 0.3; ulimit -v; ulimit -H -v; ulimit -t; ulimit -H -t",
		"262144\n262144\n10\n11\n");
#endif
}

static void test_one_at_a_time(void **state)
{
	(void)state;
	begin("sleep 0.3; cat", "first", 5);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			decoder_run(decoder, (const uint8_t *)"x", 1, done, &answers), -EBUSY);
	wait_for_answer();
	assert_string_equal(text, "first");
}

static void done_once_more(void *arg, const char *said, size_t len, const char *reason, bool passes)
{
	(void)said, (void)len, (void)reason, (void)passes;
	assert_int_equal(decoder_run(decoder, (const uint8_t *)"second", 6, done, arg), 0);
}

/* The answer is the moment at which the next one begins. */
static void test_from_the_answer(void **state)
{
	(void)state;
	answers = 0;
	fake_decoder(dir, path, "cat");
	decoder_use(decoder, path, 0);
	assert_int_equal(
		decoder_run(decoder, (const uint8_t *)"first", 5, done_once_more, &answers), 0);
	wait_for_answer();
	assert_string_equal(text, "second");
}

static void test_freed_while_running(void **state)
{
	(void)state;
	char line[32] = "", script[256];
	snprintf(script, sizeof(script), "echo $$ >%s; printf part; exec sleep 100", pid_path);
	begin(script, "x", 1);
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (!line[0] && clock_boot_us() < end) {
		sd_event_run(loop, 20000);
		FILE *f = fopen(pid_path, "re");
		if (f && !fgets(line, sizeof(line), f))
			line[0] = 0;
		if (f)
			fclose(f);
	}
	assert_true(atoi(line) > 1);
	decoder_free(TAKE(decoder));
	no_child_left();
	assert_int_equal(kill(atoi(line), 0), -1);
	assert_int_equal(errno, ESRCH);
	while (sd_event_run(loop, 0) > 0)
		;
	assert_int_equal(answers, 0);
}

static void test_nothing_is_left(void **state)
{
	(void)state;
	says("cat", "original");
	unsigned before = descriptors();
	for (int i = 0; i < 60; i++) {
		if (i % 3 == 0)
			says("cat", "original");
		else if (i % 3 == 1)
			fails("kill -KILL $$", "it was ended by signal 9");
		else
			test_not_there(NULL);
	}
	assert_int_equal(descriptors(), before);
	decoder_free(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_answers),
		T(test_fails),
		T(test_leaves_another_behind),
		T(test_hangs),
		T(test_closes_its_answer),
		T(test_too_long),
		T(test_large_original),
		T(test_not_there),
		T(test_inherits_nothing),
		T(test_limits),
		T(test_one_at_a_time),
		T(test_from_the_answer),
		T(test_freed_while_running),
		T(test_nothing_is_left),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
