/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One slave as a worker has it: its rounds, and what is told of them, to the loop and in the log. */
#pragma once

#include "config.h"
#include "modbus_hub.h"
#include "modbus_round.h"

struct modbus_poll {
	struct modbus_poll *next;
	struct modbus *to;
	struct modbus_list *news;	    /* of the worker */
	const struct config_device *device; /* borrowed */
	struct modbus_round round;
	bool up;	  /* the loop was told that it is there */
	bool said_absent; /* in the log, since it was last there */
	bool said_echo;
	uint32_t said; /* blocks whose exception is in the log */
	const char *state;
};

/* One word for `vitalgate devices` (transport.h), static. */
void modbus_poll_state(struct modbus_poll *p, const char *state);
/* It is not there any more. */
void modbus_poll_down(struct modbus_poll *p, const char *why);
/* Its round is over. `absence`: its state, when nothing was answered. */
void modbus_poll_end(struct modbus_poll *p, const char *absence, uint64_t now_us);
/* An exception 1 to 3: the profile asks for what is not there. */
void modbus_poll_refused(struct modbus_poll *p, int block, int exception);
