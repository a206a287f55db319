/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What still has to reach a platform: one row per (sink, object, revision), in the same transaction as
 * the object. A row leaves on the receipt that configuration names, never on less; what the platform
 * refuses stays visible and blocks nothing. Runs on the store thread.
 *
 * Alerts first; then what came since the broker was last reached (live); then what waited (backlog). Some
 * slots of the window belong to alerts alone. Rows of one kind that are due together go as one message, studies one
 * by one.
 *
 * The original of a study goes in pieces, each a row, and one at a time: on a slow line an alert waits for
 * one of them at most. A piece that the broker has is not sent again unless the platform asks for it; what
 * stands for the whole is the row of the study: its receipt says that the platform has every piece.
 */
#pragma once

#include "config.h"
#include "db.h"
#include "reading.h"

#include <stdint.h>

#define OUTBOX_ALERT_SLOTS 4 /* of the window, for alerts alone */
#define OUTBOX_PACK_ROWS 64
#define OUTBOX_PACK_BYTES (96 * 1024)

/* Stored in outbox.kind. */
enum object {
	OBJECT_READING,
	OBJECT_ALERT,
	OBJECT_FOLLOWUP,
	OBJECT_EVENT,
	OBJECT_STUDY,
	OBJECT_PIECE, /* of a study's original; its uuid is that of the study */
	OBJECT_DUE,   /* a part of a morning's list */
	OBJECT_KPI,   /* the rates of a month */
	OBJECTS
};
enum outbox_state { OUTBOX_PENDING = 0, OUTBOX_SENT = 1, OUTBOX_REJECTED = 3 };

/* A message for the uplink, handed to the loop through store_post(). */
struct publish {
	struct job job; /* done() sends it and frees it */
	void *gateway;
	unsigned sink;
	uint32_t tag;
	const char *topic; /* static */
	char *payload;	   /* owned */
	size_t len;
};

struct outbox;
struct gateway;

/* `post` is called on the store thread with a publish whose done() the caller has to set. */
struct outbox *outbox_new(struct gateway *g, void (*post)(void *arg, struct publish *p), void *arg);
void outbox_free(struct outbox *o);
void publish_free(struct publish *p);

/* Inside the transaction of the object: one row for every sink. */
int outbox_add(struct outbox *o, struct db *db, enum object kind, int64_t object,
	const struct uuid *uuid, int revision);
/* Forgets unsent older revisions of a state-like object, of which only the last one matters. */
int outbox_supersede(struct db *db, const struct uuid *uuid, int revision);

/* In the transaction, behind all else: writes down what may change without a new revision (outbox_body.h). 0, -errno. */
int outbox_before_commit(struct outbox *o, struct db *db);
int64_t outbox_after_commit(void *outbox, struct db *db, int64_t boot_us);
/* Some row was made due by hand. */
void outbox_look_again(struct outbox *o);
/* At start: rows keep to the platform whose name they were made for, whatever its place in the configuration
 * is now; those of a platform that is gone wait for its return. */
int outbox_name_sinks(struct db *db, const struct config *config);
/* At start: what was sent and not receipted when the process ended is sent again. */
int outbox_recover(struct db *db);

void outbox_up(struct outbox *o, struct db *db, unsigned sink);
void outbox_down(struct outbox *o, unsigned sink);
/* The broker's PUBACK: the slot of the window is free at once; outbox_settle() writes it down, for many of
 * them together. False: settle first, there are too many. The latter: 1: some are left for the next call; 0, -errno. */
bool outbox_landed(struct outbox *o, unsigned sink, uint32_t tag);
int outbox_settle(struct outbox *o, struct db *db, unsigned sink);
int outbox_failed(struct outbox *o, struct db *db, unsigned sink, uint32_t tag, const char *reason);
/* Handed over, and what became of it is not written down yet. */
bool outbox_flying(const struct outbox *o, unsigned sink, int64_t row);
/* A receipt message of the platform (JSON text). Rows it does not know are counted, not an error. */
int outbox_receipts(struct gateway *g, struct db *db, unsigned sink, const char *text, size_t len);
