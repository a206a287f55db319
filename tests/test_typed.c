/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The check character of typed ids: known numbers, and each slip of a finger in some of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "typed.h"
#include "util.h"

/* The example of the GRid Standard (IFPI), which uses MOD 37,36 */
#define KNOWN "A1-2425G-ABC1234002-M"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* By the definition of the standard and not by its short cut: the check character that makes the sum 1. */
static char check_of(const char *id)
{
	int p = 36;
	for (; *id; id++) {
		int s = (p + (int)(strchr(digits, *id) - digits)) % 36;
		p = ((s ? s : 36) * 2) % 37;
	}
	return digits[(37 - p) % 36];
}

static void test_known(void **state)
{
	(void)state;
	assert_true(typed_proven(KNOWN));
	assert_true(typed_proven("a12425gabc1234002m"));
	assert_true(typed_proven("A1_2425G_ABC1234002_M_"));
	assert_int_equal(check_of("A12425GABC1234002"), 'M');
}

static void test_none(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "-", "0", "1", "A", "-A-", "A1-2425G-ABC1234002",
		"A1 2425G ABC1234002 M", "A1-2425G-ABC1234002-M\n", "A1-2425G-ABC1234002-*", "居"};
	for (size_t i = 0; i < ELEMENTS(bad); i++)
		assert_false(typed_proven(bad[i]));
}

static void test_slips(void **state)
{
	(void)state;
	static const char *const tokens[] = {"R0001", "1", "ZZ9Z", "A12425GABC1234002", "00000"};
	for (size_t t = 0; t < ELEMENTS(tokens); t++) {
		char id[32];
		size_t n = strlen(tokens[t]);
		snprintf(id, sizeof(id), "%s%c", tokens[t], check_of(tokens[t]));
		assert_true(typed_proven(id));
		for (size_t at = 0; at <= n; at++) {
			char was = id[at];
			for (const char *d = digits; *d; d++) {
				id[at] = *d;
				assert_true(typed_proven(id) == (*d == was));
			}
			id[at] = was;
			char next = id[at + 1];
			if (at == n || next == was)
				continue;
			id[at] = next; /* two changed places */
			id[at + 1] = was;
			assert_false(typed_proven(id));
			id[at] = was;
			id[at + 1] = next;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_slips),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("typed", tests, NULL, NULL);
}
