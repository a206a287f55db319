/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "day.h"

#include "clock.h"
#include "util.h"

static bool leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && leap(year));
}

int32_t day_from(int year, int month, int day)
{
	if (year < 1800 || year > 9999 || month < 1 || month > 12 || day < 1 ||
		day > month_days(year, month))
		return DAY_NONE;
	/* years begin in March, so that the leap day is the last */
	int y = year - (month <= 2), m = (month + 9) % 12;
	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

void day_split(int32_t day, int *ret_year, int *ret_month, int *ret_day)
{
	int32_t n = day + 719468, era = n / 146097, of_era = n % 146097;
	int y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
	*ret_day = of_year - (153 * m + 2) / 5 + 1;
	*ret_month = m < 10 ? m + 3 : m - 9;
	*ret_year = era * 400 + y + (*ret_month <= 2);
}

int32_t day_of(int64_t utc_us)
{
	struct vg_civil c = clock_civil(utc_us);
	return day_from(c.year, c.month, c.day);
}

int64_t day_begin_us(int32_t day)
{
	return day_at_us(day, 0);
}

int64_t day_at_us(int32_t day, int minute)
{
	int y, m, d;
	int64_t us = 0;
	day_split(day, &y, &m, &d);
	struct vg_civil c = {(uint16_t)y, (uint8_t)m, (uint8_t)d, (uint8_t)(minute / 60),
		(uint8_t)(minute % 60), 0};
	clock_civil_utc(&c, &us);
	return us;
}

int day_minute(const char *text)
{
	return (text[0] - '0') * 600 + (text[1] - '0') * 60 + (text[3] - '0') * 10 + text[4] - '0';
}

int32_t day_read(const char *text)
{
	static const char shape[] = "0000-00-00";
	int n[3] = {0}, part = 0;
	if (!text || strlen(text) != sizeof(shape) - 1)
		return DAY_NONE;
	for (size_t i = 0; shape[i]; i++) {
		if (shape[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9')
			return DAY_NONE;
		if (shape[i] == '-')
			part++;
		else
			n[part] = n[part] * 10 + (text[i] - '0');
	}
	return day_from(n[0], n[1], n[2]);
}

char *day_text(char out[static DAY_TEXT], int32_t day)
{
	int y, m, d;
	day_split(day, &y, &m, &d);
	snprintf(out, DAY_TEXT, "%04u-%02u-%02u", (unsigned)y % 10000, (unsigned)m % 100,
		(unsigned)d % 100);
	return out;
}

int32_t day_add_months(int32_t day, int months)
{
	int y, m, d;
	day_split(day, &y, &m, &d);
	int n = y * 12 + m - 1 + months;
	y = n / 12;
	m = n % 12 + 1;
	return day_from(y, m, MIN(d, month_days(y, m)));
}

/* ages */

/* Completed years from one day to a later one; *ret_exact: it is an anniversary. */
static int years_between(int32_t from, int32_t to, bool *ret_exact)
{
	int y, m, d, y2, m2, d2;
	day_split(from, &y, &m, &d);
	day_split(to, &y2, &m2, &d2);
	if (m == 2 && d == 29 && !leap(y2)) {
		m = 3;
		d = 1;
	}
	*ret_exact = m == m2 && d == d2;
	return y2 - y - (m2 < m || (m2 == m && d2 < d));
}

static bool read_band(const char *birth, int *lo, int *hi, int32_t *on)
{
	int end = 0;
	if (sscanf(birth, "%3d-%3d@%n", lo, hi, &end) != 2 || !end || *lo < 0 || *hi < *lo ||
		*hi > 130)
		return false;
	*on = day_read(birth + end);
	return *on != DAY_NONE;
}

static int read_year(const char *birth)
{
	bool digits = strlen(birth) == 4 && strspn(birth, "0123456789") == 4;
	int year = digits ? atoi(birth) : 0;
	return year > 1880 ? year : 0;
}

bool age_read(const char *birth)
{
	int lo, hi;
	int32_t on, day = day_read(birth);
	return (day != DAY_NONE && day > day_from(1880, 12, 31)) || read_year(birth) ||
	       read_band(birth, &lo, &hi, &on);
}

struct age age_on(const char *birth, int32_t day)
{
	int lo, hi, y, m, d;
	int32_t on;
	bool exact;
	if (!birth || !age_read(birth))
		return (struct age){0};
	if (day_read(birth) != DAY_NONE) {
		lo = years_between(day_read(birth), day, &exact);
		return (struct age){true, lo, lo};
	}
	if (read_year(birth)) {
		day_split(day, &y, &m, &d);
		return (struct age){true, y - read_year(birth) - 1, y - read_year(birth)};
	}
	if (!read_band(birth, &lo, &hi, &on))
		return (struct age){0};
	bool later = day >= on;
	int k = years_between(later ? on : day, later ? day : on, &exact);
	if (later)
		return (struct age){true, lo + k, hi + k + !exact};
	return (struct age){true, lo - k - !exact, hi - k};
}

int age_at_least(struct age a, int64_t years)
{
	if (!a.known || (a.lo < years && a.hi >= years))
		return -1;
	return a.lo >= years;
}
