/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert.h"

#include "statement.h"
#include "yamlmap.h"

#include <assert.h>
#include <errno.h>

#define RULES_MAX 128
#define WORDS_MAX 16
#define DAY_S 86400
#define ENVIRONMENT "env." /* how the kinds begin that are of a place */

struct alert_rules {
	char version[32];
	unsigned n;
	struct alert_rule rules[RULES_MAX];
	struct {
		uint32_t within_s; /* 0: never */
		unsigned n_flags, n_kinds;
		char flags[WORDS_MAX][32], kinds[WORDS_MAX][32];
	} repeat;
	struct statements statements;
};

static const char *const severities[] = {"none", "notice", "warning", "critical", NULL};

const char *severity_name(enum severity s)
{
	return severities[s];
}

const char *severity_priority(enum severity s)
{
	static const char *const names[] = {"PN", "PL", "PM", "PH"};
	return names[s];
}

/* "glu.*" = every kind that begins so. */
bool alert_kind_matches(const char *pattern, const char *kind)
{
	const char *star = strchr(pattern, '*');
	return star ? strncmp(pattern, kind, (size_t)(star - pattern)) == 0 : streq(pattern, kind);
}

/* loading */

#define LIMITS 4 /* in the order of alert_rule.op */
#define ABSENT INT64_MIN

struct rule_text { /* a rule as it is written */
	struct alert_rule rule;
	struct vg_decimal limits[LIMITS], margin;
	uint32_t silent_s;
	uint8_t family, severity;
};

static const char *const families[] = {"physiological", "technical", NULL};

/* clang-format off */
#define RULE_TEXT(key, field) {.name = key, .type = YAMLMAP_TEXT, .offset = offsetof(struct rule_text, rule.field), \
	.size = sizeof(((struct rule_text *)0)->rule.field)
#define RULE_LIMIT(key, index) {.name = key, .type = YAMLMAP_DECIMAL, \
	.offset = offsetof(struct rule_text, limits[index]), .size = sizeof(struct vg_decimal)}
static const struct yamlmap_key rule_keys[] = {
	RULE_TEXT("id", id), .required = true},
	{YAMLMAP_FIELD(rule_text, family), .type = YAMLMAP_CHOICE, .choices = families},
	RULE_TEXT("place", place)},
	RULE_TEXT("kind", kind)},
	RULE_LIMIT("at_least", ALERT_AT_LEAST),
	RULE_LIMIT("above", ALERT_ABOVE),
	RULE_LIMIT("at_most", ALERT_AT_MOST),
	RULE_LIMIT("below", ALERT_BELOW),
	{YAMLMAP_FIELD(rule_text, silent_s), .type = YAMLMAP_NUMBER, .low = 60, .high = 7 * DAY_S},
	{.name = "for_s", .type = YAMLMAP_NUMBER, .offset = offsetof(struct rule_text, rule.for_s),
		.size = sizeof(uint32_t), .low = 1, .high = DAY_S},
	{YAMLMAP_FIELD(rule_text, margin), .type = YAMLMAP_DECIMAL},
	{YAMLMAP_FIELD(rule_text, severity), .type = YAMLMAP_CHOICE, .required = true, .choices = severities + 1},
	RULE_TEXT("zh", zh), .required = true},
	RULE_TEXT("en", en), .required = true},
	RULE_TEXT("source", source), .required = true},
};
/* clang-format on */

/* Thousandths; false when there are more than three decimals. A decimal has at most 15 digits. */
static bool milli_of(struct vg_decimal d, int64_t *ret)
{
	int64_t m = d.mantissa;
	int places = d.exponent + 3;
	for (; places > 0; places--)
		m *= 10;
	for (; places < 0; places++) {
		if (m % 10)
			return false;
		m /= 10;
	}
	*ret = m;
	return true;
}

/* A pattern that matches nothing would be a rule that is silent for ever. Technical rules judge places and no
 * other rule does. */
bool alert_kind_fits(const struct codes *codes, const char *pattern, bool technical)
{
	const struct code *code;
	const char *star = strchr(pattern, '*');
	unsigned n = 0;
	if (star && (star[1] || technical))
		return false;
	for (size_t i = 0; (code = codes_at(codes, i)); i++)
		if (alert_kind_matches(pattern, code->kind)) {
			bool place = strncmp(code->kind, ENVIRONMENT, strlen(ENVIRONMENT)) == 0;
			if (place != technical)
				return false;
			n++;
		}
	return n > 0;
}

static bool take_limit(struct rule_text *t)
{
	unsigned n = 0;
	for (unsigned op = 0; op < LIMITS; op++)
		if (t->limits[op].mantissa != ABSENT) {
			t->rule.op = op;
			n++;
		}
	if (t->silent_s) {
		t->rule.op = ALERT_SILENT;
		n++;
	}
	return n == 1;
}

/* What is wrong with a rule as a whole; NULL: nothing. */
static const char *rule_fault(const struct codes *codes, struct rule_text *t)
{
	struct alert_rule *r = &t->rule;
	bool technical = t->family, limited = take_limit(t), silent = r->op == ALERT_SILENT;
	if (!limited)
		return "expected one limit: at_least, above, at_most, below or silent_s";
	if (technical != (r->place[0] != 0))
		return "a place and \"family: technical\" go together";
	if (technical && t->severity + SEVERITY_NOTICE < SEVERITY_WARNING)
		return "a technical rule calls staff: expected severity warning or critical";
	if (!technical && (silent || r->for_s || t->margin.mantissa != ABSENT))
		return "silent_s, for_s and margin are for technical rules";
	if (silent && (r->kind[0] || r->for_s || t->margin.mantissa != ABSENT))
		return "a rule with silent_s has no kind, for_s or margin";
	if (!silent && !alert_kind_fits(codes, r->kind, technical))
		return technical ? "expected one kind of codes.csv that is of a place (env.)"
				 : "expected a kind of codes.csv that is of a person, or such as "
				   "\"glu.*\"";
	if (!silent && !milli_of(t->limits[r->op], &r->limit_milli))
		return "expected a limit with at most three decimals";
	if (t->margin.mantissa != ABSENT &&
		(!milli_of(t->margin, &r->margin_milli) || r->margin_milli < 0))
		return "expected a margin that is not negative, with at most three decimals";
	return NULL;
}

static int rule_read(
	struct yamlmap *y, yaml_node_t *node, const struct codes *codes, struct alert_rules *rules)
{
	struct rule_text t = {.margin.mantissa = ABSENT};
	for (unsigned i = 0; i < LIMITS; i++)
		t.limits[i].mantissa = ABSENT;
	int rc = yamlmap_read(y, node, rule_keys, ELEMENTS(rule_keys), &t);
	if (rc < 0)
		return rc;
	const char *fault = rule_fault(codes, &t);
	if (fault)
		return yamlmap_fail(
			y, node, "rule \"%s\", kind \"%s\": %s", t.rule.id, t.rule.kind, fault);
	if (alert_rules_find(rules, t.rule.id))
		return yamlmap_fail(
			y, node, "rule \"%s\": expected an id that is used once", t.rule.id);
	if (rules->n == RULES_MAX)
		return yamlmap_fail(y, node, "expected at most %d rules", RULES_MAX);
	t.rule.severity = t.severity + SEVERITY_NOTICE;
	if (t.silent_s)
		t.rule.for_s = t.silent_s;
	rules->rules[rules->n++] = t.rule;
	return 0;
}

static int words_read(struct yamlmap *y, const yaml_node_t *list, const char *name,
	char (*words)[32], unsigned *ret_n)
{
	const yaml_node_t *item;
	unsigned n = 0;
	for (; (item = yamlmap_item(y, list, n)); n++) {
		const char *text = yamlmap_text(item);
		if (n == WORDS_MAX || !text || !*text ||
			!text_copy(words[n], sizeof(words[n]), text, strlen(text)))
			break;
	}
	if (item || !n)
		return yamlmap_fail(y, item ? item : list, "%s: expected [1 to %d short words]",
			name, WORDS_MAX);
	*ret_n = n;
	return 0;
}

static int repeat_read(
	struct yamlmap *y, yaml_node_t *node, const struct codes *codes, struct alert_rules *rules)
{
	struct repeat_text {
		yaml_node_t *flags, *kinds;
		uint32_t within_s;
	} t = {0};
	const struct yamlmap_key keys[] = {
		{YAMLMAP_FIELD(repeat_text, flags), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(repeat_text, kinds), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(repeat_text, within_s), .type = YAMLMAP_NUMBER, .required = true,
			.low = 10, .high = 3600}};
	int rc = yamlmap_read(y, node, keys, ELEMENTS(keys), &t);
	if (rc >= 0)
		rc = words_read(y, t.flags, "flags", rules->repeat.flags, &rules->repeat.n_flags);
	if (rc >= 0)
		rc = words_read(y, t.kinds, "kinds", rules->repeat.kinds, &rules->repeat.n_kinds);
	for (unsigned i = 0; rc >= 0 && i < rules->repeat.n_kinds; i++)
		if (!alert_kind_fits(codes, rules->repeat.kinds[i], false))
			rc = yamlmap_fail(y, t.kinds,
				"kinds: expected kinds of codes.csv that are of a person, found "
				"\"%s\"",
				rules->repeat.kinds[i]);
	rules->repeat.within_s = t.within_s;
	return rc;
}

static int rules_read(struct yamlmap *y, const struct codes *codes, struct alert_rules *rules)
{
	struct file_text {
		char version[sizeof(rules->version)];
		yaml_node_t *rules, *repeat, *statements;
	} t = {0};
	static const struct yamlmap_key keys[] = {
		{YAMLMAP_FIELD(file_text, version), .type = YAMLMAP_TEXT, .required = true},
		{YAMLMAP_FIELD(file_text, rules), .type = YAMLMAP_NODE, .required = true},
		{YAMLMAP_FIELD(file_text, repeat), .type = YAMLMAP_NODE},
		{YAMLMAP_FIELD(file_text, statements), .type = YAMLMAP_NODE}};
	int rc = yamlmap_read(y, yamlmap_root(y), keys, ELEMENTS(keys), &t);
	if (rc < 0)
		return rc;
	memcpy(rules->version, t.version, sizeof(rules->version));
	yaml_node_t *rule;
	for (size_t i = 0; rc >= 0 && (rule = yamlmap_item(y, t.rules, i)); i++)
		rc = rule_read(y, rule, codes, rules);
	if (rc >= 0 && !rules->n)
		return yamlmap_fail(y, t.rules, "rules: expected a list of at least one rule");
	if (rc >= 0 && t.repeat)
		rc = repeat_read(y, t.repeat, codes, rules);
	return rc < 0 || !t.statements ? rc : statements_read(y, t.statements, &rules->statements);
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
				"; set paths.tables to the directory of the tables");
		return NULL;
	}
	struct alert_rules *rules = calloc(1, sizeof(*rules));
	rc = rules ? rules_read(&y, codes, rules) : yamlmap_fail(&y, NULL, "%s", strerror(ENOMEM));
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

const struct statements *alert_statements(const struct alert_rules *r)
{
	return &r->statements;
}

const char *alert_rules_version(const struct alert_rules *r)
{
	return r->version;
}

const struct alert_rule *alert_rules_at(const struct alert_rules *r, unsigned index)
{
	return index < r->n ? &r->rules[index] : NULL;
}

const struct alert_rule *alert_rules_find(const struct alert_rules *r, const char *id)
{
	for (unsigned i = 0; i < r->n; i++)
		if (streq(r->rules[i].id, id))
			return &r->rules[i];
	return NULL;
}

bool alert_place_known(const struct alert_rules *r, const char *place)
{
	for (unsigned i = 0; i < r->n; i++)
		if (place[0] && streq(r->rules[i].place, place))
			return true;
	return false;
}

/* judging */

static bool breaks(const struct alert_rule *r, int64_t v, char comparator)
{
	switch (r->op) {
	case ALERT_AT_LEAST:
		return v >= r->limit_milli || comparator == '>';
	case ALERT_ABOVE:
		return v > r->limit_milli || comparator == '>';
	case ALERT_AT_MOST:
		return v <= r->limit_milli || comparator == '<';
	case ALERT_BELOW:
		return v < r->limit_milli || comparator == '<';
	case ALERT_SILENT:
		break;
	}
	assert(!"alert: op");
	return false;
}

bool alert_breaks(const struct alert_rule *rule, const struct quantity *q)
{
	return breaks(rule, q->value.milli, q->comparator);
}

bool alert_good_again(const struct alert_rule *rule, const struct quantity *q)
{
	bool upper = rule->op == ALERT_AT_LEAST || rule->op == ALERT_ABOVE;
	int64_t nearer = upper ? rule->margin_milli : -rule->margin_milli;
	return !breaks(rule, q->value.milli + nearer, q->comparator);
}

/* The worst rule that this quantity fires; NULL: none. */
static const struct alert_rule *worst(const struct alert_rules *rules, const struct quantity *q)
{
	const struct alert_rule *hit = NULL;
	for (unsigned i = 0; i < rules->n; i++) {
		const struct alert_rule *r = &rules->rules[i];
		if (!r->place[0] && alert_kind_matches(r->kind, q->code->kind) &&
			alert_breaks(r, q) && (!hit || r->severity > hit->severity))
			hit = r;
	}
	return hit;
}

void alert_hit(struct alert_verdict *v, const struct alert_rule *rule, unsigned quantity)
{
	if (rule->severity < v->severity)
		return;
	if (rule->severity > v->severity)
		*v = (struct alert_verdict){.severity = rule->severity};
	if (v->n < ALERT_HITS_MAX) {
		v->rules[v->n] = rule;
		v->quantity[v->n++] = quantity;
	}
}

struct alert_verdict alert_judge(const struct alert_rules *rules, const struct reading *reading)
{
	struct alert_verdict v = {0};
	for (unsigned i = 0; i < reading->n_quantities; i++) {
		const struct alert_rule *hit = worst(rules, &reading->quantities[i]);
		if (hit)
			alert_hit(&v, hit, i);
	}
	return v;
}

/* repeating */

const char *alert_doubtful(const struct alert_rules *rules, const struct reading *r)
{
	for (unsigned i = 0; i < r->n_flags; i++)
		for (unsigned k = 0; k < rules->repeat.n_flags; k++)
			if (streq(r->flags[i], rules->repeat.flags[k]))
				return r->flags[i];
	return NULL;
}

/* A critical value of another kind in the same reading waits for nothing. */
bool alert_wants_repeat(const struct alert_rules *rules, const struct reading *r,
	const struct alert_verdict *verdict)
{
	if (verdict->severity < SEVERITY_CRITICAL || !alert_doubtful(rules, r))
		return false;
	for (unsigned i = 0; i < verdict->n; i++) {
		bool listed = false;
		for (unsigned k = 0; k < rules->repeat.n_kinds; k++)
			listed |= alert_kind_matches(rules->repeat.kinds[k],
				r->quantities[verdict->quantity[i]].code->kind);
		if (!listed)
			return false;
	}
	return true;
}

unsigned alert_repeat_s(const struct alert_rules *rules)
{
	return rules->repeat.within_s;
}

/* saying */

struct alert_doubt alert_label(const struct reading *r, const struct when *when, bool conflict)
{
	struct alert_doubt d = {.labels = {"unconfirmed"}, .n = 1};
	if (conflict)
		d.labels[d.n++] = "conflict";
	if (when->trust == TRUST_UNKNOWN)
		d.labels[d.n++] = "clock_unknown";
	else if (when->trust == TRUST_ARRIVAL)
		d.labels[d.n++] = "time_of_arrival";
	bool above = false, below = false;
	for (unsigned i = 0; i < r->n_quantities; i++) {
		above |= r->quantities[i].comparator == '>';
		below |= r->quantities[i].comparator == '<';
	}
	if (above)
		d.labels[d.n++] = "above_meter_range";
	if (below)
		d.labels[d.n++] = "below_meter_range";
	for (unsigned i = 0; i < r->n_flags; i++)
		d.labels[d.n++] = r->flags[i];
	return d;
}

void alert_rule_json(struct json *j, const struct alert_rule *rule, const struct quantity *q)
{
	json_object_begin(j, NULL);
	json_str(j, "id", rule->id);
	if (q) {
		json_str(j, "kind", q->code->kind);
		json_milli(j, "value", q->value.milli, q->value.decimals);
		if (q->comparator)
			json_string_n(j, "comparator", &q->comparator, 1);
		json_str(j, "unit", q->code->ucum);
		json_milli(j, "limit", rule->limit_milli, q->value.decimals);
	} else {
		json_str(j, "unit", "s");
		json_int(j, "limit", rule->for_s);
	}
	json_str(j, "text_zh", rule->zh);
	json_str(j, "text_en", rule->en);
	json_object_end(j);
}
