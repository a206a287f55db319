/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert.h"

#include <assert.h>
#include <errno.h>
#include <yaml.h>

#define RULES_MAX 128
#define LIMIT_MAX 1000000000 /* of a limit: no kind of number comes near it */

struct alert_rules {
	char version[32];
	unsigned n;
	struct alert_rule rules[RULES_MAX];
};

const char *severity_name(enum severity s)
{
	static const char *const names[] = {"none", "notice", "warning", "critical"};
	return names[s];
}

const char *severity_priority(enum severity s)
{
	static const char *const names[] = {"PN", "PL", "PM", "PH"};
	return names[s];
}

/* "glu.*" = every kind that begins so. */
static bool kind_matches(const char *pattern, const char *kind)
{
	const char *star = strchr(pattern, '*');
	return star ? strncmp(pattern, kind, (size_t)(star - pattern)) == 0 : streq(pattern, kind);
}

/* loading */

struct source {
	yaml_document_t doc;
	const char *path;
	char *error;
	size_t error_size;
};

static int complain(
	const struct source *s, const yaml_node_t *at, const char *what, const char *got)
{
	snprintf(s->error, s->error_size, "%s:%zu: %s, got \"%.60s\"", s->path,
		at ? at->start_mark.line + 1 : 1, what, got);
	return -EINVAL;
}

static const char *scalar(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* "3.9" -> 3900; false when it is not a number with at most three decimals. */
static bool parse_milli(const char *text, int64_t *ret)
{
	char *end;
	int64_t whole = strtoll(text, &end, 10), part = 0;
	bool negative = text[0] == '-';
	if (end == text)
		return false;
	if (*end == '.') {
		int64_t weight = 100;
		for (end++; *end >= '0' && *end <= '9' && weight; end++, weight /= 10)
			part += (*end - '0') * weight;
	}
	if (whole > LIMIT_MAX || whole < -LIMIT_MAX)
		return false;
	*ret = whole * 1000 + (negative ? -part : part);
	return *end == 0;
}

static int parse_severity(const char *text, enum severity *ret)
{
	for (enum severity s = SEVERITY_NOTICE; s <= SEVERITY_CRITICAL; s++)
		if (streq(text, severity_name(s))) {
			*ret = s;
			return 0;
		}
	return -EINVAL;
}

static int rule_key(struct source *s, struct alert_rule *r, const yaml_node_t *key,
	const yaml_node_t *value, bool *limited)
{
	static const char *const ops[] = {"at_least", "above", "at_most", "below"};
	const char *k = scalar(key), *v = scalar(value);
	if (!k || !v)
		return complain(s, key, "expected \"key: value\"", k ? k : "?");
	struct {
		const char *name;
		char *to;
		size_t size;
	} texts[] = {{"id", r->id, sizeof(r->id)}, {"kind", r->kind, sizeof(r->kind)},
		{"zh", r->zh, sizeof(r->zh)}, {"en", r->en, sizeof(r->en)},
		{"source", r->source, sizeof(r->source)}};
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		if (streq(k, texts[i].name))
			return text_copy(texts[i].to, texts[i].size, v, strlen(v))
				       ? 0
				       : complain(s, value, "expected a shorter text", v);
	for (size_t i = 0; i < ELEMENTS(ops); i++)
		if (streq(k, ops[i])) {
			if (*limited)
				return complain(s, key, "expected one limit in a rule", k);
			*limited = true;
			r->op = i;
			return parse_milli(v, &r->limit_milli)
				       ? 0
				       : complain(s, value, "expected a number", v);
		}
	if (streq(k, "severity"))
		return parse_severity(v, &r->severity) == 0
			       ? 0
			       : complain(s, value, "expected notice, warning or critical", v);
	return complain(s, key,
		"expected one of id, kind, at_least, above, at_most, below, severity, zh, en, "
		"source",
		k);
}

/* A pattern that matches nothing would be a rule that is silent for ever. */
static bool kind_known(const struct codes *codes, const char *pattern)
{
	const struct code *code;
	const char *star = strchr(pattern, '*');
	if (star && star[1])
		return false;
	for (size_t i = 0; (code = codes_at(codes, i)); i++)
		if (kind_matches(pattern, code->kind))
			return true;
	return false;
}

static int rule_read(struct source *s, const yaml_node_t *node, const struct codes *codes,
	struct alert_rules *rules)
{
	if (node->type != YAML_MAPPING_NODE)
		return complain(s, node, "expected a rule", "something else");
	if (rules->n == RULES_MAX)
		return complain(s, node, "expected at most 128 rules", "more");
	struct alert_rule *r = &rules->rules[rules->n];
	bool limited = false;
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
		p++) {
		int rc = rule_key(s, r, yaml_document_get_node(&s->doc, p->key),
			yaml_document_get_node(&s->doc, p->value), &limited);
		if (rc < 0)
			return rc;
	}
	if (!r->id[0] || !r->kind[0] || !limited || !r->severity || !r->source[0] || !r->zh[0] ||
		!r->en[0])
		return complain(s, node,
			"expected id, kind, one limit, severity, zh, en and source", r->id);
	if (!kind_known(codes, r->kind))
		return complain(s, node, "expected a kind of codes.csv", r->kind);
	for (unsigned i = 0; i < rules->n; i++)
		if (streq(rules->rules[i].id, r->id))
			return complain(s, node, "expected a rule id that is used once", r->id);
	rules->n++;
	return 0;
}

static int rules_read(struct source *s, const struct codes *codes, struct alert_rules *rules)
{
	const yaml_node_t *root = yaml_document_get_root_node(&s->doc);
	if (!root || root->type != YAML_MAPPING_NODE)
		return complain(s, root, "expected \"version\" and \"rules\"", "nothing");
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
		p++) {
		const yaml_node_t *key = yaml_document_get_node(&s->doc, p->key);
		const yaml_node_t *value = yaml_document_get_node(&s->doc, p->value);
		const char *k = scalar(key), *v = scalar(value);
		if (k && v && streq(k, "version")) {
			text_copy(rules->version, sizeof(rules->version), v, strlen(v));
		} else if (k && streq(k, "rules") && value->type == YAML_SEQUENCE_NODE) {
			for (yaml_node_item_t *i = value->data.sequence.items.start;
				i < value->data.sequence.items.top; i++) {
				int rc = rule_read(
					s, yaml_document_get_node(&s->doc, *i), codes, rules);
				if (rc < 0)
					return rc;
			}
		} else {
			return complain(s, key, "expected \"version\" or \"rules\"", k ? k : "?");
		}
	}
	if (!rules->version[0] || !rules->n)
		return complain(s, root, "expected a version and at least one rule", "none");
	return 0;
}

struct alert_rules *alert_rules_load(
	const char *path, const struct codes *codes, char *error, size_t error_size)
{
	struct source s = {.path = path, .error = error, .error_size = error_size};
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	if (!f) {
		snprintf(error, error_size,
			"%s: %s; set paths.tables to the directory of the tables", path,
			strerror(errno));
		return NULL;
	}
	struct alert_rules *rules = calloc(1, sizeof(*rules));
	yaml_parser_t parser;
	if (!rules || !yaml_parser_initialize(&parser)) {
		free(rules);
		return NULL;
	}
	yaml_parser_set_input_file(&parser, f);
	int rc;
	if (!yaml_parser_load(&parser, &s.doc)) {
		snprintf(error, error_size, "%s:%zu: %s", path, parser.problem_mark.line + 1,
			parser.problem ? parser.problem : "unreadable");
		rc = -EINVAL;
	} else {
		rc = rules_read(&s, codes, rules);
		yaml_document_delete(&s.doc);
	}
	yaml_parser_delete(&parser);
	if (rc < 0) {
		free(rules);
		return NULL;
	}
	return rules;
}

void alert_rules_free(struct alert_rules *r)
{
	free(r);
}

const char *alert_rules_version(const struct alert_rules *r)
{
	return r->version;
}

/* judging */

static bool fires(const struct alert_rule *r, const struct quantity *q)
{
	int64_t v = q->value.milli;
	switch (r->op) {
	case ALERT_AT_LEAST:
		return v >= r->limit_milli || q->comparator == '>';
	case ALERT_ABOVE:
		return v > r->limit_milli || q->comparator == '>';
	case ALERT_AT_MOST:
		return v <= r->limit_milli || q->comparator == '<';
	case ALERT_BELOW:
		return v < r->limit_milli || q->comparator == '<';
	}
	assert(!"alert: op");
	return false;
}

/* The worst rule that this quantity fires; NULL: none. */
static const struct alert_rule *worst(const struct alert_rules *rules, const struct quantity *q)
{
	const struct alert_rule *hit = NULL;
	for (unsigned i = 0; i < rules->n; i++) {
		const struct alert_rule *r = &rules->rules[i];
		if (kind_matches(r->kind, q->code->kind) && fires(r, q) &&
			(!hit || r->severity > hit->severity))
			hit = r;
	}
	return hit;
}

struct alert_verdict alert_judge(const struct alert_rules *rules, const struct reading *reading)
{
	struct alert_verdict v = {0};
	for (unsigned i = 0; i < reading->n_quantities; i++) {
		const struct alert_rule *hit = worst(rules, &reading->quantities[i]);
		if (!hit || hit->severity < v.severity)
			continue;
		if (hit->severity > v.severity)
			v = (struct alert_verdict){.severity = hit->severity};
		if (v.n < ALERT_HITS_MAX) {
			v.rules[v.n] = hit;
			v.quantity[v.n++] = i;
		}
	}
	return v;
}

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
