/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int link_send(int fd, const struct link_packet *p)
{
	struct link_head head = {.version = LINK_VERSION,
		.type = (uint8_t)p->type,
		.flags = p->flags,
		.tag = p->tag,
		.topic_len = (uint16_t)p->topic_len};
	if (p->topic_len > LINK_TOPIC_MAX || p->len > LINK_PACKET_MAX - sizeof(head) - p->topic_len)
		return -EMSGSIZE;
	struct iovec parts[] = {{&head, sizeof(head)}, {(void *)p->topic, p->topic_len},
		{(void *)p->payload, p->len}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 3};
	ssize_t n;
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int link_receive(int fd, uint8_t *space, struct link_packet *ret_packet)
{
	ssize_t n;
	do
		n = recv(fd, space, LINK_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	struct link_head head;
	if ((size_t)n < sizeof(head) || (size_t)n > LINK_PACKET_MAX)
		return -EBADMSG;
	memcpy(&head, space, sizeof(head));
	if (head.version != LINK_VERSION || head.topic_len > LINK_TOPIC_MAX ||
		sizeof(head) + head.topic_len > (size_t)n)
		return -EBADMSG;
	*ret_packet = (struct link_packet){.type = head.type,
		.flags = head.flags,
		.tag = head.tag,
		.topic = (const char *)space + sizeof(head),
		.topic_len = head.topic_len,
		.payload = space + sizeof(head) + head.topic_len,
		.len = (size_t)n - sizeof(head) - head.topic_len};
	return 1;
}
