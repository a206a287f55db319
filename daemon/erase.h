/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that is filed under a resident leaves this gateway, and a report says what it was and what of it the
 * platform never had. The token stays, without anything beside it, so that no roster brings the record back. Store thread.
 */
#pragma once

#include "db.h"
#include "json.h"

struct gateway;

/* Whether an alert of this resident waits for somebody, or a critical value for its repeat: 1, 0, -errno. */
int erase_alert_waits(struct db *db, int64_t resident);
/* Writes "deleted", "not_delivered" and "kept" into the open object. 0 or -errno. */
int erase_resident(
	struct gateway *g, struct db *db, int64_t resident, const char *token, struct json *report);
