/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words of alerts in the languages of people. tests/test_alert_say.c looks that none is missing. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum say {
	SAY_SEVERITY,
	SAY_STATE,
	SAY_PHASE,
	SAY_ROLE,      /* whom it goes to */
	SAY_OUTCOME,   /* of an acknowledgement */
	SAY_DELIVERY,  /* when it is told */
	SAY_CONDITION, /* what it is about */
	SAY_PLACE,
	SAY_LABEL, /* labels of alerts, and flags of readings */
	SAY_OP,	   /* which side of a limit */
	SAY_WHOSE, /* whose limit */
	SAY_UNIT,  /* UCUM as people write it */
	SAY_LISTS
};

struct alert_word {
	const char *name, *en, *zh;
};

/* NULL: there is no such word. */
const struct alert_word *alert_word(enum say list, const char *name);
/* By index; NULL behind the last. */
const struct alert_word *alert_word_at(enum say list, size_t index);
/* The word in a language; what has none is said as it is. `name` NULL: "". */
const char *alert_say(enum say list, const char *name, bool chinese);
