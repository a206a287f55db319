/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sendq.h"

#include "util.h"

#include <errno.h>

/* How much the descriptor took; -errno. */
static ssize_t push(const struct sendq *q, int fd, const uint8_t *bytes, size_t len)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = q->write(fd, bytes + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int append(struct sendq *q, const uint8_t *bytes, size_t len)
{
	if (!q->bytes) {
		q->bytes = malloc(SENDQ_MAX);
		if (!q->bytes)
			return -ENOMEM;
	}
	if (q->at) {
		memmove(q->bytes, q->bytes + q->at, q->len);
		q->at = 0;
	}
	memcpy(q->bytes + q->len, bytes, len);
	q->len += len;
	return 1;
}

int sendq_send(struct sendq *q, int fd, const void *bytes, size_t len)
{
	if (len > SENDQ_MAX - q->len)
		return -ENOBUFS;
	ssize_t done = q->len ? 0 : push(q, fd, bytes, len);
	if (done < 0)
		return (int)done;
	if ((size_t)done == len)
		return q->len > 0;
	return append(q, (const uint8_t *)bytes + done, len - (size_t)done);
}

int sendq_drain(struct sendq *q, int fd)
{
	ssize_t n = push(q, fd, q->bytes + q->at, q->len);
	if (n < 0)
		return (int)n;
	q->at += (size_t)n;
	q->len -= (size_t)n;
	if (q->len)
		return 1;
	sendq_clear(q);
	return 0;
}

void sendq_clear(struct sendq *q)
{
	free(TAKE(q->bytes));
	q->at = q->len = 0;
}
