/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rfcomm_socket.h"

#include "util.h"

#include <bluetooth/hci.h>
#include <bluetooth/hci_lib.h>
#include <bluetooth/rfcomm.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SIMULATED "unix:"

int rfcomm_peer_parse(const char *text, struct rfcomm_peer *ret)
{
	struct rfcomm_peer p = {.simulated = strncmp(text, SIMULATED, strlen(SIMULATED)) == 0};
	const char *path = p.simulated ? text + strlen(SIMULATED) : "";
	if (!text_copy(p.path, sizeof(p.path), path, strlen(path)))
		return -ENAMETOOLONG;
	if (!p.simulated && (bachk(text) < 0 || str2ba(text, &p.address) < 0))
		return -EINVAL;
	*ret = p;
	return 0;
}

int rfcomm_adapter(const char *name, bdaddr_t *ret)
{
	*ret = *BDADDR_ANY;
	_cleanup_(closep) int fd = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, BTPROTO_HCI);
	if (fd < 0)
		return -errno;
	if (!*name)
		return 0;
	struct hci_dev_info info = {0};
	if (sscanf(name, "hci%hu", &info.dev_id) != 1)
		return -ENODEV;
	if (ioctl(fd, HCIGETDEVINFO, &info) < 0)
		return -errno;
	*ret = info.bdaddr;
	return hci_test_bit(HCI_UP, &info.flags) ? 0 : -ENETDOWN;
}

static int connect_simulated(const char *path, int fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	text_copy(a.sun_path, sizeof(a.sun_path), path, strlen(path));
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

static int connect_air(const struct rfcomm_peer *peer, const bdaddr_t *adapter, uint8_t channel,
	bool encrypted, int fd)
{
	struct sockaddr_rc a = {.rc_family = AF_BLUETOOTH, .rc_bdaddr = *adapter};
	const struct bt_security security = {
		.level = encrypted ? BT_SECURITY_MEDIUM : BT_SECURITY_LOW};
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		setsockopt(fd, SOL_BLUETOOTH, BT_SECURITY, &security, sizeof(security)) < 0)
		return -errno;
	a.rc_bdaddr = peer->address;
	a.rc_channel = channel;
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

int rfcomm_connect(
	const struct rfcomm_peer *peer, const bdaddr_t *adapter, uint8_t channel, bool encrypted)
{
	_cleanup_(closep) int fd = socket(peer->simulated ? AF_UNIX : AF_BLUETOOTH,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, peer->simulated ? 0 : BTPROTO_RFCOMM);
	if (fd < 0)
		return -errno;
	int r = peer->simulated ? connect_simulated(peer->path, fd)
				: connect_air(peer, adapter, channel, encrypted, fd);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	r = fd;
	fd = -1;
	return r;
}

int rfcomm_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

ssize_t rfcomm_write(int fd, const void *bytes, size_t len)
{
	return send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

const char *rfcomm_state(int error)
{
	switch (error) {
	case EHOSTDOWN: /* no answer to the page: it is off or far away */
	case ETIMEDOUT:
	case ECONNABORTED:
	case ECONNRESET:
	case ENOENT: /* simulated */
		return "absent";
	case EBUSY:
		return "busy";
	case EACCES:
	case EBADE: /* one end has no key, or another one */
		return "unpaired";
	case ENETDOWN:
		return "adapter-off";
	case EHOSTUNREACH:
	case ENODEV:
	case EADDRNOTAVAIL:
		return "adapter-absent";
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return "no-bluetooth";
	}
	return "error";
}
