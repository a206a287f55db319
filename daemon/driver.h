/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which drivers there are: those that are compiled in (drivers/list.h) and those that profiles make
 * (profile.h). Configuration names both alike.
 */
#pragma once

#include "codes.h"

#include <vitalgate/driver.h>

struct drivers;

/*
 * Reads all profiles: of `tables`/profiles, and of `own` (the site's; it may be missing), which wins where both
 * have a name. NULL with `error`, one sentence with file and line. Drivers live until drivers_free().
 */
struct drivers *drivers_load(const char *tables, const char *own, const struct codes *codes,
	char *error, size_t error_size);
void drivers_free(struct drivers *d);

/* NULL when there is none. `d` NULL: only compiled-in ones are known. */
const struct vg_driver *drivers_find(const struct drivers *d, const char *name);
/* The i-th of all, NULL behind the last. */
const struct vg_driver *drivers_at(const struct drivers *d, size_t i);
