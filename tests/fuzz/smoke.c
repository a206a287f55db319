/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzz target without a fuzzer: seeds from captures, mutated with a fixed pseudo-random
 * sequence, so that every machine with a C compiler looks at the same inputs. `make fuzz` does it
 * with libFuzzer.
 *
 *   fuzz_x [EXECUTIONS|SECONDSs] [CAPTURE...]     prints one TAP line: fuzz_x 30s x/a.cap x/b.cap
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_MAX 4096
#define TIMED_BATCH 64
#define SEEDS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target whose input is not just the bytes of the instrument writes each step of a capture as a
 * piece of
 * its input: 'b' the beginning, '<' bytes of `channel`, 'w' a pause, 'k' a verdict. Returns the
 * length. */
__attribute__((weak)) size_t fuzz_frame(char what, const char *channel, const uint8_t *bytes,
	size_t len, uint8_t *out, size_t size);

static struct seed {
	uint8_t *bytes;
	size_t len;
} seeds[SEEDS_MAX];
static size_t n_seeds;
static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (uint32_t)(state >> 32) % below : 0;
}

/* All bytes that the instrument of a capture sends, as one input, and each line as one. */
static void add_seed(const uint8_t *bytes, size_t len)
{
	if (n_seeds == SEEDS_MAX || !len)
		return;
	seeds[n_seeds].bytes = malloc(len);
	if (!seeds[n_seeds].bytes)
		abort();
	memcpy(seeds[n_seeds].bytes, bytes, len);
	seeds[n_seeds++].len = len;
}

static size_t line_bytes(const char *line, uint8_t *out, size_t size)
{
	size_t n = 0;
	unsigned v;
	for (const char *p = line + 2; n < size && sscanf(p, "%2x", &v) == 1; p += 2)
		out[n++] = (uint8_t)v;
	return n;
}

static size_t framed(const char *line, char channel[static 32], uint8_t *out, size_t size)
{
	uint8_t bytes[INPUT_MAX];
	if (sscanf(line, "channel %31s", channel) == 1)
		return 0;
	if (line[0] == '<') {
		size_t n = line_bytes(line + (line[1] == '!'), bytes, sizeof(bytes));
		n = fuzz_frame('<', channel, bytes, n, out, size - 1);
		return n ? n + fuzz_frame('k', NULL, NULL, 0, out + n, size - n) : 0;
	}
	return strncmp(line, "wait", 4) == 0 ? fuzz_frame('w', NULL, NULL, 0, out, size) : 0;
}

static void read_framed(FILE *f)
{
	static char line[3 * INPUT_MAX];
	static uint8_t whole[2 * INPUT_MAX];
	char channel[32] = "";
	size_t at = fuzz_frame('b', NULL, NULL, 0, whole, sizeof(whole));
	while (at < INPUT_MAX && fgets(line, sizeof(line), f))
		at += framed(line, channel, whole + at, sizeof(whole) - at);
	add_seed(whole, at);
}

static void read_capture(const char *path)
{
	static char line[3 * INPUT_MAX];
	uint8_t whole[INPUT_MAX], part[INPUT_MAX];
	size_t at = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		return;
	if (fuzz_frame) {
		read_framed(f);
		fclose(f);
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		size_t n = line[0] == '<' ? line_bytes(line + (line[1] == '!'), part, sizeof(part))
					  : 0;
		add_seed(part, n);
		if (at + n <= sizeof(whole)) {
			memcpy(whole + at, part, n);
			at += n;
		}
	}
	add_seed(whole, at);
	fclose(f);
}

static size_t mutate(uint8_t *out)
{
	size_t len = 0;
	if (n_seeds && draw(8)) {
		const struct seed *s = &seeds[draw((uint32_t)n_seeds)];
		len = s->len < INPUT_MAX ? s->len : INPUT_MAX;
		memcpy(out, s->bytes, len);
	} else {
		for (len = draw(64); len && draw(2);)
			len = draw(512);
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)draw(256);
	}
	for (uint32_t edits = draw(6); edits && len; edits--) {
		size_t at = draw((uint32_t)len);
		switch (draw(5)) {
		case 0:
			out[at] = (uint8_t)draw(256);
			break;
		case 1:
			out[at] ^= (uint8_t)(1u << draw(8));
			break;
		case 2: /* cut a piece out */
			memmove(out + at, out + at + 1, len - at - 1);
			len--;
			break;
		case 3: /* put a byte in */
			if (len < INPUT_MAX) {
				memmove(out + at + 1, out + at, len - at);
				out[at] = (uint8_t)draw(256);
				len++;
			}
			break;
		default:
			len = at;
		}
	}
	return len;
}

static void execute(void)
{
	static uint8_t input[INPUT_MAX + 1];
	size_t len = mutate(input);
	uint8_t *exact = malloc(len ? len : 1); /* so that one byte too far is seen */
	if (!exact)
		abort();
	memcpy(exact, input, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	char *unit = "";
	unsigned long limit = argc > 1 ? strtoul(argv[1], &unit, 10) : 100000, executions = 0;
	const char *name = strrchr(argv[0], '/');
	bool timed = *unit == 's';
	double end = seconds() + (double)limit;
	for (int i = 2; i < argc; i++)
		read_capture(argv[i]);
	for (size_t i = 0; i < n_seeds; i++)
		LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].len);
	while (timed ? executions % TIMED_BATCH || seconds() < end : executions < limit) {
		execute();
		executions++;
	}
	printf("ok 1 - %s: %lu executions, %zu seeds\n1..1\n", name ? name + 1 : argv[0],
		executions, n_seeds);
	for (size_t i = 0; i < n_seeds; i++)
		free(seeds[i].bytes);
	return 0;
}
