/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is there: the steps of an alert, and for each the person who has to be told at a given moment, by absences, deputies,
 * hours and duties. The rules: tests/sim/ALERTS.md, sections 6 and 8. Store thread; reads only.
 */
#pragma once

#include "db.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;

/* Of one alert: staff, eight behind them, doctor, eight behind him, institution. */
#define ROTA_STEPS_MAX 20
#define ROTA_TOKEN 32

struct rota_person {
	char token[ROTA_TOKEN]; /* "": nobody at all is configured */
	const char *role;	/* doctor, deputy, duty, chain, staff, institution; "": with "" */
};

/* What decides the steps. */
struct rota_for {
	int64_t resident;    /* 0: nobody */
	bool staff;	     /* unassigned, time unknown, out of contract, or no person's */
	const char *station; /* where it was measured; NULL or "": at none */
};

/* Whose turn it is, one after the other: each token once, as configured, whoever is there. Of chains that are too long the
 * end is cut off, never the doctor nor the institution. Their number or -errno. */
int rota_steps(const struct gateway *g, struct db *db, const struct rota_for *f,
	struct rota_person out[static ROTA_STEPS_MAX]);
/* Who is there for this one at that instant: itself, its deputy, or who has the duty. `resident`: whose team's hours count
 * first; 0: nobody's. 1; 0: nobody; -errno. */
int rota_present(struct db *db, const struct rota_person *step, int64_t resident, int64_t at_us,
	struct rota_person *ret);

/* The first step from `from` on that has somebody at `at_us`; its number, or -errno. ROTA_STEPS_MAX: nobody; `ret` is then
 * the last resort. */
int rota_step(const struct gateway *g, struct db *db, const struct rota_for *f, int from,
	int64_t at_us, struct rota_person *ret);

/* The same for somebody who has to be told again, where step `from` is the last: those before it, the later one first. */
int rota_step_back(const struct gateway *g, struct db *db, const struct rota_for *f, int from,
	int64_t at_us, struct rota_person *ret);

/* Whether this token is of anybody who can be told: of a team, a doctor's, of a chain, or of the configuration. */
bool rota_knows(const struct gateway *g, struct db *db, const char *token);
