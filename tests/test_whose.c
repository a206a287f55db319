/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The evidence as the store has it: what is typed, who is booked, records of one person, many bindings. */
#include "station_rig.h"

#include "day.h"
#include "whose.h"

/* 1 and *ret, or 0: the message names nobody. */
static int named(const char *patient, int field, const char *station, int64_t *ret)
{
	struct unit *u = rig_unit(&rig);
	struct reading r = {.has_patient = patient != NULL};
	u->patient_field = field;
	u->station = station;
	if (patient)
		text_copy(r.patient, sizeof(r.patient), patient, strlen(patient));
	*ret = 99;
	int rc = whose_named(rig.db, u, &r, ret);
	unit_free(u);
	return rc;
}

static void expect(const char *patient, int field, const char *station, int64_t who)
{
	int64_t found;
	assert_int_equal(named(patient, field, station, &found), 1);
	if (found != who)
		fail_msg("%s: %lld, not %lld", patient, (long long)found, (long long)who);
}

static void test_fields(void **state)
{
	(void)state;
	int64_t found;
	static const int ignored[] = {PATIENT_FIELD_IGNORE, PATIENT_FIELD_SAMPLE};
	for (size_t i = 0; i < ELEMENTS(ignored); i++)
		assert_int_equal(named("R-0001", ignored[i], "desk", &found), 0);
	assert_int_equal(named(NULL, PATIENT_FIELD_TOKEN, "desk", &found), 0);
	assert_int_equal(named(NULL, PATIENT_FIELD_TYPED, "desk", &found), 0);
	expect("R-0001", PATIENT_FIELD_TOKEN, "desk", 1);
	expect("R-9", PATIENT_FIELD_TOKEN, "desk", WHOSE_UNKNOWN);
	expect("r-0001", PATIENT_FIELD_TOKEN, "desk", WHOSE_UNKNOWN);
	expect("", PATIENT_FIELD_TOKEN, "desk", WHOSE_UNKNOWN);
}

static void test_typed(void **state)
{
	(void)state;
	/* R0001 and its check character; R-0001 ends in a 1 that is none */
	rig_script(&rig,
		"INSERT INTO resident(id,token,programmes,changed) VALUES(7,'R-0001M','',0),"
		"(8,'R-0001N','',0)");
	expect("R-0001M", PATIENT_FIELD_TYPED, "desk", 7);
	expect("R-0001N", PATIENT_FIELD_TYPED, "desk", WHOSE_UNPROVEN);
	expect("R-0001O", PATIENT_FIELD_TYPED, "desk", WHOSE_UNKNOWN);
	expect("R-0001", PATIENT_FIELD_TYPED, "desk", WHOSE_UNPROVEN);
	expect("R-0001N", PATIENT_FIELD_TOKEN, "desk", 8); /* a barcode makes no slips */
}

static void book(const char *station, int64_t at_us, int resident)
{
	char day[DAY_TEXT];
	assert_int_equal(db_run(rig.db, "INSERT INTO booking(station,day,resident) VALUES(?,?,?)",
				 "tti", station, day_text(day, day_of(at_us)), (int64_t)resident),
		1);
}

static void test_booked(void **state)
{
	(void)state;
	book("desk", RIG_NOW - 86400 * CLOCK_SECOND_US, 1);
	book("desk", RIG_NOW + 86400 * CLOCK_SECOND_US, 1);
	book("set", RIG_NOW, 1);
	book("desk", RIG_NOW, 2);
	expect("R-0001", PATIENT_FIELD_TYPED, "desk", WHOSE_UNPROVEN);
	expect("R-0002", PATIENT_FIELD_TYPED, "desk", 2);
	expect("R-0001", PATIENT_FIELD_TYPED, "set", 1);
	expect("R-0001", PATIENT_FIELD_TYPED, "", WHOSE_UNPROVEN);
	expect("R-0001", PATIENT_FIELD_TYPED, NULL, WHOSE_UNPROVEN);
}

static void test_filed(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	u->patient_field = PATIENT_FIELD_TYPED;
	rig_add(&rig, u, &(struct rig_bp){.sys = 120, .dia = 80, .patient = "R-0001"});
	rig_add(&rig, u, &(struct rig_bp){.sys = 121, .dia = 80, .patient = "R-9"});
	assert_int_equal(rig_file(&rig, u), 0);
	char text[200];
	rig_text(&rig, text, sizeof(text),
		"SELECT group_concat(evidence||named||status,' ') FROM reading");
	assert_string_equal(text, "typed_id_unproven-1unassigned unknown_patient_id0unassigned");
}

static int64_t decided(const int64_t *named_, const char *evidence)
{
	struct resident_decision d;
	struct whose w = {.device = rig.cuff,
		.user = -1,
		.arrived_us = RIG_NOW,
		.named = named_,
		.reading = {.kind = "bp",
			.when = {RIG_NOW, 1, TRUST_LIVE},
			.live = true,
			.arrived = station_at(0)}};
	assert_int_equal(whose_decide(&rig.gateway, rig.db, &w, &d), 0);
	assert_string_equal(d.evidence, evidence);
	return d.resident;
}

/* Records of one person are one claim, whichever of them is bound, named or checked in. */
static void test_merged(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	int64_t three = 3, two = 2;
	assert_int_equal(decided(&three, "patient_id_contradicts_binding"), 0);
	rig_script(&rig, "UPDATE resident SET state='merged', merged_into=3 WHERE id=1");
	assert_int_equal(decided(&three, "message_token"), 3);
	assert_int_equal(decided(NULL, "device_binding"), 3);
	assert_int_equal(decided(&two, "patient_id_contradicts_binding"), 0);
	/* bound to both records: to one person */
	rig_bind(&rig, 3);
	assert_int_equal(decided(NULL, "device_binding"), 3);
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE id=3");
	assert_int_equal(decided(NULL, "consent_withdrawn"), 0);
	assert_int_equal(decided(&three, "consent_withdrawn"), 0);
}

/* What the store cannot tell is no evidence for nobody. */
static void test_broken(void **state)
{
	(void)state;
	struct resident_decision d;
	struct whose w = {.device = rig.cuff,
		.user = -1,
		.station = "desk",
		.reading = {
			.kind = "bp", .when = {RIG_NOW, 1, TRUST_LIVE}, .arrived = station_at(0)}};
	assert_int_equal(whose_decide(&rig.gateway, rig.db, &w, &d), 0);
	rig_script(&rig, "PRAGMA writable_schema=1; UPDATE sqlite_schema SET rootpage=999999 WHERE "
			 "name='checkin'; PRAGMA writable_schema=RESET");
	assert_true(whose_decide(&rig.gateway, rig.db, &w, &d) < 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_fields),
		T(test_typed),
		T(test_booked),
		T(test_filed),
		T(test_merged),
		T(test_broken),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("whose", tests, NULL, NULL);
}
