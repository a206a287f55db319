/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of the ATT client, for att.c (transactions, values, reads, subscriptions, writes) and
 * att_find.c (discovery and verification of handles) only.
 *
 * A session walks through phases. Each phase has three rules: what to ask next, what to make of the
 * answer, what to make of an Error Response. A phase sends one request and waits; att.c sees to it
 * that never more than one is outstanding, repeats what needs encryption, and keeps the time.
 */
#pragma once

#include "att.h"

#include <vitalgate/buf.h>

/* An answer has the opcode of its request + 1: requests are even. Bit 6: a command, not answered.
 */
enum {
	ERROR_RSP = 0x01,
	MTU_REQ = 0x02,
	FIND_INFORMATION_REQ = 0x04,
	READ_BY_TYPE_REQ = 0x08,
	READ_REQ = 0x0a,
	READ_BLOB_REQ = 0x0c,
	READ_BY_GROUP_REQ = 0x10,
	WRITE_REQ = 0x12,
	PREPARE_WRITE_REQ = 0x16,
	EXECUTE_WRITE_REQ = 0x18,
	NOTIFICATION = 0x1b,
	INDICATION = 0x1d,
	CONFIRMATION = 0x1e,
	READ_MULTIPLE_VARIABLE_REQ = 0x20,
	COMMAND_BIT = 0x40,
	WRITE_CMD = 0x52,
};

enum {
	INVALID_HANDLE = 0x01,
	INVALID_PDU = 0x04,
	AUTHENTICATION = 0x05,
	NOT_SUPPORTED = 0x06,
	ENCRYPTION_KEY_SIZE = 0x0c,
	NOT_FOUND = 0x0a,
	VALUE_LENGTH = 0x0d,
	ENCRYPTION = 0x0f,
};

enum { PROPERTY_COMMAND = 0x04, PROPERTY_WRITE = 0x08, PROPERTY_INDICATE = 0x20 };

#define MTU_MIN 23

enum phase {
	BEFORE,
	EXCHANGING,
	VERIFYING,
	SERVICES,
	CHARACTERISTICS,
	DESCRIPTORS,
	READING,
	WRITING_FIRST,
	SUBSCRIBING,
	OPEN,
	CLOSED,
};

struct service {
	struct att_uuid uuid;
	uint16_t start, end;
};

/* A value that came before the owner can be told. */
struct held {
	bool indication;
	uint16_t handle, len;
	uint8_t bytes[ATT_MTU - 3];
};

struct queued {
	unsigned index;
	size_t len;
	uint8_t bytes[VG_PDU_MAX];
};

struct att {
	struct att_ops ops;
	struct att_want wants[ATT_CHARACTERISTICS_MAX];
	size_t n_wants;
	struct att_cache *cache;
	uint16_t offered, mtu; /* ours, and what both can */
	uint32_t ignored;
	bool busy; /* inside a call: what the owner asks for meanwhile waits for its end */

	enum phase phase;
	size_t at;	/* want that the phase is at */
	uint16_t start; /* discovery: first handle not seen yet; 0: the range is over */

	uint8_t asked; /* opcode of our outstanding request; 0 none */
	uint16_t asked_mtu;
	bool waiting;	    /* to repeat a request that needs encryption */
	unsigned settle_ms; /* until the first write; 0: it has rested */
	unsigned patience;  /* repetitions of one request */
	bool hopeless;	    /* encryption did not come in time: refuse at once from now on */
	unsigned retries;
	int64_t due_ms; /* of the transaction or of the repetition */

	struct service services[ATT_SERVICES_MAX];
	size_t n_services;

	unsigned owed, told; /* unconfirmed indications, and how many of them the owner knows */
	struct held held[2 * ATT_INDICATIONS_MAX]; /* half of it for notifications */
	size_t n_held;

	uint8_t value[VG_PDU_MAX]; /* of a read that takes several requests */
	size_t value_len;

	struct queued writes[ATT_WRITES_MAX];
	size_t n_writes, writing; /* which of them was sent */
};

struct att_rules {
	/* Sends the next request or moves on; false: there is nothing to do. */
	bool (*ask)(struct att *a, int64_t now_ms);
	/* `b` stands behind the opcode. */
	void (*answered)(struct att *a, struct buf *b);
	void (*refused)(struct att *a, uint8_t code);
};

/* att_find.c: the phases of discovery, and the choice between them. */
extern const struct att_rules att_verifying, att_services, att_characteristics, att_descriptors;
void att_find(struct att *a);

/* att.c: what a phase may do. att_ask() sends a request; att_shut() ends the session (index of the
 * want that it is about, or -1). */
void att_ask(struct att *a, const uint8_t *pdu, size_t len, int64_t now_ms);
void att_enter(struct att *a, enum phase phase, uint16_t start);
void att_shut(struct att *a, int index, const char *why);

static inline uint8_t low(unsigned v)
{
	return (uint8_t)v;
}

static inline uint8_t high(unsigned v)
{
	return (uint8_t)(v >> 8);
}
