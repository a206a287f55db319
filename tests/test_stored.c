/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is read back from a body is what was written into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stored.h"
#include "util.h"

static struct codes *codes;

static int setup(void **state)
{
	char error[300];
	(void)state;
	codes = codes_load("config", error, sizeof(error));
	return codes ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	codes_free(codes);
	return 0;
}

/* Every kind of the table, with every number of decimals, small and large. */
static void test_written_and_read(void **state)
{
	(void)state;
	static const int64_t numbers[] = {0, 1000, 7100, 65350, 33300, -18500, 999999000, 23154};
	const struct code *code;
	for (size_t k = 0; (code = codes_at(codes, k)); k++)
		for (size_t i = 0; i < ELEMENTS(numbers); i++) {
			int64_t step = code->decimals == 0 ? 1000 : code->decimals == 1 ? 100 : 10;
			int64_t milli = numbers[i] / step * step;
			struct reading r = {.n_quantities = 1,
				.n_flags = 2,
				.flags = {"body_movement", "irregular_pulse"}};
			r.quantities[0] = (struct quantity){.code = code,
				.value = {milli, code->decimals},
				.comparator = i % 2 ? '>' : 0};
			struct json j = {0};
			json_object_begin(&j, NULL);
			reading_json_body(&r, &j, true);
			json_object_end(&j);
			_cleanup_(stored_endp) struct stored *s = stored_read(codes, json_text(&j));
			json_free(&j);
			assert_non_null(s);
			const struct reading *back = stored_reading(s);
			assert_int_equal(back->n_quantities, 1);
			assert_ptr_equal(back->quantities[0].code, code);
			assert_int_equal(back->quantities[0].value.milli, milli);
			assert_int_equal(back->quantities[0].value.decimals, code->decimals);
			assert_int_equal(back->quantities[0].comparator, i % 2 ? '>' : 0);
			assert_int_equal(back->n_flags, 2);
			assert_string_equal(back->flags[1], "irregular_pulse");
			assert_true(back->user == -1 && back->seq == -1);
		}
}

static void test_odd_bodies(void **state)
{
	(void)state;
	static const char *const none[] = {"", "{", "[]", "{}", "{\"flags\":[]}"};
	for (size_t i = 0; i < ELEMENTS(none); i++)
		assert_null(stored_read(codes, none[i]));
	_cleanup_(stored_endp) struct stored *s = stored_read(codes,
		"{\"values\":{\"of.former.times\":{\"value\":3},\"weight\":{\"value\":65.35}},"
		"\"flags\":[1,\"motion\"]}");
	assert_non_null(s);
	assert_int_equal(stored_reading(s)->n_quantities, 1);
	assert_int_equal(stored_reading(s)->quantities[0].value.milli, 65350);
	assert_int_equal(stored_reading(s)->n_flags, 1);
	stored_end(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read),
		cmocka_unit_test(test_odd_bodies),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
