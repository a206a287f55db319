/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the readings of a rehearsal come from: a store, or a table. */
#include "csv.h"
#include "intake.h"
#include "rehearse.h"
#include "yamlmap.h"

#include <errno.h>

/* a store */

struct place {
	int64_t arrived_us, row;
};

static int by_arrival(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->arrived_us != y->arrived_us)
		return x->arrived_us < y->arrived_us ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* In the order of their arrival. The query is ended. */
static int places_of(struct row *query, struct place **ret, size_t *ret_n)
{
	size_t n = 0, size = 0;
	struct place *all = NULL;
	int rc;
	_cleanup_(row_endp) struct row *r = query;
	while ((rc = row_next(r)) > 0) {
		if (n == size) {
			size = size ? 2 * size : 4096;
			struct place *more = realloc(all, size * sizeof(*all));
			if (!more) {
				free(all);
				return -ENOMEM;
			}
			all = more;
		}
		all[n++] = (struct place){row_int(r, 0), row_int(r, 1)};
	}
	if (n)
		qsort(all, n, sizeof(*all), by_arrival);
	*ret = all;
	*ret_n = n;
	return rc;
}

/* Visits and their windows, which are no time at home. One that was confirmed, and a plan, waits until then. */
static int copy_visits(struct rehearsal *h)
{
	int rc = db_script(h->db,
		"INSERT INTO visit SELECT * FROM old.visit;"
		"INSERT INTO visit_window SELECT * FROM old.visit_window;"
		"INSERT INTO checkin SELECT * FROM old.checkin WHERE id IN (SELECT checkin FROM "
		"old.visit_window);"
		"INSERT INTO plan SELECT * FROM old.plan;"
		"UPDATE visit SET state='" VISIT_LATER
		"' WHERE state='confirmed' AND confirmed_at IS NOT NULL;"
		"UPDATE plan SET form='" PLAN_LATER "'||form;"
		"CREATE INDEX rehearsal_visit ON visit(confirmed_at) WHERE state='" VISIT_LATER
		"'");
	h->home = h->visits = true;
	h->plans_lost = db_int(h->db, 0,
		"SELECT max(0,(SELECT count(*) FROM old.audit WHERE action='plan')-(SELECT count(*) "
		"FROM old.plan))",
		"");
	return rc;
}

static int copy_one(struct rehearsal *h, int64_t row)
{
	int rc =
		db_run(h->db, "INSERT INTO reading SELECT * FROM old.reading WHERE id=?", "i", row);
	return rc <= 0 ? rc : rehearse_reading(h, row); /* it may be gone by now */
}

int rehearse_history(struct rehearsal *h, const char *from)
{
	static const char *const tables[] = {"INSERT INTO resident SELECT * FROM old.resident",
		"INSERT INTO team SELECT * FROM old.team",
		"INSERT INTO personal_limit SELECT * FROM old.personal_limit",
		"INSERT INTO device SELECT * FROM old.device",
		"INSERT INTO absence SELECT * FROM old.absence",
		"INSERT INTO duty SELECT * FROM old.duty"};
	_cleanup_(freep) struct place *all = NULL;
	size_t n = 0;
	int rc = db_attach(h->db, from);
	if (rc < 0) {
		snprintf(h->error, sizeof(h->error), "%s: %s", from,
			rc == -ENOTSUP ? "the store is of another version than this program"
				       : "no store that you may read; run it as root");
		return rc;
	}
	rc = db_script(h->db, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < ELEMENTS(tables) && rc >= 0; i++)
		rc = db_script(h->db, tables[i]);
	if (rc >= 0)
		rc = copy_visits(h);
	if (rc >= 0) /* one look at where they are, and then each by itself: nobody waits for us */
		rc = places_of(
			db_query(h->db,
				"SELECT arrived,id FROM old.reading WHERE superseded=0 AND test=0 "
				"AND place IS NULL AND kind<>'" READING_ENVIRONMENT
				"' AND status<>'entered-in-error'",
				""),
			&all, &n);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = copy_one(h, all[i].row);
	if (rc >= 0)
		rc = rehearse_end(h, true);
	if (rc >= 0)
		rc = db_script(h->db, "COMMIT");
	if (rc < 0 && !h->error[0])
		snprintf(h->error, sizeof(h->error), "%s: %s", from, db_error(h->db));
	return rc;
}

/* a table */

struct table {
	struct rehearsal *h;
	const char *path;
	struct csv csv;
	int64_t device;
	unsigned n;
	int64_t taken_us, arrived_us, resident;
	struct reading reading;
	char flags[128];
};

static int wrong(struct table *t, const char *column, const char *expected)
{
	snprintf(t->h->error, sizeof(t->h->error), "%s:%u: %s: expected %s", t->path, t->csv.line,
		column, expected);
	return -EINVAL;
}

/* Columns that are no numbers. */
static bool is_fact(const char *column)
{
	static const char *const facts[] = {"taken", "arrived", "resident", "flags", "birth_date",
		"programmes", "populations", "conditions", "setting"};
	for (size_t i = 0; i < ELEMENTS(facts); i++)
		if (streq(facts[i], column))
			return true;
	return false;
}

/* The kind of a column: as the code table names it, or as people do. */
static const struct code *kind_of(const struct table *t, const char *column)
{
	static const struct {
		const char *name, *kind;
	} short_ones[] = {{"sbp", "bp.sbp"}, {"dbp", "bp.dbp"}, {"pulse", "bp.pulse"},
		{"glucose", "glu.random"}, {"fasting", "glu.fasting"}};
	for (size_t i = 0; i < ELEMENTS(short_ones); i++)
		if (streq(short_ones[i].name, column))
			column = short_ones[i].kind;
	return codes_find(t->h->gateway.codes, column);
}

/* "120", "6.1", "> 33.3", "<0.6" */
static bool take_number(
	const struct table *t, const struct code *code, const char *text, struct quantity *ret)
{
	int64_t mantissa;
	int8_t exponent;
	struct vg_decimal number;
	*ret = (struct quantity){.code = code};
	if (*text == '<' || *text == '>')
		ret->comparator = *text++;
	text += strspn(text, " ");
	if (!yamlmap_decimal(text, &mantissa, &exponent))
		return false;
	number = (struct vg_decimal){.mantissa = mantissa, .exponent = exponent};
	return codes_convert(t->h->gateway.codes, code, number, NULL, &ret->value) >= 0;
}

static int take_numbers(struct table *t)
{
	struct csv *c = &t->csv;
	struct reading *r = &t->reading;
	for (unsigned i = 0; i < c->n_fields; i++) {
		const struct code *code = is_fact(c->columns[i]) ? NULL : kind_of(t, c->columns[i]);
		if (!code || !c->fields[i][0])
			continue;
		if (r->n_quantities == VG_QUANTITIES_MAX ||
			!take_number(t, code, c->fields[i], &r->quantities[r->n_quantities++]))
			return wrong(t, c->columns[i],
				"a number in the unit and range of the code table");
	}
	return r->n_quantities ? 0 : wrong(t, "values", "at least one");
}

static const char *field(const struct table *t, const char *column)
{
	const char *text = csv_get(&t->csv, column);
	return text ? text : "";
}

static bool take_time(const char *text, int64_t *ret_us)
{
	struct vg_civil c;
	char with_t[32];
	text_copy(with_t, sizeof(with_t), text, strlen(text));
	if (strlen(with_t) > 10 && with_t[10] == ' ')
		with_t[10] = 'T';
	if (strlen(with_t) == 16)
		strcat(with_t, ":00");
	return clock_civil_read(with_t, &c) && clock_civil_utc(&c, ret_us) &&
	       clock_plausible(*ret_us);
}

/* "a;b" */
static void take_flags(struct table *t, const char *text)
{
	struct reading *r = &t->reading;
	text_copy(t->flags, sizeof(t->flags), text, strlen(text));
	char *rest = t->flags, *flag;
	while ((flag = strsep(&rest, ";")) && r->n_flags < VG_FLAGS_MAX)
		if (flag[0])
			r->flags[r->n_flags++] = flag;
}

/* Whose it is, as the first of the resident's lines says; 0: nobody's. */
static int64_t resident_of(struct table *t, const char *token)
{
	struct db *db = t->h->db;
	if (!token[0])
		return 0;
	int64_t id = db_int(db, 0, "SELECT id FROM resident WHERE token=?", "t", token);
	if (id)
		return id;
	const char *born = field(t, "birth_date");
	int rc = db_run(db,
		"INSERT INTO resident(token,birth_date,programmes,populations,conditions,setting,"
		"doctor,valid_from,changed) VALUES(?,?,?,?,?,?,'D-0001',0,0)",
		"tttttt", token, born[0] ? born : NULL, field(t, "programmes"),
		field(t, "populations"), field(t, "conditions"), field(t, "setting"));
	return rc < 0 ? rc : db_last_id(db);
}

static int take_line(struct table *t)
{
	const char *arrived = field(t, "arrived");
	t->reading = (struct reading){.kind = "table"};
	if (!take_time(field(t, "taken"), &t->taken_us))
		return wrong(t, "taken", "a local time such as 2026-11-21T08:00, from 2026 on");
	t->arrived_us = t->taken_us;
	if (arrived[0] && (!take_time(arrived, &t->arrived_us) || t->arrived_us < t->taken_us))
		return wrong(t, "arrived", "a local time, not before taken");
	take_flags(t, field(t, "flags"));
	int rc = take_numbers(t);
	if (rc >= 0)
		t->resident = resident_of(t, field(t, "resident"));
	return rc < 0 ? rc : (int)MIN(t->resident, INT64_C(0));
}

/* Whoever is at home measures with an instrument of its own; of others nobody knows where they were measured. */
static bool is_home(struct table *t)
{
	bool home =
		t->resident && db_int(t->h->db, 0, "SELECT setting='home' FROM resident WHERE id=?",
				       "i", t->resident) == 1;
	t->h->home |= home;
	return home;
}

static int keep_line(struct table *t)
{
	struct json j = {0};
	bool home = is_home(t);
	struct uuid id = uuid_of("table", &t->n, sizeof(t->n));
	json_object_begin(&j, NULL);
	reading_json_body(&t->reading, &j, false);
	json_object_end(&j);
	const char *body = json_text(&j);
	int rc =
		!body ? -ENOMEM
		      : db_run(t->h->db,
				"INSERT INTO reading(uuid,revision,status,kind,device,resident,"
				"evidence,grade,in_contract,test,arrived,boot_id,boot_us,taken,"
				"uncertainty_us,trust,body,content,raw,driver,tables_version,"
				"committed_boot_us) VALUES(?,1,'final','table',?,?,?,?,1,0,?,zeroblob(16),0,?,0,'live',?,'','','','',0)",
				"bipttiit", id.bytes, sizeof(id.bytes), t->device,
				t->resident ? &t->resident : NULL,
				home ? "device_binding" : "message_token",
				home ? "device" : "message", t->arrived_us, t->taken_us, body);
	json_free(&j);
	t->n++;
	return error_only(rc);
}

static int open_table(struct table *t)
{
	char uid[96];
	int rc = csv_open_file(&t->csv, t->path, t->h->error, sizeof(t->h->error));
	if (rc < 0)
		return rc;
	if (!csv_get(&t->csv, "taken"))
		return wrong(t, "taken", "a column of this name");
	for (unsigned i = 0; i < t->csv.n_columns; i++)
		if (!is_fact(t->csv.columns[i]) && !kind_of(t, t->csv.columns[i]))
			return wrong(t, t->csv.columns[i], "a kind of the code table");
	t->device = intake_device(t->h->db, "table", "table", "table", uid);
	return (int)MIN(t->device, INT64_C(0));
}

static int read_table(struct table *t)
{
	int rc = open_table(t);
	while (rc >= 0 && (rc = csv_row(&t->csv, t->h->error, sizeof(t->h->error))) > 0) {
		rc = take_line(t);
		if (rc >= 0)
			rc = keep_line(t);
	}
	return rc;
}

int rehearse_table(struct rehearsal *h, const char *path)
{
	static struct table t;
	_cleanup_(freep) struct place *all = NULL;
	size_t n = 0;
	t = (struct table){.h = h, .path = path};
	int rc = db_script(h->db, "BEGIN IMMEDIATE");
	if (rc >= 0)
		rc = read_table(&t);
	csv_close(&t.csv);
	if (rc >= 0)
		rc = places_of(db_query(h->db, "SELECT arrived,id FROM reading", ""), &all, &n);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = rehearse_reading(h, all[i].row);
	if (rc >= 0)
		rc = rehearse_end(h, false);
	if (rc >= 0)
		rc = db_script(h->db, "COMMIT");
	if (rc < 0 && !h->error[0])
		snprintf(h->error, sizeof(h->error), "%s: %s", path, strerror(-rc));
	return rc;
}
