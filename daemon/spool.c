/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A directory as a transport: an FTP or Samba server, or whoever plugs a stick in, drops files into it. Each whole
 * file is a value that wants to be confirmed; then it is moved to done/, which is the site's and is never pruned.
 * Here is the loop's side; the thread that touches the medium is spool_worker.h.
 */
#include "spool.h"

#include "log.h"
#include "spool_worker.h"
#include "util.h"

#include <errno.h>
#include <sys/epoll.h>

struct spool {
	struct transport base;
	const struct config_device *device;
	struct spool_worker *worker;
	sd_event_source *source;
	bool up;
	unsigned stay; /* the last one that we were told of */
	bool owed;     /* a file was given, and not confirmed yet */
};

static int on_news(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd, (void)events;
	struct spool *s = arg;
	const struct transport_events *e = &s->base.events;
	struct spool_news n;
	spool_worker_take(s->worker, &n);
	_cleanup_(freep) uint8_t *bytes = n.bytes;
	if (s->up && (!n.there || n.stay != s->stay)) {
		s->up = false;
		e->down(e->arg, n.why);
	}
	if (n.there && n.stay != s->stay) {
		char uid[TRANSPORT_UID_MAX + 1];
		snprintf(uid, sizeof(uid), "spool:%s", s->device->id);
		s->stay = n.stay;
		s->up = true;
		s->owed = false;
		e->up(e->arg, uid);
	}
	if (!bytes || !s->up)
		return 0;
	s->owed = true;
	e->value(e->arg, 0, bytes, n.len, true);
	return 0;
}

/* Nothing is ever written for the instrument. */
static int spool_send(struct transport *t, unsigned channel, const void *bytes, size_t len)
{
	(void)t, (void)channel, (void)bytes, (void)len;
	return -EOPNOTSUPP;
}

static void spool_confirm(struct transport *t)
{
	struct spool *s = (struct spool *)t;
	if (s->up && s->owed)
		spool_worker_confirm(s->worker, s->stay);
	s->owed = false;
}

static void spool_close(struct transport *t, const char *why)
{
	struct spool *s = (struct spool *)t;
	if (!s->up)
		return;
	s->up = false;
	spool_worker_close(s->worker, s->stay);
	s->base.events.down(s->base.events.arg, why);
}

static const char *spool_state(const struct transport *t)
{
	return spool_worker_state(((const struct spool *)t)->worker);
}

static void spool_free(struct transport *t)
{
	struct spool *s = (struct spool *)t;
	sd_event_source_disable_unref(s->source);
	spool_worker_free(s->worker);
	free(s);
}

static const struct transport_ops spool_ops = {.send = spool_send,
	.confirm = spool_confirm,
	.close = spool_close,
	.free = spool_free,
	.state = spool_state};

int spool_new_paced(sd_event *loop, const struct config_device *device,
	const struct vg_driver *driver, const struct transport_events *events,
	const struct spool_pace *pace, struct transport **ret)
{
	struct spool *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->base.ops = &spool_ops;
	s->base.events = *events;
	s->device = device;
	int r = spool_worker_new(device, driver, pace, &s->worker);
	if (r >= 0)
		r = sd_event_add_io(
			loop, &s->source, spool_worker_fd(s->worker), EPOLLIN, on_news, s);
	if (r < 0) {
		log_error(device->id, "spool: %s", strerror(-r));
		spool_free(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}

int spool_new(sd_event *loop, const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret)
{
	static const struct spool_pace pace = {.told_ms = 2000,
		.found_ms = 10000,
		.patience_ms = 300000,
		.scan_ms = 30000,
		.rest_ms = 30000};
	return spool_new_paced(loop, device, driver, events, &pace, ret);
}
