/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One configured instrument: it has a driver, a transport that brings it back whenever it disappears, and at
 * most one session. Loop thread, but for device_load(). The set of them is devices.h.
 */
#pragma once

#include "db.h"
#include "json.h"
#include "policy.h"

#include <vitalgate/driver.h>

struct gateway;
struct capture;
struct device;

/* A device of the policy, not yet started; NULL when memory is short. `policy` is joined, `config` is in it. */
struct device *device_new(
	struct gateway *g, struct policy *policy, const struct config_device *config);
/* Ends the session; units on their way must have come back. */
void device_free(struct device *d);
/* Its row, made when new, and what it left there. On the thread that owns the database. 0, -errno. */
int device_load(struct device *d, struct db *db);
int device_start(struct device *d);
/* Ends connection and session; units on their way to the store still come back to `d`. */
void device_stop(struct device *d);
/* device_load() behind everything on its way to the store, then device_start(). False: out of memory. */
bool device_begin(struct device *d);
/* device_stop(), and device_free() behind the units that are on their way. Short of memory it stays, unused. */
void device_retire(struct device *d);
/* What was counted goes to the store; a capture that nobody fetches is dropped. */
void device_flush(struct device *d, const struct vg_now *now);

const struct config_device *device_config(const struct device *d);
/* Who it is; borrowed until the loop turns. */
struct device_facts {
	const struct config_device *config;
	const char *uid;   /* recorded with its first reading; "" = there was none */
	const char *says;  /* what it said when it was last connected; "" = it was not */
	const char *state; /* of its link */
};
struct device_facts device_facts(const struct device *d);
/* May it run on as it is under `p`, where `config` (NULL: nothing) has its name? */
bool device_unchanged(
	const struct device *d, const struct policy *p, const struct config_device *config);
/* Begins to write down what passes. -EBUSY: that is being done; -ENOMEM. */
int device_capture_start(struct device *d, unsigned seconds);
struct capture *device_capture(struct device *d); /* NULL: there is none */
/* "cuff-1":{"state":..} into an open object. */
void device_json(const struct device *d, struct json *j);
