/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of the rules' numbers: whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "numbers.h"
#include "util.h"

static void test_ours(void **state)
{
	(void)state;
	char error[300] = "";
	struct numbers *n = numbers_load("config/followup.csv", error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(n);
	assert_int_equal(n->bp_visit_gap_s, 60);
	assert_int_equal(n->goal_t2dm_fasting_below, 7000);
	assert_int_equal(n->urgent_glucose_high, 16700);
	assert_int_equal(n->goal_htn_older_age, 65);
	assert_true(n->version[0]);
	numbers_free(n);
}

/* The table with one line replaced (by nothing: left out), or with one more. */
static struct numbers *changed(const char *line, const char *by, char *error, size_t size)
{
	static char text[16384], from[16384];
	char path[] = "/tmp/vitalgate-numbers-XXXXXX";
	_cleanup_(fclosep) FILE *f = fopen("config/followup.csv", "re");
	assert_non_null(f);
	from[fread(from, 1, sizeof(from) - 1, f)] = 0;
	char *at = strstr(from, line);
	assert_non_null(at);
	char *end = strchr(at, '\n') + 1;
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - from), from, by, end);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct numbers *n = numbers_load(path, error, size);
	unlink(path);
	return n;
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *by, *says;
	} all[] = {
		{"", "bp_visit,gap_s is missing"},
		{"bp_visit,gap_s,60,s,\n", "expected"}, /* no source */
		{"bp_visit,gap_s,-60,s,x\n", "expected"},
		{"bp_visit,gap_s,60.5,s,x\n", "expected"}, /* whole */
		{"bp_visit,gap_s,,s,x\n", "expected"},
		{"bp_visit,gap,60,s,x\n", "expected"},				/* unknown */
		{"bp_visit,gap_s,60,s,x\nbp_visit,gap_s,61,s,x\n", "expected"}, /* twice */
		{"bp_visit,gap_s,99999999999999999999,s,x\n", "expected"},
	};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char error[300] = "";
		assert_null(changed("bp_visit,gap_s", all[i].by, error, sizeof(error)));
		assert_non_null(strstr(error, all[i].says));
	}
}

static void test_decimals(void **state)
{
	(void)state;
	static const struct {
		const char *by;
		int64_t milli; /* -1: refused */
	} all[] = {{"7", 7000}, {"7.0", 7000}, {"7.25", 7250}, {"7.125", 7125}, {"7.1255", -1},
		{"7.x", -1}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char error[300] = "", line[100];
		snprintf(line, sizeof(line), "goal_t2dm,fasting_below,%s,mmol/L,x\n", all[i].by);
		struct numbers *n = changed("goal_t2dm,fasting_below", line, error, sizeof(error));
		assert_int_equal(n != NULL, all[i].milli >= 0);
		if (n)
			assert_int_equal(n->goal_t2dm_fasting_below, all[i].milli);
		numbers_free(n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_decimals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
