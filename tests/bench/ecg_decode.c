/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What decoding an ECG costs, beside what nobody can go below.
 *
 *   ecg_decode ROUNDS SAMPLES FILE
 *     in turns: the reader of vitalgate-ecg over FILE; memcpy and sum of SAMPLES samples of 32 bits; CRC-CCITT over
 *     the bytes of FILE, one look at a table a byte. Prints "decode_ns sum_ns crc_ns" of one go for each round.
 */
#include "ecg/ecg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUND_NS INT64_C(3000000) /* of one measure in one round, at least */

struct work {
	uint8_t *bytes;
	size_t len;
	int32_t *samples, *copy;
	size_t n;
	struct ecg *ecg;
	uint16_t crc_table[256];
};

/* What a compiler cannot leave out, because somebody might look at it. */
static volatile int64_t result;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void decode(struct work *w)
{
	ecg_init(w->ecg);
	ecg_read(w->ecg, w->bytes, w->len);
	result = w->ecg->n_leads;
	ecg_free(w->ecg);
}

static void copy_and_sum(struct work *w)
{
	int64_t sum = 0;
	memcpy(w->copy, w->samples, w->n * sizeof(*w->copy));
	for (size_t i = 0; i < w->n; i++)
		sum += w->copy[i];
	result = sum;
}

static void crc(struct work *w)
{
	unsigned sum = 0xffff;
	for (size_t i = 0; i < w->len; i++)
		sum = (sum << 8 & 0xffff) ^ w->crc_table[sum >> 8 ^ w->bytes[i]];
	result = sum;
}

/* ns of one go */
static double measure(void (*what)(struct work *), struct work *w)
{
	int64_t begin = now_ns(), taken;
	unsigned n = 0;
	do {
		what(w);
		n++;
		taken = now_ns() - begin;
	} while (taken < ROUND_NS);
	return (double)taken / n;
}

static void prepare(struct work *w, const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		die(path);
	w->bytes = malloc(ECG_BYTES_MAX);
	w->samples = malloc(w->n * sizeof(*w->samples));
	w->copy = malloc(w->n * sizeof(*w->copy));
	w->ecg = calloc(1, sizeof(*w->ecg));
	if (!w->bytes || !w->samples || !w->copy || !w->ecg)
		die("memory");
	w->len = fread(w->bytes, 1, ECG_BYTES_MAX, f);
	fclose(f);
	for (size_t i = 0; i < w->n; i++)
		w->samples[i] = (int32_t)(i % 1000) - 500;
	for (unsigned b = 0; b < 256; b++) {
		unsigned sum = b << 8;
		for (unsigned bit = 0; bit < 8; bit++)
			sum = sum & 0x8000 ? sum << 1 ^ 0x1021 : sum << 1;
		w->crc_table[b] = (uint16_t)sum;
	}
	ecg_text_init();
}

int main(int argc, char **argv)
{
	static void (*const all[])(struct work *) = {decode, copy_and_sum, crc};
	static struct work w;
	if (argc != 4)
		return 2;
	w.n = strtoul(argv[2], NULL, 10);
	prepare(&w, argv[3]);
	for (int round = 0; round < atoi(argv[1]); round++) {
		double ns[ELEMENTS(all)];
		for (size_t i = 0; i < ELEMENTS(all); i++) {
			size_t k = round % 2 ? ELEMENTS(all) - 1 - i : i;
			ns[k] = measure(all[k], &w);
		}
		printf("%.1f %.1f %.1f\n", ns[0], ns[1], ns[2]);
	}
	return 0;
}
