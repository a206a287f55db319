/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The seam between core and uplink: packets as sent, packets from somebody who does not know the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>

#include "link.h"
#include "util.h"

static int ends[2];
static uint8_t *space; /* of its exact size, so that a byte too far is seen */

static int pair(void **state)
{
	(void)state;
	space = malloc(LINK_PACKET_MAX);
	return space ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) : -1;
}

static int unpair(void **state)
{
	(void)state;
	free(TAKE(space));
	close(ends[0]);
	return close(ends[1]);
}

static void raw(const void *bytes, size_t len)
{
	assert_int_equal(send(ends[0], bytes, len, 0), len);
}

static void test_round_trip(void **state)
{
	(void)state;
	static const uint8_t payload[] = {0, 1, 2, 255};
	const struct link_packet out = {.type = LINK_PUBLISH,
		.flags = LINK_RETAIN,
		.tag = 0xdeadbeef,
		.topic = "up/reading",
		.topic_len = 10,
		.payload = payload,
		.len = sizeof(payload)};
	assert_int_equal(link_send(ends[0], &out), 0);
	struct link_packet in;
	assert_int_equal(link_receive(ends[1], space, &in), 1);
	assert_int_equal(in.type, LINK_PUBLISH);
	assert_int_equal(in.flags, LINK_RETAIN);
	assert_int_equal(in.tag, 0xdeadbeef);
	assert_int_equal(in.topic_len, 10);
	assert_memory_equal(in.topic, "up/reading", 10);
	assert_int_equal(in.len, sizeof(payload));
	assert_memory_equal(in.payload, payload, sizeof(payload));
	assert_int_equal(link_receive(ends[1], space, &in), -EAGAIN);

	assert_int_equal(link_send(ends[0], &(struct link_packet){.type = LINK_UP}), 0);
	assert_int_equal(link_receive(ends[1], space, &in), 1);
	assert_int_equal(in.type, LINK_UP);
	assert_int_equal(in.topic_len + in.len, 0);
}

/* Two packets are two packets, in order. */
static void test_order(void **state)
{
	(void)state;
	struct link_packet in;
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(
			link_send(ends[0], &(struct link_packet){.type = LINK_SENT, .tag = i}), 0);
	for (uint32_t i = 0; i < 50; i++) {
		assert_int_equal(link_receive(ends[1], space, &in), 1);
		assert_int_equal(in.tag, i);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	char topic[LINK_TOPIC_MAX + 1];
	memset(topic, 't', sizeof(topic));
	_cleanup_(freep) uint8_t *payload = calloc(1, LINK_PACKET_MAX);
	struct link_packet p = {.type = LINK_PUBLISH, .topic = topic, .topic_len = LINK_TOPIC_MAX};
	struct link_packet in;
	p.payload = payload;
	p.len = LINK_PACKET_MAX - sizeof(struct link_head) - LINK_TOPIC_MAX;
	assert_int_equal(link_send(ends[0], &p), 0); /* the largest that there is */
	assert_int_equal(link_receive(ends[1], space, &in), 1);
	assert_int_equal(in.len, p.len);
	assert_int_equal(in.topic_len, LINK_TOPIC_MAX);
	p.len++;
	assert_int_equal(link_send(ends[0], &p), -EMSGSIZE);
	p.len = SIZE_MAX - 4; /* no sum may wrap */
	assert_int_equal(link_send(ends[0], &p), -EMSGSIZE);
	p.len = 0;
	p.topic_len = LINK_TOPIC_MAX + 1;
	assert_int_equal(link_send(ends[0], &p), -EMSGSIZE);
	assert_int_equal(link_receive(ends[1], space, &in), -EAGAIN); /* nothing went out */
}

/* A packet that is not ours is told apart; the next good one is read. */
static void test_malformed(void **state)
{
	(void)state;
	struct link_packet in = {.tag = 77};
	struct link_head h = {.version = LINK_VERSION, .type = LINK_UP};
	uint8_t bytes[sizeof(h) + LINK_TOPIC_MAX + 8] = {0};

	for (size_t n = 1; n < sizeof(h); n++) { /* too short for a head */
		raw(&h, n);
		assert_int_equal(link_receive(ends[1], space, &in), -EBADMSG);
	}
	for (unsigned v = 0; v < 256; v++) { /* another version */
		h.version = (uint8_t)v;
		raw(&h, sizeof(h));
		assert_int_equal(
			link_receive(ends[1], space, &in), v == LINK_VERSION ? 1 : -EBADMSG);
	}
	in.tag = 77;
	h.version = LINK_VERSION;
	h.topic_len = 1; /* a topic that is not there */
	raw(&h, sizeof(h));
	assert_int_equal(link_receive(ends[1], space, &in), -EBADMSG);
	h.topic_len = UINT16_MAX;
	raw(&h, sizeof(h));
	assert_int_equal(link_receive(ends[1], space, &in), -EBADMSG);
	h.topic_len = LINK_TOPIC_MAX + 1; /* there, but longer than any topic */
	memcpy(bytes, &h, sizeof(h));
	raw(bytes, sizeof(h) + LINK_TOPIC_MAX + 1);
	assert_int_equal(link_receive(ends[1], space, &in), -EBADMSG);
	assert_int_equal(in.tag, 77); /* written only when it is one */

	/* longer than what we read: cut by the kernel, never taken for whole */
	_cleanup_(freep) uint8_t *large = calloc(1, LINK_PACKET_MAX + 1);
	h.topic_len = 0;
	memcpy(large, &h, sizeof(h));
	raw(large, LINK_PACKET_MAX + 1);
	assert_int_equal(link_receive(ends[1], space, &in), -EBADMSG);

	assert_int_equal(link_send(ends[0], &(struct link_packet){.type = LINK_SENT, .tag = 5}), 0);
	assert_int_equal(link_receive(ends[1], space, &in), 1);
	assert_int_equal(in.tag, 5);
}

/* Random bytes: an answer, and never a pointer outside of what came. */
static void test_random(void **state)
{
	(void)state;
	uint64_t seed = 20261121;
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[96];
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		size_t len = 1 + (seed >> 33) % sizeof(bytes);
		for (size_t k = 0; k < len; k++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			bytes[k] = (uint8_t)(seed >> 40);
		}
		if (i % 4) {
			bytes[0] = LINK_VERSION;
			if (len > 9)
				bytes[9] = 0;
		}
		raw(bytes, len);
		struct link_packet in;
		int rc = link_receive(ends[1], space, &in);
		assert_true(rc == 1 || rc == -EBADMSG);
		if (rc == 1)
			assert_int_equal(sizeof(struct link_head) + in.topic_len + in.len, len);
	}
}

static void test_full(void **state)
{
	(void)state;
	_cleanup_(freep) uint8_t *payload = calloc(1, 32768);
	struct link_packet p = {.type = LINK_PUBLISH, .payload = payload, .len = 32768}, in;
	int rc, n = 0;
	while ((rc = link_send(ends[0], &p)) == 0 && n < 10000)
		n++;
	assert_int_equal(rc, -EAGAIN);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) /* none lost, none in pieces */
		assert_int_equal(link_receive(ends[1], space, &in), 1);
	assert_int_equal(link_receive(ends[1], space, &in), -EAGAIN);
	assert_int_equal(link_send(ends[0], &p), 0);
}

static void test_gone(void **state)
{
	(void)state;
	struct link_packet p = {.type = LINK_SENT, .tag = 1}, in;
	assert_int_equal(link_send(ends[0], &p), 0);
	close(ends[0]);
	assert_int_equal(link_receive(ends[1], space, &in), 1); /* what was said before is heard */
	assert_int_equal(link_receive(ends[1], space, &in), 0);
	assert_int_equal(link_send(ends[1], &p), -EPIPE); /* and no SIGPIPE */
	ends[0] = dup(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, pair, unpair),
		cmocka_unit_test_setup_teardown(test_order, pair, unpair),
		cmocka_unit_test_setup_teardown(test_sizes, pair, unpair),
		cmocka_unit_test_setup_teardown(test_malformed, pair, unpair),
		cmocka_unit_test_setup_teardown(test_random, pair, unpair),
		cmocka_unit_test_setup_teardown(test_full, pair, unpair),
		cmocka_unit_test_setup_teardown(test_gone, pair, unpair),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
