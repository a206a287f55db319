/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sockets to the serial port of a Bluetooth device: RFCOMM (libbluetooth), or the unix stream socket of a
 * simulated device. Nothing here waits.
 */
#pragma once

#include <bluetooth/bluetooth.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rfcomm_peer {
	bool simulated;
	char path[108];	  /* simulated */
	bdaddr_t address; /* over the air */
};

/* "unix:/path" or "XX:XX:XX:XX:XX:XX". -EINVAL, -ENAMETOOLONG. */
int rfcomm_peer_parse(const char *text, struct rfcomm_peer *ret);

/* Address of the controller `name` ("hci0"), all zeros for "" (any). -ENODEV it is not there; -ENETDOWN it is
 * switched off; -EAFNOSUPPORT this kernel, or the sandbox we are in, has no Bluetooth. */
int rfcomm_adapter(const char *name, bdaddr_t *ret);

/* A socket on its way to the device; when it is writable, rfcomm_result() tells what became of it. -errno.
 * `encrypted`: by a bond, which must be there or is made by bluetoothd's agent. */
int rfcomm_connect(
	const struct rfcomm_peer *peer, const bdaddr_t *adapter, uint8_t channel, bool encrypted);
int rfcomm_result(int fd); /* 0, -errno */

/* write(2) for such a socket: no signal when the peer is gone. */
ssize_t rfcomm_write(int fd, const void *bytes, size_t len);

/* The word of transport.h for a connect that failed with errno `error`. */
const char *rfcomm_state(int error);
