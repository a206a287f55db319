/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "loan.h"

#include "gateway.h"
#include "intake.h"
#include "util.h"

static int end_bindings(struct db *db, const struct loan *l, int64_t at_us)
{
	int rc = db_run(db,
		"UPDATE binding SET valid_to=?1 WHERE device=?2 AND (valid_to IS NULL OR "
		"valid_to>?1) AND valid_from<=?1 AND (user_slot IS NULL OR ?3<0 OR user_slot=?3)",
		"iii", at_us, l->device, l->slot);
	if (rc >= 0)
		rc = db_run(db,
			"DELETE FROM handover WHERE device=?1 AND (user_slot<0 OR ?2<0 OR "
			"user_slot=?2)",
			"ii", l->device, l->slot);
	return MIN(rc, 0);
}

int loan_bind(struct db *db, const struct loan *l, int64_t from_us, int64_t to_us)
{
	int rc = end_bindings(db, l, from_us);
	if (rc < 0 || !l->resident)
		return rc;
	return error_only(db_run(db,
		"INSERT INTO binding(device,resident,user_slot,valid_from,valid_to,"
		"author) VALUES(?,?,?,?,?,?)",
		"iipipt", l->device, l->resident, l->slot >= 0 ? &l->slot : NULL, from_us,
		to_us == INT64_MAX ? NULL : &to_us, l->author));
}

int loan_handover(struct db *db, const struct loan *l, int64_t now_us, bool *ret_waits)
{
	*ret_waits = db_int(db, 0, "SELECT drained IS NOT NULL FROM device WHERE id=?", "i",
			     l->device) == 1 &&
		     l->resident;
	if (!*ret_waits)
		return loan_bind(db, l, now_us, INT64_MAX);
	int rc = end_bindings(db, l, now_us);
	if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO handover(device,resident,user_slot,at,author) VALUES(?,?,?,?,?)",
			"iiiit", l->device, l->resident, l->slot, now_us, l->author);
	return MIN(rc, 0);
}

/* One that waits, taken out of `l` and `author`; false: none does. */
static bool next_waiting(struct db *db, struct loan *l, char author[static 64])
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT resident,user_slot,author FROM handover WHERE device=? LIMIT 1", "i",
		l->device);
	if (row_next(r) <= 0)
		return false;
	l->resident = row_int(r, 0);
	l->slot = row_int(r, 1);
	text_copy(author, 64, row_text(r, 2), strlen(row_text(r, 2)));
	l->author = author;
	return true;
}

int loan_drained(struct gateway *g, struct db *db, int64_t device, int64_t now_us)
{
	int rc = db_run(db, "UPDATE device SET drained=? WHERE id=?", "ii", now_us, device);
	struct loan l = {.device = device};
	char author[64];
	while (rc >= 0 && next_waiting(db, &l, author)) { /* binding it ends the waiting */
		rc = loan_bind(db, &l, now_us, INT64_MAX);
		if (rc >= 0)
			rc = intake_event(g, db, device, "handed_over", NULL, NULL, now_us, true);
	}
	return MIN(rc, 0);
}
