/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What rules ask of a person: bits, from the roster, for one day. The rules: tests/sim/ALERTS.md, section 1. */
#pragma once

#include "db.h"

#include <stdbool.h>
#include <stdint.h>

/* In the order of the names; more than 31 words of one list would need another type. */
extern const char *const trait_names[], *const trait_programmes[], *const trait_populations[],
	*const trait_settings[];

struct person {
	bool known; /* false: nobody; all below is 0 */
	uint32_t traits, programmes, populations, setting;
	bool age_known;
	int age_lo, age_hi;
};

/* From the columns of the roster; texts may be NULL. Pure. `day`: day.h. */
struct person person_of(const char *birth_date, const char *programmes, const char *populations,
	const char *conditions, const char *setting, int32_t day);
/* Store thread. 0: nobody. */
int person_load(struct db *db, int64_t resident, int32_t day, struct person *ret);
