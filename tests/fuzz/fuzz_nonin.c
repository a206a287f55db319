/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nonin fed with a line. The input is the bytes of the line; what else is chosen (which format is
 * asked for, repair of the frames, how the line is split, silence, memory that is short) follows
 * from a hash of them, so that a capture as it is can be a seed.
 *
 * Beside the bounds:
 *   - what is heard is a packet: 25 right sums, in one format, the sync bit on frame 1 alone;
 *   - a packet is one sample, never a reading, and has at most one class of its own;
 *   - "low battery" is told once, and of format 7 only; nothing else is told;
 *   - nothing is sent but the choice of a format at the opening, when it was asked for;
 *   - frame() moves on, and cuts the same packets however the line was split.
 */
#include "vg_mock.h"

extern const struct vg_driver nonin;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME = 5, PACKET = 125 };

static uint32_t packets_hash;
static unsigned packets, batteries;

static uint32_t hash_bytes(uint32_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void check_event(struct vg_session *s, const struct vg_event *e)
{
	MOCK_CHECK(e->type == VG_EVENT_DEVICE_ERROR && strcmp(e->detail, "low battery") == 0);
	MOCK_CHECK(batteries == 0);
	batteries += s->starve != 1; /* the mock is about to refuse this one */
}

static void check_packet(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	bool format_7 = bytes[0] & 0x80;
	MOCK_CHECK(len == PACKET);
	for (unsigned i = 0; i < PACKET; i += FRAME) {
		const uint8_t *f = bytes + i;
		unsigned status = f[format_7 ? 0 : 1];
		MOCK_CHECK(format_7 || f[0] == 1);
		MOCK_CHECK((status & 0x81) == (i ? 0x80 : 0x81));
		MOCK_CHECK(((f[0] + f[1] + f[2] + f[3]) & 0xff) == f[4]);
	}
	MOCK_CHECK(s->samples == ++packets);
	MOCK_CHECK(!s->readings && !s->identities && !s->marks && !s->studies && !s->sends);
	MOCK_CHECK(s->classed <= 1 && s->classed == s->results[VG_IMPLAUSIBLE]);
	s->results[VG_IMPLAUSIBLE] = 0;
	MOCK_CHECK(!s->events || (format_7 && bytes[7 * FRAME + 3] & 1));
	MOCK_CHECK(!s->done && !s->timer_ms);
	packets_hash = hash_bytes(packets_hash, bytes, len);
}

/* Makes every fifth byte a right sum, so that the fuzzer gets behind them. */
static void repair(uint8_t *line, size_t len, bool format_7)
{
	for (size_t i = 0; i + FRAME <= len; i += FRAME) {
		uint8_t *f = line + i, *status = f + (format_7 ? 0 : 1);
		if (!format_7)
			f[0] = 1;
		*status = (uint8_t)((*status & 0x7e) | (i % PACKET ? 0x80 : 0x81));
		f[4] = (uint8_t)(f[0] + f[1] + f[2] + f[3]);
	}
}

static uint32_t hash_whole(const uint8_t *line, size_t len)
{
	uint32_t hash = 0;
	while (len) {
		struct vg_frame f = nonin.frame(NULL, line, len);
		MOCK_CHECK(f.skip <= len && f.length <= len - f.skip);
		MOCK_CHECK(f.skip || f.length || len < PACKET);
		hash = hash_bytes(hash, line + f.skip, f.length);
		if (!f.skip && !f.length)
			break;
		line += f.skip + f.length;
		len -= f.skip + f.length;
	}
	return hash;
}

static void run(struct vg_session *s, const uint8_t *line, size_t len, uint32_t seed)
{
	bool quiet = seed & 0x100; /* no silence: then the split must not matter */
	for (size_t at = 0; at < len;) {
		size_t n = 1 + random_next(&seed) % 200;
		if (n > len - at)
			n = len - at;
		mock_stream(s, line + at, n);
		at += n;
		if (!quiet && (random_next(&seed) & 7) == 0)
			mock_gap(s);
	}
	if (quiet)
		MOCK_CHECK(packets_hash == hash_whole(line, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const requests[] = {"none", "2", "7", "none"};
	uint32_t seed = hash_bytes(2166136261u, data, size) | 1u << 31;
	const char *request = requests[seed & 3];
	uint8_t *line = malloc(size ? size : 1);
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(line && s);
	if (size)
		memcpy(line, data, size);
	if ((seed & 0x18) == 0x18)
		repair(line, size, seed & 0x20);
	packets_hash = packets = batteries = 0;
	s->options[0][0] = "request";
	s->options[0][1] = request;
	s->excerpt = seed & 4;
	s->starve = (seed & 0xc0) == 0xc0;
	s->on_event = check_event;
	s->on_heard = check_packet;
	mock_open(s, &nonin);
	MOCK_CHECK(s->sends == (request[0] != 'n' && !s->excerpt));
	MOCK_CHECK(!s->sends || (s->sent_len == 6 && s->sent[4] == request[0] - '0'));
	run(s, line, size, seed);
	mock_close(s);
	free(s);
	free(line);
	return 0;
}
