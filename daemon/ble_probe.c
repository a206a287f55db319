/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ble_probe.h"

#include "clock.h"
#include "log.h"
#include "util.h"

#include <errno.h>

const struct ble_probe_times ble_probe_times = {
	.every_ms = 20 * 60 * 1000, .quiet_ms = 60 * 60 * 1000, .look_ms = 12000, .wait_ms = 25000};

#define SUSPECTS_MAX 8 /* that are followed from a look to its end */

struct suspect {
	char id[32], adapter[8];
};

struct ble_probe {
	struct ble_turns *turns;
	struct ble_probe_ops ops;
	struct ble_probe_times times;
	sd_event_source *timer;
	enum { RESTS, LOOKS, WAITS } state;
	int64_t looked_us; /* since when */
	bool worth;
	struct suspect suspects[SUSPECTS_MAX];
	unsigned n_suspects;
	char before[32]; /* whom the last probe found stuck; "" nobody */
};

static void next(struct ble_probe *p, int state, unsigned ms)
{
	p->state = state;
	int r = sd_event_source_set_time_relative(p->timer, ms * UINT64_C(1000));
	if (r >= 0)
		r = sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error("bluetooth", "timer: %s", strerror(-r));
}

/* when it is worth looking */

struct quiet {
	const struct ble_probe *p;
	const char *adapter;
	bool waits, busy;
};

static void look_for_quiet(void *arg, const struct ble_turn *t)
{
	struct quiet *q = arg;
	if (!streq(t->adapter, q->adapter))
		return;
	q->waits |= t->state != TURN_LINK;
	q->busy |= t->state == TURN_LINK ||
		   (t->linked_ms && clock_boot_us() / 1000 - t->linked_ms < q->p->times.quiet_ms);
}

/* Somebody waits on this adapter, and nobody had a link for long. */
static bool quiet(const struct ble_probe *p, const char *adapter)
{
	struct quiet q = {.p = p, .adapter = adapter};
	ble_turns_each(p->turns, look_for_quiet, &q);
	return q.waits && !q.busy;
}

static void look_for_reason(void *arg, const struct ble_turn *t)
{
	struct ble_probe *p = arg;
	p->worth |= quiet(p, t->adapter);
}

/* who is heard, and whether a link comes of it */

static void note_suspect(void *arg, const struct ble_turn *t)
{
	struct ble_probe *p = arg;
	if (p->n_suspects == SUSPECTS_MAX || !quiet(p, t->adapter) ||
		!p->ops.heard(p->ops.arg, t->address, p->looked_us))
		return;
	struct suspect *s = &p->suspects[p->n_suspects++];
	text_copy(s->id, sizeof(s->id), t->id, strlen(t->id));
	memcpy(s->adapter, t->adapter, sizeof(s->adapter));
}

/* Heard, and no link came to its adapter since: nor to anybody else there. */
static void judge(struct ble_probe *p)
{
	const struct suspect *stuck = NULL, *first = NULL;
	for (unsigned i = 0; i < p->n_suspects; i++) {
		const struct suspect *s = &p->suspects[i];
		if (!quiet(p, s->adapter))
			continue;
		first = first ? first : s;
		stuck = streq(p->before, s->id) ? s : stuck;
	}
	if (stuck)
		p->ops.stuck(p->ops.arg, stuck->adapter, stuck->id);
	const char *id = first && !stuck ? first->id : "";
	text_copy(p->before, sizeof(p->before), id, strlen(id));
}

static int on_timer(sd_event_source *source, uint64_t when, void *arg)
{
	struct ble_probe *p = arg;
	(void)source, (void)when;
	switch (p->state) {
	case RESTS:
		p->worth = false;
		ble_turns_each(p->turns, look_for_reason, p);
		if (!p->worth) {
			p->before[0] = 0;
			next(p, RESTS, p->times.every_ms);
			break;
		}
		p->n_suspects = 0;
		p->looked_us = clock_boot_us();
		p->ops.look(p->ops.arg, true);
		next(p, LOOKS, p->times.look_ms);
		break;
	case LOOKS:
		ble_turns_each(p->turns, note_suspect, p);
		p->ops.look(p->ops.arg, false);
		next(p, WAITS, p->times.wait_ms);
		break;
	case WAITS:
		judge(p);
		next(p, RESTS, p->times.every_ms);
		break;
	}
	return 0;
}

int ble_probe_new(sd_event *loop, struct ble_turns *turns, const struct ble_probe_ops *ops,
	const struct ble_probe_times *times, struct ble_probe **ret)
{
	struct ble_probe *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->turns = turns;
	p->ops = *ops;
	p->times = *times;
	int r = sd_event_add_time(loop, &p->timer, CLOCK_BOOTTIME, UINT64_MAX,
		times->look_ms * UINT64_C(100), on_timer, p);
	if (r < 0) {
		ble_probe_free(p);
		return r;
	}
	next(p, RESTS, p->times.every_ms);
	*ret = p;
	return 0;
}

void ble_probe_free(struct ble_probe *p)
{
	if (!p)
		return;
	if (p->state == LOOKS)
		p->ops.look(p->ops.arg, false);
	sd_event_source_disable_unref(p->timer);
	free(p);
}
