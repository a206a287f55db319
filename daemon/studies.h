/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Brings originals that are stored to the decoder, one after the other, and what it says back to the store. Loop thread. */
#pragma once

#include <stdint.h>

struct gateway;
struct studies;

/* Begins with what an earlier process left undecoded; after store_run(). */
int studies_new(struct gateway *g, struct studies **ret);
/* After the store has ended. */
void studies_free(struct studies *s);
/* Something was committed that may need the decoder. */
void studies_wake(struct studies *s);
/* For tests: decoder_use(), and when to look again after something that may be better by then. */
void studies_use(struct studies *s, const char *path, int64_t limit_us, int64_t again_us);
