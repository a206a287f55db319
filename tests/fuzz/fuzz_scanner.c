/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scanner fed with a line; how that is split follows from a hash of it.
 *
 *   - each text has one class, and one identity when it is one, however the line was split;
 *   - nothing is a reading, an event or an answer; a text that waits for its end has the timer armed, no other;
 *   - silence ends a text, and nothing is left of it;
 *   - scrubbed it has its length and its line ends, and is scrubbed once and for all.
 */
#include "vg_mock.h"

extern const struct vg_driver scanner;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool ends(uint8_t c)
{
	return c == '\r' || c == '\n' || c == 3;
}

/* What a text without its end is: -1 malformed, 1 somebody, 0 nothing. */
static int is(const uint8_t *text, size_t len)
{
	bool something = false;
	while (len && *text == 2) { /* STX */
		text++;
		len--;
	}
	for (size_t i = 0; i < len; i++) {
		if (i == 64 || text[i] > 0x7e || (text[i] < 0x20 && text[i] != '\t'))
			return -1;
		something |= text[i] != ' ' && text[i] != '\t';
	}
	return something;
}

static void expect(const struct vg_session *s, const uint8_t *line, size_t len, bool silence)
{
	unsigned good = 0, bad = 0;
	size_t from = 0;
	for (size_t i = 0; i <= len; i++) {
		if (i == len ? !silence : !ends(line[i]))
			continue;
		int what = is(line + from, i - from);
		good += what > 0;
		bad += what < 0;
		from = i + 1;
	}
	MOCK_CHECK(s->results[VG_NOTHING] == good && s->results[VG_MALFORMED] == bad);
}

static void check_scrub(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + !len), *again = malloc(len + !len);
	MOCK_CHECK(copy && again);
	if (len)
		memcpy(copy, data, len);
	scanner.scrub(&scanner, 0, copy, len);
	if (len)
		memcpy(again, copy, len);
	scanner.scrub(&scanner, 0, again, len);
	for (size_t i = 0; i < len; i++) {
		bool shown = data[i] > 0x20 && data[i] < 0x7f;
		MOCK_CHECK(copy[i] == again[i] && copy[i] == (shown ? 'x' : data[i]));
	}
	free(copy);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = 2166136261u;
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(s);
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ data[i]) * 16777619u;
	s->options[0][0] = "reads";
	s->options[0][1] = seed & 1 ? "card" : "token";
	mock_open(s, &scanner);
	for (size_t at = 0, n; at < size; at += n) {
		seed = seed * 1664525u + 1013904223u;
		n = 1 + (seed >> 16) % 40;
		n = n < size - at ? n : size - at;
		mock_stream(s, data + at, n);
		MOCK_CHECK(!s->sent_len && !s->readings && !s->events);
		bool waits = !ends(data[at + n - 1]);
		MOCK_CHECK(waits || !s->timer_ms);
	}
	expect(s, data, size, false);
	mock_expire(s);
	expect(s, data, size, true);
	check_scrub(data, size);
	mock_close(s);
	free(s);
	return 0;
}
