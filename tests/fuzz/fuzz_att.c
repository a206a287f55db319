/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target of the ATT client. The input is a header (MTU, reflexes of the owner) and steps of
 * (op, length, bytes): raw PDUs, answers of a small simulated peripheral, whole or damaged, errors,
 * indications, time, confirmations, writes, new links with the old cache.
 *
 * What must hold, whatever comes: one request at a time; a confirmation only inside att_confirm()
 * and only for an indication that was told; no PDU longer than the MTU; one answer for each request
 * of the peer; nothing but values and refusals before `ready`; nothing at all after `close`; a
 * deadline while an answer is awaited.
 */
#include "../../daemon/att.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define require(x)                                                                \
	do {                                                                      \
		if (!(x)) {                                                       \
			fprintf(stderr, "fuzz_att: line %d: %s\n", __LINE__, #x); \
			abort();                                                  \
		}                                                                 \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How far the runs came: a test that feeds noise can see whether it reached the deep states. */
static struct {
	unsigned pdus, events[ATT_CLOSE + 1], requests, confirmations, links;
} fuzz_seen;

#define REFLEX_CONFIRM 1
#define REFLEX_WRITE 2
#define VALUE_LEN 30 /* longer than one PDU at the smallest MTU */

struct world {
	struct att *att;
	struct att_cache cache;
	int64_t now_ms;
	uint16_t offered, mtu;
	uint8_t reflexes;
	unsigned reflex_writes; /* still to be done from inside events */
	uint8_t outstanding;	/* opcode of the client's request */
	uint8_t request[5];	/* its first bytes: opcode and handles */
	bool peer_asks;		/* the peer's request is being answered */
	bool ready, closed, confirming;
	unsigned told;
};

static const uint8_t vendor[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* The peripheral: handle, type, and for declarations what a list says of it. */
static const struct attribute {
	uint16_t handle, type;
	uint8_t value[19];
	size_t len;
} attributes[] = {
	{0x0001, 0x2800, {0x00, 0x18}, 2},
	{0x0002, 0x2803, {0x02, 0x03, 0x00, 0x00, 0x2a}, 5},
	{0x0003, 0x2a00, {0}, 0},
	{0x0010, 0x2800, {0x10, 0x18}, 2},
	{0x0011, 0x2803, {0x20, 0x12, 0x00, 0x35, 0x2a}, 5},
	{0x0012, 0x2a35, {0}, 0},
	{0x0013, 0x2902, {0}, 0},
	{0x0014, 0x2803, {0x0a, 0x15, 0x00, 0x08, 0x2a}, 5},
	{0x0015, 0x2a08, {0}, 0},
	{0x0020, 0x2800, {0xf0, 0xff}, 2},
	{0x0021, 0x2803, {0x14, 0x22, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		19},
	{0x0022, 0xfff1, {0}, 0},
	{0x0023, 0x2902, {0}, 0},
};
#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static void world_send(void *arg, const uint8_t *pdu, size_t len)
{
	struct world *w = arg;
	require(!w->closed && len >= 1 && len <= w->mtu);
	switch (pdu[0]) {
	case 0x02:
	case 0x04:
	case 0x08:
	case 0x0a:
	case 0x0c:
	case 0x10:
	case 0x12:
		require(!w->outstanding);
		w->outstanding = pdu[0];
		memset(w->request, 0, sizeof(w->request));
		memcpy(w->request, pdu, len < sizeof(w->request) ? len : sizeof(w->request));
		fuzz_seen.requests++;
		break;
	case 0x1e:
		require(w->confirming && w->told && len == 1);
		w->told--;
		fuzz_seen.confirmations++;
		break;
	case 0x01:
	case 0x03:
		require(w->peer_asks);
		w->peer_asks = false;
		break;
	default:
		require(pdu[0] == 0x52);
	}
}

static void world_confirm(struct world *w)
{
	bool outer = w->confirming;
	w->confirming = true;
	att_confirm(w->att);
	w->confirming = outer;
}

static void world_event(void *arg, const struct att_event *e)
{
	struct world *w = arg;
	fuzz_seen.events[e->type]++;
	require(!w->closed && e->index >= -1 && e->index < 4 && (e->bytes || !e->len));
	bool early = e->type == ATT_VALUE || e->type == ATT_REFUSED || e->type == ATT_READY ||
		     e->type == ATT_CLOSE;
	require(w->ready || early);
	if (e->type == ATT_READY) {
		require(!w->ready);
		w->ready = true;
	}
	if (e->type == ATT_CLOSE) {
		require(e->why);
		w->closed = true;
	}
	if (e->type == ATT_INDICATED) {
		require(++w->told <= ATT_INDICATIONS_MAX);
		if (w->reflexes & REFLEX_CONFIRM)
			world_confirm(w);
	}
	if (w->reflexes & REFLEX_WRITE && w->reflex_writes) {
		w->reflex_writes--;
		att_write(w->att, w->reflex_writes % 5, vendor, w->reflex_writes % 17, w->now_ms);
	}
}

static void world_check(const struct world *w)
{
	int64_t deadline = att_deadline(w->att);
	if (w->closed)
		require(deadline == INT64_MAX);
	else if (w->outstanding)
		require(deadline > w->now_ms && deadline <= w->now_ms + ATT_TRANSACTION_MS);
	for (size_t i = 0; w->cache.valid && i < 4; i++) {
		const struct att_handles *h = &w->cache.handles[i];
		require(!h->value || (h->declaration && h->declaration < h->value));
		require(!h->ccc || h->ccc > h->value);
	}
}

static void world_input(struct world *w, const uint8_t *pdu, size_t len)
{
	if (w->outstanding && len && pdu[0] == w->outstanding + 1)
		w->outstanding = 0;
	else if (w->outstanding && len >= 5 && pdu[0] == 0x01 && pdu[1] == w->outstanding)
		w->outstanding = 0;
	if (len >= 3 && (pdu[0] == 0x02 || pdu[0] == 0x03)) {
		uint16_t theirs = (uint16_t)(pdu[1] | pdu[2] << 8);
		uint16_t both = theirs < w->offered ? theirs : w->offered;
		w->mtu = both > w->mtu ? both : w->mtu;
	}
	w->peer_asks = len && pdu[0] % 2 == 0 && pdu[0] != 0x1e && !(pdu[0] & 0x40);
	bool must = w->peer_asks && !w->closed;
	fuzz_seen.pdus++;
	att_input(w->att, pdu, len, w->now_ms);
	require(!must || !w->peer_asks);
	w->peer_asks = false;
}

static uint16_t end_of_service(size_t i)
{
	while (++i < N_ATTRIBUTES && attributes[i].type != 0x2800)
		;
	return i < N_ATTRIBUTES ? (uint16_t)(attributes[i].handle - 1) : 0xffff;
}

/* One entry of a list for attribute i; its length, or 0 when it does not belong there. */
static size_t list_entry(const struct world *w, size_t i, uint8_t *entry)
{
	const struct attribute *at = &attributes[i];
	size_t len = 2;
	entry[0] = (uint8_t)at->handle;
	entry[1] = (uint8_t)(at->handle >> 8);
	if (w->request[0] == 0x10) {
		entry[len++] = (uint8_t)end_of_service(i);
		entry[len++] = (uint8_t)(end_of_service(i) >> 8);
	}
	if (w->request[0] == 0x04) {
		entry[len++] = (uint8_t)at->type;
		entry[len++] = (uint8_t)(at->type >> 8);
		return len;
	}
	if (at->type != (w->request[0] == 0x10 ? 0x2800 : 0x2803))
		return 0;
	memcpy(entry + len, at->value, at->len);
	return len + at->len;
}

/* The list that the outstanding request asks for: entries of one length, within an MTU of 23. */
static size_t peer_list(const struct world *w, uint8_t *pdu)
{
	unsigned start = w->request[1] | w->request[2] << 8;
	unsigned end = w->request[3] | w->request[4] << 8;
	size_t len = 0, each = 0;
	for (size_t i = 0; i < N_ATTRIBUTES; i++) {
		uint8_t entry[23];
		size_t n = list_entry(w, i, entry);
		if (attributes[i].handle < start || attributes[i].handle > end || !n)
			continue;
		if (each && (n != each || len + n > 23))
			break;
		if (!each) {
			each = n;
			pdu[len++] = (uint8_t)(w->request[0] + 1);
			pdu[len++] = w->request[0] == 0x04 ? 1 : (uint8_t)n;
		}
		memcpy(pdu + len, entry, n);
		len += n;
	}
	return len;
}

/* A correct answer to the outstanding request; `seed` chooses the MTU. */
static size_t peer_answer(const struct world *w, uint8_t seed, uint8_t *pdu)
{
	size_t len = 0;
	pdu[len++] = (uint8_t)(w->outstanding + 1);
	if (w->outstanding == 0x02) {
		pdu[len++] = seed;
		pdu[len++] = seed % 3;
	} else if (w->outstanding == 0x0a || w->outstanding == 0x0c) {
		size_t offset = w->outstanding == 0x0c ? w->request[3] : 0;
		for (; offset < VALUE_LEN && len < 23; offset++)
			pdu[len++] = (uint8_t)offset;
	} else if (w->outstanding != 0x12) {
		len = peer_list(w, pdu);
	}
	if (!len) {
		const uint8_t none[] = {0x01, w->outstanding, w->request[1], w->request[2], 0x0a};
		memcpy(pdu, none, sizeof(none));
		len = sizeof(none);
	}
	return len;
}

/* bytes: seed, then up to two changes (position, mask), then how much is cut off. */
static void step_answer(struct world *w, const uint8_t *bytes, size_t len)
{
	uint8_t pdu[64];
	size_t n = peer_answer(w, len ? bytes[0] : 0, pdu);
	for (size_t i = 1; i + 1 < len && i < 4; i += 2)
		pdu[bytes[i] % n] ^= bytes[i + 1];
	if (len > 5)
		n -= bytes[5] % n;
	world_input(w, pdu, n);
}

static void step_link(struct world *w)
{
	static const uint16_t base[] = {0x2a00, 0x2a35, 0x2a08};
	static const uint8_t use[] = {VG_GATT_READ, VG_GATT_SUBSCRIBE | VG_GATT_REQUIRED,
		VG_GATT_READ | VG_GATT_WRITE, VG_GATT_SUBSCRIBE | VG_GATT_WRITE};
	struct att_want wants[4] = {0};
	for (size_t i = 0; i < 3; i++)
		wants[i].uuid = att_uuid16(base[i]);
	memcpy(wants[3].uuid.bytes, vendor, sizeof(vendor));
	for (size_t i = 0; i < 4; i++)
		wants[i].use = use[i];
	if (w->reflexes & 4)
		wants[1].service = att_uuid16(0x1810);
	const struct att_ops ops = {world_send, world_event, w};
	w->outstanding = 0;
	w->told = 0;
	w->ready = w->closed = false;
	w->mtu = 23;
	att_init(w->att, wants, 4, &w->cache, w->offered, &ops);
	att_start(w->att, w->now_ms);
	fuzz_seen.links++;
}

static void step_time(struct world *w, const uint8_t *bytes, size_t len)
{
	int64_t deadline = att_deadline(w->att);
	if (len)
		w->now_ms += bytes[0] * (len > 1 ? bytes[1] : 1);
	else if (deadline != INT64_MAX)
		w->now_ms = deadline;
	if (w->now_ms >= deadline)
		att_expire(w->att, w->now_ms);
}

static void step(struct world *w, uint8_t op, const uint8_t *bytes, size_t len)
{
	uint8_t pdu[5 + 255] = {0x01, w->outstanding, 0x12, 0x00, len ? bytes[0] : 0x0f};
	switch (op % 9) {
	case 0:
		world_input(w, bytes, len);
		break;
	case 1:
	case 2:
		step_answer(w, bytes, len);
		break;
	case 3:
		world_input(w, pdu, 5);
		break;
	case 4: /* indication or notification, of a handle near those that exist */
		pdu[0] = len && bytes[0] & 0x80 ? 0x1b : 0x1d;
		pdu[1] = len ? bytes[0] & 0x3f : 0x12;
		pdu[2] = 0;
		if (len)
			memcpy(pdu + 3, bytes, len);
		world_input(w, pdu, 3 + len);
		break;
	case 5:
		step_time(w, bytes, len);
		break;
	case 6:
		world_confirm(w);
		break;
	case 7:
		if (len)
			att_write(w->att, bytes[0] % 5, bytes + 1, len - 1, w->now_ms);
		break;
	default:
		if (w->closed || (len && bytes[0] == 0xff))
			step_link(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct world w = {.att = malloc(att_size()),
		.now_ms = 1000,
		.offered = (uint16_t)(23 + data[0] * 2 % 495),
		.reflexes = data[1],
		.reflex_writes = 40};
	require(w.att);
	step_link(&w);
	for (size_t i = 2; i + 2 <= size;) {
		uint8_t op = data[i];
		size_t len = data[i + 1];
		i += 2;
		len = len < size - i ? len : size - i;
		step(&w, op, data + i, len);
		world_check(&w);
		i += len;
	}
	free(w.att);
	return 0;
}
