/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The BLE transport against a small peripheral on a unix SEQPACKET socket. The peripheral is written here
 * and runs on the same loop; it knows nothing of att.c.
 */
#include "bluez.h"
#include "log.h"
#include "transport.h"
#include "util.h"
#include "waiting.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

struct attribute {
	uint16_t type; /* 0: not there */
	uint8_t len;
	uint8_t value[24];
	uint8_t refuse; /* error code for reading and writing */
};

#define U16(v) (uint8_t)((v)&255), (uint8_t)((v) >> 8)

enum {
	H_SERIAL = 3,
	H_SYSTEM_ID = 5,
	H_MEASUREMENT = 8,
	H_CCC = 9,
	H_FEATURE = 11,
	H_CONTROL = 13,
	H_LAST = 13,
};

/* Handle = index. */
static const struct attribute cuff[H_LAST + 1] = {
	[1] = {0x2800, 2, {U16(0x180a)}, 0},
	[2] = {0x2803, 5, {0x02, U16(3), U16(0x2a25)}, 0},
	[3] = {0x2a25, 8, "S/N 42 ", 0}, /* a trailing blank and NUL */
	[4] = {0x2803, 5, {0x02, U16(5), U16(0x2a23)}, 0},
	[5] = {0x2a23, 8, {1, 2, 3, 0xfe, 0xff, 4, 5, 6}, 0},
	[6] = {0x2800, 2, {U16(0x1810)}, 0},
	[7] = {0x2803, 5, {0x20, U16(8), U16(0x2a35)}, 0},
	[8] = {0x2a35, 0, {0}, 0},
	[9] = {0x2902, 2, {0}, 0},
	[10] = {0x2803, 5, {0x02, U16(11), U16(0x2a49)}, 0},
	[11] = {0x2a49, 2, {0x21, 0}, 0},
	[12] = {0x2803, 5, {0x08, U16(13), U16(0x2a52)}, 0},
	[13] = {0x2a52, 0, {0}, 0},
};

static const struct vg_channel channels[] = {
	{.uuid16 = 0x2a49, .service16 = 0x1810, .use = VG_GATT_READ, .name = "2a49"},
	{.uuid16 = 0x2a35,
		.service16 = 0x1810,
		.use = VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		.name = "2a35"},
	{.uuid16 = 0x2a52, .use = VG_GATT_WRITE, .name = "2a52"},
	{.uuid16 = 0x2aff, .use = VG_GATT_WRITE, .name = "2aff"},
};
enum { FEATURE, MEASUREMENT, CONTROL, MISSING };

static const struct vg_driver driver = {
	.name = "test", .bus = VG_BUS_GATT, .channels = channels, .n_channels = ELEMENTS(channels)};

struct bench {
	char dir[64];
	struct config_device device;
	sd_event *loop;
	struct transport *t;
	/* the peripheral */
	int listener, link;
	sd_event_source *listening, *linked;
	struct attribute attributes[H_LAST + 1];
	bool early;	    /* indicates as soon as the link is there */
	unsigned die_after; /* PDUs; 0 never */
	unsigned pdus, links, confirmed;
	char written[64];
	/* what the owner was told, in order: "U" up, "D" down, "v0" value, "i1" indication */
	char told[256];
	unsigned up, down, hung_up, indications;
	char uid[TRANSPORT_UID_MAX + 1], why[80];
	uint8_t denied;
	bool in_call;  /* no event may come */
	char close_on; /* 'U', 'v' or 'i' */
	int log, stderr_was;
};

static void tell(struct bench *b, char what, int channel)
{
	assert_false(b->in_call && what != 'D');
	size_t n = strlen(b->told);
	assert_true(n + 8 < sizeof(b->told));
	if (what == 'U' || what == 'D')
		snprintf(b->told + n, 8, "%c ", what);
	else
		snprintf(b->told + n, 8, "%c%d ", what, channel);
	if (b->close_on != what)
		return;
	b->close_on = 0;
	b->t->ops->close(b->t, "enough");
}

static void on_up(void *arg, const char *uid)
{
	struct bench *b = arg;
	assert_int_equal(b->up, b->down);
	b->up++;
	text_copy(b->uid, sizeof(b->uid), uid, strlen(uid));
	tell(b, 'U', 0);
}

static void on_stream(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg, (void)bytes, (void)len;
	fail_msg("GATT is no stream");
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	struct bench *b = arg;
	assert_int_equal(b->up, b->down + 1);
	if (channel == FEATURE) {
		assert_int_equal(len, 2);
		assert_int_equal(bytes[0], 0x21);
	}
	b->indications += indication;
	tell(b, indication ? 'i' : 'v', channel);
}

static void on_down(void *arg, const char *why)
{
	struct bench *b = arg;
	b->down++;
	assert_int_equal(b->up, b->down);
	text_copy(b->why, sizeof(b->why), why, strlen(why));
	tell(b, 'D', 0);
}

static void on_hung_up(void *arg)
{
	struct bench *b = arg;
	b->hung_up++;
}

static void on_denied(void *arg, unsigned channel, uint8_t code)
{
	struct bench *b = arg;
	b->denied = code;
	tell(b, 'x', (int)channel);
}

static void put(struct bench *b, const uint8_t *pdu, size_t len)
{
	if (b->link >= 0)
		(void)!send(b->link, pdu, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hang_up(struct bench *b)
{
	b->linked = sd_event_source_disable_unref(b->linked);
	if (b->link >= 0)
		close(b->link);
	b->link = -1;
}

static void indicate(struct bench *b)
{
	const uint8_t pdu[] = {0x1d, U16(H_MEASUREMENT), 0x00, 0x78, 0x00, 0x50, 0x00, 0x5d, 0x00};
	put(b, pdu, sizeof(pdu));
}

static void put_error(struct bench *b, const uint8_t *request, uint16_t handle, uint8_t code)
{
	const uint8_t pdu[] = {0x01, request[0], U16(handle), code};
	put(b, pdu, sizeof(pdu));
}

/* Read By Group Type, Read By Type, Find Information: one entry an answer. */
static void answer_range(struct bench *b, const uint8_t *q, size_t len)
{
	uint16_t start = (uint16_t)(q[1] | q[2] << 8), end = (uint16_t)(q[3] | q[4] << 8);
	uint16_t type = (uint16_t)(len >= 7 ? q[5] | q[6] << 8 : 0);
	for (uint16_t h = start; h <= end && h <= H_LAST; h++) {
		const struct attribute *a = &b->attributes[h];
		if (!a->type || (q[0] != 0x04 && a->type != type))
			continue;
		uint8_t pdu[40] = {(uint8_t)(q[0] + 1)};
		size_t n = 1;
		uint16_t last = h;
		while (q[0] == 0x10 && last < H_LAST && b->attributes[last + 1].type != 0x2800)
			last++;
		const uint8_t head[] = {U16(h), U16(q[0] == 0x10 ? last : a->type)};
		size_t head_len = q[0] == 0x08 ? 2 : 4;
		pdu[n++] = q[0] == 0x04 ? 1 : (uint8_t)(head_len + a->len);
		memcpy(pdu + n, head, head_len);
		n += head_len;
		if (q[0] != 0x04) {
			memcpy(pdu + n, a->value, a->len);
			n += a->len;
		}
		put(b, pdu, n);
		return;
	}
	put_error(b, q, start, 0x0a);
}

static void answer_attribute(struct bench *b, const uint8_t *q, size_t len)
{
	uint16_t handle = (uint16_t)(q[1] | q[2] << 8);
	struct attribute *a = handle <= H_LAST ? &b->attributes[handle] : NULL;
	if (!a || !a->type || a->refuse) {
		put_error(b, q, handle, a && a->refuse ? a->refuse : 0x01);
		return;
	}
	if (q[0] == 0x12) {
		if (handle == H_CONTROL)
			text_copy(b->written, sizeof(b->written), (const char *)q + 3, len - 3);
		if (handle == H_CCC)
			memcpy(a->value, q + 3, 2);
		put(b, (const uint8_t[]){0x13}, 1);
		return;
	}
	uint8_t pdu[32] = {0x0b};
	memcpy(pdu + 1, a->value, a->len);
	put(b, pdu, 1 + a->len);
}

static int on_request(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)events;
	struct bench *b = arg;
	uint8_t q[600];
	ssize_t len = recv(fd, q, sizeof(q), MSG_DONTWAIT);
	if (len <= 0) {
		hang_up(b);
		return 0;
	}
	b->pdus++;
	if (q[0] == 0x1e) {
		b->confirmed++;
	} else if (q[0] == 0x02) {
		const uint8_t pdu[] = {0x03, U16(64)};
		put(b, pdu, sizeof(pdu));
	} else if (len >= 5 && (q[0] == 0x10 || q[0] == 0x08 || q[0] == 0x04)) {
		answer_range(b, q, (size_t)len);
	} else if (len >= 3 && (q[0] == 0x0a || q[0] == 0x12)) {
		answer_attribute(b, q, (size_t)len);
	}
	if (b->die_after && b->pdus >= b->die_after)
		hang_up(b);
	return 0;
}

static int on_link(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)events;
	struct bench *b = arg;
	hang_up(b);
	b->link = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(b->link >= 0);
	assert_true(sd_event_add_io(b->loop, &b->linked, b->link, EPOLLIN, on_request, b) >= 0);
	b->links++;
	b->pdus = 0;
	if (b->early)
		indicate(b);
	return 0;
}

static void advertise(struct bench *b)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/cuff", b->dir);
	b->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(b->listener >= 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(b->listener, 4), 0);
	assert_true(sd_event_add_io(b->loop, &b->listening, b->listener, EPOLLIN, on_link, b) >= 0);
}

static void go_away(struct bench *b)
{
	hang_up(b);
	b->listening = sd_event_source_disable_unref(b->listening);
	if (b->listener >= 0)
		close(b->listener);
	b->listener = -1;
	char path[80];
	snprintf(path, sizeof(path), "%s/cuff", b->dir);
	unlink(path);
}

static void start(struct bench *b)
{
	const struct transport_events events = {
		on_up, on_stream, on_value, on_down, on_hung_up, on_denied, b};
	b->in_call = true;
	assert_int_equal(ble_new(b->loop, NULL, NULL, &b->device, &driver, &events, &b->t), 0);
	b->in_call = false;
}

static void turn(struct bench *b)
{
	assert_true(sd_event_run(b->loop, 5000) >= 0);
}

static unsigned let_pass(struct bench *b, int ms)
{
	unsigned turns = 0;
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;) {
		int r = sd_event_run(b->loop, 5000);
		assert_true(r >= 0);
		turns += r > 0;
	}
	return turns;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "/tmp/vg-ble-XXXXXX");
	if (!mkdtemp(b->dir) || sd_event_new(&b->loop) < 0)
		return -1;
	memcpy(b->attributes, cuff, sizeof(cuff));
	b->listener = b->link = -1;
	b->device = (struct config_device){.id = "cuff-1", .transport = TRANSPORT_BLE};
	snprintf(b->device.address, sizeof(b->device.address), "unix:%s/cuff", b->dir);
	char name[80];
	snprintf(name, sizeof(name), "%s/log", b->dir);
	b->log = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	b->stderr_was = dup(STDERR_FILENO);
	dup2(b->log, STDERR_FILENO);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	dup2(b->stderr_was, STDERR_FILENO);
	close(b->stderr_was);
	close(b->log);
	transport_free(b->t);
	go_away(b);
	sd_event_unref(b->loop);
	char name[80];
	snprintf(name, sizeof(name), "%s/log", b->dir);
	unlink(name);
	rmdir(b->dir);
	free(b);
	return 0;
}

static const char *state_of(const struct bench *b)
{
	return b->t->ops->state(b->t);
}

static int say(struct bench *b, unsigned channel, const char *text)
{
	b->in_call = true;
	unsigned down = b->down;
	int r = b->t->ops->send(b->t, channel, text, strlen(text));
	assert_int_equal(b->down, down);
	b->in_call = false;
	return r;
}

static void confirm(struct bench *b)
{
	b->in_call = true;
	b->t->ops->confirm(b->t);
	b->in_call = false;
}

static bool subscribed(const struct bench *b)
{
	return b->attributes[H_CCC].value[0] == 2;
}

static void tells_who_before_what(void **state)
{
	struct bench *b = *state;
	advertise(b);
	start(b);
	WAIT(b, subscribed(b));
	assert_string_equal(b->uid, "sn:S_N 42/sysid:010203feff040506");
	assert_string_equal(b->told, "U v0 ");
	assert_string_equal(state_of(b), "connected");
	indicate(b);
	WAIT(b, b->indications == 1);
	assert_string_equal(b->told, "U v0 i1 ");
	/* Only the owner confirms, and only once. */
	let_pass(b, 50);
	assert_int_equal(b->confirmed, 0);
	confirm(b);
	WAIT(b, b->confirmed == 1);
	confirm(b);
	let_pass(b, 30);
	assert_int_equal(b->confirmed, 1);
}

static void an_early_indication_waits(void **state)
{
	struct bench *b = *state;
	b->early = true;
	advertise(b);
	start(b);
	WAIT(b, b->indications == 1);
	assert_string_equal(b->told, "U v0 i1 ");
	assert_int_equal(b->confirmed, 0);
	confirm(b);
	WAIT(b, b->confirmed == 1);
}

static void names_what_says_nothing_by_its_address(void **state)
{
	struct bench *b = *state;
	static const uint8_t zeros[8];
	char address[140];
	snprintf(address, sizeof(address), "addr:%s", b->device.address);
	advertise(b);
	start(b);
	b->attributes[H_SYSTEM_ID].refuse = 0x02;
	WAIT(b, b->up == 1);
	assert_string_equal(b->uid, "sn:S_N 42");

	hang_up(b);
	b->attributes[H_SYSTEM_ID].refuse = 0;
	memcpy(b->attributes[H_SERIAL].value, "00000000", 8);
	WAIT(b, b->up == 2);
	assert_string_equal(b->uid, "sysid:010203feff040506");

	hang_up(b);
	memcpy(b->attributes[H_SYSTEM_ID].value, zeros, 8);
	memcpy(b->attributes[H_SERIAL].value, "\xff\xff \0\1\x80", 6);
	b->attributes[H_SERIAL].len = 6;
	WAIT(b, b->up == 3);
	assert_string_equal(b->uid, address);

	hang_up(b);
	b->attributes[H_SYSTEM_ID].refuse = b->attributes[H_SERIAL].refuse = 0x02;
	WAIT(b, b->up == 4);
	assert_string_equal(b->uid, address);
}

static void keeps_what_it_found(void **state)
{
	struct bench *b = *state;
	advertise(b);
	start(b);
	WAIT(b, subscribed(b));
	unsigned first = b->pdus;
	hang_up(b);
	WAIT(b, b->down == 1);
	assert_string_equal(b->why, "the device closed the link");
	b->attributes[H_CCC].value[0] = 0;
	WAIT(b, subscribed(b));
	assert_in_range(b->pdus, 3, first - 5);
	assert_string_equal(b->told, "U v0 D U v0 ");

	/* New firmware, other handles: found again. */
	hang_up(b);
	WAIT(b, b->down == 2);
	b->attributes[H_CCC].value[0] = 0;
	b->attributes[12] = b->attributes[10];
	b->attributes[12].value[1] = H_CONTROL;
	b->attributes[H_CONTROL] = b->attributes[H_FEATURE];
	b->attributes[10].type = b->attributes[H_FEATURE].type = 0;
	WAIT(b, subscribed(b));
	assert_string_equal(b->told, "U v0 D U v0 D U v0 ");
}

/* The peripheral disappears after each number of PDUs, before the end of the setting up and after. */
static void comes_back_from_every_end(void **state)
{
	struct bench *b = *state;
	advertise(b);
	start(b);
	WAIT(b, subscribed(b));
	unsigned whole = b->pdus;
	assert_in_range(whole, 10, 40);
	transport_free(TAKE(b->t));
	for (unsigned n = 1; n <= whole; n++) {
		b->up = b->down = b->links = 0;
		b->told[0] = 0;
		b->attributes[H_CCC].value[0] = 0;
		b->die_after = n;
		b->early = n % 2;
		start(b); /* a new one: nothing is in the cache */
		WAIT(b, b->links == 1 && b->link < 0);
		b->die_after = 0;
		if (n % 5 == 0)
			go_away(b);
		WAIT(b, b->up == b->down && !streq(state_of(b), "connected"));
		if (n % 5 == 0)
			advertise(b);
		WAIT(b, subscribed(b) && b->up == b->down + 1);
		transport_free(TAKE(b->t));
	}
}

static void waits_for_what_is_absent(void **state)
{
	struct bench *b = *state;
	start(b);
	WAIT(b, streq(state_of(b), "absent"));
	assert_in_range(let_pass(b, 1000), 1, 20);
	assert_int_equal(log_lines(b->log, "\n"), 1);
	assert_int_equal(say(b, CONTROL, "x"), -ENOTCONN);
	confirm(b);
	advertise(b);
	WAIT(b, b->up == 1);
	go_away(b);
	WAIT(b, b->down == 1);
	assert_int_equal(b->hung_up, 1);
	WAIT(b, streq(state_of(b), "absent"));
	advertise(b);
	WAIT(b, b->up == 2);
}

static void writes_for_the_driver(void **state)
{
	struct bench *b = *state;
	advertise(b);
	start(b);
	WAIT(b, b->up);
	assert_int_equal(say(b, CONTROL, "report all"), 0);
	WAIT(b, streq(b->written, "report all"));
	assert_int_equal(say(b, MISSING, "x"), -ENOENT);
	/* Refused: said, and the link stays. */
	b->attributes[H_CONTROL].refuse = 0x80;
	assert_int_equal(say(b, CONTROL, "again"), 0);
	WAIT(b, log_lines(b->log, "refuses writing 2a52: ATT error 0x80") == 1);
	assert_int_equal(b->denied, 0x80);
	/* The link ends while a write is on its way. */
	hang_up(b);
	(void)say(b, CONTROL, "x");
	WAIT(b, b->down == 1);
	assert_int_equal(say(b, CONTROL, "x"), -ENOTCONN);
}

static void the_owner_closes(void **state)
{
	struct bench *b = *state;
	advertise(b);
	start(b);
	b->close_on = 'U';
	WAIT(b, b->down == 1);
	assert_string_equal(b->why, "enough");
	b->close_on = 'v';
	WAIT(b, b->down == 2);
	b->early = true;
	b->close_on = 'i';
	WAIT(b, b->down == 3);
	assert_int_equal(b->confirmed, 0);
	b->early = false;
	WAIT(b, b->up == 4 && subscribed(b));
	b->t->ops->close(b->t, "from outside");
	assert_string_equal(b->why, "from outside");
	assert_int_equal(b->down, 4);
	assert_int_equal(b->hung_up, 0);
	b->t->ops->close(b->t, "twice");
	assert_int_equal(b->down, 4);
	WAIT(b, b->up == 5);
	assert_string_equal(b->told, "U D U v0 D U v0 i1 D U v0 D U v0 ");
}

static void a_device_that_gives_nothing_is_never_up(void **state)
{
	struct bench *b = *state;
	b->attributes[10].type = b->attributes[H_FEATURE].type = 0;
	b->attributes[H_CCC].refuse = 0x03;
	advertise(b);
	start(b);
	WAIT(b, b->links == 3);
	assert_string_equal(b->told, "");
	assert_int_equal(log_lines(b->log, "refuses subscribing to 2a35: ATT error 0x03"), 2);
	b->attributes[H_CCC].refuse = 0;
	WAIT(b, b->up == 1);
	assert_string_equal(b->told, "U ");
	indicate(b);
	WAIT(b, b->indications == 1);
}

static void a_required_subscription_is_refused(void **state)
{
	struct bench *b = *state;
	b->attributes[H_CCC].refuse = 0x03;
	advertise(b);
	start(b);
	WAIT(b, b->down == 1);
	assert_string_equal(b->why, "it refuses subscribing to 2a35");
	b->attributes[H_CCC].refuse = 0;
	WAIT(b, subscribed(b));

	/* Without the characteristic the device is never up. */
	hang_up(b);
	WAIT(b, b->down == 2);
	b->told[0] = 0;
	b->attributes[7].type = 0;
	unsigned links = b->links;
	WAIT(b, b->links == links + 2);
	assert_string_equal(b->told, "");
}

static uint32_t noise(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void nonsense_does_no_harm(void **state)
{
	struct bench *b = *state;
	uint32_t seed = 1;
	advertise(b);
	start(b);
	WAIT(b, subscribed(b));
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t pdu[700];
		size_t len = 1 + noise(&seed) % (i % 50 ? 24 : sizeof(pdu));
		for (size_t k = 0; k < len; k++)
			pdu[k] = (uint8_t)noise(&seed);
		put(b, pdu, len);
		assert_true(sd_event_run(b->loop, 0) >= 0);
		if (b->indications)
			confirm(b);
		b->told[0] = 0;
	}
	hang_up(b);
	WAIT(b, b->up == b->down);
	b->attributes[H_CCC].value[0] = 0;
	WAIT(b, subscribed(b));
	assert_true(log_lines(b->log, "\n") < 40);
}

/* Asks without end and reads no answer: what waits for it is bounded. */
static void a_deaf_device_is_dropped(void **state)
{
	struct bench *b = *state;
	advertise(b);
	start(b);
	WAIT(b, subscribed(b));
	b->linked = sd_event_source_disable_unref(b->linked);
	const uint8_t pdu[] = {0x0a, U16(1)};
	for (long end_ms = now_ms() + WAIT_LIMIT_MS; !b->down && now_ms() < end_ms;) {
		put(b, pdu, sizeof(pdu));
		assert_true(sd_event_run(b->loop, 0) >= 0);
	}
	assert_int_equal(b->down, 1);
	assert_string_equal(b->why, "the device takes no data");
	WAIT(b, b->up == 2);
}

static void says_when_there_is_no_bluetooth(void **state)
{
	struct bench *b = *state;
	int fd = socket(31 /* AF_BLUETOOTH */, SOCK_SEQPACKET, 0);
	if (fd >= 0 || errno != EAFNOSUPPORT) {
		close(fd);
		skip();
	}
	snprintf(b->device.address, sizeof(b->device.address), "c0:11:22:33:44:55");
	start(b);
	WAIT(b, streq(state_of(b), "no-bluetooth"));
	assert_in_range(let_pass(b, 500), 0, 2);
	assert_int_equal(log_lines(b->log, "AF_BLUETOOTH"), 1);
	assert_int_equal(log_lines(b->log, "\n"), 1);
	b->t->ops->close(b->t, "nothing to close");
	assert_int_equal(b->down, 0);
}

static void refuses_a_configuration_that_cannot_work(void **state)
{
	struct bench *b = *state;
	const struct transport_events events = {
		on_up, on_stream, on_value, on_down, on_hung_up, on_denied, b};
	struct transport *t = NULL;
	snprintf(b->device.address, sizeof(b->device.address), "C0:11:22:33:44");
	assert_int_equal(ble_new(b->loop, NULL, NULL, &b->device, &driver, &events, &t), -EINVAL);
	snprintf(b->device.address, sizeof(b->device.address), "unix:/%0110d", 1);
	assert_int_equal(
		ble_new(b->loop, NULL, NULL, &b->device, &driver, &events, &t), -ENAMETOOLONG);
	struct vg_channel many[23] = {0};
	const struct vg_driver greedy = {
		.name = "greedy", .channels = many, .n_channels = ELEMENTS(many)};
	snprintf(b->device.address, sizeof(b->device.address), "unix:/nowhere");
	assert_int_equal(ble_new(b->loop, NULL, NULL, &b->device, &greedy, &events, &t), -E2BIG);
	assert_null(t);
	assert_int_equal(log_lines(b->log, "\n"), 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(tells_who_before_what),
		TEST(an_early_indication_waits), TEST(names_what_says_nothing_by_its_address),
		TEST(keeps_what_it_found), TEST(comes_back_from_every_end),
		TEST(waits_for_what_is_absent), TEST(writes_for_the_driver), TEST(the_owner_closes),
		TEST(a_device_that_gives_nothing_is_never_up),
		TEST(a_required_subscription_is_refused), TEST(nonsense_does_no_harm),
		TEST(a_deaf_device_is_dropped), TEST(says_when_there_is_no_bluetooth),
		TEST(refuses_a_configuration_that_cannot_work)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
