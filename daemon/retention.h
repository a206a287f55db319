/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gateway is not the record: what the platform has, and nobody needs here, leaves after its time.
 * Never deleted: what still has to be sent or was refused, an alert that nobody acknowledged and its
 * reading, the latest value of each kind of a resident, and what a visit rests on that nobody confirmed yet. Visits stay
 * for three years, and the last confirmed one of each form for ever: what is due is counted from it. A report that was not
 * given in all that time is waited for no longer.
 */
#pragma once

#include "db.h"

#include <stdint.h>

#define RETENTION_ROWS 500	  /* at most in one transaction: nobody waits for us */
#define RETENTION_STUDIES 16	  /* the same of studies, which are large */
#define RETENTION_AUDIT_DAYS 1095 /* who did what */
#define RETENTION_VISIT_DAYS 1095
#define RETENTION_KPI_DAYS 1095	   /* one row a month */
#define RETENTION_COMMAND_DAYS 30  /* replies that may be asked for again */
#define RETENTION_FULL_DISK_DAYS 7 /* what stays when the disk is full */

struct instant; /* span.h */

/* Deletes one portion of what is older than `days`; number of readings deleted, or -errno. Does nothing while it is not
 * sure that what is old by the clock is old (span_sure()). */
int retention_run(struct db *db, const struct instant *now, unsigned days);
