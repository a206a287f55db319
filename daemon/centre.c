/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "centre.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "util.h"

#define DAY_MIN 1440
#define MINUTE_US (60 * CLOCK_SECOND_US)
#define DAY_US (DAY_MIN * MINUTE_US)

struct parser {
	const char *at;
	char *error;
	size_t error_size;
};

static bool __attribute__((format(printf, 2, 3))) fail(struct parser *p, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(p->error, p->error_size, format, args);
	va_end(args);
	return false;
}

/* What was found, for a sentence: to the end of the word. */
static int found(const struct parser *p)
{
	return (int)MIN(strcspn(p->at, " ,"), 30);
}

static bool unexpected(struct parser *p, const char *expected)
{
	if (!*p->at)
		return fail(p, "expected %s, found the end", expected);
	return fail(p, "expected %s, found \"%.*s\"", expected, MAX(found(p), 1), p->at);
}

static void skip_blanks(struct parser *p)
{
	p->at += strspn(p->at, " ");
}

static bool parse_day(struct parser *p, unsigned *ret_day)
{
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	for (unsigned i = 0; i < ELEMENTS(days); i++)
		if (!strncasecmp(p->at, days[i], 3) && !isalnum((unsigned char)p->at[3])) {
			p->at += 3;
			*ret_day = i;
			return true;
		}
	return unexpected(p, "a day (mon, tue, wed, thu, fri, sat, sun), or \"always\" alone");
}

/* Decimal digits, one or two. */
static bool parse_number(struct parser *p, unsigned *ret_value)
{
	size_t n = strspn(p->at, "0123456789");
	if (n < 1 || n > 2)
		return false;
	*ret_value = (unsigned)strtoul(p->at, NULL, 10);
	p->at += n;
	return true;
}

/* Minutes of the day; "24:00" is the end of a day. */
static bool parse_time(struct parser *p, unsigned *ret_min)
{
	static const char expected[] = "a time from 00:00 to 24:00";
	struct parser start = *p;
	unsigned hour, minute;
	if (!parse_number(p, &hour) || *p->at++ != ':' || !parse_number(p, &minute) ||
		p->at[-2] == ':' || minute > 59 || hour * 60 + minute > DAY_MIN)
		return unexpected(&start, expected);
	*ret_min = hour * 60 + minute;
	return true;
}

static bool add_span(struct parser *p, struct centre_hours *h, unsigned day, struct centre_span s)
{
	struct centre_span *spans = h->spans[day];
	unsigned n = h->n[day], i = n;
	if (n == CENTRE_SPANS_MAX)
		return fail(p, "at most %d spans of time a day are possible", CENTRE_SPANS_MAX);
	for (; i && spans[i - 1].from_min > s.from_min; i--)
		spans[i] = spans[i - 1];
	spans[i] = s;
	h->n[day]++;
	struct centre_span *late = i && spans[i - 1].to_min > s.from_min       ? &spans[i]
				   : i < n && spans[i + 1].from_min < s.to_min ? &spans[i + 1]
									       : NULL;
	if (!late)
		return true;
	return fail(p, "%02u:%02u-%02u:%02u overlaps %02u:%02u-%02u:%02u of the same day",
		late[-1].from_min / 60u, late[-1].from_min % 60u, late[-1].to_min / 60u,
		late[-1].to_min % 60u, late->from_min / 60u, late->from_min % 60u,
		late->to_min / 60u, late->to_min % 60u);
}

static bool parse_span(struct parser *p, struct centre_span *ret)
{
	struct parser start = *p;
	unsigned from, to;
	if (!parse_time(p, &from))
		return false;
	if (*p->at != '-')
		return unexpected(&start, "two times such as 08:00-17:30");
	p->at++;
	if (!parse_time(p, &to))
		return false;
	if (*p->at && *p->at != ' ' && *p->at != ',')
		return unexpected(&start, "two times such as 08:00-17:30");
	if (from >= to)
		return fail(p,
			"%.*s ends before it begins; a night is two spans: up to 24:00, and from "
			"00:00 of the next day",
			found(&start), start.at);
	*ret = (struct centre_span){(uint16_t)from, (uint16_t)to};
	return true;
}

/* "mon-fri 08:00-12:00 14:00-17:30" up to the comma or the end. */
static bool parse_item(struct parser *p, struct centre_hours *h)
{
	unsigned first, last;
	if (!parse_day(p, &first))
		return false;
	last = first;
	if (*p->at == '-') {
		p->at++;
		if (!parse_day(p, &last))
			return false;
	}
	if (*p->at != ' ')
		return unexpected(p, "a blank and times such as 08:00-17:30 behind the days");
	skip_blanks(p);
	do {
		struct centre_span s = {0};
		if (!parse_span(p, &s))
			return false;
		for (unsigned day = first;; day = (day + 1) % 7) {
			if (!add_span(p, h, day, s))
				return false;
			if (day == last)
				break;
		}
		skip_blanks(p);
	} while (*p->at && *p->at != ',');
	return true;
}

bool centre_parse(const char *text, struct centre_hours *ret, char *error, size_t error_size)
{
	struct parser p = {text, error, error_size};
	struct centre_hours h = {0};
	skip_blanks(&p);
	if (!*p.at)
		return unexpected(
			&p, "\"always\", or days and times such as \"mon-fri 08:00-17:30\"");
	bool always = streq(text, "always");
	for (unsigned day = 0; always && day < 7; day++) {
		h.n[day] = 1;
		h.spans[day][0] = (struct centre_span){0, DAY_MIN};
	}
	while (!always) {
		if (!parse_item(&p, &h))
			return false;
		if (!*p.at)
			break;
		p.at++; /* the comma */
		skip_blanks(&p);
	}
	*ret = h;
	return true;
}

/* What the clocks of the site show minus UTC. */
static int64_t offset_us(int64_t utc_us)
{
	struct vg_civil c = clock_civil(utc_us);
	struct tm tm = {.tm_year = c.year - 1900,
		.tm_mon = c.month - 1,
		.tm_mday = c.day,
		.tm_hour = c.hour,
		.tm_min = c.minute,
		.tm_sec = c.second};
	return ((int64_t)timegm(&tm) - utc_us / CLOCK_SECOND_US) * CLOCK_SECOND_US;
}

/* Whether the centre is open when its clocks show `shown_us`, and until when by these clocks. */
static bool is_open(const struct centre_hours *h, int64_t shown_us, int64_t *ret_until_us)
{
	int64_t days = shown_us / DAY_US, since_us = shown_us - days * DAY_US;
	unsigned weekday = (unsigned)((days + 3) % 7); /* 1970-01-01 was a Thursday */
	int64_t edge_us = DAY_US;
	bool open = false;
	for (unsigned i = 0; i < h->n[weekday]; i++) {
		const struct centre_span *s = &h->spans[weekday][i];
		if (since_us >= s->to_min * MINUTE_US)
			continue;
		open = since_us >= s->from_min * MINUTE_US;
		edge_us = (open ? s->to_min : s->from_min) * MINUTE_US;
		break;
	}
	*ret_until_us = days * DAY_US + edge_us;
	return open;
}

bool centre_open(const struct centre_hours *h, int64_t utc_us)
{
	int64_t now = MAX(utc_us, 0), until;
	return is_open(h, now + offset_us(now), &until);
}

/* The clocks were moved between `from_us` and `to_us`: the first second that shows it. */
static int64_t moved_at(int64_t from_us, int64_t to_us)
{
	int64_t before = offset_us(from_us);
	int64_t low = from_us / CLOCK_SECOND_US, high = to_us / CLOCK_SECOND_US;
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;
		if (offset_us(middle * CLOCK_SECOND_US) == before)
			low = middle;
		else
			high = middle;
	}
	return high * CLOCK_SECOND_US;
}

int64_t centre_due(const struct centre_hours *h, int64_t received_utc_us, unsigned minutes)
{
	bool ever = false;
	for (unsigned day = 0; day < 7; day++)
		ever |= h->n[day] > 0;
	assert(ever);
	int64_t now = MAX(received_utc_us, 0), left_us = minutes * MINUTE_US;
	while (left_us) {
		int64_t shift_us = offset_us(now), until;
		bool open = is_open(h, now + shift_us, &until);
		until -= shift_us;
		if (offset_us(until) != shift_us)
			until = moved_at(now, until);
		int64_t passed_us = until - now;
		if (open && passed_us >= left_us)
			return now + left_us;
		left_us -= open ? passed_us : 0;
		now = until;
	}
	return now;
}
