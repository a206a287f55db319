/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Technical rules: what is broken, since when, and what is listened for. A rule and its subject (a device, or the
 * gateway) are a row of the table `condition`:
 *
 *   broken     notes since when. When it has lasted for its time, one alert is raised, to staff, whether anybody
 *              says more or not. What is good again ends it; its alert, when there was one, says that it is over.
 *   a silence  begins anew with each word that is heard. It is measured only while this process listens: each
 *              start gives its whole time again.
 *
 * What is broken is said by place.c (readings of places) and technical.c (devices, the gateway); when to look is
 * watch.h's. Store thread, inside the transaction of what was heard.
 */
#pragma once

#include "db.h"
#include "rule.h"
#include "span.h"

struct gateway;

#define CONDITION_GATEWAY INT64_C(0) /* the subject that is no device */

enum condition_is {
	CONDITION_GOOD,
	CONDITION_NEARLY, /* good, but not by the rule's margin: what was told holds on */
	CONDITION_BROKEN
};

struct condition {
	int64_t device; /* row, or CONDITION_GATEWAY */
	const struct alert_rule *rule;
	int64_t for_us;		    /* so long it must last before anybody is told */
	const struct quantity *q;   /* by which it is broken, the last one counts; NULL: none */
	const struct uuid *reading; /* that has it; NULL: none */
};

enum condition_is condition_against(const struct alert_rule *rule, const struct quantity *q);

int condition_judge(struct gateway *g, struct db *db, const struct condition *c,
	enum condition_is is, struct instant now);
/* A word was heard of what must not be silent for so long. */
int condition_hear(struct gateway *g, struct db *db, const struct condition *c, struct instant now);
/* Listens for it from now on, if it does not yet; `fresh`: the process begins. */
int condition_listen(struct gateway *g, struct db *db, const struct condition *c,
	struct instant now, bool fresh);
/* Forgets what is configured no more: an alert of it stays until a person acknowledges it. */
int condition_forget(struct gateway *g, struct db *db);
/* Raises the alerts that are due. */
int condition_tell(struct gateway *g, struct db *db, int64_t utc_us, int64_t boot_us);
