/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reassess.h"

#include "alerts.h"
#include "epoch.h"
#include "gateway.h"
#include "revision.h"
#include "roster.h"
#include "study.h"
#include "whose.h"

#include <errno.h>

/* A reading, or a study, as it stands. */
struct standing {
	int64_t row;
	struct uuid id;
	bool study, has_named, has_offset;
	bool of_study; /* it follows that, and is decided by nothing else */
	int64_t named, offset_us;
	char kind[24], evidence[48], grade[16], station[32];
	char *reasons;
	struct vg_civil device_time;
	bool has_device_time;
	uint8_t boot_id[16];
	struct resident_decision who;
	struct whose input;
};

#define STANDING                                                                                  \
	"device,taken,uncertainty_us,trust,arrived,boot_id,boot_us,test,resident,evidence,grade," \
	"checkin,reasons,station,named,device_time,"

static void take_text(char *out, size_t size, struct row *r, int column)
{
	text_set(out, size, row_text(r, column));
}

/* The columns of STANDING, then: kind, live, user_slot, offset_us, stranger, conflict, uuid, id. */
static int take(struct row *r, struct standing *s)
{
	struct whose *w = &s->input;
	struct uuid boot = {0};
	char time[24];
	take_text(s->evidence, sizeof(s->evidence), r, 9);
	take_text(s->grade, sizeof(s->grade), r, 10);
	take_text(s->station, sizeof(s->station), r, 13);
	take_text(s->kind, sizeof(s->kind), r, 16);
	take_text(time, sizeof(time), r, 15);
	s->has_device_time = clock_civil_read(time, &s->device_time);
	s->reasons = row_null(r, 12) ? NULL : strdup(row_text(r, 12));
	s->has_named = !row_null(r, 14);
	s->named = row_int(r, 14);
	s->has_offset = !row_null(r, 19);
	s->offset_us = row_int(r, 19);
	s->row = row_int(r, 23);
	row_uuid(r, 5, &boot);
	memcpy(s->boot_id, boot.bytes, sizeof(boot.bytes));
	s->who = (struct resident_decision){.resident = row_int(r, 8),
		.evidence = s->evidence,
		.grade = s->grade,
		.checkin = row_int(r, 11)};
	*w = (struct whose){.test = row_int(r, 7),
		.stranger = row_int(r, 20),
		.conflict = row_int(r, 21),
		.device = row_int(r, 0),
		.user = row_null(r, 18) ? -1 : (int)row_int(r, 18),
		.arrived_us = row_int(r, 4),
		.station = s->station,
		.named = s->has_named ? &s->named : NULL,
		.reading = {.kind = s->kind,
			.when = {row_int(r, 1), row_int(r, 2), trust_named(row_text(r, 3))},
			.live = row_int(r, 17),
			.arrived = {row_int(r, 4), row_int(r, 6), s->boot_id}}};
	if (!row_uuid(r, 22, &s->id) || (!s->reasons && !row_null(r, 12)))
		return -ENOMEM;
	return 0;
}

static int load(struct db *db, const struct uuid *id, int64_t study, struct standing *s)
{
	*s = (struct standing){.study = study};
	_cleanup_(row_endp) struct row *r =
		study ? db_query(db,
				"SELECT " STANDING "'ecg',0,NULL,NULL,stranger,0,uuid,id FROM "
				"study WHERE id=? AND status<>'undecoded'",
				"i", study)
		      : db_query(db,
				"SELECT " STANDING
				"kind,live,user_slot,offset_us,0,conflicts_with IS NOT NULL,uuid,id "
				"FROM reading WHERE uuid=? AND superseded=0",
				"b", id->bytes, sizeof(id->bytes));
	int rc = row_next(r);
	return rc <= 0 ? rc < 0 ? rc : -ENOENT : take(r, s);
}

/* The row of its first revision; and when a reading that was corrected since came first. */
static int first_told(struct db *db, struct standing *s)
{
	struct station_reading *told = &s->input.reading;
	struct uuid boot = {0};
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,arrived,boot_us,boot_id FROM reading WHERE uuid=? AND revision=1", "b",
		s->id.bytes, sizeof(s->id.bytes));
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	told->row = row_int(r, 0);
	bool same = row_uuid(r, 3, &boot) && memcmp(boot.bytes, s->boot_id, 16) == 0 &&
		    row_int(r, 2) == told->arrived.boot_us;
	if (same)
		return 0;
	memcpy(s->boot_id, boot.bytes, sizeof(boot.bytes));
	told->arrived.utc_us = row_int(r, 1);
	told->arrived.boot_us = row_int(r, 2);
	return 0;
}

/* when */

/* The epochs up to the one of this session, by a clock of ours that is another by `shift_us` than it was then. */
static size_t epochs(struct db *db, const struct standing *s, int64_t shift_us,
	struct clock_epoch out[static CLOCK_EPOCHS_MAX])
{
	int64_t offset_us = s->offset_us - shift_us;
	if (!s->has_offset)
		return 0;
	size_t n = epochs_read(db, s->input.device, out);
	while (n && llabs(out[n - 1].offset_us - offset_us) > 60 * CLOCK_SECOND_US)
		n--;
	n = n ? n : 1;
	out[n - 1].from_us = n > 1 ? out[n - 1].from_us : INT64_MIN;
	out[n - 1].to_us = INT64_MAX;
	out[n - 1].offset_us = offset_us;
	return n;
}

static struct when retime(struct db *db, const struct standing *s, int64_t arrived_us)
{
	struct clock_epoch e[CLOCK_EPOCHS_MAX];
	struct when now = s->input.reading.when;
	if (streq(s->evidence, "entered_by_person") && s->has_device_time)
		return now; /* a person said when */
	size_t n = epochs(db, s, arrived_us - s->input.arrived_us, e);
	return clock_decide(
		&(struct when_input){.device = s->has_device_time ? &s->device_time : NULL,
			.live = s->input.reading.live,
			.epochs = e,
			.n_epochs = n,
			.arrived_us = arrived_us});
}

/* whose */

/* What does not rest on bindings, messages and check-ins. */
static bool fixed(const char *evidence)
{
	static const char *const words[] = {"assigned_by_person", "entered_by_person", "place",
		"device_identity_changed", "conflicting_content", "test"};
	for (size_t i = 0; i < ELEMENTS(words); i++)
		if (streq(evidence, words[i]))
			return true;
	return false;
}

static int decide(
	struct gateway *g, struct db *db, const struct standing *s, struct resident_decision *ret)
{
	if (!s->of_study && !fixed(s->evidence))
		return whose_decide(g, db, &s->input, ret);
	*ret = s->who;
	int64_t under = s->who.resident ? roster_files_under(db, s->who.resident) : 0;
	ret->resident = under ? under : s->who.resident;
	return 0;
}

static bool same(const struct standing *s, const struct resident_decision *who, const char *reasons)
{
	const char *was = s->reasons ? s->reasons : "", *is = reasons ? reasons : "";
	return who->resident == s->who.resident && who->checkin == s->who.checkin &&
	       streq(who->evidence, s->evidence) && streq(who->grade, s->grade) && streq(was, is);
}

static int again(struct gateway *g, struct db *db, struct standing *s, const int64_t *arrived_us)
{
	struct when when = s->input.reading.when;
	int64_t offset_us = 0;
	bool moved = arrived_us && *arrived_us != s->input.arrived_us;
	int rc = s->study ? 0 : first_told(db, s);
	if (rc < 0)
		return rc;
	if (moved) {
		when = retime(db, s, *arrived_us);
		offset_us = s->offset_us - (*arrived_us - s->input.arrived_us);
		if (s->input.reading.arrived.utc_us == s->input.arrived_us)
			s->input.reading.arrived.utc_us = *arrived_us;
		s->input.arrived_us = *arrived_us;
		s->input.reading.when = when;
	}
	struct resident_decision who;
	rc = decide(g, db, s, &who);
	if (rc < 0)
		return rc;
	bool kept = s->of_study || fixed(s->evidence);
	_cleanup_(freep) char *reasons = filing_reasons(&who);
	bool same_who = kept ? who.resident == s->who.resident : same(s, &who, reasons);
	if (same_who && !moved)
		return 0;
	if (s->study)
		rc = study_decide_again(g, db, s->row, &s->id, &who, moved ? &when : NULL);
	else
		rc = revision_make(g, db, &s->id,
			&(struct revision){.who = same_who ? NULL : &who,
				.when = moved ? &when : NULL,
				.arrived_us = moved ? arrived_us : NULL,
				.offset_us = moved && s->has_offset ? &offset_us : NULL},
			NULL);
	return rc < 0 ? rc : 1;
}

int reassess(struct gateway *g, struct db *db, const struct uuid *id, const int64_t *arrived_us)
{
	struct standing s;
	struct uuid of;
	int rc = load(db, id, 0, &s);
	_cleanup_(freep) char *reasons = s.reasons;
	if (rc < 0)
		return rc;
	/* a heart rate is nobody else's than the ECG that it was measured in */
	s.of_study = streq(s.kind, "ecg") && study_of_reading(db, id, &of);
	if (s.of_study && !arrived_us)
		return reassess_study(g, db, study_row(db, &of), NULL);
	return again(g, db, &s, arrived_us);
}

int reassess_study(struct gateway *g, struct db *db, int64_t row, const int64_t *arrived_us)
{
	struct standing s;
	int rc = load(db, NULL, row, &s);
	_cleanup_(freep) char *reasons = s.reasons;
	return rc < 0 ? rc : again(g, db, &s, arrived_us);
}

/* windows */

/* One that may have been measured in the window. */
struct candidate {
	int64_t row;
	struct uuid id;
	bool concerned;
};

/* The columns: id,uuid,kind,taken,uncertainty_us,trust,live,arrived,boot_id,boot_us,checkin,revision. */
static bool candidate(const struct numbers *n, struct row *r, const struct station_window *w,
	int64_t checkin, struct candidate *ret)
{
	struct uuid boot;
	*ret = (struct candidate){.row = row_int(r, 0)};
	if (!row_uuid(r, 1, &ret->id) || !row_uuid(r, 8, &boot))
		return false;
	struct station_interval i = station_interval(
		n, &(struct station_reading){.kind = row_text(r, 2),
			   .when = {row_int(r, 3), row_int(r, 4), trust_named(row_text(r, 5))},
			   .live = row_int(r, 6),
			   .arrived = {row_int(r, 7), row_int(r, 9), boot.bytes}});
	/* a corrected one came earlier than its last revision says */
	ret->concerned = row_int(r, 10) == checkin || row_int(r, 11) > 1 ||
			 station_overlap(w, &i, boot.bytes);
	return true;
}

static int next_reading(struct db *db, const char *station, int64_t after, int64_t last,
	const struct numbers *n, const struct station_window *w, int64_t checkin,
	struct candidate *ret)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,uuid,kind,taken,uncertainty_us,trust,live,arrived,boot_id,boot_us,checkin,"
		"revision FROM reading WHERE id>? AND id<=? AND station=? AND superseded=0 ORDER BY id "
		"LIMIT 1",
		"iit", after, last, station);
	int rc = row_next(r);
	return rc <= 0 ? rc : candidate(n, r, w, checkin, ret) ? 1 : -ODD_ROW;
}

/* Studies have one row each, in the order in which they came: 0 as well when all others are older than the window. */
static int next_study(struct db *db, const char *station, int64_t before, const struct numbers *n,
	const struct station_window *w, int64_t checkin, struct candidate *ret)
{
	size_t len;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,uuid,'ecg',taken,uncertainty_us,trust,0,arrived,boot_id,boot_us,checkin,1,"
		"station,status FROM study WHERE id<? ORDER BY id DESC LIMIT 1",
		"i", before);
	int rc = row_next(r);
	if (rc <= 0)
		return rc;
	const void *boot = row_blob(r, 8, &len);
	bool same_boot = len == sizeof(w->boot_id) && memcmp(boot, w->boot_id, len) == 0;
	if (same_boot ? row_int(r, 9) < w->from_boot_us : row_int(r, 7) < w->from_us)
		return 0;
	if (!candidate(n, r, w, checkin, ret))
		return -ODD_ROW;
	ret->concerned &= !row_null(r, 12) && streq(row_text(r, 12), station) &&
			  !streq(row_text(r, 13), "undecoded");
	return 1;
}

static int window(struct gateway *g, struct db *db, const char *station,
	const struct station_window *w, int64_t last_reading, int64_t checkin)
{
	const struct numbers *n = g->numbers;
	struct candidate c = {.row = last_reading};
	int64_t last = db_int(db, 0, "SELECT max(id) FROM reading", "");
	int rc;
	while ((rc = next_reading(db, station, c.row, last, n, w, checkin, &c)) > 0)
		if (c.concerned && (rc = reassess(g, db, &c.id, NULL)) < 0)
			return rc;
	c.row = INT64_MAX;
	while (rc >= 0 && (rc = next_study(db, station, c.row, n, w, checkin, &c)) > 0)
		if (c.concerned && (rc = reassess_study(g, db, c.row, NULL)) < 0)
			return rc;
	return rc;
}

int reassess_window(struct gateway *g, struct db *db, const char *station,
	const struct station_window *w, int64_t last_reading, int64_t checkin)
{
	alerts_hold(g);
	return alerts_release(g, db, window(g, db, station, w, last_reading, checkin));
}
