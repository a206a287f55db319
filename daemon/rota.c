/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rota.h"

#include "centre.h"
#include "gateway.h"

#include <errno.h>

#define DEPUTIES_MAX 5 /* one for the other; so long a circle is followed, too */

/* steps */

struct steps {
	struct rota_person *list;
	int n;
};

static void add_step(struct steps *s, const char *token, size_t len, const char *role, int room)
{
	struct rota_person p = {.role = role};
	if (!len || s->n >= room || !text_copy(p.token, sizeof(p.token), token, len))
		return;
	for (int i = 0; i < s->n; i++)
		if (streq(s->list[i].token, p.token))
			return;
	s->list[s->n++] = p;
}

/* Places are kept for those who have to be told whatever stands in a chain: `room` has none of them. */
static void add_chain(struct steps *s, const char *chain, int room)
{
	const char *word;
	size_t n;
	while ((word = word_next(&chain, ';', &n)))
		add_step(s, word, n, "chain", room);
}

static const char *contact_of(const struct config *c, const char *station)
{
	const struct config_station *s = station ? config_station_named(c, station) : NULL;
	return s && s->contact[0] ? s->contact : c->site_contact;
}

int rota_steps(const struct gateway *g, struct db *db, const struct rota_for *f,
	struct rota_person out[static ROTA_STEPS_MAX])
{
	const struct config *c = g->config;
	const char *contact = contact_of(c, f->station), *doctor = "", *chain = "";
	struct steps s = {out, 0};
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT doctor,chain FROM resident WHERE id=?", "i", f->resident);
	int rc = f->resident ? row_next(r) : 0;
	if (rc < 0)
		return rc;
	if (rc > 0) {
		doctor = row_text(r, 0) ? row_text(r, 0) : "";
		chain = row_text(r, 1);
	}
	if (f->staff || !doctor[0]) {
		if (contact[0])
			add_step(&s, contact, strlen(contact), "staff", ROTA_STEPS_MAX);
		else
			add_step(&s, doctor, strlen(doctor), "doctor", ROTA_STEPS_MAX);
		add_chain(&s, c->staff_chain, ROTA_STEPS_MAX - 2);
	}
	/* what the staff do not answer is not theirs alone */
	add_step(&s, doctor, strlen(doctor), "doctor", ROTA_STEPS_MAX);
	add_chain(&s, chain, ROTA_STEPS_MAX - 1);
	add_step(&s, c->institution, strlen(c->institution), "institution", ROTA_STEPS_MAX);
	return s.n;
}

/* who is there */

/* 1: absent, with its deputy; of several absences the one that began last counts. */
static int absent(struct db *db, const char *member, int64_t at_us, char ret_deputy[ROTA_TOKEN])
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT deputy FROM absence WHERE member=?1 AND from_us<=?2 AND to_us>?2 ORDER BY "
		"from_us DESC LIMIT 1",
		"ti", member, at_us);
	int rc = row_next(r);
	if (rc > 0)
		text_set(ret_deputy, ROTA_TOKEN, row_text(r, 0));
	return rc;
}

/* 1: `token` is of somebody who is there now, its own or a deputy's; 0: nobody is. */
static int deputise(struct db *db, int64_t at_us, char token[ROTA_TOKEN])
{
	for (int i = 0; i <= DEPUTIES_MAX; i++) {
		char deputy[ROTA_TOKEN];
		int rc = absent(db, token, at_us, deputy);
		if (rc <= 0)
			return rc < 0 ? rc : 1;
		if (!deputy[0])
			return 0;
		memcpy(token, deputy, ROTA_TOKEN);
	}
	return 0;
}

/* The team whose hours count: the resident's, or the first in which this member has any. 1; 0: it has none anywhere. */
static int team_of(struct db *db, const char *member, int64_t resident, char ret_team[ROTA_TOKEN],
	struct centre_hours *ret)
{
	char error[CENTRE_ERROR_MAX];
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT team,hours FROM team WHERE member=?1 AND hours<>'' ORDER BY team=coalesce((SELECT "
		"team FROM resident WHERE id=?2),'') DESC,team LIMIT 1",
		"ti", member, resident);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	text_set(ret_team, ROTA_TOKEN, row_text(r, 0));
	/* hours that cannot be read are no reason to tell somebody else */
	return centre_parse(row_text(r, 1), ret, error, sizeof(error));
}

/* Of several the one that began last, when it is not absent itself. */
static int on_duty(struct db *db, const char *team, int64_t at_us, char ret[ROTA_TOKEN])
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT member FROM duty d WHERE team=?1 AND from_us<=?2 AND to_us>?2 AND NOT EXISTS "
		"(SELECT 1 FROM absence a WHERE a.member=d.member AND a.from_us<=?2 AND a.to_us>?2) "
		"ORDER BY from_us DESC,member LIMIT 1",
		"ti", team, at_us);
	int rc = row_next(r);
	if (rc > 0)
		text_set(ret, ROTA_TOKEN, row_text(r, 0));
	return rc;
}

int rota_present(struct db *db, const struct rota_person *step, int64_t resident, int64_t at_us,
	struct rota_person *ret)
{
	struct rota_person p = *step;
	struct centre_hours hours;
	char team[ROTA_TOKEN];
	int rc = deputise(db, at_us, p.token);
	if (rc <= 0)
		return rc;
	if (streq(p.token, step->token)) {
		rc = team_of(db, p.token, resident, team, &hours);
		if (rc > 0 && !centre_open(&hours, at_us))
			rc = on_duty(db, team, at_us, p.token);
		if (rc < 0)
			return rc;
		p.role = streq(p.token, step->token) ? step->role : "duty";
	} else {
		p.role = "deputy";
	}
	*ret = p;
	return 1;
}

static void last_resort(
	const struct gateway *g, const struct rota_person *steps, int n, struct rota_person *ret)
{
	const char *contact = g->config->site_contact;
	*ret = (struct rota_person){.role = ""};
	if (contact[0]) {
		ret->role = "staff";
		text_set(ret->token, sizeof(ret->token), contact);
	} else if (n > 0) {
		*ret = steps[0];
	}
}

/* The first of the steps, from `from` on by `way`, that has somebody. */
static int find(const struct gateway *g, struct db *db, const struct rota_for *f, int from, int way,
	int64_t at_us, struct rota_person *ret)
{
	struct rota_person steps[ROTA_STEPS_MAX];
	int n = rota_steps(g, db, f, steps);
	/* the roster may have fewer steps than when somebody was told first */
	for (int i = way < 0 ? MIN(from, n - 1) : from; i >= 0 && i < n; i += way) {
		int rc = rota_present(db, &steps[i], f->resident, at_us, ret);
		if (rc != 0)
			return rc < 0 ? rc : i;
	}
	last_resort(g, steps, n, ret);
	return n < 0 ? n : ROTA_STEPS_MAX;
}

int rota_step(const struct gateway *g, struct db *db, const struct rota_for *f, int from,
	int64_t at_us, struct rota_person *ret)
{
	return find(g, db, f, from, 1, at_us, ret);
}

int rota_step_back(const struct gateway *g, struct db *db, const struct rota_for *f, int from,
	int64_t at_us, struct rota_person *ret)
{
	return find(g, db, f, from, -1, at_us, ret);
}

/* who can be told at all */

bool rota_knows(const struct gateway *g, struct db *db, const char *token)
{
	const struct config *c = g->config;
	bool known = streq(c->site_contact, token) || streq(c->institution, token) ||
		     word_in(c->staff_chain, ';', token);
	for (unsigned i = 0; i < c->n_stations; i++)
		known |= streq(c->stations[i].contact, token);
	if (!token[0] || known || strchr(token, ';'))
		return known && token[0];
	return db_int(db, 0,
		       "SELECT EXISTS(SELECT 1 FROM team WHERE member=?1) OR EXISTS(SELECT 1 FROM "
		       "resident WHERE doctor=?1 OR instr(';'||chain||';',';'||?1||';'))",
		       "t", token) == 1;
}
