/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configured instruments, and what a new policy makes of them. Loop thread. */
#pragma once

#include "json.h"

#include <stdbool.h>

struct gateway;
struct policy;
struct devices;
struct capture;

/* Makes the rows of all configured devices; before the store thread runs. */
int devices_new(struct gateway *g, struct devices **ret);
/* The devices of `p`: what is unchanged runs on, what is new or changed is started, what is gone ends. */
void devices_follow(struct devices *d, struct policy *p);
/* Starts the transports. */
int devices_start(struct devices *d);
/* Ends connections and sessions; units on their way to the store still come back to `d`. */
void devices_stop(struct devices *d);
/* After the store has ended. */
void devices_free(struct devices *d);
/* Begins to write down what passes on a device. -ENOENT: there is no such device; -EBUSY: it is being captured;
 * -ENOMEM. */
int devices_capture_start(struct devices *d, const char *id, unsigned seconds);
/* NULL: none was begun, or nobody fetched it for a while. Owned by `d`. */
struct capture *devices_capture(struct devices *d, const char *id);
/* Device `i`, in order; false behind the last. */
struct device_facts;
bool devices_facts(const struct devices *d, unsigned i, struct device_facts *ret);
/* Does another one than `id` say, or did it say, the same serial number? Then nobody knows which of both is genuine. `d` NULL: no. */
bool devices_namesake(const struct devices *d, const char *id, const char *uid);
/* "live":{"cuff-1":{"state":..},...} into an open object. */
void devices_json(const struct devices *d, struct json *j);
