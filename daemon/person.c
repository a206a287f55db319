/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "person.h"

#include "alerts.h"
#include "gateway.h"
#include "intake.h"
#include "repeat.h"
#include "revision.h"
#include "stored.h"

#include <errno.h>

#define UNCERTAINTY_US (60 * CLOCK_SECOND_US) /* people type minutes */

/* annotations */

/* What becomes another kind when somebody knows of the meal; others say more than a meal could, or are no blood. */
static const char *const blood[] = {"glu.fasting", "glu.postprandial_2h", "glu.random",
	"glu.capillary_plasma", "glu.undetermined_plasma"};

static const struct code *meal_code(const struct codes *codes, const char *meal)
{
	char name[32];
	snprintf(name, sizeof(name), "glu.%s", meal);
	return codes_find(codes, name);
}

static bool is_blood(const char *kind)
{
	for (size_t i = 0; i < ELEMENTS(blood); i++)
		if (streq(blood[i], kind))
			return true;
	return false;
}

/* A mealtime belongs to a glucose of blood, an arm to a blood pressure: said of anything else it was meant for another
 * reading. */
static bool about(const char *key, const char *kind)
{
	if (streq(key, "meal"))
		return is_blood(kind);
	return !streq(key, "arm") || streq(kind, "bp.sbp") || streq(kind, "bp.dbp");
}

bool person_fits(const struct reading *r, const struct annotation *a)
{
	for (unsigned i = 0; i < r->n_quantities; i++)
		if (about(a->key, r->quantities[i].code->kind))
			return true;
	return false;
}

static bool note_meal(const struct codes *codes, struct reading *r, const char *meal)
{
	unsigned renamed = 0;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		if (!is_blood(r->quantities[i].code->kind))
			continue;
		r->quantities[i].code = meal_code(codes, meal);
		renamed++;
	}
	return renamed <= 1;
}

bool person_note(
	const struct codes *codes, struct reading *r, const struct annotation *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = 0;
		while (at < r->n_notes && !streq(r->notes[at].key, a[i].key))
			at++;
		struct note *note = &r->notes[at];
		r->n_notes = MAX(r->n_notes, at + 1);
		note->key = a[i].key;
		text_copy(note->text, sizeof(note->text), a[i].value, strlen(a[i].value));
		if (streq(a[i].key, "meal") && !note_meal(codes, r, a[i].value))
			return false;
	}
	return true;
}

/* typed readings */

const char *person_kind(const struct reading *r)
{
	static const struct {
		const char *begins, *kind;
	} kinds[] = {{"bp.", "bp"}, {"glu.", "glucose"}, {"spo2", "spo2"}, {"lipid.", "lipids"},
		{"weight", "weight"}, {"height", "height"}, {"temp", "temperature"},
		{"hba1c", "hba1c"}};
	const char *found = NULL;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const char *of = "entry";
		for (size_t k = 0; k < ELEMENTS(kinds); k++)
			if (!strncmp(r->quantities[i].code->kind, kinds[k].begins,
				    strlen(kinds[k].begins)))
				of = kinds[k].kind;
		if (found && !streq(found, of))
			return "entry";
		found = of;
	}
	return found ? found : "entry";
}

int person_enter(struct gateway *g, struct db *db, struct reading *r, int64_t resident,
	const struct vg_civil *taken)
{
	const struct resident_decision who = {
		.resident = resident, .evidence = "entered_by_person", .grade = "person"};
	struct when when = {.uncertainty_us = UNCERTAINTY_US, .trust = TRUST_LIVE};
	char uid[96];
	int64_t row = intake_device(db, PERSON_DEVICE, PERSON_DEVICE, "-", uid);
	if (row < 0)
		return (int)row;
	const struct unit u = {.device_row = row,
		.driver = PERSON_DEVICE,
		.driver_version = 1,
		.ack_mode = "none",
		.arrived_us = clock_utc_us(),
		.boot_us = clock_boot_us()};
	r->of = &who;
	r->live = true;
	if (taken) {
		if (!clock_civil_utc(taken, &when.taken_us))
			return -EINVAL;
		r->has_taken = true;
		r->taken = *taken;
		r->at = &when;
	}
	r->kind = person_kind(r);
	reading_identify(r, "", PERSON_DEVICE, NULL, 0);
	int rc = intake_reading(g, db, &u, r);
	r->of = NULL; /* they end with this call */
	r->at = NULL;
	return rc;
}

/* stored readings */

/* One text out of the store; NULL: none, or no memory. */
static char *taken(struct row *r)
{
	const char *text = row_next(r) > 0 ? row_text(r, 0) : NULL;
	char *copy = text ? strdup(text) : NULL;
	row_end(r);
	return copy;
}

/* SQLite keeps numbers as they are written: 6.0 does not become 6. */
static int body_note(struct db *db, char **body, const char *key, const char *value)
{
	char *next = taken(
		db_query(db, "SELECT json_set(?1,'$.notes.'||?2,?3)", "ttt", *body, key, value));
	if (!next)
		return -ENOMEM;
	free(*body);
	*body = next;
	return 0;
}

static int body_rename(struct db *db, char **body, const char *kind, const struct code *code)
{
	const char *const codes[][2] = {
		{"ws", code->ws}, {"loinc", code->loinc}, {"mdc", code->mdc}};
	struct json j = {0};
	json_object_begin(&j, NULL); /* as a patch: what is null goes away */
	for (size_t i = 0; i < ELEMENTS(codes); i++)
		json_str(&j, codes[i][0], codes[i][1][0] ? codes[i][1] : NULL);
	json_object_end(&j);
	_cleanup_(freep) char *patch = json_take(&j);
	char *next = !patch ? NULL
			    : taken(db_query(db,
				      "SELECT json_set(json_remove(?1,'$.values.\"'||?2||'\"'),"
				      "'$.values.\"'||?3||'\"',json_patch(json_extract(?1,"
				      "'$.values.\"'||?2||'\"'),?4))",
				      "tttt", *body, kind, code->kind, patch));
	if (!next)
		return -ENOMEM;
	free(*body);
	*body = next;
	return 0;
}

/* 1: the kind of its glucose is another now. */
static int body_meal(struct gateway *g, struct db *db, char **body, const char *meal)
{
	const struct code *code = meal_code(g->codes, meal);
	const char *found = NULL;
	for (size_t i = 0; i < ELEMENTS(blood); i++) {
		if (!db_int(db, 0, "SELECT json_type(?1,'$.values.\"'||?2||'\"') IS NOT NULL", "tt",
			    *body, blood[i]))
			continue;
		if (found)
			return -EINVAL;
		found = blood[i];
	}
	if (!found || !code || streq(found, code->kind))
		return 0;
	int rc = body_rename(db, body, found, code);
	return rc < 0 ? rc : 1;
}

/* The body of a reading that a person may still say something about; free() it. */
static int body_open(struct db *db, const struct uuid *id, char **ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT body,status,evidence FROM reading WHERE uuid=? AND superseded=0", "b",
		id->bytes, sizeof(id->bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	if (streq(row_text(r, 2), "place"))
		return -ENOTSUP;
	if (streq(row_text(r, 1), REVISION_VOID))
		return -ECANCELED;
	*ret = strdup(row_text(r, 0));
	return *ret ? 0 : -ENOMEM;
}

/* 1: it is new. */
static int keep_annotation(
	struct db *db, const struct uuid *id, const struct annotation *a, const char *author)
{
	int rc = db_run(db,
		"INSERT INTO annotation(reading,key,value,author,at) VALUES(?1,?2,?3,?4,?5) ON "
		"CONFLICT(reading,key) DO UPDATE SET value=?3, author=?4, at=?5 WHERE value<>?3",
		"bttti", id->bytes, sizeof(id->bytes), a->key, a->value, author, clock_utc_us());
	return MIN(rc, 1);
}

/* 0; -EDOM: it is about nothing that this reading has. */
static int fits(struct db *db, const char *body, const struct annotation *a)
{
	int rc;
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT key FROM json_each(?,'$.values')", "t", body);
	while ((rc = row_next(r)) > 0)
		if (about(a->key, row_text(r, 0)))
			return 0;
	return rc < 0 ? rc : -EDOM;
}

int person_annotate(struct gateway *g, struct db *db, const struct uuid *id,
	const struct annotation *a, unsigned n, const char *author)
{
	_cleanup_(freep) char *body = NULL;
	int rc = body_open(db, id, &body), news = 0, renamed = 0;
	for (unsigned i = 0; i < n && rc >= 0; i++)
		rc = fits(db, body, &a[i]);
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		rc = keep_annotation(db, id, &a[i], author);
		news += rc > 0;
		if (rc >= 0)
			rc = body_note(db, &body, a[i].key, a[i].value);
		if (rc >= 0 && streq(a[i].key, "meal"))
			rc = renamed = body_meal(g, db, &body, a[i].value);
	}
	if (rc >= 0 && !news)
		return -EALREADY;
	if (rc >= 0)
		rc = revision_make(g, db, id, &(struct revision){.body = body}, NULL);
	/* a fasting value may be dangerous where a random one is not */
	if (rc >= 0 && renamed > 0)
		rc = alerts_leave(g, db, id, LEFT_CORRECTED, NULL);
	return rc < 0 || renamed <= 0 ? rc : alerts_judge_again(g, db, id);
}

int person_void(struct gateway *g, struct db *db, const struct uuid *id, const char *reason,
	const struct alerts_ack *ack)
{
	_cleanup_(freep) char *body = NULL;
	int rc = body_open(db, id, &body);
	if (rc == -ECANCELED)
		return -EALREADY;
	if (rc >= 0)
		rc = body_note(db, &body, "voided", reason);
	if (rc >= 0)
		rc = revision_make(
			g, db, id, &(struct revision){.body = body, .status = REVISION_VOID}, NULL);
	if (rc >= 0)
		rc = repeat_stop(g, db, id);
	return rc < 0 ? rc : alerts_leave(g, db, id, ack ? LEFT_ARTEFACT : LEFT_VOIDED, ack);
}

int person_carry(struct gateway *g, struct db *db, const struct uuid *id, struct reading *r)
{
	struct annotation a[ANNOTATIONS_MAX];
	unsigned n = 0;
	_cleanup_(row_endp) struct row *row =
		db_query(db, "SELECT key,value FROM annotation WHERE reading=?", "b", id->bytes,
			sizeof(id->bytes));
	int rc = 0;
	while (n < ELEMENTS(a) && (rc = row_next(row)) > 0)
		n += annotation_find(row_text(row, 0), row_text(row, 1), &a[n]);
	if (rc >= 0)
		person_note(g->codes, r, a, n);
	return MIN(rc, 0);
}
