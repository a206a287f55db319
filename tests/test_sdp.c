/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The question for a device's serial port: what its answer means, and the conversation over a socket pair
 * whose other end is the device. Bytes are made by hand from the Core Specification, Vol 3, Part B.
 */
#include "sdp.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

/* the meaning of an answer */

static int channel_of(const char *digits)
{
	uint8_t bytes[256];
	size_t len = strlen(digits) / 2;
	assert_true(len <= sizeof(bytes) && unhex(bytes, len, digits));
	return sdp_serial_channel(bytes, len);
}

#define L2CAP "3503190100"
#define STACK5 "350c" L2CAP "35051900030805" /* L2CAP, RFCOMM channel 5 */
#define RECORD5 "3511090004" STACK5	     /* attribute 0x0004: that stack */

static void finds_the_channel(void **state)
{
	(void)state;
	assert_int_equal(channel_of("3513" RECORD5), 5);
	assert_int_equal(channel_of("360013" RECORD5), 5);
	assert_int_equal(channel_of("3700000013" RECORD5), 5);
	/* Other attributes around it: 32 bits, a bool, an empty text. */
	assert_int_equal(
		channel_of("352535230900000a000100010900032801090004" STACK5 "0901002500"), 5);
	/* UUIDs of 32 and of 128 bits. */
	assert_int_equal(channel_of("35153513090004350e" L2CAP "35071a000000030807"), 7);
	assert_int_equal(
		channel_of("3521351f090004351a" L2CAP "35131c0000000300001000800000805f9b34fb081e"),
		30);
	/* Alternatives of stacks: the first that has one. */
	assert_int_equal(channel_of("351c351a0900043d153505" L2CAP STACK5), 5);
	/* A record without RFCOMM before one with. */
	assert_int_equal(channel_of("351f350a0900043505" L2CAP RECORD5), 5);
}

static void tells_what_is_no_serial_port(void **state)
{
	(void)state;
	assert_int_equal(channel_of("3500"), -ENOENT);
	assert_int_equal(channel_of("35023500"), -ENOENT);
	assert_int_equal(channel_of("350735050900043500"), -ENOENT);
	/* Channels 0 and 31, a channel of 16 bits, OBEX (0x0008), another base UUID, another attribute. */
	assert_int_equal(channel_of("35133511090004350c" L2CAP "35051900030800"), -ENOENT);
	assert_int_equal(channel_of("35133511090004350c" L2CAP "3505190003081f"), -ENOENT);
	assert_int_equal(channel_of("35143512090004350d" L2CAP "3506190003090005"), -ENOENT);
	assert_int_equal(channel_of("35133511090004350c" L2CAP "35051900080805"), -ENOENT);
	assert_int_equal(
		channel_of("3521351f090004351a" L2CAP "35131c0000000300001000800000805f9b34fc081e"),
		-ENOENT);
	assert_int_equal(channel_of("3513351109000d" STACK5), -ENOENT);
	assert_int_equal(channel_of(""), -EPROTO);
	assert_int_equal(channel_of("00"), -EPROTO);
	assert_int_equal(channel_of("0805"), -EPROTO);
	assert_int_equal(channel_of("3514" RECORD5), -EPROTO); /* a byte too few */
}

static void no_answer_leads_it_astray(void **state)
{
	(void)state;
	uint8_t good[64], bytes[64];
	const char *digits = "3531351c0900043d173507" L2CAP "2500" STACK5 RECORD5;
	size_t len = strlen(digits) / 2;
	assert_true(unhex(good, len, digits));
	assert_int_equal(sdp_serial_channel(good, len), 5);
	uint32_t dice = 1;
	for (unsigned i = 0; i < 200000; i++) {
		memcpy(bytes, good, len);
		for (unsigned k = i % 4; k; k--) {
			dice = dice * 1664525 + 1013904223;
			bytes[(dice >> 8) % len] = (uint8_t)(dice >> 24);
		}
		uint8_t *exact = malloc(i % len + 1); /* a sanitizer sees one byte too many */
		memcpy(exact, bytes, i % len + 1);
		int channel = sdp_serial_channel(exact, i % len + 1);
		free(exact);
		assert_true(channel == -ENOENT || channel == -EPROTO ||
			    (channel >= 1 && channel <= 30));
	}
	/* A million sequences, one in the other. */
	enum { DEEP = 5000000 };
	_cleanup_(freep) uint8_t *deep = calloc(1, DEEP);
	for (size_t i = 0; i + 5 <= DEEP; i += 5) {
		uint32_t left = (uint32_t)(DEEP - i - 5);
		deep[i] = 0x37;
		for (unsigned k = 0; k < 4; k++)
			deep[i + 1 + k] = (uint8_t)(left >> (24 - 8 * k));
	}
	assert_int_equal(sdp_serial_channel(deep, DEEP), -ENOENT);
}

/* the conversation */

struct bench {
	sd_event *loop;
	int device; /* its end of the socket */
	struct sdp_query *query;
	int answers, channel;
};

static void on_answer(void *arg, int channel)
{
	struct bench *b = arg;
	b->answers++;
	b->channel = channel;
	sdp_query_free(TAKE(b->query));
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ||
		sd_event_new(&b->loop) < 0)
		return -1;
	b->device = pair[1];
	*state = b;
	return sdp_query_new(b->loop, pair[0], on_answer, b, &b->query);
}

static int teardown(void **state)
{
	struct bench *b = *state;
	sdp_query_free(b->query);
	sd_event_unref(b->loop);
	if (b->device >= 0)
		close(b->device);
	free(b);
	return 0;
}

/* The device's next question; its transaction is in bytes 1 and 2. */
static size_t question(struct bench *b, uint8_t *bytes, size_t size)
{
	for (unsigned i = 0; i < 500; i++) {
		ssize_t n = recv(b->device, bytes, size, 0);
		if (n > 0)
			return (size_t)n;
		assert_true(sd_event_run(b->loop, 10000) >= 0);
	}
	fail_msg("it does not ask");
	return 0;
}

/* `digits`: the parameters of a response of kind `kind` to `asked`. */
static void respond(struct bench *b, const uint8_t *asked, uint8_t kind, const char *digits)
{
	uint8_t pdu[256] = {kind, asked[1], asked[2]};
	size_t len = strlen(digits) / 2;
	assert_true(unhex(pdu + 5, len, digits));
	pdu[4] = (uint8_t)len;
	assert_int_equal(send(b->device, pdu, len + 5, 0), len + 5);
}

static void wait_answer(struct bench *b)
{
	for (unsigned i = 0; i < 6000 && !b->answers; i++)
		assert_true(sd_event_run(b->loop, 10000) >= 0);
	for (unsigned i = 0; i < 3; i++)
		assert_true(sd_event_run(b->loop, 1000) >= 0);
	assert_int_equal(b->answers, 1);
}

static void asks_for_the_serial_port_and_its_protocols(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	assert_int_equal(b->answers, 0);
	assert_int_equal(question(b, asked, sizeof(asked)), 18);
	assert_int_equal(asked[0], 0x06); /* Service Search Attribute request */
	assert_int_equal(asked[4], 13);
	assert_memory_equal(asked + 5, ((uint8_t[]){0x35, 3, 0x19, 0x11, 0x01}), 5);
	assert_memory_equal(asked + 12, ((uint8_t[]){0x35, 3, 0x09, 0x00, 0x04, 0}), 6);
	respond(b, asked, 7, "00153513" RECORD5 "00");
	wait_answer(b);
	assert_int_equal(b->channel, 5);
	assert_int_equal(recv(b->device, asked, sizeof(asked), 0), 0); /* it has hung up */
}

static void puts_an_answer_in_parts_together(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	question(b, asked, sizeof(asked));
	respond(b, asked, 7, "000635133511090002a1b2");
	assert_int_equal(question(b, asked, sizeof(asked)), 20);
	assert_memory_equal(asked + 17, ((uint8_t[]){2, 0xa1, 0xb2}), 3);
	respond(b, asked, 7, "000f04" STACK5 "00");
	wait_answer(b);
	assert_int_equal(b->channel, 5);
}

static void says_that_there_is_no_serial_port(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	question(b, asked, sizeof(asked));
	respond(b, asked, 7, "0002350000");
	wait_answer(b);
	assert_int_equal(b->channel, -ENOENT);
}

static void an_error_is_no_channel(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	question(b, asked, sizeof(asked));
	respond(b, asked, 1, "0003");
	wait_answer(b);
	assert_int_equal(b->channel, -EPROTO);
}

static void nonsense_is_no_channel(void **state)
{
	static const struct {
		uint8_t kind;
		const char *digits;
	} odd[] = {{7, ""}, {7, "0015"}, {7, "ffff3513" RECORD5 "00"}, {7, "000000"},
		{3, "000100010001000000"}, {9, "00"}, {7, "00013511"}};
	for (size_t i = 0; i < ELEMENTS(odd); i++) {
		struct bench *b;
		uint8_t asked[64];
		assert_int_equal(setup((void **)&b), 0);
		question(b, asked, sizeof(asked));
		respond(b, asked, odd[i].kind, odd[i].digits);
		wait_answer(b);
		assert_int_equal(b->channel, -EPROTO);
		teardown((void **)&b);
	}
	/* An answer to another question. */
	struct bench *b = *state;
	uint8_t asked[64];
	question(b, asked, sizeof(asked));
	asked[2]++;
	respond(b, asked, 7, "00153513" RECORD5 "00");
	wait_answer(b);
	assert_int_equal(b->channel, -EPROTO);
}

static void an_endless_answer_ends(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	unsigned parts = 0;
	for (; !b->answers && parts < 1000; parts++) {
		question(b, asked, sizeof(asked));
		respond(b, asked, 7, "000235000101");
		assert_true(sd_event_run(b->loop, 100000) >= 0);
	}
	assert_in_range(parts, 2, 100);
	assert_int_equal(b->channel, -EMSGSIZE);
}

static void a_device_that_hangs_up_is_told(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	question(b, asked, sizeof(asked));
	close(b->device);
	b->device = -1;
	wait_answer(b);
	assert_true(b->channel < 0);
	assert_int_not_equal(b->channel, -ENOENT);
}

static void can_be_given_up_at_any_time(void **state)
{
	struct bench *b = *state;
	uint8_t asked[64];
	question(b, asked, sizeof(asked));
	sdp_query_free(TAKE(b->query));
	assert_int_equal(recv(b->device, asked, sizeof(asked), 0), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_true(sd_event_run(b->loop, 1000) >= 0);
	assert_int_equal(b->answers, 0);

	/* Before it has asked. */
	struct bench *other;
	assert_int_equal(setup((void **)&other), 0);
	sdp_query_free(TAKE(other->query));
	assert_int_equal(recv(other->device, asked, sizeof(asked), 0), 0);
	teardown((void **)&other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_channel),
		cmocka_unit_test(tells_what_is_no_serial_port),
		cmocka_unit_test(no_answer_leads_it_astray),
		TEST(asks_for_the_serial_port_and_its_protocols),
		TEST(puts_an_answer_in_parts_together), TEST(says_that_there_is_no_serial_port),
		TEST(an_error_is_no_channel), TEST(nonsense_is_no_channel),
		TEST(an_endless_answer_ends), TEST(a_device_that_hangs_up_is_told),
		TEST(can_be_given_up_at_any_time)};
	signal(SIGPIPE, SIG_IGN); /* an L2CAP socket sends none; this pair would */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
