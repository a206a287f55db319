/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Serial lines: RS-232 ports, USB adapters and anything else that is a tty (also a
 * pseudo-terminal).
 *
 * The configured path names the instrument, best a link below /dev/serial/by-id or by-path: the
 * number in /dev/ttyUSB0 changes when adapters are plugged in another order. So the path is asked
 * again whenever bytes come or go, and once a second: when it names another device than the open
 * one, the line is closed and nothing more is said to it or taken from it.
 *
 * A line that is gone is tried again after 0.1, 0.25 and 0.5 s, then every second.
 */
#include "log.h"
#include "sendq.h"
#include "transport.h"
#include "tty.h"
#include "util.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#define SERIAL_TICK_US 1000000 /* how often the path of an open line is asked */
#define SERIAL_ACCURACY_US 10000
#define SERIAL_LASTING_US 5000000 /* a line that stayed open this long was not flapping */
#define SERIAL_LINGER_US 1000000  /* for the last bytes after a close */
#define SERIAL_LINGER_STEP_US 20000
#define SERIAL_EMPTY_MAX 8 /* reads without bytes in a row before the line counts as dead */
#define SERIAL_LOG_BURST 6 /* lines of one cause a minute */

static const char serial_moved[] = "its path names another device now";

struct serial {
	struct transport base;
	sd_event *loop;
	const struct config_device *device;
	int fd; /* -1: closed */
	sd_event_source *io, *timer;
	const char *state;
	dev_t rdev; /* what is open */
	uint64_t opened_us;
	unsigned failures, empty_reads, missing_ticks;
	const char *doomed;	  /* why the line is to be closed as soon as the loop runs */
	uint64_t linger_until_us; /* closed for the owner, last bytes may leave; 0: open */
	struct sendq out;
	struct log_limit said_up, said_failure;
};

static uint64_t boot_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void serial_arm(struct serial *s, uint64_t in_us)
{
	/* What is asked once a second may share its wake-ups with other lines. */
	uint64_t accuracy_us = in_us >= SERIAL_TICK_US ? SERIAL_TICK_US / 2 : SERIAL_ACCURACY_US;
	int r = sd_event_source_set_time_accuracy(s->timer, accuracy_us);
	if (r >= 0)
		r = sd_event_source_set_time_relative(s->timer, in_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error(s->device->id, "timer: %s", strerror(-r));
}

static void serial_retry(struct serial *s)
{
	static const uint64_t delays_us[] = {100000, 250000, 500000, 1000000};
	unsigned n = s->failures < ELEMENTS(delays_us) ? s->failures++ : ELEMENTS(delays_us) - 1;
	serial_arm(s, delays_us[n]);
}

static bool serial_all_sent(const struct serial *s)
{
	int waiting = 0;
	return !s->out.len && (ioctl(s->fd, TIOCOUTQ, &waiting) < 0 || !waiting);
}

static void serial_hang_up(struct serial *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	tty_close(s->fd, serial_all_sent(s));
	s->fd = -1;
	s->doomed = NULL;
	s->linger_until_us = 0;
	sendq_clear(&s->out);
}

/* Ends the connection at once; the path is tried again by itself. */
static void serial_drop(struct serial *s, const char *why)
{
	bool told = s->linger_until_us;
	serial_hang_up(s);
	s->state = "absent";
	if (boot_us() - s->opened_us >= SERIAL_LASTING_US)
		s->failures = 0;
	serial_retry(s);
	if (told)
		return;
	s->base.events.down(s->base.events.arg, why);
}

/* 1 the path names the open device, 0 it names another one, -errno it names nothing. */
static int serial_named(const struct serial *s)
{
	struct stat st;
	if (stat(s->device->address, &st) < 0)
		return -errno;
	return S_ISCHR(st.st_mode) && st.st_rdev == s->rdev;
}

/* `lost`: the kernel says that the device is gone. */
static void serial_read(struct serial *s, bool lost)
{
	uint8_t bytes[4096]; /* what a line discipline can hold */
	ssize_t n = read(s->fd, bytes, sizeof(bytes));
	if (n > 0) {
		s->empty_reads = 0;
		s->base.events.stream(s->base.events.arg, bytes, (size_t)n);
		return;
	}
	/* With VMIN = VTIME = 0 an empty line also reads 0 bytes, not EAGAIN. */
	bool gone = lost || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (gone || ++s->empty_reads >= SERIAL_EMPTY_MAX)
		serial_drop(s, n == 0 || errno == EIO || lost ? "unplugged" : strerror(errno));
}

static void serial_want_write(struct serial *s, bool yes)
{
	uint32_t events = (s->linger_until_us ? 0 : EPOLLIN) | (yes ? EPOLLOUT : 0);
	int r = sd_event_source_set_io_events(s->io, events);
	if (r < 0)
		log_error(s->device->id, "event loop: %s", strerror(-r));
}

static void serial_drain(struct serial *s)
{
	int r = sendq_drain(&s->out, s->fd);
	if (r < 0)
		serial_drop(s, r == -EIO ? "unplugged" : strerror(-r));
	else if (r == 0)
		serial_want_write(s, false);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd;
	struct serial *s = arg;
	bool lost = events & (EPOLLHUP | EPOLLERR);
	if (serial_named(s) == 0) {
		serial_drop(s, serial_moved);
		return 0;
	}
	if ((events & EPOLLOUT) && s->out.len)
		serial_drain(s);
	/* A hang-up is noticed by reading: what came before it is not lost. */
	if (s->fd >= 0 && !s->linger_until_us && (lost || (events & EPOLLIN)))
		serial_read(s, lost);
	else if (s->fd >= 0 && lost)
		serial_drop(s, "unplugged");
	return 0;
}

static const char *failure_state(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
	case -EIO:
	case -ENOTDIR:
		return "absent";
	case -EBUSY:
		return "busy";
	case -EACCES:
	case -EPERM:
		return "denied";
	case -ENOTTY:
		return "not-a-line";
	}
	return "error";
}

static void log_failure(struct serial *s, int error, const char *state)
{
	const char *next = streq(state, "absent") ? "plug it in, or check `address`"
			   : streq(state, "busy") ? "end the program that uses it (fuser)"
			   : streq(state, "denied")
				   ? "give this user the port, by the udev rule of the package"
			   : streq(state, "not-a-line") ? "`address` must name a serial port"
			   : error == -ERANGE		? "the port cannot do this `baud`"
							: "look at the kernel's log";
	unsigned held_back;
	if (log_allowed(&s->said_failure, SERIAL_LOG_BURST, &held_back))
		log_note(s->device->id, "waiting for %s: %s: %s", s->device->address,
			error == -EBUSY ? "in use" : strerror(-error), next);
}

/* `format`: of tty_open(). */
static void log_up(struct serial *s, int format)
{
	const struct config_device *d = s->device;
	_cleanup_(freep) char *target = realpath(d->address, NULL);
	unsigned held_back;
	if (log_allowed(&s->said_up, SERIAL_LOG_BURST, &held_back))
		log_info(d->id, "line open: %s, %u %u%c%u%s", target ? target : d->address, d->baud,
			d->data_bits, d->parity, d->stop_bits,
			format ? ", but the port took only the speed" : "");
}

static void serial_try(struct serial *s)
{
	const struct config_device *d = s->device;
	_cleanup_(closep) int fd = -1;
	int format = tty_open(d, &s->rdev, &fd), r = format;
	if (r >= 0)
		r = sd_event_add_io(s->loop, &s->io, fd, EPOLLIN, on_io, s);
	if (r < 0) {
		const char *state = failure_state(r);
		if (!streq(state, s->state))
			log_failure(s, r, state);
		s->state = state;
		serial_retry(s);
		return;
	}
	s->fd = fd;
	fd = -1;
	s->opened_us = boot_us();
	s->empty_reads = s->missing_ticks = 0;
	s->state = "connected";
	serial_arm(s, SERIAL_TICK_US);
	log_up(s, format);
	char uid[TRANSPORT_UID_MAX + 1];
	snprintf(uid, sizeof(uid), "line:%s", d->id);
	s->base.events.up(s->base.events.arg, uid);
}

/* After the owner's close: an acknowledgement that it sent just before still has to leave. */
static void serial_linger(struct serial *s)
{
	if (serial_all_sent(s) || boot_us() >= s->linger_until_us)
		serial_drop(s, "");
	else
		serial_arm(s, SERIAL_LINGER_STEP_US);
}

static void serial_tick(struct serial *s)
{
	int named = serial_named(s);
	if (named == 0) {
		serial_drop(s, serial_moved);
		return;
	}
	/* udev may take a link away for a moment while it makes it anew. */
	s->missing_ticks = named < 0 ? s->missing_ticks + 1 : 0;
	if (s->missing_ticks >= 2)
		serial_drop(s, "its path is gone");
	else
		serial_arm(s, SERIAL_TICK_US);
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	struct serial *s = arg;
	if (s->fd < 0)
		serial_try(s);
	else if (s->doomed)
		serial_drop(s, s->doomed);
	else if (s->linger_until_us)
		serial_linger(s);
	else
		serial_tick(s);
	return 0;
}

/* `down` must not come from inside send(): the loop delivers it next. */
static int serial_doom(struct serial *s, const char *why, int error)
{
	s->doomed = why;
	serial_arm(s, 0);
	return error;
}

static int serial_send(struct transport *t, unsigned channel, const void *bytes, size_t len)
{
	struct serial *s = (struct serial *)t;
	(void)channel;
	if (s->fd < 0 || s->doomed || s->linger_until_us)
		return -ENOTCONN;
	if (serial_named(s) == 0)
		return serial_doom(s, serial_moved, -ENOTCONN);
	int r = sendq_send(&s->out, s->fd, bytes, len);
	if (r == -ENOBUFS)
		return r;
	if (r == -ENOMEM)
		return serial_doom(s, "out of memory", r);
	if (r < 0)
		return serial_doom(s, "unplugged", -ENOTCONN);
	if (r > 0)
		serial_want_write(s, true);
	return 0;
}

static void serial_confirm(struct transport *t)
{
	(void)t; /* nothing on a line is an indication */
}

static void serial_close(struct transport *t, const char *why)
{
	struct serial *s = (struct serial *)t;
	if (s->fd < 0 || s->linger_until_us)
		return;
	s->doomed = NULL;
	s->linger_until_us = boot_us() + SERIAL_LINGER_US;
	serial_want_write(s, s->out.len);
	serial_arm(s, 0);
	s->base.events.down(s->base.events.arg, why);
}

static void serial_free(struct transport *t)
{
	struct serial *s = (struct serial *)t;
	if (s->fd >= 0)
		serial_hang_up(s);
	sd_event_source_disable_unref(s->timer);
	sd_event_unref(s->loop);
	free(s);
}

static const char *serial_state(const struct transport *t)
{
	return ((const struct serial *)t)->state;
}

static const struct transport_ops serial_ops = {.send = serial_send,
	.confirm = serial_confirm,
	.close = serial_close,
	.free = serial_free,
	.state = serial_state};

static bool numbered(const char *path)
{
	return strncmp(path, "/dev/ttyUSB", 11) == 0 || strncmp(path, "/dev/ttyACM", 11) == 0;
}

int serial_new(sd_event *loop, const struct config_device *device,
	const struct transport_events *events, struct transport **ret)
{
	if (!tty_speed_known(device->baud)) {
		log_error(device->id, "no line speed is called %u", device->baud);
		return -EINVAL;
	}
	if (numbered(device->address))
		log_warn(device->id, "%s changes its number: use its link in /dev/serial/by-id",
			device->address);
	struct serial *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base.ops = &serial_ops;
	s->base.events = *events;
	s->loop = sd_event_ref(loop);
	s->device = device;
	s->fd = -1;
	s->out.write = write;
	s->state = "";
	int r = sd_event_add_time_relative(
		loop, &s->timer, CLOCK_BOOTTIME, 0, SERIAL_ACCURACY_US, on_timer, s);
	if (r < 0) {
		serial_free(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}
