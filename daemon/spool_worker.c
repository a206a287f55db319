/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "spool_worker.h"

#include "clock.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#include "spool_folder.h"

#define LEAVING_MS 500 /* how long the loop waits for the thread to end */

struct spool_worker {
	pthread_t thread;
	int news_fd, wake_fd;	 /* eventfds */
	_Atomic unsigned owners; /* the loop, the thread: the last one frees it */
	_Atomic(const char *) state;
	struct spool_pace pace;
	struct vg_frame (*frame)(const void *state, const uint8_t *bytes, size_t len);

	pthread_mutex_t lock; /* of what both sides write: */
	struct spool_news news;
	bool stop;
	bool confirmed, closed; /* said of the stay in `news` */

	struct spool_folder folder; /* the thread's own, as is the rest */
	uint64_t rest_us;	    /* no stay before */
	bool given;		    /* a file, and it is not confirmed */
	char name[256];		    /* its name, and what it was when it was read */
	struct spool_stamp stamp;
};

static void ring(int fd)
{
	if (write(fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		log_error("spool", "eventfd: %s", strerror(errno));
}

static void silence(int fd)
{
	uint64_t ignored;
	if (read(fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		log_error("spool", "eventfd: %s", strerror(errno));
}

static void destroy(struct spool_worker *w)
{
	if (--w->owners)
		return;
	free(w->news.bytes);
	pthread_mutex_destroy(&w->lock);
	closep(&w->news_fd);
	closep(&w->wake_fd);
	free(w);
}

/* the thread: stays */

static bool stay_is(struct spool_worker *w, bool there)
{
	pthread_mutex_lock(&w->lock);
	bool is = w->news.there == there;
	pthread_mutex_unlock(&w->lock);
	return is;
}

static void stay_begins(struct spool_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->news.there = true;
	w->news.stay++;
	w->confirmed = w->closed = false;
	pthread_mutex_unlock(&w->lock);
	ring(w->news_fd);
}

static void stay_ends(struct spool_worker *w, const char *why)
{
	pthread_mutex_lock(&w->lock);
	bool was = w->news.there;
	free(TAKE(w->news.bytes));
	w->news.there = false;
	w->news.why = why;
	w->confirmed = w->closed = false;
	pthread_mutex_unlock(&w->lock);
	w->given = false;
	if (was)
		ring(w->news_fd);
}

static void give(struct spool_worker *w, const struct spool_name *x, uint8_t *bytes, size_t len)
{
	w->given = true;
	w->stamp = x->stamp;
	text_copy(w->name, sizeof(w->name), x->name, strlen(x->name));
	pthread_mutex_lock(&w->lock);
	w->news.bytes = bytes;
	w->news.len = len;
	pthread_mutex_unlock(&w->lock);
	ring(w->news_fd);
}

/* the thread: files */

/* Reads it, and gives it when it is whole. */
static void attempt(struct spool_worker *w, struct spool_name *x, uint64_t now_us)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	size_t len;
	int r = spool_read(w->folder.dir, x->name, &x->stamp, &bytes, &len);
	if (r < 0) {
		spool_folder_failed(&w->folder, x, r, now_us);
		return;
	}
	/* frame() is asked about one byte at least. */
	bool whole = len && (!w->frame || w->frame(NULL, bytes, len).length);
	if (!whole && now_us < x->since_us + w->pace.patience_ms * UINT64_C(1000))
		x->standing = SPOOL_PARTIAL;
	else if (!len)
		spool_folder_failed(&w->folder, x, -ENODATA, now_us);
	else
		give(w, x, TAKE(bytes), len);
}

/* What the loop said of the file that it has. */
static void heed(struct spool_worker *w, uint64_t now_us)
{
	pthread_mutex_lock(&w->lock);
	bool confirmed = w->confirmed, closed = w->closed;
	w->confirmed = false;
	pthread_mutex_unlock(&w->lock);
	if (confirmed && w->given && spool_folder_open(&w->folder, now_us) == 0) {
		spool_folder_done(&w->folder, w->name, &w->stamp, now_us);
		w->given = false;
	}
	if (closed) {
		w->rest_us = now_us + w->pace.rest_ms * UINT64_C(1000);
		stay_ends(w, "");
	}
}

static const char *state_of(const struct spool_worker *w, uint64_t now_us)
{
	if (!w->folder.inside)
		return w->folder.absence;
	return now_us < w->rest_us ? "error" : spool_folder_state(&w->folder);
}

/* Does what there is to do; until when there is nothing. */
static uint64_t turn(struct spool_worker *w)
{
	uint64_t now_us = (uint64_t)clock_boot_us(), until_us = UINT64_MAX;
	heed(w, now_us);
	spool_folder_turn(&w->folder, now_us);
	if (!w->folder.inside) {
		stay_ends(w, w->folder.why);
	} else if (now_us < w->rest_us) {
		until_us = w->rest_us;
	} else {
		if (stay_is(w, false))
			stay_begins(w);
		struct spool_name *x = NULL;
		while (!w->given && w->folder.inside &&
			(x = spool_list_next(&w->folder.list, &w->pace, now_us, &until_us)) &&
			spool_folder_open(&w->folder, now_us) == 0)
			attempt(w, x, now_us);
		if (!w->folder.inside)
			stay_ends(w, w->folder.why);
	}
	spool_folder_shut(&w->folder);
	w->state = state_of(w, now_us);
	return MIN(until_us, w->folder.look_us);
}

static void sleep_until(struct spool_worker *w, uint64_t until_us)
{
	struct pollfd fds[] = {
		{.fd = w->wake_fd, .events = POLLIN}, {.fd = w->folder.watch, .events = POLLIN}};
	uint64_t now_us = (uint64_t)clock_boot_us();
	uint64_t us = until_us > now_us ? until_us - now_us : 0;
	struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
	if (ppoll(fds, ELEMENTS(fds), &t, NULL) > 0 && fds[0].revents)
		silence(w->wake_fd);
}

static void *run(void *arg)
{
	struct spool_worker *w = arg;
	for (;;) {
		pthread_mutex_lock(&w->lock);
		bool stop = w->stop;
		pthread_mutex_unlock(&w->lock);
		if (stop)
			break;
		sleep_until(w, turn(w));
	}
	spool_folder_end(&w->folder);
	destroy(w);
	return NULL;
}

/* the loop */

int spool_worker_fd(const struct spool_worker *w)
{
	return w->news_fd;
}

void spool_worker_take(struct spool_worker *w, struct spool_news *ret)
{
	silence(w->news_fd);
	pthread_mutex_lock(&w->lock);
	*ret = w->news;
	w->news.bytes = NULL;
	pthread_mutex_unlock(&w->lock);
}

static void say(struct spool_worker *w, unsigned stay, bool *what)
{
	pthread_mutex_lock(&w->lock);
	bool holds = w->news.there && w->news.stay == stay;
	if (holds)
		*what = true;
	pthread_mutex_unlock(&w->lock);
	if (holds)
		ring(w->wake_fd);
}

void spool_worker_confirm(struct spool_worker *w, unsigned stay)
{
	say(w, stay, &w->confirmed);
}

void spool_worker_close(struct spool_worker *w, unsigned stay)
{
	say(w, stay, &w->closed);
}

const char *spool_worker_state(const struct spool_worker *w)
{
	return w->state;
}

/* life */

/* Signals are the loop's. */
static int start_thread(struct spool_worker *w)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(w->thread, "spool");
	return r;
}

int spool_worker_new(const struct config_device *device, const struct vg_driver *driver,
	const struct spool_pace *pace, struct spool_worker **ret)
{
	struct spool_worker *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->owners = 1;
	w->state = "absent";
	w->pace = *pace;
	w->frame = driver->frame;
	spool_folder_init(&w->folder, device->id, device->address, pace);
	w->news_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int r = w->news_fd < 0 || w->wake_fd < 0 ? -errno : 0;
	w->owners = 2;
	if (r == 0)
		r = start_thread(w);
	if (r < 0) {
		w->owners = 1;
		destroy(w);
		return r;
	}
	*ret = w;
	return 0;
}

void spool_worker_free(struct spool_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	ring(w->wake_fd);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LEAVING_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (pthread_clockjoin_np(w->thread, NULL, CLOCK_MONOTONIC, &until) != 0)
		pthread_detach(w->thread);
	destroy(w);
}
