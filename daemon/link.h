/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seam between core and uplink: packets on a SOCK_SEQPACKET unix socket. The core listens, the
 * uplink connects and says who it is. The uplink keeps nothing: whatever it did not report as sent is
 * handed to it again, to this process or to the next.
 *
 * packet: struct link_head | topic (topic_len bytes, no NUL) | payload (the rest)
 * Topics are given without the base "vg/v1/<org>/<site>/<gateway>/", which the uplink adds and strips.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LINK_VERSION 1
#define LINK_PACKET_MAX \
	(160 * 1024) /* below the default socket buffer; larger objects go in chunks */
#define LINK_TOPIC_MAX 64

enum link_type {
	/* core -> uplink */
	LINK_PUBLISH =
		1, /* tag, flags, topic, payload: publish with QoS 1, answer SENT or FAILED */
	/* uplink -> core */
	LINK_HELLO, /* topic = name of the sink */
	LINK_UP,    /* connected to the broker and subscribed */
	LINK_DOWN, /* connection lost; everything not SENT is to be given again; payload = reason */
	LINK_SENT, /* tag: the broker's PUBACK */
	LINK_FAILED,  /* tag: the broker or the library refused it; payload = reason */
	LINK_MESSAGE, /* topic ("down/cmd", "down/ack") and payload from the platform */
};

enum { LINK_RETAIN = 1 };

struct link_head {
	uint8_t version;
	uint8_t type;
	uint8_t flags;
	uint8_t reserved;
	uint32_t tag;
	uint16_t topic_len;
	uint16_t reserved2;
};

struct link_packet {
	enum link_type type;
	uint8_t flags;
	uint32_t tag;
	const char *topic;
	size_t topic_len;
	const uint8_t *payload;
	size_t len;
};

/* 0; -EAGAIN: the socket is full, wait for POLLOUT; -EMSGSIZE; other -errno: the link is gone. */
int link_send(int fd, const struct link_packet *p);
/* Reads one packet into `space` (LINK_PACKET_MAX bytes). 1; 0 peer closed; -EAGAIN nothing there;
 * -EBADMSG not one of ours (count and go on). The packet borrows `space`. */
int link_receive(int fd, uint8_t *space, struct link_packet *ret_packet);
