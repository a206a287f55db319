/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reading makes of the alerts of its resident. */
#include "alerts.h"

#include "alert_words.h"
#include "alerts_judging.h"
#include "day.h"
#include "escalate.h"
#include "gateway.h"
#include "limit.h"
#include "log.h"
#include "repeat.h"
#include "revision.h"

#include <errno.h>

#define OPEN_MAX 64 /* open alerts of one resident that a reading is about */

struct taking {
	struct gateway *g;
	struct db *db;
	const struct judging *j;
	struct history_db history;
	struct judgement judgement;
	unsigned n_open;
	struct {
		struct uuid id;
		const char *condition; /* of the judgement */
	} open[OPEN_MAX];
};

/* what is open */

static const struct judged *judged_of(const struct judgement *all, const char *condition)
{
	for (unsigned i = 0; i < all->n; i++)
		if (streq(all->conditions[i].condition, condition))
			return &all->conditions[i];
	return NULL;
}

static struct uuid alert_id(
	struct db *db, const char *condition, int64_t resident, const struct uuid *reading)
{
	char text[128];
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT token FROM resident WHERE id=?", "i", resident);
	const char *token = resident && row_next(r) > 0 ? row_text(r, 0) : "-";
	int n = snprintf(text, sizeof(text) - 16, "%s|%s|", condition, token);
	n = MIN(n, (int)sizeof(text) - 17);
	memcpy(text + n, reading->bytes, 16);
	return uuid_of("alert", text, (size_t)n + 16);
}

static void found(struct taking *t, const struct uuid *id, const char *condition)
{
	const struct judged *c = judged_of(&t->judgement, condition);
	if (c && t->n_open < OPEN_MAX) {
		t->open[t->n_open].id = *id;
		t->open[t->n_open++].condition = c->condition;
	}
}

/* Of nobody: only what this reading raised itself. */
static int find_own(struct taking *t)
{
	for (unsigned i = 0; i < t->judgement.n && t->j->again; i++) {
		const char *condition = t->judgement.conditions[i].condition;
		struct uuid id = alert_id(t->db, condition, 0, t->j->id);
		struct alert_row row;
		int rc = alert_row_load(t->db, &id, &row);
		if (rc < 0)
			return rc;
		if (rc > 0 && row.episode.state != ALERT_INACTIVE)
			found(t, &id, condition);
	}
	return 0;
}

static int find_open(struct taking *t)
{
	int64_t resident = t->j->filing->who.resident;
	int rc;
	if (!resident)
		return find_own(t);
	_cleanup_(row_endp) struct row *r = db_query(t->db,
		"SELECT uuid,condition FROM alert WHERE resident=? AND state IN "
		"('active','latched') ORDER BY id",
		"i", resident);
	while ((rc = row_next(r)) > 0) {
		struct uuid id;
		if (row_uuid(r, 0, &id))
			found(t, &id, row_text(r, 1));
	}
	return rc;
}

/* Which of two that are open a reading is about. */
static bool sooner(const struct episode *a, const struct episode *b, bool pending_first)
{
	bool ap = a->severity == SEVERITY_CRITICAL && !a->acknowledged;
	bool bp = b->severity == SEVERITY_CRITICAL && !b->acknowledged;
	if (pending_first && ap != bp)
		return ap;
	if (a->state != b->state)
		return a->state == ALERT_ACTIVE;
	return true; /* the one raised last */
}

/* 1, 0: none is open, -errno. */
static int pick(struct taking *t, const struct judged *c, bool pending_first, struct alert_row *ret)
{
	bool any = false;
	for (unsigned i = 0; i < t->n_open; i++) {
		struct alert_row row;
		if (t->open[i].condition != c->condition)
			continue;
		int rc = alert_row_load(t->db, &t->open[i].id, &row);
		if (rc < 0)
			return rc;
		if (rc > 0 && row.episode.state != ALERT_INACTIVE &&
			(!any || sooner(&row.episode, &ret->episode, pending_first))) {
			*ret = row;
			any = true;
		}
	}
	return any;
}

/* 1, 0, -errno. */
static int overtaken(const struct taking *t, uint32_t about)
{
	const struct judging *j = t->j;
	int rc = 0;
	if (!j->filing->who.resident || !judging_trusted(j))
		return 0;
	for (unsigned i = 0; i < j->reading->n_quantities && rc == 0; i++)
		if (about & 1U << i)
			rc = history_overtaken(&t->history, j->reading->quantities[i].code->kind,
				j->filing->when.taken_us, j->now.utc_us);
	return rc;
}

/* It is in an alert of this condition of the same resident already. */
static bool is_in(const struct taking *t, const char *condition)
{
	int64_t resident = t->j->filing->who.resident;
	return db_int(t->db, 0,
		       "SELECT 1 FROM alert_reading r CROSS JOIN alert a ON a.uuid=r.alert WHERE r.reading=? "
		       "AND a.condition=? AND a.resident IS ? LIMIT 1",
		       "btp", t->j->id->bytes, sizeof(t->j->id->bytes), condition,
		       resident ? &resident : NULL) == 1;
}

/* what becomes of an alert */

static struct alert_origin origin_of(const struct taking *t)
{
	const struct judging *j = t->j;
	return (struct alert_origin){
		.in_contract = filing_in_contract(t->db, j->filing->who.resident, judging_at_us(j)),
		.station = j->station,
		.device = j->device,
		.study = j->reading->has_study ? &j->reading->study : NULL};
}

/* A reading, as it is taken for one condition. */
struct entry {
	const char *condition;
	struct episode_change change;
	struct episode next;
	struct alert_reading reading;
	int64_t age_us;
};

static int raise_new(struct taking *t, const struct entry *e)
{
	struct gateway *g = t->g;
	struct db *db = t->db;
	char text[33];
	struct alert_origin origin = origin_of(t);
	struct alert_row row = {.resident = t->j->filing->who.resident, .episode = e->next};
	row.id = alert_id(db, e->condition, row.resident, t->j->id);
	text_set(row.condition, sizeof(row.condition), e->condition);
	int rc = alert_row_raise(g, db, &row, &e->reading, t->j->now);
	if (rc >= 0)
		rc = alert_row_origin(db, &row.id, &origin);
	if (rc >= 0)
		rc = escalate_begin(g, db, &row.id, e->age_us);
	if (rc >= 0)
		rc = alert_row_tell(g, db, &row.id, NULL, NULL);
	if (rc >= 0)
		log_note("alert", "%.8s %s: %s", hex(text, row.id.bytes, sizeof(row.id.bytes)),
			severity_name(e->next.severity), e->condition);
	return rc;
}

static int escalation_follows(struct taking *t, const struct entry *e, const struct uuid *id,
	enum alert_state was, bool pages)
{
	if (pages) {
		struct alert_origin origin = origin_of(t);
		int rc = alert_row_origin(t->db, id, &origin);
		return rc < 0 ? rc : escalate_begin(t->g, t->db, id, e->age_us);
	}
	if (e->change.verdict == EPISODE_REOPENS)
		return escalate_resume(t->g, t->db, id);
	return escalate_follow(t->g, t->db, id, was, e->next.state);
}

/* A critical one that is not late makes a matter of the morning one of now. */
static bool wakes(const struct taking *t, const struct entry *e, const struct alert_row *row)
{
	return e->change.joins && e->reading.level == SEVERITY_CRITICAL &&
	       streq(row->deliver, "morning") &&
	       e->age_us <= alert_times(t->g->rules)->page_s * CLOCK_SECOND_US;
}

static int change(struct taking *t, struct entry *e, struct alert_row *row)
{
	struct db *db = t->db;
	enum alert_state was = row->episode.state;
	int64_t at_us = e->reading.at_us;
	bool pages = e->change.pages || wakes(t, e, row);
	bool told = e->change.pages || e->change.verdict == EPISODE_REOPENS;
	if (pages)
		e->next.labels &= ~LABEL_NOBODY_ANSWERED;
	struct alert_turn turn = {.anew = e->change.pages,
		.day = told ? day_of(t->j->now.utc_us) : 0,
		.ended_us = e->change.ends ? &at_us : NULL,
		.ended_by = e->change.ends ? t->j->id : NULL};
	int rc = e->change.joins ? alert_row_join(db, row, &e->reading) : 0;
	row->episode = e->next;
	if (rc >= 0)
		rc = alert_row_write(db, row, &turn);
	if (rc >= 0)
		rc = escalation_follows(t, e, &row->id, was, pages);
	return rc < 0 ? rc : alerts_revise(t->g, db, &row->id, e->change.phase, NULL, NULL);
}

static int enter(struct taking *t, struct entry *e, struct alert_row *open, struct alert_row *today)
{
	int rc;
	switch (e->change.verdict) {
	case EPISODE_NOTHING:
		return 0;
	case EPISODE_JOINS:
		return alert_row_join(t->db, open, &e->reading);
	case EPISODE_CHANGES:
		return change(t, e, open);
	case EPISODE_REOPENS:
		return change(t, e, today);
	case EPISODE_REPLACES:
		rc = alerts_supersede(t->g, t->db, &open->id, t->j->now.utc_us);
		return rc < 0 ? rc : raise_new(t, e);
	case EPISODE_RAISES:
		return raise_new(t, e);
	}
	return 0;
}

static int today_of(struct taking *t, const struct judged *c, struct alert_row *ret)
{
	int64_t resident = t->j->filing->who.resident;
	if (!resident || !c->fires || c->fires == SEVERITY_CRITICAL ||
		!clock_plausible(
			t->j->now.utc_us)) /* every boot without a clock has the same day */
		return 0;
	return alert_row_today(
		t->db, resident, c->condition, c->fires, day_of(t->j->now.utc_us), ret);
}

/* `over`: it is critical, and no clean repeat came. */
static int take_condition(struct taking *t, const struct judged *c, bool over, const char *said)
{
	const struct judging *j = t->j;
	const struct rule_times *times = alert_times(t->g->rules);
	const struct episode_limits limits = {
		.least = times->least, .resolves_us = times->resolves_s * CLOCK_SECOND_US};
	struct alert_row open = {0}, today = {0};
	int late = overtaken(t, c->about);
	int rc = late < 0 ? late : pick(t, c, late > 0 && c->fires == SEVERITY_CRITICAL, &open);
	bool has_open = rc > 0, has_today = false;
	if (rc == 0) {
		rc = today_of(t, c, &today);
		has_today = rc > 0;
	}
	if (rc < 0)
		return rc;
	const struct episode_reading r = {.fires = c->fires,
		.holds = c->holds[open.episode.level],
		.at_us = judging_at_us(j),
		.overtaken = late,
		.doubtful = alert_doubtful(t->g->rules, j->reading) != NULL,
		.speaks = judging_speaks(j)};
	struct entry e = {.condition = c->condition, .age_us = judging_age_us(j)};
	e.change = episode_take(has_open ? &open.episode : NULL, has_today ? &today.episode : NULL,
		&r, &limits, &e.next);
	if (e.change.verdict == EPISODE_NOTHING)
		return 0;
	_cleanup_(freep) char *body = said ? strdup(said) : judging_body(j->reading, c),
			      *doubts = judging_doubts(t->g, t->db, j, late, over);
	if (!body || !doubts)
		return -ENOMEM;
	e.reading = (struct alert_reading){*j->id, c->fires, r.at_us, body, doubts};
	return enter(t, &e, &open, &today);
}

/* doubt */

static int ask(struct taking *t, const struct judged *c)
{
	const struct judging *j = t->j;
	_cleanup_(freep) char *body = judging_body(j->reading, c),
			      *doubts = judging_doubts(t->g, t->db, j, false, false);
	if (!body || !doubts)
		return -ENOMEM;
	return repeat_ask(t->g, t->db,
		&(struct repeat){.reading = j->reading,
			.id = j->id,
			.judged = c,
			.device = j->device,
			.arrived = j->arrived,
			.now = j->now,
			.body = body,
			.doubts = doubts});
}

/* The wait keeps what it began with: critical, whatever the rules say by now. */
static int take_over(struct taking *t)
{
	const struct judging *j = t->j;
	const struct judged *now = judged_of(&t->judgement, j->over);
	struct judged c = {.condition = now ? now->condition : j->over,
		.about = now ? now->about : UINT32_MAX,
		.fires = SEVERITY_CRITICAL};
	for (unsigned i = 0; i < ELEMENTS(c.holds); i++)
		c.holds[i] = SEVERITY_CRITICAL;
	return is_in(t, c.condition) ? 0 : take_condition(t, &c, true, j->over_body);
}

/* 1: it waits. */
static int take_one(struct taking *t, const struct judged *c)
{
	bool any = c->fires;
	for (unsigned i = 0; i < t->n_open; i++)
		any |= t->open[i].condition == c->condition;
	if (!any || (t->j->again && is_in(t, c->condition)))
		return 0;
	if (!c->waits)
		return take_condition(t, c, false, NULL);
	int rc = ask(t, c);
	return rc == 0 ? take_condition(t, c, true, NULL) : rc;
}

static int take_all(struct taking *t)
{
	const struct judgement *all = &t->judgement;
	uint64_t waiting = 0;
	int rc = 0;
	if (t->j->over)
		return take_over(t);
	for (unsigned i = 0; i < all->n && rc >= 0; i++) {
		rc = take_one(t, &all->conditions[i]);
		waiting |= rc > 0 ? UINT64_C(1) << i : 0;
	}
	return rc < 0 || !t->j->again ? MIN(rc, 0)
				      : repeat_keep(t->g, t->db, t->j->id, all, waiting);
}

static int settle(struct gateway *g, struct db *db, const struct judging *j)
{
	int64_t resident = j->filing->who.resident;
	if (j->over || !resident || !judging_speaks(j)) /* nobody's may be another one's */
		return 0;
	return repeat_settle(g, db, j->reading, j->device, resident, judging_at_us(j), j->now);
}

int judging_take(struct gateway *g, struct db *db, const struct judging *j)
{
	const struct filing *f = j->filing;
	int64_t at_us = judging_at_us(j), resident = f->who.resident;
	struct person person;
	struct limits personal;
	struct taking t = {.g = g, .db = db, .j = j};
	t.history = (struct history_db){db, g->codes, resident, f->row};
	const struct history history = history_of(&t.history);
	int rc = settle(g, db, j);
	if (rc >= 0)
		rc = person_load(db, resident, day_of(at_us), &person);
	if (rc >= 0)
		rc = limit_load(
			db, g->rules, resident, at_us, f->when.trust != TRUST_UNKNOWN, &personal);
	if (rc >= 0)
		rc = judge(&(struct judge_input){.rules = g->rules,
				   .reading = j->reading,
				   .person = &person,
				   .at_us = at_us,
				   .altitude_m = g->config->altitude_m,
				   .numbers = g->numbers,
				   .history = &history,
				   .personal = personal.rules,
				   .n_personal = personal.n},
			&t.judgement);
	if (rc >= 0)
		rc = find_open(&t);
	return rc < 0 ? rc : take_all(&t);
}

int alerts_judge(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *reading, const struct filing *f)
{
	const struct instant now = {u->arrived_us, u->boot_us};
	if (!g->config->alerts || u->test || streq(f->status, REVISION_VOID))
		return 0;
	return judging_take(g, db,
		&(struct judging){.reading = r,
			.id = reading,
			.filing = f,
			.station = u->station && u->station[0] ? u->station : NULL,
			.device = u->device_row,
			.again = f->revision > 1,
			.arrived = now,
			.now = now});
}
