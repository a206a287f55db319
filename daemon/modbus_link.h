/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A serial line or a TCP address on which Modbus slaves are asked, one question at a time, by libmodbus: it packs
 * questions and cuts answers. Opening, waiting and giving up are not left to it, because it blocks: this side of
 * it never waits, but for the rest of an answer that has begun (modbus_link_hear()).
 *
 * Not thread-safe: a link belongs to one worker.
 */
#pragma once

#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <vitalgate/registers.h>

struct modbus_link;

/* Copies from `d` what it needs: address and format of the line. `wake_fd`: an eventfd that is written when
 * modbus_link_open() should be called again. */
int modbus_link_new(const struct config_device *d, int wake_fd, struct modbus_link **ret);
void modbus_link_free(struct modbus_link *l);

bool modbus_link_is_line(const struct modbus_link *l);
/* -1: closed, or a name is being looked up. It changes with every opening. */
int modbus_link_fd(const struct modbus_link *l);

/* 0: open; -EINPROGRESS: call it again when the descriptor is writable or the wake_fd was written; else closed
 * again. Of a line: -EBUSY another program has it, else as tty_open(). -EMFILE: too many descriptors. */
int modbus_link_open(struct modbus_link *l);
void modbus_link_close(struct modbus_link *l);
/* Of an open line: its path still names it. */
bool modbus_link_stands(const struct modbus_link *l);

/* Sends a question. -errno: the link is lost. */
int modbus_link_ask(struct modbus_link *l, uint8_t unit, const struct vg_registers_block *b);
/* When the descriptor is readable: takes the answer, as a poll record has it. Bytes; 0: it was
 * another slave's, wait on; -why (registers.h). An answer that stops in the middle is waited for, no longer
 * than its bytes take on the line plus a fifth of a second. */
int modbus_link_hear(
	struct modbus_link *l, uint8_t unit, const struct vg_registers_block *b, uint8_t *data);
/* The last thing heard was our own question. */
bool modbus_link_echoes(const struct modbus_link *l);
/* Of a line: forgets what has come unasked; true when that was anything. */
bool modbus_link_drain(struct modbus_link *l);
