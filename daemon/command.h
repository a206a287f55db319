/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One command table, two doors: the local control socket and the platform's down/cmd. Both speak the same
 * JSON: {"v":1,"id":"c-1","cmd":"ack","args":{..},"by":"D-0001"} -> {"v":1,"id":"c-1","ok":true,
 * "result":{..}} or {"ok":false,"error":{"code":..,"en":..,"zh":..}}. A command with an id that was
 * carried out before is not carried out again: its reply is given again.
 *
 * Commands run on the store thread, in one transaction with everything they change.
 */
#pragma once

#include "db.h"
#include "json.h"
#include "reading.h"

#include <jansson.h>

#define COMMAND_TEXT_MAX (4 * 1024 * 1024) /* a roster of some ten thousand residents */

struct gateway;

struct command {
	struct gateway *gateway;
	struct db *db;
	const json_t *args;
	const char *author;  /* "local:root", "platform:platform/D-0001" */
	const char *live;    /* what the loop knows: JSON object, for `status` and `devices` */
	struct json *result; /* open object */
	char code[32], en[256], zh[256]; /* of the error */
	struct json more;		 /* what else it says: an object; empty: nothing */
	const char *platform;		 /* by whose door it came; NULL: by the local one */
};

/* Refuses the command: `code` is stable, the texts are for people and name the next step. */
int command_refuse(struct command *c, const char *code, const char *en, const char *zh);
/* A text argument; "" when absent or no text. */
const char *command_text(const struct command *c, const char *name);
/* Who says it, by the token that came with it: "D-0001" of "local:nurse/D-0001"; "": it did not say. */
const char *command_by(const struct command *c);
int64_t command_number(const struct command *c, const char *name, int64_t fallback);
/* A local time such as 2026-11-21 or 2026-11-21T08:00:00; `fallback` when it is absent. -EINVAL: it is no such time. */
int command_time(const struct command *c, const char *name, int64_t fallback, int64_t *ret);

/* Who did what, in the transaction of what was done. */
int command_audit(struct command *c, const char *action, const char *object, const char *detail);
/* The text argument `name`: a whole id, or its beginning when that is unique (at least 4 digits, as lists print it). `sql`
 * selects the ids between its two parameters. 0, or the command is refused. */
int command_find_id(struct command *c, const char *name, const char *sql, struct uuid *ret);
/* person_command.c: a reading by its id, or "last@desk-1", what arrived last at a station; "last" where there is but one. */
int command_find_reading(struct command *c, const char *name, struct uuid *ret);
/* The same, or a study. */
int command_find_measured(struct command *c, const char *name, struct uuid *ret);

struct command_entry {
	const char *name;
	int (*run)(struct command *c); /* 0, or command_refuse()'s value, or -errno of the store */
	/* On the loop, once it is committed; may be NULL. */
	void (*then)(struct gateway *g, const json_t *args, const char *author);
};
extern const struct command_entry query_commands[]; /* query.c: look, change nothing */
extern const struct command_entry act_commands[];   /* act.c: change something, with audit */
extern const struct command_entry
	person_commands[]; /* person_command.c: what persons do to readings */
extern const struct command_entry ecg_commands[];    /* ecg_command.c: studies and their reports */
extern const struct command_entry roster_commands[]; /* roster_command.c: who the residents are */
extern const struct command_entry resident_commands[]; /* resident_command.c: one of them */
extern const struct command_entry
	station_commands[]; /* station_command.c: check-ins, cards, today's list */
extern const struct command_entry visit_commands[]; /* visit_command.c: follow-up visits */
extern const struct command_entry lists_commands[]; /* lists_command.c: due lists and rates */
extern const struct command_entry alert_commands[]; /* alert_command.c: alerts, and acknowledging */
extern const struct command_entry rota_commands[];  /* rota_command.c: who is there, and when */
extern const struct command_entry display_commands[]; /* alert_said.c: for a display */
/* ecg_command.c: of a study that is still with the decoder. */
int command_refuse_undecoded(struct command *c);
/* Of all these and the next; NULL: there is none of this name. */
const struct command_entry *command_find(const char *name);
/* query.c, enrol_command.c: about what only the loop knows. They run there, without `db`, and only through the local door. */
extern const struct command_entry loop_commands[];

/* The loop's doors. `reply` is called once on the loop with the reply's text. */
int command_submit(struct gateway *g, const char *text, size_t len, const char *author,
	void (*reply)(void *arg, const char *text, size_t len), void *arg);
void command_from_platform(struct gateway *g, unsigned sink, const char *text, size_t len);
