/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ATT client is to find on an instrument: what the transport itself asks for, then the driver's channels. */
#pragma once

#include "att.h"

enum { WANT_SERIAL, WANT_SYSTEM_ID, WANT_CHANNELS };

/* Fills `ret` (ATT_CHARACTERISTICS_MAX) and how many. -E2BIG: the driver has too many channels, said under `id`. */
int ble_wants(const char *id, const struct vg_driver *driver, struct att_want *ret, size_t *ret_n);
/* Does the driver write something before it subscribes, that this instrument has? Then it must be there by then. */
bool ble_wants_first(const struct att_want *wants, size_t n, const struct att_cache *found);
