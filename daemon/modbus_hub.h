/* SPDX-License-Identifier: GPL-3.0-or-later */
/* News on their way from the threads that ask Modbus slaves to the loop: lists, handed over whole. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct modbus; /* the transport, modbus.c; here only a name */
struct modbus_hub;

enum modbus_what {
	MODBUS_STATE, /* `word` is its new state */
	MODBUS_ROUND, /* a poll record; with a `word` the slave said something in it */
	MODBUS_DOWN,  /* it is not there any more; `word` says why */
};

struct modbus_news {
	struct modbus_news *next;
	struct modbus *to;
	enum modbus_what what;
	const char *word; /* static */
	size_t len;
	uint8_t record[];
};

/* A list that is being written; `last` is where the next goes. */
struct modbus_list {
	struct modbus_news *first, **last;
	unsigned n;
};
void modbus_list_init(struct modbus_list *l);
/* -ENOMEM. */
int modbus_list_add(struct modbus_list *l, struct modbus *to, enum modbus_what what,
	const char *word, const uint8_t *record, size_t len);
/* Drops what is for `to`. */
void modbus_list_forget(struct modbus_list *l, const struct modbus *to);
void modbus_list_clear(struct modbus_list *l);

/* -errno. */
int modbus_hub_new(struct modbus_hub **ret);
void modbus_hub_free(struct modbus_hub *h);
/* Readable while there is something to take. */
int modbus_hub_fd(const struct modbus_hub *h);
/* By any thread: takes over all of the list, which is empty then. When the loop has not come for thousands
 * of news, rounds are dropped and counted. */
void modbus_hub_put(struct modbus_hub *h, struct modbus_list *l);
/* By the loop: all that there is, and how many rounds were dropped since it last asked. */
void modbus_hub_take(struct modbus_hub *h, struct modbus_list *ret, unsigned *ret_dropped);
void modbus_hub_forget(struct modbus_hub *h, const struct modbus *to);
