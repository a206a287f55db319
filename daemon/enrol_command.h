/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of enrolment (command.h). */
#pragma once

#include "command.h"

/* Of the loop: {"order":"open"|"look"|"begin"|"answer"|"finish"|"cancel"|"close","window":N,..}. Each answers with
 * the state of the window. */
int enrol_command(struct command *c);
/* Store thread, {"device":"cuff-2"}; and then on the loop. */
int unenrol_command(struct command *c);
void unenrol_then(struct gateway *g, const json_t *args, const char *author);
