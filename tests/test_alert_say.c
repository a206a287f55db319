/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No word is missing: those of the rules (tests/sim/ALERTS.md), of the rule file, and of the drivers' flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alert_say.h"
#include "util.h"

static char *slurp(const char *path)
{
	size_t size = 1 << 20;
	char *text = malloc(size);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(text);
	size_t n = fread(text, 1, size - 1, f);
	assert_true(n > 0 && n < size - 1);
	text[n] = 0;
	fclose(f);
	return text;
}

static bool chinese(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p >= 0xe3)
			return true;
	return false;
}

static void known(enum say list, const char *name)
{
	if (!alert_word(list, name))
		fail_msg("no word for \"%s\" in list %d", name, list);
}

/* Every word that stands between backquotes from `from` on to `until`. */
static unsigned quoted(const char *text, const char *from, const char *until, enum say list)
{
	unsigned n = 0;
	const char *p = strstr(text, from);
	assert_non_null(p);
	const char *end = strstr(p, until);
	assert_non_null(end);
	for (p = strchr(p, '`'); p && p < end; p = strchr(p + 1, '`')) {
		char name[64];
		const char *close = strchr(p + 1, '`');
		assert_non_null(close);
		text_copy(name, sizeof(name), p + 1, (size_t)(close - p - 1));
		p = close;
		if (strspn(name, "abcdefghijklmnopqrstuvwxyz_") != strlen(name) ||
			streq(name, "labels"))
			continue;
		known(list, name);
		n++;
	}
	return n;
}

static void test_rules_of_alerts(void **state)
{
	(void)state;
	char *text = slurp("tests/sim/ALERTS.md");
	assert_true(quoted(text, "`labels` are those of", "\n", SAY_LABEL) > 15);
	assert_true(quoted(text, "labels `withdrawn`", "\n", SAY_LABEL) == 5);
	assert_true(quoted(text, "outcome `reached`", ":", SAY_OUTCOME) == 3);
	assert_true(quoted(text, "**Delivery**", "\n", SAY_DELIVERY) == 4);
	free(text);
	static const struct {
		enum say list;
		const char *names[10];
	} enums[] = {{SAY_SEVERITY, {"none", "notice", "warning", "critical"}},
		{SAY_STATE, {"active", "latched", "inactive"}},
		{SAY_PHASE, {"start", "continue", "escalate", "deescalate", "update", "end"}},
		{SAY_ROLE, {"doctor", "deputy", "duty", "chain", "staff", "institution"}},
		{SAY_OUTCOME, {"not_reached", "artefact", "read_back"}},
		{SAY_WHOSE, {"personal", "national", "site"}},
		{SAY_OP, {"at_least", "above", "at_most", "below"}},
		{SAY_LABEL, {"cart_statement", "centre_report", "unauthenticated"}}};
	for (size_t i = 0; i < ELEMENTS(enums); i++)
		for (size_t k = 0; enums[i].names[k]; k++)
			known(enums[i].list, enums[i].names[k]);
}

static void test_rule_file(void **state)
{
	(void)state;
	char *text = slurp("config/alerts.yaml"), name[64];
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, ", condition: ")); n++) {
		p += strlen(", condition: ");
		text_copy(name, sizeof(name), p, strcspn(p, ","));
		known(SAY_CONDITION, name);
	}
	assert_true(n > 50);
	n = 0;
	for (const char *p = text; (p = strstr(p, ", place: ")); n++) {
		p += strlen(", place: ");
		text_copy(name, sizeof(name), p, strcspn(p, ","));
		known(SAY_PLACE, name);
	}
	assert_true(n > 10);
	n = 0;
	const char *p = strstr(text, "  flags: [");
	assert_non_null(p);
	for (p += strlen("  flags: ["); *p != ']'; n++) {
		size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		text_copy(name, sizeof(name), p, len);
		known(SAY_LABEL, name);
		p += len;
		p += strspn(p, ", \n");
	}
	assert_true(n > 10);
	free(text);
}

/* {1u << 3, "low_perfusion"} and {10, "sensor_off"}: bits and codes with their word. */
static unsigned bits(const char *text)
{
	unsigned n = 0;
	for (const char *p = text; (p = strchr(p, '{')); p++) {
		char name[64];
		const char *q = p + 1;
		q += strspn(q, "0123456789abcdefxu< ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
		if (strncmp(q, ", \"", 3) != 0 || q == p + 1)
			continue;
		size_t len = strspn(q + 3, "abcdefghijklmnopqrstuvwxyz_");
		if (len < 4 || strncmp(q + 3 + len, "\"}", 2) != 0)
			continue;
		text_copy(name, sizeof(name), q + 3, len);
		known(SAY_LABEL, name);
		n++;
	}
	return n;
}

static void test_flags_of_drivers(void **state)
{
	(void)state;
	static const char *const drivers[] = {"drivers/bt_plx.c", "drivers/nonin.c",
		"drivers/nonin_3230.c", "drivers/mightysat.c", "drivers/berrymed.c",
		"drivers/o2ring.c"};
	unsigned n = 0;
	for (size_t i = 0; i < ELEMENTS(drivers); i++) {
		char *text = slurp(drivers[i]);
		n += bits(text);
		free(text);
	}
	assert_true(n > 20);
}

static void test_both_languages(void **state)
{
	(void)state;
	unsigned n = 0;
	const struct alert_word *w;
	for (int list = 0; list < SAY_LISTS; list++)
		for (size_t i = 0; (w = alert_word_at((enum say)list, i)); i++, n++) {
			assert_ptr_equal(alert_word((enum say)list, w->name), w);
			assert_non_null(w->en);
			assert_non_null(w->zh);
			assert_false(chinese(w->en));
			if (list == SAY_UNIT || list == SAY_OP)
				continue;
			assert_true(w->en[0] && chinese(w->zh));
			assert_ptr_equal(alert_say((enum say)list, w->name, true), w->zh);
			assert_ptr_equal(alert_say((enum say)list, w->name, false), w->en);
		}
	assert_true(n > 120);
	assert_string_equal(alert_say(SAY_LABEL, "something_new", true), "something_new");
	assert_string_equal(alert_say(SAY_LABEL, NULL, true), "");
	assert_null(alert_word(SAY_STATE, "resolved"));
	assert_string_equal(alert_say(SAY_UNIT, "1", false), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules_of_alerts),
		cmocka_unit_test(test_rule_file), cmocka_unit_test(test_flags_of_drivers),
		cmocka_unit_test(test_both_languages)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
