/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "visit_facts.h"

#include "gateway.h"
#include "util.h"

#include <errno.h>

#define TRUSTED " trust IN ('corrected','live') "
#define PROVEN " grade IN ('station','message','person') "
/* Of a reading's body: the cuff says itself that it measured badly. */
#define DOUBTFUL                                                                              \
	" EXISTS (SELECT 1 FROM json_each(r.body,'$.flags') WHERE value IN ('body_movement'," \
	"'cuff_too_loose','improper_position')) "

/* when somebody was there */

static struct visit_span span(struct row *r, const struct gateway *g, int64_t now_us)
{
	const struct numbers *n = g->numbers;
	struct visit_span s = {.checkin = row_int(r, 0), .from_us = row_int(r, 1)};
	if (!row_null(r, 2))
		s.to_us = row_int(r, 2);
	else if (row_null(r, 3))
		s.to_us = INT64_MAX;
	else
		s.to_us = row_int(r, 3) + n->identity_idle_s * CLOCK_SECOND_US;
	s.open = row_null(r, 2) && s.to_us > now_us;
	if (s.open)
		s.to_us = MAX(s.from_us, now_us);
	return s;
}

static int read_spans(const struct gateway *g, struct db *db, int64_t now_us, struct visit_facts *f)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT w.checkin,coalesce(c.from_us,w.from_us),coalesce(c.to_us,w.to_us),c.activity_us "
		"FROM visit_window w LEFT JOIN checkin c ON c.id=w.checkin WHERE w.visit=? ORDER BY "
		"w.id LIMIT ?",
		"ii", f->visit, (int64_t)VISIT_WINDOWS_MAX);
	int rc;
	f->end_us = INT64_MIN;
	while ((rc = row_next(r)) > 0) {
		struct visit_span s = span(r, g, now_us);
		f->spans[f->n_spans++] = s;
		f->end_us = MAX(f->end_us, s.to_us);
		f->open |= s.open;
	}
	if (!f->n_spans)
		f->end_us = now_us;
	return rc;
}

/* the visit's own readings */

struct found {
	int64_t id, taken_us, arrived_us;
	struct visit_reading reading;
};

static int by_time(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->taken_us != y->taken_us)
		return x->taken_us < y->taken_us ? -1 : 1;
	if (x->arrived_us != y->arrived_us)
		return x->arrived_us < y->arrived_us ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static enum arm arm_of(const char *text)
{
	return !text		      ? ARM_NONE
	       : streq(text, "left")  ? ARM_LEFT
	       : streq(text, "right") ? ARM_RIGHT
				      : ARM_NONE;
}

static void take_found(struct row *r, struct found *to)
{
	size_t len;
	*to = (struct found){
		.id = row_int(r, 0), .taken_us = row_int(r, 2), .arrived_us = row_int(r, 3)};
	const void *id = row_blob(r, 1, &len);
	hex(to->reading.id, id, MIN(len, (size_t)16));
	to->reading.taken_us = to->taken_us;
	to->reading.doubtful = row_int(r, 4);
	to->reading.irregular = row_int(r, 5);
	to->reading.arm = arm_of(row_text(r, 6));
}

/* What its check-in claimed, and what by itself says whose it is and was taken meanwhile. */
static int find_readings(struct db *db, const struct visit_facts *f, const struct visit_span *s,
	struct found *all, size_t *n)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT r.id,r.uuid,r.taken,r.arrived," DOUBTFUL
		",EXISTS (SELECT 1 FROM json_each(r.body,"
		"'$.flags') WHERE value='irregular_pulse'),coalesce((SELECT value FROM annotation a "
		"WHERE a.reading=r.uuid AND a.key='arm'),json_extract(r.body,'$.notes.arm')) FROM "
		"reading r WHERE r.id IN (SELECT id FROM reading WHERE checkin=?2 UNION SELECT id FROM "
		"reading WHERE resident=?1 AND taken BETWEEN ?3 AND ?4 AND grade IN ('message',"
		"'person')) AND r.resident=?1 AND r.superseded=0 AND r.test=0 AND r.status IN "
		"('final','amended') AND" TRUSTED "AND" PROVEN "ORDER BY r.taken LIMIT ?5",
		"ipiii", f->resident, s->checkin ? &s->checkin : NULL, s->from_us, s->to_us,
		(int64_t)VISIT_READINGS_MAX);
	int rc;
	while (*n < VISIT_READINGS_MAX && (rc = row_next(r)) != 0) {
		if (rc < 0)
			return rc;
		bool known = false;
		for (size_t i = 0; i < *n && !known; i++)
			known = all[i].id == row_int(r, 0);
		if (!known)
			take_found(r, &all[(*n)++]);
	}
	return 0;
}

static int read_values(
	const struct gateway *g, struct db *db, int64_t reading, struct visit_reading *to)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT kind,milli,decimals,comparator FROM evidence WHERE reading=? ORDER BY rowid",
		"i", reading);
	int rc;
	while ((rc = row_next(r)) > 0) {
		const struct code *code = codes_find(g->codes, row_text(r, 0));
		const char *comparator = row_text(r, 3);
		if (code && to->n < ELEMENTS(to->values))
			to->values[to->n++] = (struct visit_value){code->kind, row_int(r, 1),
				(unsigned)row_int(r, 2), comparator ? comparator[0] : 0};
	}
	return rc;
}

static int read_readings(const struct gateway *g, struct db *db, struct visit_facts *f)
{
	size_t n = 0;
	int rc = 0;
	_cleanup_(freep) struct found *all = calloc(VISIT_READINGS_MAX, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (unsigned i = 0; i < f->n_spans && rc >= 0; i++)
		rc = find_readings(db, f, &f->spans[i], all, &n);
	qsort(all, n, sizeof(*all), by_time);
	f->readings = n ? calloc(n, sizeof(*f->readings)) : NULL;
	if (n && !f->readings)
		return -ENOMEM;
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = read_values(g, db, all[i].id, &all[i].reading);
		f->readings[i] = all[i].reading;
		/* claimed by a check-in whose end it passes, as far as its clock is known */
		f->end_us = MAX(f->end_us, all[i].taken_us);
	}
	f->in.readings = f->readings;
	f->in.n_readings = n;
	return rc;
}

/* what is known beside them */

static int read_before(struct db *db, struct visit_facts *f)
{
	char day[DAY_TEXT];
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT day,class FROM visit WHERE resident=? AND form=? AND day<? AND "
		"state='confirmed' ORDER BY day DESC,id DESC LIMIT 1",
		"itt", f->resident, f->form, day_text(day, f->in.day));
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	f->in.before.known = true;
	f->in.before.day = day_read(row_text(r, 0));
	f->in.before.class = (int)row_int(r, 1);
	return 0;
}

/* Since when results and low glucose count. */
static int32_t since(const struct gateway *g, const struct visit_facts *f)
{
	const struct numbers *n = g->numbers;
	return f->in.before.known ? f->in.before.day : f->in.day - (int32_t)n->aux_days;
}

/* The last usable one of a kind until the visit's end; 1, 0: there is none. */
static int last_result(struct db *db, const struct visit_facts *f, const char *kind,
	int64_t from_us, struct visit_result *ret)
{
	size_t len;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT e.milli,e.decimals,e.taken,r.uuid FROM evidence e JOIN reading r ON r.id=e.reading "
		"WHERE e.resident=? AND e.kind=? AND e.taken BETWEEN ? AND ? AND e.comparator IS NULL "
		"AND e." TRUSTED "AND r." PROVEN "ORDER BY e.taken DESC,e.rowid DESC LIMIT 1",
		"itii", f->resident, kind, from_us, f->end_us);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	*ret = (struct visit_result){.kind = kind,
		.milli = row_int(r, 0),
		.decimals = (unsigned)row_int(r, 1),
		.day = day_of(row_int(r, 2))};
	const void *id = row_blob(r, 3, &len);
	hex(ret->id, id, MIN(len, (size_t)16));
	return 1;
}

static int read_results(const struct gateway *g, struct db *db, struct visit_facts *f)
{
	int64_t from_us = day_begin_us(since(g, f));
	const char *kind;
	for (unsigned i = 0;
		f->in.n_results < VISIT_RESULTS_MAX && (kind = forms_kind(g->forms, i)); i++) {
		int rc = last_result(db, f, kind, from_us, &f->results[f->in.n_results]);
		if (rc < 0)
			return rc;
		f->in.n_results += rc > 0;
	}
	f->in.results = f->results;
	return 0;
}

/* An adult's holds from any time, a child's for a while; of whoever may be a child, as a child's. */
static int read_height(const struct gateway *g, struct db *db, struct visit_facts *f)
{
	const struct numbers *n = g->numbers;
	const struct code *code = codes_find(g->codes, "height");
	struct visit_result height;
	int rc = code ? last_result(db, f, code->kind, INT64_MIN, &height) : 0;
	if (rc <= 0)
		return rc;
	bool adult = age_at_least(age_on(f->birth, height.day), n->height_adult_age) == 1;
	if (adult || f->in.day - height.day <= n->height_child_days)
		f->in.height = height;
	return 0;
}

static int read_hypo(const struct gateway *g, struct db *db, struct visit_facts *f)
{
	const struct numbers *n = g->numbers;
	int64_t last = 0;
	f->in.hypo.since = since(g, f);
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT taken,milli FROM evidence WHERE resident=? AND kind IN ('glu.fasting',"
		"'glu.postprandial_2h','glu.random','glu.capillary_plasma','glu.undetermined_plasma') "
		"AND taken BETWEEN ? AND ? AND milli<=? AND coalesce(comparator,'<')='<' AND" TRUSTED
		"ORDER BY taken",
		"iiii", f->resident, day_begin_us(f->in.hypo.since), f->end_us, n->hypo_at_most);
	int rc;
	while ((rc = row_next(r)) > 0) {
		int64_t taken_us = row_int(r, 0), milli = row_int(r, 1);
		bool first = !f->in.hypo.episodes;
		if (first || taken_us - last >= n->hypo_episode_minutes * 60 * CLOCK_SECOND_US)
			f->in.hypo.episodes++;
		f->in.hypo.lowest = first ? milli : MIN(f->in.hypo.lowest, milli);
		last = taken_us;
	}
	return rc;
}

/* home */

#define SPANS_MAX 256	/* of all visits of a resident: the last ones */
#define POINTS_MAX 2000 /* of some weeks */

static int read_all_spans(const struct gateway *g, struct db *db, int64_t resident, int64_t now_us,
	struct visit_span *spans, size_t *n)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT w.checkin,coalesce(c.from_us,w.from_us),coalesce(c.to_us,w.to_us),c.activity_us "
		"FROM visit v JOIN visit_window w ON w.visit=v.id LEFT JOIN checkin c ON c.id=w.checkin "
		"WHERE v.resident=? AND v.state<>'entered-in-error' ORDER BY w.id DESC LIMIT ?",
		"ii", resident, (int64_t)SPANS_MAX);
	int rc;
	while ((rc = row_next(r)) > 0)
		spans[(*n)++] = span(r, g, now_us);
	return rc;
}

static bool within(const struct visit_span *spans, size_t n, int64_t at_us)
{
	for (size_t i = 0; i < n; i++)
		if (at_us >= spans[i].from_us && at_us <= spans[i].to_us)
			return true;
	return false;
}

static int read_points(struct db *db, int64_t resident, int64_t from_us, int64_t to_us,
	const struct visit_span *spans, size_t n_spans, struct home_point *points, size_t *n)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT r.taken,s.milli,d.milli FROM reading r JOIN evidence s ON s.reading=r.id AND "
		"s.kind='bp.sbp' JOIN evidence d ON d.reading=r.id AND d.kind='bp.dbp' WHERE "
		"r.resident=? AND r.taken>=? AND r.taken<? AND r.superseded=0 AND r.test=0 AND "
		"r.station IS NULL AND r.grade IN ('device','slot','person') AND r." TRUSTED
		"AND s.comparator IS NULL AND d.comparator IS NULL AND NOT" DOUBTFUL
		"ORDER BY r.taken,r.arrived,r.id",
		"iii", resident, from_us, to_us);
	int rc = 0;
	while (*n < POINTS_MAX && (rc = row_next(r)) > 0)
		if (!within(spans, n_spans, row_int(r, 0)))
			points[(*n)++] =
				(struct home_point){row_int(r, 0), row_int(r, 1), row_int(r, 2)};
	return MIN(rc, 0);
}

/* What was measured at home from that day on and before `day`. */
static int read_home(const struct gateway *g, struct db *db, int64_t resident, int32_t from,
	int32_t day, int64_t now_us, struct home_point *points, size_t *n)
{
	size_t n_spans = 0;
	_cleanup_(freep) struct visit_span *spans = calloc(SPANS_MAX, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	int rc = read_all_spans(g, db, resident, now_us, spans, &n_spans);
	return rc < 0 ? rc
		      : read_points(db, resident, day_begin_us(from), day_begin_us(day), spans,
				n_spans, points, n);
}

int visit_home_week(const struct gateway *g, struct db *db, int64_t resident, int32_t day,
	int64_t now_us, struct home_week *ret)
{
	const struct numbers *numbers = g->numbers;
	size_t n = 0;
	_cleanup_(freep) struct home_point *points = calloc(POINTS_MAX, sizeof(*points));
	if (!points)
		return -ENOMEM;
	int32_t from = day - (int32_t)(numbers->home_week_look_back_days + numbers->home_week_days);
	int rc = read_home(g, db, resident, from, day, now_us, points, &n);
	if (rc >= 0)
		*ret = home_week_before(numbers, points, n, day);
	return rc;
}

int visit_home_last(const struct gateway *g, struct db *db, int64_t resident, int32_t day,
	int64_t now_us, struct home_week *ret, int32_t *ret_measured)
{
	const struct numbers *numbers = g->numbers;
	size_t n = 0;
	_cleanup_(freep) struct home_point *points = calloc(POINTS_MAX, sizeof(*points));
	if (!points)
		return -ENOMEM;
	int rc = read_home(
		g, db, resident, day - (int32_t)numbers->home_week_days, day, now_us, points, &n);
	if (rc < 0)
		return rc;
	*ret = home_week(numbers, points, n, day - 1);
	*ret_measured = n ? day_of(points[n - 1].taken_us) : DAY_NONE;
	return 0;
}

/* all of it */

static int read_visit(struct db *db, struct visit_facts *f)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT v.resident,token,form,birth_date,conditions,day,answers FROM visit v JOIN "
		"resident ON resident.id=v.resident WHERE v.id=?",
		"i", f->visit);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	const char *birth = row_text(r, 3);
	f->resident = row_int(r, 0);
	text_copy(f->token, sizeof(f->token), row_text(r, 1), strlen(row_text(r, 1)));
	text_copy(f->form, sizeof(f->form), row_text(r, 2), strlen(row_text(r, 2)));
	text_copy(f->birth, sizeof(f->birth), birth ? birth : "", birth ? strlen(birth) : 0);
	text_copy(f->conditions, sizeof(f->conditions), row_text(r, 4), strlen(row_text(r, 4)));
	f->in.day = day_read(row_text(r, 5));
	f->answers = json_loads(row_text(r, 6), 0, NULL);
	return f->in.day == DAY_NONE || !f->answers ? -ODD_ROW : 1;
}

int visit_facts_read(const struct gateway *g, struct db *db, int64_t visit, int64_t now_us,
	struct visit_facts *ret)
{
	struct visit_facts *f = ret;
	*f = (struct visit_facts){.visit = visit};
	int rc = read_visit(db, f);
	if (rc <= 0)
		return rc;
	f->in.forms = g->forms;
	f->in.codes = g->codes;
	f->in.numbers = g->numbers;
	f->in.ws = g->ws;
	f->in.form = f->form;
	f->in.birth = f->birth;
	f->in.conditions = f->conditions;
	f->in.answers = f->answers;
	rc = read_spans(g, db, now_us, f);
	if (rc >= 0)
		rc = read_readings(g, db, f);
	if (rc >= 0)
		rc = read_before(db, f);
	if (rc >= 0)
		rc = read_results(g, db, f);
	if (rc >= 0)
		rc = read_height(g, db, f);
	if (rc >= 0)
		rc = read_hypo(g, db, f);
	if (rc >= 0)
		rc = visit_home_week(g, db, f->resident, f->in.day, now_us, &f->in.week);
	return rc < 0 ? rc : 1;
}

void visit_facts_end(struct visit_facts *f)
{
	free(f->readings);
	json_decref(f->answers);
	f->readings = NULL;
	f->answers = NULL;
}
