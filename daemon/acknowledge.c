/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acknowledge.h"

#include "alerts.h"
#include "escalate.h"
#include "gateway.h"
#include "person.h"

#include <errno.h>

#define ARTEFACT "artefact"

int acknowledge_alert(struct gateway *g, struct db *db, const struct uuid *alert,
	const char *author, const char *outcome)
{
	int64_t over = !streq(outcome, "not_reached");
	/* what was nobody's can end by nothing else */
	int rc = db_run(db,
		"UPDATE alert SET ack_author=?2, ack_outcome=?3, acked=CASE WHEN ?4 THEN ?5 END, "
		"state=CASE WHEN ?4 AND (state='latched' OR (resident IS NULL AND NOT " ALERT_TECHNICAL
		")) THEN 'inactive' ELSE state END WHERE uuid=?1 AND acked IS NULL",
		"bttii", alert->bytes, sizeof(alert->bytes), author, outcome, over, clock_utc_us());
	if (rc > 0 && over) {
		int ended = escalate_end(db, alert);
		rc = ended < 0 ? ended : rc;
	}
	if (rc <= 0)
		return rc;
	rc = alerts_revise(g, db, alert, PHASE_UPDATE, author, outcome);
	return rc < 0 ? rc : 1;
}

/* What it shows, when that still is one of its readings. */
static int shown_of(
	struct db *db, const struct uuid *alert, struct uuid *ret, int64_t *ret_revision)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT shown,revision FROM alert WHERE uuid=?1 AND place IS NULL AND EXISTS(SELECT 1 "
		"FROM alert_reading WHERE alert=?1 AND reading=shown)",
		"b", alert->bytes, sizeof(alert->bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc < 0 ? rc : -EALREADY;
	*ret_revision = row_int(r, 1);
	return row_uuid(r, 0, ret) ? 0 : -EIO;
}

/* It was over before: nothing was told of the reading that left it. */
static int tell_closed(
	struct gateway *g, struct db *db, const struct uuid *alert, const char *author)
{
	int withdrawn = db_run(db,
		"UPDATE alert SET labels=json_insert(labels,'$[#]','withdrawn','$[#]','" ARTEFACT
		"') WHERE uuid=?1 AND readings=0",
		"b", alert->bytes, sizeof(alert->bytes));
	return withdrawn < 0 ? withdrawn
			     : alerts_revise(g, db, alert, withdrawn ? PHASE_END : PHASE_UPDATE,
				       author, ARTEFACT);
}

int acknowledge_artefact(
	struct gateway *g, struct db *db, const struct uuid *alert, const char *author)
{
	struct uuid shown;
	int64_t revision = 0;
	int rc = shown_of(db, alert, &shown, &revision);
	if (rc >= 0)
		rc = db_run(db,
			"UPDATE alert SET ack_author=?, ack_outcome='" ARTEFACT "' WHERE uuid=?",
			"tb", author, alert->bytes, sizeof(alert->bytes));
	/* first: by its void it would leave with another reason */
	if (rc >= 0)
		rc = alerts_leave(g, db, &shown, LEFT_ARTEFACT);
	if (rc >= 0)
		rc = person_void(g, db, &shown, ARTEFACT);
	if (rc >= 0)
		rc = db_run(db,
			"UPDATE alert_history SET ack_author=?1, ack_outcome='" ARTEFACT
			"' WHERE alert=?2 AND revision=?3",
			"tbi", author, alert->bytes, sizeof(alert->bytes), revision + 1);
	return rc != 0 ? MIN(rc, 0) : tell_closed(g, db, alert, author);
}
