/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An alert as a sentence for people: what, the value with its limit and whose that is, since when, what is in doubt, the
 * evidence, and the next step. Never who it is: the token stands beside it. Pure; times are shown in the site's zone.
 */
#pragma once

#include "rule.h"

#include <stdbool.h>
#include <stdint.h>

/* As it is stored. Texts may be NULL where it has none; times 0. */
struct alert_facts {
	const char *body;   /* alert.body: {"rules":[..]} */
	const char *labels; /* all of them: JSON array */
	const char *condition, *severity, *state;
	bool technical;		    /* of a place, a device or the gateway: */
	const char *place, *device; /* which */
	int64_t since_us;
	int64_t raised_us, ended_us;
	int64_t readings, first_us, last_us;
	const char *role, *deliver;
	int64_t step, not_before_us;
	const char *ack_outcome; /* what was said of it last; NULL: nothing */
};

/* free() it; NULL: out of memory. */
char *alert_text(const struct alert_facts *a, const struct alert_rules *rules,
	const struct codes *codes, bool chinese);
/* What the resident may be told, on a display or by a loudspeaker; "": nothing. It is of `rules`, or static. */
const char *alert_text_resident(
	const struct alert_facts *a, const struct alert_rules *rules, bool chinese);
/* The same when a measurement has to be repeated because its signal is in doubt. */
const char *alert_text_repeat(bool chinese);
