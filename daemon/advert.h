/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "transport.h"

/*
 * A transport (transport.h) for drivers of VG_BUS_ADVERT: each value is what was advertised in the
 * service or manufacturer data of that channel. It is up when it is heard and down after a minute
 * of silence; `uid` is "addr:<address>". What is advertised again within 5 s is told once. Nothing
 * can be sent: -ENOENT.
 *
 * `bluez` is needed, else -EINVAL; -ENOSPC when too many wish to hear (bluez_scan.h). States:
 * "connected", "waiting" (it is not heard), and what bluez_state() says.
 */
int advert_new(sd_event *loop, struct bluez *bluez, const struct config_device *device,
	const struct vg_driver *driver, const struct transport_events *events,
	struct transport **ret);
