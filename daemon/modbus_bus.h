/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A link and the slaves on it. One question at a time: the slave whose turn came first is asked, and after a failure the
 * others go first. A state machine that a worker steps; it waits for nothing but what modbus_link_hear() waits
 * for.
 */
#pragma once

#include "log.h"
#include "modbus_link.h"
#include "modbus_poll.h"

#define MODBUS_NEVER UINT64_MAX

enum modbus_phase {
	MODBUS_CLOSED,	/* a line until `until_us`, a TCP address until somebody's round is due */
	MODBUS_OPENING, /* at most until `until_us` */
	MODBUS_IDLE,
	MODBUS_ASKED,	/* at most until `until_us` */
	MODBUS_RESTING, /* a line after an answer or a failure, until `until_us` */
};

struct modbus_bus {
	struct modbus_bus *next;
	char address[128];
	struct modbus_link *link;
	int epoll_fd; /* of the worker; data.ptr of its events is the bus */
	enum modbus_phase phase;
	struct modbus_poll *polls;  /* not owned */
	struct modbus_poll *at;	    /* ASKED: who */
	int block;		    /* and for what */
	uint64_t until_us, wake_us; /* wake_us: step it then */
	uint64_t quiet_us;	    /* RESTING: do not wait for silence any longer */
	bool ready;		    /* its descriptor has something: step it */
	bool listening;		    /* a line: for answers */
	unsigned failures;	    /* to open it, in a row */
	unsigned gap_us;
	const char *trouble; /* as it was logged; NULL: none */
	struct log_limit said_trouble, said_open;
};

/* CLOCK_MONOTONIC. */
uint64_t modbus_now_us(void);

/* `wake_fd`: modbus_link_new(). -errno. */
int modbus_bus_new(
	const struct config_device *device, int epoll_fd, int wake_fd, struct modbus_bus **ret);
void modbus_bus_free(struct modbus_bus *b);
void modbus_bus_add(struct modbus_bus *b, struct modbus_poll *p);
/* False: it is not on this bus. */
bool modbus_bus_remove(struct modbus_bus *b, const struct modbus_poll *p);

/* It is time, or there is something: then step() goes on as far as it goes without waiting. */
bool modbus_bus_wants(const struct modbus_bus *b, uint64_t now_us);
void modbus_bus_step(struct modbus_bus *b);

/* Something may come at any moment. */
static inline bool modbus_bus_waits(const struct modbus_bus *b)
{
	return b->phase == MODBUS_ASKED || b->phase == MODBUS_OPENING;
}
