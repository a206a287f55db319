/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a platform says of the revisions that it was sent: it has them, it wants them again, or it refuses them. */
#include "outbox.h"

#include "alert_sent.h"
#include "gateway.h"
#include "log.h"
#include "report.h"
#include "util.h"

#include <errno.h>
#include <jansson.h>

#define RETRY_RECEIPT_US (30 * CLOCK_SECOND_US)
#define REASON_MAX 200 /* bytes of what the platform says that we keep */

/* What a receipt speaks of. Of alerts (1), visits (2), studies (4) with their pieces (5) each revision says the whole: a
 * receipt for one is one for all before it. */
#define RECEIPTED "uuid=?1 AND sink=?2 AND (revision=?3 OR (revision<?3 AND kind IN (1,2,4,5)))"
#define ABOUT "bii", u->bytes, sizeof(u->bytes), (int64_t)sink, revision
#define ABOUT_AND(more) "bii" more, u->bytes, sizeof(u->bytes), (int64_t)sink, revision

/* A platform that accepts what it was never given has lost the original, and nobody else has it. */
static void check_pieces(const struct outbox *o, struct db *db, unsigned sink, const struct uuid *u)
{
	unsigned never = 0;
	char text[33];
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id FROM outbox WHERE uuid=? AND sink=? AND kind=5 AND state=0 AND tries=0",
		"bi", u->bytes, sizeof(u->bytes), (int64_t)sink);
	while (row_next(r) > 0)
		never += !outbox_flying(o, sink, row_int(r, 0));
	if (never)
		log_warn("outbox",
			"the platform accepted %.8s, and %u of its chunks were never sent: it "
			"has not the whole original",
			hex(text, u->bytes, sizeof(u->bytes)), never);
}

static int accepted(
	struct gateway *g, struct db *db, unsigned sink, const struct uuid *u, int64_t revision)
{
	int64_t kind = db_int(db, -1,
		"SELECT kind FROM outbox WHERE kind IN (1,4) AND " RECEIPTED " LIMIT 1", ABOUT);
	if (kind == OBJECT_STUDY)
		check_pieces(g->outbox, db, sink, u);
	int rc = db_run(db, "DELETE FROM outbox WHERE " RECEIPTED, ABOUT);
	if (rc < 0)
		return rc;
	return kind == OBJECT_STUDY   ? report_received(g, db, sink, u)
	       : kind == OBJECT_ALERT ? alert_received(db, u, revision)
				      : 0;
}

/* Pieces that the platform misses: at once, by the way that repeats take. */
static int send_missing(struct db *db, unsigned sink, const struct uuid *u, const json_t *missing)
{
	const json_t *n;
	size_t i;
	int rc = 0;
	json_array_foreach(missing, i, n) if (rc >= 0 && json_is_integer(n)) rc = db_run(db,
		"UPDATE outbox SET state=1, next_try=1 WHERE uuid=? AND sink=? AND kind=5 AND "
		"state<>3 AND object=(SELECT p.id FROM study_piece p JOIN study s ON "
		"s.id=p.study WHERE s.uuid=? AND p.n=?)",
		"bibi", u->bytes, sizeof(u->bytes), (int64_t)sink, u->bytes, sizeof(u->bytes),
		(int64_t)json_integer_value(n));
	return rc;
}

static int again(
	struct db *db, unsigned sink, const struct uuid *u, int64_t revision, const json_t *missing)
{
	bool some = json_is_array(missing);
	int rc = db_run(db,
		"UPDATE outbox SET state=1, next_try=?4 WHERE state<>3 AND (kind<>5 OR NOT ?5) AND " RECEIPTED,
		ABOUT_AND("ii"), clock_boot_us() + RETRY_RECEIPT_US, (int64_t)some);
	return rc >= 0 && some ? send_missing(db, sink, u, missing) : rc;
}

static int receipt(struct gateway *g, struct db *db, unsigned sink, const json_t *item)
{
	const char *id = json_string_value(json_object_get(item, "id"));
	const char *result = json_string_value(json_object_get(item, "result"));
	const char *reason = json_string_value(json_object_get(item, "reason"));
	int64_t revision = json_integer_value(json_object_get(item, "revision"));
	char why[REASON_MAX + 1];
	struct uuid uuid, *u = &uuid;
	if (!id || strlen(id) != 32 || !unhex(u->bytes, 16, id) || !result || revision < 1)
		return -EBADMSG;
	if (streq(result, "accepted"))
		return accepted(g, db, sink, u, revision);
	if (streq(result, "retry"))
		return again(db, sink, u, revision, json_object_get(item, "missing"));
	if (!streq(result, "rejected"))
		return -EBADMSG;
	reason = reason ? reason : "no reason given";
	text_copy(why, sizeof(why), reason, strlen(reason));
	log_warn("outbox", "the platform refused %.8s revision %lld: %s", id, (long long)revision,
		why);
	return db_run(db, "UPDATE outbox SET state=3, next_try=0, reason=?4 WHERE " RECEIPTED,
		ABOUT_AND("t"), why);
}

int outbox_receipts(struct gateway *g, struct db *db, unsigned sink, const char *text, size_t len)
{
	static struct log_limit limit; /* the store thread's */
	json_error_t e;
	unsigned held_back;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	const json_t *list = json_object_get(root, "receipts");
	int rc = json_is_array(list) ? 0 : -EBADMSG;
	size_t i, bad = 0;
	const json_t *item;
	json_array_foreach(list, i, item)
	{
		int done = receipt(g, db, sink, item);
		if (done == -EBADMSG)
			bad++;
		else if (done < 0) {
			rc = done;
			break;
		}
	}
	bad += rc == -EBADMSG;
	outbox_look_again(g->outbox); /* a receipt may ask for another try */
	if (bad && log_allowed(&limit, 3, &held_back))
		log_warn("outbox",
			"receipt message with %zu entries that are not receipts; the "
			"platform must send id (32 hex), revision, result",
			bad);
	json_decref(root);
	return rc == -EBADMSG ? 0 : rc;
}
