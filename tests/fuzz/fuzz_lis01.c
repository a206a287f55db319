/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lis01 fed with a line. Input: four bytes of choices (excerpt, repair of checksums, and a seed for how
 * the line is split and when units are kept or refused), then the bytes of the line.
 *
 * Beside the bounds:
 *   - at most one answer to a frame, and an answer is one ACK or NAK;
 *   - NAK when something could not be taken;
 *   - no ACK in the callback of a frame that emitted something; it comes from kept(), once, and only
 *     while nothing ended the wait (ENQ, EOT, silence);
 *   - frame() moves on, and cuts the same frames however the line was split;
 *   - what is stored as raw is an R record and never a P record.
 */
#include "vg_mock.h"

extern const struct vg_driver lis01;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STX = 2, ETX = 3, EOT = 4, ENQ = 5, ACK = 6, NAK = 21, ETB = 23 };

static vg_ticket waited_for; /* 0: nothing */
static vg_ticket answered;   /* units before this one are settled */
static size_t frames_hash;

static void check_reading(struct vg_session *s, const struct vg_reading *r)
{
	(void)s;
	MOCK_CHECK(r->raw && r->raw_len && r->raw[0] == 'R');
	MOCK_CHECK(!memchr(r->raw, '\r', r->raw_len) && !memchr(r->raw, '\n', r->raw_len));
	MOCK_CHECK(r->n_quantities == 1 && strcmp(r->kind, "lab") == 0);
	MOCK_CHECK(!r->identity_len || r->taken);
}

static void check_answer(const struct vg_session *s, unsigned most)
{
	MOCK_CHECK(s->sends <= most && s->sent_len == s->sends);
	MOCK_CHECK(!s->sends || s->sent[0] == ACK || s->sent[0] == NAK);
}

static void check_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	MOCK_CHECK(len && (*bytes == STX || *bytes == ENQ || *bytes == EOT));
	MOCK_CHECK(s->classed >= 1);
	check_answer(s, 1);
	if (*bytes != STX) {
		MOCK_CHECK(!s->readings);
		MOCK_CHECK(s->sends == (*bytes == ENQ) && (!s->sends || s->sent[0] == ACK));
		waited_for = 0;
		return;
	}
	MOCK_CHECK(!waited_for || (!s->sends && !s->emitted && !s->starved));
	if (s->starved) {
		MOCK_CHECK(s->sends == 1 && s->sent[0] == NAK);
		return;
	}
	if (!s->emitted)
		return;
	MOCK_CHECK(s->sends == 0);
	waited_for = s->tickets;
}

/* The store thread answers the oldest open unit. */
static void settle(struct vg_session *s, bool keep)
{
	if (answered == s->tickets)
		return;
	vg_ticket ticket = ++answered;
	if (keep)
		mock_kept(s, ticket);
	else
		mock_refused(s, ticket);
	MOCK_CHECK(s->sends == (ticket == waited_for));
	MOCK_CHECK(!s->sends || (s->sent_len == 1 && s->sent[0] == (keep ? ACK : NAK)));
	if (ticket == waited_for)
		waited_for = 0;
}

/* Makes the checksums right, so that the fuzzer gets behind them. */
static void repair(uint8_t *line, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < len; i++) {
		if (line[i] != STX)
			continue;
		uint8_t sum = 0;
		size_t end = i + 1;
		while (end < len && line[end] != ETX && line[end] != ETB)
			sum = (uint8_t)(sum + line[end++]);
		if (end + 2 >= len)
			return;
		sum = (uint8_t)(sum + line[end]);
		line[end + 1] = (uint8_t)digits[sum >> 4];
		line[end + 2] = (uint8_t)digits[sum & 15];
		i = end + 2;
	}
}

static size_t hash_frame(size_t hash, const uint8_t *bytes, size_t len)
{
	while (len && (bytes[len - 1] == '\r' || bytes[len - 1] == '\n'))
		len--;
	for (size_t i = 0; i < len; i++)
		hash = hash * 31 + bytes[i];
	return hash * 31 + 7;
}

static void check_split(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	frames_hash = hash_frame(frames_hash, bytes, len);
	check_heard(s, bytes, len);
}

/* The frames of the whole line at once. */
static size_t hash_whole(const uint8_t *line, size_t len)
{
	size_t hash = 0;
	while (len) {
		struct vg_frame f = lis01.frame(NULL, line, len);
		MOCK_CHECK(f.skip <= len && f.length <= len - f.skip);
		if (f.length)
			hash = hash_frame(hash, line + f.skip, f.length);
		if (!f.skip && !f.length)
			break;
		line += f.skip + f.length;
		len -= f.skip + f.length;
	}
	return hash;
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void run(struct vg_session *s, const uint8_t *line, size_t len, uint32_t seed)
{
	bool quiet = seed & 1; /* no gap and no silence: then the split must not matter */
	for (size_t at = 0; at < len;) {
		size_t n = 1 + random_next(&seed) % 40;
		if (n > len - at)
			n = len - at;
		mock_stream(s, line + at, n);
		at += n;
		uint32_t choice = random_next(&seed);
		if (choice & 1)
			settle(s, choice & 6);
		if (!quiet && (choice & 0x1f0) == 0x1f0)
			mock_gap(s);
		if (!quiet && (choice & 0x3e00) == 0x3e00 && mock_expire(s)) {
			MOCK_CHECK(s->sends == 0);
			waited_for = 0;
		}
	}
	while (answered != s->tickets)
		settle(s, true);
	if (quiet && len < lis01.frame_max)
		MOCK_CHECK(frames_hash == hash_whole(line, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	uint32_t seed = (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3] | 1u << 24;
	size_t len = size - 4;
	uint8_t *line = malloc(len ? len : 1);
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(line && s);
	if (len)
		memcpy(line, data + 4, len);
	if (data[0] & 1)
		repair(line, len);
	waited_for = answered = 0;
	frames_hash = 0;
	s->excerpt = data[0] & 2;
	s->starve = data[0] >> 2 & 15;
	s->on_reading = check_reading;
	s->on_heard = check_split;
	mock_open(s, &lis01);
	run(s, line, len, seed);
	mock_close(s);
	free(s);
	free(line);
	return 0;
}
