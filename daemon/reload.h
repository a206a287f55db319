/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which policy a running gateway follows: the files as they are, the last good copy of them when they are broken
 * at start, and another policy on SIGHUP. A broken file changes nothing and is told loudly: a typo must not
 * silence a village. Loop thread.
 */
#pragma once

#include "gateway.h"
#include "policy.h"

/* Loads `path`, else the copy in `lastgood`, and follows it; g->config_fault then says why. -EINVAL: neither can
 * be taken, said in the log. */
int reload_first(struct gateway *g, const char *path, const char *lastgood);
/* Once store and rooms are there: tells a fault as an event, or keeps the good files as the last good ones. */
void reload_settle(struct gateway *g, const char *path, const char *lastgood);
/* Reads `path` again, tells every difference in the log and follows it. -EINVAL: refused, all stays as it was. */
int reload_again(struct gateway *g, const char *path, const char *lastgood);

/* One device more, less or other, and nothing else is read again: policy_change(). The devices that it leaves alone
 * run on. `author` says in the log who wants it. -errno with `error`: all stays as it was. */
int reload_device(struct gateway *g, const char *id, const struct config_device *d,
	const char *author, char *error, size_t error_size);

/* Whoever points into a policy joins it. The last one to leave frees it, behind all jobs that may look into it. */
struct policy *policy_join(struct policy *p);
void policy_leave(struct gateway *g, struct policy *p);
