/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "modbus_hub.h"

#include "log.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define WAITING_MAX 8192

struct modbus_hub {
	pthread_mutex_t lock;
	struct modbus_list waiting;
	unsigned dropped;
	int fd; /* an eventfd: written when the first news came */
};

void modbus_list_init(struct modbus_list *l)
{
	*l = (struct modbus_list){.last = &l->first};
}

int modbus_list_add(struct modbus_list *l, struct modbus *to, enum modbus_what what,
	const char *word, const uint8_t *record, size_t len)
{
	struct modbus_news *n = malloc(sizeof(*n) + len);
	if (!n)
		return -ENOMEM;
	*n = (struct modbus_news){.to = to, .what = what, .word = word, .len = len};
	if (len)
		memcpy(n->record, record, len);
	*l->last = n;
	l->last = &n->next;
	l->n++;
	return 0;
}

/* Drops what is for `to`, or with NULL all rounds. */
static unsigned drop(struct modbus_list *l, const struct modbus *to)
{
	unsigned before = l->n;
	struct modbus_news **at = &l->first;
	while (*at) {
		struct modbus_news *n = *at;
		if (to ? n->to != to : n->what != MODBUS_ROUND) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		l->n--;
		free(n);
	}
	l->last = at;
	return before - l->n;
}

void modbus_list_forget(struct modbus_list *l, const struct modbus *to)
{
	drop(l, to);
}

void modbus_list_clear(struct modbus_list *l)
{
	for (struct modbus_news *n = l->first, *next; n; n = next) {
		next = n->next;
		free(n);
	}
	modbus_list_init(l);
}

static void append(struct modbus_list *to, struct modbus_list *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	to->n += from->n;
	modbus_list_init(from);
}

int modbus_hub_new(struct modbus_hub **ret)
{
	struct modbus_hub *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (h->fd < 0) {
		int rc = -errno;
		free(h);
		return rc;
	}
	pthread_mutex_init(&h->lock, NULL);
	modbus_list_init(&h->waiting);
	*ret = h;
	return 0;
}

void modbus_hub_free(struct modbus_hub *h)
{
	if (!h)
		return;
	modbus_list_clear(&h->waiting);
	pthread_mutex_destroy(&h->lock);
	close(h->fd);
	free(h);
}

int modbus_hub_fd(const struct modbus_hub *h)
{
	return h->fd;
}

void modbus_hub_put(struct modbus_hub *h, struct modbus_list *l)
{
	pthread_mutex_lock(&h->lock);
	bool first = !h->waiting.first;
	if (h->waiting.n + l->n > WAITING_MAX)
		h->dropped += drop(l, NULL);
	append(&h->waiting, l);
	bool news = first && h->waiting.first;
	pthread_mutex_unlock(&h->lock);
	if (news && write(h->fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		log_error("modbus", "eventfd: %s", strerror(errno));
}

void modbus_hub_take(struct modbus_hub *h, struct modbus_list *ret, unsigned *ret_dropped)
{
	uint64_t ignored;
	modbus_list_init(ret);
	if (read(h->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		log_error("modbus", "eventfd: %s", strerror(errno));
	pthread_mutex_lock(&h->lock);
	append(ret, &h->waiting);
	*ret_dropped = h->dropped;
	h->dropped = 0;
	pthread_mutex_unlock(&h->lock);
}

void modbus_hub_forget(struct modbus_hub *h, const struct modbus *to)
{
	pthread_mutex_lock(&h->lock);
	modbus_list_forget(&h->waiting, to);
	pthread_mutex_unlock(&h->lock);
}
