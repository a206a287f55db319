/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What no file may be looser than: config/alerts.yaml with one thing changed, and what a file has to say to be so. */
#include "rule_rig.h"

static char *whole; /* config/alerts.yaml */

static int open_file(void **state)
{
	_cleanup_(fclosep) FILE *f = fopen("config/alerts.yaml", "re");
	whole = calloc(1, 131072);
	assert_true(f && whole);
	assert_in_range(fread(whole, 1, 131071, f), 1, 131070);
	return rule_rig_open(state);
}

static int close_file(void **state)
{
	free(whole);
	return rule_rig_close(state);
}

/* The file with one text in the place of another; free() it. */
static char *changed(const char *old, const char *new)
{
	char *at = strstr(whole, old), *text = calloc(1, 140000);
	assert_true(at && text);
	sprintf(text, "%.*s%s%s", (int)(at - whole), whole, new, at + strlen(old));
	return text;
}

static void looser(const char *old, const char *new, const char *what)
{
	char error[600] = "";
	_cleanup_(freep) char *text = changed(old, new);
	assert_null(rule_text(text, error, sizeof(error)));
	print_message("# %s\n", error);
	assert_non_null(strstr(error, "looser than the national rules"));
	assert_non_null(strstr(error, what));
	assert_true(error[0] == ':' && error[1] >= '1' && error[1] <= '9');
}

static void not_looser(const char *old, const char *new)
{
	_cleanup_(freep) char *text = changed(old, new);
	alert_rules_free(rule_good(text));
}

#define SBP \
	"id: sbp-critical-high, condition: bp-high, kind: bp.sbp, advice: bp-high, at_least: 180, margin: 5"
#define SBP_WITH(whom, limit)                                                                   \
	"id: sbp-critical-high, condition: bp-high, kind: bp.sbp, advice: bp-high, " whom limit \
	", margin: 5"
#define SBP_SAID "bp.sbp >= 180 to be critical of every adult"

static void test_pressure(void **state)
{
	(void)state;
	looser(SBP, SBP_WITH("not: [child], ", "at_least: 181"), SBP_SAID);
	looser(SBP, SBP_WITH("not: [child], ", "above: 180"), SBP_SAID);
	not_looser(SBP, SBP_WITH("not: [child], ", "above: 179.9"));
	not_looser(SBP, SBP_WITH("", "at_least: 175"));
	not_looser(SBP, SBP_WITH("not: [child], ", "at_least: 180")); /* of every adult */
	looser(SBP, SBP ", enabled: false", SBP_SAID);
	looser(SBP, SBP ", usual_by: 30", SBP_SAID);
	looser(SBP, SBP_WITH("not: [child, pregnant], ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("trait: [hypertension], ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("programme: [hypertension], ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("population: [hypertension], ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("setting: [home, clinic, home_bed, care_home], ", "at_least: 180"),
		SBP_SAID);
	looser(SBP, SBP_WITH("altitude_below: 5000, ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("altitude_from: 1, ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("age_below: 80, unknown: fires, ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("age_from: 18, ", "at_least: 180"), SBP_SAID);
	looser(SBP, SBP_WITH("age_from: 19, unknown: fires, ", "at_least: 180"), SBP_SAID);
	not_looser(SBP, SBP_WITH("age_from: 18, unknown: fires, ", "at_least: 180"));
	looser("kind: bp.dbp, advice: bp-high, at_least: 110",
		"kind: bp.dbp, advice: bp-high, at_least: 110.001", "bp.dbp >= 110 to be critical");
	/* not critical is not told at once */
	looser("at_least: 180, margin: 5, severity: critical",
		"at_least: 180, margin: 5, severity: warning", SBP_SAID);
}

static void test_glucose(void **state)
{
	(void)state;
	looser("at_least: 16.7", "at_least: 16.8", "glu.* >= 16.7");
	looser("kind: \"glu.*\", advice: glucose-high, at_least: 16.7",
		"kind: glu.fasting, advice: glucose-high, at_least: 16.7", "glu.* >= 16.7");
	looser("trait: [treated_diabetes], unknown: fires, at_most: 3.9",
		"trait: [treated_diabetes], unknown: fires, below: 3.9", "glu.* <= 3.9");
	looser("trait: [treated_diabetes], unknown: fires, at_most: 3.9",
		"trait: [treated_diabetes], not: [pregnant], at_most: 3.9", "glu.* <= 3.9");
	not_looser("id: glucose-diabetes-low, condition: glucose-low",
		"id: glucose-diabetes-low, enabled: false");
	looser("advice: glucose-low, below: 3.0", "advice: glucose-low, at_most: 2.8",
		"glu.* < 3.0");
	looser("advice: glucose-low, below: 3.0",
		"advice: glucose-low, trait: [diabetes], below: 3.0", "glu.* < 3.0");
	not_looser("advice: glucose-low, below: 3.0", "advice: glucose-low, at_most: 2.9");
}

static void test_times(void **state)
{
	(void)state;
	looser("page_s: 7200", "page_s: 7199", "late.page_s of at least 7200");
	not_looser("page_s: 7200", "page_s: 7201");
	looser("\n  within_s: 600", "\n  within_s: 601", "repeat.within_s of at most 600");
	looser("critical_s: 900", "critical_s: 3601", "escalate.critical_s of at most 3600");
	not_looser("critical_s: 900", "critical_s: 3600");
	not_looser("least: warning", "least: critical");
}

/* Said once it is a slip; said twice in the same words it is meant. */
static void test_accepted(void **state)
{
	(void)state;
#define LOOSE(more) "page_s: 7199}\n" more "\nrules:\n"
	static const struct {
		const char *more, *word; /* NULL: it is taken */
	} all[] = {{"accept_looser: stock of the county", "stands a second time"},
		{"accept_looser_again: stock of the county", "twice"},
		{"accept_looser: stock of the county\naccept_looser_again: stock of the township",
			"stands a second time"},
		{"accept_looser: stock of the county\naccept_looser_again: stock of the county",
			NULL}};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		char error[600] = "", new[300];
		snprintf(new, sizeof(new), LOOSE("%s"), all[i].more);
		_cleanup_(freep) char *text = changed("page_s: 7200}\n\nrules:\n", new);
		struct alert_rules *r = rule_text(text, error, sizeof(error));
		print_message("# %s\n", error);
		if (all[i].word)
			assert_non_null(strstr(error, all[i].word));
		assert_int_equal(r != NULL, !all[i].word);
		alert_rules_free(r);
	}
	/* what is accepted for nothing would accept something later */
	char error[600] = "";
	_cleanup_(freep) char *text =
		changed("\nrules:\n", "\naccept_looser: a\naccept_looser_again: a\nrules:\n");
	assert_null(rule_text(text, error, sizeof(error)));
	assert_non_null(strstr(error, "take it out"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_glucose),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_accepted),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rule_national", tests, open_file, close_file);
}
