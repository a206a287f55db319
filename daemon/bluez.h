/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What vitalgate asks of bluetoothd over D-Bus (sd-bus): here which adapters exist and are powered;
 * who advertises (bluez_scan.h), pairing (bluez_pair.h) and the watchdog (bluez_watch.h) beside it.
 * The data path does not go through it (ble.c, att.c).
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

struct bluez;

/* Watches org.bluez on the system bus; survives restarts of bus and bluetoothd, and their absence.
 * An adapter that is found switched off is switched on, once for each time that it appears. */
int bluez_new(sd_event *loop, struct bluez **ret);
void bluez_free(struct bluez *b);

/* For every `adapter` below: "hci0", or "" for any. */

/* One word: "ready" (present and powered), "adapter-off", "adapter-absent", "no-bluetoothd",
 * "bluetoothd-hung" (it never answered), "no-bus". */
const char *bluez_state(const struct bluez *b, const char *adapter);
bool bluez_ready(const struct bluez *b, const char *adapter);
/* Address of the adapter as text, or NULL when it is not ready. Borrowed until the loop turns.
 * `ret_random`: it is a random static address, the adapter has no public one. */
const char *bluez_address(const struct bluez *b, const char *adapter, bool *ret_random);

/* Calls back whenever the answers above may have changed. Up to 256 watchers, else -ENOSPC. */
int bluez_watch(struct bluez *b, void (*changed)(void *arg), void *arg);
void bluez_unwatch(struct bluez *b, void *arg);
