/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "radio.h"

#include "ble_probe.h"
#include "ble_turns.h"
#include "bluez_scan.h"
#include "bluez_watch.h"
#include "gateway.h"
#include "log.h"
#include "news.h"

#include <errno.h>

struct radio {
	struct gateway *gateway;
	struct ble_probe *probe;
};

static void look(void *arg, bool on)
{
	struct radio *r = arg;
	if (on)
		bluez_scan_begin(r->gateway->bluez, "", BLUEZ_SCAN_WINDOWS, NULL, r);
	else
		bluez_scan_end(r->gateway->bluez, r);
}

static bool heard(void *arg, const char *address, int64_t since_boot_us)
{
	struct radio *r = arg;
	const struct bluez_seen *s = bluez_scan_find(r->gateway->bluez, address);
	return s && s->seen_boot_us >= since_boot_us;
}

static void stuck(void *arg, const char *adapter, const char *id)
{
	struct radio *r = arg;
	log_warn(id, "advertises, and no connect comes to it");
	bluez_report(r->gateway->bluez, adapter, id, BLUEZ_STUCK);
}

static void on_trouble(void *arg, const char *where, const char *what, const char *next)
{
	struct radio *r = arg;
	char detail[160];
	if (!r->gateway->store)
		return; /* the process ends */
	snprintf(detail, sizeof(detail), "%s: %s%s%s", where, what, next ? ": " : "",
		next ? next : "");
	news_tell(r->gateway, "bluetooth_trouble", detail);
}

int radio_need(struct gateway *g)
{
	if (g->radio)
		return 0;
	struct radio *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->gateway = g;
	g->radio = r;
	const struct ble_probe_ops ops = {look, heard, stuck, r};
	int rc = bluez_new(g->loop, &g->bluez);
	if (rc >= 0)
		rc = ble_turns_new(g->loop, BLE_SLICE_MS, &g->turns);
	if (rc >= 0)
		rc = ble_probe_new(g->loop, g->turns, &ops, &ble_probe_times, &r->probe);
	if (rc < 0) {
		radio_free(g);
		return rc;
	}
	bluez_on_trouble(g->bluez, on_trouble, r);
	return 0;
}

void radio_free(struct gateway *g)
{
	struct radio *r = g->radio;
	if (!r)
		return;
	g->radio = NULL;
	ble_probe_free(r->probe);
	bluez_free(g->bluez);
	ble_turns_free(g->turns);
	g->bluez = NULL;
	g->turns = NULL;
	free(r);
}

void radio_json(const struct gateway *g, struct json *j)
{
	const char *next = NULL;
	if (!g->radio)
		return;
	const char *trouble = bluez_trouble(g->bluez, "", &next);
	json_object_begin(j, "bluetooth");
	json_str(j, "state", trouble ? trouble : bluez_state(g->bluez, ""));
	if (next)
		json_str(j, "next", next);
	json_object_end(j);
}
