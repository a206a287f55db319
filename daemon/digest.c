/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "digest.h"

#include "daily.h"
#include "due_facts.h"
#include "gateway.h"
#include "kpi.h"
#include "log.h"

#include <errno.h>

#define PART_BYTES \
	(90 * 1024) /* of items: with what stands around them less than OUTBOX_PACK_BYTES */
#define AHEAD_US (24 * 3600 * CLOCK_SECOND_US) /* a clock that is set moves by less */

static const char *const kinds[DIGESTS] = {"due", "kpi", "alerts"};

/* when */

/* The instant at which the wall shows `lists.at` on that day. */
static int64_t morning_us(const struct gateway *g, int32_t day)
{
	return day_at_us(day, day_minute(g->config->lists_at));
}

void digest_wanted(const struct gateway *g, enum digest_kind kind, int64_t utc_us,
	char ret_period[static DAY_TEXT])
{
	int y, m, d;
	const struct config *c = g->config;
	bool on = kind == DIGEST_DUE ? c->lists_due : kind == DIGEST_KPI ? c->lists_kpi : c->alerts;
	ret_period[0] = 0;
	if (!on || !clock_plausible(utc_us))
		return;
	int32_t today = day_of(utc_us);
	day_split(today, &y, &m, &d);
	int32_t since = kind == DIGEST_KPI ? day_from(y, m, 1) : today;
	if (utc_us < morning_us(g, since))
		return;
	day_text(ret_period, kind == DIGEST_KPI ? since - 1 : today);
	if (kind == DIGEST_KPI)
		ret_period[KPI_MONTH - 1] = 0;
}

int digest_stored(struct db *db, enum digest_kind kind, const char *period, int64_t utc_us)
{
	int rc = db_run(db, "DELETE FROM outbox WHERE uuid IN (SELECT uuid FROM digest WHERE at>?)",
		"i", utc_us + AHEAD_US);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM digest WHERE at>?", "i", utc_us + AHEAD_US);
	if (rc < 0)
		return rc;
	return db_int(db, 0, "SELECT 1 FROM digest WHERE kind=? AND period=? LIMIT 1", "tt",
		       kinds[kind], period) == 1;
}

/* what */

struct part {
	struct part *next;
	struct json items;
};

struct digest_build {
	enum digest_kind kind;
	char period[DAY_TEXT];
	int32_t day;
	char after[64]; /* token of the resident that was seen last */
	struct part *parts, *last;
	unsigned n_parts;
	unsigned counts[LISTS];
	struct kpi kpi;
	int failed; /* -errno of the last resident whose rows could not be read */
};

struct digest_build *digest_begin(struct gateway *g, enum digest_kind kind, const char *period)
{
	struct digest_build *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->kind = kind;
	text_copy(b->period, sizeof(b->period), period, strlen(period));
	b->day = day_read(period);
	if (kind == DIGEST_KPI)
		kpi_begin(&b->kpi, g->numbers, period, INT32_MAX);
	return b;
}

void digest_drop(struct digest_build *b)
{
	while (b && b->parts) {
		struct part *p = b->parts;
		b->parts = p->next;
		json_free(&p->items);
		free(p);
	}
	free(b);
}

/* One that has room for the items of one more resident. */
static struct part *part_with_room(struct digest_build *b)
{
	if (b->last && b->last->items.len < PART_BYTES)
		return b->last;
	struct part *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	if (b->last) {
		json_array_end(&b->last->items);
		b->last->next = p;
	} else {
		b->parts = p;
	}
	json_array_begin(&p->items, NULL);
	b->last = p;
	b->n_parts++;
	return p;
}

static int add_items(
	struct digest_build *b, const struct gateway *g, struct db *db, const struct owned *who)
{
	struct due_facts facts;
	struct due_item items[DUE_ITEMS_MAX];
	int rc = due_facts(db, g->numbers, who, b->day, &facts);
	unsigned n = rc < 0 ? 0 : due_judge(g->numbers, &facts, b->day, items);
	struct part *p = n ? part_with_room(b) : NULL;
	if (!p)
		return n ? -ENOMEM : rc;
	for (unsigned i = 0; i < n; i++) {
		due_json(&items[i], who, b->day, &p->items);
		b->counts[items[i].list]++;
	}
	return p->items.failed ? -ENOMEM : 0;
}

static struct instant now(void)
{
	return (struct instant){clock_utc_us(), clock_boot_us()};
}

static int add(struct digest_build *b, struct gateway *g, struct db *db, const struct owned *who)
{
	switch (b->kind) {
	case DIGEST_DUE:
		return add_items(b, g, db, who);
	case DIGEST_KPI:
		return kpi_add(&b->kpi, db, who);
	case DIGEST_ALERTS:
		return daily_judge(g, db, who, b->day, now());
	case DIGESTS:
		break;
	}
	return -EINVAL;
}

/* Whose rows cannot be read must not keep the list from all others. */
static int add_apart(
	struct digest_build *b, struct gateway *g, struct db *db, const struct owned *who)
{
	static struct log_limit limit; /* the store thread's */
	unsigned held_back;
	int rc = db_part_begin(db);
	if (rc < 0)
		return rc;
	int added = add(b, g, db, who);
	if (added < 0)
		b->failed = added;
	if (added < 0 && log_allowed(&limit, 5, &held_back))
		log_error("lists", "%s of %s cannot be made for one resident: %s", kinds[b->kind],
			b->period, strerror(-added));
	return db_part_end(db, added);
}

/* Behind the last resident. 1: there may be more. What was missed is said by a portion in which nothing was done: its work
 * is undone. Of the others all stands, and the next try finds the rest. */
static int leave(struct digest_build *b, struct gateway *g, struct db *db, int64_t until_us)
{
	int left = 0, rc;
	do
		rc = daily_leave(g, db, now());
	while (rc > 0 && ++left && clock_boot_us() < until_us);
	return rc < 0 ? rc : left ? 1 : b->failed;
}

int digest_portion(struct digest_build *b, struct gateway *g, struct db *db, int64_t for_us)
{
	struct owned who[OWNED_PAGE];
	int64_t until_us = clock_boot_us() + for_us;
	int n = owned_next(db, g->config->gateway, b->after, who), rc = MIN(n, 0);
	for (int i = 0; i < n && rc >= 0 && (i == 0 || clock_boot_us() < until_us); i++) {
		rc = add_apart(b, g, db, &who[i]);
		memcpy(b->after, who[i].token, sizeof(b->after));
	}
	if (n == 0 && b->kind == DIGEST_ALERTS)
		rc = leave(b, g, db, until_us);
	return rc < 0 ? rc : n > 0 || rc > 0;
}

static unsigned total(const struct digest_build *b)
{
	unsigned n = 0;
	for (unsigned i = 0; i < LISTS; i++)
		n += b->counts[i];
	return n;
}

static void head(const struct digest_build *b, const struct gateway *g, unsigned n, struct json *j)
{
	json_str(j, "day", b->period);
	json_str(j, "rules", g->numbers->version);
	json_int(j, "part", n);
	json_int(j, "parts", b->n_parts);
	json_int(j, "total", total(b));
	json_object_begin(j, "counts");
	for (unsigned i = 0; i < LISTS; i++)
		json_int(j, due_lists[i], b->counts[i]);
	json_object_end(j);
}

static int keep(const struct digest_build *b, const struct gateway *g, struct db *db,
	int64_t utc_us, unsigned part, const char *body)
{
	struct uuid id = uuid_random();
	if (!body)
		return -ENOMEM;
	int rc = db_run(db,
		"INSERT INTO digest(uuid,kind,period,part,revision,body,at) VALUES(?,?,?,?,1,?,?)",
		"bttiti", id.bytes, sizeof(id.bytes), kinds[b->kind], b->period, (int64_t)part,
		body, utc_us);
	if (rc >= 0 && b->kind == DIGEST_ALERTS)
		return 0; /* they are told by themselves: this is the note that they were looked for */
	return rc < 0 ? rc
		      : outbox_add(g->outbox, db, b->kind == DIGEST_DUE ? OBJECT_DUE : OBJECT_KPI,
				db_last_id(db), &id, 1);
}

static int keep_due(struct digest_build *b, const struct gateway *g, struct db *db, int64_t utc_us,
	struct json *j)
{
	unsigned n = 0;
	int rc = 0;
	/* an empty list is told, too: nobody has to guess why none came */
	if (!b->parts && !part_with_room(b))
		return -ENOMEM;
	json_array_end(&b->last->items);
	for (struct part *p = b->parts; p && rc >= 0; p = p->next) {
		json_reset(j);
		json_object_begin(j, NULL);
		head(b, g, ++n, j);
		json_raw(j, "items", json_text(&p->items));
		json_object_end(j);
		rc = keep(b, g, db, utc_us, n, json_text(j));
	}
	if (rc >= 0)
		log_info("lists", "%u items are due on %s", total(b), b->period);
	return rc;
}

int digest_keep(struct digest_build *b, const struct gateway *g, struct db *db, int64_t utc_us)
{
	_cleanup_(json_free) struct json j = {0};
	if (b->kind == DIGEST_DUE)
		return keep_due(b, g, db, utc_us, &j);
	if (b->kind == DIGEST_ALERTS)
		return keep(b, g, db, utc_us, 1, "{}");
	json_object_begin(&j, NULL);
	kpi_json(&b->kpi, &j);
	json_str(&j, "rules", g->numbers->version);
	json_object_end(&j);
	return keep(b, g, db, utc_us, 1, json_text(&j));
}

/* the loop's side */

#define PORTION_US 5000
#define LOOK_US (60 * CLOCK_SECOND_US) /* a clock that is set wakes no timer of CLOCK_BOOTTIME */

struct digest {
	struct gateway *gateway;
	struct store *store;
	sd_event_source *timer;
	bool working;
	char stored[DIGESTS][DAY_TEXT]; /* the last ones that we know of */
};

struct work {
	struct job job;
	struct digest *digest;
	enum digest_kind kind;
	char period[DAY_TEXT];
	enum { LOOK, BUILD, KEEP, OVER } step;
	struct digest_build *build;
};

static void tick(struct digest *d);

static int run_work(struct job *job, struct db *db)
{
	struct work *w = (struct work *)job;
	struct gateway *g = w->digest->gateway;
	int64_t utc_us = clock_utc_us();
	int rc;
	switch (w->step) {
	case LOOK:
		rc = digest_stored(db, w->kind, w->period, utc_us);
		if (rc == 0 && w->kind == DIGEST_ALERTS)
			rc = !daily_needed(g, db);
		w->step = rc ? OVER : BUILD;
		return rc;
	case BUILD:
		if (!w->build)
			w->build = digest_begin(g, w->kind, w->period);
		rc = w->build ? digest_portion(w->build, g, db, PORTION_US) : -ENOMEM;
		w->step = rc ? BUILD : KEEP;
		return rc;
	case KEEP:
		w->step = OVER;
		return digest_keep(w->build, g, db, utc_us);
	case OVER:
		break;
	}
	return 0;
}

static void stand_in(struct digest *d, int64_t wait_us)
{
	sd_event_source_set_time(d->timer, (uint64_t)(clock_boot_us() + wait_us));
	sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

static void work_done(struct job *job, int result)
{
	struct work *w = (struct work *)job;
	struct digest *d = w->digest;
	if (result >= 0 && w->step != OVER) {
		job->reads_only = w->step == BUILD && w->kind != DIGEST_ALERTS;
		store_submit(d->store, job);
		return;
	}
	d->working = false;
	if (result >= 0)
		memcpy(d->stored[w->kind], w->period, sizeof(w->period));
	else if (result != -ECANCELED)
		log_warn("lists", "cannot make %s of %s: %s", kinds[w->kind], w->period,
			strerror(-result));
	digest_drop(w->build);
	free(w);
	if (result >= 0)
		tick(d);
	else if (result != -ECANCELED)
		stand_in(d, LOOK_US);
}

static int begin_work(struct digest *d, enum digest_kind kind, const char *period)
{
	struct work *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct work){.job = {.run = run_work, .done = work_done}, .digest = d, .kind = kind};
	text_copy(w->period, sizeof(w->period), period, strlen(period));
	d->working = true;
	store_submit(d->store, &w->job);
	return 0;
}

/* One after the other; then until the morning comes, or the clock is another. */
static void tick(struct digest *d)
{
	const struct config *c = d->gateway->config;
	int64_t now_us = clock_utc_us();
	char period[DAY_TEXT];
	for (enum digest_kind kind = 0; kind < DIGESTS && !d->working; kind++) {
		digest_wanted(d->gateway, kind, now_us, period);
		if (period[0] && !streq(period, d->stored[kind]))
			begin_work(d, kind, period);
	}
	if (d->working || (!c->lists_due && !c->lists_kpi && !c->alerts))
		return;
	int64_t wait_us = morning_us(d->gateway, day_of(now_us)) - now_us;
	stand_in(d, wait_us > 0 ? MIN(wait_us, LOOK_US) : LOOK_US);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	tick(arg);
	return 0;
}

int digest_new(struct gateway *g, struct digest **ret)
{
	struct digest *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->gateway = g;
	d->store = g->store;
	int rc = sd_event_add_time(
		g->loop, &d->timer, CLOCK_BOOTTIME, 0, CLOCK_SECOND_US, on_timer, d);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
	if (rc < 0) {
		digest_free(d);
		return rc;
	}
	tick(d);
	*ret = d;
	return 0;
}

void digest_follow(struct digest *d)
{
	if (d)
		tick(d);
}

void digest_free(struct digest *d)
{
	if (d)
		sd_event_source_disable_unref(d->timer);
	free(d);
}
