/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may wait for whom on an adapter. A controller holds few links and remembers few addresses: with more
 * pending connects than its accept list has places, the kernel listens to everybody and is woken by every
 * stranger that passes; with more links than it has, connects fail. So only some devices wait at a time, and
 * take turns, faster than an instrument stops advertising (10 s at the shortest). Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define BLE_WAITING_MAX \
	10 /* pending connects of one adapter; lists of 16 were seen, bluetoothd has its own */
#define BLE_LINKS_MAX 16  /* links of one adapter, until it shows that it has fewer */
#define BLE_SLICE_MS 3000 /* a turn, when others stand in line */

struct ble_turns;

/* Part of whoever wants to connect; zeroed before its first use. Nobody moves it while it is in line. */
struct ble_turn {
	enum { TURN_NONE, TURN_IN_LINE, TURN_WAITING, TURN_LINK } state;
	char adapter[8];	  /* "hci0"; "" = any, which is an adapter of its own here */
	const char *id, *address; /* of the device; borrowed */
	int64_t since_ms;
	int64_t linked_ms;	  /* CLOCK_BOOTTIME of its last link; 0: it had none */
	void (*go)(void *arg);	  /* connect now */
	void (*yield)(void *arg); /* give up the pending connect; then ask again */
	void *arg;
	struct ble_turn *next; /* of all that are not TURN_NONE, the oldest first */
};

int ble_turns_new(sd_event *loop, unsigned slice_ms, struct ble_turns **ret);
void ble_turns_free(struct ble_turns *t);

/* Wants to connect. go() may come from inside this call. */
void ble_turns_ask(struct ble_turns *t, struct ble_turn *turn);
/* The connect became a link. */
void ble_turns_linked(struct ble_turns *t, struct ble_turn *turn);
/* The connect failed because the controller has no link left: it has no more than those that are up. */
void ble_turns_full(struct ble_turns *t, struct ble_turn *turn);
/* Neither waits nor has a link any more. In any state. */
void ble_turns_end(struct ble_turns *t, struct ble_turn *turn);
/* Everybody who is in line, waits, or has a link. */
void ble_turns_each(
	const struct ble_turns *t, void (*each)(void *arg, const struct ble_turn *turn), void *arg);
/* It is not its turn although it wants to: because all links of the adapter are taken. */
bool ble_turns_crowded(const struct ble_turns *t, const struct ble_turn *turn);
