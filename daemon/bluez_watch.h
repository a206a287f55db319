/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The watchdog of Bluetooth: what to do when connects fail over and over on an adapter, or
 * bluetoothd no longer answers. Retrying is the transports' business; then the adapter is switched
 * off and on; then somebody is told. Also the versions of kernel and bluetoothd that are known to
 * be faulty.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bluez;

enum bluez_outcome {
	BLUEZ_LINKED,	/* a connect brought a link */
	BLUEZ_UNLINKED, /* that link ended, however */
	BLUEZ_FAILED,	/* a connect failed at once; not: nobody advertised */
	BLUEZ_STUCK,	/* the kernel never gave a connect back, though it gives up after 40 s */
};

/* A transport tells how it fares. `adapter`: "hci0", "" = any; `device`: its id. Each LINKED has
 * one UNLINKED. */
void bluez_report(
	struct bluez *b, const char *adapter, const char *device, enum bluez_outcome outcome);

/* What is wrong now, or NULL: "bluetoothd-hung", "adapter-failing". `ret_next`: what a person
 * does. */
const char *bluez_trouble(const struct bluez *b, const char *adapter, const char **ret_next);

/* Told when a trouble begins, when the watchdog acts, and when it is over. `where`: "hci0" or
 * "bluetoothd"; `what`: a word of bluez_trouble(), "adapter-cycled" or "well"; `next` may be
 * NULL. One listener. */
typedef void (*bluez_trouble_told)(
	void *arg, const char *where, const char *what, const char *next);
void bluez_on_trouble(struct bluez *b, bluez_trouble_told told, void *arg);

/* pure */

#define BLUEZ_CYCLE_US (15 * 60 * INT64_C(1000000)) /* from one power cycle to the next */
#define BLUEZ_FAILURES_MANY 6			    /* in a row, of two devices or more */
#define BLUEZ_FAILURES_ALONE 12			    /* in a row, of one */

/* How far one adapter has come. Zeroed = all is well. */
struct bluez_ladder {
	uint32_t device; /* hash of the first that failed */
	bool several;	 /* another one failed too */
	unsigned failures, links;
	bool stuck, cycled, reported;
	int64_t cycled_us;
};

enum bluez_rung {
	BLUEZ_RETRY,
	BLUEZ_CYCLE, /* switch it off and on */
	BLUEZ_TELL,  /* that did not help, or may not be done: tell somebody, once */
	BLUEZ_WELL,  /* it works again, after somebody was told */
};

enum bluez_rung bluez_ladder_step(struct bluez_ladder *l, const char *device,
	enum bluez_outcome outcome, int64_t now_boot_us);

/* Version of bluetoothd as Adapter1.Modalias tells it ("usb:v1D6Bp0246d0542": Linux Foundation,
 * BlueZ, 5.66): 0x0542. 0: main.conf has another DeviceID. */
uint16_t bluez_version(const char *modalias);
/* What is known to be wrong with it; NULL nothing. */
const char *bluez_version_fault(uint16_t version);
