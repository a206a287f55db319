/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sdp.h"

#include "util.h"

#include <bluetooth/l2cap.h>
#include <bluetooth/rfcomm.h>
#include <bluetooth/sdp.h>
#include <bluetooth/sdp_lib.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <vitalgate/buf.h>

#define SDP_QUERY_US 20000000 /* a page takes 5 s; what is left is for a slow device */
#define SDP_ACCURACY_US 100000
#define SDP_PACKETS_MAX 32 /* of one answer; a serial port's descriptor list fits into the first */

struct sdp_query {
	sd_event_source *io, *timer;
	int fd;
	sdp_session_t *session; /* owns fd once it is there */
	unsigned packets;
	int result; /* 0: none yet */
	sdp_answer *answer;
	void *arg;
};

/* the answer's bytes */

/* One data element (3.3): its type and what it holds. */
struct element {
	uint8_t type; /* upper five bits of the descriptor */
	struct buf body;
};
enum { TYPE_UINT = 1, TYPE_UUID = 3, TYPE_SEQUENCE = 6, TYPE_ALTERNATIVE = 7 };

/* False: nothing is left, or (`b` failed) what is left is no element. */
static bool next(struct buf *b, struct element *ret)
{
	if (b->failed || !buf_left(b))
		return false;
	uint8_t head = buf_u8(b), index = head & 7;
	size_t len = (size_t)1 << index;
	ret->type = head >> 3;
	if (index == 5)
		len = buf_u8(b);
	else if (index == 6)
		len = buf_be16(b);
	else if (index == 7)
		len = (size_t)buf_be16(b) << 16 | buf_be16(b);
	else if (ret->type == 0)
		len = 0; /* nil */
	const uint8_t *body = buf_bytes(b, len);
	ret->body = body ? buf_of(body, len) : (struct buf){0};
	return !b->failed;
}

static bool next_sequence(struct buf *b, struct element *ret)
{
	while (next(b, ret))
		if (ret->type == TYPE_SEQUENCE)
			return true;
	return false;
}

static bool is_uuid16(struct element e, uint16_t uuid)
{
	/* The Bluetooth base UUID, 00000000-0000-1000-8000-00805f9b34fb, behind its first 32 bits. */
	static const uint8_t base[12] = {0, 0, 0x10, 0, 0x80, 0, 0, 0x80, 0x5f, 0x9b, 0x34, 0xfb};
	size_t len = buf_left(&e.body);
	if (e.type != TYPE_UUID || (len != 2 && len != 4 && len != 16))
		return false;
	if (len > 2 && buf_be16(&e.body) != 0)
		return false;
	if (buf_be16(&e.body) != uuid)
		return false;
	return len < 16 || memcmp(e.body.at, base, sizeof(base)) == 0;
}

/* In one stack of protocols: ((L2CAP) (RFCOMM channel) ..). 0: not there. */
static int channel_of_stack(struct buf stack)
{
	struct element protocol, name, port;
	while (next_sequence(&stack, &protocol)) {
		if (!next(&protocol.body, &name) || !is_uuid16(name, RFCOMM_UUID) ||
			!next(&protocol.body, &port))
			continue;
		if (port.type != TYPE_UINT || buf_left(&port.body) != 1)
			continue;
		uint8_t channel = buf_u8(&port.body);
		if (channel >= 1 && channel <= 30)
			return channel;
	}
	return 0;
}

/* A ProtocolDescriptorList is a stack, or alternatives of stacks. */
static int channel_of_list(struct element list)
{
	struct element stack;
	if (list.type == TYPE_SEQUENCE)
		return channel_of_stack(list.body);
	if (list.type != TYPE_ALTERNATIVE)
		return 0;
	while (next_sequence(&list.body, &stack)) {
		int channel = channel_of_stack(stack.body);
		if (channel)
			return channel;
	}
	return 0;
}

static int channel_of_record(struct buf record)
{
	struct element id, value;
	while (next(&record, &id) && next(&record, &value))
		if (id.type == TYPE_UINT && buf_left(&id.body) == 2 &&
			buf_be16(&id.body) == SDP_ATTR_PROTO_DESC_LIST)
			return channel_of_list(value);
	return 0;
}

int sdp_serial_channel(const void *lists, size_t len)
{
	struct buf b = buf_of(lists, len);
	struct element all, record;
	if (!next(&b, &all) || all.type != TYPE_SEQUENCE)
		return -EPROTO;
	while (next_sequence(&all.body, &record)) {
		int channel = channel_of_record(record.body);
		if (channel)
			return channel;
	}
	return all.body.failed ? -EPROTO : -ENOENT;
}

/* the conversation */

int sdp_socket(const bdaddr_t *adapter, const bdaddr_t *device)
{
	_cleanup_(closep) int fd =
		socket(AF_BLUETOOTH, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, BTPROTO_L2CAP);
	if (fd < 0)
		return -errno;
	struct sockaddr_l2 a = {.l2_family = AF_BLUETOOTH, .l2_bdaddr = *adapter};
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	a.l2_bdaddr = *device;
	a.l2_psm = htobs(SDP_PSM);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		return -errno;
	int r = fd;
	fd = -1;
	return r;
}

/* libbluetooth calls this when the answer is complete, and not from its own request. */
static void on_answer(uint8_t type, uint16_t status, uint8_t *bytes, size_t len, void *arg)
{
	struct sdp_query *q = arg;
	if (type == SDP_SVC_SEARCH_ATTR_RSP && status == 0)
		q->result = sdp_serial_channel(bytes, len);
	else if (status == 0xffff && sdp_get_error(q->session) > 0)
		q->result = -sdp_get_error(q->session); /* of the socket, or -EPROTO */
	else
		q->result = -EPROTO;
}

static int ask(struct sdp_query *q)
{
	uint16_t wanted = SDP_ATTR_PROTO_DESC_LIST;
	uuid_t class;
	sdp_uuid16_create(&class, SERIAL_PORT_SVCLASS_ID);
	sdp_list_t *pattern = sdp_list_append(NULL, &class);
	sdp_list_t *attributes = sdp_list_append(NULL, &wanted);
	int r = pattern && attributes ? sdp_service_search_attr_async(q->session, pattern,
						SDP_ATTR_REQ_INDIVIDUAL, attributes)
				      : -1;
	sdp_list_free(pattern, NULL);
	sdp_list_free(attributes, NULL);
	return r < 0 ? -EIO : 0;
}

/* The socket became writable: the connect is over. */
static int begin(struct sdp_query *q)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	if (error)
		return -error;
	q->session = sdp_create(q->fd, SDP_NON_BLOCKING);
	if (!q->session)
		return -ENOMEM;
	q->fd = -1;
	int r = sdp_set_notify(q->session, on_answer, q) < 0 ? -ENOMEM : ask(q);
	return r < 0 ? r : sd_event_source_set_io_events(q->io, EPOLLIN);
}

static int receive(struct sdp_query *q)
{
	if (++q->packets > SDP_PACKETS_MAX)
		return -EMSGSIZE;
	/* 0: the answer goes on, and the next part of it was asked for. */
	int r = sdp_process(q->session);
	return q->result ? q->result : r < 0 ? -EPROTO : 0;
}

/* The last thing that a query does: the owner may free it from inside. */
static void finish(struct sdp_query *q, int result)
{
	sd_event_source_set_enabled(q->io, SD_EVENT_OFF);
	sd_event_source_set_enabled(q->timer, SD_EVENT_OFF);
	q->answer(q->arg, result);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd, (void)events;
	struct sdp_query *q = arg;
	int r = q->session ? receive(q) : begin(q);
	if (r)
		finish(q, r);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	finish(arg, -ETIMEDOUT);
	return 0;
}

int sdp_query_new(sd_event *loop, int fd, sdp_answer *answer, void *arg, struct sdp_query **ret)
{
	struct sdp_query *q = calloc(1, sizeof(*q));
	if (!q) {
		close(fd);
		return -ENOMEM;
	}
	*q = (struct sdp_query){.fd = fd, .answer = answer, .arg = arg};
	int r = sd_event_add_io(loop, &q->io, fd, EPOLLOUT, on_io, q);
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &q->timer, CLOCK_BOOTTIME, SDP_QUERY_US,
			SDP_ACCURACY_US, on_timeout, q);
	if (r < 0) {
		sdp_query_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void sdp_query_free(struct sdp_query *q)
{
	if (!q)
		return;
	sd_event_source_disable_unref(q->io);
	sd_event_source_disable_unref(q->timer);
	if (q->session)
		sdp_close(q->session);
	if (q->fd >= 0)
		close(q->fd);
	free(q);
}
