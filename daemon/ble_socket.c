/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ble_socket.h"

#include "att.h"
#include "util.h"

#include <bluetooth/l2cap.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ATT_CID 4
#define PACKETS_MAX 16 /* that wait; ATT alone has a request, an answer and a few confirmations */

struct ble_packets {
	unsigned n;
	struct {
		uint16_t len;
		uint8_t bytes[ATT_MTU];
	} packet[PACKETS_MAX];
};

int ble_peer_parse(const char *text, struct ble_peer *ret)
{
	struct ble_peer p = {.simulated = strncmp(text, BLE_SIMULATED, strlen(BLE_SIMULATED)) == 0};
	const char *path = p.simulated ? text + strlen(BLE_SIMULATED) : "";
	if (!text_copy(p.path, sizeof(p.path), path, strlen(path)))
		return -ENAMETOOLONG;
	if (!p.simulated && (bachk(text) < 0 || str2ba(text, &p.address) < 0))
		return -EINVAL;
	*ret = p;
	return 0;
}

/* Tests and the demonstration put a directory in the place of the air: the socket of a device there has its
 * address as name. Not for a program that gained rights. */
static const char *air(void)
{
	return secure_getenv("VITALGATE_AIR");
}

bool ble_socket_supported(void)
{
	if (air())
		return true;
	_cleanup_(closep) int fd =
		socket(AF_BLUETOOTH, SOCK_SEQPACKET | SOCK_CLOEXEC, BTPROTO_L2CAP);
	return fd >= 0 || (errno != EAFNOSUPPORT && errno != EPROTONOSUPPORT);
}

static int open_simulated(const char *path, int fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	text_copy(a.sun_path, sizeof(a.sun_path), path, strlen(path));
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

static int open_air(const struct ble_peer *peer, const char *adapter, bool adapter_random, int fd)
{
	struct sockaddr_l2 a = {.l2_family = AF_BLUETOOTH,
		.l2_cid = htobs(ATT_CID),
		.l2_bdaddr_type = adapter_random ? BDADDR_LE_RANDOM : BDADDR_LE_PUBLIC};
	if (adapter)
		str2ba(adapter, &a.l2_bdaddr);
	const struct bt_security security = {
		.level = peer->pairing ? BT_SECURITY_MEDIUM : BT_SECURITY_LOW};
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		setsockopt(fd, SOL_BLUETOOTH, BT_SECURITY, &security, sizeof(security)) < 0)
		return -errno;
	a.l2_bdaddr = peer->address;
	a.l2_bdaddr_type = peer->random ? BDADDR_LE_RANDOM : BDADDR_LE_PUBLIC;
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

/* A connect that neither comes nor fails, as one that waits for a device to advertise: an epoll of nothing is
 * never readable, writable or at its end. */
static int open_waiting(struct ble_socket *s)
{
	s->fd = epoll_create1(EPOLL_CLOEXEC);
	return s->fd < 0 ? -errno : -EINPROGRESS;
}

int ble_socket_open(
	struct ble_socket *s, const struct ble_peer *peer, const char *adapter, bool adapter_random)
{
	char path[sizeof(peer->path)] = "", address[18];
	ba2str(&peer->address, address);
	if (peer->simulated)
		memcpy(path, peer->path, sizeof(path));
	else if (air())
		snprintf(path, sizeof(path), "%s/%s", air(), address);
	_cleanup_(closep) int fd = socket(*path ? AF_UNIX : AF_BLUETOOTH,
		SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, *path ? 0 : BTPROTO_L2CAP);
	if (fd < 0)
		return -errno;
	int r = *path ? open_simulated(path, fd) : open_air(peer, adapter, adapter_random, fd);
	if (r == -EAGAIN && *path) /* it listens and has no room: a simulated device that is away */
		return open_waiting(s);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	s->fd = fd;
	fd = -1;
	return r;
}

int ble_socket_result(const struct ble_socket *s)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

void ble_socket_close(struct ble_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(TAKE(s->queue));
}

static int put(const struct ble_socket *s, const uint8_t *pdu, size_t len)
{
	ssize_t n;
	do
		n = send(s->fd, pdu, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int ble_socket_send(struct ble_socket *s, const uint8_t *pdu, size_t len)
{
	if (len > ATT_MTU)
		return -ENOBUFS;
	if (!s->queue) {
		int r = put(s, pdu, len);
		if (r != -EAGAIN)
			return r;
		s->queue = calloc(1, sizeof(*s->queue));
		if (!s->queue)
			return -ENOMEM;
	}
	struct ble_packets *q = s->queue;
	if (q->n == PACKETS_MAX)
		return -ENOBUFS;
	q->packet[q->n].len = (uint16_t)len;
	memcpy(q->packet[q->n].bytes, pdu, len);
	q->n++;
	return 1;
}

int ble_socket_drain(struct ble_socket *s)
{
	struct ble_packets *q = s->queue;
	unsigned done = 0;
	int r = 0;
	while (q && done < q->n && (r = put(s, q->packet[done].bytes, q->packet[done].len)) >= 0)
		done++;
	if (r < 0 && r != -EAGAIN)
		return r;
	if (q && done < q->n) {
		q->n -= done;
		memmove(q->packet, q->packet + done, q->n * sizeof(q->packet[0]));
		return 1;
	}
	free(TAKE(s->queue));
	return 0;
}

int ble_socket_receive(struct ble_socket *s, uint8_t *pdu, size_t size)
{
	ssize_t n;
	do
		n = recv(s->fd, pdu, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

const char *ble_socket_state(int error)
{
	switch (error) {
	case EBUSY:
		return "busy";
	case EHOSTDOWN:
	case ENETDOWN:
		return "adapter-off";
	case EHOSTUNREACH:
	case ENODEV:
	case EADDRNOTAVAIL:
		return "adapter-absent";
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return "no-bluetooth";
	case ENOENT:
		return "absent";
	case ETIMEDOUT: /* the device went away while the link came up */
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EINPROGRESS:
	case EMLINK: /* the controller has no link left */
	case EAGAIN:
		return "waiting";
	}
	return "error";
}

const char *ble_state_advice(const char *state)
{
	static const struct {
		const char *state, *next;
	} advice[] = {
		{"busy",
			"another program holds its data channel: disconnect it there (bluetoothctl)"},
		{"adapter-off", "waiting until it is on (bluetoothctl show, rfkill list)"},
		{"adapter-absent", "plug the adapter in, or check `adapter`"},
		{"no-bluetoothd", "systemctl status bluetooth"},
		{"no-bus", "systemctl status dbus"},
		{"bluetoothd-hung", "systemctl restart bluetooth"},
		{"no-bluetooth",
			"this kernel or this unit's sandbox has no AF_BLUETOOTH: load the module "
			"bluetooth, check RestrictAddressFamilies"},
		{"absent", "nobody listens at its address"},
		{"error", "look at the kernel's log"},
	};
	for (size_t i = 0; i < ELEMENTS(advice); i++)
		if (streq(advice[i].state, state))
			return advice[i].next;
	return NULL;
}
