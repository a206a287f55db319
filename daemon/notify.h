/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens on the spot when alerts change, with or without a line to the platform: whoever follows is woken
 * (control.h), and the site's own program is run (alerting.hook; hook.h).
 *
 * The program is told of each page: when an alert is raised, raised higher, or goes to the next person; and once that it is
 * over or was acknowledged. It is run as
 *
 *   PROGRAM SEVERITY PHASE ID page|over      the alert's message (payload.h) on stdin
 *
 * one after the other, critical ones first, and always with what is so by then. What it was told is written down when it has
 * ended: after a crash it is told again. What fails is told as event hook_failed, and tried again with the next page; a
 * critical one, and that something is over, up to three times more, a minute apart. Loop thread.
 */
#pragma once

#include "db.h"

#include <stdint.h>

struct gateway;
struct notify;

/* After store_run(): begins with what nobody was told of yet. */
int notify_new(struct gateway *g, struct notify **ret);
/* After the store has ended. Ends a program that runs. */
void notify_free(struct notify *n);
/* The configuration is another one now. */
void notify_follow(struct notify *n);
/* Store thread, after each COMMIT. `n` may be NULL. */
void notify_after_commit(struct notify *n, struct db *db);
/* For tests: when what failed is tried again. */
void notify_use(struct notify *n, int64_t again_us);
