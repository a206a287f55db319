/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hours of the ECG centre, and when a report of it is due: only time within its hours counts. Pure but for
 * the zone of the site (clock.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CENTRE_SPANS_MAX 8 /* of one day */
#define CENTRE_ERROR_MAX 200

struct centre_span {
	uint16_t from_min,
		to_min; /* minutes of the day as its clocks show them; `to_min` is outside, 1440 at most */
};

struct centre_hours {
	uint8_t n[7];				       /* Monday first; not all are 0 */
	struct centre_span spans[7][CENTRE_SPANS_MAX]; /* earliest first, without overlap */
};

/* "always", or "mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00". False with a sentence that says what is expected and
 * what was found; CENTRE_ERROR_MAX bytes hold it. */
bool centre_parse(const char *text, struct centre_hours *ret, char *error, size_t error_size);

/* Whether this instant is within the hours. */
bool centre_open(const struct centre_hours *h, int64_t utc_us);

/* The first instant at which the centre had `minutes` minutes of its hours since `received_utc_us`. An hour that is
 * shown twice (end of summer time) counts twice, one that is left out does not count. */
int64_t centre_due(const struct centre_hours *h, int64_t received_utc_us, unsigned minutes);
