/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owned.h"

#include "util.h"

#define COLUMNS "SELECT id,token,birth_date,programmes,valid_from,valid_to FROM resident WHERE "
#define OURS "state='active' AND owner IN ('',?)"

static void take_text(char *to, size_t size, const char *text)
{
	text_copy(to, size, text ? text : "", text ? strlen(text) : 0);
}

static void take(struct row *r, struct owned *o)
{
	o->id = row_int(r, 0);
	take_text(o->token, sizeof(o->token), row_text(r, 1));
	take_text(o->birth, sizeof(o->birth), row_text(r, 2));
	take_text(o->programmes, sizeof(o->programmes), row_text(r, 3));
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
	size_t len = strlen(programme);
	for (const char *p = o->programmes; *p;) {
		size_t n = strcspn(p, ";");
		if (n == len && !memcmp(p, programme, len))
			return true;
		p += n + (p[n] == ';');
	}
	return false;
}

bool owned_in_contract(const struct owned *o, int64_t day_begin_us)
{
	return o->contract && day_begin_us >= o->from_us && day_begin_us < o->to_us;
}
