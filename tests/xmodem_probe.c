/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The receiver of files on a real line, for tests/test_xmodem_lrzsz.py: `xmodem_probe LINE FOLDER KEEP_MS SPEED CHECK`
 * runs the driver in the session code of the daemon, writes each study to FOLDER/N and keeps its unit KEEP_MS later.
 * All times are SPEED times shorter, because a test is not to wait for what a person would. Tells what happens:
 * "study N BYTES", "event TYPE DETAIL".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"
#include "session.h"
#include "util.h"

#define NEVER INT64_MAX
#define UNITS_MAX 64

static struct {
	struct vg_session *session;
	const char *folder, *check;
	int fd, speed, keep_ms;
	int64_t timer_us, gap_us;
	unsigned studies, n_units;
	struct {
		vg_ticket ticket;
		int64_t due_us;
	} units[UNITS_MAX];
} probe;

static int64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000) * probe.speed;
}

static int64_t in_ms(unsigned ms)
{
	return ms ? clock_us() + ms * INT64_C(1000) : NEVER;
}

static void on_send(void *arg, unsigned channel, const void *bytes, size_t len)
{
	(void)arg;
	(void)channel;
	if (write(probe.fd, bytes, len) != (ssize_t)len)
		exit(1);
}

static void on_timer(void *arg, unsigned ms)
{
	(void)arg;
	probe.timer_us = in_ms(ms);
}

static void on_gap(void *arg, unsigned ms)
{
	(void)arg;
	probe.gap_us = in_ms(ms);
}

static void on_done(void *arg, const char *why)
{
	(void)arg;
	printf("done %s\n", why);
}

static const char *on_option(void *arg, const char *name)
{
	(void)arg;
	return streq(name, "check") ? probe.check : NULL;
}

static void write_study(const struct bytes *study)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%u", probe.folder, ++probe.studies);
	FILE *f = fopen(path, "w");
	if (!f || fwrite(study->at, 1, study->len, f) != study->len || fclose(f))
		exit(1);
	printf("study %u %zu\n", probe.studies, study->len);
}

static void on_submit(void *arg, struct unit *u)
{
	(void)arg;
	for (const struct happening *e = u->events; e; e = e->next)
		printf("event %s %s\n", e->type, e->detail);
	if (u->study.len)
		write_study(&u->study);
	if (u->ticket && probe.n_units < UNITS_MAX) {
		probe.units[probe.n_units].ticket = u->ticket;
		probe.units[probe.n_units++].due_us = clock_us() + probe.keep_ms * INT64_C(1000);
	}
	fflush(stdout);
	unit_free(u);
}

static void run_out(void)
{
	struct vg_now now;
	clock_now(&now);
	int64_t at_us = clock_us();
	if (probe.timer_us <= at_us) {
		probe.timer_us = NEVER;
		session_expired(probe.session, &now);
	}
	if (probe.gap_us <= at_us) {
		probe.gap_us = NEVER;
		session_gap(probe.session, &now);
	}
	if (probe.n_units && probe.units[0].due_us <= at_us) {
		vg_ticket ticket = probe.units[0].ticket;
		memmove(probe.units, probe.units + 1, --probe.n_units * sizeof(probe.units[0]));
		session_verdict(probe.session, ticket, 0, &now);
	}
}

/* False: the line is gone. */
static bool listen(void)
{
	int64_t next_us = MIN(probe.timer_us, probe.gap_us);
	if (probe.n_units)
		next_us = MIN(next_us, probe.units[0].due_us);
	int64_t wait_us = next_us == NEVER ? 1000000 : MAX(next_us - clock_us(), 0) / probe.speed;
	struct pollfd p = {.fd = probe.fd, .events = POLLIN};
	uint8_t bytes[4096];
	if (poll(&p, 1, (int)(wait_us / 1000) + 1) > 0) {
		ssize_t n = read(probe.fd, bytes, sizeof(bytes));
		struct vg_now now;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		clock_now(&now);
		session_stream(probe.session, bytes, (size_t)n, &now);
	}
	run_out();
	return true;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("usage: xmodem_probe LINE FOLDER KEEP_MS SPEED CHECK\n", stderr);
		return 2;
	}
	static const struct session_ops ops = {.send = on_send,
		.timer = on_timer,
		.gap = on_gap,
		.done = on_done,
		.submit = on_submit,
		.option = on_option};
	struct vg_now now;
	clock_now(&now);
	probe.fd = open(argv[1], O_RDWR | O_NOCTTY);
	probe.folder = argv[2];
	probe.keep_ms = atoi(argv[3]);
	probe.speed = MAX(atoi(argv[4]), 1);
	probe.check = argv[5];
	probe.timer_us = probe.gap_us = NEVER;
	if (probe.fd < 0)
		return 1;
	probe.session = session_new(&(struct session_start){.driver = drivers_find(NULL, "xmodem"),
					    .number = 1,
					    .uid = "line:probe",
					    .ops = &ops},
		&now);
	while (probe.session && listen())
		;
	return 0;
}
