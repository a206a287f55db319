/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a database of an older version becomes one of this: SQL, run by db.c as a whole. */
#pragma once

/* From version i + 1 to the next. What a step was it stays: databases out there were made by it. */
extern const char *const db_steps[];
