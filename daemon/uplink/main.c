/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate-uplink: carries messages between the core's socket (link.h) and one MQTT broker. It keeps
 * nothing and may be killed at any moment: what it did not report as sent, the core gives again.
 *
 * One thread and one poll(). A full socket or a full window stops the reading side, never a queue of ours:
 * while a packet waits for the core, nothing else is taken from the broker or from the core.
 */
#include "../clock.h"
#include "../config.h"
#include "../link.h"
#include "../log.h"
#include "../util.h"
#include "credential.h"
#include "mqtt.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#define MS_US 1000
#define LINK_RETRY_FIRST_MS 10
#define LINK_RETRY_MAX_MS 300 /* a local socket: asking costs nothing, waiting may cost a patient */
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 30000
#define STEADY_MS 10000 /* a connection that held this long clears the back-off */
#define TAKEOVERS 3	/* within TAKEOVER_SPAN_MS: another machine uses our client id */
#define TAKEOVER_SPAN_MS 60000
#define TAKEOVER_WAIT_MS 60000
#define STUCK_MS 120000	   /* an attempt that neither fails nor succeeds: paho hangs */
#define BYE_MS 1500	   /* for the last words to the broker */
#define EXIT_AT_LATEST_S 2 /* after SIGTERM, whatever hangs */
#define MEMORY_BASE (64 * 1024 * 1024)
#define PUBLISHES_PER_TURN 64 /* before looking at the broker's answers again */

enum state { WAITING, TRYING, UP, LEAVING };

struct uplink {
	const struct config_sink *sink;
	struct mqtt *mqtt;
	enum state state;
	int64_t state_ms; /* when it began */
	int64_t try_ms;	  /* WAITING: when to try again */
	int64_t retry_ms; /* the back-off, before jitter */
	int64_t takeovers_ms[TAKEOVERS];
	char reason[MQTT_REASON_MAX]; /* why we are not up */
	struct log_limit down_log, refusal_log, packet_log;

	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int link; /* to the core; -1 while it is away */
	int64_t link_try_ms, link_retry_ms;
	struct mqtt_event event;    /* what `waiting` borrows from */
	struct link_packet waiting; /* for room in the socket; type 0: none */
	uint64_t bad_packets;
	int64_t watchdog_ms, watchdog_next_ms;
};

static volatile sig_atomic_t stop_requested;
static int stop_fd;

/* The alarm ends the process even while the main thread hangs in the library. */
static void stop_handler(int number)
{
	(void)number;
	int saved = errno;
	uint64_t one = 1;
	stop_requested = 1;
	alarm(EXIT_AT_LATEST_S);
	(void)!write(stop_fd, &one, sizeof(one));
	errno = saved;
}

static void alarm_handler(int number)
{
	(void)number;
	_exit(EXIT_SUCCESS);
}

static int64_t now_ms(void)
{
	return clock_boot_us() / MS_US;
}

/* From half of `ms` to half as much again: gateways must not come back all in the same instant. */
static int64_t jitter(int64_t ms)
{
	uint32_t r = 0;
	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	return ms / 2 + (int64_t)(r % (uint32_t)(ms + 1));
}

static void link_close(struct uplink *u, const char *why)
{
	log_warn("link", "the core is away: %s", why);
	close(u->link);
	u->link = -1;
	u->waiting = (struct link_packet){0};
	u->link_retry_ms = LINK_RETRY_FIRST_MS;
	u->link_try_ms = now_ms() + u->link_retry_ms;
	mqtt_forget(u->mqtt);
}

static void link_flush(struct uplink *u)
{
	if (u->link < 0 || !u->waiting.type)
		return;
	int r = link_send(u->link, &u->waiting);
	if (r == -EAGAIN)
		return;
	if (r < 0 && r != -EMSGSIZE)
		return link_close(u, strerror(-r));
	u->waiting = (struct link_packet){0};
}

/* At most one packet waits: nothing that could make another happens before it is gone. */
static void link_tell(struct uplink *u, struct link_packet packet)
{
	if (u->link < 0)
		return;
	u->waiting = packet;
	link_flush(u);
}

static void link_tell_text(struct uplink *u, enum link_type type, uint32_t tag, const char *text)
{
	link_tell(u, (struct link_packet){.type = type,
			     .tag = tag,
			     .payload = (const uint8_t *)text,
			     .len = strlen(text)});
}

static void link_open(struct uplink *u)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	memcpy(to.sun_path, u->socket_path, sizeof(to.sun_path));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		closep(&fd);
		u->link_try_ms = now_ms() + u->link_retry_ms;
		u->link_retry_ms = MIN(2 * u->link_retry_ms, LINK_RETRY_MAX_MS);
		return;
	}
	u->link = fd;
	u->link_retry_ms = LINK_RETRY_FIRST_MS;
	log_note("link", "the core is here");
	const char *name = u->sink->name;
	link_tell(u,
		(struct link_packet){.type = LINK_HELLO, .topic = name, .topic_len = strlen(name)});
	if (u->state == UP)
		link_tell(u, (struct link_packet){.type = LINK_UP});
	else if (u->reason[0])
		link_tell_text(u, LINK_DOWN, 0, u->reason);
}

static void enter(struct uplink *u, enum state state)
{
	u->state = state;
	u->state_ms = now_ms();
}

static bool taken_over_often(struct uplink *u)
{
	int64_t now = now_ms();
	memmove(u->takeovers_ms + 1, u->takeovers_ms, sizeof(u->takeovers_ms) - sizeof(int64_t));
	u->takeovers_ms[0] = now;
	int64_t oldest = u->takeovers_ms[TAKEOVERS - 1];
	return oldest && now - oldest <= TAKEOVER_SPAN_MS;
}

static void plan_retry(struct uplink *u, const struct mqtt_event *e, bool was_up)
{
	int64_t held = now_ms() - u->state_ms, wait;
	if (was_up && held >= STEADY_MS)
		u->retry_ms = RETRY_FIRST_MS;
	/* MQTT 3.1.1 has no words for it: a short connection is the only sign. */
	bool taken_over = e->taken_over || (was_up && e->unexplained && held < STEADY_MS);
	if (taken_over && taken_over_often(u)) {
		wait = TAKEOVER_WAIT_MS;
		log_error("mqtt", "%d short connections within a minute, then %d s of waiting: %s",
			TAKEOVERS, TAKEOVER_WAIT_MS / 1000,
			"another machine seems to use our client id");
	} else {
		wait = e->try_at_once ? 0 : jitter(u->retry_ms);
		u->retry_ms = MIN(2 * u->retry_ms, RETRY_MAX_MS);
	}
	enter(u, WAITING);
	u->try_ms = now_ms() + wait;
}

/* The core hears of it first: closing the connection takes up to a second. */
static void broker_lost(struct uplink *u, const struct mqtt_event *e)
{
	bool was_up = u->state == UP, news = was_up || !streq(u->reason, e->reason);
	unsigned held_back;
	text_copy(u->reason, sizeof(u->reason), e->reason, strlen(e->reason));
	if (news || log_allowed(&u->down_log, 1, &held_back))
		log_warn("mqtt", "%s", u->reason);
	if (news)
		link_tell_text(u, LINK_DOWN, 0, u->reason); /* borrows it */
	sd_notifyf(0, "STATUS=not connected: %s", u->reason);
	if (u->state == LEAVING)
		_exit(EXIT_SUCCESS);
	plan_retry(u, e, was_up);
	mqtt_drop(u->mqtt);
}

/* paho leaves Nagle's algorithm on: a small message would wait 40 ms for the acknowledgement of the one
 * before it. The library does not tell its socket, so every stream socket of the internet gets it. */
static void send_at_once(void)
{
	for (int fd = 3; fd < 256; fd++) {
		int domain = 0, one = 1;
		socklen_t len = sizeof(domain);
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
			(domain == AF_INET || domain == AF_INET6))
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
}

static void broker_up(struct uplink *u)
{
	send_at_once();
	char text[80];
	mqtt_describe(u->mqtt, text, sizeof(text));
	enter(u, UP);
	u->reason[0] = 0;
	log_note("mqtt", "connected to %s:%u, %s", u->sink->host, u->sink->port, text);
	sd_notifyf(0, "STATUS=connected to %s:%u, %s", u->sink->host, u->sink->port, text);
	link_tell(u, (struct link_packet){.type = LINK_UP});
}

static void broker_try(struct uplink *u)
{
	struct mqtt_event e = {.type = MQTT_DOWN};
	enter(u, TRYING);
	if (mqtt_connect(u->mqtt, e.reason, sizeof(e.reason)) < 0)
		broker_lost(u, &e);
}

static void handle_event(struct uplink *u, const struct mqtt_event *e)
{
	unsigned held_back;
	switch (e->type) {
	case MQTT_UP:
		return broker_up(u);
	case MQTT_DOWN:
		return broker_lost(u, e);
	case MQTT_SENT:
		return link_tell(u, (struct link_packet){.type = LINK_SENT, .tag = e->tag});
	case MQTT_REFUSED:
		if (log_allowed(&u->refusal_log, 3, &held_back))
			log_warn("mqtt", "the broker refuses a message: %s", e->reason);
		return link_tell_text(u, LINK_FAILED, e->tag, e->reason);
	case MQTT_MESSAGE:
		return link_tell(u, (struct link_packet){.type = LINK_MESSAGE,
					    .topic = e->topic,
					    .topic_len = e->topic_len,
					    .payload = e->payload,
					    .len = e->len});
	case MQTT_SAID_BYE:
		log_note("mqtt", "disconnected");
		_exit(EXIT_SUCCESS);
	}
}

static void take_events(struct uplink *u)
{
	uint64_t count;
	(void)!read(mqtt_wake_fd(u->mqtt), &count, sizeof(count));
	while (!u->waiting.type && mqtt_next(u->mqtt, &u->event))
		handle_event(u, &u->event);
}

static void bad_packet(struct uplink *u, const char *what)
{
	unsigned held_back;
	u->bad_packets++;
	if (log_allowed(&u->packet_log, 3, &held_back))
		log_warn("link", "%s from the core, %llu so far", what,
			(unsigned long long)u->bad_packets);
}

static void publish(struct uplink *u, const struct link_packet *p)
{
	if (p->type != LINK_PUBLISH)
		return bad_packet(u, "unexpected packet");
	if (u->state != UP)
		return; /* sent before the core read our LINK_DOWN, which took it back */
	struct mqtt_event e = {.type = MQTT_DOWN};
	int r = mqtt_publish(u->mqtt, p->tag, p->flags & LINK_RETAIN, p->topic, p->topic_len,
		p->payload, p->len, e.reason, sizeof(e.reason));
	if (r == -EINVAL) {
		u->event = e;
		link_tell_text(u, LINK_FAILED, p->tag, u->event.reason); /* borrows it */
	} else if (r < 0) {
		take_events(
			u); /* acknowledgements that came before the end, and mostly the end itself */
		if (u->state == UP && !u->waiting.type)
			broker_lost(u, &e);
	}
}

static bool link_wanted(const struct uplink *u)
{
	return u->link >= 0 && !u->waiting.type && u->state != LEAVING &&
	       (u->state != UP || mqtt_room(u->mqtt) > 0);
}

static void take_packets(struct uplink *u)
{
	static uint8_t space[LINK_PACKET_MAX];
	for (unsigned i = 0; i < PUBLISHES_PER_TURN && link_wanted(u); i++) {
		struct link_packet p;
		int r = link_receive(u->link, space, &p);
		if (r == -EAGAIN)
			return;
		if (r == -EBADMSG)
			bad_packet(u, "malformed packet");
		else if (r <= 0)
			link_close(u, r < 0 ? strerror(-r) : "it closed the socket");
		else
			publish(u, &p);
	}
}

/* A broker that answers nothing but pings would hold our window for ever. */
static int64_t silence_limit_ms(const struct uplink *u)
{
	return u->sink->keepalive_s * INT64_C(1500);
}

static void begin_leaving(struct uplink *u)
{
	log_note("main", "stopping");
	sd_notify(0, "STOPPING=1");
	u->waiting = (struct link_packet){0};
	mqtt_forget(u->mqtt);
	link_tell_text(u, LINK_DOWN, 0, "stopping");
	if (u->state != UP || mqtt_say_bye(u->mqtt) < 0)
		_exit(EXIT_SUCCESS); /* not even destroying: an attempt may hold paho's mutex */
	enter(u, LEAVING);
}

static void check_clock(struct uplink *u)
{
	int64_t now = now_ms();
	if (stop_requested && u->state != LEAVING)
		begin_leaving(u);
	if (u->state == LEAVING && now - u->state_ms >= BYE_MS)
		_exit(EXIT_SUCCESS);
	if (u->watchdog_ms && now >= u->watchdog_next_ms) {
		sd_notify(0, "WATCHDOG=1");
		u->watchdog_next_ms = now + u->watchdog_ms;
	}
	if (u->link < 0 && now >= u->link_try_ms)
		link_open(u);
	if (u->waiting.type)
		return;
	if (u->state == WAITING && now >= u->try_ms)
		broker_try(u);
	if (u->state == TRYING && now - u->state_ms >= STUCK_MS) {
		log_error("mqtt", "the attempt to connect hangs; starting afresh");
		_exit(EXIT_FAILURE);
	}
	if (mqtt_silence_ms(u->mqtt, now) >= silence_limit_ms(u)) {
		struct mqtt_event e = {.type = MQTT_DOWN};
		snprintf(e.reason, sizeof(e.reason), "no acknowledgement for %lld s",
			(long long)(silence_limit_ms(u) / 1000));
		broker_lost(u, &e);
	}
}

static int until(int64_t at_ms, int64_t now, int best)
{
	int64_t wait = MAX(at_ms - now, 0);
	return best < 0 || wait < best ? (int)wait : best;
}

/* Milliseconds until check_clock() has something to do; -1: never. */
static int next_deadline(const struct uplink *u)
{
	int64_t now = now_ms();
	int ms = -1;
	if (u->watchdog_ms)
		ms = until(u->watchdog_next_ms, now, ms);
	if (u->link < 0)
		ms = until(u->link_try_ms, now, ms);
	if (u->state == LEAVING)
		ms = until(u->state_ms + BYE_MS, now, ms);
	if (u->waiting.type)
		return ms;
	if (u->state == WAITING)
		ms = until(u->try_ms, now, ms);
	if (u->state == TRYING)
		ms = until(u->state_ms + STUCK_MS, now, ms);
	int64_t silence = mqtt_silence_ms(u->mqtt, now);
	if (silence >= 0)
		ms = until(now + silence_limit_ms(u) - silence, now, ms);
	return ms;
}

static int run(struct uplink *u)
{
	for (;;) {
		take_events(u); /* first: what waits there is no silence */
		check_clock(u);
		take_packets(u);
		short wanted = (short)(u->waiting.type ? POLLOUT : link_wanted(u) ? POLLIN : 0);
		struct pollfd fds[] = {{.fd = mqtt_wake_fd(u->mqtt), .events = POLLIN},
			{.fd = u->link, .events = wanted}};
		if (poll(fds, ELEMENTS(fds), next_deadline(u)) < 0 && errno != EINTR)
			return -errno;
		if (u->link >= 0 && (fds[1].revents & (POLLHUP | POLLERR)))
			link_close(u, "it closed the socket");
		link_flush(u);
	}
}

static struct config_sink *find_sink(struct config *c, const char *name)
{
	if (!name && c->n_sinks == 1)
		return &c->sinks[0];
	for (unsigned i = 0; name && i < c->n_sinks; i++)
		if (streq(c->sinks[i].name, name))
			return &c->sinks[i];
	return NULL;
}

static void catch_signals(int wake_fd)
{
	stop_fd = wake_fd;
	struct sigaction stop = {.sa_handler = stop_handler}, late = {.sa_handler = alarm_handler};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGALRM, &late, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* paho allocates what a packet's length field claims, 256 MB if a broker wants; refused, it hangs up on it. */
static void limit_memory(const struct config_sink *sink)
{
#if defined(__SANITIZE_ADDRESS__)
	(void)sink; /* the sanitizer's own tables would not fit */
#else
	rlim_t most = MEMORY_BASE + (rlim_t)sink->window * 2 * LINK_PACKET_MAX;
	setrlimit(RLIMIT_DATA, &(struct rlimit){most, most});
#endif
}

/* paho would go through a web proxy that the environment names, even one with an empty name. The broker that
 * was configured is meant. */
static void forget_proxies(void)
{
	static const char *const names[] = {
		"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	for (size_t i = 0; i < ELEMENTS(names); i++)
		unsetenv(names[i]);
}

static int serve(const struct config *c, const struct config_sink *sink)
{
	static struct uplink u;
	u = (struct uplink){.sink = sink,
		.link = -1,
		.retry_ms = RETRY_FIRST_MS,
		.link_retry_ms = LINK_RETRY_FIRST_MS};
	int n = snprintf(u.socket_path, sizeof(u.socket_path), "%s/uplink.sock", c->runtime);
	if (n >= (int)sizeof(u.socket_path))
		return -ENAMETOOLONG;
	int r = mqtt_new(c, sink, &u.mqtt);
	if (r < 0)
		return r;
	catch_signals(mqtt_wake_fd(u.mqtt));
	limit_memory(sink);
	forget_proxies();
	uint64_t watchdog_us;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		u.watchdog_ms = (int64_t)(watchdog_us / 2 / MS_US);
	sd_notify(0, "READY=1");
	return run(&u);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"last-good", required_argument, NULL, 'g'}, {"sink", required_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'}, {0}};
	static struct config config;
	const char *path = "/etc/vitalgate/vitalgate.yaml", *name = NULL;
	const char *good = "/run/vitalgate/vitalgate.yaml";
	enum log_level level = LOG_INFO;
	for (int o; (o = getopt_long(argc, argv, "c:g:s:v", options, NULL)) >= 0;) {
		if (o == '?') {
			fprintf(stderr,
				"usage: %s [--config FILE] [--last-good FILE] [--sink NAME] [-v]\n",
				argv[0]);
			return 2;
		}
		if (o == 'c')
			path = optarg;
		if (o == 'g')
			good = optarg;
		if (o == 's')
			name = optarg;
		if (o == 'v')
			level = LOG_DETAIL;
	}
	log_init("vitalgate-uplink", level);
	/* paho would write every payload into these. */
	unsetenv("MQTT_C_CLIENT_TRACE");
	unsetenv("MQTT_C_CLIENT_TRACE_LEVEL");
	char error[CONFIG_ERROR_MAX] = "";
	if (config_load(path, &config, error, sizeof(error)) < 0) {
		log_error("config", "%s", error);
		if (config_load(good, &config, error, sizeof(error)) < 0) {
			log_error("config", "and none from the core: %s", error);
			return EXIT_FAILURE;
		}
		log_error("config", "running with what the core goes by, %s", good);
	}
	if (config.n_sinks == 0) {
		log_note("main", "no sink is configured, nothing to do");
		return EXIT_SUCCESS;
	}
	struct config_sink *sink = find_sink(&config, name);
	if (!sink) {
		log_error("main", "%s: %s", name ? name : "--sink",
			name ? "no such sink" : "there are several sinks, name one");
		return EXIT_FAILURE;
	}
	if (credential_resolve(sink) < 0)
		return EXIT_FAILURE; /* credentials never change while we run: start again with new ones */
	int r = serve(&config, sink);
	log_error("main", "%s", strerror(-r));
	return EXIT_FAILURE;
}
