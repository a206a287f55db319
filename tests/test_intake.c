/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intake: whose, when, how often, who is alarmed; and that a unit is filed whole or not at all. */
#include "gateway_rig.h"

#include "util.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	/* R-0001 has one open visit, R-0002 two: whatever is filed under them changes what these say */
	rig_script(&rig,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(x'01010101010101010101010101010101',1,"
		"'hypertension_followup_v3','open','here','2026-11-18',0,'a',0,''),"
		"(x'02020202020202020202020202020202',2,'hypertension_followup_v3','open','here',"
		"'2026-11-18',0,'a',0,''),(x'03030303030303030303030303030303',2,"
		"'t2dm_followup_v3','open','here','2026-11-18',0,'a',0,'');"
		"INSERT INTO visit_window(visit,from_us) SELECT id,0 FROM visit");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define COUNT(table) rig_int(&rig, "SELECT count(*) FROM " table)

static void expect_text(const char *sql, const char *expected)
{
	char text[512];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

/* identity of a reading */

static void test_told_again(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct uuid first = rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	int64_t outbox = COUNT("outbox");
	for (int i = 0; i < 3; i++) {
		struct uuid again = rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
		assert_memory_equal(&again, &first, sizeof(first));
	}
	assert_int_equal(COUNT("reading"), 1);
	assert_int_equal(COUNT("evidence"), 3);
	assert_int_equal(COUNT("alert"), 1);
	assert_int_equal(COUNT("outbox"), outbox);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit WHERE resident=1"), 1);
	assert_int_equal(rig_int(&rig, "SELECT n_reading FROM device"), 4); /* heard is heard */
}

/* The same record within one unit: an instrument that repeats itself in one message. */
static void test_twice_in_one_unit(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	for (int i = 0; i < 2; i++)
		rig_add(&rig, u, &(struct rig_bp){190, 95, 70, .identity = "1"});
	assert_int_equal(rig_file(&rig, u), 0);
	assert_int_equal(COUNT("reading"), 1);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_conflict(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = "1"});
	for (int i = 0; i < 2; i++) /* the conflict told again is harmless, too */
		rig_bp(&rig, (struct rig_bp){185, 80, 70, .identity = "1"});
	assert_int_equal(COUNT("reading"), 2);
	assert_int_equal(rig_int(&rig, "SELECT count(DISTINCT uuid) FROM reading"), 2);
	assert_int_equal(
		rig_int(&rig,
			"SELECT count(*) FROM reading a JOIN reading b ON a.conflicts_with=b.uuid"),
		1);
	expect_text("SELECT evidence||'/'||status FROM reading WHERE conflicts_with IS NOT NULL",
		"conflicting_content/unassigned");
	assert_int_equal(COUNT("evidence"), 3); /* of the first only */
	/* a dangerous value reaches a person all the same */
	assert_int_equal(COUNT("alert"), 1);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM alert WHERE doubts LIKE '%\"conflict\"%'"), 1);
}

static void test_amended(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct uuid id = rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = "1"});
	struct uuid again =
		rig_bp(&rig, (struct rig_bp){150, 85, 70, .identity = "1", .corrected = true});
	assert_memory_equal(&id, &again, sizeof(id));
	expect_text("SELECT group_concat(revision||status||superseded) FROM reading",
		"1final1,2amended0");
	assert_int_equal(rig_int(&rig, "SELECT milli FROM evidence WHERE kind='bp.sbp'"), 150000);
	assert_int_equal(COUNT("evidence"), 3);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit WHERE resident=1"), 2);
	/* the old content told again changes nothing back */
	rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = "1"});
	assert_int_equal(COUNT("reading"), 2);
}

/* P5: what the instrument corrected into danger is an alert, whatever was acknowledged before. */
static void test_amended_into_danger(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){165, 80, 70, .identity = "1"});
	expect_text("SELECT severity||revision||state FROM alert", "warning1active");
	rig_script(&rig, "UPDATE alert SET revision=2, ack_author='x', "
			 "ack_outcome='advised', acked=1");
	rig_bp(&rig, (struct rig_bp){195, 80, 70, .identity = "1", .corrected = true});
	expect_text("SELECT severity||revision||state||coalesce(ack_author,'-') FROM alert",
		"critical4active-"); /* over as corrected, and raised anew */
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM alert WHERE body LIKE '%\"value\":195%'"), 1);
	/* one row speaks for the alert, with the revision that will be told */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=1"), 1);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM outbox WHERE kind=1"), 4);
	rig_bp(&rig, (struct rig_bp){195, 80, 70, .identity = "1", .corrected = true});
	assert_int_equal(rig_int(&rig, "SELECT revision FROM alert"), 4);
}

/* The correction cannot be filed any more: the visit that rested on it must be told anew. */
static void test_amended_after_unbinding(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){150, 95, 70, .identity = "1"});
	rig_script(&rig, "DELETE FROM binding");
	rig_bp(&rig, (struct rig_bp){151, 95, 70, .identity = "1", .corrected = true});
	assert_int_equal(COUNT("evidence"), 0);
	expect_text("SELECT status FROM reading WHERE revision=2", "unassigned");
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit WHERE resident=1"), 2);
}

static void test_without_identity(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = NULL});
	assert_int_equal(COUNT("reading"), 3); /* never merged */
}

/* who and when */

static void test_filed(void **state)
{
	(void)state;
	const struct vg_civil taken = {2026, 11, 18, 19, 0, 0}; /* 11:00 UTC in Shanghai */
	rig_bind(&rig, 1);
	struct unit *u = rig_unit(&rig);
	u->offset_known = true;
	u->offset_us = 60 * CLOCK_SECOND_US;
	rig_add(&rig, u,
		&(struct rig_bp){150, 95, 70, .identity = "1", .taken = &taken, .user = 1});
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text(
		"SELECT resident||evidence||grade||in_contract||test||device_time||trust||status"
		"||user_slot||seq||driver FROM reading",
		"1device_bindingdevice102026-11-18T19:00:00correctedfinal07bt_blp/1");
	assert_true(rig_int(&rig, "SELECT arrived FROM reading") == RIG_NOW);
	assert_true(rig_int(&rig, "SELECT taken FROM reading") == INT64_C(1794999540000000));
	assert_int_equal(rig_int(&rig, "SELECT uncertainty_us FROM reading"), CLOCK_SECOND_US);
	assert_int_equal(rig_int(&rig, "SELECT length(boot_id) FROM reading"), 16);
	expect_text("SELECT group_concat(kind||milli||trust) FROM (SELECT * FROM evidence ORDER BY "
		    "rowid)",
		"bp.sbp150000corrected,bp.dbp95000corrected,bp.pulse70000corrected");
	expect_text("SELECT group_concat(form||revision) FROM visit WHERE revision>0",
		"hypertension_followup_v31");
	expect_text("SELECT group_concat(kind||lane||revision,' ') FROM outbox", "011 221");
}

static void test_not_filed(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){150, 95, 70, .identity = "1"});
	expect_text("SELECT evidence||grade||status||coalesce(resident,'-') FROM reading",
		"not_boundnoneunassigned-");
	assert_int_equal(COUNT("evidence"), 0);
	assert_int_equal(COUNT("visit WHERE revision>0"), 0);
}

static void test_clock_not_set(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct unit *u = rig_unit(&rig);
	u->arrived_us = 5000 * CLOCK_SECOND_US; /* 1970 */
	rig_add(&rig, u, &(struct rig_bp){190, 95, 70, .identity = "1"});
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text("SELECT trust||taken||(uncertainty_us=9223372036854775807) FROM reading",
		"unknown50000000001");
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM alert WHERE doubts LIKE '%clock_unknown%'"), 1);
}

static void test_patient_field(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	u->patient_field = PATIENT_FIELD_TOKEN;
	rig_add(&rig, u, &(struct rig_bp){120, 80, 70, .identity = "1", .patient = "R-0002"});
	rig_add(&rig, u, &(struct rig_bp){121, 80, 70, .identity = "2", .patient = "R-9999"});
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text("SELECT group_concat(evidence||coalesce(resident,0)) FROM reading",
		"message_token2,unknown_patient_id0");
	assert_int_equal(rig_int(&rig, "SELECT count(DISTINCT patient_hash) FROM reading"), 2);
	/* not configured: neither trusted nor kept; a sample number is shown, and identifies nobody */
	u = rig_unit(&rig);
	rig_add(&rig, u, &(struct rig_bp){122, 80, 70, .identity = "3", .patient = "R-0002"});
	assert_int_equal(rig_file(&rig, u), 0);
	u = rig_unit(&rig);
	u->patient_field = PATIENT_FIELD_SAMPLE;
	rig_add(&rig, u, &(struct rig_bp){123, 80, 70, .identity = "4", .patient = "S-17"});
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text("SELECT group_concat(evidence||(patient_hash IS NULL)||(body LIKE '%S-17%'))"
		    " FROM reading WHERE id>2",
		"not_bound10,not_bound01");
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM reading WHERE body LIKE '%R-9999%'"), 0);
}

static void test_marked_test(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct unit *u = rig_unit(&rig);
	u->test = true;
	struct uuid id = rig_add(&rig, u, &(struct rig_bp){220, 130, 70, .identity = "1"})->id;
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text("SELECT test||evidence||coalesce(resident,'-') FROM reading", "1test-");
	assert_int_equal(COUNT("alert"), 0);
	assert_int_equal(COUNT("evidence"), 0);
	/* not by a person either */
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), -EPERM);
	assert_int_equal(COUNT("reading"), 1);
}

static void test_stranger(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct unit *u = rig_unit(&rig);
	u->stranger = true;
	rig_add(&rig, u, &(struct rig_bp){190, 95, 70, .identity = "1"});
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text(
		"SELECT evidence||coalesce(resident,'-') FROM reading", "device_identity_changed-");
	expect_text("SELECT role||recipient FROM alert", "staffS-0001");
}

/* alerts */

static void test_alert_once(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	assert_int_equal(COUNT("alert"), 1);
	expect_text("SELECT severity||state||role||recipient||resident||revision FROM alert",
		"criticalactivedoctorD-000111");
	assert_int_equal(rig_int(&rig, "SELECT raised FROM alert") == RIG_NOW, 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=1 AND lane=0"), 1);
	/* an acknowledgement is not undone by the instrument's memory */
	rig_script(&rig, "UPDATE alert SET acked=1, revision=2");
	rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	expect_text("SELECT state||revision||acked FROM alert", "active21");
}

static void test_alert_for_nobody(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	expect_text("SELECT role||recipient||coalesce(resident,'-') FROM alert", "staffS-0001-");
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM alert WHERE resident IS NULL AND role='staff'"),
		1);
}

static void test_no_alert(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){
			     145, 91, 70, .identity = "1"}); /* notice: shown, nobody is called */
	rig.config.alerts = false;
	rig_bp(&rig, (struct rig_bp){220, 91, 70, .identity = "2"});
	assert_int_equal(COUNT("alert"), 0);
	assert_int_equal(COUNT("reading"), 2);
}

/* the unit */

static void add_mark(struct unit *u, const char *key, const char *value)
{
	struct mark *m = calloc(1, sizeof(*m));
	assert_non_null(m);
	text_copy(m->key, sizeof(m->key), key, strlen(key));
	m->len = strlen(value);
	memcpy(m->value, value, m->len);
	m->next = u->marks;
	u->marks = m;
}

static void test_marks_with_the_unit(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct unit *u = rig_unit(&rig);
		rig_add(&rig, u, &(struct rig_bp){120 + i, 80, 70, .identity = NULL});
		add_mark(u, "racp", i ? "200" : "100");
		assert_int_equal(rig_file(&rig, u), 0);
	}
	expect_text("SELECT group_concat(key||value) FROM mark", "racp200");
	/* the unit fails at its end: nothing of it is there */
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE INSERT ON mark BEGIN SELECT raise(ABORT,'x'); END");
	struct unit *u = rig_unit(&rig);
	rig_add(&rig, u, &(struct rig_bp){190, 80, 70, .identity = NULL});
	unit_add_event(u, "device_error");
	add_mark(u, "racp", "300");
	assert_int_equal(rig_file(&rig, u), -EEXIST);
	expect_text("SELECT group_concat(key||value) FROM mark", "racp200");
	assert_int_equal(COUNT("reading"), 2);
	assert_int_equal(COUNT("alert"), 0);
	assert_int_equal(COUNT("event"), 0);
	assert_int_equal(COUNT("outbox"), 2);
	assert_int_equal(rig_int(&rig, "SELECT n_reading FROM device"), 2);
}

static void offset_unit(int64_t offset_us)
{
	struct unit *u = rig_unit(&rig);
	u->offset_known = true;
	u->offset_us = offset_us;
	assert_int_equal(rig_file(&rig, u), 0);
}

static void test_offset_history(void **state)
{
	(void)state;
	const int64_t s = CLOCK_SECOND_US;
	const int64_t offsets[] = {10 * s, 11 * s, 12 * s, 13 * s, 11 * s, -3600 * s, -3599 * s};
	for (size_t i = 0; i < ELEMENTS(offsets); i++)
		offset_unit(offsets[i]);
	expect_text("SELECT group_concat(offset_us/1000000) FROM device_offset", "10,13,-3600");
	assert_int_equal(rig_int(&rig, "SELECT offset_us/1000000 FROM device"), -3600);
}

/* A mark that stands above a hole would lose what is in it for ever. */
static int mark_unit(uint64_t session, uint32_t serial, uint8_t value)
{
	struct unit *u = rig_unit(&rig);
	u->session = session;
	u->serial = serial;
	if (value) {
		u->marks = calloc(1, sizeof(*u->marks));
		memcpy(u->marks->key, "racp", 5);
		u->marks->value[0] = value;
		u->marks->len = 1;
	}
	return rig_file(&rig, u);
}

static void test_no_mark_above_a_hole(void **state)
{
	(void)state;
	assert_int_equal(mark_unit(7, 1, 1), 0);
	assert_int_equal(mark_unit(7, 2, 0), 0);
	assert_int_equal(mark_unit(7, 3, 3), 0);
	/* 4 was refused */
	assert_int_equal(mark_unit(7, 5, 5), -ECANCELED);
	assert_int_equal(mark_unit(7, 6, 0), 0);	  /* a record alone does no harm */
	assert_int_equal(mark_unit(7, 7, 7), -ECANCELED); /* 6 is there, 5 is not */
	expect_text("SELECT hex(value) FROM mark", "03");
	assert_int_equal(mark_unit(8, 1, 4), 0);
	assert_int_equal(mark_unit(8, 2, 5), 0);
	assert_int_equal(mark_unit(9, 3, 6), -ECANCELED); /* another session's */
	expect_text("SELECT hex(value) FROM mark", "05");
}

static void test_clock_set_is_audited(void **state)
{
	(void)state;
	struct unit *u = rig_unit(&rig);
	struct happening *e = unit_add_event(u, "clock_set");
	memcpy(e->detail, "before: off by 90 s", 20);
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text("SELECT author||' '||action||' '||object||' '||detail FROM audit",
		"gateway clock_set cuff-1 before: off by 90 s");
}

static void test_counters(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct unit *u = rig_unit(&rig);
		for (uint32_t k = 0; k < VG_RESULTS; k++)
			u->counts[k] = k + 1;
		text_copy(u->uid, sizeof(u->uid), i ? "sn:2" : "sn:1", 4);
		assert_int_equal(rig_file(&rig, u), 0);
	}
	expect_text(
		"SELECT n_reading||','||n_nothing||','||n_malformed||','||n_out_of_sequence||','"
		"||n_unsupported||','||n_implausible FROM device",
		"2,4,6,8,10,12");
	expect_text("SELECT coalesce(uid,'-')||ack_mode||(last_seen=1795000000000000) FROM device",
		"-held1");
}

/* The first reading enrols the device; what comes before and after does not. */
static void test_enrolment(void **state)
{
	(void)state;
	static const struct {
		const char *says;
		bool reading;
		const char *enrolled;
	} steps[] = {{"addr:1", false, "-"}, {"sn:1", true, "sn:1"}, {"sn:2", true, "sn:1"}};
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		struct unit *u = rig_unit(&rig);
		text_copy(u->uid, sizeof(u->uid), steps[i].says, strlen(steps[i].says));
		if (steps[i].reading)
			rig_add(&rig, u, &(struct rig_bp){120, 80, 70, .identity = "1"});
		assert_int_equal(rig_file(&rig, u), 0);
		expect_text("SELECT coalesce(uid,'-') FROM device", steps[i].enrolled);
	}
	/* the same identity bytes of another device are another reading */
	assert_int_equal(COUNT("reading"), 2);
}

static void test_events(void **state)
{
	(void)state;
	static const char *const types[] = {"battery", "device_clock", "nothing", "memory_full",
		"failed_measurement", "instrument_restart"};
	struct unit *u = rig_unit(&rig);
	for (size_t i = 0; i < ELEMENTS(types); i++) {
		struct happening *e = unit_add_event(u, types[i]);
		e->value = 42;
		assert_true(bytes_copy(&e->raw, (const uint8_t *)"\1\2", 2));
	}
	assert_int_equal(rig_file(&rig, u), 0);
	assert_int_equal(rig_int(&rig, "SELECT battery FROM device"), 42);
	expect_text("SELECT group_concat(type||hex(raw)) FROM event",
		"nothing0102,memory_full0102,failed_measurement0102,instrument_restart0102");
	/* noise stays here */
	expect_text("SELECT group_concat(type) FROM (SELECT type FROM event JOIN outbox"
		    " ON outbox.uuid=event.uuid ORDER BY event.id)",
		"memory_full,failed_measurement");
}

static void test_events_are_bounded(void **state)
{
	(void)state;
	rig_script(&rig,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20990)"
		" INSERT INTO event(uuid,type,at) SELECT randomblob(16),"
		" 'nothing',1 FROM n");
	rig_script(&rig, "INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try)"
			 " SELECT 0,1,3,id,uuid,1,0,0 FROM event WHERE id=7");
	for (int i = 0; i < 20; i++)
		assert_int_equal(intake_event(&rig.gateway, rig.db, rig.cuff, "nothing", "", NULL,
					 RIG_NOW, false),
			0);
	/* 20992 = 82 x 256 came by: the newest stay, and what still has to go out */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE id<=992"), 1);
	assert_int_equal(COUNT("event"), 21010 - 992 + 1);
}

static void test_device_row(void **state)
{
	(void)state;
	char uid[96] = "?";
	assert_int_equal(
		intake_device(rig.db, "cuff-1", "bt_blp", "C0:11:22:33:44:55", uid), rig.cuff);
	assert_string_equal(uid, "");
	rig_bp(&rig, (struct rig_bp){120, 80, 70, .identity = "1"});
	assert_int_equal(intake_device(rig.db, "cuff-1", "other", "x", uid), rig.cuff);
	assert_string_equal(uid, "sn:1");
	expect_text("SELECT driver||address FROM device", "otherx");
	assert_int_not_equal(intake_device(rig.db, "cuff-2", "bt_blp", "y", uid), rig.cuff);
}

/* assigning */

static void test_assign(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct uuid id = rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	rig_script(&rig, "DELETE FROM outbox");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), 0);
	expect_text(
		"SELECT group_concat(revision||status||coalesce(resident,'-')||evidence||grade||"
		"superseded,' ') FROM reading",
		"1final1device_bindingdevice1 2amended2assigned_by_personperson0");
	expect_text("SELECT group_concat(resident||kind||milli) FROM (SELECT * FROM evidence ORDER "
		    "BY kind)",
		"2bp.dbp115000,2bp.pulse70000,2bp.sbp190000");
	/* R-0001's visit has lost it, both of R-0002's have it */
	expect_text("SELECT group_concat(resident||form||revision,' ') FROM visit",
		"1hypertension_followup_v32 2hypertension_followup_v31 2t2dm_followup_v31");
	expect_text("SELECT group_concat(resident||recipient||role||revision||state,' ') FROM "
		    "(SELECT * FROM alert ORDER BY id)",
		"1D-0001doctor2inactive 2D-0002doctor1active");
	expect_text(
		"SELECT group_concat(kind||':'||revision,' ') FROM (SELECT kind,revision FROM outbox"
		" ORDER BY kind,revision)",
		"0:2 1:1 1:2 2:1 2:1 2:2");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), -EALREADY);
	/* nobody's again */
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 0), 0);
	expect_text("SELECT status||coalesce(resident,'-')||grade FROM reading WHERE revision=3",
		"unassigned-none");
	assert_int_equal(COUNT("evidence"), 0);
	expect_text(
		"SELECT group_concat(coalesce(resident,'-')||recipient||revision||state,' ') FROM "
		"(SELECT * FROM alert ORDER BY id)",
		"1D-00012inactive 2D-00022inactive -S-00011active");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 0), -EALREADY);
	struct uuid unknown = uuid_random();
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &unknown, 1), -ENOENT);
	/* all revisions say the same measurement */
	assert_int_equal(
		rig_int(&rig,
			"SELECT count(DISTINCT body||hex(content)||taken||hex(raw)) FROM reading"),
		1);
}

/* What was said of nobody's value is said of nobody; its owner's doctor hears of it. */
/* The instrument corrects its numbers, and the person's word about whose they are stands. */
static void test_amended_after_assigning(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct uuid id = rig_bp(&rig, (struct rig_bp){150, 85, 70, .identity = "1"});
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), 0);
	rig_bp(&rig, (struct rig_bp){152, 85, 70, .identity = "1", .corrected = true});
	expect_text(
		"SELECT revision||status||resident||evidence||grade FROM reading WHERE superseded=0",
		"3amended2assigned_by_personperson");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 0), 0);
	rig_bp(&rig, (struct rig_bp){154, 85, 70, .identity = "1", .corrected = true});
	expect_text(
		"SELECT revision||status||coalesce(resident,'-') FROM reading WHERE superseded=0",
		"5unassigned-");
}

static void test_assign_acknowledged(void **state)
{
	(void)state;
	struct uuid id = rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	rig_script(&rig,
		"UPDATE alert SET state='inactive', acked=1, ack_author='local:nurse', revision=2");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect_text("SELECT group_concat(state||coalesce(ack_author,'-')||revision||recipient,' ') "
		    "FROM (SELECT * FROM alert ORDER BY id)",
		"inactivelocal:nurse2S-0001 active-1D-0001");
}

static void test_assign_censored(void **state)
{
	(void)state;
	struct uuid id =
		rig_bp(&rig, (struct rig_bp){260, 115, 70, .identity = "1", .comparator = '>'});
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect_text(
		"SELECT comparator||milli||decimals FROM evidence WHERE kind='bp.sbp'", ">2600000");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_told_again),
		T(test_twice_in_one_unit),
		T(test_conflict),
		T(test_amended),
		T(test_amended_into_danger),
		T(test_amended_after_unbinding),
		T(test_without_identity),
		T(test_filed),
		T(test_not_filed),
		T(test_clock_not_set),
		T(test_patient_field),
		T(test_marked_test),
		T(test_stranger),
		T(test_alert_once),
		T(test_alert_for_nobody),
		T(test_no_alert),
		T(test_marks_with_the_unit),
		T(test_offset_history),
		T(test_counters),
		T(test_no_mark_above_a_hole),
		T(test_clock_set_is_audited),
		T(test_enrolment),
		T(test_events),
		T(test_events_are_bounded),
		T(test_device_row),
		T(test_assign),
		T(test_amended_after_assigning),
		T(test_assign_acknowledged),
		T(test_assign_censored),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
