/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proposal.h"

struct home_week home_week(
	const struct numbers *n, const struct home_point *points, size_t n_points, int32_t last)
{
	(void)points;
	(void)n_points;
	return (struct home_week){
		.from = last - (int32_t)n->home_week_days + 1, .to = last, .verdict = ""};
}

struct home_week home_week_before(
	const struct numbers *n, const struct home_point *points, size_t n_points, int32_t day)
{
	return home_week(n, points, n_points, day - 1);
}
