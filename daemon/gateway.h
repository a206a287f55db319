/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gateway: everything that is fixed for the life of the process, and the rooms that live in it. The
 * first part is read-only after start and may be used by the store thread; the rest is the loop's.
 */
#pragma once

#include "alert.h"
#include "codes.h"
#include "config.h"
#include "driver.h"
#include "followup.h"
#include "outbox.h"
#include "store.h"

#include <systemd/sd-event.h>

struct gateway {
	const struct config *config;
	struct codes *codes;
	struct alert_rules *rules;
	struct forms *forms;
	struct drivers *drivers;
	uint8_t site_key
		[32]; /* keys the hashes of typed patient ids; made once, never leaves the store */
	char epoch[17]; /* names this database: (epoch, seq) is unique for ever */

	struct outbox *outbox; /* store thread only */

	sd_event *loop;
	struct store *store;
	struct devices *devices;
	struct forward *forward;
	struct control *control;
	struct bluez *bluez;
	int64_t started_boot_us, cleaned_boot_us;
};
