/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Named states of instruments, and what enrolment recognises: tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "enrol_judge.h"
#include "enrol_match.h"
#include "util.h"

#define A "C0:00:00:00:00:0A"
#define B "C0:00:00:00:00:0B"

static const char *judged(const struct enrol_known *all, size_t n, size_t i, size_t expected_other)
{
	size_t other = 99;
	const char *name = enrol_advice(enrol_judge(all, n, i, &other))->name;
	assert_int_equal(other, expected_other);
	return name;
}

static void test_known_devices(void **state)
{
	(void)state;
	static const struct {
		struct enrol_known k;
		const char *state;
	} one[] = {
		{{"a", A, "", "", "waiting", 0}, "fine"},
		{{"a", A, "sn:1", "", "waiting", 1}, "fine"},
		{{"a", A, "sn:1", "sn:1", "connected", 1}, "fine"},
		{{"a", A, "sn:1", "sn:2", "connected", 1}, "reset"},
		{{"a", A, "sn:1", "addr:" A, "connected", 1}, "reset"},
		{{"a", A, "addr:" A, "sn:1", "waiting", 1}, "reset"},
		{{"a", A, "", "sn:1", "connected", 0}, "fine"},
		{{"a", A, "sn:1", "sn:1", "unpaired", 1}, "bond_lost_there"},
		{{"a", A, "sn:1", "sn:1", "unpaired", 0}, "bond_lost_here"},
		{{"a", A, "sn:1", "sn:1", "unpaired", -ENOENT}, "bond_lost_here"},
		/* another instrument matters more than its keys */
		{{"a", A, "sn:1", "sn:2", "unpaired", 1}, "reset"},
	};
	for (size_t i = 0; i < ELEMENTS(one); i++)
		assert_string_equal(judged(&one[i].k, 1, 0, 0), one[i].state);
}

static void test_one_serial_at_two_addresses(void **state)
{
	(void)state;
	struct enrol_known two[] = {{"a", A, "sn:1", "sn:1", "waiting", 1},
		{"b", B, "", "sn:1", "connected", 1}, {"c", "C0:00:00:00:00:0C", "", "", "", 0}};
	assert_string_equal(judged(two, 3, 0, 1), "cloned");
	assert_string_equal(judged(two, 3, 1, 0), "cloned");
	assert_string_equal(judged(two, 3, 2, 2), "fine");
	/* not seen since the start: what was recorded counts */
	two[0].says = "";
	assert_string_equal(judged(two, 3, 1, 0), "cloned");
	/* no serial number is none, however often */
	two[0].uid = two[1].says = "addr:x";
	assert_string_equal(judged(two, 3, 1, 1), "fine");
	assert_true(enrol_is_serial("sysid:0102") && enrol_is_serial("sn:1/sysid:0102"));
	assert_false(enrol_is_serial("line:x") || enrol_is_serial(""));
}

static void test_one_that_is_enrolled(void **state)
{
	(void)state;
	static const struct {
		const char *old_link, *uid, *says;
		bool replaces;
		const char *state;
	} rows[] = {
		{"waiting", "", "sn:9", false, "fine"},
		{"waiting", "", "addr:" B, false, "fine"},
		{"waiting", "", "sn:1", false, "address_changed"},
		{"setting-up", "", "sn:1", false, "address_changed"},
		{"connected", "", "sn:1", false, "cloned"},
		{"waiting", "sn:9", "sn:9", true, "fine"},
		{"waiting", "sn:9", "sn:8", true, "not_the_same"},
		{"waiting", "", "sn:9", true, "not_the_same"},
		/* two without a serial number cannot be told from each other */
		{"waiting", "addr:" B, "addr:" B, true, "not_the_same"},
	};
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		const struct enrol_known all[] = {{"old", A, "sn:1", "", rows[i].old_link, 1},
			{"new", B, rows[i].uid, rows[i].says, "connected", 1}};
		size_t other;
		enum enrol_state s = enrol_judge_new(all, 2, 1, rows[i].replaces, &other);
		assert_string_equal(enrol_advice(s)->name, rows[i].state);
		assert_int_equal(other, streq(rows[i].says, "sn:1") ? 0 : 1);
	}
}

static void test_two_of_one_name(void **state)
{
	(void)state;
	const struct bluez_seen a = {.address = A, .name = "BP"}, b = {.address = B, .name = "BP"},
				c = {.address = "x"}, d = {.address = "y"};
	const struct bluez_seen *seen[] = {&a, &b, &c, &d};
	assert_int_equal(enrol_judge_seen(seen, 4, 0), ENROL_SAME_NAME);
	assert_int_equal(enrol_judge_seen(seen, 4, 1), ENROL_SAME_NAME);
	assert_int_equal(enrol_judge_seen(seen, 4, 2), ENROL_FINE); /* no name is no name */
	assert_int_equal(enrol_judge_seen(seen, 1, 0), ENROL_FINE);
}

static void test_every_state_has_words_and_a_next_step(void **state)
{
	(void)state;
	for (int i = 0; i < ENROL_STATES; i++) {
		const struct enrol_advice *a = enrol_advice((enum enrol_state)i);
		assert_true(a->name && a->en && a->zh && a->next_en && a->next_zh);
		assert_true(i == ENROL_FINE || (*a->next_en && *a->next_zh));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(a->name, enrol_advice((enum enrol_state)k)->name);
	}
	struct json j = {0};
	json_object_begin(&j, NULL);
	enrol_advice_json(&j, "x", ENROL_KNOWN, "cuff-1");
	json_object_end(&j);
	assert_non_null(strstr(
		json_text(&j), "\"next_en\":\"to enrol it anew: vitalgate unenrol cuff-1\""));
	assert_non_null(strstr(json_text(&j), "\"other\":\"cuff-1\""));
	json_free(&j);
}

/* models */

static const struct vg_model models[] = {
	{.title = "service", .service16 = 0x1810},
	{.title = "second", .service16 = 0x1810},
	{.title = "company", .service16 = 0x1810, .company = 0x020e},
	{.title = "name", .name = "A&D_UA-651", .service16 = 0x1810},
	{.title = "long", .service128 = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
	{.title = "nothing"},
};
static const struct vg_driver driver = {
	.name = "d", .models = models, .n_models = ELEMENTS(models)};

static const char *recognised(const struct bluez_seen *s)
{
	const struct vg_model *m = enrol_match_driver(&driver, s);
	return m ? m->title : "none";
}

static void test_models(void **state)
{
	(void)state;
	static const uint8_t bp[16] = {
		0xfb, 0x34, 0x9b, 0x5f, 0x80, 0, 0, 0x80, 0, 0x10, 0, 0, 0x10, 0x18};
	struct bluez_seen s = {.name = "A&D_UA-651BLE_1"};
	assert_string_equal(recognised(&s), "none"); /* the name alone is not all that is given */
	memcpy(s.services[1], bp, 16);
	s.n_services = 2;
	assert_int_equal(enrol_service16(bp), 0x1810);
	assert_string_equal(recognised(&s), "name");
	s.company = 0x020e;
	assert_string_equal(recognised(&s), "name");
	strcpy(s.name, "BLESmart");
	assert_string_equal(recognised(&s), "company");
	s.company = 0x0001;
	assert_string_equal(recognised(&s), "service");
	memcpy(s.services[1], models[4].service128, 16);
	assert_int_equal(enrol_service16(s.services[1]), 0);
	assert_string_equal(recognised(&s), "long");
}

static void test_options_of_a_model(void **state)
{
	(void)state;
	struct config_device d = {.n_options = 1};
	assert_true(enrol_match_options(&models[0], &d) && d.n_options == 0);
	const struct vg_model two = {.options = "clock=set quirk=beurer"};
	assert_true(enrol_match_options(&two, &d));
	assert_string_equal(config_option(&d, "clock"), "set");
	assert_string_equal(config_option(&d, "quirk"), "beurer");
	assert_int_equal(d.n_options, 2);
	const struct vg_model bad = {.options = "clock"};
	assert_false(enrol_match_options(&bad, &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_devices),
		cmocka_unit_test(test_one_serial_at_two_addresses),
		cmocka_unit_test(test_one_that_is_enrolled),
		cmocka_unit_test(test_two_of_one_name),
		cmocka_unit_test(test_every_state_has_words_and_a_next_step),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_options_of_a_model),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("enrol_judge", tests, NULL, NULL);
}
