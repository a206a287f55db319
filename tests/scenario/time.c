/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The clocks of a scenario, and what becomes due while its time passes. */
#include "scenario.h"

#include "daily.h"
#include "day.h"
#include "digest.h"
#include "watch.h"

#include <errno.h>

#define STARTED_US INT64_C(1577836800000000) /* 2020-01-01: before any scenario */
#define BOOT_US (20 * CLOCK_SECOND_US)	     /* so long a machine takes until the daemon runs */

static int64_t now_us = STARTED_US, began_us = STARTED_US; /* began: CLOCK_BOOTTIME 0 */
static uint8_t boot_id[16];

int64_t __wrap_clock_utc_us(void);
int64_t __wrap_clock_boot_us(void);
const uint8_t *__wrap_clock_boot_id(void);
int __wrap_clock_synced(void);

int64_t __wrap_clock_utc_us(void)
{
	return now_us;
}

/* The machine never rests and its clock never steps. */
int64_t __wrap_clock_boot_us(void)
{
	return now_us - began_us;
}

const uint8_t *__wrap_clock_boot_id(void)
{
	return boot_id;
}

/* Whatever the machine says that runs this. */
int __wrap_clock_synced(void)
{
	return clock_plausible(now_us);
}

void time_start(void)
{
	now_us = began_us = STARTED_US;
	memset(boot_id, 0, sizeof(boot_id));
}

static int64_t watch(struct site *s)
{
	int64_t next_us = INT64_MAX;
	if (watch_look(&s->gateway, s->db, now_us, now_us - began_us, &next_us) < 0)
		refuse("what is due cannot be told: %s", db_error(s->db));
	return next_us == INT64_MAX ? next_us : next_us + began_us;
}

/* The rules of a day, as the daemon's morning does it. True: it was their hour. */
static bool judge_day(struct site *s)
{
	struct gateway *g = &s->gateway;
	char day[DAY_TEXT];
	digest_wanted(g, DIGEST_ALERTS, now_us, day);
	if (!day[0] || streq(day, s->judged))
		return false;
	memcpy(s->judged, day, sizeof(day));
	if (digest_stored(s->db, DIGEST_ALERTS, day, now_us) || !daily_needed(g, s->db))
		return false;
	struct digest_build *b = digest_begin(g, DIGEST_ALERTS, day);
	int rc = b ? 1 : -ENOMEM;
	while (rc > 0)
		rc = digest_portion(b, g, s->db, CLOCK_SECOND_US);
	if (rc < 0 || digest_keep(b, g, s->db, now_us) < 0)
		refuse("the rules of %s cannot be judged: %s", day, db_error(s->db));
	digest_drop(b);
	return true;
}

/* When rules of a day will be wanted: at their hour, or when the clock can be right. */
static int64_t next_day_us(const struct site *s)
{
	int minute = day_minute(s->gateway.config->lists_at);
	if (!clock_plausible(now_us))
		return CLOCK_PLAUSIBLE_US;
	int64_t today_us = day_at_us(day_of(now_us), minute);
	return today_us > now_us ? today_us : day_at_us(day_of(now_us) + 1, minute);
}

/* Tells what is due now; when something will be next. */
static int64_t look(struct site *s)
{
	site_begin(s);
	int64_t next_us = watch(s);
	if (judge_day(s))
		next_us = watch(s);
	site_end(s, true);
	return MIN(next_us, next_day_us(s));
}

void time_pass(struct site *s, int64_t until_us)
{
	if (until_us < now_us)
		refuse("it lies before the line above");
	for (int64_t next_us; s->alerts && (next_us = look(s)) <= until_us; now_us = next_us)
		if (next_us <= now_us)
			refuse("what was due was told, and is due still");
	now_us = until_us;
}

static void begin(struct site *s)
{
	site_begin(s);
	if (watch_begin(&s->gateway, s->db, now_us, now_us - began_us, true) < 0)
		refuse("the watch cannot begin: %s", db_error(s->db));
	site_end(s, true);
}

void time_restart(struct site *s, const char *what)
{
	bool boot = what && streq(what, "boot");
	if (!boot && (!what || !streq(what, "process")))
		refuse("%s does not start again", what ? what : "null");
	site_reopen(s);
	if (boot) {
		boot_id[0]++;
		began_us = now_us - BOOT_US;
	}
	begin(s);
}

void time_begin(struct site *s)
{
	if (s->alerts)
		begin(s);
}
