/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keys of one sink, device or group say together, and beside those that stand before it. Pure. */
#pragma once

#include "config.h"

struct config_fault {
	const char *key; /* "devices[].address": whose line to tell; NULL: the element's */
	char text[256];
};

/* False with `ret_fault` when what is not yet counted in `c` cannot be taken. Sinks and devices are brought
 * into their one form (port, address). */
bool config_check_sink(
	const struct config *c, struct config_sink *s, struct config_fault *ret_fault);
bool config_check_station(
	const struct config *c, const struct config_station *s, struct config_fault *ret_fault);
bool config_check_device(
	const struct config *c, struct config_device *d, struct config_fault *ret_fault);
/* What takes files away, against the directories that are ours, when all was read. */
bool config_check_spools(const struct config *c, struct config_fault *ret_fault);
/* The group `ecg`, when all sinks were read. */
bool config_check_ecg(const struct config *c, struct config_fault *ret_fault);
