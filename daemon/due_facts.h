/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is stored of a resident as far as lists need it, and the items of its lists as JSON. A few rows of each index,
 * however much is stored; the pressures of those alone who do not have hypertension. Store thread.
 */
#pragma once

#include "db.h"
#include "due.h"
#include "json.h"
#include "owned.h"

int due_facts(struct db *db, const struct numbers *n, const struct owned *who, int32_t day,
	struct due_facts *ret);
/* Of these only visits and plans: nothing is read of what was measured. */
int due_facts_visits(struct db *db, const struct owned *who, struct due_facts *ret);
/* {"resident","list","form","reason","date","days","level","in_contract"} into an open array. */
void due_json(const struct due_item *item, const struct owned *who, int32_t day, struct json *j);
