/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs scenarios of tests/sim/FOLLOWUP.md, section 9, and of ALERTS.md, section 10, through the rooms of the daemon: units through intake, commands
 * through their table, at a clock that the scenario sets. No thread, no loop, no platform, and nothing is kept but a store that the first line names.
 */
#pragma once

#include "command.h"
#include "gateway.h"
#include "util.h"

#include <jansson.h>

struct site {
	char dir[64];
	struct gateway gateway;
	struct db *db;
	bool stands;	  /* the first line was read */
	bool keeps;	  /* the store is one that stays: "store" in the first line */
	bool alerts;	  /* wanted, and told as time passes */
	char judged[11];  /* the last day whose rules were judged by this process */
	char store[128];  /* directory of the store */
	unsigned pending; /* what was done since the last commit */
	unsigned units, entered;
	json_t *names;	 /* "c1", "c1.htn" -> id */
	json_t *ids;	 /* key of a reading -> id */
	json_t *keys;	 /* and back */
	json_t *devices; /* id -> its part of the first line */
};

/* Ends the program with one sentence about the line. */
_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "2026-03-10T08:00:00" as the site's wall shows it. */
int64_t instant(const char *text);

/* site.c */
void site_open(struct site *s, const json_t *config);
void site_close(struct site *s);
/* As after a kill: what is not in the store is gone. */
void site_reopen(struct site *s);
/* In a savepoint of its own, as the store runs a job. */
void site_begin(struct site *s);
void site_end(struct site *s, bool keep);

/* time.c: the time before any scenario; what is due until then happens, each at its instant. */
void time_start(void);
void time_begin(struct site *s);
void time_pass(struct site *s, int64_t until_us);
/* "process" or "boot" */
void time_restart(struct site *s, const char *what);

/* unit.c */
void unit_deliver(struct site *s, const json_t *unit, int64_t at_us);

/* answers.c: the one line that answers. */
void answer(struct site *s, const json_t *line);
/* A command's result; NULL: it was refused, and `code` says why. `door`: "platform"; NULL: the local one. */
json_t *run_command(struct site *s, const char *name, const json_t *args, const char *by,
	const char *door, char code[static 32]);

/* alerts.c: the one line that answers; "key:condition": the id of the alert that was raised so. */
void answer_alerts(struct site *s, const json_t *line);
json_t *alert_named(const struct site *s, const char *name);
