/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "aggregate.h"

#include <stdlib.h>

struct aggregate {
	struct vg_session *session;
};

struct aggregate *aggregate_new(struct vg_session *s)
{
	struct aggregate *a = calloc(1, sizeof(*a));
	if (a)
		a->session = s;
	return a;
}

void aggregate_add(struct aggregate *a, const struct vg_sample *x, const struct vg_now *now)
{
	(void)a, (void)x, (void)now;
}

void aggregate_tick(struct aggregate *a, const struct vg_now *now)
{
	(void)a, (void)now;
}

void aggregate_close(struct aggregate *a, const struct vg_now *now)
{
	(void)a, (void)now;
}

void aggregate_free(struct aggregate *a)
{
	free(a);
}
