/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places: a fridge, a room, a gas supply. A reading of kind "environment" is of the place that its device watches
 * and never of a person; the technical rules judge it and staff are told. What they judge is the table `condition`:
 *
 *   a limit    A value that breaks it notes since when. When it has held for its time, one alert is raised. A good
 *              value ends it; a told one must lie the rule's margin inside its limit, and its alert says that it
 *              is over by itself. A door that was open for a minute calls nobody.
 *   a silence  Each reading of the device notes when it was heard. A silence is measured only while this process
 *              listens: each start gives a sensor its whole time again.
 *
 * Whoever is to be told of a limit is told when its time is over, with or without another reading: a contact may
 * report only its changes. Store thread, inside the transaction of the reading.
 */
#pragma once

#include "rule.h"
#include "db.h"

struct gateway;

/* A reading of a place against the rules of that place; `id`: as it is stored. */
int place_judge(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *id);
/* Listens for each configured device of a place that has such a rule, and forgets what is configured no more: an
 * alert of it stays until a person acknowledges it. `fresh`: the process begins. */
int place_listen(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us, bool fresh);
/* Raises the alerts that are due. */
int place_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);
