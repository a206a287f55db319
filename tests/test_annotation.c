/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words that a person may add to a reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "annotation.h"
#include "util.h"

static void test_words(void **state)
{
	(void)state;
	static const char *const all[][2] = {{"meal", "fasting"}, {"meal", "postprandial_2h"},
		{"meal", "random"}, {"arm", "left"}, {"arm", "right"}, {"posture", "sitting"},
		{"posture", "lying"}, {"posture", "standing"}, {"sample", "capillary"},
		{"sample", "venous"}, {"operator", "nurse"}, {"operator", "doctor"},
		{"operator", "village_doctor"}, {"operator", "volunteer"}, {"operator", "family"},
		{"operator", "self"}};
	struct annotation a;
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		assert_true(annotation_find(all[i][0], all[i][1], &a));
		assert_string_equal(a.key, all[i][0]);
		assert_string_equal(a.value, all[i][1]);
		/* each word belongs to one key only */
		assert_true(annotation_of_word(all[i][1], &a));
		assert_string_equal(a.key, all[i][0]);
	}
	assert_false(annotation_find("meal", "left", &a));
	assert_false(annotation_find("meal", "", &a));
	assert_false(annotation_find("", "left", &a));
	assert_false(annotation_find("leg", "left", &a));
	assert_false(annotation_of_word("meal", &a));
	assert_false(annotation_of_word("", &a));
	assert_false(annotation_of_word("Left", &a));
}

static void test_said(void **state)
{
	(void)state;
	static const char *const said[][3] = {{"2h", "meal", "postprandial_2h"},
		{"空腹", "meal", "fasting"}, {"餐后2小时", "meal", "postprandial_2h"},
		{"左臂", "arm", "left"}, {"坐位", "posture", "sitting"},
		{"末梢", "sample", "capillary"}, {"村医", "operator", "village_doctor"},
		{"本人", "operator", "self"}};
	struct annotation a;
	for (size_t i = 0; i < ELEMENTS(said); i++) {
		assert_true(annotation_of_word(said[i][0], &a));
		assert_string_equal(a.key, said[i][1]);
		assert_string_equal(a.value, said[i][2]);
	}
	/* as a value it has to be the word itself: a program does not say it otherwise */
	assert_false(annotation_find("meal", "2h", &a));
	assert_false(annotation_find("arm", "左", &a));
}

/* What people are told they may say is what is taken. */
static void test_told(void **state)
{
	(void)state;
	const char *words, *key;
	unsigned n = 0, taken = 0;
	for (; (key = annotation_key(n, &words)); n++) {
		char text[128], *save = NULL;
		struct annotation a;
		text_copy(text, sizeof(text), words, strlen(words));
		for (char *w = strtok_r(text, ", ", &save); w;
			w = strtok_r(NULL, ", ", &save), taken++)
			assert_true(annotation_find(key, w, &a));
	}
	assert_int_equal(n, ANNOTATIONS_MAX);
	assert_int_equal(taken, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words),
		cmocka_unit_test(test_said), cmocka_unit_test(test_told)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("annotation", tests, NULL, NULL);
}
