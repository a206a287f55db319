/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The blood pressure of a visit: two readings of one arm a minute apart, a third when they differ. */
#include "proposal_state.h"

bool bp_numbers(const struct visit_reading *r, const struct visit_value *ret[static PRESSURES])
{
	ret[SYSTOLIC] = reading_value(r, "bp.sbp");
	ret[DIASTOLIC] = reading_value(r, "bp.dbp");
	return ret[SYSTOLIC] && ret[DIASTOLIC];
}

static bool usable(const struct visit_reading *r)
{
	const struct visit_value *v[PRESSURES];
	return !r->doubtful && bp_numbers(r, v) && !v[SYSTOLIC]->comparator &&
	       !v[DIASTOLIC]->comparator;
}

/* The first usable one of the arm from the index on that was taken at `from_us` or later; n_readings: none. */
static size_t next(const struct proposal_input *in, enum arm arm, size_t i, int64_t from_us)
{
	while (i < in->n_readings &&
		(in->readings[i].arm != arm || in->readings[i].taken_us < from_us ||
			!usable(&in->readings[i])))
		i++;
	return i;
}

static void add(struct bp_group *g, const struct visit_reading *r)
{
	const struct visit_value *v[PRESSURES];
	bp_numbers(r, v);
	g->used[g->n++] = r;
	for (int i = 0; i < PRESSURES; i++)
		g->sum[i] += v[i]->milli;
}

/* Whether the two that a group has differ by so much that a third decides. */
static bool differ(const struct proposal_input *in, const struct bp_group *g)
{
	const struct visit_value *a[PRESSURES], *b[PRESSURES];
	bp_numbers(g->used[0], a);
	bp_numbers(g->used[1], b);
	for (int i = 0; i < PRESSURES; i++)
		if (llabs(a[i]->milli - b[i]->milli) > in->numbers->bp_visit_third_over)
			return true;
	return false;
}

static struct bp_group group(const struct proposal_input *in, enum arm arm)
{
	struct bp_group g = {.note = ""};
	const int64_t gap_us = in->numbers->bp_visit_gap_s * CLOCK_SECOND_US;
	size_t i = next(in, arm, 0, INT64_MIN);
	if (i == in->n_readings)
		return g;
	add(&g, &in->readings[i]);
	i = next(in, arm, i + 1, in->readings[i].taken_us + gap_us);
	if (i == in->n_readings) {
		g.note = "single";
		return g;
	}
	add(&g, &in->readings[i]);
	if (!differ(in, &g))
		return g;
	i = next(in, arm, i + 1, in->readings[i].taken_us + gap_us);
	if (i == in->n_readings)
		g.note = "third_needed";
	else
		add(&g, &in->readings[i]);
	return g;
}

void bp_groups(const struct proposal_input *in, struct bp_group ret[static ARMS])
{
	for (int arm = 0; arm < ARMS; arm++)
		ret[arm] = group(in, (enum arm)arm);
}

/* By the means before they are rounded, systolic first. */
static bool at_least_as_high(const struct bp_group *a, const struct bp_group *b)
{
	for (int i = 0; i < PRESSURES; i++) {
		int64_t x = a->sum[i] * b->n, y = b->sum[i] * a->n;
		if (x != y)
			return x > y;
	}
	return true;
}

const struct bp_group *bp_higher(const struct bp_group groups[static ARMS])
{
	const struct bp_group *best = NULL;
	/* of equal ones right stands before left, left before one that nobody annotated */
	for (enum arm arm = ARM_NONE; arm <= ARM_RIGHT; arm++)
		if (groups[arm].n && (!best || at_least_as_high(&groups[arm], best)))
			best = &groups[arm];
	return best;
}

int64_t mean_rounded(int64_t sum, unsigned n, unsigned decimals)
{
	const int64_t step = step_of(decimals), whole = n * step;
	return (2 * sum + whole) / (2 * whole) * step;
}
