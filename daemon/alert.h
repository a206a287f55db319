/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alert rules (config/alerts.yaml) and their verdict on one reading. Pure after loading. Above every
 * filter stands one rule: a dangerous value always reaches a person, labelled with its doubt. Nothing in
 * here asks whether clock, identity or signal can be trusted.
 */
#pragma once

#include "reading.h"

#define ALERT_HITS_MAX 8

enum severity { SEVERITY_NONE, SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_CRITICAL };
const char *severity_name(enum severity s);
/* IHE ACM priority (facet 68484): PL, PM, PH. */
const char *severity_priority(enum severity s);

struct alert_rule {
	char id[40];
	char kind[32]; /* of codes.csv; "glu.*" = every kind that begins so */
	enum { ALERT_AT_LEAST, ALERT_ABOVE, ALERT_AT_MOST, ALERT_BELOW } op;
	int64_t limit_milli;
	enum severity severity;
	char zh[96], en[96];
	char source[96];
};

struct alert_rules;

struct alert_rules *alert_rules_load(
	const char *path, const struct codes *codes, char *error, size_t error_size);
void alert_rules_free(struct alert_rules *r);
const char *alert_rules_version(const struct alert_rules *r);

struct alert_verdict {
	enum severity severity;
	unsigned n;
	const struct alert_rule
		*rules[ALERT_HITS_MAX]; /* of the quantities that reach `severity` */
	unsigned quantity[ALERT_HITS_MAX];
};

/*
 * A censored value fires every limit on its side: "> 33.3" may be anything above, so it reaches the
 * highest rule; HI and LO are alarms by themselves.
 */
struct alert_verdict alert_judge(const struct alert_rules *rules, const struct reading *r);

struct alert_doubt {
	const char *labels[8 + VG_FLAGS_MAX + 1];
	unsigned n;
};

/* What the reading itself leaves in doubt, for a person; whose it is may still change and is said beside it.
 * All are borrowed or static. */
struct alert_doubt alert_label(const struct reading *r, const struct when *when, bool conflict);
