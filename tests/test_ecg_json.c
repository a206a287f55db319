/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recording as JSON, key by key. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "ecg/ecg.h"

static int setup(void **state)
{
	struct ecg *e = malloc(sizeof(*e));
	if (!e)
		return -1;
	ecg_init(e);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	ecg_free(*state);
	free(*state);
	return 0;
}

static void expect(const struct ecg *e, uint32_t samples, const char *json)
{
	struct json j = {0};
	ecg_json(e, samples, &j);
	assert_string_equal(json_text(&j), json);
	json_free(&j);
}

#define NO_ONE \
	"\"patient\":{},\"acquired_at\":null,\"tz_source\":\"none\",\"device\":{},\"filters\":{},"

static void what_is_always_there(void **state)
{
	struct ecg *e = *state;
	e->bytes = 17;
	expect(e, 0,
		"{\"format\":\"unknown\",\"bytes\":17," NO_ONE
		"\"leads\":[],\"measurements\":{},\"warnings\":[]}");
}

static void of_a_rejected_file_there_is_nothing_else(void **state)
{
	struct ecg *e = *state;
	e->format = "scp";
	e->hr = 60;
	text_copy(e->id, sizeof(e->id), "R-0001", 6);
	ecg_reject(e, "section_crc", "section 6");
	ecg_warn(e, "code", NULL);
	expect(e, 9,
		"{\"format\":\"scp\",\"bytes\":0,\"rejected\":\"section_crc\",\"detail\":\"section 6\","
		"\"warnings\":[\"code\"]}");
	e->detail[0] = 0;
	e->n_warnings = 0;
	expect(e, 9,
		"{\"format\":\"scp\",\"bytes\":0,\"rejected\":\"section_crc\",\"warnings\":[]}");
}

static void fill(struct ecg *e)
{
	e->format = "scp";
	e->bytes = 4 * 1024 * 1024;
	strcpy(e->id, "R-0001");
	strcpy(e->last_name, "测试");
	strcpy(e->first_name, "\"甲\"");
	e->sex = 'F';
	e->birth = (struct vg_civil){.year = 1950, .month = 3, .day = 4};
	e->age = (struct ecg_amount){0, "a"};
	e->height = (struct ecg_amount){180, "cm"};
	e->weight = (struct ecg_amount){85, "kg"};
	e->urgency = 0;
	e->acquired = (struct vg_civil){2026, 1, 31, 8, 9, 10};
	e->tz_min = 480;
	strcpy(e->manufacturer, "MAKER");
	strcpy(e->model, "MODEL");
	strcpy(e->serial, "SERIAL");
	strcpy(e->software, "SOFTWARE");
	e->mains_hz = 50;
	e->high_pass_mhz = 50;
	e->low_pass_hz = 150;
	e->notch_hz = 60;
	e->artifact_filter = e->baseline_filter = true;
	e->interval_ns = 2000000;
	e->pv_per_lsb = 3750000;
	e->hr = 75;
	e->rr = 800;
	e->pr = 157;
	e->p = 92;
	e->qrs = 88;
	e->qt = 360;
	e->qtc = 402;
	e->qtc_formula = "bazett";
	e->p_axis = 29;
	e->qrs_axis = -53;
	e->t_axis = 0;
}

static void everything_that_can_be_known(void **state)
{
	struct ecg *e = *state;
	fill(e);
	expect(e, 0,
		"{\"format\":\"scp\",\"bytes\":4194304,\"patient\":{\"id\":\"R-0001\",\"last_name\":\"测试\","
		"\"first_name\":\"\\\"甲\\\"\",\"sex\":\"F\",\"birth_date\":\"1950-03-04\","
		"\"age\":{\"value\":0,\"unit\":\"a\"},\"height\":{\"value\":180,\"unit\":\"cm\"},"
		"\"weight\":{\"value\":85,\"unit\":\"kg\"}},\"urgency\":0,"
		"\"acquired_at\":\"2026-01-31T08:09:10+08:00\",\"tz_source\":\"file\","
		"\"device\":{\"manufacturer\":\"MAKER\",\"model\":\"MODEL\",\"serial\":\"SERIAL\","
		"\"software\":\"SOFTWARE\",\"mains_hz\":50},"
		"\"filters\":{\"high_pass_hz\":0.05,\"low_pass_hz\":150,\"notch_hz\":60,\"artifact\":true,"
		"\"baseline\":true},\"interval_us\":2000,\"uv_per_lsb\":3.75,\"leads\":[],"
		"\"measurements\":{\"hr\":75,\"rr\":800,\"pr\":157,\"p\":92,\"qrs\":88,\"qt\":360,"
		"\"qtc\":402,\"qtc_formula\":\"bazett\",\"axis\":{\"p\":29,\"qrs\":-53,\"t\":0}},"
		"\"warnings\":[]}");
}

/* The value of a key, up to the next comma or bracket. */
static const char *value_of(const struct ecg *e, const char *key)
{
	static char text[256];
	struct json j = {0};
	char quoted[64];
	ecg_json(e, 0, &j);
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	const char *at = strstr(json_text(&j), quoted);
	snprintf(text, sizeof(text), "%s", at ? at + strlen(quoted) : "-");
	text[strcspn(text, ",}")] = 0;
	json_free(&j);
	return text;
}

static void numbers_are_exact_decimals(void **state)
{
	struct ecg *e = *state;
	static const struct {
		int64_t ns;
		const char *us;
	} intervals[] = {{0, "-"}, {1250000, "1250"}, {2777778, "2777.778"}, {1, "0.001"},
		{1000010, "1000.01"}, {100, "0.1"}, {10000000000, "10000000"}};
	static const struct {
		int64_t pv;
		const char *uv;
	} units[] = {{0, "-"}, {1, "0.000001"}, {2500000, "2.5"}, {1000000, "1"}, {10000000, "10"},
		{4882813, "4.882813"}, {65535000, "65.535"}};
	static const struct {
		int32_t mhz;
		const char *hz;
	} passes[] = {{ECG_ABSENT, "-"}, {0, "0"}, {50, "0.05"}, {655350, "655.35"}, {1000, "1"}};
	for (size_t i = 0; i < ELEMENTS(intervals); i++) {
		e->interval_ns = intervals[i].ns;
		assert_string_equal(value_of(e, "interval_us"), intervals[i].us);
	}
	for (size_t i = 0; i < ELEMENTS(units); i++) {
		e->pv_per_lsb = units[i].pv;
		assert_string_equal(value_of(e, "uv_per_lsb"), units[i].uv);
	}
	for (size_t i = 0; i < ELEMENTS(passes); i++) {
		e->high_pass_mhz = passes[i].mhz;
		assert_string_equal(value_of(e, "high_pass_hz"), passes[i].hz);
	}
}

static void times_and_their_offset(void **state)
{
	struct ecg *e = *state;
	static const struct {
		int32_t tz_min;
		const char *text, *source;
	} cases[] = {{ECG_ABSENT, "\"2026-01-31T08:09:10\"", "\"none\""},
		{0, "\"2026-01-31T08:09:10+00:00\"", "\"file\""},
		{-210, "\"2026-01-31T08:09:10-03:30\"", "\"file\""},
		{840, "\"2026-01-31T08:09:10+14:00\"", "\"file\""},
		{-5, "\"2026-01-31T08:09:10-00:05\"", "\"file\""}};
	e->acquired = (struct vg_civil){2026, 1, 31, 8, 9, 10};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		e->tz_min = cases[i].tz_min;
		assert_string_equal(value_of(e, "acquired_at"), cases[i].text);
		assert_string_equal(value_of(e, "tz_source"), cases[i].source);
	}
	e->acquired.year = 0;
	e->tz_min = 480; /* of no time */
	assert_string_equal(value_of(e, "acquired_at"), "null");
	assert_string_equal(value_of(e, "tz_source"), "\"none\"");
}

static void a_birth_or_none(void **state)
{
	struct ecg *e = *state;
	assert_string_equal(value_of(e, "birth_date"), "-");
	e->birth = (struct vg_civil){.year = 1950, .month = 3, .day = 4};
	assert_string_equal(value_of(e, "birth_date"), "\"1950-03-04\"");
}

static void leads_and_their_samples(void **state)
{
	struct ecg *e = *state;
	static const int32_t samples[] = {-8388607, 0, 8388607};
	e->pv_per_lsb = 1000000;
	struct ecg_lead *lead = ecg_add_lead(e, "I", 3);
	memcpy(lead->samples, samples, sizeof(samples));
	lead->n = 3;
	lead = ecg_add_lead(e, "V1", 1);
	lead->pv_per_lsb = 2500000;
	lead->derived = lead->truncated = true;
	ecg_add_lead(e, "V2", 0)->pv_per_lsb = 0;
#define AROUND(leads)                                                                      \
	"{\"format\":\"unknown\",\"bytes\":0," NO_ONE "\"uv_per_lsb\":1,\"leads\":[" leads \
	"],\"measurements\":{},\"warnings\":[]}"
#define V1 "\"name\":\"V1\",\"n\":0,\"derived\":true,\"truncated\":true,\"uv_per_lsb\":2.5"
	expect(e, 0,
		AROUND("{\"name\":\"I\",\"n\":3,\"derived\":false},{" V1
		       "},{\"name\":\"V2\",\"n\":0,\"derived\":false}"));
	expect(e, 2,
		AROUND("{\"name\":\"I\",\"n\":3,\"derived\":false,\"samples\":[-8388607,0]},{" V1
		       ",\"samples\":[]},{\"name\":\"V2\",\"n\":0,\"derived\":false,\"samples\":[]}"));
	expect(e, UINT32_MAX,
		AROUND("{\"name\":\"I\",\"n\":3,\"derived\":false,\"samples\":[-8388607,0,8388607]},{" V1
		       ",\"samples\":[]},{\"name\":\"V2\",\"n\":0,\"derived\":false,\"samples\":[]}"));
}

static void some_measurements(void **state)
{
	struct ecg *e = *state;
	e->qtc_formula = "hodges"; /* of nothing */
	assert_string_equal(value_of(e, "measurements"), "{");
	assert_string_equal(value_of(e, "qtc_formula"), "-");
	assert_string_equal(value_of(e, "axis"), "-");
	e->qtc = 400;
	assert_string_equal(value_of(e, "qtc_formula"), "\"hodges\"");
	e->t_axis = -360;
	assert_string_equal(value_of(e, "axis"), "{\"t\":-360");
	e->t_axis = ECG_ABSENT;
	e->qrs_axis = 1;
	assert_string_equal(value_of(e, "axis"), "{\"qrs\":1");
	e->qrs_axis = ECG_ABSENT;
	e->p_axis = 0;
	assert_string_equal(value_of(e, "axis"), "{\"p\":0");
}

static void what_was_written_about_it(void **state)
{
	struct ecg *e = *state;
	ecg_add_line(e, NULL, "LINE");
	assert_string_equal(value_of(e, "interpretation"), "-"); /* nobody said who */
	e->status = "confirmed";
	e->lines[0].type = "logic";
	assert_string_equal(value_of(e, "statements"), "[{\"type\":\"logic\"");
	e->lines[0].type = NULL;
	e->status = "original";
#define INTERPRETED(what)                                                                 \
	"{\"format\":\"unknown\",\"bytes\":0," NO_ONE "\"leads\":[],\"measurements\":{}," \
	"\"interpretation\":{\"status\":\"original\"," what "},\"warnings\":[\"code: detail\"]}"
	ecg_warn(e, "code", "detail");
	expect(e, 0, INTERPRETED("\"lines\":[\"LINE\"]"));
	e->interpreted = (struct vg_civil){2007, 3, 21, 11, 6, 0};
	e->tz_min = 0; /* of the recording */
	assert_string_equal(value_of(e, "at"), "\"2007-03-21T11:06:00\"");
	e->tz_min = ECG_ABSENT;
	e->interpreted.year = 0;
	ecg_add_line(e, "coded", "NSR");
	ecg_add_line(e, "", "?");
	ecg_add_line(e, NULL, "");
	expect(e, 0,
		INTERPRETED(
			"\"lines\":[\"LINE\",\"\"],\"statements\":[{\"type\":\"coded\",\"text\":\"NSR\"},"
			"{\"text\":\"?\"}]"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_always_there),
		TEST(of_a_rejected_file_there_is_nothing_else),
		TEST(everything_that_can_be_known),
		TEST(numbers_are_exact_decimals),
		TEST(times_and_their_offset),
		TEST(a_birth_or_none),
		TEST(leads_and_their_samples),
		TEST(some_measurements),
		TEST(what_was_written_about_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
