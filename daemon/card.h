/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cards and barcodes that say who stands at a station. Of a card's number only a keyed hash is ever kept: it can be
 * recognised and not told. Store thread, but for card_hash().
 */
#pragma once

#include "reading.h"

struct gateway;

#define CARD_HASH 32

/* Of what a reader reads, or a person types: blanks around it are no part of it, small letters count as capitals.
 * False: there is nothing in it. */
bool card_hash(
	const uint8_t key[static 32], const void *id, size_t len, uint8_t out[static CARD_HASH]);
/* Whose it is; 0: nobody's. */
int64_t card_resident(struct db *db, const uint8_t hash[static CARD_HASH]);
/* It is this one's from now on; resident 0: nobody's. -EALREADY: that is so; -errno. */
int card_give(
	struct db *db, const uint8_t hash[static CARD_HASH], int64_t resident, const char *author);

/* A card or a barcode was held to an instrument: whose it is is checked in where that stands. Whoever holds something that
 * is nobody's is somebody else than who is checked in: that one is checked out. 0, -errno. */
int card_presented(
	struct gateway *g, struct db *db, const struct unit *u, const struct happening *e);
