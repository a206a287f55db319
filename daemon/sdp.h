/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asks a Bluetooth device for the RFCOMM channel of its serial port (Service Discovery Protocol, Core
 * Specification, Vol 3, Part B): which records are of class Serial Port, and what their protocol
 * descriptor lists say.
 *
 * libbluetooth holds the conversation, on a socket that never blocks. What the device answers is read here:
 * libbluetooth's record parser calls itself for each nested sequence, and a device that nests deep
 * enough runs it off the stack.
 */
#pragma once

#include <bluetooth/bluetooth.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* A socket on its way to the SDP server of `device`, from the controller `adapter` (all zeros: any).
 * -errno. */
int sdp_socket(const bdaddr_t *adapter, const bdaddr_t *device);

/* `channel`: 1..30, or -errno: -ENOENT it offers no serial port; -EPROTO, -EMSGSIZE its answer makes no
 * sense; -ETIMEDOUT; what became of the connect. From the loop, once; the query may be freed from inside. */
typedef void sdp_answer(void *arg, int channel);

struct sdp_query;

/* Takes over `fd`, a connected or connecting SEQPACKET socket, also when it fails. It ends within
 * 20 s. */
int sdp_query_new(sd_event *loop, int fd, sdp_answer *answer, void *arg, struct sdp_query **ret);
void sdp_query_free(struct sdp_query *q); /* at any time; NULL is fine */

/* Pure: the channel in the attribute lists of a Service Search Attribute response; -ENOENT, -EPROTO. */
int sdp_serial_channel(const void *lists, size_t len);
