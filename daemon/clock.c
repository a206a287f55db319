/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "clock.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timex.h>
#include <time.h>

#define DAY_US (INT64_C(86400) * CLOCK_SECOND_US)
#define AHEAD_US \
	(5 * 60 * CLOCK_SECOND_US) /* a device clock may be this far ahead of ours unasked */
#define MEMORY_US (400 * DAY_US)   /* records older than this are a reset clock, not memory */
#define DEVICE_UNCERTAINTY_US (5 * 60 * CLOCK_SECOND_US)
#define LIVE_UNCERTAINTY_US (60 * CLOCK_SECOND_US)
#define EPOCH_SLACK_US (5 * CLOCK_SECOND_US) /* at both ends: clocks tell whole seconds */
#define EARLIER_UNCERTAINTY_US \
	(60 * CLOCK_SECOND_US) /* by an epoch that is over: it drifted since it was seen */

static int64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return t.tv_sec * CLOCK_SECOND_US + t.tv_nsec / 1000;
}

int64_t clock_utc_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_boot_us(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

const uint8_t *clock_boot_id(void)
{
	static uint8_t id[16];
	static bool known;
	if (known)
		return id;
	known = true;
	char text[64] = "", digits[33];
	size_t n = 0;
	_cleanup_(fclosep) FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (f && fgets(text, sizeof(text), f)) {
		for (const char *p = text; *p && n < 32; p++)
			if (*p != '-' && *p != '\n')
				digits[n++] = *p;
		digits[n] = 0;
		if (n != 32 || !unhex(id, 16, digits))
			memset(id, 0, sizeof(id));
	}
	return id;
}

void clock_now(struct vg_now *ret)
{
	ret->utc_us = clock_utc_us();
	ret->boot_us = clock_boot_us();
	ret->civil = clock_civil(ret->utc_us);
}

bool clock_plausible(int64_t utc_us)
{
	return utc_us >= CLOCK_PLAUSIBLE_US;
}

int clock_synced(void)
{
	struct timex t = {0}; /* asks only */
	return adjtimex(&t) < 0 ? -errno : !(t.status & STA_UNSYNC);
}

static _Atomic unsigned zones = 1; /* that were set so far */

void clock_set_zone(const char *zone)
{
	zones++;
	setenv("TZ", zone, 1);
	tzset();
}

struct vg_civil clock_civil(int64_t utc_us)
{
	/* asked for each value that comes, and dear: the zone's rules are looked at anew each time */
	static _Thread_local struct {
		time_t t;
		unsigned zone;
		struct vg_civil civil;
	} last;
	time_t t = (time_t)(utc_us / CLOCK_SECOND_US);
	struct tm tm;
	if (t == last.t && zones == last.zone)
		return last.civil;
	if (!localtime_r(&t, &tm))
		return (struct vg_civil){0};
	last.t = t;
	last.zone = zones;
	last.civil = (struct vg_civil){(uint16_t)(tm.tm_year + 1900), (uint8_t)(tm.tm_mon + 1),
		(uint8_t)tm.tm_mday, (uint8_t)tm.tm_hour, (uint8_t)tm.tm_min, (uint8_t)tm.tm_sec};
	return last.civil;
}

bool clock_civil_known(const struct vg_civil *c)
{
	static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
	return c->year >= 1880 && c->year <= 9999 && c->month >= 1 && c->month <= 12 &&
	       c->day >= 1 && c->day <= days[c->month - 1] &&
	       (c->month != 2 || c->day <= 28 + leap) && c->hour < 24 && c->minute < 60 &&
	       c->second < 60;
}

/* Seconds east of UTC that the zone shows at `t`. */
static time_t zone_offset(time_t t)
{
	struct tm tm;
	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* mktime() is of no use here: it wants to be told whether summer time holds, and lands on the day before
 * when summer time begins at midnight. The zone shows at most two offsets around a civil time. */
bool clock_civil_utc(const struct vg_civil *c, int64_t *ret_utc_us)
{
	if (!clock_civil_known(c))
		return false;
	struct tm tm = {.tm_year = c->year - 1900,
		.tm_mon = c->month - 1,
		.tm_mday = c->day,
		.tm_hour = c->hour,
		.tm_min = c->minute,
		.tm_sec = c->second};
	time_t shown = timegm(&tm);
	time_t before = shown - zone_offset(shown - 86400),
	       after = shown - zone_offset(shown + 86400);
	time_t t = MAX(before, after), other = MIN(before, after);
	if (t + zone_offset(t) != shown && other + zone_offset(other) == shown)
		t = other;
	*ret_utc_us = (int64_t)t * CLOCK_SECOND_US;
	return true;
}

char *clock_civil_text(char *out, const struct vg_civil *c)
{
	snprintf(out, 20, "%04u-%02u-%02uT%02u:%02u:%02u", c->year % 10000u, c->month % 100u,
		c->day % 100u, c->hour % 100u, c->minute % 100u, c->second % 100u);
	return out;
}

bool clock_date_utc(const char *text, int64_t *ret_utc_us)
{
	unsigned y, m, d;
	int end = 0;
	if (sscanf(text, "%4u-%2u-%2u%n", &y, &m, &d, &end) != 3 || text[end])
		return false;
	struct vg_civil c = {(uint16_t)y, (uint8_t)m, (uint8_t)d, 0, 0, 0};
	return clock_civil_utc(&c, ret_utc_us);
}

const char *trust_name(enum trust t)
{
	static const char *const names[] = {"corrected", "live", "device", "arrival", "unknown"};
	return names[t];
}

enum trust trust_named(const char *name)
{
	enum trust t = TRUST_CORRECTED;
	while (t < TRUST_UNKNOWN && strcmp(name, trust_name(t)) != 0)
		t++;
	return t;
}

/* The instants at which an undisturbed clock can have shown one time: in each epoch at most one. */
struct candidates {
	unsigned n;
	int64_t newest_us; /* by the epoch that holds, else by the latest that fits */
	int64_t uncertainty_us;
	int64_t low_us, high_us;
};

static void consider(struct candidates *c, const struct when_input *in, int64_t t, int64_t from_us,
	int64_t to_us, int64_t uncertainty_us)
{
	if (from_us > INT64_MIN + EPOCH_SLACK_US && t < from_us - EPOCH_SLACK_US)
		return;
	if (to_us < INT64_MAX - EPOCH_SLACK_US && t > to_us + EPOCH_SLACK_US)
		return;
	if (t > in->arrived_us + AHEAD_US || t < in->arrived_us - MEMORY_US)
		return;
	t = MIN(t, in->arrived_us);
	c->low_us = c->n ? MIN(c->low_us, t) : t;
	c->high_us = c->n ? MAX(c->high_us, t) : t;
	c->newest_us = t;
	c->uncertainty_us = uncertainty_us;
	c->n++;
}

/* A record belongs to the epoch in which its time can have been shown. Fits none: it is from a time of which
 * we know nothing. Several: the newest, with the distance between them as doubt. */
static bool by_epochs(const struct when_input *in, int64_t device_us, struct when *ret)
{
	struct candidates c = {0};
	for (size_t i = 0; i < in->n_epochs; i++) {
		const struct clock_epoch *e = &in->epochs[i];
		bool holds = i + 1 == in->n_epochs;
		consider(&c, in, device_us - e->offset_us, e->from_us, e->to_us,
			holds ? CLOCK_SECOND_US : EARLIER_UNCERTAINTY_US);
	}
	if (in->set_us)
		consider(&c, in, device_us, in->set_us, INT64_MAX, CLOCK_SECOND_US);
	/* Some date what they hold when they tell it, by the clock that was just set. */
	bool told_late = !c.n && in->set_us;
	if (told_late)
		consider(&c, in, device_us, INT64_MIN, INT64_MAX, DEVICE_UNCERTAINTY_US);
	if (!c.n)
		return false;
	bool sure = c.high_us - c.low_us <= EARLIER_UNCERTAINTY_US;
	*ret = (struct when){c.newest_us, MAX(c.uncertainty_us, c.high_us - c.low_us),
		sure && !told_late ? TRUST_CORRECTED : TRUST_DEVICE};
	return true;
}

struct when clock_decide(const struct when_input *in)
{
	int64_t device_us;
	bool device = in->device && clock_civil_utc(in->device, &device_us);
	struct when w;
	if (!clock_plausible(in->arrived_us))
		return (struct when){in->arrived_us, INT64_MAX, TRUST_UNKNOWN};
	bool by_device = device && in->n_epochs && by_epochs(in, device_us, &w);
	/* a clock that was compared says it to the second, and knows of what waited for us */
	if (by_device && (!in->live || w.trust == TRUST_CORRECTED))
		return w;
	if (in->live)
		return (struct when){in->arrived_us, LIVE_UNCERTAINTY_US, TRUST_LIVE};
	if (device && !in->n_epochs && device_us <= in->arrived_us + AHEAD_US &&
		device_us >= in->arrived_us - MEMORY_US)
		return (struct when){device_us, DEVICE_UNCERTAINTY_US, TRUST_DEVICE};
	return (struct when){in->arrived_us, MEMORY_US, TRUST_ARRIVAL};
}

/* The number in two digits; a large one when they are none. */
static unsigned two_digits(const char *text)
{
	bool digits = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';
	return digits ? (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0') : 1000;
}

bool clock_civil_read(const char *text, struct vg_civil *ret)
{
	static const char shape[] = "00-0-0T0:0:0"; /* 0: two digits */
	unsigned n[7], count = 0;
	const char *p = text;
	if (!text)
		return false;
	for (const char *s = shape; *s; s++) {
		if (*s != '0' && *p++ != *s)
			return false;
		if (*s != '0')
			continue;
		n[count] = two_digits(p);
		if (n[count++] > 99)
			return false;
		p += 2;
	}
	*ret = (struct vg_civil){(uint16_t)(n[0] * 100 + n[1]), (uint8_t)n[2], (uint8_t)n[3],
		(uint8_t)n[4], (uint8_t)n[5], (uint8_t)n[6]};
	if (!clock_civil_known(ret))
		return false;
	if (!*p)
		return true;
	if ((*p != '+' && *p != '-') || strlen(p) != 6 || p[3] != ':')
		return false;
	unsigned hours = two_digits(p + 1), minutes = two_digits(p + 4);
	if (hours > 14 || minutes > 59)
		return false;
	int64_t east_s = (int64_t)(hours * 60 + minutes) * (*p == '-' ? -60 : 60);
	struct tm t = {.tm_year = ret->year - 1900,
		.tm_mon = ret->month - 1,
		.tm_mday = ret->day,
		.tm_hour = ret->hour,
		.tm_min = ret->minute,
		.tm_sec = ret->second};
	*ret = clock_civil((timegm(&t) - east_s) * CLOCK_SECOND_US);
	return true;
}
