/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The core's side of the uplink, with this test in the uplink's place. */
#include "gateway_rig.h"

#include "forward.h"
#include "link.h"
#include "util.h"

#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MANY 7000

static struct rig rig;
static uint8_t space[LINK_PACKET_MAX];

static int64_t after_commit(void *arg, struct db *db, int64_t boot_us)
{
	(void)arg;
	return outbox_after_commit(rig.gateway.outbox, db, boot_us);
}

static void open_rig(const char *yaml)
{
	struct store_hooks hooks = {.after_commit = after_commit};
	struct gateway *g = &rig.gateway;
	rig_open(&rig, yaml);
	outbox_free(g->outbox);
	g->outbox = outbox_new(g, forward_post, g);
	assert_true(sd_event_new(&g->loop) >= 0);
	assert_int_equal(store_new(g->loop, rig.config.store, 256, &hooks, &g->store), 0);
	assert_int_equal(forward_new(g, &g->forward), 0);
	assert_int_equal(store_run(g->store), 0);
}

static int setup(void **state)
{
	(void)state;
	open_rig(RIG_SINK " - {name: second, host: g, window: 200}\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(rig.gateway.store); /* its last answers still use it */
	rig.gateway.store = NULL;
	forward_free(TAKE(rig.gateway.forward));
	rig_close(&rig);
	return 0;
}

#define PATIENCE_US (60 * CLOCK_SECOND_US) /* a busy machine is no failure */

static void turn(void)
{
	assert_true(sd_event_run(rig.gateway.loop, 10000) >= 0);
}

/* So long at least, and until nothing waits. */
static void turns(int64_t us)
{
	int64_t end = clock_boot_us() + us;
	int r;
	do
		assert_true((r = sd_event_run(rig.gateway.loop, 10000)) >= 0);
	while (r > 0 || clock_boot_us() < end);
}

static int uplink(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/uplink.sock", rig.dir);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	turn();
	return fd;
}

static void tell(int fd, enum link_type type, uint32_t tag, const char *topic, const char *payload)
{
	struct link_packet p = {.type = type,
		.tag = tag,
		.topic = topic,
		.topic_len = strlen(topic),
		.payload = (const uint8_t *)payload,
		.len = strlen(payload)};
	int rc;
	while ((rc = link_send(fd, &p)) == -EAGAIN)
		turn();
	assert_int_equal(rc, 0);
}

/* Connected, named, with a broker. */
static int ready(const char *sink)
{
	int fd = uplink();
	tell(fd, LINK_HELLO, 0, sink, "");
	tell(fd, LINK_UP, 0, "", "");
	return fd;
}

/* The next packet within `us`: false when there is none, or the link has ended. */
static bool hear(int fd, int64_t us, struct link_packet *ret)
{
	for (int64_t end = clock_boot_us() + us; clock_boot_us() < end;) {
		int rc = link_receive(fd, space, ret);
		if (rc == 1)
			return true;
		if (rc == 0)
			return false;
		turn();
	}
	return false;
}

static bool ended(int fd)
{
	struct link_packet p;
	for (int i = 0; i < 200; i++) {
		int rc = link_receive(fd, space, &p);
		if (rc == 0 || rc == -ECONNRESET)
			return true;
		turn();
	}
	return false;
}

static void file_reading(int sys)
{
	rig_bp(&rig, (struct rig_bp){sys, 80, 70, .identity = NULL});
	store_poke(rig.gateway.store);
}

static const char *state_of(const char *sink, char *out, size_t size)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	forward_json(rig.gateway.forward, &j);
	json_object_end(&j);
	json_t *root = json_loads(json_text(&j), JSON_REJECT_DUPLICATES, NULL);
	const json_t *all = json_object_get(root, "uplink");
	snprintf(out, size, "%s",
		json_string_value(json_object_get(json_object_get(all, sink), "state")));
	json_decref(root);
	json_free(&j);
	return out;
}

/* Runs the loop until `sql` (a literal) says `n`. */
#define UNTIL(sql, n)                                                       \
	do {                                                                \
		int64_t end_ = clock_boot_us() + PATIENCE_US;               \
		while (rig_int(&rig, sql) != (n) && clock_boot_us() < end_) \
			turn();                                             \
		assert_int_equal(rig_int(&rig, sql), n);                    \
	} while (0)

static void wait_count(int64_t expected)
{
	UNTIL("SELECT count(*) FROM outbox WHERE sink=0", expected);
}

static void wait_sent(int64_t expected)
{
	UNTIL("SELECT count(*) FROM outbox WHERE sink=0 AND state=1", expected);
}

/* A receipt for the reading or alert that a message carries; the only one. */
static void give_receipt(int fd, const struct link_packet *p, const char *result)
{
	char text[256];
	const char *id = strstr((const char *)p->payload, "\"id\":\"");
	assert_non_null(id);
	snprintf(text, sizeof(text),
		"{\"receipts\":[{\"id\":\"%.32s\",\"revision\":1,\"result\":\"%s\"}]}", id + 6,
		result);
	tell(fd, LINK_MESSAGE, 0, "down/ack", text);
}

static void test_life_of_a_row(void **state)
{
	(void)state;
	char text[32];
	struct link_packet p;
	file_reading(120);
	assert_string_equal(state_of("platform", text, sizeof(text)), "no_process");
	int fd = uplink();
	tell(fd, LINK_HELLO, 0, "platform", "");
	turns(30000);
	assert_string_equal(state_of("platform", text, sizeof(text)), "no_broker");
	assert_false(hear(fd, 50000, &p)); /* nothing without a broker */
	tell(fd, LINK_UP, 0, "", "");
	assert_true(hear(fd, PATIENCE_US, &p));
	assert_string_equal(state_of("platform", text, sizeof(text)), "connected");
	assert_int_equal(p.type, LINK_PUBLISH);
	assert_int_equal(p.topic_len, strlen("up/reading"));
	assert_memory_equal(p.topic, "up/reading", p.topic_len);
	tell(fd, LINK_SENT, p.tag, "", "");
	wait_sent(1);
	give_receipt(fd, &p, "accepted");
	wait_count(0);
	assert_string_equal(state_of("second", text, sizeof(text)), "no_process");
	close(fd);
}

static void test_wrong_hello(void **state)
{
	(void)state;
	struct link_packet p;
	file_reading(120);
	static const char *const names[] = {"", "platfor", "platform2", "PLATFORM", "second\n"};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		int fd = uplink();
		tell(fd, LINK_HELLO, 0, names[i], "");
		assert_true(ended(fd));
		close(fd);
	}
	int fd = uplink(); /* something else first */
	tell(fd, LINK_UP, 0, "platform", "");
	assert_true(ended(fd));
	close(fd);
	fd = ready("platform");
	assert_true(hear(fd, PATIENCE_US, &p));
	close(fd);
}

/* Those that connect and say nothing do not keep the real one out. */
static void test_silent_guests(void **state)
{
	(void)state;
	int silent[8];
	struct link_packet p;
	for (size_t i = 0; i < ELEMENTS(silent); i++)
		silent[i] = uplink();
	file_reading(120);
	int fd = ready("platform");
	assert_true(hear(fd, PATIENCE_US, &p));
	close(fd);
	for (size_t i = 0; i < ELEMENTS(silent); i++)
		close(silent[i]);
}

static void test_replaced(void **state)
{
	(void)state;
	struct link_packet p;
	file_reading(120);
	int old = ready("platform");
	assert_true(hear(old, 2 * CLOCK_SECOND_US, &p));
	uint32_t tag = p.tag;
	int fd = ready("platform");
	assert_true(ended(old));
	assert_true(hear(fd, PATIENCE_US, &p)); /* what was not sent is given again */
	assert_int_not_equal(p.tag, tag);
	tell(fd, LINK_SENT, p.tag, "", "");
	wait_sent(1);
	close(old);
	close(fd);
}

static void test_broker_lost(void **state)
{
	(void)state;
	char text[32];
	struct link_packet p;
	file_reading(120);
	int fd = ready("platform");
	assert_true(hear(fd, PATIENCE_US, &p));
	tell(fd, LINK_DOWN, 0, "", "connection lost");
	turns(50000);
	assert_string_equal(state_of("platform", text, sizeof(text)), "no_broker");
	file_reading(190);
	assert_false(hear(fd, 100000, &p));
	tell(fd, LINK_UP, 0, "", "");
	assert_true(hear(fd, PATIENCE_US, &p));
	assert_memory_equal(p.topic, "up/alert", p.topic_len);
	close(fd);
	turns(50000);
	assert_string_equal(state_of("platform", text, sizeof(text)), "no_process");
}

static void test_refused(void **state)
{
	(void)state;
	struct link_packet p;
	file_reading(120);
	int fd = ready("platform");
	assert_true(hear(fd, PATIENCE_US, &p));
	tell(fd, LINK_FAILED, p.tag, "", "not authorised");
	/* again after a pause, by itself */
	assert_false(hear(fd, CLOCK_SECOND_US, &p));
	assert_true(hear(fd, PATIENCE_US, &p));
	char reason[64];
	rig_text(&rig, reason, sizeof(reason), "SELECT reason FROM outbox WHERE sink=0");
	assert_string_equal(reason, "not authorised");
	tell(fd, LINK_SENT, p.tag, "", "");
	wait_sent(1);
	close(fd);
}

/* An uplink that does not read: the socket fills, nothing is lost, nobody else waits. */
static void test_full_socket(void **state)
{
	(void)state;
	struct link_packet p;
	rig_script(&rig, "BEGIN");
	for (int i = 0; i < MANY; i++) {
		struct unit *u = rig_unit(&rig);
		rig_add(&rig, u, &(struct rig_bp){120, 80, 70, .identity = NULL});
		assert_int_equal(intake_unit(&rig.gateway, rig.db, u), 0);
		unit_free(u);
	}
	rig_script(&rig, "COMMIT");
	int slow = ready(
		"second"); /* window 20: some 16 messages of 60 kB, more than the socket takes */
	turns(300000);
	int quick = ready("platform");
	assert_true(hear(quick, PATIENCE_US, &p));
	close(quick);
	size_t bytes = 0;
	unsigned messages = 0;
	for (int64_t end = clock_boot_us() + PATIENCE_US;
		rig_int(&rig, "SELECT count(*) FROM outbox WHERE sink=1 AND state=1") < MANY &&
		clock_boot_us() < end;) {
		if (!hear(slow, CLOCK_SECOND_US / 2, &p))
			continue;
		messages++;
		bytes += p.len;
		tell(slow, LINK_SENT, p.tag, "", "");
	}
	UNTIL("SELECT count(*) FROM outbox WHERE sink=1 AND state=1 AND tries=1", MANY);
	assert_true(messages >= MANY / OUTBOX_PACK_ROWS && bytes > 5000000);
	close(slow);
}

/* A thousand PUBACKs in one go, known tags and unknown ones. */
static void test_many_pubacks(void **state)
{
	(void)state;
	struct link_packet p;
	file_reading(120);
	int fd = ready("platform");
	assert_true(hear(fd, PATIENCE_US, &p));
	uint32_t tag = p.tag;
	for (uint32_t i = 0; i < 1000; i++)
		tell(fd, LINK_SENT, i == 500 ? tag : 100000 + i, "", "");
	wait_sent(1);
	close(fd);
}

static void test_malformed_packets(void **state)
{
	(void)state;
	uint8_t noise[512];
	struct link_packet p;
	file_reading(120);
	int fd = ready("platform");
	assert_true(hear(fd, PATIENCE_US, &p));
	uint32_t tag = p.tag;
	srandom(20261121);
	for (int i = 0; i < 2000; i++) {
		size_t n = 1 + (size_t)random() % sizeof(noise);
		for (size_t k = 0; k < n; k++)
			noise[k] = (uint8_t)random();
		if (i % 2) { /* our version, a type that means no end of the connection */
			noise[0] = LINK_VERSION;
			noise[1] = (uint8_t)(i % 4 == 1 ? LINK_MESSAGE : 100 + i % 50);
		}
		while (send(fd, noise, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			assert_int_equal(errno, EAGAIN);
			turn();
		}
	}
	tell(fd, LINK_MESSAGE, 0, "down/cmd", "{{{{");
	tell(fd, LINK_MESSAGE, 0, "down/ack", "\xff\xff");
	tell(fd, LINK_MESSAGE, 0, "down/other", "x");
	tell(fd, LINK_SENT, tag, "", "");
	wait_sent(1);
	close(fd);
}

/* A command of the platform: its reply goes back by the same way, and a repeated one acts once. */
static void test_command(void **state)
{
	(void)state;
	static const char order[] =
		"{\"v\":1,\"id\":\"p-7\",\"cmd\":\"bind\",\"by\":\"D-0001\",\"args\":"
		"{\"device\":\"cuff-1\",\"resident\":\"R-0001\"}}";
	char replies[2][512] = {"", ""};
	struct link_packet p;
	rig_residents(&rig);
	int fd = ready("platform");
	for (int i = 0; i < 2; i++) {
		tell(fd, LINK_MESSAGE, 0, "down/cmd", order);
		assert_true(hear(fd, PATIENCE_US, &p));
		assert_memory_equal(p.topic, "up/reply", p.topic_len);
		assert_int_equal(p.tag, 0);
		snprintf(replies[i], sizeof(replies[i]), "%.*s", (int)p.len,
			(const char *)p.payload);
	}
	assert_non_null(strstr(replies[0], "\"ok\":true"));
	assert_string_equal(replies[0], replies[1]);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM binding"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM audit"), 1);
	tell(fd, LINK_MESSAGE, 0, "down/cmd", "{\"cmd\":\"status\"}");
	assert_true(hear(fd, PATIENCE_US, &p));
	assert_non_null(memmem(p.payload, p.len, "id_missing", 10));
	close(fd);
}

/* What is too long for a packet must not keep a slot of the window for ever. */
static void test_too_long(void **state)
{
	(void)state;
	struct link_packet p;
	for (int i = 0; i < 6; i++) {
		rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = NULL});
		rig_script(&rig,
			"UPDATE reading SET body='{\"x\":\"'||replace(hex(zeroblob(90000)),'00','y ')||'\"}'"
			" WHERE id=(SELECT max(id) FROM reading)");
	}
	int fd = ready("platform");
	UNTIL("SELECT count(*) FROM outbox WHERE sink=0 AND tries>0 AND reason LIKE '%too long%'",
		6);
	file_reading(121);
	assert_true(hear(fd, PATIENCE_US, &p));
	close(fd);
}

static void test_end_in_the_middle(void **state)
{
	(void)state;
	int fd = ready("platform");
	for (int i = 0; i < 50; i++)
		file_reading(120 + i % 20);
	turn();
	tell(fd, LINK_MESSAGE, 0, "down/cmd", "{\"cmd\":\"status\",\"id\":\"1\"}");
	turn(); /* the teardown frees what is on its way */
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_life_of_a_row),
		T(test_wrong_hello),
		T(test_silent_guests),
		T(test_replaced),
		T(test_broker_lost),
		T(test_refused),
		T(test_full_socket),
		T(test_many_pubacks),
		T(test_malformed_packets),
		T(test_command),
		T(test_too_long),
		T(test_end_in_the_middle),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
