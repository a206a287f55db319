/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Modbus over TCP: many slaves, and what befalls them; and what their owner may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "modbus_rig.h"

#include <dirent.h>

#define TCP(...) ((const char *const[]){"--tcp", "0", __VA_ARGS__, NULL})

/* Voluntary context switches of all threads of this process. */
static unsigned long switches(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned long sum = 0, n;
	char path[320], line[128];
	for (struct dirent *e; tasks && (e = readdir(tasks));) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
				sum += n;
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return sum;
}

static void two_hundred_slaves_are_polled_every_second(void **state)
{
	struct site *s = *state;
	unsigned rounds = 0, wakeups;
	sim_start(s, TCP("--slaves", "200:stamp"));
	for (int i = 0; i < 200; i++) {
		struct slave *v = slave_add(s, tcp_address(s, i), 255, "4:0+8");
		v->config.poll_ms = v->config.response_ms = 1000;
		slave_start(v);
	}
	for (unsigned i = 0; i < 200; i++)
		WAIT(s, s->slaves[i].rounds >= 2);
	for (unsigned i = 0; i < 200; i++)
		rounds -= s->slaves[i].rounds;
	unsigned long before = switches();
	wakeups = s->wakeups;
	for (long end = now_ms() + 4000; now_ms() < end;) {
		int r = sd_event_run(s->loop, 100000);
		assert_true(r >= 0);
		s->wakeups += r > 0;
	}
	for (unsigned i = 0; i < 200; i++) {
		rounds += s->slaves[i].rounds;
		assert_int_equal(s->slaves[i].good, s->slaves[i].rounds);
		assert_int_equal(s->slaves[i].up, 1);
	}
	double each = (double)(switches() - before) / rounds;
	print_message("# %u rounds in 4 s, %.2f context switches each, %.2f wake-ups of the loop\n",
		rounds, each, (double)(s->wakeups - wakeups) / rounds);
	assert_true(each < 3);
	assert_true(s->wakeups - wakeups < rounds / 2); /* they come in lots */
}

static void a_silent_unit_costs_the_others_nothing(void **state)
{
	struct site *s = *state;
	sim_start(s, TCP("--slaves", "12:room"));
	for (int i = 0; i < 12; i++) {
		struct slave *v = slave_add(s, tcp_address(s, i), 1, "3:0+2");
		v->config.response_ms = 3000;
		slave_start(v);
	}
	for (unsigned i = 0; i < 12; i++)
		WAIT(s, s->slaves[i].up);
	order(s, "silent 1-6 forever");
	json_decref(counts(s));
	let_pass(s, 3300);
	json_t *c = counts(s);
	for (unsigned i = 7; i <= 12; i++) {
		assert_true(count_of(c, i, "max_gap_ms") < 2700);
		assert_true(s->slaves[i - 1].rounds > 10);
	}
	json_decref(c);
	for (unsigned i = 0; i < 6; i++)
		WAIT(s, s->slaves[i].down == 1);
	assert_string_equal(state_of(&s->slaves[0]), "silent");
	order(s, "clear 1-6");
	for (unsigned i = 0; i < 6; i++)
		WAIT(s, s->slaves[i].up == 2);
}

static void each_fault_over_tcp_costs_one_answer(void **state)
{
	static const char *const faults[] = {"silent 1 1", "late 1 300 1", "short 1 1",
		"wrong_tid 1 1", "wrong_slave 1 1", "garbage 1 1", "close 1 1", "close 1 2",
		"exception 1 6 1", "babble 1 0.5", "flood 1 0.3"};
	struct site *s = *state;
	sim_start(s, TCP("--slaves", "2:fridge"));
	struct slave *v = slave_start(slave_add(s, tcp_address(s, 0), 1, FRIDGE));
	struct slave *other = slave_add(s, tcp_address(s, 1), 1, FRIDGE);
	other->config.response_ms = IN_TIME_MS;
	slave_start(other);
	WAIT(s, v->rounds && other->rounds);
	for (size_t i = 0; i < ELEMENTS(faults); i++) {
		unsigned good = v->good;
		order(s, faults[i]);
		orders_done(s);
		while (v->good < good + 4) {
			unsigned before = v->rounds;
			WAIT(s, v->rounds > before);
			record_is_true(v);
		}
	}
	assert_int_equal(other->good, other->rounds);
}

/* Questions over TCP have no numbers here, so a connection ends with the first answer that is late. */
static void what_comes_late_over_tcp_comes_to_nobody(void **state)
{
	struct site *s = *state;
	sim_start(s, TCP("--slaves", "1:fridge"));
	struct slave *v = true_fridge(slave_add(s, tcp_address(s, 0), 1, "4:0+2 4:2+2"));
	v->config.response_ms = 1000;
	slave_start(v);
	WAIT(s, v->rounds);
	for (int ms = 2050; ms < 2750; ms += 200) { /* asked again after 2 s */
		char text[32];
		snprintf(text, sizeof(text), "late 1 %d 1", ms);
		order(s, "clear 1");
		order(s, text);
		order(s, "late 1 750 forever");
		orders_done(s);
		unsigned good = v->good;
		WAIT(s, v->good > good + 1);
	}
	assert_int_equal(v->down, 0);
}

static void a_port_that_refuses_is_tried_again(void **state)
{
	struct site *s = *state;
	sim_start(s, TCP("--slaves", "1:room"));
	struct slave *v = slave_start(slave_add(s, tcp_address(s, 0), 1, "3:0+2"));
	WAIT(s, v->rounds);
	order(s, "refuse 1 on");
	WAIT(s, v->down);
	WAIT(s, streq(state_of(v), "absent"));
	assert_int_equal(log_lines(s->log, "Connection refused"), 1);
	order(s, "refuse 1 off");
	WAIT(s, v->up == 2);
	assert_int_equal(log_lines(s->log, "connected to"), 1);
}

static void units_behind_one_converter_share_a_connection(void **state)
{
	struct site *s = *state;
	unsigned n;
	sim_start(s, TCP("--slave", "1:fridge", "--slave", "2:room"));
	struct slave *a = slave_add(s, tcp_address(s, 0), 1, FRIDGE);
	a->config.response_ms = IN_TIME_MS;
	slave_start(a);
	struct slave *b = slave_start(slave_add(s, tcp_address(s, 0), 2, "3:0+2"));
	struct slave *none = slave_start(slave_add(s, tcp_address(s, 0), 9, "3:0+2"));
	WAIT(s, a->rounds > 5 && b->rounds > 5);
	WAIT(s, streq(state_of(none), "silent"));
	assert_int_equal(none->up, 0);
	json_decref(ledger(s, "connected", &n));
	assert_int_equal(n, 1);
	record_is_true(a);
	assert_int_equal(a->good, a->rounds);
}

static void a_host_may_have_a_name(void **state)
{
	struct site *s = *state;
	char address[64];
	sim_start(s, TCP("--slaves", "1:room"));
	snprintf(address, sizeof(address), "tcp:localhost:%d", s->port);
	struct slave *v = slave_add(s, address, 1, "3:0+2");
	v->config.response_ms = 10000;
	slave_start(v);
	WAIT(s, v->rounds > 2);
	struct slave *nowhere =
		slave_start(slave_add(s, "tcp:no-such-host.invalid:502", 1, "3:0+2"));
	WAIT(s, streq(state_of(nowhere), "absent"));
}

/* the owner */

static void an_owner_may_close_from_inside_a_value(void **state)
{
	struct site *s = *state;
	sim_start(s, TCP("--slaves", "1:room"));
	struct slave *v = slave_add(s, tcp_address(s, 0), 1, "3:0+2");
	v->close_on_value = true;
	slave_start(v);
	WAIT(s, v->down == 3);
	assert_string_equal(v->why, "heard enough");
	assert_int_equal(v->up, 3);
	assert_int_equal(v->rounds, 3);
	/* A round in which nobody answered does not begin it again. */
	order(s, "silent 1 forever");
	orders_done(s);
	unsigned up = v->up;
	WAIT(s, log_lines(s->log, "does not answer"));
	assert_true(v->up <= up + 1);
	up = v->up;
	let_pass(s, 500);
	assert_int_equal(v->up, up);
}

static void slaves_come_and_go_while_others_are_asked(void **state)
{
	struct site *s = *state;
	const struct transport_events events = {
		on_up, on_stream, on_value, on_down, NULL, NULL, NULL};
	sim_start(s, TCP("--slaves", "20:room"));
	for (int i = 0; i < 20; i++) {
		struct slave *v = slave_add(s, tcp_address(s, i), 1, "3:0+2");
		v->config.poll_ms = 5;
		slave_start(v);
	}
	order(s, "silent 19-20 forever");
	for (unsigned turns = 0; turns < 200; turns++) {
		struct slave *v = &s->slaves[turns * 7 % 20];
		turn(s);
		transport_free(TAKE(v->t));
		v->up = v->down;
		struct transport_events mine = events;
		mine.arg = v;
		assert_int_equal(modbus_new(s->loop, &v->config, &v->driver, &mine, &v->t), 0);
	}
	for (unsigned i = 0; i < 18; i++) {
		unsigned rounds = s->slaves[i].rounds;
		WAIT(s, s->slaves[i].rounds > rounds);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, site_setup, site_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_hundred_slaves_are_polled_every_second),
		TEST(a_silent_unit_costs_the_others_nothing),
		TEST(each_fault_over_tcp_costs_one_answer),
		TEST(what_comes_late_over_tcp_comes_to_nobody),
		TEST(a_port_that_refuses_is_tried_again),
		TEST(units_behind_one_converter_share_a_connection),
		TEST(a_host_may_have_a_name),
		TEST(an_owner_may_close_from_inside_a_value),
		TEST(slaves_come_and_go_while_others_are_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
