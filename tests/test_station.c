/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Check-ins as windows, readings as intervals: each kind of time, both ends, clocks that are set and machines that are
 * started anew; idle and complete.
 */
#include "station_rig.h"

#define R1 "R-0001 checkin station"
#define R2 "R-0002 checkin station"
#define NOBODY "- not_bound none"
#define BETWEEN "- between_two_checkins none"
#define LIVE(...)             \
	(struct station_told) \
	{                     \
		__VA_ARGS__   \
	}

static void expect(struct uuid id, const char *what)
{
	station_expect(&rig, &id, what);
}

static void expect_text(const char *sql, const char *expected)
{
	char text[512];
	rig_text(&rig, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}

/* intervals */

#define S *CLOCK_SECOND_US
#define ARRIVED (1000 S)

static struct station_interval interval(
	const char *kind, enum trust trust, int64_t taken_us, int64_t uncertainty_us, bool live)
{
	struct station_interval i = station_interval(
		rig.gateway.numbers, &(struct station_reading){.kind = kind,
					     .when = {taken_us, uncertainty_us, trust},
					     .live = live,
					     .arrived = {ARRIVED, 70 S, station_boot}});
	assert_int_equal(i.from_us - i.from_boot_us, ARRIVED - 70 S);
	assert_int_equal(i.to_us - i.to_boot_us, ARRIVED - 70 S);
	return i;
}

static void test_intervals(void **state)
{
	(void)state;
	static const struct {
		const char *kind;
		int64_t s;
	} kinds[] = {{"bp", 30}, {"spo2", 10}, {"weight", 3}, {"temperature", 3}, {"glucose", 5},
		{"lab", 1}, {"", 1}};
	for (size_t k = 0; k < ELEMENTS(kinds); k++) {
		int64_t took = kinds[k].s S;
		struct station_interval i =
			interval(kinds[k].kind, TRUST_CORRECTED, 900 S, 2 S, false);
		assert_true(i.known && !i.of_boot);
		assert_int_equal(i.from_us, 898 S - took);
		assert_int_equal(i.to_us, 902 S);
		i = interval(kinds[k].kind, TRUST_CORRECTED, 999 S, 60 S, false);
		assert_int_equal(i.to_us, ARRIVED); /* not after it was told */
		i = interval(kinds[k].kind, TRUST_LIVE, ARRIVED, 60 S, true);
		assert_int_equal(i.from_us, ARRIVED - took);
		assert_int_equal(i.to_us, ARRIVED);
		i = interval(kinds[k].kind, TRUST_DEVICE, 900 S, 300 S, false);
		assert_int_equal(i.from_us, 900 S - 86400 S);
		assert_int_equal(i.to_us, ARRIVED);
		i = interval(kinds[k].kind, TRUST_DEVICE, 1100 S, 300 S, false);
		assert_int_equal(i.from_us, ARRIVED - 86400 S);
		assert_false(interval(kinds[k].kind, TRUST_ARRIVAL, ARRIVED, 0, false).known);
		i = interval(kinds[k].kind, TRUST_UNKNOWN, ARRIVED, INT64_MAX, true);
		assert_true(i.known && i.of_boot);
		assert_int_equal(i.from_us, ARRIVED - took);
		assert_int_equal(i.to_us, ARRIVED);
		assert_false(
			interval(kinds[k].kind, TRUST_UNKNOWN, ARRIVED, INT64_MAX, false).known);
	}
}

static void test_overlap(void **state)
{
	(void)state;
	uint8_t other[16] = {1};
	struct station_window w = {100, 200, 1100, 1200, {2}};
	struct station_interval i = {.known = true};
	static const struct {
		int64_t from, to;
		bool overlap;
	} ends[] = {{50, 99, false}, {50, 100, true}, {150, 160, true}, {199, 300, true},
		{200, 300, false}, {50, 300, true}};
	for (size_t k = 0; k < ELEMENTS(ends); k++) {
		i.from_us = ends[k].from;
		i.to_us = ends[k].to;
		i.from_boot_us = i.to_boot_us = 5; /* of another boot it says nothing */
		assert_true(station_overlap(&w, &i, other) == ends[k].overlap);
		i.of_boot = true;
		assert_false(station_overlap(&w, &i, other));
		i.of_boot = false;
		i.from_us = i.to_us = 5; /* of the same boot UTC says nothing */
		i.from_boot_us = ends[k].from + 1000;
		i.to_boot_us = ends[k].to + 1000;
		assert_true(station_overlap(&w, &i, w.boot_id) == ends[k].overlap);
		i.of_boot = true;
		assert_true(station_overlap(&w, &i, w.boot_id) == ends[k].overlap);
		i.known = false;
		assert_false(station_overlap(&w, &i, w.boot_id));
		i = (struct station_interval){.known = true};
	}
}

/* who */

static void test_one(void **state)
{
	(void)state;
	int64_t before = STATION_R1;
	expect(station_measure(&rig, LIVE(.at = -1)), NOBODY);
	int64_t id = station_in(&rig, 0, before, "exam");
	expect(station_measure(&rig, LIVE(.at = 0)),
		R1); /* it began before, and was told at once */
	expect(station_measure(&rig, LIVE(.at = 100)), R1);
	expect(station_measure(&rig, LIVE(.at = 100, .station = "set")), NOBODY);
	expect(station_measure(&rig, LIVE(.at = 100, .station = "")), NOBODY);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM reading WHERE checkin IS NOT NULL"), 2);
	assert_int_equal(rig_int(&rig, "SELECT checkin FROM reading WHERE id=2"), id);
	expect_text("SELECT live||station FROM reading WHERE id=2", "1desk");
}

static void test_two_within_a_minute(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid first = station_measure(&rig, LIVE(.at = 40));
	station_in(&rig, 45, STATION_R2, "exam");
	struct uuid doubt = station_measure(&rig, LIVE(.at = 60));
	struct uuid weight = station_measure(&rig, LIVE(.at = 60, .kind = "weight"));
	struct uuid second = station_measure(&rig, LIVE(.at = 75.1));
	expect(first, R1);
	expect(doubt, BETWEEN); /* a cuff needs half a minute */
	expect(weight, R2);	/* a scale does not */
	expect(second, R2);
	expect_text("SELECT json_group_array(json_extract(value,'$.resident')) FROM reading,"
		    "json_each(reasons)",
		"[1,2]");
	/* what is typed decides between them, and nobody else */
	expect(station_measure(&rig, LIVE(.at = 70, .patient = "R-0001")),
		"R-0001 message_token message");
	expect(station_measure(&rig, LIVE(.at = 70, .patient = "R-0003")), BETWEEN);
}

static void test_between_one_and_nobody(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	assert_int_equal(station_undo(&rig, 10), 0);
	expect(station_measure(&rig, LIVE(.at = 11)), "- checkin_undone none");
	station_in(&rig, 20, STATION_R2, "exam");
	expect(station_measure(&rig, LIVE(.at = 30)), BETWEEN);
	expect(station_measure(&rig, LIVE(.at = 51)), R2);
	/* the same one again is no doubt */
	assert_int_equal(station_out(&rig, 60), 0);
	station_in(&rig, 61, STATION_R2, "follow-up");
	expect(station_measure(&rig, LIVE(.at = 70)), R2);
	assert_int_equal(rig_int(&rig, "SELECT checkin FROM reading ORDER BY id DESC LIMIT 1"), 3);
}

static void test_trusts(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	assert_int_equal(station_out(&rig, 100), 0);
	station_in(&rig, 200, STATION_R2, "exam");
	/* told later, by a clock that was compared: who was there then */
	expect(station_measure(&rig, LIVE(.at = 210, .dated = true, .compared = true, .taken = 90)),
		R1);
	expect(station_measure(
		       &rig, LIVE(.at = 210, .dated = true, .compared = true, .taken = 150)),
		NOBODY);
	/* by one that nobody compared: a day around it */
	expect(station_measure(&rig, LIVE(.at = 210, .dated = true, .taken = 90)), BETWEEN);
	/* by nothing */
	expect(station_measure(&rig, LIVE(.at = 210, .untimed = true)),
		"- time_unknown_at_station none");
	expect(station_measure(&rig, LIVE(.at = 210, .untimed = true, .patient = "R-0003")),
		"R-0003 message_token message");
}

/* A cart's clock is never compared: what it dates is of whoever was there within a day, if that was one. */
static void test_uncompared_alone(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	expect(station_measure(&rig, LIVE(.at = 50, .dated = true, .taken = 20)), R1);
	assert_int_equal(station_out(&rig, 60), 0);
	expect(station_measure(&rig, LIVE(.at = 86000, .dated = true, .taken = 86000)), R1);
	expect(station_measure(&rig, LIVE(.at = 86459, .dated = true, .taken = 86459)), R1);
	expect(station_measure(&rig, LIVE(.at = 86460, .dated = true, .taken = 86460)), NOBODY);
}

/* A correction of the numbers comes when somebody else stands there. */
static void test_corrected_later(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	struct uuid id = station_measure(&rig, LIVE(.at = 10, .identity = "x"));
	expect(id, R1);
	station_in(&rig, 100, STATION_R2, "exam");
	struct uuid again = station_measure(
		&rig, LIVE(.at = 110, .identity = "x", .corrected = true, .sys = 150));
	assert_memory_equal(&id, &again, sizeof(id));
	expect(id, R1);
	expect_text("SELECT revision||status FROM reading WHERE superseded=0", "2amended");
}

/* clocks */

/* Our clock is set while somebody is there: by hours and by years, forwards and back. */
static void test_steps(void **state)
{
	(void)state;
	static const double steps[] = {3600, -3600, 315360000, -315360000};
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		double t = 10000.0 * (double)i;
		station_step_us = 0;
		station_in(&rig, t, STATION_R1, "exam");
		expect(station_measure(&rig, LIVE(.at = t + 40)), R1);
		station_step_us = (int64_t)(steps[i] * CLOCK_SECOND_US);
		struct uuid id = station_measure(&rig, LIVE(.at = t + 80));
		/* in the year 2016 it is known to be wrong, and yet of this boot */
		expect(id, R1);
		station_in(&rig, t + 100, STATION_R2, "exam");
		expect(station_measure(&rig, LIVE(.at = t + 131)), R2);
		station_step_us = 0;
		expect(station_measure(&rig, LIVE(.at = t + 160)), R2);
		expect(station_measure(&rig, LIVE(.at = t + 371)),
			NOBODY); /* idle, by the clock that never steps */
	}
}

static void test_gateway_in_1970(void **state)
{
	(void)state;
	station_step_us = -RIG_NOW + 100 S;
	station_in(&rig, 0, STATION_R1, "exam");
	expect(station_measure(&rig, LIVE(.at = 10)), R1);
	expect_text("SELECT trust FROM reading", "unknown");
	expect(station_measure(&rig, LIVE(.at = 10, .dated = true, .taken = 10)),
		"- time_unknown_at_station none");
	/* of another boot nothing is known */
	rig_script(&rig, "UPDATE checkin SET boot_id=randomblob(16)");
	expect(station_measure(&rig, LIVE(.at = 20)), NOBODY);
}

/* The machine was started anew while somebody was there: the time of day says who, and a time server how long. */
static void test_reboot(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	rig_script(&rig, "UPDATE checkin SET boot_id=randomblob(16), from_boot=999000000000, "
			 "activity_boot=999000000000");
	expect(station_measure(&rig, LIVE(.at = 100)), R1);
	expect(station_measure(&rig, LIVE(.at = 279)), R1);
	expect(station_measure(&rig, LIVE(.at = 458)), R1);
	expect(station_measure(&rig, LIVE(.at = 679)), NOBODY);
	struct station_instant now = station_at(679);
	assert_int_equal(station_settle(&rig.gateway, rig.db, "desk", &now), 0);
	expect_text("SELECT ended||(to_us-from_us)||'/'||(to_boot-from_boot) FROM checkin",
		"idle638000000/638000000");
}

/* Its clock may stand where it stood when it was switched off, a night ago. */
static void test_reboot_without_a_time_server(void **state)
{
	(void)state;
	station_synced = 0;
	station_in(&rig, 0, STATION_R1, "exam");
	rig_script(&rig, "UPDATE checkin SET boot_id=randomblob(16), from_boot=999000000000, "
			 "activity_boot=1");
	expect(station_measure(&rig, LIVE(.at = 100)), R1);
	expect(station_measure(&rig, LIVE(.at = 209)), R1); /* nothing prolongs it */
	expect(station_measure(&rig, LIVE(.at = 211)), NOBODY);
	expect_text("SELECT ended||(to_us-from_us)||'/'||(to_boot-from_boot) FROM checkin",
		"idle180000000/-998819999999");
}

/* Of another boot, and our clock stands before it: it is over, whenever it was. */
static void test_reboot_into_the_past(void **state)
{
	(void)state;
	struct station_instant now = station_at(-5);
	station_in(&rig, 0, STATION_R1, "exam");
	assert_int_equal(station_settle(&rig.gateway, rig.db, "desk", &now), 0);
	expect_text("SELECT ended FROM checkin", "(null)");
	rig_script(&rig, "UPDATE checkin SET boot_id=randomblob(16)");
	assert_int_equal(station_settle(&rig.gateway, rig.db, "desk", &now), 0);
	expect_text("SELECT ended FROM checkin", "idle");
}

/* ends */

static void test_idle(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	expect(station_measure(&rig, LIVE(.at = 170)), R1);
	expect(station_measure(&rig, LIVE(.at = 340)), R1);
	/* one that somebody else claims as well does not show that the same one is there */
	expect(station_measure(&rig, LIVE(.at = 500, .patient = "R-0002")),
		"- checkin_contradicts_message none");
	/* the measuring began before the end, and was told after it */
	expect(station_measure(&rig, LIVE(.at = 521)), R1);
	expect_text("SELECT ended||(to_us-from_us) FROM checkin", "idle520000000");
	expect(station_measure(&rig, LIVE(.at = 551)), NOBODY);
	struct station_instant now = station_at(600);
	assert_int_equal(station_settle(&rig.gateway, rig.db, "desk", &now), 0);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM checkin"), 1);
}

/* Closed at its beginning, open at its end, to the microsecond. */
static void test_edges(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	expect(station_measure(&rig, LIVE(.at = -0.000001)), NOBODY);
	rig_script(&rig, "DELETE FROM reading");
	expect(station_measure(&rig, LIVE(.at = 210)), NOBODY);
	station_in(&rig, 1000, STATION_R1, "exam");
	expect(station_measure(&rig, LIVE(.at = 1209.999999)), R1);
}

static void test_settle(void **state)
{
	(void)state;
	struct station_instant now = station_at(179.9);
	station_in(&rig, 0, STATION_R1, "exam");
	assert_int_equal(station_settle(&rig.gateway, rig.db, "desk", &now), 0);
	expect_text("SELECT ended FROM checkin", "(null)");
	now = station_at(180);
	assert_int_equal(station_settle(&rig.gateway, rig.db, "other", &now), 0);
	expect_text("SELECT ended FROM checkin", "(null)");
	assert_int_equal(station_settle(&rig.gateway, rig.db, "desk", &now), 0);
	expect_text("SELECT ended||(to_us-from_us)||(to_boot-from_boot) FROM checkin",
		"idle180000000180000000");
}

static void test_complete(void **state)
{
	(void)state;
	int64_t id;
	struct checkin_asked a = station_asked(0, STATION_R1, "exam");
	a.station = "set";
	assert_int_equal(STATION_ACT(&rig, checkin_begin(&rig.gateway, rig.db, &a, &j, &id)), 0);
	expect(station_measure(&rig, LIVE(.at = 10, .station = "set", .kind = "spo2")), R1);
	expect(station_measure(&rig, LIVE(.at = 50, .station = "set")), R1);
	expect_text("SELECT ended FROM checkin", "(null)");
	expect(station_measure(&rig, LIVE(.at = 60, .station = "set", .kind = "weight")), R1);
	expect_text("SELECT ended||(to_us-from_us)||(to_boot-from_boot) FROM checkin",
		"complete6000000060000000");
	expect(station_measure(&rig, LIVE(.at = 64, .station = "set", .kind = "weight")), NOBODY);
	/* what was void is not there */
	a = station_asked(100, STATION_R2, "exam");
	a.station = "set";
	assert_int_equal(STATION_ACT(&rig, checkin_begin(&rig.gateway, rig.db, &a, &j, &id)), 0);
	expect(station_measure(&rig, LIVE(.at = 140, .station = "set")), R2);
	rig_script(&rig, "UPDATE reading SET status='entered-in-error' WHERE checkin=2");
	expect(station_measure(&rig, LIVE(.at = 150, .station = "set", .kind = "weight")), R2);
	expect_text("SELECT ended FROM checkin WHERE id=2", "(null)");
}

/* Who is filed under another record, and who may not be filed at all. */
static void test_states(void **state)
{
	(void)state;
	station_in(&rig, 0, STATION_R1, "exam");
	rig_script(&rig, "UPDATE resident SET state='merged', merged_into=3 WHERE id=1");
	expect(station_measure(&rig, LIVE(.at = 40)), "R-0003 checkin station");
	expect(station_measure(&rig, LIVE(.at = 41, .patient = "R-0003")),
		"R-0003 message_token message");
	expect(station_measure(&rig, LIVE(.at = 41, .patient = "R-0001")),
		"R-0003 message_token message");
	rig_script(&rig, "UPDATE resident SET state='withdrawn', merged_into=NULL WHERE id=1");
	expect(station_measure(&rig, LIVE(.at = 42)), "- consent_withdrawn none");
	expect(station_measure(&rig, LIVE(.at = 42, .patient = "R-0002")),
		"- checkin_contradicts_message none");
	rig_script(&rig, "UPDATE resident SET state='moved' WHERE id=1");
	expect(station_measure(&rig, LIVE(.at = 43)), R1);
}

static int64_t cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * CLOCK_SECOND_US + t.tv_nsec / 1000;
}

/* What one reading takes. The least of 200: nobody else's work is in it. */
static int64_t cost_us(double from)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < 200; i++) {
		int64_t begin = cpu_us();
		station_measure(&rig, LIVE(.at = from + i * 0.1));
		least = MIN(least, cpu_us() - begin);
	}
	return least;
}

/* No table is gone through, whatever is stored. */
static void test_plans(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++)
		rig_script(&rig,
			"INSERT INTO checkin(uuid,station,resident,purpose,source,author,from_us,to_us,"
			"activity_us,boot_id,from_boot,to_boot,activity_boot,last_reading) "
			"VALUES(randomblob(16),'desk',1,'exam','typed','a',0,1,0,randomblob(16),0,1,0,0)");
	station_in(&rig, 0, STATION_R1, "exam");
	int64_t many = cost_us(0);
	rig_script(&rig, "DELETE FROM checkin WHERE to_us IS NOT NULL");
	int64_t few = cost_us(30);
	print_message("# a reading: %lld us beside 3,000 check-ins, %lld us beside one\n",
		(long long)many, (long long)few);
	assert_true(many < 2 * few);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_intervals),
		T(test_overlap),
		T(test_one),
		T(test_two_within_a_minute),
		T(test_between_one_and_nobody),
		T(test_trusts),
		T(test_uncompared_alone),
		T(test_corrected_later),
		T(test_steps),
		T(test_gateway_in_1970),
		T(test_reboot),
		T(test_reboot_without_a_time_server),
		T(test_reboot_into_the_past),
		T(test_idle),
		T(test_edges),
		T(test_settle),
		T(test_complete),
		T(test_states),
		T(test_plans),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("station", tests, NULL, NULL);
}
