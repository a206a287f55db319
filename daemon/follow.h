/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a follower of the alerts is told (control.h): first each that is open, then each revision, a line of JSON each:
 *
 *   {"alert":{..}}             one that is open: the message that the platform gets (payload.h)
 *   {"n":16,"alert":null}      those were all that are open
 *   {"n":17,"alert":{..}}      a revision that came then
 *
 * A follower that says the last `n` it has (since) goes on behind it. Of several revisions since then of one alert it gets the
 * last. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_LINES 32 /* at a time */

struct gateway;

/* How far a follower is. */
struct follow_place {
	bool all;     /* it had the open ones; before: */
	int64_t open; /* the row of the last open one that it had */
	int64_t n;    /* the last revision; -1: it has none, and begins with what is open */
};

/* Is this line a command to follow? It is refused when `since` is no number. */
enum follow_asked { FOLLOW_NO, FOLLOW_YES, FOLLOW_BAD };
enum follow_asked follow_asked(const char *line, size_t len, struct follow_place *ret);
/* Reads on from `at`. `done` is called once on the loop: lines (may be none; NULL: the store failed), where it is then, and
 * whether there are more. The text is borrowed. 0 or -ENOMEM. */
int follow_read(struct gateway *g, const struct follow_place *at,
	void (*done)(
		void *arg, const char *text, size_t len, const struct follow_place *at, bool more),
	void *arg);
