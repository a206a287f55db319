/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an ECG cart states in words, and which words speak of an acute event (config/alerts.yaml, `statements`).
 * Pure after loading. We judge the cart's words and never the curve.
 */
#pragma once

#include "json.h"
#include "yamlmap.h"

#define STATEMENTS_RULES_MAX 32
#define STATEMENT_WORDS_MAX 16

struct statement {
	char id[40];
	unsigned n_words, n_unless;
	/* Normalized; each is a list "a,b" of which all must be there. Those of `unless` are taken out of a text before
	 * it is looked at. */
	char words[STATEMENT_WORDS_MAX][64], unless[STATEMENT_WORDS_MAX][64];
	char zh[96], en[96];
	char source[96];
};

struct statements {
	unsigned n;
	struct statement rules[STATEMENTS_RULES_MAX];
};

/* 0 or -EINVAL with the sentence of yamlmap_fail(). */
int statements_read(struct yamlmap *y, yaml_node_t *list, struct statements *ret);
/* The first rule behind `after` (NULL: of all) that the text (UTF-8) fires; NULL: none. */
const struct statement *statement_find(
	const struct statements *s, const struct statement *after, const char *text);
/* As an element of "rules":[..] of an alert. */
void statement_json(struct json *j, const struct statement *rule, const char *text);
