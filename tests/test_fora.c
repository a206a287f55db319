/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Marks of the TaiDoc driver, which captures cannot show: what is read again, and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_rig.h"

extern const struct vg_driver fora;

enum { CLOCK = 0x23, MODEL = 0x24, TIME = 0x25, VALUE = 0x26, COUNT = 0x2b, OFF = 0x50 };

static const uint8_t times[][4] = {{0x75, 0x35, 30, 7}, {0x74, 0x35, 5, 18}, {0x73, 0x35, 9, 6}};
static const uint8_t values[][4] = {{110, 0, 20, 0}, {140, 0, 20, 0}, {95, 0, 20, 0}};

static void answer(struct rig *r, uint8_t command, const uint8_t data[4])
{
	uint8_t frame[8] = {0x51, command};
	memcpy(frame + 2, data, 4);
	frame[6] = 0xa5;
	for (unsigned i = 0; i < 7; i++)
		frame[7] = (uint8_t)(frame[7] + frame[i]);
	rig_value(r, frame, sizeof(frame), false);
}

/* The command and the index that were asked for last. */
static unsigned asked(const struct rig *r)
{
	assert_true(r->n_sent >= 8);
	const uint8_t *frame = r->sent + r->n_sent - 8;
	return frame[1] | (unsigned)frame[2] << 8;
}

/* A TD-4277 with three records answers until it is asked for record `until`. */
static void talk(struct rig *r, unsigned until)
{
	static const uint8_t td4277[4] = {0x77, 0x42}, three[4] = {3};
	rig_open(r);
	answer(r, MODEL, td4277);
	answer(r, CLOCK, times[0]);
	answer(r, COUNT, three);
	for (unsigned i = 0; i < until && (asked(r) & 0xff) == TIME; i++) {
		assert_int_equal(asked(r), TIME | i << 8);
		answer(r, TIME, times[i]);
		assert_int_equal(asked(r), VALUE | i << 8);
		answer(r, VALUE, values[i]);
	}
}

static unsigned readings(const struct rig *r)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->n_units; i++)
		for (const struct reading *x = r->units[i]->readings; x; x = x->next)
			n++;
	return n;
}

static const struct unit *marked(const struct rig *r)
{
	const struct unit *u = NULL;
	for (unsigned i = 0; i < r->n_units; i++)
		if (r->units[i]->marks)
			u = r->units[i];
	return u;
}

static bool drained(const struct rig *r)
{
	for (unsigned i = 0; i < r->n_units; i++)
		for (const struct happening *e = r->units[i]->events; e; e = e->next)
			if (streq(e->type, "drained"))
				return true;
	return false;
}

static void all_records_are_read_and_the_newest_is_marked_with_the_last(void **state)
{
	(void)state;
	struct rig r = rig_new(&fora);
	talk(&r, 3);
	assert_int_equal(readings(&r), 3);
	assert_int_equal(asked(&r), OFF);
	assert_true(drained(&r));
	const struct unit *u = marked(&r);
	assert_ptr_equal(u, r.units[r.n_units - 1]);
	assert_non_null(u->readings);
	assert_int_equal(u->marks->len, 8);
	assert_memory_equal(u->marks->value, times[0], 4);
	assert_memory_equal(u->marks->value + 4, values[0], 4);
	rig_close(&r);
}

static void reading_stops_at_the_record_that_was_the_newest_last_time(void **state)
{
	(void)state;
	struct rig r = rig_new(&fora);
	r.mark_key = "newest";
	r.mark_len = 8;
	memcpy(r.mark, times[1], 4);
	memcpy(r.mark + 4, values[1], 4);
	talk(&r, 3);
	assert_int_equal(readings(&r), 1);
	assert_int_equal(asked(&r), OFF);
	assert_true(drained(&r));
	assert_memory_equal(marked(&r)->marks->value, times[0], 4);
	rig_close(&r);
}

static void a_session_that_breaks_off_leaves_no_mark(void **state)
{
	(void)state;
	struct rig r = rig_new(&fora);
	talk(&r, 2);
	assert_int_equal(readings(&r), 2);
	assert_null(marked(&r));
	assert_false(drained(&r));
	session_expired(r.session, &r.now);
	assert_non_null(r.done);
	assert_null(marked(&r));
	rig_close(&r);
}

static void a_value_that_comes_twice_is_told_once(void **state)
{
	(void)state;
	struct rig r = rig_new(&fora);
	talk(&r, 3);
	answer(&r, VALUE, values[2]);
	assert_int_equal(readings(&r), 3);
	rig_close(&r);
}

static int setup(void **state)
{
	char error[256];
	(void)state;
	rig_codes = codes_load("config", error, sizeof(error));
	return rig_codes ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	codes_free(rig_codes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_records_are_read_and_the_newest_is_marked_with_the_last),
		cmocka_unit_test(reading_stops_at_the_record_that_was_the_newest_last_time),
		cmocka_unit_test(a_session_that_breaks_off_leaves_no_mark),
		cmocka_unit_test(a_value_that_comes_twice_is_told_once),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
