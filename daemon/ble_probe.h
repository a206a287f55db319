/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Are pending connects still alive? An adapter can stop to bring links without any error (seen with Linux 6.1
 * after a connect that failed in the controller): all connects wait, and time out, as if nobody advertised. So
 * when an adapter had no link for an hour, its surroundings are looked at for some seconds; who advertises there
 * and is not linked soon after, twice in a row, is a connect that never comes. Loop thread.
 */
#pragma once

#include "ble_turns.h"

struct ble_probe_times {
	unsigned every_ms, quiet_ms;
	unsigned look_ms; /* a window of discovery */
	unsigned wait_ms; /* two turns of everybody */
};
extern const struct ble_probe_times ble_probe_times; /* what is good outside of tests */

struct ble_probe_ops {
	void (*look)(void *arg, bool on); /* begin, end to look who advertises */
	bool (*heard)(void *arg, const char *address, int64_t since_boot_us);
	void (*stuck)(void *arg, const char *adapter, const char *id);
	void *arg;
};

struct ble_probe;

int ble_probe_new(sd_event *loop, struct ble_turns *turns, const struct ble_probe_ops *ops,
	const struct ble_probe_times *times, struct ble_probe **ret);
void ble_probe_free(struct ble_probe *p);
