/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert_sent.h"

#include "clock.h"
#include "util.h"

int alert_sent(struct db *db, int64_t outbox_row)
{
	return error_only(db_run(db,
		"UPDATE alert SET sent=?1 WHERE id=(SELECT object FROM outbox WHERE id=?2) AND sent IS "
		"NULL AND raised_revision<=(SELECT revision FROM outbox WHERE id=?2)",
		"ii", clock_utc_us(), outbox_row));
}

int alert_received(struct db *db, const struct uuid *alert, int64_t revision)
{
	return error_only(db_run(db,
		"UPDATE alert SET receipted=?1, sent=coalesce(sent,?1) WHERE uuid=?2 AND receipted IS "
		"NULL AND raised_revision<=?3",
		"ibi", clock_utc_us(), alert->bytes, sizeof(alert->bytes), revision));
}
