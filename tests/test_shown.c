/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "shown.h"

static struct shown h;

static void add(int value, int pulse, const char *flag)
{
	shown_add(&h, &(struct sample){.shown = true,
			      .value = value,
			      .pulse = pulse,
			      .flags = &flag,
			      .n_flags = flag != NULL});
}

static void test_median_is_the_lower_one_of_two(void **state)
{
	(void)state;
	shown_clear(&h);
	add(0, -1, NULL);
	assert_int_equal(shown_value(&h), 0);
	add(SHOWN_MOST, SHOWN_MOST, NULL);
	assert_int_equal(shown_value(&h), 0);
	add(97, 70, NULL);
	assert_int_equal(shown_value(&h), 97);
	assert_int_equal(shown_pulse(&h), 70); /* one that had none does not count */
	assert_int_equal(h.least, 0);
	assert_int_equal(h.most, SHOWN_MOST);
}

static void test_flags_are_kept_once_and_room_is_left_for_one_more(void **state)
{
	(void)state;
	static const char names[][3] = {"aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj",
		"kk", "ll", "mm", "nn", "oo", "pp", "qq"};
	const char *flags[VG_FLAGS_MAX];
	shown_clear(&h);
	add(1, -1, "aa");
	add(1, -1, "aa");
	assert_int_equal(shown_flags(&h, flags), 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(1, -1, names[i]);
	assert_int_equal(shown_flags(&h, flags), VG_FLAGS_MAX - 1);
	assert_string_equal(flags[0], "aa");
	assert_string_equal(flags[VG_FLAGS_MAX - 2], "oo");
	shown_clear(&h);
	assert_int_equal(shown_flags(&h, flags), 0);
}

static void test_an_unknown_time_is_a_gap_between_beats(void **state)
{
	(void)state;
	char text[SHOWN_TEXT_MAX];
	shown_clear(&h);
	shown_add(&h, &(struct sample){.shown = true,
			      .value = 60,
			      .pulse = -1,
			      .beat_before = 900,
			      .beats = {1000, 0, 700, 710},
			      .n_beats = 4});
	assert_int_equal(h.beats.n, 3);
	assert_int_equal(h.beats.n_steps, 2);	     /* 900 to 1000, 700 to 710 */
	assert_int_equal(beats_rmssd(&h.beats), 71); /* of (10000 + 100) / 2 = 5050 */
	size_t len = shown_write(&h, "hr", text, sizeof(text));
	assert_string_equal(
		text, "hr 60:1 beats 3 shortest 700 longest 1000 steps 2 squares 10100");
	assert_int_equal(len, strlen(text));
}

static void test_the_root_is_the_nearest_number(void **state)
{
	(void)state;
	for (int i = 0; i <= 2800; i++) {
		uint64_t square = (uint64_t)i * (uint64_t)i, half = (uint64_t)i;
		struct beats b = {.n_steps = 1, .squares = square};
		assert_int_equal(beats_rmssd(&b), i);
		b.squares = square + half; /* below i + 0.5 */
		assert_int_equal(beats_rmssd(&b), i);
		b.squares++;
		assert_int_equal(beats_rmssd(&b), i + 1);
	}
}

/* Every value there can be, each as often as can be counted. */
static void test_the_longest_text_fits(void **state)
{
	(void)state;
	static char text[SHOWN_TEXT_MAX];
	shown_clear(&h);
	h.n = h.n_pulse = 1;
	memset(h.values, 0xff, sizeof(h.values));
	memset(h.pulse, 0xff, sizeof(h.pulse));
	h.beats = (struct beats){.n = UINT32_MAX,
		.n_steps = UINT32_MAX,
		.shortest = BEAT_LEAST,
		.longest = BEAT_MOST,
		.squares = UINT64_MAX};
	assert_in_range(shown_write(&h, "spo2", text, sizeof(text)), 15000, sizeof(text) - 1);
	shown_clear(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median_is_the_lower_one_of_two),
		cmocka_unit_test(test_flags_are_kept_once_and_room_is_left_for_one_more),
		cmocka_unit_test(test_an_unknown_time_is_a_gap_between_beats),
		cmocka_unit_test(test_the_root_is_the_nearest_number),
		cmocka_unit_test(test_the_longest_text_fits),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
