/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The vocabulary: config/codes.csv (kinds with WS/T, MDC, LOINC, UCUM, decimals, plausible range),
 * config/units.csv (conversions into the canonical unit) and config/local_codes.csv (an
 * instrument's own test names). Pure after loading; shared read-only by all threads.
 *
 * Rounding happens here, once: half away from zero to the decimals of the kind, before anything is
 * compared with a limit. What is shown is what was judged.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <vitalgate/driver.h>

#define CODES_ROWS_MAX 2000 /* of each table */

struct code {
	char kind[32]; /* "bp.sbp" */
	char name_zh[64], name_en[64];
	char ws[24];	/* "DE04.10.174.00" or "" */
	char mdc[24];	/* decimal MDC code or "" */
	char loinc[24]; /* first LOINC or "" */
	char ucum[16];	/* canonical unit */
	uint8_t decimals;
	int64_t min_milli, max_milli; /* plausible range, inclusive; min > max: none given */
	char family[16]; /* "pressure", "glucose", "cholesterol", ...: selects conversions */
};

struct codes;

/* Loads the three tables from `dir`; NULL and one sentence in `error` when one is unusable. */
struct codes *codes_load(const char *dir, char *error, size_t error_size);
void codes_free(struct codes *c);
const char *codes_version(const struct codes *c); /* joined versions of the tables */

const struct code *codes_find(const struct codes *c, const char *kind);
/* By index, in no order that means anything; NULL after the last. */
const struct code *codes_at(const struct codes *c, size_t index);
/* The kind behind a driver's own test name (case and blanks do not matter); NULL = unknown. */
const struct code *codes_local(const struct codes *c, const char *driver, const char *local);

/* A number in the canonical unit of its kind. */
struct value {
	int64_t milli;	  /* thousandths of the canonical unit */
	uint8_t decimals; /* 0..3: what is shown; the kind's, whatever the instrument sent */
};

/*
 * Converts from `unit` (as received, case and blanks do not matter; NULL or "" = already canonical)
 * and rounds. The arithmetic is exact: fractions of integers, one division. 0; -EINVAL unit unknown
 * for this kind; -ERANGE outside the plausible range (value is still written); -EOVERFLOW not
 * representable: more than 18 digits behind the point, or beyond 64 bits.
 */
int codes_convert(const struct codes *c, const struct code *code, struct vg_decimal number,
	const char *unit, struct value *ret_value);
