/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bench's lower bound for BLE notifications: one thread that takes what the meters (meters.c) send and notes
 * when it came. It looks for nothing first, decodes nothing and keeps nothing.
 *
 *   meters_floor SOCKET...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PDU_MAX 517
#define STAMPS 4096 /* a ring */

static struct timespec stamps[STAMPS];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A link whose measurements are switched on: Write Request, handle 0x0023 as meters.c has it, notifications. */
static int meter_connect(const char *path)
{
	static const uint8_t on[] = {0x12, 0x23, 0x00, 0x01, 0x00};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	uint8_t answer[PDU_MAX];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		send(fd, on, sizeof(on), 0) < 0 || recv(fd, answer, sizeof(answer), 0) != 1)
		die(path);
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	unsigned at = 0;
	int epoll = epoll_create1(0);
	for (int i = 1; i < argc; i++) {
		struct epoll_event watch = {.events = EPOLLIN, .data.fd = meter_connect(argv[i])};
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, watch.data.fd, &watch) < 0)
			die("epoll");
	}
	for (;;) {
		int ready = epoll_wait(epoll, events, sizeof(events) / sizeof(events[0]), -1);
		for (int i = 0; i < ready; i++) {
			uint8_t pdu[PDU_MAX];
			if (recv(events[i].data.fd, pdu, sizeof(pdu), 0) <= 0)
				return 0;
			clock_gettime(CLOCK_BOOTTIME, &stamps[at++ % STAMPS]);
		}
	}
}
