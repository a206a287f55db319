/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words that a person may add to a reading: what no instrument knows of how it was measured. Pure. */
#pragma once

#include <stdbool.h>

struct annotation {
	const char *key,
		*value; /* static: meal, arm, posture, sample, operator, and one of the words of each */
};
#define ANNOTATIONS_MAX 5

/* The key at `index`, and all its words as people are told: "left, right"; NULL after the last. */
const char *annotation_key(unsigned index, const char **ret_words);
/* False: there is no such key, or it has no such word. */
bool annotation_find(const char *key, const char *value, struct annotation *ret);
/* By the word alone, which only one key has, or by what people say for it: "2h", "空腹". */
bool annotation_of_word(const char *word, struct annotation *ret);
/* What people say for a value: 空腹 for "fasting", "2h" for "postprandial_2h"; NULL: the word itself, or it is none. */
const char *annotation_say(const char *value, bool chinese);
