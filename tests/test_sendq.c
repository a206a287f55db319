/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue in front of a slow descriptor, against a descriptor that is played here. */
#include "sendq.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

static struct {
	size_t room;  /* bytes that it still takes */
	size_t piece; /* at once; 0: as many as there are */
	int error;    /* in place of taking anything */
	bool interrupted;
	char got[4 * SENDQ_MAX];
	size_t len;
} fake;

static ssize_t fake_write(int fd, const void *bytes, size_t len)
{
	assert_int_equal(fd, 7);
	errno = fake.error;
	if (fake.error)
		return -1;
	fake.interrupted = !fake.interrupted;
	errno = fake.interrupted ? EINTR : EAGAIN;
	size_t n = MIN(len, fake.room);
	if (fake.piece)
		n = MIN(n, fake.piece);
	if (fake.interrupted || !n)
		return -1;
	memcpy(fake.got + fake.len, bytes, n);
	fake.len += n;
	fake.room -= n;
	return (ssize_t)n;
}

static int setup(void **state)
{
	static struct sendq q;
	memset(&fake, 0, sizeof(fake));
	q = (struct sendq){.write = fake_write};
	*state = &q;
	return 0;
}

static void what_it_takes_at_once_needs_no_memory(void **state)
{
	struct sendq *q = *state;
	fake.room = 100;
	fake.piece = 3;
	assert_int_equal(sendq_send(q, 7, "hello world", 11), 0);
	assert_int_equal(fake.len, 11);
	assert_memory_equal(fake.got, "hello world", 11);
	assert_null(q->bytes);
	assert_int_equal(sendq_send(q, 7, "", 0), 0);
	assert_null(q->bytes);
}

static void what_it_does_not_take_waits_in_order(void **state)
{
	struct sendq *q = *state;
	fake.room = 4;
	assert_int_equal(sendq_send(q, 7, "abcdefgh", 8), 1);
	fake.room = 100; /* what waits goes first, although there is room */
	assert_int_equal(sendq_send(q, 7, "ijkl", 4), 1);
	assert_int_equal(fake.len, 4);
	fake.room = 2;
	assert_int_equal(sendq_drain(q, 7), 1);
	assert_int_equal(sendq_send(q, 7, "mn", 2), 1);
	fake.room = 100;
	assert_int_equal(sendq_drain(q, 7), 0);
	assert_int_equal(fake.len, 14);
	assert_memory_equal(fake.got, "abcdefghijklmn", 14);
	assert_null(q->bytes);
	assert_int_equal(q->len, 0);
	assert_int_equal(sendq_drain(q, 7), 0);
}

static void too_much_is_refused_whole(void **state)
{
	struct sendq *q = *state;
	static char most[SENDQ_MAX + 1];
	assert_int_equal(sendq_send(q, 7, most, SENDQ_MAX + 1), -ENOBUFS);
	assert_int_equal(fake.len, 0);
	assert_int_equal(sendq_send(q, 7, most, SENDQ_MAX), 1);
	assert_int_equal(sendq_send(q, 7, "x", 1), -ENOBUFS);
	/* Room at the front is used again. */
	fake.room = 10;
	assert_int_equal(sendq_drain(q, 7), 1);
	assert_int_equal(sendq_send(q, 7, "0123456789", 10), 1);
	assert_int_equal(sendq_send(q, 7, "x", 1), -ENOBUFS);
	fake.room = 2 * SENDQ_MAX;
	assert_int_equal(sendq_drain(q, 7), 0);
	assert_int_equal(fake.len, SENDQ_MAX + 10);
	assert_memory_equal(fake.got + SENDQ_MAX, "0123456789", 10);
}

static void an_error_is_told(void **state)
{
	struct sendq *q = *state;
	fake.error = EIO;
	assert_int_equal(sendq_send(q, 7, "abc", 3), -EIO);
	assert_null(q->bytes);
	fake.error = 0;
	assert_int_equal(sendq_send(q, 7, "abc", 3), 1);
	fake.error = ENOTCONN;
	assert_int_equal(sendq_drain(q, 7), -ENOTCONN);
	sendq_clear(q);
	assert_null(q->bytes);
	assert_int_equal(q->len, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {TEST(what_it_takes_at_once_needs_no_memory),
		TEST(what_it_does_not_take_waits_in_order), TEST(too_much_is_refused_whole),
		TEST(an_error_is_told)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
