/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Command `resident`: all that the roster and persons said of one; the label only to those who stand at the gateway. */
#pragma once

#include "command.h"

int resident_show(struct command *c);
