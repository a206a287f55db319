/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "intake.h"
#include "revision.h"

#include <errno.h>

int intake_assign(struct gateway *g, struct db *db, const struct uuid *id, int64_t resident)
{
	struct resident_decision who = {.resident = resident,
		.evidence = "assigned_by_person",
		.grade = resident ? "person" : "none"};
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT resident,test,evidence,status FROM reading WHERE uuid=? AND superseded=0",
			"b", id->bytes, sizeof(id->bytes));
		int rc = row_next(r);
		if (rc <= 0)
			return rc < 0 ? rc : -ENOENT;
		if (row_int(r, 1))
			return -EPERM;
		if (streq(row_text(r, 2), "place"))
			return -ENOTSUP;
		if (streq(row_text(r, 3), REVISION_VOID))
			return -ECANCELED;
		/* what only a device or a slot said, a person may confirm: then it fills forms */
		const char *evidence = row_text(r, 2);
		bool by_person = streq(evidence, "assigned_by_person") ||
				 streq(evidence, "entered_by_person");
		if (row_int(r, 0) == resident && (by_person || !resident))
			return -EALREADY;
	}
	return revision_make(g, db, id, &(struct revision){.who = &who}, NULL);
}
