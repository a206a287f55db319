/* SPDX-License-Identifier: GPL-3.0-or-later */
/* spool_new() (transport.h) in another pace, for tests that cannot wait. */
#pragma once

#include "spool_list.h"
#include "transport.h"

int spool_new_paced(sd_event *loop, const struct config_device *device,
	const struct vg_driver *driver, const struct transport_events *events,
	const struct spool_pace *pace, struct transport **ret);
