/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Critical values whose flags doubt the signal: each path ends in an alert or in a clean repeat, whatever happens in
 * between. The rules are spo2-critical-low (at most 91), spo2-warning-low (at most 93) and `repeat` (low_perfusion,
 * artifact, motion, out_of_track; spo2*, bp.*; 600 s) of config/alerts.yaml.
 */
#include "watch_rig.h"

#include "repeat.h"
#include "resident.h"
#include "util.h"

#include <signal.h>
#include <sys/wait.h>

static struct rig rig;
static int64_t other; /* a second oximeter */

static int setup(void **state)
{
	(void)state;
	char uid[96];
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	rig_bind(&rig, 1);
	other = intake_device(rig.db, "oxi-2", "bt_blp", "unix:/2", uid);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define SPO2(n) .numbers = {{"spo2", n, 0, 0}}
#define DOUBTFUL .flags = {"low_perfusion"}
#define expect_text(sql, expected) watch_expect_text(&rig, sql, expected)
#define COUNT(what) rig_int(&rig, "SELECT count(*) FROM " what)

static struct uuid deliver_from(int64_t device, int64_t at_s, struct watch_reading w)
{
	struct unit *u = watch_unit(&rig, device, at_s);
	if (!w.kind)
		w.kind = "spo2";
	struct uuid id = watch_add(&rig, u, &w);
	assert_int_equal(rig_file(&rig, u), 0);
	return id;
}

static struct uuid deliver(int64_t at_s, struct watch_reading w)
{
	return deliver_from(rig.cuff, at_s, w);
}

/* What waits, what was told to whom, and what the platform heard of repeats. */
static void expect(const char *expected)
{
	char text[512];
	rig_text(&rig, text, sizeof(text),
		"SELECT (SELECT count(*) FROM pending_repeat)||' waiting; '||coalesce((SELECT "
		"group_concat(json_extract(body,'$.rules[0].value')||' '||role||CASE WHEN doubts "
		"LIKE '%no_clean_repeat%' THEN '!' ELSE '' END,' ') FROM (SELECT * FROM alert "
		"ORDER BY id)),'')||';'||coalesce((SELECT ' '||group_concat(type,' ') FROM (SELECT "
		"* FROM event ORDER BY id)),'')");
	assert_string_equal(text, expected);
}

/* Expected results, written before the code. After each value: how many wait; the alerts, "!" without a clean
 * repeat; the events. LOOK: no value, time passes. */
#define LOOK .kind = "look"
#define R " repeat_requested"
#define D " repeat_done"

static const struct sequence {
	const char *what;
	struct {
		int at_s;
		struct watch_reading reading;
		const char *expected;
	} steps[6];
} sequences[] = {
	{"spo2 85 with low perfusion: asked again, not told; 97 within the time settles it",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R}, {60, {SPO2(97)}, "0 waiting; ;" R D},
			{500, {LOOK}, "0 waiting; ;" R D}}},
	{"a clean 85 is judged by itself: the doctor is told at once",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{60, {SPO2(85)}, "0 waiting; 85 doctor;" R D}}},
	{"nothing follows: staff are told when the time is over, not before",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R}, {599, {LOOK}, "1 waiting; ;" R},
			{600, {LOOK}, "0 waiting; 85 staff!;" R},
			{601, {SPO2(97)}, "0 waiting; 85 staff!;" R}}},
	{"a clean one that comes too late settles nothing, whoever looks first",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R}, {600, {SPO2(97)}, "1 waiting; ;" R},
			{601, {LOOK}, "0 waiting; 85 staff!;" R}}},
	{"doubtful again: each has its own time",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{60, {SPO2(84), .flags = {"artifact"}}, "2 waiting; ;" R R},
			{600, {LOOK}, "1 waiting; 85 staff!;" R R},
			{660, {LOOK}, "0 waiting; 84 staff!;" R R}}},
	{"doubtful again and then clean: one clean reading settles both",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{60, {SPO2(84), .flags = {"motion"}}, "2 waiting; ;" R R},
			{70, {SPO2(97)}, "0 waiting; ;" R R D D}}},
	{"a good value in doubt settles nothing",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{60, {SPO2(97), DOUBTFUL}, "1 waiting; ;" R},
			{600, {LOOK}, "0 waiting; 85 staff!;" R}}},
	{"a reading without the number in question settles nothing",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{60, {.numbers = {{"spo2.pulse", 70, 0, 0}}}, "1 waiting; ;" R},
			{600, {LOOK}, "0 waiting; 85 staff!;" R}}},
	{"a reading of another kind settles nothing",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{60, {SPO2(97), .kind = "sleep"}, "1 waiting; ;" R},
			{600, {LOOK}, "0 waiting; 85 staff!;" R}}},
	{"spo2 91 is critical and waits; 92 is a warning, and in doubt it is left alone",
		{{0, {SPO2(91), DOUBTFUL}, "1 waiting; ;" R},
			{10, {SPO2(92), DOUBTFUL}, "1 waiting; ;" R},
			{20, {SPO2(92)}, "0 waiting; 92 doctor;" R D}}},
	{"flags that do not doubt the signal change nothing",
		{{0, {SPO2(85), .flags = {"sensor_alarm", "summary"}}, "0 waiting; 85 doctor;"},
			{300, {SPO2(84), .flags = {"desaturation"}}, "0 waiting; 84 doctor;"}}},
	{"a summary in doubt is judged as any other",
		{{0, {SPO2(85), .flags = {"summary", "artifact"}}, "1 waiting; ;" R},
			{100, {SPO2(96), .flags = {"summary"}}, "0 waiting; ;" R D}}},
	{"each flag of the list", {{0, {SPO2(85), .flags = {"artifact"}}, "1 waiting; ;" R},
					  {1, {SPO2(85), .flags = {"motion"}}, "2 waiting; ;" R R},
					  {2, {SPO2(85), .flags = {"sensor_alarm", "out_of_track"}},
						  "3 waiting; ;" R R R}}},
	{"the pulse of the oximeter (spo2.pulse) waits, too",
		{{0, {.numbers = {{"spo2.pulse", 35, 0, 0}}, DOUBTFUL}, "1 waiting; ;" R},
			{10, {SPO2(97)}, "1 waiting; ;" R},
			{20, {.numbers = {{"spo2", 97, 0, 0}, {"spo2.pulse", 60, 0, 0}}},
				"0 waiting; ;" R D}}},
	{"a critical value of another condition in the same reading waits for nothing",
		{{0, {.numbers = {{"spo2", 85, 0, 0}, {"temp", 345, -1, 0}}, DOUBTFUL},
			"1 waiting; 34.5 doctor;" R}}},
	{"each condition waits for itself; one clean reading settles what it has",
		{{0, {.numbers = {{"spo2", 85, 0, 0}, {"spo2.pulse", 140, 0, 0}}, DOUBTFUL},
			 "2 waiting; ;" R R},
			{10, {SPO2(97)}, "1 waiting; ;" R R D},
			{600, {LOOK}, "0 waiting; 140 staff!;" R R D}}},
	{"a cuff's movement is repeated",
		{{0, {.numbers = {{"bp.sbp", 190, 0, 0}}, .flags = {"motion"}, .kind = "bp"},
			 "1 waiting; ;" R},
			{10, {.numbers = {{"bp.sbp", 185, 0, 0}}, .kind = "bp"},
				"0 waiting; 185 doctor;" R D}}},
	{"what waits is told when it is over, whatever is open by then",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{10, {SPO2(93), .kind = "other"}, "1 waiting; 93 doctor;" R},
			{600, {LOOK}, "0 waiting; 93 doctor 85 staff!;" R}}},
	{"a good one out of a memory, without a time, may be an old one: it settles nothing",
		{{0, {SPO2(85), DOUBTFUL}, "1 waiting; ;" R},
			{10, {SPO2(97), .undated = true}, "1 waiting; ;" R},
			{600, {LOOK}, "0 waiting; 85 staff!;" R}}},
};

static void test_sequences(void **state)
{
	for (size_t i = 0; i < ELEMENTS(sequences); i++) {
		const struct sequence *q = &sequences[i];
		print_message("# %s\n", q->what);
		if (i)
			setup(state);
		for (size_t k = 0; k < ELEMENTS(q->steps) && q->steps[k].expected; k++) {
			const struct watch_reading *r = &q->steps[k].reading;
			if (r->kind && streq(r->kind, "look"))
				watch_look_at(&rig, q->steps[k].at_s);
			else
				deliver(q->steps[k].at_s, *r);
			expect(q->steps[k].expected);
		}
		if (i + 1 < ELEMENTS(sequences))
			teardown(state);
	}
}

static void test_what_is_told(void **state)
{
	(void)state;
	struct uuid id = deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	char eight[9], text[200], wanted[200];
	hex(text, id.bytes, 4);
	text_copy(eight, sizeof(eight), text, 8);
	/* stored and shown like any other reading */
	expect_text(
		"SELECT resident||status||(body LIKE '%low_perfusion%') FROM reading", "1final1");
	rig_text(
		&rig, text, sizeof(text), "SELECT detail FROM event WHERE type='repeat_requested'");
	snprintf(wanted, sizeof(wanted),
		"reading %s: spo2 85 %%, low_perfusion: repeat within 600 s", eight);
	assert_string_equal(text, wanted);
	assert_int_equal(COUNT("outbox WHERE kind=3"), 1); /* the platform hears of it */
	watch_look_at(&rig, 600);
	expect_text(
		"SELECT severity||' '||recipient||' '||resident||' '||in_contract||' '||doubts||' '||"
		"(raised=1795000600000000)||' '||(place IS NULL) FROM alert",
		"critical S-0001 1 1 "
		"[\"no_clean_repeat\",\"low_perfusion\"] 1 1");
	assert_int_equal(COUNT("alert JOIN reading ON reading.uuid=alert.reading"), 1);
	assert_int_equal(COUNT("outbox WHERE kind=1"), 1);
	/* told again by the instrument: known */
	watch_look_at(&rig, 700);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_told_again(void **state)
{
	(void)state;
	struct watch_reading r = {SPO2(85), DOUBTFUL, .identity = "1"};
	deliver(0, r);
	deliver(30, r); /* the same record: neither waits longer nor twice */
	expect("1 waiting; ; repeat_requested");
	watch_look_at(&rig, 600);
	expect("0 waiting; 85 staff!; repeat_requested");
	deliver(630, r);
	expect("0 waiting; 85 staff!; repeat_requested");
}

/* The instrument corrects what waits: clean settles, doubtful says the new number, and nobody waits longer. */
static void test_corrected(void **state)
{
	(void)state;
	struct watch_reading r = {SPO2(85), DOUBTFUL, .identity = "1"};
	deliver(0, r);
	deliver(30, (struct watch_reading){SPO2(83), DOUBTFUL, .identity = "1", .corrected = true});
	expect("1 waiting; ; repeat_requested");
	watch_look_at(&rig, 600);
	expect("0 waiting; 83 staff!; repeat_requested");
	/* corrected once more after staff were told: a new fact, that may be repeated */
	deliver(630,
		(struct watch_reading){SPO2(80), DOUBTFUL, .identity = "1", .corrected = true});
	expect("1 waiting; 83 staff!; repeat_requested repeat_requested");
	expect_text("SELECT state||phase||labels FROM alert",
		"latchedend[\"unconfirmed\",\"corrected\"]");
	watch_look_at(&rig, 1230);
	expect("0 waiting; 80 staff!; repeat_requested repeat_requested");
	expect_text("SELECT state||phase||readings FROM alert", "activecontinue1");
	deliver(1300, (struct watch_reading){SPO2(85), DOUBTFUL, .identity = "2"});
	deliver(1310, (struct watch_reading){SPO2(97), .identity = "2", .corrected = true});
	expect("0 waiting; 80 staff!; repeat_requested repeat_requested repeat_requested "
	       "repeat_done");
}

static void test_other_device_and_resident(void **state)
{
	(void)state;
	rig_script(&rig, "INSERT INTO binding(device,resident,valid_from,author) SELECT "
			 "id,1,0,'S-0001' FROM device WHERE name='oxi-2'");
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	deliver_from(other, 10, (struct watch_reading){SPO2(97)});
	expect("1 waiting; ; repeat_requested");
	/* the device goes to somebody else: her good value says nothing of him */
	rig_script(&rig, "UPDATE binding SET resident=2 WHERE device=1");
	deliver(20, (struct watch_reading){SPO2(97)});
	rig_script(&rig, "DELETE FROM binding");
	deliver(30, (struct watch_reading){SPO2(97)});
	expect("1 waiting; ; repeat_requested");
	watch_look_at(&rig, 600);
	expect("0 waiting; 85 staff!; repeat_requested");
	expect_text("SELECT resident FROM alert", "1");
}

static void test_both_unassigned(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	deliver(20, (struct watch_reading){SPO2(97)}); /* perhaps of the next one in the queue */
	expect("1 waiting; ; repeat_requested");
	watch_look_at(&rig, 600);
	expect_text("SELECT coalesce(resident,'-')||role||recipient FROM alert", "-staffS-0001");
}

/* Of the same slot, which his wife pressed, perhaps. */
static void test_user_slot(void **state)
{
	(void)state;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	struct unit *u = watch_unit(&rig, rig.cuff, 20);
	struct uuid id = watch_add(&rig, u, &(struct watch_reading){.kind = "spo2", SPO2(97)});
	struct resident_decision slot = {.resident = 1, .evidence = "binding", .grade = "slot"};
	u->readings->of = &slot;
	assert_int_equal(rig_file(&rig, u), 0);
	expect("1 waiting; ; repeat_requested");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect("1 waiting; ; repeat_requested");
	watch_look_at(&rig, 600);
	assert_int_equal(COUNT("alert"), 1);
}

/* What the disk made of it is no reason to tell nobody, and then nobody of anything else. */
static void test_damaged_body(void **state)
{
	(void)state;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	rig_script(&rig, "UPDATE reading SET body='{'");
	deliver(1, (struct watch_reading){SPO2(84), DOUBTFUL});
	watch_look_at(&rig, 700);
	expect_text("SELECT state||severity||readings FROM alert", "activecritical2");
}

/* What an instrument kept from yesterday is no repeat of what it says now. */
static void test_taken_before(void **state)
{
	(void)state;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	const struct vg_civil yesterday = {2026, 11, 17, 19, 0, 0};
	struct unit *u = watch_unit(&rig, rig.cuff, 10);
	watch_add(&rig, u, &(struct watch_reading){.kind = "spo2", SPO2(97)});
	u->offset_known = true;
	u->readings->has_taken = true;
	u->readings->taken = yesterday;
	assert_int_equal(rig_file(&rig, u), 0);
	expect("1 waiting; ; repeat_requested");
}

/* A clock that nobody compared may be wrong by a day: it is no repeat, whatever it says. */
static void test_uncompared(void **state)
{
	(void)state;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	for (int known = 0; known < 2; known++) {
		struct unit *u = watch_unit(&rig, rig.cuff, 120 + known);
		watch_add(&rig, u, &(struct watch_reading){.kind = "spo2", SPO2(97)});
		u->offset_known = known;
		u->readings->live = false;
		u->readings->has_taken = true;
		u->readings->taken = clock_civil(RIG_NOW + at_us(60));
		assert_int_equal(rig_file(&rig, u), 0);
		expect(known ? "0 waiting; ; repeat_requested repeat_done"
			     : "1 waiting; ; repeat_requested");
	}
	expect_text("SELECT group_concat(trust) FROM (SELECT trust FROM reading ORDER BY id)",
		"live,device,corrected");
}

static void test_marked_test(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding"); /* nobody's, as what is marked test */
	for (int i = 0; i < 2; i++) {		 /* asks for nothing, and settles nothing */
		struct unit *u = watch_unit(&rig, rig.cuff, 10 * i);
		u->test = true;
		watch_add(&rig, u,
			&(struct watch_reading){.kind = "spo2",
				SPO2(i ? 97 : 85),
				.flags = {i ? NULL : "artifact"}});
		assert_int_equal(rig_file(&rig, u), 0);
		expect(i ? "1 waiting; ; repeat_requested" : "0 waiting; ;");
		if (!i)
			deliver(5, (struct watch_reading){SPO2(85), DOUBTFUL});
	}
}

/* A person says whose it is, while it waits: she has the alert. Or when staff were told: nobody waits again for it. */
static void test_assigned(void **state)
{
	(void)state;
	rig_script(&rig, "DELETE FROM binding");
	struct uuid id = deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), 0);
	expect("1 waiting; ; repeat_requested");
	watch_look_at(&rig, 600);
	expect_text("SELECT resident||role||recipient||revision FROM alert", "2staffS-00011");
	rig_script(&rig, "UPDATE reading SET boot_id=x'00112233445566778899aabbccddeeff'");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect_text(
		"SELECT group_concat(resident||state||role||recipient||revision) FROM (SELECT * "
		"FROM alert ORDER BY id)",
		"2inactivestaffS-00012,1activestaffS-00011");
	expect("0 waiting; 85 staff! 85 staff!; repeat_requested");
}

/* For somebody else it is nothing that would have to be repeated. */
static void test_assigned_to_another_scale(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE resident SET conditions='copd' WHERE id=2");
	struct uuid id = deliver(0, (struct watch_reading){SPO2(88), DOUBTFUL});
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), 0);
	expect("0 waiting; ; repeat_requested repeat_done");
	expect_text(
		"SELECT detail LIKE '%: judged again' FROM event WHERE type='repeat_done'", "1");
}

/* A clean one that is found to be hers is a repeat as well. */
static void test_clean_one_assigned(void **state)
{
	(void)state;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	rig_script(&rig, "DELETE FROM binding");
	struct uuid id = deliver(10, (struct watch_reading){SPO2(97)});
	expect("1 waiting; ; repeat_requested");
	rig_script(&rig, "UPDATE pending_repeat SET due_boot=9223372036854775807");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 1), 0);
	expect("0 waiting; ; repeat_requested repeat_done");
}

/* Without a contact of the site it goes where the reading's alert would have gone. */
static void test_no_contact(void **state)
{
	(void)state;
	rig.config.site_contact[0] = 0;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	watch_look_at(&rig, 600);
	expect_text("SELECT resident||role||recipient FROM alert", "1doctorD-0001");
	rig_script(&rig, "DELETE FROM binding");
	struct uuid id = deliver(610, (struct watch_reading){SPO2(85), DOUBTFUL});
	watch_look_at(&rig, 1210);
	expect_text("SELECT role||recipient FROM alert WHERE resident IS NULL", "");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &id, 2), 0); /* nobody had it */
	expect_text("SELECT role||recipient FROM alert WHERE resident=2", "doctorD-0002");
}

static void test_alerts_switched_off(void **state)
{
	(void)state;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	rig.config.alerts = false;
	watch_look_at(&rig, 700);
	expect("1 waiting; ; repeat_requested");
	rig.config.alerts = true;
	watch_look_at(&rig, 600);
	expect("0 waiting; 85 staff!; repeat_requested");
}

/* restarts */

/* After a reboot: what its clock says is left; at once when that clock is doubtful. */
static void test_reboot(void **state)
{
	static const struct {
		const char *what;
		int64_t utc_us;
		int64_t due_us; /* by a boot clock that stands at 50 s */
	} cases[] = {
		{"50 s are left", RIG_NOW + 550 * CLOCK_SECOND_US, 100 * CLOCK_SECOND_US},
		{"its time is over", RIG_NOW + 600 * CLOCK_SECOND_US, 0},
		{"hours later", RIG_NOW + RIG_HOUR, 0},
		{"the clock is not set", 30 * CLOCK_SECOND_US, 0},
		{"the clock went back", RIG_NOW - RIG_HOUR, 0},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		print_message("# %s\n", cases[i].what);
		if (i)
			setup(state);
		deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
		rig_script(&rig, "UPDATE pending_repeat SET boot_id=x'00'");
		watch_begin_at(&rig, cases[i].utc_us, at_us(50), true);
		assert_true(
			rig_int(&rig, "SELECT due_boot FROM pending_repeat") == cases[i].due_us);
		int64_t next;
		assert_int_equal(
			watch_look(&rig.gateway, rig.db, cases[i].utc_us, at_us(50), &next), 0);
		assert_true(!cases[i].due_us || next == cases[i].due_us);
		expect(cases[i].due_us ? "1 waiting; ; repeat_requested"
				       : "0 waiting; 85 staff!; repeat_requested");
		if (i + 1 < ELEMENTS(cases))
			teardown(state);
	}
}

/* A clock that steps within one boot moves nothing. */
static void test_clock_step(void **state)
{
	(void)state;
	int64_t next;
	deliver(0, (struct watch_reading){SPO2(85), DOUBTFUL});
	watch_begin_at(&rig, RIG_NOW + 9 * RIG_HOUR, WATCH_BOOT + at_us(10), true);
	assert_int_equal(watch_look(&rig.gateway, rig.db, RIG_NOW + 9 * RIG_HOUR,
				 WATCH_BOOT + at_us(599), &next),
		0);
	expect("1 waiting; ; repeat_requested");
	assert_true(next == WATCH_BOOT + at_us(600));
	assert_int_equal(watch_look(&rig.gateway, rig.db, 5, WATCH_BOOT + at_us(600), &next), 0);
	expect("0 waiting; 85 staff!; repeat_requested");
}

/* The unit fails at its end: it was never there, and nobody is asked. */
static void test_with_the_unit(void **state)
{
	(void)state;
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE INSERT ON event WHEN new.type='repeat_requested' "
		"BEGIN SELECT raise(ABORT,'x'); END");
	struct unit *u = watch_unit(&rig, rig.cuff, 0);
	watch_add(&rig, u, &(struct watch_reading){.kind = "spo2", SPO2(85), DOUBTFUL});
	assert_int_equal(rig_file(&rig, u), -EEXIST);
	assert_int_equal(COUNT("reading") + COUNT("pending_repeat"), 0);
}

/* Files doubtful values, looks, and files clean ones, until it is killed; a byte into `fd` for each. */
static void live(unsigned seed, int fd)
{
	assert_int_equal(db_open(rig.dir, &rig.db), 0);
	srandom(seed);
	int64_t at_s =
		rig_int(&rig, "SELECT coalesce(max(arrived)/1000000-1795000000,0) FROM reading");
	for (;;) {
		at_s += 1 + random() % 400;
		int64_t choice = random() % 4;
		if (choice == 0)
			watch_look_at(&rig, at_s);
		else if (choice == 1)
			deliver(at_s, (struct watch_reading){SPO2(97)});
		else
			deliver(at_s, (struct watch_reading){SPO2(85), DOUBTFUL});
		assert_int_equal(write(fd, "", 1), 1);
	}
}

static void live_and_die(unsigned round)
{
	int fds[2];
	char byte;
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		live(round, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	for (unsigned i = 0; i < 3 + round % 5; i++)
		assert_int_equal(read(fds[0], &byte, 1), 1);
	usleep(round * 700 % 5000);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fds[0]);
}

/* Killed at any moment: each doubtful value waits, or was told, or was followed by a clean one; and in the end none
 * waits. */
static void test_killed(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		db_close(TAKE(rig.db));
		live_and_die(round);
		assert_int_equal(db_open(rig.dir, &rig.db), 0);
		int64_t doubtful = COUNT("reading WHERE body LIKE '%low_perfusion%'");
		assert_int_equal(doubtful, COUNT("pending_repeat") + COUNT("alert_reading") +
						   COUNT("event WHERE type='repeat_done'"));
		assert_int_equal(COUNT("event WHERE type='repeat_requested'"), doubtful);
	}
	assert_true(COUNT("reading") > 20);
	watch_look_at(&rig, 10000000);
	assert_int_equal(COUNT("pending_repeat"), 0);
	assert_int_equal(COUNT("reading WHERE body LIKE '%low_perfusion%'"),
		COUNT("alert_reading") + COUNT("event WHERE type='repeat_done'"));
	print_message("# %lld doubtful readings, %lld told\n",
		(long long)COUNT("reading WHERE body LIKE '%low_perfusion%'"),
		(long long)COUNT("alert_reading"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sequences),
		T(test_what_is_told),
		T(test_told_again),
		T(test_corrected),
		T(test_other_device_and_resident),
		T(test_both_unassigned),
		T(test_user_slot),
		T(test_damaged_body),
		T(test_taken_before),
		T(test_uncompared),
		T(test_marked_test),
		T(test_assigned),
		T(test_assigned_to_another_scale),
		T(test_clean_one_assigned),
		T(test_no_contact),
		T(test_alerts_switched_off),
		T(test_reboot),
		T(test_clock_step),
		T(test_with_the_unit),
		T(test_killed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
