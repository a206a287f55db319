/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What carries ATT PDUs to one device, one PDU a packet: an L2CAP socket on the fixed ATT channel
 * (CID 4, libbluetooth), beside bluetoothd, which keeps adapter, bonds and keys; or a unix SEQPACKET
 * socket of a simulated peripheral: one with a path for an address, or all of them, when the environment says
 * VITALGATE_AIR=/directory: then /directory/C0:11:22:33:44:55 is the device of that address.
 *
 * Nothing here waits: kernels hold an L2CAP socket's lock while a recv() waits, and then deliver nothing.
 */
#pragma once

#include <bluetooth/bluetooth.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLE_SIMULATED "unix:"

struct ble_peer {
	bool simulated;
	char path[108];	  /* simulated */
	bdaddr_t address; /* over the air */
	bool random;	  /* a random static address */
	bool pairing;	  /* ask the kernel for an encrypted link */
};

/* "unix:/path" or "XX:XX:XX:XX:XX:XX". -EINVAL, -ENAMETOOLONG. */
int ble_peer_parse(const char *text, struct ble_peer *ret);

struct ble_socket {
	int fd; /* -1: closed */
	struct ble_packets
		*queue; /* what the kernel did not take yet; NULL when there is nothing */
};

/* False: this kernel, or the sandbox we are in, has no AF_BLUETOOTH. */
bool ble_socket_supported(void);

/* 0 the connection is there; -EINPROGRESS it comes, when the socket is writable ble_socket_result() tells;
 * else the socket stays closed. `adapter`: address of the one to use, NULL for any. */
int ble_socket_open(struct ble_socket *s, const struct ble_peer *peer, const char *adapter,
	bool adapter_random);
int ble_socket_result(const struct ble_socket *s);
void ble_socket_close(struct ble_socket *s);

/* 0; 1 it waits in the queue, call ble_socket_drain() when the socket is writable; -ENOBUFS the peer takes
 * nothing; -ENOMEM; other -errno: the link is gone. */
int ble_socket_send(struct ble_socket *s, const uint8_t *pdu, size_t len);
int ble_socket_drain(struct ble_socket *s); /* 0 the queue is empty; 1 it is not; -errno */

/* Bytes of one PDU, cut at `size`; 0 the peer closed; -EAGAIN nothing there; -errno. */
int ble_socket_receive(struct ble_socket *s, uint8_t *pdu, size_t size);

/* The word of transport.h for a connect that failed with errno `error`. */
const char *ble_socket_state(int error);
/* What a person does about it, for the log; NULL: nothing. */
const char *ble_state_advice(const char *state);
