/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watches our own clock on the loop: hears at once when it is set (a timer that the kernel cancels then), asks every few
 * seconds whether a time server disciplines it, and has the store note what it sees and repair what came before
 * (repair.h).
 */
#pragma once

struct gateway;
struct timekeeper;

/* Looks at once: call it after store_run() and before devices are started. */
int timekeeper_new(struct gateway *g, struct timekeeper **ret);
/* After the store has ended. */
void timekeeper_free(struct timekeeper *t);
