/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "outbox_body.h"

#include "payload.h"
#include "util.h"

#include <errno.h>

bool outbox_body_kept(enum object kind)
{
	return kind == OBJECT_ALERT || kind == OBJECT_FOLLOWUP;
}

/* One row, if its object can be read: else whoever sends it says why not. */
static int write_one(
	const struct gateway *g, struct db *db, int64_t row, enum object kind, int64_t object)
{
	struct json j = {0};
	int made = payload_object(g, db, kind, object, row, &j);
	_cleanup_(freep) char *body = json_take(&j);
	if (made <= 0)
		return 0;
	return body ? error_only(db_run(db, "UPDATE outbox SET body=? WHERE id=?", "ti", body, row))
		    : -ENOMEM;
}

int outbox_bodies_write(const struct gateway *g, struct db *db, int64_t from)
{
	int rc = 0;
	while (rc >= 0) {
		enum object kind;
		int64_t object;
		{
			_cleanup_(row_endp) struct row *r = db_query(db,
				"SELECT id,kind,object FROM outbox WHERE id>=? AND kind IN (?,?) AND "
				"body IS NULL ORDER BY id LIMIT 1",
				"iii", from, (int64_t)OBJECT_ALERT, (int64_t)OBJECT_FOLLOWUP);
			rc = row_next(r);
			if (rc <= 0)
				break;
			from = row_int(r, 0);
			kind = (enum object)row_int(r, 1);
			object = row_int(r, 2);
		}
		rc = write_one(g, db, from++, kind, object);
	}
	return rc;
}

int outbox_body(const struct gateway *g, struct db *db, int64_t row, enum object kind,
	int64_t object, struct json *j)
{
	if (outbox_body_kept(kind)) {
		_cleanup_(row_endp) struct row *r = db_query(
			db, "SELECT body FROM outbox WHERE id=? AND body IS NOT NULL", "i", row);
		int rc = row_next(r);
		if (rc > 0)
			json_raw(j, NULL, row_text(r, 0));
		if (rc)
			return rc;
	}
	return payload_object(g, db, kind, object, row, j);
}
