/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "card.h"

#include "checkin.h"
#include "gateway.h"
#include "intake.h"
#include "roster.h"

#include <ctype.h>
#include <errno.h>
#include <sha2.h>

bool card_hash(
	const uint8_t key[static 32], const void *id, size_t len, uint8_t out[static CARD_HASH])
{
	const uint8_t *p = id, *end = p + len;
	SHA2_CTX c;
	while (p < end && isspace(*p))
		p++;
	while (end > p && isspace(end[-1]))
		end--;
	if (p == end)
		return false;
	SHA256Init(&c);
	SHA256Update(&c, key, 32);
	SHA256Update(&c, (const uint8_t *)"card", 4); /* else a typed patient id would hash alike */
	for (; p < end; p++) {
		uint8_t capital = (uint8_t)toupper(*p);
		SHA256Update(&c, &capital, 1);
	}
	SHA256Final(out, &c);
	return true;
}

int64_t card_resident(struct db *db, const uint8_t hash[static CARD_HASH])
{
	return db_int(
		db, 0, "SELECT resident FROM card WHERE hash=?", "b", hash, (size_t)CARD_HASH);
}

int card_give(
	struct db *db, const uint8_t hash[static CARD_HASH], int64_t resident, const char *author)
{
	if (card_resident(db, hash) == resident)
		return -EALREADY;
	if (!resident)
		return error_only(
			db_run(db, "DELETE FROM card WHERE hash=?", "b", hash, (size_t)CARD_HASH));
	return error_only(db_run(db,
		"INSERT INTO card(hash,resident,at,author) VALUES(?,?,?,?) ON CONFLICT(hash) DO "
		"UPDATE SET resident=excluded.resident, at=excluded.at, author=excluded.author",
		"biit", hash, (size_t)CARD_HASH, resident, clock_utc_us(), author));
}

/* at an instrument */

/* 0: nobody who may be checked in. */
static int64_t holder(struct db *db, const struct happening *e)
{
	int64_t id =
		e->has_card ? card_resident(db, e->card)
			    : db_int(db, 0, "SELECT id FROM resident WHERE token=?", "t", e->token);
	id = id ? roster_files_under(db, id) : 0;
	return db_int(db, 0, "SELECT id FROM resident WHERE id=? AND state='active'", "i", id);
}

static int audit(struct db *db, const char *author, const char *action, const char *station,
	int64_t at_us, int64_t resident)
{
	return error_only(db_run(db,
		"INSERT INTO audit(at,author,action,object,detail) VALUES(?,?,?,?,(SELECT token FROM "
		"resident WHERE id=?))",
		"ittti", at_us, author, action, station, resident));
}

static int refuse(struct gateway *g, struct db *db, const struct unit *u, const char *author,
	const struct station_instant *now)
{
	int64_t id;
	int rc = checkin_end(g, db, u->station, now, &id);
	if (rc >= 0)
		rc = audit(db, author, "checkout", u->station, u->arrived_us, 0);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	return intake_event(
		g, db, u->device_row, "unknown_card", u->station, NULL, u->arrived_us, true);
}

int card_presented(
	struct gateway *g, struct db *db, const struct unit *u, const struct happening *e)
{
	if (u->test || u->stranger || !u->station || !u->station[0])
		return 0;
	char name[32] = "", author[48];
	{
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT name FROM device WHERE id=?", "i", u->device_row);
		if (row_next(r) > 0)
			text_copy(name, sizeof(name), row_text(r, 0), strlen(row_text(r, 0)));
	}
	snprintf(author, sizeof(author), "device:%s", name);
	const struct config_station *s = config_station_named(g->config, u->station);
	struct checkin_asked a = {.station = u->station,
		.resident = holder(db, e),
		.fallback = s ? s->purpose : CHECKIN_HUT,
		.source = e->has_card ? "card" : "barcode",
		.author = author,
		.way = "",
		.now = {u->arrived_us, u->boot_us, clock_boot_id()}};
	if (!a.resident)
		return refuse(g, db, u, author, &a.now);
	struct json j = {0}; /* nobody reads which visits are opened */
	int64_t id;
	json_object_begin(&j, NULL);
	int rc = checkin_begin(g, db, &a, &j, &id);
	json_object_end(&j);
	json_free(&j);
	return rc < 0 ? rc : audit(db, author, "checkin", u->station, u->arrived_us, a.resident);
}
