/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A program of the site: what it gets, what becomes of it, and that nothing of it stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "hook.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#define SECOND_US INT64_C(1000000)

static char dir[64], path[128], out[128];
static sd_event *loop;
static struct hook *hook;
static unsigned ended;
static char why[128];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vitalgate-hook-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/siren", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(hook_new(loop, &hook), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hook_free(TAKE(hook));
	loop = sd_event_unref(loop);
	unlink(path);
	unlink(out);
	return rmdir(dir);
}

/* %s in a script is the file that it writes. */
static void script(const char *lines)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs("#!/bin/sh\n", f);
	fprintf(f, "out=%s\n%s\n", out, lines);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
	unlink(out);
}

static void on_done(void *arg, const char *reason)
{
	assert_ptr_equal(arg, &ended);
	ended++;
	snprintf(why, sizeof(why), "%s", reason ? reason : "good");
}

static int begin(const char *input, int64_t limit_us)
{
	static const char *const words[] = {"critical", "start", "00ff", "a b; $(c) *", NULL};
	ended = 0;
	return hook_run(hook, path, words, input, strlen(input), limit_us, on_done, &ended);
}

static void wait_for_end(void)
{
	int64_t end = clock_boot_us() + 90 * SECOND_US;
	while (!ended && clock_boot_us() < end)
		assert_true(sd_event_run(loop, 100000) >= 0);
	while (sd_event_run(loop, 0) > 0)
		;
	assert_int_equal(ended, 1);
	assert_false(hook_runs(hook));
}

static const char *written(void)
{
	static char text[4096];
	FILE *f = fopen(out, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	return text;
}

static void test_what_it_gets(void **state)
{
	(void)state;
	setenv("VITALGATE_SECRET", "x", 1);
	int kept = open("/dev/null", O_RDONLY); /* not close-on-exec: it must not reach the child */
	script("{ printf '<%s>' \"$@\"; echo; cat; echo; env | sort | grep -v -e ^PWD -e ^_= -e "
	       "^SHLVL -e ^OLDPWD; ls /proc/self/fd | tr '\\n' ' '; pwd; } >$out");
	assert_int_equal(begin("{\"id\":1}", 60 * SECOND_US), 0);
	assert_true(hook_runs(hook));
	assert_int_equal(begin("", SECOND_US), -EBUSY);
	wait_for_end();
	close(kept);
	assert_string_equal(why, "good");
	assert_string_equal(written(),
		"<critical><start><00ff><a b; $(c) *>\n{\"id\":1}\nLANG=C.UTF-8\n"
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n0 1 2 3 /\n");
}

static void test_status(void **state)
{
	(void)state;
	script("exit 3");
	assert_int_equal(begin("x", 60 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "it ended with status 3");
	script("kill -SEGV $$");
	assert_int_equal(begin("x", 60 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "it was ended by signal 11");
}

static void test_not_there(void **state)
{
	(void)state;
	assert_int_equal(begin("x", SECOND_US), -ENOENT);
	assert_false(hook_runs(hook));
	script("exit 0");
	chmod(path, 0600);
	assert_int_equal(begin("x", SECOND_US), -EACCES);
	chmod(path, 0700);
	assert_int_equal(begin("x", SECOND_US), 0); /* it may be mended */
	wait_for_end();
}

static bool alive(int pid)
{
	char name[64], line[256] = "";
	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	FILE *f = fopen(name, "re");
	if (!f)
		return false;
	char *got = fgets(line, sizeof(line), f);
	fclose(f);
	return got && !strstr(line, ") Z");
}

static bool is_gone(int pid)
{
	for (int i = 0; i < 2000 && alive(pid); i++)
		usleep(10000);
	return !alive(pid);
}

/* A child of its own ignores every gentle word. */
static void test_time_out(void **state)
{
	(void)state;
	script("trap '' TERM INT HUP\n(trap '' TERM INT HUP; exec sleep 1000) &\necho $! $$ "
	       ">$out\nwait");
	assert_int_equal(begin("x", 4 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "it did not end in time and was killed");
	int child = 0, own = 0;
	assert_int_equal(sscanf(written(), "%d %d", &child, &own), 2);
	assert_true(is_gone(child) && is_gone(own));
	script("exit 0");
	assert_int_equal(begin("x", 60 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "good");
}

/* What it leaves running would be one more each time. */
static void test_leaves_nothing(void **state)
{
	(void)state;
	script("sleep 1000 &\necho $! >$out\nexit 0");
	assert_int_equal(begin("x", 60 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "good");
	int child = atoi(written());
	assert_true(child > 1 && is_gone(child));
}

/* Whoever reads nothing, and whoever talks without end, hold up nobody. */
static void test_large_input(void **state)
{
	(void)state;
	static char large[1 << 20];
	memset(large, 'x', sizeof(large) - 1);
	script("exit 0");
	assert_int_equal(begin(large, 60 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "good");
	script("wc -c >$out; head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2");
	assert_int_equal(begin(large, 60 * SECOND_US), 0);
	wait_for_end();
	assert_string_equal(why, "good");
	assert_int_equal(atoi(written()), (int)sizeof(large) - 1);
}

static void test_freed_while_it_runs(void **state)
{
	(void)state;
	script("echo $$ >$out; exec sleep 1000");
	assert_int_equal(begin("x", 100 * SECOND_US), 0);
	for (int i = 0; i < 2000 && !written()[0]; i++)
		usleep(10000);
	int own = atoi(written());
	assert_true(own > 1);
	hook_free(TAKE(hook));
	assert_true(is_gone(own));
	assert_int_equal(ended, 0);
	hook_free(NULL);
	assert_int_equal(hook_new(loop, &hook), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_gets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_while_it_runs, setup, teardown)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
