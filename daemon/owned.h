/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The residents for whom this gateway makes lists and rates: active ones that no other gateway owns. They are walked
 * in order of their tokens, some at a time, so that nobody waits long for the store thread. Store thread.
 */
#pragma once

#include "db.h"

#include <stdbool.h>
#include <stdint.h>

#define OWNED_PAGE 64

struct owned {
	int64_t id;
	char token[64];
	char birth[24]; /* as on the roster; "": unknown */
	char programmes[64];
	bool contract;		/* there is or was one: the two below */
	int64_t from_us, to_us; /* to: INT64_MAX, it does not end */
};

/* The next ones behind the token `after` (""; from the beginning), at most OWNED_PAGE. Their number, or -errno. */
int owned_next(struct db *db, const char *gateway, const char *after, struct owned *out);
/* The one of this token: 1; 0: there is none, or it is not for this gateway to list; -errno. */
int owned_one(struct db *db, const char *gateway, const char *token, struct owned *ret);

/* "hypertension" in "hypertension;t2dm" */
bool owned_in(const struct owned *o, const char *programme);
/* On the day that begins then. */
bool owned_in_contract(const struct owned *o, int64_t day_begin_us);
