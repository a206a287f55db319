/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What readers say is gathered within limits; leads that follow from others; dates. */
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
	memset(e, 0xa5, sizeof(*e));
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

static void at_first_everything_is_absent(void **state)
{
	const struct ecg *e = *state;
	const int32_t absent[] = {e->age.value, e->height.value, e->weight.value, e->urgency,
		e->tz_min, e->mains_hz, e->high_pass_mhz, e->low_pass_hz, e->notch_hz, e->hr, e->rr,
		e->pr, e->p, e->qrs, e->qt, e->qtc, e->p_axis, e->qrs_axis, e->t_axis};
	for (size_t i = 0; i < ELEMENTS(absent); i++)
		assert_int_equal(absent[i], ECG_ABSENT);
	assert_string_equal(e->format, "unknown");
	assert_null(e->rejected);
	assert_int_equal(e->n_leads + e->n_lines + e->n_warnings + e->room, 0);
	assert_int_equal(e->interval_ns + e->pv_per_lsb, 0);
	assert_int_equal(e->id[0] | e->last_name[0] | e->model[0] | e->sex, 0);
	ecg_free(NULL);
}

static void a_warning_is_said_once(void **state)
{
	struct ecg *e = *state;
	ecg_warn(e, "code", NULL);
	ecg_warn(e, "code", "detail");
	ecg_warn(e, "code", NULL);
	ecg_warn(e, "code", "detail");
	ecg_warn(e, "code", "other");
	assert_int_equal(e->n_warnings, 3);
	assert_string_equal(e->warnings[0], "code");
	assert_string_equal(e->warnings[1], "code: detail");
	assert_string_equal(e->warnings[2], "code: other");
}

static void there_is_a_last_warning(void **state)
{
	struct ecg *e = *state;
	char text[200];
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%0150u", i);
		ecg_warn(e, text + 100, NULL);
	}
	assert_int_equal(e->n_warnings, ECG_WARNINGS_MAX);
	assert_string_equal(e->warnings[ECG_WARNINGS_MAX - 2] + 48, "30");
	assert_string_equal(e->warnings[ECG_WARNINGS_MAX - 1], "more_warnings");
}

static void a_long_warning_is_cut(void **state)
{
	struct ecg *e = *state;
	char text[300];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	ecg_warn(e, "code", text);
	assert_int_equal(strlen(e->warnings[0]), sizeof(e->warnings[0]) - 1);
	ecg_reject(e, "code", text);
	assert_int_equal(strlen(e->detail), sizeof(e->detail) - 1);
}

static void the_first_rejection_stays(void **state)
{
	struct ecg *e = *state;
	ecg_reject(e, "first", NULL);
	ecg_reject(e, "second", "detail");
	assert_string_equal(e->rejected, "first");
	assert_string_equal(e->detail, "");
}

static void leads_have_limits(void **state)
{
	struct ecg *e = *state;
	e->pv_per_lsb = 5;
	struct ecg_lead *lead = ecg_add_lead(e, "a name that is too long", 0);
	assert_non_null(lead);
	assert_null(lead->samples);
	assert_int_equal(strlen(lead->name), sizeof(lead->name) - 1);
	assert_int_equal(lead->pv_per_lsb, 5);
	assert_int_equal(lead->n, 0);
	assert_null(ecg_add_lead(e, "II", ECG_LEAD_SAMPLES_MAX + 1));
	assert_string_equal(e->warnings[0], "too_many_samples: II");
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(ecg_add_lead(e, "V1", ECG_LEAD_SAMPLES_MAX));
	assert_null(ecg_add_lead(e, "V2", 1));
	assert_non_null(ecg_add_lead(e, "V3", 0));
	while (e->n_leads < ECG_LEADS_MAX)
		assert_non_null(ecg_add_lead(e, "X", 0));
	assert_null(ecg_add_lead(e, "Y", 0));
	assert_string_equal(e->warnings[e->n_warnings - 1], "too_many_leads");
	assert_false(e->failed);
	ecg_drop_leads(e);
	assert_int_equal(e->n_leads, 0);
	for (unsigned i = 0; i < 4; i++) /* there is room again */
		assert_non_null(ecg_add_lead(e, "I", ECG_LEAD_SAMPLES_MAX));
}

static void lines_have_limits(void **state)
{
	struct ecg *e = *state;
	char text[16] = "first";
	ecg_add_line(e, NULL, text);
	strcpy(text, "changed"); /* a copy was taken */
	assert_string_equal(e->lines[0].text, "first");
	while (e->n_lines < ECG_LINES_MAX)
		ecg_add_line(e, "text", "x");
	assert_int_equal(e->n_warnings, 0);
	ecg_add_line(e, "text", "x");
	assert_int_equal(e->n_lines, ECG_LINES_MAX);
	assert_string_equal(e->warnings[0], "too_many_lines");
	ecg_free(e);
	assert_int_equal(e->n_lines, 0);
	ecg_free(e);
}

/* --- derived leads */

static struct ecg_lead *add(struct ecg *e, const char *name, const int32_t *samples, uint32_t n)
{
	struct ecg_lead *lead = ecg_add_lead(e, name, n);
	assert_non_null(lead);
	for (; lead->n < n; lead->n++)
		lead->samples[lead->n] = samples[lead->n];
	return lead;
}

#define ADD(e, name, ...) \
	add(e, name, (int32_t[]){__VA_ARGS__}, ELEMENTS(((int32_t[]){__VA_ARGS__})))

static const struct ecg_lead *find(const struct ecg *e, const char *name)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		if (streq(e->leads[i].name, name))
			return &e->leads[i];
	return NULL;
}

static void expect(const struct ecg *e, const char *name, const int32_t *samples, uint32_t n)
{
	const struct ecg_lead *lead = find(e, name);
	assert_non_null(lead);
	assert_true(lead->derived);
	assert_int_equal(lead->n, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(lead->samples[i], samples[i]);
}

#define EXPECT(e, name, ...) \
	expect(e, name, (int32_t[]){__VA_ARGS__}, ELEMENTS(((int32_t[]){__VA_ARGS__})))

static void four_leads_follow_from_two(void **state)
{
	struct ecg *e = *state;
	e->pv_per_lsb = 7;
	ADD(e, "V1", 9);
	ADD(e, "II", 30, 1, -1, 0, 2, -3);
	ADD(e, "I", 10, 0, 0, 1, 1, -4);
	ecg_derive(e);
	assert_int_equal(e->n_leads, 7);
	static const char *const order[] = {"V1", "II", "I", "III", "aVR", "aVL", "aVF"};
	for (unsigned i = 0; i < 7; i++) {
		assert_string_equal(e->leads[i].name, order[i]);
		assert_int_equal(e->leads[i].derived, i > 2);
		assert_false(e->leads[i].truncated);
		assert_int_equal(e->leads[i].pv_per_lsb, 7);
	}
	EXPECT(e, "III", 20, 1, -1, -1, 1, 1);
	EXPECT(e, "aVR", -20, -1, 1, -1, -2, 4); /* 0.5, -0.5, 1.5 and 3.5 away from zero */
	EXPECT(e, "aVL", -5, -1, 1, 1, 0, -3);
	EXPECT(e, "aVF", 25, 1, -1, -1, 2, -1);
}

static void what_is_there_is_not_derived(void **state)
{
	struct ecg *e = *state;
	ADD(e, "I", 1, 2);
	ADD(e, "II", 3, 4);
	ADD(e, "aVL", 99);
	ecg_derive(e);
	assert_int_equal(e->n_leads, 6);
	assert_int_equal(find(e, "aVL")->samples[0], 99);
	assert_false(find(e, "aVL")->derived);
	ecg_derive(e);
	assert_int_equal(e->n_leads, 6);
}

static void without_two_equal_leads_nothing_is_derived(void **state)
{
	struct ecg *e = *state;
	ecg_derive(e);
	struct ecg_lead *i = ADD(e, "I", 1, 2);
	ecg_derive(e);
	struct ecg_lead *ii = ADD(e, "II", 3, 4);
	i->n = 1;
	ecg_derive(e);
	i->n = ii->n = 0;
	ecg_derive(e);
	i->n = ii->n = 2;
	ii->pv_per_lsb = 1;
	ecg_derive(e);
	assert_int_equal(e->n_leads, 2);
	i->pv_per_lsb = 1;
	ii->truncated = true;
	ecg_derive(e);
	assert_int_equal(e->n_leads, 6);
	assert_int_equal(find(e, "aVF")->pv_per_lsb, 1);
	assert_true(find(e, "aVF")->truncated);
}

static void a_derived_sample_has_the_same_range(void **state)
{
	struct ecg *e = *state;
	const int32_t top = ECG_SAMPLE_LIMIT;
	ADD(e, "I", 0, top, -top, 1);
	ADD(e, "II", top, top, top, 2);
	ecg_derive(e);
	EXPECT(e, "III", top, 0);
	EXPECT(e, "aVR", -4194304, -top, 0, -2);
	EXPECT(e, "aVL", -4194304, 4194304);
	EXPECT(e, "aVF", top, 4194304);
	assert_true(find(e, "III")->truncated);
	assert_false(find(e, "aVR")->truncated);
	assert_int_equal(e->n_warnings, 3);
	assert_string_equal(e->warnings[0], "sample_range: III");
}

static void dates_that_exist(void **state)
{
	(void)state;
	unsigned days = 0;
	for (uint16_t year = 1896; year <= 2004; year++)
		for (uint8_t month = 0; month < 20; month++)
			for (uint8_t day = 0; day < 40; day++)
				days += ecg_date_exists(
					&(struct vg_civil){year, month, day, 0, 0, 0}, 1897, 2003);
	assert_int_equal(days, 107 * 365 + 25); /* 1904..2000: 25 leap years, 1900 is none */
	assert_true(ecg_date_exists(&(struct vg_civil){2000, 2, 29, 0, 0, 0}, 1850, 2200));
	assert_false(ecg_date_exists(&(struct vg_civil){1900, 2, 29, 0, 0, 0}, 1850, 2200));
	for (unsigned v = 0; v < 256; v++) {
		assert_int_equal(ecg_time_exists(&(struct vg_civil){.hour = (uint8_t)v}), v < 24);
		assert_int_equal(ecg_time_exists(&(struct vg_civil){.minute = (uint8_t)v}), v < 60);
		assert_int_equal(ecg_time_exists(&(struct vg_civil){.second = (uint8_t)v}), v < 60);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(at_first_everything_is_absent),
		TEST(a_warning_is_said_once),
		TEST(there_is_a_last_warning),
		TEST(a_long_warning_is_cut),
		TEST(the_first_rejection_stays),
		TEST(leads_have_limits),
		TEST(lines_have_limits),
		TEST(four_leads_follow_from_two),
		TEST(what_is_there_is_not_derived),
		TEST(without_two_equal_leads_nothing_is_derived),
		TEST(a_derived_sample_has_the_same_range),
		TEST(dates_that_exist),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
