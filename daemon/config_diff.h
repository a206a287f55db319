/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What differs between two configurations, in words, and what of it a running gateway cannot take up. Pure. */
#pragma once

#include "config.h"

/* One line per difference: "devices[lab-1].baud: 9600 -> 19200", "devices[cuff-2]: added",
 * "org: a -> b (takes effect after a restart)". Returns how many. */
unsigned config_diff(const struct config *before, const struct config *after,
	void (*tell)(void *arg, const char *line), void *arg);

/* Gives `after` back the values of `before` that are fixed while a gateway runs. */
void config_keep_fixed(const struct config *before, struct config *after);

/* Do both say the same of this instrument? Lines of the file do not count. */
bool config_same_device(const struct config_device *a, const struct config_device *b);
