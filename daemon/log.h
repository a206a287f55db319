/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log lines on stderr with the syslog prefix that systemd reads ("<4>"), plain on a terminal.
 * The first argument names the unit ("cuff-1", "store"); no line carries a person's data.
 * Whoever decides, logs once.
 */
#pragma once

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_INFO = 6, LOG_DETAIL = 7 };

void log_init(const char *program, enum log_level max);
void log_line(enum log_level level, const char *unit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_note(...) log_line(LOG_NOTE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_detail(...) log_line(LOG_DETAIL, __VA_ARGS__)

/* At most `burst` lines a minute per cause; false = say nothing, the number kept back is told later. */
struct log_limit {
	long long window_us;
	unsigned said, held_back;
};
int log_allowed(struct log_limit *l, unsigned burst, unsigned *ret_held_back);
