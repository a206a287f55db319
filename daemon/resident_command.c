/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "command.h"
const struct command_entry resident_commands[] = {{0}};
