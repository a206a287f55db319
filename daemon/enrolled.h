/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The devices that people enrolled: `enrolled.yaml` in the directory of the store, with the keys of `devices:` in
 * vitalgate.yaml, and written by the daemon only. It is replaced whole or not at all, also when the power goes.
 */
#pragma once

#include "config.h"

#define ENROLLED_PATH_MAX 320

void enrolled_path(const struct config *c, char *out, size_t size);

/* Adds them to the devices of `c`. 0 also when there is no such file; -errno with `error`, as config_load(). */
int enrolled_load(struct config *c, char *error, size_t error_size);

/* Store thread: waits for the disk. The device named `id` stands in the file as `d` says from now on; NULL: not
 * any more. -errno with `error`, and the file stays as it was. */
int enrolled_change(const struct config *c, const char *id, const struct config_device *d,
	char *error, size_t error_size);
