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
		{"20260131-1201", 8, ECG_ABSENT}, {"", 0, 0}, {"202", 0, 0}, {"20261", 0, 0},
		{"202601310809101", 0, 0}, {"2026013108091011", 0, 0}, {"20260131x", 0, 0},
		{"20260131+080", 0, 0}, {"20260131+08000", 0, 0}, {"20260131+0800x", 0, 0},
		{" 2026", 0, 0}, {"20260131 ", 0, 0}, {"2026-01-31", 0, 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct vg_civil civil = {.year = 1};
		int32_t tz = 1;
		assert_int_equal(stamp_read(cases[i].text, &civil, &tz), cases[i].digits);
		assert_int_equal(civil.year, cases[i].digits ? 2026 : 1);
		assert_int_equal(tz, cases[i].digits ? cases[i].tz : 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stamps),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
