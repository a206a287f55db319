/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "forward.h"

#include "command.h"
#include "gateway.h"
#include "link.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <sys/socket.h>

#define TAGS_MAX 64
#define REWIND_US (5 * CLOCK_SECOND_US)
#define SETTLE_US 250000 /* PUBACKs of so long are written down together */
#define SETTLE_TAGS 4	 /* or so many */

struct port {
	struct forward *forward;
	unsigned sink;
	int fd;
	sd_event_source *io;
	bool up;
	bool settling;	 /* a job of it is on its way */
	unsigned landed; /* PUBACKs since the last one */
	char reason[96];
	struct jobs_waiting {
		struct job *first, **last;
	} waiting; /* publishes that the socket did not take yet */
};

struct forward {
	struct gateway *gateway;
	int listen_fd;
	sd_event_source *accept, *rewind, *settle;
	bool settle_soon; /* the timer is armed */
	struct log_limit unwritten;
	struct port ports[CONFIG_SINKS_MAX];
	struct port guests[CONFIG_SINKS_MAX]; /* connected, sink not yet named */
	unsigned next_guest;
	uint8_t space[LINK_PACKET_MAX];
};

/* towards the store */

struct answer {
	struct job job;
	struct gateway *gateway;
	unsigned sink;
	enum {
		ANSWER_UP,
		ANSWER_DOWN,
		ANSWER_SENT,
		ANSWER_SETTLE,
		ANSWER_FAILED,
		ANSWER_RECEIPTS
	} what;
	unsigned n;
	uint32_t tags[TAGS_MAX];
	char *text;
	size_t len;
};

static int run_answer(struct job *job, struct db *db)
{
	struct answer *a = (struct answer *)job;
	struct outbox *o = a->gateway->outbox;
	int rc = 0;
	switch (a->what) {
	case ANSWER_UP:
		outbox_up(o, db, a->sink);
		break;
	case ANSWER_DOWN:
		outbox_down(o, a->sink);
		break;
	case ANSWER_SENT:
		for (unsigned i = 0; i < a->n; i++)
			if (!outbox_landed(o, a->sink, a->tags[i]))
				outbox_up(o, db, a->sink);
		break;
	case ANSWER_SETTLE:
		rc = outbox_settle(o, db, a->sink);
		break;
	case ANSWER_FAILED:
		for (unsigned i = 0; i < a->n && rc >= 0; i++)
			rc = outbox_failed(o, db, a->sink, a->tags[i], a->text ? a->text : "");
		break;
	case ANSWER_RECEIPTS:
		rc = outbox_receipts(a->gateway, db, a->sink, a->text, a->len);
		break;
	}
	return rc;
}

static void settle(struct port *p);

static void answer_done(struct job *job, int result)
{
	struct answer *a = (struct answer *)job;
	struct forward *f = a->gateway->forward;
	unsigned held_back;
	if (result < 0 && result != -ECANCELED && f) {
		if (log_allowed(&f->unwritten, 3, &held_back))
			log_warn("forward", "an answer of the platform was not written down: %s",
				strerror(-result));
		sd_event_source_set_enabled(f->rewind, SD_EVENT_ONESHOT);
		sd_event_source_set_time_relative(f->rewind, REWIND_US);
	}
	if (a->what == ANSWER_SETTLE && f) {
		f->ports[a->sink].settling = false;
		if (result > 0)
			settle(&f->ports[a->sink]);
	}
	free(a->text);
	free(a);
}

static struct answer *answer_new(struct port *p, int what)
{
	struct answer *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->gateway = p->forward->gateway;
	a->sink = p->sink;
	a->what = what;
	a->job.run = run_answer;
	a->job.done = answer_done;
	/* what makes the outbox smaller must not fall with what a full disk refuses */
	a->job.patient = what == ANSWER_RECEIPTS || what == ANSWER_FAILED;
	a->job.behind = what == ANSWER_SETTLE;
	a->job.reads_only = what == ANSWER_UP || what == ANSWER_DOWN || what == ANSWER_SENT;
	return a;
}

static void tell_store(struct port *p, int what)
{
	struct answer *a = answer_new(p, what);
	if (a)
		store_submit(p->forward->gateway->store, &a->job);
}

static void settle(struct port *p)
{
	struct answer *a = p->settling ? NULL : answer_new(p, ANSWER_SETTLE);
	if (!a)
		return;
	p->settling = true;
	p->landed = 0;
	store_submit(p->forward->gateway->store, &a->job);
}

static void tell_failed(struct port *p, const struct link_packet *packet)
{
	struct answer *a = answer_new(p, ANSWER_FAILED);
	if (!a)
		return;
	a->tags[a->n++] = packet->tag;
	a->text = strndup((const char *)packet->payload, packet->len);
	log_warn(p->forward->gateway->config->sinks[p->sink].name, "a message was not taken: %s",
		a->text ? a->text : "");
	store_submit(p->forward->gateway->store, &a->job);
}

/* publishing */

/* The outbox must hear of it: what it believes to be flying takes up a slot of its window. */
static void too_long(struct port *p, const struct publish *out)
{
	static const char why[] = "too long for the link to the uplink";
	log_error("forward", "message of %zu bytes is %s", out->len, why);
	struct answer *a = out->tag ? answer_new(p, ANSWER_FAILED) : NULL;
	if (!a)
		return;
	a->tags[a->n++] = out->tag;
	a->text = strdup(why);
	store_submit(p->forward->gateway->store, &a->job);
}

static void drop_waiting(struct port *p)
{
	while (p->waiting.first) {
		struct publish *out = (struct publish *)p->waiting.first;
		p->waiting.first = out->job.next;
		publish_free(out);
	}
	p->waiting.last = &p->waiting.first;
}

static void port_closed(struct port *p, const char *why)
{
	if (p->fd < 0)
		return;
	log_note(p->forward->gateway->config->sinks[p->sink].name, "uplink process gone: %s", why);
	p->io = sd_event_source_disable_unref(p->io);
	close(p->fd);
	p->fd = -1;
	p->up = false;
	text_copy(p->reason, sizeof(p->reason), why, strlen(why));
	drop_waiting(p);
	tell_store(p, ANSWER_DOWN);
}

static int send_publish(struct port *p, const struct publish *out)
{
	return link_send(p->fd, &(struct link_packet){.type = LINK_PUBLISH,
					.tag = out->tag,
					.topic = out->topic,
					.topic_len = strlen(out->topic),
					.payload = (const uint8_t *)out->payload,
					.len = out->len});
}

/* Sends what waits until the socket is full; then waits for POLLOUT. */
static void port_drain(struct port *p)
{
	while (p->waiting.first) {
		struct publish *out = (struct publish *)p->waiting.first;
		int rc = send_publish(p, out);
		if (rc == -EAGAIN) {
			sd_event_source_set_io_events(p->io, EPOLLIN | EPOLLOUT);
			return;
		}
		if (rc < 0 && rc != -EMSGSIZE) {
			port_closed(p, strerror(-rc));
			return;
		}
		if (rc == -EMSGSIZE)
			too_long(p, out);
		p->waiting.first = out->job.next;
		if (!p->waiting.first)
			p->waiting.last = &p->waiting.first;
		publish_free(out);
	}
	sd_event_source_set_io_events(p->io, EPOLLIN);
}

static void publish_done(struct job *job, int result)
{
	struct publish *out = (struct publish *)job;
	struct forward *f = ((struct gateway *)out->gateway)->forward;
	struct port *p = f ? &f->ports[out->sink] : NULL;
	(void)result;
	if (!p || p->fd < 0 || !p->up) {
		publish_free(out); /* the outbox still has the rows */
		return;
	}
	bool idle = !p->waiting.first;
	out->job.next = NULL;
	*p->waiting.last = &out->job;
	p->waiting.last = &out->job.next;
	if (idle)
		port_drain(p);
}

void forward_post(void *gateway, struct publish *p)
{
	struct gateway *g = gateway;
	p->gateway = g;
	p->job.done = publish_done;
	store_post(g->store, &p->job);
}

void forward_reply(
	struct forward *f, unsigned sink, const char *topic, const char *text, size_t len)
{
	struct port *p = f && sink < CONFIG_SINKS_MAX ? &f->ports[sink] : NULL;
	if (!p || p->fd < 0 || !p->up)
		return;
	struct publish *out = calloc(1, sizeof(*out));
	if (!out)
		return;
	out->gateway = f->gateway;
	out->sink = sink;
	out->topic = topic;
	out->payload = strndup(text, len);
	out->len = len;
	if (out->payload)
		publish_done(&out->job, 0);
	else
		publish_free(out);
}

/* what the uplink says */

static bool topic_is(const struct link_packet *packet, const char *topic)
{
	return packet->topic_len == strlen(topic) &&
	       memcmp(packet->topic, topic, packet->topic_len) == 0;
}

static void on_message(struct port *p, const struct link_packet *packet)
{
	if (topic_is(packet, "down/cmd")) {
		command_from_platform(
			p->forward->gateway, p->sink, (const char *)packet->payload, packet->len);
		return;
	}
	struct answer *a = topic_is(packet, "down/ack") ? answer_new(p, ANSWER_RECEIPTS) : NULL;
	if (!a)
		return;
	a->text = malloc(packet->len + 1);
	a->len = packet->len;
	if (!a->text) {
		free(a);
		return;
	}
	memcpy(a->text, packet->payload, packet->len);
	store_submit(p->forward->gateway->store, &a->job);
}

static void on_packet(struct port *p, const struct link_packet *packet)
{
	const char *name = p->forward->gateway->config->sinks[p->sink].name;
	switch (packet->type) {
	case LINK_UP:
		p->up = true;
		log_note(name, "connected to the broker");
		tell_store(p, ANSWER_UP);
		break;
	case LINK_DOWN:
		p->up = false;
		text_copy(p->reason, sizeof(p->reason), (const char *)packet->payload, packet->len);
		log_warn(name, "broker lost: %s", p->reason);
		drop_waiting(p);
		tell_store(p, ANSWER_DOWN);
		break;
	case LINK_FAILED:
		tell_failed(p, packet);
		break;
	case LINK_MESSAGE:
		on_message(p, packet);
		break;
	case LINK_SENT:
	case LINK_HELLO:
	case LINK_PUBLISH:
		break;
	}
}

static void settle_soon(struct forward *f)
{
	if (f->settle_soon)
		return;
	f->settle_soon = true;
	sd_event_source_set_time_relative(f->settle, SETTLE_US);
	sd_event_source_set_enabled(f->settle, SD_EVENT_ONESHOT);
}

static int on_settle(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	struct forward *f = arg;
	f->settle_soon = false;
	for (unsigned i = 0; i < f->gateway->config->n_sinks; i++)
		settle(&f->ports[i]);
	return 0;
}

/* PUBACKs come in runs: one job for all that are there. */
static int on_port(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct port *p = arg;
	struct answer *sent = NULL;
	struct link_packet packet;
	int rc = 1;
	(void)source;
	for (unsigned i = 0; i < 4 * TAGS_MAX && rc != 0; i++) {
		rc = link_receive(fd, p->forward->space, &packet);
		if (rc == -EBADMSG)
			continue;
		if (rc <= 0)
			break;
		if (packet.type != LINK_SENT) {
			on_packet(p, &packet);
			continue;
		}
		if (sent && sent->n == TAGS_MAX) {
			store_submit(p->forward->gateway->store, &sent->job);
			sent = NULL;
		}
		if (!sent)
			sent = answer_new(p, ANSWER_SENT);
		if (sent) {
			sent->tags[sent->n++] = packet.tag;
			p->landed++;
		}
	}
	if (sent) {
		store_submit(p->forward->gateway->store, &sent->job);
		settle_soon(p->forward);
		if (p->landed >= SETTLE_TAGS)
			settle(p);
	}
	if (rc == 0 || (rc < 0 && rc != -EAGAIN && rc != -EBADMSG))
		port_closed(p, rc ? strerror(-rc) : "closed");
	else if (revents & EPOLLOUT)
		port_drain(p);
	return 0;
}

/* connecting */

static void guest_leave(struct port *guest)
{
	guest->io = sd_event_source_disable_unref(guest->io);
	if (guest->fd >= 0)
		close(guest->fd);
	guest->fd = -1;
}

static int sink_named(const struct config *c, const char *name, size_t len)
{
	for (unsigned i = 0; i < c->n_sinks; i++)
		if (strlen(c->sinks[i].name) == len && memcmp(c->sinks[i].name, name, len) == 0)
			return (int)i;
	return -ENOENT;
}

/* The first packet must say which sink it serves; a newcomer replaces the one before it. */
static int on_guest(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct port *guest = arg;
	struct forward *f = guest->forward;
	struct link_packet packet;
	(void)source;
	(void)revents;
	int rc = link_receive(fd, f->space, &packet);
	if (rc == -EAGAIN)
		return 0;
	int sink = rc == 1 && packet.type == LINK_HELLO
			   ? sink_named(f->gateway->config, packet.topic, packet.topic_len)
			   : -EBADMSG;
	if (sink < 0) {
		log_warn("forward",
			"an uplink said something else than the name of a sink; check its "
			"--sink and the configuration");
		guest_leave(guest);
		return 0;
	}
	struct port *p = &f->ports[sink];
	port_closed(p, "replaced by a new one");
	p->fd = guest->fd;
	guest->fd = -1;
	guest_leave(guest);
	rc = sd_event_add_io(f->gateway->loop, &p->io, p->fd, EPOLLIN, on_port, p);
	if (rc < 0)
		port_closed(p, strerror(-rc));
	return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)revents;
	struct forward *f = arg;
	int guest_fd = listen_accept(fd);
	if (guest_fd < 0)
		return 0;
	/* whoever said nothing all this time makes room: an uplink names its sink at once */
	struct port *guest = &f->guests[f->next_guest++ % CONFIG_SINKS_MAX];
	guest_leave(guest);
	guest->fd = guest_fd;
	int size = 2 * 1024 * 1024;
	setsockopt(guest_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (sd_event_add_io(f->gateway->loop, &guest->io, guest_fd, EPOLLIN, on_guest, guest) < 0)
		guest_leave(guest);
	return 0;
}

/* What could not be marked as sent (a full disk) is handed over again later. */
static int on_rewind(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	struct forward *f = arg;
	for (unsigned i = 0; i < f->gateway->config->n_sinks; i++)
		if (f->ports[i].up)
			tell_store(&f->ports[i], ANSWER_UP);
	return 0;
}

/* life */

int forward_new(struct gateway *g, struct forward **ret)
{
	struct forward *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->gateway = g;
	for (unsigned i = 0; i < CONFIG_SINKS_MAX; i++) {
		f->ports[i] = (struct port){.forward = f, .sink = i, .fd = -1};
		f->ports[i].waiting.last = &f->ports[i].waiting.first;
		f->guests[i] = (struct port){.forward = f, .fd = -1};
	}
	char path[300];
	snprintf(path, sizeof(path), "%s/uplink.sock", g->config->runtime);
	f->listen_fd = listen_unix(path, SOCK_SEQPACKET);
	int rc = f->listen_fd;
	if (rc >= 0)
		rc = sd_event_add_io(g->loop, &f->accept, f->listen_fd, EPOLLIN, on_accept, f);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			g->loop, &f->rewind, CLOCK_BOOTTIME, REWIND_US, 0, on_rewind, f);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(f->rewind, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			g->loop, &f->settle, CLOCK_BOOTTIME, SETTLE_US, 1000, on_settle, f);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(f->settle, SD_EVENT_OFF);
	if (rc < 0) {
		forward_free(f);
		return rc;
	}
	*ret = f;
	return 0;
}

void forward_free(struct forward *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < CONFIG_SINKS_MAX; i++) {
		sd_event_source_disable_unref(f->ports[i].io);
		if (f->ports[i].fd >= 0)
			close(f->ports[i].fd);
		drop_waiting(&f->ports[i]);
		guest_leave(&f->guests[i]);
	}
	sd_event_source_disable_unref(f->accept);
	sd_event_source_disable_unref(f->rewind);
	sd_event_source_disable_unref(f->settle);
	if (f->listen_fd >= 0)
		close(f->listen_fd);
	free(f);
}

void forward_json(const struct forward *f, struct json *j)
{
	json_object_begin(j, "uplink");
	for (unsigned i = 0; i < f->gateway->config->n_sinks; i++) {
		const struct port *p = &f->ports[i];
		json_object_begin(j, f->gateway->config->sinks[i].name);
		json_str(j, "state", p->up ? "connected" : p->fd >= 0 ? "no_broker" : "no_process");
		if (!p->up && p->reason[0])
			json_str(j, "reason", p->reason);
		json_object_end(j);
	}
	json_object_end(j);
}
