/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local door: many clients, none of which can hold up another or the gateway. */
#include "gateway_rig.h"

#include "control.h"
#include "util.h"

#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/un.h>

#define STATUS "{\"v\":1,\"id\":\"%d\",\"cmd\":\"status\",\"args\":{}}\n"
#define CLIENTS_MAX 16

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_run_store(&rig);
	assert_int_equal(control_new(&rig.gateway, &rig.gateway.control), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(rig.gateway.store); /* its last answers still use it */
	rig.gateway.store = NULL;
	control_free(TAKE(rig.gateway.control));
	rig_close(&rig);
	return 0;
}

static void turn(void)
{
	assert_true(sd_event_run(rig.gateway.loop, 20000) >= 0);
}

static int client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control.sock", rig.dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		assert_int_equal(errno, EAGAIN); /* the queue of the listening socket is full */
		turn();
	}
	return fd;
}

/* So long at least, and until nothing waits. */
static void turns(int64_t us)
{
	int64_t end = clock_boot_us() + us;
	int r;
	do
		assert_true((r = sd_event_run(rig.gateway.loop, 10000)) >= 0);
	while (r > 0 || clock_boot_us() < end);
}

static void say(int fd, const char *text, size_t len)
{
	for (int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US; len && clock_boot_us() < end;) {
		ssize_t n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		assert_true(n > 0 || errno == EAGAIN);
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		if (len)
			turn();
	}
	assert_int_equal(len, 0);
}

static void ask(int fd, int number)
{
	char text[128];
	say(fd, text, (size_t)snprintf(text, sizeof(text), STATUS, number));
}

/* The next line, parsed; NULL: the connection has ended. */
static json_t *hear(int fd)
{
	static char line[1 << 20];
	size_t n = 0;
	for (int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US; clock_boot_us() < end;) {
		ssize_t got = recv(fd, line + n, 1, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return NULL;
		if (got < 0) {
			turn();
			continue;
		}
		if (line[n++] != '\n')
			continue;
		json_error_t e;
		json_t *root = json_loadb(line, n, JSON_REJECT_DUPLICATES, &e);
		if (!root)
			fail_msg("%s: %.*s", e.text, (int)n, line);
		return root;
	}
	fail_msg("no answer");
	return NULL;
}

static void hear_ok(int fd, int number)
{
	char id[16];
	json_t *root = hear(fd);
	assert_non_null(root);
	snprintf(id, sizeof(id), "%d", number);
	assert_string_equal(json_string_value(json_object_get(root, "id")), id);
	assert_true(json_is_true(json_object_get(root, "ok")));
	json_decref(root);
}

static void test_answers(void **state)
{
	(void)state;
	int a = client(), b = client();
	ask(a, 1);
	ask(b, 2);
	hear_ok(b, 2);
	hear_ok(a, 1);
	ask(a, 3);
	hear_ok(a, 3);
	close(a);
	ask(b, 4);
	hear_ok(b, 4);
	close(b);
}

static void test_author(void **state)
{
	(void)state;
	char author[64], expected[64];
	struct passwd *me = getpwuid(geteuid());
	int fd = client();
	static const char bind[] =
		"{\"cmd\":\"bind\",\"args\":{\"device\":\"cuff-1\",\"resident\":\"-\"}}\n";
	say(fd, bind, strlen(bind));
	json_t *root = hear(fd);
	assert_true(json_is_true(json_object_get(root, "ok")));
	json_decref(root);
	rig_text(&rig, author, sizeof(author), "SELECT author FROM audit");
	snprintf(expected, sizeof(expected), "local:%s", me ? me->pw_name : "?");
	assert_string_equal(author, expected);
	close(fd);
	/* only our own users may come in */
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s/control.sock", rig.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

/* Many commands at once, in pieces as the socket has them: every answer, in order. */
static void test_pipelined(void **state)
{
	(void)state;
	char text[8192];
	size_t n = 0;
	int fd = client();
	for (int i = 0; i < 50; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, STATUS, i);
	for (size_t at = 0; at < n; at += 37) {
		say(fd, text + at, MIN((size_t)37, n - at));
		turn();
	}
	for (int i = 0; i < 50; i++)
		hear_ok(fd, i);
	close(fd);
}

/* `printf '{..}' | nc -N`: the sender closes its side at once and still hears the answer. */
static void test_half_closed(void **state)
{
	(void)state;
	int fd = client();
	ask(fd, 1);
	ask(fd, 2);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	hear_ok(fd, 1);
	hear_ok(fd, 2);
	assert_null(hear(fd));
	close(fd);
}

static sem_t hold;

static int run_hold(struct job *job, struct db *db)
{
	(void)job;
	(void)db;
	while (sem_wait(&hold) < 0)
		;
	return 0;
}

static void hold_done(struct job *job, int result)
{
	(void)job;
	(void)result;
}

/* The place of a client that left is another's by the time of the answer: that one must not hear it. */
static void test_answer_for_another(void **state)
{
	(void)state;
	char c;
	struct job job = {.run = run_hold, .done = hold_done};
	sem_init(&hold, 0, 0);
	store_submit(rig.gateway.store, &job);
	int first = client();
	ask(first, 1);
	turns(50000);
	close(first);
	turns(50000);
	int second = client();
	turns(50000);
	sem_post(&hold);
	turns(100000);
	assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), -1);
	ask(second, 2);
	hear_ok(second, 2);
	close(second);
}

static void test_leaves_before_its_answer(void **state)
{
	(void)state;
	int other = client();
	for (int i = 0; i < 200; i++) {
		int fd = client();
		ask(fd, i);
		if (i % 3)
			turn();
		close(fd);
	}
	turns(50000);
	int next = client();
	ask(other, 7);
	hear_ok(other, 7);
	ask(next, 8);
	hear_ok(next, 8);
	close(other);
	close(next);
}

/* A client that asks and does not read gets stuck alone. */
static void test_slow_reader(void **state)
{
	(void)state;
	char text[128];
	int slow = client(), quick = client(), size = 4096;
	setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	unsigned asked = 0;
	for (int i = 0; i < 5000; i++) {
		int n = snprintf(text, sizeof(text), STATUS, i);
		ssize_t sent = send(slow, text, (size_t)n, MSG_DONTWAIT);
		if (sent != n)
			break;
		asked++;
		if (i % 50 == 0)
			turn();
	}
	for (int i = 0; i < 20; i++) {
		ask(quick, i);
		hear_ok(quick, i);
	}
	for (unsigned i = 0; i < asked; i++)
		hear_ok(slow, (int)i);
	close(slow);
	close(quick);
}

static void test_too_long(void **state)
{
	(void)state;
	static char block[65536];
	int fd = client(), other = client();
	memset(block, 'x', sizeof(block));
	unsigned i = 0;
	for (; i < 100; i++) { /* no line end */
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break;
		turn();
		turn();
	}
	assert_in_range(i, 60, 99); /* 4 MiB, then it was sent away */
	ask(other, 1);
	hear_ok(other, 1);
	close(fd);
	close(other);
}

static void test_long_line(void **state)
{
	(void)state;
	const size_t len = 3 * 1024 * 1024;
	char *text = test_malloc(len + 200);
	memset(text, ' ', len);
	int n = snprintf(text + len, 200, STATUS, 5);
	int fd = client();
	say(fd, text, len + (size_t)n);
	hear_ok(fd, 5);
	test_free(text);
	close(fd);
}

static void test_garbage(void **state)
{
	(void)state;
	char noise[4096];
	int fd = client();
	srandom(20261121);
	for (int i = 0; i < 100; i++) {
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (char)random();
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = noise[k] == '\n' ? 'x' : noise[k];
		noise[sizeof(noise) - 1] = '\n';
		say(fd, noise, sizeof(noise));
		json_t *root = hear(fd);
		assert_non_null(root);
		assert_string_equal(
			json_string_value(json_object_get(json_object_get(root, "error"), "code")),
			"malformed");
		json_decref(root);
	}
	close(fd);
}

static void test_crowd(void **state)
{
	(void)state;
	int fds[CLIENTS_MAX + 8];
	for (size_t i = 0; i < ELEMENTS(fds); i++) {
		fds[i] = client();
		turn();
	}
	for (int i = 0; i < CLIENTS_MAX; i++) {
		ask(fds[i], i);
		hear_ok(fds[i], i);
	}
	for (size_t i = CLIENTS_MAX; i < ELEMENTS(fds); i++)
		assert_null(hear(fds[i])); /* turned away */
	for (size_t i = 0; i < ELEMENTS(fds); i++)
		close(fds[i]);
	turns(50000);
	int fd = client();
	ask(fd, 1);
	hear_ok(fd, 1);
	close(fd);
}

static void test_end_with_clients(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) { /* the teardown must free what is still asked */
		int fd = client();
		turn();
		ask(fd, i);
		turn();
		if (i % 2)
			close(fd);
	}
}

static void test_second_daemon(void **state)
{
	(void)state;
	struct control *second = NULL;
	assert_int_equal(control_new(&rig.gateway, &second), -EADDRINUSE);
	assert_null(second);
	int fd = client();
	ask(fd, 1);
	hear_ok(fd, 1);
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_answers),
		T(test_author),
		T(test_pipelined),
		T(test_half_closed),
		T(test_answer_for_another),
		T(test_leaves_before_its_answer),
		T(test_slow_reader),
		T(test_too_long),
		T(test_long_line),
		T(test_garbage),
		T(test_crowd),
		T(test_end_with_clients),
		T(test_second_daemon),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
