/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ATT client: transactions and their time, values from the peer, reads, subscriptions, the driver's
 * writes. att.h says what the owner may expect, att_state.h how it is built.
 *
 * Source of formats and codes: Bluetooth Core Specification, Vol 3, Part F (ATT) 3.4 and Part G
 * (GATT) 3 and 4, as also found in the public code of BlueZ (src/shared/att.c, gatt-helpers.c).
 */
#include "att_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util.h"

size_t att_size(void)
{
	return sizeof(struct att);
}

static void send_pdu(struct att *a, const uint8_t *pdu, size_t len)
{
	a->ops.send(a->ops.arg, pdu, len);
}

void att_ask(struct att *a, const uint8_t *pdu, size_t len, int64_t now_ms)
{
	assert(!a->asked && !a->waiting && len <= a->mtu);
	a->asked = pdu[0];
	a->asked_mtu = a->mtu;
	a->due_ms = now_ms + ATT_TRANSACTION_MS;
	send_pdu(a, pdu, len);
}

static void tell(struct att *a, struct att_event e)
{
	a->ops.event(a->ops.arg, &e);
}

static void refuse(struct att *a, size_t index, uint8_t use, uint8_t code)
{
	tell(a, (struct att_event){
			.type = ATT_REFUSED, .index = (int)index, .use = use, .code = code});
}

void att_shut(struct att *a, int index, const char *why)
{
	a->phase = CLOSED;
	a->asked = 0;
	a->waiting = false;
	a->told = 0;
	tell(a, (struct att_event){.type = ATT_CLOSE, .index = index, .why = why});
}

void att_enter(struct att *a, enum phase phase, uint16_t start)
{
	a->phase = phase;
	a->at = 0;
	a->start = start;
}

static uint16_t mtu_agreed(const struct att *a, uint16_t theirs)
{
	return MAX(MIN(a->offered, theirs), (uint16_t)MTU_MIN);
}

static bool exchange_ask(struct att *a, int64_t now_ms)
{
	const uint8_t pdu[] = {MTU_REQ, low(a->offered), high(a->offered)};
	att_ask(a, pdu, sizeof(pdu), now_ms);
	return true;
}

static void exchange_answered(struct att *a, struct buf *b)
{
	uint16_t theirs = buf_le16(b);
	if (b->failed)
		a->ignored++;
	else
		a->mtu = mtu_agreed(a, theirs);
	att_find(a);
}

static void exchange_refused(struct att *a, uint8_t code)
{
	(void)code;
	att_find(a);
}

static void deliver(
	struct att *a, bool indication, uint16_t handle, const uint8_t *bytes, size_t len)
{
	struct att_event e = {.type = indication ? ATT_INDICATED : ATT_NOTIFIED,
		.index = -1,
		.handle = handle,
		.bytes = bytes,
		.len = len};
	for (size_t i = a->n_wants; i--;)
		if (handle && a->wants[i].use & VG_GATT_SUBSCRIBE &&
			a->cache->handles[i].value == handle)
			e.index = (int)i;
	if (e.index < 0 && !indication) {
		a->ignored++;
		return;
	}
	if (indication)
		a->told++;
	tell(a, e);
}

static bool read_ask(struct att *a, int64_t now_ms)
{
	for (; a->at < a->n_wants; a->at++) {
		uint16_t handle = a->cache->handles[a->at].value;
		if (!(a->wants[a->at].use & VG_GATT_READ) || !handle)
			continue;
		const uint8_t pdu[] = {a->value_len ? READ_BLOB_REQ : READ_REQ, low(handle),
			high(handle), low((unsigned)a->value_len), high((unsigned)a->value_len)};
		att_ask(a, pdu, a->value_len ? 5 : 3, now_ms);
		return true;
	}
	att_enter(a, WRITING_FIRST, 0);
	tell(a, (struct att_event){.type = ATT_READY, .index = -1});
	for (size_t i = 0; i < a->n_held; i++) {
		const struct held *h = &a->held[i];
		deliver(a, h->indication, h->handle, h->bytes, h->len);
	}
	return true;
}

static void read_over(struct att *a)
{
	struct att_event e = {
		.type = ATT_VALUE, .index = (int)a->at, .bytes = a->value, .len = a->value_len};
	a->at++;
	a->value_len = 0;
	tell(a, e);
}

static void read_answered(struct att *a, struct buf *b)
{
	size_t came = buf_left(b);
	size_t len = MIN(came, sizeof(a->value) - a->value_len);
	const uint8_t *bytes = buf_bytes(b, len);
	if (len)
		memcpy(a->value + a->value_len, bytes, len);
	a->value_len += len;
	/* A request of the peer may have changed the MTU meanwhile: the smaller one counts. */
	bool more = came + 1 >= MIN(a->asked_mtu, a->mtu) && a->value_len < sizeof(a->value);
	if (!more)
		read_over(a);
}

/* A refused Read Blob says that the value has no more than what came (invalid offset, not long). */
static void read_refused(struct att *a, uint8_t code)
{
	if (a->value_len)
		read_over(a);
	else
		refuse(a, a->at++, VG_GATT_READ, code);
}

static bool subscribe_ask(struct att *a, int64_t now_ms)
{
	for (; a->at < a->n_wants; a->at++) {
		const struct att_handles *h = &a->cache->handles[a->at];
		if (!(a->wants[a->at].use & VG_GATT_SUBSCRIBE) || !h->value)
			continue;
		if (!h->ccc) {
			refuse(a, a->at, VG_GATT_SUBSCRIBE, NOT_FOUND);
			continue;
		}
		const uint8_t pdu[] = {WRITE_REQ, low(h->ccc), high(h->ccc),
			h->properties & PROPERTY_INDICATE ? 2 : 1, 0};
		att_ask(a, pdu, sizeof(pdu), now_ms);
		return true;
	}
	att_enter(a, OPEN, 0);
	tell(a, (struct att_event){.type = ATT_SUBSCRIBED, .index = -1});
	return true;
}

static void subscribe_answered(struct att *a, struct buf *b)
{
	(void)b;
	a->at++;
}

static void subscribe_refused(struct att *a, uint8_t code)
{
	refuse(a, a->at++, VG_GATT_SUBSCRIBE, code);
}

/* Takes it off the queue, so that the event that follows may queue another. */
static size_t write_pop(struct att *a)
{
	struct queued *w = &a->writes[a->writing];
	size_t index = w->index;
	a->n_writes--;
	memmove(w, w + 1, (a->n_writes - a->writing) * sizeof(*w));
	return index;
}

static void write_accepted(struct att *a)
{
	tell(a, (struct att_event){.type = ATT_WRITTEN, .index = (int)write_pop(a)});
}

static void write_refused(struct att *a, uint8_t code)
{
	refuse(a, write_pop(a), VG_GATT_WRITE, code);
}

static void write_answered(struct att *a, struct buf *b)
{
	(void)b;
	write_accepted(a);
}

static void write_send(struct att *a, size_t which, int64_t now_ms)
{
	const struct queued *w = &a->writes[which];
	a->writing = which;
	const struct att_handles *h = &a->cache->handles[w->index];
	if (!h->value) {
		write_refused(a, NOT_FOUND);
		return;
	}
	if (w->len + 3u > a->mtu) {
		write_refused(a, VALUE_LENGTH);
		return;
	}
	bool command = (h->properties & (PROPERTY_WRITE | PROPERTY_COMMAND)) == PROPERTY_COMMAND;
	uint8_t pdu[3 + sizeof(w->bytes)] = {
		command ? WRITE_CMD : WRITE_REQ, low(h->value), high(h->value)};
	memcpy(pdu + 3, w->bytes, w->len);
	if (command) {
		send_pdu(a, pdu, 3 + w->len);
		write_accepted(a);
	} else {
		att_ask(a, pdu, 3 + w->len, now_ms);
	}
}

static bool write_ask(struct att *a, int64_t now_ms)
{
	if (!a->n_writes)
		return false;
	write_send(a, 0, now_ms);
	return true;
}

static bool first_write_ask(struct att *a, int64_t now_ms)
{
	if (a->settle_ms) {
		a->due_ms = now_ms + a->settle_ms;
		a->settle_ms = 0;
		a->waiting = true;
		return true;
	}
	for (size_t i = 0; i < a->n_writes; i++)
		if (a->wants[a->writes[i].index].use & VG_GATT_FIRST) {
			write_send(a, i, now_ms);
			return true;
		}
	att_enter(a, SUBSCRIBING, 0);
	return true;
}

static const struct att_rules exchanging = {exchange_ask, exchange_answered, exchange_refused};
static const struct att_rules reading = {read_ask, read_answered, read_refused};
static const struct att_rules writing_first = {first_write_ask, write_answered, write_refused};
static const struct att_rules subscribing = {subscribe_ask, subscribe_answered, subscribe_refused};
static const struct att_rules writing = {write_ask, write_answered, write_refused};

static const struct att_rules *const phases[] = {
	[BEFORE] = NULL,
	[EXCHANGING] = &exchanging,
	[VERIFYING] = &att_verifying,
	[SERVICES] = &att_services,
	[CHARACTERISTICS] = &att_characteristics,
	[DESCRIPTORS] = &att_descriptors,
	[READING] = &reading,
	[WRITING_FIRST] = &writing_first,
	[SUBSCRIBING] = &subscribing,
	[OPEN] = &writing,
	[CLOSED] = NULL,
};

/* Ends every call from outside: whatever can be sent now is sent. */
static void settle(struct att *a, int64_t now_ms)
{
	while (!a->asked && !a->waiting && phases[a->phase] && phases[a->phase]->ask(a, now_ms))
		;
	a->busy = false;
}

static void answered(struct att *a, uint8_t opcode, struct buf *b)
{
	if (!a->asked || opcode != a->asked + 1) {
		a->ignored++;
		return;
	}
	a->asked = 0;
	a->retries = 0;
	phases[a->phase]->answered(a, b);
}

/* Pairing may be under way: the kernel does it, we only repeat what was refused. */
static bool worth_repeating(const struct att *a, uint8_t code)
{
	return a->phase > VERIFYING && !a->hopeless &&
	       (code == AUTHENTICATION || code == ENCRYPTION || code == ENCRYPTION_KEY_SIZE);
}

static void error_came(struct att *a, struct buf *b, int64_t now_ms)
{
	uint8_t request = buf_u8(b);
	buf_le16(b);
	uint8_t code = buf_u8(b);
	if (b->failed || !a->asked || request != a->asked) {
		a->ignored++;
		return;
	}
	a->asked = 0;
	if (worth_repeating(a, code) && a->retries < a->patience) {
		a->retries++;
		a->waiting = true;
		a->due_ms = now_ms + ATT_RETRY_MS;
		return;
	}
	a->hopeless |= worth_repeating(a, code);
	a->retries = 0;
	phases[a->phase]->refused(a, code);
}

/* Room is kept for all indications, whatever number of notifications comes. */
static void hold(struct att *a, bool indication, uint16_t handle, const uint8_t *bytes, size_t len)
{
	size_t notifications = a->n_held - a->owed;
	if (!indication && notifications == ATT_INDICATIONS_MAX) {
		a->ignored++;
		return;
	}
	struct held *h = &a->held[a->n_held++];
	*h = (struct held){.indication = indication, .handle = handle, .len = (uint16_t)len};
	memcpy(h->bytes, bytes, len);
}

static void value_came(struct att *a, bool indication, struct buf *b)
{
	uint16_t handle = buf_le16(b);
	size_t len = buf_left(b);
	const uint8_t *bytes = buf_bytes(b, len);
	if (b->failed) {
		a->ignored++;
		return;
	}
	if (indication && a->owed == ATT_INDICATIONS_MAX) {
		att_shut(a, -1, "the device does not wait for confirmations");
		return;
	}
	if (indication)
		a->owed++;
	if (a->phase < WRITING_FIRST)
		hold(a, indication, handle, bytes, len);
	else
		deliver(a, indication, handle, bytes, len);
}

/* The peer's own requests: we have no attributes, but a peer without an answer gives up. */
static void serve(struct att *a, uint8_t opcode, struct buf *b)
{
	uint16_t first = buf_le16(b); /* handle, first of a range, or MTU */
	if (opcode == MTU_REQ && !b->failed) {
		const uint8_t pdu[] = {MTU_REQ + 1, low(a->offered), high(a->offered)};
		send_pdu(a, pdu, sizeof(pdu));
		a->mtu = mtu_agreed(a, first);
		return;
	}
	bool known = (opcode >= MTU_REQ && opcode <= WRITE_REQ) || opcode == PREPARE_WRITE_REQ ||
		     opcode == EXECUTE_WRITE_REQ || opcode == READ_MULTIPLE_VARIABLE_REQ;
	uint16_t handle = opcode == MTU_REQ ? 0 : first;
	const uint8_t pdu[] = {ERROR_RSP, opcode, low(handle), high(handle),
		!known		    ? NOT_SUPPORTED
		: opcode == MTU_REQ ? INVALID_PDU
				    : NOT_FOUND};
	send_pdu(a, pdu, sizeof(pdu));
}

static void dispatch(struct att *a, struct buf *b, int64_t now_ms)
{
	uint8_t opcode = buf_u8(b);
	if (b->failed || buf_left(b) >= ATT_MTU || opcode & COMMAND_BIT || opcode == CONFIRMATION)
		a->ignored++;
	else if (opcode == NOTIFICATION || opcode == INDICATION)
		value_came(a, opcode == INDICATION, b);
	else if (opcode == ERROR_RSP)
		error_came(a, b, now_ms);
	else if (opcode % 2)
		answered(a, opcode, b);
	else
		serve(a, opcode, b);
}

void att_init(struct att *a, const struct att_want *wants, size_t n_wants, struct att_cache *cache,
	uint16_t mtu, const struct att_ops *ops)
{
	assert(n_wants <= ATT_CHARACTERISTICS_MAX && mtu >= MTU_MIN && mtu <= ATT_MTU);
	memset(a, 0, sizeof(*a));
	if (n_wants)
		memcpy(a->wants, wants, n_wants * sizeof(*wants));
	a->n_wants = n_wants;
	a->cache = cache;
	a->patience = ATT_RETRIES_MAX;
	a->offered = mtu;
	a->mtu = MTU_MIN;
	a->ops = *ops;
}

void att_expect_no_pairing(struct att *a)
{
	a->patience = ATT_RETRIES_FEW;
}

void att_settle_for(struct att *a, unsigned ms)
{
	a->settle_ms = ms;
}

void att_start(struct att *a, int64_t now_ms)
{
	assert(a->phase == BEFORE);
	a->busy = true;
	att_enter(a, EXCHANGING, 0);
	settle(a, now_ms);
}

void att_input(struct att *a, const uint8_t *pdu, size_t len, int64_t now_ms)
{
	assert(!a->busy && a->phase != BEFORE);
	if (a->phase == CLOSED)
		return;
	struct buf b = buf_of(pdu, len);
	a->busy = true;
	dispatch(a, &b, now_ms);
	settle(a, now_ms);
}

int64_t att_deadline(const struct att *a)
{
	return a->asked || a->waiting ? a->due_ms : INT64_MAX;
}

void att_expire(struct att *a, int64_t now_ms)
{
	assert(!a->busy);
	if (now_ms < att_deadline(a))
		return;
	a->busy = true;
	a->waiting = false;
	if (a->asked)
		att_shut(a, -1, "the device did not answer in time");
	settle(a, now_ms);
}

int att_write(struct att *a, unsigned index, const uint8_t *bytes, size_t len, int64_t now_ms)
{
	if (a->phase == CLOSED)
		return -ENOTCONN;
	bool found = a->phase >= READING;
	if (index >= a->n_wants || (found && !a->cache->handles[index].value))
		return -ENOENT;
	if (len > VG_PDU_MAX || len + 3 > (a->phase > EXCHANGING ? a->mtu : a->offered))
		return -EMSGSIZE;
	if (a->n_writes == ATT_WRITES_MAX)
		return -ENOBUFS;
	struct queued *w = &a->writes[a->n_writes++];
	w->index = index;
	w->len = len;
	if (len)
		memcpy(w->bytes, bytes, len);
	if (!a->busy) {
		a->busy = true;
		settle(a, now_ms);
	}
	return 0;
}

void att_confirm(struct att *a)
{
	if (!a->told)
		return;
	a->told--;
	a->owed--;
	const uint8_t pdu[] = {CONFIRMATION};
	send_pdu(a, pdu, sizeof(pdu));
}

uint32_t att_ignored(const struct att *a)
{
	return a->ignored;
}
