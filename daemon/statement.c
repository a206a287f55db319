/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "statement.h"

#include "fault.h"
#include "util.h"

#include <ctype.h>
#include <errno.h>

#define ABBREVIATION_MAX 3 /* letters */
#define PLAIN_MAX 512	   /* bytes of a text that are looked at */
#define GONE '\1'	   /* where a phrase was: what stood around it is not together now */

#define IDEOGRAPHIC_BLANK "\xe3\x80\x80" /* U+3000 */

/* Bytes of what stands between words at `text`: blanks, and punctuation but of numbers ("K+ > 6"). 0: a letter. */
static size_t gap(const char *text)
{
	if (strncmp(text, IDEOGRAPHIC_BLANK, strlen(IDEOGRAPHIC_BLANK)) == 0)
		return strlen(IDEOGRAPHIC_BLANK);
	return isspace((unsigned char)*text) || strchr("-_/,;:.!?*()[]\"'", *text);
}

/* Lower case, each gap one blank: carts align, hyphenate and star their texts. Chinese has none between its
 * characters, wherever a line was broken. Bytes above 0x7f stay as they are. */
static void normalize(char *out, size_t size, const char *text)
{
	size_t n = 0, len;
	bool blank = false;
	for (; *text && n + 2 < size; text += len) {
		len = gap(text);
		blank |= len && n;
		if (len)
			continue;
		if (blank && !((*text & 0x80) && (out[n - 1] & 0x80)))
			out[n++] = ' ';
		blank = false;
		len = 1;
		out[n++] = (*text & 0x80) ? *text : (char)tolower((unsigned char)*text);
	}
	out[n] = 0;
}

/* loading */

/* "a, b", each normalized. False: one of them is too long, or nothing. */
static bool list_read(char *out, size_t size, const char *text)
{
	char part[64];
	size_t n = 0;
	for (;; text++) {
		size_t len = strcspn(text, ",");
		if (!text_copy(part, sizeof(part), text, len))
			return false;
		normalize(out + n, size - n, part);
		if (!out[n])
			return false;
		n += strlen(out + n);
		text += len;
		if (!*text)
			return true;
		out[n++] = ',';
	}
}

static int words_read(struct yamlmap *y, const yaml_node_t *list, const char *name,
	char (*words)[64], unsigned *ret_n)
{
	const yaml_node_t *item;
	unsigned n = 0;
	for (; (item = yamlmap_item(y, list, n)); n++) {
		const char *text = yamlmap_text(item);
		if (n == STATEMENT_WORDS_MAX || !text || strlen(text) >= sizeof(*words) - 1 ||
			!list_read(words[n], sizeof(words[n]), text))
			break;
	}
	if (item || !n)
		return yamlmap_fail(y, item ? item : list,
			FAULT("%s: expected [1 to %d texts of at most %zu bytes, each of words]",
				"%s：应为 [1 至 %d 段文字，每段至多 %zu 字节]"),
			name, STATEMENT_WORDS_MAX, sizeof(*words) - 2);
	*ret_n = n;
	return 0;
}

static int rule_read(struct yamlmap *y, yaml_node_t *node, struct statements *s)
{
	struct rule_text {
		struct statement rule;
		yaml_node_t *words, *unless;
	} t = {0};
/* clang-format off */
#define TEXT(field_) {.name = #field_, .type = YAMLMAP_TEXT, .required = true, .offset = offsetof(struct rule_text, rule.field_), \
	.size = sizeof(t.rule.field_)}
	/* clang-format on */
	const struct yamlmap_key keys[] = {TEXT(id), TEXT(zh), TEXT(en), TEXT(source),
		{YAMLMAP_FIELD(rule_text, words), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(rule_text, unless), .type = YAMLMAP_NODE}};
#undef TEXT
	int rc = yamlmap_read(y, node, keys, ELEMENTS(keys), &t);
	for (unsigned i = 0; rc >= 0 && i < s->n; i++)
		if (streq(s->rules[i].id, t.rule.id))
			rc = yamlmap_fail(y, node,
				FAULT("statement \"%s\": expected an id that is used once",
					"语句“%s”：id 重复，请换一个"),
				t.rule.id);
	if (rc >= 0)
		rc = words_read(y, t.words, "words", t.rule.words, &t.rule.n_words);
	if (rc >= 0 && t.unless)
		rc = words_read(y, t.unless, "unless", t.rule.unless, &t.rule.n_unless);
	if (rc >= 0 && s->n == STATEMENTS_RULES_MAX)
		rc = yamlmap_fail(y, node,
			FAULT("expected at most %d statements", "语句至多 %d 条"),
			STATEMENTS_RULES_MAX);
	if (rc >= 0)
		s->rules[s->n++] = t.rule;
	return rc;
}

int statements_read(struct yamlmap *y, yaml_node_t *list, struct statements *ret)
{
	yaml_node_t *node;
	int rc = 0;
	ret->n = 0;
	for (size_t i = 0; rc >= 0 && (node = yamlmap_item(y, list, i)); i++)
		rc = rule_read(y, node, ret);
	if (rc >= 0 && !ret->n)
		return yamlmap_fail(y, list,
			FAULT("statements: expected a list of at least one statement",
				"statements：至少应有一条语句"));
	return rc;
}

/* judging */

static bool letter(char c)
{
	return isalpha((unsigned char)c) && !(c & 0x80);
}

/* "ventricular" is not in "supraventricular": a Latin word counts from its beginning; and "mi" is not in "minor": an
 * abbreviation counts whole. */
static const char *find_word(const char *text, const char *word, size_t len)
{
	bool whole = len <= ABBREVIATION_MAX;
	for (size_t i = 0; i < len; i++)
		whole &= letter(word[i]);
	for (const char *at = text; (at = memmem(at, strlen(at), word, len)); at++) {
		bool begins = at == text || !letter(*word) || !letter(at[-1]);
		if (begins && !(whole && letter(at[len])))
			return at;
	}
	return NULL;
}

/* All of "a,b". */
static bool has_all(const char *text, const char *list)
{
	for (;; list++) {
		size_t len = strcspn(list, ",");
		if (!find_word(text, list, len))
			return false;
		list += len;
		if (!*list)
			return true;
	}
}

static bool has_any(const char *text, const char (*lists)[64], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (has_all(text, lists[i]))
			return true;
	return false;
}

/* Takes the words of "a,b" out wherever they stand. */
static void take_out(char *text, const char *list)
{
	for (;; list++) {
		size_t len = strcspn(list, ",");
		for (const char *at; len && (at = find_word(text, list, len));)
			memset(text + (at - text), GONE, len);
		list += len;
		if (!*list)
			return;
	}
}

/* What is denied is taken out; what is stated beside it is not denied. */
static bool fires(const struct statement *r, const char *plain)
{
	char rest[PLAIN_MAX];
	snprintf(rest, sizeof(rest), "%s", plain);
	for (unsigned i = 0; i < r->n_unless; i++)
		if (has_all(rest, r->unless[i]))
			take_out(rest, r->unless[i]);
	return has_any(rest, r->words, r->n_words);
}

const struct statement *statement_find(
	const struct statements *s, const struct statement *after, const char *text)
{
	char plain[PLAIN_MAX];
	normalize(plain, sizeof(plain), text);
	for (const struct statement *r = after ? after + 1 : s->rules; r < s->rules + s->n; r++)
		if (fires(r, plain))
			return r;
	return NULL;
}

void statement_json(struct json *j, const struct statement *rule, const char *text)
{
	json_object_begin(j, NULL);
	json_str(j, "id", rule->id);
	json_str(j, "statement", text);
	json_str(j, "text_zh", rule->zh);
	json_str(j, "text_en", rule->en);
	json_object_end(j);
}
