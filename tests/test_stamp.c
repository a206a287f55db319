/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times of HL7 and DICOM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ecg/stamp.h"

static void test_stamps(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned digits;
		int32_t tz;
	} cases[] = {{"2026", 4, ECG_ABSENT}, {"202601", 6, ECG_ABSENT},
		{"20260131", 8, ECG_ABSENT}, {"2026013108", 10, ECG_ABSENT},
		{"202601310809", 12, ECG_ABSENT}, {"20260131080910", 14, ECG_ABSENT},
		{"20260131080910.1234+0000", 14, 0}, {"20260131+1400", 8, 840},
		{"20260131-1200", 8, -720}, {"20260131+1401", 8, ECG_ABSENT},
		{"20260131-1201", 8, ECG_ABSENT}, {"20260131+0859", 8, 539},
		{"20260131+0860", 8, ECG_ABSENT}, {"", 0, 0}, {"202", 0, 0}, {"20261", 0, 0},
		{"202601310809101", 0, 0}, {"2026013108091011", 0, 0}, {"20260131x", 0, 0},
		{"20260131+080", 0, 0}, {"20260131+08000", 0, 0}, {"20260131+0800x", 0, 0},
		{" 2026", 0, 0}, {"2026:0", 0, 0}, {"20260131 ", 0, 0}, {"2026-01-31", 0, 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct vg_civil civil = {.year = 1};
		int32_t tz = 1;
		assert_int_equal(stamp_read(cases[i].text, &civil, &tz), cases[i].digits);
		assert_int_equal(civil.year, cases[i].digits ? 2026 : 1);
		assert_int_equal(tz, cases[i].digits ? cases[i].tz : 1);
	}
}

/* Each part stands in its own two digits, and what is not said is 0. */
static void test_parts(void **state)
{
	(void)state;
	static const char text[] = "20241231235958";
	for (unsigned n = 4; n <= 14; n += 2) {
		char cut[32];
		struct vg_civil c;
		int32_t tz;
		snprintf(cut, sizeof(cut), "%.*s-0100", (int)n, text);
		assert_int_equal(stamp_read(cut, &c, &tz), n);
		assert_int_equal(c.year, 2024);
		assert_int_equal(c.month, n > 4 ? 12 : 0);
		assert_int_equal(c.day, n > 6 ? 31 : 0);
		assert_int_equal(c.hour, n > 8 ? 23 : 0);
		assert_int_equal(c.minute, n > 10 ? 59 : 0);
		assert_int_equal(c.second, n > 12 ? 58 : 0);
		assert_int_equal(tz, -60);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_parts),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
