/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Followers of the alerts: what is open, then every change, whatever they do. */
#include "alert_rig.h"

#include "follow.h"

#include <jansson.h>

static char line[1 << 16];

static int setup(void **state)
{
	(void)state;
	alert_rig_open(RIG_SINK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alert_rig_close();
	return 0;
}

/* The next line is of this alert, at that revision, with this number (0: none). */
static void told(int fd, unsigned id, int revision, int64_t n)
{
	char expected[33];
	assert_true(hear(fd, line, sizeof(line)));
	json_error_t e;
	json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &e);
	const json_t *alert = json_object_get(root, "alert");
	snprintf(expected, sizeof(expected), "%032x", id);
	if (!alert)
		fail_msg("%s", line);
	assert_string_equal(json_string_value(json_object_get(alert, "id")), expected);
	assert_int_equal(json_integer_value(json_object_get(alert, "revision")), revision);
	assert_int_equal(json_integer_value(json_object_get(root, "n")), n);
	assert_int_equal(json_object_get(root, "n") != NULL, n != 0);
	json_decref(root);
}

/* All that are open were told. */
static void all_told(int fd, int64_t n)
{
	char expected[64];
	assert_true(hear(fd, line, sizeof(line)));
	snprintf(expected, sizeof(expected), "{\"n\":%lld,\"alert\":null}", (long long)n);
	assert_string_equal(line, expected);
}

static void nothing(int fd)
{
	char c;
	turns(100000);
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static int follower(const char *args)
{
	char text[128];
	int fd = client();
	snprintf(text, sizeof(text), "{\"v\":1,\"cmd\":\"follow\",\"args\":%s}\n", args);
	say(fd, text);
	assert_true(hear(fd, line, sizeof(line)));
	return fd;
}

static void test_asked(void **state)
{
	(void)state;
	struct follow_place at;
	static const struct {
		const char *line;
		enum follow_asked asked;
	} lines[] = {{"{\"cmd\":\"follow\"}", FOLLOW_YES},
		{"{\"cmd\":\"follow\",\"args\":{\"since\":7}}", FOLLOW_YES},
		{"{\"cmd\":\"follow\",\"args\":{\"since\":\"7\"}}", FOLLOW_BAD},
		{"{\"cmd\":\"status\",\"id\":\"follow\"}", FOLLOW_NO}, {"\"follow\"", FOLLOW_NO},
		{"{\"cmd\":\"follow\"", FOLLOW_NO}, {"{\"cmd\":\"alerts\"}", FOLLOW_NO}};
	for (size_t i = 0; i < ELEMENTS(lines); i++)
		assert_int_equal(
			follow_asked(lines[i].line, strlen(lines[i].line), &at), lines[i].asked);
	follow_asked(lines[1].line, strlen(lines[1].line), &at);
	assert_true(at.all && at.n == 7);
	follow_asked(lines[0].line, strlen(lines[0].line), &at);
	assert_true(!at.all && at.n == -1);
}

static void test_open_then_new(void **state)
{
	(void)state;
	raise_alert(1, "warning");
	raise_alert(2, "critical");
	raise_alert(3, "warning");
	revise(1, "state='inactive', phase='end'");
	revise(3, "state='latched', phase='end'");
	int fd = follower("{}");
	assert_non_null(strstr(line, "\"ok\":true"));
	told(fd, 2, 1, 0);
	told(fd, 3, 2, 0);
	all_told(fd, 5);
	nothing(fd);
	revise(2, "step=1, phase='update'");
	told(fd, 2, 2, 6);
	raise_alert(4, "warning");
	told(fd, 4, 1, 7);
	nothing(fd);
	close(fd);
}

/* Two at once are told apart; of two revisions of one the last is told. */
static void test_since(void **state)
{
	(void)state;
	raise_alert(1, "warning");
	raise_alert(2, "warning");
	revise(1, "step=1");
	revise(1, "step=2");
	int a = follower("{\"since\":0}"), b = follower("{\"since\":2}"),
	    c = follower("{\"since\":4}");
	told(a, 2, 1, 2);
	told(a, 1, 3, 4);
	told(b, 1, 3, 4);
	nothing(c);
	revise(2, "step=1");
	told(a, 2, 2, 5);
	told(b, 2, 2, 5);
	told(c, 2, 2, 5);
	close(a);
	close(b);
	close(c);
	int bad = follower("{\"since\":\"x\"}");
	assert_non_null(strstr(line, "bad_argument"));
	say(bad,
		"{\"v\":1,\"id\":\"9\",\"cmd\":\"events\",\"args\":{}}\n"); /* it may say something else */
	assert_true(hear(bad, line, sizeof(line)));
	assert_non_null(strstr(line, "\"id\":\"9\",\"ok\":true"));
	close(bad);
}

/* More than fits into one look, open and new. */
static void test_many(void **state)
{
	(void)state;
	enum { MANY = 3 * FOLLOW_LINES + 5 };
	for (unsigned i = 1; i <= MANY; i++)
		raise_alert(i, "warning");
	int fd = follower("{}"), all = follower("{\"since\":0}");
	for (unsigned i = 1; i <= MANY; i++)
		told(fd, i, 1, 0);
	all_told(fd, MANY);
	for (unsigned i = 1; i <= MANY; i++)
		told(all, i, 1, i);
	for (unsigned i = MANY; i > 0; i--)
		revise(i, "step=1");
	for (unsigned i = MANY; i > 0; i--)
		told(fd, i, 2, MANY + (MANY - i + 1));
	nothing(fd);
	close(fd);
	close(all);
}

static void test_commands_go_on(void **state)
{
	(void)state;
	int fds[9];
	for (int i = 0; i < 8; i++)
		fds[i] = follower("{}");
	fds[8] = follower("{}");
	assert_non_null(strstr(line, "too_many_followers"));
	int fd = client();
	say(fd, "{\"v\":1,\"id\":\"1\",\"cmd\":\"events\",\"args\":{}}\n");
	assert_true(hear(fd, line, sizeof(line)));
	assert_non_null(strstr(line, "\"ok\":true"));
	close(fd);
	close(fds[3]); /* its place is free again, as soon as the loop hears of it */
	turns(50000);
	fds[3] = follower("{}");
	assert_non_null(strstr(line, "\"ok\":true"));
	for (int i = 0; i < 8; i++)
		all_told(fds[i], 0);
	raise_alert(1, "critical");
	for (int i = 0; i < 8; i++)
		told(fds[i], 1, 1, 1);
	for (int i = 0; i < 9; i++)
		close(fds[i]);
}

/* A pipe whose writing end is closed goes on being told. What a follower says is not listened to. */
static void test_half_closed(void **state)
{
	(void)state;
	int fd = follower("{}");
	say(fd, "{\"v\":1,\"id\":\"1\",\"cmd\":\"events\",\"args\":{}}\n");
	shutdown(fd, SHUT_WR);
	all_told(fd, 0);
	raise_alert(1, "critical");
	told(fd, 1, 1, 1);
	close(fd);
}

static void test_slow(void **state)
{
	(void)state;
	control_use(rig.gateway.control, 300000);
	int slow = follower("{}"), fd = follower("{}");
	for (unsigned i = 1; i <= 32; i++)
		raise_alert(i, "warning");
	char set[400], last[32];
	for (int round = 0; round < 40; round++) {
		snprintf(set, sizeof(set), "body='{\"rules\":[],\"x\":\"%0*d\"}'", 300, round);
		for (unsigned i = 1; i <= 32; i++)
			revise(i, set);
		snprintf(last, sizeof(last), "{\"n\":%d,", 64 + 32 * round);
		while (hear(fd, line, sizeof(line)) && strncmp(line, last, strlen(last)) != 0)
			;
	}
	turns(2000000);
	unsigned lines = 0;
	while (hear(slow, line, sizeof(line)))
		lines++;
	assert_true(lines > 0 && lines < 1312);
	revise(1, "step=1"); /* who reads stays */
	told(fd, 1, 42, 1313);
	close(fd);
	close(slow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_asked),
		cmocka_unit_test_setup_teardown(test_open_then_new, setup, teardown),
		cmocka_unit_test_setup_teardown(test_since, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow, setup, teardown)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
