/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the commands about visits ask first: which resident, which form, which answers; and the sentences that refuse
 * them. Store thread.
 */
#pragma once

#include "command.h"
#include "visit.h"

struct visit_person {
	int64_t id;
	char token[64], programmes[128], state[24], owner[64], birth[32];
};

/* These return 0, or the command is refused; or -errno. */
int visit_find_person(struct command *c, struct visit_person *ret);
/* The argument `form`. */
int visit_named_form(struct command *c, const struct form_names **ret);
/* Somebody who is followed up by this gateway, and a form that is for that resident on that day. */
int visit_find_form(struct command *c, int32_t day, struct visit_person *ret,
	const struct form_names **ret_form);

/* The answers of the command, checked, into `to`; one that is null is taken back. */
int visit_take_answers(struct command *c, const char *form, json_t *to);
/* The argument `name` as an answer to `key`; absent or "": nothing. */
int visit_take_answer(
	struct command *c, const char *form, const char *name, const char *key, json_t *to);
int visit_keep_answers(struct command *c, int64_t visit, const json_t *answers);
/* Those of the command, beside those that the visit has. */
int visit_add_answers(struct command *c, int64_t visit, const char *form);
