/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "modbus_worker.h"

#include "log.h"
#include "modbus_bus.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define NEWS_US 5000 /* news may wait so long for more, while questions are open: fewer wake-ups */
#define EVENTS_MAX 64

struct modbus_worker {
	struct modbus_hub *hub;
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows; the thread holds it but while it waits */
	int epoll_fd, wake_fd;
	bool stop;
	struct modbus_bus *buses;
	unsigned changes;	 /* of who is on which bus */
	struct modbus_list news; /* not yet in the hub, */
	uint64_t news_us;	 /* since */
};

static void wake(struct modbus_worker *w)
{
	if (write(w->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		log_error("modbus", "eventfd: %s", strerror(errno));
}

/* the thread */

/* Goes on with all that want it; until when there is nothing to do. */
static uint64_t turn(struct modbus_worker *w)
{
	uint64_t now = modbus_now_us(), until = MODBUS_NEVER;
	bool waits = false;
	for (struct modbus_bus *b = w->buses; b; b = b->next) {
		if (modbus_bus_wants(b, now))
			modbus_bus_step(b);
		until = MIN(until, b->wake_us);
		waits |= modbus_bus_waits(b);
	}
	if (w->news.n)
		w->news_us = MIN(w->news_us, now);
	if (w->news.n && waits && now < w->news_us + NEWS_US)
		return MIN(until, w->news_us + NEWS_US);
	if (w->news.n)
		modbus_hub_put(w->hub, &w->news);
	w->news_us = MODBUS_NEVER;
	return until;
}

static int timeout_ms(uint64_t until)
{
	uint64_t now = modbus_now_us();
	if (until == MODBUS_NEVER)
		return -1;
	return until <= now ? 0 : (int)MIN((until - now + 999) / 1000, (uint64_t)3600000);
}

/* Somebody wants it: a slave came or went, a name was found, or it is the end. */
static void heed(struct modbus_worker *w)
{
	uint64_t ignored;
	if (read(w->wake_fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		log_error("modbus", "eventfd: %s", strerror(errno));
	for (struct modbus_bus *b = w->buses; b; b = b->next)
		b->ready |= b->phase == MODBUS_OPENING;
}

static void *run(void *arg)
{
	struct modbus_worker *w = arg;
	struct epoll_event events[EVENTS_MAX];
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		int ms = timeout_ms(turn(w));
		unsigned changes = w->changes;
		pthread_mutex_unlock(&w->lock);
		int n = epoll_wait(w->epoll_fd, events, EVENTS_MAX, ms);
		pthread_mutex_lock(&w->lock);
		/* An event may be of a bus that is gone by now; the others' will come again. */
		for (int i = 0; i < n && changes == w->changes; i++) {
			struct modbus_bus *b = events[i].data.ptr;
			if (b)
				b->ready = true;
			else
				heed(w);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* who is asked */

static int bus_of(
	struct modbus_worker *w, const struct config_device *device, struct modbus_bus **ret)
{
	struct modbus_bus *b = w->buses;
	while (b && !streq(b->address, device->address))
		b = b->next;
	if (!b) {
		int rc = modbus_bus_new(device, w->epoll_fd, w->wake_fd, &b);
		if (rc < 0)
			return rc;
		b->next = w->buses;
		w->buses = b;
	}
	*ret = b;
	return 0;
}

int modbus_worker_add(struct modbus_worker *w, struct modbus *to,
	const struct config_device *device, const struct vg_registers *profile, unsigned number,
	struct modbus_poll **ret)
{
	struct modbus_bus *b;
	struct modbus_poll *p = calloc(1, sizeof(*p));
	bool line = device->address[0] == '/';
	int rc = p ? modbus_round_init(&p->round, profile, device->poll_ms * UINT64_C(1000),
			     device->response_ms * UINT64_C(1000), line ? number : MODBUS_TOGETHER,
			     modbus_now_us())
		   : -ENOMEM;
	if (rc < 0) {
		free(p);
		return rc;
	}
	p->to = to;
	p->news = &w->news;
	p->device = device;
	p->state = "";
	pthread_mutex_lock(&w->lock);
	rc = bus_of(w, device, &b);
	if (rc >= 0)
		modbus_bus_add(b, p);
	pthread_mutex_unlock(&w->lock);
	if (rc < 0) {
		modbus_round_free(&p->round);
		free(p);
		return rc;
	}
	wake(w);
	*ret = p;
	return 0;
}

void modbus_worker_remove(struct modbus_worker *w, struct modbus_poll *p)
{
	pthread_mutex_lock(&w->lock);
	struct modbus_bus **at = &w->buses;
	while (*at && !modbus_bus_remove(*at, p))
		at = &(*at)->next;
	if (*at && !(*at)->polls) {
		struct modbus_bus *empty = *at;
		*at = empty->next;
		modbus_bus_free(empty);
	}
	w->changes++;
	modbus_list_forget(&w->news, p->to);
	modbus_hub_forget(w->hub, p->to);
	pthread_mutex_unlock(&w->lock);
	wake(w);
	modbus_round_free(&p->round);
	free(p);
}

bool modbus_worker_is_idle(struct modbus_worker *w)
{
	pthread_mutex_lock(&w->lock);
	bool idle = !w->buses;
	pthread_mutex_unlock(&w->lock);
	return idle;
}

/* life */

/* Signals are the loop's. */
static int start_thread(struct modbus_worker *w)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = -pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_setname_np(w->thread, "modbus");
	return rc;
}

static void destroy(struct modbus_worker *w)
{
	modbus_list_clear(&w->news);
	closep(&w->epoll_fd);
	closep(&w->wake_fd);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int modbus_worker_new(struct modbus_hub *hub, struct modbus_worker **ret)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct modbus_worker *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->hub = hub;
	w->news_us = MODBUS_NEVER;
	modbus_list_init(&w->news);
	pthread_mutex_init(&w->lock, NULL);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int rc = 0;
	if (w->epoll_fd < 0 || w->wake_fd < 0 ||
		epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &e) < 0)
		rc = -errno;
	if (rc == 0)
		rc = start_thread(w);
	if (rc < 0) {
		destroy(w);
		return rc;
	}
	*ret = w;
	return 0;
}

void modbus_worker_free(struct modbus_worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	wake(w);
	pthread_join(w->thread, NULL);
	for (struct modbus_bus *b = w->buses, *next; b; b = next) {
		next = b->next;
		modbus_bus_free(b);
	}
	destroy(w);
}
