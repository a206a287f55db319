/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes that wait for a file descriptor which is slower than we are: a serial line, an RFCOMM socket. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SENDQ_MAX (128 * 1024) /* bytes that may wait */

struct sendq {
	/* write(2), or what stands in for it; it must not block. */
	ssize_t (*write)(int fd, const void *bytes, size_t len);
	/* Owned; allocated only while something waits. */
	uint8_t *bytes;
	size_t at, len;
};

/* All of `bytes` or nothing of it. 0 the kernel has it; 1 some of it waits: call sendq_drain() when `fd` is
 * writable; -ENOBUFS too much waits already; other -errno: the descriptor is of no use any more. */
int sendq_send(struct sendq *q, int fd, const void *bytes, size_t len);
int sendq_drain(struct sendq *q, int fd); /* 0 nothing waits; 1 something does; -errno */
void sendq_clear(struct sendq *q);	  /* forgets what waits */
