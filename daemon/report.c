/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report.h"

#include "acknowledge.h"
#include "alerts.h"
#include "centre.h"
#include "gateway.h"
#include "log.h"
#include "study.h"
#include "watch.h"

#include <ctype.h>
#include <errno.h>

#define CRITICAL_CONDITION "ecg-critical"
#define PLACE "ecg" /* of technical alerts: the way to the centre and back */
#define MINUTE_US (60 * CLOCK_SECOND_US)

static const char *const statuses[] = {
	"preliminary", "final", "amended", "poor_tracing", "critical", NULL};

const char *report_status_name(enum report_status s)
{
	return statuses[s];
}

enum report_status report_status_of(const char *name)
{
	enum report_status s = 0;
	while (s < REPORTS && !streq(statuses[s], name))
		s++;
	return s;
}

/* waiting */

/* What waits, and the type of the rule by which staff are told when it waited too long. */
enum wait { WAIT_SENT, WAIT_REPORT, WAITS };

static const struct {
	const char *what;
	enum rule_type type;
} waits[WAITS] = {{"sent", RULE_ECG_NOT_SENT}, {"report", RULE_ECG_OVERDUE}};

#define NEVER INT64_MAX /* due_boot of what nobody wants to hear of */

/* NULL: the site has switched it off. */
static const struct alert_rule *rule_of(const struct gateway *g, enum wait w)
{
	const struct alert_rule *rule;
	for (unsigned i = 0; (rule = alert_rules_at(g->rules, i)); i++)
		if (rule->type == waits[w].type)
			break;
	return rule;
}

static int wait_begin(struct gateway *g, struct db *db, int64_t study, enum wait w,
	int64_t since_us, int64_t due_us)
{
	int64_t due_boot_us = clock_boot_us() + (due_us - since_us);
	int rc = db_run(db,
		"INSERT OR IGNORE INTO study_wait(study,what,since,boot_id,due_boot,due) "
		"VALUES(?,?,?,?,?,?)",
		"itibii", study, waits[w].what, since_us, clock_boot_id(), (size_t)16, due_boot_us,
		due_us);
	if (rc > 0)
		watch_expect(g->watch, due_boot_us);
	return MIN(rc, 0);
}

/* It came: what was told of it is over by itself. */
static int wait_end(struct gateway *g, struct db *db, int64_t study, enum wait w)
{
	struct uuid alert;
	bool told;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT alert FROM study_wait WHERE study=? AND what=?", "it",
				study, waits[w].what);
		int rc = row_next(r);
		if (rc <= 0)
			return rc;
		told = row_uuid(r, 0, &alert);
	}
	int rc = db_run(
		db, "DELETE FROM study_wait WHERE study=? AND what=?", "it", study, waits[w].what);
	return rc < 0 || !told ? MIN(rc, 0) : alerts_over(g, db, &alert, clock_utc_us());
}

static unsigned centre_sink(const struct config *c)
{
	for (unsigned i = 0; i < c->n_sinks; i++)
		if (streq(c->sinks[i].name, c->ecg_centre))
			return i;
	return 0;
}

int report_expect(struct gateway *g, struct db *db, int64_t study)
{
	const struct config *c = g->config;
	int64_t now = clock_utc_us();
	if (!c->n_sinks)
		return 0; /* nobody was promised to us */
	return wait_begin(g, db, study, WAIT_SENT, now, now + c->ecg_not_sent_minutes * MINUTE_US);
}

int report_not_expected(struct gateway *g, struct db *db, int64_t study)
{
	return wait_end(g, db, study, WAIT_SENT);
}

/* The centre has it: nothing is unsent, and the time of the report begins if one is expected. */
static int at_the_centre(struct gateway *g, struct db *db, int64_t row, int64_t now)
{
	const struct config *c = g->config;
	struct centre_hours hours;
	char error[CENTRE_ERROR_MAX];
	/* what was reported before is due no more */
	bool expected =
		db_int(db, 0,
			"SELECT 1 FROM study_wait w WHERE study=? AND what='sent' AND NOT EXISTS "
			"(SELECT 1 FROM report r WHERE r.study=w.study AND status<>'critical')",
			"i", row) == 1;
	int rc = wait_end(g, db, row, WAIT_SENT);
	if (rc < 0 || !expected)
		return rc;
	int64_t due = centre_parse(c->ecg_hours, &hours, error, sizeof(error))
			      ? centre_due(&hours, now, c->ecg_report_minutes)
			      : now + c->ecg_report_minutes * MINUTE_US;
	rc = db_run(db, "UPDATE study SET due=? WHERE id=?", "ii", due, row);
	return rc < 0 ? rc : wait_begin(g, db, row, WAIT_REPORT, now, due);
}

int report_received(struct gateway *g, struct db *db, unsigned sink, const struct uuid *study)
{
	int64_t row = study_row(db, study), now = clock_utc_us();
	if (!row || sink != centre_sink(g->config))
		return 0;
	int rc = db_run(
		db, "UPDATE study SET received=? WHERE id=? AND received IS NULL", "ii", now, row);
	if (rc <= 0)
		return rc;
	rc = at_the_centre(g, db, row, now);
	return rc < 0 ? rc : study_tell(g, db, row);
}

/* what the centre says */

static int facts(struct db *db, int64_t study, struct uuid *ret_id, struct filing *ret_filing)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, "SELECT uuid,resident,taken FROM study WHERE id=?", "i", study);
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	row_uuid(r, 0, ret_id);
	*ret_filing =
		(struct filing){.who.resident = row_int(r, 1), .when.taken_us = row_int(r, 2)};
	return 0;
}

static struct uuid critical_id(const struct uuid *study, int64_t revision)
{
	uint8_t key[16 + sizeof(revision)];
	memcpy(key, study->bytes, 16);
	memcpy(key + 16, &revision, sizeof(revision));
	return uuid_of("critical value", key, sizeof(key));
}

static char *rule_body(const char *id, const char *statement, const char *zh, const char *en)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	json_array_begin(&j, "rules");
	json_object_begin(&j, NULL);
	json_str(&j, "id", id);
	if (statement)
		json_str(&j, "statement", statement);
	json_str(&j, "text_zh", zh);
	json_str(&j, "text_en", en);
	json_object_end(&j);
	json_array_end(&j);
	json_object_end(&j);
	return json_take(&j);
}

static int raise_critical(
	struct gateway *g, struct db *db, int64_t study, int64_t revision, const char *critical)
{
	struct uuid id;
	struct filing f;
	int rc = facts(db, study, &id, &f);
	if (rc < 0 || !g->config->alerts)
		return rc;
	filing_contract(db, &f);
	_cleanup_(freep) char *body =
		rule_body(REPORT_CRITICAL_RULE, critical, "心电中心报告危急值，请复述确认",
			"the ECG centre reports a critical value: read it back");
	if (!body)
		return -ENOMEM;
	rc = alerts_raise(g, db,
		&(struct raising){.id = critical_id(&id, revision),
			.condition = CRITICAL_CONDITION,
			.to = &f,
			.study = &id,
			.severity = SEVERITY_CRITICAL,
			.body = body,
			.doubts = "[\"centre_report\"]",
			.raised_us = clock_utc_us(),
			.raised_boot_us = clock_boot_us()});
	return MIN(rc, 0);
}

int report_follow(struct gateway *g, struct db *db, int64_t study, const struct uuid *id,
	const struct filing *f)
{
	int64_t last = db_int(db, 0, "SELECT max(revision) FROM report WHERE study=?", "i", study);
	int rc = 0;
	for (int64_t revision = 1; revision <= last && rc >= 0; revision++) {
		struct uuid alert = critical_id(id, revision);
		rc = alerts_move(g, db, &alert, f); /* most have none */
	}
	return rc;
}

/* Bytes of a text where it is going: in JSON. */
static size_t written(const char *text)
{
	struct json j = {0};
	json_array_begin(&j, NULL);
	json_str(&j, NULL, text);
	size_t n = json_text(&j) ? j.len - strlen("[\"\"") : SIZE_MAX;
	json_free(&j);
	return n;
}

/* 0, or why this word of the centre is not taken. */
static int check_word(struct db *db, int64_t study, enum report_status status, const char *text,
	const char *critical)
{
	if (status <= REPORT_AMENDED && !text[strspn(text, " \t\r\n")])
		return -ENODATA;
	if (written(text) > REPORT_TEXT_MAX || written(critical) > REPORT_WORDS_MAX)
		return -EMSGSIZE;
	if (status == REPORT_PRELIMINARY &&
		db_int(db, 0,
			"SELECT 1 FROM report WHERE study=? AND status IN ('final','amended')", "i",
			study))
		return -EALREADY;
	int64_t n = db_int(db, 0, "SELECT count(*) FROM report WHERE study=?", "i", study);
	return n < REPORT_REVISIONS_MAX ? 0 : -EDQUOT;
}

/* A critical value is a call: the centre has the study, and the report is still due. */
static int end_waits(struct gateway *g, struct db *db, int64_t study, enum report_status status)
{
	if (status == REPORT_CRITICAL)
		return at_the_centre(g, db, study, clock_utc_us());
	int rc = wait_end(g, db, study, WAIT_SENT);
	return rc < 0 ? rc : wait_end(g, db, study, WAIT_REPORT);
}

int report_add(struct gateway *g, struct db *db, int64_t study, enum report_status status,
	const char *text, const char *critical, const char *author)
{
	int64_t revision =
		1 + db_int(db, 0, "SELECT coalesce(max(revision),0) FROM report WHERE study=?", "i",
			    study);
	int rc = check_word(db, study, status, text, critical);
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO report(study,revision,status,text,critical,author,at) "
			"VALUES(?,?,?,?,?,?,?)",
			"iitttti", study, revision, statuses[status], text[0] ? text : NULL,
			status == REPORT_CRITICAL ? critical : NULL, author, clock_utc_us());
	if (rc >= 0 && status == REPORT_CRITICAL)
		rc = raise_critical(g, db, study, revision, critical);
	if (rc >= 0)
		rc = end_waits(g, db, study, status);
	return rc < 0 ? rc : study_tell(g, db, study);
}

/* Bytes of what does not count at `text`: blanks and punctuation, Chinese too. 0: it counts. */
static size_t filler(const char *text)
{
	static const char *const wide[] = {"\u3000", "、", "。", "，", "；", "：", "！", "？", "（",
		"）", "“", "”", "‘", "’", "《", "》", "【", "】", "…", "—", "·"};
	if (isspace((unsigned char)*text) ||
		(ispunct((unsigned char)*text) && !strchr("<>=+", *text)))
		return 1;
	for (size_t i = 0; i < ELEMENTS(wide); i++)
		if (strncmp(text, wide[i], strlen(wide[i])) == 0)
			return strlen(wide[i]);
	return 0;
}

struct words {
	const char *at;
	bool digit; /* the last one was */
};

/* The next byte that counts; 0: the end. Between two digits it counts that there was something: 6.5 is not 65. */
static int next_counted(struct words *w)
{
	const char *from = w->at;
	for (size_t n; (n = filler(w->at));)
		w->at += n;
	bool parted = w->digit && w->at != from;
	w->digit = isdigit((unsigned char)*w->at);
	if (parted && w->digit) {
		w->digit = false;
		return '.';
	}
	return *w->at ? tolower((unsigned char)*w->at++) : 0;
}

/* The same words, however they are spaced, punctuated and written large or small. */
static bool same_words(const char *a, const char *b)
{
	struct words one = {.at = a}, other = {.at = b};
	int c;
	do {
		c = next_counted(&one);
		if (c != next_counted(&other))
			return false;
	} while (c);
	return true;
}

/* The alert of a critical value, if it was raised. */
static int acknowledge(
	struct gateway *g, struct db *db, int64_t study, int64_t revision, const char *author)
{
	struct uuid id, alert;
	struct filing f;
	int rc = facts(db, study, &id, &f);
	if (rc < 0)
		return rc;
	alert = critical_id(&id, revision);
	return MIN(acknowledge_alert(g, db, &alert, author, "read_back"), 0);
}

int report_read_back(
	struct gateway *g, struct db *db, int64_t study, const char *words, const char *author)
{
	int64_t row = 0, revision = 0;
	{
		bool any = false;
		int rc;
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT id,critical,revision FROM report WHERE study=? AND status='critical' AND "
			"read_back_at IS NULL ORDER BY revision DESC",
			"i", study);
		bool book = written(words) > 2 * REPORT_WORDS_MAX; /* they are kept, and go along */
		while (!row && (rc = row_next(r)) > 0) {
			any = true;
			row = !book && same_words(row_text(r, 1), words) ? row_int(r, 0) : 0;
			revision = row_int(r, 2);
		}
		if (!row)
			return rc < 0 ? rc : any ? -EBADMSG : -ENOENT;
	}
	int rc = db_run(db,
		"UPDATE report SET read_back_text=?, read_back_by=?, read_back_at=? WHERE id=?",
		"ttii", words, author, clock_utc_us(), row);
	if (rc >= 0)
		rc = acknowledge(g, db, study, revision, author);
	return rc < 0 ? rc : study_tell(g, db, study);
}

/* telling */

struct due {
	int64_t study, since_us, device;
	enum wait wait;
	struct uuid id;
};

static int due_find(struct db *db, int64_t boot_us, int64_t skip, struct due *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT w.study,w.since,w.what='report',s.device,s.uuid FROM study_wait w JOIN study s "
		"ON s.id=w.study WHERE w.alert IS NULL AND w.boot_id=? AND w.due_boot<=? ORDER BY "
		"w.due_boot LIMIT 1 OFFSET ?",
		"bii", clock_boot_id(), (size_t)16, boot_us, skip);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	*ret = (struct due){.study = row_int(r, 0),
		.since_us = row_int(r, 1),
		.wait = row_int(r, 2) ? WAIT_REPORT : WAIT_SENT,
		.device = row_int(r, 3)};
	row_uuid(r, 4, &ret->id);
	return 1;
}

static int silence(struct db *db, const struct due *d)
{
	int rc = db_run(db, "UPDATE study_wait SET due_boot=? WHERE study=? AND what=?", "iit",
		NEVER, d->study, waits[d->wait].what);
	return rc < 0 ? rc : 1;
}

/* One that is due; 1, 0: there is none, -errno. */
static int tell_one(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, int64_t skip)
{
	struct due d;
	int rc = due_find(db, boot_us, skip, &d);
	if (rc <= 0)
		return rc;
	const struct alert_rule *rule = rule_of(g, d.wait);
	if (!rule)
		return silence(db, &d);
	/* of the study and of what waits, whatever the site calls its rule */
	struct uuid alert = uuid_of(rule_types[rule->type], d.id.bytes, sizeof(d.id.bytes));
	_cleanup_(freep) char *body = rule_body(rule->id, NULL, rule->zh, rule->en);
	if (!body)
		return -ENOMEM;
	rc = alerts_raise(g, db,
		&(struct raising){.id = alert,
			.condition = rule->condition,
			.study = &d.id,
			.severity = rule->severity,
			.body = body,
			.doubts = "[]",
			.raised_us = utc_us,
			.raised_boot_us = boot_us,
			.place = PLACE,
			.device = d.device,
			.since_us = d.since_us});
	if (rc >= 0)
		rc = db_run(db, "UPDATE study_wait SET alert=? WHERE study=? AND what=?", "bit",
			alert.bytes, sizeof(alert.bytes), d.study, waits[d.wait].what);
	if (rc >= 0)
		rc = study_tell(g, db, d.study);
	return rc < 0 ? rc : 1;
}

int report_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us)
{
	return watch_tell(tell_one, g, db, utc_us, boot_us);
}
