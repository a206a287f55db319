/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "vitalgate";
static enum log_level log_max = LOG_INFO;
static int log_terminal = -1;

void log_init(const char *program, enum log_level max)
{
	log_program = program;
	log_max = max;
	log_terminal = isatty(STDERR_FILENO);
}

void log_line(enum log_level level, const char *unit, const char *format, ...)
{
	if (level > log_max)
		return;
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++) /* what somebody sent must not look like a line of ours */
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (log_terminal > 0)
		fprintf(stderr, "%s %s: %s\n", log_program, unit, text);
	else
		fprintf(stderr, "<%d>%s %s: %s\n", level, log_program, unit, text);
}

int log_allowed(struct log_limit *l, unsigned burst, unsigned *ret_held_back)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	long long now_us = t.tv_sec * 1000000LL + t.tv_nsec / 1000;
	if (!l->window_us || now_us - l->window_us >= 60000000) {
		*ret_held_back = l->held_back;
		*l = (struct log_limit){.window_us = now_us, .said = 1};
		return 1;
	}
	*ret_held_back = 0;
	if (l->said >= burst) {
		l->held_back++;
		return 0;
	}
	l->said++;
	return 1;
}
