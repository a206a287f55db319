/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "episode.h"

#include "clock.h"
#include "util.h"

#define CONFIRM_US (60 * CLOCK_SECOND_US) /* a second reading so much later confirms the first */

const char *const alert_states[] = {"active", "latched", "inactive", NULL};
const char *const alert_phases[] = {
	"start", "continue", "escalate", "deescalate", "update", "end", NULL};
const char *const alert_labels[ALERT_LABELS] = {"unconfirmed", "confirmed", "downgraded",
	"resolved_by_repeat", "superseded", "corrected", "withdrawn", "wrong_person",
	"control_solution", "voided", "artefact", "identity_changed", "nobody_answered"};

#define OF_SEVERITY (LABEL_UNCONFIRMED | LABEL_CONFIRMED)
#define OF_END                                                                             \
	(LABEL_RESOLVED_BY_REPEAT | LABEL_SUPERSEDED | LABEL_CORRECTED | LABEL_WITHDRAWN | \
		LABEL_WRONG_PERSON | LABEL_CONTROL_SOLUTION | LABEL_VOIDED | LABEL_ARTEFACT)

/* A person has still to hear of it. */
static bool pending(const struct episode *e)
{
	return e->severity == SEVERITY_CRITICAL && !e->acknowledged;
}

/* What was said of `now` and is not so any more of what becomes of it. */
static void relabel(const struct episode *now, struct episode *e)
{
	if (e->severity < SEVERITY_CRITICAL)
		e->labels &= ~OF_SEVERITY;
	else if (now->severity < SEVERITY_CRITICAL)
		e->labels |= LABEL_UNCONFIRMED;
	if (e->level > now->level || e->state != ALERT_ACTIVE)
		e->labels &= ~LABEL_DOWNGRADED;
	if (e->state == ALERT_ACTIVE)
		e->labels &= ~OF_END;
}

static struct episode_change changed(
	const struct episode *now, struct episode *e, enum alert_phase phase)
{
	relabel(now, e);
	return (struct episode_change){.verdict = EPISODE_CHANGES, .phase = phase};
}

/* What is critical and overtaken is told as something that was. */
static struct episode_change raise_it(const struct episode_reading *r, struct episode *ret)
{
	static const struct episode none = {.state = ALERT_INACTIVE};
	bool critical = r->fires == SEVERITY_CRITICAL;
	*ret = (struct episode){.state = r->overtaken ? ALERT_LATCHED : ALERT_ACTIVE,
		.level = r->overtaken ? SEVERITY_NONE : r->fires,
		.severity = r->fires,
		.critical_at_us = critical ? r->at_us : 0,
		.shown_at_us = r->at_us};
	relabel(&none, ret);
	return (struct episode_change){
		.verdict = EPISODE_RAISES, .phase = PHASE_START, .pages = true, .joins = true};
}

static struct episode_change take_none(const struct episode *today, const struct episode_reading *r,
	enum severity least, struct episode *ret)
{
	bool critical = r->fires == SEVERITY_CRITICAL;
	if (!r->fires || r->fires < least || (!critical && r->overtaken))
		return (struct episode_change){0};
	if (critical || !today)
		return raise_it(r, ret);
	*ret = *today;
	ret->state = ALERT_ACTIVE;
	ret->level = r->fires;
	struct episode_change c = changed(today, ret, PHASE_CONTINUE);
	c.verdict = EPISODE_REOPENS;
	c.joins = true;
	return c;
}

static struct episode_change take_overtaken(
	const struct episode *now, const struct episode_reading *r, struct episode *ret)
{
	if (r->fires < SEVERITY_CRITICAL)
		return (struct episode_change){0};
	if (!pending(now))
		return raise_it(r, ret);
	*ret = *now;
	struct episode_change c = changed(now, ret, PHASE_CONTINUE);
	c.joins = true;
	return c;
}

static struct episode_change rise(
	const struct episode *now, const struct episode_reading *r, struct episode *ret)
{
	*ret = *now;
	ret->state = ALERT_ACTIVE;
	ret->level = ret->severity = r->fires;
	ret->acknowledged = false;
	ret->labels &= ~LABEL_NOBODY_ANSWERED;
	if (r->fires == SEVERITY_CRITICAL)
		ret->critical_at_us = r->at_us;
	struct episode_change c = changed(now, ret, PHASE_ESCALATE);
	c.pages = c.joins = true;
	return c;
}

/* As high as it ever was. */
static struct episode_change stay(
	const struct episode *now, const struct episode_reading *r, struct episode *ret)
{
	bool critical = r->fires == SEVERITY_CRITICAL;
	*ret = *now;
	ret->state = ALERT_ACTIVE;
	ret->level = MAX(r->fires, r->holds);
	if (critical && !now->critical_at_us)
		ret->critical_at_us = r->at_us;
	else if (critical && !r->doubtful && r->at_us - now->critical_at_us >= CONFIRM_US)
		ret->labels = (ret->labels & ~LABEL_UNCONFIRMED) | LABEL_CONFIRMED;
	struct episode_change c = changed(now, ret, PHASE_CONTINUE);
	if (!critical && ret->state == now->state && ret->level == now->level)
		c.verdict = EPISODE_JOINS;
	c.joins = true;
	return c;
}

struct episode_change episode_over(const struct episode *now, struct episode *ret)
{
	*ret = *now;
	ret->level = SEVERITY_NONE;
	ret->state = pending(now) ? ALERT_LATCHED : ALERT_INACTIVE;
	return changed(now, ret, PHASE_END);
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
	if (pending(now) && !r->speaks)
		return (struct episode_change){0}; /* it may be another one's, or an old one */
	*ret = *now;
	if (level == now->level && (!level || now->state == ALERT_ACTIVE))
		return c;
	if (level) {
		ret->state = ALERT_ACTIVE;
		ret->level = level;
		ret->labels |= level < now->level ? LABEL_DOWNGRADED : 0;
		c = changed(now, ret, level < now->level ? PHASE_DEESCALATE : PHASE_CONTINUE);
	} else {
		c = episode_over(now, ret);
		c.ends = true;
		if (resolved(now, r, l->resolves_us))
			ret->labels |= LABEL_RESOLVED_BY_REPEAT;
	}
	c.joins = r->fires > 0;
	return c;
}

struct episode_change episode_take(const struct episode *open, const struct episode *today,
	const struct episode_reading *r, const struct episode_limits *limits, struct episode *ret)
{
	if (r->doubtful && r->fires < SEVERITY_CRITICAL)
		return (struct episode_change){0};
	if (!open)
		return take_none(today, r, limits->least, ret);
	if (r->overtaken)
		return take_overtaken(open, r, ret);
	if (r->fires > open->severity)
		return rise(open, r, ret);
	if (r->fires == SEVERITY_CRITICAL && open->acknowledged) {
		struct episode_change c = raise_it(r, ret);
		c.verdict = EPISODE_REPLACES;
		return c;
	}
	if (r->fires && r->fires == open->severity)
		return stay(open, r, ret);
	return lower(open, r, limits, ret);
}

struct episode_change episode_supersede(const struct episode *now, struct episode *ret)
{
	*ret = *now;
	ret->state = ALERT_INACTIVE;
	ret->level = SEVERITY_NONE;
	ret->labels |= LABEL_SUPERSEDED;
	return changed(now, ret, PHASE_END);
}

static struct episode_change withdraw(
	const struct episode *now, unsigned reason, struct episode *ret)
{
	*ret = *now;
	ret->state = ALERT_INACTIVE;
	ret->level = SEVERITY_NONE;
	ret->labels |= LABEL_WITHDRAWN | reason;
	return changed(now, ret, PHASE_END);
}

struct episode_change episode_leave(const struct episode *now, enum severity left, unsigned reason,
	enum severity least, struct episode *ret)
{
	if (!left && reason == LABEL_CORRECTED) {
		struct episode_change c = episode_over(now, ret);
		ret->labels |= LABEL_CORRECTED;
		return c;
	}
	if (!left)
		return withdraw(now, reason, ret);
	*ret = *now;
	if (now->state == ALERT_INACTIVE)
		return changed(now, ret, PHASE_UPDATE);
	if (!now->acknowledged)
		ret->severity = MIN(now->severity, left);
	ret->level = MIN(now->level, ret->severity);
	/* what was latched and is critical no more waits for nobody; what is below the least is no alert */
	if (ret->state == ALERT_LATCHED ? !pending(ret) : ret->level < least) {
		ret->level = SEVERITY_NONE;
		ret->state = pending(ret) ? ALERT_LATCHED : ALERT_INACTIVE;
		return changed(now, ret, PHASE_END);
	}
	return changed(now, ret, ret->severity < now->severity ? PHASE_DEESCALATE : PHASE_UPDATE);
}

struct episode_change episode_resume(const struct episode *now, struct episode *ret)
{
	*ret = *now;
	ret->state = ALERT_ACTIVE;
	ret->level = now->severity;
	return changed(now, ret, PHASE_CONTINUE);
}
