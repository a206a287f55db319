/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What aggregate.h promises, written a second time and without thrift: every sample is remembered,
 * every time and every median is worked out anew from the list. Both sides tell what they found as
 * lines of text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_FLAGS 3
extern const char *const model_flags[MODEL_FLAGS];

/* A sample, or time that passed without one. */
struct entry {
	int64_t at_us;
	bool tick;
	int spo2, pulse; /* -1: none */
	unsigned flags;	 /* bits, of model_flags */
};

struct lines {
	size_t len;
	char text[1 << 16];
};

/* One reading as a line: "8.000 97/72 artifact,summary min=95 low=12 artifact=3". */
struct line {
	int64_t at_us;
	int spo2, pulse, least, low_s, artifact; /* -1: none */
	const char *flags[20];
	unsigned n_flags;
};
void lines_reading(struct lines *t, const struct line *l);
void lines_event(struct lines *t, int64_t at_us, const char *type, const char *detail);

struct settings {
	bool continuous;
	int64_t interval_us, steady_us;
	int low;
};

/* All that is to be told of these entries; `closed`: the session ends with the last one. */
void model_run(const struct settings *s, const struct entry *entries, size_t n, bool closed,
	struct lines *out);
