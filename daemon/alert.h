/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alert rules (config/alerts.yaml) and their verdict on one reading. Pure after loading. Above every
 * filter stands one rule: a dangerous value always reaches a person, labelled with its doubt. Nothing in
 * here asks whether clock, identity or signal can be trusted.
 *
 * A rule without a place is physiological: it judges what was measured of a person. A rule with a place is
 * technical: it judges the readings of kind "environment" of that place, and who is told is staff.
 */
#pragma once

#include "reading.h"

#define ALERT_HITS_MAX 8
#define ALERT_LABELS_MAX (8 + VG_FLAGS_MAX + 2)

enum severity { SEVERITY_NONE, SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_CRITICAL };
const char *severity_name(enum severity s);
/* IHE ACM priority (facet 68484): PL, PM, PH. */
const char *severity_priority(enum severity s);

struct alert_rule {
	char id[40];
	char kind[32];	/* of codes.csv; "glu.*" = every kind that begins so; "": of a silence */
	char place[24]; /* technical: what it watches, as devices[].place says; "": physiological */
	enum { ALERT_AT_LEAST, ALERT_ABOVE, ALERT_AT_MOST, ALERT_BELOW, ALERT_SILENT } op;
	int64_t limit_milli;
	int64_t margin_milli; /* technical: so far inside its limit a value is good again */
	uint32_t for_s; /* technical: so long the limit must be broken, or the device be silent */
	enum severity severity;
	char zh[96], en[96];
	char source[96];
};

struct alert_rules;

struct alert_rules *alert_rules_load(
	const char *path, const struct codes *codes, char *error, size_t error_size);
void alert_rules_free(struct alert_rules *r);
const char *alert_rules_version(const struct alert_rules *r);
struct statements;
/* What carts say of acute events (statement.h). */
const struct statements *alert_statements(const struct alert_rules *r);
/* By index, in the order of the file; NULL behind the last. */
const struct alert_rule *alert_rules_at(const struct alert_rules *r, unsigned index);
const struct alert_rule *alert_rules_find(const struct alert_rules *r, const char *id);
/* Is there a rule for this place? */
bool alert_place_known(const struct alert_rules *r, const char *place);

struct alert_verdict {
	enum severity severity;
	unsigned n;
	const struct alert_rule
		*rules[ALERT_HITS_MAX]; /* of the quantities that reach `severity` */
	unsigned quantity[ALERT_HITS_MAX];
};

/*
 * What the physiological rules say of a person's reading. A censored value fires every limit on its side:
 * "> 33.3" may be anything above, so it reaches the highest rule; HI and LO are alarms by themselves.
 */
struct alert_verdict alert_judge(const struct alert_rules *rules, const struct reading *r);

/* One more rule that one of the numbers fired: of several severities the highest counts. */
void alert_hit(struct alert_verdict *v, const struct alert_rule *rule, unsigned quantity);
/* "glu.*": every kind that begins so. */
bool alert_kind_matches(const char *pattern, const char *kind);
/* A kind, or such a pattern, that is of a person (of a place: `technical`). */
bool alert_kind_fits(const struct codes *codes, const char *pattern, bool technical);

/* One limit and one number of the rule's kind: is it broken, and is it good again? Between the two lies the
 * margin. */
bool alert_breaks(const struct alert_rule *rule, const struct quantity *q);
bool alert_good_again(const struct alert_rule *rule, const struct quantity *q);

/* Must this critical reading be repeated before the doctor hears of it, because its flags doubt the signal?
 * So long a clean one may take: alert_repeat_s(). */
bool alert_wants_repeat(const struct alert_rules *rules, const struct reading *r,
	const struct alert_verdict *verdict);
unsigned alert_repeat_s(const struct alert_rules *rules);
/* The first of its flags that doubts the signal; NULL: it is clean. */
const char *alert_doubtful(const struct alert_rules *rules, const struct reading *r);

struct alert_doubt {
	const char *labels[ALERT_LABELS_MAX];
	unsigned n;
};

/* What the reading itself leaves in doubt, for a person; whose it is may still change and is said beside it.
 * All are borrowed or static. */
struct alert_doubt alert_label(const struct reading *r, const struct when *when, bool conflict);

/* A rule that fired, with the number that it fired on (NULL: of a silence), as an element of "rules":[..]. */
void alert_rule_json(struct json *j, const struct alert_rule *rule, const struct quantity *q);
