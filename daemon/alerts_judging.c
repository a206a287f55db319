/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reading that is judged says of itself: when it was, for whom it speaks, and its words in an alert. */
#include "alerts_judging.h"

#include "alert_words.h"
#include "gateway.h"

#define SHARED "slot"	 /* grade of an instrument that several share */
#define BODY_RULES_MAX 4 /* an alert's message stays small */

bool judging_trusted(const struct judging *j)
{
	return j->filing->when.trust <= TRUST_LIVE;
}

int64_t judging_at_us(const struct judging *j)
{
	return judging_trusted(j) ? j->filing->when.taken_us : j->arrived.utc_us;
}

/* Out of a wait it is as old as when it arrived. */
int64_t judging_age_us(const struct judging *j)
{
	int64_t until_us = j->again && !j->over ? j->now.utc_us : j->arrived.utc_us;
	return judging_trusted(j) ? until_us - j->filing->when.taken_us : 0;
}

bool judging_speaks(const struct judging *j)
{
	return judging_trusted(j) && !streq(j->filing->who.grade, SHARED);
}

char *judging_body(const struct reading *r, const struct judged *c)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_array_begin(&j, "rules");
	for (unsigned i = 0; i < MIN(c->n, BODY_RULES_MAX); i++)
		alert_rule_json(&j, c->rules[i], &r->quantities[c->quantity[i]]);
	json_array_end(&j);
	json_object_end(&j);
	return json_take(&j);
}

char *judging_doubts(
	struct gateway *g, struct db *db, const struct judging *j, bool overtaken, bool over)
{
	const struct filing *f = j->filing;
	int64_t resident = f->who.resident;
	struct alert_doubt doubt = alert_label(j->reading, &f->when, f->conflict);
	struct json labels = {0};
	json_array_begin(&labels, NULL);
	if (!resident)
		json_str(&labels, NULL, "unassigned");
	else if (!filing_in_contract(db, resident, judging_at_us(j)))
		json_str(&labels, NULL, "out_of_contract");
	if (judging_age_us(j) > alert_times(g->rules)->label_s * CLOCK_SECOND_US)
		json_str(&labels, NULL, "late");
	if (overtaken)
		json_str(&labels, NULL, "overtaken");
	if (over)
		json_str(&labels, NULL, "no_clean_repeat");
	for (unsigned i = 0; i < doubt.n; i++)
		json_str(&labels, NULL, doubt.labels[i]);
	json_array_end(&labels);
	return json_take(&labels);
}
