/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Modbus as a transport: brings what the workers (modbus_worker.h) find to the loop. One worker for each serial
 * line, one for all TCP addresses; they begin with the first slave and end with the last.
 */
#include "modbus_worker.h"

#include "log.h"
#include "transport.h"
#include "tty.h"
#include "util.h"

#include <errno.h>
#include <sys/epoll.h>

#define DROPS_A_MINUTE 1

struct modbus {
	struct transport base;
	const struct config_device *device;
	struct service *service;
	struct modbus_poll *poll;
	bool up;
	const char *state;
};

/* A worker and whom it serves. */
struct service {
	struct service *next;
	char line[128]; /* "": all of TCP */
	struct modbus_worker *worker;
};

/* One for all, and loop only: there is one loop. */
static struct {
	struct modbus_hub *hub;
	sd_event_source *source;
	struct service *services;
	unsigned turn;
	struct log_limit drops;
} modbus;

/* what comes */

static void deliver(struct modbus *m, const struct modbus_news *n)
{
	const struct transport_events *e = &m->base.events;
	char uid[TRANSPORT_UID_MAX + 1];
	if (n->what == MODBUS_STATE)
		m->state = n->word;
	if (n->what == MODBUS_DOWN && m->up) {
		m->up = false;
		e->down(e->arg, n->word);
	}
	if (n->what != MODBUS_ROUND || (!m->up && !n->word))
		return;
	if (!m->up) {
		m->up = true;
		snprintf(uid, sizeof(uid), "line:%s", m->device->id);
		e->up(e->arg, uid);
	}
	e->value(e->arg, 0, n->record, n->len, false);
}

static int on_news(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd, (void)events, (void)arg;
	struct modbus_list list;
	unsigned dropped, held_back;
	modbus_hub_take(modbus.hub, &list, &dropped);
	for (const struct modbus_news *n = list.first; n; n = n->next)
		deliver(n->to, n);
	modbus_list_clear(&list);
	if (dropped && log_allowed(&modbus.drops, DROPS_A_MINUTE, &held_back))
		log_error("modbus", "%u rounds are lost: they came faster than they can be taken",
			dropped);
	return 0;
}

/* the owner's calls */

/* Nothing is ever written to a slave: a register may change its address, its speed or what it controls. */
static int modbus_send(struct transport *t, unsigned channel, const void *bytes, size_t len)
{
	(void)t, (void)channel, (void)bytes, (void)len;
	return -EOPNOTSUPP;
}

static void modbus_confirm(struct transport *t)
{
	(void)t; /* nothing is an indication */
}

static void modbus_close_session(struct transport *t, const char *why)
{
	struct modbus *m = (struct modbus *)t;
	if (!m->up)
		return;
	m->up = false;
	m->base.events.down(m->base.events.arg, why);
}

static const char *modbus_state(const struct transport *t)
{
	return ((const struct modbus *)t)->state;
}

/* life */

static void hub_end(void)
{
	modbus.source = sd_event_source_disable_unref(modbus.source);
	modbus_hub_free(TAKE(modbus.hub));
}

static int hub_begin(sd_event *loop)
{
	if (modbus.hub)
		return 0;
	int rc = modbus_hub_new(&modbus.hub);
	if (rc >= 0)
		rc = sd_event_add_io(
			loop, &modbus.source, modbus_hub_fd(modbus.hub), EPOLLIN, on_news, NULL);
	return MIN(rc, 0);
}

static int service_of(const char *address, struct service **ret)
{
	const char *line = address[0] == '/' ? address : "";
	struct service *s = modbus.services;
	while (s && !streq(s->line, line))
		s = s->next;
	int rc = 0;
	if (!s) {
		s = calloc(1, sizeof(*s));
		rc = s ? modbus_worker_new(modbus.hub, &s->worker) : -ENOMEM;
		if (rc < 0) {
			free(s);
			return rc;
		}
		text_copy(s->line, sizeof(s->line), line, strlen(line));
		s->next = modbus.services;
		modbus.services = s;
	}
	*ret = s;
	return 0;
}

static void service_end(struct service *s)
{
	for (struct service **at = &modbus.services; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	modbus_worker_free(s->worker);
	free(s);
}

static void modbus_free_all(struct transport *t)
{
	struct modbus *m = (struct modbus *)t;
	if (m->poll)
		modbus_worker_remove(m->service->worker, m->poll);
	if (m->service && modbus_worker_is_idle(m->service->worker))
		service_end(m->service);
	if (!modbus.services)
		hub_end();
	free(m);
}

static const struct transport_ops modbus_ops = {.send = modbus_send,
	.confirm = modbus_confirm,
	.close = modbus_close_session,
	.free = modbus_free_all,
	.state = modbus_state};

int modbus_new(sd_event *loop, const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret)
{
	if (device->address[0] == '/' && !tty_speed_known(device->baud)) {
		log_error(device->id, "no line speed is called %u", device->baud);
		return -EINVAL;
	}
	struct modbus *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->base.ops = &modbus_ops;
	m->base.events = *events;
	m->device = device;
	m->state = "";
	int rc = hub_begin(loop);
	if (rc >= 0)
		rc = service_of(device->address, &m->service);
	if (rc >= 0)
		rc = modbus_worker_add(
			m->service->worker, m, device, driver->profile, modbus.turn++, &m->poll);
	if (rc < 0) {
		log_error(device->id, "modbus: %s", strerror(-rc));
		modbus_free_all(&m->base);
		return rc;
	}
	*ret = &m->base;
	return 0;
}
