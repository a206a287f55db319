/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a row of the outbox says. An alert or a visit is made of rows that change, of rules and forms: each revision is
 * written down in the transaction that makes it, and goes as it was, however often. All else follows from rows that stay.
 * Store thread.
 */
#pragma once

#include "json.h"
#include "outbox.h"

struct gateway;

bool outbox_body_kept(enum object kind);
/* Those from this row on. 0, -errno. */
int outbox_bodies_write(const struct gateway *g, struct db *db, int64_t from);
/* The object of a row into the open list; as payload_object(). */
int outbox_body(const struct gateway *g, struct db *db, int64_t row, enum object kind,
	int64_t object, struct json *j);
