/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sender by the book (Forsberg's reference) and a line with a clock of its own, on which bytes take their time, come
 * in pieces and are damaged. Nothing here knows the receiver.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SENDER_FILES_MAX 4
#define SENDER_NEVER INT64_MAX

/* Length of the block that is written to `out` (1029 bytes are enough). */
size_t sender_block(
	uint8_t *out, uint8_t number, const uint8_t *data, size_t len, bool one_k, bool by_sum);

struct random {
	uint32_t state;
};
uint32_t random_below(struct random *r, uint32_t below);

/* Bytes on their way. Rates are of a million bytes; `flips`: no byte is lost or added, one bit of a block changes. */
struct line {
	struct random random;
	int64_t byte_us;
	uint32_t rate;
	bool flips;
	size_t spared;	    /* flips: bytes until the next one, so that a sum sees all of them */
	unsigned piece_max; /* bytes that come at once */
	int64_t late_max_us;
	uint32_t stalls;  /* of a million pieces: it stands still for up to 14 s */
	size_t cut_after; /* bytes; then nothing passes any more */
	size_t passed, damaged;
	size_t n, at;
	struct {
		int64_t us;
		uint8_t byte;
	} * bytes;
	size_t size;
	int64_t busy_us;
};

void line_send(struct line *l, const uint8_t *bytes, size_t len, int64_t now_us);
int64_t line_next(const struct line *l); /* when something comes */
/* What comes at that moment. */
size_t line_take(struct line *l, int64_t now_us, uint8_t *out, size_t size);
void line_free(struct line *l);

struct file {
	const uint8_t *bytes;
	size_t len;
};

struct sender {
	/* how it is */
	bool ymodem, one_k, only_sum;
	bool eot_once;	     /* it does not listen to NAK behind EOT */
	int64_t patience_us; /* it says again what had no answer for so long */
	unsigned tries;
	struct file files[SENDER_FILES_MAX];
	unsigned n_files;
	struct line *line; /* to the receiver */
	/* how it stands */
	enum {
		SENDER_READY,
		SENDER_HEADER,
		SENDER_DATA,
		SENDER_EOT,
		SENDER_CONTENT,
		SENDER_FAILED
	} stage;
	bool by_sum, asked, cancelling;
	unsigned file, tried;
	size_t sent, at_hand; /* bytes of the file: answered, in the block at hand */
	uint8_t number;
	int64_t wait_us; /* until then for an answer */
};

void sender_start(struct sender *s, int64_t now_us);
void sender_heard(struct sender *s, uint8_t byte, int64_t now_us);
void sender_expired(struct sender *s, int64_t now_us);
