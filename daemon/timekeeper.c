/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "timekeeper.h"

#include "gateway.h"
#include "log.h"
#include "repair.h"

#include <errno.h>
#include <sys/timerfd.h>

#define LOOK_US (5 * CLOCK_SECOND_US)	/* the kernel does not tell when it is disciplined */
#define NOTE_US (600 * CLOCK_SECOND_US) /* "still so" */
#define AGAIN_US (30 * CLOCK_SECOND_US) /* after a look that the store refused */

struct timekeeper {
	struct gateway *gateway;
	int fd; /* CLOCK_REALTIME, and never due: it wakes us when that is set */
	sd_event_source *set, *timer;
	bool asked;	     /* the kernel; whether we may is logged once */
	bool looking, again; /* the job is with the store; and has to go there once more */
	int64_t noted_us;    /* CLOCK_BOOTTIME of what the store has; 0: nothing yet */
	int64_t shift_us;
	bool synced;
	struct job job;
	struct instant now; /* of the job, and: */
	bool now_synced, more;
};

static void submit(struct timekeeper *t, struct instant now, bool synced);

static int run(struct job *job, struct db *db)
{
	struct timekeeper *t =
		(struct timekeeper *)((char *)job - offsetof(struct timekeeper, job));
	int rc = repair_look(t->gateway, db, &t->now, t->now_synced);
	if (rc > 0)
		rc = repair_go_on(t->gateway, db);
	t->more = rc > 0;
	return MIN(rc, 0);
}

static bool disciplined(struct timekeeper *t)
{
	int rc = clock_synced();
	if (rc < 0 && !t->asked)
		log_warn("clock", "may not ask whether a time server disciplines the clock: %s",
			strerror(-rc));
	t->asked = true;
	return rc > 0;
}

static void look(struct timekeeper *t)
{
	struct instant now = {clock_utc_us(), clock_boot_us()};
	bool synced = disciplined(t);
	bool stands = t->noted_us && span_same(t->shift_us, now.utc_us - now.boot_us) &&
		      synced <= t->synced && now.boot_us - t->noted_us < NOTE_US;
	if (t->looking)
		t->again = true;
	else if (!stands)
		submit(t, now, synced);
}

static void done(struct job *job, int result)
{
	struct timekeeper *t =
		(struct timekeeper *)((char *)job - offsetof(struct timekeeper, job));
	t->looking = false;
	if (result == -ECANCELED || !t->gateway->store)
		return; /* the daemon ends */
	if (result < 0) {
		log_warn("clock", "cannot note how our clock runs: %s", strerror(-result));
		t->noted_us = 0;
		t->again = false;
		sd_event_source_set_time(t->timer, (uint64_t)(clock_boot_us() + AGAIN_US));
		return;
	}
	t->noted_us = t->now.boot_us;
	t->shift_us = t->now.utc_us - t->now.boot_us;
	t->synced = t->now_synced;
	if (t->more) /* behind whatever came meanwhile */
		submit(t, (struct instant){clock_utc_us(), clock_boot_us()}, disciplined(t));
	else if (t->again) {
		t->again = false;
		look(t);
	}
}

static void submit(struct timekeeper *t, struct instant now, bool synced)
{
	t->job = (struct job){.run = run, .done = done};
	t->now = now;
	t->now_synced = synced;
	t->looking = true;
	store_submit(t->gateway->store, &t->job);
}

static int on_set(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)revents;
	uint64_t times;
	if (read(fd, &times, sizeof(times)) < 0 && errno == EAGAIN)
		return 0;
	look(arg); /* ECANCELED: it was set */
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)usec;
	sd_event_source_set_time(source, (uint64_t)(clock_boot_us() + LOOK_US));
	look(arg);
	return 0;
}

/* timerfd_create(2): such a timer is readable, and reading it fails with ECANCELED, when the clock is set. */
static int listen_to_sets(struct timekeeper *t)
{
	static const struct itimerspec never = {.it_value.tv_sec = INT64_MAX / 1000000000};
	t->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->fd < 0 || timerfd_settime(t->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
				 NULL) < 0)
		return -errno;
	return sd_event_add_io(t->gateway->loop, &t->set, t->fd, EPOLLIN, on_set, t);
}

int timekeeper_new(struct gateway *g, struct timekeeper **ret)
{
	struct timekeeper *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->gateway = g;
	t->fd = -1;
	int rc = listen_to_sets(t);
	if (rc >= 0)
		rc = sd_event_add_time_relative(g->loop, &t->timer, CLOCK_BOOTTIME, LOOK_US,
			CLOCK_SECOND_US / 10, on_timer, t);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(t->timer, SD_EVENT_ON);
	if (rc < 0) {
		timekeeper_free(t);
		return rc;
	}
	*ret = t;
	look(t);
	return 0;
}

void timekeeper_free(struct timekeeper *t)
{
	if (!t)
		return;
	sd_event_source_disable_unref(t->timer);
	sd_event_source_disable_unref(t->set);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}
