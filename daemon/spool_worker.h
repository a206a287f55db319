/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that looks after one spool directory: a stick that dies or a share whose server is gone makes any call
 * wait, and the loop must not. What it has stands ready for the loop, which is woken; what the loop says wakes it.
 */
#pragma once

#include "config.h"
#include "spool_list.h"

#include <vitalgate/driver.h>

struct spool_worker;

/* Each time that the directory can be used, from when it came to when it went, is a stay; 1 is the first. */
struct spool_news {
	bool there;
	unsigned stay;
	const char *why; /* static: why the stay before this one, or this one, ended */
	uint8_t *bytes;	 /* a whole file of this stay, to be freed; NULL: none */
	size_t len;
};

/* -errno. Nothing of `device` and `driver` is needed once it returns. */
int spool_worker_new(const struct config_device *device, const struct vg_driver *driver,
	const struct spool_pace *pace, struct spool_worker **ret);
/* Ends the thread, or, when it waits for the medium, leaves it to end by itself. */
void spool_worker_free(struct spool_worker *w);
/* Readable when there is news. */
int spool_worker_fd(const struct spool_worker *w);
void spool_worker_take(struct spool_worker *w, struct spool_news *ret);
/* The file of this stay is safe, and is moved away; the next one may come. */
void spool_worker_confirm(struct spool_worker *w, unsigned stay);
/* Ends this stay; the next one begins after a rest. */
void spool_worker_close(struct spool_worker *w, unsigned stay);
/* As ops->state() says it. */
const char *spool_worker_state(const struct spool_worker *w);
