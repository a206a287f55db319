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

#define ROTA_STEPS_MAX 12

struct rota_person {
	char token[32];
	const char *role; /* doctor, deputy, duty, chain, staff, institution */
};

/* What decides the steps. */
struct rota_for {
	int64_t resident; /* 0: nobody */
	bool staff;	  /* unassigned, time unknown, out of contract, or no person's */
	const char *station;
};

/* The first step from `from` on that has somebody at `at_us`; its number. With nobody: the last resort, as the text says, and
 * ROTA_STEPS_MAX. -errno. `ret_last`: there is none behind it. */
int rota_step(const struct gateway *g, struct db *db, const struct rota_for *f, int from,
	int64_t at_us, struct rota_person *ret, bool *ret_last);
