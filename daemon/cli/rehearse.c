/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rehearse.h"

#include "acknowledge.h"
#include "alerts.h"
#include "daily.h"
#include "digest.h"
#include "log.h"
#include "outbox.h"
#include "policy.h"
#include "resident.h"
#include "stored.h"
#include "watch.h"

#include <errno.h>
#include <ftw.h>

#define STARTED_US INT64_C(1577836800000000) /* 2020-01-01: the machine has run since */
#define COMMIT_EVERY 2000
#define ANSWERS "rehearsal"
#define OFF_DAYS 92 /* a gateway that heard nothing for so long is off, and judges nothing */
#define TAIL_US (3 * INT64_C(86400) * CLOCK_SECOND_US) /* until then everything was due once */

/* the clock */

static int64_t now_us; /* 0: the real one */

int64_t __real_clock_utc_us(void);
int64_t __real_clock_boot_us(void);
int64_t __wrap_clock_utc_us(void);
int64_t __wrap_clock_boot_us(void);

int64_t __wrap_clock_utc_us(void)
{
	return now_us ? now_us : __real_clock_utc_us();
}

/* The machine never rests and its clock never steps. */
int64_t __wrap_clock_boot_us(void)
{
	return now_us ? now_us - STARTED_US : __real_clock_boot_us();
}

static int failed(struct rehearsal *h, int rc)
{
	if (!h->error[0])
		snprintf(h->error, sizeof(h->error), "%s (%s)", strerror(-rc),
			h->db ? db_error(h->db) : h->dir);
	return rc;
}

/* time */

/* Whoever is overdue to answer does. */
static int answer(struct rehearsal *h)
{
	int rc = 1;
	while (rc > 0) {
		struct uuid id;
		{
			_cleanup_(row_endp) struct row *r = db_query(h->db,
				"SELECT a.uuid FROM escalation e JOIN alert a ON a.uuid=e.alert WHERE "
				"e.rests=0 AND e.due_boot<=? AND a.acked IS NULL AND a.state IN "
				"('active','latched') LIMIT 1",
				"i", clock_boot_us());
			rc = row_next(r);
			if (rc <= 0)
				break;
			if (!row_uuid(r, 0, &id))
				return -EIO;
		}
		rc = acknowledge_alert(&h->gateway, h->db, &id, ANSWERS, "advised");
		if (rc == 0)
			return -EIO; /* it would be asked for ever */
	}
	return rc;
}

static int64_t next_due(struct rehearsal *h)
{
	return db_int(h->db, INT64_MAX,
		"SELECT min(due) FROM (SELECT min(due_boot) AS due FROM pending_repeat UNION ALL "
		"SELECT min(due_boot) FROM escalation WHERE rests=0)",
		"");
}

static bool anything_due(struct rehearsal *h)
{
	return db_int(h->db, 0,
		       "SELECT EXISTS(SELECT 1 FROM pending_repeat) OR EXISTS(SELECT 1 FROM escalation "
		       "WHERE rests=0)",
		       "") == 1;
}

/* Until then, whatever is due happens at its own instant. */
static int pass_due(struct rehearsal *h, int64_t until_us)
{
	int64_t next_us;
	int rc = 0;
	while (rc >= 0 && anything_due(h)) {
		int64_t due_us = next_due(h) + STARTED_US;
		if (due_us > until_us)
			break;
		now_us = MAX(now_us, due_us);
		rc = answer(h);
		if (rc >= 0)
			rc = watch_look(&h->gateway, h->db, now_us, clock_boot_us(), &next_us);
		if (rc >= 0 && next_due(h) <= clock_boot_us() && next_us > clock_boot_us())
			rc = -EIO; /* it cannot be told: it would be tried for ever */
	}
	now_us = MAX(now_us, until_us);
	return rc;
}

/* the rules of a day */

static int64_t morning_us(const struct rehearsal *h, int32_t day)
{
	return day_at_us(day, day_minute(h->config.lists_at));
}

/* What persons confirmed and planned until now; rehearse_history() kept it back. */
static int learn(struct rehearsal *h)
{
	int rc = db_run(h->db,
		"UPDATE visit SET state='confirmed' WHERE state='" VISIT_LATER
		"' AND confirmed_at<=?",
		"i", now_us);
	if (rc >= 0)
		rc = db_run(h->db,
			"UPDATE plan SET form=substr(form,2) WHERE at<=? AND form GLOB '" PLAN_LATER
			"*'",
			"i", now_us);
	return rc;
}

/* The walk of the daemon; its clock stands still meanwhile. */
static int judge_day(struct rehearsal *h)
{
	char period[DAY_TEXT];
	bool known = h->home || h->visits;
	int needed = known ? daily_needed(&h->gateway, h->db) : 0;
	int rc = needed > 0 ? learn(h) : needed;
	if (needed <= 0 || rc < 0)
		return rc;
	struct digest_build *b = digest_begin(&h->gateway, DIGEST_ALERTS, day_text(period, h->day));
	if (!b)
		return -ENOMEM;
	do
		rc = digest_portion(b, &h->gateway, h->db, CLOCK_SECOND_US);
	while (rc > 0);
	digest_drop(b);
	return rc;
}

/* The same, and each morning the rules of a day. */
static int pass(struct rehearsal *h, int64_t until_us)
{
	int rc = 0;
	for (; rc >= 0 && h->day && morning_us(h, h->day) <= until_us; h->day++) {
		if (h->day > day_of(h->last_us) + OFF_DAYS)
			continue;
		rc = pass_due(h, morning_us(h, h->day));
		if (rc >= 0)
			rc = judge_day(h);
	}
	if (rc >= 0)
		rc = pass_due(h, until_us);
	return rc < 0 ? failed(h, rc) : 0;
}

int rehearse_end(struct rehearsal *h, bool until_today)
{
	int64_t known_us =
		until_today ? __real_clock_utc_us() : morning_us(h, day_of(h->last_us) + 1);
	int rc = h->readings ? pass(h, MAX(now_us, known_us)) : 0;
	h->day = 0;
	return rc < 0 ? rc : pass(h, now_us + TAIL_US);
}

/* a reading */

struct texts {
	char kind[32], evidence[40], grade[12], station[32], status[24];
};

static struct stored *load(struct rehearsal *h, int64_t row, struct unit *u, struct filing *f,
	struct reading **ret, struct texts *t)
{
	_cleanup_(row_endp) struct row *r = db_query(h->db,
		"SELECT uuid,kind,device,coalesce(resident,0),evidence,grade,in_contract,arrived,taken,"
		"uncertainty_us,trust,body,station,status,conflicts_with FROM reading WHERE id=?",
		"i", row);
	if (row_next(r) <= 0)
		return NULL;
	struct stored *s = stored_read(h->gateway.codes, row_text(r, 11));
	if (!s)
		return NULL;
	text_set(t->kind, sizeof(t->kind), row_text(r, 1));
	text_set(t->evidence, sizeof(t->evidence), row_text(r, 4));
	text_set(t->grade, sizeof(t->grade), row_text(r, 5));
	text_set(t->station, sizeof(t->station), row_text(r, 12));
	text_set(t->status, sizeof(t->status), row_text(r, 13));
	*ret = stored_reading(s);
	row_uuid(r, 0, &(*ret)->id);
	(*ret)->kind = t->kind;
	*u = (struct unit){
		.device_row = row_int(r, 2), .station = t->station, .arrived_us = row_int(r, 7)};
	*f = (struct filing){.when = {row_int(r, 8), row_int(r, 9), trust_named(row_text(r, 10))},
		.who = {.resident = row_int(r, 3), .evidence = t->evidence, .grade = t->grade},
		.in_contract = row_int(r, 6),
		.conflict = !row_null(r, 14),
		.revision = 1, /* it arrives now, as it was known in the end */
		.status = t->status,
		.row = row};
	return s;
}

static int commit(struct rehearsal *h)
{
	int rc = db_script(h->db, "COMMIT");
	if (rc >= 0)
		db_checkpoint(h->db, false);
	h->pending = 0;
	return rc < 0 ? rc : db_script(h->db, "BEGIN IMMEDIATE");
}

int rehearse_reading(struct rehearsal *h, int64_t row)
{
	struct unit u;
	struct filing f;
	struct reading *r;
	struct texts t;
	_cleanup_(stored_endp) struct stored *s = load(h, row, &u, &f, &r, &t);
	if (!s)
		return failed(h, -EIO);
	/* a clock that was not set said nothing: it came behind the one before */
	int64_t at_us = clock_plausible(u.arrived_us) ? u.arrived_us : now_us;
	int rc = pass(h, MAX(at_us, now_us));
	if (!h->readings++)
		h->first_us = now_us;
	h->last_us = now_us;
	if (!h->day && clock_plausible(now_us))
		h->day = day_of(now_us);
	u.arrived_us = now_us;
	u.boot_us = clock_boot_us();
	for (unsigned i = 0; i < r->n_quantities && rc >= 0 && f.who.resident; i++)
		rc = filing_evidence(&h->gateway, h->db, &f, r->quantities[i].code->kind,
			r->quantities[i].value, r->quantities[i].comparator);
	if (rc >= 0)
		rc = alerts_judge(&h->gateway, h->db, &u, r, &r->id, &f);
	if (rc >= 0 && ++h->pending >= COMMIT_EVERY)
		rc = commit(h);
	return rc < 0 ? failed(h, rc) : 0;
}

/* life */

int rehearse_open(struct rehearsal *h, struct policy *policy, struct alert_rules *rules)
{
	const char *tmp = getenv("TMPDIR");
	*h = (struct rehearsal){.config = policy->config};
	snprintf(h->dir, sizeof(h->dir), "%.40s/vitalgate-XXXXXX", tmp ? tmp : "/var/tmp");
	if (!mkdtemp(h->dir)) {
		h->dir[0] = 0;
		return failed(h, -errno);
	}
	log_init("vitalgate", LOG_ERROR); /* alerts of a rehearsal are no news */
	now_us = STARTED_US + CLOCK_SECOND_US;
	h->config.alerts = true;
	h->config.n_sinks = 0;
	h->gateway = (struct gateway){.config = &h->config,
		.codes = policy->codes,
		.rules = rules,
		.forms = policy->forms,
		.numbers = policy->numbers,
		.ws = policy->ws};
	clock_set_zone(h->config.zone);
	h->gateway.outbox = outbox_new(&h->gateway, NULL, NULL);
	int rc = h->gateway.outbox ? db_open(h->dir, &h->db) : -ENOMEM;
	if (rc >= 0)
		rc = db_script(h->db, "PRAGMA synchronous=OFF; PRAGMA cache_size=-65536");
	return rc < 0 ? failed(h, rc) : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void rehearse_close(struct rehearsal *h)
{
	now_us = 0;
	if (h->db)
		db_close(h->db);
	if (h->gateway.outbox)
		outbox_free(h->gateway.outbox);
	if (h->dir[0])
		nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	h->db = NULL;
	h->gateway.outbox = NULL;
	h->dir[0] = 0;
}
