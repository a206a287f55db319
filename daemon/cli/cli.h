/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The companion program: what its parts share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct cli {
	const char *config; /* path of vitalgate.yaml */
	const char *socket; /* of the daemon; from the configuration when not given */
	const char *tables; /* directory of the code tables */
	const char *by;	    /* who acts, when it is not whoever is logged in */
	bool json;	    /* machine-readable output */
	bool chinese;
	bool quiet; /* the daemon's absence was said already */
};

/* Sends one command; the whole reply, or NULL with a sentence on stderr. `args` is taken over. */
json_t *client_ask(const struct cli *cli, const char *command, json_t *args);
/* The "result" of a reply, printed as an error when it was refused (then NULL). Borrowed from `reply`. */
json_t *client_result(const struct cli *cli, json_t *reply);

/* Asks to be told of alerts (follow.h) from `since` on (-1: from now on), and hands on each line until the connection ends. False:
 * there was none; the reason was said. */
bool client_follow(const struct cli *cli, long long since,
	void (*line)(const struct cli *, const json_t *, void *arg), void *arg);
/* Prints the reply as it was asked for; `show` NULL: that it is done. Takes the reply; the exit status. */
int client_show(
	const struct cli *cli, json_t *reply, void (*show)(const struct cli *, const json_t *));

/* So many columns on a terminal: a Chinese character takes two. */
void show_cell(const char *t, int width);
/* "R-0001", with what this console shows beside it; or that it is nobody. */
void show_who(const struct cli *cli, const json_t *of);
/* A member's text; "-" when it has none. */
const char *show_text(const json_t *o, const char *key);
/* "2026-11-21T08:00:00.123Z" in the zone of the gateway (or that of the caller, by TZ), without the date's century. */
const char *show_time(const char *utc, char *out, size_t size);
/* "<2.5": the value of an object, with its comparator. */
void show_number(const json_t *v, char *out, size_t size);
/* "<2.5 mmol/L": with its unit, too. */
void show_amount(const struct cli *cli, const json_t *v, char *out, size_t size);
/* Whose it is: a resident's token, or the place that a device watches, "[fridge]". */
const char *show_whose(const struct cli *cli, const json_t *o, char *out, size_t size);
void show_status(const struct cli *cli, const json_t *result);
void show_devices(const struct cli *cli, const json_t *result);
void show_readings(const struct cli *cli, const json_t *result, bool head);
void show_events(const struct cli *cli, const json_t *result);
void show_studies(const struct cli *cli, const json_t *result);
void show_open_studies(const struct cli *cli, const json_t *result);

/* `vitalgate capture`: what passes on a device, written to `to`. Exit status. */
int capture_main(const struct cli *cli, const char *device, long long seconds, FILE *to);
/* `vitalgate rules test`: argv[0] is the command. Exit status. */
int rules_main(struct cli *cli, int argc, char **argv);
/* `vitalgate enrol`: argv[0] is the command. Exit status. */
int enrol_main(struct cli *cli, int argc, char **argv);
/* `vitalgate decode`: runs a driver on bytes. Exit status. */
int decode_main(const struct cli *cli, int argc, char **argv);
/* `vitalgate ecg`: argv[0] is the command. Exit status. */
int ecg_main(struct cli *cli, int argc, char **argv);
