/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "visit.h"

#include "gateway.h"
#include "util.h"

#include <errno.h>

/* One that was not told yet, and its next revision; 0: there is none. */
static int tell(struct gateway *g, struct db *db, int64_t visit)
{
	struct uuid id;
	int revision;
	int rc = db_run(db, "UPDATE visit SET revision=revision+1, changed=? WHERE id=?", "ii",
		clock_utc_us(), visit);
	if (rc < 0)
		return rc;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT uuid,revision FROM visit WHERE id=?", "i", visit);
		if (row_next(r) <= 0 || !row_uuid(r, 0, &id))
			return -EIO;
		revision = (int)row_int(r, 1);
	}
	rc = outbox_supersede(db, &id, revision);
	return rc < 0 ? rc : outbox_add(g->outbox, db, OBJECT_FOLLOWUP, visit, &id, revision);
}

int visit_touch(struct gateway *g, struct db *db, int64_t resident)
{
	int64_t visit = 0;
	int rc = 0;
	while (rc >= 0 && (visit = db_int(db, 0,
				   "SELECT min(id) FROM visit WHERE resident=? AND state IN "
				   "('open','closed') AND id>?",
				   "ii", resident, visit)))
		rc = tell(g, db, visit);
	return rc;
}
