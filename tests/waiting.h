/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For tests that run an event loop: they wait until something is so, never for a guessed time. */
#ifndef TEST_WAITING_H
#define TEST_WAITING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static inline long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For anything that is to happen: a busy machine is no failure. */
#define WAIT_LIMIT_MS 60000

/* turn(rig) is the including file's: one turn of its loop. */
#define WAIT(rig, condition)                                                                 \
	do {                                                                                 \
		long end_ms = now_ms() + WAIT_LIMIT_MS;                                      \
		while (!(condition)) {                                                       \
			if (now_ms() > end_ms)                                               \
				fail_msg("not within %d ms: %s", WAIT_LIMIT_MS, #condition); \
			turn(rig);                                                           \
		}                                                                            \
	} while (0)

/* How often `word` stands in what was written to `log`. */
static inline unsigned log_lines(int log, const char *word)
{
	static char text[65536];
	ssize_t n = pread(log, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = 0;
	unsigned count = 0;
	for (char *p = text; (p = strstr(p, word)); p++)
		count++;
	return count;
}

#endif
