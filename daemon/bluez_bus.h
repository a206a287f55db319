/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the rooms behind bluez.h share, and nobody else includes: bluez.c holds the bus and hands
 * what bluetoothd tells to the room of its interface; bluez_adapter.c, bluez_device.c,
 * bluez_scan.c, bluez_pair.c, bluez_forget.c and bluez_watch.c each own one part of struct bluez.
 */
#pragma once

#include "bluez.h"
#include "bluez_watch.h"

#include <stddef.h>
#include <systemd/sd-bus.h>

#define BLUEZ_ADAPTERS_MAX 8
#define BLUEZ_WATCHERS_MAX 256
#define BLUEZ_FORGETTING_MAX 4
#define BLUEZ_PATH_MAX 48 /* "/org/bluez/hci255/dev_C0_11_22_33_44_55" */

#define BLUEZ_OBJECTS "org.freedesktop.DBus.ObjectManager"
#define BLUEZ_PROPERTIES "org.freedesktop.DBus.Properties"
#define BLUEZ_ADAPTER "org.bluez.Adapter1"
#define BLUEZ_DEVICE "org.bluez.Device1"

struct bluez_devices;
struct bluez_scan;
struct bluez_pair;
struct bluez_advert;
struct bluez_seen;

struct bluez_adapter {
	struct bluez *bluez;
	char path[32];	  /* "/org/bluez/hci0"; "" = free slot */
	char address[18]; /* "" = unknown */
	bool random, powered;
	bool asked, failed; /* to be switched on, since it appeared */
	bool said_failed;
	sd_bus_slot *call; /* that switches it */
	struct {
		bool on, duplicates; /* our session of discovery, as bluetoothd has it */
		bool said_failed;
		sd_bus_slot *call;
		uint64_t again_us; /* it was refused: not before */
	} discovery;
};

struct bluez_forgetting {
	unsigned calls; /* under way, one for each adapter; 0 = free */
	sd_bus_slot *slots[BLUEZ_ADAPTERS_MAX];
	int result;
	void (*done)(void *arg, int result);
	void *arg;
};

struct bluez_watchdog {
	sd_event_source *timer;
	sd_bus_slot *ping;
	bool hung;
	struct bluez_guarded {	 /* outlives restarts of bluetoothd */
		char adapter[8]; /* "" = free */
		struct bluez_ladder ladder;
	} guarded[BLUEZ_ADAPTERS_MAX];
	uint16_t version; /* of bluetoothd, as it was last named: 0x0542 = 5.66 */
	bluez_trouble_told told;
	void *arg;
};

struct bluez {
	sd_event *loop;
	sd_event_source
		*timer; /* opens the bus, asks for a snapshot, or switches on: what is due */
	sd_bus *bus;
	bool lost;	       /* the bus is to be closed and opened again */
	sd_bus_slot *snapshot; /* the call under way */
	char owner[64];	       /* unique name that the snapshot came from; "" = there is none */
	const char *trouble;   /* what the log said last; NULL = all is well */
	struct bluez_adapter adapters[BLUEZ_ADAPTERS_MAX];
	struct bluez_devices *devices;
	struct bluez_scan *scan;
	struct bluez_pair *pair;
	struct bluez_forgetting forgetting[BLUEZ_FORGETTING_MAX];
	struct bluez_watchdog watchdog;
	struct bluez_watcher {
		void (*changed)(void *arg); /* NULL = free slot */
		void *arg;
	} watchers[BLUEZ_WATCHERS_MAX];
};

/* bluez.c */

/* Reads a{sv}: `property` gets each name and must take the variant off `m`. 0 or -errno. */
typedef int (*bluez_property)(void *arg, const char *name, sd_bus_message *m);
int bluez_read_dict(sd_bus_message *m, bluez_property property, void *arg);
uint64_t bluez_now_us(const struct bluez *b); /* CLOCK_BOOTTIME of the loop's turn */
void bluez_changed(struct bluez *b);	      /* tells the watchers */
/* Fires once in `in_us`. */
void bluez_arm(sd_event_source *timer, uint64_t in_us);
/* The same for the timer that opens the bus and switches on. */
void bluez_again(struct bluez *b, uint64_t in_us);

/* bluez_adapter.c */

int bluez_adapter_read(struct bluez *b, const char *path, sd_bus_message *m); /* takes a{sv} */
bool bluez_adapter_gone(struct bluez *b, const char *path); /* true: it was there */
void bluez_adapters_forget(struct bluez *b);
void bluez_adapters_switch_on(struct bluez *b);
void bluez_adapters_switch_on_again(struct bluez *b);
/* Off, and on again by itself as soon as it is seen to be off. */
void bluez_adapter_cycle(struct bluez_adapter *a);
const char *bluez_adapter_name(const struct bluez_adapter *a);
struct bluez_adapter *bluez_adapter_ready(const struct bluez *b, const char *name);

/* bluez_device.c */

enum bluez_told {
	BLUEZ_TOLD_ALL,	   /* answers, however many: all properties */
	BLUEZ_TOLD_NEW,	   /* a new object with all its properties */
	BLUEZ_TOLD_CHANGE, /* properties that changed */
};

int bluez_devices_new(struct bluez *b);
void bluez_devices_free(struct bluez *b);
/* Takes a{sv}. */
int bluez_device_read(struct bluez *b, const char *path, sd_bus_message *m, enum bluez_told how);
void bluez_device_gone(struct bluez *b, const char *path);
void bluez_devices_forget(struct bluez *b);
const struct bluez_seen *bluez_device_at(const struct bluez *b, const char *path); /* or NULL */
/* `s` of bluez_scan_find(). */
void bluez_device_path(const struct bluez_seen *s, char ret[BLUEZ_PATH_MAX]);
/* Paths under which bluetoothd knows a device, one for each adapter. Returns how many. */
size_t bluez_device_paths(
	const struct bluez *b, const char *address, char ret[BLUEZ_ADAPTERS_MAX][BLUEZ_PATH_MAX]);

/* bluez_scan.c */

int bluez_scan_new(struct bluez *b);
void bluez_scan_free(struct bluez *b);
void bluez_scan_heard(struct bluez *b, const struct bluez_advert *a);
/* Begins and ends discovery as it is wished now. */
void bluez_scan_settle(struct bluez *b);
bool bluez_scan_quiet(const struct bluez *b); /* no discovery of ours runs, begins or ends */

/* bluez_pair.c */

int bluez_pair_new(struct bluez *b);
void bluez_pair_free(struct bluez *b);
void bluez_pair_lost(struct bluez *b);	       /* bluetoothd went: what was under way has failed */
void bluez_pair_proceed(struct bluez *b);      /* discovery may have ended */
bool bluez_pair_active(const struct bluez *b); /* nobody may discover meanwhile */

/* What an error of bluetoothd comes to, as bluez_pair.h says. */
int bluez_error_result(const sd_bus_error *e);

/* bluez_forget.c */

void bluez_forgetting_lost(struct bluez *b);
void bluez_forgetting_free(struct bluez *b);

/* bluez_watch.c */

int bluez_watchdog_new(struct bluez *b);
void bluez_watchdog_free(struct bluez *b);
void bluez_watchdog_lost(struct bluez *b);
/* The adapter is off or gone, and its links with it. */
void bluez_watchdog_unlinked(struct bluez *b, const char *adapter);
void bluez_watchdog_answered(struct bluez *b, bool yes); /* whether bluetoothd answers calls */
void bluez_watchdog_version(struct bluez *b, const char *modalias);
