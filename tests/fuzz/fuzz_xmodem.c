/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xmodem fed with a line. Input: a byte of choices (excerpt, check, memory), then steps: a byte that says what
 * happens (bytes come, as they are or with heads and checks made right; the timer runs out; the line is silent in the
 * middle of something; a verdict), for bytes with a length of two bytes before them.
 *
 * Beside the bounds:
 *   - what is appended is what a straightforward receiver takes: the data of the blocks that were acknowledged at once,
 *     in the order of their numbers, from the first one;
 *   - answers are one request, ACK, ACK and a request, or CAN CAN CAN, and never two of them for one frame;
 *   - a file that ended is answered by its verdict and nothing else, ACK only when it was kept;
 *   - an EOT gets nothing before the line was quiet;
 *   - a timer runs, but while a verdict is awaited;
 *   - it does not matter how the line was split;
 *   - scrubbed frames have nothing of the data, stay as good or bad as they were, and are scrubbed once and for all.
 */
#include "vg_mock.h"

extern const struct vg_driver xmodem;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t fuzz_frame(char what, const char *channel, const uint8_t *bytes, size_t len, uint8_t *out,
	size_t size);

enum { SOH = 1, STX = 2, EOT = 4, ACK = 6, NAK = 21, CAN = 24 };
enum { AS_IS, BY_CRC, BY_SUM, BY_BYTE, EXPIRE, KEEP, REFUSE, GAP, STEPS };

#define CONTENT_MAX (1 << 20)

/* What the receiver should have by now. */
static struct {
	bool open, heard, eot; /* eot: the last frame was one */
	bool ended;	       /* the last transfer was acknowledged to its end */
	uint8_t next;
	size_t len;
	vg_ticket waiting; /* for the verdict of a file */
	bool next_begun;   /* a block of the next one ended it: that is not answered */
	unsigned studies;
	vg_ticket settled;
	size_t answers;
} model;
static uint8_t content[CONTENT_MAX];

/* By the definition: the remainder of the division, bit by bit over a register of 17. */
static unsigned crc_of(const uint8_t *data, size_t len)
{
	uint32_t rest = 0;
	for (size_t i = 0; i < 8 * len + 16; i++) {
		unsigned bit = i / 8 < len ? data[i / 8] >> (7 - i % 8) & 1 : 0;
		rest = rest << 1 | bit;
		if (rest & 0x10000)
			rest ^= 0x11021;
	}
	return rest;
}

static size_t data_length(const uint8_t *frame)
{
	return frame[0] == STX ? 1024 : 128;
}

static bool block(const uint8_t *f, size_t len)
{
	return len >= 132 && (f[0] == SOH || f[0] == STX) && f[1] + f[2] == 255 &&
	       (len == data_length(f) + 4 || len == data_length(f) + 5);
}

static bool good_block(const uint8_t *f, size_t len)
{
	if (!block(f, len))
		return false;
	size_t n = data_length(f);
	uint8_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + f[3 + i]);
	if (len == n + 4)
		return f[3 + n] == sum;
	return crc_of(f + 3, n) == (unsigned)(f[3 + n] << 8 | f[4 + n]);
}

static void take(const uint8_t *f)
{
	size_t n = data_length(f);
	bool next = model.open && f[1] == model.next;
	model.len = next ? model.len : 0;
	model.open = next || f[1] || f[3];
	model.ended = !model.open;
	model.next = (uint8_t)(f[1] + 1);
	if (!next && !f[1])
		return;
	MOCK_CHECK(model.len + n <= CONTENT_MAX);
	memcpy(content + model.len, f + 3, n);
	model.len += n;
}

static bool request(uint8_t c)
{
	return c == 'C' || c == NAK;
}

static bool cancelled(const struct vg_session *s)
{
	return s->sent_len == 3 && memcmp(s->sent, "\x18\x18\x18", 3) == 0;
}

static void check_answer(const struct vg_session *s)
{
	MOCK_CHECK(s->sends <= 2 && (!s->sent_len || cancelled(s) || s->sent_len == s->sends));
	MOCK_CHECK(!s->sent_len || cancelled(s) || request(s->sent[0]) || s->sent[0] == ACK);
	MOCK_CHECK(s->sent_len != 2 || (s->sent[0] == ACK && request(s->sent[1])));
	MOCK_CHECK(s->timer_ms || model.waiting || (s->excerpt && !model.heard));
	for (size_t i = 0; i < s->sent_len; i++)
		model.answers = model.answers * 31 + s->sent[i];
	if (!cancelled(s))
		return;
	model.open = false;
	MOCK_CHECK(!s->study_begun || !s->study_len); /* it costs no memory any more */
}

/* What a capture may have in place of byte `i` of the data: the size of a file, the length of a record, padding. */
static bool may_stay(const uint8_t *frame, size_t i, uint8_t c)
{
	const uint8_t *data = frame + 3;
	if (c == 'x' || (frame[1] == 0 && !c))
		return true;
	if (c != data[i])
		return false;
	if (frame[1] == 1 && memcmp(data + 16, "SCPECG", 6) == 0 &&
		((i >= 2 && i < 6) || (i >= 16 && i < 22)))
		return true;
	return c == 0x1a || (frame[1] == 0 && c >= '0' && c <= '9');
}

static void check_scrub(const uint8_t *bytes, size_t len)
{
	uint8_t *once = malloc(len), *twice = malloc(len);
	MOCK_CHECK(once && twice);
	memcpy(once, bytes, len);
	xmodem.scrub(&xmodem, 0, once, len);
	memcpy(twice, once, len);
	xmodem.scrub(&xmodem, 0, twice, len);
	MOCK_CHECK(memcmp(once, twice, len) == 0);
	MOCK_CHECK(block(bytes, len) == block(once, len));
	MOCK_CHECK(good_block(bytes, len) == good_block(once, len));
	if (block(bytes, len)) {
		MOCK_CHECK(memcmp(once, bytes, 3) == 0);
		for (size_t i = 0; i < data_length(bytes); i++)
			MOCK_CHECK(may_stay(bytes, i, once[3 + i]));
	}
	free(once);
	free(twice);
}

/* Only padding is cut off. */
static void check_study(const struct vg_session *s)
{
	MOCK_CHECK(model.open && s->study_len && s->study_len <= model.len);
	MOCK_CHECK(model.len - s->study_len <= 1024);
	MOCK_CHECK(memcmp(s->study, content, s->study_len) == 0);
	MOCK_CHECK(!s->sends);
	model.waiting = s->tickets;
	model.studies = s->studies;
}

static void check_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	bool good = good_block(bytes, len);
	check_scrub(bytes, len);
	MOCK_CHECK(!model.waiting || (!s->sends && !s->emitted && !s->classed));
	model.heard = true;
	model.eot = true;
	for (size_t i = 0; i < len; i++)
		model.eot &= bytes[i] == EOT;
	MOCK_CHECK(!model.eot || (!s->sends && !s->emitted));
	MOCK_CHECK(!s->sent_len || good);
	if (s->sent_len && s->sent[0] == ACK) {
		MOCK_CHECK(bytes[1] <= 1 || s->excerpt || (model.open && bytes[1] == model.next));
		take(bytes);
		MOCK_CHECK(!model.len || (s->study_begun && s->study_len == model.len &&
						 memcmp(s->study, content, model.len) == 0));
	}
	if (len == 2 && bytes[0] == CAN && s->events)
		model.open = false;
	if (s->studies != model.studies) { /* else files end when the line was quiet */
		MOCK_CHECK(good && bytes[1] <= 1 && bytes[1] != model.next);
		check_study(s);
		model.next_begun = true;
	}
	check_answer(s);
}

static void expire(struct vg_session *s)
{
	vg_ticket waiting = model.waiting;
	if (!mock_expire(s))
		return;
	MOCK_CHECK(!waiting);
	if (s->studies != model.studies) {
		check_study(s);
	} else if (model.eot && s->sent_len && s->sent[0] == ACK) { /* no file, or an empty one */
		MOCK_CHECK(model.open || model.ended);
		for (size_t i = 0; model.open && i < model.len; i++)
			MOCK_CHECK(content[i] == 0x1a);
		model.ended = true;
		model.open = false;
	}
	check_answer(s);
}

/* The store thread answers the oldest open unit. */
static void settle(struct vg_session *s, bool keep)
{
	if (model.settled == s->tickets)
		return;
	vg_ticket ticket = ++model.settled;
	bool mine = ticket == model.waiting;
	if (mine)
		model.waiting = 0;
	if (keep)
		mock_kept(s, ticket);
	else
		mock_refused(s, ticket);
	MOCK_CHECK(mine || !s->sends);
	MOCK_CHECK(!mine || (keep ? s->sent_len : cancelled(s)));
	MOCK_CHECK(!mine || !keep || (model.next_begun ? request(s->sent[0]) : s->sent[0] == ACK));
	model.ended |= mine && s->sent[0] == ACK;
	if (mine)
		model.open = model.next_begun = false;
	check_answer(s);
}

/* Heads and checks made right, so that the fuzzer gets behind them. */
static void repair(uint8_t *line, size_t len, bool by_sum)
{
	size_t n = 0;
	for (size_t at = 0; at < len; at += n ? n + (by_sum ? 4 : 5) : 1) {
		uint8_t *f = line + at;
		n = f[0] == SOH || f[0] == STX ? data_length(f) : 0;
		if (!n || len - at < n + 5)
			continue;
		f[2] = f[1] ^ 0xff;
		unsigned crc = crc_of(f + 3, n), sum = 0;
		for (size_t i = 0; i < n; i++)
			sum += f[3 + i];
		f[3 + n] = (uint8_t)(by_sum ? sum : crc >> 8);
		if (!by_sum)
			f[4 + n] = (uint8_t)crc;
	}
}

static void bytes_come(
	struct vg_session *s, const uint8_t *bytes, size_t len, unsigned how, bool split)
{
	uint8_t *line = malloc(len + 1);
	MOCK_CHECK(line);
	memcpy(line, bytes, len);
	if (how == BY_CRC || how == BY_SUM)
		repair(line, len, how == BY_SUM);
	for (size_t i = 0; i < len && split; i++)
		mock_stream(s, line + i, 1);
	if (!split && len)
		mock_stream(s, line, len);
	free(line);
}

static void step(struct vg_session *s, unsigned what)
{
	if (what == EXPIRE)
		expire(s);
	else if (what == GAP)
		mock_gap(s);
	else
		settle(s, what == KEEP);
}

/* Runs all steps; what came of it, in one number. */
static size_t run(const uint8_t *data, size_t size, bool split)
{
	static const char *const checks[] = {"auto", "auto", "crc", "sum"};
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(s);
	memset(&model, 0, sizeof(model));
	s->excerpt = data[0] & 1;
	s->options[0][0] = "check";
	s->options[0][1] = checks[data[0] >> 1 & 3];
	s->starve = data[0] >> 3 & 7;
	s->on_heard = check_heard;
	mock_open(s, &xmodem);
	check_answer(s);
	for (size_t at = 1; at < size;) {
		unsigned what = data[at++] % STEPS;
		if (what >= EXPIRE) {
			step(s, what);
			continue;
		}
		size_t n = at + 2 <= size ? (size_t)(data[at] << 8 | data[at + 1]) : 0;
		at += 2;
		n = at >= size ? 0 : n > size - at ? size - at : n;
		bytes_come(s, data + at, n, what, split || what == BY_BYTE);
		at += n;
	}
	size_t hash = model.answers;
	for (size_t i = 0; i < VG_RESULTS; i++)
		hash = hash * 31 + s->results[i];
	for (size_t i = 0; i < xmodem.state_size; i++)
		hash = hash * 31 + ((const uint8_t *)s->state)[i];
	mock_close(s);
	free(s);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t whole = run(data, size, false), split = run(data, size, true);
	/* Where both checks may come, 132 bytes can be a block and 133 another one. */
	if ((data[0] >> 1 & 3) >= 2)
		MOCK_CHECK(whole == split);
	return 0;
}

size_t fuzz_frame(
	char what, const char *channel, const uint8_t *bytes, size_t len, uint8_t *out, size_t size)
{
	(void)channel;
	if (size < len + 3)
		return 0;
	if (what == 'b') {
		static unsigned n;
		out[0] = (uint8_t)(4 | n++ % 8 << 3); /* CRC; memory for so many blocks */
		return 1;
	}
	if (what == 'w') {
		out[0] = EXPIRE;
		out[1] = KEEP;
		return 2;
	}
	if (what != '<')
		return 0;
	out[0] = BY_CRC;
	out[1] = (uint8_t)(len >> 8);
	out[2] = (uint8_t)len;
	memcpy(out + 3, bytes, len);
	return len + 3;
}
