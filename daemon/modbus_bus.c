/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "modbus_bus.h"

#include "util.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#define SLACK_US \
	20000 /* TCP: a round may begin so much early when others are due: fewer wake-ups */
#define QUIET_US 250000 /* a line that does not fall silent is used again after so long */
#define REOPEN_MIN_US 100000
#define REOPEN_MAX_US 5000000
#define QUESTION_BITS 88 /* of a question on a line */
#define SAID_A_MINUTE 6

uint64_t modbus_now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A line that nobody is asked on may talk, but not wake us; that it is gone is always heard. */
static void watch(struct modbus_bus *b, bool input)
{
	bool line = modbus_link_is_line(b->link);
	struct epoll_event e = {.data.ptr = b,
		.events = (input || (!line && b->phase != MODBUS_OPENING) ? EPOLLIN | EPOLLRDHUP
									  : 0) |
			  (b->phase == MODBUS_OPENING ? EPOLLOUT : 0)};
	if (epoll_ctl(b->epoll_fd, EPOLL_CTL_MOD, modbus_link_fd(b->link), &e) < 0 &&
		epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, modbus_link_fd(b->link), &e) < 0)
		log_error(b->address, "epoll: %s", strerror(errno));
	b->listening = input;
}

static const char *trouble_of(int error)
{
	switch (error) {
	case -EBUSY:
		return "busy";
	case -EACCES:
	case -EPERM:
		return "denied";
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
	case -EIO:
	case -ENOTDIR:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ETIMEDOUT:
		return "absent";
	}
	return "error";
}

static void say_trouble(struct modbus_bus *b, int error)
{
	const char *trouble = trouble_of(error);
	const char *next = error == -EMFILE	      ? "too many connections for one gateway"
			   : streq(trouble, "busy")   ? "end the program that uses it (fuser)"
			   : streq(trouble, "denied") ? "give this user the port, by the udev rule "
							"of the package"
			   : error == -ENOTTY	      ? "`address` must name a serial port"
			   : error == -ERANGE	      ? "the port cannot do this `baud`"
			   : modbus_link_is_line(b->link) ? "plug it in, or check `address`"
							  : "check power, network and `address`";
	unsigned held_back;
	if (b->trouble != trouble && log_allowed(&b->said_trouble, SAID_A_MINUTE, &held_back))
		log_note(b->polls->device->id, "waiting for %s: %s: %s", b->address,
			error == -EBUSY ? "in use" : strerror(-error), next);
	b->trouble = trouble;
}

/* There is no way to any slave of the link for now. Of a line all are told at once; over TCP it is a round that
 * failed, of those that are due. */
static void lose(struct modbus_bus *b, int error, uint64_t now)
{
	bool line = modbus_link_is_line(b->link);
	modbus_link_close(b->link);
	b->phase = MODBUS_CLOSED;
	b->at = NULL;
	b->ready = b->listening = false;
	if (!b->polls)
		return;
	say_trouble(b, error);
	b->until_us = now + MIN(REOPEN_MIN_US << MIN(b->failures, 8u), REOPEN_MAX_US);
	b->failures++;
	for (struct modbus_poll *p = b->polls; p; p = p->next) {
		if (p->round.running || (!line && p->round.due_us <= now + SLACK_US)) {
			modbus_round_give_up(&p->round, VG_REGISTERS_CONNECTION, now);
			modbus_poll_end(p, b->trouble, now);
		}
		if (line) {
			modbus_poll_down(p, error == -EIO ? "unplugged" : b->trouble);
			modbus_poll_state(p, b->trouble);
		}
	}
}

static void opened(struct modbus_bus *b, uint64_t now)
{
	bool line = modbus_link_is_line(b->link);
	const struct config_device *d = b->polls->device;
	b->phase = MODBUS_IDLE;
	if (line && b->failures)
		for (struct modbus_poll *p = b->polls; p; p = p->next)
			p->round.due_us = now; /* for whoever has just plugged it in */
	unsigned held_back;
	bool say = (line || b->trouble) && log_allowed(&b->said_open, SAID_A_MINUTE, &held_back);
	if (say && line)
		log_info(d->id, "line open: %s, %u %u%c%u", b->address, d->baud, d->data_bits,
			d->parity, d->stop_bits);
	else if (say)
		log_info(d->id, "connected to %s again", b->address);
	b->failures = 0;
	b->trouble = NULL;
	watch(b, false);
}

static bool open_link(struct modbus_bus *b, uint64_t now)
{
	int rc = modbus_link_open(b->link);
	if (rc == -EINPROGRESS) {
		if (b->phase != MODBUS_OPENING)
			b->until_us = now + b->polls->device->response_ms * UINT64_C(1000);
		b->phase = MODBUS_OPENING;
		b->wake_us = b->until_us;
		if (modbus_link_fd(b->link) >= 0)
			watch(b, false);
		return false;
	}
	if (rc < 0)
		lose(b, rc, now);
	else
		opened(b, now);
	return true;
}

static struct modbus_poll *earliest(const struct modbus_bus *b)
{
	struct modbus_poll *first = b->polls;
	for (struct modbus_poll *p = b->polls; p; p = p->next)
		if (p->round.due_us < first->round.due_us)
			first = p;
	return first;
}

/* So much early may the link go on with a slave whose next round is due. */
static uint64_t slack_of(const struct modbus_bus *b, const struct modbus_poll *p)
{
	return modbus_link_is_line(b->link) || p->round.running
		       ? 0
		       : MIN(p->round.period_us / 50, (uint64_t)SLACK_US);
}

/* A question is answered, or is not. Over TCP a failure ends the connection, so that nothing late is ever taken
 * for an answer. */
static void rest(struct modbus_bus *b, bool failed, uint64_t now)
{
	b->at = NULL;
	if (b->listening)
		watch(b, false);
	if (modbus_link_is_line(b->link)) {
		b->phase = MODBUS_RESTING;
		b->until_us = now + b->gap_us;
		b->quiet_us = failed ? now + QUIET_US : 0;
	} else if (failed) {
		modbus_link_close(b->link);
		b->phase = MODBUS_CLOSED;
	} else {
		b->phase = MODBUS_IDLE;
	}
}

static const char *absence_of(const struct modbus_poll *p, int block)
{
	switch (p->round.why[block]) {
	case VG_REGISTERS_GARBLED:
		return "error";
	case VG_REGISTERS_CONNECTION:
		return "absent";
	}
	return "silent";
}

static void finish(struct modbus_bus *b, int result)
{
	struct modbus_poll *p = b->at;
	int block = b->block;
	uint64_t now = modbus_now_us();
	if (result > 0)
		modbus_round_answered(&p->round, block);
	else
		modbus_round_failed(&p->round, block, (uint8_t)-result, now);
	if (result < 0 && result >= -3)
		modbus_poll_refused(p, block, -result);
	if (result == -VG_REGISTERS_GARBLED && modbus_link_echoes(b->link) && !p->said_echo) {
		p->said_echo = true;
		log_warn(p->device->id,
			"%s gives back what it is sent: turn the converter's echo off", b->address);
	}
	if (modbus_round_over(&p->round))
		modbus_poll_end(p, absence_of(p, block), now);
	bool in_order = result > -0x80; /* data, or an exception */
	rest(b, !in_order, now);
}

static bool step_closed(struct modbus_bus *b, uint64_t now)
{
	struct modbus_poll *p = earliest(b);
	b->wake_us = MODBUS_NEVER;
	if (!p)
		return false;
	bool line = modbus_link_is_line(b->link);
	uint64_t from = line ? b->until_us : p->round.due_us;
	if (from > now + (line ? 0 : slack_of(b, p))) {
		b->wake_us = from;
		return false;
	}
	return open_link(b, now);
}

static bool step_opening(struct modbus_bus *b, uint64_t now)
{
	bool ready = b->ready;
	b->ready = false;
	if (!b->polls || now >= b->until_us) {
		lose(b, -ETIMEDOUT, now);
		return true;
	}
	b->wake_us = b->until_us;
	return ready && open_link(b, now);
}

static bool step_idle(struct modbus_bus *b, uint64_t now)
{
	bool line = modbus_link_is_line(b->link);
	struct modbus_poll *p = earliest(b);
	if (b->ready && line) {
		lose(b, -EIO, now);
		return true;
	}
	if (b->ready || !p) { /* the peer hung up, which it may, or talks unasked */
		b->ready = false;
		modbus_link_close(b->link);
		b->phase = MODBUS_CLOSED;
		b->until_us = now;
		return true;
	}
	if (p->round.due_us > now + slack_of(b, p)) {
		b->wake_us = p->round.due_us;
		return false;
	}
	if (line && !modbus_link_stands(b->link)) {
		lose(b, -EIO, now);
		return true;
	}
	b->at = p;
	b->block = modbus_round_next(&p->round, now);
	b->phase = MODBUS_ASKED;
	b->until_us = now + p->device->response_ms * UINT64_C(1000) +
		      (line ? QUESTION_BITS * UINT64_C(1000000) / p->device->baud : 0);
	b->wake_us = b->until_us;
	if (modbus_link_ask(b->link, p->device->slave, &p->round.profile->blocks[b->block]) < 0) {
		finish(b, -VG_REGISTERS_CONNECTION);
		return true;
	}
	if (line)
		watch(b, true);
	return false;
}

static bool step_asked(struct modbus_bus *b, uint64_t now)
{
	struct modbus_poll *p = b->at;
	int result = 0;
	if (b->ready) {
		b->ready = false;
		result = modbus_link_hear(b->link, p->device->slave,
			&p->round.profile->blocks[b->block],
			modbus_round_place(&p->round, b->block));
	}
	if (!result && now < b->until_us) { /* nothing yet, or another slave's answer to nobody */
		b->wake_us = b->until_us;
		return false;
	}
	if (result == -VG_REGISTERS_CONNECTION && modbus_link_is_line(b->link))
		lose(b, -EIO, now);
	else
		finish(b, result ? result : -VG_REGISTERS_TIMEOUT);
	return true;
}

static bool step_resting(struct modbus_bus *b, uint64_t now)
{
	if (b->ready) { /* nothing else is watched for */
		b->ready = false;
		lose(b, -EIO, now);
		return true;
	}
	b->wake_us = b->until_us;
	if (now < b->until_us)
		return false;
	if (modbus_link_drain(b->link) && now < b->quiet_us) {
		b->until_us = b->wake_us = now + b->gap_us;
		return false;
	}
	b->phase = MODBUS_IDLE;
	return true;
}

void modbus_bus_step(struct modbus_bus *b)
{
	static bool (*const steps[])(struct modbus_bus *, uint64_t) = {
		[MODBUS_CLOSED] = step_closed,
		[MODBUS_OPENING] = step_opening,
		[MODBUS_IDLE] = step_idle,
		[MODBUS_ASKED] = step_asked,
		[MODBUS_RESTING] = step_resting};
	while (steps[b->phase](b, modbus_now_us()))
		;
}

bool modbus_bus_wants(const struct modbus_bus *b, uint64_t now_us)
{
	bool between = b->phase == MODBUS_IDLE || b->phase == MODBUS_CLOSED;
	const struct modbus_poll *p = between ? earliest(b) : NULL;
	uint64_t slack = p ? slack_of(b, p) : 0;
	return b->ready || b->wake_us <= now_us + slack;
}

/* life */

int modbus_bus_new(
	const struct config_device *device, int epoll_fd, int wake_fd, struct modbus_bus **ret)
{
	struct modbus_bus *b = calloc(1, sizeof(*b));
	int rc = b ? modbus_link_new(device, wake_fd, &b->link) : -ENOMEM;
	if (rc < 0) {
		free(b);
		return rc;
	}
	b->epoll_fd = epoll_fd;
	text_copy(b->address, sizeof(b->address), device->address, strlen(device->address));
	*ret = b;
	return 0;
}

void modbus_bus_free(struct modbus_bus *b)
{
	modbus_link_free(b->link);
	free(b);
}

void modbus_bus_add(struct modbus_bus *b, struct modbus_poll *p)
{
	p->next = b->polls;
	b->polls = p;
	b->gap_us = MAX(b->gap_us, p->device->gap_ms * 1000u);
	if (b->phase == MODBUS_IDLE || b->phase == MODBUS_CLOSED)
		b->wake_us = 0;
}

bool modbus_bus_remove(struct modbus_bus *b, const struct modbus_poll *p)
{
	struct modbus_poll **at = &b->polls;
	while (*at && *at != p)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = p->next;
	if (b->at == p)
		rest(b, true, modbus_now_us());
	b->wake_us = 0;
	return true;
}
