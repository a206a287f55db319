/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gateway: everything that is fixed for the life of the process, and the rooms that live in it. The
 * first part may be used by the store thread; the rest is the loop's.
 */
#pragma once

#include "codes.h"
#include "config.h"
#include "followup.h"
#include "numbers.h"
#include "outbox.h"
#include "rule.h"
#include "store.h"
#include "ws.h"

#include <systemd/sd-event.h>

struct gateway {
	/* What people wrote, for both threads. A reload puts another one in their place between two jobs or in the
	 * middle of one; what was there before lives as long as anybody may look at it (reload.h). */
	const struct config *_Atomic config;
	struct codes *_Atomic codes;
	struct alert_rules *_Atomic rules;
	struct forms *_Atomic forms;
	struct numbers *_Atomic numbers;
	struct ws *_Atomic ws;
	uint8_t site_key
		[32]; /* keys the hashes of typed patient ids; made once, never leaves the store */
	char epoch[17]; /* names this database: (epoch, seq) is unique for ever */

	struct outbox *outbox; /* store thread only, as is: */
	struct alerts_held
		*held; /* what follows at the end of a command (alerts.h); NULL: nothing */

	sd_event *loop;
	struct policy *policy; /* config, codes, rules and forms are in it */
	struct store *store;
	struct devices *devices;
	struct forward *forward;
	struct control *control;
	struct radio *radio; /* NULL: nobody needed Bluetooth yet */
	struct bluez *bluez;
	struct enrolment *enrolment; /* NULL: nobody enrolled anything yet */
	struct ble_turns *turns;
	struct studies *studies;
	struct timekeeper *timekeeper;
	struct watch *watch;   /* the store thread calls watch_expect() */
	struct notify *notify; /* and notify_after_commit() */
	struct digest *digest;
	int64_t started_boot_us, cleaned_boot_us;
	char config_fault[CONFIG_ERROR_MAX]; /* why the file is not what is in force; "" */
};
