/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOH = 1, STX = 2, EOT = 4, ACK = 6, NAK = 21, CAN = 24 };

#define START_US INT64_C(60000000) /* it waits so long to be asked */

uint32_t random_below(struct random *r, uint32_t below)
{
	r->state = r->state * 1664525 + 1013904223;
	return below ? (uint32_t)((uint64_t)r->state * below >> 32) : 0;
}

/* blocks */

size_t sender_block(
	uint8_t *out, uint8_t number, const uint8_t *data, size_t len, bool one_k, bool by_sum)
{
	size_t n = one_k ? 1024 : 128;
	out[0] = one_k ? STX : SOH;
	out[1] = number;
	out[2] = (uint8_t)~number;
	memset(out + 3, 0x1a, n);
	memcpy(out + 3, data, len);
	unsigned crc = 0, sum = 0;
	for (size_t i = 3; i < 3 + n; i++) {
		sum += out[i];
		unsigned x = (crc >> 8 ^ out[i]) & 0xff;
		x ^= x >> 4;
		crc = (crc << 8 ^ x << 12 ^ x << 5 ^ x) & 0xffff;
	}
	out[3 + n] = (uint8_t)(by_sum ? sum : crc >> 8);
	out[4 + n] = (uint8_t)crc;
	return n + (by_sum ? 4 : 5);
}

/* the line */

static void put(struct line *l, uint8_t byte)
{
	if (l->n == l->size) {
		l->size = l->size ? 2 * l->size : 4096;
		l->bytes = realloc(l->bytes, l->size * sizeof(l->bytes[0]));
		if (!l->bytes)
			abort();
	}
	l->bytes[l->n].byte = byte;
	l->bytes[l->n++].us = SENDER_NEVER;
}

static void damage(struct line *l, uint8_t byte)
{
	unsigned kind = l->flips ? 0 : random_below(&l->random, 3);
	l->damaged++;
	if (kind == 0)
		put(l, byte ^ (uint8_t)(1 << random_below(&l->random, 8)));
	if (kind == 1)
		put(l, (uint8_t)random_below(&l->random, 256));
	if (kind == 1)
		put(l, byte);
}

void line_send(struct line *l, const uint8_t *bytes, size_t len, int64_t now_us)
{
	l->busy_us = l->busy_us > now_us ? l->busy_us : now_us;
	while (len) {
		size_t piece = 1 + random_below(&l->random, l->piece_max), first = l->n;
		piece = piece < len ? piece : len;
		for (size_t i = 0; i < piece; i++) {
			l->busy_us += l->byte_us;
			if (l->cut_after && ++l->passed > l->cut_after)
				continue;
			bool hit = random_below(&l->random, 1000000) < l->rate && !l->spared;
			l->spared = hit && l->flips ? 1029 : l->spared - (l->spared > 0);
			if (hit)
				damage(l, bytes[i]);
			else
				put(l, bytes[i]);
		}
		if (l->late_max_us)
			l->busy_us += random_below(&l->random, (uint32_t)l->late_max_us);
		if (random_below(&l->random, 1000000) < l->stalls)
			l->busy_us += random_below(&l->random, 14000000);
		for (; first < l->n; first++)
			l->bytes[first].us = l->busy_us;
		bytes += piece;
		len -= piece;
	}
}

int64_t line_next(const struct line *l)
{
	return l->at < l->n ? l->bytes[l->at].us : SENDER_NEVER;
}

size_t line_take(struct line *l, int64_t now_us, uint8_t *out, size_t size)
{
	size_t n = 0;
	while (n < size && l->at < l->n && l->bytes[l->at].us <= now_us)
		out[n++] = l->bytes[l->at++].byte;
	if (l->at == l->n)
		l->at = l->n = 0;
	return n;
}

void line_free(struct line *l)
{
	free(l->bytes);
}

/* the sender */

static void block(struct sender *s, uint8_t number, const uint8_t *data, size_t len, bool one_k,
	int64_t now_us)
{
	uint8_t out[1029];
	size_t n = sender_block(out, number, data, len, one_k, s->by_sum);
	line_send(s->line, out, n, now_us);
	s->wait_us = s->line->busy_us + s->patience_us;
}

static void say(struct sender *s, int64_t now_us)
{
	uint8_t head[128] = {0}, eot = EOT;
	const struct file *f = &s->files[s->file];
	switch (s->stage) {
	case SENDER_HEADER:
		if (s->file < s->n_files) {
			memcpy(head, "T.scp", 5);
			snprintf((char *)head + 6, 100, "%zu 14577001234 100644 0", f->len);
		}
		block(s, 0, head, sizeof(head), false, now_us);
		break;
	case SENDER_DATA:
		s->at_hand = f->len - s->sent;
		bool one_k = s->one_k && s->at_hand > 896; /* the rest in short ones, as sx does */
		s->at_hand = s->at_hand < (one_k ? 1024 : 128) ? s->at_hand : one_k ? 1024 : 128;
		block(s, s->number, f->bytes + s->sent, s->at_hand, one_k, now_us);
		break;
	case SENDER_EOT:
		line_send(s->line, &eot, 1, now_us);
		s->wait_us = s->line->busy_us + s->patience_us;
		break;
	case SENDER_READY:
		s->wait_us = now_us + START_US;
		break;
	case SENDER_CONTENT:
	case SENDER_FAILED:
		s->wait_us = SENDER_NEVER;
	}
}

static void enter(struct sender *s, int stage, int64_t now_us)
{
	s->stage = stage;
	s->tried = 0;
	say(s, now_us);
}

void sender_start(struct sender *s, int64_t now_us)
{
	s->number = 1;
	enter(s, SENDER_READY, now_us);
}

static void answered(struct sender *s, int64_t now_us)
{
	const struct file *f = &s->files[s->file];
	if (s->stage == SENDER_HEADER && s->file == s->n_files) {
		enter(s, SENDER_CONTENT, now_us);
	} else if (s->stage == SENDER_HEADER) {
		s->asked = true; /* it is asked for the data */
		enter(s, SENDER_READY, now_us);
	} else if (s->stage == SENDER_DATA) {
		s->sent += s->at_hand;
		s->number++;
		enter(s, s->sent < f->len ? SENDER_DATA : SENDER_EOT, now_us);
	} else if (s->stage == SENDER_EOT) {
		s->file++;
		s->sent = 0;
		s->number = 1;
		s->asked = false;
		enter(s, s->ymodem ? SENDER_READY : SENDER_CONTENT, now_us);
	}
}

static void again(struct sender *s, int64_t now_us)
{
	if (++s->tried >= s->tries)
		enter(s, SENDER_FAILED, now_us);
	else
		say(s, now_us);
}

void sender_heard(struct sender *s, uint8_t byte, int64_t now_us)
{
	bool cancelled = byte == CAN && s->cancelling;
	s->cancelling = byte == CAN;
	if (s->stage >= SENDER_CONTENT)
		return;
	if (cancelled) {
		enter(s, SENDER_FAILED, now_us);
	} else if (s->stage == SENDER_READY) {
		if (byte != NAK && (byte != 'C' || s->only_sum))
			return;
		s->by_sum = byte == NAK;
		enter(s,
			s->ymodem && !s->asked	? SENDER_HEADER
			: s->files[s->file].len ? SENDER_DATA
						: SENDER_EOT,
			now_us);
	} else if (byte == ACK) {
		answered(s, now_us);
	} else if ((byte == NAK || (byte == 'C' && !s->sent)) &&
		   !(s->stage == SENDER_EOT && s->eot_once)) {
		again(s, now_us);
	}
}

void sender_expired(struct sender *s, int64_t now_us)
{
	if (s->stage == SENDER_READY)
		enter(s, SENDER_FAILED, now_us);
	else
		again(s, now_us);
}
