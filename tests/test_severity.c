/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "severity.h"

static void test_names(void **state)
{
	(void)state;
	static const char *const names[] = {"none", "notice", "warning", "critical"},
				 *const priorities[] = {"PN", "PL", "PM", "PH"};
	for (int s = SEVERITY_NONE; s <= SEVERITY_CRITICAL; s++) {
		assert_string_equal(severity_name(s), names[s]);
		assert_int_equal(severity_named(names[s]), s);
		assert_string_equal(severity_priority(s), priorities[s]);
	}
	assert_int_equal(severity_named("Critical"), SEVERITY_NONE);
	assert_int_equal(severity_named(""), SEVERITY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
