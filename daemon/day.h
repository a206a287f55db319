/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Local days, and ages in completed years. A day is a number: days since 1970-01-01 of the calendar that the site's
 * wall shows. Pure but for the zone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DAY_NONE INT32_MIN
#define DAY_TEXT 11 /* "2026-11-21" and its end */

int32_t day_of(int64_t utc_us);
/* 00:00 of the day, as an instant. */
int64_t day_begin_us(int32_t day);
/* The instant at which the wall shows that minute of the day. */
int64_t day_at_us(int32_t day, int minute);
/* "07:30", which was checked before: the minute of the day. */
int day_minute(const char *text);
int32_t day_from(int year, int month, int day); /* DAY_NONE: there is no such day */
void day_split(int32_t day, int *ret_year, int *ret_month, int *ret_day);
/* "YYYY-MM-DD" and nothing else; DAY_NONE. */
int32_t day_read(const char *text);
char *day_text(char out[static DAY_TEXT], int32_t day);
/* The same day so many months later, or that month's last. */
int32_t day_add_months(int32_t day, int months);

/* Between how many completed years somebody can be old. */
struct age {
	bool known;
	int lo, hi;
};
/* `birth`: "1958-03-14", "1958", or a band and the day on which it was so: "60-64@2026-11-01". False: none of these. */
bool age_read(const char *birth);
/* Of whoever was born so, on a day; an unreadable or absent `birth` is unknown. A birthday on 29 February is on 1 March
 * in other years. */
struct age age_on(const char *birth, int32_t day);
/* Whether somebody is at least so old: 1, 0, -1 nobody can say. */
int age_at_least(struct age a, int64_t years);
