/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bluetooth of this gateway as a whole: bluetoothd (bluez.h), the turns of its devices (ble_turns.h), the watch
 * over both, and who is told when something is wrong. Begun when the first device or operator needs it.
 */
#pragma once

struct gateway;

/* 0, -errno. Once is enough; more often does nothing. */
int radio_need(struct gateway *g);
struct json;
/* "bluetooth":{"state":..,"next":..} into an open object, when it is used. */
void radio_json(const struct gateway *g, struct json *j);
/* After the devices have ended. */
void radio_free(struct gateway *g);
