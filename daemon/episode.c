/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "episode.h"

#include "clock.h"
#include "util.h"

#define CONFIRM_US (60 * CLOCK_SECOND_US) /* a second reading so much later confirms the first */

const char *const alert_states[] = {"active", "latched", "inactive", NULL};
const char *const alert_phases[] = {
	"start", "continue", "escalate", "deescalate", "update", "end", NULL};
const char *const alert_labels[ALERT_LABELS] = {"unconfirmed", "confirmed", "late", "overtaken",
	"no_clean_repeat", "resolved_by_repeat", "downgraded", "superseded", "withdrawn",
	"wrong_person", "control_solution", "voided", "artefact", "identity_changed", "corrected",
	"nobody_answered"};

/* A person has still to hear of it. */
static bool pending(const struct episode *e)
{
	return e->severity == SEVERITY_CRITICAL && !e->acknowledged;
}

static struct episode_change changes(enum alert_phase phase)
{
	return (struct episode_change){.verdict = EPISODE_CHANGES, .phase = phase};
}

static unsigned lateness(const struct episode_reading *r, const struct episode_limits *l)
{
	return r->fires && r->age_us > l->late_us ? LABEL_LATE : 0;
}

static void unconfirm(struct episode *e, const struct episode_reading *r)
{
	if (r->fires < SEVERITY_CRITICAL)
		return;
	e->labels = (e->labels & ~LABEL_CONFIRMED) | LABEL_UNCONFIRMED;
	e->critical_at_us = r->at_us;
}

/* What is critical and overtaken is told as something that was. */
static struct episode_change raise_it(
	const struct episode_reading *r, const struct episode_limits *l, struct episode *ret)
{
	*ret = (struct episode){.state = r->overtaken ? ALERT_LATCHED : ALERT_ACTIVE,
		.level = r->overtaken ? SEVERITY_NONE : r->fires,
		.severity = r->fires,
		.labels = lateness(r, l) | (r->overtaken ? LABEL_OVERTAKEN : 0),
		.shown_at_us = r->at_us};
	unconfirm(ret, r);
	return (struct episode_change){
		.verdict = EPISODE_RAISES, .phase = PHASE_START, .pages = true, .joins = true};
}

static struct episode_change take_none(const struct episode *today, const struct episode_reading *r,
	const struct episode_limits *l, struct episode *ret)
{
	bool critical = r->fires == SEVERITY_CRITICAL;
	if (!r->fires || r->fires < l->least || (!critical && r->overtaken))
		return (struct episode_change){0};
	if (critical || !today)
		return raise_it(r, l, ret);
	*ret = *today;
	ret->state = ALERT_ACTIVE;
	ret->level = r->fires;
	ret->labels |= lateness(r, l);
	return (struct episode_change){
		.verdict = EPISODE_REOPENS, .phase = PHASE_CONTINUE, .joins = true};
}

static struct episode_change take_overtaken(const struct episode *now,
	const struct episode_reading *r, const struct episode_limits *l, struct episode *ret)
{
	if (r->fires < SEVERITY_CRITICAL)
		return (struct episode_change){0};
	if (!pending(now))
		return raise_it(r, l, ret);
	struct episode_change c = changes(PHASE_CONTINUE);
	*ret = *now;
	ret->labels |= lateness(r, l);
	c.joins = true;
	return c;
}

static struct episode_change rise(const struct episode *now, const struct episode_reading *r,
	const struct episode_limits *l, struct episode *ret)
{
	struct episode_change c = changes(PHASE_ESCALATE);
	*ret = *now;
	ret->state = ALERT_ACTIVE;
	ret->level = ret->severity = r->fires;
	ret->acknowledged = false;
	ret->labels |= lateness(r, l);
	unconfirm(ret, r);
	c.pages = c.joins = true;
	return c;
}

/* As high as it ever was. */
static struct episode_change stay(const struct episode *now, const struct episode_reading *r,
	const struct episode_limits *l, struct episode *ret)
{
	bool critical = r->fires == SEVERITY_CRITICAL;
	*ret = *now;
	ret->state = ALERT_ACTIVE;
	ret->level = MAX(r->fires, r->holds);
	ret->labels |= lateness(r, l);
	if (critical && !r->doubtful && now->critical_at_us &&
		r->at_us - now->critical_at_us >= CONFIRM_US)
		ret->labels = (ret->labels & ~LABEL_UNCONFIRMED) | LABEL_CONFIRMED;
	bool same = ret->state == now->state && ret->level == now->level;
	struct episode_change c = changes(PHASE_CONTINUE);
	if (same && !critical)
		c.verdict = EPISODE_JOINS;
	c.joins = true;
	return c;
}

struct episode_change episode_over(const struct episode *now, struct episode *ret)
{
	*ret = *now;
	ret->level = SEVERITY_NONE;
	ret->state = pending(now) ? ALERT_LATCHED : ALERT_INACTIVE;
	return changes(PHASE_END);
}

static bool resolved(const struct episode *now, const struct episode_reading *r, int64_t within_us)
{
	return now->severity == SEVERITY_CRITICAL && now->shown_at_us &&
	       r->at_us - now->shown_at_us <= within_us;
}

static struct episode_change lower(const struct episode *now, const struct episode_reading *r,
	const struct episode_limits *l, struct episode *ret)
{
	enum severity level = r->holds < l->least ? SEVERITY_NONE : r->holds;
	struct episode_change c = {
		.verdict = r->fires ? EPISODE_JOINS : EPISODE_NOTHING, .joins = r->fires > 0};
	if (pending(now) && r->shared)
		return (struct episode_change){0}; /* it may be another one's */
	*ret = *now;
	ret->labels |= lateness(r, l);
	if (level == now->level && (!level || now->state == ALERT_ACTIVE))
		return c;
	c.verdict = EPISODE_CHANGES;
	if (level) {
		c.phase = level < now->level ? PHASE_DEESCALATE : PHASE_CONTINUE;
		ret->state = ALERT_ACTIVE;
		ret->level = level;
		ret->labels |= level < now->level ? LABEL_DOWNGRADED : 0;
		return c;
	}
	struct episode before = *ret;
	c.phase = episode_over(&before, ret).phase;
	c.ends = true;
	if (resolved(now, r, l->resolves_us))
		ret->labels |= LABEL_RESOLVED_BY_REPEAT;
	return c;
}

struct episode_change episode_take(const struct episode *open, const struct episode *today,
	const struct episode_reading *r, const struct episode_limits *limits, struct episode *ret)
{
	if (r->doubtful && r->fires < SEVERITY_CRITICAL)
		return (struct episode_change){0};
	if (!open)
		return take_none(today, r, limits, ret);
	if (r->overtaken)
		return take_overtaken(open, r, limits, ret);
	if (r->fires > open->severity)
		return rise(open, r, limits, ret);
	if (r->fires == SEVERITY_CRITICAL && open->acknowledged) {
		struct episode_change c = raise_it(r, limits, ret);
		c.verdict = EPISODE_REPLACES;
		return c;
	}
	if (r->fires && r->fires == open->severity)
		return stay(open, r, limits, ret);
	return lower(open, r, limits, ret);
}

struct episode_change episode_supersede(const struct episode *now, struct episode *ret)
{
	*ret = *now;
	ret->state = ALERT_INACTIVE;
	ret->level = SEVERITY_NONE;
	ret->labels |= LABEL_SUPERSEDED;
	return changes(PHASE_END);
}

struct episode_change episode_leave(const struct episode *now, enum severity left, unsigned reason,
	enum severity least, struct episode *ret)
{
	if (!left && reason == LABEL_CORRECTED) {
		struct episode_change c = episode_over(now, ret);
		ret->labels |= LABEL_CORRECTED;
		return c;
	}
	*ret = *now;
	if (!left) {
		ret->state = ALERT_INACTIVE;
		ret->level = SEVERITY_NONE;
		ret->labels |= LABEL_WITHDRAWN | reason;
		return changes(PHASE_END);
	}
	if (!now->acknowledged)
		ret->severity = MIN(now->severity, left);
	ret->level = MIN(now->level, ret->severity);
	/* what was latched and is critical no more waits for nobody; what is below the least is no alert */
	if (ret->state == ALERT_LATCHED ? !pending(ret) : ret->level < least) {
		struct episode before = *ret;
		return episode_over(&before, ret);
	}
	return changes(ret->severity < now->severity ? PHASE_DEESCALATE : PHASE_UPDATE);
}

struct episode_change episode_resume(const struct episode *now, struct episode *ret)
{
	*ret = *now;
	ret->state = ALERT_ACTIVE;
	ret->level = now->severity;
	return changes(PHASE_CONTINUE);
}
