/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time that can be argued about. A device shows civil time without zone; the gateway's clock may be 1970;
 * both are kept as they came, and what we believe is labelled with how far it can be trusted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <vitalgate/driver.h>

#define CLOCK_SECOND_US INT64_C(1000000)

int64_t clock_utc_us(void);
int64_t clock_boot_us(void);
/* The first call must come before there are threads. 16 bytes that name this boot of the machine, so that CLOCK_BOOTTIME stamps can be told apart. */
const uint8_t *clock_boot_id(void);
/* All three of one instant; civil time in the process's zone (TZ). */
void clock_now(struct vg_now *ret);
/* A gateway without RTC boots in 1970: before this version was written, the clock is surely wrong. */
#define CLOCK_PLAUSIBLE_US (INT64_C(1767225600) * CLOCK_SECOND_US) /* 2026-01-01 */
bool clock_plausible(int64_t utc_us);
/* Does the kernel say that a time server disciplines its clock? 1, 0; -errno: it may not be asked. */
int clock_synced(void);

/* Zone of the site for the whole process. */
void clock_set_zone(const char *zone);
struct vg_civil clock_civil(int64_t utc_us);
/* False when year, month or day is unknown or the date does not exist. */
bool clock_civil_known(const struct vg_civil *c);
/* In the site's zone. A civil time that occurs twice (end of summer time) is taken as the later one; one
 * that never occurs (its beginning) as shown by a clock that was not moved yet. */
bool clock_civil_utc(const struct vg_civil *c, int64_t *ret_utc_us);
/* "2024-06-15T17:17:27", unknown fields as zeros; `out` holds 20 bytes. */
char *clock_civil_text(char *out, const struct vg_civil *c);
/* "YYYY-MM-DD" -> start of that day in the site's zone. */
bool clock_date_utc(const char *text, int64_t *ret_utc_us);

/* How far `taken` can be trusted, best first. The names are stable. */
enum trust {
	TRUST_CORRECTED, /* corrected: device time minus the offset that its clock showed in this session */
	TRUST_LIVE,    /* live: measured as it came, dated by the gateway */
	TRUST_DEVICE,  /* device: plausible against arrival, its clock was not compared */
	TRUST_ARRIVAL, /* arrival: the device has no usable time; dated by the gateway */
	TRUST_UNKNOWN, /* unknown: the gateway's own clock is not set */
};
const char *trust_name(enum trust t);
enum trust trust_named(const char *name); /* what is no name of one is unknown */

struct when {
	int64_t taken_us;
	int64_t uncertainty_us;
	enum trust trust;
};

/* A stretch in which the device's clock ran undisturbed, as far as we saw it: it was not set, not reset, and
 * its battery was not taken out. */
struct clock_epoch {
	int64_t offset_us; /* device clock minus gateway clock, as last seen in it */
	int64_t from_us;   /* the one before was seen until then; INT64_MIN: there was none */
	int64_t to_us;	   /* the next one was seen then; INT64_MAX: it holds */
};
#define CLOCK_EPOCHS_MAX 8

struct when_input {
	const struct vg_civil *device; /* NULL: none */
	bool live;		       /* it was measured as it came, whatever the device shows */
	/* Oldest first, the last one being what the clock showed in this session; none: it was not compared. */
	const struct clock_epoch *epochs;
	size_t n_epochs;
	int64_t set_us; /* since when it shows our time, because it was set in this session; 0: it was not */
	int64_t arrived_us;
};

/* Pure but for the zone. Never fails: what is doubtful is labelled, nothing waits for a better clock. */
struct when clock_decide(const struct when_input *in);

/* "2026-01-31T08:09:10", with or without "+08:00", as the clocks of the site show it. A time that is half understood
 * would be another one: false. `text` may be NULL. */
bool clock_civil_read(const char *text, struct vg_civil *ret);
