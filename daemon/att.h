/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ATT client (Core Specification, Vol 3, Part F and G): a pure state machine, PDUs and `now` in,
 * PDUs and events out. It speaks over whatever carries whole PDUs: an L2CAP socket beside
 * bluetoothd, or a unix SEQPACKET socket to a simulated peripheral. One client per link; no
 * allocation, no clock, no I/O.
 *
 * Order of a session: exchange MTU, find characteristics (or verify the cached handles), find their
 * CCC descriptors, read what is to be read, tell `ready`, enable indications / notifications in
 * order, then send the driver's writes in order; those to a characteristic marked VG_GATT_FIRST go out
 * before the first is enabled. Indications and notifications are accepted at any
 * time: a bonded meter may send one before our first answer. What comes before `ready` is held and
 * told right after it, so until then the owner hears of values read, refusals and `close` only. An
 * indication is confirmed only by att_confirm().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vitalgate/driver.h>

#define ATT_MTU 517
#define ATT_CHARACTERISTICS_MAX 24 /* that a session may want */
#define ATT_SERVICES_MAX 16	   /* found instances of the services that wants name */
#define ATT_WRITES_MAX 8	   /* queued writes of a driver */
#define ATT_INDICATIONS_MAX 4	 /* unconfirmed; more is a protocol violation and closes the link */
#define ATT_TRANSACTION_MS 30000 /* Vol 3, Part F, 3.3.3 */
#define ATT_RETRY_MS 1000  /* a request refused for want of encryption is repeated after this */
#define ATT_RETRIES_MAX 30 /* while pairing may be under way */
#define ATT_RETRIES_FEW 3  /* when only the device itself could bring the link to encrypt */

struct att_uuid {
	uint8_t bytes[16]; /* little-endian, 16-bit ones expanded into the Bluetooth base */
};

struct att_uuid att_uuid16(uint16_t uuid);
bool att_uuid_equal(const struct att_uuid *a, const struct att_uuid *b);

/* What the session wants of one characteristic: use bits are VG_GATT_*. */
struct att_want {
	struct att_uuid uuid;
	struct att_uuid service; /* all zero: any */
	uint8_t use;
};

/* Handles of a wanted characteristic; value == 0: the device does not have it. */
struct att_handles {
	uint16_t declaration, value, ccc, end;
	uint8_t properties;
};

struct att_cache {
	bool valid;
	struct att_handles handles[ATT_CHARACTERISTICS_MAX];
};

enum att_event_type {
	ATT_VALUE,     /* bytes of want `index`: answer to a read */
	ATT_NOTIFIED,  /* bytes of want `index` */
	ATT_INDICATED, /* bytes of want `index`, -1: an unknown handle; owed an att_confirm() */
	ATT_READY, /* discovery and reads are over; first writes and subscribing begin after this */
	ATT_SUBSCRIBED, /* all subscriptions were asked for; each refused one was told before */
	ATT_WRITTEN,	/* a driver's write was accepted (a write command: was sent); index */
	ATT_REFUSED,	/* the peer refused what `use` says; index, code */
	ATT_CLOSE,	/* the link must be closed: `why`; nothing is sent or told after this */
};

/* index is -1, and every other member 0 or NULL, where the type does not say otherwise. */
struct att_event {
	enum att_event_type type;
	int index;
	uint16_t handle; /* ATT_NOTIFIED, ATT_INDICATED: of the value, for an index of -1 */
	uint8_t use;	 /* ATT_REFUSED: VG_GATT_READ, VG_GATT_SUBSCRIBE or VG_GATT_WRITE */
	uint8_t code; /* ATT error code; 0x0A also for a characteristic or CCC that is not there */
	const uint8_t *bytes;
	size_t len; /* up to ATT_MTU - 3, which is 2 more than a GATT value should have */
	const char *why;
};

/* event() may call att_write() and att_confirm(), nothing else of the client; send() nothing at
 * all. Neither may free the client: it is in use until the call from which they came has returned.
 */
struct att_ops {
	void (*send)(void *arg, const uint8_t *pdu, size_t len);
	void (*event)(void *arg, const struct att_event *e);
	void *arg;
};

struct att; /* sizeof is att_size(): the caller owns the memory */
size_t att_size(void);

/* Initialises the memory at `a`. `wants` and `ops` are copied. `cache` belongs to the caller, may
 * be invalid, and is filled or invalidated by the session. `mtu`: the largest we accept (the
 * link's), 23..517. */
void att_init(struct att *a, const struct att_want *wants, size_t n_wants, struct att_cache *cache,
	uint16_t mtu, const struct att_ops *ops);
/* After att_init(): nobody will pair. What the device guards is refused soon, not after half a minute. */
void att_expect_no_pairing(struct att *a);
/* After att_init(): so long it rests between the last read and the first write. */
void att_settle_for(struct att *a, unsigned ms);
/* The link is up. Times are CLOCK_BOOTTIME in ms. */
void att_start(struct att *a, int64_t now_ms);
void att_input(struct att *a, const uint8_t *pdu, size_t len, int64_t now_ms);
/* When att_expire() wants to be called next; INT64_MAX: never. */
int64_t att_deadline(const struct att *a);
void att_expire(struct att *a, int64_t now_ms);
/* A driver's write to want `index`, at any time. 0, -ENOENT the device lacks it, -ENOBUFS queue
 * full, -EMSGSIZE, -ENOTCONN after ATT_CLOSE. What shows only later (found absent, smaller MTU) is
 * told as ATT_REFUSED. There are no long writes: a value fits one PDU. */
int att_write(struct att *a, unsigned index, const uint8_t *bytes, size_t len, int64_t now_ms);
/* Confirms the oldest unconfirmed indication that was told; nothing when there is none. */
void att_confirm(struct att *a);
/* Counter of what was ignored: PDUs, or parts of one, that made no sense here. */
uint32_t att_ignored(const struct att *a);
