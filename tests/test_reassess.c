/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is stored is decided again: by a better clock, by another check-in, by another record; a person's word stays, and
 * what is the same makes no revision. Studies with their heart rate.
 */
#include "station_rig.h"

#include "reassess.h"
#include "study_rig.h"

#define R1 "R-0001 checkin station"
#define LIVE(...)             \
	(struct station_told) \
	{                     \
		__VA_ARGS__   \
	}
#define S CLOCK_SECOND_US

static void expect(const struct uuid *id, const char *what)
{
	station_expect(&rig, id, what);
}

static void expect_text(const char *sql, const char *expected)
{
	study_expect(&rig, sql, expected);
}

static int again(const struct uuid *id, const int64_t *arrived_us)
{
	rig_script(&rig, "BEGIN IMMEDIATE");
	int rc = reassess(&rig.gateway, rig.db, id, arrived_us);
	rig_script(&rig, rc < 0 ? "ROLLBACK" : "COMMIT");
	return rc;
}

static void test_same(void **state)
{
	(void)state;
	rig_bind(&rig, STATION_R2);
	struct uuid ids[8], none = uuid_random();
	unsigned n = 0;
	ids[n++] = station_measure(&rig, LIVE(.at = -100));
	ids[n++] = station_measure(&rig, LIVE(.at = -90, .dated = true, .taken = -95));
	ids[n++] = station_measure(&rig, LIVE(.at = -80, .untimed = true));
	station_in(&rig, 0, STATION_R1, "exam");
	ids[n++] = station_measure(&rig, LIVE(.at = 10));
	ids[n++] = station_measure(&rig, LIVE(.at = 10, .patient = "R-0001"));
	ids[n++] = station_measure(&rig, LIVE(.at = 20, .patient = "R-9"));
	ids[n++] =
		station_measure(&rig, LIVE(.at = 30, .dated = true, .compared = true, .taken = 29));
	ids[n++] = station_measure(&rig, LIVE(.at = 30, .user = 3));
	int64_t rows = rig_int(&rig, "SELECT count(*) FROM reading");
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(again(&ids[i], NULL), 0);
	int64_t arrived = station_at(10).utc_us;
	assert_int_equal(again(&ids[3], &arrived), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM reading"), rows);
	assert_int_equal(again(&none, NULL), -ENOENT);
}

/* The gateway was in 1970: all its clocks say so, and then they are known. */
static void test_arrived(void **state)
{
	(void)state;
	rig_script(&rig, "INSERT INTO binding(device,resident,valid_from,author) VALUES(1,2,"
			 "1790000000000000,'a')");
	station_step_us = -RIG_NOW + 100 * S;
	struct uuid a = station_measure(&rig, LIVE(.at = 10)),
		    b = station_measure(&rig, LIVE(.at = 20, .dated = true, .taken = 15)),
		    c = station_measure(&rig, LIVE(.at = 20, .untimed = true));
	expect(&a, "- not_bound none");
	expect(&b, "- time_unknown_at_station none");
	rig_script(&rig, "DELETE FROM outbox");
	int64_t right = RIG_NOW + 20 * S;
	assert_int_equal(again(&a, &right), 1);
	assert_int_equal(again(&b, &right), 1);
	assert_int_equal(again(&c, &right), 1);
	expect(&a, "R-0002 device_binding device");
	expect(&b, "R-0002 device_binding device");
	expect(&c, "R-0002 device_binding device");
	expect_text("SELECT group_concat(trust||((taken-1795000000000000)/1000000)||'/'||((arrived-"
		    "1795000000000000)/1000000),' ') FROM reading WHERE superseded=0",
		"live20/20 device15/20 arrival20/20");
	expect_text(
		"SELECT group_concat(DISTINCT trust) FROM (SELECT trust FROM evidence ORDER BY reading)",
		"live,device,arrival");
	expect_text("SELECT count(*) FROM outbox WHERE kind=0", "3");
	assert_int_equal(again(&a, &right), 0);
}

/* A clock that was set: the offset of the instrument's was measured against a wrong one. */
static void test_offset(void **state)
{
	(void)state;
	station_step_us = -3600 * S; /* ours was an hour behind */
	struct unit *u = rig_unit(&rig);
	struct vg_civil taken = clock_civil(RIG_NOW - 60 * S);
	u->arrived_us = RIG_NOW - 3600 * S;
	u->offset_known = true;
	u->offset_us = 3600 * S; /* it seemed to be an hour fast */
	struct uuid id =
		rig_add(&rig, u, &(struct rig_bp){.sys = 120, .dia = 80, .taken = &taken})->id;
	assert_int_equal(rig_file(&rig, u), 0);
	expect_text(
		"SELECT trust||((taken-1795000000000000)/1000000) FROM reading", "corrected-3660");
	rig_script(&rig, "UPDATE device_offset SET offset_us=0"); /* repaired */
	int64_t right = RIG_NOW;
	assert_int_equal(again(&id, &right), 1);
	expect_text("SELECT trust||((taken-1795000000000000)/1000000)||'/'||offset_us FROM reading "
		    "WHERE superseded=0",
		"corrected-60/0");
}

/* By CLOCK_BOOTTIME the check-in held; the time of day is repaired in both or in one. */
static void test_checkin_of_a_wrong_clock(void **state)
{
	(void)state;
	station_step_us = -RIG_NOW + 100 * S;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid a = station_measure(&rig, LIVE(.at = 10));
	expect(&a, R1);
	int64_t right = RIG_NOW + 10 * S;
	assert_int_equal(again(&a, &right), 1);
	expect(&a, R1);
	expect_text("SELECT trust||revision FROM reading WHERE superseded=0", "live2");
}

static void test_words_that_stay(void **state)
{
	(void)state;
	static const char *const words[] = {"assigned_by_person", "entered_by_person", "place",
		"device_identity_changed", "conflicting_content", "test"};
	char sql[200];
	station_in(&rig, 0, STATION_R1, "exam");
	for (size_t i = 0; i < ELEMENTS(words); i++) {
		struct uuid id = station_measure(&rig, LIVE(.at = 10));
		snprintf(sql, sizeof(sql),
			"UPDATE reading SET evidence='%s', resident=3, grade='x' WHERE id=%lld",
			words[i], (long long)rig_int(&rig, "SELECT max(id) FROM reading"));
		rig_script(&rig, sql);
		assert_int_equal(again(&id, NULL), 0);
		int64_t right = RIG_NOW + 20 * S;
		assert_int_equal(again(&id, &right), 1);
		snprintf(sql, sizeof(sql), "R-0003 %s x", words[i]);
		expect(&id, sql);
	}
	/* but the record is another one */
	rig_script(&rig, "UPDATE resident SET state='merged', merged_into=2 WHERE id=3");
	struct uuid id = station_measure(&rig, LIVE(.at = 10));
	rig_script(&rig,
		"UPDATE reading SET evidence='assigned_by_person', resident=3, grade='person' "
		"WHERE id=(SELECT max(id) FROM reading)");
	assert_int_equal(again(&id, NULL), 1);
	expect(&id, "R-0002 assigned_by_person person");
	assert_int_equal(again(&id, NULL), 0);
}

/* Typed without a time it was typed then, whatever the clock said; with one, at that. */
static void test_entered(void **state)
{
	(void)state;
	struct uuid now = station_measure(&rig, LIVE(.at = 10)),
		    then = station_measure(&rig, LIVE(.at = 10));
	rig_script(&rig,
		"UPDATE reading SET evidence='entered_by_person', resident=1, grade='person';"
		"UPDATE reading SET taken=taken-5000000, device_time='2026-11-18T19:06:45' WHERE id=2");
	int64_t right = RIG_NOW + 3610 * S;
	assert_int_equal(again(&now, &right), 1);
	assert_int_equal(again(&then, &right), 1);
	expect_text(
		"SELECT group_concat(trust||((taken-1795000000000000)/1000000)) FROM reading WHERE "
		"superseded=0",
		"live3610,live5");
}

static void test_void(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid id = station_measure(&rig, LIVE(.at = 10));
	rig_script(&rig, "UPDATE reading SET status='entered-in-error'; DELETE FROM evidence");
	assert_int_equal(station_instead(&rig, 20, STATION_R2), 0);
	expect(&id, "R-0002 checkin station");
	expect_text("SELECT status FROM reading WHERE superseded=0", "entered-in-error");
	expect_text("SELECT count(*) FROM evidence", "0");
}

/* Told again with other numbers, later and of somebody else's time there: the first telling counts. */
static void test_corrected(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid id = station_measure(&rig, LIVE(.at = 10, .identity = "x"));
	station_in(&rig, 100, STATION_R2, "exam");
	station_measure(&rig, LIVE(.at = 120, .identity = "x", .corrected = true, .sys = 150));
	assert_int_equal(again(&id, NULL), 0);
	expect(&id, R1);
	assert_int_equal(station_undo(&rig, 130), 0);
	expect(&id, R1);
}

/* Nobody could say whose it was; it was corrected when both had gone, and then one of them was the other. */
static void test_corrected_between(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	station_in(&rig, 60, STATION_R2, "exam");
	struct uuid id = station_measure(&rig, LIVE(.at = 70, .identity = "x"));
	station_measure(&rig, LIVE(.at = 500, .identity = "x", .corrected = true, .sys = 150));
	expect(&id, "- between_two_checkins none");
	assert_int_equal(station_instead(&rig, 510, STATION_R1), 0);
	expect(&id, R1);
}

/* Told first in another boot: by the time of day. */
static void test_corrected_after_reboot(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid id = station_measure(&rig, LIVE(.at = 10, .identity = "x"));
	station_measure(&rig, LIVE(.at = 120, .identity = "x", .corrected = true, .sys = 150));
	rig_script(&rig, "UPDATE reading SET boot_id=randomblob(16), boot_us=0 WHERE revision=1");
	assert_int_equal(again(&id, NULL), 0);
	expect(&id, R1);
}

/* studies */

static int64_t study_at(double at, const char *more)
{
	uint8_t bytes[64];
	char text[400];
	static unsigned seed;
	memset(bytes, (int)++seed, sizeof(bytes));
	struct unit *u = study_unit(&rig, bytes, sizeof(bytes));
	struct station_instant now = station_at(at);
	u->arrived_us = now.utc_us;
	u->boot_us = now.boot_us;
	u->station = "desk";
	assert_int_equal(rig_file(&rig, u), 0);
	int64_t row = rig_int(&rig, "SELECT max(id) FROM study");
	snprintf(text, sizeof(text),
		"{\"format\":\"scp\",\"patient\":{},%s\"measurements\":{\"hr\":135},"
		"\"interpretation\":{\"lines\":[\"Asystole\"]},\"warnings\":[]}",
		more);
	assert_int_equal(study_says(&rig, row, text), 0);
	return row;
}

#define ACQUIRED "\"acquired_at\":\"2026-11-18T19:06:00\","
#define STUDIES                                                                                   \
	"SELECT group_concat(coalesce(resident,'-')||evidence||grade||coalesce(checkin,'-'),' ')" \
	" FROM study"
#define RATES                                                                                    \
	"SELECT group_concat(coalesce(resident,'-')||evidence||coalesce(checkin,'-'),' ') FROM " \
	"(SELECT * FROM reading WHERE superseded=0 ORDER BY arrived)"

static void test_study_at_a_station(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	study_at(60, ACQUIRED);
	expect_text(STUDIES, "1checkinstation1");
	expect_text(RATES, "1checkin1");
	expect_text("SELECT trust||station FROM study", "devicedesk");
	/* nobody compared the cart's clock: whoever else was there within a day may have been meant */
	station_in(&rig, 100, STATION_R2, "exam");
	study_at(160, ACQUIRED);
	expect_text(STUDIES, "1checkinstation1 -between_two_checkinsnone-");
	study_at(160, "");
	expect_text("SELECT evidence FROM study WHERE id=3", "time_unknown_at_station");
	expect_text("SELECT json_extract(reasons,'$[1].resident') FROM study WHERE id=2", "2");
}

/* All are filed before the first is judged: what was overtaken is told as that. */
static void test_alerts_follow(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	station_measure(&rig, LIVE(.at = 10, .sys = 185));
	station_measure(&rig, LIVE(.at = 70));
	assert_int_equal(station_instead(&rig, 100, STATION_R2), 0);
	expect_text(
		"SELECT group_concat(resident||state||level||phase||doubts,' ') FROM (SELECT * FROM "
		"alert ORDER BY id)",
		"1inactive0end[] 2latched0start[\"late\",\"overtaken\"]");
}

static void test_study_follows(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	study_at(60, ACQUIRED);
	struct uuid study = study_id(&rig, 1), rate = study_rate_id(&study);
	expect_text("SELECT group_concat(resident||recipient) FROM alert", "1D-0001,1D-0001");
	rig_script(&rig, "DELETE FROM outbox");
	assert_int_equal(again(&rate, NULL), 0);
	assert_int_equal(station_instead(&rig, 70, STATION_R2), 0);
	expect_text(STUDIES, "2checkinstation1");
	expect_text(RATES, "2checkin1");
	expect_text(
		"SELECT group_concat(condition||resident||recipient||state,' ') FROM (SELECT * FROM "
		"alert ORDER BY id)",
		"pulse-high1D-0001inactive ecg-statement2D-0002active pulse-high2D-0002active");
	expect_text("SELECT revision FROM study", "2");
	expect_text("SELECT count(*) FROM outbox WHERE kind IN (0,4)", "2"); /* once each */
	assert_int_equal(station_undo(&rig, 80), 0);
	expect_text(STUDIES, "-checkin_undonenone-");
	expect_text(RATES, "-checkin_undone-");
	/* a person's word stays, for both */
	assert_int_equal(study_assign(&rig.gateway, rig.db, &study, STATION_R3), 0);
	assert_int_equal(station_instead(&rig, 90, STATION_R1), 0);
	expect_text(STUDIES, "3assigned_by_personperson-");
	expect_text(RATES, "3assigned_by_person-");
}

/* The heart rate is dated anew by itself; whose it is says the study. */
static void test_rate_follows(void **state)
{
	(void)state;
	study_at(60, ACQUIRED "\"x\":0,");
	rig_script(&rig, "UPDATE reading SET resident=1, evidence='message_token', grade='message';"
			 "UPDATE study SET resident=1, evidence='message_token', grade='message'");
	struct uuid study = study_id(&rig, 1), rate = study_rate_id(&study);
	int64_t right = RIG_NOW + 61 * S;
	assert_int_equal(again(&rate, &right), 1);
	expect(&rate, "R-0001 message_token message");
}

static void test_study_split(void **state)
{
	(void)state;
	station_in(&rig, -2000, STATION_R3, "exam");
	struct uuid before = station_measure(&rig, LIVE(.at = -1990));
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid weight = station_measure(&rig, LIVE(.at = 20, .kind = "weight"));
	study_at(60, ACQUIRED);
	struct uuid study = study_id(&rig, 1);
	assert_int_equal(station_split(&rig, 65, &study, STATION_R2), -ENOENT);
	rig_script(&rig, "UPDATE study SET resident=1, evidence='checkin', checkin=2");
	/* the recording may be of any time of the day: all of the check-in is the other's */
	assert_int_equal(station_split(&rig, 70, &study, STATION_R2), 0);
	expect(&weight, "R-0002 checkin station");
	expect(&before, "R-0003 checkin station"); /* and nothing of the one before */
}

static void test_study_undecoded(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	study_new(&rig, 7, 100);
	assert_int_equal(reassess_study(&rig.gateway, rig.db, 1, NULL), -ENOENT);
	assert_int_equal(reassess_study(&rig.gateway, rig.db, 9, NULL), -ENOENT);
	assert_int_equal(station_undo(&rig, 10), 0); /* and is left alone */
	expect_text("SELECT status FROM study", "undecoded");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_same),
		T(test_arrived),
		T(test_offset),
		T(test_checkin_of_a_wrong_clock),
		T(test_words_that_stay),
		T(test_entered),
		T(test_void),
		T(test_corrected),
		T(test_corrected_between),
		T(test_corrected_after_reboot),
		T(test_study_at_a_station),
		T(test_alerts_follow),
		T(test_study_follows),
		T(test_rate_follows),
		T(test_study_split),
		T(test_study_undecoded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reassess", tests, NULL, NULL);
}
