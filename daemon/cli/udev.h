/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `vitalgate udev-rules`: the udev rules that give the configured serial ports, and no others, to
 * the core, to be written to /etc/udev/rules.d/70-vitalgate.rules.
 */
#pragma once

#include "cli.h"

/* Exit status. */
int udev_rules(const struct cli *cli);
