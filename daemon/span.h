/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How our own clock ran, span by span: CLOCK_REALTIME minus CLOCK_BOOTTIME stays the same while the clock runs, faster or
 * slower (NTP slews both clocks alike), and moves when somebody sets it. A span is a stretch of one boot between two
 * steps. What was stamped by both clocks tells by itself in which span it was, and can be dated again when a later span
 * is known to be right.
 *
 * What is right: a span in which the kernel once said that a time server disciplines the clock (synced). As long as there
 * is none, the present one, as far as others show a time that cannot be (1970). From one time that can be to another
 * without a time server nobody knows which of them is right: what was stamped stays.
 */
#pragma once

#include "db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAN_STEP_US INT64_C(2000000) /* a leap second, or a time server's correction, is no step */
#define SPANS_MAX 256		      /* that are kept */

struct clock_span {
	int64_t id;
	int64_t from_boot_us, to_boot_us;
	int64_t shift_us; /* CLOCK_REALTIME minus CLOCK_BOOTTIME */
	bool synced;
	bool repaired;
	int64_t repaired_us;	       /* by which shift */
	int64_t reading, study, alert; /* the newest rows when it began */
};

/* Both clocks at one moment. */
struct instant {
	int64_t utc_us, boot_us;
};

/* The clock that is right, and when that was known. */
struct span_truth {
	int64_t shift_us;
	int64_t boot_us;
	bool synced;
};

bool span_same(int64_t shift_us, int64_t other_us);
/* Whether what was stamped so must be dated again; `spans`: all of this boot. What fits none of them was not stamped by
 * this clock; within what a crystal drifts (100 ppm) until the truth was known it is right. */
bool span_wrong(const struct clock_span *spans, size_t n, const struct span_truth *truth,
	const struct instant *at);
/* Whether there is anything that was stamped in this span and must be dated again. */
bool span_doubtful(const struct clock_span *s, const struct span_truth *truth);
/* An instant of which only CLOCK_REALTIME was noted: dated again, if it was in a wrong span. True: it was. */
bool span_map(
	const struct clock_span *spans, size_t n, const struct span_truth *truth, int64_t *utc_us);

/* Store thread. Writes down how the clock runs, as seen at `now`. `synced`: the kernel says so now. 1: it was set since it
 * was last seen, 0, -errno. What was seen before the present span is passed over: `ret_set_us` says by how much the clock
 * was set ahead since then (0: it was not); may be NULL. */
int span_note(struct db *db, const struct instant *now, bool synced, int64_t *ret_set_us);
/* The spans of a boot (16 bytes), oldest first. */
size_t spans_read(struct db *db, const uint8_t *boot_id, struct clock_span out[static SPANS_MAX]);
/* Whether what is old by this clock is old: the present span was synced once, stands for a day, or goes on where a boot
 * left off that was sure of it. A clock that has just jumped ten years ahead must not delete ten years. */
bool span_sure(struct db *db, const struct instant *now);
