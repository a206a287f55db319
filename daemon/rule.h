/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alert rules: config/alerts.yaml, read and checked. What each key means: tests/sim/ALERTS.md, section 2. Pure after
 * loading.
 */
#pragma once

#include "reading.h"
#include "severity.h"

#define KIND_CONTROL "glu.control" /* nobody's blood: never judged, of no history */
#define RULES_MAX 256
#define RULE_PARTS_MAX 4
#define RULE_MEDIAN_S (14 * 86400) /* what is usual, unless a rule says otherwise */
#define RULE_MEDIAN_LEAST 5
#define RULE_ADVICE_MAX 64
#define RULE_CONDITIONS_MAX 48 /* that readings are judged by */
#define RULE_PERSONAL_MAX 16   /* limits of one resident */

enum rule_type {
	RULE_LIMIT,
	RULE_RANGE,
	RULE_COMBINATION,
	RULE_REPEATED,
	RULE_RISE,
	RULE_FALL,
	RULE_GAIN,
	RULE_REPEATED_LOW,
	RULE_TIME_BELOW,
	/* once a day */
	RULE_MEAN,
	RULE_OVERDUE,
	RULE_MISSING,
	/* technical */
	RULE_SILENT,
	RULE_DEVICE_SILENT,
	RULE_BATTERY,
	RULE_STORE,
	RULE_CLOCK,
	RULE_ECG_NOT_SENT,
	RULE_ECG_OVERDUE,
	RULE_TYPES
};
extern const char *const rule_types[]; /* by name, NULL at the end */

enum rule_op { RULE_AT_LEAST, RULE_ABOVE, RULE_AT_MOST, RULE_BELOW, RULE_OPS };

struct rule_limit {
	enum rule_op op;
	int64_t milli;
};

/* For whom: bits of traits.h; 0: whoever. */
struct rule_whom {
	uint32_t traits, not_traits;		    /* all; none */
	uint32_t programmes, populations, settings; /* one of each that is not 0 */
	int16_t age_from, age_below;		    /* years; -1: any */
	int16_t altitude_from, altitude_below;	    /* metres of the site; -1: any */
	bool unknown;				    /* fires: what is not known holds */
};

struct alert_rule {
	char id[40], condition[40];
	unsigned line; /* of its file; 0: of none */
	/* Number of its condition, of readings only: 0 to RULE_CONDITIONS_MAX - 1; beyond: of a personal limit without one. */
	uint8_t topic;
	enum rule_type type;
	bool personal;	/* a doctor's, for one resident (limit.h) */
	bool replaces;	/* of these: it stands in the place of the general ones */
	char kind[32];	/* of codes.csv; "glu.*" = every kind that begins so; "": of none */
	char place[24]; /* technical: what it watches, as devices[].place says; "": no place */
	bool technical;
	struct rule_whom whom;
	unsigned n_limits;
	struct rule_limit limits[2];	  /* one; two of a range: the lower side first */
	int64_t margin_milli;		  /* so far inside its limit a value is good again */
	int64_t by_milli, usual_by_milli; /* 0: absent */
	unsigned n_parts;
	struct rule_part {
		char kind[32];
		struct rule_limit limit;
	} parts[RULE_PARTS_MAX];
	uint32_t k, n, least, days, times;
	uint32_t within_s, for_s; /* `for_s`: so long it must last; of a silence: the silence */
	uint32_t
		horizon_s; /* as far back as any rule of this kind looks: what one asks for serves all */
	char form[8];	   /* overdue: htn, t2dm .. */
	enum severity severity;
	char zh[96], en[96], source[160];
	char advice[24]; /* of rule_advice(); "": none */
};

struct rule_advice {
	char id[24], zh[160], en[200], resident_zh[96], resident_en[120];
};

struct alert_rules;

/* NULL with one sentence in `error` that names file, line, what is wrong and what was expected. */
struct alert_rules *alert_rules_load(
	const char *path, const struct codes *codes, char *error, size_t error_size);
void alert_rules_free(struct alert_rules *r);
const char *alert_rules_version(const struct alert_rules *r);
/* By index, in the order of the file; NULL behind the last. */
const struct alert_rule *alert_rules_at(const struct alert_rules *r, unsigned index);
const struct alert_rule *alert_rules_find(const struct alert_rules *r, const char *id);
const struct rule_advice *alert_rules_advice(const struct alert_rules *r, const char *id);
/* Those that a reading with a number of this kind is judged by, in the order of the file: their indices. Technical ones and
 * those of a day are not among them; of control solution there is none. */
const uint16_t *alert_rules_of(const struct alert_rules *r, const char *kind, unsigned *ret_n);
/* Is there a rule for this place? */
bool alert_place_known(const struct alert_rules *r, const char *place);
struct statements;
/* What carts say of acute events (statement.h). */
const struct statements *alert_statements(const struct alert_rules *r);

/* The numbers that are of no single rule. */
struct rule_times {
	enum severity least;
	uint32_t critical_s, warning_s, again_s; /* escalate */
	uint32_t label_s, page_s;		 /* late */
	uint32_t within_s, resolves_s;		 /* repeat; within_s 0: never */
};
const struct rule_times *alert_times(const struct alert_rules *r);

/* "glu.*": every kind that begins so. */
bool alert_kind_matches(const char *pattern, const char *kind);
/* A kind, or such a pattern, that is of a person (of a place: `technical`). */
bool alert_kind_fits(const struct codes *codes, const char *pattern, bool technical);

struct person; /* traits.h */
/* Is it for this person, at a site so high? */
bool rule_is_for(const struct rule_whom *w, const struct person *p, int altitude_m);

/* Is a limit broken? A censored value breaks every limit on its side, whatever its number. */
bool rule_limit_breaks(const struct rule_limit *l, int64_t milli, char comparator);
/* at_least, above */
bool rule_limit_upper(const struct rule_limit *l);
/* A rule and one number of its kind: is one of its limits broken? Does a rule that fired hold on, because the number is not
 * further inside than the margin? */
bool alert_breaks(const struct alert_rule *rule, const struct quantity *q);
bool alert_holds(const struct alert_rule *rule, const struct quantity *q);

/* The first of its flags that doubts the signal; NULL: it is clean. */
const char *alert_doubtful(const struct alert_rules *rules, const struct reading *r);
/* Does a doubtful value of this kind wait for a clean one? */
bool alert_repeats(const struct alert_rules *rules, const char *kind);
