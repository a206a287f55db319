/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Patterns for lines and formats for times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <vitalgate/pattern.h>

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static void test_patterns(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text, *how; /* how NULL: it does not fit */
	} cases[] = {
		{"", "", ""},
		{"", "a", NULL},
		{"*", "", ""},
		{"**", "ab", "**"},
		{"ab", "aB", "ab"},
		{"ab", "abc", NULL},
		{"ab", "a", NULL},
		{"a b", "a  b", NULL},
		{"#", "7", "#"},
		{"#", "a", NULL},
		{"#", "-", NULL},
		{"$$", "aF", "$$"},
		{"$$", "9g", NULL},
		{"?", " ", "?"},
		{"?", "", NULL},
		{"?*", "", NULL},
		{"[]", "{}", NULL}, /* of letters alone are there two sizes */
		{"@", "`", NULL},
		{"a*b", "ab", "ab"},
		{"a*b", "axbyb", "a***b"},
		{"a*b*", "axbyb", "a*b**"},
		{"*#", "a1b", NULL},
		{"*#*#", "a1b2", "*#*#"},
		{"*ab", "aab", "*ab"},
		{"*aab", "aaab", "*aab"},
		{"*ab*ab", "abab", "abab"},
		{"*ab*ab", "abxbab", "ab**ab"},
		{"*.#", "1.2.3", "***.#"},
		{"a*b*c", "abcb", NULL},
		{"EXC=$$", "EXC=0G", NULL},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char how[16] = "";
		size_t len = strlen(cases[i].text);
		bool fits = vg_pattern_fits(cases[i].pattern, vg_text_of(cases[i].text, len), how);
		assert_int_equal(fits, cases[i].how != NULL);
		how[len] = 0;
		if (fits)
			assert_string_equal(how, cases[i].how);
	}
}

/* Many stars and no end: it must not take for ever. */
static void test_a_pattern_takes_its_time_and_no_more(void **state)
{
	(void)state;
	char text[512], how[512];
	memset(text, 'a', sizeof(text));
	assert_false(vg_pattern_fits(
		"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", vg_text_of(text, sizeof(text)), how));
	assert_true(vg_pattern_fits(
		"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", vg_text_of(text, sizeof(text)), how));
}

static void test_times(void **state)
{
	(void)state;
	static const struct {
		const char *format, *text;
		struct vg_civil civil; /* year 0: not such a time */
	} cases[] = {
		{"DD-MMM-YY hh:mm:ss", "29-FEB-28 23:59:59", {2028, 2, 29, 23, 59, 59}},
		{"DD-MMM-YY hh:mm:ss", "31-Dec-27   00:00:00", {2027, 12, 31, 0, 0, 0}},
		{"DD-MMM-YY hh:mm:ss", "9-Feb-28 23:59:59", {0}},
		{"DD-MMM-YY hh:mm:ss", "29-Feb-27 23:59:59", {0}},
		{"DD-MMM-YY hh:mm:ss", "31-Apr-27 23:59:59", {0}},
		{"DD-MMM-YY hh:mm:ss", "31-Mai-27 23:59:59", {0}},
		{"DD-MMM-YY hh:mm:ss", "31-Dec-2700:00:00", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/2027 00.00", {2027, 12, 31, 0, 0, 0}},
		{"MM/DD/YYYY hh.mm", "13/31/2027 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "00/31/2027 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/32/2027 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/00/2027 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "11/31/2027 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/2027 24.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/2027 00.60", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/0000 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/2027 00.00.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/2027 00.0", {0}},
		{"MM/DD/YYYY hh.mm", "+2/31/2027 00.00", {0}},
		{"MM/DD/YYYY hh.mm", "12/31/2027", {0}},
		{"YYYYMMDDThhmmss", "20000229T010203", {2000, 2, 29, 1, 2, 3}},
		{"YYYYMMDDThhmmss", "21000229T010203", {0}},
		{"YYYYMMDDThhmmss", "20270228T010260", {0}},
		{"YYYYMMDDThhmmss", "", {0}},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct vg_civil c = {0};
		bool good = vg_format_time(
			cases[i].format, vg_text_of(cases[i].text, strlen(cases[i].text)), &c);
		assert_int_equal(good, cases[i].civil.year != 0);
		assert_memory_equal(&c, &cases[i].civil, sizeof(c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_a_pattern_takes_its_time_and_no_more),
		cmocka_unit_test(test_times),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
