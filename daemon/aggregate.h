/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes readings out of what an oximeter or a strap shows all the time: one spot reading when the values
 * are steady and in no doubt, or a summary at intervals with the episodes in between. It works like a
 * part of the driver: what it finds it tells by vg_reading() and vg_event(), in the unit of the
 * callback at hand, and its settings are the device's VG_SAMPLE_OPTIONS; a number that is none, or
 * out of range, is the default. Pure but for that. Time is boot_us alone. Samples of one session are of
 * one kind, at any rate:
 *   "spo2"  quantities spo2 (%) and spo2.pulse (/min)
 *   "hr"    hr (/min), and times between beats since the sample before, hr.rr (ms), oldest first
 * One without its first quantity shows nothing. One without flags is clean. A sample is what is shown
 * until the next one, for 3 s at most. Medians are of samples, of an even number the lower one. Readings
 * have no identity: none is ever merged.
 *
 * Spot: one finger that comes in, is measured, and goes out (nothing shown for 3 s).
 *   - Steady: clean for steady_s without a break, saturation within 2 points, pulse within 8 /min
 *     or 10 % of the lowest. The first such window is a reading, without flags. Where a window
 *     breaks, the next begins; later windows follow one upon the other.
 *   - In doubt: values for 3 x steady_s and no steady window among them. The first such stretch is
 *     a reading with all flags that were seen, or "unsteady" when there were none; the steady one
 *     may still follow.
 *   - Again only 4 points or more below the lowest that was told (a doubtful one below any, a
 *     steady one below steady ones): a fall is never hidden.
 *   - The finger goes out after 3 s of values or more and nothing was told: a failed measurement.
 * Of a strap: steady is a rate within 8 /min or 10 % of the lowest, and one reading is all until it was
 * taken off: a rate that falls is no news.
 *
 * Continuous: every interval_s from the first sample on, a reading with the flag "summary":
 *   spo2, spo2.pulse   medians of clean samples; without any, of those in doubt
 *   spo2.min           of clean samples
 *   spo2.low_s         seconds of clean values below `low`
 *   spo2.artifact      percent of the interval without a clean value
 *   flags              none of doubt: clean samples are in none; without a clean one, all that were seen
 *   of a strap         hr, hr.min, hr.max and hr.artifact
 * Nothing shown in an interval: no reading. At the end of the session a part of 30 s or more is
 * summed up.
 *
 * Episodes, in between: clean values below `low` for 10 s without a clean one above are at once a
 * reading of these, flag "desaturation"; all values below `low` for 30 s, some in doubt, are the
 * same with their flags. Each is told again after a further fall of 4 points. VG_EVENT_EPISODE ends
 * it: values back at `low` for 10 s, nothing shown for 10 s, or the end of the session. A strap has none.
 *
 * Beats of a strap: hr.rr_min and hr.rr_max, the shortest and the longest time between two; of intervals
 * with 20 differences or more hr.rmssd, the root of the mean square of the differences from one time to
 * the next. It is large when the beat is irregular: a hint, and no finding. A time that cannot be
 * (shown.h), a doubt, or 3 s without a sample are a gap, over which there is no difference.
 *
 * `raw` of a reading is what it was made from, as text: each value with its number of samples, then
 * of a summary its milliseconds:
 *   spo2 96:12 97:55 pulse 70:3 71:64 interval 300000 clean 299000 low 0
 *   hr 70:3 71:64 beats 71 shortest 801 longest 902 steps 70 squares 81234 interval ...
 */
#pragma once

#include <vitalgate/driver.h>

struct aggregate;

/* NULL when memory is short. About 20 kB, whatever comes. */
struct aggregate *aggregate_new(struct vg_session *s);
void aggregate_add(struct aggregate *a, const struct vg_sample *x, const struct vg_now *now);
/* Time has passed, perhaps without samples; every few seconds. */
void aggregate_tick(struct aggregate *a, const struct vg_now *now);
/* The session ends: what has begun is summed up, and nothing is told afterwards. */
void aggregate_close(struct aggregate *a, const struct vg_now *now);
void aggregate_free(struct aggregate *a);
