/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The numbers of the follow-up rules, from config/followup.csv: every one of them is needed, and no other is known.
 * Pure after loading.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* N(rule, name): whole numbers; M(rule, name): measured values, in thousandths of the unit. */
#define NUMBERS(N, M)                  \
	N(identity, idle_s)            \
	N(identity, uncompared_s)      \
	N(identity, hut_minutes)       \
	N(identity, undo_minutes)      \
	N(measure, bp)                 \
	N(measure, spo2)               \
	N(measure, weight)             \
	N(measure, temperature)        \
	N(measure, glucose)            \
	N(measure, other)              \
	N(bp_visit, gap_s)             \
	M(bp_visit, third_over)        \
	M(goal_htn, sbp_below)         \
	M(goal_htn, dbp_below)         \
	M(goal_htn, sbp_below_from_65) \
	N(goal_htn, older_age)         \
	M(goal_t2dm, fasting_below)    \
	M(goal_t2dm, fasting_above)    \
	M(urgent, sbp)                 \
	M(urgent, dbp)                 \
	M(urgent, glucose_high)        \
	M(urgent, glucose_low)         \
	M(urgent, temp_above)          \
	M(urgent, heart_rate_above)    \
	M(urgent, pregnant_sbp)        \
	M(urgent, pregnant_dbp)        \
	M(urgent, pregnant_fasting)    \
	N(next, months)                \
	N(next, refollow_days)         \
	M(hypo, at_most)               \
	N(hypo, episode_minutes)       \
	N(aux, days)                   \
	N(height, adult_age)           \
	N(height, child_days)          \
	N(home_week, morning_from)     \
	N(home_week, morning_to)       \
	N(home_week, evening_from)     \
	N(home_week, evening_to)       \
	N(home_week, days)             \
	N(home_week, per_window)       \
	N(home_week, drop_days)        \
	N(home_week, at_least)         \
	N(home_week, at_least_days)    \
	M(home_week, sbp_high)         \
	M(home_week, dbp_high)         \
	M(home_week, sbp_normal_below) \
	M(home_week, dbp_normal_below) \
	N(home_week, look_back_days)   \
	N(recheck, age)                \
	M(recheck, sbp)                \
	M(recheck, dbp)                \
	N(recheck, days)               \
	N(recheck, within_days)        \
	N(due, ahead_days)             \
	N(due, yellow_days)            \
	N(due, red_days)               \
	N(due, referral_days)          \
	N(due, no_contact_days)        \
	N(kpi, visits_a_year)          \
	N(kpi, elderly_age)

#define NUMBERS_MEMBER(rule, name) int64_t rule##_##name;
struct numbers {
	char version[32];
	NUMBERS(NUMBERS_MEMBER, NUMBERS_MEMBER)
};
#undef NUMBERS_MEMBER

/* NULL with one sentence in `error` that names file, line and what was expected. */
struct numbers *numbers_load(const char *path, char *error, size_t error_size);
void numbers_free(struct numbers *n);
