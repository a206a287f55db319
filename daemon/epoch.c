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
		"SELECT offset_us,at,until FROM device_offset WHERE device=? ORDER BY rowid DESC LIMIT 1",
		"i", device);
	if (row_next(r) <= 0)
		return false;
	*ret = (struct seen){row_int(r, 0), row_int(r, 1), row_int(r, 2)};
	return true;
}

int epoch_observe(struct db *db, const struct unit *u)
{
	if (!u->offset_known)
		return 0;
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
			"device_offset WHERE device=?2)",
			"ii", now.at_us, u->device_row);
	else if (rc >= 0)
		rc = db_run(db,
			"INSERT INTO device_offset(device,at,boot_id,boot_us,offset_us,until) "
			"VALUES(?1,?2,?3,?4,?5,?2)",
			"iibii", u->device_row, now.at_us, clock_boot_id(), (size_t)16, u->boot_us,
			now.offset_us);
	return rc < 0 ? rc : known && !same && !drifted(&last, &now);
}

size_t epochs_read(struct db *db, int64_t device, struct clock_epoch out[static CLOCK_EPOCHS_MAX])
{
	struct seen rows[ROWS];
	size_t n = 0, epochs = 0;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT offset_us,at,until FROM device_offset WHERE device=? ORDER BY rowid "
			"DESC LIMIT 32",
			"i", device);
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
