/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "whose.h"

#include "day.h"
#include "reading.h"
#include "roster.h"
#include "typed.h"
#include "util.h"

#define BINDINGS_MAX 64
#define MERGES_MAX 64 /* a damaged table must not hold us up */

int64_t whose_record(struct db *db, int64_t resident)
{
	int64_t into = resident;
	for (unsigned hops = 0; into && hops < MERGES_MAX; hops++) {
		resident = into;
		into = db_int(db, 0,
			"SELECT merged_into FROM resident WHERE id=? AND state='merged'", "i",
			resident);
	}
	return resident;
}

/* Of 64, the newest; how many, or -errno. */
static int bindings_read(struct db *db, int64_t device, struct resident_binding *out)
{
	bool elsewhere[BINDINGS_MAX];
	int n = 0, rc = 0;
	{
		_cleanup_(row_endp) struct row *r = db_query(db,
			"SELECT b.resident,user_slot,b.valid_from,b.valid_to,state<>'active' FROM binding b LEFT "
			"JOIN resident ON resident.id=b.resident WHERE device=? ORDER BY b.valid_from DESC "
			"LIMIT 64",
			"i", device);
		while (n < BINDINGS_MAX && (rc = row_next(r)) > 0) {
			elsewhere[n] = row_int(r, 4);
			out[n++] = (struct resident_binding){.resident = row_int(r, 0),
				.has_slot = !row_null(r, 1),
				.slot = (int)row_int(r, 1),
				.from_us = row_int(r, 2),
				.to_us = row_null(r, 3) ? INT64_MAX : row_int(r, 3)};
		}
	}
	for (int i = 0; i < n; i++)
		if (elsewhere[i])
			out[i].resident = whose_record(db, out[i].resident);
	return rc < 0 ? rc : n;
}

int whose_decide(
	struct gateway *g, struct db *db, const struct whose *w, struct resident_decision *ret)
{
	struct resident_binding bindings[BINDINGS_MAX];
	int64_t named = w->named ? *w->named : 0;
	struct resident_evidence e = {.test = w->test,
		.stranger = w->stranger,
		.conflict = w->conflict,
		.when = w->reading.when,
		.arrived_us = w->arrived_us,
		.user = w->user,
		.bindings = bindings,
		.has_patient = w->named != NULL,
		.patient_resident = named,
		.patient_unproven = named == WHOSE_UNPROVEN};
	int n = bindings_read(db, w->device, bindings);
	if (n < 0)
		return n;
	e.n_bindings = (size_t)n;
	if (w->station && w->station[0]) {
		int rc = station_claim(
			g, db, w->station, &w->reading, MAX(named, INT64_C(0)), &e.station);
		if (rc < 0)
			return rc;
	}
	*ret = resident_decide(&e);
	if (ret->resident && !roster_files_under(db, ret->resident))
		*ret = (struct resident_decision){.evidence = "consent_withdrawn", .grade = "none"};
	return 0;
}

/* what the message says */

static bool booked(struct db *db, const char *station, int64_t now_us, int64_t resident)
{
	char day[DAY_TEXT];
	return station && station[0] && clock_plausible(now_us) &&
	       db_int(db, 0, "SELECT 1 FROM booking WHERE station=? AND day=? AND resident=?",
		       "tti", station, day_text(day, day_of(now_us)), resident) == 1;
}

int whose_named(struct db *db, const struct unit *u, const struct reading *r, int64_t *ret)
{
	bool typed = u->patient_field == PATIENT_FIELD_TYPED;
	if (!r->has_patient || (!typed && u->patient_field != PATIENT_FIELD_TOKEN))
		return 0;
	int64_t resident = db_int(db, 0, "SELECT id FROM resident WHERE token=?", "t", r->patient);
	*ret = resident ? whose_record(db, resident) : WHOSE_UNKNOWN;
	if (resident && typed && !typed_proven(r->patient) &&
		!booked(db, u->station, u->arrived_us, resident))
		*ret = WHOSE_UNPROVEN;
	return 1;
}
