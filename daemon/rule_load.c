/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config/alerts.yaml as a whole; a rule by itself: rule_read.c. */
#include "fault.h"
#include "rule_read.h"
#include "statement.h"

#include <errno.h>

#define DAY_S 86400

static int words_read(struct yamlmap *y, const yaml_node_t *list, const char *name,
	char (*words)[32], unsigned *ret_n)
{
	const yaml_node_t *item;
	unsigned n = 0;
	for (; (item = yamlmap_item(y, list, n)); n++) {
		const char *text = yamlmap_text(item);
		if (n == RULE_WORDS_MAX || !text || !*text ||
			!text_copy(words[n], sizeof(words[n]), text, strlen(text)))
			break;
	}
	if (item || !n)
		return yamlmap_fail(y, item ? item : list,
			FAULT("%s: expected [1 to %d short words]", "%s：应为 [1 至 %d 个短词]"),
			name, RULE_WORDS_MAX);
	*ret_n = n;
	return 0;
}

static int repeat_read(
	struct yamlmap *y, yaml_node_t *node, const struct codes *codes, struct alert_rules *rules)
{
	struct repeat_text {
		yaml_node_t *flags, *kinds;
		uint32_t within_s, resolves_s;
	} t = {.resolves_s = rules->times.resolves_s};
	const struct yamlmap_key keys[] = {
		{YAMLMAP_FIELD(repeat_text, flags), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(repeat_text, kinds), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(repeat_text, within_s), .type = YAMLMAP_NUMBER, .required = true,
			.low = 10, .high = 3600},
		{YAMLMAP_FIELD(repeat_text, resolves_s), .type = YAMLMAP_NUMBER, .low = 60,
			.high = DAY_S}};
	int rc = yamlmap_read(y, node, keys, ELEMENTS(keys), &t);
	if (rc >= 0)
		rc = words_read(y, t.flags, "flags", rules->flags, &rules->n_flags);
	if (rc >= 0)
		rc = words_read(y, t.kinds, "kinds", rules->kinds, &rules->n_kinds);
	for (unsigned i = 0; rc >= 0 && i < rules->n_kinds; i++)
		if (!alert_kind_fits(codes, rules->kinds[i], false))
			rc = yamlmap_fail(y, t.kinds,
				FAULT("kinds: expected kinds of codes.csv that are of a person, found "
				      "\"%s\"",
					"kinds：应为 codes.csv 中的人的项目，实为“%s”"),
				rules->kinds[i]);
	rules->times.within_s = t.within_s;
	rules->times.resolves_s = t.resolves_s;
	return rc;
}

/* clang-format off */
#define SECONDS(key, lowest, highest) {.name = #key, .type = YAMLMAP_NUMBER, .offset = offsetof(struct rule_times, key), \
	.size = sizeof(uint32_t), .low = lowest, .high = highest}
static const struct yamlmap_key escalate_keys[] = {
	SECONDS(critical_s, 1, DAY_S), SECONDS(warning_s, 1, 7 * DAY_S), SECONDS(again_s, 1, 7 * DAY_S)};
static const struct yamlmap_key late_keys[] = {SECONDS(label_s, 60, DAY_S), SECONDS(page_s, 60, 7 * DAY_S)};
/* clang-format on */

static int late_read(struct yamlmap *y, yaml_node_t *node, struct rule_times *t)
{
	int rc = yamlmap_read(y, node, late_keys, ELEMENTS(late_keys), t);
	if (rc >= 0 && t->page_s < t->label_s)
		return yamlmap_fail(y, node,
			FAULT("late: expected page_s of at least label_s: what is old enough to wait is "
			      "labelled late",
				"late：page_s 不应小于 label_s：可以等待的读数应已标为迟到"));
	return rc;
}

/* clang-format off */
#define ADVICE(key) {YAMLMAP_FIELD(rule_advice, key), .type = YAMLMAP_TEXT
static const struct yamlmap_key advice_keys[] = {
	ADVICE(id), .required = true}, ADVICE(zh), .required = true}, ADVICE(en), .required = true},
	ADVICE(resident_zh)}, ADVICE(resident_en)}};
/* clang-format on */

static int advice_read(struct yamlmap *y, yaml_node_t *list, struct alert_rules *rules)
{
	yaml_node_t *node;
	for (size_t i = 0; (node = yamlmap_item(y, list, i)); i++) {
		struct rule_advice a = {0};
		int rc = yamlmap_read(y, node, advice_keys, ELEMENTS(advice_keys), &a);
		if (rc < 0)
			return rc;
		if (alert_rules_advice(rules, a.id))
			return yamlmap_fail(y, node,
				FAULT("advice \"%s\": expected an id that is used once",
					"处置建议“%s”：id 重复，请换一个"),
				a.id);
		if (!a.resident_zh[0] != !a.resident_en[0])
			return yamlmap_fail(y, node,
				FAULT("advice \"%s\": resident_zh and resident_en go together",
					"处置建议“%s”：resident_zh 与 resident_en 须同时填写"),
				a.id);
		if (rules->n_advice == RULE_ADVICE_MAX)
			return yamlmap_fail(y, node,
				FAULT("expected at most %d pieces of advice", "处置建议至多 %d 条"),
				RULE_ADVICE_MAX);
		rules->advice[rules->n_advice++] = a;
	}
	return rules->n_advice ? 0
			       : yamlmap_fail(y, list,
					 FAULT("advice: expected a list of at least one",
						 "advice：至少应有一条"));
}

static int rules_read(
	struct yamlmap *y, yaml_node_t *list, const struct codes *codes, struct alert_rules *rules)
{
	yaml_node_t *node;
	for (size_t i = 0; (node = yamlmap_item(y, list, i)); i++) {
		struct alert_rule rule;
		int rc = rule_read(y, node, codes, &rule);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue; /* switched off */
		if (alert_rules_find(rules, rule.id))
			return yamlmap_fail(y, node,
				FAULT("rule \"%s\": expected an id that is used once",
					"规则“%s”：id 重复，请换一个"),
				rule.id);
		if (rules->n == RULES_MAX)
			return yamlmap_fail(y, node,
				FAULT("expected at most %d rules", "规则至多 %d 条"), RULES_MAX);
		rules->rules[rules->n++] = rule;
	}
	if (!rules->n)
		return yamlmap_fail(y, list,
			FAULT("rules: expected a list of at least one rule",
				"rules：至少应有一条规则"));
	return rule_set_compile(rules, codes)
		       ? 0
		       : yamlmap_fail(y, list,
				 FAULT("rules: expected at most %d conditions of readings, and at most "
				       "%d rules of them, once for each kind that they are about",
					 "rules：读数的警报条件至多 %d 个，规则按项目累计至多 %d 条"),
				 RULE_CONDITIONS_MAX, RULE_INDEX_MAX);
}

static int file_read(struct yamlmap *y, const struct codes *codes, struct alert_rules *rules)
{
	struct file_text {
		char version[sizeof(rules->version)], accept_looser[sizeof(rules->looser)],
			accept_looser_again[sizeof(rules->looser_again)];
		uint8_t least;
		yaml_node_t *escalate, *late, *rules, *advice, *repeat, *statements;
	} t = {.least = SEVERITY_WARNING - SEVERITY_NOTICE};
	static const struct yamlmap_key keys[] = {
		{YAMLMAP_FIELD(file_text, version), .type = YAMLMAP_TEXT, .required = true},
		{YAMLMAP_FIELD(file_text, least), .type = YAMLMAP_CHOICE,
			.choices = rule_severities},
		{YAMLMAP_FIELD(file_text, escalate), .type = YAMLMAP_NODE},
		{YAMLMAP_FIELD(file_text, late), .type = YAMLMAP_NODE},
		{YAMLMAP_FIELD(file_text, rules), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(file_text, advice), .type = YAMLMAP_NODE},
		{YAMLMAP_FIELD(file_text, repeat), .type = YAMLMAP_NODE},
		{YAMLMAP_FIELD(file_text, statements), .type = YAMLMAP_NODE},
		{YAMLMAP_FIELD(file_text, accept_looser), .type = YAMLMAP_TEXT},
		{YAMLMAP_FIELD(file_text, accept_looser_again), .type = YAMLMAP_TEXT}};
	int rc = yamlmap_read(y, yamlmap_root(y), keys, ELEMENTS(keys), &t);
	if (rc < 0)
		return rc;
	memcpy(rules->version, t.version, sizeof(rules->version));
	memcpy(rules->looser, t.accept_looser, sizeof(rules->looser));
	memcpy(rules->looser_again, t.accept_looser_again, sizeof(rules->looser_again));
	rules->times.least = t.least + SEVERITY_NOTICE;
	rc = rules_read(y, t.rules, codes, rules);
	if (rc >= 0 && t.escalate)
		rc = yamlmap_read(
			y, t.escalate, escalate_keys, ELEMENTS(escalate_keys), &rules->times);
	if (rc >= 0 && t.late)
		rc = late_read(y, t.late, &rules->times);
	if (rc >= 0 && t.advice)
		rc = advice_read(y, t.advice, rules);
	if (rc >= 0 && t.repeat)
		rc = repeat_read(y, t.repeat, codes, rules);
	if (rc >= 0 && t.statements)
		rc = statements_read(y, t.statements, &rules->statements);
	return rc < 0 ? rc : rule_check(rules, codes, y->path, y->error, y->error_size);
}

struct alert_rules *alert_rules_load(
	const char *path, const struct codes *codes, char *error, size_t error_size)
{
	struct yamlmap y;
	int rc = yamlmap_open(&y, path, error, error_size);
	if (rc < 0) {
		size_t n = strlen(error);
		if (rc != -EINVAL)
			snprintf(error + n, error_size - n,
				FAULT("; set paths.tables to the directory of the tables",
					"；请将 paths.tables 设为表格所在目录"));
		return NULL;
	}
	struct alert_rules *rules = calloc(1, sizeof(*rules));
	if (rules)
		rules->times = (struct rule_times){.critical_s = 900,
			.warning_s = 14400,
			.again_s = 14400,
			.label_s = 600,
			.page_s = 7200,
			.resolves_s = 1800};
	rc = rules ? file_read(&y, codes, rules) : yamlmap_fail(&y, NULL, "%s", strerror(ENOMEM));
	yamlmap_close(&y);
	if (rc >= 0)
		return rules;
	free(rules);
	return NULL;
}

void alert_rules_free(struct alert_rules *r)
{
	free(r);
}
