/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the ECG centre promises: a study is sent, the centre has all of it (its receipt; here the clock
 * starts), the report comes within its minutes of the centre's hours. What is not sent in time and what is
 * overdue are technical alerts to the site's staff, which end by themselves. Each word of the centre is kept
 * as a revision with the study; a critical value is an alert to the doctor and has to be read back.
 * Store thread.
 */
#pragma once

#include "db.h"
#include "reading.h"

struct gateway;

/* A study waits for its way to the centre, from its arrival on: a decoder that never answers is no silence. */
int report_expect(struct gateway *g, struct db *db, int64_t study);
/* It turned out to be nothing that the centre reports on. */
int report_not_expected(struct gateway *g, struct db *db, int64_t study);
/* The sink has the whole study. Nothing happens unless it is the centre and this is the first time. */
int report_received(struct gateway *g, struct db *db, unsigned sink, const struct uuid *study);

/* The alert of a critical value; reading the words back acknowledges it, and nothing else does. */
#define REPORT_CRITICAL_RULE "ecg.critical"

enum report_status {
	REPORT_PRELIMINARY,
	REPORT_FINAL,
	REPORT_AMENDED,
	REPORT_POOR_TRACING, /* it has to be recorded again */
	REPORT_CRITICAL,     /* to be read back; the report itself is still due */
	REPORTS
};
const char *report_status_name(enum report_status s);
/* By name; REPORTS: no such status. */
enum report_status report_status_of(const char *name);

/* All of a study goes in one message (link.h); bytes as JSON writes them. */
#define REPORT_TEXT_MAX 2000
#define REPORT_WORDS_MAX 200 /* what somebody has to repeat */
#define REPORT_REVISIONS_MAX 20

/* What the centre says. `critical` is what has to be read back, "" unless the status is critical. Refused: -ENODATA, no
 * text; -EMSGSIZE, too long; -EALREADY, preliminary after a final one; -EDQUOT, too many. */
int report_add(struct gateway *g, struct db *db, int64_t study, enum report_status status,
	const char *text, const char *critical, const char *author);
/* The words of a critical value, repeated: spacing, case and punctuation apart. Its alert is acknowledged with it. 0; -ENOENT: nothing waits to be read
 * back; -EBADMSG: these are other words. */
int report_read_back(
	struct gateway *g, struct db *db, int64_t study, const char *words, const char *author);

struct filing;
/* The study belongs to somebody else now: so do the alerts of its critical values. */
int report_follow(struct gateway *g, struct db *db, int64_t study, const struct uuid *id,
	const struct filing *f);

/* Raises the alerts that are due. */
int report_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);

/* "report":{..} of a study into an open object. */
int report_json(struct db *db, int64_t study, struct json *j);
/* One word for a person: "not_sent", "waiting", "overdue", "repeat", "critical_unread", "unreadable" (damaged: to be
 * sent again), "preliminary" (the final report is awaited); NULL: nothing is open.
 * `ret_since_us`, `ret_due_us` (0: none) only with a word. */
const char *report_open(struct db *db, int64_t study, int64_t *ret_since_us, int64_t *ret_due_us);
