/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a BLE device says of itself, as one text: "sn:<serial>/sysid:<hex>", either part alone, or
 * "addr:<address>" when it says nothing useful. Some clones share a serial number, hence the pair.
 *
 * Source: Device Information Service 0x180A, serial number string 2A25 (UTF-8, trailing NULs are seen),
 * system id 2A23 (8 bytes).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BLE_UID_SERIAL_MAX 48
#define BLE_UID_SYSTEM_ID_MAX 12

struct ble_uid {
	char serial[BLE_UID_SERIAL_MAX + 1];
	char system_id[2 * BLE_UID_SYSTEM_ID_MAX + 1];
};

/* Only printable ASCII is kept, without blanks at the ends; '/' becomes '_'. What a device that was never
 * given a number says (nothing, or one character over and over) counts as not given: it would make all
 * such devices one. */
void ble_uid_serial(struct ble_uid *u, const uint8_t *bytes, size_t len);
void ble_uid_system_id(struct ble_uid *u, const uint8_t *bytes, size_t len);
/* At most 95 bytes. */
void ble_uid_text(const struct ble_uid *u, const char *address, char *text, size_t size);
