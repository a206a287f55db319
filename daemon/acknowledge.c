/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acknowledge.h"

#include "alerts.h"
#include "escalate.h"
#include "gateway.h"
#include "person.h"

#include <errno.h>

#define ARTEFACT "artefact"

/* By nothing else can end: what is nobody's, what was said of a study, what an older version raised, and what is technical and
 * configured no more. */
static int end(struct db *db, const struct uuid *alert)
{
	int rc = db_run(db,
		"UPDATE alert SET state='inactive', level=0 WHERE uuid=? AND (state='latched' "
		"OR condition='' OR NOT " ALERT_TECHNICAL
		" AND (resident IS NULL OR shown IS NULL AND study IS NOT NULL) OR " ALERT_TECHNICAL
		" AND NOT EXISTS (SELECT 1 FROM condition c WHERE c.alert=alert.uuid) AND NOT EXISTS "
		"(SELECT 1 FROM study_wait w WHERE w.alert=alert.uuid))",
		"b", alert->bytes, sizeof(alert->bytes));
	return rc < 0 ? rc : escalate_end(db, alert);
}

int acknowledge_alert(struct gateway *g, struct db *db, const struct uuid *alert,
	const char *author, const char *outcome)
{
	bool over = !streq(outcome, "not_reached");
	int rc = db_run(db,
		"UPDATE alert SET ack_author=?2, ack_outcome=?3, acked=CASE WHEN ?4 THEN ?5 END "
		"WHERE uuid=?1 AND acked IS NULL",
		"bttii", alert->bytes, sizeof(alert->bytes), author, outcome, (int64_t)over,
		clock_utc_us());
	if (rc <= 0)
		return rc;
	rc = over ? end(db, alert) : 0;
	if (rc >= 0)
		rc = alerts_revise(g, db, alert, PHASE_UPDATE, author, outcome);
	return rc < 0 ? rc : 1;
}

/* What it shows, when that still is one of its readings. */
static int shown_of(struct db *db, const struct uuid *alert, struct uuid *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT shown FROM alert WHERE uuid=?1 AND place IS NULL AND EXISTS(SELECT 1 FROM "
		"alert_reading WHERE alert=?1 AND reading=shown)",
		"b", alert->bytes, sizeof(alert->bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -EALREADY;
	return row_uuid(r, 0, ret) ? 0 : -ODD_ROW;
}

int acknowledge_artefact(
	struct gateway *g, struct db *db, const struct uuid *alert, const char *author)
{
	const struct alerts_ack ack = {*alert, author, ARTEFACT};
	struct uuid shown;
	int rc = shown_of(db, alert, &shown);
	if (rc >= 0)
		rc = db_run(db,
			"UPDATE alert SET ack_author=?, ack_outcome='" ARTEFACT "' WHERE uuid=?",
			"tb", author, alert->bytes, sizeof(alert->bytes));
	return rc < 0 ? rc : person_void(g, db, &shown, ARTEFACT, &ack);
}
