/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Personal limits: a doctor wants to hear of one resident's values earlier than the rules tell everybody's. They come on
 * top of the rules and silence none of them; those of the national rules (blood pressure, glucose) may be tightened and
 * never loosened. Store thread.
 */
#pragma once

#include "alert.h"
#include "command.h"

#define LIMIT_RULE "personal" /* the rule's id in an alert */

struct limit_rules {
	unsigned n;
	struct alert_rule rules[ALERT_HITS_MAX];
};

/* Adds to the verdict what the limits of this resident (0: nobody, none) say of the reading. The rules that fired live in
 * `space`. 0 or -errno. */
int limit_judge(struct db *db, int64_t resident, const struct reading *r, const struct when *when,
	struct limit_rules *space, struct alert_verdict *v);

struct filing;
/* A stored reading is this resident's now: raises its alert when a limit says so. `body`: as revision.h has it. */
int limit_assigned(struct gateway *g, struct db *db, const struct uuid *reading, const char *body,
	const struct filing *f);

/* Command `limit`: sets one, or ends it. */
int limit_command(struct command *c);
