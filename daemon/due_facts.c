/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "due_facts.h"

#include "clock.h"
#include "reading.h"
#include "util.h"

/* The last two confirmed visits of each form. */
static int read_visits(struct db *db, int64_t resident, unsigned form, struct due_visit *v)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT day,class,next_day,coalesce(referral,'') NOT IN ('','[]','null'),"
		"coalesce(referral_result,'')<>'',confirmed_at FROM visit WHERE resident=? AND "
		"form=? AND state='confirmed' ORDER BY day DESC,id DESC LIMIT 2",
		"it", resident, form_names[form].form);
	*v = (struct due_visit){.next = DAY_NONE, .plan = DAY_NONE};
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	v->known = true;
	v->day = day_read(row_text(r, 0));
	v->class = (int)row_int(r, 1);
	v->next = day_read(row_text(r, 2));
	v->referral = row_int(r, 3);
	v->answered = row_int(r, 4);
	v->confirmed_us = row_int(r, 5);
	rc = row_next(r);
	v->class_before = rc > 0 ? (int)row_int(r, 1) : 0;
	return MIN(rc, 0);
}

static int read_plans(struct db *db, int64_t resident, struct due_visit *visits)
{
	int rc;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT form,day,at FROM plan WHERE resident=?", "i", resident);
	while ((rc = row_next(r)) > 0)
		for (unsigned i = 0; i < FORMS; i++)
			if (streq(row_text(r, 0), form_names[i].form)) {
				visits[i].plan = day_read(row_text(r, 1));
				visits[i].plan_us = row_int(r, 2);
			}
	return rc;
}

#define TRUSTED "trust IN ('corrected','live')"

/* Visits are looked at first: a reading matters only when none of them is new enough. */
static int read_contact(
	struct db *db, const struct numbers *n, int64_t resident, int32_t day, struct due_facts *f)
{
	f->contact = DAY_NONE;
	for (unsigned i = 0; i < FORMS; i++)
		if (f->visits[i].known)
			f->contact = MAX(f->contact, f->visits[i].day);
	if (f->contact != DAY_NONE && day - f->contact <= n->due_no_contact_days)
		return 0;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT taken FROM reading WHERE resident=? AND superseded=0 AND test=0 AND "
		"status<>'entered-in-error' AND " TRUSTED " ORDER BY taken DESC LIMIT 1",
		"i", resident);
	int rc = row_next(r);
	if (rc > 0)
		f->contact = MAX(f->contact, day_of(row_int(r, 0)));
	return MIN(rc, 0);
}

/* When a pressure was next so high that the mean of its day can be; INT64_MAX: never. Means are rounded. */
static int64_t next_raised(
	struct db *db, const struct numbers *n, int64_t resident, int64_t from_us)
{
#define NEXT(kind)                                                    \
	"SELECT taken FROM evidence WHERE resident=? AND kind='" kind \
	"' AND taken>=? AND milli>=? "                                \
	"AND " TRUSTED " ORDER BY taken LIMIT 1"
	int64_t systolic = db_int(
		db, INT64_MAX, NEXT("bp.sbp"), "iii", resident, from_us, n->recheck_sbp - 500);
	int64_t diastolic = db_int(
		db, INT64_MAX, NEXT("bp.dbp"), "iii", resident, from_us, n->recheck_dbp - 500);
#undef NEXT
	return MIN(systolic, diastolic);
}

/* A cuff that moved, or sat badly. `body` is JSON that we wrote. */
static bool doubtful(const char *body)
{
	static const char *const flags[] = {
		"\"body_movement\"", "\"cuff_too_loose\"", "\"improper_position\""};
	const char *list = strstr(body, "\"flags\":[");
	const char *end = list ? strchr(list, ']') : NULL;
	for (size_t i = 0; end && i < ELEMENTS(flags); i++) {
		const char *at = strstr(list, flags[i]);
		if (at && at < end)
			return true;
	}
	return false;
}

/* Of the days from one to before another. */
static int read_pressures(
	struct db *db, int64_t resident, int32_t from, int32_t to, struct recheck *recheck)
{
	int rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT s.taken,s.milli,d.milli,reading.body FROM evidence s CROSS JOIN evidence d "
		"ON d.reading=s.reading AND d.kind='bp.dbp' CROSS JOIN reading ON "
		"reading.id=s.reading WHERE s.resident=? AND s.kind='bp.sbp' AND s.taken>=? AND "
		"s.taken<? AND s." TRUSTED
		" AND s.comparator IS NULL AND d.comparator IS NULL ORDER BY s.taken",
		"iii", resident, day_begin_us(from), day_begin_us(to));
	while ((rc = row_next(r)) > 0)
		if (!doubtful(row_text(r, 3)))
			recheck_add(recheck, day_of(row_int(r, 0)), row_int(r, 1), row_int(r, 2));
	return rc;
}

/* Only days that can be raised open a re-check or confirm one: first these, whatever was measured on others. */
static int find_recheck(struct db *db, int64_t resident, struct recheck *recheck)
{
	int64_t at_us = 0;
	int rc = 0;
	while (rc >= 0 && recheck->state != RECHECK_LIKELY) {
		at_us = next_raised(db, recheck->numbers, resident, at_us);
		int32_t day = at_us == INT64_MAX ? DAY_NONE : day_of(at_us);
		if (day == DAY_NONE || day > recheck->until)
			break;
		rc = read_pressures(db, resident, day, day + 1, recheck);
		at_us = day_begin_us(day + 1);
	}
	recheck_end(recheck);
	return rc;
}

/* Then all that was measured in its time, when it is to be told. */
static int read_recheck(struct db *db, const struct numbers *n, const struct owned *who,
	int32_t day, struct recheck *recheck)
{
	recheck_begin(recheck, n, who->birth, day);
	if (owned_in(who, form_names[FORM_HTN].programme))
		return 0;
	int rc = find_recheck(db, who->id, recheck);
	if (rc < 0 || (recheck->state != RECHECK_OPEN && recheck->state != RECHECK_LIKELY))
		return rc;
	int32_t first = recheck->first;
	recheck_begin(recheck, n, who->birth, day);
	rc = read_pressures(db, who->id, first, first + (int32_t)n->recheck_within_days, recheck);
	recheck_end(recheck);
	return rc;
}

int due_facts_visits(struct db *db, const struct owned *who, struct due_facts *ret)
{
	int rc = 0;
	*ret = (struct due_facts){.contact = DAY_NONE};
	for (unsigned i = 0; i < FORMS && rc >= 0; i++) {
		ret->enrolled[i] = owned_in(who, form_names[i].programme);
		rc = read_visits(db, who->id, i, &ret->visits[i]);
	}
	return rc < 0 ? rc : read_plans(db, who->id, ret->visits);
}

int due_facts(struct db *db, const struct numbers *n, const struct owned *who, int32_t day,
	struct due_facts *ret)
{
	int rc = due_facts_visits(db, who, ret);
	if (rc >= 0)
		rc = read_contact(db, n, who->id, day, ret);
	return rc < 0 ? rc : read_recheck(db, n, who, day, &ret->recheck);
}

void due_json(const struct due_item *item, const struct owned *who, int32_t day, struct json *j)
{
	char date[DAY_TEXT];
	json_object_begin(j, NULL);
	json_str(j, "resident", who->token);
	json_str(j, "list", due_lists[item->list]);
	json_str(j, "form", item->form);
	json_str(j, "reason", item->reason);
	json_str(j, "date", day_text(date, item->date));
	json_int(j, "days", item->days);
	json_str(j, "level", item->level);
	json_bool(j, "in_contract", owned_in_contract(who, day_begin_us(day)));
	json_object_end(j);
}
