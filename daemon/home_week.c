/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A week of blood pressure at home: the first readings of every morning and evening, the first day left out. */
#include "proposal_state.h"

/* Blood pressure is whole mm[Hg]: codes.csv, bp.sbp and bp.dbp (tests/test_tables.py holds it against this). */
#define PRESSURE_DECIMALS 0

enum { MORNING, EVENING, WINDOWS };

struct count {
	int32_t day;
	unsigned of_day[WINDOWS], of_week[WINDOWS];
	unsigned n, days;
	int64_t sum[PRESSURES];
};

/* Of the local time of day; WINDOWS: neither. */
static int window_of(const struct numbers *n, unsigned hour)
{
	if (hour >= n->home_week_morning_from && hour < n->home_week_morning_to)
		return MORNING;
	return hour >= n->home_week_evening_from && hour < n->home_week_evening_to ? EVENING
										   : WINDOWS;
}

/* Points come in order of taken, so that those of a day stand together. */
static void count_point(
	const struct numbers *n, const struct home_point *p, int32_t first, struct count *c)
{
	struct vg_civil at = clock_civil(p->taken_us);
	int32_t day = day_from(at.year, at.month, at.day);
	int window = window_of(n, at.hour);
	if (window == WINDOWS)
		return;
	if (day != c->day)
		c->of_day[MORNING] = c->of_day[EVENING] = 0;
	bool new_day = !c->of_day[MORNING] && !c->of_day[EVENING];
	c->day = day;
	if (c->of_day[window] == n->home_week_per_window)
		return;
	c->of_day[window]++;
	if (day < first + n->home_week_drop_days)
		return;
	c->of_week[window]++;
	c->n++;
	c->days += new_day;
	c->sum[SYSTOLIC] += p->systolic;
	c->sum[DIASTOLIC] += p->diastolic;
}

static const char *verdict(const struct numbers *n, const struct home_week *w)
{
	if (w->systolic >= n->home_week_sbp_high || w->diastolic >= n->home_week_dbp_high)
		return "high";
	return w->systolic < n->home_week_sbp_normal_below &&
			       w->diastolic < n->home_week_dbp_normal_below
		       ? "normal"
		       : "between";
}

struct home_week home_week(
	const struct numbers *n, const struct home_point *points, size_t n_points, int32_t last)
{
	struct home_week w = {
		.from = last - (int32_t)n->home_week_days + 1, .to = last, .verdict = ""};
	struct count c = {.day = DAY_NONE};
	int64_t begin_us = day_begin_us(w.from), end_us = day_begin_us(last + 1);
	for (size_t i = 0; i < n_points; i++)
		if (points[i].taken_us >= begin_us && points[i].taken_us < end_us)
			count_point(n, &points[i], w.from, &c);
	w.n = c.n;
	w.days = c.days;
	w.valid = c.n && c.n >= n->home_week_at_least && c.days >= n->home_week_at_least_days &&
		  c.of_week[MORNING] && c.of_week[EVENING];
	if (!w.valid)
		return w;
	w.systolic = mean_rounded(c.sum[SYSTOLIC], c.n, PRESSURE_DECIMALS);
	w.diastolic = mean_rounded(c.sum[DIASTOLIC], c.n, PRESSURE_DECIMALS);
	w.verdict = verdict(n, &w);
	return w;
}

struct home_week home_week_before(
	const struct numbers *n, const struct home_point *points, size_t n_points, int32_t day)
{
	for (int32_t last = day - 1; n_points && last >= day - n->home_week_look_back_days;
		last--) {
		struct home_week w = home_week(n, points, n_points, last);
		if (w.valid)
			return w;
	}
	return (struct home_week){.from = DAY_NONE, .to = DAY_NONE, .verdict = ""};
}
