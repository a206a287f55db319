/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bench's BLE meters: cuffs that indicate, oximeters that notify, all in one process and in C, so that the
 * sender is never what is measured. tests/sim/att_server.py says the protocol; these make no faults.
 *
 *   meters cuff|oximeter SOCKET...   listens at each SOCKET: unix SEQPACKET, a packet is an ATT PDU
 *
 * Handles are those of the enum below: services 1800, 180A with a serial number (the last part of SOCKET), and
 * 1810 or 1822. The MTU is 23.
 *
 * Orders on standard input, one a line:
 *   run LINKS RATE AMOUNT PHASE FIRST
 *     LINKS    how many of the meters send
 *     RATE     measurements a second and link; 0: as fast as they are confirmed (cuff) or taken (oximeter)
 *     AMOUNT   cuff: seconds in which measurements begin, one at least when RATE is 0;
 *              oximeter: measurements of each link
 *     PHASE    share of the period by which all lie behind the full period of CLOCK_BOOTTIME; the links are
 *              spread over the period
 *     FIRST    number of the first measurement. A cuff dates each by its number, in seconds from 1970 on
 *              as if there were no zones: no two are the same
 * Answers: "start US" when all links are subscribed; then "sent NUMBER COUNT WRITTEN_US TOLD_US", of a cuff
 * for each measurement, TOLD_US being when its confirmation came; of an oximeter for each link, from the first
 * one that was written until the last one was taken; and "end". WRITTEN_US is taken just before the send.
 *
 * Source: Bluetooth Core, Vol 3, parts F (ATT) and G (GATT); layouts of 2A35 and 2A5F.
 */
#include <errno.h>
#include <libgen.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define METERS_MAX 32
#define MTU 23
#define SECOND_US INT64_C(1000000)
#define LOOK_US 500 /* whether the last notifications were taken: nothing tells that */
#define BURST 64    /* notifications of one link before the others have their turn */

enum {
	ERROR = 0x01,
	EXCHANGE_MTU = 0x02,
	FIND_INFORMATION = 0x04,
	FIND_BY_TYPE_VALUE = 0x06,
	READ_BY_TYPE = 0x08,
	READ = 0x0a,
	READ_BY_GROUP_TYPE = 0x10,
	WRITE = 0x12,
	NOTIFICATION = 0x1b,
	INDICATION = 0x1d,
	CONFIRMATION = 0x1e,
	COMMAND = 0x40,
};
enum { INVALID_HANDLE = 0x01, READ_NOT_PERMITTED = 0x02, WRITE_NOT_PERMITTED = 0x03 };
enum { INVALID_PDU = 0x04, REQUEST_NOT_SUPPORTED = 0x06, NOT_FOUND = 0x0a };
enum { PRIMARY = 0x2800, CHARACTERISTIC = 0x2803, CCC = 0x2902 };
enum { MAY_READ = 0x02, MAY_NOTIFY = 0x10, MAY_INDICATE = 0x20 };
enum { NAME = 0x0003, SERIAL = 0x0012, MEASUREMENT = 0x0022, SWITCH = 0x0023 };

struct attribute {
	uint16_t handle, end, type;
	uint8_t len;
	uint8_t bytes[5];
};

/* What differs between the kinds is filled in by be(). */
static struct attribute table[] = {
	{0x0001, NAME, PRIMARY, 2, {0x00, 0x18}},
	{0x0002, 0x0002, CHARACTERISTIC, 5, {MAY_READ, NAME, 0, 0x00, 0x2a}},
	{NAME, NAME, 0x2a00, 5, "BENCH"},
	{0x0010, SERIAL, PRIMARY, 2, {0x0a, 0x18}},
	{0x0011, 0x0011, CHARACTERISTIC, 5, {MAY_READ, SERIAL, 0, 0x25, 0x2a}},
	{SERIAL, SERIAL, 0x2a25, 0, ""},
	{0x0020, 0xffff, PRIMARY, 2, ""},
	{0x0021, 0x0021, CHARACTERISTIC, 5, ""},
	{MEASUREMENT, MEASUREMENT, 0, 0, ""},
	{SWITCH, SWITCH, CCC, 2, ""},
};
enum { OF_SERVICE = 6, OF_DECLARATION = 7, OF_MEASUREMENT = 8, ATTRIBUTES = 10 };

struct run {
	unsigned links;
	double rate, amount, phase;
	long long next; /* measurement */
	bool started;
	int64_t end_us; /* cuff */
};

struct stamp {
	long long first;
	unsigned count;
	int64_t written_us, told_us;
};

struct meter {
	const char *serial;
	int listener, fd; /* fd: of the link, -1 without one */
	uint16_t subscribed;
	bool waits;	   /* cuff: for a confirmation; oximeter: for room */
	int64_t due_us;	   /* next measurement */
	struct stamp sent; /* cuff: the one at hand, first 0: none; oximeter: all */
};

static struct meter meters[METERS_MAX];
static unsigned n_meters;
static bool cuffs;
static struct run run;
static struct stamp *stamps;
static size_t n_stamps, stamps_size;

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned le16(const uint8_t *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

static size_t put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
	return 2;
}

/* the server */

static size_t refuse(uint8_t *out, uint8_t request, unsigned handle, uint8_t code)
{
	out[0] = ERROR;
	out[1] = request;
	put16(out + 2, handle);
	out[4] = code;
	return 5;
}

static size_t value_of(const struct meter *m, const struct attribute *a, uint8_t *out)
{
	if (a->type == CCC)
		return put16(out, m->subscribed);
	if (a->handle == SERIAL) {
		size_t len = strnlen(m->serial, MTU - 4);
		memcpy(out, m->serial, len);
		return len;
	}
	memcpy(out, a->bytes, a->len);
	return a->len;
}

/* One entry of the list that is asked for; 0: this attribute is not in it. */
static size_t entry(const struct meter *m, const struct attribute *a, const uint8_t *pdu, size_t n,
	uint8_t *out)
{
	size_t len = put16(out, a->handle);
	if (pdu[0] == FIND_INFORMATION)
		return len + put16(out + len, a->type);
	if (a->type != le16(pdu + 5))
		return 0;
	if (pdu[0] == FIND_BY_TYPE_VALUE &&
		(n - 7 != a->len || memcmp(pdu + 7, a->bytes, a->len) != 0))
		return 0;
	if (pdu[0] != READ_BY_TYPE)
		len += put16(out + len, a->end);
	return pdu[0] == FIND_BY_TYPE_VALUE ? len : len + value_of(m, a, out + len);
}

/* Entries of one length, as many as fit. UUIDs of 128 bits are not found. */
static size_t list(const struct meter *m, const uint8_t *pdu, size_t n, uint8_t *out)
{
	unsigned start = n < 5 ? 0 : le16(pdu + 1), end = n < 5 ? 0 : le16(pdu + 3);
	size_t head = pdu[0] == FIND_BY_TYPE_VALUE ? 1 : 2, len = head, size = 0;
	uint8_t one[2 * MTU];
	if (!start || start > end || (n < 7 && pdu[0] != FIND_INFORMATION))
		return refuse(
			out, pdu[0], start, start && start <= end ? INVALID_PDU : INVALID_HANDLE);
	bool found = n <= 7 || pdu[0] == FIND_BY_TYPE_VALUE;
	for (size_t i = 0; i < ATTRIBUTES && found; i++) {
		if (table[i].handle < start || table[i].handle > end)
			continue;
		size_t more = entry(m, &table[i], pdu, n, one);
		if (!more)
			continue;
		if ((size && more != size) || len + more > MTU)
			break;
		size = more;
		memcpy(out + len, one, more);
		len += more;
	}
	if (!size)
		return refuse(out, pdu[0], start, NOT_FOUND);
	out[0] = pdu[0] + 1;
	if (head == 2)
		out[1] = pdu[0] == FIND_INFORMATION ? 1 : (uint8_t)size;
	return len;
}

static size_t read_or_write(struct meter *m, const uint8_t *pdu, size_t n, uint8_t *out)
{
	unsigned handle = n < 3 ? 0 : le16(pdu + 1);
	const struct attribute *a = table;
	while (a < table + ATTRIBUTES && a->handle != handle)
		a++;
	if (a == table + ATTRIBUTES)
		return refuse(out, pdu[0], handle, INVALID_HANDLE);
	out[0] = pdu[0] + 1;
	if (pdu[0] == READ && handle == MEASUREMENT)
		return refuse(out, READ, handle, READ_NOT_PERMITTED);
	if (pdu[0] == READ)
		return 1 + value_of(m, a, out + 1);
	if (handle != SWITCH || n != 5)
		return refuse(out, WRITE, handle, WRITE_NOT_PERMITTED);
	m->subscribed = pdu[3] & (cuffs ? 2 : 1);
	return 1;
}

static size_t respond(struct meter *m, const uint8_t *pdu, size_t n, uint8_t *out)
{
	switch (pdu[0]) {
	case EXCHANGE_MTU:
		out[0] = EXCHANGE_MTU + 1;
		return 1 + put16(out + 1, MTU);
	case FIND_INFORMATION:
	case FIND_BY_TYPE_VALUE:
	case READ_BY_TYPE:
	case READ_BY_GROUP_TYPE:
		return list(m, pdu, n, out);
	case READ:
	case WRITE:
		return read_or_write(m, pdu, n, out);
	}
	/* commands, and what has an odd opcode, want no answer */
	return pdu[0] & (COMMAND | 1) ? 0 : refuse(out, pdu[0], 0, REQUEST_NOT_SUPPORTED);
}

/* measurements */

static size_t pressure(long long number, uint8_t *out)
{
	/* mmHg; with date, pulse and status: 118/76, mean 90, 66/min */
	static const uint8_t head[] = {0x16, 118, 0, 76, 0, 90, 0}, tail[] = {66, 0, 0, 0};
	time_t seconds = (time_t)number;
	struct tm t;
	gmtime_r(&seconds, &t);
	memcpy(out, head, sizeof(head));
	size_t len = sizeof(head);
	len += put16(out + len, (unsigned)t.tm_year + 1900);
	const int fields[] = {t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		out[len++] = (uint8_t)fields[i];
	memcpy(out + len, tail, sizeof(tail));
	return len + sizeof(tail);
}

static size_t saturation(uint8_t *out)
{
	/* both status words; 98 %, 78/min, ongoing: the bytes of an oximeter in the hands of the public */
	static const uint8_t bytes[] = {0x0c, 0x62, 0, 0x4e, 0, 0x20, 0, 0, 0, 0};
	memcpy(out, bytes, sizeof(bytes));
	return sizeof(bytes);
}

static void hang_up(struct meter *m)
{
	close(m->fd);
	m->fd = -1;
	m->subscribed = 0;
	m->waits = false;
}

/* False: there is no room, or the link is gone. */
static bool say(struct meter *m, const uint8_t *pdu, size_t len)
{
	if (send(m->fd, pdu, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (errno != EAGAIN)
		hang_up(m);
	return false;
}

static void stamp_keep(const struct stamp *s)
{
	if (n_stamps == stamps_size) {
		stamps_size = stamps_size ? 2 * stamps_size : 4096;
		stamps = realloc(stamps, stamps_size * sizeof(*stamps));
		if (!stamps)
			die("memory");
	}
	stamps[n_stamps++] = *s;
}

static void plan_next(struct meter *m, int64_t now)
{
	m->due_us = now;
	if (run.rate > 0) {
		double turn = (double)(m - meters) / run.links;
		int64_t period = (int64_t)(1e6 / run.rate),
			phase = (int64_t)((run.phase + turn) * (double)period);
		m->due_us = (now - phase + period) / period * period + phase;
	}
}

static void indicate(struct meter *m)
{
	uint8_t pdu[MTU] = {INDICATION, MEASUREMENT, 0};
	if (!m->sent.first)
		m->sent = (struct stamp){.first = run.next++, .count = 1};
	size_t len = 3 + pressure(m->sent.first, pdu + 3);
	m->sent.written_us = now_us();
	m->waits = say(m, pdu, len);
}

static void confirmed(struct meter *m)
{
	if (!m->waits)
		return;
	m->sent.told_us = now_us();
	stamp_keep(&m->sent);
	m->sent = (struct stamp){0};
	m->waits = false;
	plan_next(m, now_us());
}

static void notify(struct meter *m, int64_t now)
{
	uint8_t pdu[MTU] = {NOTIFICATION, MEASUREMENT, 0};
	size_t len = 3 + saturation(pdu + 3);
	if (!m->sent.count)
		m->sent.written_us = now_us();
	for (unsigned i = 0; i < (run.rate > 0 ? 1 : BURST); i++) {
		if (m->sent.count >= run.amount)
			return;
		m->waits = !say(m, pdu, len);
		if (m->waits)
			return;
		m->sent.count++;
	}
	plan_next(m, now);
}

/* True when nothing of it is left to do. */
static bool finished(struct meter *m, int64_t now)
{
	int left = 0;
	if (cuffs)
		return now >= run.end_us && !m->sent.first;
	if (m->sent.count < run.amount ||
		(m->fd >= 0 && ioctl(m->fd, SIOCOUTQ, &left) == 0 && left))
		return false;
	if (!m->sent.told_us)
		m->sent.told_us = now;
	return true;
}

/* the run */

static void run_order(const char *text)
{
	run = (struct run){0};
	if (sscanf(text, "run %u %lf %lf %lf %lld", &run.links, &run.rate, &run.amount, &run.phase,
		    &run.next) != 5 ||
		run.links < 1 || run.links > n_meters)
		exit(2);
	n_stamps = 0;
	for (unsigned i = 0; i < n_meters; i++)
		meters[i].sent = (struct stamp){0};
}

static void run_start(int64_t now)
{
	for (unsigned i = 0; i < run.links; i++)
		if (!meters[i].subscribed)
			return;
	run.started = true;
	run.end_us = now + (int64_t)(run.amount * 1e6);
	for (unsigned i = 0; i < run.links; i++)
		plan_next(&meters[i], now);
	printf("start %lld\n", (long long)now);
	fflush(stdout);
}

static void run_end(int64_t now)
{
	bool all = true;
	for (unsigned i = 0; i < run.links; i++)
		all &= finished(&meters[i], now);
	if (!all)
		return;
	for (unsigned i = 0; i < run.links && !cuffs; i++) {
		meters[i].sent.first = run.next + (long long)i * (long long)run.amount;
		stamp_keep(&meters[i].sent);
	}
	for (size_t i = 0; i < n_stamps; i++)
		printf("sent %lld %u %lld %lld\n", stamps[i].first, stamps[i].count,
			(long long)stamps[i].written_us, (long long)stamps[i].told_us);
	puts("end");
	fflush(stdout);
	run = (struct run){0};
}

static bool wants_turn(const struct meter *m)
{
	if (!run.started || !m->subscribed || m->waits)
		return false;
	return cuffs ? m->sent.first || m->due_us < run.end_us : m->sent.count < run.amount;
}

static void take_turns(int64_t now)
{
	for (unsigned i = 0; i < run.links; i++)
		if (wants_turn(&meters[i]) && now >= meters[i].due_us) {
			if (cuffs)
				indicate(&meters[i]);
			else
				notify(&meters[i], now);
		}
}

/* Microseconds until something is due. */
static int64_t patience(int64_t now)
{
	int64_t best = 10 * SECOND_US;
	bool written = run.started && !cuffs;
	if (run.started && cuffs && run.end_us > now)
		best = run.end_us - now;
	for (unsigned i = 0; i < run.links; i++) {
		int64_t left = meters[i].due_us - now;
		if (wants_turn(&meters[i]))
			best = left < best ? left : best;
		written &= meters[i].sent.count >= run.amount;
	}
	if (written)
		return LOOK_US;
	return best > 0 ? best : 0;
}

/* the links */

static void hear(struct meter *m)
{
	uint8_t pdu[600], out[2 * MTU];
	ssize_t n = recv(m->fd, pdu, sizeof(pdu), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hang_up(m);
	} else if (pdu[0] == CONFIRMATION) {
		confirmed(m);
	} else {
		size_t len = respond(m, pdu, (size_t)n, out);
		if (len && !say(m, out, len) && m->fd >= 0)
			die("no room for an answer");
	}
}

static void meter_turn(struct meter *m, short events)
{
	if (m->fd < 0 && events) {
		m->fd = accept(m->listener, NULL, NULL);
		return;
	}
	if (events & POLLOUT)
		m->waits = false;
	if (events & (POLLIN | POLLHUP | POLLERR))
		hear(m);
}

static void wait_turn(void)
{
	struct pollfd fds[METERS_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	for (unsigned i = 0; i < n_meters; i++) {
		const struct meter *m = &meters[i];
		fds[i + 1] = (struct pollfd){.fd = m->fd < 0 ? m->listener : m->fd,
			.events = (short)(POLLIN | (m->waits && !cuffs ? POLLOUT : 0))};
	}
	int64_t us = patience(now_us());
	struct timespec t = {.tv_sec = us / SECOND_US, .tv_nsec = us % SECOND_US * 1000};
	if (ppoll(fds, n_meters + 1, &t, NULL) < 0 && errno != EINTR)
		die("poll");
	for (unsigned i = 0; i < n_meters; i++)
		meter_turn(&meters[i], fds[i + 1].revents);
	if (!fds[0].revents)
		return;
	char order[200];
	ssize_t n = read(STDIN_FILENO, order, sizeof(order) - 1);
	if (n <= 0)
		exit(0);
	order[n] = 0;
	run_order(order);
}

/* 2A35 of 1810 or 2A5F of 1822 */
static void be(const char *kind)
{
	cuffs = strcmp(kind, "cuff") == 0;
	if (!cuffs && strcmp(kind, "oximeter") != 0)
		exit(2);
	unsigned type = cuffs ? 0x2a35 : 0x2a5f;
	uint8_t *declaration = table[OF_DECLARATION].bytes;
	put16(table[OF_SERVICE].bytes, cuffs ? 0x1810 : 0x1822);
	declaration[0] = cuffs ? MAY_INDICATE : MAY_NOTIFY;
	put16(declaration + 1, MEASUREMENT);
	put16(declaration + 3, type);
	table[OF_MEASUREMENT].type = (uint16_t)type;
}

static void listen_at(struct meter *m, char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	m->fd = -1;
	m->listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	if (m->listener < 0 || bind(m->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(m->listener, 1) < 0)
		die(path);
	m->serial = basename(path);
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc - 2 > METERS_MAX)
		return 2;
	be(argv[1]);
	for (; n_meters < (unsigned)argc - 2; n_meters++)
		listen_at(&meters[n_meters], argv[n_meters + 2]);
	for (;;) {
		wait_turn();
		int64_t now = now_us();
		take_turns(now);
		if (run.links && !run.started)
			run_start(now);
		if (run.started)
			run_end(now);
	}
}
