/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an instrument showed over a stretch of time: how many samples said what, and the times between
 * beats. Pure.
 *
 * A median is of samples, of an even number the lower one. Times between beats count while they are
 * 200..3000 ms; one outside is a beat that was missed, and with it a gap: the step from one beat to the
 * next counts only without one.
 */
#pragma once

#include <stdbool.h>
#include <vitalgate/driver.h>

#define SHOWN_MOST 511			   /* the largest value and pulse */
#define SHOWN_FLAGS_MAX (VG_FLAGS_MAX - 1) /* and one of ours */
/* Every value there can be, with the longest number of samples. */
#define SHOWN_TEXT_MAX (2 * (SHOWN_MOST + 1) * sizeof("511:4294967295") + 120)
#define BEAT_LEAST 200 /* ms */
#define BEAT_MOST 3000

struct sample {
	bool shown, clean;
	int value, pulse;		     /* 0..SHOWN_MOST; pulse -1: none */
	int beats[VG_SAMPLE_QUANTITIES_MAX]; /* ms since the one before; 0: unknown */
	unsigned n_beats;
	int beat_before; /* the one before these; 0: none */
	const char *const *flags;
	size_t n_flags;
};

struct beats {
	uint32_t n, n_steps;   /* a step: from one beat to the next */
	int shortest, longest; /* ms */
	uint64_t squares;      /* of the steps */
};

struct shown {
	uint32_t n, n_pulse;
	uint32_t values[SHOWN_MOST + 1], pulse[SHOWN_MOST + 1];
	int least, most, pulse_least, pulse_most; /* while there are any */
	struct beats beats;
	unsigned n_flags;
	const char *flags[SHOWN_FLAGS_MAX];
};

void shown_clear(struct shown *h);
/* `x` is shown. */
void shown_add(struct shown *h, const struct sample *x);
/* Medians; there are some. */
int shown_value(const struct shown *h);
int shown_pulse(const struct shown *h);
/* Copies at most SHOWN_FLAGS_MAX, and says how many. */
size_t shown_flags(const struct shown *h, const char **flags);
/* All of it as text, "hr 70:3 71:64 beats 71 shortest 801 longest 902 steps 70 squares 81234"; the length. */
size_t shown_write(const struct shown *h, const char *kind, char *out, size_t size);
/* Root of the mean square of the steps, the nearest whole number of ms; there are some. */
int beats_rmssd(const struct beats *b);
