/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Modbus slaves on a serial line, and what befalls them and their neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "modbus_rig.h"

#include <pty.h>
#include <sys/file.h>

#define LINE(...) ((const char *const[]){"--rtu", site_path(s, "line"), __VA_ARGS__, NULL})

static const char fridge_record[] = "04002d01c2"
				    "0440900000"
				    "0442340000"
				    "0100";

static struct slave *on_line(struct site *s, unsigned number, const char *blocks)
{
	return slave_add(s, site_path(s, "line"), number, blocks);
}

static void a_round_brings_every_block(void **state)
{
	struct site *s = *state;
	char text[2 * 64];
	sim_start(s, LINE("--slave", "3:fridge"));
	struct slave *v = on_line(s, 3, FRIDGE);
	v->config.response_ms = IN_TIME_MS;
	slave_start(v);
	assert_string_equal(state_of(v), "");
	WAIT(s, v->rounds >= 3);
	assert_string_equal(v->uid, "line:slave-3");
	assert_string_equal(state_of(v), "connected");
	assert_string_equal(hex(text, v->last, v->last_len), fridge_record);
	assert_int_equal(v->up, 1);
	assert_int_equal(v->good, v->rounds);
	assert_int_equal(log_lines(s->log, "line open"), 1);
	assert_int_equal(v->t->ops->send(v->t, 0, "x", 1), -EOPNOTSUPP);
}

static void each_contact_is_a_byte(void **state)
{
	struct site *s = *state;
	char text[2 * 64];
	sim_start(s, LINE("--slave", "1:oxygen"));
	order(s, "set 1 high_pressure 1");
	order(s, "set 1 power_failure 1");
	orders_done(s);
	struct slave *v = slave_start(on_line(s, 1, "1:0+4 1:1+2 3:1+1"));
	WAIT(s, v->rounds);
	assert_string_equal(hex(text, v->last, v->last_len), "0400010001"
							     "020100"
							     "0201a4");
}

static void the_line_is_locked_against_other_programs(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slave", "1:room"));
	int other = open(site_path(s, "line"), O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	struct slave *v = slave_start(on_line(s, 1, "3:0+2"));
	WAIT(s, streq(state_of(v), "busy"));
	assert_int_equal(v->up, 0);
	assert_int_equal(log_lines(s->log, "in use"), 1);
	close(other);
	WAIT(s, v->rounds);
	other = open(site_path(s, "line"), O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (other >= 0) /* root may open it all the same */
		assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	close(other);
}

static void each_fault_costs_one_answer_and_nothing_untrue_is_taken(void **state)
{
	static const char *const faults[] = {"silent 1 1", "late 1 1500 1", "short 1 1", "crc 1 1",
		"wrong_slave 1 1", "exception 1 6 1", "garbage 1 1", "silent 1 2"};
	struct site *s = *state;
	sim_start(s, LINE("--slave", "1:fridge", "--slave", "2:fridge"));
	struct slave *v = true_fridge(on_line(s, 1, FRIDGE));
	struct slave *neighbour = true_fridge(on_line(s, 2, FRIDGE));
	v->config.response_ms = 1000;
	neighbour->config.response_ms = IN_TIME_MS;
	slave_start(v);
	slave_start(neighbour);
	WAIT(s, v->rounds && neighbour->rounds);
	for (size_t i = 0; i < ELEMENTS(faults); i++) {
		unsigned rounds = v->rounds, good = v->good;
		order(s, faults[i]);
		WAIT(s, v->rounds >= rounds + 4 && v->good >= good + 2);
		json_t *c = counts(s);
		assert_true(count_of(c, 1, "faults") >= 1);
		json_decref(c);
	}
	assert_int_equal(v->down, 0);
	assert_int_equal(neighbour->good, neighbour->rounds);
}

/* A slave that needs 300 ms for all answers, and for one more than the 1500 ms that it has. */
static void a_late_answer_is_never_taken_for_that_to_the_next_question(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slave", "1:fridge"));
	struct slave *v = true_fridge(on_line(s, 1, "4:0+2 4:2+2"));
	v->config.response_ms = 1500;
	slave_start(v);
	WAIT(s, v->rounds);
	for (int ms = 1600; ms <= 1900; ms += 150) {
		char text[32];
		snprintf(text, sizeof(text), "late 1 %d 1", ms);
		order(s, "clear 1");
		order(s, text);
		order(s, "late 1 300 forever");
		orders_done(s);
		unsigned good = v->good;
		WAIT(s, v->good > good + 1);
	}
	assert_int_equal(v->down, 0);
}

static void what_came_unasked_is_forgotten_before_a_question(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slave", "1:fridge"));
	struct slave *v = true_fridge(on_line(s, 1, "4:0+2 4:2+2"));
	v->config.poll_ms = 1500;
	slave_start(v);
	WAIT(s, v->rounds);
	for (unsigned turns = 0; turns < 2; turns++) {
		unsigned rounds = v->rounds;
		WAIT(s, v->rounds > rounds);
		order(s, "flood 1 0.05"); /* the answer to the question before the next */
	}
	assert_int_equal(v->down, 0);
}

static void the_answer_of_another_slave_is_waited_past(void **state)
{
	struct site *s = *state;
	uint8_t why = 0;
	sim_start(s, LINE("--slave", "1:room"));
	struct slave *v = slave_start(on_line(s, 1, "3:0+2"));
	WAIT(s, v->rounds);
	order(s, "wrong_slave 1 2");
	WAIT(s, v->good < v->rounds);
	assert_null(block_of(v, v->last, v->last_len, 0, &why));
	assert_int_equal(why, VG_REGISTERS_TIMEOUT);
}

/* One byte each 100 ms: a good answer, in the end. */
static void an_answer_that_dribbles_is_not_waited_for(void **state)
{
	static const uint8_t answer[] = {1, 3, 4, 0, 215, 1, 224, 0xca, 0x4b};
	struct site *s = *state;
	char name[64];
	uint8_t heard[64];
	int master, slave;
	size_t sent = 0, asked = 0;
	assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
	assert_int_equal(symlink(name, site_path(s, "line")), 0);
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	struct slave *v = slave_start(on_line(s, 1, "3:0+2"));
	for (long next = 0; asked < 16;) {
		turn(s);
		ssize_t n = read(master, heard, sizeof(heard));
		asked += n > 0 ? (size_t)n : 0;
		if (asked < 8 || asked >= 16 || now_ms() < next)
			continue;
		next = now_ms() + 100;
		assert_true(sent < sizeof(answer));
		assert_int_equal(write(master, answer + sent++, 1), 1);
	}
	assert_true(sent < sizeof(answer));
	assert_int_equal(v->up, 0);
	close(master);
	close(slave);
}

static void a_path_that_names_another_line_is_followed(void **state)
{
	struct site *s = *state;
	char target[64], name[64];
	int master, slave;
	sim_start(s, LINE("--slave", "1:room"));
	ssize_t n = readlink(site_path(s, "line"), target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = 0;
	assert_int_equal(symlink(target, site_path(s, "alias")), 0);
	struct slave *v = slave_start(slave_add(s, site_path(s, "alias"), 1, "3:0+2"));
	WAIT(s, v->up);
	assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
	assert_int_equal(symlink(name, site_path(s, "fresh")), 0);
	assert_int_equal(rename(site_path(s, "fresh"), site_path(s, "alias")), 0);
	WAIT(s, v->down);
	WAIT(s, streq(state_of(v), "silent"));
	close(master);
	close(slave);
}

static void a_silent_slave_costs_its_neighbours_no_more_than_its_own_time(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slaves", "3:fridge"));
	for (unsigned i = 1; i <= 3; i++) {
		struct slave *v = on_line(s, i, FRIDGE);
		v->config.response_ms = 1500;
		slave_start(v);
	}
	struct slave *v = &s->slaves[1];
	WAIT(s, s->slaves[0].rounds && v->rounds && s->slaves[2].rounds);
	order(s, "silent 2 forever");
	json_decref(counts(s));
	WAIT(s, v->down);
	assert_string_equal(v->why, "no answer");
	assert_string_equal(state_of(v), "silent");
	assert_int_equal(log_lines(s->log, "slave 2 on"), 1);
	let_pass(s, 1000);
	json_t *c = counts(s);
	print_message(
		"# neighbours' longest gaps: %.0f and %.0f ms, beside a time-out of 1500 ms\n",
		count_of(c, 1, "max_gap_ms"), count_of(c, 3, "max_gap_ms"));
	assert_true(count_of(c, 1, "max_gap_ms") < 2 * 1500);
	assert_true(count_of(c, 3, "max_gap_ms") < 2 * 1500);
	/* Two questions, then one a round, then less and less. */
	assert_true(count_of(c, 2, "requests") <= 8);
	json_decref(c);
	for (unsigned i = 0; i < 3; i += 2) {
		assert_int_equal(s->slaves[i].good, s->slaves[i].rounds);
		assert_int_equal(s->slaves[i].down, 0);
	}
	order(s, "clear 2");
	WAIT(s, v->up == 2);
	record_is_true(v);
	assert_string_equal(state_of(v), "connected");
}

static void what_a_slave_does_not_have_is_said_once_and_not_asked_again(void **state)
{
	struct site *s = *state;
	uint8_t why = 0;
	sim_start(s, LINE("--slave", "1:room"));
	struct slave *v = on_line(s, 1, "3:0+2 3:7+1 4:0+1");
	v->config.response_ms = 1500;
	slave_start(v);
	WAIT(s, v->rounds >= 10);
	assert_non_null(block_of(v, v->last, v->last_len, 0, &why));
	assert_null(block_of(v, v->last, v->last_len, 1, &why));
	assert_int_equal(why, 2);
	assert_null(block_of(v, v->last, v->last_len, 2, &why));
	assert_int_equal(why, 1);
	json_t *c = counts(s);
	assert_int_equal(count_of(c, 1, "exceptions"), 2);
	json_decref(c);
	assert_int_equal(log_lines(s->log, "1 holding registers from 7"), 1);
	assert_int_equal(log_lines(s->log, "1 input registers from 0"), 1);
	assert_int_equal(v->down, 0);
	/* When it was away it may have been exchanged. */
	order(s, "silent 1 forever");
	WAIT(s, v->down);
	order(s, "clear 1");
	WAIT(s, v->up == 2);
	c = counts(s);
	assert_int_equal(count_of(c, 1, "exceptions"), 2);
	json_decref(c);
}

static void noise_ends_and_the_line_works_again(void **state)
{
	static const char *const faults[] = {"babble 2 1", "flood 2 0.5"};
	struct site *s = *state;
	sim_start(s, LINE("--slaves", "2:fridge"));
	struct slave *v = slave_start(on_line(s, 1, FRIDGE));
	struct slave *other = slave_start(on_line(s, 2, FRIDGE));
	WAIT(s, v->rounds && other->rounds);
	for (size_t i = 0; i < ELEMENTS(faults); i++) {
		order(s, faults[i]);
		long end = now_ms() + 1500;
		while (now_ms() < end)
			turn(s);
		unsigned good = v->good + 3, others_good = other->good + 3;
		WAIT(s, v->good >= good && other->good >= others_good);
		record_is_true(v);
	}
}

static void a_line_that_echoes_is_named_in_the_log(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slave", "1:room"));
	order(s, "echo on");
	orders_done(s);
	struct slave *v = slave_start(on_line(s, 1, "3:0+2"));
	WAIT(s, streq(state_of(v), "error"));
	assert_int_equal(v->up, 0);
	assert_int_equal(log_lines(s->log, "turn the converter's echo off"), 1);
	order(s, "echo off");
	WAIT(s, v->up);
}

static void an_unplugged_line_comes_back_with_all_its_slaves(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slaves", "2:room"));
	for (unsigned i = 1; i <= 2; i++) {
		struct slave *v = on_line(s, i, "3:0+2");
		v->config.poll_ms = i == 1 ? 50 : 3600000;
		slave_start(v);
	}
	WAIT(s, s->slaves[0].up && s->slaves[1].up);
	for (unsigned turns = 1; turns <= 3; turns++) {
		order(s, "unplug");
		WAIT(s, s->slaves[0].down == turns && s->slaves[1].down == turns);
		assert_string_equal(s->slaves[1].why, "unplugged");
		WAIT(s, streq(state_of(&s->slaves[0]), "absent"));
		order(s, "plug");
		WAIT(s, s->slaves[0].up == turns + 1 && s->slaves[1].up == turns + 1);
	}
}

static void what_is_no_line_is_said(void **state)
{
	struct site *s = *state;
	close(open(site_path(s, "line"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	struct slave *v = slave_start(on_line(s, 1, "3:0+2"));
	WAIT(s, streq(state_of(v), "error"));
	assert_int_equal(log_lines(s->log, "must name a serial port"), 1);
	unlink(site_path(s, "line"));
	WAIT(s, streq(state_of(v), "absent"));
	struct slave *odd = on_line(s, 2, "3:0+2");
	const struct transport_events events = {
		on_up, on_stream, on_value, on_down, NULL, NULL, odd};
	odd->config.baud = 96000;
	assert_int_equal(
		modbus_new(s->loop, &odd->config, &odd->driver, &events, &odd->t), -EINVAL);
}

static void between_two_transactions_the_line_rests(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slaves", "2:fridge"));
	for (unsigned i = 1; i <= 2; i++) {
		struct slave *v = on_line(s, i, FRIDGE);
		v->config.gap_ms = i == 1 ? 5 : 25;
		v->config.poll_ms = 1;
		slave_start(v);
	}
	WAIT(s, s->slaves[0].up && s->slaves[1].up);
	json_decref(counts(s));
	WAIT(s, s->slaves[0].rounds > 3);
	json_t *c = counts(s);
	json_t *line = json_object_get(json_object_get(c, "record"), "line");
	assert_true(json_number_value(json_object_get(line, "min_quiet_ms")) >= 24);
	json_decref(c);
}

static void the_end_waits_for_nobody(void **state)
{
	struct site *s = *state;
	sim_start(s, LINE("--slave", "1:room"));
	order(s, "silent 1 forever");
	orders_done(s);
	struct slave *v = on_line(s, 1, "3:0+2");
	v->config.response_ms = 40000;
	slave_start(v);
	json_t *c = NULL;
	do {
		json_decref(c);
		c = counts(s);
	} while (count_of(c, 1, "requests") < 1);
	json_decref(c);
	long before = now_ms();
	slaves_end(s);
	assert_true(now_ms() - before < 20000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, site_setup, site_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_round_brings_every_block),
		TEST(each_contact_is_a_byte),
		TEST(the_line_is_locked_against_other_programs),
		TEST(each_fault_costs_one_answer_and_nothing_untrue_is_taken),
		TEST(a_late_answer_is_never_taken_for_that_to_the_next_question),
		TEST(what_came_unasked_is_forgotten_before_a_question),
		TEST(the_answer_of_another_slave_is_waited_past),
		TEST(an_answer_that_dribbles_is_not_waited_for),
		TEST(a_path_that_names_another_line_is_followed),
		TEST(a_silent_slave_costs_its_neighbours_no_more_than_its_own_time),
		TEST(what_a_slave_does_not_have_is_said_once_and_not_asked_again),
		TEST(noise_ends_and_the_line_works_again),
		TEST(a_line_that_echoes_is_named_in_the_log),
		TEST(an_unplugged_line_comes_back_with_all_its_slaves),
		TEST(what_is_no_line_is_said),
		TEST(between_two_transactions_the_line_rests),
		TEST(the_end_waits_for_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
