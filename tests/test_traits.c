/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a roster says of a person, as rules ask for it: each word, ages on their day, and the row of the store. */
#include "gateway_rig.h"

#include "traits.h"

static uint32_t trait(const char *name)
{
	uint32_t bit = trait_bit(trait_names, name, strlen(name));
	assert_int_not_equal(bit, 0);
	return bit;
}

static void expect_traits(const char *programmes, const char *populations, const char *conditions,
	const char *expected)
{
	struct person p = person_of(NULL, programmes, populations, conditions, NULL, 20000);
	uint32_t bits = 0;
	char list[200];
	snprintf(list, sizeof(list), "%s", expected);
	for (char *rest, *word = strtok_r(list, " ", &rest); word;
		word = strtok_r(NULL, " ", &rest))
		bits |= trait(word);
	print_message("# %s\n", expected);
	assert_true(p.known);
	assert_int_equal(p.traits, bits);
}

static void test_traits_of(void **state)
{
	(void)state;
	expect_traits("", "", "", "");
	expect_traits(NULL, NULL, NULL, "");
	expect_traits("", "", "pregnant", "pregnant");
	expect_traits("", "pregnant", "", "pregnant");
	expect_traits("", "elderly;pregnant;poverty", "breastfeeding;on_oxygen",
		"pregnant breastfeeding on_oxygen");
	expect_traits("", "", "copd;heart_failure", "copd heart_failure");
	expect_traits("copd", "", "", ""); /* a programme is no doctor's word */
	expect_traits("t2dm", "", "", "diabetes");
	expect_traits("", "diabetes", "", "diabetes");
	expect_traits("", "", "treated_diabetes", "diabetes treated_diabetes");
	expect_traits("hypertension", "", "", "hypertension");
	expect_traits("", "hypertension", "", "hypertension");
	expect_traits("elderly;t2dm;hypertension", "", "", "diabetes hypertension");
	expect_traits("", "child_0_6", "", "child");
	expect_traits("t2d;t2dmx;xt2dm", "pregnan", "copd2; copd", ""); /* whole words */
}

static void test_words(void **state)
{
	(void)state;
	struct person p =
		person_of(NULL, "hypertension;elderly", "mental;elderly", "", "home_bed", 20000);
	assert_int_equal(p.programmes, 1 << 0 | 1 << 3);
	assert_int_equal(p.populations, 1 << 0 | 1 << 9);
	assert_int_equal(p.setting, 1 << 2);
	assert_int_equal(person_of(NULL, "", "", "", "", 20000).setting, 0);
	/* the bits of conditions are those of traits */
	for (unsigned i = 0; trait_conditions[i]; i++)
		assert_string_equal(trait_conditions[i], trait_names[i]);
	assert_int_equal(trait_bit(trait_names, "child", 4), 0);
}

/* A child until the seventh birthday; of whom that cannot be said, no. */
static void test_child(void **state)
{
	(void)state;
	int32_t day = day_read("2026-11-22");
	static const struct {
		const char *birth;
		bool child;
	} all[] = {{"2019-11-22", false}, {"2019-11-23", true}, {"2026-11-22", true},
		{"2020", true}, {"2019", false}, {"0-6@2026-11-22", true},
		{"0-6@2026-11-21", false}, {"5-9@2026-11-22", false}, {"", false}, {"x", false},
		{NULL, false}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		struct person p = person_of(all[i].birth, "", "", "", "", day);
		print_message("# %s\n", all[i].birth ? all[i].birth : "-");
		assert_int_equal(p.traits, all[i].child ? trait("child") : 0);
	}
	struct person p = person_of("1960-01-01", "", "", "", "", day);
	assert_true(p.age.known);
	assert_int_equal(p.age.lo, 66);
	assert_int_equal(p.age.hi, 66);
}

static void test_load(void **state)
{
	(void)state;
	struct rig rig;
	struct person p;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	rig_script(&rig,
		"UPDATE resident SET programmes='t2dm',populations='pregnant',conditions='copd',"
		"setting='home',birth_date='1960-05-01' WHERE id=1; UPDATE resident SET "
		"birth_date=NULL,setting=NULL WHERE id=2");
	assert_int_equal(person_load(rig.db, 1, day_read("2026-04-30"), &p), 0);
	assert_true(p.known);
	assert_int_equal(p.traits, trait("diabetes") | trait("pregnant") | trait("copd"));
	assert_int_equal(p.setting, 1 << 1);
	assert_int_equal(p.age.lo, 65); /* on its day */
	assert_int_equal(person_load(rig.db, 1, day_read("2026-05-01"), &p), 0);
	assert_int_equal(p.age.lo, 66);
	assert_int_equal(person_load(rig.db, 2, 20000, &p), 0);
	assert_true(p.known && !p.age.known && !p.setting);
	assert_int_equal(person_load(rig.db, 0, 20000, &p), 0);
	assert_false(p.known);
	assert_int_equal(p.traits, 0);
	assert_int_equal(person_load(rig.db, 999, 20000, &p), 0);
	assert_false(p.known);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traits_of),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_load),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
