/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log lines: prefix for systemd, plain on a terminal, one line each; and how repeated ones are held back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pty.h>

#include "log.h"
#include "util.h"

static int saved = -1, reader = -1;

/* Stderr goes to `fd` until restore(). */
static void redirect(int fd)
{
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
}

static void to_pipe(void)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	reader = ends[0];
	redirect(ends[1]);
}

static void restore(char *out, size_t size)
{
	fflush(stderr);
	ssize_t n = read(reader, out, size - 1);
	out[MAX(n, 0)] = 0;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(reader);
}

static void test_levels(void **state)
{
	(void)state;
	char out[4096];
	to_pipe();
	log_init("prog", LOG_NOTE);
	log_error("store", "cannot write: %s", "disk full");
	log_warn("cuff-1", "%d", 2);
	log_note("cuff-1", "three");
	log_info("cuff-1", "too much");
	log_detail("cuff-1", "far too much");
	restore(out, sizeof(out));
	assert_string_equal(out, "<3>prog store: cannot write: disk full\n<4>prog cuff-1: "
				 "2\n<5>prog cuff-1: three\n");
	to_pipe();
	log_init("prog", LOG_DETAIL);
	log_info("u", "four");
	log_detail("u", "five");
	restore(out, sizeof(out));
	assert_string_equal(out, "<6>prog u: four\n<7>prog u: five\n");
}

static void test_terminal(void **state)
{
	(void)state;
	char out[256];
	int master, slave;
	if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
		print_message("# no pseudo terminal here\n");
		skip();
	}
	reader = master;
	redirect(slave);
	log_init("prog", LOG_INFO);
	log_warn("u", "text");
	restore(out, sizeof(out));
	log_init("prog", LOG_INFO);
	assert_string_equal(out, "prog u: text\r\n");
}

static void test_long(void **state)
{
	(void)state;
	char out[8192], text[4000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	to_pipe();
	log_init("prog", LOG_INFO);
	log_info("u", "%s", text);
	log_info("u", "next");
	restore(out, sizeof(out));
	char *end = strchr(out, '\n');
	assert_non_null(end);
	assert_in_range(end - out, 1000, 1100); /* cut, and still one whole line */
	assert_string_equal(end, "\n<6>prog u: next\n");
}

/* What an instrument or a peer sent must not look like a line of ours. */
static void test_one_line(void **state)
{
	(void)state;
	char out[512];
	to_pipe();
	log_init("prog", LOG_INFO);
	log_info("u", "got \"%s\"", "a\n<3>prog store: lost\r\x1b[2J\t血压\x7f");
	restore(out, sizeof(out));
	assert_string_equal(out, "<6>prog u: got \"a?<3>prog store: lost??[2J?血压?\"\n");
}

static void test_allowed(void **state)
{
	(void)state;
	struct log_limit l = {0};
	unsigned held = 77;
	for (int i = 0; i < 3; i++) {
		held = 77;
		assert_int_equal(log_allowed(&l, 3, &held), 1);
		assert_int_equal(held, 0);
	}
	for (int i = 0; i < 1000; i++) {
		held = 77;
		assert_int_equal(log_allowed(&l, 3, &held), 0);
		assert_int_equal(held, 0);
	}
	l.window_us -= 59000000; /* not yet a minute */
	assert_int_equal(log_allowed(&l, 3, &held), 0);
	l.window_us -= 1000000;
	assert_int_equal(log_allowed(&l, 3, &held), 1);
	assert_int_equal(held, 1001); /* told once */
	assert_int_equal(log_allowed(&l, 3, &held), 1);
	assert_int_equal(held, 0);
	assert_int_equal(log_allowed(&l, 3, &held), 1);
	assert_int_equal(log_allowed(&l, 3, &held), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_allowed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
