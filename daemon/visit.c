/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "visit.h"

#include "day.h"
#include "gateway.h"
#include "intake.h"
#include "util.h"

#include <errno.h>

/* A check-in may claim what was taken, as we know it, so long after its end. */
#define DOUBT_US (600 * CLOCK_SECOND_US)

const struct form_names *visit_form(const char *name)
{
	for (size_t i = 0; i < FORMS; i++)
		if (streq(name, form_names[i].brief) || streq(name, form_names[i].form))
			return &form_names[i];
	return NULL;
}

bool visit_enrolled(const char *programmes, const char *programme)
{
	return word_in(programmes, ';', programme);
}

/* telling */

/* Its first window may have been set back, or its clock repaired. */
static int set_day(struct db *db, int64_t visit)
{
	char day[DAY_TEXT];
	int64_t from = db_int(db, INT64_MIN,
		"SELECT min(coalesce(c.from_us,w.from_us)) FROM visit_window w LEFT JOIN checkin c ON "
		"c.id=w.checkin WHERE w.visit=? GROUP BY w.visit HAVING min(coalesce(c.from_us,"
		"w.from_us)) IS NOT NULL",
		"i", visit);
	if (from == INT64_MIN)
		return 0;
	return error_only(db_run(db,
		"UPDATE visit SET day=?1 WHERE id=?2 AND day<>?1 AND state IN ('open','closed')",
		"ti", day_text(day, day_of(from)), visit));
}

int visit_tell(struct gateway *g, struct db *db, int64_t visit)
{
	struct uuid id;
	int revision;
	int rc = set_day(db, visit);
	if (rc >= 0)
		rc = db_run(db, "UPDATE visit SET revision=revision+1, changed=? WHERE id=?", "ii",
			clock_utc_us(), visit);
	if (rc < 0)
		return rc;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT uuid,revision FROM visit WHERE id=?", "i", visit);
		if (row_next(r) <= 0 || !row_uuid(r, 0, &id))
			return -ODD_ROW;
		revision = (int)row_int(r, 1);
	}
	rc = outbox_supersede(db, &id, revision);
	return rc < 0 ? rc : outbox_add(g->outbox, db, OBJECT_FOLLOWUP, visit, &id, revision);
}

int visit_touch(struct gateway *g, struct db *db, int64_t resident)
{
	return visit_filed(g, db, resident, INT64_MIN);
}

/* A check-in that is open ends when it has been idle for long enough. */
int visit_filed(struct gateway *g, struct db *db, int64_t resident, int64_t taken_us)
{
	const struct numbers *n = g->numbers;
	int64_t visit = 0;
	int rc = 0;
	while (rc >= 0 &&
		(visit = db_int(db, 0,
			 "SELECT id FROM visit v WHERE resident=?1 AND state IN ('open','closed') "
			 "AND id>?2 AND ?3<=coalesce((SELECT max(coalesce(c.to_us+?6,c.activity_us+?5,"
			 "w.to_us+?6,?4)) FROM visit_window w LEFT JOIN checkin c ON c.id=w.checkin "
			 "WHERE w.visit=v.id),?4) ORDER BY id LIMIT 1",
			 "iiiiii", resident, visit, taken_us, INT64_MAX,
			 n->identity_idle_s * CLOCK_SECOND_US + DOUBT_US, DOUBT_US)))
		rc = visit_tell(g, db, visit);
	return rc;
}

/* Something that a form may rest on: not only more evidence of whose it is. */
static bool differs(struct db *db, const struct uuid *reading)
{
	return db_int(db, 0,
		       "SELECT 1 FROM reading n JOIN reading o ON o.uuid=n.uuid AND "
		       "o.revision=n.revision-1 WHERE n.uuid=? AND n.superseded=0 AND (n.resident IS NOT "
		       "o.resident OR n.kind<>o.kind OR n.body<>o.body OR n.taken<>o.taken OR "
		       "n.trust<>o.trust OR n.status='entered-in-error' OR EXISTS (SELECT 1 FROM "
		       "annotation a WHERE a.reading=n.uuid AND a.key IN ('arm','meal') AND "
		       "a.at>=(SELECT max(confirmed_at) FROM visit WHERE resident=o.resident)))",
		       "b", reading->bytes, sizeof(reading->bytes)) == 1;
}

static int evidence_changed(struct gateway *g, struct db *db, int64_t visit)
{
	char text[33];
	struct uuid id = {0};
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT uuid FROM visit WHERE id=?", "i", visit);
		if (row_next(r) <= 0 || !row_uuid(r, 0, &id))
			return -ODD_ROW;
	}
	int rc = db_run(db, "UPDATE visit SET evidence_changed=1 WHERE id=?", "i", visit);
	return rc < 0 ? rc
		      : intake_event(g, db, 0, "confirmed_visit_changed",
				hex(text, id.bytes, sizeof(id.bytes)), NULL, clock_utc_us(), true);
}

/* Its id in hex stands in the frozen form, wherever it was used. */
int visit_reading_changed(
	struct gateway *g, struct db *db, const struct uuid *reading, int64_t before)
{
	char text[33];
	int64_t visit = 0;
	int rc = 0;
	hex(text, reading->bytes, sizeof(reading->bytes));
	if (!before || !differs(db, reading))
		return 0;
	while (rc >= 0 &&
		(visit = db_int(db, 0,
			 "SELECT id FROM visit WHERE resident=? AND state='confirmed' AND id>? AND "
			 "evidence_changed=0 AND instr(body,?)>0 ORDER BY id LIMIT 1",
			 "iit", before, visit, text)))
		rc = evidence_changed(g, db, visit);
	return rc;
}

/* opening */

/* What a visit begins with. */
struct opening {
	int64_t resident, checkin; /* 0: by command */
	int64_t at_us;
	const char *author, *way;
};

static int window_add(struct db *db, int64_t visit, const struct opening *o)
{
	if (o->checkin)
		return error_only(db_run(db,
			"INSERT INTO visit_window(visit,checkin) SELECT ?1,?2 WHERE NOT EXISTS "
			"(SELECT 1 FROM visit_window WHERE checkin=?2 AND visit=?1)",
			"ii", visit, o->checkin));
	return error_only(db_run(db,
		"INSERT INTO visit_window(visit,from_us) SELECT ?1,?2 WHERE NOT EXISTS (SELECT 1 FROM "
		"visit_window WHERE visit=?1 AND checkin IS NULL AND to_us IS NULL)",
		"ii", visit, o->at_us));
}

static int insert(struct gateway *g, struct db *db, const char *form, const char *day,
	const struct opening *o)
{
	const struct numbers *n = g->numbers;
	struct uuid id = uuid_random();
	char rules[80];
	snprintf(
		rules, sizeof(rules), "followup %s, forms %s", n->version, forms_version(g->forms));
	return error_only(db_run(db,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(?,?,?,'open','here',?,0,?,?,?)",
		"bitttit", id.bytes, sizeof(id.bytes), o->resident, form, day, o->author, o->at_us,
		rules));
}

/* A check-in that ended before it came to us leaves a closed visit. */
static int settle(struct db *db, int64_t visit)
{
	return error_only(db_run(db,
		"UPDATE visit SET state=CASE WHEN EXISTS (SELECT 1 FROM visit_window w LEFT JOIN "
		"checkin c ON c.id=w.checkin WHERE w.visit=visit.id AND c.to_us IS NULL AND w.to_us "
		"IS NULL) THEN 'open' ELSE 'closed' END WHERE id=? AND state IN ('open','closed')",
		"i", visit));
}

/* Confirmed while somebody was still checked in: whoever names the same resident again there opens no second visit of what
 * was measured for the first. 0: it is not so. */
static int64_t confirmed_already(struct db *db, const char *form, const struct opening *o)
{
	return !o->checkin
		       ? 0
		       : db_int(db, 0,
				 "SELECT v.id FROM visit_window w JOIN visit v ON v.id=w.visit WHERE "
				 "w.checkin=? AND v.form=? AND v.resident=? AND v.state='confirmed'",
				 "iti", o->checkin, form, o->resident);
}

/* The visit that goes on, or a new one; its row or -errno. */
static int64_t open_form(
	struct gateway *g, struct db *db, const char *form, const struct opening *o)
{
	char day[DAY_TEXT];
	int64_t visit = confirmed_already(db, form, o);
	if (visit)
		return visit;
	day_text(day, day_of(o->at_us));
	visit = db_int(db, 0,
		"SELECT max(id) FROM visit WHERE resident=? AND form=? AND day=? AND state IN "
		"('open','closed')",
		"itt", o->resident, form, day);
	int rc = 0;
	if (!visit) {
		rc = insert(g, db, form, day, o);
		visit = rc < 0 ? 0 : db_last_id(db);
	}
	if (rc >= 0)
		rc = window_add(db, visit, o);
	if (rc >= 0)
		rc = settle(db, visit);
	if (rc >= 0 && o->way[0])
		rc = db_run(db,
			"UPDATE visit SET answers=json_set(answers,'$.visit_way',?) WHERE id=?",
			"ti", o->way, visit);
	if (rc >= 0)
		rc = visit_tell(g, db, visit);
	return rc < 0 ? rc : visit;
}

int visit_open(struct gateway *g, struct db *db, int64_t resident, const char *form,
	const char *author, const char *way, int64_t *ret_visit)
{
	const struct opening o = {
		.resident = resident, .at_us = clock_utc_us(), .author = author, .way = way};
	int64_t visit = open_form(g, db, form, &o);
	if (visit < 0)
		return (int)visit;
	*ret_visit = visit;
	return 0;
}

int visit_end_windows(struct db *db, int64_t visit)
{
	return db_run(db,
		"UPDATE visit_window SET to_us=? WHERE visit=? AND checkin IS NULL AND to_us IS "
		"NULL",
		"ii", clock_utc_us(), visit);
}

int visit_close(struct gateway *g, struct db *db, int64_t visit)
{
	int ended = visit_end_windows(db, visit);
	int rc = ended < 0
			 ? ended
			 : db_run(db, "UPDATE visit SET state='closed' WHERE id=? AND state='open'",
				   "i", visit);
	if (rc < 0 || (!ended && !rc))
		return rc;
	rc = visit_tell(g, db, visit);
	return rc < 0 ? rc : 1;
}

/* check-ins */

/* Which forms a check-in opens. */
static bool opens(const struct form_names *f, const char *purpose, const char *programmes)
{
	bool yearly = streq(f->brief, "elderly");
	if (streq(purpose, "exam"))
		return yearly;
	return !yearly && (streq(purpose, "follow-up") || streq(purpose, "home-bed")) &&
	       visit_enrolled(programmes, f->programme);
}

static int put_id(struct db *db, int64_t visit, const char *key, struct json *j)
{
	size_t len;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT uuid FROM visit WHERE id=?", "i", visit);
	if (row_next(r) <= 0)
		return -ODD_ROW;
	const void *id = row_blob(r, 0, &len);
	json_hex(j, key, id, len);
	return 0;
}

/* Drafts are made by one gateway, and for residents who are there. */
static int read_checkin(struct gateway *g, struct db *db, struct opening *o,
	char purpose[static 16], char programmes[static 128], char author[static 128])
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT resident,from_us,purpose,programmes,author FROM checkin JOIN resident ON "
		"resident.id=checkin.resident WHERE checkin.id=? AND resident.state='active' AND "
		"(owner='' OR owner=?)",
		"it", o->checkin, g->config->gateway);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	o->resident = row_int(r, 0);
	o->at_us = row_int(r, 1);
	text_copy(purpose, 16, row_text(r, 2), strlen(row_text(r, 2)));
	text_copy(programmes, 128, row_text(r, 3), strlen(row_text(r, 3)));
	text_copy(author, 128, row_text(r, 4), strlen(row_text(r, 4)));
	return 1;
}

int visit_checkin(
	struct gateway *g, struct db *db, int64_t checkin, const char *way, struct json *j)
{
	char purpose[16] = "", programmes[128] = "", author[128] = "";
	struct opening o = {.checkin = checkin, .author = author, .way = way};
	int rc = read_checkin(g, db, &o, purpose, programmes, author);
	json_object_begin(j, "visits");
	for (size_t i = 0; i < FORMS && rc >= 0; i++) {
		if (!opens(&form_names[i], purpose, programmes))
			continue;
		int64_t visit = open_form(g, db, form_names[i].form, &o);
		rc = visit < 0 ? (int)visit : put_id(db, visit, form_names[i].brief, j);
	}
	json_object_end(j);
	return MIN(rc, 0);
}

/* Its next visit that nobody confirmed; 0: there is none. */
static int64_t visit_of(struct db *db, int64_t checkin, int64_t after)
{
	return db_int(db, 0,
		"SELECT min(w.visit) FROM visit_window w JOIN visit v ON v.id=w.visit WHERE w.checkin=? "
		"AND w.visit>? AND v.state IN ('open','closed')",
		"ii", checkin, after);
}

int visit_checkin_ended(struct gateway *g, struct db *db, int64_t checkin)
{
	int64_t visit = 0;
	int rc = 0;
	while (rc >= 0 && (visit = visit_of(db, checkin, visit))) {
		rc = settle(db, visit);
		if (rc >= 0)
			rc = visit_tell(g, db, visit);
	}
	return rc;
}

int visit_checkin_lost(struct gateway *g, struct db *db, int64_t checkin)
{
	int64_t visit = 0;
	int rc = 0;
	while (rc >= 0 && (visit = visit_of(db, checkin, visit))) {
		rc = db_run(db, "DELETE FROM visit_window WHERE visit=? AND checkin=?", "ii", visit,
			checkin);
		if (rc >= 0)
			rc = settle(db, visit);
		if (rc >= 0)
			rc = db_run(db,
				"UPDATE visit SET state='entered-in-error', reason='checkin_undone' "
				"WHERE id=?1 AND NOT EXISTS (SELECT 1 FROM visit_window WHERE "
				"visit=?1)",
				"i", visit);
		if (rc >= 0)
			rc = visit_tell(g, db, visit);
	}
	return rc;
}
