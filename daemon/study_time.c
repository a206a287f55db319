/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A study that arrived while our clock was wrong: when it was recorded, and whose it is, once our clock is known. */
#include "gateway.h"
#include "reassess.h"
#include "study.h"

#include <errno.h>

/* What the centre said and had is as far off as its arrival. */
int study_redate(struct gateway *g, struct db *db, int64_t row, int64_t arrived_us)
{
	bool decoded;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT arrived,status FROM study WHERE id=?", "i", row);
		int rc = row_next(r);
		if (rc <= 0)
			return rc < 0 ? rc : -ENOENT;
		if (row_int(r, 0) == arrived_us)
			return 0;
		decoded = !streq(row_text(r, 1), "undecoded");
	}
	int rc = decoded ? reassess_study(g, db, row, &arrived_us) : 0;
	if (rc >= 0)
		rc = db_run(db, "UPDATE study SET arrived=? WHERE id=?", "ii", arrived_us, row);
	return rc < 0 ? rc : 1;
}
