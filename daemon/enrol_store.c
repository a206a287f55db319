/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrol_store.h"

#include "enrolled.h"
#include "intake.h"
#include "loan.h"
#include "payload.h"

#include <errno.h>

static void job_done(struct job *job, int result)
{
	struct enrol_job *j = (struct enrol_job *)job;
	if (j->done)
		j->done(j, result);
	free(j->reading);
	free(j);
}

struct enrol_job *enrol_job(struct gateway *g, const char *author)
{
	struct enrol_job *j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	j->gateway = g;
	j->job.done = job_done;
	text_copy(j->author, sizeof(j->author), author, strlen(author));
	return j;
}

static void submit(struct enrol_job *j, int (*run)(struct job *job, struct db *db), bool reads_only)
{
	j->job.run = run;
	j->job.reads_only = reads_only;
	store_submit(j->gateway->store, &j->job);
}

int enrol_store_note(
	struct db *db, const char *author, const char *action, const char *id, const char *detail)
{
	return error_only(
		db_run(db, "INSERT INTO audit(at,author,action,object,detail) VALUES(?,?,?,?,?)",
			"itttt", clock_utc_us(), author, action, id, detail));
}

static int64_t row_of(struct db *db, const char *id)
{
	return db_int(db, 0, "SELECT id FROM device WHERE name=?", "t", id);
}

int enrol_store_forget(struct db *db, const char *id)
{
	int64_t row = row_of(db, id);
	if (!row)
		return 0;
	/* the clock and the memory were another one's */
	int rc = db_run(db,
		"UPDATE device SET uid=NULL, offset_us=NULL, offset_at=NULL, battery=NULL, "
		"drained=NULL, session=0, serial=0 WHERE id=?",
		"i", row);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM device_offset WHERE device=?", "i", row);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM mark WHERE device=?", "i", row);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM handover WHERE device=?", "i", row);
	if (rc >= 0)
		rc = db_run(db, "DELETE FROM binding WHERE device=?", "i", row);
	return MIN(rc, 0);
}

static int run_prepare(struct job *job, struct db *db)
{
	struct enrol_job *j = (struct enrol_job *)job;
	j->since = db_int(db, 0, "SELECT max(id) FROM reading", "");
	return j->replaces ? 0 : enrol_store_forget(db, j->device.id);
}

void enrol_store_prepare(struct enrol_job *j)
{
	submit(j, run_prepare, false);
}

static int run_look(struct job *job, struct db *db)
{
	struct enrol_job *j = (struct enrol_job *)job;
	int64_t device = row_of(db, j->device.id);
	int64_t row = db_int(db, 0,
		"SELECT max(id) FROM reading WHERE device=? AND id>? AND test=1 AND superseded=0",
		"ii", device, j->since);
	/* that of one that is replaced is of earlier times */
	j->drained =
		!j->replaces &&
		db_int(db, 0, "SELECT drained IS NOT NULL FROM device WHERE id=?", "i", device);
	if (!row)
		return 0;
	struct json out = {0};
	int rc = payload_object(j->gateway, db, OBJECT_READING, row, row, &out);
	if (rc >= 0)
		j->reading = json_take(&out);
	j->since = row;
	json_free(&out);
	return rc;
}

void enrol_store_look(struct enrol_job *j)
{
	submit(j, run_look, true);
}

static int bind_one(
	struct db *db, const struct enrol_job *j, int64_t device, unsigned i, int64_t now)
{
	const char *token = j->whose.of[i].resident;
	struct loan l = {.device = device,
		.resident = db_int(db, 0, "SELECT id FROM resident WHERE token=?", "t", token),
		.slot = j->whose.of[i].slot,
		.author = j->author};
	if (!l.resident)
		return -ENOENT;
	int rc = loan_bind(db, &l, now, INT64_MAX);
	return rc < 0 ? rc : enrol_store_note(db, j->author, "bind", j->device.id, token);
}

static int run_save(struct job *job, struct db *db)
{
	struct enrol_job *j = (struct enrol_job *)job;
	const char *id = j->device.id;
	int64_t now = clock_utc_us(), row = row_of(db, id);
	int rc = row ? 0 : -ODD_ROW;
	for (unsigned i = 0; rc >= 0 && i < j->whose.n; i++) {
		rc = bind_one(db, j, row, i, now);
		if (rc != -ENOENT)
			continue;
		snprintf(j->error, sizeof(j->error),
			"there is no resident %s; import the roster first: vitalgate import FILE",
			j->whose.of[i].resident);
		snprintf(j->zh, sizeof(j->zh), "没有居民 %s；请先导入名册：vitalgate import 文件",
			j->whose.of[i].resident);
	}
	if (rc >= 0)
		rc = enrol_store_note(db, j->author, "enrol", id, j->device.address);
	if (rc >= 0)
		rc = intake_event(
			j->gateway, db, row, "device_enrolled", j->device.driver, NULL, now, true);
	if (rc >= 0)
		rc = enrolled_change(
			j->gateway->config, id, &j->device, j->error, sizeof(j->error));
	if (rc < 0 && !j->error[0])
		snprintf(j->error, sizeof(j->error), "not stored: %s", strerror(-rc));
	if (rc < 0 && !j->zh[0])
		snprintf(j->zh, sizeof(j->zh), "未能保存：%.200s", j->error);
	return rc;
}

void enrol_store_save(struct enrol_job *j)
{
	submit(j, run_save, false);
}

static int run_audit(struct job *job, struct db *db)
{
	struct enrol_job *j = (struct enrol_job *)job;
	return enrol_store_note(db, j->author, j->action, j->device.id,
		j->device.address[0] ? j->device.address : NULL);
}

void enrol_store_audit(struct enrol_job *j)
{
	submit(j, run_audit, false);
}
