/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A gateway with a station "desk", and time that a test says: seconds since RIG_NOW by both clocks, of which the time
 * of day may be set, and the machine may have been started anew.
 */
#pragma once

#include "gateway_rig.h"

#include "checkin.h"
#include "station.h"

#define STATION_YAML RIG_SINK "stations:\n - {id: desk}\n - {id: set, complete: weight bp}\n"
#define STATION_BOOT (INT64_C(5000) * CLOCK_SECOND_US)

enum { STATION_R1 = 1, STATION_R2, STATION_R3 };

static int64_t station_step_us; /* of the time of day, since the test began */
static uint8_t station_boot[16];
static int station_synced; /* linked with --wrap=clock_synced */

int __wrap_clock_synced(void);

int __wrap_clock_synced(void)
{
	return station_synced;
}

static inline struct station_instant station_at(double s)
{
	int64_t us = (int64_t)(s * CLOCK_SECOND_US);
	return (struct station_instant){
		RIG_NOW + us + station_step_us, STATION_BOOT + us, station_boot};
}

static inline void station_open(struct rig *r)
{
	station_step_us = 0;
	station_synced = 1;
	memcpy(station_boot, clock_boot_id(), sizeof(station_boot));
	rig_open(r, STATION_YAML);
	rig_residents(r);
}

/* What is measured at `at`; without more it is a live blood pressure at the desk. */
struct station_told {
	double at;
	const char *station, *patient, *identity;
	bool dated;	/* by the instrument, at `taken` */
	bool compared;	/* and its clock was compared */
	bool untimed;	/* neither live nor dated */
	bool corrected; /* told again with other numbers */
	double taken;
	int user, sys;
	const char *kind; /* instead of "bp" */
};

static inline struct uuid station_measure(struct rig *r, struct station_told t)
{
	static unsigned n;
	struct station_instant now = station_at(t.at);
	struct vg_civil taken = clock_civil(RIG_NOW + (int64_t)(t.taken * CLOCK_SECOND_US));
	char identity[16];
	snprintf(identity, sizeof(identity), "%u", ++n);
	struct unit *u = rig_unit(r);
	u->arrived_us = now.utc_us;
	u->boot_us = now.boot_us;
	u->station = t.station ? t.station : "desk";
	u->patient_field = PATIENT_FIELD_TOKEN;
	u->offset_known = t.compared;
	struct reading *x = rig_add(r, u,
		&(struct rig_bp){t.sys ? t.sys : 120, 80, 70,
			.identity = t.identity ? t.identity : identity, .patient = t.patient,
			.taken = t.dated ? &taken : NULL, .corrected = t.corrected,
			.user = t.user});
	x->live = !t.dated && !t.untimed;
	x->kind = t.kind ? t.kind : x->kind;
	struct uuid id = x->id;
	assert_int_equal(rig_file(r, u), 0);
	return id;
}

/* "R-0001 checkin station", "- not_bound none" */
static inline void station_expect(struct rig *r, const struct uuid *id, const char *expected)
{
	char text[128] = "", digits[33];
	_cleanup_(row_endp) struct row *row = db_query(r->db,
		"SELECT coalesce(token,'-')||' '||evidence||' '||grade FROM reading LEFT JOIN resident "
		"ON resident.id=resident WHERE uuid=? AND superseded=0",
		"b", id->bytes, sizeof(id->bytes));
	assert_int_equal(row_next(row), 1);
	snprintf(text, sizeof(text), "%s", row_text(row, 0));
	if (strcmp(text, expected) != 0)
		fail_msg("%.8s is \"%s\", not \"%s\"", hex(digits, id->bytes, 16), text, expected);
}

static inline struct checkin_asked station_asked(double at, int64_t resident, const char *purpose)
{
	return (struct checkin_asked){.station = "desk",
		.resident = resident,
		.purpose = purpose,
		.fallback = "exam",
		.source = "typed",
		.author = "local:nurse",
		.way = "",
		.now = station_at(at)};
}

/* An act in its own transaction, as the store does it; its result. */
#define STATION_ACT(r, call)                                      \
	({                                                        \
		struct json j = {0};                              \
		json_object_begin(&j, NULL);                      \
		rig_script((r), "BEGIN IMMEDIATE");               \
		int rc_ = (call);                                 \
		rig_script((r), rc_ < 0 ? "ROLLBACK" : "COMMIT"); \
		json_free(&j);                                    \
		rc_;                                              \
	})

static inline int64_t station_in(struct rig *r, double at, int64_t resident, const char *purpose)
{
	int64_t id = 0;
	struct checkin_asked a = station_asked(at, resident, purpose);
	assert_int_equal(STATION_ACT(r, checkin_begin(&r->gateway, r->db, &a, &j, &id)), 0);
	return id;
}

static inline int station_out(struct rig *r, double at)
{
	int64_t id;
	struct station_instant now = station_at(at);
	return STATION_ACT(r, checkin_end(&r->gateway, r->db, "desk", &now, &id));
}

static inline int station_undo(struct rig *r, double at)
{
	int64_t id;
	struct station_instant now = station_at(at);
	return STATION_ACT(r, checkin_undo(&r->gateway, r->db, "desk", &now, &id));
}

static inline int station_instead(struct rig *r, double at, int64_t resident)
{
	int64_t id;
	struct checkin_asked a = station_asked(at, resident, NULL);
	return STATION_ACT(r, checkin_instead(&r->gateway, r->db, &a, &j, &id));
}

static inline int station_split(
	struct rig *r, double at, const struct uuid *reading, int64_t resident)
{
	int64_t id;
	struct checkin_asked a = station_asked(at, resident, NULL);
	a.source = "split";
	return STATION_ACT(r, checkin_split(&r->gateway, r->db, reading, &a, &j, &id));
}

/* One for each test. */
static struct rig rig;

static inline int setup(void **state)
{
	(void)state;
	station_open(&rig);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}
