/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include "command.h"
#include "follow.h"
#include "gateway.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <sys/socket.h>

#define CLIENTS_MAX 16
#define FOLLOWERS_MAX 8 /* of them: there is always room for a command */
#define PATIENCE_US (30 * CLOCK_SECOND_US)

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
	/* a follower */
	bool follows, reading, wanted; /* lines are on their way; there may be more */
	struct follow_place place;
	sd_event_source *slow;
};

struct control {
	struct gateway *gateway;
	int fd;
	sd_event_source *accept;
	uint64_t numbers;
	int64_t patience_us;
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
	c->slow = sd_event_source_disable_unref(c->slow);
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	free(c->out);
	*c = (struct client){.control = c->control, .fd = -1};
}

static void serve(struct client *c);
static void follow_on(struct client *c);

static int on_slow(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	struct client *c = arg;
	log_warn("control", "a follower (%s) did not read what it was sent: it was dropped",
		c->author);
	leave(c);
	return 0;
}

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
	if (c->follows) {
		sd_event_source_set_enabled(c->slow, SD_EVENT_OFF);
		sd_event_source_set_io_events(c->io, 0); /* only a hang-up wakes us */
		follow_on(c);
		return;
	}
	c->busy = false;
	sd_event_source_set_io_events(c->io, EPOLLIN);
	serve(c);
}

/* Whoever asked, if that is still here. */
static struct client *asker(struct asked *a)
{
	struct client *c = &a->control->clients[a->slot];
	bool here = c->fd >= 0 && c->number == a->number;
	free(a);
	return here ? c : NULL;
}

/* `end`: bytes behind the text. */
static void give(struct client *c, const char *text, size_t len, const char *end)
{
	size_t more = strlen(end);
	c->out = malloc(len + more + 1);
	if (!c->out) {
		leave(c);
		return;
	}
	memcpy(c->out, text, len);
	memcpy(c->out + len, end, more);
	c->out_len = len + more;
	if (c->follows) {
		sd_event_source_set_time_relative(c->slow, (uint64_t)c->control->patience_us);
		sd_event_source_set_enabled(c->slow, SD_EVENT_ONESHOT);
	}
	flush(c);
}

static void on_reply(void *arg, const char *text, size_t len)
{
	struct client *c = asker(arg);
	if (c)
		give(c, text, len, "\n");
}

static struct asked *asks(struct client *c)
{
	struct asked *a = malloc(sizeof(*a));
	if (a)
		*a = (struct asked){c->control, (unsigned)(c - c->control->clients), c->number};
	return a;
}

/* following */

static void on_lines(
	void *arg, const char *text, size_t len, const struct follow_place *at, bool more)
{
	struct client *c = asker(arg);
	if (!c)
		return;
	c->reading = false;
	if (!text) { /* what the store did not give now it gives with the next news */
		c->wanted = true;
		return;
	}
	c->place = *at;
	c->wanted |= more;
	if (len)
		give(c, text, len, "");
	else
		follow_on(c);
}

/* Reads on when there is more, and what was read before has left. */
static void follow_on(struct client *c)
{
	if (c->reading || c->out || !c->wanted)
		return;
	struct asked *a = asks(c);
	c->wanted = false;
	c->reading = true;
	if (!a || follow_read(c->control->gateway, &c->place, on_lines, a) < 0) {
		free(a);
		leave(c);
	}
}

void control_news(struct control *control)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &control->clients[i];
		if (c->fd < 0 || !c->follows)
			continue;
		c->wanted = true;
		follow_on(c);
	}
}

static const char bad_since[] =
	"{\"v\":1,\"id\":\"\",\"ok\":false,\"error\":{\"code\":\"bad_argument\",\"en\":\"Expected since: the "
	"last n that was told.\",\"zh\":\"since 应为最后收到的序号 n。\"}}";
static const char too_many[] =
	"{\"v\":1,\"id\":\"\",\"ok\":false,\"error\":{\"code\":\"too_many_followers\",\"en\":\"Eight follow "
	"already: end one of them.\",\"zh\":\"已有八个跟随者，请先结束其中一个。\"}}";
static const char welcome[] = "{\"v\":1,\"id\":\"\",\"ok\":true,\"result\":{\"follows\":true}}";

static void follow(struct client *c, bool understood)
{
	unsigned n = 0;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		n += c->control->clients[i].follows;
	if (!understood || n >= FOLLOWERS_MAX) {
		const char *text = understood ? too_many : bad_since;
		give(c, text, strlen(text), "\n");
		return;
	}
	if (sd_event_add_time(c->control->gateway->loop, &c->slow, CLOCK_BOOTTIME, 0,
		    CLOCK_SECOND_US / 10, on_slow, c) < 0) {
		leave(c);
		return;
	}
	sd_event_source_set_enabled(c->slow, SD_EVENT_OFF);
	c->follows = c->wanted = true;
	give(c, welcome, strlen(welcome), "\n");
}

/* serving */

/* Takes the next whole line, if there is one and none is being worked on. */
static void serve(struct client *c)
{
	char *end = c->busy || !c->in_len ? NULL : memchr(c->in, '\n', c->in_len);
	if (!end)
		return;
	size_t len = (size_t)(end - c->in);
	c->busy = true;
	/* one command at a time: a reader that does not read costs one reply, not many */
	sd_event_source_set_io_events(c->io, 0);
	enum follow_asked asked = follow_asked(c->in, len, &c->place);
	struct asked *a = asked == FOLLOW_NO ? asks(c) : NULL;
	if (asked == FOLLOW_NO && (!a || command_submit(c->control->gateway, c->in, len, c->author,
						 on_reply, a) < 0)) {
		free(a);
		leave(c);
		return;
	}
	memmove(c->in, end + 1, c->in_len - len - 1);
	c->in_len -= len + 1;
	if (asked != FOLLOW_NO)
		follow(c, asked == FOLLOW_YES);
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
	c->patience_us = PATIENCE_US;
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

void control_use(struct control *c, int64_t patience_us)
{
	c->patience_us = patience_us;
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
