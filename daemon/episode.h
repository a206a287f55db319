/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of one alert: what a reading, a person or time make of it. Pure: the alert as it is and what happened in, what it
 * is then out. The rules: tests/sim/ALERTS.md, sections 4 to 7. What is stored, sent and told follows in alerts.c and
 * escalate.c.
 */
#pragma once

#include "severity.h"

#include <stdbool.h>
#include <stdint.h>

/* IHE ACM: facet 68482 state, 68481 event phase. */
enum alert_state { ALERT_ACTIVE, ALERT_LATCHED, ALERT_INACTIVE };
enum alert_phase {
	PHASE_START,
	PHASE_CONTINUE,
	PHASE_ESCALATE,
	PHASE_DEESCALATE,
	PHASE_UPDATE,
	PHASE_END
};
extern const char *const alert_states[], *const alert_phases[];

/* What is said of the alert itself, while it is so; the shown reading has labels of its own. */
enum alert_label {
	LABEL_UNCONFIRMED = 1 << 0, /* these two: while its severity is critical */
	LABEL_CONFIRMED = 1 << 1,
	LABEL_DOWNGRADED = 1 << 2,	   /* until its level rises, or it is over */
	LABEL_RESOLVED_BY_REPEAT = 1 << 3, /* these: until it is active again */
	LABEL_SUPERSEDED = 1 << 4,
	LABEL_CORRECTED = 1 << 5,
	LABEL_WITHDRAWN = 1 << 6,
	LABEL_WRONG_PERSON = 1 << 7,
	LABEL_CONTROL_SOLUTION = 1 << 8,
	LABEL_VOIDED = 1 << 9,
	LABEL_ARTEFACT = 1 << 10,
	LABEL_IDENTITY_CHANGED = 1 << 11,
	LABEL_NOBODY_ANSWERED = 1 << 12, /* until it begins at the first step */
};
#define ALERT_LABELS 13
extern const char *const alert_labels[ALERT_LABELS];

struct episode {
	enum alert_state state;
	enum severity level, severity;
	bool acknowledged; /* its present severity */
	unsigned labels;
	/* When the first of its critical readings was, and the one that is shown; 0: it has none. */
	int64_t critical_at_us, shown_at_us;
};

/* A reading, as judged for this condition. */
struct episode_reading {
	enum severity fires, holds; /* for the level of the episode */
	int64_t at_us;		    /* taken; arrived, when that is not trusted */
	bool overtaken, doubtful;
	/* For the resident, as it is now: it may lower and end what is critical and acknowledged by nobody. */
	bool speaks;
};

struct episode_limits {
	enum severity least;
	int64_t resolves_us;
};

enum episode_verdict {
	EPISODE_NOTHING,  /* left alone */
	EPISODE_JOINS,	  /* the reading is one of it; no revision */
	EPISODE_CHANGES,  /* a revision with `phase` */
	EPISODE_RAISES,	  /* a new alert */
	EPISODE_REPLACES, /* this one ends (episode_supersede()), and a new alert is raised */
	EPISODE_REOPENS,  /* the one of today */
};

struct episode_change {
	enum episode_verdict verdict;
	enum alert_phase phase;
	bool pages; /* somebody is told anew, from the first step */
	bool joins; /* the reading is one of those that fired in it */
	bool ends;  /* this reading ended it */
};

/* `open`: NULL, no alert of this condition is open; `today`: then one of at least the severity that fires, told on this
 * day and not withdrawn, or NULL. `ret`: what the alert is then, or the new one; written whatever the verdict, but
 * EPISODE_NOTHING. */
struct episode_change episode_take(const struct episode *open, const struct episode *today,
	const struct episode_reading *r, const struct episode_limits *limits, struct episode *ret);

/* It ends because a new one takes its place. */
struct episode_change episode_supersede(const struct episode *now, struct episode *ret);
/* What it was about is over by itself. */
struct episode_change episode_over(const struct episode *now, struct episode *ret);
/* One of its readings left it; `left`: the highest level of those that are left, SEVERITY_NONE: there are none. `reason`:
 * LABEL_CORRECTED, or why it is withdrawn when there are none. */
struct episode_change episode_leave(const struct episode *now, enum severity left, unsigned reason,
	enum severity least, struct episode *ret);
/* The reading that ended a latched one is none: it goes on. */
struct episode_change episode_resume(const struct episode *now, struct episode *ret);
