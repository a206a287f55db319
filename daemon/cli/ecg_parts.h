/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of `vitalgate ecg` share. What fails is said on stderr by whoever finds it. */
#pragma once

#include "cli.h"

#include <stdint.h>

#define ORIGINAL_MAX (4 * 1024 * 1024) /* as the daemon takes it */
#define DECODE_S 20
#define DECODE_S_MAX 600

/* A recording as the instrument gave it. */
struct original {
	uint8_t *bytes; /* owned */
	size_t len;
	char sha256[65];
};

void original_free(struct original *o);
/* From a file; "-" is the standard input. */
int original_read(const struct cli *cli, const char *path, struct original *ret);
/* From the daemon, piece by piece. `sha256` is what the daemon says it is, or NULL. */
int original_fetch(
	const struct cli *cli, const char *study, const char *sha256, struct original *ret);

/* The object of the sandboxed program vitalgate-ecg; `samples` is its argument, NULL: none. */
json_t *decoder_ask(
	const struct cli *cli, const struct original *o, const char *samples, long long seconds);
