/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Takes a bond away, with all that bluetoothd knows of the device (RemoveDevice, BlueZ
 * doc/adapter-api.txt). */
#include "bluez_bus.h"
#include "bluez_pair.h"
#include "util.h"

#include <errno.h>

static void forget_ended(struct bluez_forgetting *f)
{
	struct bluez_forgetting was = *f;
	for (size_t i = 0; i < BLUEZ_ADAPTERS_MAX; i++)
		sd_bus_slot_unref(f->slots[i]);
	*f = (struct bluez_forgetting){0};
	if (was.done)
		was.done(was.arg, was.result);
}

static int on_forgotten(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_forgetting *f = arg;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	if (e)
		f->result = bluez_error_result(e) == -ENOENT ? -ENOENT : -EIO;
	if (--f->calls == 0)
		forget_ended(f);
	return 0;
}

int bluez_forget(
	struct bluez *b, const char *address, void (*done)(void *arg, int result), void *arg)
{
	char paths[BLUEZ_ADAPTERS_MAX][BLUEZ_PATH_MAX];
	struct bluez_forgetting *f = NULL;
	if (!*b->owner)
		return -ENOTCONN;
	size_t n = bluez_device_paths(b, address, paths);
	if (!n)
		return -ENOENT;
	for (size_t i = 0; i < BLUEZ_FORGETTING_MAX && !f; i++)
		if (!b->forgetting[i].calls)
			f = &b->forgetting[i];
	if (!f)
		return -EBUSY;
	*f = (struct bluez_forgetting){.done = done, .arg = arg};
	for (size_t i = 0; i < n; i++) {
		char adapter[BLUEZ_PATH_MAX];
		text_copy(adapter, sizeof(adapter), paths[i],
			(size_t)(strrchr(paths[i], '/') - paths[i]));
		if (sd_bus_call_method_async(b->bus, &f->slots[i], b->owner, adapter, BLUEZ_ADAPTER,
			    "RemoveDevice", on_forgotten, f, "o", paths[i]) >= 0)
			f->calls++;
	}
	if (!f->calls)
		*f = (struct bluez_forgetting){0};
	return f->calls ? 0 : -EIO;
}

void bluez_forgetting_lost(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_FORGETTING_MAX; i++)
		if (b->forgetting[i].calls) {
			b->forgetting[i].result = -EIO;
			forget_ended(&b->forgetting[i]);
		}
}

void bluez_forgetting_free(struct bluez *b)
{
	for (size_t i = 0; i < BLUEZ_FORGETTING_MAX; i++) {
		b->forgetting[i].done = NULL;
		forget_ended(&b->forgetting[i]);
	}
}
