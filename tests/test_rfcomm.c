/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Bluetooth serial transport against a simulated instrument on a unix stream socket. What needs a radio
 * (channels, SDP, bonds, adapters, pauses) is in tests/bluez/spp.py.
 */
#include "log.h"
#include "rfcomm_socket.h"
#include "transport.h"
#include "util.h"
#include "waiting.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define HEARD_MAX (256 * 1024)

struct bench {
	char dir[64], path[80];
	struct config_device device;
	sd_event *loop;
	struct transport *t;
	int listener, link; /* the instrument's */
	/* what the owner was told */
	unsigned up, down, streams;
	char uid[TRANSPORT_UID_MAX + 1], why[80];
	uint8_t *heard;
	size_t heard_len;
	bool close_on_up, close_on_stream;
	unsigned turns; /* of the loop that had something to do */
	int log, stderr_was;
};

static void on_up(void *arg, const char *uid)
{
	struct bench *b = arg;
	assert_int_equal(b->up, b->down);
	b->up++;
	text_copy(b->uid, sizeof(b->uid), uid, strlen(uid));
	if (b->close_on_up)
		b->t->ops->close(b->t, "not wanted");
}

static void on_stream(void *arg, const uint8_t *bytes, size_t len)
{
	struct bench *b = arg;
	assert_int_equal(b->up, b->down + 1);
	assert_true(b->heard_len + len <= HEARD_MAX);
	memcpy(b->heard + b->heard_len, bytes, len);
	b->heard_len += len;
	b->streams++;
	if (b->close_on_stream)
		b->t->ops->close(b->t, "heard enough");
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	(void)arg, (void)channel, (void)bytes, (void)len, (void)indication;
	fail_msg("a stream has no values");
}

static void on_down(void *arg, const char *why)
{
	struct bench *b = arg;
	b->down++;
	assert_int_equal(b->up, b->down);
	text_copy(b->why, sizeof(b->why), why, strlen(why));
}

/* The instrument takes a connection when there is one. */
static void turn(struct bench *b)
{
	int r = sd_event_run(b->loop, 5000);
	assert_true(r >= 0);
	b->turns += r > 0;
	if (b->listener >= 0 && b->link < 0)
		b->link = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void let_pass(struct bench *b, int ms)
{
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;)
		turn(b);
}

static void switch_on(struct bench *b)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", b->path);
	unlink(b->path);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(b->listener, 4), 0);
}

static void hang_up(struct bench *b)
{
	assert_true(b->link >= 0);
	close(b->link);
	b->link = -1;
}

static void switch_off(struct bench *b)
{
	if (b->link >= 0)
		hang_up(b);
	if (b->listener >= 0)
		close(b->listener);
	b->listener = -1;
}

static int start(struct bench *b)
{
	const struct transport_events events = {on_up, on_stream, on_value, on_down, NULL, NULL, b};
	return rfcomm_new(b->loop, &b->device, &events, &b->t);
}

static void connect_it(struct bench *b)
{
	switch_on(b);
	assert_int_equal(start(b), 0);
	WAIT(b, b->up && b->link >= 0);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	b->heard = malloc(HEARD_MAX);
	b->listener = b->link = -1;
	snprintf(b->dir, sizeof(b->dir), "/tmp/vg-rfcomm-XXXXXX");
	if (!mkdtemp(b->dir) || sd_event_new(&b->loop) < 0)
		return -1;
	snprintf(b->path, sizeof(b->path), "%s/spp", b->dir);
	b->device = (struct config_device){.id = "oxi-1", .transport = TRANSPORT_RFCOMM};
	snprintf(b->device.address, sizeof(b->device.address), "unix:%s", b->path);
	char name[80];
	snprintf(name, sizeof(name), "%s/log", b->dir);
	b->log = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	b->stderr_was = dup(STDERR_FILENO);
	dup2(b->log, STDERR_FILENO);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	dup2(b->stderr_was, STDERR_FILENO);
	close(b->stderr_was);
	close(b->log);
	transport_free(b->t);
	switch_off(b);
	sd_event_unref(b->loop);
	unlink(b->path);
	char name[80];
	snprintf(name, sizeof(name), "%s/log", b->dir);
	unlink(name);
	rmdir(b->dir);
	free(b->heard);
	free(b);
	return 0;
}

static const char *state_of(const struct bench *b)
{
	return b->t->ops->state(b->t);
}

static int say(struct bench *b, const void *bytes, size_t len)
{
	return b->t->ops->send(b->t, 0, bytes, len);
}

/* Everything that comes at the instrument's end, up to `size`. */
static size_t take(struct bench *b, uint8_t *bytes, size_t size)
{
	size_t came = 0;
	for (long end_ms = now_ms() + WAIT_LIMIT_MS; came < size && now_ms() < end_ms; turn(b)) {
		ssize_t n = read(b->link, bytes + came, size - came);
		came += n > 0 ? (size_t)n : 0;
	}
	return came;
}

static void every_byte_passes_in_any_split(void **state)
{
	struct bench *b = *state;
	switch_on(b);
	assert_int_equal(start(b), 0);
	assert_int_equal(b->up, 0); /* not from inside the call */
	assert_int_equal(say(b, "x", 1), -ENOTCONN);
	WAIT(b, b->up && b->link >= 0);
	char uid[TRANSPORT_UID_MAX + 1];
	snprintf(uid, sizeof(uid), "addr:unix:%s", b->path);
	assert_string_equal(b->uid, uid);
	assert_string_equal(state_of(b), "connected");
	uint8_t all[256], got[256];
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(all); i++) {
		assert_int_equal(write(b->link, all + i, 1), 1);
		WAIT(b, b->heard_len == i + 1);
	}
	assert_memory_equal(b->heard, all, sizeof(all));
	assert_int_equal(say(b, all, 100), 0);
	assert_int_equal(say(b, all + 100, 156), 0);
	assert_int_equal(take(b, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, all, sizeof(all));
	b->t->ops->confirm(b->t); /* of no meaning in a stream */
	assert_int_equal(b->down, 0);
}

static void a_slow_instrument_gets_everything_in_order(void **state)
{
	struct bench *b = *state;
	enum { SIZE = 128 * 1024 };
	connect_it(b);
	int small = 4096;
	assert_int_equal(setsockopt(b->link, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	_cleanup_(freep) uint8_t *data = malloc(SIZE), *got = malloc(4 * SIZE);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	unsigned n = 0;
	int r;
	while ((r = say(b, data, SIZE)) == 0)
		n++;
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(n, 1, 4);
	assert_int_equal(take(b, got, n * SIZE), n * SIZE);
	for (unsigned i = 0; i < n; i++)
		assert_memory_equal(got + i * SIZE, data, SIZE);
	assert_int_equal(say(b, "again", 5), 0);
	assert_int_equal(take(b, got, 5), 5);
	b->turns = 0;
	let_pass(b, 300); /* nothing is left to write: the loop rests */
	assert_in_range(b->turns, 0, 3);
	assert_int_equal(b->down, 0);
}

static void comes_back_when_the_instrument_does(void **state)
{
	struct bench *b = *state;
	connect_it(b);
	/* What it said before it went to sleep is heard. */
	assert_int_equal(write(b->link, "last words", 10), 10);
	hang_up(b);
	WAIT(b, b->down);
	assert_int_equal(b->heard_len, 10);
	assert_string_equal(b->why, "the device closed the link");
	assert_int_equal(say(b, "x", 1), -ENOTCONN);
	WAIT(b, b->up == 2 && b->link >= 0);
	assert_int_equal(write(b->link, "again", 5), 5);
	WAIT(b, b->heard_len == 15);
	switch_off(b);
	WAIT(b, b->down == 2);
	assert_string_equal(state_of(b), "absent");
	let_pass(b, 500);
	switch_on(b);
	WAIT(b, b->up == 3);
	assert_string_equal(state_of(b), "connected");
}

static void an_absent_instrument_is_said_once(void **state)
{
	struct bench *b = *state;
	assert_int_equal(start(b), 0);
	WAIT(b, streq(state_of(b), "absent"));
	let_pass(b, 1000);
	b->turns = 0;
	clock_t cpu = clock();
	let_pass(b, 1000);
	assert_in_range(b->turns, 1, 12);
	assert_true(clock() - cpu < CLOCKS_PER_SEC / 5);
	assert_int_equal(log_lines(b->log, "absent"), 1);
	assert_int_equal(log_lines(b->log, "\n"), 1);
	switch_on(b);
	WAIT(b, b->up);
	/* Its path is there and nobody listens. */
	switch_off(b);
	WAIT(b, b->down);
	let_pass(b, 1000);
	assert_string_equal(state_of(b), "absent");
	assert_int_equal(log_lines(b->log, "\n"), 1);
}

static void the_last_bytes_leave_after_a_close(void **state)
{
	struct bench *b = *state;
	enum { SIZE = 300 * 1024 };
	connect_it(b);
	int small = 4096;
	assert_int_equal(setsockopt(b->link, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	_cleanup_(freep) uint8_t *data = malloc(SIZE), *got = malloc(SIZE);
	memset(data, 'a', SIZE);
	size_t sent = 0;
	while (sent + 10240 <= SIZE && say(b, data, 10240) == 0)
		sent += 10240;
	b->t->ops->close(b->t, "done");
	assert_int_equal(b->down, 1);
	assert_string_equal(b->why, "done");
	assert_int_equal(say(b, "x", 1), -ENOTCONN);
	b->t->ops->close(b->t, "done twice");
	assert_int_equal(b->down, 1);
	/* What comes now is nobody's any more. */
	assert_int_equal(write(b->link, "late", 4), 4);
	let_pass(b, 100); /* the instrument takes its time */
	assert_int_equal(take(b, got, sent), sent);
	assert_int_equal(b->heard_len, 0);
	hang_up(b);
	WAIT(b, b->up == 2 && b->link >= 0);
	assert_int_equal(b->down, 1);
	/* One ACK, and nothing waits: it arrives, and then the end. */
	assert_int_equal(say(b, "\6", 1), 0);
	b->t->ops->close(b->t, "done");
	assert_int_equal(take(b, got, 1), 1);
	WAIT(b, read(b->link, got, 1) == 0);
}

static void an_instrument_that_takes_nothing_is_left(void **state)
{
	struct bench *b = *state;
	connect_it(b);
	static const uint8_t data[1024];
	while (say(b, data, sizeof(data)) == 0)
		;
	b->t->ops->close(b->t, "done");
	assert_int_equal(write(b->link, "late", 4), 4);
	b->turns = 0;
	let_pass(b, 500); /* what nobody wants to read does not keep the loop busy */
	assert_in_range(b->turns, 0, 3);
	int old = b->link;
	b->link = -1;
	WAIT(b, b->up == 2);
	assert_int_equal(b->down, 1);
	close(old);
}

static void can_be_closed_from_inside_an_event(void **state)
{
	struct bench *b = *state;
	b->close_on_stream = true;
	connect_it(b);
	assert_int_equal(write(b->link, "x", 1), 1);
	WAIT(b, b->down);
	assert_string_equal(b->why, "heard enough");
	b->close_on_stream = false;
	b->close_on_up = true;
	hang_up(b);
	WAIT(b, b->down == 2);
	assert_string_equal(b->why, "not wanted");
	b->close_on_up = false;
	WAIT(b, b->up == 3);
}

static void a_link_that_broke_while_sending_is_told_by_the_loop(void **state)
{
	struct bench *b = *state;
	connect_it(b);
	hang_up(b);
	assert_int_equal(say(b, "x", 1), -ENOTCONN);
	assert_int_equal(b->down, 0);
	assert_int_equal(say(b, "x", 1), -ENOTCONN);
	WAIT(b, b->down);
	assert_int_equal(b->down, 1);
}

static int open_files(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void coming_and_going_leaks_nothing(void **state)
{
	struct bench *b = *state;
	int after_first = -1; /* the loop has its timer from then on */
	static const uint8_t data[1024];
	for (unsigned i = 0; i < 6; i++) {
		b->up = b->down = 0;
		if (i % 3)
			switch_on(b);
		assert_int_equal(start(b), 0);
		if (i % 3)
			WAIT(b, b->up && b->link >= 0);
		else
			WAIT(b, streq(state_of(b), "absent"));
		while (i % 3 == 2 && say(b, data, sizeof(data)) == 0)
			;
		transport_free(TAKE(b->t)); /* also while much waits */
		switch_off(b);
		unlink(b->path);
		if (after_first < 0)
			after_first = open_files();
		assert_int_equal(open_files(), after_first);
	}
}

static void says_when_there_is_no_bluetooth(void **state)
{
	struct bench *b = *state;
	int fd = socket(31 /* AF_BLUETOOTH */, SOCK_STREAM, 3);
	if (fd >= 0 || errno != EAFNOSUPPORT) {
		close(fd);
		skip();
	}
	snprintf(b->device.address, sizeof(b->device.address), "00:11:22:33:44:55");
	assert_int_equal(start(b), 0);
	WAIT(b, streq(state_of(b), "no-bluetooth"));
	b->turns = 0;
	let_pass(b, 500);
	assert_in_range(b->turns, 0, 2);
	assert_int_equal(log_lines(b->log, "AF_BLUETOOTH"), 1);
	assert_int_equal(log_lines(b->log, "\n"), 1);
	b->t->ops->close(b->t, "nothing to close");
	assert_int_equal(b->down, 0);
}

static void refuses_an_address_that_is_none(void **state)
{
	struct bench *b = *state;
	static const char *const odd[] = {
		"", "00:11:22:33:44", "00:11:22:33:44:5G", "/dev/ttyS0", "00:11:22:33:44:55:66"};
	for (size_t i = 0; i < ELEMENTS(odd); i++) {
		snprintf(b->device.address, sizeof(b->device.address), "%s", odd[i]);
		assert_int_equal(start(b), -EINVAL);
		assert_null(b->t);
	}
	memset(b->device.address, 'x', sizeof(b->device.address) - 1);
	memcpy(b->device.address, "unix:", 5);
	assert_int_equal(start(b), -ENAMETOOLONG);
	assert_int_equal(log_lines(b->log, "oxi-1"), ELEMENTS(odd) + 1);
}

static void every_failure_has_its_word(void **state)
{
	(void)state;
	static const struct {
		int error;
		const char *word;
	} known[] = {{EHOSTDOWN, "absent"}, {ETIMEDOUT, "absent"}, {EBUSY, "busy"},
		{EACCES, "unpaired"}, {ENETDOWN, "adapter-off"}, {EHOSTUNREACH, "adapter-absent"},
		{ENODEV, "adapter-absent"}, {EAFNOSUPPORT, "no-bluetooth"}, {ECONNREFUSED, "error"},
		{EPROTO, "error"}};
	for (size_t i = 0; i < ELEMENTS(known); i++)
		assert_string_equal(rfcomm_state(known[i].error), known[i].word);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(every_byte_passes_in_any_split),
		TEST(a_slow_instrument_gets_everything_in_order),
		TEST(comes_back_when_the_instrument_does), TEST(an_absent_instrument_is_said_once),
		TEST(the_last_bytes_leave_after_a_close),
		TEST(an_instrument_that_takes_nothing_is_left),
		TEST(can_be_closed_from_inside_an_event),
		TEST(a_link_that_broke_while_sending_is_told_by_the_loop),
		TEST(coming_and_going_leaks_nothing), TEST(says_when_there_is_no_bluetooth),
		TEST(refuses_an_address_that_is_none), TEST(every_failure_has_its_word)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
