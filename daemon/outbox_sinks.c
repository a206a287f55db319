/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which platform a number of outbox.sink means: by name, whatever its place in the configuration. */
#include "outbox.h"

#include <errno.h>

static int name_sinks(struct db *db, const struct config *config)
{
	/* out of the way first, by so much that no two numbers meet */
	int64_t away = 1000 + db_int(db, 0, "SELECT max(id) FROM sink", "");
	int rc = db_run(db, "UPDATE outbox SET sink=sink+?", "i", away);
	if (rc >= 0)
		rc = db_run(db, "UPDATE sink SET id=id+?", "i", away);
	for (unsigned i = 0; i < config->n_sinks && rc >= 0; i++) {
		const char *name = config->sinks[i].name;
		int64_t old = db_int(db, -1, "SELECT id FROM sink WHERE name=?", "t", name);
		if (old >= 0)
			rc = db_run(
				db, "UPDATE outbox SET sink=? WHERE sink=?", "ii", (int64_t)i, old);
		if (rc >= 0)
			rc = db_run(db,
				"INSERT INTO sink(id,name) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET "
				"id=excluded.id",
				"it", (int64_t)i, name);
	}
	return rc;
}

int outbox_name_sinks(struct db *db, const struct config *config)
{
	bool same = (unsigned)db_int(db, 0, "SELECT count(*) FROM sink WHERE id<1000", "") ==
		    config->n_sinks;
	for (unsigned i = 0; i < config->n_sinks; i++)
		same &= db_int(db, -1, "SELECT id FROM sink WHERE name=?", "t",
				config->sinks[i].name) == i;
	if (same)
		return 0;
	int rc = db_script(db, "BEGIN IMMEDIATE");
	if (rc >= 0)
		rc = name_sinks(db, config);
	return db_script(db, rc < 0 ? "ROLLBACK" : "COMMIT") < 0 && rc >= 0 ? -EIO : MIN(rc, 0);
}
