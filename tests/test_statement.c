/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What carts write, and what of it speaks of an acute event: the table of config/alerts.yaml, and files with faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rule.h"
#include "statement.h"
#include "util.h"

static struct codes *codes;
static struct alert_rules *rules;

static int load(void **state)
{
	(void)state;
	char error[400] = "";
	codes = codes_load("config", error, sizeof(error));
	rules = codes ? alert_rules_load("config/alerts.yaml", codes, error, sizeof(error)) : NULL;
	if (!rules)
		print_error("%s\n", error);
	return rules ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	alert_rules_free(rules);
	codes_free(codes);
	return 0;
}

#define MI "ecg-acute-infarction"
#define VF "ecg-ventricular-fibrillation"
#define VT "ecg-ventricular-tachycardia"
#define BLOCK "ecg-complete-block"
#define ARREST "ecg-asystole"
#define POTASSIUM "ecg-hyperkalaemia"
#define CRITICAL "ecg-cart-critical"

/* One line of a cart each. Synthetic, in the words that carts use. */
static const struct {
	const char *text, *rule;
} texts[] = {
	{"Acute inferior infarct", MI}, {"ACUTE INFERIOR INFARCT", MI},
	{"possible acute inferior infarct", MI}, {"*** ACUTE MI ***", MI}, {"***ACUTE MI***", MI},
	{"Acute   anterior  myocardial   infarction", MI}, {"ANTERIOR INFARCT, POSSIBLY ACUTE", MI},
	{"Inferior infarct (acute)", MI}, {"Lateral infarct - recent", MI},
	{"ST elevation, consider inferior injury or acute infarct", MI}, {"ST-elevation MI", MI},
	{"ST elevation myocardial infarction", MI}, {"STEMI", MI}, {"NSTEMI?", MI},
	{"Subacute anterior infarct", MI}, {"Acute infarct cannot be ruled out", MI},
	{"suggests acute coronary syndrome", MI}, {"acute mi", MI}, {"acute mild changes", NULL},
	{"Acute minor ST changes", NULL}, {"no acute changes", NULL},
	{"Old inferior infarct, no acute changes", NULL}, {"No evidence of acute infarction", NULL},
	{"No STEMI criteria", NULL}, {"Acute inferior infarct, no acute changes elsewhere", MI},
	{"no acute infarct", NULL}, {"No acute changes. Acute infarct", MI},
	{"no acute changes, no acute infarct", NULL}, {"no STEMI, recent infarct", MI},
	{"急性下壁心肌梗死，余导联无急性改变", MI}, {"无急性心肌梗死", NULL},
	/* what stood around a phrase is not together */
	{"recent no stemi infarct", NULL}, {"ventricular no vt tachycardia", NULL},
	{"supraventricular tachycardia, ventricular fibrillation", VF},
	{"一度、不完全性房室传导阻滞，三度房室传导阻滞", BLOCK},
	{"Inferior infarct, age undetermined", NULL}, {"Anterior infarct, old", NULL},
	{"Cannot rule out anterior infarct", NULL}, {"Nonacute infarct", NULL},
	{"Non-acute infarct", NULL}, {"急性下壁心肌梗死", MI}, {"急性心肌梗塞", MI},
	{"急性前壁心梗？", MI}, {"考虑急性广泛前壁心肌梗死可能", MI}, {"不能排除急性心肌梗死", MI},
	{"ST段抬高型心肌梗死", MI}, {"急性冠脉综合征", MI}, {"急性　下壁　心肌梗死", MI},
	{"急性下壁心 肌梗 死", MI}, {"陈旧性下壁心肌梗死", NULL},
	{"陈旧性下壁心肌梗死，无急性改变", NULL}, {"未见急性心肌梗死图形", NULL},
	{"Ventricular fibrillation", VF}, {"心室颤动", VF}, {"室颤", VF}, {"心房颤动", NULL},
	{"心房扑动", NULL}, {"Atrial fibrillation with rapid ventricular response", NULL},
	{"ventricular tachycardia", VT}, {"VENTRICULAR  TACHYCARDIA", VT},
	{"Wide-QRS tachycardia", VT}, {"Wide QRS tachycardia", VT}, {"run of VT", VT},
	{"室性心动过速", VT}, {"短阵室速", VT}, {"宽QRS波心动过速", VT}, {"尖端扭转型室速", VT},
	{"supraventricular tachycardia", NULL}, {"Supra-ventricular tachycardia", NULL},
	{"SVT", NULL}, {"室上性心动过速", NULL}, {"室上速", NULL}, {"窦性心动过速", NULL},
	{"Sinus tachycardia", NULL}, {"No ventricular tachycardia", NULL},
	{"complete heart block", BLOCK}, {"Complete AV block", BLOCK},
	{"Complete A-V block", BLOCK}, {"Third-degree AV block", BLOCK},
	{"AV block, 3rd degree", BLOCK}, {"High-grade AV block", BLOCK}, {"AV-Block III", BLOCK},
	{"三度房室传导阻滞", BLOCK}, {"III度房室传导阻滞", BLOCK}, {"Ⅲ度房室传导阻滞", BLOCK},
	{"完全性房室传导阻滞", BLOCK}, {"高度房室传导阻滞", BLOCK}, {"完全性右束支传导阻滞", NULL},
	{"不完全性房室传导阻滞", NULL}, {"一度房室传导阻滞", NULL}, {"II度房室传导阻滞", NULL},
	{"left bundle branch block, complete", NULL}, {"Complete right bundle branch block", NULL},
	{"Incomplete AV block", NULL},
	{"First degree AV block, complete left bundle branch block", NULL},
	{"sinus arrest", ARREST}, {"ASYSTOLE", ARREST}, {"窦性停搏", ARREST},
	{"Consider hyperkalemia", POTASSIUM}, {"hyperkalaemia?", POTASSIUM},
	{"Hyperkali\xc3\xa4mie", POTASSIUM}, {"高钾血症", POTASSIUM}, {"低钾血症", NULL},
	{"*** CRITICAL TEST RESULT ***", CRITICAL}, {"Critical value: call", CRITICAL},
	{"危急值", CRITICAL}, {"无危急值", NULL}, {"Non-critical", NULL},
	{"Sinusrhythmus, Linkstyp, unspezifische ST-T-Ver\xc3\xa4nderungen", NULL},
	{"Inkompletter Rechtsschenkelblock", NULL},
	{"Sinusrytm, ospecifik ST-T-f\xc3\xb6r\xc3\xa4ndring, v\xc3\xa4nsterst\xc3\xa4lld axel",
		NULL},
	{"AV-block I, v\xc3\xa4nstersidigt skänkelblock", NULL}, {"Normalt EKG", NULL},
	{"Normal sinus rhythm", NULL}, {"窦性心律 正常心电图", NULL}, {"", NULL}, {"  \t ", NULL},
	{"\xff\xfe acute \x80 infarct", MI}, /* whatever bytes are between */
};

static void test_texts(void **state)
{
	(void)state;
	unsigned wrong = 0;
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		const struct statement *s =
			statement_find(alert_statements(rules), NULL, texts[i].text);
		const char *found = s ? s->id : "nothing";
		const char *rule = texts[i].rule ? texts[i].rule : "nothing";
		if (!streq(found, rule))
			print_error("\"%s\" is %s, expected %s\n", texts[i].text, found, rule);
		wrong += !streq(found, rule);
	}
	assert_int_equal(wrong, 0);
}

/* Behind one rule the next is found, each once. */
static void test_all_of_a_text(void **state)
{
	(void)state;
	static const char text[] =
		"Ventricular fibrillation, no asystole, acute infarct, hyperkalemia";
	static const char *const expected[] = {MI, VF, POTASSIUM};
	const struct statement *s = NULL;
	for (size_t i = 0; i < ELEMENTS(expected); i++) {
		s = statement_find(alert_statements(rules), s, text);
		assert_non_null(s);
		assert_string_equal(s->id, expected[i]);
	}
	assert_null(statement_find(alert_statements(rules), s, text));
}

/* Nothing in the table fires for a text of blanks, and each line of it fires for itself. */
static void test_every_word_fires(void **state)
{
	(void)state;
	const struct statements *all = alert_statements(rules);
	assert_int_equal(all->n, 7);
	for (unsigned i = 0; i < all->n; i++)
		for (unsigned k = 0; k < all->rules[i].n_words; k++) {
			char text[64];
			snprintf(text, sizeof(text), "%s", all->rules[i].words[k]);
			for (char *comma; (comma = strchr(text, ','));)
				*comma = ' ';
			const struct statement *s = statement_find(all, NULL, text);
			if (s != &all->rules[i])
				fail_msg("\"%s\" of %s is %s", text, all->rules[i].id,
					s ? s->id : "nothing");
		}
}

/* Behind half a kilobyte nothing is looked for, and nothing breaks. */
static void test_long_text(void **state)
{
	(void)state;
	char text[2000];
	for (size_t at = 480; at < 520; at++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + at, " stemi ", 7);
		text[sizeof(text) - 1] = 0;
		const struct statement *s = statement_find(alert_statements(rules), NULL, text);
		assert_int_equal(s != NULL, at + 6 <= 510);
	}
	/* two texts of 255 bytes, as lines that belong together, are looked at whole */
	memset(text, 'x', 511);
	memcpy(text + 505, " stemi", 6);
	text[511] = 0;
	assert_null(statement_find(alert_statements(rules), NULL, text));
	memcpy(text + 504, " stemi", 7);
	assert_non_null(statement_find(alert_statements(rules), NULL, text));
}

static void test_json(void **state)
{
	(void)state;
	struct json j = {0};
	const char *text = "ACUTE \"MI\"\n";
	const struct statement *s = statement_find(alert_statements(rules), NULL, text);
	assert_non_null(s);
	statement_json(&j, s, text);
	assert_string_equal(json_text(&j),
		"{\"id\":\"ecg-acute-infarction\",\"statement\":\"ACUTE \\\"MI\\\"\\n\","
		"\"text_zh\":\"心电图机提示急性心肌梗死\","
		"\"text_en\":\"the cart states an acute infarction\"}");
	json_free(&j);
}

/* files */

#define HEAD \
	"version: t\naccept_looser: test\naccept_looser_again: test\nrules:\n - {id: r, kind: bp.sbp, at_least: 150, severity: notice, zh: z, en: e, source: s}\n"
#define REST ", zh: z, en: e, source: s}\n"

static struct alert_rules *read_text(const char *text, char *error, size_t size)
{
	char path[] = "/tmp/vitalgate-statement-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	error[0] = 0;
	struct alert_rules *r = alert_rules_load(path, codes, error, size);
	unlink(path);
	char *at = strstr(error, path);
	if (at) /* the sentence without the name of this file */
		memmove(at, at + strlen(path), strlen(at + strlen(path)) + 1);
	return r;
}

static void refused(const char *statements, const char *sentence)
{
	char text[8192], error[400];
	snprintf(text, sizeof(text), HEAD "%s", statements);
	assert_null(read_text(text, error, sizeof(error)));
	if (!strstr(error, sentence))
		fail_msg("%s\nsaid: %s", statements, error);
	assert_true(error[0] == ':' && atoi(error + 1) >= 4); /* it names the line */
}

#define WORDS(what) what ": expected [1 to 16 texts of at most 62 bytes, each of words]"

static void test_refused(void **state)
{
	(void)state;
	static const char twice[] =
		"statements:\n - {id: a, words: [x]" REST " - {id: a, words: [x]" REST;
	refused("statements: []\n", "statements: expected a list of at least one statement");
	refused("statements: 7\n", "statements: expected a list of at least one statement");
	refused("statements:\n - 7\n", "expected lines \"name: value\"");
	refused("statements:\n - {id: a, words: [x], zh: z, en: e}\n", "source");
	refused("statements:\n - {words: [x]" REST, "id");
	refused("statements:\n - {id: a" REST, "words");
	refused("statements:\n - {id: a, words: [x], severity: critical" REST,
		"unknown key \"severity\"");
	refused("statements:\n - {id: a, id: b, words: [x]" REST, "the key \"id\" is there twice");
	refused(twice, "statement \"a\": expected an id that is used once");
	refused("statements:\n - {id: a, words: []" REST, WORDS("words"));
	refused("statements:\n - {id: a, words: x" REST, WORDS("words"));
	refused("statements:\n - {id: a, words: [[x]]" REST, WORDS("words"));
	refused("statements:\n - {id: a, words: [x], unless: []" REST, WORDS("unless"));
	refused("statements:\n - {id: a, words: [x], unless: no" REST, WORDS("unless"));
	refused("statements:\n - {id: 0123456789012345678901234567890123456789, words: [x]" REST,
		"id");
}

/* A word that is nothing would fire for every text, or for none. */
static void test_empty_words(void **state)
{
	(void)state;
	static const char *const nothing[] = {"", " ", "   ", ",", "acute,", ", acute", "acute,,mi",
		"acute, ***", "-", "\xe3\x80\x80"};
	for (size_t i = 0; i < ELEMENTS(nothing); i++)
		for (unsigned unless = 0; unless < 2; unless++) {
			char text[200];
			snprintf(text, sizeof(text),
				"statements:\n - {id: a, words: [%s\"%s\"]%s" REST,
				unless ? "x], unless: [" : "x, ", nothing[i], "");
			refused(text, unless ? WORDS("unless") : WORDS("words"));
		}
}

static const struct statement *only(struct alert_rules *r)
{
	assert_non_null(r);
	return &alert_statements(r)->rules[0];
}

static void test_lengths(void **state)
{
	(void)state;
	char text[16384], error[400], word[80];
	for (int len = 61; len <= 64; len++) {
		memset(word, 'w', sizeof(word));
		word[len] = 0;
		snprintf(text, sizeof(text), HEAD "statements:\n - {id: a, words: [%s]" REST, word);
		struct alert_rules *r = read_text(text, error, sizeof(error));
		assert_int_equal(r != NULL, len <= 62);
		if (r) {
			assert_string_equal(only(r)->words[0], word);
			assert_non_null(statement_find(alert_statements(r), NULL, word));
		}
		alert_rules_free(r);
	}
	for (int n = 15; n <= 17; n++) {
		size_t at = (size_t)snprintf(
			text, sizeof(text), HEAD "statements:\n - {id: a, words: [w0");
		for (int i = 1; i < n; i++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, ", w%d", i);
		snprintf(text + at, sizeof(text) - at, "]" REST);
		struct alert_rules *r = read_text(text, error, sizeof(error));
		assert_int_equal(r != NULL, n <= 16);
		if (r) {
			assert_int_equal(only(r)->n_words, n);
			snprintf(word, sizeof(word), "w%d", n - 1);
			assert_non_null(statement_find(alert_statements(r), NULL, word));
		}
		alert_rules_free(r);
	}
	for (int n = STATEMENTS_RULES_MAX; n <= STATEMENTS_RULES_MAX + 1; n++) {
		size_t at = (size_t)snprintf(text, sizeof(text), HEAD "statements:\n");
		for (int i = 0; i < n; i++)
			at += (size_t)snprintf(text + at, sizeof(text) - at,
				" - {id: s%d, words: [w%dx]" REST, i, i);
		struct alert_rules *r = read_text(text, error, sizeof(error));
		assert_int_equal(r != NULL, n <= STATEMENTS_RULES_MAX);
		assert_true(r || strstr(error, "expected at most 32 statements"));
		alert_rules_free(r);
	}
}

static void test_unless(void **state)
{
	(void)state;
	char error[400];
	struct alert_rules *r =
		read_text(HEAD "statements:\n - {id: a, words: [\"A,  b-C\"], unless: "
			       "[\"no a\", \"c x, Y\"]" REST,
			error, sizeof(error));
	const struct statements *s = alert_statements(r);
	assert_string_equal(only(r)->words[0], "a,b c");
	assert_non_null(statement_find(s, NULL, "B-C a"));
	assert_non_null(statement_find(s, NULL, "b c, A y"));
	assert_null(statement_find(s, NULL, "a b d c"));
	assert_null(statement_find(s, NULL, "b c"));
	assert_null(statement_find(s, NULL, "b c no a"));
	assert_null(statement_find(s, NULL, "y a b c x"));
	assert_non_null(statement_find(s, NULL, "z a b c x"));	/* not all of the list */
	assert_non_null(statement_find(s, NULL, "no a b c a")); /* it is stated, too */
	alert_rules_free(r);
	/* up to three letters are whole */
	r = read_text(HEAD "statements:\n - {id: a, words: [abc, wxyz]" REST, error, sizeof(error));
	assert_non_null(r);
	s = alert_statements(r);
	assert_non_null(statement_find(s, NULL, "x abc 1"));
	assert_non_null(statement_find(s, NULL, "abc1"));
	assert_null(statement_find(s, NULL, "abcd"));
	assert_null(statement_find(s, NULL, "xabc"));
	assert_non_null(statement_find(s, NULL, "abcd, abc")); /* not the first, but the second */
	assert_non_null(statement_find(s, NULL, "wxyzzz"));
	alert_rules_free(r);
	/* without the list there are none, and the rules are good */
	r = read_text(HEAD, error, sizeof(error));
	assert_non_null(r);
	assert_null(statement_find(alert_statements(r), NULL, "acute mi"));
	alert_rules_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_all_of_a_text),
		cmocka_unit_test(test_every_word_fires),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_empty_words),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_unless),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, load, unload);
}
