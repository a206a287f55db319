/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes readings out of what an instrument shows all the time: one spot reading when the values are
 * steady and in no doubt, or a summary at intervals with the episodes in between. It works like a part
 * of the driver: what it finds it tells by vg_reading() and vg_event(), in the unit of the callback at
 * hand, and its settings are the device's VG_SAMPLE_OPTIONS. Pure but for that.
 */
#pragma once

#include <vitalgate/driver.h>

struct aggregate;

/* NULL when memory is short. */
struct aggregate *aggregate_new(struct vg_session *s);
void aggregate_add(struct aggregate *a, const struct vg_sample *x, const struct vg_now *now);
/* Time has passed, perhaps without samples; every few seconds. */
void aggregate_tick(struct aggregate *a, const struct vg_now *now);
/* The session ends: an interval that has begun is summed up. */
void aggregate_close(struct aggregate *a, const struct vg_now *now);
void aggregate_free(struct aggregate *a);
