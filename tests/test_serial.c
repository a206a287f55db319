/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Serial lines against real pseudo-terminals. The master end plays the instrument; the configured path is
 * a link, as udev makes it.
 */
#include "log.h"
#include "transport.h"
#include "util.h"
#include "waiting.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define HEARD_MAX (256 * 1024)

struct line {
	char dir[64], path[80];
	struct config_device device;
	sd_event *loop;
	struct transport *t;
	int master, slave;
	bool keeps_number; /* or any program beside us is given that of a line that was unplugged */
	/* what the owner was told */
	unsigned up, down, streams;
	char uid[TRANSPORT_UID_MAX + 1], why[80];
	uint8_t *heard;
	size_t heard_len;
	bool close_on_stream;
	unsigned turns; /* of the loop that had something to do */
	int log;	/* stderr goes here */
	int stderr_was;
};

static void on_up(void *arg, const char *uid)
{
	struct line *l = arg;
	l->up++;
	text_copy(l->uid, sizeof(l->uid), uid, strlen(uid));
}

static void on_stream(void *arg, const uint8_t *bytes, size_t len)
{
	struct line *l = arg;
	assert_true(l->up > l->down);
	assert_true(l->heard_len + len <= HEARD_MAX);
	memcpy(l->heard + l->heard_len, bytes, len);
	l->heard_len += len;
	l->streams++;
	if (l->close_on_stream)
		l->t->ops->close(l->t, "heard enough");
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	(void)arg, (void)channel, (void)bytes, (void)len, (void)indication;
	fail_msg("a serial line has no values");
}

static void on_down(void *arg, const char *why)
{
	struct line *l = arg;
	l->down++;
	assert_int_equal(l->up, l->down);
	text_copy(l->why, sizeof(l->why), why, strlen(why));
}

static void turn(struct line *l)
{
	int r = sd_event_run(l->loop, 5000);
	assert_true(r >= 0);
	l->turns += r > 0;
}

static void let_pass(struct line *l, int ms)
{
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;)
		turn(l);
}

/* A new instrument; its slave's name is left in `name`. */
static void plug(struct line *l, char *name)
{
	int slave;
	assert_int_equal(openpty(&l->master, &slave, name, NULL, NULL), 0);
	if (l->keeps_number)
		l->slave = slave;
	else
		close(slave);
	assert_int_equal(fcntl(l->master, F_SETFL, O_NONBLOCK), 0);
}

static void point(struct line *l, const char *target)
{
	char fresh[96];
	snprintf(fresh, sizeof(fresh), "%s.new", l->path);
	assert_int_equal(symlink(target, fresh), 0);
	assert_int_equal(rename(fresh, l->path), 0);
}

static void plug_in(struct line *l)
{
	char name[64];
	plug(l, name);
	point(l, name);
}

static void start(struct line *l)
{
	const struct transport_events events = {on_up, on_stream, on_value, on_down, NULL, NULL, l};
	assert_int_equal(serial_new(l->loop, &l->device, &events, &l->t), 0);
}

static int setup(void **state)
{
	struct line *l = calloc(1, sizeof(*l));
	l->heard = malloc(HEARD_MAX);
	snprintf(l->dir, sizeof(l->dir), "/tmp/vg-serial-XXXXXX");
	if (!mkdtemp(l->dir) || sd_event_new(&l->loop) < 0)
		return -1;
	snprintf(l->path, sizeof(l->path), "%s/cuff", l->dir);
	l->device = (struct config_device){.id = "cuff-1",
		.transport = TRANSPORT_SERIAL,
		.baud = 9600,
		.data_bits = 8,
		.stop_bits = 1,
		.parity = 'N',
		.dtr = true};
	snprintf(l->device.address, sizeof(l->device.address), "%s", l->path);
	l->master = l->slave = -1;
	char name[80];
	snprintf(name, sizeof(name), "%s/log", l->dir);
	l->log = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	l->stderr_was = dup(STDERR_FILENO);
	dup2(l->log, STDERR_FILENO);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct line *l = *state;
	dup2(l->stderr_was, STDERR_FILENO);
	close(l->stderr_was);
	close(l->log);
	transport_free(l->t);
	if (l->master >= 0)
		close(l->master);
	if (l->slave >= 0)
		close(l->slave);
	sd_event_unref(l->loop);
	unlink(l->path);
	char name[80];
	snprintf(name, sizeof(name), "%s/log", l->dir);
	unlink(name);
	rmdir(l->dir);
	free(l->heard);
	free(l);
	return 0;
}

static const char *state_of(const struct line *l)
{
	return l->t->ops->state(l->t);
}

static int say(struct line *l, const void *bytes, size_t len)
{
	return l->t->ops->send(l->t, 0, bytes, len);
}

/* Everything that comes at the instrument's end, up to `size`. */
static size_t take(struct line *l, uint8_t *bytes, size_t size)
{
	size_t came = 0;
	for (long end_ms = now_ms() + WAIT_LIMIT_MS; came < size && now_ms() < end_ms; turn(l)) {
		ssize_t n = read(l->master, bytes + came, size - came);
		came += n > 0 ? (size_t)n : 0;
	}
	return came;
}

static void is_raw_and_exclusive(void **state)
{
	struct line *l = *state;
	plug_in(l);
	struct termios cooked;
	tcgetattr(l->master, &cooked);
	cooked.c_iflag |= IXON | IXOFF | ICRNL;
	cooked.c_cflag |= HUPCL | CRTSCTS;
	tcsetattr(l->master, TCSANOW, &cooked);
	start(l);
	assert_int_equal(l->up, 0);
	WAIT(l, l->up);
	assert_string_equal(l->uid, "line:cuff-1");
	assert_string_equal(state_of(l), "connected");

	struct termios is;
	tcgetattr(l->master, &is);
	assert_int_equal(cfgetospeed(&is), B9600);
	assert_int_equal(is.c_iflag, 0);
	assert_int_equal(is.c_oflag, 0);
	assert_int_equal(is.c_lflag, 0);
	assert_int_equal(is.c_cc[VMIN], 0);
	assert_int_equal(is.c_cc[VTIME], 0);
	assert_int_equal(
		is.c_cflag & (CRTSCTS | HUPCL | CLOCAL | CREAD | CSIZE), CLOCAL | CREAD | CS8);

	int other = open(l->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	int exclusive = 0;
	if (other < 0) {
		assert_int_equal(errno, EBUSY);
	} else { /* root may open it all the same */
		assert_int_equal(ioctl(other, TIOCGEXCL, &exclusive), 0);
		assert_true(exclusive);
		assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
		close(other);
	}
}

static void every_byte_passes_in_any_split(void **state)
{
	struct line *l = *state;
	plug_in(l);
	start(l);
	WAIT(l, l->up);
	uint8_t all[256];
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(all); i++) {
		assert_int_equal(write(l->master, all + i, 1), 1);
		WAIT(l, l->heard_len == i + 1);
	}
	assert_memory_equal(l->heard, all, sizeof(all));
	assert_int_equal(write(l->master, all, 100), 100);
	assert_int_equal(write(l->master, all + 100, 156), 156);
	WAIT(l, l->heard_len == 512);
	assert_memory_equal(l->heard + 256, all, sizeof(all));

	assert_int_equal(say(l, all, sizeof(all)), 0);
	uint8_t got[300];
	assert_int_equal(take(l, got, sizeof(all)), sizeof(all));
	assert_memory_equal(got, all, sizeof(all));
}

static void takes_64_kib_each_way(void **state)
{
	struct line *l = *state;
	enum { SIZE = 65536 };
	plug_in(l);
	start(l);
	WAIT(l, l->up);
	_cleanup_(freep) uint8_t *data = malloc(SIZE), *got = malloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	size_t sent = 0;
	for (long end_ms = now_ms() + WAIT_LIMIT_MS; l->heard_len < SIZE && now_ms() < end_ms;
		turn(l)) {
		ssize_t n = sent < SIZE ? write(l->master, data + sent, SIZE - sent) : 0;
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(l->heard_len, SIZE);
	assert_memory_equal(l->heard, data, SIZE);

	/* The instrument takes nothing for now: what is sent waits, in order, up to a limit. */
	assert_int_equal(say(l, data, SIZE / 2), 0);
	assert_int_equal(say(l, data + SIZE / 2, SIZE / 2), 0);
	assert_int_equal(say(l, data, SIZE), 0);
	assert_int_equal(say(l, data, SIZE), -ENOBUFS);
	assert_int_equal(take(l, got, SIZE), SIZE);
	assert_memory_equal(got, data, SIZE);
	assert_int_equal(l->down, 0);
}

static void comes_back_after_unplug(void **state)
{
	struct line *l = *state;
	plug_in(l);
	start(l);
	WAIT(l, l->up);
	close(l->master);
	WAIT(l, l->down);
	assert_string_equal(l->why, "unplugged");
	assert_string_equal(state_of(l), "absent");
	assert_int_equal(say(l, "x", 1), -ENOTCONN);
	unlink(l->path);
	let_pass(l, 500);
	plug_in(l);
	WAIT(l, l->up == 2);
	assert_int_equal(write(l->master, "again", 5), 5);
	WAIT(l, l->heard_len == 5);
	/* A retry waits a second at most. */
	close(l->master);
	WAIT(l, l->down == 2);
	let_pass(l, 900);
	plug_in(l);
	WAIT(l, l->up == 3);
}

static void never_speaks_with_another_device(void **state)
{
	struct line *l = *state;
	plug_in(l);
	int old = l->master;
	start(l);
	WAIT(l, l->up);
	/* The adapters were renumbered: both devices are alive, the link names the other one. */
	plug_in(l);
	assert_int_equal(say(l, "secret", 6), -ENOTCONN);
	assert_int_equal(l->down, 0); /* not from inside the call */
	WAIT(l, l->down);
	uint8_t got[8];
	assert_int_equal(read(old, got, sizeof(got)), -1);
	WAIT(l, l->up == 2);
	assert_int_equal(say(l, "hello", 5), 0);
	assert_int_equal(take(l, got, 5), 5);

	/* The same when the old device speaks after the change. */
	close(old);
	old = l->master;
	plug_in(l);
	assert_int_equal(write(old, "late", 4), 4);
	WAIT(l, l->down == 2);
	assert_int_equal(l->heard_len, 0);
	WAIT(l, l->up == 3);

	/* And when nobody speaks. */
	close(old);
	old = l->master;
	plug_in(l);
	WAIT(l, l->up == 4);
	assert_int_equal(l->down, 3);
	close(old);
	assert_int_equal(write(l->master, "new", 3), 3);
	WAIT(l, l->heard_len == 3);
}

static void survives_a_link_made_anew(void **state)
{
	struct line *l = *state;
	char target[128];
	plug_in(l);
	start(l);
	WAIT(l, l->up);
	ssize_t n = readlink(l->path, target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = 0;
	unlink(l->path);
	l->turns = 0;
	WAIT(l, l->turns); /* it looked for it once */
	point(l, target);
	WAIT(l, l->turns > 2);
	assert_int_equal(l->down, 0);
	unlink(l->path);
	WAIT(l, l->down);
	assert_string_equal(l->why, "its path is gone");
}

static void leaves_a_line_in_use_alone(void **state)
{
	struct line *l = *state;
	plug_in(l);
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int fd = open(l->path, O_RDWR | O_NOCTTY);
		_exit(fd < 0 || flock(fd, LOCK_EX) < 0 || write(ready[1], "x", 1) != 1 || pause());
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	struct termios before = {0}, after = {0};
	tcgetattr(l->master, &before);
	start(l);
	WAIT(l, streq(state_of(l), "busy"));
	let_pass(l, 500);
	assert_int_equal(l->up, 0);
	assert_int_equal(log_lines(l->log, "in use"), 1);
	tcgetattr(l->master, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	WAIT(l, l->up);
	close(ready[0]);
	close(ready[1]);
}

/* Neither an absent nor a dead line costs more than a few wake-ups, nor more than one line of log. */
static void rests_while_nothing_is_there(void **state)
{
	struct line *l = *state;
	start(l);
	let_pass(l, 100);
	l->turns = 0;
	clock_t cpu = clock();
	let_pass(l, 1500);
	assert_in_range(l->turns, 1, 12);
	assert_true(clock() - cpu < CLOCKS_PER_SEC / 5);
	assert_int_equal(log_lines(l->log, "waiting for"), 1);
	assert_int_equal(log_lines(l->log, "\n"), 1);

	l->keeps_number = true;
	plug_in(l);
	WAIT(l, l->up);
	l->turns = 0;
	cpu = clock();
	let_pass(l, 500);
	close(l->master); /* the path goes on to name the dead device */
	let_pass(l, 1500);
	l->master = -1;
	assert_int_equal(l->down, 1);
	assert_in_range(l->turns, 1, 24);
	assert_true(clock() - cpu < CLOCKS_PER_SEC / 5);
	assert_int_equal(log_lines(l->log, "\n"), 2);
}

static void coming_and_going_leaks_nothing(void **state)
{
	struct line *l = *state;
	start(l);
	int lowest = -1;
	for (unsigned i = 1; i <= 4; i++) {
		plug_in(l);
		WAIT(l, l->up == i);
		close(l->master);
		l->master = -1;
		WAIT(l, l->down == i);
		int next = dup(STDIN_FILENO);
		close(next);
		if (lowest < 0)
			lowest = next;
		assert_int_equal(next, lowest);
	}
}

static void is_no_line(void **state)
{
	struct line *l = *state;
	snprintf(l->device.address, sizeof(l->device.address), "%s/log", l->dir);
	start(l);
	WAIT(l, streq(state_of(l), "not-a-line"));
	transport_free(TAKE(l->t));
	snprintf(l->device.address, sizeof(l->device.address), "/dev/null");
	start(l);
	WAIT(l, streq(state_of(l), "not-a-line"));
	assert_int_equal(l->up, 0);
	transport_free(TAKE(l->t));

	struct transport *t = NULL;
	const struct transport_events events = {on_up, on_stream, on_value, on_down, NULL, NULL, l};
	l->device.baud = 96000;
	assert_int_equal(serial_new(l->loop, &l->device, &events, &t), -EINVAL);
	assert_null(t);
}

static void last_bytes_leave_after_close(void **state)
{
	struct line *l = *state;
	static uint8_t data[32768], got[sizeof(data)];
	const size_t part = 12288; /* in less than the second that it has for it */
	memset(data, 'a', sizeof(data));
	plug_in(l);
	start(l);
	WAIT(l, l->up);
	/* More than a terminal takes at once; the instrument reads it after the close. */
	assert_int_equal(say(l, data, part), 0);
	l->t->ops->close(l->t, "done");
	assert_int_equal(l->down, 1);
	assert_string_equal(l->why, "done");
	assert_int_equal(say(l, "x", 1), -ENOTCONN);
	l->t->ops->close(l->t, "done twice");
	assert_int_equal(l->down, 1);
	assert_int_equal(take(l, got, part), part);
	WAIT(l, l->up == 2);
	assert_int_equal(l->down, 1);

	/* From inside an event; and a line that takes nothing does not keep it for ever. */
	l->close_on_stream = true;
	assert_int_equal(say(l, data, sizeof(data)), 0);
	assert_int_equal(write(l->master, "x", 1), 1);
	WAIT(l, l->down == 2);
	assert_string_equal(l->why, "heard enough");
	WAIT(l, l->up == 3);
}

static void unplugged_while_sending(void **state)
{
	struct line *l = *state;
	plug_in(l);
	start(l);
	WAIT(l, l->up);
	close(l->master);
	l->master = -1;
	assert_int_equal(say(l, "x", 1), -ENOTCONN);
	assert_int_equal(l->down, 0);
	assert_int_equal(say(l, "x", 1), -ENOTCONN);
	WAIT(l, l->down);
	let_pass(l, 300);
	assert_int_equal(l->down, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(is_raw_and_exclusive),
		TEST(every_byte_passes_in_any_split), TEST(takes_64_kib_each_way),
		TEST(comes_back_after_unplug), TEST(never_speaks_with_another_device),
		TEST(survives_a_link_made_anew), TEST(leaves_a_line_in_use_alone),
		TEST(rests_while_nothing_is_there), TEST(coming_and_going_leaks_nothing),
		TEST(is_no_line), TEST(last_bytes_leave_after_close),
		TEST(unplugged_while_sending)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
