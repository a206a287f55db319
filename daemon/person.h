/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What persons do to readings beside saying whose they are: they add what no instrument knows, take back what was
 * measured in error, and type what they read off a tape or a paper. Each makes the reading's next revision, or a new
 * reading. The rules: tests/sim/FOLLOWUP.md, section 3. Store thread.
 */
#pragma once

#include "annotation.h"
#include "db.h"
#include "reading.h"

struct gateway;
struct alerts_ack;

#define PERSON_DEVICE "person" /* what stands where an instrument's name would */

/* A reading that was typed: `taken`: when it was, as the person says (NULL: now). The numbers, and what was annotated, are
 * in `r`; its id is made here. */
int person_enter(struct gateway *g, struct db *db, struct reading *r, int64_t resident,
	const struct vg_civil *taken);

/* Adds to a stored reading what a person knows of it: its next revision, with the kind of its glucose, and judged again
 * where that is another now. -EALREADY: it says so already; -ECANCELED: it is void; -ENOTSUP: it is of a place; -EDOM: it
 * has no glucose of blood for a meal, or no blood pressure for an arm; -EINVAL: two values would be of one kind. */
int person_annotate(struct gateway *g, struct db *db, const struct uuid *id,
	const struct annotation *a, unsigned n, const char *author);

/* Takes a reading back that was measured in error: its evidence is gone, it leaves its alerts, and what waited for a
 * clean repeat of it waits no longer. `ack`: who acknowledged an alert so (alerts.h), or NULL. -EALREADY, -ENOTSUP as above. */
int person_void(struct gateway *g, struct db *db, const struct uuid *id, const char *reason,
	const struct alerts_ack *ack);

/* Puts what persons added to a reading into the correction that its instrument sent. */
int person_carry(struct gateway *g, struct db *db, const struct uuid *id, struct reading *r);

/* The kind of the reading that consists of these values: "bp", "glucose" .., "entry" when they are of several. */
const char *person_kind(const struct reading *r);

/* Whether a reading has what this is about: a meal a glucose of blood, an arm a blood pressure. */
bool person_fits(const struct reading *r, const struct annotation *a);
/* Puts annotations into a reading that is not stored yet: its notes, and the kind of its glucose. False: they cannot be true
 * of it, because two values would be of one kind. */
bool person_note(
	const struct codes *codes, struct reading *r, const struct annotation *a, unsigned n);
