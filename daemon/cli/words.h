/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands of words: each is a line of a table that says what it takes, and is told so back when it is given anything
 * else. Options that a command does not take are refused, never passed over.
 */
#pragma once

#include "cli.h"

#define WORDS_MAX 400 /* a morning's list of residents */

enum words_option {
	WORDS_BY = 1,	    /* --by D */
	WORDS_PURPOSE = 2,  /* --purpose P */
	WORDS_WAY = 4,	    /* --way N */
	WORDS_SOURCE = 8,   /* --card, --barcode */
	WORDS_INSTEAD = 16, /* --instead */
	WORDS_UNDO = 32,    /* --undo */
	WORDS_FORM = 64,    /* --form F */
	WORDS_AT = 128,	    /* --at T */
	WORDS_DAY = 256,    /* --day D */
	WORDS_REASON = 512, /* --reason TEXT */
	WORDS_TEXT = 1024,  /* --text */
	WORDS_ALERTS =
		2048, /* --open --all --morning --history A --follow --since --display S --resident R --limit N */
	WORDS_REVISION = 4096, /* --revision N */
};

struct words {
	struct cli *cli;
	const struct words_command *command;
	const char *word[WORDS_MAX]; /* behind the command */
	int n;
	const char *purpose, *way, *form, *at, *day, *reason;
	bool card, barcode, instead, undo, text;
	const char *history, *since, *display, *resident, *limit, *revision;
	bool open, all, morning, follow;
};

struct words_command {
	const char *name;
	int (*run)(const struct words *w);
	int min, max; /* words */
	unsigned options;
	/* what it does: one line, and more of them for --help */
	const char *takes_en, *does_en; /* "STATION R [--purpose P]", "who is measured there" */
	const char *takes_zh, *does_zh;
};
extern const struct words_command people_words[]; /* people.c: residents and their roster */
extern const struct words_command
	reading_words[]; /* readings.c: stations, and what persons do to readings */
extern const struct words_command visit_words[];    /* visit.c: visits, plans and lists */
extern const struct words_command followup_words[]; /* followup.c: the form of a visit */
extern const struct words_command alert_words[];    /* alerts.c: alerts, and who is told of them */

/* NULL: it is none of these. */
const struct words_command *words_find(const char *name);
/* argv[0] is the command. Exit status. */
int words_main(struct cli *cli, int argc, char **argv);
/* A line for each command. */
void words_help(const struct cli *cli, FILE *to);

/* What was expected instead, on stderr; 2. Either may be NULL: then what the command takes. */
int words_expected(const struct words *w, const char *en, const char *zh);

/* Asks and shows; `args` is taken over. Exit status. */
int words_ask(const struct words *w, const char *command, json_t *args,
	void (*show)(const struct cli *, const json_t *));
/* What was answered; `reply` is taken over. Exit status. */
int words_show(
	const struct words *w, json_t *reply, void (*show)(const struct cli *, const json_t *));
/* A text that may be NULL, as a member. */
void words_put(json_t *args, const char *key, const char *text);
/* "key=value": the key, ended, into `key`, and where the value begins; NULL: it is no pair. */
const char *words_pair(const char *word, char *key, size_t size);
/* The words from `first` on, with blanks between; free() it. */
char *words_joined(const struct words *w, int first);
/* One line of standard input, as a card reader types it; free() it. NULL: there was none. */
char *words_line(const struct words *w, const char *en, const char *zh);
