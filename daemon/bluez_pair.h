/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pairing through bluetoothd, one device at a time and only while an operator has the window open:
 * we are its default agent then, and refuse whoever else asks. Outside the window no agent of ours
 * accepts anything. When it is done the link is let go, because the data channel is ours (ble.c),
 * and the device is never set Trusted: bluetoothd must not connect by itself.
 */
#pragma once

#include "bluez.h"

#include <stdint.h>

struct bluez_seen; /* bluez_scan.h */

enum bluez_pair_ask {
	BLUEZ_PAIR_TYPE_PASSKEY, /* the instrument shows six digits: type them (bluez_pair_passkey) */
	BLUEZ_PAIR_SHOW_PASSKEY, /* type `passkey` on the instrument */
	BLUEZ_PAIR_TYPE_PIN,	 /* older instruments: type what its manual says (bluez_pair_pin) */
	BLUEZ_PAIR_COMPARE, /* both show `passkey`: say whether they are the same (bluez_pair_confirm) */
};

struct bluez_pair_events {
	void (*ask)(void *arg, enum bluez_pair_ask ask, uint32_t passkey);
	/* 0 paired, link let go (also when a cancel came too late); -EACCES refused by the
	 * instrument or a wrong passkey; -ETIMEDOUT it did not answer; -ENOENT bluetoothd does
	 * not know it (not seen lately); -EALREADY it was paired before; -ECANCELED; -EIO with
	 * bluetoothd's own words in `why`. */
	void (*done)(void *arg, int result, const char *why);
	void *arg;
};

/* -EBUSY: another one is being paired; -ENOTCONN: no bluetoothd; -ENOENT: bluetoothd does not
 * know it. Else done() comes, later, within two minutes and a bit; not after bluez_free(). It
 * may begin the next. */
int bluez_pair_begin(struct bluez *b, const char *address, const struct bluez_pair_events *events);
/* Answers to what was asked. -ENOENT: nothing is asked. */
int bluez_pair_passkey(struct bluez *b, uint32_t passkey);
int bluez_pair_pin(struct bluez *b, const char *pin); /* 1..16 characters, else -EINVAL */
int bluez_pair_confirm(struct bluez *b, bool same);
void bluez_pair_cancel(struct bluez *b);
/* The one that was paired last, as bluetoothd knows it now, or NULL. A device with a private
 * address has told its identity address in pairing: only by that one is it to be found again.
 * Borrowed until the loop turns. */
const struct bluez_seen *bluez_pair_device(const struct bluez *b);

/* Removes bond and everything that bluetoothd knows of the device, on each adapter. `done` may
 * be NULL and gets 0, -ENOENT, -EIO. Returns 0 when done() will come, -ENOENT, -ENOTCONN, -EBUSY
 * (four at a time). */
int bluez_forget(
	struct bluez *b, const char *address, void (*done)(void *arg, int result), void *arg);

/* 1 bluetoothd has a bond, 0 it has none, -ENOENT it does not know the device, -ENOTCONN no
 * bluetoothd. */
int bluez_bonded(const struct bluez *b, const char *address);
