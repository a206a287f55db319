/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bench's instruments: several analysers that speak LIS01-A2 as fast as they are let, or at a steady
 * rate. In C, so that the sender is never what is measured. tests/sim/analyser.py says the protocol; this
 * one makes no faults.
 *
 *   analysers RESIDENTS LINK...      makes a pty for each LINK and symlinks its slave there
 *
 * Orders on standard input, one a line:
 *   run LINES RESULTS SHAPE RATE SECONDS PHASE FIRST [VALUE]
 *     LINES    how many of the lines send
 *     RESULTS  in a message
 *     SHAPE    message: one frame for all; results: a frame for each; stream: as message, but no answer
 *              is waited for
 *     RATE     messages a second and line; 0: the next one at once
 *     SECONDS  messages that are due in them are sent, however late: one at least when RATE is 0
 *     PHASE    share of the period by which the messages lie behind the full period of CLOCK_BOOTTIME, so
 *              that several senders do not meet; the lines are spread over the period
 *     FIRST    number of the first result: its specimen is S-<number>
 *     VALUE    of each result, mmol/L of glucose; 5.2, which calls nobody, when there is none
 * Answers: "start US" when all lines are open, then, when the last message is through, "sent FIRST COUNT
 * WRITTEN_US TOLD_US" for each frame with results, and "end". WRITTEN_US is taken just before the write of
 * the last byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 16
#define FRAME_MAX 65536
#define SECOND_US INT64_C(1000000)
#define PATIENCE_US (2 * SECOND_US) /* for an answer; then the message begins anew */
#define SETTLE_US 2000		    /* whoever opens a port still flushes it */
#define LOOK_US 5000 /* a port that nobody has open tells nothing when it is opened */

enum { STX = 2, ETX = 3, EOT = 4, ENQ = 5, ACK = 6 };

struct run {
	unsigned lines, results;
	bool each, stream;
	double rate, seconds, phase;
	unsigned next; /* result */
	char value[16];
	bool started;
	int64_t end_us;
};

struct stamp {
	unsigned first, count;
	int64_t written_us, told_us;
};

struct line {
	int fd;
	enum { AWAY, SETTLING, IDLE, ASKED, SENDING, WAITING } state;
	int64_t due_us; /* SETTLING: usable; IDLE: next message; ASKED, WAITING: patience ends */
	unsigned first; /* result of the message at hand; 0: none */
	unsigned frame; /* of it, from 1 */
	struct stamp stamp;
	size_t at, len;
	char bytes[FRAME_MAX];
};

static struct line lines[LINES_MAX];
static unsigned n_lines, residents;
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

/* what is sent */

static void add(struct line *l, const char *text)
{
	size_t len = strlen(text);
	if (l->len + len > sizeof(l->bytes))
		exit(2);
	memcpy(l->bytes + l->len, text, len);
	l->len += len;
}

static void add_result(struct line *l, unsigned number, const char *clock)
{
	char text[200];
	snprintf(text, sizeof(text),
		"P|1|R-%04u\rO|1|S-%09u||^^^GLU|R|%s|||||N||||||||||||||F\r"
		"R|1|^^^GLU|%s|mmol/L||N||F||||%s\r",
		number * 7919u % residents + 1, number, clock, run.value, clock);
	add(l, text);
}

/* Frame l->frame of the message; returns false when there is none. */
static bool make_frame(struct line *l)
{
	unsigned frames = run.each ? run.results + 2 : 1;
	char text[80], clock[20];
	time_t now = time(NULL);
	struct tm civil;
	if (l->frame > frames)
		return false;
	strftime(clock, sizeof(clock), "%Y%m%d%H%M%S", localtime_r(&now, &civil));
	l->at = l->len = 0;
	l->stamp = (struct stamp){.first = l->first};
	snprintf(text, sizeof(text), "%s%c%u", run.stream ? "\x05" : "", STX, l->frame % 8);
	add(l, text);
	size_t checked = l->len - 1;
	if (l->frame == 1) {
		snprintf(text, sizeof(text), "H|\\^&|||BENCH|||||||P|LIS2-A2|%s\r", clock);
		add(l, text);
	}
	for (unsigned i = 0; i < run.results; i++)
		if (!run.each || l->frame == i + 2) {
			if (!l->stamp.count++)
				l->stamp.first += i;
			add_result(l, l->first + i, clock);
		}
	if (l->frame == frames)
		add(l, "L|1|N\r");
	unsigned sum = ETX;
	for (size_t i = checked; i < l->len; i++)
		sum += (unsigned char)l->bytes[i];
	snprintf(text, sizeof(text), "%c%02X\r\n%s", ETX, sum & 0xff, run.stream ? "\x04" : "");
	add(l, text);
	return true;
}

static void stamp_keep(struct line *l)
{
	if (!l->stamp.count)
		return;
	if (n_stamps == stamps_size) {
		stamps_size = stamps_size ? 2 * stamps_size : 4096;
		stamps = realloc(stamps, stamps_size * sizeof(*stamps));
		if (!stamps)
			die("memory");
	}
	l->stamp.told_us = now_us();
	stamps[n_stamps++] = l->stamp;
}

/* one line */

static void control(const struct line *l, char c)
{
	if (write(l->fd, &c, 1) < 0 && errno != EAGAIN && errno != EIO)
		die("write");
}

static void plan_next(struct line *l, int64_t now)
{
	l->state = IDLE;
	l->due_us = now;
	if (run.rate > 0) {
		double turn = (double)(l - lines) / run.lines;
		int64_t period = (int64_t)(1e6 / run.rate),
			phase = (int64_t)((run.phase + turn) * (double)period);
		l->due_us = (now - phase + period) / period * period + phase;
	}
}

static void send_frame(struct line *l, int64_t now)
{
	l->state = SENDING;
	while (l->at < l->len) {
		int64_t before = now_us();
		ssize_t n = write(l->fd, l->bytes + l->at, l->len - l->at);
		if (n < 0 && (errno == EAGAIN || errno == EIO))
			return;
		if (n < 0)
			die("write");
		l->at += (size_t)n;
		l->stamp.written_us = before;
	}
	l->state = WAITING;
	l->due_us = now + PATIENCE_US;
}

static void next_frame(struct line *l, int64_t now)
{
	l->frame++;
	if (make_frame(l)) {
		send_frame(l, now);
		return;
	}
	if (!run.stream)
		control(l, EOT);
	l->first = 0;
	plan_next(l, now);
}

static void begin_message(struct line *l, int64_t now)
{
	if (!l->first) {
		l->first = run.next;
		run.next += run.results;
	}
	l->frame = 0;
	if (run.stream) {
		next_frame(l, now);
		return;
	}
	l->state = ASKED;
	l->due_us = now + PATIENCE_US;
	control(l, ENQ);
}

/* The answers to ENQ and to a frame; in a stream they are read and passed over. */
static void hear(struct line *l, int64_t now)
{
	char in[512];
	ssize_t n = read(l->fd, in, sizeof(in));
	if (n <= 0 || run.stream || (l->state != ASKED && l->state != WAITING))
		return;
	if (in[n - 1] != ACK) {
		fprintf(stderr, "analysers: answer 0x%02x\n", (unsigned char)in[n - 1]);
		control(l, EOT);
		plan_next(l, now);
		return;
	}
	if (l->state == WAITING)
		stamp_keep(l);
	next_frame(l, now);
}

static bool wants_message(const struct line *l, int64_t now)
{
	return run.started && (l->first || l->due_us < run.end_us) && now >= l->due_us;
}

static void line_turn(struct line *l, int64_t now)
{
	struct pollfd heard = {.fd = l->fd};
	if (l->state == AWAY && poll(&heard, 1, 0) == 0) {
		l->state = SETTLING;
		l->due_us = now + SETTLE_US;
	}
	if (l->state == SETTLING && now >= l->due_us)
		plan_next(l, now);
	if ((l->state == ASKED || l->state == WAITING) && !run.stream && now >= l->due_us) {
		fprintf(stderr, "analysers: no answer\n");
		plan_next(l, now);
	}
	if (l->state == SENDING)
		send_frame(l, now);
	if (l->state == WAITING && run.stream) {
		stamp_keep(l);
		next_frame(l, now);
	}
	if (l->state == IDLE && wants_message(l, now))
		begin_message(l, now);
}

/* the run */

static void run_order(const char *text)
{
	char shape[16];
	run = (struct run){.value = "5.2"};
	if (sscanf(text, "run %u %u %15s %lf %lf %lf %u %15s", &run.lines, &run.results, shape,
		    &run.rate, &run.seconds, &run.phase, &run.next, run.value) < 7 ||
		run.lines < 1 || run.lines > n_lines || run.results < 1)
		exit(2);
	run.each = strcmp(shape, "results") == 0;
	run.stream = strcmp(shape, "stream") == 0;
	n_stamps = 0;
	for (unsigned i = 0; i < n_lines; i++) {
		tcflush(lines[i].fd, TCIFLUSH);
		lines[i].state = AWAY;
		lines[i].first = 0;
	}
}

static void run_start(int64_t now)
{
	for (unsigned i = 0; i < run.lines; i++)
		if (lines[i].state != IDLE)
			return;
	run.started = true;
	run.end_us = now + (int64_t)(run.seconds * 1e6);
	for (unsigned i = 0; i < run.lines; i++)
		plan_next(&lines[i], now);
	printf("start %lld\n", (long long)now);
	fflush(stdout);
}

static void run_end(int64_t now)
{
	for (unsigned i = 0; i < run.lines; i++)
		if (now < run.end_us || lines[i].first || lines[i].state == SENDING)
			return;
	for (size_t i = 0; i < n_stamps; i++)
		printf("sent %u %u %lld %lld\n", stamps[i].first, stamps[i].count,
			(long long)stamps[i].written_us, (long long)stamps[i].told_us);
	puts("end");
	fflush(stdout);
	run = (struct run){0};
}

/* Microseconds until something is due. */
static int64_t patience(int64_t now)
{
	int64_t best = run.started ? run.end_us : INT64_MAX;
	if (best < now)
		best = INT64_MAX;
	for (unsigned i = 0; i < run.lines; i++) {
		const struct line *l = &lines[i];
		int64_t due = l->state == AWAY	    ? now + LOOK_US
			      : l->state == SENDING ? INT64_MAX
						    : l->due_us;
		if (l->state == IDLE && !l->first && run.started && due >= run.end_us)
			continue;
		best = due < best ? due : best;
	}
	return best == INT64_MAX ? 10 * SECOND_US : best > now ? best - now : 0;
}

static void wait_turn(void)
{
	struct pollfd fds[LINES_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	for (unsigned i = 0; i < run.lines; i++) {
		const struct line *l = &lines[i];
		fds[i + 1] = (struct pollfd){.fd = l->state == AWAY ? -1 : l->fd,
			.events = (short)(POLLIN | (l->state == SENDING ? POLLOUT : 0))};
	}
	int64_t us = patience(now_us());
	struct timespec t = {.tv_sec = us / SECOND_US, .tv_nsec = us % SECOND_US * 1000};
	if (ppoll(fds, run.lines + 1, &t, NULL) < 0 && errno != EINTR)
		die("poll");
	int64_t now = now_us();
	for (unsigned i = 0; i < run.lines; i++) {
		if (fds[i + 1].revents & POLLIN)
			hear(&lines[i], now);
		else if (fds[i + 1].revents & POLLHUP)
			lines[i].state = AWAY; /* what was not acknowledged comes again */
	}
	if (!fds[0].revents)
		return;
	char order[200];
	ssize_t n = read(STDIN_FILENO, order, sizeof(order) - 1);
	if (n <= 0)
		exit(0);
	order[n] = 0;
	run_order(order);
}

static void plug(struct line *l, const char *link)
{
	int slave;
	char name[128];
	if (openpty(&l->fd, &slave, name, NULL, NULL) < 0)
		die("openpty");
	struct termios raw;
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	fcntl(l->fd, F_SETFL, O_NONBLOCK);
	unlink(link);
	if (symlink(name, link) < 0)
		die(link);
	close(slave);
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc - 2 > LINES_MAX)
		return 2;
	residents = (unsigned)atoi(argv[1]);
	for (n_lines = 0; n_lines < (unsigned)argc - 2; n_lines++)
		plug(&lines[n_lines], argv[n_lines + 2]);
	for (;;) {
		wait_turn();
		int64_t now = now_us();
		for (unsigned i = 0; i < run.lines; i++)
			line_turn(&lines[i], now);
		if (run.lines && !run.started)
			run_start(now);
		if (run.started)
			run_end(now);
	}
}
