/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Command `resident`: all that the roster and persons said of one; the label only to those who stand at the gateway. */
#pragma once

#include "command.h"

int resident_show(struct command *c);
/* "label" into the reply's open object, beside the token, for those who stand at the gateway; nothing when there is none. */
void resident_label(struct command *c, int64_t resident);
