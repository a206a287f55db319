/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which driver's model something that advertises is. Pure. */
#pragma once

#include "bluez_scan.h"
#include "config.h"
#include "driver.h"

/* The model that fits best, with its driver; NULL: no driver recognises it. */
const struct vg_model *enrol_match(
	const struct drivers *all, const struct bluez_seen *s, const struct vg_driver **ret_driver);
/* The same among those of one driver. */
const struct vg_model *enrol_match_driver(
	const struct vg_driver *driver, const struct bluez_seen *s);
/* Options of a model, "clock=set quirk=x", into a device. False: they do not fit. */
bool enrol_match_options(const struct vg_model *m, struct config_device *d);
/* The 16-bit number of a standard service; 0: it is none. */
uint16_t enrol_service16(const uint8_t *uuid);
