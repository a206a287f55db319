/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of the store as the JSON that leaves the gateway: MQTT messages, and the same objects on the
 * console. README "What the platform gets" describes them. No name, ID number, phone or address exists
 * in the store, so none can leave.
 */
#pragma once

#include "db.h"
#include "json.h"
#include "outbox.h"

struct gateway;

/* One object by its row; 1 written, 0 no such row, -errno. `seq` < 0: without. */
int payload_object(const struct gateway *g, struct db *db, enum object kind, int64_t row,
	int64_t seq, struct json *j);
/* Opens {"v":1,"gateway":..,"epoch":..,"<list>":[ ; payload_close ends it. */
void payload_open(const struct gateway *g, enum object kind, struct json *j);
void payload_close(struct json *j);
const char *payload_topic(enum object kind);
