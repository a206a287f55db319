/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Profiles from files: the directories, who wins, names, and what is said about a profile of lines that is
 * wrong. Runs from the root of the repository: it reads config/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <vitalgate/line.h>

#include "driver.h"
#include "util.h"

static struct codes *codes;
static char place[64]; /* tables, with profiles/ below */
static char own[80];
static char error[512];

static int setup(void **state)
{
	(void)state;
	codes = codes_load("config", error, sizeof(error));
	return codes ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	codes_free(codes);
	return 0;
}

/* Two empty directories. */
static int begin(void **state)
{
	(void)state;
	char path[96];
	strcpy(place, "/tmp/vg-profile-XXXXXX");
	if (!mkdtemp(place))
		return -1;
	snprintf(path, sizeof(path), "%s/profiles", place);
	snprintf(own, sizeof(own), "%s/own", place);
	return mkdir(path, 0700) || mkdir(own, 0700);
}

static int end(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", place);
	return system(command);
}

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	_cleanup_(fclosep) FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
}

static void write_shipped(const char *name, const char *text)
{
	char directory[96];
	snprintf(directory, sizeof(directory), "%s/profiles", place);
	write_file(directory, name, text);
}

/* A good profile, line by line, so that a case can put another line in its place. */
static const char *const good[] = {
	"version: 7",								    /* 1 */
	"bus: line",								    /* 2 */
	"title: A cuff that prints",						    /* 3 */
	"title_zh: 会打印的血压计",						    /* 4 */
	"source: invented",							    /* 5 */
	"mode: reading",							    /* 6 */
	"kind: bp",								    /* 7 */
	"layout: pairs",							    /* 8 */
	"match: [\"S=* D=*\"]",							    /* 9 */
	"fields:",								    /* 10 */
	"  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg}",			    /* 11 */
	"  - {at: D, is: quantity, kind: bp.dbp, unit: kPa, marks: {\"*\": \"\"}}", /* 12 */
	"  - {at: W, is: flags, words: {M: moved, L: \"\"}, optional: true}",	    /* 13 */
	"without_value: [moved]",						    /* 14 */
	"notes: {position: sitting}",						    /* 15 */
};

static const char *good_with(unsigned line, const char *instead)
{
	static char text[4096];
	size_t n = 0;
	for (unsigned i = 0; i < ELEMENTS(good); i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s\n", i + 1 == line ? instead : good[i]);
	return text;
}

static struct drivers *load(void)
{
	error[0] = 0;
	return drivers_load(place, own, codes, error, sizeof(error));
}

static void test_good(void **state)
{
	(void)state;
	write_shipped("cuff_2.yaml", good_with(0, ""));
	struct drivers *d = load();
	assert_string_equal(error, "");
	const struct vg_driver *driver = drivers_find(d, "cuff_2");
	assert_non_null(driver);
	assert_string_equal(driver->name, "cuff_2");
	assert_string_equal(driver->title, "A cuff that prints");
	assert_string_equal(driver->title_zh, "会打印的血压计");
	assert_int_equal(driver->version, 7);
	assert_false(driver->experimental);
	assert_int_equal(driver->bus, VG_BUS_STREAM);
	assert_int_equal(driver->n_options, 0);
	assert_int_equal(driver->frame_max, VG_LINE_MAX);
	const struct vg_line *l = driver->profile;
	assert_int_equal(l->n_fields, 3);
	assert_int_equal(l->assign, '=');
	assert_int_equal(l->n_flags, 1);
	assert_int_equal(l->without_value, 1);
	assert_string_equal(l->fields[1].unit, "kPa");
	assert_string_equal(l->words[l->fields[1].word].text, "*");
	assert_string_equal(l->words[l->fields[2].word + 1].text, "L");
	assert_int_equal(l->words[l->fields[2].word].flags, 1);
	assert_string_equal(l->notes[0].text, "sitting");
	drivers_free(d);
}

static void test_samples_have_their_options(void **state)
{
	(void)state;
	write_shipped("a.yaml",
		"version: 1\nbus: line\ntitle: A\ntitle_zh: 甲\nsource: none\nexperimental: true\n"
		"mode: samples\nkind: spo2\nlayout: columns\nmatch: [\"###\"]\n"
		"fields:\n  - {at: 1-3, is: quantity, kind: spo2, unit: \"%\", scale: 0.1}\n");
	struct drivers *d = load();
	assert_string_equal(error, "");
	const struct vg_driver *driver = drivers_find(d, "a");
	assert_true(driver->experimental);
	assert_string_equal(driver->options[0].name, "mode");
	assert_int_equal(driver->n_options, 4);
	const struct vg_line *l = driver->profile;
	assert_true(l->samples);
	assert_int_equal(l->fields[0].from, 1);
	assert_int_equal(l->fields[0].to, 3);
	assert_int_equal(l->fields[0].scale.mantissa, 1);
	assert_int_equal(l->fields[0].scale.exponent, -1);
	drivers_free(d);
}

static void test_all_that_are_shipped(void **state)
{
	(void)state;
	static const char *const names[] = {"masimo_ascii1", "nellcor", "nonin_ascii",
		"gtech_scale", "hbp9030", "height_weight"};
	struct drivers *d = drivers_load("config", own, codes, error, sizeof(error));
	assert_string_equal(error, "");
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		const struct vg_driver *driver = drivers_find(d, names[i]);
		assert_non_null(driver);
		assert_true(driver->experimental); /* until bytes of a real one were seen */
	}
	drivers_free(d);
}

static void test_own_directory_wins(void **state)
{
	(void)state;
	write_shipped("cuff.yaml", good_with(0, ""));
	write_shipped("other.yaml", good_with(0, ""));
	write_file(own, "cuff.yaml", good_with(1, "version: 8"));
	write_file(own, "third.yaml", good_with(1, "version: 9"));
	struct drivers *d = load();
	assert_string_equal(error, "");
	assert_int_equal(drivers_find(d, "cuff")->version, 8);
	assert_int_equal(drivers_find(d, "other")->version, 7);
	assert_int_equal(drivers_find(d, "third")->version, 9);
	size_t n = 0;
	for (size_t i = 0; drivers_at(d, i); i++)
		n += streq(drivers_at(d, i)->name, "cuff");
	assert_int_equal(n, 1);
	drivers_free(d);
}

static void test_directories_may_be_empty_or_missing(void **state)
{
	(void)state;
	struct drivers *d = load();
	assert_non_null(d);
	drivers_free(d);
	assert_int_equal(rmdir(own), 0);
	write_shipped("README.txt", "not a profile");
	write_shipped(".hidden.yaml", "nor is this");
	d = load();
	assert_non_null(d);
	drivers_free(d);
}

static void expect_refusal(const char *sentence)
{
	struct drivers *d = load();
	if (d)
		fail_msg("not refused: %s", sentence);
	if (!strstr(error, sentence))
		fail_msg("expected \"%s\"\n  found \"%s\"", sentence, error);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"Cuff.yaml", "a-b.yaml", "a b.yaml", ".yaml.yaml", "abcdefghijklmnopqrstuvwx.yaml"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		write_file(own, bad[i], good_with(0, ""));
		if (bad[i][0] != '.')
			expect_refusal("the name of a profile's file is at most 23 small letters");
		char path[160];
		snprintf(path, sizeof(path), "%s/%s", own, bad[i]);
		unlink(path);
	}
	write_file(own, "abcdefghijklmnopqrstuvw.yaml", good_with(0, ""));
	struct drivers *d = load();
	assert_non_null(d);
	drivers_free(d);
	write_file(own, "lis01.yaml", good_with(0, ""));
	expect_refusal("own/lis01.yaml: a driver of this name is compiled in; rename the file");
}

static void test_what_is_no_profile(void **state)
{
	(void)state;
	write_file(own, "a.yaml", "");
	expect_refusal("a.yaml: bus: expected one of line, registers");
	write_file(own, "a.yaml", "- 1\n- 2\n");
	expect_refusal("a.yaml:1: bus: expected one of line, registers");
	write_file(own, "a.yaml", "bus: pigeon\n");
	expect_refusal("a.yaml:1: bus: expected one of line, registers");
	write_file(own, "a.yaml", "version: 1\nbus: line\n\tx: {\n");
	expect_refusal("a.yaml:3: this is not YAML");
	/* the first in the order of names is the one that is told */
	write_file(own, "a.yaml", good_with(0, ""));
	write_file(own, "c.yaml", "bus: c\n");
	write_file(own, "b.yaml", good_with(1, "version: 0"));
	expect_refusal("b.yaml:1: version: expected a number from 1 to 9999, found \"0\"");
}

static const struct {
	unsigned line;
	const char *instead, *sentence;
} wrong[] = {
	{1, "version: one", ":1: version: expected a number from 1 to 9999, found \"one\""},
	{1, "", ":2: the required key \"version\" is missing"},
	{3, "titel: x", ":3: unknown key \"titel\"; known here: version, bus, title"},
	{5, "title: again", ":5: the key \"title\" is there twice"},
	{6, "mode: often", ":6: mode: expected one of reading, samples, found \"often\""},
	{7, "kind: blood", ":7: kind: expected one of bp, glucose, spo2"},
	{8, "layout: table", ":8: layout: expected one of columns, separated, pairs"},
	{8, "layout: pairs\nseparator: \"; \"", ":9: separator: expected a text of 1 to 1 bytes"},
	{8, "layout: pairs\nseparator: x", "separator, assign: expected two different characters"},
	{8, "layout: pairs\nassign: \" \"", "separator, assign: expected two different characters"},
	{8, "layout: pairs\nseparator: \"=\"", "separator, assign: expected two different"},
	{8, "layout: separated\nassign: \"=\"", "assign: only with `layout: pairs`"},
	{8, "layout: columns\npieces: 5", "pieces: not with `layout: columns`"},
	{8, "layout: pairs\npieces: 5-3", "pieces: expected a number such as 5, 5-7 or 5-"},
	{8, "layout: pairs\npieces: \"-3\"", "pieces: expected a number such as 5, 5-7 or 5-"},
	{8, "layout: pairs\npieces: 5-100", "pieces: expected a number such as 5, 5-7 or 5-"},
	{8, "layout: pairs\nstx: yes", ":9: stx: expected true or false, found \"yes\""},
	{6, "mode: samples\nlive: true", "live: only with `mode: reading`"},
	{8, "layout: columns", ":11: at: expected columns such as 5-7, 5 or 5-, counted from 1"},
	{8, "layout: separated", ":11: at: expected pieces such as 5-7, 5 or 5-, counted from 1"},
	{9, "match: \"S=*\"", ":9: match: expected a list of texts, such as [\"---\"]"},
	{9, "match: []", ":9: match: expected patterns"},
	{9, "match: [\"\"]", ":9: match: a pattern is empty"},
	{9, "match: [a,b,c,d,e,f,g,h,\n i]", ":10: match: at most 8"},
	{9, "match: [[a]]", ":9: match: expected a text of at most 127 characters"},
	{9, "", ":1: the required key \"match\" is missing"},
	{9, "match: [a]\nignore: {a: b}", ":10: ignore: expected a list of texts"},
	{10, "x: y\nfields:", ":10: unknown key \"x\""},
	{11, "  - {at: S, kind: bp.sbp, unit: mmHg}",
		":11: is: expected one of quantity, time, flags, bits, error, patient"},
	{11, "  - {at: S, is: number, kind: bp.sbp, unit: mmHg}", ":11: is: expected one of"},
	{11, "  - {is: quantity, kind: bp.sbp, unit: mmHg}",
		":11: the required key \"at\" is missing"},
	{11, "  - {at: S, is: quantity, unit: mmHg}", ":11: the required key \"kind\" is missing"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp}",
		":11: the required key \"unit\" is missing"},
	{11, "  - {at: S, is: quantity, kind: bp.top, unit: mmHg}",
		":11: kind: \"bp.top\" is not in codes.csv"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: kg}",
		":11: unit: codes.csv and units.csv have no unit \"kg\" for bp.sbp"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, scale: 1e3}",
		":11: scale: expected a decimal number, found \"1e3\""},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, scale: 0}",
		":11: scale: expected a number above 0"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, words: {A: b}}",
		":11: unknown key \"words\"; known here: at, is, optional, kind, unit"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, missing: ---}",
		":11: missing: expected a list of texts"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, missing: [a,b,c,d,e]}",
		":11: missing: at most 4"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, missing: [abcdefghijkl]}",
		":11: missing: expected a text of at most 11 characters"},
	{11, "  - {at: S, is: quantity, kind: bp.sbp, unit: mmHg, optional: perhaps}",
		":11: optional: expected true or false, found \"perhaps\""},
	{12, "  - {at: s, is: quantity, kind: bp.dbp, unit: mmHg}",
		":12: at: \"s\" is (partly) the place of a field above"},
	{12, "  - {at: \"D=\", is: quantity, kind: bp.dbp, unit: mmHg}",
		":12: at: expected a key, or pieces such as 5-7, 5 or 5-, counted from 1, found \"D=\""},
	{12, "  - {at: 0, is: quantity, kind: bp.dbp, unit: mmHg}", ":12: at: expected a key"},
	{12, "  - {at: D, is: quantity, kind: bp.sbp, unit: mmHg}",
		":12: kind: bp.sbp is there twice"},
	{12, "  - {at: D, is: quantity, kind: bp.dbp, unit: mmHg, marks: [a]}",
		":12: marks: expected a mapping to flags, such as {X: flag}"},
	{12, "  - {at: D, is: quantity, kind: bp.dbp, unit: mmHg, marks: {\"\": x}}",
		":12: marks: expected a word of 1 to 11 characters without blanks, found \"\""},
	{12, "  - {at: D, is: time, format: \"YYYY-MM-DD\"}",
		":12: format: expected YYYY or YY, MM or MMM, DD, hh and mm once each"},
	{12, "  - {at: D, is: time, format: \"YYY-MM-DD hh:mm\"}", ":12: format: expected"},
	{12, "  - {at: D, is: time, format: \"YYYY-MM-DD hh:mm:mm\"}", ":12: format: expected"},
	{12, "  - {at: D, is: time, format: \"YYYY-MM-DD hh:mm:sss\"}", ":12: format: expected"},
	{12, "  - {at: D, is: patient}\n  - {at: E, is: patient}",
		":13: is: at most one field may be patient"},
	{13, "  - {at: 2-5, is: flags}\n  - {at: 5-, is: flags}",
		":14: at: \"5-\" is (partly) the place of a field above"},
	{13, "  - {at: W, is: flags, words: {M: Moved}}",
		":13: words: expected a flag of small letters, digits and '_', at most 23, or \"\""},
	{13, "  - {at: W, is: flags, words: {\"M N\": moved}}",
		":13: words: expected a word of 1 to 11 characters without blanks, found \"M N\""},
	{13, "  - {at: W, is: flags, words: {M: moved,\n m: moved}}",
		":14: words: \"m\" is there twice"},
	{13, "  - {at: W, is: flags, other: \"no flag\"}", ":13: other: expected a flag"},
	{13, "  - {at: W, is: bits, bits: {0x003: moved}}",
		":13: bits: expected one bit such as 0x004, found \"0x003\""},
	{13, "  - {at: W, is: bits, bits: {4: moved}}",
		":13: bits: expected one bit such as 0x004"},
	{13, "  - {at: W, is: bits, bits: {0x4: moved, 0x04: moved}}",
		":13: bits: \"0x04\" is there twice"},
	{14, "without_value: [moves]", ":14: without_value: no field gives the flag \"moves\""},
	{14, "without_value: moved", ":14: without_value: expected a list of texts"},
	{15, "notes: {Position: sitting}", ":15: notes: expected a name of small letters"},
	{15, "notes: [sitting]", ":15: notes: expected lines \"name: text\", and `mode: reading`"},
};

static void test_what_is_wrong_in_a_profile_of_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		char sentence[256];
		snprintf(sentence, sizeof(sentence), "own/a.yaml%s",
			wrong[i].sentence[0] == ':' ? wrong[i].sentence : ":");
		write_file(own, "a.yaml", good_with(wrong[i].line, wrong[i].instead));
		expect_refusal(sentence);
		expect_refusal(wrong[i].sentence);
	}
}

/* A profile with `n` times a text between two others. */
static const char *many(const char *head, const char *format, unsigned n, const char *tail)
{
	static char text[32768];
	size_t at = (size_t)snprintf(text, sizeof(text),
		"version: 1\nbus: line\ntitle: A\ntitle_zh: 甲\nsource: none\n%s", head);
	for (unsigned i = 0; i < n; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, format, i, i, i);
		assert_true(at < sizeof(text));
	}
	snprintf(text + at, sizeof(text) - at, "%s", tail);
	return text;
}

#define READING "mode: reading\nkind: bp\nlayout: columns\nmatch: [\"*\"]\n"
#define SAMPLES "mode: samples\nkind: spo2\nlayout: columns\nmatch: [\"*\"]\n"
#define SYSTOLIC "  - {at: 1, is: quantity, kind: bp.sbp, unit: mmHg}\n"

static void test_limits_and_samples(void **state)
{
	(void)state;
	static const char *const kinds[] = {
		"spo2", "spo2.pulse", "spo2.pi", "spo2.min", "spo2.artifact"};
	write_file(own, "a.yaml",
		many(READING "fields:\n" SYSTOLIC, "  - {at: 1%u, is: flags}\n", 16, ""));
	expect_refusal("a.yaml:27: fields: at most 16");
	write_file(own, "a.yaml",
		many(READING "fields:\n" SYSTOLIC "  - {at: 2, is: flags, words: {", "A%u: \"\", ",
			49, "}}\n"));
	expect_refusal("a.yaml:12: words: at most 48 words, bits and marks in one profile");
	write_file(own, "a.yaml",
		many(READING "fields:\n" SYSTOLIC "  - {at: 2, is: flags, words: {",
			"A%u: flag_%u, ", 17, "}}\n"));
	expect_refusal("a.yaml:12: words: at most 16 flags in one profile");
	write_file(
		own, "a.yaml", many(READING "fields:\n" SYSTOLIC "notes:\n", "  n%u: x\n", 9, ""));
	expect_refusal("a.yaml:21: notes: at most 8");
	write_file(own, "a.yaml", many(READING "fields:\n", "  - {at: 2%u, is: flags}\n", 1, ""));
	expect_refusal("fields: expected at least one that is a quantity");
	write_file(own, "a.yaml",
		many(SAMPLES "fields:\n" SYSTOLIC "  - {at: 2, is: patient}\n", "", 0, ""));
	expect_refusal("a.yaml:12: is: patient is for `mode: reading`");
	write_file(own, "a.yaml",
		many(SAMPLES "fields:\n" SYSTOLIC "  - {at: 2, is: error}\n", "", 0, ""));
	expect_refusal("a.yaml:12: is: error is for `mode: reading`");
	write_file(own, "a.yaml", many(SAMPLES "fields:\n" SYSTOLIC "notes: {a: b}\n", "", 0, ""));
	expect_refusal("a.yaml:12: notes: expected lines \"name: text\", and `mode: reading`");
	char fields[600];
	size_t n = 0;
	for (size_t i = 0; i < ELEMENTS(kinds); i++)
		n += (size_t)snprintf(fields + n, sizeof(fields) - n,
			"  - {at: %zu, is: quantity, kind: %s, unit: \"%s\"}\n", i + 1, kinds[i],
			i == 1 ? "/min" : "%");
	write_file(own, "a.yaml", many(SAMPLES "fields:\n", "", 0, fields));
	expect_refusal("a.yaml:11: fields: expected at least one that is a quantity, and of "
		       "samples at most 4");
	write_file(
		own, "a.yaml", many(READING "fields:\n  - {at: 512-513, is: flags}\n", "", 0, ""));
	expect_refusal("a.yaml:11: at: expected columns such as 5-7, 5 or 5-, counted from 1");
}

static void test_more_profiles_than_are_read(void **state)
{
	(void)state;
	char name[32];
	for (unsigned i = 0; i < 129; i++) {
		snprintf(name, sizeof(name), "p%03u.yaml", i);
		write_file(own, name, good_with(0, ""));
	}
	expect_refusal("own/p128.yaml: at most 128 profiles are read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, begin, end),
		cmocka_unit_test_setup_teardown(test_samples_have_their_options, begin, end),
		cmocka_unit_test_setup_teardown(test_all_that_are_shipped, begin, end),
		cmocka_unit_test_setup_teardown(test_own_directory_wins, begin, end),
		cmocka_unit_test_setup_teardown(
			test_directories_may_be_empty_or_missing, begin, end),
		cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test_setup_teardown(test_what_is_no_profile, begin, end),
		cmocka_unit_test_setup_teardown(
			test_what_is_wrong_in_a_profile_of_lines, begin, end),
		cmocka_unit_test_setup_teardown(test_limits_and_samples, begin, end),
		cmocka_unit_test_setup_teardown(test_more_profiles_than_are_read, begin, end),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("profile", tests, setup, teardown);
}
