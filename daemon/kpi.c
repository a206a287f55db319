/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kpi.h"

#include "util.h"

/* "2026-11" -> its first day */
static int32_t month_read(const char *month)
{
	char text[16];
	snprintf(text, sizeof(text), "%s-01", month);
	return day_read(text);
}

bool kpi_begin(struct kpi *k, const struct numbers *n, const char *month, int32_t today)
{
	int y, m, d;
	int32_t first = month_read(month);
	if (first == DAY_NONE || first > today)
		return false;
	day_split(first, &y, &m, &d);
	*k = (struct kpi){.day = MIN(day_add_months(first, 1) - 1, today),
		/* the part of the year's visits that a resident should have had, rounded up */
		.standard_visits = (n->kpi_visits_a_year * m + 11) / 12,
		.elderly_age = n->kpi_elderly_age};
	text_copy(k->month, sizeof(k->month), month, strlen(month));
	day_text(k->from, day_from(y, 1, 1));
	day_text(k->until, k->day);
	k->day_begin_us = day_begin_us(k->day);
	return true;
}

/* How many confirmed visits of the form were held in the time, and the class of the last one. */
static int visits(const struct kpi *k, struct db *db, int64_t resident, enum form_of form,
	unsigned *ret_n, int *ret_class)
{
	int rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT class FROM visit WHERE resident=? AND form=? AND state='confirmed' AND "
		"day BETWEEN ? AND ? ORDER BY day,id",
		"ittt", resident, form_names[form].form, k->from, k->until);
	*ret_n = 0;
	*ret_class = 0;
	while ((rc = row_next(r)) > 0) {
		++*ret_n;
		*ret_class = (int)row_int(r, 0);
	}
	return rc;
}

static int add_form(struct kpi *k, struct db *db, const struct owned *who, enum form_of form)
{
	struct kpi_form *f = &k->forms[form];
	unsigned n = 0;
	int class = 0;
	if (!owned_in(who, form_names[form].programme))
		return 0;
	int rc = visits(k, db, who->id, form, &n, &class);
	f->enrolled++;
	f->managed += n > 0;
	f->visits += n;
	f->standard += n > 0 && n >= k->standard_visits;
	f->controlled += class == 1;
	f->in_contract += n > 0 && owned_in_contract(who, k->day_begin_us);
	return rc;
}

static int add_elderly(struct kpi *k, struct db *db, const struct owned *who)
{
	unsigned n = 0;
	int class, old = age_at_least(age_on(who->birth, k->day), k->elderly_age);
	k->age_unknown += old < 0;
	if (old != 1)
		return 0;
	int rc = visits(k, db, who->id, FORM_ELDERLY, &n, &class);
	k->elderly++;
	k->elderly_managed += n > 0;
	return rc;
}

int kpi_add(struct kpi *k, struct db *db, const struct owned *who)
{
	int rc = 0;
	for (enum form_of form = FORM_HTN; form < FORM_ELDERLY && rc >= 0; form++)
		rc = add_form(k, db, who, form);
	return rc < 0 ? rc : add_elderly(k, db, who);
}

void kpi_json(const struct kpi *k, struct json *j)
{
	json_str(j, "month", k->month);
	json_str(j, "day", k->until);
	for (enum form_of form = FORM_HTN; form < FORM_ELDERLY; form++) {
		const struct kpi_form *f = &k->forms[form];
		json_object_begin(j, form_names[form].brief);
		json_int(j, "enrolled", f->enrolled);
		json_int(j, "managed", f->managed);
		json_int(j, "visits", f->visits);
		json_int(j, "standard", f->standard);
		if (form != FORM_COPD) /* its form has no class */
			json_int(j, "controlled", f->controlled);
		json_int(j, "in_contract", f->in_contract);
		json_object_end(j);
	}
	json_object_begin(j, "elderly");
	json_int(j, "enrolled", k->elderly);
	json_int(j, "managed", k->elderly_managed);
	json_int(j, "age_unknown", k->age_unknown);
	json_object_end(j);
}
