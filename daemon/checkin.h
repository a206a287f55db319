/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Check-ins as persons make, take back and correct them: by command, by a card or by a barcode. Whatever was measured in
 * a window that is another one now is decided again. The rules: tests/sim/FOLLOWUP.md, section 3. Store thread, in the
 * transaction of the act.
 */
#pragma once

#include "reading.h"
#include "station.h"

struct gateway;

#define CHECKIN_HUT "hut"

/* What is asked for. */
struct checkin_asked {
	const char *station;
	int64_t resident;
	const char *purpose; /* follow-up, exam, home-bed, hut; NULL: as it was, else `fallback` */
	const char *fallback;
	const char *source; /* typed, card, barcode, booking */
	const char *author;
	const char *way; /* how visits are held; "": nobody said */
	struct station_instant now;
};

/* All of them: 0 and *ret_id, the row of the check-in, with the visits that it opens in the open object `j`; -errno. */

/* The resident is there now. */
int checkin_begin(struct gateway *g, struct db *db, const struct checkin_asked *a, struct json *j,
	int64_t *ret_id);
/* It was this resident all along. -ENOENT: nobody was ever checked in; -EALREADY: that is so; -ETIME: too long ago. */
int checkin_instead(struct gateway *g, struct db *db, const struct checkin_asked *a, struct json *j,
	int64_t *ret_id);
/* Nobody is there any more. -ENOENT: nobody was. */
int checkin_end(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, int64_t *ret_id);
/* The latest check-in of the station was a mistake. Errors as of checkin_instead(). */
int checkin_undo(struct gateway *g, struct db *db, const char *station,
	const struct station_instant *now, int64_t *ret_id);
/* From where the measuring of this reading, or study, began it was the resident of `a`. -ENOENT: no check-in claims it;
 * -EALREADY: it is that one's. */
int checkin_split(struct gateway *g, struct db *db, const struct uuid *reading,
	const struct checkin_asked *a, struct json *j, int64_t *ret_id);
