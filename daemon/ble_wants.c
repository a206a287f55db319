/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ble_wants.h"

#include "log.h"

#include <errno.h>
#include <string.h>

int ble_wants(const char *id, const struct vg_driver *driver, struct att_want *ret, size_t *ret_n)
{
	if (driver->n_channels > ATT_CHARACTERISTICS_MAX - WANT_CHANNELS) {
		log_error(id, "driver %s has too many channels", driver->name);
		return -E2BIG;
	}
	const struct att_uuid information = att_uuid16(0x180a);
	ret[WANT_SERIAL] = (struct att_want){att_uuid16(0x2a25), information, VG_GATT_READ};
	ret[WANT_SYSTEM_ID] = (struct att_want){att_uuid16(0x2a23), information, VG_GATT_READ};
	for (size_t i = 0; i < driver->n_channels; i++) {
		const struct vg_channel *c = &driver->channels[i];
		struct att_want *w = &ret[WANT_CHANNELS + i];
		*w = (struct att_want){.use = c->use};
		if (c->uuid16)
			w->uuid = att_uuid16(c->uuid16);
		else
			memcpy(w->uuid.bytes, c->uuid128, sizeof(w->uuid.bytes));
		if (c->service16)
			w->service = att_uuid16(c->service16);
	}
	*ret_n = WANT_CHANNELS + driver->n_channels;
	return 0;
}

bool ble_wants_first(const struct att_want *wants, size_t n, const struct att_cache *found)
{
	for (size_t i = WANT_CHANNELS; i < n; i++)
		if (wants[i].use & VG_GATT_FIRST && found->handles[i].value)
			return true;
	return false;
}
