/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "notify.h"

#include "control.h"
#include "gateway.h"
#include "hook.h"
#include "intake.h"
#include "log.h"
#include "payload.h"

#include <errno.h>
#include <stdatomic.h>

#define AGAIN_US (60 * CLOCK_SECOND_US)
#define TRIES_MAX 4  /* of a critical page, and of an end */
#define TRIED_MAX 32 /* of them that wait for their next try at a time */
#define WAITS_US              \
	(2 * INT64_C(86400) * \
		CLOCK_SECOND_US) /* what waits longer waits by a clock that was set back */
#define EVENT_EVERY_US (60 * CLOCK_SECOND_US) /* a program that is broken tells each alert */

/* Something to be told that failed. */
struct tried {
	struct uuid alert;
	int64_t pages; /* of that page; -1: that it is over */
	unsigned tries;
	int64_t again_us; /* CLOCK_BOOTTIME */
};

struct notify {
	struct gateway *gateway;
	struct store *store;
	struct hook *hook;
	sd_event_source *again, *due; /* what failed; what may not be told before */
	int64_t again_us, event_us;
	bool busy;   /* one is on its way */
	bool wanted; /* another one may have come in the meantime */
	struct errand *running;
	unsigned n_tried;
	struct tried tried[TRIED_MAX];
	int64_t seen; /* store thread: the last revision that the loop heard of */
	atomic_bool told;
	struct job news;
};

/* One alert on its way: from the store, through the program, to the store. */
struct errand {
	struct job job;
	struct notify *notify;
	unsigned n_tried; /* these wait: they are not taken */
	struct tried tried[TRIED_MAX];
	int64_t utc_us, boot_us,
		next_utc_us; /* when something may be told that may not be told yet; INT64_MAX: nothing */
	struct uuid alert;
	int64_t row, pages; /* -1: it is over */
	char severity[12], phase[16], id[33];
	char *text;
	char why[128]; /* "": it worked */
	bool given_up, event;
};

static void next(struct notify *n);

static void errand_free(struct errand *e)
{
	free(e->text);
	free(e);
}

static void stand_at(sd_event_source *timer, int64_t at_us)
{
	sd_event_source_set_time(timer, (uint64_t)MAX(at_us, 0));
	sd_event_source_set_enabled(timer, at_us < INT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* what failed before */

static struct tried *tried_of(
	struct tried *all, unsigned n, const struct uuid *alert, int64_t pages)
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(all[i].alert.bytes, alert->bytes, sizeof(alert->bytes)) == 0 &&
			all[i].pages == pages)
			return &all[i];
	return NULL;
}

static void forget_tried(struct notify *n, struct tried *t)
{
	if (t)
		*t = n->tried[--n->n_tried];
}

/* What was to be tried again until then, and was not taken: it is acknowledged, or something else now. */
static void forget_past(struct notify *n, int64_t boot_us)
{
	for (unsigned i = n->n_tried; i-- > 0;)
		if (n->tried[i].again_us <= boot_us)
			forget_tried(n, &n->tried[i]);
}

/* True: it is tried again. */
static bool try_again(struct notify *n, const struct errand *e)
{
	struct tried *t = tried_of(n->tried, n->n_tried, &e->alert, e->pages);
	if (e->pages >= 0 && !streq(e->severity, "critical"))
		return false;
	if (!t && n->n_tried < TRIED_MAX) {
		t = &n->tried[n->n_tried++];
		*t = (struct tried){.alert = e->alert, .pages = e->pages};
	}
	if (!t || ++t->tries >= TRIES_MAX) {
		forget_tried(n, t);
		return false;
	}
	t->again_us = clock_boot_us() + n->again_us;
	return true;
}

static void wait_for_again(struct notify *n)
{
	int64_t at_us = INT64_MAX;
	for (unsigned i = 0; i < n->n_tried; i++)
		at_us = MIN(at_us, n->tried[i].again_us);
	stand_at(n->again, at_us);
}

/* to the store */

static int run_mark(struct job *job, struct db *db)
{
	struct errand *e = (struct errand *)job;
	char detail[200];
	int rc = 0;
	if (e->pages < 0 && (!e->why[0] || e->given_up))
		rc = db_run(db, "UPDATE alert SET sounding=0 WHERE id=?", "i", e->row);
	else if (e->pages >= 0) /* one that failed may have begun, too */
		rc = db_run(db, "UPDATE alert SET sounding=1, hooked=max(hooked,?) WHERE id=?",
			"ii", !e->why[0] || e->given_up ? e->pages : 0, e->row);
	if (rc < 0 || !e->event)
		return MIN(rc, 0);
	snprintf(detail, sizeof(detail), "alert %.8s: %s", e->id, e->why);
	return intake_event(
		e->notify->gateway, db, 0, "hook_failed", detail, NULL, clock_utc_us(), true);
}

static void rest(struct notify *n)
{
	n->busy = false;
	stand_at(n->again, clock_boot_us() + n->again_us);
}

static void marked(struct job *job, int result)
{
	struct errand *e = (struct errand *)job;
	struct notify *n = e->notify;
	if (result < 0 && result != -ECANCELED)
		log_error("hook", "what was told is not written down: %s", strerror(-result));
	errand_free(e);
	if (result >= 0) {
		n->busy = false;
		next(n);
	} else if (result != -ECANCELED) {
		rest(n);
	}
}

/* through the program */

static void ended(void *arg, const char *why)
{
	struct errand *e = arg;
	struct notify *n = e->notify;
	int64_t now_us = clock_boot_us();
	n->running = NULL;
	if (why) {
		bool first = !tried_of(n->tried, n->n_tried, &e->alert, e->pages);
		snprintf(e->why, sizeof(e->why), "%s", why);
		e->given_up = !try_again(n, e);
		log_warn("hook", "alert %.8s: %s%s", e->id, why,
			e->given_up ? "" : "; it is run again");
		e->event = first && (!n->event_us || now_us - n->event_us >= EVENT_EVERY_US);
		n->event_us = e->event ? now_us : n->event_us;
	} else {
		log_info("hook", "alert %.8s, %s: told", e->id, e->pages < 0 ? "over" : "page");
		forget_tried(n, tried_of(n->tried, n->n_tried, &e->alert, e->pages));
	}
	wait_for_again(n);
	e->job.run = run_mark;
	e->job.done = marked;
	store_submit(n->store, &e->job);
}

static void tell(struct errand *e)
{
	struct notify *n = e->notify;
	const struct config *c = n->gateway->config;
	const char *const words[] = {
		e->severity, e->phase, e->id, e->pages < 0 ? "over" : "page", NULL};
	n->running = e;
	int rc = hook_run(n->hook, c->hook, words, e->text, strlen(e->text),
		c->hook_timeout_s * CLOCK_SECOND_US, ended, e);
	if (rc < 0) {
		char why[128];
		snprintf(why, sizeof(why), "it cannot be run: %s; look at alerting.hook",
			strerror(-rc));
		ended(e, why);
	}
}

/* from the store */

/* Whether this waits for its next try. */
static bool waits(const struct errand *e, const struct uuid *alert, int64_t pages)
{
	const struct tried *t = tried_of((struct tried *)e->tried, e->n_tried, alert, pages);
	return t && t->again_us > e->boot_us;
}

/* 1: it is the one; 0: it waits; -errno. */
static int take(struct errand *e, struct row *r, bool page)
{
	struct uuid alert;
	int64_t pages = page ? row_int(r, 4) : -1;
	if (!row_uuid(r, 1, &alert))
		return -ODD_ROW;
	if (waits(e, &alert, pages))
		return 0;
	e->row = row_int(r, 0);
	e->alert = alert;
	e->pages = pages;
	hex(e->id, alert.bytes, sizeof(alert.bytes));
	text_set(e->severity, sizeof(e->severity), row_text(r, 2));
	text_set(e->phase, sizeof(e->phase), row_text(r, 3));
	return 1;
}

/* The first of these that does not wait. */
static int first_of(struct errand *e, struct row *r, bool page)
{
	int rc;
	while ((rc = row_next(r)) > 0) {
		rc = take(e, r, page);
		if (rc)
			break;
	}
	return rc;
}

static int page_of(struct errand *e, struct db *db, bool critical)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,uuid,severity,phase,pages FROM alert WHERE state IN ('active','latched') AND "
		"pages>hooked AND acked IS NULL AND (deliver='now' OR coalesce(not_before,0) NOT "
		"BETWEEN ?+1 AND ?) AND (severity='critical')=? ORDER BY id",
		"iii", e->utc_us, e->utc_us + WAITS_US, (int64_t)critical);
	return first_of(e, r, true);
}

/* What is acknowledged, or over, whether its last page was told or not. */
static int over_of(struct errand *e, struct db *db)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,uuid,severity,phase FROM alert WHERE sounding=1 AND (state='inactive' OR "
		"acked IS NOT NULL) ORDER BY id",
		"");
	return first_of(e, r, false);
}

static int run_take(struct job *job, struct db *db)
{
	struct errand *e = (struct errand *)job;
	struct json j = {0};
	e->utc_us = clock_utc_us();
	e->boot_us = clock_boot_us();
	int rc = page_of(e, db, true);
	if (rc == 0)
		rc = over_of(e, db);
	if (rc == 0)
		rc = page_of(e, db, false);
	e->next_utc_us = db_int(db, INT64_MAX,
		"SELECT min(not_before) FROM alert WHERE state IN ('active','latched') AND pages>hooked "
		"AND acked IS NULL AND deliver<>'now' AND not_before BETWEEN ?+1 AND ?",
		"ii", e->utc_us, e->utc_us + WAITS_US);
	if (e->next_utc_us == 0)
		e->next_utc_us = INT64_MAX; /* min() of nothing */
	if (rc <= 0)
		return rc;
	rc = payload_object(e->notify->gateway, db, OBJECT_ALERT, e->row, -1, &j);
	e->text = json_take(&j);
	json_free(&j);
	return rc < 0 ? rc : e->text ? 1 : -ENOMEM;
}

static void taken(struct job *job, int result)
{
	struct errand *e = (struct errand *)job;
	struct notify *n = e->notify;
	if (result >= 0)
		stand_at(n->due, e->next_utc_us);
	if (result > 0) {
		tell(e);
		return;
	}
	int64_t looked_us = e->boot_us;
	errand_free(e);
	if (result == -ECANCELED)
		return; /* the daemon stops */
	if (result < 0) {
		rest(n);
		return;
	}
	n->busy = false;
	forget_past(n, looked_us);
	if (n->wanted)
		next(n);
}

static void next(struct notify *n)
{
	if (!n->gateway->config->hook[0] || !n->gateway->config->alerts)
		return;
	struct errand *e = n->busy ? NULL : calloc(1, sizeof(*e));
	n->wanted = n->busy;
	if (!e && !n->busy)
		rest(n); /* no memory now */
	if (!e)
		return;
	n->busy = true;
	e->notify = n;
	e->n_tried = n->n_tried;
	memcpy(e->tried, n->tried, sizeof(e->tried));
	e->job = (struct job){.run = run_take, .done = taken, .reads_only = true};
	store_submit(n->store, &e->job);
}

/* what is new */

static void on_news(struct job *job, int result)
{
	(void)result;
	struct notify *n = (struct notify *)((char *)job - offsetof(struct notify, news));
	n->told = false;
	if (n->gateway->control)
		control_news(n->gateway->control);
	next(n);
}

void notify_after_commit(struct notify *n, struct db *db)
{
	if (!n)
		return;
	int64_t last = db_int(db, 0, "SELECT max(n) FROM alert_history", "");
	if (last <= n->seen)
		return;
	n->seen = last;
	if (!atomic_exchange(&n->told, true))
		store_post(n->store, &n->news);
}

void notify_follow(struct notify *n)
{
	if (n)
		next(n);
}

/* life */

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	next(arg);
	return 0;
}

static int add_timer(struct notify *n, clockid_t clock, sd_event_source **ret)
{
	int rc = sd_event_add_time(
		n->gateway->loop, ret, clock, 0, CLOCK_SECOND_US / 10, on_timer, n);
	return rc < 0 ? rc : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int notify_new(struct gateway *g, struct notify **ret)
{
	struct notify *n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->gateway = g;
	n->store = g->store;
	n->again_us = AGAIN_US;
	n->news.done = on_news;
	int rc = hook_new(g->loop, &n->hook);
	if (rc >= 0)
		rc = add_timer(n, CLOCK_BOOTTIME, &n->again);
	if (rc >= 0) /* the end of quiet hours is a time of day: it moves when our clock is set */
		rc = add_timer(n, CLOCK_REALTIME, &n->due);
	if (rc < 0) {
		notify_free(n);
		return rc;
	}
	*ret = n;
	next(n);
	return 0;
}

void notify_use(struct notify *n, int64_t again_us)
{
	n->again_us = again_us;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	hook_free(n->hook);
	if (n->running)
		errand_free(n->running);
	sd_event_source_disable_unref(n->again);
	sd_event_source_disable_unref(n->due);
	free(n);
}
