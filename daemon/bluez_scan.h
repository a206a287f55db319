/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who advertises now, as bluetoothd shows it (org.bluez.Device1). Discovery runs while somebody
 * wishes it: all the time for an operator who looks at a list, in short windows for instruments
 * that only advertise, and not at all otherwise: pending connects need none, and each window delays
 * them.
 */
#pragma once

#include "bluez.h"

#include <stddef.h>
#include <stdint.h>

/* Devices that are remembered. When there are more, those with a bond stay, and of the others
 * those that were heard lately and are the strongest: what an operator holds is near. */
#define BLUEZ_SEEN_MAX 256
#define BLUEZ_SERVICES_MAX 12 /* of one device */
#define BLUEZ_DATA_MAX 32     /* bytes of service or manufacturer data */

struct bluez_seen {
	char address[18];
	bool random;	 /* AddressType of Device1 */
	char adapter[8]; /* "hci0" */
	char name[48];	 /* "" when it tells none; control characters replaced */
	int16_t rssi;	 /* dBm; 127 unknown */
	uint8_t services[BLUEZ_SERVICES_MAX][16]; /* little-endian */
	unsigned n_services;
	uint16_t company; /* of its manufacturer data; 0 none */
	bool paired;	  /* bluetoothd has a bond with it */
	bool connected;
	int64_t seen_boot_us; /* 0 = not heard since bluetoothd began */
};

/* Service data (uuid16 != 0) or manufacturer data (company != 0) that just came. Longer ones are
 * not told. */
struct bluez_advert {
	const struct bluez_seen *from;
	uint16_t uuid16, company;
	const uint8_t *bytes;
	size_t len;
};

enum bluez_scan_duty {
	BLUEZ_SCAN_WINDOWS,	 /* 10 s on, 20 s off */
	BLUEZ_SCAN_ALL_THE_TIME, /* while an operator looks */
};

/* A wish, until bluez_scan_end(). `heard` may be NULL. -ENOSPC beyond 258 wishes. `adapter` "" =
 * any. */
int bluez_scan_begin(struct bluez *b, const char *adapter, enum bluez_scan_duty duty,
	void (*heard)(void *arg, const struct bluez_advert *a), void *arg);
void bluez_scan_end(struct bluez *b, void *arg);

/* Those that are heard now, the strongest first. Borrowed until the loop turns. Returns how
 * many. */
size_t bluez_scan_list(const struct bluez *b, const struct bluez_seen **ret, size_t max);
const struct bluez_seen *bluez_scan_find(const struct bluez *b, const char *address);
