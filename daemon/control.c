/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include "command.h"
#include "gateway.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <sys/socket.h>

#define CLIENTS_MAX 16

struct client {
	struct control *control;
	uint64_t number; /* replies to a client that left find another number */
	int fd;
	sd_event_source *io;
	char author[64];
	char *in;
	size_t in_len, in_size;
	bool busy; /* a command is on its way: the next line waits */
	char *out;
	size_t out_len, out_at;
};

struct control {
	struct gateway *gateway;
	int fd;
	sd_event_source *accept;
	uint64_t numbers;
	struct client clients[CLIENTS_MAX];
};

struct asked {
	struct control *control;
	unsigned slot;
	uint64_t number;
};

static void leave(struct client *c)
{
	c->io = sd_event_source_disable_unref(c->io);
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	free(c->out);
	*c = (struct client){.control = c->control, .fd = -1};
}

static void serve(struct client *c);

static void flush(struct client *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			sd_event_source_set_io_events(c->io, EPOLLOUT);
			return;
		}
		if (n <= 0) {
			leave(c);
			return;
		}
		c->out_at += (size_t)n;
	}
	free(TAKE(c->out));
	c->out_len = c->out_at = 0;
	c->busy = false;
	sd_event_source_set_io_events(c->io, EPOLLIN);
	serve(c);
}

static void on_reply(void *arg, const char *text, size_t len)
{
	struct asked *a = arg;
	struct client *c = &a->control->clients[a->slot];
	bool here = c->fd >= 0 && c->number == a->number;
	free(a);
	if (!here)
		return;
	c->out = malloc(len + 1);
	if (!c->out) {
		leave(c);
		return;
	}
	memcpy(c->out, text, len);
	c->out[len] = '\n';
	c->out_len = len + 1;
	flush(c);
}

/* Takes the next whole line, if there is one and none is being worked on. */
static void serve(struct client *c)
{
	char *end = c->busy || !c->in_len ? NULL : memchr(c->in, '\n', c->in_len);
	if (!end)
		return;
	struct asked *a = malloc(sizeof(*a));
	size_t len = (size_t)(end - c->in);
	if (!a) {
		leave(c);
		return;
	}
	*a = (struct asked){c->control, (unsigned)(c - c->control->clients), c->number};
	c->busy = true;
	/* one command at a time: a reader that does not read costs one reply, not many */
	sd_event_source_set_io_events(c->io, 0);
	if (command_submit(c->control->gateway, c->in, len, c->author, on_reply, a) < 0) {
		free(a);
		leave(c);
		return;
	}
	memmove(c->in, end + 1, c->in_len - len - 1);
	c->in_len -= len + 1;
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct client *c = arg;
	char space[65536];
	(void)source;
	if (revents & EPOLLOUT) {
		flush(c);
		return 0;
	}
	if (c->busy) { /* only a hang-up wakes us here */
		leave(c);
		return 0;
	}
	ssize_t n = recv(fd, space, sizeof(space), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0 || c->in_len + (size_t)n > COMMAND_TEXT_MAX) {
		leave(c);
		return 0;
	}
	if (c->in_len + (size_t)n > c->in_size) {
		size_t size = MAX(c->in_size * 2, c->in_len + (size_t)n);
		char *more = realloc(c->in, size);
		if (!more) {
			leave(c);
			return 0;
		}
		c->in = more;
		c->in_size = size;
	}
	memcpy(c->in + c->in_len, space, (size_t)n);
	c->in_len += (size_t)n;
	serve(c);
	return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)revents;
	struct control *control = arg;
	int peer = listen_accept(fd);
	if (peer < 0)
		return 0;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &control->clients[i];
		if (c->fd >= 0)
			continue;
		c->fd = peer;
		c->number = ++control->numbers;
		listen_principal(peer, c->author, sizeof(c->author));
		if (sd_event_add_io(control->gateway->loop, &c->io, peer, EPOLLIN, on_client, c) <
			0)
			leave(c);
		return 0;
	}
	log_warn("control", "more than %d clients at once: one was turned away", CLIENTS_MAX);
	close(peer);
	return 0;
}

int control_new(struct gateway *g, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->gateway = g;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		c->clients[i] = (struct client){.control = c, .fd = -1};
	char path[300];
	snprintf(path, sizeof(path), "%s/control.sock", g->config->runtime);
	c->fd = listen_unix(path, SOCK_STREAM);
	int rc = c->fd < 0 ? c->fd
			   : sd_event_add_io(g->loop, &c->accept, c->fd, EPOLLIN, on_accept, c);
	if (rc < 0) {
		control_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		leave(&c->clients[i]);
	sd_event_source_disable_unref(c->accept);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}
