/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traits.h"

#include "util.h"

#define CHILD_BELOW 7 /* years: population child_0_6 */

/* clang-format off */
#define CONDITIONS "pregnant", "breastfeeding", "on_oxygen", "copd", "treated_diabetes", "heart_failure"
const char *const trait_conditions[] = {CONDITIONS, NULL};
const char *const trait_names[] = {CONDITIONS, "diabetes", "hypertension", "child", NULL};
const char *const trait_programmes[] = {"hypertension", "t2dm", "copd", "elderly", NULL};
const char *const trait_populations[] = {"elderly", "pregnant", "child_0_6", "disabled", "poverty", "special_family",
	"hypertension", "diabetes", "tuberculosis", "mental", NULL};
const char *const trait_settings[] = {"clinic", "home", "home_bed", "care_home", NULL};
/* clang-format on */

uint32_t trait_bit(const char *const *words, const char *word, size_t len)
{
	for (unsigned i = 0; words[i]; i++)
		if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
			return UINT32_C(1) << i;
	return 0;
}

/* Of a list with semicolons between its words. */
static uint32_t bits_of(const char *const *words, const char *list)
{
	uint32_t bits = 0;
	const char *word;
	size_t n;
	while ((word = word_next(&list, ';', &n)))
		bits |= trait_bit(words, word, n);
	return bits;
}

static bool has(uint32_t bits, const char *const *words, const char *word)
{
	return bits & trait_bit(words, word, strlen(word));
}

static uint32_t trait_if(bool holds, const char *name)
{
	return holds ? trait_bit(trait_names, name, strlen(name)) : 0;
}

struct person person_of(const char *birth_date, const char *programmes, const char *populations,
	const char *conditions, const char *setting, int32_t day)
{
	struct person p = {.known = true,
		.traits = bits_of(trait_conditions, conditions),
		.programmes = bits_of(trait_programmes, programmes),
		.populations = bits_of(trait_populations, populations),
		.setting = bits_of(trait_settings, setting),
		.age = age_on(birth_date, day)};
	bool pregnant = has(p.populations, trait_populations, "pregnant");
	bool treated = has(p.traits, trait_names, "treated_diabetes");
	bool diabetes = has(p.programmes, trait_programmes, "t2dm") ||
			has(p.populations, trait_populations, "diabetes") || treated;
	bool hypertension = has(p.programmes, trait_programmes, "hypertension") ||
			    has(p.populations, trait_populations, "hypertension");
	bool child = has(p.populations, trait_populations, "child_0_6") ||
		     age_at_least(p.age, CHILD_BELOW) == 0;
	p.traits |= trait_if(pregnant, "pregnant") | trait_if(diabetes, "diabetes") |
		    trait_if(hypertension, "hypertension") | trait_if(child, "child");
	return p;
}

int person_load(struct db *db, int64_t resident, int32_t day, struct person *ret)
{
	struct person p = {0};
	if (resident) {
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT birth_date,programmes,populations,conditions,setting FROM resident "
			"WHERE id=?",
			"i", resident);
		int rc = row_next(r);
		if (rc < 0)
			return rc;
		if (rc > 0)
			p = person_of(row_text(r, 0), row_text(r, 1), row_text(r, 2),
				row_text(r, 3), row_text(r, 4), day);
	}
	*ret = p;
	return 0;
}
