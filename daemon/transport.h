/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A transport owns the file descriptors of one configured instrument and brings it back whenever it
 * disappears. It knows nothing of medicine: it tells its owner (device.c) when the instrument is
 * there, what came, and when it went.
 *
 *   up ... (stream | value)* ... down, again and again, until transport_free().
 *
 * All calls happen on the loop thread. Events are never delivered from inside a call into the
 * transport except `down` from close(). After `down` nothing comes until the next `up`. From inside
 * an event the owner may send, confirm and close, but not free.
 */
#pragma once

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <vitalgate/driver.h>

#define TRANSPORT_UID_MAX 95

struct transport_events {
	/* GATT: characteristics were found and Device Information was read; `uid` is what the
	 * device says of itself: "sn:<serial>", "sn:<serial>/sysid:<hex>", "sysid:<hex>" or, when
	 * it says nothing useful, "addr:<address>". Values follow, then what was subscribed.
	 * Stream: the line is open; `uid` is "line:<id>", over the air "addr:<address>". Registers:
	 * the first answer came; "line:<id>". Files: "spool:<id>". Replay: "replay:<id>". At most TRANSPORT_UID_MAX bytes. */
	void (*up)(void *arg, const char *uid);
	void (*stream)(void *arg, const uint8_t *bytes, size_t len);
	/* GATT: value of driver channel `channel`; -1: a handle nobody asked for. `indication`: the
	 * owner owes one confirm() once the value is safe. */
	void (*value)(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication);
	void (*down)(void *arg, const char *why); /* `why`: short English for log and status */
	/* GATT: the instrument itself ends the link; `down` follows at once. Others never call it. */
	void (*hung_up)(void *arg);
	/* GATT: what was sent to `channel` was refused with this ATT error code. Others never call it. */
	void (*denied)(void *arg, unsigned channel, uint8_t code);
	void *arg;
};

struct transport;

struct transport_ops {
	/* 0; -ENOTCONN; -ENOBUFS what waits is too much already; GATT also -ENOENT, -EMSGSIZE
	 * (att.h). */
	int (*send)(struct transport *t, unsigned channel, const void *bytes, size_t len);
	void (*confirm)(struct transport *t); /* GATT: the oldest indication since `up` is safe */
	/* Ends this connection; it comes back by itself, over the air after a rest of seconds, so
	 * that a finished session does not begin again while the meter still advertises. */
	void (*close)(struct transport *t, const char *why);
	void (*free)(struct transport *t);
	/* One word for `vitalgate devices`. All: "connected", "absent", "busy" (another program has
	 * it), "error". Serial: "denied", "not-a-line". Modbus: "silent" (no answer), "denied". RFCOMM: "unpaired",
	 * "adapter-absent", "adapter-off", "no-bluetooth". BLE: "waiting" (for the device to
	 * advertise), "setting-up", "unpaired", "crowded" (its adapter has no link left),
	 * "adapter-absent", "adapter-off", "no-bluetoothd", "bluetoothd-hung", "no-bus",
	 * "no-bluetooth". Files: "denied", "unreadable" (a file in it); "error" also when a file
	 * cannot be moved away, and in the rest after a refusal. Replay: "playing", "done", "error" only. */
	const char *(*state)(const struct transport *t);
};

/* First member of every transport. */
struct transport {
	const struct transport_ops *ops;
	struct transport_events events;
};

static inline void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}

struct bluez;	  /* adapters by sd-bus, shared by all BLE devices; bluez.h */
struct ble_turns; /* who may wait for whom on an adapter; ble_turns.h */

/* `device`, `driver`, `bluez` and `turns` are borrowed and outlive the transport; the last two may be NULL. -errno on
 * a configuration that cannot work (says so in the log); an absent instrument is not an error. */
int serial_new(sd_event *loop, const struct config_device *device,
	const struct transport_events *events, struct transport **ret);
int ble_new(sd_event *loop, struct bluez *bluez, struct ble_turns *turns,
	const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret);
int rfcomm_new(sd_event *loop, const struct config_device *device,
	const struct transport_events *events, struct transport **ret);
/* Registers: each round of polling is a value of channel 0, laid out as in <vitalgate/registers.h>. */
int modbus_new(sd_event *loop, const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret);
/* Files: a directory that FTP, SMB or a USB stick drops files into. Each whole file is a value of channel 0 that wants
 * to be confirmed; confirmed, it is moved to the directory's done/. */
int spool_new(sd_event *loop, const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret);
/* Plays a capture (drivers/README.md), once, in its own time. */
int replay_new(sd_event *loop, const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret);
