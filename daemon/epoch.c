/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "epoch.h"

#include "reading.h"

#define NEWS_US (2 * CLOCK_SECOND_US)	/* device clocks tell whole seconds */
#define SEEN_US (60 * CLOCK_SECOND_US)	/* "still so" is written down this often at most */
#define JUMP_US (60 * CLOCK_SECOND_US)	/* beside what a clock may drift: */
#define DRIFT_US (10 * CLOCK_SECOND_US) /* a day */
#define DAY_US (INT64_C(86400) * CLOCK_SECOND_US)
#define ROWS 32 /* offsets that are looked at */

struct seen {
	int64_t offset_us, at_us, until_us;
};

static bool drifted(const struct seen *before, const struct seen *after)
{
	int64_t days = llabs(after->at_us - before->until_us) / DAY_US + 1;
	return llabs(after->offset_us - before->offset_us) <= JUMP_US + days * DRIFT_US;
}

static bool last_seen(struct db *db, int64_t device, struct seen *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT offset_us,at,until FROM device_offset WHERE device=? AND at>=? ORDER BY rowid "
		"DESC LIMIT 1",
		"ii", device, CLOCK_PLAUSIBLE_US);
	if (row_next(r) <= 0)
		return false;
	*ret = (struct seen){row_int(r, 0), row_int(r, 1), row_int(r, 2)};
	return true;
}

static int insert(struct db *db, const struct unit *u)
{
	return error_only(db_run(db,
		"INSERT INTO device_offset(device,at,boot_id,boot_us,offset_us,until) "
		"VALUES(?1,?2,?3,?4,?5,?2)",
		"iibii", u->device_row, u->arrived_us, clock_boot_id(), (size_t)16, u->boot_us,
		u->offset_us));
}

/* Our clock is not set: what the device's shows waits for epochs_follow(), once for all of the same. */
static int keep_for_later(struct db *db, const struct unit *u)
{
	int64_t last_us = db_int(db, INT64_MIN,
		"SELECT offset_us+at-boot_us FROM device_offset WHERE device=? AND boot_id=? AND at<? "
		"ORDER BY rowid DESC LIMIT 1",
		"ibi", u->device_row, clock_boot_id(), (size_t)16, CLOCK_PLAUSIBLE_US);
	int64_t now_us = u->offset_us + u->arrived_us - u->boot_us;
	bool same = last_us != INT64_MIN && llabs(last_us - now_us) <= NEWS_US;
	return same ? 0 : insert(db, u);
}

int epoch_observe(struct db *db, const struct unit *u)
{
	if (!u->offset_known || u->set_us)
		return 0;
	if (!clock_plausible(u->arrived_us))
		return keep_for_later(db, u);
	struct seen now = {u->offset_us, u->arrived_us, u->arrived_us}, last;
	bool known = last_seen(db, u->device_row, &last);
	bool same = known && llabs(last.offset_us - now.offset_us) <= NEWS_US;
	if (same && now.at_us - last.until_us < SEEN_US)
		return 0;
	int rc = db_run(db, "UPDATE device SET offset_us=?, offset_at=? WHERE id=?", "iii",
		now.offset_us, now.at_us, u->device_row);
	if (rc >= 0 && same)
		rc = db_run(db,
			"UPDATE device_offset SET until=?1 WHERE rowid=(SELECT max(rowid) FROM "
			"device_offset WHERE device=?2 AND at>=?3)",
			"iii", now.at_us, u->device_row, CLOCK_PLAUSIBLE_US);
	else if (rc >= 0)
		rc = insert(db, u);
	return rc < 0 ? rc : known && !same && !drifted(&last, &now);
}

int epochs_follow(struct db *db, int64_t shift_us)
{
	return error_only(db_run(db,
		"UPDATE device_offset SET at=boot_us+?1, until=until-at+boot_us+?1, "
		"offset_us=offset_us+at-boot_us-?1 WHERE boot_id=?2",
		"ib", shift_us, clock_boot_id(), (size_t)16));
}

size_t epochs_read(struct db *db, int64_t device, struct clock_epoch out[static CLOCK_EPOCHS_MAX])
{
	struct seen rows[ROWS];
	size_t n = 0, epochs = 0;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT offset_us,at,until FROM device_offset WHERE device=? AND at>=? ORDER "
			"BY rowid DESC LIMIT 32",
			"ii", device, CLOCK_PLAUSIBLE_US);
		while (n < ROWS && row_next(r) > 0)
			rows[n++] = (struct seen){row_int(r, 0), row_int(r, 1), row_int(r, 2)};
	}
	/* newest first: the one that holds, and backwards through the jumps */
	struct clock_epoch back[CLOCK_EPOCHS_MAX];
	for (size_t i = 0; i < n; i++) {
		if (i && drifted(&rows[i], &rows[i - 1]))
			continue;
		if (epochs)
			back[epochs - 1].from_us = rows[i].until_us;
		if (epochs == CLOCK_EPOCHS_MAX)
			break;
		back[epochs++] = (struct clock_epoch){
			rows[i].offset_us, INT64_MIN, i ? rows[i - 1].at_us : INT64_MAX};
	}
	for (size_t i = 0; i < epochs; i++)
		out[i] = back[epochs - 1 - i];
	return epochs;
}

void epochs_take(struct db *db, struct unit *u)
{
	u->n_epochs = u->offset_known ? (unsigned)epochs_read(db, u->device_row, u->epochs) : 0;
	for (unsigned i = 0; i < u->n_epochs; i++) {
		struct clock_epoch *e = &u->epochs[i];
		e->offset_us += u->set_us;
		e->from_us -= e->from_us == INT64_MIN ? 0 : u->set_us;
		e->to_us -= e->to_us == INT64_MAX ? 0 : u->set_us;
	}
}
