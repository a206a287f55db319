/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread that asks Modbus slaves. A serial line has one of its own, because the rest of an answer is waited
 * for; all TCP addresses share one, which waits for all of them at once: a peer that is silent costs the others
 * nothing. What it finds goes as news into the hub. On each link one question is open at a time.
 *
 * All calls are the loop's. They may wait until the thread has taken an answer that has just begun
 * (modbus_link.h), never for a slave that is silent.
 */
#pragma once

#include "config.h"
#include "modbus_hub.h"

#include <stdbool.h>
#include <vitalgate/registers.h>

struct modbus_poll;
struct modbus_worker;

/* -errno. The hub outlives the worker. */
int modbus_worker_new(struct modbus_hub *hub, struct modbus_worker **ret);
/* Ends the thread. */
void modbus_worker_free(struct modbus_worker *w);
/* Polls a slave from now on; `turn` counts all slaves. `device` and `profile` last until it is removed. -errno. */
int modbus_worker_add(struct modbus_worker *w, struct modbus *to,
	const struct config_device *device, const struct vg_registers *profile, unsigned turn,
	struct modbus_poll **ret);
/* After it, no news for it comes into the hub. */
void modbus_worker_remove(struct modbus_worker *w, struct modbus_poll *p);
/* It has nobody to ask. */
bool modbus_worker_is_idle(struct modbus_worker *w);
