/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One Bluetooth serial (SPP) instrument that we connect to: a byte stream, as on a serial line. Its channel
 * is configured, or asked of the device (sdp.c), kept, and asked again when it is refused.
 *
 * An instrument that is switched off is the normal state: the page takes 5 s and is repeated after 10, 20,
 * 40, then every 60 s, counted from the beginning of one attempt to that of the next, so that one
 * that is switched on is found within a minute. Only the first failure is told.
 *
 * Data needs no bluetoothd, bonds do: it keeps the keys, and with `pairing` the kernel makes a bond by
 * itself when the device agrees (Just Works). Instruments that connect to us are not served here.
 */
#include "log.h"
#include "rfcomm_socket.h"
#include "sdp.h"
#include "sendq.h"
#include "transport.h"
#include "util.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define RFCOMM_WAIT_MIN_US 10000000 /* after an attempt that failed; doubled up to: */
#define RFCOMM_WAIT_MAX_US 60000000
#define RFCOMM_ADAPTER_US 5000000  /* no radio to page with: asking is cheap */
#define RFCOMM_BUSY_US 10000000	   /* another program here has it */
#define RFCOMM_AGAIN_US 2000000	   /* the device ended a link that was of use */
#define RFCOMM_REST_US 5000000	   /* we ended it */
#define RFCOMM_LASTING_US 5000000  /* a link that stayed so long was of use, also if nothing came */
#define RFCOMM_CONNECT_US 60000000 /* somebody may have to type a PIN at the instrument */
#define RFCOMM_LINGER_US 2000000   /* for the last bytes after a close */
#define RFCOMM_SIMULATED_US 200000 /* in place of all of these pauses */
#define RFCOMM_ACCURACY_US 10000
#define RFCOMM_LOG_BURST 6 /* lines of one cause a minute */

enum phase { RESTING, ASKING, CONNECTING, UP, LINGERING };

struct rfcomm {
	struct transport base;
	sd_event *loop;
	const struct config_device *device;
	struct rfcomm_peer peer;
	bdaddr_t adapter; /* of this attempt; all zeros: any */
	enum phase phase;
	const char *state;
	uint8_t channel;	 /* as the device told, 0: not known */
	bool channel_is_new;	 /* told in this attempt */
	struct sdp_query *query; /* asking */
	int fd;			 /* from connecting on; else -1 */
	sd_event_source *io;
	sd_event_source
		*timer; /* resting: next attempt; else the limit of the phase, or a deferred end */
	struct sendq out;
	uint64_t begun_us; /* of the attempt */
	uint64_t up_us;
	bool heard; /* something came since then */
	unsigned failures;
	const char *doomed; /* up: why the link is to end as soon as the loop runs */
	struct log_limit said_state, said_channel;
};

static uint64_t boot_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void set_timer(struct rfcomm *t, uint64_t at_us)
{
	int r = sd_event_source_set_time(t->timer, at_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(
			t->timer, at_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (r < 0)
		log_error(t->device->id, "timer: %s", strerror(-r));
}

static const struct {
	const char *state, *next;
} rfcomm_advice[] = {
	{"absent", "it will be called again, at least once a minute"},
	{"busy", "another program has its serial port: end that"},
	{"unpaired", "pair it (bluetoothctl), and set `pairing`"},
	{"adapter-off", "waiting until it is on (bluetoothctl show, rfkill list)"},
	{"adapter-absent", "plug the adapter in, switch it on, or check `adapter`"},
	{"no-bluetooth", "this kernel or this unit's sandbox has no AF_BLUETOOTH: load the module "
			 "bluetooth, check RestrictAddressFamilies"},
	{"error", "look at the device, at `channel`, and at the kernel's log"},
};

/* Says a state when it begins. */
static void set_state(struct rfcomm *t, const char *state, const char *why)
{
	bool same = streq(t->state, state);
	t->state = state;
	unsigned held_back;
	for (size_t i = 0; i < ELEMENTS(rfcomm_advice) && !same; i++)
		if (streq(rfcomm_advice[i].state, state) &&
			log_allowed(&t->said_state, RFCOMM_LOG_BURST, &held_back))
			log_note(t->device->id, "%s: %s: %s", state, why, rfcomm_advice[i].next);
}

static void hang_up(struct rfcomm *t)
{
	sdp_query_free(TAKE(t->query));
	t->io = sd_event_source_disable_unref(t->io);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	sendq_clear(&t->out);
	t->doomed = NULL;
	t->phase = RESTING;
}

/* The next attempt begins `pause_us` after `since_us`. */
static void rest(struct rfcomm *t, uint64_t since_us, uint64_t pause_us)
{
	set_timer(t, since_us + (t->peer.simulated ? RFCOMM_SIMULATED_US : pause_us));
}

static uint64_t next_pause(struct rfcomm *t)
{
	if (streq(t->state, "no-bluetooth"))
		return RFCOMM_WAIT_MAX_US;
	if (strncmp(t->state, "adapter-", 8) == 0)
		return RFCOMM_ADAPTER_US;
	if (streq(t->state, "busy"))
		return RFCOMM_BUSY_US;
	uint64_t pause_us = MIN((uint64_t)RFCOMM_WAIT_MIN_US << t->failures, RFCOMM_WAIT_MAX_US);
	t->failures += t->failures < 3;
	return pause_us;
}

/* `error`: positive errno. */
static void attempt_failed(struct rfcomm *t, int error, const char *why)
{
	hang_up(t);
	/* Nobody listens at the path of a simulated one; over the air it is there and refuses. */
	bool away = t->peer.simulated && error == ECONNREFUSED;
	set_state(t, away ? "absent" : rfcomm_state(error), why ? why : strerror(error));
	rest(t, t->begun_us, next_pause(t));
}

/* Ends a link that was up. */
static void drop(struct rfcomm *t, const char *why)
{
	bool told = t->phase == LINGERING;
	uint64_t now_us = boot_us();
	bool of_use = t->heard || now_us - t->up_us >= RFCOMM_LASTING_US;
	hang_up(t);
	t->state = "absent";
	if (of_use)
		t->failures = 0;
	rest(t, now_us, told ? RFCOMM_REST_US : of_use ? RFCOMM_AGAIN_US : next_pause(t));
	if (!told)
		t->base.events.down(t->base.events.arg, why);
}

/* What a link that ended says of itself: for an instrument that goes to sleep all of it is normal. */
static const char *end_text(int error)
{
	switch (error) {
	case 0:
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
		return "the device closed the link";
	case ETIMEDOUT:
		return "out of reach";
	}
	return strerror(error);
}

static void want_write(struct rfcomm *t, bool yes)
{
	uint32_t events = (t->phase == UP ? EPOLLIN : 0) | (yes ? EPOLLOUT : 0);
	int r = sd_event_source_set_io_events(t->io, events);
	if (r < 0)
		log_error(t->device->id, "event loop: %s", strerror(-r));
}

static void link_is_there(struct rfcomm *t)
{
	t->phase = UP;
	t->state = "connected";
	t->up_us = boot_us();
	t->heard = false;
	set_timer(t, UINT64_MAX);
	want_write(t, false);
	char uid[TRANSPORT_UID_MAX + 1];
	snprintf(uid, sizeof(uid), "addr:%.90s", t->device->address);
	t->base.events.up(t->base.events.arg, uid);
}

/* `lost`: the kernel says that the link is gone; what came before its end is read all the same. */
static void input(struct rfcomm *t, bool lost)
{
	uint8_t bytes[4096];
	ssize_t n = recv(t->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0) {
		t->heard = true;
		t->base.events.stream(t->base.events.arg, bytes, (size_t)n);
		return;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		drop(t, end_text(n == 0 ? 0 : errno));
	else if (lost)
		drop(t, end_text(0));
}

static void output(struct rfcomm *t)
{
	int r = sendq_drain(&t->out, t->fd);
	if (r < 0)
		drop(t, end_text(-r));
	else if (r == 0 && t->phase == LINGERING)
		drop(t, "");
	else if (r == 0)
		want_write(t, false);
}

static void begin(struct rfcomm *t);

static void connecting(struct rfcomm *t)
{
	int r = rfcomm_result(t->fd);
	if (r == 0) {
		link_is_there(t);
		return;
	}
	bool stale = r == -ECONNREFUSED && t->channel && !t->channel_is_new;
	if (r == -ECONNREFUSED)
		t->channel = 0;
	if (stale) {
		hang_up(t);
		begin(t);
		return;
	}
	attempt_failed(t, -r, r == -ECONNREFUSED ? "it refuses the connection" : NULL);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd;
	struct rfcomm *t = arg;
	bool lost = events & (EPOLLHUP | EPOLLERR);
	if (t->phase == CONNECTING) {
		connecting(t);
		return 0;
	}
	if ((events & EPOLLOUT) && t->out.len)
		output(t);
	if (t->phase == UP && (lost || (events & EPOLLIN)))
		input(t, lost);
	else if (t->phase == LINGERING && lost)
		drop(t, "");
	return 0;
}

static void connect_channel(struct rfcomm *t, uint8_t channel)
{
	int r = rfcomm_connect(&t->peer, &t->adapter, channel, t->device->pairing);
	if (r >= 0) {
		t->fd = r;
		t->phase = CONNECTING;
		set_timer(t, boot_us() + RFCOMM_CONNECT_US);
		r = sd_event_add_io(t->loop, &t->io, t->fd, EPOLLOUT, on_io, t);
	}
	if (r < 0)
		attempt_failed(t, -r, NULL);
}

static void on_channel(void *arg, int channel)
{
	struct rfcomm *t = arg;
	sdp_query_free(TAKE(t->query));
	if (channel < 0) {
		attempt_failed(t, channel == -ENOENT ? EPROTO : -channel,
			channel == -ENOENT   ? "it offers no serial port"
			: channel == -EPROTO ? "its answer about services makes no sense"
					     : NULL);
		return;
	}
	unsigned held_back;
	if (log_allowed(&t->said_channel, RFCOMM_LOG_BURST, &held_back))
		log_info(t->device->id, "serial port on channel %d", channel);
	t->channel = (uint8_t)channel;
	t->channel_is_new = true;
	connect_channel(t, t->channel);
}

static void ask_channel(struct rfcomm *t)
{
	int r = sdp_socket(&t->adapter, &t->peer.address);
	if (r >= 0)
		r = sdp_query_new(t->loop, r, on_channel, t, &t->query);
	if (r < 0)
		attempt_failed(t, -r, NULL);
	else
		t->phase = ASKING;
}

static void begin(struct rfcomm *t)
{
	t->begun_us = boot_us();
	t->channel_is_new = false;
	int r = t->peer.simulated ? 0 : rfcomm_adapter(t->device->adapter, &t->adapter);
	if (r < 0)
		attempt_failed(t, -r, NULL);
	else if (t->peer.simulated || t->device->channel)
		connect_channel(t, t->device->channel);
	else if (t->channel)
		connect_channel(t, t->channel);
	else
		ask_channel(t);
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	struct rfcomm *t = arg;
	switch (t->phase) {
	case RESTING:
		begin(t);
		break;
	case ASKING: /* sdp.c has a limit of its own */
		break;
	case CONNECTING:
		attempt_failed(t, ETIMEDOUT, NULL);
		break;
	case UP:
		drop(t, t->doomed);
		break;
	case LINGERING:
		drop(t, "");
		break;
	}
	return 0;
}

/* `down` must not come from inside send(): the loop delivers it next. */
static int doom(struct rfcomm *t, const char *why, int error)
{
	t->doomed = why;
	set_timer(t, 0);
	return error;
}

static int send_bytes(struct transport *base, unsigned channel, const void *bytes, size_t len)
{
	struct rfcomm *t = (struct rfcomm *)base;
	(void)channel;
	if (t->phase != UP || t->doomed)
		return -ENOTCONN;
	int r = sendq_send(&t->out, t->fd, bytes, len);
	if (r == -ENOBUFS)
		return r;
	if (r == -ENOMEM)
		return doom(t, "out of memory", r);
	if (r < 0)
		return doom(t, end_text(-r), -ENOTCONN);
	if (r > 0)
		want_write(t, true);
	return 0;
}

static void confirm(struct transport *base)
{
	(void)base; /* nothing in a stream is an indication */
}

/* What was sent just before still has to leave; what the kernel has, it sends by itself before it ends the
 * link. */
static void close_link(struct transport *base, const char *why)
{
	struct rfcomm *t = (struct rfcomm *)base;
	if (t->phase != UP)
		return;
	t->phase = LINGERING;
	t->doomed = NULL;
	want_write(t, t->out.len);
	set_timer(t, t->out.len ? boot_us() + RFCOMM_LINGER_US : 0);
	t->base.events.down(t->base.events.arg, why);
}

static void rfcomm_free(struct transport *base)
{
	struct rfcomm *t = (struct rfcomm *)base;
	hang_up(t);
	sd_event_source_disable_unref(t->timer);
	sd_event_unref(t->loop);
	free(t);
}

static const char *state(const struct transport *base)
{
	return ((const struct rfcomm *)base)->state;
}

static const struct transport_ops rfcomm_ops = {.send = send_bytes,
	.confirm = confirm,
	.close = close_link,
	.free = rfcomm_free,
	.state = state};

int rfcomm_new(sd_event *loop, const struct config_device *device,
	const struct transport_events *events, struct transport **ret)
{
	struct rfcomm *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->base.ops = &rfcomm_ops;
	t->base.events = *events;
	t->loop = sd_event_ref(loop);
	t->device = device;
	t->fd = -1;
	t->out.write = rfcomm_write;
	t->state = "";
	int r = rfcomm_peer_parse(device->address, &t->peer);
	if (r < 0)
		log_error(device->id, "address \"%s\": %s", device->address,
			r == -EINVAL ? "not like 00:11:22:33:44:55" : strerror(-r));
	else
		r = sd_event_add_time_relative(
			loop, &t->timer, CLOCK_BOOTTIME, 0, RFCOMM_ACCURACY_US, on_timer, t);
	if (r < 0) {
		rfcomm_free(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}
