/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A visit as JSON: as it stands while nobody confirmed it, as it was frozen afterwards. Store thread. */
#pragma once

#include "db.h"
#include "json.h"
#include "proposal.h"

struct gateway;

/* What the form says now: members of the open object. 1, 0: there is no such visit, -errno. */
int visit_body(const struct gateway *g, struct db *db, int64_t visit, struct proposal *ret,
	struct json *j);
/* A visit that was held elsewhere: what is known of it, from its answers. The same. */
int visit_body_elsewhere(const struct gateway *g, struct db *db, int64_t visit, struct json *j);
/* The visit as it leaves the gateway, a whole object. `seq` < 0: without. The same. */
int visit_json(const struct gateway *g, struct db *db, int64_t visit, int64_t seq, struct json *j);
/* A form that nobody opened a visit for: its fields are open, and beside them stands the newest trusted value of each
 * kind that it asks for, as a hint. Members of the open object. 0 or -errno. */
int visit_blank(
	const struct gateway *g, struct db *db, int64_t resident, const char *form, struct json *j);
