/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"
#include "transport.h"

#include <errno.h>

int rfcomm_new(sd_event *loop, const struct config_device *device,
	const struct transport_events *events, struct transport **ret)
{
	(void)loop, (void)events, (void)ret;

	log_error(device->id, "not yet");
	return -ENOSYS;
}
