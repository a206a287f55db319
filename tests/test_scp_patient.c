/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Section 1 of SCP-ECG: every tag that is read, what is too short, what cannot be, charsets. */
#include "scp_rig.h"

#define SECTION_1(r) (&(r)->sections[1])

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
	ecg_text_init();
	rig_start(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_stop(*state);
	free(*state);
	return 0;
}

/* Section 1 with one more tag; what the reader says of it. */
static struct ecg *with(struct rig *r, unsigned tag, const char *bytes, size_t len)
{
	rig_patient(r, 0);
	rig_tag(r, tag, bytes, len);
	rig_expect(r, "");
	return r->e;
}

#define WITH(r, tag, text) with(r, tag, text, sizeof(text) - 1)

static void names_and_id_are_texts(void **state)
{
	struct rig *r = *state;
	rig_patient(r, 0);
	rig_tag_text(r, 0, " TEST ");
	rig_tag(r, 1, "ONE\0TWO", 7);
	rig_tag_text(r, 3, "SECOND");
	rig_expect(r, "");
	assert_string_equal(r->e->id, "R-0001");
	assert_string_equal(r->e->last_name, "TEST");
	assert_string_equal(r->e->first_name, "ONE");
	WITH(r, 0, "");
	assert_string_equal(r->e->last_name, "");
	WITH(r, 0, "NO NUL");
	assert_string_equal(r->e->last_name, "NO NUL");
}

static void the_first_of_a_repeated_tag_counts(void **state)
{
	struct rig *r = *state;
	rig_patient(r, 0);
	rig_tag_text(r, 2, "R-0002");
	RIG_TAG(r, 8, 2);
	RIG_TAG(r, 8, 1);
	rig_expect(r, "");
	assert_string_equal(r->e->id, "R-0001");
	assert_int_equal(r->e->sex, 'F');
}

static void tags_end_at_255_or_at_the_end(void **state)
{
	struct rig *r = *state;
	rig_patient(r, 0);
	RIG_TAG(r, 8, 1);
	put(SECTION_1(r), "1", 255);
	rig_tag_text(r, 0, "BEHIND");
	put(SECTION_1(r), "12", 1, 9999);
	rig_expect(r, "");
	assert_int_equal(r->e->sex, 'M');
	assert_string_equal(r->e->last_name, "");

	rig_patient(r, 0);
	rig_tag_text(r, 0, "TEST");
	put(SECTION_1(r), "12", 1, 4);
	put(SECTION_1(r), "11", 'A', 'B');
	if (SECTION_1(r)->len % 2) /* no room for a pad byte */
		put(SECTION_1(r), "1", 'C');
	rig_expect(r, "section1_cut");
	assert_string_equal(r->e->last_name, "TEST");
	assert_string_equal(r->e->first_name, "");

	for (unsigned rest = 1; rest <= 2; rest++) { /* of a tag's head */
		rig_patient(r, 0);
		if ((SECTION_1(r)->len + rest) % 2)
			RIG_TAG(r, 9, 1, 2);
		assert_int_equal((SECTION_1(r)->len + rest) % 2, 0);
		for (unsigned i = 0; i < rest; i++)
			put(SECTION_1(r), "1", 8);
		rig_expect(r, "section1_cut");
	}
	out_clear(SECTION_1(r));
	put(SECTION_1(r), "12", 255, 0);
	rig_expect(r, "bad_date");
	assert_string_equal(r->e->id, "");
}

static void sexes(void **state)
{
	struct rig *r = *state;
	assert_int_equal(WITH(r, 8, "\1")->sex, 'M');
	assert_int_equal(WITH(r, 8, "\2")->sex, 'F');
	assert_int_equal(WITH(r, 8, "\0")->sex, 0);
	assert_int_equal(WITH(r, 8, "\3")->sex, 0);
	assert_int_equal(WITH(r, 8, "\x9")->sex, 0);
	assert_int_equal(WITH(r, 8, "")->sex, 0);
}

static void expect_amount(const struct ecg_amount *a, int32_t value, const char *unit)
{
	assert_int_equal(a->value, value);
	if (value != ECG_ABSENT)
		assert_string_equal(a->unit, unit);
}

static void age_height_weight(void **state)
{
	struct rig *r = *state;
	static const char *const ages[] = {NULL, "a", "mo", "wk", "d", "h", NULL};
	static const char *const heights[] = {NULL, "cm", "[in_i]", "mm", NULL};
	static const char *const weights[] = {NULL, "kg", "g", "[lb_av]", "[oz_av]", NULL};
	for (unsigned unit = 0; unit < ELEMENTS(weights) + 1; unit++) {
		const char *age = unit < ELEMENTS(ages) ? ages[unit] : NULL;
		const char *height = unit < ELEMENTS(heights) ? heights[unit] : NULL;
		const char *weight = unit < ELEMENTS(weights) ? weights[unit] : NULL;
		rig_patient(r, 0);
		RIG_TAG(r, 4, 39, 1, (uint8_t)unit);
		RIG_TAG(r, 6, 180, 0, (uint8_t)unit);
		RIG_TAG(r, 7, 85, 0, (uint8_t)unit);
		rig_expect(r, "");
		expect_amount(&r->e->age, age ? 256 + 39 : ECG_ABSENT, age);
		expect_amount(&r->e->height, height ? 180 : ECG_ABSENT, height);
		expect_amount(&r->e->weight, weight ? 85 : ECG_ABSENT, weight);
	}
	expect_amount(&WITH(r, 4, "\0\0\1")->age, 0, "a");
	expect_amount(&WITH(r, 6, "\0\0\1")->height, ECG_ABSENT, NULL);
	expect_amount(&WITH(r, 7, "\0\0\1")->weight, ECG_ABSENT, NULL);
	expect_amount(&WITH(r, 7, "\1\0\1")->weight, 1, "kg");
	expect_amount(&WITH(r, 6, "\1\0\3")->height, 1, "mm");
	expect_amount(&WITH(r, 4, "\1\1")->age, ECG_ABSENT, NULL);
	expect_amount(&WITH(r, 6, "MISSING")->height, ECG_ABSENT, NULL); /* text, as seen */
	expect_amount(&WITH(r, 7, "")->weight, ECG_ABSENT, NULL);
}

static void births(void **state)
{
	struct rig *r = *state;
	const struct vg_civil *b = &r->e->birth;
	WITH(r, 5, "\x9e\x07\3\4");
	assert_int_equal(b->year * 10000 + b->month * 100 + b->day, 19500304);
	static const struct {
		uint16_t year;
		uint8_t month, day;
		bool there;
	} cases[] = {{0, 0, 0, false}, {1849, 12, 31, false}, {1850, 1, 1, true},
		{2200, 12, 31, true}, {2201, 1, 1, false}, {1950, 0, 1, false},
		{1950, 13, 1, false}, {1950, 1, 0, false}, {1950, 1, 32, false},
		{1950, 4, 31, false}, {1950, 4, 30, true}, {1951, 2, 29, false},
		{1952, 2, 29, true}, {1900, 2, 29, false}, {2000, 2, 29, true},
		{2000, 2, 30, false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_patient(r, 0);
		RIG_TAG(r, 5, (uint8_t)cases[i].year, (uint8_t)(cases[i].year >> 8), cases[i].month,
			cases[i].day);
		rig_expect(r, "");
		assert_int_equal(b->year, cases[i].there ? cases[i].year : 0);
		assert_int_equal(b->day, cases[i].there ? cases[i].day : 0);
	}
	WITH(r, 5, "\x9e\x07\3");
	assert_int_equal(b->year, 0);
}

/* Tags 25 and 26; NULL: not there. */
static void expect_acquired(struct rig *r, const char *date, const char *time, bool there)
{
	rig_drop(r, 1);
	rig_tag_text(r, 2, "R-0001");
	if (date)
		rig_tag(r, 25, date, 4);
	if (time)
		rig_tag(r, 26, time, 3);
	rig_expect(r, there ? "" : "bad_date");
	const struct vg_civil *c = &r->e->acquired;
	assert_int_equal(c->year != 0, there);
	if (there) {
		assert_memory_equal(
			((uint8_t[]){(uint8_t)c->year, (uint8_t)(c->year >> 8), c->month, c->day}),
			date, 4);
		assert_memory_equal(((uint8_t[]){c->hour, c->minute, c->second}), time, 3);
	}
}

static void the_time_of_the_recording(void **state)
{
	struct rig *r = *state;
	expect_acquired(r, "\xea\x07\1\x1f", "\x08\x09\x0a", true);
	expect_acquired(r, "\xbc\x07\1\1", "\0\0\0", true);	      /* 1980 */
	expect_acquired(r, "\xbb\x07\x0c\x1f", "\0\0\0", false);      /* 1979 */
	expect_acquired(r, "\x98\x08\x0c\x1f", "\x17\x3b\x3b", true); /* 2200 */
	expect_acquired(r, "\x99\x08\1\1", "\0\0\0", false);	      /* 2201 */
	expect_acquired(r, "\xea\x07\2\x1d", "\0\0\0", false);	      /* no leap year */
	expect_acquired(r, "\xea\x07\1\x1f", "\x18\0\0", false);
	expect_acquired(r, "\xea\x07\1\x1f", "\0\x3c\0", false);
	expect_acquired(r, "\xea\x07\1\x1f", "\0\0\x3c", false);
	expect_acquired(r, NULL, "\0\0\0", false);
	expect_acquired(r, "\xea\x07\1\x1f", NULL, false);
	rig_drop(r, 1);
	RIG_TAG(r, 25, 0xea, 7, 1, 31);
	RIG_TAG(r, 26, 8, 9);
	rig_expect(r, "bad_date");
	rig_drop(r, 1);
	RIG_TAG(r, 25, 0xea, 7, 1);
	RIG_TAG(r, 26, 8, 9, 10);
	rig_expect(r, "bad_date");
}

static void the_time_zone(void **state)
{
	struct rig *r = *state;
	assert_int_equal(WITH(r, 34, "\xe0\x01\0\0\0")->tz_min, 480);
	assert_int_equal(WITH(r, 34, "\x30\xfd")->tz_min, -720);
	assert_int_equal(WITH(r, 34, "\x48\x03")->tz_min, 840);
	assert_int_equal(WITH(r, 34, "\0\0")->tz_min, 0);
	assert_int_equal(WITH(r, 34, "\x2f\xfd")->tz_min, ECG_ABSENT);
	assert_int_equal(WITH(r, 34, "\x49\x03")->tz_min, ECG_ABSENT);
	assert_int_equal(WITH(r, 34, "\xff\x7f")->tz_min, ECG_ABSENT);
	assert_int_equal(WITH(r, 34, "\xe0")->tz_min, ECG_ABSENT);
}

static void filters_and_urgency(void **state)
{
	struct rig *r = *state;
	assert_int_equal(WITH(r, 27, "\5\0")->high_pass_mhz, 50);
	assert_int_equal(WITH(r, 27, "\0\0")->high_pass_mhz, 0);
	assert_int_equal(WITH(r, 27, "\xff\xff")->high_pass_mhz, 655350);
	assert_int_equal(WITH(r, 27, "\5")->high_pass_mhz, ECG_ABSENT);
	assert_int_equal(WITH(r, 28, "\x96\0")->low_pass_hz, 150);
	assert_int_equal(WITH(r, 28, "\0\0")->low_pass_hz, ECG_ABSENT);
	assert_int_equal(WITH(r, 28, "\x96")->low_pass_hz, ECG_ABSENT);
	for (unsigned bits = 0; bits < 256; bits++) {
		struct ecg *e = with(r, 29, (char[]){(char)bits}, 1);
		assert_int_equal(e->notch_hz, bits & 2 ? 50 : bits & 1 ? 60 : ECG_ABSENT);
		assert_int_equal(e->artifact_filter, (bits & 4) != 0);
		assert_int_equal(e->baseline_filter, (bits & 8) != 0);
	}
	assert_int_equal(WITH(r, 24, "\1")->urgency, 1);
	assert_int_equal(WITH(r, 24, "\0")->urgency, 0);
	assert_int_equal(WITH(r, 24, "")->urgency, ECG_ABSENT);
	rig_patient(r, 0);
	rig_expect(r, "");
	assert_int_equal(r->e->high_pass_mhz, ECG_ABSENT);
	assert_int_equal(r->e->notch_hz, ECG_ABSENT);
	assert_int_equal(r->e->urgency, ECG_ABSENT);
}

/* Tag 14 with this code of a manufacturer and these strings, cut after `len` bytes. */
static struct ecg *with_device(struct rig *r, uint8_t code, uint8_t mains, const char *strings,
	size_t strings_len, size_t len)
{
	uint8_t device[256] = {[7] = code, [8] = 'M', 'O', 'D', 'E', 'L', '1', [18] = mains};
	device[14] = 'X'; /* behind the model */
	device[35] = 1;	  /* the length of the first string is not believed */
	memcpy(device + 36, strings, strings_len);
	rig_drop(r, 1);
	rig_tag_text(r, 2, "R-0001");
	RIG_TAG(r, 25, 0xea, 7, 1, 31);
	RIG_TAG(r, 26, 8, 9, 10);
	rig_tag(r, 14, device, MIN(36 + strings_len, len));
	rig_expect(r, "");
	return r->e;
}

#define STRINGS "PROGRAM\0SERIAL\0SOFTWARE\0SCP\0MAKER"
#define MORE_STRINGS STRINGS "\0SIXTH\0SEVENTH"
#define DEVICE(r, code, mains, strings) with_device(r, code, mains, strings, sizeof(strings), 999)

static void the_device(void **state)
{
	struct rig *r = *state;
	struct ecg *e = DEVICE(r, 8, 1, MORE_STRINGS);
	assert_string_equal(e->model, "MODEL1");
	assert_string_equal(e->serial, "SERIAL");
	assert_string_equal(e->software, "SOFTWARE");
	assert_string_equal(e->manufacturer, "MAKER");
	assert_int_equal(e->mains_hz, 50);
	assert_int_equal(DEVICE(r, 8, 2, "")->mains_hz, 60);
	assert_int_equal(DEVICE(r, 8, 0, "")->mains_hz, ECG_ABSENT);
	assert_int_equal(DEVICE(r, 8, 3, "")->mains_hz, ECG_ABSENT);
	e = DEVICE(r, 8, 1, "\0\0SOFT\0SCP\0");
	assert_string_equal(e->serial, "");
	assert_string_equal(e->software, "SOFT");
	assert_string_equal(e->manufacturer, "Mortara");
	static const char *const makers[] = {"", "Burdick", "Cambridge", "Compumed", "Datamed",
		"Fukuda", "HP", "Marquette", "Mortara", "Nihon Kohden", "Okin", "Quinton",
		"Siemens", "Spacelabs", "Telemed", "Hellige", "Esaote", "Schiller",
		"Picker-Schwarzer", "Elettronica Trentina", "Zwonitz"};
	for (unsigned code = 0; code < 256; code++) {
		const char *maker = code < ELEMENTS(makers) ? makers[code] : "";
		e = with_device(r, (uint8_t)code, 1, "", 0, 999);
		assert_string_equal(e->manufacturer, maker);
	}
}

static void a_cut_tag_14_says_what_it_can(void **state)
{
	struct rig *r = *state;
	for (size_t len = 0; len <= 36 + sizeof(STRINGS) - 1; len++) {
		struct ecg *e = with_device(r, 8, 1, STRINGS, sizeof(STRINGS) - 1, len);
		assert_string_equal(e->model, len >= 19 ? "MODEL1" : "");
		assert_int_equal(e->mains_hz, len >= 19 ? 50 : ECG_ABSENT);
		assert_int_equal(e->software[0], len > 51 ? 'S' : 0);
		size_t serial = len < 44 ? 0 : MIN(len - 44, (size_t)6);
		assert_int_equal(strlen(e->serial), serial);
		size_t maker = len < 64 ? 0 : len - 64;
		assert_int_equal(strncmp(e->manufacturer,
					 maker	     ? "MAKER"
					 : len >= 19 ? "Mortara"
						     : "",
					 maker ? maker : 99),
			0);
	}
}

static void names_in_the_charset_that_tag_14_names(void **state)
{
	struct rig *r = *state;
	rig_patient(r, 0x27);
	rig_tag_text(r, 0, "\xb2\xe2\xca\xd4"); /* GB 2312 */
	rig_tag_text(r, 1, "\xbc\xd7");
	rig_expect(r, "");
	assert_string_equal(r->e->last_name, "测试");
	assert_string_equal(r->e->first_name, "甲");

	rig_drop(r, 1); /* the names before the tag that has the charset */
	rig_tag_text(r, 0, "\xb2\xe2");
	RIG_TAG(r, 25, 0xea, 7, 1, 31);
	RIG_TAG(r, 26, 8, 9, 10);
	rig_device(r, 0x27);
	rig_expect(r, "");
	assert_string_equal(r->e->last_name, "测");

	rig_patient(r, 0x01);
	rig_tag_text(r, 0, "\xb2\xe2");
	rig_expect(r, "");
	assert_string_equal(r->e->last_name, "²â");
}

static void what_was_guessed_is_said_once(void **state)
{
	struct rig *r = *state;
	rig_patient(r, 0);
	rig_tag_text(r, 0, "测试");
	rig_tag_text(r, 1, "\xb2\xe2\xca\xd4");
	rig_expect(r, "charset_guessed");
	assert_string_equal(r->e->last_name, "测试");
	assert_string_equal(r->e->first_name, "测试");
	rig_drop(r, 1); /* no tag 14: nothing is declared */
	rig_tag_text(r, 0, "F\xf6r");
	RIG_TAG(r, 25, 0xea, 7, 1, 31);
	RIG_TAG(r, 26, 8, 9, 10);
	rig_expect(r, "charset_guessed");
	assert_string_equal(r->e->last_name, "För");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_and_id_are_texts),
		TEST(the_first_of_a_repeated_tag_counts),
		TEST(tags_end_at_255_or_at_the_end),
		TEST(sexes),
		TEST(age_height_weight),
		TEST(births),
		TEST(the_time_of_the_recording),
		TEST(the_time_zone),
		TEST(filters_and_urgency),
		TEST(the_device),
		TEST(a_cut_tag_14_says_what_it_can),
		TEST(names_in_the_charset_that_tag_14_names),
		TEST(what_was_guessed_is_said_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
