/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "studies.h"

#include "decoder.h"
#include "gateway.h"
#include "log.h"
#include "study.h"

#include <errno.h>
#include <limits.h>

#define AGAIN_US (10 * CLOCK_SECOND_US) /* after something that may be better by then */

struct studies {
	struct gateway *gateway;
	struct store *store;
	struct decoder *decoder;
	sd_event_source *again;
	int64_t again_us;
	bool busy;   /* one is on its way */
	bool wanted; /* another one may have come in the meantime */
	struct errand *decoding;
	unsigned below;	     /* until it looks again, what was tried so often waits: others go on */
	int64_t last_device; /* each has its turn */
	struct log_limit start_log;
};

/* One original on its way: from the store, through the decoder, to the store. */
struct errand {
	struct job job;
	struct studies *studies;
	unsigned below; /* what to take from the store: study_take() */
	int64_t last_device;
	struct study_original original;
	char *text; /* what the decoder said; NULL: `why` not */
	size_t len;
	char why[96];
};

static void errand_free(struct errand *e)
{
	free(e->original.bytes.at);
	free(e->text);
	free(e);
}

static void next(struct studies *s);

static void rest(struct studies *s)
{
	s->busy = false;
	sd_event_source_set_time_relative(s->again, (uint64_t)s->again_us);
	sd_event_source_set_enabled(s->again, SD_EVENT_ONESHOT);
}

/* to the store */

static int run_file(struct job *job, struct db *db)
{
	struct errand *e = (struct errand *)job;
	return study_decoded(
		e->studies->gateway, db, e->original.row, e->text, e->len, e->text ? NULL : e->why);
}

static void filed(struct job *job, int result)
{
	struct errand *e = (struct errand *)job;
	struct studies *s = e->studies;
	if (result < 0 && result != -ECANCELED)
		log_error("studies", "not filed, it is tried again: %s", strerror(-result));
	errand_free(e);
	if (result >= 0) {
		s->busy = false;
		next(s);
	} else if (result != -ECANCELED) {
		rest(s);
	}
}

static void file(struct errand *e)
{
	e->job.run = run_file;
	e->job.done = filed;
	store_submit(e->studies->store, &e->job);
}

static int run_put_back(struct job *job, struct db *db)
{
	return study_put_back(db, ((struct errand *)job)->original.row);
}

static void was_put_back(struct job *job, int result)
{
	struct errand *e = (struct errand *)job;
	struct studies *s = e->studies;
	errand_free(e);
	if (result != -ECANCELED)
		rest(s);
}

/* through the decoder */

static void decoded(void *arg, const char *text, size_t len, const char *why, bool passing)
{
	struct errand *e = arg;
	struct studies *s = e->studies;
	s->decoding = NULL;
	if (passing && e->original.tries < STUDY_TRIES_MAX) {
		s->below = MIN(s->below, e->original.tries);
		errand_free(e); /* it waits in the store */
		rest(s);
		next(s);
		return;
	}
	e->text = text ? malloc(len + 1) : NULL;
	if (e->text)
		memcpy(e->text, text, len + 1);
	e->len = len;
	snprintf(e->why, sizeof(e->why), "%s", why ? why : "out of memory");
	file(e);
}

static void decode(struct errand *e)
{
	struct studies *s = e->studies;
	if (!e->original.bytes.at || e->original.tries > STUDY_TRIES_MAX) {
		if (e->original.bytes.at)
			snprintf(
				e->why, sizeof(e->why), "given up after %d tries", STUDY_TRIES_MAX);
		else
			snprintf(e->why, sizeof(e->why), "the store has not all of it");
		file(e);
		return;
	}
	int rc = decoder_run(s->decoder, e->original.bytes.at, e->original.bytes.len, decoded, e);
	if (rc >= 0) {
		s->decoding = e;
		return;
	}
	unsigned held_back;
	if (log_allowed(&s->start_log, 1, &held_back))
		log_error("studies",
			"cannot start the decoder: %s; is vitalgate-ecg installed? (said %u times "
			"less)",
			strerror(-rc), held_back);
	e->job.run = run_put_back;
	e->job.done = was_put_back;
	store_submit(s->store, &e->job);
}

/* from the store */

static int run_take(struct job *job, struct db *db)
{
	struct errand *e = (struct errand *)job;
	return study_take(db, e->below, e->last_device, &e->original);
}

static void taken(struct job *job, int result)
{
	struct errand *e = (struct errand *)job;
	struct studies *s = e->studies;
	if (result > 0) {
		s->last_device = e->original.device;
		decode(e);
		return;
	}
	errand_free(e);
	if (result == -ECANCELED)
		return; /* the daemon stops */
	if (result < 0) {
		rest(s);
		return;
	}
	s->busy = false;
	if (s->wanted)
		next(s);
}

static void next(struct studies *s)
{
	struct errand *e = s->busy ? NULL : calloc(1, sizeof(*e));
	s->wanted = s->busy;
	if (!e && !s->busy)
		rest(s); /* no memory now */
	if (!e)
		return;
	s->busy = true;
	e->studies = s;
	e->below = s->below;
	e->last_device = s->last_device;
	e->job.run = run_take;
	e->job.done = taken;
	store_submit(s->store, &e->job);
}

void studies_wake(struct studies *s)
{
	if (s)
		next(s);
}

static int on_again(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	struct studies *s = arg;
	s->below = UINT_MAX;
	next(s);
	return 0;
}

/* life */

int studies_new(struct gateway *g, struct studies **ret)
{
	struct studies *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->gateway = g;
	s->store = g->store;
	s->again_us = AGAIN_US;
	s->below = UINT_MAX;
	int rc = decoder_new(g->loop, &s->decoder);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			g->loop, &s->again, CLOCK_BOOTTIME, 0, CLOCK_SECOND_US / 10, on_again, s);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(s->again, SD_EVENT_OFF);
	if (rc < 0) {
		studies_free(s);
		return rc;
	}
	*ret = s;
	next(s);
	return 0;
}

void studies_use(struct studies *s, const char *path, int64_t limit_us, int64_t again_us)
{
	s->again_us = again_us;
	decoder_use(s->decoder, path, limit_us);
}

void studies_free(struct studies *s)
{
	if (!s)
		return;
	decoder_free(s->decoder);
	if (s->decoding)
		errand_free(s->decoding);
	sd_event_source_disable_unref(s->again);
	free(s);
}
