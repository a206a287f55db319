/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repeat.h"

#include "alerts.h"
#include "gateway.h"
#include "intake.h"
#include "watch.h"

#include <errno.h>

#define SETTLED_MAX 16 /* by one clean reading; what is beyond is told */
#define KINDS_MAX 256

/* asking */

/* Each once. */
static void kinds_of(const struct repeat *a, char *out, size_t size)
{
	uint32_t seen = 0;
	size_t n = 0;
	out[0] = 0;
	for (unsigned i = 0; i < a->judged->n; i++) {
		unsigned q = a->judged->quantity[i];
		if (!(seen & 1U << q) && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n ? " " : "",
				a->reading->quantities[q].code->kind);
		seen |= 1U << q;
	}
}

static int request(struct gateway *g, struct db *db, const struct repeat *a, unsigned within_s)
{
	char detail[160], id[33];
	const struct quantity *q = &a->reading->quantities[a->judged->quantity[0]];
	const char *flag = alert_doubtful(g->rules, a->reading);
	snprintf(detail, sizeof(detail), "reading %.8s: %s %.*f %s, %s: repeat within %u s",
		hex(id, a->id->bytes, sizeof(a->id->bytes)), q->code->kind, (int)q->value.decimals,
		(double)q->value.milli / 1000, q->code->ucum, flag ? flag : "", within_s);
	return intake_event(
		g, db, a->device, "repeat_requested", detail, NULL, a->now.utc_us, true);
}

int repeat_ask(struct gateway *g, struct db *db, const struct repeat *a)
{
	unsigned within_s = alert_times(g->rules)->within_s;
	int64_t within_us = within_s * CLOCK_SECOND_US;
	const char *condition = a->judged->condition;
	char kinds[KINDS_MAX];
	kinds_of(a, kinds, sizeof(kinds));
	int rc = db_run(db,
		"UPDATE pending_repeat SET kinds=?, body=?, doubts=? WHERE reading=? AND condition=?",
		"tttbt", kinds, a->body, a->doubts, a->id->bytes, sizeof(a->id->bytes), condition);
	if (rc != 0)
		return rc;
	if (a->arrived.boot_us + within_us <= a->now.boot_us)
		return 0;
	rc = db_run(db,
		"INSERT INTO pending_repeat(reading,condition,device,kind,kinds,severity,body,doubts,"
		"since,boot_id,due_boot,due) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
		"btittttti"
		"bii",
		a->id->bytes, sizeof(a->id->bytes), condition, a->device, a->reading->kind, kinds,
		severity_name(a->judged->fires), a->body, a->doubts, a->arrived.utc_us,
		clock_boot_id(), (size_t)16, a->arrived.boot_us + within_us,
		a->arrived.utc_us + within_us);
	if (rc >= 0)
		rc = request(g, db, a, within_s);
	if (rc < 0)
		return rc;
	watch_expect(g->watch, a->arrived.boot_us + within_us);
	return 1;
}

/* ending */

static int end(struct gateway *g, struct db *db, const struct uuid *reading, const char *condition,
	const char *why)
{
	char detail[96], id[33];
	int64_t device =
		db_int(db, 0, "SELECT device FROM pending_repeat WHERE reading=? AND condition=?",
			"bt", reading->bytes, sizeof(reading->bytes), condition);
	int rc = db_run(db, "DELETE FROM pending_repeat WHERE reading=? AND condition=?", "bt",
		reading->bytes, sizeof(reading->bytes), condition);
	if (rc < 0)
		return rc;
	snprintf(detail, sizeof(detail), "reading %.8s: %s",
		hex(id, reading->bytes, sizeof(reading->bytes)), why);
	return intake_event(g, db, device, "repeat_done", detail, NULL, clock_utc_us(), true);
}

static bool among(const struct judgement *all, uint64_t conditions, const char *condition)
{
	for (unsigned i = 0; all && i < all->n; i++)
		if (conditions & UINT64_C(1) << i && streq(all->conditions[i].condition, condition))
			return true;
	return false;
}

/* The first that it waits for and should not: 1, 0, -errno. */
static int superfluous(struct db *db, const struct uuid *reading, const struct judgement *all,
	uint64_t conditions, char ret[static 40])
{
	int rc;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT condition FROM pending_repeat WHERE reading=?", "b",
			reading->bytes, sizeof(reading->bytes));
	while ((rc = row_next(r)) > 0)
		if (!among(all, conditions, row_text(r, 0))) {
			text_set(ret, 40, row_text(r, 0));
			return 1;
		}
	return rc;
}

static int stop(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct judgement *all, uint64_t conditions, const char *why)
{
	char condition[40];
	int rc;
	while ((rc = superfluous(db, reading, all, conditions, condition)) > 0) {
		rc = end(g, db, reading, condition, why);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int repeat_keep(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct judgement *all, uint64_t conditions)
{
	return stop(g, db, reading, all, conditions, "judged again");
}

int repeat_stop(struct gateway *g, struct db *db, const struct uuid *reading)
{
	return stop(g, db, reading, NULL, 0, "voided");
}

/* settling */

static bool has_kind(const struct reading *r, const char *kind, size_t len)
{
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const char *k = r->quantities[i].code->kind;
		if (strlen(k) == len && memcmp(k, kind, len) == 0)
			return true;
	}
	return false;
}

static bool has_all(const struct reading *r, const char *kinds)
{
	const char *kind;
	size_t n;
	while ((kind = word_next(&kinds, ' ', &n)))
		if (!has_kind(r, kind, n))
			return false;
	return true;
}

struct settled {
	struct uuid reading;
	char condition[40];
};

/* What `r` settles, at most `max`. The join is made from the few that wait, not from all readings. */
static int settled_by(struct db *db, int64_t device, const struct reading *r, int64_t resident,
	int64_t at_us, struct instant now, struct settled *out, size_t max, size_t *ret_n)
{
	_cleanup_(row_endp) struct row *row = db_query(db,
		"SELECT p.reading,p.kinds,p.condition FROM pending_repeat p CROSS JOIN reading d ON "
		"d.uuid=p.reading AND d.superseded=0 WHERE p.device=? AND p.kind=? AND p.boot_id=? "
		"AND p.due_boot>? AND CASE WHEN d.trust IN ('corrected','live') THEN d.taken ELSE "
		"d.arrived END<=? AND d.resident=? ORDER BY p.rowid",
		"itbiii", device, r->kind, clock_boot_id(), (size_t)16, now.boot_us, at_us,
		resident);
	size_t n = 0;
	int rc;
	while ((rc = row_next(row)) > 0 && n < max) {
		const char *condition = row_text(row, 2);
		if (!has_all(r, row_text(row, 1)) || !row_uuid(row, 0, &out[n].reading))
			continue;
		text_set(out[n].condition, sizeof(out[n].condition), condition);
		n++;
	}
	*ret_n = n;
	return MIN(rc, 0);
}

int repeat_settle(struct gateway *g, struct db *db, const struct reading *r, int64_t device,
	int64_t resident, int64_t at_us, struct instant now)
{
	struct settled settled[SETTLED_MAX];
	size_t n = 0;
	if (alert_doubtful(g->rules, r))
		return 0;
	int rc = settled_by(db, device, r, resident, at_us, now, settled, ELEMENTS(settled), &n);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = end(g, db, &settled[i].reading, settled[i].condition, "a clean one followed");
	return rc;
}

/* telling */

/* One that is due; 1, 0: there is none, -errno. */
static int tell_one(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t skip)
{
	struct uuid reading = {0};
	char condition[40];
	_cleanup_(freep) char *body = NULL;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT reading,condition,body FROM pending_repeat WHERE boot_id=? AND "
			"due_boot<=? ORDER BY due_boot,rowid LIMIT 1 OFFSET ?",
			"bii", clock_boot_id(), (size_t)16, boot_us, skip);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		row_uuid(r, 0, &reading);
		text_set(condition, sizeof(condition), row_text(r, 1));
		body = strdup(row_text(r, 2));
	}
	int rc = body ? db_run(db, "DELETE FROM pending_repeat WHERE reading=? AND condition=?",
				"bt", reading.bytes, sizeof(reading.bytes), condition)
		      : -ENOMEM;
	if (rc >= 0)
		rc = alerts_judge_doubtful(
			g, db, &reading, condition, body, (struct instant){utc_us, boot_us});
	return rc < 0 ? rc : 1;
}

int repeat_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	return watch_tell(tell_one, g, db, utc_us, boot_us);
}
