/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The roster: who the residents are. One record of one resident, whether a line of CSV or an element of the platform's
 * JSON says it: it is whole (what it does not say is empty), checked field by field, and stored. A roster is taken whole
 * or not at all: when `bad` is not 0 in the end, the caller lets nothing of it stand. The rules: tests/sim/FOLLOWUP.md,
 * section 1. Store thread.
 */
#pragma once

#include "db.h"
#include "json.h"

#include <stdbool.h>

struct gateway;

#define ROSTER_TOKEN_MAX 31
#define ROSTER_FAULTS_MAX 20 /* that are told one by one */

enum roster_field {
	ROSTER_TOKEN,
	ROSTER_BIRTH_DATE,
	ROSTER_SEX,
	ROSTER_PROGRAMMES,
	ROSTER_POPULATIONS,
	ROSTER_CONDITIONS,
	ROSTER_SETTING,
	ROSTER_DOCTOR,
	ROSTER_TEAM,
	ROSTER_CHAIN,
	ROSTER_SIGNED_ON,
	ROSTER_VALID_FROM,
	ROSTER_VALID_TO,
	ROSTER_OWNER,
	ROSTER_FIELDS
};
/* The name of a field, as columns and members have it. */
const char *roster_field_name(enum roster_field f);
/* ROSTER_FIELDS: it is none of ours. */
enum roster_field roster_field_named(const char *name);

struct roster_record {
	const char *text[ROSTER_FIELDS]; /* "": empty; lists with semicolons */
};

struct roster_seen;

/* One that is being taken. */
struct roster {
	struct gateway *gateway;
	struct db *db;
	int64_t now_us;
	unsigned piece; /* of the platform's; 0: all of it came at once */
	bool dry;	/* only check: others of its pieces are not here yet */
	unsigned lines, bad, added, changed, unlisted, kept;
	char first_en[160], first_zh[160]; /* of what is wrong */
	struct json faults;		   /* elements {"line","piece","column","en","zh"} */
	struct json kept_list; /* elements {"resident","state"}: not active all the same */
	unsigned bad_line, bad_piece, n_faults;
	struct roster_seen *seen;
	size_t n_seen, seen_size;
};

void roster_begin(struct roster *r, struct gateway *g, struct db *db);
void roster_end(struct roster *r);
/* One resident, checked, and stored when nothing is wrong with it. 0 also when something is; -errno of the store. */
int roster_put(struct roster *r, unsigned line, const struct roster_record *record);
/* The roster no longer has this one. */
int roster_remove(struct roster *r, unsigned line, const char *token);
/* Something is wrong with a line; `column` "": with all of it. */
void roster_fault(
	struct roster *r, unsigned line, const char *column, const char *en, const char *zh);
/* Everything is there: nobody stands in it twice, and of a `full` one everybody else is unlisted. */
int roster_settle(struct roster *r, bool full);

/* Letters, digits, - and _, at most ROSTER_TOKEN_MAX. */
bool roster_token_good(const char *text);
/* An ID card or phone number in the place of a token. */
bool roster_names_person(const char *text);

/* Whether `token` is a doctor of this resident: its own, or one of its team. They confirm, correct and set limits. */
bool roster_doctor(struct db *db, int64_t resident, const char *token);

/* Under whom readings of this one are filed now: the resident that it was merged into at last, or itself; 0: under nobody,
 * because consent was withdrawn or everything was erased. */
int64_t roster_files_under(struct db *db, int64_t resident);
