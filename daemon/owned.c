/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owned.h"

#include "util.h"

#define COLUMNS "SELECT id,token,birth_date,programmes,valid_from,valid_to FROM resident WHERE "
#define OURS "state='active' AND owner IN ('',?)"

static void take(struct row *r, struct owned *o)
{
	o->id = row_int(r, 0);
	text_set(o->token, sizeof(o->token), row_text(r, 1));
	text_set(o->birth, sizeof(o->birth), row_text(r, 2));
	text_set(o->programmes, sizeof(o->programmes), row_text(r, 3));
	o->contract = !row_null(r, 4);
	o->from_us = row_int(r, 4);
	o->to_us = row_null(r, 5) ? INT64_MAX : row_int(r, 5);
}

int owned_next(struct db *db, const char *gateway, const char *after, struct owned *out)
{
	int n = 0, rc;
	_cleanup_(row_endp) struct row *r =
		db_query(db, COLUMNS OURS " AND token>? ORDER BY token LIMIT ?", "tti", gateway,
			after, (int64_t)OWNED_PAGE);
	while ((rc = row_next(r)) > 0)
		take(r, &out[n++]);
	return rc < 0 ? rc : n;
}

int owned_one(struct db *db, const char *gateway, const char *token, struct owned *ret)
{
	_cleanup_(row_endp) struct row *r =
		db_query(db, COLUMNS OURS " AND token=?", "tt", gateway, token);
	int rc = row_next(r);
	if (rc > 0)
		take(r, ret);
	return rc;
}

bool owned_in(const struct owned *o, const char *programme)
{
	return word_in(o->programmes, ';', programme);
}

bool owned_in_contract(const struct owned *o, int64_t day_begin_us)
{
	return o->contract && day_begin_us >= o->from_us && day_begin_us < o->to_us;
}
