/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch.h"

#include "condition.h"
#include "escalate.h"
#include "gateway.h"
#include "log.h"
#include "place.h"
#include "repeat.h"
#include "report.h"
#include "technical.h"

#include <errno.h>
#include <stdatomic.h>

#define TOLD_MAX 64
#define AGAIN_US (30 * CLOCK_SECOND_US) /* after a look that was refused, or could not tell all */

/* the store thread's side */

/* Rows of an earlier boot: what is left of their time, by a clock that was right then and is right now; else none
 * is left. */
static int adopt(struct db *db, int64_t utc_us, int64_t boot_us)
{
#define ADOPT(table)                                                                            \
	"UPDATE " table " SET boot_id=?1, due_boot=CASE WHEN ?4 AND since<=?2 AND due>?2 THEN " \
	"?3+due-?2 ELSE 0 END WHERE boot_id<>?1"
	static const char *const tables[] = {ADOPT("pending_repeat"), ADOPT("condition"),
		ADOPT("study_wait"), ADOPT("escalation")};
#undef ADOPT
	int64_t sure = clock_plausible(utc_us);
	int rc = 0;
	for (size_t i = 0; i < ELEMENTS(tables) && rc >= 0; i++)
		rc = db_run(
			db, tables[i], "biii", clock_boot_id(), (size_t)16, utc_us, boot_us, sure);
	return MIN(rc, 0);
}

int watch_begin(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, bool fresh)
{
	struct instant now = {utc_us, boot_us};
	int rc = adopt(db, utc_us, boot_us);
	if (rc >= 0)
		rc = condition_forget(g, db);
	if (rc >= 0)
		rc = place_listen(g, db, now, fresh);
	return rc < 0 ? rc : technical_listen(g, db, now, fresh);
}

int watch_tell(watch_one *one, struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	static struct log_limit limit; /* the store thread's */
	unsigned held_back;
	int64_t stuck = 0;
	int told = 1;
	unsigned n = 0;
	while (told && n < TOLD_MAX) {
		int rc = db_part_begin(db);
		if (rc < 0)
			return rc;
		told = one(g, db, utc_us, boot_us, stuck);
		rc = db_part_end(db, told);
		if (rc < 0)
			return rc;
		n += told > 0;
		stuck += told < 0;
		if (told < 0 && log_allowed(&limit, 5, &held_back))
			log_error("watch",
				"what became due cannot be told (%s), and is tried again: look at "
				"`vitalgate alerts --open`",
				strerror(-told));
	}
	return (stuck ? WATCH_STUCK : 0) | (told ? WATCH_MORE : 0);
}

int watch_look(
	struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t *ret_next_us)
{
	*ret_next_us = INT64_MAX;
	if (!g->config->alerts)
		return 0; /* what waits is kept for the day on which alerts are wanted again */
	static watch_room *const rooms[] = {
		repeat_tell, condition_tell, report_tell, escalate_tell};
	int seen = 0;
	for (size_t i = 0; i < ELEMENTS(rooms); i++) {
		int rc = rooms[i](g, db, utc_us, boot_us);
		if (rc < 0)
			return rc;
		seen |= rc;
	}
	bool stuck = seen & WATCH_STUCK;
	int64_t due_us = db_int(db, INT64_MAX,
		"SELECT min(due) FROM (SELECT min(due_boot) AS due FROM pending_repeat WHERE "
		"due_boot>?1 UNION ALL SELECT min(due_boot) FROM condition WHERE alert IS NULL AND "
		"due_boot>?1 UNION ALL SELECT min(due_boot) FROM study_wait WHERE alert IS NULL AND "
		"due_boot>?1 UNION ALL SELECT min(due_boot) FROM escalation WHERE rests=0 AND "
		"due_boot>?1)",
		"i", stuck ? boot_us : INT64_MIN);
	*ret_next_us = seen & WATCH_MORE ? boot_us
		       : stuck		 ? MIN(due_us, boot_us + AGAIN_US)
					 : due_us;
	return 0;
}

/* the loop's side */

struct watch {
	struct gateway *gateway;
	struct store *store;
	sd_event_source *timer;
	bool begun, behind; /* this process has begun once; it has to begin again */
	_Atomic int64_t
		at_us; /* where the timer stands; INT64_MAX: off. The store thread reads it */
	_Atomic int64_t news_us; /* from the store thread, with the job `news` */
	atomic_bool told;	 /* `news` is on its way */
	struct job news;
};

struct look {
	struct job job;
	struct watch *watch;
	bool begin, fresh;
	int64_t next_us;
};

/* Never later than it stands: whatever was said between a look and its answer still holds. */
static void stand_at(struct watch *w, int64_t at_us)
{
	if (at_us >= w->at_us)
		return;
	w->at_us = at_us;
	sd_event_source_set_time(w->timer, (uint64_t)MAX(at_us, 0));
	sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static int run_look(struct job *job, struct db *db)
{
	struct look *l = (struct look *)job;
	struct gateway *g = l->watch->gateway;
	int64_t utc_us = clock_utc_us(), boot_us = clock_boot_us();
	int64_t next_us = INT64_MAX;
	int rc = l->begin ? watch_begin(g, db, utc_us, boot_us, l->fresh) : 0;
	if (rc >= 0)
		rc = technical_look(g, db, (struct instant){utc_us, boot_us}, &next_us);
	if (rc >= 0)
		rc = watch_look(g, db, utc_us, boot_us, &l->next_us);
	l->next_us = MIN(l->next_us, next_us);
	return rc;
}

static void look_done(struct job *job, int result)
{
	struct look *l = (struct look *)job;
	struct watch *w = l->watch;
	if (result >= 0) {
		w->begun |= l->begin;
		w->behind &= !l->begin;
		stand_at(w, l->next_us);
	} else if (result != -ECANCELED) {
		log_warn("watch", "cannot look for what is due: %s", strerror(-result));
		w->behind |= l->begin;
		stand_at(w, clock_boot_us() + AGAIN_US);
	}
	free(l);
}

/* Not patient: it adds rows, and what only deletes must not fall with it on a full disk. */
static int look(struct watch *w, bool begin)
{
	struct look *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct look){.job = {.run = run_look, .done = look_done},
		.watch = w,
		.begin = begin || w->behind,
		.fresh = !w->begun,
		.next_us = INT64_MAX};
	store_submit(w->store, &l->job);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	struct watch *w = arg;
	w->at_us = INT64_MAX; /* first: what comes from now on is told to us again */
	if (look(w, false) < 0)
		stand_at(w, clock_boot_us() + AGAIN_US);
	return 0;
}

static void on_news(struct job *job, int result)
{
	(void)result;
	struct watch *w = (struct watch *)((char *)job - offsetof(struct watch, news));
	w->told = false;
	stand_at(w, atomic_exchange(&w->news_us, INT64_MAX));
}

void watch_expect(struct watch *w, int64_t due_us)
{
	if (!w || due_us >= w->at_us)
		return;
	w->news_us = MIN(due_us, w->news_us);
	if (!atomic_exchange(&w->told, true))
		store_post(w->store, &w->news);
}

int watch_new(struct gateway *g, struct watch **ret)
{
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->gateway = g;
	w->store = g->store;
	w->at_us = w->news_us = INT64_MAX;
	w->news.done = on_news;
	int rc = sd_event_add_time(
		g->loop, &w->timer, CLOCK_BOOTTIME, 0, CLOCK_SECOND_US, on_timer, w);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
	if (rc < 0) {
		watch_free(w);
		return rc;
	}
	*ret = w;
	return look(w, true);
}

void watch_follow(struct watch *w)
{
	if (w && look(w, true) < 0)
		log_error("watch", "out of memory: new places are watched after a restart");
}

void watch_free(struct watch *w)
{
	if (w)
		sd_event_source_disable_unref(w->timer);
	free(w);
}
