/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a program of the site for an alert: a siren, a relay, an SMS modem. No shell, no environment of ours, no descriptor;
 * one at a time, in a process group of its own, which is killed when its time is over, and when it ends: nothing stays
 * behind. When the daemon itself is killed, systemd ends it with the unit's control group; without systemd it runs on to its
 * own end. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define HOOK_WORDS_MAX 6

struct hook;

/* `why`: NULL, it ended with status 0; else short English. Borrowed. */
typedef void (*hook_done_t)(void *arg, const char *why);

int hook_new(sd_event *loop, struct hook **ret);
/* Ends a run that is on its way; nobody is told. */
void hook_free(struct hook *h);
bool hook_runs(const struct hook *h);
/* `input` is its stdin, `words` its arguments, NULL at the end. 0: `done` follows, once; -EBUSY; -errno: it could not be
 * started. */
int hook_run(struct hook *h, const char *path, const char *const words[], const char *input,
	size_t len, int64_t limit_us, hook_done_t done, void *arg);
