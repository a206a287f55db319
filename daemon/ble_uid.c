/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ble_uid.h"

#include "util.h"

static void forget_placeholder(char *text)
{
	const char first[] = {text[0], 0};
	if (text[strspn(text, first)] == 0)
		text[0] = 0;
}

void ble_uid_serial(struct ble_uid *u, const uint8_t *bytes, size_t len)
{
	size_t n = 0, used = 0;
	for (size_t i = 0; i < len && n < BLE_UID_SERIAL_MAX; i++) {
		char c = (char)bytes[i];
		if (c < 0x20 || c > 0x7e || (c == ' ' && !n))
			continue;
		u->serial[n++] = c == '/' ? '_' : c;
		if (c != ' ')
			used = n;
	}
	u->serial[used] = 0;
	forget_placeholder(u->serial);
}

void ble_uid_system_id(struct ble_uid *u, const uint8_t *bytes, size_t len)
{
	hex(u->system_id, bytes, MIN(len, (size_t)BLE_UID_SYSTEM_ID_MAX));
	forget_placeholder(u->system_id);
}

void ble_uid_text(const struct ble_uid *u, const char *address, char *text, size_t size)
{
	if (*u->serial && *u->system_id)
		snprintf(text, size, "sn:%s/sysid:%s", u->serial, u->system_id);
	else if (*u->serial)
		snprintf(text, size, "sn:%s", u->serial);
	else if (*u->system_id)
		snprintf(text, size, "sysid:%s", u->system_id);
	else
		snprintf(text, size, "addr:%.90s", address);
}
