/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What rules ask of a person: bits, from the roster, for one day. The rules: tests/sim/ALERTS.md, section 1. */
#pragma once

#include "day.h"
#include "db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The words that a roster knows, and those that rules ask for (the conditions first); each list ends with NULL, and the bit of
 * a word is its place in its list. */
extern const char *const trait_conditions[],
	*const trait_programmes[], *const trait_populations[], *const trait_settings[],
								       *const trait_names[];
/* The bit of a word; 0: it is not in the list. */
uint32_t trait_bit(const char *const *words, const char *word, size_t len);

struct person {
	bool known; /* false: nobody; all below is 0 */
	uint32_t traits, programmes, populations, setting;
	struct age age;
};

/* From the columns of the roster; texts may be NULL. Pure. `day`: day.h. */
struct person person_of(const char *birth_date, const char *programmes, const char *populations,
	const char *conditions, const char *setting, int32_t day);
/* Store thread. 0: nobody. */
int person_load(struct db *db, int64_t resident, int32_t day, struct person *ret);
