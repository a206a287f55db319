/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Local sockets: a stale one is replaced, a live one is not, and the peer is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "listen.h"
#include "util.h"

static char folder[] = "/tmp/vitalgate-listen-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s.sock", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int reach(int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strcpy(a.sun_path, path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void test_mode(void **state)
{
	(void)state;
	mode_t mask = umask(0);
	_cleanup_(closep) int fd = listen_unix(path, SOCK_STREAM);
	assert_int_equal(umask(mask), 0); /* put back */
	assert_true(fd >= 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660); /* nobody else may talk to us */
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(listen_accept(fd), -EAGAIN);
}

static void test_stale(void **state)
{
	(void)state;
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	for (size_t i = 0; i < ELEMENTS(types); i++) {
		int old = listen_unix(path, types[i]);
		assert_true(old >= 0);
		close(old); /* as after a crash: the name stays */
		assert_int_equal(access(path, F_OK), 0);
		_cleanup_(closep) int fd = listen_unix(path, types[i]);
		assert_true(fd >= 0);
		_cleanup_(closep) int peer = reach(types[i]);
		assert_true(peer >= 0);
		_cleanup_(closep) int accepted = listen_accept(fd);
		assert_true(accepted >= 0);
		assert_true(fcntl(accepted, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(accepted, F_GETFD) & FD_CLOEXEC);
	}
}

static void test_live(void **state)
{
	(void)state;
	_cleanup_(closep) int first = listen_unix(path, SOCK_STREAM);
	assert_true(first >= 0);
	assert_int_equal(listen_unix(path, SOCK_STREAM), -EADDRINUSE);
	assert_int_equal(listen_unix(path, SOCK_SEQPACKET), -EADDRINUSE); /* of another kind */
	_cleanup_(closep) int peer = reach(SOCK_STREAM); /* the first one still has its name */
	assert_true(peer >= 0);
}

/* So busy that nobody gets through at the moment: alive all the same. */
static void test_busy(void **state)
{
	(void)state;
	int peers[64], n = 0;
	_cleanup_(closep) int first = listen_unix(path, SOCK_STREAM);
	assert_true(first >= 0);
	while (n < (int)ELEMENTS(peers) && (peers[n] = reach(SOCK_STREAM)) >= 0)
		n++;
	assert_in_range(n, 1, ELEMENTS(peers) - 1);
	assert_int_equal(listen_unix(path, SOCK_STREAM), -EADDRINUSE);
	for (int i = 0; i < n; i++)
		close(peers[i]);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_errors(void **state)
{
	(void)state;
	char longest[200];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(listen_unix(longest, SOCK_STREAM), -ENAMETOOLONG);
	assert_int_equal(listen_unix("/nonexistent/s.sock", SOCK_STREAM), -ENOENT);
}

static void test_principal(void **state)
{
	(void)state;
	char name[64], expected[80];
	_cleanup_(closep) int fd = listen_unix(path, SOCK_STREAM);
	_cleanup_(closep) int peer = reach(SOCK_STREAM);
	_cleanup_(closep) int accepted = listen_accept(fd);
	assert_true(accepted >= 0);
	const struct passwd *me = getpwuid(getuid());
	if (me)
		snprintf(expected, sizeof(expected), "local:%s", me->pw_name);
	else
		snprintf(expected, sizeof(expected), "local:uid-%u", getuid());
	listen_principal(accepted, name, sizeof(name));
	assert_string_equal(name, expected);
	listen_principal(accepted, name, 8); /* a small place: cut and ended */
	assert_int_equal(strlen(name), 7);
	int pipes[2]; /* no socket, so nobody: never a user's name */
	assert_int_equal(pipe(pipes), 0);
	listen_principal(pipes[0], name, sizeof(name));
	assert_string_equal(name, "local:uid-4294967295");
	close(pipes[0]);
	close(pipes[1]);
}

/* Out of descriptors: the one who waits is sent away, so that the caller does not spin. */
static void test_no_descriptors(void **state)
{
	(void)state;
	_cleanup_(closep) int fd = listen_unix(path, SOCK_STREAM);
	_cleanup_(closep) int peer = reach(SOCK_STREAM);
	assert_true(fd >= 0 && peer >= 0);
	struct rlimit was;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	struct rlimit none = {0, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = listen_accept(fd);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(rc, -EMFILE);
}

static void test_spare(void **state)
{
	(void)state;
	_cleanup_(closep) int fd = listen_unix(path, SOCK_STREAM);
	_cleanup_(closep) int peer = reach(SOCK_STREAM);
	assert_true(fd >= 0 && peer >= 0);
	/* the spare is the lowest that accept can have when it is given up */
	int filler[256], n = 0;
	struct rlimit was, few;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){128, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < (int)ELEMENTS(filler) &&
		(filler[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	int rc = listen_accept(fd);
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	int still = poll(&waiting, 1, 0);
	while (n)
		close(filler[--n]);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(rc, -EMFILE);
	assert_int_equal(still, 0); /* nobody waits any more: nothing to spin on */
	char byte;
	assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), 0); /* closed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mode, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_stale, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_live, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_busy, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_errors, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_principal, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_no_descriptors, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_spare, make_folder, remove_folder),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
