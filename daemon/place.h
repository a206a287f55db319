/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places: a fridge, a room, a gas supply. A reading of kind "environment" is of the place that its device watches
 * and never of a person; the technical rules of that place judge it (condition.h). A good value ends what was broken;
 * what was told must lie the rule's margin inside its limit. A door that was open for a minute calls nobody; a contact
 * may report only its changes. Store thread, inside the transaction of the reading.
 */
#pragma once

#include "db.h"
#include "reading.h"
#include "span.h"

struct gateway;

/* A reading of a place against the rules of that place; `id`: as it is stored. */
int place_judge(struct gateway *g, struct db *db, const struct unit *u, const struct reading *r,
	const struct uuid *id);
/* Listens for each configured device of a place that has a rule of silence; `fresh`: the process begins. */
int place_listen(struct gateway *g, struct db *db, struct instant now, bool fresh);
