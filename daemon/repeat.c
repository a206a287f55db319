/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repeat.h"

#include "filing.h"
#include "gateway.h"
#include "intake.h"
#include "watch.h"

#include <errno.h>

#define TOLD_MAX 64    /* in one look; the rest in the next, which is at once */
#define SETTLED_MAX 16 /* by one clean reading; what is beyond is told */
#define KINDS_MAX 128

/* asking */

static void kinds_of(const struct reading *r, const struct alert_verdict *v, char *out, size_t size)
{
	size_t n = 0;
	out[0] = 0;
	for (unsigned i = 0; i < v->n && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? " " : "",
			r->quantities[v->quantity[i]].code->kind);
}

static int request(struct gateway *g, struct db *db, const struct unit *u, const char *flag,
	const struct raising *a, unsigned within_s, const struct quantity *q)
{
	char detail[160], id[33];
	snprintf(detail, sizeof(detail), "reading %.8s: %s %.*f %s, %s: repeat within %u s",
		hex(id, a->reading->bytes, sizeof(a->reading->bytes)), q->code->kind,
		(int)q->value.decimals, (double)q->value.milli / 1000, q->code->ucum, flag,
		within_s);
	return intake_event(
		g, db, u->device_row, "repeat_requested", detail, NULL, u->arrived_us, true);
}

int repeat_ask(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct raising *a, const struct alert_verdict *verdict)
{
	const struct alert_rules *rules = g->rules;
	unsigned within_s = alert_times(rules)->within_s;
	int64_t within_us = within_s * CLOCK_SECOND_US;
	char kinds[KINDS_MAX];
	kinds_of(r, verdict, kinds, sizeof(kinds));
	/* corrected while it waits, and still doubtful: it says something else, and waits no longer */
	int rc = db_run(db,
		"UPDATE pending_repeat SET kinds=?, severity=?, body=?, doubts=? WHERE reading=?",
		"ttttb", kinds, a->severity, a->body, a->doubts, a->reading->bytes,
		sizeof(a->reading->bytes));
	if (rc != 0)
		return MIN(rc, 0);
	rc = db_run(db,
		"INSERT INTO pending_repeat(reading,device,kind,kinds,severity,body,doubts,since,"
		"boot_id,due_boot,due) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
		"bittttti"
		"bii",
		a->reading->bytes, sizeof(a->reading->bytes), u->device_row, r->kind, kinds,
		a->severity, a->body, a->doubts, u->arrived_us, clock_boot_id(), (size_t)16,
		u->boot_us + within_us, u->arrived_us + within_us);
	if (rc < 0)
		return rc;
	watch_expect(g->watch, u->boot_us + within_us);
	const char *flag = alert_doubtful(rules, r);
	return request(
		g, db, u, flag ? flag : "", a, within_s, &r->quantities[verdict->quantity[0]]);
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
	for (const char *p = kinds; *p;) {
		size_t n = strcspn(p, " ");
		if (!has_kind(r, p, n))
			return false;
		p += n + (p[n] == ' ');
	}
	return true;
}

/* What `r` settles, at most `max`. The join is made from the few that wait, not from all readings. */
static int settled_by(struct db *db, const struct unit *u, const struct reading *r,
	const struct filing *f, struct uuid *out, size_t max, size_t *ret_n)
{
	_cleanup_(row_endp) struct row *row = db_query(db,
		"SELECT p.reading,p.kinds FROM pending_repeat p CROSS JOIN reading d ON "
		"d.uuid=p.reading AND d.superseded=0 WHERE p.device=? AND p.kind=? AND p.boot_id=? "
		"AND p.due_boot>? AND d.taken<=? AND coalesce(d.resident,0)=?",
		"itbiii", u->device_row, r->kind, clock_boot_id(), (size_t)16, u->boot_us,
		f->when.taken_us, f->who.resident);
	size_t n = 0, len;
	int rc;
	while ((rc = row_next(row)) > 0 && n < max) {
		if (!has_all(r, row_text(row, 1)))
			continue;
		const void *id = row_blob(row, 0, &len);
		memcpy(out[n++].bytes, id, sizeof(out->bytes));
	}
	*ret_n = n;
	return MIN(rc, 0);
}

int repeat_settle(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct filing *f)
{
	struct uuid settled[SETTLED_MAX];
	size_t n = 0;
	if (u->test || alert_doubtful(g->rules, r))
		return 0;
	int rc = settled_by(db, u, r, f, settled, ELEMENTS(settled), &n);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		char id[33], detail[64];
		snprintf(detail, sizeof(detail), "reading %.8s: a clean one followed",
			hex(id, settled[i].bytes, sizeof(settled[i].bytes)));
		rc = db_run(db, "DELETE FROM pending_repeat WHERE reading=?", "b", settled[i].bytes,
			sizeof(settled[i].bytes));
		if (rc >= 0)
			rc = intake_event(g, db, u->device_row, "repeat_done", detail, NULL,
				u->arrived_us, true);
	}
	return rc;
}

/* telling */

/* Staff, and whose it is now: a person may have assigned it while it waited. */
static void route(struct gateway *g, struct db *db, const struct uuid *reading, struct filing *f)
{
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT resident,taken FROM reading WHERE uuid=? AND superseded=0", "b",
			reading->bytes, sizeof(reading->bytes));
		if (row_next(r) > 0) {
			f->who.resident = row_int(r, 0);
			f->when.taken_us = row_int(r, 1);
		}
	}
	filing_route(g, db, f);
	const char *contact = g->config->site_contact;
	if (!contact[0])
		return;
	f->role = "site";
	text_copy(f->recipient, sizeof(f->recipient), contact, strlen(contact));
}

/* The labels of an alert, an array that is not empty, and one more. */
static char *labels_with(const char *labels, const char *more)
{
	char *text = NULL;
	int n = asprintf(&text, "%.*s,\"%s\"]", (int)strlen(labels) - 1, labels, more);
	return n < 0 ? NULL : text;
}

/* One that is due; 1, 0: there is none, -errno. */
static int tell_one(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	struct uuid reading = {0};
	struct filing f = {0};
	char severity[16] = "";
	_cleanup_(freep) char *body = NULL, *doubts = NULL;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT reading,severity,body,doubts FROM pending_repeat WHERE boot_id=? AND "
			"due_boot<=? ORDER BY due_boot LIMIT 1",
			"bi", clock_boot_id(), (size_t)16, boot_us);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		size_t len;
		const void *id = row_blob(r, 0, &len);
		memcpy(reading.bytes, id, MIN(len, sizeof(reading.bytes)));
		text_copy(severity, sizeof(severity), row_text(r, 1), strlen(row_text(r, 1)));
		body = strdup(row_text(r, 2));
		doubts = labels_with(row_text(r, 3), FILING_NO_CLEAN_REPEAT);
	}
	if (!body || !doubts)
		return -ENOMEM;
	route(g, db, &reading, &f);
	int rc = filing_raise(g, db,
		&(struct raising){.id = filing_alert_id(&reading),
			.to = &f,
			.reading = &reading,
			.severity = severity,
			.why = "no clean repeat",
			.body = body,
			.doubts = doubts,
			.raised_us = utc_us,
			.raised_boot_us = boot_us});
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM pending_repeat WHERE reading=?", "b", reading.bytes,
			sizeof(reading.bytes));
	return rc < 0 ? rc : 1;
}

int repeat_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	int rc = 1;
	for (unsigned n = 0; rc > 0 && n < TOLD_MAX; n++)
		rc = tell_one(g, db, utc_us, boot_us);
	return MIN(rc, 0);
}
